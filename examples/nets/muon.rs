//! Muon (Jordan et al. 2024): the momentum of each matrix, made orthogonal, is the step of a net that reads digits. Of an
//! optimiser that looks at a matrix as a whole the rule keeps what concerns one weight: rate and decay.
//!
//! ```text
//! cargo run --release --example muon
//! ```

use ndarray::{Array2, ArrayView2, s};
use rand::{SeedableRng, rngs::StdRng};
use wengert::data::{Batches, gather, gather_rows};
use wengert::metrics::{accuracy, argmax_rows};
use wengert::nn::Linear;
use wengert::optim::{Optim, Optimizer, Schedule, Step, UpdateRule};
use wengert::{Params, Real, Tape};

#[derive(Clone, Copy)]
struct Muon;

impl UpdateRule for Muon {
    const NAME: &'static str = "Muon";
    type State<T> = [T; 0];
    const STATE: [&'static str; 0] = [];

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, weight: N, direction: N, []: [N; 0]) -> (N, [N; 0]) {
        (weight - step.rate * (direction + step.decay * weight), [])
    }
}

/// A matrix with the singular vectors of `m` and singular values near 1, by five steps of Newton and Schulz.
fn orthogonal(m: ArrayView2<'_, f32>) -> Array2<f32> {
    let (wide, scale) = (m.nrows() <= m.ncols(), (m.ncols() as f32 / m.nrows() as f32).max(1.0).sqrt());
    let mut x = if wide { m.to_owned() } else { m.t().to_owned() };
    x /= x.iter().map(|x| x * x).sum::<f32>().sqrt() + 1e-7;
    for _ in 0..5 {
        let a = x.dot(&x.t());
        x = &x * 3.4445 + (&a * -4.775 + a.dot(&a) * 2.0315).dot(&x);
    }
    (if wide { x } else { x.reversed_axes() }) * scale
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers = include_str!("../data/digits.csv").lines().flat_map(|line| line.split(',').map(str::parse::<f32>));
    let table = Array2::from_shape_vec((1797, 65), numbers.collect::<Result<Vec<_>, _>>()?)?;
    let images = table.slice(s![.., ..64]).mapv(|pixel| pixel / 16.0);
    let labels: Vec<usize> = table.column(64).iter().map(|&label| label as usize).collect();

    // Without biases all weights are matrices; an Adam of its own would move biases.
    let (mut params, rng) = (Params::new(), &mut StdRng::seed_from_u64(0));
    let hidden = Linear::without_bias(&mut params, "hidden", 64, 96, rng);
    let out = Linear::without_bias(&mut params, "out", 96, 10, rng);
    let (mut muon, mut momentum) = (Optim::with_rule(0.0, Muon).weight_decay(0.01), vec![0.0; params.len()]);
    let (mut batches, schedule) = (Batches::new(1437, 32, 0), Schedule::linear(0.05, 10));
    let (mut tape, mut x, mut y) = (Tape::new(), Vec::new(), Vec::new());
    println!("epoch   loss   right, of other writers' digits");
    for epoch in 0..10 {
        let mut sum = 0.0;
        for rows in batches.shuffle() {
            let (x, y) = (gather_rows(&images, rows, &mut x), gather(&labels, rows, &mut y));
            let (loss, gradient) = tape.value_and_grad_mut(&params, |p| {
                out.forward(p, hidden.forward(p, p.constant(x)).relu()).softmax_cross_entropy(y)
            });
            for (m, g) in momentum.iter_mut().zip(gradient.iter_mut()) {
                *m = 0.95 * *m + *g;
                *g += 0.95 * *m; // Nesterov's look ahead
            }
            for weight in [hidden.weight, out.weight] {
                let direction = orthogonal(params.view_of(weight, gradient));
                gradient[weight].iter_mut().zip(&direction).for_each(|(g, d)| *g = *d);
            }
            muon.lr = schedule.at(epoch);
            muon.step(&mut params, &*gradient);
            sum += loss / 45.0;
        }
        let test = images.slice(s![1437.., ..]);
        let logits =
            tape.evaluate(&params, |p| out.forward(p, hidden.forward(p, p.constant(test)).relu()).value().to_owned());
        let right = accuracy(&argmax_rows(&logits), &labels[1437..]);
        println!("{:5} {sum:6.4}   {:.1}%", epoch + 1, 100.0 * right);
    }
    Ok(())
}
