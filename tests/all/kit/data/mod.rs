//! Tables, batches, splits and scaling.

mod batches;
mod scale;
mod splits;
#[cfg(feature = "io")]
mod table;
