//! Optimisers, schedules, averages and the solvers of argmin.

mod averages;
mod objective;
mod own_rule;
mod owners;
mod schedules;
mod updates;
