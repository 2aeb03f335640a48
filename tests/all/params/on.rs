//! Parameters on a tape, and the gradient of a loss of them in one call.

use ndarray::{Array1, Array2, Array3, ArrayD, IxDyn, array};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::optim::{Adam, Optimizer};
use wengert::{Params, Tape, init};

use super::model;
use crate::support::panics::message_of;

#[test]
fn a_shared_weight_gets_the_sum() {
    let (params, _, b) = model();
    let mut tape = Tape::new();
    let (loss, grad) = tape.value_and_grad(&params, |p| {
        let product = p.get(b) * p.get(b);
        product.at([0]) + product.at([1]) + product.at([2])
    });
    assert_eq!(loss, 0.5625);
    assert_eq!(grad, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.5]);
}

#[test]
fn without_a_closure() {
    let (params, w, b) = model();
    let tape = Tape::new();
    let before = tape.var(3.0);
    let p = params.on(&tape);
    let y = p.get(w) * p.get(b) * before;
    let gradient = y.at([1, 2]).backward();
    assert_eq!(gradient[before], 6.0 * 0.25);
    assert_eq!(gradient.wrt(p.get(w)), array![[0.0; 3], [0.0, 0.0, 0.75]]);
    assert_eq!(gradient.wrt(p.get(b)), array![0.0, 0.0, 18.0]);
    assert_eq!(gradient.wrt(p.flat()).to_vec(), [0.0, 0.0, 0.0, 0.0, 0.0, 0.75, 0.0, 0.0, 18.0]);

    let len = tape.len();
    let p = params.frozen_on(&tape);
    let y = p.get(w) * p.get(b);
    assert_eq!(y.value(), array![[0.5, -1.0, 0.75], [2.0, -2.5, 1.5]]);
    assert!(y.is_constant() && tape.len() == len);
}

#[test]
fn the_readme_loop() {
    let mut rng = StdRng::seed_from_u64(1);
    let inputs: Array3<f32> = init::normal((4, 16, 64), 0.0, 1.0, &mut rng);
    let labels = Array2::from_shape_fn((4, 16), |(i, j)| (3 * i + j) % 10);
    let epoch = || {
        let rows = labels.rows().into_iter();
        inputs.outer_iter().zip(rows.map(|row| row.to_slice().expect("row-major")))
    };
    let batches = (0..30).flat_map(|_| epoch());
    let mut losses = Vec::new();

    let mut params = Params::<f32>::new();
    let w1 = params.add("w1", init::he_uniform((64, 32), &mut rng));
    let b1 = params.add("b1", Array1::zeros(32));
    let w2 = params.add("w2", init::he_uniform((32, 10), &mut rng));
    let b2 = params.add("b2", Array1::zeros(10));
    let mut adam = Adam::new(1e-2);
    let mut tape = Tape::new();
    for (x, y) in batches {
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            let h = (p.tape().constant(x).dot(p.get(w1)) + p.get(b1)).relu();
            (h.dot(p.get(w2)) + p.get(b2)).softmax_cross_entropy(y)
        });
        adam.step(&mut params, grad);
        losses.push(loss);
    }
    assert!((losses[0] - 10_f32.ln()).abs() < 1.5, "{}", losses[0]);
    let last = losses[losses.len() - 1];
    assert!(last < 0.05, "{last}");
}

#[test]
fn data_outside_the_closure_is_borrowed() {
    let mut params = Params::new();
    let w = params.add("w", array![1.0, 2.0]);
    let mut tape = Tape::new();
    let x = array![3.0, 4.0];
    let mut seen = 0.0;
    let (loss, grad) = tape.value_and_grad(&params, |p| {
        let y = p.tape().constant(&x) * p.get(w);
        seen = y.value()[1];
        y.at([0]) + y.at([1]) * p.constant(2.0)
    });
    assert_eq!((loss, &grad[..], seen), (19.0, &[3.0, 8.0][..], 8.0));
    drop(x);
    assert_eq!(grad, [3.0, 8.0]);
}

#[test]
fn the_recording_is_forgotten() {
    let mut params = Params::new();
    let w = params.add("w", array![1.0, 2.0]);
    let mut tape = Tape::new();
    let _ = tape.value_and_grad(&params, |p| p.get(w).exp().at([1]));
    drop(params);
    assert!(tape.is_empty());
    let x = tape.var(2.0);
    assert_eq!(x.square().backward()[x], 4.0);
}

