//! The scalar handle [`Var`], and the inputs of a tape.

use std::cmp::Ordering;
use std::fmt;

use num_traits::{Float, One, Zero};

use super::fuse;
#[cfg(feature = "nalgebra")]
use crate::number::field::field_traits;
use crate::number::macros::{
    base_operands, float_methods, for_each_dual, inherent_rules, number_traits, operators, own_rules_by_apply,
    std_rules_by_apply,
};
use crate::number::rules::{BinaryRule, UnaryRule};
use crate::number::table::for_each_rule;
use crate::number::{Dual, Mark, Real, Scalar, Taylor, leaves_origin};
use crate::tape::{SINK, Tape};

/// A number on a [`Tape`], or a constant, which needs no tape.
///
/// `Var` is `Copy` and works with every operator and function: with other `Var`s of the same tape and with plain
/// numbers on either side. A function of one variable records nothing: the handle carries its derivative with respect
/// to a slot of the tape as a pending weight. An operation on two different slots appends a record.
///
/// ```
/// use wengert::Tape;
///
/// let tape = Tape::new();
/// let [x, y] = tape.vars([0.5, 2.0_f64]);
/// let f = 2.0 * x.sin() / y + (x * y).exp() - 1.0;
/// let gradient = f.backward();
/// assert!((gradient[x] - (0.5_f64.cos() + 2.0 * 1_f64.exp())).abs() < 1e-12);
/// ```
///
/// A variable that collects others begins as a constant, because a literal `0.0` is an `f64` and stays one; so does the
/// other branch of an `if`:
///
/// ```
/// use wengert::{Var, grad};
///
/// let g = grad(|x| {
///     let mut sum = Var::constant(0.0); // or Var::default()
///     for v in x {
///         sum += if *v > 0.0 { v * v } else { Var::constant(0.0) };
///     }
///     sum
/// }, &[1.0, -2.0, 3.0]);
/// assert_eq!(g, [2.0, 0.0, 6.0]);
/// ```
///
/// ```compile_fail,E0277
/// wengert::grad(|x| {
///     let mut sum = 0.0;
///     for v in x {
///         sum += v * v;
///     }
///     sum
/// }, &[1.0, -2.0, 3.0]);
/// ```
///
/// Handles of two tapes do not mix:
///
/// ```should_panic
/// let (a, b) = (wengert::Tape::new(), wengert::Tape::new());
/// let _ = a.var(1.0) + b.var(2.0); // panics here and names both tapes
/// ```
///
/// A handle does not outlive its tape:
///
/// ```compile_fail,E0597
/// let x = {
///     let tape = wengert::Tape::new();
///     tape.var(1.0)
/// };
/// println!("{x}");
/// ```
///
/// and is not sent to another thread, because the tape is not shared:
///
/// ```compile_fail,E0277
/// let tape = wengert::Tape::new();
/// let x = tape.var(1.0);
/// std::thread::scope(|scope| { scope.spawn(move || x.sin()); });
/// ```
#[derive(Clone, Copy)]
#[must_use = "operations change no variable in place; use the one that they return"]
pub struct Var<'t, F: Scalar = f64> {
    /// The tape, or `None` for a constant.
    tape: Option<&'t Tape<F>>,
    slot: u32,
    /// True if the handle is a node: it stands for the slot itself, whose adjoint is the handle's own.
    node: bool,
    /// The pending weight: d(self) = weight · d(slot). It is finite, in value and tangents, if the value is: an infinite
    /// or NaN partial has a record, whose adjoint is complete before the sweep multiplies it, so that cotangents that
    /// cancel stay zero.
    weight: F,
    value: F,
}

impl<'t, F: Scalar> Var<'t, F> {
    /// A constant, which has no derivative and works with handles of any tape.
    #[inline(always)]
    pub fn constant(value: F) -> Self {
        Self { tape: None, slot: SINK, node: false, weight: F::one(), value }
    }

