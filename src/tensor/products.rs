//! Products of vectors and matrices.

use ndarray::{Dimension, Ix1, Ix2, Ix3};

use super::handle::{Node, Tensor, accumulate_at};
use crate::kernels::{SMALL, SmallProduct, pull_small_product, small_product};
use crate::number::Scalar;
use crate::number::precompiled::precompiled;
use crate::scalar::Var;
use crate::sealed::Seal;
use crate::slices::Layout;
use crate::slices::gemm::{Mat, MatMut, Store, matmul};
use crate::tape::{Cotangents, OperationKind, SINK, Tape};

/// A matrix of some elements of a node: element (i, j) stands in `storage` at
/// `offset + i * strides[0] + j * strides[1]`; `slot` is the slot of `storage[0]`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'t, F> {
    storage: &'t [F],
    slot: u32,
    offset: usize,
    pub(super) shape: [usize; 2],
    strides: [isize; 2],
}

impl<'t, F: Scalar> Matrix<'t, F> {
    /// The matrix whose rows and columns run along these axes of a node; `None` is a new axis of length 1.
    pub(super) fn new<D: Dimension>(node: &Node<'t, F, D>, axes: [Option<usize>; 2]) -> Self {
        let (shape, strides) = (node.shape(), node.values.strides());
        Self {
            storage: node.storage,
            slot: node.slot,
            offset: node.offset(),
            shape: axes.map(|axis| axis.map_or(1, |axis| shape[axis])),
            strides: axes.map(|axis| axis.map_or(1, |axis| strides[axis])),
        }
    }

    pub(super) fn is_constant(self) -> bool {
        self.slot == SINK
    }

    pub(super) fn values(self) -> Mat<'t, F> {
        Mat::new(self.storage, self.offset, self.shape, self.strides)
    }

    /// Adds a·b to the adjoints of the matrix.
    pub(super) fn accumulate(self, cotangents: &mut Cotangents<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>) {
        let [rows, columns] = self.shape;
        if rows * columns == 0 {
            return;
        }
        if self.strides == [columns as isize, 1] {
            let first = self.slot as usize + self.offset;
            let (adjoints, update) = cotangents.of_operands.write(first..first + rows * columns);
            return matmul(MatMut::new(adjoints, first, self.shape, self.strides), a, b, update);
        }
        let place = Layout { offset: self.slot as usize + self.offset, strides: &self.strides };
        let repeats = |axis: usize| self.strides[axis] == 0 && self.shape[axis] > 1;
        if repeats(0) || repeats(1) {
            // Broadcast elements share a slot, but a product may write each place only once.
            let product = cotangents.arena.alloc_slice_fill_copy(rows * columns, F::zero());
            matmul(MatMut::new(product, 0, self.shape, [columns as isize, 1]), a, b, Store::Set);
            accumulate_at(cotangents, &self.shape, place, product);
        } else {
            let reach = place.reach(&self.shape);
            let gapless = reach.len() == rows * columns;
            let (adjoints, update) = if gapless {
                cotangents.of_operands.write(reach)
            } else {
                (cotangents.of_operands.of(reach), Store::Add)
            };
            matmul(MatMut::new(adjoints, place.offset, self.shape, self.strides), a, b, update);
        }
    }
}

/// A product of [`kernels::SmallProduct`]: its operands, and the slots of their first elements, if they have some.
#[derive(Clone, Copy)]
pub(super) struct Small<'t, F> {
    product: SmallProduct<'t, F>,
    slots: [Option<usize>; 2],
}

impl<'t, F: Scalar> Small<'t, F> {
    /// The product of two nodes seen as matrices of shapes [m, k] and [k, n] that fit, if it is small and the elements of both
    /// stand in row-major order.
    #[inline]
    pub(super) fn new<D: Dimension, E: Dimension>(
        x: &Node<'t, F, D>,
        w: &Node<'t, F, E>,
        [m, k, n]: [usize; 3],
    ) -> Option<Self> {
        let count = m.checked_mul(k)?.checked_mul(n)?;
        if !F::IS_FLOAT || count == 0 || count > SMALL {
            return None;
        }
        let product = SmallProduct { x: x.as_slice()?, w: w.as_slice()?, shape: [m, k, n] };
        Some(Self { product, slots: [x.first_slot(), w.first_slot()] })
    }

    /// y += x w
    pub(super) fn add_to(self, y: &mut [F]) {
        small_product(self.product, y);
    }

    /// Adds the cotangents of the bias, whose first slot is `bias`, of x and of w.
    pub(super) fn pull(self, cotangents: &mut Cotangents<'_, F>, dz: &[F], bias: Option<usize>) {
        let [m, k, n] = self.product.shape;
        let [x, w] = self.slots;
        for (slot, len) in [(bias, n), (x, m * k), (w, k * n)] {
            if let Some(first) = slot {
                cotangents.of_operands.of(first..first + len);
            }
        }
        pull_small_product(self.product, dz, cotangents.of_operands.slots(), [bias, x, w]);
    }
}

