//! The table of derivative rules.
//!
//! One row holds everything the crate knows of an elementary function: its name and doc line, the
//! primal where `std` has none, the partial, the formula as a reader writes it, an interval on
//! which it is smooth, and edge points with constants from mpmath. From the rows come the trait
//! [`Real`], the methods of [`Var`](crate::Var), [`Dual`](crate::Dual) and
//! [`Tensor`](crate::Tensor), the operations a recording keeps, the rendered tables [`UNARY`] and
//! [`BINARY`], and the tests.
//!
//! # Adding a function
//!
//! Add one row below: to `std` when `num_traits::Float` has the function, to `own` with its
//! `primal` when it has not. Nothing else changes. `x` is the operand, `y` the result, both of the
//! generic type `R: Real`; constants are written `R::lit(0.5)`.
//!
//! # Conventions at special points
//!
//! - A zero cotangent stays zero, whatever the partial: `0 · inf` and `0 · NaN` are 0 in every
//!   pullback, so an inactive branch never poisons an active one.
//! - Outside the domain the value is NaN and so is the partial.
//! - At a kink the partial is a subgradient: `abs'(0) = 0`, `relu'(0) = 0`, `leaky_relu'(0) = slope`.
//!   `clamp` passes the cotangent on the closed interval.
//! - Ties of `max` and `min` split one half to each side, so the partials sum to one. A NaN operand
//!   loses to a number, as in `f64::max`.
//! - `hypot` and every norm have gradient 0 at the origin. `x^0` is constant, also at 0.
//! - Step functions (`floor`, `signum`, ...) have partial 0 everywhere.

#![allow(non_camel_case_types)]
// π, ln 2 and their like stand in the points as mpmath printed them.
#![allow(clippy::approx_constant)]

use std::marker::PhantomData;

use num_traits::Float;

use crate::real::Real;
use crate::special::Special;
use crate::trace::Recorded;

/// A function of one operand: how to evaluate it on any scalar, and its partial.
pub(crate) trait Unary<B>: Copy + Send + Sync {
    /// What a table of a tape's operations calls it.
    const NAME: &'static str;
    /// Whether the partial is 1 or -1 everywhere.
    const UNIT: bool = false;
    /// The function itself, through the method of `R`.
    fn eval<R: Real<Base = B>>(self, x: R) -> R;
    /// dy/dx from the operand `x` and the result `y`.
    fn partial<R: Real<Base = B>>(self, x: R, y: R) -> R;
}

/// A function of two operands; the partials are apart because an operand may be a constant.
pub(crate) trait Binary<B>: Copy + Send + Sync {
    /// For messages.
    const NAME: &'static str;
    /// Whether each partial is 1 or -1 everywhere.
    const UNIT: [bool; 2];
    fn eval<R: Real<Base = B>>(self, a: R, b: R) -> R;
    /// dz/da.
    fn partial_a<R: Real<Base = B>>(self, a: R, b: R, z: R) -> R;
    /// dz/db.
    fn partial_b<R: Real<Base = B>>(self, a: R, b: R, z: R) -> R;
}

/// The sign with `sign(±0) = 0` and `sign(NaN) = NaN`.
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

/// `partial` where `inside` holds, NaN elsewhere.
#[inline(always)]
fn within<R: Real>(inside: bool, partial: R) -> R {
    if inside { partial } else { R::nan() }
}

/// The share of the left operand of `max` (`wins` = it is the greater) and `min`: a tie gives
/// one half to each, a NaN loses to a number.
#[inline(always)]
fn share<R: Real>(wins: bool, mine: R, other: R) -> R {
    if wins {
        R::one()
    } else if mine == other {
        R::lit(0.5)
    } else if other.is_nan() {
        R::one()
    } else {
        R::zero()
    }
}

/// Whether a formula says that a partial is 1 or -1 everywhere.
const fn is_unit(formula: &str) -> bool {
    matches!(formula.as_bytes(), b"1" | b"-1")
}

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// A parameter as an argument of the function: base floats become numbers of the type at hand.
macro_rules! lift {
    (B, $p:expr) => {
        R::from_base($p)
    };
    ($other:ident, $p:expr) => {
        $p
    };
}

/// The tensor method of a row: there `max` and `min` are reductions.
macro_rules! on_tensor {
    (max, $a:ident, $b:ident) => {
        $a.maximum($b)
    };
    (min, $a:ident, $b:ident) => {
        $a.minimum($b)
    };
    ($name:ident, $a:ident, $b:ident) => {
        $a.$name($b)
    };
}

/// One row of [`UNARY`].
#[derive(Debug)]
#[non_exhaustive]
pub struct UnaryRow {
    /// The method's name.
    pub name: &'static str,
    /// The partial dy/dx as a formula in x and y.
    pub formula: &'static str,
    /// An open interval on which the function is smooth.
    pub sample: (f64, f64),
    /// Edge points (x, y, dy/dx), computed by mpmath.
    pub points: &'static [(f64, f64, f64)],
    /// The function on `f64`, parameters as in the row.
    pub on_f64: fn(f64) -> f64,
    /// The function on `f32`.
    pub on_f32: fn(f32) -> f32,
    /// The function on dual numbers.
    pub on_dual: fn(crate::Dual<f64>) -> crate::Dual<f64>,
    /// The function on the tape.
    pub on_var: for<'t> fn(crate::Var<'t, f64>) -> crate::Var<'t, f64>,
    /// The function on the tape in single precision.
    pub on_var_f32: for<'t> fn(crate::Var<'t, f32>) -> crate::Var<'t, f32>,
    /// The function on a tape of dual numbers, forward over reverse.
    pub on_var_dual: for<'t> fn(VarOfDual<'t>) -> VarOfDual<'t>,
    /// The function on numbers that are recorded.
    pub on_recorded: for<'r> fn(Recorded<'r>) -> Recorded<'r>,
    /// The function on the elements of a tensor.
    pub on_tensor: for<'t> fn(TensorOf<'t, f64>) -> TensorOf<'t, f64>,
    /// The function on the elements of a tensor in single precision.
    pub on_tensor_f32: for<'t> fn(TensorOf<'t, f32>) -> TensorOf<'t, f32>,
}

/// One row of [`BINARY`].
#[derive(Debug)]
#[non_exhaustive]
pub struct BinaryRow {
    /// The method's name.
    pub name: &'static str,
    /// The partials dz/da and dz/db as formulas in a, b and z.
    pub formulas: (&'static str, &'static str),
    /// Open intervals for a and b on which the function is smooth.
    pub sample: ((f64, f64), (f64, f64)),
    /// Edge points (a, b, z, dz/da, dz/db), computed by mpmath.
    pub points: &'static [(f64, f64, f64, f64, f64)],
    /// The function on `f64`.
    pub on_f64: fn(f64, f64) -> f64,
    /// The function on `f32`.
    pub on_f32: fn(f32, f32) -> f32,
    /// The function on dual numbers.
    pub on_dual: fn(crate::Dual<f64>, crate::Dual<f64>) -> crate::Dual<f64>,
    /// The function on the tape.
    pub on_var: for<'t> fn(crate::Var<'t, f64>, crate::Var<'t, f64>) -> crate::Var<'t, f64>,
    /// The function on the tape in single precision.
    pub on_var_f32: for<'t> fn(crate::Var<'t, f32>, crate::Var<'t, f32>) -> crate::Var<'t, f32>,
    /// The function on a tape of dual numbers, forward over reverse.
    pub on_var_dual: for<'t> fn(VarOfDual<'t>, VarOfDual<'t>) -> VarOfDual<'t>,
    /// The function on numbers that are recorded.
    pub on_recorded: for<'r> fn(Recorded<'r>, Recorded<'r>) -> Recorded<'r>,
    /// The function on the elements of two tensors.
    pub on_tensor: for<'t> fn(TensorOf<'t, f64>, TensorOf<'t, f64>) -> TensorOf<'t, f64>,
    /// The function on the elements of two tensors in single precision.
    pub on_tensor_f32: for<'t> fn(TensorOf<'t, f32>, TensorOf<'t, f32>) -> TensorOf<'t, f32>,
}

/// The handle that second derivatives are read from.
pub type VarOfDual<'t> = crate::Var<'t, crate::Dual<f64>>;

/// The tensor type of the rows' functions.
pub type TensorOf<'t, F> = crate::Tensor<'t, F, ndarray::Ix1>;

