//! [`Recorded`]: the number type that writes down its operations.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::iter::{Product, Sum};
use std::panic::Location;

use num_traits::{Float, One, Zero};

use super::path::Path;
use super::recording::Recording;
use super::step::{Comparison, Source, Step, Test};
use super::steps::{LastRows, MAX_SOURCES, bits};
use crate::number::macros::{
    float_methods, inherent_rules, number_traits, operators, own_rules_by_apply, std_rules_by_apply,
};
use crate::number::rules::{BinaryOp, BinaryRule, UnaryOp, UnaryRule};
use crate::number::table::for_each_rule;
use crate::number::{BaseFloat, Real};

/// The largest number of operations, and of comparisons, on one path of numbers without values.
const MAX_STEPS: usize = 1 << 18;

/// The list on which [`Recorded`] numbers write down their operations; [`finish`](Self::finish) turns the list into a
/// [`Recording`].
///
/// [`record`](super::record) is the short form for a function of an array of inputs.
///
/// ```
/// use wengert::trace::Recorder;
///
/// let recorder = Recorder::new();
/// let (x, y) = (recorder.input("x", 3.0), recorder.input("y", 4.0));
/// recorder.output(x.hypot(y));
/// recorder.output(x / y);
/// let recording = recorder.finish();
/// assert_eq!(recording.outputs(), [5.0, 0.75]);
/// assert_eq!(recording.evaluate(&[6.0, 8.0]).unwrap(), [10.0, 0.75]);
/// ```
#[derive(Debug, Default)]
pub struct Recorder<F = f64> {
    draft: RefCell<Draft<F>>,
    /// If present, the path answers all comparisons in place of the values.
    path: Option<RefCell<Path>>,
    /// The line that first read the value of a recorded number.
    read: Cell<Option<&'static Location<'static>>>,
}

/// A recording that is not finished.
#[derive(Debug, Default)]
struct Draft<F> {
    recording: Recording<F>,
    /// The number of each named input.
    names: HashMap<String, u32>,
    /// The index of each constant in the recording, by the constant's bits.
    constants: HashMap<u64, u32, BuildHasherDefault<BitsHasher>>,
    rows: LastRows,
    /// True if neither the line nor the value of a step is kept.
    steps_only: bool,
}

/// A hasher of one `u64`: both halves of a product with an odd number, so that high and low bits depend on all bits of
/// the key. (The low bits of most constants are 0.)
#[derive(Clone, Copy, Debug, Default)]
struct BitsHasher(u64);

impl Hasher for BitsHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("the bits of a constant are one u64")
    }

    #[inline]
    fn write_u64(&mut self, bits: u64) {
        let product = u128::from(bits) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

impl<F: BaseFloat> Draft<F> {
    #[inline]
    fn operand(&mut self, x: Recorded<'_, F>) -> Source {
        if x.recorder.is_some() { Source::Step(x.step) } else { self.constant(x.value) }
    }

    // Out of line, so that the rest of a step fits into the code of the caller.
    #[inline(never)]
    fn constant(&mut self, value: F) -> Source {
        let constants = &mut self.recording.constants;
        let place = *self.constants.entry(bits(value)).or_insert_with(|| {
            constants.push(value);
            constants.len() as u32 - 1
        });
        Source::Constant(place)
    }

    #[inline]
    #[track_caller]
    fn push(&mut self, step: Step<F>, value: F) -> u32 {
        let place = self.recording.steps.len();
        assert!(place < MAX_SOURCES, "a recording holds no more than {MAX_SOURCES} operations");
        if !self.steps_only {
            self.recording.lines.push(Location::caller());
            self.recording.values.push(value);
        }
        self.recording.steps.push(step, &mut self.rows);
        place as u32
    }

    /// The step of a new input.
    #[track_caller]
    fn input(&mut self, value: F) -> u32 {
        let number = self.recording.input_count as u32;
        self.recording.input_count += 1;
        self.push(Step::Input(number), value)
    }

    fn finish(self) -> Recording<F> {
        let mut recording = self.recording;
        if !self.names.is_empty() {
            let mut names = vec![String::new(); recording.input_count];
            for (name, number) in self.names {
                names[number as usize] = name;
            }
            recording.names = names.into();
        }
        recording
    }
}

impl Recorder {
    /// An empty recorder of `f64` numbers. [`default`](Self::default) makes one of either base float.
    ///
    /// ```
    /// use wengert::trace::Recorder;
    ///
    /// let recorder = Recorder::<f32>::default();
    /// let x = recorder.input("x", 3.0);
    /// recorder.output(2.0 * x);
    /// assert_eq!(recorder.finish().evaluate(&[0.1]).unwrap(), [0.2_f32]);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// A recorder on which the path answers all comparisons.
    pub(crate) fn along(path: Path) -> Self {
        Self { path: Some(RefCell::new(path)), ..Self::default() }
    }

    /// A new input without name and value.
    #[track_caller]
    pub(crate) fn nameless_input(&self) -> Recorded<'_> {
        self.unnamed_input(f64::NAN)
    }
}

