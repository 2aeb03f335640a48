//! Kinks, jumps and ties of programs that keep to the domains.
//!
//! Where |x| is 0, or where two elements tie for a maximum, two right derivatives exist, one for each side. Two runs that round
//! differently may stand on different sides, and each is right. So a run says on which sides it stands: where two runs stand on
//! the same ones, their derivatives must agree as anywhere else, at ties too; where they do not, the operands must be equal up
//! to rounding, and derivatives are not compared.
//!
//! Rows of the table of rules are mapped into their sample intervals, which hold no kink, but for those with arguments; the
//! matrices of decompositions have eigenvalues far apart.

use super::Value::{Array, Number};
use super::number::Shown;
use super::{Program, Step, Value};
use crate::{agree, ranks};

/// The agreement that two runs of a program must have.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Common {
    Nothing,
    /// They stand on different sides of a kink.
    Value,
    ValueAndDerivatives,
}

/// Compares the sides on which two runs stand in each step, until a value jumps.
pub(super) fn common<A: Shown, B: Shown>(program: &Program, a: &[Value<'_, A>], b: &[Value<'_, B>]) -> Common {
    let mut common = Common::ValueAndDerivatives;
    let size = |x: &Value<'_, A>| numbers(*x).iter().fold(1.0, |size: f64, x| size.max(x.abs()));
    let mut largest = a[..program.inputs.len()].iter().map(size).fold(1.0, f64::max);
    for (step, k) in program.steps.iter().zip(program.inputs.len()..) {
        let (one, other) = (sides(step, &a[..k], a[k], largest), sides(step, &b[..k], b[k], largest));
        largest = largest.max(size(&a[k]));
        if one.sides.is_some() && one.sides == other.sides {
            continue;
        }
        let mut pairs = one.compared.iter().zip(&other.compared);
        assert!(
            pairs.all(|(&x, &y)| agree(x, y, largest)),
            "{}: {:?}, of dual numbers {:?}",
            step.operation,
            one.compared,
            other.compared
        );
        if ["rem", "powi"].contains(&step.operation) {
            return Common::Nothing;
        }
        common = Common::Value;
    }
    common
}

/// The numbers that a step compares, and the results of the comparisons.
struct Sides {
    compared: Vec<f64>,
    /// None within rounding of the tip of a norm or of a pole, where each rounding has a direction of its own.
    sides: Option<Vec<i64>>,
}

fn numbers<F: Shown>(x: Value<'_, F>) -> Vec<f64> {
    match x {
        Array(x) => x.value().iter().map(|x| x.number()).collect(),
        Number(x) => vec![x.value().number()],
    }
}

/// 1 above a number, 0 at it, -1 below.
fn side(x: f64, at: f64) -> i64 {
    i64::from(x > at) - i64::from(x < at)
}

/// The sides on which a run stands in a step, from the values before the step and its result; `largest` is the size of the
/// largest number before it, of which everything may have a rounding.
fn sides<F: Shown>(step: &Step, pool: &[Value<'_, F>], result: Value<'_, F>, largest: f64) -> Sides {
    let operand = |i: usize| {
        let x = pool[step.on[i]];
        numbers(step.inside.get(i).map_or(x, |&interval| x.inside(interval)))
    };
    let near = 1e-6 * largest;
    match step.operation {
        "leaky_relu" | "elu" => {
            let x = operand(0);
            Sides { sides: Some(x.iter().map(|&x| side(x, 0.0)).collect()), compared: x }
        }
        "clamp" => {
            let x = operand(0);
            let ends = |x: f64| [side(x, step.numbers[0]), side(x, step.numbers[1])];
            Sides { sides: Some(x.iter().flat_map(|&x| ends(x)).collect()), compared: x }
        }
        "powi" if step.integers[0][0] < 0 => {
            let x = operand(0);
            let is_at_pole = x.iter().any(|x| x.abs() < near);
            Sides { sides: (!is_at_pole).then(Vec::new), compared: x }
        }
        "max_all"
        | "min_all"
        | "median"
        | "quantile"
        | "max_axis"
        | "min_axis"
        | "median_axis"
        | "quantile_axis"
        | "sort"
        | "top_k"
        | "max_pool1d"
        | "max_pool2d"
        | "adaptive_max_pool1d" => {
            let x = operand(0);
            Sides { sides: Some(ranks(&x)), compared: x }
        }
        "mae" => {
            let x: Vec<f64> = operand(0).iter().zip(operand(1)).map(|(x, y)| x - y).collect();
            Sides { sides: Some(x.iter().map(|&x| side(x, 0.0)).collect()), compared: x }
        }
        "rem" => {
            // Operands of which one is broadcast have another number of elements: all pairs, to be simple.
            let (a, b) = (operand(0), operand(1));
            let quotients: Vec<f64> = a.iter().flat_map(|a| b.iter().map(move |b| a / b)).collect();
            Sides { sides: Some(quotients.iter().map(|q| q.trunc() as i64).collect()), compared: quotients }
        }
        // The rectifier.
        "dense" if step.integers[0][0] == 1 => {
            let y = numbers(result);
            Sides { sides: Some(y.iter().map(|&y| side(y, 0.0)).collect()), compared: y }
        }
        "norm" | "norm_axis" | "norm_of" | "std" | "std_axis" => {
            let y = numbers(result);
            let is_at_tip = y.iter().any(|&y| y != 0.0 && y < near);
            Sides { sides: (!is_at_tip).then(|| y.iter().map(|&y| side(y, 0.0)).collect()), compared: y }
        }
        _ => Sides { sides: Some(vec![]), compared: vec![] },
    }
}
