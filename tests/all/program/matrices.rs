//! Jacobians and Hessians of programs, dense and sparse, against the tape and closed forms.

use ndarray::{Array1, Array2, ArrayView1, array, s};
use wengert::trace::Recorded;
use wengert::{Program, hessian, jacobian, sparse_hessian, sparse_jacobian};

use super::{Function, function, program};
use crate::support::close::assert_matrices_close;
use crate::support::program::bits;

fn point(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.4 + 0.3 * (1.1 * i as f64).sin()).collect()
}

function!(Rosenbrock, |x| x
    .windows(2)
    .map(|w| R::lit(100.0) * (w[1] - w[0] * w[0]).square() + (R::one() - w[0]).square())
    .sum());

// Each row of the matrix has another input among its factors.
function!(Quadratic, |x| {
    let entry = |i: usize, j: usize| R::lit((1.3 * (i * x.len() + j) as f64).sin());
    let row = |i: usize| (0..x.len()).map(|j| entry(i, j) * x[j]).sum::<R>();
    let form: R = (0..x.len()).map(|i| x[i] * row(i)).sum();
    form * R::lit(0.5) + x.iter().map(|x| x.sin()).sum::<R>()
});

function!(Logistic, |x| {
    let margin = |i: usize| (0..x.len()).map(|j| R::lit((0.7 * (i * x.len() + j) as f64).sin()) * x[j]).sum::<R>();
    (0..90).map(|i| (margin(i) * R::lit(if i % 3 == 0 { -1.0 } else { 1.0 })).softplus()).sum()
});

// A net of one hidden layer: its weights are those of all samples.
function!(Net, |x| {
    let (w, v) = x.split_at(x.len() / 2);
    let error = |i: usize| {
        let t = R::lit(0.1 * i as f64);
        let out: R = w.iter().zip(v).map(|(&w, &v)| (w * t + w.square()).tanh() * v).sum();
        (out - t.sin()).square()
    };
    (0..50).map(error).sum::<R>() / R::lit(50.0)
});

// All terms have one number in common, which is computed of an input.
function!(Normal, |x| {
    let sigma = x[0].exp();
    let term = |i: usize| ((R::lit((i as f64).sin()) - x[1 + i % (x.len() - 1)]) / sigma).square();
    (0..120).map(|i| R::lit(-0.5) * term(i) - sigma.ln()).sum()
});

// No sum of terms.
function!(Chain, |x| {
    let sum: R = x.iter().map(|x| x.exp()).sum();
    sum.ln() * x.windows(2).map(|w| (w[0] * w[1]).sin()).sum::<R>()
});

// A band on which a number of terms depends through another.
function!(Deep, |x| {
    let mut u = x.to_vec();
    for _ in 0..3 {
        u = (0..u.len()).map(|i| u[i] + R::lit(0.2) * u[(i + 1) % u.len()].square()).collect();
    }
    u.iter().map(|u| u.square()).sum()
});

function!(Linear, |x| x.iter().fold(R::lit(1.0), |sum, &x| sum - x * R::lit(2.0)));

/// Against the tape, at points that were not recorded, and exactly symmetric.
#[test]
fn hessians_are_those_of_the_tape() {
    macro_rules! check {
        ($($f:ident $n:expr),*) => { $( {
            let x = point($n);
            let mut program = program(&$f, &[0.5; $n]);
            let mut exact = program.clone().exact(true);
            let want = hessian(|x| $f.call(x), &x);
            for program in [&mut program, &mut exact] {
                let got = program.hessian(&x).unwrap();
                assert_matrices_close(stringify!($f), &got, &want, 1e-11);
                assert_eq!(bits(&got), bits(got.t()), "{}", stringify!($f));
                let sparse = program.sparse_hessian(&x).unwrap();
                assert_eq!(sparse.to_dense(), got, "{}", stringify!($f));
            }
            // No entry that the tape sees is missing, and the band of a banded one is kept.
            let (seen, ours) = (sparse_hessian(|x| $f.call(x), &x), program.sparse_hessian(&x).unwrap());
            assert!(ours.nnz() >= seen.nnz(), "{}", stringify!($f));
            for (i, j, value) in seen.iter() {
                assert!((ours.get(i, j) - value).abs() < 1e-10 * want[[i, j]].abs().max(1.0), "{}", stringify!($f));
            }
        } )* };
    }
    check! {
        Rosenbrock 2, Rosenbrock 100, Quadratic 3, Quadratic 20, Quadratic 70, Logistic 1, Logistic 12, Net 8, Net 24,
        Normal 2, Normal 30, Chain 2, Chain 30, Deep 7, Deep 60, Linear 5, Linear 200
    }
}

