//! The words of refusals, each at its bound, and optimisers behind pointers.

use ndarray::{Array1, array};
use wengert::optim::{
    Accumulator, Adagrad, Adam, AdamW, Clip, EarlyStopping, Ema, Lion, Optimizer, Plateau, RmsProp, Schedule, Sgd,
    State, clip_norm, flush_subnormal, global_norm,
};
use wengert::{Params, ParamsGradient, Tape};

use crate::support::panics::panic_of;

/// The message of a panic whose place is in this file.
#[track_caller]
fn refusal<T>(work: impl FnOnce() -> T) -> String {
    let panic = panic_of(work);
    assert!(panic.file.ends_with("words.rs"), "{panic}");
    panic.message
}

type Make = fn(f64);

/// Numbers that must be finite and at least 0.
#[test]
fn numbers_that_are_not_negative() {
    let cases: [(&str, Make); 13] = [
        ("Sgd: lr", |x| drop(Sgd::<f64>::new(x))),
        ("Adam: lr", |x| drop(Adam::<f64>::new(x))),
        ("AdamW: lr", |x| drop(AdamW::<f64>::new(x))),
        ("Lion: weight_decay", |x| drop(Lion::<f64>::new(0.1).weight_decay(x))),
        ("Adam: epsilon", |x| drop(Adam::<f64>::new(0.1).epsilon(x))),
        ("RmsProp: epsilon", |x| drop(RmsProp::<f64>::new(0.1).epsilon(x))),
        ("Adagrad: epsilon", |x| drop(Adagrad::<f64>::new(0.1).epsilon(x))),
        ("EarlyStopping: min_delta", |x| drop(EarlyStopping::<f64>::new(1).min_delta(x))),
        ("Plateau: lr", |x| _ = Plateau::new(x, 1)),
        ("Schedule: lr", |x| drop(Schedule::constant(x))),
        ("Schedule: lr", |x| drop(Schedule::linear(x, 3))),
        ("Schedule::step: factor", |x| drop(Schedule::step(0.1, 3, x))),
        ("Schedule::exponential: factor", |x| drop(Schedule::exponential(0.1, x))),
    ];
    for (name, make) in cases {
        for wrong in [-1e-9, f64::NAN, f64::INFINITY] {
            assert_eq!(refusal(|| make(wrong)), format!("{name} must be finite and at least 0, it is {wrong}"));
        }
        make(0.0);
    }
}

/// Shares of the past: at least 0 and below 1.
#[test]
fn shares() {
    let cases: [(&str, Make); 8] = [
        ("Sgd: momentum", |x| drop(Sgd::<f64>::new(0.1).momentum(x))),
        ("Adam: beta1", |x| drop(Adam::<f64>::new(0.1).betas(x, 0.5))),
        ("AdamW: beta2", |x| drop(AdamW::<f64>::new(0.1).betas(0.5, x))),
        ("Lion: beta1", |x| drop(Lion::<f64>::new(0.1).betas(x, 0.5))),
        ("Lion: beta2", |x| drop(Lion::<f64>::new(0.1).betas(0.5, x))),
        ("RmsProp: alpha", |x| drop(RmsProp::<f64>::new(0.1).alpha(x))),
        ("RmsProp: momentum", |x| drop(RmsProp::<f64>::new(0.1).momentum(x))),
        ("Ema: decay", |x| drop(Ema::<f64>::new(x))),
    ];
    for (name, make) in cases {
        for wrong in [-1e-9, 1.0, f64::NAN] {
            assert_eq!(refusal(|| make(wrong)), format!("{name} must be in [0, 1), it is {wrong}"));
        }
        make(0.0);
    }
}

