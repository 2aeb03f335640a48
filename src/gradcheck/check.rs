//! The checker: options, entry points, and what is common to all of them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use ndarray::Array2;
use num_traits::Float;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::report::{Entry, GradientMismatch, Place, Reason, Report, Verdict};
use super::slope::{Finding, Line, Question, Side, Slope, first_step, search};
use super::{blocks, kinks, noise};

/// Up to so many coordinates are checked one by one unless [`Coordinates`] says otherwise.
const ONE_BY_ONE: usize = 256;

/// Which coordinates are checked, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coordinates {
    /// One by one up to 256 coordinates, in blocks beyond.
    #[default]
    Auto,
    /// One by one, however many.
    All,
    /// Random directions over blocks, bisected where they disagree.
    Blocks,
    /// One by one, these only.
    Only(Vec<usize>),
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Lines searched.
    pub done: usize,
    /// Lines that are to be searched as far as is known.
    pub total: usize,
    /// Calls of the function.
    pub evaluations: usize,
}

/// A gradient check and its options; good without any.
///
/// Each derivative is measured at steps found from the function's own noise and scale, with an error
/// bound, and the tolerance follows from that bound ([module documentation](super)).
///
/// ```
/// use wengert::gradcheck::GradCheck;
///
/// let report = GradCheck::new()
///     .bounds(&[(0.0, f64::INFINITY); 2])
///     .check(|x: &[f64]| x[0].ln() * x[1], |x| vec![x[1] / x[0], x[0].ln()], &[5e-7, 2.0])?;
/// assert!(report.worst().unwrap().relative_error() < 1e-8);
/// # Ok::<(), wengert::gradcheck::GradientMismatch>(())
/// ```
#[derive(Clone, Default)]
pub struct GradCheck {
    pub(super) seed: u64,
    pub(super) relative: Option<f64>,
    pub(super) absolute: f64,
    pub(super) coordinates: Coordinates,
    bounds: Option<Vec<(f64, f64)>>,
    pub(super) inputs: Vec<(String, Vec<usize>)>,
    pub(super) max_mismatches: Option<usize>,
    progress: Option<Rc<dyn Fn(Progress)>>,
}

impl std::fmt::Debug for GradCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GradCheck")
            .field("seed", &self.seed)
            .field("relative", &self.relative)
            .field("absolute", &self.absolute)
            .field("coordinates", &self.coordinates)
            .field("bounds", &self.bounds)
            .field("inputs", &self.inputs)
            .field("max_mismatches", &self.max_mismatches)
            .finish_non_exhaustive()
    }
}

impl GradCheck {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Seed of all random choices (directions, cotangents, the last bits of steps); 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Also accept a deviation up to this fraction of the entry. By default `ε^(3/5)`, a margin above what
    /// a central difference attains at its best step, `ε^(2/3)`: 4e-10 in f64, 7e-5 in f32. Raise it for gradients that are
    /// approximations on purpose.
    pub fn relative_tolerance(mut self, tolerance: f64) -> Self {
        self.relative = Some(tolerance);
        self
    }

    /// Also accept this absolute deviation; 0 by default.
    pub fn absolute_tolerance(mut self, tolerance: f64) -> Self {
        self.absolute = tolerance;
        self
    }

    /// Which coordinates to check.
    pub fn coordinates(mut self, coordinates: Coordinates) -> Self {
        self.coordinates = coordinates;
        self
    }

    /// Closed bounds `(lower, upper)` of each coordinate; the function is never evaluated outside.
    pub fn bounds<F: Float>(mut self, bounds: &[(F, F)]) -> Self {
        self.bounds = Some(bounds.iter().map(|(low, high)| (wide(*low), wide(*high))).collect());
        self
    }

