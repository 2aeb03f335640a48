//! Large gradients: random directions over blocks of coordinates, bisected to the wrong entries.
//!
//! The slope along `d` is compared with `gᵀd`. One wrong entry of error `δ` shows as `|d_i δ|`, so a block
//! says nothing about entries smaller than the error of its slope. Coordinates are therefore grouped by `|g_i|`
//! times their scale, and each group must be resolved to a fraction of its smallest entry (zeros form a
//! group of their own, in which any slope is wrong). Components carry random signs *and* magnitudes: with signs
//! alone, two equal errors cancel half of the time.

use std::collections::HashSet;

use super::report::{Entry, Place, Reason, Verdict};
use super::run::{CheckRun, Direction, Functional};
use super::slope::{Finding, Question, Slope, conclusive, weak};

/// The largest factor between two sizes within one group.
const GROUP_RANGE: f64 = 1024.0;
/// The largest number of groups of nonzero entries; the last group takes the rest.
const MAX_GROUPS: usize = 8;
/// The number of independent directions for each group.
const ROUNDS: u64 = 2;
/// The number of wrong entries to locate unless the options say otherwise.
const DEFAULT_MISMATCHES: usize = 16;
/// The largest number of entries checked one by one because noise hides them in any block.
const MAX_SINGLES: usize = 256;
/// The number of halves after which splitting ends if all of them have kinks.
const HOPELESS_HALVES: usize = 8;
/// The largest number of undecided blocks to split.
const MAX_SPLITS: usize = 64;

/// A check in blocks under way.
struct Blocks<'r, 'a> {
    run: &'r CheckRun<'a>,
    output: &'r Functional<'r>,
    gradient: &'r [f64],
    jacobian: Option<&'r [f64]>,
    entries: Vec<Entry>,
    /// Wrong entries that may still be located.
    mismatches_left: usize,
    /// Undecided blocks that may still be split.
    splits_left: usize,
    /// The halves of split blocks, and those that lie at a kink as a whole does.
    halves: usize,
    kinked_halves: usize,
    /// Entries hidden by noise that may still be checked one by one.
    singles_left: usize,
    /// Coordinates that have been checked one by one.
    checked: HashSet<usize>,
}

/// Checks a gradient in blocks.
pub(super) fn check(
    run: &CheckRun<'_>,
    output: &Functional<'_>,
    gradient: &[f64],
    jacobian: Option<&[f64]>,
) -> Vec<Entry> {
    let mismatches = run.options.max_mismatches.unwrap_or(DEFAULT_MISMATCHES);
    let mut blocks = Blocks {
        run,
        output,
        gradient,
        jacobian,
        entries: Vec::new(),
        mismatches_left: mismatches,
        splits_left: MAX_SPLITS,
        halves: 0,
        kinked_halves: 0,
        singles_left: MAX_SINGLES,
        checked: run.entries.borrow().iter().filter_map(|e| e.coordinate).collect(),
    };
    for i in (0..gradient.len()).filter(|i| !gradient[*i].is_finite()).take(mismatches) {
        blocks.single(i);
    }
    let groups = groups(run, gradient);
    run.plan_lines(groups.len() * ROUNDS as usize);
    for group in &groups {
        for round in 0..ROUNDS {
            let direction = run.direction(group, round);
            let (slope, _) = blocks.slope(&direction);
            blocks.judge(&direction, &slope);
            run.line_done();
        }
    }
    blocks.entries
}

/// Groups of coordinates by the size of `|g_i| scale_i`, largest first, zeros last.
fn groups(run: &CheckRun<'_>, gradient: &[f64]) -> Vec<Vec<usize>> {
    let size = |i: usize| gradient[i].abs() * run.scale[i];
    let finite = (0..gradient.len()).filter(|i| gradient[*i].is_finite());
    let (mut order, zeros): (Vec<usize>, Vec<usize>) = finite.partition(|i| size(*i) > 0.0);
    order.sort_by(|a, b| size(*b).total_cmp(&size(*a)));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut top = 0.0;
    for i in order {
        match groups.last_mut() {
            Some(group) if size(i) * GROUP_RANGE >= top => group.push(i),
            _ => {
                top = size(i);
                groups.push(vec![i]);
            }
        }
    }
    while groups.len() > MAX_GROUPS {
        let rest = groups.pop().expect("more than MAX_GROUPS");
        groups.last_mut().expect("MAX_GROUPS").extend(rest);
    }
    if !zeros.is_empty() {
        groups.push(zeros);
    }
    // Neighbours in memory become neighbours in a block: wrong entries often come in runs.
    for group in &mut groups {
        group.sort_unstable();
    }
    groups
}

