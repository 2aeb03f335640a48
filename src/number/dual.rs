//! Forward mode: [`Dual`] numbers, a primal with N tangents.

use std::cmp::Ordering;
use std::fmt;
use std::iter::{Product, Sum};
use std::marker::PhantomData;

use num_traits::{Float, One, Zero};
use pulp::Arch;

#[cfg(feature = "nalgebra")]
use super::field::{field_traits, real_field};
use super::length::Length;
use super::macros::{
    base_operands, float_methods, inherent_rules, number_traits, operators, own_rules_by_apply, std_rules_by_apply,
};
use super::real::{Dispatch, Kernel, Real, Scalar, Wrap};
use crate::number::rules::{BinaryRule, UnaryRule};
use crate::number::table::for_each_rule;
use crate::slices::GemmScalar;
use crate::slices::gemm::{Mat, MatMut, Store, planes};

/// A number a + b₁ε₁ + b₂ε₂ + ... in which all products of the ε are zero: a primal and its N tangents.
///
/// Every function of the [table](crate::rules) pushes the tangents forward, on the stack and without a tape.
/// Comparisons look at the primal alone. With the feature `nalgebra` a dual number is a `RealField`, so that nalgebra's
/// matrices and what is built on them push tangents too. `F` may be a dual number again (higher derivatives) or a [`Var`](crate::Var).
///
/// `B` identifies the owner of the ε. It is `()` for numbers that you make yourself; the closure of
/// [`jvp`](crate::jvp) or [`jacobian_forward`](crate::jacobian_forward) gets a [`Brand`] of its own, so
/// that the tangents of two nested calls do not mix.
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
#[derive(Clone, Copy)]
pub struct Dual<F, const N: usize = 1, B = ()> {
    primal: F,
    tangents: [F; N],
    brand: PhantomData<B>,
}

/// The mark of a [`Dual`] number that belongs to one call of a forward-mode function; `'b` is the lifetime of the
/// argument of the function's closure.
///
/// The tangents of two calls are derivatives along different directions. Adding them would confuse
/// perturbations (Siskind and Pearlmutter, "Perturbation confusion and referential transparency",
/// IFL 2005), and does not compile:
///
/// ```compile_fail
/// use wengert::jvp;
///
/// // d/dx (x · d/dy (x + y)) is 1. If the two ε were the same, the result would be 2.
/// jvp(|x| {
///     let (_, inner) = jvp(|y| vec![x[0] + y[0]], &[1.0], &[1.0]);
///     vec![x[0] * inner[0]]
/// }, &[1.0_f64], &[1.0]);
/// ```
///
/// The inner function may use numbers of the outer call. If its point consists of such numbers, the inner ε is
/// distinct from the outer one:
///
/// ```
/// use wengert::{Dual, jvp};
///
/// let (_, outer) = jvp(|x| {
///     let one = Dual::from(1.0);
///     let (_, inner) = jvp(|y| vec![y[0] + x[0]], &[one], &[one]);
///     vec![x[0] * inner[0]]
/// }, &[1.0_f64], &[1.0]);
/// assert_eq!(outer, [1.0]);
/// ```
#[derive(Clone, Copy)]
pub struct Brand<'b>(PhantomData<fn(&'b ()) -> &'b ()>);

/// The mark of a [`Dual`] number: `()`, or the [`Brand`] of a call.
#[allow(unreachable_pub)] // named by public bounds
pub trait Mark: Copy {
    /// True if a product of a partial and a tangent respects exact zeros.
    #[doc(hidden)]
    const CAREFUL: bool = true;
}

impl Mark for () {}
impl Mark for Brand<'_> {}

/// The mark of numbers whose products are plain, so that a loop over them has no branch. Their user looks at the result,
/// and computes it again with careful numbers where it is not finite.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Mark for Plain {
    const CAREFUL: bool = false;
}

impl<F: Real, const N: usize> Dual<F, N> {
    /// The number with this primal and these tangents.
    #[inline(always)]
    pub fn new(primal: F, tangents: [F; N]) -> Self {
        Self::with_parts(primal, tangents)
    }

    /// A number whose tangents are zero.
    #[inline(always)]
    pub fn constant(primal: F) -> Self {
        Self::lift(primal)
    }

    /// N numbers, the i-th with a unit tangent in direction i.
    pub fn seeded(primals: [F; N]) -> [Self; N] {
        std::array::from_fn(|i| Self::along(primals[i], i))
    }
}

impl<F: Real> Dual<F> {
    /// The primals and the tangents of `numbers`.
    pub(crate) fn unzip(numbers: &[Self]) -> (Vec<F>, Vec<F>) {
        numbers.iter().map(|x| (x.primal, x.tangents[0])).unzip()
    }
}