    /// Names and shapes of the inputs, in the order in which they lie in the flat point; the report then
    /// says `w1 [3, 0]` instead of `x [12]`.
    pub fn inputs<S: Into<String>>(mut self, inputs: impl IntoIterator<Item = (S, Vec<usize>)>) -> Self {
        self.inputs = inputs.into_iter().map(|(name, shape)| (name.into(), shape)).collect();
        self
    }

    /// In a large gradient, stop after so many wrong entries were found one by one; 16 by default.
    pub fn max_mismatches(mut self, count: usize) -> Self {
        self.max_mismatches = Some(count);
        self
    }

    /// Calls `show` after each line searched.
    pub fn on_progress(mut self, show: impl Fn(Progress) + 'static) -> Self {
        self.progress = Some(Rc::new(show));
        self
    }

    /// Shows progress on standard error, at each further percent.
    pub fn show_progress(self) -> Self {
        let last = Cell::new(usize::MAX);
        self.on_progress(move |p| {
            let percent = 100 * p.done / p.total.max(1);
            if last.replace(percent) != percent {
                eprint!("\rgradient check: {percent:>3}%, {} evaluations", p.evaluations);
                if p.done >= p.total {
                    eprintln!();
                }
            }
        })
    }

    /// Checks a gradient against the values of its function.
    ///
    /// # Errors
    /// [`GradientMismatch::Disagrees`] if an entry disagrees; the other variants if the check is impossible.
    /// A report without disagreement may still hold inconclusive entries: see [`Report::verdict`].
    pub fn check<F: Float>(
        &self,
        value: impl Fn(&[F]) -> F,
        gradient: impl Fn(&[F]) -> Vec<F>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let value = |p: &[F]| vec![value(p)];
        self.scalar_check(&value, &gradient, None, x)
    }

    /// The check behind [`check`](Self::check) and those of the tape: `seeded` is the gradient swept from another
    /// cotangent than 1, with that cotangent.
    pub(super) fn scalar_check<F: Float>(
        &self,
        value: &dyn Fn(&[F]) -> Vec<F>,
        gradient: &dyn Fn(&[F]) -> Vec<F>,
        seeded: Option<Seeded<'_, F>>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let run = Run::new(self, x, value)?;
        let mut analytic = run.gradient(2, "the gradient", || gradient(x))?;
        if let Some((cotangent, seeded)) = seeded {
            let swept = run.gradient(1, "the gradient", || seeded(x))?;
            analytic.unseeded = Some(swept.first.into_iter().map(|g| g / wide(cotangent)).collect());
        }
        run.scalar(&|v| v[0], &analytic.first, None);
        run.taylor(&|v| v[0], &analytic.first);
        run.finish(Some(&analytic))
    }

