//! Finite differences: well-known numbers, orders of the schemes, and the stated errors.

use std::cell::Cell;

use wengert::gradcheck::{Differences, Scheme, directional, finite_derivative, jacobian, partials};

type Function = fn(f64) -> f64;

fn forward(f: impl Fn(f64) -> f64, x: f64, h: f64) -> f64 {
    Differences::new(Scheme::Forward).step(h).derivative(f, x).value
}

/// Slopes of x²+x+1 and x²+x+1+2^x to the last digit, as introductions print them.
#[test]
fn forward_differences_to_the_last_digit() {
    let f = |x: f64| x.powi(2) + x + 1.0;
    let g = |x: f64| x.powi(2) + x + 1.0 + 2f64.powf(x);
    assert_eq!(forward(f, 1.0, 1e-3), 3.0009999999993653);
    assert_eq!(forward(f, 1.0, 1e-6), 3.000000999620056);
    assert_eq!(forward(f, 2.0, 1e-3), 5.001000000000033);
    assert_eq!(forward(f, 2.0, 1e-6), 5.00000100078779);
    assert_eq!(forward(g, 1.0, 1e-3), 4.38777492515996);
    assert_eq!(forward(g, 1.0, 1e-6), 4.386295841207755);
    assert_eq!(forward(g, 2.0, 1e-3), 7.774549850321222);
    assert_eq!(forward(g, 2.0, 1e-6), 7.772590684851366);
}

#[test]
fn powers_with_two_epsilons() {
    let cases: [(Function, Function); 5] = [
        (|w| w.powi(2), |w| 2.0 * w),
        (|w| 2.0 * w, |_| 2.0),
        (|w| w.powi(3), |w| 3.0 * w * w),
        (|w| 1.0 / w, |w| -1.0 / (w * w)),
        (|w| 1.0 / w.powi(2), |w| -2.0 / w.powi(3)),
    ];
    assert!((forward(cases[0].0, 3.0, 1e-3) - 6.001).abs() < 1e-12);
    assert_eq!(forward(cases[0].0, 3.0, 1e-9), 6.000000496442226);
    // Evaluated in Python 3 with the same formula.
    assert_eq!(forward(cases[1].0, 3.0, 1e-3), 1.9999999999997797);
    assert_eq!(forward(cases[1].0, 3.0, 1e-9), 2.000000165480742);
    assert_eq!(forward(cases[3].0, 2.0, 1e-9), -0.25000002068509275);
    assert_eq!(forward(cases[3].0, 3.0, 1e-3), -0.1110740864155857);
    for (f, slope) in cases {
        for w in [2.0, 3.0] {
            let found = finite_derivative(f, w);
            let gap = (found.value - slope(w)).abs();
            assert!(gap <= found.error.unwrap() + 1e-14, "{found} at {w}");
            assert!(found.error.unwrap() < 1e-9 * slope(w).abs());
        }
    }
}

#[test]
fn partials_of_a_squared_error() {
    let (x, y) = (0.7, 0.9);
    let loss = |p: &[f64]| {
        let [w1, b1, w2, b2] = p.try_into().unwrap();
        let p: [f64; 4] = [w1, b1, w2, b2];
        (p[2] * (p[0] * x + p[1]) + p[3] - y).powi(2)
    };
    let p = [0.5, -0.3, 1.2, 0.1];
    let h = p[0] * x + p[1];
    let e = 2.0 * (p[2] * h + p[3] - y);
    let exact = [e * p[2] * x, e * p[2], e * h, e];
    for (found, exact) in partials(loss, &p).iter().zip(exact) {
        assert!((found.value - exact).abs() <= found.error.unwrap(), "{found}, exactly {exact}");
        assert!((found.value - exact).abs() <= 1e-12);
    }
    let central = Differences::new(Scheme::Central).partials(loss, &p);
    assert!(central.iter().zip(exact).all(|(found, exact)| (found.value - exact).abs() < 1e-9));
}

#[test]
fn tangents_of_2x2() {
    for x in 0..5 {
        let x = f64::from(x);
        assert!((finite_derivative(|x| 2.0 * x * x, x).value - 4.0 * x).abs() < 1e-13);
    }
}

/// Each scheme's error falls with its order: halving the step divides it by 2^p.
#[test]
fn schemes_have_their_order() {
    for (scheme, order, h) in [
        (Scheme::Forward, 1, 1e-3),
        (Scheme::Backward, 1, 1e-3),
        (Scheme::Central, 2, 1e-2),
        (Scheme::FivePoint, 4, 0.1),
    ] {
        let error = |h: f64| Differences::new(scheme).step(h).derivative(f64::exp, 1.0).value - 1f64.exp();
        let observed = (error(h) / error(h / 2.0)).log2();
        assert!((observed - f64::from(order)).abs() < 0.02, "{scheme:?}: {observed}");
    }
}

