//! Checks beside bounds, of coordinates of every size: no value outside of the bounds is asked for, no verdict contradicts the
//! closed forms, and the cost is that of a table, as in `costs.rs`.

use std::cell::Cell;
use std::fmt::Write;

use wengert::gradcheck::{Coordinates, Differences, GradCheck, Scheme, Verdict};

use super::costs::{assert_table, letter, report};
use super::{Outcome, hash, sequence};

/// The distances of a point of size 1 from its bounds, at three sizes.
const SIZES: [f64; 3] = [3e-6, 1.0, 7e5];
/// One of them is where a search of a coordinate between 1 and 2 begins to look at both sides.
const NEAR: [f64; 7] = [0.0, 1e-12, 1e-6, 1.0 / 32_768.0, 1e-3, 0.02, 0.3];

/// The bounds of a coordinate x of a size that is near one of them, or near both.
fn bounds(x: f64, size: f64, near: f64) -> [(f64, f64); 3] {
    [(x - near * size, x + 5.0 * size), (x - 5.0 * size, x + near * size), (x - near * size, x + 2.0 * near * size)]
}

/// A product of powers, whose gradient is a product too.
fn product(x: &[f64]) -> f64 {
    x[0] * x[0] * x[1]
}

fn product_gradient(x: &[f64]) -> Vec<f64> {
    vec![2.0 * x[0] * x[1], x[0] * x[0]]
}

#[test]
fn one_by_one_and_in_blocks() {
    let mut table = String::new();
    for size in SIZES {
        for near in NEAR {
            for way in 0..3 {
                let x = [1.25 * size, -0.75];
                let limits = [bounds(x[0], size, near)[way], bounds(x[1], 1.0, near)[way]];
                let outside = Cell::new(false);
                let f = |x: &[f64]| {
                    let is_inside = x.iter().zip(limits).all(|(x, (low, high))| low <= *x && *x <= high);
                    outside.set(outside.get() || !is_inside);
                    product(x)
                };
                let _ = write!(table, "{size:e}, {near:e}, {way}:");
                for coordinates in [Coordinates::All, Coordinates::Blocks] {
                    for (k, factors) in [[1.0, 1.0], [1.0, 1.01], [1.0 + 1e-5, 1.0], [-1.0, 1.0]].iter().enumerate() {
                        let gradient = |x: &[f64]| {
                            let g = product_gradient(x);
                            vec![g[0] * factors[0], g[1] * factors[1]]
                        };
                        let check = GradCheck::new().bounds(&limits).coordinates(coordinates.clone());
                        let outcome: Outcome = check.check(f, gradient, &x);
                        let report = report(&outcome);
                        // Between two bounds that are equal to rounding nothing can be measured.
                        let wrong = if k == 0 { Verdict::Disagrees } else { Verdict::Agrees };
                        assert!(report.verdict() != wrong || near < 1e-5, "{size:e}, {near:e}, {way}, {k}: {report}");
                        let largest = report.entries.iter().map(|e| e.error).fold(0.0, f64::max);
                        let _ = write!(table, " {}{}", letter(report.verdict()), report.evaluations);
                        if k == 0 {
                            let _ = write!(table, " ({largest:.0e})");
                        }
                    }
                }
                assert!(!outside.get(), "{size:e}, {near:e}, {way}: a value outside of the bounds");
                table += "\n";
            }
        }
    }
    assert_table(&table, include_str!("costs/bounds.txt"));
}

/// Ties of two and three coordinates beside bounds and without, at every size: each slope between those of both sides is right.
#[test]
fn ties() {
    let mut table = String::new();
    for size in SIZES {
        // With another kink at a tenth of the size, which says nothing about this one.
        let largest =
            |x: &[f64]| x.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 9.0 * (x[0] - 1.1 * size).max(0.0);
        for near in [0.0, 1e-3, 1.0] {
            for (shares, right) in [
                ([0.5, 0.5, 0.0], true),
                ([0.2, 0.8, 0.0], true),
                ([1.0, 0.0, 0.0], true),
                ([0.6, 0.6, 0.0], false),
                ([0.3, 0.3, 0.0], false),
                ([1.2, -0.2, 0.0], false),
                ([0.5, 0.5, 0.1], false),
            ] {
                let x = [size, size, 0.5 * size];
                let mut check = GradCheck::new();
                if near < 1.0 {
                    check = check.bounds(&x.map(|x| (x - size, x + near * size)));
                }
                let outcome: Outcome = check.check(largest, |_| shares.to_vec(), &x);
                let report = report(&outcome);
                // At a bound one side is all there is.
                assert!(
                    report.verdict() != Verdict::Disagrees || !right || near == 0.0,
                    "{size:e}, {near:e}, {shares:?}: {report}"
                );
                // Without bounds a wrong share shows.
                assert!(
                    report.verdict() == Verdict::Disagrees || right || near < 1.0,
                    "{size:e}, {shares:?}: {report}"
                );
                let _ = write!(table, " {}{}", letter(report.verdict()), report.evaluations);
            }
            let _ = writeln!(table, " at {size:e}, {near:e}");
        }
    }
    assert_table(&table, include_str!("costs/ties.txt"));
}

