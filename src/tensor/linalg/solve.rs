//! Linear systems, inverses and determinants.

use num_traits::Float;

use super::batch::{Columns, Matrices, part, part_mut};
use super::lu::{Determinant, Factors, Lu, determinants};
use crate::kernels::cofactors;
use crate::number::Scalar;
use crate::tensor::LinalgError;
use crate::tensor::handle::Tensor;

impl<'t, F: Scalar, D: Matrices> Tensor<'t, F, D> {
    #[track_caller]
    fn lu(self, operation: &'static str) -> Result<Lu<'t, F, D>, LinalgError> {
        let n = self.assert_square(operation);
        self.check_finite(operation, |_, _| true)?;
        let arena = self.tape.arena();
        let packed = arena.alloc_slice_fill_iter(self.node.values.iter().copied());
        let rows = arena.alloc_slice_fill_copy(self.count() * n, 0);
        for i in 0..self.count() {
            F::lu(part_mut(packed, i, n * n), part_mut(rows, i, n))
                .map_err(|defect| self.error(operation, i, defect))?;
        }
        Ok(Lu::new(self, packed, rows))
    }

    /// The factors of PA = LU by partial pivoting, computed once for several uses: right-hand sides,
    /// systems of A and of Aᵀ, the determinant. The factorisation is not recorded; the results computed from it are. Leading
    /// axes are batch axes.
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
    pub fn factorize(self) -> Result<Lu<'t, F, D>, LinalgError> {
        self.lu("factorize")
    }

    /// The solution X of AX = B, by LU factors with partial pivoting. B has shape (n) or (n, k).
    ///
    /// Leading axes are batch axes: with A of shape (.., n, n), B and X have shape (.., n, k) or (.., n). A batch axis of
    /// length 1, of A or of B, is broadcast; none is added, so for one matrix and a batch of right-hand sides see
    /// [`insert_axis`](Self::insert_axis).
    ///
    /// Pullback: B' = A⁻ᵀX', A' = −B' Xᵀ, where ' marks a cotangent (Giles 2008, "Collected matrix
    /// derivative results for forward and reverse mode algorithmic differentiation", section 2.3.1).
    /// The pullback reuses the factors. A NaN in B spreads to its column of X.
    ///
    /// Needs the feature `linalg`. For Aᵀ X = B call the method on `a.t()`, or use the factors of A with
    /// [`Lu::solve_t`].
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
    ///
    /// // A batch of two matrices, with one right-hand side for both.
    /// let (a, b) = (array![[[2.0, 0.0], [0.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]], array![[2.0, 4.0]]);
    /// let x = tape.tensor(&a).solve(tape.tensor(&b))?;
    /// assert_eq!(x.value(), array![[1.0, 1.0], [4.0, 2.0]]);
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
    /// If A is not square, A and B differ in the number of rows, their batch axes do not fit, or the tapes differ.
    #[track_caller]
    pub fn solve<E: Columns<D>>(self, b: Tensor<'t, F, E>) -> Result<Tensor<'t, F, E>, LinalgError> {
        self.assert_square("solve");
        self.assert_fits(b, "solve");
        Ok(self.lu("solve")?.solve(b))
    }

    /// The inverse C = A⁻¹, which is [`solve`](Self::solve) for the identity. Leading axes are batch axes.
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

    /// The determinant; 1 for a matrix without elements. Of a batch of matrices, a tensor over the batch axes.
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
    pub fn det(self) -> D::Vars<'t, F> {
        let n = self.assert_square("det");
        let (tape, len) = (self.tape, n * n);
        let arena = tape.arena();
        let values = self.node.to_slice(tape, "det");
        let determinant = |i| {
            let a = part(values, i, len);
            if !a.iter().all(|x| x.to_base().is_finite()) {
                return Determinant::Other(F::nan(), arena.alloc_slice_fill_copy(len, F::nan()));
            }
            let (packed, rows) = (arena.alloc_slice_copy(a), arena.alloc_slice_fill_copy(n, 0));
            let regular = F::lu(packed, rows).is_ok();
            let factors = Factors { packed, rows };
            // The pullback may use the determinant if that neither overflowed nor underflowed.
            if regular && (n == 0 || factors.det().product_is_safe()) {
                return Determinant::Regular(factors);
            }
            let (det, cofactors) = cofactors(a, n, arena);
            Determinant::Other(det, cofactors)
        };
        determinants(self, arena.alloc_slice_fill_with(self.count(), determinant))
    }

    /// The sign of the determinant, 1 or −1, and the logarithm of its absolute value. Of a batch of matrices, an array and a
    /// tensor over the batch axes.
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
    #[allow(clippy::type_complexity)]
    #[track_caller]
    pub fn sln_det(self) -> Result<(D::Each<F>, D::Vars<'t, F>), LinalgError> {
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
    pub fn ln_det(self) -> Result<D::Vars<'t, F>, LinalgError> {
        let lu = self.lu("ln_det")?;
        if let Some(negative) = lu.signs().iter().position(|&sign| sign < F::zero()) {
            let (shape, matrix) = self.named(negative);
            return Err(LinalgError::NegativeDeterminant { operation: "ln_det", shape, matrix });
        }
        Ok(lu.sln_det().1)
    }
}