impl<F: Real, const N: usize, B: Mark> Dual<F, N, B> {
    #[inline(always)]
    pub(crate) fn with_parts(primal: F, tangents: [F; N]) -> Self {
        Self { primal, tangents, brand: PhantomData }
    }

    /// The number with a unit tangent in direction `i`.
    pub(crate) fn along(primal: F, i: usize) -> Self {
        let mut x = Self::lift(primal);
        x.tangents[i] = F::one();
        x
    }

    /// The primal: the value without derivatives.
    #[inline(always)]
    pub fn primal(self) -> F {
        self.primal
    }

    /// The derivatives along the N seed directions.
    #[inline(always)]
    pub fn tangents(self) -> [F; N] {
        self.tangents
    }

    /// partial · tangents, where a factor that is exactly 0 gives 0 even if the other is inf or NaN. `unit` promises
    /// that the partial is 1 or -1, which needs no such care.
    ///
    /// The rare branch is inline, because a call would take the tangents' address and keep them in memory (see M25 in
    /// docs/MEASUREMENTS.md).
    #[inline(always)]
    fn push(self, unit: bool, partial: F) -> [F; N] {
        if !B::CAREFUL {
            return combined([(partial, self.tangents)]);
        }
        let tangents = self.tangents.map(|t| partial * t);
        if unit || all_finite(&tangents) { tangents } else { self.tangents.map(|t| partial.gated_mul(t)) }
    }

    // Forced in release builds alone: see M34 in docs/MEASUREMENTS.md.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn apply<R: UnaryRule<F::Base>>(self, rule: R) -> Self {
        let y = rule.eval(self.primal);
        Self::with_parts(y, self.push(R::UNIT, rule.partial(self.primal, y)))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn apply2<R: BinaryRule<F::Base>>(self, rule: R, other: Self) -> Self {
        let (a, b) = (self.primal, other.primal);
        let z = rule.eval(a, b);
        let (p, q) = (rule.partial_a(a, b, z), rule.partial_b(a, b, z));
        if !B::CAREFUL {
            return Self::with_parts(z, combined([(p, self.tangents), (q, other.tangents)]));
        }
        let tangents = std::array::from_fn(|i| p * self.tangents[i] + q * other.tangents[i]);
        if (R::UNIT[0] && R::UNIT[1]) || all_finite(&tangents) {
            return Self::with_parts(z, tangents);
        }
        let gated = |i: usize| p.gated_mul(self.tangents[i]) + q.gated_mul(other.tangents[i]);
        Self::with_parts(z, std::array::from_fn(gated))
    }

    /// [`apply2`](Self::apply2) where the right operand is a constant.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn apply_left<R: BinaryRule<F::Base>>(self, rule: R, b: F) -> Self {
        let z = rule.eval(self.primal, b);
        Self::with_parts(z, self.push(R::UNIT[0], rule.partial_a(self.primal, b, z)))
    }

    /// [`apply2`](Self::apply2) where the left operand is a constant.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn apply_right<R: BinaryRule<F::Base>>(rule: R, a: F, other: Self) -> Self {
        let z = rule.eval(a, other.primal);
        Self::with_parts(z, other.push(R::UNIT[1], rule.partial_b(a, other.primal, z)))
    }

    #[inline(always)]
    fn value(self) -> F {
        self.primal
    }

    #[inline(always)]
    fn lift(x: F) -> Self {
        Self::with_parts(x, [F::zero(); N])
    }
}

/// The sum of tangents times their partials, by loops: the closures of `map` and `from_fn` may stay calls within
/// others.
#[inline(always)]
fn combined<F: Real, const M: usize, const N: usize>(terms: [(F, [F; N]); M]) -> [F; N] {
    let mut sums = [F::zero(); N];
    for (m, (partial, tangents)) in terms.iter().enumerate() {
        for (sum, t) in sums.iter_mut().zip(tangents) {
            *sum = if m == 0 { *partial * *t } else { *sum + *partial * *t };
        }
    }
    sums
}

/// True if all tangents are finite. (False also if their sum overflows; callers then only take the careful way.)
///
/// An infinite or NaN tangent makes the sum infinite or NaN, and zero times the sum NaN. The sum in pairs vectorises.
#[inline(always)]
fn all_finite<F: Real, const N: usize>(tangents: &[F; N]) -> bool {
    let (mut sums, mut len) = (*tangents, N);
    while len > 1 {
        let half = len.div_ceil(2);
        for i in half..len {
            sums[i - half] += sums[i];
        }
        len = half;
    }
    sums.first().is_none_or(|sum| !(sum.to_base() * F::Base::zero()).is_nan())
}

/// The functions of the [table](crate::rules).
impl<F: Real, const N: usize, B: Mark> Dual<F, N, B> {
    for_each_rule!(inherent_rules);

