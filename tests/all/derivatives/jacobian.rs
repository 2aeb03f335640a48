//! Jacobians, and products with Jacobians and Hessians.

use ndarray::{Array2, array, s};
use wengert::{Var, divergence, gradcheck, jacobian, jacobian_forward, jacobian_reverse, vjp};

use crate::support::close::{assert_matrices_close, largest};
use crate::support::functions::mixed;
use crate::support::mgh::problems;

#[test]
fn jacobians_of_fourteen_systems_agree() {
    for problem in problems() {
        for x in problem.points() {
            let by_hand = (problem.jacobian)(&x);
            assert_matrices_close(problem.name, &jacobian(problem.on_var, &x), &by_hand, 1e-13);
            assert_matrices_close(problem.name, &jacobian_reverse(problem.on_var, &x), &by_hand, 1e-13);
            assert_matrices_close(problem.name, &jacobian_forward(problem.on_dual, &x), &by_hand, 1e-13);
            let by_differences = gradcheck::jacobian(problem.function, &x).map(|entry| entry.value);
            assert_matrices_close(problem.name, &by_differences, &by_hand, 1e-7);
            let trace = divergence(problem.on_var, &x);
            assert!((trace - by_hand.diag().sum()).abs() <= 1e-12 * largest(by_hand).max(1.0), "{}", problem.name);
        }
    }
}

/// The output is an operation of one number, the last on the tape.
#[test]
fn an_operation_as_output() {
    let clipped = jacobian_reverse(|x| vec![(x[0] * x[1]).clip_cotangent(10.0)], &[2.0, 3.0]);
    assert_eq!(clipped, array![[3.0, 2.0]]);
}

/// Both shapes of a Jacobian that takes more than one pass of sweeps, of which the last is not full.
#[test]
fn tall_and_wide_jacobians_agree() {
    let weights = |n: usize, m: usize| Array2::from_shape_fn((m, n), |(i, j)| ((3 * i + 5 * j) % 7) as f64 - 3.0);
    for (n, m) in [(1, 1), (1, 20), (20, 1), (3, 19), (19, 3), (9, 17), (17, 9), (8, 16)] {
        let w = weights(n, m);
        // yᵢ = sin Σⱼ wᵢⱼ xⱼ², so Jᵢⱼ = 2 wᵢⱼ xⱼ cos(...).
        let x: Vec<f64> = (0..n).map(|j| 0.1 + 0.2 * j as f64).collect();
        let expected = Array2::from_shape_fn((m, n), |(i, j)| {
            let inner: f64 = (0..n).map(|j| w[[i, j]] * x[j] * x[j]).sum();
            2.0 * w[[i, j]] * x[j] * inner.cos()
        });
        let name = format!("{m} x {n}");
        // First wide records, as `sum` makes them, then chains of small ones.
        let sums = jacobian(
            |x| {
                w.rows().into_iter().map(|w| w.iter().zip(x).map(|(&w, &x)| x * x * w).sum::<Var<'_>>().sin()).collect()
            },
            &x,
        );
        assert_matrices_close(&name, &sums, &expected, 1e-13);
        let chains = jacobian(
            |x| {
                w.rows()
                    .into_iter()
                    .map(|w| x.iter().zip(w).fold(Var::constant(0.0), |s, (&x, &w)| s + x * x * w).sin())
                    .collect()
            },
            &x,
        );
        assert_matrices_close(&name, &chains, &expected, 1e-13);
    }
}

#[test]
fn a_pullback_is_called_many_times() {
    let x = [0.3, -0.7, 1.1];
    let (_, pullback) = vjp(|x| mixed(x), &x);
    let j = pullback.jacobian();
    for _ in 0..3 {
        for i in 0..4 {
            let mut unit = [0.0; 4];
            unit[i] = 1.0;
            assert_eq!(pullback.call(&unit), j.row(i).to_vec());
        }
    }
    assert_eq!(format!("{pullback:?}"), "Pullback { inputs: 3, outputs: 4, .. }");
}

/// A constant, an input, one handle twice, the same with a weight, and weights that cancel.
fn every_kind<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    let product = x[0] * x[1];
    vec![Var::constant(7.0), x[1], product, product, -3.0 * product, x[0] + -x[0]]
}

#[test]
fn outputs_of_every_kind() {
    let expected = array![[0.0, 0.0], [0.0, 1.0], [5.0, 2.0], [5.0, 2.0], [-15.0, -6.0], [0.0, 0.0]];
    assert_eq!(jacobian(every_kind, &[2.0, 5.0]), expected);
    let (y, pullback) = vjp(every_kind, &[2.0, 5.0]);
    assert_eq!(y, [7.0, 5.0, 10.0, 10.0, -30.0, 0.0]);
    // The cotangents of one handle that is two outputs add up.
    assert_eq!(pullback.call(&[1.0, 0.0, 1.0, 1.0, 1.0, 1.0]), [-5.0, -2.0]);

    // With more than eight outputs, columns are pushed forward instead.
    let j = jacobian(|x| [every_kind(x), every_kind(x), every_kind(x)].concat(), &[2.0, 5.0]);
    assert_eq!(j.slice(s![6..12, ..]), expected);
    assert_eq!(j.slice(s![12.., ..]), expected);
}
