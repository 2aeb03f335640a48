//! Views: other shapes of the same elements. A view shares the slots of the tensor that it views. So it records
//! nothing, and its adjoints accumulate in the adjoints of that tensor.
//!
//! Names and meanings are those of ndarray. Arguments are checked before ndarray sees them, so that a panic is at the
//! caller's line and names the operation and the shapes.

use ndarray::{
    ArrayView, Axis, Dimension, IntoDimension, Ix1, Ix2, RemoveAxis, ShapeError, Slice, SliceArg, SliceInfoElem,
};

use super::handle::Tensor;
use crate::arena::{count, room};
use crate::number::Scalar;
use crate::scalar::Var;

/// Views: they record nothing.
impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// The elements in row-major order, in another shape.
    ///
    /// The result is a view if the elements are contiguous in row-major order, as in every computed result and in most
    /// inputs. Otherwise (after a transposition, a slice with steps or a broadcast) the result is a copy, which is
    /// recorded.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![1.0, 2.0, 3.0, 4.0];
    /// let x = tape.tensor(&data);
    /// assert_eq!(x.reshape((2, 2)).value(), ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(tape.len(), 4);
    /// ```
    ///
    /// # Panics
    ///
    /// If the numbers of elements differ.
    #[doc(alias("view", "unflatten"))]
    #[track_caller]
    pub fn reshape<E: IntoDimension>(self, shape: E) -> Tensor<'t, F, E::Dim> {
        let shape = shape.into_dimension();
        assert!(
            shape.size_checked() == Some(self.len()),
            "reshape: shape {:?} has {} elements, shape {:?} has not; \
             see `broadcast` to repeat elements and `slice` to leave some out",
            self.shape(),
            self.len(),
            shape.slice()
        );
        let rows = self.as_standard_layout();
        match rows.value().into_shape_with_order(shape.clone()) {
            Ok(view) => rows.with_view(view),
            Err(error) => panic!("reshape: shape {:?} to {:?}: {error}", self.shape(), shape.slice()),
        }
    }

    /// The elements in row-major order along a single axis; see [`reshape`](Self::reshape).
    #[doc(alias("ravel"))]
    #[track_caller]
    pub fn flatten(self) -> Tensor<'t, F, Ix1> {
        self.reshape(self.len())
    }

    /// The transpose: the axes in reverse order.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
    /// let x = tape.tensor(&a);
    /// let loss = (x * x.t()).sum(); // tr(xx), whose derivative is 2 xᵀ
    /// assert_eq!(loss.backward().wrt(x), ndarray::array![[2.0, 6.0], [4.0, 8.0]]);
    /// ```
    #[doc(alias("transpose", "mT"))]
    #[track_caller]
    pub fn t(self) -> Self {
        self.with_view(self.value().reversed_axes())
    }

    /// The diagonal: the elements with equal indices on all axes.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
    /// let x = tape.tensor(&a);
    /// let trace = x.diag().sum();
    /// assert_eq!(trace.value(), 5.0);
    /// assert_eq!(trace.backward().wrt(x), ndarray::array![[1.0, 0.0], [0.0, 1.0]]);
    /// ```
    #[track_caller]
    pub fn diag(self) -> Tensor<'t, F, Ix1> {
        self.with_view(self.value().into_diag())
    }

    /// The view with the axes in another order: axis j of the view is axis `axes[j]` of the tensor.
    ///
    /// # Panics
    ///
    /// If `axes` does not name each axis exactly once.
    #[doc(alias("permute", "transpose", "movedim"))]
    #[track_caller]
    pub fn permuted_axes(self, axes: impl IntoDimension<Dim = D>) -> Self {
        let axes = axes.into_dimension();
        assert!(
            axes.ndim() == self.ndim() && (0..self.ndim()).all(|axis| axes.slice().contains(&axis)),
            "permuted_axes: {:?} does not name each of the {} axes of shape {:?} once",
            axes.slice(),
            self.ndim(),
            self.shape()
        );
        self.with_view(self.value().permuted_axes(axes))
    }

    /// The view with two axes exchanged.
    ///
    /// # Panics
    ///
    /// If there is no such axis.
    #[doc(alias("swapaxes", "transpose"))]
    #[track_caller]
    pub fn swap_axes(self, a: usize, b: usize) -> Self {
        check_axis("swap_axes", Axis(a), self.shape());
        check_axis("swap_axes", Axis(b), self.shape());
        self.changed(|view| view.swap_axes(a, b))
    }

    /// The part that [`s!`](ndarray::s) describes: ranges, steps (also negative), single indices, which remove their
    /// axis, and `NewAxis`.
    ///
    /// ```
    /// use wengert::ndarray::{array, s};
    ///
    /// let tape = wengert::Tape::new();
    /// let a = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let x = tape.tensor(&a);
    /// let y = x.slice(s![1, ..;-1]);
    /// assert_eq!(y.value(), array![6.0, 5.0, 4.0]);
    /// // The adjoints of overlapping slices add up in the slots that the slices share.
    /// let loss = (x.slice(s![.., 1..]) * x.slice(s![.., ..2])).sum();
    /// assert_eq!(loss.backward().wrt(x), array![[2.0, 4.0, 2.0], [5.0, 10.0, 5.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If a range or an index reaches beyond its axis, a step is 0, or (for `IxDyn`) the number of
    /// axes differs.
    #[doc(alias("narrow", "index"))]
    #[track_caller]
    pub fn slice<I: SliceArg<D>>(self, info: I) -> Tensor<'t, F, I::OutDim> {
        let shape = self.shape();
        assert!(
            info.in_ndim() == shape.len(),
            "slice: {} axes are given for shape {shape:?}, which has {}; write `..` for a whole axis",
            info.in_ndim(),
            shape.len()
        );
        let mut axis = 0;
        for element in info.as_ref() {
            match *element {
                SliceInfoElem::Slice { start, end, step } => {
                    check_slice("slice", Axis(axis), Slice { start, end, step }, shape);
                }
                SliceInfoElem::Index(index) => {
                    let len = shape[axis] as isize;
                    assert!(
                        (-len..len).contains(&index),
                        "slice: index {index} is out of bounds for axis {axis} of shape {shape:?}"
                    );
                }
                SliceInfoElem::NewAxis => continue,
            }
            axis += 1;
        }
        self.with_view(self.value().slice_move(info))
    }

    /// The part of one axis within a range, with a step.
    ///
    /// # Panics
    ///
    /// If there is no such axis, the range reaches beyond it, or the step is 0.
    #[doc(alias("narrow"))]
    #[track_caller]
    pub fn slice_axis(self, axis: Axis, range: Slice) -> Self {
        check_axis("slice_axis", axis, self.shape());
        check_slice("slice_axis", axis, range, self.shape());
        self.changed(|view| view.slice_axis_inplace(axis, range))
    }

    /// The view with one axis reversed.
    ///
    /// # Panics
    ///
    /// If there is no such axis.
    #[track_caller]
    pub fn flip(self, axis: Axis) -> Self {
        check_axis("flip", axis, self.shape());
        self.changed(|view| view.invert_axis(axis))
    }

    /// The part before `index` along an axis, and the part from `index` on.
    ///
    /// # Panics
    ///
    /// If there is no such axis or `index` is greater than its length.
    #[doc(alias("chunk"))]
    #[track_caller]
    pub fn split_at(self, axis: Axis, index: usize) -> (Self, Self) {
        check_axis("split_at", axis, self.shape());
        assert!(
            index <= self.shape()[axis.index()],
            "split_at: index {index} is out of bounds for axis {} of shape {:?}",
            axis.index(),
            self.shape()
        );
        (
            self.changed(|view| view.slice_axis_inplace(axis, (..index).into())),
            self.changed(|view| view.slice_axis_inplace(axis, (index..).into())),
        )
    }

    /// The N parts of equal length along an axis.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let a = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let [q, k, v] = tape.tensor(&a).split(Axis(1));
    /// assert_eq!(k.value(), array![[2.0], [5.0]]);
    /// # assert_eq!((q + v).value(), array![[4.0], [10.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such axis or N does not divide its length.
    #[track_caller]
    pub fn split<const N: usize>(self, axis: Axis) -> [Self; N] {
        check_axis("split", axis, self.shape());
        let len = self.shape()[axis.index()];
        assert!(
            len.checked_rem(N) == Some(0),
            "split: axis {} of shape {:?} does not split into {N} equal parts; see `split_at` and `axis_chunks_iter`",
            axis.index(),
            self.shape()
        );
        let size = len / N;
        std::array::from_fn(|i| self.chunk(axis, size, i))
    }

    /// The parts of length `size` along an axis. The last part is shorter if `size` does not divide the axis.
    ///
    /// # Panics
    ///
    /// If there is no such axis or `size` is 0.
    #[track_caller]
    pub fn axis_chunks_iter(
        self,
        axis: Axis,
        size: usize,
    ) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        check_axis("axis_chunks_iter", axis, self.shape());
        assert!(size > 0, "axis_chunks_iter: chunks of length 0 of shape {:?}", self.shape());
        let count = self.shape()[axis.index()].div_ceil(size);
        (0..count).map(move |i| self.chunk(axis, size, i))
    }

    /// The i-th part of length `size`, or less at the end of the axis.
    #[track_caller]
    fn chunk(self, axis: Axis, size: usize, i: usize) -> Self {
        let (start, len) = (i * size, self.shape()[axis.index()]);
        self.changed(|view| {
            view.slice_axis_inplace(axis, (start..len.min(start + size)).into());
        })
    }

    /// The view with a new axis of length 1, which becomes axis `axis`.
    ///
    /// # Panics
    ///
    /// If `axis` is greater than the number of axes.
    #[doc(alias("unsqueeze", "expand_dims"))]
    #[track_caller]
    pub fn insert_axis(self, axis: Axis) -> Tensor<'t, F, D::Larger> {
        assert!(
            axis.index() <= self.ndim(),
            "insert_axis: a new axis at {} leaves a gap after the {} axes of shape {:?}",
            axis.index(),
            self.ndim(),
            self.shape()
        );
        self.with_view(self.value().insert_axis(axis))
    }

    /// The view that repeats the elements along new leading axes and axes of length 1. The adjoint of an element is the
    /// sum over its repetitions.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![1.0, 2.0];
    /// let x = tape.tensor(&data);
    /// let loss = x.broadcast((3, 2)).square().sum();
    /// assert_eq!(loss.backward().wrt(x), ndarray::array![6.0, 12.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the shape does not broadcast to the new one.
    #[doc(alias("expand", "broadcast_to"))]
    #[track_caller]
    pub fn broadcast<E: IntoDimension>(self, shape: E) -> Tensor<'t, F, E::Dim> {
        let shape = shape.into_dimension();
        count("broadcast", shape.slice());
        match self.node.values.broadcast(shape.clone()) {
            Some(view) => self.with_view(view),
            None => panic!(
                "broadcast: shape {:?} does not stretch to {:?} (axes are aligned at the last one; lengths must be equal or 1); \
                 see `insert_axis`",
                self.shape(),
                shape.slice()
            ),
        }
    }

    /// The same tensor with the dimension type `IxDyn`, with a number of axes that is known at run time only.
    #[track_caller]
    pub fn into_dyn(self) -> Tensor<'t, F, ndarray::IxDyn> {
        self.with_view(self.value().into_dyn())
    }

    /// The same tensor with another dimension type.
    ///
    /// ```
    /// use wengert::ndarray::{Ix2, Ix3, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let a = array![[1.0, 2.0]];
    /// let x = tape.tensor(&a).into_dyn();
    /// assert!(x.into_dimensionality::<Ix2>().is_ok());
    /// assert!(x.into_dimensionality::<Ix3>().is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// If the numbers of axes differ.
    #[track_caller]
    pub fn into_dimensionality<E: Dimension>(self) -> Result<Tensor<'t, F, E>, ShapeError> {
        Ok(self.with_view(self.value().into_dimensionality()?))
    }

    /// The elements in row-major order, as scalars of the same tape.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![1.0, 2.0, 3.0];
    /// let x = tape.tensor(&data);
    /// let loss: wengert::Var = x.iter().map(|v| v * v).sum();
    /// assert_eq!(loss.backward().wrt(x), ndarray::array![2.0, 4.0, 6.0]);
    /// ```
    pub fn iter(self) -> impl ExactSizeIterator<Item = Var<'t, F>> {
        self.value().into_iter().map(move |x| self.element(x))
    }

    /// The elements in row-major order, as scalars of the same tape. [`Tape::stack_vars`](crate::Tape::stack_vars) is
    /// the inverse.
    #[doc(alias("tolist"))]
    #[track_caller]
    pub fn to_vars(self) -> Vec<Var<'t, F>> {
        let mut vars = room("to_vars", self.shape());
        vars.extend(self.iter());
        vars
    }

    /// The view after `change` has modified it in place.
    #[track_caller]
    fn changed(self, change: impl FnOnce(&mut ArrayView<'t, F, D>)) -> Self {
        let mut view = self.value();
        change(&mut view);
        self.with_view(view)
    }
}

