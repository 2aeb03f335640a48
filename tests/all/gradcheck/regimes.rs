//! Functions with a scale of their own, from one that steps do not see to one that they cannot miss: verdicts and evaluations
//! in families, as in `costs.rs`.

use std::collections::BTreeMap;
use std::fmt::Write;

use wengert::gradcheck::{GradCheck, Verdict, finite_derivative};

use super::costs::{assert_table, bounded, report, wave, wave_slope};
use super::hash;

/// f(x, k) and its slope at x, where k is the scale; and the range of the decades of k.
struct Family {
    name: &'static str,
    f: fn(f64, f64) -> f64,
    slope: fn(f64, f64) -> f64,
    decades: std::ops::RangeInclusive<usize>,
    /// True if noise may hide the slope.
    hidden: bool,
}

fn bounded_slope(x: f64) -> f64 {
    let r = 1.0 + x * x;
    1.0 / (r * r.sqrt())
}

#[rustfmt::skip]
const FAMILIES: [Family; 17] = [
    Family { name: "line of any slope", f: |x, k| 1.0 + x / (k * k), slope: |_, k| 1.0 / (k * k), decades: 0..=15, hidden: true },
    Family { name: "square beside a constant", f: |x, k| k + x * x, slope: |x, _| 2.0 * x, decades: 0..=15, hidden: true },
    Family { name: "bounded", f: |x, k| bounded(k * x), slope: |x, k| k * bounded_slope(k * x), decades: 0..=12, hidden: true },
    Family { name: "bounded beside a line", f: |x, k| 2.0 * x + bounded(k * (x - 0.7)), slope: |x, k| 2.0 + k * bounded_slope(k * (x - 0.7)), decades: 0..=12, hidden: true },
    Family { name: "bounded beside a constant", f: |x, k| k + bounded(x), slope: |x, _| bounded_slope(x), decades: 0..=15, hidden: true },
    Family { name: "wave", f: |x, k| wave(k * x), slope: |x, k| k * wave_slope(k * x), decades: 0..=12, hidden: true },
    Family { name: "small wave on a line", f: |x, k| x + wave(k * x) / k, slope: |x, k| 1.0 + wave_slope(k * x), decades: 0..=12, hidden: true },
    Family { name: "smaller wave on a square", f: |x, k| x * x + 1e-3 * wave(k * x) / k, slope: |x, k| 2.0 * x + 1e-3 * wave_slope(k * x), decades: 0..=12, hidden: true },
    Family { name: "kink at a distance", f: |x, k| x + (x - 1.7 - 1.0 / k).max(0.0), slope: |x, k| if x > 1.7 + 1.0 / k { 2.0 } else { 1.0 }, decades: 1..=13, hidden: false },
    Family { name: "kink between curves", f: |x, k| x * x + 3.0 * (0.7 + 1.0 / k - x).max(0.0), slope: |x, k| if x < 0.7 + 1.0 / k { 2.0 * x - 3.0 } else { 2.0 * x }, decades: 1..=13, hidden: false },
    Family { name: "noise on a square", f: |x, k| x * x + hash(x.to_bits()) / k, slope: |x, _| 2.0 * x, decades: 0..=14, hidden: true },
    Family { name: "noise on a bounded function", f: |x, k| bounded(30.0 * x) + hash(x.to_bits()) / k, slope: |x, _| 30.0 * bounded_slope(30.0 * x), decades: 0..=14, hidden: true },
    Family { name: "reciprocal near its pole", f: |x, k| 1.0 / (x - 0.7 + 1.0 / k), slope: |x, k| { let d = x - 0.7 + 1.0 / k; -1.0 / (d * d) }, decades: 0..=10, hidden: false },
    Family { name: "root near its end", f: |x, k| (x - 0.7 + 1.0 / k).sqrt(), slope: |x, k| 0.5 / (x - 0.7 + 1.0 / k).sqrt(), decades: 0..=10, hidden: false },
    Family { name: "f32 inside", f: |x, k| f64::from((k * x) as f32) * x, slope: |x, k| 2.0 * k * x, decades: 0..=6, hidden: true },
    Family { name: "small f32 part", f: |x, k| x * x + f64::from(x as f32) / k, slope: |x, k| 2.0 * x + 1.0 / k, decades: 0..=12, hidden: true },
    Family { name: "staircase", f: |x, k| (k * x).floor() / k, slope: |_, _| 0.0, decades: 0..=10, hidden: true },
];

const DECADES: [f64; 16] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

const POINTS: [f64; 6] = [0.7, 0.700_003, 1.7, -4.3, 3e-5, 2.5e6];

#[test]
fn families_of_scales() {
    let mut table = String::new();
    for Family { name, f, slope, decades, hidden } in FAMILIES {
        for factor in [1.0, 1.02, 0.0, -1.0, 1.0 + 1e-6] {
            let (mut counts, mut evaluations, mut reasons) = ([0; 3], 0, BTreeMap::<String, usize>::new());
            for k in decades.clone().map(|decade| DECADES[decade]) {
                for x in POINTS {
                    let exact = slope(x, k);
                    if !f(x, k).is_finite() || !exact.is_finite() {
                        continue;
                    }
                    let analytic = if exact == 0.0 { factor - 1.0 } else { factor * exact };
                    let outcome = GradCheck::new().check(|x: &[f64]| f(x[0], k), |_| vec![analytic], &[x]);
                    let report = report(&outcome);
                    let verdict = report.verdict();
                    let case = format!("{name} of scale {k:e} at {x}, times {factor}");
                    assert!(factor != 1.0 || hidden || verdict != Verdict::Disagrees, "{case}: {report}");
                    assert!(factor > 0.5 || hidden || verdict != Verdict::Agrees, "{case}: {report}");
                    counts[verdict as usize] += 1;
                    if let Some(reason) = report.entries[0].reason {
                        *reasons.entry(format!("{reason:?}")).or_default() += 1;
                    }
                    evaluations += report.evaluations;
                }
            }
            let _ = writeln!(table, "{name}, times {factor}: {counts:?} {reasons:?} {evaluations}");
        }
        // A bound holds where noise hides nothing; together they are as small as they are today.
        let (mut digits, mut evaluations) = (0.0, 0);
        for k in decades.map(|decade| DECADES[decade]) {
            for x in POINTS {
                let exact = slope(x, k);
                if f(x, k).is_finite() && exact.is_finite() && exact != 0.0 {
                    let found = finite_derivative(|x| f(x, k), x);
                    let error = found.error.unwrap();
                    let holds = (found.value - exact).abs() <= error + 4e-16 * exact.abs() * (1.0 + k * x.abs());
                    assert!(hidden || holds, "{name} of scale {k:e} at {x}: {found}, exactly {exact}");
                    digits += (error / exact.abs()).clamp(1e-16, 1.0).log10();
                    evaluations += found.evaluations;
                }
            }
        }
        let _ = writeln!(table, "{name}: {digits:.1} digits, {evaluations}");
    }
    assert_table(&table, include_str!("costs/regimes.txt"));
}

/// No order of Taylor's remainder comes from noise alone.
#[test]
fn noise_has_no_order() {
    for seed in 0..400 {
        let f = |x: &[f64]| 3.0 * x[0] + 1e-6 * hash(x[0].to_bits() ^ (seed << 52));
        let report = GradCheck::new().check(f, |_| vec![3.0], &[1.0 + seed as f64 / 400.0]).unwrap();
        assert_eq!(report.taylor_order, None, "{seed}: {report}");
        // The standard deviation is 1e-6/√3.
        assert!((1e-7..3e-6).contains(&report.noise), "{seed}: {report}");
    }
}
