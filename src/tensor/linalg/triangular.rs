//! Cholesky factors and triangular systems.

use ndarray::Ix2;
use num_traits::Float;

use super::lu::Columns;
use crate::kernels::{Triangle, transpose};
use crate::number::Scalar;
use crate::slices::Defect;
use crate::slices::gemm::{Mat, MatMut, Store, matmul};
use crate::tape::OperationKind;
use crate::tensor::LinalgError;
use crate::tensor::handle::Tensor;

/// The triangle of a matrix that is read. The elements of the other triangle are ignored.
///
/// Needs the feature `linalg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uplo {
    /// The diagonal and the elements above it.
    Upper,
    /// The diagonal and the elements below it.
    Lower,
}

/// The diagonal of a triangular matrix.
///
/// Needs the feature `linalg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diag {
    /// Ones. The diagonal elements of the given matrix are not read.
    Unit,
    /// The matrix's own elements.
    NonUnit,
}

impl<'t, F: Scalar> Tensor<'t, F, Ix2> {
    /// The Cholesky factor of a symmetric positive definite matrix: the lower triangular L with a
    /// positive diagonal and A = L Lᵀ.
    ///
    /// The factorised matrix is the symmetric part (A + Aᵀ)/2, which for a symmetric matrix is A itself. So the
    /// gradient is symmetric: the two elements of a pair (i, j), (j, i) each get half of the derivative with respect to
    /// both together, as in JAX and torch.
    ///
    /// Pullback: A' = (S + Sᵀ)/2, S = L⁻ᵀ Φ(LᵀL') L⁻¹, where Φ takes the lower triangle and halves
    /// its diagonal (Murray 2016, "Differentiation of the Cholesky decomposition", arXiv:1602.07527).
    ///
    /// Needs the feature `linalg`. The log-density of a normal distribution with mean μ and
    /// covariance Σ = L Lᵀ, −½|z|² − Σᵢ ln Lᵢᵢ − n/2 ln 2π with Lz = x − μ:
    ///
    /// ```
    /// use ndarray::array;
    /// use wengert::{Diag, Tape, Uplo};
    ///
    /// let tape = Tape::<f64>::new();
    /// let (mean, covariance) = (array![1.0, -1.0], array![[2.0, 0.6], [0.6, 1.0]]);
    /// let (mean, covariance) = (tape.tensor(&mean), tape.tensor(&covariance));
    /// let x = array![0.5, 0.0];
    ///
    /// let l = covariance.cholesky()?;
    /// let z = l.solve_triangular(Uplo::Lower, Diag::NonUnit, tape.constant(&x) - mean)?;
    /// let density = -0.5 * z.dot(z) - l.diag().ln().sum() - std::f64::consts::TAU.ln();
    /// // Computed from (x − μ)ᵀ Σ⁻¹ (x − μ) = 2.85/1.64 and det Σ = 1.64.
    /// let expected = -0.5 * (2.85 / 1.64 + 1.64_f64.ln()) - std::f64::consts::TAU.ln();
    /// assert!((density.value() - expected).abs() < 1e-14);
    ///
    /// // The gradient with respect to the mean is Σ⁻¹(x − μ).
    /// let gradient = density.backward().wrt(mean);
    /// assert!((gradient - array![-1.1 / 1.64, 2.3 / 1.64]).iter().all(|e| e.abs() < 1e-14));
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotPositiveDefinite`](LinalgError::NotPositiveDefinite) or
    /// [`NotFinite`](LinalgError::NotFinite).
    ///
    /// # Panics
    ///
    /// If the matrix is not square.
    #[track_caller]
    pub fn cholesky(self) -> Result<Self, LinalgError> {
        let n = self.assert_square("cholesky");
        self.check_finite("cholesky", |_, _| true)?;
        let (tape, a) = (self.tape, self.node);
        let half = F::lit(0.5);
        let symmetric = a.values.iter().zip(a.values.t()).map(|(&x, &y)| half * x + half * y);
        let l = tape.arena().alloc_slice_fill_iter(symmetric);
        if let Err(defect) = F::cholesky(l, n) {
            return Err(self.error("cholesky", defect));
        }
        let l = &*l;
        let kind = OperationKind::unary("cholesky", a.source());
        Ok(Self::result(tape, kind, self.dim(), l, a.is_constant(), move |cotangents| {
            let arena = cotangents.arena;
            let strides = [n as isize, 1];
            let s = arena.alloc_slice_fill_copy(n * n, F::zero());
            matmul(
                MatMut::new(&mut *s, 0, [n, n], strides),
                Mat::new(l, 0, [n, n], strides).t(),
                Mat::new(cotangents.of_result, 0, [n, n], strides),
                Store::Set,
            );
            for (i, row) in s.chunks_exact_mut(n).enumerate() {
                row[i] *= half;
                row[i + 1..].fill(F::zero());
            }
            // Sᵀ = L⁻ᵀ (L⁻ᵀ Φ)ᵀ.
            let l = Triangle::new(l, n, true, false);
            l.t().solve(s, n, arena);
            transpose(s, n);
            l.t().solve(s, n, arena);
            for i in 0..n {
                for j in 0..=i {
                    let mean = half * (s[i * n + j] + s[j * n + i]);
                    (s[i * n + j], s[j * n + i]) = (mean, mean);
                }
            }
            a.accumulate(&mut cotangents.of_operands, s);
        }))
    }

    /// The solution X of TX = B for a triangular matrix T. B has shape (n) or (n, k). For Tᵀ X = B call the method on
    /// `t.t()` with the other triangle.
    ///
    /// Pullback: B' = T⁻ᵀX', T' = −B' Xᵀ on the elements that are read, 0 on the others (Giles 2008,
    /// "Collected matrix derivative results for forward and reverse mode algorithmic
    /// differentiation", section 2.3.1). A NaN in B spreads within its column of X.
    ///
    /// Needs the feature `linalg`.
    ///
    /// ```
    /// use ndarray::array;
    /// use wengert::{Diag, Tape, Uplo};
    ///
    /// let tape = Tape::<f64>::new();
    /// let (t, b) = (array![[2.0, 0.0], [1.0, 4.0]], array![2.0, 9.0]);
    /// let (t, b) = (tape.tensor(&t), tape.tensor(&b));
    /// let x = t.solve_triangular(Uplo::Lower, Diag::NonUnit, b)?;
    /// assert_eq!(x.value(), array![1.0, 2.0]);
    /// let gradient = x.at([1]).backward();
    /// assert_eq!(gradient.wrt(b), array![-0.125, 0.25]);
    /// assert_eq!(gradient.wrt(t), array![[0.125, 0.0], [-0.25, -0.5]]);
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Singular`](LinalgError::Singular) or [`NotFinite`](LinalgError::NotFinite), of the elements
    /// that are read.
    ///
    /// # Panics
    ///
    /// If T is not square, T and B differ in the number of rows, or the tapes differ.
    #[track_caller]
    pub fn solve_triangular<D: Columns + 't>(
        self,
        uplo: Uplo,
        diag: Diag,
        b: Tensor<'t, F, D>,
    ) -> Result<Tensor<'t, F, D>, LinalgError> {
        let operation = "solve_triangular";
        let n = self.assert_square(operation);
        let columns = self.assert_fits(b, operation);
        let (lower, unit) = (uplo == Uplo::Lower, diag == Diag::Unit);
        let is_read = move |i, j| if i == j { !unit } else { lower == (i > j) };
        self.check_finite(operation, is_read)?;
        let (tape, a, right) = (self.tape, self.node, b.node);
        let no_pivot = |i: &usize| !Float::recip(a.values[[*i, *i]].to_base()).is_finite();
        if let Some(pivot) = (0..n).filter(|_| !unit).find(no_pivot) {
            return Err(self.error(operation, Defect::Pivot(pivot)));
        }
        let triangle = Triangle::new(a.to_slice(tape, "solve_triangular"), n, lower, unit);
        let x = tape.arena().alloc_slice_fill_iter(right.values.iter().copied());
        triangle.solve(x, columns, tape.arena());
        let x = &*x;
        let constant = a.is_constant() && right.is_constant();
        let kind = OperationKind::binary(operation, a.source(), right.source());
        Ok(Tensor::result(tape, kind, b.dim(), x, constant, move |cotangents| {
            let arena = cotangents.arena;
            let db = arena.alloc_slice_copy(cotangents.of_result);
            triangle.t().solve(db, columns, arena);
            right.accumulate(&mut cotangents.of_operands, db);
            if a.is_constant() {
                return;
            }
            let (shape, strides) = ([n, columns], [columns as isize, 1]);
            let da = arena.alloc_slice_fill_copy(n * n, F::zero());
            matmul(
                MatMut::new(&mut *da, 0, [n, n], [n as isize, 1]),
                Mat::new(db, 0, shape, strides),
                Mat::new(x, 0, shape, strides).t(),
                Store::Set,
            );
            for (place, d) in da.iter_mut().enumerate() {
                *d = if is_read(place / n, place % n) { -*d } else { F::zero() };
            }
            a.accumulate(&mut cotangents.of_operands, da);
        }))
    }
}
