//! Recordings and sweeps.

mod adjoints;
mod sweeps;
