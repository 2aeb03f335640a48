//! Signals and images of another size, by interpolation.

use ndarray::{Dimension, Ix3, Ix4};

use super::handle::Tensor;
use super::window_args::Lengths;
use crate::kernels;
use crate::kernels::Between;
use crate::number::Scalar;
use crate::sealed::Seal;
use crate::tape::OperationKind;

/// The elements from which [`upsample1d`](Tensor::upsample1d) and [`upsample2d`](Tensor::upsample2d) take a result.
///
/// Result i of m, along an axis of length n, stands at a place s from 0 to n - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The element ⌊i n / m⌋.
    Nearest,
    /// The straight line between the neighbours of s = (i + ½) n / m - ½, clamped to 0 and n - 1, where elements and results
    /// are intervals of two lengths that fill the same whole (PyTorch's `align_corners=False`).
    Linear,
    /// The straight line between the neighbours of s = i (n - 1) / (m - 1), where the first and the last of the results
    /// are those of the input (PyTorch's `align_corners=True`). A single result is the first element.
    AlignedCorners,
}

impl Interpolation {
    /// The neighbours of result `i` of `out` among `len` elements.
    fn place<F: Scalar>(self, i: usize, out: usize, len: usize) -> Between<F> {
        // The place as a fraction, so that it is exact.
        let (over, under) = match self {
            Self::Nearest => (i * len, out),
            Self::Linear => (((2 * i + 1) * len).saturating_sub(out), 2 * out),
            Self::AlignedCorners => (i * (len - 1), (out - 1).max(1)),
        };
        let (low, rest) = (over / under, over % under);
        if self == Self::Nearest || low + 1 >= len {
            return Between { low, high: low, weight: F::zero() };
        }
        Between { low, high: low + 1, weight: F::lit(rest as f64 / under as f64) }
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix3> {
    /// Signals of shape (samples, channels, length) with another length, by interpolation between neighbours.
    ///
    /// ```
    /// use wengert::Interpolation::{AlignedCorners, Linear, Nearest};
    /// use wengert::ndarray::array;
    ///
    /// let tape = wengert::Tape::new();
    /// let signal = array![[[0.0, 4.0]]];
    /// let x = tape.tensor(&signal);
    /// assert_eq!(x.upsample1d(4, Nearest).value(), array![[[0.0, 0.0, 4.0, 4.0]]]);
    /// assert_eq!(x.upsample1d(4, Linear).value(), array![[[0.0, 1.0, 3.0, 4.0]]]);
    /// assert_eq!(x.upsample1d(5, AlignedCorners).value(), array![[[0.0, 1.0, 2.0, 3.0, 4.0]]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the signals have length 0 and `len` is not 0.
    #[doc(alias("interpolate", "resize"))]
    #[track_caller]
    pub fn upsample1d(self, len: impl Lengths<1>, interpolation: Interpolation) -> Self {
        let [len] = len.lengths(Seal);
        along(self, 2, len, interpolation, "upsample1d")
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix4> {
    /// Images of shape (samples, channels, height, width) with another height and width, by interpolation between
    /// neighbours in each direction; see [`upsample1d`](Tensor::upsample1d). [`Interpolation::Linear`] is bilinear here.
    ///
    /// ```
    /// use wengert::{Interpolation, Tape};
    ///
    /// let tape = Tape::<f64>::new();
    /// let images = tape.ones((8, 3, 14, 14));
    /// assert_eq!(images.upsample2d([28, 21], Interpolation::Linear).shape(), [8, 3, 28, 21]);
    /// ```
    ///
    /// # Panics
    ///
    /// If an axis of length 0 would become longer.
    #[doc(alias("interpolate", "resize", "bilinear"))]
    #[track_caller]
    pub fn upsample2d(self, size: impl Lengths<2>, interpolation: Interpolation) -> Self {
        let [rows, columns] = size.lengths(Seal);
        let tall = along(self, 2, rows, interpolation, "upsample2d");
        along(tall, 3, columns, interpolation, "upsample2d")
    }
}

/// Interpolation along one axis.
#[track_caller]
fn along<'t, F: Scalar, D: Dimension>(
    x: Tensor<'t, F, D>,
    axis: usize,
    out: usize,
    interpolation: Interpolation,
    operation: &'static str,
) -> Tensor<'t, F, D> {
    let (tape, node, len) = (x.tape, x.node, x.shape()[axis]);
    if len == out {
        return x;
    }
    assert!(len > 0 || out == 0, "{operation}: axis {axis} of shape {:?} has no elements for {out} results", x.shape());
    let inner = x.shape()[axis + 1..].iter().product();
    let mut shape = x.dim();
    shape[axis] = out;
    // Before the places, because it says which shape does not fit into memory.
    let y = tape.arena().values(operation, shape.slice(), F::zero());
    let places = &*tape.arena().alloc_slice_fill_with(out, |i| interpolation.place::<F>(i, out, len));
    kernels::interpolate(places, len, inner, node.to_slice(tape, operation), y);
    let kind = OperationKind::unary(operation, node.source());
    Tensor::result(tape, kind, shape, y, node.is_constant(), move |cotangents| {
        node.accumulate_with(cotangents, |dy, dx| kernels::pull_interpolate(places, len, inner, dy, dx));
    })
}
