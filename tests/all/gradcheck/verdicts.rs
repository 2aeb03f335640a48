//! Verdicts at the edges of what a check looks at: numbers of coordinates, entries that are not finite, parts of blocks that
//! noise hides, constants of few digits, schemes beside bounds.

use wengert::gradcheck::{
    Coordinates, Differences, GradCheck, Place, Reason, Scheme, Verdict, check, check_gradient, check_jacobian,
};

use super::costs::{bounded, report};
use super::{Outcome, hash, sequence};

/// Up to 256 coordinates are checked one by one.
#[test]
fn one_by_one_or_in_blocks() {
    for (n, rows) in [(255, 255), (256, 256), (257, 2), (300, 2)] {
        let found =
            check(|x: &[f64]| x.iter().map(|x| x * x).sum(), |x| x.iter().map(|x| 2.0 * x).collect(), &vec![1.5; n]);
        let found = found.unwrap();
        assert_eq!((found.entries.len(), found.verdict()), (rows, Verdict::Agrees), "{n}");
    }
}

/// An entry that is no finite number is wrong wherever the function has a slope, alone and in a block.
#[test]
fn entries_that_are_not_finite() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for coordinates in [Coordinates::All, Coordinates::Blocks] {
            let check = GradCheck::new().coordinates(coordinates);
            let outcome: Outcome = check.check(|x: &[f64]| x[0] * x[1], |x| vec![x[1], bad], &[2.0, 3.0]);
            let report = report(&outcome);
            let wrong: Vec<_> = report.disagreements().map(|e| (e.coordinate, e.reason)).collect();
            assert_eq!(wrong, [(Some(1), Some(Reason::NonFinite))], "{report}");
        }
    }
    // Quotients that do not converge, inside of the domain and at its edge.
    let steep = |x: f64| x.signum() * x.abs().sqrt();
    for (bad, at, reason) in [
        (f64::INFINITY, 0.0, Reason::EdgeOfDomain),
        (f64::NAN, 0.0, Reason::NonFinite),
        (1.0, 0.0, Reason::EdgeOfDomain),
    ] {
        let outcome: Outcome = check(|x: &[f64]| x[0].sqrt(), |_| vec![bad], &[at]);
        assert_eq!(report(&outcome).entries[0].reason, Some(reason), "{bad}");
    }
    let outcome: Outcome = check(|x: &[f64]| steep(x[0]), |_| vec![f64::INFINITY], &[0.0]);
    let entry = &report(&outcome).entries[0];
    assert_eq!((entry.verdict, entry.reason), (Verdict::Disagrees, Some(Reason::NonFinite)));
    let outcome: Outcome = check(|x: &[f64]| steep(x[0]), |_| vec![1.0], &[0.0]);
    assert_eq!(report(&outcome).verdict(), Verdict::Inconclusive);
}

/// In a block of ten large and four small entries the noise hides the small ones alone.
#[test]
fn a_block_that_noise_hides_in_part() {
    let size = |i: usize| if i % 4 == 1 { 2e-3 } else { 1.0 };
    let n = 14;
    let f = |x: &[f64]| {
        let noise = hash(x.iter().fold(0, |h, x| h.rotate_left(7) ^ x.to_bits()));
        x.iter().enumerate().map(|(i, x)| size(i) * bounded(2.0 * x)).sum::<f64>() + 1e-5 * noise
    };
    let gradient = |x: &[f64]| {
        let slope = |x: f64| 2.0 / (1.0 + 4.0 * x * x) / (1.0 + 4.0 * x * x).sqrt();
        x.iter().enumerate().map(|(i, x)| size(i) * slope(*x)).collect()
    };
    let outcome: Outcome = GradCheck::new().coordinates(Coordinates::Blocks).check(f, gradient, &vec![0.3; n]);
    let report = report(&outcome);
    assert_ne!(report.verdict(), Verdict::Disagrees, "{report}");
    // A large entry with a small component may be hidden too.
    let seen = report.entries.iter().filter(|e| matches!(e.place, Place::Direction(9..=10))).count();
    assert_eq!(seen, 1, "{report}");
}

