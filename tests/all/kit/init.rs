//! Initial values by the sample statistics of 120,000 draws from a fixed seed; bounds are five standard errors or
//! more.

use ndarray::{Array, Array2, IxDyn};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::init;

use crate::support::panics::message_of;

/// Mean, variance and kurtosis.
fn moments(x: &Array<f64, impl ndarray::Dimension>) -> [f64; 3] {
    let n = x.len() as f64;
    let mean = x.sum() / n;
    let central = |k: i32| x.iter().map(|x| (x - mean).powi(k)).sum::<f64>() / n;
    [mean, central(2), central(4) / central(2).powi(2)]
}

fn check_uniform(x: &Array<f64, impl ndarray::Dimension>, bound: f64) {
    let largest = x.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    assert!(largest <= bound && largest > 0.999 * bound, "{largest} of {bound}");
    let [mean, variance, kurtosis] = moments(x);
    assert!(mean.abs() < 0.01 * bound, "mean {mean}");
    assert!((variance * 3.0 / bound.powi(2) - 1.0).abs() < 0.015, "variance {variance}");
    assert!((kurtosis - 1.8).abs() < 0.03, "kurtosis {kurtosis}");
}

fn check_normal(x: &Array<f64, impl ndarray::Dimension>, mean: f64, std: f64) {
    let [m, variance, kurtosis] = moments(x);
    assert!((m - mean).abs() < 0.015 * std, "mean {m}");
    assert!((variance / std.powi(2) - 1.0).abs() < 0.025, "variance {variance}");
    assert!((kurtosis - 3.0).abs() < 0.08, "kurtosis {kurtosis}");
}

#[test]
fn variances_are_those_of_the_papers() {
    let rng = &mut StdRng::seed_from_u64(5);
    let dense = (300, 400);
    check_uniform(&init::uniform(dense, -0.3, 0.3, rng), 0.3);
    check_normal(&init::normal(dense, 1.5, 0.2, rng), 1.5, 0.2);
    check_uniform(&init::glorot_uniform(dense, rng), (6.0_f64 / 700.0).sqrt());
    check_normal(&init::glorot_normal(dense, rng), 0.0, (2.0_f64 / 700.0).sqrt());
    check_uniform(&init::he_uniform(dense, rng), (6.0_f64 / 300.0).sqrt());
    check_normal(&init::he_normal(dense, rng), 0.0, (2.0_f64 / 300.0).sqrt());
}

#[test]
fn convolutions_count_their_kernel() {
    let rng = &mut StdRng::seed_from_u64(6);
    // (outputs, inputs, 5, 5): fan_in = 40 · 25, fan_out = 120 · 25.
    let conv = (120, 40, 5, 5);
    check_uniform(&init::he_uniform(conv, rng), (6.0_f64 / 1000.0).sqrt());
    check_normal(&init::glorot_normal(conv, rng), 0.0, (2.0_f64 / 4000.0).sqrt());
    let conv = (400, 100, 3);
    check_normal(&init::he_normal(conv, rng), 0.0, (2.0_f64 / 300.0).sqrt());
    check_uniform(&init::glorot_uniform(IxDyn(&[400, 100, 3]), rng), (6.0_f64 / 1500.0).sqrt());
}

#[test]
fn one_seed_gives_the_same_weights_in_both_precisions() {
    let double: Array2<f64> = init::he_normal((7, 5), &mut StdRng::seed_from_u64(3));
    let single: Array2<f32> = init::he_normal((7, 5), &mut StdRng::seed_from_u64(3));
    assert_eq!(double.mapv(|x| x as f32), single);
    let again: Array2<f64> = init::he_normal((7, 5), &mut StdRng::seed_from_u64(3));
    assert_eq!(double, again);
}

#[test]
fn corners() {
    let rng = &mut StdRng::seed_from_u64(0);
    assert_eq!(init::he_uniform::<f64, _>((0, 3), rng).shape(), [0, 3]);
    assert_eq!(init::glorot_normal::<f64, _>((0, 0), rng).len(), 0);
    let text = message_of(|| init::he_normal::<f64, _>(3, &mut StdRng::seed_from_u64(0)));
    assert!(text.contains("the shape [3] has no inputs and outputs"), "{text}");
}
