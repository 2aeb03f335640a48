//! Scalar records: their encoding, the one reader of that encoding, and the memory of a tape's records.

use std::cell::Cell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;

use num_traits::ToPrimitive;

use crate::arena::{refuse, request};
use crate::number::Scalar;

/// The slot that stands for "no parent"; nothing reads its adjoint.
pub(crate) const SINK: u32 = 0;

/// The greatest number of slots: a slot has 31 bits, because the top bit of a parent marks a wide record.
const MAX_SLOTS: usize = 1 << 31;

/// [`MAX_SLOTS`], or fewer in a test.
#[inline(always)]
fn max_slots() -> usize {
    #[cfg(test)]
    return crate::arena::faults::slots();
    #[cfg(not(test))]
    MAX_SLOTS
}

/// In `parents[1]`: this record heads a wide one.
const WIDE: u32 = 1 << 31;

/// In `parents[1]`, beside [`WIDE`]: this record is a sum.
const SUM: u32 = 1 << 30;

/// The bits of `parents[1]` that count cells or summands.
const COUNT: u32 = SUM - 1;

/// One scalar operation: a row of the Jacobian with at most two entries, unless the record is wide. An entry is a
/// parent, given by its slot, with the partial with respect to that parent.
///
/// | record | `parents` | `partials` |
/// |---|---|---|
/// | a pair | the two parents, [`SINK`] for a missing one | those of the two parents |
/// | the head of a wide record | the first parent, `WIDE \| cells` | that of the first parent, 0 |
/// | the sum of a [`Progression`] | the first slot, `WIDE \| SUM \| len` | the stride, 0 |
///
/// The other entries of a wide record stand in its *cells*, the `cells` records before the head, two in each. Cells
/// have the form of pairs. No handle has the slot of a cell, so its adjoint stays zero, and a sweep that takes a cell
/// for a pair adds nothing.
///
/// The parents of a pair, the first parent of a head and the slots of a progression are below the record's own slot.
/// The sweep relies on that for memory safety (see the [module `tape`](super)); debug builds check it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<F> {
    pub(super) parents: [u32; 2],
    pub(super) partials: [F; 2],
}

/// Slots in arithmetic progression.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progression {
    pub(crate) first: u32,
    pub(crate) stride: u32,
    pub(crate) len: u32,
}

impl Progression {
    /// The largest stride of a record. An f32 holds every integer up to here exactly.
    pub(crate) const MAX_STRIDE: u32 = 1 << 20;

    pub(crate) fn slots(self) -> impl DoubleEndedIterator<Item = u32> {
        (0..self.len).map(move |i| self.first + i * self.stride)
    }
}

/// The entries of one scalar operation: its parents and partials.
#[derive(Clone, Copy)]
pub(crate) enum Entries<'a, F> {
    /// Two parents with their partials; the sink stands for a missing one.
    Pair((u32, F), (u32, F)),
    /// The first entry, and the cells with two more each.
    Wide((u32, F), &'a [Record<F>]),
    /// The slots of a sum, each with partial 1.
    Sum(Progression),
}

impl<F: Scalar> Record<F> {
    /// The head of a wide record of `cells` cells.
    #[inline(always)]
    fn head((slot, partial): (u32, F), cells: u32) -> Self {
        Self { parents: [slot, WIDE | cells], partials: [partial, F::zero()] }
    }

    fn sum(of: Progression) -> Self {
        Self { parents: [of.first, WIDE | SUM | of.len], partials: [F::lit(f64::from(of.stride)), F::zero()] }
    }

