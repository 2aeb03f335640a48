//! Tensor operations: the description that tables print, the pullback, and the adjoints it works on.

use std::ops::Range;
use std::panic::Location;
use std::ptr::NonNull;

use bumpalo::Bump;

use super::record::{self, Entries, Record};
use crate::number::Scalar;
use crate::slices::gemm::Store;

/// The reverse of a tensor operation: reads the cotangent of its result, adds to its operands'.
pub(crate) type PullbackFn<'a, F> = dyn Fn(&mut Cotangents<'_, F>) + 'a;

/// A run of slots that is no scalar record: inputs (no pullback) or the result of an operation.
pub(crate) struct Op<F: Scalar> {
    /// How many records precede it.
    pub(crate) records: usize,
    pub(crate) first: usize,
    pub(crate) len: usize,
    pub(crate) pullback: Option<NonNull<PullbackFn<'static, F>>>,
    pub(crate) info: Option<NonNull<OperationInfo<'static, F>>>,
}

/// An operand of a tensor operation: the slot of its storage and its shape, which stands in the
/// tape's arena.
#[derive(Clone, Copy)]
pub(crate) struct OperandInfo<'t> {
    pub(crate) slot: u32,
    pub(crate) shape: &'t [usize],
}

/// What a tensor operation is, for tables and messages: its name and its first two operands.
#[derive(Clone, Copy)]
pub(crate) struct OperationKind<'t> {
    pub(crate) name: &'static str,
    pub(crate) operands: [Option<OperandInfo<'t>>; 2],
    /// Whether the result's values are the operand's, which may be borrowed from the user.
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

/// A tensor operation as tables and messages see it: its [`OperationKind`], the caller's line, the result.
pub(crate) struct OperationInfo<'t, F> {
    pub(crate) kind: OperationKind<'t>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) shape: &'t [usize],
    /// None: not in the arena.
    pub(crate) values: Option<&'t [F]>,
}

impl<F: Scalar> Op<F> {
    /// What operation made it; none for inputs.
    pub(crate) fn describe(&self) -> Option<&OperationInfo<'_, F>> {
        // SAFETY: it stands in the arena of the tape whose list this is part of, as do the shapes and
        // values that it refers to (`Tape::push_op` asks for that); they are alive until `clear`, and
        // nothing writes them.
        self.info.map(|info| unsafe { info.cast().as_ref() })
    }

    /// Runs the pullback, unless the result's cotangent is all zero.
    #[inline(always)]
    pub(crate) fn pull(&self, cotangents: &mut Cotangents<'_, F>) {
        let Some(pullback) = self.pullback else {
            return;
        };
        if cotangents.of_result.iter().any(|c| !c.is_exact_zero()) {
            // SAFETY: the closure is in the arena of the tape whose list this is part of, alive
            // until `clear`. What it captures is alive too: see `Tape::push_op`.
            unsafe { pullback.as_ref()(cotangents) };
        }
    }
}

/// What a pullback works on: the cotangent of its result, and the adjoints of all slots before it.
pub(crate) struct Cotangents<'a, F: Scalar> {
    /// The cotangent of the result, in row-major order.
    pub(crate) of_result: &'a [F],
    /// The adjoints of every slot below the result's.
    pub(crate) of_operands: Adjoints<'a, F>,
    /// Room for temporaries.
    pub(crate) arena: &'a Bump,
}

/// The adjoints of every slot below an operation's result.
///
/// A sweep over large tensors works in the memory of the last one. The run of an operation (or of an
/// input) whose numbers are old is *stale* and counts as zero: who adds to it clears it first, who
/// covers all of it just writes, and the pullback of a run that stays stale need not be called.
/// Memory safety rests on that too: a pullback whose captures may be gone has a result to which nothing
/// was added (see `Tape::push_op`), so [`split`](Self::split) must keep it from being called.
/// Measured: a training step of the net T4 takes 0.9 times as long as with zeros everywhere first.
#[allow(unreachable_pub)] // named by the sealed trait `Operands`
pub struct Adjoints<'a, F: Scalar> {
    slots: &'a mut [F],
    ops: &'a [Op<F>],
    /// Of each operation; empty if none is.
    stale: &'a mut [bool],
}

impl<'a, F: Scalar> Adjoints<'a, F> {
    /// A buffer without old numbers.
    pub(crate) fn new(slots: &'a mut [F]) -> Self {
        Self { slots, ops: &[], stale: &mut [] }
    }

    /// A buffer of old numbers, all of which count as zero, for a sweep over these records and
    /// operations.
    pub(crate) fn stale(slots: &'a mut [F], records: &[Record<F>], ops: &'a [Op<F>], stale: &'a mut Vec<bool>) -> Self {
        // To look up a scalar's operands takes as long as to clear hundreds of slots, and the rest of it
        // does not pay either where runs are short. (Tests always come here, with numbers that would show.)
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
                    for slot in entries.pairs().flat_map(|(parents, _)| parents) {
                        adjoints.at(slot as usize);
                    }
                }
            }
        }
        adjoints
    }

    /// The buffer, to add to the adjoints of `range` and to no others.
    #[inline]
    pub(crate) fn of(&mut self, range: Range<usize>) -> &mut [F] {
        if !self.stale.is_empty() {
            for run in self.runs(&range) {
                self.clear(run);
            }
        }
        self.slots
    }

    /// The buffer, and what to do to the adjoints of `range`, all of which are about to be written.
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

    /// The operations that own slots of a range which is not empty.
    fn runs(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.ops.partition_point(|op| op.first + op.len <= range.start);
        let end = start + self.ops[start..].partition_point(|op| op.first < range.end);
        start..end
    }

    fn clear(&mut self, run: usize) {
        if std::mem::take(&mut self.stale[run]) {
            let Op { first, len, .. } = self.ops[run];
            self.slots[first..first + len].fill(F::zero());
        }
    }

    /// Clears what nothing was added to.
    pub(crate) fn finish(&mut self) {
        for run in 0..self.stale.len() {
            self.clear(run);
        }
    }

    /// All of them, to add to those that are not stale: operands of scalar records, or of which `of` knows.
    #[inline(always)]
    pub(crate) fn slots(&mut self) -> &mut [F] {
        self.slots
    }

    /// The cotangent of the result of operation `index`, and the adjoints below; none if the cotangent
    /// counts as zero.
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

/// A part of a tape in the order of recording: an operation, and the scalar records that follow it.
pub(crate) struct Section<'a, F: Scalar> {
    /// The number of the operation.
    pub(crate) index: usize,
    pub(crate) op: &'a Op<F>,
    /// The slot of the first record.
    pub(crate) first: usize,
    pub(crate) records: &'a [Record<F>],
}

/// Every section of a tape, in the order of recording.
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
    /// The number of records before these.
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
