//! Reverse-mode automatic differentiation on one tape, for scalars and ndarray tensors.
//!
//! Operations on [`Var`] and [`Tensor`] handles are recorded on a [`Tape`] while the values are computed. One backward
//! sweep then accumulates the adjoints of everything recorded. (The tape is a Wengert list, after R. E. Wengert, "A
//! simple automatic derivative evaluation program", CACM 7(8), 1964.)
//!
//! ```
//! use wengert::Tape;
//!
//! // A two-layer model with one unit each: its loss and all four partial derivatives.
//! let tape = Tape::new();
//! let [w1, b1, w2, b2] = tape.vars([0.5, -0.3, 1.2, 0.1]);
//! let (x, y) = (0.7, 0.9_f64);
//! let out = w2 * (w1 * x + b1) + b2;
//! let loss = (out - y).powi(2);
//!
//! let gradient = loss.backward();
//! let error = 2.0 * (out.value() - y);
//! assert!((gradient[b2] - error).abs() < 1e-15);
//! assert!((gradient[w1] - error * w2.value() * x).abs() < 1e-15);
//! ```
//!
//! # Where to look
//!
//! - To learn it from the slope of a line on, to come from another library, or to choose a call by its cost: [`guide`].
//! - Scalars: [`Tape::vars`], [`Var`], [`Var::backward`], [`Gradient`]; [`Real64`] and [`Real`] for functions that
//!   run on any number type.
//! - Derivatives in one call: [`derivative`], [`taylor`], [`grad`], [`vjp`], [`jvp`], [`jacobian`], [`hvp`],
//!   [`hessian`], [`sparse_jacobian`], [`sparse_hessian`]; for functions of arrays, [`arrays`]; at many points,
//!   [`Evaluator`].
//! - Many operands at once: [`sum`], [`dot`], [`norm`](fn@norm), [`log_sum_exp`], [`fuse`](fn@fuse).
//! - Arrays: [`Tape::tensor`], [`Tape::constant`], [`Tensor`].
//! - Generic code of other crates that asks for `'static` numbers, such as nalgebra's (feature `nalgebra`): [`statics`],
//!   [`StaticVar`].
//! - Types that a method takes: the traits in [`args`].
//! - Derivatives of a network inside of the loss: [`Jet`].
//! - Linear algebra (feature `linalg`): `Tensor::solve`, `inv`, `det`, `sln_det`, `cholesky`, `solve_triangular`,
//!   `factorize`, `qr`, `eigh`, `svd`, of a matrix or a batch.
//! - Least squares with standard errors, robust losses and bounds (feature `linalg`): `fit`.
//! - Solutions of equations as functions of parameters (feature `linalg`): `implicit`.
//! - Operations of your own: [`Rule`], [`apply`], [`with_partials`], [`Tape::custom`].
//! - Less memory: [`Tape::checkpoint`], [`Tape::checkpoint_loop`], [`ParamsOn::checkpoint`].
//! - Training: [`Params`], [`Tape::value_and_grad`], [`ParamsOn`], [`nn`], [`optim`], [`init`], [`data`], [`metrics`];
//!   for optimisers of your own, [`optim::UpdateRule`].
//! - Files of weights and tables (feature `io`): `save`, `data::Table`.
//! - Progress bars and charts (feature `watch`): `watch`.
//! - Several threads (feature `parallel`): `Parallel`.
//! - L-BFGS, Newton-CG and trust regions (feature `argmin`): `optim::Objective`.
//! - Checking gradients: [`check_gradient`], [`gradcheck`].
//! - Looking inside: [`record`], [`trace`](fn@trace), [`symbolic`](fn@symbolic), [`inspect`].
//! - Messages of the compiler and their cures: [`troubleshooting`].
//! - Speed of many small gradients: [`many_gradients`].
//! - Rounding errors of sums, products and statistics: [`accuracy`].
//! - Forward mode: [`Dual`]; of any order, [`Taylor`].
//! - Log-densities and the parameters of models: [`density`], [`transform`].
//! - The derivative of each function, and the conventions at special points: [`rules`].