#[test]
fn bounds_of_gradients() {
    for wrong in [0.0, -1.0, f64::NAN] {
        let text = |name: &str| format!("{name} must be greater than 0, it is {wrong}");
        assert_eq!(refusal(|| Sgd::<f64>::new(0.1).clip_norm(wrong)), text("Sgd: clip_norm"));
        assert_eq!(refusal(|| Sgd::<f64>::new(0.1).clip_value(wrong)), text("Sgd: clip_value"));
        assert_eq!(refusal(|| clip_norm(&mut [1.0], wrong)), text("clip_norm: the bound"));
    }
    assert_eq!(Sgd::<f64>::new(0.1).clip_value(0.5).clip, Some(Clip::Value(0.5)));
    assert_eq!(Sgd::<f64>::new(0.1).clip_norm(0.5).clip, Some(Clip::Norm(0.5)));
    // (3, 4) has the norm 5, at the bound and beyond.
    for (bound, clipped) in [(5.0, [3.0, 4.0]), (2.5, [1.5, 2.0]), (10.0, [3.0, 4.0])] {
        let mut gradient = [3.0, 4.0];
        assert_eq!((clip_norm(&mut gradient, bound), gradient), (5.0, clipped));
    }
    // What no norm can bound stays visible.
    for (number, shown) in [(f64::NAN, f64::NAN), (f64::INFINITY, f64::INFINITY)] {
        let mut gradient = [number, 1.0];
        let norm = clip_norm(&mut gradient, 1.0);
        assert_eq!(norm.to_bits(), shown.to_bits());
        assert!(gradient[0].is_nan(), "{gradient:?}");
    }
    for (gradient, norm) in
        [(vec![], 0.0), (vec![0.0; 3], 0.0), (vec![3e-320, 4e-320], 5e-320), (vec![3e300, 4e300], 5e300)]
    {
        let found = global_norm::<f64>(&gradient);
        assert!((found - norm).abs() <= 1e-15 * norm + 1e-323, "{found}");
    }
    assert_eq!(global_norm(&[f64::MAX, 0.0]), f64::MAX);
    assert_eq!(global_norm(&[f64::MAX, f64::MAX]), f64::INFINITY);
    let long: Vec<f64> = (0..37).map(f64::from).collect();
    assert!((global_norm(&long) - (36.0_f64 * 37.0 * 73.0 / 6.0).sqrt()).abs() < 1e-12);
}

#[test]
fn counts_of_schedules() {
    assert_eq!(refusal(|| Schedule::linear(0.1, 0)), "Schedule::linear: at least 1 step");
    assert_eq!(refusal(|| Schedule::cosine(0.1, 0)), "Schedule::cosine: at least 1 step");
    assert_eq!(refusal(|| Schedule::one_cycle(0.1, 1)), "Schedule::one_cycle: at least 2 steps, not 1");
    let every = "Schedule::step: the rate falls every step or more, not every 0 steps";
    assert_eq!(refusal(|| Schedule::step(0.1, 0, 0.5)), every);
    for (steps, growth) in [(0, 1), (1, 0)] {
        let text = format!("Schedule::restarts: {steps} steps and the growth {growth}; both must be 1 or more");
        assert_eq!(refusal(|| Schedule::constant(0.1).restarts(steps, growth)), text);
    }
    for floor in [-0.1, 0.2, f64::NAN] {
        let text = format!("Schedule::floor: {floor} is not between 0 and the rate 0.1");
        assert_eq!(refusal(|| Schedule::constant(0.1).floor(floor)), text);
    }
    let least = [
        Schedule::linear(0.1, 1),
        Schedule::cosine(0.1, 1),
        Schedule::one_cycle(0.1, 2),
        Schedule::step(0.1, 1, 0.0),
        Schedule::constant(0.1).restarts(1, 1),
    ];
    assert!(least.iter().all(|schedule| (0.0..=0.1).contains(&schedule.at(1))), "{least:?}");
    // A floor holds at every step and inside of a schedule within another.
    let floored = |schedule: Schedule| schedule.floor(0.05).at(1000);
    assert_eq!(floored(Schedule::step(0.1, 1, 0.5)), 0.05);
    assert_eq!(floored(Schedule::exponential(0.1, 0.5)), 0.05);
    assert_eq!(floored(Schedule::linear(0.1, 3)), 0.05);
    assert_eq!(floored(Schedule::cosine(0.1, 3)), 0.05);
    assert_eq!(floored(Schedule::one_cycle(0.1, 3)), 0.05);
    assert_eq!(floored(Schedule::exponential(0.1, 0.5).warm_up(3)), 0.05);
    assert_eq!(floored(Schedule::step(0.1, 1, 0.1).restarts(2000, 1).warm_up(3)), 0.05);
}

