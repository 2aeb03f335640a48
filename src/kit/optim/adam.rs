//! [`Adam`] and [`AdamW`].

use super::{Clip, Optimizer, Rule, State, assert_not_negative, flushed, optimizer};
use crate::number::{Scalar, Wrap};
use crate::params::Params;

/// Adam: steps scaled by running moments of the gradient g,
///
/// ```text
/// m ← β₁m + (1 - β₁)g       m̂ = m / (1 - β₁ᵗ)
/// v ← β₂v + (1 - β₂)g²      v̂ = v / (1 - β₂ᵗ)
/// θ ← θ - lr · m̂ / (√v̂ + ε)
/// ```
///
/// Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1. A
/// `weight_decay` adds its multiple of θ to g; [`AdamW`] decays better.
#[derive(Clone, Debug)]
pub struct Adam<F> {
    /// The learning rate, about the largest change of a parameter in one step.
    pub lr: f64,
    /// The decay rates β₁ and β₂ of the two moments, each in [0, 1).
    pub betas: (f64, f64),
    /// ε, which bounds the step where the gradient is tiny.
    pub epsilon: f64,
    /// The factor of ½‖θ‖² in the loss.
    pub weight_decay: f64,
    /// How the gradient is bounded.
    pub clip: Option<Clip>,
    state: State<F>,
}

impl<F: Scalar> Adam<F> {
    /// Adam with the paper's β₁ = 0.9, β₂ = 0.999 and ε = 1e-8.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite.
    #[track_caller]
    pub fn new(lr: f64) -> Self {
        assert_not_negative("Adam", "lr", lr);
        Self { lr, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0, clip: None, state: State::new(&MOMENTS) }
    }
}

optimizer! { Adam: betas epsilon }

impl<F: Scalar> Optimizer<F> for Adam<F> {
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]) {
        let rule = Moments::new(self.betas, self.epsilon, self.state.steps() + 1);
        self.plan().take(params, grad, &mut self.state, Coupled(rule));
    }

    optimizer! { access Adam }
}

/// Adam with decoupled weight decay: θ ← (1 - lr · `weight_decay`)θ, then the step of [`Adam`].
///
/// Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2. As in the
/// common libraries the decay is scaled by `lr`: the paper's λ is lr · `weight_decay`.
#[derive(Clone, Debug)]
pub struct AdamW<F> {
    /// The learning rate, about the largest change of a parameter in one step.
    pub lr: f64,
    /// The decay rates β₁ and β₂ of the two moments, each in [0, 1).
    pub betas: (f64, f64),
    /// ε, which bounds the step where the gradient is tiny.
    pub epsilon: f64,
    /// How fast parameters shrink, per unit of `lr`.
    pub weight_decay: f64,
    /// How the gradient is bounded.
    pub clip: Option<Clip>,
    state: State<F>,
}

impl<F: Scalar> AdamW<F> {
    /// `AdamW` with β₁ = 0.9, β₂ = 0.999, ε = 1e-8 and a weight decay of 0.01.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite.
    #[track_caller]
    pub fn new(lr: f64) -> Self {
        assert_not_negative("AdamW", "lr", lr);
        Self { lr, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.01, clip: None, state: State::new(&MOMENTS) }
    }
}

optimizer! { AdamW: betas epsilon }

impl<F: Scalar> Optimizer<F> for AdamW<F> {
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]) {
        let rule = Moments::new(self.betas, self.epsilon, self.state.steps() + 1);
        self.plan().take(params, grad, &mut self.state, Decoupled(rule));
    }

    optimizer! { access AdamW }
}

const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];

/// The running moments' constants at one step.
#[derive(Clone, Copy)]
struct Moments<F> {
    betas: [F; 2],
    /// 1 - β, before it is rounded.
    shares: [F; 2],
    /// 1 / (1 - β₁ᵗ).
    first: F,
    /// 1 / √(1 - β₂ᵗ).
    second: F,
    epsilon: F,
}

impl<F: Scalar> Moments<F> {
    fn new((beta1, beta2): (f64, f64), epsilon: f64, step: u64) -> Self {
        let t = step as f64;
        Self {
            betas: [beta1, beta2].map(F::lit),
            shares: [1.0 - beta1, 1.0 - beta2].map(F::lit),
            first: F::lit((1.0 - beta1.powf(t)).recip()),
            second: F::lit((1.0 - beta2.powf(t)).sqrt().recip()),
            epsilon: F::lit(epsilon),
        }
    }

    #[inline(always)]
    fn update<L: Wrap<F>>(self, x: L, g: L, [first, second]: [L; 2], rate: L) -> (L, [L; 2]) {
        let [beta1, beta2] = self.betas.map(L::wrap);
        let [share1, share2] = self.shares.map(L::wrap);
        let m = beta1 * first + share1 * g;
        let v = beta2 * second + share2 * g * g;
        let rate = rate * L::wrap(self.first);
        let x = x - rate * m / (v.sqrt() * L::wrap(self.second) + L::wrap(self.epsilon));
        (x, [flushed(m), flushed(v)])
    }
}

#[derive(Clone, Copy)]
struct Coupled<F>(Moments<F>);

impl<F: Scalar> Rule<F, 2> for Coupled<F> {
    #[inline(always)]
    fn update<L: Wrap<F>>(self, x: L, grad: L, state: [L; 2], rate: L, decay: L) -> (L, [L; 2]) {
        self.0.update(x, grad + decay * x, state, rate)
    }
}

#[derive(Clone, Copy)]
struct Decoupled<F>(Moments<F>);

impl<F: Scalar> Rule<F, 2> for Decoupled<F> {
    #[inline(always)]
    fn update<L: Wrap<F>>(self, x: L, grad: L, state: [L; 2], rate: L, decay: L) -> (L, [L; 2]) {
        self.0.update((L::one() - rate * decay) * x, grad, state, rate)
    }
}
