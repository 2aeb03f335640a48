//! Numbers, the rules of their functions, and rules that a user adds.

mod generic;
mod rule;
mod rules;