#[test]
fn averages_and_stops() {
    assert_eq!(refusal(|| Accumulator::<f64>::new(0)), "Accumulator: the mean is over at least 1 gradient");
    assert_eq!(refusal(|| EarlyStopping::<f64>::new(0)), "EarlyStopping: the patience must be at least 1");
    let mut accumulator = Accumulator::<f64>::new(2);
    let rows = "Accumulator: a gradient of 0 rows has no weight in the mean";
    assert_eq!(refusal(|| accumulator.add(&[1.0], 0).is_some()), rows);
    accumulator.add(&[1.0], 1);
    let length = "Accumulator: the gradient has 2 numbers, the one before had 1";
    assert_eq!(refusal(|| accumulator.add(&[1.0, 2.0], 1).is_some()), length);
    assert_eq!(accumulator.add(&[4.0], 2).map(|mean| mean[0]), Some(3.0));
    // A patience of 2: the second loss that is no better ends the training. The least improvement counts as one.
    let mut params = Params::<f64>::new();
    params.add("x", array![1.0]);
    let mut stop = EarlyStopping::new(2).min_delta(0.5);
    let seen = [4.0, 3.5, 3.4, 3.4].map(|loss| (stop.observe(loss, &params), stop.waited(), stop.best()));
    assert_eq!(seen, [(false, 0, 4.0), (false, 1, 4.0), (false, 0, 3.4), (false, 1, 3.4)]);
    assert!(stop.observe(f64::NAN, &params));
    stop.resume(7.0, 1, vec![5.0]);
    assert_eq!((stop.best(), stop.waited(), stop.weights()), (7.0, 1, &[5.0][..]));
    stop.restore(&mut params);
    assert_eq!(params.values(), [5.0]);
    params.add("y", array![1.0]);
    let length = "EarlyStopping: the state has 1 numbers, the parameters have 2";
    assert_eq!(refusal(|| stop.restore(&mut params)), length);
    EarlyStopping::new(1).restore(&mut params);
    assert_eq!(params.values(), [5.0, 1.0], "nothing to restore");
}

#[test]
fn states() {
    for names in [["", "v"], ["a/b", "v"], ["v", "v"]] {
        let text = format!(
            "State: {:?} cannot name a state vector; a name is unique, not empty and has no slash",
            if names[0] == "v" { "v" } else { names[0] }
        );
        assert_eq!(refusal(|| State::<f64>::new(&names)), text);
    }
    let mut state = State::<f64>::new(&["m", "v"]);
    assert_eq!(
        refusal(|| state.restore(1, vec![vec![1.0]])),
        "State::restore: 1 vectors were given, the optimizer has 2"
    );
    assert_eq!(
        refusal(|| state.restore(1, vec![vec![1.0], vec![1.0, 2.0]])),
        "State::restore: the vectors differ in length: [1, 2]"
    );
    assert_eq!(
        refusal(|| state.restore(1, vec![vec![1.0, 2.0], vec![1.0]])),
        "State::restore: the vectors differ in length: [2, 1]"
    );
    assert_eq!((state.steps(), state.vectors().len()), (0, 2));
    state.restore(7, vec![vec![], vec![1.0, 2.0]]);
    assert_eq!(state.steps(), 7);
    assert_eq!(state.vectors().collect::<Vec<_>>(), [("m", &[][..]), ("v", &[1.0, 2.0][..])]);
    let mut other = state.clone();
    assert!(state == other);
    other.restore(8, vec![vec![], vec![1.0, 2.0]]);
    assert!(state != other);
    other.restore(7, vec![vec![], vec![1.0, 3.0]]);
    assert!(state != other);
    let mut params = Params::<f64>::new();
    params.add("x", array![1.0]);
    let text = "step: the optimizer has state for 2 numbers, the parameters have 1; add every parameter before the first step, \
                or make a new optimizer";
    assert_eq!(refusal(|| state.adopt(&params)), text);
}

