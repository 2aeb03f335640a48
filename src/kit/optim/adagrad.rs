//! [`Adagrad`].

use super::rule::{precompiled_rule, ratio};
use super::{Optim, Step, UpdateRule, assert_not_negative};
use crate::number::{Real, Scalar};

/// Adagrad: steps scaled by the root of the sum of all squared gradients,
///
/// ```text
/// s ← s + g²
/// θ ← θ - lr · g / (√s + ε)
/// ```
///
/// Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic
/// optimization, JMLR 12, 2011, figure 1 with a diagonal matrix. ε is 1e-10 unless set. lr is the size
/// of the first step. `weight_decay` · θ is added to g.
pub type Adagrad<F = f64> = Optim<F, AdagradRule>;

/// The update rule of [`Adagrad`].
#[derive(Clone, Copy, Debug)]
pub struct AdagradRule {
    /// ε, which bounds the step where all gradients were tiny.
    pub epsilon: f64,
}

impl Default for AdagradRule {
    fn default() -> Self {
        Self { epsilon: 1e-10 }
    }
}

impl<F: Scalar> Adagrad<F> {
    /// Sets ε.
    ///
    /// # Panics
    ///
    /// If it is negative or not finite.
    #[track_caller]
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        assert_not_negative(AdagradRule::NAME, "epsilon", epsilon);
        self.rule.epsilon = epsilon;
        self
    }
}

impl UpdateRule for AdagradRule {
    const NAME: &'static str = "Adagrad";
    type State<T> = [T; 1];
    const STATE: [&'static str; 1] = ["sum_of_squares"];

    precompiled_rule! { AdagradRule }

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, x: N, gradient: N, [sum]: [N; 1]) -> (N, [N; 1]) {
        let g = gradient + step.decay * x;
        let sum = sum + g * g;
        (x - step.rate * ratio(g, sum.sqrt() + N::lit(self.epsilon)), [sum])
    }
}
