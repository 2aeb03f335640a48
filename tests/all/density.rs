//! Log-densities and transforms against constants of mpmath, and against differences; no NaN at the edges.

use ndarray::array;
use wengert::density::{self, Density, TABLE};
use wengert::{Dual, Program, Real, Tape, check_gradient, transform};

use crate::support::close::assert_near;
use crate::support::differences::partial;
use crate::support::panics::panic_of;

/// The lines that `tests/oracle/densities.py` wrote for a function, each as its fields.
fn lines(name: &str) -> Vec<Vec<Vec<f64>>> {
    let text = include_str!("../oracle/densities.txt");
    let numbers = |field: &str| field.split_whitespace().map(|x| x.parse().expect("a number")).collect();
    let of_name = text.lines().filter(|line| line.split(';').next() == Some(name));
    of_name.map(|line| line.split(';').skip(1).map(numbers).collect()).collect()
}

fn counts_of(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|&k| k as u64).collect()
}

/// Value and gradient on a tape.
fn on_tape(row: &Density, counts: &[u64], x: &[f64]) -> (f64, Vec<f64>) {
    let tape = Tape::new();
    let x = tape.vars_from(x);
    let y = (row.on_var)(counts, x);
    (y.value(), y.backward().wrt(x))
}

/// Value and gradient by dual numbers, one direction after the other.
fn by_duals(row: &Density, counts: &[u64], x: &[f64]) -> (f64, Vec<f64>) {
    let along = |i: usize| {
        let seeded: Vec<Dual<f64>> = (0..x.len()).map(|j| Dual::new(x[j], [f64::from(i == j)])).collect();
        (row.on_dual)(counts, &seeded)
    };
    ((row.on_f64)(counts, x), (0..x.len()).map(|i| along(i).tangents()[0]).collect())
}

#[test]
fn every_density_agrees_with_mpmath() {
    for row in TABLE {
        let lines = lines(row.name);
        assert!(!lines.is_empty(), "{} is missing in tests/oracle/densities.py", row.name);
        for line in lines {
            let [counts, x, value, gradient] = &line[..] else { panic!("{}: {line:?}", row.name) };
            let (case, counts) = (format!("{}{counts:?}{x:?}", row.name), counts_of(counts));
            for (way, (y, slopes)) in [on_tape(row, &counts, x), by_duals(row, &counts, x)].into_iter().enumerate() {
                let case = format!("{case}, way {way}");
                assert_near(&case, y, value[0], 4e-14);
                for (i, (&got, &want)) in slopes.iter().zip(gradient).enumerate() {
                    assert_near(&format!("{case}, partial {i}"), got, want, 4e-13);
                }
            }
        }
    }
}

#[test]
fn every_density_runs_in_f32() {
    for row in TABLE {
        let (counts, x) = row.sample;
        let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let (value, gradient) = on_tape(row, counts, x);
        let tape = Tape::<f32>::new();
        let vars = tape.vars_from(&single);
        let y = (row.on_var_f32)(counts, vars);
        assert_eq!(y.value(), (row.on_f32)(counts, &single), "{}", row.name);
        assert_near(row.name, f64::from(y.value()), value, 1e-6);
        for (got, want) in y.backward().wrt(vars).into_iter().zip(gradient) {
            assert_near(row.name, f64::from(got), want, 3e-6);
        }
    }
}

/// The constants of `f64` that `f32` can hold, with what its rounding of numbers and of terms may change.
#[test]
fn every_density_agrees_with_mpmath_in_f32() {
    for row in TABLE {
        for line in lines(row.name) {
            let [counts, x, value, gradient] = &line[..] else { panic!("{}: {line:?}", row.name) };
            let fits = |x: &f64| *x == 0.0 || (1e-30..1e30).contains(&x.abs());
            if !x.iter().chain(gradient).all(fits) || x.iter().any(|&x| f64::from(x as f32) == 1.0 && x != 1.0) {
                continue;
            }
            let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let tape = Tape::<f32>::new();
            let vars = tape.vars_from(&single);
            let y = (row.on_var_f32)(&counts_of(counts), vars);
            // ln Γ of shapes and counts is the largest term.
            let terms: f64 = x.iter().chain(counts).map(|&x| Real::ln_gamma(x.abs() + 2.0)).sum();
            let moved: f64 = x.iter().zip(gradient).map(|(x, g)| (x * g).abs()).sum();
            let error = (f64::from(y.value()) - value[0]).abs();
            assert!(error <= 3e-7 * (terms + moved + value[0].abs()), "{}{counts:?}{x:?}: {y}, {error:e}", row.name);
            for (got, want) in y.backward().wrt(vars).into_iter().zip(gradient) {
                assert!(
                    (f64::from(got) - want).abs() <= 2e-5 * (want.abs() + moved),
                    "{}{counts:?}{x:?}: {got} should be {want}",
                    row.name
                );
            }
        }
    }
}

