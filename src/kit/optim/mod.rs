//! Optimisers: a step is one pass over flat vectors of parameters, gradient and state.
//!
//! Hyper-parameters are public fields, so that a [`Schedule`] can change them between steps, and are
//! kept in `f64` for any number type. State is allocated by the first step.
//!
//! ```
//! use wengert::optim::{Optimizer, Schedule, Sgd};
//! use wengert::{Params, Tape};
//!
//! let mut params = Params::<f64>::new();
//! let x = params.add("x", ndarray::array![3.0, -2.0]);
//! let schedule = Schedule::cosine(0.2, 100).warm_up(10);
//! let mut sgd = Sgd::new(0.2).momentum(0.5).nesterov(true).clip_norm(10.0);
//! let mut tape = Tape::new();
//! for step in 0..100 {
//!     sgd.lr = schedule.at(step);
//!     let (_, grad) = tape.value_and_grad(&params, |p| p.get(x).square().sum());
//!     sgd.step(&mut params, grad);
//! }
//! assert!(params.values().iter().all(|x| x.abs() < 1e-6));
//! ```
//!
//! | | for | state |
//! |---|---|---|
//! | [`Sgd`] | everything, with a tuned rate; generalises well | none, or 1 with momentum |
//! | [`Adam`], [`AdamW`] | the usual first choice | 2 |
//! | [`RmsProp`] | recurrent networks, moving targets | 1, or 2 with momentum |
//! | [`Adagrad`] | sparse gradients | 1 |
//! | [`Lion`] | large models; takes about a tenth of Adam's rate | 1 |
//! | L-BFGS, Newton-CG, trust regions | the whole data at once; see `Objective` (feature `argmin`) | |
//!
//! In the formulas θ are the parameters, g the gradient after clipping, lr the learning rate times
//! the factor of a weight's [group](Params::group_mut), and operations go number by number.

mod adagrad;
mod adam;
mod average;
mod clip;
mod lion;
#[cfg(feature = "argmin")]
mod objective;
mod rmsprop;
mod schedule;
mod sgd;
mod state;
mod stop;

pub use adagrad::Adagrad;
pub use adam::{Adam, AdamW};
#[cfg(feature = "parallel")]
pub(crate) use average::mix;
pub use average::{Accumulator, Ema};
pub use clip::{Clip, norm};
pub use lion::Lion;
#[cfg(feature = "argmin")]
pub use objective::{HessianProduct, Objective};
pub use rmsprop::RmsProp;
pub use schedule::{Plateau, Schedule};
pub use sgd::Sgd;
pub use state::State;
pub use stop::EarlyStopping;

use crate::number::{Kernel, Real, Scalar, Wrap};
use crate::params::{Params, TrainedRange};

/// A rule that moves parameters by a gradient.
pub trait Optimizer<F: Scalar> {
    /// Takes one step; `grad` is the gradient with respect to [`Params::values`], as
    /// [`Tape::value_and_grad`](crate::Tape::value_and_grad) gives it.
    ///
    /// [Frozen](crate::Group::freeze) weights and their state stay as they are.
    ///
    /// # Panics
    ///
    /// If `grad` has another length than the parameters, or parameters were added since the first
    /// step.
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]);

    /// The learning rate of the next step.
    fn lr(&self) -> f64;

    /// Sets the learning rate, as from a [`Schedule`].
    fn set_lr(&mut self, lr: f64);

    /// The optimiser's name, which a saved state carries.
    fn name(&self) -> &'static str;

    /// What it remembers of its past steps.
    fn state(&self) -> &State<F>;

    /// What it remembers, to be restored.
    fn state_mut(&mut self) -> &mut State<F>;
}

/// How one number moves: its new value and state from the old ones and its gradient.
///
/// `rate` and `decay` are the optimiser's with the factors of the number's group.
trait Rule<F: Scalar, const N: usize>: Copy + Send {
    fn update<L: Wrap<F>>(self, x: L, grad: L, state: [L; N], rate: L, decay: L) -> (L, [L; N]);
}

/// What a step of any optimiser needs besides its rule.
struct Step {
    lr: f64,
    weight_decay: f64,
    clip: Option<Clip>,
}

