//! A function seen from inside: the value of each step, and the adjoint that flows back to the step.
//!
//! [`record`](fn@crate::record) runs a function once on [`Recorded`] numbers, which write down every operation. The
//! resulting [`Recording`] is plain data, independent of [`Var`](crate::Var) and the tape: it can be evaluated again,
//! printed as a [`Trace`], drawn as a [`Picture`] and turned into a [formula](fn@crate::symbolic).
//!
//! [`Trace::to_html`] makes a page of it, on which a slider moves through the forward pass and back.
//!
//! In the source, `table` makes and prints the trace, `page` and `page.html` make the page, `picture` turns the trace into
//! a graph, and `svg` draws the graph. The numbers that are recorded are in the room `recording`.

mod page;
mod picture;
#[cfg(feature = "watch")]
mod svg;
mod table;

pub use picture::Picture;
pub use table::{Trace, trace, trace_of};

pub use crate::recording::{BranchChanged, Recorded, Recorder, Recording, record, record_of};