#[test]
fn a_panic_leaves_a_usable_tape() {
    let mut tape = Tape::new();
    {
        let params = {
            let mut params = Params::new();
            params.add("w", ArrayD::<f64>::ones(vec![1; 7]));
            params
        };
        let w = params.by_name::<IxDyn>("w").expect("just added");
        let text = message_of(|| {
            let _ = tape.value_and_grad(&params, |p| {
                let _ = p.get(w).exp();
                panic!("no loss today")
            });
        });
        assert_eq!(text, "no loss today");
    }
    assert!(tape.is_empty());
    let [x, y] = tape.vars([2.0, 3.0]);
    assert_eq!((x * y).backward().wrt([x, y]), [3.0, 2.0]);
}

#[test]
fn a_loss_without_dependence_has_gradient_zero() {
    let mut params = Params::new();
    params.add("w", array![1.0, 2.0]);
    let mut tape = Tape::new();
    let (loss, grad) = tape.value_and_grad(&params, |p| p.constant(5.0));
    assert_eq!((loss, &grad[..]), (5.0, &[0.0; 2][..]));
    // A loss that depends on other inputs only.
    let (_, grad) = tape.value_and_grad(&params, |p| p.tape().var(3.0).square());
    assert_eq!(grad, [0.0; 2]);
    let none = Params::<f64>::new();
    let (loss, grad) = tape.value_and_grad(&none, |p| p.tape().var(3.0));
    assert_eq!((loss, grad.len()), (3.0, 0));
}

#[test]
fn a_loss_of_another_tape_is_refused() {
    let other: &'static Tape = Box::leak(Box::default());
    let text = message_of(|| {
        let params = Params::new();
        let _ = Tape::new().value_and_grad(&params, |_| other.var(1.0));
    });
    assert!(text.contains("the loss belongs to tape"), "{text}");
}

#[test]
fn a_loss_that_is_not_finite_shows_in_the_gradient() {
    let mut params = Params::new();
    let w = params.add("w", array![0.0, 2.0]);
    let mut tape = Tape::new();
    let (loss, grad) = tape.value_and_grad(&params, |p| p.get(w).at([0]).ln());
    assert_eq!(loss, f64::NEG_INFINITY);
    assert_eq!(grad, [f64::INFINITY, 0.0]);
}

#[test]
fn hessian_vector_products_of_a_network() {
    let mut params = Params::<f64>::new();
    let w1 = params.add("w1", array![[0.1, -0.4, 0.7], [0.5, 0.2, -0.3]]);
    let b1 = params.add("b1", array![0.1, 0.0, -0.1]);
    let w2 = params.add("w2", array![[0.3, -0.2], [-0.6, 0.9], [0.4, 0.1]]);
    let x = array![[1.0, 2.0], [-0.5, 0.3], [0.7, -1.2]];
    macro_rules! loss {
        ($p:ident) => {
            ($p.constant(&x).dot($p.get(w1)) + $p.get(b1)).tanh().dot($p.get(w2)).softmax_cross_entropy(&[0, 1, 1])
        };
    }
    let direction: Vec<f64> = (0..params.len()).map(|i| 0.5 - 0.1 * i as f64).collect();
    let (value, gradient, product) = Tape::new().value_grad_hvp(&params, &direction, |p| loss!(p));

    let mut tape = Tape::new();
    let mut gradient_at = |values: &[f64]| {
        params.values_mut().copy_from_slice(values);
        let (value, gradient) = tape.value_and_grad(&params, |p| loss!(p));
        (value, gradient.to_vec())
    };
    let at = |t: f64, x0: &[f64]| -> Vec<f64> { x0.iter().zip(&direction).map(|(x, d)| x + t * d).collect() };
    let x0 = [0.1, -0.4, 0.7, 0.5, 0.2, -0.3, 0.1, 0.0, -0.1, 0.3, -0.2, -0.6, 0.9, 0.4, 0.1];
    let (plain_value, plain_gradient) = gradient_at(&x0);
    assert!((value - plain_value).abs() < 1e-15);
    let h = 1e-5;
    let (right, left) = (gradient_at(&at(h, &x0)).1, gradient_at(&at(-h, &x0)).1);
    for i in 0..x0.len() {
        assert!((gradient[i] - plain_gradient[i]).abs() < 1e-15);
        assert!((product[i] - (right[i] - left[i]) / (2.0 * h)).abs() < 1e-9);
    }
}

