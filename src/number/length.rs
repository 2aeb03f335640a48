//! The Euclidean length of a vector and its partials, on every number that a tape holds.

use num_traits::{Float, Zero};

use super::real::{Scalar, binade};
use crate::slices::LongSum;

/// The length √Σxᵢ² of a vector, with its partials xᵢ/length. The numbers are scaled if their squares over- or
/// underflow.
///
/// Infinite numbers count as equal to each other, as in `hypot`. At the origin every partial is 0 by convention; see
/// [`Scalar::pull_from_origin`] for second derivatives there.
#[derive(Clone, Copy)]
pub(crate) struct Length<F: Scalar> {
    pub(crate) value: F,
    /// The factor of the numbers: a power of two, or 0 if one of the numbers is infinite.
    factor: F,
    /// The length of the scaled numbers.
    scaled: F,
}

impl<F: Scalar> Length<F> {
    #[inline]
    pub(crate) fn of(x: impl Iterator<Item = F> + Clone) -> Self {
        let square = LongSum::of(x.clone().map(|x| x * x));
        if is_accurate(square) {
            let value = Float::sqrt(square);
            return Self { value, factor: F::one(), scaled: value };
        }
        Self::of_extremes(x)
    }

    #[cold]
    fn of_extremes(x: impl Iterator<Item = F> + Clone) -> Self {
        let size = x.clone().fold(F::Base::zero(), |size, x| Float::max(size, Float::abs(x.to_base())));
        if size.is_zero() && !x.clone().any(Float::is_nan) {
            return Self { value: F::length_at_origin(x), factor: F::one(), scaled: F::zero() };
        }
        let scale = F::from_base(if size.is_infinite() { size } else { binade(size) });
        let length = Self { value: F::zero(), factor: scale.recip(), scaled: F::zero() };
        // A NaN stays in the sum: it makes the length NaN, in value and tangents.
        let scaled = Float::sqrt(LongSum::of(x.map(|x| length.scale(x)).map(|x| x * x)));
        Self { value: scale * scaled, scaled, ..length }
    }

    /// The length divided by a number, where the length alone would overflow.
    #[cold]
    pub(crate) fn over(&self, divisor: F) -> F {
        self.scaled / divisor / self.factor
    }

    #[inline]
    fn scale(&self, x: F) -> F {
        if Float::is_infinite(x) { Float::signum(x) } else { x * self.factor }
    }

    /// True if every number is 0, and some of their tangents are not.
    #[inline]
    pub(crate) fn leaves_origin(&self) -> bool {
        has_left_origin(self.value)
    }

    /// The partial with respect to the number `x`.
    #[inline]
    pub(crate) fn partial(&self, x: F) -> F {
        if self.scaled == F::zero() { F::zero() } else { self.scale(x) / self.scaled }
    }

    /// The cotangent of the number `x`, from the cotangent `dy` of the length.
    #[inline]
    pub(crate) fn pull(&self, dy: F, x: F) -> F {
        pull_length(dy, x, self.value, self.partial(x))
    }
}

/// True for a length of 0 with tangents: see [`Scalar::length_at_origin`].
#[inline]
fn has_left_origin<F: Scalar>(length: F) -> bool {
    length.to_base().is_zero() && !length.is_exact_zero()
}

/// True if the length `y` of the numbers `x` is 0, and some of their tangents are not, so that partials do not serve.
#[inline(always)]
pub(crate) fn leaves_origin<F: Scalar>(y: F, mut x: impl Iterator<Item = F>) -> bool {
    F::CARRIES_DERIVATIVES && y.to_base().is_zero() && x.any(|x| !x.is_exact_zero())
}

/// Corrects the length `y` of the numbers `x`, which a rule of the table computed, if it [`leaves_origin`]. Returns true
/// if so: the cotangents then come from [`pull_length`].
#[inline]
pub(crate) fn leave_origin<F: Scalar>(y: &mut F, x: impl Iterator<Item = F> + Clone) -> bool {
    let leaves = leaves_origin(*y, x.clone());
    if leaves {
        *y = F::length_at_origin(x);
    }
    leaves
}

/// The cotangent of the number `x`, from the cotangent `dy` of a length `y` and the partial away from the origin.
#[inline]
pub(crate) fn pull_length<F: Scalar>(dy: F, x: F, y: F, partial: F) -> F {
    if has_left_origin(y) { dy.pull_from_origin(x, y) } else { dy.gated_mul(partial) }
}

/// True if a sum of squares neither overflowed nor lost digits to underflow.
#[inline]
pub(crate) fn is_accurate<F: Scalar>(square: F) -> bool {
    let square = square.to_base();
    square >= F::Base::min_positive_value() / F::Base::epsilon() && square.is_finite()
}
