//! Loops over plain slices and strides: matrix products, strided walks, factorisations. Nothing here
//! knows of numbers with derivatives; the folder imports nothing of the crate.

pub(crate) mod factor;
pub(crate) mod gemm;
pub(crate) mod strided;

// Supertraits of the public `Scalar`, which they seal: nobody else can name them.
#[allow(unreachable_pub)]
pub use {factor::Factor, gemm::GemmScalar};

#[cfg(feature = "linalg")]
pub(crate) use factor::Defect;
pub(crate) use strided::{Layout, Walk, for_each_run, gather, place, scatter_add};
