//! Operations that copy elements to other places. A pullback adds each cotangent to the adjoint of the element that was
//! copied.

use std::ops::Range;

use ndarray::{ArrayBase, Axis, Data, DimMax, Dimension, Ix1, RemoveAxis};
use smallvec::SmallVec;

use super::elementwise::Operand;
use super::handle::{Node, Tensor, accumulate_at, accumulate_terms};
use crate::arena::count;
use crate::kernels;
use crate::number::Scalar;
use crate::scalar::{Var, two_tapes};
use crate::sealed::Seal;
use crate::slices::{Layout, for_each_run, place};
use crate::tape::{OperandInfo, OperationKind, SINK, Tape};
use crate::tensor::elementwise::common_shape;
use crate::tensor::shape::{check_axis, check_index};

/// A block of elements that is copied from an operand to a result.
#[derive(Clone, Copy)]
struct Block<'t, F> {
    shape: &'t [usize],
    storage: &'t [F],
    slot: u32,
    from: Layout<'t>,
    /// The place of the block's first element in the result.
    to: usize,
}

impl<'t, F: Scalar, D: Dimension> Node<'t, F, D> {
    /// The block of all elements, to be copied to place `to` of a result.
    fn block(&'t self, to: usize) -> Block<'t, F> {
        Block { shape: self.shape(), storage: self.storage, slot: self.slot, from: self.layout(), to }
    }
}

/// The result of an operation that copies blocks.
struct Assembly<'t, F, D> {
    /// The name of the operation.
    name: &'static str,
    shape: D,
    strides: &'t [isize],
    /// The number where there is no block.
    fill: F,
    /// True if every operand is a constant, which blocks do not show if there is none.
    constant: bool,
}

/// The result that consists of these blocks, which must be disjoint in the result. In the operands they may overlap:
/// `selected` is the range of the adjoints of one operand and the length of its axis, if each block is an index of that
/// axis.
#[track_caller]
fn assemble<'t, F: Scalar, D: Dimension>(
    tape: &'t Tape<F>,
    Assembly { name, shape, strides, fill, constant }: Assembly<'t, F, D>,
    blocks: impl Iterator<Item = Block<'t, F>> + Clone + 't,
    selected: Option<(Range<usize>, usize)>,
) -> Tensor<'t, F, D> {
    let values = tape.arena().values(name, shape.slice(), fill);
    for block in blocks.clone() {
        let to = Layout { offset: block.to, strides };
        kernels::copy(block.shape, block.storage, block.from, values, to);
    }
    let mut sources = blocks.clone().map(|block| OperandInfo { slot: block.slot, shape: block.shape });
    let kind = OperationKind::new(name, [sources.next(), sources.next()]);
    Tensor::result(tape, kind, shape, values, constant, move |cotangents| {
        if let Some((reach, length)) = &selected {
            let blocks = &blocks;
            let pull = |terms: Range<usize>, dy: &[F], adjoints: &mut [F], start| {
                for block in blocks.clone().skip(terms.start).take(terms.len()) {
                    block.pull(strides, dy, adjoints, block.place(start));
                }
            };
            return accumulate_terms(cotangents, reach.clone(), blocks.clone().count(), *length, pull);
        }
        for block in blocks.clone().filter(|block| block.slot != SINK) {
            let (dy, place) = (cotangents.of_result, block.place(0));
            if place.strides.contains(&0) {
                let arena = cotangents.arena;
                let own = arena.alloc_slice_fill_copy(block.shape.iter().product(), F::zero());
                let rows = row_major_strides(block.shape);
                let rows = Layout { offset: 0, strides: &rows };
                block.pull(strides, dy, own, rows);
                accumulate_at(cotangents, block.shape, place, own);
            } else {
                block.pull(strides, dy, cotangents.of_operands.of(place.reach(block.shape)), place);
            }
        }
    })
}

impl<'t, F: Scalar> Block<'t, F> {
    /// The places of the operand's adjoints in a buffer that begins with the adjoint of slot `start`.
    fn place(&self, start: usize) -> Layout<'t> {
        Layout { offset: self.slot as usize + self.from.offset - start, ..self.from }
    }

    /// Adds the cotangents `dy` of the result, whose layout has these strides, to the block's places in a buffer.
    fn pull(&self, strides: &[isize], dy: &[F], adjoints: &mut [F], place: Layout<'_>) {
        kernels::add(self.shape, dy, Layout { offset: self.to, strides }, adjoints, place);
    }
}

