//! Optimisers: a step is one pass over flat vectors of parameters, gradient and state.
//!
//! Hyper-parameters are public fields, so that a schedule can change them between steps, and are
//! kept in `f64` for any number type. State is allocated by the first step.
//!
//! ```
//! use wengert::optim::{Optimizer, Sgd};
//! use wengert::{Params, Tape};
//!
//! let mut params = Params::<f64>::new();
//! let x = params.add("x", ndarray::array![3.0, -2.0]);
//! let mut sgd = Sgd::new(0.1).momentum(0.5).nesterov(true);
//! let mut tape = Tape::new();
//! for step in 0..100 {
//!     sgd.lr = 0.1 / (1.0 + 0.01 * f64::from(step));
//!     let (_, grad) = tape.value_and_grad(&params, |p| p.get(x).square().sum());
//!     sgd.step(&mut params, grad);
//! }
//! assert!(params.values().iter().all(|x| x.abs() < 1e-6));
//! ```

use crate::kernels::{Kernel, Wrap};
use crate::params::Params;
use crate::real::{Real, Scalar};

/// A rule that moves parameters by a gradient.
pub trait Optimizer<F: Scalar> {
    /// Takes one step; `grad` is the gradient with respect to [`Params::values`], as
    /// [`Tape::value_and_grad`](crate::Tape::value_and_grad) gives it.
    ///
    /// # Panics
    ///
    /// If `grad` has another length than the parameters, or parameters were added since the first
    /// step.
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]);
}

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
    velocity: Vec<F>,
}

impl<F: Scalar> Sgd<F> {
    /// Plain gradient descent.
    pub fn new(lr: f64) -> Self {
        Self { lr, momentum: 0.0, nesterov: false, weight_decay: 0.0, velocity: Vec::new() }
    }

    /// Sets the momentum.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Sets whether the momentum is Nesterov's.
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// Sets the weight decay.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }
}

impl<F: Scalar> Optimizer<F> for Sgd<F> {
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]) {
        let theta = paired(params, grad);
        let (lr, decay) = (F::lit(self.lr), F::lit(self.weight_decay));
        if self.momentum == 0.0 {
            F::dispatch(Descent { theta, grad, lr, decay });
        } else {
            prepare(&mut self.velocity, theta.len());
            F::dispatch(HeavyBall {
                theta,
                grad,
                velocity: &mut self.velocity,
                lr,
                decay,
                momentum: F::lit(self.momentum),
                nesterov: self.nesterov,
            });
        }
    }
}

struct Descent<'a, F> {
    theta: &'a mut [F],
    grad: &'a [F],
    lr: F,
    decay: F,
}

impl<F: Scalar> Kernel<F> for Descent<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let [lr, decay] = [self.lr, self.decay].map(L::wrap);
        for (theta, &grad) in self.theta.iter_mut().zip(self.grad) {
            let x = L::wrap(*theta);
            *theta = (x - lr * (L::wrap(grad) + decay * x)).unwrap();
        }
    }
}

struct HeavyBall<'a, F> {
    theta: &'a mut [F],
    grad: &'a [F],
    velocity: &'a mut [F],
    lr: F,
    decay: F,
    momentum: F,
    nesterov: bool,
}

impl<F: Scalar> Kernel<F> for HeavyBall<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let [lr, decay, momentum] = [self.lr, self.decay, self.momentum].map(L::wrap);
        for ((theta, &grad), velocity) in self.theta.iter_mut().zip(self.grad).zip(self.velocity) {
            let x = L::wrap(*theta);
            let g = L::wrap(grad) + decay * x;
            let v = momentum * L::wrap(*velocity) + g;
            *velocity = v.unwrap();
            let direction = if self.nesterov { g + momentum * v } else { v };
            *theta = (x - lr * direction).unwrap();
        }
    }
}

/// Adam: steps scaled by running moments of the gradient g,
///
/// ```text
/// m ← β₁m + (1 - β₁)g       m̂ = m / (1 - β₁ᵗ)
/// v ← β₂v + (1 - β₂)g²      v̂ = v / (1 - β₂ᵗ)
/// θ ← θ - lr · m̂ / (√v̂ + ε)
/// ```
///
/// Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.
#[derive(Clone, Debug)]
pub struct Adam<F> {
    /// The learning rate, about the largest change of a parameter in one step.
    pub lr: f64,
    /// The decay rates β₁ and β₂ of the two moments, each in [0, 1).
    pub betas: (f64, f64),
    /// ε, which bounds the step where the gradient is tiny.
    pub epsilon: f64,
    moments: Moments<F>,
}

impl<F: Scalar> Adam<F> {
    /// Adam with the paper's β₁ = 0.9, β₂ = 0.999 and ε = 1e-8.
    pub fn new(lr: f64) -> Self {
        Self { lr, betas: (0.9, 0.999), epsilon: 1e-8, moments: Moments::default() }
    }