    /// The entries of a record that is not wide.
    #[inline(always)]
    fn as_pair(&self) -> Option<Entries<'static, F>> {
        let ([p, q], [d, e]) = (self.parents, self.partials);
        if q & WIDE == 0 { Some(Entries::Pair((p, d), (q, e))) } else { None }
    }

    /// The entries of a wide record, from the records before it, and the records that are left before those.
    #[inline(always)]
    fn wide_entries<'a>(&self, before: &'a [Self]) -> (Entries<'a, F>, &'a [Self]) {
        let ([p, q], partial) = (self.parents, self.partials[0]);
        let count = q & COUNT;
        if q & SUM == 0 {
            let (left, cells) = before.split_at(before.len() - count as usize);
            return (Entries::Wide((p, partial), cells), left);
        }
        let stride = partial.to_base().to_u32().expect("`Record::sum` wrote it");
        (Entries::Sum(Progression { first: p, stride, len: count }), before)
    }

    /// The entries of a record, from the records before it.
    #[inline(always)]
    fn entries<'a>(&self, before: &'a [Self]) -> Entries<'a, F> {
        self.as_pair().unwrap_or_else(|| self.wide_entries(before).0)
    }

    /// Parents and partials of a cell.
    #[inline(always)]
    pub(crate) fn cell(&self) -> [(u32, F); 2] {
        let ([p, q], [d, e]) = (self.parents, self.partials);
        [(p, d), (q, e)]
    }
}

impl<'a, F: Scalar> Entries<'a, F> {
    /// The parts of the entries: the record's own in twos, those of cells, and the slots of a sum.
    #[allow(clippy::type_complexity)]
    fn parts(self) -> (Option<[(u32, F); 2]>, &'a [Record<F>], Progression) {
        match self {
            Self::Pair(a, b) => (Some([a, b]), &[], Progression::default()),
            Self::Wide(entry, cells) => (Some([entry, (SINK, F::zero())]), cells, Progression::default()),
            Self::Sum(sum) => (None, &[], sum),
        }
    }

    /// The entries (parent, partial) in twos, as the records hold them. The sink fills up a single one.
    pub(crate) fn pairs(self) -> impl Iterator<Item = [(u32, F); 2]> + 'a {
        let (own, cells, sum) = self.parts();
        let sum = sum.slots().map(|slot| [(slot, F::one()), (SINK, F::zero())]);
        own.into_iter().chain(sum).chain(cells.iter().map(Record::cell))
    }

    /// The pair (parent, partial) of every parent but the sink, in the order of the operands.
    pub(crate) fn terms(self) -> impl Iterator<Item = (u32, F)> + 'a {
        let (own, cells, sum) = self.parts();
        let sum = sum.slots().map(|slot| (slot, F::one()));
        let entries = cells.iter().map(Record::cell).chain(own).flatten();
        sum.chain(entries).filter(|&(slot, _)| slot != SINK)
    }
}

/// The scalar operations of some records, the last one first, with the index of each. Cells come only as entries of
/// their head.
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
        self.left = before;
        // The ordinary record first: it has no cells to look for.
        if let Some(pair) = head.as_pair() {
            return Some((before.len(), pair));
        }
        let entries;
        (entries, self.left) = head.wide_entries(before);
        Some((before.len(), entries))
    }
}

/// The scalar operations of some records in order, with the index of each. Cells come only as entries of their head.
pub(crate) fn operations<F: Scalar>(records: &[Record<F>]) -> impl ExactSizeIterator<Item = (usize, Entries<'_, F>)> {
    backward(records).collect::<Vec<_>>().into_iter().rev()
}

/// The scalar operations of some records in order, with the index of each. Cells come as operations of their own too;
/// no other operation has them as parents.
#[inline(always)]
pub(crate) fn forward<F: Scalar>(records: &[Record<F>]) -> impl DoubleEndedIterator<Item = (usize, Entries<'_, F>)> {
    records.iter().enumerate().map(|(i, head)| (i, head.entries(&records[..i])))
}

/// The memory of a tape's records, and the supply of slots that records share with inputs and tensor operations.
///
/// The invariant:
///
/// - `memory` is the pointer and the capacity of a vector of records, owned by this struct. The first
///   `next - offset` elements are written.
/// - `base` is the start of the vector less `offset`, so that the next record, with the slot `next`, belongs at
///   `base + next`.
/// - `next <= limit <= offset + capacity`, so that `base + s` is inside the vector for `next <= s < limit`.
///
/// [`relocate`](Self::relocate) derives `base` and `limit` from the rest. While records are read, `limit` is `next`.
pub(crate) struct Records<F> {
    memory: Cell<(NonNull<Record<F>>, usize)>,
    base: Cell<*mut Record<F>>,
    /// The next free slot.
    next: Cell<u32>,
    /// The slot at which the memory or the supply of slots ends.
    limit: Cell<u32>,
    /// `next` less the number of records: the number of slots that are not records'.
    offset: Cell<u32>,
    /// True while records are read.
    locked: Cell<bool>,
}

