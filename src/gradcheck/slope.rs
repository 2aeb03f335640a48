//! The slope of a function along a line, with an error that can be relied on, and the judgement of an analytic
//! slope.
//!
//! Stencils of several sizes are combined as Lepski's method does (Theory Probab. Appl. 35 (1990)): a
//! coarse stencil, which suffers less from noise, is believed only while it is consistent with every
//! finer one, which suffers less from truncation. So neither aliasing nor a kink nearby nor a long step into
//! another regime can masquerade as a derivative. The error analysis stands in the documentation of the folder.

use num_traits::Float;

use super::stencil::{Line, SIGMAS, Side, SlopeEstimate, Stencil};

/// The largest error, as a fraction of the slope, at which an agreement is conclusive: 0.4% in f64, 2% in f32.
pub(super) fn conclusive(grain: f64) -> f64 {
    grain.powf(0.25).max(4e-3)
}

/// The largest error, as a fraction of the largest entry of the gradient, at which an agreement of a smaller entry is
/// conclusive: 1% in f64, 14% in f32.
///
/// A function of many kinks of the density `ρ`, such as a network of relus, has an error of about `√(14 σ ρ J)` at its
/// best step, where `J` is the jump of the slope at a kink; in f32 this error is a few percent.
pub(super) fn weak(grain: f64) -> f64 {
    grain.powf(0.125)
}

/// The longest step, in units of the larger of the scale and 1: noise may hide a slope that shows far out.
const LONGEST_STEP: f64 = 4096.0;
/// The factor by which two measurements of the same noise may differ.
const SAME_NOISE: f64 = 30.0;
/// Factor of a careful change of step.
const STRIDE: f64 = 8.0;
/// The jump of the slope that a difference table of noise `σ` may hide at the step `δ`, in units of `σ/δ`: a kink half-way
/// between two points shows as noise of 0.05 to 0.16 of its jump times `δ`.
const HIDDEN_JUMP: f64 = 16.0;
/// The error of [`Stencil::jump`] in units of `σ/δ`: its standard deviation is 3.8.
const JUMP_ERROR: f64 = 3.8 * SIGMAS;
/// The growth of the noise from a stencil to a coarser one that shows structure.
const NOISE_JUMP: f64 = 8.0;
/// The largest factor between a step and a longer one at which the function is taken to be smooth on both sides of a kink
/// within the shorter one.
const SAME_SIDES: f64 = 64.0;
/// The least factor between two steps that witness for each other.
const OTHER_SCALE: f64 = 1.5;
/// The largest difference between the slope of an iteration and that of its limit, as a fraction.
const LIKE: f64 = 0.1;
/// The number of roundings of the value that any function may make.
const FEW_ROUNDINGS: f64 = 64.0;
/// The largest noise, as a fraction of the values, of a function that can contradict a slope.
const READABLE: f64 = 0.05;
/// The largest spacing of the floats of a shorter type, f32, relative to the number.
const SHORT_TYPE: f64 = 1.2e-7;
/// The largest number of stencils on one line.
const MAX_STENCILS: usize = 24;

/// A question about the slope of a line.
#[derive(Clone, Copy)]
pub(super) struct Question {
    /// The slope to be judged; `None` if the slope is only to be measured.
    pub(super) analytic: Option<f64>,
    /// Rounding error of `analytic`.
    pub(super) rounding: f64,
    /// Accepted relative deviation.
    pub(super) relative: f64,
    /// Accepted absolute deviation.
    pub(super) absolute: f64,
    /// The size to which the error is compared; `None` for the slope itself.
    pub(super) reference: Option<f64>,
    /// The largest slope among those of the other coordinates, in the units of this one.
    pub(super) natural: f64,
    /// `‖g ∘ x‖` over the coordinates moved. Times the unit, the change of the value caused by rounding these
    /// coordinates.
    pub(super) moved: f64,
    /// True if the point is known to lie at a kink, so that no finer stencil is needed to be sure.
    pub(super) kink_is_known: bool,
}

/// The answer to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slope {
    pub(super) value: f64,
    /// Bound on the deviation of `value` from the derivative.
    pub(super) error: f64,
    pub(super) step: f64,
    pub(super) noise: f64,
    /// One-sided derivatives, left and right, where they differ.
    pub(super) kink: Option<[f64; 2]>,
    pub(super) side: Side,
    pub(super) finding: Finding,
}

