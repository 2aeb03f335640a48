//! Recorded numbers: every function of the table, replay at other inputs, branches.

use std::cmp::Ordering;

use num_traits::Float;
use wengert::rules::{BINARY, UNARY};
use wengert::trace::{Recorded, Recorder, Recording};
use wengert::{Dual, Real, Tape, record, symbolic, trace};

use crate::support::close::assert_near;
use crate::support::functions::rosenbrock;

/// Seven points inside an interval.
fn points((lo, hi): (f64, f64), stride: f64) -> impl Iterator<Item = f64> {
    (1..=7).map(move |i| lo + (hi - lo) * (0.03 + 0.94 * (f64::from(i) * stride).fract()))
}

#[test]
fn every_function_of_one_operand() {
    for row in UNARY {
        let slope = symbolic(["x"], |[x]| (row.on_recorded)(x)).diff("x");
        let recording = record(["x"], |[x]| (row.on_recorded)(x), [row.sample.0]);
        assert_eq!(recording.len(), 1, "{}", row.name);
        for x in points(row.sample, 0.618_033_988_749_894_9) {
            assert_eq!(recording.evaluate(&[x]).unwrap(), [(row.on_f64)(x)], "{} at {x}", row.name);
            let tape = Tape::new();
            let v = tape.var(x);
            let want = (row.on_var)(v).backward()[v];
            let table = trace(["x"], |[x]| (row.on_recorded)(x), [x]);
            assert_eq!(table.gradient(), [want], "{} at {x}", row.name);
            let got = slope.evaluate(&[x]);
            assert_near(&format!("{}' = {slope} at {x}", row.name), got, want, 1e-12);
        }
    }
}

#[test]
fn every_function_of_two_operands() {
    for row in BINARY {
        let formula = symbolic(["a", "b"], |[a, b]| (row.on_recorded)(a, b));
        let slopes = formula.gradient();
        let pairs = points(row.sample.0, 0.754_877_666_246_692_8).zip(points(row.sample.1, 0.569_840_290_998_053_3));
        for (a, b) in pairs {
            let tape = Tape::new();
            let x = tape.vars([a, b]);
            let want = (row.on_var)(x[0], x[1]).backward().wrt(x);
            let table = trace(["a", "b"], |[a, b]| (row.on_recorded)(a, b), [a, b]);
            assert_eq!(table.value(), (row.on_f64)(a, b), "{}", row.name);
            assert_eq!(table.gradient(), want, "{}", row.name);
            for (slope, want) in slopes.iter().zip(want) {
                let got = slope.evaluate(&[a, b]);
                assert_near(&format!("{}: {slope} at {a}, {b}", row.name), got, want, 1e-12);
            }
        }
    }
}

#[test]
fn replay_gives_the_function_at_other_inputs() {
    let recording = wengert::trace::record_of(&["x", "y", "z"], |x| rosenbrock(x), &[1.0, 2.0, 3.0]);
    for x in [[0.5, -1.5, 2.0], [1.0, 1.0, 1.0], [-1e3, 0.0, 1e-3]] {
        assert_eq!(recording.evaluate(&x).unwrap(), [rosenbrock(&x)]);
        let duals = Dual::seeded(x);
        assert_eq!(recording.replay(&duals).unwrap()[0].tangents(), rosenbrock(&duals).tangents());
    }
    let again: Recording = recording.clone();
    std::thread::spawn(move || assert_eq!(again.evaluate(&[1.0; 3]).unwrap(), [0.0])).join().unwrap();
}

