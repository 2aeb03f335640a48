//! Logarithms of probability densities on any [`Real`] numbers: floats, [`Dual`] numbers, variables of a
//! tape, recorded numbers.
//!
//! The rows of one table generate the functions of this page and the list [`TABLE`]. All operands are of one number
//! type, and derivatives with respect to each of them are right: of data that are constants say `R::lit(y)` in a
//! generic function, and `y.into()` beside variables.
//!
//! ```
//! use wengert::{density, value_and_grad};
//!
//! let data = [1.2, 0.4, 2.2];
//! let (value, gradient) = value_and_grad(
//!     |[mu, sigma]| data.iter().map(|&y| density::normal(y.into(), mu, sigma)).sum(),
//!     [1.0_f64, 0.5],
//! );
//! assert!((value + 4.357374057934183).abs() < 1e-14);
//! assert!((gradient[0] - 3.2).abs() < 1e-14); // Σ(y - μ)/σ²
//! ```
//!
//! - Where the density is 0, outside of the support or at its end, the value is -∞ and every derivative is 0. At the
//!   end of a support where the density is positive the derivative is that from inside. A density that is infinite
//!   there has the value ∞.
//! - A NaN, and parameters outside of their domain, give NaN.
//! - Nothing overflows: tails keep their digits where the density itself rounds to 0.
//! - A result is a sum of terms, and rounded as the largest of them is: with counts and shapes of 10⁶, whose ln Γ is
//!   about 10⁷, a log-density has nine correct decimals in `f64` and none in `f32`. A shape whose ln Γ overflows, from
//!   10³⁰⁵ on in `f64` and 10³⁶ in `f32`, gives no number.
//!
//! Parameters with a domain come from numbers without one by [`transform`](crate::transform).

mod parts;
mod table;

use ndarray::ArrayView2;
use num_traits::Float;

use self::parts::{
    LN_PI, LN_SQRT_TAU, assert_category, assert_orders, cholesky, gamma_ratio, impossible, invalid, ln_1p_square,
    ln_factorial, ln_sum, substituted, times,
};
use self::table::for_each_density;
use crate::number::{Dual, Real};
use crate::recording::Recorded;
use crate::scalar::Var;

/// A variable on a tape of dual numbers.
type VarOfDual<'t> = Var<'t, Dual<f64>>;

/// One row of [`TABLE`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Density {
    /// The name of the function.
    pub name: &'static str,
    /// The log-density as a formula.
    pub formula: &'static str,
    /// The domain of the parameters.
    pub parameters: &'static str,
    /// Counts, and numbers in the order of the operands, at which the function is smooth.
    pub sample: (&'static [u64], &'static [f64]),
    // The functions below exist so that the tests can run every row on every number type.
    #[doc(hidden)]
    pub on_f64: fn(&[u64], &[f64]) -> f64,
    #[doc(hidden)]
    pub on_f32: fn(&[u64], &[f32]) -> f32,
    #[doc(hidden)]
    pub on_dual: fn(&[u64], &[Dual<f64>]) -> Dual<f64>,
    #[doc(hidden)]
    pub on_var: for<'t> fn(&[u64], &[Var<'t>]) -> Var<'t>,
    #[doc(hidden)]
    pub on_var_f32: for<'t> fn(&[u64], &[Var<'t, f32>]) -> Var<'t, f32>,
    #[doc(hidden)]
    pub on_var_dual: for<'t> fn(&[u64], &[VarOfDual<'t>]) -> VarOfDual<'t>,
    #[doc(hidden)]
    pub on_recorded: for<'r> fn(&[u64], &[Recorded<'r>]) -> Recorded<'r>,
}

/// A matrix of order 2 in row-major order, for the samples.
fn matrix<R: Real>(numbers: &[R]) -> ArrayView2<'_, R> {
    ArrayView2::from_shape((2, 2), numbers).expect("four numbers")
}

/// Turns the rows into functions and [`TABLE`].
macro_rules! densities {
    (
        scalar { $( $(#[doc = $doc:literal])+ fn $name:ident[$($k:ident),*]($($x:ident),+) {
            value: $value:expr, formula: $formula:literal, parameters: $parameters:literal,
            sample: ([$($count:expr),*], [$($sample:expr),+]) $(,)?
        } )+ }
        vector { $( $(#[doc = $vdoc:literal])+ fn $vname:ident($($v:ident : $T:ty),+) {
            value: $vvalue:expr, formula: $vformula:literal, parameters: $vparameters:literal, sample: ([$($vcount:expr),*], [$($vsample:expr),+]),
            call: |$counts:tt, $numbers:ident| $call:expr $(,)?
        } )+ }
    ) => {
        $(
            $(#[doc = $doc])+
            #[doc = concat!("\n\nLog-density: ", $formula, ". Parameters: ", $parameters, ".")]
            #[track_caller]
            pub fn $name<R: Real>($($k: u64,)* $($x: R),+) -> R {
                $value
            }
        )+
        $(
            $(#[doc = $vdoc])+
            #[doc = concat!("\n\nLog-density: ", $vformula, ". Parameters: ", $vparameters, ".")]
            #[track_caller]
            pub fn $vname<R: Real>($($v: $T),+) -> R {
                $vvalue
            }
        )+

        /// Every log-density.
        ///
        /// | function | log-density | parameters |
        /// |---|---|---|
        $( #[doc = concat!("| [`", stringify!($name), "`] | ", $formula, " | ", $parameters, " |")] )+
        $( #[doc = concat!("| [`", stringify!($vname), "`] | ", $vformula, " | ", $vparameters, " |")] )+
        pub const TABLE: &[Density] = &[
            $( densities! {
                @row $name, $formula, $parameters, (&[$($count),*], &[$($sample),+]),
                |counts, numbers| {
                    let (&[$($k),*], &[$($x),+]) = (counts, numbers) else {
                        panic!("the row has other operands")
                    };
                    $name($($k,)* $($x),+)
                }
            }, )+
            $( densities! {
                @row $vname, $vformula, $vparameters, (&[$($vcount),*], &[$($vsample),+]), |$counts, $numbers| $call
            }, )+
        ];
    };
    (@row $name:ident, $formula:expr, $parameters:expr, $sample:expr, $call:expr) => {
        Density {
            name: stringify!($name), formula: $formula, parameters: $parameters, sample: $sample,
            on_f64: $call,
            on_f32: $call,
            on_dual: $call,
            on_var: $call,
            on_var_f32: $call,
            on_var_dual: $call,
            on_recorded: $call,
        }
    };
}

for_each_density!(densities);
