//! `burn`'s tensors, differentiated, on two of its backends.

use std::rc::Rc;

use super::suite::{ADAM_RATE, Activation, BETAS, EPSILON, Loss, Model, Optimizer, Problem, SGD_RATE};
use burn_tensor::activation::{log_softmax, relu, tanh};
use burn_tensor::{Device, Gradients, Int, Tensor, TensorData};

struct Burn {
    problem: Rc<Problem>,
    device: Device,
    x: Tensor<2>,
    y: Tensor<2>,
    labels: Tensor<2, Int>,
    layers: Vec<(Weight<2>, Weight<1>)>,
    /// Steps taken.
    steps: i32,
}

struct Weight<const D: usize> {
    value: Tensor<D>,
    moments: Option<[Tensor<D>; 2]>,
}

pub fn flex(problem: &Rc<Problem>) -> Box<dyn Model> {
    Box::new(Burn::new(problem, Device::flex().autodiff()))
}

#[allow(deprecated)] // still the faster one on some nets
pub fn ndarray(problem: &Rc<Problem>) -> Box<dyn Model> {
    Box::new(Burn::new(problem, Device::ndarray().autodiff()))
}

impl Burn {
    fn new(problem: &Rc<Problem>, device: Device) -> Self {
        let (net, mut rest) = (problem.net, &problem.weights[..]);
        let layers = net.layers().map(|(n, m)| {
            let (w, b);
            (w, rest) = rest.split_at(n * m);
            (b, rest) = rest.split_at(m);
            (Weight::new(w, [n, m], &device), Weight::new(b, [m], &device))
        });
        let layers = layers.collect();
        // Data is not tracked.
        let plain = device.clone().inner();
        let matrix = |data: &[f32], width| {
            let data = TensorData::new(data.to_vec(), [net.batch, width]);
            Tensor::from_inner(Tensor::<2>::from_data(data, &plain))
        };
        let labels = problem.labels.iter().map(|&label| label as i32).collect::<Vec<_>>();
        Self {
            x: matrix(&problem.x, net.inputs()),
            y: matrix(&problem.y, net.outputs()),
            labels: Tensor::from_data(TensorData::new(labels, [net.batch, 1]), &device),
            layers,
            steps: 0,
            device,
            problem: Rc::clone(problem),
        }
    }

    fn loss(&self) -> Tensor<1> {
        let net = self.problem.net;
        let mut h = self.x.clone();
        for (i, (w, b)) in self.layers.iter().enumerate() {
            h = h.matmul(w.value.clone()) + b.value.clone().unsqueeze();
            if i + 1 < self.layers.len() {
                h = match net.activation {
                    Activation::Tanh => tanh(h),
                    Activation::Relu => relu(h),
                };
            }
        }
        match net.loss {
            Loss::Mse => (h - self.y.clone()).square().mean(),
            Loss::CrossEntropy => log_softmax(h, 1).gather(1, self.labels.clone()).mean().neg(),
        }
    }
}

impl<const D: usize> Weight<D> {
    fn new(data: &[f32], shape: [usize; D], device: &Device) -> Self {
        let value = Tensor::from_data(TensorData::new(data.to_vec(), shape), device);
        Self { value: value.require_grad(), moments: None }
    }

    fn update(&mut self, gradients: &mut Gradients, rule: Optimizer, step: i32) {
        let g = self.value.grad_remove(gradients).unwrap();
        let value = self.value.clone().inner();
        let value = match rule {
            Optimizer::Sgd => value - g * SGD_RATE,
            Optimizer::Adam => {
                let (beta1, beta2) = BETAS;
                let (m, v) = (g.clone() * (1.0 - beta1), g.square() * (1.0 - beta2));
                let [m, v] = match self.moments.take() {
                    Some([first, second]) => [first * beta1 + m, second * beta2 + v],
                    None => [m, v],
                };
                self.moments = Some([m.clone(), v.clone()]);
                let root = (v / (1.0 - beta2.powi(step))).sqrt();
                value - m / (root + EPSILON) * (ADAM_RATE / (1.0 - beta1.powi(step)))
            }
        };
        self.value = Tensor::from_inner(value).require_grad();
    }

    fn gradient(&self, gradients: &Gradients) -> Vec<f32> {
        self.value.grad(gradients).unwrap().into_data().try_to_vec().unwrap()
    }
}

impl Model for Burn {
    fn reset(&mut self) {
        *self = Self::new(&self.problem, self.device.clone());
    }

    fn step(&mut self) {
        let mut gradients = self.loss().backward();
        self.steps += 1;
        for (w, b) in &mut self.layers {
            w.update(&mut gradients, self.problem.net.optimizer, self.steps);
            b.update(&mut gradients, self.problem.net.optimizer, self.steps);
        }
    }

    fn gradient(&mut self) -> (f32, Vec<f32>) {
        let loss = self.loss();
        let gradients = loss.backward();
        let of = |(w, b): &(Weight<2>, Weight<1>)| [w.gradient(&gradients), b.gradient(&gradients)].concat();
        (loss.into_scalar(), self.layers.iter().flat_map(of).collect())
    }
}