/// c = a·b for each pair of matrices; the results stand one after the other, in row-major order.
#[track_caller]
fn product<'t, F: Scalar, D: Dimension>(
    tape: &'t Tape<F>,
    kind: OperationKind<'t>,
    shape: D,
    pairs: impl FnOnce() -> &'t [(Matrix<'t, F>, Matrix<'t, F>)],
) -> Tensor<'t, F, D> {
    let values = tape.arena().values(kind.name, shape.slice(), F::zero());
    let pairs = pairs();
    let constant = pairs.iter().all(|(a, b)| a.is_constant() && b.is_constant());
    let Some((a, b)) = pairs.first() else {
        return Tensor::result(tape, kind, shape, values, true, |_| {});
    };
    let [m, n] = [a.shape[0], b.shape[1]];
    for (batch, &(a, b)) in pairs.iter().enumerate() {
        multiply(a, b, &mut values[batch * m * n..][..m * n], Store::Set);
    }
    Tensor::result(tape, kind, shape, values, constant, move |cotangents| {
        let dc = cotangents.of_result;
        for (batch, &pair) in pairs.iter().enumerate() {
            pull_product(cotangents, pair, &dc[batch * m * n..][..m * n]);
        }
    })
}

/// c = a·b of a small product.
#[track_caller]
fn product_of_small<'t, F: Scalar, D: Dimension>(
    tape: &'t Tape<F>,
    kind: OperationKind<'t>,
    shape: D,
    small: Small<'t, F>,
) -> Tensor<'t, F, D> {
    let values = tape.arena().values(kind.name, shape.slice(), F::zero());
    small.add_to(values);
    Tensor::result(tape, kind, shape, values, small.slots == [None; 2], move |cotangents| {
        let dc = cotangents.of_result;
        small.pull(cotangents, dc, None);
    })
}

precompiled! {
    /// The product of two matrices that fit, in row-major order: c = a·b, or c += a·b.
    pub(super) fn multiply<F>(a: Matrix<'_, F>, b: Matrix<'_, F>, c: &mut [F], update: Store) {
        let [m, n] = [a.shape[0], b.shape[1]];
        matmul(MatMut::new(c, 0, [m, n], [n as isize, 1]), a.values(), b.values(), update);
    }

    /// dA += dC Bᵀ, then dB += Aᵀ dC (A and B may share slots); `dc` is in row-major order.
    pub(super) fn pull_product<F>(
        cotangents: &mut Cotangents<'_, F>,
        factors: (Matrix<'_, F>, Matrix<'_, F>),
        dc: &[F],
    ) {
        let (a, b) = factors;
        let [m, n] = [a.shape[0], b.shape[1]];
        let dc = Mat::new(dc, 0, [m, n], [n as isize, 1]);
        if !a.is_constant() {
            a.accumulate(cotangents, dc, b.values().t());
        }
        if !b.is_constant() {
            b.accumulate(cotangents, a.values().t(), dc);
        }
    }
}

/// A pair of tensors, of one or two axes each, that [`Tensor::dot`] can multiply.
#[diagnostic::on_unimplemented(
    message = "`{Self}` and `{Rhs}` have no product by `dot`",
    note = "both are tensors of one or two axes and of one number type; data becomes one by \
            `tape.constant(&array)`; for three axes there is `matmul`, and `into_dimensionality` for dynamic ones"
)]
pub trait Dot<Rhs> {
    /// The type of the product: a [`Var`] for two vectors, else a tensor.
    type Output;
    #[doc(hidden)]
    fn dot(self, rhs: Rhs, _: Seal) -> Self::Output;
}

