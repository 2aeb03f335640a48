//! The search for the source of an infinity or a NaN, in values and in adjoints.

use std::fmt;
use std::panic::Location;

use super::{ValueStatistics, line, maker, operand_text};
use crate::number::Scalar;
use crate::recording::expr::{Style, short};
use crate::recording::{Recording, Source};
use crate::scalar::Gradient;
use crate::tape::{
    Adjoints, Cotangents, Op, OperandInfo, OperationInfo, Record, SINK, Section, Tape, backward, operations, sections,
};

/// The source of an infinity or a NaN; `Display` puts the fields into one sentence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NonFinite {
    /// The name of the operation's method; `scalar` for a scalar record.
    pub operation: &'static str,
    /// The line that called the operation; `None` for a scalar record.
    pub location: Option<&'static Location<'static>>,
    /// The shape of the operation's result.
    pub shape: Vec<usize>,
    /// The value, partial or adjoint that is not finite, in words.
    pub what: String,
    /// The operation's operands, in words; empty for scalars.
    pub operands: String,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, location, shape, what, operands } = self;
        match location {
            Some(location) => write!(f, "`{operation}` at {}: {what}; result {shape:?}", line(location))?,
            None => write!(f, "{operation}: {what}")?,
        }
        if operands.is_empty() { Ok(()) } else { write!(f, ", operands {operands}") }
    }
}

impl std::error::Error for NonFinite {}

impl<F: Scalar> Tape<F> {
    /// The first operation, in the order of recording, with an infinite or NaN element in its result; for a scalar
    /// record, with an infinite or NaN partial. `None` if all these numbers are finite.
    ///
    /// The search covers only the tape: results of constants alone are not on the tape, and a scalar record keeps its
    /// partials but not its value. In a training loop, [`check_finite`](Self::check_finite) searches at each step.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let data = array![1.0, 0.0, 2.0];
    /// let x = tape.tensor(&data);
    /// let loss = (x.ln() * x).sum();
    /// let source = tape.first_non_finite().unwrap();
    /// assert_eq!(source.operation, "ln");
    /// println!("{source}");
    /// ```
    pub fn first_non_finite(&self) -> Option<NonFinite> {
        self.with_records(|records, ops| sections(records, ops).find_map(|section| in_section(&section, ops)))
    }

    /// Turns on, or off, a search for infinities and NaNs in [`value_and_grad`](Self::value_and_grad) and the methods
    /// like it: after each recording and sweep, they panic with the [source](NonFinite) of the first such number.
    ///
    /// The search is off by default and then costs nothing. If it is on, each step reads everything on the tape once
    /// more.
    pub fn check_finite(&mut self, check: bool) {
        self.set_check(check.then_some(not_finite));
    }
}

/// A message about the first number that is not finite, on the tape or in the sweep that left these adjoints.
#[cold]
fn not_finite<F: Scalar>(tape: &Tape<F>, loss: F, adjoints: &[F]) -> Option<String> {
    if let Some(source) = tape.first_non_finite() {
        return Some(format!("not finite: {source}"));
    }
    if let Some(source) = in_sweep(tape, adjoints) {
        return Some(format!("the gradient is not finite: {source}"));
    }
    let message = || format!("the loss is {loss}, though what is on the tape is finite: look at the constants");
    (!loss.is_finite()).then(message)
}

impl<F: Scalar> Gradient<'_, F> {
    /// The first operation, in the order of the sweep, that turned finite adjoints into an infinite or NaN adjoint;
    /// `None` if the gradient is finite.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let data = array![4.0, 0.0];
    /// let x = tape.tensor(&data);
    /// let gradient = x.sqrt().sum().backward(); // finite, but its slope at 0 is not
    /// assert!(tape.first_non_finite().is_none());
    /// let source = gradient.first_non_finite().unwrap();
    /// assert_eq!(source.operation, "sqrt");
    /// ```
    pub fn first_non_finite(&self) -> Option<NonFinite> {
        in_sweep(self.tape, self.adjoints)
    }
}

impl Recording {
    /// The first step with an infinite or NaN value or partial.
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
            let step = self.steps.get(i);
            let operands = step.operands();
            let steps = || {
                operands.iter().enumerate().filter_map(|(place, x)| match x {
                    Source::Step(j) => Some((place, *j as usize)),
                    Source::Constant(_) => None,
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
                operation: step.name(),
                location: Some(self.lines[i]),
                shape: Vec::new(),
                what,
                operands: String::new(),
            })
        })
    }
}

/// The first number of a section that is not finite: in its tensor operation, then in its scalar records.
fn in_section<F: Scalar>(section: &Section<'_, F>, ops: &[Op<F>]) -> Option<NonFinite> {
    if let Some(source) = section.op.describe().and_then(|info| in_values(info, ops)) {
        return Some(source);
    }
    operations(section.records).find_map(|(i, entries)| {
        let (slot, partial) = entries.terms().find(|(_, partial)| !partial.is_finite())?;
        let own = section.first + i;
        Some(scalar(format!("the partial of slot {own} with respect to slot {slot} is {partial}")))
    })
}

