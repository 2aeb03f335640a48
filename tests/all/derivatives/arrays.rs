//! Derivatives of functions of arrays against those of the same functions of slices.

// A method's path is not a function for every lifetime of a handle.
#![allow(clippy::redundant_closure_for_method_calls)]

use ndarray::{array, s};
use wengert::{Real, arrays, hessian, hvp, jacobian, jvp, vjp};

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
    // Contiguous columns, since the layout must not matter.
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
    near(
        &[trace, arrays::divergence(|x| x.powi(3), &x)],
        &[plain_h.diag().sum(), 3.0 * flat.iter().map(|x| x * x).sum::<f64>()],
    );
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
