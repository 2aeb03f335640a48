//! Losses of rows of logits: [`CrossEntropy`] and [`KlDivergence`].

use std::fmt::Display;

use ndarray::{Array2, ArrayBase, ArrayView2, Axis, Data, Dimension, Ix1, Ix2};
use num_traits::{Float, PrimInt};

use super::{Loss, Reduction};
use crate::kernels;
use crate::kernels::{Divide, Fibers, Sum, UnaryLoops, folds, updates};
use crate::number::{Scalar, gap, rules};
use crate::sealed::Seal;
use crate::tape::{Cotangents, OperationKind};
use crate::tensor::constant::Embed;
use crate::tensor::flat::{Exponentials, Flat, exponentials};
use crate::tensor::handle::Tensor;

/// The classes of the rows of a prediction `[batch, classes]`: labels, one for each row, as a slice, vector or array of any
/// primitive integers; or probabilities, as a tensor or an array of the prediction's shape.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name the classes of rows of logits of `{F}`",
    note = "labels are a slice, `&[1, 0]` or `&vec`, of integers; probabilities are a tensor or an array of two axes of the \
            logits' number type"
)]
pub trait ClassTarget<'t, F: Scalar> {
    #[doc(hidden)]
    fn classes(self, prediction: Tensor<'t, F, Ix2>, ignore: Option<i64>, loss: &str, _: Seal) -> Classes<'t, F>;
}

/// A [`ClassTarget`] that has been checked.
#[doc(hidden)]
pub enum Classes<'t, F: Scalar> {
    /// The class of each row; [`IGNORED`] if the row does not count.
    Labels(&'t [usize]),
    Probabilities(Tensor<'t, F, Ix2>),
}

const IGNORED: usize = usize::MAX;

macro_rules! labels {
    ($([$($generics:tt)*] $Labels:ty;)+) => { $(
        impl<'t, F: Scalar, I: PrimInt + Display, $($generics)*> ClassTarget<'t, F> for $Labels {
            #[track_caller]
            fn classes(
                self,
                prediction: Tensor<'t, F, Ix2>,
                ignore: Option<i64>,
                loss: &str,
                _: Seal,
            ) -> Classes<'t, F> {
                let (labels, classes): (&[I], _) = (self, prediction.shape()[1]);
                prediction.assert_labels(labels, ignore, loss);
                let place = |i: usize| match class(labels[i], classes) {
                    Some(class) if !is_ignored(labels[i], ignore) => class,
                    _ => IGNORED,
                };
                Classes::Labels(prediction.tape.arena().alloc_slice_fill_with(labels.len(), place))
            }
        }
    )+ };
}
labels! {
    [] &[I];
    [] &Vec<I>;
    [const N: usize] &[I; N];
}

macro_rules! probabilities {
    ($([$($generics:tt)*] $Probabilities:ty, |$self:ident, $tape:ident| $tensor:expr;)+) => { $(
        impl<'t, F: Scalar, $($generics)*> ClassTarget<'t, F> for $Probabilities {
            #[track_caller]
            fn classes(
                $self,
                prediction: Tensor<'t, F, Ix2>,
                ignore: Option<i64>,
                loss: &str,
                _: Seal,
            ) -> Classes<'t, F> {
                assert!(
                    ignore.is_none(),
                    "{loss}: rows of probabilities have no label that could be ignored; weigh the losses of `each`"
                );
                let $tape = prediction.tape;
                Classes::Probabilities(super::Target::against($tensor, prediction, loss, Seal))
            }
        }
    )+ };
}
probabilities! {
    [] Tensor<'t, F, Ix2>, |self, _tape| self;
    [A: Embed<F>, S: Data<Elem = A>] &'t ArrayBase<S, Ix2>, |self, tape| tape.constant(self);
    [A: Embed<F>] ArrayView2<'t, A>, |self, tape| tape.constant(self);
    [A: Embed<F>] Array2<A>, |self, tape| tape.constant(self);
}

