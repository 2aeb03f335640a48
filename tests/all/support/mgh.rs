//! The fourteen systems of nonlinear equations of Moré, Garbow & Hillstrom, "Testing unconstrained
//! optimization software", ACM TOMS 7 (1981), problems 1, 13, 3, 14 (gradient form), 7, 20 (gradient form), 35,
//! 27, 28, 29, 26, 25 (gradient form), 30, 31, in the order and form of MINPACK's test driver.
//!
//! Each function is written once over `num_traits::Float`; the Jacobians are derived by hand.

use ndarray::Array2;
use num_traits::Float;
use wengert::trace::Recorded;
use wengert::{Brand, Dual, Var};

/// The number that `jacobian_forward` passes to its function.
pub(crate) type Forward<'b> = Dual<f64, 8, Brand<'b>>;
/// The number that `hessian` passes to its function.
pub(crate) type Second<'t> = Var<'t, Dual<f64, 8>>;

/// A system with its standard starting point, its Jacobian by hand, and its function on each number.
pub(crate) struct Problem {
    pub(crate) name: &'static str,
    pub(crate) start: Vec<f64>,
    pub(crate) function: fn(&[f64]) -> Vec<f64>,
    pub(crate) jacobian: fn(&[f64]) -> Array2<f64>,
    pub(crate) on_var: for<'t> fn(&[Var<'t>]) -> Vec<Var<'t>>,
    pub(crate) on_dual: for<'b> fn(&[Forward<'b>]) -> Vec<Forward<'b>>,
    pub(crate) on_var_of_dual: for<'t> fn(&[Second<'t>]) -> Vec<Second<'t>>,
    pub(crate) on_recorded: for<'r> fn(&[Recorded<'r>]) -> Vec<Recorded<'r>>,
}

impl Problem {
    /// The standard starting point, and one at which no system has a zero, a tie or a symmetry.
    pub(crate) fn points(&self) -> [Vec<f64>; 2] {
        let shifted = self.start.iter().enumerate().map(|(i, x)| x + 0.3 + 0.05 * i as f64).collect();
        [self.start.clone(), shifted]
    }
}

macro_rules! problems {
    ($($name:literal, $function:ident, $jacobian:ident, $start:expr;)*) => {
        vec![$(Problem {
            name: $name,
            start: $start,
            function: $function::<f64>,
            jacobian: $jacobian,
            on_var: |x| $function(x),
            on_dual: |x| $function(x),
            on_var_of_dual: |x| $function(x),
            on_recorded: |x| $function(x),
        },)*]
    };
}

/// The fourteen systems.
pub(crate) fn problems() -> Vec<Problem> {
    let ramp = |n: usize, f: fn(f64) -> f64| (1..=n).map(|j| f(j as f64 / (n + 1) as f64)).collect();
    problems! {
        "Rosenbrock", rosenbrock, rosenbrock_jacobian, vec![-1.2, 1.0];
        "Powell singular", powell_singular, powell_singular_jacobian, vec![3.0, -1.0, 0.0, 1.0];
        "Powell badly scaled", powell_scaled, powell_scaled_jacobian, vec![0.0, 1.0];
        "Wood", wood, wood_jacobian, vec![-3.0, -1.0, -3.0, -1.0];
        "helical valley", helical, helical_jacobian, vec![-1.0, 0.0, 0.0];
        "Watson", watson, watson_jacobian, vec![0.0; 6];
        "Chebyquad", chebyquad, chebyquad_jacobian, ramp(7, |t| t);
        "Brown almost linear", brown, brown_jacobian, vec![0.5; 7];
        "discrete boundary value", boundary, boundary_jacobian, ramp(8, |t| t * (t - 1.0));
        "discrete integral equation", integral, integral_jacobian, ramp(8, |t| t * (t - 1.0));
        "trigonometric", trigonometric, trigonometric_jacobian, vec![0.1; 10];
        "variably dimensioned", variable, variable_jacobian, (1..=10).map(|j| 1.0 - f64::from(j) / 10.0).collect();
        "Broyden tridiagonal", tridiagonal, tridiagonal_jacobian, vec![-1.0; 10];
        "Broyden banded", banded, banded_jacobian, vec![-1.0; 10];
    }
}

fn c<T: Float>(v: f64) -> T {
    T::from(v).expect("a constant")
}

fn sum<T: Float>(terms: impl IntoIterator<Item = T>) -> T {
    terms.into_iter().fold(T::zero(), |a, b| a + b)
}

