//! Pooling: the greatest pixel or the sum of each window, and the pullbacks.
//!
//! All loops go from one row of windows to the next, so that the pixels under it stay in the nearest cache. Rows of pixels
//! are joined first, as neighbours; the columns of what remains come last.

use std::ops::Range;

use crate::number::precompiled::precompiled;
use crate::number::{Kernel, Scalar, Wrap};

/// The places of windows along one axis of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    /// The number of pixels.
    pub(crate) image: usize,
    /// The number of windows.
    pub(crate) out: usize,
    pub(crate) spacing: Spacing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Spacing {
    /// Windows of one size at equal distances, of which the first begins `padding` pixels before the image.
    Strided { size: usize, stride: usize, padding: usize },
    /// Windows that cover the image and are as alike as whole pixels allow.
    Even,
}

impl Places {
    /// The pixels under a window.
    #[inline(always)]
    pub(crate) fn pixels(self, window: usize) -> Range<usize> {
        match self.spacing {
            Spacing::Strided { size, stride, padding } => {
                let first = window * stride;
                first.saturating_sub(padding)..(first + size).saturating_sub(padding).min(self.image)
            }
            Spacing::Even => window * self.image / self.out..((window + 1) * self.image).div_ceil(self.out),
        }
    }

    /// Size and stride of windows without padding, which all have that size.
    fn unpadded(self) -> Option<[usize; 2]> {
        match self.spacing {
            Spacing::Strided { size, stride, padding: 0 } => Some([size, stride]),
            _ => None,
        }
    }

    /// True for windows of two pixels side by side.
    fn are_pairs(self) -> bool {
        matches!(self.spacing, Spacing::Strided { size: 2, stride: 2, padding: 0 })
    }
}

/// The windows on an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) rows: Places,
    pub(crate) columns: Places,
}

impl Grid {
    /// The number of windows on an image.
    pub(crate) fn count(self) -> usize {
        self.rows.out * self.columns.out
    }

    /// Calls `f(pixels, windows)` for each row of windows on each image: the range of the pixels in the rows under them,
    /// and the range of the windows. There are `windows` windows on all images.
    #[inline(always)]
    fn each_row(self, windows: usize, mut f: impl FnMut(Range<usize>, Range<usize>)) {
        let (width, out) = (self.columns.image, self.columns.out);
        let images = windows / self.count().max(1);
        for image in 0..images {
            let (pixel, window) = (image * self.rows.image * width, image * self.count());
            for i in 0..self.rows.out {
                let rows = self.rows.pixels(i);
                f(pixel + rows.start * width..pixel + rows.end * width, window + i * out..window + (i + 1) * out);
            }
        }
    }
}

/// One number from the pixels of a window.
trait Tally<F: Scalar>: Copy {
    /// The result for the pixels of `a` and those of `b` together.
    fn join<L: Wrap<F>>(self, a: L, b: L) -> L;
    /// The same, where neither is NaN.
    #[inline(always)]
    fn join_numbers<L: Wrap<F>>(self, a: L, b: L) -> L {
        self.join(a, b)
    }
    /// True if [`join_numbers`](Self::join_numbers) will do for all of these.
    #[inline(always)]
    fn are_numbers(self, _pixels: &[F]) -> bool {
        true
    }
}

/// The largest pixel of a window; NaN if one is NaN.
#[derive(Clone, Copy)]
struct Greatest;

impl<F: Scalar> Tally<F> for Greatest {
    #[inline(always)]
    fn join<L: Wrap<F>>(self, a: L, b: L) -> L {
        if F::CARRIES_DERIVATIVES {
            return a.maximum(b);
        }
        // The same value. Where a loop is too short to vectorise, a comparison of the two would be a branch that is
        // mispredicted half of the time; that no pixel is NaN is well predicted.
        let greater = a.max(b);
        if a.is_nan() || b.is_nan() { a + b } else { greater }
    }
    #[inline(always)]
    fn join_numbers<L: Wrap<F>>(self, a: L, b: L) -> L {
        if a < b { b } else { a }
    }
    #[inline(always)]
    fn are_numbers(self, pixels: &[F]) -> bool {
        // Without a way out of the loop, which is one of vectors.
        !F::CARRIES_DERIVATIVES && pixels.iter().fold(true, |all, x| all & !x.is_nan())
    }
}

/// The sum of a window's pixels.
#[derive(Clone, Copy)]
struct Total;

impl<F: Scalar> Tally<F> for Total {
    #[inline(always)]
    fn join<L: Wrap<F>>(self, a: L, b: L) -> L {
        a + b
    }
}

