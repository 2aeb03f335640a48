//! The backward sweep over a whole tape, and recording followed by a sweep in one call.

use std::marker::PhantomData;

use bumpalo::Bump;

use super::list::Tape;
use super::operation::{Adjoints, Cotangents, Op, Section, sections};
use super::record::Record;
use super::reverse::sweep_records;
use crate::number::Scalar;

/// What [`Tape::record_and_sweep`] lends: the tape for `'t`; data that lives for `'env` may be
/// borrowed as long.
pub(crate) struct Scope<'t, 'env: 't, F: Scalar> {
    pub(crate) tape: &'t Tape<F>,
    env: PhantomData<&'env ()>,
}

/// The result of a recording without its handle: the value, and the place to sweep from.
pub(crate) struct Output<F: Scalar> {
    pub(crate) value: F,
    /// Null: a constant. Only compared, never followed.
    pub(crate) tape: *const Tape<F>,
    pub(crate) slot: u32,
    /// The derivative of the result with respect to the slot.
    pub(crate) weight: F,
}

impl<F: Scalar> Tape<F> {
    /// Runs `record` on the cleared tape and sweeps from its result: the value, and the adjoints of
    /// all slots up to it, those of inputs at least. The recording is forgotten before this returns or
    /// unwinds, so nothing of `'env` is read afterwards.
    #[track_caller]
    pub(crate) fn record_and_sweep<'env>(
        &mut self,
        record: impl for<'t> FnOnce(Scope<'t, 'env, F>) -> Output<F>,
    ) -> (F, &[F]) {
        struct Forget<'a, F: Scalar>(&'a Tape<F>);
        impl<F: Scalar> Drop for Forget<'_, F> {
            fn drop(&mut self) {
                // SAFETY: the tape was borrowed mutably, so every handle is one that `record`
                // made. `record` works for any 't and returns no handle, so none outlives its call.
                unsafe { self.0.forget() };
            }
        }

        self.clear();
        let tape = &*self;
        let _forget = Forget(tape);
        let output = record(Scope { tape, env: PhantomData });
        let adjoints = if output.tape.is_null() {
            tape.arena().alloc_slice_fill_copy(tape.slots(), F::zero())
        } else if std::ptr::eq(output.tape, tape) {
            backward(tape, output.slot as usize, output.weight)
        } else {
            panic!(
                "value_and_grad: the loss belongs to tape {:p}, not to the one it should be recorded on ({tape:p}); use `p.tape()`",
                output.tape
            )
        };
        if let Some(complaint) = tape.check().and_then(|check| check(tape, output.value, adjoints)) {
            panic!("{complaint}");
        }
        (output.value, adjoints)
    }
}

/// Sweeps backward from slot `output` with cotangent `seed`; the adjoints stay on the tape.
pub(crate) fn backward<F: Scalar>(tape: &Tape<F>, output: usize, seed: F) -> &mut [F] {
    tape.with_records(|records, ops| {
        let len = covered(ops, output);
        // Few adjoints are cleared in no time. (Tests take the way of the many.)
        let many = cfg!(debug_assertions) || len >= 2048;
        let Some((slots, mut stale)) = many.then(|| tape.lend_adjoints(len)).flatten() else {
            let slots = tape.arena().alloc_slice_fill_copy(len, F::zero());
            slots[output] = seed;
            run(tape.arena(), records, ops, output, &mut Adjoints::new(slots));
            return slots;
        };
        let ops = &ops[..ops.partition_point(|op| op.first < len)];
        let last = &ops[ops.len() - 1]; // the first run starts at slot 0
        let live = (output + 1).saturating_sub(last.first + last.len);
        let records = &records[..records.len().min(last.records + live)];
        let mut adjoints = Adjoints::stale(slots, records, ops, &mut stale);
        *adjoints.at(output) = seed;
        run(tape.arena(), records, ops, output, &mut adjoints);
        adjoints.finish();
        slots
    })
}

/// Sweeps as [`backward`] does, into a buffer that exists; does nothing and returns false if its length is not the
/// sweep's.
pub(crate) fn backward_into<F: Scalar>(tape: &Tape<F>, adjoints: &mut [F], output: usize, seed: F) -> bool {
    tape.with_records(|records, ops| {
        let fits = adjoints.len() == covered(ops, output);
        if fits {
            adjoints.fill(F::zero());
            adjoints[output] = seed;
            run(tape.arena(), records, ops, output, &mut Adjoints::new(adjoints));
        }
        fits
    })
}

/// Sweeps from the seeds in `adjoints`, which has a number for every slot; pullbacks' temporaries go
/// to `arena`.
pub(crate) fn backward_from<F: Scalar>(tape: &Tape<F>, adjoints: &mut [F], arena: &Bump) {
    tape.with_records(|records, ops| run(arena, records, ops, tape.slots() - 1, &mut Adjoints::new(adjoints)));
}

/// The number of slots a sweep from `output` needs: all of the run it stands in, and if those are
/// inputs, of those next to them.
fn covered<F: Scalar>(ops: &[Op<F>], output: usize) -> usize {
    let next = ops.partition_point(|op| op.first <= output);
    let Some(own) = next.checked_sub(1).map(|index| &ops[index]) else { return output + 1 };
    let mut end = own.first + own.len;
    if own.pullback.is_none() && output < end {
        for op in ops[next..].iter().take_while(|op| op.pullback.is_none() && op.records == own.records) {
            end = op.first + op.len;
        }
    }
    end.max(output + 1)
}

/// Sweeps from the seeds that stand in `adjoints` (which covers whole runs) at or below `output`.
fn run<F: Scalar>(arena: &Bump, records: &[Record<F>], ops: &[Op<F>], output: usize, adjoints: &mut Adjoints<'_, F>) {
    for section in sections(records, ops).rev().filter(|section| section.op.first <= output) {
        run_section(arena, &section, output, adjoints);
    }
}

/// Sweeps one operation and the scalar records that follow it.
#[inline(always)]
pub(crate) fn run_section<F: Scalar>(
    arena: &Bump,
    section: &Section<'_, F>,
    output: usize,
    adjoints: &mut Adjoints<'_, F>,
) {
    sweep_records(section.up_to(output), adjoints.slots(), section.first);
    if section.op.pullback.is_none() {
        return;
    }
    if let Some((of_result, of_operands)) = adjoints.split(section.index, section.op) {
        section.op.pull(&mut Cotangents { of_result, of_operands, arena });
    }
}
