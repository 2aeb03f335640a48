//! Losses: what a prediction costs against a target. [`Losses`] is one design for all of them: each loss is a value such as
//! [`Huber`], and `mean`, `sum` and `each` reduce it, in one operation.
//!
//! | file | content |
//! |---|---|
//! | `target` | [`Target`]: tensors, arrays and numbers beside the prediction of a loss of elements |
//! | `elements` | losses of elements: squared and absolute error, Huber, binary cross-entropy |
//! | `rows` | losses of rows of logits: cross-entropy, divergence; their targets; the accuracy |
//!
//! A prediction and a target of numbers must have the same shape. A target `[n]` and a prediction `[n, 1]` would broadcast
//! to `[n, n]` and silently train a wrong model, so such a pair is refused.

mod elements;
mod rows;
mod target;

use ndarray::{Dimension, Ix0, Ix2};

use super::handle::Tensor;
use crate::kernels::Fibers;
use crate::number::Scalar;
use crate::scalar::Var;
use crate::sealed::Seal;

pub use elements::{AbsoluteError, BceWithLogits, Huber, SquaredError};
pub use rows::{ClassTarget, CrossEntropy, KlDivergence};
pub use target::Target;

/// A loss of predictions with the dimension `D` against targets of the type `T`: the types of [`wengert::loss`](crate::loss).
#[diagnostic::on_unimplemented(
    message = "the loss `{Self}` does not compare a prediction of `{D}` with a target `{T}`",
    note = "losses of elements take a tensor, an array or a number as target; `CrossEntropy` and `KlDivergence` take logits \
            of two axes, and labels or probabilities"
)]
pub trait Loss<'t, F: Scalar, D: Dimension, T>: Copy {
    /// The dimension of the losses before they are reduced.
    type Each: Dimension;
    /// The shape of these.
    #[doc(hidden)]
    fn shape(prediction: Tensor<'t, F, D>, _: Seal) -> Self::Each;
    /// Records the losses, reduced to the given shape.
    #[doc(hidden)]
    fn record<E: Dimension>(
        self,
        prediction: Tensor<'t, F, D>,
        target: T,
        reduction: Reduction,
        shape: E,
        _: Seal,
    ) -> Tensor<'t, F, E>;
}

/// The reduction of the losses.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    Mean,
    Sum,
    Each,
}

impl Reduction {
    /// Seen as one fibre for the result, or as one for each loss.
    fn fibers(self, losses: usize) -> Fibers {
        match self {
            Self::Each => Fibers { outer: 1, n: 1, inner: losses },
            Self::Mean | Self::Sum => Fibers::whole(losses),
        }
    }

    /// The cotangents of the [`fibers`](Self::fibers): that of one result over the divisor in `room`, or that of each loss.
    fn share<'a, F: Scalar>(self, dy: &'a [F], room: &'a mut [F; 1]) -> &'a [F] {
        if self == Self::Each {
            return dy;
        }
        room[0] = dy[0] / room[0];
        room
    }

    /// The divisor of the sum of the losses.
    fn divisor<F: Scalar>(self, weight: f64) -> F {
        if self == Self::Mean { F::lit(weight) } else { F::one() }
    }
}

/// The losses of a prediction, before it is known how they are reduced: the result of [`Tensor::losses`]. Nothing is
/// recorded before one of the methods does it.
#[must_use = "losses are computed by `mean`, `sum` or `each`"]
pub struct Losses<'t, F: Scalar, D, L, T> {
    prediction: Tensor<'t, F, D>,
    loss: L,
    target: T,
}

