//! Tensors without elements: results, gradients of zeros, and messages.

#![allow(clippy::redundant_closure_for_method_calls)]

use ndarray::{Array1, Array2, Axis, Ix1, Ix2, array, s};
use wengert::{Params, Scalar, Tape, Tensor, Var, arrays};

use crate::support::panics::panic_of;

type Loss<F> = for<'t> fn(Tensor<'t, F, Ix2>, Tensor<'t, F, Ix1>) -> Var<'t, F>;

/// Losses of a (0, 3) tensor `e` and of three numbers `b`: name, loss, value, gradient with respect to b.
fn losses<F: Scalar>() -> Vec<(&'static str, Loss<F>, f64, [f64; 3])> {
    let nan = f64::NAN;
    vec![
        ("nothing selected", |_, b| b.select(Axis(0), &[]).square().sum(), 0.0, [0.0; 3]),
        ("sum", |e, b| (e + b).sum(), 0.0, [0.0; 3]),
        ("sum beside others", |e, b| (e * b).sum() + b.sum(), 6.0, [1.0; 3]),
        ("sum of no rows", |e, b| (e.sum_axis(Axis(0)) * b + b).square().sum(), 14.0, [2.0, 4.0, 6.0]),
        ("rows of no row", |e, b| (e * b).sum_axis(Axis(1)).exp().sum(), 0.0, [0.0; 3]),
        ("product", |e, b| (e * b).product() * b.at([0]), 1.0, [1.0, 0.0, 0.0]),
        ("norm", |e, b| (e - b).norm(), 0.0, [0.0; 3]),
        ("log_sum_exp", |e, b| (e * b).log_sum_exp().exp(), 0.0, [0.0; 3]),
        ("mean", |e, b| (e * b).mean(), nan, [0.0; 3]),
        ("var", |e, b| (e * b).var(F::Base::zero_()), nan, [0.0; 3]),
        ("softmax", |e, b| (e * b).softmax(Axis(0)).sum() + (e * b).log_softmax(Axis(1)).sum(), 0.0, [0.0; 3]),
        ("slices", |_, b| b.slice(s![1..1]).exp().sum(), 0.0, [0.0; 3]),
        ("gathered", |e, b| (e + b).select(Axis(1), &[2, 0, 0]).sum(), 0.0, [0.0; 3]),
        ("views", |e, b| (e + b).t().reshape((0, 3)).insert_axis(Axis(1)).sum(), 0.0, [0.0; 3]),
        ("matrix times vector", |e, b| (e.dot(b) + F::one()).sum(), 0.0, [0.0; 3]),
        ("inner length 0", |e, b| (e.t().dot(e).dot(b) + b).square().sum(), 14.0, [2.0, 4.0, 6.0]),
        ("kept", |e, b| (e + b).keep_where(&Array2::from_elem((0, 3), true), b).sum(), 0.0, [0.0; 3]),
        ("padded", |e, b| (e * b).pad(&[(1, 0), (0, 0)], F::one()).sum() + b.sum(), 9.0, [1.0; 3]),
        ("affine", |e, b| e.affine(b.broadcast((3, 3)), b).square().sum(), 0.0, [0.0; 3]),
        ("normalised", |e, b| (e + b).layer_norm(F::Base::one_()).sum(), 0.0, [0.0; 3]),
        #[cfg(feature = "linalg")]
        ("determinant", |e, b| e.dot(e.t()).det() * b.at([0]), 1.0, [1.0, 0.0, 0.0]),
        (
            "straight",
            |e, b| (e + b).straight_through(|x| x.round()).clip_cotangent(F::Base::one_()).sum(),
            0.0,
            [0.0; 3],
        ),
    ]
}

trait Numbers {
    fn zero_() -> Self;
    fn one_() -> Self;
}
impl<B: wengert::BaseFloat> Numbers for B {
    fn zero_() -> Self {
        B::lit(0.0)
    }
    fn one_() -> Self {
        B::lit(1.0)
    }
}

#[test]
fn losses_of_nothing() {
    let (e, b) = (Array2::<f64>::zeros((0, 3)), array![1.0, 2.0, 3.0]);
    for (name, loss, value, gradient) in losses::<f64>() {
        let tape = Tape::new();
        // An empty input, an empty constant, and an empty result beside numbers that are differentiated.
        for e in [tape.tensor(&e), tape.constant(&e), tape.tensor(&b).insert_axis(Axis(0)).select(Axis(0), &[])] {
            let x = tape.tensor(&b);
            let y = loss(e, x);
            assert!(!y.is_constant(), "{name}");
            assert!(y.value() == value || y.value().is_nan() && value.is_nan(), "{name}: {}", y.value());
            let got = y.backward();
            assert_eq!(got.wrt(x), Array1::from(gradient.to_vec()), "{name}");
            assert_eq!(got.wrt(tape.tensor(&e.value().to_owned()).slice(s![..0, ..])).len(), 0, "{name}");
        }
        // In the closure form, and on dual numbers.
        let (other, got) = arrays::value_and_grad(|x| loss(x.tape().constant(e.clone()), x), &b);
        assert!(other.to_bits() == value.to_bits() || other.is_nan() && value.is_nan(), "{name}");
        assert_eq!(got, Array1::from(gradient.to_vec()), "{name}");
    }
    for (name, loss, ..) in losses::<wengert::Dual<f64>>() {
        let product =
            arrays::hvp(|x| loss(x.tape().constant(Array2::<f64>::zeros((0, 3))), x), &b, &array![1.0, 0.0, 0.0]);
        let curved = ["sum of no rows", "inner length 0"].contains(&name);
        assert_eq!(product, array![if curved { 2.0 } else { 0.0 }, 0.0, 0.0], "{name}");
    }
}

