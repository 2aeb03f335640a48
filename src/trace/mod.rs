//! A function seen from inside: what it computes step by step, and what flows back.
//!
//! [`record`] runs a function once on [`Recorded`] numbers, which write down every operation. The
//! [`Recording`] is plain data: it can be evaluated again, printed as a trace, drawn, and turned
//! into a [formula](fn@crate::symbolic). None of this touches [`Var`](crate::Var) and the tape.

mod picture;
#[cfg(feature = "watch")]
mod svg;
mod table;

pub use picture::Picture;
pub use table::{Trace, trace, trace_of};

pub use crate::recording::{BranchChanged, Recorded, Recorder, Recording, record_of};
