//! The plain data of a recording: steps, operands and comparisons.

use std::panic::Location;

use num_traits::Float;

use crate::number::rules::{BinaryOp, UnaryOp};
use crate::number::{BaseFloat, Real};

/// An operand of a step or of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// The result of a step.
    Step(u32),
    /// A number from the list of constants.
    Constant(u32),
}

/// One step: an input, or a row of the table of rules with its operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step<F = f64> {
    /// The input of this number.
    Input(u32),
    Unary(UnaryOp<F>, Source),
    Binary(BinaryOp, [Source; 2]),
    /// a b + c with one rounding.
    MulAdd([Source; 3]),
}

impl<F: BaseFloat> Step<F> {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Step::Input(_) => "input",
            Step::Unary(op, _) => op.name(),
            Step::Binary(op, _) => op.name(),
            Step::MulAdd(_) => "mul_add",
        }
    }

    pub(crate) fn operands(&self) -> &[Source] {
        match self {
            Step::Input(_) => &[],
            Step::Unary(_, x) => std::slice::from_ref(x),
            Step::Binary(_, ab) => ab,
            Step::MulAdd(abc) => abc,
        }
    }

    /// The result of the step, from the values of its operands and of the inputs.
    pub(crate) fn eval<R: Real<Base = F>>(self, value: impl Fn(Source) -> R, inputs: &[R]) -> R {
        match self {
            Step::Input(i) => inputs[i as usize],
            Step::Unary(op, x) => op.eval(value(x)),
            Step::Binary(op, [a, b]) => op.eval(value(a), value(b)),
            Step::MulAdd([a, b, c]) => Float::mul_add(value(a), value(b), value(c)),
        }
    }

    /// The partial with respect to operand number `i`, from the operands `x` and the result `y`.
    pub(crate) fn partial<R: Real<Base = F>>(self, i: usize, x: &[R], y: R) -> R {
        match (self, i) {
            (Step::Unary(op, _), _) => op.partial(x[0], y),
            (Step::Binary(op, _), 0) => op.partial_a(x[0], x[1], y),
            (Step::Binary(op, _), _) => op.partial_b(x[0], x[1], y),
            (Step::MulAdd(_), 0) => x[1],
            (Step::MulAdd(_), 1) => x[0],
            (Step::MulAdd(_) | Step::Input(_), _) => R::one(),
        }
    }
}

/// The `f64` with the same decimals as `x`: 0.1 for the `f32` 0.1, which is 0.10000000149 as a number.
pub(super) fn printed<F: BaseFloat>(x: F) -> f64 {
    x.to_string().parse().expect("a float prints as one")
}

/// A comparison of two values, or a test of one, that may have decided which branch the function took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    // The tests from here on are about the left operand alone.
    IsNan,
    IsInfinite,
    IsFinite,
    IsNormal,
    IsSignPositive,
    IsSignNegative,
}

impl Test {
    /// All tests, in the order of their numbers.
    pub(crate) const ALL: [Self; 11] = [
        Test::Less,
        Test::LessEqual,
        Test::Greater,
        Test::GreaterEqual,
        Test::Equal,
        Test::IsNan,
        Test::IsInfinite,
        Test::IsFinite,
        Test::IsNormal,
        Test::IsSignPositive,
        Test::IsSignNegative,
    ];

    /// The outcome for values.
    pub(crate) fn holds<R: Real>(self, a: R, b: R) -> bool {
        match self {
            Test::Less => a < b,
            Test::LessEqual => a <= b,
            Test::Greater => a > b,
            Test::GreaterEqual => a >= b,
            Test::Equal => a == b,
            Test::IsNan => a.is_nan(),
            Test::IsInfinite => a.is_infinite(),
            Test::IsFinite => a.is_finite(),
            Test::IsNormal => a.is_normal(),
            Test::IsSignPositive => a.is_sign_positive(),
            Test::IsSignNegative => a.is_sign_negative(),
        }
    }

    /// The sign between the operands; `None` for a test of one operand.
    pub(crate) fn sign(self) -> Option<&'static str> {
        Some(match self {
            Test::Less => "<",
            Test::LessEqual => "<=",
            Test::Greater => ">",
            Test::GreaterEqual => ">=",
            Test::Equal => "==",
            _ => return None,
        })
    }

    /// The test as text, from the texts of the operands.
    pub(crate) fn text(self, a: &str, b: &str) -> String {
        if let Some(sign) = self.sign() {
            return format!("{a} {sign} {b}");
        }
        let property = match self {
            Test::IsNan => "is NaN",
            Test::IsInfinite => "is infinite",
            Test::IsFinite => "is finite",
            Test::IsNormal => "is normal",
            Test::IsSignPositive => "has a positive sign",
            _ => "has a negative sign",
        };
        format!("{a} {property}")
    }
}

/// A comparison that the function made, with its outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) test: Test,
    pub(crate) operands: [Source; 2],
    pub(crate) outcome: bool,
    /// The number of steps that precede the comparison.
    pub(crate) before: u32,
    pub(crate) line: &'static Location<'static>,
}
