//! [`Recorded`]: the number type that writes down its operations.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::iter::{Product, Sum};
use std::panic::Location;

use num_traits::{Float, One, Zero};

use super::path::Path;
use super::recording::Recording;
use super::step::{Comparison, Source, Step, Test};
use crate::number::Real;
use crate::number::macros::{
    float_methods, inherent_rules, number_traits, operators, own_rules_by_apply, std_rules_by_apply,
};
use crate::number::rules::{BinaryOp, BinaryRule, UnaryOp, UnaryRule};
use crate::number::table::for_each_rule;

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
pub struct Recorder {
    draft: RefCell<Draft>,
    /// If present, the path answers all comparisons in place of the values.
    path: Option<RefCell<Path>>,
}

/// A recording that is not finished.
#[derive(Debug, Default)]
struct Draft {
    recording: Recording,
    /// The index of each constant in the recording, by the constant's bits.
    constants: HashMap<u64, u32>,
}

impl Draft {
    fn operand(&mut self, x: Recorded<'_>) -> Source {
        if x.recorder.is_some() {
            return Source::Step(x.step);
        }
        let constants = &mut self.recording.constants;
        let place = *self.constants.entry(x.value.to_bits()).or_insert_with(|| {
            constants.push(x.value);
            constants.len() as u32 - 1
        });
        Source::Constant(place)
    }

    #[track_caller]
    fn push(&mut self, step: Step, value: f64) -> u32 {
        self.recording.lines.push(Location::caller());
        self.recording.steps.push(step);
        self.recording.values.push(value);
        self.recording.steps.len() as u32 - 1
    }
}

impl Recorder {
    /// An empty recorder.
    pub fn new() -> Self {
        Self::default()
    }

    /// A recorder on which the path answers all comparisons.
    pub(crate) fn along(path: Path) -> Self {
        Self { path: Some(RefCell::new(path)), ..Self::default() }
    }

    /// A new input.
    ///
    /// # Panics
    ///
    /// If there is already an input of that name.
    #[track_caller]
    pub fn input(&self, name: &str, value: f64) -> Recorded<'_> {
        let mut draft = self.draft.borrow_mut();
        let inputs = &mut draft.recording.inputs;
        assert!(!inputs.iter().any(|other| other == name), "input: two inputs have the name {name:?}");
        inputs.push(name.to_owned());
        let number = inputs.len() as u32 - 1;
        let step = draft.push(Step::Input(number), value);
        Recorded { recorder: Some(self), step, value }
    }

    /// A new input without a value, named by its number.
    pub(crate) fn nameless_input(&self) -> Recorded<'_> {
        let number = self.draft.borrow().recording.inputs.len();
        self.input(&number.to_string(), f64::NAN)
    }

    /// Marks a number as the next output.
    ///
    /// # Panics
    ///
    /// If `y` belongs to another recorder.
    #[track_caller]
    pub fn output(&self, y: Recorded<'_>) {
        if let Some(other) = y.recorder {
            self.assert_same(other);
        }
        let mut draft = self.draft.borrow_mut();
        let y = draft.operand(y);
        draft.recording.outputs.push(y);
    }

    /// The finished recording.
    pub fn finish(self) -> Recording {
        self.draft.into_inner().recording
    }

    /// The finished recording, and the path that it took.
    pub(crate) fn finish_path(self) -> (Recording, Path) {
        let path = self.path.map(RefCell::into_inner).unwrap_or_default();
        (self.draft.into_inner().recording, path)
    }

    #[track_caller]
    fn assert_same(&self, other: &Recorder) {
        assert!(
            std::ptr::eq(self, other),
            "the operands belong to two recorders ({self:p} and {other:p}); record both on one"
        );
    }

    /// Panics if a function of numbers without values goes on and on: a loop may wait for a value.
    #[track_caller]
    fn assert_ends(&self, draft: &Draft) {
        let count = draft.recording.steps.len().max(draft.recording.comparisons.len());
        assert!(
            self.path.is_none() || count < MAX_STEPS,
            "symbolic: a single path through the function takes more than {MAX_STEPS} operations or comparisons; a loop \
             that waits for a value (`while y != 0.0`) has no end for numbers without values; record the function at a \
             point with `record` and take `.formula()`"
        );
    }

    #[track_caller]
    fn step(&self, value: f64, step: impl FnOnce(&mut Draft) -> Step) -> Recorded<'_> {
        let mut draft = self.draft.borrow_mut();
        self.assert_ends(&draft);
        let step = step(&mut draft);
        Recorded { recorder: Some(self), step: draft.push(step, value), value }
    }

    #[track_caller]
    fn test(&self, test: Test, a: Recorded<'_>, b: Recorded<'_>) -> bool {
        let (test, b, sought) = match test {
            // A number without a value has no sign bit: a test of its sign is answered by its order against 0.
            Test::IsSignNegative if self.path.is_some() => (Test::Less, Recorded::constant(0.0), true),
            Test::IsSignPositive if self.path.is_some() => (Test::Less, Recorded::constant(0.0), false),
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
        draft.recording.comparisons.push(Comparison { test, operands, outcome, before });
        outcome == sought
    }
}

