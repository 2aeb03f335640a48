//! Functions as data: numbers that write down every operation, the list of steps that results, and the formulas
//! built from the steps.
//!
//! | file | holds |
//! |---|---|
//! | `recorded` | [`Recorded`], the number that writes its operations down on a [`Recorder`]; [`record`] |
//! | `recording` | [`Recording`], the finished list of steps; its replay, its names and its formulas |
//! | `step` | the plain data of a recording: steps, operands and comparisons |
//! | `steps` | [`Steps`](steps::Steps), the list of steps, packed |
//! | `path` | the answers to comparisons of numbers without values |
//! | `paths` | the enumeration of all paths through a function of such numbers |
//! | `expr/` | expressions: normal form, simplification, print as text and LaTeX |

pub(crate) mod expr;
mod path;
mod paths;
mod recorded;
#[allow(clippy::module_inception)]
mod recording;
mod step;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use paths::{Paths, TooManyPaths, explore};
pub use recorded::{Recorded, Recorder, record, record_of};
pub use recording::{BranchChanged, Recording};
pub(crate) use step::{Comparison, Source, Step, Test};
