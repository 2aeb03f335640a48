//! The traits of numbers, which name each other and so share one file.
//!
//! - [`Real`]: the bound of a generic function, which then runs on floats, dual numbers and tape handles.
//! - [`Scalar`]: a number that a tape can hold.
//! - [`Rule`] and [`apply`]: an elementary function of a user's own.
//! - [`Kernel`], [`Wrap`] and [`Dispatch`]: a loop that is compiled for several instruction sets.

use std::fmt::{Debug, Display};
use std::iter::{Product, Sum};
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};

use num_traits::{Float, FloatConst, NumAssignOps, NumOps};
use pulp::Arch;

use super::field::ApproxFloat;
use super::table::{for_each_rule, parameter};
use crate::slices::{Factor, GemmScalar, SimdFloat};

macro_rules! real_trait {
    (
        unary std { $($_unary:tt)* }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $($_binary:tt)* }
        binary own { $( [$($bdoc:literal)+] [$fa:literal] [$fb:literal] $bname:ident )+ }
    ) => {
        /// A real number with every elementary function of the [table](crate::rules).
        ///
        /// Implemented for `f32`, `f64`, [`Dual`](crate::Dual), [`Taylor`](crate::Taylor) and [`Var`](crate::Var), so
        /// one generic function gives values, tangents and gradients. `sin`, `exp` and the other functions of `std`
        /// come from the supertrait [`num_traits::Float`]. A function with literals or data is shorter with the bound
        /// [`Real64`].
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
        #[diagnostic::on_unimplemented(
            message = "`{Self}` is not a real number of this crate",
            note = "real numbers are `f32`, `f64`, `Dual`, `Taylor`, `Var` and recorded numbers; write integers as \
                    floats"
        )]
        pub trait Real:
            Float + FloatConst + AddAssign + SubAssign + MulAssign + DivAssign + Sum + Product + Debug + Display
        {
            /// `f32` or `f64`: the float inside all layers of dual numbers and handles.
            type Base: BaseFloat;

            /// True if the derivatives of an expression in this type count, as for dual numbers and handles; false for
            /// plain floats, for which only the value does.
            #[doc(hidden)]
            const CARRIES_DERIVATIVES: bool = true;

            /// The constant `x`.
            fn from_base(x: Self::Base) -> Self;

            /// The value, without tangents or tape. `R::from_base(x.to_base())` is x as a constant of every order of
            /// derivative.
            fn to_base(self) -> Self::Base;

            /// The constant `x`, rounded to the base float. Generic functions write their literals with it.
            #[inline(always)]
            fn lit(x: f64) -> Self {
                Self::from_base(Self::Base::round_from(x))
            }

            /// e^self · factor, for self ≤ 0 and a factor of the size of 1 that is NaN if self is.
            #[doc(hidden)]
            #[inline(always)]
            fn decay(self, factor: Self) -> Self {
                Float::exp(self) * factor
            }

            /// tanh self and its derivative; of a `Lane`, the latter is right where `tanh_slope_is_near` is true.
            #[doc(hidden)]
            #[inline(always)]
            fn tanh_and_slope(self) -> (Self, Self) {
                let y = Float::tanh(self);
                (y, crate::number::rules::tanh_slope(self, y))
            }

            /// True where the derivative that [`tanh_and_slope`](Self::tanh_and_slope) returns is right.
            #[doc(hidden)]
            #[inline(always)]
            fn tanh_slope_is_near(self) -> bool {
                true
            }

            /// The value of a user's [`Rule`](crate::Rule). Call it through [`apply`](crate::apply).
            fn apply_rule<const N: usize>(rule: impl Rule<Self::Base, N>, operands: [Self; N]) -> Self;

            /// Σ aᵢbᵢ of two slices of one length: see [`dot`](crate::dot).
            #[doc(hidden)]
            #[track_caller]
            fn dot_of(a: &[Self], b: &[Self]) -> Self {
                a.iter().zip(b).map(|(&a, &b)| a * b).sum()
            }

            /// √Σxᵢ²: see [`norm`](fn@crate::norm).
            #[doc(hidden)]
            #[track_caller]
            fn norm_of(x: &[Self]) -> Self {
                length(x)
            }

            /// ln Σ e^xᵢ: see [`log_sum_exp`](crate::log_sum_exp).
            #[doc(hidden)]
            #[track_caller]
            fn log_sum_exp_of(x: &[Self]) -> Self {
                let largest = Self::from_base(largest(x.iter().copied()));
                x.iter().map(|&x| Float::exp(gap(x, largest))).sum::<Self>().ln() + largest
            }

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

/// A [`Real`] number that stands beside plain `f64`: the bound of a generic function with literals or data.
///
/// ```
/// use wengert::{Real64, derivative, grad};
///
/// fn line<R: Real64>(p: &[R], x: f64, y: f64) -> R {
///     (p[0] * x + p[1] - y).square() * 0.5
/// }
/// assert_eq!(line(&[1.0, 2.0], 3.0, 4.0), 0.5);
/// assert_eq!(grad(|p| line(p, 3.0, 4.0), &[1.0, 2.0]), [3.0, 1.0]);
///
/// fn clipped<R: Real64>(x: R) -> R {
///     if x > 1.0 { R::one() } else { x }
/// }
/// assert_eq!(derivative(|x| clipped(x), 2.0), 0.0);
/// ```
///
/// A float on the left needs a bound of its own, because no trait can give `f64` an operator with each of its
/// implementors: [`LeftOf`]. Without that bound, `1.0 - x` is `-x + 1.0` or `R::one() - x`.
///
/// ```
/// use wengert::{LeftOf, Real64, grad};
///
/// fn rosenbrock<R: Real64>(x: &[R]) -> R
/// where
///     f64: LeftOf<R>,
/// {
///     x.windows(2).map(|w| 100.0 * (w[1] - w[0] * w[0]).square() + (1.0 - w[0]).square()).sum()
/// }
/// assert_eq!(rosenbrock(&[1.0, 2.0]), 100.0);
/// assert_eq!(grad(|x| rosenbrock(x), &[1.0, 1.0]), [0.0, 0.0]);
/// ```
///
/// Implemented for `f64`, [`Var`](crate::Var), [`Dual`](crate::Dual), [`Taylor`](crate::Taylor) and recorded numbers
/// over it. A function of numbers of both precisions takes a [`Real`] and writes its literals with [`Real::lit`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a real number that stands beside `f64`",
    note = "for numbers over `f32` there is `Real32`; a function of both precisions takes a `Real` and writes its literals \
            with `R::lit`"
)]
pub trait Real64: Real<Base = f64> + NumOps<f64, Self> + NumAssignOps<f64> + PartialOrd<f64> {}