/// A number that writes its operations down on a [`Recorder`] while it computes their values, or a constant without a
/// recorder.
///
/// A recorded number works wherever a [`Var`](crate::Var) does: with every operator and function, with plain
/// numbers on either side, and in any generic function over [`Real`] or `num_traits::Float`.
/// Operations on constants alone are computed, but not written down.
#[derive(Clone, Copy)]
pub struct Recorded<'r> {
    /// `None` for a constant.
    recorder: Option<&'r Recorder>,
    step: u32,
    value: f64,
}

impl<'r> Recorded<'r> {
    /// A constant.
    pub fn constant(value: f64) -> Self {
        Self { recorder: None, step: 0, value }
    }

    /// The value.
    pub fn value(self) -> f64 {
        self.value
    }

    fn lift(value: f64) -> Self {
        Self::constant(value)
    }

    /// The recorder of both numbers; `None` if both are constants.
    #[track_caller]
    fn recorder(self, other: Self) -> Option<&'r Recorder> {
        if let (Some(mine), Some(other)) = (self.recorder, other.recorder) {
            mine.assert_same(other);
        }
        self.recorder.or(other.recorder)
    }

    #[track_caller]
    fn apply(self, rule: impl UnaryRule<f64> + Into<UnaryOp<f64>>) -> Self {
        let y = rule.eval(self.value);
        match self.recorder {
            Some(recorder) => recorder.step(y, |draft| Step::Unary(rule.into(), draft.operand(self))),
            None => Self::constant(y),
        }
    }

    #[track_caller]
    fn apply2(self, rule: impl BinaryRule<f64> + Into<BinaryOp>, other: Self) -> Self {
        let z = rule.eval(self.value, other.value);
        match self.recorder(other) {
            Some(recorder) => {
                recorder.step(z, |draft| Step::Binary(rule.into(), [draft.operand(self), draft.operand(other)]))
            }
            None => Self::constant(z),
        }
    }

    #[track_caller]
    fn test(self, test: Test, other: Self) -> bool {
        match self.recorder(other) {
            Some(recorder) => recorder.test(test, self, other),
            None => test.holds(self.value, other.value),
        }
    }
}

/// The functions of the [table](crate::rules).
impl Recorded<'_> {
    for_each_rule!(inherent_rules);
}

impl From<f64> for Recorded<'_> {
    fn from(value: f64) -> Self {
        Self::constant(value)
    }
}

