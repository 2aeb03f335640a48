//! A network that solves a differential equation: u'' + u = 0 with u(0) = 0 and u'(0) = 1, whose solution is sin x.
//!
//! ```text
//! cargo run --release --example pinn
//! ```
//!
//! The loss is the mean square of the residual u'' + u, so that a derivative of the network stands inside of the loss
//! (a physics-informed network: Raissi, Perdikaris and Karniadakis, J. Comput. Phys. 378, 2019). A [`Jet`] goes through
//! the network in place of a tensor, and brings u' and u'' along. Prints the network beside the sine, and what its
//! derivatives cost beside a network without them.

use std::f64::consts::PI;
use std::time::Instant;

use ndarray::{Array2, Ix2, array};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::nn::Linear;
use wengert::optim::Schedule;
use wengert::{Adam, Jet, Optimizer, Params, ParamsOn, Tape};

const POINTS: usize = 64;
const WIDTH: usize = 24;
const STEPS: u64 = 4000;
const RATE: f64 = 5e-3;

struct Net {
    first: Linear,
    second: Linear,
    out: Linear,
}

impl Net {
    fn new(params: &mut Params<f64>, rng: &mut StdRng) -> Self {
        Self {
            first: Linear::new(params, "first", 1, WIDTH, rng),
            second: Linear::new(params, "second", WIDTH, WIDTH, rng),
            out: Linear::new(params, "out", WIDTH, 1, rng),
        }
    }

    /// The function u with its derivatives. As x + x² N(x) it meets both conditions at 0, whatever the network N is.
    fn solution<'t>(&self, p: ParamsOn<'t, '_>, x: Jet<'t, f64, Ix2>) -> Jet<'t, f64, Ix2> {
        let h = self.first.forward(p, x).tanh();
        let h = self.second.forward(p, h).tanh();
        x + x.square() * self.out.forward(p, h)
    }
}

fn main() {
    let mut params = Params::new();
    let net = Net::new(&mut params, &mut StdRng::seed_from_u64(0));
    let x = Array2::from_shape_fn((POINTS, 1), |(i, _)| PI * i as f64 / (POINTS - 1) as f64);
    let (mut tape, mut adam) = (Tape::new(), Adam::new(RATE));
    let schedule = Schedule::cosine(RATE, STEPS);

    let start = Instant::now();
    for step in 0..=STEPS {
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            let u = net.solution(p, p.constant(&x).jet(0));
            (u.derivative(2) + u.primal()).square().mean()
        });
        adam.set_lr(schedule.at(step));
        adam.step(&mut params, grad);
        if step % 1000 == 0 {
            println!("step {step:4}   mean squared residual {loss:.2e}");
        }
    }
    let with_derivatives = start.elapsed();

    println!("\n   x       network     sine      slope     cosine");
    let at = array![[0.0], [0.5], [1.0], [1.5], [2.0], [2.5], [3.0]];
    let [u, slope] = tape.evaluate(&params, |p| {
        let u = net.solution(p, p.constant(&at).jet(0).first_order());
        [u.primal().value().to_owned(), u.derivative(1).value().to_owned()]
    });
    let mut worst = 0.0_f64;
    for ((x, u), slope) in at.iter().zip(&u).zip(&slope) {
        println!("{x:5.2}  {u:10.5} {:10.5} {slope:10.5} {:10.5}", x.sin(), x.cos());
        worst = worst.max((u - x.sin()).abs());
    }
    println!("\nlargest error {worst:.1e}");

    let start = Instant::now();
    for _ in 0..STEPS {
        let (_, grad) = tape.value_and_grad(&params, |p| {
            let h = net.second.forward(p, net.first.forward(p, p.constant(&x)).tanh()).tanh();
            net.out.forward(p, h).square().mean()
        });
        adam.step(&mut params, grad);
    }
    let ratio = with_derivatives.as_secs_f64() / start.elapsed().as_secs_f64();
    println!("{:.1?} a step, {ratio:.1} times that of the network alone", with_derivatives / STEPS as u32);
}
