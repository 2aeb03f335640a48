//! Stacks of matrices: the last two axes are those of a matrix, the axes before them are batch axes.

use ndarray::{Array, Dimension, Ix0, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6, IxDyn};
use num_traits::Float;

use crate::number::Scalar;
use crate::scalar::Var;
use crate::sealed::{Seal, Sealed};
use crate::slices::Defect;
use crate::tensor::LinalgError;
use crate::tensor::handle::Tensor;

/// A dimension of matrices: `Ix2` for one matrix; `Ix3` to `Ix6` and `IxDyn` for a batch, in which the last two axes are
/// those of a matrix and the axes before them count the matrices.
///
/// Needs the feature `linalg`.
pub trait Matrices: Dimension + Columns<Self> + Sealed + 'static {
    /// The dimension of the batch axes alone.
    type Batch: Dimension + 'static;
    /// A number of each matrix: the number itself for `Ix2`, else an array over the batch axes.
    type Each<T>;
    /// A number of each matrix, on the tape: a [`Var`] for `Ix2`, else a tensor over the batch axes.
    type Vars<'t, F: Scalar>;

    #[doc(hidden)]
    fn each<T>(batch: Self::Batch, numbers: Vec<T>, _: Seal) -> Self::Each<T>;
    #[doc(hidden)]
    #[track_caller]
    fn vars<F: Scalar>(numbers: Tensor<'_, F, Self::Batch>, _: Seal) -> Self::Vars<'_, F>;
}

/// A dimension that the right-hand side of linear systems with matrices of dimension `D` can have: the same number of axes
/// for several columns, one axis less for one column.
///
/// Needs the feature `linalg`.
pub trait Columns<D>: Dimension + Sealed + 'static {}

impl Sealed for Ix1 {}
impl Columns<Ix2> for Ix1 {}

impl Sealed for Ix2 {}
impl Columns<Ix2> for Ix2 {}
impl Matrices for Ix2 {
    type Batch = Ix0;
    type Each<T> = T;
    type Vars<'t, F: Scalar> = Var<'t, F>;

    fn each<T>(_: Ix0, numbers: Vec<T>, _: Seal) -> T {
        numbers.into_iter().next().expect("a number of the one matrix")
    }
    #[track_caller]
    fn vars<F: Scalar>(numbers: Tensor<'_, F, Ix0>, _: Seal) -> Var<'_, F> {
        numbers.into_var()
    }
}

macro_rules! batches {
    ($($D:ident: $Batch:ident)+) => { $(
        impl Sealed for $D {}
        impl Columns<$D> for $D {}
        impl Matrices for $D {
            type Batch = $Batch;
            type Each<T> = Array<T, $Batch>;
            type Vars<'t, F: Scalar> = Tensor<'t, F, $Batch>;

            fn each<T>(batch: $Batch, numbers: Vec<T>, _: Seal) -> Array<T, $Batch> {
                Array::from_shape_vec(batch, numbers).expect("a number of each matrix")
            }
            fn vars<F: Scalar>(numbers: Tensor<'_, F, $Batch>, _: Seal) -> Tensor<'_, F, $Batch> {
                numbers
            }
        }
    )+ };
}
batches! { Ix3: Ix1 Ix4: Ix2 Ix5: Ix3 Ix6: Ix4 IxDyn: IxDyn }

macro_rules! columns {
    ($($D:ident: $Smaller:ident)+) => { $( impl Columns<$D> for $Smaller {} )+ };
}
columns! { Ix3: Ix2 Ix4: Ix3 Ix5: Ix4 Ix6: Ix5 }

/// The dimension whose lengths are those of `parts`, one after the other.
pub(super) fn dimension<D: Dimension>(parts: [&[usize]; 2]) -> D {
    let mut dim = D::zeros(parts[0].len() + parts[1].len());
    for (to, from) in dim.slice_mut().iter_mut().zip(parts.concat()) {
        *to = from;
    }
    dim
}

/// The i-th of some arrays of `len` elements, which stand one after the other.
pub(super) fn part<T>(all: &[T], i: usize, len: usize) -> &[T] {
    &all[i * len..][..len]
}

pub(super) fn part_mut<T>(all: &mut [T], i: usize, len: usize) -> &mut [T] {
    &mut all[i * len..][..len]
}

/// The right-hand sides of linear systems beside their matrices.
pub(super) struct Systems<'t, F: Scalar, E> {
    /// The right-hand sides, broadcast along the batch axes.
    pub(super) b: Tensor<'t, F, E>,
    /// The number of right-hand sides of each matrix.
    pub(super) columns: usize,
    /// The index of the matrix of each system.
    pub(super) of_matrix: &'t [usize],
}

impl<'t, F: Scalar, D: Matrices> Tensor<'t, F, D> {
    /// The lengths of the batch axes.
    pub(super) fn batch(self) -> &'t [usize] {
        &self.shape()[..self.ndim() - 2]
    }

