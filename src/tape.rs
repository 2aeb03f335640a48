//! Storage of the tape: scalar records, tensor operations and the arena of their values.
//!
//! Every differentiable number has a slot. A scalar operation is a [`Record`]; a tensor operation
//! is an [`Op`] that owns a run of slots. Slots ascend in the order of recording, so an operand's
//! slot is always below the slot of what was computed from it.
//!
//! ```text
//! ops      | inputs | relu            | dot             |
//! records           |      r r r r    |        r r      |
//! slots    0 1 2 3 4 5 6 7 8 9 ...     (0 is a sink: the parent where a record has only one)
//! ```

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;

use bumpalo::Bump;
use num_traits::ToPrimitive;

use crate::checkpoint::Spare;
use crate::real::Scalar;
use crate::sweep::{self, Cotangents};
use crate::var::Var;

/// The slot that stands for "no parent"; what is added to its adjoint is never read.
pub(crate) const SINK: u32 = 0;

/// Slots are counted in 31 bits: the top bit of a parent marks a wide record.
const MAX_SLOTS: usize = 1 << 31;

/// In `parents[1]`: this record heads a wide one.
const WIDE: u32 = 1 << 31;

/// Beside `WIDE`: it is a sum.
const RUN: u32 = 1 << 30;

/// The other bits count.
const COUNT: u32 = RUN - 1;

/// One scalar operation: a row of the Jacobian with at most two entries, unless it is wide.
///
/// A wide record (n > 2 parents) is a head whose first entry is an ordinary one and whose second
/// parent is `WIDE | cells`; its other entries stand in the `cells` records before it. The slots
/// of those cells stay unused, their adjoints zero, so a sweep that meets them adds nothing.
///
/// The sum of a [`Run`] has `[first, WIDE | RUN | len]` and `[stride, 0]`.
///
/// Every parent is below the record's own slot: the sweep relies on that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<F> {
    pub(crate) parents: [u32; 2],
    pub(crate) partials: [F; 2],
}

/// Slots in arithmetic progression.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub(crate) first: u32,
    pub(crate) stride: u32,
    pub(crate) len: u32,
}

impl Run {
    /// Up to here an f32 holds the stride.
    pub(crate) const MAX_STRIDE: u32 = 1 << 20;

    pub(crate) fn slots(self) -> impl DoubleEndedIterator<Item = u32> {
        (0..self.len).map(move |i| self.first + i * self.stride)
    }
}

/// What a record has besides its first entry.
pub(crate) enum Rest<F> {
    /// One more parent with its partial.
    One(u32, F),
    /// As many cells before it.
    Cells(usize),
    /// In place of the first entry: these, each with partial 1.
    Sum(Run),
}

impl<F: Scalar> Record<F> {
    #[inline(always)]
    pub(crate) fn rest(&self) -> Rest<F> {
        let q = self.parents[1];
        if q & WIDE == 0 {
            Rest::One(q, self.partials[1])
        } else if q & RUN == 0 {
            Rest::Cells((q & COUNT) as usize)
        } else {
            let stride = self.partials[0].to_base().to_u32().expect("`push_sum` wrote it");
            Rest::Sum(Run { first: self.parents[0], stride, len: q & COUNT })
        }
    }
}

/// The reverse of a tensor operation: reads the cotangent of its result, adds to its operands'.
pub(crate) type Pullback<'a, F> = dyn Fn(&mut Cotangents<'_, F>) + 'a;

/// A run of slots that is no scalar record: inputs (no pullback) or the result of an operation.
pub(crate) struct Op<F: Scalar> {
    /// How many records precede it.
    pub(crate) records: usize,
    pub(crate) first: usize,
    pub(crate) len: usize,
    pub(crate) pullback: Option<NonNull<Pullback<'static, F>>>,
    made: Option<NonNull<Made<'static, F>>>,
}

/// An operand of a tensor operation: the slot of its storage and its shape, which stands in the
/// tape's arena.
#[derive(Clone, Copy)]
pub(crate) struct Source<'t> {
    pub(crate) slot: u32,
    pub(crate) shape: &'t [usize],
}

