//! [`Real`]: what a function asks of its numbers so that it runs on plain floats, dual numbers and
//! tape handles alike; [`Scalar`]: what a tape can hold.

use std::fmt::{Debug, Display};
use std::iter::{Product, Sum};
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};

use num_traits::{Float, FloatConst};

use crate::kernels::{Factor, GemmScalar, Lanes};
use crate::rules::for_each_rule;

/// The type of a rule's parameter: `B` in the table is the base float of the number at hand.
macro_rules! parameter {
    (B, $base:ty) => {
        $base
    };
    ($other:ident, $base:ty) => {
        $other
    };
}
pub(crate) use parameter;

macro_rules! real_trait {
    (
        unary std { $($_unary:tt)* }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $($_binary:tt)* }
        binary own { $( [$($bdoc:literal)+] [$fa:literal] [$fb:literal] $bname:ident )+ }
    ) => {
        /// A real number with every elementary function of the [table](crate::rules).
        ///
        /// Implemented for `f32`, `f64`, [`Dual`](crate::Dual) and [`Var`](crate::Var), so one
        /// generic function gives values, tangents and gradients. `sin`, `exp` and their like come
        /// from the supertrait [`num_traits::Float`].
        ///
        /// ```
        /// use wengert::{Dual, Real, Tape};
        ///
        /// fn f<R: Real>(x: R) -> R {
        ///     R::lit(2.0) * x.sigmoid() + x.sin()
        /// }
        /// let tape = Tape::new();
        /// let x = tape.var(0.3_f64);
        /// let gradient = f(x).backward();
        /// let tangent = f(Dual::new(0.3, [1.0])).tangents()[0];
        /// assert!((gradient[x] - tangent).abs() < 1e-15);
        /// ```
        pub trait Real:
            Float + FloatConst + AddAssign + SubAssign + MulAssign + DivAssign + Sum + Product + Debug + Display
        {
            /// `f32` or `f64`, below all layers of dual numbers and handles.
            type Base: BaseFloat;

            /// The constant `x`.
            fn from_base(x: Self::Base) -> Self;

            /// The value, without tangents or tape.
            fn to_base(self) -> Self::Base;

            /// The constant `x`, rounded to the base float: how a generic function writes literals.
            #[inline(always)]
            fn lit(x: f64) -> Self {
                Self::from_base(Self::Base::round_from(x))
            }

            /// A [`Rule`](crate::Rule) of one's own: see [`apply`](crate::apply).
            fn apply_rule<const N: usize>(rule: impl crate::Rule<Self::Base, N>, operands: [Self; N]) -> Self;

            $(
                $( #[doc = $doc] )+
                #[doc = concat!("\n\nDerivative: ", $formula, ".")]
                fn $name(self $(, $p: parameter!($ty, Self::Base))*) -> Self;
            )+
            $(
                $( #[doc = $bdoc] )+
                #[doc = concat!("\n\nPartials: ", $fa, " and ", $fb, ".")]
                fn $bname(self, other: Self) -> Self;
            )+
        }
    };
}
for_each_rule!(real_trait);

/// `f32` or `f64`.
pub trait BaseFloat: Scalar<Base = Self> {
    /// The nearest number to `x`.
    fn round_from(x: f64) -> Self;
}

/// A number a [`Tape`](crate::Tape) can hold: `f32`, `f64` and [`Dual`](crate::Dual) numbers over
/// them (forward over reverse). Sealed: the kernels know its representation.
pub trait Scalar: Real + GemmScalar + Lanes + Factor + Default + Send + Sync + 'static {
    /// Whether every component is zero: such a factor silences any other.
    fn is_null(self) -> bool;

    /// Whether products have neither over- nor underflowed to get here.
    fn is_regular(self) -> bool;

    /// Whether a product with it needs no care: its value is finite and not 0.
    fn is_active(self) -> bool;

    /// self · partial for a weight that is known to be 1 if `unit`.
    #[inline(always)]
    fn weigh(self, unit: bool, partial: Self) -> Self {
        let _ = unit;
        self * partial
    }

    /// self += a · b.
    #[inline(always)]
    fn add_product(&mut self, a: Self, b: Self) {
        *self += a * b;
    }
}

/// A power of two near a positive number: scaling by it rounds nothing.
pub(crate) fn binade<B: BaseFloat>(size: B) -> B {
    let exponent = Float::log2(size).to_i32().unwrap_or(0);
    Float::max(Float::powi(B::lit(2.0), exponent), B::min_positive_value())
}