    /// Sets β₁ and β₂.
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self { betas: (beta1, beta2), ..self }
    }

    /// Sets ε.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }
}

impl<F: Scalar> Optimizer<F> for Adam<F> {
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]) {
        let theta = paired(params, grad);
        self.moments.step(theta, grad, self.lr, self.betas, self.epsilon, 1.0);
    }
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
    moments: Moments<F>,
}

impl<F: Scalar> AdamW<F> {
    /// `AdamW` with β₁ = 0.9, β₂ = 0.999, ε = 1e-8 and a weight decay of 0.01.
    pub fn new(lr: f64) -> Self {
        Self { lr, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.01, moments: Moments::default() }
    }

    /// Sets β₁ and β₂.
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self { betas: (beta1, beta2), ..self }
    }

    /// Sets ε.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Sets the weight decay.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }
}

impl<F: Scalar> Optimizer<F> for AdamW<F> {
    #[track_caller]
    fn step(&mut self, params: &mut Params<F>, grad: &[F]) {
        let theta = paired(params, grad);
        let keep = 1.0 - self.lr * self.weight_decay;
        self.moments.step(theta, grad, self.lr, self.betas, self.epsilon, keep);
    }
}

/// Running first and second moments of a gradient.
#[derive(Clone, Debug, Default)]
struct Moments<F> {
    first: Vec<F>,
    second: Vec<F>,
    /// Steps taken.
    steps: u64,
}

impl<F: Scalar> Moments<F> {
    #[track_caller]
    fn step(&mut self, theta: &mut [F], grad: &[F], lr: f64, (beta1, beta2): (f64, f64), epsilon: f64, keep: f64) {
        prepare(&mut self.first, theta.len());
        prepare(&mut self.second, theta.len());
        self.steps += 1;
        let t = self.steps as f64;
        F::dispatch(AdamStep {
            theta,
            grad,
            first: &mut self.first,
            second: &mut self.second,
            betas: [beta1, beta2].map(F::lit),
            shares: [1.0 - beta1, 1.0 - beta2].map(F::lit),
            rate: F::lit(lr / (1.0 - beta1.powf(t))),
            scale: F::lit((1.0 - beta2.powf(t)).sqrt().recip()),
            epsilon: F::lit(epsilon),
            keep: F::lit(keep),
        });
    }
}

struct AdamStep<'a, F> {
    theta: &'a mut [F],
    grad: &'a [F],
    first: &'a mut [F],
    second: &'a mut [F],
    betas: [F; 2],
    /// 1 - β, before it is rounded.
    shares: [F; 2],
    /// lr / (1 - β₁ᵗ).
    rate: F,
    /// 1 / √(1 - β₂ᵗ).
    scale: F,
    epsilon: F,
    keep: F,
}

/// 0 instead of a subnormal number: the moments of a weight that gets no gradient decay into those,
/// on which arithmetic is slow, and which change no weight. (Measured: the whole step of the benchmark's
/// T8, whose gradients vanish as it overfits, takes 0.4 ms instead of 1.4.)
#[inline(always)]
fn flushed<L: Real>(x: L) -> L {
    if x.abs() < L::min_positive_value() { L::zero() } else { x }
}

impl<F: Scalar> Kernel<F> for AdamStep<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let [beta1, beta2] = self.betas.map(L::wrap);
        let [share1, share2] = self.shares.map(L::wrap);
        let [rate, scale] = [self.rate, self.scale].map(L::wrap);
        let [epsilon, keep] = [self.epsilon, self.keep].map(L::wrap);
        let state = self.first.iter_mut().zip(self.second);
        for ((theta, &grad), (first, second)) in self.theta.iter_mut().zip(self.grad).zip(state) {
            let g = L::wrap(grad);
            let m = beta1 * L::wrap(*first) + share1 * g;
            let v = beta2 * L::wrap(*second) + share2 * g * g;
            *first = flushed(m).unwrap();
            *second = flushed(v).unwrap();
            *theta = (keep * L::wrap(*theta) - rate * m / (v.sqrt() * scale + epsilon)).unwrap();
        }
    }
}

/// The parameters that belong to a gradient.
#[track_caller]
fn paired<'a, F: Scalar>(params: &'a mut Params<F>, grad: &[F]) -> &'a mut [F] {
    assert!(
        params.len() == grad.len(),
        "step: the gradient has {} numbers, the parameters have {}",
        grad.len(),
        params.len()
    );
    params.values_mut()
}

/// State of zeros at the first step.
#[track_caller]
fn prepare<F: Scalar>(state: &mut Vec<F>, len: usize) {
    if state.is_empty() {
        state.resize(len, F::zero());
    }
    assert!(
        state.len() == len,
        "step: the optimizer has state for {} numbers, the parameters have {len}; \
         add every parameter before the first step, or make a new optimizer",
        state.len()
    );
}
