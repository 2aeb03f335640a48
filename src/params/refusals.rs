//! Tests that a refusal of memory or slots leaves nothing behind. Each request of a tape for memory or slots is refused in
//! turn, the panic is caught, and the tape is used on. These tests stand in the highest room that records.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{Array1, Array2, Axis, Dimension, array};

use super::Params;
use crate::arena::faults::{refusing, with_slots};
use crate::number::{BaseFloat, Real, Rule};
use crate::scalar::{SnapshotSchedule, Var, dot, fuse, log_sum_exp, norm, softmax, sum, with_partials};
use crate::tape::Tape;
use crate::tensor::{Activation, Conv, Pool, Tensor};

/// The operands of the operations.
struct Operands<'t> {
    tape: &'t Tape<f64>,
    /// The second and the third carry a pending weight.
    vars: [Var<'t>; 3],
    /// A variable whose weight is so small that its products take records of their own.
    tiny: Var<'t>,
    matrix: Tensor<'t, f64, ndarray::Ix2>,
    vector: Tensor<'t, f64, ndarray::Ix1>,
    images: Tensor<'t, f64, ndarray::Ix4>,
    rows: &'t Array2<f64>,
}

/// Inputs and their data.
struct Data(Array2<f64>, Array1<f64>, ndarray::Array4<f64>);

impl Data {
    fn new() -> Self {
        let number = |i: usize| 0.3 + (i as f64 * 0.7).sin().abs();
        let data = |n: usize| (0..n).map(number).collect();
        Self(
            Array2::from_shape_vec((4, 4), data(16)).unwrap(),
            Array1::from_vec(data(4)),
            ndarray::Array4::from_shape_vec((1, 2, 4, 4), data(32)).unwrap(),
        )
    }

    fn on<'t>(&'t self, tape: &'t Tape<f64>) -> Operands<'t> {
        let [a, b, c] = tape.vars([0.5, 1.25, 2.0]);
        let (matrix, vector, images) = (tape.tensor(&self.0), tape.tensor(&self.1), tape.tensor(&self.2));
        Operands { tape, vars: [a, b.sin(), c * 3.0], tiny: c * 1e-200, matrix, vector, images, rows: &self.0 }
    }
}

/// A result of an operation, as one number.
trait Total<'t> {
    fn total(self) -> Var<'t>;
}
impl<'t> Total<'t> for Var<'t> {
    fn total(self) -> Var<'t> {
        self
    }
}
impl<'t, D: Dimension + 't> Total<'t> for Tensor<'t, f64, D> {
    fn total(self) -> Var<'t> {
        self.sum()
    }
}
impl<'t> Total<'t> for Vec<Var<'t>> {
    fn total(self) -> Var<'t> {
        sum(&self)
    }
}

/// The state of the tape that a sweep reads.
fn state(tape: &Tape<f64>) -> (usize, usize, Vec<(usize, usize, bool)>) {
    tape.with_records(|records, ops| {
        (tape.slots(), records.len(), ops.iter().map(|op| (op.first, op.len, op.pullback.is_some())).collect())
    })
}

/// The gradient of a number with respect to all operands.
fn gradient(y: Var<'_>, x: &Operands<'_>) -> Vec<f64> {
    if y.is_constant() {
        return Vec::new();
    }
    let g = y.backward();
    let [a, ..] = x.vars;
    let mut all = vec![g[a]];
    all.extend(g.wrt(x.matrix));
    all.extend(g.wrt(x.vector));
    all.extend(g.wrt(x.images));
    all
}