macro_rules! own_rules_of_base {
    (
        unary std { $($_unary:tt)* }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $($_binary:tt)* }
        binary own { $( [$($bdoc:literal)+] [$fa:literal] [$fb:literal] $bname:ident )+ }
    ) => {
        $(
            #[inline(always)]
            fn $name(self $(, $p: crate::real::parameter!($ty, Self::Base))*) -> Self {
                crate::rules::$name::<Self::Base>::new($($p),*).primal(self)
            }
        )+
        $(
            #[inline(always)]
            fn $bname(self, other: Self) -> Self {
                crate::rules::$bname.primal(self, other)
            }
        )+
    };
}
pub(crate) use own_rules_of_base;

macro_rules! base_float {
    ($($F:ident $Bits:ident),+) => { $(
        impl Real for $F {
            type Base = $F;
            #[inline(always)]
            fn from_base(x: $F) -> $F { x }
            #[inline(always)]
            fn to_base(self) -> $F { self }
            #[inline(always)]
            fn apply_rule<const N: usize>(rule: impl crate::Rule<$F, N>, operands: [$F; N]) -> $F {
                rule.primal(operands)
            }
            for_each_rule!(own_rules_of_base);
        }
        impl BaseFloat for $F {
            #[inline(always)]
            fn round_from(x: f64) -> $F { x as $F }
        }
        impl Scalar for $F {
            #[inline(always)]
            fn is_null(self) -> bool { self == 0.0 }
            // Twice the bits drops the sign; one unsigned comparison then tests a range of sizes. The
            // upper half is enough, and its constants are immediates.
            #[inline(always)]
            fn is_regular(self) -> bool {
                const HALF: u32 = $Bits::BITS - 32;
                const LEAST: u32 = ($F::MIN_POSITIVE.to_bits() >> HALF << 1) as u32;
                const SPAN: u32 = ($F::INFINITY.to_bits() >> HALF << 1) as u32 - LEAST;
                (((self.to_bits() >> HALF) as u32) << 1).wrapping_sub(LEAST) < SPAN
            }
            #[inline(always)]
            fn is_active(self) -> bool {
                (self.to_bits() << 1).wrapping_sub(1) < $F::MAX.to_bits() << 1
            }
        }
    )+ };
}
base_float! { f32 u32, f64 u64 }

