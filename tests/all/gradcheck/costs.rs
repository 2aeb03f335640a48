//! The cost of a check, and the sharpness of its bounds: the verdict and the evaluations of right and wrong gradients, and the
//! bound of a difference, over functions of every kind.
//!
//! The functions are made of operations that are exact on every machine, so that the tables are the same everywhere. Slopes
//! are closed forms. No verdict and no bound may contradict these; apart from that, a table says what the checker does today,
//! and a change of the checker changes it: the test prints the new one.

#![allow(clippy::type_complexity)] // tables of functions

use std::fmt::Write;

use ndarray::Array2;
use wengert::gradcheck::{
    Coordinates, Differences, GradCheck, Report, Scheme, Verdict, directional, finite_derivative, jacobian,
};

use super::{Outcome, hash, sequence};

pub(super) fn report(outcome: &Outcome) -> &Report {
    match outcome {
        Ok(report) => report,
        Err(error) => error.report().unwrap_or_else(|| panic!("{error}")),
    }
}

pub(super) fn letter(verdict: Verdict) -> char {
    match verdict {
        Verdict::Agrees => 'A',
        Verdict::Inconclusive => 'I',
        Verdict::Disagrees => 'D',
    }
}

#[track_caller]
pub(super) fn assert_table(found: &str, expected: &str) {
    let gap = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(found == expected, "the table is now\n{found}\nfirst change: {gap:?}");
}

/// A bounded function like tanh.
pub(super) fn bounded(x: f64) -> f64 {
    x / (1.0 + x * x).sqrt()
}

/// A wave of period 4 and height 1 with one derivative, of parabolas, like a sine.
pub(super) fn wave(x: f64) -> f64 {
    let u = x - 4.0 * (x / 4.0).round();
    if u.abs() <= 1.0 { u * (2.0 - u.abs()) } else { u.signum() * (2.0 - u.abs()) * u.abs() }
}

pub(super) fn wave_slope(x: f64) -> f64 {
    2.0 - 2.0 * (x - 4.0 * (x / 4.0).round()).abs()
}

fn f32_inside(x: f64) -> f64 {
    let u = (1e4 * (x - 1.0)) as f32;
    f64::from(u / (1.0 + u * u))
}

fn newton(a: f64) -> f64 {
    let mut x = a;
    while (x * x - a).abs() > 1e-8 {
        x = 0.5 * (x + a / x);
    }
    x
}

type Function = fn(f64) -> f64;

/// The facts that are known of a slope.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// The slope, which the values show.
    Slope(f64),
    /// The slope, which noise may hide: no verdict but a wrong one is an error.
    Hidden(f64),
    /// The slopes on both sides of a kink.
    Kink(f64, f64),
}
use Known::{Hidden, Kink, Slope};

