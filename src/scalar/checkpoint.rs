//! Checkpoints: parts of a computation that the sweep computes again instead of reading them from the tape.
//!
//! A checkpoint is one operation on the tape. Its pullback records the part on a spare tape and sweeps it there.

use std::ops::Range;

use super::gradient::Gradient;
use super::var::Var;
use crate::number::Scalar;
use crate::tape::{Adjoints, Cotangents, OperationKind, SINK, Tape};

/// The places of the snapshots of [`Tape::checkpoint_loop`], which trade memory for recomputation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotSchedule {
    /// A snapshot every √n steps. This takes memory for √n states and the recording of √n steps, and computes each step
    /// twice.
    Sqrt,
    /// The optimal schedule for a number of snapshots (A. Griewank and A. Walther 2000, "Algorithm 799: revolve", ACM
    /// TOMS 26(1)). This takes memory for these states and the recording of one step. With c snapshots and at most t
    /// repetitions of each step, C(c + t, c) steps are within reach; so log₂ n snapshots need about log₂ n / 2
    /// repetitions.
    Binomial {
        /// The greatest number of states kept at a time, the initial one included.
        count: usize,
    },
}

impl SnapshotSchedule {
    /// The number of steps recorded at once.
    fn leaf(self, steps: usize) -> usize {
        match self {
            Self::Sqrt => steps.isqrt().max(1),
            Self::Binomial { .. } => 1,
        }
    }

    /// The number of steps from the last snapshot, `remaining` steps before the end, to the next one, if `more` of them
    /// can be made; `None` if the remaining steps are to be recorded.
    fn next(self, steps: usize, remaining: usize, more: usize) -> Option<usize> {
        let leaf = self.leaf(steps);
        (more > 0 && remaining > leaf).then(|| match self {
            Self::Sqrt => leaf,
            Self::Binomial { .. } => advance(remaining, more + 1),
        })
    }

    /// The number of snapshots, the initial state included.
    fn snapshots(self, steps: usize) -> usize {
        match self {
            Self::Sqrt => steps.div_ceil(self.leaf(steps)).max(1),
            Self::Binomial { count } => count.min(steps.max(1)),
        }
    }
}

/// The binomial coefficient C(c + t, c), the number of steps within reach of c snapshots and t repetitions, or
/// `usize::MAX` if it overflows.
fn reach(c: usize, t: usize) -> usize {
    (1..=t).try_fold(1_usize, |reach, i| Some(reach.checked_mul(c + i)? / i)).unwrap_or(usize::MAX)
}

/// The number of steps from the first of c snapshots to the next, for n > 1 steps.
fn advance(n: usize, c: usize) -> usize {
    let t = (1..=n).find(|&t| reach(c, t) >= n).expect("t repetitions reach further than t");
    // Both leave no more steps than `reach(c - 1, t)`, and from 1 to n - 1: `reach(c - 1, t - 1) <= reach(c, t - 1) < n`.
    reach(c, t - 1).min(n - reach(c - 1, t - 1))
}

/// Variables as a pullback keeps them: slots (the sink for constants) and values.
#[derive(Clone, Copy)]
pub(super) struct KeptVars<'t, F> {
    slots: &'t [u32],
    pub(super) values: &'t [F],
}

impl<'t, F: Scalar> KeptVars<'t, F> {
    /// The variables with their [values](values_on), retained.
    #[track_caller]
    pub(super) fn new(tape: &'t Tape<F>, vars: &[Var<'t, F>], values: &'t [F]) -> Self {
        let slots = tape.arena().alloc_slice_fill_copy(vars.len(), SINK);
        for (slot, var) in slots.iter_mut().zip(vars) {
            *slot = var.retain().slot();
        }
        Self { slots, values }
    }

    fn is_constant(self) -> bool {
        self.slots.iter().all(|&slot| slot == SINK)
    }

    /// Adds cotangents to the adjoints of the variables.
    pub(super) fn add(self, adjoints: &mut Adjoints<'_, F>, cotangents: impl IntoIterator<Item = F>) {
        for (&slot, cotangent) in self.slots.iter().zip(cotangents) {
            if slot != SINK {
                *adjoints.at(slot as usize) += cotangent;
            }
        }
    }
}

