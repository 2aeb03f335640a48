//! Recordings and sweeps.

mod adjoints;
mod panics;
mod sweeps;
