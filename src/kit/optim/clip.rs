//! [`Clip`], the bound of a gradient, and the norm that it needs.

use num_traits::ToPrimitive;

use super::step::Bound;
use crate::number::precompiled::precompiled;
use crate::number::{Kernel, Scalar, Wrap, binade};
use crate::params::TrainedRange;

/// The bound that an optimiser puts on the gradient, within the pass that uses the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Clip {
    /// g ← g · min(1, bound / ‖g‖), with the norm over all trained parameters.
    ///
    /// Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks,
    /// ICML 2013, algorithm 1. A gradient with a NaN, or with an infinite number, which has no direction, becomes NaN
    /// throughout.
    Norm(f64),
    /// gᵢ ← min(max(gᵢ, -bound), bound). A NaN stays NaN.
    Value(f64),
}

impl Clip {
    /// The factor of this gradient, the bound of its numbers after that, and its norm if it was needed.
    pub(super) fn bound<F: Scalar>(self, grad: &[F], spans: &[TrainedRange]) -> Bound {
        match self {
            Self::Value(limit) => Bound { scale: 1.0, limit, norm: None },
            Self::Norm(bound) => {
                let (unit, length) = norm_of(grad, spans.iter().map(|span| span.range.clone()));
                let norm = unit * length;
                // Not `min`: a NaN must stay. The norm of finite numbers may overflow, but not its factors.
                let scale = match length {
                    _ if norm <= bound => 1.0,
                    f64::INFINITY => f64::NAN,
                    length => bound / length / unit,
                };
                Bound { scale, limit: f64::INFINITY, norm: Some(norm) }
            }
        }
    }
}

/// Scales a gradient with a greater norm than `bound` down to this norm, as [`Clip::Norm`] does within a step, and returns
/// the norm before: for a gradient that is not yet the one of a step, such as that of
/// [each sample](crate::Tape::per_sample_grad).
///
/// ```
/// use wengert::optim::clip_norm;
///
/// let mut gradient = [3.0, 4.0];
/// assert_eq!(clip_norm(&mut gradient, 10.0), 5.0);
/// assert_eq!(gradient, [3.0, 4.0]);
/// assert_eq!(clip_norm(&mut gradient, 2.5), 5.0);
/// assert_eq!(gradient, [1.5, 2.0]);
/// ```
///
/// # Panics
///
/// Unless `bound` is greater than 0.
#[track_caller]
pub fn clip_norm<F: Scalar>(grad: &mut [F], bound: f64) -> f64 {
    assert!(bound > 0.0, "clip_norm: the bound must be greater than 0, it is {bound}");
    let whole = TrainedRange { range: 0..grad.len(), rate: 1.0, decay: 1.0 };
    let bound = Clip::Norm(bound).bound(grad, &[whole]);
    if bound.scale != 1.0 {
        let [scale, rest] = bound.factors().map(F::lit);
        for g in grad {
            *g = scale * *g * rest;
        }
    }
    bound.norm.expect("`Clip::Norm` computes it")
}

/// The Euclidean norm of a gradient, √(Σ gᵢ²), without overflow.
///
/// ```
/// assert_eq!(wengert::optim::global_norm(&[3.0, 4.0]), 5.0);
/// assert!((wengert::optim::global_norm(&[3e200, 4e200]) / 5e200 - 1.0).abs() < 1e-15);
/// ```
pub fn global_norm<F: Scalar>(grad: &[F]) -> f64 {
    let (unit, length) = norm_of(grad, std::iter::once(0..grad.len()));
    unit * length
}

/// Two factors of the norm of some ranges of a gradient: a unit, and the norm in that unit.
fn norm_of<F: Scalar>(grad: &[F], ranges: impl Iterator<Item = std::ops::Range<usize>> + Clone) -> (f64, f64) {
    let squares = |scale: f64| ranges.clone().map(|range| squares(&grad[range], scale)).sum::<f64>();
    let plain = squares(1.0);
    if plain.is_normal() && plain < f64::MAX || plain.is_nan() {
        return (1.0, plain.sqrt());
    }
    // The sum is zero, or over- or underflowed: once more, in units of the largest number.
    let size = |x: &F| x.to_base().to_f64().map_or(f64::NAN, f64::abs);
    let unit = binade(ranges.clone().flat_map(|range| &grad[range]).map(size).fold(0.0, f64::max));
    (unit, squares(unit.recip()).sqrt())
}

precompiled! {
    /// Σ (xᵢ · scale)² in `f64`.
    fn squares<F>(x: &[F], scale: f64) -> f64 {
        struct Squares<'a, F> {
            x: &'a [F],
            scale: f64,
            sum: &'a mut f64,
        }
        impl<F: Scalar> Kernel<F> for Squares<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                // Sixteen sums, so that it vectorises.
                let mut lanes = [0.0; 16];
                let square = |x: F| {
                    let x = x.to_base().to_f64().unwrap_or(f64::NAN) * self.scale;
                    x * x
                };
                let (chunks, rest) = self.x.as_chunks::<16>();
                for chunk in chunks {
                    for (lane, &x) in lanes.iter_mut().zip(chunk) {
                        *lane += square(x);
                    }
                }
                *self.sum = lanes.iter().sum::<f64>() + rest.iter().map(|&x| square(x)).sum::<f64>();
            }
        }
        let mut sum = 0.0;
        F::dispatch(Squares { x, scale, sum: &mut sum });
        sum
    }
}
