//! `reverse`: two-parent nodes behind a `RefCell`. The tape keeps its memory, the sweep allocates.

use crate::suite::burgers::{A, B, STEPS, stencil};
use crate::suite::{Inputs, bs as black_scholes, matmul::N, mlp as net, normal::HALF_LN_TAU};
use reverse::{Gradient, Tape, Var};
use std::array::from_fn;

pub type State = Tape;

fn read(loss: Var, vars: &[Var], g: &mut [f64]) -> f64 {
    let adjoints = loss.grad();
    for (g, v) in g.iter_mut().zip(vars) {
        *g = adjoints.wrt(v);
    }
    loss.val()
}

pub fn seed(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    tape.clear();
    let vars = from_fn(|i| tape.add_var(inputs.x[i]));
    let ([w1, b1, w2, b2], [x, y]) = (vars, [inputs.data[0], inputs.data[1]]);
    let t = w2 * (w1 * x + b1) + b2 - y;
    read(t * t, &vars, g)
}

pub fn rosenbrock(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    tape.clear();
    let x = tape.add_vars(&inputs.x);
    let terms = x.windows(2).map(|p| {
        let (t, u) = (p[1] - p[0] * p[0], 1.0 - p[0]);
        100.0 * (t * t) + u * u
    });
    read(terms.sum(), &x, g)
}

pub fn mlp(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    tape.clear();
    let x = tape.add_vars(&inputs.x);
    let p = net::Layers::new(&x);
    let errors = net::samples(inputs).iter().map(|&[x0, x1, y]| {
        let h1 = from_fn(|i| (p.w1[i][0] * x0 + p.w1[i][1] * x1 + p.b1[i]).tanh());
        let h2 = from_fn(|i| (dot(&p.w2[i], &h1) + p.b2[i]).tanh());
        let t = dot(p.w3, &h2) + p.b3 - y;
        t * t
    });
    read(errors.sum::<Var>() / net::BATCH as f64, &x, g)
}

pub fn normal(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    tape.clear();
    let vars = from_fn(|i| tape.add_var(inputs.x[i]));
    let [mu, sigma] = vars;
    let terms = inputs.data.iter().map(|&y| {
        let z = (y - mu) / sigma;
        -0.5 * (z * z) - sigma.ln() - HALF_LN_TAU
    });
    read(terms.sum(), &vars, g)
}

pub fn matmul(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    tape.clear();
    let x = tape.add_vars(&inputs.x);
    let (a, b) = x.split_at(N * N);
    let entry = |i, j| (0..N).map(|k| a[N * i + k] * b[N * k + j]).sum::<Var>();
    let entries = (0..N).flat_map(|i| (0..N).map(move |j| entry(i, j)));
    read(entries.sum(), &x, g)
}

pub fn burgers(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    tape.clear();
    let x = tape.add_vars(&inputs.x);
    let (mut u, mut next) = (x.clone(), vec![]);
    for _ in 0..STEPS {
        next.clear();
        next.extend(
            stencil(&u).map(|[left, here, right]| here - A * here * (right - left) + B * (right - 2.0 * here + left)),
        );
        std::mem::swap(&mut u, &mut next);
    }
    read(u.iter().map(|&u| u * u).sum(), &x, g)
}

pub fn bs(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    tape.clear();
    let x = tape.add_vars(&inputs.x);
    let prices = black_scholes::options(&x).iter().map(|&[s, k, t, r, sigma]| {
        let sd = sigma * t.sqrt();
        let d1 = ((s / k).ln() + (r + 0.5 * (sigma * sigma)) * t) / sd;
        s * cdf(d1) - k * (-r * t).exp() * cdf(d1 - sd)
    });
    read(prices.sum(), &x, g)
}

fn dot<'t, const LEN: usize>(a: &[Var<'t>; LEN], b: &[Var<'t>; LEN]) -> Var<'t> {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// The crate has neither `erf` nor user-defined operations: the tangent of the distribution
/// function at `x` has the same value and the same derivative there.
fn cdf(x: Var) -> Var {
    let slope = black_scholes::pdf(x.val());
    x * slope + (black_scholes::cdf(x.val()) - slope * x.val())
}
