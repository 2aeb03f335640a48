//! Finite differences: derivatives from values alone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use ndarray::Array2;
use num_traits::Float;

use super::noise;
use super::options::expect_bounds;
use super::slope::{Question, first_step, narrow, search, wide};
use super::stencil::Line;

/// A way to form a derivative from values.
///
/// `h` is the step. A fixed scheme without a given step takes for `h` the scale of `x` times the power of the
/// machine epsilon that balances truncation against rounding: `ε^(1/(p+1))` for an error of order `p` (Dennis &
/// Schnabel, *Numerical Methods for Unconstrained Optimization*, 1983, §5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `(f(x+h) - f(x)) / h`, error `O(h)`; `h = ε^(1/2)`.
    Forward,
    /// `(f(x) - f(x-h)) / h`, error `O(h)`; `h = ε^(1/2)`.
    Backward,
    /// `(f(x+h) - f(x-h)) / 2h`, error `O(h²)`; `h = ε^(1/3)`.
    Central,
    /// `(f(x-2h) - 8 f(x-h) + 8 f(x+h) - f(x+2h)) / 12h`, error `O(h⁴)`; `h = ε^(1/5)`
    /// (Abramowitz & Stegun 1964, 25.3.6).
    FivePoint,
    /// A ladder of steps, relative to the scale of `x`, with Richardson extrapolation (Ridders, Adv. Eng.
    /// Softw. 4 (1982)). The step follows from the noise measured in `f`, and the derivative comes with
    /// a bound on its error.
    #[default]
    Adaptive,
}

/// A derivative; with [`Scheme::Adaptive`], also a bound on its error.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Estimate<F> {
    /// The derivative.
    pub value: F,
    /// Bound on the error of `value`, from truncation and from the measured noise of the function; `None` for a fixed
    /// scheme.
    ///
    /// The bound is infinite where the function could not be differentiated. At a kink, the bound includes half the
    /// jump of the slope.
    pub error: Option<F>,
    /// Number of calls of the function.
    pub evaluations: usize,
}

impl<F: fmt::Display + fmt::LowerExp> fmt::Display for Estimate<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{} ± {error:.0e}", self.value),
            None => fmt::Display::fmt(&self.value, f),
        }
    }
}

/// A difference scheme and its options.
///
/// ```
/// use wengert::gradcheck::{Differences, Scheme};
///
/// let forward = Differences::new(Scheme::Forward).step(1e-3);
/// let slope = forward.derivative(|x: f64| x.powi(2) + x + 1.0, 2.0);
/// assert_eq!(slope.value, 5.001000000000033);
/// ```
#[derive(Clone, Debug)]
pub struct Differences<F> {
    scheme: Scheme,
    step: Option<F>,
    bounds: Option<Vec<(F, F)>>,
}

/// Measures `f'(x)` by [`Scheme::Adaptive`].
///
/// ```
/// let slope = wengert::gradcheck::finite_derivative(|x: f64| x.ln(), 5e-7);
/// assert!((slope.value - 2e6).abs() <= slope.error.unwrap());
/// assert!(slope.error.unwrap() < 1e-2);
/// ```
///
/// [`derivative`](crate::derivative) is exact, for a function that takes any number.
pub fn finite_derivative<F: Float>(f: impl Fn(F) -> F, x: F) -> Estimate<F> {
    Differences::new(Scheme::Adaptive).derivative(f, x)
}

/// Measures `∂f/∂x_i` for every `i` by [`Scheme::Adaptive`].
pub fn partials<F: Float>(f: impl Fn(&[F]) -> F, x: &[F]) -> Vec<Estimate<F>> {
    Differences::new(Scheme::Adaptive).partials(f, x)
}

/// Measures `∂f_i/∂x_j` by [`Scheme::Adaptive`]: an `(outputs, inputs)` array.
pub fn jacobian<F: Float>(f: impl Fn(&[F]) -> Vec<F>, x: &[F]) -> Array2<Estimate<F>> {
    Differences::new(Scheme::Adaptive).jacobian(f, x)
}