#[rustfmt::skip]
fn functions() -> [(&'static str, Function, f64, Known); 67] { [
    ("square at 3", |x| x * x, 3.0, Slope(6.0)),
    ("square at 1e8", |x| x * x, 1e8, Slope(2e8)),
    ("square at -1e-8", |x| x * x, -1e-8, Slope(-2e-8)),
    ("square at 0", |x| x * x, 0.0, Slope(0.0)),
    ("square at 1e-150", |x| x * x, 1e-150, Slope(2e-150)),
    ("cubic", |x| x * x * x - x, 0.6, Slope(0.08)),
    ("cubic, steeper", |x| x * x * x - x, 1.7, Slope(7.67)),
    ("fifth power", |x| x * x * x * x * x, 0.9, Slope(3.2805)),
    ("1/x at 1e-6", |x| 1.0 / x, 1e-6, Slope(-1e12)),
    ("1/x at -3e7", |x| 1.0 / x, -3e7, Slope(-1.0 / 9e14)),
    ("root at 2", f64::sqrt, 2.0, Slope(0.353_553_390_593_273_8)),
    ("root at 1e-8", f64::sqrt, 1e-8, Slope(5e3)),
    ("Runge's", |x| 1.0 / (1.0 + 25.0 * x * x), 0.3, Slope(-15.0 / (3.25 * 3.25))),
    ("bounded", bounded, 0.7, Slope(0.549_820_080_885_262_1)),
    ("bounded, far out", bounded, 40.0, Slope(1.561_036_299_825_301e-5)),
    ("bounded, steep", |x| bounded(1e5 * (x - 1.0)), 1.0, Slope(1e5)),
    ("bounded, very steep", |x| bounded(1e9 * (x - 1.0)), 1.0, Slope(1e9)),
    ("bounded, beside 1e6", |x| 1e6 + bounded(x), 0.7, Slope(0.549_820_080_885_262_1)),
    ("bounded, beside 4e14", |x| 4e14 + bounded(x), 0.7, Hidden(0.549_820_080_885_262_1)),
    ("1e9 + 1e-3 x^2", |x| 1e9 + 1e-3 * x * x, 2.0, Slope(4e-3)),
    ("constant", |_| 2.5, 1.5, Slope(0.0)),
    ("zero", |_| 0.0, 1.5, Slope(0.0)),
    ("line at 1e-200", |x| 1.0 + x, 1e-200, Slope(1.0)),
    ("line through 0", |x| 3.0 * x, 0.0, Slope(3.0)),
    ("line of 1e-12", |x| 1e-12 * x, 0.7, Slope(1e-12)),
    ("line of 1e300", |x| 1e300 * x, 0.7, Slope(1e300)),
    ("wave", wave, 0.3, Slope(1.4)),
    ("wave of period 4e-4", |x| wave(1e4 * x), 1.000_02, Slope(1.6e4)),
    ("wave of period 4e-6", |x| wave(1e6 * x), 0.700_000_3, Slope(1.4e6)),
    ("wave on a square", |x| x * x + 1e-3 * wave(1e6 * x), 0.700_000_3, Slope(1400.0 + 1.400_000_6)),
    ("wave at 1e14", |x| wave(0.9 * x), 1e14 + 0.5, Hidden(0.9 * wave_slope(0.9 * (1e14 + 0.5)))),
    ("wave at 1e18", |x| wave(0.9 * x), 1e18, Hidden(0.9 * wave_slope(0.9 * 1e18))),
    ("abs at 0", f64::abs, 0.0, Kink(-1.0, 1.0)),
    ("abs at 1e-9", f64::abs, 1e-9, Slope(1.0)),
    ("relu(x - 1) at 1", |x| (x - 1.0).max(0.0), 1.0, Kink(0.0, 1.0)),
    ("relu(x - 1) at 1 + 1e-9", |x| (x - 1.0).max(0.0), 1.0 + 1e-9, Slope(1.0)),
    ("relu(x - 1) at 1 - 1e-6", |x| (x - 1.0).max(0.0), 1.0 - 1e-6, Slope(0.0)),
    ("x + |x - 2| at 2", |x| x + (x - 2.0).abs(), 2.0, Kink(0.0, 2.0)),
    ("x + |x - 2| at 2.003", |x| x + (x - 2.0).abs(), 2.003, Slope(2.0)),
    ("kink beside 1e6", |x| 1e6 + x.abs(), 0.0, Kink(-1.0, 1.0)),
    ("kink of two curves", |x| if x < 1.0 { x * x } else { 3.0 - 2.0 * x * x * x }, 1.0, Kink(2.0, -6.0)),
    ("joint of Huber's loss", |x| if x < 1.0 { 0.5 * x * x } else { x - 0.5 }, 1.0, Slope(1.0)),
    ("|x|^1.5 at 0", |x| x.abs() * x.abs().sqrt(), 0.0, Slope(0.0)),
    ("|x|^1.5 at 1e-7", |x| x.abs() * x.abs().sqrt(), 1e-7, Slope(4.743_416_490_252_569e-4)),
    ("x^1.5 + x at 0", |x| x * x.sqrt() + x, 0.0, Slope(1.0)),
    ("half circle near its end", |x| (1.0 - x * x).sqrt(), 1.0 - 1e-9, Hidden(-22_360.680_074_429)),
    ("1 - x at 1, nothing beyond", |x| if x > 1.0 { f64::NAN } else { 1.0 - x }, 1.0, Slope(-1.0)),
    ("nothing beyond 1 + 1e-5", |x| if x < 1.0 { f64::NAN } else { x * x }, 1.0 + 1e-5, Slope(2.0 + 2e-5)),
    ("defined at one point", |x| if x == 2.0 { 1.0 } else { f64::NAN }, 2.0, Hidden(0.0)),
    ("noise of 1e-9", |x| bounded(x) + 1e-9 * hash(x.to_bits()), 0.7, Hidden(0.549_820_080_885_262_1)),
    ("noise of 1e-4 on a steep line", |x| 1e3 * x + 1e-4 * hash(x.to_bits()), 0.5, Hidden(1e3)),
    ("nothing but noise", |x| hash(x.to_bits()), 0.5, Hidden(0.0)),
    ("f32 inside", |x| f64::from((x as f32) * (x as f32)), 0.9, Hidden(1.8)),
    ("bounded in f32", |x| f64::from(x as f32 / (1.0 + x as f32 * x as f32).sqrt()), 0.7, Hidden(0.549_820_080_885_262_1)),
    ("f32 input", |x| bounded(f64::from(x as f32)), 0.4, Hidden(0.800_410_940_418_327)),
    ("f32 part", |x| x * x + f64::from(x as f32), 0.9, Hidden(2.8)),
    ("floor", f64::floor, 2.5, Slope(0.0)),
    ("floor at 2500000.5", f64::floor, 2_500_000.5, Slope(0.0)),
    ("rounded to a thousandth", |x| (1e3 * x).round() / 1e3, 1.234_56, Hidden(0.0)),
    ("iteration", newton, 2.0, Hidden(0.353_553_390_593_273_8)),
    ("overflow near", |x| x * x, 1.3e154, Slope(2.6e154)),
    ("subnormal", |x| 1e-310 * x, 1.5, Hidden(1e-310)),
    ("1 + x^2 at 0", |x| 1.0 + x * x, 0.0, Slope(0.0)),
    ("1e6 + x^2 at 0", |x| 1e6 + x * x, 0.0, Hidden(0.0)),
    ("(x - 3)^2 at 3", |x| (x - 3.0) * (x - 3.0), 3.0, Slope(0.0)),
    ("1 + (x - 1e3)^2 at 1e3", |x| 1.0 + (x - 1e3) * (x - 1e3), 1e3, Slope(0.0)),
    ("f32 inside, steep", f32_inside, 1.000_03, Hidden(7_659.288)),
] }

