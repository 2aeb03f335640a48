//! [`Recording`]: a function as a plain list of operations, and its replay at other inputs.

use std::fmt;
use std::panic::Location;

use num_traits::Float;

use crate::inspect::NonFinite;
use crate::real::Real;
use crate::rules::{BinaryOp, UnaryOp};
use crate::symbolic::Style;

/// What an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    /// The result of a step.
    Step(u32),
    /// A number from the list of constants.
    Constant(u32),
}

/// One step: an input, or a row of the table of rules with its operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// The input of this number.
    Input(u32),
    Unary(UnaryOp<f64>, Operand),
    Binary(BinaryOp, [Operand; 2]),
    /// a b + c with one rounding.
    MulAdd([Operand; 3]),
}

impl Step {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Step::Input(_) => "input",
            Step::Unary(op, _) => op.name(),
            Step::Binary(op, _) => op.name(),
            Step::MulAdd(_) => "mul_add",
        }
    }

    pub(crate) fn operands(&self) -> &[Operand] {
        match self {
            Step::Input(_) => &[],
            Step::Unary(_, x) => std::slice::from_ref(x),
            Step::Binary(_, ab) => ab,
            Step::MulAdd(abc) => abc,
        }
    }

    /// The result, from the operands' values.
    pub(crate) fn eval<R: Real<Base = f64>>(self, value: impl Fn(Operand) -> R, inputs: &[R]) -> R {
        match self {
            Step::Input(i) => inputs[i as usize],
            Step::Unary(op, x) => op.eval(value(x)),
            Step::Binary(op, [a, b]) => op.eval(value(a), value(b)),
            Step::MulAdd([a, b, c]) => Float::mul_add(value(a), value(b), value(c)),
        }
    }

    /// The partial with respect to the operand in place `i`, from operands `x` and result `y`.
    pub(crate) fn partial<R: Real<Base = f64>>(self, i: usize, x: &[R], y: R) -> R {
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

/// A question about values whose answer may have steered the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    // The others ask about the left operand alone.
    IsNan,
    IsInfinite,
    IsFinite,
    IsNormal,
    IsSignPositive,
    IsSignNegative,
}

impl Test {
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

    /// The test in words, of operands in words.
    pub(crate) fn text(self, a: &str, b: &str) -> String {
        match self {
            Test::Less => format!("{a} < {b}"),
            Test::LessEqual => format!("{a} <= {b}"),
            Test::Greater => format!("{a} > {b}"),
            Test::GreaterEqual => format!("{a} >= {b}"),
            Test::Equal => format!("{a} == {b}"),
            Test::IsNan => format!("{a} is NaN"),
            Test::IsInfinite => format!("{a} is infinite"),
            Test::IsFinite => format!("{a} is finite"),
            Test::IsNormal => format!("{a} is normal"),
            Test::IsSignPositive => format!("{a} has a positive sign"),
            Test::IsSignNegative => format!("{a} has a negative sign"),
        }
    }
}

/// A comparison that the function made, between steps `before - 1` and `before`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) test: Test,
    pub(crate) operands: [Operand; 2],
    pub(crate) outcome: bool,
    /// How many steps precede it.
    pub(crate) before: u32,
}

/// A function of named inputs as it ran once: its operations in order, operands by index, constants
/// apart, and the comparisons that steered it.
///
/// [`record`](super::record) makes one. It is plain data: it can be evaluated again at other inputs
/// and on other numbers, printed as a [trace](Recording::trace) and drawn from that, and turned into
/// a [formula](Recording::formula).
#[derive(Clone, Debug, Default)]
pub struct Recording {
    pub(crate) inputs: Vec<String>,
    pub(crate) steps: Vec<Step>,
    /// What each step computed when it was recorded.
    pub(crate) values: Vec<f64>,
    /// The line that called each step.
    pub(crate) lines: Vec<&'static Location<'static>>,
    pub(crate) constants: Vec<f64>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) outputs: Vec<Operand>,
}

