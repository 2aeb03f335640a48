//! The argument trait [`Inputs`], and the closures that are recorded.

use crate::number::BaseFloat;
use crate::recording::Recorded;
use crate::sealed::Seal;

/// The point of a recording: a slice, for a closure of a slice, or an array, for a closure of an array.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no point at which a function can be recorded",
    note = "pass `&x` for a slice, an array or a vector of floats, or an array `[x, y]` itself"
)]
pub trait Inputs<F: BaseFloat> {
    /// The argument of the closure.
    type Recorded<'r>;
    #[doc(hidden)]
    fn numbers(&self, seal: Seal) -> &[F];
    #[doc(hidden)]
    fn recorded<'r>(inputs: &'r [Recorded<'r, F>], seal: Seal) -> Self::Recorded<'r>;
}

macro_rules! slices {
    ($([$($generics:tt)*] $Slice:ty)+) => { $(
        impl<F: BaseFloat, $($generics)*> Inputs<F> for $Slice {
            type Recorded<'r> = &'r [Recorded<'r, F>];
            fn numbers(&self, _: Seal) -> &[F] {
                &self[..]
            }
            fn recorded<'r>(inputs: &'r [Recorded<'r, F>], _: Seal) -> Self::Recorded<'r> {
                inputs
            }
        }
    )+ };
}
slices! { [] &[F]  [] &Vec<F>  [] Vec<F>  [const N: usize] &[F; N] }

/// A closure from the inputs of a recording to its output, or to its outputs.
///
/// It is a trait of its own because a bound `for<'r> FnOnce(X::Recorded<'r>) -> Recorded<'r, F>` is not allowed: the
/// lifetime of the result would stand in a projection alone.
pub trait RecordFn<'r, F: BaseFloat, X: Inputs<F>, Y>: FnOnce(X::Recorded<'r>) -> Y {}

impl<'r, F: BaseFloat, X: Inputs<F>, Y, G: FnOnce(X::Recorded<'r>) -> Y> RecordFn<'r, F, X, Y> for G {}

/// [`RecordFn`] with data.
pub trait RecordDataFn<'r, F: BaseFloat, X: Inputs<F>>:
    FnOnce(X::Recorded<'r>, &'r [Recorded<'r, F>]) -> Recorded<'r, F>
{
}

impl<'r, F: BaseFloat, X: Inputs<F>, G: FnOnce(X::Recorded<'r>, &'r [Recorded<'r, F>]) -> Recorded<'r, F>>
    RecordDataFn<'r, F, X> for G
{
}

impl<F: BaseFloat, const N: usize> Inputs<F> for [F; N] {
    type Recorded<'r> = [Recorded<'r, F>; N];
    fn numbers(&self, _: Seal) -> &[F] {
        self
    }
    fn recorded<'r>(inputs: &'r [Recorded<'r, F>], _: Seal) -> Self::Recorded<'r> {
        std::array::from_fn(|i| inputs[i])
    }
}
