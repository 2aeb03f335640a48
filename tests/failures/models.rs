//! Training steps: a model, its optimiser, averages and batches.

use ndarray::{Array1, Array2, Array4};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, gather_rows};
use wengert::nn::{
    BatchNorm, Conv2d, Dropout, Embedding, Flatten, Layer, LayerNorm, Linear, Lstm, MaxPool2d, Mode,
    MultiHeadAttention, Relu,
};
use wengert::optim::{Accumulator, Adagrad, Adam, AdamW, EarlyStopping, Ema, Lion, Optimizer, Plateau, RmsProp, Sgd};
use wengert::{Conv, Params, Tape, init};

use crate::{bits, every_failure};

type State = (Vec<u64>, u64, Vec<Vec<u64>>, String);

/// All that a model and its optimiser show.
fn state_of(params: &Params, optimizer: &dyn Optimizer<f64>) -> State {
    let vectors = optimizer.state().vectors().map(|(_, vector)| bits(vector)).collect();
    (bits(params.state()), optimizer.state().steps(), vectors, params.to_string())
}

#[test]
fn optimizers() {
    let build = || {
        let mut params = Params::new();
        params.add("frozen", Array1::ones(10));
        params.add("w", Array1::ones(100));
        params.add("b", Array1::ones(7));
        params.group("frozen").freeze();
        params.group("b").rate(0.5).decay(0.0);
        params
    };
    let grad: Vec<f64> = (0..117).map(|i| f64::from(i).sin()).collect();
    let optimizers: [fn() -> Box<dyn Optimizer<f64>>; 8] = [
        || Box::new(Sgd::new(1e-3).clip_value(0.5)),
        || Box::new(Sgd::new(1e-3).momentum(0.9).nesterov(true)),
        || Box::new(Adam::new(1e-3).clip_norm(1.0)),
        || Box::new(Adam::new(1e-3).amsgrad(true)),
        || Box::new(AdamW::new(1e-3)),
        || Box::new(RmsProp::new(1e-3).momentum(0.9)),
        || Box::new(Adagrad::new(1e-3)),
        || Box::new(Lion::new(1e-4)),
    ];
    for optimizer in optimizers {
        every_failure(
            || (build(), optimizer()),
            |(params, optimizer)| state_of(params, &**optimizer),
            |(params, optimizer)| {
                optimizer.step(params, &grad[..]);
                Ok(())
            },
        );
    }
}

#[test]
fn a_training_step() {
    let x = Array2::from_shape_fn((37, 70), |(i, j)| ((i * 31 + j) as f64).sin());
    let labels: Vec<usize> = (0..37).map(|i| i % 10).collect();
    let build = || {
        let mut rng = StdRng::seed_from_u64(0);
        let mut params = Params::new();
        let layers =
            (Linear::new(&mut params, "a", 70, 40, &mut rng), Relu, Linear::new(&mut params, "b", 40, 10, &mut rng));
        (params, layers, Tape::new(), Adam::new(1e-3))
    };
    every_failure(
        build,
        |(params, _, _, adam)| state_of(params, adam),
        |(params, layers, tape, adam)| {
            let (loss, grad) = tape.value_and_grad(params, |p| {
                layers.forward(p, p.constant(&x), &mut Mode::eval()).softmax_cross_entropy(&labels)
            });
            let found = (loss.to_bits(), bits(&grad[..]));
            adam.step(params, grad);
            Ok(found)
        },
    );
}

/// A product that is large enough to be packed.
#[test]
fn a_large_product() {
    let a = Array2::from_shape_fn((200, 200), |(i, j)| ((i * 31 + j) as f64).sin());
    let mut params = Params::new();
    let w = params.add("w", a.clone());
    every_failure(
        Tape::new,
        |_| (),
        |tape| {
            let (loss, grad) = tape.value_and_grad(&params, |p| p.constant(&a).dot(p.get(w)).sum());
            Ok((loss.to_bits(), bits(&grad[..])))
        },
    );
}

