//! A perceptron with one hidden layer learns to read handwritten digits.
//!
//! ```text
//! cargo run --release --example digits [SEED]
//! ```

use std::error::Error;
use std::io::Read;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::{Array1, Array2, Axis, Ix1, Ix2};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, gather, gather_rows, train_test_split};
use wengert::optim::{AdamW, Optimizer};
use wengert::{On, Param, Params, Tape, Tensor, init};

const HIDDEN: usize = 96;
const EPOCHS: u32 = 40;
const BATCH: usize = 32;
const TEST: usize = 360;
/// The learning rate of the first epoch; it falls linearly to zero.
const RATE: f64 = 5e-3;

/// Images, one a row, with pixels in 0..=1, and their labels.
struct Digits {
    images: Array2<f32>,
    labels: Vec<usize>,
}

impl Digits {
    /// Reads 64 pixels and a label a line.
    fn read(csv: impl Read) -> Result<Self, Box<dyn Error>> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for row in csv::ReaderBuilder::new().has_headers(false).from_reader(csv).deserialize() {
            let row: Vec<u8> = row?;
            let Some((&label, image)) = row.split_last().filter(|(label, _)| **label < 10) else {
                return Err(format!("line {}: the label is not a digit", labels.len() + 1).into());
            };
            pixels.extend(image.iter().map(|&pixel| f32::from(pixel) / 16.0));
            labels.push(usize::from(label));
        }
        let images = Array2::from_shape_vec((labels.len(), 64), pixels)?;
        Ok(Self { images, labels })
    }

    fn select(&self, rows: &[usize]) -> Self {
        Self { images: self.images.select(Axis(0), rows), labels: rows.iter().map(|&row| self.labels[row]).collect() }
    }
}

/// 64 pixels, a hidden layer of relu units, 10 classes.
struct Perceptron {
    w1: Param<Ix2>,
    b1: Param<Ix1>,
    w2: Param<Ix2>,
    b2: Param<Ix1>,
}

impl Perceptron {
    fn new(params: &mut Params<f32>, rng: &mut StdRng) -> Self {
        Self {
            w1: params.add("w1", init::he_uniform((64, HIDDEN), rng)),
            b1: params.add("b1", Array1::zeros(HIDDEN)),
            w2: params.add("w2", init::he_uniform((HIDDEN, 10), rng)),
            b2: params.add("b2", Array1::zeros(10)),
        }
    }

    fn logits<'t>(&self, p: On<'t, '_, f32>, images: Tensor<'t, f32, Ix2>) -> Tensor<'t, f32, Ix2> {
        let hidden = (images.dot(p.get(self.w1)) + p.get(self.b1)).relu();
        hidden.dot(p.get(self.w2)) + p.get(self.b2)
    }

    /// The share of images it reads as their label says.
    fn accuracy(&self, params: &Params<f32>, tape: &mut Tape<f32>, digits: &Digits) -> f64 {
        tape.clear();
        let p = params.frozen_on(tape);
        self.logits(p, p.constant(&digits.images)).accuracy(&digits.labels)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let seed = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("the seed must be a whole number, not {text:?}"))?,
        None => 0,
    };
    let digits = Digits::read(GzDecoder::new(&include_bytes!("data/digits.csv.gz")[..]))?;

    // The rows stand by writer: the last ones are digits of people who wrote none of the first, so
    // that to test on the last rows is harder than on rows drawn at random, as here.
    let (train, test) = train_test_split(digits.labels.len(), TEST, seed);
    let (train, test) = (digits.select(&train), digits.select(&test));
    println!(
        "{} digits to learn, {} to test, shuffled with seed {seed}.\n\
         (The last rows of the file are other writers' digits; shuffled, both parts have digits of all writers.)\n",
        train.labels.len(),
        test.labels.len()
    );

    let mut params = Params::new();
    let model = Perceptron::new(&mut params, &mut StdRng::seed_from_u64(seed));
    println!("{params}\n");

    let mut adam = AdamW::new(RATE).weight_decay(0.1);
    let mut batches = Batches::new(train.labels.len(), BATCH, seed);
    let mut tape = Tape::new();
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let bar = ProgressBar::new(EPOCHS.into());
    bar.set_style(ProgressStyle::with_template("{bar:40} epoch {pos} of {len}, {eta} left")?);
    let mut training = Duration::ZERO;
    for epoch in 0..EPOCHS {
        let start = Instant::now();
        adam.lr = RATE * (1.0 - f64::from(epoch) / f64::from(EPOCHS));
        let (mut loss_sum, mut hits) = (0.0, 0.0);
        for rows in batches.shuffle() {
            let x = gather_rows(&train.images, rows, &mut images);
            let y = gather(&train.labels, rows, &mut labels);
            let n = rows.len() as f64;
            let (loss, grad) = tape.value_and_grad(&params, |p| {
                let logits = model.logits(p, p.constant(x));
                hits += logits.accuracy(y) * n;
                logits.softmax_cross_entropy(y)
            });
            adam.step(&mut params, grad);
            loss_sum += f64::from(loss) * n;
        }
        training += start.elapsed();
        let n = train.labels.len() as f64;
        let line = format!("epoch {:2}   loss {:.4}   accuracy {:6.2}%", epoch + 1, loss_sum / n, 100.0 * hits / n);
        bar.suspend(|| println!("{line}"));
        bar.inc(1);
    }
    bar.finish_and_clear();

    let accuracy = model.accuracy(&params, &mut tape, &test);
    println!("\ntest accuracy {:.2}%, {:.3} s of training", 100.0 * accuracy, training.as_secs_f64());
    Ok(())
}
