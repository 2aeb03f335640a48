//! The slope of a function along a line, with an error one can rely on.
//!
//! A *stencil* is nine equispaced values. It yields three things at once: the noise of the function
//! ([`noise::level`]), the derivative by Richardson extrapolation over the steps `δ, 2δ, 4δ` (Ridders,
//! "Accurate computation of F'(x) and F'(x)F''(x)", Adv. Eng. Softw. 4 (1982)), and the two one-sided
//! derivatives, whose difference shows a kink. The error of each extrapolate is the change from the
//! last order (truncation) plus what the measured noise can do to it.
//!
//! Stencils of several sizes are combined as Lepski's method does (Theory Probab. Appl. 35 (1990)): a
//! coarse stencil, which suffers less from noise, is believed only while it is consistent with every
//! finer one, which suffers less from truncation. So aliasing, a kink nearby or a long step into another
//! regime cannot masquerade as a derivative.

use super::noise::{self, POINTS};

/// Noise is counted at this many standard deviations.
const SIGMAS: f64 = 6.0;
/// An agreement is conclusive when the error is below this fraction of the slope.
pub(super) const NEEDED: f64 = 1e-2;
/// The longest step, in units of the scale or of 1: noise may hide a slope that shows far out.
const LONGEST: f64 = 4096.0;
/// Measurements of the same noise differ by less than this factor.
const ALIKE: f64 = 30.0;
/// Factor of a careful change of step.
const STRIDE: f64 = 8.0;
/// Noise beyond this many roundings of the value may be aliasing.
const SUSPECT: f64 = 64.0;
/// Stencils on one line, at most.
const MOVES: usize = 18;

/// A function of one signed step `t`; `NaN` where it is not defined.
pub(super) struct Line<'a> {
    pub(super) value: &'a mut dyn FnMut(f64) -> f64,
    /// The value at `t = 0`, finite.
    pub(super) origin: f64,
    /// How far bounds let one step back and forth.
    pub(super) room: [f64; 2],
    /// Natural size of a step, a power of two.
    pub(super) scale: f64,
    /// Machine epsilon of the number type in which steps are taken.
    pub(super) unit: f64,
    /// Relative spacing of the values: coarser than `unit` where the function rounds to a shorter type.
    pub(super) grain: f64,
    /// `|x|`, if steps are taken along an axis: they are kept multiples of the spacing of floats there, so
    /// that `x + kδ` is exact.
    pub(super) position: Option<f64>,
    /// What rounding the moved point does to the value, where it cannot be avoided.
    pub(super) argument_noise: f64,
    /// Varies the steps, so that no period of the function can hide in them.
    pub(super) seed: u64,
}

/// What is asked about the slope.
#[derive(Clone, Copy)]
pub(super) struct Question {
    /// The slope to be judged; `None`: only measure.
    pub(super) analytic: Option<f64>,
    /// Rounding error of `analytic`.
    pub(super) rounding: f64,
    /// Accepted relative deviation.
    pub(super) relative: f64,
    /// Accepted absolute deviation.
    pub(super) absolute: f64,
    /// The size to which the error is compared; `None`: the slope itself.
    pub(super) reference: Option<f64>,
    /// A slope that the function at large would show; see [`negligible`].
    pub(super) natural: f64,
    /// `‖g ∘ x‖` over the coordinates moved: times the unit, what rounding them does to the value.
    pub(super) moved: f64,
    /// A kink is known to be at the point: no need to come closer to be sure.
    pub(super) kink_is_known: bool,
}

/// The answer.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Agrees,
    Disagrees,
    /// The error is dominated by noise.
    Noisy,
    /// The quotients do not converge.
    Unsettled,
    /// Not defined on either side, at any step.
    Undefined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Backward,
    Central,
    Forward,
}

/// A number and the parts of its error.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    value: f64,
    truncation: f64,
    /// Multiplies `noise / step`.
    amplification: f64,
}

impl Estimate {
    fn error(&self, noise_per_step: f64) -> f64 {
        self.truncation + SIGMAS * self.amplification * noise_per_step
    }
}

#[derive(Clone, Debug)]
struct Stencil {
    step: f64,
    noise: f64,
    rounding: f64,
    flat: bool,
    estimates: [Estimate; 3],
    /// Left and right derivative, and the error of each.
    sides: Option<[(f64, f64); 2]>,
    /// `max |f|` and `|f''| · scale`: how steep the function is at large.
    natural: f64,
}

