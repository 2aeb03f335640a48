//! Looking at a tape: what is on it, what it takes, and where a number stopped being finite.
//!
//! [`Tape::summary`](crate::Tape::summary) counts, [`Tape::listing`](crate::Tape::listing) lists one row
//! an operation, [`Tape::first_non_finite`](crate::Tape::first_non_finite) and
//! [`Gradient::first_non_finite`](crate::Gradient::first_non_finite) find the source of a NaN.
//! All of them read what the tape keeps anyway, after the fact: recording and sweeping do no more
//! than before. A tensor operation is known by name and by the line that called it; a scalar record
//! keeps its partials alone, so the story of a scalar function is told by
//! [`trace`](fn@crate::trace), which runs it on recorded numbers.

mod finite;
mod table;

pub use finite::NonFinite;
pub use table::{Largest, Listing, OperationCount, Summary};

use std::panic::Location;

use crate::number::Scalar;
use crate::tape::{Op, OperandInfo, OperationInfo, SINK};

/// Values in a few numbers.
#[derive(Clone, Copy, Debug)]
struct ValueStatistics {
    /// Of the finite values; NaN if there is none.
    min: f64,
    max: f64,
    mean: f64,
    non_finite: usize,
}

impl ValueStatistics {
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

/// The operation that computed an operand, and its place; none for inputs, constants and scalars.
fn maker<'a, F: Scalar>(ops: &'a [Op<F>], source: &OperandInfo<'_>) -> Option<(usize, &'a OperationInfo<'a, F>)> {
    let slot = source.slot as usize;
    let place = ops.partition_point(|op| op.first <= slot).checked_sub(1)?;
    let info = ops[place].describe()?;
    (slot < ops[place].first + ops[place].len).then_some((place, info))
}

/// An operand in words: what made it, and its shape.
fn operand_text<F: Scalar>(ops: &[Op<F>], source: &OperandInfo<'_>) -> String {
    let shape = source.shape;
    match maker(ops, source) {
        Some((place, info)) => format!("{} #{place} {shape:?}", info.kind.name),
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
