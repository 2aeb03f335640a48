//! The backward sweep over a whole tape, and recording and sweeping in one call.
//!
//! A slot that is passed here as an output must be that of a handle that is alive, or that a closure returned which
//! works for handles of any lifetime: `Tape::push_op` says why.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::arena::Arena;

use super::list::Tape;
use super::operation::{Adjoints, Cotangents, Op, Section, sections};
use super::record::Record;
use super::reverse::sweep_records;
use crate::number::Scalar;
use crate::number::precompiled::precompiled;

/// The tape that [`Tape::record_and_sweep`] lends for `'t`. The recording may borrow data that lives for `'env`, and
/// what is lent along with the tape.
pub(crate) struct Scope<'t, 'env: 't, F: Scalar> {
    pub(crate) tape: &'t Tape<F>,
    env: PhantomData<&'env ()>,
}

/// The result of a recording without its handle: the value, and the place to sweep from. The handle must have had the
/// lifetime `'t` of the [`Scope`], not a shorter one.
pub(crate) struct Output<F: Scalar> {
    pub(crate) value: F,
    /// The tape of the result, or null for a constant. It is only compared, never followed.
    pub(crate) tape: *const Tape<F>,
    pub(crate) slot: u32,
    /// The derivative of the result with respect to the slot.
    pub(crate) weight: F,
}

impl<F: Scalar> Tape<F> {
    /// Runs `record` on the cleared tape and sweeps from its result. Returns the value, and the adjoints of all slots
    /// up to the result's, at least those of the inputs at the start of the tape. The recording is forgotten before
    /// this returns or unwinds, so nothing of `'env` is read afterwards.
    ///
    /// `record` has to make the [`Output`] from a handle that a closure returned which works for any `'t`, because the
    /// sweep calls the pullbacks of the operations below it when `record` has returned (see `push_op`).
    #[track_caller]
    pub(crate) fn record_and_sweep<'env>(
        &mut self,
        record: impl for<'t> FnOnce(Scope<'t, 'env, F>) -> Output<F>,
    ) -> (F, &[F]) {
        let recorded = self.lend_and_sweep(&(), |scope, ()| Ok::<_, Infallible>(record(scope)));
        let Ok((value, adjoints, _)) = recorded;
        (value, adjoints)
    }

    /// Same as [`record_and_sweep`](Self::record_and_sweep), where the recording may also borrow what is lent for the
    /// length of this call alone, however long `'env` is. Returns the tape's arena as well. If `record` fails, there is
    /// no sweep.
    #[track_caller]
    #[allow(clippy::type_complexity)]
    pub(crate) fn lend_and_sweep<'env, X: ?Sized, E>(
        &mut self,
        lent: &X,
        record: impl for<'t> FnOnce(Scope<'t, 'env, F>, &'t X) -> Result<Output<F>, E>,
    ) -> Result<(F, &mut [F], &Arena), E> {
        struct Forget<'a, F: Scalar>(&'a Tape<F>);
        impl<F: Scalar> Drop for Forget<'_, F> {
            fn drop(&mut self) {
                // SAFETY: the tape was borrowed mutably, so every handle is one that `record` made. `record` works
                // for any 't, so it can keep no handle where one would outlive 't, and returns none: all are gone.
                unsafe { self.0.forget() };
            }
        }

        self.clear();
        let tape = &*self;
        let _forget = Forget(tape);
        let output = record(Scope { tape, env: PhantomData }, lent)?;
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
        Ok((output.value, adjoints, tape.arena()))
    }
}

precompiled! {
    /// Sweeps backward from slot `output` with the cotangent `seed`. The adjoints stay on the tape until it is cleared.
    pub(crate) fn backward<F>(tape: &Tape<F>, output: usize, seed: F) -> &mut [F] {
        tape.with_records(|records, ops| {
            let len = covered(ops, output);
            // Short buffers are simply zeroed: see M11 in docs/MEASUREMENTS.md. Debug builds always reuse memory, so that
            // tests cover that path.
            let many = cfg!(debug_assertions) || len >= 2048;
            let Some((slots, mut stale)) = many.then(|| tape.lend_adjoints(len)).flatten() else {
                let slots = tape.arena().alloc_slice_fill_copy(len, F::zero());
                slots[output] = seed;
                run_all(tape, records, ops, output, &mut Adjoints::new(slots));
                return slots;
            };
            let ops = &ops[..ops.partition_point(|op| op.first < len)];
            let last = &ops[ops.len() - 1]; // there is one: the first operation starts at slot 0
            let live = (output + 1).saturating_sub(last.first + last.len);
            let records = &records[..records.len().min(last.records + live)];
            let mut adjoints = Adjoints::stale(slots, records, ops, &mut stale);
            *adjoints.at(output) = seed;
            run_all(tape, records, ops, output, &mut adjoints);
            adjoints.finish();
            slots
        })
    }
}

