//! Strips of windows: the pixels under some rows of windows, laid out as the products of [`direct`](super::direct) read them.

use std::ops::Range;

use crate::kernels::window::{Windows, copy, copy_chunks};
use crate::number::{Kernel, Scalar, Wrap};

/// Some neighbouring rows of windows.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub(super) windows: Windows,
    /// The first row.
    pub(super) first: usize,
    /// The number of rows.
    pub(super) rows: usize,
}

impl Strip {
    /// All strips of up to `rows` rows.
    pub(super) fn all(windows: Windows, rows: usize) -> impl Iterator<Item = Self> {
        (0..windows.out[0]).step_by(rows.max(1)).map(move |first| Self {
            windows,
            first,
            rows: rows.min(windows.out[0] - first),
        })
    }

    /// The numbers of rows and columns of pixels under the strip, padding included.
    pub(super) fn pixels(self) -> [usize; 2] {
        let windows = self.windows;
        [(0, self.rows), (1, windows.out[1])]
            .map(|(axis, out)| (out - 1) * windows.stride[axis] + (windows.size[axis] - 1) * windows.dilation[axis] + 1)
    }

    /// The rows of an image under the strip, the first of them below the strip's upper end, and the same of columns.
    fn inside(self) -> [(Range<usize>, usize); 2] {
        let windows = self.windows;
        [(0, self.first), (1, 0)].map(|(axis, first)| {
            // Pixels are counted from the beginning of the padding.
            let (start, len) = (first * windows.stride[axis], self.pixels()[axis]);
            let from = windows.padding[axis].clamp(start, start + len);
            let to = (windows.padding[axis] + windows.image[axis]).clamp(from, start + len);
            if from == to {
                return (0..0, 0);
            }
            (from - windows.padding[axis]..to - windows.padding[axis], from - start)
        })
    }

    /// The number of rows in each plane.
    fn plane_rows(self) -> usize {
        if self.has_shared_rows() { self.pixels()[0] } else { self.rows }
    }

    /// True if one plane serves all taps of a column: window after window its rows begin one row further on.
    fn has_shared_rows(self) -> bool {
        self.windows.stride[0] == 1
    }

    /// The number of elements in all planes of a channel.
    pub(super) fn planes(self) -> usize {
        let [down, across] = self.windows.size;
        self.plane_rows() * self.windows.out[1] * across * if self.has_shared_rows() { 1 } else { down }
    }

    /// The distances in the planes from a tap to the next one down and across.
    pub(super) fn taps(self) -> [usize; 2] {
        let plane = self.plane_rows() * self.windows.out[1];
        if self.has_shared_rows() {
            [self.windows.dilation[0] * self.windows.out[1], plane]
        } else {
            [self.windows.size[1] * plane, plane]
        }
    }

    /// Copies the pixels of some channels to their planes. The padding there is left as it is, and stands at the same places
    /// for every channel.
    pub(super) fn lay<F: Scalar>(self, images: &[F], planes: &mut [F]) {
        struct Lay<'a, F> {
            strip: Strip,
            images: &'a [F],
            planes: &'a mut [F],
        }
        impl<F: Scalar> Kernel<F> for Lay<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                self.strip.copy_to_planes(self.images, self.planes);
            }
        }
        F::dispatch(Lay { strip: self, images, planes });
    }

    /// The loops of [`lay`](Self::lay).
    #[inline(always)]
    fn copy_to_planes<F: Scalar>(self, images: &[F], planes: &mut [F]) {
        let Windows { image, size, stride, dilation, padding, out } = self.windows;
        let steps = [self.planes(), out[1], self.windows.pixels(), stride[0] * image[1]];
        let [down, across] = self.taps();
        let count = images.len() / self.windows.pixels().max(1);
        for i in 0..if self.has_shared_rows() { 1 } else { size[0] } {
            // Rows of a plane, and pixels counted from the beginning of the padding.
            let top = self.first * stride[0] + i * dilation[0];
            let first = padding[0].saturating_sub(top).div_ceil(stride[0]);
            let end = (padding[0] + image[0]).saturating_sub(top).div_ceil(stride[0]).min(self.plane_rows());
            for j in 0..size[1] {
                let columns = self.windows.inside(1, j);
                if first >= end || columns.is_empty() {
                    continue;
                }
                let row = top + first * stride[0] - padding[0];
                let from = row * image[1] + self.windows.pixel(1, columns.start, j);
                let to = i * down + j * across + first * out[1] + columns.start;
                let count = [count, end - first, columns.len()];
                copy_blocks(&mut planes[to..], &images[from..], steps, count, stride[1]);
            }
        }
    }

    /// Copies an image to the strip's pixels, whose padding is left as it is, with the channels of each pixel as neighbours.
    pub(super) fn transpose<F: Scalar>(self, image: &[F], channels: usize, to: &mut [F]) {
        let ([(rows, top), (columns, left)], [_, width]) = (self.inside(), self.pixels());
        if columns.is_empty() {
            return;
        }
        for (i, row) in rows.enumerate() {
            let to = &mut to[((top + i) * width + left) * channels..][..columns.len() * channels];
            let from = row * self.windows.image[1] + columns.start;
            for (channel, image) in image.chunks_exact(self.windows.pixels()).enumerate() {
                let from = &image[from..][..columns.len()];
                for (to, &from) in to[channel..].iter_mut().step_by(channels).zip(from) {
                    *to = from;
                }
            }
        }
    }
}

