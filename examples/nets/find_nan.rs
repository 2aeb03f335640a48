//! A training run that breaks, and the line that broke it.
//!
//! The net predicts the mean μ and the standard deviation σ of a Gaussian for each input. The loss is the negative
//! log-likelihood ln σ + (y - μ)²/2σ². Nothing keeps σ positive.
//!
//! ```text
//! cargo run --example find_nan
//! ```

use ndarray::{Array1, Array2, Axis, Ix1, Ix2};
use rand::{SeedableRng, rngs::StdRng};
use wengert::{Optimizer, Param, Params, ParamsOn, Sgd, Tape, Var, init};

struct Model {
    w1: Param<Ix2>,
    b1: Param<Ix1>,
    w2: Param<Ix2>,
    b2: Param<Ix1>,
}

impl Model {
    fn new(params: &mut Params<f64>) -> Self {
        let mut rng = StdRng::seed_from_u64(5);
        Self {
            w1: params.add("w1", init::glorot_uniform((1, 8), &mut rng)),
            b1: params.add("b1", Array1::zeros(8)),
            w2: params.add("w2", init::glorot_uniform((8, 2), &mut rng)),
            b2: params.add("b2", ndarray::array![0.0, 0.6]),
        }
    }

    fn loss<'t>(&self, p: ParamsOn<'t, '_, f64>, x: &'t Array2<f64>, y: &'t Array1<f64>) -> Var<'t, f64> {
        let h = (p.constant(x).dot(p.get(self.w1)) + p.get(self.b1)).tanh();
        let out = h.dot(p.get(self.w2)) + p.get(self.b2);
        let (mean, deviation) = (out.index_axis(Axis(1), 0), out.index_axis(Axis(1), 1));
        let z = (p.constant(y) - mean) / deviation;
        (deviation.ln() + 0.5 * z * z).mean() // the mistake: σ should be the exp of an output
    }
}

fn main() {
    let x = Array2::from_shape_fn((16, 1), |(i, _)| i as f64 / 8.0 - 1.0);
    let y = x.index_axis(Axis(1), 0).mapv(|x| (2.0 * x).sin());
    let mut params = Params::new();
    let model = Model::new(&mut params);
    let mut tape = Tape::new();
    let mut sgd = Sgd::new(0.3);

    let mut before = params.clone();
    for step in 0..1000 {
        let (loss, gradient) = tape.value_and_grad(&params, |p| model.loss(p, &x, &y));
        if step % 10 == 0 || !loss.is_finite() {
            println!("step {step:3}   loss {loss:.4}");
        }
        if !loss.is_finite() {
            before = params.clone();
            break;
        }
        sgd.step(&mut params, gradient);
    }

    println!("\nWhat the tape recorded in the last step:\n");
    let tape = Tape::new();
    let on = before.on(&tape);
    let loss = model.loss(on, &x, &y);
    println!("{}", tape.listing());
    println!("{}", tape.summary());
    let source = tape.first_non_finite().expect("the loss is not finite");
    println!("The first number that is not finite:\n  {source}");
    let gradient = loss.backward();
    let source = gradient.first_non_finite().expect("nor is the gradient");
    println!("and in the sweep:\n  {source}");
}
