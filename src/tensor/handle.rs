//! The handle of an array on a tape, and the node it points to.

use std::fmt;
use std::ops::Range;

use ndarray::{Array, ArrayBase, ArrayView, Data, Dimension, IntoDimension, Ix0};
use smallvec::SmallVec;

use crate::kernels;
use crate::kernels::{Fibers, Sum, gather, scatter_add};
use crate::number::Scalar;
use crate::number::precompiled::precompiled;
use crate::scalar::{Gradient, Seed, Var, Wrt, two_tapes};
use crate::sealed::Seal;
use crate::slices::gemm::Store;
use crate::slices::{BLOCK, Layout, row_major};
use crate::tape::{Adjoints, Cotangents, OperandInfo, OperationKind, SINK, Tape};

/// An array on a [`Tape`], of any ndarray dimension: a `Copy` handle of two words.
///
/// ```
/// use ndarray::array;
/// use wengert::Tape;
///
/// let tape = Tape::new();
/// let (a, b) = (array![[1.0, 2.0], [3.0, 4.0]], array![10.0, 20.0]);
/// let (x, y) = (tape.tensor(&a), tape.tensor(&b));
/// let loss = (x * y).sum();
/// let gradient = loss.backward();
/// assert_eq!(gradient.wrt(x), array![[10.0, 20.0], [10.0, 20.0]]);
/// assert_eq!(gradient.wrt(y), array![4.0, 6.0]);
/// ```
///
/// The data is borrowed, not copied, so the data must outlive the handle:
///
/// ```compile_fail,E0597
/// let tape = wengert::Tape::<f64>::new();
/// let x = {
///     let data = ndarray::array![1.0, 2.0];
///     tape.tensor(&data)
/// };
/// println!("{}", x.value());
/// ```
///
/// All operands of an operation share one lifetime, so the data of a batch must live as long as the handles of the
/// weights. Where this lifetime is too long, record each batch anew ([`Tape::value_and_grad`]), or give the tape an
/// owned array ([`Tape::constant`]).
#[must_use = "operations change no tensor in place; use the tensor that they return"]
pub struct Tensor<'t, F: Scalar, D> {
    pub(super) tape: &'t Tape<F>,
    pub(super) node: &'t Node<'t, F, D>,
}

/// The target of a tensor handle, in the tape's arena.
pub(crate) struct Node<'t, F, D> {
    /// The elements, a view into `storage`.
    pub(super) values: ArrayView<'t, F, D>,
    pub(super) storage: &'t [F],
    /// The slot of `storage[0]`, or the sink for a constant.
    pub(super) slot: u32,
}

impl<F: Scalar, D> Clone for Tensor<'_, F, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Scalar, D> Copy for Tensor<'_, F, D> {}

/// The number of elements from which on a loop in a function of its own takes fewer instructions than one in the caller.
const FEW: usize = 64;

impl<'t, F: Scalar, D: Dimension> Node<'t, F, D> {
    pub(crate) fn is_constant(&self) -> bool {
        self.slot == SINK
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.values.shape()
    }

    /// The description of the node as an operand. The shape stands in the arena, as the node does.
    pub(crate) fn source(&'t self) -> OperandInfo<'t> {
        OperandInfo { slot: self.slot, shape: self.shape() }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The place of the first element in the storage.
    pub(crate) fn offset(&self) -> usize {
        if self.values.is_empty() {
            return 0;
        }
        (self.values.as_ptr() as usize - self.storage.as_ptr() as usize) / size_of::<F>()
    }

    pub(crate) fn layout(&self) -> Layout<'_> {
        Layout { offset: self.offset(), strides: self.values.strides() }
    }

    pub(crate) fn operand(&self) -> kernels::Strided<'_, F> {
        kernels::Strided { data: self.storage, layout: self.layout() }
    }

    /// The slots from the first element in memory to the last.
    pub(crate) fn reach(&self) -> Range<usize> {
        self.place().reach(self.shape())
    }

