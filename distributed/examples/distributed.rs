//! A network learns to read handwritten digits, on several processes with several threads each. A run that was broken off
//! goes on from its last epoch.
//!
//! ```text
//! mpirun -n 2 cargo run --release --example distributed [EPOCHS] [THREADS]
//! ```
//!
//! Without `mpirun` it runs on one process. The weights are the same for any number of processes and threads, up to rounding,
//! and for one number the same bits each time: the check sums at the ends of lines say so. The state of an unfinished run is
//! in `target/distributed/run.safetensors`, the weights of a finished one in `weights.safetensors` beside it.

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use wengert::data::{Batches, gather, gather_rows, part, train_test_split};
use wengert::metrics::argmax_rows;
use wengert::ndarray::{Array2, Axis, Ix2, s};
use wengert::nn::Linear;
use wengert::optim::{AdamW, Optimizer, Schedule};
use wengert::rand::{SeedableRng, rngs::StdRng};
use wengert::save::{Reader, SaveError, Writer};
use wengert::{Parallel, Params, ParamsOn, Tape, Tensor};
use wengert_mpi::Ranks;

const SEED: u64 = 0;
/// The number of examples of a batch, on all ranks together.
const BATCH: usize = 64;
const TEST: usize = 360;
const RATE: f64 = 1e-2;

/// 64 pixels, a hidden layer of relu units, 10 classes.
struct Perceptron {
    hidden: Linear,
    out: Linear,
}

impl Perceptron {
    fn new(params: &mut Params<f64>, rng: &mut StdRng) -> Self {
        Self { hidden: Linear::new(params, "hidden", 64, 96, rng), out: Linear::new(params, "out", 96, 10, rng) }
    }

    fn logits<'t>(&self, p: ParamsOn<'t, '_, f64>, images: Tensor<'t, f64, Ix2>) -> Tensor<'t, f64, Ix2> {
        self.out.forward(p, self.hidden.forward(p, images).relu())
    }
}

/// The images of the file, a row of 64 pixels in 0..=1 each, and what they show.
fn digits() -> Result<(Array2<f64>, Vec<usize>), Box<dyn Error>> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for line in include_str!("../../examples/data/digits.csv").lines() {
        let (image, label) = line.rsplit_once(',').ok_or("a line without a label")?;
        for pixel in image.split(',') {
            pixels.push(pixel.parse::<f64>()? / 16.0);
        }
        labels.push(label.parse()?);
    }
    Ok((Array2::from_shape_vec((labels.len(), 64), pixels)?, labels))
}

fn argument<T: FromStr>(index: usize, default: T) -> Result<T, String> {
    match std::env::args().nth(index) {
        Some(text) => text.parse().map_err(|_| format!("argument {index} must be a whole number, not {text:?}")),
        None => Ok(default),
    }
}

fn main() -> ExitCode {
    wengert_mpi::run(train)
}

fn train(ranks: &mut Ranks) -> Result<(), Box<dyn Error>> {
    let (epochs, threads) = (argument(1, 20_usize)?, argument(2, 1_usize)?);
    println!("rank {} of {}: process {}, {threads} parts", ranks.rank(), ranks.size(), std::process::id());
    let (images, labels) = digits()?;
    let (train, test) = train_test_split(labels.len(), TEST, SEED);
    let (train_images, train_labels) =
        (images.select(Axis(0), &train), train.iter().map(|&row| labels[row]).collect::<Vec<_>>());
    // Each rank tests its part.
    let test = &test[part(TEST, ranks.size(), ranks.rank())];
    let test_images = images.select(Axis(0), test);

    let mut params = Params::new();
    let model = Perceptron::new(&mut params, &mut StdRng::seed_from_u64(SEED));
    let mut adam = AdamW::new(RATE).weight_decay(0.1);
    let schedule = Schedule::linear(RATE, epochs as u64);
    let mut batches = Batches::new(train_labels.len(), BATCH, SEED).shard(ranks.rank(), ranks.size());

    let (folder, file) = ("target/distributed", "target/distributed/run.safetensors");
    ranks.once(|| {
        if fs::exists(file).unwrap_or(false) {
            let saved = Reader::open(file)?;
            saved.load(&mut params)?;
            saved.load_optimizer(&mut adam, &params)?;
            println!("{file} goes on after step {}", adam.state().steps());
        }
        Ok::<_, SaveError>(())
    })?;
    ranks.broadcast(&mut params)?;
    ranks.broadcast_optimizer(&mut adam, &params)?;
    let first = adam.state().steps() as usize / batches.len();
    batches.skip(first);

    let (mut tape, mut parallel) = (Tape::new(), Parallel::new(threads.max(1)));
    let (mut pixels, mut answers) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for epoch in first..epochs {
        adam.lr = schedule.at(epoch as u64);
        let mut sum = 0.0;
        for rows in batches.shuffle() {
            let x = gather_rows(&train_images, rows, &mut pixels);
            let y = gather(&train_labels, rows, &mut answers);
            let (loss, grad) = ranks.value_and_grad_on_threads(&mut parallel, &params, rows.len(), |p, rows| {
                model.logits(p, p.constant(x.slice(s![rows.clone(), ..]))).softmax_cross_entropy(&y[rows])
            })?;
            adam.step(&mut params, grad);
            sum += loss;
        }
        let right = tape.evaluate(&params, |p| {
            let read = argmax_rows(&model.logits(p, p.constant(&test_images)).value());
            read.iter().zip(test).filter(|&(&read, &row)| read == labels[row]).count()
        });
        let mut right = [right as f64];
        ranks.sum(&mut right)?;
        let check_sum = ranks.check_sum(&params)?;
        ranks.once(|| {
            fs::create_dir_all(folder)?;
            Writer::of(&params).optimizer(&adam).save(file)?;
            let (loss, accuracy) = (sum / batches.len() as f64, 100.0 * right[0] / TEST as f64);
            println!("epoch {:2}   loss {loss:.6}   test {accuracy:.2}%   check sum {check_sum:016x}", epoch + 1);
            Ok::<_, Box<dyn Error>>(())
        })?;
    }
    let size = ranks.size();
    ranks.once(|| {
        params.save(format!("{folder}/weights.safetensors"))?;
        println!("{:.3} s on {} ranks", start.elapsed().as_secs_f64(), size);
        fs::remove_file(file)?;
        Ok::<_, Box<dyn Error>>(())
    })?;
    Ok(())
}
