//! The views of a recording.

mod page;
mod table;
