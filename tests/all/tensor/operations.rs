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
use wengert::{Activation, BaseFloat, Conv, Pool, Scalar, Tensor};
#[cfg(feature = "linalg")]
use wengert::{Diag, Uplo};

pub(crate) use driver::Number;
use driver::{Dyn, Operation, Output, Outputs, ROW, Row, Sample, Values, Way, check};

macro_rules! operations {
    ($(
        $(#[$attribute:meta])*
        $name:ident: $cases:expr $(, $field:ident: $setting:expr)* $(, ..$base:expr)?;
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
                let row = Row { cases: $cases, $($field: $setting,)* ..operations!(@base $($base)?) };
                check(stringify!($name), &row, &operation);
            }
        )+
    };
    (@base) => { ROW };
    (@base $base:expr) => { $base };
    (@value) => { None };
    (@value |$($v:ident),+| $value:expr) => {
        Some(|x: &[ArrayD<f64>]| {
            let [$($v),+] = x else { unreachable!("the row has other operands") };
            $value.values()
        })
    };
}

mod elementwise;
#[cfg(feature = "linalg")]
mod linalg;
mod loss;
mod order;
mod products;
mod reduce;
mod shape;
mod windows;

type Cases = &'static [&'static [&'static [usize]]];

/// One operand of any shape: no axis, one element, no element, axes of length 1, longer than a vector
/// register.
const ONE: Cases = &[&[&[]], &[&[1]], &[&[0]], &[&[3]], &[&[2, 0, 3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[35]]];
/// One operand with at least one element.
const FILLED: Cases = &[&[&[]], &[&[1]], &[&[3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 3, 2]], &[&[35]]];
/// One operand with at least one axis.
const WITH_AXES: Cases =
    &[&[&[1]], &[&[0]], &[&[3]], &[&[2, 0, 3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 3, 2]], &[&[2, 19]]];
/// One operand with at least one axis, empty in one case only.
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
#[cfg(feature = "linalg")]
const MATRICES: Cases = &[&[&[1, 1]], &[&[2, 2]], &[&[3, 3]], &[&[4, 4]], &[&[0, 0]]];
#[cfg(feature = "linalg")]
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

/// As `along`, of an array.
fn along_array<T>(x: &ArrayD<f64>, f: impl Fn(Axis) -> T) -> Vec<T> {
    (0..x.ndim()).map(|axis| f(Axis(axis))).collect()
}

/// A number for the elements along each axis.
fn folds(x: &ArrayD<f64>, f: impl Fn(&[f64]) -> f64) -> Vec<ArrayD<f64>> {
    along_array(x, |axis| x.map_axis(axis, |lane| f(&lane.to_vec())))
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
    along_array(x, |axis| lanes(x, axis.index(), &f))
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
