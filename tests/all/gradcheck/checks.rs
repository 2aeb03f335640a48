//! Coverage, bounds, bad input, noise and reports of the checker.

use std::cell::Cell;

use ndarray::Array2;
use wengert::gradcheck::{
    Coordinates, GradCheck, GradientMismatch, Place, Reason, Verdict, check, check_jacobian, check_vjp,
};

use super::{Outcome, hash, sequence};
use crate::support::panics::panic_of;

#[test]
fn one_wrong_entry_of_many_is_found() {
    let n = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    let x = sequence(n, 11);
    let evaluations = Cell::new(0);
    let f = |x: &[f64]| {
        evaluations.set(evaluations.get() + 1);
        x.iter().map(|x| x.sin()).sum()
    };
    let cosines = |x: &[f64]| -> Vec<f64> { x.iter().map(|x| x.cos()).collect() };
    let report = check(f, cosines, &x).unwrap();
    assert_eq!(report.verdict(), Verdict::Agrees);
    assert_eq!(report.evaluations, evaluations.get());
    assert_eq!(report.covered, n);
    assert!(report.evaluations < n / 100, "{}", report.evaluations);
    for (wrong, change) in [(0, 0.0), (7 * n / 9, 0.0), (n - 1, -1.0), (n / 2, 1.01)] {
        let gradient = |x: &[f64]| {
            let mut g = cosines(x);
            g[wrong] *= change;
            g
        };
        let error = check(f, gradient, &x).unwrap_err();
        let found: Vec<_> = error.report().unwrap().disagreements().map(|e| e.coordinate).collect();
        assert_eq!(found, [Some(wrong)], "{error}");
    }
}

#[test]
fn many_wrong_entries_end_the_search_in_time() {
    let x = sequence(20_000, 12);
    let f = |x: &[f64]| x.iter().map(|x| x.exp()).sum();
    let doubled = |x: &[f64]| x.iter().map(|x| 2.0 * x.exp()).collect();
    let error = GradCheck::new().max_mismatches(5).check(f, doubled, &x).unwrap_err();
    let report = error.report().unwrap();
    assert_eq!(report.disagreements().filter(|e| e.coordinate.is_some()).count(), 5);
    assert!(report.disagreements().any(|e| e.reason == Some(Reason::NotSearched)));
    assert!(report.evaluations < 3000, "{}", report.evaluations);
}

#[test]
fn a_wrong_jacobian_entry_is_named_by_row_and_column() {
    let f = |x: &[f64]| vec![x[0] * x[1], x[1].sin() * x[2], x[2].exp()];
    let jacobian = |x: &[f64]| {
        let mut j = Array2::zeros((3, 3));
        j[[0, 0]] = x[1];
        j[[0, 1]] = x[0];
        j[[1, 1]] = x[1].cos() * x[2];
        j[[1, 2]] = x[1].sin();
        j[[2, 2]] = x[2].exp();
        j
    };
    let x = [0.3, -1.1, 2.0];
    let report = check_jacobian(f, jacobian, &x).unwrap();
    assert_eq!((report.entries.len(), report.verdict()), (9, Verdict::Agrees));
    let wrong = |x: &[f64]| {
        let mut j = jacobian(x);
        j[[1, 0]] = 1e-3;
        j
    };
    for check in [GradCheck::new(), GradCheck::new().coordinates(Coordinates::Blocks)] {
        let error = check.check_jacobian(f, wrong, &x).unwrap_err();
        let places: Vec<_> = error.report().unwrap().disagreements().map(|e| e.place.clone()).collect();
        assert_eq!(places, [Place::Entry(vec![1, 0])]);
    }
}

