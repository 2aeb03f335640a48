//! The check that every program must pass.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use ndarray::IxDyn;
use wengert::Tape;

use super::kinks::{Common, common};
use super::number::Moving;
use super::{build, outcome, owners, run, sweep};
use crate::{agree, direction};

/// Runs the check: the tape after `clear`, also after a panic, and second derivatives against first ones and each other.
pub fn check(data: &[u8]) {
    let (program, _, _, (value, gradient)) = build::<f64>(data);
    let bits = |x: &[Vec<f64>]| x.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut tape = Tape::<f64>::new();
    let half = program.steps.len() / 2;
    for round in 0..3 {
        let (again, same) = outcome(&tape, &program).expect("it did not fail before");
        assert!(
            again.to_bits() == value.to_bits() && bits(&same) == bits(&gradient),
            "round {round} on a cleared tape: {again:e}, {same:?} for {value:e}, {gradient:?}"
        );
        tape.clear();
        // Another recording, which ends half-way, by a panic of the crate or without one. libFuzzer's hook ends the process at
        // any panic.
        let hook = take_hook();
        set_hook(Box::new(|_| ()));
        let broken = catch_unwind(AssertUnwindSafe(|| {
            let owners = owners(&program.inputs);
            let pool = run(&tape, &program, &owners, half).expect("it did not fail before");
            let last = pool[pool.len() - 1];
            if round == 0 {
                let x = last.array(&tape);
                let _ = x.reshape(IxDyn(&[x.len() + 1]));
            }
            let sum = last.sum();
            if !sum.is_constant() {
                let _ = sum.backward();
            }
        }));
        set_hook(hook);
        assert!(broken.is_err() == (round == 0), "a reshape to more elements");
        tape.clear();
    }

    let flat: Vec<f64> = gradient.into_iter().flatten().collect();
    let scale = flat.iter().fold(1.0 + value.abs(), |scale, d| scale.max(d.abs()));
    if program.raw || !(scale < 1e8) {
        return;
    }
    let (moving, moving_owners, owners) = (Tape::<Moving>::new(), owners(&program.inputs), owners(&program.inputs));
    let Some(moving_pool) = run(&moving, &program, &moving_owners, program.steps.len()) else { return };
    let (primal, product) = sweep(&moving_pool, &program.inputs, &program.weights);
    let pool = run(&tape, &program, &owners, program.steps.len()).expect("it did not fail before");
    let common = common(&program, &pool, &moving_pool);
    if common == Common::Nothing {
        return;
    }
    assert!(agree(primal.primal(), value, scale), "value {value:e}, of dual numbers {:e}", primal.primal());
    if common == Common::Value {
        return;
    }
    let product: Vec<Moving> = product.into_iter().flatten().collect();
    for (d, &want) in product.iter().zip(&flat) {
        assert!(agree(d.primal(), want, scale), "partial {want:e}, of dual numbers {:e}", d.primal());
    }
    let terms = || product.iter().enumerate();
    let (one, other) = terms().fold((0.0, 0.0), |(one, other), (k, d)| {
        (one + d.tangents()[0] * direction(k + 100), other + d.tangents()[1] * direction(k))
    });
    let size: f64 = terms().map(|(_, d)| d.tangents()[0].abs() + d.tangents()[1].abs()).sum();
    if size < 1e8 {
        assert!(agree(one, other, 1e2 * (size + scale)), "second derivatives in two orders: {one:e}, {other:e}");
    }
}