    /// Checks the Jacobian `J[i, j] = ∂f_i/∂x_j` of a vector function, `(outputs, inputs)`.
    ///
    /// Up to 256 inputs every entry is checked. Beyond, gradients of `vᵀf` for random cotangents `v` are
    /// checked in blocks, and where they disagree the wrong entries of the column are found.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_jacobian<F: Float>(
        &self,
        f: impl Fn(&[F]) -> Vec<F>,
        jacobian: impl Fn(&[F]) -> Array2<F>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let run = Run::new(self, x, &f)?;
        let (m, n) = (run.origin.len(), x.len());
        let mut shape = Ok(());
        let analytic = run.gradient(2, "the Jacobian", || {
            let j = jacobian(x);
            if j.dim() != (m, n) {
                let found = vec![j.nrows(), j.ncols()];
                shape = Err(GradientMismatch::Length { what: "the Jacobian", found, expected: vec![m, n] });
            }
            j.iter().copied().collect()
        });
        shape?;
        let analytic = analytic?;
        let jacobian = &analytic.first;
        if let Some(list) = run.one_by_one() {
            let entries = run.columns(&list, jacobian);
            run.entries.borrow_mut().extend(entries);
            run.joint_jacobian(jacobian);
        } else {
            for v in run.cotangents(2) {
                let gradient: Vec<f64> = (0..n).map(|j| (0..m).map(|i| v[i] * jacobian[i * n + j]).sum()).collect();
                run.scalar(&|values| dot(values, &v), &gradient, Some(jacobian));
            }
        }
        run.finish(Some(&analytic))
    }

    /// Checks a vector-Jacobian product `vjp(x, v) = Jᵀv`: a pullback, with two random cotangents `v`
    /// besides the ones that every caller tries.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_vjp<F: Float>(
        &self,
        f: impl Fn(&[F]) -> Vec<F>,
        vjp: impl Fn(&[F], &[F]) -> Vec<F>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let run = Run::new(self, x, &f)?;
        let mut cotangents = vec![vec![1.0; run.origin.len()]];
        cotangents.extend(run.cotangents(2));
        let mut last = None;
        for v in cotangents {
            let seed: Vec<F> = v.iter().map(|v| narrow(*v)).collect();
            // As the pullback sees it, rounded.
            let v: Vec<f64> = seed.iter().map(|v| wide(*v)).collect();
            let analytic = run.gradient(2, "the pullback", || vjp(x, &seed))?;
            run.scalar(&|values| dot(values, &v), &analytic.first, None);
            last = Some(analytic);
        }
        run.finish(last.as_ref())
    }

    /// Checks a Jacobian-vector product `jvp(x, d) = J d`, output by output along two random directions.
    /// With a gradient for `f` and a Hessian-vector product for `jvp` it checks second derivatives.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_jvp<F: Float>(
        &self,
        f: impl Fn(&[F]) -> Vec<F>,
        jvp: impl Fn(&[F], &[F]) -> Vec<F>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let run = Run::new(self, x, &f)?;
        let mut last = None;
        let all: Vec<usize> = (0..x.len()).collect();
        for round in 0..2 {
            let direction: Vec<F> = run.direction(&all, round).iter().map(|(_, d)| narrow(*d)).collect();
            let analytic = run.gradient(2, "the tangent", || jvp(x, &direction))?;
            let direction: Vec<_> = all.iter().map(|i| (*i, wide(direction[*i]))).collect();
            let entries = run.tangents(&direction, &analytic.first)?;
            run.entries.borrow_mut().extend(entries);
            last = Some(analytic);
        }
        run.finish(last.as_ref())
    }
}

pub(super) fn wide<F: Float>(v: F) -> f64 {
    v.to_f64().unwrap_or(f64::NAN)
}

pub(super) fn narrow<F: Float>(v: f64) -> F {
    F::from(v).unwrap_or_else(F::nan)
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Coordinates and their components.
pub(super) type Direction = Vec<(usize, f64)>;

/// The outputs at a point.
type Function<'a> = Box<dyn Fn(&[f64]) -> Vec<f64> + 'a>;

/// A cotangent and the gradient swept from it.
pub(super) type Seeded<'s, F> = (F, &'s dyn Fn(&[F]) -> Vec<F>);

/// A linear functional of the outputs.
pub(super) type Output<'o> = dyn Fn(&[f64]) -> f64 + 'o;

/// Two calls of a gradient, and one with another cotangent divided by it.
pub(super) struct Analytic {
    first: Vec<f64>,
    second: Vec<f64>,
    unseeded: Option<Vec<f64>>,
}

/// One check under way. Numbers are f64 here whatever the function's type: widening is exact, and
/// [`unit`](Self::unit) remembers the type's precision.
pub(super) struct Run<'a> {
    pub(super) options: &'a GradCheck,
    function: Function<'a>,
    pub(super) x: Vec<f64>,
    bounds: Option<&'a [(f64, f64)]>,
    pub(super) scale: Vec<f64>,
    pub(super) origin: Vec<f64>,
    pub(super) unit: f64,
    /// Relative spacing of each output.
    grain: Vec<f64>,
    pub(super) rng: RefCell<StdRng>,
    pub(super) entries: RefCell<Vec<Entry>>,
    evaluations: Cell<usize>,
    gradient_evaluations: Cell<usize>,
    panics: Cell<usize>,
    noise: Cell<f64>,
    taylor: Cell<Option<f64>>,
    lines: Cell<(usize, usize)>,
    /// Largest change of the outputs between calls at the same point.
    spread: f64,
}