/// An optimiser, a box of it and a reference to it are the same.
#[test]
fn pointers() {
    fn walk(mut optimizer: impl Optimizer<f64>) -> (Vec<f64>, f64, &'static str, u64, usize) {
        let mut params = Params::<f64>::new();
        params.add("x", Array1::zeros(2));
        optimizer.step(&mut params, &[1.0, 2.0]);
        optimizer.set_lr(2.0 * optimizer.lr());
        let gradient = [0.5, 0.5];
        let report = optimizer.step_by(&mut params, &ParamsGradient::from(&gradient));
        assert_eq!((report.step, report.gradient_norm), (2, None));
        let vectors = optimizer.state().vectors().map(|(_, vector)| vector.to_vec()).collect();
        optimizer.state_mut().restore(9, vectors);
        (
            params.values().to_vec(),
            optimizer.lr(),
            optimizer.name(),
            optimizer.state().steps(),
            optimizer.state().vectors().len(),
        )
    }
    let expected = (vec![-0.25 - 0.5 * 1.0, -0.5 - 0.5 * 1.5], 0.5, "Sgd", 9, 1);
    let make = || Sgd::new(0.25).momentum(0.5);
    assert_eq!(walk(make()), expected);
    assert_eq!(walk(&mut make()), expected);
    assert_eq!(walk(Box::new(make())), expected);
    let boxed: Box<dyn Optimizer<f64>> = Box::new(make());
    assert_eq!(walk(boxed), expected);
    // A step with a bound reports the norm before it.
    let mut params = Params::<f64>::new();
    params.add("x", Array1::zeros(2));
    let report = Sgd::new(1.0).clip_norm(1.0).step(&mut params, &[3.0, 4.0]);
    assert_eq!((report.step, report.gradient_norm), (1, Some(5.0)));
    assert!((params.values()[0] + 0.6).abs() < 1e-15 && (params.values()[1] + 0.8).abs() < 1e-15);
    let report = Sgd::new(1.0).clip_value(1.0).step(&mut params, &[3.0, -0.5]);
    assert_eq!(report.gradient_norm, None);
    assert!((params.values()[0] + 1.6).abs() < 1e-15 && (params.values()[1] + 0.3).abs() < 1e-15);
    let report = Sgd::new(1.0).clip_value(1.0).step(&mut params, &[-3.0, 0.0]);
    assert!(report.step == 1 && (params.values()[0] + 0.6).abs() < 1e-15);
}

/// The norm of the greatest floats, whose squares overflow even in the unit next to them.
#[test]
fn the_norm_of_the_greatest_numbers() {
    for (gradient, norm) in [([f64::MAX, 0.0], f64::MAX), ([0.75 * f64::MAX, 1.0], 0.75 * f64::MAX)] {
        assert_eq!(global_norm(&gradient), norm);
        let mut params = Params::<f64>::new();
        params.add("x", Array1::zeros(2));
        Sgd::new(1.0).clip_norm(1.0).step(&mut params, &gradient);
        assert!((params.values()[0] + 1.0).abs() < 1e-15, "{:?}", params.values());
    }
}

/// Numbers of a state below the normal ones become 0, which arithmetic is quick with; the least normal one stays.
#[test]
fn subnormal_numbers() {
    for x in [0.0, 1e-310, -1e-310, f64::from_bits(1)] {
        assert_eq!(flush_subnormal(x), 0.0);
    }
    for x in [f64::MIN_POSITIVE, -f64::MIN_POSITIVE, 1.0, f64::INFINITY] {
        assert_eq!(flush_subnormal(x), x);
    }
    assert_eq!((flush_subnormal(1e-40_f32), flush_subnormal(f32::MIN_POSITIVE)), (0.0, f32::MIN_POSITIVE));
    assert!(flush_subnormal(f64::NAN).is_nan());
}

/// A mean of plain numbers is that of any model, also after a mean of the gradients of one.
#[test]
fn a_mean_of_plain_numbers_after_another() {
    let build = || {
        let mut params = Params::<f64>::new();
        params.add("x", array![1.0]);
        params
    };
    let (first, mut second) = (build(), build());
    let (mut tape, mut accumulator) = (Tape::new(), Accumulator::new(1));
    let (_, gradient) = tape.value_and_grad(&first, |p| p.flat().sum());
    let mean = accumulator.add(gradient, 1).expect("the mean of one");
    assert!(
        refusal(|| Sgd::new(1.0).step(&mut second, mean)).starts_with("step: the gradient is that of another model")
    );
    let mean = accumulator.add(&[2.0], 1).expect("the mean of one");
    Sgd::new(1.0).step(&mut second, mean);
    assert_eq!(second.values(), [-1.0]);
}
