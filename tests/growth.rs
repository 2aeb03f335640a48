//! Costs that are linear in the work, by counts of operations, allocations and bytes.

#[path = "all/support/allocator.rs"]
mod allocator;
#[path = "all/support/panics.rs"]
mod panics;

use std::cell::Cell;

use allocator::{allocations, peak_of};
use ndarray::{Array1, Array2};
use panics::message_of;
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, k_fold, one_hot, train_test_split};
use wengert::optim::{Optimizer, Sgd};
use wengert::{Activation, BaseFloat, Param, Params, Real, Rule, Scalar, Tape, Var, apply, fuse, init};

/// Bytes of a record: two parents of 4 bytes and two partials.
const fn record<F>() -> usize {
    8 + 2 * size_of::<F>()
}

/// A recurrence of `n` steps, each a node with two parents.
fn recurrence<F: Scalar>(tape: &Tape<F>, n: usize) -> Var<'_, F> {
    let [x, y] = tape.vars([F::lit(0.5), F::lit(0.25)]);
    (0..n).fold(x, |u, _| u.sin() + y)
}

fn scalar_nodes<F: Scalar>() {
    let empty = Tape::<F>::new().memory();
    for n in [100, 1_000, 10_000, 100_000] {
        let tape = Tape::<F>::new();
        let before = allocations();
        let output = recurrence(&tape, n);
        assert_eq!(tape.len(), n + 2);
        assert_eq!(tape.memory() - empty, n * record::<F>());
        // The memory of records doubles when it is full.
        assert!(allocations() - before <= 2 + n.ilog2() as usize, "{} allocations", allocations() - before);

        let gradient = peak_of(|| assert!(output.backward().is_finite()));
        let adjoints = (n + 3) * size_of::<F>();
        assert!(gradient >= adjoints && gradient <= adjoints + adjoints / 8 + 1024, "{gradient} bytes for {adjoints}");
    }
}

#[test]
fn scalar_nodes_take_24_bytes_in_f64() {
    assert_eq!(record::<f64>(), 24);
    scalar_nodes::<f64>();
    assert_eq!(record::<f32>(), 16);
    scalar_nodes::<f32>();
}

/// A sum of n terms takes n/2 records, and a fused expression of k inputs (k + 1)/2.
#[test]
fn wide_nodes() {
    for n in [100, 1_000, 10_000] {
        let tape = Tape::<f64>::new();
        let x = tape.vars_from(&vec![0.5; n]);
        let before = tape.len();
        let total: Var<'_> = x.windows(4).map(|w| fuse([w[0], w[1], w[2], w[3]], |[a, b, c, d]| a * b + c * d)).sum();
        let terms = n - 3;
        assert!(tape.len() - before <= 3 * terms + terms / 2 + 1, "{} slots for {terms} terms", tape.len() - before);
        assert!(total.backward().is_finite());
    }
}

thread_local! {
    static PRIMALS: Cell<usize> = const { Cell::new(0) };
    static PARTIALS: Cell<usize> = const { Cell::new(0) };
}

/// The square, with counters of its evaluations.
#[derive(Clone, Copy)]
struct Counted;

impl<B: BaseFloat> Rule<B, 1> for Counted {
    fn primal(self, [x]: [B; 1]) -> B {
        PRIMALS.set(PRIMALS.get() + 1);
        x * x
    }
    fn partials<R: Real<Base = B>>(self, [x]: [R; 1], _: R) -> [R; 1] {
        PARTIALS.set(PARTIALS.get() + 1);
        [x + x]
    }
}

