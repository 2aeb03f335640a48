//! [`Adagrad`].

use super::{Clip, Optimizer, Rule, State, assert_not_negative, optimizer};
use crate::number::{Scalar, Wrap};
use crate::params::Params;

/// Adagrad: steps scaled by the root of the sum of all squared gradients,
///
/// ```text
/// s ← s + g²
/// θ ← θ - lr · g / (√s + ε)
/// ```
///
/// Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic
/// optimization, JMLR 12, 2011, figure 1 with a diagonal matrix. `weight_decay` adds its multiple
/// of θ to g.
#[derive(Clone, Debug)]
pub struct Adagrad<F> {
    /// The learning rate, which is the size of the first step.
    pub lr: f64,
    /// ε, which bounds the step where all gradients were tiny.
    pub epsilon: f64,
    /// The factor of ½‖θ‖² in the loss.
    pub weight_decay: f64,
    /// How the gradient is bounded.
    pub clip: Option<Clip>,
    state: State<F>,
}

impl<F: Scalar> Adagrad<F> {
    /// Adagrad with ε = 1e-10.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite.
    #[track_caller]
    pub fn new(lr: f64) -> Self {
        assert_not_negative("Adagrad", "lr", lr);
        Self { lr, epsilon: 1e-10, weight_decay: 0.0, clip: None, state: State::new(&["sum_of_squares"]) }
    }
}

optimizer! { Adagrad: epsilon }

impl<F: Scalar> Optimizer<F> for Adagrad<F> {
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]) {
        self.plan().take(params, grad, &mut self.state, SumOfSquares { epsilon: F::lit(self.epsilon) });
    }

    optimizer! { access Adagrad }
}

#[derive(Clone, Copy)]
struct SumOfSquares<F> {
    epsilon: F,
}

impl<F: Scalar> Rule<F, 1> for SumOfSquares<F> {
    #[inline(always)]
    fn update<L: Wrap<F>>(self, x: L, grad: L, [sum]: [L; 1], rate: L, decay: L) -> (L, [L; 1]) {
        let g = grad + decay * x;
        let sum = sum + g * g;
        (x - rate * g / (sum.sqrt() + L::wrap(self.epsilon)), [sum])
    }
}
