//! Operators, comparisons, formatting and the numeric traits of variables.

// Comparisons are tested in the forms that clippy would simplify.
#![allow(clippy::manual_range_contains, clippy::nonminimal_bool)]

use std::f64::consts::LN_2;

use num_traits::{Bounded, Float, FloatConst, Inv, MulAdd, Num, One, Pow, ToPrimitive, Zero};
use wengert::{Dual, Real, Tape, Var};

use crate::support::close::{assert_all_rounded, assert_rounded};

/// Tests z = a ∘ b for a = 7, b = 2 in every combination of variable, number and reference against the exact value
/// and partials.
macro_rules! operator_in_every_combination {
    ($test:ident, $op:tt, $assign:tt, $value:expr, $da:expr, $db:expr) => {
        #[test]
        #[allow(clippy::op_ref)]
        fn $test() {
            let tape: Tape = Tape::new();
            let [a, b] = tape.vars([7.0, 2.0]);
            let (c, d): (f64, f64) = (7.0, 2.0);
            for z in [a $op b, &a $op b, a $op &b, &a $op &b] {
                assert_eq!(z.value(), $value);
                assert_eq!(z.backward().wrt([a, b]), [$da, $db]);
            }
            for z in [a $op d, &a $op d, a $op &d, &a $op &d] {
                assert_eq!(z.value(), $value);
                assert_eq!(z.backward().wrt([a, b]), [$da, 0.0]);
            }
            for z in [c $op b, &c $op b, c $op &b, &c $op &b] {
                assert_eq!(z.value(), $value);
                assert_eq!(z.backward().wrt([a, b]), [0.0, $db]);
            }
            let constant = Var::constant(7.0);
            assert_eq!((constant $op b).backward().wrt([a, b]), [0.0, $db]);
            assert!((constant $op 2.0).is_constant());
            let mut z = [a; 4];
            z[0] $assign b;
            z[1] $assign &b;
            z[2] $assign d;
            z[3] $assign &d;
            for (i, z) in z.into_iter().enumerate() {
                assert_eq!(z.value(), $value);
                let db = if i < 2 { $db } else { 0.0 };
                assert_eq!(z.backward().wrt([a, b]), [$da, db]);
            }
            let tape = Tape::<f32>::default();
            let [a, b] = tape.vars([7.0, 2.0]);
            for (z, da, db) in [(a $op b, $da, $db), (a $op 2.0, $da, 0.0), (7.0 $op b, 0.0, $db)] {
                assert_eq!(z.value(), $value);
                assert_eq!(z.backward().wrt([a, b]), [da, db]);
            }
        }
    };
}

operator_in_every_combination! { addition, +, +=, 9.0, 1.0, 1.0 }

operator_in_every_combination! { subtraction, -, -=, 5.0, 1.0, -1.0 }

operator_in_every_combination! { multiplication, *, *=, 14.0, 2.0, 7.0 }

operator_in_every_combination! { division, /, /=, 3.5, 0.5, -1.75 }

operator_in_every_combination! { remainder, %, %=, 1.0, 1.0, -3.0 }

#[test]
#[allow(clippy::op_ref)]
fn operators_on_a_tape_of_duals() {
    let tape = Tape::<Dual<f64>>::default();
    let x = tape.var(Dual::new(3.0, [1.0]));
    let c = Dual::constant(2.0);
    // f(x) = 2/x - x (2 + x), f' = -2/x² - 2 - 2x, f'' = 4/x³ - 2.
    for f in [c / x - x * (c + x), &c / &x - &x * (&c + &x)] {
        let gradient = f.backward()[x];
        assert_rounded(gradient.primal(), -2.0 / 9.0 - 8.0);
        assert_rounded(gradient.tangents()[0], 4.0 / 27.0 - 2.0);
    }
}

#[test]
fn negation() {
    let tape: Tape = Tape::new();
    let x = tape.var(3.0);
    for y in [-x, -&x] {
        assert_eq!((y.value(), y.backward()[x]), (-3.0, -1.0));
    }
}

#[test]
fn precedence_of_a_plain_formula() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 5.0]);
    let z = 1.0 - 2.0 * x / y + x * x * y - -y;
    assert_eq!(z.value(), 1.0 - 0.8 + 20.0 + 5.0);
    // ∂x = -2/y + 2xy, ∂y = 2x/y² + x² + 1.
    assert_all_rounded(&z.backward().wrt([x, y]), &[19.6, 0.16 + 5.0]);
}

#[test]
fn comparison_looks_at_the_value() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    assert!(x < y && y > x && x <= y && x != y);
    assert!(x == 2.0 && x < 2.5 && x >= 2.0 && x != 1.0);
    assert!(x * y == y * x, "equal values on different slots");
    assert!(x == Var::constant(2.0));
    let nan = x * f64::NAN;
    assert!(nan != nan && nan.partial_cmp(&x).is_none());
}

#[test]
fn display_is_the_values_and_debug_shows_the_slot() {
    let tape: Tape = Tape::new();
    let x = tape.var(0.5);
    let y = 3.0 * x;
    assert_eq!(format!("{y} {y:.3} {y:8.1}| {y:e} {y:+}"), "1.5 1.500      1.5| 1.5e0 +1.5");
    assert_eq!(format!("{y:?}"), "Var { value: 1.5, slot: 1, weight: 3.0 }");
    assert_eq!(format!("{:?}", Var::constant(2.0)), "Var { value: 2.0 }");
    assert_eq!(format!("{:?}", y.backward()), "Gradient { adjoints: Some([3.0]) }");
    assert!(format!("{tape:?}").starts_with("Tape { len: 1, memory: "));
}

