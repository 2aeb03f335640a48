//! Finite differences, and a gradient checker whose verdicts can be trusted.
//!
//! # Method
//! A checker compares the gradient `g` with a difference quotient and needs a *step* and a *tolerance*. Constants
//! for either are wrong somewhere: a step of 1e-6 vanishes beside x = 1e8 and swamps x = 1e-8, and an absolute
//! tolerance passes any error in a small gradient. A single random direction overlooks one wrong entry in a
//! thousand. This checker derives step and tolerance from error analysis:
//!
//! - **Noise** of the function's values is measured at each coordinate from a difference table (Moré & Wild
//!   2011), not assumed. A function that computes in f32 inside, or that iterates, is recognised.
//! - **Step.** Quotients over `δ, 2δ, 4δ` are extrapolated (Ridders 1982). `δ` starts relative to the
//!   coordinate, grows while noise dominates and shrinks while truncation dominates. A longer step is
//!   believed only if consistent with all shorter ones (Lepski 1990).
//! - **Tolerance** is twice the resulting error bound. An entry that deviates by more is confirmed at a
//!   finer scale, then *disagrees*. An entry within the tolerance *agrees* if the bound is small beside the entry.
//!   Otherwise the values do not allow a decision, and the entry is *inconclusive*, with the [`Reason`].
//! - **Kinks.** Where left and right derivative differ down to the noise, every slope between the two is a
//!   subgradient. Ties of several coordinates are also tested in random directions.
//! - **Large gradients** are checked in random directions over blocks of coordinates of like size; a block that
//!   disagrees is bisected.
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
//! # Limits
//! The checker sees only values of the function, so no error smaller than the noise of these values allows can be
//! measured; the report gives the bound for every entry. In a block, entries are grouped by the size of the
//! *analytic* value, so that a small entry shares no group with much larger ones. Entries that even their own group
//! cannot resolve are reported as inconclusive, or as agreeing within the stated error if they could not change the
//! function's values by more than the square root of the noise.
//!
//! # Source files
//! Imports run one way: `noise` and `report` import no other file of this folder, then come `stencil`, `slope`,
//! `options`, `run`, `entries`, `kinks` and `blocks`, `checks`, `on_tape`, each importing only files named before it.
//! `differences` builds on `slope`. Only `on_tape` uses the rest of the crate.

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

/// Checks a gradient and, unless every entry agrees, panics with the table of the report at the caller's line.
///
/// ```
/// use wengert::assert_gradient;
///
/// assert_gradient!(|x: &[f64]| x[0].sin() * x[1], |x| vec![x[0].cos() * x[1], x[0].sin()], &[0.5, 2.0]);
/// ```
///
/// A check with options comes first:
///
/// ```
/// use wengert::{assert_gradient, gradcheck::GradCheck};
///
/// let check = GradCheck::new().relative_tolerance(1e-6);
/// assert_gradient!(check, |x: &[f64]| x[0].exp(), |x| vec![1.0000001 * x[0].exp()], &[0.5]);
/// ```
///
/// # Panics
/// If an entry disagrees or is inconclusive, or if the check is impossible.
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
