//! The slope of a function along a line, with an error that can be relied on, and the judgement of an analytic
//! slope.
//!
//! Stencils of several sizes are combined as Lepski's method does (Theory Probab. Appl. 35 (1990)): a
//! coarse stencil, which suffers less from noise, is believed only while it is consistent with every
//! finer one, which suffers less from truncation. So neither aliasing nor a kink nearby nor a long step into
//! another regime can masquerade as a derivative.

use num_traits::Float;

use super::stencil::{Line, SIGMAS, Side, SlopeEstimate, Stencil};

/// The largest error, as a fraction of the slope, at which an agreement is conclusive.
pub(super) const CONCLUSIVE: f64 = 1e-2;
/// The longest step, in units of the larger of the scale and 1: noise may hide a slope that shows far out.
const LONGEST_STEP: f64 = 4096.0;
/// The factor by which two measurements of the same noise may differ.
const SAME_NOISE: f64 = 30.0;
/// Factor of a careful change of step.
const STRIDE: f64 = 8.0;
/// The number of roundings of the value beyond which noise may be aliasing.
const SUSPECT_NOISE: f64 = 64.0;
/// The largest number of stencils on one line.
const MAX_STENCILS: usize = 18;

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
    /// A slope that the function at large would show; see [`negligible`].
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