/// Copies blocks of rows. The steps are those from a block to the next and from a row to the next, first in `to`, then in
/// `from`; in rows of `from` elements are `stride` apart.
#[inline(always)]
fn copy_blocks<F: Scalar>(
    to: &mut [F],
    from: &[F],
    steps: [usize; 4],
    [blocks, rows, columns]: [usize; 3],
    stride: usize,
) {
    /// The same with a copy of the beginning of `from` to the row `to`.
    #[inline(always)]
    fn each<F>(
        to: &mut [F],
        from: &[F],
        [to_block, to_row, from_block, from_row]: [usize; 4],
        [blocks, rows, columns]: [usize; 3],
        mut copy: impl FnMut(&mut [F], &[F]),
    ) {
        for block in 0..blocks {
            let (to, from) = (&mut to[block * to_block..], &from[block * from_block..]);
            for (to, from) in to.chunks_mut(to_row).zip(from.chunks(from_row)).take(rows) {
                copy(&mut to[..columns], from);
            }
        }
    }
    /// The same for rows of a length that the compiler knows.
    #[inline(always)]
    fn fixed<F: Copy, const N: usize>(to: &mut [F], from: &[F], steps: [usize; 4], count: [usize; 3]) {
        each(
            to,
            from,
            steps,
            count,
            #[inline(always)]
            |to, from| *to.first_chunk_mut::<N>().expect("a row") = *from.first_chunk().expect("a row"),
        );
    }
    let [to_block, to_row, from_block, from_row] = steps;
    let count = [blocks, rows, columns];
    match columns {
        _ if stride != 1 => each(
            to,
            from,
            steps,
            count,
            #[inline(always)]
            |to, from| {
                for (to, &from) in to.iter_mut().zip(from.iter().step_by(stride)) {
                    *to = from;
                }
            },
        ),
        _ if to_row == from_row && rows > 0 && (to_row == columns || 2 * columns > to_row && rows > 1) => {
            // All rows at once; what stands between two rows is padding in the plane.
            let (len, gap) = ((rows - 1) * to_row + columns, to_row - columns);
            each(
                to,
                from,
                [to_block, len, from_block, len],
                [blocks, 1, len],
                #[inline(always)]
                |to, from| {
                    copy_wide(to, &from[..to.len()]);
                    for from in 0..gap {
                        to[columns + from..].iter_mut().step_by(to_row).for_each(|pixel| *pixel = F::zero());
                    }
                },
            );
        }
        3 => fixed::<F, 3>(to, from, steps, count),
        4 => fixed::<F, 4>(to, from, steps, count),
        7 => fixed::<F, 7>(to, from, steps, count),
        8 => fixed::<F, 8>(to, from, steps, count),
        15 => fixed::<F, 15>(to, from, steps, count),
        16 => fixed::<F, 16>(to, from, steps, count),
        _ => each(
            to,
            from,
            steps,
            count,
            #[inline(always)]
            |to, from| copy(to, &from[..to.len()]),
        ),
    }
}

/// `copy_from_slice` by long vectors, where the surrounding function has them.
#[inline(always)]
fn copy_wide<F: Copy>(to: &mut [F], from: &[F]) {
    let (to, from) = copy_chunks::<F, 16>(to, from);
    copy(to, from);
}