#[test]
fn patterns_are_those_of_the_operations() {
    let n = 40;
    assert_eq!(program(&Rosenbrock, &vec![0.5; n]).sparse_hessian(&point(n)).unwrap().nnz(), 3 * n - 2);
    assert_eq!(program(&Linear, &vec![0.5; n]).sparse_hessian(&point(n)).unwrap().nnz(), 0);
    // At a point where an entry is 0, it is in the pattern all the same.
    let mut cube = Program::new(|x| x[0] * x[0] * x[0] + x[1] * x[2], &[1.0, 1.0, 1.0]).unwrap();
    let h = cube.sparse_hessian(&[0.0, 2.0, 3.0]).unwrap();
    assert_eq!(h.iter().collect::<Vec<_>>(), [(0, 0, 0.0), (1, 2, 1.0), (2, 1, 1.0)]);
}

/// The sums of squares in single precision: the closed form 2I, and 2/x³.
#[test]
fn single_precision() {
    let x: Vec<f32> = (0..50).map(|i| 1.0 + i as f32 / 16.0).collect();
    let mut f = Program::<f32>::over(|x| x.iter().map(|&x| x.square() + x.recip()).sum(), &x).unwrap();
    let h = f.hessian(&x).unwrap();
    for (i, &x) in x.iter().enumerate() {
        let want = 2.0 + 2.0 / (x * x * x);
        assert!((h[[i, i]] - want).abs() < 1e-5 * want, "{i}: {} {want}", h[[i, i]]);
    }
    assert_eq!(h.iter().filter(|&&h| h != 0.0).count(), 50);
}