/// The row-major strides of this shape of a result, in the tape's arena.
#[track_caller]
fn row_major<'t, F: Scalar>(tape: &'t Tape<F>, operation: &str, shape: &[usize]) -> &'t [isize] {
    count(operation, shape);
    tape.arena().alloc_slice_copy(&row_major_strides(shape))
}

fn row_major_strides(shape: &[usize]) -> SmallVec<[isize; 6]> {
    let mut strides = SmallVec::from_elem(1, shape.len());
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// Operations that copy elements to other places.
impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// The tensor with its elements contiguous in row-major order: the tensor itself, or a copy if need be.
    #[doc(alias("contiguous"))]
    #[track_caller]
    pub fn as_standard_layout(self) -> Self {
        if self.node.as_slice().is_some() {
            return self;
        }
        let strides = row_major(self.tape, "as_standard_layout", self.shape());
        let whole = self.node.block(0);
        let (shape, constant) = (self.dim(), self.is_constant());
        let result = Assembly { name: "as_standard_layout", shape, strides, fill: F::zero(), constant };
        assemble(self.tape, result, std::iter::once(whole), None)
    }

    /// The elements at given indices of an axis, with an index for each element of the result: in two dimensions
    /// z`[i, j]` = x`[indices[i, j], j]` along axis 0 and x`[i, indices[i, j]]` along axis 1.
    /// The cotangents of an element that is taken repeatedly add up.
    ///
    /// numpy's `take_along_axis`. On the other axes `indices` must have the tensor's lengths.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let scores = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let x = tape.tensor(&scores);
    /// let picked = x.gather(Axis(1), &array![[2], [0]]);
    /// assert_eq!(picked.value(), array![[3.0], [4.0]]);
    /// assert_eq!(picked.sum().backward().wrt(x), array![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such axis, the shapes differ in another axis, or an index is out of bounds.
    #[track_caller]
    pub fn gather<S: Data<Elem = usize>>(self, axis: Axis, indices: &ArrayBase<S, D>) -> Self {
        let (tape, node) = (self.tape, self.node);
        let (shape, along) = (self.shape(), axis.index());
        check_axis("gather", axis, shape);
        assert!(
            same_but(along, shape, indices.shape()),
            "gather: indices of shape {:?} do not fit shape {shape:?}: only axis {along} may differ; see `broadcast`",
            indices.shape()
        );
        for &index in indices {
            check_index("gather", axis, index, shape);
        }
        // For each element of the result, the place of its source in the storage.
        let places = tape.arena().values("gather", indices.shape(), 0);
        let layout = node.layout();
        let mut others: SmallVec<[isize; 6]> = layout.strides.into();
        let step = std::mem::take(&mut others[along]);
        let start = Layout { offset: layout.offset, strides: &others };
        let mut rest = places.iter_mut().zip(indices);
        for_each_run(indices.shape(), [start], |n, [first], [other]| {
            for (k, (to, &index)) in rest.by_ref().take(n).enumerate() {
                *to = place(place(first, k, other), index, step);
            }
        });
        let places = &*places;
        let values = tape.arena().alloc_slice_fill_with(places.len(), |i| node.storage[places[i]]);
        let kind = OperationKind::unary("gather", node.source());
        Self::result(tape, kind, indices.raw_dim(), values, node.is_constant(), move |cotangents| {
            accumulate_terms(cotangents, node.reach(), places.len(), node.len(), |terms, dy, adjoints, start| {
                for (&place, &dy) in places[terms.clone()].iter().zip(&dy[terms]) {
                    adjoints[node.slot() + place - start] += dy;
                }
            });
        })
    }

    /// The tensor with elements of the given value added before and after it along each axis: `widths` holds a pair
    /// (before, after) for each axis.
    ///
    /// ```
    /// use wengert::ndarray::array;
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![1.0, 2.0];
    /// let x = tape.tensor(&data);
    /// let padded = x.pad(&[(1, 2)], 9.0);
    /// assert_eq!(padded.value(), array![9.0, 1.0, 2.0, 9.0, 9.0]);
    /// assert_eq!(padded.sum().backward().wrt(x), array![1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is not one pair for each axis, or the result is too large for memory.
    #[track_caller]
    pub fn pad(self, widths: &[(usize, usize)], value: F) -> Self {
        assert!(
            widths.len() == self.ndim(),
            "pad: {} pairs (before, after) are given for shape {:?}, which has {} axes; (0, 0) leaves an axis as it is",
            widths.len(),
            self.shape(),
            self.ndim()
        );
        let mut shape = self.dim();
        for (len, &(before, after)) in shape.slice_mut().iter_mut().zip(widths) {
            *len = len.saturating_add(before).saturating_add(after);
        }
        let strides = row_major(self.tape, "pad", shape.slice());
        let first = widths.iter().zip(strides).map(|(&(before, _), &stride)| before * stride as usize).sum();
        let inner = self.node.block(first);
        let result = Assembly { name: "pad", shape, strides, fill: value, constant: self.is_constant() };
        assemble(self.tape, result, std::iter::once(inner), None)
    }

    /// The elements of the tensor where the mask is true, and those of `other` elsewhere. All three broadcast
    /// to a common shape. numpy's `where(mask, self, other)`.
    ///
    /// An element that is not taken gets no cotangent, so an infinite or undefined derivative before it does no harm.
    ///
    /// ```
    /// use wengert::ndarray::array;
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![-1.0, 0.0, 4.0];
    /// let x = tape.tensor(&data);
    /// let root = x.sqrt().keep_where(&data.mapv(|x| x > 0.0), 0.0);
    /// assert_eq!(root.value(), array![0.0, 0.0, 2.0]);
    /// assert_eq!(root.sum().backward().wrt(x), array![0.0, 0.0, 0.25]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the shapes do not broadcast or the tapes differ.
    #[doc(alias = "masked_fill")]
    #[doc(alias = "where")]
    #[doc(alias = "mask")]
    #[track_caller]
    pub fn keep_where<S, M, R>(self, mask: &ArrayBase<S, M>, other: R) -> Tensor<'t, F, <R::Dim as DimMax<M>>::Output>
    where
        S: Data<Elem = bool>,
        M: Dimension,
        R: Operand<'t, F, D>,
        R::Dim: DimMax<M, Output: 't>,
    {
        const NAME: &str = "keep_where";
        let tape = self.tape;
        let attempt = tape.records().attempt();
        let (a, b) = other.pair(self, NAME, Seal);
        let shape: <R::Dim as DimMax<M>>::Output =
            common_shape(a.shape(), mask.shape(), "keep_where (operands and mask)");
        let (a, b) = (
            Tensor { tape, node: a }.stretched(shape.clone(), NAME),
            Tensor { tape, node: b }.stretched(shape.clone(), NAME),
        );
        let Some(mask) = mask.broadcast(shape.clone()) else {
            unreachable!("the common shape fits the mask too");
        };
        let values = tape.arena().filled(NAME, shape.slice(), mask.len(), F::zero());
        let mask = &*tape.arena().alloc_slice_fill_iter(mask.iter().copied());
        for (node, taken) in [(a, true), (b, false)] {
            for_each_place(node.shape(), node.layout(), |i, place| {
                if mask[i] == taken {
                    values[i] = node.storage[place];
                }
            });
        }
        let constant = a.is_constant() && b.is_constant();
        let kind = OperationKind::binary("keep_where", a.source(), b.source());
        let result = Tensor::result(tape, kind, shape, values, constant, move |cotangents| {
            for (node, taken) in [(a, true), (b, false)] {
                node.accumulate_with(cotangents, |dy, dx| {
                    for ((dx, &dy), _) in dx.iter_mut().zip(dy).zip(mask).filter(|(_, mask)| **mask == taken) {
                        *dx += dy;
                    }
                });
            }
        });
        attempt.keep();
        result
    }
}

