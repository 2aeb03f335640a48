//! Parameters with a domain, as functions of free numbers, for samplers and optimisers.
//!
//! A transform takes numbers from -∞ to ∞ to the domain, and returns the logarithm of the determinant of its Jacobian
//! beside the result: added to the log-density of the parameter it gives the log-density of the free numbers. An
//! optimiser leaves it out. All functions work on any [`Real`] numbers, and each has an inverse for starting points.
//!
//! | domain | transform | inverse | free numbers |
//! |---|---|---|---:|
//! | x > 0 | [`positive`] | [`positive_inverse`] | 1 |
//! | lo < x < hi, where either end may be infinite | [`interval`] | [`interval_inverse`] | 1 |
//! | n numbers ≥ 0 whose sum is 1 | [`simplex`] | [`simplex_inverse`] | n - 1 |
//! | correlation matrices of n variables, by their Cholesky factors | [`correlation`] | [`correlation_inverse`] | n(n - 1)/2 |
//!
//! ```
//! use wengert::{Real, density, grad, transform};
//!
//! // The log-density of ln σ for a scale σ with an exponential distribution.
//! fn log_density<R: Real>(u: R) -> R {
//!     let (sigma, log_jacobian) = transform::positive(u);
//!     density::exponential(sigma, R::lit(2.0)) + log_jacobian
//! }
//! let gradient = grad(|[u]| log_density(u), [0.3_f64]);
//! assert!((gradient[0] - (1.0 - 2.0 * 0.3_f64.exp())).abs() < 1e-15);
//! ```
//!
//! Infinite numbers give the ends of a domain, and nothing gives NaN. The transforms of simplices and correlations
//! are those of Stan (Reference Manual, "Constraint Transforms"), computed from logarithms, so that nothing overflows.

use ndarray::{Array2, ArrayView2};
use num_traits::Float;

use crate::number::{BaseFloat, Real};

/// The positive number x = e^u, and ln dx/du = u.
pub fn positive<R: Real>(u: R) -> (R, R) {
    (Float::exp(u), u)
}

/// The u of [`positive`]: ln x.
pub fn positive_inverse<R: Real>(x: R) -> R {
    Float::ln(x)
}

/// The number x = lo + (hi - lo) sigmoid u between `lo` and `hi`, and ln dx/du. With one infinite end it is lo + e^u or
/// hi - e^-u, with two it is u itself; so it increases with u in each case.
///
/// ```
/// use wengert::transform::{interval, interval_inverse};
///
/// let (x, log_jacobian) = interval(0.0, -1.0, 3.0);
/// assert_eq!((x, log_jacobian), (1.0, 0.0)); // the slope is 4/4
/// assert_eq!(interval(-800.0, -1.0, 3.0).0, -1.0);
/// assert_eq!(interval_inverse(1.0, -1.0, 3.0), 0.0);
/// assert_eq!(interval(0.0, 2.0, f64::INFINITY).0, 3.0);
/// ```
///
/// # Panics
///
/// If not `lo` < `hi`.
#[track_caller]
pub fn interval<R: Real>(u: R, lo: R::Base, hi: R::Base) -> (R, R) {
    assert_interval("interval", lo, hi);
    let ends = [lo, hi].map(R::from_base);
    match [lo, hi].map(Float::is_finite) {
        [false, false] => (u, R::zero()),
        [true, false] => (ends[0] + Float::exp(u), u),
        [false, true] => (ends[1] - Float::exp(-u), -u),
        [true, true] => {
            // Halves, because the width of two huge ends would overflow.
            let half = R::from_base(hi * R::Base::lit(0.5) - lo * R::Base::lit(0.5));
            // From the nearer end, so that the distance to it keeps its digits.
            let x = if u < R::zero() {
                ends[0] + half * u.sigmoid() * R::lit(2.0)
            } else {
                ends[1] - half * (-u).sigmoid() * R::lit(2.0)
            };
            (x, Float::ln(half) + R::LN_2() + u.log_sigmoid() + (-u).log_sigmoid())
        }
    }
}

/// The u of [`interval`]; infinite at the ends, NaN beyond.
///
/// # Panics
///
/// If not `lo` < `hi`.
#[track_caller]
pub fn interval_inverse<R: Real>(x: R, lo: R::Base, hi: R::Base) -> R {
    assert_interval("interval_inverse", lo, hi);
    let ends = [lo, hi].map(R::from_base);
    match [lo, hi].map(Float::is_finite) {
        [false, false] => x,
        [true, false] => Float::ln(x - ends[0]),
        [false, true] => -Float::ln(ends[1] - x),
        [true, true] => Float::ln(x - ends[0]) - Float::ln(ends[1] - x),
    }
}