#[test]
fn second_derivatives_are_differences_of_the_first() {
    for row in TABLE {
        let (counts, x) = row.sample;
        for i in 0..x.len() {
            let tape = Tape::new();
            let seeded: Vec<Dual<f64>> = (0..x.len()).map(|j| Dual::new(x[j], [f64::from(i == j)])).collect();
            let vars = tape.vars_from(&seeded);
            let column = (row.on_var_dual)(counts, vars).backward().wrt(vars);
            for (j, second) in column.iter().enumerate() {
                let difference = partial(x, i, |x| on_tape(row, counts, x).1[j]);
                assert_near(&format!("{} {i} {j}", row.name), second.tangents()[0], difference, 1e-8);
            }
        }
    }
}

#[test]
fn the_checker_accepts_every_density() {
    for row in TABLE {
        let (counts, x) = row.sample;
        if let Err(failure) = check_gradient(|x| (row.on_var)(counts, x), x) {
            panic!("{}: {failure}", row.name);
        }
    }
}

#[test]
fn every_density_is_a_program() {
    for row in TABLE {
        let (counts, x) = row.sample;
        let mut program = Program::new(|x: &[_]| (row.on_recorded)(counts, x), x).expect("no value is read");
        let moved: Vec<f64> = x.iter().map(|x| x * 1.01).collect();
        let mut slopes = vec![0.0; x.len()];
        let value = program.value_and_grad(&moved, &mut slopes).expect("the same branches");
        let (want, gradient) = on_tape(row, counts, &moved);
        assert_near(row.name, value, want, 1e-14);
        for (got, want) in slopes.into_iter().zip(gradient) {
            assert_near(row.name, got, want, 1e-13);
        }
    }
}

/// Asserts a log-density of -∞ with the gradient 0.
#[track_caller]
fn assert_impossible(name: &str, counts: &[u64], x: &[f64]) {
    let row = TABLE.iter().find(|row| row.name == name).expect("a row of the table");
    for (value, gradient) in [on_tape(row, counts, x), by_duals(row, counts, x)] {
        assert_eq!(value, f64::NEG_INFINITY, "{name}{x:?}");
        assert!(gradient.iter().all(|&g| g == 0.0), "{name}{x:?}: {gradient:?}");
    }
}