impl Step {
    /// One pass over parameters, gradient and the first N vectors of the state.
    #[track_caller]
    fn take<F: Scalar, const N: usize>(
        self,
        params: &mut Params<F>,
        grad: &[F],
        state: &mut State<F>,
        rule: impl Rule<F, N>,
    ) {
        assert!(
            params.len() == grad.len(),
            "step: the gradient has {} numbers, the parameters have {}",
            grad.len(),
            params.len()
        );
        let (scale, limit) = Clip::scale_and_limit(self.clip, grad, params.spans());
        let (theta, spans) = params.values_and_spans();
        let mut vectors = state.vectors_for::<N>(theta.len());
        for TrainedRange { range, rate, decay } in spans {
            let pass = Pass {
                rule,
                theta: &mut theta[range.clone()],
                grad: &grad[range.clone()],
                state: vectors.each_mut().map(|vector| &mut vector[range.clone()]),
                scale: F::lit(scale),
                limit: F::lit(limit),
                rate: F::lit(self.lr * rate),
                decay: F::lit(self.weight_decay * decay),
            };
            pass.take(self.clip.is_some());
        }
        state.advance();
    }
}

struct Pass<'a, F, R, const N: usize> {
    rule: R,
    theta: &'a mut [F],
    grad: &'a [F],
    state: [&'a mut [F]; N],
    /// The gradient's factor.
    scale: F,
    /// The bound of a gradient's number after scaling.
    limit: F,
    rate: F,
    decay: F,
}

impl<F: Scalar, R: Rule<F, N>, const N: usize> Kernel<F> for Pass<'_, F, R, N> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        self.each(
            #[inline(always)]
            |g: L| g,
        );
    }
}

/// A pass with a bounded gradient.
struct Clipped<P>(P);

impl<F: Scalar, R: Rule<F, N>, const N: usize> Kernel<F> for Clipped<Pass<'_, F, R, N>> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let [scale, limit] = [self.0.scale, self.0.limit].map(L::wrap);
        self.0.each(
            #[inline(always)]
            |g: L| {
                let g = scale * g;
                // Not min and max: a NaN must stay.
                let g = if g > limit { limit } else { g };
                if g < -limit { -limit } else { g }
            },
        );
    }
}

impl<F: Scalar, R: Rule<F, N>, const N: usize> Pass<'_, F, R, N> {
    /// One step of each number; of a large model, with the feature `parallel`, on rayon's threads.
    fn take(self, clipped: bool) {
        #[cfg(feature = "parallel")]
        if self.theta.len() >= 1 << 17 && rayon::current_num_threads() > 1 {
            let half = self.theta.len() / 2;
            let ((theta, theta2), (grad, grad2)) = (self.theta.split_at_mut(half), self.grad.split_at(half));
            let mut rest = self.state;
            let state = rest.each_mut().map(|vector| {
                let (first, second) = std::mem::take(vector).split_at_mut(half);
                *vector = second;
                first
            });
            let (first, second) =
                (Pass { theta, grad, state, ..self }, Pass { theta: theta2, grad: grad2, state: rest, ..self });
            rayon::join(|| first.take(clipped), || second.take(clipped));
            return;
        }
        if clipped {
            F::dispatch(Clipped(self));
        } else {
            F::dispatch(self);
        }
    }

    /// One step of each number, by its gradient after `clip`.
    #[inline(always)]
    fn each<L: Wrap<F>>(self, clip: impl Fn(L) -> L) {
        let Self { rule, theta, grad, mut state, .. } = self;
        let [rate, decay] = [self.rate, self.decay].map(L::wrap);
        let n = theta.len();
        // Of one length for the compiler too, which then needs no check inside the loop.
        let grad = &grad[..n];
        for vector in &mut state {
            *vector = &mut std::mem::take(vector)[..n];
        }
        for i in 0..n {
            let old = std::array::from_fn(|k| L::wrap(state[k][i]));
            let (x, new) = rule.update(L::wrap(theta[i]), clip(L::wrap(grad[i])), old, rate, decay);
            theta[i] = x.unwrap();
            for k in 0..N {
                state[k][i] = new[k].unwrap();
            }
        }
    }
}

/// 0 instead of a subnormal number: the moments of a weight that gets no gradient decay into those,
/// on which arithmetic is slow, and which change no weight. (Measured: the whole step of the benchmark's
/// T8, whose gradients vanish as it overfits, takes 0.4 ms instead of 1.4.)
#[inline(always)]
fn flushed<L: Real>(x: L) -> L {
    if x.abs() < L::min_positive_value() { L::zero() } else { x }
}

