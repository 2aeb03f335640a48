//! Gradients known to be right and known to be wrong, for many seeds.

use ndarray::Array2;
use wengert::gradcheck::{GradCheck, Verdict};

use super::{Outcome, hash, sequence};

/// The verdict that a case must get.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Expected {
    Right,
    /// Right, with values so noisy that inconclusive entries are no error.
    RightOrNoisy,
    Wrong,
}
use Expected::{Right, RightOrNoisy, Wrong};

struct Case {
    name: &'static str,
    expected: Expected,
    run: Box<dyn Fn(GradCheck) -> Outcome>,
}

impl Case {
    /// Runs the case with a seed: true for the expected outcome, and the evaluations per coordinate.
    fn holds(&self, seed: u64) -> (bool, f64) {
        let outcome = (self.run)(GradCheck::new().seed(seed));
        let report = match &outcome {
            Ok(report) => report,
            Err(error) => error.report().unwrap_or_else(|| panic!("{}: {error}", self.name)),
        };
        let holds = match self.expected {
            Right => report.verdict() == Verdict::Agrees,
            RightOrNoisy => report.verdict() != Verdict::Disagrees,
            Wrong => report.verdict() == Verdict::Disagrees,
        };
        if !holds {
            eprintln!("{} (seed {seed}, expected {:?}):\n{report}", self.name, self.expected);
        }
        (holds, report.evaluations as f64 / report.covered as f64)
    }
}

fn scalar(
    name: &'static str,
    expected: Expected,
    x: Vec<f64>,
    f: impl Fn(&[f64]) -> f64 + 'static,
    g: impl Fn(&[f64]) -> Vec<f64> + 'static,
) -> Case {
    Case { name, expected, run: Box::new(move |c| c.check(&f, &g, &x)) }
}

fn one(
    name: &'static str,
    expected: Expected,
    x: f64,
    f: impl Fn(f64) -> f64 + 'static,
    g: impl Fn(f64) -> f64 + 'static,
) -> Case {
    scalar(name, expected, vec![x], move |x| f(x[0]), move |x| vec![g(x[0])])
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let high = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = x.iter().map(|x| (x - high).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|e| e / sum).collect()
}

fn log_sum_exp(x: &[f64]) -> f64 {
    let high = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    high + x.iter().map(|x| (x - high).exp()).sum::<f64>().ln()
}

fn sines(change: fn(f64) -> f64) -> impl Fn(GradCheck) -> Outcome {
    move |c| {
        let x = sequence(1000, 7);
        let f = |x: &[f64]| x.iter().map(|x| x.sin()).collect();
        let j = |x: &[f64]| {
            let mut d = ndarray::Array1::from_iter(x.iter().map(|x| x.cos()));
            d[617] = change(d[617]);
            Array2::from_diag(&d)
        };
        c.check_jacobian(f, j, &x)
    }
}