/// The first element of an operation's result that is not finite.
fn in_values<F: Scalar>(info: &OperationInfo<'_, F>, ops: &[Op<F>]) -> Option<NonFinite> {
    let values = info.values?;
    let place = values.iter().position(|x| !x.is_finite())?;
    let what = format!(
        "{} of {} values not finite, first {} at {}",
        ValueStatistics::of(values).non_finite,
        values.len(),
        values[place],
        index(info.shape, place)
    );
    Some(of_op(ops, info, what))
}

/// The operands in words, with the range of their values if the tape has the values.
fn described<F: Scalar>(ops: &[Op<F>], info: &OperationInfo<'_, F>) -> String {
    let operand = |operand: &OperandInfo<'_>| {
        let text = operand_text(ops, operand);
        match maker(ops, operand).and_then(|(_, of)| of.values).map(ValueStatistics::of) {
            Some(ValueStatistics { min, max, .. }) => format!("{text} from {} to {}", short(min), short(max)),
            None => text,
        }
    };
    info.kind.operands.iter().flatten().map(operand).collect::<Vec<_>>().join(", ")
}

fn scalar(what: String) -> NonFinite {
    let what = format!("{what}; run the function on recorded numbers (`trace`) to see its steps");
    NonFinite { operation: "scalar", location: None, shape: Vec::new(), what, operands: String::new() }
}

/// The index of an element, from its position in row-major order.
fn index(shape: &[usize], mut place: usize) -> String {
    let mut index = vec![0; shape.len()];
    for (i, &len) in index.iter_mut().zip(shape).rev() {
        (*i, place) = (place % len, place / len);
    }
    format!("{index:?}")
}

/// The source of the first adjoint that is not finite, found by repeating the sweep on the adjoints that it left.
fn in_sweep<F: Scalar>(tape: &Tape<F>, adjoints: &[F]) -> Option<NonFinite> {
    if adjoints[1..].iter().all(|a| a.is_finite()) {
        return None;
    }
    tape.with_records(|records, ops| {
        sections(records, ops).rev().find_map(|Section { op, first, records, .. }| {
            if let Some(source) = in_records(first, records, adjoints) {
                return Some(source);
            }
            let run = adjoints.get(op.first..op.first + op.len)?;
            let place = run.iter().skip(usize::from(op.first == 0)).position(|a| !a.is_finite());
            let Some(info) = op.describe() else {
                return place.map(|place| {
                    scalar(format!("the adjoint of input {place} overflows, as a sum of finite numbers"))
                });
            };
            if let Some(place) = place {
                let what = format!(
                    "its own adjoint is {} at {} (a sum of finite ones that overflows, or the seed)",
                    run[place],
                    index(info.shape, place)
                );
                return Some(of_op(ops, info, what));
            }
            // Calls this pullback alone. The sweep called it too, so its captures are alive: the lifetime of the
            // gradient is at most the lifetime of the captures.
            let mut scratch = vec![F::zero(); op.first];
            op.pull(&mut Cotangents { of_result: run, of_operands: Adjoints::new(&mut scratch), arena: tape.arena() });
            let bad = scratch.iter().enumerate().skip(1).find(|(_, a)| !a.is_finite());
            bad.map(|(slot, a)| {
                let operands = info.kind.operands.iter().flatten();
                let operand = operands.filter(|x| x.slot as usize <= slot && x.slot != SINK).max_by_key(|x| x.slot);
                let place = operand.map_or(0, |x| slot - x.slot as usize);
                of_op(ops, info, format!("its pullback turns finite adjoints into {a} (operand's element {place})"))
            })
        })
    })
}

fn of_op<F: Scalar>(ops: &[Op<F>], info: &OperationInfo<'_, F>, what: String) -> NonFinite {
    NonFinite {
        operation: info.kind.name,
        location: Some(info.location),
        shape: info.shape.to_vec(),
        what,
        operands: described(ops, info),
    }
}

/// The first scalar record, in the order of the sweep, with an adjoint or a contribution that is not finite.
fn in_records<F: Scalar>(first: usize, records: &[Record<F>], adjoints: &[F]) -> Option<NonFinite> {
    backward(records).find_map(|(i, entries)| {
        let slot = first + i;
        let adjoint = *adjoints.get(slot)?;
        if !adjoint.is_finite() {
            return Some(scalar(format!("the adjoint of slot {slot} is {adjoint}")));
        }
        let (to, partial) = entries.terms().find(|&(_, partial)| !adjoint.gated_mul(partial).is_finite())?;
        Some(scalar(format!(
            "the adjoint {adjoint} of slot {slot} times its partial {partial} with respect to slot {to} is not finite"
        )))
    })
}
