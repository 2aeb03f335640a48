//! Reading, splitting, shuffling, batching and scaling of examples.
//!
//! ```
//! use ndarray::array;
//! use wengert::data::{self, Batches};
//!
//! let x = array![[0.0, 0.1], [1.0, 1.1], [2.0, 2.1], [3.0, 3.1], [4.0, 4.1]];
//! let mut batches = Batches::new(x.nrows(), 2, 42);
//! let mut buffer = Vec::new();
//! for _epoch in 0..3 {
//!     for rows in batches.shuffle() {
//!         let batch = data::gather_rows(&x, rows, &mut buffer);
//!         assert_eq!(batch.row(0), x.row(rows[0]));
//!     }
//! }
//! ```
//!
//! A seed gives the same order on every machine, for one version of the crate `rand`.
//!
//! # One seed for a whole run
//!
//! Everything random is drawn from a [`StdRng`] that is handed on, or from a seed drawn from it:
//!
//! ```
//! use rand::rngs::StdRng;
//! use rand::{Rng, SeedableRng};
//! use wengert::{data::Batches, init, Params};
//!
//! let mut rng = StdRng::seed_from_u64(42);
//! let mut params = Params::<f32>::new();
//! params.add("w", init::he_normal((8, 4), &mut rng));
//! let batches = Batches::new(1000, 32, rng.random());
//! ```
//!
//! Nothing else is left to chance: the tape, the optimisers and data-parallel training (`Parallel`,
//! for one number of shards) compute the same bits each time on one machine. A run resumed at an
//! epoch calls [`Batches::skip`] with the number of epochs done.
//!
//! Rows in the order of the array are borrowed by ndarray's own
//! [`axis_chunks_iter`](ndarray::ArrayRef::axis_chunks_iter); shuffled ones are gathered into a
//! buffer that is used again.

#[cfg(feature = "io")]
mod csv;
mod scale;

#[cfg(feature = "io")]
pub use csv::{Column, Csv, Table, TableError};
pub use scale::{Scaling, one_hot};

use ndarray::{ArrayBase, ArrayView, Axis, Data, RemoveAxis};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// Mini-batches of the indices 0..len, in an order that [`shuffle`](Self::shuffle) draws anew.
///
/// Every index occurs once in an epoch. The last batch is smaller where `size` does not divide
/// `len`. Nothing is allocated after [`new`](Self::new).
#[derive(Clone, Debug)]
pub struct Batches {
    order: Vec<usize>,
    size: usize,
    rng: StdRng,
}

impl Batches {
    /// Batches of `size` of `len` examples, in ascending order until they are shuffled.
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    #[track_caller]
    pub fn new(len: usize, size: usize, seed: u64) -> Self {
        assert!(size > 0, "Batches: a batch of {len} examples needs a size of at least 1");
        Self { order: (0..len).collect(), size, rng: StdRng::seed_from_u64(seed) }
    }

    /// Draws the orders of some epochs and forgets them: a resumed run goes on as one that was not
    /// interrupted.
    ///
    /// ```
    /// use wengert::data::Batches;
    ///
    /// let (mut whole, mut resumed) = (Batches::new(100, 8, 7), Batches::new(100, 8, 7));
    /// for _ in 0..3 {
    ///     whole.shuffle();
    /// }
    /// resumed.skip(3);
    /// assert!(whole.shuffle().eq(resumed.shuffle()));
    /// ```
    pub fn skip(&mut self, epochs: usize) {
        for _ in 0..epochs {
            let _ = self.shuffle();
        }
    }

    /// Draws a new order, each of the len! equally likely, and gives the batches of this epoch.
    pub fn shuffle(&mut self) -> std::slice::Chunks<'_, usize> {
        self.order.shuffle(&mut self.rng);
        self.iter()
    }

    /// The batches in the present order.
    pub fn iter(&self) -> std::slice::Chunks<'_, usize> {
        self.order.chunks(self.size)
    }

    /// The number of batches in an epoch.
    pub fn len(&self) -> usize {
        self.order.len().div_ceil(self.size)
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl<'a> IntoIterator for &'a Batches {
    type Item = &'a [usize];
    type IntoIter = std::slice::Chunks<'a, usize>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Splits the indices 0..len at random into those of the training and the test set.
///
/// ```
/// let (train, test) = wengert::data::train_test_split(1797, 360, 0);
/// assert_eq!((train.len(), test.len()), (1437, 360));
/// ```
///
/// # Panics
///
/// If `test` is greater than `len`.
#[track_caller]
pub fn train_test_split(len: usize, test: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    assert!(test <= len, "train_test_split: {test} test examples were asked for, there are {len} in all");
    let mut train: Vec<usize> = (0..len).collect();
    train.shuffle(&mut StdRng::seed_from_u64(seed));
    let test = train.split_off(len - test);
    (train, test)
}

/// Copies the given items into `buffer`, whose memory is used again, and gives them as a slice.
///
/// # Panics
///
/// If an index is out of range.
#[track_caller]
pub fn gather<'b, T: Clone>(items: &[T], indices: &[usize], buffer: &'b mut Vec<T>) -> &'b [T] {
    buffer.clear();
    for &index in indices {
        assert!(index < items.len(), "gather: index {index} is out of range for {} items", items.len());
        buffer.push(items[index].clone());
    }
    buffer
}

/// Copies the given rows (subviews along the first axis) into `buffer`, whose memory is used
/// again, and gives them as an array of as many axes.
///
/// # Panics
///
/// If an index is out of range.
#[track_caller]
pub fn gather_rows<'b, T, S, D>(array: &ArrayBase<S, D>, rows: &[usize], buffer: &'b mut Vec<T>) -> ArrayView<'b, T, D>
where
    T: Clone,
    S: Data<Elem = T>,
    D: RemoveAxis,
{
    let mut shape = array.raw_dim();
    buffer.clear();
    for &index in rows {
        assert!(index < shape[0], "gather_rows: row {index} is out of range for shape {:?}", array.shape());
        let row = array.index_axis(Axis(0), index);
        match row.as_slice() {
            Some(row) => buffer.extend_from_slice(row),
            None => buffer.extend(row.iter().cloned()),
        }
    }
    shape[0] = rows.len();
    ArrayView::from_shape(shape, buffer).expect("as many rows of the same length")
}
