//! What a closure recorded, kept for many sweeps: [`Linearization`].

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use bumpalo::Bump;
use ndarray::Array2;

use crate::number::Scalar;
use crate::scalar::{Var, two_tapes};
use crate::tape::{MultiSweep, SEEDS, SINK, Tape, sweep};

/// The tape of a function R^n → R^m at one point.
///
/// The handles are gone; inputs and outputs are kept by slot. The closure that recorded it works for
/// any life of the handles, so it put on the tape nothing that it borrowed, and sweeps stay sound:
/// see `Tape::push_op`.
pub(crate) struct Linearization<F: Scalar> {
    /// Shared with nobody. It must not move: what was recorded may point to it.
    tape: Rc<Tape<F>>,
    inputs: usize,
    /// Slot and weight: d(output) = weight · d(slot). The sink stands for a constant.
    outputs: Vec<(u32, F)>,
    /// Adjoints and pullbacks' temporaries of single sweeps.
    room: RefCell<(Vec<F>, Bump)>,
}

impl<F: Scalar> Linearization<F> {
    /// Runs `f` on fresh variables: the values of its outputs, and the recording.
    #[track_caller]
    pub(crate) fn new(f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>, x: &[F]) -> (Vec<F>, Self) {
        Self::on(Tape::new(), f, x)
    }

    /// As [`new`](Self::new), in the memory of a tape, which [`into_tape`](Self::into_tape) gives back.
    #[track_caller]
    pub(crate) fn on(
        mut tape: Tape<F>,
        f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>,
        x: &[F],
    ) -> (Vec<F>, Self) {
        tape.clear();
        let tape = Rc::new(tape);
        let outputs = f(tape.vars_from(x));
        let values = outputs.iter().map(|y| y.value()).collect();
        // A loop, not a closure: that would hide the caller's line.
        let mut slots = Vec::with_capacity(outputs.len());
        for y in &outputs {
            slots.push(place(*y, &tape));
        }
        drop(outputs);
        (values, Self::of(tape, x.len(), slots))
    }

    /// A recording whose inputs are the first slots of the tape.
    pub(super) fn of(tape: Rc<Tape<F>>, inputs: usize, outputs: Vec<(u32, F)>) -> Self {
        Self { tape, inputs, outputs, room: RefCell::default() }
    }

    /// The tape, cleared.
    pub(crate) fn into_tape(self) -> Tape<F> {
        let mut tape = Rc::into_inner(self.tape).expect("the tape is shared with nobody");
        tape.clear();
        tape
    }

    pub(crate) fn tape(&self) -> &Tape<F> {
        &self.tape
    }

    /// n.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// The slots of the inputs.
    pub(crate) fn input_slots(&self) -> Range<u32> {
        1..1 + self.inputs as u32
    }

    /// m.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// Slot and weight of each output; the sink for a constant.
    pub(crate) fn places(&self) -> &[(u32, F)] {
        &self.outputs
    }

    /// Seeds output `i` for a reverse sweep.
    pub(crate) fn seed_output(&self, sweep: &mut MultiSweep<F>, i: usize, lane: usize, cotangent: F) {
        let (slot, weight) = self.outputs[i];
        if slot != SINK {
            sweep.seed(slot, lane, weight.gated_mul(cotangent));
        }
    }

    /// The tangent of output `i` after a forward pass.
    pub(crate) fn tangent(&self, sweep: &MultiSweep<F>, i: usize, lane: usize) -> F {
        let (slot, weight) = self.outputs[i];
        if slot == SINK { F::zero() } else { weight.gated_mul(sweep.get(slot, lane)) }
    }

    /// Sweeps from every output, [`SEEDS`] at a time: `read(i, lane, sweep)` finds row i of the
    /// Jacobian at the inputs' slots.
    pub(crate) fn for_each_row(&self, mut read: impl FnMut(usize, usize, &MultiSweep<F>)) {
        let mut sweep = MultiSweep::new();
        for first in (0..self.outputs()).step_by(SEEDS) {
            let rows = first..self.outputs().min(first + SEEDS);
            sweep.clear(&self.tape);
            for i in rows.clone() {
                self.seed_output(&mut sweep, i, i - first, F::one());
            }
            sweep.reverse(&self.tape);
            for i in rows {
                read(i, i - first, &sweep);
            }
        }
    }

