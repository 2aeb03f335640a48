//! LU factors on the tape, and the solutions, inverses and determinants computed from them.

use ndarray::{ArrayView, Dimension, Ix2};
use num_traits::{Float, One, Zero};

use super::batch::{Columns, Matrices, part, part_mut};
use super::systems::solve_systems;
use crate::arena::Arena;
use crate::kernels::{Triangle, parity};
use crate::number::{Real, Scalar};
use crate::sealed::Seal;
use crate::tape::{OperationKind, SINK};
use crate::tensor::handle::Tensor;

/// The factors of PA = LU for a matrix A on a tape, or for each matrix of a batch: see [`Tensor::factorize`]. Needs the
/// feature `linalg`.
#[derive(Debug)]
pub struct Lu<'t, F: Scalar, D: Dimension = Ix2> {
    matrix: Tensor<'t, F, D>,
    /// The factors of all matrices, one after the other.
    packed: &'t [F],
    rows: &'t [u32],
}

#[allow(clippy::expl_impl_clone_on_copy)] // derived, it would ask for a `Copy` dimension
impl<F: Scalar, D: Dimension> Clone for Lu<'_, F, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Scalar, D: Dimension> Copy for Lu<'_, F, D> {}

/// The factors in one matrix: L below the diagonal (the diagonal of L is 1 and not stored), U on and above it. Row i of
/// PA is row `rows[i]` of A.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factors<'t, F> {
    pub(super) packed: &'t [F],
    pub(super) rows: &'t [u32],
}

impl<F: Scalar> Factors<'_, F> {
    fn order(self) -> usize {
        self.rows.len()
    }

    fn triangle(&self, lower: bool) -> Triangle<'_, F> {
        Triangle::new(self.packed, self.order(), lower, lower)
    }

    fn diagonal(&self) -> impl Iterator<Item = F> {
        self.packed.iter().step_by(self.order() + 1).copied()
    }

    /// Overwrites X, in row-major order, with A⁻¹X = U⁻¹L⁻¹PX, or with A⁻ᵀX = PᵀL⁻ᵀU⁻ᵀX.
    fn solve(self, x: &mut [F], columns: usize, transposed: bool, arena: &Arena) {
        if columns == 0 {
            return;
        }
        if transposed {
            self.triangle(false).t().solve(x, columns, arena);
            self.triangle(true).t().solve(x, columns, arena);
        }
        let given = arena.alloc_slice_copy(x);
        for (i, &row) in self.rows.iter().enumerate() {
            let (to, from) = if transposed { (row as usize, i) } else { (i, row as usize) };
            x[to * columns..][..columns].copy_from_slice(&given[from * columns..][..columns]);
        }
        if !transposed {
            self.triangle(true).solve(x, columns, arena);
            self.triangle(false).solve(x, columns, arena);
        }
    }

    pub(super) fn det(self) -> F {
        self.diagonal().fold(F::from_base(parity(self.rows)), |product, u| product * u)
    }

    fn ln_abs_det(self) -> F {
        self.diagonal().map(|u| Float::ln(Float::abs(u))).sum()
    }

    fn sign(self) -> F {
        let negative = self.diagonal().filter(|&u| u < F::zero()).count();
        let sign = F::from_base(parity(self.rows));
        if negative % 2 == 0 { sign } else { -sign }
    }

    /// Overwrites X with c A⁻ᵀ.
    fn scaled_inverse(self, c: F, x: &mut [F], arena: &Arena) {
        let n = self.order();
        x.fill(F::zero());
        x.iter_mut().step_by(n + 1).for_each(|x| *x = c);
        self.solve(x, n, true, arena);
    }

    /// The reciprocal condition number of A, whose elements in row-major order are `a`: see [`Lu::rcond`].
    fn rcond(self, a: &[F], arena: &Arena) -> F::Base {
        let n = self.order();
        let size = |x: &[F]| x.iter().map(|x| Float::abs(x.to_base())).sum::<F::Base>();
        let column = |j| a[j..].iter().step_by(n).map(|x| Float::abs(x.to_base())).sum();
        let norm = (0..n).map(column).fold(F::Base::zero(), Float::max);
        if n == 0 {
            return F::Base::one();
        }
        // ‖A⁻¹x‖₁ is convex, so on ‖x‖₁ = 1 it is greatest at a unit vector. Climb from one unit vector to the next.
        let mut x: Vec<F> = vec![F::lit(1.0 / n as f64); n];
        let mut inverse_norm = F::Base::zero();
        for _ in 0..5 {
            let mut slope = x.clone();
            self.solve(&mut slope, 1, false, arena);
            inverse_norm = Float::max(inverse_norm, size(&slope));
            for y in &mut slope {
                *y = F::from_base(Float::signum(y.to_base()));
            }
            self.solve(&mut slope, 1, true, arena);
            let here: F = slope.iter().zip(&x).map(|(&s, &x)| s * x).sum();
            let largest = |best: usize, i| if Float::abs(slope[i]) > Float::abs(slope[best]) { i } else { best };
            let next = (1..n).fold(0, largest);
            if Float::abs(slope[next]) <= here {
                break;
            }
            x.fill(F::zero());
            x[next] = F::one();
        }
        // Higham's safeguard: a vector of alternating signs and growing elements, for matrices A⁻¹ in which the climb
        // is misled by cancellation.
        for (i, x) in x.iter_mut().enumerate() {
            let size = 1.0 + i as f64 / (n as f64 - 1.0).max(1.0);
            *x = F::lit(if i % 2 == 0 { size } else { -size });
        }
        self.solve(&mut x, 1, false, arena);
        let safeguard = size(&x) * F::Base::lit(2.0 / (3.0 * n as f64));
        Float::recip(norm * Float::max(inverse_norm, safeguard))
    }
}

