//! [`UpdateRule`]: the update of one weight, for the built-in optimisers and for those of a user's own.

use super::Pass;
use super::step::{Bound, Stretch};
use crate::number::{Real, Scalar};

/// The update of one weight: all that tells one [`Optim`](super::Optim) from another.
///
/// A rule is a plain value with its hyper-parameters in `f64` and an [`update`](Self::update) of one
/// number, written in ordinary arithmetic. The optimiser runs the update over all weights in one
/// vectorised pass (on several threads for a large model with the feature `parallel`) and adds the
/// rest: the learning rate, weight decay, clipping, [groups](crate::Params::group) of weights,
/// and state vectors that are saved and resumed under the rule's names.
///
/// Signum (Bernstein et al., signSGD: compressed optimisation for non-convex problems, ICML 2018)
/// steps along the sign of a momentum:
///
/// ```
/// use wengert::optim::{Optim, Optimizer, Step, UpdateRule, flush_subnormal};
/// use wengert::{Params, Real, Tape};
///
/// #[derive(Clone, Copy, Debug)]
/// struct Signum {
///     momentum: f64,
/// }
///
/// impl UpdateRule for Signum {
///     const NAME: &'static str = "Signum";
///     type State<T> = [T; 1];
///     const STATE: [&'static str; 1] = ["momentum"];
///
///     #[inline(always)]
///     fn update<N: Real>(&self, step: Step<N>, weight: N, gradient: N, [m]: [N; 1]) -> (N, [N; 1]) {
///         let keep = N::lit(self.momentum);
///         let m = keep * m + (N::one() - keep) * gradient;
///         let sign = if m == N::zero() { m } else { m.signum() };
///         (weight - step.rate * (sign + step.decay * weight), [flush_subnormal(m)])
///     }
/// }
///
/// let mut params = Params::<f64>::new();
/// let x = params.add("x", ndarray::array![0.5, -2.0]);
/// let mut signum = Optim::with_rule(0.1, Signum { momentum: 0.9 }).weight_decay(0.01).clip_norm(1.0);
/// let mut tape = Tape::new();
/// for _ in 0..100 {
///     let (_, grad) = tape.value_and_grad(&params, |p| p.get(x).square().sum());
///     signum.step(&mut params, grad);
/// }
/// assert!(params.values().iter().all(|x| x.abs() < 1.0));
/// assert_eq!((signum.name(), signum.state().steps()), ("Signum", 100));
/// ```
///
/// Two more methods have defaults: [`initial`](Self::initial) for state that does not begin at 0, and
/// [`take_step`](Self::take_step) for constants that depend on the number of the step.
///
/// The compiler refuses a rule whose names do not match its state,
///
/// ```compile_fail,E0308
/// # use wengert::optim::{Step, UpdateRule};
/// # #[derive(Clone, Copy)]
/// # struct Own;
/// impl UpdateRule for Own {
///     const NAME: &'static str = "Own";
///     type State<T> = [T; 2];
///     const STATE: [&'static str; 2] = ["momentum"]; // one name for two vectors
/// #     fn update<N: wengert::Real>(&self, _: Step<N>, weight: N, _: N, state: [N; 2]) -> (N, [N; 2]) {
/// #         (weight, state)
/// #     }
/// }
/// ```
///
/// and one whose state is no array:
///
/// ```compile_fail,E0277
/// # use wengert::optim::{Step, UpdateRule};
/// # #[derive(Clone, Copy)]
/// # struct Own;
/// impl UpdateRule for Own {
///     const NAME: &'static str = "Own";
///     type State<T> = Vec<T>;
/// #     const STATE: Vec<&'static str> = Vec::new();
/// #     fn update<N: wengert::Real>(&self, _: Step<N>, weight: N, _: N, state: Vec<N>) -> (N, Vec<N>) {
/// #         (weight, state)
/// #     }
/// }
/// ```
pub trait UpdateRule: Copy + Send {
    /// The optimiser's name: in a saved file, and at the head of error messages.
    const NAME: &'static str;

    /// One `T` for each state vector: `[T; S]`, with the number S of vectors.
    ///
    /// A state vector has one number for each weight.
    type State<T>: StateArray<T>;

    /// The state vectors' names, under which they are saved: unique, and without a slash.
    const STATE: Self::State<&'static str>;

    /// The weight decay of a new optimiser.
    const WEIGHT_DECAY: f64 = 0.0;

    /// The new weight and state from the old ones and the weight's gradient.
    ///
    /// The gradient is the clipped one. The rule decides how `step.decay` enters: added to the
    /// gradient as `step.decay * weight` (coupled), or as a shrinking of the weight (decoupled).
    ///
    /// Mark it `#[inline(always)]`, so that the loop over all weights vectorises. `N` is not the
    /// number type of the parameters but a stand-in whose functions vectorise; constants are written
    /// `N::lit(0.5)`, and their conversion is moved out of the loop.
    fn update<N: Real>(&self, step: Step<N>, weight: N, gradient: N, state: Self::State<N>) -> (N, Self::State<N>);

