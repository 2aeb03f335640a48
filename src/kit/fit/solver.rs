//! The method of Levenberg and Marquardt.

use nalgebra::{DMatrix, DVector, DVectorView};
use ndarray::Array2;

use super::error::FitError;
use super::loss::Loss;
use crate::number::Dual;
use crate::transform::Bounds;

/// A function of residuals, with its Jacobian.
pub(super) trait Residuals {
    /// The residuals at a point.
    fn values(&mut self, p: &[f64]) -> Result<Vec<f64>, FitError>;
    /// Their Jacobian, one row for each residual.
    fn jacobian(&mut self, p: &[f64]) -> Result<Array2<f64>, FitError>;
}

/// The condition that ended the iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// Every residual is 0.
    Exact,
    /// The residuals are orthogonal to the columns of the Jacobian: the gradient of the cost is 0 up to the tolerance.
    Gradient,
    /// The last step and the one that the linear model foresaw changed the cost by less than the tolerance.
    Cost,
    /// The last step changed the parameters by less than the tolerance.
    Step,
}

/// The settings of the iterations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) loss: Loss,
    pub(super) tolerance: f64,
    pub(super) max_iterations: usize,
}

/// A minimum.
pub(super) struct Minimum {
    pub(super) parameters: Vec<f64>,
    pub(super) residuals: Vec<f64>,
    /// The Jacobian by the parameters.
    pub(super) jacobian: DMatrix<f64>,
    pub(super) cost: f64,
    pub(super) iterations: usize,
    pub(super) stop: Stop,
}

/// The number of roundings of all terms below which a decrease of the cost that the model foresees cannot be seen.
const ROUNDINGS: f64 = 100.0;

/// Minimises the cost over the free numbers of the bounds, from the point `free`.
///
/// A step minimises the linear model ‖r + Jδ‖² + ‖Cδ‖² in a region ‖Dδ‖ ≤ Δ. D holds the largest norm so far of each
/// column, which makes the steps independent of the parameters' units, and Δ follows the ratio of the true and the
/// foreseen decrease (Moré 1978, "The Levenberg-Marquardt algorithm: implementation and theory", algorithm 7.1). C² is
/// the curvature that the bounds bring, without which steps towards a bound would be far too long. Steps to points with
/// residuals that are not finite are refused like steps that increase the cost.
#[track_caller]
pub(super) fn minimise(
    f: &mut impl Residuals,
    bounds: &Bounds,
    mut free: Vec<f64>,
    settings: Settings,
) -> Result<Minimum, FitError> {
    let n = free.len();
    let mut point = Point::new(f, bounds, &free, settings.loss)?;
    if let Some((residual, &value)) = point.residuals.iter().enumerate().find(|(_, r)| !r.is_finite()) {
        return Err(FitError::ResidualNotFinite { residual, value });
    }
    if point.residuals.len() < n {
        return Err(FitError::TooFewResiduals { residuals: point.residuals.len(), parameters: n });
    }
    let largest = point.residuals.iter().fold(0.0, |largest: f64, r| largest.max(r.abs()));
    if largest > 0.0 && !point.cost.is_normal() {
        return Err(FitError::Units { largest });
    }
    let (mut scales, mut radius, mut iterations) = (DVector::zeros(n), None, 0);
    loop {
        let slopes = point.rows(f, bounds, &free, settings.loss)?;
        for (scale, column) in scales.iter_mut().zip(slopes.jacobian.column_iter()) {
            *scale = f64::max(*scale, column.component_mul(&slopes.weights).norm());
        }
        let model = Model::new(&slopes, &scales);
        let cosine = model.gradient.amax() / slopes.residuals.norm();
        if point.cost == 0.0 {
            return Ok(point.minimum(slopes.jacobian, iterations, Stop::Exact));
        }
        if cosine <= settings.tolerance {
            return Ok(point.minimum(slopes.jacobian, iterations, Stop::Gradient));
        }
        if iterations == settings.max_iterations {
            return Err(point.not_converged(cosine, iterations));
        }
        iterations += 1;
        let length = DVector::from_column_slice(&free).component_mul(&model.weights).norm();
        let radius = radius.get_or_insert(if length > 0.0 { length } else { 1.0 });
        // Smaller and smaller regions, until a step makes the cost less.
        let stop = loop {
            let (scaled, damping) = model.step(*radius);
            let size = scaled.norm();
            let moved: Vec<f64> =
                free.iter().zip(scaled.iter().zip(&model.weights)).map(|(x, (d, weight))| x + d / weight).collect();
            let slope = scaled.dot(&model.gradient);
            let foreseen = 0.5 * (damping * size * size - slope);
            let next = Point::new(f, bounds, &moved, settings.loss)?;
            assert_same_length(point.residuals.len(), next.residuals.len());
            let decrease = point.cost - next.cost;
            let ratio = decrease / foreseen;
            if !(ratio > 0.25) {
                // The minimum of the parabola through both costs and the slope.
                let part = if decrease >= 0.0 { 0.5 } else { 0.5 * slope / (slope + decrease) };
                *radius = if part.is_nan() { 0.1 } else { part.clamp(0.1, 0.5) } * radius.min(10.0 * size);
            } else if ratio >= 0.75 || damping == 0.0 {
                *radius = 2.0 * size;
            }
            if decrease > 0.0 && ratio > 1e-4 {
                let small = settings.tolerance * point.cost;
                let done = if decrease <= small && foreseen <= small && ratio <= 2.0 {
                    Some(Stop::Cost)
                } else {
                    (size <= settings.tolerance * length).then_some(Stop::Step)
                };
                (free, point) = (moved, next);
                break done;
            }
            if size <= f64::EPSILON * length || foreseen <= f64::EPSILON * f64::EPSILON * point.cost {
                // The changes that rounding the parameters and the residuals brings to the residuals, and so to the cost.
                let norm = |column: DVectorView<'_, f64>| column.component_mul(&slopes.weights).norm();
                let columns = slopes.jacobian.column_iter();
                let changes = columns.zip(&point.parameters).map(|(column, p)| norm(column) * p.abs());
                let size = slopes.residuals.norm();
                let rounding = ROUNDINGS * f64::EPSILON * (changes.sum::<f64>() + size);
                return if model.residuals.norm_squared() <= rounding * (size + rounding) {
                    Ok(point.minimum(slopes.jacobian, iterations, Stop::Step))
                } else {
                    Err(point.not_converged(cosine, iterations))
                };
            }
        };
        if let Some(stop) = stop {
            let slopes = point.rows(f, bounds, &free, settings.loss)?;
            return Ok(point.minimum(slopes.jacobian, iterations, stop));
        }
    }
}

