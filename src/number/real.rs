//! [`Real`]: what a function asks of its numbers so that it runs on plain floats, dual numbers and
//! tape handles alike; [`Scalar`]: what a tape can hold.

use std::fmt::{Debug, Display};
use std::iter::{Product, Sum};
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};

use num_traits::{Float, FloatConst};

use super::table::parameter;
use crate::number::table::for_each_rule;
use crate::slices::{Factor, GemmScalar};

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
            fn apply_rule<const N: usize>(rule: impl Rule<Self::Base, N>, operands: [Self; N]) -> Self;

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
pub trait Scalar: Real + GemmScalar + Dispatch + Factor + Default + Send + Sync + 'static {
    /// Whether every component is zero: such a factor silences any other.
    fn is_exact_zero(self) -> bool;

    /// Whether products have neither over- nor underflowed to get here.
    fn product_is_safe(self) -> bool;

    /// Whether a product with it needs no care: its value is finite and not 0.
    fn is_finite_nonzero(self) -> bool;

    /// self · partial for a weight that is known to be 1 if `unit`.
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

/// A power of two near a positive number: scaling by it rounds nothing.
pub(crate) fn binade<B: BaseFloat>(size: B) -> B {
    let exponent = Float::log2(size).to_i32().unwrap_or(0);
    Float::max(Float::powi(B::lit(2.0), exponent), B::min_positive_value())
}

/// x - m, and 0 where they are the same infinity.
#[inline(always)]
pub(crate) fn gap<L: Real>(x: L, m: L) -> L {
    if m.is_infinite() && x == m { L::zero() } else { x - m }
}

/// A function of N numbers by its value and its partials: a row for the [table](crate::rules) of
/// your own.
///
/// The value is computed on base floats by any means; the partials are written with numbers
/// `R: Real`, so that they differentiate too, and the function works in every mode and order:
/// through [`apply`] on [`Var`], [`Dual`](crate::Dual) and floats, through [`Tensor::apply_rule`] on
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
    /// The partials with respect to each operand, from the operands and the value `y`.
    fn partials<R: Real<Base = B>>(self, x: [R; N], y: R) -> [R; N];
}

/// The value of a [`Rule`] on any numbers: floats, dual numbers, handles.
///
/// On a tape it is one operation, however the value was computed.
///
/// # Panics
///
/// If the operands belong to different tapes.
#[inline]
#[track_caller]
pub fn apply<R: Real, const N: usize>(rule: impl Rule<R::Base, N>, operands: [R; N]) -> R {
    R::apply_rule(rule, operands)
}

/// A loop over numbers of type `F`, written for any number `L` that wraps one.
pub trait Kernel<F: Real> {
    /// The loop. `#[inline(always)]`, so that it is compiled for the dispatched target.
    fn run<L: Wrap<F>>(self);
}

/// A number that is an `F` in other clothes.
pub trait Wrap<F: Real>: Real<Base = F::Base> {
    /// In.
    fn wrap(x: F) -> Self;
    /// Out.
    fn unwrap(self) -> F;
}

/// Numbers for which a kernel can be dispatched.
pub trait Dispatch: Real {
    /// Runs the kernel for the best target of this machine.
    fn dispatch(kernel: impl Kernel<Self>);
}
