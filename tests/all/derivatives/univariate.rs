//! Derivatives of functions of one variable, against closed forms and published series.

use wengert::{Real, Taylor, Var, derivative, grad, second_derivative, taylor, value_and_derivative};

/// Panics unless the Taylor coefficients of a function are these, to a few roundings of the largest.
#[track_caller]
fn assert_series<const N: usize>(found: [f64; N], expected: [f64; N]) {
    let size = expected.iter().fold(0.0_f64, |size, c| size.max(c.abs()));
    for (k, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 8.0 * f64::EPSILON * size, "order {k}: {found}, should be {expected}");
    }
}

/// Abramowitz and Stegun, Handbook of Mathematical Functions: 4.2.1, 4.3.65-67, 4.4.42, 3.6.8-9, 7.1.5.
#[test]
fn series_of_the_handbook() {
    let third = 1.0 / 3.0;
    assert_series(taylor(|x| x.exp(), 0.0), [1.0, 1.0, 0.5, 0.5 * third, 1.0 / 24.0, 1.0 / 120.0]);
    assert_series(taylor(|x| x.sin(), 0.0), [0.0, 1.0, 0.0, -1.0 / 6.0, 0.0, 1.0 / 120.0, 0.0, -1.0 / 5040.0]);
    assert_series(taylor(|x| x.cos(), 0.0), [1.0, 0.0, -0.5, 0.0, 1.0 / 24.0, 0.0, -1.0 / 720.0]);
    assert_series(taylor(|x| x.tan(), 0.0), [0.0, 1.0, 0.0, third, 0.0, 2.0 / 15.0, 0.0, 17.0 / 315.0]);
    assert_series(taylor(|x| x.tanh(), 0.0), [0.0, 1.0, 0.0, -third, 0.0, 2.0 / 15.0, 0.0, -17.0 / 315.0]);
    assert_series(taylor(|x| x.atan(), 0.0), [0.0, 1.0, 0.0, -third, 0.0, 0.2]);
    assert_series(taylor(|x| x.ln(), 1.0), [0.0, 1.0, -0.5, third, -0.25, 0.2]);
    assert_series(taylor(|x| x.sqrt(), 1.0), [1.0, 0.5, -0.125, 0.0625, -5.0 / 128.0]);
    assert_series(taylor(|x| x.powf(2.5), 1.0), [1.0, 2.5, 1.875, 0.3125, -5.0 / 128.0]);
    assert_series(taylor(|x| x.powi(3), 2.0), [8.0, 12.0, 6.0, 1.0, 0.0]);
    let c = std::f64::consts::FRAC_2_SQRT_PI;
    assert_series(taylor(|x| x.erf(), 0.0), [0.0, c, 0.0, -c * third, 0.0, c / 10.0]);
}

#[test]
fn operators_and_functions_of_two_operands() {
    assert_series(taylor(|x| 1.0 / (1.0 - x), 0.0), [1.0; 9]);
    assert_series(taylor(|x| (x + 1.0) * (x - 1.0) - 3.0, 2.0), [0.0, 4.0, 1.0, 0.0]);
    assert_series(taylor(|x| x / x, 2.0), [1.0, 0.0, 0.0, 0.0]);
    // xˣ at 1: the sequence A005727 of the OEIS over k!.
    assert_series(taylor(|x| x.powf(x), 1.0), [1.0, 1.0, 1.0, 0.5, 1.0 / 3.0, 1.0 / 12.0, 3.0 / 40.0]);
    // √(9 + (4 + t)²)
    assert_series(taylor(|x| x.hypot(3.0), 4.0), [5.0, 0.8, 0.036, -0.00576]);
    assert_series(taylor(|x| -x.squared(), 0.5), [-0.25, -1.0, -1.0]);
    assert_series(taylor(|x| 7.0 % x, 2.0), [1.0, -3.0, 0.0]);
}

/// A function of a trait of one's own, to see that series pass through generic code.
trait Squared: Real {
    fn squared(self) -> Self {
        self * self
    }
}
impl<R: Real> Squared for R {}

#[test]
fn the_shortest_series_is_the_value() {
    assert_eq!(taylor(|x| x.exp(), 0.0), [1.0]);
    assert_eq!(taylor(|x| x.sin() * 2.0, 0.0), [0.0, 2.0]);
}

/// A direction of 0 meets an infinite partial: the derivative stays 0, as everywhere in the crate.
#[test]
fn exact_zeros_silence_infinite_partials() {
    assert_series(taylor(|x| (x * 0.0).sqrt() * x, 1.0), [0.0, 0.0, 0.0]);
    assert_eq!(second_derivative(|x| x.abs(), -2.0), 0.0);
}

#[test]
fn derivatives_nest_and_pass_through_each_other() {
    // d/dx (x d/dy (x + y)) = 1: the tangents of the two are not one.
    assert_eq!(derivative(|x| x * derivative(|y| x + y, x), 1.0), 1.0);
    // d/dx d²/dy² (x y³) at y = 2 is 6 y.
    assert_eq!(derivative(|x| second_derivative(|y| x * y.powi(3), x * 0.0 + 2.0), 5.0), 12.0);
    // The gradient of x ↦ d²/dt² sin(x t) at t = 1: -x² sin x.
    let g = grad(|[x]| second_derivative(|t| (t * x).sin(), Var::constant(1.0)), [0.7_f64]);
    let exact = -1.4 * 0.7_f64.sin() - 0.49 * 0.7_f64.cos();
    assert!((g[0] - exact).abs() < 1e-15);
    // Series over series: ∂³/∂x∂y² of x² y² at (3, 5).
    let mixed = derivative(|x| x * x * second_derivative(|y| y * y, x * 0.0 + 5.0), 3.0);
    assert_eq!(mixed, 12.0);
}

#[test]
fn values_come_with_derivatives_in_both_precisions() {
    assert_eq!(value_and_derivative(|x| x * x, 3.0_f32), (9.0, 6.0));
    assert_eq!(second_derivative(|x| 2.0 * x.powi(3), 3.0_f32), 36.0);
    let series = Taylor::<f64, 3>::new([1.0, 2.0, 3.0]);
    assert_eq!((series.primal(), series.derivative(2), series.coefficients()), (1.0, 6.0, [1.0, 2.0, 3.0]));
    assert_eq!(series.to_string(), "1 + 2t + 3t²");
}

#[test]
#[should_panic(expected = "a series of 2 coefficients has no derivative of order 2")]
fn a_derivative_beyond_the_series_is_refused() {
    let _ = Taylor::<f64, 2>::variable(1.0).derivative(2);
}
