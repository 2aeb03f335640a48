//! Operands as slices, for reductions, losses and normalisations, and the folds that these share.

use ndarray::Dimension;

use super::handle::{Node, Tensor};
use crate::kernels;
use crate::kernels::{Fibers, UnaryLoops, folds, updates};
use crate::number::{Scalar, gap, rules};
use crate::tape::{Cotangents, OperandInfo, Tape};

/// A tensor whose elements are one slice, in row-major order or in the order of memory.
pub(super) struct Flat<'t, F: Scalar, D> {
    pub(super) tape: &'t Tape<F>,
    pub(super) node: &'t Node<'t, F, D>,
    pub(super) x: &'t [F],
    /// The operation that reads the elements.
    operation: &'static str,
    /// The slot of `x[0]`, if `x` is the node's memory in another order than row-major.
    run: Option<usize>,
}

impl<'t, F: Scalar, D: Dimension> Flat<'t, F, D> {
    pub(super) fn source(self) -> OperandInfo<'t> {
        self.node.source()
    }
}

impl<F: Scalar, D> Clone for Flat<'_, F, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Scalar, D> Copy for Flat<'_, F, D> {}

impl<'t, F: Scalar, D: Dimension> Flat<'t, F, D> {
    /// The elements in row-major order; copied if they are not contiguous in that order.
    #[track_caller]
    pub(super) fn new(tensor: Tensor<'t, F, D>, operation: &'static str) -> Self {
        let (tape, node) = (tensor.tape, tensor.node);
        Self { tape, node, x: node.to_slice(tape, operation), operation, run: None }
    }

    /// The elements in the order of memory, so that a transposed or flipped operand is not copied.
    #[track_caller]
    pub(super) fn unordered(tensor: Tensor<'t, F, D>, operation: &'static str) -> Self {
        let (tape, node) = (tensor.tape, tensor.node);
        match node.values.to_slice_memory_order() {
            Some(x) if !x.is_empty() => {
                let place = (x.as_ptr() as usize - node.storage.as_ptr() as usize) / size_of::<F>();
                Self { tape, node, x, operation, run: Some(node.slot() + place) }
            }
            _ => Self::new(tensor, operation),
        }
    }

    pub(super) fn is_constant(self) -> bool {
        self.node.is_constant()
    }

    /// `len` zeros in the tape's arena.
    #[track_caller]
    pub(super) fn zeros(self, len: usize) -> &'t mut [F] {
        self.tape.arena().filled(self.operation, &[len], len, F::zero())
    }

    /// Calls `add(cotangent of the result, buffer)`, which adds the operand's cotangent to the buffer, in the order of
    /// `x`. Does nothing for a constant.
    pub(super) fn accumulate_with(self, cotangents: &mut Cotangents<'_, F>, add: impl FnOnce(&[F], &mut [F])) {
        match self.run {
            Some(first) if !self.is_constant() => {
                add(cotangents.of_result, cotangents.of_operands.run(first..first + self.x.len()));
            }
            _ => self.node.accumulate_with(cotangents, add),
        }
    }
}

/// The results of [`kernels::exponentials`]: of each fibre the largest element m and Σe^(x - m), and e^(x - m) of each
/// element.
pub(super) struct Exponentials<'t, F> {
    pub(super) largest: &'t [F],
    pub(super) e: &'t mut [F],
    pub(super) total: &'t [F],
}

#[track_caller]
pub(super) fn exponentials<F: Scalar, D: Dimension>(operand: Flat<'_, F, D>, fibers: Fibers) -> Exponentials<'_, F> {
    let largest = operand.zeros(fibers.count());
    let total = operand.zeros(fibers.count());
    let e = operand.zeros(fibers.len());
    kernels::exponentials(fibers, operand.x, largest, e, total);
    Exponentials { largest, e, total }
}

impl<F: Scalar> Exponentials<'_, F> {
    /// The logarithms of the probabilities e^(x - m) / Σe^(x - m): (x - m) - ln Σe^(x - m).
    #[track_caller]
    pub(super) fn ln<'t, D: Dimension>(&self, operand: Flat<'t, F, D>, fibers: Fibers) -> &'t mut [F] {
        let ln_total = operand.zeros(fibers.count());
        rules::ln::new().map(self.total, ln_total);
        let y = operand.zeros(fibers.len());
        kernels::update(LogShare, fibers, y, [operand.x], [self.largest, ln_total]);
        y
    }
}