#[test]
fn bounds_are_never_crossed() {
    let bounds = [(0.0, 1.0), (-2.0, -1.0), (1e-9, 1e-3), (5.0, 5.0 + 1e-4)];
    let inside = Cell::new(true);
    let f = |x: &[f64]| {
        inside.set(inside.get() && x.iter().zip(&bounds).all(|(x, (low, high))| low <= x && x <= high));
        (x[0] + x[1].exp()) * x[2].ln() + x[3] * x[0]
    };
    let g = |x: &[f64]| {
        let l = x[2].ln();
        vec![l + x[3], x[1].exp() * l, (x[0] + x[1].exp()) / x[2], x[0]]
    };
    for x in
        [[0.5, -1.5, 1e-5, 5.0 + 3e-5], [0.0, -2.0, 1e-9, 5.0], [1.0, -1.0, 1e-3, 5.0 + 1e-4], [1e-12, -1.0, 1e-9, 5.0]]
    {
        for coordinates in [Coordinates::All, Coordinates::Blocks] {
            let check = GradCheck::new().bounds(&bounds).coordinates(coordinates);
            let report = check.check(f, g, &x).unwrap_or_else(|e| panic!("{x:?}\n{e}"));
            assert_eq!(report.verdict(), Verdict::Agrees, "{x:?}\n{report}");
            let wrong = |x: &[f64]| g(x).into_iter().map(|g| 1.01 * g).collect();
            assert!(check.check(f, wrong, &x).is_err(), "{x:?}");
        }
    }
    assert!(inside.get());
}

#[test]
fn bad_input_is_an_error_that_says_so() {
    let sum = |x: &[f64]| x.iter().sum::<f64>();
    let ones = |x: &[f64]| vec![1.0; x.len()];
    let message = |outcome: Outcome| outcome.unwrap_err().to_string();
    assert!(message(check(sum, ones, &[])).contains("no coordinates"));
    assert!(message(check(sum, |_| vec![1.0], &[1.0, 2.0])).contains("size [1], expected [2]"));
    assert!(message(check(|x| x[0].ln(), ones, &[-1.0])).contains("NaN at the point itself"));
    assert!(message(check(sum, ones, &[f64::INFINITY])).contains("coordinate 0 is not finite"));
    assert!(message(check(|_: &[f64]| panic!("no such table"), ones, &[1.0])).contains("no such table"));
    assert!(message(check(sum, |_| panic!("no gradient"), &[1.0])).contains("no gradient"));
    let bounded = |bounds: &[(f64, f64)]| GradCheck::new().bounds(bounds).check(sum, ones, &[1.0]);
    assert!(message(bounded(&[(2.0, 3.0)])).contains("outside its bounds [2, 3]"));
    assert!(message(bounded(&[(0.0, 3.0); 2])).contains("the list of bounds has size [2]"));
    assert!(matches!(
        check_jacobian(|x| vec![x[0], x[1]], |_| Array2::zeros((2, 3)), &[1.0, 2.0]),
        Err(GradientMismatch::Length { what: "the Jacobian", .. })
    ));
    assert!(matches!(
        check_vjp(|x| vec![x[0], x[1]], |_, v| vec![v[0]], &[1.0, 2.0]),
        Err(GradientMismatch::Length { what: "the pullback", .. })
    ));
}

#[test]
fn a_function_undefined_or_panicking_at_a_step_is_checked_closer() {
    let x = [1.0 + 1e-5];
    let report = check(
        |x: &[f64]| {
            assert!(x[0] > 1.0, "outside the table");
            x[0].sin()
        },
        |x| vec![x[0].cos()],
        &x,
    )
    .unwrap();
    assert_eq!(report.verdict(), Verdict::Agrees);
    assert!(report.panics > 0);
    // A function that is defined at the point only.
    let report = check(|x: &[f64]| if x[0] == 2.0 { 1.0 } else { f64::NAN }, |_| vec![0.0], &[2.0]).unwrap();
    assert_eq!(report.verdict(), Verdict::Inconclusive);
    assert_eq!(report.worst().unwrap().reason, Some(Reason::NonFinite));
    // An infinite derivative at the edge of the domain.
    let report = check(|x: &[f64]| x[0].sqrt(), |_| vec![f64::INFINITY], &[0.0]).unwrap();
    assert_eq!(report.worst().unwrap().reason, Some(Reason::EdgeOfDomain));
}

#[test]
fn randomness_and_state_are_detected() {
    let calls = Cell::new(0_u64);
    let count = || calls.replace(calls.get() + 1);
    let random = |x: &[f64]| x[0] * (1.0 + 0.1 * hash(count()));
    let report = check(random, |_| vec![1.0], &[2.0]).unwrap();
    assert!(!report.value_is_deterministic);
    assert_eq!(report.worst().unwrap().reason, Some(Reason::NotDeterministic));
    assert!(report.to_string().contains("not deterministic"));

    let drifting = |x: &[f64]| x[0] * x[0] + 1e-3 * count() as f64;
    let report = check(drifting, |x| vec![2.0 * x[0]], &[2.0]).unwrap();
    assert!(!report.value_is_deterministic);

    // A little randomness counts as noise; a gradient that is far off is found all the same.
    let noisy = |x: &[f64]| x[0].sin() + 1e-10 * hash(count());
    assert!(check(noisy, |x| vec![x[0].cos()], &[2.0]).is_ok());
    assert!(check(noisy, |x| vec![-x[0].cos()], &[2.0]).is_err());

    let error = check(|x: &[f64]| x[0].sin(), |x| vec![x[0].cos() * (1.0 + 0.1 * hash(count()))], &[2.0]).unwrap_err();
    assert!(!error.report().unwrap().gradient_is_deterministic);
}

