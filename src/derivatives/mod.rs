//! Derivatives of a function in one call.
//!
//! | | | |
//! |---|---|---|
//! | [`grad`], [`value_and_grad`] | ∇f | reverse |
//! | [`vjp`] | Jᵀw for any number of w | reverse |
//! | [`jvp`] | Jv | forward, no tape |
//! | [`jacobian`] | J | eight rows or eight columns a sweep, the cheaper by shape |
//! | [`divergence`] | tr J | |
//! | [`hvp`], [`value_grad_hvp`] | Hv | forward over reverse |
//! | [`hessian`], [`laplacian`] | H, tr H | forward over reverse, several columns at a time |
//! | [`sparse_jacobian`], [`sparse_hessian`] | J, H of few nonzeros | coloured columns, eight colours a sweep |
//!
//! The same for arrays is in [`arrays`](crate::arrays).

pub mod arrays;
mod grad;
mod hessian;
mod jacobian;
pub(crate) mod linearization;
mod sparse;

pub use grad::{grad, value_and_grad};
pub use hessian::{hessian, hvp, laplacian, value_grad_hvp};
pub use jacobian::{Pullback, divergence, jacobian, jacobian_forward, jacobian_reverse, jvp, vjp};
pub use sparse::{SparseHessian, SparseJacobian, SparseMatrix, sparse_hessian, sparse_jacobian};
