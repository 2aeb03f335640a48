//! Programs of scalars over the whole table of rules.

use ndarray::{Array1, Array2};
use wengert::rules::{BINARY, BinaryRow, UNARY, UnaryRow};
use wengert::trace::Recorded;
use wengert::{BaseFloat, Dual, Program, Real, Rule, SnapshotSchedule, Tape, Var, apply, dot};

use crate::{Bytes, agree, direction, moving};

/// A row of the table, or an operation of all values so far or of a user's rule, with the numbers of its operands.
struct Step {
    row: usize,
    operands: [usize; 2],
    /// True for operands as they are, at kinks and outside of domains: then only values are compared, bit by bit. False for
    /// operands mapped into the row's sample interval, which holds no kink.
    raw: bool,
}

/// A number to which the rows of the table apply.
trait Number: Real<Base = f64> {
    fn unary(row: &UnaryRow, x: Self) -> Self;
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self;
}

macro_rules! number {
    ($($number:ty: $row:ident;)+) => { $(
        impl Number for $number {
            fn unary(row: &UnaryRow, x: Self) -> Self {
                (row.$row)(x)
            }
            fn binary(row: &BinaryRow, a: Self, b: Self) -> Self {
                (row.$row)(a, b)
            }
        }
    )+ };
}
number! {
    f64: on_f64;
    Dual<f64>: on_dual;
    Var<'_>: on_var;
    Var<'_, Dual<f64>>: on_var_dual;
    Recorded<'_>: on_recorded;
}

/// A user's rule of two numbers, a sin b.
#[derive(Clone, Copy)]
struct Polar;

impl<B: BaseFloat> Rule<B, 2> for Polar {
    fn primal(self, [a, b]: [B; 2]) -> B {
        a * b.sin()
    }
    fn partials<R: Real<Base = B>>(self, [a, b]: [R; 2], _: R) -> [R; 2] {
        [b.sin(), a * b.cos()]
    }
}

/// Maps any number smoothly into an interval.
fn inside<R: Real<Base = f64>>(x: R, (low, high): (f64, f64)) -> R {
    R::lit(low) + R::lit(high - low) * (x / R::lit(4.0)).sigmoid()
}

fn run<R: Number>(steps: &[Step], inputs: &[R]) -> R {
    let mut values = inputs.to_vec();
    for step in steps {
        let [a, b] = step.operands.map(|i| values[i % values.len()]);
        let put = |x: R, domain: (f64, f64)| if step.raw { x } else { inside(x, domain) };
        values.push(if let Some(row) = UNARY.get(step.row) {
            R::unary(row, put(a, row.sample))
        } else if let Some(row) = BINARY.get(step.row - UNARY.len()) {
            R::binary(row, put(a, row.sample.0), put(b, row.sample.1))
        } else {
            match (step.row - UNARY.len() - BINARY.len(), step.operands[0] % 8) {
                (0, 7) => dot(&values, &values.iter().rev().map(|&x| put(x, (-1.0, 1.0))).collect::<Vec<_>>()),
                (0, _) => values.iter().copied().sum::<R>(),
                _ => apply(Polar, [a, put(b, (-4.0, 4.0))]),
            }
        });
    }
    values.iter().enumerate().map(|(i, &x)| x * R::lit(1.0 / (i + 1) as f64)).sum::<R>()
}

/// A checkpoint, which computes the program again in the sweep, has the same value and gradient.
fn checkpointed(steps: &[Step], at: &[f64], value: f64, gradient: &[f64], special: bool) {
    let tape = Tape::new();
    let x = tape.vars_from(at);
    let y = tape.checkpoint(x, |x| vec![run(steps, x)])[0];
    let same = y.value().to_bits() == value.to_bits() || y.value().is_nan() && value.is_nan();
    assert!(same, "a checkpoint {:e}, tape {value:e}", y.value());
    let scale = gradient.iter().fold(value.abs(), |scale, d| scale.max(d.abs()));
    if special || y.is_constant() || scale.is_nan() || scale >= 1e10 {
        return;
    }
    let again = y.backward().wrt(x);
    let mut pairs = again.iter().zip(gradient);
    assert!(pairs.all(|(&a, &b)| agree(a, b, scale)), "a checkpoint {again:?}, tape {gradient:?}");
}

