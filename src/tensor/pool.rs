//! Pooling: the largest element or the mean of each window.

use ndarray::{Dimension, Ix3, Ix4};

use super::handle::Tensor;
use super::window_args::{Extent, Lengths, by};
use crate::arena::Arena;
use crate::kernels;
use crate::kernels::{Grid, Places, Spacing};
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

    /// The windows on an input of shape (samples, channels, lengths of the `N` directions).
    #[track_caller]
    fn on(self, operation: &str, shape: &[usize]) -> [Places; N] {
        let extent = Extent { stride: self.stride, padding: self.padding, dilation: [1; N] };
        let out = extent.counts(operation, shape, &self.size);
        std::array::from_fn(|axis| {
            let (size, stride, padding) = (self.size[axis], self.stride[axis], self.padding[axis]);
            Places { image: shape[2 + axis], out: out[axis], spacing: Spacing::Strided { size, stride, padding } }
        })
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
        largest(self, pool.into().on("max_pool1d", self.shape()), "max_pool1d")
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
        average(self, pool.into(), "avg_pool1d")
    }

    /// The largest element of each of `len` windows that cover signals of any length: the result has shape (samples,
    /// channels, `len`). The windows are those of [`adaptive_avg_pool1d`](Self::adaptive_avg_pool1d), partials those of
    /// [`max_pool1d`](Self::max_pool1d).
    ///
    /// # Panics
    ///
    /// If the signals have length 0 and `len` is not 0.
    #[track_caller]
    pub fn adaptive_max_pool1d(self, len: impl Lengths<1>) -> Self {
        const NAME: &str = "adaptive_max_pool1d";
        largest(self, adaptive(NAME, self.shape(), len.lengths(Seal)), NAME)
    }

    /// The mean of each of `len` windows that cover signals of any length: the result has shape (samples, channels,
    /// `len`). Window i takes the elements from ⌊i n / len⌋ to before ⌈(i + 1) n / len⌉ of n, so windows overlap unless
    /// `len` divides n.
    ///
    /// ```
    /// use wengert::ndarray::array;
    ///
    /// let tape = wengert::Tape::new();
    /// let signal = array![[[1.0, 3.0, 5.0]]];
    /// let x = tape.tensor(&signal);
    /// assert_eq!(x.adaptive_avg_pool1d(2).value(), array![[[2.0, 4.0]]]);
    /// assert_eq!(x.adaptive_avg_pool1d(1).value(), array![[[3.0]]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the signals have length 0 and `len` is not 0.
    #[track_caller]
    pub fn adaptive_avg_pool1d(self, len: impl Lengths<1>) -> Self {
        const NAME: &str = "adaptive_avg_pool1d";
        mean(self, adaptive(NAME, self.shape(), len.lengths(Seal)), None, NAME)
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
        largest(self, pool.into().on("max_pool2d", self.shape()), "max_pool2d")
    }

    /// The mean of each window of images; see [`avg_pool1d`](Tensor::avg_pool1d).
    ///
    /// # Panics
    ///
    /// If the window is larger than the padded image.
    #[track_caller]
    pub fn avg_pool2d(self, pool: impl Into<Pool<2>>) -> Self {
        average(self, pool.into(), "avg_pool2d")
    }

    /// The largest element of each window of images of any size: the result has shape (samples, channels, rows, columns)
    /// for `size` = [rows, columns]. See [`adaptive_max_pool1d`](Tensor::adaptive_max_pool1d).
    ///
    /// # Panics
    ///
    /// If the height or the width is 0 and `size` has no 0.
    #[track_caller]
    pub fn adaptive_max_pool2d(self, size: impl Lengths<2>) -> Self {
        const NAME: &str = "adaptive_max_pool2d";
        largest(self, adaptive(NAME, self.shape(), size.lengths(Seal)), NAME)
    }

    /// The mean of each window of images of any size: the result has shape (samples, channels, rows, columns) for `size` =
    /// [rows, columns], so that a linear layer can follow. With the size 1 it is the mean of each channel. See
    /// [`adaptive_avg_pool1d`](Tensor::adaptive_avg_pool1d).
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// assert_eq!(tape.ones((2, 8, 13, 17)).adaptive_avg_pool2d([3, 4]).shape(), [2, 8, 3, 4]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the height or the width is 0 and `size` has no 0.
    #[track_caller]
    pub fn adaptive_avg_pool2d(self, size: impl Lengths<2>) -> Self {
        const NAME: &str = "adaptive_avg_pool2d";
        mean(self, adaptive(NAME, self.shape(), size.lengths(Seal)), None, NAME)
    }
}

