//! Inspection of a tape: the operations on it, the memory in use, and the source of a number that is not finite.
//!
//! [`Tape::summary`](crate::Tape::summary) counts operations and bytes, [`Tape::listing`](crate::Tape::listing) lists
//! the operations, and [`Tape::first_non_finite`](crate::Tape::first_non_finite) and
//! [`Gradient::first_non_finite`](crate::Gradient::first_non_finite) find the source of an infinity or a NaN. These
//! methods read what the tape keeps anyway, so recording and sweeping do no extra work.
//!
//! The tape knows a tensor operation by name and by the line that called the operation. A scalar record keeps only its
//! partials; [`trace`](fn@crate::trace) shows the steps of a scalar function by running it on recorded numbers.
//!
//! In the source, `table` counts and prints, and `finite` searches for numbers that are not finite.

mod finite;
mod table;

pub use finite::NonFinite;
pub use table::{Largest, Listing, OperationCount, Summary};

use std::panic::Location;

use crate::number::Scalar;
use crate::tape::{Op, OperandInfo, OperationInfo, SINK};

/// The range, the mean and the number of non-finite elements of some values.
#[derive(Clone, Copy, Debug)]
struct ValueStatistics {
    /// The least finite value. `min`, `max` and `mean` are NaN if no value is finite.
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

/// The operation that computed an operand, with its index; `None` for inputs, constants and scalars.
fn maker<'a, F: Scalar>(ops: &'a [Op<F>], operand: &OperandInfo<'_>) -> Option<(usize, &'a OperationInfo<'a, F>)> {
    let slot = operand.slot as usize;
    let place = ops.partition_point(|op| op.first <= slot).checked_sub(1)?;
    let info = ops[place].describe()?;
    (slot < ops[place].first + ops[place].len).then_some((place, info))
}

/// A description of an operand: the operation that computed it, and its shape.
fn operand_text<F: Scalar>(ops: &[Op<F>], operand: &OperandInfo<'_>) -> String {
    let shape = operand.shape;
    match maker(ops, operand) {
        Some((place, info)) => format!("{} #{place} {shape:?}", info.kind.name),
        None if operand.slot == SINK => format!("constant {shape:?}"),
        None if is_input(ops, operand.slot as usize) => format!("input {shape:?}"),
        None => "a scalar".to_owned(),
    }
}

/// True if the slot is in the range of an `Op`, not of a scalar record; an `Op` without a [`maker`] holds inputs.
fn is_input<F: Scalar>(ops: &[Op<F>], slot: usize) -> bool {
    let place = ops.partition_point(|op| op.first <= slot) - 1;
    slot < ops[place].first + ops[place].len
}

/// A location as `file:line`, which terminals and editors show as a link.
fn line(location: &Location<'_>) -> String {
    format!("{}:{}", location.file(), location.line())
}
