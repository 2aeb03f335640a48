//! Elements at other places: added at indices, repeated, rolled, one side of a diagonal.

use ndarray::{ArrayBase, Axis, Data, Dimension, RemoveAxis};

use super::handle::Tensor;
use super::shape::{check_axis, check_index};
use crate::number::Scalar;
use crate::tape::OperationKind;

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// This tensor with the elements of another added at given indices of an axis, an index for each element: in two
    /// dimensions `[indices[i, j], j]` along axis 0, as [`gather`](Self::gather) reads them. Elements of one index add up.
    ///
    /// PyTorch's `scatter_add`. On the other axes `source` must have this tensor's lengths.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![[1.0, 2.0], [3.0, 4.0]];
    /// let x = tape.tensor(&data);
    /// let y = tape.zeros((1, 2)).scatter_add(Axis(0), &array![[0, 0], [0, 0]], x);
    /// assert_eq!(y.value(), array![[4.0, 6.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such axis, the shapes do not fit, an index is out of bounds, or the tapes differ.
    #[track_caller]
    pub fn scatter_add<S: Data<Elem = usize>>(self, axis: Axis, indices: &ArrayBase<S, D>, source: Self) -> Self {
        const NAME: &str = "scatter_add";
        check_axis(NAME, axis, self.shape());
        let fits = |(i, (&a, &b)): (usize, (&usize, &usize))| i == axis.index() || a == b;
        assert!(
            indices.shape() == source.shape() && self.shape().iter().zip(indices.shape()).enumerate().all(fits),
            "{NAME}: indices of shape {:?} and a source of {:?} do not fit a tensor of {:?} along axis {}: indices have the \
             shape of the source, and lengths beside the axis are those of the tensor",
            indices.shape(),
            source.shape(),
            self.shape(),
            axis.index()
        );
        let mut indices = indices.iter();
        self.add_at(NAME, axis, source, |_| *indices.next().expect("an index for each element"))
    }

    /// This tensor with the parts of another added at the given indices of an axis; the opposite of
    /// [`select`](Self::select). Parts of one index add up.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let rows = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
    /// let x = tape.tensor(&rows);
    /// // The sums of rows 0 and 2 and of row 1.
    /// let y = tape.zeros((2, 2)).index_add(Axis(0), &[0, 1, 0], x);
    /// assert_eq!(y.value(), array![[6.0, 8.0], [3.0, 4.0]]);
    /// assert_eq!(y.at([0, 1]).backward().wrt(x), array![[0.0, 1.0], [0.0, 0.0], [0.0, 1.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such axis, the shapes do not fit, there is not an index for each part, one is out of bounds, or the
    /// tapes differ.
    #[doc(alias("segment_sum", "scatter"))]
    #[track_caller]
    pub fn index_add(self, axis: Axis, indices: &[usize], source: Self) -> Self {
        const NAME: &str = "index_add";
        check_axis(NAME, axis, self.shape());
        let fits = |(i, (&a, &b)): (usize, (&usize, &usize))| i == axis.index() || a == b;
        assert!(
            source.shape()[axis.index()] == indices.len()
                && self.shape().iter().zip(source.shape()).enumerate().all(fits),
            "{NAME}: {} indices and a source of shape {:?} do not fit a tensor of {:?} along axis {}: there is an index for \
             each part of the source, whose lengths beside the axis are those of the tensor",
            indices.len(),
            source.shape(),
            self.shape(),
            axis.index()
        );
        self.add_at(NAME, axis, source, |part| indices[part])
    }

    /// Adds the elements of `source` at the indices of an axis; `index(k)` is that of the next element in row-major order,
    /// which stands at index k of the source.
    #[track_caller]
    fn add_at(self, name: &'static str, axis: Axis, source: Self, mut index: impl FnMut(usize) -> usize) -> Self {
        self.assert_same_tape(source);
        let (tape, along) = (self.tape, axis.index());
        let attempt = tape.records().attempt();
        let inner: usize = self.shape()[along + 1..].iter().product();
        let [n, parts] = [self, source].map(|x| x.shape()[along]);
        let to = &*tape.arena().alloc_slice_fill_with(source.len(), |i| {
            let index = index(i / inner % parts);
            check_index(name, axis, index, self.shape());
            (i / (inner * parts) * n + index) * inner + i % inner
        });
        let values = tape.arena().values(name, self.shape(), F::zero());
        values.copy_from_slice(self.node.to_slice(tape, name));
        for (&to, &x) in to.iter().zip(source.node.to_slice(tape, name)) {
            values[to] += x;
        }
        let (a, b) = (self.node, source.node);
        let kind = OperationKind::binary(name, a.source(), b.source());
        let constant = a.is_constant() && b.is_constant();
        let result = Tensor::result(tape, kind, self.dim(), values, constant, move |cotangents| {
            a.accumulate_with(cotangents, |dy, dx| {
                for (dx, &dy) in dx.iter_mut().zip(dy) {
                    *dx += dy;
                }
            });
            b.accumulate_with(cotangents, |dy, dx| {
                for (dx, &to) in dx.iter_mut().zip(to) {
                    *dx += dy[to];
                }
            });
        });
        attempt.keep();
        result
    }

    /// The elements on and below the diagonal of the last two axes, and 0 above it. The diagonal is the `offset`-th above the
    /// main one, or below it if the offset is negative.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
    /// assert_eq!(tape.tensor(&data).tril(0).value(), ndarray::array![[1.0, 0.0], [3.0, 4.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are less than two axes.
    #[track_caller]
    pub fn tril(self, offset: isize) -> Self {
        self.side("tril", move |row, column| column - row <= offset)
    }

    /// The elements on and above the diagonal of the last two axes, and 0 below it: see [`tril`](Self::tril).
    ///
    /// # Panics
    ///
    /// If there are less than two axes.
    #[track_caller]
    pub fn triu(self, offset: isize) -> Self {
        self.side("triu", move |row, column| column - row >= offset)
    }

    #[track_caller]
    fn side(self, name: &'static str, is_kept: impl Fn(isize, isize) -> bool + Copy + 't) -> Self {
        let &[.., rows, columns] = self.shape() else {
            panic!("{name}: a tensor of shape {:?} has no two axes, so no diagonal", self.shape());
        };
        let is_kept = move |i: usize| is_kept((i / columns % rows) as isize, (i % columns) as isize);
        let (tape, node) = (self.tape, self.node);
        let values = tape.arena().values(name, self.shape(), F::zero());
        for (i, (y, &x)) in values.iter_mut().zip(node.to_slice(tape, name)).enumerate() {
            if is_kept(i) {
                *y = x;
            }
        }
        let kind = OperationKind::unary(name, node.source());
        Tensor::result(tape, kind, self.dim(), values, node.is_constant(), move |cotangents| {
            node.accumulate_with(cotangents, |dy, dx| {
                for (i, (dx, &dy)) in dx.iter_mut().zip(dy).enumerate() {
                    if is_kept(i) {
                        *dx += dy;
                    }
                }
            });
        })
    }
}

