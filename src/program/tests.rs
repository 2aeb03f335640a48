//! Plans on every instruction set that this machine has, against the replay.

use pulp::Arch;

use super::graph::Graph;
use super::plan::{Goal, Plan};
use super::replay::Replay;
use crate::number::{BaseFloat, Real};
use crate::recording::{Recorded, Recorder};

/// The instruction sets of this machine, the baseline included.
fn instruction_sets() -> Vec<Arch> {
    let mut sets = vec![Arch::Scalar];
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        sets.extend(pulp::x86::V3::try_new().map(Arch::V3));
        sets.extend(pulp::x86::V4::try_new().map(Arch::V4));
    }
    #[cfg(target_arch = "aarch64")]
    sets.extend(pulp::aarch64::Neon::try_new().map(Arch::Neon));
    sets
}

fn graph<F: BaseFloat>(f: impl for<'r> Fn(&[Recorded<'r, F>]) -> Recorded<'r, F>, x: &[F]) -> Graph<F> {
    let recorder = Recorder::<F>::steps_only();
    let inputs = recorder.unnamed_inputs(x);
    recorder.output(f(&inputs));
    drop(inputs);
    Graph::new(&recorder.finish()).expect("few rows")
}

/// Terms with rows, products, quotients, a comparison and shared numbers, for lanes of many counts.
fn terms<R: Real>(x: &[R]) -> R {
    let shared = x[0].sigmoid();
    let term = |w: &[R]| {
        let y = (w[0] * shared + w[1]).tanh() * w[1].exp() / (R::lit(2.0) + w[0].square());
        if w[0] < R::lit(5.0) { y.sqrt() + w[1].max(w[0]) } else { y }
    };
    x.windows(2).map(term).sum::<R>() + x.iter().map(|x| x.square()).product::<R>()
}

fn check<F: BaseFloat>(tolerance: f64) {
    for n in [2, 3, 7, 16, 17, 40, 100, 1000] {
        let x: Vec<F> = (0..n).map(|i| F::lit(1.0 + 0.2 * f64::from(i).sin())).collect();
        let graph = graph(|x| terms(x), &x);
        let mut replay = Replay::default();
        replay.forward(&graph, &[&x]).expect("the recorded branch");
        let mut want = vec![F::zero(); x.len()];
        replay.reverse(&graph, &mut want);
        let value = replay.output(&graph, 0);
        let close = |a: F, b: F| (a - b).abs() <= F::lit(tolerance) * (F::one() + b.abs());
        for arch in instruction_sets() {
            let mut plan = Plan::new(&graph, Goal::Gradient(x.len()));
            plan.set_arch(arch);
            assert!(plan.run(&[&x]), "{arch:?}, {n} inputs");
            assert!(close(plan.output(0), value), "{arch:?}, {n} inputs: {} is not {value}", plan.output(0));
            for (i, (&got, &want)) in plan.gradient().iter().zip(&want).enumerate() {
                assert!(close(got, want), "{arch:?}, {n} inputs: partial {i} is {got}, should be {want}");
            }
            // The comparison of one lane comes out otherwise.
            let mut other = x.clone();
            other[x.len() - 2] = F::lit(6.0);
            assert!(!plan.run(&[&other]), "{arch:?}, {n} inputs");
        }
    }
}

#[test]
fn every_instruction_set_in_double_precision() {
    check::<f64>(1e-12);
}

#[test]
fn every_instruction_set_in_single_precision() {
    check::<f32>(1e-4);
}

/// Steps that wait for each other, of a few numbers each: a list of single operations.
#[test]
fn a_recurrence_is_a_list() {
    let x: Vec<f64> = (0..20).map(|i| 1.0 + 0.2 * f64::from(i).sin()).collect();
    let graph = graph(
        |x: &[Recorded<'_>]| {
            let mut state = x.to_vec();
            for _ in 0..40 {
                state = (0..20).map(|i| (state[i] * state[(i + 1) % 20] * 0.5 + x[i]).tanh()).collect();
            }
            state[0] * state[7]
        },
        &x,
    );
    let mut plan = Plan::new(&graph, Goal::Gradient(x.len()));
    assert!(plan.is_scalar());
    let (mut replay, mut want) = (Replay::default(), vec![0.0; x.len()]);
    replay.forward(&graph, &[&x]).expect("no comparison");
    replay.reverse(&graph, &mut want);
    assert!(plan.run(&[&x]));
    assert!((plan.output(0) - replay.output(&graph, 0)).abs() < 1e-14);
    for (got, want) in plan.gradient().iter().zip(&want) {
        assert!((got - want).abs() < 1e-13, "{got} {want}");
    }
}

