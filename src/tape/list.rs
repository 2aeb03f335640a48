//! The [`Tape`]: its lists of records and operations, and the arena of values and pullbacks.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;

use super::operation::{Cotangents, Op, OperationInfo, OperationKind, PullbackFn};
use super::record::{Record, Records};
use crate::arena::{Arena, refuse, request};
use crate::number::Scalar;

/// The check of a sweep's value and adjoints that [`Tape::check_finite`] turns on; returns a complaint, if any.
pub(crate) type FiniteCheck<F> = fn(&Tape<F>, F, &[F]) -> Option<String>;

/// A function that drops the value at a place.
type DropPlace = unsafe fn(NonNull<()>);

/// A tape: the list of operations that handles record and one backward sweep differentiates.
///
/// Handles ([`Var`](crate::Var), [`Tensor`](crate::Tensor)) borrow the tape, so [`clear`](Self::clear) compiles only
/// when every handle is gone, and a stale handle cannot exist:
///
/// ```compile_fail,E0502
/// let mut tape = wengert::Tape::new();
/// let x = tape.var(1.0);
/// tape.clear();
/// println!("{x}");
/// ```
///
/// `clear` keeps the memory, so a loop that records the same work again allocates nothing.
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
    /// Values, pullbacks and adjoints. The arena never moves its contents.
    arena: Arena,
    /// Memory for the temporaries of a sweep's pullbacks, empty between sweeps.
    scratch: Cell<Arena>,
    /// The values in the arena that have a destructor.
    drops: RefCell<Vec<(NonNull<()>, DropPlace)>>,
    /// A spare vector for the terms of a sum.
    terms: Cell<Vec<(u32, F)>>,
    /// The check that `lend_and_sweep` calls after each sweep.
    check: Option<FiniteCheck<F>>,
    /// Tapes for checkpoints, which compute again during a sweep.
    spare: RefCell<Vec<Self>>,
    /// The adjoints of the first sweep after `clear`, and a mark for each operation whose adjoints are old.
    adjoints: RefCell<(Vec<F>, Vec<bool>)>,
    /// The number of these adjoints that are lent.
    lent: Cell<usize>,
}

// SAFETY: the fields that are not Send are raw pointers: those of `records` into a vector of their own, those of `ops`
// and `drops` into the arena. Both belong to the tape, and a move of the tape leaves them at their addresses.
// - Numbers in that memory are Send and Sync (`Scalar`).
// - Pullbacks may capture references to the tape (in handles and checkpoints) and to data that is not Sync (in the
//   closure of a checkpoint). A pullback is called only in a sweep from a handle (see `push_op`), or from the slot of
//   a handle within `lend_and_sweep` or by a `Linearization`. A handle borrows the tape and is not Send. So when
//   the tape, or a mutable reference to it, arrives on another thread, no handle is left and no such call is under
//   way. A `Linearization` is not Send, and clears a tape that it gives away. So pullbacks recorded before are never
//   called after the arrival.
// - Values are dropped on the thread that clears the tape: `alloc` asks that they can be.
unsafe impl<F: Scalar> Send for Tape<F> {}

