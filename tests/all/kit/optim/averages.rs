//! Means of gradients and of weights, and early stopping.

use ndarray::Array0;
use wengert::Params;
use wengert::optim::{Accumulator, EarlyStopping, Ema};

use crate::support::panics::message_of;

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
        message_of(|| accumulator.add(&[1.0]).map(|mean| mean.to_vec())).contains("has 1 numbers, the one before had 2")
    );
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
