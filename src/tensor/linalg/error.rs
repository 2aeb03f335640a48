//! The error of linear algebra, from which a caller can recover.

use std::fmt;

/// The reason why a matrix has no inverse, no factorisation or no logarithm of its determinant. The reason lies in the
/// elements of the matrix; a wrong shape is the caller's mistake and panics.
///
/// Needs the feature `linalg`.
///
/// ```
/// use wengert::LinalgError;
///
/// let tape = wengert::Tape::new();
/// let a = ndarray::array![[1.0, 2.0], [2.0, 4.0]];
/// let error = tape.tensor(&a).inv().unwrap_err();
/// assert!(matches!(error, LinalgError::Singular { pivot: 1, .. }));
/// assert_eq!(error.to_string(), "inv: the matrix of shape [2, 2] is singular (pivot 1 is zero or too small to divide by)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinalgError {
    /// A pivot of the elimination, or an element on the diagonal of a triangular matrix, is zero or
    /// so small that its reciprocal overflows. A matrix that is singular up to rounding is no error: see
    /// [`Lu::rcond`](crate::Lu::rcond).
    #[non_exhaustive]
    Singular {
        /// The name of the method.
        operation: &'static str,
        /// The shape of the matrix.
        shape: [usize; 2],
        /// The first such pivot, counted from 0.
        pivot: usize,
    },
    /// The symmetric matrix is not positive definite.
    #[non_exhaustive]
    NotPositiveDefinite {
        /// The name of the method.
        operation: &'static str,
        /// The shape of the matrix.
        shape: [usize; 2],
        /// The order of the first leading block that is not positive definite.
        order: usize,
    },
    /// The determinant is negative, so it has no logarithm.
    #[non_exhaustive]
    NegativeDeterminant {
        /// The name of the method.
        operation: &'static str,
        /// The shape of the matrix.
        shape: [usize; 2],
    },
    /// The matrix has an element that is infinite or NaN.
    #[non_exhaustive]
    NotFinite {
        /// The name of the method.
        operation: &'static str,
        /// The shape of the matrix.
        shape: [usize; 2],
        /// The index of the first such element.
        index: [usize; 2],
    },
}

impl fmt::Display for LinalgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Singular { operation, shape, pivot } => write!(
                f,
                "{operation}: the matrix of shape {shape:?} is singular (pivot {pivot} is zero or too small to divide by)"
            ),
            Self::NotPositiveDefinite { operation, shape, order } => write!(
                f,
                "{operation}: the matrix of shape {shape:?} is not positive definite (its leading block of order {order} is not)"
            ),
            Self::NegativeDeterminant { operation, shape } => write!(
                f,
                "{operation}: the matrix of shape {shape:?} has a negative determinant; `sln_det` gives its sign too"
            ),
            Self::NotFinite { operation, shape, index } => {
                write!(f, "{operation}: the matrix of shape {shape:?} has an infinite or NaN element at {index:?}")
            }
        }
    }
}

impl std::error::Error for LinalgError {}