/// A loop of checkpoints has the values and the gradient of the loop on the tape.
fn looped(steps: &[Step], at: &[f64], special: bool) {
    let turns = 1 + steps.len() % 6;
    let schedule = match at.len() {
        1 | 2 => SnapshotSchedule::Sqrt,
        count => SnapshotSchedule::Binomial { count: count - 2 },
    };
    fn turn<R: Number>(steps: &[Step], i: usize, inputs: &[R], state: &[R]) -> Vec<R> {
        let y = run(steps, &[inputs, state].concat());
        vec![inside(y, (-1.0, 1.0)), state[0] * R::lit(0.5) + state[1] * R::lit(1.0 / (i + 1) as f64)]
    }
    let tape = Tape::new();
    let x = tape.vars_from(at);
    let start = [x[0], x[x.len() - 1]];
    let plain = (0..turns).fold(start.to_vec(), |state, i| turn(steps, i, x, &state));
    let kept = tape.checkpoint_loop(turns, schedule, x, &start, |i, inputs, state| turn(steps, i, inputs, state));
    for (kept, plain) in kept.iter().zip(&plain) {
        let (kept, plain) = (kept.value(), plain.value());
        assert!(
            kept.to_bits() == plain.to_bits() || kept.is_nan() && plain.is_nan(),
            "a loop {kept:e}, tape {plain:e}"
        );
    }
    let [kept, plain] = [kept, plain].map(|state| state[0] * 0.7 + state[1]);
    if special || plain.is_constant() || kept.is_constant() {
        return;
    }
    let gradient = plain.backward().wrt(x);
    let again = kept.backward().wrt(x);
    let scale = gradient.iter().fold(1.0, |scale: f64, d| scale.max(d.abs()));
    let mut pairs = again.iter().zip(&gradient);
    assert!(
        scale.is_nan() || scale >= 1e10 || pairs.all(|(&a, &b)| agree(a, b, scale)),
        "a loop of checkpoints {again:?}, tape {gradient:?}"
    );
}

/// A tape of dual numbers has the same gradient, and a symmetric Hessian.
fn second_order(steps: &[Step], at: &[f64], gradient: &[f64], special: bool) {
    let mut tape = Tape::new();
    let mut along = |direction: &dyn Fn(usize) -> f64| {
        tape.clear();
        let x: Vec<_> = at.iter().enumerate().map(|(k, &x)| tape.var(Dual::new(x, [direction(k)]))).collect();
        let y = run(steps, &x);
        if y.is_constant() { vec![Dual::from(0.0); at.len()] } else { y.backward().wrt(&x[..]) }
    };
    let (v, w) = (|k| direction(k), |k| direction(k + 100));
    let (of_v, of_w) = (along(&v), along(&w));
    let scale = gradient.iter().fold(1.0, |scale: f64, d| scale.max(d.abs()));
    let product = |of: &[Dual<f64>], along: &dyn Fn(usize) -> f64| -> (f64, f64) {
        let terms = of.iter().enumerate().map(|(k, d)| d.tangents()[0] * along(k));
        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
    };
    let ((one, size), (other, _)) = (product(&of_v, &w), product(&of_w, &v));
    if special || scale > 1e10 || size > 1e10 || !size.is_finite() {
        return;
    }
    let mut pairs = of_v.iter().zip(gradient);
    assert!(pairs.all(|(d, &want)| agree(d.primal(), want, scale)), "dual tape {of_v:?}, tape {gradient:?}");
    assert!(agree(one, other, size.max(scale)), "second derivatives in two orders: {one:e}, {other:e}");
}

