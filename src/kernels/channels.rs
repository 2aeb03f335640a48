//! Normalisation of channels, each of which has a run of neighbouring elements in every sample.

use crate::arena::Arena;
use crate::number::precompiled::precompiled;
use crate::number::{Kernel, Scalar, Wrap};
use crate::slices::gemm::Store;
use crate::slices::{BLOCK, Cascade};

/// A row-major array `[samples, channels, run]`.
#[derive(Clone, Copy)]
pub(crate) struct Channels {
    pub(crate) samples: usize,
    pub(crate) count: usize,
    /// The number of neighbouring elements of a channel.
    pub(crate) run: usize,
}

impl Channels {
    /// The places of the first element of each run of a channel.
    #[inline(always)]
    pub(crate) fn runs(self, channel: usize) -> impl Iterator<Item = usize> + Clone {
        (0..self.samples).map(move |sample| (sample * self.count + channel) * self.run)
    }
}

/// The partial sums of a channel.
const LANES: usize = 16;

/// The elements of a channel that are added up before their sums join blockwise.
const PART: usize = BLOCK * LANES;

/// Sets `out` to the sums of the terms of each channel, K terms for each place in M arrays. All loops go through the arrays in
/// the order of memory, because runs of a channel may lie as far apart as those that a cache keeps in the same place (see
/// M42 in docs/MEASUREMENTS.md).
#[inline(always)]
fn sums<F: Scalar, L: Wrap<F>, const M: usize, const K: usize>(
    channels: Channels,
    arena: &Arena,
    x: [&[F]; M],
    out: [&mut [F]; K],
    term: impl Fn([L; M], usize) -> [L; K],
) {
    let zeros = [[F::zero(); LANES]; K];
    let join = |mut a: [[F; LANES]; K], b: [[F; LANES]; K]| {
        for (a, b) in a.as_flattened_mut().iter_mut().zip(b.as_flattened()) {
            *a += *b;
        }
        a
    };
    let parts = &mut *arena.alloc_slice_fill_with(channels.count, |_| zeros);
    let blocks = &mut *arena.alloc_slice_fill_with(channels.count, |_| Cascade::new(zeros));
    let mut rows = 0;
    for sample in 0..channels.samples {
        for from in (0..channels.run).step_by(PART) {
            let len = PART.min(channels.run - from);
            for (channel, part) in parts.iter_mut().enumerate() {
                let first = (sample * channels.count + channel) * channels.run + from;
                let x = x.map(|x| &x[first..first + len]);
                let mut sums = *part;
                let (chunks, rest) = (x.map(|x| x.as_chunks::<LANES>().0), len / LANES * LANES);
                for i in 0..len / LANES {
                    // First the terms and then their sums, two loops that become vectors.
                    let (x, mut terms) = (chunks.map(|chunks| &chunks[i]), zeros);
                    for j in 0..LANES {
                        let each = term(x.map(|x| L::wrap(x[j])), channel);
                        for k in 0..K {
                            terms[k][j] = each[k].unwrap();
                        }
                    }
                    sums = join(sums, terms);
                }
                for j in rest..len {
                    let terms = term(x.map(|x| L::wrap(x[j])), channel);
                    for (sums, term) in sums.iter_mut().zip(terms) {
                        sums[j - rest] = (L::wrap(sums[j - rest]) + term).unwrap();
                    }
                }
                *part = sums;
            }
            rows += len.div_ceil(LANES);
            if rows >= BLOCK {
                for (blocks, part) in blocks.iter_mut().zip(&mut *parts) {
                    blocks.add(std::mem::replace(part, zeros), join);
                }
                rows = 0;
            }
        }
    }
    for (channel, (blocks, part)) in blocks.iter().zip(parts).enumerate() {
        let total = join(blocks.total(join), *part);
        for k in 0..K {
            let mut sums = total[k];
            for width in [8, 4, 2, 1] {
                for i in 0..width {
                    sums[i] += sums[i + width];
                }
            }
            out[k][channel] = sums[0];
        }
    }
}

