//! [`Optim`]: an update rule with its rates and state, and the pass that takes a step.

use super::{Clip, State, StateArray, Step, UpdateRule, assert_not_negative};
use crate::number::{Kernel, Scalar, Wrap};
use crate::params::{Params, ParamsGradient, TrainedRange};
#[cfg(feature = "parallel")]
use crate::slices::team;

/// An optimiser: moves parameters by a gradient.
///
/// An object-safe view of every [`Optim`], whatever its rule.
///
/// An optimiser with state trains one model. A clone of the parameters may go on in their place, as may an earlier one
/// (the best so far) once they are gone: `params = best`. A [`step`](Self::step) of any other parameters panics, even if
/// there are as many:
///
/// ```should_panic
/// # use wengert::{Adam, Optimizer, Params};
/// # let (mut a, mut b) = (Params::new(), Params::new());
/// # a.add("w", ndarray::array![1.0]);
/// # b.add("v", ndarray::array![1.0]);
/// let mut adam = Adam::new(0.1);
/// adam.step(&mut a, &[0.5]);
/// adam.step(&mut b, &[0.5]); // would move b by the moments of a
/// ```
pub trait Optimizer<F: Scalar> {
    /// Takes one step; `grad` is the gradient with respect to [`Params::values`]: what
    /// [`Tape::value_and_grad`](crate::Tape::value_and_grad) returns, or plain numbers (`&[F]`, `&Vec<F>`, `&[F; N]`).
    ///
    /// [Frozen](crate::Group::freeze) weights and their state stay as they are. The report is for a
    /// training log and can be ignored.
    ///
    /// # Panics
    ///
    /// If `grad` and the parameters differ in length, `grad` is the gradient of another model, the optimiser's state
    /// belongs to other parameters (see [`State::adopt`]), weights were added since the first step, or an earlier step
    /// was broken off by a panic of the update rule, with some of the weights moved.
    #[track_caller]
    fn step<'g>(&mut self, params: &mut Params<F>, grad: impl Into<ParamsGradient<'g, F>>) -> StepReport
    where
        Self: Sized,
    {
        let grad = grad.into();
        assert_fits(self.state(), params, &grad);
        self.step_by(params, &grad)
    }

    /// Same as [`step`](Self::step), without generics. It is for `&mut dyn Optimizer`, which has no `step` of its own
    /// (a `Box<dyn Optimizer>` does): `optimizer.step_by(&mut params, grad)`, or `&grad.into()` for plain numbers.
    ///
    /// # Panics
    ///
    /// Same as for [`step`](Self::step).
    #[track_caller]
    fn step_by(&mut self, params: &mut Params<F>, grad: &ParamsGradient<'_, F>) -> StepReport;

    /// The learning rate of the next step.
    fn lr(&self) -> f64;

    /// Sets the learning rate, as from a [`Schedule`](super::Schedule).
    fn set_lr(&mut self, lr: f64);

    /// The optimiser's name, which is saved with its state.
    fn name(&self) -> &'static str;

    /// The number of steps taken, and the state vectors.
    fn state(&self) -> &State<F>;

    /// The [state](Self::state), mutably, for restoring a saved one.
    fn state_mut(&mut self) -> &mut State<F>;
}

/// A boxed optimiser, and one behind a reference, are optimisers, so that [`step`](Optimizer::step) is there for them too.
macro_rules! pointers {
    ($($Pointer:ty),+) => { $(
        impl<F: Scalar, O: Optimizer<F> + ?Sized> Optimizer<F> for $Pointer {
            #[track_caller]
            fn step_by(&mut self, params: &mut Params<F>, grad: &ParamsGradient<'_, F>) -> StepReport {
                (**self).step_by(params, grad)
            }
            fn lr(&self) -> f64 {
                (**self).lr()
            }
            fn set_lr(&mut self, lr: f64) {
                (**self).set_lr(lr);
            }
            fn name(&self) -> &'static str {
                (**self).name()
            }
            fn state(&self) -> &State<F> {
                (**self).state()
            }
            fn state_mut(&mut self) -> &mut State<F> {
                (**self).state_mut()
            }
        }
    )+ };
}
pointers! { Box<O>, &mut O }

/// Panics unless gradient and state belong to the parameters. It stands outside of [`Optimizer::step_by`], which does
/// not know the caller's line if it is called through a trait object.
#[track_caller]
fn assert_fits<F: Scalar>(state: &State<F>, params: &Params<F>, grad: &ParamsGradient<'_, F>) {
    grad.assert_of(params);
    state.assert_of(params);
}

/// The report of one step, for a training log.
///
/// ```
/// use wengert::{Optimizer, Params, Sgd};
///
/// let mut params = Params::new();
/// params.add("x", ndarray::array![0.0, 0.0]);
/// let report = Sgd::new(0.1).clip_norm(1.0).step(&mut params, &[3.0, 4.0]);
/// assert_eq!((report.step, report.gradient_norm), (1, Some(5.0)));
/// let report = Sgd::new(0.1).step(&mut params, &[3.0, 4.0]);
/// assert_eq!(report.gradient_norm, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// The number of steps taken so far, this one included.
    pub step: u64,
    /// The norm of the gradient of all trained weights before clipping; `None` unless the step clips by the norm
    /// ([`Clip::Norm`]). [`global_norm`](super::global_norm) computes the norm alone.
    pub gradient_norm: Option<f64>,
}

