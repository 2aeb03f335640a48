//! The scalar tape: operators, traits, n-ary functions, weights, sweeps.

// Comparisons, references and empty arrays are what is tested.
#![allow(
    clippy::manual_range_contains,
    clippy::nonminimal_bool,
    clippy::zero_repeat_side_effects,
    clippy::items_after_statements
)]

use std::f64::consts::LN_2;

use num_traits::{Bounded, Float, FloatConst, Inv, MulAdd, Num, One, Pow, ToPrimitive, Zero};
use wengert::{Dual, Real, Tape, Var, dot, fuse, log_sum_exp, mean, norm, softmax, sum};

const INF: f64 = f64::INFINITY;

#[track_caller]
fn assert_close(got: f64, want: f64) {
    let allowed = 8.0 * f64::EPSILON * want.abs();
    assert!((got - want).abs() <= allowed, "{got:e} should be {want:e}");
}

#[track_caller]
fn assert_all_close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (&got, &want) in got.iter().zip(want) {
        assert_close(got, want);
    }
}

// ---------------------------------------------------------------------------------------------
// Operators

/// z = a ∘ b for a = 7, b = 2 in every combination of variable, number and reference; the expected
/// value and partials are exact.
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
        assert_close(gradient.primal(), -2.0 / 9.0 - 8.0);
        assert_close(gradient.tangents()[0], 4.0 / 27.0 - 2.0);
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
    assert_all_close(&z.backward().wrt([x, y]), &[19.6, 0.16 + 5.0]);
}

// ---------------------------------------------------------------------------------------------
// Traits

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
    let tape: Tape = Tape::new();
    let x = tape.var(-2.5);
    type V<'t> = Var<'t, f64>;
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
    assert_all_close(&x.powf(y).backward().wrt([x, y]), &[16.0, 64.0 * 8_f64.ln()]);
    assert_all_close(&x.log(y).backward().wrt([x, y]), &[1.0 / (8.0 * LN_2), -1.5 / LN_2]);
    assert_eq!(x.max(9.0).backward()[x], 0.0);
    assert_eq!(x.min(y).backward().wrt([x, y]), [0.0, 1.0]);
    assert_eq!(x.hypot(6.0).backward()[x], 0.8);
    assert_eq!(x.leaky_relu(0.1).backward()[x], 1.0);
    assert_eq!((-x).leaky_relu(0.1).backward()[x], -0.1);
    assert_close((-y).elu(2.0).backward()[y], -2.0 * (-2_f64).exp());
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
    assert_close(y.backward()[x], dual.tangents()[0]);
}

// ---------------------------------------------------------------------------------------------
// Sums and n-ary functions

#[test]
fn sums_of_any_length() {
    for n in [0, 1, 2, 3, 4, 5, 63, 64, 65, 1000, 100_001] {
        let tape: Tape = Tape::new();
        let values: Vec<f64> = (0..n).map(f64::from).collect();
        let x = tape.vars_from(&values);
        let total: f64 = values.iter().sum();
        for y in [x.iter().sum::<Var<'_>>(), x.iter().copied().sum(), sum(x)] {
            assert_eq!(y.value(), total, "{n} terms");
            assert_eq!(y.is_constant(), n == 0);
            if n > 0 {
                assert_eq!(y.backward().wrt(x), vec![1.0; n as usize], "{n} terms");
            }
        }
    }
}

#[test]
fn a_sum_of_constants_and_variables() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let c = Var::constant(10.0);
    let total: Var<'_> = [c, x, c, 2.0 * y, x, x.square(), c].into_iter().sum();
    assert_eq!(total.value(), 44.0);
    assert_eq!(total.backward().wrt([x, y]), [6.0, 2.0]);
    let constants: Var<'_> = [c, c].into_iter().sum();
    assert!(constants.is_constant() && constants == 20.0);
    // After constants alone the memory of the terms is not lost, nor are stale terms in it.
    let again: Var<'_> = [x, y, c].into_iter().sum();
    assert_eq!(again.backward().wrt([x, y]), [1.0, 1.0]);
}