/// The judgement of an analytic slope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Agrees,
    Disagrees,
    /// The error is dominated by noise.
    Noisy,
    /// The quotients do not converge.
    Unsettled,
    /// The function is not defined on either side, at any step.
    Undefined,
}

/// Widens a number to f64, exactly for f32 and f64.
pub(super) fn wide<F: Float>(v: F) -> f64 {
    v.to_f64().unwrap_or(f64::NAN)
}

/// Rounds an f64 to the function's own type.
pub(super) fn narrow<F: Float>(v: f64) -> F {
    F::from(v).unwrap_or_else(F::nan)
}

/// `Σ a_i b_i`.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The step at which the truncation of the extrapolates meets rounding, up to constants, for a function of scale 1.
pub(super) fn first_step(unit: f64) -> f64 {
    (unit.log2() / 6.0).round().exp2()
}

/// The slope that values of this noise cannot tell from zero: `√(noise · f″)`, where `f″` is the curvature.
///
/// Two points at the distance `√(noise / f″)` have the same value up to the noise, and their slopes differ by so
/// much.
pub(super) fn negligible(noise: f64, curvature: f64) -> f64 {
    (noise * curvature).sqrt()
}

/// The number of roundings of the value beyond which noise may be aliasing: 8192 in f64, 54 in f32.
///
/// Fewer roundings are common: numbers inside of the function may be larger than its value.
fn suspect_noise(grain: f64) -> f64 {
    grain.powf(-0.25)
}

/// Measures the slope of `line` and judges the slope that `question` asks about.
pub(super) fn search(line: &mut Line<'_>, question: Question) -> Slope {
    SlopeSearch::new(line, question).run()
}

/// The search for the slope of one line.
struct SlopeSearch<'l, 'a> {
    line: &'l mut Line<'a>,
    question: Question,
    side: Side,
    /// The stencils measured so far, finest first.
    stencils: Vec<Stencil>,
    /// The shortest step at which the function was not defined or the bounds were reached.
    ceiling: f64,
    /// The shortest step allowed.
    floor: f64,
    /// Repeated measurements of the noise.
    repeats: usize,
    /// Factor of a bold change of step.
    leap: f64,
}

/// The best estimate of a slope.
struct Best {
    /// The stencil.
    i: usize,
    estimate: SlopeEstimate,
    error: f64,
    /// The end of the consistent stencils.
    accepted_end: usize,
    /// True if the analytic slope lies outside of the error of a stencil of another scale, too.
    witnessed: bool,
}

/// The next step to sample, or the end of the search.
enum NextMove {
    Step(f64),
    Done(Slope),
}

impl<'l, 'a> SlopeSearch<'l, 'a> {
    fn new(line: &'l mut Line<'a>, question: Question) -> Self {
        let digits = -line.unit.log2();
        // Along an axis steps may fall to the spacing of floats; moving several coordinates rounds the point.
        let floor = match line.position {
            Some(x) if x > 0.0 => 2.0 * line.unit * x,
            _ => line.scale * (-(digits * 0.77).round()).exp2(),
        };
        Self {
            question,
            side: Side::Central,
            stencils: Vec::with_capacity(4),
            ceiling: f64::INFINITY,
            floor,
            repeats: 0,
            leap: (digits / 9.0).round().exp2(),
            line,
        }
    }

    fn first_step(&self) -> f64 {
        self.line.scale * first_step(self.line.unit)
    }