impl Stencil {
    fn new(values: &[f64; POINTS], step: f64, side: Side, line: &Line<'_>) -> Self {
        let grain = line.grain;
        let noise = noise::level(values, grain).max(line.argument_noise);
        let (estimates, sides, curvature) = match side {
            Side::Central => (central(values, step, noise), kink(values, step, grain), {
                (values[5] - 2.0 * values[4] + values[3]) / (step * step)
            }),
            Side::Forward => (one_sided(|k| values[k], step, noise), None, 0.0),
            Side::Backward => (one_sided(|k| values[8 - k], -step, noise), None, 0.0),
        };
        let height = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        Self {
            step,
            noise,
            rounding: noise::rounding(values, grain),
            flat: noise::is_flat(values),
            estimates,
            sides,
            natural: (height / line.scale).max(curvature.abs() * line.scale),
        }
    }

    /// Whether a slope stands out from the noise.
    fn shows_slope(&self) -> bool {
        let (estimate, error) = self.best(self.noise);
        !self.flat && error < 0.1 * estimate.value.abs()
    }

    /// The estimate with the smallest error, given the noise.
    fn best(&self, noise: f64) -> (Estimate, f64) {
        let per_step = noise / self.step;
        self.estimates
            .iter()
            .map(|e| (*e, e.error(per_step)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .expect("three estimates")
    }
}

/// Central differences at `δ, 2δ, 4δ`, extrapolated in `h²` (orders 2, 4, 6).
fn central(v: &[f64; POINTS], step: f64, noise: f64) -> [Estimate; 3] {
    let quotient = |k: usize| (v[4 + k] - v[4 - k]) / (2.0 * k as f64 * step);
    let [q1, q2, q4] = [1, 2, 4].map(quotient);
    let [r1, r2] = [q1 + (q1 - q2) / 3.0, q2 + (q2 - q4) / 3.0];
    let s1 = r1 + (r1 - r2) / 15.0;
    let irregular = irregular([q1, q2, q4], 2.4, noise / step);
    // Amplifications: the 2-norm of the weights on the values, times the step.
    [(s1, r1, 1.06), (r2, s1, 0.48), (q4, s1, 0.18)].map(|(value, other, amplification)| Estimate {
        value,
        truncation: (value - other).abs() + irregular,
        amplification,
    })
}

/// One-sided differences at `δ, 2δ, 4δ, 8δ`, extrapolated in `h` (orders 1 to 4).
fn one_sided(v: impl Fn(usize) -> f64, step: f64, noise: f64) -> [Estimate; 3] {
    let quotient = |k: usize| (v(k) - v(0)) / (k as f64 * step);
    let [q1, q2, q4, q8] = [1, 2, 4, 8].map(quotient);
    let [r1, r2, r4] = [2.0 * q1 - q2, 2.0 * q2 - q4, 2.0 * q4 - q8];
    let [s1, s2] = [r1 + (r1 - r2) / 3.0, r2 + (r2 - r4) / 3.0];
    let t1 = s1 + (s1 - s2) / 7.0;
    let irregular = irregular([q1, q2, q4], 1.7, noise / step.abs());
    [(t1, s1, 3.83), (s2, t1, 1.67), (r4, t1, 0.64)].map(|(value, other, amplification)| Estimate {
        value,
        truncation: (value - other).abs() + irregular,
        amplification,
    })
}

/// What extrapolation misses when the changes between quotients at `δ, 2δ, 4δ` do not fall by `least`, as
/// those of a Taylor series do (by 4 for central, by 2 for one-sided quotients): with an error `c hᵖ` of unknown `p`, Aitken's formula gives it from the two changes.
fn irregular([q1, q2, q4]: [f64; 3], least: f64, noise_per_step: f64) -> f64 {
    let [near, far] = [(q1 - q2).abs(), (q2 - q4).abs()];
    let observed = far / near;
    if near > 2.0 * SIGMAS * noise_per_step && observed < least { near / (observed - 1.0).max(0.05) } else { 0.0 }
}

/// The one-sided derivatives if they differ beyond their errors.
///
/// Each side's noise is taken from its own third and fourth differences: a kink in the middle
/// looks like noise to a table that straddles it.
fn kink(v: &[f64; POINTS], step: f64, grain: f64) -> Option<[(f64, f64); 2]> {
    let side = |v: [f64; 5], step: f64| {
        let quotient = |k: usize| (v[k] - v[0]) / (k as f64 * step);
        let [q1, q2, q4] = [1, 2, 4].map(quotient);
        let [r1, r2] = [2.0 * q1 - q2, 2.0 * q2 - q4];
        let s1 = r1 + (r1 - r2) / 3.0;
        let third = [v[3] - 3.0 * v[2] + 3.0 * v[1] - v[0], v[4] - 3.0 * v[3] + 3.0 * v[2] - v[1]];
        let fourth = third[1] - third[0];
        // γ_3 = 1/20, γ_4 = 1/70.
        let noise = (third[0].hypot(third[1]) / 40f64.sqrt()).max(fourth.abs() / 70f64.sqrt());
        let noise = noise.max(noise::rounding(&v, grain));
        (s1, (s1 - r1).abs() + 3.4 * SIGMAS * noise / step.abs())
    };
    let right = side(std::array::from_fn(|k| v[4 + k]), step);
    let left = side(std::array::from_fn(|k| v[4 - k]), -step);
    let jump = (right.0 - left.0).abs();
    // A smooth function's sides differ by O(δ³): far less than its quotients change.
    (jump > 2.0 * (left.1 + right.1) && jump > 1e-3 * (right.0.abs() + left.0.abs())).then_some([left, right])
}

/// Where the truncation of the extrapolates meets rounding for a function of scale 1, up to the constants.
pub(super) fn first_step(unit: f64) -> f64 {
    (unit.log2() / 6.0).round().exp2()
}

/// A slope below this cannot be told from zero by any forward difference: `√(noise · natural)`, where
/// `natural` is the slope of a function that changes by its own size over the natural scale. Slopes that
/// differ by less are the same for every use of the function's values.
pub(super) fn negligible(natural: f64, noise_per_scale: f64, grain: f64) -> f64 {
    let relative = (noise_per_scale / natural).max(grain);
    // Noise as large as the function may be structure that the step skips.
    if relative <= 1e-6 { natural * relative.sqrt() } else { 0.0 }
}

/// Slope of `line`, and whether it is the one asked about.
pub(super) fn search(line: &mut Line<'_>, question: Question) -> Slope {
    Search::new(line, question).run()
}

struct Search<'l, 'a> {
    line: &'l mut Line<'a>,
    question: Question,
    side: Side,
    /// Finest first.
    stencils: Vec<Stencil>,
    /// Steps at which the function was not defined or room ended: below this one.
    ceiling: f64,
    floor: f64,
    repeats: usize,
    /// Factor of a bold change of step.
    leap: f64,
}

enum Next {
    Step(f64),
    Done(Slope),
}

impl<'l, 'a> Search<'l, 'a> {
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
        // Close to an edge of the bounds one side is all there is.
        if back.min(forth) < 8.0 * self.line.scale * (step / self.line.scale).powi(2) {
            self.side = if forth >= back { Side::Forward } else { Side::Backward };
        }
        let reach = match self.side {
            Side::Central => back.min(forth) / 4.0,
            Side::Forward => forth / 8.0,
            Side::Backward => back / 8.0,
        };
        // A factor 2 for the jitter.
        step = step.min(reach / 2.0);
        self.floor = self.floor.min(step);
        let mut open = [true; 2];
        for _ in 0..MOVES {
            let jittered = self.jitter(step);
            match self.sample(jittered) {
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
                Some(Next::Step(s)) => step = s,
                Some(Next::Done(slope)) => return slope,
                None => break,
            }
        }
        self.conclude()
    }

    /// Multiplies by a random factor in [1, 1.69): no period of the function, and no shorter type that
    /// it rounds its input to, can hide in a round step.
    fn jitter(&self, step: f64) -> f64 {
        let mut h = self.line.seed ^ step.to_bits();
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        let power = step.log2().floor().exp2();
        let step = power * (1.0 + 0.69 * ((h ^ (h >> 33)) >> 11) as f64 / (1_u64 << 53) as f64);
        let Some(position) = self.line.position else { return step };
        let spacing = self.line.unit * ((position + 8.0 * step).log2().floor() + 1.0).exp2();
        (step / spacing).round().max(1.0) * spacing
    }

    /// Nine values, or which of the two sides are defined at this step.
    fn sample(&mut self, step: f64) -> Result<[f64; POINTS], [bool; 2]> {
        let offset = match self.side {
            Side::Backward => 8,
            Side::Central => 4,
            Side::Forward => 0,
        };
        let mut values = [0.0; POINTS];
        let mut open = [true; 2];
        // The far ends first: they are the likeliest to fail.
        for k in [0, 8, 1, 7, 2, 6, 3, 5, 4] {
            let t = (k as f64 - f64::from(offset)) * step;
            values[k] = if t == 0.0 {
                self.line.origin
            } else if t < -self.line.room[0] || t > self.line.room[1] {
                f64::NAN
            } else {
                (self.line.value)(t)
            };
            if !values[k].is_finite() {
                open[usize::from(t > 0.0)] = false;
            }
            if !(open[0] && open[1]) && (k == 8 || (1..8).contains(&k)) {
                return Err(open);
            }
        }
        Ok(values)
    }

    /// Nothing could be sampled yet: come closer, or go to the side that is defined.
    fn retreat(&mut self, step: f64, open: [bool; 2]) -> Option<Next> {
        if step > self.floor * self.leap {
            return Some(Next::Step(step / self.leap));
        }
        if self.side == Side::Central && (open[0] || open[1]) {
            self.side = if open[1] { Side::Forward } else { Side::Backward };
            self.ceiling = f64::INFINITY;
            return Some(Next::Step(self.first_step()));
        }
        None
    }

    /// The noise to count for a stencil: its own, pooled with that of stencils that saw about as much.
    fn noise(&self, stencil: &Stencil) -> f64 {
        let noises = self.stencils.iter().map(|s| s.noise);
        noises.filter(|n| *n <= ALIKE * stencil.noise).fold(stencil.noise, f64::max)
    }

    /// Width of the treads if the function is a staircase, as one that rounds its input is: flat where longer
    /// steps show a slope. Otherwise 0.
    fn tread(&self) -> f64 {
        let Some(flat) = self.stencils.iter().rposition(|s| s.flat) else { return 0.0 };
        let Some(slope) = self.stencils[flat..].iter().find(|s| s.shows_slope()) else { return 0.0 };
        let rise = slope.best(slope.noise).0.value.abs() * 8.0 * self.stencils[flat].step;
        if rise > 16.0 * self.stencils[flat].rounding { 2.0 * slope.step } else { 0.0 }
    }

    /// The best estimate among those consistent with all finer ones, and the number of these.
    fn best(&self) -> Option<(usize, Estimate, f64, usize)> {
        let mut accepted: Vec<(f64, f64, f64)> = Vec::with_capacity(self.stencils.len());
        let mut best: Option<(usize, Estimate, f64)> = None;
        let tread = self.tread();
        for (i, stencil) in self.stencils.iter().enumerate().skip_while(|(_, s)| tread > 0.0 && 2.0 * s.step < tread) {
            let (estimate, error) = stencil.best(self.noise(stencil));
            let error = error + estimate.value.abs() * tread / stencil.step;
            if stencil.sides.is_some() && !accepted.is_empty() {
                break;
            }
            // Noise does not fall with a longer step: what seems to is aliased.
            let contradicts = |(v, e, n): &(f64, f64, f64)| {
                (estimate.value - v).abs() > error + e || (tread == 0.0 && *n > ALIKE * self.noise(stencil))
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

    fn slope(&self, i: usize, estimate: Estimate, error: f64, finding: Finding) -> Slope {
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

    fn reference(&self, value: f64) -> f64 {
        self.question.reference.unwrap_or_else(|| value.abs().max(self.question.analytic.map_or(0.0, f64::abs)))
    }

    fn tolerance(&self, value: f64, error: f64) -> f64 {
        let size = value.abs().max(self.question.analytic.map_or(0.0, f64::abs));
        2.0 * error + self.question.rounding + self.question.absolute + self.question.relative * size
    }

    fn deviates(&self, value: f64, error: f64) -> bool {
        self.question.analytic.is_some_and(|a| (a - value).abs() > self.tolerance(value, error))
    }

    /// See [`negligible`].
    fn negligible(&self, stencil: &Stencil) -> f64 {
        let natural = self.question.natural.max(stencil.natural);
        negligible(natural, self.noise(stencil) / self.line.scale, self.line.grain)
    }

    fn is_conclusive(&self, i: usize, value: f64, error: f64) -> bool {
        error <= NEEDED * self.reference(value)
            || (self.question.reference.is_none() && error <= self.negligible(&self.stencils[i]))
    }

    fn decide(&mut self) -> Option<Next> {
        let finest = &self.stencils[0];
        if let Some(sides) = finest.sides {
            // Is the kink at the point, or only near? Come closer, as far as noise lets the jump be seen.
            let jump = (sides[1].0 - sides[0].0).abs();
            let finer = finest.step / self.leap;
            let rounding = 0.3 * self.line.grain * self.line.origin.abs();
            if self.question.kink_is_known && self.at_kink().finding == Finding::Agrees {
                return Some(Next::Done(self.at_kink()));
            }
            if finer >= self.floor && jump * finer > 64.0 * SIGMAS * rounding {
                return Some(Next::Step(finer));
            }
            return Some(Next::Done(self.at_kink()));
        }
        let finer = Some(finest.step / self.leap).filter(|s| *s >= self.floor);
        let coarsest = &self.stencils[self.stencils.len() - 1];
        if coarsest.flat {
            // Constant, or a staircase whose steps are longer.
            if let Some(longer) = self.longer(coarsest.step, self.leap) {
                return Some(Next::Step(longer));
            }
        }
        let (i, estimate, error, accepted) = self.best()?;
        let value = estimate.value;
        let stencil = &self.stencils[i];
        // More noise than rounding makes may be a structure that is finer than the stencil.
        let suspect = self.noise(stencil) > SUSPECT * stencil.rounding;
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
                // Truncation: a shorter step, or between this and the next.
                let shorter = match i {
                    0 => stencil.step / STRIDE,
                    _ => (stencil.step * self.stencils[i - 1].step).sqrt(),
                };
                Some(shorter).filter(|s| *s >= self.floor && (i == 0 || *s < 0.4 * stencil.step))
            };
            if let Some(step) = next {
                return Some(Next::Step(step));
            }
        }
        // Where it would be close, the noise is measured again nearby: a maximum is surer than one sample.
        let gap = self.question.analytic.map_or(0.0, |a| (a - value).abs());
        if estimate.truncation < error && self.deviates(value, error) && gap < 16.0 * error && self.repeats < 3 {
            self.repeats += 1;
            let [shorter, longer] = [0.5 * stencil.step, self.longer(stencil.step, 2.0).unwrap_or(0.25 * stencil.step)];
            return Some(Next::Step(if self.repeats.is_multiple_of(2) { longer } else { shorter }));
        }
        // A contradiction needs a witness at a finer scale, and all of them where structure may hide.
        let settled = if self.deviates(value, error) { i > 0 && !suspect } else { self.is_conclusive(i, value, error) };
        finer.filter(|_| !settled).map(Next::Step)
    }

    /// A step longer than `step` that bounds and domain allow.
    fn longer(&self, step: f64, factor: f64) -> Option<f64> {
        let [back, forth] = self.line.room;
        let reach = match self.side {
            Side::Central => back.min(forth) / 4.0,
            Side::Forward => forth / 8.0,
            Side::Backward => back / 8.0,
        };
        // Up to 1.69 times as long after the jitter.
        let allowed = |s: &f64| 1.8 * s < self.ceiling.min(reach) && *s < LONGEST * self.line.scale.max(1.0);
        [factor, STRIDE, 2.0].into_iter().map(|f| f * step).find(allowed)
    }

    /// The relative error that is good enough.
    fn aim(&self) -> f64 {
        match self.question.analytic {
            Some(_) if self.question.reference.is_some() => self.line.grain.powf(0.3),
            Some(_) => self.line.grain.sqrt(),
            None => self.line.grain.powf(0.6),
        }
    }

    /// Whether a coarse, smooth stencil supports the analytic slope though finer ones do not: a function that
    /// is a staircase in part has one derivative between its steps and another across them.
    fn is_ambiguous(&self, best: f64, least: f64) -> bool {
        let Some(analytic) = self.question.analytic else { return false };
        self.stencils.iter().filter(|s| s.sides.is_none()).any(|stencil| {
            let (estimate, error) = stencil.best(self.noise(stencil));
            let supported = (analytic - estimate.value).abs() <= 4.0 * error;
            let suspect = self.noise(stencil) > SUSPECT * stencil.rounding;
            let contradicts = (estimate.value - best).abs() > 2.0 * (error + least);
            supported && suspect && contradicts && error <= NEEDED * analytic.abs()
        })
    }

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

    /// Left and right derivative differ at the finest step: any slope between them is a subgradient.
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