/// The determinant of a matrix, and what its derivative is computed from.
#[derive(Clone, Copy)]
pub(super) enum Determinant<'t, F> {
    Regular(Factors<'t, F>),
    /// The determinant and the cofactors of a matrix without an inverse, or whose determinant over- or underflows.
    Other(F, &'t [F]),
}

/// The determinants of matrices.
#[track_caller]
pub(super) fn determinants<'t, F: Scalar, D: Matrices>(
    matrix: Tensor<'t, F, D>,
    parts: &'t [Determinant<'t, F>],
) -> D::Vars<'t, F> {
    let dets = parts.iter().map(|part| match part {
        Determinant::Regular(factors) => factors.det(),
        Determinant::Other(det, _) => *det,
    });
    let dets = &*matrix.tape.arena().alloc_slice_fill_iter(dets);
    numbers("det", matrix, dets, move |i, ddet, da, arena| match parts[i] {
        Determinant::Regular(factors) => factors.scaled_inverse(ddet * dets[i], da, arena),
        Determinant::Other(_, cofactors) => {
            for (da, &c) in da.iter_mut().zip(cofactors) {
                *da = c * ddet;
            }
        }
    })
}

/// The operation whose result is a number of each matrix. `pull(i, cotangent, da, arena)` overwrites `da` with the cotangent
/// of matrix i; it is called if the cotangent of its number is not 0.
#[track_caller]
fn numbers<'t, F: Scalar, D: Matrices>(
    operation: &'static str,
    matrix: Tensor<'t, F, D>,
    values: &'t [F],
    pull: impl Fn(usize, F, &mut [F], &Arena) + 't,
) -> D::Vars<'t, F> {
    let (tape, a, len) = (matrix.tape, matrix.node, matrix.matrix_shape().iter().product());
    let kind = OperationKind::unary(operation, a.source());
    let result = Tensor::result(tape, kind, matrix.batch_dim(), values, a.is_constant(), move |cotangents| {
        let da = cotangents.arena.alloc_slice_fill_copy(a.len(), F::zero());
        for (i, &cotangent) in cotangents.of_result.iter().enumerate() {
            if !cotangent.is_exact_zero() {
                pull(i, cotangent, part_mut(da, i, len), cotangents.arena);
            }
        }
        a.accumulate(&mut cotangents.of_operands, da);
    });
    D::vars(result, Seal)
}

/// The results of the methods of the same names on [`Tensor`], from factors that are computed once. Derivatives flow to
/// the matrix.
impl<'t, F: Scalar, D: Matrices> Lu<'t, F, D> {
    pub(super) fn new(matrix: Tensor<'t, F, D>, packed: &'t [F], rows: &'t [u32]) -> Self {
        Self { matrix, packed, rows }
    }