    fn run(mut self) -> Slope {
        let mut step = self.first_step();
        let [back, forth] = self.line.room;
        // Close to an edge of the bounds only one side is left.
        if back.min(forth) < 8.0 * self.line.scale * (step / self.line.scale).powi(2) {
            self.side = if forth >= back { Side::Forward } else { Side::Backward };
        }
        // A factor 2 for the jitter.
        step = step.min(self.line.reach(self.side) / 2.0);
        self.floor = self.floor.min(step);
        let mut open = [true; 2];
        for _ in 0..MAX_STENCILS {
            let jittered = self.line.jitter(step);
            if self.stencils.iter().any(|s| s.step == jittered) {
                break;
            }
            match self.line.sample(jittered, self.side) {
                Ok(values) => {
                    let stencil = Stencil::new(&values, jittered, self.side, self.line);
                    if stencil.estimates.iter().all(|e| e.value.is_finite() && e.truncation.is_finite()) {
                        let at = self.stencils.partition_point(|s| s.step < jittered);
                        self.stencils.insert(at, stencil);
                    } else {
                        self.ceiling = self.ceiling.min(jittered);
                    }
                }
                Err(sides) => {
                    self.ceiling = self.ceiling.min(jittered);
                    open = sides;
                }
            }
            let next = if self.stencils.is_empty() { self.retreat(step, open) } else { self.decide() };
            match next {
                Some(NextMove::Step(s)) => step = s,
                Some(NextMove::Done(slope)) => return slope,
                None => break,
            }
        }
        self.conclude()
    }

    /// Chooses a shorter step, or the side on which the function is defined, while no stencil could be sampled yet.
    fn retreat(&mut self, step: f64, open: [bool; 2]) -> Option<NextMove> {
        if step > self.floor * self.leap {
            return Some(NextMove::Step(step / self.leap));
        }
        if self.side == Side::Central && (open[0] || open[1]) {
            self.side = if open[1] { Side::Forward } else { Side::Backward };
            self.ceiling = f64::INFINITY;
            return Some(NextMove::Step(self.first_step()));
        }
        None
    }

    /// The noise to count for a stencil: the largest noise of this and all finer stencils, leaving out noises of another
    /// kind, more than [`SAME_NOISE`] times the stencil's own.
    fn noise(&self, stencil: &Stencil) -> f64 {
        let near = self.stencils.iter().filter(|s| s.step <= 2.0 * stencil.step).map(|s| s.noise);
        near.filter(|n| *n <= SAME_NOISE * stencil.noise).fold(stencil.noise, f64::max)
    }

    /// The most that a kink between the points of stencil `i` may add to the error of its slope.
    ///
    /// A slope between two one-sided ones is off by half of their difference at most. Coarser stencils limit the jump of
    /// the slope better than the stencil's own noise does, as long as their noise shows no further structure.
    fn hidden_kink(&self, i: usize) -> f64 {
        let stencil = &self.stencils[i];
        let noise = self.noise(stencil);
        let coarser = self.stencils[i + 1..].iter().take_while(|s| s.step <= SAME_SIDES * stencil.step).map(|s| {
            let noise = noise.max(s.rounding);
            let inside =
                if s.step >= 4.0 * stencil.step { s.jump + JUMP_ERROR * noise / s.step } else { f64::INFINITY };
            let anywhere =
                if s.noise <= NOISE_JUMP * noise { HIDDEN_JUMP * s.noise.max(noise) / s.step } else { inside };
            inside.min(anywhere)
        });
        0.5 * coarser.fold(HIDDEN_JUMP * noise / stencil.step, f64::min)
    }

    fn is_suspect(&self, stencil: &Stencil) -> bool {
        self.noise(stencil) > suspect_noise(self.line.grain) * stencil.rounding
    }

    /// The width of the treads if the function rounds its input to a shorter type, otherwise 0.
    ///
    /// Such a function is a staircase: flat at short steps, while longer steps show a slope. A staircase of longer
    /// treads is one on purpose, like a floor, and its derivative is that of the treads.
    fn tread(&self) -> f64 {
        let Some(flat) = self.stencils.iter().rposition(|s| s.flat) else { return 0.0 };
        let Some(slope) = self.stencils[flat..].iter().find(|s| s.shows_slope()) else { return 0.0 };
        let rise = slope.best(slope.noise).0.value.abs() * 8.0 * self.stencils[flat].step;
        let short = self.line.position.is_none_or(|x| self.stencils[flat].step <= 0.55 * SHORT_TYPE * x);
        if short && rise > 16.0 * self.stencils[flat].rounding { 2.0 * slope.step } else { 0.0 }
    }

