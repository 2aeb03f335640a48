//! Views of slices.

use ndarray::{ArrayView, Dimension};

/// The numbers of a slice as an array in row-major order. ndarray's own function looks at every stride; a handle is made for
/// each weight and each result of a step (see M40 in docs/MEASUREMENTS.md).
///
/// # Panics
///
/// If the shape has another number of elements.
#[inline(always)]
#[track_caller]
pub(crate) fn row_major<F, D: Dimension>(shape: D, numbers: &[F]) -> ArrayView<'_, F, D> {
    if numbers.is_empty() || shape.size_checked() != Some(numbers.len()) {
        return checked(shape, numbers);
    }
    // SAFETY: the strides of a shape without another layout are those of row-major order, so the places of the elements are
    // 0 to one less than their number, which is the length of the slice. That is not 0, so no axis is empty, and the lengths
    // of all axes have a product of at most isize::MAX. The view borrows the slice.
    unsafe { ArrayView::from_shape_ptr(shape, numbers.as_ptr()) }
}

/// [`row_major`] of a slice that is empty or does not fit.
#[cold]
#[inline(never)]
#[track_caller]
fn checked<F, D: Dimension>(shape: D, numbers: &[F]) -> ArrayView<'_, F, D> {
    ArrayView::from_shape(shape, numbers).expect("as many numbers as the shape has elements")
}
