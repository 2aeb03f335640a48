//! A small convolutional net learns to read handwritten digits.
//!
//! ```text
//! cargo run --release --example digits_cnn [SEED]
//! ```
//!
//! Writes the digits it reads wrongly to `target/digits_cnn.png`.

use std::error::Error;
use std::io::Read;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use ndarray::{Array4, ArrayView2, ArrayView4, Axis};
use plotters::prelude::{BitMapBackend, Color, IntoDrawingArea, RGBColor, Rectangle, WHITE};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wengert::data::{Batches, gather, gather_rows, train_test_split};
use wengert::nn::{BatchNorm, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, Mode, Relu};
use wengert::optim::{AdamW, Optimizer};
use wengert::{Conv, Params, Tape};

const EPOCHS: u32 = 30;
const BATCH: usize = 64;
const TEST: usize = 360;
/// The learning rate of the first epoch; it falls to zero along a cosine.
const RATE: f64 = 4e-3;
const PICTURE: &str = "target/digits_cnn.png";

/// Images of one channel with pixels in 0..=1, and their labels.
struct Digits {
    images: Array4<f32>,
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
        let images = Array4::from_shape_vec((labels.len(), 1, 8, 8), pixels)?;
        Ok(Self { images, labels })
    }

    fn select(&self, rows: &[usize]) -> Self {
        Self { images: self.images.select(Axis(0), rows), labels: rows.iter().map(|&row| self.labels[row]).collect() }
    }
}

/// Moves each image by up to one pixel in each direction; zeros come in.
fn jitter(images: ArrayView4<'_, f32>, rng: &mut StdRng) -> Array4<f32> {
    let mut moved = Array4::zeros(images.dim());
    for (from, mut to) in images.outer_iter().zip(moved.outer_iter_mut()) {
        let (down, right) = (rng.random_range(0..3), rng.random_range(0..3));
        for ((channel, row, column), pixel) in from.indexed_iter() {
            if let Some(to) = to.get_mut((channel, (row + down).wrapping_sub(1), (column + right).wrapping_sub(1))) {
                *to = *pixel;
            }
        }
    }
    moved
}

/// Each digit beside the next, 8 in a row, enlarged.
fn draw(digits: &[ArrayView2<'_, f32>]) -> Result<(), Box<dyn Error>> {
    const SCALE: i32 = 10;
    const GAP: i32 = 10;
    let side = 8 * SCALE + GAP;
    let rows = digits.len().div_ceil(8) as i32;
    let size = (8 * side + GAP, rows * side + GAP);
    let area = BitMapBackend::new(PICTURE, (size.0 as u32, size.1 as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    for (i, digit) in (0..).zip(digits) {
        let (x, y) = (GAP + i % 8 * side, GAP + i / 8 * side);
        for ((row, column), &ink) in digit.indexed_iter() {
            let corner = (x + column as i32 * SCALE, y + row as i32 * SCALE);
            let grey = 255 - (255.0 * ink) as u8;
            let pixel = [corner, (corner.0 + SCALE, corner.1 + SCALE)];
            area.draw(&Rectangle::new(pixel, RGBColor(grey, grey, grey).filled()))?;
        }
    }
    Ok(area.present()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let seed = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("the seed must be a whole number, not {text:?}"))?,
        None => 0,
    };
    let digits = Digits::read(GzDecoder::new(&include_bytes!("data/digits.csv.gz")[..]))?;
    let (train, test) = train_test_split(digits.labels.len(), TEST, seed);
    let (train, test) = (digits.select(&train), digits.select(&test));

    let (mut params, mut rng) = (Params::<f32>::new(), StdRng::seed_from_u64(seed));
    let same = Conv::new().padding(1);
    let net = (
        Conv2d::without_bias(&mut params, "conv1", 1, 16, 3, same, &mut rng),
        BatchNorm::new(&mut params, "norm1", 16),
        Relu,
        Conv2d::without_bias(&mut params, "conv2", 16, 32, 3, same, &mut rng),
        BatchNorm::new(&mut params, "norm2", 32),
        Relu,
        MaxPool2d::new(2),
        (
            Conv2d::without_bias(&mut params, "conv3", 32, 64, 3, same, &mut rng),
            BatchNorm::new(&mut params, "norm3", 64),
            Relu,
            MaxPool2d::new(2),
        ),
        Flatten,
        Dropout::new(0.3),
        Linear::new(&mut params, "out", 64 * 2 * 2, 10, &mut rng),
    );
    println!("{params}\n");

    let (mut tape, mut adam, mut mode) = (Tape::new(), AdamW::new(RATE).weight_decay(0.01), Mode::train(seed));
    let mut batches = Batches::new(train.labels.len(), BATCH, seed);
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let mut training = Duration::ZERO;
    for epoch in 0..EPOCHS {
        let start = Instant::now();
        adam.lr = RATE * 0.5 * (1.0 + (std::f64::consts::PI * f64::from(epoch) / f64::from(EPOCHS)).cos());
        let (mut loss_sum, mut hits) = (0.0, 0.0);
        for rows in batches.shuffle() {
            let x = jitter(gather_rows(&train.images, rows, &mut images), &mut rng);
            let y = gather(&train.labels, rows, &mut labels);
            let n = rows.len() as f64;
            let (loss, grad) = tape.value_and_grad(&params, |p| {
                let logits = net.forward(p, p.constant(&x), &mut mode);
                hits += logits.accuracy(y) * n;
                logits.softmax_cross_entropy(y)
            });
            adam.step(&mut params, grad);
            mode.update_buffers(&mut params);
            loss_sum += f64::from(loss) * n;
        }
        training += start.elapsed();
        let n = train.labels.len() as f64;
        println!("epoch {:2}   loss {:.4}   accuracy {:6.2}%", epoch + 1, loss_sum / n, 100.0 * hits / n);
    }

    tape.clear();
    let p = params.frozen_on(&tape);
    let guesses = net.forward(p, p.constant(&test.images), &mut Mode::eval()).argmax_axis(Axis(1));
    let mut confusion = [[0; 10]; 10];
    for (&guess, &label) in guesses.iter().zip(&test.labels) {
        confusion[label][guess] += 1;
    }
    println!("\nlabel in rows, reading in columns");
    for row in confusion {
        println!("{}", row.map(|count| format!("{count:4}")).concat());
    }
    let wrong: Vec<_> = (0..TEST).filter(|&i| guesses[i] != test.labels[i]).collect();
    let accuracy = 100.0 - 100.0 * wrong.len() as f64 / TEST as f64;
    println!("\ntest accuracy {accuracy:.2}%, {:.1} s of training", training.as_secs_f64());
    for &i in &wrong {
        println!("a {} read as {}", test.labels[i], guesses[i]);
    }
    let pictures: Vec<_> = wrong.iter().map(|&i| test.images.index_axis(Axis(0), i)).collect();
    let pictures: Vec<_> = pictures.iter().map(|image| image.index_axis(Axis(0), 0)).collect();
    if !pictures.is_empty() {
        draw(&pictures)?;
        println!("drawn in {PICTURE}");
    }
    Ok(())
}
