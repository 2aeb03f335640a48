//! Reports word by word, of entries made for the purpose.

use std::cell::RefCell;
use std::rc::Rc;

use wengert::gradcheck::{Coordinates, Entry, GradCheck, GradientMismatch, Place, Reason, Report, Verdict, check};

/// An entry that agrees, at a place of an input.
fn entry(analytic: f64, numeric: f64, place: &[usize]) -> Entry {
    let report = check(|x: &[f64]| x[0], |_| vec![1.0], &[1.0]).unwrap();
    let mut entry = report.entries[0].clone();
    (entry.analytic, entry.numeric, entry.error, entry.step) = (analytic, numeric, 1e-6, 0.25);
    (entry.place, entry.coordinate) = (Place::Entry(place.to_vec()), place.last().copied());
    entry
}

fn wrong(analytic: f64, numeric: f64, place: &[usize]) -> Entry {
    let mut entry = entry(analytic, numeric, place);
    entry.verdict = Verdict::Disagrees;
    entry
}

/// A report of entries, of 10 evaluations without noise.
fn report(entries: Vec<Entry>) -> Report {
    let mut report = check(|x: &[f64]| x[0], |_| vec![1.0], &[1.0]).unwrap();
    (report.covered, report.entries) = (entries.len(), entries);
    (report.evaluations, report.noise, report.taylor_order, report.seed) = (10, 0.0, None, 0);
    report
}

#[test]
fn rows() {
    let mut kink = entry(0.5, 0.25, &[2]);
    (kink.one_sided, kink.reason, kink.step) = (Some([1.0, -0.5]), Some(Reason::Kink), f64::NAN);
    let mut open = entry(-1e9, 2e10, &[3]);
    (open.verdict, open.reason, open.input) = (Verdict::Inconclusive, Some(Reason::Noise), "weights".to_owned());
    let mut direction = wrong(f64::NAN, f64::INFINITY, &[4]);
    direction.place = Place::Direction(7);
    let entries = vec![
        direction,
        open,
        kink,
        entry(123_456.789, -1e-4, &[]),
        entry(0.0, 9.5e-5, &[0, 12]),
        entry(9.9e8, 2.0, &[1]),
    ];
    let text = "\
the gradient is wrong: 1 disagree, 1 inconclusive: 6 entries (6 rows, 1 of them random directions); 10 evaluations, noise 0e0
  input    index                    analytic           numeric  ± error  rel. error  step  verdict
  --------------------------------------------------------------------------------------------------------------------
  x        direction over 7              NaN               inf     1e-6         NaN  2e-1  DISAGREES
  weights  [3]               -1.000000000e9    2.000000000e10     1e-6       1.1e0  2e-1  inconclusive: noise
  x        [2]                  0.5000000000      0.2500000000     1e-6      5.0e-1     -  agrees: kink [-0.500000, 1.000000]
  x        []                    123456.7890  -0.0001000000000     1e-6       1.0e0  2e-1  agrees
  x        [0, 12]                         0    9.500000000e-5     1e-6       1.0e0  2e-1  agrees
  x        [1]                   990000000.0       2.000000000     1e-6       1.0e0  2e-1  agrees
";
    let report = report(entries);
    // Columns without their widths, which the printer of tables decides.
    let words = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("---"));
        lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    assert_eq!(words(&report.to_string()), words(text));
    assert_eq!(format!("{report:?}"), report.to_string());
    let error = GradientMismatch::Disagrees(Box::new(report.clone()));
    assert_eq!((error.to_string(), format!("{error:?}")), (report.to_string(), report.to_string()));
    assert_eq!(error.report().unwrap().entries.len(), 6);
    assert!(GradientMismatch::EmptyInput.report().is_none());
}

#[test]
fn rows_of_several_cotangents_and_rows_left_out() {
    let mut entries: Vec<Entry> = (0..21).map(|k| entry(1.0, 1.0, &[k])).collect();
    entries[0].seed = "v = ones".to_owned();
    let report = report(entries);
    let text = report.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 24, "{text}");
    assert_eq!(lines[1].split_whitespace().take(3).collect::<Vec<_>>(), ["for", "input", "index"]);
    assert!(lines[3].starts_with("  v = ones  x      [0]"), "{text}");
    assert_eq!(lines[23], "  and 1 more rows ({:#} shows them)");
    let all = format!("{report:#}");
    assert_eq!((all.lines().count(), all.contains("more rows")), (24, false), "{all}");
    assert!(all.lines().last().unwrap().contains("[20]"), "{all}");
    let mut twenty = report;
    twenty.entries.pop();
    assert!(!twenty.to_string().contains("more rows"));
    twenty.entries.clear();
    assert_eq!(
        twenty.to_string(),
        "the gradient agrees with finite differences: 0 entries; 10 evaluations, noise 0e0\n"
    );
    assert_eq!((twenty.verdict(), twenty.worst()), (Verdict::Agrees, None));
}

