//! Properties on random programs, shapes and points, and the functions of the crate `argmin_testfunctions`.
//!
//! A crate of its own, so that `cargo test` in the main crate does not build these dependencies.
//! `cargo test --manifest-path tests/properties/Cargo.toml`

#![cfg(test)]

mod argmin_functions;
mod arrays;
mod broadcasting;
mod cases;
mod products;
mod programs;
mod recorded_argmin;
mod recorded_once;
mod recurrences;
mod strategies;

#[path = "../all/support"]
#[allow(dead_code)] // the main crate's tests use the rest
mod support {
    pub(crate) mod close;
    pub(crate) mod differences;
    pub(crate) mod functions;
    pub(crate) mod linearity;
    pub(crate) mod mgh;
    pub(crate) mod program;
    pub(crate) mod programs;
    pub(crate) mod stages;
    pub(crate) mod structures;
}
