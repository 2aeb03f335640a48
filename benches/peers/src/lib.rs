//! The seven scalar functions on which `wengert` is compared with other reverse-mode crates.
//!
//! `cargo run --release --ignore-rust-version --bin scalars [function ...]`

pub mod rows;
#[path = "../../scalars/suite.rs"]
pub mod suite;
