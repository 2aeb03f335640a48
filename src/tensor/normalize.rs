//! Normalisations, which shift and scale elements by the mean and the variance of their group.

use crate::arena::Arena;
use ndarray::Dimension;
use num_traits::Float;

use super::flat::{Flat, GatedDot, SquaredDistance};
use super::handle::Tensor;
use crate::kernels;
use crate::kernels::{Channels, Fibers, Fold, Moments, Sum, updates};
use crate::number::Scalar;
use crate::tape::OperationKind;

/// The groups of elements that are normalised together. Fibre i belongs to group i mod `count`.
#[derive(Clone, Copy)]
struct Groups {
    fibers: Fibers,
    count: usize,
}

impl Groups {
    /// The number of elements in a group.
    fn size(self) -> usize {
        self.fibers.n * self.repeats()
    }

    /// The number of fibres in a group.
    fn repeats(self) -> usize {
        self.fibers.count() / self.count.max(1)
    }

    /// `scale` times the fold over each group; `given` holds a number for each group.
    #[track_caller]
    fn fold<'a, F: Scalar, const M: usize>(
        self,
        arena: &'a Arena,
        fold: impl Fold<F, M>,
        x: [&[F]; M],
        given: Option<&[F]>,
        scale: F,
    ) -> &'a mut [F] {
        let given = given.map(|given| self.spread(arena, given));
        let parts = arena.alloc_slice_fill_copy(self.fibers.count(), F::zero());
        kernels::fold(fold, self.fibers, x, given, parts);
        let sums = if self.repeats() <= 1 {
            parts
        } else {
            let sums = arena.alloc_slice_fill_copy(self.count, F::zero());
            kernels::fold(Sum, Fibers { outer: 1, n: self.repeats(), inner: self.count }, [parts], None, sums);
            sums
        };
        for sum in &mut *sums {
            *sum *= scale;
        }
        sums
    }

    /// The places of the elements of a group.
    fn places(self, group: usize) -> impl Iterator<Item = usize> + Clone {
        (group..self.fibers.count()).step_by(self.count).flat_map(move |fiber| self.fibers.range(fiber))
    }

    /// The number of each fibre's group, from the numbers of the groups.
    #[track_caller]
    fn spread<'a, F: Scalar>(self, arena: &'a Arena, x: &'a [F]) -> &'a [F] {
        if self.repeats() <= 1 { x } else { arena.alloc_slice_fill_with(self.fibers.count(), |i| x[i % self.count]) }
    }
}

/// A normalised tensor, and the statistics of its groups.
pub(crate) struct Normalized<'t, F: Scalar, D> {
    pub(crate) y: Tensor<'t, F, D>,
    /// The mean of each group.
    pub(crate) mean: &'t [F],
    /// The variance of each group (divisor n).
    pub(crate) variance: &'t [F],
}

impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// The normalisation of each row, that is, of the elements along the last axis, to mean 0 and variance 1. With the
    /// mean μ and the variance v = Σ(xᵢ - μ)²/n of the row
    ///
    /// yᵢ = (xᵢ - μ) r, r = 1/√(v + ε)
    ///
    /// (Ba, Kiros and Hinton 2016, "Layer normalization", arXiv:1607.06450, equation 3). The number ε keeps r finite.
    /// Gain and bias are added by [`nn::LayerNorm`](crate::nn::LayerNorm).
    ///
    /// Pullback: dxᵢ = r (dyᵢ - mean dy - yᵢ mean(dy y)).
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let rows = ndarray::array![[1.0, 3.0], [-2.0, 2.0]];
    /// assert_eq!(tape.tensor(&rows).layer_norm(0.0).value(), ndarray::array![[-1.0, 1.0], [-1.0, 1.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no axis.
    #[track_caller]
    pub fn layer_norm(self, epsilon: F::Base) -> Self {
        let groups = self.rows("layer_norm");
        self.normalized("layer_norm", groups, true, epsilon).y
    }

    /// The division of each row, that is, of the elements along the last axis, by the root of its mean square:
    ///
    /// yᵢ = xᵢ r, r = 1/√(Σxⱼ²/n + ε)
    ///
    /// (Zhang and Sennrich 2019, "Root mean square layer normalization", arXiv:1910.07467,
    /// equation 4).
    ///
    /// Pullback: dxᵢ = r (dyᵢ - yᵢ mean(dy y)).
    ///
    /// # Panics
    ///
    /// If there is no axis.
    #[track_caller]
    pub fn rms_norm(self, epsilon: F::Base) -> Self {
        let groups = self.rows("rms_norm");
        self.normalized("rms_norm", groups, false, epsilon).y
    }

    /// Same as [`layer_norm`](Self::layer_norm), with the mean and the variance over all axes but the second, that of
    /// channels; times a gain, plus a bias of each channel, which have length 1 along the other axes.
    #[track_caller]
    pub(crate) fn channel_norm(self, gain: Self, bias: Self, epsilon: F::Base) -> Normalized<'t, F, D> {
        let (samples, channels) = (self.shape()[0], self.shape()[1]);
        let run = self.shape()[2..].iter().product();
        if run < SHORT {
            let fibers = if run == 1 {
                Fibers { outer: 1, n: samples, inner: channels }
            } else {
                Fibers { outer: samples * channels, n: run, inner: 1 }
            };
            let groups = Groups { fibers, count: channels };
            let normalized = self.normalized("channel_norm", groups, true, epsilon);
            return Normalized { y: normalized.y * gain + bias, ..normalized };
        }
        self.in_runs(Channels { samples, count: channels, run }, gain, bias, epsilon)
    }

    /// [`channel_norm`](Self::channel_norm) as one operation.
    #[track_caller]
    fn in_runs(self, channels: Channels, gain: Self, bias: Self, epsilon: F::Base) -> Normalized<'t, F, D> {
        let (operand, arena) = (Flat::new(self, "channel_norm"), self.tape.arena());
        let (x, gains, count) = (operand.x, gain.node.to_slice(self.tape, "channel_norm"), channels.count);
        let biases = bias.node.to_slice(self.tape, "channel_norm");
        let share = F::lit((channels.samples * channels.run) as f64).recip();
        let [mean, variance] = [0; 2].map(|_| arena.alloc_slice_fill_copy(count, F::zero()));
        kernels::channel_moments(channels, arena, x, share, mean, variance);
        let r = arena.alloc_slice_fill_with(count, |i| Float::sqrt(variance[i] + F::from_base(epsilon)).recip());
        let (z, y) = (operand.zeros(x.len()), operand.zeros(x.len()));
        kernels::normalize_channels(channels, x, [mean, r, gains, biases], z, y);
        for i in 0..count {
            if kernels::are_precise(mean[i], variance[i], epsilon) {
                continue;
            }
            let places = channels.runs(i).flat_map(|first| first..first + channels.run);
            make_precise([&mut mean[i], &mut variance[i], &mut r[i]], x, z, places.clone(), true, epsilon);
            places.for_each(|place| y[place] = z[place] * gains[i] + biases[i]);
        }
        let (z, r, mean, variance) = (&*z, &*r, &*mean, &*variance);
        let kind = OperationKind::binary("channel_norm", operand.source(), gain.node.source());
        let constant = operand.is_constant() && gain.is_constant() && bias.is_constant();
        let y = Self::result(self.tape, kind, self.dim(), y, constant, move |cotangents| {
            let arena = cotangents.arena;
            let [sums, products] = [0; 2].map(|_| arena.alloc_slice_fill_copy(count, F::zero()));
            kernels::channel_sums(channels, arena, cotangents.of_result, z, [&mut *sums, &mut *products]);
            bias.node.accumulate(&mut cotangents.of_operands, sums);
            gain.node.accumulate(&mut cotangents.of_operands, products);
            let scale = arena.alloc_slice_fill_with(count, |i| r[i] * gains[i]);
            sums.iter_mut().chain(&mut *products).for_each(|sum| *sum *= share);
            operand.node.write_with(cotangents, |dy, dx, update| {
                kernels::pull_channels(channels, dy, z, [scale, sums, products], dx, update);
            });
        });
        Normalized { y, mean, variance }
    }

    /// The rows along the last axis, each a group.
    #[track_caller]
    fn rows(self, operation: &str) -> Groups {
        let Some((&n, outer)) = self.shape().split_last() else {
            panic!("{operation}: rows run along the last axis, and a tensor of one element without axes has none");
        };
        let count = outer.iter().product();
        Groups { fibers: Fibers { outer: count, n, inner: 1 }, count }
    }

    #[track_caller]
    fn normalized(self, name: &'static str, groups: Groups, centered: bool, epsilon: F::Base) -> Normalized<'t, F, D> {
        let operand = Flat::new(self, name);
        let (x, arena) = (operand.x, self.tape.arena());
        let share = F::lit(groups.size() as f64).recip();
        let mean = if centered {
            groups.fold(arena, Sum, [x], None, share)
        } else {
            arena.alloc_slice_fill_copy(groups.count, F::zero())
        };
        let fibers = groups.fibers;
        let variance = groups.fold(arena, SquaredDistance, [x], Some(&*mean), share);
        let added = F::from_base(epsilon);
        let r = arena.alloc_slice_fill_with(variance.len(), |i| Float::sqrt(variance[i] + added).recip());
        let y = operand.zeros(x.len());
        kernels::update(Standardize, fibers, y, [x], [groups.spread(arena, mean), groups.spread(arena, r)]);
        for group in 0..variance.len() {
            if !kernels::are_precise(mean[group], variance[group], epsilon) {
                let moments = [&mut mean[group], &mut variance[group], &mut r[group]];
                make_precise(moments, x, y, groups.places(group), centered, epsilon);
            }
        }
        let (y, r, mean, variance) = (&*y, &*r, &*mean, &*variance);
        let kind = OperationKind::unary(name, operand.source());
        let result = Self::result(self.tape, kind, self.dim(), y, operand.is_constant(), move |cotangents| {
            let arena = cotangents.arena;
            operand.accumulate_with(cotangents, |dy, dx| {
                let mean_dy = if centered {
                    groups.fold(arena, Sum, [dy], None, share)
                } else {
                    arena.alloc_slice_fill_copy(groups.count, F::zero())
                };
                let mean_dy_y = groups.fold(arena, GatedDot, [dy, y], None, share);
                let given = [r, mean_dy, mean_dy_y].map(|given| groups.spread(arena, given));
                kernels::update(StandardizePullback, fibers, dx, [dy, y], given);
            });
        });
        Normalized { y: result, mean, variance }
    }
}

