//! [`Sgd`].

use super::{Clip, Optimizer, Rule, State, assert_not_negative, optimizer};
use crate::number::{Scalar, Wrap};
use crate::params::Params;

/// Stochastic gradient descent with momentum v, g being the gradient plus `weight_decay` · θ:
///
/// ```text
/// v ← momentum · v + g
/// θ ← θ - lr · v                      classical (Polyak)
/// θ ← θ - lr · (g + momentum · v)     Nesterov
/// ```
///
/// Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep
/// learning, ICML 2013. Two things are as in the common libraries rather than the paper: `lr`
/// stands outside of v, so that a new rate acts at once, and Nesterov's gradient is taken at the
/// point already looked ahead to.
#[derive(Clone, Debug)]
pub struct Sgd<F> {
    /// The learning rate.
    pub lr: f64,
    /// How much of the velocity is kept, in [0, 1).
    pub momentum: f64,
    /// Whether to look ahead along the velocity.
    pub nesterov: bool,
    /// The factor of ½‖θ‖² in the loss.
    pub weight_decay: f64,
    /// How the gradient is bounded.
    pub clip: Option<Clip>,
    state: State<F>,
}

impl<F: Scalar> Sgd<F> {
    /// Plain gradient descent.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite.
    #[track_caller]
    pub fn new(lr: f64) -> Self {
        assert_not_negative("Sgd", "lr", lr);
        Self { lr, momentum: 0.0, nesterov: false, weight_decay: 0.0, clip: None, state: State::new(&["velocity"]) }
    }

    /// Sets whether the momentum is Nesterov's.
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }
}

optimizer! { Sgd: momentum }

impl<F: Scalar> Optimizer<F> for Sgd<F> {
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]) {
        let plan = self.plan();
        if self.momentum == 0.0 {
            plan.take(params, grad, &mut self.state, Descent);
        } else {
            let rule = HeavyBall { momentum: F::lit(self.momentum), nesterov: self.nesterov };
            plan.take(params, grad, &mut self.state, rule);
        }
    }

    optimizer! { access Sgd }
}

#[derive(Clone, Copy)]
struct Descent;

impl<F: Scalar> Rule<F, 0> for Descent {
    #[inline(always)]
    fn update<L: Wrap<F>>(self, x: L, grad: L, _: [L; 0], rate: L, decay: L) -> (L, [L; 0]) {
        (x - rate * (grad + decay * x), [])
    }
}

#[derive(Clone, Copy)]
struct HeavyBall<F> {
    momentum: F,
    nesterov: bool,
}

impl<F: Scalar> Rule<F, 1> for HeavyBall<F> {
    #[inline(always)]
    fn update<L: Wrap<F>>(self, x: L, grad: L, [velocity]: [L; 1], rate: L, decay: L) -> (L, [L; 1]) {
        let momentum = L::wrap(self.momentum);
        let g = grad + decay * x;
        let v = momentum * velocity + g;
        let direction = if self.nesterov { g + momentum * v } else { v };
        (x - rate * direction, [v])
    }
}
