//! The tape: scalar records, tensor operations, and the backward sweep over both.
//!
//! Every differentiable number on a tape has a *slot*: its index in the buffer of adjoints. Slots ascend in the order
//! of recording, so the slot of an operand is below the slots of everything computed from that operand. Two lists
//! make up the tape:
//!
//! - A *record* is one scalar operation: the slots of its parents and the partials with respect to them. It takes one
//!   slot, or a few more if it is wide.
//! - An *operation* owns a range of slots that are not records': some inputs, or the elements of a tensor operation's
//!   result. A tensor operation brings its pullback along.
//!
//! A *section* is an operation and the records between it and the next operation. A sweep visits the sections from the
//! last to the first, and in each section the records, the last one first, before the pullback.
//!
//! ```text
//! sections    |           0           |         1         |     2     |
//! operations  | inputs    |           | relu     |        | dot |     |
//! records     |           | r   r   r |          | r   r  |     | r   |
//! slots       | 0   1   2 | 3   4   5 | 6  7  8  | 9   10 | 11  | 12  |
//! ```
//!
//! Slot 0 is the *sink*: the parent of a record where a real one is missing. Nothing reads its adjoint.
//!
//! | file | open it for |
//! |---|---|
//! | `record.rs` | the encoding of records, the one reader of it, their memory, the supply of slots |
//! | `operation.rs` | operations and their descriptions, the adjoints that pullbacks work on, sections |
//! | `list.rs` | [`Tape`]: the arena, `clear`, and the argument for pullbacks with captured borrows |
//! | `reverse.rs` | the inner loop of a sweep: the adjoints of a section's records |
//! | `sweep.rs` | a sweep over a whole tape; recording and sweeping in one call |
//! | `thread.rs` | the tape that a thread has in use, and the scopes of handles without a lifetime |
//! | `multi_sweep.rs` | several seeds in one pass, backward or forward |
//!
//! # Unsafe code
//!
//! The SAFETY comments of this room rest on five promises. Most callers are safe code in other rooms (`scalar`,
//! `tensor`, `params`, `derivatives`), which has to keep the promises too:
//!
//! 1. *Every parent of a record is below the record's own slot*, because `reverse.rs` indexes without bounds checks.
//!    Slots reach a record only from handles of the same tape (operators refuse handles of two tapes), and no handle
//!    outlives `clear`, `forget` or a failed `Records::attempt`, which alone take slots back. (A `StaticVar` does, but
//!    each use of it looks first whether its scope is the one of the tape in use: see `thread.rs`.)
//! 2. *What a pullback captures is alive when the pullback is called*: see `Tape::push_op`.
//! 3. *What the description of an operation refers to is alive until the tape is cleared*: see `Tape::push_op`.
//! 4. *A value that the tape drops may be dropped on any thread, and its destructor reads nothing that was borrowed*:
//!    see `Tape::alloc`.
//! 5. *`thread::Innermost` is a local variable of the operation that asked for it*: see `Innermost::tape_of`.

mod list;
mod multi_sweep;
mod operation;
mod record;
mod reverse;
pub(crate) mod sweep;
pub(crate) mod thread;

pub use list::Tape;
pub(crate) use multi_sweep::{MultiSweep, SEEDS};
#[allow(unreachable_pub)] // named by the sealed trait `CustomInputs`
pub use operation::Adjoints;
pub(crate) use operation::{Cotangents, Op, OperandInfo, OperationInfo, OperationKind, Section, sections};
pub(crate) use record::{Entries, Progression, Record, SINK, backward, forward, operations};
pub(crate) use sweep::{Output, Scope};
pub use thread::StaticScalar;
