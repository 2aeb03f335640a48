//! Windows that slide over an image: copies of what they see (im2col), extremes and sums.
//!
//! All loops go tap by tap (a tap is one place of the window) along runs of windows side by side,
//! so that the innermost loop is over neighbours in the output, and padding costs no test there.

use std::ops::Range;

use crate::number::{Kernel, Scalar, Wrap};

/// Where windows of `size` stand on an image. Lengths are those of rows and columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub(crate) image: [usize; 2],
    pub(crate) size: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// How many windows there are.
    pub(crate) out: [usize; 2],
}

impl Windows {
    /// The number of places of a window.
    pub(crate) fn taps(self) -> usize {
        self.size[0] * self.size[1]
    }

    pub(crate) fn pixels(self) -> usize {
        self.image[0] * self.image[1]
    }

    /// The number of windows.
    pub(crate) fn count(self) -> usize {
        self.out[0] * self.out[1]
    }

    /// How many taps of a window fall on the image.
    pub(crate) fn pixels_in(self, window: usize) -> usize {
        let place = [window / self.out[1], window % self.out[1]];
        let along =
            |axis: usize| (0..self.size[axis]).filter(|&tap| self.inside(axis, tap).contains(&place[axis])).count();
        along(0) * along(1)
    }

    /// Whether the windows are the pixels themselves.
    pub(crate) fn is_identity(self) -> bool {
        self.size == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// The windows along an axis whose tap `tap` falls on the image.
    #[inline(always)]
    fn inside(&self, axis: usize, tap: usize) -> Range<usize> {
        let (stride, shift) = (self.stride[axis], tap * self.dilation[axis]);
        let first = self.padding[axis].saturating_sub(shift).div_ceil(stride);
        let end = (self.image[axis] + self.padding[axis]).saturating_sub(shift).div_ceil(stride).min(self.out[axis]);
        first.min(end)..end
    }

    /// The pixel under tap `tap` of window `window`, which is inside.
    #[inline(always)]
    fn pixel(&self, axis: usize, window: usize, tap: usize) -> usize {
        window * self.stride[axis] + tap * self.dilation[axis] - self.padding[axis]
    }

    /// Calls `f(window, pixel, n, step)` for every run of `n` windows side by side and every tap
    /// that falls on the image there, for so many images one after the other: the first window,
    /// the pixel under its tap, and the step to the next one's.
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
                        // A known step vectorises.
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

/// A matrix of what windows see: row (channel, tap), column (sample, window). It holds the output
/// rows `rows` of some samples; where a tap falls on the padding it has a 0.
pub(crate) struct Columns<'a, F> {
    pub(crate) windows: Windows,
    /// The output rows at hand.
    pub(crate) rows: Range<usize>,
    /// The samples' first elements of the first channel, one `sample` after the other.
    pub(crate) samples: usize,
    pub(crate) sample: usize,
    pub(crate) channels: usize,
    pub(crate) matrix: &'a mut [F],
}

impl<F: Scalar> Columns<'_, F> {
    /// Calls `f(run, place)` for runs of columns in order: the place in the image of the first, the
    /// others follow by the stride; none where the tap falls on the padding.
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

    /// Copies from the image.
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

    /// Adds to the image, which undoes [`gather`](Self::gather) in the sense of an adjoint.
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

/// `fill` with 0, whose call costs more than it writes where the padding is one pixel wide.
#[inline(always)]
fn clear<F: Scalar>(run: &mut [F]) {
    match run {
        [] => {}
        [pixel] => *pixel = F::zero(),
        pixels => pixels.fill(F::zero()),
    }
}

/// `copy_from_slice`, whose call costs more than it copies where runs are a few pixels long.
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

/// Copies by `N` and returns what is left.
#[inline(always)]
fn copy_chunks<'a, F: Copy, const N: usize>(to: &'a mut [F], from: &'a [F]) -> (&'a mut [F], &'a [F]) {
    let (mut into, chunks) = (to.chunks_exact_mut(N), from.chunks_exact(N));
    let rest = chunks.remainder();
    for (to, from) in into.by_ref().zip(chunks) {
        to.copy_from_slice(from);
    }
    (into.into_remainder(), rest)
}

/// How the pixels of a window make one number.
pub(crate) trait Tally<F: Scalar>: Copy {
    /// The result of no pixel.
    fn start<L: Wrap<F>>(self) -> L;
    fn join<L: Wrap<F>>(self, a: L, x: L) -> L;
}

/// The largest pixel of each window; a NaN loses to a number.
#[derive(Clone, Copy)]
pub(crate) struct Greatest;

impl<F: Scalar> Tally<F> for Greatest {
    #[inline(always)]
    fn start<L: Wrap<F>>(self) -> L {
        L::nan()
    }
    #[inline(always)]
    fn join<L: Wrap<F>>(self, a: L, x: L) -> L {
        a.max(x)
    }
}

/// The sum of each window.
#[derive(Clone, Copy)]
pub(crate) struct Total;

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

/// `out[window]` = the tally of the window, for every image in `x`.
pub(crate) fn pool<F: Scalar>(tally: impl Tally<F>, windows: Windows, x: &[F], out: &mut [F]) {
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

/// Adds to `dx` the cotangents `dy` of `y`, the [`pool`] of `x` by [`Greatest`]: pixels that tie
/// share the cotangent of their window. `share` has a zero for each window.
pub(crate) fn pull_greatest<F: Scalar>(windows: Windows, [x, y, dy]: [&[F]; 3], dx: &mut [F], share: &mut [F]) {
    struct Run<'a, F> {
        windows: Windows,
        x: &'a [F],
        y: &'a [F],
        dy: &'a [F],
        dx: &'a mut [F],
        share: &'a mut [F],
    }
    /// `amount` if the pixel is the window's greatest; all are, if that is NaN.
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
            for (share, &dy) in share.iter_mut().zip(dy) {
                *share = dy / *share;
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
    if !y.is_empty() {
        F::dispatch(Run { windows, x, y, dy, dx, share });
    }
}

/// Adds to `dx` the cotangents `dy` of the [`pool`] by [`Total`].
pub(crate) fn pull_total<F: Scalar>(windows: Windows, dy: &[F], dx: &mut [F]) {
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
