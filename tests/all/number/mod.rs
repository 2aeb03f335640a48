//! Numbers, the rules of their functions, and rules that a user adds.

#[cfg(feature = "nalgebra")]
mod field;
mod generic;
mod rule;
mod rules;
