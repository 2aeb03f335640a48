//! Update rules of a user's own: as fast and as safe to resume as the built-in ones.

use std::cell::Cell;
use std::collections::BTreeSet;

use ndarray::{Array1, Array2, array};
use wengert::optim::{
    Adagrad, Adam, AdamW, Lion, Optim, Optimizer, Pass, RmsProp, Sgd, SgdRule, Step, UpdateRule, flush_subnormal,
};
use wengert::save::{Reader, Writer};
use wengert::{Dual, Params, Real, Scalar, Tape};

use crate::support::panics::message_of;

/// A direction along the sign of a momentum.
#[derive(Clone, Copy, Debug)]
struct Signum {
    momentum: f64,
}

impl UpdateRule for Signum {
    const NAME: &'static str = "Signum";
    type State<T> = [T; 1];
    const STATE: [&'static str; 1] = ["momentum"];

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, weight: N, gradient: N, [m]: [N; 1]) -> (N, [N; 1]) {
        let keep = N::lit(self.momentum);
        let m = keep * m + (N::one() - keep) * gradient;
        let sign = if m == N::zero() { m } else { m.signum() };
        (weight - step.rate * (sign + step.decay * weight), [flush_subnormal(m)])
    }
}

/// The heavy ball of `Sgd`, written again.
#[derive(Clone, Copy, Default)]
struct HeavyBall;

