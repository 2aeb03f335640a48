//! Eigenvalues and eigenvectors of symmetric matrices.

use ndarray::{Dimension, Ix1, Ix2};

use super::batch::{Matrices, dimension, part, part_mut};
use super::factors::{each_cotangent, piece, weighted_sum};
use super::triangular::symmetric_parts;
use crate::arena::Arena;
use crate::kernels::{multiply, over_gap, resolution};
use crate::number::Scalar;
use crate::slices::gemm::Mat;
use crate::tape::OperationKind;
use crate::tensor::LinalgError;
use crate::tensor::handle::Tensor;

/// The eigenvalues and eigenvectors of a symmetric matrix, or of each matrix of a batch: see [`Tensor::eigh`]. Needs the feature
/// `linalg`.
#[derive(Clone, Copy, Debug)]
pub struct Eigh<'t, F: Scalar, D: Dimension = Ix2> {
    /// The eigenvalues in ascending order, of shape (n).
    pub values: Tensor<'t, F, D::Smaller>,
    /// The eigenvectors, each a column of length 1, of shape (n, n).
    pub vectors: Tensor<'t, F, D>,
}

impl<'t, F: Scalar, D: Matrices> Tensor<'t, F, D> {
    /// The eigenvalues λ and eigenvectors V of a symmetric matrix, A = V diag(λ) Vᵀ. Leading axes are batch axes.
    ///
    /// The factorised matrix is the symmetric part (A + Aᵀ)/2, and the gradient is symmetric, as for
    /// [`cholesky`](Self::cholesky). The sign of each eigenvector is arbitrary, so a loss should not depend on it.
    ///
    /// Pullback: A' = V (diag(λ') + G) Vᵀ with Gᵢⱼ = ½ (P − Pᵀ)ᵢⱼ / (λⱼ − λᵢ), P = `VᵀV'` (Giles 2008, section 3.1; Walter and
    /// Lehmann 2010, "Algorithmic differentiation of linear algebra functions with application in optimum experimental design",
    /// arXiv:1001.1654; for the symmetric form Seeger et al. 2017, "Auto-differentiating linear algebra", arXiv:1710.08717).
    ///
    /// **Equal eigenvalues.** Two eigenvalues count as equal if they differ by at most 4ε √n max |λ|. Their vectors are any basis of
    /// their space and have no derivative.
    ///
    /// - A loss of eigenvalues alone has a finite gradient. It is exact where the loss treats equal eigenvalues alike, such as
    ///   Σ f(λᵢ); for one of them alone it is the derivative along one of the directions.
    /// - Eigenvectors of other eigenvalues are exact too, such as the leading ones of a matrix of low rank.
    /// - If a cotangent reaches vectors of equal eigenvalues, the gradient by that matrix is NaN. It has no other value: what such
    ///   a loss, for example by V f(λ) Vᵀ, needs besides is f', which the cotangents do not hold.
    ///   [`Eigh::differentiable`] is an error in advance.
    /// - Second derivatives (on tapes of dual numbers) are NaN where they need the derivative of such a vector.
    ///
    /// The relative error of the gradient is about the machine epsilon times max |λ| / (λⱼ − λᵢ) for the smallest gap used.
    ///
    /// Needs the feature `linalg`.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = array![[2.0, 1.0], [1.0, 2.0]];
    /// let a = tape.tensor(&a);
    /// let eigen = a.eigh()?;
    /// assert!((eigen.values.value().to_owned() - array![1.0, 3.0]).iter().all(|e| e.abs() < 1e-15));
    /// // The derivative of an eigenvalue is vvᵀ.
    /// let gradient = eigen.values.at([1]).backward().wrt(a);
    /// assert!((gradient - array![[0.5, 0.5], [0.5, 0.5]]).iter().all(|e| e.abs() < 1e-15));
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFinite`](LinalgError::NotFinite) or [`NotConverged`](LinalgError::NotConverged).
    ///
    /// # Panics
    ///
    /// If the matrix is not square.
    #[doc(alias("eigvalsh", "eigenvalues", "symeig"))]
    #[track_caller]
    pub fn eigh(self) -> Result<Eigh<'t, F, D>, LinalgError> {
        let n = self.assert_square("eigh");
        self.check_finite("eigh", |_, _| true)?;
        let (tape, a, count, len) = (self.tape, self.node, self.count(), n * n);
        let arena = tape.arena();
        let numbers = arena.values("eigh", &[count, n + len], F::zero());
        let (values, vectors) = numbers.split_at_mut(count * n);
        vectors.copy_from_slice(symmetric_parts(a.to_slice(tape, "eigh"), n, arena));
        for i in 0..count {
            let done = F::eigh(part_mut(vectors, i, len), part_mut(values, i, n));
            done.map_err(|defect| self.error("eigh", i, defect))?;
        }
        let numbers = &*numbers;
        let (values, vectors) = numbers.split_at(count * n);
        let kind = OperationKind::unary("eigh", a.source());
        let result = Tensor::result(tape, kind, Ix1(numbers.len()), numbers, a.is_constant(), move |cotangents| {
            let arena = cotangents.arena;
            let da = arena.alloc_slice_fill_copy(a.len(), F::zero());
            each_cotangent(cotangents.of_result, count, [n, len], |i, [dvalues, dvectors]| {
                let (values, vectors) = (part(values, i, n), part(vectors, i, len));
                pull(values, vectors, dvalues, dvectors, part_mut(da, i, len), arena);
            });
            a.accumulate(&mut cotangents.of_operands, symmetric_parts(da, n, arena));
        });
        Ok(Eigh {
            values: piece(result, 0, dimension([self.batch(), &[n]])),
            vectors: piece(result, count * n, self.dim()),
        })
    }
}

impl<F: Scalar, D: Matrices> Eigh<'_, F, D> {
    /// These eigenvalues and eigenvectors, unless the eigenvectors have no derivative.
    ///
    /// ```
    /// use wengert::LinalgError;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let identity = ndarray::Array2::eye(3);
    /// let eigen = tape.tensor(&identity).eigh()?;
    /// assert!(matches!(eigen.differentiable(), Err(LinalgError::Degenerate { index: 0, .. })));
    /// # Ok::<(), LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Degenerate`](LinalgError::Degenerate) if two eigenvalues are equal up to rounding: see [`Tensor::eigh`].
    pub fn differentiable(self) -> Result<Self, LinalgError> {
        let [n, _] = self.vectors.matrix_shape();
        let values: Vec<F> = self.values.value().iter().copied().collect();
        for i in 0..self.vectors.count() {
            let values = part(&values, i, n);
            let resolution = resolution(n, values);
            if let Some(index) = values.windows(2).position(|pair| (pair[1] - pair[0]).to_base() <= resolution) {
                let (shape, matrix) = self.vectors.named(i);
                return Err(LinalgError::Degenerate { operation: "eigh", shape, matrix, index });
            }
        }
        Ok(self)
    }
}

/// Overwrites `da` with V (diag(λ') + G) Vᵀ.
fn pull<F: Scalar>(w: &[F], v: &[F], dw: &[F], dv: &[F], da: &mut [F], arena: &Arena) {
    let n = w.len();
    let vectors = Mat::dense(v, [n, n]);
    if dv.iter().all(|x| x.is_exact_zero()) {
        return weighted_sum(dw, vectors, vectors.t(), da, arena);
    }
    let [p, core] = [(); 2].map(|()| arena.alloc_slice_fill_copy(n * n, F::zero()));
    multiply(vectors.t(), Mat::dense(dv, [n, n]), p);
    let resolution = resolution(n, w);
    for i in 0..n {
        core[i * n + i] = dw[i];
        for j in (0..n).filter(|&j| j != i) {
            let (x, y) = (p[i * n + j], p[j * n + i]);
            let is_zero = x.is_exact_zero() && y.is_exact_zero();
            core[i * n + j] = over_gap(is_zero, F::lit(0.5) * (x - y), w[j] - w[i], resolution);
        }
    }
    multiply(Mat::dense(core, [n, n]), vectors.t(), p);
    multiply(vectors, Mat::dense(p, [n, n]), da);
}
