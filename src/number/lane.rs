//! Run-time dispatch. A kernel is written once, over a generic number, and compiled for several instruction sets;
//! it runs on [`Lane`]s, whose functions LLVM vectorises.

use std::cmp::Ordering;
use std::fmt;
use std::iter::{Product, Sum};

use num_traits::{Float, One, Zero};
use pulp::Arch;

use super::macros::{float_methods, number_traits, operators, own_rules_of_base};
use super::real::{BaseFloat, Dispatch, Kernel, Real, Wrap};
use super::special::Special;
use crate::number::table::for_each_rule;
use crate::number::vector_math::VectorMath;

/// A float with the branch-free elementary functions of [`VectorMath`]. `FMA` is true if the target of the surrounding
/// function has fused multiply-add.
#[derive(Clone, Copy, Debug)]
pub struct Lane<T, const FMA: bool>(T);

macro_rules! dispatch {
    ($($F:ident)+) => { $(
        impl<const FMA: bool> Wrap<$F> for Lane<$F, FMA> {
            #[inline(always)]
            fn wrap(x: $F) -> Self { Self(x) }
            #[inline(always)]
            fn unwrap(self) -> $F { self.0 }
        }
        impl Dispatch for $F {
            const IS_FLOAT: bool = true;

            #[inline]
            fn dispatch_on(arch: Arch, kernel: impl Kernel<Self>) {
                match arch {
                    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
                    Arch::V4(simd) => simd.vectorize(#[inline(always)] || kernel.run::<Lane<$F, true>>()),
                    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
                    Arch::V3(simd) => simd.vectorize(#[inline(always)] || kernel.run::<Lane<$F, true>>()),
                    #[cfg(target_arch = "aarch64")]
                    Arch::Neon(simd) => simd.vectorize(#[inline(always)] || kernel.run::<Lane<$F, true>>()),
                    _ => kernel.run::<Lane<$F, false>>(),
                }
            }
        }
    )+ };
}
dispatch! { f32 f64 }

/// A float that a [`Lane`] can wrap.
pub trait Inner: BaseFloat + Special + VectorMath {}
impl Inner for f32 {}
impl Inner for f64 {}

impl<T: Inner, const FMA: bool> Lane<T, FMA> {
    #[inline(always)]
    fn value(self) -> T {
        self.0
    }
    #[inline(always)]
    fn lift(x: T) -> Self {
        Self(x)
    }
}

impl<T: Inner, const FMA: bool> Default for Lane<T, FMA> {
    fn default() -> Self {
        Self(T::zero())
    }
}

number_traits! { [T: Inner, const FMA: bool] Lane<T, FMA>, T }

impl<T: Inner, const FMA: bool> std::ops::Neg for Lane<T, FMA> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

operators! { [T: Inner, const FMA: bool] Lane<T, FMA>, Lane<T, FMA> => Lane<T, FMA>, |rule, a, b| Lane(crate::number::rules::BinaryRule::<T>::eval(rule, a.0, b.0)) }
operators! { [T: Inner, const FMA: bool] Lane<T, FMA>, T => Lane<T, FMA>, |rule, a, b| Lane(crate::number::rules::BinaryRule::<T>::eval(rule, a.0, b)) }

/// The functions of `Float`: the branch-free version if there is one, otherwise that of `std`.
macro_rules! std_rules_by_lane {
    (
        unary std { $( [$($_doc:literal)+] [$_formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        unary own { $($_unary:tt)* }
        binary std { $( [$($_bdoc:literal)+] [$_fa:literal] [$_fb:literal] $bname:ident )+ }
        binary own { $($_binary:tt)* }
    ) => {
        $( std_rules_by_lane! { @method $name($($p: $ty),*) } )+
        $(
            #[inline(always)]
            fn $bname(self, other: Self) -> Self { Self(std_rules_by_lane!(@ $bname self.0, other.0)) }
        )+
    };
    (@method clamp($($_p:ident : $_ty:ident),*)) => {};
    (@method $name:ident($($p:ident : $ty:ident),*)) => {
        #[inline(always)]
        fn $name(self $(, $p: $ty)*) -> Self { Self(std_rules_by_lane!(@ $name self.0 $(, $p)*)) }
    };
    (@ exp $x:expr) => { $x.vexp::<FMA>() };
    (@ exp_m1 $x:expr) => { $x.vexp_m1::<FMA>() };
    (@ ln $x:expr) => { $x.vln::<FMA>() };
    (@ ln_1p $x:expr) => { $x.vln_1p::<FMA>() };
    (@ tanh $x:expr) => { $x.vtanh::<FMA>() };
    (@ max $x:expr, $y:expr) => { { let (x, y) = ($x, $y); if x > y || y.is_nan() { x } else { y } } };
    (@ min $x:expr, $y:expr) => { { let (x, y) = ($x, $y); if x < y || y.is_nan() { x } else { y } } };
    (@ $name:ident $($x:expr),+) => { Float::$name($($x),+) };
}

impl<T: Inner, const FMA: bool> Float for Lane<T, FMA> {
    for_each_rule!(std_rules_by_lane);
    float_methods!(T);

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(if FMA { Float::mul_add(self.0, a.0, b.0) } else { self.0 * a.0 + b.0 })
    }
}

impl<T: Inner, const FMA: bool> Real for Lane<T, FMA> {
    type Base = T;
    const CARRIES_DERIVATIVES: bool = false;
    #[inline(always)]
    fn from_base(x: T) -> Self {
        Self(x)
    }
    #[inline(always)]
    fn to_base(self) -> T {
        self.0
    }
    #[inline(always)]
    fn decay(self, factor: Self) -> Self {
        Self(self.0.vexp_times::<FMA>(factor.0))
    }
    #[inline(always)]
    fn tanh_and_slope(self) -> (Self, Self) {
        let (y, slope) = self.0.vtanh_slope::<FMA>();
        (Self(y), Self(slope))
    }
    #[inline(always)]
    fn tanh_slope_is_near(self) -> bool {
        !(self.0.abs() > T::SLOPE_REACH)
    }
    #[inline(always)]
    fn apply_rule<const N: usize>(rule: impl crate::number::Rule<T, N>, operands: [Self; N]) -> Self {
        Self(rule.primal(operands.map(Self::value)))
    }
    for_each_rule!(own_rules_of_base);
}

impl<T: Inner, const FMA: bool> Special for Lane<T, FMA> {
    #[inline(always)]
    fn special_erf(self) -> Self {
        Self(self.0.verf::<FMA>())
    }
    #[inline(always)]
    fn special_erfc(self) -> Self {
        Self(self.0.verfc::<FMA>())
    }
    #[inline(always)]
    fn special_erfc_of_sum(self, low: Self) -> Self {
        Self(self.0.verfc_of_sum::<FMA>(low.0))
    }
    #[inline(always)]
    fn special_erfinv(self) -> Self {
        Self(self.0.special_erfinv())
    }
    #[inline(always)]
    fn special_ln_gamma(self) -> Self {
        Self(self.0.special_ln_gamma())
    }
    #[inline(always)]
    fn special_polygamma(self, n: u32) -> Self {
        Self(self.0.special_polygamma(n))
    }
}

impl<T: Inner, const FMA: bool> Sum for Lane<T, FMA> {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        // -0 keeps the sign of zeros, as in the sum of floats.
        iter.fold(-Self::zero(), |sum, x| sum + x)
    }
}

impl<T: Inner, const FMA: bool> Product for Lane<T, FMA> {
    fn product<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::one(), |product, x| product * x)
    }
}

impl<T: Inner, const FMA: bool> fmt::Display for Lane<T, FMA> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
