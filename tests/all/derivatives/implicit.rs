//! Implicit differentiation against closed forms, to the third order.

use ndarray::{Array1, Array2};
use wengert::implicit::{self, ImplicitError};
use wengert::{Dual, Real, Scalar, Tape, Var};

use crate::support::close::{assert_all_rounded, assert_near};
use crate::support::differences::partial;
use crate::support::panics::panic_of;

/// The value and the first three derivatives of a function of one variable, of which the last comes from a sweep over
/// dual numbers over dual numbers.
fn orders(f: impl for<'t> Fn(Var<'t, Dual<Dual<f64>>>) -> Var<'t, Dual<Dual<f64>>>, p: f64) -> [f64; 4] {
    let tape = Tape::new();
    let p = tape.var(Dual::new(Dual::new(p, [1.0]), [Dual::constant(1.0)]));
    let y = f(p);
    let slope = y.backward()[p];
    let second = slope.tangents()[0].primal();
    [y.value().primal().primal(), slope.primal().primal(), second, slope.tangents()[0].tangents()[0]]
}

#[track_caller]
fn assert_orders(case: &str, got: [f64; 4], want: [f64; 4]) {
    for (order, (got, want)) in got.into_iter().zip(want).enumerate() {
        assert_near(&format!("{case}, order {order}"), got, want, 1e-13);
    }
}

#[test]
fn three_orders_of_a_root_are_those_of_the_closed_form() {
    // x³ = p
    for start in [2.0, 1.0, 5.0] {
        let got = orders(|p| implicit::root(|x, p| vec![x[0].powi(3) - p[0]], &[start], &[p]).unwrap()[0], 8.0);
        assert_orders("cube root", got, [2.0, 1.0 / 12.0, -2.0 / 9.0 / 32.0, 10.0 / 27.0 / 256.0]);
    }
}

#[test]
fn three_orders_of_a_fixed_point_are_those_of_the_closed_form() {
    // x = ½(x + p/x) has the fixed point √p.
    let half = Dual::constant(Dual::constant(0.5));
    let got =
        orders(|p| implicit::fixed_point(|x, p| vec![(x[0] + p[0] / x[0]) * half], &[1.0], &[p]).unwrap()[0], 4.0);
    assert_orders("square root", got, [2.0, 0.25, -0.25 / 8.0, 3.0 / 8.0 / 32.0]);
}

#[test]
fn three_orders_of_a_minimum_are_those_of_the_closed_form() {
    // e^x - p x is least at ln p.
    let got = orders(|p| implicit::minimum(|x, p| x[0].exp() - p[0] * x[0], &[0.0], &[p]).unwrap()[0], 2.0);
    assert_orders("logarithm", got, [2_f64.ln(), 0.5, -0.25, 0.25]);
}