/// Outputs that are inputs, constants, or twice the same; more inputs than outputs and the other way round.
#[test]
fn jacobians_are_those_of_the_tape() {
    macro_rules! check {
        ($name:literal, $n:expr, |$x:ident| $body:expr) => {{
            let x = point($n);
            let mut program = Program::vector(|$x: &[Recorded<'_>]| $body, vec![0.5; $n]).unwrap();
            let want = jacobian(|$x| $body, &x);
            let mut exact = program.clone().exact(true);
            for program in [&mut program, &mut exact] {
                assert_matrices_close($name, &program.jacobian(&x).unwrap(), &want, 1e-12);
                let sparse = program.sparse_jacobian(&x).unwrap();
                assert_matrices_close($name, &sparse.to_dense(), &want, 1e-12);
                assert_eq!(sparse.nnz(), sparse_jacobian(|$x| $body, &x).nnz(), $name);
            }
        }};
    }
    check!("leaves", 3, |x| vec![x[1], x[2] * 0.0 + 1.0, x[0] * x[2], x[1], x[0] * x[2]]);
    check!("nothing", 2, |_x| Vec::new());
    check!("residuals", 4, |x| (0..200)
        .map(|i| (x[0] * (0.01 * f64::from(i))).exp() * x[1] + x[2].tanh() - x[3] * f64::from(i).sin())
        .collect());
    check!("band", 300, |x| x.windows(3).map(|w| (w[0] - w[1] * w[1] * 2.0) * w[2].sin()).collect());
    check!("wide", 90, |x| vec![x.iter().map(|x| x.sin()).sum(), x.iter().copied().product()]);
    // All outputs have a long computation in common.
    check!("common", 60, |x| {
        let sum = x.iter().fold(x[0], |sum, &x| (sum * x).tanh() + sum);
        x.iter().map(|&x| x * sum).collect()
    });
    check!("steps", 24, |x| {
        let mut u = x.to_vec();
        for _ in 0..40 {
            u = (0..24).map(|i| u[i] + (u[(i + 1) % 24] - u[i]) * u[i] * 0.1).collect();
        }
        u
    });
}

/// An array of any layout is written, and nothing beside it.
#[test]
fn views_are_written_in_place() {
    let mut f = Program::vector(|x| vec![x[0] * x[1], x[0], x[1].sin()], &[1.0, 2.0]).unwrap();
    let mut board = Array2::from_elem((6, 4), 7.0);
    f.jacobian_into(&[3.0, 0.0], board.slice_mut(s![..;2, 1..3])).unwrap();
    assert_eq!(board.slice(s![..;2, 1..3]), array![[0.0, 3.0], [1.0, 0.0], [0.0, 1.0]]);
    assert_eq!(board.iter().filter(|&&x| x == 7.0).count(), 18);
    let mut turned = Array2::from_elem((2, 3), 7.0);
    f.jacobian_into(&[3.0, 0.0], turned.view_mut().reversed_axes()).unwrap();
    assert_eq!(turned, array![[0.0, 1.0, 0.0], [3.0, 0.0, 1.0]]);
    let mut g = Program::new(|x| x[0] * x[0] * x[1], &[1.0, 2.0]).unwrap();
    g.hessian_into(&[3.0, 5.0], board.slice_mut(s![1..;3, ..;-2])).unwrap();
    assert_eq!(board.slice(s![1..;3, ..;-2]), array![[10.0, 6.0], [6.0, 0.0]]);
}

/// A zero cotangent stays zero beside an infinite partial; what is infinite shows.
#[test]
fn special_points() {
    let weights: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
    let mut f =
        Program::with_data(|x, d| x.iter().zip(d).map(|(&x, &d)| x.sqrt() * d).sum(), vec![1.0; 40], &weights).unwrap();
    let x: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 0.0 } else { 4.0 }).collect();
    let h = f.hessian(&x).unwrap();
    for (i, &d) in weights.iter().enumerate() {
        assert_eq!(h[[i, i]], if d == 0.0 { 0.0 } else { -0.25 / 8.0 }, "{i}");
    }
    f.set_data(&[1.0; 40]);
    let h = f.hessian(&x).unwrap();
    assert!(h[[0, 0]].is_infinite() && h[[1, 1]] == -0.25 / 8.0 && h[[0, 1]] == 0.0);
    let mut roots = Program::vector(|x| x.iter().map(|&x| x.sqrt() * x).collect(), vec![1.0; 40]).unwrap();
    let want = jacobian(|x| x.iter().map(|&x| x.sqrt() * x).collect(), &x);
    let got = roots.jacobian(&x).unwrap();
    assert!(got.iter().zip(&want).all(|(a, b)| a == b || a.is_nan() && b.is_nan()), "{got}");
}