    /// The best estimate among those consistent with all finer ones.
    fn best(&self) -> Option<Best> {
        let mut accepted: Vec<(f64, f64, f64)> = Vec::with_capacity(self.stencils.len());
        let mut best: Option<Best> = None;
        let mut excluding = Vec::new();
        let mut end = 0;
        let tread = self.tread();
        let mut loudest = (0.0, 0.0);
        for (i, stencil) in self.stencils.iter().enumerate().skip_while(|(_, s)| tread > 0.0 && 2.0 * s.step < tread) {
            let noise = self.noise(stencil);
            let (estimate, error) = stencil.best(noise);
            let steepest = estimate.value.abs().max(self.question.analytic.map_or(0.0, f64::abs));
            let coarse = estimate.value.abs() * tread / stencil.step + stencil.grid * steepest;
            let error = error + self.hidden_kink(i) + coarse;
            if stencil.sides.is_some() && !accepted.is_empty() {
                break;
            }
            // Noise of rounding grows with the values, and any noise stays where the steps get longer. Noise that seems
            // to fall is aliased, and noise that grows is structure: the function saturates or oscillates.
            let taller = (stencil.height / loudest.1).max(1.0);
            let louder = !accepted.is_empty() && tread == 0.0 && stencil.noise > NOISE_JUMP * loudest.0 * taller;
            if louder && best.as_ref().is_some_and(|b| error < b.error) {
                break;
            }
            let contradicts = |(v, e, n): &(f64, f64, f64)| {
                (estimate.value - v).abs() > error + e
                    || (tread == 0.0 && *n > SAME_NOISE * noise.max(stencil.rounding))
            };
            if accepted.iter().any(contradicts) {
                break;
            }
            accepted.push((estimate.value, error, stencil.noise));
            end = i + 1;
            let loud = stencil.noise.max(stencil.rounding);
            if loud > loudest.0 && !louder {
                loudest = (loud, stencil.height);
            }
            if self.excludes(estimate.value, error) {
                excluding.push((stencil.step, error));
            }
            if best.as_ref().is_none_or(|b| error < b.error) {
                best = Some(Best { i, estimate, error, accepted_end: 0, witnessed: false });
            }
        }
        best.map(|b| {
            let step = self.stencils[b.i].step;
            let resolved = accepted.iter().filter(|(v, e, _)| *e <= 0.1 * v.abs()).count();
            // A bounded function may hide its slope in the noise and show none at longer steps.
            let bounded = excluding.iter().all(|(s, _)| *s > self.line.scale.max(1.0));
            // A longer step witnesses only if its error is small beside the deviation.
            let gap = self.question.analytic.map_or(0.0, |a| (a - b.estimate.value).abs());
            let other = |(s, e): &(f64, f64)| s * OTHER_SCALE <= step || (*s >= OTHER_SCALE * step && *e <= 0.1 * gap);
            let witnessed = !bounded && self.is_readable(b.i, resolved) && excluding.iter().any(other);
            Best { accepted_end: end, witnessed, ..b }
        })
    }

    /// True if the values around stencil `i` show more than noise.
    ///
    /// Values that are little but noise at some scale may be a structure finer than any step, such as a sine of a huge
    /// number, unless two fine scales show the same slope.
    fn is_readable(&self, i: usize, resolved: usize) -> bool {
        let bounded = |s: &Stencil| s.height <= 8.0 * self.stencils[i].height;
        resolved > 1 || self.stencils.iter().all(|s| s.noise <= READABLE * s.height || !bounded(s))
    }

    /// True if the analytic slope lies outside of the error of a measured one.
    fn excludes(&self, value: f64, error: f64) -> bool {
        self.question.analytic.is_some_and(|a| (a - value).abs() > error + self.tolerance(value, 0.0))
    }

    fn slope(&self, i: usize, estimate: SlopeEstimate, error: f64, finding: Finding) -> Slope {
        Slope {
            value: estimate.value,
            error,
            step: self.stencils[i].step,
            noise: self.noise(&self.stencils[i]),
            kink: None,
            side: self.side,
            finding,
        }
    }

    /// The size to which an error is compared.
    fn reference(&self, value: f64) -> f64 {
        self.question.reference.unwrap_or_else(|| value.abs().max(self.question.analytic.map_or(0.0, f64::abs)))
    }

    /// The deviation of the analytic slope from `value` that is accepted.
    fn tolerance(&self, value: f64, error: f64) -> f64 {
        let size = value.abs().max(self.question.analytic.map_or(0.0, f64::abs));
        2.0 * error + self.question.rounding + self.question.absolute + self.question.relative * size
    }

