//! The traits that nalgebra asks of its numbers, for a number type that is [`Real`](super::real::Real): fields of simba
//! and comparisons of approx.
//!
//! Every function is the number's own, which comes from the table of rules. Comparisons look at values alone, as all
//! comparisons of numbers with derivatives do.

/// A float that approx compares: a supertrait of `BaseFloat`.
#[cfg(feature = "nalgebra")]
#[allow(unreachable_pub)] // named by a public bound
pub trait ApproxFloat: approx::RelativeEq<Epsilon = Self> + approx::UlpsEq<Epsilon = Self> {}
#[cfg(feature = "nalgebra")]
impl<F: approx::RelativeEq<Epsilon = F> + approx::UlpsEq<Epsilon = F>> ApproxFloat for F {}

/// Without the feature `nalgebra`, an empty trait that every type has, so that it can be a bound either way.
#[cfg(not(feature = "nalgebra"))]
#[allow(unreachable_pub)]
pub trait ApproxFloat {}
#[cfg(not(feature = "nalgebra"))]
impl<F> ApproxFloat for F {}

/// The traits that do not ask for `'static`: `Field`, `SimdValue` (of one lane), `SubsetOf` between the type, itself and
/// plain floats, and approx's three comparisons.
///
/// A plain float becomes a constant; a number becomes a plain float by its value, as in `num_traits::ToPrimitive`.
#[cfg(feature = "nalgebra")]
macro_rules! field_traits {
    ([$($generics:tt)*] $T:ty) => {
        impl<$($generics)*> approx::AbsDiffEq for $T {
            type Epsilon = Self;
            fn default_epsilon() -> Self {
                <Self as num_traits::Float>::epsilon()
            }
            #[inline]
            #[track_caller]
            fn abs_diff_eq(&self, other: &Self, epsilon: Self) -> bool {
                self.to_base().abs_diff_eq(&other.to_base(), epsilon.to_base())
            }
        }
        impl<$($generics)*> approx::RelativeEq for $T {
            fn default_max_relative() -> Self {
                <Self as Real>::from_base(<<Self as Real>::Base as approx::RelativeEq>::default_max_relative())
            }
            #[inline]
            #[track_caller]
            fn relative_eq(&self, other: &Self, epsilon: Self, max_relative: Self) -> bool {
                self.to_base().relative_eq(&other.to_base(), epsilon.to_base(), max_relative.to_base())
            }
        }
        impl<$($generics)*> approx::UlpsEq for $T {
            fn default_max_ulps() -> u32 {
                <<Self as Real>::Base as approx::UlpsEq>::default_max_ulps()
            }
            #[inline]
            #[track_caller]
            fn ulps_eq(&self, other: &Self, epsilon: Self, max_ulps: u32) -> bool {
                self.to_base().ulps_eq(&other.to_base(), epsilon.to_base(), max_ulps)
            }
        }

        impl<$($generics)*> simba::simd::SimdValue for $T {
            const LANES: usize = 1;
            type Element = Self;
            type SimdBool = bool;
            #[inline(always)]
            fn splat(value: Self) -> Self {
                value
            }
            #[inline(always)]
            #[track_caller]
            fn extract(&self, i: usize) -> Self {
                assert!(i == 0, "extract: a number has one lane, there is no lane {i}");
                *self
            }
            // The trait declares these two methods unsafe; nothing in them is.
            #[inline(always)]
            #[allow(unsafe_code)]
            unsafe fn extract_unchecked(&self, _: usize) -> Self {
                *self
            }
            #[inline(always)]
            #[track_caller]
            fn replace(&mut self, i: usize, value: Self) {
                assert!(i == 0, "replace: a number has one lane, there is no lane {i}");
                *self = value;
            }
            #[inline(always)]
            #[allow(unsafe_code)]
            unsafe fn replace_unchecked(&mut self, _: usize, value: Self) {
                *self = value;
            }
            #[inline(always)]
            fn select(self, condition: bool, other: Self) -> Self {
                if condition { self } else { other }
            }
        }
        impl<$($generics)*> simba::scalar::Field for $T {}

        impl<$($generics)*> simba::scalar::SubsetOf<$T> for $T {
            #[inline(always)]
            fn to_superset(&self) -> Self {
                *self
            }
            #[inline(always)]
            fn from_superset_unchecked(element: &Self) -> Self {
                *element
            }
            #[inline(always)]
            fn is_in_subset(_: &Self) -> bool {
                true
            }
        }
        crate::number::field::field_traits! { @float [$($generics)*] f32, $T }
        crate::number::field::field_traits! { @float [$($generics)*] f64, $T }
    };
    (@float [$($generics:tt)*] $float:ident, $T:ty) => {
        impl<$($generics)*> simba::scalar::SubsetOf<$T> for $float {
            #[inline(always)]
            fn to_superset(&self) -> $T {
                <$T as Real>::lit((*self).into())
            }
            #[inline(always)]
            #[track_caller]
            fn from_superset_unchecked(element: &$T) -> Self {
                num_traits::cast(element.to_base()).expect("a float is a float of either precision")
            }
            #[inline(always)]
            fn is_in_subset(_: &$T) -> bool {
                true
            }
        }
        impl<$($generics)*> simba::scalar::SubsetOf<$float> for $T {
            #[inline(always)]
            #[track_caller]
            fn to_superset(&self) -> $float {
                simba::scalar::SubsetOf::from_superset_unchecked(self)
            }
            #[inline(always)]
            fn from_superset_unchecked(element: &$float) -> Self {
                simba::scalar::SubsetOf::to_superset(element)
            }
            #[inline(always)]
            fn is_in_subset(_: &$float) -> bool {
                true
            }
        }
    };
}

