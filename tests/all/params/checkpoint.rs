//! Checkpoints of tensors and of functions of parameters.

use ndarray::{Array2, array};
use wengert::{Params, Tape};

use crate::support::close::assert_close;

#[test]
fn parts_of_a_network() {
    let mut params = Params::<f64>::new();
    let layers: Vec<_> = (0..4)
        .map(|i| {
            params.add(format!("w{i}"), Array2::from_shape_fn((3, 3), |(r, c)| (r * 2 + c + i) as f64 * 0.1 - 0.3))
        })
        .collect();
    let data = array![[0.2, -0.4, 1.0], [0.3, 0.1, -0.8]];
    let layers = &layers[..];
    let mut tape = Tape::new();
    let mut run = |params: &Params<f64>, checkpointed: bool| {
        let (loss, gradient) = tape.value_and_grad(params, |p| {
            let mut x = p.constant(&data);
            for pair in layers.chunks(2) {
                x = if checkpointed {
                    p.checkpoint(x, |p, x| pair.iter().fold(x, |x, w| x.dot(p.get(*w)).tanh()))
                } else {
                    pair.iter().fold(x, |x, w| x.dot(p.get(*w)).tanh())
                };
            }
            x.square().sum()
        });
        (loss, gradient.to_vec())
    };
    let (plain, again) = (run(&params, false), run(&params, true));
    assert_eq!(plain.0, again.0);
    assert_close("parts", &again.1, &plain.1, 1e-13);

    let tape = Tape::new();
    let x = tape.tensor(&data);
    // A checkpoint within a checkpoint: the inner one is computed again twice.
    let y = x.t().checkpoint(|x| x.sin().checkpoint(|x| x.exp() * 2.0) * x);
    let expected = (x.t().sin().exp() * 2.0 * x.t()).square().sum().backward().wrt(x);
    assert_close("nested", &y.square().sum().backward().wrt(x), &expected, 1e-13);
}

/// `value_and_grad_at` passes its values to checkpoints too, not those of the parameters.
#[test]
fn other_values_of_the_parameters() {
    let mut params = Params::<f64>::new();
    let w = params.add("w", array![1.0, 2.0]);
    let mut tape = Tape::new();
    let (loss, gradient) =
        tape.value_and_grad_at(&params, &[3.0, 4.0], |p| p.checkpoint(p.get(w), |p, x| x * p.get(w)).sum());
    assert_eq!((loss, &gradient[..]), (25.0, &[6.0, 8.0][..]));
}

/// Weights that are not the first inputs of their tape, and weights that are constants.
#[test]
fn weights_after_other_inputs() {
    let mut params = Params::<f64>::new();
    let w = params.add("w", array![1.0, 2.0]);
    let (tape, data) = (Tape::new(), array![3.0, 4.0]);
    let (first, x) = (tape.vars([5.0, 6.0]), tape.tensor(&data));
    let p = params.on(&tape);
    let y = p.checkpoint(x, |p, x| x * x * p.get(w)).sum() * first[0];
    let gradient = y.backward();
    assert_eq!(gradient.wrt(first), [41.0, 0.0]);
    assert_eq!(gradient.wrt(x), array![30.0, 80.0]);
    assert_eq!(gradient.wrt(p.flat()), array![45.0, 80.0]);
    let constants = params.frozen_on(&tape);
    let z = constants.checkpoint(x, |p, x| x * p.get(w));
    let gradient = z.sum().backward();
    assert_eq!((gradient.wrt(x), gradient.wrt(first)), (array![1.0, 2.0], [0.0, 0.0]));
    assert!(constants.checkpoint(tape.constant(&data), |p, x| x * p.get(w)).is_constant());
}