/// What a tensor operation is, for tables and messages: its name and its first two operands.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'t> {
    pub(crate) name: &'static str,
    pub(crate) operands: [Option<Source<'t>>; 2],
    /// Whether the result's values are the operand's, which may be borrowed from the user.
    pub(crate) borrowed: bool,
}

impl<'t> Origin<'t> {
    pub(crate) fn new(name: &'static str, operands: [Option<Source<'t>>; 2]) -> Self {
        Self { name, operands, borrowed: false }
    }

    pub(crate) fn unary(name: &'static str, x: Source<'t>) -> Self {
        Self::new(name, [Some(x), None])
    }

    pub(crate) fn binary(name: &'static str, a: Source<'t>, b: Source<'t>) -> Self {
        Self::new(name, [Some(a), Some(b)])
    }
}

/// A tensor operation as tables and messages see it: its [`Origin`], the caller's line, the result.
pub(crate) struct Made<'t, F> {
    pub(crate) origin: Origin<'t>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) shape: &'t [usize],
    /// None: not in the arena.
    pub(crate) values: Option<&'t [F]>,
}

impl<F: Scalar> Op<F> {
    /// What operation made it; none for inputs.
    pub(crate) fn describe(&self) -> Option<&Made<'_, F>> {
        // SAFETY: it stands in the arena of the tape whose list this is part of, as do the shapes and
        // values that it refers to (`Tape::push_op` asks for that); they are alive until `clear`, and
        // nothing writes them.
        self.made.map(|made| unsafe { made.cast().as_ref() })
    }

    /// Runs the pullback, unless the result's cotangent is all zero.
    #[inline(always)]
    pub(crate) fn pull(&self, cotangents: &mut Cotangents<'_, F>) {
        let Some(pullback) = self.pullback else {
            return;
        };
        if cotangents.result.iter().any(|c| !c.is_null()) {
            // SAFETY: the closure is in the arena of the tape whose list this is part of, alive
            // until `clear`. What it captures is alive too: see `Tape::push_op`.
            unsafe { pullback.as_ref()(cotangents) };
        }
    }
}

/// Drops the value at a place.
type DropPlace = unsafe fn(NonNull<()>);

/// A tape: the list of operations that handles record and one backward sweep differentiates.
///
/// Handles ([`Var`], [`Tensor`](crate::Tensor)) borrow the tape, so [`clear`](Self::clear) compiles
/// only when every handle is gone, and a stale handle cannot exist:
///
/// ```compile_fail,E0502
/// let mut tape = wengert::Tape::new();
/// let x = tape.var(1.0);
/// tape.clear();
/// println!("{x}");
/// ```
///
/// Memory is kept by `clear`, so a loop that records the same work again allocates nothing.
///
/// ```
/// let mut tape = wengert::Tape::new();
/// let mut x = 3.0;
/// for _ in 0..100 {
///     tape.clear();
///     let v = tape.var(x);
///     let gradient = (v * v - 2.0).square().backward();
///     x -= 0.01 * gradient[v];
/// }
/// assert!((x - 2_f64.sqrt()).abs() < 1e-3);
/// ```
pub struct Tape<F: Scalar = f64> {
    /// The memory of the records: a vector's pointer and capacity. The first `next - offset` are
    /// written.
    records: Cell<(NonNull<Record<F>>, usize)>,
    /// Where the record of slot 0 would stand, if every slot were a record's.
    base: Cell<*mut Record<F>>,
    /// The slot to be given next.
    next: Cell<u32>,
    /// The slot at which the records' memory, or the supply of slots, ends.
    limit: Cell<u32>,
    /// `next` less the number of records.
    offset: Cell<u32>,
    ops: RefCell<Vec<Op<F>>>,
    /// Values, pullbacks and adjoints. It never moves what it holds.
    arena: Bump,
    /// Its size after the last clear, in one chunk.
    chunk: usize,
    /// What in the arena has something to drop.
    drops: RefCell<Vec<(NonNull<()>, DropPlace)>>,
    /// Spare memory for the terms of a sum.
    terms: Cell<Vec<(u32, F)>>,
    /// Whether records are being read.
    sweeping: Cell<bool>,
    /// Whether `record_and_sweep` looks for numbers that are not finite.
    checked: bool,
    /// For what is computed again in a sweep.
    spare: Spare<F>,
    /// For the first sweep after `clear`: its adjoints, and which of their runs are old.
    adjoints: RefCell<(Vec<F>, Vec<bool>)>,
    /// How many of them are lent.
    lent: Cell<usize>,
}

