//! Functions with known minima and derivatives.

use wengert::Real;

/// Rosenbrock's valley: Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)², whose minimum is 0 at (1, 1, ..).
pub(crate) fn rosenbrock<R: Real>(x: &[R]) -> R {
    x.windows(2).map(|w| R::lit(100.0) * (w[1] - w[0] * w[0]).square() + (R::one() - w[0]).square()).sum()
}

/// Four outputs, each a function of most of the three inputs.
pub(crate) fn mixed<R: Real>(x: &[R]) -> Vec<R> {
    let [a, b, c] = [x[0], x[1], x[2]];
    vec![(a * b).sin() + c, a.exp() * c.tanh(), (a * a + b * b + c * c).ln_1p(), b / (R::lit(2.0) + c * c)]
}
