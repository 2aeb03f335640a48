//! `dfdx`, with shapes known at run time, which its modules do not take, and its optimisers' kernels.

use std::rc::Rc;

use super::suite::{ADAM_RATE, Activation, BETAS, EPSILON, Loss, Model, Optimizer, Problem, SGD_RATE};
use dfdx::losses::{cross_entropy_with_logits_loss, mse_loss};
use dfdx::optim::{AdamConfig, SgdConfig};
use dfdx::prelude::*;

type Matrix = Tensor<(usize, usize), f32, Cpu>;
type Vector = Tensor<(usize,), f32, Cpu>;

struct Dfdx {
    problem: Rc<Problem>,
    x: Matrix,
    /// The targets; of classes, rows with a single 1.
    y: Matrix,
    layers: Vec<(Matrix, Vector)>,
    moments: [Gradients<f32, Cpu>; 2],
    /// Steps taken.
    steps: i32,
}

pub fn model(problem: &Rc<Problem>) -> Box<dyn Model> {
    Box::new(Dfdx::new(problem))
}

impl Dfdx {
    fn new(problem: &Rc<Problem>) -> Self {
        let (net, device, mut rest) = (problem.net, Cpu::default(), &problem.weights[..]);
        let layers = net.layers().map(|(n, m)| {
            let (w, b);
            (w, rest) = rest.split_at(n * m);
            (b, rest) = rest.split_at(m);
            (device.tensor_from_vec(w.to_vec(), (n, m)), device.tensor_from_vec(b.to_vec(), (m,)))
        });
        let layers = layers.collect();
        let y = match net.loss {
            Loss::Mse => problem.y.clone(),
            Loss::CrossEntropy => {
                let row =
                    |&label: &u32| (0..net.outputs()).map(move |class| if class == label as usize { 1.0 } else { 0.0 });
                problem.labels.iter().flat_map(row).collect()
            }
        };
        Self {
            x: device.tensor_from_vec(problem.x.clone(), (net.batch, net.inputs())),
            y: device.tensor_from_vec(y, (net.batch, net.outputs())),
            layers,
            moments: [Gradients::leaky(), Gradients::leaky()],
            steps: 0,
            problem: Rc::clone(problem),
        }
    }

    /// Loss and gradient.
    fn sweep(&self) -> (f32, Gradients<f32, Cpu>) {
        let net = self.problem.net;
        let mut h = self.x.clone().trace(Gradients::leaky());
        for (i, (w, b)) in self.layers.iter().enumerate() {
            h = h.matmul(w.clone());
            let shape = *h.shape();
            h = h + b.retaped::<OwnedTape<f32, Cpu>>().broadcast_like::<_, Axis<0>>(&shape);
            if i + 1 < self.layers.len() {
                h = match net.activation {
                    Activation::Tanh => h.tanh(),
                    Activation::Relu => h.relu(),
                };
            }
        }
        let loss = match net.loss {
            Loss::Mse => mse_loss(h, self.y.clone()),
            Loss::CrossEntropy => cross_entropy_with_logits_loss(h, self.y.clone()),
        };
        (loss.array(), loss.backward())
    }

    fn update<S: Shape>(
        rule: Optimizer,
        step: i32,
        weight: &mut Tensor<S, f32, Cpu>,
        gradients: &mut Gradients<f32, Cpu>,
        [first, second]: &mut [Gradients<f32, Cpu>; 2],
    ) {
        let g = gradients.get_or_alloc_mut(weight).unwrap();
        let first = first.get_or_alloc_mut(weight).unwrap();
        match rule {
            Optimizer::Sgd => {
                let config = SgdConfig { lr: f64::from(SGD_RATE), momentum: None, weight_decay: None };
                config.try_update(weight, first, g)
            }
            Optimizer::Adam => {
                let betas = [BETAS.0, BETAS.1].map(f64::from);
                let (lr, eps) = (f64::from(ADAM_RATE), f64::from(EPSILON));
                let second = second.get_or_alloc_mut(weight).unwrap();
                AdamConfig { lr, betas, eps, weight_decay: None }.try_update(step, weight, first, second, g)
            }
        }
        .unwrap();
    }
}

impl Model for Dfdx {
    fn reset(&mut self) {
        *self = Self::new(&self.problem);
    }

    fn step(&mut self) {
        let (_, mut gradients) = self.sweep();
        self.steps += 1;
        let rule = self.problem.net.optimizer;
        for (w, b) in &mut self.layers {
            Self::update(rule, self.steps, w, &mut gradients, &mut self.moments);
            Self::update(rule, self.steps, b, &mut gradients, &mut self.moments);
        }
    }

    fn gradient(&mut self) -> (f32, Vec<f32>) {
        let (loss, gradients) = self.sweep();
        let of = |(w, b): &(Matrix, Vector)| [gradients.get(w).as_vec(), gradients.get(b).as_vec()].concat();
        (loss, self.layers.iter().flat_map(of).collect())
    }
}
