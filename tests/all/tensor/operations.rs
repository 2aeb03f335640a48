//! The table of tensor operations: a row for each, which the driver checks in every layout, on tapes of
//! `f32`, `f64` and dual numbers, against differences and plain implementations.
//!
//! A row reads: its name, the shapes of the operands in each case and what else is not as in [`ROW`], the
//! operation, and a plain implementation of its values. Each row is a test of that name.
//!
//! Not here: the functions of one number, which the table of rules tests one by one; operations without
//! a derivative (`detach`, `argmax_axis`, `accuracy`); the normalisation over channels, which needs the
//! parameters of its layer.

mod driver;
pub(crate) mod layouts;

use ndarray::{Array, Array1, Array2, ArrayD, Axis, Dimension, Ix1, Ix2, Ix3, Ix4, IxDyn, Slice, array, s};
use wengert::{Activation, BaseFloat, Conv, Diag, Pool, Scalar, Tensor, Uplo};

pub(crate) use driver::Number;
use driver::{Dyn, Operation, Output, Outputs, ROW, Row, Sample, Values, Way, check};

macro_rules! operations {
    ($(
        $(#[$attribute:meta])*
        $name:ident: $cases:expr $(, $field:ident: $setting:expr)*;
        |$($x:ident),+| $body:expr
        $(, value |$($v:ident),+| $value:expr)?;
    )+) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                #[allow(clippy::redundant_closure_call)]
                fn run<'t, F: Scalar>(x: &[Dyn<'t, F>]) -> Vec<Output<'t, F>> {
                    let &[$($x),+] = x else { unreachable!("the row has other operands") };
                    $body.outputs()
                }
                let operation = Operation {
                    single: run::<f32>,
                    double: run::<f64>,
                    dual: run::<wengert::Dual<f64>>,
                    value: operations!(@value $(|$($v),+| $value)?),
                };
                check(stringify!($name), &Row { cases: $cases, $($field: $setting,)* ..ROW }, &operation);
            }
        )+
    };
    (@value) => { None };
    (@value |$($v:ident),+| $value:expr) => {
        Some(|x: &[ArrayD<f64>]| {
            let [$($v),+] = x else { unreachable!("the row has other operands") };
            $value.values()
        })
    };
}

type Cases = &'static [&'static [&'static [usize]]];

/// One operand of any shape: no axis, one element, no element, axes of length 1, longer than a vector
/// register.
const ONE: Cases = &[&[&[]], &[&[1]], &[&[0]], &[&[3]], &[&[2, 0, 3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[35]]];
/// Those with an element.
const FILLED: Cases = &[&[&[]], &[&[1]], &[&[3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 3, 2]], &[&[35]]];
/// Those with an axis.
const WITH_AXES: Cases =
    &[&[&[1]], &[&[0]], &[&[3]], &[&[2, 0, 3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 3, 2]], &[&[2, 19]]];
/// Those with both.
const FIBERS: Cases = &[&[&[1]], &[&[3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 3, 2]], &[&[0, 2]], &[&[2, 19]]];
/// Two operands that broadcast: neither, one, both; along missing axes and axes of length 1.
const PAIRS: Cases = &[
    &[&[3, 4], &[3, 4]],
    &[&[3, 4], &[4]],
    &[&[4], &[3, 4]],
    &[&[3, 1], &[1, 4]],
    &[&[2, 1, 3], &[4, 1]],
    &[&[], &[2, 3]],
    &[&[2, 3], &[]],
    &[&[], &[]],
    &[&[1], &[1]],
    &[&[1, 1], &[3]],
    &[&[0, 3], &[3]],
    &[&[1], &[0]],
    &[&[35], &[35]],
    &[&[2, 19], &[19]],
];
/// Two operands of one shape.
const EQUAL: Cases = &[&[&[], &[]], &[&[1], &[1]], &[&[3, 4], &[3, 4]], &[&[2, 1, 3], &[2, 1, 3]], &[&[35], &[35]]];
const MATRICES: Cases = &[&[&[1, 1]], &[&[2, 2]], &[&[3, 3]], &[&[4, 4]], &[&[0, 0]]];
const SYSTEMS: Cases = &[
    &[&[3, 3], &[3]],
    &[&[3, 3], &[3, 2]],
    &[&[4, 4], &[4, 1]],
    &[&[1, 1], &[1]],
    &[&[3, 3], &[3, 3]],
    &[&[3, 3], &[3, 0]],
    &[&[0, 0], &[0]],
];

const POSITIVE: &[Sample] = &[Sample::Between(0.3, 2.0)];
const APART: &[Sample] = &[Sample::Apart(-2.0, 2.25)];
const TIES: &[(Way, &str)] = &[(Way::Aliased, "equal elements are a kink")];

fn of<'t, F: Scalar, D: Dimension>(x: Dyn<'t, F>) -> Tensor<'t, F, D> {
    x.into_dimensionality().expect("the row's cases have this number of axes")
}

fn dim<D: Dimension>(x: &ArrayD<f64>) -> Array<f64, D> {
    x.clone().into_dimensionality().expect("the row's cases have this number of axes")
}

fn base<F: Scalar>(x: f64) -> F::Base {
    F::Base::round_from(x)
}

/// Along each axis.
fn along<F: Scalar, O>(x: Dyn<'_, F>, f: impl Fn(Axis) -> O) -> Vec<O> {
    (0..x.ndim()).map(|axis| f(Axis(axis))).collect()
}

/// A number for the elements along each axis.
fn folds(x: &ArrayD<f64>, f: impl Fn(&[f64]) -> f64) -> Vec<ArrayD<f64>> {
    let axes = (0..x.ndim()).map(|axis| x.map_axis(Axis(axis), |lane| f(&lane.to_vec())));
    axes.collect()
}

