//! Sums, products and other functions of many variables.

use std::f64::consts::LN_2;

use num_traits::Float;
use wengert::trace::Recorded;
use wengert::{
    Dual, Program, Real, StaticVar, Tape, Taylor, Var, dot, fuse, log_sum_exp, mean, norm, softmax, statics, sum,
    with_partials,
};

use crate::support::close::{assert_all_rounded, assert_rounded};

const INF: f64 = f64::INFINITY;

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
    // A sum of constants leaves the buffer of terms in place, and empty.
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

/// Sums of nodes whose slots are in arithmetic progression, of other nodes, and of both, in any order.
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
        // Products, whose slots other operations use too, with weighted terms and constants between them.
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

/// A sum passes an infinite cotangent to its terms, and nothing where a factor 0 silences it.
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
    assert!(std::iter::empty::<Var<'_, f64>>().product::<Var<'_>>() == 1.0);
    let [x, y, z] = tape.vars([2.0, 3.0, 5.0]);
    assert_eq!([x].iter().product::<Var<'_>>().backward()[x], 1.0);
    let c = Var::constant(7.0);
    let p: Var<'_> = [x, c, y, z, x].into_iter().product();
    assert_eq!((p.value(), p.backward().wrt([x, y, z])), (420.0, [420.0, 140.0, 84.0]));
    // At a factor 0 the derivative is not the quotient p/x.
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
    // One pair makes a record of two terms, here with the same slot twice.
    assert_eq!(dot(&x[2..], &x[2..]).backward()[x[2]], 6.0);
    // Many pairs, one of which has an operand without a slot.
    let many = tape.vars_from(&[2.0; 1000]);
    for place in [0, 3, 127, 128, 500, 999] {
        let mut factors = vec![Var::constant(3.0); 1000];
        factors[..place].copy_from_slice(&many[..place]);
        let gradient = dot(many, &factors).backward();
        for (i, &x) in many.iter().enumerate() {
            assert_eq!(gradient[x], if i < place { 4.0 } else { 3.0 }, "{i} of {place}");
        }
        // Behind that pair, whole blocks of two variables.
        let mut factors = many.to_vec();
        factors[place] = Var::constant(3.0);
        let y = dot(many, &factors);
        let gradient = y.backward();
        assert_eq!(y.value(), 4.0 * 999.0 + 6.0);
        for (i, &x) in many.iter().enumerate() {
            assert_eq!(gradient[x], if i == place { 3.0 } else { 4.0 }, "{i} of {place}, alone");
        }
    }
    // Zero times infinity in one pair does not reach another.
    let y = tape.vars([0.0, 1.0]);
    let d = dot(&[y[0].sqrt(), y[1]], &[Var::constant(0.0), y[1]]);
    assert_eq!(d.backward().wrt(y), [0.0, 2.0]);
}

/// Each rounding of a sum of equal numbers goes in one direction; in blocks there are few.
#[test]
fn long_sums_in_single_precision() {
    let n = 20_000;
    let tape = Tape::<f32>::new();
    let x = tape.vars_from(&vec![0.1_f32; n]);
    let total = n as f64 * f64::from(0.1_f32);
    for (found, want) in [
        (sum(x), total),
        (x.iter().copied().sum(), total),
        (mean(x), f64::from(0.1_f32)),
        (dot(x, x), total * f64::from(0.1_f32)),
    ] {
        let found = f64::from(found.value());
        assert!((found / want - 1.0).abs() < 5e-6, "{found}, not {want}");
    }
}

