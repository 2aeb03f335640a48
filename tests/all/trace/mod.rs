//! The views of a recording.

mod table;