/// The published battery: 14 right gradients and 12 wrong ones.
fn battery() -> Vec<Case> {
    let square = |x: f64| x * x;
    vec![
        one("x^2 at 1e8", Right, 1e8, square, |x| 2.0 * x),
        one("x^2 at 1e-8", Right, 1e-8, square, |x| 2.0 * x),
        one("ln at 5e-7", Right, 5e-7, f64::ln, |x| 1.0 / x),
        one("sqrt at 1e-8", Right, 1e-8, f64::sqrt, |x| 0.5 / x.sqrt()),
        one("sin(1e4 x) at 1", Right, 1.0, |x| (1e4 * x).sin(), |x| 1e4 * (1e4 * x).cos()),
        one("1e6 + sin x", Right, 1.0, |x| 1e6 + x.sin(), f64::cos),
        one("exp at 30", Right, 30.0, f64::exp, f64::exp),
        one("relu at 1e-7", Right, 1e-7, |x| x.max(0.0), |_| 1.0),
        one("abs at 0, subgradient 0", Right, 0.0, f64::abs, |_| 0.0),
        one("sin + 1e-9 noise", RightOrNoisy, 1.0, |x| x.sin() + 1e-9 * hash(x.to_bits()), f64::cos),
        one("sin in f32", RightOrNoisy, 1.0, |x| f64::from((x as f32).sin()), |x| f64::from((x as f32).cos())),
        scalar(
            "sum of 100 squares in f32",
            RightOrNoisy,
            sequence(100, 1),
            |x| f64::from(x.iter().map(|x| (*x as f32) * (*x as f32)).sum::<f32>()),
            |x| x.iter().map(|x| 2.0 * f64::from(*x as f32)).collect(),
        ),
        scalar("logsumexp(1000, 0)", Right, vec![1000.0, 0.0], log_sum_exp, softmax),
        scalar("1e6 a + 1e-6 b", Right, vec![1.0, 1.0], |x| 1e6 * x[0] + 1e-6 * x[1], |_| vec![1e6, 1e-6]),
        one("2x off by 1e-3", Wrong, 3.0, square, |x| 2.0 * x * (1.0 + 1e-3)),
        one("2x off by 1e-5", Wrong, 3.0, square, |x| 2.0 * x * (1.0 + 1e-5)),
        one("1e-6 scale doubled", Wrong, 1.0, |x| 1e-6 * x.sin(), |x| 2e-6 * x.cos()),
        scalar("small sign flipped", Wrong, vec![1.0, 1.0], |x| 1e6 * x[0] + 1e-6 * x[1], |_| vec![1e6, -1e-6]),
        scalar("small zeroed", Wrong, vec![1.0, 1.0], |x| 1e6 * x[0] + 1e-6 * x[1], |_| vec![1e6, 0.0]),
        Case { name: "1000 sines, diagonal entry zeroed", expected: Wrong, run: Box::new(sines(|_| 0.0)) },
        Case { name: "1000 sines, diagonal entry flipped", expected: Wrong, run: Box::new(sines(|d| -d)) },
        scalar(
            "sum of 1000 sines, entry zeroed",
            Wrong,
            sequence(1000, 7),
            |x| x.iter().map(|x| x.sin()).sum(),
            |x| x.iter().enumerate().map(|(i, x)| if i == 617 { 0.0 } else { x.cos() }).collect(),
        ),
        scalar("max at a tie, (1, 1)", Wrong, vec![1.5, 1.5], |x| x[0].max(x[1]), |_| vec![1.0, 1.0]),
        one("abs at 0, 5", Wrong, 0.0, f64::abs, |_| 5.0),
        one("NaN", Wrong, 1.0, f64::sin, |_| f64::NAN),
        Case {
            name: "softmax right only for ones",
            expected: Wrong,
            // The true pullback is s (v - sᵀv), which is 0 for v = 1.
            run: Box::new(|c| c.check_vjp(softmax, |x, _| vec![0.0; x.len()], &[0.3, -1.2, 0.8])),
        },
    ]
}

#[test]
fn battery_has_no_error() {
    let cases = battery();
    assert_eq!(cases.len(), 26);
    assert_without_error(&cases, if cfg!(debug_assertions) { 5 } else { 20 });
}

/// `SEEDS` in the environment asks for more; `SHOW_EVALUATIONS` prints the cost of each case.
fn assert_without_error(cases: &[Case], seeds: u64) {
    let seeds = std::env::var("SEEDS").map_or(seeds, |s| s.parse().expect("a number"));
    let mut errors = 0;
    for case in cases {
        let outcomes: Vec<_> = (0..seeds).map(|seed| case.holds(seed)).collect();
        errors += outcomes.iter().filter(|(holds, _)| !holds).count();
        if std::env::var_os("SHOW_EVALUATIONS").is_some() {
            let mut counts: Vec<f64> = outcomes.iter().map(|(_, e)| *e).collect();
            counts.sort_by(f64::total_cmp);
            println!(
                "{:40} evaluations per coordinate: median {:8.3}, worst {:8.3}",
                case.name,
                counts[counts.len() / 2],
                counts[counts.len() - 1]
            );
        }
    }
    assert_eq!(errors, 0);
}

