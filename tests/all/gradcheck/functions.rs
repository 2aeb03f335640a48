//! Functions of one variable, each with its gradient right and wrong by several factors.

use wengert::gradcheck::{GradCheck, Verdict};

type Function = fn(f64) -> f64;

#[test]
fn right_agrees_and_every_factor_is_found() {
    let cases: [(&str, f64, Function, Function); 21] = [
        ("tan near pole", 1.5703, f64::tan, |x| 1.0 / x.cos().powi(2)),
        ("x^x", 1e-3, |x| x.powf(x), |x| x.powf(x) * (x.ln() + 1.0)),
        ("sinh 1e-5", 1e-5, f64::sinh, f64::cosh),
        ("atan 1e6", 1e6, f64::atan, |x| 1.0 / (1.0 + x * x)),
        ("exp -1e-9", -1e-9, f64::exp, f64::exp),
        (
            "sigmoid 10",
            10.0,
            |x| 1.0 / (1.0 + (-x).exp()),
            |x| {
                let s = 1.0 / (1.0 + (-x).exp());
                s * (1.0 - s)
            },
        ),
        ("gauss 5", 5.0, |x| (-x * x).exp(), |x| -2.0 * x * (-x * x).exp()),
        ("1e12 + x^2", 3.0e3, |x| 1e12 + x * x, |x| 2.0 * x),
        ("acosh 1+1e-8", 1.0 + 1e-8, f64::acosh, |x| 1.0 / ((x - 1.0) * (x + 1.0)).sqrt()),
        ("sin 1e5x^2", 0.8, |x| (1e5 * x * x).sin(), |x| 2e5 * x * (1e5 * x * x).cos()),
        ("leaky at -1e-12", -1e-12, |x| if x > 0.0 { x } else { 0.01 * x }, |_| 0.01),
        ("clip inside", 0.999999, |x| x.clamp(-1.0, 1.0), |_| 1.0),
        ("clip outside", 1.000001, |x| x.clamp(-1.0, 1.0), |_| 0.0),
        ("poly 1e-30", 2.0, |x| 1e-30 * x * x * x, |x| 3e-30 * x * x),
        ("huge 1e250", 2.0, |x| 1e250 * x * x * x, |x| 3e250 * x * x),
        ("ln1p -1+1e-6", -1.0 + 1e-6, f64::ln_1p, |x| 1.0 / (1.0 + x)),
        ("erf-like tanh 0", 0.0, f64::tanh, |_| 1.0),
        ("1/(1+1e8 x^2)", 1e-4, |x| 1.0 / (1.0 + 1e8 * x * x), |x| -2e8 * x / (1.0 + 1e8 * x * x).powi(2)),
        ("cubic abs", 0.0, |x| x.abs().powi(3), |_| 0.0),
        ("max(x, x^2) at 1", 1.0, |x| x.max(x * x), |_| 1.5),
        ("sqrt(x^2+1e-10) at 1e-6", 1e-6, |x| (x * x + 1e-10).sqrt(), |x| x / (x * x + 1e-10).sqrt()),
    ];
    for (name, x, f, slope) in cases {
        // At the kink of this function every slope in [1, 2] is right.
        let factors = if name == "max(x, x^2) at 1" { &[2.0, -1.0, 0.0][..] } else { &[1.0 + 1e-5, 2.0, -1.0, 0.0] };
        for seed in 0..10 {
            let check = |factor: f64| {
                let gradient = |x: &[f64]| vec![factor * slope(x[0])];
                GradCheck::new().seed(seed).check(|x: &[f64]| f(x[0]), gradient, &[x])
            };
            let report = check(1.0).unwrap_or_else(|e| panic!("{name}, seed {seed}: {e}"));
            assert_eq!(report.verdict(), Verdict::Agrees, "{name}, seed {seed}: {report}");
            for factor in factors.iter().filter(|_| slope(x) != 0.0) {
                assert!(check(*factor).is_err(), "{name} times {factor}, seed {seed}");
            }
        }
    }
}
