//! Convolutions of floats without a matrix of patches.
//!
//! The windows of a strip of rows read its pixels from planes, one for each tap across: a tap down is then an offset, and
//! windows side by side are neighbours in memory. Cotangents of the kernels are sums over windows, for which the pixels
//! stand with the channels last, so that the channels (and the taps across) of a tap are neighbours. See M42 in
//! docs/MEASUREMENTS.md.

use std::ops::Range;

use crate::kernels::conv::Convolution;
use crate::kernels::strip::Strip;
use crate::kernels::window::Windows;
use crate::number::Scalar;
use crate::slices::BLOCK;
use crate::slices::gemm::{Loop, SLACK, Shifted, Store};
#[cfg(feature = "parallel")]
use crate::slices::team;

/// The number of pixels that are laid out at once. They stay in a core's second-level cache (see M18 in
/// docs/MEASUREMENTS.md).
const ROOM: usize = 1 << 15;

/// The most terms of a sum over taps that are added up one after the other, before the sum is added to the result.
const TAPS: usize = 320;

/// The most terms of a sum over windows that are added up one after the other.
const TERMS: usize = 1024;

/// The lanes of the longest vectors.
const fn lanes<F>() -> usize {
    if size_of::<F>() < 64 { 64 / size_of::<F>() } else { 1 }
}

impl Convolution {
    /// The same, with the axes of a signal exchanged: a long signal has many rows, and not one long one.
    pub(super) fn upright(mut self) -> Self {
        let w = &mut self.windows;
        if [w.image[0], w.size[0], w.out[0]] == [1; 3] && w.padding[0] == 0 {
            for axes in [&mut w.image, &mut w.size, &mut w.stride, &mut w.padding, &mut w.dilation, &mut w.out] {
                axes.swap(0, 1);
            }
        }
        self
    }

    /// True if [`forward_direct`](Self::forward_direct) suits the numbers and the sizes: the windows of an image fill most
    /// lanes of vectors.
    pub(super) fn is_direct<F: Scalar>(self) -> bool {
        let count = self.windows.count();
        F::IS_FLOAT && 2 * count >= count.next_multiple_of(lanes::<F>()) && self.has_room()
    }

    /// The convolution from images of the cotangents to images, if it has stride 1 and [`is_direct`](Self::is_direct). Its
    /// kernels are those of [`turned`](Self::turned).
    pub(super) fn backward<F: Scalar>(self) -> Option<Self> {
        let Windows { image, size, stride, padding, dilation, out } = self.windows;
        let padding = [0, 1].map(|axis| ((size[axis] - 1) * dilation[axis]).checked_sub(padding[axis]));
        let ([Some(down), Some(across)], [1, 1]) = (padding, stride) else { return None };
        let windows = Windows { image: out, padding: [down, across], out: image, ..self.windows };
        let backward = Self { windows, inputs: self.outputs, outputs: self.inputs, ..self };
        (windows.out[0] * windows.out[1] > 0 && backward.is_direct::<F>()).then_some(backward)
    }

    /// The kernels of the [`backward`](Self::backward) convolution: input and output are exchanged, and taps in the reverse
    /// order.
    pub(super) fn turned<F: Scalar>(self, w: &[F], turned: &mut [F]) {
        let (taps, size) = (self.windows.taps(), self.kernel_size());
        for (group, turned) in turned.chunks_exact_mut(self.outputs * size).enumerate() {
            for (i, kernel) in turned.chunks_exact_mut(taps).enumerate() {
                let (input, output) = (i / self.outputs, i % self.outputs);
                let from = &w[(group * self.outputs + output) * size + input * taps..][..taps];
                for (to, &from) in kernel.iter_mut().rev().zip(from) {
                    *to = from;
                }
            }
        }
    }

    /// Sets y to the convolution, or adds it.
    pub(super) fn forward_direct<F: Scalar>(self, x: &[F], w: &[F], y: &mut [F], update: Store) {
        #[cfg(feature = "parallel")]
        return self.forward_on(team::threads_for(self.work()), x, w, y, update);
        #[cfg(not(feature = "parallel"))]
        self.forward_part(x, w, y, update);
    }

    /// [`forward_direct`](Self::forward_direct) on some threads. The samples are divided, or the outputs of a single sample;
    /// no sum is.
    #[cfg(feature = "parallel")]
    fn forward_on<F: Scalar>(self, threads: usize, x: &[F], w: &[F], y: &mut [F], update: Store) {
        let half = if self.samples > 1 { self.samples / 2 } else { self.outputs / 2 };
        if threads < 2 || half == 0 || (self.samples == 1 && self.groups > 1) {
            return self.forward_part(x, w, y, update);
        }
        let count = self.windows.count();
        let (mut one, mut other) = (self, self);
        let (x, w, y) = if self.samples > 1 {
            (one.samples, other.samples) = (half, self.samples - half);
            let x = x.split_at(half * self.groups * self.inputs * self.windows.pixels());
            (x, (w, w), y.split_at_mut(half * self.groups * self.outputs * count))
        } else {
            (one.outputs, other.outputs) = (half, self.outputs - half);
            ((x, x), w.split_at(half * self.kernel_size()), y.split_at_mut(half * count))
        };
        team::join(
            || one.forward_on(threads.div_ceil(2), x.0, w.0, y.0, update),
            || other.forward_on(threads / 2, x.1, w.1, y.1, update),
        );
    }