    /// Sine and cosine, in radians.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn sin_cos(self) -> (Self, Self) {
        let (sin, cos) = Float::sin_cos(self.primal);
        (Self::with_parts(sin, self.push(false, cos)), Self::with_parts(cos, self.push(false, -sin)))
    }
}

impl<F: Real, const N: usize, B: Mark> From<F> for Dual<F, N, B> {
    fn from(primal: F) -> Self {
        Self::lift(primal)
    }
}

number_traits! { [F: Real, const N: usize, B: Mark] Dual<F, N, B>, F }

impl<F: Real, const N: usize, B: Mark> Float for Dual<F, N, B> {
    for_each_rule!(std_rules_by_apply);
    float_methods!(F);

    /// a b + c, where the primal is that of `mul_add` on primals.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn mul_add(self, b: Self, c: Self) -> Self {
        let primal = self.primal.mul_add(b.primal, c.primal);
        let tangents = (self * b + c).tangents;
        Self::with_parts(primal, tangents)
    }
}

impl<F: Real, const N: usize, B: Mark> Real for Dual<F, N, B> {
    type Base = F::Base;
    #[inline(always)]
    fn from_base(x: F::Base) -> Self {
        Self::lift(F::from_base(x))
    }
    #[inline(always)]
    fn to_base(self) -> F::Base {
        self.primal.to_base()
    }
    #[inline(always)]
    fn apply_rule<const K: usize>(rule: impl crate::number::Rule<F::Base, K>, operands: [Self; K]) -> Self {
        let primals = operands.map(Self::primal);
        let primal = F::apply_rule(rule, primals);
        let partials = rule.partials(primals, primal);
        let tangent = |i: usize| {
            let terms = partials.iter().zip(&operands);
            terms.fold(F::zero(), |sum, (partial, operand)| sum + partial.gated_mul(operand.tangents[i]))
        };
        Self::with_parts(primal, std::array::from_fn(tangent))
    }
    for_each_rule!(own_rules_by_apply);
}

impl<F: Real, const N: usize, B: Mark> Default for Dual<F, N, B> {
    fn default() -> Self {
        Self::zero()
    }
}

#[cfg(feature = "nalgebra")]
field_traits! { [F: Real, const N: usize, B: Mark] Dual<F, N, B> }
#[cfg(feature = "nalgebra")]
real_field! { [F: Real + Send + Sync + 'static, const N: usize] Dual<F, N> }

impl<F: Scalar, const N: usize> GemmScalar for Dual<F, N> {
    const LONGEST: usize = usize::MAX; // that of its parts
    fn product(c: MatMut<'_, Self>, a: Mat<'_, Self>, b: Mat<'_, Self>, update: Store) {
        planes::product(c, a, b, update);
    }
}

impl<F: Scalar, const N: usize> planes::Parts for Dual<F, N> {
    type Part = F;
    const PARTS: usize = N + 1;
    #[inline(always)]
    fn part(self, index: usize) -> F {
        if index == 0 { self.primal } else { self.tangents[index - 1] }
    }
    #[inline(always)]
    fn from_parts(part: impl Fn(usize) -> F) -> Self {
        Self::with_parts(part(0), std::array::from_fn(|i| part(i + 1)))
    }
    #[inline(always)]
    fn is_finite_part(part: F) -> bool {
        part.is_finite_throughout()
    }
    #[inline(always)]
    fn is_zero_part(part: F) -> bool {
        part.is_exact_zero()
    }
}

/// A dual number beside an array of dual numbers, as in `array * x`.
impl<F: Scalar, const N: usize> ndarray::ScalarOperand for Dual<F, N> {}

impl<F: Scalar, const N: usize> Scalar for Dual<F, N> {
    #[inline(always)]
    fn is_exact_zero(self) -> bool {
        self.primal.is_exact_zero() && self.tangents.iter().fold(true, |all, t| all & t.is_exact_zero())
    }
    #[inline(always)]
    fn product_is_safe(self) -> bool {
        self.primal.product_is_safe() && all_finite(&self.tangents)
    }
    #[inline(always)]
    fn with_base(self, value: Self::Base) -> Self {
        Self::with_parts(self.primal.with_base(value), self.tangents)
    }
    #[inline(always)]
    fn is_finite_throughout(self) -> bool {
        self.primal.is_finite_throughout() && self.tangents.iter().fold(true, |all, t| all & t.is_finite_throughout())
    }
    fn length_at_origin(x: impl Iterator<Item = Self> + Clone) -> Self {
        let tangent = |i: usize| Length::of(x.clone().map(move |x| x.tangents[i])).value;
        Self::with_parts(F::zero(), std::array::from_fn(tangent))
    }
    fn pull_from_origin(self, x: Self, length: Self) -> Self {
        let tangent = |i: usize| {
            let (dy, x, length) = (self.tangents[i], x.tangents[i], length.tangents[i]);
            if length == F::zero() { dy.pull_from_origin(x, length) } else { dy.gated_mul(x / length) }
        };
        Self::with_parts(F::zero(), std::array::from_fn(tangent))
    }
    // The primal decides alone, because `push` takes care of the tangents' products.
    #[inline(always)]
    fn is_finite_nonzero(self) -> bool {
        self.primal.is_finite_nonzero()
    }
    #[inline(always)]
    fn scale_partial(self, unit: bool, partial: Self) -> Self {
        if unit { partial } else { self * partial }
    }
    #[inline(always)]
    fn add_product(&mut self, a: Self, b: Self) {
        let product = a * b;
        self.primal += product.primal;
        for (sum, t) in self.tangents.iter_mut().zip(product.tangents) {
            *sum += t;
        }
    }
}

impl<F: fmt::Debug, const N: usize, B> fmt::Debug for Dual<F, N, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dual").field("primal", &self.primal).field("tangents", &self.tangents).finish()
    }
}

