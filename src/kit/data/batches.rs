//! Mini-batches of shuffled examples, and copies of their rows.

use std::iter::FusedIterator;
use std::ops::Range;
use std::slice::Chunks;

use ndarray::{ArrayBase, ArrayView, Axis, Data, RemoveAxis};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;

use super::rows::indices;

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
    shard: Shard,
    rng: ChaCha12Rng,
}

/// A part of each batch, by its number among all parts.
#[derive(Clone, Copy, Debug)]
struct Shard {
    rank: usize,
    ranks: usize,
}

impl Batches {
    /// Batches of `size` out of `len` examples, in ascending order until the first [`shuffle`](Self::shuffle).
    ///
    /// # Panics
    ///
    /// If `size` is 0, or there is no memory for the indices of all examples.
    #[track_caller]
    pub fn new(len: usize, size: usize, seed: u64) -> Self {
        assert!(size > 0, "Batches: a batch of {len} examples needs a size of at least 1");
        let (order, shard) = (indices("Batches", len), Shard { rank: 0, ranks: 1 });
        Self { order, size, used: len, shard, rng: ChaCha12Rng::seed_from_u64(seed) }
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

    /// Keeps of each batch the part of one process among several that train one model: `rank` of `ranks` neighbouring
    /// [parts](part).
    ///
    /// Every process makes the same batches, from the same seed, and keeps its own part. The parts of all ranks together are
    /// the batches of a single process, whose `size` stays that of a whole batch. Weighted by their numbers of examples, the
    /// mean gradients of the parts have the gradient of the whole batch as their mean.
    ///
    /// All ranks have equally many batches. Only of a smaller last batch can a part be empty, if there are more ranks than
    /// examples in it: the last ranks then get an empty slice, compute nothing and have weight 0 in that mean.
    /// [`drop_last`](Self::drop_last) leaves such a batch out.
    ///
    /// ```
    /// use wengert::data::Batches;
    ///
    /// let batches = Batches::new(9, 4, 0);
    /// let shards = [0, 1].map(|rank| batches.clone().shard(rank, 2));
    /// let [first, second] = shards.each_ref().map(|shard| shard.iter().collect::<Vec<_>>());
    /// assert_eq!(first, [&[0, 1][..], &[4, 5], &[8]]);
    /// assert_eq!(second, [&[2, 3][..], &[6, 7], &[]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `rank` is not less than `ranks`, or a whole batch has fewer examples than there are ranks.
    #[track_caller]
    #[must_use]
    pub fn shard(self, rank: usize, ranks: usize) -> Self {
        assert!(rank < ranks, "Batches::shard: there is no rank {rank} among {ranks}, which are counted from 0");
        assert!(
            ranks <= self.size,
            "Batches::shard: batches of {} examples leave some of {ranks} ranks without any; give larger batches, or use \
             fewer ranks",
            self.size
        );
        Self { shard: Shard { rank, ranks }, ..self }
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
    pub fn shuffle(&mut self) -> Epoch<'_> {
        self.order.shuffle(&mut self.rng);
        self.iter()
    }

    /// The batches in the current order.
    pub fn iter(&self) -> Epoch<'_> {
        Epoch { batches: self.order[..self.used].chunks(self.size), shard: self.shard }
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
    type IntoIter = Epoch<'a>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The batches of one epoch, as slices of indices: what [`Batches::shuffle`] and [`Batches::iter`] return.
#[derive(Clone, Debug)]
pub struct Epoch<'a> {
    batches: Chunks<'a, usize>,
    shard: Shard,
}

impl<'a> Iterator for Epoch<'a> {
    type Item = &'a [usize];
    fn next(&mut self) -> Option<&'a [usize]> {
        self.batches.next().map(|batch| self.shard.of(batch))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint()
    }
    fn nth(&mut self, n: usize) -> Option<&'a [usize]> {
        self.batches.nth(n).map(|batch| self.shard.of(batch))
    }
}

impl DoubleEndedIterator for Epoch<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.batches.next_back().map(|batch| self.shard.of(batch))
    }
}

impl ExactSizeIterator for Epoch<'_> {}
impl FusedIterator for Epoch<'_> {}

impl Shard {
    fn of(self, batch: &[usize]) -> &[usize] {
        &batch[part(batch.len(), self.ranks, self.rank)]
    }
}

/// The range of one part of 0..len, cut into `parts` neighbouring parts of ⌊len / parts⌋ elements or, the first ones, one
/// more.
///
/// ```
/// use wengert::data::part;
///
/// assert_eq!([0, 1, 2].map(|index| part(8, 3, index)), [0..3, 3..6, 6..8]);
/// assert_eq!([0, 1, 2].map(|index| part(2, 3, index)), [0..1, 1..2, 2..2]);
/// ```
///
/// # Panics
///
/// If `index` is not less than `parts`.
#[track_caller]
pub fn part(len: usize, parts: usize, index: usize) -> Range<usize> {
    assert!(index < parts, "part: there is no part {index} among {parts}, which are counted from 0");
    let start = |index: usize| index * (len / parts) + index.min(len % parts);
    start(index)..start(index + 1)
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