impl<F: BaseFloat> Recorder<F> {
    /// A recorder that keeps the steps alone, without their lines and values: for long recordings that are compiled.
    pub(crate) fn steps_only() -> Self {
        Self { draft: RefCell::new(Draft { steps_only: true, ..Draft::default() }), ..Self::default() }
    }

    /// A new input.
    ///
    /// # Panics
    ///
    /// If there is already an input of that name.
    #[track_caller]
    pub fn input(&self, name: &str, value: F) -> Recorded<'_, F> {
        let mut draft = self.draft.borrow_mut();
        let number = draft.recording.input_count;
        debug_assert!(draft.names.len() == number, "either all inputs of a recorder have names or none has");
        assert!(!draft.names.contains_key(name), "input: two inputs have the name {name:?}");
        draft.names.insert(name.to_owned(), number as u32);
        let step = draft.input(value);
        Recorded { recorder: Some(self), step, value }
    }

    #[track_caller]
    fn unnamed_input(&self, value: F) -> Recorded<'_, F> {
        let mut draft = self.draft.borrow_mut();
        debug_assert!(draft.names.is_empty(), "either all inputs of a recorder have names or none has");
        let step = draft.input(value);
        Recorded { recorder: Some(self), step, value }
    }

    /// New inputs without names.
    #[track_caller]
    pub(crate) fn unnamed_inputs(&self, values: &[F]) -> Vec<Recorded<'_, F>> {
        let mut inputs = Vec::with_capacity(values.len());
        for &value in values {
            inputs.push(self.unnamed_input(value));
        }
        inputs
    }

    /// Marks a number as the next output.
    ///
    /// # Panics
    ///
    /// If `y` belongs to another recorder.
    #[track_caller]
    pub fn output(&self, y: Recorded<'_, F>) {
        if let Some(other) = y.recorder {
            self.assert_same(other);
        }
        let mut draft = self.draft.borrow_mut();
        let source = draft.operand(y);
        draft.recording.outputs.push(source);
        draft.recording.output_values.push(y.value);
    }

    /// The line that first read the value of a recorded number that is not a constant (`value`, `to_base`, `to_f64` and
    /// their like); `None` if no line has. A recording cannot follow such a value. A line that reads through a
    /// function of another crate, such as `NumCast::from`, is that function's.
    pub(crate) fn values_read(&self) -> Option<&'static Location<'static>> {
        self.read.get()
    }

    #[cold]
    fn note_read(&self, line: &'static Location<'static>) {
        if self.read.get().is_none() {
            self.read.set(Some(line));
        }
    }

    /// The finished recording.
    pub fn finish(self) -> Recording<F> {
        self.draft.into_inner().finish()
    }

    /// The finished recording, and the path that it took.
    pub(crate) fn finish_path(self) -> (Recording<F>, Path) {
        let path = self.path.map(RefCell::into_inner).unwrap_or_default();
        (self.draft.into_inner().finish(), path)
    }

    #[inline]
    #[track_caller]
    fn assert_same(&self, other: &Self) {
        assert!(
            std::ptr::eq(self, other),
            "the operands belong to two recorders ({self:p} and {other:p}); record both on one"
        );
    }

    /// Panics if a function of numbers without values goes on and on: a loop may wait for a value.
    #[inline]
    #[track_caller]
    fn assert_ends(&self, draft: &Draft<F>) {
        let count = draft.recording.steps.len().max(draft.recording.comparisons.len());
        assert!(
            self.path.is_none() || count < MAX_STEPS,
            "symbolic: a single path through the function takes more than {MAX_STEPS} operations or comparisons; a loop \
             that waits for a value (`while y != 0.0`) has no end for numbers without values; record the function at a \
             point with `record` and take `.formula()`"
        );
    }

    #[inline]
    #[track_caller]
    fn step(&self, value: F, step: impl FnOnce(&mut Draft<F>) -> Step<F>) -> Recorded<'_, F> {
        let mut draft = self.draft.borrow_mut();
        self.assert_ends(&draft);
        let step = step(&mut draft);
        Recorded { recorder: Some(self), step: draft.push(step, value), value }
    }

    #[track_caller]
    fn test(&self, test: Test, a: Recorded<'_, F>, b: Recorded<'_, F>) -> bool {
        let (test, b, sought) = match test {
            // A number without a value has no sign bit: a test of its sign is answered by its order against 0.
            Test::IsSignNegative if self.path.is_some() => (Test::Less, Recorded::constant(F::zero()), true),
            Test::IsSignPositive if self.path.is_some() => (Test::Less, Recorded::constant(F::zero()), false),
            _ => (test, b, true),
        };
        let mut draft = self.draft.borrow_mut();
        self.assert_ends(&draft);
        let operands = [draft.operand(a), draft.operand(b)];
        let outcome = match &self.path {
            None => test.holds(a.value, b.value),
            Some(path) => path.borrow_mut().answer(test, operands),
        };
        let before = draft.recording.steps.len() as u32;
        draft.recording.comparisons.push(Comparison { test, operands, outcome, before, line: Location::caller() });
        outcome == sought
    }
}

