//! Optimisers against their papers, groups of weights, schedules, averages and early stopping.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{Array0, Array1, Array2, array};
use wengert::optim::{
    Accumulator, Adagrad, Adam, AdamW, EarlyStopping, Ema, Lion, Optimizer, Plateau, RmsProp, Schedule, Sgd, norm,
};
use wengert::{Params, Scalar, Tape};

fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("text")).to_owned(),
    }
}

/// The formulas of the papers in 50-digit arithmetic (mpmath 1.3): six steps from (0.5, -2, 3.25)
/// on f(x) = x₀²x₁ + x₂²/2 + x₀x₂ with a learning rate of 0.05.
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
    for (x, e) in run(optimizer).into_iter().zip(expected) {
        assert!((x - e).abs() < 1e-14 * e.abs().max(1.0), "{x} is not {e}");
    }
    for (x, e) in run(single).into_iter().zip(expected) {
        assert!((f64::from(x) - e).abs() < 4e-6 * e.abs().max(1.0), "{x} is not {e}");
    }
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

#[test]
fn rmsprop() {
    check!(RmsProp::new(0.05), [-2.0118910110838613391, -4.1441451411299173132, 2.003435224166833157]);
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
    // No gradient, no step.
    assert_eq!(stepped(Lion::new(0.1), &[0.0, 2.0, -3.0]), [0.0, -0.1, 0.1]);
}

#[test]
fn clipping() {
    check!(Sgd::new(0.05).clip_norm(1.5), [0.34205430789591747745, -2.0230327973949340992, 2.8294653697212414294]);
    check!(Sgd::new(0.05).clip_value(0.75), [0.275, -2.0507421875, 3.025]);
    // A NaN is not hidden, and a frozen weight is no part of the norm.
    assert!(stepped(Sgd::new(1.0).clip_value(1.0), &[f64::NAN, 5.0])[0].is_nan());
    assert!(stepped(Sgd::new(1.0).clip_norm(1.0), &[f64::NAN, 5.0]).iter().all(|x| x.is_nan()));
    let mut params = Params::new();
    params.add("a", array![0.0, 0.0]);
    params.add("b", array![0.0]);
    params.group_mut("b").freeze();
    Sgd::new(1.0).clip_norm(1.0).step(&mut params, &[0.6, -0.8, 100.0]);
    assert_eq!(params.values(), [-0.6, 0.8, 0.0]);
}

#[test]
fn norms_do_not_overflow() {
    let long: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.3).sin()).collect();
    let plain: f64 = long.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    assert!((norm(&long) - plain).abs() < 1e-12 * plain);
    assert!((norm(&[3e38_f32, 2e38]) / 13_f64.sqrt() - 1e38).abs() < 1e31);
    assert_eq!(norm(&[3e-200, 4e-200]), 5e-200);
    assert_eq!(norm::<f64>(&[]), 0.0);
    assert_eq!(norm(&[0.0, f64::INFINITY]), f64::INFINITY);
    assert!(norm(&[0.0, f64::NAN, f64::INFINITY]).is_nan());
}

#[test]
fn adamw() {
    check!(AdamW::new(0.05).weight_decay(0.1), [0.18710197776937788704, -2.2178948216898113888, 2.8588588954633282669]);
    // Without decay it is Adam.
    let (adam, adamw) = (Adam::<f64>::new(0.05), AdamW::<f64>::new(0.05).weight_decay(0.0));
    assert_eq!(run(adam), run(adamw));
}

/// Every number of a long vector takes the step of a short one, whatever the vector width.
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
}

#[test]
fn lengths_must_agree() {
    let text = message(|| {
        let mut params = Params::new();
        params.add("x", array![0.0, 1.0]);
        Sgd::new(0.1).step(&mut params, &[1.0, 2.0, 3.0]);
    });
    assert_eq!(text, "step: the gradient has 3 numbers, the parameters have 2");
    let text = message(|| {
        let mut params = Params::new();
        params.add("x", array![0.0, 1.0]);
        let mut adam = Adam::new(0.1);
        adam.step(&mut params, &[1.0, 2.0]);
        params.add("y", array![0.0]);
        adam.step(&mut params, &[1.0, 2.0, 3.0]);
    });
    assert!(text.contains("state for 2 numbers, the parameters have 3"), "{text}");
}

/// One step from zero.
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
        let text = message(case);
        assert!(text.starts_with(expected), "{text}");
    }
}

mod groups {
    use super::*;

    fn model() -> Params<f64> {
        let mut params = Params::new();
        params.add("encoder.w", Array2::ones((3, 2)));
        params.add("encoder.b", Array1::ones(2));
        params.add("head.w", Array2::ones((2, 4)));
        params.add("head.b", Array1::ones(4));
        params
    }

