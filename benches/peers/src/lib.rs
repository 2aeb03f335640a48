//! What `wengert` is compared on with other libraries: seven scalar functions with reverse-mode
//! crates, the training steps of eight nets with frameworks and hand-written code.
//!
//! `cargo run --release --ignore-rust-version --bin scalars [function ...]`
//! `cargo run --release --ignore-rust-version --features candle,burn,dfdx --bin nets [net ...]`

pub mod nets;
pub mod report;
pub mod rows;
#[path = "../../scalars/suite.rs"]
pub mod suite;