/// The elements along each axis, changed.
fn lanes(x: &ArrayD<f64>, axis: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> ArrayD<f64> {
    let mut y = x.clone();
    for mut lane in y.lanes_mut(Axis(axis)) {
        let changed = f(&lane.to_vec());
        lane.assign(&Array1::from(changed));
    }
    y
}

fn each_axis(x: &ArrayD<f64>, f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<ArrayD<f64>> {
    (0..x.ndim()).map(|axis| lanes(x, axis, &f)).collect()
}

fn flat(x: &ArrayD<f64>) -> Vec<f64> {
    x.iter().copied().collect()
}

fn zip(x: &ArrayD<f64>, y: &ArrayD<f64>, f: impl Fn(f64, f64) -> f64) -> ArrayD<f64> {
    // ndarray finds the common shape.
    let shape = (x + y).raw_dim();
    let [x, y] = [x, y].map(|x| x.broadcast(shape.clone()).expect("the common shape"));
    ndarray::Zip::from(x).and(y).map_collect(|&x, &y| f(x, y))
}

mod elementwise {
    use super::*;

    operations! {
        add: PAIRS; |x, y| x + y, value |x, y| x + y;
        sub: PAIRS; |x, y| x - y, value |x, y| x - y;
        mul: PAIRS; |x, y| x * y, value |x, y| x * y;
        div: PAIRS, operands: &[Sample::Between(-2.0, 2.0), Sample::Between(0.5, 2.0)];
            |x, y| x / y, value |x, y| x / y;
        div_alike: PAIRS, operands: POSITIVE; |x, y| x / y, value |x, y| x / y;
        /// Between two jumps.
        rem: PAIRS, operands: &[Sample::Between(5.2, 5.8), Sample::Between(2.1, 2.4)]; |x, y| x % y, value |x, y| x % y;
        powf: PAIRS, operands: POSITIVE; |x, y| x.powf(y), value |x, y| zip(x, y, f64::powf);
        log: PAIRS, operands: &[Sample::Between(1.5, 4.0)], first: 1e-8; |x, y| x.log(y), value |x, y| zip(x, y, f64::log);
        atan2: PAIRS, operands: POSITIVE; |x, y| x.atan2(y), value |x, y| zip(x, y, f64::atan2);
        hypot: PAIRS, operands: POSITIVE; |x, y| x.hypot(y), value |x, y| zip(x, y, f64::hypot);
        maximum: PAIRS, operands: APART, not: TIES; |x, y| x.maximum(y), value |x, y| zip(x, y, f64::max);
        minimum: PAIRS, operands: APART, not: TIES; |x, y| x.minimum(y), value |x, y| zip(x, y, f64::min);
        copysign: PAIRS, operands: &[Sample::Between(0.2, 2.0), Sample::Between(-2.0, -0.2)];
            |x, y| x.copysign(y), value |x, y| zip(x, y, f64::copysign);
        xlogy: PAIRS, operands: POSITIVE; |x, y| x.xlogy(y), value |x, y| zip(x, y, |x, y| x * y.ln());
        gated_mul: PAIRS; |x, y| x.gated_mul(y), value |x, y| x * y;
        /// Operands, operators and their assigning forms of every kind beside a tensor.
        numbers_beside: ONE, operands: POSITIVE;
            |x| {
                let two = F::lit(2.0);
                let mut y = (x + two) * two - x / two;
                y += two;
                y *= x;
                [y, x.powf(two), x.hypot(F::one()), -x]
            },
            value |x| vec![(x * 1.5 + 6.0) * x, x * x, x.mapv(|x| x.hypot(1.0)), -x];
        /// A scalar variable on either side.
        variables_beside: &[&[&[], &[2, 3]], &[&[], &[]], &[&[], &[0]], &[&[], &[35]]], operands: POSITIVE;
            |v, x| {
                let v = of(v).into_var();
                // Not a node of the tape, but a function of one.
                let w = v.square() + F::one();
                [x * v, v - x, x / w, w / x, x.powf(v), x.atan2(w)]
            },
            value |v, x| {
                let v = v.sum();
                let w = v * v + 1.0;
                vec![x * v, v - x, x / w, w / x, x.mapv(|x| x.powf(v)), x.mapv(|x| x.atan2(w))]
            };
        arrays_beside: &[&[&[3]], &[&[2, 3]], &[&[2, 1]]];
            |x| x * array![F::lit(0.5), F::lit(-2.0), F::lit(3.0)].into_dyn(),
            value |x| x * &array![0.5, -2.0, 3.0];
        neg: ONE; |x| -x, value |x| -x;
        square: ONE; |x| x.square(), value |x| x * x;
        exp: ONE, first: 1e-8; |x| x.exp(), value |x| x.mapv(f64::exp);
        tanh: ONE; |x| x.tanh(), value |x| x.mapv(f64::tanh);
        sqrt: ONE, operands: POSITIVE; |x| x.sqrt(), value |x| x.mapv(f64::sqrt);
        leaky_relu: ONE, operands: APART; |x| x.leaky_relu(base::<F>(0.25)), value |x| x.mapv(|x| if x > 0.0 { x } else { x / 4.0 });
        powi: ONE; |x| x.powi(3), value |x| x.mapv(|x| x * x * x);
    }
}

mod reduce {
    use super::*;

    fn mean(x: &[f64]) -> f64 {
        x.iter().sum::<f64>() / x.len() as f64
    }

    fn var(x: &[f64], ddof: f64) -> f64 {
        x.iter().map(|y| (y - mean(x)).powi(2)).sum::<f64>() / (x.len() as f64 - ddof)
    }

    fn norm(x: &[f64]) -> f64 {
        x.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    fn log_sum_exp(x: &[f64]) -> f64 {
        x.iter().map(|x| x.exp()).sum::<f64>().ln()
    }

    fn product(x: &[f64]) -> f64 {
        x.iter().product()
    }

    const SPREAD: Cases = &[&[&[3]], &[&[2, 3, 2]], &[&[3, 4]], &[&[4, 19]]];
    const SHORT: Cases = &[&[&[]], &[&[1]], &[&[0]], &[&[3]], &[&[2, 0, 3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 3, 2]]];
    /// All elements are equal if the tensor of one axis is broadcast.
    const CONES: &[(Way, &str)] = &[(Way::Repeated, "the distance of equal elements is a kink")];

    operations! {
        sum: ONE; |x| x.sum(), value |x| x.sum();
        sum_axis: WITH_AXES; |x| along(x, |axis| x.sum_axis(axis)), value |x| folds(x, |x| x.iter().sum());
        mean_all: FILLED; |x| x.mean(), value |x| mean(&flat(x));
        mean_axis: FIBERS, operands: POSITIVE; |x| along(x, |axis| x.mean_axis(axis)).split_off(usize::from(x.is_empty())),
            value |x| folds(x, mean).split_off(usize::from(x.is_empty()));
        product_all: SHORT; |x| x.product(), value |x| x.product();
        product_axis: SHORT; |x| along(x, |axis| x.product_axis(axis)), value |x| folds(x, product);
        /// Factors of 0: the partials are products of the others.
        product_with_zeros: &[&[&[3, 4]], &[&[5]]];
            |x| {
                let mask = ArrayD::from_shape_fn(x.dim(), |i| i[i.ndim() - 1] % 3 != 1);
                let x = x.keep_where(&mask, F::zero()) + x * F::lit(0.0);
                (x.product_axis(Axis(0)), x.slice_axis(Axis(x.ndim() - 1), Slice::from(..3)).product())
            };
        max: FILLED, operands: APART; |x| x.max(), value |x| x.iter().copied().fold(f64::NAN, f64::max);
        max_axis: &[&[&[1]], &[&[3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 19]]], operands: APART;
            |x| along(x, |axis| x.max_axis(axis)), value |x| folds(x, |x| x.iter().copied().fold(f64::NAN, f64::max));
        min: FILLED, operands: APART; |x| x.min(), value |x| x.iter().copied().fold(f64::NAN, f64::min);
        min_axis: &[&[&[1]], &[&[3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 19]]], operands: APART;
            |x| along(x, |axis| x.min_axis(axis)), value |x| folds(x, |x| x.iter().copied().fold(f64::NAN, f64::min));
        var_all: FILLED; |x| x.var(base::<F>(0.0)), value |x| var(&flat(x), 0.0);
        var_of_a_sample: SPREAD; |x| x.var(base::<F>(1.0)), value |x| var(&flat(x), 1.0);
        var_axis: SPREAD; |x| along(x, |axis| x.var_axis(axis, base::<F>(0.5))), value |x| folds(x, |x| var(x, 0.5));
        std_all: SPREAD, not: CONES; |x| x.std(base::<F>(1.0)), value |x| var(&flat(x), 1.0).sqrt();
        /// Along the longest axis: two elements may be too near to each other for differences.
        std_axis: SPREAD, operands: APART, first: 1e-8, second: 1e-7, single: 1e-4;
            |x| {
                let axis = (0..x.ndim()).max_by_key(|&axis| x.shape()[axis]).expect("an axis");
                x.std_axis(Axis(axis), base::<F>(0.5))
            },
            value |x| {
                let axis = (0..x.ndim()).max_by_key(|&axis| x.shape()[axis]).expect("an axis");
                x.map_axis(Axis(axis), |x| var(&x.to_vec(), 0.5).sqrt())
            };
        norm_all: FILLED, operands: POSITIVE; |x| x.norm(), value |x| norm(&flat(x));
        norm_axis: FIBERS, operands: POSITIVE; |x| along(x, |axis| x.norm_axis(axis)), value |x| folds(x, norm);
        log_sum_exp_all: FILLED; |x| x.log_sum_exp(), value |x| log_sum_exp(&flat(x));
        log_sum_exp_axis: &[&[&[1]], &[&[3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 19]]];
            |x| along(x, |axis| x.log_sum_exp_axis(axis)), value |x| folds(x, log_sum_exp);
        softmax: WITH_AXES; |x| along(x, |axis| x.softmax(axis)),
            value |x| each_axis(x, |x| x.iter().map(|y| (y - log_sum_exp(x)).exp()).collect());
        log_softmax: WITH_AXES; |x| along(x, |axis| x.log_softmax(axis)),
            value |x| each_axis(x, |x| x.iter().map(|y| y - log_sum_exp(x)).collect());
        layer_norm: WITH_AXES, first: 1e-8, second: 1e-7, single: 1e-4; |x| x.layer_norm(base::<F>(0.125)),
            value |x| lanes(x, x.ndim() - 1, |x| x.iter().map(|y| (y - mean(x)) / (var(x, 0.0) + 0.125).sqrt()).collect());
        rms_norm: WITH_AXES, first: 1e-8, second: 1e-7; |x| x.rms_norm(base::<F>(0.125)),
            value |x| lanes(x, x.ndim() - 1, |x| {
                let r = 1.0 / (norm(x).powi(2) / x.len() as f64 + 0.125).sqrt();
                x.iter().map(|x| x * r).collect()
            });
    }
}

mod loss {
    use super::*;

    const LOGITS: Cases = &[&[&[3, 4]], &[&[3, 1]], &[&[3, 19]]];

    fn mean_of(x: &ArrayD<f64>, t: &ArrayD<f64>, f: impl Fn(f64, f64) -> f64) -> f64 {
        x.iter().zip(t).map(|(&x, &t)| f(x, t)).sum::<f64>() / x.len() as f64
    }

    fn ln_p(x: &ArrayD<f64>, i: usize, j: usize) -> f64 {
        let row = x.index_axis(Axis(0), i);
        x[[i, j]] - row.iter().map(|x| x.exp()).sum::<f64>().ln()
    }

    operations! {
        mse: EQUAL; |x, t| x.mse(t), value |x, t| mean_of(x, t, |x, t| (x - t).powi(2));
        mae: EQUAL, operands: APART, not: TIES; |x, t| x.mae(t), value |x, t| mean_of(x, t, |x, t| (x - t).abs());
        /// Differences from 1.0 to 1.6 around δ = 0.8 and 2: one side of the kink each.
        huber: EQUAL, operands: &[Sample::Between(1.0, 1.2), Sample::Between(-0.4, 0.0)];
            |x, t| [x.huber(t, base::<F>(0.75)), x.huber(t, base::<F>(2.0))],
            value |x, t| vec![
                mean_of(x, t, |x, t| 0.75 * ((x - t).abs() - 0.375)),
                mean_of(x, t, |x, t| 0.5 * (x - t) * (x - t)),
            ];
        huber_below: EQUAL, operands: &[Sample::Between(-0.4, 0.0), Sample::Between(1.0, 1.2)];
            |x, t| x.huber(t, base::<F>(0.75)), value |x, t| mean_of(x, t, |x, t| 0.75 * ((x - t).abs() - 0.375));
        bce_with_logits: EQUAL, operands: &[Sample::Between(-2.0, 2.0), Sample::Between(0.0, 1.0)];
            |x, t| x.bce_with_logits(t),
            value |x, t| mean_of(x, t, |x, t| x.exp().ln_1p() - t * x);
        /// Targets of other kinds.
        targets: &[&[&[2, 3], &[]], &[&[1], &[]]];
            |x, v| {
                let v = of(v).into_var();
                [x.mse(v), x.mse(F::lit(0.5)), x.mse(ArrayD::from_elem(x.dim(), F::one())), x.mse(v.square())]
            },
            value |x, v| {
                let v = v.sum();
                [v, 0.5, 1.0, v * v].map(|t| x.mapv(|x| (x - t).powi(2)).mean().expect("elements")).to_vec()
            };
        softmax_cross_entropy: LOGITS; |x| of::<F, Ix2>(x).softmax_cross_entropy(&[2, 0, 3].map(|j| j % x.shape()[1])),
            value |x| -[2, 0, 3].iter().enumerate().map(|(i, j)| ln_p(x, i, j % x.shape()[1])).sum::<f64>() / 3.0;
        softmax_cross_entropy_with: &[&[&[3, 4], &[3, 4]], &[&[3, 1], &[3, 1]], &[&[2, 19], &[2, 19]]],
            operands: &[Sample::Between(-2.0, 2.0), Sample::Between(0.0, 1.0)];
            |x, q| of::<F, Ix2>(x).softmax_cross_entropy_with(of::<F, Ix2>(q)),
            value |x, q| {
                let terms = q.indexed_iter().map(|(i, q)| -q * ln_p(x, i[0], i[1]));
                terms.sum::<f64>() / x.shape()[0] as f64
            };
        /// Logits and probabilities that are one tensor.
        cross_entropy_of_itself: &[&[&[3, 4], &[3, 4]]], operands: POSITIVE;
            |x, q| of::<F, Ix2>(x).softmax_cross_entropy_with(of::<F, Ix2>(q));
    }
}

/// Views, which record nothing, and copies.
mod shape {
    use super::*;

    const TWO: Cases = &[&[&[3, 4]], &[&[1, 3]], &[&[0, 2]], &[&[2, 2]]];
    const THREE: Cases = &[&[&[2, 3, 4]], &[&[3, 1, 2]], &[&[2, 0, 3]]];
    const EVEN: Cases = &[&[&[4, 6]], &[&[2, 1, 4]], &[&[0, 2]]];
    const JOINED: Cases = &[&[&[2, 3], &[2, 3], &[2, 3]], &[&[1], &[1], &[1]], &[&[2, 0], &[2, 0], &[2, 0]]];

    operations! {
        reshape: THREE; |x| [x.reshape(IxDyn(&[x.len()])), x.reshape(IxDyn(&[1, x.len(), 1]))],
            value |x| vec![Array1::from(flat(x)).into_dyn(), Array::from(flat(x)).into_shape_with_order((1, x.len(), 1)).unwrap().into_dyn()];
        reshape_rows: &[&[&[4, 3]]]; |x| x.reshape((2, 6)), value |x| Array::from(flat(x)).into_shape_with_order((2, 6)).unwrap();
        flatten: ONE; |x| x.flatten(), value |x| Array1::from(flat(x));
        t: ONE; |x| x.t(), value |x| x.t().to_owned();
        diag: TWO; |x| x.diag(), value |x| x.diag().to_owned();
        permuted_axes: THREE; |x| x.permuted_axes(IxDyn(&[2, 0, 1])), value |x| x.clone().permuted_axes(IxDyn(&[2, 0, 1]));
        swap_axes: THREE; |x| x.swap_axes(0, 2), value |x| {
            let mut x = x.clone();
            x.swap_axes(0, 2);
            x
        };
        slice: &[&[&[4, 5]], &[&[2, 3]]];
            |x| {
                let x = of::<F, Ix2>(x);
                ([x.slice(s![1.., ..;2]), x.slice(s![..;-1, ..-1])], [x.slice(s![1, ..]), x.slice(s![..;-2, 2])])
            },
            value |x| {
                let x = dim::<Ix2>(x);
                let rest = [x.slice(s![1, ..]).to_owned(), x.slice(s![..;-2, 2]).to_owned()].map(Array1::into_dyn);
                [x.slice(s![1.., ..;2]).to_owned(), x.slice(s![..;-1, ..-1]).to_owned()].map(Array2::into_dyn).into_iter().chain(rest).collect::<Vec<_>>()
            };
        slice_axis: WITH_AXES; |x| along(x, |axis| x.slice_axis(axis, Slice::new(0, None, -2))),
            value |x| (0..x.ndim()).map(|axis| x.slice_axis(Axis(axis), Slice::new(0, None, -2)).to_owned()).collect::<Vec<_>>();
        flip: WITH_AXES; |x| along(x, |axis| x.flip(axis)), value |x| each_axis(x, |x| x.iter().rev().copied().collect());
        split_at: WITH_AXES; |x| along(x, |axis| x.split_at(axis, x.shape()[axis.index()] / 2)),
            value |x| (0..x.ndim()).flat_map(|axis| {
                let (a, b) = x.view().split_at(Axis(axis), x.shape()[axis] / 2);
                [a.to_owned(), b.to_owned()]
            }).collect::<Vec<_>>();
        split: EVEN; |x| x.split::<2>(Axis(x.ndim() - 1)),
            value |x| {
                let (a, b) = x.view().split_at(Axis(x.ndim() - 1), x.shape()[x.ndim() - 1] / 2);
                vec![a.to_owned(), b.to_owned()]
            };
        axis_chunks_iter: WITH_AXES; |x| along(x, |axis| x.axis_chunks_iter(axis, 2).collect::<Vec<_>>()),
            value |x| (0..x.ndim()).flat_map(|axis| x.axis_chunks_iter(Axis(axis), 2).map(|x| x.to_owned()).collect::<Vec<_>>()).collect::<Vec<_>>();
        insert_axis: ONE; |x| (0..=x.ndim()).map(|axis| x.insert_axis(Axis(axis))).collect::<Vec<_>>(),
            value |x| (0..=x.ndim()).map(|axis| x.clone().insert_axis(Axis(axis))).collect::<Vec<_>>();
        remove_axis: &[&[&[1]], &[&[1, 3]], &[&[1, 0, 2]]]; |x| x.remove_axis(Axis(0)), value |x| x.clone().remove_axis(Axis(0));
        broadcast: &[&[&[]], &[&[4]], &[&[3, 1]], &[&[1, 1]]]; |x| x.broadcast((2, 3, 4)),
            value |x| x.broadcast((2, 3, 4)).expect("it fits").to_owned();
        index_axis: FIBERS; |x| along(x, |axis| (x.shape()[axis.index()] > 0).then(|| x.index_axis(axis, x.shape()[axis.index()] - 1))).into_iter().flatten().collect::<Vec<_>>(),
            value |x| (0..x.ndim()).filter(|&axis| x.shape()[axis] > 0).map(|axis| x.index_axis(Axis(axis), x.shape()[axis] - 1).to_owned()).collect::<Vec<_>>();
        axis_iter: WITH_AXES; |x| along(x, |axis| x.axis_iter(axis).rev().collect::<Vec<_>>()),
            value |x| (0..x.ndim()).flat_map(|axis| x.axis_iter(Axis(axis)).rev().map(|x| x.to_owned()).collect::<Vec<_>>()).collect::<Vec<_>>();
        outer_iter: WITH_AXES; |x| x.outer_iter().collect::<Vec<_>>(), value |x| x.outer_iter().map(|x| x.to_owned()).collect::<Vec<_>>();
        row_and_column: &[&[&[3, 4]], &[&[2, 3]]];
            |x| {
                let x = of::<F, Ix2>(x);
                [x.row(1), x.column(2)]
            },
            value |x| vec![dim::<Ix2>(x).row(1).to_owned(), dim::<Ix2>(x).column(2).to_owned()];
        elements: FILLED; |x| (x.at(IxDyn(&vec![0; x.ndim()])), x.iter().map(|x| x.square()).collect::<Vec<_>>()),
            value |x| std::iter::once(x[&*vec![0; x.ndim()]]).chain(x.iter().map(|x| x * x)).collect::<Vec<_>>();
        to_vars: ONE; |x| x.to_vars().into_iter().rev().collect::<Vec<_>>(), value |x| flat(x).into_iter().rev().collect::<Vec<_>>();
        dimensions: &[&[&[3, 4]]]; |x| of::<F, Ix2>(x).into_dyn(), value |x| x.clone();
        as_standard_layout: ONE; |x| x.as_standard_layout(), value |x| x.clone();
        /// Chains of views.
        views_of_views: &[&[&[4, 3]], &[&[3, 5]]];
            |x| of::<F, Ix2>(x).t().slice(s![..;-1, 1..]).insert_axis(Axis(1)).broadcast((x.shape()[1], 2, x.shape()[0] - 1)).flip(Axis(2)).square(),
            value |x| {
                let x = dim::<Ix2>(x);
                let y = x.t().slice_move(s![..;-1, 1..;-1]).insert_axis(Axis(1)).to_owned();
                let y = y.broadcast((y.shape()[0], 2, y.shape()[2])).expect("it fits").to_owned();
                &y * &y
            };

        gather: &[&[&[3, 4]], &[&[3, 1]], &[&[4, 7]]];
            |x| {
                let rows = Array2::from_shape_fn((2, x.shape()[1]), |(i, j)| (i * 2 + j) % x.shape()[0]);
                let columns = Array2::from_shape_fn((x.shape()[0], 3), |(i, j)| (i * j) % x.shape()[1]);
                let x = of::<F, Ix2>(x);
                [x.gather(Axis(0), &rows), x.gather(Axis(1), &columns)]
            },
            value |x| vec![
                Array2::from_shape_fn((2, x.shape()[1]), |(i, j)| x[[(i * 2 + j) % x.shape()[0], j]]),
                Array2::from_shape_fn((x.shape()[0], 3), |(i, j)| x[[i, (i * j) % x.shape()[1]]]),
            ];
        pad: ONE; |x| x.pad(&vec![(1, 2); x.ndim()], F::lit(0.5)),
            value |x| {
                let shape: Vec<usize> = x.shape().iter().map(|len| len + 3).collect();
                let mut y = ArrayD::from_elem(shape, 0.5);
                y.slice_each_axis_mut(|axis| Slice::from(1..axis.len as isize - 2)).assign(x);
                y
            };
        keep_where: PAIRS;
            |x, y| x.keep_where(&ArrayD::from_shape_fn((x + y).dim(), |i| i.slice().iter().sum::<usize>() % 3 != 1), y),
            value |x, y| {
                let mut z = zip(x, y, |_, y| y);
                let x = zip(x, y, |x, _| x);
                z.indexed_iter_mut().filter(|(i, _)| i.slice().iter().sum::<usize>() % 3 != 1).for_each(|(i, z)| *z = x[i]);
                z
            };
        select: WITH_AXES; |x| along(x, |axis| {
                let len = x.shape()[axis.index()];
                x.select(axis, &if len == 0 { vec![] } else { vec![len - 1, 0, len - 1] })
            }),
            value |x| (0..x.ndim()).map(|axis| {
                let len = x.shape()[axis];
                x.select(Axis(axis), &if len == 0 { vec![] } else { vec![len - 1, 0, len - 1] })
            }).collect::<Vec<_>>();
        concatenate: &[&[&[2, 3], &[4, 3]], &[&[1], &[2]], &[&[0, 2], &[1, 2]], &[&[2, 3], &[2, 3]], &[&[2, 1, 2], &[3, 1, 2]]];
            |x, y| x.tape().concatenate(Axis(0), &[x, y, x]),
            value |x, y| ndarray::concatenate(Axis(0), &[x.view(), y.view(), x.view()]).expect("the shapes fit");
        concatenate_columns: &[&[&[2, 3], &[2, 1]], &[&[2, 0], &[2, 2]], &[&[3, 2, 2], &[3, 1, 2]]];
            |x, y| x.tape().concatenate(Axis(1), &[x, y]),
            value |x, y| ndarray::concatenate(Axis(1), &[x.view(), y.view()]).expect("the shapes fit");
        stack: JOINED; |x, y, z| along(x, |axis| x.tape().stack(axis, &[x, y, z])),
            value |x, y, z| (0..x.ndim()).map(|axis| ndarray::stack(Axis(axis), &[x.view(), y.view(), z.view()]).expect("one shape")).collect::<Vec<_>>();
        stack_vars: FILLED; |x| x.tape().stack_vars(&x.iter().map(|x| x.square() * x).chain([F::one().into()]).collect::<Vec<_>>()),
            value |x| x.iter().map(|x| x * x * x).chain([1.0]).collect::<Array1<_>>();
    }
}

mod products {
    use super::*;

    fn times(x: &ArrayD<f64>, y: &ArrayD<f64>) -> Array2<f64> {
        let (x, y) = (dim::<Ix2>(x), dim::<Ix2>(y));
        Array2::from_shape_fn((x.nrows(), y.ncols()), |(i, j)| (0..x.ncols()).map(|p| x[[i, p]] * y[[p, j]]).sum())
    }

    const LAYERS: Cases = &[
        &[&[2, 3], &[3, 4], &[4]],
        &[&[1, 1], &[1, 1], &[1]],
        &[&[0, 3], &[3, 2], &[2]],
        &[&[2, 0], &[0, 2], &[2]],
        &[&[2, 3], &[3, 0], &[0]],
        &[&[3, 3], &[3, 3], &[3]],
        &[&[2, 3], &[3, 17], &[17]],
    ];

    operations! {
        dot: &[&[&[3], &[3]], &[&[1], &[1]], &[&[0], &[0]], &[&[37], &[37]]]; |x, y| of::<F, Ix1>(x).dot(of::<F, Ix1>(y)), value |x, y| (x * y).sum();
        vector_times_matrix: &[&[&[3], &[3, 4]], &[&[1], &[1, 1]], &[&[0], &[0, 2]], &[&[3], &[3, 0]]];
            |x, y| of::<F, Ix1>(x).dot(of::<F, Ix2>(y)), value |x, y| times(&x.clone().insert_axis(Axis(0)), y).row(0).to_owned();
        matrix_times_vector: &[&[&[3, 4], &[4]], &[&[1, 1], &[1]], &[&[2, 0], &[0]], &[&[0, 3], &[3]]];
            |x, y| of::<F, Ix2>(x).dot(of::<F, Ix1>(y)), value |x, y| times(x, &y.clone().insert_axis(Axis(1))).column(0).to_owned();
        matrix_times_matrix: &[&[&[2, 3], &[3, 4]], &[&[3, 3], &[3, 3]], &[&[1, 1], &[1, 1]], &[&[2, 0], &[0, 3]], &[&[0, 2], &[2, 3]]];
            |x, y| of::<F, Ix2>(x).dot(of::<F, Ix2>(y)), value |x, y| times(x, y);
        /// Without k = 0 in more than one batch: on a view whose batches run backwards, the sweep then panics
        /// in debug builds (`slot + offset` overflows), which is a fault.
        matmul: &[&[&[2, 3, 2], &[2, 2, 4]], &[&[1, 3, 2], &[2, 2, 1]], &[&[2, 2, 2], &[1, 2, 2]], &[&[2, 2, 2], &[2, 2, 2]], &[&[0, 2, 2], &[1, 2, 3]], &[&[1, 2, 0], &[1, 0, 3]]];
            |x, y| of::<F, Ix3>(x).matmul(of::<F, Ix3>(y)),
            value |x, y| {
                let batches = if x.shape()[0] == 1 { y.shape()[0] } else { x.shape()[0] };
                let mut z = ndarray::Array3::zeros((batches, x.shape()[1], y.shape()[2]));
                for (i, mut z) in z.outer_iter_mut().enumerate() {
                    let part = |x: &ArrayD<f64>| x.index_axis(Axis(0), i % x.shape()[0]).to_owned();
                    z.assign(&times(&part(x), &part(y)));
                }
                z
            };
        affine: LAYERS; |x, w, b| of::<F, Ix2>(x).affine(of::<F, Ix2>(w), of::<F, Ix1>(b)), value |x, w, b| times(x, w) + b;
        dense_identity: LAYERS; |x, w, b| of::<F, Ix2>(x).dense(of::<F, Ix2>(w), of::<F, Ix1>(b), Activation::Identity), value |x, w, b| times(x, w) + b;
        /// The bias keeps units off the kink, half of them on either side.
        dense_relu: LAYERS, operands: &[Sample::Between(-0.3, 0.3), Sample::Between(-0.3, 0.3), Sample::Between(0.7, 1.0)];
            |x, w, b| {
                let b = of::<F, Ix1>(b) * Array1::from_shape_fn(b.len(), |j| F::lit([1.0, -1.0][j % 2]));
                of::<F, Ix2>(x).dense(of::<F, Ix2>(w), b, Activation::Relu)
            },
            value |x, w, b| (times(x, w) + Array1::from_shape_fn(b.len(), |j| b[j] * [1.0, -1.0][j % 2])).mapv(|z| z.max(0.0));
        dense_sigmoid: LAYERS; |x, w, b| of::<F, Ix2>(x).dense(of::<F, Ix2>(w), of::<F, Ix1>(b), Activation::Sigmoid),
            value |x, w, b| (times(x, w) + b).mapv(|z| 1.0 / (1.0 + (-z).exp()));
        dense_tanh: LAYERS; |x, w, b| of::<F, Ix2>(x).dense(of::<F, Ix2>(w), of::<F, Ix1>(b), Activation::Tanh), value |x, w, b| (times(x, w) + b).mapv(f64::tanh);
    }
}

/// Convolutions and pooling, in one direction and in two.
mod windows {
    use super::*;
    use ndarray::Array4;

    /// Stride, padding, dilation in each direction and the number of groups.
    type Moves = ([usize; 2], [usize; 2], [usize; 2], usize);

    /// For each place of a window its number, and the index of the element under each of its places.
    fn over(image: usize, size: usize, (stride, padding, dilation): (usize, usize, usize)) -> Vec<Vec<Option<usize>>> {
        let out = (image + 2 * padding - dilation * (size - 1) - 1) / stride + 1;
        let place = |i: usize, k: usize| (i * stride + k * dilation).checked_sub(padding).filter(|&at| at < image);
        (0..out).map(|i| (0..size).map(|k| place(i, k)).collect()).collect()
    }

    fn convolved(x: &Array4<f64>, w: &Array4<f64>, (stride, padding, dilation, groups): Moves) -> Array4<f64> {
        let [rows, columns] =
            [0, 1].map(|d| over(x.shape()[2 + d], w.shape()[2 + d], (stride[d], padding[d], dilation[d])));
        let (outputs, inputs) = (w.shape()[0], w.shape()[1]);
        Array4::from_shape_fn((x.shape()[0], outputs, rows.len(), columns.len()), |(n, o, i, j)| {
            let mut sum = 0.0;
            for c in 0..inputs {
                for (k, row) in rows[i].iter().enumerate() {
                    for (l, column) in columns[j].iter().enumerate() {
                        if let (Some(row), Some(column)) = (*row, *column) {
                            sum += w[[o, c, k, l]] * x[[n, o / (outputs / groups) * inputs + c, row, column]];
                        }
                    }
                }
            }
            sum
        })
    }

    /// A signal as an image of one row.
    fn image(x: &ArrayD<f64>) -> Array4<f64> {
        let x = if x.ndim() == 3 { x.clone().insert_axis(Axis(2)) } else { x.clone() };
        dim::<Ix4>(&x)
    }

    fn signal(y: Array4<f64>) -> ndarray::Array3<f64> {
        y.remove_axis(Axis(2))
    }

    /// A number for each window, from the elements under it.
    fn pooled(
        x: &Array4<f64>,
        size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        f: impl Fn(&[f64]) -> f64,
    ) -> Array4<f64> {
        let [rows, columns] = [0, 1].map(|d| over(x.shape()[2 + d], size[d], (stride[d], padding[d], 1)));
        Array4::from_shape_fn((x.shape()[0], x.shape()[1], rows.len(), columns.len()), |(n, c, i, j)| {
            let places =
                rows[i].iter().flatten().flat_map(|row| columns[j].iter().flatten().map(move |column| (row, column)));
            f(&places.map(|(&row, &column)| x[[n, c, row, column]]).collect::<Vec<_>>())
        })
    }

    fn largest(x: &[f64]) -> f64 {
        x.iter().copied().fold(f64::NAN, f64::max)
    }

    fn mean(x: &[f64]) -> f64 {
        x.iter().sum::<f64>() / x.len() as f64
    }

    operations! {
        conv1d: &[&[&[2, 2, 5], &[3, 2, 2]], &[&[1, 1, 1], &[1, 1, 1]], &[&[0, 1, 4], &[2, 1, 2]], &[&[2, 2, 3], &[2, 2, 3]], &[&[1, 2, 9], &[2, 2, 1]], &[&[2, 3, 4], &[0, 3, 2]]];
            |x, w| of::<F, Ix3>(x).conv1d(of::<F, Ix3>(w), Conv::new()),
            value |x, w| signal(convolved(&image(x), &image(w), ([1, 1], [0, 0], [1, 1], 1)));
        conv1d_moved: &[&[&[1, 2, 7], &[2, 2, 3]], &[&[2, 1, 8], &[1, 1, 2]]];
            |x, w| of::<F, Ix3>(x).conv1d(of::<F, Ix3>(w), Conv::new().stride(2).padding(2).dilation(3)),
            value |x, w| signal(convolved(&image(x), &image(w), ([1, 2], [0, 2], [1, 3], 1)));
        conv1d_groups: &[&[&[2, 4, 4], &[6, 2, 2]], &[&[1, 2, 3], &[2, 1, 3]]];
            |x, w| of::<F, Ix3>(x).conv1d(of::<F, Ix3>(w), Conv::new().groups(2).padding(1)),
            value |x, w| signal(convolved(&image(x), &image(w), ([1, 1], [0, 1], [1, 1], 2)));
        conv2d: &[&[&[2, 2, 3, 4], &[2, 2, 2, 3]], &[&[1, 1, 1, 1], &[1, 1, 1, 1]], &[&[1, 1, 3, 3], &[1, 1, 3, 3]], &[&[2, 3, 2, 2], &[2, 3, 1, 1]]];
            |x, w| of::<F, Ix4>(x).conv2d(of::<F, Ix4>(w), Conv::new()),
            value |x, w| convolved(&image(x), &image(w), ([1, 1], [0, 0], [1, 1], 1));
        conv2d_moved: &[&[&[1, 2, 5, 4], &[2, 2, 2, 3]], &[&[2, 1, 4, 6], &[1, 1, 3, 2]]];
            |x, w| of::<F, Ix4>(x).conv2d(of::<F, Ix4>(w), Conv::new().stride([2, 1]).padding([1, 2]).dilation([1, 2])),
            value |x, w| convolved(&image(x), &image(w), ([2, 1], [1, 2], [1, 2], 1));
        conv2d_groups: &[&[&[1, 4, 3, 3], &[2, 2, 2, 2]], &[&[2, 2, 2, 3], &[4, 1, 2, 1]]];
            |x, w| of::<F, Ix4>(x).conv2d(of::<F, Ix4>(w), Conv::new().groups(2).padding([0, 1])),
            value |x, w| convolved(&image(x), &image(w), ([1, 1], [0, 1], [1, 1], 2));
        max_pool1d: &[&[&[2, 2, 6]], &[&[1, 1, 2]], &[&[0, 1, 4]]], operands: APART;
            |x| [of::<F, Ix3>(x).max_pool1d(2), of::<F, Ix3>(x).max_pool1d(Pool::new(2).stride(1).padding(1))],
            value |x| vec![
                signal(pooled(&image(x), [1, 2], [1, 2], [0, 0], largest)),
                signal(pooled(&image(x), [1, 2], [1, 1], [0, 1], largest)),
            ];
        avg_pool1d: &[&[&[2, 2, 6]], &[&[1, 1, 3]], &[&[0, 1, 4]]];
            |x| {
                let overlapping = Pool::new(3).stride(2).padding(1);
                let x = of::<F, Ix3>(x);
                [x.avg_pool1d(3), x.avg_pool1d(overlapping), x.avg_pool1d(overlapping.without_padding_in_mean())]
            },
            value |x| vec![
                signal(pooled(&image(x), [1, 3], [1, 3], [0, 0], mean)),
                signal(pooled(&image(x), [1, 3], [1, 2], [0, 1], |x| x.iter().sum::<f64>() / 3.0)),
                signal(pooled(&image(x), [1, 3], [1, 2], [0, 1], mean)),
            ];
        max_pool2d: &[&[&[2, 1, 4, 5]], &[&[1, 2, 2, 3]]], operands: APART;
            |x| [of::<F, Ix4>(x).max_pool2d(2), of::<F, Ix4>(x).max_pool2d(Pool::new([2, 3]).stride([1, 2]).padding([1, 1]))],
            value |x| vec![
                pooled(&image(x), [2, 2], [2, 2], [0, 0], largest),
                pooled(&image(x), [2, 3], [1, 2], [1, 1], largest),
            ];
        avg_pool2d: &[&[&[2, 1, 4, 5]], &[&[1, 2, 2, 3]]];
            |x| {
                let overlapping = Pool::new([2, 3]).stride([1, 2]).padding([1, 1]);
                let x = of::<F, Ix4>(x);
                [x.avg_pool2d(2), x.avg_pool2d(overlapping), x.avg_pool2d(overlapping.without_padding_in_mean())]
            },
            value |x| vec![
                pooled(&image(x), [2, 2], [2, 2], [0, 0], mean),
                pooled(&image(x), [2, 3], [1, 2], [1, 1], |x| x.iter().sum::<f64>() / 6.0),
                pooled(&image(x), [2, 3], [1, 2], [1, 1], mean),
            ];
    }
}

/// Systems, factors and determinants.
mod linalg {
    use super::*;

    const REGULAR: &[Sample] = &[Sample::Regular, Sample::Between(-2.0, 2.0)];

    /// By expansion along the first row.
    fn det(a: &Array2<f64>) -> f64 {
        let n = a.nrows();
        if n == 0 {
            return 1.0;
        }
        let minor = |j: usize| Array2::from_shape_fn((n - 1, n - 1), |(i, k)| a[[i + 1, k + usize::from(k >= j)]]);
        (0..n).map(|j| a[[0, j]] * det(&minor(j)) * if j % 2 == 0 { 1.0 } else { -1.0 }).sum()
    }

    /// By Cramer's rule.
    fn solved(a: &Array2<f64>, b: &ArrayD<f64>) -> ArrayD<f64> {
        lanes(b, 0, |b| {
            let replaced =
                |j: usize| Array2::from_shape_fn(a.raw_dim(), |(i, k)| if k == j { b[i] } else { a[[i, k]] });
            (0..a.nrows()).map(|j| det(&replaced(j)) / det(a)).collect()
        })
    }

    fn triangle(a: &ArrayD<f64>, uplo: Uplo, diag: Diag) -> Array2<f64> {
        Array2::from_shape_fn((a.shape()[0], a.shape()[0]), |(i, j)| match (i == j, diag, uplo) {
            (true, Diag::Unit, _) => 1.0,
            (true, ..) => a[[i, j]],
            (_, _, Uplo::Lower) if i > j => a[[i, j]],
            (_, _, Uplo::Upper) if i < j => a[[i, j]],
            _ => 0.0,
        })
    }

    fn solve_triangular<'t, F: Scalar>(uplo: Uplo, diag: Diag, a: Dyn<'t, F>, b: Dyn<'t, F>) -> Vec<Output<'t, F>> {
        let a = of::<F, Ix2>(a);
        if b.ndim() == 1 {
            a.solve_triangular(uplo, diag, of::<F, Ix1>(b)).expect("no zero on the diagonal").outputs()
        } else {
            a.solve_triangular(uplo, diag, of::<F, Ix2>(b)).expect("no zero on the diagonal").outputs()
        }
    }

    operations! {
        solve: SYSTEMS, operands: REGULAR, first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a, b| {
                let a = of::<F, Ix2>(a);
                if b.ndim() == 1 { a.solve(of::<F, Ix1>(b)).unwrap().outputs() } else { a.solve(of::<F, Ix2>(b)).unwrap().outputs() }
            },
            value |a, b| solved(&dim(a), b);
        solve_itself: &[&[&[3, 3], &[3, 3]]], operands: &[Sample::Regular], first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a, b| of::<F, Ix2>(a).solve(of::<F, Ix2>(b)).unwrap(), value |a, b| solved(&dim(a), b);
        /// Both ways with one factorisation, and the determinant from it.
        factorize: SYSTEMS, operands: REGULAR, first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a, b| {
                let lu = of::<F, Ix2>(a).factorize().unwrap();
                let solutions = if b.ndim() == 1 {
                    [lu.solve(of::<F, Ix1>(b)), lu.solve_t(of::<F, Ix1>(b))].outputs()
                } else {
                    [lu.solve(of::<F, Ix2>(b)), lu.solve_t(of::<F, Ix2>(b))].outputs()
                };
                (solutions, (lu.inv(), [lu.det(), lu.sln_det().1]))
            },
            value |a, b| {
                let (matrix, d) = (dim::<Ix2>(a), det(&dim(a)));
                let inverse = solved(&matrix, &Array2::eye(matrix.nrows()).into_dyn());
                let transpose = matrix.t().to_owned();
                vec![solved(&matrix, b), solved(&transpose, b), inverse, ndarray::arr0(d).into_dyn(), ndarray::arr0(d.abs().ln()).into_dyn()]
            };
        inv: MATRICES, operands: REGULAR, first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a| of::<F, Ix2>(a).inv().unwrap(), value |a| solved(&dim(a), &Array2::eye(a.shape()[0]).into_dyn());
        det_of: MATRICES, operands: REGULAR, first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a| of::<F, Ix2>(a).det(), value |a| det(&dim(a));
        /// Where there is no inverse, the pullback is by cofactors.
        det_of_singular: MATRICES, operands: &[Sample::Singular], first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a| of::<F, Ix2>(a).det(), value |a| det(&dim(a));
        sln_det: MATRICES, operands: REGULAR, first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a| of::<F, Ix2>(a).sln_det().unwrap().1, value |a| det(&dim(a)).abs().ln();
        ln_det: MATRICES, operands: &[Sample::Positive], first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a| of::<F, Ix2>(a).ln_det().unwrap(), value |a| det(&dim(a)).ln();
        /// It takes the symmetric part, so differences of one element alone are its own.
        cholesky: MATRICES, operands: &[Sample::Positive], first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a| of::<F, Ix2>(a).cholesky().unwrap(),
            value |a| {
                let mut l = Array2::<f64>::zeros((a.shape()[0], a.shape()[0]));
                for i in 0..a.shape()[0] {
                    for j in 0..=i {
                        let rest = 0.5 * (a[[i, j]] + a[[j, i]]) - (0..j).map(|k| l[[i, k]] * l[[j, k]]).sum::<f64>();
                        l[[i, j]] = if i == j { rest.sqrt() } else { rest / l[[j, j]] };
                    }
                }
                l
            };
        solve_lower: SYSTEMS, operands: &[Sample::Positive, Sample::Between(-2.0, 2.0)], first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a, b| solve_triangular(Uplo::Lower, Diag::NonUnit, a, b), value |a, b| solved(&triangle(a, Uplo::Lower, Diag::NonUnit), b);
        solve_upper: SYSTEMS, operands: &[Sample::Positive, Sample::Between(-2.0, 2.0)], first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a, b| solve_triangular(Uplo::Upper, Diag::NonUnit, a, b), value |a, b| solved(&triangle(a, Uplo::Upper, Diag::NonUnit), b);
        solve_unit_lower: SYSTEMS, first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a, b| solve_triangular(Uplo::Lower, Diag::Unit, a, b), value |a, b| solved(&triangle(a, Uplo::Lower, Diag::Unit), b);
        solve_unit_upper: SYSTEMS, first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12;
            |a, b| solve_triangular(Uplo::Upper, Diag::Unit, a, b), value |a, b| solved(&triangle(a, Uplo::Upper, Diag::Unit), b);
    }
}