/// Measures `d/dt f(x + t d)` at `t = 0` by [`Scheme::Adaptive`].
///
/// # Panics
/// If `x` and `direction` differ in length.
pub fn directional<F: Float>(f: impl Fn(&[F]) -> F, x: &[F], direction: &[F]) -> Estimate<F> {
    Differences::new(Scheme::Adaptive).directional(f, x, direction)
}

impl<F: Float> Differences<F> {
    /// A scheme that chooses its own step.
    pub fn new(scheme: Scheme) -> Self {
        Self { scheme, step: None, bounds: None }
    }

    /// Sets the step `h`, used exactly as given; for [`Scheme::Adaptive`], the first step of the ladder.
    ///
    /// # Panics
    /// If the step is not positive, or infinite or NaN.
    #[track_caller]
    pub fn step(mut self, step: F) -> Self {
        assert!(
            step > F::zero() && step.is_finite(),
            "Differences::step: a step must be finite and positive, not {}",
            wide(step)
        );
        self.step = Some(step);
        self
    }

    /// Sets closed bounds `(lower, upper)` of each coordinate; the function is never evaluated outside its bounds.
    ///
    /// A scheme that would cross an edge is replaced by a one-sided scheme: forward and backward turn round, central
    /// and five-point become the three-point `(-3f₀ + 4f₁ - f₂) / 2h`.
    ///
    /// # Panics
    /// If a bound is NaN or a lower bound is above its upper bound.
    #[track_caller]
    pub fn bounds(mut self, bounds: &[(F, F)]) -> Self {
        expect_bounds("Differences::bounds", bounds);
        self.bounds = Some(bounds.to_vec());
        self
    }

    /// Measures `f'(x)`.
    ///
    /// # Panics
    /// If bounds were given and are not those of one coordinate, or `x` lies outside its bounds.
    pub fn derivative(&self, f: impl Fn(F) -> F, x: F) -> Estimate<F> {
        self.partials(|x| f(x[0]), &[x])[0]
    }

    /// Measures `∂f/∂x_i` for every `i`.
    ///
    /// # Panics
    /// If bounds were given and differ from `x` in length, or `x` lies outside its bounds.
    pub fn partials(&self, f: impl Fn(&[F]) -> F, x: &[F]) -> Vec<Estimate<F>> {
        let origin = f(x);
        (0..x.len())
            .map(|i| {
                let mut estimate = self.along(&|p| vec![f(p)], &[origin], x, &[(i, F::one())])[0];
                if i == 0 {
                    estimate.evaluations += 1;
                }
                estimate
            })
            .collect()
    }

    /// Measures `∂f_i/∂x_j`: an `(outputs, inputs)` array.
    ///
    /// All outputs share the evaluations of a column; the first entry of the column counts these evaluations.
    ///
    /// # Panics
    /// If bounds were given and differ from `x` in length, if `x` lies outside its bounds, or if `f` changes its
    /// number of outputs.
    pub fn jacobian(&self, f: impl Fn(&[F]) -> Vec<F>, x: &[F]) -> Array2<Estimate<F>> {
        let origin = f(x);
        let columns: Vec<Vec<Estimate<F>>> =
            (0..x.len()).map(|i| self.along(&f, &origin, x, &[(i, F::one())])).collect();
        Array2::from_shape_fn((origin.len(), x.len()), |(i, j)| columns[j][i])
    }

    /// Measures `d/dt f(x + t d)` at `t = 0`.
    ///
    /// # Panics
    /// If `direction` or the bounds differ from `x` in length, or `x` lies outside its bounds.
    pub fn directional(&self, f: impl Fn(&[F]) -> F, x: &[F], direction: &[F]) -> Estimate<F> {
        assert_eq!(x.len(), direction.len(), "the direction must have as many components as the point");
        let direction: Vec<(usize, F)> =
            direction.iter().copied().enumerate().filter(|(_, d)| *d != F::zero()).collect();
        if direction.is_empty() {
            return Estimate { value: F::zero(), error: Some(F::zero()), evaluations: 0 };
        }
        let mut estimate = self.along(&|p| vec![f(p)], &[f(x)], x, &direction)[0];
        estimate.evaluations += 1;
        estimate
    }

