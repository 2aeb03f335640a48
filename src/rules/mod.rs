//! The table of derivative rules: every elementary function, its derivative, and the conventions at special
//! points.
//!
//! One row holds everything that the crate knows about an elementary function. The rows generate the trait
//! [`Real`](crate::Real), the methods of [`Var`], [`Dual`] and
//! [`Tensor`], the operations of a [`Recording`](crate::trace::Recording), the tables [`UNARY`] and
//! [`BINARY`] on this page, and the tests.
//!
//! - Outside the domain of a function, its value and its derivatives of every order are NaN.
//! - A NaN operand gives NaN, as value and as partial. Exceptions are partials that are the same everywhere (`add`,
//!   `fract`), `x^0`, `gated_mul` and `max`.
//! - At the closed end of a domain, a derivative is the limit from inside: `sqrt` at 0 has the derivatives ∞ and -∞.
//! - Partials keep their relative accuracy where the value rounds to a constant: `sigmoid'(40)` is 4.2e-18. A function
//!   that underflows has no logarithm, and nothing is fused: ln Φ(x) in the tail is `log_normal_cdf`, not
//!   `normal_cdf` and `ln`; ln sigmoid(x) is `log_sigmoid`.
//! - At a kink the partial is a subgradient: `abs'(0) = 0`, `relu'(0) = 0`, `leaky_relu'(0) = slope`.
//!   `clamp` passes the cotangent on the closed interval.
//! - A second derivative through a kink is that of the convention for the first one. Lengths are an exception on a
//!   tape: the squares of `abs`, `hypot` and every norm have the Hessian 2I at the origin, for [`hessian`](crate::hessian),
//!   [`hvp`](crate::hvp) and their like. Dual numbers over dual numbers give 0 there: write `x.square()`, which has no
//!   kink.
//! - At a tie of `max` or `min`, each partial is one half, so the partials sum to one. A NaN operand
//!   loses to a number, because these two are methods of `num_traits::Float` and have to be `f64::max`. Everywhere else NaN
//!   wins, as in IEEE 754-2019, numpy, PyTorch and JAX: in `maximum`, `minimum`, `relu` and `clamp`, and in the reductions
//!   (`Tensor::max`, `max_axis`, `max_pool2d`, ...), of which an element that is NaN makes value and partials NaN.
//! - `hypot` and every norm have gradient 0 at the origin. `x^0` is constant, also at 0.
//! - Step functions (`floor`, `signum`, ...) have partial 0 everywhere, but NaN at NaN.
//!
//! In the source, this room is the public page alone: the rows are in `number::table`.

#![allow(non_camel_case_types)]
// The edge points hold π, ln 2 and other constants as mpmath printed them.
#![allow(clippy::approx_constant)]

use crate::number::Dual;
use crate::number::rules::{self, BinaryRule, UnaryRule};
use crate::number::table::for_each_row;
use crate::recording::Recorded;
use crate::scalar::{StaticVar, Var};
use crate::tensor::Tensor;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// The tensor method of a binary row. As methods of a tensor `max` and `min` are reductions.
macro_rules! on_tensor {
    (max, $a:ident, $b:ident) => {
        $a.apply2(rules::max, $b)
    };
    (min, $a:ident, $b:ident) => {
        $a.apply2(rules::min, $b)
    };
    ($name:ident, $a:ident, $b:ident) => {
        $a.$name($b)
    };
}

