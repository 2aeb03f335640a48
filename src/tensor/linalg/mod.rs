//! Linear algebra, with the feature `linalg`. Every operation takes a matrix or a batch of matrices.
//!
//! | file | holds |
//! |---|---|
//! | `batch` | the axes of matrices and of batches, and their checks |
//! | `systems` | linear systems as an operation, whatever solves them |
//! | `lu`, `solve` | the LU factors and what is computed from them; `solve`, `inv` and the determinants of a tensor, which use them |
//! | `triangular` | Cholesky factors and triangular systems |
//! | `eigh`, `qr`, `svd` | symmetric eigenvalues, QR factors, singular values; `factors` has what they share |

mod batch;
mod eigh;
mod error;
mod factors;
mod lu;
mod qr;
mod solve;
mod svd;
mod systems;
mod triangular;

pub use batch::{Columns, Matrices};
pub use eigh::Eigh;
pub use error::LinalgError;
pub use lu::Lu;
pub use qr::Qr;
pub use svd::Svd;
pub use triangular::{Diag, Uplo};
