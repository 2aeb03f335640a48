//! `RustQuant_autodiff`: two-parent vertices behind a `RefCell`. The graph keeps its memory, the
//! sweep allocates.

use crate::suite::burgers::{A, B, STEPS, stencil};
use crate::suite::{Inputs, bs as black_scholes, matmul::N, mlp as net, normal::HALF_LN_TAU};
use RustQuant_autodiff::{Accumulate, Gradient, Graph, Variable};
use std::array::from_fn;
use std::f64::consts::FRAC_1_SQRT_2;

pub type State = Graph;

fn read(loss: Variable, vars: &[Variable], g: &mut [f64]) -> f64 {
    let adjoints = loss.accumulate();
    for (g, v) in g.iter_mut().zip(vars) {
        *g = adjoints.wrt(v);
    }
    loss.value
}

pub fn seed(graph: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    graph.clear();
    let vars = from_fn(|i| graph.var(inputs.x[i]));
    let ([w1, b1, w2, b2], [x, y]) = (vars, [inputs.data[0], inputs.data[1]]);
    let t = w2 * (w1 * x + b1) + b2 - y;
    read(t * t, &vars, g)
}

pub fn rosenbrock(graph: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    graph.clear();
    let x = graph.vars(&inputs.x);
    let terms = x.windows(2).map(|p| {
        let (t, u) = (p[1] - p[0] * p[0], 1.0 - p[0]);
        100.0 * (t * t) + u * u
    });
    read(terms.sum(), &x, g)
}

pub fn mlp(graph: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    graph.clear();
    let x = graph.vars(&inputs.x);
    let p = net::Layers::new(&x);
    let errors = net::samples(inputs).iter().map(|&[x0, x1, y]| {
        let h1 = from_fn(|i| (p.w1[i][0] * x0 + p.w1[i][1] * x1 + p.b1[i]).tanh());
        let h2 = from_fn(|i| (dot(&p.w2[i], &h1) + p.b2[i]).tanh());
        let t = dot(p.w3, &h2) + p.b3 - y;
        t * t
    });
    read(errors.sum::<Variable>() / net::BATCH as f64, &x, g)
}

pub fn normal(graph: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    graph.clear();
    let vars = from_fn(|i| graph.var(inputs.x[i]));
    let [mu, sigma] = vars;
    let terms = inputs.data.iter().map(|&y| {
        let z = (y - mu) / sigma;
        -0.5 * (z * z) - sigma.ln() - HALF_LN_TAU
    });
    read(terms.sum(), &vars, g)
}

pub fn matmul(graph: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    graph.clear();
    let x = graph.vars(&inputs.x);
    let (a, b) = x.split_at(N * N);
    let entry = |i, j| (0..N).map(|k| a[N * i + k] * b[N * k + j]).sum::<Variable>();
    let entries = (0..N).flat_map(|i| (0..N).map(move |j| entry(i, j)));
    read(entries.sum(), &x, g)
}

pub fn burgers(graph: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    graph.clear();
    let x = graph.vars(&inputs.x);
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

pub fn bs(graph: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
    graph.clear();
    let x = graph.vars(&inputs.x);
    let prices = black_scholes::options(&x).iter().map(|&[s, k, t, r, sigma]| {
        let sd = sigma * t.sqrt();
        let d1 = ((s / k).ln() + (r + 0.5 * (sigma * sigma)) * t) / sd;
        s * cdf(d1) - k * (-r * t).exp() * cdf(d1 - sd)
    });
    read(prices.sum(), &x, g)
}

fn dot<'t, const LEN: usize>(a: &[Variable<'t>; LEN], b: &[Variable<'t>; LEN]) -> Variable<'t> {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

fn cdf(x: Variable) -> Variable {
    0.5 * (x * -FRAC_1_SQRT_2).erfc()
}
