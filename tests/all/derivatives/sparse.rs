//! Sparse Jacobians and Hessians against the dense ones and closed forms.

use std::cell::Cell;

use ndarray::{Array2, array};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wengert::{
    BaseFloat, Real, SparseHessian, SparseJacobian, SparseMatrix, Tape, Var, dot, fuse, hessian, jacobian, norm,
    sparse_hessian, sparse_jacobian, sum,
};

use crate::support::close::assert_matrices_close;
use crate::support::mgh;

/// A point without symmetry.
fn uneven(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.4 + ((i * 37 + 11) % 101) as f64 / 90.0).collect()
}

#[track_caller]
fn assert_close(sparse: &SparseMatrix<f64>, dense: &Array2<f64>) {
    assert_matrices_close("sparse", &sparse.to_dense(), dense, 1e-13);
}

fn tridiagonal<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
    mgh::tridiagonal(x)
}

/// The sum of squares of Broyden's banded system; its Hessian has bandwidth 13.
fn banded_squares<R: Real>(x: &[R]) -> R {
    mgh::banded(x).into_iter().map(|r| r * r).sum()
}

type Residuals<'a> = dyn 'a + for<'t> Fn(&[Var<'t>]) -> Vec<Var<'t>>;
type Lane<'t> = Var<'t, wengert::Dual<f64, 8>>;
type Curved<'a> = dyn 'a + for<'t> Fn(&[Lane<'t>]) -> Lane<'t>;

#[test]
fn jacobians_of_the_test_problems() {
    let functions: [(usize, &Residuals<'_>); 7] = [
        (4, &|x| mgh::powell_singular(x)),
        (12, &|x| mgh::watson(x)),
        (12, &|x| mgh::brown(x)),
        (12, &|x| mgh::boundary(x)),
        (12, &|x| mgh::trigonometric(x)),
        (12, &|x| mgh::tridiagonal(x)),
        (12, &|x| mgh::banded(x)),
    ];
    for (n, f) in functions {
        let x = uneven(n);
        assert_close(&sparse_jacobian(f, &x), &jacobian(f, &x));
    }
}

#[test]
fn the_pattern_is_exact_and_the_colours_are_few() {
    for n in [12, 40, 1000] {
        let x = uneven(n);
        let mut sparse = SparseJacobian::detect(tridiagonal, &x);
        assert_eq!((sparse.nnz(), sparse.colors(), sparse.sweeps()), (3 * n - 2, 3, 1));
        for (i, k, value) in sparse.evaluate(tridiagonal, &x).iter() {
            let exact = match k as i64 - i as i64 {
                0 => 3.0 - 4.0 * x[i],
                -1 => -1.0,
                1 => -2.0,
                _ => panic!("({i}, {k}) is not in the band"),
            };
            assert!((value - exact).abs() < 1e-14);
        }
        // A row has five entries below the diagonal and one above it.
        assert_eq!(SparseJacobian::detect(|x| mgh::banded(x), &x).colors(), 7);
        let hessian = SparseHessian::detect(|x| banded_squares(x), &x);
        assert_eq!(hessian.nnz(), 13 * n - 42, "six on either side");
        assert!(hessian.colors() <= 19, "{} colours", hessian.colors());
    }
}

/// Recorded slots and stored entries are affine in n; the number of sweeps does not depend on n.
#[test]
fn work_is_proportional_to_n() {
    let work = |n: usize| {
        let x = uneven(n);
        let tape = Tape::new();
        let recorded = tridiagonal(tape.vars_from(&x)).len() + tape.len();
        let j = SparseJacobian::detect(tridiagonal, &x);
        let h = SparseHessian::detect(|x| mgh::tridiagonal(x).into_iter().map(|r| r * r).sum(), &x);
        ([recorded, j.nnz(), h.nnz()], [j.sweeps(), h.sweeps(), h.colors()])
    };
    let [one, two, ten] = [1_000, 2_000, 10_000].map(work);
    for k in 0..3 {
        assert_eq!(ten.0[k] - one.0[k], 9 * (two.0[k] - one.0[k]));
    }
    assert_eq!((one.1, two.1), (ten.1, ten.1));
}

#[test]
fn few_colours_for_a_dense_row_or_column() {
    let x = uneven(50);
    let functions: [&Residuals<'_>; 2] = [&|x| x.iter().map(|v| *v * x[0]).collect(), &|x| {
        x.iter().map(|v| v.sin()).chain([x.iter().map(|v| v.square()).sum()]).collect()
    }];
    for f in functions {
        let mut sparse = SparseJacobian::detect(f, &x);
        assert_eq!(sparse.colors(), 2);
        assert_close(sparse.evaluate(f, &x), &jacobian(f, &x));
    }
    // Arrow: a star colouring needs two.
    let arrow: &Curved<'_> = &|x| x.iter().map(|v| *v * *v * x[x.len() - 1]).sum();
    let mut sparse = SparseHessian::detect(arrow, &x);
    assert_eq!(sparse.colors(), 2);
    assert_close(sparse.evaluate(arrow, &x), &hessian(arrow, &x));
}

