//! First derivatives of functions of several outputs.

use std::fmt;

use ndarray::Array2;

use super::linearization::{assert_direction, assert_square};
use crate::derivatives::linearization::Linearization;
use crate::number::{Brand, Dual, Real, Scalar};
use crate::scalar::Var;
use crate::tape::SEEDS;

/// The number type of [`jvp`] and [`jacobian_forward`]. The brand ties its tangents to one call.
type DualOf<'b, F, const N: usize> = Dual<F, N, Brand<'b>>;

/// The values of `f` at `point`, and the pullback w ↦ Jᵀw, which can be called any number of times.
///
/// `f` is recorded once, and each call of the pullback is one sweep.
///
/// ```
/// use wengert::vjp;
///
/// let (y, pullback) = vjp(|x| vec![x[0] * x[1], x[0].sin()], &[1.0, 2.0_f64]);
/// assert_eq!(y, [2.0, 1_f64.sin()]);
/// assert_eq!(pullback.call(&[1.0, 0.0]), [2.0, 1.0]);
/// assert_eq!(pullback.call(&[0.0, 1.0]), [1_f64.cos(), 0.0]);
/// ```
///
/// No handle leaves the closure:
///
/// ```compile_fail,E0521
/// let mut kept = None;
/// wengert::vjp(|x| { kept = Some(x[0]); vec![x[0]] }, &[1.0]);
/// ```
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn vjp<F: Scalar>(f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>, point: &[F]) -> (Vec<F>, Pullback<F>) {
    let (values, recording) = Linearization::new(f, point);
    (values, Pullback { recording })
}

/// The pullback of a function at a point: see [`vjp`].
pub struct Pullback<F: Scalar = f64> {
    recording: Linearization<F>,
}

impl<F: Scalar> Pullback<F> {
    /// The product Jᵀ · cotangent, one number for each input.
    ///
    /// # Panics
    ///
    /// If the length of the cotangent is not the number of outputs.
    #[track_caller]
    pub fn call(&self, cotangent: &[F]) -> Vec<F> {
        let outputs = self.recording.outputs();
        assert!(
            cotangent.len() == outputs,
            "pullback: the cotangent has {} numbers, the function has {outputs} outputs; give one for each",
            cotangent.len()
        );
        self.recording.pull(cotangent.iter().copied())
    }

    /// The Jacobian, from the same recording: see [`jacobian`].
    #[doc(alias("jacrev", "jacfwd", "vmap"))]
    pub fn jacobian(&self) -> Array2<F> {
        self.recording.jacobian()
    }
}

impl<F: Scalar> fmt::Debug for Pullback<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pullback")
            .field("inputs", &self.recording.inputs())
            .field("outputs", &self.recording.outputs())
            .finish_non_exhaustive()
    }
}

/// The values of `f` at `point`, and the product Jv, in forward mode, without a tape.
///
/// ```
/// use wengert::jvp;
///
/// let (y, dy) = jvp(|x| vec![x[0] * x[1], x[0].exp()], &[0.0, 2.0], &[1.0, 10.0]);
/// assert_eq!((y, dy), (vec![0.0, 1.0], vec![2.0, 1.0]));
/// ```
///
/// # Panics
///
/// If `tangent` and `point` differ in length.
#[track_caller]
pub fn jvp<F: Real>(
    f: impl for<'b> FnOnce(&[DualOf<'b, F, 1>]) -> Vec<DualOf<'b, F, 1>>,
    point: &[F],
    tangent: &[F],
) -> (Vec<F>, Vec<F>) {
    assert_direction("jvp", tangent.len(), point.len());
    let x: Vec<_> = point.iter().zip(tangent).map(|(&x, &v)| Dual::with_parts(x, [v])).collect();
    f(&x).into_iter().map(|y| (y.primal(), y.tangents()[0])).unzip()
}

