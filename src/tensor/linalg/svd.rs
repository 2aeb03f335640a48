//! Singular values and vectors.

use ndarray::{Dimension, Ix1, Ix2};

use super::batch::{Matrices, dimension, part, part_mut};
use super::factors::{each_cotangent, piece, weighted_sum};
use crate::arena::Arena;
use crate::kernels::{multiply, over_gap, resolution};
use crate::number::Scalar;
use crate::slices;
use crate::slices::gemm::Mat;
use crate::tape::OperationKind;
use crate::tensor::LinalgError;
use crate::tensor::handle::Tensor;

/// The thin singular value decomposition of a matrix, or of each matrix of a batch: see [`Tensor::svd`]. k is the smaller of m
/// and n. Needs the feature `linalg`.
#[derive(Clone, Copy, Debug)]
pub struct Svd<'t, F: Scalar, D: Dimension = Ix2> {
    /// The left singular vectors, each a column of length 1, of shape (m, k).
    pub u: Tensor<'t, F, D>,
    /// The singular values, the greatest first and none negative, of shape (k).
    pub s: Tensor<'t, F, D::Smaller>,
    /// The right singular vectors, each a row of length 1, of shape (k, n).
    pub vt: Tensor<'t, F, D>,
}

impl<'t, F: Scalar, D: Matrices> Tensor<'t, F, D> {
    /// The thin singular value decomposition A = U diag(s) Vᵀ of a matrix of any shape (m, n). Leading axes are batch axes.
    ///
    /// A pair of singular vectors may change its signs together, so a loss should not depend on them.
    ///
    /// Pullback: A' = U K Vᵀ + (I − U Uᵀ) U' S⁻¹ Vᵀ + U S⁻¹ V'ᵀ (I − V Vᵀ), with Kᵢᵢ = s'ᵢ and
    /// Kᵢⱼ = ½ (p + q)/(sⱼ − sᵢ) + ½ (p − q)/(sⱼ + sᵢ), where p and q are elements (i, j) of P − Pᵀ and Q − Qᵀ, P = `UᵀU'`,
    /// Q = `VᵀV'` (Townsend 2016, "Differentiating the singular value decomposition"; Giles 2008, section 3.2; Seeger et al.
    /// 2017, arXiv:1710.08717). The second term is 0 unless m > n, the third unless m < n.
    ///
    /// **Equal singular values, and zero.** Two singular values count as equal if they differ by at most 4ε √max(m, n) s₁, one
    /// counts as zero if it is at most that. The vectors of equal ones have no derivative, and neither have the left vector of
    /// zero if m > n and the right one if m < n.
    ///
    /// - A loss of singular values alone has a finite gradient, exact where the loss treats equal ones alike. The derivative of a
    ///   singular value that is 0, where it has a kink, is uᵢvᵢᵀ, so that the gradient of the nuclear norm is a subgradient.
    /// - Vectors of other singular values are exact too, such as the leading ones of a matrix of low rank.
    /// - If a cotangent reaches a vector without a derivative, the gradient by that matrix is NaN; see
    ///   [`Tensor::eigh`](Self::eigh) for the reason. [`Svd::differentiable`] is an error in advance.
    /// - Second derivatives (on tapes of dual numbers) are NaN where they need the derivative of such a vector.
    ///
    /// Singular values come from one-sided Jacobi rotations and are accurate to some roundings of s₁; of a matrix whose columns
    /// (or rows, if m < n) differ in size alone, small ones are accurate to roundings of themselves. A
    /// column that is shorter than about 1e-146 times the greatest element of the matrix (3e-16 times in `f32`) counts as 0.
    ///
    /// Needs the feature `linalg`.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = array![[3.0, 0.0], [4.0, 5.0]];
    /// let a = tape.tensor(&a);
    /// let svd = a.svd()?;
    /// assert!((svd.s.value().to_owned() - array![45_f64.sqrt(), 5_f64.sqrt()]).iter().all(|e| e.abs() < 1e-14));
    /// // The gradient of the greatest singular value, the norm of the matrix as a linear map, is uvᵀ.
    /// let gradient = svd.s.at([0]).backward().wrt(a);
    /// assert!((gradient * 20_f64.sqrt() - array![[1.0, 1.0], [3.0, 3.0]]).iter().all(|e| e.abs() < 1e-14));
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFinite`](LinalgError::NotFinite) or [`NotConverged`](LinalgError::NotConverged).
    ///
    /// # Panics
    ///
    /// If there are no two axes.
    #[doc(alias("svdvals", "singular_values"))]
    #[track_caller]
    pub fn svd(self) -> Result<Svd<'t, F, D>, LinalgError> {
        let [m, n] = self.assert_matrices("svd");
        self.check_finite("svd", |_, _| true)?;
        let (tape, node, count, k) = (self.tape, self.node, self.count(), m.min(n));
        let lengths = [m * k, k, k * n];
        let numbers = tape.arena().values("svd", &[count, lengths.iter().sum()], F::zero());
        let (u, rest) = numbers.split_at_mut(count * m * k);
        let (s, vt) = rest.split_at_mut(count * k);
        let a = node.to_slice(tape, "svd");
        for i in 0..count {
            let (u, s, vt) = (part_mut(u, i, m * k), part_mut(s, i, k), part_mut(vt, i, k * n));
            let done = F::svd(part(a, i, m * n), [m, n], slices::Svd { u, s, vt });
            done.map_err(|defect| self.error("svd", i, defect))?;
        }
        let numbers = &*numbers;
        let (u, rest) = numbers.split_at(count * m * k);
        let (s, vt) = rest.split_at(count * k);
        let kind = OperationKind::unary("svd", node.source());
        let result = Tensor::result(tape, kind, Ix1(numbers.len()), numbers, node.is_constant(), move |cotangents| {
            let arena = cotangents.arena;
            let da = arena.alloc_slice_fill_copy(node.len(), F::zero());
            each_cotangent(cotangents.of_result, count, lengths, |i, of_factors| {
                let factors = [part(u, i, m * k), part(s, i, k), part(vt, i, k * n)];
                pull([m, n], factors, of_factors, part_mut(da, i, m * n), arena);
            });
            node.accumulate(&mut cotangents.of_operands, da);
        });
        Ok(Svd {
            u: piece(result, 0, dimension([self.batch(), &[m, k]])),
            s: piece(result, count * m * k, dimension([self.batch(), &[k]])),
            vt: piece(result, count * (m * k + k), dimension([self.batch(), &[k, n]])),
        })
    }
}

impl<F: Scalar, D: Matrices> Svd<'_, F, D> {
    /// These singular values and vectors, unless some of them have no derivative.
    ///
    /// ```
    /// use wengert::LinalgError;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = ndarray::array![[1.0, 2.0], [2.0, 4.0]];
    /// let svd = tape.tensor(&a).svd()?;
    /// assert!(matches!(svd.differentiable(), Err(LinalgError::Degenerate { index: 1, .. })));
    /// # Ok::<(), LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Degenerate`](LinalgError::Degenerate) if two singular values are equal or one is zero, up to rounding: see
    /// [`Tensor::svd`].
    pub fn differentiable(self) -> Result<Self, LinalgError> {
        let [[m, k], [_, n]] = [self.u.matrix_shape(), self.vt.matrix_shape()];
        let s: Vec<F> = self.s.value().iter().copied().collect();
        for i in 0..self.u.count() {
            let s = part(&s, i, k);
            let resolution = resolution(m.max(n), s);
            let gap = |j: usize| s[j] - s.get(j + 1).copied().unwrap_or_default();
            if let Some(index) = (0..k).find(|&j| gap(j).to_base() <= resolution) {
                let (_, matrix) = self.u.named(i);
                return Err(LinalgError::Degenerate { operation: "svd", shape: [m, n], matrix, index });
            }
        }
        Ok(self)
    }
}

