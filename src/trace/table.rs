//! [`Trace`]: the forward primal trace and the reverse adjoint trace of a recording.

use std::fmt;

use crate::number::Real;
use crate::recording::expr::{Binding, Expr, Style, number, simplify};
use crate::recording::{Recorded, Recording, Source, Step, record, record_of};
use crate::symbolic::{case_at, partial};
use crate::text::Table;

/// The evaluation of a function and of its gradient, as the table that textbooks print (Baydin,
/// Pearlmutter, Radul and Siskind, "Automatic differentiation in machine learning: a survey",
/// JMLR 18(153), 2018, table 3). The left half is read downwards and shows the value of each step. The right half is
/// read upwards and shows the adjoint of each step and the contributions that it passes on to the adjoints of its
/// operands.
///
/// `Display` prints aligned text; see also [`to_markdown`](Self::to_markdown) and
/// [`to_latex`](Self::to_latex).
///
/// ```
/// use wengert::trace::trace;
///
/// let table = trace(["w", "b"], |[w, b]| (w * 3.0 + b).powi(2), [0.5, -1.0]);
/// assert_eq!(
///     table.to_string(),
///     "\
/// forward ↓    value │ adjoint ↑  passes on        value
/// ───────────────────┼──────────────────────────────────
/// w             0.5  │ w̄ =  3
/// b            -1    │ b̄ =  1
/// v1 = w * 3    1.5  │ v̄1 =  1    w̄ += v̄1 · 3       3
/// v2 = v1 + b   0.5  │ v̄2 =  1    v̄1 += v̄2 · 1      1
///                    │            b̄ += v̄2 · 1       1
/// v3 = v2^2     0.25 │ v̄3 =  1    v̄2 += v̄3 · 2*v2   1
/// "
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Trace {
    pub(super) recording: Recording,
    /// The contributions of each step to the adjoints of its operands.
    pub(super) contributions: Vec<Vec<Contribution>>,
    pub(super) adjoints: Vec<f64>,
    pub(super) output: Source,
}

#[derive(Clone, Debug)]
pub(super) struct Contribution {
    pub(super) to: usize,
    /// The place of the operand in the step.
    pub(super) place: usize,
    pub(super) partial: Expr,
    pub(super) value: f64,
}

/// The trace of a function of named inputs at a point.
///
/// # Panics
///
/// If two names are equal.
#[track_caller]
pub fn trace<const N: usize>(
    names: [&str; N],
    f: impl for<'r> FnOnce([Recorded<'r>; N]) -> Recorded<'r>,
    values: [f64; N],
) -> Trace {
    record(names, f, values).trace()
}

/// Same as [`trace`], for a function of a slice.
///
/// # Panics
///
/// If two names are equal, or if `names` and `values` differ in length.
#[track_caller]
pub fn trace_of(names: &[&str], f: impl for<'r> FnOnce(&[Recorded<'r>]) -> Recorded<'r>, values: &[f64]) -> Trace {
    record_of(names, f, values).trace()
}

impl Recording {
    /// The trace of the recording's only output.
    ///
    /// # Panics
    ///
    /// If the recording does not have exactly one output.
    #[track_caller]
    pub fn trace(&self) -> Trace {
        let output = self.output("trace");
        let names = self.step_names();
        let symbols: Vec<Expr> = names.iter().map(|name| Expr::symbol(name)).collect();
        let value_of = |name: &str| self.values[names.iter().position(|n| n == name).expect("a step's name")];
        let (live, adjoints) = (self.live(output), self.adjoints(output));
        let contributions = |i: usize| {
            let step = self.steps.get(i);
            let x: Vec<_> = step.operands().iter().map(|&x| self.formula_of(x, &symbols)).collect();
            let to = |(place, &operand): (usize, &Source)| {
                let Source::Step(to) = operand else { return None };
                let formula = partial(step, place, &x, &symbols[i]);
                Some(Contribution {
                    to: to as usize,
                    place,
                    partial: simplify(case_at(&formula, &value_of)),
                    value: adjoints[i].gated_mul(self.partial(i, place)),
                })
            };
            if live[i] { step.operands().iter().enumerate().filter_map(to).collect() } else { Vec::new() }
        };
        let contributions = (0..self.steps.len()).map(contributions).collect();
        Trace { recording: self.clone(), contributions, adjoints, output }
    }

