//! The updates of the optimisers against the formulas of their papers.

use ndarray::{Array1, array};
use wengert::optim::{Adagrad, Adam, AdamW, Ema, Lion, Optimizer, RmsProp, Sgd, global_norm};
use wengert::{Params, Scalar, Tape};

use crate::support::close::assert_close;
use crate::support::panics::message_of;

/// Six steps from (0.5, -2, 3.25) on f(x) = x₀²x₁ + x₂²/2 + x₀x₂. The expected points of the tests are the
/// formulas of the papers in 50-digit arithmetic (mpmath 1.3) with a learning rate of 0.05.
fn run<F: Scalar>(mut optimizer: impl Optimizer<F>) -> Vec<F> {
    let mut params = Params::new();
    let id = params.add("x", array![0.5, -2.0, 3.25].mapv(F::lit));
    let mut tape = Tape::new();
    for _ in 0..6 {
        let (_, grad) = tape.value_and_grad(&params, |p| {
            let x = p.get(id);
            let [a, b, c] = [0, 1, 2].map(|i| x.at([i]));
            a.square() * b + c.square() * F::lit(0.5) + a * c
        });
        optimizer.step(&mut params, grad);
    }
    params.values().to_vec()
}

fn check(optimizer: impl Optimizer<f64>, single: impl Optimizer<f32>, expected: [f64; 3]) {
    assert_close("f64", &run(optimizer), &expected, 1e-14);
    let single: Vec<f64> = run(single).into_iter().map(f64::from).collect();
    assert_close("f32", &single, &expected, 4e-6);
}

macro_rules! check {
    ($optimizer:expr, $expected:expr) => {
        check($optimizer, $optimizer, $expected)
    };
}

#[test]
fn sgd() {
    check!(Sgd::new(0.05), [0.054712275526812680871, -2.037294577332930411, 2.3040441347217686663]);
    check!(Sgd::new(0.05).weight_decay(0.1), [0.045137373300066669014, -1.9765709955620814843, 2.2323913732995969307]);
}

#[test]
fn sgd_with_momentum() {
    check!(Sgd::new(0.05).momentum(0.9), [-0.89586374259532403463, -2.1285364415337692873, 0.61990112335557833794]);
    check!(
        Sgd::new(0.05).momentum(0.9).nesterov(true).weight_decay(0.1),
        [-1.636647554787643243, -1.9911954717894142314, 0.3394544560948006357]
    );
}

#[test]
fn adam() {
    check!(Adam::new(0.05), [0.1981781422114123026, -2.2820576037463550241, 2.9511755242963136484]);
    check!(
        Adam::new(0.05).betas(0.8, 0.95).epsilon(1e-2),
        [0.19849106212318244677, -2.2632226092234253743, 2.9526246947055789409]
    );
}

#[test]
fn adam_with_coupled_decay() {
    check!(Adam::new(0.05).weight_decay(0.1), [0.19814435471868800193, -1.9784219685131043774, 2.9511288784864548377]);
}

/// `Adam` and `AdamW` of PyTorch 2.15 with `amsgrad=True`, where β₂ = ½ lets v fall.
#[test]
fn amsgrad() {
    check!(
        Adam::new(0.05).amsgrad(true).betas(0.8, 0.5).epsilon(1e-2).weight_decay(0.1),
        [0.21286600011510412, -1.9782462174834152, 2.9490059199594048]
    );
    check!(
        AdamW::new(0.05).amsgrad(true).betas(0.8, 0.5).weight_decay(0.1),
        [0.19887287729820632, -2.1998496703544443, 2.8557670776407931]
    );
    // The greatest moment stays, and a NaN in it too.
    let mut params = Params::new();
    params.add("x", array![0.0, 0.0]);
    let mut adam = Adam::new(0.1).amsgrad(true);
    for gradient in [[2.0, 1.0], [0.0, f64::NAN], [0.0, 1.0]] {
        adam.step(&mut params, &gradient);
    }
    let vectors: Vec<_> = adam.state().vectors().collect();
    assert_eq!(
        vectors.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["first_moment", "second_moment", "greatest_second_moment"]
    );
    assert_close("greatest", &vectors[2].1[..1], &[0.004], 1e-15);
    assert!(vectors[1].1[0] < 0.004 && vectors[2].1[1].is_nan() && params.values()[1].is_nan());
    // Without it the vector stays empty.
    let mut adam = Adam::new(0.1);
    adam.step(&mut params, &[1.0, 1.0]);
    assert_eq!(adam.state().vectors().map(|(_, v)| v.len()).collect::<Vec<_>>(), [2, 2, 0]);
}