    /// The derivatives of all outputs along a direction.
    fn along(&self, f: &dyn Fn(&[F]) -> Vec<F>, origin: &[F], x: &[F], direction: &[(usize, F)]) -> Vec<Estimate<F>> {
        let room = self.room(x, direction);
        let point = RefCell::new(x.to_vec());
        let values = |t: F| {
            let mut point = point.borrow_mut();
            for &(i, d) in direction {
                let moved = x[i] + t * d;
                point[i] = self.bounds.as_ref().map_or(moved, |b| moved.max(b[i].0).min(b[i].1));
            }
            let values = f(&point);
            assert_eq!(values.len(), origin.len(), "the function changed its number of outputs");
            values
        };
        // The size of the coordinates, measured in the direction. The least size is taken so that steps stay in the
        // domain of every coordinate.
        let sizes = direction.iter().map(|(i, d)| (x[*i] / *d).abs()).filter(|s| *s > F::zero());
        let scale = sizes.fold(F::infinity(), F::min);
        let scale = if scale.is_finite() { scale } else { F::one() };
        if self.scheme == Scheme::Adaptive {
            let position = match direction {
                [(i, d)] if *d == F::one() => Some(wide(x[*i].abs())),
                _ => None,
            };
            return self.adaptive(&values, origin, scale, room, position);
        }
        let (quotients, evaluations) = self.fixed(&values, origin, scale, room);
        let estimate = |(j, value)| Estimate { value, error: None, evaluations: if j == 0 { evaluations } else { 0 } };
        quotients.into_iter().enumerate().map(estimate).collect()
    }

    /// The longest steps back and forth along a direction that the bounds allow.
    fn room(&self, x: &[F], direction: &[(usize, F)]) -> [F; 2] {
        let mut room = [F::infinity(); 2];
        let Some(bounds) = &self.bounds else { return room };
        assert_eq!(bounds.len(), x.len(), "as many bounds as coordinates");
        for &(i, d) in direction {
            let (low, high) = bounds[i];
            assert!(low <= x[i] && x[i] <= high, "coordinate {i} lies outside its bounds");
            let [back, forth] = [(x[i] - low) / d.abs(), (high - x[i]) / d.abs()];
            let [back, forth] = if d > F::zero() { [back, forth] } else { [forth, back] };
            room = [room[0].min(back), room[1].min(forth)];
        }
        room
    }

    /// The quotients of a fixed scheme for all outputs, and the number of evaluations.
    fn fixed(&self, values: &dyn Fn(F) -> Vec<F>, origin: &[F], scale: F, room: [F; 2]) -> (Vec<F>, usize) {
        let power = match self.scheme {
            Scheme::Forward | Scheme::Backward => 1.0 / 2.0,
            Scheme::Central => 1.0 / 3.0,
            _ => 1.0 / 5.0,
        };
        // A power of two keeps x + h exact.
        let automatic = || (scale * F::epsilon().powf(narrow(power))).log2().floor().exp2();
        let h = self.step.unwrap_or_else(automatic);
        let two = F::one() + F::one();
        let [back, forth] = room;
        let reach = if self.scheme == Scheme::FivePoint { two * h } else { h };
        let needs = match self.scheme {
            Scheme::Forward => [F::zero(), reach],
            Scheme::Backward => [reach, F::zero()],
            _ => [reach, reach],
        };
        if needs[0] <= back && needs[1] <= forth {
            return combine(self.scheme, values, origin, h);
        }
        // The scheme would cross an edge, so a one-sided scheme goes to the wider side, with a step that fits.
        let (sign, width) = if forth >= back { (F::one(), forth) } else { (-F::one(), back) };
        if matches!(self.scheme, Scheme::Forward | Scheme::Backward) {
            let h = h.min(width);
            let scheme = if sign > F::zero() { Scheme::Forward } else { Scheme::Backward };
            return combine(scheme, values, origin, h);
        }
        let h = sign * h.min(width / two);
        let [one, two_] = [values(h), values(two * h)];
        let [three, four] = [narrow::<F>(3.0), narrow(4.0)];
        let quotient = |j: usize| (four * one[j] - three * origin[j] - two_[j]) / (two * h);
        ((0..origin.len()).map(quotient).collect(), 2)
    }

