//! Loops over arrays, each way of a loop on small arrays of whole numbers: every sum of these is exact in any order, so that
//! the results are those of plain loops to the last bit.

mod fibers;
mod jets;
mod layers;
mod pairs;
mod pools;
mod windows;

/// Whole numbers from -5 to 5 without a pattern in which an error could cancel.
fn whole(i: usize) -> f64 {
    (i * i % 23 * 7 % 11) as f64 - 5.0
}
