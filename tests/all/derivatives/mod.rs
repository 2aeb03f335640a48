//! Derivatives of whole functions in one call.

mod arguments;
mod arrays;
mod evaluator;
mod grad;
mod hessian;
#[cfg(feature = "linalg")]
mod implicit;
mod jacobian;
mod sparse;
mod statics;
mod stops;
mod univariate;
