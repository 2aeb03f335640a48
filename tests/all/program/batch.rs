//! Many points at once, data, the order of the recording, clones and threads.

use ndarray::{Array1, Array2, Axis, s};
use wengert::Program;
use wengert::rules::BINARY;
use wengert::trace::Recorded;

use super::{Function, function, program};
use crate::support::program::{bits, check_batch, points};

function!(Rosenbrock, |x| x
    .windows(2)
    .map(|w| R::lit(100.0) * (w[1] - w[0] * w[0]).square() + (R::one() - w[0]).square())
    .sum());

#[test]
fn a_batch_has_the_bits_of_single_points() {
    for n in [1, 2, 3, 5, 100] {
        let mut f = program(&Rosenbrock, &vec![0.5; n]);
        for count in if n == 100 { [0, 1, 2, 3, 5, 17] } else { [0, 1, 2, 17, 257, 1000] } {
            check_batch(&format!("{n} inputs, {count} points"), &mut f, &points(count, n));
            check_batch("in order", &mut f.clone().exact(true), &points(count, n));
        }
    }
}

/// Signed zeros, infinities and NaN among the points.
#[test]
fn a_batch_of_edge_points() {
    let edges = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300, 5e-324];
    let x = Array2::from_shape_fn((81, 2), |(i, k)| edges[if k == 0 { i / 9 } else { i % 9 }]);
    for row in BINARY {
        let mut f = Program::new(|[a, b]| (row.on_recorded)(a, b), [1.0, 2.0]).unwrap();
        check_batch(row.name, &mut f, &x);
    }
    let mut product = Program::new(|[a, b]| a * b, [1.0, 2.0]).unwrap();
    check_batch("product", &mut product, &x);
}

/// Rows of two operands with a constant, which is one number for all lanes.
#[test]
fn a_batch_with_constants() {
    for row in BINARY {
        for c in [0.3, 2.0, -1.5] {
            let c = Recorded::constant(c);
            let mut right = Program::new(|x| (row.on_recorded)(x[0], c) * x[1], &[0.7, 1.0]).unwrap();
            check_batch(row.name, &mut right, &points(100, 2));
            let mut left = Program::new(|x| (row.on_recorded)(c, x[0]) + x[1], &[0.7, 1.0]).unwrap();
            check_batch(row.name, &mut left, &points(100, 2));
        }
    }
}

