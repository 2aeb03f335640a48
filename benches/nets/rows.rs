//! `wengert`: a flat vector of weights, and a tape that keeps its memory.

use std::rc::Rc;

use super::suite::{ADAM_RATE, Activation as Hidden, Loss, Model, Optimizer as Rule, Problem, SGD_RATE};
use wengert::ndarray::{ArrayView1, ArrayView2, Ix1, Ix2};
use wengert::{Activation, Adam, Optimizer, Param, Params, ParamsOn, Sgd, Tape, Tensor, Var};

type Matrix<'t> = Tensor<'t, f32, Ix2>;
type Ids = (Param<Ix2>, Param<Ix1>);

/// f(x w + b).
type Layer = for<'t> fn(Matrix<'t>, Matrix<'t>, Tensor<'t, f32, Ix1>, Activation) -> Matrix<'t>;

struct Wengert {
    layer: Layer,
    problem: Rc<Problem>,
    params: Params<f32>,
    layers: Vec<Ids>,
    tape: Tape<f32>,
    optimizer: Box<dyn Optimizer<f32>>,
}

/// Operators and methods.
pub fn plain(problem: &Rc<Problem>) -> Box<dyn Model> {
    model(problem, |x, w, b, f| match f {
        Activation::Identity => x.dot(w) + b,
        Activation::Relu => (x.dot(w) + b).relu(),
        Activation::Tanh => (x.dot(w) + b).tanh(),
        _ => unreachable!("no net has another"),
    })
}

/// Each layer as one operation.
pub fn best(problem: &Rc<Problem>) -> Box<dyn Model> {
    model(problem, |x, w, b, f| x.dense(w, b, f))
}

fn model(problem: &Rc<Problem>, layer: Layer) -> Box<dyn Model> {
    let (mut params, mut rest) = (Params::new(), &problem.weights[..]);
    let layers = problem.net.layers().enumerate().map(|(i, (n, m))| {
        let (w, b);
        (w, rest) = rest.split_at(n * m);
        (b, rest) = rest.split_at(m);
        let w = ArrayView2::from_shape((n, m), w).expect("n m weights");
        (params.add(format!("w{i}"), w), params.add(format!("b{i}"), ArrayView1::from(b)))
    });
    let layers = layers.collect();
    let optimizer = optimizer(problem);
    Box::new(Wengert { layer, problem: Rc::clone(problem), params, layers, tape: Tape::new(), optimizer })
}

fn optimizer(problem: &Problem) -> Box<dyn Optimizer<f32>> {
    match problem.net.optimizer {
        Rule::Sgd => Box::new(Sgd::new(f64::from(SGD_RATE))),
        Rule::Adam => Box::new(Adam::new(f64::from(ADAM_RATE))),
    }
}

fn loss<'t>(layer: Layer, problem: &'t Problem, layers: &[Ids], p: ParamsOn<'t, '_, f32>) -> Var<'t, f32> {
    let net = problem.net;
    let matrix = |width, data| ArrayView2::from_shape((net.batch, width), data).expect("a row for each sample");
    let mut h: Matrix<'t> = p.constant(matrix(net.inputs(), &problem.x));
    for (i, &(w, b)) in layers.iter().enumerate() {
        let activation = match net.activation {
            _ if i + 1 == layers.len() => Activation::Identity,
            Hidden::Tanh => Activation::Tanh,
            Hidden::Relu => Activation::Relu,
        };
        h = layer(h, p.get(w), p.get(b), activation);
    }
    match net.loss {
        Loss::Mse => h.mse(matrix(net.outputs(), &problem.y)),
        Loss::CrossEntropy => h.softmax_cross_entropy(&problem.labels),
    }
}

impl Model for Wengert {
    fn reset(&mut self) {
        self.params.values_mut().copy_from_slice(&self.problem.weights);
        self.optimizer = optimizer(&self.problem);
    }

    fn step(&mut self) {
        let (_, gradient) =
            self.tape.value_and_grad(&self.params, |p| loss(self.layer, &self.problem, &self.layers, p));
        self.optimizer.step(&mut self.params, gradient);
    }

    fn gradient(&mut self) -> (f32, Vec<f32>) {
        let (value, gradient) =
            self.tape.value_and_grad(&self.params, |p| loss(self.layer, &self.problem, &self.layers, p));
        (value, gradient.to_vec())
    }
}
