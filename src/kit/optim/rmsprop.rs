//! [`RmsProp`].

use super::rule::{precompiled_rule, ratio};
use super::{Optim, Pass, Step, UpdateRule, assert_not_negative, assert_share, flush_subnormal};
use crate::number::{Real, Scalar};

/// `RMSProp`: steps scaled by a running root mean square of the gradient,
///
/// ```text
/// v ← αv + (1 - α)g²
/// b ← momentum · b + g / (√v + ε)
/// θ ← θ - lr · b
/// ```
///
/// Hinton, Srivastava and Swersky, Neural networks for machine learning, lecture 6e, 2012; ε and
/// the momentum stand where the common libraries have them. α is 0.99, ε is 1e-8 and the momentum is 0
/// unless set. `weight_decay` · θ is added to g.
pub type RmsProp<F = f64> = Optim<F, RmsPropRule>;

/// The update rule of [`RmsProp`].
#[derive(Clone, Copy, Debug)]
pub struct RmsPropRule {
    /// The share of the mean square that is kept, in [0, 1).
    pub alpha: f64,
    /// ε, which bounds the step where the gradient is tiny.
    pub epsilon: f64,
    /// The share of the last step that is kept, in [0, 1).
    pub momentum: f64,
}

impl Default for RmsPropRule {
    fn default() -> Self {
        Self { alpha: 0.99, epsilon: 1e-8, momentum: 0.0 }
    }
}

impl<F: Scalar> RmsProp<F> {
    /// Sets α.
    ///
    /// # Panics
    ///
    /// If it is not in [0, 1).
    #[track_caller]
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        assert_share(RmsPropRule::NAME, "alpha", alpha);
        self.rule.alpha = alpha;
        self
    }

    /// Sets ε.
    ///
    /// # Panics
    ///
    /// If it is negative or not finite.
    #[track_caller]
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        assert_not_negative(RmsPropRule::NAME, "epsilon", epsilon);
        self.rule.epsilon = epsilon;
        self
    }

    /// Sets the momentum.
    ///
    /// # Panics
    ///
    /// If it is not in [0, 1).
    #[track_caller]
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        assert_share(RmsPropRule::NAME, "momentum", momentum);
        self.rule.momentum = momentum;
        self
    }
}

impl RmsPropRule {
    /// The scaled gradient and the mean square.
    #[inline(always)]
    fn scaled<N: Real>(&self, g: N, mean_square: N) -> (N, N) {
        let v = N::lit(self.alpha) * mean_square + N::lit(1.0 - self.alpha) * g * g;
        (ratio(g, v.sqrt() + N::lit(self.epsilon)), flush_subnormal(v))
    }
}

impl UpdateRule for RmsPropRule {
    const NAME: &'static str = "RmsProp";
    type State<T> = [T; 2];
    const STATE: [&'static str; 2] = ["mean_square", "velocity"];

    precompiled_rule! { RmsPropRule }

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, x: N, gradient: N, [v, velocity]: [N; 2]) -> (N, [N; 2]) {
        let (direction, v) = self.scaled(gradient + step.decay * x, v);
        let velocity = N::lit(self.momentum) * velocity + direction;
        (x - step.rate * velocity, [v, flush_subnormal(velocity)])
    }

    #[track_caller]
    fn take_step<F: Scalar>(self, pass: Pass<'_, F>) {
        if self.momentum == 0.0 { pass.run(WithoutMomentum(self)) } else { pass.run(self) }
    }
}

/// The rule with a momentum of 0, which needs no velocity.
#[derive(Clone, Copy)]
struct WithoutMomentum(RmsPropRule);

impl UpdateRule for WithoutMomentum {
    const NAME: &'static str = RmsPropRule::NAME;
    type State<T> = [T; 1];
    const STATE: [&'static str; 1] = ["mean_square"];

    precompiled_rule! { WithoutMomentum }

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, x: N, gradient: N, [v]: [N; 1]) -> (N, [N; 1]) {
        let (direction, v) = self.0.scaled(gradient + step.decay * x, v);
        (x - step.rate * direction, [v])
    }
}
