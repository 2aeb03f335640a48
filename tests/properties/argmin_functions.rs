//! All functions of the crate `argmin_testfunctions`, run as they are on the tape's numbers: gradient and
//! Hessian against the ones that the crate derives by hand, at 100 random points each.

use argmin_testfunctions::*;
use num_traits::Float;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wengert::{Dual, Real, Var, grad, hessian};

type Lane<'t> = Var<'t, Dual<f64, 8>>;

struct Case {
    name: &'static str,
    /// The length of the point; `bound` is that of its components.
    n: usize,
    bound: f64,
    value: &'static dyn for<'t> Fn(&[Var<'t>]) -> Var<'t>,
    curved: &'static dyn for<'t> Fn(&[Lane<'t>]) -> Lane<'t>,
    gradient: fn(&[f64]) -> Vec<f64>,
    hessian: fn(&[f64]) -> Vec<f64>,
}

macro_rules! cases {
    ($($name:literal, $n:literal, $bound:literal, |$x:ident| $value:expr, $gradient:expr, $hessian:expr;)*) => {
        [$(Case {
            name: $name,
            n: $n,
            bound: $bound,
            value: &|$x| $value,
            curved: &|$x| $value,
            gradient: |$x| $gradient.to_vec(),
            hessian: |$x| $hessian.iter().flatten().copied().collect(),
        }),*]
    };
}

fn two<T>(x: &[T]) -> &[T; 2] {
    x.try_into().expect("two components")
}

fn c<T: Float>(x: f64) -> T {
    T::from(x).expect("a constant")
}

/// The formula of `cross_in_tray`, whose own code converts to `f64` and would lose the tape.
fn cross_in_tray_formula<R: Real>(x: &[R]) -> R {
    let bump = (R::lit(100.0) - (x[0].powi(2) + x[1].powi(2)).sqrt() / R::PI()).abs().exp();
    R::lit(-0.0001) * ((x[0].sin() * x[1].sin() * bump).abs() + R::one()).powf(R::lit(0.1))
}

/// `rosenbrock_ab_hessian` with d²(a - x)²/dx² = 2; version 0.3.0 has 2a there, which is right for a = 1 only.
fn rosenbrock_ab_right(x: &[f64], a: f64, b: f64) -> Vec<Vec<f64>> {
    let mut hessian = rosenbrock_ab_hessian(x, a, b);
    for (i, row) in hessian.iter_mut().enumerate().take(x.len() - 1) {
        row[i] += 2.0 - 2.0 * a;
    }
    hessian
}

/// The largest difference, divided by the largest entry of `theirs`.
fn relative_error(ours: &[f64], theirs: &[f64]) -> f64 {
    let size = |a: &mut dyn Iterator<Item = f64>| a.fold(0.0, |m: f64, a| if a.is_nan() { a } else { m.max(a.abs()) });
    assert_eq!(ours.len(), theirs.len());
    let error = size(&mut ours.iter().zip(theirs).map(|(a, b)| a - b));
    if error == 0.0 { 0.0 } else { error / size(&mut theirs.iter().copied()) }
}

#[test]
fn gradients_and_hessians_agree() {
    // Bounds are those of the functions' descriptions, or ±10 where these have none.
    let cases = cases! {
        "Ackley", 5, 32.0, |x| ackley(x), ackley_derivative(x), ackley_hessian(x);
        "Ackley a b c", 3, 5.0, |x| ackley_abc(x, c(15.0), c(0.3), c(4.0)),
            ackley_abc_derivative(x, 15.0, 0.3, 4.0), ackley_abc_hessian(x, 15.0, 0.3, 4.0);
        "Beale", 2, 4.5, |x| beale(two(x)), beale_derivative(two(x)), beale_hessian(two(x));
        "Booth", 2, 10.0, |x| booth(two(x)), booth_derivative(two(x)), booth_hessian(two(x));
        "Bukin 6", 2, 15.0, |x| bukin_n6(two(x)), bukin_n6_derivative(two(x)), bukin_n6_hessian(two(x));
        "cross in tray", 2, 10.0, |x| cross_in_tray_formula(x),
            cross_in_tray_derivative(two(x)), cross_in_tray_hessian(two(x));
        "Easom", 2, 6.0, |x| easom(two(x)), easom_derivative(two(x)), easom_hessian(two(x));
        "eggholder", 2, 512.0, |x| eggholder(two(x)), eggholder_derivative(two(x)), eggholder_hessian(two(x));
        "Goldstein-Price", 2, 2.0, |x| goldsteinprice(two(x)),
            goldsteinprice_derivative(two(x)), goldsteinprice_hessian(two(x));
        "Himmelblau", 2, 5.0, |x| himmelblau(two(x)), himmelblau_derivative(two(x)), himmelblau_hessian(two(x));
        "Hölder table", 2, 10.0, |x| holder_table(two(x)),
            holder_table_derivative(two(x)), holder_table_hessian(two(x));
        "Lévy", 5, 10.0, |x| levy(x), levy_derivative(x), levy_hessian(x);
        "Lévy 13", 2, 10.0, |x| levy_n13(two(x)), levy_n13_derivative(two(x)), levy_n13_hessian(two(x));
        "Matyas", 2, 10.0, |x| matyas(two(x)), matyas_derivative(two(x)), matyas_hessian(two(x));
        "McCormick", 2, 4.0, |x| mccormick(two(x)), mccormick_derivative(two(x)), mccormick_hessian(two(x));
        "Picheny", 2, 1.0, |x| picheny(two(x)), picheny_derivative(two(x)), picheny_hessian(two(x));
        "Rastrigin", 5, 5.12, |x| rastrigin(x), rastrigin_derivative(x), rastrigin_hessian(x);
        "Rastrigin a", 3, 5.12, |x| rastrigin_a(x, c(3.0)), rastrigin_a_derivative(x, 3.0), rastrigin_a_hessian(x, 3.0);
        "Rosenbrock", 5, 3.0, |x| rosenbrock(x), rosenbrock_derivative(x), rosenbrock_hessian(x);
        "Rosenbrock a b", 5, 3.0, |x| rosenbrock_ab(x, c(2.0), c(3.0)),
            rosenbrock_ab_derivative(x, 2.0, 3.0), rosenbrock_ab_right(x, 2.0, 3.0);
        "Schaffer 2", 2, 100.0, |x| schaffer_n2(two(x)), schaffer_n2_derivative(two(x)), schaffer_n2_hessian(two(x));
        "Schaffer 4", 2, 100.0, |x| schaffer_n4(two(x)), schaffer_n4_derivative(two(x)), schaffer_n4_hessian(two(x));
        "sphere", 5, 10.0, |x| sphere(x), sphere_derivative(x), sphere_hessian(x);
        "Styblinski-Tang", 5, 5.0, |x| styblinski_tang(x),
            styblinski_tang_derivative(x), styblinski_tang_hessian(x);
        "three-hump camel", 2, 5.0, |x| threehumpcamel(two(x)),
            threehumpcamel_derivative(two(x)), threehumpcamel_hessian(two(x));
        "zero", 5, 10.0, |x| zero(x), zero_derivative(x), zero_hessian(x);
    };
    let mut rng = StdRng::seed_from_u64(1981);
    for case in &cases {
        let mut worst = [(0.0, vec![]), (0.0, vec![])];
        for _ in 0..100 {
            let x: Vec<f64> = (0..case.n).map(|_| rng.random_range(-case.bound..case.bound)).collect();
            let ours = [grad(case.value, &x), hessian(case.curved, &x).into_iter().collect()];
            let theirs = [(case.gradient)(&x), (case.hessian)(&x)];
            for k in 0..2 {
                let error = relative_error(&ours[k], &theirs[k]);
                if !(error <= worst[k].0) {
                    worst[k] = (error, x.clone());
                }
            }
        }
        let [(gradient, _), (hessian, at)] = worst;
        println!("{:18} gradient {gradient:8.1e}  Hessian {hessian:8.1e}", case.name);
        // The Hessian of the crate is written out as polynomials that cancel: see `picheny_by_many_digits`.
        let tolerance = if case.name == "Picheny" { 1e-10 } else { 1e-13 };
        assert!(gradient < 1e-13 && hessian < tolerance, "{}: {gradient:e}, {hessian:e} at {at:?}", case.name);
    }
}

/// At the point where both Hessians differ most, the one of this crate is right. The exact values are from mpmath
/// with 40 digits: (log10 g - 8.693)/2.427, where g is the Goldstein-Price function of 4x - 2.
#[test]
fn picheny_by_many_digits() {
    let x = [0.7853390948465573, 0.4054057885507829];
    let exact = [
        -34.28903530882202112777035,
        45.03505418324984659367502,
        45.03505418324984659367502,
        -73.95108005485795498849304,
    ];
    let ours: Vec<f64> = hessian(|x| picheny(two(x)), &x).into_iter().collect();
    let theirs: Vec<f64> = picheny_hessian(&x).into_iter().flatten().collect();
    assert!(relative_error(&ours, &exact) < 1e-13);
    assert!(relative_error(&theirs, &exact) > 1e-12);
}
