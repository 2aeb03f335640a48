//! Derivatives of functions of [`StaticVar`]s, numbers without a lifetime: for generic code that asks for `'static`.
//!
//! nalgebra's matrices, FFTs, solvers of differential equations and many other crates take any number that is `'static`.
//! They run as they are on the handles of this module; the feature `nalgebra` gives the handles nalgebra's traits
//! (nalgebra 0.35, simba 0.10). Here is a least-squares fit by nalgebra's QR, and how its result moves with the data:
//!
#![cfg_attr(feature = "nalgebra", doc = "```")]
#![cfg_attr(not(feature = "nalgebra"), doc = "```ignore")]
//! use nalgebra::{DMatrix, DVector, RealField};
//! use wengert::statics;
//!
//! /// The slope of the line through points (0, y₀), (1, y₁), ..
//! fn slope<T: RealField + Copy>(y: &[T]) -> T {
//!     let a = DMatrix::from_fn(y.len(), 2, |i, j| nalgebra::convert(if j == 0 { 1.0 } else { i as f64 }));
//!     let qr = a.qr();
//!     qr.r().solve_upper_triangular(&(qr.q().transpose() * DVector::from_column_slice(y))).unwrap()[1]
//! }
//! let (value, gradient) = statics::value_and_grad(|y| slope(y), &[1.0, 3.0, 5.0]);
//! assert!((value - 2.0_f64).abs() < 1e-14);
//! assert!((gradient[0] + 0.5).abs() < 1e-14 && gradient[1].abs() < 1e-14 && (gradient[2] - 0.5).abs() < 1e-14);
//! ```
//!
//! Each call opens a *scope*: a tape of the thread, on which the closure's handles record, and which is cleared when the
//! call ends, also by a panic. Calls nest. A handle that is used outside of its scope, on another thread or within an
//! inner call panics at the line of that use. The thread keeps the memory of its tapes, so that further calls allocate
//! little.
//!
//! The derivative is that of the branch that the code takes. Where code compares with 0 and skips work, it skips the
//! derivative of that work: nalgebra's eigenvectors of a matrix that is exactly diagonal, and its rotation by a scaled axis
//! that is exactly 0, come out as constants.
//!
//! In forward mode [`Dual`] numbers do the same without a tape, for few inputs: `Dual::seeded` makes the arguments.

use std::rc::Rc;

use ndarray::Array2;

use super::linearization::{Linearization, assert_direction, place};
use super::point::Point;
use crate::number::{Dual, Scalar};
use crate::scalar::{Stale, StaticVar};
use crate::sealed::Seal;
use crate::tape::thread::with_scope;
use crate::tape::{StaticScalar, Tape};

/// A [`Point`] at which functions of [`StaticVar`]s are differentiated: a slice, whose variables are a slice, or an
/// array, whose variables are an array.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a point at which a gradient is taken",
    note = "pass `&x` for a slice, an array or a vector of floats, or an array `[x, y]` itself"
)]
pub trait StaticPoint<F: StaticScalar>: Point<F> {
    /// The argument of the function: `&[StaticVar]` or `[StaticVar; N]`.
    type StaticVars<'s>;
    #[doc(hidden)]
    fn static_vars<'s>(&self, tape: &'s Tape<F>, generation: u64, _: Seal) -> Self::StaticVars<'s>;
}

/// A closure from the variables of a [`StaticPoint`] to a variable; a trait of its own, so that the compiler finds the
/// types of closures.
pub trait StaticFn<'s, F: StaticScalar, P: StaticPoint<F>>: FnOnce(P::StaticVars<'s>) -> StaticVar<F> {}

impl<'s, F: StaticScalar, P: StaticPoint<F>, G: FnOnce(P::StaticVars<'s>) -> StaticVar<F>> StaticFn<'s, F, P> for G {}

impl<F: StaticScalar, const N: usize> StaticPoint<F> for [F; N] {
    type StaticVars<'s> = [StaticVar<F>; N];
    fn static_vars<'s>(&self, tape: &'s Tape<F>, generation: u64, _: Seal) -> Self::StaticVars<'s> {
        let first = tape.input_slots(N);
        std::array::from_fn(|i| StaticVar::input(generation, first + i as u32, self[i]))
    }
}

/// Inputs with these values. The memory of the handles belongs to the tape.
fn inputs<'s, F: StaticScalar>(values: &[F], tape: &'s Tape<F>, generation: u64) -> &'s [StaticVar<F>] {
    // The slots come last: memory for the handles may be refused.
    let first = tape.slots() as u32;
    let input = |i: usize| StaticVar::input(generation, first + i as u32, values[i]);
    let inputs = tape.arena().alloc_slice_fill_with(values.len(), input);
    tape.input_slots(values.len());
    inputs
}

macro_rules! slice_points {
    ($([$($generics:tt)*] $Slice:ty),+) => { $(
        impl<F: StaticScalar, $($generics)*> StaticPoint<F> for $Slice {
            type StaticVars<'s> = &'s [StaticVar<F>];
            fn static_vars<'s>(&self, tape: &'s Tape<F>, generation: u64, _: Seal) -> Self::StaticVars<'s> {
                inputs(&self[..], tape, generation)
            }
        }
    )+ };
}
slice_points! { [] &[F], [const N: usize] &[F; N], [] &Vec<F> }

