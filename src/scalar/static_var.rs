//! The scalar handle without a lifetime, [`StaticVar`].

use std::cmp::Ordering;
use std::fmt;
use std::iter::{Product, Sum};

use num_traits::{Float, One, Zero};

use super::var::Var;
#[cfg(feature = "nalgebra")]
use crate::number::field::{field_traits, real_field};
use crate::number::macros::{
    base_operands, float_methods, inherent_rules, number_traits, operators, own_rules_by_apply, std_rules_by_apply,
};
use crate::number::rules::{BinaryRule, UnaryRule};
use crate::number::table::for_each_rule;
use crate::number::{Dual, Real, Rule};
use crate::tape::thread::{self, Innermost, NO_SCOPE};
use crate::tape::{SINK, StaticScalar, Tape};

/// A [`Var`] without a lifetime, for generic code that asks for `'static` numbers: that of nalgebra, of FFTs, of solvers.
///
/// It is `Copy`, `Send`, `Sync` and `'static`, has the operators and functions of `Var` from the same table, and with the
/// feature `nalgebra` it is a `RealField`. The functions in [`statics`](crate::statics) make such handles, on a tape
/// that belongs to the call and the thread, and return the derivatives.
///
/// ```
/// use wengert::{StaticVar, statics};
///
/// // Code from elsewhere, which knows nothing of this crate.
/// fn horner<T: num_traits::Num + Copy + 'static>(c: &[T], x: T) -> T {
///     c.iter().rev().fold(T::zero(), |sum, &c| sum * x + c)
/// }
/// let slope = statics::grad(|c| horner(c, StaticVar::constant(2.0)), &[5.0, 6.0, 7.0]);
/// assert_eq!(slope, [1.0, 2.0, 4.0]);
/// ```
///
/// A `Var` borrows its tape, so that a stale handle does not compile. A type without a lifetime cannot have that
/// guarantee; here every use looks whether the handle belongs to the innermost scope of the thread, and panics at the
/// caller's line if not. No use gives a number then.
///
/// ```should_panic
/// let mut kept = wengert::StaticVar::constant(0.0);
/// wengert::statics::grad(|x| { kept = x[0]; x[0] }, &[1.0]);
/// let _ = kept.sin(); // panics: the scope of `kept` has ended
/// ```
///
/// Where code does not ask for `'static`, `Var` is the better handle: it has gradients by handle, tensors, and the
/// compiler's checks. The two do not mix.
///
/// ```compile_fail,E0277
/// let tape = wengert::Tape::new();
/// let x = tape.var(1.0);
/// wengert::statics::grad(|y| y[0] * x, &[2.0]);
/// ```
#[derive(Clone, Copy)]
#[must_use = "operations change no variable in place; use the one that they return"]
pub struct StaticVar<F: StaticScalar = f64> {
    /// The scope of the handle, or [`NO_SCOPE`] for a constant.
    generation: u64,
    slot: u32,
    /// Slot, `node`, weight and value are those of a [`Var`].
    node: bool,
    weight: F,
    value: F,
}

/// The fields of a handle, for a call that is seldom: were the handle itself passed or returned by address, it would be
/// in memory on the way without the call, too.
type Parts<F> = (u64, u32, bool, F, F);

impl<F: StaticScalar> StaticVar<F> {
    /// A constant, which has no derivative and works with handles of any scope, and outside of scopes.
    #[inline(always)]
    pub fn constant(value: F) -> Self {
        Self { generation: NO_SCOPE, slot: SINK, node: false, weight: F::one(), value }
    }

    /// The handle of an input.
    #[inline(always)]
    pub(crate) fn input(generation: u64, slot: u32, value: F) -> Self {
        Self { generation, slot, node: true, weight: F::one(), value }
    }

    /// The primal.
    ///
    /// # Panics
    ///
    /// As every use of a handle, if it does not belong to the innermost scope of the thread and is no constant.
    #[doc(alias("item"))]
    #[inline(always)]
    #[track_caller]
    pub fn value(self) -> F {
        Self::scope([self]);
        self.value
    }

    /// A constant with the same value: no derivative of any order passes through it.
    #[doc(alias("stop_gradient"))]
    #[inline(always)]
    #[track_caller]
    pub fn detach(self) -> Self {
        Self::constant(F::from_base(self.value().to_base()))
    }

    /// True if this is a constant.
    #[inline(always)]
    pub fn is_constant(self) -> bool {
        self.generation == NO_SCOPE
    }

    /// True if the handle can be used here and now: it is a constant, or belongs to the thread's innermost scope.
    #[inline(always)]
    fn is_of(&self, innermost: &Innermost<F>) -> bool {
        self.generation == innermost.generation() || self.is_constant()
    }