    /// The handle of a slot: a node with this value.
    #[inline(always)]
    pub(crate) fn on(tape: &'t Tape<F>, slot: u32, value: F) -> Self {
        Self { tape: Some(tape), slot, node: true, weight: F::one(), value }
    }

    /// The handle with these parts; slot and weight are those of a handle of the tape.
    #[inline(always)]
    pub(super) fn with_parts(tape: Option<&'t Tape<F>>, slot: u32, node: bool, weight: F, value: F) -> Self {
        Self { tape, slot, node, weight, value }
    }

    /// The primal. On a tape of dual numbers it has its tangents, so that a constant made from it does not stop second
    /// derivatives; [`detach`](Self::detach) does.
    #[doc(alias("item"))]
    #[inline(always)]
    pub fn value(self) -> F {
        self.value
    }

    /// A constant with the same value: no derivative of any order passes through it. On a tape of dual numbers it has no
    /// tangents.
    ///
    /// ```
    /// // The derivative of x · c is c, and the second derivative 0.
    /// let product = wengert::hvp(|x| x[0] * x[0].detach(), &[3.0], &[1.0]);
    /// assert_eq!(product, [0.0]);
    /// ```
    #[doc(alias("stop_gradient"))]
    #[inline(always)]
    pub fn detach(self) -> Self {
        Self::constant(F::from_base(self.value.to_base()))
    }

    /// True if this is a constant.
    #[inline(always)]
    pub fn is_constant(self) -> bool {
        self.tape.is_none()
    }

