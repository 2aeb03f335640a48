//! Least squares: the parameters of a model from data, with standard errors. Needs the feature `linalg`.
//!
//! [`fit`](crate::fit()) takes the residuals, written once, and a start; [`LeastSquares`] has settings: robust losses,
//! bounds, the tape for functions that read values.
//!
//! ```
//! use wengert::fit;
//!
//! // The decay y = a e^(-b t) from five points.
//! let data = [(0.0, 2.1), (1.0, 1.1), (2.0, 0.7), (3.0, 0.35), (4.0, 0.2)];
//! let found = fit(|p| data.iter().map(|&(t, y)| p[0] * (-p[1] * t).exp() - y).collect(), &[1.0, 1.0])?;
//! let errors = found.standard_errors()?;
//! println!("a = {:.2} ± {:.2}", found.parameters[0], errors[0]);
//! assert!((found.parameters[1] - 0.588016).abs() < 1e-6);
//! # Ok::<(), wengert::fit::FitError>(())
//! ```
//!
//! The method is that of Levenberg and Marquardt; the Jacobian comes from a [`Program`](crate::Program) that is
//! recorded at the start, and again where a branch changes. A point at which a residual is not finite is never
//! accepted, so that a model may have a domain.

mod error;
mod loss;
mod solver;

use std::fmt;

use nalgebra::DMatrix;
use ndarray::Array2;

use self::solver::{Minimum, Residuals, Settings};
pub use self::{error::FitError, loss::Loss, solver::Stop};
use crate::derivatives::jacobian;
use crate::number::Real;
use crate::program::AutoProgram;
use crate::recording::Recorded;
use crate::scalar::{Var, norm};
use crate::transform::Bounds;

/// The parameters for which the sum of the squared residuals is least, from a start: [`LeastSquares`] with its
/// defaults.
///
/// ```
/// use wengert::fit;
///
/// let data = [(1.0, 3.1), (2.0, 4.9), (3.0, 7.2), (4.0, 8.8)];
/// let line = fit(|p| data.iter().map(|&(x, y)| p[0] + p[1] * x - y).collect(), &[0.0, 0.0])?;
/// assert!((line.parameters[0] - 1.15).abs() < 1e-12);
/// assert!((line.parameters[1] - 1.94).abs() < 1e-12);
/// # Ok::<(), wengert::fit::FitError>(())
/// ```
///
/// Needs the feature `linalg`.
///
/// # Errors
///
/// See [`FitError`].
///
/// # Panics
///
/// If two calls of the function return different numbers of residuals.
#[track_caller]
pub fn fit(
    residuals: impl for<'r> Fn(&'r [Recorded<'r>]) -> Vec<Recorded<'r>>,
    start: &[f64],
) -> Result<Fit, FitError> {
    LeastSquares::new().fit(residuals, start)
}

/// Settings of a fit. Needs the feature `linalg`.
///
/// ```
/// use wengert::fit::{LeastSquares, Loss};
///
/// // A line through points of which one is an outlier, with a slope that is not negative.
/// let data = [(0.0, 0.1), (1.0, 0.9), (2.0, 2.1), (3.0, 30.0), (4.0, 4.0)];
/// let robust = LeastSquares::new().loss(Loss::Cauchy(0.2)).bounds(&[(-10.0, 10.0), (0.0, f64::INFINITY)]);
/// let line = robust.fit(|p| data.iter().map(|&(x, y)| p[0] + p[1] * x - y).collect(), &[0.0, 0.5])?;
/// assert!((line.parameters[1] - 1.0).abs() < 0.05);
/// # Ok::<(), wengert::fit::FitError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LeastSquares {
    settings: Settings,
    bounds: Option<Bounds>,
}

impl Default for LeastSquares {
    fn default() -> Self {
        Self::new()
    }
}

impl LeastSquares {
    /// Plain least squares without bounds, to a tolerance of 1e-15 in at most 1,000 iterations.
    pub fn new() -> Self {
        let settings = Settings { loss: Loss::Square, tolerance: 1e-15, max_iterations: 1000 };
        Self { settings, bounds: None }
    }

    /// Another loss.
    ///
    /// # Panics
    ///
    /// If its scale is not positive and finite.
    #[track_caller]
    #[must_use]
    pub fn loss(mut self, loss: Loss) -> Self {
        let scale = loss.scale();
        assert!(scale > 0.0 && scale.is_finite(), "loss: the scale must be positive and finite, it is {scale}");
        self.settings.loss = loss;
        self
    }

    /// Bounds (lo, hi) of each parameter, by [`transform::interval`](crate::transform::interval); either may be
    /// infinite. The start must lie inside. A minimum on a bound is approached up to the tolerance.
    ///
    /// # Panics
    ///
    /// If not lo < hi for each.
    #[track_caller]
    #[must_use]
    pub fn bounds(mut self, bounds: &[(f64, f64)]) -> Self {
        self.bounds = Some(Bounds::new(bounds));
        self
    }

