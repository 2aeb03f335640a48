//! Linear algebra of square matrices: systems, determinants, factorisations.

mod error;
mod lu;
mod solve;
mod triangular;

pub use error::LinalgError;
pub use lu::{Columns, Lu};
pub use triangular::{Diag, Uplo};
