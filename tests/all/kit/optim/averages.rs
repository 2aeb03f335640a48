//! Means of gradients and of weights, and early stopping.

use ndarray::{Array0, Array2, array};
use wengert::nn::{BatchNorm, Mode};
use wengert::optim::{Accumulator, EarlyStopping, Ema};
use wengert::{Params, Tape};

use crate::support::panics::message_of;

#[test]
fn accumulated_gradients_are_the_mean() {
    let mut accumulator = Accumulator::new(3);
    for round in 0..2 {
        let part = |k: usize| [1.0, 2.0].map(|x: f64| x * (k + round) as f64);
        assert_eq!(accumulator.add(&part(1), 5), None);
        assert_eq!(accumulator.add(&part(2), 5), None);
        let mean = accumulator.add(&part(3), 5).expect("the mean of three");
        for (m, x) in mean.iter().zip(part(2)) {
            assert!((m - x).abs() < 1e-15);
        }
    }
    assert!(
        message_of(|| accumulator.add(&[1.0], 1).map(|mean| mean.to_vec()))
            .contains("has 1 numbers, the one before had 2")
    );
}

/// The gradient of the mean over ten rows, from parts of four, four and two; and an epoch that ends within a mean.
#[test]
fn parts_count_by_their_rows() {
    let rows: Vec<f64> = (0..10).map(|i| f64::from(i * i)).collect();
    let mean = |rows: &[f64]| [rows.iter().sum::<f64>() / rows.len() as f64];
    let mut accumulator = Accumulator::new(3);
    for round in 0..2 {
        let mut last = None;
        for part in rows.chunks(4) {
            last = accumulator.add(&mean(part), part.len()).map(|mean| mean[0]);
        }
        assert_eq!(last, Some(28.5), "round {round}");
    }
    assert!(accumulator.finish().is_none());
    assert!(accumulator.add(&[1.0], 3).is_none());
    assert!(accumulator.add(&[5.0], 1).is_none());
    assert_eq!(accumulator.finish().expect("the mean of two"), [2.0]);
    assert!(accumulator.add(&[7.0], 9).is_none());
    assert_eq!(accumulator.finish().expect("the mean of one"), [7.0]);
    assert!(message_of(|| accumulator.add(&[1.0], 0).is_some()).contains("0 rows has no weight"));
}

#[test]
fn ema_follows_its_recurrence() {
    let mut params = Params::<f64>::new();
    params.add("x", Array0::from_elem((), 0.0));
    let mut ema = Ema::new(0.9);
    // The recurrence that starts from 1, with x = k at step k, has the closed form k - 9 + 10 · 0.9^k.
    params.values_mut()[0] = 1.0;
    ema.update(&params);
    for k in 1..=50 {
        params.values_mut()[0] = f64::from(k);
        ema.update(&params);
        let expected = f64::from(k) - 9.0 + 10.0 * 0.9_f64.powi(k);
        assert!((ema.values()[0] - expected).abs() < 1e-12, "{k}");
    }
    assert!(message_of(|| Ema::new(0.5).swap(&mut params)).contains("has 0 numbers, the parameters have 1"));
}

