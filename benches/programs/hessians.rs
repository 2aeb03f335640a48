//! Hessians of functions of a hundred parameters, in gradients of the same program.

use std::hint::black_box;
use std::time::Instant;

use wengert::{Program, Real};

use crate::{keep, race};

fn rosenbrock<R: Real>(x: &[R]) -> R {
    crate::functions::rosenbrock(x, &[])
}

/// A dense quadratic form, and a sine of each input.
fn quadratic<R: Real>(x: &[R]) -> R {
    let entry = |i: usize, j: usize| R::lit((1.3 * (i * x.len() + j) as f64).sin());
    let row = |i: usize| (0..x.len()).map(|j| entry(i, j) * x[j]).sum::<R>();
    let form: R = (0..x.len()).map(|i| x[i] * row(i)).sum();
    form * R::lit(0.5) + x.iter().map(|x| x.sin()).sum::<R>()
}

/// The logistic loss of 1,000 samples, whose features are all of the inputs' number.
fn logistic<R: Real>(x: &[R]) -> R {
    let margin = |i: usize| (0..x.len()).map(|j| R::lit((0.7 * (i * x.len() + j) as f64).sin()) * x[j]).sum::<R>();
    (0..1000).map(|i| (margin(i) * R::lit(if i % 3 == 0 { -1.0 } else { 1.0 })).softplus()).sum()
}

/// A net 3-10-5-1 on 100 samples.
fn net<R: Real>(p: &[R]) -> R {
    let (w1, p) = p.split_at(30);
    let (b1, p) = p.split_at(10);
    let (w2, p) = p.split_at(50);
    let (b2, w3) = p.split_at(5);
    let error = |s: usize| {
        let x: Vec<R> = (0..3).map(|k| R::lit((0.9 * (3 * s + k) as f64).sin())).collect();
        let dot = |w: &[R], x: &[R]| w.iter().zip(x).map(|(&w, &x)| w * x).sum::<R>();
        let h1: Vec<R> = (0..10).map(|i| (dot(&w1[3 * i..][..3], &x) + b1[i]).tanh()).collect();
        let h2: Vec<R> = (0..5).map(|i| (dot(&w2[10 * i..][..10], &h1) + b2[i]).tanh()).collect();
        (dot(w3, &h2) - R::lit((s as f64).cos())).square()
    };
    (0..100).map(error).sum::<R>() / R::lit(100.0)
}

/// The log-likelihood of 1,000 data in 99 groups with a mean each, and a common deviation.
fn groups<R: Real>(x: &[R]) -> R {
    let sigma = x[99].exp();
    let term = |i: usize| ((R::lit((i as f64).sin()) - x[i % 99]) / sigma).square() * R::lit(0.5) + sigma.ln();
    (0..1000).map(term).sum()
}

/// No sum: a product of two sums.
fn product<R: Real>(x: &[R]) -> R {
    let sum: R = x.iter().map(|x| x.exp()).sum();
    sum.ln() * x.windows(2).map(|w| (w[0] * w[1]).sin()).sum::<R>()
}

macro_rules! rows {
    ($filter:expr; $($function:ident)+) => { $(
        if stringify!($function).contains($filter) || "hessian".contains($filter) {
            let x: Vec<f64> = (0..100).map(|i| 0.5 + 0.3 * (1.1 * f64::from(i)).sin()).collect();
            let mut first = Program::new(|x| $function(x), &x).expect("a program");
            let (mut second, mut matrix) = (first.clone(), first.clone());
            let start = Instant::now();
            let mut hessian = matrix.hessian(&x).expect("the recorded branch");
            let planning = start.elapsed().as_secs_f64() * 1e3;
            let v: Vec<f64> = (0..100).map(|i| (0.3 * f64::from(i)).cos()).collect();
            let (mut gradient, mut product) = (vec![0.0; 100], vec![0.0; 100]);
            second.hvp(&x, &v, &mut product).expect("the recorded branch");
            let size = product.iter().fold(1.0, |size: f64, x| size.max(x.abs()));
            for (row, product) in hessian.rows().into_iter().zip(&product) {
                let sum: f64 = row.iter().zip(&v).map(|(h, v)| h * v).sum();
                assert!((sum - product).abs() < 1e-10 * size, "{}: {sum} {product}", stringify!($function));
            }
            let times = race(&mut [
                &mut || keep(first.value_and_grad(black_box(&x), &mut gradient)),
                &mut || keep(second.hvp(black_box(&x), &v, &mut product)),
                &mut || keep(matrix.hessian_into(black_box(&x), hessian.view_mut())),
            ]);
            println!(
                "{:>12} {:>12.0} {:>8.2} {:>8.1} {:>10.1}",
                stringify!($function), times[0], times[1] / times[0], times[2] / times[0], planning
            );
        }
    )+ };
}

/// Prints a row for each function.
pub(crate) fn print(filter: &str) {
    println!("\n100 inputs    gradient ns      hvp  hessian planning ms");
    rows! { filter; rosenbrock quadratic logistic net groups product }
}
