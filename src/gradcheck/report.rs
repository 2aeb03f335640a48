//! The outcome of a check: a table for people, fields for programs.

use std::fmt::{self, Write};

use crate::text::Table;

/// The decision on one entry of a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The entry equals the numeric derivative within the error of both.
    Agrees,
    /// The values of the function do not allow a decision; [`Entry::reason`] says why.
    Inconclusive,
    /// The entry differs from the numeric derivative by more than every error that was measured.
    Disagrees,
}

/// The reason why an entry is inconclusive, or a special property of an entry that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The noise of the function's values hides the derivative.
    Noise,
    /// The one-sided derivatives differ; every value between these two derivatives is accepted.
    Kink,
    /// The function or its bounds leave only one side of the point, or end very near the point.
    EdgeOfDomain,
    /// The analytic value, or every neighbouring value of the function, is infinite or NaN.
    NonFinite,
    /// Difference quotients do not converge as the step shrinks.
    Unsettled,
    /// The function or the gradient returned another result when called again at the same point.
    NotDeterministic,
    /// The entry is not proportional to the cotangent.
    ///
    /// `numeric` is the entry for the cotangent 1; `analytic` is the entry for another cotangent, divided by that
    /// cotangent.
    Cotangent,
    /// The search for the wrong entries of a block was cut short.
    NotSearched,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Noise => "noise",
            Self::Kink => "kink",
            Self::EdgeOfDomain => "edge of domain",
            Self::NonFinite => "non-finite",
            Self::Unsettled => "quotients do not converge",
            Self::NotDeterministic => "not deterministic",
            Self::Cotangent => "wrong for another cotangent",
            Self::NotSearched => "not searched further",
        })
    }
}

/// The subject of an [`Entry`]: one entry of a gradient or a direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// One entry: `[i]` in a gradient, `[i, j, ..]` in the gradient of a tensor, `[output, input]` in a Jacobian.
    Entry(Vec<usize>),
    /// The derivative along a random direction over this number of coordinates.
    Direction(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(index) => {
                let index: Vec<String> = index.iter().map(ToString::to_string).collect();
                f.pad(&format!("[{}]", index.join(", ")))
            }
            Self::Direction(n) => f.pad(&format!("direction over {n}")),
        }
    }
}

/// One comparison of an analytic with a numeric derivative.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The cotangent or the direction for which a product was checked, such as `v = ones`; empty in a gradient.
    pub seed: String,
    /// Name of the input.
    pub input: String,
    /// The entry or the direction that was compared.
    pub place: Place,
    /// Index into the flat input; `None` for a direction.
    pub coordinate: Option<usize>,
    /// The value under test.
    pub analytic: f64,
    /// The derivative measured from values of the function.
    pub numeric: f64,
    /// Bound on the error of `numeric`.
    pub error: f64,
    /// The step of the difference quotient behind `numeric`, in units of the coordinate (or of the direction).
    pub step: f64,
    /// Left and right derivative at a kink.
    pub one_sided: Option<[f64; 2]>,
    /// The decision.
    pub verdict: Verdict,
    /// The reason if the verdict is inconclusive; otherwise a special property of the entry, if it has one.
    pub reason: Option<Reason>,
}

impl Entry {
    /// `|analytic - numeric| / max(|analytic|, |numeric|)`, 0 where both are 0.
    pub fn relative_error(&self) -> f64 {
        let gap = (self.analytic - self.numeric).abs();
        if gap == 0.0 { 0.0 } else { gap / self.analytic.abs().max(self.numeric.abs()) }
    }
}

/// The outcome of a check.
///
/// `Display` shows a table, worst entry first; `{:#}` shows every row. `Debug` shows the same table.
#[derive(Clone)]
#[non_exhaustive]
pub struct Report {
    /// All comparisons, worst first.
    pub entries: Vec<Entry>,
    /// Number of coordinates that were checked, alone or in a direction.
    pub covered: usize,
    /// Number of calls of the function.
    pub evaluations: usize,
    /// Number of calls of the gradient.
    pub gradient_evaluations: usize,
    /// Largest noise seen in the function's values, as a standard deviation in their units.
    pub noise: f64,
    /// Observed order of the Taylor remainder `f(x + hd) - f(x) - h gᵀd`: 2 for a right gradient, 1 for a
    /// wrong gradient; `None` if the remainder has no steady order, or is below the noise, as for a linear function.
    pub taylor_order: Option<f64>,
    /// True if the function returned the same value each time at the same point.
    pub value_is_deterministic: bool,
    /// True if two calls of the gradient gave the same result, bit for bit.
    pub gradient_is_deterministic: bool,
    /// Number of steps at which the function panicked; its value there counts as undefined.
    pub panics: usize,
    /// The seed of all random choices.
    pub seed: u64,
}

impl Report {
    /// The worst verdict: `Disagrees` if any entry disagrees, else `Inconclusive` if any entry is inconclusive, else
    /// `Agrees`.
    pub fn verdict(&self) -> Verdict {
        self.entries.iter().map(|e| e.verdict).max().unwrap_or(Verdict::Agrees)
    }

