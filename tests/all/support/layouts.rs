//! Arrays in every layout, for tests of tensor operations.

use ndarray::{ArrayD, Axis};
use wengert::BaseFloat;

/// An array of the shape in one of [`LAYOUTS`], its elements numbered from 1 in the order of memory.
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

/// The layouts that [`lay_out`] knows.
pub(crate) const LAYOUTS: [&str; 4] =
    ["contiguous", "transposed", "flipped", "flipped along the first axis, axes rotated"];