    #[inline(always)]
    pub(crate) fn tape(&self) -> Option<&'t Tape<F>> {
        self.tape
    }

    #[inline(always)]
    pub(crate) fn slot(&self) -> u32 {
        self.slot
    }

    /// The pending weight: d(self) = weight · d(slot).
    #[inline(always)]
    pub(crate) fn weight(&self) -> F {
        self.weight
    }

    /// True if the handle stands for its slot itself.
    #[inline(always)]
    pub(crate) fn is_node(&self) -> bool {
        self.node
    }

    /// True if this is a handle of the tape. It takes one comparison: a constant has the null pointer.
    #[inline(always)]
    fn is_on(&self, tape: &Tape<F>) -> bool {
        self.tape.map_or(std::ptr::null(), std::ptr::from_ref) == std::ptr::from_ref(tape)
    }

    #[inline(always)]
    pub(crate) fn is_node_of(&self, tape: &Tape<F>) -> bool {
        self.node && self.is_on(tape)
    }

    #[inline(always)]
    fn lift(value: F) -> Self {
        Self::constant(value)
    }

    /// Records an intermediate value as a node of the tape, so that a [`Gradient`](crate::Gradient) has its derivative.
    ///
    /// The rest of the computation must use the returned handle. Inputs and constants are returned as they are.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// let x = tape.var(2.0);
    /// let h = x.square().retain();
    /// let gradient = (3.0 * h).backward();
    /// assert_eq!((gradient[h], gradient[x]), (3.0, 12.0));
    /// ```
    #[inline]
    #[track_caller]
    pub fn retain(self) -> Self {
        match self.tape {
            Some(tape) if !self.node => {
                Self::on(tape, tape.records().push([self.slot, SINK], [self.weight, F::zero()]), self.value)
            }
            _ => self,
        }
    }

    /// The value y = rule(self): multiplies the pending weight by the partial.
    #[inline(always)]
    pub(crate) fn apply<R: UnaryRule<F::Base>>(self, rule: R) -> Self {
        let y = rule.eval(self.value);
        if R::LENGTH && leaves_origin(y, [self.value].into_iter()) {
            return fuse::norm_of(&[self]);
        }
        self.chain_by([R::UNIT, R::FINITE], rule.partial(self.value, y), y)
    }

    /// The handle with this value and with derivative `partial` with respect to `self`.
    #[inline(always)]
    pub(crate) fn chain(self, partial: F, value: F) -> Self {
        self.chain_by([false; 2], partial, value)
    }

    /// Same as [`chain`](Self::chain), but if `unit`, the partial is 1 or -1, so that the product with the weight needs
    /// no check; and if `finite`, the partial is finite unless the value is not, so that it needs none by itself.
    /// Callers pass constants: see M7 in docs/MEASUREMENTS.md.
    #[inline(always)]
    fn chain_by(self, [unit, finite]: [bool; 2], partial: F, value: F) -> Self {
        let weight = if unit { self.weight * partial } else { self.weight.scale_partial(self.node, partial) };
        if unit || (finite && self.node) || weight.product_is_safe() || (self.node && weight.is_finite_throughout()) {
            return Self { tape: self.tape, slot: self.slot, node: false, weight, value };
        }
        let (slot, weight) = record_weight(self.tape, self.slot, self.weight, partial);
        Self { tape: self.tape, slot, node: false, weight, value }
    }

    /// The edge of `partial · self`: a slot, and the weight with respect to it.
    #[inline(always)]
    pub(crate) fn edge(self, partial: F) -> (u32, F) {
        let weight = self.weight.scale_partial(self.node, partial);
        if self.node || weight.product_is_safe() {
            return (self.slot, weight);
        }
        record_edge(self.tape, self.slot, self.weight, partial)
    }

    /// The weight of the edge of `partial · self`; `None` if this is not a handle of the tape, or if
    /// [`edge`](Self::edge) has to look closer at the product.
    #[inline(always)]
    pub(crate) fn edge_on(&self, tape: &Tape<F>, partial: F) -> Option<F> {
        if !self.is_on(tape) {
            return None;
        }
        let weight = self.weight.scale_partial(self.node, partial);
        if self.node || weight.product_is_safe() { Some(weight) } else { None }
    }

    /// The value z = rule(self, other): appends a record, or adds the weights if both operands have one slot.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn apply2<R: BinaryRule<F::Base>>(self, rule: R, other: Self) -> Self {
        let (a, b) = (self.value, other.value);
        let z = rule.eval(a, b);
        if R::LENGTH && leaves_origin(z, [a, b].into_iter()) {
            return fuse::norm_of(&[self, other]);
        }
        match (self.tape, other.tape) {
            (Some(tape), _) if other.is_on(tape) => {
                let (p, q) = (rule.partial_a(a, b, z), rule.partial_b(a, b, z));
                let (v, w) = (self.weight.scale_partial(self.node, p), other.weight.scale_partial(other.node, q));
                if self.slot == other.slot {
                    let weight = v + w;
                    if weight.product_is_safe() {
                        return Self { node: false, weight, value: z, ..self };
                    }
                } else if (R::UNIT[0] || self.node || v.product_is_safe())
                    && (R::UNIT[1] || other.node || w.product_is_safe())
                {
                    return Self::on(tape, tape.records().push([self.slot, other.slot], [v, w]), z);
                }
                let (slot, weight, node) =
                    record_pair((self.slot, self.weight, p), (other.slot, other.weight, q), tape);
                Self { tape: self.tape, slot, node, weight, value: z }
            }
            (Some(tape), Some(other_tape)) => two_tapes(tape, other_tape),
            (Some(_), None) => self.chain_by([R::UNIT[0], R::FINITE], rule.partial_a(a, b, z), z),
            (None, Some(_)) => other.chain_by([R::UNIT[1], R::FINITE], rule.partial_b(a, b, z), z),
            (None, None) => Self::constant(z),
        }
    }

    /// Same as [`apply2`](Self::apply2) for two handles of the tape in the common case: two slots, and edges that need no
    /// care. `None` otherwise. Shorter than `apply2`, for callers that are many: see M34 in docs/MEASUREMENTS.md.
    #[inline(always)]
    #[track_caller]
    #[allow(clippy::needless_bitwise_bool)] // `||` is a branch
    pub(super) fn pair<R: BinaryRule<F::Base>>(self, rule: R, other: Self, tape: &'t Tape<F>) -> Option<Self> {
        let (a, b) = (self.value, other.value);
        let z = rule.eval(a, b);
        let (p, q) = (rule.partial_a(a, b, z), rule.partial_b(a, b, z));
        // Without branches, each of which would be a block of its own. The weight of a node is 1.
        let (v, w) = (self.weight * p, other.weight * q);
        let safe = (R::UNIT[0] | v.product_is_safe()) & (R::UNIT[1] | w.product_is_safe());
        if !safe | (self.slot == other.slot) || (R::LENGTH && leaves_origin(z, [a, b].into_iter())) {
            return None;
        }
        Some(Self::on(tape, tape.records().push([self.slot, other.slot], [v, w]), z))
    }

    /// The value z = rule(self, c) for a plain number c.
    #[inline(always)]
    pub(super) fn apply_left<R: BinaryRule<F::Base>>(self, rule: R, c: F) -> Self {
        let z = rule.eval(self.value, c);
        self.chain_by([R::UNIT[0], R::FINITE], rule.partial_a(self.value, c, z), z)
    }

    /// The value z = rule(c, other) for a plain number c.
    #[inline(always)]
    pub(super) fn apply_right<R: BinaryRule<F::Base>>(rule: R, c: F, other: Self) -> Self {
        let z = rule.eval(c, other.value);
        other.chain_by([R::UNIT[1], R::FINITE], rule.partial_b(c, other.value, z), z)
    }

    /// True if [`edge`](Self::edge) would append a record.
    #[inline(always)]
    pub(crate) fn needs_record(self, partial: F) -> bool {
        !(self.weight * partial).product_is_safe() && needs_record(self.weight, partial)
    }

    /// The value self · a + b with one rounding, recorded as one operation.
    #[inline(always)]
    #[track_caller]
    pub fn mul_add(self, a: impl Into<Self>, b: impl Into<Self>) -> Self {
        let (a, b) = (a.into(), b.into());
        let value = Float::mul_add(self.value, a.value, b.value);
        record(value, [(self, a.value), (a, self.value), (b, F::one())])
    }

    /// The value `f(x)` with the derivatives of x itself, in every order, so that gradients pass a step function (the
    /// straight-through estimator of Bengio, Léonard and Courville 2013, arXiv:1308.3432).
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let x = tape.var(1.7_f64);
    /// let y = x.straight_through(f64::round) * 3.0;
    /// assert_eq!((y.value(), y.backward()[x]), (6.0, 3.0));
    /// ```
    #[inline]
    pub fn straight_through(self, f: impl FnOnce(F) -> F) -> Self {
        self.chain(F::one(), self.value.with_base(f(self.value).to_base()))
    }

    /// Sine and cosine, in radians.
    #[inline(always)]
    pub fn sin_cos(self) -> (Self, Self) {
        let (sin, cos) = Float::sin_cos(self.value);
        (self.chain(cos, sin), self.chain(-sin, cos))
    }
}