fn square(n: usize, entry: impl Fn(usize, usize) -> f64) -> Array2<f64> {
    Array2::from_shape_fn((n, n), |(i, j)| entry(i, j))
}

pub(crate) fn rosenbrock<T: Float>(x: &[T]) -> Vec<T> {
    vec![T::one() - x[0], c::<T>(10.0) * (x[1] - x[0] * x[0])]
}

fn rosenbrock_jacobian(x: &[f64]) -> Array2<f64> {
    ndarray::array![[-1.0, 0.0], [-20.0 * x[0], 10.0]]
}

pub(crate) fn powell_singular<T: Float>(x: &[T]) -> Vec<T> {
    let (p, q) = (x[1] - c::<T>(2.0) * x[2], x[0] - x[3]);
    vec![x[0] + c::<T>(10.0) * x[1], c::<T>(5.0).sqrt() * (x[2] - x[3]), p * p, c::<T>(10.0).sqrt() * q * q]
}

fn powell_singular_jacobian(x: &[f64]) -> Array2<f64> {
    let (p, q, r) = (x[1] - 2.0 * x[2], 2.0 * 10f64.sqrt() * (x[0] - x[3]), 5f64.sqrt());
    ndarray::array![[1.0, 10.0, 0.0, 0.0], [0.0, 0.0, r, -r], [0.0, 2.0 * p, -4.0 * p, 0.0], [q, 0.0, 0.0, -q]]
}

pub(crate) fn powell_scaled<T: Float>(x: &[T]) -> Vec<T> {
    vec![c::<T>(1e4) * x[0] * x[1] - T::one(), (-x[0]).exp() + (-x[1]).exp() - c::<T>(1.0001)]
}

fn powell_scaled_jacobian(x: &[f64]) -> Array2<f64> {
    ndarray::array![[1e4 * x[1], 1e4 * x[0]], [-(-x[0]).exp(), -(-x[1]).exp()]]
}

pub(crate) fn wood<T: Float>(x: &[T]) -> Vec<T> {
    let [a, b, d, e] = [200.0, 20.2, 19.8, 180.0].map(c::<T>);
    let one = T::one();
    let (p, q) = (x[1] - x[0] * x[0], x[3] - x[2] * x[2]);
    vec![
        -a * x[0] * p - (one - x[0]),
        a * p + b * (x[1] - one) + d * (x[3] - one),
        -e * x[2] * q - (one - x[2]),
        e * q + b * (x[3] - one) + d * (x[1] - one),
    ]
}

fn wood_jacobian(x: &[f64]) -> Array2<f64> {
    ndarray::array![
        [1.0 - 200.0 * (x[1] - 3.0 * x[0] * x[0]), -200.0 * x[0], 0.0, 0.0],
        [-400.0 * x[0], 220.2, 0.0, 19.8],
        [0.0, 0.0, 1.0 - 180.0 * (x[3] - 3.0 * x[2] * x[2]), -180.0 * x[2]],
        [0.0, 19.8, -360.0 * x[2], 200.2],
    ]
}

pub(crate) fn helical<T: Float>(x: &[T]) -> Vec<T> {
    let turn = (x[1] / x[0]).atan() / c(std::f64::consts::TAU);
    let turn = if x[0] < T::zero() { turn + c(0.5) } else { turn };
    let ten = c::<T>(10.0);
    vec![ten * (x[2] - ten * turn), ten * ((x[0] * x[0] + x[1] * x[1]).sqrt() - T::one()), x[2]]
}

fn helical_jacobian(x: &[f64]) -> Array2<f64> {
    let r2 = x[0] * x[0] + x[1] * x[1];
    let (turn, r) = (100.0 / (std::f64::consts::TAU * r2), r2.sqrt());
    ndarray::array![[turn * x[1], -turn * x[0], 10.0], [10.0 * x[0] / r, 10.0 * x[1] / r, 0.0], [0.0, 0.0, 1.0],]
}

pub(crate) fn watson<T: Float>(x: &[T]) -> Vec<T> {
    let two = c::<T>(2.0);
    let mut f = vec![T::zero(); x.len()];
    for i in 1..=29 {
        let t: T = c(f64::from(i) / 29.0);
        let powers = |j: usize| t.powi(j as i32);
        let slope = sum((1..x.len()).map(|j| c::<T>(j as f64) * powers(j - 1) * x[j]));
        let value = sum((0..x.len()).map(|j| powers(j) * x[j]));
        let residual = slope - value * value - T::one();
        for (k, f) in f.iter_mut().enumerate() {
            *f = *f + powers(k) / t * (c::<T>(k as f64) - two * t * value) * residual;
        }
    }
    let last = x[1] - x[0] * x[0] - T::one();
    f[0] = f[0] + x[0] * (T::one() - two * last);
    f[1] = f[1] + last;
    f
}

