//! Least squares against NIST's certified fits and against scipy; bad input.

use wengert::fit;
use wengert::fit::{FitError, LeastSquares, Loss, Stop};
use wengert::{LeftOf, Real64};

use crate::support::close::assert_near;
use crate::support::panics::panic_of;

/// One of NIST's datasets, as `tests/oracle/strd.py` wrote it.
struct Dataset {
    name: &'static str,
    starts: Vec<Vec<f64>>,
    certified: Vec<f64>,
    deviations: Vec<f64>,
    residual_deviation: f64,
    /// y and x.
    data: Vec<[f64; 2]>,
}

fn datasets() -> Vec<Dataset> {
    let text = include_str!("../../oracle/strd.txt");
    let number = |x: &str| -> f64 { x.parse().unwrap_or_else(|_| panic!("{x} is a number")) };
    let parse = |block: &'static str| {
        let mut lines = block.lines();
        let (name, _) = lines.next().and_then(|line| line.split_once(':')).expect("a name and a model");
        let mut column = || lines.next().expect("a line").split_whitespace().skip(1).map(number).collect::<Vec<f64>>();
        let starts = vec![column(), column()];
        let (certified, deviations, residual_deviation) = (column(), column(), column()[0]);
        let row = |line: &str| {
            let (y, x) = line.split_once(' ').expect("y and x");
            [number(y), number(x)]
        };
        Dataset { name, starts, certified, deviations, residual_deviation, data: lines.map(row).collect() }
    };
    text.split("\n\n").skip(1).map(parse).collect()
}

/// The model of a dataset.
fn model<R: Real64>(name: &str, b: &[R], x: f64) -> R
where
    f64: LeftOf<R>,
{
    // A polynomial whose coefficients are parameters, from that of x⁰ on.
    let polynomial = |b: &[R]| b.iter().rev().fold(R::zero(), |sum, &b| sum * x + b);
    let fraction = |top: usize| {
        let (top, bottom) = b.split_at(top);
        polynomial(top) / (polynomial(bottom) * x + 1.0)
    };
    let turn = std::f64::consts::TAU * x;
    match name {
        "Misra1a" | "BoxBOD" => b[0] * (1.0 - (-b[1] * x).exp()),
        "Misra1b" => b[0] * (1.0 - (b[1] * (x / 2.0) + 1.0).powi(-2)),
        "Misra1c" => b[0] * (1.0 - (b[1] * (2.0 * x) + 1.0).sqrt().recip()),
        "Misra1d" => b[0] * b[1] * x / (b[1] * x + 1.0),
        "Chwirut2" => (-b[0] * x).exp() / (b[1] + b[2] * x),
        "DanWood" => b[0] * (b[1] * x.ln()).exp(),
        "Lanczos1" | "Lanczos2" | "Lanczos3" => b.chunks(2).map(|b| b[0] * (-b[1] * x).exp()).sum(),
        "MGH09" => b[0] * (x * x + b[1] * x) / (b[2] * x + b[3] + x * x),
        "MGH10" => b[0] * (b[1] / (b[2] + x)).exp(),
        "MGH17" => b[0] + b[1] * (-b[3] * x).exp() + b[2] * (-b[4] * x).exp(),
        "Thurber" | "Hahn1" => fraction(4),
        "Kirby2" => fraction(3),
        "Rat42" => b[0] / ((b[1] - b[2] * x).exp() + 1.0),
        "Rat43" => b[0] / (((b[1] - b[2] * x).exp() + 1.0).ln() / b[3]).exp(),
        "Eckerle4" => b[0] / b[1] * (((b[2] - x) / b[1]).square() * -0.5).exp(),
        "Roszman1" => b[0] - b[1] * x - (b[2] / (x - b[3])).atan() / std::f64::consts::PI,
        "Bennett5" => b[0] * (-(b[1] + x).ln() / b[2]).exp(),
        "ENSO" => {
            let wave = |cycle: R, b: &[R]| {
                let angle = cycle.recip() * turn;
                b[0] * angle.cos() + b[1] * angle.sin()
            };
            b[0] + wave(R::lit(12.0), &b[1..3]) + wave(b[3], &b[4..6]) + wave(b[6], &b[7..9])
        }
        _ => panic!("no model of {name}"),
    }
}

