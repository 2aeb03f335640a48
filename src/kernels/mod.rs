//! The loops that decide the crate's speed, written once for every number on a tape.
//!
//! Elementwise, fibre and window loops are kernels in the sense of `number::real`: they are compiled for several
//! instruction sets, and the choice is made at run time. Convolutions and substitutions are mostly matrix products.
//!
//! | file | content |
//! |---|---|
//! | `layer` | products of small matrices and their pullbacks |
//! | `pieces` | sums, rows, slopes that are kept |
//! | `elementwise` | maps of one operand, zips of two broadcast operands, and their pullbacks |
//! | `jet` | maps of values with their first and second derivatives along a line, and their pullbacks |
//! | `reduce` | folds of fibres (one number from each), updates (elements by numbers of their fibre), exponentials, careful means |
//! | `channels` | normalisation of channels, and the pullback |
//! | `places` | copies and sums between layouts |
//! | `window` | windows that slide over an image: im2col and its adjoint |
//! | `pool` | the greatest pixel and the sum of each window, and the pullbacks |
//! | `interpolate` | interpolation between neighbours along an axis |
//! | `conv` | convolutions and their pullbacks |
//! | `direct`, `strip` | the same for floats, without a matrix of patches; the layouts of the pixels |
//! | `triangular` | substitution with triangular matrices (feature `linalg`) |
//! | `cofactors` | determinants with cofactors (feature `linalg`) |
//! | `householder` | the QR factorisation (feature `linalg`) |
//! | `dual_factors` | the other factorisations, of dual matrices (feature `linalg`) |
//!
//! The functions take slices, shapes and strides, and know nothing of tapes or tensors. The room imports `number` and
//! `slices`.

mod channels;
#[cfg(feature = "linalg")]
mod cofactors;
mod conv;
mod direct;
#[cfg(feature = "linalg")]
mod dual_factors;
mod elementwise;
#[cfg(feature = "linalg")]
mod householder;
mod interpolate;
mod jet;
mod layer;
mod pieces;
mod places;
mod pool;
mod reduce;
mod strip;
#[cfg(feature = "linalg")]
mod triangular;
mod window;

pub(crate) use channels::{Channels, channel_moments, channel_sums, normalize_channels, pull_channels};
pub(crate) use conv::{Convolution, convolve, pull_image, pull_kernel};
pub(crate) use elementwise::{BinaryLoops, Strided, UnaryLoops, Zipped, map_in_place, take_sums};
pub(crate) use interpolate::{Between, interpolate, pull_interpolate};
pub(crate) use jet::{Jet, jet, jet_pullback, jet_pullback_first, jet_pullback_second};
pub(crate) use layer::{SMALL, SmallProduct, pull_small_product, small_product};
pub(crate) use pieces::{add_rows, add_to, add_to_rows, pull_by, tanh_and_slope_in_place};
pub(crate) use places::{add, copy, gather, scatter_add};
pub(crate) use pool::{Grid, Places, Spacing, pool_greatest, pool_total, pull_greatest, pull_total};
pub(crate) use reduce::{
    Divide, FiberUpdate, Fibers, Fold, Moments, Sum, are_precise, dispatch_fold, dispatch_update, exponentials, fold,
    folds, moments, precompiled_loop, update, updates,
};
pub(crate) use window::Windows;
#[cfg(feature = "linalg")]
pub(crate) use {
    cofactors::{cofactors, parity},
    dual_factors::{multiply, over_gap, precision, resolution},
    householder::householder,
    triangular::{Triangle, transpose},
};