/// Calls `f(i, place)` for the i-th element in row-major order and its place in the storage.
#[inline]
fn for_each_place(shape: &[usize], layout: Layout<'_>, mut f: impl FnMut(usize, usize)) {
    let mut done = 0;
    for_each_run(shape, [layout], |n, [first], [step]| {
        for k in 0..n {
            f(done + k, place(first, k, step));
        }
        done += n;
    });
}

impl<F: Scalar, D: RemoveAxis> Tensor<'_, F, D> {
    /// The parts at the given indices of an axis, in that order. The cotangents of a repeated index add up.
    /// numpy's `take`; along axis 0, the look-up of an embedding.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let table = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
    /// let x = tape.tensor(&table);
    /// let rows = x.select(Axis(0), &[2, 0, 2]);
    /// assert_eq!(rows.value(), array![[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]);
    /// assert_eq!(rows.sum().backward().wrt(x), array![[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such axis or an index is out of bounds.
    #[doc(alias("index_select", "take"))]
    #[track_caller]
    pub fn select(self, axis: Axis, indices: &[usize]) -> Self {
        let (tape, along) = (self.tape, axis.index());
        check_axis("select", axis, self.shape());
        for &index in indices {
            check_index("select", axis, index, self.shape());
        }
        let mut shape = self.dim();
        shape[along] = indices.len();
        if let Some(numbers) = self.node.as_slice()
            && self.shape()[..along].iter().all(|&len| len == 1)
        {
            return rows(self, numbers, shape, indices, self.shape()[along]);
        }
        let strides = row_major(tape, "select", shape.slice());
        let part = tape.arena().alloc_slice_copy(self.shape());
        part[along] = 1;
        let whole = Block { shape: part, ..self.node.block(0) };
        let parts = tape.arena().alloc_slice_copy(indices).iter().enumerate().map(move |(i, &index)| Block {
            from: Layout { offset: place(whole.from.offset, index, whole.from.strides[along]), ..whole.from },
            to: i * strides[along] as usize,
            ..whole
        });
        let selected = Some((self.node.reach(), self.shape()[along]));
        let result = Assembly { name: "select", shape, strides, fill: F::zero(), constant: self.is_constant() };
        assemble(tape, result, parts, selected)
    }
}

