//! Implicit differentiation: the solution of equations as a differentiable function of their parameters. Needs the
//! feature `linalg`.
//!
//! | the solution x(p) | of |
//! |---|---|
//! | [`root`] | F(x, p) = 0, as many equations as unknowns |
//! | [`fixed_point`] | x = g(x, p) |
//! | [`minimum`] | the least f(x, p), a regular minimum |
//!
//! The numbers x may come from any solver; Newton's method polishes them until they are right to rounding. On the tape
//! stands one evaluation of F at x and one linear system, whatever the solver did, because by the implicit function
//! theorem dx = -(∂F/∂x)⁻¹ (∂F/∂p) dp; a minimum is a root of the gradient. The sweep solves the transposed system once
//! for each cotangent (Griewank and Walther, Evaluating Derivatives, 2nd ed., section 15.5; Blondel et al. 2022,
//! "Efficient and modular implicit differentiation"). On a tape of [`Dual`] numbers the solution has its tangents, and
//! derivatives of every order are right.
//!
//! ```
//! use wengert::{Tape, implicit};
//!
//! // Kepler's equation E - e sin E = M.
//! let tape = Tape::<f64>::new();
//! let [e, m] = tape.vars([0.3, 1.0]);
//! let x = implicit::root(|x, p| vec![x[0] - p[0] * x[0].sin() - p[1]], &[1.0], &[e, m])?[0];
//! let slope = 1.0 - 0.3 * x.value().cos();
//! let gradient = x.backward();
//! assert!((gradient[m] - 1.0 / slope).abs() < 1e-15);
//! assert!((gradient[e] - x.value().sin() / slope).abs() < 1e-15);
//! # Ok::<(), implicit::ImplicitError>(())
//! ```

use std::error::Error;
use std::fmt;

use ndarray::{Array1, Array2};
use num_traits::{Float, ToPrimitive, Zero};

use super::hessian::{COLUMNS, VarOf};
use super::linearization::Linearization;
use crate::number::{Dual, Real, Scalar};
use crate::scalar::Var;
use crate::slices::{Defect, Factor};
use crate::tape::Tape;
use crate::tensor::LinalgError;

/// The largest number of steps of Newton's method.
const STEPS: usize = 100;

/// The steps after convergence: each doubles the correct digits, and the number of orders of derivative that are right.
const POLISHING: usize = 2;

/// The reason why [`root`], [`fixed_point`] or [`minimum`] has no result. Needs the feature `linalg`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ImplicitError {
    /// The matrix ∂F/∂x, or the Hessian, has no inverse, exactly or up to rounding, or Newton's method slows down, as
    /// it does at a multiple root: the solution is not a differentiable function of the parameters.
    #[non_exhaustive]
    Singular {
        /// The name of the function.
        operation: &'static str,
    },
    /// Newton's method did not converge from the start.
    #[non_exhaustive]
    NotConverged {
        /// The name of the function.
        operation: &'static str,
        /// The number of steps.
        steps: usize,
        /// The norm of the equations' residuals, or of the gradient, at the last point.
        residual: f64,
    },
    /// The equations, or their derivatives, are not finite at the start or at the solution.
    #[non_exhaustive]
    NotFinite {
        /// The name of the function.
        operation: &'static str,
    },
    /// The gradient is 0 at the point, but the Hessian is not positive definite.
    #[non_exhaustive]
    NotAMinimum {
        /// The order of the first leading block of the Hessian that is not positive definite.
        order: usize,
    },
}

impl fmt::Display for ImplicitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Singular { operation } => write!(
                f,
                "{operation}: at the solution the derivatives of the equations with respect to the unknowns are a \
                 singular matrix, so that the solution is not a differentiable function of the parameters"
            ),
            Self::NotConverged { operation, steps, residual } => write!(
                f,
                "{operation}: {steps} steps of Newton's method left a residual of {residual:e}; start nearer to the \
                 solution"
            ),
            Self::NotFinite { operation } => {
                write!(f, "{operation}: the equations or their derivatives are not finite")
            }
            Self::NotAMinimum { order } => write!(
                f,
                "minimum: the gradient is 0, but the Hessian is not positive definite (its leading block of order \
                 {order} is not)"
            ),
        }
    }
}

impl Error for ImplicitError {}