/// The intersection of a circle of radius r and a hyperbola xy = c.
fn intersection<'a, F: Scalar>(x: &[Var<'a, F>], p: &[Var<'a, F>]) -> Vec<Var<'a, F>> {
    vec![x[0].square() + x[1].square() - p[0].square(), x[0] * x[1] - p[1]]
}

#[test]
fn roots_of_several_equations_differentiate_by_every_parameter() {
    let solved = |p: &[f64]| {
        let tape = Tape::new();
        let vars = tape.vars_from(p);
        let x = implicit::root(intersection, &[2.0, 1.0], vars).unwrap();
        let gradients = [x[0].backward().wrt(vars), x[1].backward().wrt(vars), (x[0] * x[1]).backward().wrt(vars)];
        (x.iter().map(|x| x.value()).collect::<Vec<_>>(), gradients)
    };
    let p = [3.0, 2.0];
    let (x, gradients) = solved(&p);
    // (x + y)² = r² + 2c and (x - y)² = r² - 2c
    let (sum, gap) = (13_f64.sqrt(), 5_f64.sqrt());
    assert_all_rounded(&x, &[0.5 * (sum + gap), 0.5 * (sum - gap)]);
    assert_all_rounded(&gradients[0], &[1.5 / sum + 1.5 / gap, 0.5 / sum - 0.5 / gap]);
    assert_all_rounded(&gradients[1], &[1.5 / sum - 1.5 / gap, 0.5 / sum + 0.5 / gap]);
    assert_near("xy by r", gradients[2][0], 0.0, 1e-15);
    assert_near("xy by c", gradients[2][1], 1.0, 1e-15);
}

#[test]
fn parameters_may_be_results_constants_and_elements_of_tensors() {
    let tape = Tape::new();
    let data = ndarray::array![1.5, 2.0];
    let tensor = tape.tensor(&data);
    let p = [tensor.at([0]) * 2.0, tensor.at([1])];
    let x = implicit::root(intersection, &[2.0, 1.0], &p).unwrap();
    let (sum, gap) = (13_f64.sqrt(), 5_f64.sqrt());
    let gradient = (x[0] + 0.0).backward().wrt(tensor);
    assert_all_rounded(&gradient.to_vec(), &[3.0 / sum + 3.0 / gap, 0.5 / sum - 0.5 / gap]);

    let [r, c] = [3.0, 2.0].map(Var::<f64>::constant);
    let x = implicit::root(intersection, &[2.0, 1.0], &[tape.var(3.0), c]).unwrap();
    assert_near("one constant", x[0].value(), 0.5 * (sum + gap), 1e-15);
    let constant = implicit::root(intersection, &[2.0, 1.0], &[r, c]).unwrap();
    assert!(constant[0].is_constant());
    assert_all_rounded(&[constant[0].value()], &[x[0].value()]);
    assert!(implicit::root(|_, _| Vec::new(), &[], &[tape.var(1.0)]).unwrap().is_empty());
}

#[test]
fn it_runs_in_single_precision() {
    let tape = Tape::<f32>::new();
    let p = tape.var(8.0);
    let x = implicit::root(|x, p| vec![x[0].powi(3) - p[0]], &[1.0], &[p]).unwrap()[0];
    assert!((x.value() - 2.0).abs() < 1e-6);
    assert!((x.backward()[p] - 1.0 / 12.0).abs() < 1e-7);
}

/// The design, the targets and held-out rows of a small regression.
fn regression() -> (Array2<f64>, Array1<f64>, Array2<f64>, Array1<f64>) {
    let entry = |(i, j): (usize, usize)| ((i * 3 + j * 5) as f64 * 0.7).sin() + f64::from(i == j);
    let target = |i: usize| (i as f64 * 1.3).cos();
    let (train, held_out) =
        (Array2::from_shape_fn((8, 3), entry), Array2::from_shape_fn((5, 3), |(i, j)| entry((i + 8, j))));
    (train, Array1::from_shape_fn(8, target), held_out, Array1::from_shape_fn(5, |i| target(i + 8)))
}

/// Σ(Xw - y)²
fn misfit<R: Real<Base = f64>>(x: &Array2<f64>, y: &Array1<f64>, w: &[R]) -> R {
    let rows = x.rows().into_iter().zip(y);
    rows.map(|(row, &y)| (row.iter().zip(w).map(|(&x, &w)| w * R::lit(x)).sum::<R>() - R::lit(y)).square()).sum()
}

#[test]
fn the_hypergradient_of_ridge_regression_is_that_of_the_normal_equations() {
    let (x, y, held_out, wanted) = regression();
    // The error on held-out rows of the weights that minimise misfit + e^p ‖w‖², by the normal equations.
    let by_equations = |p: &[f64]| {
        let tape = Tape::new();
        let a = x.t().dot(&x) + Array2::<f64>::eye(3) * p[0].exp();
        let w = tape.tensor(&a).solve(tape.constant(x.t().dot(&y))).unwrap().value().to_vec();
        misfit(&held_out, &wanted, &w)
    };
    let tape = Tape::new();
    let p = tape.var(-0.4);
    let w = implicit::minimum(
        |w, p| misfit(&x, &y, w) + w.iter().map(|w| w.square()).sum::<Var<'_, _>>() * p[0].exp(),
        &[0.0; 3],
        &[p],
    )
    .unwrap();
    let loss = misfit(&held_out, &wanted, &w);
    assert_near("loss", loss.value(), by_equations(&[-0.4]), 1e-14);
    assert_near("hypergradient", loss.backward()[p], partial(&[-0.4], 0, by_equations), 1e-9);

    // The second derivative, against a difference of first ones.
    let gradient = |p: Dual<f64>| {
        let tape = Tape::new();
        let p = tape.var(p);
        let w = implicit::minimum(
            |w, p| misfit(&x, &y, w) + w.iter().map(|w| w.square()).sum::<Var<'_, _>>() * p[0].exp(),
            &[0.0; 3],
            &[p],
        )
        .unwrap();
        misfit(&held_out, &wanted, &w).backward()[p]
    };
    let second = gradient(Dual::new(-0.4, [1.0])).tangents()[0];
    let difference = partial(&[-0.4], 0, |p| gradient(Dual::constant(p[0])).primal());
    assert_near("second", second, difference, 1e-9);
}

#[test]
fn many_unknowns_and_a_start_that_is_far_away() {
    // The minimum of Σ cosh(xᵢ - pᵢ) + ½ Σ (xᵢ - xᵢ₊₁)², more unknowns than tangents at once.
    let tape = Tape::new();
    let p = tape.vars([0.0, 1.0, -1.0, 0.5, 2.0, 0.3, -0.7, 0.2, 0.9, -2.0]);
    let x = implicit::minimum(
        |x, p| {
            let far = x.iter().zip(p).map(|(&x, &p)| (x - p).cosh()).sum::<Var<'_, _>>();
            far + x.windows(2).map(|w| (w[0] - w[1]).square() * 0.5).sum::<Var<'_, _>>()
        },
        &[5.0; 10],
        &p,
    )
    .unwrap();
    // A common shift of all parameters shifts the solution.
    let shift: f64 = x[3].backward().wrt(p).iter().sum();
    assert_near("shift", shift, 1.0, 1e-13);
}

#[test]
fn what_has_no_differentiable_solution_is_an_error() {
    let tape = Tape::<f64>::new();
    let p = [tape.var(1.0)];
    let singular = implicit::root(|x, p| vec![x[0] + x[1] - p[0], 2.0 * x[0] + 2.0 * x[1] - 2.0 * p[0]], &[0.0; 2], &p);
    assert!(matches!(singular, Err(ImplicitError::Singular { operation: "root", .. })), "{singular:?}");
    let none = implicit::root(|x, p| vec![x[0].square() + p[0]], &[1.0], &p).unwrap_err();
    assert!(matches!(none, ImplicitError::NotConverged { .. } | ImplicitError::Singular { .. }), "{none:?}");
    let error = implicit::root(|x, p| vec![x[0].ln() - p[0]], &[-1.0], &p).unwrap_err();
    assert!(matches!(error, ImplicitError::NotFinite { operation: "root", .. }), "{error:?}");
    let saddle = implicit::minimum(|x, p| x[0].square() - x[1].square() * p[0], &[0.0; 2], &p).unwrap_err();
    assert_eq!(
        saddle.to_string(),
        "minimum: the gradient is 0, but the Hessian is not positive definite (its leading \
                                    block of order 2 is not)"
    );
    assert_eq!(
        implicit::root(|_, p| vec![p[0]], &[1.0], &p).unwrap_err().to_string(),
        "root: at the solution the derivatives of the equations with respect to the unknowns are a singular matrix, \
         so that the solution is not a differentiable function of the parameters"
    );
    // A double root.
    let double = implicit::root(|x, p| vec![(x[0] - p[0]).square()], &[2.0], &p).unwrap_err();
    assert!(matches!(double, ImplicitError::Singular { .. }), "{double:?}");
}

#[test]
fn a_wrong_number_of_equations_is_refused() {
    let tape = Tape::<f64>::new();
    let p = [tape.var(1.0)];
    let panic = panic_of(|| implicit::root(|x, _| vec![x[0], x[0]], &[1.0], &p));
    assert_eq!(panic.message, "root: the function returned 2 numbers for 1 unknowns; give one for each");
    let panic = panic_of(|| implicit::fixed_point(|_, _| vec![], &[1.0], &p));
    assert_eq!(panic.message, "fixed_point: the function returned 0 numbers for 1 unknowns; give one for each");
}