/// More cases of the same kinds with other functions and scales, so that nothing is fitted to the battery.
#[allow(clippy::too_many_lines, reason = "a table")]
fn further_cases() -> Vec<Case> {
    let rosenbrock = |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2);
    let rosenbrock_gradient = |x: &[f64]| {
        let r = x[1] - x[0] * x[0];
        vec![-2.0 * (1.0 - x[0]) - 400.0 * x[0] * r, 200.0 * r]
    };
    let relu_sum = |x: &[f64]| x.iter().map(|x| x.max(0.0)).sum::<f64>();
    let relu_slope = |x: &[f64]| x.iter().map(|x| f64::from(u8::from(*x > 0.0))).collect::<Vec<_>>();
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let highest = |x: &[f64]| x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    vec![
        // Scales of the coordinate.
        one("x^3 at 1e10", Right, 1e10, |x| x.powi(3), |x| 3.0 * x * x),
        one("cube root at 1e-12", Right, 1e-12, f64::cbrt, |x| x.cbrt() / (3.0 * x)),
        one("1/x at 1e-6", Right, 1e-6, |x| 1.0 / x, |x| -1.0 / (x * x)),
        one("1/x at -3e7", Right, -3e7, |x| 1.0 / x, |x| -1.0 / (x * x)),
        one("ln at 1e200", Right, 1e200, f64::ln, |x| 1.0 / x),
        one("x^2 at 1e-150", Right, 1e-150, |x| x * x, |x| 2.0 * x),
        one("sin at 1e8", Right, 1e8, f64::sin, f64::cos),
        one("exp at 700", Right, 700.0, f64::exp, f64::exp),
        one("exp at 709.7, overflow near", Right, 709.7, f64::exp, f64::exp),
        one("exp at -40", Right, -40.0, f64::exp, f64::exp),
        // Domains that end near, away from zero.
        one("ln(x - 1) at 1 + 1e-6", Right, 1.0 + 1e-6, |x| (x - 1.0).ln(), |x| 1.0 / (x - 1.0)),
        one("asin at 1 - 1e-7", Right, 1.0 - 1e-7, f64::asin, |x| 1.0 / (1.0 - x * x).sqrt()),
        one("x^1.5 at 0, one side only", Right, 0.0, |x| x.powf(1.5) + x, |_| 1.0),
        one("(1 - x)^2 sqrt(1 - x) at 1", Right, 1.0, |x| (1.0 - x).powf(2.5) - x, |_| -1.0),
        // High frequency, steepness, cancellation.
        one("cos(1e6 x) at 0.3", Right, 0.3, |x| (1e6 * x).cos(), |x| -1e6 * (1e6 * x).sin()),
        one(
            "sin(2 pi 512 x) at 1",
            Right,
            1.0,
            |x| (1024.0 * std::f64::consts::PI * x).sin(),
            |x| 1024.0 * std::f64::consts::PI * (1024.0 * std::f64::consts::PI * x).cos(),
        ),
        one(
            "tanh(1e5 (x - 1)) at 1 + 1e-6",
            Right,
            1.0 + 1e-6,
            |x| (1e5 * (x - 1.0)).tanh(),
            |x| 1e5 / (1e5 * (x - 1.0)).cosh().powi(2),
        ),
        one("1e9 + 1e-3 x^2", Right, 2.0, |x| 1e9 + 1e-3 * x * x, |x| 2e-3 * x),
        one(
            "(1 - cos x) / x^2 at 0.1",
            Right,
            0.1,
            |x| (1.0 - x.cos()) / (x * x),
            |x| (x * x.sin() - 2.0 * (1.0 - x.cos())) / x.powi(3),
        ),
        one("cos at 0", Right, 0.0, f64::cos, |x| -x.sin()),
        one("x^4 at 0", Right, 0.0, |x| x.powi(4), |_| 0.0),
        one("constant", Right, 2.0, |_| 3.0, |_| 0.0),
        one(
            "sigmoid at 40, saturated",
            Right,
            40.0,
            |x| 1.0 / (1.0 + (-x).exp()),
            |x| (-x).exp() / (1.0 + (-x).exp()).powi(2),
        ),
        one("softplus at -30", Right, -30.0, |x| x.exp().ln_1p(), |x| x.exp() / (1.0 + x.exp())),
        scalar("rosenbrock at its minimum", Right, vec![1.0, 1.0], rosenbrock, rosenbrock_gradient),
        scalar("rosenbrock at (-1.2, 1)", Right, vec![-1.2, 1.0], rosenbrock, rosenbrock_gradient),
        scalar(
            "x y z with scales 1e6, 1e-6, 1",
            Right,
            vec![1e6, 1e-6, 1.0],
            |x| x[0] * x[1] * x[2],
            |x| vec![x[1] * x[2], x[0] * x[2], x[0] * x[1]],
        ),
        scalar("logsumexp(-800, -805, 3)", Right, vec![-800.0, -805.0, 3.0], log_sum_exp, softmax),
        scalar("logsumexp(40, 0)", Right, vec![40.0, 0.0], log_sum_exp, softmax),
        scalar("unused coordinate", Right, vec![1.0, 2.0], |x| x[0].exp(), |x| vec![x[0].exp(), 0.0]),
        // Kinks and ties.
        one("relu at 0, 0", Right, 0.0, |x| x.max(0.0), |_| 0.0),
        one("relu at 0, 1", Right, 0.0, |x| x.max(0.0), |_| 1.0),
        one("relu(x - 1) at 1 + 1e-9", Right, 1.0 + 1e-9, |x| (x - 1.0).max(0.0), |_| 1.0),
        one("relu(x - 1) at 1 - 1e-9", Right, 1.0 - 1e-9, |x| (x - 1.0).max(0.0), |_| 0.0),
        one("x + |x - 2| at 2, 1", Right, 2.0, |x| x + (x - 2.0).abs(), |_| 1.0),
        one("|sin| at 0 and 1e6 offset", Right, 0.0, |x| 1e6 + x.sin().abs(), |_| 0.5),
        one("huber at its joint", Right, 1.0, |x| if x < 1.0 { 0.5 * x * x } else { x - 0.5 }, |_| 1.0),
        scalar("max tie (0.5, 0.5)", Right, vec![1.5, 1.5], |x| x[0].max(x[1]), |_| vec![0.5, 0.5]),
        scalar("max tie (1, 0)", Right, vec![1.5, 1.5], |x| x[0].max(x[1]), |_| vec![1.0, 0.0]),
        scalar("max tie (0, 1)", Right, vec![1.5, 1.5], |x| x[0].max(x[1]), |_| vec![0.0, 1.0]),
        scalar("max of three, a third each", Right, vec![2.0; 3], highest, |_| vec![1.0 / 3.0; 3]),
        scalar(
            "max pooling tie inside a sum",
            Right,
            vec![0.7, 0.7, 0.2],
            |x| x[2] * x[0].max(x[1]),
            |x| vec![0.0, x[2], x[0]],
        ),
        scalar("relu layer with zeros", Right, vec![0.0, 0.0, 1.0, -1.0, 0.0], relu_sum, relu_slope),
        scalar("|x| - |y| at 0, (1, 1)", Right, vec![0.0, 0.0], |x| x[0].abs() - x[1].abs(), |_| vec![1.0, 1.0]),
        scalar("norm at 0", Right, vec![0.0; 4], norm, |_| vec![0.0; 4]),
        scalar(
            "l1 with many zeros",
            Right,
            (0..30).map(|i| f64::from(i % 3)).collect(),
            |x| x.iter().map(|x| x.abs()).sum(),
            |x| x.iter().map(|x| if *x > 0.0 { 1.0 } else { 0.0 }).collect(),
        ),
        // Noise and short types.
        one("exp + 1e-7 noise", RightOrNoisy, 0.5, |x| x.exp() + 1e-7 * hash(x.to_bits()), f64::exp),
        one("1e3 x + 1e-4 noise", RightOrNoisy, 0.5, |x| 1e3 * x + 1e-4 * hash(x.to_bits()), |_| 1e3),
        one("tanh with f32 input", RightOrNoisy, 0.4, |x| f64::from(x as f32).tanh(), |x| 1.0 / x.cosh().powi(2)),
        one("x^2 + sin in f32", RightOrNoisy, 0.9, |x| x * x + f64::from((x as f32).sin()), |x| 2.0 * x + x.cos()),
        one(
            "iteration stopped at 1e-8",
            RightOrNoisy,
            2.0,
            |a| {
                let mut x = a;
                while (x * x - a).abs() > 1e-8 {
                    x = 0.5 * (x + a / x);
                }
                x
            },
            |a| 0.5 / a.sqrt(),
        ),
        scalar(
            "norm in f32 of 1000",
            RightOrNoisy,
            sequence(1000, 3),
            |x| f64::from(x.iter().map(|x| (*x as f32).powi(2)).sum::<f32>().sqrt()),
            move |x| {
                let r = norm(x);
                x.iter().map(|x| x / r).collect()
            },
        ),
        // Large and right.
        scalar("norm of 1000", Right, sequence(1000, 3), norm, move |x| {
            let r = norm(x);
            x.iter().map(|x| x / r).collect()
        }),
        scalar(
            "products of neighbours, 2000",
            Right,
            sequence(2000, 4),
            |x| x.windows(2).map(|w| (w[0] * w[1]).sin()).sum(),
            |x| {
                let mut g = vec![0.0; x.len()];
                for i in 1..x.len() {
                    let c = (x[i - 1] * x[i]).cos();
                    g[i - 1] += c * x[i];
                    g[i] += c * x[i - 1];
                }
                g
            },
        ),
        scalar("relu layer of 3000", Right, sequence(3000, 5), relu_sum, relu_slope),
        // Wrong.
        one("exp at 30, off by 1e-7", Wrong, 30.0, f64::exp, |x| x.exp() * (1.0 + 1e-7)),
        one("ln at 5e-7, off by 1e-6", Wrong, 5e-7, f64::ln, |x| (1.0 + 1e-6) / x),
        one("x^2 at 1e8, off by 1e-8", Wrong, 1e8, |x| x * x, |x| 2.0 * x * (1.0 + 1e-8)),
        one("sin at 1e8, sign", Wrong, 1e8, f64::sin, |x| -x.cos()),
        one("sin(1e4 x), zero", Wrong, 1.0, |x| (1e4 * x).sin(), |_| 0.0),
        one("1e6 + sin x, off by 1e-3", Wrong, 1.0, |x| 1e6 + x.sin(), |x| x.cos() * 1.001),
        one("1e-12 scale, off by 1%", Wrong, 0.7, |x| 1e-12 * x.exp(), |x| 1.01e-12 * x.exp()),
        one("relu at 1e-7, 0", Wrong, 1e-7, |x| x.max(0.0), |_| 0.0),
        one("relu at 0, -0.1", Wrong, 0.0, |x| x.max(0.0), |_| -0.1),
        one("abs at 0, 1.01", Wrong, 0.0, f64::abs, |_| 1.01),
        one("abs at 1e-9, 0", Wrong, 1e-9, f64::abs, |_| 0.0),
        one("sqrt at 1e-8, doubled", Wrong, 1e-8, f64::sqrt, |x| 1.0 / x.sqrt()),
        one("x^1.5 + x at 0, 2", Wrong, 0.0, |x| x.powf(1.5) + x, |_| 2.0),
        one("infinite", Wrong, 1.0, f64::sin, |_| f64::INFINITY),
        one("zero for sin", Wrong, 1.0, f64::sin, |_| 0.0),
        one("sin in f32, off by 1%", Wrong, 1.0, |x| f64::from((x as f32).sin()), |x| 1.01 * x.cos()),
        one("sin in f32, zero", Wrong, 1.0, |x| f64::from((x as f32).sin()), |_| 0.0),
        one("tanh with f32 input, zero", Wrong, 0.4, |x| f64::from(x as f32).tanh(), |_| 0.0),
        one("sin + 1e-9 noise, off by 1e-3", Wrong, 1.0, |x| x.sin() + 1e-9 * hash(x.to_bits()), |x| x.cos() * 1.001),
        scalar("rosenbrock, a term lost", Wrong, vec![-1.2, 1.0], rosenbrock, |x| {
            vec![-400.0 * x[0] * (x[1] - x[0] * x[0]), 200.0 * (x[1] - x[0] * x[0])]
        }),
        scalar(
            "scales 1e4 and 1e-8, zeroed",
            Wrong,
            vec![2.0, 3.0],
            |x| 1e4 * x[0] + 1e-8 * x[1] * x[1],
            |_| vec![1e4, 0.0],
        ),
        scalar("max of three, half each", Wrong, vec![2.0; 3], highest, |_| vec![0.5; 3]),
        scalar("max of three, none", Wrong, vec![2.0; 3], highest, |_| vec![0.0; 3]),
        scalar("min at a tie, (1, 1)", Wrong, vec![-0.3, -0.3], |x| x[0].min(x[1]), |_| vec![1.0, 1.0]),
        scalar("|x - y| at a tie, (1, 1)", Wrong, vec![4.0, 4.0], |x| (x[0] - x[1]).abs(), |_| vec![1.0, 1.0]),
        scalar("norm at 0, ones", Wrong, vec![0.0; 4], norm, |_| vec![1.0; 4]),
        scalar("norm of 1000, one entry 1% off", Wrong, sequence(1000, 3), norm, move |x| {
            let r = norm(x);
            x.iter().enumerate().map(|(i, x)| x / r * if i == 400 { 1.01 } else { 1.0 }).collect()
        }),
        scalar(
            "2000 exponentials, two equal errors",
            Wrong,
            sequence(2000, 9),
            |x| x.iter().map(|x| x.exp()).sum(),
            |x| x.iter().enumerate().map(|(i, x)| x.exp() + f64::from(u8::from(i == 3 || i == 1500))).collect(),
        ),
        scalar(
            "3000 with sizes over 12 decades, smallest doubled",
            Wrong,
            sequence(3000, 2),
            |x| x.iter().enumerate().map(|(i, x)| 10f64.powf(-(i as f64) / 250.0) * x.sin()).sum(),
            |x| {
                let size = |i: usize| 10f64.powf(-(i as f64) / 250.0) * if i == 2500 { 2.0 } else { 1.0 };
                x.iter().enumerate().map(|(i, x)| size(i) * x.cos()).collect()
            },
        ),
        scalar("relu layer of 3000, one entry", Wrong, sequence(3000, 5), relu_sum, move |x| {
            let mut g = relu_slope(x);
            g[2000] = 1.0 - g[2000];
            g
        }),
        Case {
            name: "matrix product, pullback transposed",
            expected: Wrong,
            run: Box::new(|c| {
                let f = |x: &[f64]| vec![x[0] + 2.0 * x[1], 3.0 * x[0] + x[1] * x[1]];
                c.check_vjp(f, |x, v| vec![v[0] + 2.0 * v[1], 3.0 * v[0] + 2.0 * x[1] * v[1]], &[0.4, 0.9])
            }),
        },
        Case {
            name: "Hessian-vector product",
            expected: Right,
            run: Box::new(move |c| {
                c.check_jvp(
                    rosenbrock_gradient,
                    |x, d| {
                        let mixed = -400.0 * x[0];
                        let first = 2.0 - 400.0 * (x[1] - 3.0 * x[0] * x[0]);
                        vec![first * d[0] + mixed * d[1], mixed * d[0] + 200.0 * d[1]]
                    },
                    &[-1.2, 1.0],
                )
            }),
        },
        Case {
            name: "Hessian-vector product, mixed term lost",
            expected: Wrong,
            run: Box::new(move |c| {
                c.check_jvp(
                    rosenbrock_gradient,
                    |x, d| vec![(2.0 - 400.0 * (x[1] - 3.0 * x[0] * x[0])) * d[0], 200.0 * d[1]],
                    &[-1.2, 1.0],
                )
            }),
        },
    ]
}

#[test]
fn further_cases_have_no_error() {
    assert_without_error(&further_cases(), 4);
}
