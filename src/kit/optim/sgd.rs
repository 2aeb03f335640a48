//! [`Sgd`].

use super::rule::precompiled_rule;
use super::{Optim, Pass, Step, UpdateRule, assert_share};
use crate::number::{Real, Scalar};

/// Stochastic gradient descent with momentum v, g being the gradient plus `weight_decay` · θ:
///
/// ```text
/// v ← momentum · v + g
/// θ ← θ - lr · v                      classical (Polyak)
/// θ ← θ - lr · (g + momentum · v)     Nesterov
/// ```
///
/// Plain gradient descent unless a momentum is set.
///
/// Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep
/// learning, ICML 2013. Two things are as in the common libraries rather than the paper: `lr`
/// stands outside of v, so that a new rate acts at once, and Nesterov's gradient is taken at the
/// point already looked ahead to.
pub type Sgd<F = f64> = Optim<F, SgdRule>;

/// The update rule of [`Sgd`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SgdRule {
    /// The share of the velocity that is kept, in [0, 1).
    pub momentum: f64,
    /// True to look ahead along the velocity.
    pub nesterov: bool,
}

impl<F: Scalar> Sgd<F> {
    /// Sets the momentum.
    ///
    /// # Panics
    ///
    /// If it is not in [0, 1).
    #[track_caller]
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        assert_share(SgdRule::NAME, "momentum", momentum);
        self.rule.momentum = momentum;
        self
    }

    /// Chooses between Nesterov's momentum and the classical one.
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.rule.nesterov = nesterov;
        self
    }
}

impl UpdateRule for SgdRule {
    const NAME: &'static str = "Sgd";
    type State<T> = [T; 1];
    const STATE: [&'static str; 1] = ["velocity"];

    precompiled_rule! { SgdRule }

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, x: N, gradient: N, [velocity]: [N; 1]) -> (N, [N; 1]) {
        let momentum = N::lit(self.momentum);
        let g = gradient + step.decay * x;
        let v = momentum * velocity + g;
        let direction = if self.nesterov { g + momentum * v } else { v };
        (x - step.rate * direction, [v])
    }

    #[track_caller]
    fn take_step<F: Scalar>(self, pass: Pass<'_, F>) {
        if self.momentum == 0.0 { pass.run(Descent) } else { pass.run(self) }
    }
}

/// The rule with a momentum of 0, which needs no velocity.
#[derive(Clone, Copy)]
struct Descent;

impl UpdateRule for Descent {
    const NAME: &'static str = SgdRule::NAME;
    type State<T> = [T; 0];
    const STATE: [&'static str; 0] = [];

    precompiled_rule! { Descent }

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, x: N, gradient: N, _: [N; 0]) -> (N, [N; 0]) {
        (x - step.rate * (gradient + step.decay * x), [])
    }
}