impl<R: Real<Base = f64> + NumOps<f64, R> + NumAssignOps<f64> + PartialOrd<f64>> Real64 for R {}

/// A [`Real`] number that stands beside plain `f32`: see [`Real64`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a real number that stands beside `f32`",
    note = "for numbers over `f64` there is `Real64`; a function of both precisions takes a `Real` and writes its literals \
            with `R::lit`"
)]
pub trait Real32: Real<Base = f32> + NumOps<f32, Self> + NumAssignOps<f32> + PartialOrd<f32> {}

impl<R: Real<Base = f32> + NumOps<f32, R> + NumAssignOps<f32> + PartialOrd<f32>> Real32 for R {}

/// A plain number that stands on the left of numbers `R`: `f64: LeftOf<R>` allows `1.0 - x`. See [`Real64`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not stand on the left of `{R}`",
    note = "in a generic function add `where f64: LeftOf<R>`, or write `-x + 1.0` for `1.0 - x`"
)]
// The operators of plain numbers among themselves are part of the bound, because the compiler would take `R` for the
// right operand of every plain number otherwise, also in `2.0 * 3.0`.
pub trait LeftOf<R>: NumOps<R, R> + NumOps + Sized {}

impl<X: NumOps<R, R> + NumOps, R> LeftOf<R> for X {}

/// `f32` or `f64`.
pub trait BaseFloat: Scalar<Base = Self> + SimdFloat + ApproxFloat {
    /// The number nearest to `x`.
    fn round_from(x: f64) -> Self;
}