    /// The derivatives of all outputs by [`Scheme::Adaptive`].
    fn adaptive(
        &self,
        values: &dyn Fn(F) -> Vec<F>,
        origin: &[F],
        scale: F,
        room: [F; 2],
        position: Option<f64>,
    ) -> Vec<Estimate<F>> {
        let evaluations = RefCell::new(0);
        let cache = RefCell::new(HashMap::<u64, Vec<F>>::new());
        let start = self.step.map(wide);
        let unit = wide(F::epsilon());
        // Values at steps with random last bits show if the function rounds to a shorter type.
        let first = start.unwrap_or(first_step(unit) * wide(scale));
        let [back, forth] = room.map(wide);
        let reach = if forth >= back { first.min(forth) } else { -first.min(back) };
        let near = 0.871_355_27 * unit.sqrt() / first_step(unit);
        let samples = [0.337_214_65, 0.618_033_99, near].map(|part| values(narrow(part * reach)));
        *evaluations.borrow_mut() += samples.len();
        let estimate = |j: usize| {
            let sampled = samples.each_ref().map(|v| wide(v[j]));
            let varies = sampled[0] != sampled[1];
            let grain = if varies { noise::grain(sampled, unit) } else { unit };
            let mut value = |t: f64| {
                let mut cache = cache.borrow_mut();
                let values = cache.entry(t.to_bits()).or_insert_with(|| {
                    *evaluations.borrow_mut() += 1;
                    values(narrow(t))
                });
                wide(values[j])
            };
            // A given first step sets the scale of the ladder.
            let scale = start.map_or(wide(scale), |h| h / first_step(unit));
            let scale = scale.log2().floor().exp2();
            let mut line = Line {
                value: &mut value,
                origin: wide(origin[j]),
                room: room.map(wide),
                scale,
                unit,
                grain,
                position,
                argument_noise: 0.0,
                seed: 0,
            };
            let question = Question {
                analytic: None,
                rounding: 0.0,
                relative: 0.0,
                absolute: 0.0,
                reference: None,
                natural: 0.0,
                moved: 0.0,
                kink_is_known: false,
            };
            if !origin[j].is_finite() {
                return Estimate { value: F::nan(), error: Some(F::infinity()), evaluations: 0 };
            }
            let slope = search(&mut line, question);
            let jump = slope.kink.map_or(0.0, |[left, right]| 0.5 * (right - left).abs());
            Estimate {
                value: narrow(slope.value),
                error: Some(narrow(2.0 * slope.error + jump)),
                evaluations: evaluations.replace(0),
            }
        };
        (0..origin.len()).map(estimate).collect()
    }
}

/// The quotients of a fixed scheme for all outputs with step `h`, and the number of evaluations.
fn combine<F: Float>(scheme: Scheme, values: &dyn Fn(F) -> Vec<F>, origin: &[F], h: F) -> (Vec<F>, usize) {
    let two = F::one() + F::one();
    let outputs = 0..origin.len();
    match scheme {
        Scheme::Forward => {
            let after = values(h);
            (outputs.map(|j| (after[j] - origin[j]) / h).collect(), 1)
        }
        Scheme::Backward => {
            let before = values(-h);
            (outputs.map(|j| (origin[j] - before[j]) / h).collect(), 1)
        }
        Scheme::Central => {
            let [before, after] = [values(-h), values(h)];
            (outputs.map(|j| (after[j] - before[j]) / (two * h)).collect(), 2)
        }
        _ => {
            let [far_before, before, after, far_after] = [values(-two * h), values(-h), values(h), values(two * h)];
            let [eight, twelve] = [narrow::<F>(8.0), narrow(12.0)];
            let quotient =
                |j: usize| (far_before[j] - eight * before[j] + eight * after[j] - far_after[j]) / (twelve * h);
            (outputs.map(quotient).collect(), 4)
        }
    }
}