impl Blocks<'_, '_> {
    /// `|g_i d_i|` of each component of a direction.
    fn sizes<'s>(&'s self, direction: &'s [(usize, f64)]) -> impl Iterator<Item = f64> + 's {
        direction.iter().map(|(i, d)| (self.gradient[*i] * d).abs())
    }

    /// The slope along a direction, and the analytic slope `gᵀd`.
    fn slope(&self, direction: &[(usize, f64)]) -> (Slope, f64) {
        let analytic: f64 = direction.iter().map(|(i, d)| self.gradient[*i] * d).sum();
        let total: f64 = self.sizes(direction).sum();
        let least = self.sizes(direction).fold(f64::INFINITY, f64::min);
        let question = Question {
            analytic: Some(analytic),
            rounding: 4.0 * self.run.unit * total,
            relative: self.run.relative_tolerance(),
            absolute: self.run.options.absolute * direction.iter().map(|(_, d)| d.abs()).sum::<f64>(),
            reference: (least > 0.0).then_some(least),
            natural: 0.0,
            moved: direction.iter().map(|(i, _)| (self.gradient[*i] * self.run.x[*i]).powi(2)).sum::<f64>().sqrt(),
            kink_is_known: false,
        };
        let slope = self.run.slope(&self.run.along(&self.run.x, direction), self.output, direction, question);
        (slope, analytic)
    }

    /// Records the result of a direction, or examines the block more closely if the direction does not agree.
    fn judge(&mut self, direction: &Direction, slope: &Slope) {
        let smooth = slope.kink.is_none();
        match slope.finding {
            Finding::Agrees if smooth => self.record(direction, slope, None),
            Finding::Disagrees => self.bisect(direction, slope),
            Finding::Noisy => self.pursue_hidden(direction, slope),
            // Any other finding may be caused by a few coordinates.
            _ => self.split(direction, slope),
        }
    }

    /// Adds an entry for a direction to the report.
    fn record(&mut self, direction: &Direction, slope: &Slope, reason: Option<Reason>) {
        let analytic: f64 = direction.iter().map(|(i, d)| self.gradient[*i] * d).sum();
        let mut entry = self.run.entry(direction[0].0, None, analytic, slope);
        entry.place = Place::Direction(direction.len());
        entry.coordinate = None;
        if slope.kink.is_some() && entry.verdict == Verdict::Agrees {
            // At a kink, any slope between the two one-sided ones would have passed.
            entry.verdict = Verdict::Inconclusive;
        }
        entry.reason = reason.or(entry.reason);
        self.entries.push(entry);
    }

    /// Checks the smaller entries of a block that agrees but whose noise hides these entries.
    ///
    /// The hidden entries form a direction of their own, in which longer steps may resolve them. If noise hides all
    /// entries of the block, the entries are checked one by one while the allowance lasts.
    fn pursue_hidden(&mut self, direction: &Direction, slope: &Slope) {
        let visible = slope.error / conclusive(self.run.grain_of(self.output));
        let hidden: Vec<usize> =
            direction.iter().filter(|(i, d)| (self.gradient[*i] * d).abs() < visible).map(|(i, _)| *i).collect();
        let (many, all) = (hidden.len(), direction.len());
        if many == 0 {
            // The slope deviates, but by too little to be sure.
            self.split(direction, slope);
        } else if many < all {
            let seen = Slope { finding: Finding::Agrees, ..*slope };
            self.record(direction, &seen, None);
            self.entries.last_mut().expect("just recorded").place = Place::Direction(all - many);
            let direction = self.run.direction(&hidden, 0);
            let (slope, _) = self.slope(&direction);
            self.judge(&direction, &slope);
        } else if many <= self.singles_left {
            self.singles_left -= many;
            for i in hidden {
                self.single(i);
            }
        } else {
            // The best that is left is a comparison with the size of the whole direction.
            let size = self.sizes(direction).map(|s| s * s).sum::<f64>().sqrt();
            let enough = slope.error <= weak(self.run.grain_of(self.output)) * size;
            let finding = if enough { Finding::Agrees } else { Finding::Noisy };
            self.record(direction, &Slope { finding, ..*slope }, Some(Reason::Noise));
        }
    }

