//! `xad-rs`: a thread-local tape of statements; tape, adjoints and handles all keep their memory.

use crate::suite::burgers::{A, B, STEPS, stencil};
use crate::suite::{Inputs, bs as black_scholes, matmul::N, mlp as net, normal::HALF_LN_TAU};
use std::array::from_fn;
use xad_rs::{AReal, Tape, math::ad};

type Var = AReal<f64>;

pub struct State {
    tape: Tape<f64>,
    vars: Vec<Var>,
    /// Buffers for the fused operations, which take slices.
    scratch: [Vec<Var>; 2],
    weights: Vec<f64>,
}

impl Default for State {
    fn default() -> Self {
        Self { tape: Tape::new(false), vars: vec![], scratch: [vec![], vec![]], weights: vec![] }
    }
}

/// Records `f` on the tape of `state`, sweeps, reads the gradient.
fn gradient(
    state: &mut State,
    inputs: &Inputs,
    g: &mut [f64],
    f: impl FnOnce(&[Var], &mut [Vec<Var>; 2], &mut Vec<f64>) -> Var,
) -> f64 {
    let State { tape, vars, scratch, weights } = state;
    let guard = tape.record();
    vars.clear();
    vars.extend(inputs.x.iter().map(|&x| AReal::input(x, tape)));
    scratch.iter_mut().for_each(Vec::clear);
    weights.clear();
    let loss = f(vars, scratch, weights);
    drop(guard);
    loss.set_adjoint(tape, 1.0);
    tape.compute_adjoints();
    for (g, v) in g.iter_mut().zip(vars) {
        *g = v.adjoint(tape);
    }
    loss.value()
}

fn euler(u: &mut Vec<Var>, next: &mut Vec<Var>, step: impl Fn([Var; 3]) -> Var) {
    for _ in 0..STEPS {
        next.clear();
        next.extend(stencil(u).map(&step));
        std::mem::swap(u, next);
    }
}

fn price(&[s, k, t, r, sigma]: &[Var; 5]) -> Var {
    let sd = sigma * ad::sqrt(&t);
    let d1 = (ad::ln(&(s / k)) + (r + 0.5 * (sigma * sigma)) * t) / sd;
    s * ad::norm_cdf(&d1) - k * ad::exp(&(-r * t)) * ad::norm_cdf(&(d1 - sd))
}

/// Operators only.
pub mod plain {
    use super::*;

    fn sum(terms: impl Iterator<Item = Var>) -> Var {
        terms.reduce(|a, b| a + b).expect("at least one term")
    }

    fn dot<const LEN: usize>(a: &[Var; LEN], b: &[Var; LEN]) -> Var {
        sum(a.iter().zip(b).map(|(a, b)| a * b))
    }

    pub fn seed(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |v, _, _| {
            let ([w1, b1, w2, b2], [x, y]) = ([v[0], v[1], v[2], v[3]], [inputs.data[0], inputs.data[1]]);
            let t = w2 * (w1 * x + b1) + b2 - y;
            t * t
        })
    }

    pub fn rosenbrock(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x, _, _| {
            sum(x.windows(2).map(|p| {
                let (t, u) = (p[1] - p[0] * p[0], 1.0 - p[0]);
                100.0 * (t * t) + u * u
            }))
        })
    }

    pub fn mlp(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x, _, _| {
            let p = net::Layers::new(x);
            let errors = net::samples(inputs).iter().map(|&[x0, x1, y]| {
                let h1 = from_fn(|i| ad::tanh(&(p.w1[i][0] * x0 + p.w1[i][1] * x1 + p.b1[i])));
                let h2 = from_fn(|i| ad::tanh(&(dot(&p.w2[i], &h1) + p.b2[i])));
                let t = dot(p.w3, &h2) + p.b3 - y;
                t * t
            });
            sum(errors) / net::BATCH as f64
        })
    }

    pub fn normal(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |v, _, _| {
            let [mu, sigma] = [v[0], v[1]];
            sum(inputs.data.iter().map(|&y| {
                let z = (y - mu) / sigma;
                -0.5 * (z * z) - ad::ln(&sigma) - HALF_LN_TAU
            }))
        })
    }

    pub fn matmul(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x, _, _| {
            let (a, b) = x.split_at(N * N);
            let entry = |i, j| sum((0..N).map(|k| a[N * i + k] * b[N * k + j]));
            sum((0..N).flat_map(|i| (0..N).map(move |j| entry(i, j))))
        })
    }

    pub fn burgers(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x, [u, next], _| {
            u.extend_from_slice(x);
            euler(u, next, |[left, here, right]| here - A * here * (right - left) + B * (right - 2.0 * here + left));
            sum(u.iter().map(|u| u * u))
        })
    }

    pub fn bs(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x, _, _| sum(black_scholes::options(x).iter().map(price)))
    }
}

/// With `sum`, `dot`, `weighted_sum` and `weighted_dot`, each of which records one statement.
pub mod fused {
    use super::*;

    /// Three products and nothing to fuse.
    pub use super::plain::seed;

    pub fn rosenbrock(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x, [roots, _], weights| {
            for p in x.windows(2) {
                roots.extend([p[1] - p[0] * p[0], 1.0 - p[0]]);
                weights.extend([100.0, 1.0]);
            }
            ad::weighted_dot(weights, roots, roots)
        })
    }

    pub fn mlp(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x, [errors, _], _| {
            let p = net::Layers::new(x);
            for &[x0, x1, y] in net::samples(inputs) {
                let pre = |i: usize| ad::weighted_sum(&[x0, x1, 1.0], &[p.w1[i][0], p.w1[i][1], p.b1[i]]);
                let h1: [Var; net::WIDTH] = from_fn(|i| ad::tanh(&pre(i)));
                let h2: [Var; net::WIDTH] = from_fn(|i| ad::tanh(&(ad::dot(&p.w2[i], &h1) + p.b2[i])));
                errors.push(ad::dot(p.w3, &h2) + p.b3 - y);
            }
            ad::dot(errors, errors) / net::BATCH as f64
        })
    }

    pub fn normal(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |v, [terms, _], weights| {
            let [mu, sigma] = [v[0], v[1]];
            for &y in &inputs.data {
                let z = (y - mu) / sigma;
                terms.extend([z * z, ad::ln(&sigma)]);
                weights.extend([-0.5, -1.0]);
            }
            ad::weighted_sum(weights, terms) - HALF_LN_TAU * inputs.data.len() as f64
        })
    }

    pub fn matmul(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x, [columns, entries], _| {
            let (a, b) = x.split_at(N * N);
            columns.extend((0..N * N).map(|i| b[N * (i % N) + i / N]));
            for row in a.chunks_exact(N) {
                entries.extend(columns.chunks_exact(N).map(|column| ad::dot(row, column)));
            }
            ad::sum(entries)
        })
    }

    pub fn burgers(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        let one = Var::new(1.0);
        gradient(state, inputs, g, |x, [u, next], _| {
            u.extend_from_slice(x);
            euler(u, next, |[left, here, right]| {
                let weights = [-A, 1.0 - 2.0 * B, B, B];
                ad::weighted_dot(&weights, &[here, here, left, right], &[right - left, one, one, one])
            });
            ad::dot(u, u)
        })
    }

    pub fn bs(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x, [prices, _], _| {
            prices.extend(black_scholes::options(x).iter().map(price));
            ad::sum(prices)
        })
    }
}
