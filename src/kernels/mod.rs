//! The loops that decide the crate's speed, and the run-time choice of instructions for them.

mod conv;
mod elementwise;
#[cfg(feature = "linalg")]
mod factor;
pub(crate) mod gemm;
mod lane;
mod math;
mod records;
mod reduce;
mod strided;
#[cfg(feature = "linalg")]
mod triangular;
mod window;

// Supertraits of the public `Scalar`, which they seal: nobody else can name them.
#[allow(unreachable_pub)]
pub use {gemm::GemmScalar, lane::Lanes};

#[cfg(feature = "linalg")]
#[allow(unreachable_pub)]
pub use factor::Factor;
/// Stands for the trait of that name where matrices are not factored.
#[cfg(not(feature = "linalg"))]
#[allow(unreachable_pub)]
pub trait Factor {}
#[cfg(not(feature = "linalg"))]
impl<F> Factor for F {}

pub(crate) use conv::Convolution;
pub(crate) use elementwise::{Operand, Zipped, map, map_in_place, map_pullback, zip, zip_pullback};
pub(crate) use lane::{Kernel, Wrap};
pub(crate) use records::sweep_records;
pub(crate) use reduce::{Divide, Fibers, Fold, Sum, Update, exponentials, fold, folds, gap, update, updates};
pub(crate) use strided::{Layout, for_each_run, gather, place, scatter_add};
pub(crate) use window::{Greatest, Total, Windows, pool, pull_greatest, pull_total};
#[cfg(feature = "linalg")]
pub(crate) use {
    factor::{Defect, cofactors, parity},
    triangular::{Triangle, transpose},
};
