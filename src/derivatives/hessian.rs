//! Second derivatives, forward over reverse.
//!
//! The tape holds [`Dual`] numbers. Their tangents differentiate the sweep itself (Pearlmutter, "Fast exact
//! multiplication by the Hessian", Neural Computation 6(1), 1994; Griewank and Walther, Evaluating Derivatives, 2nd
//! ed., section 5.1).

use ndarray::Array2;

use super::linearization::assert_direction;
use crate::number::{Dual, Scalar};
use crate::scalar::Var;
use crate::tape::Tape;

/// The number of columns of a Hessian that one sweep gives.
pub(super) const COLUMNS: usize = 8;

/// The variable type of the function of [`hessian`] and [`laplacian`], and of minima.
pub(super) type VarOf<'t, F> = Var<'t, Dual<F, COLUMNS>>;

/// The product of the Hessian of `f` at `point` with a vector, by one sweep.
///
/// ```
/// use wengert::hvp;
///
/// // f = x² y has the Hessian [[2y, 2x], [2x, 0]].
/// let product = hvp(|x| x[0] * x[0] * x[1], &[3.0, 5.0], &[1.0, 2.0]);
/// assert_eq!(product, [10.0 + 12.0, 6.0]);
/// ```
///
/// # Panics
///
/// If `direction` and `point` differ in length, or `f` returns a variable of another tape.
#[doc(alias("hessian_vector_product"))]
#[track_caller]
pub fn hvp<F: Scalar>(
    f: impl for<'t> FnOnce(&[Var<'t, Dual<F>>]) -> Var<'t, Dual<F>>,
    point: &[F],
    direction: &[F],
) -> Vec<F> {
    assert_direction("hvp", direction.len(), point.len());
    dual_gradient(f, point, direction).1.iter().map(|g| g.tangents()[0]).collect()
}

/// The value, the gradient, and the product of the Hessian with a vector, by one sweep: see [`hvp`].
///
/// ```
/// use wengert::value_grad_hvp;
///
/// let (y, g, h) = value_grad_hvp(|x| x[0].exp() * x[1], &[0.0, 3.0], &[1.0, 0.0]);
/// assert_eq!((y, g, h), (3.0, vec![3.0, 1.0], vec![3.0, 1.0]));
/// ```
///
/// # Panics
///
/// If `direction` and `point` differ in length, or `f` returns a variable of another tape.
#[track_caller]
pub fn value_grad_hvp<F: Scalar>(
    f: impl for<'t> FnOnce(&[Var<'t, Dual<F>>]) -> Var<'t, Dual<F>>,
    point: &[F],
    direction: &[F],
) -> (F, Vec<F>, Vec<F>) {
    assert_direction("value_grad_hvp", direction.len(), point.len());
    let (value, gradient) = dual_gradient(f, point, direction);
    let (gradient, product) = Dual::unzip(&gradient);
    (value.primal(), gradient, product)
}

/// The value and the gradient over dual numbers at `point`, with `direction` as tangents.
#[track_caller]
fn dual_gradient<F: Scalar>(
    f: impl for<'t> FnOnce(&[Var<'t, Dual<F>>]) -> Var<'t, Dual<F>>,
    point: &[F],
    direction: &[F],
) -> (Dual<F>, Vec<Dual<F>>) {
    let x: Vec<_> = point.iter().zip(direction).map(|(&x, &v)| Dual::new(x, [v])).collect();
    super::value_and_grad(f, &x)
}

/// The Hessian Hᵢⱼ = ∂²f/∂xᵢ∂xⱼ of `f` at `point`, n × n.
///
/// `f` is recorded ⌈n/8⌉ times on one tape of [`Dual`] numbers with eight tangents; each sweep gives eight columns. The
/// result is exactly symmetric: Hᵢⱼ with i ≥ j is taken from column j, and fills both places. For many evaluations of one
/// function use [`Program::hessian`](crate::Program::hessian).
///
/// ```
/// use ndarray::array;
/// use wengert::hessian;
///
/// let h = hessian(|x| x[0] * x[0] * x[1], &[3.0, 5.0]);
/// assert_eq!(h, array![[10.0, 6.0], [6.0, 0.0]]);
/// ```
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn hessian<F: Scalar>(f: impl for<'t> Fn(&[VarOf<'t, F>]) -> VarOf<'t, F>, point: &[F]) -> Array2<F> {
    matrix(|tape, x| f(tape.vars_from(x)), point)
}

/// The Laplacian Σ ∂²f/∂xᵢ², the trace of the [`hessian`]. The cost is the same, but for the memory of the matrix.
///
/// ```
/// // 1/r is harmonic.
/// let laplacian = wengert::laplacian(|x| (x[0] * x[0] + x[1] * x[1] + x[2] * x[2]).sqrt().recip(), &[1.0, 2.0, 3.0_f64]);
/// assert!(laplacian.abs() < 1e-16);
/// ```
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn laplacian<F: Scalar>(f: impl for<'t> Fn(&[VarOf<'t, F>]) -> VarOf<'t, F>, point: &[F]) -> F {
    trace_of_hessian(|tape, x| f(tape.vars_from(x)), point)
}

/// The Hessian of the function that `record` puts on a tape. Its inputs must be the first on the tape.
#[track_caller]
pub(super) fn matrix<F: Scalar, const N: usize>(
    record: impl for<'t> Fn(&'t Tape<Dual<F, N>>, &[Dual<F, N>]) -> Var<'t, Dual<F, N>>,
    point: &[F],
) -> Array2<F> {
    let n = point.len();
    let mut hessian = Array2::zeros((n, n));
    for_each_column(record, point, |j, lane, gradient| {
        for i in j..n {
            let entry = gradient[i].tangents()[lane];
            (hessian[[i, j]], hessian[[j, i]]) = (entry, entry);
        }
    });
    hessian
}

/// The trace of the Hessian of the function that `record` puts on a tape. Its inputs must be the first on the tape.
#[track_caller]
pub(super) fn trace_of_hessian<F: Scalar, const N: usize>(
    record: impl for<'t> Fn(&'t Tape<Dual<F, N>>, &[Dual<F, N>]) -> Var<'t, Dual<F, N>>,
    point: &[F],
) -> F {
    let mut trace = F::zero();
    for_each_column(record, point, |j, lane, gradient| trace += gradient[j].tangents()[lane]);
    trace
}

/// Calls `read(j, lane, gradient)` for each column j of the Hessian: the column is in the tangents of that lane.
#[track_caller]
fn for_each_column<F: Scalar, const N: usize>(
    record: impl for<'t> Fn(&'t Tape<Dual<F, N>>, &[Dual<F, N>]) -> Var<'t, Dual<F, N>>,
    point: &[F],
    mut read: impl FnMut(usize, usize, &[Dual<F, N>]),
) {
    let n = point.len();
    let mut tape = Tape::new();
    let mut x: Vec<Dual<F, N>> = point.iter().map(|&x| Dual::constant(x)).collect();
    for first in (0..n).step_by(N) {
        let columns = first..n.min(first + N);
        for j in columns.clone() {
            x[j] = Dual::along(point[j], j - first);
        }
        let (_, adjoints) = tape.record_and_sweep(|scope| record(scope.tape, &x).into_output());
        for j in columns {
            read(j, j - first, &adjoints[1..=n]);
            x[j] = Dual::constant(point[j]);
        }
    }
}
