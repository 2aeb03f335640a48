//! Convolutions.

use ndarray::{Dimension, Ix3, Ix4};

use super::handle::Tensor;
use super::window_args::{Extent, Lengths, by};
use crate::kernels;
use crate::kernels::Convolution;
use crate::number::Scalar;
use crate::sealed::Seal;
use crate::slices::gemm::Store;
use crate::tape::OperationKind;

/// The options of a convolution in `N` directions. The defaults are stride 1, no padding, no dilation and one group.
///
/// Each length is a number for all directions or an array with one for each.
///
/// ```
/// use wengert::Conv;
///
/// let same = Conv::<2>::new().padding(1);
/// let wide = Conv::new().stride([1, 2]).dilation(3);
/// assert_ne!(same, wide);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv<const N: usize> {
    stride: [usize; N],
    padding: [usize; N],
    dilation: [usize; N],
    groups: usize,
    output_padding: [usize; N],
}

impl<const N: usize> Default for Conv<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Conv<N> {
    /// The default options: the kernel takes every position that lies inside the input.
    pub fn new() -> Self {
        Self { stride: [1; N], padding: [0; N], dilation: [1; N], groups: 1, output_padding: [0; N] }
    }

    /// Sets the step from one position of the kernel to the next, in elements of the input.
    ///
    /// # Panics
    ///
    /// If the stride is 0.
    #[track_caller]
    pub fn stride(self, stride: impl Lengths<N>) -> Self {
        Self { stride: stride.at_least_one("Conv::stride"), ..self }
    }

    /// Sets the number of zeros that are added at either end of the input. A transposed convolution instead removes so many
    /// elements from either end of its result.
    pub fn padding(self, padding: impl Lengths<N>) -> Self {
        Self { padding: padding.lengths(Seal), ..self }
    }

    /// Sets the step between neighbouring elements of the kernel, in elements of the input.
    ///
    /// # Panics
    ///
    /// If the dilation is 0.
    #[track_caller]
    pub fn dilation(self, dilation: impl Lengths<N>) -> Self {
        Self { dilation: dilation.at_least_one("Conv::dilation"), ..self }
    }

    /// Sets the number of groups. Input and output channels are split, in order, into groups, and outputs depend only
    /// on inputs of the same group. A depthwise convolution has as many groups as input channels.
    ///
    /// # Panics
    ///
    /// If the number of groups is 0.
    #[track_caller]
    pub fn groups(self, groups: usize) -> Self {
        let [groups] = Lengths::<1>::at_least_one(groups, "Conv::groups");
        Self { groups, ..self }
    }

    /// Lengthens the result of a transposed convolution at its end, see
    /// [`conv_transpose1d`](Tensor::conv_transpose1d). A convolution with stride s gives results of the same length for inputs
    /// of s different lengths; the output padding selects which of these lengths the transposed convolution gives.
    pub fn output_padding(self, output_padding: impl Lengths<N>) -> Self {
        Self { output_padding: output_padding.lengths(Seal), ..self }
    }

    pub(crate) fn group_count(self) -> usize {
        self.groups
    }