impl<F: Scalar> Default for Tape<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Scalar> Drop for Tape<F> {
    fn drop(&mut self) {
        // SAFETY: handles borrow the tape, which is borrowed mutably here, so none is left.
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
    /// The number type of the tape follows from the numbers put on it. Where literals leave the type open and the
    /// compiler asks for it (as for the result of `2.0 * x`), write `Tape::<f64>::new()`.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty tape with room for `operations` scalar operations.
    ///
    /// # Panics
    ///
    /// If there is no memory for them.
    #[track_caller]
    pub fn with_capacity(operations: usize) -> Self {
        let tape = Self {
            records: Records::with_capacity(operations),
            ops: RefCell::default(),
            arena: Arena::new(),
            scratch: Cell::default(),
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
        // SAFETY: handles borrow the tape, which is borrowed mutably here, so none is left.
        unsafe { self.forget() };
        self.lent.set(0);
        self.arena.clear();
    }

    /// Forgets every operation. Values in the arena that need no drop stay; `clear` reclaims their memory.
    ///
    /// # Safety
    ///
    /// No handle of this tape is used afterwards, neither a tensor, which reads values that are dropped here, nor a
    /// scalar, from which a record with a parent above its own slot could be made.
    pub(super) unsafe fn forget(&self) {
        // The lists are emptied before anything is dropped: a destructor may panic, and a listed pullback must be
        // alive. The first operation stays, and has only the sink.
        {
            let mut ops = self.ops.borrow_mut();
            ops.truncate(1);
            ops[0].len = 1;
        }
        self.records.clear();
        // SAFETY: the caller's promise.
        unsafe { self.run_drops() };
    }

    /// Drops every value in the arena that has a destructor, the last one first. If a destructor panics, the others run
    /// nevertheless.
    ///
    /// # Safety
    ///
    /// Same as for [`forget`](Self::forget).
    unsafe fn run_drops(&self) {
        if !self.drops.borrow().is_empty() {
            // SAFETY: the caller's promise.
            unsafe { self.drop_each() };
        }
    }

    /// [`run_drops`](Self::run_drops) where there are such values.
    ///
    /// # Safety
    ///
    /// Same as for [`forget`](Self::forget).
    #[cold]
    #[inline(never)]
    unsafe fn drop_each(&self) {
        /// Drops the rest on unwinding.
        struct Rest<'a, F: Scalar>(&'a Tape<F>);
        impl<F: Scalar> Drop for Rest<'_, F> {
            fn drop(&mut self) {
                // SAFETY: the promise of the caller of `drop_each`, which unwinds.
                unsafe { self.0.run_drops() };
            }
        }

        let rest = Rest(self);
        loop {
            // A statement of its own, so that the list is not borrowed while a destructor runs.
            let last = self.drops.borrow_mut().pop();
            let Some((place, drop)) = last else { break };
            // SAFETY: `alloc` pushed the pair, so `place` holds a value of the type that `drop` drops. The value is
            // alive: the pair has left the list, so no value is dropped twice. Nobody uses the value afterwards, by the
            // caller's promise.
            unsafe { drop(place) };
        }
        std::mem::forget(rest);
    }

    pub(crate) fn set_check(&mut self, check: Option<FiniteCheck<F>>) {
        self.check = check;
    }

    pub(super) fn check(&self) -> Option<FiniteCheck<F>> {
        self.check
    }

    /// The number of differentiable numbers on the tape: inputs, scalar results, elements of tensor results.
    ///
    /// A sweep needs an adjoint for each of them. Views, constants and functions of one scalar add nothing; a sum of
    /// n scalars adds at most about n/2.
    pub fn len(&self) -> usize {
        self.slots() - 1
    }

    /// True if nothing has been recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes in use: records, tensor values, pullbacks and the adjoints of past sweeps. The memory for
    /// temporaries of a sweep and the spare tapes of [checkpoints](Self::checkpoint), which are empty between sweeps, are
    /// not counted.
    pub fn memory(&self) -> usize {
        let ops = self.ops.borrow();
        let adjoints = self.lent.get() * size_of::<F>();
        self.records.len() * size_of::<Record<F>>()
            + ops.len() * size_of::<Op<F>>()
            + self.arena.used_bytes()
            + adjoints
    }

    #[inline(always)]
    pub(crate) fn records(&self) -> &Records<F> {
        &self.records
    }

    #[inline(always)]
    pub(crate) fn slots(&self) -> usize {
        self.records.slots()
    }

    /// Takes the spare vector for the terms of a wide record; [`return_terms`](Self::return_terms) gives it back.
    pub(crate) fn take_terms(&self) -> Vec<(u32, F)> {
        self.terms.take()
    }

    pub(crate) fn return_terms(&self, mut terms: Vec<(u32, F)>) {
        terms.clear();
        self.terms.set(terms);
    }

    /// Takes `len` slots for inputs and returns the first. Small inputs next to each other share an operation; a large
    /// one has its own, so that a sweep can write the adjoints of a whole matrix instead of adding to them.
    #[inline]
    #[track_caller]
    pub(crate) fn input_slots(&self, len: usize) -> u32 {
        #[cold]
        #[inline(never)]
        #[track_caller]
        fn apart<F: Scalar>(tape: &Tape<F>, len: usize) -> u32 {
            tape.input_runs(1, len, std::iter::once(len))
        }
        self.records.check_slots(len, None);
        // Few inputs at the start of a tape need no operation of their own, hence no memory.
        let first = self.slots() as u32;
        if self.join_inputs(&mut self.ops.borrow_mut(), len) { first } else { apart(self, len) }
    }

