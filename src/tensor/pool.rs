//! Pooling: the largest element or the mean of each window.

use ndarray::{Dimension, Ix3, Ix4};

use super::handle::Tensor;
use super::window_args::{Extent, Lengths, by};
use crate::kernels;
use crate::kernels::Windows;
use crate::number::Scalar;
use crate::sealed::Seal;
use crate::tape::OperationKind;

/// The windows of a pooling in `N` directions. By default windows are side by side and there is no padding.
///
/// A number, or an array with one for each direction, converts into the `Pool` of that size.
///
/// ```
/// use wengert::Pool;
///
/// assert_eq!(Pool::<2>::from(3), Pool::new([3, 3]).stride(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool<const N: usize> {
    size: [usize; N],
    stride: [usize; N],
    padding: [usize; N],
    real_only: bool,
}

impl<const N: usize> Pool<N> {
    /// Windows of this size, side by side: the stride is the size.
    ///
    /// # Panics
    ///
    /// If the size is 0.
    #[track_caller]
    pub fn new(size: impl Lengths<N>) -> Self {
        let size = size.at_least_one("Pool::new");
        Self { size, stride: size, padding: [0; N], real_only: false }
    }

    /// Sets the step from one window to the next, in elements of the input.
    ///
    /// # Panics
    ///
    /// If the stride is 0.
    #[track_caller]
    pub fn stride(self, stride: impl Lengths<N>) -> Self {
        Self { stride: stride.at_least_one("Pool::stride"), ..self }
    }

    /// Sets the number of elements by which windows reach beyond the input on either side, at most half of their size.
    /// A padded element is never the largest; in a mean it counts as 0, unless
    /// [`without_padding_in_mean`](Self::without_padding_in_mean) is set.
    ///
    /// # Panics
    ///
    /// If the padding is more than half of the size.
    #[track_caller]
    pub fn padding(self, padding: impl Lengths<N>) -> Self {
        let padding = padding.lengths(Seal);
        assert!(
            (0..N).all(|axis| padding[axis] <= self.size[axis] / 2),
            "Pool::padding: {} is more than half of the window's {}, so that a window would see nothing; \
             see `Tensor::pad`",
            by(&padding),
            by(&self.size)
        );
        Self { padding, ..self }
    }

    /// Takes means over the elements of the input in the window, without the padding (PyTorch's
    /// `count_include_pad=False`).
    pub fn without_padding_in_mean(self) -> Self {
        Self { real_only: true, ..self }
    }

    /// The windows on an input, and the shape of the result.
    #[track_caller]
    fn on<D: Dimension>(self, operation: &str, mut shape: D) -> (Windows, D) {
        let extent = Extent { stride: self.stride, padding: self.padding, dilation: [1; N] };
        let windows = extent.windows(operation, shape.slice(), &self.size);
        shape.slice_mut()[2..].copy_from_slice(&windows.out[2 - N..]);
        (windows, shape)
    }
}

impl<const N: usize> From<usize> for Pool<N> {
    #[track_caller]
    fn from(size: usize) -> Self {
        Self::new(size)
    }
}