folds! {
    /// Σ(x - centre)²
    pub(super) struct SquaredDistance<1>: term |[x], center| (x - center) * (x - center);
    /// Σab, where an exact 0 times infinity or NaN is 0.
    pub(super) struct GatedDot<2> precompiled: term |[a, b], _| a.gated_mul(b);
}

updates! {
    /// ln softmax(x)
    struct LogShare<1, 2>, |_, [x], [largest, ln_total]| gap(x, largest) - ln_total;
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayView3, Axis, Ix3, array, s};

    use crate::tape::Tape;
    use crate::tensor::Tensor;

    type View = for<'a> fn(ArrayView3<'a, f64>) -> ArrayView3<'a, f64>;
    type Loss = for<'t> fn(Tensor<'t, f64, Ix3>) -> crate::scalar::Var<'t, f64>;

    /// Views with gaps: value and gradient are those of the same function of a copy, and elements that the view does
    /// not show have derivative 0.
    #[test]
    fn views_of_a_tensor() {
        let a = array![[[0.5, -1.0, 2.0, 0.3], [1.5, 0.7, -0.2, 0.9]], [[-0.6, 1.1, 0.4, -1.3], [0.2, -0.8, 1.7, 1.2]]];
        let views: [View; 4] = [
            |a| a.slice_move(s![.., .., ..;2]),
            |a| a.slice_move(s![..;-1, 1.., ..;-3]),
            |a| a.permuted_axes([2, 0, 1]).slice_move(s![1..3, .., ..]),
            |a| a.permuted_axes([1, 2, 0]),
        ];
        let losses: [Loss; 14] = [
            |x| x.sum() * 2.0,
            |x| x.mean(),
            |x| x.product(),
            |x| x.max() - x.min(),
            |x| x.var(1.0),
            |x| x.std(0.0) + x.norm(),
            |x| x.log_sum_exp(),
            |x| x.sum_axis(Axis(1)).square().sum(),
            |x| x.max_axis(Axis(0)).exp().sum(),
            |x| x.product_axis(Axis(2)).exp().sum(),
            |x| x.norm_axis(Axis(1)).exp().sum(),
            |x| x.softmax(Axis(2)).square().sum(),
            |x| x.log_softmax(Axis(0)).square().sum(),
            |x| x.mse(x.detach() * 0.5) + x.bce_with_logits(x),
        ];
        for view in views {
            for loss in losses {
                let tape = Tape::new();
                let x = tape.tensor(&a);
                let y = loss(x.with_view(view(x.value())));
                let copy = view(a.view()).to_owned();
                let z = tape.tensor(&copy);
                let want = loss(z);
                assert!((y.value() - want.value()).abs() < 1e-14);
                let (got, want) = (y.backward().wrt(x), want.backward().wrt(z));
                let shown = view(got.view());
                assert!((&shown - &want).iter().all(|d| d.abs() < 1e-14));
                // The elements that the view skips have derivative 0.
                let total: f64 = got.iter().map(|g| g.abs()).sum();
                assert!((total - want.iter().map(|g| g.abs()).sum::<f64>()).abs() < 1e-13);
            }
        }
    }

    /// An element that a broadcast view repeats gets the sum of the cotangents of its repetitions.
    #[test]
    fn repeated_elements() {
        let a = array![1.0, 2.0, 4.0];
        let tape = Tape::new();
        let x = tape.tensor(&a);
        let Some(values) = x.node.values.broadcast((2, 3)) else {
            panic!("shape [3] broadcasts to [2, 3]");
        };
        let y = x.with_view(values);
        assert_eq!(y.sum().backward().wrt(x), array![2.0, 2.0, 2.0]);
        assert_eq!(y.max().backward().wrt(x), array![0.0, 0.0, 1.0]);
        let squares = y.sum_axis(Axis(0)).square().sum();
        assert_eq!(squares.backward().wrt(x), array![8.0, 16.0, 32.0]);
        let products = y.product_axis(Axis(0)).sum();
        assert_eq!(products.backward().wrt(x), array![2.0, 4.0, 8.0]);
        assert_eq!(y.mse(0.0).backward().wrt(x) * 3.0, array![2.0, 4.0, 8.0]);
    }
}