/// The cross-entropy of each row of logits x, `[batch, classes]`, with labels or probabilities q:
/// -Σⱼ wⱼ qᵣⱼ ln softmax(xᵣ)ⱼ, where q is 1 for the label of the row, and all weights w are 1 unless set.
///
/// The mean over rows with labels is Σ lossᵣ / Σ w\[labelᵣ\], that over rows of probabilities Σ lossᵣ / batch: both as in
/// PyTorch's `cross_entropy`, the constants of the tests.
///
/// ```
/// use wengert::loss::CrossEntropy;
/// use wengert::{Tape, ndarray::array};
///
/// let tape = Tape::<f64>::new();
/// let data = array![[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
/// let logits = tape.tensor(&data);
/// let weights = [1.0, 2.0, 0.5];
/// let options = CrossEntropy::new().ignore(-1).class_weights(&weights).smoothing(0.1);
/// let loss = logits.losses(options, &[0, -1, 1]).mean();
/// assert_eq!(loss.backward().wrt(logits).row(1), array![0.0, 0.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropy<'a> {
    ignore: Option<i64>,
    weights: Option<&'a [f64]>,
    smoothing: f64,
    /// True if the prediction is ln p already.
    logarithms: bool,
    /// True if Σ q ln q is added.
    relative: bool,
}

impl<'a> CrossEntropy<'a> {
    /// The plain cross-entropy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes rows of this label count nothing: their loss and its gradient are 0, and the mean is over the others.
    #[doc(alias("ignore_index"))]
    #[must_use]
    pub fn ignore(self, label: i64) -> Self {
        Self { ignore: Some(label), ..self }
    }

    /// Sets the weight of each class.
    ///
    /// # Panics
    ///
    /// If a weight is negative or not finite. The loss panics if there is not one for each class.
    #[doc(alias("weight"))]
    #[track_caller]
    #[must_use]
    pub fn class_weights(self, weights: &'a [f64]) -> Self {
        assert!(
            weights.iter().all(|&w| w >= 0.0 && w.is_finite()),
            "CrossEntropy: weights of classes must be finite and at least 0, they are {weights:?}"
        );
        Self { weights: Some(weights), ..self }
    }

    /// Mixes the share s of equal probabilities into the target: (1 - s) q + s / classes (Szegedy et al. 2016, "Rethinking
    /// the Inception architecture for computer vision", arXiv:1512.00567, section 7).
    ///
    /// # Panics
    ///
    /// If the share is not in [0, 1].
    #[doc(alias("label_smoothing"))]
    #[track_caller]
    #[must_use]
    pub fn smoothing(self, share: f64) -> Self {
        assert!((0.0..=1.0).contains(&share), "CrossEntropy: the share of smoothing must be in [0, 1], it is {share}");
        Self { smoothing: share, ..self }
    }

    /// Takes the prediction as logarithms of probabilities, without a softmax: the negative log-likelihood.
    ///
    /// ```
    /// use wengert::loss::CrossEntropy;
    /// use wengert::{Tape, ndarray::array};
    ///
    /// let tape = Tape::<f64>::new();
    /// let data = array![[-0.5, -2.0], [-3.0, -0.25]];
    /// let ln_p = tape.tensor(&data);
    /// let loss = ln_p.losses(CrossEntropy::new().of_logarithms(), &[0, 0]).mean();
    /// assert_eq!(loss.value(), (0.5 + 3.0) / 2.0);
    /// assert_eq!(loss.backward().wrt(ln_p), array![[-0.5, 0.0], [-0.5, 0.0]]);
    /// ```
    #[doc(alias("nll_loss", "nll"))]
    #[must_use]
    pub fn of_logarithms(self) -> Self {
        Self { logarithms: true, ..self }
    }

    fn name(self) -> &'static str {
        match (self.relative, self.logarithms) {
            (true, _) => "kl_divergence",
            (false, true) => "nll",
            (false, false) => "softmax_cross_entropy",
        }
    }

    /// (1 - s) q + s / classes, times the weight of the class.
    fn weighted<F: Scalar>(self, q: F, class: usize, classes: usize) -> F {
        let smooth = if self.smoothing == 0.0 {
            q
        } else {
            F::lit(1.0 - self.smoothing) * q + F::lit(self.smoothing / classes as f64)
        };
        self.weights.map_or(smooth, |weights| F::lit(weights[class]) * smooth)
    }

    fn is_plain(self) -> bool {
        self.smoothing == 0.0 && self.weights.is_none()
    }
}