#[test]
fn rmsprop() {
    check!(RmsProp::new(0.05), [-2.0118910110838613391, -4.1441451411299173132, 2.003435224166833157]);
    check!(
        RmsProp::new(0.05).alpha(0.9).epsilon(1e-3).weight_decay(0.1),
        [-0.19870778239019543901, -1.6006276346312722746, 2.6839386386967632081]
    );
    check!(
        RmsProp::new(0.05).alpha(0.9).epsilon(1e-3).momentum(0.8).weight_decay(0.1),
        [-1.4754961219816517467, -1.7945821031234129178, 1.7709986703784454194]
    );
}

#[test]
fn adagrad() {
    check!(Adagrad::new(0.05), [0.30712232074078562729, -2.1516211561413049908, 3.0714794009771111034]);
    check!(
        Adagrad::new(0.05).epsilon(1e-2).weight_decay(0.1),
        [0.30629699531182715782, -1.9273720054890127849, 3.0716494117501862414]
    );
}

#[test]
fn lion() {
    check!(Lion::new(0.05), [0.2, -2.3, 2.95]);
    check!(
        Lion::new(0.05).betas(0.5, 0.8).weight_decay(0.3),
        [0.1676816435155390625, -2.1155889935598125, 2.6792793442984257812]
    );
    // Gradients of either sign, where the betas decide on the sign of a step. Exact decimals.
    for (mut lion, gradients, weights, momentum) in [
        (Lion::new(0.1), [1.0, -0.05, -0.1], [-0.1, -0.2, -0.1], 0.008306),
        (Lion::new(0.1).betas(0.5, 0.8), [1.0, -0.1, -0.5], [-0.1, -0.2, -0.1], 0.012),
    ] {
        let mut params = Params::new();
        params.add("x", array![0.0]);
        for (gradient, weight) in gradients.into_iter().zip(weights) {
            lion.step(&mut params, &[gradient]);
            assert_close("weight", params.values(), &[weight], 1e-15);
        }
        assert_close("momentum", lion.state().vectors().next().expect("one vector").1, &[momentum], 1e-15);
    }
    // A weight without gradient does not move.
    assert_eq!(stepped(Lion::new(0.1), &[0.0, 2.0, -3.0]), [0.0, -0.1, 0.1]);
}

#[test]
fn clipping() {
    check!(Sgd::new(0.05).clip_norm(1.5), [0.34205430789591747745, -2.0230327973949340992, 2.8294653697212414294]);
    check!(Sgd::new(0.05).clip_value(0.75), [0.275, -2.0507421875, 3.025]);
    // A NaN is not hidden, and the norm does not count frozen weights.
    assert!(stepped(Sgd::new(1.0).clip_value(1.0), &[f64::NAN, 5.0])[0].is_nan());
    assert!(stepped(Sgd::new(1.0).clip_norm(1.0), &[f64::NAN, 5.0]).iter().all(|x| x.is_nan()));
    // Infinite numbers: of several it is not known how they share the norm.
    for gradient in [[f64::INFINITY, 5.0, 0.0], [f64::NEG_INFINITY, f64::INFINITY, 1.0]] {
        assert!(stepped(Sgd::new(1.0).clip_norm(1.0), &gradient).iter().all(|x| x.is_nan()));
        assert_eq!(stepped(Sgd::new(1.0).clip_norm(f64::MAX), &[1e200, 5.0, 0.0]), [-1e200, -5.0, 0.0]);
    }
    assert_eq!(stepped(Sgd::new(1.0).clip_value(2.0), &[f64::INFINITY, f64::NEG_INFINITY]), [-2.0, 2.0]);
    let mut params = Params::new();
    params.add("a", array![0.0, 0.0]);
    params.add("b", array![0.0]);
    params.group("b").freeze();
    Sgd::new(1.0).clip_norm(1.0).step(&mut params, &[0.6, -0.8, 100.0]);
    assert_eq!(params.values(), [-0.6, 0.8, 0.0]);
}