/// The Jacobian Jᵢⱼ = ∂fᵢ/∂xⱼ of `f` at `point`, m × n.
///
/// `f` is recorded once, on a tape of plain numbers. The recorded partials are a linear program, which can be run from
/// the outputs or from the inputs, in each case for eight seeds in one pass. So the cost is that of one recording and
/// min(⌈m/8⌉, ⌈n/8⌉) passes; with operations that are not scalar (on tensors, or checkpoints), ⌈m/8⌉ passes. For many
/// evaluations of one function use [`Program::jacobian_into`](crate::Program::jacobian_into).
///
/// ```
/// use ndarray::array;
/// use wengert::jacobian;
///
/// let polar = jacobian(|p| vec![p[0] * p[1].cos(), p[0] * p[1].sin()], &[2.0, 0.0_f64]);
/// assert_eq!(polar, array![[1.0, 0.0], [0.0, 2.0]]);
/// ```
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn jacobian<F: Scalar>(f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>, point: &[F]) -> Array2<F> {
    Linearization::new(f, point).1.jacobian()
}

/// The Jacobian by reverse sweeps, whatever its shape: see [`jacobian`].
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn jacobian_reverse<F: Scalar>(f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>, point: &[F]) -> Array2<F> {
    Linearization::new(f, point).1.jacobian_by_rows()
}

/// The Jacobian in forward mode, without a tape: `f` runs ⌈n/8⌉ times on [`Dual`] numbers with
/// eight tangents.
///
/// Unlike [`jacobian`], this takes no memory for the intermediate values of `f`, and works on numbers of any kind.
///
/// ```
/// use ndarray::array;
/// use wengert::jacobian_forward;
///
/// let j = jacobian_forward(|x| vec![x[0] * x[1], x[1].exp(), x[0]], &[3.0, 0.0]);
/// assert_eq!(j, array![[0.0, 3.0], [0.0, 1.0], [1.0, 0.0]]);
/// ```
///
/// # Panics
///
/// If two calls of `f` return different numbers of outputs.
#[track_caller]
pub fn jacobian_forward<F: Real>(
    f: impl for<'b> Fn(&[DualOf<'b, F, SEEDS>]) -> Vec<DualOf<'b, F, SEEDS>>,
    point: &[F],
) -> Array2<F> {
    let n = point.len();
    let mut x: Vec<DualOf<'_, F, SEEDS>> = point.iter().map(|&x| Dual::from(x)).collect();
    if n == 0 {
        return Array2::from_elem((f(&x).len(), 0), F::zero());
    }
    let mut jacobian = Array2::from_elem((0, n), F::zero());
    for first in (0..n).step_by(SEEDS) {
        let columns = first..n.min(first + SEEDS);
        for j in columns.clone() {
            x[j] = Dual::along(point[j], j - first);
        }
        let y = f(&x);
        if first == 0 {
            jacobian = Array2::from_elem((y.len(), n), F::zero());
        }
        assert!(
            y.len() == jacobian.nrows(),
            "jacobian_forward: the function returned {} outputs in one call and {} in another, at the same point",
            jacobian.nrows(),
            y.len()
        );
        for j in columns {
            for (entry, y) in jacobian.column_mut(j).iter_mut().zip(&y) {
                *entry = y.tangents()[j - first];
            }
            x[j] = Dual::from(point[j]);
        }
    }
    jacobian
}

/// The divergence Σ ∂fᵢ/∂xᵢ of a vector field R^n → R^n, the trace of its [`jacobian`]. The cost is the same, but for
/// the memory of the matrix.
///
/// ```
/// let field = wengert::divergence(|x| vec![x[0] * x[0], x[0] * x[1]], &[3.0, 4.0]);
/// assert_eq!(field, 6.0 + 3.0);
/// ```
///
/// # Panics
///
/// If the numbers of outputs and inputs differ, or `f` returns a variable of another tape.
#[track_caller]
pub fn divergence<F: Scalar>(f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>, point: &[F]) -> F {
    let (_, recording) = Linearization::new(f, point);
    assert_square(recording.outputs(), recording.inputs());
    recording.trace_of_jacobian()
}
