//! Recorded functions.

mod recorded;
