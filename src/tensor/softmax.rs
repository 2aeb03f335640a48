//! Softmax along an axis, of all elements or of those that a mask shows, and its logarithm.

use ndarray::{ArrayBase, Axis, Data, Dimension};

use super::flat::{Exponentials, GatedDot};
use super::handle::Tensor;
use super::reduce::Reduction;
use crate::kernels::{self, Divide, Sum, updates};
use crate::number::Scalar;

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// The probabilities pᵢ = e^xᵢ / Σe^xⱼ along an axis, shifted so that nothing overflows.
    ///
    /// Partials: ∂pᵢ/∂xⱼ = pᵢ(δᵢⱼ - pⱼ).
    ///
    /// An element -∞ has probability 0. If the largest element is infinite, all elements equal to it have the same
    /// probability, the limit of equal finite elements: a single +∞ has probability 1, and in a row of n elements -∞
    /// (every one masked) each has 1/n.
    ///
    /// ```
    /// use ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let a = array![[0.0, 0.0], [1000.0, 0.0], [5.0, f64::NEG_INFINITY]];
    /// let p = tape.tensor(&a).softmax(Axis(1));
    /// assert_eq!(p.value(), array![[0.5, 0.5], [1.0, 0.0], [1.0, 0.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the axis is out of range.
    #[track_caller]
    pub fn softmax(self, axis: Axis) -> Self {
        self.mapped_along(axis, "softmax").softmax()
    }

    /// The [`softmax`](Self::softmax) along an axis of the elements at which the mask is true; the others have probability 0
    /// and get no cotangent, whatever they are. Where the mask is false all along the axis, all probabilities are 0, and so
    /// are their derivatives. The mask broadcasts to the tensor's shape.
    ///
    /// ```
    /// use ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let a = array![[0.0, f64::NAN, 0.0], [1.0, 2.0, 3.0]];
    /// let x = tape.tensor(&a);
    /// let p = x.softmax_where(Axis(1), &array![[true, false, true], [false, false, false]]);
    /// assert_eq!(p.value(), array![[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]);
    /// assert_eq!(p.at([0, 0]).backward().wrt(x), array![[0.25, 0.0, -0.25], [0.0, 0.0, 0.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the axis is out of range, or the mask does not broadcast.
    #[doc(alias("masked_softmax"))]
    #[track_caller]
    pub fn softmax_where<M: Dimension>(self, axis: Axis, mask: &ArrayBase<impl Data<Elem = bool>, M>) -> Self {
        let Some(mask) = mask.broadcast(self.dim()) else {
            panic!(
                "softmax_where: a mask of shape {:?} does not broadcast to the tensor's shape {:?}",
                mask.shape(),
                self.shape()
            );
        };
        let mask = &*self.tape().arena().alloc_slice_fill_iter(mask.iter().copied());
        self.softmax_of(axis, |i| mask[i])
    }

    /// The same with a function instead of a mask: true if the i-th element in row-major order is seen.
    #[track_caller]
    pub(crate) fn softmax_of(self, axis: Axis, is_seen: impl Fn(usize) -> bool) -> Self {
        self.mapped_along(axis, "softmax_where").softmax_of(is_seen)
    }

    /// The logarithms xᵢ - ln Σe^xⱼ of the [`softmax`](Self::softmax) along an axis, accurate even where the softmax
    /// underflows.
    ///
    /// Partials: ∂yᵢ/∂xⱼ = δᵢⱼ - e^yⱼ.
    ///
    /// # Panics
    ///
    /// If the axis is out of range.
    #[track_caller]
    pub fn log_softmax(self, axis: Axis) -> Self {
        self.mapped_along(axis, "log_softmax").log_softmax()
    }
}

impl<'t, F: Scalar, D: Dimension + 't, E: Dimension> Reduction<'t, F, D, E> {
    #[track_caller]
    fn softmax(self) -> Tensor<'t, F, E> {
        let Exponentials { e: y, total, .. } = self.exponentials();
        kernels::update(Divide, self.fibers, y, [], [total]);
        self.record_softmax(y)
    }

    #[track_caller]
    fn softmax_of(self, is_seen: impl Fn(usize) -> bool) -> Tensor<'t, F, E> {
        let fibers = self.fibers;
        let x = self.operand.zeros(fibers.len());
        for (i, (x, &from)) in x.iter_mut().zip(self.operand.x).enumerate() {
            *x = if is_seen(i) { from } else { F::neg_infinity() };
        }
        let (largest, total, y) =
            (self.operand.zeros(fibers.count()), self.operand.zeros(fibers.count()), self.operand.zeros(fibers.len()));
        kernels::exponentials(fibers, x, largest, y, total);
        if largest.iter().any(|&largest| largest == F::neg_infinity()) {
            // Where nothing is seen, or -∞ only, the elements that are not seen have e^0.
            y.iter_mut().enumerate().filter(|(i, _)| !is_seen(*i)).for_each(|(_, y)| *y = F::zero());
            kernels::fold(Sum, fibers, [y], None, total);
            total.iter_mut().filter(|total| total.is_exact_zero()).for_each(|total| *total = F::one());
        }
        kernels::update(Divide, fibers, y, [], [total]);
        self.record_softmax(y)
    }

    #[track_caller]
    fn record_softmax(self, y: &'t [F]) -> Tensor<'t, F, E> {
        let fibers = self.fibers;
        self.record(y, move |dy, dx, arena| {
            let mean = arena.alloc_slice_fill_copy(fibers.count(), F::zero());
            kernels::fold(GatedDot, fibers, [dy, y], None, mean);
            kernels::update(SoftmaxPullback, fibers, dx, [dy, y], [mean]);
        })
    }

    #[track_caller]
    fn log_softmax(self) -> Tensor<'t, F, E> {
        let (operand, fibers) = (self.operand, self.fibers);
        let exponentials = self.exponentials();
        let y = exponentials.ln(operand, fibers);
        let Exponentials { e, total, .. } = exponentials;
        self.record(y, move |dy, dx, arena| {
            let flow = arena.alloc_slice_fill_copy(fibers.count(), F::zero());
            kernels::fold(Sum, fibers, [dy], None, flow);
            kernels::update(LogSoftmaxPullback, fibers, dx, [dy, e], [flow, total]);
        })
    }
}

updates! {
    /// y = softmax(x): dxᵢ += yᵢ (dyᵢ - Σ yⱼ dyⱼ).
    struct SoftmaxPullback<2, 1> precompiled, |dx, [dy, y], [mean]| dx + y.gated_mul(dy - mean);
    /// y = ln softmax(x): dxᵢ += dyᵢ - softmax(x)ᵢ Σ dyⱼ.
    struct LogSoftmaxPullback<2, 2>, |dx, [dy, e], [flow, total]| dx + (dy - flow.gated_mul(e / total));
}
