//! The training steps of the examples `digits_cnn` and `names_gpt`: their nets and optimisers, on one batch.

mod cnn;
mod gpt;

use wengert::nn::Mode;
use wengert::optim::{AdamW, Optimizer};
use wengert::{Params, ParamsOn, Tape, Var};

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub about: &'static str,
    /// The probability by which an element is dropped.
    pub dropout: f64,
    pub rate: f64,
    pub decay: f64,
    /// The bound of the gradient's norm; infinite if there is none.
    pub clip: f64,
    net: fn(&mut Params<f32>, f64) -> Box<dyn Net>,
}

const CNN: Row = Row {
    name: "cnn",
    about: "`digits_cnn` without dropout",
    dropout: 0.0,
    rate: 4e-3,
    decay: 0.01,
    clip: f64::INFINITY,
    net: cnn::net,
};

const GPT: Row = Row {
    name: "gpt",
    about: "`names_gpt` without dropout",
    dropout: 0.0,
    rate: 3e-3,
    decay: 0.1,
    clip: 1.0,
    net: gpt::net,
};

pub static ROWS: [Row; 4] = [
    CNN,
    Row { name: "cnn-dropout", about: "`digits_cnn`", dropout: 0.3, ..CNN },
    GPT,
    Row { name: "gpt-dropout", about: "`names_gpt`", dropout: 0.1, ..GPT },
];

/// A name, a shape, and the numbers.
pub type Array = (String, Vec<usize>, Vec<f32>);

/// A net and its batch.
trait Net {
    fn loss<'t>(&'t self, p: ParamsOn<'t, '_, f32>, mode: &mut Mode<f32>) -> Var<'t, f32>;
    fn batch(&self) -> Vec<Array>;
}

/// The training of a net on its batch.
pub struct Training {
    row: &'static Row,
    net: Box<dyn Net>,
    start: Params<f32>,
    params: Params<f32>,
    tape: Tape<f32>,
    adam: AdamW<f32>,
    mode: Mode<f32>,
}

impl Training {
    /// The training of a row, or of the same net with another probability of dropout.
    pub fn new(row: &'static Row, dropout: f64) -> Self {
        let mut start = Params::new();
        let net = (row.net)(&mut start, dropout);
        let (tape, adam, mode) = (Tape::new(), optimizer(row), Mode::train(0));
        Self { row, net, params: start.clone(), start, tape, adam, mode }
    }

    /// Goes back to the initial weights and a fresh optimiser.
    pub fn reset(&mut self) {
        self.params.copy_from(&self.start);
        self.adam = optimizer(self.row);
    }

    pub fn step(&mut self) {
        let (_, gradient) = self.tape.value_and_grad(&self.params, |p| self.net.loss(p, &mut self.mode));
        self.adam.step(&mut self.params, gradient);
        self.mode.update_buffers(&mut self.params);
    }

    /// Loss and gradient at the initial weights.
    pub fn gradient(&self) -> (f32, Vec<f32>) {
        let (mut tape, mut mode) = (Tape::new(), Mode::train(0));
        let (loss, gradient) = tape.value_and_grad(&self.start, |p| self.net.loss(p, &mut mode));
        (loss, gradient.to_vec())
    }

    /// The present numbers of all weights.
    pub fn weights(&self) -> &[f32] {
        self.params.values()
    }

    /// The arrays of the batch.
    pub fn batch(&self) -> Vec<Array> {
        self.net.batch()
    }

    /// The initial weights.
    pub fn start(&self) -> Vec<Array> {
        let values = self.start.values();
        self.start.iter().map(|w| (w.name.to_owned(), w.shape.to_vec(), values[w.range].to_vec())).collect()
    }
}

fn optimizer(row: &Row) -> AdamW<f32> {
    let adam = AdamW::new(row.rate).weight_decay(row.decay);
    if row.clip.is_finite() { adam.clip_norm(row.clip) } else { adam }
}
