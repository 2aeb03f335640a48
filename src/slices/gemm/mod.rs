//! Matrix products over strided slices: `c = a·b` and `c += a·b`; dot products.
//!
//! | file | content |
//! |---|---|
//! | `mat` | [`Mat`], [`MatMut`] and [`Store`]: matrices inside slices |
//! | `product` | [`matmul`], and the choice of one of the ways below by size and strides |
//! | `loops` | plain loops: right for every number type, fastest for a few dozen multiplications |
//! | `tiles` | register tiles for the sizes of small nets |
//! | `narrow` | results of fewer columns than a vector has lanes: tiles of the transpose, or sums along rows |
//! | `planes` | products of numbers with tangents, by products of their parts |
//! | `large` | the kernels of the `gemm` crate, which block for the caches |
//! | `shifted` | [`Shifted`]: products whose right matrix is read where it stands, with overlapping rows |
//! | `simd` | `f32` and `f64` in vector registers, and the dot product |
//!
//! `tiles`, `narrow` and `shifted` are compiled for AVX-512, AVX2, NEON and the baseline; the choice is made at run time.
//!
//! All ways follow plain arithmetic: no factor is skipped for being zero, so `0·NaN` and `0·∞` give
//! NaN. The ways differ only in the order of summation.

mod large;
mod loops;
mod mat;
mod narrow;
pub(crate) mod planes;
mod product;
mod shifted;
mod tiles;

pub(crate) use mat::{Mat, MatMut, Store};
pub(crate) use product::matmul;
pub(crate) use shifted::{Loop, SLACK, Shifted};
// A supertrait of the public `Scalar`.
#[allow(unreachable_pub)]
pub use product::GemmScalar;

#[cfg(test)]
mod tests;