    /// The places of the elements' adjoints in the buffer of adjoints.
    pub(crate) fn place(&self) -> Layout<'_> {
        let layout = self.layout();
        Layout { offset: self.slot() + layout.offset, ..layout }
    }

    /// The index of `storage[0]` in the buffer of adjoints.
    pub(crate) fn slot(&self) -> usize {
        self.slot as usize
    }

    /// The slot of the first element, unless the node is a constant.
    pub(crate) fn first_slot(&self) -> Option<usize> {
        (!self.is_constant()).then(|| self.slot() + self.offset())
    }

    /// The elements as a slice, if they are contiguous in row-major order.
    pub(crate) fn as_slice(&self) -> Option<&'t [F]> {
        self.values.to_slice()
    }

    /// The elements as a slice in row-major order; a copy in the arena, made for an operation, if the elements are in
    /// another order.
    #[track_caller]
    pub(crate) fn to_slice(&self, tape: &'t Tape<F>, operation: &str) -> &'t [F] {
        let Some(slice) = self.as_slice() else {
            let out = tape.arena().filled(operation, self.shape(), self.len(), F::zero());
            gather(self.shape(), self.storage, self.layout(), out);
            return out;
        };
        slice
    }

    /// The adjoints of the node, if its elements are contiguous in row-major order.
    pub(crate) fn adjoints<'a>(&self, adjoints: &'a mut Adjoints<'_, F>) -> Option<&'a mut [F]> {
        self.values.as_slice()?;
        let first = self.slot() + self.offset();
        Some(adjoints.run(first..first + self.len()))
    }

    /// Adds a cotangent in row-major order to the node's adjoints. Does nothing for a constant.
    pub(crate) fn accumulate(&self, adjoints: &mut Adjoints<'_, F>, cotangent: &[F]) {
        if self.is_constant() {
            return;
        }
        if cotangent.len() < FEW
            && let Some(own) = self.adjoints(adjoints)
        {
            return own.iter_mut().zip(cotangent).for_each(|(d, &c)| *d += c);
        }
        scatter_add(self.shape(), cotangent, adjoints.of(self.reach()), self.place());
    }

    /// Calls `add(cotangent of the result, buffer)`, which *adds* the node's cotangent to the buffer, in row-major
    /// order. The buffer is the node's adjoints if they are contiguous in that order, else zeros that are added to
    /// the adjoints afterwards. Does nothing for a constant.
    pub(crate) fn accumulate_with(&self, cotangents: &mut Cotangents<'_, F>, add: impl FnOnce(&[F], &mut [F])) {
        if self.is_constant() {
            return;
        }
        if let Some(own) = self.adjoints(&mut cotangents.of_operands) {
            add(cotangents.of_result, own);
        } else {
            let temporary = cotangents.arena.alloc_slice_fill_copy(self.len(), F::zero());
            add(cotangents.of_result, temporary);
            accumulate_at(cotangents, self.shape(), self.place(), temporary);
        }
    }

    /// Same as [`accumulate_with`](Self::accumulate_with), for a function that computes the whole cotangent: it sets the
    /// buffer or adds to it, as it is told.
    pub(crate) fn write_with(&self, cotangents: &mut Cotangents<'_, F>, write: impl FnOnce(&[F], &mut [F], Store)) {
        if self.is_constant() {
            return;
        }
        if self.values.is_standard_layout() {
            let first = self.slot() + self.offset();
            let range = first..first + self.len();
            let (adjoints, update) = cotangents.of_operands.write(range.clone());
            write(cotangents.of_result, &mut adjoints[range], update);
        } else {
            let temporary = cotangents.arena.alloc_slice_fill_copy(self.len(), F::zero());
            write(cotangents.of_result, temporary, Store::Set);
            accumulate_at(cotangents, self.shape(), self.place(), temporary);
        }
    }
}

/// Adds terms to the adjoints of a range, in blocks if there are more than 128 terms for each adjoint.
///
/// `add(terms, cotangent of the result, buffer, start)` adds some terms to a buffer, in which the adjoint of slot s has
/// the place s - start.
pub(super) fn accumulate_terms<F: Scalar>(
    cotangents: &mut Cotangents<'_, F>,
    reach: Range<usize>,
    terms: usize,
    elements: usize,
    add: impl Fn(Range<usize>, &[F], &mut [F], usize),
) {
    let block = BLOCK.saturating_mul(elements.max(1));
    if terms <= block {
        return add(0..terms, cotangents.of_result, cotangents.of_operands.of(reach), 0);
    }
    let buffer = cotangents.arena.alloc_slice_fill_copy(reach.len(), F::zero());
    for first in (0..terms).step_by(block) {
        add(first..terms.min(first + block), cotangents.of_result, buffer, reach.start);
        kernels::take_sums(buffer, &mut cotangents.of_operands.of(reach.clone())[reach.clone()]);
    }
}

precompiled! {
    /// Adds a cotangent in row-major order to the adjoints at some places, to which broadcast axes lead repeatedly.
    pub(super) fn accumulate_at<F>(
        cotangents: &mut Cotangents<'_, F>,
        shape: &[usize],
        place: Layout<'_>,
        cotangent: &[F],
    ) {
        let mut cotangent = cotangent;
        let mut lengths: SmallVec<[usize; 6]> = shape.into();
        for (axis, _) in place.strides.iter().enumerate().filter(|(_, step)| **step == 0) {
            if lengths[axis] > BLOCK {
                let fibers = Fibers::along(axis, &lengths);
                let sums = cotangents.arena.alloc_slice_fill_copy(fibers.count(), F::zero());
                kernels::fold(Sum, fibers, [cotangent], None, sums);
                (cotangent, lengths[axis]) = (sums, 1);
            }
        }
        scatter_add(&lengths, cotangent, cotangents.of_operands.of(place.reach(shape)), place);
    }
}

impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// The tensor with these values, a view into `storage`; `slot` is the slot of `storage[0]`.
    #[track_caller]
    pub(crate) fn over(tape: &'t Tape<F>, values: ArrayView<'t, F, D>, storage: &'t [F], slot: u32) -> Self {
        Self { tape, node: tape.alloc(Node { values, storage, slot }) }
    }

    /// The tensor with another view of the same storage.
    #[track_caller]
    pub(crate) fn with_view<E: Dimension>(self, values: ArrayView<'t, F, E>) -> Tensor<'t, F, E> {
        Tensor::over(self.tape, values, self.node.storage, self.node.slot)
    }

    /// The result of an operation, recorded with its pullback. The values stand in row-major order in the tape's
    /// arena. The pullback adds to the adjoints of the operands. Nothing is recorded if `constant` is true, that is, if
    /// all operands are constants, or if there is no element.
    #[track_caller]
    pub(crate) fn result(
        tape: &'t Tape<F>,
        kind: OperationKind<'t>,
        shape: D,
        values: &'t [F],
        constant: bool,
        pullback: impl Fn(&mut Cotangents<'_, F>) + 't,
    ) -> Self {
        let view = row_major(shape, values);
        if constant {
            return Self::over(tape, view, values, SINK);
        }
        // The slots come last: memory for the handle may be refused.
        let result = Self::over(tape, view, values, tape.slots() as u32);
        // Nothing flows back through a result without elements, but what is computed from it is no constant.
        if values.is_empty() {
            return result;
        }
        let slot = tape.push_op(kind, result.shape(), values, pullback);
        debug_assert!(slot == result.node.slot, "nothing took slots in between");
        result
    }

    /// A constant of the same shape whose elements are all `x`.
    #[track_caller]
    pub fn full_like(self, x: F) -> Self {
        self.tape.full(self.dim(), x)
    }

    /// A constant of the same shape whose elements are all 0.
    #[track_caller]
    pub fn zeros_like(self) -> Self {
        self.full_like(F::zero())
    }

    /// A constant of the same shape whose elements are all 1.
    #[track_caller]
    pub fn ones_like(self) -> Self {
        self.full_like(F::one())
    }

    pub(crate) fn node(self) -> &'t Node<'t, F, D> {
        self.node
    }

    /// The tape of the tensor.
    pub fn tape(self) -> &'t Tape<F> {
        self.tape
    }

    /// The values. On a tape of dual numbers they have their tangents: see [`Var::value`].
    #[doc(alias("item", "data", "numpy"))]
    pub fn value(self) -> ArrayView<'t, F, D> {
        self.node.values.clone()
    }

    /// The length of each axis.
    pub fn shape(self) -> &'t [usize] {
        self.node.values.shape()
    }

    /// The length of each axis, as ndarray's dimension.
    pub fn dim(self) -> D {
        self.node.values.raw_dim()
    }

    /// The number of axes.
    pub fn ndim(self) -> usize {
        self.node.values.ndim()
    }

    /// The number of elements.
    pub fn len(self) -> usize {
        self.node.len()
    }

    /// True if there is no element.
    pub fn is_empty(self) -> bool {
        self.node.values.is_empty()
    }

    /// True if no derivative flows back through the tensor: it is data or computed from constants alone.
    pub fn is_constant(self) -> bool {
        self.node.is_constant()
    }

    /// The same values as a constant: no derivative of any order passes through it. On a tape of dual numbers it is a
    /// copy without tangents.
    #[doc(alias("stop_gradient", "no_grad"))]
    #[track_caller]
    pub fn detach(self) -> Self {
        if size_of::<F>() == size_of::<F::Base>() {
            return self.as_constant(); // floats, which have no tangents
        }
        let values = self.value();
        let copy = &*self.tape.arena().alloc_slice_fill_iter(values.iter().map(|x| F::from_base(x.to_base())));
        let values = ArrayView::from_shape(self.dim(), copy).expect("as many elements");
        Self::over(self.tape, values, copy, SINK)
    }

    /// The same numbers, tangents included, as a constant.
    pub(crate) fn as_constant(self) -> Self {
        Self::over(self.tape, self.value(), self.node.storage, SINK)
    }

    /// The element at `index`, as a scalar of the same tape. Nothing is recorded.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
    /// let x = tape.tensor(&a);
    /// let y = x.at([0, 1]) * x.at([1, 0]);
    /// assert_eq!(y.backward().wrt(x), ndarray::array![[0.0, 3.0], [2.0, 0.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the index is out of bounds.
    #[doc(alias("item", "index", "get"))]
    #[track_caller]
    pub fn at(self, index: impl IntoDimension<Dim = D>) -> Var<'t, F> {
        let index = index.into_dimension();
        let Some(value) = self.node.values.get(index.clone()) else {
            panic!("at: index {:?} is out of bounds for shape {:?}", index.slice(), self.shape());
        };
        self.element(value)
    }

    /// The handle of one element; `value` must point into the storage.
    pub(crate) fn element(self, value: &'t F) -> Var<'t, F> {
        if self.is_constant() {
            return Var::constant(*value);
        }
        let place = (std::ptr::from_ref(value) as usize - self.node.storage.as_ptr() as usize) / size_of::<F>();
        Var::on(self.tape, self.node.slot + place as u32, *value)
    }

    /// Panics unless both tensors are on one tape.
    #[track_caller]
    pub(crate) fn assert_same_tape<E>(self, other: Tensor<'t, F, E>) {
        if !std::ptr::eq(self.tape, other.tape) {
            two_tapes(self.tape, other.tape);
        }
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix0> {
    /// The only element of a tensor without axes.
    #[doc(alias("item"))]
    pub fn into_var(self) -> Var<'t, F> {
        self.at(())
    }
}

impl<'t, F: Scalar> Var<'t, F> {
    /// The variable as a tensor without axes, on the tape of `other`.
    #[track_caller]
    pub(crate) fn to_tensor(self, tape: &'t Tape<F>) -> Tensor<'t, F, Ix0> {
        if let Some(own) = self.tape()
            && !std::ptr::eq(own, tape)
        {
            two_tapes(own, tape);
        }
        let node = self.retain();
        let storage = std::slice::from_ref(tape.alloc(node.value()));
        Tensor::over(tape, ArrayView::from_shape((), storage).expect("one element"), storage, node.slot())
    }
}

impl<F: Scalar, D: Dimension> fmt::Debug for Tensor<'_, F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tensor = f.debug_struct("Tensor");
        tensor.field("values", &self.node.values);
        if !self.is_constant() {
            tensor.field("slot", &self.node.slot);
        }
        tensor.finish()
    }
}