// docs.rs shows beside each item the feature that it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Unsafe code is confined to two rooms. Each use has a SAFETY comment, and a measurement if safe code could do the
// same. Safe code of other rooms has to keep the promises listed in `tape/mod.rs`.
#![deny(unsafe_code)]

mod arena;
pub mod density;
mod derivatives;
pub mod gradcheck;
pub mod inspect;
mod kernels;
mod kit;
mod number;
mod params;
mod program;
mod recording;
pub mod rules;
mod scalar;
mod sealed;
#[allow(unsafe_code)]
mod slices;
mod sparse;
pub mod symbolic;
#[allow(unsafe_code)]
mod tape;
mod tensor;
mod text;
pub mod trace;
pub mod transform;

#[cfg(feature = "linalg")]
pub use derivatives::implicit;
pub use derivatives::{
    Evaluator, Pullback, SparseHessian, SparseJacobian, arrays, derivative, divergence, grad, hessian, hvp, jacobian,
    jacobian_forward, jacobian_reverse, jvp, laplacian, second_derivative, sparse_hessian, sparse_jacobian, statics,
    taylor, value_and_derivative, value_and_grad, value_grad_hvp, vjp,
};
pub use gradcheck::check_gradient;
#[cfg(feature = "linalg")]
pub use kit::fit::{self, fit};
pub use kit::optim::{Adam, AdamW, Optimizer, Sgd};
#[cfg(feature = "parallel")]
pub use kit::parallel::Parallel;
#[cfg(feature = "io")]
pub use kit::save;
#[cfg(feature = "watch")]
pub use kit::watch;
pub use kit::{data, init, metrics, nn, optim};
pub use number::{BaseFloat, Brand, Dual, LeftOf, Real, Real32, Real64, Rule, Scalar, Taylor, apply};
pub use params::{Group, Param, ParamInfo, Params, ParamsGradient, ParamsOn, loss_fn};
pub use program::{AutoProgram, PointsFailed, Program, ProgramError};
pub use recording::record;
pub use scalar::{
    Gradient, Seed, SnapshotSchedule, StaticVar, Var, dot, fuse, log_sum_exp, mean, norm, softmax, sum, with_partials,
};
pub use sparse::SparseMatrix;
pub use symbolic::symbolic;
pub use tape::{StaticScalar, Tape};
pub use tensor::{Activation, Conv, Interpolation, Jet, Pool, Tensor};
#[cfg(feature = "linalg")]
pub use tensor::{Diag, Eigh, LinalgError, Lu, Qr, Svd, Uplo};
pub use trace::trace;

pub use ndarray;
pub use rand;