#[test]
fn a_long_sum_is_no_chain() {
    let tape: Tape = Tape::new();
    let x = tape.vars_from(&[1.0; 1000]);
    let before = tape.len();
    let _ = x.iter().sum::<Var<'_>>();
    assert_eq!(tape.len() - before, 1, "slots in arithmetic progression");
    let irregular: Vec<_> = (0..1000).map(|i| x[i * i % 1000]).collect();
    let before = tape.len();
    let _ = irregular.iter().map(|x| 2.0 * *x).sum::<Var<'_>>();
    assert_eq!(tape.len() - before, 501, "two terms a cell, and a head");
}

/// Sums of nodes whose slots are in arithmetic progression, of others, of both, in any order.
#[test]
fn sums_of_runs() {
    let tape: Tape = Tape::new();
    let x = tape.vars_from(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    for picks in [
        &[0, 1, 2, 3, 4, 5, 6, 7][..],
        &[0, 2, 4, 6],
        &[1, 4, 7],
        &[7, 6, 5, 4, 3, 2, 1, 0],
        &[3, 3, 3, 3],
        &[0, 1, 2, 2, 4, 6, 6, 5, 4, 7],
        &[5, 6, 0, 1, 2, 3],
        &[3, 0, 1, 2, 3, 4, 5, 6, 7, 7, 6, 0, 1, 2, 3, 4, 5, 6, 7, 1],
        &[2, 7],
        &[4],
    ] {
        let mut counts = [0.0; 8];
        for &i in picks {
            counts[i] += 1.0;
        }
        let total: Var<'_> = picks.iter().map(|&i| x[i]).sum();
        assert_eq!(total.value(), picks.iter().map(|&i| x[i].value()).sum::<f64>());
        assert_eq!(total.backward().wrt(x), counts, "{picks:?}");
        // Products have slots of their own, which others may use too; a weight or a constant between.
        let mut square = None;
        let mixed: Var<'_> = picks
            .iter()
            .flat_map(|&i| {
                let product = x[i] * x[(i + 1) % 8];
                square = square.or(Some(product.square()));
                [product, -3.0 * x[i], Var::constant(1.0)]
            })
            .sum();
        let mut expected = [0.0; 8];
        for &i in picks {
            expected[i] += x[(i + 1) % 8].value() - 3.0;
            expected[(i + 1) % 8] += x[i].value();
        }
        assert_eq!(mixed.backward().wrt(x), expected, "{picks:?}");
        let (a, b) = (picks[0], (picks[0] + 1) % 8);
        let size = x[a].value() * x[b].value();
        expected[a] += 2.0 * size * x[b].value();
        expected[b] += 2.0 * size * x[a].value();
        assert_eq!((mixed + square.unwrap()).backward().wrt(x), expected, "{picks:?}");
    }
}

/// A sum passes infinities on, and nothing where it is not used.
#[test]
fn a_sum_with_infinite_cotangent() {
    let tape: Tape = Tape::new();
    let [x, y, z] = tape.vars([1.0, 2.0, 3.0]);
    let total = [x * y, y * z, x * z].into_iter().sum::<Var<'_>>();
    let gradient = (total - 11.0).sqrt().backward();
    assert!(gradient.wrt([x, y, z]).iter().all(|d| *d == f64::INFINITY));
    assert_eq!((total * 0.0 + x).backward().wrt([x, y, z]), [1.0, 0.0, 0.0]);
}

#[test]
fn products() {
    let tape: Tape = Tape::new();
    assert!([Var::<'_, f64>::constant(1.0); 0].into_iter().product::<Var<'_>>() == 1.0);
    let [x, y, z] = tape.vars([2.0, 3.0, 5.0]);
    assert_eq!([x].iter().product::<Var<'_>>().backward()[x], 1.0);
    let c = Var::constant(7.0);
    let p: Var<'_> = [x, c, y, z, x].into_iter().product();
    assert_eq!((p.value(), p.backward().wrt([x, y, z])), (420.0, [420.0, 140.0, 84.0]));
    // Where a factor is 0 the quotient p/x is no derivative.
    let [a, b, c] = tape.vars([0.0, 3.0, 0.0]);
    assert_eq!([a, b].iter().product::<Var<'_>>().backward().wrt([a, b]), [3.0, 0.0]);
    assert_eq!([a, b, c].iter().product::<Var<'_>>().backward().wrt([a, b, c]), [0.0; 3]);
}

#[test]
fn dot_products() {
    let tape: Tape = Tape::new();
    let x = tape.vars_from(&[1.0, 2.0, 3.0]);
    let c = [4.0, 5.0, 6.0].map(Var::constant);
    assert_eq!(dot(x, &c).value(), 32.0);
    assert_eq!(dot(x, &c).backward().wrt(x), [4.0, 5.0, 6.0]);
    assert_eq!(dot(&c, x).backward().wrt(x), [4.0, 5.0, 6.0]);
    assert_eq!(dot(x, x).backward().wrt(x), [2.0, 4.0, 6.0]);
    assert!(dot(&c, &c).is_constant() && dot(&c, &c) == 77.0);
    assert!(dot::<f64>(&[], &[]) == 0.0);
    // One pair is a record of two terms, and of the same slot twice.
    assert_eq!(dot(&x[2..], &x[2..]).backward()[x[2]], 6.0);
    // Zero times infinity in another pair does not spread.
    let y = tape.vars([0.0, 1.0]);
    let d = dot(&[y[0].sqrt(), y[1]], &[Var::constant(0.0), y[1]]);
    assert_eq!(d.backward().wrt(y), [0.0, 2.0]);
}

#[test]
fn means_and_norms() {
    let tape: Tape = Tape::new();
    let x = tape.vars_from(&[3.0, 4.0, 12.0]);
    assert_close(mean(x).value(), 19.0 / 3.0);
    assert_eq!(mean(x).backward().wrt(x), [1.0 / 3.0; 3]);
    assert!(mean::<f64>(&[]).is_nan());
    assert_close(norm(x).value(), 13.0);
    assert_all_close(&norm(x).backward().wrt(x), &[3.0 / 13.0, 4.0 / 13.0, 12.0 / 13.0]);
    let origin = tape.vars([0.0; 3]);
    assert_eq!(norm(&origin).backward().wrt(origin), [0.0; 3]);
    assert!(norm::<f64>(&[]) == 0.0 && norm::<f64>(&[]).is_constant());
    // In subnormal numbers too: 3 and 4 times the least.
    let tiny = tape.vars([3.0 * 5e-324, 4.0 * 5e-324]);
    assert_eq!(norm(&tiny).value(), 5.0 * 5e-324);
    assert_all_close(&norm(&tiny).backward().wrt(tiny), &[0.6, 0.8]);
    // At infinity as `hypot`, of which it is the many-operand form.
    let far = tape.vars([-INF, 1.0]);
    assert_eq!(norm(&far).value(), INF);
    assert_eq!(norm(&far).backward().wrt(far), far[0].hypot(far[1]).backward().wrt(far));
    for nan in [[f64::NAN, 1.0], [1.0, f64::NAN]] {
        assert!(norm(&tape.vars(nan)).is_nan());
    }
}

#[test]
fn log_sum_exp_and_softmax() {
    let tape: Tape = Tape::new();
    // mpmath: log(exp(1) + exp(2) + exp(3)) and the three quotients.
    let x = tape.vars_from(&[1.0, 2.0, 3.0]);
    let p = [0.09003057317038046, 0.24472847105479764, 0.6652409557748218];
    assert_close(log_sum_exp(x).value(), 3.4076059644443806);
    assert_all_close(&log_sum_exp(x).backward().wrt(x), &p);
    let rows = softmax(x);
    for (i, row) in rows.iter().enumerate() {
        assert_close(row.value(), p[i]);
        let jacobian = [0, 1, 2].map(|j| p[i] * (f64::from(i == j) - p[j]));
        assert_all_close(&row.backward().wrt(x), &jacobian);
    }
    assert!(softmax::<f64>(&[]).is_empty());
    assert!(log_sum_exp::<f64>(&[]) == -INF);
    // Shifted by 1000 the exponentials would overflow; with -inf a term vanishes.
    let far = tape.vars([1000.0, 1000.0 + LN_2]);
    assert_close(log_sum_exp(&far).value(), 1000.0 + 3_f64.ln());
    let masked = tape.vars([0.0, -INF]);
    assert_eq!(log_sum_exp(&masked).backward().wrt(masked), [1.0, 0.0]);
    assert_eq!(softmax(&masked)[0].backward().wrt(masked), [0.0, 0.0]);
    // One operand: the identity, and the constant 1.
    let one = tape.var(-5.0);
    assert_eq!(log_sum_exp(&[one]).backward()[one], 1.0);
    assert_eq!((softmax(&[one])[0].value(), softmax(&[one])[0].backward()[one]), (1.0, 0.0));
    // Everything masked, and infinity: no NaN by accident.
    let none = tape.vars([-INF, -INF]);
    assert_eq!(log_sum_exp(&none).value(), -INF);
    assert_eq!(log_sum_exp(&none).backward().wrt(none), [0.5, 0.5]);
    let infinite = tape.vars([INF, 0.0]);
    assert_eq!(log_sum_exp(&infinite).value(), INF);
    assert_eq!(log_sum_exp(&infinite).backward().wrt(infinite), [1.0, 0.0]);
    assert!(log_sum_exp(&tape.vars([f64::NAN, 1.0])).is_nan());
}

#[test]
fn fused_expressions() {
    let tape: Tape = Tape::new();
    let [x, y, z] = tape.vars([1.5, 2.0, 0.25]);
    // One operand, several, none that matters.
    let one = fuse([x], |[x]| x.square() * x);
    assert_eq!((one.value(), one.backward()[x]), (3.375, 6.75));
    let three = fuse([x, y, z], |[x, y, z]| x * y - z / y);
    assert_eq!(three.value(), 2.875);
    assert_eq!(three.backward().wrt([x, y, z]), [2.0, 1.5 + 0.0625, -0.5]);
    // A repeated operand adds up.
    let repeated = fuse([x, x, x], |[a, b, c]| a * b * c);
    assert_eq!(repeated.backward()[x], 6.75);
    // Constants among the operands, and an operand the result does not use.
    let mixed = fuse([Var::constant(3.0), x, y], |[c, x, _]| c * x);
    assert_eq!(mixed.backward().wrt([x, y]), [3.0, 0.0]);
    let constant = fuse([Var::<f64>::constant(3.0)], |[c]| c * c);
    assert!(constant.is_constant() && constant == 9.0);
    let none = fuse([x, y], |_| Dual::constant(7.0));
    assert_eq!((none.value(), none.backward().wrt([x, y])), (7.0, [0.0, 0.0]));
    // Operands that are no nodes carry their weight.
    let weighted = fuse([x.square(), -y], |[a, b]| a * b);
    assert_eq!(weighted.backward().wrt([x, y]), [-6.0, -2.25]);
    // A zero partial silences an infinite weight.
    let zero = tape.var(0.0);
    let silent = fuse([zero.sqrt(), y], |[a, b]| a * 0.0 + b);
    assert_eq!(silent.backward().wrt([zero, y]), [0.0, 1.0]);
}

// ---------------------------------------------------------------------------------------------
// Handles and sweeps

#[test]
fn retained_intermediates() {
    let tape: Tape = Tape::new();
    let x = tape.var(2.0);
    let h = x.square().retain();
    let y = (3.0 * h + h * x).retain();
    let z = y.exp().ln();
    let gradient = z.backward();
    assert_close(gradient[y], 1.0);
    assert_close(gradient[h], 5.0);
    assert_close(gradient[x], 4.0 * 5.0 + 4.0);
    let before = tape.len();
    assert_eq!(gradient[h.retain()], gradient[h]);
    assert!(Var::constant(1.0).retain().is_constant());
    assert_eq!(tape.len(), before, "a node is its own retained handle");
}

#[test]
fn functions_of_one_variable_record_nothing() {
    let tape: Tape = Tape::new();
    let x = tape.var(0.5);
    let y = -((2.0 * x.sin() + 1.0).exp() / 3.0).powi(2);
    assert_eq!(tape.len(), 1);
    let z = y * x + x.cos();
    assert_eq!(tape.len(), 1, "a join of one slot with itself only adds weights");
    let u = 2.0 * 0.5_f64.sin() + 1.0;
    let (g, dg) = ((u.exp() / 3.0).powi(2), 2.0 * (u.exp() / 3.0) * (u.exp() / 3.0) * 2.0 * 0.5_f64.cos());
    assert_close(z.backward()[x], -dg * 0.5 - g - 0.5_f64.sin());
}

#[test]
fn several_gradients_at_once() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let (a, b) = (x * y, x / y);
    let first = a.backward();
    let second = b.backward();
    let c = a * b; // recorded while gradients live
    let third = c.backward();
    assert_eq!(first.wrt([x, y]), [3.0, 2.0]);
    assert_all_close(&second.wrt([x, y]), &[1.0 / 3.0, -2.0 / 9.0]);
    assert_all_close(&third.wrt([x, y]), &[4.0, 0.0]); // c = x²
    assert_close(third[a], 2.0 / 3.0);
    assert_eq!(a.backward().wrt([x, y]), first.wrt([x, y]));
}

#[test]
fn a_sweep_into_existing_memory() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let (early, late) = (x * y, (x * y) / (x + y));
    let mut gradient = late.backward();
    early.backward_into(&mut gradient);
    assert_eq!(gradient.wrt([x, y]), [3.0, 2.0]);
    late.backward_into(&mut gradient);
    assert_all_close(&gradient.wrt([x, y]), &[9.0 / 25.0, 4.0 / 25.0]);
    late.backward_into(&mut gradient);
    assert_all_close(&gradient.wrt([x, y]), &[9.0 / 25.0, 4.0 / 25.0]);
    // Inputs that were made since are covered, as by a fresh sweep.
    let z = tape.var(1.0);
    (x * z).backward_into(&mut gradient);
    assert_eq!(gradient.wrt([x, y, z]), [1.0, 0.0, 2.0]);
}

#[test]
fn a_sweep_from_the_middle() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let a = (x * y).retain();
    let b = (a + y).retain();
    let c = (b * x).retain();
    assert_eq!(b.backward().wrt([x, y, a]), [3.0, 3.0, 1.0]);
    assert_eq!(a.backward().wrt([x, y, a]), [3.0, 2.0, 1.0]);
    assert_eq!(c.backward().wrt([a, b, x]), [2.0, 2.0, 9.0 + 6.0]);
    assert_eq!(x.backward().wrt([x, y]), [1.0, 0.0], "an input is its own output");
    assert_eq!((3.0 * x).backward()[x], 3.0);
}

#[test]
fn wide_records_swept_from_the_middle() {
    let tape: Tape = Tape::new();
    let x = tape.vars_from(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    let mut sums = Vec::new();
    for n in 1..=5 {
        sums.push(dot(&x[..n], &x[..n])); // records of 1, 2, ... cells between each other
        sums.push(sum(&x[..n]) * x[0]);
    }
    let later = tape.var(7.0);
    for (i, y) in sums.iter().enumerate() {
        let n = i / 2 + 1;
        let mut expected = [0.0; 5];
        for (j, d) in expected[..n].iter_mut().enumerate() {
            *d = if i % 2 == 0 { 2.0 * (j + 1) as f64 } else { 1.0 };
        }
        if i % 2 == 1 {
            expected[0] += (1..=n).sum::<usize>() as f64;
        }
        assert_eq!(y.backward().wrt(x), expected, "output {i}");
    }
    let all: Var<'_> = sums.iter().map(|&y| y * later).sum();
    assert_eq!(all.backward()[later], sums.iter().map(|y| y.value()).sum::<f64>());
}

#[test]
fn inputs_and_records_interleaved() {
    let tape: Tape = Tape::new();
    let mut total = tape.var(1.0);
    let mut inputs = vec![total];
    for i in 0..100 {
        let x = tape.var(f64::from(i));
        total = total * 1.0 + x * total / total;
        inputs.push(x);
    }
    let gradient = total.backward();
    for (i, &x) in inputs.iter().enumerate() {
        assert_close(gradient[x], 1.0);
        assert_eq!(x.backward()[x], 1.0, "{i}");
    }
}

#[test]
fn clear_keeps_nothing_but_memory() {
    let mut tape = Tape::with_capacity(10);
    let run = |tape: &Tape| {
        let x = tape.vars_from(&[0.5, 1.5]);
        let y = (x[0] * x[1]).sin() + dot(x, x);
        (y.backward().wrt(x), tape.len())
    };
    let first = run(&tape);
    tape.clear();
    assert!(tape.is_empty());
    assert_eq!(run(&tape), first);
}

// ---------------------------------------------------------------------------------------------
// Pending weights

#[test]
fn cancellation_and_repetition() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    for (z, expected) in [
        (x - x, [0.0, 0.0]),
        (x * x, [4.0, 0.0]),
        (x / x, [0.0, 0.0]),
        (x + x + x, [3.0, 0.0]),
        ((x + y) - (x + y), [0.0, 0.0]),
        ((x * y) / (x * y), [0.0, 0.0]),
        (x * x * x * y, [36.0, 8.0]),
        (x - x + y, [0.0, 1.0]),
        ((x - x) * y, [0.0, 0.0]),
        (x.powf(x), [4.0 * (1.0 + LN_2), 0.0]),
        (x.max(x), [1.0, 0.0]),
        (x.hypot(x), [2_f64.sqrt(), 0.0]),
        (x.atan2(x), [0.0, 0.0]),
    ] {
        let got = z.backward().wrt([x, y]);
        for (got, want) in got.into_iter().zip(expected) {
            assert!((got - want).abs() <= 1e-15, "{z}: {got} {want}");
        }
    }
}

/// x · f₁ · f₂ · ..., whose exact derivative is the product, at x small enough for finite values.
#[test]
fn weights_that_leave_the_range_of_floats() {
    for (factors, exact) in [
        (&[1e200, 1e200, 1e-300][..], 1e100),
        (&[1e-200, 1e-200, 1e300], 1e-100),
        (&[1e200, 1e200, 1e-200, 1e-200], 1.0),
        (&[1e-200, 1e-200, 1e200, 1e200], 1.0),
        (&[1e-200, 1e-150, 1e200, 1e150], 1.0),
        (&[1e-307, 1e-10, 1e10, 1e307], 1.0),
        (&[1e307, 1e10, 1e-10, 1e-307], 1.0),
        (&[1e200, 1e200, 0.0], 0.0),
        (&[0.0, 1e200, 1e200, 1e200], 0.0),
    ] {
        let tape: Tape = Tape::new();
        let [x, one] = tape.vars([1e-300, 1.0]);
        let y = factors.iter().fold(x, |y, f| y * f);
        for z in [y, y + 0.0 * one, y * one, sum(&[y, one, one]), fuse([y, one], |[a, b]| a * b)] {
            assert_close(z.backward()[x], exact);
        }
        assert_close((y + y).backward()[x], 2.0 * exact);
    }
}

/// An operand of a wide record whose weight must be left to the tape, at every place among the others.
#[test]
fn weights_that_underflow_inside_wide_records() {
    for place in 0..5 {
        let tape: Tape = Tape::new();
        let [x, u, v] = tape.vars([1.0, 2.0, 3.0]);
        let (mut a, mut b) = ([u; 5], [v; 5]);
        (a[place], b[place]) = (x * 1e-200, Var::constant(1e-200));
        let gradient = (dot(&a, &b) * 1e300).backward();
        assert_close(gradient[x], 1e-100);
        assert_all_close(&gradient.wrt([u, v]), &[12e300, 8e300]);
        // Both operands of the pair, and a repeated one.
        (a[place], b[place]) = (x * 1e-200, x * 1e-200);
        let gradient = (dot(&a, &b) * 1e300).backward();
        assert_close(gradient[x], 2e-100);
        assert_all_close(&gradient.wrt([u, v]), &[12e300, 8e300]);
    }
}

#[test]
fn weights_of_single_precision() {
    let tape = Tape::<f32>::default();
    let x = tape.var(1e-30);
    let y = x * 1e30 * 1e30 * 1e-30 * 1e-30;
    assert!((y.backward()[x] - 1.0).abs() < 1e-5);
    assert_eq!((x.sqrt() * 0.0).backward()[x], 0.0);
}

/// The weights of two terms overflow each, and their exact sum is 0.
#[test]
fn overflowing_weights_that_cancel() {
    let tape: Tape = Tape::new();
    let x = tape.var(1e-300);
    let y = x * 1e200 * 1e200;
    assert_eq!((y - y).backward()[x], 0.0);
    assert_close(((y - 0.5 * y) * 1e-200 * 1e-200).backward()[x], 0.5);
}

#[test]
fn an_exact_zero_wins_over_infinity_and_nan() {
    let tape: Tape = Tape::new();
    let [zero, minus, x] = tape.vars([0.0, -1.0, 2.0]);
    let silent = |y: Var<'_>| assert_eq!(y.backward().wrt([zero, minus, x])[..2], [0.0, 0.0], "{y:?}");
    silent(zero.sqrt() * 0.0);
    silent(0.0 * zero.sqrt());
    silent((zero.sqrt() * x) * 0.0);
    silent(zero.sqrt() * 0.0 + x);
    silent(x + 0.0 * zero.sqrt() * 3.0);
    silent(zero.ln().gated_mul(0.0) + x);
    silent(minus.ln().gated_mul(0.0) + x);
    silent(zero.ln().gated_mul(zero.detach()) * x);
    silent((zero.recip() * x).gated_mul(0.0));
    // A masked logarithm: the branch that was not chosen.
    let ln = zero.ln();
    let chosen = if zero > 0.0 { ln } else { x };
    silent(chosen);
    // max takes the other branch with partial 0.
    silent(zero.ln().max(x));
    silent(x.max(minus.sqrt()));
    silent(sum(&[zero.sqrt() * 0.0, x, x, x]));
    silent(dot(&[zero.sqrt(), x, x], &[Var::constant(0.0), x, x]));
    // 0^0 and its like.
    assert_eq!(zero.powi(0).backward()[zero], 0.0);
    assert_eq!(zero.powf(0.0).backward()[zero], 0.0);
    assert_eq!(norm(&[zero, zero]).backward()[zero], 0.0);
    // Where the product is honest, infinity stays.
    assert_eq!(zero.sqrt().backward()[zero], INF);
    assert_eq!((zero.sqrt() * x).backward().wrt([zero, x]), [INF, 0.0]);
    assert_eq!((zero.ln() + x).backward()[zero], INF);
}

#[test]
fn infinite_cotangents() {
    let tape: Tape = Tape::new();
    let [zero, x, y] = tape.vars([0.0, 2.0, 3.0]);
    // d/dt √t at t = 0 is infinite: cotangent inf for t, whose partials are 0 and not.
    let t = (zero * x + 0.0 * y).retain();
    let root = t.sqrt();
    let gradient = root.backward();
    assert_eq!(gradient.wrt([zero, x, y]), [INF, 0.0, 0.0]);
    assert!(!gradient.is_finite());
    assert!((x * y).backward().is_finite());
    // The same through wide records.
    let wide = dot(&[zero, zero, zero], &[x, y, x]).retain();
    assert_eq!(wide.sqrt().backward().wrt([zero, x, y]), [INF, 0.0, 0.0]);
    let parts = sum(&[zero, zero, 0.0 * x, 0.0 * y]).retain();
    assert_eq!(parts.sqrt().backward().wrt([zero, x, y]), [INF, 0.0, 0.0]);
    let negative = (-(zero + zero * x)).retain();
    assert_eq!((negative.recip()).backward()[zero], INF);
}

#[test]
fn duals_in_pending_weights() {
    // ∂²/∂x² of √x · 0 and of x^2 at 0: an exact zero wins in tangents too.
    let tape = Tape::<Dual<f64>>::default();
    let x = tape.var(Dual::new(0.0, [1.0]));
    let zero = Dual::constant(0.0);
    let silent = (x.sqrt() * zero).backward()[x];
    assert_eq!((silent.primal(), silent.tangents()[0]), (0.0, 0.0));
    let square = x.powi(2).backward()[x];
    assert_eq!((square.primal(), square.tangents()[0]), (0.0, 2.0));
    // A weight with zero primal and nonzero tangent is no zero: d²/dx² (x² y) at x = 0 is 2y.
    let y = tape.var(Dual::constant(5.0));
    let cubic = (x.square() * y).backward();
    assert_eq!(cubic[x].tangents()[0], 10.0);
    assert_eq!((x * x * x).backward()[x].tangents()[0], 0.0);
    assert_eq!((x.square() * Dual::constant(3.0) + y).backward()[x].tangents()[0], 6.0);
}

// ---------------------------------------------------------------------------------------------
// Size

#[test]
fn ten_million_nodes_in_a_chain() {
    const NODES: usize = 10_000_000;
    let tape = Tape::with_capacity(NODES);
    let [x, one] = tape.vars([1.0, 1.0]);
    let mut y = x;
    for _ in 0..NODES {
        y += one;
    }
    assert_eq!(tape.len(), NODES + 2);
    assert_eq!(y.value(), 1e7 + 1.0);
    let gradient = y.backward();
    assert_eq!(gradient.wrt([x, one]), [1.0, 1e7]);
}

#[test]
fn ten_million_terms_in_a_sum() {
    let tape = Tape::<f32>::default();
    let x = tape.var(1.0);
    let y: Var<'_, f32> = std::iter::repeat_n(x, 10_000_000).sum();
    assert_eq!(y.backward()[x], 1e7);
}
