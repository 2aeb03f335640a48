//! Derivatives of functions in one call: Jacobians, Hessians, their products and traces.

// A method's path is not a function for every life of a handle.
#![allow(clippy::redundant_closure_for_method_calls)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{Array2, array, s};
use proptest::prelude::*;
use wengert::gradcheck;
use wengert::{
    Dual, Params, Real, Tape, Var, arrays, divergence, grad, hessian, hvp, jacobian, jacobian_forward,
    jacobian_reverse, jvp, laplacian, log_sum_exp, norm, value_and_grad, value_grad_hvp, vjp,
};

use crate::support::mgh::{Problem, problems};

/// The standard starting point, and one where no system is at a zero or a tie.
fn points(problem: &Problem) -> [Vec<f64>; 2] {
    let shifted = problem.start.iter().enumerate().map(|(i, x)| x + 0.3 + 0.05 * i as f64).collect();
    [problem.start.clone(), shifted]
}

fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |a: f64, b| a.max(b.abs()))
}

#[track_caller]
fn assert_close(name: &str, ours: &Array2<f64>, theirs: &Array2<f64>, tolerance: f64) {
    let scale = largest(theirs.iter().copied()).max(1.0);
    let error = largest((ours - theirs).iter().copied());
    assert!(error <= tolerance * scale, "{name}: {ours}\nis not\n{theirs}");
}

fn message(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("it must panic");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).into())
}

// ---------------------------------------------------------------------------------------------
// The systems of Moré, Garbow and Hillstrom

#[test]
fn jacobians_of_fourteen_systems_agree() {
    for problem in problems() {
        for x in points(&problem) {
            let by_hand = (problem.jacobian)(&x);
            assert_close(problem.name, &jacobian(problem.on_var, &x), &by_hand, 1e-13);
            assert_close(problem.name, &jacobian_reverse(problem.on_var, &x), &by_hand, 1e-13);
            assert_close(problem.name, &jacobian_forward(problem.on_dual, &x), &by_hand, 1e-13);
            let by_differences = gradcheck::jacobian(problem.function, &x).map(|entry| entry.value);
            assert_close(problem.name, &by_differences, &by_hand, 1e-7);
            let trace = divergence(problem.on_var, &x);
            assert!((trace - by_hand.diag().sum()).abs() <= 1e-12 * largest(by_hand).max(1.0), "{}", problem.name);
        }
    }
}

/// n inputs as a function of fewer, and m outputs of which fewer are kept: both shapes of a matrix that is
/// swept in more than one pass, the last one not full.
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
        // Wide records, as `sum` makes them, and chains of small ones.
        let sums = jacobian(
            |x| {
                w.rows().into_iter().map(|w| w.iter().zip(x).map(|(&w, &x)| x * x * w).sum::<Var<'_>>().sin()).collect()
            },
            &x,
        );
        assert_close(&name, &sums, &expected, 1e-13);
        let chains = jacobian(
            |x| {
                w.rows()
                    .into_iter()
                    .map(|w| x.iter().zip(w).fold(Var::constant(0.0), |s, (&x, &w)| s + x * x * w).sin())
                    .collect()
            },
            &x,
        );
        assert_close(&name, &chains, &expected, 1e-13);
    }
}

fn squares<R: Real>(f: Vec<R>) -> R {
    f.into_iter().map(|f| f * f).sum()
}