#[track_caller]
fn assert_same_length(before: usize, after: usize) {
    assert!(
        before == after,
        "fit: the function returned {before} residuals at one point and {after} at another; their number must \
         not change"
    );
}

/// The linear model in scaled steps Dδ: the singular values of (J; C) D⁻¹, by a QR decomposition of J, so that the
/// condition of J is not squared.
struct Model {
    /// The diagonal of D.
    weights: DVector<f64>,
    /// D⁻¹Jᵀr.
    gradient: DVector<f64>,
    singular_values: DVector<f64>,
    /// The residuals along the left singular vectors.
    residuals: DVector<f64>,
    /// The right singular vectors, as rows.
    directions: DMatrix<f64>,
}

impl Model {
    fn new(slopes: &Slopes, scales: &DVector<f64>) -> Self {
        let n = scales.len();
        let weights = scales.component_mul(&slopes.stretch).zip_map(&slopes.curvature, |scale: f64, c| {
            let weight = scale.hypot(c.sqrt());
            if weight > 0.0 { weight } else { 1.0 }
        });
        let qr = slopes.free.clone().qr();
        let mut rotated = slopes.residuals.clone();
        qr.q_tr_mul(&mut rotated);
        let r = qr.r();
        let stacked = DMatrix::from_fn(2 * n, n, |i, j| match i.checked_sub(n) {
            None => r[(i, j)] / weights[j],
            Some(i) if i == j => slopes.curvature[j].sqrt() / weights[j],
            Some(_) => 0.0,
        });
        let svd = stacked.svd(true, true);
        let left = svd.u.expect("it was asked for");
        Self {
            gradient: slopes.free.tr_mul(&slopes.residuals).component_div(&weights),
            residuals: left.rows(0, n).tr_mul(&rotated.rows(0, n)),
            singular_values: svd.singular_values,
            directions: svd.v_t.expect("it was asked for"),
            weights,
        }
    }

    /// The scaled step of damping μ along each right singular vector.
    fn along(&self, damping: f64) -> DVector<f64> {
        // Directions that change no residual but by rounding take no part in an undamped step.
        let least = f64::EPSILON * self.weights.len() as f64 * self.singular_values.max();
        self.singular_values.zip_map(&self.residuals, |s, r| {
            if damping > 0.0 {
                -s * r / (s * s + damping)
            } else if s > least {
                -r / s
            } else {
                0.0
            }
        })
    }