/// One row of [`UNARY`].
#[derive(Debug)]
#[non_exhaustive]
pub struct UnaryRow {
    /// The name of the method.
    pub name: &'static str,
    /// The partial dy/dx as a formula in x and y.
    pub formula: &'static str,
    /// An open interval on which the function is smooth.
    pub sample: (f64, f64),
    /// Edge points (x, y, dy/dx), computed with mpmath.
    pub points: &'static [(f64, f64, f64)],
    // The functions below exist so that the tests can run every row on every number type.
    /// The function on `f64`, with the row's parameters.
    #[doc(hidden)]
    pub on_f64: fn(f64) -> f64,
    /// The function on `f32`.
    #[doc(hidden)]
    pub on_f32: fn(f32) -> f32,
    /// The function on dual numbers.
    #[doc(hidden)]
    pub on_dual: fn(Dual<f64>) -> Dual<f64>,
    /// The function on the tape.
    #[doc(hidden)]
    pub on_var: for<'t> fn(Var<'t, f64>) -> Var<'t, f64>,
    /// The function on the tape in single precision.
    #[doc(hidden)]
    pub on_var_f32: for<'t> fn(Var<'t, f32>) -> Var<'t, f32>,
    /// The function on static handles.
    #[doc(hidden)]
    pub on_static: fn(StaticVar) -> StaticVar,
    /// The function on static handles of dual numbers in single precision.
    #[doc(hidden)]
    pub on_static_dual_f32: fn(StaticOfDual) -> StaticOfDual,
    /// The function on a tape of dual numbers, forward over reverse.
    #[doc(hidden)]
    pub on_var_dual: for<'t> fn(VarOfDual<'t>) -> VarOfDual<'t>,
    /// The function on a tape of dual numbers in single precision.
    #[doc(hidden)]
    pub on_var_dual_f32: for<'t> fn(VarOfDual<'t, f32>) -> VarOfDual<'t, f32>,
    /// The function on recorded numbers.
    #[doc(hidden)]
    pub on_recorded: for<'r> fn(Recorded<'r>) -> Recorded<'r>,
    /// The function on recorded numbers in single precision.
    #[doc(hidden)]
    pub on_recorded_f32: for<'r> fn(Recorded<'r, f32>) -> Recorded<'r, f32>,
    /// The function on the elements of a tensor.
    #[doc(hidden)]
    pub on_tensor: for<'t> fn(TensorOf<'t, f64>) -> TensorOf<'t, f64>,
    /// The function on the elements of a tensor in single precision.
    #[doc(hidden)]
    pub on_tensor_f32: for<'t> fn(TensorOf<'t, f32>) -> TensorOf<'t, f32>,
    /// The function on the elements of a tensor of dual numbers.
    #[doc(hidden)]
    pub on_tensor_dual: for<'t> fn(TensorOfDual<'t>) -> TensorOfDual<'t>,
}

/// One row of [`BINARY`].
#[derive(Debug)]
#[non_exhaustive]
pub struct BinaryRow {
    /// The name of the method.
    pub name: &'static str,
    /// The partials dz/da and dz/db as formulas in a, b and z.
    pub formulas: (&'static str, &'static str),
    /// Open intervals for a and b on which the function is smooth.
    pub sample: ((f64, f64), (f64, f64)),
    /// Edge points (a, b, z, dz/da, dz/db), computed with mpmath.
    pub points: &'static [(f64, f64, f64, f64, f64)],
    // The functions below exist so that the tests can run every row on every number type.
    /// The function on `f64`.
    #[doc(hidden)]
    pub on_f64: fn(f64, f64) -> f64,
    /// The function on `f32`.
    #[doc(hidden)]
    pub on_f32: fn(f32, f32) -> f32,
    /// The function on dual numbers.
    #[doc(hidden)]
    pub on_dual: fn(Dual<f64>, Dual<f64>) -> Dual<f64>,
    /// The function on the tape.
    #[doc(hidden)]
    pub on_var: for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>,
    /// The function on the tape in single precision.
    #[doc(hidden)]
    pub on_var_f32: for<'t> fn(Var<'t, f32>, Var<'t, f32>) -> Var<'t, f32>,
    /// The function on static handles.
    #[doc(hidden)]
    pub on_static: fn(StaticVar, StaticVar) -> StaticVar,
    /// The function on static handles of dual numbers in single precision.
    #[doc(hidden)]
    pub on_static_dual_f32: fn(StaticOfDual, StaticOfDual) -> StaticOfDual,
    /// The function on a tape of dual numbers, forward over reverse.
    #[doc(hidden)]
    pub on_var_dual: for<'t> fn(VarOfDual<'t>, VarOfDual<'t>) -> VarOfDual<'t>,
    /// The function on a tape of dual numbers in single precision.
    #[doc(hidden)]
    pub on_var_dual_f32: for<'t> fn(VarOfDual<'t, f32>, VarOfDual<'t, f32>) -> VarOfDual<'t, f32>,
    /// The function on recorded numbers.
    #[doc(hidden)]
    pub on_recorded: for<'r> fn(Recorded<'r>, Recorded<'r>) -> Recorded<'r>,
    /// The function on recorded numbers in single precision.
    #[doc(hidden)]
    pub on_recorded_f32: for<'r> fn(Recorded<'r, f32>, Recorded<'r, f32>) -> Recorded<'r, f32>,
    /// The function on the elements of two tensors.
    #[doc(hidden)]
    pub on_tensor: for<'t> fn(TensorOf<'t, f64>, TensorOf<'t, f64>) -> TensorOf<'t, f64>,
    /// The function on the elements of two tensors in single precision.
    #[doc(hidden)]
    pub on_tensor_f32: for<'t> fn(TensorOf<'t, f32>, TensorOf<'t, f32>) -> TensorOf<'t, f32>,
    /// The function on the elements of two tensors of dual numbers.
    #[doc(hidden)]
    pub on_tensor_dual: for<'t> fn(TensorOfDual<'t>, TensorOfDual<'t>) -> TensorOfDual<'t>,
}