#[test]
fn automatic_steps_reach_each_schemes_accuracy() {
    for (scheme, accuracy) in [
        (Scheme::Forward, 1e-6),
        (Scheme::Backward, 1e-6),
        (Scheme::Central, 1e-9),
        (Scheme::FivePoint, 1e-11),
        (Scheme::Adaptive, 1e-11),
    ] {
        for x in [1e-8, 1.0, 1e8] {
            let found = Differences::new(scheme).derivative(f64::ln, x).value;
            assert!((found * x - 1.0).abs() < accuracy, "{scheme:?} at {x}: {found}");
        }
        let found = f64::from(Differences::new(scheme).derivative(f32::sin, 0.5_f32).value);
        assert!((found - 0.5_f64.cos()).abs() < 2e-3, "{scheme:?}: {found}");
    }
}

#[test]
fn bounds_are_respected_and_edges_one_sided() {
    let bounds = [(0.0, 1.0)];
    for scheme in [Scheme::Forward, Scheme::Backward, Scheme::Central, Scheme::FivePoint, Scheme::Adaptive] {
        for x in [0.0, 1e-2, 0.5, 1.0 - 1e-9, 1.0] {
            let inside = Cell::new(true);
            let f = |x: f64| {
                inside.set(inside.get() && (0.0..=1.0).contains(&x));
                x.exp()
            };
            let found = Differences::new(scheme).bounds(&bounds).derivative(f, x).value;
            assert!(inside.get(), "{scheme:?} at {x}");
            assert!((found / x.exp() - 1.0).abs() < 1e-4, "{scheme:?} at {x}: {found}");
        }
    }
}

#[test]
fn jacobian_and_directional() {
    let f = |x: &[f64]| vec![x[0] * x[1], x[1].sin(), x[0] + x[2] * x[2]];
    let x = [0.5, -2.0, 3.0];
    let exact = [[-2.0, 0.5, 0.0], [0.0, (-2.0_f64).cos(), 0.0], [1.0, 0.0, 6.0]];
    let found = jacobian(f, &x);
    assert_eq!(found.dim(), (3, 3));
    for ((i, j), e) in found.indexed_iter() {
        assert!((e.value - exact[i][j]).abs() < 1e-11, "[{i}, {j}] {e}");
    }
    let d = [1.0, 0.0, -2.0];
    let slope = directional(|x: &[f64]| f(x).iter().sum(), &x, &d);
    assert!((slope.value - (-2.0 + 1.0 - 12.0)).abs() < 1e-10, "{slope}");
    assert_eq!(directional(|x: &[f64]| x[0], &[1.0], &[0.0]).value, 0.0);
}

#[test]
fn a_kink_shows_as_an_error_of_half_the_jump() {
    let found = finite_derivative(f64::abs, 0.0);
    assert!(found.value.abs() < 1e-9);
    assert!((found.error.unwrap() - 1.0).abs() < 1e-3);
}

/// The stated error bounds the true one, for many functions, points and noise levels.
#[test]
fn the_error_bounds_the_error() {
    let functions: [(Function, Function); 12] = [
        (f64::sin, f64::cos),
        (f64::exp, f64::exp),
        (f64::ln, |x| 1.0 / x),
        (f64::sqrt, |x| 0.5 / x.sqrt()),
        (f64::tanh, |x| x.cosh().powi(-2)),
        (f64::atan, |x| 1.0 / (1.0 + x * x)),
        (|x| x.powi(5), |x| 5.0 * x.powi(4)),
        (|x| 1.0 / x, |x| -1.0 / (x * x)),
        (|x| (30.0 * x).sin(), |x| 30.0 * (30.0 * x).cos()),
        (|x| 1e5 + x.sin(), f64::cos),
        (|x| (-x * x).exp(), |x| -2.0 * x * (-x * x).exp()),
        (|x| f64::from((x as f32).sin()), f64::cos),
    ];
    let mut state = 1_u64;
    let mut worst: f64 = 0.0;
    for (k, (f, slope)) in functions.iter().enumerate() {
        for _ in 0..300 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let x = 10f64.powf((state >> 11) as f64 / (1_u64 << 53) as f64 * 3.0 - 2.0);
            let found = finite_derivative(f, x);
            let own = slope(x).abs() * 1e-15 * (1.0 + x) * if k == 11 { 1e8 } else { 30.0 };
            let ratio = ((found.value - slope(x)).abs() - own) / found.error.unwrap();
            worst = worst.max(ratio);
            assert!(ratio <= 1.0, "function {k} at {x}: {found}, exactly {}", slope(x));
        }
    }
    assert!(worst > 0.0);
}
