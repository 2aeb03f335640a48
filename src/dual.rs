//! Forward mode: [`Dual`] numbers, a primal with N tangents.

use std::cmp::Ordering;
use std::fmt;

use num_traits::{Float, One, Zero};

use crate::kernels::GemmScalar;
use crate::real::{Real, Scalar, float_methods, inherent_rules, number_traits, own_rules_by_apply, std_rules_by_apply};
use crate::rules::{Binary, Unary, for_each_rule};

/// A number a + b₁ε₁ + b₂ε₂ + ... with products of the ε all zero: a primal and its N tangents, pushed
/// through every operation of the table.
///
/// It works on the stack, without a tape; comparisons look at the primal alone. `F` may be dual
/// again (higher derivatives) or a [`Var`](crate::Var).
///
/// ```
/// use wengert::Dual;
///
/// // The gradient of x y + sin x at (1, 2), both tangents at once.
/// let [x, y] = Dual::seeded([1.0, 2.0]);
/// let f = x * y + x.sin();
/// assert_eq!(f.primal(), 2.0 + 1_f64.sin());
/// assert_eq!(f.tangents(), [2.0 + 1_f64.cos(), 1.0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dual<F, const N: usize = 1> {
    primal: F,
    tangents: [F; N],
}

impl<F: Real, const N: usize> Dual<F, N> {
    /// The number with these parts.
    #[inline(always)]
    pub fn new(primal: F, tangents: [F; N]) -> Self {
        Self { primal, tangents }
    }

    /// A number whose tangents are zero.
    #[inline(always)]
    pub fn constant(primal: F) -> Self {
        Self { primal, tangents: [F::zero(); N] }
    }

    /// The number with a unit tangent in direction `i`.
    pub(crate) fn along(primal: F, i: usize) -> Self {
        let mut x = Self::constant(primal);
        x.tangents[i] = F::one();
        x
    }

    /// The value.
    #[inline(always)]
    pub fn primal(self) -> F {
        self.primal
    }

    /// The derivatives along the N seed directions.
    #[inline(always)]
    pub fn tangents(self) -> [F; N] {
        self.tangents
    }

    /// partial · tangents, an exact zero winning over inf and NaN. (The rare branch is inline: a
    /// call would take the tangents' address and keep them in memory.)
    #[inline(always)]
    fn push(self, partial: F) -> [F; N] {
        let tangents = self.tangents.map(|t| partial * t);
        if all_finite(&tangents) { tangents } else { self.tangents.map(|t| partial.gated_mul(t)) }
    }

    #[inline(always)]
    pub(crate) fn apply(self, rule: impl Unary<F::Base>) -> Self {
        let y = rule.eval(self.primal);
        Self { primal: y, tangents: self.push(rule.partial(self.primal, y)) }
    }

    #[inline(always)]
    pub(crate) fn apply2(self, rule: impl Binary<F::Base>, other: Self) -> Self {
        let (a, b) = (self.primal, other.primal);
        let z = rule.eval(a, b);
        let (p, q) = (rule.partial_a(a, b, z), rule.partial_b(a, b, z));
        let tangents = std::array::from_fn(|i| p * self.tangents[i] + q * other.tangents[i]);
        if all_finite(&tangents) {
            return Self { primal: z, tangents };
        }
        let gated = |i: usize| p.gated_mul(self.tangents[i]) + q.gated_mul(other.tangents[i]);
        Self { primal: z, tangents: std::array::from_fn(gated) }
    }

    /// `apply2` with an operand whose tangents are zero.
    #[inline(always)]
    fn apply_left(self, rule: impl Binary<F::Base>, b: F) -> Self {
        let z = rule.eval(self.primal, b);
        Self { primal: z, tangents: self.push(rule.partial_a(self.primal, b, z)) }
    }

    #[inline(always)]
    fn apply_right(rule: impl Binary<F::Base>, a: F, other: Self) -> Self {
        let z = rule.eval(a, other.primal);
        Self { primal: z, tangents: other.push(rule.partial_b(a, other.primal, z)) }
    }

    #[inline(always)]
    fn value(self) -> F {
        self.primal
    }