impl<'t, F: Scalar, D: Dimension + 't, L: Loss<'t, F, D, T>, T> Losses<'t, F, D, L, T> {
    /// The mean of all losses; that of [`CrossEntropy`] is weighted.
    ///
    /// # Panics
    ///
    /// If prediction and target do not fit, or there is no loss to take the mean of.
    #[track_caller]
    pub fn mean(self) -> Var<'t, F> {
        self.loss.record(self.prediction, self.target, Reduction::Mean, Ix0(), Seal).into_var()
    }

    /// The sum of all losses; 0 if there is none.
    ///
    /// # Panics
    ///
    /// If prediction and target do not fit.
    #[track_caller]
    pub fn sum(self) -> Var<'t, F> {
        self.loss.record(self.prediction, self.target, Reduction::Sum, Ix0(), Seal).into_var()
    }

    /// The losses one by one: of every element, in the shape of the prediction, or of every row of logits, a vector.
    ///
    /// # Panics
    ///
    /// If prediction and target do not fit.
    #[track_caller]
    pub fn each(self) -> Tensor<'t, F, L::Each> {
        let shape = L::shape(self.prediction, Seal);
        self.loss.record(self.prediction, self.target, Reduction::Each, shape, Seal)
    }
}

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// The losses of this prediction against a target: the kinds and their options are the types of
    /// [`wengert::loss`](crate::loss), and [`mean`](Losses::mean), [`sum`](Losses::sum) and [`each`](Losses::each)
    /// reduce them. [`mse`](Self::mse) and its like are means.
    ///
    /// ```
    /// use wengert::loss::{CrossEntropy, SquaredError};
    /// use wengert::{Tape, ndarray::array};
    ///
    /// let tape = Tape::<f64>::new();
    /// let (data, target) = (array![[1.0, 4.0], [2.0, 2.0]], array![[1.0, 2.0], [0.0, 2.0]]);
    /// let x = tape.tensor(&data);
    /// assert_eq!(x.losses(SquaredError, &target).each().value(), array![[0.0, 4.0], [4.0, 0.0]]);
    /// assert_eq!(x.losses(SquaredError, &target).sum().value(), 8.0);
    ///
    /// // Rows weighted by hand, and labels of which -1 means that there is none.
    /// let rows = x.losses(CrossEntropy::new().ignore(-1), &[1, -1]).each();
    /// assert_eq!(rows.value()[1], 0.0);
    /// let weighted = (rows * &array![0.5, 2.0]).sum();
    /// assert!((weighted.value() - 0.5 * (1.0 + (-3.0_f64).exp()).ln()).abs() < 1e-15);
    /// ```
    #[doc(alias("reduction"))]
    pub fn losses<L: Loss<'t, F, D, T>, T>(self, loss: L, target: T) -> Losses<'t, F, D, L, T> {
        Losses { prediction: self, loss, target }
    }

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
        self.losses(SquaredError, target).mean()
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
        self.losses(AbsoluteError, target).mean()
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
        self.losses(Huber::new(delta), target).mean()
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
        self.losses(BceWithLogits::new(), target).mean()
    }

    #[track_caller]
    fn assert_mean(self, reduction: Reduction, loss: &str) {
        assert!(
            reduction != Reduction::Mean || !self.is_empty(),
            "{loss}: the prediction of shape {:?} is empty, so there is no mean",
            self.shape()
        );
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix2> {
    /// The mean over the rows r of the cross-entropy -Σⱼ qᵣⱼ ln softmax(xᵣ)ⱼ, of logits `[batch, classes]` and labels: the
    /// index of a class for each row, -ln softmax(xᵣ)\[labelᵣ\]; or probabilities q, of the logits' shape. The term of a
    /// probability 0 is 0, even if the logit is infinite.
    ///
    /// Partials: (softmax(xᵣ)ⱼ Σₖqᵣₖ - qᵣⱼ) / batch (Bishop, Pattern Recognition and Machine Learning, 2006, section
    /// 4.3.4), and -ln softmax(xᵣ)ⱼ / batch. Infinite logits are treated as in [`softmax`](Tensor::softmax); the loss
    /// is +∞ if the probability of a label is 0.
    ///
    /// The labels can have any primitive integer type. Rows without a label, weights of classes and smoothed labels are
    /// options of [`CrossEntropy`](crate::loss::CrossEntropy).
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![[0.0, 0.0], [1000.0, 0.0]];
    /// let logits = tape.tensor(&a);
    /// let loss = logits.softmax_cross_entropy(&[1, 0]);
    /// assert_eq!(loss.value(), 2_f64.ln() / 2.0);
    /// assert_eq!(loss.backward().wrt(logits), ndarray::array![[0.25, -0.25], [0.0, 0.0]]);
    ///
    /// let q = ndarray::array![[0.25, 0.75], [1.0, 0.0]];
    /// let loss = logits.softmax_cross_entropy(&q);
    /// assert_eq!(loss.backward().wrt(logits), ndarray::array![[0.125, -0.125], [0.0, 0.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the batch is empty, the number of labels is not the number of rows, a label is not in 0..classes, or the
    /// probabilities have another shape.
    #[doc(alias("cross_entropy", "nll_loss"))]
    #[track_caller]
    pub fn softmax_cross_entropy(self, target: impl ClassTarget<'t, F>) -> Var<'t, F> {
        self.losses(CrossEntropy::new(), target).mean()
    }
}