    /// The entries with this verdict, worst first.
    pub fn with_verdict(&self, verdict: Verdict) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |e| e.verdict == verdict)
    }

    /// The entries that disagree, worst first.
    pub fn disagreements(&self) -> impl Iterator<Item = &Entry> {
        self.with_verdict(Verdict::Disagrees)
    }

    /// The entry furthest from agreement.
    pub fn worst(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// A summary of the check in one line.
    pub fn summary(&self) -> String {
        let count = |v| self.with_verdict(v).count();
        let directions = self.entries.iter().filter(|e| matches!(e.place, Place::Direction(_))).count();
        let of = if directions == 0 {
            format!("{} entries", self.entries.len())
        } else {
            format!("{} entries ({} rows, {directions} of them random directions)", self.covered, self.entries.len())
        };
        let [wrong, open] = [count(Verdict::Disagrees), count(Verdict::Inconclusive)];
        let mut verdict = match self.verdict() {
            Verdict::Agrees => format!("the gradient agrees with finite differences: {of}"),
            Verdict::Inconclusive => format!("no disagreement, but {open} inconclusive: {of}"),
            Verdict::Disagrees => format!("the gradient is wrong: {wrong} disagree, {open} inconclusive: {of}"),
        };
        let weak = |e: &&Entry| e.analytic != 0.0 && e.one_sided.is_none() && e.error > e.analytic.abs();
        let weak = self.with_verdict(Verdict::Agrees).filter(weak).count();
        if weak > 0 {
            let _ = write!(verdict, ", {weak} of them only within a bound larger than the entry");
        }
        let mut notes = format!("; {} evaluations, noise {:.0e}", self.evaluations, self.noise);
        if let Some(order) = self.taylor_order {
            let _ = write!(notes, ", Taylor remainder of order {order:.1}");
        }
        if !self.value_is_deterministic {
            notes += "; the function is not deterministic: it returned different values at the same point";
        }
        if !self.gradient_is_deterministic {
            notes += "; the gradient is not deterministic: two calls at the same point differ";
        }
        if self.panics > 0 {
            let _ = write!(notes, "; the function panicked at {} steps", self.panics);
        }
        verdict + &notes
    }

    /// A pattern that the wrong entries share, in words, such as "each wrong entry is 0.5 times the numeric derivative".
    pub fn hint(&self) -> Option<String> {
        let measured =
            |e: &&Entry| e.coordinate.is_some() && e.one_sided.is_none() && e.reason != Some(Reason::Cotangent);
        let wrong: Vec<&Entry> = self.disagreements().filter(measured).filter(|e| e.analytic.is_finite()).collect();
        let visible = |e: &Entry| e.numeric.abs() > 4.0 * e.error;
        let first = wrong.iter().find(|e| visible(e))?;
        let factor = first.analytic / first.numeric;
        let equals = |a: f64, e: &Entry| (a - e.numeric).abs() <= 4.0 * e.error + 1e-3 * e.numeric.abs();
        let all = |right: &dyn Fn(&Entry) -> bool| wrong.iter().all(|e| right(e));
        let which = if wrong.len() == 1 { "the wrong entry" } else { "each wrong entry" };
        if all(&|e| e.analytic == 0.0) {
            let lost = "a term may be detached, or its pullback missing";
            return Some(format!("{which} is 0 where the function changes: {lost}"));
        }
        if all(&|e| equals(-e.analytic, e)) {
            return Some(format!("{which} has the wrong sign"));
        }
        // A factor of one entry alone is a hint only if the factor is a simple number.
        let simple = [0.25, 0.5, 2.0, 3.0, 4.0].iter().any(|s| (factor.abs() / s - 1.0).abs() < 1e-3);
        if (wrong.len() > 1 || simple) && all(&|e| equals(e.analytic / factor, e)) {
            return Some(format!("{which} is {factor:.4} times the numeric derivative"));
        }
        let mirrored = |e: &Entry| {
            let Place::Entry(index) = &e.place else { return false };
            let [.., i, j] = index[..] else { return false };
            let mut swapped = index.clone();
            let n = swapped.len();
            (swapped[n - 2], swapped[n - 1]) = (j, i);
            let of = |o: &&Entry| o.input == e.input && o.seed == e.seed && o.place == Place::Entry(swapped.clone());
            self.entries.iter().find(of).is_some_and(|o| equals(o.analytic, e))
        };
        (wrong.len() > 1 && all(&mirrored)).then(|| "the matrix looks transposed".to_owned())
    }

    /// Sorts the entries, worst first.
    pub(super) fn sort(&mut self) {
        let rank = |e: &Entry| {
            let gap = e.relative_error();
            (e.verdict, if gap.is_nan() { f64::INFINITY } else { gap })
        };
        self.entries.sort_by(|a, b| {
            let ((va, ga), (vb, gb)) = (rank(a), rank(b));
            vb.cmp(&va).then(gb.total_cmp(&ga))
        });
    }
}