    /// Pushes every input's unit tangent forward, [`SEEDS`] at a time: `read(j, lane, sweep)` finds
    /// column j of the Jacobian by [`tangent`](Self::tangent).
    pub(crate) fn for_each_column(&self, mut read: impl FnMut(usize, usize, &MultiSweep<F>)) {
        let mut sweep = MultiSweep::new();
        for first in (0..self.inputs).step_by(SEEDS) {
            let columns = first..self.inputs.min(first + SEEDS);
            sweep.clear(&self.tape);
            for j in columns.clone() {
                sweep.seed(1 + j as u32, j - first, F::one());
            }
            sweep.forward(&self.tape);
            for j in columns {
                read(j, j - first, &sweep);
            }
        }
    }

    /// Whether the columns take fewer passes than the rows, and the recording can be pushed forward.
    pub(crate) fn is_tall(&self) -> bool {
        self.inputs.div_ceil(SEEDS) < self.outputs().div_ceil(SEEDS) && !self.tape.has_operations()
    }

    /// The Jacobian, m × n, by the cheaper way.
    pub(crate) fn jacobian(&self) -> Array2<F> {
        if self.is_tall() { self.jacobian_by_columns() } else { self.jacobian_by_rows() }
    }

    pub(crate) fn jacobian_by_rows(&self) -> Array2<F> {
        let mut jacobian = Array2::zeros((self.outputs(), self.inputs));
        self.for_each_row(|i, lane, sweep| {
            for (slot, entry) in self.input_slots().zip(jacobian.row_mut(i)) {
                *entry = sweep.get(slot, lane);
            }
        });
        jacobian
    }

    fn jacobian_by_columns(&self) -> Array2<F> {
        let mut jacobian = Array2::zeros((self.outputs(), self.inputs));
        self.for_each_column(|j, lane, sweep| {
            for (i, entry) in jacobian.column_mut(j).iter_mut().enumerate() {
                *entry = self.tangent(sweep, i, lane);
            }
        });
        jacobian
    }

    /// The trace of a square Jacobian.
    pub(crate) fn trace_of_jacobian(&self) -> F {
        let mut trace = F::zero();
        if self.is_tall() {
            self.for_each_column(|j, lane, sweep| trace += self.tangent(sweep, j, lane));
        } else {
            self.for_each_row(|i, lane, sweep| trace += sweep.get(1 + i as u32, lane));
        }
        trace
    }

    /// One sweep: Jᵀ · cotangent.
    pub(crate) fn pull(&self, cotangents: impl IntoIterator<Item = F>) -> Vec<F> {
        let (adjoints, arena) = &mut *self.room.borrow_mut();
        adjoints.clear();
        adjoints.resize(self.tape.slots(), F::zero());
        arena.reset();
        for (&(slot, weight), cotangent) in self.outputs.iter().zip(cotangents) {
            if slot != SINK {
                adjoints[slot as usize] += weight.gated_mul(cotangent);
            }
        }
        sweep::backward_from(&self.tape, adjoints, arena);
        adjoints[1..=self.inputs].to_vec()
    }
}

/// Slot and weight of an output.
#[track_caller]
pub(super) fn place<F: Scalar>(y: Var<'_, F>, tape: &Tape<F>) -> (u32, F) {
    match y.tape() {
        None => (SINK, F::zero()),
        Some(own) if std::ptr::eq(own, tape) => (y.slot(), y.weight()),
        Some(other) => two_tapes(tape, other),
    }
}

/// Panics if a direction does not fit the point.
#[track_caller]
pub(super) fn assert_direction(operation: &str, direction: usize, point: usize) {
    assert!(
        direction == point,
        "{operation}: the tangent has {direction} numbers, the point has {point}; a direction has one number for each input"
    );
}

/// Panics if a function whose trace is asked is not from R^n to R^n.
#[track_caller]
pub(super) fn assert_square(outputs: usize, inputs: usize) {
    assert!(
        outputs == inputs,
        "divergence: the function has {outputs} outputs and {inputs} inputs; a vector field has as many of both"
    );
}
