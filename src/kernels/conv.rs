//! Convolutions. Those of floats go [directly](super::direct) where that suits the sizes; the others are matrix products:
//! the patches of the images under the windows become columns of a matrix, one block of windows at a time.

use std::ops::Range;

use crate::arena::Arena;

use crate::kernels::elementwise::take_sums;
use crate::kernels::pieces::add_to;
use crate::kernels::window::{Columns, Windows};
use crate::number::Scalar;
use crate::number::precompiled::precompiled;
use crate::slices::BLOCK;
use crate::slices::gemm::{Mat, MatMut, Store, matmul};

/// The number of elements in a block's columns. They stay in a core's second-level cache beside the other operands (see
/// M18 in docs/MEASUREMENTS.md).
const ROOM: usize = 1 << 17;

/// The sizes of a convolution.
///
/// Images have shape `[samples, groups * inputs, image]`, kernels `[groups * outputs, inputs, window]`, results
/// `[samples, groups * outputs, windows]`, all in row-major order.
#[derive(Clone, Copy)]
pub(crate) struct Convolution {
    pub(crate) windows: Windows,
    /// The number of images.
    pub(crate) samples: usize,
    pub(crate) groups: usize,
    /// The image channels of one group.
    pub(crate) inputs: usize,
    /// The result channels of one group.
    pub(crate) outputs: usize,
}

precompiled! {
    /// The convolution y = x * w of images and kernels, or y += x * w.
    pub(crate) fn convolve<F>(convolution: Convolution, arena: &Arena, x: &[F], w: &[F], y: &mut [F], update: Store) {
        let upright = convolution.upright();
        if upright.is_direct::<F>() {
            upright.forward_direct(x, w, y, update);
        } else {
            convolution.forward(arena, x, w, y, update);
        }
    }

    /// The pullback of a convolution to the kernels: dw += the correlation of x with dy.
    pub(crate) fn pull_kernel<F>(convolution: Convolution, arena: &Arena, x: &[F], dy: &[F], dw: &mut [F]) {
        let upright = convolution.upright();
        if upright.is_direct_for_kernel::<F>() {
            upright.pull_kernel_direct(x, dy, dw);
        } else {
            convolution.pull_kernel(arena, x, dy, dw);
        }
    }

    /// The pullback of a convolution to the images, the transposed convolution: dx = dy * wᵀ or dx += dy * wᵀ.
    pub(crate) fn pull_image<F>(convolution: Convolution, arena: &Arena, w: &[F], dy: &[F], dx: &mut [F], update: Store) {
        let upright = convolution.upright();
        // A pixel has no term for a tap that no window has over it; 0 times an infinite weight would be one.
        if let Some(backward) = upright.backward::<F>().filter(|_| w.iter().all(|w| w.is_finite())) {
            let turned = arena.alloc_slice_fill_copy(w.len(), F::zero());
            upright.turned(w, turned);
            return backward.forward_direct(dy, turned, dx, update);
        }
        if update == Store::Set {
            dx.fill(F::zero());
        }
        convolution.pull_image(arena, w, dy, dx);
    }
}

/// A part of a convolution: one group, and either all output rows of several samples or some output rows of one sample.
#[derive(Clone)]
struct Block {
    samples: Range<usize>,
    rows: Range<usize>,
    group: usize,
}

impl Convolution {
    /// See [`convolve`].
    fn forward<F: Scalar>(self, arena: &Arena, x: &[F], w: &[F], y: &mut [F], update: Store) {
        let columns = self.columns_room(arena);
        let dense = self.dense_room(arena);
        for block in self.blocks() {
            let columns = self.gather(&block, x, columns);
            let kernel = self.kernel(block.group, w);
            if let Some((at, strides)) = self.in_place(&block) {
                let y = MatMut::new(y, at, [self.outputs, self.width(&block)], strides);
                matmul(y, kernel, columns, update);
            } else {
                let width = self.width(&block);
                let product = MatMut::new(dense, 0, [self.outputs, width], [width as isize, 1]);
                matmul(product, kernel, columns, Store::Set);
                self.each_plane(&block, |plane, own| match update {
                    Store::Set => y[plane].copy_from_slice(&dense[own]),
                    Store::Add => add_to(&dense[own], &mut y[plane]),
                });
            }
        }
    }

    /// See [`pull_kernel`].
    fn pull_kernel<F: Scalar>(self, arena: &Arena, x: &[F], dy: &[F], dw: &mut [F]) {
        let columns = self.columns_room(arena);
        let dense = self.dense_room(arena);
        let size = self.kernel_size();
        // Sums over many blocks join blockwise.
        let many = self.blocks().nth(BLOCK * self.groups).is_some();
        let part = arena.alloc_slice_fill_copy(if many { dw.len() } else { 0 }, F::zero());
        for (i, block) in self.blocks().enumerate() {
            let columns = self.gather(&block, x, columns);
            let dy = self.cotangent(&block, dy, dense);
            let at = block.group * self.outputs * size;
            let to = if many { &mut *part } else { &mut *dw };
            let to = MatMut::new(to, at, [self.outputs, size], [size as isize, 1]);
            matmul(to, dy, columns.t(), Store::Add);
            if many && (i + 1).is_multiple_of(BLOCK * self.groups) {
                take_sums(part, dw);
            }
        }
        take_sums(part, dw);
    }