/// Operations that need an element say so, at the caller's line.
#[test]
fn what_needs_an_element() {
    let tape = Tape::<f64>::new();
    let (b, e) = (array![1.0], Array2::<f64>::zeros((0, 3)));
    let (b, e) = (tape.tensor(&b), tape.tensor(&e));
    let none = b.select(Axis(0), &[]);
    for (message, work) in [
        ("max: no element to choose from", &(|| _ = none.max()) as &dyn Fn()),
        ("min: no element to choose from", &|| _ = none.min()),
        ("max_axis: no element to choose from", &|| _ = e.max_axis(Axis(0))),
        ("argmax_axis: no element to choose from", &|| _ = e.argmax_axis(Axis(0))),
        ("std: ddof = 1 is not between 0 and the number of elements, 0", &|| _ = none.std(1.0)),
        ("mse: the prediction of shape [0] is empty", &|| _ = none.mse(0.0)),
        ("at: index [0] is out of bounds", &|| _ = none.at([0])),
    ] {
        let panic = panic_of(work);
        assert!(panic.message.starts_with(message) && panic.file == file!(), "{panic}");
    }
    // A loss that was computed from constants alone stays an error.
    let constant = tape.constant(Array1::<f64>::zeros(0));
    assert!(panic_of(|| _ = constant.sum().backward()).message.contains("is a constant"));
}

#[test]
fn joined_with_nothing() {
    let tape = Tape::<f64>::new();
    let b = array![1.0, 2.0];
    let x = tape.tensor(&b);
    let none = x.slice(s![..0]);
    let y = tape.concatenate(Axis(0), &[none, x, none]);
    assert_eq!(x.gather(Axis(0), &Array1::<usize>::zeros(0)).sum().backward().wrt(x), array![0.0, 0.0]);
    assert_eq!(y.square().sum().backward().wrt(x), array![2.0, 4.0]);
    assert_eq!(tape.concatenate(Axis(0), &[none, none]).sum().backward().wrt(x), array![0.0, 0.0]);
}

#[test]
fn no_parameters_and_no_outputs() {
    let mut tape = Tape::<f64>::new();
    let mut params = Params::new();
    let (loss, grad) = tape.value_and_grad(&params, |_| Var::constant(2.0));
    assert_eq!((loss, grad.len()), (2.0, 0));
    let w = params.add("w", Array2::zeros((0, 3)));
    let (loss, grad) = tape.value_and_grad(&params, |p| p.get(w).square().sum() + p.flat().sum());
    assert_eq!((loss, grad.len()), (0.0, 0));

    let point = array![1.0, 2.0];
    assert_eq!(arrays::jacobian(|x| x.slice(s![..0]).exp(), &point).shape(), [0, 2]);
    assert_eq!(wengert::jacobian(|_| vec![], &[1.0, 2.0]).dim(), (0, 2));
    assert_eq!(wengert::jacobian_reverse(|_| vec![], &[1.0, 2.0]).dim(), (0, 2));
    assert_eq!(wengert::jacobian_forward(|_| vec![], &[1.0, 2.0]).dim(), (0, 2));
    assert_eq!(wengert::jacobian(|_: &[Var<'_>]| vec![Var::constant(1.0)], &[]).dim(), (1, 0));
    assert_eq!(wengert::sparse_jacobian(|_| vec![], &[1.0, 2.0]).shape(), (0, 2));
    assert_eq!(wengert::hessian(|_| Var::constant(wengert::Dual::constant(1.0)), &[]).dim(), (0, 0));
    assert_eq!(wengert::grad(|x| wengert::norm(x), &[0.0; 0]), [0.0; 0]);
    assert_eq!(wengert::vjp(|_| vec![], &[1.0, 2.0]).1.call(&[]), [0.0, 0.0]);
    let (value, pulled) = arrays::vjp(|x| x.select(Axis(0), &[]), &point);
    assert_eq!((value.len(), pulled.call(&array![])), (0, array![0.0, 0.0]));
    let (value, pushed) = arrays::jvp(|x| x.select(Axis(0), &[]), &point, &point);
    assert_eq!((value.len(), pushed.len()), (0, 0));
    assert_eq!(arrays::hessian(|x| x.square().sum(), &Array1::<f64>::zeros(0)).shape(), [0, 0]);
}
