//! The layouts that an operand may have: the same elements at other places in memory.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice};
use wengert::{Scalar, Tensor};

/// An array's place in the memory of another one, which owns it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    RowMajor,
    /// All axes reversed.
    Transposed,
    /// The middle of a larger array: rows without gaps, with gaps between them.
    Part,
    /// Every other element along each axis.
    Strided,
    /// Every other element along each axis, from the last one on.
    Backward,
    /// Each axis from its end to its start.
    Flipped,
}

/// A form, and the place where the owner is viewed in this form: on the array before it becomes a tensor, or on the
/// tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Layout {
    form: Form,
    on_tape: bool,
}

use Form::{Backward, Flipped, Part, RowMajor, Strided, Transposed};

const fn array(form: Form) -> Layout {
    Layout { form, on_tape: false }
}

const fn tensor(form: Form) -> Layout {
    Layout { form, on_tape: true }
}

/// The plain layout: row-major, without gaps.
pub(crate) const PLAIN: Layout = array(RowMajor);

/// Every layout.
pub(crate) const LAYOUTS: [Layout; 11] = [
    PLAIN,
    tensor(Transposed),
    tensor(Strided),
    array(Flipped),
    tensor(Part),
    array(Transposed),
    tensor(Backward),
    array(Strided),
    tensor(Flipped),
    array(Backward),
    array(Part),
];

/// The step of a form that leaves gaps, which starts at element 1.
fn slice(form: Form, len: usize) -> Option<Slice> {
    match form {
        Part => Some(Slice::from(1..len as isize - 1)),
        Strided => Some(Slice::new(1, None, 2)),
        Backward => Some(Slice::new(1, None, -2)),
        RowMajor | Transposed | Flipped => None,
    }
}

impl Layout {
    /// The array that owns the memory of `x` in this layout; NaN stands where `x` has no element.
    pub(crate) fn owner<F: Scalar>(self, x: &ArrayD<F>) -> ArrayD<F> {
        let mut shape = x.shape().to_vec();
        match self.form {
            Transposed => shape.reverse(),
            Part => shape.iter_mut().for_each(|len| *len += 2),
            Strided | Backward => shape.iter_mut().for_each(|len| *len = 2 * *len + 1),
            RowMajor | Flipped => {}
        }
        let mut owner = ArrayD::from_elem(IxDyn(&shape), F::nan());
        let mut view = owner.view_mut();
        match self.form {
            Transposed => view = view.reversed_axes(),
            Flipped => (0..x.ndim()).for_each(|axis| view.invert_axis(Axis(axis))),
            form => view.slice_each_axis_inplace(|axis| slice(form, axis.len).unwrap_or(Slice::from(..))),
        }
        view.assign(x);
        owner
    }

    /// The view of the owner that shows the elements of `x`.
    pub(crate) fn view<F>(self, owner: &ArrayD<F>) -> ArrayViewD<'_, F> {
        let mut view = owner.view();
        match self.form {
            Transposed => return view.reversed_axes(),
            Flipped => (0..owner.ndim()).for_each(|axis| view.invert_axis(Axis(axis))),
            form => view.slice_each_axis_inplace(|axis| slice(form, axis.len).unwrap_or(Slice::from(..))),
        }
        view
    }

    /// The array to give to a tape.
    pub(crate) fn array<F>(self, owner: &ArrayD<F>) -> ArrayViewD<'_, F> {
        if self.on_tape { owner.view() } else { self.view(owner) }
    }

    /// The tensor with the elements of `x`, a view of the leaf.
    pub(crate) fn tensor<F: Scalar>(self, leaf: Tensor<'_, F, IxDyn>) -> Tensor<'_, F, IxDyn> {
        if !self.on_tape {
            return leaf;
        }
        match self.form {
            Transposed => leaf.t(),
            Flipped => (0..leaf.ndim()).fold(leaf, |x, axis| x.flip(Axis(axis))),
            form => (0..leaf.ndim()).fold(leaf, |x, axis| match slice(form, x.shape()[axis]) {
                Some(range) => x.slice_axis(Axis(axis), range),
                None => x,
            }),
        }
    }

    /// The gradient with respect to `x`, given the gradient with respect to the leaf. Panics if an element of the leaf
    /// that `x` does not have gets a gradient.
    #[track_caller]
    pub(crate) fn gradient<F: Scalar>(self, leaf: &ArrayD<F>, case: &str) -> ArrayD<F> {
        if !self.on_tape {
            return leaf.clone();
        }
        let shown = self.view(leaf).to_owned();
        // Equal numbers of elements that are not zero: no such element is in a gap.
        let flows = |x: &ArrayD<F>| x.iter().filter(|g| !g.is_exact_zero()).count();
        assert_eq!(
            flows(leaf),
            flows(&shown),
            "{case}: a cotangent flows to an element that the operand does not have"
        );
        shown
    }
}
