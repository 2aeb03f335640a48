//! Scalars on the tape: the handle, its gradient, operations of many operands, checkpoints.

mod checkpoint;
mod fuse;
mod gradient;
mod var;

pub use checkpoint::SnapshotSchedule;
pub(crate) use checkpoint::assert_same;
pub use fuse::{dot, fuse, log_sum_exp, mean, norm, softmax, sum, with_partials};
pub use gradient::{Gradient, Seed, Wrt};
pub use var::Var;
pub(crate) use var::two_tapes;