/// A number that a [`Tape`](crate::Tape) can hold: `f32`, `f64` and [`Dual`](crate::Dual) numbers over
/// them (forward over reverse).
///
/// The trait is sealed, because the kernels know the representation of its numbers.
#[diagnostic::on_unimplemented(
    message = "a tape cannot hold `{Self}`",
    note = "a tape holds `f32`, `f64` and dual numbers over them",
    note = "for a derivative within a derivative see `jvp`, `derivative`, `hvp` and `hessian`"
)]
pub trait Scalar: Real + GemmScalar + Dispatch + Factor + Default + Send + Sync + 'static {
    /// True if the value and all tangents are zero. By convention a product with such a factor is 0, even if the other
    /// factor is infinite or NaN.
    fn is_exact_zero(self) -> bool;

    /// True if the number, a product, shows no overflow or underflow: the value is finite, not 0 and not subnormal, and
    /// all tangents are finite.
    fn product_is_safe(self) -> bool;

    /// True if the value is finite and not 0, so that a plain product with it respects exact zeros.
    fn is_finite_nonzero(self) -> bool;

    /// The tangents of self with another value.
    fn with_base(self, value: Self::Base) -> Self;

    /// True if the value and all tangents are finite.
    fn is_finite_throughout(self) -> bool;

    /// The length √Σxᵢ² of numbers whose primals are all 0, seen from a point that the tangents lead to: its tangent is
    /// the length of the tangents. 0 for floats.
    fn length_at_origin(x: impl Iterator<Item = Self> + Clone) -> Self;

    /// The cotangent of `x`, if the length of numbers whose primals are all 0 has the cotangent self. `length` is that
    /// of [`length_at_origin`](Self::length_at_origin).
    ///
    /// The primal is 0, the partial at the origin by convention. Each tangent is the one-sided derivative along its
    /// direction t, where xᵢ/length is tᵢ/‖t‖. So the Hessian of ‖x‖² is 2I; the length's own infinite curvature
    /// counts as 0.
    fn pull_from_origin(self, x: Self, length: Self) -> Self;

    /// self · partial, where self is a weight. `unit` promises that the weight is 1.
    #[inline(always)]
    fn scale_partial(self, unit: bool, partial: Self) -> Self {
        let _ = unit;
        self * partial
    }

    /// self += a · b.
    #[inline(always)]
    fn add_product(&mut self, a: Self, b: Self) {
        *self += a * b;
    }
}

/// A power of two near the positive, finite number `size`; 1 for 0, infinity and NaN. Scaling by a power of two does not round.
pub(crate) fn binade<B: BaseFloat>(size: B) -> B {
    let exponent = Float::log2(size).to_i32().unwrap_or(0);
    // The logarithm of the largest number rounds up to that of infinity.
    let largest = Float::log2(B::max_value()).to_i32().map_or(0, |exponent| exponent - 1);
    Float::max(Float::powi(B::lit(2.0), exponent.min(largest)), B::min_positive_value())
}

/// The largest value, or -∞ if there is none; numbers without a value do not count.
pub(crate) fn largest<R: Real>(x: impl Iterator<Item = R>) -> R::Base {
    x.fold(<R::Base as Float>::neg_infinity(), |largest, x| Float::max(largest, x.to_base()))
}

/// The index of the largest number, the first one in a tie; of the first NaN, if there is one; 0 if there is no number.
pub(crate) fn place_of_greatest<R: Real>(x: impl Iterator<Item = R>) -> usize {
    let mut best = (0, R::neg_infinity());
    for (i, x) in x.enumerate() {
        if x.is_nan() {
            return i;
        }
        if x > best.1 {
            best = (i, x);
        }
    }
    best.0
}

/// √Σxᵢ², in units of a power of two if squares over- or underflow. At the origin the tangents are 0.
fn length<R: Real>(x: &[R]) -> R {
    let size = largest(x.iter().map(|&x| Float::abs(x.to_base())));
    let square = size * size;
    let safe = square.is_normal() && (square / <R::Base as Float>::epsilon()).is_finite();
    if safe || size == <R::Base as num_traits::Zero>::zero() || !size.is_finite() {
        return Float::sqrt(x.iter().map(|&x| x * x).sum::<R>());
    }
    let unit = R::from_base(binade(size));
    Float::sqrt(x.iter().map(|&x| x / unit).map(|x| x * x).sum::<R>()) * unit
}

/// x - m, or 0 if x and m are the same infinity.
#[inline(always)]
pub(crate) fn gap<L: Real>(x: L, m: L) -> L {
    if m.is_infinite() && x == m { L::zero() } else { x - m }
}