/// Gradients off by these factors, or of this size where the slope is 0, are wrong.
const FACTORS: [f64; 7] = [1.0, 2.0, 0.0, -1.0, 1.01, 1.0 + 1e-5, 1.0 + 1e-8];

#[test]
fn functions_of_one_number() {
    let mut table = String::new();
    for (name, f, x, known) in functions() {
        let _ = write!(table, "{name}:");
        for (k, factor) in FACTORS.into_iter().enumerate() {
            let (analytic, right) = match known {
                Slope(0.0) | Hidden(0.0) => (factor - 1.0, k == 0),
                Slope(slope) | Hidden(slope) => (factor * slope, k == 0),
                // From one side of the kink to beyond the other.
                Kink(left, right) => {
                    let share = [0.0, 0.3, 0.5, 1.0, 1.01, -1e-5, 2.0][k];
                    (left + share * (right - left), k < 4)
                }
            };
            let outcome = GradCheck::new().check(|x: &[f64]| f(x[0]), |_| vec![analytic], &[x]);
            let report = report(&outcome);
            let entry = &report.entries[0];
            let wrong = if right { Verdict::Disagrees } else { Verdict::Agrees };
            // 1e-5 of a wave on a square, and what noise hides, may agree.
            assert!(entry.verdict != wrong || (!right && factor.abs() < 1.02), "{name}, times {factor}: {report}");
            let _ = write!(table, " {}{}", letter(entry.verdict), report.evaluations);
            if k == 0 {
                let _ = write!(table, " ({:.1e})", entry.error);
            }
        }
        table += "\n";
    }
    assert_table(&table, include_str!("costs/one.txt"));
}

#[test]
fn functions_of_one_f32() {
    let mut table = String::new();
    let functions: [(&str, fn(f32) -> f32, f32, f64); 9] = [
        ("square", |x| x * x, 3.0, 6.0),
        ("1/x at 1e-6", |x| 1.0 / x, 1e-6, -1e12),
        ("root", f32::sqrt, 2.0, 0.353_553_39),
        ("bounded", |x| x / (1.0 + x * x).sqrt(), 0.7, 0.549_820_08),
        ("bounded, beside 1e3", |x| 1e3 + x / (1.0 + x * x).sqrt(), 0.7, 0.549_820_08),
        ("relu at 1e-4", |x| x.max(0.0), 1e-4, 1.0),
        ("constant", |_| 2.5, 1.5, 0.0),
        ("line of 1e-30", |x| 1e-30 * x, 0.7, 1e-30),
        ("noise", |x| x + 1e-3 * hash(u64::from(x.to_bits())) as f32, 0.7, 1.0),
    ];
    for (name, f, x, slope) in functions {
        let _ = write!(table, "{name}:");
        for (k, factor) in FACTORS.into_iter().enumerate() {
            let analytic = if slope == 0.0 { factor - 1.0 } else { factor * slope };
            let outcome = GradCheck::new().check(|x: &[f32]| f(x[0]), |_| vec![analytic as f32], &[x]);
            let report = report(&outcome);
            let wrong = if k == 0 { Verdict::Disagrees } else { Verdict::Agrees };
            assert!(report.verdict() != wrong || (k > 0 && factor.abs() < 1.02), "{name}, times {factor}: {report}");
            let _ = write!(table, " {}{}", letter(report.verdict()), report.evaluations);
            if k == 0 {
                let _ = write!(table, " ({:.1e})", report.entries[0].error);
            }
        }
        table += "\n";
    }
    assert_table(&table, include_str!("costs/single.txt"));
}

