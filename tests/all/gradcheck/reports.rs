//! Faults that public bug reports of other projects describe, and this checker once had too: right gradients that were
//! called wrong, and wrong gradients that passed.
//!
//! All derivatives are closed forms.

use wengert::gradcheck::{GradCheck, Verdict};

use super::Outcome;

fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Ok(report) => report.verdict(),
        Err(error) => error.report().expect("a report").verdict(),
    }
}

/// Runs a check for several seeds: no right gradient is accused.
fn never_accused(run: impl Fn(GradCheck) -> Outcome) {
    for seed in 0..10 {
        let outcome = run(GradCheck::new().seed(seed));
        assert_ne!(verdict(&outcome), Verdict::Disagrees, "seed {seed}: {outcome:?}");
    }
}

/// Runs a check for several seeds: no wrong gradient passes.
fn never_passed(run: impl Fn(GradCheck) -> Outcome) {
    for seed in 0..10 {
        let outcome = run(GradCheck::new().seed(seed));
        assert_ne!(verdict(&outcome), Verdict::Agrees, "seed {seed}: {outcome:?}");
    }
}

/// tesseract-core#740, Paddle#4283: a bounded part of 15 units in the last place, whose slope long steps do not see.
#[test]
fn a_bounded_part_of_a_large_f32_loss() {
    never_accused(|c| c.check_gradient(|x| x[1] * 20000.0 + x[0].tanh() * 0.03, &[0.7_f32, 1.0]));
}

/// chainer#3046: a bounded part of 11 units in the last place.
#[test]
fn a_bounded_part_beside_a_large_constant() {
    never_accused(|c| c.check(|x: &[f64]| 4e14 + x[0].sin(), |x| vec![x[0].cos()], &[0.7]));
    never_accused(|c| {
        c.check(|x: &[f32]| 1e6 + (-x[0] * x[0]).exp(), |x| vec![-2.0 * x[0] * (-x[0] * x[0]).exp()], &[0.7])
    });
}

/// FiniteDifferences.jl#204: all of the change within 10,000 floats around the point.
#[test]
fn a_steep_step() {
    for steepness in [1e9, 1e11, 1e12] {
        let f = move |x: &[f64]| ((x[0] - 1.0) * steepness).tanh();
        never_accused(|c| c.check(f, |_| vec![steepness], &[1.0]));
        never_passed(|c| c.check(f, |_| vec![-steepness], &[1.0]));
        never_passed(|c| c.check(f, |_| vec![0.0], &[1.0]));
    }
}

/// scipy#12487: the treads of a staircase are no rounding of the input to f32.
#[test]
fn a_staircase_of_treads_longer_than_the_spacing_of_f32() {
    never_accused(|c| c.check_gradient(|x| x[0].floor(), &[2_500_000.5]));
    never_accused(|c| c.check(|x: &[f64]| (1e3 * x[0]).round() / 1e3, |_| vec![0.0], &[1.23456]));
}

/// tensorflow-fast-rcnn#12: the other side of a kink, and the slope that a kink only seems to hide.
#[test]
fn the_wrong_side_of_a_near_kink() {
    for distance in [7e-4, 1e-4, 3e-5, 4e-6, 5e-7, 1e-9] {
        let x = [1.0 + distance];
        never_passed(|c| c.check(|x: &[f64]| (x[0] - 1.0).abs(), |_| vec![-1.0], &x));
        never_passed(|c| c.check(|x: &[f64]| (x[0] - 1.0).abs().powf(1.5), |_| vec![0.0], &x));
        never_passed(|c| c.check(|x: &[f64]| (x[0] - 1.0).max(0.0) + x[0].sin(), |x| vec![x[0].cos()], &x));
        never_passed(|c| c.check(|x: &[f64]| (50.0 * (x[0] - 1.0)).sin().abs(), |_| vec![-50.0], &x));
    }
    never_passed(|c| c.check(|x: &[f32]| (x[0] - 1.0).abs(), |_| vec![-1.0], &[1.0 + 5.2480777e-5]));
}

/// Structure finer than the steps, of which the gradient knows nothing.
#[test]
fn a_forgotten_fine_structure() {
    for x in [0.3, 0.7, 1.1, 1.9] {
        never_passed(|c| c.check(|x: &[f64]| x[0] * x[0] + (1e6 * x[0]).sin(), |x| vec![2.0 * x[0]], &[x]));
        never_accused(|c| {
            let slope = |x: &[f64]| vec![2.0 * x[0] + 1e6 * (1e6 * x[0]).cos()];
            c.check(|x: &[f64]| x[0] * x[0] + (1e6 * x[0]).sin(), slope, &[x])
        });
    }
}