/// Averages that were saved go on where they were.
#[test]
fn averages_are_restored() {
    let mut params = Params::<f64>::new();
    params.add("x", array![1.0, 2.0]);
    let mut ema = Ema::new(0.5);
    ema.restore(vec![3.0, -4.0]);
    assert_eq!(ema.values(), [3.0, -4.0]);
    ema.update(&params);
    assert_eq!(ema.values(), [2.0, -1.0]);
    ema.swap(&mut params);
    assert_eq!((params.values(), ema.values()), (&[2.0, -1.0][..], &[1.0, 2.0][..]));
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

/// A model with running statistics, its training by a batch, and its output.
struct Normed {
    params: Params<f64>,
    norm: BatchNorm,
    mode: Mode<f64>,
}

impl Normed {
    fn new() -> Self {
        let mut params = Params::new();
        let norm = BatchNorm::new(&mut params, "norm", 1);
        Self { params, norm, mode: Mode::train(0) }
    }

    fn see(&mut self, batch: &Array2<f64>) {
        let tape = Tape::new();
        let p = self.params.on(&tape);
        let _ = self.norm.forward(p, p.constant(batch), &mut self.mode);
        self.mode.update_buffers(&mut self.params);
    }

    fn output(&self) -> f64 {
        let tape = Tape::new();
        let p = self.params.frozen_on(&tape);
        self.norm.forward(p, p.constant(array![[2.0]]), &mut Mode::eval()).value()[[0, 0]]
    }
}

/// After one batch (1, 3) the running mean is 0.1 · 2 and the running variance 0.9 + 0.1 · 2, whose output at 2 is
/// (2 - 0.2)/√(1.1 + 1e-5) (the formulas of `BatchNorm`).
const BEST: f64 = 1.7162248596377063;

/// ignite#2590, sesemi#36, mean-teacher#9: what is restored is the model that was best, with the statistics that belong to
/// its weights.
#[test]
fn early_stopping_keeps_the_model() {
    let (mut model, mut stop) = (Normed::new(), EarlyStopping::new(1));
    let batch = array![[1.0], [3.0]];
    model.see(&batch);
    stop.observe(1.0, &model.params);
    for _ in 0..5 {
        model.see(&(&batch * 100.0));
        stop.observe(2.0, &model.params);
    }
    assert!((model.output() - BEST).abs() > 1.0);
    stop.restore(&mut model.params);
    assert!((model.output() - BEST).abs() < 1e-11, "{}", model.output());

    // The same by way of the numbers, as from a file, into a model that was built again.
    let (mut again, mut resumed) = (Normed::new(), EarlyStopping::new(1));
    resumed.resume(stop.best(), stop.waited(), stop.weights().to_vec());
    resumed.restore(&mut again.params);
    assert!((again.output() - BEST).abs() < 1e-11);
}

/// The averages of the statistics follow the recurrence of the weights' averages.
#[test]
fn ema_averages_the_model() {
    let (mut model, mut ema) = (Normed::new(), Ema::new(0.5));
    ema.update(&model.params); // mean 0, variance 1
    model.see(&array![[1.0], [3.0]]); // 0.2, 1.1
    ema.update(&model.params);
    assert_eq!(ema.values(), [1.0, 0.0, 0.1, 1.05], "gain, bias, mean, variance");
    let last = model.output();
    ema.swap(&mut model.params);
    assert!((model.output() - 1.9 / (1.05_f64 + 1e-5).sqrt()).abs() < 1e-12);
    ema.swap(&mut model.params);
    assert_eq!(model.output(), last);
}

#[test]
fn a_state_goes_to_a_model_of_its_kind() {
    let (mut model, mut other, mut target) = (Normed::new(), Params::new(), Normed::new());
    other.add("w", array![1.0, 2.0]);
    other.add("b", array![0.0, 0.0]);
    model.see(&array![[1.0], [3.0]]);
    target.params.copy_from(&model.params);
    assert!((target.output() - BEST).abs() < 1e-11);

    let (mut stop, mut ema) = (EarlyStopping::new(1), Ema::new(0.5));
    stop.observe(1.0, &model.params);
    ema.update(&model.params);
    for text in [
        message_of(|| other.copy_from(&model.params)),
        message_of(|| stop.restore(&mut other)),
        message_of(|| ema.update(&other)),
        message_of(|| ema.swap(&mut other)),
    ] {
        assert!(
            text.contains("the state is that of a model with other names or shapes than these parameters (w, b)"),
            "{text}"
        );
    }
    stop.resume(1.0, 0, vec![1.0, 0.0]);
    let text = message_of(|| stop.restore(&mut model.params));
    assert!(text.contains("the state has 2 numbers, the parameters have 4 (2 of weights, 2 of buffers)"), "{text}");
}

#[test]
fn a_mean_is_of_one_model() {
    let [mut a, mut b] = [(); 2].map(|()| Params::<f64>::new());
    let (v, w) = (a.add("v", array![1.0]), b.add("w", array![1.0]));
    let (mut tape, mut mean) = (Tape::new(), Accumulator::new(2));
    assert!(mean.add(tape.value_and_grad(&a, |p| p.get(v).sum()).1, 1).is_none());
    let text = message_of(|| mean.add(tape.value_and_grad(&b, |p| p.get(w).sum()).1, 1).is_some());
    assert!(text.contains("those of two models"), "{text}");
    let mean = mean.add(tape.value_and_grad(&a, |p| p.get(v).sum() * 3.0).1, 1).expect("the mean of two");
    assert_eq!(mean, [2.0]);
    let text = message_of(|| wengert::Optimizer::step(&mut wengert::Sgd::new(0.1), &mut b, mean));
    assert!(text.contains("the gradient is that of another model"), "{text}");
}