/// The number of rows that a table shows unless `{:#}` asks for all.
const ROWS: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary())?;
        if let Some(hint) = self.hint() {
            writeln!(f, "hint: {hint}")?;
        }
        if self.entries.is_empty() {
            return Ok(());
        }
        let shown = if f.alternate() { self.entries.len() } else { self.entries.len().min(ROWS) };
        let header = ["input", "index", "analytic", "numeric", "± error", "rel. error", "step", "verdict"];
        let mut rows = vec![header.map(String::from).to_vec()];
        rows.extend(self.entries[..shown].iter().map(row));
        let mut right = 2..7;
        if self.entries.iter().any(|e| !e.seed.is_empty()) {
            let seeds = self.entries[..shown].iter().map(|e| e.seed.clone());
            for (row, seed) in rows.iter_mut().zip(std::iter::once("for".to_owned()).chain(seeds)) {
                row.insert(0, seed);
            }
            right = 3..8;
        }
        let table = Table { right, rule: Some('-'), indent: 2, ..Table::default() };
        writeln!(f, "{}", table.print(&rows))?;
        if shown < self.entries.len() {
            writeln!(f, "  and {} more rows ({{:#}} shows them)", self.entries.len() - shown)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The cells of one row of the table.
fn row(e: &Entry) -> Vec<String> {
    let mut verdict = match e.verdict {
        Verdict::Agrees => "agrees",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Disagrees => "DISAGREES",
    }
    .to_owned();
    if let Some(reason) = e.reason {
        let _ = write!(verdict, ": {reason}");
    }
    if let Some([left, right]) = e.one_sided {
        let _ = write!(verdict, " [{:.6}, {:.6}]", left.min(right), left.max(right));
    }
    vec![
        e.input.clone(),
        e.place.to_string(),
        number(e.analytic),
        number(e.numeric),
        format!("{:.0e}", e.error),
        format!("{:.1e}", e.relative_error()),
        if e.step.is_finite() { format!("{:.0e}", e.step) } else { "-".to_owned() },
        verdict,
    ]
}

/// A number with ten significant digits, in the shorter of the two notations.
fn number(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return format!("{v}");
    }
    let exponent = v.abs().log10().floor();
    if (-4.0..9.0).contains(&exponent) {
        format!("{:.*}", (9.0 - exponent).clamp(0.0, 13.0) as usize, v)
    } else {
        format!("{v:.9e}")
    }
}

/// The reason why a check failed; `Debug` shows the same text as `Display`, so that `unwrap` shows the table.
#[derive(Clone)]
#[non_exhaustive]
pub enum GradientMismatch {
    /// At least one entry disagrees; the report lists these entries first.
    Disagrees(Box<Report>),
    /// The point has no coordinates, so there is nothing to differentiate.
    EmptyInput,
    /// A gradient, Jacobian, list of bounds or list of inputs does not fit the size of the input.
    Length {
        /// The thing of the wrong size, such as "the gradient".
        what: &'static str,
        /// The size found.
        found: Vec<usize>,
        /// The size expected.
        expected: Vec<usize>,
    },
    /// The function is infinite or NaN at the point itself.
    NonFiniteValue {
        /// Index of the output.
        output: usize,
        /// Value of the output.
        value: f64,
    },
    /// A coordinate of the point is infinite or NaN.
    NonFiniteInput {
        /// Index of the coordinate.
        coordinate: usize,
    },
    /// A coordinate of the point lies outside its bounds.
    OutOfBounds {
        /// Index of the coordinate.
        coordinate: usize,
        /// Value of the coordinate.
        value: f64,
        /// Bounds of the coordinate, lower and upper.
        bounds: [f64; 2],
    },
    /// The function or the gradient panicked at the point itself.
    Panicked {
        /// The callee that panicked, such as "the function".
        what: &'static str,
        /// Message of the panic.
        message: String,
    },
}

impl GradientMismatch {
    /// The report, if the check was possible.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Disagrees(report) => Some(report),
            _ => None,
        }
    }
}

impl fmt::Display for GradientMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disagrees(report) => report.fmt(f),
            Self::EmptyInput => f.write_str("cannot check a gradient: the point has no coordinates"),
            Self::Length { what, found, expected } => {
                write!(f, "cannot check: {what} has size {found:?}, expected {expected:?}")
            }
            Self::NonFiniteValue { output, value } => {
                write!(f, "cannot check: output {output} of the function is {value} at the point itself")
            }
            Self::NonFiniteInput { coordinate } => write!(f, "cannot check: coordinate {coordinate} is not finite"),
            Self::OutOfBounds { coordinate, value, bounds: [low, high] } => {
                write!(f, "cannot check: coordinate {coordinate} is {value}, outside its bounds [{low}, {high}]")
            }
            Self::Panicked { what, message } => write!(f, "cannot check: {what} panicked: {message}"),
        }
    }
}

impl fmt::Debug for GradientMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for GradientMismatch {}