fn guard<R>(what: &'static str, call: impl FnOnce() -> R) -> Result<R, GradientMismatch> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        GradientMismatch::Panicked { what, message: text.unwrap_or("(no message)").to_owned() }
    })
}

impl<'a> Run<'a> {
    fn new<F: Float>(
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
            scale: scales(&wide_x, wide(F::min_positive_value()).sqrt().sqrt()),
            x: wide_x,
            bounds,
            origin: Vec::new(),
            unit: wide(F::epsilon()),
            grain: Vec::new(),
            rng: RefCell::new(StdRng::seed_from_u64(options.seed)),
            entries: RefCell::default(),
            evaluations: Cell::new(0),
            gradient_evaluations: Cell::new(0),
            panics: Cell::new(0),
            noise: Cell::new(0.0),
            taylor: Cell::new(None),
            lines: Cell::new((0, 0)),
            spread: 0.0,
        };
        run.origin = guard("the function", || run.evaluate(&run.x))?;
        if let Some((output, &value)) = run.origin.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(GradientMismatch::NonFiniteValue { output, value });
        }
        for _ in 0..2 {
            run.spread = run.spread.max(run.change());
        }
        run.grain = run.grain();
        Ok(run)
    }

    fn evaluate(&self, p: &[f64]) -> Vec<f64> {
        self.evaluations.set(self.evaluations.get() + 1);
        (self.function)(p)
    }

    /// The outputs at `p`; empty where the function panics.
    fn values(&self, p: &[f64]) -> Vec<f64> {
        guard("the function", || self.evaluate(p)).unwrap_or_else(|_| {
            self.panics.set(self.panics.get() + 1);
            Vec::new()
        })
    }

    /// The precision of the outputs, from points near `x` with random last bits.
    fn grain(&self) -> Vec<f64> {
        // Far enough to leave a tread of a short type, and near enough to stay on a steep slope.
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
                // A constant has few digits whatever its type.
                let varies = values.windows(2).any(|w| w[0] != w[1] && (w[0] - w[1]).is_finite());
                if varies { noise::grain(values, self.unit) } else { self.unit }
            })
            .collect()
    }

    /// The precision of a functional of the outputs.
    fn grain_of(&self, output: &Output<'_>) -> f64 {
        let coarsest = self.grain.iter().copied().fold(self.unit, f64::max);
        if coarsest == self.unit {
            return self.unit;
        }
        let spacing: Vec<f64> = self.origin.iter().zip(&self.grain).map(|(v, g)| v * g).collect();
        let relative = (output(&spacing) / output(&self.origin)).abs();
        if relative.is_finite() { relative.clamp(self.unit, coarsest) } else { coarsest }
    }

    /// How far the outputs at `x` are from what they were.
    fn change(&self) -> f64 {
        let again = self.values(&self.x);
        let gap = self.origin.iter().zip(&again).map(|(a, b)| (a - b).abs());
        if again.len() == self.origin.len() { gap.fold(0.0, f64::max) } else { f64::INFINITY }
    }

    fn gradient<F: Float>(
        &self,
        calls: usize,
        what: &'static str,
        mut call: impl FnMut() -> Vec<F>,
    ) -> Result<Analytic, GradientMismatch> {
        self.gradient_evaluations.set(self.gradient_evaluations.get() + calls);
        let mut once = || Ok(guard(what, &mut call)?.into_iter().map(wide).collect::<Vec<f64>>());
        let first = once()?;
        let second = if calls > 1 { once()? } else { first.clone() };
        let analytic = Analytic { first, second, unseeded: None };
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

    /// `count` vectors of random signs times magnitudes in [1/2, 1]: no two errors cancel.
    fn cotangents(&self, count: usize) -> Vec<Vec<f64>> {
        let mut rng = self.rng.borrow_mut();
        (0..count).map(|_| self.origin.iter().map(|_| signed(&mut rng)).collect()).collect()
    }

    /// A random direction over `coordinates`, each component of the coordinate's scale, pointing away
    /// from a bound that is near.
    pub(super) fn direction(&self, coordinates: &[usize], round: u64) -> Direction {
        let mut rng = self.rng.borrow_mut();
        coordinates
            .iter()
            .map(|&i| {
                let mut d = signed(&mut rng) * self.scale[i];
                let [back, forth] = self.room(i);
                if back.min(forth) < self.scale[i] * 1e-2 {
                    d = d.abs().min(back.max(forth));
                    if back > forth {
                        d = -d;
                    }
                    // The second round looks the other way, where there is a way.
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

    fn room(&self, i: usize) -> [f64; 2] {
        match self.bounds {
            None => [f64::INFINITY; 2],
            Some(bounds) => [self.x[i] - bounds[i].0, bounds[i].1 - self.x[i]],
        }
    }

    /// How far bounds let one go along a direction.
    fn room_along(&self, direction: &[(usize, f64)]) -> [f64; 2] {
        let mut room = [f64::INFINITY; 2];
        for &(i, d) in direction {
            let [back, forth] = self.room(i);
            let [back, forth] = if d > 0.0 { [back, forth] } else { [forth, back] };
            room = [room[0].min(back / d.abs()), room[1].min(forth / d.abs())];
        }
        room
    }

    /// Outputs along a line through `base`.
    pub(super) fn along<'s>(&'s self, base: &'s [f64], direction: &'s [(usize, f64)]) -> impl Fn(f64) -> Vec<f64> + 's {
        let point = RefCell::new(base.to_vec());
        move |t| {
            let mut point = point.borrow_mut();
            for &(i, d) in direction {
                let moved = base[i] + t * d;
                // The last rounding must not leave the bounds.
                point[i] = self.bounds.map_or(moved, |b| moved.max(b[i].0).min(b[i].1));
            }
            self.values(&point)
        }
    }

    /// Searches the slope of `output` along `direction`.
    pub(super) fn slope(
        &self,
        values: &dyn Fn(f64) -> Vec<f64>,
        output: &Output<'_>,
        direction: &[(usize, f64)],
        question: Question,
    ) -> Slope {
        // Along an axis steps are taken in the coordinate's own units.
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

    pub(super) fn relative(&self) -> f64 {
        self.options.relative.unwrap_or_else(|| self.unit.powf(0.6))
    }

    /// The question for one coordinate of a gradient of which `largest = max_j |g_j| scale_j`.
    pub(super) fn question(&self, i: usize, analytic: f64, origin: f64, largest: f64) -> Question {
        Question {
            analytic: analytic.is_finite().then_some(analytic),
            rounding: 0.0,
            relative: self.relative(),
            absolute: self.options.absolute,
            reference: None,
            natural: origin.abs().max(largest) / self.scale[i],
            moved: 0.0,
            kink_is_known: false,
        }
    }

    pub(super) fn largest(&self, gradient: &[f64]) -> f64 {
        let sizes = gradient.iter().zip(&self.scale).map(|(g, s)| (g * s).abs());
        sizes.filter(|s| s.is_finite()).fold(0.0, f64::max)
    }

    /// The coordinates to be checked one by one; `None`: in blocks.
    fn one_by_one(&self) -> Option<Vec<usize>> {
        let n = self.x.len();
        match &self.options.coordinates {
            Coordinates::Auto if n > ONE_BY_ONE => None,
            Coordinates::Blocks => None,
            Coordinates::Only(list) => Some(list.clone()),
            _ => Some((0..n).collect()),
        }
    }

    /// Announces work.
    pub(super) fn plan(&self, lines: usize) {
        let (done, total) = self.lines.get();
        self.lines.set((done, total + lines));
    }

    pub(super) fn done(&self) {
        let (done, total) = self.lines.get();
        self.lines.set((done + 1, total.max(done + 1)));
        if let Some(show) = &self.options.progress {
            show(Progress { done: done + 1, total: total.max(done + 1), evaluations: self.evaluations.get() });
        }
    }

    /// Checks the gradient of a scalar output; `jacobian` is there to find the rows of a wrong column.
    fn scalar(&self, output: &Output<'_>, gradient: &[f64], jacobian: Option<&[f64]>) {
        let entries = match self.one_by_one() {
            Some(list) => {
                self.plan(list.len());
                let entries: Vec<Entry> = list.iter().map(|i| self.coordinate(output, gradient, *i)).collect();
                let joint = kinks::joint(self, output, gradient, &entries);
                entries.into_iter().chain(joint).collect()
            }
            None => blocks::check(self, output, gradient, jacobian),
        };
        self.entries.borrow_mut().extend(entries);
    }

    pub(super) fn coordinate(&self, output: &Output<'_>, gradient: &[f64], i: usize) -> Entry {
        let axis = [(i, 1.0)];
        let values = self.along(&self.x, &axis);
        let question = self.question(i, gradient[i], output(&self.origin), self.largest(gradient));
        let slope = self.slope(&values, output, &axis, question);
        self.done();
        self.entry(i, None, gradient[i], &slope)
    }

    /// Checks columns of a Jacobian, each point of a column's line evaluated once for all outputs.
    pub(super) fn columns(&self, list: &[usize], jacobian: &[f64]) -> Vec<Entry> {
        let (m, n) = (self.origin.len(), self.x.len());
        let largest: Vec<f64> = jacobian.chunks(n).map(|row| self.largest(row)).collect();
        self.plan(list.len());
        let mut entries = Vec::new();
        for &i in list {
            let axis = [(i, 1.0)];
            let values = self.along(&self.x, &axis);
            let cache = RefCell::new(HashMap::<u64, Vec<f64>>::new());
            let cached = |t: f64| cache.borrow_mut().entry(t.to_bits()).or_insert_with(|| values(t)).clone();
            for j in 0..m {
                let analytic = jacobian[j * n + i];
                let question = self.question(i, analytic, self.origin[j], largest[j]);
                let slope = self.slope(&cached, &|v| v[j], &axis, question);
                entries.push(self.entry(i, Some(j), analytic, &slope));
            }
            self.done();
        }
        entries
    }

    /// Ties of several coordinates, row by row.
    fn joint_jacobian(&self, jacobian: &[f64]) {
        let n = self.x.len();
        for j in 0..self.origin.len() {
            let of_row = |e: &&Entry| matches!(&e.place, Place::Entry(index) if index[0] == j);
            let row: Vec<Entry> = self.entries.borrow().iter().filter(of_row).cloned().collect();
            let joint = kinks::joint(self, &|v| v[j], &jacobian[j * n..][..n], &row);
            self.entries.borrow_mut().extend(joint);
        }
    }

    /// Checks `J d`, all outputs at once.
    fn tangents(&self, direction: &[(usize, f64)], tangent: &[f64]) -> Result<Vec<Entry>, GradientMismatch> {
        let m = self.origin.len();
        if tangent.len() != m {
            let (found, expected) = (vec![tangent.len()], vec![m]);
            return Err(GradientMismatch::Length { what: "the tangent", found, expected });
        }
        let values = self.along(&self.x, direction);
        let cache = RefCell::new(HashMap::<u64, Vec<f64>>::new());
        let cached = |t: f64| cache.borrow_mut().entry(t.to_bits()).or_insert_with(|| values(t)).clone();
        let largest = tangent.iter().filter(|t| t.is_finite()).fold(0.0, |a: f64, b| a.max(b.abs()));
        self.plan(m);
        let entries = (0..m).map(|j| {
            let mut question = self.question(0, tangent[j], self.origin[j], 0.0);
            question.natural = self.origin[j].abs().max(largest);
            let slope = self.slope(&cached, &|v| v[j], direction, question);
            self.done();
            let mut entry = self.entry(0, None, tangent[j], &slope);
            "J d".clone_into(&mut entry.input);
            entry.place = Place::Entry(vec![j]);
            entry.coordinate = None;
            entry
        });
        Ok(entries.collect())
    }

    /// Turns a finding into a verdict with its reason.
    pub(super) fn entry(&self, i: usize, row: Option<usize>, analytic: f64, slope: &Slope) -> Entry {
        let one_sided = slope.side != Side::Central;
        let inconclusive = |reason| (Verdict::Inconclusive, Some(reason));
        let (verdict, reason) = match slope.finding {
            // At an edge where the quotients diverge, an infinite derivative may be right.
            Finding::Unsettled if analytic.is_infinite() && one_sided => inconclusive(Reason::EdgeOfDomain),
            _ if !analytic.is_finite() => (Verdict::Disagrees, Some(Reason::NonFinite)),
            Finding::Agrees => (Verdict::Agrees, slope.kink.map(|_| Reason::Kink)),
            Finding::Disagrees => (Verdict::Disagrees, slope.kink.map(|_| Reason::Kink)),
            Finding::Noisy => inconclusive(Reason::Noise),
            Finding::Unsettled if one_sided => inconclusive(Reason::EdgeOfDomain),
            Finding::Unsettled => inconclusive(Reason::Unsettled),
            Finding::Undefined => inconclusive(Reason::NonFinite),
        };
        let reason = reason.or(one_sided.then_some(Reason::EdgeOfDomain));
        let (input, index) = self.name(i);
        let (input, index) = match row {
            None => (input, index),
            Some(j) if self.options.inputs.is_empty() => (input, vec![j, i]),
            Some(j) => (input, [vec![j], index].concat()),
        };
        Entry {
            input,
            place: Place::Entry(index),
            coordinate: Some(i),
            analytic,
            numeric: slope.value,
            error: slope.error,
            step: slope.step,
            one_sided: slope.kink,
            verdict,
            reason,
        }
    }

    fn name(&self, mut i: usize) -> (String, Vec<usize>) {
        for (name, shape) in &self.options.inputs {
            let size: usize = shape.iter().product();
            if i < size {
                let mut index = vec![0; shape.len()];
                for (k, length) in shape.iter().enumerate().rev() {
                    index[k] = i % length;
                    i /= length;
                }
                return (name.clone(), index);
            }
            i -= size;
        }
        ("x".to_owned(), vec![i])
    }

    /// The order at which `f(x + hd) - f(x) - h gᵀd` falls, from the steps where it stands above noise.
    fn taylor(&self, output: &Output<'_>, gradient: &[f64]) {
        let all: Vec<usize> = (0..self.x.len()).collect();
        let direction = self.direction(&all, 0);
        let slope: f64 = direction.iter().map(|(i, d)| gradient[*i] * d).sum();
        let room = self.room_along(&direction)[1];
        let values = self.along(&self.x, &direction);
        let origin = output(&self.origin);
        let mut remainders = Vec::new();
        for k in 0..6 {
            let h = (-4.0 - 2.0 * f64::from(k)).exp2();
            if h > room {
                continue;
            }
            let v = values(h);
            if v.len() != self.origin.len() {
                continue;
            }
            let remainder = (output(&v) - origin - h * slope).abs();
            let noise = self.noise.get() + self.unit * (origin.abs() + (h * slope).abs());
            if remainder.is_finite() && remainder > 100.0 * noise {
                remainders.push((h.log2(), remainder.log2()));
            }
        }
        // The two smallest steps are the nearest to the limit.
        if let [.., (h1, r1), (h0, r0)] = remainders[..] {
            self.taylor.set(Some((r1 - r0) / (h1 - h0)));
        }
    }

    /// A pullback is linear in its cotangent: an entry that is not is wrong, though right for 1.
    fn compare_seeds(&self, first: &[f64], unseeded: &[f64], entries: &mut Vec<Entry>) {
        // Rounding, as seen from the largest entry: sums may cancel differently.
        let largest = first.iter().filter(|g| g.is_finite()).fold(0.0, |a: f64, b| a.max(b.abs()));
        for (i, (&analytic, &other)) in first.iter().zip(unseeded).enumerate() {
            let tolerance = self.unit.sqrt() * analytic.abs() + 64.0 * self.unit * largest;
            if !analytic.is_finite() || (analytic - other).abs() <= tolerance {
                continue;
            }
            let (input, index) = self.name(i);
            entries.retain(|e| e.coordinate != Some(i));
            entries.push(Entry {
                input,
                place: Place::Entry(index),
                coordinate: Some(i),
                analytic: other,
                numeric: analytic,
                error: tolerance,
                step: f64::NAN,
                one_sided: None,
                verdict: Verdict::Disagrees,
                reason: Some(Reason::Cotangent),
            });
        }
    }

    fn finish(self, analytic: Option<&Analytic>) -> Result<Report, GradientMismatch> {
        let spread = self.spread.max(self.change());
        let mut entries = self.entries.take();
        let mut same = true;
        if let Some(Analytic { first, second, unseeded }) = analytic {
            if let Some(unseeded) = unseeded {
                self.compare_seeds(first, unseeded, &mut entries);
            }
            let differs = |i: usize| first[i].to_bits() != second[i].to_bits() && first[i] != second[i];
            same = (0..first.len()).all(|i| !differs(i) || (first[i].is_nan() && second[i].is_nan()));
            for entry in &mut entries {
                let Some(i) = entry.coordinate.filter(|i| *i < first.len() && first.len() == self.x.len()) else {
                    continue;
                };
                let change = (first[i] - second[i]).abs();
                if change > 2.0 * entry.error + self.relative() * first[i].abs() {
                    entry.verdict = Verdict::Disagrees;
                    entry.reason = Some(Reason::NotDeterministic);
                }
            }
        }
        if spread > 0.0 {
            // A drift may look like a slope: a difference it could explain proves nothing.
            for entry in &mut entries {
                let explained = (entry.analytic - entry.numeric).abs() <= 16.0 * spread / entry.step;
                if entry.verdict == Verdict::Inconclusive || (entry.verdict == Verdict::Disagrees && explained) {
                    entry.verdict = Verdict::Inconclusive;
                    entry.reason = Some(Reason::NotDeterministic);
                }
            }
        }
        let covered = match &self.options.coordinates {
            Coordinates::Only(list) => list.len(),
            _ => self.x.len(),
        };
        let mut report = Report {
            entries,
            covered,
            evaluations: self.evaluations.get(),
            gradient_evaluations: self.gradient_evaluations.get(),
            noise: self.noise.get().max(spread),
            taylor_order: self.taylor.get(),
            value_is_deterministic: spread == 0.0,
            gradient_is_deterministic: same,
            panics: self.panics.get(),
            seed: self.options.seed,
        };
        report.sort();
        match report.verdict() {
            Verdict::Disagrees => Err(GradientMismatch::Disagrees(Box::new(report))),
            _ => Ok(report),
        }
    }
}

/// A random sign times a magnitude in [1/2, 1].
pub(super) fn signed(rng: &mut StdRng) -> f64 {
    let magnitude = rng.random_range(0.5..1.0);
    if rng.random() { magnitude } else { -magnitude }
}

/// The power of two below `|x_i|`; at zero that of the median of the others, or 1.
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
