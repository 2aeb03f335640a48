//! The tape: scalar records, tensor operations, and the backward sweep over both.

mod list;
mod multi_sweep;
mod operation;
mod record;
mod reverse;
pub(crate) mod sweep;

pub use list::Tape;
pub(crate) use multi_sweep::{MultiSweep, SEEDS};
#[allow(unreachable_pub)] // named by the sealed trait `CustomInputs`
pub use operation::Adjoints;
pub(crate) use operation::{Cotangents, Op, OperandInfo, OperationInfo, OperationKind, Section, sections};
pub(crate) use record::{Entries, Progression, Record, SINK, backward, forward, operations};
pub(crate) use sweep::{Output, Scope};