    /// The state of a weight before the first step that uses the state; zeros unless overridden.
    #[inline]
    fn initial<N: Real>(&self, weight: N) -> Self::State<N> {
        let _ = weight;
        Self::State::from_fn(|_| N::zero())
    }

    /// Takes one step by [`pass.run(self)`](Pass::run); overridden by a rule whose constants depend on
    /// the number of the step, or that hands over to a rule with less state.
    ///
    /// ```
    /// # use wengert::optim::{Optim, Optimizer, Pass, Step, UpdateRule};
    /// # use wengert::{Params, Real, Scalar};
    /// #[derive(Clone, Copy)]
    /// struct Averaged {
    ///     momentum: f64,
    ///     /// 1 / (1 - momentumᵗ), which makes the momentum an average.
    ///     correction: f64,
    /// }
    ///
    /// impl UpdateRule for Averaged {
    ///     // ...
    /// #   const NAME: &'static str = "Averaged";
    /// #   type State<T> = [T; 1];
    /// #   const STATE: [&'static str; 1] = ["momentum"];
    /// #   fn update<N: Real>(&self, step: Step<N>, weight: N, gradient: N, [m]: [N; 1]) -> (N, [N; 1]) {
    /// #       let keep = N::lit(self.momentum);
    /// #       let m = keep * m + (N::one() - keep) * gradient;
    /// #       (weight - step.rate * N::lit(self.correction) * m, [m])
    /// #   }
    ///     fn take_step<F: Scalar>(self, pass: Pass<'_, F>) {
    ///         let correction = (1.0 - self.momentum.powf(pass.number() as f64)).recip();
    ///         pass.run(Self { correction, ..self });
    ///     }
    /// }
    /// # let mut params = Params::new();
    /// # params.add("x", ndarray::array![1.0]);
    /// # let mut own = Optim::with_rule(0.5, Averaged { momentum: 0.75, correction: 1.0 });
    /// # own.step(&mut params, &[1.0]);
    /// # assert_eq!(params.values(), [0.5]);
    /// ```
    #[track_caller]
    fn take_step<F: Scalar>(self, pass: Pass<'_, F>) {
        pass.run(self);
    }

    /// Moves neighbouring weights. The loops of this crate's rules are precompiled.
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn take_stretch<F: Scalar>(stretch: Stretch<'_, F, Self>, bound: Option<Bound>) {
        stretch.take(bound);
    }
}

/// The loop of a rule, compiled in this crate.
macro_rules! precompiled_rule {
    ($Rule:ty) => {
        #[allow(private_interfaces)]
        fn take_stretch<F: $crate::number::Scalar>(
            stretch: $crate::kit::optim::step::Stretch<'_, F, Self>,
            bound: Option<$crate::kit::optim::step::Bound>,
        ) {
            $crate::number::precompiled::precompiled! {
                fn run<F>(
                    stretch: $crate::kit::optim::step::Stretch<'_, F, $Rule>,
                    bound: Option<$crate::kit::optim::step::Bound>,
                ) {
                    stretch.take(bound);
                }
            }
            run(stretch, bound);
        }
    };
}
pub(super) use precompiled_rule;

/// The rates of one step for a weight, with the factors of its [group](crate::Params::group).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step<N> {
    /// The learning rate.
    pub rate: N,
    /// The weight decay.
    pub decay: N,
}

/// An array with an element for each state vector of an [`UpdateRule`]: `[T; S]` for any S.
#[diagnostic::on_unimplemented(
    message = "the state of an update rule is an array with an element for each state vector, not `{Self}`",
    label = "write `type State<T> = [T; S]` with the number S of state vectors"
)]
pub trait StateArray<T>: AsRef<[T]> + AsMut<[T]> + sealed::Sealed {
    /// An array of as many elements of another type, which can be sent to another thread.
    #[doc(hidden)]
    type Of<U: Send>: StateArray<U> + Send;

    /// The array of `element(0)`, `element(1)`, ..
    fn from_fn(element: impl FnMut(usize) -> T) -> Self;
}

impl<T, const S: usize> StateArray<T> for [T; S] {
    type Of<U: Send> = [U; S];

    #[inline(always)]
    fn from_fn(element: impl FnMut(usize) -> T) -> Self {
        std::array::from_fn(element)
    }
}

mod sealed {
    pub trait Sealed {}
    impl<T, const S: usize> Sealed for [T; S] {}
}

/// numerator / denominator, or 0 if the denominator is 0: no step where all gradients were 0 and ε is.
#[inline(always)]
pub(super) fn ratio<N: Real>(numerator: N, denominator: N) -> N {
    if denominator == N::zero() { N::zero() } else { numerator / denominator }
}

/// Flushes a subnormal number to 0.
///
/// The moments of a weight without gradient decay into subnormals, which are slow and change
/// nothing: see M13 in docs/MEASUREMENTS.md.
#[inline(always)]
pub fn flush_subnormal<N: Real>(x: N) -> N {
    if x.abs() < N::min_positive_value() { N::zero() } else { x }
}