/// The root x(p) of the equations F(x, p) = 0 near `start`, as variables of the tape of the parameters.
///
/// `start` is a solution, or a point from which Newton's method, with steps that are halved until the residuals get
/// smaller, finds one. The function returns as many numbers as there are unknowns. Use no other variables in it than
/// its arguments: what x depends on must be among `p`.
///
/// ```
/// use wengert::{Tape, implicit};
///
/// // The cube root by its equation.
/// let tape = Tape::<f64>::new();
/// let p = tape.var(8.0);
/// let x = implicit::root(|x, p| vec![x[0].powi(3) - p[0]], &[1.0], &[p])?[0];
/// assert!((x.value() - 2.0).abs() < 1e-15);
/// assert!((x.backward()[p] - 1.0 / 12.0).abs() < 1e-15);
/// # Ok::<(), implicit::ImplicitError>(())
/// ```
///
/// # Errors
///
/// See [`ImplicitError`].
///
/// # Panics
///
/// If the function returns another number of equations than there are unknowns, or variables of another tape.
#[track_caller]
pub fn root<'t, F: Scalar>(
    f: impl for<'a> Fn(&[Var<'a, F>], &[Var<'a, F>]) -> Vec<Var<'a, F>>,
    start: &[F::Base],
    p: &[Var<'t, F>],
) -> Result<Vec<Var<'t, F>>, ImplicitError> {
    root_of("root", f, start, p)
}

/// The fixed point x(p) = g(x, p) near `start`: the [`root`] of x - g(x, p).
///
/// ```
/// use wengert::{Tape, implicit};
///
/// let tape = Tape::<f64>::new();
/// let p = tape.var(1.0);
/// let x = implicit::fixed_point(|x, p| vec![(p[0] * x[0]).cos()], &[0.7], &[p])?[0];
/// let (value, slope) = (x.value(), -(x.value().sin()));
/// assert!((value - 0.7390851332151607).abs() < 1e-15);
/// assert!((x.backward()[p] - value * slope / (1.0 - slope)).abs() < 1e-15);
/// # Ok::<(), implicit::ImplicitError>(())
/// ```
///
/// # Errors
///
/// See [`ImplicitError`].
///
/// # Panics
///
/// Same as for [`root`].
#[track_caller]
pub fn fixed_point<'t, F: Scalar>(
    g: impl for<'a> Fn(&[Var<'a, F>], &[Var<'a, F>]) -> Vec<Var<'a, F>>,
    start: &[F::Base],
    p: &[Var<'t, F>],
) -> Result<Vec<Var<'t, F>>, ImplicitError> {
    root_of(
        "fixed_point",
        |x, p| {
            let y = g(x, p);
            assert_equations("fixed_point", y.len(), x.len());
            x.iter().zip(y).map(|(&x, y)| x - y).collect()
        },
        start,
        p,
    )
}

/// The minimum x(p) of f(x, p) over x near `start`, as variables of the tape of the parameters.
///
/// `start` is the minimum as any optimiser found it, or a point from which Newton's method for ∇f = 0 finds it. The
/// Hessian there must be positive definite. The function runs ⌈n/8⌉ times for n unknowns at each step, on [`Dual`]
/// numbers with eight tangents.
///
/// ```
/// use wengert::{Tape, implicit};
///
/// // The weight that ridge regression finds for the data (1, 2) and (2, 3), and its derivative by the penalty.
/// let tape = Tape::<f64>::new();
/// let penalty = tape.var(0.5);
/// let w = implicit::minimum(
///     |w, p| (w[0] - 2.0).square() + (2.0 * w[0] - 3.0).square() + p[0] * w[0].square(),
///     &[0.0],
///     &[penalty],
/// )?[0];
/// assert!((w.value() - 8.0 / 5.5).abs() < 1e-15);
/// assert!((w.backward()[penalty] + 8.0 / 5.5_f64.powi(2)).abs() < 1e-15);
/// # Ok::<(), implicit::ImplicitError>(())
/// ```
///
/// # Errors
///
/// See [`ImplicitError`].
///
/// # Panics
///
/// If the function returns a variable of another tape.
#[track_caller]
pub fn minimum<'t, F: Scalar>(
    f: impl for<'a> Fn(&[VarOf<'a, F>], &[VarOf<'a, F>]) -> VarOf<'a, F>,
    start: &[F::Base],
    p: &[Var<'t, F>],
) -> Result<Vec<Var<'t, F>>, ImplicitError> {
    let parameters: Vec<F> = p.iter().map(|p| p.value()).collect();
    let n = start.len();
    let (x, hessian) = newton("minimum", start, |x| second_order(&f, x, &parameters, false))?;
    let mut primals: Vec<F::Base> = hessian.iter().map(|h| h.to_base()).collect();
    if let Err(Defect::Block(order) | Defect::Pivot(order)) = F::Base::cholesky(&mut primals, n) {
        return Err(ImplicitError::NotAMinimum { order });
    }
    solution("minimum", x, hessian, p, |x, tape| {
        let values: Vec<F> = x.iter().map(|x| x.value()).collect();
        let mixed = second_order(&f, &values, &parameters, true).1;
        // The gradient is 0 at the parameters' values, and linear in the parameters up to first order.
        let moved = tape.stack_vars(p) - tape.constant(Array1::from(parameters));
        let gradient = tape.constant(mixed).dot(moved);
        (0..n).map(|i| gradient.at([i])).collect()
    })
}