#[test]
fn hessians_of_every_kind_of_record() {
    let functions: [&Curved<'_>; 14] = [
        &|x| x.windows(2).map(|w| (w[1] - w[0] * w[0]).square()).sum(),
        &|x| x.windows(2).map(|w| w[0] * w[1]).sum(),
        // A fold records a chain of sums, not one wide record.
        &|x| x.windows(3).fold(Var::constant(0.0.into()), |s, w| s + (w[0] * w[2]).sin() * w[1]),
        &|x| {
            let r: Vec<_> = x.windows(2).map(|w| w[1].exp() - w[0].square()).collect();
            dot(&r, &r)
        },
        &|x| {
            let weights: Vec<_> = x.iter().map(|v| v.square()).collect();
            dot(&weights[1..], &x[..x.len() - 1])
        },
        &|x| norm(&x[2..6]),
        &|x| wengert::log_sum_exp(&x[..4]) + x[5].sin() * x[6],
        &|x| x.windows(2).map(|w| fuse([w[0], w[1]], |[a, b]| (a * b).exp() / (b + b))).sum(),
        &|x| x.windows(2).map(|w| w[0].mul_add(w[1], w[0])).sum(),
        &|x| (x[0] + x[1] + x[1]).exp(),
        &|x| sum(x).tanh(),
        &|x| x[3] + x[3] - Var::constant(1.0.into()),
        &|x| x[1],
        &|x| {
            let total: Lane<'_> = x.iter().map(|v| v.square()).sum();
            (total.sqrt() + x[0]).ln()
        },
    ];
    for (k, f) in functions.into_iter().enumerate() {
        let x = uneven(9);
        let mut sparse = SparseHessian::detect(f, &x);
        assert_close(sparse.evaluate(f, &x), &hessian(f, &x));
        let entries = hessian(f, &x).iter().filter(|h| **h != 0.0).count();
        // The pattern may keep diagonal entries that cancel, as in the square of a sum of two.
        assert!(sparse.nnz() <= entries + 9, "function {k}: {} places for {entries} entries", sparse.nnz());
    }
}

#[test]
fn hessians_of_the_test_problems() {
    for n in [4, 12] {
        let x = uneven(n);
        let functions: [&Curved<'_>; 5] = [
            &|x| mgh::watson(x).into_iter().map(|r| r * r).sum(),
            &|x| mgh::boundary(x).into_iter().map(Var::square).sum(),
            &|x| mgh::trigonometric(x).into_iter().map(|r| r * r).sum(),
            &|x| mgh::brown(x).into_iter().map(|r| r * r).sum(),
            &|x| banded_squares(x),
        ];
        for f in functions {
            assert_close(&sparse_hessian(f, &x), &hessian(f, &x));
        }
    }
}

#[test]
fn a_branch_extends_the_pattern() {
    let f: &Residuals<'_> = &|x| {
        let turn = x[0] > 0.0;
        (0..x.len()).map(|i| if turn { x[i] * x[(i + 3) % x.len()] } else { x[i].sin() }).collect()
    };
    let g: &Curved<'_> = &|x| {
        let turn = x[0].value().primal() > 0.0;
        (0..x.len()).map(|i| if turn { x[i] * x[(i + 3) % x.len()] } else { x[i].sin() }).sum()
    };
    let (on, mut off) = (uneven(10), uneven(10));
    off[0] = -1.0;

    let mut sparse = SparseJacobian::detect(f, &off);
    assert_eq!(sparse.nnz(), 10);
    assert_close(sparse.evaluate(f, &on), &jacobian(f, &on));
    assert_eq!(sparse.nnz(), 20);
    assert_close(sparse.evaluate(f, &off), &jacobian(f, &off));
    assert_eq!(sparse.nnz(), 20, "what was seen once stays");

    let mut sparse = SparseHessian::detect(g, &off);
    assert_close(sparse.evaluate(g, &on), &hessian(g, &on));
    assert_close(sparse.evaluate(g, &off), &hessian(g, &off));
}

