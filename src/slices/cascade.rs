//! Long sums by blocks, whose rounding error grows slowly with the number of terms.

use std::ops::Add;

use num_traits::Zero;

/// The number of terms of a block, and of blocks in a block of blocks.
pub(crate) const BLOCK: usize = 128;

/// A sum of blocks: 128 of them are added up before their sum joins the total.
///
/// A sum of n terms in blocks of 128 takes no term through more than 256 + n/2¹⁴ additions.
#[derive(Clone, Copy)]
pub(crate) struct Cascade<T> {
    start: T,
    count: usize,
    low: T,
    high: T,
}

impl<T: Copy> Cascade<T> {
    /// The sum of no block: `start`, which is neutral in the addition.
    #[inline(always)]
    pub(crate) fn new(start: T) -> Self {
        Self { start, count: 0, low: start, high: start }
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, block: T, plus: impl Fn(T, T) -> T) {
        self.low = plus(self.low, block);
        self.count += 1;
        if self.count.is_multiple_of(BLOCK) {
            self.high = plus(self.high, self.low);
            self.low = self.start;
        }
    }

    #[inline(always)]
    pub(crate) fn total(self, plus: impl Fn(T, T) -> T) -> T {
        plus(self.high, self.low)
    }
}

/// A sum that gets one term at a time and cuts itself into blocks.
#[derive(Clone, Copy)]
pub(crate) struct LongSum<F> {
    count: usize,
    block: F,
    blocks: Cascade<F>,
}

impl<F: Copy + Zero> LongSum<F> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self::from(F::zero())
    }

    /// The sum of no term: `start`, which is neutral in the addition.
    #[inline(always)]
    pub(crate) fn from(start: F) -> Self {
        Self { count: 0, block: start, blocks: Cascade::new(start) }
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, term: F) {
        self.add_block(term, 1);
    }

    /// Adds the sum of some terms, with which the block that is begun has at most [`BLOCK`] terms.
    #[inline(always)]
    pub(crate) fn add_block(&mut self, sum: F, terms: usize) {
        self.block = self.block + sum;
        self.count += terms;
        if terms > 0 && self.count.is_multiple_of(BLOCK) {
            self.blocks.add(self.block, Add::add);
            self.block = self.blocks.start;
        }
    }

    #[inline(always)]
    pub(crate) fn total(self) -> F {
        self.blocks.total(Add::add) + self.block
    }

    /// The sum of all terms of an iterator.
    #[inline]
    pub(crate) fn of(terms: impl IntoIterator<Item = F>) -> F {
        let mut sum = Self::new();
        for term in terms {
            sum.add(term);
        }
        sum.total()
    }
}
