//! Functions as data: numbers that write down what is done with them, the list of steps that results, and
//! formulas made of it.

pub(crate) mod expr;
mod path;
mod paths;
mod recorded;
#[allow(clippy::module_inception)]
mod recording;
mod step;

pub(crate) use paths::{Paths, TooManyPaths, explore};
pub use recorded::{Recorded, Recorder, record, record_of};
pub use recording::{BranchChanged, Recording};
pub(crate) use step::{Source, Step};
