//! The rules: a type for each row of the [table](super::table), with the function and its partials on any number, and
//! the rows as data for recordings.

#![allow(non_camel_case_types)]

use std::marker::PhantomData;

use num_traits::Float;

use super::real::Real;
use super::special::Special;
use super::table::for_each_row;

/// A function of one operand and its partial, on any number over the base float `B`.
pub(crate) trait UnaryRule<B>: Copy + Send + Sync {
    /// The name in tables of a tape's operations.
    const NAME: &'static str;
    /// True if the partial is 1 or -1 everywhere.
    const UNIT: bool = false;
    /// True if the partial is finite wherever the value is.
    const FINITE: bool = false;
    /// The value y, through the method of `R`.
    fn eval<R: Real<Base = B>>(self, x: R) -> R;
    /// dy/dx from the operand `x` and the result `y`.
    fn partial<R: Real<Base = B>>(self, x: R, y: R) -> R;
}

/// A function of two operands and its two partials, which are computed apart because an operand may be a constant.
pub(crate) trait BinaryRule<B>: Copy + Send + Sync {
    /// The name in messages.
    const NAME: &'static str;
    /// For each partial, true if it is 1 or -1 everywhere.
    const UNIT: [bool; 2];
    /// True if both partials are finite wherever operands and value are.
    const FINITE: bool;
    /// The value z.
    fn eval<R: Real<Base = B>>(self, a: R, b: R) -> R;
    /// dz/da.
    fn partial_a<R: Real<Base = B>>(self, a: R, b: R, z: R) -> R;
    /// dz/db.
    fn partial_b<R: Real<Base = B>>(self, a: R, b: R, z: R) -> R;
}

/// The sign of x, with `sign(±0) = 0` and `sign(NaN) = NaN`.
#[inline(always)]
pub(crate) fn sign<R: Real>(x: R) -> R {
    if x > R::zero() {
        R::one()
    } else if x < R::zero() {
        -R::one()
    } else {
        x * R::zero()
    }
}

/// `partial` if `inside`, the test for the function's domain, is true; otherwise NaN.
#[inline(always)]
fn within<R: Real>(inside: bool, partial: R) -> R {
    if inside { partial } else { R::nan() }
}

/// The partial of `max` or `min` with respect to the operand `mine`: 1 if the result is `mine`, else 0, and ½ in a tie.
///
/// `wins` is true if the comparison prefers `mine`. A number wins over NaN, and two NaN tie.
#[inline(always)]
fn share<R: Real>(wins: bool, mine: R, other: R) -> R {
    if wins {
        R::one()
    } else if mine == other || mine.is_nan() && other.is_nan() {
        R::lit(0.5)
    } else if other.is_nan() {
        R::one()
    } else {
        R::zero()
    }
}

/// True if the formula of a partial is the constant 1 or -1.
const fn is_unit(formula: &str) -> bool {
    matches!(formula.as_bytes(), b"1" | b"-1")
}

/// True if the formula of a partial shows that the partial is finite wherever the value is, so that a tape need not
/// look. Formulas that are not listed here are looked at.
const fn is_finite(formula: &str) -> bool {
    matches!(
        formula.as_bytes(),
        b"0" | b"1" | b"-1" | b"2x" | b"y" | b"y + 1" | b"cos x" | b"-sin x" | b"sigmoid x" | b"y (1 - y)"
    ) || matches!(formula.as_bytes(), [b'1', b' ', b'-', b' ', b'y', ..] | [b'1', b' ', b'i', b'f', ..])
}

/// A parameter as an argument of the function: a base float becomes a number of type `R`.
macro_rules! lift {
    (B, $p:expr) => {
        R::from_base($p)
    };
    ($other:ident, $p:expr) => {
        $p
    };
}