#[test]
fn a_density_of_0_has_the_logarithm_minus_infinity_and_no_gradient() {
    const INF: f64 = f64::INFINITY;
    for x in [INF, -INF] {
        assert_impossible("normal", &[], &[x, 0.0, 1.0]);
        assert_impossible("student_t", &[], &[x, 3.0, 0.0, 1.0]);
        assert_impossible("cauchy", &[], &[x, 0.0, 1.0]);
        assert_impossible("multivariate_normal", &[], &[x, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    }
    for x in [0.0, -0.0, -1.0, INF, -INF] {
        assert_impossible("log_normal", &[], &[x, 0.0, 1.0]);
        assert_impossible("gamma", &[], &[x, 2.0, 1.0]);
    }
    for x in [-5e-324, -1.0, INF, -INF] {
        assert_impossible("exponential", &[], &[x, 1.0]);
        assert_impossible("gamma", &[], &[x, 1.0, 1.0]);
        assert_impossible("gamma", &[], &[x, 0.5, 1.0]);
    }
    for x in [-1e-9, 0.0, 1.0, 1.0 + 1e-9, INF, -INF] {
        assert_impossible("beta", &[], &[x, 2.0, 3.0]);
    }
    assert_impossible("poisson", &[1], &[0.0]);
    assert_impossible("poisson", &[0], &[INF]);
    assert_impossible("binomial", &[6, 5], &[0.5]);
    assert_impossible("binomial", &[1, 5], &[0.0]);
    assert_impossible("binomial", &[4, 5], &[1.0]);
    assert_impossible("categorical", &[0], &[0.0, 1.0]);
    assert_impossible("categorical_logits", &[0], &[-INF, 1.0]);
}

#[test]
fn ends_of_a_support_have_the_derivative_from_inside() {
    let at = |name: &str, counts: &[u64], x: &[f64]| {
        let row = TABLE.iter().find(|row| row.name == name).expect("a row of the table");
        let results = [on_tape(row, counts, x), by_duals(row, counts, x)];
        assert_eq!(results[0], results[1], "{name}");
        results[0].clone()
    };
    assert_eq!(at("exponential", &[], &[0.0, 2.0]), (2_f64.ln(), vec![-2.0, 0.5]));
    let (value, gradient) = at("gamma", &[], &[0.0, 1.0, 2.0]);
    assert_eq!((value, gradient[0], gradient[2]), (2_f64.ln(), -2.0, 0.5));
    let (value, gradient) = at("gamma", &[], &[0.0, 0.5, 2.0]);
    assert_eq!((value, gradient[0], gradient[2]), (f64::INFINITY, f64::NEG_INFINITY, 0.25));
    let (value, gradient) = at("beta", &[], &[1.0, 3.0, 1.0]);
    assert_near("beta at 1", value, 3_f64.ln(), 1e-15);
    assert_eq!(gradient[0], 2.0);
    let (value, gradient) = at("beta", &[], &[0.0, 1.0, 3.0]);
    assert_near("beta at 0", value, 3_f64.ln(), 1e-15);
    assert_eq!(gradient[0], -2.0);
    assert_eq!(at("poisson", &[0], &[0.0]), (0.0, vec![-1.0]));
    assert_eq!(at("binomial", &[0, 4], &[0.0]), (0.0, vec![-4.0]));
    assert_eq!(at("binomial", &[4, 4], &[1.0]), (0.0, vec![4.0]));
    let normal = at("normal", &[], &[1.5, 0.5, 2.0]);
    assert_eq!(at("student_t", &[], &[1.5, f64::INFINITY, 0.5, 2.0]).0, normal.0);
}

#[test]
fn parameters_outside_of_their_domain_give_nan() {
    let cases: [(&str, &[u64], &[f64]); 30] = [
        ("normal", &[], &[0.5, 0.0, 0.0]),
        ("normal", &[], &[0.0, 0.0, 0.0]),
        ("normal", &[], &[0.5, 0.0, -1.0]),
        ("normal", &[], &[f64::INFINITY, 0.0, -1.0]),
        ("normal", &[], &[f64::NAN, 0.0, 1.0]),
        ("log_normal", &[], &[-1.0, 0.0, -1.0]),
        ("log_normal", &[], &[1.0, 0.0, 0.0]),
        ("student_t", &[], &[0.5, 0.0, 0.0, 1.0]),
        ("student_t", &[], &[0.5, 2.0, 0.0, 0.0]),
        ("student_t", &[], &[0.5, -2.0, 0.0, 1.0]),
        ("cauchy", &[], &[0.5, 0.0, -1.0]),
        ("cauchy", &[], &[0.5, 0.0, 0.0]),
        ("exponential", &[], &[0.5, -1.0]),
        ("exponential", &[], &[-0.5, -1.0]),
        ("gamma", &[], &[0.5, -0.5, 1.0]),
        ("gamma", &[], &[0.5, 0.5, -1.0]),
        ("beta", &[], &[0.5, -0.5, 1.0]),
        ("beta", &[], &[f64::NAN, 0.5, 1.0]),
        ("exponential", &[], &[0.5, 0.0]),
        ("exponential", &[], &[f64::NAN, 1.0]),
        ("gamma", &[], &[0.5, 1.0, 0.0]),
        ("gamma", &[], &[f64::NAN, 1.0, 1.0]),
        ("beta", &[], &[f64::NAN, 1.0, 1.0]),
        ("categorical", &[0], &[0.0, 0.0]),
        ("categorical_logits", &[0], &[-f64::INFINITY, -f64::INFINITY]),
        ("poisson", &[0], &[f64::NAN]),
        ("poisson", &[2], &[-1.0]),
        ("binomial", &[2, 4], &[1.5]),
        ("categorical", &[0], &[0.5, -0.1]),
        ("multivariate_normal", &[], &[0.1, 0.2, 0.0, 0.0, 1.0, 0.0, 2.0, 1.0]),
    ];
    for (name, counts, x) in cases {
        let row = TABLE.iter().find(|row| row.name == name).expect("a row of the table");
        assert!((row.on_f64)(counts, x).is_nan(), "{name}{x:?}");
        assert!(on_tape(row, counts, x).0.is_nan(), "{name}{x:?}");
    }
}

#[test]
fn huge_and_tiny_numbers_give_no_nan() {
    let sizes = [f64::MIN_POSITIVE, 1e-300, 1e-150, 1e-9, 1.0, 1e9, 1e150, 1e300];
    for row in TABLE.iter().filter(|row| !row.name.starts_with("multivariate") && !row.name.starts_with("categorical"))
    {
        let (counts, sample) = row.sample;
        for i in 0..sample.len() {
            for size in sizes {
                let mut x = sample.to_vec();
                x[i] = size;
                if row.name == "binomial" && size > 1.0 {
                    continue;
                }
                for (value, gradient) in [on_tape(row, counts, &x), by_duals(row, counts, &x)] {
                    assert!(
                        !value.is_nan() && !gradient.iter().any(|g| g.is_nan()),
                        "{}{x:?}: {value} {gradient:?}",
                        row.name
                    );
                }
            }
        }
    }
}

#[test]
fn a_vector_of_another_length_is_refused() {
    let l = array![[1.0, 0.0], [0.0, 1.0]];
    let message = panic_of(|| density::multivariate_normal_cholesky(&[0.0; 3], &[0.0; 2], l.view())).message;
    assert!(message.contains("3 numbers, a mean of 2 and a matrix of shape [2, 2]"), "{message}");
    let message = panic_of(|| density::categorical(3, &[0.5, 0.5])).message;
    assert_eq!(message, "categorical: there is no category 3 among 2; they count from 0");
}

/// The results of a transform, one after the other, and the log-Jacobian.
fn transformed<R: Real<Base = f64>>(name: &str, settings: &[f64], u: &[R]) -> (Vec<R>, R) {
    let single = |(x, log_jacobian)| (vec![x], log_jacobian);
    match name {
        "positive" => single(transform::positive(u[0])),
        "interval" => single(transform::interval(u[0], settings[0], settings[1])),
        "simplex" => transform::simplex(u),
        _ => {
            let (l, log_jacobian) = transform::correlation(u);
            let triangle = l.indexed_iter().filter(|((i, j), _)| j <= i);
            (triangle.map(|(_, &l)| l).collect(), log_jacobian)
        }
    }
}

#[test]
fn every_transform_agrees_with_mpmath_and_has_an_inverse() {
    for name in ["positive", "interval", "simplex", "correlation"] {
        let lines = lines(name);
        assert!(lines.len() > 3, "{name}");
        for line in lines {
            let [settings, u, x, log_jacobian] = &line[..] else { panic!("{name}: {line:?}") };
            let case = format!("{name}{settings:?}{u:?}");
            let (got, ln_det) = transformed(name, settings, u);
            assert_eq!(got.len(), x.len(), "{case}");
            for (got, want) in got.iter().zip(x) {
                assert!((got - want).abs() <= 1e-13 * want.abs(), "{case}: {got:e} should be {want:e}");
            }
            assert_near(&case, ln_det, log_jacobian[0], 1e-13);
            let back = match name {
                "positive" => vec![transform::positive_inverse(x[0])],
                "interval" => vec![transform::interval_inverse(x[0], settings[0], settings[1])],
                "simplex" => transform::simplex_inverse(x),
                _ => {
                    let order = (1..=x.len()).find(|n| n * (n + 1) / 2 == x.len()).expect("a triangle");
                    let mut l = ndarray::Array2::zeros((order, order));
                    let places = (0..order).flat_map(|i| (0..=i).map(move |j| [i, j]));
                    places.zip(x).for_each(|(place, &x)| l[place] = x);
                    transform::correlation_inverse(l.view())
                }
            };
            for (&got, &want) in back.iter().zip(u) {
                // Near an end of the interval other than 0, x has lost the digits of u.
                let tolerance = if name == "interval" && want.abs() > 10.0 { 1e-2 } else { 1e-12 };
                assert_near(&format!("{case}, back"), got, want, tolerance);
            }
        }
    }
}

#[test]
fn transforms_are_differentiable_everywhere() {
    for (name, n) in [("positive", 1), ("interval", 1), ("simplex", 3), ("correlation", 3)] {
        let settings: &[f64] = &[-1.0, 3.0];
        let u: Vec<f64> = (0..n).map(|i| 0.3 - 0.4 * f64::from(i)).collect();
        let weighted = |x: Vec<f64>, log_jacobian: f64| {
            x.iter().enumerate().map(|(i, x)| x * (i + 1) as f64).sum::<f64>() + log_jacobian
        };
        let plain = |u: &[f64]| {
            let (x, log_jacobian) = transformed(name, settings, u);
            weighted(x, log_jacobian)
        };
        let gradient = |u: &[f64]| {
            let tape = Tape::new();
            let vars = tape.vars_from(u);
            let (x, log_jacobian) = transformed(name, settings, vars);
            let y = x.iter().enumerate().map(|(i, &x)| x * (i + 1) as f64).sum::<wengert::Var<'_>>() + log_jacobian;
            assert_eq!(y.value(), plain(u));
            y.backward().wrt(vars)
        };
        for (i, slope) in gradient(&u).into_iter().enumerate() {
            assert_near(name, slope, partial(&u, i, plain), 1e-9);
        }
        for size in [700.0, 800.0, 1e300, f64::INFINITY] {
            for u in [size, -size] {
                if name == "positive" && u > 700.0 {
                    continue;
                }
                let u = vec![u; n as usize];
                assert!(!plain(&u).is_nan(), "{name}{u:?}");
                assert!(gradient(&u).iter().all(|g| !g.is_nan()), "{name}{u:?}: {:?}", gradient(&u));
            }
        }
    }
}

#[test]
fn wrong_settings_of_a_transform_are_refused() {
    assert!(panic_of(|| transform::interval(0.0, 1.0, 1.0)).message.contains("from 1 to 1"));
    assert!(panic_of(|| transform::interval(0.0, f64::NAN, 1.0)).message.contains("holds no number"));
    let message = panic_of(|| transform::correlation(&[0.0; 4])).message;
    assert!(message.contains("4 numbers") && message.contains("6 for n = 4"), "{message}");
    assert!(panic_of(|| transform::simplex_inverse::<f64>(&[])).message.contains("at least one"));
    assert_eq!(transform::simplex::<f64>(&[]), (vec![1.0], 0.0));
    assert_eq!(transform::correlation::<f64>(&[]), (array![[1.0]], 0.0));
}

/// Constants of mpmath 1.3: log-densities at the ends of the exponents.
#[test]
fn numbers_at_the_ends_of_the_exponents() {
    let at = |name: &str, counts: &[u64], x: &[f64]| {
        let row = TABLE.iter().find(|row| row.name == name).expect("a row of the table");
        let results = [on_tape(row, counts, x), by_duals(row, counts, x)];
        assert_eq!(results[0], results[1], "{name}");
        results[0].clone()
    };
    let (value, _) = at("student_t", &[], &[0.7, 5e-324, -0.4, 1.3]);
    assert_near("student_t", value, -745.2285292817455, 1e-14);
    let (value, gradient) = at("categorical", &[0], &[1e308, 1e308, 1e308]);
    assert_near("categorical", value, -(3_f64.ln()), 1e-13);
    assert_near("categorical, partial", gradient[0] * 1e308, 2.0 / 3.0, 1e-13);
    let row = TABLE.iter().find(|row| row.name == "categorical").expect("a row of the table");
    assert!(((row.on_f32)(&[0], &[3e38, 3e38]) + 2_f32.ln()).abs() < 1e-5);
}

#[test]
fn inverses_at_the_ends_of_domains() {
    const INF: f64 = f64::INFINITY;
    assert_eq!(transform::simplex_inverse(&[1.0, 0.0, 0.0]), [INF, -INF]);
    assert_eq!(transform::simplex_inverse(&[0.0, 0.0, 1.0]), [-INF, -INF]);
    assert_eq!(transform::simplex(&[INF, -INF]).0, [1.0, 0.0, 0.0]);
    assert!(transform::simplex_inverse(&[0.0_f64, 0.0]).iter().all(|u| u.is_nan()));
    assert_eq!(transform::simplex_inverse(&[1.0]), [0.0; 0]);
    let l = array![[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]];
    assert_eq!(transform::correlation_inverse(l.view()), [INF, -INF, 0.0]);
    // Squares of the diagonal underflow.
    let back = transform::correlation_inverse(transform::correlation(&[400.0, -500.0, 0.5]).0.view());
    for (got, want) in back.iter().zip([400.0, -500.0, 0.5]) {
        assert_near("correlation", *got, want, 1e-13);
    }
    for u in [1e308_f64, -1e308, INF, -INF, f64::NAN] {
        let (x, log_jacobian) = transform::interval(u, -1e308, 1e308);
        assert!(x.is_nan() == u.is_nan() && log_jacobian.is_nan() == u.is_nan(), "{u}: {x} {log_jacobian}");
        let (x, log_jacobian) = transform::simplex(&[u, 0.0, -u]);
        assert!(x.iter().any(|x| x.is_nan()) == u.is_nan() && log_jacobian.is_nan() == u.is_nan(), "{u}: {x:?}");
        let (l, log_jacobian) = transform::correlation(&[u, -u, 0.0]);
        assert!(l.iter().any(|x| x.is_nan()) == u.is_nan() && log_jacobian.is_nan() == u.is_nan(), "{u}: {l:?}");
    }
}
