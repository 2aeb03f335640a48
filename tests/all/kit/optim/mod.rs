//! Optimisers, schedules, averages and the solvers of argmin.

mod averages;
mod objective;
mod own_rule;
mod schedules;
mod updates;
