//! A small network learns to spell given names: the network guesses each letter from the three letters before.
//!
//! ```text
//! cargo run --release --features watch --example names [SEED]
//! ```
//!
//! The model is that of Bengio et al. 2003, "A neural probabilistic language model", JMLR 3, for letters. Its measure
//! is the mean -ln P of a letter on names outside the training set, beside that of a model that counts pairs of
//! letters. Draws `target/names/curves.png`. The example `names_gpt` goes on from here.

#[path = "../letters/mod.rs"]
mod letters;

use std::error::Error;

use letters::{END, Journal, LETTERS, Names};
use ndarray::{Array2, ArrayView2, Axis, Ix2};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, gather, gather_rows};
use wengert::nn::{Embedding, Linear};
use wengert::optim::{AdamW, Optimizer, Schedule};
use wengert::{Params, ParamsOn, Tape, Tensor};

/// The number of letters that the network sees.
const CONTEXT: usize = 3;
const EMBEDDING: usize = 16;
const HIDDEN: usize = 128;
const EPOCHS: u64 = 16;
const BATCH: usize = 128;
const RATE: f64 = 4e-3;

struct Speller {
    letters: Embedding,
    hidden: Linear,
    out: Linear,
}

impl Speller {
    fn new(params: &mut Params<f32>, rng: &mut StdRng) -> Self {
        Self {
            letters: Embedding::new(params, "letters", LETTERS, EMBEDDING, rng),
            hidden: Linear::new(params, "hidden", CONTEXT * EMBEDDING, HIDDEN, rng),
            out: Linear::new(params, "out", HIDDEN, LETTERS, rng),
        }
    }

    /// The logits of the next letter, (contexts, LETTERS), from letters of shape (contexts, CONTEXT).
    fn logits<'t>(&self, p: ParamsOn<'t, '_, f32>, contexts: ArrayView2<'_, usize>) -> Tensor<'t, f32, Ix2> {
        let seen = self.letters.forward(p, &contexts).reshape((contexts.nrows(), CONTEXT * EMBEDDING));
        self.out.forward(p, self.hidden.forward(p, seen).tanh())
    }
}

/// The contexts and the next letters: an example for every letter of the names, ends included.
fn examples(names: &Names) -> (Array2<usize>, Vec<usize>) {
    let (mut contexts, mut next) = (Vec::new(), Vec::new());
    for name in names {
        let padded = [&[END; CONTEXT], &name[..], &[END]].concat();
        for window in padded.windows(CONTEXT + 1) {
            contexts.extend_from_slice(&window[..CONTEXT]);
            next.push(window[CONTEXT]);
        }
    }
    (Array2::from_shape_vec((next.len(), CONTEXT), contexts).expect("a context for each letter"), next)
}

fn main() -> Result<(), Box<dyn Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
    let (train, validation) = letters::read(seed);
    let bigram = letters::bigram_loss(&train, &validation);
    println!("{} names to learn from, {} to validate on", train.len(), validation.len());

    let mut params = Params::<f32>::new();
    let model = Speller::new(&mut params, &mut StdRng::seed_from_u64(seed));
    println!("\n{params}\n\nloss in nats a letter");

    let ((contexts, next), (unseen, expected)) = (examples(&train), examples(&validation));
    let mut adam = AdamW::new(RATE).weight_decay(0.1);
    let mut batches = Batches::new(next.len(), BATCH, seed);
    let schedule = Schedule::cosine(RATE, EPOCHS);
    let (mut tape, mut seen, mut labels) = (Tape::new(), Vec::new(), Vec::new());
    let mut journal = Journal::new(EPOCHS, bigram);
    for epoch in 1..=EPOCHS {
        adam.lr = schedule.at(epoch - 1);
        let mut sum = 0.0;
        for rows in batches.shuffle() {
            let x = gather_rows(&contexts, rows, &mut seen);
            let y = gather(&next, rows, &mut labels);
            let (loss, gradient) = tape.value_and_grad(&params, |p| model.logits(p, x).softmax_cross_entropy(y));
            adam.step(&mut params, gradient);
            sum += f64::from(loss) * y.len() as f64;
        }
        tape.clear();
        let logits = model.logits(params.frozen_on(&tape), unseen.view());
        let validated = f64::from(logits.softmax_cross_entropy(&expected).value());
        journal.epoch(epoch, sum / next.len() as f64, validated, adam.lr);
    }
    journal.finish("network");

    let drawn = letters::draw(20, seed, |name| {
        let padded = [&[END; CONTEXT], name].concat();
        let context = Array2::from_shape_fn((1, CONTEXT), |(_, i)| padded[name.len() + i]);
        tape.clear();
        model.logits(params.frozen_on(&tape), context.view()).softmax(Axis(1)).value().iter().copied().collect()
    })?;
    println!("\ndrawn from the network (* a name it learnt from):\n{}", letters::spell(&drawn, &train));

    std::fs::create_dir_all("target/names")?;
    journal.draw("Spelling names from three letters of context", 1.9..2.5, "target/names/curves.png")
}