/// A number that writes its operations down on a [`Recorder`] while it computes their values, or a constant without a
/// recorder.
///
/// A recorded number works wherever a [`Var`](crate::Var) does: with every operator and function, with plain
/// numbers on either side, and in any generic function over [`Real`] or `num_traits::Float`.
/// Operations on constants alone are computed, but not written down. `F`, the type of the values, is `f32` or `f64`.
#[derive(Clone, Copy)]
pub struct Recorded<'r, F = f64> {
    /// `None` for a constant.
    recorder: Option<&'r Recorder<F>>,
    step: u32,
    value: F,
}

impl<'r, F: BaseFloat> Recorded<'r, F> {
    /// A constant.
    #[inline]
    pub fn constant(value: F) -> Self {
        Self { recorder: None, step: 0, value }
    }

    /// The value.
    #[inline]
    #[track_caller]
    pub fn value(self) -> F {
        if let Some(recorder) = self.recorder {
            recorder.note_read(Location::caller());
        }
        self.value
    }

    /// True if this is a constant.
    #[inline]
    pub(crate) fn is_constant(self) -> bool {
        self.recorder.is_none()
    }

    #[inline]
    fn lift(value: F) -> Self {
        Self::constant(value)
    }

    /// The recorder of both numbers; `None` if both are constants.
    #[inline]
    #[track_caller]
    fn recorder(self, other: Self) -> Option<&'r Recorder<F>> {
        if let (Some(mine), Some(other)) = (self.recorder, other.recorder) {
            mine.assert_same(other);
        }
        self.recorder.or(other.recorder)
    }

    #[inline]
    #[track_caller]
    fn apply(self, rule: impl UnaryRule<F> + Into<UnaryOp<F>>) -> Self {
        let y = rule.eval(self.value);
        match self.recorder {
            Some(recorder) => recorder.step(y, |draft| Step::Unary(rule.into(), draft.operand(self))),
            None => Self::constant(y),
        }
    }

    #[inline]
    #[track_caller]
    fn apply2(self, rule: impl BinaryRule<F> + Into<BinaryOp>, other: Self) -> Self {
        let z = rule.eval(self.value, other.value);
        match self.recorder(other) {
            Some(recorder) => {
                recorder.step(z, |draft| Step::Binary(rule.into(), [draft.operand(self), draft.operand(other)]))
            }
            None => Self::constant(z),
        }
    }

    #[inline]
    #[track_caller]
    fn test(self, test: Test, other: Self) -> bool {
        match self.recorder(other) {
            Some(recorder) => recorder.test(test, self, other),
            None => test.holds(self.value, other.value),
        }
    }
}

