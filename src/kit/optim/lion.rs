//! [`Lion`].

use super::{Clip, Optimizer, Rule, State, assert_not_negative, flushed, optimizer};
use crate::number::{Scalar, Wrap};
use crate::params::Params;

/// Lion: steps of one size along the sign of a momentum,
///
/// ```text
/// c = β₁m + (1 - β₁)g
/// θ ← θ - lr · (sign(c) + weight_decay · θ)
/// m ← β₂m + (1 - β₂)g
/// ```
///
/// Chen et al., Symbolic discovery of optimization algorithms, `NeurIPS` 2023, algorithm 2. sign(0)
/// is 0. Its rate is usually a third to a tenth of [`AdamW`](super::AdamW)'s, its weight decay as
/// many times larger.
#[derive(Clone, Debug)]
pub struct Lion<F> {
    /// The learning rate, the change of every parameter in one step.
    pub lr: f64,
    /// β₁ of the direction and β₂ of the momentum, each in [0, 1).
    pub betas: (f64, f64),
    /// How fast parameters shrink, per unit of `lr`.
    pub weight_decay: f64,
    /// How the gradient is bounded.
    pub clip: Option<Clip>,
    state: State<F>,
}

impl<F: Scalar> Lion<F> {
    /// Lion with the paper's β₁ = 0.9, β₂ = 0.99, and no weight decay.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite.
    #[track_caller]
    pub fn new(lr: f64) -> Self {
        assert_not_negative("Lion", "lr", lr);
        Self { lr, betas: (0.9, 0.99), weight_decay: 0.0, clip: None, state: State::new(&["momentum"]) }
    }
}

optimizer! { Lion: betas }

impl<F: Scalar> Optimizer<F> for Lion<F> {
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]) {
        let (beta1, beta2) = self.betas;
        let rule = Signs { betas: [beta1, beta2].map(F::lit), shares: [1.0 - beta1, 1.0 - beta2].map(F::lit) };
        self.plan().take(params, grad, &mut self.state, rule);
    }

    optimizer! { access Lion }
}

#[derive(Clone, Copy)]
struct Signs<F> {
    betas: [F; 2],
    /// 1 - β, before it is rounded.
    shares: [F; 2],
}

impl<F: Scalar> Rule<F, 1> for Signs<F> {
    #[inline(always)]
    fn update<L: Wrap<F>>(self, x: L, g: L, [m]: [L; 1], rate: L, decay: L) -> (L, [L; 1]) {
        let [beta1, beta2] = self.betas.map(L::wrap);
        let [share1, share2] = self.shares.map(L::wrap);
        let c = beta1 * m + share1 * g;
        // c itself where it is 0 or NaN.
        let sign = if c > L::zero() {
            L::one()
        } else if c < L::zero() {
            -L::one()
        } else {
            c
        };
        (x - rate * (sign + decay * x), [flushed(beta2 * m + share2 * g)])
    }
}
