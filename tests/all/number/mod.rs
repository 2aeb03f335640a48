//! Numbers and the table of their rules.

mod rules;
