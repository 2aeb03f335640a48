//! What is computed again in the sweep gives the same gradient and takes less memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, array};
use wengert::{Dual, Params, Scalar, Snapshots, Tape, Var};

/// One step of a recurrence with a parameter: a damped rotation that is not linear.
fn step<'s, F: Scalar>(i: usize, k: &[Var<'s, F>], x: &[Var<'s, F>]) -> Vec<Var<'s, F>> {
    let h = F::lit(0.01 + 0.001 * (i % 3) as f64);
    vec![x[0] + x[1] * h, x[1] - (x[0].sin() * k[0] + x[1] * k[1]) * h]
}

/// Gradient of x₀(n) + 2 x₁(n) with respect to parameters and initial state, all on the tape.
fn stored<F: Scalar>(n: usize, at: &[F]) -> Vec<F> {
    let tape = Tape::new();
    let v = tape.vars_from(at);
    let mut x = v[2..].to_vec();
    for i in 0..n {
        x = step(i, &v[..2], &x);
    }
    (x[0] + x[1] * F::lit(2.0)).backward().wrt(v)
}

fn looped<F: Scalar>(n: usize, schedule: Snapshots, at: &[F]) -> Vec<F> {
    let tape = Tape::new();
    let v = tape.vars_from(at);
    let x = tape.checkpoint_loop(n, schedule, &v[..2], &v[2..], step);
    (x[0] + x[1] * F::lit(2.0)).backward().wrt(v)
}

const AT: [f64; 4] = [1.3, 0.2, 0.5, -0.1];

fn assert_close(a: &[f64], b: &[f64]) {
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-13 * (1.0 + a.abs()), "{a} {b}");
    }
}

#[test]
fn every_schedule_gives_the_gradient_of_the_plain_loop() {
    for n in [0, 1, 2, 3, 7, 16, 100, 333] {
        let plain = stored(n, &AT);
        let binomial = [1, 2, 3, 5, 20].map(|count| Snapshots::Binomial { count });
        for schedule in binomial.into_iter().chain([Snapshots::Sqrt]) {
            if n > 100 && schedule == (Snapshots::Binomial { count: 1 }) {
                continue; // quadratic
            }
            assert_close(&plain, &looped(n, schedule, &AT));
        }
    }
}

/// The evaluations of the published optimum: t n - C(c + t, c + 1) to advance (Griewank and Walther 2000,
/// (4) and (5), there the last step is not run before it is recorded), and one of each step to record.
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
        let x = tape.checkpoint_loop(n, Snapshots::Binomial { count: c }, &v[..2], &v[2..], |i, k, x| {
            counted.fetch_add(1, Ordering::Relaxed);
            step(i, k, x)
        });
        assert_eq!(count.load(Ordering::Relaxed), n, "one pass forward");
        x[0].backward();
        let t = (1..=n).find(|t| choose(c + t, c) >= n).expect("it grows");
        let optimal = t * n - choose(c + t, c + 1);
        assert_eq!(count.load(Ordering::Relaxed), optimal + 1 + n, "{n} steps, {c} snapshots");
    }
}

