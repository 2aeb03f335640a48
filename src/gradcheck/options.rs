//! [`GradCheck`]: the options of a check.

use std::cell::Cell;
use std::rc::Rc;

use num_traits::Float;

use super::slope::wide;

/// The choice of the coordinates to check, and of one by one or in blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coordinates {
    /// One by one up to 256 coordinates, in blocks beyond 256.
    #[default]
    Auto,
    /// All coordinates, one by one.
    All,
    /// In blocks: random directions over many coordinates, bisected where they disagree.
    Blocks,
    /// Only these coordinates, one by one.
    Only(Vec<usize>),
}

/// The progress of a check, as [`GradCheck::on_progress`] reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckProgress {
    /// Lines searched.
    pub done: usize,
    /// Lines to be searched in all, as far as known yet; a search for wrong entries adds lines.
    pub total: usize,
    /// Calls of the function.
    pub evaluations: usize,
}

/// A gradient check and its options; the defaults suit most functions.
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
    pub(super) bounds: Option<Vec<(f64, f64)>>,
    pub(super) inputs: Vec<(String, Vec<usize>)>,
    pub(super) max_mismatches: Option<usize>,
    pub(super) progress: Option<Rc<dyn Fn(CheckProgress)>>,
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
    /// A check with the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the seed of all random choices (directions, cotangents, the last bits of steps); 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Also accepts a deviation up to this fraction of the entry.
    ///
    /// The default is `ε^(3/5)`, 4e-10 in f64 and 7e-5 in f32. It leaves a margin above the error of a central
    /// difference at its best step, `ε^(2/3)`. A gradient that is an approximation on purpose needs a larger
    /// tolerance.
    ///
    /// # Panics
    /// If the tolerance is negative, infinite or NaN.
    #[track_caller]
    pub fn relative_tolerance(mut self, tolerance: f64) -> Self {
        expect_tolerance("relative_tolerance", tolerance);
        self.relative = Some(tolerance);
        self
    }

    /// Also accepts this absolute deviation, in the units of the gradient; 0 by default.
    ///
    /// # Panics
    /// If the tolerance is negative, infinite or NaN.
    #[track_caller]
    pub fn absolute_tolerance(mut self, tolerance: f64) -> Self {
        expect_tolerance("absolute_tolerance", tolerance);
        self.absolute = tolerance;
        self
    }

    /// Chooses the coordinates to check; [`Coordinates::Auto`] by default.
    ///
    /// # Panics
    /// If the list of [`Coordinates::Only`] is empty: a check of nothing would agree with anything.
    #[track_caller]
    pub fn coordinates(mut self, coordinates: Coordinates) -> Self {
        assert!(
            !matches!(&coordinates, Coordinates::Only(list) if list.is_empty()),
            "GradCheck::coordinates: Coordinates::Only needs at least one coordinate"
        );
        self.coordinates = coordinates;
        self
    }

    /// Sets closed bounds `(lower, upper)` of each coordinate; the function is never evaluated outside its bounds.
    ///
    /// # Panics
    /// If a bound is NaN or a lower bound is above its upper bound.
    #[track_caller]
    pub fn bounds<F: Float>(mut self, bounds: &[(F, F)]) -> Self {
        expect_bounds("GradCheck::bounds", bounds);
        self.bounds = Some(bounds.iter().map(|(low, high)| (wide(*low), wide(*high))).collect());
        self
    }

    /// Sets names and shapes of the inputs, in the order in which the inputs lie in the flat point; the report
    /// then says `w1 [3, 0]` instead of `x [12]`.
    pub fn inputs<S: Into<String>>(mut self, inputs: impl IntoIterator<Item = (S, Vec<usize>)>) -> Self {
        self.inputs = inputs.into_iter().map(|(name, shape)| (name.into(), shape)).collect();
        self
    }

    /// Stops the search in a large gradient after this many wrong entries have been located; 16 by default.
    pub fn max_mismatches(mut self, count: usize) -> Self {
        self.max_mismatches = Some(count);
        self
    }

    /// Calls `show` after each line searched.
    pub fn on_progress(mut self, show: impl Fn(CheckProgress) + 'static) -> Self {
        self.progress = Some(Rc::new(show));
        self
    }

    /// Shows the progress on standard error, each time a further percent is done.
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
}

#[track_caller]
fn expect_tolerance(name: &str, tolerance: f64) {
    assert!(
        tolerance.is_finite() && tolerance >= 0.0,
        "GradCheck::{name}: a tolerance must be finite and not negative, not {tolerance}"
    );
}

/// Refuses bounds that no number satisfies.
#[track_caller]
pub(super) fn expect_bounds<F: Float>(name: &str, bounds: &[(F, F)]) {
    for (i, (low, high)) in bounds.iter().enumerate() {
        let [low, high] = [wide(*low), wide(*high)];
        assert!(low <= high, "{name}: the bounds of coordinate {i} must be in order, not ({low}, {high})");
    }
}
