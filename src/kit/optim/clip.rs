//! Bounding a gradient, in the pass that uses it.

use num_traits::ToPrimitive;

use crate::number::{Kernel, Scalar, Wrap, binade};
use crate::params::TrainedRange;

/// How an optimiser bounds the gradient before it uses it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Clip {
    /// g ← g · min(1, bound / ‖g‖), with the norm over all trained parameters.
    ///
    /// Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks,
    /// ICML 2013, algorithm 1. A gradient with a NaN stays NaN.
    Norm(f64),
    /// gᵢ ← min(max(gᵢ, -bound), bound). A NaN stays NaN.
    Value(f64),
}

impl Clip {
    /// The factor of the gradient, and the bound of its numbers after that.
    pub(super) fn scale_and_limit<F: Scalar>(clip: Option<Self>, grad: &[F], spans: &[TrainedRange]) -> (f64, f64) {
        match clip {
            None => (1.0, f64::INFINITY),
            Some(Self::Value(limit)) => (1.0, limit),
            Some(Self::Norm(bound)) => {
                let norm = norm_of(grad, spans.iter().map(|span| span.range.clone()));
                // Not `min`: a NaN must stay.
                (if norm > bound || norm.is_nan() { bound / norm } else { 1.0 }, f64::INFINITY)
            }
        }
    }
}

/// The Euclidean norm of a gradient, √(Σ gᵢ²), without overflow.
///
/// ```
/// assert_eq!(wengert::optim::norm(&[3.0, 4.0]), 5.0);
/// assert!((wengert::optim::norm(&[3e200, 4e200]) / 5e200 - 1.0).abs() < 1e-15);
/// ```
pub fn norm<F: Scalar>(grad: &[F]) -> f64 {
    norm_of(grad, std::iter::once(0..grad.len()))
}

fn norm_of<F: Scalar>(grad: &[F], ranges: impl Iterator<Item = std::ops::Range<usize>> + Clone) -> f64 {
    let squares = |scale: f64| ranges.clone().map(|range| squares(&grad[range], scale)).sum::<f64>();
    let plain = squares(1.0);
    if plain.is_normal() && plain < f64::MAX || plain.is_nan() {
        return plain.sqrt();
    }
    // Zero, out of range, or next to it: once more, in units of the largest number.
    let size = |x: &F| x.to_base().to_f64().map_or(f64::NAN, f64::abs);
    let largest = ranges.clone().flat_map(|range| &grad[range]).map(size).fold(0.0, f64::max);
    if largest == 0.0 || largest.is_infinite() {
        return largest;
    }
    let unit = binade(largest);
    unit * squares(unit.recip()).sqrt()
}

/// Σ (xᵢ · scale)² in `f64`.
fn squares<F: Scalar>(x: &[F], scale: f64) -> f64 {
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
