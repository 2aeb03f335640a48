//! Loops that this crate compiles for `f32` and `f64`.
//!
//! The compiler makes the code of a generic function in the crate that calls it: at the optimisation level of the
//! user's program, and again with each build of it. Where a loop over many numbers is reached through a function of
//! [`precompiled`], the code stands in this crate. Dual numbers, of which there is no end, take the generic function.

use std::any::Any;

/// Defines functions over numbers of a tape, which are compiled here for `f32` and `f64`.
///
/// A panic in the body shows a line of this crate: what may be the caller's mistake is checked in front of the call.
///
/// Each is written as `fn name<F>(argument: Type, ...) -> Type { body }`; a type may name `F`, and elide lifetimes.
macro_rules! precompiled {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$F:ident>($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    )+) => { $(
        $(#[$meta])*
        #[inline]
        $vis fn $name<$F: $crate::number::Scalar>($($argument: $type),*) $(-> $result)? {
            type Function<$F> = fn($($type),*) $(-> $result)?;
            // Statics, because a reference to `generic` itself would be compiled with the caller.
            static F32: Function<f32> = generic::<f32>;
            static F64: Function<f64> = generic::<f64>;
            fn generic<$F: $crate::number::Scalar>($($argument: $type),*) $(-> $result)? $body
            // The compiler knows the constant before it collects what to compile.
            if $F::IS_FLOAT {
                $crate::number::precompiled::of_type::<Function<$F>>(&F32, &F64)($($argument),*)
            } else {
                generic::<$F>($($argument),*)
            }
        }
    )+ };
}
pub(crate) use precompiled;

/// The one of two values that has the type `T`.
#[inline(always)]
pub(crate) fn of_type<T: Copy + 'static>(a: &dyn Any, b: &dyn Any) -> T {
    match a.downcast_ref::<T>() {
        Some(&a) => a,
        None => *b.downcast_ref::<T>().expect("a float is `f32` or `f64`"),
    }
}