    /// The relative change of the cost, and of the parameters, and the cosine of the residuals and the columns of the
    /// Jacobian, that count as none. The fit ends with the first of them.
    ///
    /// # Panics
    ///
    /// If the tolerance is negative or NaN.
    #[track_caller]
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        assert!(tolerance >= 0.0, "tolerance: it is {tolerance}, but it must not be negative");
        self.settings.tolerance = tolerance;
        self
    }

    /// The largest number of iterations.
    #[must_use]
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.settings.max_iterations = iterations;
        self
    }

    /// The fit of recorded residuals: see [`fit`](crate::fit()).
    ///
    /// # Errors
    ///
    /// See [`FitError`].
    ///
    /// # Panics
    ///
    /// If there are not as many bounds as parameters, or two calls of the function return different numbers of
    /// residuals.
    #[track_caller]
    pub fn fit(
        &self,
        residuals: impl for<'r> Fn(&'r [Recorded<'r>]) -> Vec<Recorded<'r>>,
        start: &[f64],
    ) -> Result<Fit, FitError> {
        self.run(&mut ByProgram { program: AutoProgram::vector(residuals) }, start)
    }

    /// The fit of residuals on a tape, for functions that read the values of their numbers, such as solvers with an
    /// adaptive step, and for operations on tensors. Each iteration records afresh.
    ///
    /// ```
    /// use wengert::fit::LeastSquares;
    ///
    /// let settings = LeastSquares::new();
    /// let found = settings.fit_on_tape(|p| vec![p[0] - 1.0, (p[1] - p[0]).exp() - 1.0, p[0] * 0.0], &[0.0, 0.0])?;
    /// assert!((found.parameters[1] - 1.0).abs() < 1e-12);
    /// # Ok::<(), wengert::fit::FitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`FitError`].
    ///
    /// # Panics
    ///
    /// If there are not as many bounds as parameters, or two calls of the function return different numbers of
    /// residuals.
    #[track_caller]
    pub fn fit_on_tape(
        &self,
        residuals: impl for<'t> Fn(&[Var<'t>]) -> Vec<Var<'t>>,
        start: &[f64],
    ) -> Result<Fit, FitError> {
        self.run(&mut ByTape { residuals }, start)
    }

    #[track_caller]
    fn run(&self, f: &mut impl Residuals, start: &[f64]) -> Result<Fit, FitError> {
        let n = start.len();
        let bounds = self.bounds.clone().unwrap_or_else(|| Bounds::none(n));
        assert!(bounds.ends().len() == n, "fit: {} bounds for {n} parameters; give one for each", bounds.ends().len());
        if n == 0 {
            return Err(FitError::NoParameters);
        }
        let free = bounds.free(start);
        if let Some(parameter) = free.iter().position(|u| !u.is_finite()) {
            let (start, bounds) = (start[parameter], bounds.ends()[parameter]);
            return Err(FitError::Start { parameter, start, bounds });
        }
        let Minimum { parameters, residuals, jacobian, cost, iterations, stop } =
            solver::minimise(f, &bounds, free, self.settings)?;
        Ok(Fit { parameters, residuals, cost, iterations, stop, loss: self.settings.loss, jacobian })
    }
}

/// Residuals by programs.
struct ByProgram<C> {
    program: AutoProgram<C>,
}

impl<C: for<'r> Fn(&'r [Recorded<'r>]) -> Vec<Recorded<'r>>> Residuals for ByProgram<C> {
    fn values(&mut self, p: &[f64]) -> Result<Vec<f64>, FitError> {
        Ok(self.program.values(p)?)
    }
    fn jacobian(&mut self, p: &[f64]) -> Result<Array2<f64>, FitError> {
        Ok(self.program.jacobian(p)?)
    }
}

/// Residuals on a tape.
struct ByTape<C> {
    residuals: C,
}

impl<C: for<'t> Fn(&[Var<'t>]) -> Vec<Var<'t>>> Residuals for ByTape<C> {
    fn values(&mut self, p: &[f64]) -> Result<Vec<f64>, FitError> {
        let constants: Vec<_> = p.iter().map(|&p| Var::constant(p)).collect();
        Ok((self.residuals)(&constants).into_iter().map(Var::value).collect())
    }
    fn jacobian(&mut self, p: &[f64]) -> Result<Array2<f64>, FitError> {
        Ok(jacobian(|p| (self.residuals)(p), p))
    }
}

/// The result of a fit. Needs the feature `linalg`.
#[derive(Clone)]
#[non_exhaustive]
pub struct Fit {
    /// The parameters.
    pub parameters: Vec<f64>,
    /// The residuals, without the loss.
    pub residuals: Vec<f64>,
    /// The cost: half of the sum of the squared residuals, or what the [`Loss`] makes of them.
    pub cost: f64,
    /// The number of iterations, each with a Jacobian.
    pub iterations: usize,
    /// The condition that ended them.
    pub stop: Stop,
    loss: Loss,
    jacobian: DMatrix<f64>,
}

impl fmt::Debug for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parameters, cost, iterations, stop, .. } = self;
        f.debug_struct("Fit")
            .field("parameters", parameters)
            .field("cost", cost)
            .field("iterations", iterations)
            .field("stop", stop)
            .finish_non_exhaustive()
    }
}