/// The slope below which no forward difference can tell a slope from zero: `√(noise · natural)`.
///
/// `natural` is the slope of a function that changes by its own size over the natural scale. Two slopes that
/// differ by less are the same for every use of the function's values.
pub(super) fn negligible(natural: f64, noise_per_scale: f64, grain: f64) -> f64 {
    let relative = (noise_per_scale / natural).max(grain);
    // Noise as large as the function may be structure that the step skips.
    if relative <= 1e-6 { natural * relative.sqrt() } else { 0.0 }
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

/// The next step to sample, or the end of the search.
enum NextMove {
    Step(f64),
    Done(Slope),
}

impl<'l, 'a> SlopeSearch<'l, 'a> {
    fn new(line: &'l mut Line<'a>, question: Question) -> Self {
        let digits = -line.unit.log2();
        let floor = line.scale * (-(digits * 0.77).round()).exp2();
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

    /// The noise to count for a stencil: the largest noise of all stencils, leaving out noises of another kind, more
    /// than [`SAME_NOISE`] times the stencil's own.
    fn noise(&self, stencil: &Stencil) -> f64 {
        let noises = self.stencils.iter().map(|s| s.noise);
        noises.filter(|n| *n <= SAME_NOISE * stencil.noise).fold(stencil.noise, f64::max)
    }

    /// The width of the treads if the function is a staircase, otherwise 0.
    ///
    /// A function that rounds its input is a staircase: flat at short steps, while longer steps show a slope.
    fn tread(&self) -> f64 {
        let Some(flat) = self.stencils.iter().rposition(|s| s.flat) else { return 0.0 };
        let Some(slope) = self.stencils[flat..].iter().find(|s| s.shows_slope()) else { return 0.0 };
        let rise = slope.best(slope.noise).0.value.abs() * 8.0 * self.stencils[flat].step;
        if rise > 16.0 * self.stencils[flat].rounding { 2.0 * slope.step } else { 0.0 }
    }

    /// The best estimate among those consistent with all finer ones: the index of its stencil, the estimate, its
    /// error, and the number of consistent estimates.
    fn best(&self) -> Option<(usize, SlopeEstimate, f64, usize)> {
        let mut accepted: Vec<(f64, f64, f64)> = Vec::with_capacity(self.stencils.len());
        let mut best: Option<(usize, SlopeEstimate, f64)> = None;
        let tread = self.tread();
        for (i, stencil) in self.stencils.iter().enumerate().skip_while(|(_, s)| tread > 0.0 && 2.0 * s.step < tread) {
            let (estimate, error) = stencil.best(self.noise(stencil));
            let error = error + estimate.value.abs() * tread / stencil.step;
            if stencil.sides.is_some() && !accepted.is_empty() {
                break;
            }
            // Noise does not fall with a longer step: noise that seems to fall is aliased.
            let contradicts = |(v, e, n): &(f64, f64, f64)| {
                (estimate.value - v).abs() > error + e || (tread == 0.0 && *n > SAME_NOISE * self.noise(stencil))
            };
            if accepted.iter().any(contradicts) {
                break;
            }
            accepted.push((estimate.value, error, stencil.noise));
            if best.is_none_or(|(_, _, least)| error < least) {
                best = Some((i, estimate, error));
            }
        }
        best.map(|(i, estimate, error)| (i, estimate, error, accepted.len()))
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

    /// The slope that this stencil cannot tell from zero; see [`negligible`].
    fn negligible(&self, stencil: &Stencil) -> f64 {
        let natural = self.question.natural.max(stencil.natural);
        negligible(natural, self.noise(stencil) / self.line.scale, self.line.grain)
    }

    fn is_conclusive(&self, i: usize, value: f64, error: f64) -> bool {
        error <= CONCLUSIVE * self.reference(value)
            || (self.question.reference.is_none() && error <= self.negligible(&self.stencils[i]))
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
        let coarsest = &self.stencils[self.stencils.len() - 1];
        if coarsest.flat {
            // The function is constant, or a staircase whose treads are longer than the stencil.
            if let Some(longer) = self.longer(coarsest.step, self.leap) {
                return Some(NextMove::Step(longer));
            }
        }
        let (i, estimate, error, accepted) = self.best()?;
        let value = estimate.value;
        let stencil = &self.stencils[i];
        // Noise beyond rounding may be a structure that is finer than the stencil.
        let suspect = self.noise(stencil) > SUSPECT_NOISE * stencil.rounding;
        let aim = self.aim() * self.reference(value);
        if error > aim {
            let by_noise = estimate.truncation < 0.5 * error;
            let next = if by_noise && suspect && i == 0 && finer.is_some() {
                finer
            } else if by_noise {
                let is_longest = i + 1 == self.stencils.len() && accepted == self.stencils.len();
                is_longest
                    .then(|| self.longer(stencil.step, if error > 1e4 * aim { self.leap } else { STRIDE }))
                    .flatten()
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
        // A contradiction needs a witness at one finer scale, and at all finer scales where structure may hide.
        let settled = if self.deviates(value, error) { i > 0 && !suspect } else { self.is_conclusive(i, value, error) };
        finer.filter(|_| !settled).map(NextMove::Step)
    }

    /// A step longer than `step` that the bounds and the domain allow; `factor` is tried first.
    fn longer(&self, step: f64, factor: f64) -> Option<f64> {
        let reach = self.line.reach(self.side);
        // The jitter may lengthen a step to 1.69 times its length.
        let allowed = |s: &f64| 1.8 * s < self.ceiling.min(reach) && *s < LONGEST_STEP * self.line.scale.max(1.0);
        [factor, STRIDE, 2.0].into_iter().map(|f| f * step).find(allowed)
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
    /// A function that is a staircase in part has one derivative between its steps and another across the steps.
    fn is_ambiguous(&self, best: f64, least: f64) -> bool {
        let Some(analytic) = self.question.analytic else { return false };
        self.stencils.iter().filter(|s| s.sides.is_none()).any(|stencil| {
            let (estimate, error) = stencil.best(self.noise(stencil));
            let supported = (analytic - estimate.value).abs() <= 4.0 * error;
            let suspect = self.noise(stencil) > SUSPECT_NOISE * stencil.rounding;
            let contradicts = (estimate.value - best).abs() > 2.0 * (error + least);
            supported && suspect && contradicts && error <= CONCLUSIVE * analytic.abs()
        })
    }

    /// The answer from all stencils measured.
    fn conclude(&mut self) -> Slope {
        let Some((i, estimate, error, _)) = self.best() else {
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
        let gap = self.question.analytic.map_or(0.0, |a| (a - value).abs());
        let finding = if self.deviates(value, error) && (conclusive || gap > 4.0 * error) {
            if self.is_ambiguous(value, error) { Finding::Unsettled } else { Finding::Disagrees }
        } else if conclusive {
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