    /// See [`pull_image`].
    fn pull_image<F: Scalar>(self, arena: &Arena, w: &[F], dy: &[F], dx: &mut [F]) {
        let columns = self.columns_room(arena);
        let dense = self.dense_room(arena);
        for block in self.blocks() {
            let dy = self.cotangent(&block, dy, dense);
            let kernel = self.kernel(block.group, w).t();
            let (shape, width) = ([self.kernel_size(), self.width(&block)], self.width(&block) as isize);
            let first = self.image(&block);
            if self.windows.is_identity() {
                matmul(MatMut::new(dx, first, shape, [width, 1]), kernel, dy, Store::Add);
            } else {
                matmul(MatMut::new(columns, 0, shape, [width, 1]), kernel, dy, Store::Set);
                self.columns(&block, columns).scatter_add(&mut dx[first..]);
            }
        }
    }

    /// The number of elements of the kernel of one output.
    pub(super) fn kernel_size(self) -> usize {
        self.inputs * self.windows.taps()
    }

    /// The numbers of samples and of output rows in a block.
    fn block_size(self) -> [usize; 2] {
        let rows = (ROOM / (self.kernel_size() * self.windows.out[1]).max(1)).max(1);
        if self.windows.is_identity() {
            [1, self.windows.out[0]]
        } else {
            [(rows / self.windows.out[0].max(1)).clamp(1, self.samples.max(1)), rows.min(self.windows.out[0])]
        }
    }

    /// All blocks. The last samples and the last rows may make smaller ones.
    fn blocks(self) -> impl Iterator<Item = Block> {
        let [samples, rows] = self.block_size();
        let ranges = |len: usize, step: usize| (0..len).step_by(step.max(1)).map(move |i| i..(i + step).min(len));
        ranges(self.samples, samples).flat_map(move |samples| {
            ranges(self.windows.out[0], rows).flat_map(move |rows| {
                let samples = samples.clone();
                (0..self.groups).map(move |group| Block { samples: samples.clone(), rows: rows.clone(), group })
            })
        })
    }

    /// The number of columns of a block, one for each window.
    fn width(self, block: &Block) -> usize {
        block.samples.len() * block.rows.len() * self.windows.out[1]
    }

    /// Memory for the columns of a block.
    fn columns_room<F: Scalar>(self, arena: &Arena) -> &mut [F] {
        let [samples, rows] = self.block_size();
        let len =
            if self.windows.is_identity() { 0 } else { self.kernel_size() * samples * rows * self.windows.out[1] };
        arena.alloc_slice_fill_copy(len, F::zero())
    }

    /// Memory for a block's outputs as a matrix, if they are not one [in place](Self::in_place).
    fn dense_room<F: Scalar>(self, arena: &Arena) -> &mut [F] {
        let [samples, _] = self.block_size();
        let len = if samples == 1 { 0 } else { self.outputs * samples * self.windows.count() };
        arena.alloc_slice_fill_copy(len, F::zero())
    }

    /// The kernels of a group as a matrix: row output, column (channel, tap).
    fn kernel<F: Scalar>(self, group: usize, w: &[F]) -> Mat<'_, F> {
        let size = self.kernel_size();
        Mat::new(w, group * self.outputs * size, [self.outputs, size], [size as isize, 1])
    }

    /// The place of a block's first pixel in the images.
    fn image(self, block: &Block) -> usize {
        (block.samples.start * self.groups + block.group) * self.inputs * self.windows.pixels()
    }

    /// The [`Columns`] of a block, with `columns` as their memory.
    fn columns<'a, F>(self, block: &Block, columns: &'a mut [F]) -> Columns<'a, F> {
        Columns {
            windows: self.windows,
            rows: block.rows.clone(),
            samples: block.samples.len(),
            sample: self.groups * self.inputs * self.windows.pixels(),
            channels: self.inputs,
            matrix: columns,
        }
    }

    /// The pixels under the block's windows as a matrix: row (channel, tap), column (sample, window).
    fn gather<'a, F: Scalar>(self, block: &Block, x: &'a [F], columns: &'a mut [F]) -> Mat<'a, F> {
        let (shape, strides) = ([self.kernel_size(), self.width(block)], [self.width(block) as isize, 1]);
        if self.windows.is_identity() {
            return Mat::new(x, self.image(block), shape, strides);
        }
        self.columns(block, columns).gather(&x[self.image(block)..]);
        Mat::new(columns, 0, shape, strides)
    }

    /// The place and the strides of a block's outputs among all outputs, if they form a matrix there: row output,
    /// column window.
    fn in_place(self, block: &Block) -> Option<(usize, [isize; 2])> {
        let channels = (block.samples.start * self.groups + block.group) * self.outputs;
        let count = self.windows.count();
        let at = channels * count + block.rows.start * self.windows.out[1];
        (block.samples.len() == 1).then_some((at, [count as isize, 1]))
    }

    /// The cotangent of a block's outputs as a matrix: row output, column (sample, window).
    fn cotangent<'a, F: Scalar>(self, block: &Block, dy: &'a [F], dense: &'a mut [F]) -> Mat<'a, F> {
        let width = self.width(block);
        if let Some((at, strides)) = self.in_place(block) {
            return Mat::new(dy, at, [self.outputs, width], strides);
        }
        self.each_plane(block, |plane, own| dense[own].copy_from_slice(&dy[plane]));
        Mat::new(dense, 0, [self.outputs, width], [width as isize, 1])
    }

    /// Calls `f(plane, own)` for each output plane of a block of whole samples, with the plane's range among all
    /// outputs and its range in the block's matrix (row output, column (sample, window)).
    fn each_plane(self, block: &Block, mut f: impl FnMut(Range<usize>, Range<usize>)) {
        let (count, width) = (self.windows.count(), self.width(block));
        for (i, sample) in block.samples.clone().enumerate() {
            for output in 0..self.outputs {
                let plane = ((sample * self.groups + block.group) * self.outputs + output) * count;
                let own = output * width + i * count;
                f(plane..plane + count, own..own + count);
            }
        }
    }
}
