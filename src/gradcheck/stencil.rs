//! A function along a line, and nine equispaced values of that function: a *stencil*.
//!
//! One stencil yields three things at once: the noise of the function ([`noise::level`]), the derivative by
//! Richardson extrapolation over the steps `δ, 2δ, 4δ` (Ridders, "Accurate computation of F'(x) and
//! F'(x)F''(x)", Adv. Eng. Softw. 4 (1982)), and the two one-sided derivatives, whose difference shows a
//! kink. The error of each extrapolate is the change from the last order (truncation) plus the most that the
//! measured noise can do to that extrapolate.

use super::noise::{self, POINTS};

/// Number of standard deviations at which noise is counted.
pub(super) const SIGMAS: f64 = 6.0;

/// A function of one signed step `t`.
pub(super) struct Line<'a> {
    /// The function; `NaN` where it is not defined.
    pub(super) value: &'a mut dyn FnMut(f64) -> f64,
    /// The value at `t = 0`, finite.
    pub(super) origin: f64,
    /// The longest steps back and forth that the bounds allow.
    pub(super) room: [f64; 2],
    /// Natural size of a step, a power of two.
    pub(super) scale: f64,
    /// Machine epsilon of the number type in which steps are taken.
    pub(super) unit: f64,
    /// Relative spacing of the values: coarser than `unit` where the function rounds to a shorter type.
    pub(super) grain: f64,
    /// `|x|` if steps are taken along an axis. Steps are then multiples of the spacing of floats at `x`, so that
    /// `x + kδ` is exact.
    pub(super) position: Option<f64>,
    /// The change of the value caused by rounding the moved point, where that rounding cannot be avoided.
    pub(super) argument_noise: f64,
    /// Seed that varies the steps, so that no period of the function can hide in them.
    pub(super) seed: u64,
}

/// The side of the point on which a stencil lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Backward,
    Central,
    Forward,
}