/// The bound of a difference holds, and is as small as it is today.
#[test]
fn differences_of_one_number() {
    let mut table = String::new();
    for (name, f, x, known) in functions() {
        let found = finite_derivative(f, x);
        let error = found.error.unwrap();
        // Half of a spacing of floats in the number, and in the value.
        let holds = |slope: f64| (found.value - slope).abs() <= error + 4e-16 * (slope * (1.0 + x)).abs();
        match known {
            Slope(slope) => assert!(holds(slope), "{name}: {found}"),
            Kink(left, right) => assert!(holds(left) && holds(right), "{name}: {found}"),
            Hidden(_) => {}
        }
        let _ = writeln!(table, "{name}: {:.6e} ± {error:.1e}, {}", found.value, found.evaluations);
    }
    for scheme in [Scheme::Forward, Scheme::Backward, Scheme::Central, Scheme::FivePoint, Scheme::Adaptive] {
        for (low, high) in [(0.0, 4.0), (3.0, 4.0), (2.0, 3.0), (3.0 - 1e-9, 3.0 + 1e-7), (3.0 - 1e-7, 3.0 + 1e-9)] {
            let found = Differences::new(scheme).bounds(&[(low, high)]).derivative(|x| x * x * x, 3.0);
            assert!((found.value - 27.0_f64).abs() < 1e-5, "{scheme:?} from {low} to {high}: {found}");
            let _ = writeln!(table, "{scheme:?}: {:.15e}, {}", found.value, found.evaluations);
        }
        let found = Differences::new(scheme).step(0.25).derivative(|x| x * x * x, 3.0);
        let _ = writeln!(table, "{scheme:?}: {found}, {}", found.evaluations);
        let many =
            Differences::new(scheme).jacobian(|x: &[f64]| vec![x[0] * x[1], x[1] * x[1] * x[2]], &[1.0, 2.0, -3.0]);
        let exact = [[2.0, 1.0, 0.0], [0.0, -12.0, 4.0]];
        for ((i, j), found) in many.indexed_iter() {
            assert!((found.value - exact[i][j]).abs() < 1e-6, "{scheme:?}, {i}, {j}: {found}");
            let _ = write!(table, " {}", found.evaluations);
        }
        table += "\n";
    }
    for direction in [[1.0, 0.0, 0.0], [2.0, -1.0, 0.0], [0.5, 0.25, -8.0], [0.0, 0.0, 0.0]] {
        let found = directional(|x: &[f64]| x[0] * x[1] + x[1] * x[1] * x[2], &[1.0, 2.0, -3.0], &direction);
        let exact = 2.0 * direction[0] - 11.0 * direction[1] + 4.0 * direction[2];
        assert!((found.value - exact).abs() <= found.error.unwrap(), "{found}");
        let _ = writeln!(
            table,
            "along {direction:?}: {:.9e} ± {:.0e}, {}",
            found.value,
            found.error.unwrap(),
            found.evaluations
        );
    }
    let misfit = jacobian(|x: &[f64]| vec![x[0], f64::NAN, x[0] * x[0]], &[2.0]);
    assert!(misfit[[1, 0]].value.is_nan() && misfit[[1, 0]].error == Some(f64::INFINITY));
    assert_eq!((misfit[[1, 0]].evaluations, misfit[[0, 0]].value, misfit[[2, 0]].value.round()), (0, 1.0, 4.0));
    assert_table(&table, include_str!("costs/differences.txt"));
}

type Gradient = fn(&[f64]) -> Vec<f64>;
type Value<'a> = &'a dyn Fn(&[f64]) -> f64;