/// The divergence Σⱼ qⱼ (ln qⱼ - ln softmax(x)ⱼ) of each row of logits x from probabilities q (Kullback and Leibler, Annals of
/// Mathematical Statistics 22, 1951). The term of a probability 0 is 0. The mean is over the rows, PyTorch's `batchmean`.
///
/// Partials: softmax(x)ⱼ Σₖqₖ - qⱼ, and ln qⱼ + 1 - ln softmax(x)ⱼ.
///
/// ```
/// use wengert::loss::KlDivergence;
/// use wengert::{Tape, ndarray::array};
///
/// let tape = Tape::<f64>::new();
/// let (student, teacher) = (array![[0.0, 0.0]], array![[1.0, 0.0]]);
/// let x = tape.tensor(&student);
/// assert_eq!(x.losses(KlDivergence::new(), &teacher).mean().value(), 2_f64.ln());
/// ```
#[doc(alias("kl_div"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct KlDivergence {
    logarithms: bool,
}

impl KlDivergence {
    /// The divergence of the softmax of logits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the prediction as logarithms of probabilities, without a softmax.
    #[must_use]
    pub fn of_logarithms(self) -> Self {
        Self { logarithms: true }
    }
}

macro_rules! row_losses {
    ($([$($generics:tt)*] $Loss:ty, |$self:ident| $options:expr;)+) => { $(
        impl<'t, $($generics)* F: Scalar, T: ClassTarget<'t, F>> Loss<'t, F, Ix2, T> for $Loss {
            type Each = Ix1;
            fn shape(prediction: Tensor<'t, F, Ix2>, _: Seal) -> Ix1 {
                Ix1(prediction.shape()[0])
            }
            #[track_caller]
            fn record<E: Dimension>(
                $self,
                prediction: Tensor<'t, F, Ix2>,
                target: T,
                reduction: Reduction,
                shape: E,
                _: Seal,
            ) -> Tensor<'t, F, E> {
                record($options, prediction, target, reduction, shape)
            }
        }
    )+ };
}
row_losses! {
    ['a,] CrossEntropy<'a>, |self| self;
    [] KlDivergence, |self| CrossEntropy { logarithms: self.logarithms, relative: true, ..CrossEntropy::default() };
}

#[track_caller]
fn record<'t, F: Scalar, E: Dimension>(
    options: CrossEntropy<'_>,
    prediction: Tensor<'t, F, Ix2>,
    target: impl ClassTarget<'t, F>,
    reduction: Reduction,
    shape: E,
) -> Tensor<'t, F, E> {
    let name = options.name();
    prediction.assert_mean(reduction, name);
    if let Some(weights) = options.weights {
        assert!(
            weights.len() == prediction.shape()[1],
            "{name}: {} weights of classes for a prediction of shape {:?}, which has {} classes",
            weights.len(),
            prediction.shape(),
            prediction.shape()[1]
        );
    }
    let attempt = prediction.tape.records().attempt();
    let result = match target.classes(prediction, options.ignore, name, Seal) {
        Classes::Labels(labels) => of_labels(options, prediction, labels, reduction, shape),
        Classes::Probabilities(q) => of_probabilities(options, prediction, q, reduction, shape),
    };
    attempt.keep();
    result
}

/// The losses themselves, or their sum over the divisor.
fn reduce<'t, F: Scalar>(operand: Flat<'t, F, Ix2>, losses: &'t [F], reduction: Reduction, divisor: F) -> &'t [F] {
    if reduction == Reduction::Each {
        return losses;
    }
    let y = operand.zeros(1);
    kernels::fold(Sum, Fibers::whole(losses.len()), [losses], None, y);
    y[0] /= divisor;
    y
}