/// Some of `count` rows of a tensor whose elements are in row-major order: what [`Tensor::select`] does, without a walk for each
/// row.
#[track_caller]
fn rows<'t, F: Scalar, D: Dimension>(
    x: Tensor<'t, F, D>,
    numbers: &'t [F],
    shape: D,
    indices: &[usize],
    count: usize,
) -> Tensor<'t, F, D> {
    let (tape, node) = (x.tape, x.node);
    let len = numbers.len().checked_div(count).unwrap_or(0);
    let values = tape.arena().values("select", shape.slice(), F::zero());
    let indices = &*tape.arena().alloc_slice_copy(indices);
    if len > 0 {
        for (&index, row) in indices.iter().zip(values.chunks_exact_mut(len)) {
            row.copy_from_slice(&numbers[index * len..][..len]);
        }
    }
    let kind = OperationKind::unary("select", node.source());
    let first = node.slot() + node.offset();
    Tensor::result(tape, kind, shape, values, node.is_constant(), move |cotangents| {
        let pull = |terms: Range<usize>, dy: &[F], adjoints: &mut [F], start| {
            let adjoints = &mut adjoints[first - start..];
            let dy = &dy[terms.start * len..terms.end * len];
            kernels::add_to_rows(dy, &indices[terms], len, adjoints);
        };
        accumulate_terms(cotangents, first..first + numbers.len(), indices.len(), count, pull);
    })
}