/// Both points give the same recording; only its numbers show that the pattern has grown.
#[test]
fn curvature_that_was_zero_at_detection_is_found() {
    let f: &Curved<'_> = &|x| x.windows(2).map(|w| w[0].powi(3) * w[1].powi(3)).sum();
    let (origin, x) = (vec![0.0; 7], uneven(7));
    let mut sparse = SparseHessian::detect(f, &origin);
    let before = sparse.nnz();
    assert_close(sparse.evaluate(f, &x), &hessian(f, &x));
    assert!(before < sparse.nnz() && sparse.nnz() == 19, "{before}, then {}", sparse.nnz());

    let relu: &Curved<'_> = &|x| x.windows(2).map(|w| (w[0] * w[1]).relu()).sum();
    let mut sparse = SparseHessian::detect(relu, &[1.0, -1.0, 1.0]);
    assert_close(sparse.evaluate(relu, &[1.0, 1.0, 1.0]), &hessian(relu, &[1.0, 1.0, 1.0]));
}

/// A random straight-line program; each instruction has three operands.
struct Program(Vec<(u32, [usize; 3])>);

impl Program {
    fn random(rng: &mut StdRng, n: usize) -> Self {
        let operand = |rng: &mut StdRng, k: usize| if rng.random_bool(0.5) { k - 1 } else { rng.random_range(0..k) };
        let line = |k: usize| (rng.random_range(0..9), std::array::from_fn(|_| operand(rng, n + k)));
        Self((0..3 * n).map(line).collect())
    }

    fn run<R: Real>(&self, x: &[R]) -> Vec<R> {
        let mut v = x.to_vec();
        for (operation, [a, b, c]) in &self.0 {
            let (a, b, c) = (v[*a], v[*b], v[*c]);
            v.push(match operation {
                0 => a + b,
                1 => a.sin() * b,
                2 => a - c.square() * R::lit(0.1),
                3 => a.tanh(),
                4 => (a * b + c).tanh(),
                5 => a.mul_add(b, c).sin(),
                6 => [a, b, c].into_iter().map(R::cos).sum(),
                7 => (if a.to_base() > R::Base::round_from(0.7) { b } else { c }) * a.relu(),
                _ => (a.square() + R::one()).ln() / (b.square() + R::one()),
            });
        }
        v.split_off(x.len())
    }
}

/// Patterns detected at one point and evaluated at that point and at others.
#[test]
fn random_programs() {
    let mut rng = StdRng::seed_from_u64(7);
    for _ in 0..60 {
        let n = rng.random_range(1..25);
        let program = Program::random(&mut rng, n);
        let f: &Residuals<'_> = &|x| program.run(x);
        let g: &Curved<'_> = &|x| program.run(x).into_iter().step_by(3).sum();
        let x = uneven(n);
        let (mut j, mut h) = (SparseJacobian::detect(f, &x), SparseHessian::detect(g, &x));
        for shift in [0.0, -0.9, 0.3] {
            let x: Vec<f64> = x.iter().map(|x| x + shift).collect();
            assert_close(j.evaluate(f, &x), &jacobian(f, &x));
            assert_close(h.evaluate(g, &x), &hessian(g, &x));
        }
    }
}

/// The check of a pattern raises no false alarm, which would run the function once more.
#[test]
fn an_evaluation_runs_the_function_as_often_as_it_sweeps() {
    let runs = Cell::new(0);
    let scales = [1.0, 1e-6, 1e6];
    let f: &Curved<'_> = &|x| {
        runs.set(runs.get() + 1);
        let scaled: Vec<_> = x.iter().enumerate().map(|(i, x)| *x * Lane::lit(scales[i % 3])).collect();
        mgh::watson(&x[..8]).into_iter().map(|r| r * r).sum::<Lane<'_>>() + banded_squares(&scaled)
    };
    let x = uneven(40);
    let mut sparse = SparseHessian::detect(f, &x);
    for shift in [0.0, 1e-3, 0.1, 2.0] {
        let x: Vec<f64> = x.iter().map(|x| x + shift).collect();
        runs.set(0);
        sparse.evaluate(f, &x);
        assert_eq!(runs.get(), sparse.sweeps());
    }
}

#[test]
fn an_inactive_entry_keeps_its_place() {
    let f: &Residuals<'_> = &|x| x.iter().map(|v| v.relu() + v.powi(0)).collect();
    let mut sparse = SparseJacobian::detect(f, &[-1.0, 2.0]);
    assert_eq!(sparse.nnz(), 2);
    assert_eq!(sparse.evaluate(f, &[1.0, -2.0]).values(), [1.0, 0.0]);
}