impl<F: Scalar, D: RemoveAxis> Tensor<'_, F, D> {
    /// Each part along an axis n times in a row, as numpy's `repeat`; for another order see [`select`](Self::select).
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![1.0, 2.0];
    /// let x = tape.tensor(&data);
    /// assert_eq!(x.repeat(Axis(0), 2).value(), array![1.0, 1.0, 2.0, 2.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such axis.
    #[doc(alias("repeat_interleave"))]
    #[track_caller]
    pub fn repeat(self, axis: Axis, n: usize) -> Self {
        check_axis("repeat", axis, self.shape());
        let indices: Vec<usize> = (0..self.shape()[axis.index()] * n).map(|i| i / n).collect();
        self.select(axis, &indices)
    }

    /// The elements moved along an axis by `shift` places, those that leave at one end enter at the other.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![1.0, 2.0, 3.0];
    /// let x = tape.tensor(&data);
    /// assert_eq!(x.roll(Axis(0), 1).value(), array![3.0, 1.0, 2.0]);
    /// assert_eq!(x.roll(Axis(0), -1).value(), array![2.0, 3.0, 1.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such axis.
    #[track_caller]
    pub fn roll(self, axis: Axis, shift: isize) -> Self {
        check_axis("roll", axis, self.shape());
        let n = self.shape()[axis.index()];
        if n == 0 {
            return self;
        }
        let (first, last) = self.split_at(axis, (-shift).rem_euclid(n as isize) as usize);
        self.tape().concatenate(axis, &[last, first])
    }
}