impl<F: Scalar, D: Dimension> fmt::Display for Tensor<'_, F, D> {
    /// Prints the values as ndarray does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.node.values, f)
    }
}

impl<'t, F: Scalar, D: Dimension> Wrt<'t, F> for Tensor<'_, F, D> {
    type Output = Array<F, D>;
    #[track_caller]
    fn read(self, gradient: &Gradient<'t, F>, _: Seal) -> Self::Output {
        gradient.assert_same_tape(self.tape);
        assert!(
            !self.is_constant() || self.is_empty(),
            "gradient: the tensor of shape {:?} is a constant; make it an input with `Tape::tensor`",
            self.shape()
        );
        let mut out = Array::zeros(self.dim());
        if let Some(slots) = out.as_slice_mut()
            && !self.is_empty()
        {
            gradient.assert_covered(self.node.slot() + self.node.offset());
            gather(self.shape(), gradient.adjoints, self.node.place(), slots);
        }
        out
    }
}

impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// The tensor as an output of a sweep, with a cotangent for each element: see [`Tape::backward_with`].
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    #[track_caller]
    pub fn seed<S: Data<Elem = F>>(self, cotangent: &ArrayBase<S, D>) -> Seed<'t, F> {
        assert!(
            self.shape() == cotangent.shape(),
            "seed: the tensor has shape {:?} and the cotangent {:?}",
            self.shape(),
            cotangent.shape()
        );
        let (tape, node) = (self.tape(), self.node());
        if node.is_constant() {
            return Seed::of_constant();
        }
        let arena = tape.arena();
        let cotangents = match cotangent.as_slice() {
            Some(cotangents) => arena.alloc_slice_copy(cotangents),
            None => arena.alloc_slice_fill_iter(cotangent.iter().copied()),
        };
        Seed::new(tape, self.shape(), node.place(), cotangents)
    }

    /// Sweeps backward from all elements with these cotangents. The gradient is the vector-Jacobian product.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![1.0, 2.0, 3.0];
    /// let x = tape.tensor(&data);
    /// let gradient = x.square().backward_with(&array![1.0, 0.0, -1.0]);
    /// assert_eq!(gradient.wrt(x), array![2.0, 0.0, -6.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the shapes differ or the tensor is a constant.
    #[track_caller]
    pub fn backward_with<S: Data<Elem = F>>(self, cotangent: &ArrayBase<S, D>) -> Gradient<'t, F> {
        assert!(
            !self.is_constant() || self.is_empty(),
            "backward_with: the tensor of shape {:?} is a constant, computed from no input of a tape; make its inputs with `Tape::tensor`",
            self.shape()
        );
        self.tape().backward_with([self.seed(cotangent)])
    }
}
