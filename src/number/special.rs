//! Special functions that `std` lacks, for the base floats: erf, erfc and ln Γ from libm, polygamma in this file.

use num_traits::Float;

use super::real::Real;

/// The functions that rows of the table call in their primals and that `num_traits::Float` cannot express.
pub trait Special: Real {
    fn special_erf(self) -> Self;
    fn special_erfc(self) -> Self;
    /// erfc(self + low) for a `low` of the size of the rounding error of self.
    #[inline]
    fn special_erfc_of_sum(self, low: Self) -> Self {
        let (y, slope) = (self.special_erfc(), Self::FRAC_2_SQRT_PI() * Float::exp(-(self * self)));
        if slope == Self::zero() { y } else { y - slope * low }
    }
    fn special_erfinv(self) -> Self;
    fn special_ln_gamma(self) -> Self;
    fn special_polygamma(self, n: u32) -> Self;
}

impl Special for f64 {
    #[inline]
    fn special_erf(self) -> Self {
        libm::erf(self)
    }
    #[inline]
    fn special_erfc(self) -> Self {
        libm::erfc(self)
    }
    #[inline]
    fn special_erfinv(self) -> Self {
        erfinv(self)
    }
    #[inline]
    fn special_ln_gamma(self) -> Self {
        libm::lgamma(self)
    }
    #[inline]
    fn special_polygamma(self, n: u32) -> Self {
        polygamma(n, self)
    }
}

impl Special for f32 {
    #[inline]
    fn special_erf(self) -> Self {
        libm::erff(self)
    }
    #[inline]
    fn special_erfc(self) -> Self {
        libm::erfcf(self)
    }
    #[inline]
    fn special_erfinv(self) -> Self {
        erfinv(f64::from(self)) as f32
    }
    #[inline]
    fn special_ln_gamma(self) -> Self {
        libm::lgammaf(self)
    }
    #[inline]
    fn special_polygamma(self, n: u32) -> Self {
        polygamma(n, f64::from(self)) as f32
    }
}

