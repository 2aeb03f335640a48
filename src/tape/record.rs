//! Scalar records: their encoding, the one reader of it, and the memory they stand in.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use num_traits::ToPrimitive;

use crate::number::Scalar;

/// The slot that stands for "no parent"; nothing reads its adjoint.
pub(crate) const SINK: u32 = 0;

/// The number of slots: a slot has 31 bits, because the top bit of a parent marks a wide record.
const MAX_SLOTS: usize = 1 << 31;

/// In `parents[1]`: this record heads a wide one.
const WIDE: u32 = 1 << 31;

/// In `parents[1]`, beside [`WIDE`]: this record is a sum.
const SUM: u32 = 1 << 30;

/// The bits of `parents[1]` that count cells or summands.
const COUNT: u32 = SUM - 1;

/// One scalar operation: a row of the Jacobian with at most two entries, unless the record is wide.
///
/// A wide record (n > 2 parents) is a head whose first entry is an ordinary one and whose second
/// parent is `WIDE | cells`; its other entries stand in the `cells` records before it. The slots
/// of those cells stay unused and their adjoints zero, so a sweep that meets them adds nothing.
///
/// The sum of a [`Progression`] has the parents `[first, WIDE | SUM | len]` and the partials `[stride, 0]`.
///
/// Every parent is below the record's own slot: the sweep relies on that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<F> {
    parents: [u32; 2],
    partials: [F; 2],
}

/// Slots in arithmetic progression.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progression {
    pub(crate) first: u32,
    pub(crate) stride: u32,
    pub(crate) len: u32,
}

impl Progression {
    /// The largest stride that fits the mantissa of an f32.
    pub(crate) const MAX_STRIDE: u32 = 1 << 20;

    pub(crate) fn slots(self) -> impl DoubleEndedIterator<Item = u32> {
        (0..self.len).map(move |i| self.first + i * self.stride)
    }
}

/// The entries of one scalar operation: its parents and partials.
#[derive(Clone, Copy)]
pub(crate) enum Entries<'a, F> {
    /// Two parents with their partials; the sink stands for a missing one.
    Pair([u32; 2], [F; 2]),
    /// One entry, and two more for each cell.
    Wide((u32, F), &'a [Record<F>]),
    /// The slots of a sum, each with partial 1.
    Sum(Progression),
}

impl<F: Scalar> Record<F> {
    #[inline(always)]
    pub(crate) fn pair(parents: [u32; 2], partials: [F; 2]) -> Self {
        Self { parents, partials }
    }

    /// The head of a wide record of `cells` cells.
    #[inline(always)]
    fn head((slot, partial): (u32, F), cells: u32) -> Self {
        Self { parents: [slot, WIDE | cells], partials: [partial, F::zero()] }
    }

    fn sum(of: Progression) -> Self {
        Self { parents: [of.first, WIDE | SUM | of.len], partials: [F::lit(f64::from(of.stride)), F::zero()] }
    }

    /// The entries of the last of some records, and the number of cells before it that are part of it.
    #[inline(always)]
    fn entries<'a>(&self, before: &'a [Self]) -> (Entries<'a, F>, usize) {
        let [p, q] = self.parents;
        if q & WIDE == 0 {
            return (Entries::Pair(self.parents, self.partials), 0);
        }
        let (count, partial) = ((q & COUNT) as usize, self.partials[0]);
        if q & SUM == 0 {
            return (Entries::Wide((p, partial), &before[before.len() - count..]), count);
        }
        let stride = partial.to_base().to_u32().expect("`Record::sum` wrote it");
        (Entries::Sum(Progression { first: p, stride, len: count as u32 }), 0)
    }

    /// Both entries of a cell.
    #[inline(always)]
    pub(crate) fn cell(&self) -> ([u32; 2], [F; 2]) {
        (self.parents, self.partials)
    }
}

impl<'a, F: Scalar> Entries<'a, F> {
    /// Parents and partials, two and two as the records hold them.
    pub(crate) fn pairs(self) -> impl Iterator<Item = ([u32; 2], [F; 2])> + 'a {
        let (first, cells, sum) = match self {
            Self::Pair(parents, partials) => (Some((parents, partials)), &[][..], Progression::default()),
            Self::Wide((p, d), cells) => (Some(([p, SINK], [d, F::zero()])), cells, Progression::default()),
            Self::Sum(sum) => (None, &[][..], sum),
        };
        let sum = sum.slots().map(|slot| ([slot, SINK], [F::one(), F::zero()]));
        first.into_iter().chain(sum).chain(cells.iter().map(Record::cell))
    }

    /// (parent, partial) of every parent but the sink.
    pub(crate) fn terms(self) -> impl Iterator<Item = (u32, F)> + 'a {
        let single = |([p, q], [d, e]): ([u32; 2], [F; 2])| [(p, d), (q, e)];
        self.pairs().flat_map(single).filter(|&(slot, _)| slot != SINK)
    }
}

/// The scalar operations of some records with their index, the last one first; cells come with their
/// head only.
#[inline(always)]
pub(crate) fn backward<F: Scalar>(records: &[Record<F>]) -> Backward<'_, F> {
    Backward { left: records }
}

