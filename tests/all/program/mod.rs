//! Programs against the tape, dual numbers, differences and closed forms.

mod batch;
mod branches;
mod derivatives;
mod errors;
mod matrices;
mod rows;
mod structures;
mod sums;

use crate::support::program::{Function, assert_like_tape, assert_number, program, run};

/// A function without data as a type of its own.
macro_rules! function {
    ($Name:ident, |$x:ident| $body:expr) => {
        #[derive(Clone, Copy)]
        struct $Name;
        impl<F: wengert::BaseFloat> crate::support::program::Function<F> for $Name {
            fn call<R: wengert::Real<Base = F>>(&self, $x: &[R]) -> R {
                $body
            }
        }
    };
}
use function;