/// Sets `out[window]` to the tally of the window, for every image in `x`. `line` is memory for a row of pixels.
fn pool<F: Scalar>(tally: impl Tally<F>, grid: Grid, x: &[F], line: &mut [F], out: &mut [F]) {
    struct Run<'a, T, F> {
        tally: T,
        grid: Grid,
        x: &'a [F],
        line: &'a mut [F],
        out: &'a mut [F],
    }
    impl<F: Scalar, T: Tally<F>> Kernel<F> for Run<'_, T, F> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            /// Joins the rows of pixels under a row of windows, and then their columns.
            #[inline(always)]
            fn row<F: Copy>(columns: Places, x: &[F], line: &mut [F], out: &mut [F], join: impl Fn(F, F) -> F) {
                let width = line.len();
                let (first, rest) = x.split_at(width);
                if columns.are_pairs() && rest.len() == width {
                    let (first, rest) = (first.as_chunks::<2>().0, rest.as_chunks::<2>().0);
                    // Where rows are short, loops of known length become vectors.
                    let done = if out.len() < 8 { out.len() / 4 * 4 } else { 0 };
                    let (blocks, last) = out.split_at_mut(done);
                    let rows = first.as_chunks::<4>().0.iter().zip(rest.as_chunks::<4>().0);
                    for (out, (first, rest)) in blocks.as_chunks_mut::<4>().0.iter_mut().zip(rows) {
                        for j in 0..4 {
                            let ([a, b], [c, d]) = (first[j], rest[j]);
                            out[j] = join(join(a, c), join(b, d));
                        }
                    }
                    for (out, (&[a, b], &[c, d])) in last.iter_mut().zip(first[done..].iter().zip(&rest[done..])) {
                        *out = join(join(a, c), join(b, d));
                    }
                    return;
                }
                let line = if rest.is_empty() {
                    first
                } else {
                    for ((line, &a), &b) in line.iter_mut().zip(first).zip(rest) {
                        *line = join(a, b);
                    }
                    for row in rest.chunks_exact(width).skip(1) {
                        for (line, &x) in line.iter_mut().zip(row) {
                            *line = join(*line, x);
                        }
                    }
                    &*line
                };
                if columns.are_pairs() {
                    for (out, &[a, b]) in out.iter_mut().zip(line.as_chunks().0) {
                        *out = join(a, b);
                    }
                } else if let Some([3, stride]) = columns.unpadded() {
                    for (j, out) in out.iter_mut().enumerate() {
                        let window = &line[j * stride..][..3];
                        *out = join(join(window[0], window[1]), window[2]);
                    }
                } else {
                    for (j, out) in out.iter_mut().enumerate() {
                        *out = match line[columns.pixels(j)] {
                            [a, b, c] => join(join(a, b), c),
                            [a, ref rest @ ..] => rest.iter().fold(a, |a, &b| join(a, b)),
                            [] => unreachable!("a window has a pixel"),
                        };
                    }
                }
            }
            let Self { tally, grid, x, line, out } = self;
            grid.each_row(
                out.len(),
                #[inline(always)]
                |pixels, windows| {
                    let (x, out) = (&x[pixels], &mut out[windows]);
                    if tally.are_numbers(x) {
                        row(
                            grid.columns,
                            x,
                            line,
                            out,
                            #[inline(always)]
                            |a, b| tally.join_numbers(L::wrap(a), L::wrap(b)).unwrap(),
                        );
                    } else {
                        row(
                            grid.columns,
                            x,
                            line,
                            out,
                            #[inline(always)]
                            |a, b| tally.join(L::wrap(a), L::wrap(b)).unwrap(),
                        );
                    }
                },
            );
        }
    }
    F::dispatch(Run { tally, grid, x, line, out });
}

/// Gives the greatest pixel of each window the mean tangent of the pixels that tie; [`Greatest`] halves at each tie.
fn share_tangents<F: Scalar>(grid: Grid, x: &[F], out: &mut [F]) {
    grid.each_row(out.len(), |pixels, windows| {
        for (j, y) in out[windows].iter_mut().enumerate().filter(|(_, y)| !y.is_nan()) {
            let (mut sum, mut ties) = (F::zero(), 0.0);
            for row in x[pixels.clone()].chunks_exact(grid.columns.image) {
                for x in row[grid.columns.pixels(j)].iter().filter(|x| *x == y) {
                    sum += x.with_base(num_traits::zero());
                    ties += 1.0;
                }
            }
            *y = F::from_base(y.to_base()) + sum / F::lit(ties);
        }
    });
}