/// Turns the rows into rule types and into [`UnaryOp`] and [`BinaryOp`], the enumerations of them.
macro_rules! rules {
    (
        unary std { $( $(#[doc = $sdoc:literal])+ fn $sname:ident($sx:ident $(; $sp:ident : $sty:ident = $spv:expr)*) -> $sy:ident {
            partial: $spartial:expr, formula: $sformula:literal, $($_srest:tt)*
        } )+ }
        unary own { $( $(#[doc = $doc:literal])+ fn $name:ident($x:ident $(; $p:ident : $ty:ident = $pv:expr)*) -> $y:ident {
            primal: $primal:expr, partial: $partial:expr, formula: $formula:literal, $($_rest:tt)*
        } )+ }
        binary std { $( $(#[doc = $bsdoc:literal])+ fn $bsname:ident($bsa:ident, $bsb:ident) -> $bsz:ident {
            partials: ($bspa:expr, $bspb:expr), formulas: ($bsfa:literal, $bsfb:literal), $($_bsrest:tt)*
        } )+ }
        binary own { $( $(#[doc = $bdoc:literal])+ fn $bname:ident($ba:ident, $bb:ident) -> $bz:ident {
            primal: $bprimal:expr, partials: ($bpa:expr, $bpb:expr), formulas: ($bfa:literal, $bfb:literal), $($_brest:tt)*
        } )+ }
        unary operator { fn $nname:ident($nx:ident) -> $ny:ident {
            eval: $neval:expr, partial: $npartial:expr, formula: $nformula:literal, $($_nrest:tt)*
        } }
        binary operators { $( fn $oname:ident($oa:ident, $ob:ident) -> $oz:ident {
            eval: $oeval:expr, partials: ($opa:expr, $opb:expr), formulas: ($ofa:literal, $ofb:literal), $($_orest:tt)*
        } )+ }
    ) => {
        $( rules! { @unary $sname, $sx, $sy, [$($sp: $sty),*], Float::$sname($sx $(, lift!($sty, $sp))*), $spartial, $sformula } )+
        $( rules! { @unary $name, $x, $y, [$($p: $ty),*], $x.$name($($p),*), $partial, $formula }
           impl<B> $name<B> {
               /// The row's primal, for numbers that are floats.
               #[inline(always)]
               #[allow(clippy::needless_pass_by_value)]
               pub(crate) fn primal<R: Special<Base = B>>(self, $x: R) -> R {
                   let Self { $($p,)* base: _ } = self;
                   $primal
               }
           } )+
        $( rules! { @binary $bsname, $bsa, $bsb, $bsz, Float::$bsname($bsa, $bsb), $bspa, $bspb, $bsfa, $bsfb } )+
        $( rules! { @binary $bname, $ba, $bb, $bz, $ba.$bname($bb), $bpa, $bpb, $bfa, $bfb }
           impl $bname {
               /// The row's primal, for numbers that are floats.
               #[inline(always)]
               pub(crate) fn primal<R: Real>(self, $ba: R, $bb: R) -> R { $bprimal }
           } )+
        rules! { @unary $nname, $nx, $ny, [], $neval, $npartial, $nformula }
        $( rules! { @binary $oname, $oa, $ob, $oz, $oeval, $opa, $opb, $ofa, $ofb } )+
        rules! { @unary_op $nname $($sname)+ $($name)+ }
        rules! { @binary_op $($oname)+ $($bsname)+ $($bname)+ }
    };
    (@unary_op $($name:ident)+) => {
        /// A row of one operand as data, parameters included, for recordings.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(crate) enum UnaryOp<B> { $( $name($name<B>), )+ }
        $( impl<B> From<$name<B>> for UnaryOp<B> {
            fn from(rule: $name<B>) -> Self { Self::$name(rule) }
        } )+
        impl<B: Copy + Send + Sync + std::fmt::Display> UnaryOp<B> {
            pub(crate) fn name(self) -> &'static str {
                match self { $( Self::$name(_) => stringify!($name), )+ }
            }
            /// The parameters as text, in the order of the method's arguments, without the operand.
            pub(crate) fn parameters(self) -> Vec<String> {
                match self { $( Self::$name(rule) => rule.parameters(), )+ }
            }
            pub(crate) fn eval<R: Real<Base = B>>(self, x: R) -> R {
                match self { $( Self::$name(rule) => rule.eval(x), )+ }
            }
            pub(crate) fn partial<R: Real<Base = B>>(self, x: R, y: R) -> R {
                match self { $( Self::$name(rule) => rule.partial(x, y), )+ }
            }
        }
    };
    (@binary_op $($name:ident)+) => {
        /// A row of two operands as data, for recordings.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(crate) enum BinaryOp { $( $name, )+ }
        $( impl From<$name> for BinaryOp {
            fn from(_: $name) -> Self { Self::$name }
        } )+
        impl BinaryOp {
            pub(crate) fn name(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )+ }
            }
            pub(crate) fn eval<R: Real>(self, a: R, b: R) -> R {
                match self { $( Self::$name => BinaryRule::<R::Base>::eval($name, a, b), )+ }
            }
            pub(crate) fn partial_a<R: Real>(self, a: R, b: R, z: R) -> R {
                match self { $( Self::$name => BinaryRule::<R::Base>::partial_a($name, a, b, z), )+ }
            }
            pub(crate) fn partial_b<R: Real>(self, a: R, b: R, z: R) -> R {
                match self { $( Self::$name => BinaryRule::<R::Base>::partial_b($name, a, b, z), )+ }
            }
        }
    };
    (@unary $name:ident, $x:ident, $y:ident, [$($p:ident : $ty:ident),*], $eval:expr, $partial:expr, $formula:expr) => {
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(crate) struct $name<B> { $(pub(crate) $p: $ty,)* base: PhantomData<fn() -> B> }
        impl<B> $name<B> {
            #[inline(always)]
            pub(crate) fn new($($p: $ty),*) -> Self { Self { $($p,)* base: PhantomData } }
        }
        impl<B: std::fmt::Display> $name<B> {
            fn parameters(self) -> Vec<String> { vec![$( self.$p.to_string() ),*] }
        }
        impl<B: Copy + Send + Sync> UnaryRule<B> for $name<B> {
            const NAME: &'static str = stringify!($name);
            const UNIT: bool = is_unit($formula);
            const FINITE: bool = is_finite($formula);
            #[inline(always)]
            fn eval<R: Real<Base = B>>(self, $x: R) -> R {
                let Self { $($p,)* base: _ } = self;
                $eval
            }
            #[inline(always)]
            #[allow(unused_variables)]
            fn partial<R: Real<Base = B>>(self, $x: R, $y: R) -> R {
                let Self { $($p,)* base: _ } = self;
                $partial
            }
        }
    };
    (@binary $name:ident, $a:ident, $b:ident, $z:ident, $eval:expr, $pa:expr, $pb:expr, $fa:expr, $fb:expr) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $name;
        #[allow(unused_variables)]
        impl<Base: Copy> BinaryRule<Base> for $name {
            const NAME: &'static str = stringify!($name);
            const UNIT: [bool; 2] = [is_unit($fa), is_unit($fb)];
            // A product is finite only if its factors are, the partials (unless a zero silences the other one).
            const FINITE: bool = matches!(stringify!($name).as_bytes(), b"mul");
            #[inline(always)]
            fn eval<R: Real<Base = Base>>(self, $a: R, $b: R) -> R { $eval }
            #[inline(always)]
            fn partial_a<R: Real<Base = Base>>(self, $a: R, $b: R, $z: R) -> R { $pa }
            #[inline(always)]
            fn partial_b<R: Real<Base = Base>>(self, $a: R, $b: R, $z: R) -> R { $pb }
        }
    };
}
for_each_row!(rules);

