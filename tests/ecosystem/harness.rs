//! The comparison that every case goes through.

use std::hint::black_box;
use std::time::Instant;

use wengert::{Dual, StaticVar, statics};

use crate::support::differences::difference;

/// A function of numbers of a crate's generic code, on floats, handles and dual numbers.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) on_f64: fn(&[f64]) -> f64,
    pub(crate) on_handles: fn(&[StaticVar]) -> StaticVar,
    pub(crate) on_f32: fn(&[StaticVar<f32>]) -> StaticVar<f32>,
    pub(crate) on_duals: fn(&[Dual<f64>]) -> Dual<f64>,
}

/// The case of a generic function.
macro_rules! case {
    ($f:ident) => {
        crate::harness::Case { name: stringify!($f), on_f64: $f, on_handles: $f, on_f32: $f, on_duals: $f }
    };
}
pub(crate) use case;

/// `n` numbers without a pattern between -1 and 1.
pub(crate) fn numbers(n: usize) -> Vec<f64> {
    (1..=n).map(|i| ((i * i * i) as f64 * 12.9898).sin() * 0.97).collect()
}

impl Case {
    /// Compares the gradients at `x` with differences over a step that begins with `step`. `tolerance` is that of an
    /// entry relative to the largest entry, or to 1.
    pub(crate) fn check(&self, x: &[f64], step: f64, tolerance: f64) {
        let Self { name, on_f64, on_handles, on_f32, on_duals } = self;
        let (value, handles) = statics::value_and_grad(|x| on_handles(x), x);
        let plain = on_f64(x);
        assert!((value - plain).abs() <= 1e-13 * plain.abs().max(1.0), "{name}: {value} should be {plain}");
        let duals: Vec<f64> = (0..x.len()).map(|i| on_duals(&seeded(x, i)).tangents()[0]).collect();
        let partial = |i: usize| {
            let along = |at: f64| {
                let mut x = x.to_vec();
                x[i] = at;
                on_f64(&x)
            };
            difference(along, x[i], step).0
        };
        let differences: Vec<f64> = (0..x.len()).map(partial).collect();
        let size = differences.iter().fold(1.0, |size: f64, d| size.max(d.abs()));
        let error = |gradient: &[f64]| {
            let errors = gradient.iter().zip(&differences).map(|(g, d)| (g - d).abs() / size);
            errors.fold(0.0, |largest: f64, error| if error > largest || error.is_nan() { error } else { largest })
        };
        let (of_handles, of_duals) = (error(&handles), error(&duals));
        let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let single: Vec<f64> = statics::grad(|x| on_f32(x), &single).into_iter().map(f64::from).collect();
        let of_single = error(&single);
        let plain = nanoseconds(|| on_f64(black_box(x)));
        let reverse = nanoseconds(|| statics::value_and_grad(|x| on_handles(x), black_box(x)).0);
        println!(
            "{name:32} {:3} inputs   errors: handle {of_handles:7.1e}, dual {of_duals:7.1e}, f32 {of_single:7.1e}   f64 \
             {plain:9.0} ns, gradient {reverse:10.0} ns, ratio {:5.1}",
            x.len(),
            reverse / plain
        );
        assert!(size > 1e-3 && differences.iter().any(|d| d.abs() > 1e-3), "{name}: a gradient of zeros tests nothing");
        assert!(of_handles <= tolerance, "{name}: {handles:?} should be {differences:?}");
        assert!(of_duals <= tolerance, "{name}: {duals:?} should be {differences:?}");
        assert!(of_single <= 2e-3, "{name} in single precision: {single:?} should be {differences:?}");
    }
}

/// The numbers `x`, with a unit tangent at place `i`.
fn seeded(x: &[f64], i: usize) -> Vec<Dual<f64>> {
    x.iter().enumerate().map(|(j, &x)| Dual::new(x, [f64::from(u8::from(i == j))])).collect()
}

/// The median of a few runs of about a millisecond.
fn nanoseconds(mut work: impl FnMut() -> f64) -> f64 {
    let start = Instant::now();
    black_box(work());
    let reps = (1e-3 / start.elapsed().as_secs_f64().max(1e-9)).clamp(1.0, 1e5) as u32;
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..reps {
                black_box(work());
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(reps)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[4]
}
