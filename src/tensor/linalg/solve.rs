//! Linear systems, inverses and determinants.

use ndarray::Ix2;
use num_traits::Float;

use super::lu::{Columns, Lu, scalar};
use crate::kernels::cofactors;
use crate::number::Scalar;
use crate::scalar::Var;
use crate::slices::Defect;
use crate::tape::OperationKind;
use crate::tensor::LinalgError;
use crate::tensor::handle::Tensor;

impl<'t, F: Scalar> Tensor<'t, F, Ix2> {
    /// The order of the matrix. Panics unless it is square.
    #[track_caller]
    pub(super) fn assert_square(self, operation: &str) -> usize {
        let [n, columns] = self.matrix_shape();
        assert!(
            n == columns,
            "{operation}: a matrix of shape [{n}, {columns}] is not square; see `slice`, or `dot` with its transpose"
        );
        n
    }

    pub(super) fn matrix_shape(self) -> [usize; 2] {
        [self.shape()[0], self.shape()[1]]
    }

    /// The number of columns of B. Panics unless B has as many rows as the matrix and is on the same tape.
    #[track_caller]
    pub(super) fn assert_fits<D: Columns>(self, b: Tensor<'t, F, D>, operation: &str) -> usize {
        self.assert_same_tape(b);
        assert!(
            b.shape()[0] == self.shape()[0],
            "{operation}: shapes {:?} and {:?} do not fit: the right-hand side must have as many rows as the matrix; \
             see `t` and `reshape`",
            self.shape(),
            b.shape()
        );
        b.shape().get(1).copied().unwrap_or(1)
    }

    /// Returns an error if an element is not finite, among the elements whose row and column satisfy `counts`.
    pub(super) fn check_finite(
        self,
        operation: &'static str,
        counts: impl Fn(usize, usize) -> bool,
    ) -> Result<(), LinalgError> {
        let found = self.node.values.indexed_iter().find(|&((i, j), x)| counts(i, j) && !x.to_base().is_finite());
        found.map_or(Ok(()), |((i, j), _)| {
            Err(LinalgError::NotFinite { operation, shape: self.matrix_shape(), index: [i, j] })
        })
    }

    pub(super) fn error(self, operation: &'static str, defect: Defect) -> LinalgError {
        let shape = self.matrix_shape();
        match defect {
            Defect::Pivot(pivot) => LinalgError::Singular { operation, shape, pivot },
            Defect::Block(order) => LinalgError::NotPositiveDefinite { operation, shape, order },
        }
    }