/// Steps at their limit: a distance of a few floats to an edge, a point beyond which a sine is noise, tiny numbers.
#[test]
fn points_at_which_steps_end() {
    for distance in [1e-12, 1e-9, 1e-6] {
        let slope = |x: &[f64]| vec![-1.0 / ((1.0 - x[0]) * (1.0 + x[0])).sqrt()];
        never_accused(|c| c.check(|x: &[f64]| x[0].acos(), slope, &[1.0 - distance]));
    }
    for x in [1e14, 1e16, 1e18] {
        never_accused(|c| c.check(|x: &[f64]| x[0].sin(), |x| vec![x[0].cos()], &[x]));
    }
    for x in [1e-80, 1e-120, 1e-200] {
        for (factor, right) in [(1.0, true), (2.0, false), (0.0, false), (-1.0, false)] {
            let outcome = wengert::gradcheck::check(|x: &[f64]| x[0].ln(), |x| vec![factor / x[0]], &[x]);
            assert_eq!(verdict(&outcome) == Verdict::Agrees, right, "ln at {x}, times {factor}: {outcome:?}");
            let outcome = wengert::gradcheck::check(|x: &[f64]| 1.0 + x[0], |_| vec![factor], &[x]);
            assert_eq!(verdict(&outcome) == Verdict::Agrees, right, "1 + x at {x}, times {factor}: {outcome:?}");
        }
    }
}

/// Random directions never hit that of the gradient; outside of the unit ball nothing is a subgradient of a norm.
#[test]
fn a_norm_at_zero() {
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    for signs in [[1.0, -1.0, 1.0, 1.0], [-1.0, -1.0, 1.0, -1.0]] {
        never_passed(|c| c.check(norm, |_| signs.map(|s| 0.99 * s).to_vec(), &[0.0; 4]));
        let inside = wengert::gradcheck::check(norm, |_| signs.map(|s| 0.49 * s).to_vec(), &[0.0; 4]);
        assert_eq!(verdict(&inside), Verdict::Agrees, "{inside:?}");
    }
}

/// A bounded mean over samples that are new at each point.
#[test]
fn a_noisy_mean() {
    let mean = |x: &[f64]| {
        let salt = x[0].to_bits();
        (0..300).map(|k| (x[0] + super::hash(salt.wrapping_add(k << 20))).sin()).sum::<f64>() / 300.0
    };
    for x in [0.3, 0.9] {
        never_accused(|c| c.check(mean, |x| vec![x[0].cos() * 1_f64.sin()], &[x]));
        never_passed(|c| c.check(mean, |x| vec![-x[0].cos() * 1_f64.sin()], &[x]));
    }
}

/// A network of relus in f32, right and with a bias whose gradient is lost.
#[test]
fn an_f32_network_agrees_within_what_f32_allows() {
    let matrix = |rows: usize, columns: usize, seed: u64| {
        let numbers = super::sequence(rows * columns, seed).into_iter().map(|v| 0.5 * v as f32).collect();
        ndarray::Array2::from_shape_vec((rows, columns), numbers).expect("as many")
    };
    let mut params = wengert::Params::<f32>::new();
    let w1 = params.add("w1", matrix(4, 6, 1));
    let b1 = params.add("b1", matrix(1, 6, 2).remove_axis(ndarray::Axis(0)));
    let w2 = params.add("w2", matrix(6, 2, 3));
    let (x, y) = (matrix(20, 4, 4), matrix(20, 2, 5));
    let check = |wrong: bool| {
        GradCheck::new().check_params(&params, |p| {
            let b = if wrong { p.get(b1).detach() } else { p.get(b1) };
            ((p.constant(&x).dot(p.get(w1)) + b).relu().dot(p.get(w2)) - p.constant(&y)).square().mean()
        })
    };
    assert_eq!(verdict(&check(false)), Verdict::Agrees, "{:?}", check(false));
    assert_eq!(verdict(&check(true)), Verdict::Disagrees);
}

/// Kinks in every coordinate of a large input cannot be singled out; the search must not try for long.
#[test]
fn a_block_full_of_kinks_ends_in_time() {
    let report = wengert::gradcheck::check(
        |x: &[f64]| x.iter().map(|x| x.abs()).sum(),
        |x| vec![0.0; x.len()],
        &vec![0.0; 20_000],
    );
    assert!(report.unwrap().evaluations < 1500);
}