/// The rounding errors of sums, products and statistics.
///
/// u is the unit roundoff: 2⁻²⁴ ≈ 6.0e-8 for `f32`, 2⁻⁵³ ≈ 1.1e-16 for `f64`. A result is off by at most the bound of its
/// row times u times the sum of the sizes of all terms, Σ|xᵢ| or Σ|aᵢbᵢ| (Higham, Accuracy and Stability of Numerical
/// Algorithms, 2nd ed., SIAM 2002, section 4.2). Errors are usually much smaller than their bounds, about the root.
/// Terms have their own errors: the few ulps of an elementwise function, and a rounding of each product unless the
/// processor adds it in one step. All bounds hold for dual numbers too, in each tangent, unless the row says otherwise.
///
/// | operation | bound for n terms | n = 10⁶ |
/// |---|---|---|
/// | all of a tensor or along the last axis: [`sum`](Tensor::sum), [`mean`](Tensor::mean), losses, softmax sums | 270 + n/2¹⁶ | 285 |
/// | along another axis: [`sum_axis`](Tensor::sum_axis), the gradient of a bias of [`affine`](Tensor::affine) | 256 + n/2¹⁴ | 317 |
/// | the gradient of an operand that is broadcast along the first axis or along all others, and of [`broadcast`](Tensor::broadcast) | 640 + n/2¹⁴ | 701 |
/// | the gradient of an operand that is broadcast along a middle axis | the length of that axis | |
/// | products of vectors: [`dot`](Tensor::dot) | 1,200 + n/2²⁰ | 1,201 |
/// | products of matrices: [`dot`](Tensor::dot), [`matmul`](Tensor::matmul), [`dense`](Tensor::dense), gradients of weights, convolutions | 1,100 + n/2¹⁶ | 1,115 |
/// | the gradient of the kernel of a convolution | 1,400 + n/2¹⁴ | 1,461 |
/// | products of vectors and of matrices of dual numbers | 4,096 + n/2¹² | 4,340 |
/// | [`var`](Tensor::var), the square of [`std`](Tensor::std) and of [`norm`](Tensor::norm) | 270 + n/2¹⁴ | 331 |
/// | functions of variables: [`sum`], [`mean`], [`dot`], [`norm`](fn@norm), [`log_sum_exp`], `iter.sum()` | 256 + n/2¹⁴ | 317 |
/// | the adjoint of a variable, or of an element of a tensor, that n operations use | n | 10⁶ |
/// | the gradient of [`gather`](Tensor::gather) and [`select`](Tensor::select), n indices of m elements | n if n ≤ 128 m; beyond, in even use, 128 + n/(128 m) | |
/// | pooling of n pixels; factorisations and substitutions of n rows (feature `linalg`) | n | |
/// | [`metrics`], fits of [`data::Scaling`], [`optim::global_norm`] | in `f64`: 270 + n/2⁴ | |
///
/// A loss over 10⁶ records, each of which uses the same variables, is therefore a case for `f64` or for tensors.
///
/// **Equal numbers.** The mean inside of [`var`](Tensor::var), [`std`](Tensor::std), [`layer_norm`](Tensor::layer_norm),
/// [`nn::BatchNorm`], [`data::Scaling::standard`] and [`metrics::r2`] is exact but for its last place where the numbers
/// differ by less than 1/200 (`f32`) or 1/30,000 (`f64`) of their size. Equal numbers, of whatever size, have the
/// variance 0, the deviation 0 and the gradient 0.
///
/// **Huge and tiny numbers.** These statistics and [`norm`](fn@norm) are computed in units of the largest number where a
/// square would over- or underflow; the mean is finite where its sum overflows.
///
/// ```
/// use wengert::ndarray::array;
///
/// let tape = wengert::Tape::<f32>::new();
/// let huge = array![[1e30, -1e30, 2e30, 0.0]];
/// let y = tape.tensor(&huge).layer_norm(1e-5);
/// assert!((y.value()[[0, 2]] - 3.0 / 5_f32.sqrt()).abs() < 1e-6);
/// ```
pub mod accuracy {}

