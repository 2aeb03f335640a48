//! The loops over elements, fibres and windows that decide the crate's speed, written once for every
//! number and compiled for the instructions that run-time dispatch chooses.

#[cfg(feature = "linalg")]
mod cofactors;
mod conv;
mod elementwise;
mod reduce;
#[cfg(feature = "linalg")]
mod triangular;
mod window;

pub(crate) use conv::Convolution;
pub(crate) use elementwise::{Strided, Zipped, map, map_in_place, map_pullback, zip, zip_pullback};
pub(crate) use reduce::{Divide, FiberUpdate, Fibers, Fold, Sum, exponentials, fold, folds, update, updates};
pub(crate) use window::{Greatest, Total, Windows, pool, pull_greatest, pull_total};
#[cfg(feature = "linalg")]
pub(crate) use {
    cofactors::{cofactors, parity},
    triangular::{Triangle, transpose},
};