#[test]
fn certified_parameters_and_deviations_are_found_from_both_starts() {
    let datasets = datasets();
    assert_eq!(datasets.len(), 22);
    let mut wrong = Vec::new();
    for Dataset { name, starts, certified, deviations, residual_deviation, data } in &datasets {
        // The residuals of Lanczos1 are the roundings of the data's last digit.
        let [digits, digits_of_errors] = if *name == "Lanczos1" { [1e-9, 1e-3] } else { [1e-6, 1e-6] };
        for (k, start) in starts.iter().enumerate() {
            let found = match fit(|b| data.iter().map(|&[y, x]| model(name, b, x) - y).collect(), start) {
                Ok(found) => found,
                Err(error) => {
                    wrong.push(format!("{name}, start {k}: {error}"));
                    continue;
                }
            };
            let worst = |got: &[f64], want: &[f64]| {
                got.iter().zip(want).fold(0.0, |worst: f64, (got, want)| worst.max((got / want - 1.0).abs()))
            };
            let errors = found.standard_errors().unwrap_or_else(|error| panic!("{name}, start {k}: {error}"));
            let sigma = found.residual_deviation().unwrap();
            let off = [
                worst(&found.parameters, certified),
                worst(&errors, deviations),
                worst(&[sigma], &[*residual_deviation]),
            ];
            if !(off[0] < digits && off[1] < digits_of_errors && off[2] < digits_of_errors) {
                wrong.push(format!("{name}, start {k}: off by {off:?}; {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The decay of `tests/oracle/least_squares.py`, with outliers.
fn data() -> Vec<[f64; 2]> {
    let mut data: Vec<[f64; 2]> = (0..12)
        .map(|i| f64::from(i) * 0.5)
        .map(|t| [t, 2.5 * (-0.7 * t).exp() + 0.3 + 0.05 * (9.0 * t + 1.0).sin()])
        .collect();
    data[3][1] += 2.0;
    data[8][1] -= 1.0;
    data
}

fn decay<R: Real64>(p: &[R], data: &[[f64; 2]]) -> Vec<R> {
    data.iter().map(|&[t, y]| p[0] * (-p[1] * t).exp() + p[2] - y).collect()
}

const START: [f64; 3] = [1.0, 1.0, 0.0];

#[track_caller]
fn assert_found(case: &str, found: Result<fit::Fit, FitError>, want: [f64; 3], cost: f64, tolerance: f64) {
    let found = found.unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_near(&format!("{case}, cost"), found.cost, cost, 1e-9);
    for (got, want) in found.parameters.iter().zip(want) {
        assert_near(&format!("{case}: {found:?}"), *got, want, tolerance);
    }
}

#[test]
fn robust_losses_find_the_minima_of_scipy() {
    let data = data();
    let cases = [
        (Loss::Square, [3.382849812780091, 0.32542269136505403, -0.5297101094703938], 2.2042261397400766),
        (Loss::Huber(0.1), [2.525463307837089, 0.6991484782071433, 0.2940273368699536], 0.30331973623984815),
        (Loss::SoftL1(0.1), [2.5304986427949188, 0.6947217250217524, 0.28955318234236926], 0.2937486943295125),
        (Loss::Cauchy(0.1), [2.492868525166243, 0.7467153280388932, 0.3361301548992122], 0.057525999858385364),
    ];
    for (loss, want, cost) in cases {
        let settings = LeastSquares::new().loss(loss);
        assert_found(&format!("{loss:?}"), settings.fit(|p| decay(p, &data), &START), want, cost, 1e-6);
        assert_found(&format!("{loss:?}, tape"), settings.fit_on_tape(|p| decay(p, &data), &START), want, cost, 1e-6);
    }
}

#[test]
fn bounds_hold_the_minimum_where_scipy_finds_it() {
    let data = data();
    let inf = f64::INFINITY;
    let cases = [
        ([(0.0, 10.0), (0.0, 0.5), (0.0, 10.0)], [2.93531642674413, 0.46390546705852687, 0.0], 2.2697591936906845),
        ([(0.0, 2.0), (0.0, inf), (-inf, inf)], [2.0, 0.505178797563262, 0.37055451656397437], 2.799530127835159),
        (
            [(-inf, 10.0), (-inf, inf), (-5.0, inf)],
            [3.382849812780091, 0.32542269136505403, -0.5297101094703938],
            2.2042261397400766,
        ),
    ];
    for (bounds, want, cost) in cases {
        let found = LeastSquares::new().bounds(&bounds).fit(|p| decay(p, &data), &[1.0, 0.4, 1.0]);
        assert_found(&format!("{bounds:?}"), found.clone(), want, cost, 1e-5);
        let inside = found.unwrap().parameters.into_iter().zip(bounds).all(|(p, (lo, hi))| lo <= p && p <= hi);
        assert!(inside, "{bounds:?}");
    }
}

#[test]
fn errors_and_covariance_are_those_of_scipy() {
    let data = data();
    let found = fit(|p| decay(p, &data), &START).unwrap();
    let errors = found.standard_errors().unwrap();
    for (got, want) in errors.into_iter().zip([1.4094369949359797, 0.3296625502310164, 1.5920708536561412]) {
        assert_near("error", got, want, 1e-5);
    }
    let covariance = found.covariance().unwrap();
    assert_near("covariance", covariance[[0, 1]], -0.38713239407917793, 1e-5);
    assert_eq!(covariance[[0, 1]], covariance[[1, 0]]);
    assert_eq!(found.degrees_of_freedom(), 9);
    let scale = found.residual_deviation().unwrap().powi(2);
    assert_near("unit errors", found.covariance_of_unit_errors().unwrap()[[0, 1]] * scale, covariance[[0, 1]], 1e-14);
}

/// By `tests/oracle/least_squares.py`: Huber's estimator in statsmodels.
#[test]
fn errors_of_robust_fits_are_those_of_statsmodels() {
    let data = data();
    let cases = [
        (Loss::Square, [1.4094368856727968, 0.3296625525025617, 1.5920707440524697]),
        (Loss::Huber(0.1), [0.07375494717054448, 0.05377604297092037, 0.05262794580402241]),
        (Loss::SoftL1(0.1), [0.08610978820507127, 0.06241301927609398, 0.06186927415818629]),
        (Loss::Cauchy(0.1), [0.04063462164657182, 0.031257805882028575, 0.02700217416242694]),
    ];
    for (loss, want) in cases {
        let found = LeastSquares::new().loss(loss).fit(|p| decay(p, &data), &START).unwrap();
        for (got, want) in found.standard_errors().unwrap().into_iter().zip(want) {
            assert_near(&format!("{loss:?}"), got, want, 1e-5);
        }
        // The Jacobian is that of the residuals, without the loss.
        let [p, q, _] = found.parameters[..] else { panic!("three parameters") };
        assert_near(&format!("{loss:?}"), found.jacobian()[[3, 1]], -p * 1.5 * (-q * 1.5).exp(), 1e-13);
    }
    let narrow = LeastSquares::new().loss(Loss::Huber(0.1)).fit(|p| vec![p[0] - 1.0, p[0] + 1.0], &[0.5]).unwrap();
    assert!(matches!(narrow.standard_errors(), Err(FitError::LossTooNarrow { .. })), "{narrow:?}");
}

#[test]
fn residuals_whose_squares_leave_the_exponents_are_refused() {
    for unit in [1e200, 1e-200] {
        let error = fit(|p| vec![(p[0] - 3.0) * unit, (p[0] - 3.5) * unit], &[1.0]).unwrap_err();
        assert!(matches!(error, FitError::Units { .. }), "{error}");
    }
    let error = LeastSquares::new().loss(Loss::Huber(1e-200)).fit(|p| vec![p[0] - 3.0], &[1.0]).unwrap_err();
    assert!(error.to_string().contains("scale of the loss"), "{error}");
}

#[test]
fn a_line_takes_one_step_whatever_its_units() {
    for unit in [1.0, 1e-150, 1e150] {
        let found = fit(|p| (0..5).map(|i| p[0] * (f64::from(i) / unit) - f64::from(i)).collect(), &[0.0]).unwrap();
        assert!((found.parameters[0] / unit - 1.0).abs() < 1e-12, "{found:?}");
    }
    let exact = fit(|p| vec![p[0] - 1.0, p[1] - 2.0, p[0] - p[1] + 1.0], &[1.0, 2.0]).unwrap();
    assert_eq!((exact.stop, exact.iterations, exact.cost), (Stop::Exact, 0, 0.0));
    assert_eq!(exact.standard_errors().unwrap(), [0.0, 0.0]);
}

#[test]
fn branches_are_recorded_again_and_domains_are_respected() {
    // A kink at 1, and a logarithm whose argument a full step makes negative.
    let found = fit(
        |p| vec![if p[0] > 1.0 { (p[0] - 1.0) * 3.0 } else { p[0] - 1.0 }, p[1].ln() * 5.0, p[0] - 1.0],
        &[4.0, 60.0],
    );
    let found = found.unwrap();
    assert_near("kink", found.parameters[0], 1.0, 1e-7);
    assert_near("logarithm", found.parameters[1], 1.0, 1e-7);
}

#[test]
fn bad_input_is_an_error_that_says_what_is_wrong() {
    let text = |found: Result<fit::Fit, FitError>| found.unwrap_err().to_string();
    assert_eq!(text(fit(|_| Vec::new(), &[])), "fit: no parameters");
    assert_eq!(
        text(fit(|p| vec![p[0] + p[1]], &[1.0, 2.0])),
        "fit: 1 residuals for 2 parameters; at least as many are needed"
    );
    assert_eq!(text(fit(|_| Vec::new(), &[1.0])), "fit: 0 residuals for 1 parameters; at least as many are needed");
    assert_eq!(text(fit(|p| vec![p[0], p[0].ln()], &[-1.0])), "fit: residual 1 is NaN at the start");
    assert_eq!(text(fit(|p| vec![p[0], p[0].recip()], &[0.0])), "fit: residual 1 is inf at the start");
    let root = text(fit(|p| vec![p[0] + 1.0, p[0].sqrt()], &[0.0]));
    assert_eq!(root, "fit: the derivative of residual 1 with respect to parameter 0 is not finite at [0.0]");
    assert!(text(fit(|p| vec![p[0]], &[f64::NAN])).contains("parameter 0 starts at NaN"));
    let outside = LeastSquares::new().bounds(&[(0.0, 1.0)]).fit(|p| vec![p[0]], &[1.0]);
    assert_eq!(text(outside), "fit: parameter 0 starts at 1, which is not a number between 0 and 1");
    let read = fit(|p| vec![p[0] * p[0].value()], &[1.0]);
    assert!(matches!(read, Err(FitError::Program(_))), "{read:?}");
    let short = LeastSquares::new().max_iterations(2).fit(|p| decay(p, &data()), &[1.0, 10.0, 5.0]);
    assert!(text(short).starts_with("fit: not converged after 2 iterations: cost"));
}

#[test]
fn parameters_that_cannot_be_told_apart_have_no_standard_errors() {
    // Only the sum of the parameters 0 and 2 counts.
    let found =
        fit(|p| (0..6).map(|i| (p[0] + p[2]) * f64::from(i) + p[1] - f64::from(i * i)).collect(), &[1.0; 3]).unwrap();
    let error = found.standard_errors().unwrap_err();
    assert!(matches!(&error, FitError::Singular { rank: 2, parameters, .. } if parameters == &[0, 2]), "{error}");
    // A parameter without influence.
    let found = fit(|p| vec![p[0] - 1.0, p[0] - 2.0, p[1] * 0.0], &[0.0, 7.0]).unwrap();
    assert_near("without influence", found.parameters[1], 7.0, 1e-12);
    let error = found.covariance_of_unit_errors().unwrap_err();
    assert_eq!(
        error.to_string(),
        "fit: the Jacobian has rank 1: the residuals do not tell the parameters [1] apart, which have no \
         standard errors"
    );
    let found = fit(|p| vec![p[0] - 1.0, p[1].exp() - 2.0], &[0.0, 0.0]).unwrap();
    assert_eq!(found.standard_errors().unwrap_err(), FitError::NothingLeft);
    assert_near("unit errors", found.covariance_of_unit_errors().unwrap()[[1, 1]], 0.25, 1e-12);
}

#[test]
fn wrong_settings_are_refused() {
    assert!(panic_of(|| LeastSquares::new().loss(Loss::Huber(0.0))).message.contains("positive and finite, it is 0"));
    assert!(panic_of(|| LeastSquares::new().tolerance(-1.0)).message.contains("must not be negative"));
    assert!(panic_of(|| LeastSquares::new().bounds(&[(1.0, 0.0)])).message.contains("from 1 to 0"));
    let bounded = LeastSquares::new().bounds(&[(0.0, 1.0)]);
    assert!(panic_of(|| bounded.fit(|p| vec![p[0], p[1]], &[0.5, 0.5])).message.contains("1 bounds for 2 parameters"));
    let counted = std::cell::Cell::new(1);
    let growing = || {
        LeastSquares::new().fit_on_tape(
            |p| {
                counted.set(counted.get() + 1);
                vec![p[0].square() - 2.0; counted.get()]
            },
            &[1.0],
        )
    };
    assert!(panic_of(growing).message.contains("their number must not change"));
}
