//! The functions of benches/scalars/suite.rs, and irregular and larger ones, over any number, in the plain idiom.

use std::f64::consts::FRAC_1_SQRT_2;

use wengert::Real;

use crate::suite;

pub fn seed<R: Real>(p: &[R], d: &[f64]) -> R {
    let (x, y) = (R::lit(d[0]), R::lit(d[1]));
    (p[2] * (p[0] * x + p[1]) + p[3] - y).square()
}

pub fn rosenbrock<R: Real>(x: &[R], _: &[f64]) -> R {
    let term = |p: &[R]| R::lit(100.0) * (p[1] - p[0] * p[0]).square() + (R::one() - p[0]).square();
    x.windows(2).map(term).sum()
}

pub fn mlp<R: Real>(p: &[R], d: &[f64]) -> R {
    let net = suite::mlp::Layers::new(p);
    let errors = d.chunks(3).map(|sample| {
        let (x0, x1, y) = (R::lit(sample[0]), R::lit(sample[1]), R::lit(sample[2]));
        let h1: Vec<R> = (0..16).map(|i| (net.w1[i][0] * x0 + net.w1[i][1] * x1 + net.b1[i]).tanh()).collect();
        let dot = |w: &[R; 16], h: &[R]| (0..16).map(|j| w[j] * h[j]).sum::<R>();
        let h2: Vec<R> = (0..16).map(|i| (dot(&net.w2[i], &h1) + net.b2[i]).tanh()).collect();
        (dot(net.w3, &h2) + net.b3 - y).square()
    });
    errors.sum::<R>() / R::lit(32.0)
}

pub fn normal<R: Real>(x: &[R], d: &[f64]) -> R {
    let (mu, sigma) = (x[0], x[1]);
    let term = |&y: &f64| {
        let z = (R::lit(y) - mu) / sigma;
        R::lit(-0.5) * z.square() - sigma.ln() - R::lit(suite::normal::HALF_LN_TAU)
    };
    d.iter().map(term).sum()
}

pub fn matmul<R: Real>(x: &[R], _: &[f64]) -> R {
    let n = suite::matmul::N;
    let (a, b) = x.split_at(n * n);
    let entry = |i: usize, j: usize| (0..n).map(|k| a[n * i + k] * b[n * k + j]).sum::<R>();
    (0..n).flat_map(|i| (0..n).map(move |j| entry(i, j))).sum()
}

pub fn burgers<R: Real>(x: &[R], _: &[f64]) -> R {
    use suite::burgers::{A, B, STEPS, stencil};
    let mut u = x.to_vec();
    for _ in 0..STEPS {
        let step = |[l, h, r]: [R; 3]| h - R::lit(A) * h * (r - l) + R::lit(B) * (r - R::lit(2.0) * h + l);
        u = stencil(&u).map(step).collect();
    }
    u.iter().map(|u| u.square()).sum()
}

pub fn bs<R: Real>(x: &[R], _: &[f64]) -> R {
    let cdf = |x: R| R::lit(0.5) * (x * R::lit(-FRAC_1_SQRT_2)).erfc();
    let price = |&[s, k, t, r, sigma]: &[R; 5]| {
        let sd = sigma * t.sqrt();
        let d1 = ((s / k).ln() + (r + R::lit(0.5) * sigma.square()) * t) / sd;
        s * cdf(d1) - k * (-r * t).exp() * cdf(d1 - sd)
    };
    suite::bs::options(x).iter().map(price).sum()
}

/// A random graph of mixed operations, each on two of the last `window` values.
pub fn irregular<R: Real>(x: &[R], operations: usize, window: usize) -> R {
    let mut state = 7_u64;
    let mut random = move |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut values = x.to_vec();
    let mut used = vec![false; x.len() + operations];
    for _ in 0..operations {
        let recent = values.len().saturating_sub(window);
        let mut pick = || recent + random(values.len() - recent);
        let (i, j) = (pick(), pick());
        let (a, b) = (values[i], values[j]);
        (used[i], used[j]) = (true, true);
        values.push(match random(10) {
            0..=2 => R::lit(0.5) * (a + b),
            3 | 4 => R::lit(0.5) * (a - b),
            5 | 6 => (a * b).tanh(),
            7 => a / (R::lit(2.0) + b.square()),
            8 => (-(a * b).square()).exp(),
            _ => (R::one() + (a * b).square()).sqrt() - a,
        });
    }
    values.iter().zip(&used).filter(|(_, used)| !**used).map(|(&v, _)| v).sum()
}

/// A squared hinge for each datum: as many comparisons as data.
pub fn hinge<R: Real>(x: &[R], d: &[f64]) -> R {
    let term = |d: &[f64]| {
        let margin = (x[0] * R::lit(d[0]) + x[1] * R::lit(d[1]) + x[2]) * R::lit(d[2]);
        if margin < R::one() { (R::one() - margin).square() } else { R::zero() * margin }
    };
    d.chunks(3).map(term).sum()
}
