//! Initial values of parameters.
//!
//! Weights are drawn with a variance for which signals keep their size from layer to layer. This variance depends on
//! the number of inputs of a unit (`fan_in`) and on the number of units that an input feeds (`fan_out`):
//!
//! | shape | `fan_in` | `fan_out` |
//! |---|---|---|
//! | `(inputs, outputs)`, as in `x.dot(w)` | inputs | outputs |
//! | `(outputs, inputs, k₁, ..)`, a convolution with kernel k₁ × .. | inputs · k₁ · .. | outputs · k₁ · .. |
//!
//! Numbers are drawn in `f64` and then rounded, so a seed gives the same weights in `f32` as in `f64`, up to rounding.
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use wengert::{Params, init};
//!
//! let mut rng = StdRng::seed_from_u64(0);
//! let mut params = Params::<f32>::new();
//! let w = params.add("w", init::he_uniform((64, 32), &mut rng));
//! assert!(params.view(w).iter().all(|w| w.abs() <= (6.0_f32 / 64.0).sqrt()));
//! ```

use ndarray::{Array, Dimension, IntoDimension};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::arena::room;
use crate::number::Scalar;

/// Numbers that are uniform on [low, high].
#[track_caller]
pub fn uniform<F: Scalar, D: Dimension>(
    shape: impl IntoDimension<Dim = D>,
    low: f64,
    high: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Array<F, D> {
    draw(shape.into_dimension(), || low + (high - low) * rng.random::<f64>())
}

/// Normal numbers with a mean and a standard deviation.
#[track_caller]
pub fn normal<F: Scalar, D: Dimension>(
    shape: impl IntoDimension<Dim = D>,
    mean: f64,
    std: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Array<F, D> {
    draw(shape.into_dimension(), || mean + std * rng.sample::<f64, _>(StandardNormal))
}

/// Numbers that are uniform on ±√(6 / (`fan_in` + `fan_out`)), for tanh and sigmoid units.
///
/// Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
/// AISTATS 2010, equation 16.
///
/// # Panics
///
/// If the shape has fewer than two axes.
#[track_caller]
pub fn glorot_uniform<F: Scalar, D: Dimension>(
    shape: impl IntoDimension<Dim = D>,
    rng: &mut (impl Rng + ?Sized),
) -> Array<F, D> {
    let shape = shape.into_dimension();
    let (fan_in, fan_out) = fans(shape.slice());
    let bound = (6.0 / (fan_in + fan_out)).sqrt();
    uniform(shape, -bound, bound, rng)
}

/// Normal numbers with variance 2 / (`fan_in` + `fan_out`), for tanh and sigmoid units.
///
/// Glorot and Bengio 2010, equation 12; see [`glorot_uniform`].
///
/// # Panics
///
/// If the shape has fewer than two axes.
#[track_caller]
pub fn glorot_normal<F: Scalar, D: Dimension>(
    shape: impl IntoDimension<Dim = D>,
    rng: &mut (impl Rng + ?Sized),
) -> Array<F, D> {
    let shape = shape.into_dimension();
    let (fan_in, fan_out) = fans(shape.slice());
    normal(shape, 0.0, (2.0 / (fan_in + fan_out)).sqrt(), rng)
}

/// Numbers that are uniform on ±√(6 / `fan_in`), for relu units.
///
/// He, Zhang, Ren and Sun, Delving deep into rectifiers, ICCV 2015, section 2.2.
///
/// # Panics
///
/// If the shape has fewer than two axes.
#[track_caller]
pub fn he_uniform<F: Scalar, D: Dimension>(
    shape: impl IntoDimension<Dim = D>,
    rng: &mut (impl Rng + ?Sized),
) -> Array<F, D> {
    let shape = shape.into_dimension();
    let bound = (6.0 / fans(shape.slice()).0).sqrt();
    uniform(shape, -bound, bound, rng)
}

/// Normal numbers with variance 2 / `fan_in`, for relu units.
///
/// He et al. 2015, equation 10; see [`he_uniform`].
///
/// # Panics
///
/// If the shape has fewer than two axes.
#[track_caller]
pub fn he_normal<F: Scalar, D: Dimension>(
    shape: impl IntoDimension<Dim = D>,
    rng: &mut (impl Rng + ?Sized),
) -> Array<F, D> {
    let shape = shape.into_dimension();
    let std = (2.0 / fans(shape.slice()).0).sqrt();
    normal(shape, 0.0, std, rng)
}

#[track_caller]
fn draw<F: Scalar, D: Dimension>(shape: D, mut next: impl FnMut() -> f64) -> Array<F, D> {
    let mut numbers = room("init", shape.slice());
    numbers.extend((0..shape.size()).map(|_| F::lit(next())));
    Array::from_shape_vec(shape, numbers).expect("as many numbers as the shape has")
}

/// The pair (`fan_in`, `fan_out`) of a shape, by the table of this module.
#[track_caller]
fn fans(shape: &[usize]) -> (f64, f64) {
    match *shape {
        [inputs, outputs] => (inputs as f64, outputs as f64),
        [outputs, inputs, ref kernel @ ..] => {
            let size: f64 = kernel.iter().map(|len| *len as f64).product();
            (inputs as f64 * size, outputs as f64 * size)
        }
        _ => panic!(
            "init: the shape {shape:?} has no inputs and outputs; a weight needs two axes or more, \
             for a bias use `Array::zeros`, `uniform` or `normal`"
        ),
    }
}