/// The functions of the [table](crate::rules).
impl<F: BaseFloat> Recorded<'_, F> {
    for_each_rule!(inherent_rules);
}

impl<F: BaseFloat> From<F> for Recorded<'_, F> {
    #[inline]
    fn from(value: F) -> Self {
        Self::constant(value)
    }
}

number_traits! { @uncompared ['r, F: BaseFloat] Recorded<'r, F>, F }

macro_rules! comparisons {
    ($($Right:ty),+) => { $(
        // With `ne`, whose default would hide the caller's line.
        #[allow(clippy::partialeq_ne_impl)]
        impl<'r, F: BaseFloat> PartialEq<$Right> for Recorded<'r, F> {
            #[track_caller]
            fn eq(&self, other: &$Right) -> bool { self.test(Test::Equal, (*other).into()) }
            #[track_caller]
            fn ne(&self, other: &$Right) -> bool { !self.test(Test::Equal, (*other).into()) }
        }
        impl<'r, F: BaseFloat> PartialOrd<$Right> for Recorded<'r, F> {
            #[track_caller]
            fn partial_cmp(&self, other: &$Right) -> Option<Ordering> {
                if self < other {
                    Some(Ordering::Less)
                } else if self > other {
                    Some(Ordering::Greater)
                } else if self == other {
                    Some(Ordering::Equal)
                } else {
                    None
                }
            }
            comparisons! { @ $Right: lt Less, le LessEqual, gt Greater, ge GreaterEqual }
        }
    )+ };
    (@ $Right:ty: $($method:ident $Test:ident),+) => { $(
        #[track_caller]
        fn $method(&self, other: &$Right) -> bool { self.test(Test::$Test, (*other).into()) }
    )+ };
}
comparisons! { Recorded<'r, F>, F }

macro_rules! value_tests {
    ($($method:ident $Test:ident),+) => { $(
        #[track_caller]
        fn $method(self) -> bool { self.test(Test::$Test, self) }
    )+ };
}

impl<F: BaseFloat> Float for Recorded<'_, F> {
    for_each_rule!(std_rules_by_apply);
    float_methods!(@untested F);
    value_tests! {
        is_nan IsNan, is_infinite IsInfinite, is_finite IsFinite, is_normal IsNormal,
        is_sign_positive IsSignPositive, is_sign_negative IsSignNegative
    }

    #[track_caller]
    fn mul_add(self, a: Self, b: Self) -> Self {
        let value = Float::mul_add(self.value, a.value, b.value);
        let mine = self.recorder(a).or(self.recorder(b));
        match mine.or(a.recorder(b)) {
            Some(recorder) => recorder.step(value, |draft| Step::MulAdd([self, a, b].map(|x| draft.operand(x)))),
            None => Self::constant(value),
        }
    }
}

impl<F: BaseFloat> Real for Recorded<'_, F> {
    type Base = F;
    #[inline]
    fn from_base(x: F) -> Self {
        Self::constant(x)
    }
    #[inline]
    #[track_caller]
    fn to_base(self) -> F {
        self.value()
    }
    /// # Panics
    ///
    /// If an operand is not a constant: a recording holds only functions of the table.
    #[track_caller]
    fn apply_rule<const N: usize>(rule: impl crate::number::Rule<F, N>, operands: [Self; N]) -> Self {
        assert!(
            operands.iter().all(|x| x.is_constant()),
            "apply_rule: a recording holds functions of the table of rules, not a rule of your own; \
             for recorded numbers, write the function with those of the table"
        );
        Self::constant(rule.primal(operands.map(|x| x.value)))
    }
    for_each_rule!(own_rules_by_apply);
}

