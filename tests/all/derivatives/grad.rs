//! Gradients in one call, and derivatives within derivatives.

use ndarray::array;
use wengert::{Dual, Real, Tape, Var, grad, hessian, jvp, value_and_grad};

use crate::support::close::assert_matrices_close;
use crate::support::functions::rosenbrock;

#[test]
fn types_are_inferred() {
    let g = grad(|x| (x[0] * x[1]).sin(), &[1.0, 2.0]);
    assert_eq!(g, [2.0 * 2_f64.cos(), 2_f64.cos()]);

    let point = vec![-1.2_f32, 1.0];
    let (value, g) = value_and_grad(|x| rosenbrock(x), &point);
    assert!((value - 24.2).abs() < 1e-5);
    assert!((g[0] + 215.6).abs() < 1e-3 && (g[1] + 88.0).abs() < 1e-3);
}

#[test]
fn what_does_not_depend_has_derivative_zero() {
    assert_eq!(grad(|x| x[0] * 3.0, &[1.0, 2.0]), [3.0, 0.0]);
    assert_eq!(value_and_grad(|_| 7.0.into(), &[1.0, 2.0]), (7.0, vec![0.0; 2]));
    assert_eq!(grad(|x| x[1].detach(), &[1.0, 2.0]), [0.0; 2]);
    assert_eq!(value_and_grad(|_| 7.0.into(), &[]), (7.0, vec![]));
    assert!(grad(|x| wengert::sum(x), &[0.0_f64; 0]).is_empty());
}

#[test]
fn gradients_nest() {
    // d/dx of x · (d/dy y²x at y = 3) = d/dx 6x² with the inner gradient taken as a number.
    let inner = |x: f64| grad(|y| y[0].square() * x, &[3.0])[0];
    assert_eq!(grad(|x| x[0] * inner(x[0].value()), &[2.0]), [12.0]);
}

/// Inner derivatives that capture an outer variable: Siskind and Pearlmutter, "Perturbation confusion and
/// referential transparency", IFL 2005. If both levels shared one ε, the first case would give 2 and the last 8.
#[test]
fn nested_derivatives_do_not_confuse_their_perturbations() {
    // d/dx (x · d/dy (x + y)|y=1)|x=1 = 1, forward in forward, forward in reverse, reverse in forward.
    let (_, d) = jvp(
        |x| {
            let one = Dual::from(1.0);
            let (_, d) = jvp(|y| vec![x[0] + y[0]], &[one], &[one]);
            vec![x[0] * d[0]]
        },
        &[1.0],
        &[1.0],
    );
    assert_eq!(d, [1.0]);
    let d = grad(
        |x| {
            let one = Var::constant(1.0);
            let (_, d) = jvp(|y| vec![y[0] + x[0]], &[one], &[one]);
            x[0] * d[0]
        },
        &[1.0],
    );
    assert_eq!(d, [1.0]);

    // d/dx (x · d/dy (x y)) = d/dx x² = 2x: at 3.
    let d = grad(
        |x| {
            let two = Var::constant(2.0);
            let (_, d) = jvp(|y| vec![y[0] * x[0]], &[two], &[Var::constant(1.0)]);
            x[0] * d[0]
        },
        &[3.0],
    );
    assert_eq!(d, [6.0]);

    // Reverse inside forward: the inner tape holds the outer dual numbers.
    let x = Dual::new(3.0, [1.0]);
    let inner = grad(|y| y[0] * y[0] * x, &[Dual::constant(2.0)])[0];
    assert_eq!((x * inner).tangents(), [24.0]); // d/dx (x · 2·2·x) = 8x

    // d/dx (x² · d/dy (x y²)|y=x)|x=1: with y = x the inner derivative is 2x², the product 2x⁴, its derivative 8x³.
    // With y = 1 held fixed the product is 2x³ and its derivative 6.
    let case = |along: f64| {
        let x = Dual::new(1.0, [1.0]);
        let y = Dual::new(1.0, [along]);
        let inner = grad(|y| y[0] * y[0] * x, &[y])[0];
        (x * x * inner).tangents()[0]
    };
    assert_eq!((case(1.0), case(0.0)), (8.0, 6.0));

    // Three levels: d³/dx³ x⁵ by forward over forward over reverse.
    let (_, third) = jvp(
        |x| {
            let one = Dual::from(1.0);
            let (_, second) = jvp(|x| jvp(|x| vec![x[0].powi(5)], x, &[Dual::from(one)]).1, x, &[one]);
            second
        },
        &[2.0],
        &[1.0],
    );
    assert_eq!(third, [60.0 * 4.0]);
}

fn wave<R: Real>(x: R, y: R) -> R {
    x.sin() * y.exp() + x.powi(3) * y.powi(2)
}

#[test]
fn third_derivatives() {
    type Second = Dual<Dual<f64>>;
    let (x, y) = (0.7_f64, 1.3_f64);
    let unit = Dual::constant(1.0);
    let along = |x: f64, outer: f64, inner: f64| Dual::new(Dual::new(x, [outer]), [Dual::constant(inner)]);

    // Along x twice, then the gradient over the tape: f_xxx and f_xxy.
    let tape = Tape::<Second>::new();
    let [vx, vy] = tape.vars([along(x, 1.0, 1.0), along(y, 0.0, 0.0)]);
    let gradient = wave(vx, vy).backward();
    let third = [gradient[vx], gradient[vy]].map(|g| g.tangents()[0].tangents()[0]);
    let expected = [-x.cos() * y.exp() + 6.0 * y * y, -x.sin() * y.exp() + 12.0 * x * y];
    assert!((third[0] - expected[0]).abs() < 1e-14 && (third[1] - expected[1]).abs() < 1e-14);

    // Forward alone: Dual<Dual<Dual>>.
    let lift = |x: f64| Dual::new(along(x, 1.0, 1.0), [Dual::new(unit, [Dual::constant(0.0)])]);
    let t = lift(x).tan().tangents()[0].tangents()[0].tangents()[0];
    let s = x.cos().powi(-2);
    assert!((t - (2.0 * s * s + 4.0 * x.tan().powi(2) * s)).abs() < 1e-12);

    // The Hessian over dual numbers: its derivative along x.
    let h = hessian(|v| wave(v[0], v[1]), &[Dual::new(x, [1.0]), Dual::constant(y)]);
    let expected =
        array![[-x.cos() * y.exp() + 6.0 * y * y, expected[1]], [expected[1], x.cos() * y.exp() + 6.0 * x * x]];
    assert_matrices_close("dH/dx", &h.map(|h| h.tangents()[0]), &expected, 1e-14);
}