/// An operation on operands; with a number of requests to grant, one that is refused the next. Returns the result, if
/// there is one, and true if a request was refused.
type Operation = for<'t> fn(&Operands<'t>, Option<usize>) -> (Option<Var<'t>>, bool);

macro_rules! operations {
    ($($name:literal |$x:ident| $operation:expr;)+) => { [$(
        ($name, |$x, granted| {
            let work = || $operation;
            let Some(granted) = granted else { return (Some(work().total()), false) };
            let (result, refused) = refusing(granted, || catch_unwind(AssertUnwindSafe(work)));
            (result.ok().map(Total::total), refused)
        }),
    )+] };
}

#[derive(Clone, Copy)]
struct Square;
impl<B: BaseFloat, const N: usize> Rule<B, N> for Square {
    fn primal(self, x: [B; N]) -> B {
        x[0] * x[0]
    }
    fn partials<R: Real<Base = B>>(self, x: [R; N], _: R) -> [R; N] {
        x.map(|x| x + x)
    }
}

const OPERATIONS: &[(&str, Operation)] = &operations! {
    "product" |x| x.vars[0] * x.vars[1];
    "product with a tiny weight" |x| x.tiny.square() * x.vars[0] * 1e200;
    "retain" |x| x.vars[1].retain();
    "mul_add" |x| x.vars[0].mul_add(x.vars[1], x.vars[2]);
    "sum" |x| sum(&x.vars);
    "long sum" |x| x.matrix.iter().chain(x.vars).map(|v| v * 2.0).sum::<Var<'_>>();
    "run and others" |x| x.matrix.iter().chain(x.vars).sum::<Var<'_>>();
    "with_partials" |x| with_partials(1.0, x.vars.map(|v| (v, 0.5)));
    "dot" |x| dot(&x.vars, &[x.vars[1], x.vars[2], x.vars[0]]);
    "dot with a constant" |x| dot(&[Var::constant(1.0), x.vars[0], x.tiny], &x.vars);
    "dot with a tiny weight" |x| dot(&x.vars, &[x.vars[1], x.tiny.square(), x.tiny.square()]);
    "norm" |x| norm(&x.vars);
    "log_sum_exp" |x| log_sum_exp(&x.vars);
    "fuse" |x| fuse(x.vars, |[a, b, c]| a * b + c.sin());
    "apply" |x| crate::number::apply(Square, x.vars);
    "vars_from" |x| sum(x.tape.vars_from(&[1.0, 2.0])) + x.vars[0];
    "tensor" |x| x.tape.tensor(x.rows).sum() + x.vars[0];
    "constant" |x| x.tape.constant(array![1.0, 2.0]).sum() + x.vars[0];
    "checkpoint" |x| x.tape.checkpoint(&x.vars, |v| vec![v[0] * v[1], v[2].sin()]);
    "checkpoint_loop" |x| {
        let (inputs, state) = ([x.vars[1]], [x.vars[0], x.vars[2]]);
        x.tape.checkpoint_loop(5, SnapshotSchedule::Sqrt, &inputs, &state, |_, u, s| vec![s[0] * u[0], s[1] + s[0]])
    };
    "stack_vars" |x| x.tape.stack_vars(&[x.vars[0], x.tiny, x.vars[1]]);
    "custom" |x| x.tape.custom("twice", (x.vars[1], x.vector), array![1.0], |dy, _, _| (dy[0], array![dy[0], 0.0, 0.0, 0.0]));
    "exp" |x| x.matrix.exp();
    "exp of a view" |x| x.matrix.t().exp();
    "apply_rule" |x| x.matrix.apply_rule(Square);
    "straight_through" |x| x.matrix.straight_through(f64::round);
    "clip_cotangent" |x| x.vars[1].clip_cotangent(0.5);
    "tensor and tensor" |x| x.matrix * x.vector;
    "tensor and variable" |x| x.matrix * x.vars[1];
    "variable and tensor" |x| x.vars[1] - x.vector;
    "keep_where" |x| x.vector.keep_where(&array![true, false, true, false], x.vars[1]);
    "mse" |x| x.vector.mse(x.vars[1]);
    "softmax_cross_entropy" |x| x.matrix.softmax_cross_entropy(&[0, 1, 2, 3]);
    "sum_axis" |x| x.matrix.sum_axis(Axis(0));
    "max" |x| x.matrix.t().max();
    "std" |x| x.matrix.std(1.0);
    "softmax" |x| x.matrix.softmax(Axis(1)) * x.matrix;
    "layer_norm" |x| x.matrix.layer_norm(1e-3) * x.matrix;
    "dot of tensors" |x| x.matrix.dot(x.matrix.t());
    "dense" |x| x.matrix.dense(x.matrix, x.vector, Activation::Tanh);
    "conv2d" |x| x.images.conv2d(x.images, Conv::new().padding(1));
    "avg_pool2d" |x| x.images.avg_pool2d(Pool::new(2));
    "select" |x| x.matrix.select(Axis(0), &[1, 1, 3]);
    "gather" |x| x.matrix.gather(Axis(1), &array![[0, 1], [2, 3], [1, 1], [0, 0]]);
    "concatenate" |x| x.tape.concatenate(Axis(0), &[x.matrix, x.matrix.t()]);
    "pad" |x| x.vector.pad(&[(1, 2)], 1.0);
    "reshape of a view" |x| x.matrix.t().reshape(16) * 2.0;
    "Tensor::checkpoint" |x| x.matrix.checkpoint(|x| x.sin() * x);
};

/// Every request for memory or slots of every operation, refused in turn, leaves the tape as it was; the operation then
/// gives the gradient of a new tape, after the refusal and beside it.
#[test]
fn operations_leave_no_trace() {
    let data = Data::new();
    for (name, operation) in OPERATIONS {
        let fresh = {
            let tape = Tape::new();
            let x = data.on(&tape);
            let y = operation(&x, None).0.unwrap();
            gradient(y * x.vars[0], &x)
        };
        let tape = Tape::new();
        for granted in 0.. {
            let x = data.on(&tape);
            let kept = x.matrix.sum() * x.vars[0];
            let before = state(&tape);
            let (result, refused) = operation(&x, Some(granted));
            if !refused {
                assert!(result.is_some() && granted > 0, "{name}: {granted} requests");
                break;
            }
            assert!(result.is_none(), "{name}: request {granted} was refused in vain");
            // A step of several operations keeps those before the refusal, each of them whole.
            let several = [
                "product with a tiny weight",
                "dot with a tiny weight",
                "long sum",
                "run and others",
                "vars_from",
                "tensor",
                "constant",
                "softmax",
                "layer_norm",
                "reshape of a view",
            ];
            if !several.contains(name) {
                assert_eq!(state(&tape), before, "{name}: request {granted} left a trace");
            }
            let y = operation(&x, None).0.unwrap();
            assert_eq!(gradient(y * x.vars[0], &x), fresh, "{name}: after request {granted}");
            let kept = kept.backward();
            assert_eq!(kept.wrt(x.matrix), Array2::from_elem((4, 4), 0.5), "{name}: beside request {granted}");
        }
    }
}

/// Work on a tape that gives a gradient.
type Work<'a> = &'a dyn Fn(&mut Tape<f64>) -> Vec<f64>;

/// Sweeps that are refused memory, and closures of a whole recording: the next one gives the gradient of a new tape.
#[test]
fn sweeps_and_recordings() {
    let data = Data::new();
    let mut params = Params::<f64>::new();
    let (w, b) = (params.add("w", data.0.clone()), params.add("b", data.1.clone()));
    let works: [(&str, Work<'_>); 5] = [
        ("backward", &|tape| {
            let x = data.on(tape);
            gradient(x.matrix.dot(x.matrix).max() * x.vars[0], &x)
        }),
        ("backward_into", &|tape| {
            let x = data.on(tape);
            let mut g = x.vars[0].backward();
            x.matrix.dot(x.matrix.t()).std(0.0).backward_into(&mut g);
            g.wrt(x.matrix).into_iter().collect()
        }),
        ("backward_with", &|tape| {
            let x = data.on(tape);
            let g = tape.backward_with([(x.vars[0] * x.vars[1]).seed(2.0), x.matrix.sum_axis(Axis(0)).seed(&data.1)]);
            g.wrt(x.matrix).into_iter().collect()
        }),
        ("value_and_grad", &|tape| {
            tape.value_and_grad(&params, |p| p.get(w).dense(p.get(w), p.get(b), Activation::Tanh).square().sum())
                .1
                .to_vec()
        }),
        ("checkpoints", &|tape| {
            let (_, grad) = tape.value_and_grad(&params, |p| {
                p.checkpoint(p.get(w), |p, x| x.dot(p.get(w)).tanh()).square().mean()
                    + tape_loop(p.tape(), p.get(b).at([0]), p.get(b).at([1]))
            });
            grad.to_vec()
        }),
    ];
    for (name, work) in works {
        let fresh = work(&mut Tape::new());
        let mut tape = Tape::new();
        for granted in 0.. {
            let (result, refused) = refusing(granted, || catch_unwind(AssertUnwindSafe(|| work(&mut tape))));
            if !refused {
                assert!(granted > 3 && result.unwrap() == fresh, "{name}: {granted} requests");
                break;
            }
            assert!(result.is_err(), "{name}: request {granted} was refused in vain");
            assert_eq!(work(&mut tape), fresh, "{name}: after request {granted}");
            if granted % 2 == 0 {
                tape.clear();
            }
        }
    }
}

fn tape_loop<'t>(tape: &'t Tape<f64>, k: Var<'t>, start: Var<'t>) -> Var<'t> {
    tape.checkpoint_loop(6, SnapshotSchedule::Binomial { count: 2 }, &[k], &[start], |_, k, y| {
        vec![y[0] - k[0] * y[0] * 0.1]
    })[0]
}

