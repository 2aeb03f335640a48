//! Linear systems, inverses and determinants by LU factors.

use ndarray::{ArrayView, Dimension, Ix0, Ix1, Ix2};
use num_traits::{Float, One, Zero};

use super::linalg::Matrix;
use super::{Node, Tensor};
use crate::error::LinalgError;
use crate::kernels::gemm::Mat;
use crate::kernels::{Defect, Triangle, cofactors, parity};
use crate::real::{Real, Scalar};
use crate::sweep::Cotangents;
use crate::tape::{SINK, Tape};
use crate::var::Var;

/// The right-hand side of a linear system: one column ([`Ix1`]) or several ([`Ix2`]).
///
/// Needs the feature `linalg`.
pub trait Columns: Dimension {}
impl Columns for Ix1 {}
impl Columns for Ix2 {}

/// The factors of PA = LU for a matrix A on a tape: see [`Tensor::factorize`].
#[derive(Clone, Copy, Debug)]
pub struct Lu<'t, F: Scalar> {
    matrix: Tensor<'t, F, Ix2>,
    factors: Factors<'t, F>,
}

/// L below the diagonal (which is one), U above; row i of PA is row `rows[i]` of A.
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
    fn solve(self, x: &mut [F], columns: usize, transposed: bool, arena: &bumpalo::Bump) {
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

    fn sign(self) -> F {
        let negative = self.diagonal().filter(|&u| u < F::zero()).count();
        let sign = F::from_base(parity(self.rows));
        if negative % 2 == 0 { sign } else { -sign }
    }

    fn det(self) -> F {
        self.diagonal().fold(F::from_base(parity(self.rows)), |product, u| product * u)
    }

    fn ln_abs_det(self) -> F {
        self.diagonal().map(|u| Float::ln(Float::abs(u))).sum()
    }

    /// Adds c A⁻ᵀ to the adjoints of A.
    fn accumulate_inverse(self, c: F, a: &Node<'_, F, Ix2>, cotangents: &mut Cotangents<'_, F>) {
        let n = self.order();
        let inverse = cotangents.arena.alloc_slice_fill_copy(n * n, F::zero());
        inverse.iter_mut().step_by(n + 1).for_each(|x| *x = c);
        self.solve(inverse, n, true, cotangents.arena);
        a.accumulate(cotangents.adjoints, inverse);
    }
}

/// The result of an operation that is one number.
fn scalar<'t, F: Scalar>(
    tape: &'t Tape<F>,
    value: F,
    constant: bool,
    pullback: impl Fn(&mut Cotangents<'_, F>) + 't,
) -> Var<'t, F> {
    Tensor::result(tape, Ix0(), std::slice::from_ref(tape.alloc(value)), constant, pullback).into_var()
}

impl<'t, F: Scalar> Tensor<'t, F, Ix2> {
    /// Panics unless it is square; its order.
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

    /// Panics unless B has as many rows as the square matrix; B's number of columns.
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