    /// [`forward_direct`](Self::forward_direct) on this thread.
    fn forward_part<F: Scalar>(self, x: &[F], w: &[F], y: &mut [F], update: Store) {
        let Windows { size, out, .. } = self.windows;
        let (pixels, count, taps) = (self.windows.pixels(), self.windows.count(), self.windows.taps());
        if self.samples == 0 {
            return;
        }
        let channels = self.inputs.div_ceil(self.inputs.div_ceil((TAPS / taps).max(1)));
        let len = |rows: usize| channels * Strip { windows: self.windows, first: 0, rows }.planes();
        let rows = if len(out[0]) <= ROOM {
            out[0]
        } else {
            // The rows that fit, without those that only lower taps need; but enough of them to be worth these.
            let each = len(2) - len(1);
            (ROOM / each).saturating_sub(len(1) / each).max(size[0]).min(out[0])
        };
        let samples = (ROOM / len(rows).max(1)).clamp(1, self.samples);
        F::with_scratch(samples * len(rows) + SLACK, |planes| {
            for strip in Strip::all(self.windows, rows) {
                let each = strip.planes();
                planes.fill(F::zero());
                for first in (0..self.samples).step_by(samples) {
                    let samples = samples.min(self.samples - first);
                    for (group, channel) in
                        (0..self.groups).flat_map(|g| (0..self.inputs).step_by(channels).map(move |c| (g, c)))
                    {
                        let channels = channels.min(self.inputs - channel);
                        let sample = channels * each;
                        for (i, planes) in planes.chunks_exact_mut(sample).take(samples).enumerate() {
                            let image = ((first + i) * self.groups + group) * self.inputs + channel;
                            strip.lay(&x[image * pixels..][..channels * pixels], planes);
                        }
                        let [down, across] = strip.taps();
                        let kernel = group * self.outputs * self.kernel_size() + channel * taps;
                        let result = (first * self.groups + group) * self.outputs * count + strip.first * out[1];
                        F::shifted(Shifted {
                            a: &w[kernel..],
                            b: planes,
                            c: &mut y[result..],
                            rows: Loop::new(self.outputs, [self.kernel_size(), count]),
                            terms: [
                                Loop::new(channels, [taps, each]),
                                Loop::new(size[0], [size[1], down]),
                                Loop::new(size[1], [1, across]),
                            ],
                            runs: [
                                Loop::new(samples, [sample, self.groups * self.outputs * count]),
                                Loop::new(1, [0, 0]),
                            ],
                            run: strip.rows * out[1],
                            update: if channel == 0 { update } else { Store::Add },
                        });
                    }
                }
            }
        });
    }

    /// True if [`pull_kernel_direct`](Self::pull_kernel_direct) suits the numbers and the sizes: the channels of a tap fill
    /// most lanes of vectors.
    pub(super) fn is_direct_for_kernel<F: Scalar>(self) -> bool {
        let (run, _) = self.tap_runs([1, 1]);
        let fills = 2 * run * self.inputs >= lanes::<F>();
        F::IS_FLOAT && fills && self.windows.out[1] <= TERMS && self.has_room()
    }

    /// True unless the pixels stand as a matrix anyway, there are no channels, windows or taps, or most pixels under the
    /// windows would be padding.
    fn has_room(self) -> bool {
        let Windows { image, size, stride, dilation, out, .. } = self.windows;
        !self.windows.is_identity()
            && self.inputs * self.outputs > 0
            && (0..2).all(|axis| {
                out[axis] > 0
                    && size[axis] > 0
                    && (out[axis] - 1) * stride[axis] + (size[axis] - 1) * dilation[axis] < 4 * image[axis] + 64
            })
    }

    /// The number of taps whose pixels are neighbours if each of them stands with its channels, in an image whose pixels and
    /// rows are so many pixels apart; and the loops over these runs of taps, with steps in pixels and in taps.
    fn tap_runs(self, [row, pixel]: [usize; 2]) -> (usize, [Loop; 2]) {
        let Windows { size: [down, across], dilation, .. } = self.windows;
        let steps = [dilation[0] * row, dilation[1] * pixel];
        let one = Loop::new(1, [0, 0]);
        if across > 1 && steps[1] != 1 {
            (1, [Loop::new(down, [steps[0], across]), Loop::new(across, [steps[1], 1])])
        } else if down > 1 && steps[0] != across {
            (across, [Loop::new(down, [steps[0], across]), one])
        } else {
            (down * across, [one, one])
        }
    }

