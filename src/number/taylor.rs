//! Higher derivatives along one direction: [`Taylor`] numbers, truncated power series.

use std::cmp::Ordering;
use std::fmt;
use std::iter::{Product, Sum};
use std::marker::PhantomData;

use num_traits::{Float, One, Zero};

use super::dual::{Dual, Mark};
use super::macros::{
    base_operands, float_methods, inherent_rules, number_traits, operator, operators, own_rules_by_apply,
    std_rules_by_apply,
};
use super::real::Real;
use super::rules::{BinaryRule, UnaryRule};
use super::table::for_each_rule;

/// A truncated power series c₀ + c₁t + c₂t² + ... with N coefficients: a number with its derivatives up to order N - 1
/// along one direction.
///
/// Every function of the [table](crate::rules) computes with series; the coefficient cₖ is the k-th derivative over k!.
/// [`taylor`](crate::taylor) makes such numbers, and reads the result. Products take N² operations, where dual numbers
/// of dual numbers of .. take 2ᴺ; a function of the table takes between N² and 2ᴺ of them, by how many functions its
/// derivatives bring in.
///
/// Comparisons look at c₀ alone. `B` identifies the call to which t belongs, as for [`Dual`](crate::Dual).
///
/// ```
/// use wengert::Taylor;
///
/// let x = Taylor::<f64, 4>::variable(0.0);
/// assert_eq!((1.0 / (1.0 - x)).coefficients(), [1.0; 4]);
/// assert_eq!(x.exp().derivative(3), 1.0);
/// ```
#[derive(Clone, Copy)]
pub struct Taylor<F, const N: usize, B = ()> {
    coefficients: [F; N],
    /// The number of coefficients that are known: N, or fewer while a function computes its own one by one.
    known: usize,
    brand: PhantomData<B>,
}

impl<F: Real, const N: usize> Taylor<F, N> {
    /// The series with these coefficients.
    pub fn new(coefficients: [F; N]) -> Self {
        Self::of(coefficients)
    }

    /// The series x + t.
    pub fn variable(x: F) -> Self {
        Self::along(x)
    }

    /// The series x.
    pub fn constant(x: F) -> Self {
        Self::lift(x)
    }
}

impl<F: Real, const N: usize, B: Mark> Taylor<F, N, B> {
    fn of(coefficients: [F; N]) -> Self {
        const { assert!(N > 0, "a series has at least the coefficient of order 0") };
        Self { coefficients, known: N, brand: PhantomData }
    }

    /// The series x + t.
    pub(crate) fn along(x: F) -> Self {
        let mut series = Self::lift(x);
        if let Some(slope) = series.coefficients.get_mut(1) {
            *slope = F::one();
        }
        series
    }

    /// The coefficients of t⁰, t¹, t², ..
    pub fn coefficients(self) -> [F; N] {
        self.coefficients
    }

    /// The value, which is the coefficient of t⁰.
    pub fn primal(self) -> F {
        self.coefficients[0]
    }

    /// The derivative of an order below N: the coefficient times the factorial of its order.
    ///
    /// # Panics
    ///
    /// If the order is N or more.
    #[track_caller]
    pub fn derivative(self, order: usize) -> F {
        assert!(order < N, "derivative: a series of {N} coefficients has no derivative of order {order}");
        (1..=order).fold(self.coefficients[order], |product, k| product * integer::<F>(k))
    }

    fn value(self) -> F {
        self.coefficients[0]
    }

    fn lift(x: F) -> Self {
        let mut coefficients = [F::zero(); N];
        coefficients[0] = x;
        Self::of(coefficients)
    }

    fn is_constant(&self) -> bool {
        self.coefficients[1..self.known].iter().all(Zero::is_zero)
    }

    /// The series of which only the first coefficients are known.
    fn truncated(mut self, known: usize) -> Self {
        self.known = self.known.min(known);
        self
    }

    /// Sets the last known coefficient of y from y' = Σ xᵢ' · slopeᵢ: k yₖ = Σ j xⱼ slopeₖ₋ⱼ.
    fn integrate(mut self, known: usize, terms: impl IntoIterator<Item = (Self, Self)>) -> Self {
        let k = known - 1;
        let mut sum = F::zero();
        for (x, slope) in terms {
            for j in 1..=k {
                sum += (x.coefficients[j] * integer::<F>(j)).gated_mul(slope.coefficients[k - j]);
            }
        }
        self.coefficients[k] = sum / integer::<F>(k);
        self.known = known;
        self
    }