#[test]
fn every_layer() {
    let images: Array4<f64> = init::normal((4, 1, 4, 4), 0.0, 1.0, &mut StdRng::seed_from_u64(1));
    let build = || {
        let mut rng = StdRng::seed_from_u64(0);
        let mut params = Params::new();
        let convolution = Conv::new().padding(1);
        let net = (
            Conv2d::new(&mut params, "conv", 1, 4, 3, convolution, &mut rng),
            BatchNorm::new(&mut params, "norm", 4),
            Relu,
            MaxPool2d::new(2),
            Conv2d::new(&mut params, "wide", 4, 4, 3, convolution.stride(2), &mut rng),
            Flatten,
            Dropout::new(0.5),
            LayerNorm::new(&mut params, "layer", 4),
        );
        let lstm = Lstm::bidirectional(&mut params, "lstm", 4, 3, 2, &mut rng);
        let attention = MultiHeadAttention::new(&mut params, "attention", 6, 2, &mut rng).causal();
        let table = Embedding::new(&mut params, "table", 5, 6, &mut rng);
        (params, (net, lstm, attention, table), Tape::new(), Sgd::new(1e-3).momentum(0.9))
    };
    every_failure(
        build,
        |(params, _, _, sgd)| state_of(params, sgd),
        |(params, (net, lstm, attention, table), tape, sgd)| {
            // A mode counts its draws while the loss is recorded, so a step that is done again starts from the same count.
            let mut train = Mode::train_from(0, sgd.state().steps());
            let (loss, grad) = tape.value_and_grad(params, |p| {
                let features = net.forward(p, p.constant(&images), &mut train);
                let (states, _) = lstm.forward(p, features.reshape((2, 2, 4)), Some(&[2, 1]), None);
                let tokens = attention.forward(p, states.reshape((4, 1, 6))) + table.forward(p, &[0, 3, 3, 1]);
                tokens.square().mean()
            });
            let found = (loss.to_bits(), bits(&grad[..]));
            sgd.step(params, grad);
            train.update_buffers(params);
            Ok(found)
        },
    );
}

#[test]
fn parameters_are_added_whole() {
    every_failure(
        || {
            let mut params = Params::new();
            // Four entries fill the list of entries.
            for name in ["a", "b", "c"] {
                params.add(name, Array1::from_elem(3, 1.0));
            }
            params.add_buffer("mean", Array1::from_elem(2, 7.0));
            (params, 0)
        },
        |(params, _)| {
            let state = (params.values().to_vec(), params.state().to_vec(), params.trained_len(), params.to_string());
            (state, params.names().map(String::from).collect::<Vec<_>>())
        },
        |(params, number)| {
            let id = params.add(format!("w{number}"), Array2::from_elem((20, 20), 2.0));
            *number += 1;
            Ok(params.view(id).sum())
        },
    );
}

#[test]
fn groups_change_whole() {
    let mut params = Params::<f64>::new();
    for name in ["a", "b", "c", "d", "e"] {
        params.add(name, Array1::from_elem(3, 1.0));
    }
    // A clone has no spare room.
    every_failure(
        || params.clone(),
        |params| (params.trained_len(), params.to_string()),
        |params| {
            params.group_where(|weight| "bd".contains(weight.name)).freeze();
            Ok(params.trained_len())
        },
    );
}

#[test]
fn averages_and_batches() {
    let mut params = Params::new();
    params.add("w", Array1::from_elem(50, 1.5));
    let (params, grad) = (&params, [0.5; 50]);
    every_failure(
        || Ema::new(0.9),
        |ema| bits(ema.values()),
        |ema| {
            ema.update(params);
            Ok(())
        },
    );
    every_failure(
        || EarlyStopping::new(3),
        |stopping| (bits(stopping.weights()), stopping.best().to_bits(), stopping.waited()),
        |stopping| Ok(stopping.observe(0.5, params)),
    );
    every_failure(|| Accumulator::new(2), |_| (), |micro| Ok(micro.add(&grad[..], 1).map(|mean| bits(&mean[..]))));
    // In the middle of a mean, with a gradient that has more to remember than the one before.
    let mut tape = Tape::new();
    let (_, like) = tape.value_and_grad(params, |p| p.get(p.params().by_name::<ndarray::Ix1>("w").unwrap()).sum());
    every_failure(
        || {
            let mut micro = Accumulator::new(3);
            micro.add(&grad[..], 1);
            micro
        },
        |micro| micro.clone().finish().map(|mean| bits(&mean[..])),
        |micro| Ok(micro.add(like, 2).is_some()),
    );
    every_failure(|| Plateau::new(1e-3, 5), |_| (), |plateau| Ok(plateau.observe(1.0)));
    every_failure(
        || Batches::new(40, 7, 11),
        |_| (),
        |batches| {
            let mut sum = 0;
            batches.shuffle().enumerate().for_each(|(i, rows)| sum += i * rows.iter().sum::<usize>());
            Ok(sum)
        },
    );
    // The buffer is full of the last batch after a failure, or empty.
    let data = Array2::from_shape_fn((40, 3), |(i, j)| (i + j) as f64);
    every_failure(Vec::new, |_| (), |rows| Ok(gather_rows(&data, &[3, 1, 3], rows).sum()));
}
