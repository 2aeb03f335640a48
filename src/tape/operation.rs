//! Operations of a tape: their descriptions for tables and messages, their pullbacks, and the adjoints that a pullback
//! works on.

use std::ops::Range;
use std::panic::Location;
use std::ptr::NonNull;

use crate::arena::Arena;

use super::record::{self, Entries, Record};
use crate::number::Scalar;
use crate::number::precompiled::precompiled;
use crate::slices::gemm::Store;

/// The pullback of a tensor operation: reads the cotangent of the result and adds to the adjoints of the operands.
pub(crate) type PullbackFn<'a, F> = dyn Fn(&mut Cotangents<'_, F>) + 'a;

/// A contiguous range of slots that are not records': inputs (no pullback) or the result of a tensor operation.
pub(crate) struct Op<F: Scalar> {
    /// The number of records before the operation.
    pub(crate) records: usize,
    /// The first slot.
    pub(crate) first: usize,
    /// The number of slots.
    pub(crate) len: usize,
    pub(crate) pullback: Option<NonNull<PullbackFn<'static, F>>>,
    pub(crate) info: Option<NonNull<OperationInfo<'static, F>>>,
}

/// An operand of a tensor operation: the slot of its storage, and its shape, which stays until the tape is cleared.
#[derive(Clone, Copy)]
pub(crate) struct OperandInfo<'t> {
    pub(crate) slot: u32,
    pub(crate) shape: &'t [usize],
}

/// The name of a tensor operation and its first two operands, for tables and messages.
#[derive(Clone, Copy)]
pub(crate) struct OperationKind<'t> {
    pub(crate) name: &'static str,
    pub(crate) operands: [Option<OperandInfo<'t>>; 2],
    /// True if the values of the result may be those of the operand, which may be borrowed from the user.
    pub(crate) borrowed: bool,
}

impl<'t> OperationKind<'t> {
    pub(crate) fn new(name: &'static str, operands: [Option<OperandInfo<'t>>; 2]) -> Self {
        Self { name, operands, borrowed: false }
    }

    pub(crate) fn unary(name: &'static str, x: OperandInfo<'t>) -> Self {
        Self::new(name, [Some(x), None])
    }

    pub(crate) fn binary(name: &'static str, a: OperandInfo<'t>, b: OperandInfo<'t>) -> Self {
        Self::new(name, [Some(a), Some(b)])
    }
}

/// The description of a tensor operation for tables and messages: its [`OperationKind`], the caller's line, the result.
pub(crate) struct OperationInfo<'t, F> {
    pub(crate) kind: OperationKind<'t>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) shape: &'t [usize],
    /// The values of the result, or `None` if they may be borrowed from the user.
    pub(crate) values: Option<&'t [F]>,
}

impl<F: Scalar> Op<F> {
    /// The description of the operation; `None` for inputs.
    pub(crate) fn describe(&self) -> Option<&OperationInfo<'_, F>> {
        // SAFETY: the description stands in the arena of the tape that has this operation on its list. The shapes and
        // values that it refers to stay until the tape is cleared (`Tape::push_op` asks for that), and nothing writes
        // them. The result borrows the operation, which leaves the list before anything is dropped.
        self.info.map(|info| unsafe { info.cast().as_ref() })
    }

    /// Runs the pullback, unless the cotangent of the result is all zero.
    #[inline(always)]
    pub(crate) fn pull(&self, cotangents: &mut Cotangents<'_, F>) {
        let Some(pullback) = self.pullback else {
            return;
        };
        if cotangents.of_result.iter().any(|c| !c.is_exact_zero()) {
            // SAFETY: the closure stands in the arena of the tape that has this operation on its list. It is alive:
            // the operation leaves the list before the closure is dropped. So are its captures, because the cotangent
            // is not all zero: see `Tape::push_op`.
            unsafe { pullback.as_ref()(cotangents) };
        }
    }
}

/// The arguments of a pullback: the cotangent of the result, and the adjoints of all slots below the result's.
pub(crate) struct Cotangents<'a, F: Scalar> {
    /// The cotangent of the result, in row-major order.
    pub(crate) of_result: &'a [F],
    /// The adjoints of all slots below the result's, those of the operands among them.
    pub(crate) of_operands: Adjoints<'a, F>,
    /// Memory for temporaries.
    pub(crate) arena: &'a Arena,
}