/// Views without one of the axes: they record nothing.
impl<'t, F: Scalar, D: RemoveAxis> Tensor<'t, F, D> {
    /// The part at one index of an axis. The axis is removed.
    ///
    /// # Panics
    ///
    /// If there is no such axis or the index is out of bounds.
    #[doc(alias("squeeze", "index"))]
    #[track_caller]
    pub fn index_axis(self, axis: Axis, index: usize) -> Tensor<'t, F, D::Smaller> {
        check_index("index_axis", axis, index, self.shape());
        self.with_view(self.value().index_axis_move(axis, index))
    }

    /// The view without an axis of length 1. (ndarray's method of this name accepts longer axes and drops all indices
    /// but the first; this one panics.)
    ///
    /// # Panics
    ///
    /// If there is no such axis or its length is not 1.
    #[doc(alias("squeeze"))]
    #[track_caller]
    pub fn remove_axis(self, axis: Axis) -> Tensor<'t, F, D::Smaller> {
        check_axis("remove_axis", axis, self.shape());
        assert!(
            self.shape()[axis.index()] == 1,
            "remove_axis: axis {} of shape {:?} has not length 1; see `index_axis` and `reshape`",
            axis.index(),
            self.shape()
        );
        self.with_view(self.value().remove_axis(axis))
    }

    /// The parts at every index of an axis, which is removed from each.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let a = array![[1.0, 2.0], [3.0, 4.0]];
    /// let x = tape.tensor(&a);
    /// let columns: Vec<_> = x.axis_iter(Axis(1)).collect();
    /// let loss = (columns[0] * columns[1]).sum();
    /// assert_eq!(loss.backward().wrt(x), array![[2.0, 1.0], [4.0, 3.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such axis.
    #[doc(alias("unbind"))]
    #[track_caller]
    pub fn axis_iter(
        self,
        axis: Axis,
    ) -> impl DoubleEndedIterator<Item = Tensor<'t, F, D::Smaller>> + ExactSizeIterator {
        check_axis("axis_iter", axis, self.shape());
        let len = self.shape()[axis.index()];
        (0..len).map(move |i| self.with_view(self.value().index_axis_move(axis, i)))
    }

    /// The parts at every index of the first axis, which is removed from each.
    ///
    /// # Panics
    ///
    /// If there is no axis (for `IxDyn`).
    #[track_caller]
    pub fn outer_iter(self) -> impl DoubleEndedIterator<Item = Tensor<'t, F, D::Smaller>> + ExactSizeIterator {
        self.axis_iter(Axis(0))
    }
}