    /// Each weight moves as if its factors were the optimiser's own, for every optimiser.
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
            params.group_mut("encoder.w").freeze();
            params.group_mut("head.").rate(0.5);
            params.group_where(|w| w.shape.len() < 2).decay(0.0);
            let values = walk(&mut params, make(0.25, 0.125));
            assert_eq!(values[..6], [1.0; 6]);
            for (range, lr, decay) in [(6..8, 0.25, 0.0), (8..16, 0.125, 0.125), (16..20, 0.125, 0.0)] {
                assert_eq!(values[range.clone()], walk(&mut model(), make(lr, decay))[range]);
            }
            params.group_mut("").unfreeze().rate(1.0).decay(1.0);
            assert_eq!(params.trained_len(), 20);
        }
    }

    #[test]
    fn a_frozen_weight_is_a_constant() {
        let mut params = Params::new();
        let w = params.add("encoder.w", array![2.0, 3.0]);
        let v = params.add("head.v", array![5.0, 7.0]);
        params.group_mut("encoder.").freeze();
        let mut tape = Tape::new();
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            assert!(p.get(w).is_constant() && !p.get(v).is_constant());
            let len = p.tape().len();
            let _ = p.get(w).exp();
            assert_eq!(p.tape().len(), len, "nothing is recorded");
            p.get(w).dot(p.get(v))
        });
        assert_eq!((loss, grad), (31.0, &[0.0, 0.0, 2.0, 3.0][..]));
        let frozen: Vec<bool> = params.iter().map(|w| w.frozen).collect();
        assert_eq!(frozen, [true, false]);
        assert_eq!(params.group_mut("encoder.").unfreeze().iter().count(), 1);
        let (_, grad) = tape.value_and_grad(&params, |p| p.get(w).dot(p.get(v)));
        assert_eq!(grad, [5.0, 7.0, 2.0, 3.0]);
    }

    #[test]
    fn weights_added_later_are_trained() {
        let mut params = model();
        params.group_mut("head.b").freeze();
        params.add("more", Array1::ones(5));
        assert_eq!((params.len(), params.trained_len()), (25, 21));
        params.group_where(|_| false).freeze();
        assert_eq!(params.trained_len(), 21);
        assert_eq!(params.to_string().lines().last(), Some("total                  25  21 trained"));
    }

    #[test]
    fn a_mistyped_prefix_is_refused() {
        let text = message(|| drop(model().group_mut("encodr.").freeze()));
        assert!(text.contains("\"encodr.\"; the names are encoder.w, encoder.b, head.w, head.b"), "{text}");
        let text = message(|| drop(model().group_mut("head.").rate(-1.0)));
        assert!(text.contains("the factor must be at least 0, it is -1"), "{text}");
    }
}

/// Constants of `torch.optim.lr_scheduler` 2.x in double precision.
mod schedules {
    use super::*;

    fn check(schedule: Schedule, expected: &[f64]) {
        for (step, e) in expected.iter().enumerate() {
            let rate = schedule.at(step as u64);
            assert!((rate - e).abs() < 1e-15, "{schedule:?} at {step}: {rate} is not {e}");
        }
    }

    #[test]
    fn shapes() {
        check(Schedule::constant(0.5), &[0.5; 3]);
        check(Schedule::step(0.5, 3, 0.5), &[0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]);
        check(Schedule::exponential(0.5, 0.9), &[0.5, 0.45, 0.405, 0.3645, 0.32805]);
        check(Schedule::linear(0.5, 4).floor(0.1), &[0.5, 0.4, 0.3, 0.2, 0.1, 0.1]);
        // CosineAnnealingLR(T_max=8, eta_min=0.05), which rises again after T_max.
        let half_wave = [
            0.5,
            0.48287289481503953,
            0.4340990257669732,
            0.36110377228214524,
            0.275,
            0.18889622771785486,
            0.11590097423302685,
            0.0671271051849605,
            0.05,
        ];
        check(Schedule::cosine(0.5, 8).floor(0.05), &half_wave);
        assert_eq!(Schedule::cosine(0.5, 8).floor(0.05).at(u64::MAX), 0.05);
        // The warm-up is a straight line before it.
        let warm = [&[0.125, 0.25, 0.375, 0.5], &half_wave[..]].concat();
        check(Schedule::cosine(0.5, 12).floor(0.05).warm_up(4), &warm);
        check(Schedule::constant(0.5).warm_up(2), &[0.25, 0.5, 0.5]);
    }

