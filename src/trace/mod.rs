//! A function seen from inside: what it computes step by step, and what flows back.
//!
//! [`record`] runs a function once on [`Recorded`] numbers, which write down every operation. The
//! [`Recording`] is plain data: it can be evaluated again, printed as a trace, drawn, and turned
//! into a [formula](fn@crate::symbolic). None of this touches [`Var`](crate::Var) and the tape.

pub(crate) mod paths;
mod picture;
pub(crate) mod recorded;
pub(crate) mod recording;
#[cfg(feature = "watch")]
mod svg;
mod table;

pub use picture::Picture;
pub use recorded::{Recorded, Recorder};
pub use recording::{BranchChanged, Recording};
pub(crate) use table::short;
pub use table::{Trace, trace, trace_of};

/// Runs a function of named inputs once and keeps what it did.
///
/// ```
/// use wengert::{Real, record};
///
/// fn loss<R: Real>([w, b]: [R; 2]) -> R {
///     (w * R::lit(0.7) + b - R::lit(0.9)).square()
/// }
/// let recording = record(["w", "b"], |x| loss(x), [0.5, 0.1]);
/// assert_eq!(recording.len(), 4);
/// assert_eq!(recording.evaluate(&[1.0, 0.1]).unwrap(), [loss([1.0, 0.1])]);
/// ```
///
/// # Panics
///
/// If two names are equal.
#[track_caller]
pub fn record<const N: usize>(
    names: [&str; N],
    f: impl for<'r> FnOnce([Recorded<'r>; N]) -> Recorded<'r>,
    values: [f64; N],
) -> Recording {
    record_of(&names, |x| f(std::array::from_fn(|i| x[i])), &values)
}

/// As [`record`], for a function of a slice.
///
/// # Panics
///
/// If two names are equal, or names and values differ in number.
#[track_caller]
pub fn record_of(names: &[&str], f: impl for<'r> FnOnce(&[Recorded<'r>]) -> Recorded<'r>, values: &[f64]) -> Recording {
    assert!(names.len() == values.len(), "record: {} names for {} values", names.len(), values.len());
    let recorder = Recorder::new();
    let mut inputs = Vec::with_capacity(names.len());
    for (name, &value) in names.iter().zip(values) {
        inputs.push(recorder.input(name, value));
    }
    recorder.output(f(&inputs));
    drop(inputs);
    recorder.finish()
}