#[track_caller]
fn assert_interval<B: PartialOrd + std::fmt::Display>(operation: &str, lo: B, hi: B) {
    assert!(lo < hi, "{operation}: the interval from {lo} to {hi} holds no number between its ends");
}

/// The n + 1 numbers xᵢ ≥ 0 of sum 1 that stick-breaking makes of n numbers u, and the logarithm of the determinant of
/// the Jacobian of the first n of them: of the rest of the stick, xᵢ takes the part sigmoid(uᵢ - ln(n - i)). So u = 0
/// gives equal numbers.
///
/// ```
/// let (x, _) = wengert::transform::simplex(&[0.0, 0.0, 0.0_f64]);
/// assert!(x.iter().all(|x| (x - 0.25).abs() < 1e-15));
/// ```
pub fn simplex<R: Real>(u: &[R]) -> (Vec<R>, R) {
    let n = u.len();
    let (mut ln_rest, mut log_jacobian) = (R::zero(), R::zero());
    let mut x = Vec::with_capacity(n + 1);
    for (i, &u) in u.iter().enumerate() {
        let v = u - ln_count::<R>(n - i);
        let (ln_part, ln_left) = (v.log_sigmoid(), (-v).log_sigmoid());
        x.push(Float::exp(ln_rest + ln_part));
        log_jacobian += ln_rest + ln_part + ln_left;
        ln_rest += ln_left;
    }
    x.push(Float::exp(ln_rest));
    (x, log_jacobian)
}

/// The u of [`simplex`]; infinite where a number is 0. Numbers whose sum is not 1 count in proportion; NaN if it is 0.
///
/// # Panics
///
/// If there is no number.
#[track_caller]
pub fn simplex_inverse<R: Real>(x: &[R]) -> Vec<R> {
    assert!(!x.is_empty(), "simplex_inverse: no numbers; a simplex has at least one");
    let n = x.len() - 1;
    // From the end, so that the rest is a sum of positive numbers.
    let mut rest = x[n];
    let mut u = vec![R::zero(); n];
    for i in (0..n).rev() {
        // Nothing of a rest that is 0 is nothing.
        u[i] = if x[i] == R::zero() {
            R::neg_infinity()
        } else {
            Float::ln(x[i]) - Float::ln(rest) + ln_count::<R>(n - i)
        };
        rest += x[i];
    }
    if rest == R::zero() { vec![R::nan(); n] } else { u }
}

fn ln_count<R: Real>(count: usize) -> R {
    R::lit((count as f64).ln())
}

/// The lower triangle L of a correlation matrix L Lᵀ of n variables, row by row, from n(n - 1)/2 numbers, and the
/// logarithm of the determinant of the Jacobian of the numbers below the diagonal of L: tanh uᵢⱼ is the partial
/// correlation of the variables i and j, given the variables before j (Lewandowski, Kurowicka and Joe 2009, "Generating
/// random correlation matrices based on vines and extended onion method"). The numbers are in the order of the rows of
/// L.
///
/// ```
/// use wengert::transform::correlation;
///
/// let (l, _) = correlation(&[0.5, -0.2, 1.0_f64]);
/// let c = l.dot(&l.t());
/// assert!((0..3).all(|i| (c[[i, i]] - 1.0).abs() < 1e-15));
/// assert!((c[[1, 0]] - 0.5_f64.tanh()).abs() < 1e-15);
/// ```
///
/// # Panics
///
/// If there are not n(n - 1)/2 numbers for any n.
#[track_caller]
pub fn correlation<R: Real>(u: &[R]) -> (Array2<R>, R) {
    let n = (1..=u.len() + 1).find(|&n| n * (n - 1) / 2 >= u.len()).expect("the last order is large enough");
    assert!(
        n * (n - 1) / 2 == u.len(),
        "correlation: {} numbers; n variables have n(n - 1)/2 correlations, {} for n = {n}",
        u.len(),
        n * (n - 1) / 2
    );
    let mut l = Array2::from_elem((n, n), R::zero());
    let mut log_jacobian = R::zero();
    let mut numbers = u.iter().copied();
    for i in 0..n {
        // The logarithm of the part of row i, whose squares have the sum 1, that is left.
        let mut ln_rest = R::zero();
        for (j, u) in numbers.by_ref().take(i).enumerate() {
            let half = R::lit(0.5);
            l[[i, j]] = Float::tanh(u) * Float::exp(ln_rest * half);
            // ln(1 - tanh² u)
            let ln_left = (u + u).log_sigmoid() + (-(u + u)).log_sigmoid() + R::LN_2() + R::LN_2();
            log_jacobian += ln_left + ln_rest * half;
            ln_rest += ln_left;
        }
        l[[i, i]] = Float::exp(ln_rest * R::lit(0.5));
    }
    (l, log_jacobian)
}