/// A variable on a tape of dual numbers. Exists for the tests that run every row on this type.
#[doc(hidden)]
pub type VarOfDual<'t, F = f64> = Var<'t, Dual<F>>;

/// A static handle of dual numbers. Exists for the tests that run every row on this type.
#[doc(hidden)]
pub type StaticOfDual = StaticVar<Dual<f32>>;

/// A tensor with one axis. Exists for the tests that run every row on this type.
#[doc(hidden)]
pub type TensorOf<'t, F> = Tensor<'t, F, ndarray::Ix1>;

/// A tensor with one axis on a tape of dual numbers. Exists for the tests that run every row on this type.
#[doc(hidden)]
pub type TensorOfDual<'t> = TensorOf<'t, Dual<f64>>;

/// Turns the rows into [`UNARY`] and [`BINARY`], with a table of formulas as their documentation.
macro_rules! tables {
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
        /// Every function of one operand.
        ///
        /// | y = f(x) | dy/dx |
        /// |---|---|
        #[doc = concat!("| `", stringify!($nname), "` | ", $nformula, " |")]
        $( #[doc = concat!("| `", stringify!($sname), "` | ", $sformula, " |")] )+
        $( #[doc = concat!("| `", stringify!($name), "` | ", $formula, " |")] )+
        pub const UNARY: &[UnaryRow] = &[
            tables! { @unary_row $nname, $nformula, $nsample, $npoints, [], |$nx| $neval },
            $( tables! { @unary_row $sname, $sformula, $ssample, $spoints, [$($spv),*], |x| x.$sname($($spv),*) }, )+
            $( tables! { @unary_row $name, $formula, $sample, $points, [$($pv),*], |x| x.$name($($pv),*) }, )+
        ];

        /// Every function of two operands.
        ///
        /// | z = f(a, b) | ∂z/∂a | ∂z/∂b |
        /// |---|---|---|
        $( #[doc = concat!("| `", stringify!($oname), "` | ", $ofa, " | ", $ofb, " |")] )+
        $( #[doc = concat!("| `", stringify!($bsname), "` | ", $bsfa, " | ", $bsfb, " |")] )+
        $( #[doc = concat!("| `", stringify!($bname), "` | ", $bfa, " | ", $bfb, " |")] )+
        pub const BINARY: &[BinaryRow] = &[
            $( tables! { @binary_row $oname, $ofa, $ofb, $osample, $opoints, |$oa, $ob| $oeval, |$oa, $ob| $oeval }, )+
            $( tables! { @binary_row $bsname, $bsfa, $bsfb, $bssample, $bspoints, |a, b| a.$bsname(b), |a, b| on_tensor!($bsname, a, b) }, )+
            $( tables! { @binary_row $bname, $bfa, $bfb, $bsample, $bpoints, |a, b| a.$bname(b), |a, b| on_tensor!($bname, a, b) }, )+
        ];
    };
    (@unary_row $name:ident, $formula:expr, $sample:expr, $points:expr, [$($pv:expr),*], $method:expr) => {
        UnaryRow {
            name: stringify!($name), formula: $formula, sample: $sample, points: &$points,
            on_f64: |x| UnaryRule::<f64>::eval(rules::$name::<f64>::new($($pv),*), x),
            on_f32: |x| UnaryRule::<f32>::eval(rules::$name::<f32>::new($($pv),*), x),
            on_dual: |x| UnaryRule::<f64>::eval(rules::$name::<f64>::new($($pv),*), x),
            on_var: $method,
            on_var_f32: $method,
            on_static: $method,
            on_static_dual_f32: $method,
            on_var_dual: $method,
            on_var_dual_f32: $method,
            on_recorded: $method,
            on_recorded_f32: $method,
            on_tensor: $method,
            on_tensor_f32: $method,
            on_tensor_dual: $method,
        }
    };
    (@binary_row $name:ident, $fa:expr, $fb:expr, $sample:expr, $points:expr, $method:expr, $tensor_method:expr) => {
        BinaryRow {
            name: stringify!($name), formulas: ($fa, $fb), sample: $sample, points: &$points,
            on_f64: |a, b| BinaryRule::<f64>::eval(rules::$name, a, b),
            on_f32: |a, b| BinaryRule::<f32>::eval(rules::$name, a, b),
            on_dual: |a, b| BinaryRule::<f64>::eval(rules::$name, a, b),
            on_var: $method,
            on_var_f32: $method,
            on_static: $method,
            on_static_dual_f32: $method,
            on_var_dual: $method,
            on_var_dual_f32: $method,
            on_recorded: $method,
            on_recorded_f32: $method,
            on_tensor: $tensor_method,
            on_tensor_f32: $tensor_method,
            on_tensor_dual: $tensor_method,
        }
    };
}

for_each_row!(tables);
