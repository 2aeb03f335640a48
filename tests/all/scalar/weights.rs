//! Weights that a variable carries until an operation records them: repetition, cancellation, overflow,
//! underflow, and zeros beside infinities.

use std::f64::consts::LN_2;

use wengert::{Dual, Tape, Var, dot, fuse, jacobian_reverse, norm, sum, with_partials};

use crate::support::close::{assert_all_rounded, assert_rounded};

const INF: f64 = f64::INFINITY;

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

/// x · f₁ · f₂ · ..., whose exact derivative is the product of the factors; x is so small that values stay finite.
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
            assert_rounded(z.backward()[x], exact);
        }
        assert_rounded((y + y).backward()[x], 2.0 * exact);
    }
}

/// One operand of a wide record, at each place, has a weight that underflows when multiplied, so the tape must
/// record it apart.
#[test]
fn weights_that_underflow_inside_wide_records() {
    for place in 0..5 {
        let tape: Tape = Tape::new();
        let [x, u, v] = tape.vars([1.0, 2.0, 3.0]);
        let (mut a, mut b) = ([u; 5], [v; 5]);
        (a[place], b[place]) = (x * 1e-200, Var::constant(1e-200));
        let gradient = (dot(&a, &b) * 1e300).backward();
        assert_rounded(gradient[x], 1e-100);
        assert_all_rounded(&gradient.wrt([u, v]), &[12e300, 8e300]);
        // Both operands of the pair, which are the same variable.
        (a[place], b[place]) = (x * 1e-200, x * 1e-200);
        let gradient = (dot(&a, &b) * 1e300).backward();
        assert_rounded(gradient[x], 2e-100);
        assert_all_rounded(&gradient.wrt([u, v]), &[12e300, 8e300]);
    }
}