impl<const N: usize> From<[usize; N]> for Pool<N> {
    #[track_caller]
    fn from(size: [usize; N]) -> Self {
        Self::new(size)
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix3> {
    /// The largest element of each window of signals of shape (samples, channels, length). A window
    /// with a NaN gives NaN, with partials NaN. With windows of size k, stride s and padding p the result has shape (samples, channels, m),
    ///
    /// m = ⌊(length + 2p - k) / s⌋ + 1
    ///
    /// (Dumoulin and Visin 2016, arXiv:1603.07285, section 3).
    ///
    /// Partials: 1/j for each of the j elements of a window that equal the result, else 0.
    ///
    /// ```
    /// use wengert::ndarray::array;
    ///
    /// let tape = wengert::Tape::new();
    /// let signal = array![[[1.0, 3.0, 2.0, 2.0, 5.0]]];
    /// let x = tape.tensor(&signal);
    /// let y = x.max_pool1d(2);
    /// assert_eq!(y.value(), array![[[3.0, 2.0]]]);
    /// assert_eq!(y.sum().backward().wrt(x), array![[[0.0, 1.0, 0.5, 0.5, 0.0]]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the window is longer than the padded signal.
    #[track_caller]
    pub fn max_pool1d(self, pool: impl Into<Pool<1>>) -> Self {
        largest(self, pool.into(), "max_pool1d")
    }

    /// The mean of each window, in which padding counts as 0 unless
    /// [`without_padding_in_mean`](Pool::without_padding_in_mean) is set. The shapes are those of
    /// [`max_pool1d`](Self::max_pool1d).
    ///
    /// Partials: 1/k, where k is the number of elements in the mean.
    ///
    /// # Panics
    ///
    /// If the window is longer than the padded signal.
    #[track_caller]
    pub fn avg_pool1d(self, pool: impl Into<Pool<1>>) -> Self {
        mean(self, pool.into(), "avg_pool1d")
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix4> {
    /// The largest element of each window of images of shape (samples, channels, height, width); see
    /// [`max_pool1d`](Tensor::max_pool1d), whose formulas hold in each direction.
    ///
    /// ```
    /// use wengert::ndarray::Array4;
    /// use wengert::{Pool, Tape};
    ///
    /// let tape = Tape::<f32>::new();
    /// let images = Array4::<f32>::zeros((8, 3, 28, 28));
    /// let x = tape.tensor(&images);
    /// assert_eq!(x.max_pool2d(2).shape(), [8, 3, 14, 14]);
    /// assert_eq!(x.max_pool2d(Pool::new(3).stride(2).padding(1)).shape(), [8, 3, 14, 14]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the window is larger than the padded image.
    #[track_caller]
    pub fn max_pool2d(self, pool: impl Into<Pool<2>>) -> Self {
        largest(self, pool.into(), "max_pool2d")
    }

    /// The mean of each window of images; see [`avg_pool1d`](Tensor::avg_pool1d).
    ///
    /// # Panics
    ///
    /// If the window is larger than the padded image.
    #[track_caller]
    pub fn avg_pool2d(self, pool: impl Into<Pool<2>>) -> Self {
        mean(self, pool.into(), "avg_pool2d")
    }
}

#[track_caller]
fn largest<'t, F: Scalar, D: Dimension, const N: usize>(
    x: Tensor<'t, F, D>,
    pool: Pool<N>,
    operation: &'static str,
) -> Tensor<'t, F, D> {
    let (windows, shape) = pool.on(operation, x.dim());
    let (tape, node) = (x.tape, x.node);
    let x = node.to_slice(tape, operation);
    let y = tape.arena().values(operation, shape.slice(), F::zero());
    kernels::pool_greatest(windows, x, y);
    let y = &*y;
    let kind = OperationKind::unary(operation, node.source());
    Tensor::result(tape, kind, shape, y, node.is_constant(), move |cotangents| {
        let share = cotangents.arena.alloc_slice_fill_copy(y.len(), F::zero());
        node.accumulate_with(cotangents, |dy, dx| kernels::pull_greatest(windows, [x, y, dy], dx, share));
    })
}

#[track_caller]
fn mean<'t, F: Scalar, D: Dimension, const N: usize>(
    x: Tensor<'t, F, D>,
    pool: Pool<N>,
    operation: &'static str,
) -> Tensor<'t, F, D> {
    let (windows, shape) = pool.on(operation, x.dim());
    let (tape, node) = (x.tape, x.node);
    let y = tape.arena().values(operation, shape.slice(), F::zero());
    kernels::pool_total(windows, node.to_slice(tape, operation), y);

    // The reciprocal number of elements in each mean, the same for every image.
    let weights = &*tape.arena().alloc_slice_fill_with(windows.count(), |window| {
        let elements = if pool.real_only { windows.pixels_in(window) } else { windows.taps() };
        F::lit(elements as f64).recip()
    });
    let weigh = move |values: &mut [F]| {
        for image in values.chunks_exact_mut(weights.len().max(1)) {
            for (value, &weight) in image.iter_mut().zip(weights) {
                *value *= weight;
            }
        }
    };
    weigh(y);
    let kind = OperationKind::unary(operation, node.source());
    Tensor::result(tape, kind, shape, y, node.is_constant(), move |cotangents| {
        let arena = cotangents.arena;
        node.accumulate_with(cotangents, |dy, dx| {
            let dy = arena.alloc_slice_copy(dy);
            weigh(dy);
            kernels::pull_total(windows, dy, dx);
        });
    })
}
