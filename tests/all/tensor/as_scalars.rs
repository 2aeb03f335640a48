//! Every function that exists for variables and for tensors, one form against the other: values, gradients and second
//! derivatives at special values.

#![allow(clippy::eq_op, clippy::redundant_closure_for_method_calls, clippy::type_complexity)]

use ndarray::{Array1, Axis, Ix1, s};
use wengert::rules::{BINARY, UNARY};
use wengert::{BaseFloat, Dual, Real, Scalar, Tape, Tensor, Var, dot, log_sum_exp, mean, norm, softmax, sum};

type OnVars<F> = for<'t> fn(&[Var<'t, F>]) -> Var<'t, F>;
type OnTensor<F> = for<'t> fn(Tensor<'t, F, Ix1>) -> Var<'t, F>;

macro_rules! forms {
    ($( $name:ident: |$x:ident| $on_vars:expr, |$t:ident| $on_tensor:expr; )+) => {
        /// The functions of any number of operands: name, form for variables, form for tensors.
        fn forms<F: Scalar>() -> Vec<(&'static str, OnVars<F>, OnTensor<F>)> {
            vec![$( (stringify!($name), |$x| $on_vars, |$t| $on_tensor), )+]
        }
    };
}
forms! {
    sum: |x| sum(x), |t| t.sum();
    iterated: |x| x.iter().sum(), |t| t.sum();
    mean: |x| mean(x), |t| t.mean();
    product: |x| x.iter().product(), |t| t.product();
    norm: |x| norm(x), |t| t.norm();
    norm_of_row: |x| norm(x), |t| t.insert_axis(Axis(0)).norm_axis(Axis(1)).at([0]);
    norm_of_column: |x| norm(x), |t| t.insert_axis(Axis(1)).norm_axis(Axis(0)).at([0]);
    squared_norm: |x| norm(x).square(), |t| t.norm().square();
    half_norm: |x| (norm(x) + x[0]).sin(), |t| (t.norm() + t.at([0])).sin();
    log_sum_exp: |x| log_sum_exp(x), |t| t.log_sum_exp();
    softmax: |x| softmax(x)[0], |t| t.softmax(Axis(0)).at([0]);
    softmax_of_last: |x| softmax(x)[x.len() - 1], |t| t.softmax(Axis(0)).at([t.len() - 1]);
    square: |x| dot(x, x), |t| t.dot(t);
    dot: |x| dot(x, &x.iter().rev().copied().collect::<Vec<_>>()), |t| t.dot(t.slice(s![..;-1]));
    largest: |x| x[0].maximum(x[x.len() - 1]), |t| t.slice(s![..;(t.len() as isize - 1).max(1)]).max();
    smallest: |x| x[0].minimum(x[x.len() - 1]), |t| t.slice(s![..;(t.len() as isize - 1).max(1)]).min();
    shared_root: |x| { let r = x[0].sqrt(); r - r }, |t| { let r = t.sqrt(); (r - r).at([0]) };
    shared_ln: |x| { let r = x[0].ln(); r * F::lit(2.0) - r - r }, |t| { let r = t.ln(); (r + r - r - r).at([0]) };
    silenced: |x| x[0].recip().gated_mul(F::zero()), |t| t.recip().gated_mul(F::zero()).at([0]);
    clamp: |x| x[0].clamp(F::Base::lit(-1.0), F::Base::lit(1.0)), |t| t.clamp(F::Base::lit(-1.0), F::Base::lit(1.0)).at([0]);
    powi: |x| x[0].powi(-2), |t| t.powi(-2).at([0]);
    root: |x| x[0].powi(0) + x[0].powi(1), |t| (t.powi(0) + t.powi(1)).at([0]);
    powf: |x| x[0].powf(x[x.len() - 1]), |t| { let (a, b) = ends(t); a.powf(b).at([0]) };
    power_of_number: |x| x[0].powf(F::lit(0.5)), |t| t.powf(F::lit(0.5)).at([0]);
    detached: |x| x[0] * x[0].detach(), |t| (t * t.detach()).at([0]);
    straight_through: |x| x[0].straight_through(|x| x.round()), |t| t.straight_through(|x| x.round()).at([0]);
    clip_cotangent: |x| x[0].exp().clip_cotangent(F::Base::lit(0.5)), |t| t.exp().clip_cotangent(F::Base::lit(0.5)).at([0]);
}

/// The first and the last element, as two tensors of one element.
fn ends<F: Scalar>(t: Tensor<'_, F, Ix1>) -> (Tensor<'_, F, Ix1>, Tensor<'_, F, Ix1>) {
    (t.slice(s![..1]), t.slice(s![-1..]))
}

/// Zeros, infinities, NaN, a subnormal, tiny, huge, and ordinary numbers; kinks and ties come by repetition.
fn special<B: BaseFloat>() -> Vec<B> {
    let (tiny, huge) = (B::min_positive_value(), B::max_value());
    let mut numbers = vec![B::zero(), -B::zero(), B::infinity(), -B::infinity(), B::nan()];
    numbers.extend([tiny * B::epsilon(), -tiny * B::lit(0.25), huge, -huge]);
    numbers.extend([1.0, -1.0, 0.5, -3.0, 40.0].map(B::lit));
    numbers
}