    /// The innermost scope. Panics if a handle must not be used here and now.
    #[inline(always)]
    #[track_caller]
    fn scope<const N: usize>(handles: [Self; N]) -> Innermost<F> {
        let innermost = thread::innermost();
        for handle in handles {
            if !handle.is_of(&innermost) {
                handle.stale(&innermost).refuse();
            }
        }
        innermost
    }

    /// The handle on the tape of the innermost scope, of which it is.
    #[inline(always)]
    fn on(self, innermost: &Innermost<F>) -> Var<'_, F> {
        self.on_tape(innermost.tape_of(self.generation))
    }

    #[inline(always)]
    fn on_tape(self, tape: Option<&Tape<F>>) -> Var<'_, F> {
        Var::with_parts(tape, self.slot, self.node, self.weight, self.value)
    }

    /// The handle for a result on the tape of the innermost scope.
    #[inline(always)]
    fn of(var: Var<'_, F>, innermost: &Innermost<F>) -> Self {
        Self::of_generation(var, if var.is_constant() { NO_SCOPE } else { innermost.generation() })
    }

    /// The handle for a result: of this generation if it is on a tape, of [`NO_SCOPE`] if it is a constant.
    #[inline(always)]
    fn of_generation(var: Var<'_, F>, generation: u64) -> Self {
        Self { generation, slot: var.slot(), node: var.is_node(), weight: var.weight(), value: var.value() }
    }

    #[inline(always)]
    fn parts(self) -> Parts<F> {
        (self.generation, self.slot, self.node, self.weight, self.value)
    }

    #[inline(always)]
    fn from_parts((generation, slot, node, weight, value): Parts<F>) -> Self {
        Self { generation, slot, node, weight, value }
    }

    // An operation of one handle gives a constant just if the handle is one. So its result has the generation of the
    // handle, and where nothing is recorded, the tape is not looked at: see M33 in docs/MEASUREMENTS.md. Inlining is
    // not forced: see M34.

    #[inline]
    #[track_caller]
    fn apply<R: UnaryRule<F::Base>>(self, rule: R) -> Self {
        let scope = Self::scope([self]);
        Self::of_generation(self.on(&scope).apply(rule), self.generation)
    }

    #[inline]
    #[track_caller]
    fn apply2<R: BinaryRule<F::Base>>(self, rule: R, other: Self) -> Self {
        // The common case alone. The result is on the tape, and a node.
        let scope = thread::innermost();
        if self.generation == other.generation
            && let Some(tape) = scope.tape_of(self.generation)
            && let Some(z) = self.on_tape(Some(tape)).pair(rule, other.on_tape(Some(tape)), tape)
        {
            return Self::of_generation(z, self.generation);
        }
        Self::from_parts(Self::apply2_apart(rule, self.parts(), other.parts()))
    }

    /// Same as [`apply2`](Self::apply2) in every case. Called, because it is long: see M34.
    #[inline(never)]
    #[track_caller]
    fn apply2_apart<R: BinaryRule<F::Base>>(rule: R, a: Parts<F>, b: Parts<F>) -> Parts<F> {
        let (a, b) = (Self::from_parts(a), Self::from_parts(b));
        let scope = Self::scope([a, b]);
        Self::of(a.on(&scope).apply2(rule, b.on(&scope)), &scope).parts()
    }

    #[inline]
    #[track_caller]
    fn apply_left<R: BinaryRule<F::Base>>(self, rule: R, c: F) -> Self {
        let scope = Self::scope([self]);
        Self::of_generation(self.on(&scope).apply_left(rule, c), self.generation)
    }

    #[inline]
    #[track_caller]
    fn apply_right<R: BinaryRule<F::Base>>(rule: R, c: F, other: Self) -> Self {
        let scope = Self::scope([other]);
        Self::of_generation(Var::apply_right(rule, c, other.on(&scope)), other.generation)
    }

    /// The result of an operation of slices of `Var`s.
    #[track_caller]
    fn apply_slices<const N: usize>(
        operands: [&[Self]; N],
        operation: impl for<'t> FnOnce([&[Var<'t, F>]; N]) -> Var<'t, F>,
    ) -> Self {
        for operand in operands.into_iter().flatten() {
            Self::scope([*operand]);
        }
        let scope = thread::innermost();
        let vars = operands.map(|x| x.iter().map(|x| x.on(&scope)).collect::<Vec<_>>());
        Self::of(operation(vars.each_ref().map(Vec::as_slice)), &scope)
    }

    /// The value self · a + b with one rounding, recorded as one operation.
    #[inline]
    #[track_caller]
    pub fn mul_add(self, a: impl Into<Self>, b: impl Into<Self>) -> Self {
        let (a, b) = (a.into(), b.into());
        let scope = Self::scope([self, a, b]);
        Self::of(self.on(&scope).mul_add(a.on(&scope), b.on(&scope)), &scope)
    }

    /// Sine and cosine, in radians.
    #[inline]
    #[track_caller]
    pub fn sin_cos(self) -> (Self, Self) {
        let scope = Self::scope([self]);
        let (sin, cos) = self.on(&scope).sin_cos();
        (Self::of_generation(sin, self.generation), Self::of_generation(cos, self.generation))
    }

    /// The output of the innermost scope, on its tape.
    pub(crate) fn into_var(self, tape: &Tape<F>) -> Result<Var<'_, F>, Stale> {
        let innermost = thread::innermost();
        if !self.is_of(&innermost) {
            return Err(self.stale(&innermost));
        }
        Ok(self.on_tape(if self.is_constant() { None } else { Some(tape) }))
    }

    #[inline(always)]
    fn stale(self, innermost: &Innermost<F>) -> Stale {
        Stale { own: self.generation, innermost: innermost.generation() }
    }

    #[inline(always)]
    fn lift(value: F) -> Self {
        Self::constant(value)
    }
}