// SAFETY: what makes the fields not Send is pointers into the tape's own arena, which moves along.
// The pullbacks behind them capture shared references to numbers (`Scalar: Sync`) or what is Send
// (`Tape::custom`), are called only through a handle, and no handle outlives a move of the tape.
unsafe impl<F: Scalar> Send for Tape<F> {}

impl<F: Scalar> Default for Tape<F> {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`Tape::record_and_sweep`] lends: the tape for `'t`; data that lives for `'env` may be
/// borrowed as long.
pub(crate) struct Scope<'t, 'env: 't, F: Scalar> {
    pub(crate) tape: &'t Tape<F>,
    env: PhantomData<&'env ()>,
}

impl<F: Scalar> Drop for Tape<F> {
    fn drop(&mut self) {
        // SAFETY: handles borrow the tape, and it is going.
        unsafe { self.run_drops() };
        drop(ManuallyDrop::into_inner(self.records()));
    }
}

impl<F: Scalar> fmt::Debug for Tape<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("len", &self.len()).field("memory", &self.memory()).finish()
    }
}

impl<F: Scalar> Tape<F> {
    /// An empty tape.
    ///
    /// Its number type follows from what is put on it. Where literals leave that open and the
    /// compiler asks for a type (as for the result of `2.0 * x`), write `Tape::<f64>::new()`.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty tape with room for `operations` scalar operations.
    pub fn with_capacity(operations: usize) -> Self {
        let tape = Self {
            records: Cell::new((NonNull::dangling(), 0)),
            base: Cell::new(std::ptr::null_mut()),
            next: Cell::new(0),
            limit: Cell::new(0),
            offset: Cell::new(0),
            ops: RefCell::default(),
            arena: Bump::new(),
            chunk: 0,
            drops: RefCell::default(),
            terms: Cell::default(),
            sweeping: Cell::default(),
            checked: false,
            spare: Spare::default(),
            adjoints: RefCell::default(),
            lent: Cell::default(),
        };
        tape.set_records(ManuallyDrop::new(Vec::with_capacity(operations)));
        tape.input_slots(1);
        tape
    }

    /// Forgets every operation and keeps the memory.
    pub fn clear(&mut self) {
        // SAFETY: handles borrow the tape, and here it is borrowed mutably.
        unsafe { self.forget() };
        self.lent.set(0);
        if self.arena.allocated_bytes() == self.chunk {
            self.arena.reset();
        } else {
            self.clear_arena();
        }
    }

    #[cold]
    fn clear_arena(&mut self) {
        if self.arena.iter_allocated_chunks().nth(1).is_none() {
            self.arena.reset();
        } else {
            // One chunk for what stood in several. `reset` would keep the last of them, and the next
            // be twice its size (measured: the net T5 then held 2.8 times its parameters, activations
            // and adjoints, now 1.9 times).
            let used = self.arena.allocated_bytes() - self.arena.chunk_capacity();
            self.arena = Bump::new(); // before the other is there
            self.arena = Bump::with_capacity(used + used / 16);
        }
        self.chunk = self.arena.allocated_bytes();
    }

    /// Forgets every operation. What is in the arena and has nothing to drop stays.
    ///
    /// # Safety
    ///
    /// No tensor handle of this tape is used afterwards.
    unsafe fn forget(&self) {
        // Before anything is dropped: a destructor may panic, and what is listed must be alive.
        // The first run of inputs stays, with the sink alone in it.
        {
            let mut ops = self.ops.borrow_mut();
            ops.truncate(1);
            ops[0].len = 1;
        }
        self.next.set(1);
        self.offset.set(1);
        self.relocate();
        // SAFETY: the caller's promise.
        unsafe { self.run_drops() };
    }