    #[inline(always)]
    fn lift(x: F) -> Self {
        Self::constant(x)
    }
}

/// Whether all are finite, by their sum: a product that is not shows there.
#[inline(always)]
fn all_finite<F: Real, const N: usize>(tangents: &[F; N]) -> bool {
    tangents.iter().fold(F::zero(), |sum, &t| sum + t).is_finite()
}

impl<F: Real, const N: usize> Dual<F, N> {
    /// N numbers, the i-th with a unit tangent in direction i.
    pub fn seeded(primals: [F; N]) -> [Self; N] {
        std::array::from_fn(|i| Self::along(primals[i], i))
    }
}

/// The functions of the [table](crate::rules).
impl<F: Real, const N: usize> Dual<F, N> {
    for_each_rule!(inherent_rules);
}

impl<F: Real, const N: usize> From<F> for Dual<F, N> {
    fn from(primal: F) -> Self {
        Self::constant(primal)
    }
}

number_traits! { [F: Real, const N: usize] Dual<F, N>, F }

impl<F: Real, const N: usize> Float for Dual<F, N> {
    for_each_rule!(std_rules_by_apply);
    float_methods!(F);

    /// a b + c; both products are rounded as `mul_add` of the primal rounds.
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        let primal = self.primal.mul_add(b.primal, c.primal);
        let tangents = (self * b + c).tangents;
        Self { primal, tangents }
    }
}

impl<F: Real, const N: usize> Real for Dual<F, N> {
    type Base = F::Base;
    #[inline(always)]
    fn from_base(x: F::Base) -> Self {
        Self::constant(F::from_base(x))
    }
    #[inline(always)]
    fn to_base(self) -> F::Base {
        self.primal.to_base()
    }
    for_each_rule!(own_rules_by_apply);
}

impl<F: Real, const N: usize> Default for Dual<F, N> {
    fn default() -> Self {
        Self::zero()
    }
}

impl<F: Scalar, const N: usize> GemmScalar for Dual<F, N> {}

impl<F: Scalar, const N: usize> Scalar for Dual<F, N> {
    #[inline(always)]
    fn is_null(self) -> bool {
        self.primal.is_null() && self.tangents.iter().all(|t| t.is_null())
    }
    #[inline(always)]
    fn is_regular(self) -> bool {
        self.primal.is_regular() && self.tangents.iter().all(|t| t.is_finite())
    }
    #[inline(always)]
    fn is_active(self) -> bool {
        !self.is_null() && self.primal.is_finite() && self.tangents.iter().all(|t| t.is_finite())
    }
}

impl<F: Real, const N: usize> fmt::Display for Dual<F, N> {
    /// The primal, then the tangents: `0.5 + [1.0, 0.0]ε`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.primal, f)?;
        f.write_str(" + [")?;
        for (i, t) in self.tangents.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            fmt::Display::fmt(t, f)?;
        }
        f.write_str("]ε")
    }
}

operators! { [F: Real, const N: usize] Dual<F, N>, Dual<F, N> => Dual<F, N>, |rule, a, b| a.apply2(rule, b) }
operators! { [F: Real, const N: usize] Dual<F, N>, F => Dual<F, N>, |rule, a, b| a.apply_left(rule, b) }
operators! { [const N: usize] f64, Dual<f64, N> => Dual<f64, N>, |rule, a, b| Dual::apply_right(rule, a, b) }
operators! { [const N: usize] f32, Dual<f32, N> => Dual<f32, N>, |rule, a, b| Dual::apply_right(rule, a, b) }

macro_rules! nested {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        operators! { [$($generics)*] $number, $base => $number, |rule, a, b| a.apply_left(rule, Real::from_base(b)) }
        operators! { [$($generics)*] $base, $number => $number, |rule, a, b| Dual::apply_right(rule, Real::from_base(a), b) }
        base_operands! { [$($generics)*] $base, $number }
    };
}
for_each_nested_dual! { nested }

impl<F: Real, const N: usize> std::ops::Neg for Dual<F, N> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { primal: -self.primal, tangents: self.tangents.map(|t| -t) }
    }
}
