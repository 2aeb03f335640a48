//! Variables, functions of several of them, and their gradients.

mod bad_input;
mod checkpoint;
mod operators;
mod programs;
mod seeds;
mod sums;
mod weights;
