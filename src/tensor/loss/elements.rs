//! Losses of single elements.

use ndarray::{ArrayView, Dimension};
use num_traits::Float;

use super::{Loss, Reduction, Target};
use crate::kernels;
use crate::kernels::{FiberUpdate, Fold, precompiled_loop};
use crate::number::{BaseFloat, Scalar, Wrap};
use crate::sealed::Seal;
use crate::tape::{OperationKind, SINK};
use crate::tensor::flat::Flat;
use crate::tensor::handle::Tensor;

/// The squared error (x - t)², the loss of [`Tensor::mse`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SquaredError;

/// The absolute error |x - t|, the loss of [`Tensor::mae`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbsoluteError;

/// The Huber loss of d = x - t: d²/2 for |d| ≤ δ, else δ(|d| - δ/2), the loss of [`Tensor::huber`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Huber<B> {
    delta: B,
}

impl<B: BaseFloat> Huber<B> {
    /// The loss whose slope is limited to δ.
    ///
    /// # Panics
    ///
    /// If δ is not positive.
    #[track_caller]
    pub fn new(delta: B) -> Self {
        assert!(delta > B::zero(), "huber: delta = {delta} is not positive");
        Self { delta }
    }
}

/// The binary cross-entropy -w t ln σ(x) - (1 - t) ln(1 - σ(x)) of logits x and targets t in [0, 1]; without weights w it is
/// the loss of [`Tensor::bce_with_logits`].
///
/// ```
/// use wengert::loss::BceWithLogits;
/// use wengert::{Tape, ndarray::array};
///
/// let tape = Tape::<f64>::new();
/// let (data, target) = (array![[0.0, 0.0], [0.0, 0.0]], array![[1.0, 1.0], [0.0, 0.0]]);
/// let x = tape.tensor(&data);
/// // A label for each of two columns; a positive of the second one counts three times.
/// let losses = x.losses(BceWithLogits::new().pos_weight(&[1.0, 3.0]), &target).each();
/// assert_eq!(losses.value(), array![[1.0, 3.0], [1.0, 1.0]] * 2_f64.ln());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BceWithLogits<'a> {
    pos_weight: Option<&'a [f64]>,
}

impl<'a> BceWithLogits<'a> {
    /// The loss without weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the weight of the positives: one number, or one for each place along the last axis.
    ///
    /// # Panics
    ///
    /// If a weight is negative or not finite. The loss panics if their number does not fit.
    #[track_caller]
    #[must_use]
    pub fn pos_weight(self, weights: &'a [f64]) -> Self {
        assert!(
            weights.iter().all(|&w| w >= 0.0 && w.is_finite()),
            "BceWithLogits: weights of positives must be finite and at least 0, they are {weights:?}"
        );
        Self { pos_weight: Some(weights) }
    }
}

