//! The gradient of a function in one call.

use super::point::{Point, ScalarFn};
use crate::number::Scalar;
use crate::scalar::two_tapes;
use crate::sealed::Seal;
use crate::tape::Tape;

/// The gradient of `f` at `point`, a slice or an array.
///
/// ```
/// use wengert::grad;
///
/// let g = grad(|x| (x[0] * x[1]).sin(), &[1.0, 2.0]);
/// assert_eq!(g, [2.0 * 2_f64.cos(), 2_f64.cos()]);
///
/// let [dx, dy] = grad(|[x, y]| (x * y).sin(), [1.0, 2.0]);
/// assert_eq!([dx, dy], [2.0 * 2_f64.cos(), 2_f64.cos()]);
/// ```
///
/// A derivative inside `f` cannot mistake a variable of `f` for a constant, which would give a wrong number. A variable
/// of the outer function does not pass into the inner closure:
///
/// ```compile_fail
/// # use wengert::grad;
/// grad(|x| { let inner = grad(|y| x[0] * y[0], &[2.0]); x[0] * inner[0] }, &[3.0_f64]);
/// ```
///
/// It does pass if the inner function computes with variables of the outer one as its numbers. [`jvp`](crate::jvp)
/// works on numbers of any kind, and the derivative is right:
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
/// The derivative with respect to an input on which `f` does not depend is 0. Each call makes a tape; for many calls
/// there is the [`Evaluator`](crate::Evaluator), which keeps its own.
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[doc(alias("gradient"))]
#[track_caller]
pub fn grad<F: Scalar, P: Point<F>>(f: impl for<'t> ScalarFn<'t, F, P>, point: P) -> P::Gradient {
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
pub fn value_and_grad<F: Scalar, P: Point<F>>(f: impl for<'t> ScalarFn<'t, F, P>, point: P) -> (F, P::Gradient) {
    let tape = Tape::new();
    let x = point.vars(&tape, Seal);
    let inputs = 1..tape.slots();
    let y = f(x);
    let gradient = match y.tape() {
        None => point.gradient(None, Seal),
        Some(own) if std::ptr::eq(own, &raw const tape) => point.gradient(Some(&y.backward().adjoints[inputs]), Seal),
        Some(other) => two_tapes(&tape, other),
    };
    (y.value(), gradient)
}
