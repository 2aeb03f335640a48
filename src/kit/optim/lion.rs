//! [`Lion`].

use super::rule::precompiled_rule;
use super::{Optim, Step, UpdateRule, assert_share, flush_subnormal};
use crate::number::{Real, Scalar};

/// Lion: steps of one size along the sign of a momentum,
///
/// ```text
/// c = β₁m + (1 - β₁)g
/// θ ← θ - lr · (sign(c) + weight_decay · θ)
/// m ← β₂m + (1 - β₂)g
/// ```
///
/// Chen et al., Symbolic discovery of optimization algorithms, `NeurIPS` 2023, algorithm 2, with the
/// paper's β₁ = 0.9 and β₂ = 0.99 unless set. sign(0) is 0. lr is the change of every weight in one
/// step: usually a third to a tenth of [`AdamW`](super::AdamW)'s, with a weight decay that is greater
/// by the inverse factor; the weight decay is 0 unless set.
pub type Lion<F = f64> = Optim<F, LionRule>;

/// The update rule of [`Lion`].
#[derive(Clone, Copy, Debug)]
pub struct LionRule {
    /// β₁ of the direction and β₂ of the momentum, each in [0, 1).
    pub betas: (f64, f64),
}

impl Default for LionRule {
    fn default() -> Self {
        Self { betas: (0.9, 0.99) }
    }
}

impl<F: Scalar> Lion<F> {
    /// Sets β₁ and β₂.
    ///
    /// # Panics
    ///
    /// If one is not in [0, 1).
    #[track_caller]
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        assert_share(LionRule::NAME, "beta1", beta1);
        assert_share(LionRule::NAME, "beta2", beta2);
        self.rule.betas = (beta1, beta2);
        self
    }
}

impl UpdateRule for LionRule {
    const NAME: &'static str = "Lion";
    type State<T> = [T; 1];
    const STATE: [&'static str; 1] = ["momentum"];

    precompiled_rule! { LionRule }

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, x: N, g: N, [m]: [N; 1]) -> (N, [N; 1]) {
        let (beta1, beta2) = self.betas;
        let c = N::lit(beta1) * m + N::lit(1.0 - beta1) * g;
        // Where c is 0 or NaN, the sign is c itself.
        let sign = if c > N::zero() {
            N::one()
        } else if c < N::zero() {
            -N::one()
        } else {
            c
        };
        let m = N::lit(beta2) * m + N::lit(1.0 - beta2) * g;
        (x - step.rate * (sign + step.decay * x), [flush_subnormal(m)])
    }
}
