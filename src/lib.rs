//! Reverse-mode automatic differentiation on one tape, for scalars and ndarray tensors.
//!
//! Operations on [`Var`] and [`Tensor`] handles are recorded on a [`Tape`] (a Wengert list, after
//! R. E. Wengert, "A simple automatic derivative evaluation program", CACM 7(8), 1964) while they
//! compute their values; one backward sweep then accumulates the adjoints of everything recorded.
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
//! - Scalars: [`Tape::vars`], [`Var`], [`Var::backward`], [`Gradient`]; [`Real`] for functions that
//!   run on any number type.
//! - Derivatives in one call: [`grad`], [`vjp`], [`jvp`], [`jacobian`], [`hvp`], [`hessian`],
//!   [`sparse_jacobian`], [`sparse_hessian`]; for arrays [`arrays`].
//! - Many operands at once: [`sum`], [`dot`], [`norm`](fn@norm), [`log_sum_exp`], [`fuse`](fn@fuse).
//! - Arrays: [`Tape::tensor`], [`Tape::constant`], [`Tensor`].
//! - Linear algebra (with the feature `linalg`): `Tensor::solve`, `inv`, `det`, `sln_det`,
//!   `cholesky`, `solve_triangular`, `factorize`.
//! - Operations of your own: [`Rule`], [`apply`], [`with_partials`], [`Tape::custom`]; optimisers of your own:
//!   [`optim::UpdateRule`].
//! - Less memory: [`Tape::checkpoint`], [`Tape::checkpoint_loop`].
//! - Training: [`Params`], [`Tape::value_and_grad`], [`nn`], [`optim`], [`init`], [`data`], [`metrics`].
//! - With a feature: files of weights and tables (`io`: `save`, `data::Csv`), progress bars and
//!   charts (`watch`), several threads (`parallel`: `Parallel`), L-BFGS and its like (`argmin`:
//!   `optim::Objective`).
//! - Checking gradients: [`check_gradient`], [`gradcheck`].
//! - Looking inside: [`trace`](fn@trace), [`symbolic`](fn@symbolic), [`inspect`].
//! - Forward mode: [`Dual`].
//! - The derivative of each function and every convention at special points: [`rules`].

// What unsafe code there is, measured and argued for, is in two modules.
#![deny(unsafe_code)]

#[macro_use]
mod ops;
mod adjoints;
mod calculus;
mod checkpoint;
mod custom;
pub mod data;
mod dual;
#[cfg(feature = "linalg")]
mod error;
mod fuse;
pub mod gradcheck;
pub mod init;
pub mod inspect;
#[allow(unsafe_code)]
mod kernels;
pub mod metrics;
pub mod nn;
pub mod optim;
#[cfg(feature = "parallel")]
mod parallel;
mod params;
mod real;
pub mod rules;
#[cfg(feature = "io")]
pub mod save;
mod special;
mod sweep;
pub mod symbolic;
#[allow(unsafe_code)]
mod tape;
mod tensor;
pub mod trace;
mod var;
#[cfg(feature = "watch")]
pub mod watch;

pub use calculus::{
    Pullback, SparseHessian, SparseJacobian, SparseMatrix, arrays, divergence, grad, hessian, hvp, jacobian,
    jacobian_forward, jacobian_reverse, jvp, laplacian, sparse_hessian, sparse_jacobian, value_and_grad,
    value_grad_hvp, vjp,
};
pub use checkpoint::Snapshots;
pub use custom::{Operands, Rule, apply, with_partials};
pub use dual::{Brand, Dual};
#[cfg(feature = "linalg")]
pub use error::LinalgError;
pub use fuse::{dot, fuse, log_sum_exp, mean, norm, softmax, sum};
pub use gradcheck::check_gradient;
pub use optim::{Adam, AdamW, Optimizer, Sgd};
#[cfg(feature = "parallel")]
pub use parallel::Parallel;
pub use params::{Group, On, Param, ParamInfo, Params};
pub use real::{BaseFloat, Real, Scalar};
pub use sweep::{Gradient, Seed, Wrt};
pub use symbolic::symbolic;
pub use tape::Tape;
pub use tensor::{Activation, Conv, Dot, Embed, IntoConstant, Lengths, Operand, Pool, Target, Tensor};
#[cfg(feature = "linalg")]
pub use tensor::{Columns, Diag, Lu, Uplo};
pub use trace::{record, trace};
pub use var::Var;

pub use ndarray;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
