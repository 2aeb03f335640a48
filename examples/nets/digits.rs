//! A network with one hidden layer learns to read handwritten digits.
//!
//! ```text
//! cargo run --release --example digits [SEED]
//! ```
//!
//! Prints the confusion matrix of the test; with `--features watch` it also draws the digits that were read wrongly into
//! `target/digits/wrong.png`.

#[cfg(feature = "watch")]
#[path = "../figure/mod.rs"]
mod figure;

use std::error::Error;
use std::time::Instant;

use ndarray::{Array2, Axis, Ix2};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, gather, gather_rows, train_test_split};
use wengert::metrics::{Confusion, argmax_rows};
use wengert::nn::Linear;
use wengert::optim::{AdamW, Optimizer, Schedule};
use wengert::{Params, ParamsOn, Tape, Tensor};

const HIDDEN: usize = 96;
const EPOCHS: u64 = 40;
const BATCH: usize = 32;
const TEST: usize = 360;
/// The learning rate of the first epoch; the rate falls linearly to zero.
const RATE: f64 = 1e-2;

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

/// The images of the file, a row of 64 pixels in 0..=1 each, and what they show.
fn digits() -> Result<(Array2<f32>, Vec<usize>), Box<dyn Error>> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    // A line has 64 pixels in 0..=16 and a label.
    for line in include_str!("../data/digits.csv").lines() {
        let (image, label) = line.rsplit_once(',').ok_or("a line without a label")?;
        for pixel in image.split(',') {
            pixels.push(pixel.parse::<f32>()? / 16.0);
        }
        labels.push(label.parse()?);
    }
    Ok((Array2::from_shape_vec((labels.len(), 64), pixels)?, labels))
}

fn main() -> Result<(), Box<dyn Error>> {
    let seed = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("the seed must be a whole number, not {text:?}"))?,
        None => 0,
    };
    let (images, labels) = digits()?;

    // The file is sorted by writer: the last rows are digits of people who wrote none of the first. A test on the last
    // rows would be harder than this test on rows drawn at random.
    let (train, test) = train_test_split(labels.len(), TEST, seed);
    let (train_images, test_images) = (images.select(Axis(0), &train), images.select(Axis(0), &test));
    let [train_labels, test_labels] = [train, test].map(|rows| rows.iter().map(|&row| labels[row]).collect::<Vec<_>>());
    println!(
        "{} digits to learn, {} to test, shuffled with seed {seed}.\n\
         (The last rows of the file are other writers' digits; shuffled, both parts have digits of all writers.)\n",
        train_labels.len(),
        test_labels.len()
    );

    let mut params = Params::new();
    let model = Perceptron::new(&mut params, &mut StdRng::seed_from_u64(seed));
    println!("{params}\n");

    let mut adam = AdamW::new(RATE).weight_decay(0.1);
    let schedule = Schedule::linear(RATE, EPOCHS);
    let mut batches = Batches::new(train_labels.len(), BATCH, seed);
    let (mut tape, mut pixels, mut digits) = (Tape::new(), Vec::new(), Vec::new());
    let start = Instant::now();
    for epoch in 0..EPOCHS {
        adam.lr = schedule.at(epoch);
        let mut sum = 0.0;
        for rows in batches.shuffle() {
            let x = gather_rows(&train_images, rows, &mut pixels);
            let y = gather(&train_labels, rows, &mut digits);
            let (loss, grad) =
                tape.value_and_grad(&params, |p| model.logits(p, p.constant(x)).softmax_cross_entropy(y));
            adam.step(&mut params, grad);
            sum += f64::from(loss) * rows.len() as f64;
        }
        println!("epoch {:2}   loss {:.4}", epoch + 1, sum / train_labels.len() as f64);
    }
    let seconds = start.elapsed().as_secs_f64();

    tape.clear();
    let p = params.frozen_on(&tape);
    let read = argmax_rows(&model.logits(p, p.constant(&test_images)).value());
    let confusion = Confusion::new(10, &read, &test_labels);
    println!("\n{confusion}\n\ntest accuracy {:.2}%, {seconds:.3} s of training", 100.0 * confusion.accuracy());
    #[cfg(feature = "watch")]
    {
        let picture = "target/digits/wrong.png";
        figure::wrong_digits(picture, &test_images, &test_labels, &read)?;
        println!("wrongly read digits in {picture}: blue what they are, orange what was read");
    }
    Ok(())
}