    fn extent(self) -> Extent<N> {
        Extent { stride: self.stride, padding: self.padding, dilation: self.dilation }
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix3> {
    /// The convolution of signals of shape (samples, channels, length) with kernels of shape
    /// (outputs, channels / groups, size). It is the convolution of neural nets, a cross-correlation:
    ///
    /// y`[n, o, i]` = Σ w`[o, c, k]` x`[n, c, s i + d k - p]` over c and k, with stride s, padding p
    /// and dilation d, where x is 0 beyond its ends. The result has shape (samples, outputs, m),
    ///
    /// m = ⌊(length + 2p - d(size - 1) - 1) / s⌋ + 1
    ///
    /// (Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning",
    /// arXiv:1603.07285, section 5.1). Pullbacks: the transposed convolution of the cotangent for x,
    /// the correlation of x with the cotangent for w.
    ///
    /// ```
    /// use wengert::ndarray::array;
    /// use wengert::{Conv, Tape};
    ///
    /// let tape = Tape::new();
    /// let (signal, kernel) = (array![[[1.0, 2.0, 4.0, 8.0]]], array![[[-1.0, 1.0]]]);
    /// let (x, w) = (tape.tensor(&signal), tape.tensor(&kernel));
    /// assert_eq!(x.conv1d(w, Conv::new()).value(), array![[[1.0, 2.0, 4.0]]]);
    /// let y = x.conv1d(w, Conv::new().padding(1).stride(2));
    /// assert_eq!(y.value(), array![[[1.0, 2.0, -8.0]]]);
    /// assert_eq!(y.sum().backward().wrt(w), array![[[10.0, 5.0]]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the channels do not fit the kernel and the groups, the kernel is longer than the padded
    /// signal, or the tapes differ.
    #[track_caller]
    pub fn conv1d(self, kernel: Self, conv: Conv<1>) -> Self {
        convolve(self, kernel, conv, "conv1d")
    }

    /// The transposed convolution of signals of shape (samples, channels, length) with kernels of shape
    /// (channels, outputs / groups, size): the map from the cotangents of [`conv1d`](Self::conv1d) to those of its input, for
    /// a convolution with the same kernel and options. It lengthens where that one shortens:
    ///
    /// y`[n, o, s i + d k - p]` = Σ w`[c, o, k]` x`[n, c, i]` over c and all i and k that lead there, with stride s,
    /// padding p and dilation d. The result has shape (samples, outputs, m),
    ///
    /// m = s(length - 1) + d(size - 1) + 1 - 2p + output padding
    ///
    /// (Dumoulin and Visin 2016, arXiv:1603.07285, section 4). Pullbacks: the convolution of the cotangent for x, the
    /// correlation of the cotangent with x for w.
    ///
    /// ```
    /// use wengert::ndarray::array;
    /// use wengert::{Conv, Tape};
    ///
    /// let tape = Tape::new();
    /// let (signal, kernel) = (array![[[1.0, 2.0, 3.0]]], array![[[1.0, 10.0]]]);
    /// let (x, w) = (tape.tensor(&signal), tape.tensor(&kernel));
    /// assert_eq!(x.conv_transpose1d(w, Conv::new()).value(), array![[[1.0, 12.0, 23.0, 30.0]]]);
    /// let y = x.conv_transpose1d(w, Conv::new().stride(2));
    /// assert_eq!(y.value(), array![[[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]]]);
    /// assert_eq!(y.sum().backward().wrt(w), array![[[6.0, 6.0]]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the channels do not fit the kernel and the groups, the output padding is not less than the stride or the
    /// dilation, nothing is left of the result between the paddings, or the tapes differ.
    #[track_caller]
    pub fn conv_transpose1d(self, kernel: Self, conv: Conv<1>) -> Self {
        convolve_transposed(self, kernel, conv, "conv_transpose1d")
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix4> {
    /// The convolution of images of shape (samples, channels, height, width) with kernels of shape
    /// (outputs, channels / groups, rows, columns); the result has shape
    /// (samples, outputs, m₁, m₂). See [`conv1d`](Tensor::conv1d), whose formulas hold in each
    /// direction.
    ///
    /// The convolution is a product of matrices whose columns are the pixels under a window. Floats are read from rows that
    /// serve all taps one below the other; of other numbers, of images with few windows, and with a stride in the pullback
    /// to the image, the columns are made in blocks (im2col). The backward sweep makes all of this again, so the tape keeps
    /// none of it.
    ///
    /// ```
    /// use wengert::ndarray::{Array4, array};
    /// use wengert::{Conv, Tape};
    ///
    /// let tape = Tape::<f64>::new();
    /// let (images, kernel) = (Array4::<f64>::ones((8, 3, 28, 28)), Array4::<f64>::ones((16, 3, 3, 3)));
    /// let (x, w) = (tape.tensor(&images), tape.tensor(&kernel));
    /// assert_eq!(x.conv2d(w, Conv::new().padding(1)).shape(), [8, 16, 28, 28]);
    /// assert_eq!(x.conv2d(w, Conv::new().stride(2)).shape(), [8, 16, 13, 13]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the channels do not fit the kernel and the groups, the kernel is larger than the padded
    /// image, or the tapes differ.
    #[track_caller]
    pub fn conv2d(self, kernel: Self, conv: Conv<2>) -> Self {
        convolve(self, kernel, conv, "conv2d")
    }

    /// The transposed convolution of images of shape (samples, channels, height, width) with kernels of shape
    /// (channels, outputs / groups, rows, columns); the result has shape (samples, outputs, m₁, m₂). See
    /// [`conv_transpose1d`](Tensor::conv_transpose1d), whose formulas hold in each direction.
    ///
    /// ```
    /// use wengert::{Conv, Tape};
    ///
    /// let tape = Tape::<f64>::new();
    /// let (images, kernel) = (tape.ones((8, 16, 14, 14)), tape.ones((16, 3, 3, 3)));
    /// let double = Conv::new().stride(2).padding(1).output_padding(1);
    /// assert_eq!(images.conv_transpose2d(kernel, double).shape(), [8, 3, 28, 28]);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`conv_transpose1d`](Tensor::conv_transpose1d).
    #[track_caller]
    pub fn conv_transpose2d(self, kernel: Self, conv: Conv<2>) -> Self {
        convolve_transposed(self, kernel, conv, "conv_transpose2d")
    }
}

/// The convolution of x with the kernel w, which moves along the last `N` axes.
#[track_caller]
fn convolve<'t, F: Scalar, D: Dimension, const N: usize>(
    x: Tensor<'t, F, D>,
    w: Tensor<'t, F, D>,
    conv: Conv<N>,
    operation: &'static str,
) -> Tensor<'t, F, D> {
    x.assert_same_tape(w);
    let (image, kernel, groups) = (x.shape(), w.shape(), conv.groups);
    assert!(
        image[1] == kernel[1] * groups && kernel[0] % groups == 0,
        "{operation}: input of shape {image:?} and kernel of shape {kernel:?} do not fit: with {groups} groups \
         (see `Conv::groups`) the kernel must have {} channels, axis 1, and a multiple of {groups} outputs, axis 0",
        image[1] / groups
    );
    assert!(
        conv.output_padding == [0; N],
        "{operation}: an output padding of {} is given, which only a transposed convolution has; see `Conv::padding`",
        by(&conv.output_padding)
    );
    let out = conv.extent().counts(operation, image, &kernel[2..]);
    let windows = conv.extent().windows(&image[2..], &kernel[2..], &out);
    let convolution =
        Convolution { windows, samples: image[0], groups, inputs: kernel[1], outputs: kernel[0] / groups };
    let mut shape = x.dim();
    shape[1] = kernel[0];
    shape.slice_mut()[2..].copy_from_slice(&out);

    let (tape, a, b) = (x.tape, x.node, w.node);
    let (x, w) = (a.to_slice(tape, operation), b.to_slice(tape, operation));
    let y = tape.arena().values(operation, shape.slice(), F::zero());
    kernels::convolve(convolution, tape.arena(), x, w, y, Store::Set);
    let kind = OperationKind::binary(operation, a.source(), b.source());
    Tensor::result(tape, kind, shape, y, a.is_constant() && b.is_constant(), move |cotangents| {
        let arena = cotangents.arena;
        b.accumulate_with(cotangents, |dy, dw| kernels::pull_kernel(convolution, arena, x, dy, dw));
        a.write_with(cotangents, |dy, dx, update| kernels::pull_image(convolution, arena, w, dy, dx, update));
    })
}

/// The transposed convolution of x with the kernel w: the pullback of [`convolve`] to its images, as an operation.
#[track_caller]
fn convolve_transposed<'t, F: Scalar, D: Dimension, const N: usize>(
    x: Tensor<'t, F, D>,
    w: Tensor<'t, F, D>,
    conv: Conv<N>,
    operation: &'static str,
) -> Tensor<'t, F, D> {
    x.assert_same_tape(w);
    let (image, kernel, groups) = (x.shape(), w.shape(), conv.groups);
    assert!(
        image[1] == kernel[0] && kernel[0] % groups == 0,
        "{operation}: input of shape {image:?} and kernel of shape {kernel:?} do not fit: the channels of the input, axis 1, \
         are those of the kernel, axis 0, and split into {groups} groups (see `Conv::groups`)"
    );
    let mut shape = x.dim();
    shape[1] = kernel[1] * groups;
    for axis in 0..N {
        let (stride, dilation, extra) = (conv.stride[axis], conv.dilation[axis], conv.output_padding[axis]);
        assert!(
            extra < stride.max(dilation),
            "{operation}: the output padding {} is not less than the stride {} or the dilation {}",
            by(&conv.output_padding),
            by(&conv.stride),
            by(&conv.dilation)
        );
        let last = |len: usize, step: usize| len.checked_sub(1)?.checked_mul(step);
        let len = last(image[2 + axis], stride).and_then(|from| {
            let whole = from.checked_add(last(kernel[2 + axis], dilation)?)?.checked_add(1 + extra)?;
            whole.checked_sub(conv.padding[axis].checked_mul(2)?).filter(|len| *len > 0)
        });
        let Some(len) = len else {
            panic!(
                "{operation}: nothing is left of the result for an input of shape {image:?} and a kernel of shape {kernel:?} \
                 without the padding {} at either end",
                by(&conv.padding)
            );
        };
        shape[2 + axis] = len;
    }
    // The convolution that goes the other way, from the result to the input.
    let windows = conv.extent().windows(&shape.slice()[2..], &kernel[2..], &image[2..]);
    let convolution =
        Convolution { windows, samples: image[0], groups, inputs: kernel[1], outputs: kernel[0] / groups };

    let (tape, a, b) = (x.tape, x.node, w.node);
    let (x, w) = (a.to_slice(tape, operation), b.to_slice(tape, operation));
    let y = tape.arena().values(operation, shape.slice(), F::zero());
    kernels::pull_image(convolution, tape.arena(), w, x, y, Store::Set);
    let kind = OperationKind::binary(operation, a.source(), b.source());
    Tensor::result(tape, kind, shape, y, a.is_constant() && b.is_constant(), move |cotangents| {
        let arena = cotangents.arena;
        b.accumulate_with(cotangents, |dy, dw| kernels::pull_kernel(convolution, arena, dy, x, dw));
        a.write_with(cotangents, |dy, dx, update| kernels::convolve(convolution, arena, dy, w, dx, update));
    })
}
