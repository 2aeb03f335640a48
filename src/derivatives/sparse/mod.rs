//! Sparse derivatives: [`SparseJacobian`] and [`SparseHessian`].
//!
//! | file | open it for |
//! |---|---|
//! | `evaluators.rs` | the two types: detection, the plan of sweeps, evaluation, the check of a Hessian |
//! | `detect.rs` | the pattern of a Jacobian or a Hessian from a recording |

mod detect;
mod evaluators;

pub use evaluators::{SparseHessian, SparseJacobian, sparse_hessian, sparse_jacobian};
