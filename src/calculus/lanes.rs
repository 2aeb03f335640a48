//! Several seeds in one pass over a recording: [`MultiSweep`].

use bumpalo::Bump;

use crate::adjoints::Adjoints;
use crate::kernels::{Kernel, Wrap};
use crate::real::Scalar;
use crate::sweep;
use crate::tape::{Record, Rest, Tape};

/// How many seeds are swept at once: one vector register of eight doubles, or two, or four.
pub(crate) const LANES: usize = 8;

/// The adjoints (or tangents) of every slot of a recording for [`LANES`] seeds.
///
/// Of a recording without tensor operations the lanes of a slot stand side by side, so each record
/// is read once for all of them and its products vectorise. Pullbacks want a contiguous cotangent:
/// there each lane is a buffer of its own, and the lanes take turns section by section.
///
/// ```text
/// sweep.clear(&tape);
/// sweep.seed(slot, lane, seed);     // any number, also several a lane
/// sweep.reverse(&tape);             // or forward
/// sweep.get(slot, lane)
/// ```
///
/// Seeded are slots of handles that live, or that a `for<'t>` closure returned: see
/// [`Tape::push_op`](crate::Tape).
pub(crate) struct MultiSweep<F: Scalar> {
    numbers: Vec<[F; LANES]>,
    side_by_side: bool,
    /// The highest slot with a seed.
    top: usize,
    /// How many lanes have one.
    used: usize,
    /// For pullbacks' temporaries.
    arena: Bump,
}

impl<F: Scalar> MultiSweep<F> {
    pub(crate) fn new() -> Self {
        Self { numbers: Vec::new(), side_by_side: true, top: 0, used: 0, arena: Bump::new() }
    }

    /// Zero everywhere, for a pass over `tape`.
    pub(crate) fn clear(&mut self, tape: &Tape<F>) {
        self.numbers.clear();
        self.numbers.resize(tape.slots(), [F::zero(); LANES]);
        self.side_by_side = !tape.has_operations();
        (self.top, self.used) = (0, 0);
    }

    /// As [`clear`](Self::clear), for a pass forward: that writes the records' numbers without reading them.
    pub(crate) fn clear_for_forward(&mut self, tape: &Tape<F>) {
        self.numbers.resize(tape.slots(), [F::zero(); LANES]);
        tape.with_records(|_, ops| {
            for op in ops {
                self.numbers[op.first..op.first + op.len].fill([F::zero(); LANES]);
            }
        });
        (self.side_by_side, self.top, self.used) = (true, 0, 0);
    }

    /// Adds `value` to the number of a slot.
    pub(crate) fn seed(&mut self, slot: u32, lane: usize, value: F) {
        let slot = slot as usize;
        self.top = self.top.max(slot);
        self.used = self.used.max(lane + 1);
        *self.place(slot, lane) += value;
    }

    /// The number of a slot. After a sweep these are meant for inputs and for nodes that were kept.
    pub(crate) fn get(&self, slot: u32, lane: usize) -> F {
        let slot = slot as usize;
        if self.side_by_side {
            self.numbers[slot][lane]
        } else {
            self.numbers.as_flattened()[lane * self.numbers.len() + slot]
        }
    }

    fn place(&mut self, slot: usize, lane: usize) -> &mut F {
        let slots = self.numbers.len();
        if self.side_by_side {
            &mut self.numbers[slot][lane]
        } else {
            &mut self.numbers.as_flattened_mut()[lane * slots + slot]
        }
    }