    /// y = rule(self): a coefficient follows from the slope, a series of the coefficients before.
    fn apply<R: UnaryRule<F::Base>>(self, rule: R) -> Self {
        let known = self.known;
        if self.is_constant() {
            return Self::lift(rule.eval(self.value())).truncated(known);
        }
        let before = self.truncated(known - 1);
        let y = before.apply(rule);
        y.integrate(known, [(self, rule.partial(before, y))])
    }

    /// z = rule(self, other): same as [`apply`](Self::apply).
    pub(crate) fn apply2<R: BinaryRule<F::Base>>(self, rule: R, other: Self) -> Self {
        let known = self.known.min(other.known);
        let (x, y) = (self.truncated(known), other.truncated(known));
        if x.is_constant() && y.is_constant() {
            return Self::lift(rule.eval(x.value(), y.value())).truncated(known);
        }
        let (a, b) = (x.truncated(known - 1), y.truncated(known - 1));
        let z = a.apply2(rule, b);
        z.integrate(known, [(x, rule.partial_a(a, b, z)), (y, rule.partial_b(a, b, z))])
    }

    /// The series whose coefficient k is `coefficient(k, those before)`.
    fn build(known: usize, mut coefficient: impl FnMut(usize, &[F; N]) -> F) -> Self {
        let mut series = Self::lift(F::zero()).truncated(known);
        for k in 0..known {
            series.coefficients[k] = coefficient(k, &series.coefficients);
        }
        series
    }

    fn plus(self, other: Self) -> Self {
        Self::build(self.known.min(other.known), |k, _| self.coefficients[k] + other.coefficients[k])
    }

    fn minus(self, other: Self) -> Self {
        Self::build(self.known.min(other.known), |k, _| self.coefficients[k] - other.coefficients[k])
    }

    /// The product of the series by Cauchy's rule. A coefficient that is exactly 0 silences an infinite factor, except
    /// in the product of the values.
    fn times(self, other: Self) -> Self {
        let (a, b) = (self.coefficients, other.coefficients);
        Self::build(self.known.min(other.known), |k, _| match k {
            0 => a[0] * b[0],
            _ => (0..=k).fold(F::zero(), |sum, j| sum + a[j].gated_mul(b[k - j])),
        })
    }

    /// The quotient z of the series, from a = z b.
    fn over(self, other: Self) -> Self {
        let (a, b) = (self.coefficients, other.coefficients);
        Self::build(self.known.min(other.known), |k, z| {
            let rest = (1..=k).fold(a[k], |rest, j| rest - b[j].gated_mul(z[k - j]));
            if k > 0 && rest.is_zero() { rest } else { rest / b[0] }
        })
    }
}

/// A small integer, which every float holds exactly.
fn integer<F: Real>(k: usize) -> F {
    F::lit(k as f64)
}

/// The functions of the [table](crate::rules).
impl<F: Real, const N: usize, B: Mark> Taylor<F, N, B> {
    for_each_rule!(inherent_rules);

    /// Sine and cosine, in radians.
    pub fn sin_cos(self) -> (Self, Self) {
        (self.sin(), self.cos())
    }
}

impl<F: Real, const N: usize, B: Mark> From<F> for Taylor<F, N, B> {
    fn from(x: F) -> Self {
        Self::lift(x)
    }
}

number_traits! { [F: Real, const N: usize, B: Mark] Taylor<F, N, B>, F }

impl<F: Real, const N: usize, B: Mark> Float for Taylor<F, N, B> {
    for_each_rule!(std_rules_by_apply);
    float_methods!(F);

    /// a b + c, where the value is that of `mul_add` on values.
    fn mul_add(self, b: Self, c: Self) -> Self {
        let mut series = self * b + c;
        series.coefficients[0] = self.value().mul_add(b.value(), c.value());
        series
    }
}

impl<F: Real, const N: usize, B: Mark> Real for Taylor<F, N, B> {
    type Base = F::Base;
    fn from_base(x: F::Base) -> Self {
        Self::lift(F::from_base(x))
    }
    fn to_base(self) -> F::Base {
        self.value().to_base()
    }
    fn apply_rule<const K: usize>(rule: impl crate::number::Rule<F::Base, K>, operands: [Self; K]) -> Self {
        let known = operands.iter().map(|x| x.known).min().unwrap_or(N);
        let operands = operands.map(|x| x.truncated(known));
        if operands.iter().all(Self::is_constant) {
            return Self::lift(F::apply_rule(rule, operands.map(Self::value))).truncated(known);
        }
        let before = operands.map(|x| x.truncated(known - 1));
        let y = Self::apply_rule(rule, before);
        y.integrate(known, operands.into_iter().zip(rule.partials(before, y)))
    }
    for_each_rule!(own_rules_by_apply);
}

