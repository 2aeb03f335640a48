//! First and second derivatives of programs on the systems and least squares of Moré, Garbow & Hillstrom.

use ndarray::{Array1, Array2};
use num_traits::Float;
use wengert::trace::Recorded;
use wengert::{Program, Var, hessian, jacobian, value_and_grad};

use crate::support::close::{assert_close, assert_matrices_close, assert_near};
use crate::support::mgh::problems;

fn c<T: Float>(x: f64) -> T {
    T::from(x).expect("a constant")
}

/// A random vector and what J and Jᵀ make of it, against the rows and columns.
fn check_products(name: &str, program: &mut Program, x: &[f64], want: &Array2<f64>) {
    let (m, n) = want.dim();
    assert_eq!((program.outputs(), program.inputs()), (m, n), "{name}");
    assert_matrices_close(&format!("{name}: Jacobian"), &program.jacobian(x).unwrap(), want, 1e-13);
    let [v, w] = [n, m].map(|n| (0..n).map(|i| (1.3 * i as f64).cos()).collect::<Array1<f64>>());
    let (mut jv, mut wj) = (vec![0.0; m], vec![0.0; n]);
    program.jvp(x, v.as_slice().unwrap(), &mut jv).unwrap();
    program.vjp(x, w.as_slice().unwrap(), &mut wj).unwrap();
    let size = want.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
    for (what, got, want) in [("jvp", jv, want.dot(&v)), ("vjp", wj, want.t().dot(&w))] {
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-12 * size, "{name}: {what} {got} {want}");
        }
    }
}

/// The fourteen systems, whose Jacobians are derived by hand.
#[test]
fn minpack_systems() {
    for problem in problems() {
        let [start, shifted] = problem.points();
        let mut program = Program::vector(problem.on_recorded, &start).unwrap();
        let mut exact = program.clone().exact(true);
        for x in [start, shifted] {
            let mut y = vec![0.0; program.outputs()];
            let want = (problem.function)(&x);
            if let Err(changed) = program.values(&x, &mut y) {
                assert_eq!(problem.name, "helical valley", "{changed}");
                continue;
            }
            assert_close(problem.name, &y, &want, 1e-13);
            exact.values(&x, &mut y).unwrap();
            assert_eq!(y, want, "{}", problem.name);
            let want = (problem.jacobian)(&x);
            check_products(problem.name, &mut program, &x, &want);
            check_products(problem.name, &mut exact, &x, &want);
        }
        // The Hessian of the sum of squares, and of a sum of sums: large sums within sums.
        let x = &problem.points()[0];
        let mut squares =
            Program::new(|x: &[Recorded<'_>]| (problem.on_recorded)(x).iter().map(|&r| r * r).sum(), x).unwrap();
        let want = hessian(|x| (problem.on_var_of_dual)(x).iter().map(|&r| r * r).sum(), x);
        assert_matrices_close(problem.name, &squares.hessian(x).unwrap(), &want, 1e-12);
        let (value, gradient) = value_and_grad(|x| (problem.on_var)(x).iter().map(|&r| r * r).sum(), x);
        let mut got = vec![0.0; x.len()];
        assert_near(problem.name, squares.value_and_grad(x, &mut got).unwrap(), value, 1e-12);
        let size = gradient.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
        assert!(got.iter().zip(&gradient).all(|(a, b)| (a - b).abs() <= 1e-12 * size), "{}", problem.name);
    }
}

/// Problem 2.
fn freudenstein_roth<T: Float>(x: &[T]) -> Vec<T> {
    let [a, b] = [x[0], x[1]];
    vec![
        c::<T>(-13.0) + a + ((c::<T>(5.0) - b) * b - c(2.0)) * b,
        c::<T>(-29.0) + a + ((b + T::one()) * b - c(14.0)) * b,
    ]
}

/// Problem 4.
fn brown_badly_scaled<T: Float>(x: &[T]) -> Vec<T> {
    vec![x[0] - c(1e6), x[1] - c(2e-6), x[0] * x[1] - c(2.0)]
}

/// Problem 8.
fn bard<T: Float>(x: &[T]) -> Vec<T> {
    let y = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39];
    let residual = |(i, y): (usize, &f64)| {
        let (u, v) = (i as f64 + 1.0, 15.0 - i as f64);
        c::<T>(*y) - (x[0] + c::<T>(u) / (c::<T>(v) * x[1] + c::<T>(u.min(v)) * x[2]))
    };
    y.iter().enumerate().map(residual).collect()
}

/// Problem 15.
fn kowalik_osborne<T: Float>(x: &[T]) -> Vec<T> {
    let y = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246];
    let u = [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625];
    let residual = |(&y, &u): (&f64, &f64)| {
        let u: T = c(u);
        c::<T>(y) - x[0] * (u * u + u * x[1]) / (u * u + u * x[2] + x[3])
    };
    y.iter().zip(&u).map(residual).collect()
}

/// Problem 17.
fn osborne_1<T: Float>(x: &[T]) -> Vec<T> {
    let y = [
        0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603,
        0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411,
        0.406,
    ];
    let residual = |(i, y): (usize, &f64)| {
        let t = 10.0 * i as f64;
        c::<T>(*y) - (x[0] + x[1] * (-c::<T>(t) * x[3]).exp() + x[2] * (-c::<T>(t) * x[4]).exp())
    };
    y.iter().enumerate().map(residual).collect()
}