    /// The lengths of the batch axes as a dimension.
    pub(super) fn batch_dim(self) -> D::Batch {
        dimension([self.batch(), &[]])
    }

    /// The number of matrices.
    pub(super) fn count(self) -> usize {
        self.batch().iter().product()
    }

    pub(super) fn matrix_shape(self) -> [usize; 2] {
        let shape = self.shape();
        [shape[shape.len() - 2], shape[shape.len() - 1]]
    }

    /// The lengths of a matrix. Panics if there are no two axes.
    #[track_caller]
    pub(super) fn assert_matrices(self, operation: &str) -> [usize; 2] {
        assert!(
            self.ndim() >= 2,
            "{operation}: shape {:?} has no two axes for a matrix; see `insert_axis` and `reshape`",
            self.shape()
        );
        self.matrix_shape()
    }

    /// The order of the matrices. Panics unless they are square.
    #[track_caller]
    pub(super) fn assert_square(self, operation: &str) -> usize {
        let [n, columns] = self.assert_matrices(operation);
        assert!(
            n == columns,
            "{operation}: a matrix of shape [{n}, {columns}] is not square; see `slice`, or `dot` with its transpose"
        );
        n
    }

    /// Panics unless B has as many rows as the matrices, batch axes that go together with theirs, and the same tape.
    #[track_caller]
    pub(super) fn assert_fits<E: Columns<D>>(self, b: Tensor<'t, F, E>, operation: &str) -> Systems<'t, F, E> {
        self.assert_same_tape(b);
        let (left, right, ndim) = (self.shape(), b.shape(), self.ndim());
        assert!(
            right.len() == ndim || right.len() + 1 == ndim,
            "{operation}: shapes {left:?} and {right:?} do not fit: the right-hand side must have as many axes as the \
             matrix, or one less; see `insert_axis`"
        );
        let (batch, rest) = right.split_at(ndim - 2);
        assert!(
            rest[0] == left[ndim - 2],
            "{operation}: shapes {left:?} and {right:?} do not fit: the right-hand side must have as many rows as the \
             matrix; see `t` and `reshape`"
        );
        let own = self.batch();
        let fit = |(&m, &n): (&usize, &usize)| m == n || m == 1 || n == 1;
        assert!(
            own.iter().zip(batch).all(fit),
            "{operation}: shapes {left:?} and {right:?} do not fit: batch axes must have equal lengths, or one of them 1"
        );
        let columns = rest.get(1).copied().unwrap_or(1);
        let arena = self.tape.arena();
        if own == batch {
            return Systems { b, columns, of_matrix: arena.alloc_slice_fill_iter(0..self.count()) };
        }
        let lengths: Vec<usize> = own.iter().zip(batch).map(|(&m, &n)| if m == 1 { n } else { m }).collect();
        let b = b.broadcast(dimension::<E>([&lengths, rest]));
        let indices = Array::from_iter(0..self.count()).into_shape_with_order(IxDyn(own)).expect("as many matrices");
        let of_matrix = indices.broadcast(IxDyn(&lengths)).expect("lengths that fit");
        Systems { b, columns, of_matrix: arena.alloc_slice_fill_iter(of_matrix.iter().copied()) }
    }

    /// Returns an error if an element is not finite, among the elements whose row and column satisfy `counts`.
    pub(super) fn check_finite(
        self,
        operation: &'static str,
        counts: impl Fn(usize, usize) -> bool,
    ) -> Result<(), LinalgError> {
        let [m, n] = self.matrix_shape();
        let bad = |&(place, x): &(usize, &F)| !x.to_base().is_finite() && counts(place / n % m, place % n);
        let found = self.node.values.iter().enumerate().find(bad);
        found.map_or(Ok(()), |(place, _)| {
            let (shape, matrix) = self.named(place / (m * n));
            Err(LinalgError::NotFinite { operation, shape, matrix, index: [place / n % m, place % n] })
        })
    }

    pub(super) fn error(self, operation: &'static str, matrix: usize, defect: Defect) -> LinalgError {
        let (shape, matrix) = self.named(matrix);
        match defect {
            Defect::Pivot(pivot) => LinalgError::Singular { operation, shape, matrix, pivot },
            Defect::Block(order) => LinalgError::NotPositiveDefinite { operation, shape, matrix, order },
            Defect::NoConvergence => LinalgError::NotConverged { operation, shape, matrix },
        }
    }

    /// The shape of a matrix, and its index if it is one of a batch.
    pub(super) fn named(self, matrix: usize) -> ([usize; 2], Option<usize>) {
        (self.matrix_shape(), (self.ndim() > 2).then_some(matrix))
    }
}