/// The pullback of a window on rows of pixels. Callers pass usual widths as constants, so that the loop over them
/// unrolls.
#[inline(always)]
fn window<F: Scalar>(x: &[F], dx: &mut [F], width: usize, columns: Range<usize>, y: F, dy: F) {
    // Pixels tie that are not less than the greatest, y; if y is NaN, all do. Sums in the place of branches, of which
    // many would be mispredicted.
    let (mut ties, mut place) = (0, 0);
    for (i, row) in x.chunks_exact(width).enumerate() {
        for (j, &x) in row[columns.clone()].iter().enumerate() {
            let tie = usize::from(x < y) ^ 1;
            ties += tie;
            place += tie * (i * width + columns.start + j);
        }
    }
    if ties == 1 && !y.is_nan() {
        dx[place] += dy;
        return;
    }
    let share = dy.gated_mul(if y.is_nan() { y } else { F::lit(ties as f64).recip() });
    for (row, drow) in x.chunks_exact(width).zip(dx.chunks_exact_mut(width)) {
        for (x, dx) in row[columns.clone()].iter().zip(&mut drow[columns.clone()]) {
            if *x == y || y.is_nan() {
                *dx += share;
            }
        }
    }
}

/// The pullback of a row of windows of `S` by `S` pixels without padding. The pixels that are not less than the
/// greatest are bits of one number, which is a power of two where there is one.
#[inline(always)]
fn squares<F: Scalar, const S: usize>(
    x: &[F],
    dx: &mut [F],
    [width, stride]: [usize; 2],
    places: [usize; 16],
    [y, dy]: [&[F]; 2],
) {
    for (j, (&y, &dy)) in y.iter().zip(dy).enumerate() {
        let first = j * stride;
        let mut bits = 0_u32;
        for i in 0..S {
            let row = &x[i * width + first..][..S];
            for (q, &x) in row.iter().enumerate() {
                bits |= (u32::from(x < y) ^ 1) << (i * S + q);
            }
        }
        if bits.is_power_of_two() {
            dx[first + places[bits.trailing_zeros() as usize % 16]] += dy;
        } else {
            window(x, dx, width, first..first + S, y, dy);
        }
    }
}

/// The pullback of N windows of two by two pixels side by side, for floats: without branches, of which many would be
/// mispredicted where pixels tie, as after a relu.
#[inline(always)]
fn quads<F: Scalar, const N: usize>(x: [&[[F; 2]; N]; 2], dx: [&mut [[F; 2]; N]; 2], y: &[F; N], dy: &[F; N]) {
    let [first, second] = dx;
    for j in 0..N {
        let y = y[j];
        let ties = [x[0][j][0], x[0][j][1], x[1][j][0], x[1][j][1]].map(|x| !(x < y));
        let mut count = F::zero();
        for tie in ties {
            count += if tie { F::one() } else { F::zero() };
        }
        let share = dy[j].gated_mul(if y.is_nan() { y } else { count.recip() });
        for (i, row) in [&mut first[j], &mut second[j]].into_iter().enumerate() {
            for (q, dx) in row.iter_mut().enumerate() {
                *dx = if ties[2 * i + q] { *dx + share } else { *dx };
            }
        }
    }
}

/// The pullback of a row of windows by [`quads`].
#[inline(always)]
fn rows_of_quads<F: Scalar, const N: usize>(x: &[F], dx: &mut [F], width: usize, y: &[F], dy: &[F]) {
    let (x, (first, second)) = (x.split_at(width), dx.split_at_mut(width));
    let [up, down] = [x.0, x.1].map(|x| x.as_chunks().0.as_chunks().0);
    let into = first.as_chunks_mut().0.as_chunks_mut().0.iter_mut();
    let into = into.zip(second.as_chunks_mut().0.as_chunks_mut().0);
    let windows = y.as_chunks::<N>().0.iter().zip(dy.as_chunks().0);
    for (((up, down), (first, second)), (y, dy)) in up.iter().zip(down).zip(into).zip(windows) {
        quads([up, down], [first, second], y, dy);
    }
}

