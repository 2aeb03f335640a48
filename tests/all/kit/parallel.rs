//! Gradients of the parts of a batch on several threads against the gradient of the whole batch.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{Array1, Array2, s};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::ThreadPoolBuilder;
use wengert::optim::{Adam, Optimizer};
use wengert::{Parallel, Params, Tape, init};

use crate::support::panics::panic_of;

struct Data {
    x: Array2<f64>,
    labels: Vec<usize>,
}

fn data(n: usize) -> Data {
    let x = init::normal((n, 12), 0.0, 1.0, &mut StdRng::seed_from_u64(1));
    Data { x, labels: (0..n).map(|i| i * i % 5).collect() }
}

/// The losses and the last weights of five steps. The model has more numbers than one block of the sum of
/// gradients.
fn train(shards: usize, threads: usize, data: &Data) -> (Vec<f64>, Vec<f64>) {
    let mut rng = StdRng::seed_from_u64(2);
    let mut params = Params::new();
    let w1 = params.add("w1", init::he_uniform((12, 300), &mut rng));
    let b1 = params.add("b1", Array1::zeros(300));
    let w2 = params.add("w2", init::he_uniform((300, 5), &mut rng));
    let mut adam = Adam::new(1e-2);
    let mut parallel = Parallel::new(shards);
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let losses = (0..5).map(|_| {
        pool.install(|| {
            let (loss, grad) = parallel.value_and_grad(&params, data.labels.len(), |p, rows| {
                let x = p.constant(data.x.slice(s![rows.clone(), ..]));
                let hidden = (x.dot(p.get(w1)) + p.get(b1)).relu();
                hidden.dot(p.get(w2)).softmax_cross_entropy(&data.labels[rows])
            });
            adam.step(&mut params, grad);
            loss
        })
    });
    (losses.collect(), params.values().to_vec())
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let data = data(50);
    let one = train(4, 1, &data);
    for threads in [2, 3, 8] {
        assert_eq!(train(4, threads, &data), one, "{threads} threads");
    }
}

/// A large product is split between elements, never within the sum of one element.
#[test]
fn products_are_the_same_on_any_number_of_threads() {
    let matrix =
        |rows, columns, seed| init::normal::<f32, _>((rows, columns), 0.0, 1.0, &mut StdRng::seed_from_u64(seed));
    // (m, k, n), with parts of 64 by 64: split by rows, by columns, by both, hardly, not at all.
    #[rustfmt::skip]
    let shapes = [
        (700, 120, 90), (130, 100, 530), (410, 110, 430), (193, 200, 150), (60, 300, 70),
        (64, 700, 192), (48, 700, 192), (193, 700, 64), (64, 700, 384), (64, 1400, 384),
    ];
    for (m, k, n) in shapes {
        let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
        let run = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let tape = Tape::new();
                let (x, w) = (tape.tensor(&a), tape.tensor(&b));
                let y = x.dot(w);
                let gradient = y.square().sum().backward();
                (y.value().to_owned(), gradient.wrt(x), gradient.wrt(w))
            })
        };
        let one = run(1);
        let sum = (0..k).map(|p| f64::from(a[[m - 1, p]]) * f64::from(b[[p, n - 1]])).sum::<f64>();
        assert!((f64::from(one.0[[m - 1, n - 1]]) - sum).abs() < 1e-3);
        for threads in [2, 3, 8] {
            assert!(run(threads) == one, "({m}, {k}, {n}) on {threads} threads");
        }
    }
}

/// An optimiser moves each number of a large model by itself.
#[test]
fn steps_are_the_same_on_any_number_of_threads() {
    let start = init::normal::<f64, _>(300_001, 0.0, 1.0, &mut StdRng::seed_from_u64(3));
    let train = |threads| {
        let mut params = Params::new();
        params.add("w", start.view());
        let mut adam = Adam::new(1e-2).clip_norm(1.0);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for _ in 0..3 {
            let grad = params.values().to_vec();
            pool.install(|| adam.step(&mut params, &grad));
        }
        params.values().to_vec()
    };
    let one = train(1);
    assert!(one.iter().zip(&start).all(|(after, before)| after.abs() < before.abs() + 0.03 && after != before));
    for threads in [2, 3, 8] {
        assert!(train(threads) == one, "{threads} threads");
    }
}

/// Includes parts of different length, and parts without examples.
#[test]
fn the_number_of_shards_changes_only_rounding() {
    let data = data(50);
    let (losses, weights) = train(1, 2, &data);
    for shards in [2, 3, 7, 64] {
        let (l, w) = train(shards, 2, &data);
        assert!(l.iter().zip(&losses).all(|(a, b)| (a - b).abs() < 1e-12), "{shards} shards: {l:?}");
        assert!(w.iter().zip(&weights).all(|(a, b)| (a - b).abs() < 1e-8), "{shards} shards");
    }
}

#[test]
fn one_shard_is_the_plain_gradient() {
    let mut params = Params::new();
    let w = params.add("w", ndarray::array![1.0, -2.0, 3.0]);
    let mut parallel = Parallel::new(1);
    let (value, grad) = parallel.value_and_grad(&params, 10, |p, rows| {
        assert_eq!(rows, 0..10);
        p.get(w).square().sum()
    });
    let mut tape = Tape::new();
    assert_eq!((value, grad), tape.value_and_grad(&params, |p| p.get(w).square().sum()));
}

#[test]
fn a_panic_of_a_part_is_passed_on() {
    let mut params = Params::<f64>::new();
    let w = params.add("w", ndarray::array![1.0]);
    let mut parallel = Parallel::new(3);
    // The panic is that of another thread, so no hook of this one sees it.
    let failed = catch_unwind(AssertUnwindSafe(|| {
        parallel.value_and_grad(&params, 9, |p, rows| {
            assert!(rows.start == 0, "this part fails");
            p.get(w).sum()
        });
    }));
    assert!(failed.is_err());
    let (_, grad) = parallel.value_and_grad(&params, 9, |p, _| p.get(w).sum());
    assert!((grad[0] - 1.0).abs() < 1e-15);
    panic_of(|| _ = parallel.value_and_grad(&params, 0, |p, _| p.get(w).sum()));
}
