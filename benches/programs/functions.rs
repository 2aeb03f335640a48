//! The functions of benches/scalars/suite.rs, and irregular and larger ones, over any number, in the plain idiom.

use std::f64::consts::FRAC_1_SQRT_2;

use wengert::Real;

use crate::suite;

pub fn seed<R: Real<Base = f64>>(p: &[R], d: &[f64]) -> R {
    let (x, y) = (R::lit(d[0]), R::lit(d[1]));
    (p[2] * (p[0] * x + p[1]) + p[3] - y).square()
}

pub fn rosenbrock<R: Real<Base = f64>>(x: &[R], _: &[f64]) -> R {
    let term = |p: &[R]| R::lit(100.0) * (p[1] - p[0] * p[0]).square() + (R::one() - p[0]).square();
    x.windows(2).map(term).sum()
}

pub fn mlp<R: Real<Base = f64>>(p: &[R], d: &[f64]) -> R {
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

pub fn normal<R: Real<Base = f64>>(x: &[R], d: &[f64]) -> R {
    let (mu, sigma) = (x[0], x[1]);
    let term = |&y: &f64| {
        let z = (R::lit(y) - mu) / sigma;
        R::lit(-0.5) * z.square() - sigma.ln() - R::lit(suite::normal::HALF_LN_TAU)
    };
    d.iter().map(term).sum()
}

pub fn matmul<R: Real<Base = f64>>(x: &[R], _: &[f64]) -> R {
    let n = suite::matmul::N;
    let (a, b) = x.split_at(n * n);
    let entry = |i: usize, j: usize| (0..n).map(|k| a[n * i + k] * b[n * k + j]).sum::<R>();
    (0..n).flat_map(|i| (0..n).map(move |j| entry(i, j))).sum()
}

pub fn burgers<R: Real<Base = f64>>(x: &[R], _: &[f64]) -> R {
    use suite::burgers::{A, B, STEPS, stencil};
    let mut u = x.to_vec();
    for _ in 0..STEPS {
        let step = |[l, h, r]: [R; 3]| h - R::lit(A) * h * (r - l) + R::lit(B) * (r - R::lit(2.0) * h + l);
        u = stencil(&u).map(step).collect();
    }
    u.iter().map(|u| u.square()).sum()
}

pub fn bs<R: Real<Base = f64>>(x: &[R], _: &[f64]) -> R {
    let cdf = |x: R| R::lit(0.5) * (x * R::lit(-FRAC_1_SQRT_2)).erfc();
    let price = |&[s, k, t, r, sigma]: &[R; 5]| {
        let sd = sigma * t.sqrt();
        let d1 = ((s / k).ln() + (r + R::lit(0.5) * sigma.square()) * t) / sd;
        s * cdf(d1) - k * (-r * t).exp() * cdf(d1 - sd)
    };
    suite::bs::options(x).iter().map(price).sum()
}
