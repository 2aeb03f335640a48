//! Looking at a tape: what is on it, what it takes, and where a number stopped being finite.
//!
//! [`Tape::summary`](crate::Tape::summary) counts, [`Tape::trace`](crate::Tape::trace) lists one row
//! an operation, [`Tape::first_non_finite`](crate::Tape::first_non_finite) and
//! [`Gradient::first_non_finite`](crate::Gradient::first_non_finite) find the source of a NaN.
//! All of them read what the tape keeps anyway, after the fact: recording and sweeping do no more
//! than before. A tensor operation is known by name and by the line that called it; a scalar record
//! keeps its partials alone, so the story of a scalar function is told by
//! [`trace`](fn@crate::trace), which runs it on recorded numbers.

mod finite;
mod table;

pub use finite::NonFinite;
pub use table::{Largest, OperationCount, Summary, TapeTrace};

use std::panic::Location;

use crate::real::Scalar;
use crate::tape::{Made, Op, Record, Rest, SINK, Source};

/// Values in a few numbers.
#[derive(Clone, Copy, Debug)]
struct Statistics {
    /// Of the finite values; NaN if there is none.
    min: f64,
    max: f64,
    mean: f64,
    non_finite: usize,
}

impl Statistics {
    fn of<F: Scalar>(values: &[F]) -> Self {
        let (mut min, mut max, mut sum, mut count) = (f64::NAN, f64::NAN, 0.0, 0_usize);
        for &value in values {
            let x = value.to_f64().unwrap_or(f64::NAN);
            if value.is_finite() {
                (min, max, sum, count) = (min.min(x), max.max(x), sum + x, count + 1);
            }
        }
        Self { min, max, mean: sum / count as f64, non_finite: values.len() - count }
    }
}

/// The part of a tape in which things follow each other: an operation, or scalar records.
enum Section<'a, F: Scalar> {
    /// Inputs have no description.
    Op(usize, &'a Op<F>, Option<&'a Made<'a, F>>),
    /// The slot of the first, and the records.
    Records(usize, &'a [Record<F>]),
}

/// All sections in the order of recording.
fn sections<'a, F: Scalar>(
    records: &'a [Record<F>],
    ops: &'a [Op<F>],
) -> impl DoubleEndedIterator<Item = Section<'a, F>> {
    ops.iter().enumerate().flat_map(move |(i, op)| {
        let end = ops.get(i + 1).map_or(records.len(), |next| next.records);
        let follow = Section::Records(op.first + op.len, &records[op.records..end]);
        [Section::Op(i, op, op.describe()), follow]
    })
}

/// The operands of the record at `i`: (slot, partial) for each.
fn terms<F: Scalar>(records: &[Record<F>], i: usize) -> impl Iterator<Item = (u32, F)> {
    let record = &records[i];
    let first = Some((record.parents[0], record.partials[0]));
    let (run, cells, own) = match record.rest() {
        Rest::One(q, e) => (None, 0, [first, Some((q, e))]),
        Rest::Cells(cells) => (None, cells, [first, None]),
        Rest::Sum(run) => (Some(run), 0, [None, None]),
    };
    let run = run.into_iter().flat_map(|run| run.slots().map(|slot| (slot, F::one())));
    let cells = records[i - cells..i].iter().flat_map(|cell| (0..2).map(|k| (cell.parents[k], cell.partials[k])));
    run.chain(cells).chain(own.into_iter().flatten()).filter(|&(slot, _)| slot != SINK)
}

/// The places of the records that stand for an operation, not for a part of a wide one.
fn heads<F: Scalar>(records: &[Record<F>]) -> Vec<usize> {
    let mut heads: Vec<usize> = Vec::new();
    for (i, record) in records.iter().enumerate() {
        if let Rest::Cells(cells) = record.rest() {
            while heads.last().is_some_and(|&head| head >= i - cells) {
                heads.pop();
            }
        }
        heads.push(i);
    }
    heads
}

/// The operation that computed an operand, and its place; none for inputs, constants and scalars.
fn maker<'a, F: Scalar>(ops: &'a [Op<F>], source: &Source<'_>) -> Option<(usize, &'a Made<'a, F>)> {
    let slot = source.slot as usize;
    let place = ops.partition_point(|op| op.first <= slot).checked_sub(1)?;
    let made = ops[place].describe()?;
    (slot < ops[place].first + ops[place].len).then_some((place, made))
}

/// An operand in words: what made it, and its shape.
fn operand_text<F: Scalar>(ops: &[Op<F>], source: &Source<'_>) -> String {
    let shape = source.shape;
    match maker(ops, source) {
        Some((place, made)) => format!("{} #{place} {shape:?}", made.origin.name),
        None if source.slot == SINK => format!("constant {shape:?}"),
        None if is_input(ops, source.slot as usize) => format!("input {shape:?}"),
        None => "a scalar".to_owned(),
    }
}

fn is_input<F: Scalar>(ops: &[Op<F>], slot: usize) -> bool {
    let place = ops.partition_point(|op| op.first <= slot) - 1;
    slot < ops[place].first + ops[place].len
}

/// A line as one clicks on it.
fn line(location: &Location<'_>) -> String {
    format!("{}:{}", location.file(), location.line())
}