#[test]
fn second_order_through_checkpoints() {
    let at = AT.map(|x| Dual::new(x, [0.5 - x]));
    let plain = stored(40, &at);
    for schedule in [Snapshots::Sqrt, Snapshots::Binomial { count: 4 }] {
        let again = looped(40, schedule, &at);
        assert_close(
            &plain.iter().map(|d| d.primal()).collect::<Vec<_>>(),
            &again.iter().map(|d| d.primal()).collect::<Vec<_>>(),
        );
        assert_close(
            &plain.iter().map(|d| d.tangents()[0]).collect::<Vec<_>>(),
            &again.iter().map(|d| d.tangents()[0]).collect::<Vec<_>>(),
        );
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
    assert_close(&gradient.wrt([x, y]), &plain.wrt([x, y]));
    // An output that nothing depends on, and inputs that are constants.
    assert_eq!(z[2].backward().wrt([x, y]), [1.2, 0.7]);
    let c = tape.checkpoint(&[Var::constant(2.0)], |v| vec![v[0] * v[0]]);
    assert!(c[0].is_constant() && c[0].value() == 4.0);
    let half = tape.checkpoint(&[Var::constant(2.0), x], |v| vec![v[0] * v[1]]);
    assert_eq!(half[0].backward()[x], 2.0);
}

#[test]
fn parts_of_a_network() {
    let mut params = Params::<f64>::new();
    let layers: Vec<_> = (0..4)
        .map(|i| {
            params.add(format!("w{i}"), Array2::from_shape_fn((3, 3), |(r, c)| (r * 2 + c + i) as f64 * 0.1 - 0.3))
        })
        .collect();
    let data = array![[0.2, -0.4, 1.0], [0.3, 0.1, -0.8]];
    let layers = &layers[..];
    let mut tape = Tape::new();
    let mut run = |params: &Params<f64>, checkpointed: bool| {
        let (loss, gradient) = tape.value_and_grad(params, |p| {
            let mut x = p.constant(&data);
            for pair in layers.chunks(2) {
                x = if checkpointed {
                    p.checkpoint(x, |p, x| pair.iter().fold(x, |x, w| x.dot(p.get(*w)).tanh()))
                } else {
                    pair.iter().fold(x, |x, w| x.dot(p.get(*w)).tanh())
                };
            }
            x.square().sum()
        });
        (loss, gradient.to_vec())
    };
    let (plain, again) = (run(&params, false), run(&params, true));
    assert_eq!(plain.0, again.0);
    assert_close(&plain.1, &again.1);

    let tape = Tape::new();
    let x = tape.tensor(&data);
    // One checkpoint within another: the inner one is computed again twice.
    let y = x.t().checkpoint(|x| x.sin().checkpoint(|x| x.exp() * 2.0) * x);
    let expected = (x.t().sin().exp() * 2.0 * x.t()).square().sum().backward().wrt(x);
    assert_close(y.square().sum().backward().wrt(x).as_slice().unwrap(), expected.as_slice().unwrap());
}

#[test]
#[should_panic(expected = "not deterministic")]
fn a_closure_that_changes_its_mind() {
    let calls = AtomicUsize::new(0);
    let tape = Tape::new();
    let x = tape.var(1.0_f64);
    let y = tape.checkpoint(&[x], |v| vec![v[0] * calls.fetch_add(1, Ordering::Relaxed) as f64]);
    y[0].backward();
}

#[test]
#[should_panic(expected = "not deterministic")]
fn a_loop_that_changes_its_mind() {
    let calls = AtomicUsize::new(0);
    let tape = Tape::new();
    let x = tape.var(1.0_f64);
    let y = tape.checkpoint_loop(9, Snapshots::Sqrt, &[], &[x], |_, _, v| {
        vec![v[0] + calls.fetch_add(1, Ordering::Relaxed) as f64]
    });
    y[0].backward();
}

#[test]
#[should_panic(expected = "the state has 2 variables, step 3 gave 1")]
fn a_state_that_shrinks() {
    let tape = Tape::<f64>::new();
    let x = tape.vars_from(&[1.0, 2.0]);
    tape.checkpoint_loop(9, Snapshots::Sqrt, &[], x, |i, _, v| if i == 3 { vec![v[0]] } else { v.to_vec() });
}

/// The largest memory of the tape a step was recorded on cannot be asked for; the tape itself can.
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
    let binomial = Snapshots::Binomial { count: 12 };
    assert_eq!(at(1_000, binomial), at(10_000, binomial));
    let (small, large) = (at(1_000, Snapshots::Sqrt), at(100_000, Snapshots::Sqrt));
    assert!(large < 12 * small, "{small} {large}");
}

/// A checkpoint computes with the values that are asked for, not with those the parameters have.
#[test]
fn other_values_of_the_parameters() {
    let mut params = Params::<f64>::new();
    let w = params.add("w", array![1.0, 2.0]);
    let mut tape = Tape::new();
    let (loss, gradient) =
        tape.value_and_grad_at(&params, &[3.0, 4.0], |p| p.checkpoint(p.get(w), |p, x| x * p.get(w)).sum());
    assert_eq!((loss, gradient), (25.0, &[6.0, 8.0][..]));
}