#[track_caller]
fn root_of<'t, F: Scalar>(
    operation: &'static str,
    f: impl for<'a> Fn(&[Var<'a, F>], &[Var<'a, F>]) -> Vec<Var<'a, F>>,
    start: &[F::Base],
    p: &[Var<'t, F>],
) -> Result<Vec<Var<'t, F>>, ImplicitError> {
    let (x, jacobian) = newton(operation, start, |x| {
        let (residuals, recording) = Linearization::new(
            |x| {
                let constants: Vec<_> = p.iter().map(|p| Var::constant(p.value())).collect();
                f(x, &constants)
            },
            x,
        );
        assert_equations(operation, residuals.len(), x.len());
        (residuals, recording.jacobian())
    })?;
    solution(operation, x, jacobian, p, |x, _| f(x, p))
}

#[track_caller]
fn assert_equations(operation: &str, equations: usize, unknowns: usize) {
    assert!(
        equations == unknowns,
        "{operation}: the function returned {equations} numbers for {unknowns} unknowns; give one for each"
    );
}

/// The gradient of f over x at (x, p), and the second derivatives ∂²f/∂x∂x, or ∂²f/∂x∂p if they are `mixed`.
#[track_caller]
fn second_order<F: Scalar>(
    f: &impl for<'a> Fn(&[VarOf<'a, F>], &[VarOf<'a, F>]) -> VarOf<'a, F>,
    x: &[F],
    p: &[F],
    mixed: bool,
) -> (Vec<F>, Array2<F>) {
    let (n, columns) = (x.len(), if mixed { p.len() } else { x.len() });
    let (mut gradient, mut second) = (vec![F::zero(); n], Array2::zeros((n, columns)));
    let mut tape = Tape::new();
    for first in (0..n).step_by(COLUMNS) {
        let rows = first..n.min(first + COLUMNS);
        let seeded = |j: usize| if rows.contains(&j) { Dual::along(x[j], j - first) } else { Dual::constant(x[j]) };
        let point: Vec<_> = (0..n).map(seeded).collect();
        let parameters: Vec<_> = p.iter().map(|&p| Dual::constant(p)).collect();
        tape.clear();
        let vars = tape.vars_from(&point);
        let slopes = if mixed {
            let parameters = tape.vars_from(&parameters);
            f(vars, parameters).backward().wrt(parameters)
        } else {
            let constants: Vec<_> = parameters.into_iter().map(Var::constant).collect();
            f(vars, &constants).backward().wrt(vars)
        };
        for (j, slope) in slopes.into_iter().enumerate() {
            if !mixed {
                gradient[j] = slope.primal();
            }
            for i in rows.clone() {
                second[[i, j]] = slope.tangents()[i - first];
            }
        }
    }
    (gradient, second)
}