/// Turns the rows into rule types and rendered tables, and defines `for_each_rule!`, which hands
/// doc, formula, name and parameters of each row to the macro of a place that needs methods.
macro_rules! rules {
    (
        unary std { $( $(#[doc = $sdoc:literal])+ fn $sname:ident($sx:ident $(; $sp:ident : $sty:ident = $spv:expr)*) -> $sy:ident {
            partial: $spartial:expr, formula: $sformula:literal, sample: $ssample:expr, points: $spoints:expr $(,)?
        } )+ }
        unary own { $( $(#[doc = $doc:literal])+ fn $name:ident($x:ident $(; $p:ident : $ty:ident = $pv:expr)*) -> $y:ident {
            primal: $primal:expr, partial: $partial:expr, formula: $formula:literal, sample: $sample:expr, points: $points:expr $(,)?
        } )+ }
        binary std { $( $(#[doc = $bsdoc:literal])+ fn $bsname:ident($bsa:ident, $bsb:ident) -> $bsz:ident {
            partials: ($bspa:expr, $bspb:expr), formulas: ($bsfa:literal, $bsfb:literal), sample: $bssample:expr, points: $bspoints:expr $(,)?
        } )+ }
        binary own { $( $(#[doc = $bdoc:literal])+ fn $bname:ident($ba:ident, $bb:ident) -> $bz:ident {
            primal: $bprimal:expr, partials: ($bpa:expr, $bpb:expr), formulas: ($bfa:literal, $bfb:literal), sample: $bsample:expr, points: $bpoints:expr $(,)?
        } )+ }
        unary operator { fn $nname:ident($nx:ident) -> $ny:ident {
            eval: $neval:expr, partial: $npartial:expr, formula: $nformula:literal, sample: $nsample:expr, points: $npoints:expr $(,)?
        } }
        binary operators { $( fn $oname:ident($oa:ident, $ob:ident) -> $oz:ident {
            eval: $oeval:expr, partials: ($opa:expr, $opb:expr), formulas: ($ofa:literal, $ofb:literal), sample: $osample:expr, points: $opoints:expr $(,)?
        } )+ }
    ) => {
        $( rules! { @unary $sname, $sx, $sy, [$($sp: $sty),*], Float::$sname($sx $(, lift!($sty, $sp))*), $spartial, $sformula } )+
        $( rules! { @unary $name, $x, $y, [$($p: $ty),*], $x.$name($($p),*), $partial, $formula }
           impl<B> $name<B> {
               /// The primal, from the operations of a base float.
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
               /// The primal, from the operations of a base float.
               #[inline(always)]
               pub(crate) fn primal<R: Real>(self, $ba: R, $bb: R) -> R { $bprimal }
           } )+
        rules! { @unary $nname, $nx, $ny, [], $neval, $npartial, $nformula }
        $( rules! { @binary $oname, $oa, $ob, $oz, $oeval, $opa, $opb, $ofa, $ofb } )+
        rules! { @unary_op $nname $($sname)+ $($name)+ }
        rules! { @binary_op $($oname)+ $($bsname)+ $($bname)+ }

        /// Every function of one operand.
        ///
        /// | y = f(x) | dy/dx |
        /// |---|---|
        #[doc = concat!("| `", stringify!($nname), "` | ", $nformula, " |")]
        $( #[doc = concat!("| `", stringify!($sname), "` | ", $sformula, " |")] )+
        $( #[doc = concat!("| `", stringify!($name), "` | ", $formula, " |")] )+
        pub const UNARY: &[UnaryRow] = &[
            rules! { @unary_row $nname, $nformula, $nsample, $npoints, [], |$nx| $neval },
            $( rules! { @unary_row $sname, $sformula, $ssample, $spoints, [$($spv),*], |x| x.$sname($($spv),*) }, )+
            $( rules! { @unary_row $name, $formula, $sample, $points, [$($pv),*], |x| x.$name($($pv),*) }, )+
        ];

        /// Every function of two operands.
        ///
        /// | z = f(a, b) | ∂z/∂a | ∂z/∂b |
        /// |---|---|---|
        $( #[doc = concat!("| `", stringify!($oname), "` | ", $ofa, " | ", $ofb, " |")] )+
        $( #[doc = concat!("| `", stringify!($bsname), "` | ", $bsfa, " | ", $bsfb, " |")] )+
        $( #[doc = concat!("| `", stringify!($bname), "` | ", $bfa, " | ", $bfb, " |")] )+
        pub const BINARY: &[BinaryRow] = &[
            $( rules! { @binary_row $oname, $ofa, $ofb, $osample, $opoints, |$oa, $ob| $oeval, |$oa, $ob| $oeval }, )+
            $( rules! { @binary_row $bsname, $bsfa, $bsfb, $bssample, $bspoints, |a, b| a.$bsname(b), |a, b| on_tensor!($bsname, a, b) }, )+
            $( rules! { @binary_row $bname, $bfa, $bfb, $bsample, $bpoints, |a, b| a.$bname(b), |a, b| on_tensor!($bname, a, b) }, )+
        ];

        /// Calls `$emit!` with `[doc] [formula] name(parameters)` of every row but the operators.
        macro_rules! for_each_rule {
            ($emit:ident) => {
                $emit! {
                    unary std { $( [$($sdoc)+] [$sformula] $sname($($sp: $sty),*) )+ }
                    unary own { $( [$($doc)+] [$formula] $name($($p: $ty),*) )+ }
                    binary std { $( [$($bsdoc)+] [$bsfa] [$bsfb] $bsname )+ }
                    binary own { $( [$($bdoc)+] [$bfa] [$bfb] $bname )+ }
                }
            };
        }
    };
    (@unary_op $($name:ident)+) => {
        /// A row of one operand as data, parameters included: what a recording keeps.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(crate) enum UnaryOp<B> { $( $name($name<B>), )+ }
        $( impl<B> From<$name<B>> for UnaryOp<B> {
            fn from(rule: $name<B>) -> Self { Self::$name(rule) }
        } )+
        impl<B: Copy + Send + Sync + std::fmt::Display> UnaryOp<B> {
            pub(crate) fn name(self) -> &'static str {
                match self { $( Self::$name(_) => stringify!($name), )+ }
            }
            /// The parameters as text, in the order of the method's arguments.
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
        /// A row of two operands as data.
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
                match self { $( Self::$name => Binary::<R::Base>::eval($name, a, b), )+ }
            }
            pub(crate) fn partial_a<R: Real>(self, a: R, b: R, z: R) -> R {
                match self { $( Self::$name => Binary::<R::Base>::partial_a($name, a, b, z), )+ }
            }
            pub(crate) fn partial_b<R: Real>(self, a: R, b: R, z: R) -> R {
                match self { $( Self::$name => Binary::<R::Base>::partial_b($name, a, b, z), )+ }
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
        impl<B: Copy + Send + Sync> Unary<B> for $name<B> {
            const NAME: &'static str = stringify!($name);
            const UNIT: bool = is_unit($formula);
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
        impl<Base: Copy> Binary<Base> for $name {
            const NAME: &'static str = stringify!($name);
            const UNIT: [bool; 2] = [is_unit($fa), is_unit($fb)];
            #[inline(always)]
            fn eval<R: Real<Base = Base>>(self, $a: R, $b: R) -> R { $eval }
            #[inline(always)]
            fn partial_a<R: Real<Base = Base>>(self, $a: R, $b: R, $z: R) -> R { $pa }
            #[inline(always)]
            fn partial_b<R: Real<Base = Base>>(self, $a: R, $b: R, $z: R) -> R { $pb }
        }
    };
    (@unary_row $name:ident, $formula:expr, $sample:expr, $points:expr, [$($pv:expr),*], $method:expr) => {
        UnaryRow {
            name: stringify!($name), formula: $formula, sample: $sample, points: &$points,
            on_f64: |x| Unary::<f64>::eval($name::<f64>::new($($pv),*), x),
            on_f32: |x| Unary::<f32>::eval($name::<f32>::new($($pv),*), x),
            on_dual: |x| Unary::<f64>::eval($name::<f64>::new($($pv),*), x),
            on_var: $method,
            on_var_f32: $method,
            on_var_dual: $method,
            on_recorded: $method,
            on_tensor: $method,
            on_tensor_f32: $method,
        }
    };
    (@binary_row $name:ident, $fa:expr, $fb:expr, $sample:expr, $points:expr, $method:expr, $tensor_method:expr) => {
        BinaryRow {
            name: stringify!($name), formulas: ($fa, $fb), sample: $sample, points: &$points,
            on_f64: |a, b| Binary::<f64>::eval($name, a, b),
            on_f32: |a, b| Binary::<f32>::eval($name, a, b),
            on_dual: |a, b| Binary::<f64>::eval($name, a, b),
            on_var: $method,
            on_var_f32: $method,
            on_var_dual: $method,
            on_recorded: $method,
            on_tensor: $tensor_method,
            on_tensor_f32: $tensor_method,
        }
    };
}

rules! {
    unary std {
        /// Reciprocal, 1/x.
        fn recip(x) -> y {
            partial: -(y * y), formula: "-1/x²", sample: (0.3, 3.0),
            points: [
                (0.7, 1.4285714285714286, -2.0408163265306123), (-1.3, -0.7692307692307692, -0.5917159763313609),
                (1e-08, 100000000.0, -1e+16), (1e+100, 1e-100, -1e-200), (0.0, INF, -INF), (-0.0, -INF, -INF),
                (INF, 0.0, -0.0), (-INF, -0.0, -0.0),
            ],
        }
        /// Square root.
        fn sqrt(x) -> y {
            partial: R::lit(0.5) / y.abs(), formula: "1/(2y)", sample: (0.2, 4.0),
            points: [
                (0.7, 0.8366600265340756, 0.5976143046671969), (2.5, 1.5811388300841898, 0.31622776601683794),
                (1e-08, 0.0001, 5000.0), (1e+300, 1e+150, 5e-151), (0.0, 0.0, INF), (-0.0, -0.0, INF),
                (-1.3, NAN, NAN), (INF, INF, 0.0),
            ],
        }
        /// Cube root.
        fn cbrt(x) -> y {
            partial: R::lit(1.0 / 3.0) / (y * y), formula: "1/(3y²)", sample: (0.2, 4.0),
            points: [
                (0.7, 0.8879040017426006, 0.42281142940123845), (-1.3, -1.091392883061106, 0.27984432899002715),
                (1e-08, 0.002154434690031884, 71814.48966772946), (-1e+300, -1e+100, 3.3333333333333335e-201),
                (0.0, 0.0, INF), (-0.0, -0.0, INF), (INF, INF, 0.0), (-INF, -INF, 0.0),
            ],
        }
        /// Absolute value.
        fn abs(x) -> y {
            partial: sign(x), formula: "sign x", sample: (0.1, 4.0),
            points: [
                (0.7, 0.7, 1.0), (-1.3, 1.3, -1.0), (1e-08, 1e-08, 1.0), (-1e+300, 1e+300, -1.0), (0.0, 0.0, 0.0),
                (-0.0, 0.0, 0.0), (INF, INF, 1.0), (-INF, INF, -1.0),
            ],
        }
        /// Sign as `f64::signum` gives it (1 at 0, -1 at -0).
        fn signum(x) -> y {
            partial: R::zero(), formula: "0", sample: (0.1, 4.0),
            points: [
                (0.7, 1.0, 0.0), (-1.3, -1.0, 0.0), (1e-08, 1.0, 0.0), (-1e+300, -1.0, 0.0), (0.0, 1.0, 0.0),
                (-0.0, -1.0, 0.0), (INF, 1.0, 0.0), (-INF, -1.0, 0.0),
            ],
        }
        /// Exponential, e^x.
        fn exp(x) -> y {
            partial: y, formula: "y", sample: (-4.0, 4.0),
            points: [
                (0.7, 2.0137527074704766, 2.0137527074704766), (-1.3, 0.2725317930340126, 0.2725317930340126),
                (1e-08, 1.00000001, 1.00000001), (709.0, 8.218407461554972e+307, 8.218407461554972e+307),
                (710.0, INF, INF), (-745.0, 5e-324, 5e-324), (-800.0, 0.0, 0.0), (0.0, 1.0, 1.0), (-0.0, 1.0, 1.0),
                (INF, INF, INF), (-INF, 0.0, 0.0),
            ],
        }
        /// Power of two, 2^x.
        fn exp2(x) -> y {
            partial: y * R::LN_2(), formula: "y ln 2", sample: (-4.0, 4.0),
            points: [
                (0.7, 1.624504792712471, 1.1260209168747677), (-1.3, 0.40612619817811774, 0.2815052292186919),
                (1e-08, 1.0000000069314718, 0.6931471853644755),
                (1023.0, 8.98846567431158e+307, 6.230329639708919e+307), (-1074.0, 5e-324, 5e-324),
                (0.0, 1.0, 0.6931471805599453), (-0.0, 1.0, 0.6931471805599453), (INF, INF, INF), (-INF, 0.0, 0.0),
            ],
        }
        /// e^x - 1, accurate near 0.
        fn exp_m1(x) -> y {
            partial: y + R::one(), formula: "y + 1", sample: (-4.0, 4.0),
            points: [
                (0.7, 1.0137527074704764, 2.0137527074704766), (-1.3, -0.7274682069659875, 0.2725317930340126),
                (1e-08, 1.0000000050000001e-08, 1.00000001),
                (709.0, 8.218407461554972e+307, 8.218407461554972e+307), (-50.0, -1.0, 1.9287498479639178e-22),
                (-800.0, -1.0, 0.0), (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0), (INF, INF, INF), (-INF, -1.0, 0.0),
            ],
        }
        /// Natural logarithm.
        fn ln(x) -> y {
            partial: within(!(x < R::zero()), x.abs().recip()), formula: "1/x", sample: (0.2, 4.0),
            points: [
                (0.7, -0.35667494393873245, 1.4285714285714286), (2.5, 0.9162907318741551, 0.4), (1.0, 0.0, 1.0),
                (1e-08, -18.420680743952367, 100000000.0), (1e+300, 690.7755278982137, 1e-300), (0.0, -INF, INF),
                (-0.0, -INF, INF), (-1.3, NAN, NAN), (INF, INF, 0.0),
            ],
        }
        /// Logarithm to base 2.
        fn log2(x) -> y {
            partial: within(!(x < R::zero()), R::LOG2_E() / x.abs()), formula: "1/(x ln 2)", sample: (0.2, 4.0),
            points: [
                (0.7, -0.5145731728297583, 2.060992915555662), (2.5, 1.3219280948873624, 0.5770780163555853),
                (8.0, 3.0, 0.18033688011112042), (1e-08, -26.575424759098897, 144269504.08889633),
                (1e+300, 996.5784284662087, 1.4426950408889634e-300), (0.0, -INF, INF), (-0.0, -INF, INF),
                (-1.3, NAN, NAN), (INF, INF, 0.0),
            ],
        }
        /// Logarithm to base 10.
        fn log10(x) -> y {
            partial: within(!(x < R::zero()), R::LOG10_E() / x.abs()), formula: "1/(x ln 10)", sample: (0.2, 4.0),
            points: [
                (0.7, -0.1549019599857432, 0.620420688433217), (2.5, 0.3979400086720376, 0.17371779276130073),
                (1000.0, 3.0, 0.00043429448190325184), (1e-08, -8.0, 43429448.19032518),
                (1e+300, 300.0, 4.342944819032518e-301), (0.0, -INF, INF), (-0.0, -INF, INF), (-1.3, NAN, NAN),
                (INF, INF, 0.0),
            ],
        }
        /// ln(1 + x), accurate near 0.
        fn ln_1p(x) -> y {
            partial: within(!(x < -R::one()), (x + R::one()).recip()), formula: "1/(1 + x)", sample: (-0.8, 4.0),
            points: [
                (0.7, 0.5306282510621704, 0.5882352941176471), (-0.3, -0.35667494393873234, 1.4285714285714286),
                (2.5, 1.252762968495368, 0.2857142857142857), (1e-08, 9.999999950000001e-09, 0.9999999900000001),
                (1e+300, 690.7755278982137, 1e-300), (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0), (-1.0, -INF, INF),
                (-1.3, NAN, NAN), (INF, INF, 0.0),
            ],
        }
        /// Sine; x in radians.
        fn sin(x) -> y {
            partial: Float::cos(x), formula: "cos x", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.644217687237691, 0.7648421872844885), (-1.3, -0.963558185417193, 0.26749882862458735),
                (2.5, 0.5984721441039565, -0.8011436155469337), (1e-08, 1e-08, 1.0),
                (1e+22, -0.8522008497671888, 0.523214785395139), (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0),
                (INF, NAN, NAN), (-INF, NAN, NAN),
            ],
        }
        /// Cosine; x in radians.
        fn cos(x) -> y {
            partial: -Float::sin(x), formula: "-sin x", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.7648421872844885, -0.644217687237691), (-1.3, 0.26749882862458735, 0.963558185417193),
                (2.5, -0.8011436155469337, -0.5984721441039565), (1e-08, 1.0, -1e-08),
                (1e+22, 0.523214785395139, 0.8522008497671888), (0.0, 1.0, -0.0), (-0.0, 1.0, 0.0), (INF, NAN, NAN),
                (-INF, NAN, NAN),
            ],
        }
        /// Tangent; x in radians.
        fn tan(x) -> y {
            partial: y * y + R::one(), formula: "1 + y²", sample: (-1.3, 1.3),
            points: [
                (0.7, 0.8422883804630794, 1.7094497158631172), (-1.3, -3.6021024479679786, 13.975142045656906),
                (2.5, -0.7470222972386603, 1.5580423125717253), (1e-08, 1e-08, 1.0),
                (1.5707963267948966, 1.633123935319537e+16, 2.667093788113571e+32),
                (1e+22, -1.6287782256068988, 3.652918508211158), (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0),
                (INF, NAN, NAN), (-INF, NAN, NAN),
            ],
        }
        /// Arc sine, in radians.
        fn asin(x) -> y {
            partial: ((R::one() - x) * (R::one() + x)).sqrt().recip(), formula: "1/√(1 - x²)", sample: (-0.9, 0.9),
            points: [
                (0.7, 0.775397496610753, 1.4002800840280096), (-0.3, -0.3046926540153975, 1.0482848367219182),
                (1e-08, 1e-08, 1.0), (0.99999999, 1.5706549054381862, 7071.067811777938), (0.0, 0.0, 1.0),
                (-0.0, -0.0, 1.0), (1.0, 1.5707963267948966, INF), (-1.0, -1.5707963267948966, INF),
                (1.5, NAN, NAN), (INF, NAN, NAN),
            ],
        }
        /// Arc cosine, in radians.
        fn acos(x) -> y {
            partial: -((R::one() - x) * (R::one() + x)).sqrt().recip(), formula: "-1/√(1 - x²)", sample: (-0.9, 0.9),
            points: [
                (0.7, 0.7953988301841436, -1.4002800840280096), (-0.3, 1.8754889808102941, -1.0482848367219182),
                (1e-08, 1.5707963167948966, -1.0), (0.99999999, 0.00014142135671046477, -7071.067811777938),
                (0.0, 1.5707963267948966, -1.0), (-0.0, 1.5707963267948966, -1.0), (1.0, 0.0, -INF),
                (-1.0, 3.141592653589793, -INF), (1.5, NAN, NAN), (INF, NAN, NAN),
            ],
        }
        /// Arc tangent, in radians.
        fn atan(x) -> y {
            partial: (x * x + R::one()).recip(), formula: "1/(1 + x²)", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.6107259643892086, 0.6711409395973155), (-1.3, -0.9151007005533605, 0.37174721189591076),
                (1e-08, 1e-08, 0.9999999999999999), (1e+100, 1.5707963267948966, 1e-200),
                (-1e+300, -1.5707963267948966, 0.0), (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0),
                (INF, 1.5707963267948966, 0.0), (-INF, -1.5707963267948966, 0.0),
            ],
        }
        /// Hyperbolic sine.
        fn sinh(x) -> y {
            partial: Float::cosh(x), formula: "cosh x", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.7585837018395335, 1.255169005630943), (-1.3, -1.698382437292616, 1.9709142303266285),
                (1e-08, 1e-08, 1.0), (710.0, 1.1169973830808555e+308, 1.1169973830808555e+308), (-800.0, -INF, INF),
                (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0), (INF, INF, INF), (-INF, -INF, INF),
            ],
        }
        /// Hyperbolic cosine.
        fn cosh(x) -> y {
            partial: Float::sinh(x), formula: "sinh x", sample: (-4.0, 4.0),
            points: [
                (0.7, 1.255169005630943, 0.7585837018395335), (-1.3, 1.9709142303266285, -1.698382437292616),
                (1e-08, 1.0, 1e-08), (710.0, 1.1169973830808555e+308, 1.1169973830808555e+308), (-800.0, INF, -INF),
                (0.0, 1.0, 0.0), (-0.0, 1.0, -0.0), (INF, INF, INF), (-INF, INF, -INF),
            ],
        }
        /// Hyperbolic tangent.
        fn tanh(x) -> y {
            partial: (R::one() - y) * (R::one() + y), formula: "1 - y²", sample: (-3.0, 3.0),
            points: [
                (0.7, 0.6043677771171635, 0.6347395899824586), (-1.3, -0.8617231593133063, 0.257433196703094),
                (1e-08, 1e-08, 0.9999999999999999), (20.0, 1.0, 1.6993417021166355e-17), (800.0, 1.0, 0.0),
                (-800.0, -1.0, 0.0), (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0), (INF, 1.0, 0.0), (-INF, -1.0, 0.0),
            ],
        }
        /// Inverse hyperbolic sine.
        fn asinh(x) -> y {
            partial: Float::hypot(x, R::one()).recip(), formula: "1/√(x² + 1)", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.6526665660823557, 0.8192319205190405), (-1.3, -1.078451058954897, 0.6097107608496923),
                (1e-08, 1e-08, 1.0), (1e+300, 691.4686750787737, 1e-300), (-1e+300, -691.4686750787737, 1e-300),
                (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0), (INF, INF, 0.0), (-INF, -INF, 0.0),
            ],
        }
        /// Inverse hyperbolic cosine.
        fn acosh(x) -> y {
            partial: ((x - R::one()).sqrt() * (x + R::one()).sqrt()).recip(), formula: "1/√(x² - 1)", sample: (1.2, 4.0),
            points: [
                (1.3, 0.7564329108569596, 1.203858530857692), (2.5, 1.566799236972411, 0.4364357804719848),
                (1.00000001, 0.0001414213556897163, 7071.067815674911), (1e+300, 691.4686750787737, 1e-300),
                (1.0, 0.0, INF), (0.7, NAN, NAN), (-1.3, NAN, NAN), (INF, INF, 0.0),
            ],
        }
        /// Inverse hyperbolic tangent.
        fn atanh(x) -> y {
            partial: within(!(x.abs() > R::one()), ((R::one() - x) * (R::one() + x)).recip()), formula: "1/(1 - x²)", sample: (-0.8, 0.8),
            points: [
                (0.7, 0.8673005276940531, 1.96078431372549), (-0.3, -0.3095196042031117, 1.098901098901099),
                (1e-08, 1e-08, 1.0), (0.99999999, 9.556913957243776, 49999999.99876204), (0.0, 0.0, 1.0),
                (-0.0, -0.0, 1.0), (1.0, INF, INF), (-1.0, -INF, INF), (1.5, NAN, NAN), (INF, NAN, NAN),
            ],
        }
        /// Radians to degrees.
        fn to_degrees(x) -> y {
            partial: R::lit(180.0) / R::PI(), formula: "180/π", sample: (-4.0, 4.0),
            points: [
                (0.7, 40.10704565915762, 57.29577951308232), (-1.3, -74.48451336700703, 57.29577951308232),
                (1e-08, 5.729577951308232e-07, 57.29577951308232),
                (1e+300, 5.729577951308232e+301, 57.29577951308232), (0.0, 0.0, 57.29577951308232),
                (-0.0, -0.0, 57.29577951308232), (INF, INF, 57.29577951308232), (-INF, -INF, 57.29577951308232),
            ],
        }
        /// Degrees to radians.
        fn to_radians(x) -> y {
            partial: R::PI() / R::lit(180.0), formula: "π/180", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.012217304763960306, 0.017453292519943295),
                (-1.3, -0.022689280275926284, 0.017453292519943295),
                (90.0, 1.5707963267948966, 0.017453292519943295),
                (1e-08, 1.7453292519943295e-10, 0.017453292519943295),
                (1e+300, 1.7453292519943297e+298, 0.017453292519943295), (0.0, 0.0, 0.017453292519943295),
                (-0.0, -0.0, 0.017453292519943295), (INF, INF, 0.017453292519943295),
                (-INF, -INF, 0.017453292519943295),
            ],
        }
        /// x^n for an integer n.
        fn powi(x; n: i32 = 3) -> y {
            partial: if n == 0 {
                R::zero()
            } else {
                R::lit(f64::from(n)) * if n == i32::MIN { y / x } else { Float::powi(x, n - 1) }
            },
            formula: "n xⁿ⁻¹", sample: (-2.0, 2.0),
            points: [
                (0.7, 0.3429999999999999, 1.4699999999999998), (-1.3, -2.197, 5.07), (2.5, 15.625, 18.75),
                (1e-08, 1.0000000000000001e-24, 3e-16), (1e+100, 1e+300, 3.0000000000000002e+200), (0.0, 0.0, 0.0),
                (-0.0, -0.0, 0.0), (INF, INF, INF), (-INF, -INF, INF),
            ],
        }
        /// x limited to the interval from lo to hi.
        fn clamp(x; lo: B = -1.0; hi: B = 2.0) -> y {
            partial: if x >= R::from_base(lo) && x <= R::from_base(hi) { R::one() } else { R::zero() },
            formula: "1 if lo ≤ x ≤ hi, else 0", sample: (-0.9, 1.9),
            points: [
                (0.7, 0.7, 1.0), (-1.3, -1.0, 0.0), (2.5, 2.0, 0.0), (1e-08, 1e-08, 1.0), (1e+300, 2.0, 0.0),
                (-1.0, -1.0, 1.0), (2.0, 2.0, 1.0), (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0), (INF, 2.0, 0.0),
                (-INF, -1.0, 0.0),
            ],
        }
        /// Greatest integer not above x.
        fn floor(x) -> y {
            partial: R::zero(), formula: "0", sample: (0.1, 0.9),
            points: [
                (0.7, 0.0, 0.0), (-1.3, -2.0, 0.0), (1e-08, 0.0, 0.0), (1e+300, 1e+300, 0.0), (2.0, 2.0, 0.0),
                (-2.0, -2.0, 0.0), (0.0, 0.0, 0.0), (-0.0, -0.0, 0.0), (INF, INF, 0.0), (-INF, -INF, 0.0),
            ],
        }
        /// Least integer not below x.
        fn ceil(x) -> y {
            partial: R::zero(), formula: "0", sample: (0.1, 0.9),
            points: [
                (0.7, 1.0, 0.0), (-1.3, -1.0, 0.0), (1e-08, 1.0, 0.0), (1e+300, 1e+300, 0.0), (2.0, 2.0, 0.0),
                (-2.0, -2.0, 0.0), (-0.3, -0.0, 0.0), (0.0, 0.0, 0.0), (-0.0, -0.0, 0.0), (INF, INF, 0.0),
                (-INF, -INF, 0.0),
            ],
        }
        /// Nearest integer, halves away from 0.
        fn round(x) -> y {
            partial: R::zero(), formula: "0", sample: (0.6, 1.4),
            points: [
                (0.7, 1.0, 0.0), (-1.3, -1.0, 0.0), (1e-08, 0.0, 0.0), (1e+300, 1e+300, 0.0),
                (0.49999999999999994, 0.0, 0.0), (2.5, 3.0, 0.0), (-2.5, -3.0, 0.0), (-0.3, -0.0, 0.0),
                (0.0, 0.0, 0.0), (-0.0, -0.0, 0.0), (INF, INF, 0.0), (-INF, -INF, 0.0),
            ],
        }
        /// Integer part.
        fn trunc(x) -> y {
            partial: R::zero(), formula: "0", sample: (0.1, 0.9),
            points: [
                (0.7, 0.0, 0.0), (-1.3, -1.0, 0.0), (1e-08, 0.0, 0.0), (1e+300, 1e+300, 0.0), (2.0, 2.0, 0.0),
                (-2.0, -2.0, 0.0), (-0.3, -0.0, 0.0), (0.0, 0.0, 0.0), (-0.0, -0.0, 0.0), (INF, INF, 0.0),
                (-INF, -INF, 0.0),
            ],
        }
        /// Fractional part, x - trunc x.
        fn fract(x) -> y {
            partial: R::one(), formula: "1", sample: (0.1, 0.9),
            points: [
                (0.7, 0.7, 1.0), (-1.3, -0.30000000000000004, 1.0), (2.5, 0.5, 1.0), (1e-08, 1e-08, 1.0),
                (1e+300, 0.0, 1.0), (2.0, 0.0, 1.0), (-2.0, 0.0, 1.0), (0.0, 0.0, 1.0), (-0.0, 0.0, 1.0),
                (INF, NAN, 1.0),
            ],
        }
    }
    unary own {
        /// Square, x².
        fn square(x) -> y {
            primal: x * x, partial: x + x, formula: "2x", sample: (-3.0, 3.0),
            points: [
                (0.7, 0.48999999999999994, 1.4), (-1.3, 1.6900000000000002, -2.6),
                (1e-08, 1.0000000000000001e-16, 2e-08), (1e+150, 9.999999999999999e+299, 2e+150), (0.0, 0.0, 0.0),
                (-0.0, 0.0, -0.0), (INF, INF, INF), (-INF, INF, -INF),
            ],
        }
        /// Logistic sigmoid, 1/(1 + e^-x).
        fn sigmoid(x) -> y {
            primal: (R::one() + Float::exp(-x)).recip(),
            partial: y * (R::one() - y), formula: "y (1 - y)", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.668187772168166, 0.22171287329310904), (-1.3, 0.2141650169574414, 0.16829836246906021),
                (1e-08, 0.5000000025, 0.25), (40.0, 1.0, 4.248354255291589e-18), (800.0, 1.0, 0.0),
                (-745.0, 5e-324, 5e-324), (-800.0, 0.0, 0.0), (0.0, 0.5, 0.25), (-0.0, 0.5, 0.25), (INF, 1.0, 0.0),
                (-INF, 0.0, 0.0),
            ],
        }
        /// ln(1 + e^x), without overflow.
        fn softplus(x) -> y {
            primal: Float::max(x, R::zero()) + Float::ln_1p(Float::exp(-Float::abs(x))),
            partial: x.sigmoid(), formula: "sigmoid x", sample: (-4.0, 4.0),
            points: [
                (0.7, 1.103186048885458, 0.668187772168166), (-1.3, 0.2410084538329922, 0.2141650169574414),
                (1e-08, 0.6931471855599454, 0.5000000025), (-40.0, 4.248354255291589e-18, 4.248354255291589e-18),
                (800.0, 800.0, 1.0), (-745.0, 5e-324, 5e-324), (-800.0, 0.0, 0.0), (0.0, 0.6931471805599453, 0.5),
                (-0.0, 0.6931471805599453, 0.5), (INF, INF, 1.0), (-INF, 0.0, 0.0),
            ],
        }
        /// Rectified linear unit, max(x, 0).
        fn relu(x) -> y {
            primal: if x <= R::zero() { R::zero() } else { x },
            partial: if x > R::zero() { R::one() } else { R::zero() },
            formula: "1 if x > 0, else 0", sample: (0.1, 4.0),
            points: [
                (0.7, 0.7, 1.0), (-1.3, 0.0, 0.0), (1e-08, 1e-08, 1.0), (-1e-08, 0.0, 0.0), (1e+300, 1e+300, 1.0),
                (0.0, 0.0, 0.0), (-0.0, 0.0, 0.0), (INF, INF, 1.0), (-INF, 0.0, 0.0),
            ],
        }
        /// x for x > 0, else slope · x.
        fn leaky_relu(x; slope: B = 0.01) -> y {
            primal: if x > R::zero() { x } else { R::from_base(slope) * x },
            partial: if x > R::zero() { R::one() } else { R::from_base(slope) },
            formula: "1 if x > 0, else slope", sample: (0.1, 4.0),
            points: [
                (0.7, 0.7, 1.0), (-1.3, -0.013000000000000001, 0.01), (1e-08, 1e-08, 1.0), (-1e-08, -1e-10, 0.01),
                (1e+300, 1e+300, 1.0), (0.0, 0.0, 0.01), (-0.0, -0.0, 0.01), (INF, INF, 1.0), (-INF, -INF, 0.01),
            ],
        }
        /// x for x > 0, else alpha (e^x - 1).
        fn elu(x; alpha: B = 1.0) -> y {
            primal: if x > R::zero() { x } else { R::from_base(alpha) * Float::exp_m1(x) },
            partial: if x > R::zero() { R::one() } else { y + R::from_base(alpha) },
            formula: "1 if x > 0, else y + alpha", sample: (-4.0, -0.1),
            points: [
                (0.7, 0.7, 1.0), (-1.3, -0.7274682069659875, 0.2725317930340126), (1e-08, 1e-08, 1.0),
                (-1e-08, -9.999999950000001e-09, 0.9999999900000001), (-50.0, -1.0, 1.9287498479639178e-22),
                (800.0, 800.0, 1.0), (-800.0, -1.0, 0.0), (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0), (INF, INF, 1.0),
                (-INF, -1.0, 0.0),
            ],
        }
        /// Gaussian error linear unit x Φ(x), Φ the normal cdf (Hendrycks and Gimpel 2016).
        fn gelu(x) -> y {
            primal: x.normal_cdf().gated_mul(x),
            partial: x.normal_cdf() + normal_pdf(x).gated_mul(x),
            formula: "Φ(x) + x φ(x)", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.5306254434438489, 0.9766141011336599), (-1.3, -0.12584062996129342, -0.12597868507653923),
                (1e-08, 5.000000039894228e-09, 0.5000000079788456),
                (-8.0, -4.976768459417427e-15, -3.979607261086796e-14),
                (-38.0, -1.096462777e-314, -4.1665545693e-313), (800.0, 800.0, 1.0), (-800.0, -0.0, -0.0),
                (0.0, 0.0, 0.5), (-0.0, -0.0, 0.5), (INF, INF, 1.0), (-INF, -0.0, -0.0),
            ],
        }
        /// GELU by its tanh form, ½x(1 + tanh(√(2/π)(x + 0.044715x³))).
        fn gelu_tanh(x) -> y {
            primal: gelu_gate(x).gated_mul(x),
            partial: {
                let gate = gelu_gate(x);
                let slope = R::lit(2.0 * GELU_SCALE) * (R::one() + R::lit(3.0 * GELU_CUBIC) * x * x);
                gate + (gate * (R::one() - gate)).gated_mul(x * slope)
            },
            formula: "g + x g', g = ½(1 + tanh u)", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.5305701347051167, 0.9763572186561039), (-1.3, -0.1260709876826906, -0.12587806978401672),
                (1e-08, 5.000000039894228e-09, 0.5000000079788456),
                (-8.0, -3.1077829375011112e-21, -4.7147845041068414e-20), (800.0, 800.0, 1.0), (-800.0, -0.0, -0.0),
                (0.0, 0.0, 0.5), (-0.0, -0.0, 0.5), (INF, INF, 1.0), (-INF, -0.0, -0.0),
            ],
        }
        /// x sigmoid(x), also called swish.
        fn silu(x) -> y {
            primal: x.sigmoid().gated_mul(x),
            partial: { let s = x.sigmoid(); s + (s * (R::one() - s)).gated_mul(x) },
            formula: "s + x s (1 - s), s = sigmoid x", sample: (-4.0, 4.0),
            points: [
                (0.7, 0.46773144051771626, 0.8233867834733424), (-1.3, -0.2784145220446738, -0.004622854252336921),
                (1e-08, 5.000000025e-09, 0.500000005), (-40.0, -1.6993417021166355e-16, -1.6568581595637197e-16),
                (800.0, 800.0, 1.0), (-800.0, -0.0, -0.0), (0.0, 0.0, 0.5), (-0.0, -0.0, 0.5), (INF, INF, 1.0),
                (-INF, -0.0, -0.0),
            ],
        }
        /// x/(1 + |x|).
        fn softsign(x) -> y {
            primal: { let a = Float::abs(x); if a.is_infinite() { sign(x) } else { x / (R::one() + a) } },
            partial: (R::one() + Float::abs(x)).square().recip(),
            formula: "1/(1 + |x|)²", sample: (0.1, 4.0),
            points: [
                (0.7, 0.4117647058823529, 0.34602076124567477), (-1.3, -0.5652173913043478, 0.1890359168241966),
                (1e-08, 9.999999900000002e-09, 0.9999999800000003), (1e+100, 1.0, 1e-200), (-1e+300, -1.0, 0.0),
                (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0), (INF, 1.0, 0.0), (-INF, -1.0, 0.0),
            ],
        }
        /// ln sigmoid(x), without overflow.
        fn log_sigmoid(x) -> y {
            primal: Float::min(x, R::zero()) - Float::ln_1p(Float::exp(-Float::abs(x))),
            partial: (-x).sigmoid(), formula: "sigmoid(-x)", sample: (-4.0, 4.0),
            points: [
                (0.7, -0.4031860488854579, 0.3318122278318339), (-1.3, -1.5410084538329922, 0.7858349830425586),
                (1e-08, -0.6931471755599453, 0.4999999975), (40.0, -4.248354255291589e-18, 4.248354255291589e-18),
                (800.0, -0.0, 0.0), (-800.0, -800.0, 1.0), (0.0, -0.6931471805599453, 0.5),
                (-0.0, -0.6931471805599453, 0.5), (INF, -0.0, 0.0), (-INF, -INF, 1.0),
            ],
        }
        /// Error function.
        fn erf(x) -> y {
            primal: x.special_erf(),
            partial: R::FRAC_2_SQRT_PI() * Float::exp(-(x * x)), formula: "2/√π e^(-x²)", sample: (-2.0, 2.0),
            points: [
                (0.7, 0.6778011938374184, 0.6912748604105386), (-1.3, -0.9340079449406524, 0.20820798679606967),
                (1e-08, 1.1283791670955126e-08, 1.1283791670955126), (6.0, 1.0, 2.617301239249265e-16),
                (-27.0, -1.0, 2.8299433e-317), (0.0, 0.0, 1.1283791670955126), (-0.0, -0.0, 1.1283791670955126),
                (INF, 1.0, 0.0), (-INF, -1.0, 0.0),
            ],
        }
        /// Complementary error function, 1 - erf x.
        fn erfc(x) -> y {
            primal: x.special_erfc(),
            partial: -R::FRAC_2_SQRT_PI() * Float::exp(-(x * x)), formula: "-2/√π e^(-x²)", sample: (-2.0, 2.0),
            points: [
                (0.7, 0.32219880616258156, -0.6912748604105386), (-1.3, 1.9340079449406524, -0.20820798679606967),
                (1e-08, 0.9999999887162083, -1.1283791670955126),
                (6.0, 2.1519736712498913e-17, -2.617301239249265e-16),
                (26.0, 5.663192408856143e-296, -2.9470349932662697e-294), (-6.0, 2.0, -2.617301239249265e-16),
                (0.0, 1.0, -1.1283791670955126), (-0.0, 1.0, -1.1283791670955126), (INF, 0.0, -0.0),
                (-INF, 2.0, -0.0),
            ],
        }
        /// Standard normal distribution function Φ(x) = ½ erfc(-x/√2).
        fn normal_cdf(x) -> y {
            primal: R::lit(0.5) * (x * -R::FRAC_1_SQRT_2()).special_erfc(),
            partial: normal_pdf(x), formula: "φ(x) = e^(-x²/2)/√(2π)", sample: (-3.0, 3.0),
            points: [
                (0.7, 0.758036347776927, 0.31225393336676127), (-1.3, 0.09680048458561033, 0.17136859204780736),
                (1e-08, 0.5000000039894228, 0.39894228040143265), (9.0, 1.0, 1.0279773571668915e-18),
                (-8.0, 6.220960574271784e-16, 5.052271083536892e-15),
                (-37.0, 5.725571222524577e-300, 2.1200065515246056e-298), (0.0, 0.5, 0.3989422804014327),
                (-0.0, 0.5, 0.3989422804014327), (INF, 1.0, 0.0), (-INF, 0.0, 0.0),
            ],
        }
        /// ln|Γ(x)|.
        fn ln_gamma(x) -> y {
            primal: x.special_ln_gamma(), partial: x.digamma(), formula: "digamma x", sample: (0.3, 5.0),
            points: [
                (0.7, 0.26086724653166654, -1.2200235536979347), (2.5, 0.2846828704729192, 0.7031566406452432),
                (-1.3, 1.2024757863901114, 2.8825405488661673), (-0.5, 1.2655121234846454, 0.03648997397857652),
                (1.0, 0.0, -0.5772156649015329), (2.0, 0.0, 0.42278433509846713),
                (1e-08, 18.42068073818021, -100000000.57721564),
                (1e+100, 2.2925850929940456e+102, 230.25850929940458), (0.0, INF, -INF), (-0.0, INF, INF),
                (-1.0, INF, NAN), (INF, INF, INF),
            ],
        }
        /// Digamma ψ(x) = d/dx ln Γ(x).
        fn digamma(x) -> y {
            primal: x.special_polygamma(0), partial: x.polygamma(1), formula: "polygamma(1, x)", sample: (0.5, 5.0),
            points: [
                (0.7, -1.2200235536979347, 2.834049156694611), (2.5, 0.7031566406452432, 0.49035775610023485),
                (-1.3, 2.8825405488661673, 14.53687624413708), (-0.5, 0.03648997397857652, 8.934802200544679),
                (1.0, -0.5772156649015329, 1.6449340668482264),
                (1e-08, -100000000.57721564, 1.0000000000000002e+16),
                (1000000000000000.0, 34.538776394910684, 1.0000000000000005e-15), (0.0, -INF, INF),
                (-0.0, INF, INF), (-1.0, NAN, NAN), (INF, INF, 0.0),
            ],
        }
        /// The n-th derivative of the digamma function.
        fn polygamma(x; n: u32 = 1) -> y {
            primal: x.special_polygamma(n), partial: x.polygamma(n + 1),
            formula: "polygamma(n + 1, x)", sample: (0.5, 5.0),
            points: [
                (0.7, 2.834049156694611, -6.4349928741909235), (2.5, 0.49035775610023485, -0.2362040516417274),
                (-1.3, 14.53687624413708, 68.54941347116214), (-0.5, 8.934802200544679, -0.82879664423432),
                (1.0, 1.6449340668482264, -2.4041138063191885), (1e-08, 1.0000000000000002e+16, -2e+24),
                (1000000000000000.0, 1.0000000000000005e-15, -1.000000000000001e-30),
                (-30.3, 15.04694902139554, 68.83648985150253), (0.0, INF, -INF), (-0.0, INF, INF), (-1.0, NAN, NAN),
                (INF, 0.0, -0.0),
            ],
        }
        /// sin(x)/x, 1 at 0 (not normalised by π).
        fn sinc(x) -> y {
            primal: if x == R::zero() { R::one() } else if x.is_infinite() { R::zero() } else { Float::sin(x) / x },
            partial: sinc_partial(x, y), formula: "(cos x - y)/x", sample: (0.5, 4.0),
            points: [
                (0.7, 0.9203109817681301, -0.22209827783377378), (-1.3, 0.7411986041670715, 0.36438444272498777),
                (2.5, 0.2393888576415826, -0.4162129892754065), (0.2499, 0.9896241167486737, -0.08278095032695795),
                (0.2501, 0.9896075540164443, -0.08284637163632873), (0.0001, 0.9999999983333333, -3.33333333e-05),
                (1e-08, 1.0, -3.3333333333333334e-09), (1e+22, -8.522008497671888e-23, 5.232147853951389e-23),
                (0.0, 1.0, 0.0), (-0.0, 1.0, 0.0), (INF, 0.0, 0.0), (-INF, 0.0, 0.0),
            ],
        }
    }
    binary std {
        /// Angle of the point (b, a) from the positive axis, in radians.
        fn atan2(a, b) -> z {
            partials: (turn(b, a), -turn(a, b)),
            formulas: ("b/(a² + b²)", "-a/(a² + b²)"), sample: ((0.2, 2.0), (0.2, 2.0)),
            points: [
                (0.7, 2.5, 0.2730087030867106, 0.37091988130563797, -0.10385756676557863),
                (-1.3, 0.7, -1.0768549578753155, 0.3211009174311926, 0.5963302752293578),
                (0.7, -1.3, 2.647651284670212, -0.5963302752293578, -0.3211009174311926),
                (1e-08, 2.5, 4e-09, 0.39999999999999997, -1.6e-09),
                (1e+200, 1e+200, 0.7853981633974483, 5e-201, -5e-201),
                (1e-200, 1e-200, 0.7853981633974483, 5e+199, -5e+199), (0.0, 1.0, 0.0, 1.0, -0.0),
                (0.0, -1.0, 3.141592653589793, -1.0, -0.0), (-0.0, -1.0, -3.141592653589793, -1.0, 0.0),
                (1.0, 0.0, 1.5707963267948966, 0.0, -1.0), (0.0, 0.0, 0.0, 0.0, 0.0),
                (INF, 1.0, 1.5707963267948966, 0.0, -0.0), (1.0, INF, 0.0, 0.0, -0.0),
                (1.0, -INF, 3.141592653589793, -0.0, -0.0),
            ],
        }
        /// √(a² + b²) without overflow.
        fn hypot(a, b) -> z {
            partials: (cosine(a, b, z), cosine(b, a, z)),
            formulas: ("a/z", "b/z"), sample: ((0.2, 2.0), (0.2, 2.0)),
            points: [
                (3.0, 4.0, 5.0, 0.6, 0.8), (0.7, -1.3, 1.47648230602334, 0.4740998230350174, -0.8804710999221753),
                (-1.3, 2.5, 2.817800560721074, -0.4613527366419895, 0.8872168012345951),
                (1e-08, 2.5, 2.5, 4e-09, 1.0),
                (1e+200, 1e+200, 1.414213562373095e+200, 0.7071067811865476, 0.7071067811865476),
                (1e-200, -1e-200, 1.414213562373095e-200, 0.7071067811865476, -0.7071067811865476),
                (0.0, -2.0, 2.0, 0.0, -1.0), (0.0, 0.0, 0.0, 0.0, 0.0), (-0.0, 0.0, 0.0, 0.0, 0.0),
                (INF, 1.0, INF, 1.0, 0.0), (1.0, -INF, INF, 0.0, -1.0),
            ],
        }
        /// a^b.
        fn powf(a, b) -> z {
            partials: (
                b.gated_mul(Float::powf(a, b - R::one())),
                if a == R::zero() && b >= R::zero() { R::zero() } else { z.gated_mul(Float::ln(a)) }
            ),
            formulas: ("b a^(b-1)", "z ln a"), sample: ((0.2, 2.0), (-2.0, 2.0)),
            points: [
                (0.7, 2.5, 0.409963413001697, 1.464155046434632, -0.1462236773493117),
                (2.5, -1.3, 0.30386311717294956, -0.15800882092993376, 0.27842695802396406),
                (1e-08, 0.5, 0.0001, 5000.0, -0.0018420680743952366),
                (1e+100, 2.5, 1.0000000000000001e+250, 2.5e+150, 2.302585092994046e+252), (1.0, 5.0, 1.0, 5.0, 0.0),
                (0.7, 0.0, 1.0, 0.0, -0.35667494393873245), (0.0, 2.5, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 1.0, 0.0),
                (0.0, 0.5, 0.0, INF, 0.0), (0.0, 0.0, 1.0, 0.0, 0.0), (0.0, -1.0, INF, -INF, -INF),
                (-2.0, 3.0, -8.0, 12.0, NAN), (-1.3, 0.0, 1.0, 0.0, NAN), (-2.0, 0.5, NAN, NAN, NAN),
                (INF, 2.0, INF, INF, INF), (2.0, INF, INF, INF, INF), (0.5, INF, 0.0, 0.0, -0.0),
            ],
        }
        /// Logarithm of a to base b.
        fn log(a, b) -> z {
            partials: (within(!(a < R::zero()), (a * Float::ln(b)).recip()), -z / (b * Float::ln(b))),
            formulas: ("1/(a ln b)", "-z/(b ln b)"), sample: ((0.2, 4.0), (1.5, 4.0)),
            points: [
                (8.0, 2.0, 3.0, 0.18033688011112042, -2.1640425613334453),
                (0.7, 2.5, -0.3892595783536953, 1.5590809541961308, 0.16992841455790555),
                (2.5, 0.7, -2.5689798160634187, -1.1214693008228513, -10.289399993388072),
                (1e-08, 10.0, -8.0, 43429448.19032518, 0.34743558552260145),
                (1e+300, 10.0, 300.0, 4.342944819032518e-301, -13.028834457097554),
                (1.0, 2.0, 0.0, 1.4426950408889634, -0.0), (0.0, 2.0, -INF, INF, INF), (0.0, 0.5, INF, -INF, INF),
                (-1.3, 2.0, NAN, NAN, NAN), (2.0, -1.3, NAN, NAN, NAN), (INF, 2.0, INF, 0.0, -INF),
            ],
        }
        /// The greater operand; a NaN operand loses.
        fn max(a, b) -> z {
            partials: (share(a > b, a, b), share(b > a, b, a)),
            formulas: ("1 if a > b, ½ if a = b, else 0", "1 if b > a, ½ if a = b, else 0"),
            sample: ((1.0, 2.0), (-2.0, 0.5)),
            points: [
                (0.7, 2.5, 2.5, 0.0, 1.0), (0.7, -1.3, 0.7, 1.0, 0.0), (1e-08, -1e-08, 1e-08, 1.0, 0.0),
                (1e+300, 1.0, 1e+300, 1.0, 0.0), (1.0, 1.0, 1.0, 0.5, 0.5), (0.0, -0.0, 0.0, 0.5, 0.5),
                (NAN, 1.0, 1.0, 0.0, 1.0), (1.0, NAN, 1.0, 1.0, 0.0), (INF, 1.0, INF, 1.0, 0.0),
                (-INF, 1.0, 1.0, 0.0, 1.0), (INF, INF, INF, 0.5, 0.5),
            ],
        }
        /// The lesser operand; a NaN operand loses.
        fn min(a, b) -> z {
            partials: (share(a < b, a, b), share(b < a, b, a)),
            formulas: ("1 if a < b, ½ if a = b, else 0", "1 if b < a, ½ if a = b, else 0"),
            sample: ((1.0, 2.0), (-2.0, 0.5)),
            points: [
                (0.7, 2.5, 0.7, 1.0, 0.0), (0.7, -1.3, -1.3, 0.0, 1.0), (1e-08, -1e-08, -1e-08, 0.0, 1.0),
                (1e+300, 1.0, 1.0, 0.0, 1.0), (1.0, 1.0, 1.0, 0.5, 0.5), (0.0, -0.0, -0.0, 0.5, 0.5),
                (NAN, 1.0, 1.0, 0.0, 1.0), (1.0, NAN, 1.0, 1.0, 0.0), (INF, 1.0, 1.0, 0.0, 1.0),
                (-INF, 1.0, -INF, 1.0, 0.0), (-INF, -INF, -INF, 0.5, 0.5),
            ],
        }
        /// |a| with the sign of b.
        fn copysign(a, b) -> z {
            partials: (sign(a) * b.signum(), R::zero()),
            formulas: ("sign a sign b", "0"), sample: ((0.2, 2.0), (0.2, 2.0)),
            points: [
                (0.7, 2.5, 0.7, 1.0, 0.0), (0.7, -1.3, -0.7, -1.0, 0.0), (-1.3, 2.5, 1.3, -1.0, 0.0),
                (-1.3, -0.7, -1.3, 1.0, 0.0), (1e-08, -1e+300, -1e-08, -1.0, 0.0), (0.0, -1.0, -0.0, 0.0, 0.0),
                (-0.0, 1.0, 0.0, 0.0, 0.0), (0.7, 0.0, 0.7, 1.0, 0.0), (0.7, -0.0, -0.7, -1.0, 0.0),
                (INF, -1.0, -INF, -1.0, 0.0), (-INF, 1.0, INF, -1.0, 0.0), (0.7, -INF, -0.7, -1.0, 0.0),
            ],
        }
    }
    binary own {
        /// a ln b, 0 where a is 0.
        fn xlogy(a, b) -> z {
            primal: if a == R::zero() && !b.is_nan() { a } else { a * Float::ln(b) },
            partials: (Float::ln(b), if a == R::zero() && b == R::zero() { a } else { within(a == R::zero() || !(b < R::zero()), a / b) }),
            formulas: ("ln b", "a/b"), sample: ((0.2, 2.0), (0.2, 2.0)),
            points: [
                (0.7, 2.5, 0.6414035123119085, 0.9162907318741551, 0.27999999999999997),
                (-1.3, 0.7, 0.4636774271203522, -0.35667494393873245, -1.8571428571428574),
                (1e-08, 1e-08, -1.8420680743952367e-07, -18.420680743952367, 1.0),
                (1e+300, 1e-08, -1.8420680743952366e+301, -18.420680743952367, 1e+308),
                (1e-300, 1e-310, -7.138013788281542e-298, -713.8013788281542, 10000000000.00003),
                (0.0, 2.5, 0.0, 0.9162907318741551, 0.0), (0.0, 0.0, 0.0, -INF, 0.0), (2.0, 0.0, -INF, -INF, INF),
                (2.0, -1.3, NAN, NAN, NAN), (2.5, INF, INF, INF, 0.0), (0.0, INF, 0.0, INF, 0.0),
            ],
        }
        /// a b, in which an exact 0 wins over infinity and NaN.
        fn gated_mul(a, b) -> z {
            primal: if a == R::zero() || b == R::zero() { R::zero() } else { a * b },
            partials: (b, a), formulas: ("b", "a"), sample: ((-2.0, 2.0), (-2.0, 2.0)),
            points: [
                (0.7, 2.5, 1.75, 2.5, 0.7), (-1.3, 0.7, -0.9099999999999999, 0.7, -1.3),
                (1e+200, 1e+200, INF, 1e+200, 1e+200), (0.0, 2.5, 0.0, 2.5, 0.0), (0.0, INF, 0.0, INF, 0.0),
                (-0.0, INF, 0.0, INF, -0.0), (INF, 0.0, 0.0, 0.0, INF), (0.0, NAN, 0.0, NAN, 0.0),
                (NAN, 0.0, 0.0, 0.0, NAN), (INF, 2.0, INF, 2.0, INF), (NAN, 2.0, NAN, 2.0, NAN),
            ],
        }
    }
    unary operator {
        fn neg(x) -> y {
            eval: -x, partial: -R::one(), formula: "-1", sample: (-2.0, 2.0),
            points: [
                (0.7, -0.7, -1.0), (-1.3, 1.3, -1.0), (1e-08, -1e-08, -1.0), (1e+300, -1e+300, -1.0),
                (0.0, -0.0, -1.0), (-0.0, 0.0, -1.0), (INF, -INF, -1.0), (-INF, INF, -1.0),
            ],
        }
    }
    binary operators {
        fn add(a, b) -> z {
            eval: a + b, partials: (R::one(), R::one()), formulas: ("1", "1"), sample: ((-2.0, 2.0), (-2.0, 2.0)),
            points: [
                (0.7, 2.5, 3.2, 1.0, 1.0), (0.7, -1.3, -0.6000000000000001, 1.0, 1.0),
                (1e-08, 100000000.0, 100000000.00000001, 1.0, 1.0), (1e+300, -1e+300, 0.0, 1.0, 1.0),
                (0.0, -0.0, 0.0, 1.0, 1.0), (INF, 1.0, INF, 1.0, 1.0), (INF, -INF, NAN, 1.0, 1.0),
            ],
        }
        fn sub(a, b) -> z {
            eval: a - b, partials: (R::one(), -R::one()), formulas: ("1", "-1"), sample: ((-2.0, 2.0), (-2.0, 2.0)),
            points: [
                (0.7, 2.5, -1.8, 1.0, -1.0), (0.7, -1.3, 2.0, 1.0, -1.0),
                (1e-08, 100000000.0, -99999999.99999999, 1.0, -1.0), (1e+300, 1e+300, 0.0, 1.0, -1.0),
                (-0.0, 0.0, -0.0, 1.0, -1.0), (INF, 1.0, INF, 1.0, -1.0), (INF, INF, NAN, 1.0, -1.0),
            ],
        }
        fn mul(a, b) -> z {
            eval: a * b, partials: (b, a), formulas: ("b", "a"), sample: ((-2.0, 2.0), (-2.0, 2.0)),
            points: [
                (0.7, 2.5, 1.75, 2.5, 0.7), (0.7, -1.3, -0.9099999999999999, -1.3, 0.7),
                (1e-08, 100000000.0, 1.0, 100000000.0, 1e-08), (1e+200, 1e+200, INF, 1e+200, 1e+200),
                (0.0, 2.5, 0.0, 2.5, 0.0), (0.0, -0.0, -0.0, -0.0, 0.0), (INF, 2.0, INF, 2.0, INF),
                (INF, 0.0, NAN, 0.0, INF),
            ],
        }
        fn div(a, b) -> z {
            eval: a / b, partials: (b.recip(), -z / b), formulas: ("1/b", "-z/b"), sample: ((-2.0, 2.0), (0.3, 2.0)),
            points: [
                (0.7, 2.5, 0.27999999999999997, 0.4, -0.11199999999999999),
                (0.7, -1.3, -0.5384615384615384, -0.7692307692307692, -0.4142011834319526),
                (1e-08, 100000000.0, 1e-16, 1e-08, -1.0000000000000001e-24), (1e+200, 1e+200, 1.0, 1e-200, -1e-200),
                (1e-200, 1e-200, 1.0, 1e+200, -1e+200), (0.0, 2.0, 0.0, 0.5, -0.0), (1.0, 0.0, INF, INF, -INF),
                (-1.0, 0.0, -INF, INF, INF), (1.0, -0.0, -INF, -INF, -INF), (0.0, 0.0, NAN, INF, NAN),
                (INF, 2.0, INF, 0.5, -INF), (1.0, INF, 0.0, 0.0, -0.0),
            ],
        }
        fn rem(a, b) -> z {
            eval: a % b, partials: (R::one(), -Float::round((a - z) / b)), formulas: ("1", "-trunc(a/b)"), sample: ((2.1, 2.8), (0.95, 1.0)),
            points: [
                (5.3, 2.0, 1.2999999999999998, 1.0, -2.0), (-5.3, 2.0, -1.2999999999999998, 1.0, 2.0),
                (5.3, -2.0, 1.2999999999999998, 1.0, 2.0), (1.0, 0.1, 0.09999999999999995, 1.0, -9.0),
                (1e+17, 3.0, 1.0, 1.0, -3.3333333333333332e+16), (0.7, 2.5, 0.7, 1.0, -0.0),
                (6.0, 2.0, 0.0, 1.0, -3.0), (-6.0, 2.0, -0.0, 1.0, 3.0), (0.0, 2.5, 0.0, 1.0, -0.0),
                (0.7, INF, 0.7, 1.0, -0.0),
            ],
        }
    }
}

