//! Mini-batches of shuffled examples, and random splits into training and test set.

use ndarray::{ArrayBase, ArrayView, Axis, Data, RemoveAxis};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;

/// Mini-batches of the indices 0..len, in an order that [`shuffle`](Self::shuffle) draws anew.
///
/// Every index occurs once in an epoch. The last batch is smaller if `size` does not divide `len`, unless
/// [`drop_last`](Self::drop_last) leaves it out. Nothing is allocated after [`new`](Self::new).
#[derive(Debug)]
pub struct Batches {
    order: Vec<usize>,
    size: usize,
    /// The number of examples in an epoch: the first ones of `order`.
    used: usize,
    rng: ChaCha12Rng,
}

impl Batches {
    /// Batches of `size` out of `len` examples, in ascending order until the first [`shuffle`](Self::shuffle).
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    #[track_caller]
    pub fn new(len: usize, size: usize, seed: u64) -> Self {
        assert!(size > 0, "Batches: a batch of {len} examples needs a size of at least 1");
        Self { order: (0..len).collect(), size, used: len, rng: ChaCha12Rng::seed_from_u64(seed) }
    }

    /// Sets whether a last batch that is smaller than the others is left out, as a [`BatchNorm`](crate::nn::BatchNorm) needs
    /// if that batch has one example. Each epoch leaves out other examples.
    ///
    /// ```
    /// use wengert::data::Batches;
    ///
    /// let mut batches = Batches::new(9, 4, 0).drop_last(true);
    /// assert_eq!(batches.len(), 2);
    /// assert!(batches.shuffle().all(|batch| batch.len() == 4));
    /// ```
    ///
    /// # Panics
    ///
    /// If there are examples, but not enough for one whole batch.
    #[track_caller]
    #[must_use]
    pub fn drop_last(self, drop_last: bool) -> Self {
        let (len, size) = (self.order.len(), self.size);
        assert!(
            !drop_last || len == 0 || len >= size,
            "Batches::drop_last: {len} examples do not fill one batch of {size}, and every epoch would be empty"
        );
        Self { used: if drop_last { len - len % size } else { len }, ..self }
    }

    /// Draws and discards the orders of a number of epochs, so that a resumed run continues as an uninterrupted one.
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

    /// Draws a new order, each of the len! orders equally likely, and returns the batches of the new epoch.
    pub fn shuffle(&mut self) -> std::slice::Chunks<'_, usize> {
        self.order.shuffle(&mut self.rng);
        self.iter()
    }

    /// The batches in the current order.
    pub fn iter(&self) -> std::slice::Chunks<'_, usize> {
        self.order[..self.used].chunks(self.size)
    }

    /// The number of batches in an epoch.
    pub fn len(&self) -> usize {
        self.used.div_ceil(self.size)
    }

    /// True if there are no examples.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl Clone for Batches {
    fn clone(&self) -> Self {
        // A generator is no `Clone`, so that nobody draws the same numbers twice by mistake; its state can be copied.
        let rng = ChaCha12Rng::deserialize_state(&self.rng.serialize_state());
        Self { order: self.order.clone(), rng, ..*self }
    }
}

impl<'a> IntoIterator for &'a Batches {
    type Item = &'a [usize];
    type IntoIter = std::slice::Chunks<'a, usize>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Splits the indices 0..len at random into those of a training set and those of a set of `test` test examples.
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
    train.shuffle(&mut ChaCha12Rng::seed_from_u64(seed));
    let test = train.split_off(len - test);
    (train, test)
}

/// Copies the given items into `buffer` and returns them as a slice. The memory of the buffer is reused.
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

/// Copies the given rows (subviews along the first axis) into `buffer` and returns them as an array with the same
/// number of axes. The memory of the buffer is reused.
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
