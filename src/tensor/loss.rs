//! Losses. Each is one operation that computes the loss of every element and the mean together.
//!
//! The prediction and the target must have the same shape. A target `[n]` and a prediction `[n, 1]` would broadcast to
//! `[n, n]` and silently train a wrong model, so such a pair is refused.

use std::fmt::Display;

use ndarray::{Array, ArrayBase, ArrayView, Axis, Data, Dimension, Ix0, Ix2};
use num_traits::{Float, PrimInt};

use super::constant::Embed;
use super::flat::{Exponentials, Flat, exponentials};
use super::handle::Tensor;
use crate::kernels;
use crate::kernels::{Divide, FiberUpdate, Fibers, Fold, Sum, UnaryLoops, folds, precompiled_loop, updates};
use crate::number::macros::for_each_dual;
use crate::number::{Dual, Real, Scalar, Wrap, gap};
use crate::scalar::Var;
use crate::sealed::Seal;
use crate::tape::{Cotangents, OperationKind, SINK};

/// A target that a loss can compare with a prediction: a tensor, array or view of the prediction's shape, or a number
/// or [`Var`], which stands for every element.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the target of a prediction of `{F}`",
    note = "a target is a tensor or an array of the prediction's number type and number of axes, or one number; for \
            class indices there is `softmax_cross_entropy`"
)]
pub trait Target<'t, F: Scalar, D: Dimension> {
    /// The target as a tensor of the prediction's shape.
    #[doc(hidden)]
    fn against(self, prediction: Tensor<'t, F, D>, loss: &str, _: Seal) -> Tensor<'t, F, D>;
}

impl<'t, F: Scalar, D: Dimension> Target<'t, F, D> for Tensor<'t, F, D> {
    #[track_caller]
    fn against(self, prediction: Tensor<'t, F, D>, loss: &str, _: Seal) -> Tensor<'t, F, D> {
        prediction.assert_same_tape(self);
        assert!(
            prediction.shape() == self.shape(),
            "{loss}: the prediction has shape {:?} and the target {:?}; a target is not broadcast, reshape it",
            prediction.shape(),
            self.shape()
        );
        self
    }
}