/// Many coordinates of different sizes, some of them at their bounds: a wrong entry is found wherever it is.
#[test]
fn many_coordinates() {
    let n = 40;
    let sizes: Vec<f64> = (0..n).map(|i| [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3][i % 7]).collect();
    let at = sequence(n, 3);
    let x: Vec<f64> = at.iter().zip(&sizes).map(|(x, size)| (x + 2.0) * size).collect();
    let f = |x: &[f64]| x.iter().zip(&sizes).map(|(x, size)| (x / size) * (x / size)).sum::<f64>();
    let gradient = |x: &[f64]| x.iter().zip(&sizes).map(|(x, size)| 2.0 * x / (size * size)).collect::<Vec<f64>>();
    let mut table = String::new();
    for near in [None, Some(0.0), Some(5e-3), Some(0.1)] {
        let limits: Vec<(f64, f64)> = x
            .iter()
            .zip(&sizes)
            .enumerate()
            .map(|(i, (x, size))| {
                let near = near.unwrap_or(1.0);
                match i % 3 {
                    0 => (x - near * size, x + size),
                    1 => (x - size, x + near * size),
                    _ => (x - size, x + size),
                }
            })
            .collect();
        let mut check = GradCheck::new().coordinates(Coordinates::Blocks).max_mismatches(3);
        if near.is_some() {
            check = check.bounds(&limits);
        }
        let outcome: Outcome = check.check(f, gradient, &x);
        let right = report(&outcome);
        assert_eq!(right.verdict(), Verdict::Agrees, "{near:?}: {right}");
        let order = right.taylor_order.map_or("none".to_owned(), |order| format!("{order:.2}"));
        let _ =
            write!(table, "{near:?}: {} rows, {} evaluations, order {order};", right.entries.len(), right.evaluations);
        for wrong in (0..n).step_by(3) {
            let gradient = |x: &[f64]| {
                let mut g = gradient(x);
                g[wrong] *= 1.01;
                g
            };
            let outcome: Outcome = check.check(f, gradient, &x);
            let report = report(&outcome);
            let found: Vec<_> = report.disagreements().filter_map(|e| e.coordinate).collect();
            assert_eq!(found, [wrong], "{near:?}: {report}");
            let _ = write!(table, " {}", report.evaluations);
        }
        table += "\n";
    }
    assert_table(&table, include_str!("costs/sizes.txt"));
}

/// Differences beside bounds, along lines through several coordinates, with a first step that is given.
#[test]
fn differences() {
    let mut table = String::new();
    let x = [1.5, -2e3, 4e-4];
    // The longest step, relative to the coordinates.
    let longest = Cell::new(0.0_f64);
    let f = |y: &[f64]| {
        let steps = x.iter().zip(y).map(|(x, y)| ((y - x) / x).abs());
        longest.set(steps.fold(longest.get(), f64::max));
        y[0] * y[0] * (y[1] / 1e3) + (y[2] * 1e4) * (y[2] * 1e4) * y[0]
    };
    let slopes = [2.0 * x[0] * x[1] / 1e3 + (x[2] * 1e4) * (x[2] * 1e4), x[0] * x[0] / 1e3, 2e8 * x[2] * x[0]];
    for near in [0.0, 1e-7, 1e-2, 1.0] {
        let limits: Vec<(f64, f64)> = x.iter().map(|x: &f64| (x - near * x.abs(), x + 2.0 * x.abs())).collect();
        for direction in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [0.5, 100.0, 1e-4], [-0.5, 300.0, -1e-4]]
        {
            let exact: f64 = direction.iter().zip(slopes).map(|(d, s)| d * s).sum();
            let _ = write!(table, "{near:e}, {direction:?}:");
            for step in [None, Some(1e-3), Some(1e-9)] {
                let mut differences = Differences::new(Scheme::Adaptive).bounds(&limits);
                if let Some(step) = step {
                    differences = differences.step(step);
                }
                let found = differences.directional(f, &x, &direction);
                let error = found.error.unwrap();
                // At corners between the bounds a line has no room.
                let has_room = near > 0.0 || !(direction[0] < 0.0 && direction[1] > 0.0);
                assert!(found.value.is_nan() != has_room, "{near:e}, {direction:?}: {found}");
                assert!(
                    !((found.value - exact).abs() > error + 1e-15 * exact.abs()),
                    "{near:e}, {direction:?}: {found}, exactly {exact}"
                );
                let _ = write!(table, " {:.0e} {} {:.0e}", error / exact.abs(), found.evaluations, longest.take());
            }
            table += "\n";
        }
    }
    assert_table(&table, include_str!("costs/lines.txt"));
}

