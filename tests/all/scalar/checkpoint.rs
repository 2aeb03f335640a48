//! Checkpoints of scalar functions and loops: gradients, evaluations and memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use wengert::{Dual, Scalar, SnapshotSchedule, Tape, Var};

use crate::support::close::assert_close;
use crate::support::panics::message_of;

/// One step of a recurrence with a parameter: a damped rotation that is not linear.
fn step<'s, F: Scalar>(i: usize, k: &[Var<'s, F>], x: &[Var<'s, F>]) -> Vec<Var<'s, F>> {
    let h = F::lit(0.01 + 0.001 * (i % 3) as f64);
    vec![x[0] + x[1] * h, x[1] - (x[0].sin() * k[0] + x[1] * k[1]) * h]
}

/// The gradient of x₀(n) + 2 x₁(n) by parameters and initial state, with every step on the tape.
fn stored<F: Scalar>(n: usize, at: &[F]) -> Vec<F> {
    let tape = Tape::new();
    let v = tape.vars_from(at);
    let mut x = v[2..].to_vec();
    for i in 0..n {
        x = step(i, &v[..2], &x);
    }
    (x[0] + x[1] * F::lit(2.0)).backward().wrt(v)
}

/// The same gradient through `checkpoint_loop`.
fn looped<F: Scalar>(n: usize, schedule: SnapshotSchedule, at: &[F]) -> Vec<F> {
    let tape = Tape::new();
    let v = tape.vars_from(at);
    let x = tape.checkpoint_loop(n, schedule, &v[..2], &v[2..], step);
    (x[0] + x[1] * F::lit(2.0)).backward().wrt(v)
}

const AT: [f64; 4] = [1.3, 0.2, 0.5, -0.1];

#[test]
fn every_schedule_gives_the_gradient_of_the_plain_loop() {
    for n in [0, 1, 2, 3, 7, 16, 100, 333] {
        let plain = stored(n, &AT);
        let binomial = [1, 2, 3, 5, 20].map(|count| SnapshotSchedule::Binomial { count });
        for schedule in binomial.into_iter().chain([SnapshotSchedule::Sqrt]) {
            if n > 100 && schedule == (SnapshotSchedule::Binomial { count: 1 }) {
                continue; // quadratic
            }
            assert_close(&format!("{n} steps, {schedule:?}"), &looped(n, schedule, &AT), &plain, 1e-13);
        }
    }
}

/// The number of evaluations is optimal: t n - C(c + t, c + 1) to advance, by (4) and (5) of Griewank and Walther
/// 2000, where the last step is not run before it is recorded, and one of each step to record.
#[test]
fn the_binomial_schedule_is_optimal() {
    fn choose(n: usize, k: usize) -> usize {
        (1..=k).fold(1, |product, i| product * (n + 1 - i) / i)
    }
    for (n, c) in [(1, 1), (4, 1), (10, 3), (10, 4), (56, 5), (100, 4), (100, 7), (1000, 10), (5000, 6)] {
        let count = AtomicUsize::new(0);
        let counted = &count;
        let tape = Tape::<f64>::new();
        let v = tape.vars_from(&AT);
        let x = tape.checkpoint_loop(n, SnapshotSchedule::Binomial { count: c }, &v[..2], &v[2..], |i, k, x| {
            counted.fetch_add(1, Ordering::Relaxed);
            step(i, k, x)
        });
        assert_eq!(count.load(Ordering::Relaxed), n, "one pass forward");
        let _ = x[0].backward();
        let t = (1..=n).find(|t| choose(c + t, c) >= n).expect("it grows");
        let optimal = t * n - choose(c + t, c + 1);
        assert_eq!(count.load(Ordering::Relaxed), optimal + 1 + n, "{n} steps, {c} snapshots");
    }
}

#[test]
fn second_order_through_checkpoints() {
    let at = AT.map(|x| Dual::new(x, [0.5 - x]));
    let primals = |x: &[Dual<f64>]| x.iter().map(|d| d.primal()).collect::<Vec<_>>();
    let tangents = |x: &[Dual<f64>]| x.iter().map(|d| d.tangents()[0]).collect::<Vec<_>>();
    let plain = stored(40, &at);
    for schedule in [SnapshotSchedule::Sqrt, SnapshotSchedule::Binomial { count: 4 }] {
        let again = looped(40, schedule, &at);
        assert_close("primals", &primals(&again), &primals(&plain), 1e-13);
        assert_close("tangents", &tangents(&again), &tangents(&plain), 1e-13);
    }
}

#[test]
fn operands_and_outputs_of_every_kind() {
    let tape = Tape::new();
    let [x, y] = tape.vars([0.7_f64, 1.2]);
    let before = tape.len();
    let z = tape.checkpoint(&[x * y, y], |v| vec![(v[0] * v[1]).sin(), v[0] / v[1], v[0]]);
    assert_eq!(tape.len(), before + 1 + 3);
    let gradient = (z[0] * z[1] + z[2]).backward();
    let plain = ((x * y * y).sin() * x + x * y).backward();
    assert_close("checkpoint", &gradient.wrt([x, y]), &plain.wrt([x, y]), 1e-13);
    // A sweep that uses one output only, then inputs that are constants.
    assert_eq!(z[2].backward().wrt([x, y]), [1.2, 0.7]);
    let c = tape.checkpoint(&[Var::constant(2.0)], |v| vec![v[0] * v[0]]);
    assert!(c[0].is_constant() && c[0].value() == 4.0);
    let half = tape.checkpoint(&[Var::constant(2.0), x], |v| vec![v[0] * v[1]]);
    assert_eq!(half[0].backward()[x], 2.0);
}

#[test]
#[should_panic(expected = "not deterministic")]
fn a_closure_that_changes_its_mind() {
    let calls = AtomicUsize::new(0);
    let tape = Tape::new();
    let x = tape.var(1.0_f64);
    let y = tape.checkpoint(&[x], |v| vec![v[0] * calls.fetch_add(1, Ordering::Relaxed) as f64]);
    let _ = y[0].backward();
}

#[test]
#[should_panic(expected = "not deterministic")]
fn a_loop_that_changes_its_mind() {
    let calls = AtomicUsize::new(0);
    let tape = Tape::new();
    let x = tape.var(1.0_f64);
    let y = tape.checkpoint_loop(9, SnapshotSchedule::Sqrt, &[], &[x], |_, _, v| {
        vec![v[0] + calls.fetch_add(1, Ordering::Relaxed) as f64]
    });
    let _ = y[0].backward();
}

#[test]
#[should_panic(expected = "the state has 2 variables, step 3 gave 1")]
fn a_state_that_shrinks() {
    let tape = Tape::<f64>::new();
    let x = tape.vars_from(&[1.0, 2.0]);
    tape.checkpoint_loop(9, SnapshotSchedule::Sqrt, &[], x, |i, _, v| if i == 3 { vec![v[0]] } else { v.to_vec() });
}

/// The memory of the tape itself; `tests/allocations.rs` counts that of the tapes on which steps are recorded.
#[test]
fn memory_grows_with_the_snapshots() {
    let at = |n: usize, schedule| {
        let tape = Tape::<f64>::new();
        let v = tape.vars_from(&AT);
        let x = tape.checkpoint_loop(n, schedule, &v[..2], &v[2..], step);
        let memory = tape.memory();
        assert!(x[0].value().is_finite());
        memory
    };
    let binomial = SnapshotSchedule::Binomial { count: 12 };
    assert_eq!(at(1_000, binomial), at(10_000, binomial));
    let (small, large) = (at(1_000, SnapshotSchedule::Sqrt), at(100_000, SnapshotSchedule::Sqrt));
    assert!(large < 12 * small, "{small} {large}");
}

/// The compiler refuses a variable that is not among the inputs, unless its tape lives as long as the program.
#[test]
fn a_variable_of_a_tape_that_lives_for_ever() {
    let tape: &'static Tape<f64> = Box::leak(Box::default());
    let [x, w] = tape.vars([2.0, 3.0]);
    let whole = message_of(|| tape.checkpoint(&[x], |v| vec![v[0] * w]).len());
    let step = message_of(|| {
        tape.checkpoint_loop(3, SnapshotSchedule::Sqrt, &[], &[x], |_, _, state| vec![state[0] * w]).len()
    });
    for text in [whole, step] {
        assert!(text.contains("the closure uses a variable that is not among its inputs"), "{text}");
    }
    let detached = w.detach();
    assert_eq!(tape.checkpoint(&[x], |v| vec![v[0] * detached])[0].backward().wrt([x, w]), [3.0, 0.0]);
}
