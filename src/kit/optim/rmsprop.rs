//! [`RmsProp`].

use super::{Clip, Optimizer, Rule, State, assert_not_negative, assert_share, flushed, optimizer};
use crate::number::{Scalar, Wrap};
use crate::params::Params;

/// `RMSProp`: steps scaled by a running root mean square of the gradient,
///
/// ```text
/// v ← αv + (1 - α)g²
/// b ← momentum · b + g / (√v + ε)
/// θ ← θ - lr · b
/// ```
///
/// Hinton, Srivastava and Swersky, Neural networks for machine learning, lecture 6e, 2012; ε and
/// the momentum stand where the common libraries have them. `weight_decay` adds its multiple of θ
/// to g.
#[derive(Clone, Debug)]
pub struct RmsProp<F> {
    /// The learning rate.
    pub lr: f64,
    /// How much of the mean square is kept, in [0, 1).
    pub alpha: f64,
    /// ε, which bounds the step where the gradient is tiny.
    pub epsilon: f64,
    /// How much of the last step is kept, in [0, 1).
    pub momentum: f64,
    /// The factor of ½‖θ‖² in the loss.
    pub weight_decay: f64,
    /// How the gradient is bounded.
    pub clip: Option<Clip>,
    state: State<F>,
}

impl<F: Scalar> RmsProp<F> {
    /// `RMSProp` with α = 0.99, ε = 1e-8 and no momentum.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite.
    #[track_caller]
    pub fn new(lr: f64) -> Self {
        assert_not_negative("RmsProp", "lr", lr);
        let state = State::new(&["mean_square", "velocity"]);
        Self { lr, alpha: 0.99, epsilon: 1e-8, momentum: 0.0, weight_decay: 0.0, clip: None, state }
    }

    /// Sets α.
    ///
    /// # Panics
    ///
    /// If it is not in [0, 1).
    #[track_caller]
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        assert_share("RmsProp", "alpha", alpha);
        Self { alpha, ..self }
    }
}

optimizer! { RmsProp: epsilon momentum }

impl<F: Scalar> Optimizer<F> for RmsProp<F> {
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]) {
        let rms = Rms { alpha: F::lit(self.alpha), share: F::lit(1.0 - self.alpha), epsilon: F::lit(self.epsilon) };
        let plan = self.plan();
        if self.momentum == 0.0 {
            plan.take(params, grad, &mut self.state, rms);
        } else {
            plan.take(params, grad, &mut self.state, WithMomentum { rms, momentum: F::lit(self.momentum) });
        }
    }

    optimizer! { access RmsProp }
}

#[derive(Clone, Copy)]
struct Rms<F> {
    alpha: F,
    /// 1 - α, before it is rounded.
    share: F,
    epsilon: F,
}

impl<F: Scalar> Rms<F> {
    /// The scaled gradient and the mean square.
    #[inline(always)]
    fn scaled<L: Wrap<F>>(self, g: L, mean_square: L) -> (L, L) {
        let v = L::wrap(self.alpha) * mean_square + L::wrap(self.share) * g * g;
        (g / (v.sqrt() + L::wrap(self.epsilon)), flushed(v))
    }
}

impl<F: Scalar> Rule<F, 1> for Rms<F> {
    #[inline(always)]
    fn update<L: Wrap<F>>(self, x: L, grad: L, [v]: [L; 1], rate: L, decay: L) -> (L, [L; 1]) {
        let (direction, v) = self.scaled(grad + decay * x, v);
        (x - rate * direction, [v])
    }
}

#[derive(Clone, Copy)]
struct WithMomentum<F> {
    rms: Rms<F>,
    momentum: F,
}

impl<F: Scalar> Rule<F, 2> for WithMomentum<F> {
    #[inline(always)]
    fn update<L: Wrap<F>>(self, x: L, grad: L, [v, velocity]: [L; 2], rate: L, decay: L) -> (L, [L; 2]) {
        let (direction, v) = self.rms.scaled(grad + decay * x, v);
        let velocity = L::wrap(self.momentum) * velocity + direction;
        (x - rate * velocity, [v, flushed(velocity)])
    }
}