    /// The adjoint of every step: the derivative of the output with respect to the step.
    pub(crate) fn adjoints(&self, output: Source) -> Vec<f64> {
        let mut adjoints = vec![0.0; self.steps.len()];
        if let Source::Step(i) = output {
            adjoints[i as usize] = 1.0;
        }
        for (i, step) in self.steps.iter().enumerate().rev() {
            for (place, operand) in step.operands().iter().enumerate() {
                if let Source::Step(j) = operand {
                    adjoints[*j as usize] += adjoints[i].gated_mul(self.partial(i, place));
                }
            }
        }
        adjoints
    }
}

const HEADER: [&str; 5] = ["forward ↓", "value", "adjoint ↑", "passes on", "value"];

impl Trace {
    /// The value of the function.
    pub fn value(&self) -> f64 {
        self.recording.value(self.output)
    }

    /// The derivatives with respect to the inputs, in order.
    pub fn gradient(&self) -> Vec<f64> {
        let inputs = self.recording.steps.iter().zip(&self.adjoints);
        inputs.filter(|(step, _)| matches!(step, Step::Input(_))).map(|(_, &adjoint)| adjoint).collect()
    }

    /// The recording that the trace was made from.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The cells of the table, row by row.
    fn rows(&self, style: Style) -> Vec<[String; 5]> {
        let recording = &self.recording;
        let names = recording.step_names();
        let mut rows = Vec::new();
        for (i, step) in recording.steps.iter().enumerate() {
            let own = style.symbol(&names[i]);
            let text = recording.step_text(i, &names, style);
            let text = if matches!(step, Step::Input(_)) { own } else { format!("{own} = {text}") };
            let bar = style.bar(&names[i]);
            let adjoint = format!("{bar} = {}", number(self.adjoints[i], style));
            let mut left = [text, number(recording.values[i], style), adjoint];
            let mut contributions = self.contributions[i].iter();
            let mut next = contributions.next();
            loop {
                let right = next.map_or(Default::default(), |c| {
                    let partial = style.within(&c.partial, Binding::Product);
                    let (to, by) = (style.bar(&names[c.to]), style.dot());
                    let add = if style == Style::Text { "+=" } else { r"\mathrel{+}=" };
                    [format!("{to} {add} {bar} {by} {partial}"), number(c.value, style)]
                });
                let [a, b, c] = std::mem::take(&mut left);
                let [d, e] = right;
                rows.push([a, b, c, d, e]);
                next = contributions.next();
                if next.is_none() {
                    break;
                }
            }
        }
        rows
    }

    /// The table in Markdown.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("| {} |\n|---|---:|---|---|---:|\n", HEADER.join(" | "));
        for row in self.rows(Style::Text) {
            let cells = row.map(|cell| {
                let cell = cell.trim().replace('|', r"\|").replace("=  ", "= ");
                if cell.is_empty() { cell } else { format!("`{cell}`") }
            });
            text.extend(["| ", &cells.join(" | "), " |\n"]);
        }
        text
    }

    /// The table as a LaTeX array, for math mode.
    pub fn to_latex(&self) -> String {
        let rows = self.rows(Style::Latex);
        let rows: Vec<String> = rows.iter().map(|row| row.each_ref().map(|cell| cell.trim()).join(" & ")).collect();
        format!("\\begin{{array}}{{lr|llr}}\n{}\n\\end{{array}}", rows.join(" \\\\\n"))
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![HEADER.map(str::to_owned)];
        rows.extend(self.rows(Style::Text));
        let table = Table { bar: Some(2), rule: Some('─'), ..Table::default() };
        writeln!(f, "{}", table.print(&rows))
    }
}
