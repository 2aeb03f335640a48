//! Arrays in every memory layout.

use ndarray::{Array2, ArrayD, Axis, Ix2, s};
use wengert::{BaseFloat, Scalar, Tensor};

/// The layouts that [`lay_out`] knows.
pub(crate) const LAYOUTS: [&str; 4] =
    ["contiguous", "transposed", "flipped", "flipped along the first axis, axes rotated"];

/// An array of a shape in one of [`LAYOUTS`]; `element` gets the index of an element in memory, from 1.
pub(crate) fn lay_out<F: BaseFloat>(layout: &str, shape: &[usize], element: impl Fn(usize) -> f64) -> ArrayD<F> {
    let fill = |shape: &[usize]| {
        let mut i = 0;
        ArrayD::from_shape_simple_fn(shape, || {
            i += 1;
            F::round_from(element(i))
        })
    };
    match layout {
        "contiguous" => fill(shape),
        "transposed" => {
            let reversed: Vec<_> = shape.iter().rev().copied().collect();
            fill(&reversed).reversed_axes()
        }
        "flipped" => {
            let mut a = fill(shape);
            for axis in 0..shape.len() {
                a.invert_axis(Axis(axis));
            }
            a
        }
        "flipped along the first axis, axes rotated" => {
            let mut rotated = shape.to_vec();
            rotated.rotate_left(1);
            let mut axes: Vec<_> = (0..shape.len()).collect();
            axes.rotate_right(1);
            let mut a = fill(&rotated).permuted_axes(axes);
            a.invert_axis(Axis(0));
            a
        }
        _ => unreachable!("no such layout"),
    }
}

/// The number of ways that [`placed`] and [`seen`] know.
pub(crate) const WAYS: usize = 3;

/// An array that holds a matrix in one of [`WAYS`] ways: as it is, transposed, or as every other row and
/// column, reversed, of a larger array that is NaN elsewhere.
pub(crate) fn placed<F: Scalar>(a: &Array2<F>, way: usize) -> Array2<F> {
    match way {
        0 => a.clone(),
        1 => a.t().as_standard_layout().into_owned(),
        _ => {
            let mut around = Array2::from_elem((2 * a.nrows(), 2 * a.ncols() + 1), F::nan());
            around.slice_mut(s![..;-2, 1..;2]).assign(a);
            around
        }
    }
}

/// The matrix again, as a view of a tensor of the array that [`placed`] made.
pub(crate) fn seen<F: Scalar>(x: Tensor<'_, F, Ix2>, way: usize) -> Tensor<'_, F, Ix2> {
    match way {
        0 => x,
        1 => x.t(),
        _ => x.slice(s![..;-2, 1..;2]),
    }
}

/// A number for each index, without a pattern in which an error could cancel.
pub(crate) fn number<F: Scalar>(i: usize) -> F {
    F::lit((1.0 + i as f64 * 1.7).sin())
}

/// The matrix of [`number`]s from `first` on, in row-major order.
pub(crate) fn matrix<F: Scalar>(rows: usize, columns: usize, first: usize) -> Array2<F> {
    Array2::from_shape_fn((rows, columns), |(i, j)| number(first + i * columns + j))
}
