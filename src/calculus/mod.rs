//! Derivatives of a function in one call.
//!
//! | | | |
//! |---|---|---|
//! | [`grad`], [`value_and_grad`] | ∇f | reverse |
//! | [`vjp`] | Jᵀw for any number of w | reverse |
//! | [`jvp`] | Jv | forward, no tape |
//! | [`jacobian`] | J | eight rows or eight columns a sweep, the cheaper by shape |
//! | [`divergence`] | tr J | |
//! | [`hvp`], [`value_grad_hvp`] | Hv | forward over reverse |
//! | [`hessian`], [`laplacian`] | H, tr H | forward over reverse, several columns at a time |
//! | [`sparse_jacobian`], [`sparse_hessian`] | J, H of few nonzeros | coloured columns, eight colours a sweep |
//!
//! The same for arrays is in [`arrays`](crate::arrays).

pub mod arrays;
mod first;
pub(crate) mod lanes;
pub(crate) mod recording;
mod second;
mod sparse;

pub use first::{Pullback, divergence, jacobian, jacobian_forward, jacobian_reverse, jvp, vjp};
pub use second::{hessian, hvp, laplacian, value_grad_hvp};
pub use sparse::{SparseHessian, SparseJacobian, SparseMatrix, sparse_hessian, sparse_jacobian};

use crate::real::Scalar;
use crate::tape::Tape;
use crate::var::{Var, two_tapes};

/// The gradient of `f` at `point`.
///
/// ```
/// use wengert::grad;
///
/// let g = grad(|x| (x[0] * x[1]).sin(), &[1.0, 2.0]);
/// assert_eq!(g, [2.0 * 2_f64.cos(), 2_f64.cos()]);
/// ```
///
/// A derivative inside `f` cannot take a variable of `f` for a constant, which would give a wrong number: no
/// variable passes into the inner closure,
///
/// ```compile_fail
/// # use wengert::grad;
/// grad(|x| { let inner = grad(|y| x[0] * y[0], &[2.0]); x[0] * inner[0] }, &[3.0_f64]);
/// ```
///
/// unless that works on numbers of the outer one, as [`jvp`] does on any, and then it is right:
///
/// ```
/// use wengert::{Var, grad, jvp};
///
/// // d/dx (x · d/dy (x y)) = d/dx x² = 2x.
/// let g = grad(|x| {
///     let (y, dy) = (Var::constant(2.0), Var::constant(1.0));
///     let (_, inner) = jvp(|y| vec![x[0] * y[0]], &[y], &[dy]);
///     x[0] * inner[0]
/// }, &[3.0_f64]);
/// assert_eq!(g, [6.0]);
/// ```
///
/// What `f` does not depend on has derivative 0. Each call makes a tape; a loop that must not
/// allocate keeps one and calls [`Tape::clear`].
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn grad<F: Scalar>(f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Var<'t, F>, point: &[F]) -> Vec<F> {
    value_and_grad(f, point).1
}

/// The value and the gradient of `f` at `point`.
///
/// ```
/// use wengert::{Real, value_and_grad};
///
/// fn rosenbrock<R: Real>(x: &[R]) -> R {
///     x.windows(2)
///         .map(|w| R::lit(100.0) * (w[1] - w[0] * w[0]).square() + (R::one() - w[0]).square())
///         .sum()
/// }
/// let (value, gradient) = value_and_grad(|x| rosenbrock(x), &[-1.2_f64, 1.0]);
/// assert!((value - 24.2).abs() < 1e-13);
/// assert!((gradient[0] + 215.6).abs() < 1e-12 && (gradient[1] + 88.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn value_and_grad<F: Scalar>(f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Var<'t, F>, point: &[F]) -> (F, Vec<F>) {
    let tape = Tape::new();
    let x = tape.vars_from(point);
    let y = f(x);
    let gradient = match y.tape() {
        None => vec![F::zero(); point.len()],
        Some(own) if std::ptr::eq(own, &raw const tape) => y.backward().wrt(x),
        Some(other) => two_tapes(&tape, other),
    };
    (y.value(), gradient)
}

/// Panics if a direction does not fit the point.
#[track_caller]
fn assert_direction(operation: &str, direction: usize, point: usize) {
    assert!(
        direction == point,
        "{operation}: the tangent has {direction} numbers, the point has {point}; a direction has one number for each input"
    );
}

/// Panics if a function whose trace is asked is not from R^n to R^n.
#[track_caller]
fn assert_square(outputs: usize, inputs: usize) {
    assert!(
        outputs == inputs,
        "divergence: the function has {outputs} outputs and {inputs} inputs; a vector field has as many of both"
    );
}
