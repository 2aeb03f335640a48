//! The time of a reduction against its length, and its part in a training step of two nets.
//!
//! ```text
//! RAYON_NUM_THREADS=1 mpirun -n 2 cargo bench --bench reduction
//! ```
//!
//! The best time of each row in microseconds, because other programs on the machine disturb most. The ranks begin each
//! round together.

use std::error::Error;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use wengert::data::part;
use wengert::ndarray::{Array2, s};
use wengert::nn::Linear;
use wengert::optim::{Optimizer, Sgd};
use wengert::rand::{SeedableRng, rngs::StdRng};
use wengert::{Params, Tape, init};
use wengert_mpi::mpi::collective::SystemOperation;
use wengert_mpi::mpi::topology::SimpleCommunicator;
use wengert_mpi::mpi::traits::CommunicatorCollectives;
use wengert_mpi::{Ranks, RanksError};

fn main() -> ExitCode {
    wengert_mpi::run(|ranks| {
        if ranks.rank() == 0 {
            println!("{} ranks\n\n| floats | mean | MPI_Allreduce | mean, GB/s |\n|---:|---:|---:|---:|", ranks.size());
        }
        for exponent in 3..=7 {
            reductions(ranks, 10_usize.pow(exponent))?;
        }
        if ranks.rank() == 0 {
            println!("\n| net | floats | step alone | step on ranks | of it mean |\n|---|---:|---:|---:|---:|");
        }
        steps(ranks, "T4", &[784, 128, 10], 64, 400)?;
        steps(ranks, "T5", &[784, 512, 512, 10], 128, 60)?;
        Ok(())
    })
}

fn best(times: Vec<f64>) -> f64 {
    1e6 * times.into_iter().fold(f64::INFINITY, f64::min)
}

fn timed(times: &mut Vec<f64>, f: impl FnOnce()) {
    let start = Instant::now();
    f();
    times.push(start.elapsed().as_secs_f64());
}

/// The mean of this crate and that of the library take turns.
fn reductions(ranks: &mut Ranks, len: usize) -> Result<(), Box<dyn Error>> {
    let world = SimpleCommunicator::world();
    let mut numbers = vec![1.0_f32; len];
    let mut sums = vec![0.0; len];
    let (mut own, mut library) = (Vec::new(), Vec::new());
    for _ in 0..(40_000_000 / len).clamp(15, 2000) {
        world.barrier();
        let mut result = Ok(0.0);
        timed(&mut own, || result = ranks.mean(0.0, &mut numbers, 1));
        result?;
        world.barrier();
        timed(&mut library, || world.all_reduce_into(&numbers[..], &mut sums[..], SystemOperation::sum()));
    }
    let (own, library) = (best(own), best(library));
    if ranks.rank() == 0 {
        // The bytes that a rank sends.
        let bytes = 4.0 * len as f64 * 2.0 * (ranks.size() - 1) as f64 / ranks.size() as f64;
        println!("| {len} | {own:.1} | {library:.1} | {:.2} |", bytes / own / 1e3);
    }
    Ok(())
}

/// A net and its examples.
struct Net {
    params: Params<f32>,
    layers: Vec<Linear>,
    images: Array2<f32>,
    labels: Vec<usize>,
    tape: Tape<f32>,
    sgd: Sgd<f32>,
}

impl Net {
    fn new(sizes: &[usize], batch: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(0);
        let mut params = Params::new();
        let layer = |i| Linear::new(&mut params, &format!("layer{i}"), sizes[i - 1], sizes[i], &mut rng);
        let layers = (1..sizes.len()).map(layer).collect();
        let images = init::uniform((batch, sizes[0]), 0.0, 1.0, &mut rng);
        let labels = (0..batch).map(|i| i % 10).collect();
        Self { params, layers, images, labels, tape: Tape::new(), sgd: Sgd::new(1e-3) }
    }

    /// The seconds of a step with some examples, and those of its mean over ranks.
    fn step(&mut self, rows: Range<usize>, ranks: Option<&mut Ranks>) -> Result<[f64; 2], RanksError> {
        let start = Instant::now();
        let (loss, grad) = self.tape.value_and_grad_mut(&self.params, |p| {
            let mut x = p.constant(self.images.slice(s![rows.clone(), ..]));
            for (i, layer) in self.layers.iter().enumerate() {
                x = layer.forward(p, x);
                if i + 1 < self.layers.len() {
                    x = x.relu();
                }
            }
            x.softmax_cross_entropy(&self.labels[rows.clone()])
        });
        let swept = Instant::now();
        if let Some(ranks) = ranks {
            ranks.mean(loss, grad, rows.len())?;
        }
        let mean = swept.elapsed().as_secs_f64();
        self.sgd.step(&mut self.params, grad);
        Ok([start.elapsed().as_secs_f64(), mean])
    }
}

/// A step of rank 0 alone with the whole batch, and one of all ranks with their parts, in turns.
fn steps(ranks: &mut Ranks, name: &str, sizes: &[usize], batch: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut net = Net::new(sizes, batch);
    let own = part(batch, ranks.size(), ranks.rank());
    let world = SimpleCommunicator::world();
    let [mut alone, mut together, mut means] = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        if ranks.rank() == 0 {
            let [step, _] = net.step(0..batch, None)?;
            alone.push(step);
        }
        ranks.broadcast(&mut net.params)?;
        world.barrier();
        let [step, mean] = net.step(own.clone(), Some(&mut *ranks))?;
        together.push(step);
        means.push(mean);
    }
    if ranks.rank() == 0 {
        let [alone, together, means] = [alone, together, means].map(best);
        println!("| {name} | {} | {alone:.0} | {together:.0} | {means:.0} |", net.params.len());
    }
    Ok(())
}