/// A single coordinate of any size, in a block and along a direction; outputs of which some are rounded to f32.
#[test]
fn lone_coordinates_and_mixed_outputs() {
    let mut table = String::new();
    for size in SIZES {
        let x = [1.25 * size];
        let f = |x: &[f64]| x[0] * x[0] * x[0];
        for (k, factor) in [1.0, 1.01, 1.0 + 1e-7].into_iter().enumerate() {
            let slope = |x: &[f64]| 3.0 * x[0] * x[0] * factor;
            let blocks = GradCheck::new().coordinates(Coordinates::Blocks).check(f, |x| vec![slope(x)], &x);
            let jvp = GradCheck::new().check_jvp(|x| vec![f(x)], |x, v| vec![slope(x) * v[0]], &x);
            for outcome in [blocks, jvp] {
                let report = report(&outcome);
                assert_eq!(report.verdict() == Verdict::Disagrees, k > 0, "{size:e}: {report}");
                let error = report.entries.iter().map(|e| e.error).fold(0.0, f64::max);
                let _ = write!(table, " {} ({error:.0e})", report.evaluations);
            }
        }
        let _ = writeln!(table, " at {size:e}");
    }
    // The first output in f64, the second, which is much smaller, in f32.
    for share in [1.0, 1e-3, 1e-6, 1e-9] {
        let f = |x: &[f64]| vec![1e3 + x[0] * x[1], f64::from((share * x[0] * x[0]) as f32)];
        let x = [0.7, 1.3];
        let pull = |x: &[f64], v: &[f64]| vec![v[0] * x[1] + v[1] * 2.0 * share * x[0], v[0] * x[0]];
        let outcome: Outcome = GradCheck::new().check_vjp(f, pull, &x);
        let report = report(&outcome);
        assert_ne!(report.verdict(), Verdict::Disagrees, "{share:e}: {report}");
        let errors: Vec<_> = report.entries.iter().map(|e| format!("{:.0e}", e.error)).collect();
        let _ =
            writeln!(table, "share {share:e}: {}{} {}", letter(report.verdict()), report.evaluations, errors.join(" "));
    }
    assert_table(&table, include_str!("costs/lone.txt"));
}

/// The remainder of Taylor's formula falls with the square of the step, and the last steps show it.
#[test]
fn orders_of_remainders() {
    let runge = |x: &[f64]| 1.0 / (1.0 + 25.0 * x[0] * x[0]) + x[1] * x[1] * x[1];
    for x in [[0.3, 1.0], [1.7, -40.0], [-0.02, 3e-3_f64]] {
        let height = 1.0 / (1.0 + 25.0 * x[0] * x[0]);
        let slope = -50.0 * x[0] * height * height;
        let report = GradCheck::new().check(runge, |_| vec![slope, 3.0 * x[1] * x[1]], &x).unwrap();
        let order = report.taylor_order.expect("an order");
        assert!((order - 2.0).abs() < 0.01, "{x:?}: {order}");
    }
    let outcome: Outcome = GradCheck::new().check(runge, |_| vec![-3.0, 3.0], &[0.3, 1.0]);
    let order = report(&outcome).taylor_order.expect("an order");
    assert!((order - 1.0).abs() < 0.01, "a wrong gradient: {order}");
}

/// Noise that hides every entry of a block: up to 256 of them are checked one by one, more only together.
#[test]
fn entries_that_noise_hides() {
    for (n, alone) in [(256, 256), (257, 0)] {
        let f = |x: &[f64]| {
            let noise = hash(x.iter().fold(0, |h, x| h.rotate_left(7) ^ x.to_bits()));
            1e-8 * x.iter().sum::<f64>() + 1e-6 * noise
        };
        let check = GradCheck::new().coordinates(Coordinates::Blocks);
        let outcome: Outcome = check.check(f, |x| vec![1e-8; x.len()], &sequence(n, 1));
        let report = report(&outcome);
        assert_ne!(report.verdict(), Verdict::Disagrees, "{report}");
        assert_eq!(report.entries.iter().filter(|e| e.coordinate.is_some()).count(), alone, "{report}");
    }
}

/// Two wrong entries in the two halves of a block: each alone is near what the noise hides, both together show.
#[test]
fn errors_that_show_together() {
    let f = |x: &[f64]| {
        let noise = hash(x.iter().fold(0, |h, x| h.rotate_left(7) ^ x.to_bits()));
        x.iter().map(|x| x + 0.1 * x * x).sum::<f64>() + 1e-7 * noise
    };
    let mut table = String::new();
    for n in [6, 16] {
        let mut error = 8e-7_f64;
        for _ in 0..24 {
            error *= 1.25;
            let gradient = |x: &[f64]| {
                let mut g: Vec<f64> = x.iter().map(|x| 1.0 + 0.2 * x).collect();
                g[1] += error;
                g[n - 2] += error;
                g
            };
            let check = GradCheck::new().coordinates(Coordinates::Blocks);
            let outcome: Outcome = check.check(f, gradient, &sequence(n, 9));
            let report = report(&outcome);
            let wrong: Vec<String> = report.disagreements().map(|e| format!("{} {:?}", e.place, e.reason)).collect();
            for entry in report.disagreements().filter_map(|e| e.coordinate) {
                assert!(entry == 1 || entry == n - 2, "{report}");
            }
            let _ = writeln!(
                table,
                "{n}, {error:.1e}: {}{} {}",
                letter(report.verdict()),
                report.evaluations,
                wrong.join(" ")
            );
        }
    }
    assert_table(&table, include_str!("costs/together.txt"));
}