impl<F: Scalar> Tape<F> {
    /// The tensors joined one after the other along an axis.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let (a, b) = (array![[1.0], [2.0]], array![[3.0, 4.0], [5.0, 6.0]]);
    /// let z = tape.concatenate(Axis(1), &[tape.tensor(&a), tape.constant(&b)]);
    /// assert_eq!(z.value(), array![[1.0, 3.0, 4.0], [2.0, 5.0, 6.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `tensors` is empty, there is no such axis, the shapes differ in another axis, or a tensor is of another tape.
    #[doc(alias("cat", "concat", "hstack", "vstack"))]
    #[track_caller]
    pub fn concatenate<'t, D: RemoveAxis>(&'t self, axis: Axis, tensors: &[Tensor<'t, F, D>]) -> Tensor<'t, F, D> {
        let first = self.first_of("concatenate", tensors);
        let (mut shape, along) = (first.dim(), axis.index());
        check_axis("concatenate", axis, first.shape());
        for (i, tensor) in tensors.iter().enumerate() {
            assert!(
                same_but(along, first.shape(), tensor.shape()),
                "concatenate: tensor {i} has shape {:?}, the first one {:?}: only axis {along} may differ; see `reshape` and `pad`",
                tensor.shape(),
                first.shape()
            );
        }
        shape[along] = tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.shape()[along]));
        self.join("concatenate", axis, shape, tensors)
    }

    /// The tensors, all of one shape, side by side along a new axis, which becomes axis `axis`.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let (a, b) = (array![1.0, 2.0], array![3.0, 4.0]);
    /// let z = tape.stack(Axis(1), &[tape.tensor(&a), tape.tensor(&b)]);
    /// assert_eq!(z.value(), array![[1.0, 3.0], [2.0, 4.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `tensors` is empty, `axis` is greater than the number of axes, the shapes differ, or a tensor is of another
    /// tape.
    #[track_caller]
    pub fn stack<'t, D: Dimension>(&'t self, axis: Axis, tensors: &[Tensor<'t, F, D>]) -> Tensor<'t, F, D::Larger> {
        let first = self.first_of("stack", tensors);
        assert!(
            axis.index() <= first.ndim(),
            "stack: a new axis at {} leaves a gap after the {} axes of shape {:?}",
            axis.index(),
            first.ndim(),
            first.shape()
        );
        for (i, tensor) in tensors.iter().enumerate() {
            assert!(
                tensor.shape() == first.shape(),
                "stack: tensor {i} has shape {:?}, the first one {:?}; see `concatenate` and `broadcast`",
                tensor.shape(),
                first.shape()
            );
        }
        let mut shape = first.insert_axis(axis).dim();
        shape[axis.index()] = tensors.len();
        let slices = self.arena().alloc_slice_fill_iter(tensors.iter().map(|tensor| tensor.insert_axis(axis)));
        self.join("stack", axis, shape, slices)
    }

    /// The result of this shape that holds the tensors one after the other along an axis. Their shapes must fit.
    #[track_caller]
    fn join<'t, D: Dimension>(
        &'t self,
        operation: &'static str,
        axis: Axis,
        shape: D,
        tensors: &[Tensor<'t, F, D>],
    ) -> Tensor<'t, F, D> {
        let strides = row_major(self, operation, shape.slice());
        let mut to = 0;
        let blocks = self.arena().alloc_slice_fill_iter(tensors.iter().map(|tensor| {
            let block = tensor.node.block(to);
            to += block.shape[axis.index()] * strides[axis.index()] as usize;
            block
        }));
        let constant = tensors.iter().all(|tensor| tensor.is_constant());
        let result = Assembly { name: operation, shape, strides, fill: F::zero(), constant };
        assemble(self, result, blocks.iter().copied(), None)
    }

    /// The first tensor. Panics unless there is one and all tensors are on this tape.
    #[track_caller]
    fn first_of<'t, D>(&'t self, operation: &str, tensors: &[Tensor<'t, F, D>]) -> Tensor<'t, F, D> {
        for tensor in tensors {
            if !std::ptr::eq(self, tensor.tape) {
                two_tapes(self, tensor.tape);
            }
        }
        let Some(&first) = tensors.first() else {
            panic!("{operation}: no tensor is given, so the result has no shape; give at least one");
        };
        first
    }

    /// The scalars, among which there may be constants, as a tensor with one axis. [`Tensor::to_vars`] is the inverse.
    ///
    /// ```
    /// use wengert::{Tape, Var, ndarray::array};
    ///
    /// let tape = Tape::new();
    /// let [x, y] = tape.vars([2.0, 3.0]);
    /// let z = tape.stack_vars(&[x * y, -x, Var::constant(1.0)]);
    /// assert_eq!(z.value(), array![6.0, -2.0, 1.0]);
    /// assert_eq!(z.square().sum().backward().wrt([x, y]), [40.0, 24.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If a variable is of another tape.
    #[track_caller]
    pub fn stack_vars<'t>(&'t self, vars: &[Var<'t, F>]) -> Tensor<'t, F, Ix1> {
        for var in vars {
            match var.tape() {
                Some(tape) if !std::ptr::eq(self, tape) => two_tapes(self, tape),
                _ => {}
            }
        }
        let constant = vars.iter().all(|var| var.is_constant());
        let arena = self.arena();
        let attempt = self.records().attempt();
        let values = arena.alloc_slice_fill_iter(vars.iter().map(|var| var.value()));
        let terms = &*arena.alloc_slice_fill_iter(vars.iter().map(|var| var.edge(F::one())));
        let kind = OperationKind::new("stack_vars", [None; 2]);
        let result = Tensor::result(self, kind, Ix1(vars.len()), values, constant, move |cotangents| {
            for (&(slot, weight), &cotangent) in terms.iter().zip(cotangents.of_result) {
                *cotangents.of_operands.at(slot as usize) += cotangent.gated_mul(weight);
            }
        });
        attempt.keep();
        result
    }
}

/// True if two shapes are equal but for the length of one axis.
fn same_but(axis: usize, a: &[usize], b: &[usize]) -> bool {
    a.len() == b.len() && (0..a.len()).all(|i| i == axis || a[i] == b[i])
}
