//! Long runs in constant memory: after a warm-up, the bytes held and the number of allocations are the same at the end as at
//! the beginning, exactly. `ci/soak` runs them all; without it a hundredth of each.

#[path = "all/support/allocator.rs"]
mod allocator;

use allocator::{allocations, held};
use ndarray::Array2;
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, gather, gather_rows};
use wengert::nn::{Layer, Linear, Mode, Relu};
use wengert::trace::Recorded;
use wengert::{Adam, AutoProgram, Optimizer, Params, Program, Real, StaticVar, Tape, Var, init, statics};

/// Set by `ci/soak`, which runs the tests one by one.
const ALL: &str = "WENGERT_SOAK";

/// The number of rounds: all of them in `ci/soak`, else a hundredth.
fn rounds(all: usize) -> usize {
    if std::env::var_os(ALL).is_some() { all } else { all / 100 }
}

/// The memory of the process in kB, where the system tells it.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// Does the work `rounds` times after a warm-up, in which memory grows to its size.
#[track_caller]
fn constant(name: &str, warm: usize, rounds: usize, mut work: impl FnMut(usize)) {
    (0..warm).for_each(&mut work);
    // To read this allocates.
    let pages = resident();
    let (before, start) = ((allocations(), held()), std::time::Instant::now());
    (warm..warm + rounds).for_each(work);
    let after = (allocations(), held());
    let pages = (pages, resident());
    println!("{name}: {rounds} rounds in {:.1?}, {} bytes held, {pages:?} kB resident", start.elapsed(), after.1);
    assert_eq!(after, before, "{name}: allocations and bytes held, after and before {rounds} rounds");
    // In a short run other tests share the process.
    if let ((Some(before), Some(after)), true) = (pages, std::env::var_os(ALL).is_some()) {
        assert!(after < before + 16 * 1024, "{name}: {before} kB resident before, {after} after");
    }
}

fn rosenbrock<'t>(x: &[Var<'t>]) -> Var<'t> {
    x.windows(2).map(|w| 100.0 * (w[1] - w[0].square()).square() + (1.0 - w[0]).square()).sum()
}

#[test]
fn training_steps() {
    let mut rng = StdRng::seed_from_u64(0);
    let inputs: Array2<f32> = init::normal((64, 4), 0.0, 1.0, &mut rng);
    let labels: Vec<usize> = (0..64).map(|i| i % 3).collect();
    let mut params = Params::<f32>::new();
    let net = (Linear::new(&mut params, "a", 4, 8, &mut rng), Relu, Linear::new(&mut params, "b", 8, 3, &mut rng));
    let (mut tape, mut adam, mut batches) = (Tape::new(), Adam::new(1e-3), Batches::new(64, 7, 1));
    let (mut x, mut y) = (Vec::new(), Vec::new());
    // An epoch has nine batches of seven and one of one.
    constant("training steps, tens", 3, rounds(100_000), |_| {
        for rows in batches.shuffle() {
            let (x, y) = (gather_rows(&inputs, rows, &mut x), gather(&labels, rows, &mut y));
            let (loss, grad) = tape
                .value_and_grad(&params, |p| net.forward(p, p.constant(x), &mut Mode::eval()).softmax_cross_entropy(y));
            assert!(loss.is_finite());
            adam.step(&mut params, grad);
        }
    });
}

#[test]
fn scalar_gradients() {
    let mut tape = Tape::new();
    constant("scalar gradients", 10, rounds(100_000_000), |i| {
        tape.clear();
        let [x, y] = tape.vars([(i % 1000) as f64 * 1e-3, 0.7]);
        let loss = (x * y).sin() + x * x;
        let gradient = loss.backward();
        assert!(gradient[x].is_finite() && gradient[y].is_finite());
    });
    constant("gradients of static handles", 10, rounds(1_000_000), |i| {
        let f = |[x, y]: [StaticVar; 2]| (x * y).sin() + x * x;
        assert!(statics::grad(f, [(i % 1000) as f64 * 1e-3, 0.7])[0].is_finite());
    });
}