/// Every vector of one or two special numbers, and some of three.
fn points<B: BaseFloat>() -> Vec<Vec<B>> {
    let numbers = special::<B>();
    let mut points = Vec::new();
    for (i, &a) in numbers.iter().enumerate() {
        points.push(vec![a]);
        for (j, &b) in numbers.iter().enumerate() {
            points.push(vec![a, b]);
            if (i + j) % 3 == 0 {
                points.push(vec![a, numbers[(i * 5 + j * 3) % numbers.len()], b]);
            }
        }
    }
    points
}

/// True if two results are one number but for rounding.
fn same<B: BaseFloat>(a: B, b: B) -> bool {
    let rounding = B::epsilon() * B::lit(64.0) * a.abs() + B::min_positive_value() * B::epsilon() * B::lit(4.0);
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= rounding
}

/// Value and gradient of the form for variables.
fn of_vars<F: Scalar>(x: &[F], f: impl for<'t> Fn(&[Var<'t, F>]) -> Var<'t, F>) -> Vec<F> {
    let tape = Tape::new();
    let x = tape.vars_from(x);
    let y = f(x);
    [vec![y.value()], y.backward().wrt(x)].concat()
}

/// Value and gradient of the form for tensors.
fn of_tensor<F: Scalar>(x: &[F], f: impl for<'t> Fn(Tensor<'t, F, Ix1>) -> Var<'t, F>) -> Vec<F> {
    let tape = Tape::new();
    let x = Array1::from(x.to_vec());
    let x = tape.tensor(&x);
    let y = f(x);
    [vec![y.value()], y.backward().wrt(x).to_vec()].concat()
}

/// Adds a line for each element in which the two forms differ.
fn compare<B: BaseFloat>(faults: &mut Vec<String>, case: &str, x: &[B], of_vars: &[B], of_tensor: &[B]) {
    if !of_vars.iter().zip(of_tensor).all(|(&a, &b)| same(a, b)) {
        faults.push(format!("{case} at {x:?}: of variables {of_vars:?}, of a tensor {of_tensor:?}"));
    }
}

fn report(faults: &[String]) {
    let shown = &faults[..faults.len().min(40)];
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), shown.join("\n"));
}

fn first_order<B: BaseFloat>() {
    let mut faults = Vec::new();
    for (name, on_vars, on_tensor) in forms::<B>() {
        for x in points() {
            compare(&mut faults, name, &x, &of_vars(&x, on_vars), &of_tensor(&x, on_tensor));
        }
    }
    report(&faults);
}

#[test]
fn values_and_gradients() {
    first_order::<f64>();
}

#[test]
fn values_and_gradients_in_single_precision() {
    first_order::<f32>();
}

/// The tangents of value and gradient along some directions.
#[test]
fn second_derivatives() {
    let mut faults = Vec::new();
    for (name, on_vars, on_tensor) in forms::<Dual<f64, 3>>() {
        for x in points::<f64>() {
            let along = |i: usize, &x: &f64| Dual::new(x, [f64::from(i == 0), f64::from(i == 1), 0.5 - i as f64]);
            let dual: Vec<_> = x.iter().enumerate().map(|(i, x)| along(i, x)).collect();
            // The value NaN of a tie has no tangent to agree on.
            if ["largest", "smallest"].contains(&name) && x.iter().all(|x| x.is_nan()) {
                continue;
            }
            let (vars, tensor) = (of_vars(&dual, on_vars), of_tensor(&dual, on_tensor));
            compare(&mut faults, name, &x, &parts(&vars), &parts(&tensor));
        }
    }
    report(&faults);
}

/// The rows of the table of rules.
#[test]
fn elementary_functions() {
    let mut faults = Vec::new();
    macro_rules! compare_rows {
        ($on_var:ident, $on_tensor:ident, $numbers:expr, $parts:expr) => {
            for row in UNARY {
                for x in $numbers {
                    let vars = of_vars(&[x], |x| (row.$on_var)(x[0]));
                    let tensor = of_tensor(&[x], |t| (row.$on_tensor)(t).at([0]));
                    compare(&mut faults, row.name, &$parts(&[x]), &$parts(&vars), &$parts(&tensor));
                }
            }
            for row in BINARY {
                for a in $numbers {
                    for b in $numbers {
                        let vars = of_vars(&[a, b], |x| (row.$on_var)(x[0], x[1]));
                        let tensor =
                            of_tensor(&[a, b], |t| (row.$on_tensor)(t.slice(s![..1]), t.slice(s![1..])).at([0]));
                        compare(&mut faults, row.name, &$parts(&[a, b]), &$parts(&vars), &$parts(&tensor));
                    }
                }
            }
        };
    }
    compare_rows!(on_var, on_tensor, special::<f64>(), <[f64]>::to_vec);
    compare_rows!(on_var_f32, on_tensor_f32, special::<f32>(), <[f32]>::to_vec);
    compare_rows!(on_var_dual, on_tensor_dual, special().into_iter().map(|x| Dual::new(x, [1.0])), parts);
    report(&faults);
}

/// Primals and tangents.
fn parts<const N: usize>(of: &[Dual<f64, N>]) -> Vec<f64> {
    of.iter().flat_map(|d| [&[d.primal()][..], &d.tangents()].concat()).collect()
}
