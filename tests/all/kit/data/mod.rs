//! Tables, batches and scaling.

mod batches;
mod csv;
mod scale;
