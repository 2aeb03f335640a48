//! Derivatives of a function in one call.
//!
//! | function | derivative | method | file |
//! |---|---|---|---|
//! | [`derivative`], [`second_derivative`], [`taylor`] | f', f'', .. of one variable | forward, no tape | `univariate.rs` |
//! | [`grad`](fn@grad), [`value_and_grad`] | ∇f | reverse | `grad.rs`; the point in `point.rs` |
//! | [`Evaluator`] | ∇f at many points | reverse, on a tape that is kept | `evaluator.rs` |
//! | [`vjp`] | Jᵀw for any number of w | reverse | `jacobian.rs` |
//! | [`jvp`] | Jv | forward, no tape | `jacobian.rs` |
//! | [`jacobian`](fn@jacobian) | J | eight rows or eight columns a sweep, whichever is cheaper by shape | `jacobian.rs` |
//! | [`jacobian_reverse`], [`jacobian_forward`] | J | rows; columns without a tape | `jacobian.rs` |
//! | [`divergence`] | tr J | same as for [`jacobian`](fn@jacobian) | `jacobian.rs` |
//! | [`hvp`], [`value_grad_hvp`] | Hv | forward over reverse | `hessian.rs` |
//! | [`hessian`](fn@hessian), [`laplacian`] | H, tr H | forward over reverse, eight columns a sweep | `hessian.rs` |
//! | [`sparse_jacobian`], [`sparse_hessian`] | sparse J, H | coloured columns, eight colours a sweep | `sparse/` |
//! | [`implicit`](crate::implicit) (feature `linalg`) | roots, fixed points, minima of parameters | one linear system | `implicit.rs` |
//!
//! Each call records the function for one evaluation. A function whose derivatives are taken many times is recorded once as a
//! [`Program`](crate::Program), which has the same derivatives, sparse ones included, without a recording or an allocation.
//!
//! The same functions for arrays are in [`arrays`]; some for code that asks for `'static` numbers are in [`statics`].
//! `linearization.rs` keeps a recorded function for any
//! number of sweeps: `vjp`, `jacobian` and the sparse derivatives are built on it.

pub mod arrays;
mod evaluator;
mod grad;
mod hessian;
#[cfg(feature = "linalg")]
pub mod implicit;
mod jacobian;
pub(crate) mod linearization;
mod point;
mod sparse;
pub mod statics;
mod univariate;

pub use evaluator::Evaluator;
pub use grad::{grad, value_and_grad};
pub use hessian::{hessian, hvp, laplacian, value_grad_hvp};
pub use jacobian::{Pullback, divergence, jacobian, jacobian_forward, jacobian_reverse, jvp, vjp};
pub use point::Point;
pub use sparse::{SparseHessian, SparseJacobian, sparse_hessian, sparse_jacobian};
pub use univariate::{derivative, second_derivative, taylor, value_and_derivative};