/// See [`backward`].
pub(crate) struct Backward<'a, F> {
    left: &'a [Record<F>],
}

impl<'a, F: Scalar> Iterator for Backward<'a, F> {
    type Item = (usize, Entries<'a, F>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (head, before) = self.left.split_last()?;
        let (entries, cells) = head.entries(before);
        self.left = &before[..before.len() - cells];
        Some((before.len(), entries))
    }
}

/// The scalar operations of some records with their index, in order; cells come with their head only.
pub(crate) fn operations<F: Scalar>(records: &[Record<F>]) -> impl ExactSizeIterator<Item = (usize, Entries<'_, F>)> {
    backward(records).collect::<Vec<_>>().into_iter().rev()
}

/// The scalar operations of some records in order. Cells come as operations of their own too, which
/// nothing refers to.
#[inline(always)]
pub(crate) fn forward<F: Scalar>(records: &[Record<F>]) -> impl DoubleEndedIterator<Item = (usize, Entries<'_, F>)> {
    records.iter().enumerate().map(|(i, head)| (i, head.entries(&records[..i]).0))
}

/// The memory of a tape's records, and the supply of slots that records share with inputs and tensors.
///
/// The invariant: `memory` is the pointer and the capacity of a vector of records, the first
/// `next - offset` of which are written; `base` is where the record of slot 0 would stand if every slot
/// were a record's, so the record of slot s >= `offset` belongs at `base + s`; a slot below `limit` has
/// its place inside the memory. [`relocate`](Self::relocate) derives `base` and `limit` from the rest.
pub(crate) struct Records<F> {
    memory: Cell<(NonNull<Record<F>>, usize)>,
    base: Cell<*mut Record<F>>,
    /// The slot to be given next.
    next: Cell<u32>,
    /// The slot at which the memory, or the supply of slots, ends.
    limit: Cell<u32>,
    /// `next` less the number of records.
    offset: Cell<u32>,
    /// Records are being read.
    locked: Cell<bool>,
}

impl<F> Drop for Records<F> {
    fn drop(&mut self) {
        drop(ManuallyDrop::into_inner(self.vector()));
    }
}

impl<F> Records<F> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let records = Self {
            memory: Cell::new((NonNull::dangling(), 0)),
            base: Cell::new(std::ptr::null_mut()),
            next: Cell::new(0),
            limit: Cell::new(0),
            offset: Cell::new(0),
            locked: Cell::new(false),
        };
        records.set_vector(ManuallyDrop::new(Vec::with_capacity(capacity)));
        records
    }

    /// The number of slots given.
    #[inline(always)]
    pub(crate) fn slots(&self) -> usize {
        self.next.get() as usize
    }

    /// The number of records.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        (self.next.get() - self.offset.get()) as usize
    }

    /// Appends a record and returns its slot.
    #[inline(always)]
    pub(crate) fn push(&self, parents: [u32; 2], partials: [F; 2]) -> u32 {
        self.write(Record { parents, partials })
    }

    #[inline(always)]
    fn write(&self, record: Record<F>) -> u32 {
        let slot = self.next.get();
        if slot == self.limit.get() {
            self.grow(1);
        }
        debug_assert!(record.parents[0] < slot && (record.parents[1] < slot || record.parents[1] & WIDE != 0));
        // SAFETY: below `limit`, `base + slot` is a place in the memory (the invariant), and nothing
        // holds a reference to the records but `read`, which does not come here. See M1 in
        // docs/MEASUREMENTS.md for what `Vec::push` in a `RefCell` costs.
        unsafe { self.base.get().wrapping_add(slot as usize).write(record) };
        self.next.set(slot + 1);
        slot
    }

    /// Makes room for more records and checks that there are slots for them.
    #[cold]
    #[inline(never)]
    fn grow(&self, more: usize) {
        self.assert_unlocked();
        assert_room(self.slots(), more);
        let mut records = self.vector();
        records.reserve(more.max(64));
        self.set_vector(records);
    }

    /// The written records as the vector they are; it must go back by [`set_vector`](Self::set_vector).
    fn vector(&self) -> ManuallyDrop<Vec<Record<F>>> {
        let (start, capacity) = self.memory.get();
        // SAFETY: pointer and capacity are a vector's, and the first `len` elements are written (the
        // invariant).
        ManuallyDrop::new(unsafe { Vec::from_raw_parts(start.as_ptr(), self.len(), capacity) })
    }

    fn set_vector(&self, mut records: ManuallyDrop<Vec<Record<F>>>) {
        let start = NonNull::new(records.as_mut_ptr()).expect("a vector's pointer is not null");
        self.memory.set((start, records.capacity()));
        self.relocate();
    }

    /// Derives `base` and `limit` from `memory` and `offset`.
    #[inline(always)]
    fn relocate(&self) {
        let ((start, capacity), offset) = (self.memory.get(), self.offset.get() as usize);
        self.base.set(start.as_ptr().wrapping_sub(offset));
        self.limit.set((offset + capacity).min(MAX_SLOTS) as u32);
    }

    /// The first of `len` slots that are no record's.
    pub(crate) fn take_slots(&self, len: usize) -> u32 {
        let first = self.next.get();
        assert_room(first as usize, len);
        self.next.set(first + len as u32);
        self.offset.set(self.offset.get() + len as u32);
        self.relocate();
        first
    }

    /// Forgets every record and every slot but the sink's.
    pub(crate) fn clear(&self) {
        self.next.set(1);
        self.offset.set(1);
        self.relocate();
    }

    /// Reads the records; recording meanwhile panics.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&[Record<F>]) -> T) -> T {
        struct Unlock<'a, F>(&'a Records<F>, bool, u32);
        impl<F> Drop for Unlock<'_, F> {
            fn drop(&mut self) {
                self.0.locked.set(self.1);
                self.0.limit.set(self.2);
            }
        }
        // A pullback of the user's may reach the tape. Without room `write` goes to `grow`, which
        // refuses; everything else that records asks `assert_unlocked` first.
        let _unlock = Unlock(self, self.locked.replace(true), self.limit.get());
        self.limit.set(self.next.get());
        f(&self.vector())
    }

    pub(crate) fn assert_unlocked(&self) {
        assert!(!self.locked.get(), "a pullback must not record on the tape that is being swept; use another tape");
    }
}