impl<F: Real, const N: usize, B: Mark> Default for Taylor<F, N, B> {
    fn default() -> Self {
        Self::zero()
    }
}

impl<F: fmt::Debug, const N: usize, B> fmt::Debug for Taylor<F, N, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Taylor").field(&self.coefficients).finish()
    }
}

impl<F: Real, const N: usize, B: Mark> fmt::Display for Taylor<F, N, B> {
    /// The coefficients and their powers: `1 + 2.5t + 3t²`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
        fmt::Display::fmt(&self.coefficients[0], f)?;
        for (k, c) in self.coefficients.iter().enumerate().skip(1) {
            f.write_str(" + ")?;
            fmt::Display::fmt(c, f)?;
            f.write_str("t")?;
            let power = if k > 1 { k.to_string() } else { String::new() };
            for digit in power.bytes() {
                fmt::Write::write_char(f, DIGITS[usize::from(digit - b'0')])?;
            }
        }
        Ok(())
    }
}

/// The five operators for series and for a series beside a number; sums, products and quotients of series have loops
/// of their own, which round less than the integral of a slope.
macro_rules! series_operators {
    ([$($generics:tt)*] $lhs:ty, $rhs:ty => $out:ty) => {
        operator! { Add add [$($generics)*] [$lhs] [$rhs] [$out] |_rule, a, b| <$out>::from(a).plus(b.into()) }
        operator! { Sub sub [$($generics)*] [$lhs] [$rhs] [$out] |_rule, a, b| <$out>::from(a).minus(b.into()) }
        operator! { Mul mul [$($generics)*] [$lhs] [$rhs] [$out] |_rule, a, b| <$out>::from(a).times(b.into()) }
        operator! { Div div [$($generics)*] [$lhs] [$rhs] [$out] |_rule, a, b| <$out>::from(a).over(b.into()) }
        operator! { Rem rem [$($generics)*] [$lhs] [$rhs] [$out] |rule, a, b| <$out>::from(a).apply2(rule, b.into()) }
    };
}
series_operators! { [F: Real, const N: usize, B: Mark] Taylor<F, N, B>, Taylor<F, N, B> => Taylor<F, N, B> }
series_operators! { [F: Real, const N: usize, B: Mark] Taylor<F, N, B>, F => Taylor<F, N, B> }
series_operators! { [const N: usize, B: Mark] f64, Taylor<f64, N, B> => Taylor<f64, N, B> }
series_operators! { [const N: usize, B: Mark] f32, Taylor<f32, N, B> => Taylor<f32, N, B> }

/// Series over series, and series and dual numbers over each other: numbers of the outer derivative on the left of
/// those of the inner one, and base floats on both sides.
macro_rules! nested {
    ($($Outer:ident $Inner:ident),+) => { $(
        operators! { [F: Real, const M: usize, const N: usize, A: Mark, B: Mark] $Outer<F, M, A>, $Inner<$Outer<F, M, A>, N, B> => $Inner<$Outer<F, M, A>, N, B>, |rule, a, b| $Inner::from(a).apply2(rule, b) }
        nested! { @base f64 $Outer $Inner }
        nested! { @base f32 $Outer $Inner }
    )+ };
    (@base $base:ident $Outer:ident $Inner:ident) => {
        operators! { [const N: usize, const M: usize, B: Mark, C: Mark] $Inner<$Outer<$base, M, C>, N, B>, $base => $Inner<$Outer<$base, M, C>, N, B>, |rule, a, b| a.apply2(rule, Real::from_base(b)) }
        operators! { [const N: usize, const M: usize, B: Mark, C: Mark] $base, $Inner<$Outer<$base, M, C>, N, B> => $Inner<$Outer<$base, M, C>, N, B>, |rule, a, b| $Inner::apply2(Real::from_base(a), rule, b) }
        base_operands! { [const N: usize, const M: usize, B: Mark, C: Mark] $base, $Inner<$Outer<$base, M, C>, N, B> }
    };
}
nested! { Taylor Taylor, Dual Taylor, Taylor Dual }

impl<F: Real, const N: usize, B: Mark> std::ops::Neg for Taylor<F, N, B> {
    type Output = Self;
    fn neg(mut self) -> Self {
        self.coefficients = self.coefficients.map(|c| -c);
        self
    }
}

impl<F: Real, const N: usize, B: Mark> Sum for Taylor<F, N, B> {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        // -0 keeps the sign of zeros, as in the sum of floats.
        iter.fold(-Self::zero(), |sum, x| sum + x)
    }
}

impl<F: Real, const N: usize, B: Mark> Product for Taylor<F, N, B> {
    fn product<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::one(), |product, x| product * x)
    }
}