/// With ε = 0 a weight whose gradients were all 0, or have no square, does not move.
#[test]
fn no_epsilon() {
    assert_eq!(stepped(Adam::new(0.1).epsilon(0.0), &[0.0, 2.0, -1e-200]), [0.0, -0.1, 0.0]);
    assert_eq!(stepped(AdamW::new(0.1).epsilon(0.0), &[0.0, 2.0, -1e-200]), [0.0, -0.1, 0.0]);
    assert_eq!(stepped(Adagrad::new(0.1).epsilon(0.0), &[0.0, 2.0, -1e-200]), [0.0, -0.1, 0.0]);
    assert_eq!(stepped(RmsProp::new(0.1).alpha(0.0).epsilon(0.0), &[0.0, 2.0, -1e-200]), [0.0, -0.1, 0.0]);
}

#[test]
fn norms_do_not_overflow() {
    let long: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.3).sin()).collect();
    let plain: f64 = long.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    assert!((global_norm(&long) - plain).abs() < 1e-12 * plain);
    assert!((global_norm(&[3e38_f32, 2e38]) / 13_f64.sqrt() - 1e38).abs() < 1e31);
    assert_eq!(global_norm(&[3e-200, 4e-200]), 5e-200);
    assert_eq!(global_norm::<f64>(&[]), 0.0);
    assert_eq!(global_norm(&[0.0, f64::INFINITY]), f64::INFINITY);
    assert!(global_norm(&[0.0, f64::NAN, f64::INFINITY]).is_nan());
}

#[test]
fn adamw() {
    check!(AdamW::new(0.05).weight_decay(0.1), [0.18710197776937788704, -2.2178948216898113888, 2.8588588954633282669]);
    // AdamW without decay is Adam.
    let (adam, adamw) = (Adam::<f64>::new(0.05), AdamW::<f64>::new(0.05).weight_decay(0.0));
    assert_eq!(run(adam), run(adamw));
}

/// The step of each number of a long vector is the step that the number takes alone, so that no SIMD width shows.
#[test]
fn long_vectors() {
    fn step(optimizer: &mut impl Optimizer<f32>, x: Array1<f32>, grad: &[f32]) -> Vec<f32> {
        let mut params = Params::new();
        params.add("x", x);
        optimizer.step(&mut params, grad);
        optimizer.step(&mut params, grad);
        params.values().to_vec()
    }
    let n = 1031;
    let x = Array1::from_shape_fn(n, |i| (i as f32 * 0.7).sin());
    let g = Array1::from_shape_fn(n, |i| (i as f32 * 1.3).cos());
    let long = [
        step(&mut Sgd::new(0.1).momentum(0.9).nesterov(true), x.clone(), g.as_slice().unwrap()),
        step(&mut AdamW::new(0.1), x.clone(), g.as_slice().unwrap()),
    ];
    for i in 0..n {
        let (x, g) = (array![x[i]], [g[i]]);
        let sgd = step(&mut Sgd::new(0.1).momentum(0.9).nesterov(true), x.clone(), &g);
        assert_eq!(long[0][i], sgd[0], "{i}");
        assert_eq!(long[1][i], step(&mut AdamW::new(0.1), x, &g)[0], "{i}");
    }
}