    /// The scaled step in the region of this radius, with the μ for which its length is the radius up to a tenth, or 0
    /// if the step is shorter: Newton's method for the secular equation, within bounds (Moré 1978, section 5).
    fn step(&self, radius: f64) -> (DVector<f64>, f64) {
        let (mut damping, mut along) = (0.0, self.along(0.0));
        if along.norm() > 1.1 * radius {
            let (mut low, mut high) = (0.0, self.singular_values.component_mul(&self.residuals).norm() / radius);
            let between = |low: f64, high: f64| f64::max(1e-3 * high, (low * high).sqrt());
            damping = between(low, high);
            for _ in 0..50 {
                along = self.along(damping);
                let size = along.norm();
                if (size - radius).abs() <= 0.1 * radius {
                    break;
                }
                (low, high) =
                    if size > radius { (f64::max(low, damping), high) } else { (low, f64::min(high, damping)) };
                let slope: f64 = -along.zip_map(&self.singular_values, |d, s| d * d / (s * s + damping)).sum() / size;
                let next = damping - size / radius * (size - radius) / slope;
                damping = if low < next && next < high { next } else { between(low, high) };
            }
        }
        (self.directions.tr_mul(&along), damping)
    }
}

/// A point with its residuals.
struct Point {
    parameters: Vec<f64>,
    residuals: Vec<f64>,
    /// Infinite where a residual is not finite.
    cost: f64,
}

/// The linear model of a point, with the factors of the loss.
struct Slopes {
    residuals: DVector<f64>,
    /// The factor of each residual and row, which `residuals` and `free` have and `jacobian` has not.
    weights: DVector<f64>,
    /// The Jacobian by the parameters.
    jacobian: DMatrix<f64>,
    /// The Jacobian by the free numbers.
    free: DMatrix<f64>,
    /// The derivatives of the parameters with respect to their free numbers.
    stretch: DVector<f64>,
    /// The curvature of the cost that comes from the bounds alone, where it is positive: the gradient by each parameter
    /// times the second derivative of the parameter.
    curvature: DVector<f64>,
}

impl Point {
    fn new(f: &mut impl Residuals, bounds: &Bounds, free: &[f64], loss: Loss) -> Result<Self, FitError> {
        let parameters = bounds.values(free).0;
        let residuals = f.values(&parameters)?;
        let cost: f64 = residuals.iter().map(|&r| loss.cost(r)).sum();
        Ok(Self { parameters, residuals, cost: if cost.is_finite() { cost } else { f64::INFINITY } })
    }

    fn minimum(self, jacobian: DMatrix<f64>, iterations: usize, stop: Stop) -> Minimum {
        let Self { parameters, residuals, cost } = self;
        Minimum { parameters, residuals, jacobian, cost, iterations, stop }
    }

    fn not_converged(self, cosine: f64, iterations: usize) -> FitError {
        FitError::NotConverged { parameters: self.parameters, cost: self.cost, cosine, iterations }
    }

    fn rows(&self, f: &mut impl Residuals, bounds: &Bounds, free: &[f64], loss: Loss) -> Result<Slopes, FitError> {
        let jacobian = f.jacobian(&self.parameters)?;
        if let Some(((residual, parameter), _)) = jacobian.indexed_iter().find(|(_, slope)| !slope.is_finite()) {
            let parameters = self.parameters.clone();
            return Err(FitError::DerivativeNotFinite { residual, parameter, parameters });
        }
        assert_same_length(self.residuals.len(), jacobian.nrows());
        let weights = DVector::from_iterator(self.residuals.len(), self.residuals.iter().map(|&r| loss.weight(r)));
        let jacobian = DMatrix::from_fn(jacobian.nrows(), jacobian.ncols(), |i, j| jacobian[[i, j]]);
        let residuals = DVector::from_column_slice(&self.residuals).component_mul(&weights);
        let along: Vec<Dual<f64>> = free.iter().map(|&u| Dual::new(u, [1.0])).collect();
        let slopes = DVector::from_vec(bounds.slopes(&along));
        let (first, second) = (slopes.map(Dual::primal), slopes.map(|slope| slope.tangents()[0]));
        let gradient = jacobian.tr_mul(&residuals.component_mul(&weights));
        let curvature = gradient.component_mul(&second).map(|c| f64::max(c, 0.0));
        let free =
            DMatrix::from_fn(jacobian.nrows(), jacobian.ncols(), |i, j| weights[i] * jacobian[(i, j)] * first[j]);
        Ok(Slopes { residuals, weights, jacobian, free, stretch: first, curvature })
    }
}