const GELU_SCALE: f64 = 0.797_884_560_802_865_4; // √(2/π)
const GELU_CUBIC: f64 = 0.044_715;

/// ½(1 + tanh u) = sigmoid(2u), u the inner polynomial of the tanh form of GELU.
#[inline(always)]
fn gelu_gate<R: Real>(x: R) -> R {
    (R::lit(2.0 * GELU_SCALE) * (x + R::lit(GELU_CUBIC) * x * x * x)).sigmoid()
}

/// p/(p² + q²) without overflow, 0 at the origin and in the limit of infinite p.
#[inline(always)]
fn turn<R: Real>(p: R, q: R) -> R {
    let r = Float::hypot(p, q);
    if r == R::zero() || p.is_infinite() { R::zero() } else { p / r / r }
}

/// p/r for r = hypot(p, q), 0 at the origin. At infinity the limit, with two infinities counting as
/// equal (as in IEEE's `atan2`).
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

/// φ(x) = e^(-x²/2)/√(2π).
#[inline(always)]
fn normal_pdf<R: Real>(x: R) -> R {
    R::lit(0.398_942_280_401_432_7) * Float::exp(R::lit(-0.5) * x * x)
}

/// (cos x - y)/x; below 1, where the difference cancels, Σ (-1)^k 2k/(2k+1)! x^(2k-1) for k = 1..=9.
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

pub(crate) use for_each_rule;