/// The name of a test, the test, a point at which it holds, and a point at which it does not.
type Branch = (&'static str, for<'r> fn(Recorded<'r>) -> bool, f64, f64);

/// Every way to branch on a number.
const BRANCHES: [Branch; 12] = [
    ("less than a number", |x| x < 1.0, 0.5, 1.5),
    ("greater than a constant", |x| Recorded::constant(1.0) > x, 0.5, 1.5),
    ("at most", |x| x <= Recorded::constant(1.0), 1.0, 1.5),
    ("at least", |x| x >= 1.0, 1.0, 0.5),
    ("equal", |x| x == 1.0, 1.0, 0.5),
    ("unequal", |x| x * 2.0 != x, 1.0, 0.0),
    ("is_zero", |x| num_traits::Zero::is_zero(&x), 0.0, 0.5),
    ("partial_cmp", |x| x.partial_cmp(&1.0) == Some(Ordering::Greater), 2.0, 0.5),
    ("is_nan", |x| x.ln().is_nan(), 1.0, -1.0),
    ("is_finite", |x| x.recip().is_finite(), 1.0, 0.0),
    ("is_sign_negative", |x| x.is_sign_negative(), -0.0, 0.0),
    ("abs_sub", |x| x.abs_sub(Recorded::constant(1.0)).value() > 0.0, 2.0, 0.5),
];

#[test]
fn a_branch_that_changes_is_seen() {
    for (name, test, here, there) in BRANCHES {
        let recording = record(["x"], |[x]| if test(x) { x * 2.0 } else { x * 3.0 }, [here]);
        assert!(recording.comparisons().count() > 0, "{name}");
        assert_eq!(recording.evaluate(&[here]).unwrap(), recording.outputs(), "{name}");
        recording.evaluate(&[there]).expect_err(name);
    }
    // A comparison after the last operation counts; a comparison of constants does not.
    let f = record(["x"], |[x]| if x.sin() > 0.5 && Recorded::constant(1.0) > 0.0 { x } else { -x }, [1.0]);
    assert_eq!(f.comparisons().collect::<Vec<_>>(), ["sin(x) > 1/2: true"]);
    let changed = f.evaluate(&[0.1]).unwrap_err();
    assert_eq!(changed.to_string(), "`sin(x) > 1/2` was true when recorded and is false at these inputs");
}

#[test]
fn sums_products_and_mul_add() {
    let names = ["a", "b", "c"];
    let table =
        trace(names, |x| x.iter().sum::<Recorded<'_>>() * x.iter().copied().product::<Recorded<'_>>(), [2.0, 3.0, 5.0]);
    assert_eq!(table.recording().len(), 5);
    assert_eq!((table.value(), table.gradient()), (300.0, vec![180.0, 130.0, 90.0]));
    let none = record(["x"], |_| std::iter::empty::<Recorded<'_>>().sum(), [1.0]);
    assert_eq!((none.outputs(), none.len()), (vec![0.0], 0));
    // 0.1 · 10 - 1 is 0 after two roundings, 2^-54 after one.
    let fused = record(["x"], |[x]| Float::mul_add(x, 10.0.into(), (-1.0).into()), [0.1]);
    assert_eq!(fused.outputs(), [2_f64.powi(-54)]);
    assert_eq!(fused.trace().gradient(), [10.0]);
    assert_eq!(fused.formula().to_string(), "10*x - 1");
}

#[test]
fn operators_in_every_combination() {
    let table = trace(
        ["x", "y"],
        |[x, y]| {
            let (a, b) = (&x, &y);
            let mut sum = a + b - 2.0 * a + a * 2.0 - (1.0 - b) / b + -a % 4.0;
            sum += x;
            sum -= 1.0;
            sum *= &y;
            sum /= 2.0;
            sum
        },
        [0.5, 2.0],
    );
    let tape = Tape::<f64>::new();
    let [x, y] = tape.vars([0.5, 2.0]);
    let same = (x + y - 2.0 * x + x * 2.0 - (1.0 - y) / y + -x % 4.0 + x - 1.0) * y / 2.0;
    assert_eq!(table.value(), same.value());
    assert_eq!(table.gradient(), same.backward().wrt([x, y]));
}

/// A function in which every kind of step occurs, and plain numbers on both sides of operators.
fn of_every_kind<R: Real>(x: R, y: R) -> R {
    let fused = Float::mul_add(x, y, R::lit(0.5));
    (fused.sin() + x.clamp(R::zero(), R::one()) / (y.square() + R::one())).leaky_relu(R::Base::lit(0.1)) - x.powi(3)
}

#[test]
fn functions_of_f32() {
    let recorder = Recorder::<f32>::default();
    let (x, y) = (recorder.input("x", 0.3), recorder.input("y", -1.2));
    recorder.output(2.0 * of_every_kind(x, y) - &y * 0.1);
    recorder.output([x, y].iter().sum::<Recorded<'_, f32>>());
    let recording: Recording<f32> = recorder.finish();
    let function = |x: f32, y: f32| [2.0 * of_every_kind(x, y) - y * 0.1, x + y];
    assert_eq!(recording.outputs(), function(0.3, -1.2));
    for [a, b] in [[0.7_f32, 0.4], [0.9, -0.2], [0.1, 2.0]] {
        assert_eq!(recording.evaluate(&[a, b]).unwrap(), function(a, b));
        let tape = Tape::<f32>::new();
        let [x, y] = tape.vars([a, b]);
        let replayed = recording.replay(&[x, y]).unwrap();
        let plain = 2.0 * of_every_kind(x, y) - y * 0.1;
        assert_eq!(replayed[0].value(), plain.value());
        assert_eq!(replayed[0].backward().wrt([x, y]), plain.backward().wrt([x, y]));
        // The same function in twice the digits.
        let wide = record(["x", "y"], |[x, y]| 2.0 * of_every_kind(x, y) - y * 0.1, [0.3, -1.2]);
        let (a, b) = (f64::from(a), f64::from(b));
        let want = wide.replay(&Dual::seeded([a, b])).unwrap()[0];
        assert_near("value", f64::from(replayed[0].value()), want.to_base(), 1e-6);
        for (got, want) in replayed[0].backward().wrt([x, y]).into_iter().zip(want.tangents()) {
            assert_near("derivative", f64::from(got), want, 1e-5);
        }
    }
}

#[test]
fn a_branch_of_f32_numbers_prints_their_decimals() {
    let recorder = Recorder::<f32>::default();
    let x = recorder.input("x", 0.3);
    recorder.output(if x.leaky_relu(0.7) * 0.1 > 0.01 { x } else { -x });
    let changed = recorder.finish().evaluate(&[0.0]).unwrap_err();
    assert!(changed.recorded);
    assert_eq!(changed.comparison, "0.1*leaky_relu(x, 0.7) > 0.01");
}

#[test]
fn a_million_named_inputs() {
    let recorder = Recorder::new();
    let mut sum = Recorded::constant(0.0);
    for i in 0..1_000_000 {
        sum += recorder.input(&i.to_string(), 1.0);
    }
    recorder.output(sum);
    let recording = recorder.finish();
    assert_eq!((recording.len(), recording.outputs()), (1_000_000, vec![1e6]));
    assert!(recording.inputs().enumerate().all(|(i, name)| name == i.to_string()));
    let tape = record(["v1"], |[x]| x.sin(), [1.0]).trace();
    assert!(tape.to_string().contains("v1' = sin(v1)"), "{tape}");
}

#[test]
#[should_panic(expected = "two recorders")]
fn recorders_do_not_mix_in_mul_add() {
    let (a, b) = (Recorder::new(), Recorder::new());
    let _ = Float::mul_add(Recorded::constant(1.0), a.input("x", 1.0), b.input("y", 2.0));
}

#[test]
#[should_panic(expected = "two inputs have the name \"x\"")]
fn names_differ() {
    trace(["x", "x"], |[x, y]| x + y, [1.0, 2.0]);
}

#[test]
#[should_panic(expected = "two recorders")]
fn recorders_do_not_mix() {
    let (a, b) = (Recorder::new(), Recorder::new());
    let _ = a.input("x", 1.0) + b.input("y", 2.0);
}