/// Sweeps backward over the whole tape, from what `seed` adds to the adjoints. These stay on the tape until it is cleared.
pub(crate) fn backward_seeded<F: Scalar>(tape: &Tape<F>, seed: impl FnOnce(&mut Adjoints<'_, F>)) -> &mut [F] {
    let (len, output) = (tape.slots(), tape.slots() - 1);
    tape.with_records(|records, ops| {
        // Same as in `backward`.
        let many = cfg!(debug_assertions) || len >= 2048;
        let Some((slots, mut stale)) = many.then(|| tape.lend_adjoints(len)).flatten() else {
            let slots = tape.arena().alloc_slice_fill_copy(len, F::zero());
            let mut adjoints = Adjoints::new(slots);
            seed(&mut adjoints);
            run(tape, records, ops, output, &mut adjoints);
            return slots;
        };
        let mut adjoints = Adjoints::stale(slots, records, ops, &mut stale);
        seed(&mut adjoints);
        run(tape, records, ops, output, &mut adjoints);
        adjoints.finish();
        slots
    })
}

/// A longer buffer for [`backward_into`], if it needs one from this output.
pub(crate) fn longer_buffer<F: Scalar>(tape: &Tape<F>, len: usize, output: usize) -> Option<&mut [F]> {
    // For all slots, so that a loop over later and later outputs takes memory once.
    let longer = || tape.arena().alloc_slice_fill_copy(tape.slots(), F::zero());
    (len < tape.with_records(|_, ops| covered(ops, output))).then(longer)
}

/// Same as [`backward`], but into an existing buffer, which is long enough: see [`longer_buffer`]. The adjoints beyond
/// those that the sweep needs are zero. If a pullback panics, all are NaN.
pub(crate) fn backward_into<F: Scalar>(tape: &Tape<F>, adjoints: &mut [F], output: usize, seed: F) {
    struct Torn<'a, F: Scalar>(&'a mut [F]);
    impl<F: Scalar> Drop for Torn<'_, F> {
        fn drop(&mut self) {
            self.0.fill(F::nan());
        }
    }

    tape.with_records(|records, ops| {
        let torn = Torn(adjoints);
        torn.0.fill(F::zero());
        torn.0[output] = seed;
        run(tape, records, ops, output, &mut Adjoints::new(torn.0));
        std::mem::forget(torn);
    });
}

/// Sweeps backward from the seeds in `adjoints`, which has a number for every slot.
pub(crate) fn backward_from<F: Scalar>(tape: &Tape<F>, adjoints: &mut [F]) {
    tape.with_records(|records, ops| run(tape, records, ops, tape.slots() - 1, &mut Adjoints::new(adjoints)));
}

/// The number of adjoints of a sweep from `output`: all slots up to `output`, the rest of the operation that owns it,
/// and, if that holds inputs, the inputs next to them.
#[inline(always)]
fn covered<F: Scalar>(ops: &[Op<F>], output: usize) -> usize {
    // A tape of scalars alone: the search below costs as much as two records.
    if let [inputs] = ops {
        return inputs.len.max(output + 1);
    }
    covered_by_search(ops, output)
}

#[inline(never)]
fn covered_by_search<F: Scalar>(ops: &[Op<F>], output: usize) -> usize {
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

precompiled! {
    /// Sweeps backward from the seeds that stand in `adjoints` at or below `output`. The buffer covers whole operations.
    fn run<F>(tape: &Tape<F>, records: &[Record<F>], ops: &[Op<F>], output: usize, adjoints: &mut Adjoints<'_, F>) {
        run_all(tape, records, ops, output, adjoints);
    }
}

/// Same as [`run`], compiled into the caller.
#[inline(always)]
fn run_all<F: Scalar>(
    tape: &Tape<F>,
    records: &[Record<F>],
    ops: &[Op<F>],
    output: usize,
    adjoints: &mut Adjoints<'_, F>,
) {
    if let [inputs] = ops {
        // Scalar records alone: no pullback needs memory.
        let first = inputs.first + inputs.len;
        let section = Section { index: 0, op: inputs, first, records };
        return sweep_records(section.up_to(output), adjoints.slots(), first);
    }
    tape.with_scratch(|arena| {
        for section in sections(records, ops).rev().filter(|section| section.op.first <= output) {
            run_section(arena, &section, output, adjoints);
        }
    });
}

/// Sweeps one section: its records at or below `output`, then its operation.
#[inline(always)]
pub(crate) fn run_section<F: Scalar>(
    arena: &Arena,
    section: &Section<'_, F>,
    output: usize,
    adjoints: &mut Adjoints<'_, F>,
) {
    let records = section.up_to(output);
    if !records.is_empty() {
        sweep_records(records, adjoints.slots(), section.first);
    }
    if section.op.pullback.is_none() {
        return;
    }
    if let Some((of_result, of_operands)) = adjoints.split(section.index, section.op) {
        section.op.pull(&mut Cotangents { of_result, of_operands, arena });
    }
}
