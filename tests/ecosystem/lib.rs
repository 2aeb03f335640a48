//! Unmodified generic code of other crates on the numbers of wengert: gradients of static handles and of dual numbers
//! against differences of the same code on `f64`.
//!
//! A crate of its own, so that `cargo test` in the main crate does not build these dependencies.
//! `cargo test --manifest-path tests/ecosystem/Cargo.toml -- --nocapture` prints the errors; with `--release` also times
//! that mean something.

#![cfg(test)]

mod differential_equations;
mod geo;
mod harness;
mod nalgebra;
mod ndarray;
mod rustfft;

#[path = "../all/support"]
#[allow(dead_code)] // the main crate's tests use the rest
mod support {
    pub(crate) mod differences;
}