/// The gradient of `f` at `point`, a slice or an array: see [`grad`](fn@crate::grad).
///
/// ```
/// use wengert::statics;
///
/// let [dx, dy] = statics::grad(|[x, y]| (x * y).sin(), [1.0, 2.0]);
/// assert_eq!([dx, dy], [2.0 * 2_f64.cos(), 2_f64.cos()]);
/// ```
///
/// # Panics
///
/// If `f` returns a handle of another scope.
#[track_caller]
pub fn grad<F: StaticScalar, P: StaticPoint<F>>(f: impl for<'s> StaticFn<'s, F, P>, point: P) -> P::Gradient {
    value_and_grad(f, point).1
}

/// The value and the gradient of `f` at `point`: see [`grad`].
///
/// A call within `f` has a scope of its own, into which numbers pass by value, and which gives plain numbers. So the
/// outer derivative sees constants there:
///
/// ```
/// use wengert::statics;
///
/// // x · c with c = d/dy (y² x) = 2x at y = 1.
/// let (value, gradient) = statics::value_and_grad(|x| {
///     let factor = x[0].value();
///     let inner = statics::grad(|y| y[0] * y[0] * factor, &[1.0]);
///     x[0] * inner[0]
/// }, &[3.0]);
/// assert_eq!((value, gradient), (18.0, vec![6.0]));
/// ```
///
/// # Panics
///
/// Same as for [`grad`].
#[track_caller]
pub fn value_and_grad<F: StaticScalar, P: StaticPoint<F>>(
    f: impl for<'s> StaticFn<'s, F, P>,
    point: P,
) -> (F, P::Gradient) {
    in_scope(|tape, generation| {
        let x = point.static_vars(tape, generation, Seal);
        let inputs = 1..tape.slots();
        let y = f(x).into_var(tape)?;
        let gradient = match y.tape() {
            None => point.gradient(None, Seal),
            Some(_) => point.gradient(Some(&y.backward().adjoints[inputs]), Seal),
        };
        Ok((y.value(), gradient))
    })
}

/// The result of `f` in a new scope. Panics at the caller's line for an output of another scope.
#[track_caller]
fn in_scope<F: StaticScalar, T>(f: impl for<'t> FnOnce(&'t Rc<Tape<F>>, u64) -> Result<T, Stale>) -> T {
    match with_scope(f) {
        Ok(result) => result,
        Err(stale) => stale.refuse(),
    }
}

/// The Jacobian Jᵢⱼ = ∂fᵢ/∂xⱼ of `f` at `point`, m × n, by rows or by columns, whichever is cheaper: see
/// [`jacobian`](fn@crate::jacobian). The outputs come in a vector, an array or another collection.
///
/// ```
/// use wengert::{ndarray::array, statics};
///
/// let polar = statics::jacobian(|p| [p[0] * p[1].cos(), p[0] * p[1].sin()], &[2.0, 0.0]);
/// assert_eq!(polar, array![[1.0, 0.0], [0.0, 2.0]]);
/// ```
///
/// # Panics
///
/// If an output is a handle of another scope.
#[track_caller]
pub fn jacobian<F: StaticScalar, Y: IntoIterator<Item = StaticVar<F>>>(
    f: impl FnOnce(&[StaticVar<F>]) -> Y,
    point: &[F],
) -> Array2<F> {
    in_scope(|tape, generation| {
        let outputs = f(inputs(point, tape, generation)).into_iter();
        let places = outputs.map(|y| Ok(place(y.into_var(tape)?, tape))).collect::<Result<_, _>>()?;
        Ok(Linearization::of(Rc::clone(tape), point.len(), places).jacobian())
    })
}

/// The product of the Hessian of `f` at `point` with a vector, by one sweep over dual numbers: see
/// [`hvp`](fn@crate::hvp).
///
/// ```
/// use wengert::statics;
///
/// // f = x² y has the Hessian [[2y, 2x], [2x, 0]].
/// let product = statics::hvp(|x| x[0] * x[0] * x[1], &[3.0, 5.0], &[1.0, 2.0]);
/// assert_eq!(product, [10.0 + 12.0, 6.0]);
/// ```
///
/// # Panics
///
/// If `direction` and `point` differ in length, or `f` returns a handle of another scope.
#[track_caller]
pub fn hvp<F: Scalar>(
    f: impl FnOnce(&[StaticVar<Dual<F>>]) -> StaticVar<Dual<F>>,
    point: &[F],
    direction: &[F],
) -> Vec<F>
where
    Dual<F>: StaticScalar,
{
    assert_direction("statics::hvp", direction.len(), point.len());
    let x: Vec<_> = point.iter().zip(direction).map(|(&x, &v)| Dual::new(x, [v])).collect();
    grad(f, &x).iter().map(|g| g.tangents()[0]).collect()
}