#[test]
fn summaries() {
    let of = |change: &dyn Fn(&mut Report)| {
        let mut weak = entry(1e-7, 1e-7, &[1]);
        weak.error = 1e-6;
        let mut zero = weak.clone();
        zero.analytic = 0.0;
        let mut at_kink = weak.clone();
        at_kink.one_sided = Some([0.0, 1.0]);
        let mut equal = weak.clone();
        equal.error = 1e-7;
        let mut open = weak.clone();
        open.verdict = Verdict::Inconclusive;
        let mut report = report(vec![open, weak, zero, at_kink, equal]);
        change(&mut report);
        report.summary()
    };
    let head = "no disagreement, but 1 inconclusive: 5 entries, 1 of them only within a bound larger than the entry; 10 \
                evaluations, noise 0e0";
    assert_eq!(of(&|_| ()), head);
    assert_eq!(of(&|r| r.taylor_order = Some(1.96)), format!("{head}, Taylor remainder of order 2.0"));
    assert_eq!(of(&|r| r.panics = 3), format!("{head}; the function panicked at 3 steps"));
    let random = "; the function is not deterministic: it returned different values at the same point";
    assert_eq!(of(&|r| r.value_is_deterministic = false), format!("{head}{random}"));
    let random = "; the gradient is not deterministic: two calls at the same point differ";
    assert_eq!(of(&|r| r.gradient_is_deterministic = false), format!("{head}{random}"));
    let agrees = "the gradient agrees with finite differences: 1 entries; 7 evaluations, noise 2e-3";
    assert_eq!(
        of(&|r| {
            r.entries.drain(..4);
            (r.evaluations, r.noise) = (7, 2e-3);
        }),
        agrees
    );
}

#[test]
fn hints() {
    let hint = |entries: Vec<Entry>| report(entries).hint();
    let one = |analytic: f64, numeric: f64| hint(vec![wrong(analytic, numeric, &[0]), entry(1.0, 1.0, &[1])]);
    let zero = "is 0 where the function changes: a term may be detached, or its pullback missing";
    assert_eq!(one(0.0, 2.0), Some(format!("the wrong entry {zero}")));
    assert_eq!(one(-2.0, 2.0).unwrap(), "the wrong entry has the wrong sign");
    for factor in [0.25, 0.5, 2.0, 3.0, 4.0, -2.0, -0.5] {
        let text = format!("the wrong entry is {factor:.4} times the numeric derivative");
        assert_eq!(one(1.5 * factor, 1.5), Some(text));
    }
    assert_eq!(one(1.5 * 2.5, 1.5), None, "no simple number");
    assert_eq!(one(1.5 * 2.003, 1.5), None);
    assert_eq!(one(1.5 * 2.001, 1.5).unwrap(), "the wrong entry is 2.0010 times the numeric derivative");
    assert_eq!(one(1.0, 3e-6), None, "a slope within four errors of 0 has no factor");
    assert_eq!(one(f64::NAN, 1.0), None);
    let two = |a: f64, b: f64| hint(vec![wrong(a, 1.0, &[0]), wrong(b, -3.0, &[1])]);
    assert_eq!(two(0.0, 0.0), Some(format!("each wrong entry {zero}")));
    assert_eq!(two(-1.0, 3.0).unwrap(), "each wrong entry has the wrong sign");
    assert_eq!(two(-1.0, -3.5), None);
    assert_eq!(two(7.25, -3.0 * 7.25).unwrap(), "each wrong entry is 7.2500 times the numeric derivative");
    assert_eq!(two(7.25, -3.0 * 7.2).as_deref(), None);
    // The factors of large entries may differ by a thousandth.
    let large = |share: f64| hint(vec![wrong(725.0, 100.0, &[0]), wrong(-2175.0 * share, -300.0, &[1])]);
    assert_eq!(large(1.0005).unwrap(), "each wrong entry is 7.2500 times the numeric derivative");
    assert_eq!(large(1.002), None);
    // These say nothing about a factor: a kink, a cotangent, a direction.
    let with = |change: fn(&mut Entry)| {
        let mut other = wrong(9.0, 1.0, &[1]);
        change(&mut other);
        hint(vec![wrong(2.0, 1.0, &[0]), other])
    };
    assert_eq!(with(|_| ()), None);
    for ignored in [
        (|e| e.one_sided = Some([0.0, 1.0])) as fn(&mut Entry),
        |e| e.reason = Some(Reason::Cotangent),
        |e| e.coordinate = None,
        |e| e.verdict = Verdict::Inconclusive,
        |e| e.analytic = f64::INFINITY,
    ] {
        assert_eq!(with(ignored).unwrap(), "the wrong entry is 2.0000 times the numeric derivative");
    }
}