/// A step that borrows the parameters for the call alone, and a loss whose data outlives the call only.
fn train_step<'env>(
    tape: &mut Tape,
    params: &mut Params,
    sgd: &mut wengert::Sgd,
    loss: impl for<'t> FnOnce(wengert::ParamsOn<'t, 'env>) -> wengert::Var<'t>,
) -> f64 {
    let (loss, grad) = tape.value_and_grad(params, loss);
    wengert::Optimizer::step(sgd, params, grad);
    loss
}

#[test]
fn a_function_takes_the_loss_and_changes_the_parameters() {
    let mut params = Params::new();
    let w = params.add("w", array![1.0, 2.0]);
    let (mut tape, mut sgd) = (Tape::new(), wengert::Sgd::new(0.5));
    for i in 0..3 {
        let batch = array![f64::from(i), 1.0];
        train_step(&mut tape, &mut params, &mut sgd, |p| p.get(w).dot(p.constant(&batch)));
    }
    assert_eq!(params.values(), [1.0 - 0.5 * 3.0, 2.0 - 0.5 * 3.0]);
}

#[test]
fn an_error_of_the_loss_leaves_an_empty_tape() {
    let mut params = Params::new();
    let w = params.add("w", array![1.0, 2.0]);
    let mut tape = Tape::new();
    let result = tape.try_value_and_grad(&params, |p| {
        let _ = p.get(w).exp();
        Err::<wengert::Var<'_>, _>("no data")
    });
    assert_eq!(result.map(|(loss, _)| loss), Err("no data"));
    assert!(tape.is_empty());
    let (loss, grad) = tape.try_value_and_grad(&params, |p| Ok::<_, ()>(p.get(w).square().sum())).unwrap();
    assert_eq!((loss, &grad[..]), (5.0, &[2.0, 4.0][..]));
    grad[w][0] = 7.0;
    assert_eq!(grad, [7.0, 4.0]);
    // A gradient that can be changed stands where one is read.
    wengert::Optimizer::step(&mut wengert::Sgd::new(1.0), &mut params, grad);
    assert_eq!(params.values(), [-6.0, -2.0]);
}

#[test]
fn a_gradient_is_read_by_weight() {
    let mut params = Params::new();
    let buffer = params.add_buffer("scale", array![10.0]);
    let w = params.add("w", array![[1.0, 2.0]]);
    let b = params.add("b", array![3.0]);
    let mut tape = Tape::new();
    let ((loss, shape), grad) = tape.value_and_grad_aux(&params, |p| {
        ((p.get(w).square() * p.get(buffer)).sum() + p.get(b).sum() * 5.0, p.get(w).shape().to_vec())
    });
    assert_eq!((loss, shape), (65.0, vec![1, 2]));
    assert_eq!((&grad[w], &grad[b]), (&[20.0, 40.0][..], &[5.0][..]));
    assert_eq!(params.view_of(w, grad), array![[20.0, 40.0]]);
    let copy = grad.clone();
    assert_eq!(&copy[b], [5.0]);
}

#[test]
#[should_panic(expected = "is not that of a weight of the gradient's model")]
fn a_gradient_is_not_read_by_a_weight_of_another_model() {
    let (mut params, mut other) = (Params::new(), Params::new());
    let w = params.add("w", array![1.0]);
    let v = other.add("w", array![1.0]);
    let mut tape = Tape::new();
    let (_, grad) = tape.value_and_grad(&params, |p| p.get(w).sum());
    let _ = &grad[v];
}

#[test]
#[should_panic(expected = "plain numbers of no known model")]
fn plain_numbers_are_not_read_by_weight() {
    let mut params = Params::<f64>::new();
    let w = params.add("w", array![1.0]);
    let numbers = vec![1.0];
    let grad = wengert::ParamsGradient::from(&numbers);
    let _ = &grad[w];
}