/// A handle of one scope that was used while another one is the innermost, or none.
pub(crate) struct Stale {
    own: u64,
    innermost: u64,
}

impl Stale {
    /// Panics with the reason.
    #[cold]
    #[inline(never)]
    #[track_caller]
    pub(crate) fn refuse(self) -> ! {
        let innermost = match self.innermost {
            NO_SCOPE => "this thread has no open scope".to_owned(),
            scope => format!("the innermost scope of this thread is scope {scope}"),
        };
        panic!(
            "the handle belongs to scope {} of `statics`, but {innermost}: a `StaticVar` is used within the call that made \
             it, on its thread, and not within an inner call; return what is needed from the closure, or pass `.value()` to \
             an inner call as a constant",
            self.own
        )
    }
}

/// The functions of the [table](crate::rules).
impl<F: StaticScalar> StaticVar<F> {
    for_each_rule!(inherent_rules);
}

impl<F: StaticScalar> From<F> for StaticVar<F> {
    fn from(value: F) -> Self {
        Self::constant(value)
    }
}

number_traits! { [F: StaticScalar] StaticVar<F>, F }
#[cfg(feature = "nalgebra")]
field_traits! { [F: StaticScalar] StaticVar<F> }
#[cfg(feature = "nalgebra")]
real_field! { [F: StaticScalar] StaticVar<F> }

/// A handle beside an array of handles, as in `array * x`.
impl<F: StaticScalar> ndarray::ScalarOperand for StaticVar<F> {}

impl<F: StaticScalar> Float for StaticVar<F> {
    for_each_rule!(std_rules_by_apply);
    float_methods!(F);

    #[inline(always)]
    #[track_caller]
    fn mul_add(self, a: Self, b: Self) -> Self {
        StaticVar::mul_add(self, a, b)
    }
}

impl<F: StaticScalar> Real for StaticVar<F> {
    type Base = F::Base;
    #[inline(always)]
    fn from_base(x: F::Base) -> Self {
        Self::constant(F::from_base(x))
    }
    #[inline(always)]
    #[track_caller]
    fn to_base(self) -> F::Base {
        self.value().to_base()
    }
    #[inline]
    #[track_caller]
    fn apply_rule<const N: usize>(rule: impl Rule<F::Base, N>, operands: [Self; N]) -> Self {
        let scope = Self::scope(operands);
        Self::of(Real::apply_rule(rule, operands.map(|x| x.on(&scope))), &scope)
    }
    #[track_caller]
    fn dot_of(a: &[Self], b: &[Self]) -> Self {
        Self::apply_slices([a, b], |[a, b]| Real::dot_of(a, b))
    }
    #[track_caller]
    fn norm_of(x: &[Self]) -> Self {
        Self::apply_slices([x], |[x]| Real::norm_of(x))
    }
    #[track_caller]
    fn log_sum_exp_of(x: &[Self]) -> Self {
        Self::apply_slices([x], |[x]| Real::log_sum_exp_of(x))
    }
    for_each_rule!(own_rules_by_apply);
}

operators! { [F: StaticScalar] StaticVar<F>, StaticVar<F> => StaticVar<F>, |rule, a, b| a.apply2(rule, b) }
operators! { [F: StaticScalar] StaticVar<F>, F => StaticVar<F>, |rule, a, b| a.apply_left(rule, b) }

