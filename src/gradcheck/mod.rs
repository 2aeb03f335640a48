//! Finite differences, and a gradient checker that can be believed.
//!
//! # Why another one
//! A checker compares `g` with a difference quotient and needs a *step* and a *tolerance*. Constants for
//! either are wrong somewhere: a step of 1e-6 vanishes beside x = 1e8 and swamps x = 1e-8, an absolute
//! tolerance passes any error in a small gradient, one random direction overlooks one wrong entry of a
//! thousand. Here both follow from error analysis:
//!
//! - **Noise** of the function's values is measured at each coordinate from a difference table (Moré & Wild
//!   2011), not assumed: a function that computes in f32 inside, or iterates, is recognised.
//! - **Step.** Quotients over `δ, 2δ, 4δ` are extrapolated (Ridders 1982), `δ` starting relative to the
//!   coordinate and moving, longer while noise dominates and shorter while truncation does. A longer step is
//!   believed only if consistent with all shorter ones (Lepski 1990).
//! - **Tolerance** is twice the resulting error bound. An entry that deviates by more is confirmed at a
//!   finer scale, then *disagrees*; one within it *agrees* if the bound is small beside the entry; otherwise
//!   the values cannot tell, and the entry is *inconclusive*, with the [`Reason`].
//! - **Kinks.** Where left and right derivative differ down to the noise, every slope between them is a
//!   subgradient; ties of several coordinates are tested in random directions as well.
//! - **Large gradients** are checked in random directions over blocks of like size, and bisected.
//!
//! # Checking a gradient
//! ```
//! use wengert::gradcheck::{GradientMismatch, check};
//!
//! let f = |x: &[f64]| x[0] * x[1].sin();
//! check(f, |x| vec![x[1].sin(), x[0] * x[1].cos()], &[2.0, 0.5])?;
//!
//! let wrong = check(f, |x| vec![x[1].sin(), x[1].cos()], &[2.0, 0.5]).unwrap_err();
//! let report = wrong.report().unwrap();
//! assert_eq!(report.worst().unwrap().coordinate, Some(1));
//! println!("{report}");
//! # Ok::<(), GradientMismatch>(())
//! ```
//!
//! # What it cannot see
//! Only values are seen. An error smaller than what the values' noise allows is not an error one could
//! measure; the report gives that bound for every entry. In a block, an entry far below the others of its
//! group by size of the *analytic* value is in another group; what even that group cannot resolve is
//! reported as inconclusive, or, if it could not change the function's values by more than the square root of
//! their noise, as agreeing within the stated error.

mod blocks;
mod checks;
mod differences;
mod entries;
mod kinks;
mod noise;
mod on_tape;
mod options;
mod report;
mod run;
mod slope;
mod stencil;

pub use checks::{check, check_jacobian, check_vjp};
pub use differences::{Differences, Estimate, Scheme, derivative, directional, jacobian, partials};
pub use on_tape::{check_gradient, check_params};
pub use options::{CheckProgress, Coordinates, GradCheck};
pub use report::{Entry, GradientMismatch, Place, Reason, Report, Verdict};

/// Checks a gradient and panics with the table, at the caller's line, unless every entry agrees.
///
/// ```
/// use wengert::assert_gradient;
///
/// assert_gradient!(|x: &[f64]| x[0].sin() * x[1], |x| vec![x[0].cos() * x[1], x[0].sin()], &[0.5, 2.0]);
/// ```
///
/// Options come first:
///
/// ```
/// use wengert::{assert_gradient, gradcheck::GradCheck};
///
/// let check = GradCheck::new().relative_tolerance(1e-6);
/// assert_gradient!(check, |x: &[f64]| x[0].exp(), |x| vec![1.0000001 * x[0].exp()], &[0.5]);
/// ```
///
/// # Panics
/// If an entry disagrees or is inconclusive, or the check is impossible.
#[macro_export]
macro_rules! assert_gradient {
    (@ $outcome:expr) => {
        match $outcome {
            Ok(report) if report.verdict() == $crate::gradcheck::Verdict::Agrees => {}
            Ok(report) => panic!("{report}"),
            Err(mismatch) => panic!("{mismatch}"),
        }
    };
    ($f:expr, $x:expr $(,)?) => {
        $crate::assert_gradient!(@ $crate::gradcheck::check_gradient($f, $x))
    };
    ($value:expr, $gradient:expr, $x:expr $(,)?) => {
        $crate::assert_gradient!($crate::gradcheck::GradCheck::new(), $value, $gradient, $x)
    };
    ($check:expr, $value:expr, $gradient:expr, $x:expr $(,)?) => {
        $crate::assert_gradient!(@ $crate::gradcheck::GradCheck::check(&$check, $value, $gradient, $x))
    };
}
