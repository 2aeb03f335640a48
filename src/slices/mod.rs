//! Loops over plain slices and strides. They know nothing of derivatives.
//!
//! | file | content |
//! |---|---|
//! | `cascade` | long sums by blocks |
//! | `gemm` | matrix products and dot products |
//! | `rows` | loops over the rows of a program's tile |
//! | `simd` | `f32` and `f64` in vector registers |
//! | `strided` | walks over several strided operands of one shape; copies to and from strided operands |
//! | `team` | a second thread for half of the work (feature `parallel`) |
//! | `view` | views of slices |
//! | `factor` | factorisations of floats, by nalgebra (feature `linalg`) |
//! | `jacobi` | singular values of floats (feature `linalg`) |
//!
//! The room imports nothing of the crate.

pub(crate) mod cascade;
pub(crate) mod factor;
pub(crate) mod gemm;
#[cfg(feature = "linalg")]
mod jacobi;
pub(crate) mod rows;
pub(crate) mod simd;
pub(crate) mod strided;
#[cfg(feature = "parallel")]
pub(crate) mod team;
mod view;

// These supertraits seal the public `Scalar`, because other crates cannot name them.
#[allow(unreachable_pub)]
pub use {factor::Factor, gemm::GemmScalar, simd::SimdFloat};

pub(crate) use cascade::{BLOCK, Cascade, LongSum};
#[cfg(feature = "linalg")]
pub(crate) use factor::{Defect, Svd};
pub(crate) use strided::{Layout, Walk, for_each_run, gather, place, scatter_add};
pub(crate) use view::row_major;