#[test]
fn numeric_traits() {
    type V<'t> = Var<'t, f64>;
    let tape: Tape = Tape::new();
    let x = tape.var(4.0);
    assert!(V::zero().is_zero() && V::zero().is_constant() && V::one() == 1.0 && V::one().is_one());
    assert!(!x.is_zero());
    assert_eq!(<V<'_> as Num>::from_str_radix("101", 2).expect("binary digits"), 5.0);
    assert!(<V<'_> as Num>::from_str_radix("x", 10).is_err());
    assert_eq!((x.to_i64(), x.to_u64(), x.to_f32(), x.to_f64()), (Some(4), Some(4), Some(4.0), Some(4.0)));
    assert_eq!((-x).to_u64(), None);
    assert_eq!(<V<'_> as num_traits::NumCast>::from(3_u8).expect("fits"), 3.0);
    assert_eq!(<V<'_> as Bounded>::max_value(), f64::MAX);
    assert_eq!(<V<'_> as Bounded>::min_value(), f64::MIN);
    assert_eq!(V::PI(), std::f64::consts::PI);
    assert_eq!(V::LOG10_2(), std::f64::consts::LOG10_2);
    assert_eq!(Inv::inv(x).backward()[x], -1.0 / 16.0);
    assert_eq!(Pow::pow(x, 3_i32).backward()[x], 48.0);
    assert_eq!(Pow::pow(x, V::constant(0.5)).backward()[x], 0.25);
    let [a, b] = tape.vars([2.0, 5.0]);
    let z = MulAdd::mul_add(x, a, b);
    assert_eq!((z.value(), z.backward().wrt([x, a, b])), (13.0, [2.0, 4.0, 1.0]));
    assert_eq!(x.mul_add(0.5, 1.0).backward()[x], 0.5);
}

#[test]
fn float_methods_without_a_rule() {
    type V<'t> = Var<'t, f64>;
    let tape: Tape = Tape::new();
    let x = tape.var(-2.5);
    assert!(V::nan().is_nan() && V::infinity().is_infinite() && V::neg_infinity() < x);
    assert!(V::neg_zero().is_sign_negative() && V::epsilon() == f64::EPSILON);
    assert!(x.is_finite() && x.is_normal() && x.is_sign_negative() && !x.is_sign_positive());
    assert_eq!(Float::classify(x), std::num::FpCategory::Normal);
    assert_eq!(Float::integer_decode(x), (-2.5_f64).integer_decode());
    assert_eq!((V::min_positive_value().value(), <V<'_> as Float>::max_value().value()), (f64::MIN_POSITIVE, f64::MAX));
    let y = tape.var(1.0);
    #[allow(deprecated)]
    let (below, above) = (Float::abs_sub(x, y), Float::abs_sub(y, x));
    assert_eq!((below.value(), above.value()), (0.0, 3.5));
    assert_eq!(above.backward().wrt([x, y]), [-1.0, 1.0]);
    let (sin, cos) = x.sin_cos();
    assert_eq!((sin.value(), cos.value()), (-2.5_f64).sin_cos());
    assert_eq!(sin.backward()[x], (-2.5_f64).cos());
    assert_eq!(cos.backward()[x], -(-2.5_f64).sin());
    assert_eq!(Float::clamp(x, V::constant(-1.0), V::one()).value(), -1.0);
}

#[test]
fn rules_with_parameters_of_either_kind() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([8.0, 2.0]);
    assert_eq!(x.powf(2.0).backward()[x], 16.0);
    assert_all_rounded(&x.powf(y).backward().wrt([x, y]), &[16.0, 64.0 * 8_f64.ln()]);
    assert_all_rounded(&x.log(y).backward().wrt([x, y]), &[1.0 / (8.0 * LN_2), -1.5 / LN_2]);
    assert_eq!(x.max(9.0).backward()[x], 0.0);
    assert_eq!(x.min(y).backward().wrt([x, y]), [0.0, 1.0]);
    assert_eq!(x.hypot(6.0).backward()[x], 0.8);
    assert_eq!(x.leaky_relu(0.1).backward()[x], 1.0);
    assert_eq!((-x).leaky_relu(0.1).backward()[x], -0.1);
    assert_rounded((-y).elu(2.0).backward()[y], -2.0 * (-2_f64).exp());
    assert_eq!(x.clamp(0.0, 1.0).backward()[x], 0.0);
    assert_eq!(x.powi(i32::MIN).backward()[x], 0.0);
}

#[test]
fn generic_code_runs_on_every_number() {
    fn f<R: Real>(x: R) -> R {
        let mut y = R::lit(0.5) * x.sigmoid() + x.sin() / R::from_base(x.to_base());
        y += x;
        y *= x;
        [y, x].into_iter().sum::<R>() + [x, x].into_iter().product::<R>()
    }
    let tape: Tape = Tape::new();
    let x = tape.var(0.3);
    let y = f(x);
    let dual = f(Dual::new(0.3, [1.0]));
    assert_eq!((y.value(), dual.primal()), (f(0.3), f(0.3)));
    assert_rounded(y.backward()[x], dual.tangents()[0]);
}