/// The methods of `num_traits::Float` that are rows of the table, through `self.apply(rule)`.
macro_rules! std_rules_by_apply {
    (
        unary std { $( [$($_doc:literal)+] [$_formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        unary own { $($_unary:tt)* }
        binary std { $( [$($_bdoc:literal)+] [$_fa:literal] [$_fb:literal] $bname:ident )+ }
        binary own { $($_binary:tt)* }
    ) => {
        $( crate::real::std_rules_by_apply! { @ $name($($p: $ty),*) } )+
        $(
            #[inline(always)]
            #[track_caller]
            fn $bname(self, other: Self) -> Self {
                self.apply2(crate::rules::$bname, other)
            }
        )+
    };
    // `Float::clamp` takes bounds of the type itself and is right as it stands.
    (@ clamp($($_p:ident : $_ty:ident),*)) => {};
    (@ $name:ident($($p:ident : $ty:ident),*)) => {
        #[inline(always)]
        #[track_caller]
        fn $name(self $(, $p: $ty)*) -> Self {
            self.apply(crate::rules::$name::new($($p),*))
        }
    };
}
pub(crate) use std_rules_by_apply;

/// All rows of the table as inherent methods, through `self.apply(rule)`, so that no trait needs to
/// be in scope.
macro_rules! inherent_rules {
    (
        unary std { $( [$($sdoc:literal)+] [$sformula:literal] $sname:ident($($sp:ident : $sty:ident),*) )+ }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $( [$($bsdoc:literal)+] [$bsfa:literal] [$bsfb:literal] $bsname:ident )+ }
        binary own { $( [$($bdoc:literal)+] [$bfa:literal] [$bfb:literal] $bname:ident )+ }
    ) => {
        $( crate::real::inherent_rules! { @unary [$($sdoc)+] [$sformula] $sname($($sp: $sty),*) } )+
        $( crate::real::inherent_rules! { @unary [$($doc)+] [$formula] $name($($p: $ty),*) } )+
        $( crate::real::inherent_rules! { @binary [$($bsdoc)+] [$bsfa] [$bsfb] $bsname } )+
        $( crate::real::inherent_rules! { @binary [$($bdoc)+] [$bfa] [$bfb] $bname } )+
    };
    (@unary [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*)) => {
        $( #[doc = $doc] )+
        #[doc = concat!("\n\nDerivative: ", $formula, ".")]
        #[inline(always)]
        #[track_caller]
        pub fn $name(self $(, $p: crate::real::parameter!($ty, <Self as crate::real::Real>::Base))*) -> Self {
            self.apply(crate::rules::$name::new($($p),*))
        }
    };
    (@binary [$($doc:literal)+] [$fa:literal] [$fb:literal] $name:ident) => {
        $( #[doc = $doc] )+
        #[doc = concat!("\n\nPartials: ", $fa, " and ", $fb, ". The other operand may be a plain number.")]
        #[inline(always)]
        #[track_caller]
        pub fn $name(self, other: impl Into<Self>) -> Self {
            self.apply2(crate::rules::$name, other.into())
        }
    };
}
pub(crate) use inherent_rules;

/// The methods of [`Real`] that are rows of the table, through `self.apply(rule)`.
macro_rules! own_rules_by_apply {
    (
        unary std { $($_unary:tt)* }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $($_binary:tt)* }
        binary own { $( [$($bdoc:literal)+] [$fa:literal] [$fb:literal] $bname:ident )+ }
    ) => {
        $(
            #[inline(always)]
            #[track_caller]
            fn $name(self $(, $p: crate::real::parameter!($ty, Self::Base))*) -> Self {
                self.apply(crate::rules::$name::new($($p),*))
            }
        )+
        $(
            #[inline(always)]
            #[track_caller]
            fn $bname(self, other: Self) -> Self {
                self.apply2(crate::rules::$bname, other)
            }
        )+
    };
}
pub(crate) use own_rules_by_apply;

/// The methods of `num_traits::Float` that have no derivative, through `self.value()` and
/// `Self::lift(constant)`, and the two that are made of others. A type that must see the tests of
/// its value takes `@untested`.
macro_rules! float_methods {
    ($V:ty) => {
        crate::real::float_methods! { @untested $V }
        crate::real::float_methods! { @tests: is_nan is_infinite is_finite is_normal is_sign_positive is_sign_negative }
    };
    (@untested $V:ty) => {
        crate::real::float_methods! { @constants $V: nan infinity neg_infinity neg_zero min_value min_positive_value max_value epsilon }
        #[inline(always)]
        fn classify(self) -> std::num::FpCategory {
            self.value().classify()
        }
        #[inline(always)]
        fn integer_decode(self) -> (u64, i16, i8) {
            self.value().integer_decode()
        }
        #[inline(always)]
        #[track_caller]
        fn abs_sub(self, other: Self) -> Self {
            if self <= other { Self::zero() } else { self - other }
        }
        #[inline(always)]
        fn sin_cos(self) -> (Self, Self) {
            (Float::sin(self), Float::cos(self))
        }
    };
    (@constants $V:ty: $($name:ident)+) => { $(
        #[inline(always)]
        fn $name() -> Self { Self::lift(<$V as Float>::$name()) }
    )+ };
    (@tests: $($name:ident)+) => { $(
        #[inline(always)]
        fn $name(self) -> bool { Float::$name(self.value()) }
    )+ };
}
pub(crate) use float_methods;

/// The traits below `num_traits::Float` for a number `$T` over `$V`, through `self.value()`,
/// `Self::lift(constant)` and the operators. A type that must see comparisons takes `@uncompared`.
macro_rules! number_traits {
    ([$($generics:tt)*] $T:ty, $V:ty) => {
        crate::real::number_traits! { @uncompared [$($generics)*] $T, $V }
        impl<$($generics)*> PartialEq for $T {
            #[inline(always)]
            fn eq(&self, other: &Self) -> bool { self.value() == other.value() }
        }
        impl<$($generics)*> PartialOrd for $T {
            #[inline(always)]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> { self.value().partial_cmp(&other.value()) }
        }
        impl<$($generics)*> PartialEq<$V> for $T {
            #[inline(always)]
            fn eq(&self, other: &$V) -> bool { self.value() == *other }
        }
        impl<$($generics)*> PartialOrd<$V> for $T {
            #[inline(always)]
            fn partial_cmp(&self, other: &$V) -> Option<Ordering> { self.value().partial_cmp(other) }
        }
    };
    (@uncompared [$($generics:tt)*] $T:ty, $V:ty) => {
        impl<$($generics)*> Zero for $T {
            #[inline(always)]
            fn zero() -> Self { Self::lift(<$V>::zero()) }
            #[inline(always)]
            fn is_zero(&self) -> bool { *self == <$V>::zero() }
        }
        impl<$($generics)*> One for $T {
            #[inline(always)]
            fn one() -> Self { Self::lift(<$V>::one()) }
        }
        impl<$($generics)*> num_traits::Num for $T {
            type FromStrRadixErr = <$V as num_traits::Num>::FromStrRadixErr;
            fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
                <$V>::from_str_radix(text, radix).map(Self::lift)
            }
        }
        impl<$($generics)*> num_traits::ToPrimitive for $T {
            fn to_i64(&self) -> Option<i64> { self.value().to_i64() }
            fn to_u64(&self) -> Option<u64> { self.value().to_u64() }
            fn to_f32(&self) -> Option<f32> { self.value().to_f32() }
            fn to_f64(&self) -> Option<f64> { self.value().to_f64() }
        }
        impl<$($generics)*> num_traits::NumCast for $T {
            fn from<X: num_traits::ToPrimitive>(x: X) -> Option<Self> {
                <$V as num_traits::NumCast>::from(x).map(Self::lift)
            }
        }
        impl<$($generics)*> num_traits::FromPrimitive for $T {
            crate::real::number_traits! { @from $V: from_i64 i64, from_u64 u64, from_f32 f32, from_f64 f64 }
        }
        impl<$($generics)*> num_traits::Bounded for $T {
            fn min_value() -> Self { Self::lift(<$V as Float>::min_value()) }
            fn max_value() -> Self { Self::lift(<$V as Float>::max_value()) }
        }
        impl<$($generics)*> num_traits::Inv for $T {
            type Output = Self;
            #[inline(always)]
            fn inv(self) -> Self { Float::recip(self) }
        }
        impl<$($generics)*> num_traits::Pow<i32> for $T {
            type Output = Self;
            #[inline(always)]
            fn pow(self, n: i32) -> Self { Float::powi(self, n) }
        }
        impl<$($generics)*> num_traits::Pow<Self> for $T {
            type Output = Self;
            #[inline(always)]
            #[track_caller]
            fn pow(self, exponent: Self) -> Self { Float::powf(self, exponent) }
        }
        impl<$($generics)*> num_traits::MulAdd for $T {
            type Output = Self;
            #[inline(always)]
            #[track_caller]
            fn mul_add(self, b: Self, c: Self) -> Self { Float::mul_add(self, b, c) }
        }
        impl<$($generics)*> num_traits::FloatConst for $T {
            crate::real::number_traits! { @constants $V: E FRAC_1_PI FRAC_1_SQRT_2 FRAC_2_PI FRAC_2_SQRT_PI FRAC_PI_2
                FRAC_PI_3 FRAC_PI_4 FRAC_PI_6 FRAC_PI_8 LN_10 LN_2 LOG10_E LOG2_E PI SQRT_2 TAU LOG10_2 LOG2_10 }
        }
        crate::real::number_traits! { @assign_each [$($generics)*] $T, $T }
        crate::real::number_traits! { @assign_each [$($generics)*] $T, $V }
    };
    (@constants $V:ty: $($name:ident)+) => { $(
        #[inline(always)]
        fn $name() -> Self { Self::lift(<$V>::$name()) }
    )+ };
    (@assign_each $generics:tt $T:ty, $R:ty) => {
        crate::real::number_traits! { @assign_one $generics $T, $R, AddAssign add_assign + }
        crate::real::number_traits! { @assign_one $generics $T, $R, SubAssign sub_assign - }
        crate::real::number_traits! { @assign_one $generics $T, $R, MulAssign mul_assign * }
        crate::real::number_traits! { @assign_one $generics $T, $R, DivAssign div_assign / }
        crate::real::number_traits! { @assign_one $generics $T, $R, RemAssign rem_assign % }
    };
    (@from $V:ty: $($name:ident $X:ident),+) => { $(
        fn $name(x: $X) -> Option<Self> {
            <$V as num_traits::NumCast>::from(x).map(Self::lift)
        }
    )+ };
    (@assign_one [$($generics:tt)*] $T:ty, $R:ty, $Trait:ident $method:ident $op:tt) => {
        impl<$($generics)*> std::ops::$Trait<$R> for $T {
            #[inline(always)]
            #[track_caller]
            fn $method(&mut self, right: $R) { *self = *self $op right; }
        }
        impl<$($generics)*> std::ops::$Trait<&$R> for $T {
            #[inline(always)]
            #[track_caller]
            fn $method(&mut self, right: &$R) { *self = *self $op *right; }
        }
    };
}
pub(crate) use number_traits;
