//! The gradient checker.

mod battery;
mod bounds;
mod checks;
mod costs;
mod differences;
mod functions;
mod minpack;
mod on_tape;
mod regimes;
mod reports;
mod tables;
mod verdicts;
mod words;

use wengert::gradcheck::{GradientMismatch, Report};

type Outcome = Result<Report, GradientMismatch>;

/// A fixed pseudo-random sequence in [-1, 1) (`SplitMix64`).
fn sequence(n: usize, seed: u64) -> Vec<f64> {
    (0..n as u64).map(|k| hash(seed.wrapping_mul(0x9e37_79b9).wrapping_add(k))).collect()
}

fn hash(k: u64) -> f64 {
    let mut z = k.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}