/// An optimiser: an [`UpdateRule`] with its learning rate, weight decay, clipping and state.
///
/// Each built-in optimiser is an alias of it, such as [`Adam`](super::Adam) or [`Sgd`](super::Sgd), with
/// setters for the hyper-parameters of its rule. A rule of a user's own gets everything else from here.
#[derive(Clone, Debug)]
pub struct Optim<F, R> {
    /// The learning rate.
    pub lr: f64,
    /// The weight decay, which each rule applies in its own way.
    pub weight_decay: f64,
    /// The bound of the gradient.
    pub clip: Option<Clip>,
    /// The update rule, with its hyper-parameters.
    pub rule: R,
    state: State<F>,
}

impl<F: Scalar, R: UpdateRule> Optim<F, R> {
    /// An optimiser with the rule's default hyper-parameters and weight decay, which the alias
    /// names, and without clipping.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite.
    #[track_caller]
    pub fn new(lr: f64) -> Self
    where
        R: Default,
    {
        Self::with_rule(lr, R::default())
    }

    /// An optimiser with an update rule and its hyper-parameters.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite, or the name of a state vector is empty, has a slash or
    /// occurs twice.
    #[track_caller]
    pub fn with_rule(lr: f64, rule: R) -> Self {
        assert_not_negative(R::NAME, "lr", lr);
        Self { lr, weight_decay: R::WEIGHT_DECAY, clip: None, rule, state: State::new(R::STATE.as_ref()) }
    }

    /// Sets the weight decay.
    ///
    /// # Panics
    ///
    /// If it is negative or not finite.
    #[track_caller]
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        assert_not_negative(R::NAME, "weight_decay", weight_decay);
        Self { weight_decay, ..self }
    }

    /// Scales a gradient with a greater norm down to this norm; see [`Clip::Norm`].
    ///
    /// # Panics
    ///
    /// Unless it is greater than 0.
    #[track_caller]
    #[must_use]
    pub fn clip_norm(self, norm: f64) -> Self {
        assert!(norm > 0.0, "{}: clip_norm must be greater than 0, it is {norm}", R::NAME);
        Self { clip: Some(Clip::Norm(norm)), ..self }
    }

    /// Bounds each number of the gradient; see [`Clip::Value`].
    ///
    /// # Panics
    ///
    /// Unless it is greater than 0.
    #[track_caller]
    #[must_use]
    pub fn clip_value(self, value: f64) -> Self {
        assert!(value > 0.0, "{}: clip_value must be greater than 0, it is {value}", R::NAME);
        Self { clip: Some(Clip::Value(value)), ..self }
    }
}

impl<F: Scalar, R: UpdateRule> Optimizer<F> for Optim<F, R> {
    #[track_caller]
    fn step_by(&mut self, params: &mut Params<F>, grad: &ParamsGradient<'_, F>) -> StepReport {
        assert_fits(&self.state, params, grad);
        self.state.assert_whole(R::NAME);
        let bound = self.clip.map(|clip| clip.bound(grad, params.spans()));
        let (theta, spans) = params.values_and_spans();
        let (lr, weight_decay) = (self.lr, self.weight_decay);
        self.rule.take_step(Pass { theta, spans, grad, state: &mut self.state, lr, weight_decay, bound });
        self.state.advance(params.moved());
        StepReport { step: self.state.steps(), gradient_norm: bound.and_then(|bound| bound.norm) }
    }

    fn lr(&self) -> f64 {
        self.lr
    }
    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }
    fn name(&self) -> &'static str {
        R::NAME
    }
    fn state(&self) -> &State<F> {
        &self.state
    }
    fn state_mut(&mut self) -> &mut State<F> {
        &mut self.state
    }
}

/// The bound of a gradient in one step: gᵢ ← min(max(scale · gᵢ, -limit), limit).
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) scale: f64,
    pub(super) limit: f64,
    /// The gradient's norm, if it was computed.
    pub(super) norm: Option<f64>,
}

impl Bound {
    /// The scale as a product: a tiny one in two factors, which an `f32` holds with all digits.
    pub(super) fn factors(self) -> [f64; 2] {
        let root = self.scale.sqrt();
        if self.scale < 1e-30 { [root, root] } else { [self.scale, 1.0] }
    }
}

/// One step over all trained weights, before it is taken; see [`UpdateRule::take_step`].
#[derive(Debug)]
#[must_use = "no weight moves until a rule is run"]
pub struct Pass<'a, F> {
    theta: &'a mut [F],
    spans: &'a [TrainedRange],
    grad: &'a [F],
    state: &'a mut State<F>,
    lr: f64,
    weight_decay: f64,
    bound: Option<Bound>,
}

