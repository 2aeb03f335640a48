//! Convolutions of whole numbers: values and gradients against plain loops, in one block and in several.

use ndarray::Array4;
use wengert::{Conv, Tape};

use super::whole;

fn numbers(shape: [usize; 4], seed: usize) -> Array4<f64> {
    let mut i = seed;
    Array4::from_shape_simple_fn(shape, || {
        i += 1;
        whole(i)
    })
}

/// Stride, padding, dilation, and the number of groups.
type Moves = ([usize; 2], [usize; 2], [usize; 2], usize);

/// Calls `f(image, kernel, result)` with the places of the factors of each product of a convolution.
fn products(
    (x, w, y): ([usize; 4], [usize; 4], [usize; 4]),
    (stride, padding, dilation, groups): Moves,
    mut f: impl FnMut([usize; 4], [usize; 4], [usize; 4]),
) {
    let inputs = w[1];
    let outputs = w[0] / groups;
    for (n, o, i, j) in ndarray::indices((y[0], y[1], y[2], y[3])) {
        for (c, k, l) in ndarray::indices((inputs, w[2], w[3])) {
            let row = (i * stride[0] + k * dilation[0]).checked_sub(padding[0]).filter(|row| *row < x[2]);
            let column = (j * stride[1] + l * dilation[1]).checked_sub(padding[1]).filter(|column| *column < x[3]);
            if let (Some(row), Some(column)) = (row, column) {
                f([n, o / outputs * inputs + c, row, column], [o, c, k, l], [n, o, i, j]);
            }
        }
    }
}

#[track_caller]
fn check(x: [usize; 4], w: [usize; 4], moves: Moves) {
    let (image, kernel) = (numbers(x, 0), numbers(w, 7));
    let tape = Tape::new();
    let (s, t) = (tape.tensor(&image), tape.tensor(&kernel));
    let (stride, padding, dilation, groups) = moves;
    let y = s.conv2d(t, Conv::new().stride(stride).padding(padding).dilation(dilation).groups(groups));
    let shape: [usize; 4] = y.shape().try_into().unwrap();
    let cotangent = numbers(shape, 3);
    let gradient = y.backward_with(&cotangent);
    let mut want = [Array4::<f64>::zeros(shape), Array4::zeros(x), Array4::zeros(w)];
    products((x, w, shape), moves, |image_at, kernel_at, at| {
        want[0][at] += image[image_at] * kernel[kernel_at];
        want[1][image_at] += cotangent[at] * kernel[kernel_at];
        want[2][kernel_at] += cotangent[at] * image[image_at];
    });
    assert!(y.value() == want[0], "{x:?} {w:?} {moves:?}: the values");
    assert!(gradient.wrt(s) == want[1], "{x:?} {w:?} {moves:?}: the gradient of the image");
    assert!(gradient.wrt(t) == want[2], "{x:?} {w:?} {moves:?}: the gradient of the kernel");
}

#[test]
fn convolutions() {
    let plain = ([1, 1], [0, 0], [1, 1], 1);
    check([2, 3, 5, 6], [2, 3, 2, 3], plain);
    check([2, 3, 5, 6], [2, 3, 1, 1], plain);
    check([2, 4, 5, 6], [6, 2, 1, 1], ([1, 1], [0, 0], [3, 2], 2));
    check([1, 2, 5, 6], [2, 2, 1, 1], ([2, 1], [0, 0], [1, 1], 1));
    check([1, 2, 5, 6], [2, 2, 1, 1], ([1, 1], [1, 0], [1, 1], 1));
    check([2, 2, 7, 30], [3, 2, 3, 3], ([1, 1], [1, 1], [1, 1], 1));
    check([2, 4, 6, 7], [2, 2, 3, 2], ([2, 3], [2, 1], [1, 2], 2));
    // Windows of which whole taps fall on the padding.
    check([1, 1, 2, 2], [1, 1, 3, 3], ([1, 1], [4, 4], [2, 2], 1));
}

/// The columns of these images fill more than one block, and the last block is smaller: it finds the numbers of the one
/// before in its memory.
#[test]
fn convolutions_in_several_blocks() {
    // Some of the rows of one sample.
    check([1, 48, 9, 60], [1, 48, 3, 3], ([1, 1], [1, 1], [1, 1], 1));
    check([2, 60, 9, 60], [2, 30, 3, 3], ([1, 1], [1, 1], [1, 1], 2));
    // Several samples.
    check([5, 8, 1, 800], [1, 8, 1, 9], ([1, 1], [0, 4], [1, 1], 1));
    check([5, 16, 1, 800], [2, 8, 1, 9], ([1, 1], [0, 4], [1, 1], 2));
}

/// Transposed convolutions add a kernel for each pixel; the result may be as large as the image though the windows are not
/// its pixels.
#[test]
fn transposed_convolutions_of_one_tap() {
    for (stride, padding, dilation, extra) in
        [(1, 0, 1, 0), (1, 1, 3, 2), (1, 0, 3, 2), (2, 0, 1, 1), (2, 1, 3, 2), (1, 1, 1, 0)]
    {
        let (x, w) = (numbers([2, 2, 4, 5], 0), numbers([2, 3, 1, 1], 7));
        let tape = Tape::new();
        let (s, t) = (tape.tensor(&x), tape.tensor(&w));
        let conv = Conv::new().stride(stride).padding(padding).dilation(dilation).output_padding(extra);
        let y = s.conv_transpose2d(t, conv);
        let shape: [usize; 4] = y.shape().try_into().unwrap();
        let len = |n: usize| stride * (n - 1) + 1 + extra - 2 * padding;
        assert_eq!(shape, [2, 3, len(4), len(5)]);
        let cotangent = numbers(shape, 3);
        let gradient = y.backward_with(&cotangent);
        let mut want = [Array4::<f64>::zeros(shape), Array4::zeros(x.raw_dim()), Array4::zeros(w.raw_dim())];
        for ((n, c, i, j), &number) in x.indexed_iter() {
            let place = |k: usize, end: usize| (k * stride).checked_sub(padding).filter(|place| *place < end);
            let (Some(row), Some(column)) = (place(i, shape[2]), place(j, shape[3])) else { continue };
            for o in 0..3 {
                want[0][[n, o, row, column]] += number * w[[c, o, 0, 0]];
                want[1][[n, c, i, j]] += cotangent[[n, o, row, column]] * w[[c, o, 0, 0]];
                want[2][[c, o, 0, 0]] += cotangent[[n, o, row, column]] * number;
            }
        }
        let case = (stride, padding, dilation, extra);
        assert!(y.value() == want[0], "{case:?}: the values");
        assert!(gradient.wrt(s) == want[1] && gradient.wrt(t) == want[2], "{case:?}: the gradient");
    }
}