    fn deviates(&self, value: f64, error: f64) -> bool {
        self.question.analytic.is_some_and(|a| (a - value).abs() > self.tolerance(value, error))
    }

    /// True if the error is small beside the slope, or beside what the slope may be off.
    fn is_conclusive(&self, i: usize, value: f64, error: f64) -> bool {
        let stencil = &self.stencils[i];
        let least = negligible(self.noise(stencil).min(FEW_ROUNDINGS * stencil.rounding), stencil.curvature);
        let alone = self.question.reference.is_none();
        error <= conclusive(self.line.grain) * self.reference(value)
            || error <= weak(self.line.grain) * self.question.natural
            || (alone && (error <= least || self.is_invisible(stencil, value, error)))
    }

    /// True if the function does not depend on the coordinate as far as its values show: the analytic slope changes nothing
    /// that could be seen, and the error is nothing beside the slope of a function that changes by its own size over its
    /// scale, either at this stencil or at one along which the function is constant.
    fn is_invisible(&self, stencil: &Stencil, value: f64, error: f64) -> bool {
        let analytic = self.question.analytic.unwrap_or(0.0);
        let grain = self.line.grain;
        let natural = |step: f64| {
            let height = self.stencils.iter().fold(0.0, |m: f64, s| m.max(s.height));
            height / self.line.scale.max(step / first_step(self.line.unit))
        };
        let constant = |s: &Stencil| {
            let error = HIDDEN_JUMP * s.rounding / s.step;
            s.flat && s.noise <= s.rounding && error <= grain.powf(0.4) * natural(s.step)
        };
        let unseen = analytic.abs() <= grain * natural(stencil.step) && (analytic - value).abs() <= 0.25 * error;
        unseen && (error <= grain * natural(stencil.step) || self.stencils.iter().any(constant))
    }

    /// Chooses the next step or ends the search; `None` if the stencils suffice for [`conclude`](Self::conclude).
    fn decide(&mut self) -> Option<NextMove> {
        let finest = &self.stencils[0];
        if let Some(sides) = finest.sides {
            // The kink may be at the point or only near. A finer stencil tells, as long as noise lets the jump be seen.
            let jump = (sides[1].0 - sides[0].0).abs();
            let finer = finest.step / self.leap;
            let rounding = 0.3 * self.line.grain * self.line.origin.abs();
            if self.question.kink_is_known && self.at_kink().finding == Finding::Agrees {
                return Some(NextMove::Done(self.at_kink()));
            }
            if finer >= self.floor && jump * finer > 64.0 * SIGMAS * rounding {
                return Some(NextMove::Step(finer));
            }
            return Some(NextMove::Done(self.at_kink()));
        }
        let finer = Some(finest.step / self.leap).filter(|s| *s >= self.floor);
        if self.tread() > 0.0
            && let Some(x) = self.line.position
            && !self.stencils.iter().any(|s| (0.7..2.6).contains(&(s.step / (SHORT_TYPE * x))))
        {
            // The treads of a shorter type do not show here, those of a coarser staircase do.
            return Some(NextMove::Step(1.5 * SHORT_TYPE * x));
        }
        let coarsest = &self.stencils[self.stencils.len() - 1];
        if coarsest.flat {
            // The function is constant, or a staircase whose treads are longer than the stencil.
            if let Some(longer) = self.longer(coarsest.step, self.leap) {
                return Some(NextMove::Step(longer));
            }
        }
        let Best { i, estimate, error, accepted_end, witnessed, .. } = self.best()?;
        let value = estimate.value;
        let stencil = &self.stencils[i];
        // Noise beyond rounding may be a structure that is finer than the stencil.
        let suspect = self.is_suspect(stencil);
        let aim = self.aim() * self.reference(value);
        // Structure finer than the finest stencil comes first.
        if self.is_suspect(&self.stencils[0]) && finer.is_some() {
            return finer.map(NextMove::Step);
        }
        if error > aim {
            let by_noise = estimate.truncation < 0.5 * error;
            let next = if by_noise {
                let last = i + 1 == accepted_end;
                match self.stencils.get(i + 1) {
                    _ if !last => None,
                    // A step between this one and one that is too long.
                    Some(longer) => Some((stencil.step * longer.step).sqrt()).filter(|s| *s > 2.5 * stencil.step),
                    None => self.longer(stencil.step, if error > 1e4 * aim { self.leap } else { STRIDE }),
                }
            } else {
                // Truncation dominates: a shorter step follows, or one between this step and the next finer.
                let shorter = match i {
                    0 => stencil.step / STRIDE,
                    _ => (stencil.step * self.stencils[i - 1].step).sqrt(),
                };
                Some(shorter).filter(|s| *s >= self.floor && (i == 0 || *s < 0.4 * stencil.step))
            };
            if let Some(step) = next {
                return Some(NextMove::Step(step));
            }
        }
        // Near the tolerance the noise is measured again close by: a maximum is surer than one sample.
        let gap = self.question.analytic.map_or(0.0, |a| (a - value).abs());
        if estimate.truncation < error && self.deviates(value, error) && gap < 16.0 * error && self.repeats < 3 {
            self.repeats += 1;
            let [shorter, longer] = [0.5 * stencil.step, self.longer(stencil.step, 2.0).unwrap_or(0.25 * stencil.step)];
            return Some(NextMove::Step(if self.repeats.is_multiple_of(2) { longer } else { shorter }));
        }
        // Either verdict needs a witness at a finer scale, and at all finer scales where structure may hide.
        if suspect && finer.is_some() {
            return finer.map(NextMove::Step);
        }
        if self.deviates(value, error) {
            if !witnessed {
                let step = stencil.step / (gap / (2.0 * error)).clamp(2.0, STRIDE);
                let sampled =
                    self.stencils.iter().any(|s| (0.7 * step..2.0 * step).contains(&s.step) && s.step < stencil.step);
                return Some(step).filter(|s| *s >= self.floor && !sampled).map(NextMove::Step);
            }
            return None;
        }
        if self.is_conclusive(i, value, error) {
            return self.structure(value).map(NextMove::Step);
        }
        finer.map(NextMove::Step)
    }