/// Plain numbers beside handles.
macro_rules! literals {
    ($($F:ident),+) => { $(
        operators! { [] $F, StaticVar<$F> => StaticVar<$F>, |rule, a, b| StaticVar::apply_right(rule, a, b) }
        operators! { [] Dual<$F>, StaticVar<Dual<$F>> => StaticVar<Dual<$F>>, |rule, a, b| StaticVar::apply_right(rule, a, b) }
        operators! { [] StaticVar<Dual<$F>>, $F => StaticVar<Dual<$F>>, |rule, a, b| a.apply_left(rule, Real::from_base(b)) }
        operators! { [] $F, StaticVar<Dual<$F>> => StaticVar<Dual<$F>>, |rule, a, b| StaticVar::apply_right(rule, Real::from_base(a), b) }
        base_operands! { [] $F, StaticVar<Dual<$F>> }
    )+ };
}
literals! { f32, f64 }

/// The constant 0, as a start for sums.
impl<F: StaticScalar> Default for StaticVar<F> {
    fn default() -> Self {
        Self::zero()
    }
}

impl<F: StaticScalar> std::ops::Neg for StaticVar<F> {
    type Output = Self;
    #[inline]
    #[track_caller]
    fn neg(self) -> Self {
        let scope = Self::scope([self]);
        Self::of_generation(-self.on(&scope), self.generation)
    }
}

impl<F: StaticScalar> std::ops::Neg for &StaticVar<F> {
    type Output = StaticVar<F>;
    #[inline(always)]
    #[track_caller]
    fn neg(self) -> StaticVar<F> {
        -*self
    }
}

impl<F: StaticScalar> Sum for StaticVar<F> {
    /// The sum, as one node.
    #[inline(always)]
    #[track_caller]
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        // A closure would hide the caller's line, so a stale handle ends the sum first. The iterator may run code that
        // opens scopes; between two elements the innermost one is that of now.
        let (scope, mut stale) = (thread::innermost(), None);
        let current = |x: Self| {
            if !x.is_of(&scope) {
                stale = Some(x.stale(&scope));
                return None;
            }
            Some(x.on(&scope))
        };
        let sum = Self::of(iter.map_while(current).sum(), &scope);
        match stale {
            Some(stale) => stale.refuse(),
            None => sum,
        }
    }
}

impl<'a, F: StaticScalar> Sum<&'a StaticVar<F>> for StaticVar<F> {
    #[inline(always)]
    #[track_caller]
    fn sum<I: Iterator<Item = &'a StaticVar<F>>>(iter: I) -> Self {
        iter.copied().sum()
    }
}

impl<F: StaticScalar> Product for StaticVar<F> {
    /// The product, by multiplications in order. The derivatives are exact also where factors are 0.
    #[inline]
    #[track_caller]
    fn product<I: Iterator<Item = Self>>(iter: I) -> Self {
        // A loop, because a closure would hide the caller's line.
        let mut product = Self::one();
        for x in iter {
            product *= x;
        }
        product
    }
}

impl<'a, F: StaticScalar> Product<&'a StaticVar<F>> for StaticVar<F> {
    #[inline]
    #[track_caller]
    fn product<I: Iterator<Item = &'a StaticVar<F>>>(iter: I) -> Self {
        iter.copied().product()
    }
}

impl<F: StaticScalar> StaticVar<F> {
    /// Writes the value, or "stale" for a handle that must not be used here and now: a message should not panic, nor
    /// print a number that the handle would refuse to give.
    fn write(&self, f: &mut fmt::Formatter<'_>, value: fn(&F, &mut fmt::Formatter<'_>) -> fmt::Result) -> fmt::Result {
        if self.is_of(&thread::innermost()) { value(&self.value, f) } else { f.write_str("stale") }
    }
}

impl<F: StaticScalar> fmt::Display for StaticVar<F> {
    /// The value, with the formatter's options; `stale` where the handle must not be used.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, fmt::Display::fmt)
    }
}

impl<F: StaticScalar> fmt::LowerExp for StaticVar<F>
where
    F: fmt::LowerExp,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, fmt::LowerExp::fmt)
    }
}

#[allow(clippy::missing_fields_in_debug)] // as `Var`, whose `node` tells a user nothing
impl<F: StaticScalar> fmt::Debug for StaticVar<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_of(&thread::innermost()) {
            return f.debug_struct("StaticVar").field("stale", &true).field("scope", &self.generation).finish();
        }
        let mut var = f.debug_struct("StaticVar");
        var.field("value", &self.value);
        if !self.is_constant() {
            var.field("slot", &self.slot).field("weight", &self.weight).field("scope", &self.generation);
        }
        var.finish()
    }
}