/// The u of [`correlation`], from the lower triangle L of a correlation matrix L Lᵀ; infinite for a partial correlation of
/// ±1, and 0 where one before it leaves it open.
///
/// # Panics
///
/// If the matrix is not square.
#[track_caller]
pub fn correlation_inverse<R: Real>(l: ArrayView2<'_, R>) -> Vec<R> {
    assert!(l.is_square(), "correlation_inverse: a matrix of shape {:?} is not square", l.shape());
    let mut u = Vec::new();
    for (i, row) in l.rows().into_iter().enumerate() {
        // The norm of the rest of the row, from its end, so that the squares are added, and none underflows.
        let mut rest = vec![R::zero(); i + 1];
        rest[i] = Float::abs(row[i]);
        for j in (0..i).rev() {
            rest[j] = Float::hypot(rest[j + 1], row[j]);
        }
        // tanh u = L/√rest, where rest = L² + what is left: sinh u = L/√left.
        let free = |j: usize| if row[j] == R::zero() { row[j] } else { Float::asinh(row[j] / rest[j + 1]) };
        u.extend((0..i).map(free));
    }
    u
}

/// Bounds of several parameters, as a transform of as many free numbers, each by [`interval`].
///
/// ```
/// use wengert::transform::Bounds;
///
/// let bounds = Bounds::new(&[(0.0, f64::INFINITY), (-1.0, 1.0)]);
/// let free: Vec<f64> = bounds.free(&[2.0, 0.5]);
/// let (x, _) = bounds.values(&free);
/// assert!((x[0] - 2.0).abs() < 1e-15 && (x[1] - 0.5).abs() < 1e-15);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds<B = f64>(Vec<(B, B)>);

impl<B: BaseFloat> Bounds<B> {
    /// The bounds (lo, hi) of each parameter; either may be infinite.
    ///
    /// # Panics
    ///
    /// If not lo < hi for each.
    #[track_caller]
    pub fn new(bounds: &[(B, B)]) -> Self {
        for &(lo, hi) in bounds {
            assert_interval("Bounds", lo, hi);
        }
        Self(bounds.to_vec())
    }

    /// No bounds of `n` parameters.
    pub fn none(n: usize) -> Self {
        Self(vec![(B::neg_infinity(), B::infinity()); n])
    }

    /// The bounds of each parameter.
    pub fn ends(&self) -> &[(B, B)] {
        &self.0
    }

    /// The parameters of free numbers, and the logarithm of the determinant of the Jacobian.
    ///
    /// # Panics
    ///
    /// If there is not one number for each parameter.
    #[track_caller]
    pub fn values<R: Real<Base = B>>(&self, free: &[R]) -> (Vec<R>, R) {
        self.assert_len(free.len());
        let pairs = || free.iter().zip(&self.0).map(|(&u, &(lo, hi))| interval(u, lo, hi));
        (pairs().map(|(x, _)| x).collect(), pairs().map(|(_, log_jacobian)| log_jacobian).sum())
    }

    /// The free numbers of parameters; infinite at an end, NaN beyond.
    ///
    /// # Panics
    ///
    /// If there is not one number for each parameter.
    #[track_caller]
    pub fn free<R: Real<Base = B>>(&self, x: &[R]) -> Vec<R> {
        self.assert_len(x.len());
        x.iter().zip(&self.0).map(|(&x, &(lo, hi))| interval_inverse(x, lo, hi)).collect()
    }

    /// The derivative of each parameter with respect to its free number.
    #[cfg(any(feature = "linalg", feature = "argmin"))]
    pub(crate) fn slopes<R: Real<Base = B>>(&self, free: &[R]) -> Vec<R> {
        free.iter().zip(&self.0).map(|(&u, &(lo, hi))| Float::exp(interval(u, lo, hi).1)).collect()
    }

    #[track_caller]
    fn assert_len(&self, len: usize) {
        let bounds = self.0.len();
        assert!(len == bounds, "Bounds: {len} numbers for {bounds} bounds; give one for each");
    }
}