impl Fit {
    /// The number of residuals that are left when the parameters are determined, m - n.
    pub fn degrees_of_freedom(&self) -> usize {
        self.residuals.len() - self.parameters.len()
    }

    /// The Jacobian of the residuals at the parameters, one row for each residual.
    pub fn jacobian(&self) -> Array2<f64> {
        Array2::from_shape_fn(self.jacobian.shape(), |place| self.jacobian[place])
    }

    /// The standard deviation σ of the residuals, √(Σr²/(m - n)).
    ///
    /// With a robust loss it is the σ that gives the [`covariance`](Self::covariance): that of residuals without outliers,
    /// from which plain least squares would determine the parameters as well as the loss does from these. With ψ the
    /// derivative of the loss, and means and variances over the residuals,
    ///
    /// σ = κ √(Σψ(r)²/(m - n)) / mean ψ'(r), κ = 1 + (n/m) var ψ'(r) / (mean ψ'(r))²,
    ///
    /// for residuals that are independent and of one symmetric distribution (Huber 1981, "Robust Statistics", section
    /// 7.6, equation 6.5; R's `rlm` and statsmodels' `RLM` take it as well). scipy's `curve_fit` has other numbers for
    /// robust losses, twice the cost over m - n times the inverse of the loss's curvature, which estimate no variance.
    ///
    /// # Errors
    ///
    /// [`FitError::NothingLeft`] if m = n, [`FitError::LossTooNarrow`].
    pub fn residual_deviation(&self) -> Result<f64, FitError> {
        let (m, n) = (self.residuals.len() as f64, self.parameters.len() as f64);
        if self.degrees_of_freedom() == 0 {
            return Err(FitError::NothingLeft);
        }
        let influences: Vec<[f64; 2]> = self.residuals.iter().map(|&r| self.loss.influence(r)).collect();
        let curvature = influences.iter().map(|[_, slope]| slope).sum::<f64>() / m;
        if !(curvature > 0.0) {
            return Err(FitError::LossTooNarrow { curvature });
        }
        let variance = influences.iter().map(|[_, slope]| (slope - curvature).square()).sum::<f64>() / m;
        let correction = 1.0 + n / m * variance / curvature.square();
        let size = norm(&influences.iter().map(|[psi, _]| *psi).collect::<Vec<f64>>());
        Ok(correction * size / (m - n).sqrt() / curvature)
    }

    /// The covariance of the parameters, σ²(JᵀJ)⁻¹ with the σ of [`residual_deviation`](Self::residual_deviation), to
    /// first order; for residuals that are independent and of one variance. Bounds do not change it.
    ///
    /// # Errors
    ///
    /// [`FitError::NothingLeft`], [`FitError::LossTooNarrow`] or [`FitError::Singular`].
    pub fn covariance(&self) -> Result<Array2<f64>, FitError> {
        let deviation = self.residual_deviation()?;
        Ok(self.covariance_of_unit_errors()? * (deviation * deviation))
    }

    /// The standard errors of the parameters: the roots of the diagonal of the [`covariance`](Self::covariance).
    ///
    /// # Errors
    ///
    /// Same as for [`covariance`](Self::covariance).
    pub fn standard_errors(&self) -> Result<Vec<f64>, FitError> {
        Ok(self.covariance()?.diag().iter().map(|variance| variance.sqrt()).collect())
    }

    /// The covariance (JᵀJ)⁻¹ of the parameters for residuals that are in units of known errors, by plain least squares;
    /// that of a robust loss is larger.
    ///
    /// # Errors
    ///
    /// [`FitError::Singular`].
    pub fn covariance_of_unit_errors(&self) -> Result<Array2<f64>, FitError> {
        // Columns of norm 1, so that the rank does not depend on the units of the parameters.
        let norms: Vec<f64> = self.jacobian.column_iter().map(|column| column.norm()).collect();
        let lengths: Vec<f64> = norms.iter().map(|&norm| if norm > 0.0 { norm } else { 1.0 }).collect();
        let (m, n) = self.jacobian.shape();
        let unit = DMatrix::from_fn(m, n, |i, j| self.jacobian[(i, j)] / lengths[j]);
        let svd = unit.qr().r().svd(false, true);
        let (sizes, directions) = (&svd.singular_values, svd.v_t.as_ref().expect("it was asked for"));
        let least = f64::EPSILON * m as f64 * sizes.max();
        let lost: Vec<usize> = (0..n).filter(|&k| !(sizes[k] > least)).collect();
        if !lost.is_empty() {
            // Entries of the null space of the size of rounding errors do not count.
            let takes_part = |j: &usize| lost.iter().any(|&k| directions[(k, *j)].abs() > 1e-6);
            return Err(FitError::Singular { rank: n - lost.len(), parameters: (0..n).filter(takes_part).collect() });
        }
        let entry = |i: usize, j: usize| {
            let terms = (0..n).map(|k| directions[(k, i)] * directions[(k, j)] / (sizes[k] * sizes[k]));
            terms.sum::<f64>() / (lengths[i] * lengths[j])
        };
        Ok(Array2::from_shape_fn((n, n), |(i, j)| entry(i, j)))
    }
}