type WithData = for<'r> fn(&'r [Recorded<'r>], &'r [Recorded<'r>]) -> Recorded<'r>;

/// Data are one number for all points.
#[test]
fn a_batch_with_data() {
    let data = [0.3, -1.7, 0.9];
    let functions: [WithData; 5] = [
        |x, d| d[0] * d[1] + x[0] * x[1],
        |x, d| (d[0] * d[1] + d[2]) * x[0] + x[1],
        |x, d| (d[0] * d[1] + x[0]).exp() * d[2].sin() - x[1] * d[1].powf(d[2]),
        |x, d| (x[0] - d[0]).square() / d[1] + x[1].atan2(d[2]),
        |x, d| d[2].max(x[0]) * x[1].powf(d[0]) + d[0].atan2(d[1]),
    ];
    for (i, f) in functions.into_iter().enumerate() {
        let mut program = Program::with_data(f, &[0.5, 0.25], &data).unwrap();
        for shift in [0.0, 0.1, 0.77] {
            program.set_data(&data.map(|d| d + shift));
            check_batch(&format!("function {i}"), &mut program, &points(300, 2));
        }
    }
}

/// Failed points are told and not written; views need not be contiguous.
#[test]
fn failed_points_and_views() {
    let mut f = Program::new(|[x, y]| if x < y { (y - x).ln() } else { x * y }, [0.0, 1.0]).unwrap();
    for count in [1, 2, 100, 1000] {
        check_batch("branches", &mut f, &points(count, 2));
    }
    let x = points(40, 6);
    let x = x.slice(s![..;-2, 1..;-4]);
    assert_eq!(x.dim(), (20, 2));
    let (mut values, mut gradients) = (Array1::from_elem(60, 7.0), Array2::from_elem((2, 40), 7.0));
    let error = f.batch(x, values.slice_mut(s![..;-3]), gradients.slice_mut(s![.., ..;2]).reversed_axes()).unwrap_err();
    assert!(error.failed.contains(&true) && error.failed.contains(&false));
    for (i, x) in x.outer_iter().enumerate() {
        let mut gradient = [7.0; 2];
        let value = f.value_and_grad(&x.to_vec(), &mut gradient).unwrap_or(7.0);
        assert_eq!(value == 7.0, error.failed[i]);
        assert_eq!(values[59 - 3 * i].to_bits(), value.to_bits());
        assert_eq!(bits(gradients.column(2 * i)), bits(&gradient));
        // The numbers between the points are not touched.
        assert!(gradients.column(2 * i + 1).iter().all(|&d| d == 7.0));
    }
}

/// Threads, and points without inputs.
#[test]
fn many_points_of_a_function_with_lanes() {
    let mut f = program(&Rosenbrock, &vec![0.5; 200]);
    let x = points(300, 200);
    check_batch("on threads", &mut f, &x);
    let mut g = Program::new(|x| x.iter().fold(x[0], |s, &x| (s * x).sin() - x), &[0.1; 7]).unwrap();
    check_batch("a chain on threads", &mut g, &points(9_000, 7));
    let mut failing = Program::new(|[x]| if x < 1.9 { x.sin() } else { x }, [0.0]).unwrap();
    check_batch("branches on threads", &mut failing, &points(70_000, 1));
    let mut nothing = Program::new(|_| Recorded::constant(3.0), &[] as &[f64]).unwrap();
    let mut values = Array1::zeros(5);
    nothing.batch(Array2::zeros((5, 0)).view(), values.view_mut(), Array2::zeros((5, 0)).view_mut()).unwrap();
    assert!(values.iter().all(|&value| value == 3.0));
}

/// The order and the roundings of the recording, also in long sums.
#[test]
fn exact_values_are_those_of_the_function() {
    function!(Mixed, |x| {
        let s: R = x.iter().map(|&x| x.sin() * R::lit(0.1) + x).sum();
        let t = x.iter().fold(R::lit(0.3), |t, &x| t - x * x);
        let u = x.iter().rev().fold(R::zero(), |u, &x| u + (x - s).abs());
        s * t + u.sqrt() - s / t + x[0].mul_add(s, t)
    });
    for n in [1, 2, 7, 100, 1000, 5000] {
        let x: Vec<f64> = (0..n).map(|i| (i as f64 * 1.7).sin() * 3.0).collect();
        let y: Vec<f64> = x.iter().map(|x| x * 1.3 - 0.2).collect();
        let mut exact = program(&Mixed, &x).exact(true);
        let [mut gradient, mut product] = [vec![0.0; n], vec![0.0; n]];
        for at in [&x, &y] {
            let want = Mixed.call(at.as_slice());
            assert_eq!(exact.value(at).unwrap().to_bits(), f64::to_bits(want), "{n}");
            assert_eq!(exact.value_and_grad(at, &mut gradient).unwrap().to_bits(), f64::to_bits(want), "{n}");
            exact.grad_and_hvp(at, &x, &mut gradient, &mut product).unwrap();
        }
        let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let mut exact = program(&Mixed, &single).exact(true);
        assert_eq!(exact.value(&single).unwrap().to_bits(), f32::to_bits(Mixed.call(single.as_slice())), "{n}");
        let mut inexact = exact.exact(false);
        let got = inexact.value(&single).unwrap();
        assert!((got - Mixed.call(single.as_slice())).abs() <= 1e-3 * got.abs());
    }
}

#[test]
fn clones_on_threads_give_the_same_bits() {
    fn send<T: Send>(_: &T) {}
    let x = points(1, 300).index_axis_move(Axis(0), 0).to_vec();
    let mut f = program(&Rosenbrock, &x);
    send(&f);
    let mut gradient = vec![0.0; 300];
    let value = f.value_and_grad(&x, &mut gradient).unwrap();
    let clones: Vec<Program> = (0..4).map(|_| f.clone()).collect();
    let threads: Vec<_> = clones
        .into_iter()
        .map(|mut f| {
            let x = x.clone();
            std::thread::spawn(move || {
                let mut gradient = vec![0.0; 300];
                let mut values = Vec::new();
                for _ in 0..20 {
                    values.push(f.value_and_grad(&x, &mut gradient).unwrap());
                }
                (values, gradient, f.hessian(&x).unwrap())
            })
        })
        .collect();
    let hessian = f.hessian(&x).unwrap();
    for thread in threads {
        let (values, other, second) = thread.join().unwrap();
        assert!(values.iter().all(|v| v.to_bits() == value.to_bits()));
        assert_eq!(bits(&other), bits(&gradient));
        assert_eq!(bits(&second), bits(&hessian));
    }
}