    #[track_caller]
    fn lu(self, operation: &'static str) -> Result<Lu<'t, F>, LinalgError> {
        let n = self.assert_square(operation);
        self.check_finite(operation, |_, _| true)?;
        let arena = self.tape.arena();
        let packed = arena.alloc_slice_fill_iter(self.node.values.iter().copied());
        let rows = arena.alloc_slice_fill_copy(n, 0);
        match F::lu(packed, rows) {
            Ok(()) => Ok(Lu::new(self, packed, rows)),
            Err(defect) => Err(self.error(operation, defect)),
        }
    }

    /// The factors of PA = LU by partial pivoting, computed once for several uses: right-hand sides,
    /// systems of A and of Aᵀ, the determinant. The factorisation is not recorded; the results computed from it are.
    ///
    /// Needs the feature `linalg`.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let (a, b) = (array![[0.0, 2.0], [1.0, 3.0]], array![2.0, 4.0]);
    /// let (a, b) = (tape.tensor(&a), tape.tensor(&b));
    /// let lu = a.factorize()?;
    /// assert_eq!(lu.solve(b).value(), array![1.0, 1.0]);
    /// assert_eq!(lu.solve_t(b).value(), array![-1.0, 2.0]);
    /// assert_eq!(lu.det().value(), -2.0);
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Singular`](LinalgError::Singular) or [`NotFinite`](LinalgError::NotFinite).
    ///
    /// # Panics
    ///
    /// If the matrix is not square.
    #[track_caller]
    pub fn factorize(self) -> Result<Lu<'t, F>, LinalgError> {
        self.lu("factorize")
    }

    /// The solution X of AX = B, by LU factors with partial pivoting. B has shape (n) or (n, k).
    ///
    /// Pullback: B' = A⁻ᵀX', A' = −B' Xᵀ, where ' marks a cotangent (Giles 2008, "Collected matrix
    /// derivative results for forward and reverse mode algorithmic differentiation", section 2.3.1).
    /// The pullback reuses the factors. A NaN in B spreads to its column of X.
    ///
    /// Needs the feature `linalg`. For Aᵀ X = B call the method on `a.t()`, or use the factors of A with
    /// [`Lu::solve_t`]. For a batch of matrices loop over [`outer_iter`](Self::outer_iter) and join the solutions with
    /// [`Tape::stack`](crate::Tape::stack).
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let (a, b) = (array![[2.0, 0.0], [0.0, 4.0]], array![2.0, 4.0]);
    /// let (a, b) = (tape.tensor(&a), tape.tensor(&b));
    /// let x = a.solve(b)?;
    /// assert_eq!(x.value(), array![1.0, 1.0]);
    /// let gradient = x.sum().backward();
    /// assert_eq!(gradient.wrt(b), array![0.5, 0.25]);
    /// assert_eq!(gradient.wrt(a), array![[-0.5, -0.5], [-0.25, -0.25]]);
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Singular`](LinalgError::Singular) or [`NotFinite`](LinalgError::NotFinite), of A. A nearly
    /// singular A is no error: the relative error of the solution is then about the condition number
    /// times the machine epsilon, and that of the gradient up to twice as large; see [`Lu::rcond`].
    ///
    /// # Panics
    ///
    /// If A is not square, A and B differ in the number of rows, or the tapes differ.
    #[track_caller]
    pub fn solve<D: Columns + 't>(self, b: Tensor<'t, F, D>) -> Result<Tensor<'t, F, D>, LinalgError> {
        self.assert_square("solve");
        self.assert_fits(b, "solve");
        Ok(self.lu("solve")?.solve(b))
    }

    /// The inverse C = A⁻¹, which is [`solve`](Self::solve) for the identity.
    ///
    /// Pullback: A' = −Cᵀ C' Cᵀ (Giles 2008, section 2.2.3). To multiply by an inverse, `solve` is cheaper and more
    /// accurate.
    ///
    /// Needs the feature `linalg`.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = array![[2.0, 1.0], [0.0, 1.0]];
    /// let a = tape.tensor(&a);
    /// let inverse = a.inv()?;
    /// assert_eq!(inverse.value(), array![[0.5, -0.5], [0.0, 1.0]]);
    /// assert_eq!(inverse.at([0, 0]).backward().wrt(a), array![[-0.25, 0.0], [0.25, 0.0]]);
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Same as for [`solve`](Self::solve).
    ///
    /// # Panics
    ///
    /// If the matrix is not square.
    #[track_caller]
    pub fn inv(self) -> Result<Self, LinalgError> {
        Ok(self.lu("inv")?.inv())
    }

    /// The determinant; 1 for a matrix without elements.
    ///
    /// Pullback: A' = d' det A · A⁻ᵀ (Giles 2008, section 2.2.4), that is d' times the matrix of
    /// cofactors. If the inverse does not exist, or det A overflows or underflows, the cofactors are computed without
    /// the inverse. Cofactors are finite for singular matrices: a matrix of rank one if A has rank n − 1, zero if the
    /// rank is lower. The determinant of a matrix with an infinite or NaN element is NaN.
    ///
    /// Needs the feature `linalg`. The determinants of large matrices overflow: see
    /// [`sln_det`](Self::sln_det).
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = array![[1.0, 2.0], [2.0, 4.0]];
    /// let a = tape.tensor(&a);
    /// assert_eq!(a.det().value(), 0.0);
    /// assert_eq!(a.det().backward().wrt(a), array![[4.0, -2.0], [-2.0, 1.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the matrix is not square.
    #[track_caller]
    pub fn det(self) -> Var<'t, F> {
        let n = self.assert_square("det");
        let lu = self.lu("det");
        if let Ok(lu) = lu
            && (lu.det_is_regular() || n == 0)
        {
            return lu.det();
        }
        let (tape, node) = (self.tape, self.node);
        let (det, cofactors) = if let Err(LinalgError::NotFinite { .. }) = lu {
            (F::nan(), tape.arena().alloc_slice_fill_copy(n * n, F::nan()))
        } else {
            cofactors(node.to_slice(tape, "det"), n, tape.arena())
        };
        let cofactors = &*cofactors;
        scalar(tape, OperationKind::unary("det", node.source()), det, node.is_constant(), move |cotangents| {
            let scaled = cofactors.iter().map(|&c| c * cotangents.of_result[0]);
            let scaled = cotangents.arena.alloc_slice_fill_iter(scaled);
            node.accumulate(&mut cotangents.of_operands, scaled);
        })
    }

    /// The sign of the determinant, 1 or −1, and the logarithm of its absolute value.
    ///
    /// Pullback: A' = l' A⁻ᵀ (Giles 2008, section 2.2.4, with d ln|det A| = d det A / det A).
    ///
    /// Needs the feature `linalg`.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = array![[0.0, 2.0], [1.0, 0.0]];
    /// let a = tape.tensor(&a);
    /// let (sign, ln) = a.sln_det()?;
    /// assert_eq!((sign, ln.value()), (-1.0, 2_f64.ln()));
    /// assert_eq!(ln.backward().wrt(a), array![[0.0, 0.5], [1.0, 0.0]]);
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Same as for [`factorize`](Self::factorize): the logarithm of 0 has no derivative.
    ///
    /// # Panics
    ///
    /// If the matrix is not square.
    #[track_caller]
    pub fn sln_det(self) -> Result<(F, Var<'t, F>), LinalgError> {
        Ok(self.lu("sln_det")?.sln_det())
    }

    /// The logarithm of a positive determinant: see [`sln_det`](Self::sln_det). For a matrix that
    /// should be positive definite, take twice the sum of the logarithms of the diagonal of its
    /// [`cholesky`](Self::cholesky) factor, which is an error if the matrix is not positive definite.
    ///
    /// Needs the feature `linalg`.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = ndarray::array![[1e200, 0.0], [0.0, 1e200]];
    /// assert!((tape.tensor(&a).ln_det()?.value() - 400.0 * 10_f64.ln()).abs() < 1e-12);
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Same as for [`factorize`](Self::factorize), or
    /// [`NegativeDeterminant`](LinalgError::NegativeDeterminant).
    ///
    /// # Panics
    ///
    /// If the matrix is not square.
    #[track_caller]
    pub fn ln_det(self) -> Result<Var<'t, F>, LinalgError> {
        let lu = self.lu("ln_det")?;
        if lu.sign() < F::zero() {
            return Err(LinalgError::NegativeDeterminant { operation: "ln_det", shape: self.matrix_shape() });
        }
        Ok(lu.sln_det().1)
    }
}
