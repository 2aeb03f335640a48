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
            for _ in 0..60 {
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