// The two cold functions below take numbers, not handles: a handle passed by address would have to be in memory on the
// fast path too (see M8 in docs/MEASUREMENTS.md).

/// The edge of `partial · handle` if the product of weight and partial is 0, subnormal, infinite or NaN.
///
/// The weight must not over- or underflow where the sweep, which multiplies from the other end, would not. Such a
/// product is left to the sweep: a record keeps the handle's weight, and the partial is the weight of the edge.
#[cold]
#[inline(never)]
fn record_edge<F: Scalar>(tape: Option<&Tape<F>>, slot: u32, weight: F, partial: F) -> (u32, F) {
    let Some(tape) = tape else { return (SINK, F::one()) };
    if needs_record(weight, partial) {
        (tape.records().push([slot, SINK], [weight, F::zero()]), partial)
    } else {
        // With a factor of 0 or a weight of 1 the product is exact. A zero silences inf and NaN.
        (slot, if weight.is_exact_zero() || partial.is_exact_zero() { F::zero() } else { weight * partial })
    }
}

/// Slot and pending weight of a value with this partial with respect to a handle, if the product of weight and partial
/// is 0, subnormal, infinite or NaN.
#[cold]
#[inline(never)]
fn record_weight<F: Scalar>(tape: Option<&Tape<F>>, slot: u32, weight: F, partial: F) -> (u32, F) {
    let (slot, weight) = record_edge(tape, slot, weight, partial);
    match tape {
        Some(tape) if !weight.is_finite_throughout() => {
            (tape.records().push([slot, SINK], [weight, F::zero()]), F::one())
        }
        _ => (slot, weight),
    }
}

