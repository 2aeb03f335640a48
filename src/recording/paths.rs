//! Every path through a function whose comparisons have no values to decide them.

use super::path::Path;
use super::recorded::{Recorded, Recorder};
use super::recording::Recording;
use super::step::Comparison;

/// What each path of a function records, as a tree of its decisions.
pub(crate) enum Paths {
    End(Recording),
    /// The recording up to the comparison is that of either side.
    Fork(Box<(Recording, Comparison, Paths, Paths)>),
}

/// More paths than were allowed.
pub(crate) struct TooManyPaths;

/// Runs `f` along every path; it makes its inputs on the recorder that it is given.
pub(crate) fn explore(limit: usize, f: impl for<'r> Fn(&'r Recorder) -> Recorded<'r>) -> Result<Paths, TooManyPaths> {
    explore_from(&f, Vec::new(), &mut { limit })
}

fn explore_from(
    f: &impl for<'r> Fn(&'r Recorder) -> Recorded<'r>,
    prescribed: Vec<bool>,
    budget: &mut usize,
) -> Result<Paths, TooManyPaths> {
    let decisions = prescribed.len();
    let recorder = Recorder::along(Path::beginning(prescribed.clone()));
    recorder.output(f(&recorder));
    let (recording, path) = recorder.finish_path();
    let Some(&place) = path.taken.get(decisions) else {
        *budget = budget.checked_sub(1).ok_or(TooManyPaths)?;
        return Ok(Paths::End(recording));
    };
    let side = |answer: bool| [prescribed.as_slice(), &[answer]].concat();
    let yes = explore_from(f, side(true), budget)?;
    let no = explore_from(f, side(false), budget)?;
    let comparison = recording.comparisons[place];
    Ok(Paths::Fork(Box::new((recording, comparison, yes, no))))
}
