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

/// The negative log-likelihood of a mixture of Gaussians without its constants (`ADBench`'s GMM): `K` components in `D`
/// dimensions, given by weights, means, and logarithmic diagonals and lower triangles of the roots of the precisions.
pub fn gmm<R: Real>(p: &[R], data: &[f64]) -> R {
    const D: usize = 10;
    const K: usize = 10;
    const LOWER: usize = D * (D - 1) / 2;
    let (alphas, p) = p.split_at(K);
    let (means, icf) = p.split_at(K * D);
    let icf: Vec<&[R]> = icf.chunks(D + LOWER).collect();
    let log_sum_exp = |x: &[R]| {
        let max = x.iter().fold(x[0], |max, &x| max.max(x));
        max + x.iter().map(|&x| (x - max).exp()).sum::<R>().ln()
    };
    let diagonals: Vec<Vec<R>> = icf.iter().map(|icf| icf[..D].iter().map(|x| x.exp()).collect()).collect();
    let log_dets: Vec<R> = icf.iter().map(|icf| icf[..D].iter().copied().sum()).collect();
    let mut total = R::zero();
    for x in data.chunks(D) {
        let mut terms = Vec::with_capacity(K);
        for k in 0..K {
            let centered: Vec<R> = (0..D).map(|i| R::lit(x[i]) - means[D * k + i]).collect();
            let mut squares = R::zero();
            let mut row = D;
            for i in 0..D {
                let mut y = diagonals[k][i] * centered[i];
                for (&l, &c) in icf[k][row..].iter().zip(&centered[..i]) {
                    y += l * c;
                }
                row += i;
                squares += y.square();
            }
            terms.push(alphas[k] + log_dets[k] - R::lit(0.5) * squares);
        }
        total += log_sum_exp(&terms);
    }
    let n = R::lit((data.len() / D) as f64);
    let prior: R = icf.iter().flat_map(|icf| &icf[D..]).map(|l| l.square()).sum();
    let diagonal: R = diagonals.iter().flatten().map(|q| q.square()).sum();
    total - n * log_sum_exp(alphas) + R::lit(0.5) * (prior + diagonal)
}

/// A recurrent cell of four gates that reads a sequence (`ADBench`'s LSTM in small): the squared error of its predictions.
pub fn lstm<R: Real>(p: &[R], data: &[f64]) -> R {
    const H: usize = 8;
    let (weights, out) = p.split_at(4 * H * 3);
    let (mut h, mut c) = (vec![R::zero(); H], vec![R::zero(); H]);
    let mut total = R::zero();
    for pair in data.windows(2) {
        let x = R::lit(pair[0]);
        let gate = |g: usize, i: usize, h: R| {
            let w = &weights[3 * (g * H + i)..][..3];
            w[0] * x + w[1] * h + w[2]
        };
        for i in 0..H {
            let (forget, keep) = (gate(0, i, h[i]).sigmoid(), gate(1, i, h[i]).sigmoid());
            c[i] = forget * c[i] + keep * gate(2, i, h[i]).tanh();
            h[i] = gate(3, i, h[i]).sigmoid() * c[i].tanh();
        }
        let prediction = (0..H).map(|i| out[i] * h[i]).sum::<R>();
        total += (prediction - R::lit(pair[1])).square();
    }
    total
}

/// The squared reprojection errors of points seen by cameras (`ADBench`'s bundle adjustment): for each camera a rotation
/// vector, a centre, a focal length and a distortion; for each point its coordinates.
pub fn bundle<R: Real>(p: &[R], observations: &[f64]) -> R {
    const CAMERAS: usize = 20;
    let (cameras, points) = p.split_at(8 * CAMERAS);
    let error = |o: &[f64]| {
        let (camera, point) = (&cameras[8 * o[0] as usize..][..8], &points[3 * o[1] as usize..][..3]);
        let r = [camera[0], camera[1], camera[2]];
        let x = [0, 1, 2].map(|i| point[i] - camera[3 + i]);
        let square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
        let theta = square.sqrt();
        let (sin, cos) = (theta.sin(), theta.cos());
        let w = r.map(|r| r / theta);
        let cross = [w[1] * x[2] - w[2] * x[1], w[2] * x[0] - w[0] * x[2], w[0] * x[1] - w[1] * x[0]];
        let along = (w[0] * x[0] + w[1] * x[1] + w[2] * x[2]) * (R::one() - cos);
        let y = [0, 1, 2].map(|i| x[i] * cos + cross[i] * sin + w[i] * along);
        let (u, v) = (y[0] / y[2], y[1] / y[2]);
        let radial = R::one() + camera[7] * (u * u + v * v);
        let focal = camera[6] * radial;
        (focal * u - R::lit(o[2])).square() + (focal * v - R::lit(o[3])).square()
    };
    observations.chunks(4).map(error).sum()
}