#[track_caller]
fn average<'t, F: Scalar, D: Dimension, const N: usize>(
    x: Tensor<'t, F, D>,
    pool: Pool<N>,
    operation: &'static str,
) -> Tensor<'t, F, D> {
    let places = pool.on(operation, x.shape());
    // In floats, because the size of a window with wide padding may be no `usize`.
    let elements = (!pool.real_only).then(|| pool.size.iter().map(|len| *len as f64).product());
    mean(x, places, elements, operation)
}

/// As many windows of an input of shape (samples, channels, lengths of the `N` directions) as the result is long. They cover
/// the input: window i of m takes the elements from ⌊i n / m⌋ to before ⌈(i + 1) n / m⌉ of n.
#[track_caller]
fn adaptive<const N: usize>(operation: &str, shape: &[usize], out: [usize; N]) -> [Places; N] {
    let image = &shape[2..];
    assert!(
        !image.contains(&0) || out.contains(&0),
        "{operation}: the input of shape {shape:?} has no elements for {} windows",
        by(&out)
    );
    std::array::from_fn(|axis| Places { image: image[axis], out: out[axis], spacing: Spacing::Even })
}

/// Windows along one or two axes as those of an image; a signal is an image of one row.
fn grid<const N: usize>(places: [Places; N]) -> Grid {
    let row = Places { image: 1, out: 1, spacing: Spacing::Even };
    match places[..] {
        [rows, columns] => Grid { rows, columns },
        [columns] => Grid { rows: row, columns },
        _ => unreachable!("a window moves in one or two directions"),
    }
}

/// The shape of the result.
fn pooled<D: Dimension, const N: usize>(mut shape: D, places: [Places; N]) -> D {
    for (len, places) in shape.slice_mut()[2..].iter_mut().zip(places) {
        *len = places.out;
    }
    shape
}

#[track_caller]
fn largest<'t, F: Scalar, D: Dimension, const N: usize>(
    x: Tensor<'t, F, D>,
    places: [Places; N],
    operation: &'static str,
) -> Tensor<'t, F, D> {
    let (grid, shape) = (grid(places), pooled(x.dim(), places));
    let (tape, node) = (x.tape, x.node);
    let x = node.to_slice(tape, operation);
    let y = tape.arena().values(operation, shape.slice(), F::zero());
    kernels::pool_greatest(grid, x, line(tape.arena(), grid), y);
    let y = &*y;
    let kind = OperationKind::unary(operation, node.source());
    Tensor::result(tape, kind, shape, y, node.is_constant(), move |cotangents| {
        node.accumulate_with(cotangents, |dy, dx| kernels::pull_greatest(grid, [x, y, dy], dx));
    })
}

/// The mean of each window: of the input's elements in it, or of `elements` if given, beyond the input zeros.
#[track_caller]
fn mean<'t, F: Scalar, D: Dimension, const N: usize>(
    x: Tensor<'t, F, D>,
    places: [Places; N],
    elements: Option<f64>,
    operation: &'static str,
) -> Tensor<'t, F, D> {
    let (grid, shape) = (grid(places), pooled(x.dim(), places));
    let (tape, node) = (x.tape, x.node);
    let y = tape.arena().values(operation, shape.slice(), F::zero());
    kernels::pool_total(grid, node.to_slice(tape, operation), line(tape.arena(), grid), y);

    // The reciprocal number of elements in each mean, the same for every image.
    let weights = &*tape.arena().alloc_slice_fill_with(grid.count(), |window| {
        let inside = |places: Places, i| places.pixels(i).len();
        let real = || inside(grid.rows, window / grid.columns.out) * inside(grid.columns, window % grid.columns.out);
        F::lit(elements.unwrap_or_else(|| real() as f64)).recip()
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
            kernels::pull_total(grid, dy, line(arena, grid), dx);
        });
    })
}

/// Memory for a row of pixels.
fn line<F: Scalar>(arena: &Arena, grid: Grid) -> &mut [F] {
    arena.alloc_slice_fill_copy(grid.columns.image, F::zero())
}