/// The weights of both operands of a product: one of them, or both, leave the range of floats or come near its end.
#[test]
fn weights_of_pairs_that_leave_the_range_of_floats() {
    let gradient = |at: [f64; 2], z: fn([Var<'_>; 2]) -> Var<'_>| {
        let tape: Tape = Tape::new();
        let x = tape.vars(at);
        z(x).backward().wrt(x)
    };
    // The weight of one operand overflows, that of the other is safe.
    let large = [1e-200, 0.5e200];
    assert_all_rounded(&gradient(large, |[x, y]| (x * 1e200) * (2.0 * y) * 1e-300), &[1e100, 2e-300]);
    assert_all_rounded(&gradient(large, |[x, y]| (2.0 * y) * (x * 1e200) * 1e-300), &[1e100, 2e-300]);
    // Both weights are subnormal: of two variables, where their sum is 0, and of one.
    let tiny = 1e-310; // its multiples by powers of two are exact
    assert_eq!(gradient([-tiny, tiny], |[x, y]| (2.0 * x) * (2.0 * y)), [4.0 * tiny, -4.0 * tiny]);
    assert_eq!(gradient([tiny, 1.0], |[x, _]| (2.0 * x) * (2.0 * x)), [8.0 * tiny, 0.0]);
    assert_eq!(gradient([tiny, 1.0], |[x, _]| (2.0 * x) * (4.0 * x)), [16.0 * tiny, 0.0]);
    // Two equal weights of two variables, which overflow.
    assert_all_rounded(
        &gradient([1e-300, 2e-300], |[x, y]| (x * 1e200 * 1e200 - y * 1e200 * 1e200) * 1e-300),
        &[1e100, -1e100],
    );
}

#[test]
fn weights_of_single_precision() {
    let tape = Tape::<f32>::default();
    let x = tape.var(1e-30);
    let y = x * 1e30 * 1e30 * 1e-30 * 1e-30;
    assert!((y.backward()[x] - 1.0).abs() < 1e-5);
    assert_eq!((x.sqrt() * 0.0).backward()[x], 0.0);
}

/// Each weight of two terms overflows, and their exact sum is 0.
#[test]
fn overflowing_weights_that_cancel() {
    let tape: Tape = Tape::new();
    let x = tape.var(1e-300);
    let y = x * 1e200 * 1e200;
    assert_eq!((y - y).backward()[x], 0.0);
    assert_rounded(((y - 0.5 * y) * 1e-200 * 1e-200).backward()[x], 0.5);
    // The partials ±1/y overflow once they are multiplied with the weight.
    let x = tape.var(1e-310);
    let y = x * 1e100;
    assert_eq!((y / y).backward()[x], 0.0);
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
    // A logarithm in the branch that was not taken.
    let ln = zero.ln();
    let chosen = if zero > 0.0 { ln } else { x };
    silent(chosen);
    // The operand that `max` does not choose has the partial 0.
    silent(zero.ln().max(x));
    silent(x.max(minus.sqrt()));
    silent(sum(&[zero.sqrt() * 0.0, x, x, x]));
    silent(dot(&[zero.sqrt(), x, x], &[Var::constant(0.0), x, x]));
    // 0^0 and the norm at the origin.
    assert_eq!(zero.powi(0).backward()[zero], 0.0);
    assert_eq!(zero.powf(0.0).backward()[zero], 0.0);
    assert_eq!(norm(&[zero, zero]).backward()[zero], 0.0);
    // Without an exact zero, infinity stays.
    assert_eq!(zero.sqrt().backward()[zero], INF);
    assert_eq!((zero.sqrt() * x).backward().wrt([zero, x]), [INF, 0.0]);
    assert_eq!((zero.ln() + x).backward()[zero], INF);
}

#[test]
fn infinite_cotangents() {
    let tape: Tape = Tape::new();
    let [zero, x, y] = tape.vars([0.0, 2.0, 3.0]);
    // d/dt √t at t = 0 is infinite, so t has the cotangent inf; some of its partials are 0, some are not.
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
    // An infinite partial and a negative cotangent, for two outputs at once.
    let of_both =
        jacobian_reverse(|x| vec![x[1] - (x[0].sqrt() + x[1]), x[1] - (x[0].sqrt() + x[2])], &[0.0, 1.0, 2.0]);
    assert_eq!(of_both, ndarray::array![[-INF, 0.0, 0.0], [-INF, 1.0, -1.0]]);
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
    // A weight whose primal alone is zero is not an exact zero: d²/dx² (x² y) at x = 0 is 2y.
    let y = tape.var(Dual::constant(5.0));
    let cubic = (x.square() * y).backward();
    assert_eq!(cubic[x].tangents()[0], 10.0);
    assert_eq!((x * x * x).backward()[x].tangents()[0], 0.0);
    assert_eq!((x.square() * Dual::constant(3.0) + y).backward()[x].tangents()[0], 6.0);
}

/// Cotangents that cancel stay zero, however the variable's infinite derivative is joined with itself: as with
/// `retain`, and as with tensors.
#[test]
fn infinite_weights_that_cancel() {
    let tape: Tape = Tape::new();
    let [zero, minus, x] = tape.vars([0.0, -1.0, 2.0]);
    let silent = |y: Var<'_>| assert_eq!(y.backward().wrt([zero, minus])[..2], [0.0, 0.0], "{y:?}");
    for r in [zero.sqrt(), zero.ln().gated_mul(x), zero.recip(), (2.0 * zero).cbrt(), (-zero).sqrt() * 3.0, minus.ln()]
    {
        silent(r - r);
        silent(2.0 * r - r - r);
        silent(r * x - r * x);
        silent((r + x) - r);
        silent(sum(&[r, x, -r]));
        silent(dot(&[r, r], &[x, -x]));
        silent(with_partials(0.0, [(r, 1.0), (r, -1.0)]));
        silent(fuse([r, x], |[a, b]| a * b - b * a));
        silent((r - 0.5 * r) * 0.0);
    }
    // A sum that does not cancel is infinite.
    let r = zero.sqrt();
    assert_eq!((2.0 * r - r).backward()[zero], INF);
    assert_eq!((r - 3.0 * r).backward()[zero], -INF);
    // An infinite tangent of a partial whose value is 0.
    let tape = Tape::<Dual<f64>>::default();
    let v = tape.var(Dual::new(0.0, [1.0]));
    let r = v.powf(Dual::constant(1.5));
    let (one, none) = (r.backward()[v], (r - r + v).backward()[v]);
    assert_eq!((one.primal(), one.tangents()[0]), (0.0, INF));
    assert_eq!((none.primal(), none.tangents()[0]), (1.0, 0.0));
}
