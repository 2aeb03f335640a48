//! LU factors on the tape, and the solutions, inverses and determinants computed from them.

use ndarray::{ArrayView, Dimension, Ix0, Ix1, Ix2};
use num_traits::{Float, One, Zero};

use crate::kernels::{Triangle, parity};
use crate::number::{Real, Scalar};
use crate::scalar::Var;
use crate::sealed::Sealed;
use crate::slices::gemm::Mat;
use crate::tape::{Cotangents, OperationKind, SINK, Tape};
use crate::tensor::handle::{Node, Tensor};
use crate::tensor::products::Matrix;

/// A dimension that the right-hand side of a linear system can have: `Ix1` for one column, `Ix2` for several.
///
/// Needs the feature `linalg`.
pub trait Columns: Dimension + Sealed {}
impl Sealed for Ix1 {}
impl Sealed for Ix2 {}
impl Columns for Ix1 {}
impl Columns for Ix2 {}

/// The factors of PA = LU for a matrix A on a tape: see [`Tensor::factorize`]. Needs the feature `linalg`.
#[derive(Clone, Copy, Debug)]
pub struct Lu<'t, F: Scalar> {
    matrix: Tensor<'t, F, Ix2>,
    factors: Factors<'t, F>,
}

/// The factors in one matrix: L below the diagonal (the diagonal of L is 1 and not stored), U on and above it. Row i of
/// PA is row `rows[i]` of A.
#[derive(Clone, Copy, Debug)]
struct Factors<'t, F> {
    packed: &'t [F],
    rows: &'t [u32],
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
    fn solve(self, x: &mut [F], columns: usize, transposed: bool, arena: &crate::arena::Arena) {
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

    fn det(self) -> F {
        self.diagonal().fold(F::from_base(parity(self.rows)), |product, u| product * u)
    }

    fn ln_abs_det(self) -> F {
        self.diagonal().map(|u| Float::ln(Float::abs(u))).sum()
    }

    /// Adds c A⁻ᵀ to the adjoints of A, the node `a`.
    fn accumulate_inverse(self, c: F, a: &Node<'_, F, Ix2>, cotangents: &mut Cotangents<'_, F>) {
        let n = self.order();
        let inverse = cotangents.arena.alloc_slice_fill_copy(n * n, F::zero());
        inverse.iter_mut().step_by(n + 1).for_each(|x| *x = c);
        self.solve(inverse, n, true, cotangents.arena);
        a.accumulate(&mut cotangents.of_operands, inverse);
    }
}

/// The result of an operation with a single number as its value.
#[track_caller]
pub(super) fn scalar<'t, F: Scalar>(
    tape: &'t Tape<F>,
    kind: OperationKind<'t>,
    value: F,
    constant: bool,
    pullback: impl Fn(&mut Cotangents<'_, F>) + 't,
) -> Var<'t, F> {
    Tensor::result(tape, kind, Ix0(), std::slice::from_ref(tape.alloc(value)), constant, pullback).into_var()
}

/// The results of the methods of the same names on [`Tensor`], from factors that are computed once. Derivatives flow to
/// the matrix.
impl<'t, F: Scalar> Lu<'t, F> {
    pub(super) fn new(matrix: Tensor<'t, F, Ix2>, packed: &'t [F], rows: &'t [u32]) -> Self {
        Self { matrix, factors: Factors { packed, rows } }
    }

    /// True if the determinant neither overflowed nor underflowed, so that the pullback may use the determinant.
    pub(super) fn det_is_regular(self) -> bool {
        self.factors.det().product_is_safe()
    }

    pub(super) fn sign(self) -> F {
        let negative = self.factors.diagonal().filter(|&u| u < F::zero()).count();
        let sign = F::from_base(parity(self.factors.rows));
        if negative % 2 == 0 { sign } else { -sign }
    }