macro_rules! array_target {
    ([$($generics:tt)*] $array:ty) => {
        impl<'t, F: Scalar, D: Dimension + 't, A: Embed<F>, $($generics)*> Target<'t, F, D> for $array {
            #[track_caller]
            fn against(self, prediction: Tensor<'t, F, D>, loss: &str, _: Seal) -> Tensor<'t, F, D> {
                prediction.tape.constant(self).against(prediction, loss, Seal)
            }
        }
    };
}
array_target! { [S: Data<Elem = A>] &'t ArrayBase<S, D> }
array_target! { [] ArrayView<'t, A, D> }
array_target! { [] Array<A, D> }

impl<'t, F: Scalar, D: Dimension> Target<'t, F, D> for Var<'t, F> {
    #[track_caller]
    fn against(self, prediction: Tensor<'t, F, D>, _: &str, _: Seal) -> Tensor<'t, F, D> {
        let target = self.to_tensor(prediction.tape);
        let values: ArrayView<'t, F, D> =
            target.node.values.broadcast(prediction.dim()).expect("one element fits any shape");
        target.with_view(values)
    }
}

impl<'t, F: Scalar, D: Dimension> Target<'t, F, D> for F {
    #[track_caller]
    fn against(self, prediction: Tensor<'t, F, D>, loss: &str, _: Seal) -> Tensor<'t, F, D> {
        let tape = prediction.tape;
        let storage = tape.arena().values(loss, prediction.shape(), self);
        let values = ArrayView::from_shape(prediction.dim(), &*storage);
        let values = values.expect("as many elements as the prediction has");
        Tensor::over(tape, values, storage, SINK)
    }
}

macro_rules! base_target {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        impl<'t, $($generics)*, D: Dimension> Target<'t, $number, D> for $base {
            #[track_caller]
            fn against(self, prediction: Tensor<'t, $number, D>, loss: &str, _: Seal) -> Tensor<'t, $number, D> {
                <$number>::from_base(self).against(prediction, loss, Seal)
            }
        }
    };
}
for_each_dual! { base_target }

/// The loss of one element, and its partials with respect to the prediction and the target.
trait Pointwise<F: Scalar>: Copy {
    fn loss<L: Wrap<F>>(self, x: L, target: L) -> L;
    fn d_prediction<L: Wrap<F>>(self, x: L, target: L) -> L;
    fn d_target<L: Wrap<F>>(self, x: L, target: L) -> L;
}

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// The mean squared error Σ(xᵢ - tᵢ)² / n over all n elements.
    ///
    /// Partials: 2(xᵢ - tᵢ)/n and its negative.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let (a, target) = (ndarray::array![1.0, 4.0], ndarray::array![1.0, 2.0]);
    /// let x = tape.tensor(&a);
    /// let loss = x.mse(&target);
    /// assert_eq!(loss.value(), 2.0);
    /// assert_eq!(loss.backward().wrt(x), ndarray::array![0.0, 2.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the target has another shape or is of another tape, or the prediction is empty.
    #[doc(alias("mse_loss"))]
    #[track_caller]
    pub fn mse(self, target: impl Target<'t, F, D>) -> Var<'t, F> {
        self.mean_loss(Squared, target, "mse")
    }

    /// The mean absolute error Σ|xᵢ - tᵢ| / n over all n elements.
    ///
    /// Partials: sign(xᵢ - tᵢ)/n, which is 0 where xᵢ = tᵢ, and its negative.
    ///
    /// # Panics
    ///
    /// Same as for [`mse`](Self::mse).
    #[doc(alias("l1_loss"))]
    #[track_caller]
    pub fn mae(self, target: impl Target<'t, F, D>) -> Var<'t, F> {
        self.mean_loss(Absolute, target, "mae")
    }

    /// The mean over all elements of the Huber loss of d = xᵢ - tᵢ: d²/2 for |d| ≤ δ, else
    /// δ(|d| - δ/2) (Huber, Annals of Mathematical Statistics 35, 1964).
    ///
    /// Partials: d/n limited to [-δ/n, δ/n], and its negative.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![0.5, -3.0];
    /// let x = tape.tensor(&a);
    /// let loss = x.huber(0.0, 1.0);
    /// assert_eq!(loss.value(), (0.125 + 2.5) / 2.0);
    /// assert_eq!(loss.backward().wrt(x), ndarray::array![0.25, -0.5]);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`mse`](Self::mse), and if δ is not positive.
    #[doc(alias("smooth_l1_loss"))]
    #[track_caller]
    pub fn huber(self, target: impl Target<'t, F, D>, delta: F::Base) -> Var<'t, F> {
        assert!(delta > num_traits::zero(), "huber: delta = {delta} is not positive");
        self.mean_loss(Huber(F::from_base(delta)), target, "huber")
    }

    /// The mean over all elements of the binary cross-entropy -t ln σ(x) - (1 - t) ln(1 - σ(x)) of
    /// logits x and targets t in [0, 1]. To avoid overflow and cancellation the loss is evaluated as
    /// |x|(1 - t) + ln(1 + e^-|x|) if x is positive, else |x|t + ln(1 + e^-|x|).
    ///
    /// Partials: (σ(xᵢ) - tᵢ)/n and -xᵢ/n.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let (a, target) = (ndarray::array![800.0, -800.0, 0.0], ndarray::array![1.0, 0.0, 1.0]);
    /// let x = tape.tensor(&a);
    /// let loss = x.bce_with_logits(&target);
    /// assert_eq!(loss.value(), 2_f64.ln() / 3.0);
    /// assert_eq!(loss.backward().wrt(x), ndarray::array![0.0, 0.0, -0.5 / 3.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`mse`](Self::mse).
    #[doc(alias("binary_cross_entropy"))]
    #[track_caller]
    pub fn bce_with_logits(self, target: impl Target<'t, F, D>) -> Var<'t, F> {
        self.mean_loss(BceWithLogits, target, "bce_with_logits")
    }

    /// The mean of a loss over all elements, as one operation.
    #[track_caller]
    fn mean_loss<P: Copy + 't>(self, loss: P, target: impl Target<'t, F, D>, name: &'static str) -> Var<'t, F>
    where
        LossSum<P>: Fold<F, 2>,
        PredictionPullback<P>: FiberUpdate<F, 2, 1>,
        TargetPullback<P>: FiberUpdate<F, 2, 1>,
    {
        self.assert_prediction(name);
        let attempt = self.tape.records().attempt();
        let target = Flat::new(self.target(target, name), name);
        let prediction = Flat::new(self, name);
        let (x, t) = (prediction.x, target.x);
        let fibers = Fibers::whole(x.len());
        let n = F::lit(x.len() as f64);
        let y = prediction.zeros(1);
        kernels::fold(LossSum(loss), fibers, [x, t], None, y);
        y[0] /= n;
        let constant = prediction.is_constant() && target.is_constant();
        let kind = OperationKind::binary(name, self.node.source(), target.source());
        let result = Tensor::result(self.tape, kind, Ix0(), y, constant, move |cotangents| {
            // One after the other: the prediction and the target may share slots.
            prediction.accumulate_with(cotangents, |dy, dx| {
                kernels::update(PredictionPullback(loss), fibers, dx, [x, t], [&[dy[0] / n]]);
            });
            target.accumulate_with(cotangents, |dy, dt| {
                kernels::update(TargetPullback(loss), fibers, dt, [x, t], [&[dy[0] / n]]);
            });
        });
        attempt.keep();
        result.into_var()
    }

    /// The target as a tensor of the prediction's shape, on the prediction's tape.
    #[track_caller]
    fn target(self, target: impl Target<'t, F, D>, loss: &str) -> Self {
        target.against(self, loss, Seal)
    }

    #[track_caller]
    fn assert_prediction(self, loss: &str) {
        assert!(!self.is_empty(), "{loss}: the prediction of shape {:?} is empty, so there is no mean", self.shape());
    }
}

/// Σ loss(x, t).
#[derive(Clone, Copy)]
struct LossSum<P>(P);

/// dx += dy · ∂loss/∂x.
#[derive(Clone, Copy)]
struct PredictionPullback<P>(P);

/// dt += dy · ∂loss/∂t.
#[derive(Clone, Copy)]
struct TargetPullback<P>(P);

/// The loops of losses, for each one apart: generic over the loss they would be compiled by callers.
macro_rules! pointwise {
    ($($Loss:ty),+) => { $(
        impl<F: Scalar> Fold<F, 2> for LossSum<$Loss> {
            #[inline(always)]
            fn term<L: Wrap<F>>(self, [x, t]: [L; 2], _: L) -> L {
                Pointwise::<F>::loss(self.0, x, t)
            }
            precompiled_loop! { (precompiled) fold F, 2, LossSum<$Loss> }
        }
        impl<F: Scalar> FiberUpdate<F, 2, 1> for PredictionPullback<$Loss> {
            #[inline(always)]
            fn update<L: Wrap<F>>(self, dx: L, [x, t]: [L; 2], [dy]: [L; 1]) -> L {
                dx + dy.gated_mul(Pointwise::<F>::d_prediction(self.0, x, t))
            }
            precompiled_loop! { (precompiled) update F, 2, 1, PredictionPullback<$Loss> }
        }
        impl<F: Scalar> FiberUpdate<F, 2, 1> for TargetPullback<$Loss> {
            #[inline(always)]
            fn update<L: Wrap<F>>(self, dt: L, [x, t]: [L; 2], [dy]: [L; 1]) -> L {
                dt + dy.gated_mul(Pointwise::<F>::d_target(self.0, x, t))
            }
            precompiled_loop! { (precompiled) update F, 2, 1, TargetPullback<$Loss> }
        }
    )+ };
}
pointwise! { Squared, Absolute, Huber<F>, BceWithLogits }

#[derive(Clone, Copy)]
struct Squared;
impl<F: Scalar> Pointwise<F> for Squared {
    #[inline(always)]
    fn loss<L: Wrap<F>>(self, x: L, t: L) -> L {
        (x - t) * (x - t)
    }
    #[inline(always)]
    fn d_prediction<L: Wrap<F>>(self, x: L, t: L) -> L {
        L::lit(2.0) * (x - t)
    }
    #[inline(always)]
    fn d_target<L: Wrap<F>>(self, x: L, t: L) -> L {
        L::lit(2.0) * (t - x)
    }
}

#[derive(Clone, Copy)]
struct Absolute;
impl<F: Scalar> Pointwise<F> for Absolute {
    #[inline(always)]
    fn loss<L: Wrap<F>>(self, x: L, t: L) -> L {
        Float::abs(x - t)
    }
    #[inline(always)]
    fn d_prediction<L: Wrap<F>>(self, x: L, t: L) -> L {
        let d = x - t;
        if d > L::zero() {
            L::one()
        } else if d < L::zero() {
            -L::one()
        } else {
            d * L::zero() // 0, or NaN
        }
    }
    #[inline(always)]
    fn d_target<L: Wrap<F>>(self, x: L, t: L) -> L {
        Pointwise::<F>::d_prediction(self, t, x)
    }
}

#[derive(Clone, Copy)]
struct Huber<F>(F);
impl<F: Scalar> Pointwise<F> for Huber<F> {
    #[inline(always)]
    fn loss<L: Wrap<F>>(self, x: L, t: L) -> L {
        let (size, delta, half) = (Float::abs(x - t), L::wrap(self.0), L::lit(0.5));
        if size <= delta { half * size * size } else { delta * (size - half * delta) }
    }
    #[inline(always)]
    fn d_prediction<L: Wrap<F>>(self, x: L, t: L) -> L {
        let (d, delta) = (x - t, L::wrap(self.0));
        if d > delta {
            delta
        } else if d < -delta {
            -delta
        } else {
            d
        }
    }
    #[inline(always)]
    fn d_target<L: Wrap<F>>(self, x: L, t: L) -> L {
        self.d_prediction(t, x)
    }
}

#[derive(Clone, Copy)]
struct BceWithLogits;
impl<F: Scalar> Pointwise<F> for BceWithLogits {
    #[inline(always)]
    fn loss<L: Wrap<F>>(self, x: L, t: L) -> L {
        // |x|, but with the derivative -1 at 0 on a tape of dual numbers.
        let size = if x > L::zero() { x } else { -x };
        let miss = if x > L::zero() { L::one() - t } else { t };
        size.gated_mul(miss) + Float::ln_1p(Float::exp(-size))
    }
    /// σ(x) - t, computed from the smaller of σ(x) and 1 - σ(x), which keeps its digits.
    #[inline(always)]
    fn d_prediction<L: Wrap<F>>(self, x: L, t: L) -> L {
        let e = Float::exp(if x > L::zero() { -x } else { x });
        let small = e / (L::one() + e);
        if x > L::zero() { (L::one() - t) - small } else { small - t }
    }
    #[inline(always)]
    fn d_target<L: Wrap<F>>(self, x: L, _: L) -> L {
        -x
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix2> {
    /// The mean over the rows r of the cross-entropy -ln softmax(xᵣ)\[labelᵣ\], of logits `[batch, classes]` and the
    /// index of a class for each row.
    ///
    /// Partials: (softmax(xᵣ)ⱼ - δ(j, labelᵣ)) / batch (Bishop, Pattern Recognition and Machine
    /// Learning, 2006, section 4.3.4). Infinite logits are treated as in [`softmax`](Tensor::softmax); the loss
    /// is +∞ if the probability of a label is 0.
    ///
    /// The labels can have any primitive integer type.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![[0.0, 0.0], [1000.0, 0.0]];
    /// let logits = tape.tensor(&a);
    /// let loss = logits.softmax_cross_entropy(&[1, 0]);
    /// assert_eq!(loss.value(), 2_f64.ln() / 2.0);
    /// assert_eq!(loss.backward().wrt(logits), ndarray::array![[0.25, -0.25], [0.0, 0.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the batch is empty, the number of labels is not the number of rows, or a label is not in 0..classes.
    #[doc(alias("cross_entropy", "nll_loss"))]
    #[track_caller]
    pub fn softmax_cross_entropy<I: PrimInt + Display>(self, labels: &[I]) -> Var<'t, F> {
        const NAME: &str = "softmax_cross_entropy";
        self.assert_prediction(NAME);
        let (batch, classes) = self.dim().into_pattern();
        self.assert_labels(labels, NAME);
        let operand = Flat::new(self, NAME);
        let fibers = Fibers::along(1, self.shape());
        let Exponentials { largest, e, total } = exponentials(operand, fibers);

        let losses = operand.zeros(batch);
        crate::number::rules::ln::new().map(total, losses);
        kernels::update(Divide, fibers, e, [], [total]);
        let rows = losses.iter_mut().zip(largest).zip(labels).enumerate();
        for (r, ((loss, &largest), &label)) in rows {
            let place = r * classes + class(label, classes).expect("checked above");
            *loss -= gap(operand.x[place], largest);
            e[place] -= F::one();
        }
        let residual = &*e;

        let y = operand.zeros(1);
        kernels::fold(Sum, Fibers::whole(batch), [losses], None, y);
        let n = F::lit(batch as f64);
        y[0] /= n;
        let kind = OperationKind::unary(NAME, self.node.source());
        Tensor::result(self.tape, kind, Ix0(), y, self.is_constant(), move |cotangents| {
            operand.accumulate_with(cotangents, |dy, dx| {
                let whole = Fibers::whole(residual.len());
                kernels::update(Axpy, whole, dx, [residual], [&[dy[0] / n]]);
            });
        })
        .into_var()
    }

    /// The mean over the rows r of the cross-entropy -Σⱼ qᵣⱼ ln softmax(xᵣ)ⱼ, of logits x and probabilities q, both of
    /// shape `[batch, classes]`. The term of a probability 0 is 0, even if the logit is infinite.
    ///
    /// Partials: (softmax(xᵣ)ⱼ Σₖqᵣₖ - qᵣⱼ) / batch, and -ln softmax(xᵣ)ⱼ / batch.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let (a, q) = (ndarray::array![[0.0, 0.0]], ndarray::array![[0.25, 0.75]]);
    /// let logits = tape.tensor(&a);
    /// let loss = logits.softmax_cross_entropy_with(&q);
    /// assert_eq!(loss.value(), 2_f64.ln());
    /// assert_eq!(loss.backward().wrt(logits), ndarray::array![[0.25, -0.25]]);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`mse`](Tensor::mse).
    #[track_caller]
    pub fn softmax_cross_entropy_with(self, probabilities: impl Target<'t, F, Ix2>) -> Var<'t, F> {
        const NAME: &str = "softmax_cross_entropy_with";
        self.assert_prediction(NAME);
        let attempt = self.tape.records().attempt();
        let target = Flat::new(self.target(probabilities, NAME), NAME);
        let prediction = Flat::new(self, NAME);
        let q = target.x;
        let fibers = Fibers::along(1, self.shape());
        let exponentials = exponentials(prediction, fibers);
        let ln_p = &*exponentials.ln(prediction, fibers);
        let p = exponentials.e;
        kernels::update(Divide, fibers, p, [], [exponentials.total]);
        let p = &*p;
        let mass = prediction.zeros(fibers.count());
        kernels::fold(Sum, fibers, [q], None, mass);
        let mass = &*mass;

        let whole = Fibers::whole(q.len());
        let y = prediction.zeros(1);
        kernels::fold(CrossEntropy, whole, [q, ln_p], None, y);
        let n = F::lit(fibers.count() as f64);
        y[0] /= n;
        let constant = prediction.is_constant() && target.is_constant();
        let kind = OperationKind::binary(NAME, self.node.source(), target.source());
        let result = Tensor::result(self.tape, kind, Ix0(), y, constant, move |cotangents: &mut Cotangents<'_, F>| {
            prediction.accumulate_with(cotangents, |dy, dx| {
                kernels::update(CrossEntropyPullback(dy[0] / n), fibers, dx, [p, q], [mass]);
            });
            target.accumulate_with(cotangents, |dy, dq| {
                kernels::update(Axpy, whole, dq, [ln_p], [&[-dy[0] / n]]);
            });
        });
        attempt.keep();
        result.into_var()
    }

    /// The fraction of rows of logits `[batch, classes]` in which the largest element is that of the label. This number
    /// has no derivative.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = ndarray::array![[0.1, 0.9], [0.8, 0.2]];
    /// assert_eq!(tape.constant(&a).accuracy(&[1, 1]), 0.5);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`softmax_cross_entropy`](Self::softmax_cross_entropy).
    #[track_caller]
    pub fn accuracy<I: PrimInt + Display>(self, labels: &[I]) -> f64 {
        self.assert_prediction("accuracy");
        self.assert_labels(labels, "accuracy");
        let classes = self.shape()[1];
        let best = self.argmax_axis(Axis(1));
        let pairs = best.iter().zip(labels);
        let hits = pairs.filter(|&(&best, &label)| class(label, classes) == Some(best));
        hits.count() as f64 / labels.len() as f64
    }

    #[track_caller]
    fn assert_labels<I: PrimInt + Display>(self, labels: &[I], operation: &str) {
        let (batch, classes) = self.dim().into_pattern();
        assert!(
            labels.len() == batch,
            "{operation}: {} labels for logits of shape {:?}, which have {batch} rows",
            labels.len(),
            self.shape()
        );
        for (r, &label) in labels.iter().enumerate() {
            assert!(
                class(label, classes).is_some(),
                "{operation}: the label of row {r} is {label}; logits of shape {:?} have the classes 0 to {}",
                self.shape(),
                classes - 1
            );
        }
    }
}

/// The label as the index of a class, if it is one.
fn class<I: PrimInt>(label: I, classes: usize) -> Option<usize> {
    label.to_usize().filter(|&label| label < classes)
}

folds! {
    /// -Σ q ln p.
    struct CrossEntropy<2>: term |[q, ln_p], _| -q.gated_mul(ln_p);
}

updates! {
    /// y += a x, where an exact 0 times infinity or NaN is 0.
    struct Axpy<1, 1> precompiled, |y, [x], [a]| y + a.gated_mul(x);
    /// y = -scale · Σ q ln softmax(x), where the probabilities q of the row sum to `mass`.
    struct CrossEntropyPullback(scale)<2, 1>, |dx, [p, q], [mass]| dx + scale.gated_mul(p * mass - q);
}
