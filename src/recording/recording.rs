//! [`Recording`]: a function as a plain list of operations, and its replay at other inputs.

use std::collections::HashSet;
use std::fmt;
use std::panic::Location;
use std::sync::OnceLock;

use super::step::{Comparison, Source, Step, printed};
use super::steps::Steps;
use crate::number::rules::{BinaryOp, UnaryOp};
use crate::number::{BaseFloat, Real};
use crate::recording::expr::{Binding, Expr, Style};

/// One run of a function of named inputs: the operations in order, the constants, the comparisons that decided which
/// branches the function took, and the outputs.
///
/// [`record`](super::record) makes a recording. A recording is plain data: it can be evaluated again at other inputs
/// and on other types of number, printed as a [trace](Recording::trace), drawn as a
/// [picture](crate::trace::Trace::picture) of the trace, and turned into a [formula](Recording::formula). Traces and
/// formulas are those of `f64`; a function of `f32` numbers can be recorded and evaluated.
#[derive(Clone, Debug, Default)]
pub struct Recording<F = f64> {
    pub(super) input_count: usize,
    /// The names of the inputs; unnamed ones get their names when a text asks for them.
    pub(super) names: OnceLock<Vec<String>>,
    pub(crate) steps: Steps<F>,
    /// The recorded value of each step; empty if the recorder keeps steps only.
    pub(crate) values: Vec<F>,
    /// The line that called each step; empty if the recorder keeps steps only.
    pub(crate) lines: Vec<&'static Location<'static>>,
    pub(crate) constants: Vec<F>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) outputs: Vec<Source>,
    /// The recorded values of the outputs.
    pub(super) output_values: Vec<F>,
}

impl<F: BaseFloat> Recording<F> {
    /// The names of the inputs, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.names().iter().map(String::as_str)
    }

    /// The names of the inputs: `x0`, `x1`, ... for unnamed ones.
    pub(crate) fn names(&self) -> &[String] {
        self.names.get_or_init(|| (0..self.input_count).map(|i| format!("x{i}")).collect())
    }

    pub(crate) fn input_count(&self) -> usize {
        self.input_count
    }

    /// The number of operations, without inputs and constants.
    pub fn len(&self) -> usize {
        self.steps.len() - self.input_count
    }

    /// True if the recording contains no operation.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The recorded values of the outputs.
    pub fn outputs(&self) -> Vec<F> {
        self.output_values.clone()
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
    /// If a comparison has another outcome at these inputs than when recorded: the function would then take another
    /// branch. Values that the function read out of its numbers (`to_f64`, `to_base`) are not checked.
    ///
    /// # Panics
    ///
    /// If there is not one number for each input of the recording.
    #[track_caller]
    pub fn evaluate(&self, inputs: &[F]) -> Result<Vec<F>, BranchChanged> {
        self.replay(inputs)
    }

    /// Same as [`evaluate`](Self::evaluate), on numbers of any kind: dual numbers, variables of a tape.
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
    /// Same as for [`evaluate`](Self::evaluate).
    ///
    /// # Panics
    ///
    /// If there is not one number for each input of the recording.
    #[track_caller]
    pub fn replay<R: Real<Base = F>>(&self, inputs: &[R]) -> Result<Vec<R>, BranchChanged> {
        assert!(
            inputs.len() == self.input_count,
            "evaluate: {} inputs for a recording of {} ({})",
            inputs.len(),
            self.input_count,
            self.some_names()
        );
        let mut values: Vec<R> = Vec::with_capacity(self.steps.len());
        let mut comparisons = self.comparisons.iter();
        let mut next = comparisons.next();
        for i in 0..=self.steps.len() {
            let value = |x| match x {
                Source::Step(i) => values[i as usize],
                Source::Constant(i) => R::from_base(self.constants[i as usize]),
            };
            while let Some(comparison) = next.filter(|c| c.before as usize == i) {
                let [a, b] = comparison.operands.map(value);
                if comparison.test.holds(a, b) != comparison.outcome {
                    return Err(self.changed(comparison));
                }
                next = comparisons.next();
            }
            if i == self.steps.len() {
                return Ok(self.outputs.iter().map(|&y| value(y)).collect());
            }
            let y = self.steps.get(i).eval(value, inputs);
            values.push(y);
        }
        unreachable!("the last turn returns")
    }

    /// The names of the inputs as text, the first ones if they are many.
    fn some_names(&self) -> String {
        const MOST: usize = 20;
        let names = self.names();
        let rest = if names.len() > MOST { ", ..." } else { "" };
        names[..names.len().min(MOST)].join(", ") + rest
    }

    /// The error of a comparison that has another outcome than when recorded.
    #[cold]
    fn changed(&self, comparison: &Comparison) -> BranchChanged {
        let printed = self.printed();
        let comparison_text = printed.comparison_text(comparison, &printed.expressions(&printed.symbols()));
        BranchChanged { comparison: comparison_text, recorded: comparison.outcome, line: comparison.line }
    }

    /// The steps and names in numbers that print alike, for texts. It has no values.
    fn printed(&self) -> Recording {
        Recording {
            input_count: self.input_count,
            names: self.names.clone(),
            steps: self.steps.printed(),
            constants: self.constants.iter().map(|&x| printed(x)).collect(),
            ..Recording::default()
        }
    }
}