    /// The solution of AX = B: see [`Tensor::solve`].
    ///
    /// # Panics
    ///
    /// If A and B differ in the number of rows, or the tapes differ.
    #[track_caller]
    pub fn solve<D: Columns + 't>(self, b: Tensor<'t, F, D>) -> Tensor<'t, F, D> {
        let columns = self.matrix.assert_fits(b, "solve");
        self.solve_by(false, b, columns)
    }

    /// The solution of Aᵀ X = B: see [`Tensor::solve`].
    ///
    /// # Panics
    ///
    /// If A and B differ in the number of rows, or the tapes differ.
    #[track_caller]
    pub fn solve_t<D: Columns + 't>(self, b: Tensor<'t, F, D>) -> Tensor<'t, F, D> {
        let columns = self.matrix.assert_fits(b, "solve_t");
        self.solve_by(true, b, columns)
    }

    #[track_caller]
    fn solve_by<D: Columns + 't>(self, transposed: bool, b: Tensor<'t, F, D>, columns: usize) -> Tensor<'t, F, D> {
        let (tape, factors, right) = (self.matrix.tape, self.factors, b.node);
        let a = Matrix::new(self.matrix.node, [Some(0), Some(1)]);
        let x = tape.arena().alloc_slice_fill_iter(right.values.iter().copied());
        factors.solve(x, columns, transposed, tape.arena());
        let x = &*x;
        let constant = a.is_constant() && right.is_constant();
        let kind = OperationKind::binary("solve", self.matrix.node.source(), right.source());
        Tensor::result(tape, kind, b.dim(), x, constant, move |cotangents| {
            let arena = cotangents.arena;
            let db = arena.alloc_slice_copy(cotangents.of_result);
            factors.solve(db, columns, !transposed, arena);
            right.accumulate(&mut cotangents.of_operands, db);
            if a.is_constant() {
                return;
            }
            for d in &mut *db {
                *d = -*d;
            }
            let (shape, strides) = ([factors.order(), columns], [columns as isize, 1]);
            let (minus_db, x) = (Mat::new(db, 0, shape, strides), Mat::new(x, 0, shape, strides));
            if transposed {
                a.accumulate(cotangents, x, minus_db.t());
            } else {
                a.accumulate(cotangents, minus_db, x.t());
            }
        })
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
    pub fn rcond(self) -> F::Base {
        let (n, arena) = (self.factors.order(), self.matrix.tape.arena());
        let size = |x: &[F]| x.iter().map(|x| Float::abs(x.to_base())).sum::<F::Base>();
        let columns = self.matrix.node.values.columns();
        let norm = columns.into_iter().map(|column| column.iter().map(|x| Float::abs(x.to_base())).sum());
        let norm = norm.fold(F::Base::zero(), Float::max);
        if n == 0 {
            return F::Base::one();
        }
        // ‖A⁻¹x‖₁ is convex, so on ‖x‖₁ = 1 it is greatest at a unit vector. Climb from one unit vector to the next.
        let mut x: Vec<F> = vec![F::lit(1.0 / n as f64); n];
        let mut inverse_norm = F::Base::zero();
        for _ in 0..5 {
            let mut slope = x.clone();
            self.factors.solve(&mut slope, 1, false, arena);
            inverse_norm = Float::max(inverse_norm, size(&slope));
            for y in &mut slope {
                *y = F::from_base(Float::signum(y.to_base()));
            }
            self.factors.solve(&mut slope, 1, true, arena);
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
        self.factors.solve(&mut x, 1, false, arena);
        let safeguard = size(&x) * F::Base::lit(2.0 / (3.0 * n as f64));
        Float::recip(norm * Float::max(inverse_norm, safeguard))
    }

    /// The inverse: see [`Tensor::inv`].
    #[track_caller]
    pub fn inv(self) -> Tensor<'t, F, Ix2> {
        let (tape, n) = (self.matrix.tape, self.factors.order());
        let identity = tape.arena().alloc_slice_fill_copy(n * n, F::zero());
        identity.iter_mut().step_by(n + 1).for_each(|x| *x = F::one());
        let values = ArrayView::from_shape(Ix2(n, n), &*identity).expect("n² elements");
        self.solve_by(false, Tensor::over(tape, values, identity, SINK), n)
    }

    /// The determinant: see [`Tensor::det`].
    #[track_caller]
    pub fn det(self) -> Var<'t, F> {
        let (a, factors, det) = (self.matrix.node, self.factors, self.factors.det());
        scalar(self.matrix.tape, OperationKind::unary("det", a.source()), det, a.is_constant(), move |cotangents| {
            factors.accumulate_inverse(cotangents.of_result[0] * det, a, cotangents);
        })
    }

    /// The sign of the determinant and the logarithm of its absolute value: see
    /// [`Tensor::sln_det`].
    #[track_caller]
    pub fn sln_det(self) -> (F, Var<'t, F>) {
        let (a, factors) = (self.matrix.node, self.factors);
        let ln = scalar(
            self.matrix.tape,
            OperationKind::unary("sln_det", a.source()),
            factors.ln_abs_det(),
            a.is_constant(),
            move |cotangents| {
                factors.accumulate_inverse(cotangents.of_result[0], a, cotangents);
            },
        );
        (self.sign(), ln)
    }
}
