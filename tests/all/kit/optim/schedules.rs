//! Schedules of the learning rate against `torch.optim.lr_scheduler` 2.x in double precision.

use wengert::optim::{Plateau, Schedule};

use crate::support::panics::message_of;

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
    // CosineAnnealingLR(T_max=8, eta_min=0.05); only PyTorch's rises again after T_max.
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
    // The warm-up is a straight line before the half wave.
    let warm = [&[0.125, 0.25, 0.375, 0.5], &half_wave[..]].concat();
    check(Schedule::cosine(0.5, 8).floor(0.05).warm_up(4), &warm);
    check(Schedule::cosine(0.5, 8).warm_up(4).floor(0.05), &warm);
    check(Schedule::constant(0.5).warm_up(2), &[0.25, 0.5, 0.5]);
    check(Schedule::constant(0.5).warm_up(0), &[0.5, 0.5]);
    let first = Schedule::one_cycle(0.5, 20).at(0);
    check(Schedule::one_cycle(0.5, 20).warm_up(2), &[first / 2.0, first, first, 0.06583592135001265]);
}

/// `CosineAnnealingWarmRestarts(T_0=4, T_mult=2, eta_min=0.05)` of a rate of 0.5.
#[test]
fn restarts() {
    let expected = [
        0.5,
        0.4340990257669732,
        0.275,
        0.11590097423302685,
        0.5,
        0.48287289481503953,
        0.4340990257669732,
        0.36110377228214524,
        0.275,
        0.18889622771785486,
        0.11590097423302685,
        0.0671271051849605,
        0.5,
        0.49567668809072685,
        0.48287289481503953,
    ];
    check(Schedule::cosine(0.5, 4).floor(0.05).restarts(4, 2), &expected);
    check(Schedule::cosine(0.5, 4).restarts(4, 2).floor(0.05), &expected);
    check(Schedule::cosine(0.5, 4).floor(0.05).restarts(4, 1), &[&expected[..4], &expected[..4], &[0.5]].concat());
    // A wrapper of a wrapper: the rise once, or in each cycle.
    let once = [&[0.25, 0.5], &expected[..]].concat();
    check(Schedule::cosine(0.5, 4).floor(0.05).restarts(4, 2).warm_up(2), &once);
    let each = [[0.25, 0.5], [0.5, 0.4340990257669732], [0.25, 0.5], [0.5, 0.4340990257669732]].concat();
    check(Schedule::cosine(0.5, 4).floor(0.05).warm_up(2).restarts(4, 1), &each);
    check(Schedule::step(0.5, 2, 0.5).restarts(3, 2), &[0.5, 0.5, 0.25, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.5]);
    assert!(Schedule::cosine(0.5, 4).restarts(4, 2).at(u64::MAX).is_finite());
    assert!(Schedule::cosine(0.5, 4).restarts(4, 1).at(u64::MAX).is_finite());
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
        (|| _ = Schedule::cosine(0.1, 5).restarts(0, 1), "Schedule::restarts: 0 steps and the growth 1; both must be"),
        (|| _ = Schedule::cosine(0.1, 5).restarts(5, 0), "Schedule::restarts: 5 steps and the growth 0; both must be"),
        (|| _ = Schedule::one_cycle(0.1, 1), "Schedule::one_cycle: at least 2 steps, not 1"),
        (|| _ = Schedule::linear(0.1, 9).floor(0.2), "Schedule::floor: 0.2 is not between 0 and the rate 0.1"),
    ];
    for (case, expected) in cases {
        let text = message_of(case);
        assert!(text.starts_with(expected), "{text}");
    }
}

/// Without a threshold a loss that is equal to the best one is no improvement.
#[test]
fn a_plateau_without_a_threshold() {
    let mut plateau = Plateau { threshold: 0.0, factor: 0.5, ..Plateau::new(0.25, 1) };
    let rates = [2.0, 2.0, 2.0, 1.5, 1.5, 1.5].map(|loss| plateau.observe(loss));
    assert_eq!(rates, [0.25, 0.25, 0.125, 0.125, 0.125, 0.0625]);
}
