//! Cost against size, as Markdown tables: scalar tapes of 10² to 10⁷ nodes, the training step of a net
//! against batch, width and depth.
//!
//! Nanoseconds a node are flat but for the steps where records and adjoints outgrow a cache; the first
//! table says how many bytes they take. `tests/growth.rs` counts operations and bytes.
//!
//! `cargo bench --bench growth [scalars | batch | width | depth ...]`

mod timer;

use std::hint::black_box;

use ndarray::{Array1, Array2, Ix1, Ix2};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use timer::median;
use wengert::{Optimizer, Param, Params, Sgd, Tape, fuse, init};

fn main() {
    let tables: [(&str, fn()); 4] = [("scalars", scalars), ("batch", batch), ("width", width), ("depth", depth)];
    for (name, table) in tables {
        if timer::is_wanted(name) {
            table();
        }
    }
}

/// A chain of nodes with two parents each, and a stencil of three points on a grid of fifty: `fuse` makes each point
/// one node, of a head and a cell.
fn scalars() {
    println!("\nScalar tapes, f64: a gradient of n nodes\n");
    println!("| n | chain: ns/node | bytes/node | with adjoints | stencil: ns/node | bytes/node | with adjoints |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for n in (2..=7).map(|k| 10_usize.pow(k)) {
        let chain = |tape: &Tape| {
            let [x, y] = tape.vars([0.5, 0.25]);
            let output = (0..n).fold(x, |u, _| u * 0.5 + y);
            let recorded = tape.memory();
            black_box(output.backward()[x]);
            recorded
        };
        let stencil = |tape: &Tape| {
            const POINTS: usize = 50;
            let mut u = tape.vars(std::array::from_fn::<_, POINTS, _>(|i| (i as f64).sin()));
            for _ in 0..n / (2 * POINTS) {
                let point = |i| [u[(i + POINTS - 1) % POINTS], u[i], u[(i + 1) % POINTS]];
                u = std::array::from_fn(|i| fuse(point(i), |[left, here, right]| here - 0.1 * here * (right - left)));
            }
            let recorded = tape.memory();
            black_box(u[0].backward().is_finite());
            recorded
        };
        println!("| {n} |{}{}", nodes(n, chain), nodes(n, stencil));
    }
}

/// The cells of a table for `n` nodes, which `record` puts on the tape and sweeps; `record` returns the bytes of the
/// tape before the sweep.
fn nodes(n: usize, record: impl Fn(&Tape) -> usize) -> String {
    let (mut tape, mut recorded, mut swept) = (Tape::new(), 0, 0);
    let empty = tape.memory();
    let time = median(|| {
        tape.clear();
        recorded = record(&tape) - empty;
        swept = tape.memory() - empty;
    });
    let [time, recorded, swept] = [time, recorded as f64, swept as f64].map(|x| x / n as f64);
    format!(" {time:.2} | {recorded:.1} | {swept:.1} |")
}

/// A net of equal `tanh` layers, trained by plain descent on the mean square of its outputs.
struct Net {
    params: Params<f32>,
    layers: Vec<(Param<Ix2>, Param<Ix1>)>,
    x: Array2<f32>,
}

impl Net {
    fn new(batch: usize, width: usize, depth: usize) -> Self {
        let (mut params, mut rng) = (Params::new(), StdRng::seed_from_u64(1));
        let layers = (0..depth).map(|i| {
            let w = params.add(format!("w{i}"), init::glorot_uniform((width, width), &mut rng));
            (w, params.add(format!("b{i}"), Array1::zeros(width)))
        });
        let layers = layers.collect();
        let x = Array2::from_shape_fn((batch, width), |_| rng.random_range(-1.0..1.0));
        Self { params, layers, x }
    }

    /// Prints a row of a table: size, microseconds a step, nanoseconds and bytes for each of `parts`.
    fn print(mut self, size: usize, parts: usize) {
        let (mut tape, mut sgd) = (Tape::new(), Sgd::new(0.01));
        let time = median(|| {
            let (_, gradient) = tape.value_and_grad(&self.params, |p| {
                let mut h = p.constant(&self.x);
                for &(w, b) in &self.layers {
                    h = (h.dot(p.get(w)) + p.get(b)).tanh();
                }
                h.square().mean()
            });
            sgd.step(&mut self.params, gradient);
        });
        let (each, bytes) = (time / parts as f64, tape.memory() as f64 / parts as f64);
        println!("| {size} | {:.2} | {each:.3} | {bytes:.1} |", time / 1e3);
    }
}

/// Multiplications of the three products of each layer but the first, which has two.
fn products(batch: usize, width: usize, depth: usize) -> usize {
    (3 * depth - 1) * batch * width * width
}

fn batch() {
    println!("\nA step of 4 tanh layers 64-64, f32, against the batch\n");
    println!("| batch | us/step | ns/multiplication | bytes/multiplication |\n|---:|---:|---:|---:|");
    for batch in (0..=12).step_by(2).map(|k| 1 << k) {
        Net::new(batch, 64, 4).print(batch, products(batch, 64, 4));
    }
}

fn width() {
    println!("\nA step of 4 tanh layers, batch 32, f32, against their width\n");
    println!("| width | us/step | ns/multiplication | bytes/multiplication |\n|---:|---:|---:|---:|");
    for width in (1..=10).map(|k| 1 << k) {
        Net::new(32, width, 4).print(width, products(32, width, 4));
    }
}

fn depth() {
    println!("\nA step of tanh layers 16-16, batch 16, f32, against their number\n");
    println!("| layers | us/step | ns/layer | bytes/layer |\n|---:|---:|---:|---:|");
    for depth in [1, 3, 10, 30, 100, 300, 1000] {
        Net::new(16, 16, depth).print(depth, depth);
    }
}
