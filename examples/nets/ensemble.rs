//! An ensemble of small networks, each of which owns its weights, its tape and its optimiser and is trained on a thread
//! of its own: the spread of their answers shows where there was no data.
//!
//! ```text
//! cargo run --release --example ensemble
//! ```

use std::thread;

use ndarray::{Array2, Axis, array};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wengert::nn::{Layer, Linear, Mode, Tanh};
use wengert::{Adam, Optimizer, Params, Tape, data};

const MEMBERS: u64 = 8;
const POINTS: usize = 80;
const STEPS: usize = 1500;

type Net = (Linear, Tanh, Linear, Tanh, Linear);

/// A model with all that belongs to its training.
struct Regressor {
    params: Params<f64>,
    net: Net,
    tape: Tape<f64>,
    adam: Adam<f64>,
}

impl Regressor {
    fn new(rng: &mut StdRng) -> Self {
        let mut params = Params::new();
        let net = (
            Linear::new(&mut params, "first", 1, 24, rng),
            Tanh,
            Linear::new(&mut params, "second", 24, 24, rng),
            Tanh,
            Linear::new(&mut params, "out", 24, 1, rng),
        );
        Self { params, net, tape: Tape::new(), adam: Adam::new(5e-3) }
    }

    /// One step on a batch; returns the loss before.
    fn step(&mut self, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
        // The closure names the fields that it reads, so that the tape and the optimiser can be borrowed beside.
        let (loss, grad) =
            self.tape.value_and_grad(&self.params, |p| self.net.forward(p, p.constant(x), &mut Mode::eval()).mse(y));
        self.adam.step(&mut self.params, grad);
        loss
    }

    fn predict(&mut self, x: &Array2<f64>) -> Array2<f64> {
        self.tape.evaluate(&self.params, |p| self.net.forward(p, p.constant(x), &mut Mode::eval()).value().to_owned())
    }
}

/// Noisy values of sin 2x, between -2 and -0.5 and between 0.5 and 2.
fn measurements(rng: &mut StdRng) -> (Array2<f64>, Array2<f64>) {
    let x = Array2::from_shape_fn((POINTS, 1), |(i, _)| {
        let x = rng.random_range(0.5..2.0_f64);
        if i % 2 == 0 { x } else { -x }
    });
    let y = x.mapv(|x: f64| (2.0 * x).sin() + rng.random_range(-0.1..0.1));
    (x, y)
}

fn main() {
    let rng = &mut StdRng::seed_from_u64(1);
    let (x, y) = measurements(rng);
    let mut ensemble: Vec<Regressor> = (0..MEMBERS).map(|_| Regressor::new(rng)).collect();

    // Each member sees examples drawn with replacement (a bootstrap).
    let losses: Vec<f64> = thread::scope(|scope| {
        let train = |(seed, member)| {
            let (member, x, y): (&mut Regressor, _, _) = (member, &x, &y);
            scope.spawn(move || {
                let rng = &mut StdRng::seed_from_u64(seed);
                let rows: Vec<usize> = (0..POINTS).map(|_| rng.random_range(0..POINTS)).collect();
                let (x, y) = data::select((x, y), &rows);
                (0..STEPS).fold(f64::INFINITY, |_, _| member.step(&x, &y))
            })
        };
        let threads: Vec<_> = (0..).zip(&mut ensemble).map(train).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    println!("mean squared errors: {losses:.4?}");

    println!("\n   x    sin 2x      mean    spread");
    let x = array![[-3.0], [-2.0], [-1.5], [-1.0], [0.0], [1.0], [1.5], [2.0], [3.0]];
    let answers: Vec<Array2<f64>> = ensemble.iter_mut().map(|member| member.predict(&x)).collect();
    for (i, x) in x.iter().enumerate() {
        let answers: Array2<f64> = answers.iter().map(|answer| [answer[[i, 0]]]).collect::<Vec<_>>().into();
        let (mean, spread) = (answers.mean_axis(Axis(0)), answers.std_axis(Axis(0), 1.0));
        println!("{x:4.1}  {:8.3}  {:8.3}  {:8.3}", (2.0 * x).sin(), mean.expect("members")[0], spread[0]);
    }
}