fn watson_jacobian(x: &[f64]) -> Array2<f64> {
    let n = x.len();
    let mut jacobian = Array2::zeros((n, n));
    for i in 1..=29 {
        let t = f64::from(i) / 29.0;
        let slope: f64 = (1..n).map(|j| j as f64 * t.powi(j as i32 - 1) * x[j]).sum();
        let value: f64 = (0..n).map(|j| t.powi(j as i32) * x[j]).sum();
        let residual = slope - value * value - 1.0;
        // ∂residual/∂x_k, which is also the factor of f_k.
        let d: Vec<f64> = (0..n).map(|k| t.powi(k as i32 - 1) * (k as f64 - 2.0 * t * value)).collect();
        jacobian += &square(n, |k, j| d[k] * d[j] - 2.0 * t.powi((k + j) as i32) * residual);
    }
    jacobian[[0, 0]] += 1.0 - 2.0 * (x[1] - x[0] * x[0] - 1.0) + 4.0 * x[0] * x[0];
    jacobian[[0, 1]] -= 2.0 * x[0];
    jacobian[[1, 0]] -= 2.0 * x[0];
    jacobian[[1, 1]] += 1.0;
    jacobian
}

pub(crate) fn chebyquad<T: Float>(x: &[T]) -> Vec<T> {
    let n = x.len();
    let mut f = vec![T::zero(); n];
    for &x in x {
        let u = x + x - T::one();
        let (mut before, mut now) = (T::one(), u);
        for f in &mut f {
            *f = *f + now / c(n as f64);
            (before, now) = (now, (u + u) * now - before);
        }
    }
    // Minus the mean of T_i(2x - 1) over [0, 1], which is 0 for odd i.
    for i in (2..=n).step_by(2) {
        f[i - 1] = f[i - 1] + c(1.0 / ((i * i) as f64 - 1.0));
    }
    f
}

fn chebyquad_jacobian(x: &[f64]) -> Array2<f64> {
    let n = x.len();
    let mut jacobian = Array2::zeros((n, n));
    for (j, x) in x.iter().enumerate() {
        // T_i' = i U_{i-1}, by the chain rule twice that.
        let u = 2.0 * x - 1.0;
        let (mut before, mut now) = (0.0, 1.0);
        for i in 1..=n {
            jacobian[[i - 1, j]] = 2.0 * i as f64 * now / n as f64;
            (before, now) = (now, 2.0 * u * now - before);
        }
    }
    jacobian
}

pub(crate) fn brown<T: Float>(x: &[T]) -> Vec<T> {
    let n = x.len();
    let total = sum(x.iter().copied()) - c((n + 1) as f64);
    let mut f: Vec<T> = x.iter().map(|x| *x + total).collect();
    f[n - 1] = x.iter().fold(T::one(), |a, b| a * *b) - T::one();
    f
}

fn brown_jacobian(x: &[f64]) -> Array2<f64> {
    let n = x.len();
    square(n, |i, j| {
        if i + 1 < n { 1.0 + f64::from(u8::from(i == j)) } else { (0..n).filter(|k| *k != j).map(|k| x[k]).product() }
    })
}

pub(crate) fn boundary<T: Float>(x: &[T]) -> Vec<T> {
    let n = x.len();
    let h = 1.0 / (n + 1) as f64;
    let at = |i: Option<usize>| i.and_then(|i| x.get(i)).copied().unwrap_or(T::zero());
    let residual = |i: usize| {
        let cube = (x[i] + c((i + 1) as f64 * h + 1.0)).powi(3);
        x[i] + x[i] - at(i.checked_sub(1)) - at(Some(i + 1)) + cube * c(h * h / 2.0)
    };
    (0..n).map(residual).collect()
}

fn boundary_jacobian(x: &[f64]) -> Array2<f64> {
    let h = 1.0 / (x.len() + 1) as f64;
    square(x.len(), |i, j| match i.abs_diff(j) {
        0 => 2.0 + 1.5 * h * h * (x[i] + (i + 1) as f64 * h + 1.0).powi(2),
        1 => -1.0,
        _ => 0.0,
    })
}

