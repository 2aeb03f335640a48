//! One check under way: the function, the point, the precision of both, and slopes along lines through the point.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use num_traits::Float;
use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

use super::noise;
use super::options::{CheckProgress, Coordinates, GradCheck};
use super::report::{Entry, GradientMismatch};
use super::slope::{Question, Slope, first_step, narrow, search, wide};
use super::stencil::Line;

/// A direction: the coordinates that move, each with its component.
pub(super) type Direction = Vec<(usize, f64)>;

/// The function under check: the outputs at a point.
type VectorFunction<'a> = Box<dyn Fn(&[f64]) -> Vec<f64> + 'a>;

/// A linear functional of the outputs, such as one output or `vᵀf`.
pub(super) type Functional<'o> = dyn Fn(&[f64]) -> f64 + 'o;

/// The results of two calls of a gradient, and of one call with another cotangent, divided by that cotangent.
pub(super) struct AnalyticCalls {
    pub(super) first: Vec<f64>,
    pub(super) second: Vec<f64>,
    pub(super) unseeded: Option<Vec<f64>>,
}

/// One check under way.
///
/// All numbers are f64, for any type of the function: widening is exact, and [`unit`](Self::unit) keeps the
/// precision of the type.
pub(super) struct CheckRun<'a> {
    pub(super) options: &'a GradCheck,
    function: VectorFunction<'a>,
    /// The point.
    pub(super) x: Vec<f64>,
    bounds: Option<&'a [(f64, f64)]>,
    /// The natural size of a step in each coordinate, a power of two.
    pub(super) scale: Vec<f64>,
    /// The outputs at `x`.
    pub(super) origin: Vec<f64>,
    /// Machine epsilon of the function's number type.
    pub(super) unit: f64,
    /// Relative spacing of each output.
    grain: Vec<f64>,
    pub(super) rng: RefCell<ChaCha12Rng>,
    pub(super) entries: RefCell<Vec<Entry>>,
    pub(super) evaluations: Cell<usize>,
    pub(super) gradient_evaluations: Cell<usize>,
    pub(super) panics: Cell<usize>,
    /// Largest noise of the values on any line.
    pub(super) noise: Cell<f64>,
    /// Observed order of the Taylor remainder.
    pub(super) taylor: Cell<Option<f64>>,
    /// The cotangent or the direction under check, in words.
    pub(super) seed: RefCell<String>,
    /// Lines searched, and lines to be searched in all.
    lines: Cell<(usize, usize)>,
    /// Largest change of the outputs between calls at the same point.
    pub(super) drift: f64,
}

/// Calls user code and turns a panic into an error.
fn catch_panic<R>(what: &'static str, call: impl FnOnce() -> R) -> Result<R, GradientMismatch> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        GradientMismatch::Panicked { what, message: text.unwrap_or("(no message)").to_owned() }
    })
}