impl<F: Scalar> Pass<'_, F> {
    /// The number of the step, counted from 1.
    pub fn number(&self) -> u64 {
        self.state.steps() + 1
    }

    /// Moves every trained weight by a rule, which is the optimiser's or one that uses some of its
    /// state vectors.
    ///
    /// A state vector that no rule has used yet is empty, and is not saved.
    ///
    /// # Panics
    ///
    /// If the rule has a state vector that the optimiser's rule does not have, or has them in another
    /// order, or if parameters were added since the first step.
    #[track_caller]
    pub fn run<R: UpdateRule>(self, rule: R) {
        let Self { theta, spans, grad, state, lr, weight_decay, bound } = self;
        state.check_vectors(&rule, theta);
        state.begin();
        let mut vectors = state.vectors_of(&rule);
        for TrainedRange { range, rate, decay } in spans {
            let stretch = Stretch {
                rule,
                theta: &mut theta[range.clone()],
                grad: &grad[range.clone()],
                state: slices::<R, F>(vectors.as_mut().iter_mut().map(|vector| &mut vector[range.clone()])),
                rate: lr * rate,
                decay: weight_decay * decay,
            };
            R::take_stretch(stretch, bound);
        }
    }
}

/// The slices of a rule's state vectors. (Not `R::State<_>`, of which the compiler does not know that it can
/// be sent to another thread.)
type Slices<'a, R, F> = <<R as UpdateRule>::State<()> as StateArray<()>>::Of<&'a mut [F]>;

fn slices<'a, R: UpdateRule, F: Scalar>(mut each: impl Iterator<Item = &'a mut [F]>) -> Slices<'a, R, F> {
    Slices::<R, F>::from_fn(|_| each.next().expect("a slice of each vector"))
}

/// A part of a pass: neighbouring weights with the same rates.
pub(super) struct Stretch<'a, F: Scalar, R: UpdateRule> {
    rule: R,
    theta: &'a mut [F],
    grad: &'a [F],
    state: Slices<'a, R, F>,
    rate: f64,
    decay: f64,
}

impl<F: Scalar, R: UpdateRule> Kernel<F> for Stretch<'_, F, R> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        self.each(
            #[inline(always)]
            |g: L| g,
        );
    }
}

/// A stretch with a bounded gradient.
struct Clipped<S>(S, Bound);

impl<F: Scalar, R: UpdateRule> Kernel<F> for Clipped<Stretch<'_, F, R>> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let [scale, rest] = self.1.factors().map(L::lit);
        let limit = L::lit(self.1.limit);
        self.0.each(
            #[inline(always)]
            |g: L| {
                let g = scale * g * rest;
                // Not min and max: a NaN must stay.
                let g = if g > limit { limit } else { g };
                if g < -limit { -limit } else { g }
            },
        );
    }
}

impl<F: Scalar, R: UpdateRule> Stretch<'_, F, R> {
    /// Moves each weight; those of a large model, with the feature `parallel`, on several threads.
    pub(super) fn take(self, bound: Option<Bound>) {
        #[cfg(feature = "parallel")]
        if self.theta.len() >= 1 << 16 && team::threads() > 1 {
            let half = self.theta.len() / 2;
            let ((theta, theta2), (grad, grad2)) = (self.theta.split_at_mut(half), self.grad.split_at(half));
            let mut rest = self.state;
            let state = slices::<R, F>(rest.as_mut().iter_mut().map(|vector| {
                let (first, second) = std::mem::take(vector).split_at_mut(half);
                *vector = second;
                first
            }));
            let (first, second) =
                (Stretch { theta, grad, state, ..self }, Stretch { theta: theta2, grad: grad2, state: rest, ..self });
            team::join(|| first.take(bound), || second.take(bound));
            return;
        }
        match bound {
            Some(bound) => F::dispatch(Clipped(self, bound)),
            None => F::dispatch(self),
        }
    }

    /// Moves each weight by its gradient after `clip`.
    #[inline(always)]
    fn each<L: Wrap<F>>(self, clip: impl Fn(L) -> L) {
        let Self { rule, theta, grad, mut state, .. } = self;
        let step = Step { rate: L::lit(self.rate), decay: L::lit(self.decay) };
        let n = theta.len();
        // Slices of one length, as the compiler can see, so that no check is needed inside the loop.
        let grad = &grad[..n];
        for vector in state.as_mut() {
            *vector = &mut std::mem::take(vector)[..n];
        }
        for i in 0..n {
            let old = R::State::<L>::from_fn(|k| L::wrap(state.as_ref()[k][i]));
            let (x, new) = rule.update(step, L::wrap(theta[i]), clip(L::wrap(grad[i])), old);
            theta[i] = x.unwrap();
            for (vector, x) in state.as_mut().iter_mut().zip(new.as_ref()) {
                vector[i] = x.unwrap();
            }
        }
    }
}