pub(crate) fn integral<T: Float>(x: &[T]) -> Vec<T> {
    let n = x.len();
    let h = 1.0 / (n + 1) as f64;
    let t = |i: usize| (i + 1) as f64 * h;
    let cube = |j: usize| (x[j] + c(t(j) + 1.0)).powi(3);
    let residual = |i: usize| {
        let low = sum((0..=i).map(|j| cube(j) * c(t(j)))) * c(1.0 - t(i));
        let high = sum((i + 1..n).map(|j| cube(j) * c(1.0 - t(j)))) * c(t(i));
        x[i] + (low + high) * c(h / 2.0)
    };
    (0..n).map(residual).collect()
}

fn integral_jacobian(x: &[f64]) -> Array2<f64> {
    let h = 1.0 / (x.len() + 1) as f64;
    let t = |i: usize| (i + 1) as f64 * h;
    square(x.len(), |i, j| {
        let kernel = if j <= i { (1.0 - t(i)) * t(j) } else { t(i) * (1.0 - t(j)) };
        f64::from(u8::from(i == j)) + 1.5 * h * kernel * (x[j] + t(j) + 1.0).powi(2)
    })
}

pub(crate) fn trigonometric<T: Float>(x: &[T]) -> Vec<T> {
    let n = x.len();
    let total = c::<T>(n as f64) - sum(x.iter().map(|x| x.cos()));
    let residual = |(i, x): (usize, &T)| total + c::<T>((i + 1) as f64) * (T::one() - x.cos()) - x.sin();
    x.iter().enumerate().map(residual).collect()
}

fn trigonometric_jacobian(x: &[f64]) -> Array2<f64> {
    square(x.len(), |i, j| {
        let own = if i == j { (i + 1) as f64 * x[i].sin() - x[i].cos() } else { 0.0 };
        x[j].sin() + own
    })
}

pub(crate) fn variable<T: Float>(x: &[T]) -> Vec<T> {
    let s = sum(x.iter().enumerate().map(|(j, x)| c::<T>((j + 1) as f64) * (*x - T::one())));
    let factor = s * (T::one() + c::<T>(2.0) * s * s);
    x.iter().enumerate().map(|(k, x)| *x - T::one() + c::<T>((k + 1) as f64) * factor).collect()
}

fn variable_jacobian(x: &[f64]) -> Array2<f64> {
    let s: f64 = x.iter().enumerate().map(|(j, x)| (j + 1) as f64 * (x - 1.0)).sum();
    square(x.len(), |k, j| f64::from(u8::from(k == j)) + ((k + 1) * (j + 1)) as f64 * (1.0 + 6.0 * s * s))
}

pub(crate) fn tridiagonal<T: Float>(x: &[T]) -> Vec<T> {
    let at = |i: Option<usize>| i.and_then(|i| x.get(i)).copied().unwrap_or(T::zero());
    let two = c::<T>(2.0);
    let residual =
        |i: usize| (c::<T>(3.0) - two * x[i]) * x[i] - at(i.checked_sub(1)) - two * at(Some(i + 1)) + T::one();
    (0..x.len()).map(residual).collect()
}

fn tridiagonal_jacobian(x: &[f64]) -> Array2<f64> {
    square(x.len(), |i, j| match j as i64 - i as i64 {
        0 => 3.0 - 4.0 * x[i],
        -1 => -1.0,
        1 => -2.0,
        _ => 0.0,
    })
}

fn band(i: usize, n: usize) -> impl Iterator<Item = usize> {
    (i.saturating_sub(5)..n.min(i + 2)).filter(move |j| *j != i)
}

pub(crate) fn banded<T: Float>(x: &[T]) -> Vec<T> {
    let residual = |i: usize| {
        let others = sum(band(i, x.len()).map(|j| x[j] * (T::one() + x[j])));
        x[i] * (c::<T>(2.0) + c::<T>(5.0) * x[i] * x[i]) + T::one() - others
    };
    (0..x.len()).map(residual).collect()
}

fn banded_jacobian(x: &[f64]) -> Array2<f64> {
    square(x.len(), |i, j| {
        if i == j {
            2.0 + 15.0 * x[i] * x[i]
        } else if band(i, x.len()).any(|k| k == j) {
            -1.0 - 2.0 * x[j]
        } else {
            0.0
        }
    })
}
