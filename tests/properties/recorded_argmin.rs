//! First and second derivatives of programs on the functions of `argmin_testfunctions`.

use argmin_testfunctions::*;
use num_traits::Float;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wengert::rules::VarOfDual;
use wengert::trace::Recorded;
use wengert::{Program, Var, hessian, value_and_grad, value_grad_hvp};

use crate::support::mgh::Second;

fn two<T>(x: &[T]) -> &[T; 2] {
    x.try_into().expect("two components")
}

fn c<T: Float>(x: f64) -> T {
    T::from(x).expect("a constant")
}

struct Case {
    name: &'static str,
    n: usize,
    bound: f64,
    program: fn(&[f64]) -> Program,
    value: for<'t> fn(&[Var<'t>]) -> Var<'t>,
    curved: for<'t> fn(&[Second<'t>]) -> Second<'t>,
    along: for<'t> fn(&[VarOfDual<'t>]) -> VarOfDual<'t>,
}

macro_rules! cases {
    ($($name:literal, $n:literal, $bound:literal, |$x:ident| $value:expr;)*) => {
        [$(Case {
            name: $name,
            n: $n,
            bound: $bound,
            program: |x| Program::new(|$x: &[Recorded<'_>]| $value, x).expect("no value is read"),
            value: |$x| $value,
            curved: |$x| $value,
            along: |$x| $value,
        }),*]
    };
}

/// Gradient, Hessian and products with it, at a hundred points by one program each.
#[test]
fn argmin_functions() {
    let cases = cases! {
        "Ackley", 5, 32.0, |x| ackley(x);
        "Ackley a b c", 3, 5.0, |x| ackley_abc(x, c(15.0), c(0.3), c(4.0));
        "Beale", 2, 4.5, |x| beale(two(x));
        "Booth", 2, 10.0, |x| booth(two(x));
        "Bukin 6", 2, 15.0, |x| bukin_n6(two(x));
        "Easom", 2, 6.0, |x| easom(two(x));
        "eggholder", 2, 512.0, |x| eggholder(two(x));
        "Goldstein-Price", 2, 2.0, |x| goldsteinprice(two(x));
        "Himmelblau", 2, 5.0, |x| himmelblau(two(x));
        "Hölder table", 2, 10.0, |x| holder_table(two(x));
        "Lévy", 5, 10.0, |x| levy(x);
        "Lévy of many", 60, 10.0, |x| levy(x);
        "Lévy 13", 2, 10.0, |x| levy_n13(two(x));
        "Matyas", 2, 10.0, |x| matyas(two(x));
        "McCormick", 2, 4.0, |x| mccormick(two(x));
        "Picheny", 2, 1.0, |x| picheny(two(x));
        "Rastrigin", 5, 5.12, |x| rastrigin(x);
        "Rastrigin of many", 40, 5.12, |x| rastrigin(x);
        "Rastrigin a", 3, 5.12, |x| rastrigin_a(x, c(3.0));
        "Rosenbrock", 5, 3.0, |x| rosenbrock(x);
        "Rosenbrock of many", 100, 3.0, |x| rosenbrock(x);
        "Rosenbrock a b", 5, 3.0, |x| rosenbrock_ab(x, c(2.0), c(3.0));
        "Schaffer 2", 2, 100.0, |x| schaffer_n2(two(x));
        "Schaffer 4", 2, 100.0, |x| schaffer_n4(two(x));
        "sphere", 5, 10.0, |x| sphere(x);
        "Styblinski-Tang", 5, 5.0, |x| styblinski_tang(x);
        "Styblinski-Tang of many", 33, 5.0, |x| styblinski_tang(x);
        "three-hump camel", 2, 5.0, |x| threehumpcamel(two(x));
        "zero", 5, 10.0, |x| zero(x);
    };
    let mut rng = StdRng::seed_from_u64(1981);
    for case in &cases {
        let mut random = || (0..case.n).map(|_| rng.random_range(-case.bound..case.bound)).collect::<Vec<f64>>();
        let mut program = (case.program)(&random());
        // Picheny and Goldstein-Price are polynomials that cancel.
        let tolerance = if matches!(case.name, "Picheny" | "Goldstein-Price") { 1e-9 } else { 2e-12 };
        let points = if case.n > 10 { 5 } else { 100 };
        let zero = vec![0.0; case.n];
        let equal = vec![0.7; case.n];
        for x in (0..points).map(|_| random()).chain([zero, equal]) {
            let name = format!("{} at {x:?}", case.name);
            let v: Vec<f64> = (0..case.n).map(|i| (i as f64 + 0.5).sin()).collect();
            let (value, gradient) = value_and_grad(case.value, &x);
            let (mut got, mut product) = (vec![0.0; case.n], vec![0.0; case.n]);
            let close = |what: &str, got: &[f64], want: &[f64]| {
                let scale = want.iter().filter(|x| x.is_finite()).fold(1.0, |m: f64, x| m.max(x.abs()));
                for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
                    let near = (got - want).abs() <= tolerance * scale || got == want || got.is_nan() && want.is_nan();
                    assert!(near, "{name}: {what}, element {i} is {got:e}, should be {want:e}");
                }
            };
            let y = program.value_and_grad(&x, &mut got).unwrap();
            close("value", &[y], &[value]);
            close("gradient", &got, &gradient);
            let (y, want_gradient, want) = value_grad_hvp(case.along, &x, &v);
            // Where second derivatives do not exist, tapes of dual numbers have conventions of their own.
            let kink = case.name == "Schaffer 4" && x[0] == x[1];
            if kink || !want.iter().all(|d| d.is_finite()) {
                continue;
            }
            program.grad_and_hvp(&x, &v, &mut got, &mut product).unwrap();
            close("value", &[program.value(&x).unwrap()], &[y]);
            close("gradient of hvp", &got, &want_gradient);
            close("hvp", &product, &want);
            let want: Vec<f64> = hessian(case.curved, &x).into_iter().collect();
            let got: Vec<f64> = program.hessian(&x).unwrap().into_iter().collect();
            close("Hessian", &got, &want);
            let mut slope = [0.0];
            program.jvp(&x, &v, &mut slope).unwrap();
            let want: f64 = gradient.iter().zip(&v).map(|(g, v)| g * v).sum();
            let size: f64 = gradient.iter().map(|g| g.abs()).sum();
            assert!((slope[0] - want).abs() <= tolerance * (1.0 + size), "{name}: {slope:?} {want}");
        }
    }
}