#[test]
fn hessians_of_fourteen_sums_of_squares_agree() {
    for problem in problems() {
        for x in points(&problem) {
            let ours = hessian(|x| squares((problem.on_var_of_dual)(x)), &x);
            assert_eq!(ours, ours.t(), "{}", problem.name);
            let gradient = |x: &[f64]| grad(|x| squares((problem.on_var)(x)), x);
            let by_differences = gradcheck::jacobian(gradient, &x).map(|entry| entry.value);
            assert_close(problem.name, &ours, &by_differences, 1e-6);
            let trace = laplacian(|x| squares((problem.on_var_of_dual)(x)), &x);
            assert!((trace - ours.diag().sum()).abs() <= 1e-12 * largest(ours).max(1.0), "{}", problem.name);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Products

/// Several inputs and outputs, every one a function of most.
fn mixed<R: Real>(x: &[R]) -> Vec<R> {
    let [a, b, c] = [x[0], x[1], x[2]];
    vec![(a * b).sin() + c, a.exp() * c.tanh(), (a * a + b * b + c * c).ln_1p(), b / (R::lit(2.0) + c * c)]
}

fn loss<R: Real>(x: &[R]) -> R {
    mixed(x).into_iter().map(|y| y * y * y).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// ⟨Jv, w⟩ = ⟨v, Jᵀw⟩; Jᵀ is linear in w; ⟨u, Hv⟩ = ⟨v, Hu⟩, and Hv is a column sum of H.
    #[test]
    fn products_are_adjoint_and_linear(
        x in prop::array::uniform3(-2.0..2.0), u in prop::array::uniform3(-2.0..2.0), v in prop::array::uniform3(-2.0..2.0),
        w in prop::array::uniform4(-2.0..2.0), z in prop::array::uniform4(-2.0..2.0),
    ) {
        let (y, pullback) = vjp(|x| mixed(x), &x);
        let (forward_y, jv) = jvp(|x| mixed(x), &x, &v);
        prop_assert_eq!(&y, &forward_y);
        let jtw = pullback.call(&w);
        let scale = 1.0 + largest(jtw.iter().copied()) + largest(jv.iter().copied());
        prop_assert!((dot(&jv, &w) - dot(&v, &jtw)).abs() < 1e-13 * scale * 10.0);
        let sum: Vec<f64> = w.iter().zip(&z).map(|(w, z)| w - 2.0 * z).collect();
        let (jtz, both) = (pullback.call(&z), pullback.call(&sum));
        for i in 0..3 {
            prop_assert!((both[i] - (jtw[i] - 2.0 * jtz[i])).abs() < 1e-12 * (scale + largest(jtz.iter().copied())));
        }

        let (value, gradient, hv) = value_grad_hvp(|x| loss(x), &x, &v);
        let (plain_value, plain_gradient) = value_and_grad(|x| loss(x), &x);
        prop_assert!((value - plain_value).abs() <= 1e-14 * value.abs());
        let h = hessian(|x| loss(x), &x);
        let scale = 1.0 + largest(h.iter().copied());
        let hu = hvp(|x| loss(x), &x, &u);
        prop_assert!((dot(&u, &hv) - dot(&v, &hu)).abs() < 1e-12 * scale * 12.0);
        for i in 0..3 {
            prop_assert!((gradient[i] - plain_gradient[i]).abs() < 1e-13 * scale * 10.0);
            prop_assert!((hv[i] - dot(&h.row(i).to_vec(), &v)).abs() < 1e-13 * scale * 10.0);
        }
    }
}

#[test]
fn single_precision() {
    let x = [0.5_f32, -1.5];
    assert_eq!(jacobian(|x| vec![x[0] * x[1], x[0]], &x), array![[-1.5, 0.5], [1.0, 0.0]]);
    assert_eq!(hessian(|x| x[0] * x[0] * x[1], &x), array![[-3.0, 1.0], [1.0, 0.0]]);
    assert_eq!(hvp(|x| x[0] * x[0] * x[1], &x, &[1.0, 2.0]), [-1.0, 1.0]);
    assert_eq!(arrays::hessian(|x| x.powi(3).sum(), &array![2.0_f32]), array![[12.0]].into_dyn());
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

// ---------------------------------------------------------------------------------------------
// Shapes of results at their edges

/// A constant, an input itself, one handle twice, a weighted one, weights that cancel.
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
    // Cotangents of one handle add.
    assert_eq!(pullback.call(&[1.0, 0.0, 1.0, 1.0, 1.0, 1.0]), [-5.0, -2.0]);

    // More outputs than eight, so that the columns are pushed forward.
    let j = jacobian(|x| [every_kind(x), every_kind(x), every_kind(x)].concat(), &[2.0, 5.0]);
    assert_eq!(j.slice(s![6..12, ..]), expected);
    assert_eq!(j.slice(s![12.., ..]), expected);
}

#[test]
fn no_inputs_or_no_outputs() {
    assert_eq!(jacobian(|_| vec![Var::constant(1.0)], &[] as &[f64]).dim(), (1, 0));
    assert_eq!(jacobian(|_| vec![], &[1.0, 2.0]).dim(), (0, 2));
    assert_eq!(jacobian_reverse(|_| vec![], &[1.0]).dim(), (0, 1));
    assert_eq!(jacobian_forward(|_| vec![Dual::from(1.0)], &[] as &[f64]).dim(), (1, 0));
    assert_eq!(jacobian_forward(|_| vec![], &[1.0, 2.0]).dim(), (0, 2));
    assert_eq!(vjp(|_| vec![], &[1.0, 2.0]).1.call(&[]), [0.0, 0.0]);
    assert_eq!(jvp(|_| vec![Dual::from(1.0)], &[] as &[f64], &[]), (vec![1.0], vec![0.0]));
    assert_eq!(hvp(|_| Var::constant(Dual::constant(1.0)), &[1.0], &[1.0]), [0.0]);
    assert_eq!(hessian(|_| Var::constant(Dual::constant(1.0)), &[1.0, 2.0]), Array2::<f64>::zeros((2, 2)));
    assert_eq!(hessian(|_| Var::constant(Dual::constant(1.0)), &[] as &[f64]).dim(), (0, 0));
    assert_eq!((divergence(|_| vec![], &[] as &[f64]), laplacian(|x| x[0] * 3.0, &[1.0])), (0.0, 0.0));
}

#[test]
fn wrong_lengths_name_both() {
    type Case = (&'static str, fn());
    let cases: [Case; 8] = [
        ("jvp: the tangent has 1 numbers, the point has 2", (|| drop(jvp(|x| x.to_vec(), &[1.0, 2.0], &[1.0])))),
        (
            "pullback: the cotangent has 3 numbers, the function has 2 outputs",
            (|| {
                drop(vjp(|x| x.to_vec(), &[1.0, 2.0]).1.call(&[1.0; 3]));
            }),
        ),
        ("hvp: the tangent has 3 numbers, the point has 2", (|| drop(hvp(|x| x[0], &[1.0, 2.0], &[1.0; 3])))),
        (
            "value_grad_hvp: the tangent has 0 numbers, the point has 2",
            (|| {
                drop(value_grad_hvp(|x| x[0], &[1.0, 2.0], &[]));
            }),
        ),
        (
            "divergence: the function has 1 outputs and 2 inputs",
            (|| {
                divergence(|x| vec![x[0]], &[1.0, 2.0]);
            }),
        ),
        (
            "divergence: the output has shape [1], the input [2]",
            (|| {
                arrays::divergence(|x| x.slice(s![..1]), &array![1.0, 2.0]);
            }),
        ),
        (
            "pullback: the cotangent has shape [3], the output of the function [2]",
            (|| {
                drop(arrays::vjp(|x| x.sin(), &array![1.0, 2.0]).1.call(&array![1.0, 2.0, 3.0]));
            }),
        ),
        (
            "hvp: the tangent has shape [1], the point [2]",
            (|| {
                drop(arrays::hvp(|x| x.sum(), &array![1.0, 2.0], &array![1.0]));
            }),
        ),
    ];
    for (expected, call) in cases {
        let message = message(call);
        assert!(message.starts_with(expected), "{message}");
    }
    let params = Params::<f64>::new();
    let expected = "Params::with_tangents: 1 tangents for 0 parameters";
    assert!(message(|| drop(params.with_tangents(&[1.0]))).starts_with(expected));
}

#[test]
fn outputs_of_another_tape_are_refused() {
    let other: &'static Tape = Box::leak(Box::new(Tape::new()));
    let foreign = other.var(1.0);
    assert!(message(|| drop(vjp(|x| vec![x[0], foreign], &[1.0]))).contains("two tapes"));
    assert!(message(|| drop(jacobian(|_| vec![foreign], &[1.0]))).contains("two tapes"));
    let other: &'static Tape<Dual<f64>> = Box::leak(Box::new(Tape::new()));
    let foreign = other.var(Dual::new(1.0, [1.0]));
    assert!(message(|| drop(hvp(|_| foreign, &[1.0], &[1.0]))).contains("two tapes"));
    let other: &'static Tape<Dual<f64, 8>> = Box::leak(Box::new(Tape::new()));
    let foreign = other.var(Dual::new(1.0, [1.0; 8]));
    assert!(message(|| drop(hessian(|_| foreign, &[1.0]))).contains("belongs to tape"));
}

// ---------------------------------------------------------------------------------------------
// Arrays

/// yᵢ = tanh Σⱼ xᵢⱼ².
fn rows<R: Real>(x: &[R]) -> Vec<R> {
    x.chunks(3).map(|row| row.iter().map(|x| *x * *x).sum::<R>().tanh()).collect()
}

fn total<R: Real>(x: &[R]) -> R {
    rows(x).into_iter().map(|y| y * y * y).sum()
}

#[test]
fn array_forms_agree_with_slices() {
    let x = array![[0.3, -0.7, 1.1], [0.5, 0.2, -0.4]];
    let v = array![[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]];
    // The layout does not matter: here the columns are contiguous.
    let x = x.t().as_standard_layout().into_owned().reversed_axes();
    let flat: Vec<f64> = x.iter().copied().collect();
    let axis = ndarray::Axis(1);

    let (y, pullback) = arrays::vjp(|x| x.square().sum_axis(axis).tanh(), &x);
    let (plain_y, plain_pullback) = vjp(|x| rows(x), &flat);
    let near = |ours: &[f64], theirs: &[f64]| {
        assert_eq!(ours.len(), theirs.len());
        assert!(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-13), "{ours:?} {theirs:?}");
    };
    let flatten = |a: ndarray::ArrayViewD<'_, f64>| a.iter().copied().collect::<Vec<_>>();
    near(&y.to_vec(), &plain_y);
    near(&flatten(pullback.call(&array![1.0, -2.0]).view().into_dyn()), &plain_pullback.call(&[1.0, -2.0]));

    let j = arrays::jacobian(|x| x.square().sum_axis(axis).tanh(), &x);
    assert_eq!(j.shape(), [2, 2, 3]);
    near(&flatten(j.view()), &flatten(jacobian(|x| rows(x), &flat).view().into_dyn()));

    let (_, jv) = arrays::jvp(|x| x.square().sum_axis(axis).tanh(), &x, &v);
    near(&jv.to_vec(), &jvp(|x| rows(x), &flat, v.as_slice().unwrap()).1);

    let hv = arrays::hvp(|x| x.square().sum_axis(axis).tanh().powi(3).sum(), &x, &v);
    near(&flatten(hv.view().into_dyn()), &hvp(|x| total(x), &flat, v.as_slice().unwrap()));
    let (value, gradient, product) = arrays::value_grad_hvp(|x| x.square().sum_axis(axis).tanh().powi(3).sum(), &x, &v);
    let (plain_value, plain_gradient) = arrays::value_and_grad(|x| x.square().sum_axis(axis).tanh().powi(3).sum(), &x);
    near(&[value], &[plain_value]);
    near(&flatten(gradient.view().into_dyn()), &flatten(plain_gradient.view().into_dyn()));
    assert_eq!(product, hv);

    let h = arrays::hessian(|x| x.square().sum_axis(axis).tanh().powi(3).sum(), &x);
    assert_eq!(h.shape(), [2, 3, 2, 3]);
    let plain_h = hessian(|x| total(x), &flat);
    near(&flatten(h.view()), &flatten(plain_h.view().into_dyn()));
    let trace = arrays::laplacian(|x| x.square().sum_axis(axis).tanh().powi(3).sum(), &x);
    near(&[trace, arrays::divergence(|x| x.powi(3), &x)], &[plain_h.diag().sum(), 3.0 * dot(&flat, &flat)]);
}

#[test]
fn array_outputs_of_every_kind() {
    let x = array![[1.0, 2.0], [3.0, 4.0]];
    // A view of the input, a broadcast, a constant.
    let j = arrays::jacobian(|x| x.t(), &x);
    assert_eq!((j[[0, 1, 1, 0]], j[[0, 1, 0, 1]], j.sum()), (1.0, 0.0, 4.0));
    assert_eq!(arrays::jacobian(|x| x.detach(), &x).sum(), 0.0);
    let (y, pullback) = arrays::vjp(|x| x.slice(s![.., 0]) + x.tape().constant(array![10.0, 20.0]), &x);
    assert_eq!(y, array![11.0, 23.0]);
    assert_eq!(pullback.call(&array![1.0, 2.0]), array![[1.0, 0.0], [2.0, 0.0]]);
    let empty = ndarray::Array1::<f64>::zeros(0);
    assert_eq!(arrays::jacobian(|x| x.sin(), &empty).shape(), [0, 0]);
    assert_eq!(arrays::hessian(|x| x.sum(), &empty).shape(), [0, 0]);
    assert_eq!(arrays::vjp(|x| x.sin(), &empty).1.call(&empty), empty);
}

#[test]
fn hessian_vector_products_of_a_network() {
    let mut params = Params::<f64>::new();
    let w1 = params.add("w1", array![[0.1, -0.4, 0.7], [0.5, 0.2, -0.3]]);
    let b1 = params.add("b1", array![0.1, 0.0, -0.1]);
    let w2 = params.add("w2", array![[0.3, -0.2], [-0.6, 0.9], [0.4, 0.1]]);
    let x = array![[1.0, 2.0], [-0.5, 0.3], [0.7, -1.2]];
    macro_rules! loss {
        ($p:ident) => {
            ($p.constant(&x).dot($p.get(w1)) + $p.get(b1)).tanh().dot($p.get(w2)).softmax_cross_entropy(&[0, 1, 1])
        };
    }
    let direction: Vec<f64> = (0..params.len()).map(|i| 0.5 - 0.1 * i as f64).collect();
    let (value, gradient, product) = Tape::new().value_grad_hvp(&params, &direction, |p| loss!(p));

    let mut tape = Tape::new();
    let mut gradient_at = |values: &[f64]| {
        params.values_mut().copy_from_slice(values);
        let (value, gradient) = tape.value_and_grad(&params, |p| loss!(p));
        (value, gradient.to_vec())
    };
    let at = |t: f64, x0: &[f64]| -> Vec<f64> { x0.iter().zip(&direction).map(|(x, d)| x + t * d).collect() };
    let x0 = [0.1, -0.4, 0.7, 0.5, 0.2, -0.3, 0.1, 0.0, -0.1, 0.3, -0.2, -0.6, 0.9, 0.4, 0.1];
    let (plain_value, plain_gradient) = gradient_at(&x0);
    assert!((value - plain_value).abs() < 1e-15);
    let h = 1e-5;
    let (right, left) = (gradient_at(&at(h, &x0)).1, gradient_at(&at(-h, &x0)).1);
    for i in 0..x0.len() {
        assert!((gradient[i] - plain_gradient[i]).abs() < 1e-15);
        assert!((product[i] - (right[i] - left[i]) / (2.0 * h)).abs() < 1e-9);
    }
}

// ---------------------------------------------------------------------------------------------
// Nested derivatives

/// Siskind and Pearlmutter, "Perturbation confusion and referential transparency", IFL 2005: inner
/// derivatives that capture an outer variable. With one ε for both, the first gives 2 and the last 8.
#[test]
fn nested_derivatives_do_not_confuse_their_perturbations() {
    // d/dx (x · d/dy (x + y)|y=1)|x=1 = 1, forward in forward, forward in reverse, reverse in forward.
    let (_, d) = jvp(
        |x| {
            let one = Dual::from(1.0);
            let (_, d) = jvp(|y| vec![x[0] + y[0]], &[one], &[one]);
            vec![x[0] * d[0]]
        },
        &[1.0],
        &[1.0],
    );
    assert_eq!(d, [1.0]);
    let d = grad(
        |x| {
            let one = Var::constant(1.0);
            let (_, d) = jvp(|y| vec![y[0] + x[0]], &[one], &[one]);
            x[0] * d[0]
        },
        &[1.0],
    );
    assert_eq!(d, [1.0]);

    // d/dx (x · d/dy (x y)) = d/dx x² = 2x: at 3.
    let d = grad(
        |x| {
            let two = Var::constant(2.0);
            let (_, d) = jvp(|y| vec![y[0] * x[0]], &[two], &[Var::constant(1.0)]);
            x[0] * d[0]
        },
        &[3.0],
    );
    assert_eq!(d, [6.0]);

    // Reverse inside forward: the inner tape holds the outer dual numbers.
    let x = Dual::new(3.0, [1.0]);
    let inner = grad(|y| y[0] * y[0] * x, &[Dual::constant(2.0)])[0];
    assert_eq!((x * inner).tangents(), [24.0]); // d/dx (x · 2·2·x) = 8x

    // d/dx (x² · d/dy (x y²)|y=x)|x=1: with y = x the inner is 2x², the whole 2x⁴, the derivative 8x³.
    // But with y = 1 held fixed it is 2x³, and 6.
    let case = |along: f64| {
        let x = Dual::new(1.0, [1.0]);
        let y = Dual::new(1.0, [along]);
        let inner = grad(|y| y[0] * y[0] * x, &[y])[0];
        (x * x * inner).tangents()[0]
    };
    assert_eq!((case(1.0), case(0.0)), (8.0, 6.0));

    // Three levels: d³/dx³ x⁵ by forward over forward over reverse.
    let (_, third) = jvp(
        |x| {
            let one = Dual::from(1.0);
            let (_, second) = jvp(|x| jvp(|x| vec![x[0].powi(5)], x, &[Dual::from(one)]).1, x, &[one]);
            second
        },
        &[2.0],
        &[1.0],
    );
    assert_eq!(third, [60.0 * 4.0]);
}

fn wave<R: Real>(x: R, y: R) -> R {
    x.sin() * y.exp() + x.powi(3) * y.powi(2)
}

#[test]
fn third_derivatives() {
    type Second = Dual<Dual<f64>>;
    let (x, y) = (0.7_f64, 1.3_f64);
    let unit = Dual::constant(1.0);
    let along = |x: f64, outer: f64, inner: f64| Dual::new(Dual::new(x, [outer]), [Dual::constant(inner)]);

    // Along x twice, then the gradient over the tape: f_xxx and f_xxy.
    let tape = Tape::<Second>::new();
    let [vx, vy] = tape.vars([along(x, 1.0, 1.0), along(y, 0.0, 0.0)]);
    let gradient = wave(vx, vy).backward();
    let third = [gradient[vx], gradient[vy]].map(|g| g.tangents()[0].tangents()[0]);
    let expected = [-x.cos() * y.exp() + 6.0 * y * y, -x.sin() * y.exp() + 12.0 * x * y];
    assert!((third[0] - expected[0]).abs() < 1e-14 && (third[1] - expected[1]).abs() < 1e-14);

    // Forward alone: Dual<Dual<Dual>>.
    let lift = |x: f64| Dual::new(along(x, 1.0, 1.0), [Dual::new(unit, [Dual::constant(0.0)])]);
    let t = lift(x).tan().tangents()[0].tangents()[0].tangents()[0];
    let s = x.cos().powi(-2);
    assert!((t - (2.0 * s * s + 4.0 * x.tan().powi(2) * s)).abs() < 1e-12);

    // The Hessian over dual numbers: its derivative along x.
    let h = hessian(|v| wave(v[0], v[1]), &[Dual::new(x, [1.0]), Dual::constant(y)]);
    let expected =
        array![[-x.cos() * y.exp() + 6.0 * y * y, expected[1]], [expected[1], x.cos() * y.exp() + 6.0 * x * x]];
    assert_close("dH/dx", &h.map(|h| h.tangents()[0]), &expected, 1e-14);
}

// ---------------------------------------------------------------------------------------------
// Special points

/// What the table of rules decides at special points, it decides for derivatives of any order: here
/// value, gradient and Hessian of functions of (x, y).
#[test]
fn special_points_at_second_order() {
    const ZERO: [[f64; 2]; 2] = [[0.0; 2]; 2];
    let mut wrong = Vec::new();
    macro_rules! points {
        ($($point:expr, $f:expr => $value:expr, $gradient:expr, $hessian:expr;)+) => { $(
            let point: [f64; 2] = $point;
            let (value, gradient, product) = value_grad_hvp($f, &point, &[1.0, 2.0]);
            let h = hessian($f, &point);
            // A product sums over a row, in which 0 · inf does not occur.
            let along = if h.iter().all(|h: &f64| h.is_finite()) { h.dot(&array![1.0, 2.0]).to_vec() } else { product.clone() };
            if (value, &gradient[..], &h, &product) != ($value, &$gradient[..], &ndarray::arr2(&$hessian), &along) {
                wrong.push(format!("{} at {:?}: {value}, {gradient:?}, {h}, {product:?}", stringify!($f), point));
            }
        )+ };
    }
    let inf = f64::INFINITY;
    points! {
        // A zero factor silences what is infinite at every order.
        [0.0, 1.0], |x| x[0].sqrt() * 0.0 + x[1] => 1.0, [0.0, 1.0], ZERO;
        [0.0, 0.0], |x| (x[0] * 0.0).sqrt() + x[1].square() => 0.0, [0.0, 0.0], [[0.0, 0.0], [0.0, 2.0]];
        [0.0, 3.0], |x| x[0].ln().max(x[1]) => 3.0, [0.0, 1.0], ZERO;
        [-1.0, 3.0], |x| if x[0] > 0.0 { x[0].ln() * x[1] } else { x[1].square() } => 9.0, [0.0, 6.0], [[0.0, 0.0], [0.0, 2.0]];
        // But a factor that moves does not: ∂²(√x y)/∂x∂y = 1/(2√x).
        [0.0, 0.0], |x| x[0].sqrt() * x[1] => 0.0, [0.0, 0.0], [[0.0, inf], [inf, 0.0]];
        // The norm at the origin is flat to every order.
        [0.0, 0.0], |x| norm(x) => 0.0, [0.0, 0.0], ZERO;
        [0.0, 0.0], |x| x[0].hypot(x[1]) => 0.0, [0.0, 0.0], ZERO;
        [0.0, 0.0], |x| norm(x).square() => 0.0, [0.0, 0.0], ZERO;
        // Powers at 0.
        [0.0, 1.0], |x| x[0].powi(0) * x[1] => 1.0, [0.0, 1.0], ZERO;
        [0.0, 1.0], |x| x[0].powi(1) * x[1] => 0.0, [1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]];
        [0.0, 1.0], |x| x[0].powi(2) * x[1] => 0.0, [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
        [0.0, 1.0], |x| x[0].powi(3) * x[1] => 0.0, [0.0, 0.0], ZERO;
        [0.0, 1.0], |x| x[0].powf(0.0) * x[1] => 1.0, [0.0, 1.0], ZERO;
        [0.0, 1.0], |x| x[0].powf(1.0) * x[1] => 0.0, [1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]];
        [0.0, 1.0], |x| x[0].powf(2.0) * x[1] => 0.0, [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
        [0.0, 2.0], |x| x[0].powf(x[1]) => 0.0, [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
        [0.0, 3.0], |x| x[0].powf(x[1]) => 0.0, [0.0, 0.0], ZERO;
        [0.0, 0.0], |x| x[0].square() + x[1].cbrt() * 0.0 => 0.0, [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
        // Kinks: a subgradient, which does not move.
        [0.0, 0.0], |x| x[0].relu() + x[1].abs() => 0.0, [0.0, 0.0], ZERO;
        [0.0, 0.0], |x| x[0].relu() * x[1].abs() => 0.0, [0.0, 0.0], ZERO;
        [0.0, 2.0], |x| x[0].leaky_relu(0.5) * x[1] => 0.0, [1.0, 0.0], [[0.0, 0.5], [0.5, 0.0]];
        [1.0, 1.0], |x| x[0].max(x[1]) => 1.0, [0.5, 0.5], ZERO;
        [1.0, 1.0], |x| x[0].square().max(x[1].square()) => 1.0, [1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]];
        [1.0, 1.0], |x| x[0].min(x[1]) * x[0] => 1.0, [1.5, 0.5], [[1.0, 0.5], [0.5, 0.0]];
        [1.0, 0.3], |x| x[0].clamp(-1.0, 1.0).square() + x[1] => 1.3, [2.0, 1.0], [[2.0, 0.0], [0.0, 0.0]];
        // Saturated functions are flat, not NaN.
        [800.0, -800.0], |x| x[0].tanh() + x[1].tanh() => 0.0, [0.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].sigmoid() + x[1].sigmoid() => 1.0, [0.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].softplus() + x[1].softplus() => 800.0, [1.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].silu() + x[1].silu() => 800.0, [1.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].gelu() + x[1].gelu() => 800.0, [1.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].log_sigmoid() - x[1].elu(1.0) => 1.0, [0.0, 0.0], ZERO;
        [1000.0, 0.0], |x| log_sum_exp(x) => 1000.0, [1.0, 0.0], ZERO;
        [-1000.0, -1000.0], |x| x[0].exp() + x[1].erfc() => 2.0, [0.0, 0.0], ZERO;
        [0.0, 2.0], |x| x[0].xlogy(x[1]) - x[0] * std::f64::consts::LN_2 => 0.0, [0.0, 0.0], [[0.0, 0.5], [0.5, 0.0]];
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where logits are equal the largest is not a constant: second derivatives from p (δ - p).
#[test]
fn equal_logits_have_curvature() {
    let h = hessian(|x| wengert::log_sum_exp(x), &[0.0, 0.0]);
    assert_eq!(h, ndarray::array![[0.25, -0.25], [-0.25, 0.25]]);
    // d²p₀/dx₀² = p₀(1 - p₀)(1 - 2p₀) at p = 1/3.
    let h = hessian(|x| wengert::softmax(x)[0], &[1.0, 1.0, 1.0]);
    assert!((h[[0, 0]] - 2.0_f64 / 27.0).abs() < 1e-15);
}