operators! { ['r, F: BaseFloat] Recorded<'r, F>, Recorded<'r, F> => Recorded<'r, F>, |rule, a, b| a.apply2(rule, b) }
operators! { ['r, F: BaseFloat] Recorded<'r, F>, F => Recorded<'r, F>, |rule, a, b| a.apply2(rule, b.into()) }
operators! { ['r] f64, Recorded<'r, f64> => Recorded<'r, f64>, |rule, a, b| Recorded::constant(a).apply2(rule, b) }
operators! { ['r] f32, Recorded<'r, f32> => Recorded<'r, f32>, |rule, a, b| Recorded::constant(a).apply2(rule, b) }

impl<F: BaseFloat> std::ops::Neg for Recorded<'_, F> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        self.apply(crate::number::rules::neg::new())
    }
}

impl<'r, F: BaseFloat> std::ops::Neg for &Recorded<'r, F> {
    type Output = Recorded<'r, F>;
    #[track_caller]
    fn neg(self) -> Self::Output {
        -*self
    }
}

/// `Sum` and `Product` as a chain of operations in order, beginning with the first element.
macro_rules! chains {
    ($($Trait:ident $method:ident $op:tt $empty:expr),+) => { $(
        impl<F: BaseFloat> $Trait for Recorded<'_, F> {
            #[track_caller]
            fn $method<I: Iterator<Item = Self>>(mut iter: I) -> Self {
                // A loop, because a closure would hide the caller's line.
                let Some(mut total) = iter.next() else { return Self::from_base($empty) };
                for x in iter {
                    total $op x;
                }
                total
            }
        }
        impl<'a, 'r: 'a, F: BaseFloat> $Trait<&'a Recorded<'r, F>> for Recorded<'r, F> {
            #[track_caller]
            fn $method<I: Iterator<Item = &'a Recorded<'r, F>>>(iter: I) -> Self {
                iter.copied().$method()
            }
        }
    )+ };
}
chains! { Sum sum += -F::zero(), Product product *= F::one() }

impl<F: BaseFloat> fmt::Display for Recorded<'_, F> {
    /// The value, with the formatter's options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)
    }
}

impl<F: BaseFloat> fmt::Debug for Recorded<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = f.debug_struct("Recorded");
        number.field("value", &self.value);
        if self.recorder.is_some() {
            number.field("step", &self.step);
        }
        number.finish()
    }
}

/// Runs a function of named inputs once and returns the recording of the run.
///
/// ```
/// use wengert::{Real, record};
///
/// fn loss<R: Real>([w, b]: [R; 2]) -> R {
///     (w * R::lit(0.7) + b - R::lit(0.9)).square()
/// }
/// let recording = record(["w", "b"], |x| loss(x), [0.5, 0.1]);
/// assert_eq!(recording.len(), 4);
/// assert_eq!(recording.evaluate(&[1.0, 0.1]).unwrap(), [loss([1.0, 0.1])]);
/// ```
///
/// # Panics
///
/// If two names are equal.
#[track_caller]
pub fn record<const N: usize>(
    names: [&str; N],
    f: impl for<'r> FnOnce([Recorded<'r>; N]) -> Recorded<'r>,
    values: [f64; N],
) -> Recording {
    record_of(&names, |x| f(std::array::from_fn(|i| x[i])), &values)
}

/// Same as [`record`], for a function of a slice.
///
/// # Panics
///
/// If two names are equal, or if `names` and `values` differ in length.
#[track_caller]
pub fn record_of(names: &[&str], f: impl for<'r> FnOnce(&[Recorded<'r>]) -> Recorded<'r>, values: &[f64]) -> Recording {
    assert!(names.len() == values.len(), "record: {} names for {} values", names.len(), values.len());
    let recorder = Recorder::new();
    let mut inputs = Vec::with_capacity(names.len());
    for (name, &value) in names.iter().zip(values) {
        inputs.push(recorder.input(name, value));
    }
    recorder.output(f(&inputs));
    drop(inputs);
    recorder.finish()
}