/// The adjoints of all slots below an operation's result.
///
/// A sweep over large tensors works in the memory of an earlier sweep (see M9 in docs/MEASUREMENTS.md). An operation
/// is *stale* while its slots still hold the numbers of that sweep, which count as zero. Code that adds to the
/// operation's adjoints clears them first; code that overwrites all of them does not need to; if nothing touches
/// them, the pullback is skipped.
///
/// Memory safety rests on the skipped calls: if the captures of a pullback may be gone, nothing was added to the
/// cotangent of its result (see `Tape::push_op`). So [`split`](Self::split) has to refuse stale operations, and code
/// that was handed this buffer may add to the adjoints of its own operands only.
#[allow(unreachable_pub)] // named by the sealed trait `CustomInputs`
pub struct Adjoints<'a, F: Scalar> {
    slots: &'a mut [F],
    ops: &'a [Op<F>],
    /// The mark of each operation, or nothing if no operation is stale.
    stale: &'a mut [bool],
}

impl<'a, F: Scalar> Adjoints<'a, F> {
    /// A buffer that holds no old numbers.
    pub(crate) fn new(slots: &'a mut [F]) -> Self {
        Self { slots, ops: &[], stale: &mut [] }
    }

    /// A buffer of old numbers, all of which count as zero, for a sweep over these records and operations. On return no
    /// parent of a record is stale.
    pub(crate) fn stale(slots: &'a mut [F], records: &[Record<F>], ops: &'a [Op<F>], stale: &'a mut Vec<bool>) -> Self {
        // Marks do not pay where there are many records, whose parents are looked up below, or where operations are
        // small: see M10 in docs/MEASUREMENTS.md. Debug builds always use marks, with NaN as the old numbers, so that
        // tests show a missing clear.
        if cfg!(debug_assertions) {
            slots.fill(F::nan());
        } else if records.len() >= slots.len() / 256 || slots.len() < 64 * ops.len() {
            slots.fill(F::zero());
            return Self { slots, ops, stale: &mut [] };
        }
        stale.clear();
        stale.resize(ops.len(), true);
        let mut adjoints = Self { slots, ops, stale };
        for (op, next) in ops.iter().zip(ops[1..].iter().map(|op| op.first).chain([adjoints.slots.len()])) {
            adjoints.slots[op.first + op.len..next].fill(F::zero());
        }
        for (_, entries) in record::backward(records) {
            match entries {
                Entries::Sum(of) => {
                    let last = of.slots().next_back().unwrap_or(of.first);
                    adjoints.of(of.first as usize..last as usize + 1);
                }
                Entries::Pair(..) | Entries::Wide(..) => {
                    for (slot, _) in entries.pairs().flatten() {
                        adjoints.at(slot as usize);
                    }
                }
            }
        }
        adjoints
    }

    /// The whole buffer, of which the caller may add to the adjoints of `range` only.
    #[inline]
    pub(crate) fn of(&mut self, range: Range<usize>) -> &mut [F] {
        if !self.stale.is_empty() {
            freshen(self, range);
        }
        self.slots
    }

    /// The whole buffer, and the way in which the caller has to update all the adjoints of `range`: by writing or by
    /// adding.
    #[inline]
    pub(crate) fn write(&mut self, range: Range<usize>) -> (&mut [F], Store) {
        if !self.stale.is_empty() && !range.is_empty() {
            let run = self.runs(&range).start;
            if let Some(&Op { first, len, .. }) = self.ops.get(run)
                && range == (first..first + len)
                && std::mem::take(&mut self.stale[run])
            {
                return (self.slots, Store::Set);
            }
        }
        (self.of(range), Store::Add)
    }

    /// The adjoints of `range` alone, to add to.
    #[inline]
    pub(crate) fn run(&mut self, range: Range<usize>) -> &mut [F] {
        &mut self.of(range.clone())[range]
    }

    /// The adjoint of one slot.
    #[inline]
    pub(crate) fn at(&mut self, slot: usize) -> &mut F {
        &mut self.of(slot..slot + 1)[slot]
    }