    /// Sweeps backward from the seeds: adjoints, with the conventions of a single sweep.
    pub(crate) fn reverse(&mut self, tape: &Tape<F>) {
        let (numbers, top) = (&mut self.numbers, self.top);
        assert!(numbers.len() == tape.slots(), "cleared for another recording");
        self.arena.reset();
        let arena = &self.arena;
        tape.with_records(|records, ops| {
            let mut end = records.len();
            for (index, op) in ops.iter().enumerate().rev() {
                let section = &records[op.records..end];
                end = op.records;
                if op.first > top {
                } else if self.side_by_side {
                    let first = op.first + op.len;
                    let live = section.len().min((top + 1).saturating_sub(first));
                    F::dispatch(Reverse { records: &section[..live], adjoints: numbers, first });
                } else {
                    let slots = numbers.len();
                    for adjoints in numbers.as_flattened_mut().chunks_exact_mut(slots).take(self.used) {
                        sweep::run_section(tape, arena, section, (index, op), top, &mut Adjoints::new(adjoints));
                    }
                }
            }
        });
    }

    /// Pushes the seeds forward: tangents. The partials of a recording are a linear program that
    /// runs either way.
    ///
    /// # Panics
    ///
    /// If the recording has tensor operations, which know their pullback alone.
    pub(crate) fn forward(&mut self, tape: &Tape<F>) {
        let numbers = &mut self.numbers;
        assert!(numbers.len() == tape.slots(), "cleared for another recording");
        tape.with_records(|records, ops| {
            for (i, op) in ops.iter().enumerate() {
                assert!(op.pullback.is_none(), "forward over a tensor operation");
                let end = ops.get(i + 1).map_or(records.len(), |next| next.records);
                let (records, first) = (&records[op.records..end], op.first + op.len);
                F::dispatch(Forward { records, tangents: numbers, first });
            }
        });
    }
}

/// [`sweep_records`](crate::kernels::sweep_records) on all lanes.
struct Reverse<'a, F> {
    records: &'a [Record<F>],
    adjoints: &'a mut [[F; LANES]],
    first: usize,
}

impl<F: Scalar> Kernel<F> for Reverse<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let Self { records, adjoints, first } = self;
        let mut i = records.len();
        while i > 0 {
            i -= 1;
            let (record, cotangents) = (&records[i], adjoints[first + i]);
            let rest = record.rest();
            let mut cells = &records[i..i];
            if let Rest::Cells(count) = rest {
                i -= count;
                cells = &records[i..i + count];
            }
            if cotangents.iter().all(|c| c.is_null()) {
                continue;
            }
            let mut add = |slot: u32, partial| add_scaled(&mut adjoints[slot as usize], &cotangents, partial);
            if let Rest::Sum(run) = rest {
                run.slots().for_each(|slot| add(slot, F::one()));
                continue;
            }
            add(record.parents[0], record.partials[0]);
            if let Rest::One(q, e) = rest {
                add(q, e);
            }
            for Record { parents: [p, q], partials: [d, e] } in cells {
                add(*p, *d);
                add(*q, *e);
            }
        }
    }
}

/// The linear program of a run of records, in the order of recording.
struct Forward<'a, F> {
    records: &'a [Record<F>],
    tangents: &'a mut [[F; LANES]],
    first: usize,
}

impl<F: Scalar> Kernel<F> for Forward<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let Self { records, tangents, first } = self;
        for (i, record) in records.iter().enumerate() {
            let slot = first + i;
            let mut sum = [F::zero(); LANES];
            let mut add = |slot: usize, partial| add_scaled(&mut sum, &tangents[slot], partial);
            let (p, d) = (record.parents[0] as usize, record.partials[0]);
            match record.rest() {
                Rest::One(q, e) => {
                    add(p, d);
                    add(q as usize, e);
                }
                Rest::Cells(cells) => {
                    add(p, d);
                    // The cells came before as records of their own; here is their sum.
                    (slot - cells..slot).for_each(|cell| add(cell, F::one()));
                }
                Rest::Sum(run) => run.slots().for_each(|slot| add(slot as usize, F::one())),
            }
            tangents[slot] = sum;
        }
    }
}

/// `sums += numbers · partial`, 0 where either factor is 0.
#[inline(always)]
fn add_scaled<F: Scalar>(sums: &mut [F; LANES], numbers: &[F; LANES], partial: F) {
    if partial.is_active() {
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += *number * partial;
        }
    } else if !partial.is_null() {
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += if number.is_null() { F::zero() } else { *number * partial };
        }
    }
}
