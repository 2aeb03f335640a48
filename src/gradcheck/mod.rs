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
//! - **Tolerance** is twice the resulting error bound; the verdict follows from the bound (see below).
//! - **Kinks.** Where left and right derivative differ down to the noise, every slope between the two is a
//!   subgradient. Ties of several coordinates are also tested in random directions and in that of the gradient.
//! - **Large gradients** are checked in random directions over blocks of coordinates of like size; a block that
//!   disagrees is bisected.
//!
//! # Error analysis
//! A slope measured at the step `δ` from values of the noise `σ` is off by the sum of
//!
//! | source | bound | known from |
//! |---|---|---|
//! | truncation | the change from the last order of extrapolation | the quotients at `δ, 2δ, 4δ`; Aitken's formula where their changes do not fall as a Taylor series does |
//! | noise | `6 a σ/δ`, where `a` is the norm of the weights (0.2 to 1) | the difference table, never below the rounding of the values |
//! | a hidden kink | `8 σ/δ`: half of the jump `J` of the slope. A kink between two points shows in the table as noise of at least `0.05 J δ` | the table; coarser stencils limit `J` further, by their second differences around the point |
//! | regular rounding | half a spacing of floats at `x`, divided by `δ`, times the slope: the rounding of a product such as `k x` may change by the same amount from point to point | the spacing at `x` |
//! | a staircase | a tread of a shorter type, divided by `δ`, times the slope | flat stencils at short steps |
//!
//! Three more errors have no bound at one step, so that the verdict needs several steps.
//!
//! - **Saturation**: a bounded function has no slope at long steps. The noise that the table shows then grows from step to
//!   step, which the noise of rounding does only as the values grow: the search ends before such a step, and an
//!   analytic slope is contradicted only if a step no longer than the coordinate's scale contradicts it.
//! - **Aliasing**: structure finer than the step looks like noise, or by accident like another slope. Noise beyond that of
//!   rounding sends the search to finer steps, down to the spacing of floats; noise that falls at a longer step is aliased.
//!   A slope that the stencils support is tested by two values at a step much finer.
//! - **Noise that hides all**: values whose noise is near their own size contradict nothing, unless two fine scales show the
//!   same slope.
//!
//! With `v ± e` measured and `g` analytic, an entry
//!
//! - *disagrees* if `|g - v| > 2e` plus the tolerances, and a second scale excludes `g` too;
//! - *agrees* if it does not deviate and `e` is small beside the entry (0.4% in f64, 2% in f32), or small beside the largest
//!   entry of the gradient, relative to the sizes of the coordinates (1% in f64, 14% in f32), or below `√(σ f″)`, the slope
//!   at a distance that the values cannot tell from the point. The summary counts the agreements within a bound larger
//!   than the entry;
//! - is *inconclusive* otherwise, with the [`Reason`] and the bound.
//!
//! # Programs
//! The function runs as it is written, on plain floats and with its branches: it never becomes a
//! [`Program`](crate::Program), which would be checked against itself. A program is checked like any other gradient:
//!
//! ```
//! use wengert::{Program, Real64, gradcheck::check};
//!
//! fn f<R: Real64>(x: &[R]) -> R {
//!     x.windows(2).map(|w| (w[0] * w[1]).sin()).sum()
//! }
//! let x = [0.3, 1.2, -0.7];
//! let mut program = Program::new(|x| f(x), &x)?;
//! let mut gradient = vec![0.0; 3];
//! program.value_and_grad(&x, &mut gradient)?;
//! check(|x: &[f64]| f(x), |_| gradient.clone(), &x)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
//! cannot resolve are checked one by one while there are few, else compared with the size of their whole group.
//!
//! `tests/checker.rs` counts wrong verdicts on some thousands of right and wrong gradients.
//!
//! # Source files
//! Imports run one way: `noise` and `report` import no other file of this folder, then come `stencil`, `slope`,
//! `options`, `run`, `entries`, `kinks` and `blocks`, `checks`, `on_tape` and `inputs`, each importing only files named
//! before it.
//! `differences` builds on `slope`. Only `on_tape` uses the rest of the crate.

mod blocks;
mod checks;
mod differences;
mod entries;
mod inputs;
mod kinks;
mod noise;
mod on_tape;
mod options;
mod report;
mod run;
mod slope;
mod stencil;

pub use checks::{check, check_jacobian, check_vjp};
pub use differences::{Differences, Estimate, Scheme, directional, finite_derivative, jacobian, partials};
pub use inputs::{Inputs, check_inputs};
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

/// Checks a Jacobian as [`GradCheck::check_jacobian`] does and, unless every entry agrees, panics with the table of the
/// report at the caller's line. A check with options may come first.
///
/// ```
/// use ndarray::array;
/// use wengert::assert_jacobian;
///
/// let f = |x: &[f64]| vec![x[0] * x[1], x[1].sin()];
/// assert_jacobian!(f, |x: &[f64]| array![[x[1], x[0]], [0.0, x[1].cos()]], &[0.5, 2.0]);
/// ```
///
/// # Panics
/// If an entry disagrees or is inconclusive, or if the check is impossible.
#[macro_export]
macro_rules! assert_jacobian {
    ($f:expr, $jacobian:expr, $x:expr $(,)?) => {
        $crate::assert_jacobian!($crate::gradcheck::GradCheck::new(), $f, $jacobian, $x)
    };
    ($check:expr, $f:expr, $jacobian:expr, $x:expr $(,)?) => {
        $crate::assert_gradient!(@ $crate::gradcheck::GradCheck::check_jacobian(&$check, $f, $jacobian, $x))
    };
}

/// Checks a vector-Jacobian product as [`GradCheck::check_vjp`] does and, unless every entry agrees, panics with the table
/// of the report at the caller's line. A check with options may come first.
///
/// ```
/// use wengert::assert_vjp;
///
/// let f = |x: &[f64]| vec![x[0] * x[1], x[1].sin()];
/// assert_vjp!(f, |x: &[f64], v| vec![v[0] * x[1], v[0] * x[0] + v[1] * x[1].cos()], &[0.5, 2.0]);
/// ```
///
/// # Panics
/// If an entry disagrees or is inconclusive, or if the check is impossible.
#[macro_export]
macro_rules! assert_vjp {
    ($f:expr, $vjp:expr, $x:expr $(,)?) => {
        $crate::assert_vjp!($crate::gradcheck::GradCheck::new(), $f, $vjp, $x)
    };
    ($check:expr, $f:expr, $vjp:expr, $x:expr $(,)?) => {
        $crate::assert_gradient!(@ $crate::gradcheck::GradCheck::check_vjp(&$check, $f, $vjp, $x))
    };
}