    /// The indices of the operations that own slots of a nonempty range.
    fn runs(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.ops.partition_point(|op| op.first + op.len <= range.start);
        let end = start + self.ops[start..].partition_point(|op| op.first < range.end);
        start..end
    }

    /// Clears the adjoints of operation `run`, if it is stale.
    fn clear(&mut self, run: usize) {
        if std::mem::take(&mut self.stale[run]) {
            let Op { first, len, .. } = self.ops[run];
            self.slots[first..first + len].fill(F::zero());
        }
    }

    /// Clears the adjoints that are stale at the end of a sweep.
    pub(crate) fn finish(&mut self) {
        for run in 0..self.stale.len() {
            self.clear(run);
        }
    }

    /// The whole buffer, of which the caller may add to adjoints that are not stale only: those of the parents of
    /// records, or of a range that was passed to [`of`](Self::of).
    #[inline(always)]
    pub(crate) fn slots(&mut self) -> &mut [F] {
        self.slots
    }

    /// The cotangent of the result of operation `index`, and the adjoints below; `None` if the operation is stale, so
    /// that the cotangent counts as zero.
    #[inline(always)]
    pub(crate) fn split(&mut self, index: usize, op: &Op<F>) -> Option<(&[F], Adjoints<'_, F>)> {
        let (below, rest) = self.slots.split_at_mut(op.first);
        let (ops, stale) = if self.stale.is_empty() {
            (&[][..], &mut [][..])
        } else if self.stale[index] {
            return None;
        } else {
            (&self.ops[..index], &mut self.stale[..index])
        };
        Some((&rest[..op.len], Adjoints { slots: below, ops, stale }))
    }
}

precompiled! {
    /// Clears the adjoints of the stale operations that own slots of a nonempty range.
    fn freshen<F>(adjoints: &mut Adjoints<'_, F>, range: Range<usize>) {
        for run in adjoints.runs(&range) {
            adjoints.clear(run);
        }
    }
}

/// A part of a tape: an operation, and the records between it and the next operation.
pub(crate) struct Section<'a, F: Scalar> {
    /// The index of the operation.
    pub(crate) index: usize,
    pub(crate) op: &'a Op<F>,
    /// The slot of the first record.
    pub(crate) first: usize,
    pub(crate) records: &'a [Record<F>],
}

/// The sections of a tape in the order of recording.
#[inline(always)]
pub(crate) fn sections<'a, F: Scalar>(records: &'a [Record<F>], ops: &'a [Op<F>]) -> Sections<'a, F> {
    Sections { records, ops, index: 0, base: 0 }
}

/// The sections that are left of some; see [`sections`].
pub(crate) struct Sections<'a, F: Scalar> {
    records: &'a [Record<F>],
    ops: &'a [Op<F>],
    /// The number of the first operation.
    index: usize,
    /// The number of records before the first operation.
    base: usize,
}

impl<'a, F: Scalar> Iterator for Sections<'a, F> {
    type Item = Section<'a, F>;

    fn next(&mut self) -> Option<Self::Item> {
        let (op, ops) = self.ops.split_first()?;
        let len = ops.first().map_or(self.records.len(), |next| next.records - self.base);
        let (records, left) = self.records.split_at(len);
        let section = Section { index: self.index, op, first: op.first + op.len, records };
        *self = Self { records: left, ops, index: self.index + 1, base: self.base + len };
        Some(section)
    }
}

impl<F: Scalar> DoubleEndedIterator for Sections<'_, F> {
    #[inline(always)]
    fn next_back(&mut self) -> Option<Self::Item> {
        let (op, ops) = self.ops.split_last()?;
        let (left, records) = self.records.split_at(op.records - self.base);
        (self.records, self.ops) = (left, ops);
        Some(Section { index: self.index + ops.len(), op, first: op.first + op.len, records })
    }
}

impl<'a, F: Scalar> Section<'a, F> {
    /// The records whose slots are at or below `output`.
    #[inline(always)]
    pub(crate) fn up_to(&self, output: usize) -> &'a [Record<F>] {
        &self.records[..self.records.len().min((output + 1).saturating_sub(self.first))]
    }
}