#[track_caller]
fn of_labels<'t, F: Scalar, E: Dimension>(
    options: CrossEntropy<'_>,
    prediction: Tensor<'t, F, Ix2>,
    labels: &[usize],
    reduction: Reduction,
    shape: E,
) -> Tensor<'t, F, E> {
    let name = options.name();
    let (batch, classes) = prediction.dim().into_pattern();
    let operand = Flat::new(prediction, name);
    let fibers = Fibers::along(1, prediction.shape());
    let losses = operand.zeros(batch);
    // The probabilities, which become the partials of the losses.
    let (largest, residual): (&[F], &mut [F]) = if options.logarithms {
        (operand.zeros(batch), operand.zeros(fibers.len()))
    } else {
        let Exponentials { largest, e, total } = exponentials(operand, fibers);
        rules::ln::new().map(total, losses);
        kernels::update(Divide, fibers, e, [], [total]);
        (largest, e)
    };
    let mut weight = 0.0;
    for (r, ((loss, &largest), &label)) in losses.iter_mut().zip(largest).zip(labels).enumerate() {
        let row = r * classes..(r + 1) * classes;
        if label == IGNORED {
            *loss = F::zero();
            residual[row].fill(F::zero());
            continue;
        }
        weight += options.weights.map_or(1.0, |weights| weights[label]);
        let ln_p = |x: F, ln_total: F| if options.logarithms { x } else { gap(x, largest) - ln_total };
        if options.is_plain() {
            *loss = -ln_p(operand.x[row.start + label], *loss);
            residual[row.start + label] -= F::one();
            continue;
        }
        let (ln_total, mut mass) = (std::mem::replace(loss, F::zero()), F::zero());
        for (j, &x) in operand.x[row.clone()].iter().enumerate() {
            let q = options.weighted(if j == label { F::one() } else { F::zero() }, j, classes);
            *loss -= q.gated_mul(ln_p(x, ln_total));
            mass += q;
        }
        for (j, p) in residual[row].iter_mut().enumerate() {
            *p = *p * mass - options.weighted(if j == label { F::one() } else { F::zero() }, j, classes);
        }
    }
    assert!(
        reduction != Reduction::Mean || weight > 0.0,
        "{name}: no row counts, because each of the {batch} labels is ignored or of a class of weight 0, so there is no mean; \
         the `sum` is 0 then"
    );
    let (losses, residual, divisor) = (&*losses, &*residual, reduction.divisor::<F>(weight));
    let y = reduce(operand, losses, reduction, divisor);
    let kind = OperationKind::unary(name, prediction.node.source());
    Tensor::result(prediction.tape, kind, shape, y, prediction.is_constant(), move |cotangents| {
        operand.accumulate_with(cotangents, |dy, dx| {
            let fibers = if reduction == Reduction::Each { fibers } else { Fibers::whole(residual.len()) };
            kernels::update(Axpy, fibers, dx, [residual], [reduction.share(dy, &mut [divisor])]);
        });
    })
}