#[test]
fn the_report_is_a_table_worst_first() {
    let f = |x: &[f64]| x[0].sin() + x[1] * x[2] + x[3].abs();
    let g = |x: &[f64]| vec![x[0].cos(), x[2], 1.5 * x[1], 0.3];
    let check = GradCheck::new().inputs([("a", vec![1]), ("w", vec![1, 3])]);
    let error = check.check(f, g, &[1.0, 2.0, 3.0, 0.0]).unwrap_err();
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("the gradient is wrong: 1 disagree, 0 inconclusive: 4 entries"), "{text}");
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        ["input", "index", "analytic", "numeric", "±", "error", "rel.", "error", "step", "verdict"]
    );
    assert!(lines[3].contains('w') && lines[3].contains("[0, 1]") && lines[3].contains("DISAGREES"), "{text}");
    assert!(text.contains("agrees: kink [-1.000000, 1.000000]"), "{text}");
    let worst = error.report().unwrap().worst().unwrap();
    assert_eq!((worst.analytic, worst.coordinate), (3.0, Some(2)));
    assert!((worst.numeric - 2.0).abs() <= worst.error);
}

#[test]
fn the_taylor_remainder_tells_right_from_wrong() {
    let f = |x: &[f64]| (x[0] * x[1]).exp() + x[1].sin();
    let g = |x: &[f64]| vec![x[1] * (x[0] * x[1]).exp(), x[0] * (x[0] * x[1]).exp() + x[1].cos()];
    let order = check(f, g, &[0.3, 0.8]).unwrap().taylor_order.unwrap();
    assert!((order - 2.0).abs() < 0.1, "{order}");
    let wrong = |x: &[f64]| vec![2.0 * g(x)[0], g(x)[1]];
    let order = check(f, wrong, &[0.3, 0.8]).unwrap_err().report().unwrap().taylor_order.unwrap();
    assert!((order - 1.0).abs() < 0.1, "{order}");
}

#[test]
fn works_in_f32() {
    let x = [0.7_f32, 1e4, 1e-5, 0.0];
    let f = |x: &[f32]| x[0].sin() * x[1] + x[2].ln() + x[3] * x[0];
    let g = |x: &[f32]| vec![x[0].cos() * x[1] + x[3], x[0].sin(), 1.0 / x[2], x[0]];
    let report = check(f, g, &x).unwrap();
    assert!(report.entries.iter().all(|e| e.reason.is_none_or(|r| r == Reason::Noise)), "{report}");
    let wrong = |x: &[f32]| g(x).into_iter().map(|g| 1.05 * g).collect();
    assert!(check(f, wrong, &x).unwrap_err().report().unwrap().disagreements().count() >= 2);
}

#[test]
fn progress_is_reported_on_request() {
    let seen = std::rc::Rc::new(Cell::new((0, 0)));
    let probe = seen.clone();
    GradCheck::new()
        .on_progress(move |p| probe.set((p.done, p.total)))
        .check(|x: &[f64]| x.iter().map(|x| x * x).sum(), |x| x.iter().map(|x| 2.0 * x).collect(), &[1.0; 10])
        .unwrap();
    assert_eq!(seen.get(), (10, 10));
}

#[test]
fn assert_gradient_panics_with_the_table_at_the_callers_line() {
    wengert::assert_gradient!(|x: &[f64]| x[0].powi(3), |x| vec![3.0 * x[0] * x[0]], &[2.0]);
    let line = line!() + 2;
    let panic = panic_of(|| {
        wengert::assert_gradient!(|x: &[f64]| x[0].powi(3), |x| vec![2.0 * x[0] * x[0]], &[2.0]);
    });
    assert!(["DISAGREES", "the gradient is wrong"].iter().all(|part| panic.message.contains(part)), "{panic}");
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
}
