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
use std::panic::Location;
use std::ptr::NonNull;

use bumpalo::Bump;

use super::operation::{Cotangents, Op, OperationInfo, OperationKind, PullbackFn};
use super::record::{Record, Records};
use crate::number::Scalar;

/// The check of a sweep's value and adjoints that [`Tape::check_finite`] turns on: the complaint, if there is one.
pub(crate) type FiniteCheck<F> = fn(&Tape<F>, F, &[F]) -> Option<String>;

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
    records: Records<F>,
    ops: RefCell<Vec<Op<F>>>,
    /// Values, pullbacks and adjoints. It never moves what it holds.
    arena: Bump,
    /// Its size after the last clear, in one chunk.
    chunk: usize,
    /// What in the arena has something to drop.
    drops: RefCell<Vec<(NonNull<()>, DropPlace)>>,
    /// Spare memory for the terms of a sum.
    terms: Cell<Vec<(u32, F)>>,
    /// Called by `record_and_sweep` after each sweep.
    check: Option<FiniteCheck<F>>,
    /// For checkpoints, which compute again in a sweep.
    spare: RefCell<Vec<Self>>,
    /// For the first sweep after `clear`: its adjoints, and which of their runs are old.
    adjoints: RefCell<(Vec<F>, Vec<bool>)>,
    /// How many of them are lent.
    lent: Cell<usize>,
}

// SAFETY: what makes the fields not Send is pointers into the tape's own arena, which moves along.
// The pullbacks behind them capture shared references to numbers (`Scalar: Sync`), to the tape itself (in
// handles and checkpoints), or values that are Send (`Tape::custom`). They are called only through a handle,
// and no handle outlives a move of the tape, so a captured reference to the tape is never followed after one.
unsafe impl<F: Scalar> Send for Tape<F> {}

impl<F: Scalar> Default for Tape<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Scalar> Drop for Tape<F> {
    fn drop(&mut self) {
        // SAFETY: handles borrow the tape, and it is going.
        unsafe { self.run_drops() };
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
            records: Records::with_capacity(operations),
            ops: RefCell::default(),
            arena: Bump::new(),
            chunk: 0,
            drops: RefCell::default(),
            terms: Cell::default(),
            check: None,
            spare: RefCell::default(),
            adjoints: RefCell::default(),
            lent: Cell::default(),
        };
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
    pub(super) unsafe fn forget(&self) {
        // Before anything is dropped: a destructor may panic, and what is listed must be alive.
        // The first run of inputs stays, with the sink alone in it.
        {
            let mut ops = self.ops.borrow_mut();
            ops.truncate(1);
            ops[0].len = 1;
        }
        self.records.clear();
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

    pub(crate) fn set_check(&mut self, check: Option<FiniteCheck<F>>) {
        self.check = check;
    }

    pub(super) fn check(&self) -> Option<FiniteCheck<F>> {
        self.check
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
        self.records.len() * size_of::<Record<F>>() + ops.len() * size_of::<Op<F>>() + arena + adjoints
    }

    #[inline(always)]
    pub(crate) fn records(&self) -> &Records<F> {
        &self.records
    }

    #[inline(always)]
    pub(crate) fn slots(&self) -> usize {
        self.records.slots()
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
        let records = self.records.len();
        {
            let mut ops = self.ops_mut();
            match ops.last_mut() {
                Some(last) if last.pullback.is_none() && last.records == records && last.len.max(len) < SMALL => {
                    last.len += len;
                }
                _ => ops.push(Op { records, first: self.slots(), len, pullback: None, info: None }),
            }
        }
        self.records.take_slots(len)
    }

    /// Records an operation with its result; returns the first slot of its elements. The shape and,
    /// unless `kind` says that they are borrowed, the values stand in the arena.
    #[track_caller]
    pub(crate) fn push_op<'t>(
        &'t self,
        kind: OperationKind<'t>,
        shape: &'t [usize],
        values: &'t [F],
        pullback: impl Fn(&mut Cotangents<'_, F>) + 't,
    ) -> u32 {
        let len = values.len();
        let values = (!kind.borrowed).then_some(values);
        let info: &OperationInfo<'t, F> =
            self.arena.alloc(OperationInfo { kind, location: Location::caller(), shape, values });
        let pullback: &'t PullbackFn<'t, F> = self.alloc(pullback);
        // SAFETY: only the lifetime of what the closure captures changes. A sweep calls it only
        // when the cotangent of its result is not all zero (`Op::pull`), where old numbers count as
        // zero (`Adjoints::split`). That cotangent becomes nonzero only from a handle of the result or of something computed from it, which exists
        // while the sweep is started and whose lifetime is at most 't, since every operation gives
        // its result the shortest lifetime of its operands and refuses slots of another tape. So
        // the captures are alive in any call.
        // A `Linearization` sweeps when the handles are gone, from slots of handles that a closure
        // returned which works for any 't. By the above only operations whose captures live for
        // every such 't take part: static ones, and what is in the arena, which it keeps.
        // Dropping it is safe too: captures are Copy, or dropped by `clear` without being read.
        let pullback = unsafe {
            std::mem::transmute::<NonNull<PullbackFn<'t, F>>, NonNull<PullbackFn<'static, F>>>(NonNull::from(pullback))
        };
        let op = Op {
            records: self.records.len(),
            first: self.slots(),
            len,
            pullback: Some(pullback),
            info: Some(NonNull::from(info).cast()),
        };
        self.ops_mut().push(op);
        self.records.take_slots(len)
    }

    fn ops_mut(&self) -> RefMut<'_, Vec<Op<F>>> {
        self.records.assert_unlocked();
        self.ops.borrow_mut()
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

    /// Runs `work` on a cleared tape that is kept for the next call.
    pub(crate) fn with_spare<T>(&self, work: impl FnOnce(&Self) -> T) -> T {
        let mut tape = self.spare.borrow_mut().pop().unwrap_or_default();
        let result = work(&tape);
        tape.clear();
        self.spare.borrow_mut().push(tape);
        result
    }

    /// Reads records and operations; recording meanwhile panics.
    pub(crate) fn with_records<T>(&self, f: impl FnOnce(&[Record<F>], &[Op<F>]) -> T) -> T {
        let ops = self.ops.borrow();
        self.records.read(|records| f(records, &ops))
    }
}