precompiled! {
    /// The mean and the variance (divisor n) of each channel; `share` is 1/n.
    pub(crate) fn channel_moments<F>(
        channels: Channels,
        arena: &Arena,
        x: &[F],
        share: F,
        mean: &mut [F],
        variance: &mut [F],
    ) {
        struct Run<'a, F> {
            channels: Channels,
            arena: &'a Arena,
            x: &'a [F],
            share: F,
            mean: &'a mut [F],
            variance: &'a mut [F],
        }
        impl<F: Scalar> Kernel<F> for Run<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let Self { channels, arena, x, share, mean, variance } = self;
                sums::<F, L, 1, 1>(
                    channels,
                    arena,
                    [x],
                    [&mut *mean],
                    #[inline(always)]
                    |x, _| x,
                );
                for mean in &mut *mean {
                    *mean *= share;
                }
                sums::<F, L, 1, 1>(
                    channels,
                    arena,
                    [x],
                    [&mut *variance],
                    #[inline(always)]
                    |[x], channel| {
                        let distance = x - L::wrap(mean[channel]);
                        [distance * distance]
                    },
                );
                for variance in variance {
                    *variance *= share;
                }
            }
        }
        F::dispatch(Run { channels, arena, x, share, mean, variance });
    }

    /// z = (x - mean) r and y = z gain + bias; `given` are mean, r, gain and bias of each channel.
    pub(crate) fn normalize_channels<F>(channels: Channels, x: &[F], given: [&[F]; 4], z: &mut [F], y: &mut [F]) {
        struct Run<'a, F> {
            channels: Channels,
            x: &'a [F],
            given: [&'a [F]; 4],
            z: &'a mut [F],
            y: &'a mut [F],
        }
        impl<F: Scalar> Kernel<F> for Run<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let Self { channels, x, given, z, y } = self;
                for (i, first) in (0..x.len()).step_by(channels.run).enumerate() {
                    let [mean, r, gain, bias] = given.map(|given| L::wrap(given[i % channels.count]));
                    let run = first..first + channels.run;
                    for ((z, y), &x) in z[run.clone()].iter_mut().zip(&mut y[run.clone()]).zip(&x[run]) {
                        let unit = (L::wrap(x) - mean) * r;
                        (*z, *y) = (unit.unwrap(), (unit * gain + bias).unwrap());
                    }
                }
            }
        }
        F::dispatch(Run { channels, x, given, z, y });
    }

    /// The sums Σdy and Σ(dy z) of each channel, where an exact 0 times infinity or NaN is 0.
    pub(crate) fn channel_sums<F>(channels: Channels, arena: &Arena, dy: &[F], z: &[F], out: [&mut [F]; 2]) {
        struct Run<'a, F> {
            channels: Channels,
            arena: &'a Arena,
            dy: &'a [F],
            z: &'a [F],
            out: [&'a mut [F]; 2],
        }
        impl<F: Scalar> Kernel<F> for Run<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let Self { channels, arena, dy, z, out } = self;
                sums::<F, L, 2, 2>(
                    channels,
                    arena,
                    [dy, z],
                    out,
                    #[inline(always)]
                    |[dy, z], _| [dy, dy.gated_mul(z)],
                );
            }
        }
        F::dispatch(Run { channels, arena, dy, z, out });
    }

    /// dx = s (dy - m - k z), or adds it; `given` are s, m and k of each channel.
    pub(crate) fn pull_channels<F>(
        channels: Channels,
        dy: &[F],
        z: &[F],
        given: [&[F]; 3],
        dx: &mut [F],
        update: Store,
    ) {
        struct Run<'a, F> {
            channels: Channels,
            dy: &'a [F],
            z: &'a [F],
            given: [&'a [F]; 3],
            dx: &'a mut [F],
            update: Store,
        }
        impl<F: Scalar> Kernel<F> for Run<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let Self { channels, dy, z, given, dx, update } = self;
                for (i, first) in (0..dy.len()).step_by(channels.run).enumerate() {
                    let [scale, mean, slope] = given.map(|given| L::wrap(given[i % channels.count]));
                    let term = |dy, z| (L::wrap(dy) - mean - slope.gated_mul(L::wrap(z))).gated_mul(scale);
                    let run = first..first + channels.run;
                    let each = dx[run.clone()].iter_mut().zip(&dy[run.clone()]).zip(&z[run]);
                    match update {
                        Store::Set => each.for_each(|((dx, &dy), &z)| *dx = term(dy, z).unwrap()),
                        Store::Add => each.for_each(|((dx, &dy), &z)| *dx = (L::wrap(*dx) + term(dy, z)).unwrap()),
                    }
                }
            }
        }
        F::dispatch(Run { channels, dy, z, given, dx, update });
    }
}
