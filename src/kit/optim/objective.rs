//! [`Objective`]: a loss as a problem for the solvers of the crate `argmin`.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

use argmin::core::{ArgminError, CostFunction, Gradient, Hessian, State};
use argmin_math::ArgminDot;

use super::global_norm;
use crate::number::{Dual, Scalar};
use crate::params::{Params, ParamsOn};
use crate::program::{AutoProgram, ProgramError};
use crate::recording::Recorded;
use crate::scalar::Var;
use crate::tape::Tape;
use crate::transform::Bounds;

/// A loss as a problem of the crate [`argmin`](https://docs.rs/argmin): for L-BFGS, nonlinear
/// conjugate gradients, Newton-CG, trust regions and its other solvers over `Vec<F>`; needs the
/// feature `argmin`.
///
/// A solver asks for value and gradient separately. Both come from one sweep, whose results are kept until
/// the solver moves to another point.
///
/// A solver may return without an error far from any minimum, with its start as the best point: because the line search
/// failed, because the iterations ran out, or "converged", because a step changed nothing. [`minimum`](Self::minimum) reads
/// its state and says plainly whether it converged; for that the executor gets a clone, which shares the results. A value
/// that is NaN and a gradient that is not finite are errors, because argmin's line searches would never end on them.
///
/// ```
/// use argmin::core::Executor;
/// use argmin::solver::linesearch::MoreThuenteLineSearch;
/// use argmin::solver::quasinewton::LBFGS;
/// use wengert::Params;
/// use wengert::optim::Objective;
///
/// // Least squares: y = 3x + 2 at three points.
/// let (x, y) = (ndarray::array![0.0, 1.0, 2.0], ndarray::array![2.0, 5.0, 8.0]);
/// let mut params = Params::<f64>::new();
/// let w = params.add("w", ndarray::array![0.0]);
/// let b = params.add("b", ndarray::array![0.0]);
///
/// let loss = Objective::of_params(&params, |p| (p.constant(&x) * p.get(w) + p.get(b) - &y).square().mean());
/// let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10);
/// let start = params.values().to_vec();
/// let state = Executor::new(loss.clone(), solver).configure(|s| s.param(start).max_iters(50)).run()?.state;
/// let best = loss.minimum(&state, 1e-6)?; // an error unless ‖∇loss‖ ≤ 1e-6
/// params.values_mut().copy_from_slice(&best);
/// assert!((params.values()[0] - 3.0).abs() < 1e-6 && (params.values()[1] - 2.0).abs() < 1e-6);
/// # Ok::<(), argmin::core::Error>(())
/// ```
#[derive(Clone)]
pub struct Objective<'a, F: Scalar> {
    last: Rc<RefCell<Last<'a, F>>>,
    product: Option<Product<'a, F>>,
}

type Evaluate<'a, F> = Box<dyn FnMut(&[F], &mut Vec<F>) -> F + 'a>;
type Product<'a, F> = Rc<dyn Fn(&[F], &[F]) -> Vec<F> + 'a>;

/// The function, with the point of its last call and the results there.
struct Last<'a, F> {
    evaluate: Evaluate<'a, F>,
    point: Option<Vec<F>>,
    value: F,
    grad: Vec<F>,
}

impl<F: Scalar> fmt::Debug for Objective<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objective").field("products", &self.product.is_some()).finish_non_exhaustive()
    }
}

impl<'a, F: Scalar> Objective<'a, F> {
    /// An objective from a function that returns value and gradient at a point.
    ///
    /// ```
    /// use wengert::{optim::Objective, value_and_grad};
    ///
    /// let objective = Objective::new(|x: &[f64]| value_and_grad(|x| (x[0] - 1.0).square() + x[1].cosh(), x));
    /// ```
    pub fn new(mut f: impl FnMut(&[F]) -> (F, Vec<F>) + 'a) -> Self {
        Self::evaluating(Box::new(move |x, grad| {
            let (value, own) = f(x);
            *grad = own;
            value
        }))
    }

    /// An objective from a loss over parameters, as [`Tape::value_and_grad`] takes it. Points are in the order
    /// of [`Params::values`]; the parameters themselves do not change. The gradient of frozen weights is 0.
    pub fn of_params(params: &'a Params<F>, loss: impl for<'t> Fn(ParamsOn<'t, 'a, F>) -> Var<'t, F> + 'a) -> Self {
        let mut tape = Tape::new();
        Self::evaluating(Box::new(move |x, grad| {
            let (value, own) = tape.value_and_grad_at(params, x, &loss);
            grad.clear();
            grad.extend_from_slice(own);
            value
        }))
    }

    /// Adds Hessian-vector products, ∇²f(x)·v from x and v, which Newton-CG and trust regions
    /// need. The matrix itself is never formed.
    #[must_use]
    pub fn products(self, product: impl Fn(&[F], &[F]) -> Vec<F> + 'a) -> Self {
        Self { product: Some(Rc::new(product)), ..self }
    }