/// The root of equations that `evaluate` gives with their Jacobian, and the Jacobian there, with all tangents.
#[track_caller]
fn newton<F: Scalar>(
    operation: &'static str,
    start: &[F::Base],
    evaluate: impl Fn(&[F]) -> (Vec<F>, Array2<F>),
) -> Result<(Vec<F>, Array2<F>), ImplicitError> {
    let mut x: Vec<F> = start.iter().map(|&x| F::from_base(x)).collect();
    let (mut residuals, mut jacobian) = evaluate(&x);
    if !size(&residuals).is_finite() {
        return Err(ImplicitError::NotFinite { operation });
    }
    let (mut polished, mut last) = (0, F::Base::infinity());
    for steps in 0..STEPS {
        let (step, rcond) = solved(operation, &jacobian, &residuals)?;
        let close = largest(&step) <= largest(&x) * Float::sqrt(F::Base::epsilon());
        // Near a regular root a step is far shorter than the one before, but for rounding errors.
        let rounding = F::Base::lit(1e4) * F::Base::epsilon() * largest(&x);
        let slow = largest(&step) > F::Base::lit(0.25) * last && largest(&step) * rcond > rounding;
        let singular = !(rcond > F::Base::lit(x.len() as f64) * F::Base::epsilon());
        if polished > 0 && (slow || singular) {
            return Err(ImplicitError::Singular { operation });
        }
        last = largest(&step);
        let mut part = F::one();
        loop {
            let moved: Vec<F> = x.iter().zip(&step).map(|(&x, &step)| x - part * step).collect();
            let next = evaluate(&moved);
            // Near the root rounding alone decides whether the residuals get smaller.
            if close || polished > 0 || size(&next.0) < size(&residuals) {
                (x, residuals, jacobian) = (moved, next.0, next.1);
                break;
            }
            part *= F::lit(0.5);
            if part.to_base() < F::Base::epsilon() {
                return Err(not_converged(operation, steps, &residuals));
            }
        }
        polished += usize::from(close || polished > 0);
        if polished > POLISHING {
            let finite = size(&residuals).is_finite();
            return if finite { Ok((x, jacobian)) } else { Err(ImplicitError::NotFinite { operation }) };
        }
    }
    Err(not_converged(operation, STEPS, &residuals))
}

fn not_converged<F: Scalar>(operation: &'static str, steps: usize, residuals: &[F]) -> ImplicitError {
    let residual = size(residuals).to_f64().unwrap_or(f64::NAN);
    ImplicitError::NotConverged { operation, steps, residual }
}

/// J⁻¹r, and the reciprocal condition number of J.
fn solved<F: Scalar>(
    operation: &'static str,
    jacobian: &Array2<F>,
    residuals: &[F],
) -> Result<(Vec<F>, F::Base), ImplicitError> {
    let tape = Tape::<F>::new();
    let lu = tape.constant(jacobian).factorize().map_err(|error| defect(operation, error))?;
    let step = lu.solve(tape.constant(Array1::from(residuals.to_vec())));
    Ok((step.value().to_vec(), lu.rcond()))
}

fn defect(operation: &'static str, error: LinalgError) -> ImplicitError {
    match error {
        LinalgError::NotFinite { .. } => ImplicitError::NotFinite { operation },
        _ => ImplicitError::Singular { operation },
    }
}

/// The root on the tape of the parameters: x - J⁻¹F(x, p), where x and J are constants with all their tangents. The
/// residuals have the values 0 up to rounding, and the derivatives with respect to the parameters.
#[track_caller]
fn solution<'t, F: Scalar>(
    operation: &'static str,
    x: Vec<F>,
    jacobian: Array2<F>,
    p: &[Var<'t, F>],
    residuals: impl FnOnce(&[Var<'t, F>], &'t Tape<F>) -> Vec<Var<'t, F>>,
) -> Result<Vec<Var<'t, F>>, ImplicitError> {
    let constants: Vec<Var<'t, F>> = x.iter().map(|&x| Var::constant(x)).collect();
    let Some(tape) = p.iter().find_map(Var::tape).filter(|_| !x.is_empty()) else {
        return Ok(constants);
    };
    let lu = tape.constant(jacobian).factorize().map_err(|error| defect(operation, error))?;
    let step = lu.solve(tape.stack_vars(&residuals(&constants, tape)));
    let root = tape.constant(Array1::from(x)) - step;
    Ok((0..constants.len()).map(|i| root.at([i])).collect())
}

/// The Euclidean norm of the primals.
fn size<F: Scalar>(x: &[F]) -> F::Base {
    let primals: Vec<F::Base> = x.iter().map(|x| x.to_base()).collect();
    F::Base::norm_of(&primals)
}

/// The largest of the primals, in size.
fn largest<F: Scalar>(x: &[F]) -> F::Base {
    x.iter().fold(F::Base::zero(), |largest, x| Float::max(largest, Float::abs(x.to_base())))
}