macro_rules! dot {
    ($D:ty, $E:ty => $Out:ty, $a:expr, $b:expr, $shape:expr, $finish:expr) => {
        impl<'t, F: Scalar> Dot<Tensor<'t, F, $E>> for Tensor<'t, F, $D> {
            type Output = $Out;
            #[track_caller]
            fn dot(self, rhs: Tensor<'t, F, $E>, _: Seal) -> $Out {
                self.assert_same_tape(rhs);
                let of = |shape: &[usize], axis: Option<usize>| axis.map_or(1, |axis| shape[axis]);
                let [m, k] = $a.map(|axis| of(self.shape(), axis));
                let [l, n] = $b.map(|axis| of(rhs.shape(), axis));
                assert!(
                    k == l,
                    "dot: shapes {:?} and {:?} do not multiply: the last axis of the left operand has length {}, \
                     the first of the right one {}; see `t` and `reshape`",
                    self.shape(),
                    rhs.shape(),
                    k,
                    l
                );
                let kind = OperationKind::binary("dot", self.node.source(), rhs.node.source());
                if let Some(small) = Small::new(self.node, rhs.node, [m, k, n]) {
                    #[allow(clippy::redundant_closure_call)]
                    return $finish(product_of_small(self.tape, kind, $shape(m, n), small));
                }
                let (a, b) = (Matrix::new(self.node, $a), Matrix::new(rhs.node, $b));
                #[allow(clippy::redundant_closure_call)]
                $finish(product(self.tape, kind, $shape(m, n), || self.tape.alloc([(a, b)])))
            }
        }
    };
}
dot! { Ix1, Ix1 => Var<'t, F>, [None, Some(0)], [Some(0), None], |_, _| ndarray::Ix0(), |c: Tensor<'t, F, ndarray::Ix0>| c.into_var() }
dot! { Ix1, Ix2 => Tensor<'t, F, Ix1>, [None, Some(0)], [Some(0), Some(1)], |_, n| Ix1(n), |c| c }
dot! { Ix2, Ix1 => Tensor<'t, F, Ix1>, [Some(0), Some(1)], [Some(0), None], |m, _| Ix1(m), |c| c }
dot! { Ix2, Ix2 => Tensor<'t, F, Ix2>, [Some(0), Some(1)], [Some(0), Some(1)], Ix2, |c| c }

impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// The product of vectors and matrices, as in ndarray's `dot`: (k)·(k) is a [`Var`], (k)·(k, n) has
    /// shape (n), (m, k)·(k) has shape (m), (m, k)·(k, n) has shape (m, n).
    ///
    /// Pullbacks of C = AB: dA = dC Bᵀ, dB = Aᵀ dC (Giles 2008, "Collected matrix derivative
    /// results", section 2.2.2). Infinite and NaN elements spread as in plain arithmetic: 0 · ∞ is NaN
    /// here, but 0 in elementwise pullbacks.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let (a, b) = (ndarray::array![[1.0, 2.0], [3.0, 4.0]], ndarray::array![1.0, -1.0]);
    /// let (w, x) = (tape.tensor(&a), tape.tensor(&b));
    /// let loss = w.dot(x).dot(x);
    /// assert_eq!(loss.value(), 0.0);
    /// assert_eq!(loss.backward().wrt(w), ndarray::array![[1.0, -1.0], [-1.0, 1.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the inner lengths k or the tapes differ.
    #[doc(alias("mm", "mv", "einsum"))]
    #[track_caller]
    pub fn dot<Rhs>(self, rhs: Rhs) -> <Self as Dot<Rhs>>::Output
    where
        Self: Dot<Rhs>,
    {
        Dot::dot(self, rhs, Seal)
    }
}

impl<F: Scalar> Tensor<'_, F, Ix2> {
    /// The product of matrices, (m, k) and (k, n): [`dot`](Self::dot) under another name.
    ///
    /// # Panics
    ///
    /// If the inner lengths k or the tapes differ.
    #[track_caller]
    pub fn matmul(self, rhs: Self) -> Self {
        self.dot(rhs)
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix3> {
    /// The matrix product for each index of the first axis: shapes (b, m, k) and (b, k, n) give (b, m, n).
    /// A first axis of length 1 is broadcast.
    ///
    /// ```
    /// use ndarray::Array3;
    /// let tape = wengert::Tape::new();
    /// let (a, b) = (Array3::<f64>::ones((5, 2, 3)), Array3::ones((1, 3, 4)));
    /// let (x, y) = (tape.tensor(&a), tape.tensor(&b));
    /// let z = x.matmul(y);
    /// assert_eq!(z.shape(), [5, 2, 4]);
    /// assert_eq!(z.at([4, 1, 2]).backward().wrt(y).sum(), 3.0);
    /// ```
    ///
    /// # Panics
    ///
    /// If the inner lengths k differ, the lengths of the first axes differ and neither is 1, or the tapes differ.
    #[doc(alias("bmm"))]
    #[track_caller]
    pub fn matmul(self, rhs: Self) -> Self {
        self.assert_same_tape(rhs);
        let (a, b) = (self.node, rhs.node);
        let (left, right) = (a.shape(), b.shape());
        assert!(
            left[2] == right[1] && (left[0] == right[0] || left[0] == 1 || right[0] == 1),
            "matmul: shapes {left:?} and {right:?} do not multiply: it takes (b, m, k) and (b, k, n), with equal b or one of them 1"
        );
        let batches = if left[0] == 1 { right[0] } else { left[0] };
        let matrix = |node: &Node<'t, F, Ix3>, batch: usize| {
            let mut matrix = Matrix::new(node, [Some(1), Some(2)]);
            // The offset of an empty node is 0, whatever its strides, so that steps from there lead nowhere.
            if node.shape()[0] > 1 && node.len() > 0 {
                matrix.offset = crate::slices::place(matrix.offset, batch, node.values.strides()[0]);
            }
            matrix
        };
        let pair = |batch| (matrix(a, batch), matrix(b, batch));
        let pairs = || &*self.tape.arena().alloc_slice_fill_with(batches, pair);
        let kind = OperationKind::binary("matmul", a.source(), b.source());
        product(self.tape, kind, Ix3(batches, left[1], right[2]), pairs)
    }
}