#[test]
fn shapes_at_the_edge() {
    let none: &Residuals<'_> = &|_| vec![];
    assert_eq!(sparse_jacobian(none, &[]).shape(), (0, 0));
    assert_eq!(sparse_jacobian(none, &[1.0, 2.0]).shape(), (0, 2));
    let constant: &Residuals<'_> = &|_| vec![Var::constant(1.0); 3];
    assert_eq!(sparse_jacobian(constant, &[]).shape(), (3, 0));
    let j = sparse_jacobian(constant, &[1.0, 2.0]);
    assert_eq!((j.shape(), j.nnz(), j.dot(&[1.0, 1.0])), ((3, 2), 0, vec![0.0; 3]));

    // The same output twice, an input as output, an unused input, a constant.
    let mixed: &Residuals<'_> = &|x| {
        let y = x[0] * x[2];
        vec![y, y, x[2], 3.0 * y, Var::constant(0.0), x[2] - x[2]]
    };
    let x = [2.0, 5.0, 7.0];
    assert_close(&sparse_jacobian(mixed, &x), &jacobian(mixed, &x));
    assert_close(&sparse_jacobian(mixed, &x), &{
        array![[7., 0., 2.], [7., 0., 2.], [0., 0., 1.], [21., 0., 6.], [0., 0., 0.], [0., 0., 0.]]
    });

    let flat: &Curved<'_> = &|_| Var::constant(1.0.into());
    assert_eq!(sparse_hessian(flat, &[]).shape(), (0, 0));
    assert_eq!((sparse_hessian(flat, &[1.0]).shape(), sparse_hessian(flat, &[1.0]).nnz()), ((1, 1), 0));

    // More colours than one sweep has seeds.
    let dense: &Residuals<'_> = &|x| (0..21).map(|i| x.iter().map(|v| (*v * f64::from(i)).sin()).sum()).collect();
    let x = uneven(19);
    assert_close(&sparse_jacobian(dense, &x), &jacobian(dense, &x));
    let tall: &Residuals<'_> = &|x| (0..60).map(|i| x.iter().map(|v| (*v * f64::from(i)).sin()).sum()).collect();
    assert_close(&sparse_jacobian(tall, &x), &jacobian(tall, &x));
    let full: &Curved<'_> = &|x| sum(x).exp();
    assert_close(&sparse_hessian(full, &[0.1; 19]), &hessian(full, &[0.1; 19]));
}

#[test]
fn values_that_are_not_finite_stay_visible() {
    let f: &Curved<'_> = &|x| x[0].ln() * x[1] + x[1] * x[2];
    let h = sparse_hessian(f, &[-1.0, 1.0, 1.0]);
    assert_eq!(h.get(1, 2), 1.0);
    let j = sparse_jacobian(|x| vec![x[0] / 0.0, x[1].square()], &[1.0, 3.0]);
    assert_eq!(j.values(), [f64::INFINITY, 6.0]);
}

#[test]
fn single_precision() {
    let x: Vec<f32> = uneven(30).iter().map(|x| *x as f32).collect();
    let j = sparse_jacobian(|x| mgh::banded(x), &x);
    let dense = jacobian(|x| mgh::banded(x), &x);
    assert!((j.to_dense() - dense).iter().all(|e| e.abs() < 1e-4));
    let mut h = SparseHessian::detect(|x| banded_squares(x), &x);
    assert_eq!(h.nnz(), 13 * 30 - 42);
    let h = h.evaluate(|x| banded_squares(x), &x);
    let dense = hessian(|x| banded_squares(x), &x);
    assert!((h.to_dense() - dense).iter().all(|e| e.abs() < 1e-2));
}

#[test]
#[should_panic(expected = "evaluate: the pattern was detected with 3 inputs, x has 2")]
fn another_length_is_refused() {
    SparseJacobian::detect(tridiagonal, &[1.0; 3]).evaluate(tridiagonal, &[1.0; 2]);
}

#[test]
#[should_panic(expected = "evaluate: the pattern was detected with 3 outputs, f now returned 2")]
fn another_number_of_outputs_is_refused() {
    SparseJacobian::detect(tridiagonal, &[1.0; 3]).evaluate(|x| tridiagonal(&x[1..]), &[1.0; 3]);
}

#[test]
#[should_panic(expected = "is the function deterministic?")]
fn a_function_of_chance_is_noticed() {
    let calls = Cell::new(0.0);
    let f: &Curved<'_> = &|x| {
        calls.set(calls.get() + 1.0);
        x.windows(9).map(|w| w.iter().copied().sum::<Lane<'_>>().powi(3) * Lane::lit(calls.get())).sum()
    };
    sparse_hessian(f, &uneven(12));
}