/// Entries of the size of the rounding of others are linear in the cotangent as far as can be seen.
#[test]
fn small_entries_beside_large_ones() {
    let found = check_gradient(|x| 1e10 * x[0] - (1e10 + 9.5e-7) * x[0] + 1e10 * x[1] * x[1], &[1.0, 0.7]);
    let outcome: Outcome = found;
    assert!(report(&outcome).entries.iter().all(|e| e.reason != Some(Reason::Cotangent)), "{}", report(&outcome));
}

/// A constant that f32 has too is no sign of a function that computes in f32.
#[test]
fn constants_of_few_digits() {
    for constant in [f64::from(0.1_f32), 0.1, f64::from(0.7_f32)] {
        let outcome: Outcome = check(|_: &[f64]| constant, |_| vec![0.0], &[1.5]);
        let entry = &report(&outcome).entries[0];
        assert!(entry.verdict == Verdict::Agrees && entry.error < 1e-15, "{constant}: {}", report(&outcome));
    }
}

/// The error of each scheme for x³ in closed form, with all the room it needs, with just enough, and with too little.
#[test]
fn schemes_beside_bounds() {
    let (x, h) = (3.0, 0.25);
    let cubic = |x: f64| x * x * x;
    let one_sided = |h: f64| 3.0 * x * x - 2.0 * h * h;
    for (scheme, open, needs) in [
        (Scheme::Forward, 3.0 * x * x + 3.0 * x * h + h * h, [0.0, h]),
        (Scheme::Backward, 3.0 * x * x - 3.0 * x * h + h * h, [h, 0.0]),
        (Scheme::Central, 3.0 * x * x + h * h, [h, h]),
        (Scheme::FivePoint, 3.0 * x * x, [2.0 * h, 2.0 * h]),
    ] {
        let at = |back: f64, forth: f64| {
            Differences::new(scheme).step(h).bounds(&[(x - back, x + forth)]).derivative(cubic, x).value
        };
        assert_eq!(at(8.0, 8.0), open, "{scheme:?}");
        assert_eq!(at(needs[0], needs[1]), open, "{scheme:?}");
        let less = 0.125;
        let (back, forth, turned) = match scheme {
            Scheme::Forward => (8.0, needs[1] - less, 3.0 * x * x - 3.0 * x * h + h * h),
            Scheme::Backward => (needs[0] - less, 8.0, 3.0 * x * x + 3.0 * x * h + h * h),
            _ => (needs[0] - less, 8.0, one_sided(h)),
        };
        assert_eq!(at(back, forth), turned, "{scheme:?}");
        if matches!(scheme, Scheme::Central | Scheme::FivePoint) {
            assert_eq!(at(8.0, needs[1] - less), one_sided(h), "{scheme:?}");
            // The step that fits in twice.
            assert_eq!(at(0.0625, 0.125), one_sided(0.0625), "{scheme:?}");
        }
    }
}

/// Entries of a Jacobian are named by row and column, also in inputs of several shapes.
#[test]
fn places_in_a_jacobian() {
    let f = |x: &[f64]| vec![x[0] * x[1], x[2]];
    let wrong = |x: &[f64]| ndarray::array![[x[1], x[0], 0.5], [0.0, 0.0, 1.0]];
    let outcome: Outcome = check_jacobian(f, wrong, &[1.0, 2.0, 3.0]);
    let places: Vec<_> = report(&outcome).disagreements().map(|e| (e.input.clone(), e.place.clone())).collect();
    assert_eq!(places, [("x".to_owned(), Place::Entry(vec![0, 2]))]);
    let named = GradCheck::new().inputs([("a", vec![2]), ("b", vec![1, 1])]);
    let outcome: Outcome = named.check_jacobian(f, wrong, &[1.0, 2.0, 3.0]);
    let places: Vec<_> = report(&outcome).disagreements().map(|e| (e.input.clone(), e.place.clone())).collect();
    assert_eq!(places, [("b".to_owned(), Place::Entry(vec![0, 0, 0]))]);
}

/// Long reports say how many rows they leave out.
#[test]
fn rows_that_are_left_out() {
    let found = check(|x: &[f64]| x.iter().sum(), |x| vec![1.0; x.len()], &sequence(75, 2)).unwrap();
    assert!(found.to_string().ends_with("  and 55 more rows ({:#} shows them)\n"), "{found}");
}
