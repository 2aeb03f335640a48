//! The error of linear algebra, from which a caller can recover.

use std::fmt;

/// The reason why a matrix has no inverse, no factorisation, no logarithm of its determinant, or factors without a
/// derivative. The reason lies in the elements of the matrix; a wrong shape is the caller's mistake and panics.
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
        /// The index of the matrix in its batch, in row-major order; `None` for a single matrix.
        matrix: Option<usize>,
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
        /// The index of the matrix in its batch; `None` for a single matrix.
        matrix: Option<usize>,
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
        /// The index of the matrix in its batch; `None` for a single matrix.
        matrix: Option<usize>,
    },
    /// The matrix has an element that is infinite or NaN.
    #[non_exhaustive]
    NotFinite {
        /// The name of the method.
        operation: &'static str,
        /// The shape of the matrix.
        shape: [usize; 2],
        /// The index of the matrix in its batch; `None` for a single matrix.
        matrix: Option<usize>,
        /// The index of the first such element in the matrix.
        index: [usize; 2],
    },
    /// The factors have no derivative: two eigenvalues or singular values are equal up to rounding, a singular value is zero,
    /// or a column depends on the columns before it. See [`Eigh::differentiable`](crate::Eigh::differentiable).
    #[non_exhaustive]
    Degenerate {
        /// The name of the method.
        operation: &'static str,
        /// The shape of the matrix.
        shape: [usize; 2],
        /// The index of the matrix in its batch; `None` for a single matrix.
        matrix: Option<usize>,
        /// The index of the first eigenvalue or singular value that equals the next one, of the first singular value that is
        /// zero, or of the first column that depends on others.
        index: usize,
    },
    /// The iteration did not converge within its limit of sweeps. No matrix of finite numbers is known for which this happens.
    #[non_exhaustive]
    NotConverged {
        /// The name of the method.
        operation: &'static str,
        /// The shape of the matrix.
        shape: [usize; 2],
        /// The index of the matrix in its batch; `None` for a single matrix.
        matrix: Option<usize>,
    },
}

impl fmt::Display for LinalgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Singular { operation, shape, matrix, .. }
        | Self::NotPositiveDefinite { operation, shape, matrix, .. }
        | Self::NegativeDeterminant { operation, shape, matrix }
        | Self::NotFinite { operation, shape, matrix, .. }
        | Self::Degenerate { operation, shape, matrix, .. }
        | Self::NotConverged { operation, shape, matrix }) = self;
        match matrix {
            None => write!(f, "{operation}: the matrix of shape {shape:?} ")?,
            Some(matrix) => write!(f, "{operation}: the matrix {matrix} of the batch, of shape {shape:?}, ")?,
        }
        match self {
            Self::Singular { pivot, .. } => write!(f, "is singular (pivot {pivot} is zero or too small to divide by)"),
            Self::NotPositiveDefinite { order, .. } => {
                write!(f, "is not positive definite (its leading block of order {order} is not)")
            }
            Self::NegativeDeterminant { .. } => f.write_str("has a negative determinant; `sln_det` gives its sign too"),
            Self::NotFinite { index, .. } => write!(f, "has an infinite or NaN element at {index:?}"),
            Self::Degenerate { operation: "qr", index, .. } => {
                write!(f, "has no factors with a derivative: its column {index} depends on those before it")
            }
            Self::Degenerate { operation: "svd", index, .. } => write!(
                f,
                "has no singular vectors with a derivative: its singular value {index} is zero or equals the next one"
            ),
            Self::Degenerate { index, .. } => {
                write!(f, "has no eigenvectors with a derivative: its eigenvalue {index} equals the next one")
            }
            Self::NotConverged { .. } => f.write_str("is one for which the iteration does not converge"),
        }
    }
}

impl std::error::Error for LinalgError {}