#[test]
fn a_transposed_matrix() {
    let matrix = |places: [[usize; 2]; 4], second: f64| {
        let values = [[1.0, 1.0], [5.0, 2.0], [second, 5.0], [4.0, 4.0]];
        let entries = places.iter().zip(values).map(|(place, [analytic, numeric])| {
            if analytic == numeric { entry(analytic, numeric, place) } else { wrong(analytic, numeric, place) }
        });
        entries.collect::<Vec<_>>()
    };
    let places = [[0, 0], [0, 1], [1, 0], [1, 1]];
    let text = Some("the matrix looks transposed".to_owned());
    assert_eq!(report(matrix(places, 2.0)).hint(), text);
    assert_eq!(report(matrix(places, 2.5)).hint(), None);
    assert_eq!(report(matrix([[0, 0], [0, 1], [2, 0], [1, 1]], 2.0)).hint(), None, "no mirrored entry");
    let mut other = matrix(places, 2.0);
    other[1].input = "y".to_owned();
    assert_eq!(report(other.clone()).hint(), None, "of another input");
    (other[1].input, other[1].seed) = ("x".to_owned(), "v".to_owned());
    assert_eq!(report(other).hint(), None, "for another cotangent");
    let mut deep = matrix(places, 2.0);
    for entry in &mut deep {
        let Place::Entry(index) = &mut entry.place else { unreachable!() };
        index.insert(0, 3);
    }
    assert_eq!(report(deep).hint(), text, "the last two axes");
    let mut alone = matrix(places, 2.0);
    alone[2].analytic = 5.0;
    alone[2].verdict = Verdict::Agrees;
    assert_eq!(report(alone).hint(), None, "one wrong entry is no transposition");
}

#[test]
fn small_words() {
    let reasons = [
        (Reason::Noise, "noise"),
        (Reason::Kink, "kink"),
        (Reason::EdgeOfDomain, "edge of domain"),
        (Reason::NonFinite, "non-finite"),
        (Reason::Unsettled, "quotients do not converge"),
        (Reason::NotDeterministic, "not deterministic"),
        (Reason::Cotangent, "wrong for another cotangent"),
        (Reason::NotSearched, "not searched further"),
    ];
    for (reason, text) in reasons {
        assert_eq!((reason.to_string(), format!("{reason:>30}")), (text.to_owned(), format!("{text:>30}")));
    }
    assert_eq!(format!("{:8}|{}", Place::Entry(vec![1, 20]), Place::Direction(3)), "[1, 20] |direction over 3");
    let relative = |a: f64, n: f64| entry(a, n, &[0]).relative_error();
    assert_eq!(
        [relative(0.0, 0.0), relative(3.0, 4.0), relative(-4.0, 3.0), relative(0.0, 2.0)],
        [0.0, 0.25, 1.75, 1.0]
    );
    let errors = [
        (GradientMismatch::EmptyInput, "cannot check a gradient: the point has no coordinates"),
        (
            GradientMismatch::Length { what: "the tangent", found: vec![1, 2], expected: vec![3] },
            "cannot check: the tangent has size [1, 2], expected [3]",
        ),
        (
            GradientMismatch::NonFiniteValue { output: 2, value: f64::INFINITY },
            "cannot check: output 2 of the function is inf at the point itself",
        ),
        (GradientMismatch::NonFiniteInput { coordinate: 3 }, "cannot check: coordinate 3 is not finite"),
        (
            GradientMismatch::OutOfBounds { coordinate: 1, value: 2.0, bounds: [3.0, 4.0] },
            "cannot check: coordinate 1 is 2, outside its bounds [3, 4]",
        ),
        (
            GradientMismatch::Panicked { what: "the function", message: "no".to_owned() },
            "cannot check: the function panicked: no",
        ),
    ];
    for (error, text) in errors {
        assert_eq!((error.to_string(), format!("{error:?}")), (text.to_owned(), text.to_owned()));
    }
}

