//! Random functions with branches: a program fails exactly where the function takes another branch.

use num_traits::Float;
use proptest::prelude::*;
use wengert::trace::Recorded;
use wengert::{AutoProgram, Dual, Program, Real, Var};

use super::on_tape;
use crate::support::cases::config;
use crate::support::close::{agree, largest};
use crate::support::programs::{INPUTS, Number, Step, combined, from_menu, menus, points, programs};

/// The value of a random program, some of whose steps branch, and the branches that it took.
fn branching<R: Number>(program: &[Step], inputs: &[R]) -> (R, Vec<bool>) {
    let (mut values, mut branches) = (inputs.to_vec(), Vec::new());
    for step in program {
        let [a, b] = step.operands.map(|i| values[i % values.len()]);
        let value = crate::support::programs::run(std::slice::from_ref(step), &values, false)[0];
        values.push(if step.retain {
            let greater = match step.row % 4 {
                0 => a > b,
                1 => a <= b,
                2 => value < R::lit(0.5),
                _ => value + a >= b * R::lit(2.0),
            };
            branches.push(greater);
            if greater { value } else { a - value * R::lit(0.5) }
        } else {
            value
        });
    }
    (combined(&values), branches)
}

fn plain(program: &[Step], x: &[f64]) -> (f64, Vec<bool>) {
    branching(program, x)
}

fn tape(program: &[Step], x: &[f64]) -> (f64, Vec<f64>) {
    wengert::value_and_grad(|x: &[Var<'_>]| branching(program, x).0, x)
}

/// Terms that branch.
struct Terms<'a>(&'a [(u8, [usize; 2])], f64);

impl super::Function for Terms<'_> {
    fn call<R: Real<Base = f64>>(&self, x: &[R]) -> R {
        let term = |x: R| {
            let y = from_menu(self.0, [x, x.sin(), x * R::lit(0.5)]);
            if x < R::lit(self.1) { y } else { y.square() + x }
        };
        x.iter().map(|&x| term(x)).sum()
    }
}

proptest! {
    #![proptest_config(config())]

    /// A program fails where another branch is taken and nowhere else; elsewhere it has the derivatives of the tape
    /// and of dual numbers.
    #[test]
    fn a_program_fails_where_a_branch_changes(steps in programs(), here in points(), there in points()) {
        let mut program = Program::new(|x| branching(&steps, x).0, &here).unwrap();
        let recorded = plain(&steps, &here).1;
        for at in [here, there] {
            let mut gradient = [9.0; INPUTS];
            let result = program.value_and_grad(&at, &mut gradient);
            prop_assert_eq!(result.is_ok(), plain(&steps, &at).1 == recorded, "{:?}", result);
            prop_assert_eq!(program.value(&at).is_ok(), result.is_ok());
            let Ok(value) = result else {
                prop_assert_eq!(gradient, [9.0; INPUTS]);
                continue;
            };
            let (want, partials) = tape(&steps, &at);
            prop_assert!(agree(value, want, 0.0), "value {value:e} {want:e}");
            for (i, (&got, &want)) in gradient.iter().zip(&partials).enumerate() {
                prop_assert!(agree(got, want, largest(&partials)), "partial {i}: {got:e} {want:e}");
                let x: [Dual<f64>; INPUTS] = std::array::from_fn(|j| Dual::new(at[j], [f64::from(i == j)]));
                let tangent = branching(&steps, &x).0.tangents()[0];
                prop_assert!(agree(got, tangent, largest(&partials)), "partial {i}: {got:e}, dual {tangent:e}");
            }
        }
    }

    /// A program that records again is right everywhere.
    #[test]
    fn a_program_that_records_again(steps in programs(), list in prop::collection::vec(points(), 1..12)) {
        let mut auto = AutoProgram::new(|x: &[Recorded<'_>]| branching(&steps, x).0).keep(3);
        let mut patterns = std::collections::HashSet::new();
        for at in &list {
            let mut gradient = [0.0; INPUTS];
            let value = auto.value_and_grad(at, &mut gradient).unwrap();
            let (want, partials) = tape(&steps, at);
            prop_assert!(agree(value, want, 0.0), "value {value:e} {want:e}");
            prop_assert!(gradient.iter().zip(&partials).all(|(&a, &b)| agree(a, b, largest(&partials))));
            patterns.insert(plain(&steps, at).1);
        }
        prop_assert!(auto.recordings() >= patterns.len() && auto.programs().len() <= 3);
        if patterns.len() <= 3 {
            prop_assert_eq!(auto.recordings(), patterns.len());
        }
    }

    /// Branches in lanes.
    #[test]
    fn branches_in_lanes(menu in menus(), n in 8..40_usize, flip in 0..40_usize, cut in -0.9..0.9_f64) {
        let f = Terms(&menu, cut);
        let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin()).collect();
        let mut program = super::program(&f, &x);
        super::assert_like_tape(&|| "as recorded".to_owned(), &mut program, &f, &x, 1e-11);
        let mut other = x.clone();
        let k = flip % n;
        other[k] = -other[k] + if other[k] < cut { 2.0 } else { -2.0 };
        let changed = (other[k] < cut) != (x[k] < cut);
        let mut gradient = vec![9.0; n];
        prop_assert_eq!(program.value_and_grad(&other, &mut gradient).is_err(), changed);
        prop_assert_eq!(gradient.iter().all(|&d| d == 9.0), changed);
        let mut auto = AutoProgram::new(|x: &[Recorded<'_>]| super::Function::call(&f, x));
        for at in [&x, &other, &x] {
            let (want, partials) = on_tape(&f, at);
            let value = auto.value_and_grad(at, &mut gradient).unwrap();
            prop_assert!(agree(value, want, 0.0));
            prop_assert!(gradient.iter().zip(&partials).all(|(&a, &b)| agree(a, b, largest(&partials))));
        }
        prop_assert_eq!(auto.recordings(), 1 + usize::from(changed));
    }
}

/// A name, and a comparison on recorded numbers and on floats.
type Comparison = (&'static str, for<'r> fn(Recorded<'r>) -> bool, fn(f64) -> bool);

/// Comparisons of every kind, at both outcomes, with NaN and signed zeros, in one lane and in many.
#[test]
fn every_comparison() {
    let tests: [Comparison; 12] = [
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