/// Views of a matrix: they record nothing.
impl<'t, F: Scalar> Tensor<'t, F, Ix2> {
    /// Row `index`.
    ///
    /// # Panics
    ///
    /// If the index is out of bounds.
    #[track_caller]
    pub fn row(self, index: usize) -> Tensor<'t, F, Ix1> {
        check_index("row", Axis(0), index, self.shape());
        self.index_axis(Axis(0), index)
    }

    /// Column `index`.
    ///
    /// # Panics
    ///
    /// If the index is out of bounds.
    #[track_caller]
    pub fn column(self, index: usize) -> Tensor<'t, F, Ix1> {
        check_index("column", Axis(1), index, self.shape());
        self.index_axis(Axis(1), index)
    }
}

#[track_caller]
pub(super) fn check_axis(operation: &str, axis: Axis, shape: &[usize]) {
    assert!(
        axis.index() < shape.len(),
        "{operation}: there is no axis {} in shape {shape:?}; axes are counted from 0",
        axis.index()
    );
}

#[track_caller]
pub(super) fn check_index(operation: &str, axis: Axis, index: usize, shape: &[usize]) {
    check_axis(operation, axis, shape);
    assert!(
        index < shape[axis.index()],
        "{operation}: index {index} is out of bounds for axis {} of shape {shape:?}",
        axis.index()
    );
}

/// Panics unless the range lies within the axis, which must exist. Negative ends are counted from the end of the axis.
#[track_caller]
fn check_slice(operation: &str, axis: Axis, Slice { start, end, step }: Slice, shape: &[usize]) {
    let len = shape[axis.index()] as isize;
    let within = |end| (-len..=len).contains(&end);
    assert!(
        within(start) && end.is_none_or(within),
        "{operation}: the range {start}..{} reaches beyond axis {} of shape {shape:?}",
        end.map_or(String::new(), |end| end.to_string()),
        axis.index()
    );
    assert!(
        step != 0,
        "{operation}: the step along axis {} of shape {shape:?} is 0; see `broadcast` to repeat elements",
        axis.index()
    );
}