    /// Bisects a block that disagrees, down to its wrong entries.
    fn bisect(&mut self, direction: &Direction, slope: &Slope) {
        if self.mismatches_left == 0 {
            return self.record(direction, slope, Some(Reason::NotSearched));
        }
        if let [(i, _)] = direction[..] {
            self.mismatches_left -= 1;
            return self.single(i);
        }
        let (left, right) = direction.split_at(direction.len() / 2);
        let mut wrong = false;
        let mut halves = Vec::with_capacity(2);
        for half in [left, right] {
            let half = half.to_vec();
            let (slope, analytic) = self.slope(&half);
            self.run.plan_lines(1);
            self.run.line_done();
            if slope.finding == Finding::Disagrees {
                wrong = true;
                self.bisect(&half, &slope);
            }
            halves.push((half, (analytic - slope.value).abs() / slope.error));
        }
        if !wrong && !self.follow_residual(halves) {
            // The slope is linear in the direction, so right halves speak against a wrong whole. Other
            // directions decide, because errors that cancel in one direction do not cancel in another.
            let block: Vec<usize> = direction.iter().map(|(i, _)| *i).collect();
            let again = (0..ROUNDS).map(|round| {
                let direction = self.run.direction(&block, round);
                let (slope, _) = self.slope(&direction);
                (direction, slope)
            });
            let again: Vec<_> = again.collect();
            let wrong = again.iter().all(|(_, s)| s.finding == Finding::Disagrees);
            let (direction, slope) = again.into_iter().next().expect("ROUNDS > 0");
            if wrong || slope.finding != Finding::Disagrees {
                self.record(&direction, &slope, wrong.then_some(Reason::NotSearched));
            } else {
                self.record(&direction, &Slope { finding: Finding::Noisy, ..slope }, None);
            }
        }
    }

    /// Follows the larger residual, in units of its error, down to one entry; returns true if that entry disagrees when
    /// checked alone.
    fn follow_residual(&mut self, mut halves: Vec<(Direction, f64)>) -> bool {
        loop {
            let larger = halves.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
            let (block, _) = larger.expect("two halves");
            if let [(i, _)] = block[..] {
                self.single(i);
                let entry = self.entries.last();
                return entry.is_some_and(|e| e.coordinate == Some(i) && e.verdict == Verdict::Disagrees);
            }
            let (left, right) = block.split_at(block.len() / 2);
            let measured = [left, right].map(|half| {
                let (slope, analytic) = self.slope(half);
                (half.to_vec(), (analytic - slope.value).abs() / slope.error)
            });
            halves = measured.into();
        }
    }

    /// Splits an undecided block in two while the allowance lasts.
    fn split(&mut self, direction: &Direction, slope: &Slope) {
        if let [(i, _)] = direction[..] {
            return self.single(i);
        }
        // Where each half has a kink like the whole, kinks are too many to be singled out.
        let many_kinks = self.halves >= HOPELESS_HALVES && self.kinked_halves == self.halves;
        if self.splits_left == 0 || many_kinks {
            return self.record(direction, slope, None);
        }
        self.splits_left -= 1;
        let (left, right) = direction.split_at(direction.len() / 2);
        for half in [left, right] {
            let half = half.to_vec();
            let (slope, _) = self.slope(&half);
            self.halves += 1;
            self.kinked_halves += usize::from(slope.kink.is_some());
            self.run.plan_lines(1);
            self.run.line_done();
            self.judge(&half, &slope);
        }
    }

    /// Checks one coordinate alone, unless checked before; with a Jacobian, all rows of the coordinate's column.
    fn single(&mut self, i: usize) {
        if !self.checked.insert(i) {
            return;
        }
        match self.jacobian {
            Some(jacobian) => self.entries.extend(self.run.check_columns(&[i], jacobian)),
            None => self.entries.push(self.run.check_coordinate(self.output, self.gradient, i)),
        }
    }
}
