//! Losses minimised by the solvers of the crate `argmin`.

use std::cell::Cell;

use argmin::core::{CostFunction, Executor, Gradient, Hessian, IterState, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::newton::NewtonCG;
use argmin::solver::quasinewton::LBFGS;
use argmin::solver::trustregion::{Steihaug, TrustRegion};
use argmin_math::ArgminDot;
use ndarray::{Array1, Array2};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::optim::Objective;
use wengert::transform::Bounds;
use wengert::{Dual, Params, Real, Tape, Var, hvp, init, value_and_grad};

use crate::support::close::{assert_close, assert_near};

fn rosenbrock<R: Real>(x: &[R]) -> R {
    x.windows(2).map(|w| R::lit(100.0) * (w[1] - w[0] * w[0]).square() + (R::one() - w[0]).square()).sum()
}

/// The Hessian-vector product ∇²f(x)·v, forward over reverse.
fn product(x: &[f64], v: &[f64]) -> Vec<f64> {
    let tape = Tape::<Dual<f64, 1>>::new();
    let point: Vec<Dual<f64, 1>> = x.iter().zip(v).map(|(&x, &v)| Dual::new(x, [v])).collect();
    let vars = tape.vars_from(&point);
    let gradient = rosenbrock::<Var<'_, _>>(vars).backward();
    gradient.wrt(vars).into_iter().map(|g| g.tangents()[0]).collect()
}

const START: [f64; 2] = [-1.2, 1.0];

#[track_caller]
fn assert_at_minimum(x: Option<Vec<f64>>, tolerance: f64) {
    let x = x.expect("a best point");
    assert!(x.iter().all(|x| (x - 1.0).abs() < tolerance), "{x:?}");
}

#[test]
fn l_bfgs() {
    let calls = Cell::new(0);
    let objective = Objective::new(|x: &[f64]| {
        calls.set(calls.get() + 1);
        value_and_grad(|x| rosenbrock(x), x)
    });
    // Value and gradient of a point share a sweep.
    let point = START.to_vec();
    let value = objective.cost(&point).unwrap();
    let gradient = objective.gradient(&point).unwrap();
    assert_eq!((value, gradient), value_and_grad(|x| rosenbrock(x), &START));
    assert_eq!(calls.get(), 1);

    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7);
    let result = Executor::new(objective, solver).configure(|s| s.param(START.to_vec()).max_iters(100)).run().unwrap();
    let mut state = result.state;
    assert_at_minimum(state.take_best_param(), 1e-6);
}

#[test]
fn newton_cg_and_trust_region_take_products() {
    let objective = || Objective::new(|x: &[f64]| value_and_grad(|x| rosenbrock(x), x)).products(product);
    let configure = |s: IterState<_, _, _, _, _, f64>| s.param(START.to_vec()).max_iters(200);
    // Newton-CG stops, or creeps, where the loss falls little.
    let newton = NewtonCG::new(MoreThuenteLineSearch::new());
    assert_at_minimum(
        Executor::new(objective(), newton).configure(configure).run().unwrap().state.take_best_param(),
        0.02,
    );
    let region = TrustRegion::new(Steihaug::new().with_max_iters(20));
    assert_at_minimum(
        Executor::new(objective(), region).configure(configure).run().unwrap().state.take_best_param(),
        1e-6,
    );

    let without = Objective::new(|x: &[f64]| value_and_grad(|x| rosenbrock(x), x));
    let error = Executor::new(without, TrustRegion::new(Steihaug::new()))
        .configure(|s| s.param(START.to_vec()).max_iters(5))
        .run()
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("Objective::products"), "{error}");
}

/// Ridge regression against the solution of its normal equations by Gaussian elimination.
#[test]
fn parameters_of_a_model() {
    let mut rng = StdRng::seed_from_u64(4);
    let x: Array2<f64> = init::normal((40, 3), 0.0, 1.0, &mut rng);
    let y: Array1<f64> = init::normal(40, 1.0, 2.0, &mut rng);
    let penalty = 0.3;
    let mut params = Params::new();
    params.add("frozen", ndarray::array![5.0]);
    let w = params.add("w", Array1::zeros(3));
    params.group("frozen").freeze();
    let loss = Objective::of_params(&params, |p| {
        (p.constant(&x).dot(p.get(w)) - &y).square().sum() + p.get(w).square().sum() * penalty
    });
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 5);
    let start = params.values().to_vec();
    let best =
        Executor::new(loss, solver).configure(|s| s.param(start).max_iters(50)).run().unwrap().state.take_best_param();
    params.values_mut().copy_from_slice(&best.unwrap());

    let mut a = x.t().dot(&x) + Array2::<f64>::eye(3) * penalty;
    let mut b = x.t().dot(&y);
    for i in 0..3 {
        for j in i + 1..3 {
            let factor = a[[j, i]] / a[[i, i]];
            for k in 0..3 {
                let entry = a[[i, k]];
                a[[j, k]] -= factor * entry;
            }
            b[j] -= factor * b[i];
        }
    }
    for i in (0..3).rev() {
        let rest: f64 = (i + 1..3).map(|j| a[[i, j]] * b[j]).sum();
        b[i] = (b[i] - rest) / a[[i, i]];
    }
    assert_eq!(params.values()[0], 5.0);
    assert!((&params.view(w) - &b).iter().all(|e| e.abs() < 1e-7), "{} is not {b}", params.view(w));
}