/// The inverse of erf: Winitzki's approximation, whose relative error is below 3e-3 ("A handy approximation for the error
/// function and its inverse", 2008), and three steps of Halley's method. Their equation is erf y = |x| for small and
/// erfc y = 1 - |x|, exact, for large arguments.
fn erfinv(x: f64) -> f64 {
    const A: f64 = 0.147;
    let size = x.abs();
    if !(size < 1.0) {
        return if size == 1.0 { x * f64::INFINITY } else { f64::NAN };
    }
    let half_root_pi = 0.5 * std::f64::consts::PI.sqrt();
    let mut y = if size < 0.1 {
        half_root_pi * size * (1.0 + size * size * (std::f64::consts::PI / 12.0))
    } else {
        let l = ((1.0 - size) * (1.0 + size)).ln();
        let b = 2.0 / (std::f64::consts::PI * A) + 0.5 * l;
        ((b * b - l / A).sqrt() - b).sqrt()
    };
    for _ in 0..3 {
        let excess = if size < 0.5 { libm::erf(y) - size } else { (1.0 - size) - libm::erfc(y) };
        let step = half_root_pi * excess * (y * y).exp();
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

/// The Bernoulli numbers of index 2, 4, ..., 20.
const BERNOULLI: [f64; 10] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174_611.0 / 330.0,
];

/// From this order on n! overflows.
const HIGH_ORDER: u32 = 171;

/// The polygamma function ψ⁽ⁿ⁾(x).
///
/// The recurrence (Abramowitz and Stegun 6.4.6) raises x until the asymptotic series (6.3.18, 6.4.11) has converged.
/// At ±0 the value is the limit from that side; at the poles -1, -2, ... it is NaN.
fn polygamma(n: u32, x: f64) -> f64 {
    if x < 0.0 && x == x.floor() {
        return f64::NAN;
    }
    if n >= HIGH_ORDER {
        return high_order(n, x);
    }
    if x < -20.0 {
        return reflected(n, x);
    }
    let order = f64::from(n);
    // (-1)^(n+1) n!, the factor of every term of order n > 0; for n = 0 the recurrence uses -1.
    let factorial: f64 = (1..=n).map(f64::from).product();
    let sign = if n.is_multiple_of(2) { -1.0 } else { 1.0 };
    let (mut z, mut sum) = (x, 0.0);
    let far = 12.0 + order;
    while z < far {
        sum += sign * factorial * z.powi(-(n as i32) - 1);
        z += 1.0;
    }
    let inverse_square = (z * z).recip();
    let mut tail = 0.0;
    if n == 0 {
        for (k, b) in BERNOULLI.iter().enumerate().rev() {
            tail = (tail + b / (2.0 * (k + 1) as f64)) * inverse_square;
        }
        return sum + z.ln() - 0.5 / z - tail;
    }
    if z.is_infinite() {
        return sign * 0.0;
    }
    // Σ B_2k (2k + n - 1)!/((2k)! z^(2k+n)), each coefficient computed from the previous one.
    let mut coefficient = factorial / order;
    let mut power = z.powi(-(n as i32));
    let lead = coefficient * power + 0.5 * factorial * power / z;
    for (k, b) in BERNOULLI.iter().enumerate() {
        let two_k = 2.0 * (k + 1) as f64;
        coefficient *= (two_k + order - 1.0) * (two_k + order - 2.0) / (two_k * (two_k - 1.0));
        power *= inverse_square;
        tail += b * coefficient * power;
    }
    sum + sign * (lead + tail)
}

/// ψ⁽ⁿ⁾(x) = (-1)ⁿ⁺¹ n! Σ (x + k)⁻ⁿ⁻¹ for an n from [`HIGH_ORDER`] on and any x but a pole, in a number of steps that n
/// and x do not change.
///
/// The sum is taken relative to the term nearest to a pole, whose size comes from Stirling's series for ln n!. As
/// (x/f) df/dx is -(n + 1), the error of about n ε is that of rounding x.
fn high_order(n: u32, x: f64) -> f64 {
    let order = f64::from(n);
    // A ratio is negative only between -0.5 and 0, where the value overflows, so that no sign is missed.
    let power = |ratio: f64| ((order + 1.0) * ratio.abs().ln()).exp();
    // Half-way between two poles, the terms of both sides cancel if n is even, and the reflection formula has no other.
    let x = if n.is_multiple_of(2) && x < 0.0 && x - x.floor() == 0.5 { 1.0 - x } else { x };
    let (mut z, mut sum) = (x, 1.0);
    if x <= -0.5 {
        // The nearest term overflows, and the others leave more than a rounding of it.
        z = x - x.round();
    } else if x < 2.0 * order {
        // A term is below e^(-j/3), so this ends.
        for j in 1.. {
            let term = power(z / (z + f64::from(j)));
            sum += term;
            if !(term > f64::EPSILON / 16.0) {
                break;
            }
        }
    } else {
        // The asymptotic series (6.4.11), each coefficient computed from the previous one.
        let inverse = z.recip();
        sum = 0.5 + z / order;
        let mut coefficient = 1.0 / order * z;
        for (k, b) in BERNOULLI.iter().enumerate() {
            let two_k = 2.0 * (k + 1) as f64;
            coefficient *=
                (two_k + order - 1.0) * inverse * ((two_k + order - 2.0) * inverse) / (two_k * (two_k - 1.0));
            sum += b * coefficient;
        }
    }
    let stirling = (1.0 / 12.0 - 1.0 / 360.0 / (order * order)) / order;
    let root = (0.5 * (std::f64::consts::TAU * order).ln() + stirling).exp();
    let exponent = order * ((order / z.abs()).ln() - 1.0);
    let lead = exponent.exp() * root / z.abs();
    let sign = if n.is_multiple_of(2) && z.is_sign_positive() { -1.0 } else { 1.0 };
    if lead == 0.0 { sign * 0.0 } else { sign * lead * sum }
}

/// ψ⁽ⁿ⁾(x) by the reflection formula (Abramowitz and Stegun 6.4.7), (-1)ⁿ ψ⁽ⁿ⁾(1-x) = ψ⁽ⁿ⁾(x) + π dⁿ/dxⁿ cot πx.
///
/// Each derivative of c = cot πx is a polynomial p in c, and the next one is -π (1 + c²) dp/dc.
fn reflected(n: u32, x: f64) -> f64 {
    use std::f64::consts::PI;
    let c = (PI * (x - x.round())).tan().recip();
    let mut polynomial = vec![0.0, 1.0];
    for _ in 0..n {
        let mut next = vec![0.0; polynomial.len() + 1];
        for (power, a) in polynomial.iter().enumerate().skip(1) {
            let slope = -PI * power as f64 * a;
            next[power - 1] += slope;
            next[power + 1] += slope;
        }
        polynomial = next;
    }
    let cotangent = polynomial.iter().rev().fold(0.0, |sum, a| sum * c + a);
    let sign = if n.is_multiple_of(2) { 1.0 } else { -1.0 };
    sign * polygamma(n, 1.0 - x) - PI * cotangent
}
