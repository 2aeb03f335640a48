//! Comparison of `wengert` with other libraries: with reverse-mode crates on seven scalar functions, with frameworks
//! and hand-written code on the training steps of eight nets.
//!
//! `cargo run --release --ignore-rust-version --bin scalars [function ...]`
//! `cargo run --release --ignore-rust-version --features candle,burn,dfdx --bin nets [net ...]`
//!
//! The binary `layers` serves `layers.py`, which compares the training steps of two examples with frameworks.

pub mod layers;
pub mod nets;
pub mod process;
pub mod report;
pub mod rows;
#[path = "../../scalars/suite.rs"]
pub mod suite;
