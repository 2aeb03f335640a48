//! A recorded function, kept for any number of sweeps: [`Linearization`].

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use ndarray::Array2;

use crate::number::Scalar;
use crate::scalar::{Var, two_tapes};
use crate::tape::{MultiSweep, SEEDS, SINK, Tape, sweep};

/// The recording of a function R^n → R^m at one point.
///
/// The handles are gone; inputs and outputs are kept by slot. Sweeps from the outputs are sound nevertheless, because
/// the closure that recorded the function works for handles of any lifetime: the returned outputs depend on no
/// operation that borrows from outside the tape, unless for `'static`. (Other operations on the tape may.) See
/// `Tape::push_op`.
pub(crate) struct Linearization<F: Scalar> {
    /// An `Rc` that is never cloned. Pullbacks may point to the tape, so it must not move; and to move a `Box` would
    /// assert that no pointer to its contents is in use.
    tape: Rc<Tape<F>>,
    inputs: usize,
    /// The edge (slot, weight) of each output: d(output) = weight · d(slot). The slot of a constant is the sink.
    outputs: Vec<(u32, F)>,
    /// The adjoints of single sweeps.
    adjoints: RefCell<Vec<F>>,
}

impl<F: Scalar> Linearization<F> {
    /// Runs `f` on new variables; returns the values of the outputs, and the recording.
    #[track_caller]
    pub(crate) fn new(f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>, x: &[F]) -> (Vec<F>, Self) {
        Self::on(Tape::new(), f, x)
    }

    /// Same as [`new`](Self::new), but in the memory of a tape, which [`into_tape`](Self::into_tape) gives back.
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
        // A loop, because a closure would hide the caller's line.
        let mut slots = Vec::with_capacity(outputs.len());
        for y in &outputs {
            slots.push(place(*y, &tape));
        }
        drop(outputs);
        (values, Self::of(tape, x.len(), slots))
    }

    /// The recording on a tape with the inputs in its first slots. The outputs must be edges of handles that a closure
    /// returned which works for handles of any lifetime.
    pub(super) fn of(tape: Rc<Tape<F>>, inputs: usize, outputs: Vec<(u32, F)>) -> Self {
        Self { tape, inputs, outputs, adjoints: RefCell::default() }
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

    /// The number of inputs, n.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// The slots of the inputs.
    pub(crate) fn input_slots(&self) -> Range<u32> {
        1..1 + self.inputs as u32
    }

    /// The number of outputs, m.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// The edge (slot, weight) of each output. The slot of a constant is the sink.
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

    /// Sweeps backward from every output, [`SEEDS`] at a time, and calls `read(i, lane, sweep)` for each: in that lane,
    /// the numbers of the inputs' slots are row i of the Jacobian.
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

    /// Pushes the unit tangent of every input forward, [`SEEDS`] at a time, and calls `read(j, lane, sweep)` for each:
    /// in that lane, [`tangent`](Self::tangent) reads column j of the Jacobian.
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

    /// True if the columns take fewer passes than the rows, and the recording can be swept forward.
    pub(crate) fn is_tall(&self) -> bool {
        self.inputs.div_ceil(SEEDS) < self.outputs().div_ceil(SEEDS) && !self.tape.has_operations()
    }

    /// The Jacobian, m × n, by columns or by rows, whichever is cheaper.
    pub(crate) fn jacobian(&self) -> Array2<F> {
        if self.is_tall() { self.jacobian_by_columns() } else { self.jacobian_by_rows() }
    }

    /// The Jacobian by reverse sweeps.
    pub(crate) fn jacobian_by_rows(&self) -> Array2<F> {
        let mut jacobian = Array2::zeros((self.outputs(), self.inputs));
        self.for_each_row(|i, lane, sweep| {
            for (slot, entry) in self.input_slots().zip(jacobian.row_mut(i)) {
                *entry = sweep.get(slot, lane);
            }
        });
        jacobian
    }

    /// The Jacobian by forward sweeps, which tensor operations do not allow.
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

    /// The product Jᵀ · cotangent, by one sweep.
    pub(crate) fn pull(&self, cotangents: impl IntoIterator<Item = F>) -> Vec<F> {
        let adjoints = &mut *self.adjoints.borrow_mut();
        adjoints.clear();
        adjoints.resize(self.tape.slots(), F::zero());
        for (&(slot, weight), cotangent) in self.outputs.iter().zip(cotangents) {
            if slot != SINK {
                adjoints[slot as usize] += weight.gated_mul(cotangent);
            }
        }
        sweep::backward_from(&self.tape, adjoints);
        adjoints[1..=self.inputs].to_vec()
    }
}

/// The edge (slot, weight) of an output, with the sink for a constant. Panics if the output is of another tape.
#[track_caller]
pub(super) fn place<F: Scalar>(y: Var<'_, F>, tape: &Tape<F>) -> (u32, F) {
    match y.tape() {
        None => (SINK, F::zero()),
        Some(own) if std::ptr::eq(own, tape) => (y.slot(), y.weight()),
        Some(other) => two_tapes(tape, other),
    }
}

/// Panics if a direction and the point differ in length.
#[track_caller]
pub(super) fn assert_direction(operation: &str, direction: usize, point: usize) {
    assert!(
        direction == point,
        "{operation}: the tangent has {direction} numbers, the point has {point}; a direction has one number for each input"
    );
}

/// Panics unless the function is a vector field R^n → R^n.
#[track_caller]
pub(super) fn assert_square(outputs: usize, inputs: usize) {
    assert!(
        outputs == inputs,
        "divergence: the function has {outputs} outputs and {inputs} inputs; a vector field has as many of both"
    );
}
