//! The entries of a report, each measured and judged, and the report itself.

use std::cell::RefCell;
use std::collections::HashMap;

use super::options::Coordinates;
use super::report::{Entry, GradientMismatch, Place, Reason, Report, Verdict};
use super::run::{AnalyticCalls, CheckRun, Functional};
use super::slope::{Finding, Question, Slope};
use super::stencil::Side;

impl CheckRun<'_> {
    /// The question for one coordinate of a gradient for which `largest = max_j |g_j| scale_j`.
    fn coordinate_question(&self, i: usize, analytic: f64, largest: f64) -> Question {
        Question {
            analytic: analytic.is_finite().then_some(analytic),
            rounding: 0.0,
            relative: self.relative_tolerance(),
            absolute: self.options.absolute,
            reference: None,
            natural: if self.x.len() > 1 { largest / self.scale[i] } else { 0.0 },
            moved: 0.0,
            kink_is_known: false,
        }
    }

    /// Checks one coordinate of a gradient.
    pub(super) fn check_coordinate(&self, output: &Functional<'_>, gradient: &[f64], i: usize) -> Entry {
        let axis = [(i, 1.0)];
        let values = self.along(&self.x, &axis);
        let question = self.coordinate_question(i, gradient[i], self.largest_scaled(gradient));
        let slope = self.slope(&values, output, &axis, question);
        self.line_done();
        self.entry(i, None, gradient[i], &slope)
    }

    /// Checks columns of a Jacobian; each point on the line of a column is evaluated once for all outputs.
    pub(super) fn check_columns(&self, list: &[usize], jacobian: &[f64]) -> Vec<Entry> {
        let (m, n) = (self.origin.len(), self.x.len());
        let largest: Vec<f64> = jacobian.chunks(n).map(|row| self.largest_scaled(row)).collect();
        self.plan_lines(list.len());
        let mut entries = Vec::new();
        for &i in list {
            let axis = [(i, 1.0)];
            let values = self.along(&self.x, &axis);
            let cache = RefCell::new(HashMap::<u64, Vec<f64>>::new());
            let cached = |t: f64| cache.borrow_mut().entry(t.to_bits()).or_insert_with(|| values(t)).clone();
            for j in 0..m {
                let analytic = jacobian[j * n + i];
                let question = self.coordinate_question(i, analytic, largest[j]);
                let slope = self.slope(&cached, &|v| v[j], &axis, question);
                entries.push(self.entry(i, Some(j), analytic, &slope));
            }
            self.line_done();
        }
        entries
    }

    /// Checks all outputs of `J d`; each point on the line is evaluated once.
    pub(super) fn check_tangents(
        &self,
        direction: &[(usize, f64)],
        tangent: &[f64],
    ) -> Result<Vec<Entry>, GradientMismatch> {
        let m = self.origin.len();
        if tangent.len() != m {
            let (found, expected) = (vec![tangent.len()], vec![m]);
            return Err(GradientMismatch::Length { what: "the tangent", found, expected });
        }
        let values = self.along(&self.x, direction);
        let cache = RefCell::new(HashMap::<u64, Vec<f64>>::new());
        let cached = |t: f64| cache.borrow_mut().entry(t.to_bits()).or_insert_with(|| values(t)).clone();
        let largest = tangent.iter().filter(|t| t.is_finite()).fold(0.0, |a: f64, b| a.max(b.abs()));
        self.plan_lines(m);
        let entries = (0..m).map(|j| {
            let mut question = self.coordinate_question(0, tangent[j], 0.0);
            question.natural = largest;
            let slope = self.slope(&cached, &|v| v[j], direction, question);
            self.line_done();
            let mut entry = self.entry(0, None, tangent[j], &slope);
            "J d".clone_into(&mut entry.input);
            entry.place = Place::Entry(vec![j]);
            entry.coordinate = None;
            entry
        });
        Ok(entries.collect())
    }

    /// The entry for a measured slope: turns the finding into a verdict with its reason.
    ///
    /// `row` is the output of a Jacobian to which the entry belongs.
    pub(super) fn entry(&self, i: usize, row: Option<usize>, analytic: f64, slope: &Slope) -> Entry {
        let one_sided = slope.side != Side::Central;
        let inconclusive = |reason| (Verdict::Inconclusive, Some(reason));
        let (verdict, reason) = match slope.finding {
            // At an edge of the domain where the quotients diverge, an infinite derivative may be right.
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
        let (input, index) = self.input_and_index(i);
        let (input, index) = match row {
            None => (input, index),
            Some(j) => (input, [vec![j], index].concat()),
        };
        Entry {
            seed: self.seed.borrow().clone(),
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

    /// The name of the input that holds a flat coordinate, and the index of the coordinate in that input.
    fn input_and_index(&self, mut i: usize) -> (String, Vec<usize>) {
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

    /// Measures the order at which the Taylor remainder `f(x + hd) - f(x) - h gᵀd` falls, from the steps at which
    /// the remainder stands above the noise.
    pub(super) fn measure_taylor_order(&self, output: &Functional<'_>, gradient: &[f64]) {
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
        // The smallest steps are nearest to the limit. An order that changes from one pair of steps to the next, or one
        // below 1, means that the steps are longer than the scale of the function.
        if let [.., (h2, r2), (h1, r1), (h0, r0)] = remainders[..] {
            let [near, far] = [(r1 - r0) / (h1 - h0), (r2 - r1) / (h2 - h1)];
            self.taylor.set(Some(near).filter(|near| (near - far).abs() < 0.1 && *near > 0.9));
        }
    }

    /// Marks the entries that are not linear in the cotangent.
    ///
    /// A pullback is linear in its cotangent, so an entry that is not linear is wrong, even if the entry for the
    /// cotangent 1 is right.
    fn compare_seeds(&self, first: &[f64], unseeded: &[f64], entries: &mut Vec<Entry>) {
        // Rounding is counted from the largest entry: sums may cancel differently.
        let largest = first.iter().filter(|g| g.is_finite()).fold(0.0, |a: f64, b| a.max(b.abs()));
        for (i, (&analytic, &other)) in first.iter().zip(unseeded).enumerate() {
            let tolerance = self.unit.sqrt() * analytic.abs() + 64.0 * self.unit * largest;
            if !analytic.is_finite() || (analytic - other).abs() <= tolerance {
                continue;
            }
            let (input, index) = self.input_and_index(i);
            entries.retain(|e| e.coordinate != Some(i));
            entries.push(Entry {
                seed: String::new(),
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

    /// The outcome of the check: looks for results that are not deterministic, then puts the report together.
    pub(super) fn finish(self, analytic: Option<&AnalyticCalls>) -> Result<Report, GradientMismatch> {
        let spread = self.drift.max(self.measure_drift());
        let mut entries = self.entries.take();
        let mut same = true;
        if let Some(AnalyticCalls { first, second, unseeded }) = analytic {
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
                if change > 2.0 * entry.error + self.relative_tolerance() * first[i].abs() {
                    entry.verdict = Verdict::Disagrees;
                    entry.reason = Some(Reason::NotDeterministic);
                }
            }
        }
        if spread > 0.0 {
            // A drift of the values may look like a slope, so a difference that the drift could explain proves nothing.
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
        // The order means something only where it supports the verdict: steps longer than the scale of the function have
        // orders of their own.
        report.taylor_order = report.taylor_order.filter(|order| match report.verdict() {
            Verdict::Agrees => *order > 1.5,
            Verdict::Inconclusive => false,
            Verdict::Disagrees => *order <= 1.5,
        });
        match report.verdict() {
            Verdict::Disagrees => Err(GradientMismatch::Disagrees(Box::new(report))),
            _ => Ok(report),
        }
    }
}
