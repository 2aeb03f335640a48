//! Variables, functions of several of them, and their gradients.

mod bad_input;
mod checkpoint;
mod operators;
mod seeds;
mod static_var;
mod sums;
mod weights;