    /// Takes slots for inputs in a row, at most `most` and of these lengths, and returns the first.
    #[inline]
    #[track_caller]
    pub(crate) fn input_runs(&self, most: usize, total: usize, lens: impl Iterator<Item = usize>) -> u32 {
        let mut ops = self.ops_mut();
        // Slots may be refused, and memory: both come before the first change.
        reserve(&mut ops, most);
        self.records.check_slots(total, None);
        let first = self.slots() as u32;
        for len in lens {
            if !self.join_inputs(&mut ops, len) {
                let records = self.records.len();
                let first = self.records.take_slots(len) as usize;
                ops.push(Op { records, first, len, pullback: None, info: None });
            }
        }
        first
    }

    /// Takes slots for `len` inputs, for which there must be room, if the last operation can own these too.
    #[inline(always)]
    fn join_inputs(&self, ops: &mut [Op<F>], len: usize) -> bool {
        const SMALL: usize = 64;
        match ops.last_mut() {
            Some(last)
                if last.pullback.is_none() && last.records == self.records.len() && last.len.max(len) < SMALL =>
            {
                self.records.take_slots(len);
                last.len += len;
                true
            }
            _ => false,
        }
    }

    /// Records a tensor operation and returns the slot of the first element of its result.
    ///
    /// `shape`, the shapes in `kind` and, unless `kind` says that they are borrowed, `values` must stay as they are
    /// until the tape is cleared: they stand in the arena, or are owned by a value there. (`Op::describe` reads them
    /// even when 't is over.)
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
        // SAFETY: this only hides 't, the lifetime of what the closure captures. The captures are alive in every call:
        //
        // A sweep calls a pullback only if the cotangent of its result is not all zero (`Op::pull`), where numbers of
        // an earlier sweep count as zero (`Adjoints::split`). The slots of the result belong to this operation alone,
        // so its cotangent becomes nonzero only if the sweep has a seed at the result or at something computed from
        // it. Every operation gives its result the shortest lifetime of its operands, and refuses operands of another
        // tape. So the handle that gave the seed has a lifetime within 't. Seeds come in four ways:
        // - From a handle that is alive until the sweep ends, so that 't is not over.
        // - In a `Linearization`, from the slot of a handle that is gone. The handle was returned by a closure that
        //   works for handles of any lifetime, so also for one as long as the `Linearization` keeps the tape. The
        //   captures of every pullback that takes part live for each such lifetime: they are static, or stand in the
        //   arena.
        // - In `lend_and_sweep`, from the slot of a handle that is gone, too. The handle was returned by a closure that
        //   works for handles of any lifetime 't within 'env, and gets the tape and what is lent for that 't. The
        //   captures of every pullback that takes part are static, stand in the arena, live for 'env, or are borrowed
        //   from what is lent; 'env and the loan both outlive the call, and the recording is forgotten within it. (The
        //   type of `Output` does not show the origin of the slot: each caller has to take it from such a handle.)
        // - In `derivatives/statics.rs`, from a `StaticVar`, which is put on its tape as a handle for the sweep. All of
        //   such a tape was recorded by closures of `scalar/static_var.rs` that work for handles of any lifetime and let
        //   none out, so the captures are static or stand in the arena.
        //
        // The closure is dropped by `clear` when its captures may be gone: `alloc` says why that is safe.
        let pullback = unsafe {
            std::mem::transmute::<NonNull<PullbackFn<'t, F>>, NonNull<PullbackFn<'static, F>>>(NonNull::from(pullback))
        };
        let mut ops = self.ops_mut();
        // As in `input_runs`. An operation without slots of its own would stay on the list, and records that get
        // these slots later would wake its pullback.
        reserve(&mut ops, 1);
        self.records.check_slots(len, Some((kind.name, shape)));
        let records = self.records.len();
        let first = self.records.take_slots(len);
        let info = Some(NonNull::from(info).cast());
        ops.push(Op { records, first: first as usize, len, pullback: Some(pullback), info });
        first
    }

    #[track_caller]
    fn ops_mut(&self) -> RefMut<'_, Vec<Op<F>>> {
        self.records.assert_unlocked();
        self.ops.borrow_mut()
    }

    /// Puts a value into the arena, where `clear` drops it.
    ///
    /// That may happen on another thread, and after everything that the value borrows is gone. So a `T` with a
    /// destructor must be Send, and the destructor must not read anything borrowed. Such values are arrays, parameters,
    /// and nodes and shapes of dynamic dimension, which free memory of their own; and pullbacks of `Tape::custom`,
    /// which capture a user's closure that is `Send + 'static`. Other pullbacks have no destructor.
    #[track_caller]
    pub(crate) fn alloc<T>(&self, value: T) -> &T {
        unsafe fn drop_place<T>(place: NonNull<()>) {
            // SAFETY: the caller passes the place of a live T that is not used afterwards.
            unsafe { place.cast::<T>().drop_in_place() };
        }
        if std::mem::needs_drop::<T>() {
            reserve(&mut self.drops.borrow_mut(), 1);
        }
        let place = self.arena.alloc(value);
        if std::mem::needs_drop::<T>() {
            self.drops.borrow_mut().push((NonNull::from(&mut *place).cast(), drop_place::<T>));
        }
        place
    }

    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// True if there is a tensor operation. Such a recording can be swept backward only.
    pub(crate) fn has_operations(&self) -> bool {
        self.ops.borrow().iter().any(|op| op.pullback.is_some())
    }

    /// Memory for the adjoints of `len` slots, which holds arbitrary numbers, and for a mark of each operation. It is
    /// lent once; a second call before the next `clear` returns `None`.
    #[allow(clippy::mut_from_ref)] // once until `clear`
    pub(crate) fn lend_adjoints(&self, len: usize) -> Option<(&mut [F], RefMut<'_, Vec<bool>>)> {
        if self.lent.get() > 0 || len == 0 {
            return None;
        }
        let (adjoints, stale) = RefMut::map_split(self.adjoints.borrow_mut(), |(adjoints, stale)| (adjoints, stale));
        let mut adjoints = adjoints;
        if adjoints.len() < len {
            *adjoints = Vec::new(); // frees the old memory before the new one is allocated
            request();
            if adjoints.try_reserve_exact(len).is_err() {
                refuse("the buffer of adjoints", len, size_of::<F>());
            }
            adjoints.resize(len, F::zero());
        }
        self.lent.set(len);
        // SAFETY: the vector has at least `len` elements, all written. The slice borrows the tape, so it is gone when
        // `clear`, which borrows the tape mutably, sets `lent` to 0. Until then `lent` is not 0, so this function,
        // which alone touches the vector, returns before it does.
        Some((unsafe { std::slice::from_raw_parts_mut(adjoints.as_mut_ptr(), len) }, stale))
    }

    /// Lends an empty arena for the temporaries of a sweep. (A sweep within a pullback of another gets one of its own.)
    #[inline]
    pub(super) fn with_scratch<T>(&self, work: impl FnOnce(&Arena) -> T) -> T {
        let mut arena = self.scratch.take();
        let result = work(&arena);
        arena.clear();
        self.scratch.set(arena);
        result
    }

    /// Runs `work` on an empty tape, which is cleared and kept for the next call.
    pub(crate) fn with_spare<T>(&self, work: impl FnOnce(&Self) -> T) -> T {
        let mut tape = self.spare.borrow_mut().pop().unwrap_or_default();
        let result = work(&tape);
        tape.clear();
        self.spare.borrow_mut().push(tape);
        result
    }

    /// Lets `f` read the records and operations. Recording meanwhile panics.
    #[inline(always)]
    pub(crate) fn with_records<T>(&self, f: impl FnOnce(&[Record<F>], &[Op<F>]) -> T) -> T {
        let ops = self.ops.borrow();
        self.records.read(|records| f(records, &ops))
    }
}