impl Recording {
    /// The names of the inputs, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(String::as_str)
    }

    /// The number of operations; inputs and constants are none.
    pub fn len(&self) -> usize {
        self.steps.len() - self.inputs.len()
    }

    /// Whether it contains no operation.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of the outputs when it was recorded.
    pub fn outputs(&self) -> Vec<f64> {
        self.outputs.iter().map(|&y| self.value(y)).collect()
    }

    /// The outputs at other inputs.
    ///
    /// ```
    /// use wengert::{Real, record};
    ///
    /// let hinge = record(["x"], |[x]| if x > 1.0 { x - 1.0 } else { 0.0 * x }, [3.0]);
    /// assert_eq!(hinge.evaluate(&[5.0]).unwrap(), [4.0]);
    /// let other_branch = hinge.evaluate(&[0.5]).unwrap_err();
    /// assert_eq!(other_branch.to_string(), "`x > 1` was true when recorded and is false at these inputs");
    /// ```
    ///
    /// # Errors
    ///
    /// If a comparison of the function would have gone the other way: what was recorded is then not
    /// what the function computes there. Values that the function read out of its numbers
    /// (`to_f64`, `to_base`) are not watched.
    ///
    /// # Panics
    ///
    /// If the number of inputs is not that of the recording.
    #[track_caller]
    pub fn evaluate(&self, inputs: &[f64]) -> Result<Vec<f64>, BranchChanged> {
        self.replay(inputs)
    }

    /// As [`evaluate`](Self::evaluate), on numbers of any kind: duals, variables of a tape.
    ///
    /// ```
    /// use wengert::{Dual, record};
    ///
    /// let square = record(["x"], |[x]| x * x, [3.0]);
    /// let y = square.replay(&[Dual::new(2.0, [1.0])]).unwrap();
    /// assert_eq!(y[0].tangents(), [4.0]);
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`evaluate`](Self::evaluate).
    ///
    /// # Panics
    ///
    /// If the number of inputs is not that of the recording.
    #[track_caller]
    pub fn replay<R: Real<Base = f64>>(&self, inputs: &[R]) -> Result<Vec<R>, BranchChanged> {
        assert!(
            inputs.len() == self.inputs.len(),
            "evaluate: {} inputs for a recording of {} ({})",
            inputs.len(),
            self.inputs.len(),
            self.inputs.join(", ")
        );
        let mut values: Vec<R> = Vec::with_capacity(self.steps.len());
        let mut comparisons = self.comparisons.iter();
        let mut next = comparisons.next();
        for i in 0..=self.steps.len() {
            let value = |x| match x {
                Operand::Step(i) => values[i as usize],
                Operand::Constant(i) => R::from_base(self.constants[i as usize]),
            };
            while let Some(comparison) = next.filter(|c| c.before as usize == i) {
                let [a, b] = comparison.operands.map(value);
                if comparison.test.holds(a, b) != comparison.outcome {
                    return Err(BranchChanged {
                        comparison: self.comparison_text(comparison),
                        recorded: comparison.outcome,
                    });
                }
                next = comparisons.next();
            }
            match self.steps.get(i) {
                Some(step) => {
                    let y = step.eval(value, inputs);
                    values.push(y);
                }
                None => return Ok(self.outputs.iter().map(|&y| value(y)).collect()),
            }
        }
        unreachable!("the last turn returns")
    }

    /// The comparisons that steered the function, as text in the order they were made.
    ///
    /// ```
    /// use wengert::{Real, record};
    ///
    /// let f = record(["a", "b"], |[a, b]| if a * b > 0.0 { a } else { b }, [1.0, -2.0]);
    /// assert_eq!(f.comparisons().collect::<Vec<_>>(), ["a*b > 0: false"]);
    /// ```
    pub fn comparisons(&self) -> impl Iterator<Item = String> {
        self.comparisons.iter().map(|c| format!("{}: {}", self.comparison_text(c), c.outcome))
    }

    fn comparison_text(&self, comparison: &Comparison) -> String {
        let [a, b] = comparison.operands.map(|x| self.expression(x).to_string());
        comparison.test.text(&a, &b)
    }

    /// The recorded value of an operand.
    pub(crate) fn value(&self, operand: Operand) -> f64 {
        match operand {
            Operand::Step(i) => self.values[i as usize],
            Operand::Constant(i) => self.constants[i as usize],
        }
    }

    /// The recorded partial of step `i` with respect to its operand in place `place`.
    pub(crate) fn partial(&self, i: usize, place: usize) -> f64 {
        let step = &self.steps[i];
        let x: Vec<f64> = step.operands().iter().map(|&x| self.value(x)).collect();
        step.partial(place, &x, self.values[i])
    }

    /// The first step whose value, or whose partial, is infinite or NaN.
    ///
    /// ```
    /// use wengert::record;
    ///
    /// let f = record(["x"], |[x]| (x * x).sqrt() + x.exp(), [0.0]);
    /// let source = f.first_non_finite().unwrap();
    /// assert_eq!(source.operation, "sqrt");
    /// assert_eq!(source.what, "v2 = sqrt(v1) = 0 with v1 = 0; its partial with respect to v1 is inf");
    /// ```
    pub fn first_non_finite(&self) -> Option<NonFinite> {
        (0..self.steps.len()).find_map(|i| {
            let operands = self.steps[i].operands();
            let steps = || {
                operands.iter().enumerate().filter_map(|(place, x)| match x {
                    Operand::Step(j) => Some((place, *j as usize)),
                    Operand::Constant(_) => None,
                })
            };
            let bad = steps().map(|(place, j)| (j, self.partial(i, place))).find(|(_, partial)| !partial.is_finite());
            if self.values[i].is_finite() && bad.is_none() {
                return None;
            }
            let names = self.step_names();
            let with: Vec<_> = steps().map(|(_, j)| format!("{} = {}", names[j], self.values[j])).collect();
            let with = if with.is_empty() { String::new() } else { format!(" with {}", with.join(", ")) };
            let partial = bad.map_or_else(String::new, |(j, partial)| {
                format!("; its partial with respect to {} is {partial}", names[j])
            });
            let text = self.step_text(i, &names, Style::Text);
            let what = format!("{} = {text} = {}{with}{partial}", names[i], self.values[i]);
            Some(NonFinite {
                operation: self.steps[i].name(),
                location: Some(self.lines[i]),
                shape: Vec::new(),
                what,
                operands: String::new(),
            })
        })
    }

    /// Which steps the output depends on.
    pub(crate) fn live(&self, output: Operand) -> Vec<bool> {
        let mut live = vec![false; self.steps.len()];
        let mark = |live: &mut Vec<bool>, x: Operand| {
            if let Operand::Step(i) = x {
                live[i as usize] = true;
            }
        };
        mark(&mut live, output);
        for (i, step) in self.steps.iter().enumerate().rev() {
            if live[i] {
                step.operands().iter().for_each(|&x| mark(&mut live, x));
            }
        }
        live
    }

    /// The only output.
    #[track_caller]
    pub(crate) fn output(&self, operation: &str) -> Operand {
        match self.outputs[..] {
            [output] => output,
            _ => panic!("{operation}: the recording has {} outputs, one is needed", self.outputs.len()),
        }
    }
}

/// At these inputs the function takes another branch than the one recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BranchChanged {
    /// The comparison, in terms of the inputs.
    pub comparison: String,
    /// Its outcome when recorded.
    pub recorded: bool,
}

impl fmt::Display for BranchChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { comparison, recorded } = self;
        write!(f, "`{comparison}` was {recorded} when recorded and is {} at these inputs", !recorded)
    }
}

impl std::error::Error for BranchChanged {}