/// True if the product of a handle's weight and a partial lost something that the sweep would keep.
#[inline]
fn needs_record<F: Scalar>(weight: F, partial: F) -> bool {
    let exact = weight.is_exact_zero() || partial.is_exact_zero() || (weight - F::one()).is_exact_zero();
    !exact && !(weight * partial).product_is_safe()
}

/// Slot, weight and `node` of a value with two operands (slot, weight, partial). Called if an operand may need
/// [`record_edge`], or if the weights with respect to a common slot add up to an unsafe number.
#[cold]
#[inline(never)]
fn record_pair<F: Scalar>((s, v, p): (u32, F, F), (t, w, q): (u32, F, F), tape: &Tape<F>) -> (u32, F, bool) {
    let same = s == t && (v - w).is_exact_zero() && (needs_record(v, p) || needs_record(w, q));
    let ((s, v), (t, w)) = if same {
        // One record for both, so that edges that cancel do so before the weight multiplies them.
        let slot = tape.records().push([s, SINK], [v, F::zero()]);
        ((slot, p), (slot, q))
    } else {
        (record_edge(Some(tape), s, v, p), record_edge(Some(tape), t, w, q))
    };
    if s == t && (v + w).is_exact_zero() {
        return (s, F::zero(), false);
    }
    (tape.records().push([s, t], [v, w]), F::one(), true)
}

/// Panics because two operands belong to different tapes.
#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn two_tapes<F: Scalar>(a: &Tape<F>, b: &Tape<F>) -> ! {
    panic!(
        "the operands belong to two tapes: the left one to tape {a:p} ({} slots), the right one to tape {b:p} ({} slots); \
         record both on one tape, or pass one as a constant with `.detach()`",
        a.len(),
        b.len()
    )
}

/// The common tape of two operands; `None` if both are constants. Panics if there are two tapes.
#[inline(always)]
#[track_caller]
pub(crate) fn common_tape<'t, F: Scalar>(mine: Option<&'t Tape<F>>, other: Option<&'t Tape<F>>) -> Option<&'t Tape<F>> {
    match (mine, other) {
        (Some(a), Some(b)) if !std::ptr::eq(a, b) => two_tapes(a, b),
        (Some(_), _) => mine,
        (None, _) => other,
    }
}

/// The node with the given value and (operand, partial) pairs.
#[inline(always)]
#[track_caller]
pub(crate) fn record<'t, F: Scalar, const N: usize>(value: F, operands: [(Var<'t, F>, F); N]) -> Var<'t, F> {
    let mut terms = [(SINK, F::zero()); N];
    if let Some(tape) = operands.first().and_then(|(operand, _)| operand.tape()) {
        let mut ready = true;
        for (term, (operand, partial)) in terms.iter_mut().zip(&operands) {
            let Some(weight) = operand.edge_on(tape, *partial) else {
                ready = false;
                break;
            };
            *term = (operand.slot(), weight);
        }
        if ready {
            return Var::on(tape, tape.records().push_row(terms), value);
        }
    }
    // A copy: operands passed by address would have to be in memory above, too.
    record_apart::<F, N>(value, std::array::from_fn(|i| operands[i]))
}