/// See [`Records::lock`]. Locks nest.
struct Lock<'a, F> {
    records: &'a Records<F>,
    /// The state before.
    locked: bool,
    limit: u32,
}

impl<F> Drop for Lock<'_, F> {
    #[inline(always)]
    fn drop(&mut self) {
        self.records.locked.set(self.locked);
        self.records.limit.set(self.limit);
    }
}

/// See [`Records::attempt`].
pub(crate) struct Attempt<'a, F> {
    records: &'a Records<F>,
    /// The state before.
    next: u32,
    offset: u32,
}

impl<F> Attempt<'_, F> {
    /// The records stay.
    #[inline(always)]
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl<F> Drop for Attempt<'_, F> {
    fn drop(&mut self) {
        // With another offset, slots above the records are in use.
        if self.records.offset.get() == self.offset {
            self.records.next.set(self.next);
        }
    }
}

impl<F> Drop for Records<F> {
    fn drop(&mut self) {
        drop(ManuallyDrop::into_inner(self.vector()));
    }
}

impl<F> Records<F> {
    #[track_caller]
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let mut memory = Vec::new();
        if memory.try_reserve_exact(capacity).is_err() {
            refuse("a tape with this capacity", capacity, size_of::<Record<F>>());
        }
        let records = Self {
            memory: Cell::new((NonNull::dangling(), 0)),
            base: Cell::new(std::ptr::null_mut()),
            next: Cell::new(0),
            limit: Cell::new(0),
            offset: Cell::new(0),
            locked: Cell::new(false),
        };
        records.set_vector(ManuallyDrop::new(memory));
        records
    }

    /// The number of slots taken.
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
    #[track_caller]
    pub(crate) fn push(&self, parents: [u32; 2], partials: [F; 2]) -> u32 {
        self.write(Record { parents, partials })
    }

    #[inline(always)]
    #[track_caller]
    fn write(&self, record: Record<F>) -> u32 {
        self.append(1, |room, slot| {
            debug_assert!(record.parents[0] < slot && (record.parents[1] < slot || record.parents[1] & WIDE != 0));
            room[0].write(record);
            1
        })
    }

    /// Lets `fill` write into the room for the next `most` records, and appends the number of records that `fill`
    /// returns. Returns the slot of the first one, which `fill` gets too. See M1 in docs/MEASUREMENTS.md for the cost of `Vec::push` in a `RefCell`.
    ///
    /// Private, for two promises that each `fill` in this file keeps: the records that it counts are written, and it
    /// appends nothing itself, or holds the [lock](Self::lock) while it calls foreign code.
    #[inline(always)]
    #[track_caller]
    fn append(&self, most: usize, fill: impl FnOnce(&mut [MaybeUninit<Record<F>>], u32) -> u32) -> u32 {
        let first = self.next.get();
        if most > (self.limit.get() - first) as usize {
            self.grow(most);
        }
        let place = self.base.get().wrapping_add(first as usize).cast();
        // SAFETY: there are `most` slots below `limit` from `next` on, or `grow` made them so. Their places are inside
        // the vector, behind the written records (the invariant), and hold no value that would be dropped. There is no
        // other reference to them: `read` lends written records only, and nothing is appended meanwhile (the promise).
        // The vector does not move, because only `grow` moves it.
        let room = unsafe { std::slice::from_raw_parts_mut(place, most) };
        self.next.set(first + fill(room, first));
        first
    }

    /// Makes room for `more` records.
    ///
    /// # Panics
    ///
    /// If there are no slots for them, or while records are read.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn grow(&self, more: usize) {
        self.assert_unlocked();
        assert_room(self.slots(), more, None);
        request();
        let mut records = self.vector();
        if records.try_reserve(more.max(64)).is_err() {
            refuse("the list of scalar operations", records.len() + more, size_of::<Record<F>>());
        }
        self.set_vector(records);
        #[cfg(test)] // see `relocate`
        self.limit.set(self.next.get() + more as u32);
    }

    /// The written records as a vector. After a change it must go back by [`set_vector`](Self::set_vector).
    fn vector(&self) -> ManuallyDrop<Vec<Record<F>>> {
        let (start, capacity) = self.memory.get();
        // SAFETY: pointer and capacity are those of a vector, and the first `len` elements are written (the
        // invariant). `ManuallyDrop` keeps this copy of the vector from freeing the memory.
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
        // In unit tests each record asks for room, so that a test can refuse it.
        #[cfg(test)]
        self.limit.set(self.next.get());
    }

    /// Panics if [`take_slots`](Self::take_slots) cannot take `len` slots: fewer are left, or records are read. The
    /// message for a tape that is full names the operation and the shape of its result, if there is one.
    #[inline]
    #[track_caller]
    pub(crate) fn check_slots(&self, len: usize, of: Option<(&str, &[usize])>) {
        self.assert_unlocked();
        assert_room(self.slots(), len, of);
        request();
    }

    /// Takes `len` slots that are not records' and returns the first. There must be room for them; see
    /// [`check_slots`](Self::check_slots).
    #[inline]
    pub(crate) fn take_slots(&self, len: usize) -> u32 {
        let first = self.next.get();
        debug_assert!(!self.locked.get() && len < MAX_SLOTS - first as usize);
        self.next.set(first + len as u32);
        self.offset.set(self.offset.get() + len as u32);
        self.relocate();
        first
    }

    /// Forgets every record and every slot but the sink.
    ///
    /// # Panics
    ///
    /// While records are read.
    pub(crate) fn clear(&self) {
        self.assert_unlocked();
        self.next.set(1);
        self.offset.set(1);
        self.relocate();
    }

    /// Lets `f` read the records. Recording meanwhile panics.
    #[inline(always)]
    pub(crate) fn read<T>(&self, f: impl FnOnce(&[Record<F>]) -> T) -> T {
        let _lock = self.lock();
        f(&self.vector())
    }

    /// An operation that takes several records: on unwinding, those since here are taken back, until
    /// [`keep`](Attempt::keep) is called. No handle of such a record may leave the attempt before.
    #[inline(always)]
    pub(crate) fn attempt(&self) -> Attempt<'_, F> {
        Attempt { records: self, next: self.next.get(), offset: self.offset.get() }
    }

    /// Refuses records and slots, and keeps the memory in its place, until the lock is dropped.
    #[inline(always)]
    fn lock(&self) -> Lock<'_, F> {
        // A user's pullback may reach the tape. With `limit` at `next` there is no room for a record, so everything
        // that appends one goes to `grow`, which panics. Inputs and tensor operations ask `assert_unlocked` first.
        let lock = Lock { records: self, locked: self.locked.replace(true), limit: self.limit.get() };
        self.limit.set(self.next.get());
        lock
    }

    /// # Panics
    ///
    /// While records are read.
    #[track_caller]
    pub(crate) fn assert_unlocked(&self) {
        assert!(!self.locked.get(), "a pullback must not record on the tape that is being swept; use another tape");
    }
}