/// Runs the check.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let special = bytes.byte() % 4 == 0;
    let n = 1 + bytes.below(5);
    let at: Vec<f64> = (0..n).map(|_| bytes.number(special)).collect();
    let other: Vec<f64> = (0..n).map(|_| bytes.number(special)).collect();
    let mut steps = Vec::new();
    while !bytes.is_empty() && steps.len() < 60 {
        let row = bytes.below(UNARY.len() + BINARY.len() + 2);
        steps.push(Step { row, operands: [bytes.below(256), bytes.below(256)], raw: special && bytes.flag() });
    }

    let mut tape = Tape::new();
    let mut round = |at: &[f64]| {
        tape.clear();
        let x = tape.vars_from(at);
        let y = run(&steps, x);
        (y.value(), if y.is_constant() { vec![0.0; at.len()] } else { y.backward().wrt(x) })
    };
    let (value, gradient) = round(&at);
    round(&other);
    let (again, same) = round(&at);
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(again.to_bits() == value.to_bits() && bits(&same) == bits(&gradient), "a cleared tape: {value} {again}");

    checkpointed(&steps, &at, value, &gradient, special);
    looped(&steps, &at, special);
    second_order(&steps, &at, &gradient, special);

    let plain = run(&steps, &at);
    assert!(plain.to_bits() == value.to_bits() || plain.is_nan() && value.is_nan(), "plain {plain:e}, tape {value:e}");
    let dual = run(&steps, &at.iter().enumerate().map(|(k, &x)| moving(x, k)).collect::<Vec<_>>());
    let primal = dual.primal();
    assert!(
        primal.to_bits() == value.to_bits() || primal.is_nan() && value.is_nan(),
        "dual {primal:e}, tape {value:e}"
    );
    // Infinite partials of opposite signs meet in another order.
    let tangent = dual.tangents()[0];
    let along: f64 = gradient.iter().enumerate().map(|(k, d)| d * direction(k)).sum();
    let scale: f64 = gradient.iter().map(|d| d.abs()).sum();
    if !special && scale < 1e10 && tangent.is_finite() {
        assert!(agree(along, tangent, scale + value.abs()), "tape {along:e}, dual numbers {tangent:e}");
    }

    // A recording refuses rules of users.
    if steps.iter().any(|step| step.row == UNARY.len() + BINARY.len() + 1) {
        return;
    }
    // Recorded at one point, run at both: the same numbers, or a branch that is refused.
    let Ok(mut program) = Program::new(|x: &[Recorded<'_>]| run(&steps, x), &at[..]) else { return };
    for at in [&at, &other] {
        let (value, gradient) = round(at);
        let mut partials = vec![0.0; n];
        let Ok(got) = program.value_and_grad(at, &mut partials) else { continue };
        let size = gradient.iter().fold(value.abs(), |size, d| if d.is_finite() { size.max(d.abs()) } else { size });
        if special {
            // Fused products move results at overflow, and conventions decide by exact numbers.
            let exact = program.clone().exact(true).value(at).expect("the same branch");
            assert!(
                exact.to_bits() == value.to_bits() || exact.is_nan() && value.is_nan(),
                "program {exact:e}, tape {value:e}"
            );
        } else if size < 1e10 {
            assert!(agree(got, value, size), "program {got:e}, tape {value:e}");
            let mut pairs = partials.iter().zip(&gradient);
            assert!(pairs.all(|(&got, &want)| agree(got, want, size)), "program {partials:?}, tape {gradient:?}");
        }
    }
    // More points than a block of the transposition; a few of them at the other point.
    const POINTS: usize = 11;
    let point = |i: usize| if i % 4 == 1 { &other } else { &at };
    let points = Array2::from_shape_fn((POINTS, n), |(i, k)| point(i)[k]);
    let (mut values, mut gradients) = (Array1::zeros(POINTS), Array2::zeros((POINTS, n)));
    if !special && program.batch(points.view(), values.view_mut(), gradients.view_mut()).is_ok() {
        for i in 0..POINTS {
            let (value, gradient) = round(point(i));
            let size = gradient.iter().fold(value.abs(), |size, d| size.max(d.abs()));
            if size < 1e10 {
                assert!(agree(values[i], value, size), "point {i}: {:e}, tape {value:e}", values[i]);
                let mut pairs = gradients.row(i).into_iter().zip(&gradient);
                assert!(
                    pairs.all(|(&got, &want)| agree(got, want, size)),
                    "point {i}: {}, tape {gradient:?}",
                    gradients.row(i)
                );
            }
        }
    }
}
