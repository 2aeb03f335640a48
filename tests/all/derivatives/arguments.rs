//! Arguments and results at the edge: empty, of wrong length, of another tape, in single precision.

// A method's path is not a function for every lifetime of a handle.
#![allow(clippy::redundant_closure_for_method_calls)]

use ndarray::{Array2, array, s};
use wengert::{
    Dual, Params, Tape, Var, arrays, divergence, hessian, hvp, jacobian, jacobian_forward, jacobian_reverse, jvp,
    laplacian, value_grad_hvp, vjp,
};

use crate::support::panics::panic_of;

#[test]
fn single_precision() {
    let x = [0.5_f32, -1.5];
    assert_eq!(jacobian(|x| vec![x[0] * x[1], x[0]], &x), array![[-1.5, 0.5], [1.0, 0.0]]);
    assert_eq!(hessian(|x| x[0] * x[0] * x[1], &x), array![[-3.0, 1.0], [1.0, 0.0]]);
    assert_eq!(hvp(|x| x[0] * x[0] * x[1], &x, &[1.0, 2.0]), [-1.0, 1.0]);
    assert_eq!(arrays::hessian(|x| x.powi(3).sum(), &array![2.0_f32]), array![[12.0]].into_dyn());
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
        let panic = panic_of(call);
        assert!(panic.message.starts_with(expected), "{panic}");
    }
    let params = Params::<f64>::new();
    let expected = "Params::with_tangents: 1 tangents for 0 parameters";
    assert!(panic_of(|| params.with_tangents(&[1.0])).message.starts_with(expected));
}

#[test]
fn outputs_of_another_tape_are_refused() {
    let other: &'static Tape = Box::leak(Box::new(Tape::new()));
    let foreign = other.var(1.0);
    assert!(panic_of(|| vjp(|x| vec![x[0], foreign], &[1.0])).message.contains("two tapes"));
    assert!(panic_of(|| jacobian(|_| vec![foreign], &[1.0])).message.contains("two tapes"));
    let other: &'static Tape<Dual<f64>> = Box::leak(Box::new(Tape::new()));
    let foreign = other.var(Dual::new(1.0, [1.0]));
    assert!(panic_of(|| hvp(|_| foreign, &[1.0], &[1.0])).message.contains("two tapes"));
    let other: &'static Tape<Dual<f64, 8>> = Box::leak(Box::new(Tape::new()));
    let foreign = other.var(Dual::new(1.0, [1.0; 8]));
    assert!(panic_of(|| hessian(|_| foreign, &[1.0])).message.contains("belongs to tape"));
}
