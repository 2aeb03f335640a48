//! A network with one hidden layer learns to read handwritten digits.
//!
//! ```text
//! cargo run --release --example digits [SEED]
//! ```
//!
//! Prints the confusion matrix of the test, and draws the digits that were read wrongly into `target/digits/wrong.png`.

#[path = "../figure/mod.rs"]
mod figure;

use std::error::Error;
use std::time::Instant;

use ndarray::Ix2;
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, Column, Csv, gather, gather_rows};
use wengert::metrics::{Confusion, argmax_rows};
use wengert::nn::Linear;
use wengert::optim::{AdamW, Optimizer, Schedule};
use wengert::watch::Progress;
use wengert::{Params, ParamsOn, Tape, Tensor};

const HIDDEN: usize = 96;
const EPOCHS: u64 = 40;
const BATCH: usize = 32;
const TEST: usize = 360;
/// The learning rate of the first epoch; the rate falls linearly to zero.
const RATE: f64 = 1e-2;
const PICTURE: &str = "target/digits/wrong.png";

/// 64 pixels, a hidden layer of relu units, 10 classes.
struct Perceptron {
    hidden: Linear,
    out: Linear,
}

impl Perceptron {
    fn new(params: &mut Params<f32>, rng: &mut StdRng) -> Self {
        Self {
            hidden: Linear::new(params, "hidden", 64, HIDDEN, rng),
            out: Linear::new(params, "out", HIDDEN, 10, rng),
        }
    }

    fn logits<'t>(&self, p: ParamsOn<'t, '_, f32>, images: Tensor<'t, f32, Ix2>) -> Tensor<'t, f32, Ix2> {
        self.out.forward(p, self.hidden.forward(p, images).relu())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let seed = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("the seed must be a whole number, not {text:?}"))?,
        None => 0,
    };
    // A line has 64 pixels in 0..=16 and a label.
    let csv = Csv::new().header(false).labels(Column::Last);
    let mut digits = csv.read::<f32>(&include_bytes!("../data/digits.csv.gz")[..])?;
    digits.values /= 16.0;

    // The file is sorted by writer: the last rows are digits of people who wrote none of the first. A test on the last
    // rows would be harder than this test on rows drawn at random.
    let (train, test) = digits.split(TEST, seed);
    println!(
        "{} digits to learn, {} to test, shuffled with seed {seed}.\n\
         (The last rows of the file are other writers' digits; shuffled, both parts have digits of all writers.)\n",
        train.len(),
        test.len()
    );

    let mut params = Params::new();
    let model = Perceptron::new(&mut params, &mut StdRng::seed_from_u64(seed));
    println!("{params}\n");

    let mut adam = AdamW::new(RATE).weight_decay(0.1);
    let schedule = Schedule::linear(RATE, EPOCHS);
    let mut batches = Batches::new(train.len(), BATCH, seed);
    let (mut tape, mut images, mut labels) = (Tape::new(), Vec::new(), Vec::new());
    let progress = Progress::new("epoch", EPOCHS);
    let start = Instant::now();
    for epoch in 0..EPOCHS {
        adam.lr = schedule.at(epoch);
        let mut sum = 0.0;
        for rows in batches.shuffle() {
            let x = gather_rows(&train.values, rows, &mut images);
            let y = gather(&train.labels, rows, &mut labels);
            let (loss, grad) =
                tape.value_and_grad(&params, |p| model.logits(p, p.constant(x)).softmax_cross_entropy(y));
            adam.step(&mut params, grad);
            sum += f64::from(loss) * rows.len() as f64;
        }
        let loss = sum / train.len() as f64;
        progress.println(format!("epoch {:2}   loss {loss:.4}", epoch + 1));
        progress.step(loss, adam.lr);
    }
    progress.finish();
    let seconds = start.elapsed().as_secs_f64();

    tape.clear();
    let p = params.frozen_on(&tape);
    let read = argmax_rows(&model.logits(p, p.constant(&test.values)).value());
    let confusion = Confusion::new(10, &read, &test.labels);
    println!("\n{confusion}\n\ntest accuracy {:.2}%, {seconds:.3} s of training", 100.0 * confusion.accuracy());
    figure::wrong_digits(PICTURE, &test.values, &test.labels, &read)?;
    println!("wrongly read digits in {PICTURE}: blue what they are, orange what was read");
    Ok(())
}
