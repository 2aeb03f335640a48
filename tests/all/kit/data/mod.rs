//! Tables, batches and scaling.

mod csv;
