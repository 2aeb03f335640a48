//! Programs of arrays and scalars over nearly every operation, as data.
//!
//! A program is inputs and steps. A step is an operation on earlier values, with arguments; the result is a sum of all values
//! with weights. Inputs and values are arrays, or scalars of the tape. [`line`] writes a program and its derivatives for
//! PyTorch and JAX (`tests/oracle/programs`); [`check`] holds a program against itself.

mod apply;
mod check;
mod draw;
mod json;
mod kinks;
mod number;

use ndarray::{ArrayD, IxDyn};
use wengert::{Scalar, Tape, Tensor, Var};

use apply::apply;
pub use check::check;
use draw::Draw;
pub use json::line;
use number::Shown;

use crate::Bytes;

type Dyn<'t, F> = Tensor<'t, F, IxDyn>;

/// Results of more elements are left out.
const MOST: usize = 200;

#[derive(Clone, Copy)]
enum Value<'t, F: Scalar> {
    Array(Dyn<'t, F>),
    Number(Var<'t, F>),
}
use Value::{Array, Number};

/// Inputs and steps, and the weights of all values in the result.
struct Program {
    /// True if operands may be outside of domains.
    raw: bool,
    inputs: Vec<Input>,
    steps: Vec<Step>,
    weights: Vec<f64>,
}

/// The number of the result, and its gradient in each input that is no constant.
type Outcome<F> = (F, Vec<Vec<F>>);

/// An operation on earlier values.
#[derive(Default)]
struct Step {
    operation: &'static str,
    /// The numbers of the operands.
    on: Vec<usize>,
    /// For each operand, the interval into which it is mapped first; empty for operands as they are.
    inside: Vec<(f64, f64)>,
    integers: Vec<Vec<i64>>,
    numbers: Vec<f64>,
}

struct Input {
    /// None for a scalar of the tape.
    shape: Option<Vec<usize>>,
    data: Vec<f64>,
    is_constant: bool,
}

impl<'t, F: Scalar> Value<'t, F> {
    fn array(self, tape: &'t Tape<F>) -> Dyn<'t, F> {
        match self {
            Array(x) => x,
            Number(x) => tape.stack_vars(&[x]).reshape(IxDyn(&[])),
        }
    }

    fn shape(self) -> Option<Vec<usize>> {
        match self {
            Array(x) => Some(x.shape().to_vec()),
            Number(_) => None,
        }
    }

    /// Maps any number smoothly into an interval.
    fn inside(self, (low, high): (f64, f64)) -> Self {
        match self {
            Array(x) => Array((x / F::lit(4.0)).sigmoid() * F::lit(high - low) + F::lit(low)),
            Number(x) => Number((x / F::lit(4.0)).sigmoid() * F::lit(high - low) + F::lit(low)),
        }
    }

    fn sum(self) -> Var<'t, F> {
        match self {
            Array(x) => x.sum(),
            Number(x) => x,
        }
    }
}

/// Arrays of the inputs, every other one in column-major order.
fn owners<F: Shown>(inputs: &[Input]) -> Vec<ArrayD<F>> {
    let mut k = 0;
    inputs
        .iter()
        .enumerate()
        .map(|(i, input)| {
            let shape = input.shape.clone().unwrap_or_default();
            let numbers = input.data.iter().map(|&x| {
                if input.is_constant {
                    return F::lit(x);
                }
                k += 1;
                F::of(x, k - 1)
            });
            let rows = ArrayD::from_shape_vec(IxDyn(&shape), numbers.collect()).expect("as many elements");
            if i % 2 == 0 {
                return rows;
            }
            let mut columns =
                ArrayD::from_elem(IxDyn(&shape.iter().rev().copied().collect::<Vec<_>>()), F::zero()).reversed_axes();
            columns.assign(&rows);
            columns
        })
        .collect()
}

fn start<'t, F: Shown>(tape: &'t Tape<F>, inputs: &[Input], owners: &'t [ArrayD<F>]) -> Vec<Value<'t, F>> {
    let each = inputs.iter().zip(owners).map(|(input, owner)| match (&input.shape, input.is_constant) {
        (None, true) => Number(Var::constant(*owner.first().expect("a number"))),
        (None, false) => Number(tape.var(*owner.first().expect("a number"))),
        (Some(_), true) => Array(tape.constant(owner)),
        (Some(_), false) => Array(tape.tensor(owner)),
    });
    each.collect()
}

/// The gradient of the weighted sum, for each input that is no constant.
fn sweep<F: Shown>(pool: &[Value<'_, F>], inputs: &[Input], weights: &[f64]) -> Outcome<F> {
    let terms = pool.iter().zip(weights).filter(|(_, w)| **w != 0.0);
    let total = terms.fold(Var::constant(F::zero()), |total, (x, &w)| total + x.sum() * F::lit(w));
    let free = || inputs.iter().zip(pool).filter(|(input, _)| !input.is_constant);
    if total.is_constant() {
        return (total.value(), free().map(|(input, _)| vec![F::zero(); input.data.len()]).collect());
    }
    let gradient = total.backward();
    let of = |x: &Value<'_, F>| match *x {
        Array(x) => gradient.wrt(x).iter().copied().collect(),
        Number(x) => vec![gradient.wrt(x)],
    };
    (total.value(), free().map(|(_, x)| of(x)).collect())
}

/// The program of bytes on numbers `F`, the sums and shapes of its values, and its outcome.
fn build<F: Shown>(data: &[u8]) -> (Program, Vec<F>, Vec<Option<Vec<usize>>>, Outcome<F>) {
    let mut bytes = Bytes(data);
    let raw = bytes.below(4) == 0;
    let grid = raw || bytes.below(8) == 0;
    let special = raw && bytes.flag();
    let scalars = bytes.below(5) == 0;
    let mut inputs = Vec::new();
    let lengths = [0, 1, 1, 2, 2, 2, 3, 3, 3, 4];
    for _ in 0..1 + bytes.below(4) {
        let is_number = scalars || bytes.below(6) == 0;
        let shape: Vec<usize> = if is_number {
            vec![]
        } else {
            (0..[0, 1, 2, 2, 2, 3, 3, 4][bytes.below(8)]).map(|_| lengths[bytes.below(10)]).collect()
        };
        let number = |bytes: &mut Bytes<'_>| {
            let x = if grid {
                bytes.number(special)
            } else {
                let tiny = (usize::from(bytes.byte()) << 16
                    | usize::from(bytes.byte()) << 8
                    | usize::from(bytes.byte())) as f64;
                tiny / 4194304.0 - 2.0
            };
            // As the floats themselves have it.
            if F::NAME == "f32" { f64::from(x as f32) } else { x }
        };
        let data = (0..shape.iter().product()).map(|_| number(&mut bytes)).collect();
        inputs.push(Input { shape: (!is_number).then_some(shape), data, is_constant: bytes.below(12) == 0 });
    }

    let tape = Tape::<F>::new();
    let arrays = owners(&inputs);
    let mut pool = start(&tape, &inputs, &arrays);
    let mut shapes: Vec<_> = pool.iter().map(|x| x.shape()).collect();
    let mut steps = Vec::new();
    let most = 1 + bytes.below(20);
    for _ in 0..200 {
        if steps.len() == most || bytes.is_empty() {
            break;
        }
        let Some(step) = (Draw { bytes: &mut bytes, shapes: &shapes, raw, scalars }).step() else { continue };
        let Some(value) = apply(&tape, &step, &pool) else { continue };
        pool.push(value);
        shapes.push(value.shape());
        steps.push(step);
    }

    let sums: Vec<F> = pool.iter().map(|x| x.sum().value()).collect();
    // Numbers that are not finite, or large, would hide the others.
    let hides = |x: &F| !(x.size() < 1e6);
    let keeps_all = raw && bytes.below(8) == 0;
    let weights: Vec<f64> = sums
        .iter()
        .enumerate()
        .map(|(k, x)| if hides(x) && !keeps_all { 0.0 } else { 1.0 / (1 + k % 5) as f64 })
        .collect();
    let outcome = sweep(&pool, &inputs, &weights);
    (Program { raw, inputs, steps, weights }, sums, shapes, outcome)
}

/// Runs the first steps of a program; none if a decomposition fails.
fn run<'t, F: Shown>(
    tape: &'t Tape<F>,
    program: &Program,
    owners: &'t [ArrayD<F>],
    steps: usize,
) -> Option<Vec<Value<'t, F>>> {
    let mut pool = start(tape, &program.inputs, owners);
    for step in &program.steps[..steps] {
        pool.push(apply(tape, step, &pool)?);
    }
    Some(pool)
}

fn outcome<F: Shown>(tape: &Tape<F>, program: &Program) -> Option<Outcome<F>> {
    let owners = owners(&program.inputs);
    let pool = run(tape, program, &owners, program.steps.len())?;
    Some(sweep(&pool, &program.inputs, &program.weights))
}
