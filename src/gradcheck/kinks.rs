//! Kinks shared by several coordinates.
//!
//! At `x = y` each partial of `max(x, y)` may be any number in [0, 1], but both may not be 1. A gradient must
//! therefore be tested along directions that mix the coordinates. Along such a direction, `gᵀd` must lie between
//! the least and the greatest slope of the function at the point and at random points around the point: the Clarke
//! subdifferential, approximated by sampled gradients (Burke, Lewis & Overton, SIAM J. Optim. 15 (2005)).

use rand::RngExt;

use super::report::{Entry, Place, Reason, Verdict};
use super::run::{CheckRun, Direction, Functional, random_component};
use super::slope::Question;

/// The number of random directions, of several kinds.
///
/// A wrong tie shows in some kinds only: an excess in the sum of the partials shows where all components are alike,
/// a wrong sign shows where two components differ.
const DIRECTIONS: u64 = 24;
/// The number of random points around the point.
const NEIGHBOURS: usize = 64;

/// Tests random directions over the coordinates of `entries` that lie at a kink; returns the first disagreement.
pub(super) fn joint(run: &CheckRun<'_>, output: &Functional<'_>, gradient: &[f64], entries: &[Entry]) -> Option<Entry> {
    let kinked = |e: &&Entry| e.one_sided.is_some() && e.verdict == Verdict::Agrees;
    let coordinates: Vec<usize> = entries.iter().filter(kinked).filter_map(|e| e.coordinate).collect();
    if coordinates.len() < 2 {
        return None;
    }
    // Random directions never hit that of the gradient, in which an excess of its length shows best.
    let along: Direction =
        coordinates.iter().map(|i| (*i, (gradient[*i] * run.scale[*i]).signum() * run.scale[*i])).collect();
    let along = Some(along).filter(|_| !run.is_bounded());
    if let Some(entry) = along.and_then(|direction| disagreement(run, output, gradient, &direction)) {
        return Some(entry);
    }
    (0..DIRECTIONS).find_map(|round| {
        let mut some = coordinates.clone();
        if round % 3 == 1 {
            some.retain(|_| run.rng.borrow_mut().random_bool(0.5));
            if some.len() < 2 {
                some.clone_from(&coordinates);
            }
        }
        let mut direction = run.direction(&some, round % 2);
        if round % 2 == 0 {
            // These components have nearly the same size, and in the first rounds the same sign.
            for (i, d) in &mut direction {
                let size = run.scale[*i] * run.rng.borrow_mut().random_range(0.9..1.0);
                if d.abs() >= 0.5 * run.scale[*i] {
                    *d = if round < 4 && !run.is_bounded() { size } else { size.copysign(*d) };
                }
            }
        }
        disagreement(run, output, gradient, &direction)
    })
}

/// The entry for a direction, if `gᵀd` lies outside the range of all slopes sampled along that direction.
fn disagreement(run: &CheckRun<'_>, output: &Functional<'_>, gradient: &[f64], direction: &Direction) -> Option<Entry> {
    let analytic: f64 = direction.iter().map(|(i, d)| gradient[*i] * d).sum();
    let size: f64 = direction.iter().map(|(i, d)| (gradient[*i] * d).abs()).sum();
    let question = Question {
        analytic: Some(analytic),
        rounding: 16.0 * run.unit * size,
        relative: run.relative_tolerance(),
        absolute: 0.0,
        reference: Some(size),
        natural: 0.0,
        moved: direction.iter().map(|(i, _)| (gradient[*i] * run.x[*i]).powi(2)).sum::<f64>().sqrt(),
        kink_is_known: true,
    };
    let slope = run.slope(&run.along(&run.x, direction), output, direction, question);
    let mut entry = run.entry(direction[0].0, None, analytic, &slope);
    if entry.verdict != Verdict::Disagrees {
        return None;
    }
    let [mut low, mut high] = slope.kink.map_or([slope.value; 2], |[l, r]| [l.min(r), l.max(r)]);
    let mut error = slope.error;
    for (value, e) in neighbours(run, output, direction) {
        low = low.min(value);
        high = high.max(value);
        error = error.max(e);
    }
    let tolerance = 2.0 * error + run.relative_tolerance() * size;
    if analytic >= low - tolerance && analytic <= high + tolerance {
        return None;
    }
    entry.place = Place::Direction(direction.len());
    entry.coordinate = None;
    entry.reason = Some(Reason::Kink);
    entry.one_sided = Some([low, high]);
    Some(entry)
}

/// Slopes along `direction` at random points nearby, each with a bound on the effect of rounding.
fn neighbours(run: &CheckRun<'_>, output: &Functional<'_>, direction: &Direction) -> Vec<(f64, f64)> {
    let digits = -run.unit.log2();
    let radius = (-digits / 4.0).exp2();
    let step = radius * (-digits / 6.0).exp2();
    let mut slopes = Vec::with_capacity(NEIGHBOURS);
    for _ in 0..NEIGHBOURS {
        let mut base = run.x.clone();
        for &(i, d) in direction {
            // Near a bound, `d` points away from the bound.
            base[i] += radius * d.abs() * random_component(&mut run.rng.borrow_mut());
        }
        let values = run.along(&base, direction);
        let [before, after] = [-step, step].map(&values);
        if before.len() != run.origin.len() || after.len() != run.origin.len() {
            continue;
        }
        let [before, after] = [output(&before), output(&after)];
        let slope = (after - before) / (2.0 * step);
        if slope.is_finite() {
            slopes.push((slope, run.unit * (before.abs() + after.abs()) / step));
        }
    }
    slopes
}
