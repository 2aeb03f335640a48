//! A transformer of one block learns to spell given names, saves its weights, and draws new names.
//!
//! ```text
//! cargo run --release --features io,watch --example names_gpt [SEED]
//! ```
//!
//! A decoder as in Radford et al. 2019, "Language models are unsupervised multitask learners": letters and
//! positions, causal attention in several heads, two layers with gelu (in its tanh form), a norm before each. The
//! measure is that of the example `names`. Writes `target/names_gpt/weights.safetensors` and draws
//! `target/names_gpt/curves.png`.

#[path = "../letters/mod.rs"]
mod letters;

use std::error::Error;

use letters::{END, Journal, LETTERS, LONGEST};
use ndarray::{Array2, ArrayView2, Axis, Ix2};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, gather};
use wengert::nn::{Dropout, Embedding, KeyValueCache, LayerNorm, Linear, Mode, MultiHeadAttention};
use wengert::optim::{AdamW, Optimizer, Schedule};
use wengert::{Params, ParamsOn, Tape, Tensor};

/// The tokens of a sequence: the end of the name before, and the letters.
const TOKENS: usize = LONGEST + 1;
const SIZE: usize = 48;
const HEADS: usize = 4;
const DROPOUT: f64 = 0.1;
const EPOCHS: u64 = 30;
const BATCH: usize = 64;
const RATE: f64 = 3e-3;

struct Transformer {
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
}

impl Transformer {
    fn new(params: &mut Params<f32>, rng: &mut StdRng) -> Self {
        Self {
            letters: Embedding::new(params, "letters", LETTERS, SIZE, rng),
            positions: Embedding::new(params, "positions", TOKENS, SIZE, rng),
            norm1: LayerNorm::new(params, "norm1", SIZE),
            attention: MultiHeadAttention::new(params, "attention", SIZE, HEADS, rng).causal(),
            norm2: LayerNorm::new(params, "norm2", SIZE),
            wide: Linear::new(params, "wide", SIZE, 4 * SIZE, rng),
            narrow: Linear::new(params, "narrow", 4 * SIZE, SIZE, rng),
            norm3: LayerNorm::new(params, "norm3", SIZE),
            out: Linear::new(params, "out", SIZE, LETTERS, rng),
            dropout: Dropout::new(DROPOUT),
        }
    }

    /// The logits of the letter after each of the tokens `at`; these are indices into `tokens` (sequences, tokens),
    /// counted through all sequences. With a cache the tokens are those after the ones in it.
    fn logits<'t>(
        &self,
        p: ParamsOn<'t, '_, f32>,
        tokens: ArrayView2<'_, usize>,
        at: &[usize],
        mode: &mut Mode<f32>,
        cache: Option<&mut KeyValueCache<f32>>,
    ) -> Tensor<'t, f32, Ix2> {
        let first = cache.as_ref().map_or(0, |cache| cache.len());
        let places: Vec<usize> = (first..first + tokens.ncols()).collect();
        let x = self.letters.forward(p, &tokens) + self.positions.forward(p, &places);
        let x = self.dropout.forward(x, mode);
        let y = self.norm1.forward(p, x);
        let seen = match cache {
            Some(cache) => self.attention.forward_cached(p, y, cache),
            None => self.attention.forward(p, y),
        };
        let x = x + self.dropout.forward(seen, mode);
        let thought = self.wide.forward(p, self.norm2.forward(p, x)).gelu_tanh();
        let x = x + self.dropout.forward(self.narrow.forward(p, thought), mode);
        let rows = x.reshape((tokens.len(), SIZE)).select(Axis(0), at);
        self.out.forward(p, self.norm3.forward(p, rows))
    }
}

/// Sequences of tokens, the indices of those tokens that a letter or the end follows, and what follows each.
#[derive(Default)]
struct Batch {
    tokens: Array2<usize>,
    at: Vec<usize>,
    next: Vec<usize>,
}

impl Batch {
    fn new(names: &[Vec<usize>]) -> Self {
        let mut batch = Self { tokens: Array2::from_elem((names.len(), TOKENS), END), ..Self::default() };
        for (i, name) in names.iter().enumerate() {
            for (j, &letter) in name.iter().enumerate() {
                batch.tokens[[i, j + 1]] = letter;
            }
            batch.at.extend((0..=name.len()).map(|j| i * TOKENS + j));
            batch.next.extend(name.iter().chain([&END]));
        }
        batch
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
    let (train, validation) = letters::read(seed);
    let bigram = letters::bigram_loss(&train, &validation);
    println!("{} names to learn from, {} to validate on", train.len(), validation.len());

    let mut params = Params::<f32>::new();
    let model = Transformer::new(&mut params, &mut StdRng::seed_from_u64(seed));
    println!("\n{params}\n\nloss in nats a letter (that of training with dropout)");

    let unseen = Batch::new(&validation);
    let mut adam = AdamW::new(RATE).weight_decay(0.1).clip_norm(1.0);
    let mut batches = Batches::new(train.len(), BATCH, seed);
    let steps = EPOCHS * batches.len() as u64;
    let rise = steps / 20;
    let schedule = Schedule::cosine(RATE, steps - rise).warm_up(rise);
    let (mut tape, mut mode, mut names) = (Tape::new(), Mode::train(seed), Vec::new());
    let mut journal = Journal::new(EPOCHS, bigram);
    for epoch in 1..=EPOCHS {
        let (mut sum, mut count) = (0.0, 0.0);
        for rows in batches.shuffle() {
            let batch = Batch::new(gather(&train, rows, &mut names));
            let (loss, gradient) = tape.value_and_grad(&params, |p| {
                model.logits(p, batch.tokens.view(), &batch.at, &mut mode, None).softmax_cross_entropy(&batch.next)
            });
            adam.lr = schedule.at(adam.state().steps());
            adam.step(&mut params, gradient);
            sum += f64::from(loss) * batch.next.len() as f64;
            count += batch.next.len() as f64;
        }
        tape.clear();
        let logits = model.logits(params.frozen_on(&tape), unseen.tokens.view(), &unseen.at, &mut Mode::eval(), None);
        let validated = f64::from(logits.softmax_cross_entropy(&unseen.next).value());
        journal.epoch(epoch, sum / count, validated, adam.lr);
    }
    journal.finish("transformer");

    // Letter by letter: the cache has the keys and values of the letters before, so that each is computed once.
    let mut cache = KeyValueCache::new();
    let drawn = letters::draw(10, seed, |name| {
        if name.is_empty() {
            cache.clear();
        }
        let token = Array2::from_elem((1, 1), *name.last().unwrap_or(&END));
        tape.clear();
        let p = params.frozen_on(&tape);
        let logits = model.logits(p, token.view(), &[0], &mut Mode::eval(), Some(&mut cache));
        logits.softmax(Axis(1)).value().iter().copied().collect()
    })?;
    println!("\ndrawn from the transformer (* a name it learnt from):\n{}", letters::spell(&drawn, &train));

    std::fs::create_dir_all("target/names_gpt")?;
    params.save("target/names_gpt/weights.safetensors")?;
    println!(
        "\nweights in target/names_gpt/weights.safetensors; in Python, after `pip install safetensors numpy`:\n  \
         from safetensors.numpy import load_file\n  \
         weights = load_file(\"target/names_gpt/weights.safetensors\")\n  \
         print(weights[\"letters.weight\"].shape)   # ({LETTERS}, {SIZE})"
    );
    journal.draw("A transformer of one block spells names", 1.8..3.0, "target/names_gpt/curves.png")
}