/// A softmax records a row for each variable; each row is whole.
#[test]
fn rows_of_a_softmax() {
    let fresh = {
        let tape = Tape::new();
        let x = tape.vars([0.1, 0.2, 0.4]);
        softmax(&x)[1].backward().wrt(x)
    };
    let tape = Tape::new();
    let x = tape.vars([0.1, 0.2, 0.4]);
    for granted in 0.. {
        let (rows, refused) = refusing(granted, || catch_unwind(AssertUnwindSafe(|| softmax(&x))));
        if !refused {
            assert!(rows.is_ok());
            break;
        }
        assert_eq!(softmax(&x)[1].backward().wrt(x), fresh);
    }
}

/// A rule that must never be asked for its partials: its operation was refused.
#[derive(Clone, Copy)]
struct Refused<'a>(&'a str);
impl<B: BaseFloat> Rule<B, 1> for Refused<'_> {
    fn primal(self, [x]: [B; 1]) -> B {
        x
    }
    fn partials<R: Real<Base = B>>(self, _: [R; 1], _: R) -> [R; 1] {
        panic!("the pullback of a refused operation was called: {}", self.0)
    }
}

/// A tape that is full refuses an operation. The pullback, whose borrow is gone, is not called by a later sweep, whose
/// slots would have been the operation's.
#[test]
fn a_full_tape_forgets_the_pullback() {
    with_slots(64, || {
        let (small, large) = (Array1::<f64>::ones(16), Array1::<f64>::ones(40));
        let tape = Tape::new();
        let [a, b] = tape.vars([2.0, 3.0]);
        let (x, _) = (tape.tensor(&small), tape.tensor(&large));
        {
            let borrowed = String::from("borrowed");
            let refused = catch_unwind(AssertUnwindSafe(|| {
                let _ = x.apply_rule(Refused(&borrowed));
            }));
            let message = *refused.unwrap_err().downcast::<String>().unwrap();
            assert!(message.starts_with("apply_rule: the tape is full: 59 slots are taken and 16 more"), "{message}");
        }
        let c = a * b;
        assert_eq!(c.backward().wrt([a, b]), [3.0, 2.0]);
        let (d, e) = (c * a, c * b);
        assert_eq!((d * e).backward().wrt([a, b]), [324.0, 216.0], "a³b³");
    });
}

/// A tape that is full refuses an input. A later result that gets these slots keeps its adjoint.
#[test]
fn a_full_tape_forgets_the_input() {
    with_slots(64, || {
        let large = Array1::<f64>::ones(40);
        let tape = Tape::new();
        let [a, b] = tape.vars([2.0, 3.0]);
        let _x = tape.tensor(&large);
        let refused = catch_unwind(AssertUnwindSafe(|| {
            let _ = tape.tensor(&large);
        }));
        assert!(refused.is_err() && tape.len() == 42);
        assert_eq!((a * b).backward().wrt([a, b]), [3.0, 2.0]);
        // A tape that is full to the last slot still sweeps.
        let mut last = a * b;
        while let Ok(next) = catch_unwind(AssertUnwindSafe(|| last * b)) {
            last = next;
        }
        assert_eq!(tape.len(), 62);
        assert!(last.backward()[a] > 0.0);
    });
}