    /// `OneCycleLR(max_lr=0.5, total_steps=20)`.
    #[test]
    fn one_cycle() {
        let expected = [
            0.020000000000000018,
            0.06583592135001265,
            0.18583592135001265,
            0.3341640786499874,
            0.45416407864998737,
            0.5,
            0.49373200311754367,
            0.47524231600673683,
            0.445458088785525,
            0.40587282697488153,
            0.3584715008956504,
            0.30563101096814466,
            0.250001,
            0.19437098903185537,
            0.14153049910434962,
            0.09412917302511849,
            0.05454391121447502,
            0.024759683993263143,
            0.006269996882456277,
            2e-06,
            2e-06,
        ];
        check(Schedule::one_cycle(0.5, 20), &expected);
        for steps in 2..9 {
            assert!((0..12).all(|step| Schedule::one_cycle(0.5, steps).at(step).is_finite()), "{steps}");
        }
    }

    /// `ReduceLROnPlateau(factor=0.5, patience=2, threshold=0.1)`.
    #[test]
    fn plateau() {
        let losses = [5.0, 4.9, 3.0, 2.8, 2.75, 2.71, 2.705, 2.9, 2.0, 2.1, 2.2, 1.9, 1.85, f64::NAN, 1.0];
        let mut plateau = Plateau { factor: 0.5, threshold: 0.1, ..Plateau::new(0.5, 2) };
        let rates = losses.map(|loss| plateau.observe(loss));
        let expected = [[0.5; 5].as_slice(), &[0.25; 6], &[0.125; 4]].concat();
        assert_eq!(rates.to_vec(), expected);
    }

    #[test]
    fn bad_numbers_are_refused() {
        let cases: [(fn(), &str); 6] = [
            (|| _ = Schedule::constant(f64::NAN), "Schedule: lr must be finite"),
            (|| _ = Schedule::step(0.1, 0, 0.5), "Schedule::step: the rate falls every step"),
            (|| _ = Schedule::cosine(0.1, 5).warm_up(5), "Schedule::warm_up: 5 steps of warm-up leave none of 5"),
            (|| _ = Schedule::one_cycle(0.1, 9).warm_up(5), "Schedule::warm_up: a one-cycle schedule has its own"),
            (|| _ = Schedule::one_cycle(0.1, 1), "Schedule::one_cycle: at least 2 steps, not 1"),
            (|| _ = Schedule::linear(0.1, 9).floor(0.2), "Schedule::floor: 0.2 is not between 0 and the rate 0.1"),
        ];
        for (case, expected) in cases {
            let text = message(case);
            assert!(text.starts_with(expected), "{text}");
        }
    }
}

#[test]
fn accumulated_gradients_are_the_mean() {
    let mut accumulator = Accumulator::new(3);
    for round in 0..2 {
        let part = |k: usize| [1.0, 2.0].map(|x: f64| x * (k + round) as f64);
        assert_eq!(accumulator.add(&part(1)), None);
        assert_eq!(accumulator.add(&part(2)), None);
        let mean = accumulator.add(&part(3)).expect("the mean of three");
        for (m, x) in mean.iter().zip(part(2)) {
            assert!((m - x).abs() < 1e-15);
        }
    }
    assert!(
        message(|| drop(accumulator.add(&[1.0]).map(<[f64]>::to_vec))).contains("has 1 numbers, the one before had 2")
    );
}

#[test]
fn ema_follows_its_recurrence() {
    let mut params = Params::<f64>::new();
    params.add("x", Array0::from_elem((), 0.0));
    let mut ema = Ema::new(0.9);
    // From 1, with x = k at step k, the recurrence has the closed form k - 9 + 10 · 0.9^k.
    params.values_mut()[0] = 1.0;
    ema.update(&params);
    for k in 1..=50 {
        params.values_mut()[0] = f64::from(k);
        ema.update(&params);
        let expected = f64::from(k) - 9.0 + 10.0 * 0.9_f64.powi(k);
        assert!((ema.values()[0] - expected).abs() < 1e-12, "{k}");
    }
    assert!(message(|| Ema::new(0.5).swap(&mut params)).contains("has 0 numbers, the parameters have 1"));
}

#[test]
fn early_stopping_counts_and_keeps_the_best() {
    let mut params = Params::<f64>::new();
    params.add("x", Array0::from_elem((), 0.0));
    let mut stopping = EarlyStopping::new(3).min_delta(0.1);
    let losses = [f64::NAN, 2.0, 1.95, 1.85, 1.8, f64::NAN, 1.76];
    let stops = losses.map(|loss| {
        params.values_mut()[0] = loss;
        stopping.observe(loss, &params)
    });
    assert_eq!(stops, [false, false, false, false, false, false, true]);
    assert_eq!((stopping.best(), stopping.waited()), (1.85, 3));
    stopping.restore(&mut params);
    assert_eq!(params.values(), [1.85]);
}