/// Problem 20 as it is: 31 residuals.
fn watson<T: Float>(x: &[T]) -> Vec<T> {
    let mut f = Vec::new();
    for i in 1..=29 {
        let t = f64::from(i) / 29.0;
        let power = |j: usize| c::<T>(t.powi(j as i32));
        let slope = (1..x.len()).fold(T::zero(), |s, j| s + c::<T>(j as f64) * power(j - 1) * x[j]);
        let value = (0..x.len()).fold(T::zero(), |s, j| s + power(j) * x[j]);
        f.push(slope - value * value - T::one());
    }
    f.push(x[0]);
    f.push(x[1] - x[0] * x[0] - T::one());
    f
}

/// Problem 14 as it is: six residuals.
fn wood<T: Float>(x: &[T]) -> Vec<T> {
    let tenth = c::<T>(10.0).sqrt().recip();
    vec![
        c::<T>(10.0) * (x[1] - x[0] * x[0]),
        T::one() - x[0],
        c::<T>(90.0).sqrt() * (x[3] - x[2] * x[2]),
        T::one() - x[2],
        c::<T>(10.0).sqrt() * (x[1] + x[3] - c(2.0)),
        tenth * (x[1] - x[3]),
    ]
}

/// A map from many to few, so that the Jacobian is taken by rows.
fn wide<T: Float>(x: &[T]) -> Vec<T> {
    let first = x.iter().fold(T::zero(), |s, &x| s + x.sin() * x);
    let second = x.windows(2).fold(T::zero(), |s, w| s + (w[0] * w[1]).exp());
    vec![first, second * first, x[0]]
}

/// Least squares: more residuals than unknowns, and fewer; the Hessian of the sum of squares.
#[test]
fn minpack_least_squares() {
    macro_rules! check {
        ($($function:ident $start:expr;)*) => { $({
            let start: Vec<f64> = $start;
            let (name, shifted) = (stringify!($function), start.iter().map(|x| x * 1.05 + 0.02).collect());
            let mut program = Program::vector(|x: &[Recorded<'_>]| $function(x), &start).unwrap();
            let mut squares = Program::new(
                |x: &[Recorded<'_>]| $function(x).into_iter().map(|r| r * r).reduce(|a, b| a + b).expect("residuals"),
                &start,
            ).unwrap();
            for x in [start, shifted] {
                check_products(name, &mut program, &x, &jacobian(|x| $function(x), &x));
                let want = hessian(|x| $function(x).into_iter().map(|r| r * r).sum(), &x);
                assert_matrices_close(name, &squares.hessian(&x).unwrap(), &want, 1e-12);
            }
        })* };
    }
    check! {
        freudenstein_roth vec![0.5, -2.0];
        brown_badly_scaled vec![1.0, 1.0];
        bard vec![1.0; 3];
        kowalik_osborne vec![0.25, 0.39, 0.415, 0.39];
        osborne_1 vec![0.5, 1.5, -1.0, 0.01, 0.02];
        watson vec![0.1; 6];
        watson vec![0.05; 12];
        wood vec![-3.0, -1.0, -3.0, -1.0];
        wide (0..70).map(|i| (f64::from(i) * 0.3).sin()).collect();
    }
}

fn lift<T: Copy, R>(data: &[T], f: impl Fn(T) -> R) -> Vec<R> {
    data.iter().map(|&d| f(d)).collect()
}

/// Derivatives of a function with data do not differentiate the data.
#[test]
fn derivatives_with_data() {
    let data: Vec<f64> = (0..60).map(|i| (f64::from(i) * 0.9).sin()).collect();
    let other: Vec<f64> = data.iter().map(|d| d * d - 0.3).collect();
    let point = [0.3, -0.8, 1.1];
    macro_rules! model {
        ($p:ident, $d:ident) => {
            $d.chunks(2).map(|d| (($p[0] * d[0] + $p[1]).tanh() * $p[2] - d[1]).square() * d[0]).sum()
        };
    }
    let mut program = Program::with_data(|p, d| model!(p, d), &point, &data).unwrap();
    for data in [&data, &other] {
        program.set_data(data);
        let at = [0.5, 0.4, -0.9];
        let v = [0.3, 1.0, -2.0];
        let (want, gradient) = value_and_grad(
            |p| {
                let d = lift(data, Var::constant);
                model!(p, d)
            },
            &at,
        );
        let mut got = [0.0; 3];
        assert_near("value", program.value_and_grad(&at, &mut got).unwrap(), want, 1e-13);
        assert_close("gradient", &got, &gradient, 1e-12);
        let second = hessian(
            |p| {
                let d = lift(data, |d| Var::constant(d.into()));
                model!(p, d)
            },
            &at,
        );
        assert_matrices_close("Hessian", &program.hessian(&at).unwrap(), &second, 1e-12);
        let mut product = [0.0; 3];
        program.hvp(&at, &v, &mut product).unwrap();
        assert_close("hvp", &product, &second.dot(&ndarray::arr1(&v)).to_vec(), 1e-11);
        let mut slope = [0.0];
        program.jvp(&at, &v, &mut slope).unwrap();
        assert_near("jvp", slope[0], gradient.iter().zip(v).map(|(g, v)| g * v).sum(), 1e-12);
        program.vjp(&at, &[2.0], &mut product).unwrap();
        assert_close("vjp", &product, &gradient.iter().map(|g| 2.0 * g).collect::<Vec<_>>(), 1e-12);
        let row = program.jacobian(&at).unwrap();
        assert_close("Jacobian", &row, &gradient, 1e-12);
    }
}
