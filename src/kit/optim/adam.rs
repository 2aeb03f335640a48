//! [`Adam`] and [`AdamW`].

use super::rule::{precompiled_rule, ratio};
use super::{Optim, Pass, Step, UpdateRule, assert_not_negative, assert_share, flush_subnormal};
use crate::number::{Real, Scalar};

/// Adam: steps scaled by running moments of the gradient g,
///
/// ```text
/// m ← β₁m + (1 - β₁)g       m̂ = m / (1 - β₁ᵗ)
/// v ← β₂v + (1 - β₂)g²      v̂ = v / (1 - β₂ᵗ)
/// θ ← θ - lr · m̂ / (√v̂ + ε)
/// ```
///
/// Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1, with the
/// paper's β₁ = 0.9, β₂ = 0.999 and ε = 1e-8 unless set. lr is about the largest change of a weight in
/// one step. `weight_decay` · θ is added to g; the decay of [`AdamW`] usually works better.
pub type Adam<F = f64> = Optim<F, AdamRule<false>>;

/// Adam with decoupled weight decay: θ ← (1 - lr · `weight_decay`)θ, then the step of [`Adam`].
///
/// Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2. As in the
/// common libraries the decay is scaled by `lr`: the paper's λ is lr · `weight_decay`. The weight decay
/// is 0.01 unless set, the rest as in [`Adam`].
pub type AdamW<F = f64> = Optim<F, AdamRule<true>>;

/// The update rule of [`Adam`] and, with decoupled weight decay, of [`AdamW`].
#[derive(Clone, Copy, Debug)]
pub struct AdamRule<const DECOUPLED: bool> {
    /// The decay rates β₁ and β₂ of the two moments, each in [0, 1).
    pub betas: (f64, f64),
    /// ε, which bounds the step where the gradient is tiny. Where v̂ and ε are 0, there is no step.
    pub epsilon: f64,
    /// 1 / (1 - β₁ᵗ) and 1 / √(1 - β₂ᵗ) at the present step.
    corrections: [f64; 2],
}

impl<const DECOUPLED: bool> Default for AdamRule<DECOUPLED> {
    fn default() -> Self {
        Self { betas: (0.9, 0.999), epsilon: 1e-8, corrections: [1.0; 2] }
    }
}

impl<F: Scalar, const DECOUPLED: bool> Optim<F, AdamRule<DECOUPLED>> {
    /// Sets β₁ and β₂.
    ///
    /// # Panics
    ///
    /// If one is not in [0, 1).
    #[track_caller]
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        assert_share(AdamRule::<DECOUPLED>::NAME, "beta1", beta1);
        assert_share(AdamRule::<DECOUPLED>::NAME, "beta2", beta2);
        self.rule.betas = (beta1, beta2);
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
        assert_not_negative(AdamRule::<DECOUPLED>::NAME, "epsilon", epsilon);
        self.rule.epsilon = epsilon;
        self
    }
}

impl<const DECOUPLED: bool> UpdateRule for AdamRule<DECOUPLED> {
    const NAME: &'static str = if DECOUPLED { "AdamW" } else { "Adam" };
    type State<T> = [T; 2];
    const STATE: [&'static str; 2] = ["first_moment", "second_moment"];
    const WEIGHT_DECAY: f64 = if DECOUPLED { 0.01 } else { 0.0 };

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, x: N, gradient: N, [first, second]: [N; 2]) -> (N, [N; 2]) {
        let (x, g) = if DECOUPLED {
            ((N::one() - step.rate * step.decay) * x, gradient)
        } else {
            (x, gradient + step.decay * x)
        };
        let (beta1, beta2) = self.betas;
        let m = N::lit(beta1) * first + N::lit(1.0 - beta1) * g;
        let v = N::lit(beta2) * second + N::lit(1.0 - beta2) * g * g;
        let [first, second] = self.corrections.map(N::lit);
        let rate = step.rate * first;
        let x = x - rate * ratio(m, v.sqrt() * second + N::lit(self.epsilon));
        (x, [flush_subnormal(m), flush_subnormal(v)])
    }

    #[track_caller]
    fn take_step<F: Scalar>(self, pass: Pass<'_, F>) {
        let t = pass.number() as f64;
        let (beta1, beta2) = self.betas;
        let corrections = [(1.0 - beta1.powf(t)).recip(), (1.0 - beta2.powf(t)).sqrt().recip()];
        if DECOUPLED {
            pass.run(Decoupled(AdamRule { corrections, betas: self.betas, epsilon: self.epsilon }));
        } else {
            pass.run(Coupled(AdamRule { corrections, betas: self.betas, epsilon: self.epsilon }));
        }
    }
}

/// The rules with their corrections. They are two types, not one with a parameter, so that their loops are precompiled.
macro_rules! corrected {
    ($($Rule:ident: $decoupled:literal),+) => { $(
        #[derive(Clone, Copy)]
        struct $Rule(AdamRule<$decoupled>);

        impl UpdateRule for $Rule {
            const NAME: &'static str = AdamRule::<$decoupled>::NAME;
            type State<T> = [T; 2];
            const STATE: [&'static str; 2] = AdamRule::<$decoupled>::STATE;

            precompiled_rule! { $Rule }

            #[inline(always)]
            fn update<N: Real>(&self, step: Step<N>, x: N, gradient: N, state: [N; 2]) -> (N, [N; 2]) {
                self.0.update(step, x, gradient, state)
            }
        }
    )+ };
}
corrected! { Coupled: false, Decoupled: true }
