//! Cholesky factors and triangular systems.

use num_traits::Float;

use super::batch::{Columns, Matrices, part, part_mut};
use super::systems::solve_systems;
use crate::arena::Arena;
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

impl<'t, F: Scalar, D: Matrices> Tensor<'t, F, D> {
    /// The Cholesky factor of a symmetric positive definite matrix: the lower triangular L with a
    /// positive diagonal and A = L Lᵀ. Leading axes are batch axes.
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
        let (tape, a, len) = (self.tape, self.node, n * n);
        let l = symmetric_parts(a.to_slice(tape, "cholesky"), n, tape.arena());
        for i in 0..self.count() {
            F::cholesky(part_mut(l, i, len), n).map_err(|defect| self.error("cholesky", i, defect))?;
        }
        let l = &*l;
        let kind = OperationKind::unary("cholesky", a.source());
        Ok(Self::result(tape, kind, self.dim(), l, a.is_constant(), move |cotangents| {
            let arena = cotangents.arena;
            let da = arena.alloc_slice_fill_copy(l.len(), F::zero());
            for i in 0..l.len() / len {
                let (l, dl, da) = (part(l, i, len), part(cotangents.of_result, i, len), part_mut(da, i, len));
                pull_cholesky(l, dl, n, da, arena);
            }
            a.accumulate(&mut cotangents.of_operands, symmetric_parts(da, n, arena));
        }))
    }

    /// The solution X of TX = B for a triangular matrix T. B has shape (n) or (n, k); batch axes are as in
    /// [`solve`](Self::solve). For Tᵀ X = B call the method on `t.t()` with the other triangle.
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
    /// If T is not square, T and B differ in the number of rows, their batch axes do not fit, or the tapes differ.
    #[track_caller]
    pub fn solve_triangular<E: Columns<D>>(
        self,
        uplo: Uplo,
        diag: Diag,
        b: Tensor<'t, F, E>,
    ) -> Result<Tensor<'t, F, E>, LinalgError> {
        let operation = "solve_triangular";
        let n = self.assert_square(operation);
        let systems = self.assert_fits(b, operation);
        let (lower, unit) = (uplo == Uplo::Lower, diag == Diag::Unit);
        let is_read = move |i, j| if i == j { !unit } else { lower == (i > j) };
        self.check_finite(operation, is_read)?;
        let t = self.node.to_slice(self.tape, operation);
        let no_pivot = |&at: &usize| !Float::recip(t[at / n * n * n + at % n * (n + 1)].to_base()).is_finite();
        if let Some(at) = (0..self.count() * n).filter(|_| !unit).find(no_pivot) {
            return Err(self.error(operation, at / n, Defect::Pivot(at % n)));
        }
        let solver = move |i, x: &mut [F], columns, transposed, arena: &Arena| {
            let triangle = Triangle::new(part(t, i, n * n), n, lower, unit);
            (if transposed { triangle.t() } else { triangle }).solve(x, columns, arena);
        };
        Ok(solve_systems(operation, self, systems, false, solver, is_read))
    }
}

/// The symmetric parts (A + Aᵀ)/2 of matrices of order n.
pub(super) fn symmetric_parts<'a, F: Scalar>(a: &[F], n: usize, arena: &'a Arena) -> &'a mut [F] {
    let half = F::lit(0.5);
    arena.alloc_slice_fill_iter((0..a.len()).map(|place| {
        let (i, j) = (place / n % n, place % n);
        half * a[place] + half * a[place - i * n - j + j * n + i]
    }))
}

/// Overwrites `da` with L⁻ᵀ Φ(LᵀL') L⁻¹.
fn pull_cholesky<F: Scalar>(l: &[F], dl: &[F], n: usize, da: &mut [F], arena: &Arena) {
    let strides = [n as isize, 1];
    let (left, right) = (Mat::new(l, 0, [n, n], strides).t(), Mat::new(dl, 0, [n, n], strides));
    matmul(MatMut::new(&mut *da, 0, [n, n], strides), left, right, Store::Set);
    for (i, row) in da.chunks_exact_mut(n).enumerate() {
        row[i] *= F::lit(0.5);
        row[i + 1..].fill(F::zero());
    }
    // The transpose, L⁻ᵀ (L⁻ᵀ Φ)ᵀ, whose symmetric part is the same.
    let l = Triangle::new(l, n, true, false);
    l.t().solve(da, n, arena);
    transpose(da, n);
    l.t().solve(da, n, arena);
}
