//! Sparse derivatives: [`SparseJacobian`] and [`SparseHessian`].
//!
//! | file | open it for |
//! |---|---|
//! | `evaluators.rs` | the two types: detection, the plan of sweeps, evaluation, the check of a Hessian |
//! | `detect.rs` | the pattern of a Jacobian or a Hessian from a recording |
//! | `coloring.rs` | the colours, which tell the columns or rows that can share a seed |
//! | `matrix.rs` | [`SparseMatrix`] and its pattern |

mod coloring;
mod detect;
mod evaluators;
mod matrix;

pub use evaluators::{SparseHessian, SparseJacobian, sparse_hessian, sparse_jacobian};
pub use matrix::SparseMatrix;
