//! Comparisons: a program fails exactly where the function takes another branch.

use wengert::Program;
use wengert::Real;
use wengert::trace::Recorded;

/// Comparisons of every kind, at both outcomes, with NaN and signed zeros, in one lane and in many.
#[test]
fn every_comparison() {
    type Test = for<'r> fn(Recorded<'r>) -> bool;
    type Plain = fn(f64) -> bool;
    use num_traits::Float;
    let tests: [(&str, Test, Plain); 12] = [
        ("<", |x| x < 1.0, |x| x < 1.0),
        ("<=", |x| x <= 1.0, |x| x <= 1.0),
        (">", |x| x > 1.0, |x| x > 1.0),
        (">=", |x| x >= 1.0, |x| x >= 1.0),
        ("==", |x| x == 1.0, |x| x == 1.0),
        ("!=", |x| x != 1.0, |x| x != 1.0),
        ("is_nan", |x| x.is_nan(), f64::is_nan),
        ("is_finite", |x| x.is_finite(), f64::is_finite),
        ("is_infinite", |x| x.is_infinite(), f64::is_infinite),
        ("is_sign_negative", |x| x.is_sign_negative(), f64::is_sign_negative),
        ("is_sign_positive", |x| x.is_sign_positive(), f64::is_sign_positive),
        ("is_normal", |x| x.is_normal(), f64::is_normal),
    ];
    let points = [1.0, 0.5, 1.5, -0.0, 0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324];
    for (name, test, plain) in tests {
        for here in points {
            for lanes in [1, 3, 17, 64] {
                let at = vec![here; lanes];
                let mut program =
                    Program::new(|x| x.iter().map(|&x| if test(x) { x.sin() } else { x.cos() }).sum(), &at).unwrap();
                for there in points {
                    let mut x = at.clone();
                    x[lanes / 2] = there;
                    let same = plain(here) == plain(there);
                    let mut gradient = vec![0.0; lanes];
                    let result = program.value_and_grad(&x, &mut gradient);
                    assert_eq!(result.is_ok(), same, "{name}: {here} then {there}, {lanes} lanes");
                }
            }
        }
    }
}

/// Comparisons of arithmetic see the roundings of the function, also where the two sides differ by one of them.
#[test]
fn a_comparison_within_a_rounding() {
    struct Ties;
    impl super::Function for Ties {
        fn call<R: Real<Base = f64>>(&self, x: &[R]) -> R {
            let term = |x: &[R]| if x[0] * x[1] - x[2] == R::zero() { x[0] } else { x[1].sin() + x[2] };
            x.chunks(3).map(term).sum()
        }
    }
    for lanes in [1, 3, 20] {
        let here: Vec<f64> = [2.0, 3.0, 5.0].repeat(lanes);
        let mut program = super::program(&Ties, &here);
        for k in 1..40 {
            let (a, b) = (0.1 * f64::from(k), 0.3);
            let mut there = here.clone();
            there[..3].copy_from_slice(&[a, b, a * b]);
            program.value(&there).expect_err("the difference is 0");
            // The recording at a tie passes at another tie and fails beside it.
            let mut tie = super::program(&Ties, &there);
            assert_eq!(tie.value(&there).unwrap(), super::Function::call(&Ties, &there));
            there[2] = f64::from_bits(there[2].to_bits() + 1);
            tie.value(&there).expect_err("the difference is a rounding");
        }
    }
}