/// A changed branch is an error, after which the array is as it was and the program runs on.
#[test]
fn branches() {
    macro_rules! hinge {
        ($x:ident) => {
            $x.iter().map(|&x| if x > 1.0 { (x - 1.0).square() * x } else { x * x })
        };
    }
    let low = vec![0.5; 40];
    let mut high = low.clone();
    high[7] = 3.0;
    let mut f = Program::new(|x: &[Recorded<'_>]| hinge!(x).sum(), &low).unwrap();
    let mut g = Program::vector(|x: &[Recorded<'_>]| hinge!(x).collect(), &low).unwrap();
    for _ in 0..2 {
        let mut matrix = Array2::from_elem((40, 40), 7.0);
        let error = f.hessian_into(&high, matrix.view_mut()).unwrap_err();
        assert!(error.comparison.contains("x7 > 1"), "{error}");
        g.jacobian_into(&high, matrix.view_mut()).unwrap_err();
        assert!(f.sparse_hessian(&high).is_err() && g.sparse_jacobian(&high).is_err());
        assert!(matrix.iter().all(|&x| x == 7.0));
        f.hessian_into(&low, matrix.view_mut()).unwrap();
        assert_eq!(matrix, Array2::from_diag_elem(40, 2.0));
        g.jacobian_into(&low, matrix.view_mut()).unwrap();
        assert_eq!(matrix, Array2::from_diag_elem(40, 1.0));
    }
}

/// Data are neither rows nor columns.
#[test]
fn data() {
    let data: Vec<f64> = (0..80).map(|i| (f64::from(i) * 0.9).sin()).collect();
    let other: Vec<f64> = data.iter().map(|d| d * d - 0.3).collect();
    macro_rules! model {
        ($p:ident, $d:ident) => {
            $d.chunks(2).map(|d| (($p[0] * d[0] + $p[1]).tanh() * $p[2] - d[1]).square() * d[0]).sum()
        };
    }
    let mut f = Program::with_data(|p, d| model!(p, d), &[0.1, 0.2, 0.3], &data).unwrap();
    let x = [0.3, -0.8, 1.1];
    for data in [&data, &other] {
        f.set_data(data);
        assert_matrices_close("data", &f.hessian(&x).unwrap(), &hessian(|p| model!(p, data), &x), 1e-12);
    }
}

#[test]
#[should_panic(expected = "jacobian_into: an array of shape (1, 2) for a matrix of shape (2, 2)")]
fn an_array_of_another_shape() {
    let mut f = Program::vector(|x| vec![x[0], x[1]], &[1.0, 2.0]).unwrap();
    let _ = f.jacobian_into(&[1.0, 2.0], Array2::zeros((1, 2)).view_mut());
}

/// Values and gradients of each sample, bit for bit those of a run for each.
#[test]
fn gradients_of_each_sample() {
    type WithData = for<'r> fn(&'r [Recorded<'r>], &'r [Recorded<'r>]) -> Recorded<'r>;
    let functions: [WithData; 6] = [
        |x, d| (x[0] * d[0] + x[1] - d[1]).square(),
        |x, d| d[0] * d[1] + x[0] * x[1] + d[2] * d[0],
        |x, d| (d[0] * d[1] + x[0]).exp() * d[2].sin() - x[1] * d[1].square().powf(d[2]),
        |x, d| (x[0] - d[0]).square() / d[1] + x[1].atan2(d[2]) * d[2],
        |x, d| if x[0] < d[0] { x[0].ln() * d[1] } else { x[1] * d[2] },
        // Lanes of its own.
        |x, d| (0..40).map(|i| (x[0] * d[i % 3] + x[1] * i as f64).tanh()).sum(),
    ];
    for (number, f) in functions.into_iter().enumerate() {
        for points in [0, 1, 5, 700] {
            let own = [0.3, 1.7, 0.9];
            let mut program = Program::with_data(f, &[0.25, 0.75], &own).unwrap();
            let mut single = program.clone();
            let data = Array2::from_shape_fn((points, 3), |(i, k)| 0.5 + (1.3 * (3 * i + k) as f64).sin());
            let each = Array2::from_shape_fn((points, 2), |(i, k)| 0.5 + 0.4 * (0.7 * (2 * i + k) as f64).cos());
            let one = [0.3, 0.6];
            let shared = ArrayView1::from(&one);
            for x in [shared.insert_axis(ndarray::Axis(0)), each.view()] {
                let (mut values, mut gradients) = (Array1::from_elem(points, 7.0), Array2::from_elem((points, 2), 7.0));
                let result = program.batch_data(x, data.view(), values.view_mut(), gradients.view_mut());
                for i in 0..points {
                    single.set_data(data.row(i).as_slice().unwrap());
                    let mut gradient = [7.0; 2];
                    let x = x.row(if x.nrows() == 1 { 0 } else { i }).to_vec();
                    let value = single.value_and_grad(&x, &mut gradient);
                    let failed = result.as_ref().err().is_some_and(|error| error.failed[i]);
                    assert_eq!(failed, value.is_err(), "function {number}, point {i}");
                    assert_eq!(values[i].to_bits(), value.unwrap_or(7.0).to_bits(), "function {number}, point {i}");
                    assert_eq!(bits(gradients.row(i)), bits(&gradient), "function {number}, point {i}");
                }
                // The program's own data stay.
                let mut fresh = Program::with_data(f, &[0.25, 0.75], &own).unwrap();
                assert_eq!(program.value(&one).ok(), fresh.value(&one).ok());
            }
        }
    }
}

#[test]
#[should_panic(expected = "batch_data: points of shape [2, 1], data of [3, 1]")]
fn data_of_another_number_of_points() {
    let mut f = Program::with_data(|x, d| x[0] * d[0], &[1.0], &[1.0]).unwrap();
    let (x, data) = (Array2::zeros((2, 1)), Array2::zeros((3, 1)));
    let _ = f.batch_data(x.view(), data.view(), Array1::zeros(3).view_mut(), Array2::zeros((3, 1)).view_mut());
}
