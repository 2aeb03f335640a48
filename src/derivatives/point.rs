//! The argument trait [`Point`]: where a derivative is taken, as a slice or as an array.

use crate::number::Scalar;
use crate::scalar::Var;
use crate::sealed::Seal;
use crate::tape::Tape;

/// A point at which a gradient is taken: a slice, whose variables are a slice and whose gradient is a vector, or an
/// array, whose variables and gradient are arrays.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a point at which a gradient is taken",
    note = "pass `&x` for a slice, an array or a vector of floats, or an array `[x, y]` itself",
    note = "for a derivative within a derivative see `jvp`, `derivative`, `hvp` and `hessian`"
)]
pub trait Point<F: Scalar> {
    /// The argument of the function: `&[Var]` or `[Var; N]`.
    type Vars<'t>;
    /// The derivatives with respect to the variables: `Vec<F>` or `[F; N]`.
    type Gradient;
    #[doc(hidden)]
    fn vars<'t>(&self, tape: &'t Tape<F>, _: Seal) -> Self::Vars<'t>;
    /// The gradient from the adjoints of the variables, or zeros.
    #[doc(hidden)]
    fn gradient(&self, adjoints: Option<&[F]>, _: Seal) -> Self::Gradient;
}

/// A closure from the variables of a [`Point`] to a variable.
///
/// It is a trait of its own because a bound `for<'t> FnOnce(P::Vars<'t>) -> Var<'t, F>` is not allowed: the lifetime of
/// the result would stand in a projection alone.
pub trait ScalarFn<'t, F: Scalar, P: Point<F>>: FnOnce(P::Vars<'t>) -> Var<'t, F> {}

impl<'t, F: Scalar, P: Point<F>, G: FnOnce(P::Vars<'t>) -> Var<'t, F>> ScalarFn<'t, F, P> for G {}

impl<F: Scalar, const N: usize> Point<F> for [F; N] {
    type Vars<'t> = [Var<'t, F>; N];
    type Gradient = [F; N];
    #[track_caller]
    fn vars<'t>(&self, tape: &'t Tape<F>, _: Seal) -> Self::Vars<'t> {
        tape.vars(*self)
    }
    fn gradient(&self, adjoints: Option<&[F]>, _: Seal) -> [F; N] {
        adjoints.map_or([F::zero(); N], |adjoints| std::array::from_fn(|i| adjoints[i]))
    }
}

macro_rules! slice_points {
    ($([$($generics:tt)*] $Slice:ty),+) => { $(
        impl<F: Scalar, $($generics)*> Point<F> for $Slice {
            type Vars<'t> = &'t [Var<'t, F>];
            type Gradient = Vec<F>;
            #[track_caller]
            fn vars<'t>(&self, tape: &'t Tape<F>, _: Seal) -> Self::Vars<'t> {
                tape.vars_from(&self[..])
            }
            fn gradient(&self, adjoints: Option<&[F]>, _: Seal) -> Vec<F> {
                adjoints.map_or_else(|| vec![F::zero(); self.len()], <[F]>::to_vec)
            }
        }
    )+ };
}
slice_points! { [] &[F], [const N: usize] &[F; N], [] &Vec<F> }
