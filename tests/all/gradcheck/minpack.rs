//! The gradient checker on MINPACK's fourteen Jacobians, right and wrong.

use wengert::gradcheck::{GradCheck, Place, Verdict};

use crate::support::mgh::problems;

#[test]
fn fourteen_right_jacobians_agree() {
    let problems = problems();
    assert_eq!(problems.len(), 14);
    for problem in &problems {
        for (seed, x) in (0..5).flat_map(|seed| problem.points().map(|x| (seed, x))) {
            let check = GradCheck::new().seed(seed);
            let report = check.check_jacobian(problem.function, problem.jacobian, &x);
            let report = report.unwrap_or_else(|e| panic!("{}: {e}", problem.name));
            assert_eq!(report.verdict(), Verdict::Agrees, "{}: {report}", problem.name);
        }
    }
}

/// Every entry of every Jacobian in turn: a nonzero one doubled, a zero one set to a thousandth of the largest.
#[test]
fn every_single_wrong_entry_is_named() {
    for problem in problems() {
        let x = &problem.points()[1];
        let n = x.len();
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let wrong = |x: &[f64]| {
                let mut jacobian = (problem.jacobian)(x);
                let largest = jacobian.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
                let entry = &mut jacobian[[i, j]];
                *entry = if entry.abs() < 1e-9 * largest { 1e-3 * largest } else { 2.0 * *entry };
                jacobian
            };
            let error = GradCheck::new().check_jacobian(problem.function, wrong, x);
            let error = error.err().unwrap_or_else(|| panic!("{}: [{i}, {j}] not found", problem.name));
            let found: Vec<_> = error.report().unwrap().disagreements().map(|e| e.place.clone()).collect();
            assert_eq!(found, [Place::Entry(vec![i, j])], "{}: {error}", problem.name);
        }
    }
}

#[test]
fn small_and_systematic_errors_are_found() {
    for problem in problems() {
        for x in problem.points() {
            let check = GradCheck::new();
            let transposed = |x: &[f64]| (problem.jacobian)(x).t().to_owned();
            let symmetric = (problem.jacobian)(&x) == transposed(&x);
            assert!(symmetric || check.check_jacobian(problem.function, transposed, &x).is_err(), "{}", problem.name);
            let off = |x: &[f64]| (problem.jacobian)(x) * (1.0 + 1e-6);
            assert!(check.check_jacobian(problem.function, off, &x).is_err(), "{}", problem.name);
        }
    }
}