#[test]
fn means_and_norms() {
    let tape: Tape = Tape::new();
    let x = tape.vars_from(&[3.0, 4.0, 12.0]);
    assert_rounded(mean(x).value(), 19.0 / 3.0);
    assert_eq!(mean(x).backward().wrt(x), [1.0 / 3.0; 3]);
    assert!(mean::<f64>(&[]).is_nan());
    // The sum overflows, the mean does not.
    let large = tape.vars([1.5e308, 1e308, 0.5e308]);
    assert_rounded(mean(&large).value(), 1e308);
    assert_eq!(mean(&tape.vars([INF, 1.0])).value(), INF);
    assert_rounded(norm(x).value(), 13.0);
    assert_all_rounded(&norm(x).backward().wrt(x), &[3.0 / 13.0, 4.0 / 13.0, 12.0 / 13.0]);
    let origin = tape.vars([0.0; 3]);
    assert_eq!(norm(&origin).backward().wrt(origin), [0.0; 3]);
    assert!(norm::<f64>(&[]) == 0.0 && norm::<Var<'_>>(&[]).is_constant());
    // Subnormal operands: 3 and 4 times the least positive number.
    let tiny = tape.vars([3.0 * 5e-324, 4.0 * 5e-324]);
    assert_eq!(norm(&tiny).value(), 5.0 * 5e-324);
    assert_all_rounded(&norm(&tiny).backward().wrt(tiny), &[0.6, 0.8]);
    // At infinity the norm agrees with `hypot`, the norm of two operands.
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
    // From mpmath: log(exp(1) + exp(2) + exp(3)) and the three quotients.
    let x = tape.vars_from(&[1.0, 2.0, 3.0]);
    let p = [0.09003057317038046, 0.24472847105479764, 0.6652409557748218];
    assert_rounded(log_sum_exp(x).value(), 3.4076059644443806);
    assert_all_rounded(&log_sum_exp(x).backward().wrt(x), &p);
    let rows = softmax(x);
    for (i, row) in rows.iter().enumerate() {
        assert_rounded(row.value(), p[i]);
        let jacobian = [0, 1, 2].map(|j| p[i] * (f64::from(i == j) - p[j]));
        assert_all_rounded(&row.backward().wrt(x), &jacobian);
    }
    assert!(softmax::<f64>(&[]).is_empty());
    assert!(log_sum_exp::<f64>(&[]) == -INF);
    // At 1000 plain exponentials would overflow; at -inf a term vanishes.
    let far = tape.vars([1000.0, 1000.0 + LN_2]);
    assert_rounded(log_sum_exp(&far).value(), 1000.0 + 3_f64.ln());
    let masked = tape.vars([0.0, -INF]);
    assert_eq!(log_sum_exp(&masked).backward().wrt(masked), [1.0, 0.0]);
    assert_eq!(softmax(&masked)[0].backward().wrt(masked), [0.0, 0.0]);
    // For one operand the two functions are the identity and the constant 1.
    let one = tape.var(-5.0);
    assert_eq!(log_sum_exp(&[one]).backward()[one], 1.0);
    assert_eq!((softmax(&[one])[0].value(), softmax(&[one])[0].backward()[one]), (1.0, 0.0));
    // All operands masked, or one infinite: not NaN.
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
    // Expressions of one operand and of several.
    let one = fuse([x], |[x]| x.square() * x);
    assert_eq!((one.value(), one.backward()[x]), (3.375, 6.75));
    let three = fuse([x, y, z], |[x, y, z]| x * y - z / y);
    assert_eq!(three.value(), 2.875);
    assert_eq!(three.backward().wrt([x, y, z]), [2.0, 1.5 + 0.0625, -0.5]);
    // The partials of a repeated operand add up.
    let repeated = fuse([x, x, x], |[a, b, c]| a * b * c);
    assert_eq!(repeated.backward()[x], 6.75);
    // Constants among the operands, and an operand that the result does not use.
    let mixed = fuse([Var::constant(3.0), x, y], |[c, x, _]| c * x);
    assert_eq!(mixed.backward().wrt([x, y]), [3.0, 0.0]);
    let constant = fuse([Var::<f64>::constant(3.0)], |[c]| c * c);
    assert!(constant.is_constant() && constant == 9.0);
    let none = fuse([x, y], |_| Dual::constant(7.0));
    assert_eq!((none.value(), none.backward().wrt([x, y])), (7.0, [0.0, 0.0]));
    // Operands that are not nodes pass on their weight.
    let weighted = fuse([x.square(), -y], |[a, b]| a * b);
    assert_eq!(weighted.backward().wrt([x, y]), [-6.0, -2.25]);
    // A zero partial silences an infinite weight.
    let zero = tape.var(0.0);
    let silent = fuse([zero.sqrt(), y], |[a, b]| a * 0.0 + b);
    assert_eq!(silent.backward().wrt([zero, y]), [0.0, 1.0]);
}

#[test]
fn fused_expressions_of_any_number_of_operands() {
    fn check<const N: usize>() {
        let tape: Tape = Tape::new();
        let factors: [f64; N] = std::array::from_fn(|i| i as f64 + 2.0);
        let x = tape.vars([3.0; N]);
        let z = fuse(x, |x| (0..N).map(|i| x[i] * factors[i]).sum());
        assert_eq!(z.backward().wrt(x), factors);
    }
    check::<1>();
    check::<2>();
    check::<3>();
    check::<4>();
    check::<5>();
    check::<6>();
    check::<9>();
}

#[test]
fn given_partials_are_a_node() {
    let tape = Tape::new();
    let x = tape.vars_from(&[1.0, 2.0, 3.0]);
    let y = with_partials(7.0, x.iter().map(|x| (-*x, x.value())));
    assert_eq!(y.value(), 7.0);
    assert_eq!((y * 2.0).backward().wrt(x), [-2.0, -4.0, -6.0]);
    let none = with_partials(3.0, [(Var::<f64>::constant(1.0), 5.0)]);
    assert!(none.is_constant() && none.value() == 3.0);
    let infinite = with_partials(1.0, [(x[0], f64::INFINITY)]);
    assert_eq!((infinite * 0.0 + x[1]).backward().wrt(x), [0.0, 1.0, 0.0]);
}

#[test]
#[should_panic(expected = "two tapes")]
fn given_partials_of_two_tapes() {
    let (a, b) = (Tape::new(), Tape::new());
    let _ = with_partials(1.0, [(a.var(1.0), 1.0), (b.var(1.0), 1.0)]);
}

/// The sum and the dot product with ones of these numbers, by a number of any kind.
fn of_zeros<R: Real<Base = f64>>(x: &[R]) -> [R; 2] {
    let ones = vec![R::one(); x.len()];
    [x.iter().copied().sum(), dot(x, &ones)]
}

#[test]
fn sums_of_zeros_have_the_sign_of_those_of_floats() {
    let zeros = |n: usize| vec![-0.0; n];
    let mut lists = vec![vec![], zeros(1), zeros(2), zeros(127), zeros(128), zeros(129), zeros(128 * 128 + 5)];
    lists.push(vec![-0.0, 0.0]);
    lists.push([zeros(128), vec![0.0], zeros(300)].concat());
    for list in lists {
        let bits = |x: [f64; 2]| x.map(f64::to_bits);
        let want = bits(of_zeros(&list));
        let n = list.len();
        let tape = Tape::new();
        assert_eq!(bits(of_zeros(tape.vars_from(&list)).map(wengert::Var::value)), want, "variables, {n}");
        assert_eq!(sum(tape.vars_from(&list)).value().to_bits(), want[0], "sum, {n}");
        assert_eq!(bits(of_zeros(&constants(&list)).map(wengert::Var::value)), want, "constants, {n}");
        let duals: Vec<Dual<f64>> = list.iter().map(|&x| Dual::new(x, [x])).collect();
        assert_eq!(bits(of_zeros(&duals).map(wengert::Dual::primal)), want, "dual numbers, {n}");
        assert_eq!(of_zeros(&duals)[0].tangents()[0].to_bits(), want[0], "tangents, {n}");
        let taylor: Vec<Taylor<f64, 3>> = list.iter().map(|&x| Taylor::constant(x)).collect();
        assert_eq!(of_zeros(&taylor)[0].coefficients()[0].to_bits(), want[0], "Taylor series, {n}");
        let (of_statics, _) = statics::value_and_grad(|x: &[StaticVar]| of_zeros(x)[0], &list[..]);
        assert_eq!(of_statics.to_bits(), want[0], "static variables, {n}");
        if n <= 300 && n > 0 {
            let program = Program::new(|x: &[Recorded<'_>]| of_zeros(x)[0], &list[..]).expect("no branch");
            let exact = program.exact(true).value(&list).expect("no branch");
            assert_eq!(exact.to_bits(), want[0], "a program, {n}");
        }
    }
}

fn constants(x: &[f64]) -> Vec<Var<'static>> {
    x.iter().map(|&x| Var::constant(x)).collect()
}