/// The value and the partials of an operation are computed once each, whatever follows it.
#[test]
fn operations_are_evaluated_once() {
    for n in [10, 100, 1_000] {
        PRIMALS.set(0);
        PARTIALS.set(0);
        let tape = Tape::<f64>::new();
        let x = tape.var(0.24);
        let scalar = (0..n).fold(x, |u, _| apply(Counted, [u]) + x);
        assert!(scalar.backward().is_finite());
        let data = Array1::from_elem(4, 0.24);
        let start = tape.tensor(&data);
        let tensor = (0..n).fold(start, |u, _| u.apply_rule(Counted) + start).sum();
        assert!(tensor.backward().is_finite());
        assert_eq!((PRIMALS.get(), PARTIALS.get()), (5 * n, 5 * n));
    }
}

type Layer = (Param<ndarray::Ix2>, Param<ndarray::Ix1>);

/// A net of layers of one width.
fn layers(depth: usize, width: usize) -> (Params<f32>, Vec<Layer>) {
    let mut params = Params::new();
    let ids = (0..depth).map(|i| {
        let w = params.add(format!("w{i}"), Array2::from_elem((width, width), 0.5 / width as f32));
        (w, params.add(format!("b{i}"), Array1::zeros(width)))
    });
    let ids = ids.collect();
    (params, ids)
}

/// Slots and memory are linear in the depth and in the batch.
#[test]
fn tensor_nodes() {
    let used = |depth: usize, batch: usize| {
        let (params, ids) = layers(depth, 8);
        let x = Array2::from_elem((batch, 8), 0.5);
        let mut tape = Tape::new();
        let mut used = (0, 0);
        // In the second round the arena is one chunk without gaps.
        for _ in 0..2 {
            tape.clear();
            let p = params.on(&tape);
            let mut h = tape.constant(&x);
            for &(w, b) in &ids {
                h = (h.dot(p.get(w)) + p.get(b)).tanh();
            }
            let loss = h.square().mean();
            assert!(loss.backward().is_finite());
            used = (tape.len(), tape.memory());
        }
        used
    };
    let ((len1, memory1), (len2, memory2)) = (used(10, 16), used(20, 16));
    let (len, memory) = used(1000, 16);
    assert_eq!(len - len2, 98 * (len2 - len1));
    assert!(memory - memory2 <= 99 * (memory2 - memory1), "{memory1}, {memory2}, {memory} bytes");
    let ((_, memory1), (_, memory2), (_, memory)) = (used(4, 100), used(4, 200), used(4, 10_000));
    assert!(memory - memory2 <= 99 * (memory2 - memory1), "{memory1}, {memory2}, {memory} bytes");
}

/// The net T5 of the benchmarks: 784-512-512-10, relu, cross-entropy, batch 128, plain descent.
///
/// Needed are parameters, activations and their adjoints. Beyond these there are adjoints before the activations,
/// buffers in which the matrix products pack their operands, and spare room in the arena. Not counted is one buffer
/// of the size of the second-level cache that the kernels of the products keep for each thread.
#[test]
fn peak_of_a_large_step() {
    const SIZES: [usize; 4] = [784, 512, 512, 10];
    const BATCH: usize = 128;
    let x = Array2::from_shape_fn((BATCH, SIZES[0]), |(i, j)| ((31 * i + 17 * j) % 101) as f32 / 101.0);
    let labels: Vec<usize> = (0..BATCH).map(|i| i % SIZES[3]).collect();
    let activations: usize = SIZES[1..].iter().map(|width| BATCH * width).sum();
    let mut needed = 0;
    let step = || {
        let mut params = Params::<f32>::new();
        let ids: Vec<_> = SIZES
            .windows(2)
            .enumerate()
            .map(|(l, size)| {
                let w = |(i, j)| ((7 * i + 13 * j) % 29) as f32 / 290.0 - 0.05;
                let w = params.add(format!("w{l}"), Array2::from_shape_fn((size[0], size[1]), w));
                (w, params.add(format!("b{l}"), Array1::zeros(size[1])))
            })
            .collect();
        needed = 2 * size_of::<f32>() * (params.len() + activations);
        let (mut tape, mut sgd) = (Tape::new(), Sgd::new(0.01));
        for _ in 0..4 {
            let (loss, grad) = tape.value_and_grad(&params, |p| {
                let mut h = p.constant(&x);
                for (l, &(w, b)) in ids.iter().enumerate() {
                    let f = if l + 1 < ids.len() { Activation::Relu } else { Activation::Identity };
                    h = h.dense(p.get(w), p.get(b), f);
                }
                h.softmax_cross_entropy(&labels)
            });
            assert!(loss.is_finite());
            sgd.step(&mut params, grad);
        }
    };
    let measured = || {
        let large = Array2::<f32>::ones((320, 320));
        let tape = Tape::<f32>::new();
        let _ = tape.constant(&large).dot(tape.constant(&large));
        peak_of(step)
    };
    // One thread does all the work, because allocations are counted by thread.
    #[cfg(feature = "parallel")]
    let peak = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(measured);
    #[cfg(not(feature = "parallel"))]
    let peak = measured();
    let factor = peak as f64 / needed as f64;
    println!("{peak} bytes, {factor:.2} of the {needed} that parameters, activations and their adjoints take");
    assert!(factor <= 1.3, "{factor}");
}

