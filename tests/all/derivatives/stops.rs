//! Functions that stop a gradient, which all modes and orders of differentiation must treat alike: their Hessian is the
//! Jacobian of their gradient with what is stopped held constant.

#![allow(clippy::redundant_closure_for_method_calls, clippy::type_complexity)]

use ndarray::{Array1, Axis, Ix1, array, s};
use wengert::nn::{BatchNorm, Dropout, Mode};
use wengert::{
    Dual, Params, Real, Scalar, Tape, Tensor, Var, arrays, grad, hessian, hvp, jacobian, jvp, laplacian, norm,
    sparse_hessian, sparse_jacobian, value_grad_hvp, vjp,
};

type OnVars<F> = for<'t> fn(&[Var<'t, F>]) -> Var<'t, F>;

macro_rules! cases {
    ($( $name:ident: |$x:ident| $f:expr => $gradient:expr, $hessian:expr; )+) => {
        /// The functions at (3, 5), by name.
        fn on_vars<F: Scalar>() -> Vec<(&'static str, OnVars<F>)> {
            vec![$( (stringify!($name), |$x| $f), )+]
        }
        /// Gradients and Hessians by the rules of a closed form.
        const EXPECTED: &[([f64; 2], [[f64; 2]; 2])] = &[$( ($gradient, $hessian), )+];
    };
}
const ZERO: [[f64; 2]; 2] = [[0.0; 2]; 2];
cases! {
    detach: |x| x[0] * x[0].detach() => [3.0, 0.0], ZERO;
    detach_of_other: |x| x[0].square() * x[1].detach() => [30.0, 0.0], [[10.0, 0.0], [0.0, 0.0]];
    detach_of_result: |x| x[1] * (x[0] * x[1]).detach() => [0.0, 15.0], ZERO;
    by_base: |x| x[0] * F::from_base(x[0].to_base()) => [3.0, 0.0], ZERO;
    by_base_of_var: |x| x[0] * <Var<'_, F> as Real>::from_base(x[1].to_base()) => [5.0, 0.0], ZERO;
    straight_through: |x| x[0].straight_through(|x| x.exp()) * x[1] => [5.0, 20.085536923187668], [[0.0, 1.0], [1.0, 0.0]];
    straight_square: |x| x[0].straight_through(|x| x * x).square() => [18.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
    round: |x| x[0] * (x[1] * F::lit(0.3)).round() => [2.0, 0.0], ZERO;
    floor: |x| x[0].square() * (x[0] * F::lit(0.5)).floor() => [6.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
    ceil: |x| x[0].square() * (x[0] * F::lit(0.5)).ceil() => [12.0, 0.0], [[4.0, 0.0], [0.0, 0.0]];
    sign: |x| x[0] * x[1].signum() => [1.0, 0.0], ZERO;
    branch: |x| if x[0] < x[1] { x[0] * x[0] } else { x[1] } => [6.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
    mask: |x| x[0] * x[1] * F::lit(f64::from(u8::from(x[0] > F::zero()))) => [5.0, 3.0], [[0.0, 1.0], [1.0, 0.0]];
    argmax: |x| { let i = usize::from(x[1] > x[0]); x[i] * x[i] } => [0.0, 10.0], [[0.0, 0.0], [0.0, 2.0]];
    detached_norm: |x| x[0] * norm(x).detach() => [5.830951894845301, 0.0], ZERO;
}

const AT: [f64; 2] = [3.0, 5.0];

/// H v, where a zero entry of v counts as 0.
fn times(h: [[f64; 2]; 2], v: [f64; 2]) -> Vec<f64> {
    h.iter().map(|row| row[0] * v[0] + row[1] * v[1]).collect()
}

#[test]
fn every_mode_and_order_agrees() {
    let first = on_vars::<f64>();
    let (single, eight) = (on_vars::<Dual<f64>>(), on_vars::<Dual<f64, 8>>());
    for (i, &(gradient, h)) in EXPECTED.iter().enumerate() {
        let (name, f) = first[i];
        assert_eq!(grad(f, &AT), gradient, "{name}");
        assert_eq!(jacobian(|x| vec![f(x)], &AT).into_raw_vec_and_offset().0, gradient, "{name}");
        assert_eq!(vjp(|x| vec![f(x)], &AT).1.call(&[1.0]), gradient, "{name}");
        assert_eq!(sparse_jacobian(|x| vec![f(x)], &AT).to_dense().into_raw_vec_and_offset().0, gradient, "{name}");
        for v in [[1.0, 0.0], [0.0, 1.0], [0.5, -2.0]] {
            assert_eq!(hvp(single[i].1, &AT, &v), times(h, v), "{name} along {v:?}");
            let (value, g, product) = value_grad_hvp(single[i].1, &AT, &v);
            assert_eq!((g, product), (gradient.to_vec(), times(h, v)), "{name} along {v:?}");
            assert_eq!(value, wengert::value_and_grad(f, &AT).0, "{name}");
        }
        assert_eq!(hessian(eight[i].1, &AT), ndarray::arr2(&h), "{name}");
        assert_eq!(laplacian(eight[i].1, &AT), h[0][0] + h[1][1], "{name}");
        assert_eq!(sparse_hessian(eight[i].1, &AT).to_dense(), ndarray::arr2(&h), "{name}");
    }
}

/// A third derivative, on dual numbers over dual numbers: ∂³/∂x³ of x² c is 0, where x³ has 6.
#[test]
fn detach_stops_nested_tangents() {
    let x = Dual::new(Dual::new(2.0_f64, [1.0]), [Dual::constant(1.0)]);
    let tape = Tape::new();
    let v = tape.var(x);
    let third = |y: Var<'_, _>| -> f64 {
        let d: Dual<Dual<f64>> = y.backward()[v];
        d.tangents()[0].tangents()[0]
    };
    assert_eq!(third(v * v * v), 6.0);
    assert_eq!(third(v * v * v.detach()), 0.0);
    assert_eq!(third(v * v * v.straight_through(|x| x * 7.0)), 6.0);
}

type OnTensor<F> = for<'t> fn(Tensor<'t, F, Ix1>) -> Tensor<'t, F, Ix1>;

/// Functions of a tensor, the same with what is stopped as a number, and their Jacobians at (3, 5).
fn on_tensors<F: Scalar>() -> Vec<(&'static str, OnTensor<F>, [[f64; 2]; 2])> {
    let e = [3_f64.exp(), 5_f64.exp()];
    vec![
        ("detach", |x| x * x.detach(), [[3.0, 0.0], [0.0, 5.0]]),
        ("detached view", |x| x * x.slice(s![..;-1]).detach(), [[5.0, 0.0], [0.0, 3.0]]),
        ("detached row", |x| (x.insert_axis(Axis(0)).detach() * x).sum_axis(Axis(0)), [[3.0, 0.0], [0.0, 5.0]]),
        ("straight_through", |x| x.straight_through(|x| x.exp()).square(), [[2.0 * e[0], 0.0], [0.0, 2.0 * e[1]]]),
        ("round", |x| x * (x * F::lit(0.3)).round(), [[1.0, 0.0], [0.0, 2.0]]),
        ("largest, stopped", |x| x * x.max().detach(), [[5.0, 0.0], [0.0, 5.0]]),
        ("shifted", |x| x - x.mean().detach(), [[1.0, 0.0], [0.0, 1.0]]),
        (
            "taken by argmax",
            |x| x.select(Axis(0), &[x.insert_axis(Axis(0)).argmax_axis(Axis(1))[0]; 2]),
            [[0.0, 1.0]; 2],
        ),
    ]
}

#[test]
fn tensors_forward_and_backward() {
    let at = array![3.0, 5.0];
    let (plain, dual, eight) = (on_tensors::<f64>(), on_tensors::<Dual<f64>>(), on_tensors::<Dual<f64, 8>>());
    for (i, (name, f, j)) in plain.into_iter().enumerate() {
        let j = ndarray::arr2(&j);
        assert_eq!(arrays::jacobian(f, &at).into_dimensionality().unwrap(), j, "{name}");
        let (v, w) = (array![1.0, -2.0], array![0.5, 3.0]);
        let (value, forward) = arrays::jvp(dual[i].1, &at, &v);
        let (again, pullback) = arrays::vjp(f, &at);
        assert_eq!((value, forward), (again, j.dot(&v)), "{name}");
        assert_eq!(pullback.call(&w), j.t().dot(&w), "{name}");
        // f · c has a gradient that depends on x only through what is not stopped.
        let (hessian, product) = (
            arrays::hessian(|x| eight[i].1(x).sum(), &at).into_dimensionality::<ndarray::Ix2>().unwrap(),
            arrays::hvp(|x| dual[i].1(x).sum(), &at, &v),
        );
        assert_eq!(hessian.dot(&v), product, "{name}");
        let straight = name == "straight_through";
        assert_eq!(
            hessian,
            if straight { ndarray::arr2(&[[2.0, 0.0], [0.0, 2.0]]) } else { ndarray::arr2(&ZERO) },
            "{name}"
        );
    }
}

/// Scalar forward mode: a constant by `to_base`, steps and branches.
#[test]
fn jvp_is_vjp() {
    fn f<R: Real>(x: &[R]) -> Vec<R> {
        let c = R::from_base(x[0].to_base());
        vec![x[0] * c, x[0] * x[1].round(), if x[0] < x[1] { x[1] * c } else { c }, x[1].signum() * x[0].floor()]
    }
    let (v, w) = ([0.5, -2.0], [1.0, 2.0, 3.0, 4.0]);
    let forward = jvp(|x| f(x), &[3.5, 5.25], &v).1;
    let backward = vjp(|x| f(x), &[3.5, 5.25]).1.call(&w);
    assert_eq!(forward, [1.75, 2.5, -7.0, 0.0]);
    let (a, b): (f64, f64) = (forward.iter().zip(w).map(|(a, b)| a * b).sum(), backward[0] * v[0] + backward[1] * v[1]);
    assert_eq!(a, b);
}

/// A frozen weight is a constant: its direction does not count. Batch norm's statistics and dropout's mask are data.
#[test]
fn models_on_dual_numbers() {
    let mut params = Params::<f64>::new();
    let w = params.add("w", array![2.0, 3.0]);
    let c = params.add("c", array![5.0, 7.0]);
    params.group("c").freeze();
    let mut tape = Tape::new();
    let (_, gradient, product) =
        tape.value_grad_hvp(&params, &[1.0, 1.0, 1.0, 1.0], |p| (p.get(w).square() * p.get(c)).sum());
    assert_eq!((gradient, product), (vec![20.0, 42.0, 0.0, 0.0], vec![10.0, 14.0, 0.0, 0.0]));

    let mut params = Params::<Dual<f64>>::new();
    let norm = BatchNorm::new(&mut params, "norm", 1);
    let tape = Tape::new();
    let mut mode = Mode::train(0);
    let p = params.on(&tape);
    let x = tape.constant(array![[Dual::new(1.0, [1.0])], [Dual::new(4.0, [-3.0])]]);
    let _ = norm.forward(p, x, &mut mode);
    let _ = Dropout::new(0.5).forward(x, &mut mode);
    drop(tape);
    mode.update_buffers(&mut params);
    let stored = [params.view(norm.running_mean)[0], params.view(norm.running_var)[0]];
    assert_eq!(stored.map(|x| x.tangents()[0]), [0.0; 2]);
    assert_eq!(stored[0].primal(), 0.25);
}

/// ‖x‖² of a tensor at the origin, where the Hessian is 2I (closed form), by every reduction; and a row at the origin
/// beside others.
#[test]
fn norms_of_tensors_at_the_origin() {
    let zero = Array1::<f64>::zeros(3);
    let double = 2.0 * ndarray::Array2::<f64>::eye(3);
    assert_eq!(arrays::hessian(|x| x.norm().powi(2), &zero), double.clone().into_dyn());
    assert_eq!(arrays::hessian(|x| x.norm_axis(Axis(0)).square().sum(), &zero), double.into_dyn());
    assert_eq!(arrays::hvp(|x| x.norm().square(), &zero, &array![1.0, 2.0, -3.0]), array![2.0, 4.0, -6.0]);
    let rows = array![[0.0, 0.0], [3.0, 4.0]];
    let along = array![[1.0, -1.0], [2.0, 0.5]];
    let product: ndarray::Array2<f64> = arrays::hvp(|x| x.norm_axis(Axis(1)).square().sum(), &rows, &along);
    assert!((product - 2.0 * &along).iter().all(|d| d.abs() < 1e-14));
    // The variance as std²: its Hessian is 2 (I - 1/n) / (n - 1), also where all elements are equal.
    let h = arrays::hessian(|x| x.std(1.0).square(), &array![2.0, 2.0]);
    assert_eq!(h, array![[1.0, -1.0], [-1.0, 1.0]].into_dyn());
}
