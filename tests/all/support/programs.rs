//! Random programs over the whole table of rules, and over a few functions that are generic over the number.

use wengert::rules::{BINARY, BinaryRow, UNARY, UnaryRow};
use wengert::trace::Recorded;
use wengert::{Dual, Real, Var};

pub(crate) const INPUTS: usize = 3;

/// A row of the table, and the indices of the earlier values that are its operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) row: usize,
    pub(crate) operands: [usize; 2],
    /// Makes the value a node of its own, on numbers that can.
    pub(crate) retain: bool,
}

/// A straight-line program, in which a value may be used many times or never.
pub(crate) type Program = Vec<Step>;

/// A number to which the rows of the table apply.
pub(crate) trait Number: Real {
    fn unary(row: &UnaryRow, x: Self) -> Self;
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self;
    fn retained(self) -> Self {
        self
    }
}

impl Number for f64 {
    fn unary(row: &UnaryRow, x: Self) -> Self {
        (row.on_f64)(x)
    }
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self {
        (row.on_f64)(a, b)
    }
}

impl Number for Dual<f64> {
    fn unary(row: &UnaryRow, x: Self) -> Self {
        (row.on_dual)(x)
    }
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self {
        (row.on_dual)(a, b)
    }
}

impl Number for Recorded<'_> {
    fn unary(row: &UnaryRow, x: Self) -> Self {
        (row.on_recorded)(x)
    }
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self {
        (row.on_recorded)(a, b)
    }
}

impl Number for Var<'_> {
    fn unary(row: &UnaryRow, x: Self) -> Self {
        (row.on_var)(x)
    }
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self {
        (row.on_var)(a, b)
    }
    fn retained(self) -> Self {
        self.retain()
    }
}

/// Maps any value smoothly into an interval, such as the one on which a row is smooth.
pub(crate) fn into_interval<R: Real>(x: R, (lo, hi): (f64, f64)) -> R {
    R::lit(lo) + R::lit(hi - lo) * (x / R::lit(4.0)).sigmoid()
}

/// The values of all steps.
pub(crate) fn run<R: Number>(program: &[Step], inputs: &[R], retain: bool) -> Vec<R> {
    let mut values = inputs.to_vec();
    for step in program {
        let [a, b] = step.operands.map(|i| values[i % values.len()]);
        let value = match step.row.checked_sub(UNARY.len()) {
            None => {
                let row = &UNARY[step.row];
                R::unary(row, into_interval(a, row.sample))
            }
            Some(row) => {
                let row = &BINARY[row];
                let (of_a, of_b) = row.sample;
                R::binary(row, into_interval(a, of_a), into_interval(b, of_b))
            }
        };
        values.push(if retain && step.retain { value.retained() } else { value });
    }
    values.split_off(inputs.len())
}

/// One number that depends on every step, so that no step goes untested.
pub(crate) fn combined<R: Real>(values: &[R]) -> R {
    let weighted = values.iter().enumerate().map(|(i, &v)| R::lit(1.0 / (i + 1) as f64) * v);
    weighted.sum()
}

/// The value of a program of a few functions that are generic over the number.
pub(crate) fn from_menu<R: Real>(program: &[(u8, [usize; 2])], inputs: [R; INPUTS]) -> R {
    let mut values = inputs.to_vec();
    for &(choice, operands) in program {
        let [a, b] = operands.map(|i| into_interval(values[i % values.len()], (0.5, 2.0)));
        values.push(match choice {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            3 => a / b,
            4 => a.powf(b),
            5 => a.atan2(b),
            6 => a.sin() * b,
            7 => a.exp(),
            8 => a.ln(),
            9 => a.tanh(),
            10 => a.mul_add(b, a),
            _ => a - R::lit(0.3),
        });
    }
    combined(&values)
}