    /// The error of `operation`, if an element that `counts` (by row and column) is not finite.
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
            Ok(()) => Ok(Lu { matrix: self, factors: Factors { packed, rows } }),
            Err(defect) => Err(self.error(operation, defect)),
        }
    }

    /// The factors of PA = LU by partial pivoting, computed once for several uses: right-hand sides,
    /// A and Aᵀ, the determinant. Only what is computed from the factors is recorded.
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
    /// If it is not square.
    #[track_caller]
    pub fn factorize(self) -> Result<Lu<'t, F>, LinalgError> {
        self.lu("factorize")
    }

    /// The solution of AX = B, by LU factors with partial pivoting; B has shape (n) or (n, k).
    ///
    /// Pullback: B' = A⁻ᵀX', A' = −B' Xᵀ, where ' marks a cotangent (Giles 2008, "Collected matrix
    /// derivative results for forward and reverse mode algorithmic differentiation", section 2.3.1).
    /// It reuses the factors. A NaN in B spreads to its column of X.
    ///
    /// Needs the feature `linalg`. For Aᵀ X = B solve with `a.t()`, or with the same factors by
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
    /// # Ok::<(), wengert::LinalgError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Singular`](LinalgError::Singular) or [`NotFinite`](LinalgError::NotFinite), of A. Nearly
    /// singular matrices pass: the relative error of the solution is about the condition number
    /// times the machine epsilon, that of the gradient up to twice as large; see [`Lu::rcond`].
    ///
    /// # Panics
    ///
    /// If A is not square, B has not as many rows, or the tapes differ.
    #[track_caller]
    pub fn solve<D: Columns + 't>(self, b: Tensor<'t, F, D>) -> Result<Tensor<'t, F, D>, LinalgError> {
        self.assert_square("solve");
        self.assert_fits(b, "solve");
        Ok(self.lu("solve")?.solve(b))
    }

    /// The inverse: [`solve`](Self::solve) for the identity, so C = A⁻¹ has the pullback
    /// A' = −Cᵀ C' Cᵀ (Giles 2008, section 2.2.3). To multiply by an inverse, `solve` is cheaper and
    /// more exact.
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
    /// As of [`solve`](Self::solve).
    ///
    /// # Panics
    ///
    /// If it is not square.
    #[track_caller]
    pub fn inv(self) -> Result<Self, LinalgError> {
        Ok(self.lu("inv")?.inv())
    }

    /// The determinant; 1 for a matrix without elements.
    ///
    /// Pullback: A' = d' det A · A⁻ᵀ (Giles 2008, section 2.2.4), that is d' times the matrix of
    /// cofactors. Where the inverse does not exist or det A leaves the range of the floats, the
    /// cofactors are computed without it: they are finite for singular matrices, of rank one for
    /// rank n − 1, and zero below. The determinant of a matrix with an infinite or NaN element is
    /// NaN.
    ///
    /// Needs the feature `linalg`. Of large matrices determinants overflow: see
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
    /// If it is not square.
    #[track_caller]
    pub fn det(self) -> Var<'t, F> {
        let n = self.assert_square("det");
        let lu = self.lu("det");
        if let Ok(lu) = lu
            && (lu.factors.det().is_regular() || n == 0)
        {
            return lu.det();
        }
        let (tape, node) = (self.tape, self.node);
        let (det, cofactors) = if let Err(LinalgError::NotFinite { .. }) = lu {
            (F::nan(), tape.arena().alloc_slice_fill_copy(n * n, F::nan()))
        } else {
            cofactors(node.to_slice(tape), n, tape.arena())
        };
        let cofactors = &*cofactors;
        scalar(tape, det, node.is_constant(), move |cotangents| {
            let scaled = cofactors.iter().map(|&c| c * cotangents.result[0]);
            let scaled = cotangents.arena.alloc_slice_fill_iter(scaled);
            node.accumulate(cotangents.adjoints, scaled);
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
    /// As of [`factorize`](Self::factorize): the logarithm of 0 has no derivative.
    ///
    /// # Panics
    ///
    /// If it is not square.
    #[track_caller]
    pub fn sln_det(self) -> Result<(F, Var<'t, F>), LinalgError> {
        Ok(self.lu("sln_det")?.sln_det())
    }

    /// The logarithm of a positive determinant: see [`sln_det`](Self::sln_det). For a matrix that
    /// should be positive definite, take twice the sum of the logarithms on the diagonal of
    /// [`cholesky`](Self::cholesky), which says so if it is not.
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
    /// As of [`factorize`](Self::factorize), or
    /// [`NegativeDeterminant`](LinalgError::NegativeDeterminant).
    ///
    /// # Panics
    ///
    /// If it is not square.
    #[track_caller]
    pub fn ln_det(self) -> Result<Var<'t, F>, LinalgError> {
        let lu = self.lu("ln_det")?;
        if lu.factors.sign() < F::zero() {
            return Err(LinalgError::NegativeDeterminant { operation: "ln_det", shape: self.matrix_shape() });
        }
        Ok(lu.sln_det().1)
    }
}