#[test]
fn a_rate_can_change_between_steps() {
    let mut params = Params::new();
    params.add("x", array![0.0]);
    let mut sgd = Sgd::new(1.0).momentum(0.5);
    sgd.step(&mut params, &[1.0]);
    sgd.lr = 0.1;
    sgd.step(&mut params, &[1.0]);
    assert_eq!(params.values(), [-1.0 - 0.1 * 1.5]);
    // Through a pointer, and as part of a state that is compared.
    let mut boxed: Box<dyn Optimizer<f64>> = Box::new(Sgd::new(1.0).momentum(0.5));
    assert!(boxed.state() != sgd.state());
    boxed.set_lr(0.25);
    assert_eq!(boxed.lr(), 0.25);
    let mut params = Params::new();
    params.add("x", array![0.0]);
    boxed.step(&mut params, &[1.0]);
    assert_eq!(params.values(), [-0.25]);
    boxed.step(&mut params, &[1.0]);
    assert!(boxed.state() == sgd.state(), "the rate is no part of the state");
}

#[test]
fn lengths_must_agree() {
    let text = message_of(|| {
        let mut params = Params::new();
        params.add("x", array![0.0, 1.0]);
        Sgd::new(0.1).step(&mut params, &[1.0, 2.0, 3.0]);
    });
    assert_eq!(text, "step: the gradient has 3 numbers, the parameters have 2");
    let text = message_of(|| {
        let mut params = Params::new();
        params.add("x", array![0.0, 1.0]);
        let mut adam = Adam::new(0.1);
        adam.step(&mut params, &[1.0, 2.0]);
        params.add("y", array![0.0]);
        adam.step(&mut params, &[1.0, 2.0, 3.0]);
    });
    assert!(text.contains("state for 2 numbers, the parameters have 3"), "{text}");
}

/// The weights after one step from zero.
fn stepped(mut optimizer: impl Optimizer<f64>, grad: &[f64]) -> Vec<f64> {
    let mut params = Params::new();
    params.add("x", Array1::zeros(grad.len()));
    optimizer.step(&mut params, grad);
    params.values().to_vec()
}

#[test]
fn hyper_parameters_are_checked() {
    let cases: [(fn(), &str); 8] = [
        (|| drop(Sgd::<f64>::new(-0.1)), "Sgd: lr must be finite and at least 0, it is -0.1"),
        (|| drop(Adam::<f64>::new(f64::NAN)), "Adam: lr must be finite"),
        (|| drop(AdamW::<f64>::new(0.1).betas(0.9, 1.0)), "AdamW: beta2 must be in [0, 1), it is 1"),
        (|| drop(Adam::<f64>::new(0.1).epsilon(-1.0)), "Adam: epsilon must be finite"),
        (|| drop(Lion::<f64>::new(0.1).weight_decay(f64::INFINITY)), "Lion: weight_decay must be finite"),
        (|| drop(RmsProp::<f64>::new(0.1).momentum(1.5)), "RmsProp: momentum must be in [0, 1), it is 1.5"),
        (|| drop(Adagrad::<f64>::new(0.1).clip_norm(0.0)), "Adagrad: clip_norm must be greater than 0"),
        (|| drop(Ema::<f64>::new(-0.5)), "Ema: decay must be in [0, 1)"),
    ];
    for (case, expected) in cases {
        let text = message_of(case);
        assert!(text.starts_with(expected), "{text}");
    }
}

/// The clipped step of gradients whose squares, whose norm, or whose factor in f32 over- or underflow.
#[test]
fn clipped_huge_gradients() {
    fn step<F: Scalar>(gradient: [F; 4], bound: f64) -> Vec<F> {
        let mut params = Params::<F>::new();
        params.add("x", Array1::from_elem(4, F::zero()));
        Sgd::new(1.0).clip_norm(bound).step(&mut params, &gradient);
        params.values().to_vec()
    }
    assert_close("f64", &step([1.7e308; 4], 2.0), &[-1.0; 4], 1e-15);
    assert_close("f32", &step([3e38_f32; 4], 2e-3).iter().map(|x| x * 1e3).collect::<Vec<_>>(), &[-1.0; 4], 1e-6);
}