/// Ten million nodes on one tape; the tape is then as good as new, and keeps its memory.
#[test]
fn many_nodes() {
    let mut tape = Tape::new();
    let n = rounds(10_000_000);
    constant("tapes of 10 million nodes", 2, 3, |_| {
        tape.clear();
        let [x, y] = tape.vars([0.5_f64, 0.25]);
        let end = (0..n).fold(x, |u, _| u.sin() + y);
        assert_eq!(tape.len(), n + 2);
        assert!(end.backward()[x].is_finite());
    });
    tape.clear();
    assert_eq!(tape.len(), 0);
    let x = tape.var(2.0_f64);
    assert_eq!((x * x).backward()[x], 4.0);
}

/// Steps that are large and small in turn, of scalars and of arrays.
#[test]
fn large_and_small_steps() {
    let point: Vec<f64> = (0..1000).map(|i| f64::from(i).sin()).collect();
    // Products of larger ones allocate for their time.
    let arrays: Vec<Array2<f64>> = [3, 20, 12].map(|n| Array2::from_elem((n, n), 0.1)).into();
    let mut tape = Tape::new();
    constant("large and small steps", 30, rounds(100_000), |i| {
        tape.clear();
        let x = tape.vars_from(&point[..[2, 1000, 30, 500][i % 4]]);
        let a = tape.tensor(&arrays[i % 3]);
        let loss = rosenbrock(x) + (a.dot(a).tanh().sum() * x[0]);
        let gradient = loss.backward();
        assert!(gradient[x[0]].is_finite() && gradient[a.at([0, 0])].is_finite());
    });
}

#[test]
fn programs() {
    fn model<R: Real<Base = f64>>(x: &[R]) -> R {
        let terms = x.windows(2).map(|w| (w[0] * w[1]).sin() + w[0].ln().abs());
        terms.sum::<R>() / x[0] + x[1].max(x[2])
    }
    let mut point: Vec<f64> = (0..20).map(|i| 1.0 + f64::from(i).sin().abs()).collect();
    let mut f = Program::new(|x| model(x), &point).unwrap();
    let (mut gradient, mut product) = (vec![0.0; 20], vec![0.0; 20]);
    let mut hessian = Array2::zeros((20, 20));
    constant("programs", 10, rounds(1_000_000), |i| {
        point[0] = 1.0 + (i % 1000) as f64 * 1e-3;
        assert!(f.value_and_grad(&point, &mut gradient).unwrap().is_finite());
        f.hvp(&point, &gradient, &mut product).unwrap();
        if i % 100 == 0 {
            f.hessian_into(&point, hessian.view_mut()).unwrap();
        }
    });
}

/// Branches that change at every step: the programs that are kept are bounded, and so is their memory.
#[test]
fn programs_whose_branches_change_for_ever() {
    // Of 2¹⁰ patterns, in an order without end.
    let mut f = AutoProgram::new(|x: &[Recorded<'_>]| {
        x.iter().map(|&x| if x > 0.0 { x.square() } else { x.sin() }).sum::<Recorded<'_>>()
    });
    let mut gradient = [0.0; 10];
    let mut most = (0, 0);
    let mut bytes = Vec::new();
    let n = rounds(100_000);
    let start = held();
    for i in 0..n {
        let pattern = (i * 0x9e37_79b9) >> 7;
        let x: [f64; 10] = std::array::from_fn(|k| if pattern >> k & 1 == 1 { 1.5 } else { -0.5 });
        assert!(f.value_and_grad(&x, &mut gradient).unwrap().is_finite());
        let expected = x.map(|x| if x > 0.0 { 2.0 * x } else { x.cos() });
        assert!(gradient.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-12));
        most = (most.0.max(f.programs().len()), most.1.max(held() - start));
        if (i + 1) % (n / 4) == 0 {
            bytes.push(most.1);
        }
    }
    println!(
        "{} recordings in {n} steps, {} programs kept, at most {bytes:?} bytes by quarters",
        f.recordings(),
        most.0
    );
    assert!(f.recordings() > n / 2 && most.0 == 16);
    assert!(bytes[3] < bytes[0] + bytes[0] / 4, "{bytes:?}");
}