impl<F: Real, const N: usize, B: Mark> fmt::Display for Dual<F, N, B> {
    /// The primal, then the tangents: `0.5 + [1, 0]ε`.
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

operators! { [F: Real, const N: usize, B: Mark] Dual<F, N, B>, Dual<F, N, B> => Dual<F, N, B>, |rule, a, b| a.apply2(rule, b) }
operators! { [F: Real, const N: usize, B: Mark] Dual<F, N, B>, F => Dual<F, N, B>, |rule, a, b| a.apply_left(rule, b) }
operators! { [const N: usize, B: Mark] f64, Dual<f64, N, B> => Dual<f64, N, B>, |rule, a, b| Dual::apply_right(rule, a, b) }
operators! { [const N: usize, B: Mark] f32, Dual<f32, N, B> => Dual<f32, N, B>, |rule, a, b| Dual::apply_right(rule, a, b) }

// A number of an outer derivative on the left of a number of an inner one.
operators! { [F: Real, const M: usize, const N: usize, A: Mark, B: Mark] Dual<F, M, A>, Dual<Dual<F, M, A>, N, B> => Dual<Dual<F, M, A>, N, B>, |rule, a, b| Dual::apply_right(rule, a, b) }

/// Base floats beside dual numbers over dual numbers.
macro_rules! nested {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        operators! { [$($generics)*] $number, $base => $number, |rule, a, b| a.apply_left(rule, Real::from_base(b)) }
        operators! { [$($generics)*] $base, $number => $number, |rule, a, b| Dual::apply_right(rule, Real::from_base(a), b) }
        base_operands! { [$($generics)*] $base, $number }
    };
}
nested! { [const N: usize, const M: usize, B: Mark, C: Mark] f64, Dual<Dual<f64, M, C>, N, B> }
nested! { [const N: usize, const M: usize, B: Mark, C: Mark] f32, Dual<Dual<f32, M, C>, N, B> }

impl<F: Real, const N: usize, B: Mark> std::ops::Neg for Dual<F, N, B> {
    type Output = Self;
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn neg(self) -> Self {
        let mut tangents = self.tangents;
        for t in &mut tangents {
            *t = -*t;
        }
        Self::with_parts(-self.primal, tangents)
    }
}

impl<F: Real, const N: usize, B: Mark> Sum for Dual<F, N, B> {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        // -0 keeps the sign of zeros, as in the sum of floats.
        iter.fold(-<Self as num_traits::Zero>::zero(), |sum, x| sum + x)
    }
}

impl<F: Real, const N: usize, B: Mark> Product for Dual<F, N, B> {
    fn product<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(num_traits::One::one(), |product, x| product * x)
    }
}

impl<F: Real, L: Wrap<F>, const N: usize> Wrap<Dual<F, N>> for Dual<L, N> {
    #[inline(always)]
    fn wrap(x: Dual<F, N>) -> Self {
        Self::with_parts(L::wrap(x.primal), x.tangents.map(L::wrap))
    }
    #[inline(always)]
    fn unwrap(self) -> Dual<F, N> {
        Dual::with_parts(self.primal.unwrap(), self.tangents.map(L::unwrap))
    }
}

/// A kernel of dual numbers as one of their parts: the lanes of floats are those of the floats in dual numbers.
struct OfParts<K, const N: usize>(K);

impl<F: Real, K: Kernel<Dual<F, N>>, const N: usize> Kernel<F> for OfParts<K, N> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        self.0.run::<Dual<L, N>>();
    }
}

impl<F: Dispatch, const N: usize> Dispatch for Dual<F, N> {
    #[inline]
    fn dispatch_on(arch: Arch, kernel: impl Kernel<Self>) {
        F::dispatch_on(arch, OfParts(kernel));
    }
}