    fn factors(self, i: usize) -> Factors<'t, F> {
        let [n, _] = self.matrix.matrix_shape();
        Factors { packed: part(self.packed, i, n * n), rows: part(self.rows, i, n) }
    }

    fn all(self) -> impl ExactSizeIterator<Item = Factors<'t, F>> {
        (0..self.matrix.count()).map(move |i| self.factors(i))
    }

    /// The signs of the determinants.
    pub(super) fn signs(self) -> Vec<F> {
        self.all().map(Factors::sign).collect()
    }

    /// The solution of AX = B: see [`Tensor::solve`].
    ///
    /// # Panics
    ///
    /// If the shapes of A and B do not fit, or the tapes differ.
    #[track_caller]
    pub fn solve<E: Columns<D>>(self, b: Tensor<'t, F, E>) -> Tensor<'t, F, E> {
        self.solve_by(false, b, "solve")
    }

    /// The solution of Aᵀ X = B: see [`Tensor::solve`].
    ///
    /// # Panics
    ///
    /// If the shapes of A and B do not fit, or the tapes differ.
    #[track_caller]
    pub fn solve_t<E: Columns<D>>(self, b: Tensor<'t, F, E>) -> Tensor<'t, F, E> {
        self.solve_by(true, b, "solve_t")
    }

    #[track_caller]
    fn solve_by<E: Columns<D>>(
        self,
        transposed: bool,
        b: Tensor<'t, F, E>,
        operation: &'static str,
    ) -> Tensor<'t, F, E> {
        let systems = self.matrix.assert_fits(b, operation);
        let solver = move |i, x: &mut [F], columns, transposed, arena: &Arena| {
            self.factors(i).solve(x, columns, transposed, arena);
        };
        solve_systems(operation, self.matrix, systems, transposed, solver, |_, _| true)
    }

    /// An estimate of the reciprocal condition number 1/(‖A‖₁ ‖A⁻¹‖₁). If this number is near the machine epsilon, no
    /// digit of a solution is right. The estimate is seldom too large by more than a factor of 3, and costs a few
    /// solutions.
    ///
    /// The method is Hager's (1984, "Condition estimates") with Higham's safeguard (1988, "FORTRAN
    /// codes for estimating the one-norm of a real or complex matrix", algorithm 674). Of dual numbers only the primals
    /// are used.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = ndarray::array![[1.0, 1.0], [1.0, 1.0 + 1e-10]];
    /// let rcond = tape.tensor(&a).factorize()?.rcond();
    /// assert!(rcond > 2e-11 && rcond < 3e-11);
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    pub fn rcond(self) -> D::Each<F::Base> {
        let [n, _] = self.matrix.matrix_shape();
        let values = self.matrix.node.to_slice(self.matrix.tape, "rcond");
        let arena = self.matrix.tape.arena();
        let each = self.all().enumerate().map(|(i, factors)| factors.rcond(part(values, i, n * n), arena));
        D::each(self.matrix.batch_dim(), each.collect(), Seal)
    }

    /// The inverse: see [`Tensor::inv`].
    #[track_caller]
    pub fn inv(self) -> Tensor<'t, F, D> {
        let (tape, [n, _]) = (self.matrix.tape, self.matrix.matrix_shape());
        let identity = tape.arena().alloc_slice_fill_copy(n * n, F::zero());
        identity.iter_mut().step_by(n + 1).for_each(|x| *x = F::one());
        let one = ArrayView::from_shape(Ix2(n, n), &*identity).expect("n² elements");
        let b = Tensor::over(tape, one, identity, SINK).broadcast(self.matrix.dim());
        self.solve_by(false, b, "inv")
    }

    /// The determinant: see [`Tensor::det`].
    #[track_caller]
    pub fn det(self) -> D::Vars<'t, F> {
        let parts = self.matrix.tape.arena().alloc_slice_fill_iter(self.all().map(Determinant::Regular));
        determinants(self.matrix, parts)
    }

    /// The sign of the determinant and the logarithm of its absolute value: see
    /// [`Tensor::sln_det`].
    #[track_caller]
    pub fn sln_det(self) -> (D::Each<F>, D::Vars<'t, F>) {
        let logarithms = self.matrix.tape.arena().alloc_slice_fill_iter(self.all().map(Factors::ln_abs_det));
        let ln = numbers("sln_det", self.matrix, logarithms, move |i, dln, da, arena| {
            self.factors(i).scaled_inverse(dln, da, arena);
        });
        (D::each(self.matrix.batch_dim(), self.signs(), Seal), ln)
    }
}