    /// # Safety
    ///
    /// As of [`forget`](Self::forget).
    unsafe fn run_drops(&self) {
        for (place, drop) in self.drops.borrow_mut().drain(..) {
            // SAFETY: `alloc` pushed the pair: `place` holds a live value of the type that `drop`
            // drops, and leaves the list with this call.
            unsafe { drop(place) };
        }
    }

    /// Runs `record` on the cleared tape and sweeps from the result: its value, and the adjoints of
    /// all slots up to it, those of inputs at least. The recording is forgotten before this returns or
    /// unwinds, so nothing of `'env` is read afterwards.
    #[track_caller]
    pub(crate) fn record_and_sweep<'env>(
        &mut self,
        record: impl for<'t> FnOnce(Scope<'t, 'env, F>) -> Var<'t, F>,
    ) -> (F, &[F]) {
        struct Forget<'a, F: Scalar>(&'a Tape<F>);
        impl<F: Scalar> Drop for Forget<'_, F> {
            fn drop(&mut self) {
                // SAFETY: the tape was borrowed mutably, so every handle is one that `record`
                // made. `record` works for any 't, so no handle outlives its call but the result.
                unsafe { self.0.forget() };
            }
        }

        self.clear();
        let tape = &*self;
        let _forget = Forget(tape);
        let output = record(Scope { tape, env: PhantomData });
        // Swept by slot: the adjoints outlive 'env, the handle does not.
        let adjoints = match output.tape() {
            None => tape.arena.alloc_slice_fill_copy(tape.slots(), F::zero()),
            Some(own) if std::ptr::eq(own, tape) => sweep::backward(tape, output.slot() as usize, output.weight()),
            Some(other) => panic!(
                "value_and_grad: the loss belongs to tape {other:p}, not to the one it should be recorded on ({tape:p}); use `p.tape()`"
            ),
        };
        if tape.checked {
            tape.assert_finite(output.value(), adjoints);
        }
        (output.value(), adjoints)
    }

    pub(crate) fn set_checked(&mut self, checked: bool) {
        self.checked = checked;
    }

    /// Differentiable numbers on the tape: inputs, scalar results, elements of tensor results.
    ///
    /// This is the length of the buffer of adjoints. Views, constants and functions of one scalar
    /// add nothing; a sum of n scalars counts at most about n/2.
    pub fn len(&self) -> usize {
        self.slots() - 1
    }

    /// Whether nothing has been recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in use: records, tensor values, pullbacks and the adjoints of past sweeps. (Not the spare
    /// tapes of [checkpoints](Self::checkpoint), which are empty between sweeps.)
    pub fn memory(&self) -> usize {
        let ops = self.ops.borrow();
        // Free room at the end of the arena's current chunk is not in use.
        let arena = self.arena.allocated_bytes() - self.arena.chunk_capacity();
        let adjoints = self.lent.get() * size_of::<F>();
        self.record_count() * size_of::<Record<F>>() + ops.len() * size_of::<Op<F>>() + arena + adjoints
    }

    /// An input with value `x`.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let x = tape.var(0.5);
    /// assert_eq!(x.sin().backward()[x], 0.5_f64.cos());
    /// ```
    pub fn var(&self, x: F) -> Var<'_, F> {
        Var::on(self, self.input_slots(1), x)
    }

    /// Inputs with the values of an array.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let [x, y] = tape.vars([3.0, 4.0]);
    /// assert_eq!(x.hypot(y).backward().wrt([x, y]), [0.6, 0.8]);
    /// ```
    pub fn vars<const N: usize>(&self, values: [F; N]) -> [Var<'_, F>; N] {
        let first = self.input_slots(N);
        std::array::from_fn(|i| Var::on(self, first + i as u32, values[i]))
    }

    /// Inputs with the values of a slice; the handles are kept on the tape.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let x = tape.vars_from(&[1.0, 2.0, 3.0]);
    /// let loss = wengert::dot(x, x);
    /// assert_eq!(loss.backward().wrt(x), [2.0, 4.0, 6.0]);
    /// ```
    pub fn vars_from(&self, values: &[F]) -> &[Var<'_, F>] {
        let first = self.input_slots(values.len());
        self.arena.alloc_slice_fill_with(values.len(), |i| Var::on(self, first + i as u32, values[i]))
    }

    pub(crate) fn slots(&self) -> usize {
        self.next.get() as usize
    }

    #[inline(always)]
    fn record_count(&self) -> usize {
        (self.next.get() - self.offset.get()) as usize
    }

    /// Appends a record and returns its slot.
    #[inline(always)]
    pub(crate) fn push(&self, parents: [u32; 2], partials: [F; 2]) -> u32 {
        let slot = self.next.get();
        if slot == self.limit.get() {
            self.grow(1);
        }
        debug_assert!(parents[0] < slot && (parents[1] < slot || parents[1] & WIDE != 0));
        // SAFETY: below `limit`, `base + slot` is a place in the memory of `records` (`relocate`
        // keeps the three together), and nobody holds a reference to the records but
        // `with_records`, which does not come here. Measured against `Vec::push` in a `RefCell`:
        // 20 instructions instead of 30 for a pushing loop's iteration (callgrind).
        unsafe { self.base.get().wrapping_add(slot as usize).write(Record { parents, partials }) };
        self.next.set(slot + 1);
        slot
    }

    /// Appends a record of N terms (slot, partial) and returns its slot.
    #[inline(always)]
    pub(crate) fn push_row<const N: usize>(&self, terms: [(u32, F); N]) -> u32 {
        let term = |i: usize| if i < N { terms[i] } else { (SINK, F::zero()) };
        let row = |i: usize, j: usize| {
            let ((p, d), (q, e)) = (term(i), term(j));
            Record { parents: [p, q], partials: [d, e] }
        };
        if N <= 2 {
            let Record { parents, partials } = row(0, 1);
            return self.push(parents, partials);
        }
        let (first, cells) = (self.next.get(), N as u32 / 2);
        if cells >= self.limit.get() - first {
            self.grow(cells as usize + 1);
        }
        debug_assert!(terms.iter().all(|(slot, _)| *slot < first));
        let mut head = row(2 * cells as usize, N);
        head.parents[1] = WIDE | cells;
        let place = self.base.get().wrapping_add(first as usize);
        for i in 0..cells as usize {
            // SAFETY: as in `push`; there is room for the cells and the head.
            unsafe { place.wrapping_add(i).write(row(2 * i, 2 * i + 1)) };
        }
        // SAFETY: as above.
        unsafe { place.wrapping_add(cells as usize).write(head) };
        self.next.set(first + cells + 1);
        first + cells
    }

    /// Appends the cells of as many leading pairs as are operands on this tape whose weights need no
    /// care: their number, and their dot product.
    ///
    /// (Cells one by one through `push` take 65 instructions each, these 28.)
    pub(crate) fn push_products(&self, a: &[Var<'_, F>], b: &[Var<'_, F>]) -> (usize, F) {
        let (first, pairs) = (self.next.get(), a.len().min(b.len()));
        if pairs > (self.limit.get() - first) as usize {
            self.grow(pairs);
        }
        let mut place = self.base.get().wrapping_add(first as usize);
        let (mut count, mut value) = (0, F::zero());
        for (a, b) in a.iter().zip(b) {
            let Some(v) = a.weight_on(self, b.value()) else { break };
            let Some(w) = b.weight_on(self, a.value()) else { break };
            value += a.value() * b.value();
            debug_assert!(a.slot() < first && b.slot() < first);
            // SAFETY: as in `push`; there is room for `pairs` records, and this is one of as many.
            unsafe { place.write(Record { parents: [a.slot(), b.slot()], partials: [v, w] }) };
            place = place.wrapping_add(1);
            count += 1;
        }
        self.next.set(first + count);
        (count as usize, value)
    }

    /// Makes room for more records and checks that there are slots for them.
    #[cold]
    #[inline(never)]
    fn grow(&self, more: usize) {
        self.assert_not_sweeping();
        assert_room(self.slots(), more);
        let mut records = self.records();
        records.reserve(more.max(64));
        self.set_records(records);
        self.relocate();
    }

    /// The written records as the vector they are; it must go back by `set_records`, or be dropped
    /// with the tape.
    fn records(&self) -> ManuallyDrop<Vec<Record<F>>> {
        let (start, capacity) = self.records.get();
        // SAFETY: `set_records` took pointer and capacity from a vector, and `push` wrote the
        // first `record_count` elements.
        ManuallyDrop::new(unsafe { Vec::from_raw_parts(start.as_ptr(), self.record_count(), capacity) })
    }

    fn set_records(&self, mut records: ManuallyDrop<Vec<Record<F>>>) {
        let start = NonNull::new(records.as_mut_ptr()).expect("a vector's pointer is not null");
        self.records.set((start, records.capacity()));
    }

    /// Derives `base` and `limit` from the memory of the records and `offset`.
    #[inline(always)]
    fn relocate(&self) {
        let ((start, capacity), offset) = (self.records.get(), self.offset.get() as usize);
        self.base.set(start.as_ptr().wrapping_sub(offset));
        self.limit.set((offset + capacity).min(MAX_SLOTS) as u32);
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
        let (slot, partial) = term.unwrap_or((SINK, F::zero()));
        assert!(cells <= COUNT, "a sum of 2^31 terms");
        self.push([slot, WIDE | cells], [partial, F::zero()])
    }

    /// Appends the sum of the values of a run of slots.
    pub(crate) fn push_sum(&self, run: Run) -> u32 {
        assert!(run.len <= COUNT && run.stride <= Run::MAX_STRIDE);
        debug_assert!(run.slots().next_back().is_none_or(|last| last < self.next.get()));
        self.push([run.first, WIDE | RUN | run.len], [F::lit(f64::from(run.stride)), F::zero()])
    }

    /// Lends the spare vector for the terms of a wide record.
    pub(crate) fn take_terms(&self) -> Vec<(u32, F)> {
        self.terms.take()
    }

    pub(crate) fn return_terms(&self, mut terms: Vec<(u32, F)>) {
        terms.clear();
        self.terms.set(terms);
    }

    /// The first of `len` new slots of inputs. Small runs next to each other become one; a large one
    /// stays by itself, so that a sweep can write the adjoints of a whole matrix.
    pub(crate) fn input_slots(&self, len: usize) -> u32 {
        const SMALL: usize = 64;
        let records = self.record_count();
        {
            let mut ops = self.ops_mut();
            match ops.last_mut() {
                Some(last) if last.pullback.is_none() && last.records == records && last.len.max(len) < SMALL => {
                    last.len += len;
                }
                _ => ops.push(Op { records, first: self.slots(), len, pullback: None, made: None }),
            }
        }
        self.take_slots(len)
    }

    /// Records an operation with its result; returns the first slot of its elements. The shape and,
    /// unless `origin` says that they are borrowed, the values stand in the arena.
    #[track_caller]
    pub(crate) fn push_op<'t>(
        &'t self,
        origin: Origin<'t>,
        shape: &'t [usize],
        values: &'t [F],
        pullback: impl Fn(&mut Cotangents<'_, F>) + 't,
    ) -> u32 {
        let len = values.len();
        let values = (!origin.borrowed).then_some(values);
        let made: &Made<'t, F> = self.arena.alloc(Made { origin, location: Location::caller(), shape, values });
        let pullback: &'t Pullback<'t, F> = self.alloc(pullback);
        // SAFETY: only the lifetime of what the closure captures changes. A sweep calls it only
        // when the cotangent of its result is not all zero (`Op::pull`), where old numbers count as
        // zero (`Adjoints::split`). That cotangent becomes nonzero only from a handle of the result or of something computed from it, which exists
        // while the sweep is started and whose lifetime is at most 't, since every operation gives
        // its result the shortest lifetime of its operands and refuses slots of another tape. So
        // the captures are alive in any call.
        // A `Recording` sweeps when the handles are gone, from slots of handles that a closure
        // returned which works for any 't. By the above only operations whose captures live for
        // every such 't take part: static ones, and what is in the arena, which it keeps.
        // Dropping it is safe too: captures are Copy, or dropped by `clear` without being read.
        let pullback = unsafe {
            std::mem::transmute::<NonNull<Pullback<'t, F>>, NonNull<Pullback<'static, F>>>(NonNull::from(pullback))
        };
        let op = Op {
            records: self.record_count(),
            first: self.slots(),
            len,
            pullback: Some(pullback),
            made: Some(NonNull::from(made).cast()),
        };
        self.ops_mut().push(op);
        self.take_slots(len)
    }

    fn ops_mut(&self) -> RefMut<'_, Vec<Op<F>>> {
        self.assert_not_sweeping();
        self.ops.borrow_mut()
    }

    fn assert_not_sweeping(&self) {
        assert!(!self.sweeping.get(), "a pullback must not record on the tape that is being swept; use another tape");
    }

    fn take_slots(&self, len: usize) -> u32 {
        let first = self.next.get();
        assert_room(first as usize, len);
        self.next.set(first + len as u32);
        self.offset.set(self.offset.get() + len as u32);
        self.relocate();
        first
    }

    /// Puts a value into the arena; it is dropped by `clear`.
    pub(crate) fn alloc<T>(&self, value: T) -> &T {
        unsafe fn drop_place<T>(place: NonNull<()>) {
            // SAFETY: the caller passes the place of a live T that is not used afterwards.
            unsafe { place.cast::<T>().drop_in_place() };
        }
        let place = self.arena.alloc(value);
        if std::mem::needs_drop::<T>() {
            self.drops.borrow_mut().push((NonNull::from(&mut *place).cast(), drop_place::<T>));
        }
        place
    }

    pub(crate) fn arena(&self) -> &Bump {
        &self.arena
    }

    /// Whether there is a tensor operation: such a recording is swept backward only.
    pub(crate) fn has_operations(&self) -> bool {
        self.ops.borrow().iter().any(|op| op.pullback.is_some())
    }

    /// Memory for the adjoints of `len` slots, holding some numbers, and for marks of runs; none if it
    /// is lent already.
    #[allow(clippy::mut_from_ref)] // once until `clear`
    pub(crate) fn lend_adjoints(&self, len: usize) -> Option<(&mut [F], RefMut<'_, Vec<bool>>)> {
        if self.lent.get() > 0 || len == 0 {
            return None;
        }
        self.lent.set(len);
        let (adjoints, stale) = RefMut::map_split(self.adjoints.borrow_mut(), |(adjoints, stale)| (adjoints, stale));
        let mut adjoints = adjoints;
        if adjoints.len() < len {
            *adjoints = Vec::new(); // before the other is there
            *adjoints = vec![F::zero(); len];
        }
        // SAFETY: the vector has `len` elements. It is lent once until `clear`, which borrows the tape
        // mutably, so what is returned here is gone by then; until then nothing but this function,
        // which gives none, touches the vector.
        Some((unsafe { std::slice::from_raw_parts_mut(adjoints.as_mut_ptr(), len) }, stale))
    }

    pub(crate) fn spare(&self) -> &Spare<F> {
        &self.spare
    }

    /// Reads records and operations; recording meanwhile panics.
    pub(crate) fn with_records<T>(&self, f: impl FnOnce(&[Record<F>], &[Op<F>]) -> T) -> T {
        struct Resume<'a, F: Scalar>(&'a Tape<F>, bool, u32);
        impl<F: Scalar> Drop for Resume<'_, F> {
            fn drop(&mut self) {
                self.0.sweeping.set(self.1);
                self.0.limit.set(self.2);
            }
        }
        // A pullback of the user's may reach the tape. Without room `push` goes to `grow`, which
        // refuses; everything else that records asks for `ops_mut` first.
        let ops = self.ops.borrow();
        let _resume = Resume(self, self.sweeping.replace(true), self.limit.get());
        self.limit.set(self.next.get());
        f(&self.records(), &ops)
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
