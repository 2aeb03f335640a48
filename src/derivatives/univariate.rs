//! Derivatives of a function of one variable.

use crate::number::{Brand, Dual, Real, Taylor};

/// The derivative of `f` at `x`, exact to rounding: in forward mode, without a tape.
///
/// ```
/// use wengert::derivative;
///
/// assert_eq!(derivative(|x| x.sin(), 1.0), 1_f64.cos());
///
/// // A derivative inside of a derivative: d/dx (x · d/dy (x y)) at x = 3.
/// assert_eq!(derivative(|x| x * derivative(|y| y * x, x), 3.0), 6.0);
/// ```
///
/// [`gradcheck::finite_derivative`](crate::gradcheck::finite_derivative) measures the derivative of a function that
/// only takes floats.
pub fn derivative<F: Real>(f: impl for<'b> FnOnce(Dual<F, 1, Brand<'b>>) -> Dual<F, 1, Brand<'b>>, x: F) -> F {
    value_and_derivative(f, x).1
}

/// The value and the derivative of `f` at `x`: see [`derivative`].
///
/// ```
/// // A step of Newton's method.
/// let (y, slope) = wengert::value_and_derivative(|x| x * x - 2.0, 1.5);
/// assert_eq!(1.5 - y / slope, 1.5 - 0.25 / 3.0);
/// ```
pub fn value_and_derivative<F: Real>(
    f: impl for<'b> FnOnce(Dual<F, 1, Brand<'b>>) -> Dual<F, 1, Brand<'b>>,
    x: F,
) -> (F, F) {
    let y = f(Dual::along(x, 0));
    (y.primal(), y.tangents()[0])
}

/// The second derivative of `f` at `x`.
///
/// ```
/// assert_eq!(wengert::second_derivative(|x| 3.0 * x.powi(3) - x, 2.0), 36.0);
/// ```
pub fn second_derivative<F: Real>(
    f: impl for<'b> FnOnce(Taylor<F, 3, Brand<'b>>) -> Taylor<F, 3, Brand<'b>>,
    x: F,
) -> F {
    f(Taylor::along(x)).derivative(2)
}

/// The Taylor coefficients f⁽ᵏ⁾(x)/k! of `f` at `x`, for all orders k < N.
///
/// N follows from the pattern or the type of the result. [`Taylor::derivative`] multiplies by k!.
///
/// ```
/// use wengert::taylor;
///
/// let [f, slope, half_curvature] = taylor(|x| x.ln(), 1.0);
/// assert_eq!((f, slope, half_curvature), (0.0, 1.0, -0.5));
///
/// // The Bernoulli numbers: x / (eˣ - 1) = Σ Bₖ xᵏ / k!.
/// let series: [f64; 5] = taylor(|x| x / x.exp_m1(), 1e-3_f64);
/// assert!((2.0 * series[2] - 1.0 / 6.0).abs() < 1e-3);
/// ```
pub fn taylor<F: Real, const N: usize>(
    f: impl for<'b> FnOnce(Taylor<F, N, Brand<'b>>) -> Taylor<F, N, Brand<'b>>,
    x: F,
) -> [F; N] {
    f(Taylor::along(x)).coefficients()
}
