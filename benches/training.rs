//! One training step (forward, loss, backward, update in place) of eight nets, f32, one thread.
//!
//! Each net's loss must fall while it warms up, or there is no time for it.

#![allow(missing_docs)] // criterion's macros make public functions

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array1, Array2, Ix1, Ix2};
use rand::{Rng, SeedableRng, rngs::StdRng};
use wengert::{Adam, On, Optimizer, Param, Params, Sgd, Tape, Tensor, Var, init};

struct Net {
    name: &'static str,
    sizes: &'static [usize],
    batch: usize,
    tanh: bool,
    classes: bool,
    adam: bool,
}

const NETS: [Net; 8] = [
    Net { name: "T1", sizes: &[2, 8, 1], batch: 4, tanh: true, classes: false, adam: false },
    Net { name: "T2", sizes: &[2, 16, 16, 1], batch: 32, tanh: true, classes: false, adam: false },
    Net { name: "T3", sizes: &[64, 32, 10], batch: 32, tanh: false, classes: true, adam: false },
    Net { name: "T4", sizes: &[784, 128, 10], batch: 64, tanh: false, classes: true, adam: false },
    Net { name: "T5", sizes: &[784, 512, 512, 10], batch: 128, tanh: false, classes: true, adam: false },
    Net { name: "T6", sizes: &[64; 21], batch: 16, tanh: true, classes: false, adam: false },
    Net { name: "T7", sizes: &[784, 10], batch: 256, tanh: false, classes: true, adam: false },
    Net { name: "T8", sizes: &[784, 128, 10], batch: 64, tanh: false, classes: true, adam: true },
];

type Layer = (Param<Ix2>, Param<Ix1>);

struct Data {
    x: Array2<f32>,
    y: Array2<f32>,
    labels: Vec<usize>,
}

fn loss<'t>(net: &Net, layers: &[Layer], data: &'t Data, p: On<'t, '_, f32>) -> Var<'t, f32> {
    let mut h: Tensor<'t, f32, Ix2> = p.tape().constant(&data.x);
    for (i, &(w, b)) in layers.iter().enumerate() {
        h = h.dot(p.get(w)) + p.get(b);
        if i + 1 < layers.len() {
            h = if net.tanh { h.tanh() } else { h.relu() };
        }
    }
    if net.classes { h.softmax_cross_entropy(&data.labels) } else { h.mse(&data.y) }
}

fn steps(c: &mut Criterion) {
    for net in &NETS {
        let mut rng = StdRng::seed_from_u64(1);
        let out = *net.sizes.last().expect("a net has layers");
        let data = Data {
            x: Array2::from_shape_fn((net.batch, net.sizes[0]), |_| rng.random_range(0.0..1.0)),
            y: Array2::from_shape_fn((net.batch, out), |_| rng.random_range(-0.5..0.5)),
            labels: (0..net.batch).map(|_| rng.random_range(0..out)).collect(),
        };
        let mut params = Params::<f32>::new();
        let layers: Vec<Layer> = (1..net.sizes.len())
            .map(|i| {
                let shape = (net.sizes[i - 1], net.sizes[i]);
                let w = params.add(&format!("w{i}"), init::glorot_uniform(shape, &mut rng));
                (w, params.add(&format!("b{i}"), Array1::zeros(shape.1)))
            })
            .collect();
        let mut optimizer: Box<dyn Optimizer<f32>> =
            if net.adam { Box::new(Adam::new(1e-3)) } else { Box::new(Sgd::new(0.01)) };
        let mut tape = Tape::new();
        let mut step = || {
            let (value, gradient) = tape.value_and_grad(&params, |p| loss(net, &layers, black_box(&data), p));
            optimizer.step(&mut params, gradient);
            value
        };
        let first = step();
        let warm = (0..20).map(|_| step()).last().expect("twenty steps");
        assert!(warm < first, "{}: the loss went from {first} to {warm}", net.name);
        c.bench_function(net.name, |b| b.iter(&mut step));
    }
}

criterion_group!(training, steps);
criterion_main!(training);
