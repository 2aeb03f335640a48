//! Windows that slide over an image: copies of the pixels under them (im2col), and the adjoint.
//!
//! A *tap* is one place in the window. All loops go tap by tap along runs of windows side by side, so that the
//! innermost loop passes over neighbours in the output and needs no test for padding.

use std::ops::Range;

use crate::number::Scalar;

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

    /// True if the windows are the pixels themselves.
    pub(crate) fn is_identity(self) -> bool {
        // A transposed convolution with an output padding has pixels under no window.
        self.size == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0] && self.out == self.image
    }

    /// The range of windows along an axis for which tap `tap` falls on the image.
    #[inline(always)]
    pub(super) fn inside(&self, axis: usize, tap: usize) -> Range<usize> {
        let (stride, shift) = (self.stride[axis], tap * self.dilation[axis]);
        let first = self.padding[axis].saturating_sub(shift).div_ceil(stride);
        let end = (self.image[axis] + self.padding[axis]).saturating_sub(shift).div_ceil(stride).min(self.out[axis]);
        first.min(end)..end
    }

    /// The pixel along an axis under tap `tap` of window `window`, which must be [inside](Self::inside).
    #[inline(always)]
    pub(super) fn pixel(&self, axis: usize, window: usize, tap: usize) -> usize {
        window * self.stride[axis] + tap * self.dilation[axis] - self.padding[axis]
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
pub(super) fn copy<F: Copy>(to: &mut [F], from: &[F]) {
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
pub(super) fn copy_chunks<'a, F: Copy, const N: usize>(to: &'a mut [F], from: &'a [F]) -> (&'a mut [F], &'a [F]) {
    let (mut into, chunks) = (to.chunks_exact_mut(N), from.chunks_exact(N));
    let rest = chunks.remainder();
    for (to, from) in into.by_ref().zip(chunks) {
        to.copy_from_slice(from);
    }
    (into.into_remainder(), rest)
}