/// Panics unless a hyper-parameter is finite and at least 0.
#[track_caller]
fn assert_not_negative(optimizer: &str, name: &str, value: f64) {
    assert!(value >= 0.0 && value.is_finite(), "{optimizer}: {name} must be finite and at least 0, it is {value}");
}

/// Panics unless the share of the past that an average keeps is in [0, 1).
#[track_caller]
fn assert_share(optimizer: &str, name: &str, value: f64) {
    assert!((0.0..1.0).contains(&value), "{optimizer}: {name} must be in [0, 1), it is {value}");
}

/// The parts that every optimiser has: setters, each with its check, and access for
/// schedules and saving.
macro_rules! optimizer {
    ($Optimizer:ident: $($setter:ident)*) => {
        impl<F: crate::number::Scalar> $Optimizer<F> {
            $( optimizer! { @ $setter $Optimizer } )*

            /// Sets the factor of weight decay.
            ///
            /// # Panics
            ///
            /// If it is negative or not finite.
            #[track_caller]
            #[must_use]
            pub fn weight_decay(self, weight_decay: f64) -> Self {
                crate::kit::optim::assert_not_negative(stringify!($Optimizer), "weight_decay", weight_decay);
                Self { weight_decay, ..self }
            }

            /// Shortens a gradient whose norm is greater to this norm; see [`Clip::Norm`].
            ///
            /// # Panics
            ///
            /// Unless it is greater than 0.
            #[track_caller]
            #[must_use]
            pub fn clip_norm(self, norm: f64) -> Self {
                assert!(norm > 0.0, "{}: clip_norm must be greater than 0, it is {norm}", stringify!($Optimizer));
                Self { clip: Some(crate::kit::optim::Clip::Norm(norm)), ..self }
            }

            /// Bounds each number of the gradient; see [`Clip::Value`].
            ///
            /// # Panics
            ///
            /// Unless it is greater than 0.
            #[track_caller]
            #[must_use]
            pub fn clip_value(self, value: f64) -> Self {
                assert!(value > 0.0, "{}: clip_value must be greater than 0, it is {value}", stringify!($Optimizer));
                Self { clip: Some(crate::kit::optim::Clip::Value(value)), ..self }
            }

            fn plan(&self) -> crate::kit::optim::Step {
                crate::kit::optim::Step { lr: self.lr, weight_decay: self.weight_decay, clip: self.clip }
            }
        }
    };
    (@ betas $Optimizer:ident) => {
        /// Sets β₁ and β₂.
        ///
        /// # Panics
        ///
        /// If one is not in [0, 1).
        #[track_caller]
        #[must_use]
        pub fn betas(self, beta1: f64, beta2: f64) -> Self {
            crate::kit::optim::assert_share(stringify!($Optimizer), "beta1", beta1);
            crate::kit::optim::assert_share(stringify!($Optimizer), "beta2", beta2);
            Self { betas: (beta1, beta2), ..self }
        }
    };
    (@ epsilon $Optimizer:ident) => {
        /// Sets ε.
        ///
        /// # Panics
        ///
        /// If it is negative or not finite.
        #[track_caller]
        #[must_use]
        pub fn epsilon(self, epsilon: f64) -> Self {
            crate::kit::optim::assert_not_negative(stringify!($Optimizer), "epsilon", epsilon);
            Self { epsilon, ..self }
        }
    };
    (@ momentum $Optimizer:ident) => {
        /// Sets the momentum.
        ///
        /// # Panics
        ///
        /// If it is not in [0, 1).
        #[track_caller]
        #[must_use]
        pub fn momentum(self, momentum: f64) -> Self {
            crate::kit::optim::assert_share(stringify!($Optimizer), "momentum", momentum);
            Self { momentum, ..self }
        }
    };
    // Inside `impl Optimizer<F>`: everything but the step.
    (access $Optimizer:ident) => {
        fn lr(&self) -> f64 {
            self.lr
        }
        fn set_lr(&mut self, lr: f64) {
            self.lr = lr;
        }
        fn name(&self) -> &'static str {
            stringify!($Optimizer)
        }
        fn state(&self) -> &crate::kit::optim::State<F> {
            &self.state
        }
        fn state_mut(&mut self) -> &mut crate::kit::optim::State<F> {
            &mut self.state
        }
    };
}
use optimizer;
