//! Rows that other benches do not have: generic functions, second order, and the parts of a gradient that
//! `docs/MEASUREMENTS.md` counts.

use std::hint::black_box;

use wengert::ndarray::{Array, Axis, Dimension, Ix2, Ix4};
use wengert::{Conv, Real, Tape, Tensor, Var, dot, fuse, hvp, value_and_grad};

use super::{Row, Work, suite};

/// Operands of a chain of operations, and terms of a sum.
const N: usize = 10_000;

/// The README's loss over any number.
fn loss<R: Real>([w1, b1, w2, b2]: [R; 4], x: f64, y: f64) -> R {
    (w2 * (w1 * R::lit(x) + b1) + b2 - R::lit(y)).square()
}

/// The function of the README.
fn rosenbrock<R: Real>(x: &[R]) -> R {
    x.windows(2).map(|p| R::lit(100.0) * (p[1] - p[0] * p[0]).powi(2) + (R::one() - p[0]).powi(2)).sum()
}

/// Functions over [`Real`]: on a tape that is kept, and by one call, which makes a tape.
pub(super) fn generic() -> Vec<Row> {
    vec![
        Row::new("seed/generic", || {
            let (mut tape, inputs) = (Tape::new(), suite::seed::inputs());
            Box::new(move || {
                tape.clear();
                let inputs = black_box(&inputs);
                let vars = tape.vars([inputs.x[0], inputs.x[1], inputs.x[2], inputs.x[3]]);
                let loss = loss(vars, inputs.data[0], inputs.data[1]);
                black_box(loss.backward().wrt(vars));
            })
        }),
        Row::new("seed/one-call", || {
            let inputs = suite::seed::inputs();
            Box::new(move || {
                let inputs = black_box(&inputs);
                let [x, y] = [inputs.data[0], inputs.data[1]];
                black_box(value_and_grad(|p| loss([p[0], p[1], p[2], p[3]], x, y), &inputs.x));
            })
        }),
        Row::new("rosenbrock/one-call", || {
            let inputs = suite::rosenbrock::inputs();
            Box::new(move || {
                black_box(value_and_grad(|x| rosenbrock(x), black_box(&inputs.x)));
            })
        }),
    ]
}

pub(super) fn second_order() -> Vec<Row> {
    vec![Row::new("rosenbrock/hvp", || {
        let x = suite::rosenbrock::inputs().x;
        let direction: Vec<f64> = x.iter().rev().copied().collect();
        Box::new(move || {
            black_box(hvp(|x| rosenbrock(x), black_box(&x), black_box(&direction)));
        })
    })]
}

/// Two rows of scalar code: its recording on a cleared tape, and the sweep over that recording. `record` gives the
/// output for the inputs.
fn recording(name: &str, inputs: usize, record: for<'t> fn(&[Var<'t, f64>]) -> Var<'t, f64>) -> [Row; 2] {
    let point = move || -> Vec<f64> { (0..inputs).map(|i| 0.5 + 0.25 * (i as f64).sin()).collect() };
    let recorded = Row::new(format!("{name}/record"), move || -> Work {
        let (mut tape, point) = (Tape::new(), point());
        Box::new(move || {
            tape.clear();
            let _ = black_box(record(tape.vars_from(black_box(&point))));
        })
    });
    let swept = Row::new(format!("{name}/sweep"), move || -> Work {
        let tape: &'static Tape = Box::leak(Box::default());
        let output = record(tape.vars_from(&point()));
        let mut gradient = output.backward();
        Box::new(move || black_box(output).backward_into(black_box(&mut gradient)))
    });
    [recorded, swept]
}

/// Scalar recordings of [`N`] operations or terms.
pub(super) fn recordings() -> Vec<Row> {
    let rows = [
        // The inputs alone, in the number that `dot` and `products` have.
        recording("inputs", 2 * N, |x| x[0]),
        // One record an addition.
        recording("additions", 2, |x| (0..N).fold(x[0], |u, _| u + x[1])),
        // The factor keeps adjoints from underflowing along the chain: zeros take another path.
        recording("chain", 2, |x| (0..N).fold(x[0], |u, _| u * 0.999 + x[1])),
        // Many kinds of operations: seven a round, three of which push a record.
        recording("program", 2, |x| {
            (0..N / 5).fold(x[0], |u, _| {
                let v = (u * x[1]).sin() / (1.0 + u.square());
                u + 0.001 * v
            })
        }),
        // One node of N products, a cell each.
        recording("dot", 2 * N, |x| dot(&x[..N], &x[N..])),
        // A record for each product, and one for their sum.
        recording("products", 2 * N, |x| {
            let (a, b) = x.split_at(N);
            a.iter().zip(b).map(|(&a, &b)| a * b).sum()
        }),
        // N nodes of three operands.
        recording("stencil", 3, |x| {
            (0..N).fold(x[0], |u, _| fuse([u, x[1], x[2]], |[u, left, right]| u - 0.1 * u * (right - left)))
        }),
    ];
    rows.into_iter().flatten().collect()
}

type Operation<D> = for<'t> fn(Tensor<'t, f32, D>, Tensor<'t, f32, D>) -> Var<'t, f32>;

/// Value and gradient of an operation on two arrays.
fn tensor<D: Dimension + 'static>(name: &str, shapes: [D; 2], operation: Operation<D>) -> Row {
    Row::new(name, move || {
        let mut phase = 0.0_f32;
        let mut wave = || {
            phase += 1.0;
            phase.sin()
        };
        let [a, b] = shapes.map(|shape| Array::from_shape_simple_fn(shape, &mut wave));
        let mut tape = Tape::new();
        Box::new(move || {
            tape.clear();
            let output = operation(tape.tensor(black_box(&a)), tape.tensor(black_box(&b)));
            black_box(output.backward().is_finite());
        })
    })
}

/// Tensor operations, f32.
pub(super) fn tensors() -> Vec<Row> {
    vec![
        tensor("product/8", [Ix2(8, 8), Ix2(8, 8)], |a, b| a.dot(b).sum()),
        tensor("product/32", [Ix2(32, 32), Ix2(32, 32)], |a, b| a.dot(b).sum()),
        tensor("product-transposed/32", [Ix2(32, 32), Ix2(32, 32)], |a, b| a.dot(b.t()).sum()),
        // The same number of elements in rows of ten and of forty.
        tensor("log-softmax/10", [Ix2(400, 10), Ix2(400, 10)], |a, b| (a.log_softmax(Axis(1)) * b).sum()),
        tensor("log-softmax/40", [Ix2(100, 40), Ix2(100, 40)], |a, b| (a.log_softmax(Axis(1)) * b).sum()),
        tensor("conv2d/3x3", [Ix4(8, 8, 14, 14), Ix4(16, 8, 3, 3)], |x, w| x.conv2d(w, Conv::new().padding(1)).sum()),
    ]
}