impl<'a> CheckRun<'a> {
    pub(super) fn new<F: Float>(
        options: &'a GradCheck,
        x: &[F],
        function: &'a dyn Fn(&[F]) -> Vec<F>,
    ) -> Result<Self, GradientMismatch> {
        let n = x.len();
        if n == 0 {
            return Err(GradientMismatch::EmptyInput);
        }
        if let Some(coordinate) = x.iter().position(|x| !x.is_finite()) {
            return Err(GradientMismatch::NonFiniteInput { coordinate });
        }
        let expect = |what, found: usize| {
            let error = GradientMismatch::Length { what, found: vec![found], expected: vec![n] };
            if found == n { Ok(()) } else { Err(error) }
        };
        let wide_x: Vec<f64> = x.iter().map(|x| wide(*x)).collect();
        let bounds = options.bounds.as_deref();
        if let Some(bounds) = bounds {
            expect("the list of bounds", bounds.len())?;
            for (coordinate, (&value, &(low, high))) in wide_x.iter().zip(bounds).enumerate() {
                if !(low <= value && value <= high) {
                    return Err(GradientMismatch::OutOfBounds { coordinate, value, bounds: [low, high] });
                }
            }
        }
        if !options.inputs.is_empty() {
            let sizes = options.inputs.iter().map(|(_, shape)| shape.iter().product::<usize>());
            expect("the list of inputs", sizes.sum())?;
        }
        if let Coordinates::Only(list) = &options.coordinates
            && let Some(bad) = list.iter().find(|i| **i >= n)
        {
            let what = "the list of coordinates";
            return Err(GradientMismatch::Length { what, found: vec![*bad], expected: vec![n] });
        }
        let buffer = RefCell::new(x.to_vec());
        let function = Box::new(move |p: &[f64]| {
            let mut buffer = buffer.borrow_mut();
            buffer.clear();
            buffer.extend(p.iter().map(|p| narrow::<F>(*p)));
            function(&buffer).into_iter().map(wide).collect()
        });
        let mut run = Self {
            options,
            function,
            scale: scales(&wide_x, wide(F::min_positive_value() / F::epsilon())),
            x: wide_x,
            bounds,
            origin: Vec::new(),
            unit: wide(F::epsilon()),
            grain: Vec::new(),
            rng: RefCell::new(ChaCha12Rng::seed_from_u64(options.seed)),
            entries: RefCell::default(),
            evaluations: Cell::new(0),
            gradient_evaluations: Cell::new(0),
            panics: Cell::new(0),
            noise: Cell::new(0.0),
            taylor: Cell::new(None),
            seed: RefCell::default(),
            lines: Cell::new((0, 0)),
            drift: 0.0,
        };
        run.origin = catch_panic("the function", || run.evaluate(&run.x))?;
        if let Some((output, &value)) = run.origin.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(GradientMismatch::NonFiniteValue { output, value });
        }
        for _ in 0..2 {
            run.drift = run.drift.max(run.measure_drift());
        }
        run.grain = run.measure_grain();
        Ok(run)
    }

    fn evaluate(&self, p: &[f64]) -> Vec<f64> {
        self.evaluations.set(self.evaluations.get() + 1);
        (self.function)(p)
    }

    /// The outputs at `p`; empty where the function panics.
    fn values(&self, p: &[f64]) -> Vec<f64> {
        catch_panic("the function", || self.evaluate(p)).unwrap_or_else(|_| {
            self.panics.set(self.panics.get() + 1);
            Vec::new()
        })
    }

    /// The relative spacing of each output, measured at points near `x` with random last bits.
    fn measure_grain(&self) -> Vec<f64> {
        // Some steps are long enough to leave a tread of a short type; one is short enough to stay on a steep slope.
        let first = first_step(self.unit);
        let steps = [0.3 * first, 0.3 * first, self.unit.sqrt()];
        let all: Vec<usize> = (0..self.x.len()).collect();
        let samples: Vec<Vec<f64>> = steps
            .into_iter()
            .map(|step| {
                let direction = self.direction(&all, 0);
                self.along(&self.x, &direction)(step)
            })
            .filter(|v| v.len() == self.origin.len())
            .collect();
        (0..self.origin.len())
            .map(|j| {
                let values: Vec<f64> = samples.iter().map(|v| v[j]).collect();
                // A constant may have few digits in any type.
                let varies = values.windows(2).any(|w| w[0] != w[1] && (w[0] - w[1]).is_finite());
                if varies { noise::grain(values, self.unit) } else { self.unit }
            })
            .collect()
    }

    /// The relative spacing of a functional of the outputs.
    pub(super) fn grain_of(&self, output: &Functional<'_>) -> f64 {
        let coarsest = self.grain.iter().copied().fold(self.unit, f64::max);
        if coarsest == self.unit {
            return self.unit;
        }
        let spacing: Vec<f64> = self.origin.iter().zip(&self.grain).map(|(v, g)| v * g).collect();
        let relative = (output(&spacing) / output(&self.origin)).abs();
        if relative.is_finite() { relative.clamp(self.unit, coarsest) } else { coarsest }
    }

    /// The largest change of an output when the function is called again at `x`.
    pub(super) fn measure_drift(&self) -> f64 {
        let again = self.values(&self.x);
        let gap = self.origin.iter().zip(&again).map(|(a, b)| (a - b).abs());
        if again.len() == self.origin.len() { gap.fold(0.0, f64::max) } else { f64::INFINITY }
    }

    /// Calls a gradient and checks the length of the result.
    pub(super) fn call_gradient<F: Float>(
        &self,
        calls: usize,
        what: &'static str,
        mut call: impl FnMut() -> Vec<F>,
    ) -> Result<AnalyticCalls, GradientMismatch> {
        self.gradient_evaluations.set(self.gradient_evaluations.get() + calls);
        let mut once = || Ok(catch_panic(what, &mut call)?.into_iter().map(wide).collect::<Vec<f64>>());
        let first = once()?;
        let second = if calls > 1 { once()? } else { first.clone() };
        let analytic = AnalyticCalls { first, second, unseeded: None };
        let n = self.x.len();
        for g in [&analytic.first, &analytic.second] {
            let fits = if what == "the gradient" || what == "the pullback" {
                g.len() == n
            } else {
                g.len() % self.origin.len().max(1) == 0
            };
            if !fits {
                return Err(GradientMismatch::Length { what, found: vec![g.len()], expected: vec![n] });
            }
        }
        Ok(analytic)
    }

    /// `count` cotangents of random signs and magnitudes in [1/2, 1], so that no two errors cancel.
    pub(super) fn cotangents(&self, count: usize) -> Vec<Vec<f64>> {
        let mut rng = self.rng.borrow_mut();
        (0..count).map(|_| self.origin.iter().map(|_| random_component(&mut rng)).collect()).collect()
    }

    /// A random direction over `coordinates`.
    ///
    /// Each component has the size of the coordinate's scale and points away from a bound that is near.
    pub(super) fn direction(&self, coordinates: &[usize], round: u64) -> Direction {
        let mut rng = self.rng.borrow_mut();
        coordinates
            .iter()
            .map(|&i| {
                let mut d = random_component(&mut rng) * self.scale[i];
                let [back, forth] = self.room(i);
                if back.min(forth) < self.scale[i] * 1e-2 {
                    d = d.abs().min(back.max(forth));
                    if back > forth {
                        d = -d;
                    }
                    // The second round points the other way if the bound leaves room there.
                    if round == 1 && back.min(forth) > 0.0 {
                        d = -d;
                    }
                }
                (i, d)
            })
            .collect()
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.bounds.is_some()
    }

    /// The distances to the lower and the upper bound of a coordinate.
    fn room(&self, i: usize) -> [f64; 2] {
        match self.bounds {
            None => [f64::INFINITY; 2],
            Some(bounds) => [self.x[i] - bounds[i].0, bounds[i].1 - self.x[i]],
        }
    }

    /// The longest steps back and forth along a direction that the bounds allow.
    pub(super) fn room_along(&self, direction: &[(usize, f64)]) -> [f64; 2] {
        let mut room = [f64::INFINITY; 2];
        for &(i, d) in direction {
            let [back, forth] = self.room(i);
            let [back, forth] = if d > 0.0 { [back, forth] } else { [forth, back] };
            room = [room[0].min(back / d.abs()), room[1].min(forth / d.abs())];
        }
        room
    }

    /// The outputs along a line through `base`, as a function of the step.
    pub(super) fn along<'s>(&'s self, base: &'s [f64], direction: &'s [(usize, f64)]) -> impl Fn(f64) -> Vec<f64> + 's {
        let point = RefCell::new(base.to_vec());
        move |t| {
            let mut point = point.borrow_mut();
            for &(i, d) in direction {
                let moved = base[i] + t * d;
                // Rounding must not carry the point out of the bounds.
                point[i] = self.bounds.map_or(moved, |b| moved.max(b[i].0).min(b[i].1));
            }
            self.values(&point)
        }
    }

    /// Searches the slope of `output` along `direction`, on which `values` gives the outputs.
    pub(super) fn slope(
        &self,
        values: &dyn Fn(f64) -> Vec<f64>,
        output: &Functional<'_>,
        direction: &[(usize, f64)],
        question: Question,
    ) -> Slope {
        // Along an axis, steps are taken in the coordinate's own units.
        let axis = match direction {
            [(i, d)] if *d == 1.0 => Some(*i),
            _ => None,
        };
        let m = self.origin.len();
        let mut value = |t: f64| {
            let values = values(t);
            if values.len() == m { output(&values) } else { f64::NAN }
        };
        let mut line = Line {
            value: &mut value,
            origin: output(&self.origin),
            room: self.room_along(direction),
            scale: axis.map_or(1.0, |i| self.scale[i]),
            position: axis.map(|i| self.x[i].abs()),
            argument_noise: if axis.is_some() { 0.0 } else { 0.3 * self.unit * question.moved },
            unit: self.unit,
            grain: self.grain_of(output),
            seed: self.options.seed
                ^ direction.first().map_or(0, |(i, _)| (*i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        };
        let slope = search(&mut line, question);
        if slope.noise > self.noise.get() {
            self.noise.set(slope.noise);
        }
        slope
    }

    /// The accepted relative deviation.
    pub(super) fn relative_tolerance(&self) -> f64 {
        self.options.relative.unwrap_or_else(|| self.unit.powf(0.6))
    }

    /// `max_j |g_j| scale_j` over the finite entries of a gradient.
    pub(super) fn largest_scaled(&self, gradient: &[f64]) -> f64 {
        let sizes = gradient.iter().zip(&self.scale).map(|(g, s)| (g * s).abs());
        sizes.filter(|s| s.is_finite()).fold(0.0, f64::max)
    }

    /// Announces lines to be searched.
    pub(super) fn plan_lines(&self, lines: usize) {
        let (done, total) = self.lines.get();
        self.lines.set((done, total + lines));
    }

    /// Counts a line as searched and reports the progress.
    pub(super) fn line_done(&self) {
        let (done, total) = self.lines.get();
        self.lines.set((done + 1, total.max(done + 1)));
        if let Some(show) = &self.options.progress {
            show(CheckProgress { done: done + 1, total: total.max(done + 1), evaluations: self.evaluations.get() });
        }
    }
}

/// A random sign times a magnitude in [1/2, 1].
pub(super) fn random_component(rng: &mut ChaCha12Rng) -> f64 {
    let magnitude = rng.random_range(0.5..1.0);
    if rng.random() { magnitude } else { -magnitude }
}

/// The power of two below each `|x_i|`; where `x_i` is zero, below the median of the nonzero ones, or 1 without any.
///
/// No size counts as less than `least`.
fn scales(x: &[f64], least: f64) -> Vec<f64> {
    let mut sizes: Vec<f64> = x.iter().map(|x| x.abs()).filter(|x| *x > 0.0).collect();
    let typical = if sizes.is_empty() {
        1.0
    } else {
        let middle = sizes.len() / 2;
        *sizes.select_nth_unstable_by(middle, f64::total_cmp).1
    };
    let scale = |x: f64| {
        let size = if x == 0.0 { typical } else { x.abs() };
        size.max(least).log2().floor().exp2()
    };
    x.iter().map(|x| scale(*x)).collect()
}
