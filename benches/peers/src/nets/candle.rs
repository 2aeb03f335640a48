//! `candle`, with the losses and optimisers of `candle-nn`.

use std::rc::Rc;

use super::suite::{ADAM_RATE, Activation, BETAS, EPSILON, Loss, Model, Optimizer as Rule, Problem, SGD_RATE};
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::loss::{cross_entropy, mse};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, SGD};

struct Candle {
    problem: Rc<Problem>,
    x: Tensor,
    y: Tensor,
    labels: Tensor,
    layers: Vec<[Var; 2]>,
    optimizer: Either,
}

enum Either {
    Sgd(SGD),
    Adam(AdamW),
}

pub fn model(problem: &Rc<Problem>) -> Box<dyn Model> {
    Box::new(Candle::new(problem).unwrap())
}

impl Candle {
    fn new(problem: &Rc<Problem>) -> Result<Self> {
        let (net, device, mut rest) = (problem.net, &Device::Cpu, &problem.weights[..]);
        let mut layers = vec![];
        for (n, m) in net.layers() {
            let (w, b);
            (w, rest) = rest.split_at(n * m);
            (b, rest) = rest.split_at(m);
            layers.push([Var::from_slice(w, (n, m), device)?, Var::from_slice(b, m, device)?]);
        }
        let vars = layers.as_flattened().to_vec();
        let optimizer = match net.optimizer {
            Rule::Sgd => Either::Sgd(SGD::new(vars, f64::from(SGD_RATE))?),
            Rule::Adam => Either::Adam(AdamW::new(
                vars,
                ParamsAdamW {
                    lr: f64::from(ADAM_RATE),
                    beta1: f64::from(BETAS.0),
                    beta2: f64::from(BETAS.1),
                    eps: f64::from(EPSILON),
                    weight_decay: 0.0,
                },
            )?),
        };
        Ok(Self {
            problem: Rc::clone(problem),
            x: Tensor::from_slice(&problem.x, (net.batch, net.inputs()), device)?,
            y: Tensor::from_slice(&problem.y, (net.batch, net.outputs()), device)?,
            labels: Tensor::from_slice(&problem.labels, net.batch, device)?,
            layers,
            optimizer,
        })
    }

    fn loss(&self) -> Result<Tensor> {
        let net = self.problem.net;
        let mut h = self.x.clone();
        for (i, [w, b]) in self.layers.iter().enumerate() {
            h = h.matmul(w)?.broadcast_add(b)?;
            if i + 1 < self.layers.len() {
                h = match net.activation {
                    Activation::Tanh => h.tanh()?,
                    Activation::Relu => h.relu()?,
                };
            }
        }
        match net.loss {
            Loss::Mse => mse(&h, &self.y),
            Loss::CrossEntropy => cross_entropy(&h, &self.labels),
        }
    }
}

impl Model for Candle {
    fn reset(&mut self) {
        *self = Self::new(&self.problem).unwrap();
    }

    fn step(&mut self) {
        let loss = self.loss().unwrap();
        match &mut self.optimizer {
            Either::Sgd(sgd) => sgd.backward_step(&loss),
            Either::Adam(adam) => adam.backward_step(&loss),
        }
        .unwrap();
    }

    fn gradient(&mut self) -> (f32, Vec<f32>) {
        let loss = self.loss().unwrap();
        let gradients = loss.backward().unwrap();
        let of = |var: &Var| gradients.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        (loss.to_scalar().unwrap(), self.layers.as_flattened().iter().flat_map(of).collect())
    }
}