impl Recording {
    /// The comparisons of the function and their outcomes, as text in the order of the run.
    ///
    /// ```
    /// use wengert::{Real, record};
    ///
    /// let f = record(["a", "b"], |[a, b]| if a * b > 0.0 { a } else { b }, [1.0, -2.0]);
    /// assert_eq!(f.comparisons().collect::<Vec<_>>(), ["a*b > 0: false"]);
    /// ```
    pub fn comparisons(&self) -> impl Iterator<Item = String> {
        let formulas = self.expressions(&self.symbols());
        self.comparisons.iter().map(move |c| format!("{}: {}", self.comparison_text(c, &formulas), c.outcome))
    }

    /// A comparison as text, from the formulas of the steps.
    fn comparison_text(&self, comparison: &Comparison, formulas: &[Expr]) -> String {
        let [a, b] = comparison.operands.map(|x| self.formula_of(x, formulas).to_string());
        comparison.test.text(&a, &b)
    }

    /// The recorded value of an operand.
    pub(crate) fn value(&self, operand: Source) -> f64 {
        match operand {
            Source::Step(i) => self.values[i as usize],
            Source::Constant(i) => self.constants[i as usize],
        }
    }

    /// The partial of step `i` with respect to its operand number `place`, at the recorded values.
    pub(crate) fn partial(&self, i: usize, place: usize) -> f64 {
        let step = self.steps.get(i);
        let x: Vec<f64> = step.operands().iter().map(|&x| self.value(x)).collect();
        step.partial(place, &x, self.values[i])
    }

    /// For each step, true if the output depends on the step.
    pub(crate) fn live(&self, output: Source) -> Vec<bool> {
        let mut live = vec![false; self.steps.len()];
        let mark = |live: &mut Vec<bool>, x: Source| {
            if let Source::Step(i) = x {
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

    /// The name of each step: the user's name for an input; `v1`, `v2`, ... for the others.
    pub(crate) fn step_names(&self) -> Vec<String> {
        let inputs: HashSet<&str> = self.inputs().collect();
        let mut operations = 0;
        let mut name = |step: Step| {
            if let Step::Input(input) = step {
                return self.names()[input as usize].clone();
            }
            operations += 1;
            let name = format!("v{operations}");
            if inputs.contains(name.as_str()) { format!("{name}'") } else { name }
        };
        self.steps.iter().map(&mut name).collect()
    }

    /// A step as text: its operation on the names of its operands.
    pub(crate) fn step_text(&self, i: usize, names: &[String], style: Style) -> String {
        let operand = |x: &Source| match *x {
            Source::Step(i) => style.symbol(&names[i as usize]),
            Source::Constant(i) => style.within(&Expr::decimal(self.constants[i as usize]), Binding::Product),
        };
        let step = self.steps.get(i);
        let x: Vec<String> = step.operands().iter().map(operand).collect();
        let infix = |sign: &str| format!("{} {sign} {}", x[0], x[1]);
        let raised =
            |n: &str| if style == Style::Latex { format!("{}^{{{n}}}", x[0]) } else { format!("{}^{n}", x[0]) };
        match step {
            Step::Input(_) => style.symbol(&names[i]),
            Step::Binary(BinaryOp::add, _) => infix("+"),
            Step::Binary(BinaryOp::sub, _) => infix("-"),
            Step::Binary(BinaryOp::mul, _) => infix(style.times()),
            Step::Binary(BinaryOp::div, _) => infix("/"),
            Step::Binary(BinaryOp::powf, _) => raised(&x[1]),
            Step::Unary(UnaryOp::powi(rule), _) => raised(&rule.n.to_string()),
            Step::Unary(UnaryOp::neg(_), _) => format!("-{}", x[0]),
            Step::Unary(op, _) => style.call(op.name(), x.into_iter().chain(op.parameters())),
            Step::Binary(..) | Step::MulAdd(_) => style.call(step.name(), x),
        }
    }

    /// The formula of every step, from the formulas of the inputs.
    pub(crate) fn expressions(&self, inputs: &[Expr]) -> Vec<Expr> {
        let mut formulas: Vec<Expr> = Vec::with_capacity(self.steps.len());
        for step in self.steps.iter() {
            let x: Vec<_> = step.operands().iter().map(|&x| self.formula_of(x, &formulas)).collect();
            formulas.push(Expr::step(step, &x, inputs));
        }
        formulas
    }

    /// The formula of an operand, from the formulas of the steps.
    pub(crate) fn formula_of(&self, operand: Source, formulas: &[Expr]) -> Expr {
        match operand {
            Source::Step(i) => formulas[i as usize].clone(),
            Source::Constant(i) => Expr::number(self.constants[i as usize]),
        }
    }

    /// The inputs as symbols.
    pub(crate) fn symbols(&self) -> Vec<Expr> {
        self.inputs().map(Expr::symbol).collect()
    }

    /// The formula of an operand in terms of the inputs.
    pub(crate) fn expression(&self, operand: Source) -> Expr {
        self.formula_of(operand, &self.expressions(&self.symbols()))
    }

    /// The only output. Panics, with the name of the calling `operation`, if there is not exactly one.
    #[track_caller]
    pub(crate) fn output(&self, operation: &str) -> Source {
        match self.outputs[..] {
            [output] => output,
            _ => panic!("{operation}: the recording has {} outputs, one is needed", self.outputs.len()),
        }
    }
}

/// The error of an evaluation at inputs where the function takes another branch than the one recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BranchChanged {
    /// The comparison, in terms of the inputs.
    pub comparison: String,
    /// The recorded outcome of the comparison.
    pub recorded: bool,
    /// The line of the comparison.
    pub line: &'static Location<'static>,
}

impl fmt::Display for BranchChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { comparison, recorded, .. } = self;
        write!(f, "`{comparison}` was {recorded} when recorded and is {} at these inputs", !recorded)
    }
}

impl std::error::Error for BranchChanged {}
