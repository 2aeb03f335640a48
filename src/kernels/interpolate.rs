//! Interpolation between neighbours along an axis, and its pullback.

use crate::number::precompiled::precompiled;

/// The place of a result between two neighbours: (1 - weight) · x`[low]` + weight · x`[high]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Between<F> {
    pub(crate) low: usize,
    pub(crate) high: usize,
    pub(crate) weight: F,
}

precompiled! {
    /// Sets `out`, of shape (.., places, inner), to interpolated elements of x, of shape (.., len, inner).
    pub(crate) fn interpolate<F>(places: &[Between<F>], len: usize, inner: usize, x: &[F], out: &mut [F]) {
        for (i, out) in out.chunks_exact_mut(inner.max(1)).enumerate() {
            let Between { low, high, weight } = places[i % places.len()];
            let block = i / places.len() * len;
            let [low, high] = [low, high].map(|at| &x[(block + at) * inner..][..inner]);
            if weight.is_exact_zero() {
                // Not the formula: 0 times an infinite neighbour is NaN.
                out.copy_from_slice(low);
            } else {
                for ((out, &low), &high) in out.iter_mut().zip(low).zip(high) {
                    *out = (F::one() - weight) * low + weight * high;
                }
            }
        }
    }

    /// The pullback of [`interpolate`]: adds the cotangents `dy` to `dx`.
    pub(crate) fn pull_interpolate<F>(places: &[Between<F>], len: usize, inner: usize, dy: &[F], dx: &mut [F]) {
        for (i, dy) in dy.chunks_exact(inner.max(1)).enumerate() {
            let Between { low, high, weight } = places[i % places.len()];
            let block = i / places.len() * len;
            let parts = [(low, F::one() - weight), (high, weight)];
            for (at, weight) in parts.into_iter().filter(|(_, weight)| !weight.is_exact_zero()) {
                for (dx, &dy) in dx[(block + at) * inner..][..inner].iter_mut().zip(dy) {
                    *dx += weight * dy;
                }
            }
        }
    }
}