/// Recurrences of many kinds: what they are called, the number of inputs, and the function.
macro_rules! recurrences {
    ($visit:ident) => {
        // Three numbers, each of which needs the others.
        $visit!("lorenz", 6, |x| {
            let (mut a, mut b, mut c) = (x[0], x[1], x[2]);
            for _ in 0..400 {
                let (da, db, dc) = (x[3] * (b - a), a * (x[4] - c) - b, a * b - x[5] * c);
                (a, b, c) = (a + R::lit(1e-3) * da, b + R::lit(1e-3) * db, c + R::lit(1e-3) * dc);
            }
            a * b + c
        });
        // One number, used once by the next one: a chain without end.
        $visit!("chain", 2, |x| (0..2000).fold(x[0], |h, t| (x[1] * h + R::lit(f64::from(t).sin())).tanh()));
        // Lanes, weights that are no neighbours, data that differ from turn to turn, a sum over all turns.
        $visit!("gates", 40, |x| {
            let mut h = vec![R::zero(); 5];
            let mut total = R::zero();
            for t in 0..120 {
                let y = R::lit(f64::from(t).cos());
                let gate = |i: usize, h: R| x[7 * i] * y + x[7 * i + 1] * h + x[7 * i + 2];
                h = h.iter().enumerate().map(|(i, &h)| gate(i, h).sigmoid() * h.sin() + x[7 * i + 3]).collect();
                total += (h.iter().copied().sum::<R>() - y).square();
            }
            total
        });
        // Each turn has an input of its own, from the first to the last and back, and needs the last two turns.
        $visit!("inputs", 700, |x| {
            let (mut before, mut now) = (x[0], x[1]);
            for t in 0..650 {
                (before, now) = (now, R::lit(0.3) * (now * x[t]).sin() + R::lit(0.2) * before * x[699 - t]);
            }
            now + before
        });
        // The places of inputs have no order.
        $visit!("table", 31, |x| { (0..1600).fold(x[0], |h, t| (h * x[(t * t * 7 + t / 3) % 31] + x[t % 2]).cos()) });
        // A sum over many lanes in every turn.
        $visit!("means", 150, |x| {
            let mut u = x.to_vec();
            for _ in 0..20 {
                let mean = u.iter().map(|u| u.square() * u.exp()).sum::<R>() / R::lit(150.0);
                u = u.iter().map(|u| *u - R::lit(0.01) * (*u - mean).sin()).collect();
            }
            u.iter().map(|u| u.square()).sum()
        });
        // A ring, a comparison in every turn, and every turn's first number is wanted later.
        $visit!("ring", 12, |x| {
            let mut u = x.to_vec();
            let mut firsts = R::zero();
            for _ in 0..100 {
                let next = |i: usize| u[i] + R::lit(0.1) * (u[(i + 1) % 12] - u[i]) * u[(i + 11) % 12];
                let moved: Vec<R> = (0..12).map(next).collect();
                u = moved.iter().map(|&u| if u < R::lit(1e6) { u.sqrt() } else { u }).collect();
                firsts += u[0].ln();
            }
            firsts * u[3]
        });
    };
}

fn check_recurrences<F: BaseFloat>(tolerance: f64) {
    macro_rules! visit {
        ($name:literal, $n:literal, |$x:ident| $f:expr) => {{
            fn function<R: Real>($x: &[R]) -> R {
                $f
            }
            let x: Vec<F> = (0..$n).map(|i| F::lit(0.9 + 0.3 * f64::from(i).sin())).collect();
            let graph = graph(|x| function(x), &x);
            let mut replay = Replay::default();
            let mut want = vec![F::zero(); x.len()];
            let other: Vec<F> = x.iter().map(|&x| x * F::lit(0.96)).collect();
            for arch in instruction_sets() {
                let mut plan = Plan::new(&graph, Goal::Gradient(x.len()));
                plan.set_arch(arch);
                assert!(!plan.compiled.loops.is_empty(), "{}: {plan}", $name);
                // The second run finds what the first one left.
                for x in [&x, &other] {
                    replay.forward(&graph, &[x]).expect("the recorded branch");
                    replay.reverse(&graph, &mut want);
                    let close = |a: F, b: F| (a - b).abs() <= F::lit(tolerance) * (F::one() + b.abs());
                    assert!(plan.run(&[x]), "{}", $name);
                    let (got, value) = (plan.output(0), replay.output(&graph, 0));
                    assert!(close(got, value), "{}, {arch:?}: {got} is not {value}", $name);
                    for (i, (&got, &want)) in plan.gradient().iter().zip(&want).enumerate() {
                        assert!(close(got, want), "{}, {arch:?}: partial {i} is {got}, should be {want}", $name);
                    }
                }
                let mut values = Plan::new(&graph, Goal::Values);
                values.set_arch(arch);
                assert!(values.run(&[&x]) && plan.run(&[&x]) && values.output(0) == plan.output(0), "{}", $name);
            }
        }};
    }
    recurrences!(visit);
}

#[test]
fn turns_of_loops_are_those_of_the_recording() {
    check_recurrences::<f64>(1e-10);
    check_recurrences::<f32>(2e-3);
}
