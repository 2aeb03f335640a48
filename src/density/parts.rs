//! Parts of log-densities.

use ndarray::{Array2, ArrayView2};
use num_traits::Float;

use crate::number::Real;

pub(super) const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8; // ln √(2π)
pub(super) const LN_PI: f64 = 1.144_729_885_849_400_2;

/// The log-density where the density is 0, with the derivative 0 along `x`; NaN unless the scales are positive.
pub(super) fn impossible<R: Real>(x: R, scales: &[R]) -> R {
    let scale = scales.iter().find(|&&scale| !(scale > R::zero()));
    scale.map_or_else(|| x.gated_mul(R::zero()) + R::neg_infinity(), |&scale| invalid(scale))
}

/// NaN, with the derivative NaN.
pub(super) fn invalid<R: Real>(parameter: R) -> R {
    parameter * R::nan()
}

/// ln(1 + (a/b)²), also where the square, or the derivative of the quotient, overflows.
pub(super) fn ln_1p_square<R: Real>(a: R, b: R) -> R {
    let z = a / b;
    if Float::abs(z) * R::epsilon() > R::one() {
        (Float::ln(Float::abs(a)) - Float::ln(b)) * R::lit(2.0)
    } else {
        Float::ln_1p(z.square())
    }
}

/// ln Γ(a + ½) - ln Γ(a) - ½ ln a for a = ν/2, which is about -1/(8a) for large a; from there on by its asymptotic series
/// (the difference of Stirling's series, Abramowitz and Stegun 6.1.40, at both arguments).
pub(super) fn gamma_ratio<R: Real>(nu: R) -> R {
    let a = nu * R::lit(0.5);
    if a < R::lit(30.0) {
        // By ln Γ(a) = ln Γ(a + 1) - ln a, because ln Γ(a) is infinite where a rounds to 0.
        (a + R::lit(0.5)).ln_gamma() - (a + R::one()).ln_gamma() + (Float::ln(nu) - R::LN_2()) * R::lit(0.5)
    } else {
        let (inverse, square) = (Float::recip(a), Float::recip(a).square());
        let series = [17.0 / 14336.0, -1.0 / 640.0, 1.0 / 192.0, -1.0 / 8.0];
        series.iter().fold(R::zero(), |sum, &c| sum * square + R::lit(c)) * inverse
    }
}

/// ln Σw, also where the sum of the finite numbers overflows.
pub(super) fn ln_sum<R: Real>(w: &[R]) -> R {
    let sum: R = w.iter().copied().sum();
    if sum.is_infinite() {
        // Times 2⁻⁶⁴.
        Float::ln(w.iter().map(|&w| w * R::lit(5.421010862427522e-20)).sum::<R>()) + R::LN_2() * R::lit(64.0)
    } else {
        Float::ln(sum)
    }
}

/// ln k!.
pub(super) fn ln_factorial(k: u64) -> f64 {
    Real::ln_gamma(k as f64 + 1.0)
}

/// k f(x), or 0 if k is 0, also where f(x) is infinite.
pub(super) fn times<R: Real>(k: u64, x: R, f: impl Fn(R) -> R) -> R {
    if k == 0 { x.gated_mul(R::zero()) } else { f(x) * R::lit(k as f64) }
}

#[track_caller]
pub(super) fn assert_category(operation: &str, k: usize, categories: usize) {
    assert!(k < categories, "{operation}: there is no category {k} among {categories}; they count from 0");
}

#[track_caller]
pub(super) fn assert_orders(operation: &str, x: usize, mu: usize, matrix: &[usize]) {
    assert!(
        mu == x && matrix == [x, x],
        "{operation}: {x} numbers, a mean of {mu} and a matrix of shape {matrix:?}; give n numbers, a mean of n and a \
         matrix of shape [n, n]"
    );
}

/// The lower triangle L of A = L Lᵀ, row by row; NaN where A is not positive definite.
pub(super) fn cholesky<R: Real>(a: ArrayView2<'_, R>) -> Array2<R> {
    let n = a.nrows();
    let mut l = Array2::from_elem((n, n), R::zero());
    for i in 0..n {
        for j in 0..=i {
            let rest = a[[i, j]] - inner(l.view(), i, j);
            l[[i, j]] = if i == j { Float::sqrt(rest) } else { rest / l[[j, j]] };
        }
    }
    l
}

/// L⁻¹b by forward substitution.
pub(super) fn substituted<R: Real>(l: ArrayView2<'_, R>, b: impl Iterator<Item = R>) -> Vec<R> {
    let mut z = Vec::with_capacity(l.nrows());
    for (i, b) in b.enumerate() {
        let row: Vec<R> = l.row(i).iter().take(i).copied().collect();
        z.push((b - R::dot_of(&row, &z)) / l[[i, i]]);
    }
    z
}

/// Σ Lᵢₖ Lⱼₖ for k < j.
fn inner<R: Real>(l: ArrayView2<'_, R>, i: usize, j: usize) -> R {
    let [a, b] = [i, j].map(|row| l.row(row).iter().take(j).copied().collect::<Vec<R>>());
    R::dot_of(&a, &b)
}
