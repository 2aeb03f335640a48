//! Groups of parameters: frozen ones, and factors of the rate and the decay.

use ndarray::{Array1, Array2, array};
use wengert::optim::{Adagrad, Adam, AdamW, Lion, Optimizer, RmsProp, Sgd};
use wengert::{Params, Tape};

use crate::support::panics::message_of;

fn model() -> Params<f64> {
    let mut params = Params::new();
    params.add("encoder.w", Array2::ones((3, 2)));
    params.add("encoder.b", Array1::ones(2));
    params.add("head.w", Array2::ones((2, 4)));
    params.add("head.b", Array1::ones(4));
    params
}

/// Each weight moves as it would by an optimiser of its own with the product of rate and factor.
#[test]
fn factors_are_those_of_an_own_optimizer() {
    type Make = fn(f64, f64) -> Box<dyn Optimizer<f64>>;
    let makes: [Make; 6] = [
        |lr, decay| Box::new(Sgd::new(lr).momentum(0.9).weight_decay(decay)),
        |lr, decay| Box::new(Adam::new(lr).weight_decay(decay)),
        |lr, decay| Box::new(AdamW::new(lr).weight_decay(decay)),
        |lr, decay| Box::new(RmsProp::new(lr).weight_decay(decay)),
        |lr, decay| Box::new(Adagrad::new(lr).weight_decay(decay)),
        |lr, decay| Box::new(Lion::new(lr).weight_decay(decay)),
    ];
    let grad: Vec<f64> = (0..20).map(|i| f64::from(i).sin()).collect();
    let walk = |params: &mut Params<f64>, mut optimizer: Box<dyn Optimizer<f64>>| {
        for _ in 0..3 {
            optimizer.step(params, &grad);
        }
        params.values().to_vec()
    };
    for make in makes {
        let mut params = model();
        params.group("encoder.w").freeze();
        params.group("head.").rate(0.5);
        params.group_where(|w| w.shape.len() < 2).decay(0.0);
        let values = walk(&mut params, make(0.25, 0.125));
        assert_eq!(values[..6], [1.0; 6]);
        for (range, lr, decay) in [(6..8, 0.25, 0.0), (8..16, 0.125, 0.125), (16..20, 0.125, 0.0)] {
            assert_eq!(values[range.clone()], walk(&mut model(), make(lr, decay))[range]);
        }
        params.group("").unfreeze().rate(1.0).decay(1.0);
        assert_eq!(params.trained_len(), 20);
    }
}

#[test]
fn a_frozen_weight_is_a_constant() {
    let mut params = Params::new();
    let w = params.add("encoder.w", array![2.0, 3.0]);
    let v = params.add("head.v", array![5.0, 7.0]);
    params.group("encoder.").freeze();
    let mut tape = Tape::new();
    let (loss, grad) = tape.value_and_grad(&params, |p| {
        assert!(p.get(w).is_constant() && !p.get(v).is_constant());
        let len = p.tape().len();
        let _ = p.get(w).exp();
        assert_eq!(p.tape().len(), len, "nothing is recorded");
        p.get(w).dot(p.get(v))
    });
    assert_eq!((loss, &grad[..]), (31.0, &[0.0, 0.0, 2.0, 3.0][..]));
    let frozen: Vec<bool> = params.iter().map(|w| w.frozen).collect();
    assert_eq!(frozen, [true, false]);
    assert_eq!(params.group("encoder.").unfreeze().iter().count(), 1);
    let (_, grad) = tape.value_and_grad(&params, |p| p.get(w).dot(p.get(v)));
    assert_eq!(grad, [5.0, 7.0, 2.0, 3.0]);
}

#[test]
fn weights_added_later_are_trained() {
    let mut params = model();
    params.group("head.b").freeze();
    params.add("more", Array1::ones(5));
    assert_eq!((params.len(), params.trained_len()), (25, 21));
    params.group_where(|_| false).freeze();
    assert_eq!(params.trained_len(), 21);
    assert_eq!(params.to_string().lines().last(), Some("total                  25  21 trained"));
}

#[test]
fn a_mistyped_prefix_is_refused() {
    let text = message_of(|| drop(model().group("encodr.").freeze()));
    assert!(text.contains("\"encodr.\"; the names are encoder.w, encoder.b, head.w, head.b"), "{text}");
    let text = message_of(|| drop(model().group("head.").rate(-1.0)));
    assert!(text.contains("the factor must be at least 0, it is -1"), "{text}");
}

/// Trained weights around a frozen one, and weights of one rate that are not neighbours: each number moves as its own
/// weight says.
#[test]
fn ranges_are_those_of_the_weights() {
    for (frozen, slow) in [("b", "c"), ("a", "d"), ("d", "b"), ("c", "a")] {
        let mut params = Params::new();
        for (name, len) in [("a", 2), ("b", 1), ("empty", 0), ("c", 3), ("d", 2)] {
            params.add(name, Array1::<f64>::zeros(len));
            params.add_buffer(format!("{name}.buffer"), Array1::zeros(1));
        }
        params.group(frozen).freeze();
        params.group(slow).rate(0.5);
        Sgd::new(1.0).step(&mut params, &[-1.0; 8]);
        let trained = params.iter().filter(|w| !w.frozen).map(|w| w.range.len()).sum::<usize>();
        assert_eq!(params.trained_len(), trained, "{frozen} frozen, {slow} slow");
        for weight in params.iter() {
            let expected = if weight.name == frozen { 0.0 } else { weight.rate };
            let moved = &params.values()[weight.range];
            assert!(moved.iter().all(|x| *x == expected), "{frozen} frozen, {slow} slow: {} at {moved:?}", weight.name);
        }
    }
}
