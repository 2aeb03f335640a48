//! A small convolutional net learns to read handwritten digits.
//!
//! ```text
//! cargo run --release --features io,watch --example digits_cnn [SEED]
//! ```
//!
//! Prints the confusion matrix of the test, and draws the digits that were read wrongly into
//! `target/digits_cnn/wrong.png`.

#[path = "../figure/mod.rs"]
mod figure;

use std::error::Error;
use std::time::{Duration, Instant};

use ndarray::{Array4, ArrayView4};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wengert::data::{Batches, Column, Table, gather, gather_rows, select, train_test_split};
use wengert::metrics::{Confusion, argmax_rows};
use wengert::nn::{BatchNorm, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, Mode, Relu};
use wengert::optim::{AdamW, Optimizer, Schedule};
use wengert::watch::Progress;
use wengert::{Conv, Params, Tape};

const EPOCHS: u64 = 30;
const BATCH: usize = 64;
const TEST: usize = 360;
/// The learning rate of the first epoch; the rate falls to zero along a cosine.
const RATE: f64 = 4e-3;
const PICTURE: &str = "target/digits_cnn/wrong.png";

/// Moves each image by up to one pixel in each direction and fills the edge with zeros.
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

fn main() -> Result<(), Box<dyn Error>> {
    let seed = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("the seed must be a whole number, not {text:?}"))?,
        None => 0,
    };
    // A line has 64 pixels in 0..=16 and a label.
    let table = Table::read(&include_bytes!("../data/digits.csv")[..])?;
    let (pixels, labels) = (table.drop([Column::Last])?, table.classes(Column::Last)?.labels(&table)?);
    let pixels = pixels.features::<f32>(pixels.names())? / 16.0;
    let (train, test) = train_test_split(table.len(), TEST, seed);
    let (train_pixels, train_labels) = select((&pixels, &labels), &train);
    let (test_pixels, test_labels) = select((&pixels, &labels), &test);
    // Images have one channel.
    let image_shape = |images: usize| (images, 1, 8, 8);

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
    let schedule = Schedule::cosine(RATE, EPOCHS);
    let mut batches = Batches::new(train.len(), BATCH, seed);
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let progress = Progress::new("epoch", EPOCHS);
    let mut training = Duration::ZERO;
    for epoch in 0..EPOCHS {
        let start = Instant::now();
        adam.lr = schedule.at(epoch);
        let (mut loss_sum, mut hits) = (0.0, 0.0);
        for rows in batches.shuffle() {
            let x = gather_rows(&train_pixels, rows, &mut images).into_shape_with_order(image_shape(rows.len()))?;
            let x = jitter(x, &mut rng);
            let y = gather(&train_labels, rows, &mut labels);
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
        let (loss, accuracy) = (loss_sum / train.len() as f64, hits / train.len() as f64);
        progress.println(format!("epoch {:2}   loss {loss:.4}   accuracy {:6.2}%", epoch + 1, 100.0 * accuracy));
        progress.step(loss, adam.lr);
    }
    progress.finish();

    tape.clear();
    let p = params.frozen_on(&tape);
    let x = p.constant(&test_pixels).reshape(image_shape(test.len()));
    let read = argmax_rows(&net.forward(p, x, &mut Mode::eval()).value());
    let confusion = Confusion::new(10, &read, &test_labels);
    println!(
        "\n{confusion}\n\ntest accuracy {:.2}%, {:.1} s of training",
        100.0 * confusion.accuracy(),
        training.as_secs_f64()
    );
    figure::wrong_digits(PICTURE, &test_pixels, &test_labels, &read)?;
    println!("wrongly read digits in {PICTURE}: blue what they are, orange what was read");
    Ok(())
}
