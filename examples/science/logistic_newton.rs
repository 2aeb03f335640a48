//! Logistic regression by Newton's method without a Hessian matrix: conjugate gradients solve for the step by
//! Hessian-vector products, each of which is one sweep over dual numbers.
//!
//! ```text
//! cargo run --release --features io,watch,argmin --example logistic_newton
//! ```
//!
//! The data are 30 measurements of cell nuclei for each tumour, and its class, benign or malignant. L-BFGS and plain
//! stochastic gradient descent minimise the same loss; the three descents are drawn into
//! `target/logistic_newton/descent.png`.

use std::error::Error;
use std::time::Instant;

use argmin::core::Executor;
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Ix1};
use wengert::args::Embed;
use wengert::data::{Batches, Column, Scaling, Table, gather_rows};
use wengert::metrics::accuracy;
use wengert::optim::{Objective, Optimizer, Schedule, Sgd, global_norm};
use wengert::watch::Chart;
use wengert::{Dual, Param, Params, ParamsOn, Scalar, Tape, Var};

const TEST: usize = 120;
/// The factor of ½‖w‖² in the loss.
const PENALTY: f64 = 1e-3;
const EPOCHS: u64 = 100;
const RATE: f64 = 0.2;
const FOLDER: &str = "target/logistic_newton";

/// The model: x w + b is the logit of a benign tumour.
struct Logistic {
    w: Param<Ix1>,
    b: Param<Ix1>,
}

impl Logistic {
    /// The mean cross-entropy and the penalty, for tapes of numbers and of dual numbers.
    fn loss<'t, F: Scalar>(&self, p: ParamsOn<'t, '_, F>, x: ArrayView2<'t, f64>, y: ArrayView1<'t, f64>) -> Var<'t, F>
    where
        f64: Embed<F>,
    {
        let w = p.get(self.w);
        let logits = p.constant(x).dot(w) + p.get(self.b);
        logits.bce_with_logits(y) + w.square().sum() * F::lit(0.5 * PENALTY)
    }
}

/// The problem: the loss over the training part, and the weights from which each method starts.
struct Problem {
    model: Logistic,
    start: Params<f64>,
    x: Array2<f64>,
    y: Array1<f64>,
}

/// The course of a method: pairs (passes over the data, loss), and the final weights.
struct Descent {
    name: &'static str,
    losses: Vec<(f64, f64)>,
    weights: Vec<f64>,
    seconds: f64,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// a + s b.
fn plus(a: &[f64], s: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + s * b).collect()
}

impl Problem {
    fn value_and_grad(&self, tape: &mut Tape<f64>, weights: &[f64]) -> (f64, Vec<f64>) {
        let (value, gradient) =
            tape.value_and_grad_at(&self.start, weights, |p| self.model.loss(p, self.x.view(), self.y.view()));
        (value, gradient.to_vec())
    }

    /// The product H d of the Hessian at the parameters and a direction.
    fn product(&self, tape: &mut Tape<Dual<f64>>, params: &Params<f64>, d: &[f64]) -> Vec<f64> {
        tape.value_grad_hvp(params, d, |p| self.model.loss(p, self.x.view(), self.y.view())).2
    }

    /// Newton's method. Each step solves H d = -g, more accurately the closer the minimum is (Nocedal and Wright,
    /// Numerical Optimization, 2nd ed., algorithm 7.1).
    fn newton(&self) -> Descent {
        let (start, mut losses, mut passes) = (Instant::now(), Vec::new(), 1_u32);
        let (mut tape, mut dual_tape, mut params) = (Tape::new(), Tape::new(), self.start.clone());
        let (mut loss, mut gradient) = self.value_and_grad(&mut tape, params.values());
        println!("Newton-CG   products   step length               loss   gradient");
        for step in 1.. {
            losses.push((f64::from(passes), loss));
            let size = global_norm(&gradient);
            if size < 1e-10 {
                break;
            }
            // Conjugate gradients: x is the solution so far, r the residual -g - H x.
            let mut x = vec![0.0; gradient.len()];
            let mut r: Vec<f64> = gradient.iter().map(|g| -g).collect();
            let mut d = r.clone();
            let mut products = 0;
            while global_norm(&r) > size * size.sqrt().min(0.5) && products < 2 * x.len() {
                let hd = self.product(&mut dual_tape, &params, &d);
                let length = dot(&r, &r) / dot(&d, &hd);
                x = plus(&x, length, &d);
                let rest = plus(&r, -length, &hd);
                d = plus(&rest, dot(&rest, &rest) / dot(&r, &r), &d);
                r = rest;
                products += 1;
            }
            // The whole step, halved until the loss falls enough (Armijo's condition).
            let mut length = 1.0;
            loop {
                let point = plus(params.values(), length, &x);
                let (value, slopes) = self.value_and_grad(&mut tape, &point);
                passes += 1;
                if value <= loss + 1e-4 * length * dot(&gradient, &x) + f64::EPSILON {
                    (loss, gradient) = (value, slopes);
                    params.values_mut().copy_from_slice(&point);
                    break;
                }
                length *= 0.5;
            }
            passes += products as u32;
            println!("{step:9}   {products:8}   {length:11}   {loss:.14}   {:8.1e}", global_norm(&gradient));
        }
        Descent { name: "Newton-CG", losses, weights: params.values().to_vec(), seconds: start.elapsed().as_secs_f64() }
    }