/// The values of some variables, in the arena. Panics unless all are on this tape.
#[track_caller]
fn values_on<'t, F: Scalar>(tape: &'t Tape<F>, vars: &[Var<'t, F>]) -> &'t [F] {
    for own in vars.iter().filter_map(Var::tape) {
        assert!(
            std::ptr::eq(own, tape),
            "checkpoint: an input belongs to tape {own:p}, the checkpoint is recorded on tape {tape:p}"
        );
    }
    tape.arena().alloc_slice_fill_iter(vars.iter().map(|var| var.value()))
}

fn constants<'s, F: Scalar>(values: &[F]) -> Vec<Var<'s, F>> {
    values.iter().copied().map(Var::constant).collect()
}

/// Panics if an output is not a constant though all inputs were: the closure used another variable.
#[track_caller]
fn assert_captures_nothing<F: Scalar>(outputs: &[Var<'_, F>]) {
    assert!(
        outputs.iter().all(|output| output.is_constant()),
        "checkpoint: the closure uses a variable that is not among its inputs; pass it as one, or `.detach()` it"
    );
}

/// Panics unless the numbers computed in the sweep are those computed first.
pub(crate) fn assert_same<F: Scalar>(first: &[F], again: impl ExactSizeIterator<Item = F>) {
    assert!(
        first.len() == again.len(),
        "checkpoint: the closure gave {} numbers at first and {} in the sweep",
        first.len(),
        again.len()
    );
    for (i, (first, again)) in first.iter().zip(again).enumerate() {
        assert!(
            *first == again || (first.is_nan() && again.is_nan()),
            "checkpoint: the closure is not deterministic: number {i} of its result was {first} at first and {again} in the sweep; \
             it must compute the same each time (a random generator is to be seeded inside it)"
        );
    }
}

/// The gradient of Σ cotangentᵢ · outputᵢ.
fn sweep<'s, F: Scalar>(tape: &'s Tape<F>, outputs: &[Var<'s, F>], cotangents: &[F]) -> Gradient<'s, F> {
    tape.backward_with(outputs.iter().zip(cotangents).map(|(output, cotangent)| output.seed(*cotangent)))
}

impl<F: Scalar> Tape<F> {
    /// The outputs of `f`. The tape keeps the inputs only, and a sweep computes `f` again.
    ///
    /// This saves the memory of everything inside `f` and computes `f` twice (Griewank and Walther, Evaluating
    /// Derivatives, 2nd ed., chapter 12). `f` may borrow data, but gets variables only as its inputs.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let [x, w] = tape.vars([0.5_f64, 1.1]);
    /// let y = tape.checkpoint(&[x, w], |v| {
    ///     let mut x = v[0];
    ///     for _ in 0..1000 {
    ///         x = (x * v[1]).sin();
    ///     }
    ///     vec![x]
    /// });
    /// assert!(tape.len() < 10);
    /// let gradient = y[0].backward();
    /// assert!(gradient[w] != 0.0);
    /// ```
    ///
    /// A variable that is not among the inputs would get no gradient, so its use does not compile:
    ///
    /// ```compile_fail
    /// let tape = wengert::Tape::new();
    /// let [x, w] = tape.vars([0.5, 1.1]);
    /// let y = tape.checkpoint(&[x], |v| vec![2.0 * w]);
    /// ```
    ///
    /// # Panics
    ///
    /// If an input is of another tape, or `f` uses a variable that is not among the inputs. In a sweep, if `f` gives
    /// other values than at first.
    #[track_caller]
    pub fn checkpoint<'t>(
        &'t self,
        inputs: &[Var<'t, F>],
        f: impl for<'s> Fn(&[Var<'s, F>]) -> Vec<Var<'s, F>> + Copy + 't,
    ) -> Vec<Var<'t, F>> {
        let of_inputs = values_on(self, inputs);
        let outputs = f(&constants(of_inputs));
        assert_captures_nothing(&outputs);
        let values = &*self.arena().alloc_slice_fill_iter(outputs.iter().map(|output| output.value()));
        // The closure may have recorded on this tape, so that the attempt begins here.
        let attempt = self.records().attempt();
        let inputs = KeptVars::new(self, inputs, of_inputs);
        let results = self.results("checkpoint", values, inputs.is_constant(), move |cotangents| {
            self.with_spare(|tape| {
                let x = tape.vars_from(inputs.values);
                let y = f(x);
                assert_same(values, y.iter().map(|y| y.value()));
                inputs.add(&mut cotangents.of_operands, sweep(tape, &y, cotangents.of_result).wrt(x));
            });
        });
        attempt.keep();
        results
    }

    /// The state after `steps` times `state = step(i, inputs, state)`, i = 0, 1, .... The tape keeps a few snapshots of
    /// the state, and a sweep computes the steps between them again.
    ///
    /// A recurrence of n steps, such as an integrator of a differential equation, then takes memory in proportion to
    /// √n or log n instead of n: see [`SnapshotSchedule`].
    ///
    /// ```
    /// use wengert::{SnapshotSchedule, Tape};
    ///
    /// // The explicit Euler method for y' = -k y over t = 1.
    /// let tape = Tape::new();
    /// let [k, start] = tape.vars([0.5_f64, 2.0]);
    /// let n = 10_000;
    /// let end = tape.checkpoint_loop(n, SnapshotSchedule::Sqrt, &[k], &[start], |_, inputs, state| {
    ///     vec![state[0] - inputs[0] * state[0] / n as f64]
    /// });
    /// let gradient = end[0].backward();
    /// assert!((gradient[start] - (-0.5_f64).exp()).abs() < 1e-4);
    /// assert!((gradient[k] + 2.0 * (-0.5_f64).exp()).abs() < 1e-4);
    /// assert!(tape.memory() < 10_000);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`checkpoint`](Self::checkpoint), or if a step changes the number of variables of the state, or the
    /// schedule has no snapshot.
    #[track_caller]
    pub fn checkpoint_loop<'t>(
        &'t self,
        steps: usize,
        schedule: SnapshotSchedule,
        inputs: &[Var<'t, F>],
        state: &[Var<'t, F>],
        step: impl for<'s> Fn(usize, &[Var<'s, F>], &[Var<'s, F>]) -> Vec<Var<'s, F>> + Copy + 't,
    ) -> Vec<Var<'t, F>> {
        let width = state.len();
        let first_more = schedule.snapshots(steps).checked_sub(1);
        let first_more = first_more.expect("checkpoint_loop: the schedule needs at least one snapshot");
        let (of_inputs, of_state) = (values_on(self, inputs), values_on(self, state));
        let (mut at, mut values, mut more) = (0, of_state.to_vec(), first_more);
        let snapshots = self.arena().alloc_slice_fill_with(first_more + 1, |_| (0, &[][..]));
        let mut count = 0;
        loop {
            snapshots[count] = (at, self.arena().alloc_slice_copy(&values));
            count += 1;
            let Some(next) = schedule.next(steps, steps - at, more) else { break };
            values = run(step, of_inputs, at..at + next, &values);
            (at, more) = (at + next, more - 1);
        }
        // The sweep starts from here.
        let last = at.max(steps.saturating_sub(schedule.leaf(steps)));
        let last_state = &*self.arena().alloc_slice_copy(&run(step, of_inputs, at..last, &values));
        let values = &*self.arena().alloc_slice_copy(&run(step, of_inputs, last..steps, last_state));
        let snapshots = &snapshots[..count];

        let attempt = self.records().attempt();
        let (inputs, state) = (KeptVars::new(self, inputs, of_inputs), KeptVars::new(self, state, of_state));
        let results =
            self.results("checkpoint_loop", values, inputs.is_constant() && state.is_constant(), move |cotangents| {
                let mut lambda = cotangents.of_result.to_vec();
                let mut sums = vec![F::zero(); of_inputs.len()];
                // The snapshots: step, state, and the number of further snapshots that can be put after each.
                let mut stack: Vec<(usize, Vec<F>, usize)> =
                    snapshots.iter().enumerate().map(|(i, (at, x))| (*at, x.to_vec(), first_more - i)).collect();
                let (mut end, mut end_state) = (steps, values.to_vec());
                while let Some((at, start, more)) = stack.last() {
                    let (at, more) = (*at, *more);
                    if let Some(next) = schedule.next(steps, end - at, more) {
                        let state = run(step, of_inputs, at..at + next, start);
                        stack.push((at + next, state, more - 1));
                        continue;
                    }
                    // Record the last steps. If no snapshot is left, they start from a state that is not kept.
                    let from = if end == steps { last } else { at.max(end.saturating_sub(schedule.leaf(steps))) };
                    let start = if end == steps { last_state.to_vec() } else { run(step, of_inputs, at..from, start) };
                    self.with_spare(|tape| {
                        let (u, first) = (tape.vars_from(of_inputs), tape.vars_from(&start));
                        let mut x = first.to_vec();
                        for i in from..end {
                            x = step(i, u, &x);
                            assert_width(width, x.len(), i);
                        }
                        assert_same(&end_state, x.iter().map(|x| x.value()));
                        let gradient = sweep(tape, &x, &lambda);
                        lambda = gradient.wrt(first);
                        for (sum, term) in sums.iter_mut().zip(gradient.wrt(u)) {
                            *sum += term;
                        }
                    });
                    (end, end_state) = (from, start);
                    if end == at {
                        stack.pop();
                    }
                }
                state.add(&mut cotangents.of_operands, lambda);
                inputs.add(&mut cotangents.of_operands, sums);
            });
        attempt.keep();
        results
    }

    /// Records a checkpoint and returns the variables of its result; constants if its inputs are constants.
    #[track_caller]
    fn results<'t>(
        &'t self,
        name: &'static str,
        values: &'t [F],
        constant: bool,
        pullback: impl Fn(&mut Cotangents<'_, F>) + 't,
    ) -> Vec<Var<'t, F>> {
        if constant {
            return constants(values);
        }
        let shape = self.alloc([values.len()]);
        let first = self.push_op(OperationKind::new(name, [None; 2]), shape, values, pullback);
        (first..).zip(values).map(|(slot, value)| Var::on(self, slot, *value)).collect()
    }
}

/// The values of the state after the steps in `range`, computed without recording.
#[track_caller]
fn run<F: Scalar>(
    step: impl for<'s> Fn(usize, &[Var<'s, F>], &[Var<'s, F>]) -> Vec<Var<'s, F>>,
    inputs: &[F],
    range: Range<usize>,
    state: &[F],
) -> Vec<F> {
    let inputs = constants(inputs);
    let mut state = constants(state);
    let width = state.len();
    for i in range {
        state = step(i, &inputs, &state);
        assert_captures_nothing(&state);
        assert_width(width, state.len(), i);
    }
    state.into_iter().map(Var::value).collect()
}

#[track_caller]
fn assert_width(width: usize, got: usize, step: usize) {
    assert!(got == width, "checkpoint_loop: the state has {width} variables, step {step} gave {got}");
}