/// Same as [`record`], but for operands with constants among them or with weights that need care. A constant adds to
/// the sink, so that the loop unrolls.
#[inline(never)]
#[track_caller]
fn record_apart<'t, F: Scalar, const N: usize>(value: F, operands: [(Var<'t, F>, F); N]) -> Var<'t, F> {
    let mut tape = None;
    let mut terms = [(SINK, F::zero()); N];
    for (term, (operand, partial)) in terms.iter_mut().zip(operands) {
        tape = common_tape(tape, operand.tape());
        *term = operand.edge(partial);
    }
    tape.map_or(Var::constant(value), |tape| Var::on(tape, tape.records().push_row(terms), value))
}

impl<F: Scalar> Tape<F> {
    /// An input with value `x`.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let x = tape.var(0.5);
    /// assert_eq!(x.sin().backward()[x], 0.5_f64.cos());
    /// ```
    #[inline]
    #[track_caller]
    pub fn var(&self, x: F) -> Var<'_, F> {
        Var::on(self, self.input_slots(1), x)
    }

    /// Inputs with the values of an array.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let [x, y] = tape.vars([3.0, 4.0]);
    /// assert_eq!(x.hypot(y).backward().wrt([x, y]), [0.6, 0.8]);
    /// ```
    #[inline]
    #[track_caller]
    pub fn vars<const N: usize>(&self, values: [F; N]) -> [Var<'_, F>; N] {
        let first = self.input_slots(N);
        std::array::from_fn(|i| Var::on(self, first + i as u32, values[i]))
    }

    /// Inputs with the values of a slice. The memory of the handles belongs to the tape.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let x = tape.vars_from(&[1.0, 2.0, 3.0]);
    /// let loss = wengert::dot(x, x);
    /// assert_eq!(loss.backward().wrt(x), [2.0, 4.0, 6.0]);
    /// ```
    #[track_caller]
    pub fn vars_from(&self, values: &[F]) -> &[Var<'_, F>] {
        // The slots come last: memory for the handles may be refused.
        let first = self.slots() as u32;
        let vars = |i: usize| Var::on(self, first.wrapping_add(i as u32), values[i]);
        let vars = self.arena().alloc_slice_fill_with(values.len(), vars);
        self.input_slots(values.len());
        vars
    }
}

/// The functions of the [table](crate::rules).
impl<F: Scalar> Var<'_, F> {
    for_each_rule!(inherent_rules);
}

impl<F: Scalar> From<F> for Var<'_, F> {
    fn from(value: F) -> Self {
        Self::constant(value)
    }
}

number_traits! { ['t, F: Scalar] Var<'t, F>, F }
#[cfg(feature = "nalgebra")]
field_traits! { ['t, F: Scalar] Var<'t, F> }

impl<F: Scalar> Float for Var<'_, F> {
    for_each_rule!(std_rules_by_apply);
    float_methods!(F);

    #[inline(always)]
    #[track_caller]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Var::mul_add(self, a, b)
    }
}

impl<F: Scalar> Real for Var<'_, F> {
    type Base = F::Base;
    #[inline(always)]
    fn from_base(x: F::Base) -> Self {
        Self::constant(F::from_base(x))
    }
    #[inline(always)]
    fn to_base(self) -> F::Base {
        self.value.to_base()
    }
    #[inline]
    #[track_caller]
    fn apply_rule<const N: usize>(rule: impl crate::number::Rule<F::Base, N>, operands: [Self; N]) -> Self {
        let values = operands.map(Self::value);
        let value = F::apply_rule(rule, values);
        let partials = rule.partials(values, value);
        record::<_, N>(value, std::array::from_fn(|i| (operands[i], partials[i])))
    }
    #[inline]
    #[track_caller]
    fn dot_of(a: &[Self], b: &[Self]) -> Self {
        fuse::dot_of(a, b)
    }
    #[inline]
    #[track_caller]
    fn norm_of(x: &[Self]) -> Self {
        fuse::norm_of(x)
    }
    #[inline]
    #[track_caller]
    fn log_sum_exp_of(x: &[Self]) -> Self {
        fuse::log_sum_exp_of(x)
    }
    for_each_rule!(own_rules_by_apply);
}

