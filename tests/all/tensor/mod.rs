//! Tensors.

mod operations;
mod products;