#[test]
fn options_are_printed() {
    let plain = "GradCheck { seed: 0, relative: None, absolute: 0.0, coordinates: Auto, bounds: None, inputs: [], \
                 max_mismatches: None, .. }";
    assert_eq!(format!("{:?}", GradCheck::new()), plain);
    let check = GradCheck::new()
        .seed(3)
        .relative_tolerance(0.5)
        .absolute_tolerance(0.25)
        .coordinates(Coordinates::Only(vec![1]))
        .bounds(&[(0.0_f32, 1.0)])
        .inputs([("w", vec![2, 1])])
        .max_mismatches(4)
        .on_progress(|_| ());
    let text = "GradCheck { seed: 3, relative: Some(0.5), absolute: 0.25, coordinates: Only([1]), bounds: Some([(0.0, 1.0)]), \
                inputs: [(\"w\", [2, 1])], max_mismatches: Some(4), .. }";
    assert_eq!(format!("{check:?}"), text);
}

/// Each line is announced before it is searched, and is counted once.
#[test]
fn progress_is_counted() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let run = |check: GradCheck, n: usize, wrong: f64| {
        seen.borrow_mut().clear();
        let log = Rc::clone(&seen);
        let check = check.on_progress(move |p| log.borrow_mut().push((p.done, p.total, p.evaluations)));
        let x = vec![0.5; n];
        let gradient = |x: &[f64]| {
            let mut g = vec![1.0; x.len()];
            g[n / 2] += wrong;
            g
        };
        let _ = check.check(|x: &[f64]| x.iter().sum(), gradient, &x);
        seen.borrow().clone()
    };
    let plain = run(GradCheck::new(), 3, 0.0);
    assert_eq!(plain.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>(), [(1, 3), (2, 3), (3, 3)]);
    let some = run(GradCheck::new().coordinates(Coordinates::Only(vec![0, 2])), 3, 0.0);
    assert_eq!(some.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
    let blocks = run(GradCheck::new().coordinates(Coordinates::Blocks), 40, 0.0);
    assert_eq!(blocks.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
    let searched = run(GradCheck::new().coordinates(Coordinates::Blocks), 40, 1.0);
    assert!(searched.len() > 10, "{searched:?}");
    for (k, p) in searched.iter().enumerate() {
        assert!(p.0 == k + 1 && p.0 <= p.1, "{searched:?}");
    }
    assert!(searched.windows(2).all(|w| w[0].1 <= w[1].1 && w[0].2 <= w[1].2), "{searched:?}");
    let jacobian = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&jacobian);
    let check = GradCheck::new().on_progress(move |p| log.borrow_mut().push((p.done, p.total)));
    let f = |x: &[f64]| vec![x[0], x[1], x[0] + x[1]];
    let matrix = ndarray::array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
    check.check_jacobian(f, |_| matrix.clone(), &[1.0, 2.0]).unwrap();
    check.check_jvp(f, |_, d| vec![d[0], d[1], d[0] + d[1]], &[1.0, 2.0]).unwrap();
    let expected = [(1, 2), (2, 2), (1, 3), (2, 3), (3, 3), (4, 6), (5, 6), (6, 6)];
    assert_eq!(*jacobian.borrow(), expected);
}

/// A deviation up to the tolerance is accepted: of the size of the entry, or of any size.
#[test]
fn tolerances() {
    let run = |check: GradCheck, off: f64| check.check(|x: &[f64]| 3.0 * x[0], |_| vec![3.0 + off], &[1.0]).is_ok();
    for coordinates in [Coordinates::All, Coordinates::Blocks] {
        let check = || GradCheck::new().coordinates(coordinates.clone());
        assert!(!run(check(), 1e-3) && !run(check(), -1e-3));
        assert!(run(check().absolute_tolerance(0.5), 0.49) && run(check().absolute_tolerance(0.5), -0.49));
        assert!(!run(check().absolute_tolerance(0.5), 0.51) && !run(check().absolute_tolerance(0.5), -0.51));
        assert!(run(check().relative_tolerance(0.1), 0.29) && run(check().relative_tolerance(0.1), -0.29));
        assert!(!run(check().relative_tolerance(0.1), 0.35) && !run(check().relative_tolerance(0.1), -0.35));
    }
}