/// Evaluations of a model in a loop take the memory of one, and no allocation after the first.
#[test]
fn evaluations_in_a_loop() {
    let mut params = Params::<f64>::new();
    let w = params.add("w", Array2::from_elem((16, 16), 0.1));
    let x = Array2::from_elem((8, 16), 0.5);
    let mut tape = Tape::new();
    let mut step = || {
        let y = tape.evaluate(&params, |p| p.constant(&x).dot(p.get(w)).tanh().sum().value());
        (y, tape.memory(), tape.is_empty())
    };
    let first = (step(), step()).1;
    let before = allocations();
    for _ in 0..100 {
        assert_eq!(step(), first);
    }
    assert_eq!(allocations(), before);
    assert!(first.2);
    // Without `evaluate`, the values stay until `clear`: `frozen_on` says so.
    let p = params.frozen_on(&tape);
    let before = tape.memory();
    let y = p.constant(&x).dot(p.get(w)).tanh();
    assert!(tape.memory() >= before + y.len() * size_of::<f64>());
}

/// What cannot fit in any memory is refused by a message that says what was asked for, before anything has changed.
#[test]
fn huge_requests() {
    const HUGE: usize = 1 << 46;
    let (one, mut rng) = (Array1::from_elem(1, 0.5_f64), StdRng::seed_from_u64(0));
    let huge = one.broadcast(HUGE).unwrap();
    let tape = Tape::<f64>::new();
    let x = tape.tensor(&one);
    let (len, mut params) = (tape.len(), Params::<f64>::new());
    let wide = x.broadcast((1 << 40, 1 << 20));
    let messages = [
        message_of(|| Tape::<f64>::with_capacity(HUGE)),
        message_of(|| Tape::<f64>::with_capacity(usize::MAX)),
        message_of(|| tape.zeros(HUGE)),
        message_of(|| tape.tensor(&huge)),
        message_of(|| tape.constant(&huge)),
        message_of(|| wide.exp()),
        message_of(|| x.pad(&[(HUGE, 0)], 0.0)),
        message_of(|| params.add("w", huge)),
        message_of(|| init::normal::<f64, _>(HUGE, 0.0, 1.0, &mut rng)),
        message_of(|| Batches::new(HUGE, 7, 1)),
        message_of(|| Batches::new(usize::MAX, 7, 1)),
        message_of(|| train_test_split(HUGE, 7, 1)),
        message_of(|| k_fold(HUGE, 7, 1)),
        message_of(|| one_hot::<f64>(&[1], HUGE)),
    ];
    for message in messages {
        let known = ["does not fit in memory", "too large for memory", "the tape is full"];
        assert!(known.iter().any(|text| message.contains(text)), "{message}");
    }
    assert_eq!((tape.len(), params.len()), (len, 0));
    assert_eq!((x * 2.0).sum().backward()[x.at([0])], 2.0);
}
