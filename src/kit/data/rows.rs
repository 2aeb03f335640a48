//! The rows of a batch from several arrays at once.

use ndarray::{Array, ArrayBase, Axis, Data, RemoveAxis};

use crate::arena::room;
use crate::sealed::Seal;

/// The examples with these indices: of an array along its first axis, of a slice, or of each in a tuple of both.
///
/// The result is owned. [`gather_rows`](super::gather_rows) reuses a buffer instead.
///
/// ```
/// use ndarray::array;
/// use wengert::data::{Batches, select};
///
/// let x = array![[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]];
/// let labels = [0_usize, 1, 2];
/// for rows in Batches::new(3, 2, 0).shuffle() {
///     let (x, labels) = select((&x, &labels), rows);
///     assert_eq!(x.column(0).mapv(|x| x as usize).to_vec(), labels);
/// }
/// ```
///
/// # Panics
///
/// If an index is out of range.
#[track_caller]
pub fn select<E: Examples>(examples: E, rows: &[usize]) -> E::Selected {
    examples.rows(rows, Seal)
}

/// The argument of [`select`]: a reference to an array, a slice or a vector, or a tuple of up to four of these.
pub trait Examples {
    /// The owned examples.
    type Selected;
    #[doc(hidden)]
    fn rows(self, rows: &[usize], _: Seal) -> Self::Selected;
}

impl<S: Data<Elem: Clone>, D: RemoveAxis> Examples for &ArrayBase<S, D> {
    type Selected = Array<S::Elem, D>;
    #[track_caller]
    fn rows(self, rows: &[usize], _: Seal) -> Self::Selected {
        let len = self.len_of(Axis(0));
        assert_in_range(rows, len);
        self.select(Axis(0), rows)
    }
}

macro_rules! slices {
    ($([$($N:tt)*] $Slice:ty),+) => { $(
        impl<T: Clone, $($N)*> Examples for &$Slice {
            type Selected = Vec<T>;
            #[track_caller]
            fn rows(self, rows: &[usize], _: Seal) -> Vec<T> {
                assert_in_range(rows, self.len());
                rows.iter().map(|&row| self[row].clone()).collect()
            }
        }
    )+ };
}
slices! { [] [T], [const N: usize] [T; N], [] Vec<T> }

macro_rules! tuples {
    ($($($E:ident)+;)+) => { $(
        impl<$($E: Examples),+> Examples for ($($E,)+) {
            type Selected = ($($E::Selected,)+);
            #[track_caller]
            fn rows(self, rows: &[usize], _: Seal) -> Self::Selected {
                #[allow(non_snake_case)]
                let ($($E,)+) = self;
                ($($E.rows(rows, Seal),)+)
            }
        }
    )+ };
}
tuples! { A; A B; A B C; A B C D; }

#[track_caller]
fn assert_in_range(rows: &[usize], len: usize) {
    if let Some(row) = rows.iter().find(|row| **row >= len) {
        panic!("select: index {row} is out of range for {len} examples");
    }
}

/// The indices of all examples, for an operation, which the message names if there is no memory for them.
#[track_caller]
pub(super) fn indices(operation: &str, len: usize) -> Vec<usize> {
    let mut indices = room(operation, &[len]);
    indices.extend(0..len);
    indices
}