operators! { ['t, F: Scalar] Var<'t, F>, Var<'t, F> => Var<'t, F>, |rule, a, b| a.apply2(rule, b) }
operators! { ['t, F: Scalar] Var<'t, F>, F => Var<'t, F>, |rule, a, b| a.apply_left(rule, b) }
operators! { ['t] f64, Var<'t, f64> => Var<'t, f64>, |rule, a, b| Var::apply_right(rule, a, b) }
operators! { ['t] f32, Var<'t, f32> => Var<'t, f32>, |rule, a, b| Var::apply_right(rule, a, b) }
operators! { ['t, F: Scalar, const N: usize] Dual<F, N>, Var<'t, Dual<F, N>> => Var<'t, Dual<F, N>>, |rule, a, b| Var::apply_right(rule, a, b) }
operators! { ['t, F: Scalar, const N: usize, B: Mark] Var<'t, F>, Dual<Var<'t, F>, N, B> => Dual<Var<'t, F>, N, B>, |rule, a, b| Dual::apply_right(rule, a, b) }
operators! { ['t, F: Scalar, const N: usize, B: Mark] Var<'t, F>, Taylor<Var<'t, F>, N, B> => Taylor<Var<'t, F>, N, B>, |rule, a, b| Taylor::from(a).apply2(rule, b) }

// Plain numbers beside handles on a tape of dual numbers, such as the literals of a function.
macro_rules! literals {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        operators! { ['t, $($generics)*] Var<'t, $number>, $base => Var<'t, $number>, |rule, a, b| a.apply_left(rule, Real::from_base(b)) }
        operators! { ['t, $($generics)*] $base, Var<'t, $number> => Var<'t, $number>, |rule, a, b| Var::apply_right(rule, Real::from_base(a), b) }
        base_operands! { ['t, $($generics)*] $base, Var<'t, $number> }
    };
}
for_each_dual! { literals }

// Plain numbers beside forward mode over handles.
macro_rules! literals_over_handles {
    ($($base:ty, $Number:ident);+) => { $(
        operators! { ['t, const N: usize, B: Mark] $Number<Var<'t, $base>, N, B>, $base => $Number<Var<'t, $base>, N, B>, |rule, a, b| a.apply2(rule, Real::from_base(b)) }
        operators! { ['t, const N: usize, B: Mark] $base, $Number<Var<'t, $base>, N, B> => $Number<Var<'t, $base>, N, B>, |rule, a, b| $Number::apply2(Real::from_base(a), rule, b) }
        base_operands! { ['t, const N: usize, B: Mark] $base, $Number<Var<'t, $base>, N, B> }
    )+ };
}
literals_over_handles! { f64, Dual; f32, Dual; f64, Taylor; f32, Taylor }

/// The constant 0, as a start for sums.
impl<F: Scalar> Default for Var<'_, F> {
    fn default() -> Self {
        Self::zero()
    }
}

impl<F: Scalar> std::ops::Neg for Var<'_, F> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.chain_by([true; 2], -F::one(), -self.value)
    }
}

impl<'t, F: Scalar> std::ops::Neg for &Var<'t, F> {
    type Output = Var<'t, F>;
    #[inline(always)]
    fn neg(self) -> Self::Output {
        -*self
    }
}

impl<F: Scalar> fmt::Display for Var<'_, F> {
    /// The value, with the formatter's options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)
    }
}

impl<F: Scalar> fmt::LowerExp for Var<'_, F>
where
    F: fmt::LowerExp,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerExp::fmt(&self.value, f)
    }
}

impl<F: Scalar> fmt::Debug for Var<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut var = f.debug_struct("Var");
        var.field("value", &self.value);
        if self.tape.is_some() {
            var.field("slot", &self.slot).field("weight", &self.weight);
        }
        var.finish()
    }
}
