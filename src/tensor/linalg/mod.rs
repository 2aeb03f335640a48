//! Linear algebra of square matrices, with the feature `linalg`.
//!
//! `lu` holds the LU factors and everything computed from them; `solve` holds `solve`, `inv` and the determinants of a
//! tensor, which use the factors; `triangular` holds Cholesky factors and triangular systems.

mod error;
mod lu;
mod solve;
mod triangular;

pub use error::LinalgError;
pub use lu::{Columns, Lu};
pub use triangular::{Diag, Uplo};
