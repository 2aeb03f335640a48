//! The loops that decide the crate's speed, and the run-time choice of instructions for them.

mod elementwise;
pub(crate) mod gemm;
mod lane;
mod math;
mod records;
mod reduce;
mod strided;

pub use gemm::GemmScalar;
pub use lane::Lanes;

pub(crate) use elementwise::{Operand, Side, Zipped, add_assign, map, map_pullback, sum, zip, zip_pullback};
pub(crate) use lane::{Kernel, Wrap};
pub(crate) use records::sweep_records;
pub(crate) use reduce::{Divide, Fibers, Fold, Sum, Update, exponentials, fold, folds, gap, update, updates};
pub(crate) use strided::{Layout, for_each_run, gather, place, scatter_add};