    /// The quasi-Newton method L-BFGS of the crate argmin.
    fn lbfgs(&self) -> Result<Descent, Box<dyn Error>> {
        let (start, mut losses, mut tape) = (Instant::now(), Vec::new(), Tape::new());
        let objective = Objective::new(|weights: &[f64]| {
            let (loss, gradient) = self.value_and_grad(&mut tape, weights);
            losses.push((losses.len() as f64 + 1.0, loss));
            (loss, gradient)
        });
        let solver =
            LBFGS::new(MoreThuenteLineSearch::new(), 10).with_tolerance_grad(1e-10)?.with_tolerance_cost(0.0)?;
        let executor = Executor::new(objective.clone(), solver);
        let state = executor.configure(|s| s.param(self.start.values().to_vec()).max_iters(200)).run()?.state;
        let weights = objective.minimum(&state, 1e-8)?;
        Ok(Descent { name: "L-BFGS", losses, weights, seconds: start.elapsed().as_secs_f64() })
    }

    /// Stochastic gradient descent in batches of 32, with a learning rate that falls linearly to zero.
    fn sgd(&self) -> Descent {
        let (start, mut losses, mut tape) = (Instant::now(), Vec::new(), Tape::new());
        let (mut params, mut sgd) = (self.start.clone(), Sgd::new(RATE));
        let mut batches = Batches::new(self.y.len(), 32, 0);
        let schedule = Schedule::linear(RATE, EPOCHS);
        let (mut x_buffer, mut y_buffer) = (Vec::new(), Vec::new());
        for epoch in 0..EPOCHS {
            sgd.lr = schedule.at(epoch);
            for rows in batches.shuffle() {
                let x = gather_rows(&self.x, rows, &mut x_buffer);
                let y = gather_rows(&self.y, rows, &mut y_buffer);
                let (_, gradient) = tape.value_and_grad(&params, |p| self.model.loss(p, x, y));
                sgd.step(&mut params, gradient);
            }
            losses.push((epoch as f64 + 1.0, self.value_and_grad(&mut tape, params.values()).0));
        }
        Descent { name: "SGD", losses, weights: params.values().to_vec(), seconds: start.elapsed().as_secs_f64() }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let tumours = Table::read(include_bytes!("../data/breast_cancer.csv").as_slice())?;
    let (train, test) = tumours.split(TEST, 0);
    let (measured, kinds) = (tumours.names()[..30].to_vec(), tumours.classes(Column::Last)?);
    let (train_x, test_x) = (train.features(&measured)?, test.features(&measured)?);
    let test_labels = kinds.labels(&test)?;
    println!("{} tumours to learn from, {} to test\n", train.len(), test.len());

    let scaling = Scaling::standard(&train_x);
    let mut start = Params::new();
    let model = Logistic { w: start.add("w", Array1::zeros(30)), b: start.add("b", Array1::zeros(1)) };
    let y = train.target(Column::Last)?;
    let problem = Problem { model, start, x: scaling.apply(&train_x), y };
    let descents = [problem.newton(), problem.lbfgs()?, problem.sgd()];

    let least = descents.iter().flat_map(|d| &d.losses).map(|&(_, loss)| loss).fold(f64::INFINITY, f64::min);
    let test_x = scaling.apply(&test_x);
    println!("\nmethod      passes   to 1e-8   loss - least   gradient   test accuracy       time");
    for Descent { name, losses, weights, seconds } in &descents {
        let (loss, gradient) = problem.value_and_grad(&mut Tape::new(), weights);
        let near = losses.iter().find(|(_, loss)| loss - least <= 1e-8);
        let logits = test_x.dot(&ArrayView1::from(&weights[..30])) + weights[30];
        let read: Vec<usize> = logits.iter().map(|&logit| usize::from(logit > 0.0)).collect();
        println!(
            "{name:9} {:8}   {:>7}   {:12.1e}   {:8.1e}   {:12.2}%   {:5.1} ms",
            losses.last().map_or(0.0, |&(passes, _)| passes),
            near.map_or("-".into(), |(passes, _)| passes.to_string()),
            loss - least,
            global_norm(&gradient),
            100.0 * accuracy(&read, &test_labels),
            1e3 * seconds
        );
    }

    let chart =
        Chart::new("Three ways down to the same minimum").x_label("passes over the data").y_label("loss - least");
    let chart = descents.iter().fold(chart.log_y(), |chart, Descent { name, losses, .. }| {
        // Smaller gaps would show rounding errors.
        let gaps = losses.iter().map(|&(passes, loss)| (passes, loss - least));
        chart.line(*name, gaps.take_while(|&(_, gap)| gap > 1e-14))
    });
    std::fs::create_dir_all(FOLDER)?;
    chart.save(format!("{FOLDER}/descent.png"))?;
    println!("\ndrawn in {FOLDER}/descent.png");
    Ok(())
}
