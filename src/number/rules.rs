//! The rules: a type for each row of the [table](super::table), with the function and its partials on any number, and
//! the rows as data for recordings.

#![allow(non_camel_case_types)]

use std::marker::PhantomData;

use num_traits::Float;

use super::real::{Real, gap};
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
    /// True if the result is the length of the operand.
    const LENGTH: bool = false;
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
    /// True if the result is the length of the vector of both operands.
    const LENGTH: bool;
    /// The value z.
    fn eval<R: Real<Base = B>>(self, a: R, b: R) -> R;
    /// dz/da.
    fn partial_a<R: Real<Base = B>>(self, a: R, b: R, z: R) -> R;
    /// dz/db.
    fn partial_b<R: Real<Base = B>>(self, a: R, b: R, z: R) -> R;
}

/// A computation for any row of one operand.
pub(crate) trait UnaryVisitor<B> {
    type Output;
    fn visit(self, rule: impl UnaryRule<B>) -> Self::Output;
}

/// A computation for any row of two operands.
pub(crate) trait BinaryVisitor<B> {
    type Output;
    fn visit(self, rule: impl BinaryRule<B>) -> Self::Output;
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
///
/// The NaN is made of the function's value `y`, which is NaN outside of the domain: a constant NaN would have the
/// derivative 0.
#[inline(always)]
fn within<R: Real>(inside: bool, partial: R, y: R) -> R {
    if inside { partial } else { y * R::nan() }
}

/// The partial of a function that is constant around x: 0, or NaN if x is NaN.
#[inline(always)]
fn flat<R: Real>(x: R) -> R {
    if x.is_nan() { x * R::nan() } else { R::zero() }
}

/// x with 0 for -0, so that 1/x at the end of a domain is the limit from inside. (|x| would have the derivative 0 there.)
#[inline(always)]
fn unsigned_zero<R: Real>(x: R) -> R {
    x + R::zero()
}

/// True if |x| ≥ `bound`: the question which of two forms of one function is the accurate one.
///
/// The base float answers it, so that no recording sees a case, and a number without a value takes the form of `false`,
/// which is the one for print.
#[inline(always)]
pub(super) fn beyond<R: Real>(x: R, bound: f64) -> bool {
    Float::abs(x.to_base()) >= R::Base::lit(bound)
}

/// True if x < `bound`, a question like that of [`beyond`].
#[inline(always)]
fn below<R: Real>(x: R, bound: f64) -> bool {
    x.to_base() < R::Base::lit(bound)
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

/// The partial of `maximum` or `minimum`: [`share`], but NaN if the result is.
#[inline(always)]
fn share_or_nan<R: Real>(wins: bool, tie: bool, z: R) -> R {
    if wins {
        R::one()
    } else if tie {
        R::lit(0.5)
    } else {
        flat(z)
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
        $( rules! { @unary $sname, $sx, $sy, [$($sp: $sty),*], std_value!($sname, $sx $(, lift!($sty, $sp))*), $spartial, $sformula } )+
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
            /// Calls the visitor with the row.
            pub(crate) fn visit<V: UnaryVisitor<B>>(self, visitor: V) -> V::Output {
                match self { $( Self::$name(rule) => visitor.visit(rule), )+ }
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
            /// Calls the visitor with the row.
            pub(crate) fn visit<B: Copy, V: BinaryVisitor<B>>(self, visitor: V) -> V::Output {
                match self { $( Self::$name => visitor.visit($name), )+ }
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
            const LENGTH: bool = matches!($formula.as_bytes(), b"sign x");
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
            const LENGTH: bool = matches!(stringify!($name).as_bytes(), b"hypot");
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

/// A gate between 0 and 1, times x. Where the gate is shut, far below 0 and at -∞, this is -0.
#[inline(always)]
fn through_gate<R: Real>(gate: R, x: R) -> R {
    if gate == R::zero() { -R::zero() } else { gate * x }
}

/// 2u, where u is the polynomial √(2/π)(x + 0.044715x³) of the row `gelu_tanh`; ½(1 + tanh u) is sigmoid(2u).
#[inline(always)]
fn gelu_argument<R: Real>(x: R) -> R {
    R::lit(2.0 * GELU_SCALE) * (x + R::lit(GELU_CUBIC) * x * x * x)
}

/// 1 - x². The product keeps the digits of the value near 1, the square those of the derivative near 0.
#[inline(always)]
fn one_minus_square<R: Real>(x: R) -> R {
    if beyond(x, 0.5) { (R::one() - x) * (R::one() + x) } else { R::one() - x * x }
}

/// The partial 1 - y² of y = tanh x; in the tails, where y rounds to ±1, as e^(-2|x|) (1 + |y|)² (see M28 in
/// docs/MEASUREMENTS.md).
#[inline(always)]
pub(super) fn tanh_slope<R: Real>(x: R, y: R) -> R {
    if beyond(x, 0.5) {
        let a = R::one() + y.abs();
        (R::lit(-2.0) * x.abs()).decay(a * a)
    } else {
        R::one() - y * y
    }
}

/// The partial y (1 - y) of y = sigmoid x; where y rounds to 1, as e^(-x) y². Near 0 the derivative of y (1 - y) would
/// cancel, so that numbers with derivatives use (1 - tanh²(x/2))/4.
#[inline(always)]
fn sigmoid_slope<R: Real>(x: R, y: R) -> R {
    if below(-x, -1.0) {
        (-x).decay(y * y)
    } else if R::CARRIES_DERIVATIVES && below(x.abs(), 1.0) {
        let t = Float::tanh(R::lit(0.5) * x);
        R::lit(0.25) - R::lit(0.25) * (t * t)
    } else {
        y * (R::one() - y)
    }
}

/// The value of a row of `std`: where the accuracy of std's own function has gaps, another form of it for plain floats.
/// Other numbers come back here for their primal.
macro_rules! std_value {
    (asinh, $x:expr) => {
        asinh($x)
    };
    (acosh, $x:expr) => {
        acosh($x)
    };
    (atanh, $x:expr) => {
        atanh($x)
    };
    ($name:ident, $($x:expr),+) => {
        Float::$name($($x),+)
    };
}
use std_value;

/// From here on asinh x and acosh x are ln 2x; std's overflow from half of the largest number on.
const LN_OF_DOUBLE: f64 = 268_435_456.0; // 2²⁸

#[inline(always)]
fn asinh<R: Real>(x: R) -> R {
    if !R::CARRIES_DERIVATIVES && beyond(x, LN_OF_DOUBLE) {
        (Float::ln(x.abs()) + R::LN_2()).copysign(x)
    } else {
        Float::asinh(x)
    }
}

/// std's is the logarithm of a number near 1 if x is near 1.
#[inline(always)]
fn acosh<R: Real>(x: R) -> R {
    if R::CARRIES_DERIVATIVES || below(x, 1.0) {
        Float::acosh(x)
    } else if beyond(x, LN_OF_DOUBLE) {
        Float::ln(x) + R::LN_2()
    } else {
        let t = x - R::one();
        Float::ln_1p(t + (t * (t + R::lit(2.0))).sqrt())
    }
}

/// std's is not odd: near -1 it is the logarithm of a rounded number near 0.
#[inline(always)]
fn atanh<R: Real>(x: R) -> R {
    if R::CARRIES_DERIVATIVES {
        return Float::atanh(x);
    }
    let a = x.abs();
    (R::lit(0.5) * Float::ln_1p((a + a) / (R::one() - a))).copysign(x)
}

/// p/(p² + q²) without overflow; 0 at the origin and for infinite p.
#[inline(always)]
fn turn<R: Real>(p: R, q: R) -> R {
    let r = Float::hypot(p, q);
    if r == R::zero() || p.is_infinite() { R::zero() } else { p / r / r }
}

/// p/r for r = hypot(p, q); 0 at the origin. At infinity it is the limit, in which two infinities count as equal (as in
/// IEEE's `atan2`). If p is the greater one, numbers with derivatives use ±1/√(1 + (q/p)²): the derivative 1/r - p²/r³ of
/// the quotient would cancel.
#[inline(always)]
fn cosine<R: Real>(p: R, q: R, r: R) -> R {
    if r == R::zero() {
        R::zero()
    } else if p.is_infinite() {
        sign(p) * if q.is_infinite() { R::FRAC_1_SQRT_2() } else { R::one() }
    } else if R::CARRIES_DERIVATIVES && Float::abs(p.to_base()) > Float::abs(q.to_base()) {
        sign(p) / Float::hypot(R::one(), q / p)
    } else {
        p / r
    }
}

/// (h, x - h), where h is x rounded to a multiple of 2⁻⁸: few digits, so that its products are exact.
#[inline(always)]
fn split<R: Real>(x: R) -> (R, R) {
    let shift = R::lit(1.5 / 256.0) / R::epsilon();
    let high = (x + shift) - shift;
    (high, x - high)
}

/// e^(-c x²). The rounding error of x², which the exponential would amplify, is computed and taken out.
#[inline(always)]
fn gaussian<R: Real>(c: f64, x: R) -> R {
    let square = x * x;
    let (high, low) = split(x);
    let error = (high * high - square) + low * (x + high);
    let y = Float::exp(R::lit(-c) * square);
    if y == R::zero() { y } else { y - y * (R::lit(c) * error) }
}

/// The normal density φ(x) = e^(-x²/2)/√(2π).
#[inline(always)]
fn normal_pdf<R: Real>(x: R) -> R {
    R::lit(0.398_942_280_401_432_7) * gaussian(0.5, x)
}

/// ½ erfc(-x/√2), where the rounding error of the argument t, which erfc would amplify, is computed and taken out.
#[inline(always)]
fn normal_cdf_primal<R: Special>(x: R) -> R {
    const HIGH: f64 = 181.0 / 256.0; // 1/√2 = HIGH + LOW
    const LOW: f64 = 7.553_118_654_752_44e-5;
    let t = x * -R::FRAC_1_SQRT_2();
    let (high, low) = split(x);
    let error = -((high * R::lit(HIGH) + t) + low * R::lit(HIGH) + x * R::lit(LOW));
    R::lit(0.5) * t.special_erfc_of_sum(error)
}

const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8; // ln √(2π)

/// Below it floats take the continued fraction of [`inverse_mills`].
const MILLS_TAIL: f64 = -4.0;

/// φ(x)/Φ(x). In the lower tail, where φ and Φ vanish, it is Laplace's continued fraction
/// t + 1/(t + 2/(t + 3/(t + ...))) with t = -x. The derivative of the quotient φ/Φ loses digits earlier than its value.
/// The numbers of terms are those after which nothing changes at the ends of the tails.
#[inline(always)]
fn inverse_mills<R: Real>(x: R) -> R {
    let (end, terms) = if R::CARRIES_DERIVATIVES { (-2.0, 124) } else { (MILLS_TAIL, 41) };
    if below(x, end) {
        let t = -x;
        (1..=terms).rev().fold(t, |tail, k| t + R::lit(f64::from(k)) / tail)
    } else {
        normal_pdf(x) / x.normal_cdf()
    }
}

/// sigmoid(a - b). The rounding error of the difference, which the tail amplifies, is computed (Knuth's two-sum) and taken
/// out.
#[inline(always)]
fn sigmoid_of_difference<R: Real>(a: R, b: R) -> R {
    let d = gap(a, b);
    let y = d.sigmoid();
    if !beyond(d, 1.0) || d.is_infinite() {
        return y;
    }
    let from = a - d;
    let error = (a - (d + from)) + (from - b);
    y + y * (error * (R::one() - y))
}

/// The partial ½√π e^(y²) of y = erfinv x. Near the ends of the domain, where the rounding error of y counts, e^(y²) is
/// √(2/π) / h / (1 - |x|), because 1 - |x| = erfc |y|; h is φ/Φ at -√2 |y|.
#[inline(always)]
fn erfinv_partial<R: Real>(x: R, y: R) -> R {
    if !beyond(x, 0.5) {
        return R::lit(0.886_226_925_452_758) / gaussian(1.0, y);
    }
    let rest = R::one() - Float::abs(x);
    let h = if rest == R::zero() { R::one() } else { inverse_mills(-R::SQRT_2() * Float::abs(y)) };
    within(!(rest < R::zero()), R::FRAC_1_SQRT_2() / (unsigned_zero(rest) * h), y)
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
