//! Optimisers, schedules, averages and the solvers of argmin.

mod averages;
mod objective;
mod schedules;
mod updates;