precompiled! {
    /// The greatest pixel of each window: see [`pool`].
    pub(crate) fn pool_greatest<F>(grid: Grid, x: &[F], line: &mut [F], out: &mut [F]) {
        pool(Greatest, grid, x, line, out);
        if F::CARRIES_DERIVATIVES {
            share_tangents(grid, x, out);
        }
    }

    /// The sum of each window's pixels: see [`pool`].
    pub(crate) fn pool_total<F>(grid: Grid, x: &[F], line: &mut [F], out: &mut [F]) {
        pool(Total, grid, x, line, out);
    }

    /// The pullback of the [`pool`] y of x by [`Greatest`]: adds the cotangents `dy` to `dx`. The values are
    /// those of x, y and dy.
    ///
    /// Pixels that tie share the cotangent of their window.
    pub(crate) fn pull_greatest<F>(grid: Grid, values: [&[F]; 3], dx: &mut [F]) {
        struct Run<'a, F> {
            grid: Grid,
            values: [&'a [F]; 3],
            dx: &'a mut [F],
        }
        impl<F: Scalar> Kernel<F> for Run<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let Self { grid, values: [x, y, dy], dx } = self;
                let width = grid.columns.image;
                let whole = |n: usize| grid.columns.out.is_multiple_of(n);
                if F::IS_FLOAT && grid.rows.are_pairs() && grid.columns.are_pairs() && whole(2) {
                    return grid.each_row(
                        y.len(),
                        #[inline(always)]
                        |pixels, windows| {
                            let (x, dx) = (&x[pixels.clone()], &mut dx[pixels]);
                            let (y, dy) = (&y[windows.clone()], &dy[windows]);
                            if whole(8) {
                                rows_of_quads::<F, 8>(x, dx, width, y, dy);
                            } else if whole(4) {
                                rows_of_quads::<F, 4>(x, dx, width, y, dy);
                            } else {
                                rows_of_quads::<F, 2>(x, dx, width, y, dy);
                            }
                        },
                    );
                }
                if let (Some([size @ (2 | 3), _]), Some([columns, stride])) =
                    (grid.rows.unpadded(), grid.columns.unpadded())
                    && size == columns
                {
                    let places = std::array::from_fn(|bit| bit / size * width + bit % size);
                    return grid.each_row(
                        y.len(),
                        #[inline(always)]
                        |pixels, windows| {
                            let (x, dx) = (&x[pixels.clone()], &mut dx[pixels]);
                            let windows = [&y[windows.clone()], &dy[windows]];
                            if size == 2 {
                                squares::<F, 2>(x, dx, [width, stride], places, windows);
                            } else {
                                squares::<F, 3>(x, dx, [width, stride], places, windows);
                            }
                        },
                    );
                }
                grid.each_row(
                    y.len(),
                    #[inline(always)]
                    |pixels, windows| {
                        let (x, dx) = (&x[pixels.clone()], &mut dx[pixels]);
                        for (j, (&y, &dy)) in y[windows.clone()].iter().zip(&dy[windows]).enumerate() {
                            let columns = grid.columns.pixels(j);
                            let first = columns.start;
                            match columns.len() {
                                2 => window(x, dx, width, first..first + 2, y, dy),
                                3 => window(x, dx, width, first..first + 3, y, dy),
                                _ => window(x, dx, width, columns, y, dy),
                            }
                        }
                    },
                );
            }
        }
        F::dispatch(Run { grid, values, dx });
    }

    /// The pullback of the [`pool`] by [`Total`]: adds the cotangents `dy` to `dx`. `line` is memory for a row of pixels.
    pub(crate) fn pull_total<F>(grid: Grid, dy: &[F], line: &mut [F], dx: &mut [F]) {
        struct Run<'a, F> {
            grid: Grid,
            dy: &'a [F],
            line: &'a mut [F],
            dx: &'a mut [F],
        }
        impl<F: Scalar> Kernel<F> for Run<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let Self { grid, dy, line, dx } = self;
                let pairs = grid.columns.are_pairs();
                grid.each_row(
                    dy.len(),
                    #[inline(always)]
                    |pixels, windows| {
                        line.fill(F::zero());
                        if pairs {
                            for (line, &dy) in line.as_chunks_mut::<2>().0.iter_mut().zip(&dy[windows]) {
                                *line = [dy; 2];
                            }
                        } else {
                            for (j, &dy) in dy[windows].iter().enumerate() {
                                for line in &mut line[grid.columns.pixels(j)] {
                                    *line += dy;
                                }
                            }
                        }
                        for row in dx[pixels].chunks_exact_mut(line.len()) {
                            for (dx, &dy) in row.iter_mut().zip(&*line) {
                                *dx += dy;
                            }
                        }
                    },
                );
            }
        }
        F::dispatch(Run { grid, dy, line, dx });
    }
}
