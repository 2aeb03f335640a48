//! Tables, batches and scaling.

mod batches;
#[cfg(feature = "io")]
mod csv;
mod scale;
