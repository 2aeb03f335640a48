//! Optimisers, schedules, averages and the solvers of argmin.

mod averages;
#[cfg(feature = "argmin")]
mod objective;
#[cfg(feature = "io")]
mod own_rule;
mod owners;
mod schedules;
mod updates;
mod words;