impl Line<'_> {
    /// The longest step `δ` of a stencil on this side that the bounds allow.
    pub(super) fn reach(&self, side: Side) -> f64 {
        let [back, forth] = self.room;
        match side {
            Side::Central => back.min(forth) / 4.0,
            Side::Forward => forth / 8.0,
            Side::Backward => back / 8.0,
        }
    }

    /// Multiplies a step by a random factor in [1, 1.69): neither a period of the function nor a shorter type to
    /// which the function rounds its input can hide in a round step.
    pub(super) fn jitter(&self, step: f64) -> f64 {
        let mut h = self.seed ^ step.to_bits();
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        let power = step.log2().floor().exp2();
        let step = power * (1.0 + 0.69 * ((h ^ (h >> 33)) >> 11) as f64 / (1_u64 << 53) as f64);
        let Some(position) = self.position else { return step };
        let spacing = self.unit * ((position + 8.0 * step).log2().floor() + 1.0).exp2();
        (step / spacing).round().max(1.0) * spacing
    }

    /// Nine values, a step apart.
    ///
    /// # Errors
    /// If the function is undefined at one of the points: for each side, back and forth, `false` if an undefined
    /// point was found there.
    pub(super) fn sample(&mut self, step: f64, side: Side) -> Result<[f64; POINTS], [bool; 2]> {
        let offset = match side {
            Side::Backward => 8,
            Side::Central => 4,
            Side::Forward => 0,
        };
        let mut values = [0.0; POINTS];
        let mut open = [true; 2];
        // The far ends come first: the function is likeliest to be undefined there.
        for k in [0, 8, 1, 7, 2, 6, 3, 5, 4] {
            let t = (k as f64 - f64::from(offset)) * step;
            values[k] = if t == 0.0 {
                self.origin
            } else if t < -self.room[0] || t > self.room[1] {
                f64::NAN
            } else {
                (self.value)(t)
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
}

/// A slope and the parts of its error.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlopeEstimate {
    pub(super) value: f64,
    pub(super) truncation: f64,
    /// Factor of `noise / step` in the error.
    amplification: f64,
}

impl SlopeEstimate {
    fn error(&self, noise_per_step: f64) -> f64 {
        self.truncation + SIGMAS * self.amplification * noise_per_step
    }
}

/// The results of nine values at one step.
#[derive(Clone, Debug)]
pub(super) struct Stencil {
    pub(super) step: f64,
    pub(super) noise: f64,
    /// The part of the noise that rounding the values explains.
    pub(super) rounding: f64,
    /// The relative error of a slope that regular rounding causes: the rounding of a product such as `k x` may change by the
    /// same amount from each point to the next, which escapes the difference table.
    pub(super) grid: f64,
    /// True if half of the neighbouring values are equal.
    pub(super) flat: bool,
    pub(super) estimates: [SlopeEstimate; 4],
    /// Left and right derivative, and the error of each, where the function has a kink.
    pub(super) sides: Option<[(f64, f64); 2]>,
    /// `|f''|`, from the middle of the stencil.
    pub(super) curvature: f64,
    /// `max |f|`.
    pub(super) height: f64,
    /// The jump of the slope within a step of the point that stands out from the outer second differences;
    /// infinite on one side.
    pub(super) jump: f64,
}

impl Stencil {
    pub(super) fn new(values: &[f64; POINTS], step: f64, side: Side, line: &Line<'_>) -> Self {
        let grain = line.grain;
        let noise = noise::level(values, grain).max(line.argument_noise);
        let (estimates, sides) = match side {
            Side::Central => (central(values, step, noise), kink(values, step, grain)),
            Side::Forward => (one_sided(|k| values[k], step, noise), None),
            Side::Backward => (one_sided(|k| values[8 - k], -step, noise), None),
        };
        // Rounding inside of the function acts like moving the point by a fraction of the spacing of floats.
        let unit = line.position.unwrap_or(0.0) * line.unit.max(grain);
        let moved = 0.3 * unit * estimates.iter().map(|e| e.value.abs()).fold(f64::INFINITY, f64::min);
        let second: [f64; 7] = std::array::from_fn(|k| values[k + 2] - 2.0 * values[k + 1] + values[k]);
        // A kink elsewhere changes one outer difference, which the middle two of the four leave out.
        let mut outer = [second[0], second[1], second[5], second[6]];
        outer.sort_by(f64::total_cmp);
        let smooth = 0.5 * (outer[1] + outer[2]);
        let excess = second[2..5].iter().map(|d| (d - smooth).abs()).sum::<f64>();
        Self {
            step,
            noise,
            rounding: noise::rounding(values, grain) + moved,
            grid: 0.5 * unit / step,
            flat: noise::is_flat(values),
            estimates,
            sides,
            curvature: second[3].abs() / (step * step),
            height: values.iter().fold(0.0, |m: f64, v| m.max(v.abs())),
            jump: if side == Side::Central { excess / step } else { f64::INFINITY },
        }
    }

    /// True if a slope stands out from the noise.
    pub(super) fn shows_slope(&self) -> bool {
        let (estimate, error) = self.best(self.noise);
        !self.flat && error < 0.1 * estimate.value.abs()
    }

    /// The estimate with the smallest error for a given noise, and that error.
    pub(super) fn best(&self, noise: f64) -> (SlopeEstimate, f64) {
        let per_step = noise / self.step;
        self.estimates
            .iter()
            .map(|e| (*e, e.error(per_step)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .expect("four estimates")
    }
}

/// Central differences at `δ, 2δ, 4δ`, extrapolated in `h²` (orders 2, 4, 6).
///
/// The last estimate uses the inner four values only, for a kink beyond these.
fn central(v: &[f64; POINTS], step: f64, noise: f64) -> [SlopeEstimate; 4] {
    let quotient = |k: usize| (v[4 + k] - v[4 - k]) / (2.0 * k as f64 * step);
    let [q1, q2, q4] = [1, 2, 4].map(quotient);
    let [r1, r2] = [q1 + (q1 - q2) / 3.0, q2 + (q2 - q4) / 3.0];
    let s1 = r1 + (r1 - r2) / 15.0;
    let irregular = irregular([q1, q2, q4], 2.4, noise / step);
    // Amplifications: the 2-norm of the weights on the values, times the step.
    [(s1, r1, 1.06), (r2, s1, 0.48), (q4, s1, 0.18), (r1, q1, 0.95)].map(|(value, other, amplification)| {
        SlopeEstimate { value, truncation: (value - other).abs() + irregular, amplification }
    })
}

/// One-sided differences at `δ, 2δ, 4δ, 8δ`, extrapolated in `h` (orders 1 to 4).
fn one_sided(v: impl Fn(usize) -> f64, step: f64, noise: f64) -> [SlopeEstimate; 4] {
    let quotient = |k: usize| (v(k) - v(0)) / (k as f64 * step);
    let [q1, q2, q4, q8] = [1, 2, 4, 8].map(quotient);
    let [r1, r2, r4] = [2.0 * q1 - q2, 2.0 * q2 - q4, 2.0 * q4 - q8];
    let [s1, s2] = [r1 + (r1 - r2) / 3.0, r2 + (r2 - r4) / 3.0];
    let t1 = s1 + (s1 - s2) / 7.0;
    let irregular = irregular([q1, q2, q4], 1.7, noise / step.abs());
    [(t1, s1, 3.83), (s2, t1, 1.67), (r4, t1, 0.64), (s1, r1, 3.4)].map(|(value, other, amplification)| SlopeEstimate {
        value,
        truncation: (value - other).abs() + irregular,
        amplification,
    })
}

/// The error that extrapolation misses when the changes between the quotients at `δ, 2δ, 4δ` do not fall by
/// `least`.
///
/// The changes of a Taylor series fall by 4 for central and by 2 for one-sided quotients. With an error `c hᵖ` of
/// unknown `p`, Aitken's formula gives that error from the two changes.
fn irregular([q1, q2, q4]: [f64; 3], least: f64, noise_per_step: f64) -> f64 {
    let [near, far] = [(q1 - q2).abs(), (q2 - q4).abs()];
    let observed = far / near;
    if near > 2.0 * SIGMAS * noise_per_step && observed < least { near / (observed - 1.0).max(0.05) } else { 0.0 }
}

/// The left and the right derivative with their errors, if the derivatives differ beyond these errors.
///
/// The noise of each side is taken from the third and fourth differences of that side alone: in a table that
/// straddles a kink, the kink looks like noise.
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
    // The two sides of a smooth function differ by O(δ³), far less than its quotients change.
    (jump > 2.0 * (left.1 + right.1) && jump > 1e-3 * (right.0.abs() + left.0.abs())).then_some([left, right])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function at 0, with steps that are exact.
    fn line<'a>(f: &'a mut impl FnMut(f64) -> f64, room: [f64; 2]) -> Line<'a> {
        Line {
            origin: f(0.0),
            value: f,
            room,
            scale: 1.0,
            unit: f64::EPSILON,
            grain: f64::EPSILON,
            position: None,
            argument_noise: 0.0,
            seed: 0,
        }
    }

    /// The stencil of such a function.
    fn stencil(mut f: impl FnMut(f64) -> f64, step: f64, side: Side) -> Stencil {
        let mut line = line(&mut f, [f64::INFINITY; 2]);
        let values = line.sample(step, side).expect("defined everywhere");
        Stencil::new(&values, step, side, &line)
    }

    /// Polynomials of the degree that extrapolation is exact for, in numbers that are exact.
    #[test]
    fn polynomials() {
        for step in [0.125, 0.5, 4.0] {
            for (a, b, c) in [(0.5, 3.0, 0.75), (-2.0, -1.0, -6.0), (0.0, 0.25, 0.0)] {
                let parabola = |t: f64| a + b * t + c * t * t;
                for side in [Side::Backward, Side::Central, Side::Forward] {
                    let found = stencil(parabola, step, side);
                    assert_eq!(found.curvature, 2.0 * c.abs(), "{side:?}");
                    // The middle estimates extrapolate from fewer values; the first is exact for all of these.
                    assert_eq!(found.estimates.map(|e| e.value)[..2], [b; 2], "{side:?}");
                    assert!(found.estimates[0].truncation == 0.0 && found.sides.is_none(), "{side:?}");
                    let first = match side {
                        Side::Backward => -8.0,
                        Side::Central => -4.0,
                        Side::Forward => 0.0,
                    };
                    let heights = (0..9).map(|k| parabola((first + f64::from(k)) * step).abs());
                    assert_eq!(found.height, heights.fold(0.0, f64::max));
                    assert_eq!(found.jump, if side == Side::Central { 0.0 } else { f64::INFINITY });
                }
            }
        }
    }

    /// Kinks at the point, on a parabola, whose sides differ by a slope of 3; and one elsewhere, which is no jump here.
    #[test]
    fn kinks() {
        for (step, c) in [(0.25, 0.0), (0.5, 2.0), (2.0, -5.0)] {
            let found = stencil(|t| t + c * t * t + if t > 0.0 { 3.0 * t } else { 0.0 }, step, Side::Central);
            assert_eq!(found.jump, 3.0);
            let [left, right] = found.sides.expect("a kink");
            assert_eq!((left.0, right.0), (1.0, 4.0));
            for place in [-3.0, 3.0] {
                let found = stencil(|t| c * t * t + 3.0 * (t - place * step).max(0.0), step, Side::Central);
                assert_eq!(found.jump, 0.0, "a kink at {place} steps");
                assert_eq!(found.curvature, 2.0 * f64::abs(c));
            }
            let found = stencil(|t| c * t * t + 3.0 * (t - step).max(0.0), step, Side::Central);
            assert_eq!(found.jump, 3.0, "a kink at the next point");
        }
        // The sides of a kink differ by more than a thousandth of their slopes, whatever these are.
        for slope in [2_f64.powi(-7), 2_f64.powi(7)] {
            for (share, is_kink) in [(2_f64.powi(-11), false), (2_f64.powi(-8), true)] {
                let found = stencil(|t| slope * t + share * slope * t.max(0.0), 0.5, Side::Central);
                assert_eq!(found.sides.is_some(), is_kink, "{share} of {slope}");
            }
        }
    }

    /// The longest stencil reaches from one bound to the other, or to the bound on its side.
    #[test]
    fn reaches() {
        let mut zero = |_: f64| 0.0;
        for room in [[1.0, 16.0], [16.0, 1.0], [3.0, 3.0]] {
            let line = line(&mut zero, room);
            assert_eq!(4.0 * line.reach(Side::Central), room[0].min(room[1]));
            assert_eq!([line.reach(Side::Backward), line.reach(Side::Forward)].map(|step| 8.0 * step), room);
        }
    }
}