number_traits! { @uncompared ['r] Recorded<'r>, f64 }

macro_rules! comparisons {
    ($($Right:ty),+) => { $(
        // With `ne`, whose default would hide the caller's line.
        #[allow(clippy::partialeq_ne_impl)]
        impl<'r> PartialEq<$Right> for Recorded<'r> {
            #[track_caller]
            fn eq(&self, other: &$Right) -> bool { self.test(Test::Equal, (*other).into()) }
            #[track_caller]
            fn ne(&self, other: &$Right) -> bool { !self.test(Test::Equal, (*other).into()) }
        }
        impl<'r> PartialOrd<$Right> for Recorded<'r> {
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
comparisons! { Recorded<'r>, f64 }

macro_rules! value_tests {
    ($($method:ident $Test:ident),+) => { $(
        #[track_caller]
        fn $method(self) -> bool { self.test(Test::$Test, self) }
    )+ };
}

impl Float for Recorded<'_> {
    for_each_rule!(std_rules_by_apply);
    float_methods!(@untested f64);
    value_tests! {
        is_nan IsNan, is_infinite IsInfinite, is_finite IsFinite, is_normal IsNormal,
        is_sign_positive IsSignPositive, is_sign_negative IsSignNegative
    }

    #[track_caller]
    fn mul_add(self, a: Self, b: Self) -> Self {
        let value = self.value.mul_add(a.value, b.value);
        match self.recorder(a).or(self.recorder(b)) {
            Some(recorder) => recorder.step(value, |draft| Step::MulAdd([self, a, b].map(|x| draft.operand(x)))),
            None => Self::constant(value),
        }
    }
}

impl Real for Recorded<'_> {
    type Base = f64;
    fn from_base(x: f64) -> Self {
        Self::constant(x)
    }
    fn to_base(self) -> f64 {
        self.value
    }
    /// # Panics
    ///
    /// If an operand is not a constant: a recording holds only functions of the table.
    #[track_caller]
    fn apply_rule<const N: usize>(rule: impl crate::number::Rule<f64, N>, operands: [Self; N]) -> Self {
        assert!(
            operands.iter().all(|x| x.recorder.is_none()),
            "apply_rule: a recording holds functions of the table of rules, not a rule of your own; \
             for recorded numbers, write the function with those of the table"
        );
        Self::constant(rule.primal(operands.map(Self::value)))
    }
    for_each_rule!(own_rules_by_apply);
}

operators! { ['r] Recorded<'r>, Recorded<'r> => Recorded<'r>, |rule, a, b| a.apply2(rule, b) }
operators! { ['r] Recorded<'r>, f64 => Recorded<'r>, |rule, a, b| a.apply2(rule, b.into()) }
operators! { ['r] f64, Recorded<'r> => Recorded<'r>, |rule, a, b| Recorded::constant(a).apply2(rule, b) }

impl std::ops::Neg for Recorded<'_> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        self.apply(crate::number::rules::neg::new())
    }
}

impl<'r> std::ops::Neg for &Recorded<'r> {
    type Output = Recorded<'r>;
    #[track_caller]
    fn neg(self) -> Self::Output {
        -*self
    }
}

/// `Sum` and `Product` as a chain of operations in order, beginning with the first element.
macro_rules! chains {
    ($($Trait:ident $method:ident $op:tt $empty:literal),+) => { $(
        impl $Trait for Recorded<'_> {
            #[track_caller]
            fn $method<I: Iterator<Item = Self>>(mut iter: I) -> Self {
                // A loop, because a closure would hide the caller's line.
                let Some(mut total) = iter.next() else { return Self::constant($empty) };
                for x in iter {
                    total $op x;
                }
                total
            }
        }
        impl<'a, 'r: 'a> $Trait<&'a Recorded<'r>> for Recorded<'r> {
            #[track_caller]
            fn $method<I: Iterator<Item = &'a Recorded<'r>>>(iter: I) -> Self {
                iter.copied().$method()
            }
        }
    )+ };
}
chains! { Sum sum += 0.0, Product product *= 1.0 }

impl fmt::Display for Recorded<'_> {
    /// The value, with the formatter's options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)
    }
}

impl fmt::Debug for Recorded<'_> {
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