impl<F: Scalar> Records<F> {
    /// Appends a record of N terms (slot, partial) and returns its slot.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn push_row<const N: usize>(&self, terms: [(u32, F); N]) -> u32 {
        let term = |i: usize| if i < N { terms[i] } else { (SINK, F::zero()) };
        let row = |i: usize, j: usize| {
            let ((p, d), (q, e)) = (term(i), term(j));
            Record { parents: [p, q], partials: [d, e] }
        };
        if N <= 2 {
            return self.write(row(0, 1));
        }
        let cells = N / 2;
        let first = self.append(cells + 1, |room, first| {
            debug_assert!(terms.iter().all(|(slot, _)| *slot < first));
            for (i, place) in room[..cells].iter_mut().enumerate() {
                place.write(row(2 * i, 2 * i + 1));
            }
            room[cells].write(Record::head(term(2 * cells), cells as u32));
            cells as u32 + 1
        });
        first + cells as u32
    }

    /// Appends a record of two entries (slot, partial) for each pair of elements of `a` and `b`, up to the first pair
    /// that has no entries; returns the number of records. See M2 in docs/MEASUREMENTS.md for the cost of a
    /// [`push`](Self::push) for each.
    ///
    /// # Panics
    ///
    /// If `entries` records on this tape.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn push_each<A, B>(
        &self,
        a: &[A],
        b: &[B],
        mut entries: impl FnMut(&A, &B) -> Option<((u32, F), (u32, F))>,
    ) -> usize {
        let most = a.len().min(b.len());
        let (a, b) = (&a[..most], &b[..most]);
        let first = self.append(most, |room, first| {
            let _lock = self.lock();
            let mut count = 0;
            for ((place, a), b) in room.iter_mut().zip(a).zip(b) {
                let Some(((p, d), (q, e))) = entries(a, b) else { break };
                debug_assert!(p < first && q < first);
                place.write(Record { parents: [p, q], partials: [d, e] });
                count += 1;
            }
            count
        });
        self.slots() - first as usize
    }

    /// Appends a record of any number of terms (slot, partial) and returns its slot.
    #[track_caller]
    pub(crate) fn push_wide(&self, terms: &[(u32, F)]) -> u32 {
        if let &[(p, d), (q, e)] = terms {
            return self.push([p, q], [d, e]);
        }
        let pairs = terms.chunks_exact(2);
        let (cells, rest) = (assert_count(pairs.len()), pairs.remainder().first());
        let first = self.append(cells as usize + 1, |room, first| {
            debug_assert!(terms.iter().all(|(slot, _)| *slot < first));
            for (place, pair) in room.iter_mut().zip(pairs) {
                place.write(Record { parents: [pair[0].0, pair[1].0], partials: [pair[0].1, pair[1].1] });
            }
            room[cells as usize].write(Record::head(rest.copied().unwrap_or((SINK, F::zero())), cells));
            cells + 1
        });
        first + cells
    }

    /// Appends the head of a wide record and returns its slot. The cells are the last `cells` records, all pairs.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn push_head(&self, cells: u32, term: Option<(u32, F)>) -> u32 {
        let cells = assert_count(cells as usize);
        self.write(Record::head(term.unwrap_or((SINK, F::zero())), cells))
    }

    /// Appends the sum of the values of some slots and returns its slot.
    #[track_caller]
    pub(crate) fn push_sum(&self, of: Progression) -> u32 {
        assert_count(of.len as usize);
        assert!(of.stride <= Progression::MAX_STRIDE);
        debug_assert!(of.slots().next_back().is_none_or(|last| last < self.next.get()));
        self.write(Record::sum(of))
    }
}

/// The number of cells or summands of a wide record. Panics if it does not fit into the record.
#[inline(always)]
#[track_caller]
fn assert_count(count: usize) -> u32 {
    assert!(
        count <= COUNT as usize,
        "an operation on {count} pairs of variables does not fit in a record; split it into several"
    );
    count as u32
}

/// Panics if `more` slots do not fit beside those taken.
#[inline(always)]
#[track_caller]
fn assert_room(slots: usize, more: usize, of: Option<(&str, &[usize])>) {
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn full(slots: usize, more: usize, of: Option<(&str, &[usize])>) -> ! {
        let (head, result) = match of {
            Some((operation, shape)) => (format!("{operation}: "), format!(", for a result of shape {shape:?},")),
            None => Default::default(),
        };
        panic!(
            "{head}the tape is full: {slots} slots are taken and {more} more{result} do not fit in {}; clear it, or split the \
             computation",
            max_slots()
        )
    }
    if more >= max_slots() || slots + more >= max_slots() {
        full(slots, more, of);
    }
}