const GELU_SCALE: f64 = 0.797_884_560_802_865_4; // √(2/π)
const GELU_CUBIC: f64 = 0.044_715;

/// ½(1 + tanh u) = sigmoid(2u), where u is the polynomial √(2/π)(x + 0.044715x³) of the row `gelu_tanh`.
#[inline(always)]
fn gelu_gate<R: Real>(x: R) -> R {
    (R::lit(2.0 * GELU_SCALE) * (x + R::lit(GELU_CUBIC) * x * x * x)).sigmoid()
}

/// p/(p² + q²) without overflow; 0 at the origin and for infinite p.
#[inline(always)]
fn turn<R: Real>(p: R, q: R) -> R {
    let r = Float::hypot(p, q);
    if r == R::zero() || p.is_infinite() { R::zero() } else { p / r / r }
}

/// p/r for r = hypot(p, q); 0 at the origin. At infinity it is the limit, in which two infinities count as equal (as in
/// IEEE's `atan2`).
#[inline(always)]
fn cosine<R: Real>(p: R, q: R, r: R) -> R {
    if r == R::zero() {
        R::zero()
    } else if p.is_infinite() {
        sign(p) * if q.is_infinite() { R::FRAC_1_SQRT_2() } else { R::one() }
    } else {
        p / r
    }
}

/// The normal density φ(x) = e^(-x²/2)/√(2π).
#[inline(always)]
fn normal_pdf<R: Real>(x: R) -> R {
    R::lit(0.398_942_280_401_432_7) * Float::exp(R::lit(-0.5) * x * x)
}

/// The partial (cos x - y)/x of y = sinc x. For |x| < 1, where the difference cancels, the series
/// Σ (-1)^k 2k/(2k+1)! x^(2k-1) for k = 1..=9.
#[inline(always)]
fn sinc_partial<R: Real>(x: R, y: R) -> R {
    const SERIES: [f64; 9] = [
        -1.0 / 3.0,
        1.0 / 30.0,
        -1.0 / 840.0,
        1.0 / 45_360.0,
        -1.0 / 3_991_680.0,
        1.0 / 518_918_400.0,
        -1.0 / 93_405_312_000.0,
        1.0 / 22_230_464_256_000.0,
        -1.0 / 6_758_061_133_824_000.0,
    ];
    if x.is_infinite() {
        R::zero()
    } else if x.abs() < R::one() {
        let terms = SERIES.into_iter().rev();
        terms.fold(R::zero(), |sum, c| sum * (x * x) + R::lit(c)) * x
    } else {
        (Float::cos(x) - y) / x
    }
}