/// Normalises a group anew whose moments are not [precise](kernels::are_precise), and corrects mean, variance and r.
/// Elements are taken from x and written to y.
#[cold]
fn make_precise<F: Scalar>(
    [mean, variance, r]: [&mut F; 3],
    x: &[F],
    y: &mut [F],
    places: impl Iterator<Item = usize> + Clone,
    centered: bool,
    epsilon: F::Base,
) {
    let mut copy: Vec<F> = places.clone().map(|place| x[place]).collect();
    let share = F::lit(copy.len() as f64).recip();
    let Moments { unit, mean: center, square } = kernels::moments(&mut copy, centered);
    // The root of variance and ε, in the unit.
    let spread = Float::hypot(Float::sqrt(square * share), Float::sqrt(F::from_base(epsilon)) / unit);
    places.zip(copy).for_each(|(place, distance)| y[place] = distance / spread);
    (*mean, *variance) = (center * unit, square * share * unit * unit);
    *r = spread.recip() / unit;
}

/// The elements of a channel in a sample from which on one operation normalises them.
const SHORT: usize = 8;

updates! {
    /// y = (x - mean) r.
    struct Standardize<1, 2>, |_, [x], [mean, r]| (x - mean) * r;
    /// dx += r (dy - mean dy - y mean(dy y)).
    struct StandardizePullback<2, 3>, |dx, [dy, y], [r, mean_dy, mean_dy_y]| dx + (dy - mean_dy - mean_dy_y.gated_mul(y)).gated_mul(r);
}
