//! The source of an infinity or a NaN, forwards and backwards.

use std::fmt;
use std::panic::Location;

use super::{Section, Statistics, heads, line, maker, operand_text, sections, terms};
use crate::adjoints::Adjoints;
use crate::real::Scalar;
use crate::sweep::{Cotangents, Gradient};
use crate::tape::{Made, Op, Record, SINK, Source, Tape};
use crate::trace::short;

/// Where a number that is not finite came from; `Display` tells the story.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NonFinite {
    /// The operation, by the name of its method; `scalar` for a record of scalars.
    pub operation: &'static str,
    /// The line that called it; scalar records keep none.
    pub location: Option<&'static Location<'static>>,
    /// The shape of its result.
    pub shape: Vec<usize>,
    /// What is not finite there.
    pub what: String,
    /// Its operands, as far as the tape knows them.
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
    /// The first operation, in the order of recording, whose result has an element that is infinite
    /// or NaN, or (for scalars) whose partial is; none if all is finite.
    ///
    /// It looks at what is on the tape: what is computed from constants alone is not, and a scalar
    /// record knows its partials only. In a training loop ask [`check_finite`](Self::check_finite)
    /// to look at each step.
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

    /// Whether [`value_and_grad`](Self::value_and_grad) and its like look for values and
    /// derivatives that are not finite after each recording and sweep, and panic with the story of
    /// the first one.
    ///
    /// Off unless set; then it costs nothing. On, it reads everything on the tape once more.
    pub fn check_finite(&mut self, check: bool) {
        self.set_checked(check);
    }

    /// Panics if something on the tape, or in the sweep that left these adjoints, is not finite.
    #[cold]
    #[track_caller]
    pub(crate) fn assert_finite(&self, loss: F, adjoints: &[F]) {
        if let Some(source) = self.first_non_finite() {
            panic!("not finite: {source}");
        }
        if let Some(source) = in_sweep(self, adjoints) {
            panic!("the gradient is not finite: {source}");
        }
        assert!(loss.is_finite(), "the loss is {loss}, though what is on the tape is finite: look at the constants");
    }
}

impl<F: Scalar> Gradient<'_, F> {
    /// The first operation, in the order of the sweep, that turned finite adjoints into one that is
    /// infinite or NaN, and what it is computed from; none if the gradient is finite.
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

fn in_section<F: Scalar>(section: &Section<'_, F>, ops: &[Op<F>]) -> Option<NonFinite> {
    match section {
        Section::Op(_, _, Some(made)) => {
            let values = made.values?;
            let place = values.iter().position(|x| !x.is_finite())?;
            let what = format!(
                "{} of {} values not finite, first {} at {}",
                Statistics::of(values).non_finite,
                values.len(),
                values[place],
                index(made.shape, place)
            );
            Some(NonFinite {
                operation: made.origin.name,
                location: Some(made.location),
                shape: made.shape.to_vec(),
                what,
                operands: described(ops, made),
            })
        }
        Section::Op(..) => None,
        Section::Records(first, records) => heads(records).into_iter().find_map(|i| {
            let (slot, partial) = terms(records, i).find(|(_, partial)| !partial.is_finite())?;
            Some(scalar(format!("the partial of slot {} with respect to slot {slot} is {partial}", first + i)))
        }),
    }
}

/// The operands, with the range of their values where the tape has them.
fn described<F: Scalar>(ops: &[Op<F>], made: &Made<'_, F>) -> String {
    let operand = |source: &Source<'_>| {
        let text = operand_text(ops, source);
        match maker(ops, source).and_then(|(_, of)| of.values).map(Statistics::of) {
            Some(Statistics { min, max, .. }) => format!("{text} from {} to {}", short(min), short(max)),
            None => text,
        }
    };
    made.origin.operands.iter().flatten().map(operand).collect::<Vec<_>>().join(", ")
}

fn scalar(what: String) -> NonFinite {
    let what = format!("{what}; run the function on recorded numbers (`trace`) to see its steps");
    NonFinite { operation: "scalar", location: None, shape: Vec::new(), what, operands: String::new() }
}

/// The index of the element at a place in row-major order.
fn index(shape: &[usize], mut place: usize) -> String {
    let mut index = vec![0; shape.len()];
    for (i, &len) in index.iter_mut().zip(shape).rev() {
        (*i, place) = (place % len, place / len);
    }
    format!("{index:?}")
}

/// Goes through a sweep again, by the adjoints that it left.
fn in_sweep<F: Scalar>(tape: &Tape<F>, adjoints: &[F]) -> Option<NonFinite> {
    if adjoints[1..].iter().all(|a| a.is_finite()) {
        return None;
    }
    tape.with_records(|records, ops| {
        let sections: Vec<_> = sections(records, ops).collect();
        sections.iter().rev().find_map(|section| match section {
            Section::Records(first, records) => in_records(*first, records, adjoints),
            Section::Op(_, op, Some(made)) => {
                let run = adjoints.get(op.first..op.first + op.len)?;
                if let Some(place) = run.iter().position(|a| !a.is_finite()) {
                    let what = format!(
                        "its own adjoint is {} at {} (a sum of finite ones that overflows, or the seed)",
                        run[place],
                        index(made.shape, place)
                    );
                    return Some(of_op(ops, made, what));
                }
                // What its pullback alone does. The sweep ran it too, so its captures are alive: the
                // gradient's lifetime is at most theirs.
                let mut scratch = vec![F::zero(); op.first];
                let (arena, spare) = (tape.arena(), tape.spare());
                op.pull(&mut Cotangents { result: run, adjoints: Adjoints::new(&mut scratch), arena, spare });
                let bad = scratch.iter().enumerate().skip(1).find(|(_, a)| !a.is_finite());
                bad.map(|(slot, a)| {
                    let operand =
                        made.origin.operands.iter().flatten().filter(|x| x.slot as usize <= slot && x.slot != SINK);
                    let place = operand.max_by_key(|x| x.slot).map_or(0, |x| slot - x.slot as usize);
                    of_op(ops, made, format!("its pullback turns finite adjoints into {a} (operand's element {place})"))
                })
            }
            Section::Op(_, op, None) => {
                let run = adjoints.get(op.first..op.first + op.len)?;
                let place = run.iter().skip(usize::from(op.first == 0)).position(|a| !a.is_finite())?;
                Some(scalar(format!("the adjoint of input {place} overflows, by adding finite ones up")))
            }
        })
    })
}

fn of_op<F: Scalar>(ops: &[Op<F>], made: &Made<'_, F>, what: String) -> NonFinite {
    NonFinite {
        operation: made.origin.name,
        location: Some(made.location),
        shape: made.shape.to_vec(),
        what,
        operands: described(ops, made),
    }
}

/// The last record whose own adjoint is finite and what it adds is not.
fn in_records<F: Scalar>(first: usize, records: &[Record<F>], adjoints: &[F]) -> Option<NonFinite> {
    heads(records).into_iter().rev().find_map(|i| {
        let slot = first + i;
        let adjoint = *adjoints.get(slot)?;
        if !adjoint.is_finite() {
            return Some(scalar(format!("the adjoint of slot {slot} is {adjoint}")));
        }
        let (to, partial) = terms(records, i).find(|&(_, partial)| !adjoint.gated_mul(partial).is_finite())?;
        Some(scalar(format!(
            "the adjoint {adjoint} of slot {slot} times its partial {partial} with respect to slot {to} is not finite"
        )))
    })
}
