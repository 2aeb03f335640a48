//! Properties on random programs, shapes and points, and the functions of the crate `argmin_testfunctions`.
//!
//! A crate of its own, so that `cargo test` in the main crate does not build these dependencies.
//! `cargo test --manifest-path tests/properties/Cargo.toml`

#![cfg(test)]

mod argmin_functions;
mod broadcasting;
mod cases;
#[allow(dead_code)]
#[path = "../all/support/close.rs"]
mod close;
#[allow(dead_code)]
#[path = "../all/support/differences.rs"]
mod differences;
#[allow(dead_code)]
#[path = "../all/support/functions.rs"]
mod functions;
#[allow(dead_code)]
#[path = "../all/support/linearity.rs"]
mod linearity;
mod products;
mod programs;
