//! The enumeration of all paths through a function of numbers without values.

use super::Comparison;
use super::path::Path;
use super::recorded::{Recorded, Recorder};
use super::recording::Recording;

/// The recordings of all paths through a function, as a tree of the function's decisions.
pub(crate) enum Paths {
    End(Box<Recording>),
    /// A decision: a recording, its comparison, the paths with the answer yes, the paths with the answer no.
    ///
    /// The recordings of all these paths agree up to the comparison.
    Fork(Box<(Recording, Comparison, Paths, Paths)>),
}

/// The error of a function with more paths than allowed.
pub(crate) struct TooManyPaths;

/// Runs `f` along every path; more than `limit` paths are an error. `f` makes its inputs on the recorder that it
/// receives.
///
/// # Panics
///
/// If a single path takes more than `decisions` decisions, or more operations than a [`Recorder`] allows: a function of
/// the user may not end. The panic is at the line in `f`, which runs until then.
#[track_caller]
pub(crate) fn explore(
    limit: usize,
    decisions: usize,
    f: impl for<'r> Fn(&'r Recorder) -> Recorded<'r>,
) -> Result<Paths, TooManyPaths> {
    explore_from(&f, Vec::new(), &mut { limit }, decisions)
}

#[track_caller]
fn explore_from(
    f: &impl for<'r> Fn(&'r Recorder) -> Recorded<'r>,
    prescribed: Vec<bool>,
    budget: &mut usize,
    limit: usize,
) -> Result<Paths, TooManyPaths> {
    let decisions = prescribed.len();
    let recorder = Recorder::along(Path::beginning(prescribed.clone(), limit));
    recorder.output(f(&recorder));
    let (recording, path) = recorder.finish_path();
    let Some(&place) = path.taken.get(decisions) else {
        *budget = budget.checked_sub(1).ok_or(TooManyPaths)?;
        return Ok(Paths::End(Box::new(recording)));
    };
    let side = |answer: bool| [prescribed.as_slice(), &[answer]].concat();
    let yes = explore_from(f, side(true), budget, limit)?;
    let no = explore_from(f, side(false), budget, limit)?;
    let comparison = recording.comparisons[place];
    Ok(Paths::Fork(Box::new((recording, comparison, yes, no))))
}
