//! Sums of a million terms against closed forms: fewer in a debug build.

use wengert::{BaseFloat, Program};

use super::{Function, assert_like_tape, function, program, run};

function!(Squares, |x| x.iter().map(|&x| x * x).sum());
function!(Telescope, |x| x.iter().map(|&x| (x * (x + R::one())).recip()).sum());
function!(Alternating, |x| {
    let signed = |(i, &x): (usize, &R)| if i % 2 == 0 { x.recip() } else { -x.recip() };
    x.iter().enumerate().map(signed).sum()
});

const N: usize = if cfg!(debug_assertions) { 30_000 } else { 1_000_000 };

fn numbers<F: BaseFloat>(n: usize) -> Vec<F> {
    (1..=n).map(|i| F::lit(i as f64)).collect()
}

/// The error of a sum relative to the sum `size` of its terms' sizes, in units of the float's ε.
fn error<F: BaseFloat>(f: &impl Function<F>, n: usize, exact: f64, size: f64) -> f64 {
    let x = numbers::<F>(n);
    let mut program: Program<F> = program(f, &x);
    let (value, gradient) = run(&mut program, &x);
    assert_eq!(gradient.len(), n);
    let epsilon = F::epsilon().to_f64().expect("a float");
    ((value.to_f64().expect("a float") - exact) / size).abs() / epsilon
}

/// Sums over lanes lose far less than the sum from left to right: at most 4 ε of the sum of the terms' sizes, where
/// that may lose n ε/2.
#[test]
fn a_million_terms() {
    let n = N as f64;
    let squares = n * (n + 1.0) * (2.0 * n + 1.0) / 6.0;
    let telescope = n / (n + 1.0);
    // Σ (-1)^(k+1)/k = ln 2 - 1/(2n) + 1/(4n²) - 1/(8n⁴) + .. for even n.
    let alternating = std::f64::consts::LN_2 - 0.5 / n + 0.25 / (n * n);
    let harmonic = n.ln() + 0.5772156649015329;
    macro_rules! both {
        ($f:ident, $exact:ident, $size:ident) => {
            (stringify!($exact), error::<f64>(&$f, N, $exact, $size), error::<f32>(&$f, N, $exact, $size))
        };
    }
    let errors = [
        both!(Squares, squares, squares),
        both!(Telescope, telescope, telescope),
        both!(Alternating, alternating, harmonic),
    ];
    println!("{errors:?}");
    for (name, double, single) in errors {
        assert!(double < 4.0 && single < 4.0, "{name}: {double} ε in f64, {single} ε in f32");
    }
}

/// The gradient of an operand that all terms share is such a sum, too.
#[test]
fn a_shared_operand_of_a_million_terms() {
    function!(Line, |x| x[1..].iter().map(|&t| x[0] * t).sum());
    let mut x = numbers::<f32>(N + 1);
    x[0] = 2.0;
    let mut line = program(&Line, &x);
    let (value, gradient) = run(&mut line, &x);
    let exact = (N as f64 + 1.0) * (N as f64 + 2.0) / 2.0 - 1.0;
    let error = |got: f32, want: f64| ((f64::from(got) - want) / want).abs() / f64::from(f32::EPSILON);
    let errors = [error(value, 2.0 * exact), error(gradient[0], exact)];
    println!("{errors:?}");
    assert!(errors.iter().all(|&e| e < 16.0), "{errors:?}");
    assert!(gradient[1..].iter().all(|&d| d == 2.0));
}

/// A sum over lanes is also a term, a factor, a side of a comparison or an output.
#[test]
fn sums_of_sums() {
    function!(TwoSums, |x| {
        let penalty: R = x.iter().map(|x| (x.square() + R::lit(0.1)).sqrt()).sum();
        x.windows(2).map(|w| ((w[0] - w[1]).sin() * w[1]).square()).sum::<R>() + penalty
    });
    function!(Penalised, |x| {
        let loss: R = x.windows(2).map(|w| ((w[0] * w[1]).exp() - R::one()).square()).sum();
        loss / R::lit(x.len() as f64) + R::lit(0.1) * x.iter().map(|x| (x.square() + R::one()).ln()).sum::<R>()
    });
    function!(OfParts, |x| x
        .chunks(20)
        .enumerate()
        .map(|(k, part)| part.iter().map(|&x| (x * R::lit(0.1 + k as f64)).sin().exp()).sum::<R>())
        .sum());
    function!(Shared, |x| {
        let s: R = x.iter().map(|x| (x.sin() * x.cos()).tanh()).sum();
        let t: R = x.iter().map(|x| (x.cos() * R::lit(0.5)).exp().sqrt()).sum();
        let terms = x.iter().map(|&x| (s * x).sin().square() * R::lit(0.1)).sum::<R>();
        terms + s + t + s * t - (if s < t { s } else { t }) + s
    });
    function!(Subtracted, |x| {
        let s: R = x.iter().map(|x| (x.sin() + R::lit(2.0)).ln().exp()).sum();
        let t: R = x.iter().map(|x| (x.cos() + R::lit(2.0)).sqrt().sin()).sum();
        x.iter().fold(s - t, |sum, x| sum - x.tanh().square().exp()) - s
    });
    macro_rules! check {
        ($($f:ident)*) => {$(
            for n in [2, 15, 16, 17, 40, 120, 500, 5000] {
                let point = |shift: f64| (0..n).map(|i| (0.7 * f64::from(i) + shift).sin()).collect::<Vec<f64>>();
                let mut program = program(&$f, &point(0.0));
                let (got, want) = (program.value(&point(0.1)).unwrap(), $f.call(&point(0.1)));
                assert!((got - want).abs() < 1e-11 * want.abs().max(1.0), "{}, {n}: {got}, should be {want}", stringify!($f));
                assert_like_tape(&|| format!("{}, {n} inputs", stringify!($f)), &mut program, &$f, &point(0.1), 1e-11);
            }
        )*};
    }
    check!(TwoSums Penalised OfParts Shared Subtracted);
}
