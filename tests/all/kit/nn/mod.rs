//! Layers, convolutions and pooling against PyTorch, whose results tests/oracle/nn.py wrote into
//! tests/oracle/nn.txt.

mod layers;
mod losses;
mod modes;
mod recurrent;
mod windows;

use ndarray::{Array, Dimension, IntoDimension};
use wengert::{Params, Tensor};

use crate::support::close::assert_close;

/// An array of sin(seed + 1.7 i), as tests/oracle/nn.py fills its own.
fn fill<Sh: IntoDimension>(shape: Sh, seed: usize) -> Array<f64, Sh::Dim> {
    let mut i = 0;
    Array::from_shape_simple_fn(shape.into_dimension(), || {
        i += 1;
        (seed as f64 + 1.7 * f64::from(i - 1)).sin()
    })
}

/// Sets every weight by [`fill`] with its number as seed, and leaves buffers.
fn fill_params(params: &mut Params<f64>) {
    let weights: Vec<_> = params.iter().map(|weight| weight.range).collect();
    for (seed, range) in weights.into_iter().enumerate() {
        let values = fill(range.len(), seed);
        params.values_mut()[range].copy_from_slice(values.as_slice().unwrap());
    }
}

/// The numbers of a name in the oracle's file.
#[track_caller]
fn expected(name: &str) -> Vec<f64> {
    let lines = include_str!("../../../oracle/nn.txt").lines();
    let found = lines.filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name);
    let Some((_, numbers)) = found else { panic!("the oracle knows no {name:?}") };
    numbers.split(' ').map(|number| number.parse().unwrap()).collect()
}

/// Asserts that numbers are those of a name in the oracle's file.
#[track_caller]
fn assert_as_torch<'a>(name: &str, got: impl IntoIterator<Item = &'a f64>) {
    assert_close(name, got, &expected(name), 1e-10);
}

/// Compares `name y` and, with the cotangent that the oracle uses, `name dx` of every input with PyTorch.
#[track_caller]
fn check<'t, D: Dimension + 't, E: Dimension + 't>(
    name: &str,
    y: Tensor<'t, f64, D>,
    inputs: impl IntoIterator<Item = (&'static str, Tensor<'t, f64, E>)>,
) {
    assert_as_torch(&format!("{name} y"), y.value());
    let weights = fill(y.dim(), 5);
    let gradient = (y * y.tape().constant(weights)).sum().backward();
    for (key, input) in inputs {
        assert_as_torch(&format!("{name} d{key}"), &gradient.wrt(input));
    }
}
