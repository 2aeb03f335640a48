//! Windows that slide over an image: copies of the pixels under them (im2col), maxima and sums, and the pullbacks.
//!
//! A *tap* is one place in the window. All loops go tap by tap along runs of windows side by side, so that the
//! innermost loop passes over neighbours in the output and needs no test for padding.

use std::ops::Range;

use crate::number::precompiled::precompiled;
use crate::number::{Kernel, Scalar, Wrap};

/// The positions of windows on an image. Each pair of lengths is for axis 0 (down) and axis 1 (across).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// The image's pixels along each axis.
    pub(crate) image: [usize; 2],
    /// The window's taps along each axis.
    pub(crate) size: [usize; 2],
    /// The distance in pixels between neighbouring windows.
    pub(crate) stride: [usize; 2],
    /// The width of the padding at each side of the image.
    pub(crate) padding: [usize; 2],
    /// The distance in pixels between neighbouring taps.
    pub(crate) dilation: [usize; 2],
    /// The number of windows along each axis.
    pub(crate) out: [usize; 2],
}

impl Windows {
    /// The number of taps of a window.
    pub(crate) fn taps(self) -> usize {
        self.size[0] * self.size[1]
    }

    /// The number of pixels of an image.
    pub(crate) fn pixels(self) -> usize {
        self.image[0] * self.image[1]
    }

    /// The number of windows.
    pub(crate) fn count(self) -> usize {
        self.out[0] * self.out[1]
    }

    /// The number of taps of a window that fall on the image.
    pub(crate) fn pixels_in(self, window: usize) -> usize {
        let place = [window / self.out[1], window % self.out[1]];
        let along =
            |axis: usize| (0..self.size[axis]).filter(|&tap| self.inside(axis, tap).contains(&place[axis])).count();
        along(0) * along(1)
    }

    /// True if the windows are the pixels themselves.
    pub(crate) fn is_identity(self) -> bool {
        self.size == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// The range of windows along an axis for which tap `tap` falls on the image.
    #[inline(always)]
    fn inside(&self, axis: usize, tap: usize) -> Range<usize> {
        let (stride, shift) = (self.stride[axis], tap * self.dilation[axis]);
        let first = self.padding[axis].saturating_sub(shift).div_ceil(stride);
        let end = (self.image[axis] + self.padding[axis]).saturating_sub(shift).div_ceil(stride).min(self.out[axis]);
        first.min(end)..end
    }

    /// The pixel along an axis under tap `tap` of window `window`, which must be [inside](Self::inside).
    #[inline(always)]
    fn pixel(&self, axis: usize, window: usize, tap: usize) -> usize {
        window * self.stride[axis] + tap * self.dilation[axis] - self.padding[axis]
    }

    /// Calls `f(window, pixel, n, step)` for every tap and every run of `n` windows side by side for which the tap
    /// falls on the image, for `images` images one after the other.
    ///
    /// `window` is the first window of the run, `pixel` the pixel under the tap of this window, and `step` the distance
    /// from there to the pixel of the next window.
    #[inline(always)]
    fn each_run(&self, images: usize, mut f: impl FnMut(usize, usize, usize, usize)) {
        for i in 0..self.size[0] {
            let rows = self.inside(0, i);
            for j in 0..self.size[1] {
                let columns = self.inside(1, j);
                if rows.is_empty() || columns.is_empty() {
                    continue;
                }
                let window = rows.start * self.out[1] + columns.start;
                let pixel = self.pixel(0, rows.start, i) * self.image[1] + self.pixel(1, columns.start, j);
                for image in 0..images {
                    let (window, pixel) = (image * self.count() + window, image * self.pixels() + pixel);
                    for row in 0..rows.len() {
                        let window = window + row * self.out[1];
                        let pixel = pixel + row * self.stride[0] * self.image[1];
                        // With a constant step the inlined loop vectorises.
                        match self.stride[1] {
                            1 => f(window, pixel, columns.len(), 1),
                            2 => f(window, pixel, columns.len(), 2),
                            step => f(window, pixel, columns.len(), step),
                        }
                    }
                }
            }
        }
    }
}

/// A matrix of the pixels under windows (im2col): row (channel, tap), column (sample, window). A tap on the padding has
/// a 0.
pub(crate) struct Columns<'a, F> {
    pub(crate) windows: Windows,
    /// The rows of windows that the matrix has.
    pub(crate) rows: Range<usize>,
    /// The number of samples.
    pub(crate) samples: usize,
    /// The distance from a sample to the next in the images.
    pub(crate) sample: usize,
    /// The number of channels.
    pub(crate) channels: usize,
    /// The elements, in row-major order.
    pub(crate) matrix: &'a mut [F],
}