/// Makes room for more elements, so that pushes cannot fail.
#[inline(always)]
#[track_caller]
fn reserve<T>(list: &mut Vec<T>, more: usize) {
    request();
    if list.try_reserve(more).is_err() {
        refuse("the list of operations", list.len() + more, size_of::<T>());
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// A tape that is full refuses inputs and operations without a trace: neither slots nor the list change.
    #[test]
    fn a_refused_operation_is_not_listed() {
        let tape = Tape::<f64>::new();
        tape.input_slots((1 << 31) - 8); // slots alone take no memory
        let state = || {
            let ops = tape.ops.borrow();
            (tape.slots(), ops.iter().map(|op| (op.first, op.len)).collect::<Vec<_>>())
        };
        let before = state();
        let refused = [
            catch_unwind(AssertUnwindSafe(|| tape.input_slots(16))),
            catch_unwind(AssertUnwindSafe(|| {
                tape.push_op(OperationKind::new("test", [None; 2]), &[16], &[0.0; 16], |_| {})
            })),
        ];
        assert!(refused.iter().all(Result::is_err));
        assert_eq!(state(), before);
        // A request that fits is granted as before.
        tape.push_op(OperationKind::new("test", [None; 2]), &[2], &[0.0; 2], |_| {});
        assert_eq!((tape.slots(), state().1.len()), (before.0 + 2, before.1.len() + 1));
    }
}