    /// dw += the correlation of x with dy.
    pub(super) fn pull_kernel_direct<F: Scalar>(self, x: &[F], dy: &[F], dw: &mut [F]) {
        #[cfg(feature = "parallel")]
        return self.pull_kernel_on(team::threads_for(self.work()), x, dy, 0..self.outputs, dw);
        #[cfg(not(feature = "parallel"))]
        self.pull_kernel_part(x, dy, 0..self.outputs, dw);
    }

    /// [`pull_kernel_direct`](Self::pull_kernel_direct) for some outputs of each group, on some threads. The outputs are
    /// divided; no sum is.
    #[cfg(feature = "parallel")]
    fn pull_kernel_on<F: Scalar>(self, threads: usize, x: &[F], dy: &[F], outputs: Range<usize>, dw: &mut [F]) {
        let half = outputs.len() / 2;
        if threads < 2 || half == 0 || self.groups > 1 {
            return self.pull_kernel_part(x, dy, outputs, dw);
        }
        let middle = outputs.start + half;
        let (one, other) = dw.split_at_mut(half * self.kernel_size());
        team::join(
            || self.pull_kernel_on(threads.div_ceil(2), x, dy, outputs.start..middle, one),
            || self.pull_kernel_on(threads / 2, x, dy, middle..outputs.end, other),
        );
    }

    /// [`pull_kernel_direct`](Self::pull_kernel_direct) for some outputs of each group, on this thread.
    fn pull_kernel_part<F: Scalar>(self, x: &[F], dy: &[F], outputs: Range<usize>, dw: &mut [F]) {
        let Windows { stride, out, .. } = self.windows;
        let (pixels, count, taps) = (self.windows.pixels(), self.windows.count(), self.windows.taps());
        if self.samples == 0 {
            return;
        }
        let rows = (TERMS / out[1]).clamp(1, out[0]);
        let samples = if rows == out[0] { (TERMS / count).clamp(1, self.samples) } else { 1 };
        let padded = Strip { windows: self.windows, first: 0, rows }.pixels().iter().product::<usize>();
        let channels = (2 * ROOM / (samples * padded)).max(lanes::<F>()).min(self.inputs);
        let part = outputs.len() * taps * channels;
        F::with_scratch(part + samples * padded * channels + SLACK, |scratch| {
            let (part, last) = scratch.split_at_mut(part);
            for (group, channel) in
                (0..self.groups).flat_map(|g| (0..self.inputs).step_by(channels).map(move |c| (g, c)))
            {
                let channels = channels.min(self.inputs - channel);
                let dw = &mut dw[group * outputs.len() * self.kernel_size() + channel * taps..];
                let mut blocks = 0;
                for strip in Strip::all(self.windows, rows) {
                    let [height, width] = strip.pixels();
                    let padded = height * width * channels;
                    last.fill(F::zero());
                    for first in (0..self.samples).step_by(samples) {
                        let samples = samples.min(self.samples - first);
                        for (i, last) in last.chunks_exact_mut(padded).take(samples).enumerate() {
                            let image = ((first + i) * self.groups + group) * self.inputs + channel;
                            strip.transpose(&x[image * pixels..][..channels * pixels], channels, last);
                        }
                        let (run, runs) = self.tap_runs([width, 1]);
                        let from = ((first * self.groups + group) * self.outputs + outputs.start) * count;
                        F::shifted(Shifted {
                            a: &dy[from + strip.first * out[1]..],
                            b: last,
                            c: part,
                            rows: Loop::new(outputs.len(), [count, taps * channels]),
                            terms: [
                                Loop::new(samples, [self.groups * self.outputs * count, padded]),
                                Loop::new(strip.rows, [out[1], stride[0] * width * channels]),
                                Loop::new(out[1], [1, stride[1] * channels]),
                            ],
                            runs: runs.map(|taps| Loop::new(taps.len, taps.steps.map(|step| step * channels))),
                            run: run * channels,
                            update: if blocks == 0 { Store::Set } else { Store::Add },
                        });
                        // Sums over many blocks join blockwise.
                        blocks = (blocks + 1) % BLOCK;
                        if blocks == 0 {
                            self.add_part(part, channels, dw);
                        }
                    }
                }
                if blocks > 0 {
                    self.add_part(part, channels, dw);
                }
            }
        });
    }

    /// Adds cotangents of kernels, in the order (output, tap, channel), to those of some channels.
    fn add_part<F: Scalar>(self, part: &[F], channels: usize, dw: &mut [F]) {
        let taps = self.windows.taps();
        for (part, dw) in part.chunks_exact(taps * channels).zip(dw.chunks_mut(self.kernel_size())) {
            for (channel, dw) in dw.chunks_exact_mut(taps).take(channels).enumerate() {
                for (dw, &part) in dw.iter_mut().zip(part[channel..].iter().step_by(channels)) {
                    *dw += part;
                }
            }
        }
    }

    /// The number of multiplications.
    #[cfg(feature = "parallel")]
    fn work(self) -> usize {
        let each = self.windows.count().saturating_mul(self.kernel_size());
        each.saturating_mul(self.groups * self.outputs).saturating_mul(self.samples)
    }
}
