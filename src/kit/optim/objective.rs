//! [`Objective`]: a loss as a problem for the solvers of the crate `argmin`.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use argmin::core::{ArgminError, CostFunction, Error, Gradient, Hessian};
use argmin_math::ArgminDot;

use crate::number::Scalar;
use crate::params::{Params, ParamsOn};
use crate::scalar::Var;
use crate::tape::Tape;

/// A loss as a problem of the crate [`argmin`](https://docs.rs/argmin): for L-BFGS, nonlinear
/// conjugate gradients, Newton-CG, trust regions and its other solvers over `Vec<F>`; needs the
/// feature `argmin`.
///
/// A solver asks for value and gradient separately. Both come from one sweep, whose results are kept until
/// the solver moves to another point.
///
/// ```
/// use argmin::core::{Executor, State};
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
/// let best = Executor::new(loss, solver).configure(|s| s.param(start).max_iters(50)).run()?.state.take_best_param();
/// params.values_mut().copy_from_slice(&best.expect("a point with a finite loss"));
/// assert!((params.values()[0] - 3.0).abs() < 1e-6 && (params.values()[1] - 2.0).abs() < 1e-6);
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct Objective<'a, F: Scalar> {
    last: RefCell<Last<'a, F>>,
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

    fn evaluating(evaluate: Evaluate<'a, F>) -> Self {
        Self { last: RefCell::new(Last { evaluate, point: None, value: F::zero(), grad: Vec::new() }), product: None }
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

impl<F: Scalar> CostFunction for Objective<'_, F> {
    type Param = Vec<F>;
    type Output = F;
    fn cost(&self, x: &Vec<F>) -> Result<F, Error> {
        Ok(self.at(x, |value, _| value))
    }
}

impl<F: Scalar> Gradient for Objective<'_, F> {
    type Param = Vec<F>;
    type Gradient = Vec<F>;
    fn gradient(&self, x: &Vec<F>) -> Result<Vec<F>, Error> {
        Ok(self.at(x, |_, grad| grad.to_vec()))
    }
}

impl<'a, F: Scalar> Hessian for Objective<'a, F> {
    type Param = Vec<F>;
    type Hessian = HessianProduct<'a, F>;
    fn hessian(&self, x: &Vec<F>) -> Result<HessianProduct<'a, F>, Error> {
        let Some(product) = &self.product else {
            let text = "this solver needs Hessian-vector products; give them by `Objective::products`".into();
            return Err(ArgminError::NotImplemented { text }.into());
        };
        Ok(HessianProduct { point: x.clone(), product: Rc::clone(product) })
    }
}

/// The Hessian at a point, as its product with any vector.
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