impl<F: Scalar> Columns<'_, F> {
    /// Calls `f(run, place)` for runs of the matrix's elements. `place` is the place of the run's first pixel in the
    /// images, from which the others follow by the stride. It is `None` if the tap falls on the padding.
    #[inline(always)]
    fn runs(&mut self, mut f: impl FnMut(&mut [F], Option<usize>)) {
        let Self { windows, rows, samples, sample, channels, matrix } = self;
        let width = windows.out[1];
        let mut done = 0;
        for channel in 0..*channels {
            for i in 0..windows.size[0] {
                let inside = windows.inside(0, i);
                for j in 0..windows.size[1] {
                    let columns = windows.inside(1, j);
                    let shift = if columns.is_empty() { 0 } else { windows.pixel(1, columns.start, j) };
                    for b in 0..*samples {
                        let image = b * *sample + channel * windows.pixels() + shift;
                        for row in rows.clone() {
                            let run = &mut matrix[done..done + width];
                            done += width;
                            if inside.contains(&row) && !columns.is_empty() {
                                if columns.len() < width {
                                    f(&mut run[..columns.start], None);
                                    f(&mut run[columns.end..], None);
                                }
                                let place = image + windows.pixel(0, row, i) * windows.image[1];
                                f(&mut run[columns.clone()], Some(place));
                            } else {
                                f(run, None);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Copies from the image into the matrix.
    pub(crate) fn gather(mut self, image: &[F]) {
        let stride = self.windows.stride[1];
        if stride == 1 {
            self.runs(
                #[inline(always)]
                |run, place| match place {
                    Some(place) => copy(run, &image[place..][..run.len()]),
                    None => clear(run),
                },
            );
        } else {
            self.runs(
                #[inline(always)]
                |run, place| match place {
                    Some(place) => {
                        for (to, &from) in run.iter_mut().zip(image[place..].iter().step_by(stride)) {
                            *to = from;
                        }
                    }
                    None => clear(run),
                },
            );
        }
    }

    /// Adds the matrix to the image, the adjoint of [`gather`](Self::gather).
    pub(crate) fn scatter_add(mut self, image: &mut [F]) {
        let stride = self.windows.stride[1];
        self.runs(
            #[inline(always)]
            |run, place| {
                let Some(place) = place else { return };
                if stride == 1 {
                    for (to, &from) in image[place..][..run.len()].iter_mut().zip(&*run) {
                        *to += from;
                    }
                } else {
                    for (to, &from) in image[place..].iter_mut().step_by(stride).zip(&*run) {
                        *to += from;
                    }
                }
            },
        );
    }
}

/// `fill` with 0. A run is often a single pixel of padding, for which a call of `fill` costs more than the write (see
/// M17 in docs/MEASUREMENTS.md).
#[inline(always)]
fn clear<F: Scalar>(run: &mut [F]) {
    match run {
        [] => {}
        [pixel] => *pixel = F::zero(),
        pixels => pixels.fill(F::zero()),
    }
}

/// `copy_from_slice`. For a run of a few pixels a call costs more than the copy (see M17 in docs/MEASUREMENTS.md).
#[inline(always)]
fn copy<F: Copy>(to: &mut [F], from: &[F]) {
    let (to, from) = copy_chunks::<F, 8>(to, from);
    match copy_chunks::<F, 4>(to, from) {
        ([a, b, c], &[x, y, z]) => (*a, *b, *c) = (x, y, z),
        ([a, b], &[x, y]) => (*a, *b) = (x, y),
        ([a], &[x]) => *a = x,
        _ => {}
    }
}

/// Copies in chunks of `N` and returns the rests.
#[inline(always)]
fn copy_chunks<'a, F: Copy, const N: usize>(to: &'a mut [F], from: &'a [F]) -> (&'a mut [F], &'a [F]) {
    let (mut into, chunks) = (to.chunks_exact_mut(N), from.chunks_exact(N));
    let rest = chunks.remainder();
    for (to, from) in into.by_ref().zip(chunks) {
        to.copy_from_slice(from);
    }
    (into.into_remainder(), rest)
}

/// One number from the pixels of a window.
trait Tally<F: Scalar>: Copy {
    /// The result for no pixel.
    fn start<L: Wrap<F>>(self) -> L;
    /// The result for the pixels of `a` and the pixel `x` together.
    fn join<L: Wrap<F>>(self, a: L, x: L) -> L;
}

/// The largest pixel of a window; NaN if one is NaN.
#[derive(Clone, Copy)]
struct Greatest;

impl<F: Scalar> Tally<F> for Greatest {
    #[inline(always)]
    fn start<L: Wrap<F>>(self) -> L {
        L::neg_infinity()
    }
    #[inline(always)]
    fn join<L: Wrap<F>>(self, a: L, x: L) -> L {
        a.maximum(x)
    }
}

/// The sum of a window's pixels.
#[derive(Clone, Copy)]
struct Total;

impl<F: Scalar> Tally<F> for Total {
    #[inline(always)]
    fn start<L: Wrap<F>>(self) -> L {
        L::zero()
    }
    #[inline(always)]
    fn join<L: Wrap<F>>(self, a: L, x: L) -> L {
        a + x
    }
}

/// Sets `out[window]` to the tally of the window, for every image in `x`.
fn pool<F: Scalar>(tally: impl Tally<F>, windows: Windows, x: &[F], out: &mut [F]) {
    struct Run<'a, T, F> {
        tally: T,
        windows: Windows,
        x: &'a [F],
        out: &'a mut [F],
    }
    impl<F: Scalar, T: Tally<F>> Kernel<F> for Run<'_, T, F> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            let Self { tally, windows, x, out } = self;
            out.fill(tally.start::<L>().unwrap());
            windows.each_run(
                out.len() / windows.count(),
                #[inline(always)]
                |window, pixel, n, step| {
                    for (out, x) in out[window..][..n].iter_mut().zip(x[pixel..].chunks(step)) {
                        *out = tally.join(L::wrap(*out), L::wrap(x[0])).unwrap();
                    }
                },
            );
        }
    }
    if !out.is_empty() {
        F::dispatch(Run { tally, windows, x, out });
    }
}

/// Gives the greatest pixel of each window the mean tangent of the pixels that tie; [`Greatest`] halves at each tie.
fn share_tangents<F: Scalar>(windows: Windows, x: &[F], out: &mut [F]) {
    let mut tied = vec![(F::zero(), 0); out.len()];
    if out.is_empty() {
        return;
    }
    windows.each_run(out.len() / windows.count(), |window, pixel, n, step| {
        for ((tied, y), x) in tied[window..][..n].iter_mut().zip(&out[window..]).zip(x[pixel..].chunks(step)) {
            if x[0] == *y {
                *tied = (tied.0 + x[0].with_base(num_traits::zero()), tied.1 + 1);
            }
        }
    });
    for (y, (sum, n)) in out.iter_mut().zip(tied).filter(|(y, _)| !y.is_nan()) {
        *y = F::from_base(y.to_base()) + sum / F::lit(f64::from(n));
    }
}

precompiled! {
    /// The greatest pixel of each window: see [`pool`].
    pub(crate) fn pool_greatest<F>(windows: Windows, x: &[F], out: &mut [F]) {
        pool(Greatest, windows, x, out);
        if F::CARRIES_DERIVATIVES {
            share_tangents(windows, x, out);
        }
    }

    /// The sum of each window's pixels: see [`pool`].
    pub(crate) fn pool_total<F>(windows: Windows, x: &[F], out: &mut [F]) {
        pool(Total, windows, x, out);
    }

    /// The pullback of the [`pool`] y of x by [`Greatest`]: adds the cotangents `dy` to `dx`. The values are
    /// those of x, y and dy.
    ///
    /// Pixels that tie share the cotangent of their window. `share` is memory, a zero for each window.
    pub(crate) fn pull_greatest<F>(windows: Windows, values: [&[F]; 3], dx: &mut [F], share: &mut [F]) {
        struct Run<'a, F> {
            windows: Windows,
            x: &'a [F],
            y: &'a [F],
            dy: &'a [F],
            dx: &'a mut [F],
            share: &'a mut [F],
        }
        /// `amount` if the pixel x is the window's greatest, y, otherwise 0. If y is NaN, the partials of all are, and so
        /// is the number of pixels that tie.
        #[inline(always)]
        fn won<F: Scalar>(amount: F, x: F, y: F) -> F {
            if x == y || y.is_nan() { amount } else { F::zero() }
        }
        impl<F: Scalar> Kernel<F> for Run<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let Self { windows, x, y, dy, dx, share } = self;
                let images = y.len() / windows.count();
                windows.each_run(
                    images,
                    #[inline(always)]
                    |window, pixel, n, step| {
                        let shares = share[window..][..n].iter_mut().zip(&y[window..][..n]);
                        for ((share, &y), x) in shares.zip(x[pixel..].chunks(step)) {
                            *share += won(F::one(), x[0], y);
                        }
                    },
                );
                for ((share, &dy), &y) in share.iter_mut().zip(dy).zip(y) {
                    *share = dy.gated_mul(if y.is_nan() { y } else { share.recip() });
                }
                windows.each_run(
                    images,
                    #[inline(always)]
                    |window, pixel, n, step| {
                        let shares = share[window..][..n].iter().zip(&y[window..][..n]);
                        let pixels = dx[pixel..].chunks_mut(step).zip(x[pixel..].chunks(step));
                        for ((&share, &y), (dx, x)) in shares.zip(pixels) {
                            dx[0] += won(share, x[0], y);
                        }
                    },
                );
            }
        }
        let [x, y, dy] = values;
        if !y.is_empty() {
            F::dispatch(Run { windows, x, y, dy, dx, share });
        }
    }

    /// The pullback of the [`pool`] by [`Total`]: adds the cotangents `dy` to `dx`.
    pub(crate) fn pull_total<F>(windows: Windows, dy: &[F], dx: &mut [F]) {
        if dy.is_empty() {
            return;
        }
        windows.each_run(
            dy.len() / windows.count(),
            #[inline(always)]
            |window, pixel, n, step| {
                for (dx, &dy) in dx[pixel..].chunks_mut(step).zip(&dy[window..][..n]) {
                    dx[0] += dy;
                }
            },
        );
    }
}
