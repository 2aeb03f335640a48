//! Functions with known minima and derivatives.

use wengert::Real;

/// Rosenbrock's valley: Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)², whose minimum is 0 at (1, 1, ..).
pub(crate) fn rosenbrock<R: Real>(x: &[R]) -> R {
    x.windows(2).map(|w| R::lit(100.0) * (w[1] - w[0] * w[0]).square() + (R::one() - w[0]).square()).sum()
}