#[track_caller]
fn of_probabilities<'t, F: Scalar, E: Dimension>(
    options: CrossEntropy<'_>,
    prediction: Tensor<'t, F, Ix2>,
    target: Tensor<'t, F, Ix2>,
    reduction: Reduction,
    shape: E,
) -> Tensor<'t, F, E> {
    let name = options.name();
    let (batch, classes) = prediction.dim().into_pattern();
    let (operand, target) = (Flat::new(prediction, name), Flat::new(target, name));
    let fibers = Fibers::along(1, prediction.shape());
    let mut q = target.x;
    if !options.is_plain() {
        let changed = target.zeros(fibers.len());
        for (i, (changed, &q)) in changed.iter_mut().zip(q).enumerate() {
            *changed = options.weighted(q, i % classes, classes);
        }
        q = changed;
    }
    let (p, ln_p): (&[F], &[F]) = if options.logarithms {
        (operand.zeros(fibers.len()), operand.x)
    } else {
        let exponentials = exponentials(operand, fibers);
        let ln_p = exponentials.ln(operand, fibers);
        kernels::update(Divide, fibers, exponentials.e, [], [exponentials.total]);
        (exponentials.e, ln_p)
    };
    let (mass, losses) = (operand.zeros(batch), operand.zeros(batch));
    kernels::fold(Sum, fibers, [q], None, mass);
    kernels::fold(CrossEntropyOf, fibers, [q, ln_p], None, losses);
    // -∂loss/∂q
    let mut slope = ln_p;
    if options.relative {
        let entropy = operand.zeros(batch);
        kernels::fold(NegativeEntropy, fibers, [q], None, entropy);
        losses.iter_mut().zip(entropy).for_each(|(loss, &mut entropy)| *loss += entropy);
    }
    if options.relative || !options.is_plain() {
        let changed = operand.zeros(fibers.len());
        let scale = F::lit(1.0 - options.smoothing);
        for (i, (changed, (&ln_p, &q))) in changed.iter_mut().zip(ln_p.iter().zip(q)).enumerate() {
            let weight = options.weights.map_or(F::one(), |weights| F::lit(weights[i % classes]));
            *changed =
                if options.relative { ln_p - (Float::ln(q) + F::one()) } else { (weight * scale).gated_mul(ln_p) };
        }
        slope = changed;
    }
    let (mass, losses, divisor) = (&*mass, &*losses, reduction.divisor::<F>(batch as f64));
    let y = reduce(operand, losses, reduction, divisor);
    let constant = operand.is_constant() && target.is_constant();
    let kind = OperationKind::binary(name, operand.source(), target.source());
    Tensor::result(prediction.tape, kind, shape, y, constant, move |cotangents: &mut Cotangents<'_, F>| {
        let arena = cotangents.arena;
        let row = |dy: &[F]| match reduction {
            Reduction::Each => arena.alloc_slice_copy(dy),
            _ => arena.alloc_slice_fill_copy(batch, dy[0] / divisor),
        };
        operand.accumulate_with(cotangents, |dy, dx| {
            kernels::update(CrossEntropyPullback, fibers, dx, [p, q], [mass, row(dy)]);
        });
        target.accumulate_with(cotangents, |dy, dq| {
            let row = row(dy);
            for dy in &mut *row {
                *dy = -*dy;
            }
            kernels::update(Axpy, fibers, dq, [slope], [row]);
        });
    })
}

impl<F: Scalar> Tensor<'_, F, Ix2> {
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
    /// If the batch is empty, the number of labels is not the number of rows, or a label is not in 0..classes.
    #[track_caller]
    pub fn accuracy<I: PrimInt + Display>(self, labels: &[I]) -> f64 {
        self.assert_mean(Reduction::Mean, "accuracy");
        self.assert_labels(labels, None, "accuracy");
        let classes = self.shape()[1];
        let best = self.argmax_axis(Axis(1));
        let pairs = best.iter().zip(labels);
        let hits = pairs.filter(|&(&best, &label)| class(label, classes) == Some(best));
        hits.count() as f64 / labels.len() as f64
    }

    #[track_caller]
    fn assert_labels<I: PrimInt + Display>(self, labels: &[I], ignore: Option<i64>, operation: &str) {
        let (batch, classes) = self.dim().into_pattern();
        assert!(
            labels.len() == batch,
            "{operation}: {} labels for logits of shape {:?}, which have {batch} rows",
            labels.len(),
            self.shape()
        );
        for (r, &label) in labels.iter().enumerate() {
            assert!(
                class(label, classes).is_some() || is_ignored(label, ignore),
                "{operation}: the label of row {r} is {label}; logits of shape {:?} have the classes 0 to {}; `CrossEntropy::ignore` names a label that does not count",
                self.shape(),
                classes as i64 - 1
            );
        }
    }
}

/// The label as the index of a class, if it is one.
fn class<I: PrimInt>(label: I, classes: usize) -> Option<usize> {
    label.to_usize().filter(|&label| label < classes)
}

fn is_ignored<I: PrimInt>(label: I, ignore: Option<i64>) -> bool {
    ignore.is_some() && label.to_i64() == ignore
}

folds! {
    /// -Σ q ln p.
    struct CrossEntropyOf<2>: term |[q, ln_p], _| -q.gated_mul(ln_p);
    /// Σ q ln q.
    struct NegativeEntropy<1>: term |[q], _| q.xlogy(q);
}

updates! {
    /// y += a x, where an exact 0 times infinity or NaN is 0.
    struct Axpy<1, 1> precompiled, |y, [x], [a]| y + a.gated_mul(x);
    /// y = -Σ q ln softmax(x), where the probabilities q of the row sum to `mass`.
    struct CrossEntropyPullback<2, 2>, |dx, [p, q], [mass, dy]| dx + dy.gated_mul(p * mass - q);
}