fn products(x: &[f64]) -> f64 {
    x.windows(2).map(|w| w[0] * w[1] * w[1]).sum()
}

fn products_gradient(x: &[f64]) -> Vec<f64> {
    let mut g = vec![0.0; x.len()];
    for i in 1..x.len() {
        g[i - 1] += x[i] * x[i];
        g[i] += 2.0 * x[i - 1] * x[i];
    }
    g
}

/// Entries from 1 down to 1e-36, and some that are 0.
fn decades(x: &[f64]) -> f64 {
    x.iter().zip(sizes()).map(|(x, size)| size * (x + 0.5 * x * x)).sum()
}

fn sizes() -> impl Iterator<Item = f64> {
    (0..).scan(1.0, |size: &mut f64, k| {
        *size *= 0.75;
        Some(if k % 17 == 5 { 0.0 } else { *size })
    })
}

/// Many inputs: one by one, and in blocks.
#[test]
fn functions_of_many_numbers() {
    let relus = |x: &[f64]| x.iter().map(|x| x.max(0.0)).sum::<f64>();
    let steps: Gradient = |x| x.iter().map(|x| f64::from(u8::from(*x > 0.0))).collect();
    let largest = |x: &[f64]| x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let noisy = |x: &[f64]| products(x) + 1e-6 * hash(x.iter().fold(0, |h, x| h ^ x.to_bits().rotate_left(7)));
    let mut with_zeros = sequence(300, 5);
    with_zeros.iter_mut().step_by(37).for_each(|x| *x = 0.0);
    // With the number of changes to try of each: blocks of kinks cost much.
    let cases: [(&str, Value<'_>, Gradient, Vec<f64>, bool, usize); 15] = [
        ("products", &products, products_gradient, sequence(300, 4), true, 9),
        ("products of 5", &products, products_gradient, sequence(5, 4), true, 9),
        (
            "decades",
            &decades,
            |x| x.iter().zip(sizes()).map(|(x, size)| size * (1.0 + x)).collect(),
            sequence(290, 6),
            true,
            1,
        ),
        ("relus", &relus, steps, sequence(300, 5), true, 9),
        ("relus at kinks", &relus, steps, with_zeros, false, 2),
        ("noise", &noisy, products_gradient, sequence(300, 4), true, 3),
        ("tie of two", &largest, |_| vec![0.5, 0.5, 0.0], vec![1.5, 1.5, 0.2], true, 9),
        ("tie of two at 1e3", &largest, |_| vec![0.5, 0.5, 0.0], vec![1500.0, 1500.0, 200.0], true, 6),
        ("tie of two at 1e-3", &largest, |_| vec![0.5, 0.5, 0.0], vec![1.5e-3, 1.5e-3, 2e-4], true, 6),
        ("large products", &products, products_gradient, sequence(300, 4).iter().map(|x| 1e3 * x).collect(), true, 3),
        ("tie of two, both", &largest, |_| vec![1.0, 1.0, 0.0], vec![1.5, 1.5, 0.2], false, 4),
        ("tie of four, none", &largest, |_| vec![0.0; 4], vec![-2.0; 4], false, 7),
        ("norm at 0", &norm, |_| vec![0.4; 4], vec![0.0; 4], true, 7),
        ("norm at 0, too long", &norm, |_| vec![0.6; 4], vec![0.0; 4], false, 3),
        ("scales", &|x| 1e6 * x[0] + 1e-6 * x[1], |_| vec![1e6, 1e-6], vec![1.0, 1.0], true, 9),
    ];
    let mut table = String::new();
    for (name, f, g, x, right, count) in cases {
        let n = x.len();
        let changes: [(&str, &dyn Fn(&mut Vec<f64>)); 9] = [
            ("", &|_| ()),
            ("first doubled", &|g| g[0] *= 2.0),
            ("last lost", &|g| g[n - 1] = 0.0),
            ("one off", &|g| g[n / 3] += 1e-3),
            ("one off by a percent", &|g| g[n / 2] *= 1.01),
            ("sign", &|g| g[n / 2] = -g[n / 2]),
            ("two", &|g| (g[0], g[n - 2]) = (g[0] + 0.5, g[n - 2] + 0.5)),
            ("all", &|g| g.iter_mut().for_each(|g| *g += 1.0)),
            ("not a number", &|g| g[n / 2] = f64::NAN),
        ];
        for (k, (change, apply)) in changes.into_iter().take(count).enumerate() {
            let gradient = |x: &[f64]| {
                let mut g = g(x);
                apply(&mut g);
                g
            };
            let outcome = GradCheck::new().max_mismatches(6).check(f, gradient, &x);
            let report = report(&outcome);
            assert!(k > 0 || !right || report.verdict() != Verdict::Disagrees, "{name}: {report}");
            let rows = |verdict| report.with_verdict(verdict).count();
            let counts = [Verdict::Agrees, Verdict::Inconclusive, Verdict::Disagrees].map(rows);
            let wrong: Vec<String> = report.disagreements().take(4).map(|e| e.place.to_string()).collect();
            let _ =
                writeln!(table, "{name}, {change}: {counts:?} {}, {} evaluations", wrong.join(" "), report.evaluations);
        }
    }
    // Errors of all entries together, from what any half of a block shows to what noise hides even in the whole.
    for k in 0..4 {
        let error = 2e-5 * 0.5_f64.powi(k);
        let gradient = |x: &[f64]| products_gradient(x).into_iter().map(|g| g + error).collect();
        let outcome = GradCheck::new().max_mismatches(2).check(noisy, gradient, &sequence(300, 4));
        let rows = [Verdict::Agrees, Verdict::Inconclusive, Verdict::Disagrees]
            .map(|verdict| report(&outcome).with_verdict(verdict).count());
        let _ = writeln!(table, "all off by {error:.1e}: {rows:?}, {} evaluations", report(&outcome).evaluations);
    }
    assert_table(&table, include_str!("costs/many.txt"));
}

/// Jacobians and products, one by one and in blocks.
#[test]
fn functions_of_many_values() {
    let f = |x: &[f64]| vec![x[0] * x[1], x[1] * x[1] * x[2], x[2].max(0.0), x[0] + 2.0 * x[2]];
    let jacobian = |x: &[f64]| {
        let step = f64::from(u8::from(x[2] > 0.0));
        ndarray::array![[x[1], x[0], 0.0], [0.0, 2.0 * x[1] * x[2], x[1] * x[1]], [0.0, 0.0, step], [1.0, 0.0, 2.0]]
    };
    let pull = |j: &Array2<f64>, v: &[f64]| j.t().dot(&ndarray::Array1::from(v.to_vec())).to_vec();
    let push = |j: &Array2<f64>, v: &[f64]| j.dot(&ndarray::Array1::from(v.to_vec())).to_vec();
    let mut table = String::new();
    let mut add = |name: &str, outcome: Outcome, right: bool| {
        let report = report(&outcome);
        assert!((report.verdict() != Verdict::Disagrees) == right, "{name}: {report}");
        let places: Vec<_> = report.disagreements().map(|e| format!("{} {}", e.seed, e.place)).collect();
        let counts = (report.entries.len(), report.covered, report.evaluations, report.gradient_evaluations);
        let _ = writeln!(table, "{name}: {counts:?} {}", places.join(" "));
    };
    for (what, x) in [("", [0.5, -2.0, 3.0]), ("at a kink", [0.5, -2.0, 0.0])] {
        for coordinates in [Coordinates::Auto, Coordinates::Blocks, Coordinates::Only(vec![0, 2])] {
            let check = GradCheck::new().coordinates(coordinates.clone());
            let name = |k: &str| format!("{k} {what} {coordinates:?}");
            let in_blocks_at_kink = coordinates == Coordinates::Blocks && !what.is_empty();
            add(&name("Jacobian"), check.check_jacobian(f, jacobian, &x), true);
            add(&name("vjp"), check.check_vjp(f, |x, v| pull(&jacobian(x), v), &x), true);
            add(&name("jvp"), check.check_jvp(f, |x, v| push(&jacobian(x), v), &x), true);
            if in_blocks_at_kink {
                continue;
            }
            for (i, j) in [(0, 0), (1, 2), (3, 0)] {
                let wrong = |x: &[f64]| {
                    let mut matrix = jacobian(x);
                    matrix[[i, j]] += 0.1;
                    matrix
                };
                add(&name(&format!("Jacobian [{i}, {j}]")), check.check_jacobian(f, wrong, &x), false);
                add(&name(&format!("vjp [{i}, {j}]")), check.check_vjp(f, |x, v| pull(&wrong(x), v), &x), false);
                add(&name(&format!("jvp [{i}, {j}]")), check.check_jvp(f, |x, v| push(&wrong(x), v), &x), false);
            }
        }
    }
    assert_table(&table, include_str!("costs/values.txt"));
}