    /// A finer step at which two values contradict the analytic slope.
    ///
    /// Structure shorter than the finest stencil, or a kink closer to the point, may by accident look smooth there.
    fn structure(&mut self, value: f64) -> Option<f64> {
        let analytic = self.question.analytic?;
        let finest = &self.stencils[0];
        let noise = self.noise(finest);
        // The noise of the quotient is to be a fraction of the slope.
        let visible = 40.0 * noise / analytic.abs();
        let step = (finest.step / self.leap).max(visible).max(self.floor);
        if self.side != Side::Central || step > 0.5 * finest.step {
            return None;
        }
        let curvature = finest.curvature;
        let step = self.line.jitter(step);
        let [back, forth] = [-step, step].map(|t| (self.line.value)(t));
        let origin = self.line.origin;
        let quotient = (forth - back) / (2.0 * step);
        let error = SIGMAS * noise / step;
        let bend = (forth - 2.0 * origin + back).abs() / step;
        let agrees = (quotient - analytic).abs() <= error + 0.1 * analytic.abs().max(value.abs());
        let bent = bend > 3.0 * error + 4.0 * curvature * step + 0.1 * analytic.abs();
        if agrees && !bent { None } else { Some(step) }
    }

    /// A step longer than `step` that the bounds and the domain allow; `factor` is tried first.
    ///
    /// Steps near the scale of the coordinate grow with care. Below the scale 1 a function that does not see steps of the
    /// coordinate's own scale is tried there.
    fn longer(&self, step: f64, factor: f64) -> Option<f64> {
        let reach = self.line.reach(self.side);
        let natural = first_step(self.line.unit);
        // The jitter may lengthen a step to 1.69 times its length.
        let allowed = |s: &f64| 1.8 * s < self.ceiling.min(reach) && *s < LONGEST_STEP * self.line.scale.max(1.0);
        let factor = if step * factor > self.line.scale.max(1.0) { factor.min(4.0) } else { factor };
        let leap = if factor >= self.leap && step * self.leap < natural { natural / step } else { factor };
        [leap, factor, STRIDE, 2.0].into_iter().map(|f| f * step).find(allowed)
    }

