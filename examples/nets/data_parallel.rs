//! One training step of a perceptron (784-512-512-10, batch 128) on one tape, whose large products take all threads, and on
//! several tapes in parallel: the times, and the difference of the gradients.
//!
//! ```text
//! cargo run --release --features parallel --example data_parallel [THREADS]      # default: all cores
//! ```

use std::error::Error;
use std::time::Instant;

use ndarray::{Array1, Array2, ArrayView2, Ix1, Ix2, s};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::optim::{Optimizer, Sgd};
use wengert::{Parallel, Param, Params, ParamsOn, Tape, Var, init};

const BATCH: usize = 128;
const SIZES: [usize; 4] = [784, 512, 512, 10];

struct Perceptron {
    layers: Vec<(Param<Ix2>, Param<Ix1>)>,
}

impl Perceptron {
    fn new(params: &mut Params<f32>, rng: &mut StdRng) -> Self {
        let layer = |(i, sizes): (usize, &[usize])| {
            let w = params.add(format!("layer{i}.w"), init::he_uniform((sizes[0], sizes[1]), rng));
            (w, params.add(format!("layer{i}.b"), Array1::zeros(sizes[1])))
        };
        Self { layers: SIZES.windows(2).enumerate().map(layer).collect() }
    }

    fn loss<'t>(&self, p: ParamsOn<'t, '_, f32>, images: ArrayView2<'t, f32>, labels: &[usize]) -> Var<'t, f32> {
        let mut x = p.constant(images);
        for (i, &(w, b)) in self.layers.iter().enumerate() {
            x = x.dot(p.get(w)) + p.get(b);
            if i + 1 < self.layers.len() {
                x = x.relu();
            }
        }
        x.softmax_cross_entropy(labels)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let threads = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };
    let rng = &mut StdRng::seed_from_u64(0);
    let images: Array2<f32> = init::uniform((BATCH, SIZES[0]), 0.0, 1.0, rng);
    let labels: Vec<usize> = (0..BATCH).map(|i| i % SIZES[3]).collect();
    let mut params = Params::new();
    let model = Perceptron::new(&mut params, rng);
    let mut sgd = Sgd::new(1e-3);
    println!("{params}\n");

    let mut tape = Tape::new();
    let mut parallel = Parallel::new(threads);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let (_, whole) = tape.value_and_grad(&params, |p| model.loss(p, images.view(), &labels));
    let (_, parts) = parallel
        .value_and_grad(&params, BATCH, |p, rows| model.loss(p, images.slice(s![rows.clone(), ..]), &labels[rows]));
    let largest = whole.iter().fold(0.0, |m: f32, g| m.max(g.abs()));
    let difference = whole.iter().zip(parts).fold(0.0, |m: f32, (a, b)| m.max((a - b).abs()));
    println!("largest gradient {largest:.1e}, largest difference of the two {difference:.1e}");

    // The two take turns, so that other programs on the machine disturb both; the best time of each counts.
    let mut best = [f64::INFINITY; 2];
    for _ in 0..300 {
        let start = Instant::now();
        let (_, grad) = tape.value_and_grad(&params, |p| model.loss(p, images.view(), &labels));
        sgd.step(&mut params, grad);
        best[0] = best[0].min(start.elapsed().as_secs_f64());

        let start = Instant::now();
        let (_, grad) = parallel
            .value_and_grad(&params, BATCH, |p, rows| model.loss(p, images.slice(s![rows.clone(), ..]), &labels[rows]));
        sgd.step(&mut params, grad);
        best[1] = best[1].min(start.elapsed().as_secs_f64());
    }
    let [one, many] = best.map(|seconds| 1e6 * seconds);
    println!("one tape {one:.0} us, {threads} tapes in parallel {many:.0} us: {:.2} times as fast", one / many);
    Ok(())
}