/// The traits of arguments: each lists the types that some methods take.
///
/// A program needs these traits only in the bounds of its own generic functions; to call the methods, no trait needs to
/// be in scope. All of them are sealed: they cannot be implemented outside this crate.
///
/// | trait | implemented by | argument of |
/// |---|---|---|
/// | [`Operand`](args::Operand) | a number, a [`Var`], a tensor, an array as a constant | operators and functions of two tensors |
/// | [`Dot`](args::Dot) | a tensor of one or two axes | [`Tensor::dot`] |
/// | [`Target`](args::Target) | a tensor, an array, a number of the prediction's shape | losses |
/// | [`ClassTarget`](args::ClassTarget) | a slice of labels; a tensor or an array of probabilities | losses of rows |
/// | [`IntoConstant`](args::IntoConstant) | a number, an array, a view | [`Tape::constant`] |
/// | [`Embed`](args::Embed) | a number that can be a constant beside others, such as an `f64` beside dual numbers | methods that take data |
/// | [`Point`](args::Point) | an array or a slice of numbers | [`grad`], [`value_and_grad`] |
/// | [`StaticPoint`](args::StaticPoint) | the same | functions of [`statics`] |
/// | [`Wrt`](args::Wrt) | a variable, an array or a slice of variables, a tensor | [`Gradient::wrt`] |
/// | [`Inputs`](args::Inputs) | an array or a slice of numbers | [`Program::new`] |
/// | [`CustomInputs`](args::CustomInputs) | a tensor, a variable, a tuple of these, a slice of tensors | [`Tape::custom`] |
/// | [`Lengths`](args::Lengths) | a length, or an array of one for each direction | windows: [`Conv`], [`Pool`], [`nn::Conv2d`]; sizes of adaptive pools and of upsampling |
/// | [`AffineInput`](args::AffineInput) | a tensor, a [`Jet`] | [`nn::Linear::forward`] |
/// | [`Examples`](args::Examples) | an array, a slice, or a tuple of these | [`data::select`] |
/// | [`Indices`](args::Indices) | a slice, a vector or an array of indices | [`nn::Embedding::forward`] |
/// | `Matrices` (feature `linalg`) | the dimension of a matrix or a batch of matrices | `Tensor::solve`, `eigh`, .. |
/// | `Columns` (feature `linalg`) | the dimension of right-hand sides of these | `Tensor::solve` |
///
/// ```compile_fail,E0603
/// use wengert::sealed::Seal; // a required method of each trait takes it, or its supertrait is private
/// ```
pub mod args {
    pub use crate::derivatives::Point;
    pub use crate::derivatives::statics::StaticPoint;
    pub use crate::kit::data::Examples;
    pub use crate::kit::nn::{AffineInput, Indices};
    pub use crate::program::Inputs;
    pub use crate::scalar::Wrt;
    pub use crate::tensor::{ClassTarget, CustomInputs, Dot, Embed, IntoConstant, Lengths, Operand, Target};
    #[cfg(feature = "linalg")]
    pub use crate::tensor::{Columns, Matrices};
}

/// Losses as values, with their options: arguments of [`Tensor::losses`], which computes the [`mean`](loss::Losses::mean), the
/// [`sum`](loss::Losses::sum) or [`each`](loss::Losses::each) one.
///
/// | loss | targets | of |
/// |---|---|---|
/// | [`SquaredError`](loss::SquaredError), [`AbsoluteError`](loss::AbsoluteError), [`Huber`](loss::Huber) | numbers | elements |
/// | [`BceWithLogits`](loss::BceWithLogits) | numbers in [0, 1] | elements |
/// | [`CrossEntropy`](loss::CrossEntropy), also the negative log-likelihood | labels or probabilities | rows |
/// | [`KlDivergence`](loss::KlDivergence) | probabilities | rows |
///
/// [`Tensor::mse`], [`mae`](Tensor::mae), [`huber`](Tensor::huber), [`bce_with_logits`](Tensor::bce_with_logits) and
/// [`softmax_cross_entropy`](Tensor::softmax_cross_entropy) are means without options.
pub mod loss {
    pub use crate::tensor::{
        AbsoluteError, BceWithLogits, CrossEntropy, Huber, KlDivergence, Loss, Losses, SquaredError,
    };
}

#[doc = include_str!("../docs/TROUBLESHOOTING.md")]
pub mod troubleshooting {}

#[doc = include_str!("../docs/MANY_GRADIENTS.md")]
pub mod many_gradients {}

#[cfg(doc)]
#[cfg_attr(not(doctest), doc = include_str!("../docs/guide/labels.md"))]
#[doc = include_str!("../docs/guide/README.md")]
#[path = "../docs/guide/mod.rs"]
pub mod guide;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../docs/ARCHITECTURE.md")]
struct Architecture;

#[cfg(doctest)]
#[doc = include_str!("../docs/PROMISES.md")]
struct Promises;