    /// The relative error at which the search stops refining.
    fn aim(&self) -> f64 {
        match self.question.analytic {
            Some(_) if self.question.reference.is_some() => self.line.grain.powf(0.3),
            Some(_) => self.line.grain.sqrt(),
            None => self.line.grain.powf(0.6),
        }
    }

    /// True if a coarse, smooth stencil supports the analytic slope although finer stencils do not.
    ///
    /// A staircase has one derivative on its treads and another across these, and so has a function that rounds a part of
    /// itself to a shorter type, or an iteration, which is smooth between two points at which its number of steps changes.
    fn is_ambiguous(&self, best: f64, least: f64) -> bool {
        let Some(analytic) = self.question.analytic else { return false };
        self.stencils.iter().filter(|s| s.sides.is_none()).any(|stencil| {
            let (estimate, error) = stencil.best(self.noise(stencil));
            let error = error + 0.5 * HIDDEN_JUMP * self.noise(stencil) / stencil.step;
            let supported = (analytic - estimate.value).abs() <= 2.0 * error;
            let suspect = self.is_suspect(stencil);
            let contradicts = (estimate.value - best).abs() > 2.0 * (error + least);
            let short = self.noise(stencil) <= SHORT_TYPE * stencil.height;
            let like = short || best.abs() <= least || (analytic - best).abs() <= LIKE * analytic.abs();
            supported && suspect && contradicts && like && error <= LIKE * analytic.abs()
        })
    }

    /// The answer from all stencils measured.
    fn conclude(&mut self) -> Slope {
        let Some(Best { i, estimate, error, witnessed, .. }) = self.best() else {
            return Slope {
                value: f64::NAN,
                error: f64::INFINITY,
                step: f64::NAN,
                noise: f64::NAN,
                kink: None,
                side: self.side,
                finding: Finding::Undefined,
            };
        };
        if self.stencils[0].sides.is_some() {
            return self.at_kink();
        }
        let value = estimate.value;
        let conclusive = self.is_conclusive(i, value, error);
        let finding = if self.deviates(value, error) && witnessed {
            if self.is_ambiguous(value, error) { Finding::Unsettled } else { Finding::Disagrees }
        } else if conclusive && !self.deviates(value, error) {
            Finding::Agrees
        } else if estimate.truncation < 0.5 * error {
            Finding::Noisy
        } else {
            Finding::Unsettled
        };
        self.slope(i, estimate, error, finding)
    }

    /// The answer where left and right derivative differ at the finest step: any slope between the two is a
    /// subgradient.
    fn at_kink(&self) -> Slope {
        let finest = self.stencils[0].sides.expect("a kink");
        // The best of the consistent measurements of the same jump.
        let [left, right] = [0, 1].map(|side| {
            self.stencils
                .iter()
                .filter_map(|s| s.sides.map(|sides| sides[side]))
                .take_while(|(v, e)| (v - finest[side].0).abs() <= e + finest[side].1)
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .unwrap_or(finest[side])
        });
        let (low, high) = (left.0.min(right.0), left.0.max(right.0));
        let value = 0.5 * (left.0 + right.0);
        let error = left.1.max(right.1);
        let tolerance = self.tolerance(high.abs().max(low.abs()), error);
        let inside = self.question.analytic.is_none_or(|a| a >= low - tolerance && a <= high + tolerance);
        Slope {
            value,
            error,
            step: self.stencils[0].step,
            noise: self.stencils[0].noise,
            kink: Some([left.0, right.0]),
            side: Side::Central,
            finding: if inside { Finding::Agrees } else { Finding::Disagrees },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shares that the documentation names, of both precisions.
    #[test]
    fn shares() {
        let (single, double) = (f64::from(f32::EPSILON), f64::EPSILON);
        let within = |x: f64, named: f64| (x / named - 1.0).abs() < 0.15;
        assert!(within(conclusive(double), 0.004) && within(conclusive(single), 0.02));
        assert!(within(weak(double), 0.01) && within(weak(single), 0.14));
        assert!(within(suspect_noise(double), 8192.0) && within(suspect_noise(single), 54.0));
        assert_eq!((negligible(1e-8, 4.0), negligible(0.0, 4.0)), (2e-4, 0.0));
    }
}