/// A solver that gets nowhere calls its start the best point, and a step that changes nothing convergence.
#[test]
fn what_is_no_minimum_is_said_plainly() {
    let run = |gradient: fn(&[f64]) -> Vec<f64>, value: fn(&[f64]) -> f64, start: Vec<f64>, iterations: u64| {
        let loss = Objective::new(move |x: &[f64]| (value(x), gradient(x)));
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7);
        let configure = |s: IterState<_, _, _, _, _, f64>| s.param(start).max_iters(iterations);
        let state = Executor::new(loss.clone(), solver).configure(configure).run().unwrap().state;
        let best = state.get_best_param().cloned();
        (loss.minimum(&state, 1e-6), best)
    };
    let square = |x: &[f64]| x[0] * x[0];
    let (result, _) = run(|x| vec![2.0 * x[0]], square, vec![3.0], 50);
    assert!(result.unwrap()[0].abs() < 1e-6);
    // The wrong sign, so that no step along the line is better.
    let (result, best) = run(|x| vec![-2.0 * x[0]], square, vec![3.0], 50);
    let error = result.unwrap_err();
    assert_eq!((best, error.point.clone(), error.gradient_norm), (Some(vec![3.0]), Some(vec![3.0]), 6.0), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("not converged: the norm of the gradient is 6e0, not at most 1e-6"), "{text}");
    // No value but at the start.
    let (result, _) = run(|x| vec![2.0 * x[0]], |x| if x[0] == 3.0 { 9.0 } else { f64::NAN }, vec![3.0], 50);
    assert_eq!(result.unwrap_err().gradient_norm, 6.0);
    // Out of iterations.
    let (result, _) = run(|x| vec![4.0 * x[0].powi(3)], |x| x[0].powi(4), vec![3.0], 2);
    let error = result.unwrap_err();
    assert_eq!((error.iterations, error.reason.as_str()), (2, "Maximum number of iterations reached"));
    assert!(error.to_string().ends_with("after 2 iterations: Maximum number of iterations reached"), "{error}");
    let mut once = error;
    once.iterations = 1;
    assert!(once.to_string().ends_with("after 1 iteration: Maximum number of iterations reached"), "{once}");
    // argmin's line search would never end.
    for gradient in [f64::NAN, f64::INFINITY] {
        let loss = Objective::new(move |x: &[f64]| (x[0], vec![gradient]));
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7);
        let run = Executor::new(loss, solver).configure(|s| s.param(vec![3.0]).max_iters(9)).run();
        assert!(run.map(drop).unwrap_err().to_string().contains("the gradient is not finite"));
    }
}

#[test]
fn a_bounded_objective_has_the_derivatives_of_the_function_of_free_numbers() {
    fn f<R: Real>(x: &[R]) -> R {
        x[0].exp() * x[1].square() + x[0] * x[2] + x[2].cosh()
    }
    fn of_free<R: Real<Base = f64>>(free: &[R], bounds: &Bounds) -> R {
        f(&bounds.values(free).0)
    }
    let bounds = Bounds::new(&[(-1.0, 2.0), (0.0, f64::INFINITY), (f64::NEG_INFINITY, f64::INFINITY)]);
    let bounded = Objective::recorded(|x| f(x), &[0.5, 1.0, 0.3]).unwrap().bounded(&bounds);
    let (free, v) = (vec![0.4, -0.2, 0.7], vec![1.0, -2.0, 0.5]);
    let (value, gradient) = value_and_grad(|x| of_free(x, &bounds), &free);
    assert_near("value", bounded.cost(&free).unwrap(), value, 1e-14);
    assert_close("gradient", &bounded.gradient(&free).unwrap(), &gradient, 1e-14);
    let exact = hvp(|x| of_free(x, &bounds), &free, &v);
    assert_close("product", &bounded.hessian(&free).unwrap().dot(&v), &exact, 1e-14);
}