impl UpdateRule for HeavyBall {
    const NAME: &'static str = "HeavyBall";
    type State<T> = [T; 1];
    const STATE: [&'static str; 1] = ["velocity"];
    const WEIGHT_DECAY: f64 = 0.25;

    #[inline(always)]
    fn update<N: Real>(&self, step: Step<N>, weight: N, gradient: N, [velocity]: [N; 1]) -> (N, [N; 1]) {
        let velocity = N::lit(0.9) * velocity + (gradient + step.decay * weight);
        (weight - step.rate * velocity, [velocity])
    }
}

/// The running mean of the weights' path beside the weights: state that does not begin at 0, a constant
/// that depends on the step, and five vectors.
#[derive(Clone, Copy)]
struct Averaging {
    share: f64,
}

impl UpdateRule for Averaging {
    const NAME: &'static str = "Averaging";
    type State<T> = [T; 5];
    const STATE: [&'static str; 5] = ["mean", "first", "calls", "largest", "last"];

    #[inline(always)]
    fn update<N: Real>(
        &self,
        step: Step<N>,
        weight: N,
        gradient: N,
        [mean, first, calls, largest, _]: [N; 5],
    ) -> (N, [N; 5]) {
        let new = weight - step.rate * gradient;
        let mean = mean + N::lit(self.share) * (new - mean);
        (new, [mean, first, calls + N::one(), largest.max(gradient.abs()), gradient])
    }

    fn initial<N: Real>(&self, weight: N) -> [N; 5] {
        [weight, weight, N::zero(), N::zero(), N::nan()]
    }

    fn take_step<F: Scalar>(self, pass: Pass<'_, F>) {
        let share = (pass.number() as f64 + 1.0).recip();
        pass.run(Self { share });
    }
}

fn model<F: Scalar>() -> Params<F> {
    let mut params = Params::new();
    params.add("a.w", Array2::from_shape_fn((37, 5), |(i, j)| F::lit((i as f64 * 0.7 + j as f64).sin())));
    params.add("a.b", Array1::from_elem(5, F::lit(0.5)));
    params.add("b.w", Array1::from_shape_fn(300, |i| F::lit((i as f64 * 0.3).cos())));
    params
}

fn gradient<F: Scalar>(step: u32) -> Vec<F> {
    (0..490).map(|i| F::lit((f64::from(i) * 1.3 + f64::from(step)).sin())).collect()
}

fn walk<F: Scalar>(mut optimizer: impl Optimizer<F>) -> Vec<F> {
    let mut params = model();
    params.group("a.b").freeze();
    params.group("b.").rate(0.5).decay(0.0);
    for step in 0..5 {
        optimizer.step(&mut params, &gradient(step));
    }
    params.values().to_vec()
}

/// With groups, decay and clipping, bit for bit, for every kind of number.
#[test]
fn a_rule_written_again_is_the_built_in_one() {
    fn check<F: Scalar>() {
        let own = || Optim::<F, HeavyBall>::new(0.1);
        let built_in = || Sgd::<F>::new(0.1).momentum(0.9).weight_decay(0.25);
        assert_eq!(walk(own()), walk(built_in()));
        assert_eq!(walk(own().clip_norm(1.0)), walk(built_in().clip_norm(1.0)));
        assert_eq!(walk(own().clip_value(0.5)), walk(built_in().clip_value(0.5)));
        assert_ne!(walk(own().weight_decay(0.0)), walk(built_in()));
    }
    check::<f32>();
    check::<f64>();
    check::<Dual<f64, 2>>();
}

/// By hand: from (0.5, -2) with the gradients (1, -1), (-3, -1), (0, 0) and a momentum of 0.5.
#[test]
fn signum_steps_along_the_sign() {
    let mut params = Params::<f64>::new();
    params.add("x", array![0.5, -2.0]);
    let mut signum = Optim::with_rule(0.25, Signum { momentum: 0.5 });
    let mut path = Vec::new();
    for grad in [[1.0, -1.0], [-3.0, -1.0], [0.0, 0.0]] {
        signum.step(&mut params, &grad);
        path.push(params.values().to_vec());
    }
    assert_eq!(path, [[0.25, -1.75], [0.5, -1.5], [0.75, -1.25]]);
    let (name, momentum) = signum.state().vectors().next().unwrap();
    assert_eq!((name, momentum), ("momentum", &[-0.625, -0.375][..]));
}

/// A run that is saved and resumed after each step ends with the same file as a run without interruption.
#[test]
fn a_rule_is_saved_and_resumed() {
    fn check<R: UpdateRule>(make: impl Fn() -> Optim<f32, R>) {
        let (mut params, mut whole) = (model::<f32>(), make());
        for step in 0..6 {
            whole.step(&mut params, &gradient(step));
        }
        let uninterrupted = Writer::of(&params).optimizer(&whole).to_bytes();

        let mut file = Writer::of(&model::<f32>()).optimizer(&make()).to_bytes();
        for step in 0..6 {
            let (mut params, mut resumed) = (model::<f32>(), make());
            params.values_mut().fill(f32::NAN);
            let reader = Reader::from_bytes(file).unwrap();
            reader.load(&mut params).unwrap();
            reader.load_optimizer(&mut resumed, &params).unwrap();
            assert_eq!(resumed.state().steps(), u64::from(step));
            resumed.step(&mut params, &gradient(step));
            file = Writer::of(&params).optimizer(&resumed).to_bytes();
        }
        assert_eq!(file, uninterrupted);
    }
    check(|| Optim::with_rule(0.1, Signum { momentum: 0.9 }).weight_decay(0.01).clip_norm(1.0));
    check(|| Optim::new(0.1).clip_value(0.3) as Optim<f32, HeavyBall>);
    check(|| Optim::with_rule(0.1, Averaging { share: f64::NAN }));
}

#[test]
fn a_state_of_another_rule_is_refused() {
    let mut params = model::<f32>();
    let mut signum = Optim::with_rule(0.1, Signum { momentum: 0.9 });
    signum.step(&mut params, &gradient(0));
    let reader = Reader::from_bytes(Writer::of(&params).optimizer(&signum).to_bytes()).unwrap();
    let mut lion = Lion::new(0.1);
    let text = reader.load_optimizer(&mut lion, &params).unwrap_err().to_string();
    assert_eq!(text, "the file has the state of Signum, not of Lion");
    assert_eq!(lion.state().steps(), 0);
}

/// The names of the built-in rules' state, as files of earlier versions contain these names.
#[test]
fn built_in_state_keeps_its_names() {
    fn check(mut optimizer: impl Optimizer<f64>, name: &str, vectors: &[&str]) {
        let mut params = Params::new();
        params.add("w", array![1.0, 2.0]);
        optimizer.step(&mut params, &[0.5, 0.25]);
        let used = optimizer.state().vectors().filter(|(_, vector)| !vector.is_empty());
        assert_eq!((optimizer.name(), used.map(|(name, _)| name).collect::<Vec<_>>()), (name, vectors.to_vec()));
    }
    check(Sgd::new(0.1), "Sgd", &[]);
    check(Sgd::new(0.1).momentum(0.9), "Sgd", &["velocity"]);
    check(Adam::new(0.1), "Adam", &["first_moment", "second_moment"]);
    check(AdamW::new(0.1), "AdamW", &["first_moment", "second_moment"]);
    check(RmsProp::new(0.1), "RmsProp", &["mean_square"]);
    check(RmsProp::new(0.1).momentum(0.9), "RmsProp", &["mean_square", "velocity"]);
    check(Adagrad::new(0.1), "Adagrad", &["sum_of_squares"]);
    check(Lion::new(0.1), "Lion", &["momentum"]);

    let mut params = Params::<f64>::new();
    params.add("w", array![1.0]);
    let mut adam = AdamW::new(0.1);
    adam.step(&mut params, &[0.5]);
    let bytes = Writer::of(&params).optimizer(&adam).to_bytes();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    for name in ["state/optimizer/first_moment/w", "state/optimizer/second_moment/w"] {
        assert!(header.contains(&format!("\"{name}\":{{")), "{header}");
    }
}

#[test]
fn state_begins_where_the_rule_says() {
    let mut params = model::<f64>();
    params.group("a.b").freeze();
    let start = params.values().to_vec();
    let mut averaging = Optim::with_rule(0.1, Averaging { share: f64::NAN });
    let mut sum = start.clone();
    for step in 0..4 {
        averaging.step(&mut params, &gradient(step));
        for (sum, x) in sum.iter_mut().zip(params.values()) {
            *sum += x;
        }
    }
    let [mean, first, calls, largest, last] = {
        let mut vectors = averaging.state().vectors().map(|(_, vector)| vector);
        std::array::from_fn(|_| vectors.next().unwrap())
    };
    assert_eq!(first, start);
    assert!(mean.iter().zip(&sum).all(|(mean, sum)| (mean - sum / 5.0).abs() < 1e-14));
    let frozen = 185..190;
    for i in 0..params.len() {
        let gradients = [0, 1, 2, 3].map(|step| gradient::<f64>(step)[i]);
        if frozen.contains(&i) {
            assert!((calls[i], largest[i]) == (0.0, 0.0) && last[i].is_nan());
        } else {
            assert_eq!((calls[i], last[i]), (4.0, gradients[3]));
            assert_eq!(largest[i], gradients.into_iter().map(f64::abs).fold(0.0, f64::max));
        }
    }
}

/// The weights as two state vectors; the fourth call of `initial` panics, which is within the second vector.
#[derive(Clone, Copy)]
struct Interrupted;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

impl UpdateRule for Interrupted {
    const NAME: &'static str = "Interrupted";
    type State<T> = [T; 2];
    const STATE: [&'static str; 2] = ["first", "second"];

    fn update<N: Real>(&self, _: Step<N>, weight: N, _: N, state: [N; 2]) -> (N, [N; 2]) {
        (weight, state)
    }

    fn initial<N: Real>(&self, weight: N) -> [N; 2] {
        CALLS.set(CALLS.get() + 1);
        assert!(CALLS.get() != 4, "the fourth call");
        [weight, weight]
    }
}

/// All state vectors begin at the weights of one step.
#[test]
fn state_begins_whole_or_not_at_all() {
    let mut params = Params::<f64>::new();
    params.add("w", array![1.0, 2.0]);
    let mut optimizer = Optim::with_rule(0.1, Interrupted);
    assert_eq!(message_of(|| optimizer.step(&mut params, &[0.0; 2])), "the fourth call");
    assert!(optimizer.state().vectors().all(|(_, vector)| vector.is_empty()));
    params.values_mut().fill(5.0);
    optimizer.step(&mut params, &[0.0; 2]);
    assert!(optimizer.state().vectors().all(|(_, vector)| vector == [5.0; 2]));
}

/// Long vectors, which the feature `parallel` shares out among threads.
#[test]
fn every_weight_of_a_large_model_takes_its_step() {
    let n = (1 << 18) + 5;
    let mut params = Params::<f32>::new();
    params.add("w", Array1::from_shape_fn(n, |i| (i as f32 * 0.7).sin()));
    let start = params.values().to_vec();
    let grad: Vec<f32> = (0..n).map(|i| (i as f32 * 1.3).cos()).collect();
    Optim::with_rule(0.1, Averaging { share: f64::NAN }).clip_value(0.5).step(&mut params, &grad);
    for i in 0..n {
        let expected = f64::from(start[i]) - f64::from(0.1_f32 * grad[i].clamp(-0.5, 0.5));
        assert!((f64::from(params.values()[i]) - expected).abs() < 1e-7, "{i}");
    }
}

#[test]
fn a_step_reports_its_number_and_the_norm() {
    let mut params = Params::<f32>::new();
    params.add("a", array![0.0, 0.0]);
    params.add("b", array![0.0]);
    params.group("b").freeze();
    let grad = [3.0, 4.0, 100.0];
    let mut signum = Optim::with_rule(0.1, Signum { momentum: 0.9 }).clip_norm(1.0);
    let reports = [(); 2].map(|()| signum.step(&mut params, &grad));
    assert_eq!(reports.map(|report| (report.step, report.gradient_norm)), [(1, Some(5.0)), (2, Some(5.0))]);
    // The norm is reported also if it is too small to be clipped.
    assert_eq!(Sgd::new(0.1).clip_norm(9.0).step(&mut params, &grad).gradient_norm, Some(5.0));
    assert_eq!(Sgd::new(0.1).clip_value(0.5).step(&mut params, &grad).gradient_norm, None);
    let mut boxed: Box<dyn Optimizer<f32>> = Box::new(Sgd::new(0.1));
    assert_eq!(boxed.step(&mut params, &grad).gradient_norm, None);
}

/// The rules are in reach by name, as `optimizer.rule`, and change between steps.
#[test]
fn hyper_parameters_change_between_steps() {
    let mut params = Params::new();
    let x = params.add("x", array![1.0]);
    let mut sgd = Optim::with_rule(0.5, SgdRule { momentum: 0.5, nesterov: false });
    let mut tape = Tape::new();
    let mut seen = BTreeSet::new();
    for momentum in [0.5, 0.0, 0.5] {
        sgd.rule.momentum = momentum;
        let (loss, grad) = tape.value_and_grad(&params, |p| p.get(x).square().sum());
        sgd.step(&mut params, grad);
        seen.insert(f64::to_bits(loss));
    }
    // 1 → 0 with the velocity 2; plain descent at 0 leaves the velocity at 2; then the velocity halves: 0 - 0.5 · 1.
    assert_eq!(params.values(), [-0.5]);
    assert_eq!(seen.len(), 2);
}

/// A rule that hands its step over to a rule with more state.
#[derive(Clone, Copy)]
struct Borrowing;

impl UpdateRule for Borrowing {
    const NAME: &'static str = "Borrowing";
    type State<T> = [T; 0];
    const STATE: [&'static str; 0] = [];

    fn update<N: Real>(&self, _: Step<N>, weight: N, _: N, _: [N; 0]) -> (N, [N; 0]) {
        (weight, [])
    }

    fn take_step<F: Scalar>(self, pass: Pass<'_, F>) {
        pass.run(HeavyBall);
    }
}

/// A rule with names that a file cannot hold.
#[derive(Clone, Copy)]
struct Misnamed<const CASE: usize>;

impl<const CASE: usize> UpdateRule for Misnamed<CASE> {
    const NAME: &'static str = "Misnamed";
    type State<T> = [T; 2];
    const STATE: [&'static str; 2] = [["m", "m"], ["m", "m/v"], ["", "m"]][CASE];

    fn update<N: Real>(&self, _: Step<N>, weight: N, _: N, state: [N; 2]) -> (N, [N; 2]) {
        (weight, state)
    }
}

#[test]
fn rules_that_do_not_fit_are_refused() {
    let mut params = Params::<f64>::new();
    params.add("x", array![1.0]);
    let text = message_of(|| _ = Optim::with_rule(0.1, Borrowing).step(&mut params, &[1.0]));
    assert!(text.contains(r#"no state vector "velocity" for the rule HeavyBall"#), "{text}");
    assert_eq!(params.values(), [1.0]);

    for (text, name) in [
        (message_of(|| drop(Optim::<f64, _>::with_rule(0.1, Misnamed::<0>))), "\"m\""),
        (message_of(|| drop(Optim::<f64, _>::with_rule(0.1, Misnamed::<1>))), "\"m/v\""),
        (message_of(|| drop(Optim::<f64, _>::with_rule(0.1, Misnamed::<2>))), "\"\""),
    ] {
        assert!(text.contains(&format!("{name} cannot name a state vector")), "{text}");
    }
    let text = message_of(|| drop(Optim::<f64, _>::with_rule(-0.1, HeavyBall)));
    assert!(text.starts_with("HeavyBall: lr must be finite and at least 0, it is -0.1"), "{text}");
}