/// Overwrites `da` with the cotangent of the m × n matrix whose factors are U, s and Vᵀ.
fn pull<F: Scalar>([m, n]: [usize; 2], factors: [&[F]; 3], of_factors: [&[F]; 3], da: &mut [F], arena: &Arena) {
    let ([u, s, vt], [du, ds, dvt], k) = (factors, of_factors, m.min(n));
    let (left, right) = (Mat::dense(u, [m, k]), Mat::dense(vt, [k, n]));
    if du.iter().chain(dvt).all(|x| x.is_exact_zero()) {
        return weighted_sum(ds, left, right, da, arena);
    }
    let zeros = |len: usize| arena.alloc_slice_fill_copy(len, F::zero());
    let (p, q, core) = (zeros(k * k), zeros(k * k), zeros(k * k));
    multiply(left.t(), Mat::dense(du, [m, k]), p);
    multiply(right, Mat::dense(dvt, [k, n]).t(), q);
    let (resolution, half) = (resolution(m.max(n), s), F::lit(0.5));
    for i in 0..k {
        core[i * k + i] = ds[i];
        for j in (0..k).filter(|&j| j != i) {
            let (here, there) = (i * k + j, j * k + i);
            let is_zero = [p[here], p[there], q[here], q[there]].iter().all(|x| x.is_exact_zero());
            let (x, y) = (p[here] - p[there], q[here] - q[there]);
            core[here] = half * over_gap(is_zero, x + y, s[j] - s[i], resolution)
                + half * over_gap(is_zero, x - y, s[j] + s[i], resolution);
        }
    }
    // A' = U (K Vᵀ + S⁻¹V'ᵀ(I − V Vᵀ)) + (I − U Uᵀ)U'S⁻¹ Vᵀ.
    let by_right = zeros(k * n);
    multiply(Mat::dense(core, [k, k]), right, by_right);
    if n > k {
        let inside = zeros(k * n);
        multiply(Mat::dense(q, [k, k]).t(), right, inside);
        for (i, &s) in s.iter().enumerate() {
            let row = i * n..(i + 1) * n;
            let is_zero = dvt[row.clone()].iter().all(|x| x.is_exact_zero());
            for place in row {
                by_right[place] += over_gap(is_zero, dvt[place] - inside[place], s, resolution);
            }
        }
    }
    multiply(left, Mat::dense(by_right, [k, n]), da);
    if m > k {
        let (by_left, product) = (zeros(m * k), zeros(m * n));
        multiply(left, Mat::dense(p, [k, k]), by_left);
        for (j, &s) in s.iter().enumerate() {
            let column = || (j..m * k).step_by(k);
            let is_zero = column().all(|place| du[place].is_exact_zero());
            for place in column() {
                by_left[place] = over_gap(is_zero, du[place] - by_left[place], s, resolution);
            }
        }
        multiply(Mat::dense(by_left, [m, k]), right, product);
        for (x, &y) in da.iter_mut().zip(&*product) {
            *x += y;
        }
    }
}