    /// The objective over free numbers that [`Bounds`] take to points inside of the bounds, for solvers that know none,
    /// such as quasi-Newton methods. Start at `bounds.free(&x)`; the point of a solution u is `bounds.values(&u).0`.
    ///
    /// ```
    /// use argmin::core::Executor;
    /// use argmin::solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS};
    /// use wengert::{optim::Objective, transform::Bounds, value_and_grad};
    ///
    /// // The minimum (3, -1) of the function is outside of the bounds.
    /// let loss = Objective::new(|x: &[f64]| value_and_grad(|x| (x[0] - 3.0).square() + (x[1] + 1.0).square(), x));
    /// let bounds = Bounds::new(&[(0.0, 2.0), (f64::NEG_INFINITY, f64::INFINITY)]);
    /// let inside = loss.bounded(&bounds);
    /// let start = bounds.free(&[1.0, 0.0]);
    /// let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10);
    /// let state = Executor::new(inside.clone(), solver).configure(|s| s.param(start).max_iters(100)).run()?.state;
    /// let x = bounds.values(&inside.minimum(&state, 1e-6)?).0;
    /// assert!((x[0] - 2.0).abs() < 1e-5 && (x[1] + 1.0).abs() < 1e-5);
    /// # Ok::<(), argmin::core::Error>(())
    /// ```
    #[must_use]
    pub fn bounded(&self, bounds: &Bounds<F::Base>) -> Self {
        let (whole, own) = (self.clone(), bounds.clone());
        let bounded = Self::evaluating(Box::new(move |free, grad| {
            let slopes = own.slopes(free);
            whole.at(&own.values(free).0, |value, gradient| {
                grad.clear();
                grad.extend(gradient.iter().zip(slopes).map(|(&g, slope)| g * slope));
                value
            })
        }));
        let Some(product) = self.product.clone() else {
            return bounded;
        };
        let (whole, own) = (self.clone(), bounds.clone());
        bounded.products(move |free, v| {
            // With the slopes s: s · H (s · v) + g · ds/du · v
            let along: Vec<Dual<F>> = free.iter().map(|&u| Dual::new(u, [F::one()])).collect();
            let slopes = own.slopes(&along);
            let point = own.values(free).0;
            let direction: Vec<F> = slopes.iter().zip(v).map(|(slope, &v)| slope.primal() * v).collect();
            let curved = product(&point, &direction);
            whole.at(&point, |_, gradient| {
                let parts = slopes.iter().zip(&curved).zip(gradient.iter().zip(v));
                parts.map(|((slope, &h), (&g, &v))| slope.primal() * h + g * slope.tangents()[0] * v).collect()
            })
        })
    }

    fn evaluating(evaluate: Evaluate<'a, F>) -> Self {
        let last = Last { evaluate, point: None, value: F::zero(), grad: Vec::new() };
        Self { last: Rc::new(RefCell::new(last)), product: None }
    }

    /// The best point of a solver's final state, if the solver converged: if the Euclidean norm of the gradient is at most
    /// `tolerance` there. The gradient decides, not the solver's own word.
    ///
    /// ```
    /// use argmin::core::Executor;
    /// use argmin::solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS};
    /// use wengert::{optim::Objective, value_and_grad};
    ///
    /// let loss = Objective::new(|x: &[f64]| value_and_grad(|x| (x[0] - 1.0).square() + x[1].cosh(), x));
    /// let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10);
    /// let state = Executor::new(loss.clone(), solver).configure(|s| s.param(vec![5.0, 2.0]).max_iters(1)).run()?.state;
    /// let error = loss.minimum(&state, 1e-6).unwrap_err();
    /// assert!(error.gradient_norm > 0.1);
    /// assert!(error.to_string().ends_with("the solver stopped after 1 iteration: Maximum number of iterations reached"));
    /// # Ok::<(), argmin::core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the gradient is larger or NaN, or the state has no best point. The error has the point and the solver's reason.
    pub fn minimum(self, state: &impl State<Param = Vec<F>>, tolerance: f64) -> Result<Vec<F>, NotConverged<F>> {
        let point = state.get_best_param().cloned();
        let gradient_norm = point.as_ref().map_or(f64::NAN, |point| self.at(point, |_, grad| global_norm(grad)));
        let reason = state.get_termination_status().to_string();
        let stopped = NotConverged { point, gradient_norm, tolerance, iterations: state.get_iter(), reason };
        match stopped.point {
            Some(point) if gradient_norm <= tolerance => Ok(point),
            _ => Err(stopped),
        }
    }

    /// Applies `read` to the value and gradient at a point, which are computed unless the last call was there.
    fn at<T>(&self, x: &[F], read: impl FnOnce(F, &[F]) -> T) -> T {
        let Last { evaluate, point, value, grad } = &mut *self.last.borrow_mut();
        if point.as_deref() != Some(x) {
            // If the function panics, no results are kept.
            *point = None;
            *value = evaluate(x, grad);
            *point = Some(x.to_vec());
        }
        read(*value, grad)
    }
}