impl<F: Scalar> Records<F> {
    /// Appends a record of N terms (slot, partial) and returns its slot.
    #[inline(always)]
    pub(crate) fn push_row<const N: usize>(&self, terms: [(u32, F); N]) -> u32 {
        let term = |i: usize| if i < N { terms[i] } else { (SINK, F::zero()) };
        let row = |i: usize, j: usize| {
            let ((p, d), (q, e)) = (term(i), term(j));
            Record { parents: [p, q], partials: [d, e] }
        };
        if N <= 2 {
            return self.write(row(0, 1));
        }
        let (first, cells) = (self.next.get(), N as u32 / 2);
        if cells >= self.limit.get() - first {
            self.grow(cells as usize + 1);
        }
        debug_assert!(terms.iter().all(|(slot, _)| *slot < first));
        let place = self.base.get().wrapping_add(first as usize);
        for i in 0..cells as usize {
            // SAFETY: as in `write`; there is room for the cells and the head.
            unsafe { place.wrapping_add(i).write(row(2 * i, 2 * i + 1)) };
        }
        // SAFETY: as above.
        unsafe { place.wrapping_add(cells as usize).write(Record::head(term(2 * cells as usize), cells)) };
        self.next.set(first + cells + 1);
        first + cells
    }

    /// Appends records, at most `most`, up to the first that is missing; returns their number. (See M2 in
    /// docs/MEASUREMENTS.md for what one [`push`](Self::push) each costs.)
    #[inline(always)]
    pub(crate) fn extend(&self, most: usize, records: impl Iterator<Item = Option<Record<F>>>) -> usize {
        let first = self.next.get();
        if most > (self.limit.get() - first) as usize {
            self.grow(most);
        }
        let place = self.base.get().wrapping_add(first as usize);
        let mut count = 0;
        for record in records.take(most).map_while(|record| record) {
            debug_assert!(record.parents.iter().all(|parent| *parent < first));
            assert!(self.next.get() == first, "the iterator of some records must not record");
            // SAFETY: as in `write`; there is room for `most` records, and the memory has not moved since,
            // because only `grow` moves it, whose callers change `next`.
            unsafe { place.wrapping_add(count).write(record) };
            count += 1;
        }
        self.next.set(first + count as u32);
        count
    }

    /// Appends a record of any number of terms (slot, partial) and returns its slot.
    pub(crate) fn push_wide(&self, terms: &[(u32, F)]) -> u32 {
        let pairs = terms.chunks_exact(2);
        let (cells, rest) = (pairs.len(), pairs.remainder().first());
        for pair in pairs {
            self.push([pair[0].0, pair[1].0], [pair[0].1, pair[1].1]);
        }
        if terms.len() == 2 { self.next.get() - 1 } else { self.push_head(cells as u32, rest.copied()) }
    }

    /// Appends the head of a wide record whose cells are the last `cells` records.
    #[inline(always)]
    pub(crate) fn push_head(&self, cells: u32, term: Option<(u32, F)>) -> u32 {
        assert!(cells <= COUNT, "a sum of 2^31 terms");
        self.write(Record::head(term.unwrap_or((SINK, F::zero())), cells))
    }

    /// Appends the sum of the values of some slots.
    pub(crate) fn push_sum(&self, of: Progression) -> u32 {
        assert!(of.len <= COUNT && of.stride <= Progression::MAX_STRIDE);
        debug_assert!(of.slots().next_back().is_none_or(|last| last < self.next.get()));
        self.write(Record::sum(of))
    }
}

#[inline(always)]
#[track_caller]
fn assert_room(slots: usize, more: usize) {
    assert!(
        more < MAX_SLOTS && slots + more < MAX_SLOTS,
        "the tape is full: {slots} slots are taken and {more} more do not fit in 2^31; clear it, or split the computation"
    );
}
