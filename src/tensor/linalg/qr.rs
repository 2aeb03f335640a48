//! QR factors.

use ndarray::{Dimension, Ix1, Ix2};
use num_traits::Zero;

use super::batch::{Matrices, dimension, part, part_mut};
use super::factors::{each_cotangent, piece};
use crate::arena::Arena;
use crate::kernels::{Triangle, householder, multiply, precision};
use crate::number::{Length, Scalar};
use crate::slices::gemm::{Mat, MatMut, Store, matmul};
use crate::tape::OperationKind;
use crate::tensor::LinalgError;
use crate::tensor::handle::Tensor;

/// The thin QR factors of a matrix, or of each matrix of a batch: see [`Tensor::qr`]. k is the smaller of m and n. Needs the
/// feature `linalg`.
#[derive(Clone, Copy, Debug)]
pub struct Qr<'t, F: Scalar, D: Dimension = Ix2> {
    /// The factor with orthonormal columns, of shape (m, k).
    pub q: Tensor<'t, F, D>,
    /// The upper triangular factor, with no negative number on its diagonal, of shape (k, n).
    pub r: Tensor<'t, F, D>,
}

impl<'t, F: Scalar, D: Matrices> Tensor<'t, F, D> {
    /// The thin QR factors A = QR of a matrix of any shape (m, n), by Householder's reflections. Leading axes are batch axes.
    ///
    /// The diagonal of R is not negative, which makes the factors of a matrix of full rank unique: R is the transpose of the
    /// [`cholesky`](Self::cholesky) factor of `AᵀA`. The signs of numpy, PyTorch and JAX may differ.
    ///
    /// Pullback, if m ≥ n: A' = (Q' + Q sym(RR'ᵀ − Q'ᵀQ)) R⁻ᵀ, where sym(M) is the symmetric matrix with the lower triangle of M
    /// (Walter and Lehmann 2010, arXiv:1001.1654; Seeger et al. 2017, arXiv:1710.08717). If m < n, the same for the first m
    /// columns and R = (T, W): with Q' + QWW'ᵀ in place of Q', and QW' for the other columns (Roberts and Roberts 2020, "QR and
    /// LQ decomposition matrix backpropagation algorithms for square, wide, and deep matrices", arXiv:2009.10071).
    ///
    /// **Dependent columns.** If one of the first k columns is a combination of those before it, up to 4ε √max(m, n) of its length,
    /// the factors are right but have no derivative: gradients and second derivatives by that matrix are NaN.
    /// [`Qr::differentiable`] is an error in advance. In general the relative error of the gradient is about the condition number
    /// of the first k columns times the machine epsilon.
    ///
    /// Needs the feature `linalg`. The solution of a least-squares problem min ‖Ax − b‖:
    ///
    /// ```
    /// use ndarray::array;
    /// use wengert::{Diag, Tape, Uplo};
    ///
    /// let tape = Tape::<f64>::new();
    /// let (a, b) = (array![[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], array![1.0, 3.0, 5.0]);
    /// let (a, b) = (tape.tensor(&a), tape.tensor(&b));
    /// let qr = a.qr()?.differentiable()?;
    /// let x = qr.r.solve_triangular(Uplo::Upper, Diag::NonUnit, qr.q.t().dot(b))?;
    /// assert!((x.value().to_owned() - array![1.0, 2.0]).iter().all(|e| e.abs() < 1e-14));
    /// // The slope by the data: (−½, 0, ½).
    /// let gradient = x.at([1]).backward().wrt(b);
    /// assert!((gradient - array![-0.5, 0.0, 0.5]).iter().all(|e| e.abs() < 1e-14));
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFinite`](LinalgError::NotFinite).
    ///
    /// # Panics
    ///
    /// If there are no two axes.
    #[track_caller]
    pub fn qr(self) -> Result<Qr<'t, F, D>, LinalgError> {
        let [m, n] = self.assert_matrices("qr");
        self.check_finite("qr", |_, _| true)?;
        let (tape, a, count, k) = (self.tape, self.node, self.count(), m.min(n));
        let lengths = [m * k, k * n];
        let numbers = tape.arena().values("qr", &[count, lengths.iter().sum()], F::zero());
        let (q, r) = numbers.split_at_mut(count * m * k);
        let work = tape.arena().alloc_slice_fill_iter(a.values.iter().copied());
        for i in 0..count {
            let (work, q, r) = (part_mut(work, i, m * n), part_mut(q, i, m * k), part_mut(r, i, k * n));
            householder(work, [m, n], q);
            r.copy_from_slice(&work[..k * n]);
            spoil_tangents([m, n], q, r);
        }
        let numbers = &*numbers;
        let (q, r) = numbers.split_at(count * m * k);
        let kind = OperationKind::unary("qr", a.source());
        let result = Tensor::result(tape, kind, Ix1(numbers.len()), numbers, a.is_constant(), move |cotangents| {
            let arena = cotangents.arena;
            let da = arena.alloc_slice_fill_copy(a.len(), F::zero());
            each_cotangent(cotangents.of_result, count, lengths, |i, of_factors| {
                let factors = [part(q, i, m * k), part(r, i, k * n)];
                pull([m, n], factors, of_factors, part_mut(da, i, m * n), arena);
            });
            a.accumulate(&mut cotangents.of_operands, da);
        });
        Ok(Qr {
            q: piece(result, 0, dimension([self.batch(), &[m, k]])),
            r: piece(result, count * m * k, dimension([self.batch(), &[k, n]])),
        })
    }
}

impl<F: Scalar, D: Matrices> Qr<'_, F, D> {
    /// These factors, unless they have no derivative.
    ///
    /// # Errors
    ///
    /// [`Degenerate`](LinalgError::Degenerate) if one of the first k columns depends on those before it: see [`Tensor::qr`].
    pub fn differentiable(self) -> Result<Self, LinalgError> {
        let [[m, k], [_, n]] = [self.q.matrix_shape(), self.r.matrix_shape()];
        let r: Vec<F> = self.r.value().iter().copied().collect();
        for i in 0..self.q.count() {
            if let Some(index) = dependent([m, n], part(&r, i, k * n)) {
                let (_, matrix) = self.q.named(i);
                return Err(LinalgError::Degenerate { operation: "qr", shape: [m, n], matrix, index });
            }
        }
        Ok(self)
    }
}

/// The first column that is a combination of those before it, up to rounding.
fn dependent<F: Scalar>([m, n]: [usize; 2], r: &[F]) -> Option<usize> {
    let precision = precision::<F::Base>(m.max(n));
    (0..m.min(n)).find(|&j| {
        let length = Length::of((0..=j).map(|i| r[i * n + j].to_base())).value;
        r[j * n + j].to_base() <= precision * length
    })
}

/// Makes the tangents NaN of what the first dependent column and those after it made.
fn spoil_tangents<F: Scalar>([m, n]: [usize; 2], q: &mut [F], r: &mut [F]) {
    let Some(first) = dependent([m, n], r).filter(|_| F::CARRIES_DERIVATIVES) else { return };
    let k = m.min(n);
    // A tangent of 0 stays 0 here: of a constant matrix the factors are constant.
    let spoilt = |x: F| (x * F::nan()).with_base(F::Base::zero());
    let spoil = spoilt(r[first * n + first]);
    let columns = q.chunks_exact_mut(k).flat_map(|row| &mut row[first..]);
    for x in columns.chain(&mut r[first * n..]) {
        *x = *x + spoil + spoilt(*x);
    }
}

/// Overwrites `da` with the cotangent of the m × n matrix whose factors are Q and R.
fn pull<F: Scalar>([m, n]: [usize; 2], [q, r]: [&[F]; 2], [dq, dr]: [&[F]; 2], da: &mut [F], arena: &Arena) {
    let k = m.min(n);
    if dependent([m, n], r).is_some() {
        return da.fill(F::nan());
    }
    // R = (T, W), and R' without what is below the diagonal.
    let cut = |x: &[F], columns: std::ops::Range<usize>, upper: bool| {
        let width = columns.len();
        let place = |at: usize| (at / width, columns.start + at % width);
        arena.alloc_slice_fill_iter((0..k * width).map(|at| match place(at) {
            (i, j) if upper && j < i => F::zero(),
            (i, j) => x[i * n + j],
        }))
    };
    let (t, dt, w, dw) = (cut(r, 0..k, false), cut(dr, 0..k, true), cut(r, k..n, false), cut(dr, k..n, false));
    let zeros = |len: usize| arena.alloc_slice_fill_copy(len, F::zero());
    let (square, other) = ([k, k], [k, n - k]);
    let left = Mat::dense(q, [m, k]);
    let product = zeros(k * k);
    multiply(Mat::dense(w, other), Mat::dense(dw, other).t(), product);
    let dq = arena.alloc_slice_copy(dq);
    matmul(MatMut::new(&mut *dq, 0, [m, k], [k as isize, 1]), left, Mat::dense(product, square), Store::Add);
    // M = TT'ᵀ − Q'ᵀQ, its lower triangle twice.
    let core = zeros(k * k);
    multiply(Mat::dense(t, square), Mat::dense(dt, square).t(), core);
    multiply(Mat::dense(dq, [m, k]).t(), left, product);
    for (x, &y) in core.iter_mut().zip(&*product) {
        *x -= y;
    }
    for i in 0..k {
        for j in 0..i {
            core[j * k + i] = core[i * k + j];
        }
    }
    matmul(MatMut::new(&mut *dq, 0, [m, k], [k as isize, 1]), left, Mat::dense(core, square), Store::Add);
    // (.. T⁻ᵀ)ᵀ = T⁻¹ ..ᵀ.
    let transposed = arena.alloc_slice_fill_iter((0..k * m).map(|at| dq[at % m * k + at / m]));
    Triangle::new(t, k, false, false).solve(transposed, m, arena);
    let rest = zeros(m * (n - k));
    multiply(left, Mat::dense(dw, other), rest);
    for (place, x) in da.iter_mut().enumerate() {
        let (i, j) = (place / n, place % n);
        *x = if j < k { transposed[j * m + i] } else { rest[i * (n - k) + j - k] };
    }
}
