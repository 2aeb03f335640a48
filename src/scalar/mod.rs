//! Scalars on the tape.
//!
//! A [`Var`] is a `Copy` handle: its value, a slot of the tape, and a pending weight, d(handle)/d(slot). A function of
//! one variable only multiplies the weight; an operation that joins two slots appends a record.
//!
//! | file | open it for |
//! |---|---|
//! | `var.rs` | [`Var`]: the operators, the functions of the table of rules, the pending weight; inputs of a tape |
//! | `fuse.rs` | operations of many operands: [`sum`], [`dot`], [`norm`], [`fuse`](fn@fuse), [`with_partials`], ... |
//! | `gradient.rs` | [`Gradient`]: sweeps, and reading what they found by handle |
//! | `static_var.rs` | [`StaticVar`]: the handle without a lifetime, whose operations are those of [`Var`] |
//! | `checkpoint.rs` | parts of a computation that the sweep computes again |

mod checkpoint;
mod fuse;
mod gradient;
mod static_var;
mod var;

pub use checkpoint::SnapshotSchedule;
pub(crate) use checkpoint::assert_same;
pub use fuse::{dot, fuse, log_sum_exp, mean, norm, softmax, sum, with_partials};
pub use gradient::{Gradient, Seed, Wrt};
pub(crate) use static_var::Stale;
pub use static_var::StaticVar;
pub use var::Var;
pub(crate) use var::two_tapes;