impl<'a> Objective<'a, f64> {
    /// An objective from a function of a slice, which is recorded at `start` and runs as a [`Program`](crate::Program) from
    /// then on; where it takes another branch, it is recorded again. Hessian-vector products come with it.
    ///
    /// ```
    /// use argmin::core::Executor;
    /// use argmin::solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS};
    /// use wengert::{Real64, optim::Objective};
    ///
    /// fn rosenbrock<R: Real64>(x: &[R]) -> R {
    ///     x.windows(2).map(|w| (w[1] - w[0] * w[0]).square() * 100.0 + (-w[0] + 1.0).square()).sum()
    /// }
    /// let start = vec![0.5; 100];
    /// let loss = Objective::recorded(|x| rosenbrock(x), &start)?;
    /// let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10);
    /// let state = Executor::new(loss.clone(), solver).configure(|s| s.param(start).max_iters(300)).run()?.state;
    /// let best = loss.minimum(&state, 1e-5)?;
    /// assert!(best.iter().all(|x| (x - 1.0).abs() < 1e-4));
    /// # Ok::<(), argmin::core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    ///
    /// # Panics
    ///
    /// In a solver's run, if the function reads a value on a branch that it did not take at `start`.
    pub fn recorded(
        f: impl for<'r> Fn(&'r [Recorded<'r>]) -> Recorded<'r> + 'a,
        start: &[f64],
    ) -> Result<Self, ProgramError> {
        let mut program = AutoProgram::new(f);
        program.value_and_grad(start, &mut vec![0.0; start.len()])?;
        let program = Rc::new(RefCell::new(program));
        let second = Rc::clone(&program);
        let read = "the function reads the value of a number on this branch";
        let objective = Self::evaluating(Box::new(move |x, grad| {
            grad.resize(x.len(), 0.0);
            program.borrow_mut().value_and_grad(x, grad).expect(read)
        }));
        Ok(objective.products(move |x, v| {
            let (mut gradient, mut product) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            second.borrow_mut().grad_and_hvp(x, v, &mut gradient, &mut product).expect(read);
            product
        }))
    }
}

/// The reason why a solver's result is no minimum; see [`Objective::minimum`]. Needs the feature `argmin`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NotConverged<F> {
    /// The best point, if the solver found any.
    pub point: Option<Vec<F>>,
    /// The norm of the gradient there, else NaN.
    pub gradient_norm: f64,
    /// The norm that was asked for.
    pub tolerance: f64,
    /// The number of iterations.
    pub iterations: u64,
    /// The reason why the solver stopped, in its own words.
    pub reason: String,
}

impl<F> fmt::Display for NotConverged<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gradient_norm, tolerance, iterations, reason, .. } = self;
        f.write_str("not converged: ")?;
        match self.point {
            Some(_) => write!(f, "the norm of the gradient is {gradient_norm:e}, not at most {tolerance:e}"),
            None => f.write_str("there is no point with a finite value"),
        }?;
        let plural = if *iterations == 1 { "" } else { "s" };
        write!(f, "; the solver stopped after {iterations} iteration{plural}: {reason}")
    }
}

impl<F: fmt::Debug> Error for NotConverged<F> {}

/// The error for numbers on which argmin's line searches would never end.
fn refused(what: &str) -> argmin::core::Error {
    ArgminError::ConditionViolated { text: format!("`Objective`: the {what} at a point that the solver tried") }.into()
}

impl<F: Scalar> CostFunction for Objective<'_, F> {
    type Param = Vec<F>;
    type Output = F;
    fn cost(&self, x: &Vec<F>) -> Result<F, argmin::core::Error> {
        self.at(x, |value, _| (!value.is_nan()).then_some(value)).ok_or_else(|| refused("value is NaN"))
    }
}

impl<F: Scalar> Gradient for Objective<'_, F> {
    type Param = Vec<F>;
    type Gradient = Vec<F>;
    fn gradient(&self, x: &Vec<F>) -> Result<Vec<F>, argmin::core::Error> {
        let finite = |grad: &[F]| grad.iter().all(|g| g.is_finite());
        self.at(x, |_, grad| finite(grad).then(|| grad.to_vec())).ok_or_else(|| refused("gradient is not finite"))
    }
}

impl<'a, F: Scalar> Hessian for Objective<'a, F> {
    type Param = Vec<F>;
    type Hessian = HessianProduct<'a, F>;
    fn hessian(&self, x: &Vec<F>) -> Result<HessianProduct<'a, F>, argmin::core::Error> {
        let Some(product) = &self.product else {
            let text = "this solver needs Hessian-vector products; give them by `Objective::products`".into();
            return Err(ArgminError::NotImplemented { text }.into());
        };
        Ok(HessianProduct { point: x.clone(), product: Rc::clone(product) })
    }
}

/// The Hessian at a point, as its product with any vector. Needs the feature `argmin`.
#[derive(Clone)]
pub struct HessianProduct<'a, F> {
    point: Vec<F>,
    product: Product<'a, F>,
}

impl<F: Scalar> fmt::Debug for HessianProduct<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HessianProduct").field("point", &self.point).finish_non_exhaustive()
    }
}

impl<F: Scalar> ArgminDot<Vec<F>, Vec<F>> for HessianProduct<'_, F> {
    fn dot(&self, v: &Vec<F>) -> Vec<F> {
        (self.product)(&self.point, v)
    }
}