/// What the methods of the same names on [`Tensor`] give; derivatives flow to the matrix.
impl<'t, F: Scalar> Lu<'t, F> {
    /// The solution of AX = B: see [`Tensor::solve`].
    ///
    /// # Panics
    ///
    /// If B has not as many rows as A, or the tapes differ.
    #[track_caller]
    pub fn solve<D: Columns + 't>(self, b: Tensor<'t, F, D>) -> Tensor<'t, F, D> {
        let columns = self.matrix.assert_fits(b, "solve");
        self.solve_by(false, b, columns)
    }

    /// The solution of Aᵀ X = B: see [`Tensor::solve`].
    ///
    /// # Panics
    ///
    /// If B has not as many rows as A, or the tapes differ.
    #[track_caller]
    pub fn solve_t<D: Columns + 't>(self, b: Tensor<'t, F, D>) -> Tensor<'t, F, D> {
        let columns = self.matrix.assert_fits(b, "solve_t");
        self.solve_by(true, b, columns)
    }

    fn solve_by<D: Columns + 't>(self, transposed: bool, b: Tensor<'t, F, D>, columns: usize) -> Tensor<'t, F, D> {
        let (tape, factors, right) = (self.matrix.tape, self.factors, b.node);
        let a = Matrix::new(self.matrix.node, [Some(0), Some(1)]);
        let x = tape.arena().alloc_slice_fill_iter(right.values.iter().copied());
        factors.solve(x, columns, transposed, tape.arena());
        let x = &*x;
        let constant = a.is_constant() && right.is_constant();
        Tensor::result(tape, b.dim(), x, constant, move |cotangents| {
            let arena = cotangents.arena;
            let db = arena.alloc_slice_copy(cotangents.result);
            factors.solve(db, columns, !transposed, arena);
            right.accumulate(cotangents.adjoints, db);
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

    /// An estimate of the reciprocal condition number 1/(‖A‖₁ ‖A⁻¹‖₁), seldom too large by more
    /// than a factor of 3: near the machine epsilon no digit of a solution is right. It costs a
    /// few solutions.
    ///
    /// By Hager's method (1984, "Condition estimates") with Higham's safeguard (1988, "FORTRAN
    /// codes for estimating the one-norm of a real or complex matrix", algorithm 674). Of dual
    /// numbers it sees the primals.
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
        // ‖A⁻¹x‖₁ over ‖x‖₁ = 1 is convex, so greatest at a unit vector: climb from one to the next.
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
        // A vector that no cancellation in A⁻¹ is made for.
        for (i, x) in x.iter_mut().enumerate() {
            let size = 1.0 + i as f64 / (n as f64 - 1.0).max(1.0);
            *x = F::lit(if i % 2 == 0 { size } else { -size });
        }
        self.factors.solve(&mut x, 1, false, arena);
        let safeguard = size(&x) * F::Base::lit(2.0 / (3.0 * n as f64));
        Float::recip(norm * Float::max(inverse_norm, safeguard))
    }

    /// The inverse: see [`Tensor::inv`].
    pub fn inv(self) -> Tensor<'t, F, Ix2> {
        let (tape, n) = (self.matrix.tape, self.factors.order());
        let identity = tape.arena().alloc_slice_fill_copy(n * n, F::zero());
        identity.iter_mut().step_by(n + 1).for_each(|x| *x = F::one());
        let values = ArrayView::from_shape(Ix2(n, n), &*identity).expect("n² elements");
        self.solve_by(false, Tensor::view(tape, values, identity, SINK), n)
    }

    /// The determinant: see [`Tensor::det`].
    pub fn det(self) -> Var<'t, F> {
        let (a, factors, det) = (self.matrix.node, self.factors, self.factors.det());
        scalar(self.matrix.tape, det, a.is_constant(), move |cotangents| {
            factors.accumulate_inverse(cotangents.result[0] * det, a, cotangents);
        })
    }

    /// The sign of the determinant and the logarithm of its absolute value: see
    /// [`Tensor::sln_det`].
    pub fn sln_det(self) -> (F, Var<'t, F>) {
        let (a, factors) = (self.matrix.node, self.factors);
        let ln = scalar(self.matrix.tape, factors.ln_abs_det(), a.is_constant(), move |cotangents| {
            factors.accumulate_inverse(cotangents.result[0], a, cotangents);
        });
        (factors.sign(), ln)
    }
}