/// `ComplexField` and `RealField` for a number type that is `'static`, `Send` and `Sync` and has [`field_traits`].
#[cfg(feature = "nalgebra")]
macro_rules! real_field {
    ([$($generics:tt)*] $T:ty) => {
        impl<$($generics)*> simba::scalar::ComplexField for $T {
            type RealField = Self;
            crate::number::field::real_field! { @same real conjugate }
            crate::number::field::real_field! { @float
                floor() ceil() round() trunc() fract() abs() recip() sin() cos() tan() asin() acos() atan() sinh() cosh()
                tanh() asinh() acosh() atanh() log(base) log2() log10() ln() ln_1p() sqrt() exp() exp2() exp_m1() cbrt()
                powf(exponent) hypot(other) signum()
            }
            #[inline(always)]
            fn from_real(re: Self) -> Self {
                re
            }
            #[inline(always)]
            fn imaginary(self) -> Self {
                <Self as num_traits::Zero>::zero()
            }
            #[inline(always)]
            #[track_caller]
            fn modulus(self) -> Self {
                Float::abs(self)
            }
            #[inline(always)]
            #[track_caller]
            fn modulus_squared(self) -> Self {
                Real::square(self)
            }
            #[inline(always)]
            #[track_caller]
            fn argument(self) -> Self {
                if self >= <Self as num_traits::Zero>::zero() {
                    <Self as num_traits::Zero>::zero()
                } else {
                    <Self as num_traits::FloatConst>::PI()
                }
            }
            #[inline(always)]
            #[track_caller]
            fn norm1(self) -> Self {
                Float::abs(self)
            }
            #[inline(always)]
            #[track_caller]
            fn scale(self, factor: Self) -> Self {
                self * factor
            }
            #[inline(always)]
            #[track_caller]
            fn unscale(self, factor: Self) -> Self {
                self / factor
            }
            // Reflections and rotations take modulus · sign for the number itself, so at 0 the modulus is the branch that
            // the sign names, with its derivative 1, and not the absolute value, with its derivative 0.
            #[inline(always)]
            #[track_caller]
            fn to_exp(self) -> (Self, Self) {
                let one = <Self as num_traits::One>::one();
                if self >= <Self as num_traits::Zero>::zero() { (self, one) } else { (-self, -one) }
            }
            #[inline(always)]
            #[track_caller]
            fn mul_add(self, a: Self, b: Self) -> Self {
                Float::mul_add(self, a, b)
            }
            #[inline(always)]
            #[track_caller]
            fn sin_cos(self) -> (Self, Self) {
                Float::sin_cos(self)
            }
            #[inline(always)]
            #[track_caller]
            fn sinc(self) -> Self {
                Real::sinc(self)
            }
            #[inline]
            #[track_caller]
            fn sinhc(self) -> Self {
                crate::number::field::sinhc(self)
            }
            #[inline(always)]
            #[track_caller]
            fn powi(self, n: i32) -> Self {
                Float::powi(self, n)
            }
            #[inline(always)]
            #[track_caller]
            fn powc(self, exponent: Self) -> Self {
                Float::powf(self, exponent)
            }
            #[inline(always)]
            #[track_caller]
            fn is_finite(&self) -> bool {
                Float::is_finite(*self)
            }
            #[inline(always)]
            #[track_caller]
            fn try_sqrt(self) -> Option<Self> {
                (self >= <Self as num_traits::Zero>::zero()).then(|| Float::sqrt(self))
            }
        }

        impl<$($generics)*> simba::scalar::RealField for $T {
            crate::number::field::real_field! { @float copysign(sign) max(other) min(other) clamp(min, max) atan2(other) }
            crate::number::field::real_field! { @constants
                pi PI, two_pi TAU, frac_pi_2 FRAC_PI_2, frac_pi_3 FRAC_PI_3, frac_pi_4 FRAC_PI_4, frac_pi_6 FRAC_PI_6,
                frac_pi_8 FRAC_PI_8, frac_1_pi FRAC_1_PI, frac_2_pi FRAC_2_PI, frac_2_sqrt_pi FRAC_2_SQRT_PI, e E,
                log2_e LOG2_E, log10_e LOG10_E, ln_2 LN_2, ln_10 LN_10
            }
            #[inline(always)]
            #[track_caller]
            fn is_sign_positive(&self) -> bool {
                Float::is_sign_positive(*self)
            }
            #[inline(always)]
            #[track_caller]
            fn is_sign_negative(&self) -> bool {
                Float::is_sign_negative(*self)
            }
            fn min_value() -> Option<Self> {
                Some(<Self as Float>::min_value())
            }
            fn max_value() -> Option<Self> {
                Some(<Self as Float>::max_value())
            }
        }
    };
    (@same $($name:ident)+) => { $(
        #[inline(always)]
        fn $name(self) -> Self {
            self
        }
    )+ };
    // The overriding method of a trait that names its second operand's type `RealField`, which is `Self` here.
    (@float $($name:ident($($operand:ident),*))+) => { $(
        #[inline(always)]
        #[track_caller]
        fn $name(self $(, $operand: Self)*) -> Self {
            Float::$name(self $(, $operand)*)
        }
    )+ };
    (@constants $($name:ident $constant:ident),+) => { $(
        #[inline(always)]
        fn $name() -> Self {
            <Self as num_traits::FloatConst>::$constant()
        }
    )+ };
}

/// The function sinh(x)/x, 1 at 0. Near 0 it is the series Σ x²ᵏ/(2k + 1)!, whose derivatives of every order are right
/// at 0 too.
#[cfg(feature = "nalgebra")]
pub(crate) fn sinhc<R: super::real::Real>(x: R) -> R {
    const TERMS: u32 = 9;
    if super::rules::beyond(x, 1.0) {
        return x.sinh() / x;
    }
    let square = x.square();
    (1..=TERMS).rev().fold(R::one(), |sum, k| sum * square / R::lit(f64::from(2 * k * (2 * k + 1))) + R::one())
}

#[cfg(feature = "nalgebra")]
pub(crate) use {field_traits, real_field};