/// A user's elementary function of N numbers, given by its value and its partials, as a row of the
/// [table](crate::rules) is.
///
/// The value is computed on base floats by any means. The partials are written with numbers `R: Real`, so that they
/// can be differentiated again and the function works in every mode and order. Use [`apply`] for
/// [`Var`](crate::Var), [`Dual`](crate::Dual) and floats, and [`Tensor::apply_rule`](crate::Tensor::apply_rule) for
/// each element of a tensor.
///
/// ```
/// use wengert::{BaseFloat, Dual, Real, Rule, Tape, apply};
///
/// /// The principal branch of Lambert's W: W e^W = x, by Halley's iteration. (Corless et al. 1996,
/// /// "On the Lambert W function", Advances in Computational Mathematics 5, (5.9) and (3.2).)
/// #[derive(Clone, Copy)]
/// struct LambertW;
///
/// impl<B: BaseFloat> Rule<B, 1> for LambertW {
///     fn primal(self, [x]: [B; 1]) -> B {
///         let mut w = x.ln_1p();
///         for _ in 0..8 {
///             let (e, two) = (w.exp(), B::lit(2.0));
///             let f = w * e - x;
///             w -= f / (e * (w + B::one()) - (w + two) * f / (two * w + two));
///         }
///         w
///     }
///     // W' = W / (x (1 + W)) = 1 / (x + e^W), which has no 0/0 at 0.
///     fn partials<R: Real<Base = B>>(self, [x]: [R; 1], w: R) -> [R; 1] {
///         [(x + w.exp()).recip()]
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.var(1.0_f64);
/// let w = apply(LambertW, [x]); // the omega constant
/// assert!((w.value() - 0.567143290409783873).abs() < 1e-15);
/// assert!((w.backward()[x] - 1.0 / (1.0 + w.value().exp())).abs() < 1e-15);
///
/// // The second derivative, by dual numbers over dual numbers: W'' = -(1 + e^W W') W'².
/// let second = apply(LambertW, [Dual::new(Dual::new(1.0, [1.0]), [Dual::constant(1.0)])]);
/// let (e, d) = (w.value().exp(), 1.0 / (1.0 + w.value().exp()));
/// assert!((second.tangents()[0].tangents()[0] + (1.0 + e * d) * d * d).abs() < 1e-15);
/// ```
pub trait Rule<B: BaseFloat, const N: usize>: Copy + Send + Sync {
    /// The value.
    fn primal(self, x: [B; N]) -> B;
    /// The partial derivatives with respect to each operand, from the operands `x` and the value `y`.
    fn partials<R: Real<Base = B>>(self, x: [R; N], y: R) -> [R; N];
}

/// The value of a [`Rule`] on any numbers: floats, dual numbers or handles of a tape.
///
/// A tape records one operation, however the value was computed.
///
/// # Panics
///
/// If the operands belong to different tapes.
#[inline]
#[track_caller]
pub fn apply<R: Real, const N: usize>(rule: impl Rule<R::Base, N>, operands: [R; N]) -> R {
    R::apply_rule(rule, operands)
}

/// A loop over numbers of type `F`, which computes in any number type `L` that wraps an `F`.
pub trait Kernel<F: Real> {
    /// The loop. Mark an implementation `#[inline(always)]`, so that it is compiled for the dispatched target.
    fn run<L: Wrap<F>>(self);
}

/// A number type that wraps an `F`, such as the SIMD-friendly `Lane`.
pub trait Wrap<F: Real>: Real<Base = F::Base> {
    /// Wraps a number.
    fn wrap(x: F) -> Self;
    /// Unwraps the number.
    fn unwrap(self) -> F;
}

/// Numbers for which a kernel can be dispatched.
pub trait Dispatch: Real {
    /// True for `f32` and `f64`.
    const IS_FLOAT: bool = false;

    /// Runs the kernel, compiled for the best instruction set of this machine.
    #[inline]
    fn dispatch(kernel: impl Kernel<Self>) {
        Self::dispatch_on(Arch::new(), kernel);
    }
    /// Runs the kernel, compiled for this instruction set.
    fn dispatch_on(arch: Arch, kernel: impl Kernel<Self>);
}