macro_rules! element_losses {
    ($([$($generics:tt)*] $Loss:ty, |$self:ident, $prediction:ident, $target:ident, $reduction:ident, $shape:ident| $record:expr;)+) => { $(
        impl<'t, $($generics)* F: Scalar, D: Dimension + 't, T: Target<'t, F, D>> Loss<'t, F, D, T> for $Loss {
            type Each = D;
            fn shape(prediction: Tensor<'t, F, D>, _: Seal) -> D {
                prediction.dim()
            }
            #[track_caller]
            fn record<E: Dimension>(
                $self,
                $prediction: Tensor<'t, F, D>,
                $target: T,
                $reduction: Reduction,
                $shape: E,
                _: Seal,
            ) -> Tensor<'t, F, E> {
                $record
            }
        }
    )+ };
}
element_losses! {
    [] SquaredError, |self, x, target, reduction, shape| record("mse", Squared, x, target, reduction, shape);
    [] AbsoluteError, |self, x, target, reduction, shape| record("mae", Absolute, x, target, reduction, shape);
    [] Huber<F::Base>, |self, x, target, reduction, shape| {
        record("huber", Clipped(F::from_base(self.delta)), x, target, reduction, shape)
    };
    ['a,] BceWithLogits<'a>, |self, x, target, reduction, shape| match self.pos_weight {
        None => record("bce_with_logits", Logistic, x, target, reduction, shape),
        Some(weights) => weighted_logistic(weights, x, target, reduction, shape),
    };
}

/// The losses of all elements, reduced, as one operation.
#[track_caller]
fn record<'t, F: Scalar, D: Dimension + 't, E: Dimension, P: Copy + 't>(
    name: &'static str,
    loss: P,
    prediction: Tensor<'t, F, D>,
    target: impl Target<'t, F, D>,
    reduction: Reduction,
    shape: E,
) -> Tensor<'t, F, E>
where
    LossSum<P>: Fold<F, 2>,
    PredictionPullback<P>: FiberUpdate<F, 2, 1>,
    TargetPullback<P>: FiberUpdate<F, 2, 1>,
{
    prediction.assert_mean(reduction, name);
    let tape = prediction.tape;
    let attempt = tape.records().attempt();
    let target = Flat::new(target.against(prediction, name, Seal), name);
    let prediction = Flat::new(prediction, name);
    let (x, t) = (prediction.x, target.x);
    let fibers = reduction.fibers(x.len());
    let n = reduction.divisor::<F>(x.len() as f64);
    let y = prediction.zeros(fibers.count());
    kernels::fold(LossSum(loss), fibers, [x, t], None, y);
    if reduction == Reduction::Mean {
        y[0] /= n;
    }
    let constant = prediction.is_constant() && target.is_constant();
    let kind = OperationKind::binary(name, prediction.source(), target.source());
    let result = Tensor::result(tape, kind, shape, y, constant, move |cotangents| {
        // One after the other: the prediction and the target may share slots.
        prediction.accumulate_with(cotangents, |dy, dx| {
            kernels::update(PredictionPullback(loss), fibers, dx, [x, t], [reduction.share(dy, &mut [n])]);
        });
        target.accumulate_with(cotangents, |dy, dt| {
            kernels::update(TargetPullback(loss), fibers, dt, [x, t], [reduction.share(dy, &mut [n])]);
        });
    });
    attempt.keep();
    result
}

/// The binary cross-entropy with weights of the positives, w t ln(1 + e^-x) + (1 - t) ln(1 + e^x). Both terms are positive,
/// so that nothing cancels.
#[track_caller]
fn weighted_logistic<'t, F: Scalar, D: Dimension + 't, E: Dimension>(
    weights: &[f64],
    x: Tensor<'t, F, D>,
    target: impl Target<'t, F, D>,
    reduction: Reduction,
    shape: E,
) -> Tensor<'t, F, E> {
    const NAME: &str = "bce_with_logits";
    x.assert_mean(reduction, NAME);
    let last = x.shape().last().copied().unwrap_or(1);
    assert!(
        weights.len() == 1 || weights.len() == last,
        "{NAME}: {} weights of positives for a prediction of shape {:?}; it takes one, or one for each place along the last \
         axis",
        weights.len(),
        x.shape()
    );
    let attempt = x.tape.records().attempt();
    let t = target.against(x, NAME, Seal);
    let w = x.tape.arena().values(NAME, x.shape(), F::zero());
    for (i, w) in w.iter_mut().enumerate() {
        *w = F::lit(weights[i % weights.len()]);
    }
    let w = &*w;
    let values = ArrayView::from_shape(x.dim(), w).expect("as many weights as elements");
    let w = Tensor::over(x.tape, values, w, SINK);
    let losses = (-x).softplus().gated_mul(w * t) + x.softplus().gated_mul(-t + F::one());
    let result = match reduction {
        Reduction::Mean => losses.mean().to_tensor(x.tape).reshape(shape),
        Reduction::Sum => losses.sum().to_tensor(x.tape).reshape(shape),
        Reduction::Each => losses.reshape(shape),
    };
    attempt.keep();
    result
}

/// The loss of one element, and its partials with respect to the prediction and the target.
trait Pointwise<F: Scalar>: Copy {
    fn loss<L: Wrap<F>>(self, x: L, target: L) -> L;
    fn d_prediction<L: Wrap<F>>(self, x: L, target: L) -> L;
    fn d_target<L: Wrap<F>>(self, x: L, target: L) -> L;
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
pointwise! { Squared, Absolute, Clipped<F>, Logistic }

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
struct Clipped<F>(F);
impl<F: Scalar> Pointwise<F> for Clipped<F> {
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
struct Logistic;
impl<F: Scalar> Pointwise<F> for Logistic {
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
