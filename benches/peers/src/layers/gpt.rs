//! The transformer of the example `names_gpt`, on 64 names.

use wengert::ndarray::{Array2, Axis};
use wengert::nn::{Dropout, Embedding, LayerNorm, Linear, Mode, MultiHeadAttention};
use wengert::rand::{SeedableRng, rngs::StdRng};
use wengert::{Params, ParamsOn, Var};

use super::{Array, Net};

const NAMES: &str = include_str!("../../../../examples/data/names.txt");
const BATCH: usize = 64;
/// a to z are 1 to 26, the end of a name is 0.
const LETTERS: usize = 27;
/// The end of the name before, and the letters of the longest name.
const TOKENS: usize = 12;
const SIZE: usize = 48;
const HEADS: usize = 4;

struct Gpt {
    letters: Embedding,
    positions: Embedding,
    norm1: LayerNorm,
    attention: MultiHeadAttention,
    norm2: LayerNorm,
    wide: Linear,
    narrow: Linear,
    norm3: LayerNorm,
    out: Linear,
    dropout: Dropout,
    tokens: Array2<usize>,
    /// The places of all tokens.
    places: Vec<usize>,
    /// The indices of the tokens that a letter or the end follows, counted through all names.
    at: Vec<usize>,
    /// The letter after each of these.
    next: Vec<usize>,
}

pub(super) fn net(params: &mut Params<f32>, dropout: f64) -> Box<dyn Net> {
    let rng = &mut StdRng::seed_from_u64(0);
    let mut net = Gpt {
        letters: Embedding::new(params, "letters", LETTERS, SIZE, rng),
        positions: Embedding::new(params, "positions", TOKENS, SIZE, rng),
        norm1: LayerNorm::new(params, "norm1", SIZE),
        attention: MultiHeadAttention::new(params, "attention", SIZE, HEADS, rng).causal(),
        norm2: LayerNorm::new(params, "norm2", SIZE),
        wide: Linear::new(params, "wide", SIZE, 4 * SIZE, rng),
        narrow: Linear::new(params, "narrow", 4 * SIZE, SIZE, rng),
        norm3: LayerNorm::new(params, "norm3", SIZE),
        out: Linear::new(params, "out", SIZE, LETTERS, rng),
        dropout: Dropout::new(dropout),
        tokens: Array2::zeros((BATCH, TOKENS)),
        places: (0..TOKENS).collect(),
        at: vec![],
        next: vec![],
    };
    // The names are sorted: some of every initial.
    let step = NAMES.lines().count() / BATCH;
    for (i, name) in NAMES.lines().step_by(step).take(BATCH).enumerate() {
        let letters: Vec<usize> = name.bytes().map(|b| usize::from(b - b'a' + 1)).collect();
        letters.iter().enumerate().for_each(|(j, &letter)| net.tokens[[i, j + 1]] = letter);
        net.at.extend((0..=letters.len()).map(|j| i * TOKENS + j));
        net.next.extend(letters.into_iter().chain([0]));
    }
    Box::new(net)
}

impl Net for Gpt {
    fn loss<'t>(&'t self, p: ParamsOn<'t, '_, f32>, mode: &mut Mode<f32>) -> Var<'t, f32> {
        let x = self.letters.forward(p, &self.tokens) + self.positions.forward(p, &self.places);
        let x = self.dropout.forward(x, mode);
        let seen = self.attention.forward(p, self.norm1.forward(p, x));
        let x = x + self.dropout.forward(seen, mode);
        let thought = self.wide.forward(p, self.norm2.forward(p, x)).gelu_tanh();
        let x = x + self.dropout.forward(self.narrow.forward(p, thought), mode);
        let rows = x.reshape((self.tokens.len(), SIZE)).select(Axis(0), &self.at);
        self.out.forward(p, self.norm3.forward(p, rows)).softmax_cross_entropy(&self.next)
    }

    fn batch(&self) -> Vec<Array> {
        let floats = |numbers: &[usize]| numbers.iter().map(|&number| number as f32).collect::<Vec<_>>();
        let tokens = self.tokens.as_slice().expect("a new array is contiguous");
        vec![
            ("tokens".into(), vec![BATCH, TOKENS], floats(tokens)),
            ("at".into(), vec![self.at.len()], floats(&self.at)),
            ("next".into(), vec![self.next.len()], floats(&self.next)),
        ]
    }
}
