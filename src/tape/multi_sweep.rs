//! Several seeds in one pass over a recording: [`MultiSweep`].

use crate::arena::Arena;

use super::list::Tape;
use super::operation::{Adjoints, sections};
use super::record::{self, Entries, Record};
use super::sweep::run_section;
use crate::number::{Kernel, Scalar, Wrap};

/// The number of seeds swept at once: eight doubles fill one, two or four vector registers.
pub(crate) const SEEDS: usize = 8;

/// The adjoints (or tangents) of every slot of a recording for [`SEEDS`] seeds, one *lane* for each seed.
///
/// Without tensor operations in the recording, the lanes of a slot stand side by side, so that each record is read
/// once for all lanes and the products vectorise. A pullback needs a contiguous cotangent: with tensor operations,
/// each lane is a buffer of its own, and the lanes take turns section by section.
///
/// ```text
/// sweep.clear(&tape);
/// sweep.seed(slot, lane, seed);     // any number of times, also several times in a lane
/// sweep.reverse(&tape);             // or forward
/// sweep.get(slot, lane)
/// ```
///
/// A slot that is seeded must be that of a handle that is alive, or that a `for<'t>` closure returned: `Tape::push_op`
/// says why.
pub(crate) struct MultiSweep<F: Scalar> {
    numbers: Vec<[F; SEEDS]>,
    /// True if the lanes of a slot stand side by side, false if each lane is a buffer of its own.
    side_by_side: bool,
    /// The highest slot with a seed.
    top: usize,
    /// The number of lanes up to the last one with a seed.
    used: usize,
    /// Memory for temporaries of pullbacks.
    arena: Arena,
}

impl<F: Scalar> MultiSweep<F> {
    pub(crate) fn new() -> Self {
        Self { numbers: Vec::new(), side_by_side: true, top: 0, used: 0, arena: Arena::new() }
    }

    /// Sets every number to zero, for a pass over `tape`.
    pub(crate) fn clear(&mut self, tape: &Tape<F>) {
        self.numbers.clear();
        self.numbers.resize(tape.slots(), [F::zero(); SEEDS]);
        self.side_by_side = !tape.has_operations();
        (self.top, self.used) = (0, 0);
    }

    /// Same as [`clear`](Self::clear), but for a forward pass only, which overwrites the numbers of records.
    pub(crate) fn clear_for_forward(&mut self, tape: &Tape<F>) {
        self.numbers.resize(tape.slots(), [F::zero(); SEEDS]);
        tape.with_records(|_, ops| {
            for op in ops {
                self.numbers[op.first..op.first + op.len].fill([F::zero(); SEEDS]);
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

    /// The number of a slot. After a sweep it is meaningful for inputs and for slots with a handle.
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

    /// Sweeps backward from the seeds, with the conventions of a single sweep: the numbers become adjoints.
    pub(crate) fn reverse(&mut self, tape: &Tape<F>) {
        let (numbers, top) = (&mut self.numbers, self.top);
        assert!(numbers.len() == tape.slots(), "cleared for another recording");
        self.arena.clear();
        let arena = &self.arena;
        tape.with_records(|records, ops| {
            for section in sections(records, ops).rev().filter(|section| section.op.first <= top) {
                if self.side_by_side {
                    F::dispatch(Reverse { records: section.up_to(top), adjoints: numbers, first: section.first });
                } else {
                    let slots = numbers.len();
                    for adjoints in numbers.as_flattened_mut().chunks_exact_mut(slots).take(self.used) {
                        run_section(arena, &section, top, &mut Adjoints::new(adjoints));
                    }
                }
            }
        });
    }

    /// Pushes the seeds forward: the numbers become tangents. The partials of a recording are a linear program, which
    /// runs either way. Of a tensor operation the tape has only the pullback, so that the tangents of its result, and of
    /// what depends on that, are NaN.
    pub(crate) fn forward(&mut self, tape: &Tape<F>) {
        let numbers = &mut self.numbers;
        assert!(numbers.len() == tape.slots(), "cleared for another recording");
        tape.with_records(|records, ops| {
            for section in sections(records, ops) {
                if section.op.pullback.is_some() {
                    numbers[section.op.first..section.first].fill([F::nan(); SEEDS]);
                }
                F::dispatch(Forward { records: section.records, tangents: numbers, first: section.first });
            }
        });
    }
}

/// The sweep over the records of a section, on all lanes at once.
struct Reverse<'a, F> {
    records: &'a [Record<F>],
    adjoints: &'a mut [[F; SEEDS]],
    first: usize,
}

impl<F: Scalar> Kernel<F> for Reverse<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let Self { records, adjoints, first } = self;
        for (index, entries) in record::backward(records) {
            let cotangents = adjoints[first + index];
            if cotangents.iter().all(|c| c.is_exact_zero()) {
                continue;
            }
            let mut add = |slot: u32, partial| add_scaled(&mut adjoints[slot as usize], &cotangents, partial);
            match entries {
                Entries::Pair((p, d), (q, e)) => {
                    add(p, d);
                    add(q, e);
                }
                Entries::Wide((p, d), cells) => {
                    add(p, d);
                    for [(p, d), (q, e)] in cells.iter().map(Record::cell) {
                        add(p, d);
                        add(q, e);
                    }
                }
                Entries::Sum(of) => of.slots().for_each(|slot| add(slot, F::one())),
            }
        }
    }
}

/// The linear program of the records of a section, in the order of recording.
struct Forward<'a, F> {
    records: &'a [Record<F>],
    tangents: &'a mut [[F; SEEDS]],
    first: usize,
}

impl<F: Scalar> Kernel<F> for Forward<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let Self { records, tangents, first } = self;
        for (index, entries) in record::forward(records) {
            let slot = first + index;
            let mut sum = [F::zero(); SEEDS];
            let mut add = |slot: usize, partial| add_scaled(&mut sum, &tangents[slot], partial);
            match entries {
                Entries::Pair((p, d), (q, e)) => {
                    add(p as usize, d);
                    add(q as usize, e);
                }
                Entries::Wide((p, d), cells) => {
                    add(p as usize, d);
                    // The cells came before, as records of their own, so their tangents are known.
                    (slot - cells.len()..slot).for_each(|cell| add(cell, F::one()));
                }
                Entries::Sum(of) => of.slots().for_each(|slot| add(slot as usize, F::one())),
            }
            tangents[slot] = sum;
        }
    }
}

/// Computes `sums += numbers · partial`. A product is 0 if a factor is 0.
#[inline(always)]
fn add_scaled<F: Scalar>(sums: &mut [F; SEEDS], numbers: &[F; SEEDS], partial: F) {
    if partial.is_finite_nonzero() {
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += *number * partial;
        }
    } else if !partial.is_exact_zero() {
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += if number.is_exact_zero() { F::zero() } else { *number * partial };
        }
    }
}
