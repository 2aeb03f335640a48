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

/// A case at a point.
pub(crate) struct Comparison {
    pub(crate) name: String,
    case: Case,
    x: Vec<f64>,
    step: f64,
    tolerance: f64,
}

/// The largest errors of the gradients by handles, by dual numbers, and by handles in single precision.
pub(crate) struct Errors {
    pub(crate) handles: f64,
    pub(crate) duals: f64,
    pub(crate) single: f64,
}

impl Case {
    /// The case at `x`. `tolerance` is that of an entry of the gradient relative to the largest entry, or to 1.
    pub(crate) fn at(self, x: &[f64], tolerance: f64) -> Comparison {
        Comparison { name: self.name.to_owned(), case: self, x: x.to_vec(), step: 0.01, tolerance }
    }
}

impl Comparison {
    /// Another name.
    pub(crate) fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Differences over a step that begins with `step`.
    pub(crate) fn step(self, step: f64) -> Self {
        Self { step, ..self }
    }

    /// Compares the gradients with differences.
    pub(crate) fn check(&self) -> Errors {
        let Self { name, case: Case { on_f64, on_handles, on_f32, on_duals, .. }, x, step, tolerance } = self;
        let (value, handles) = statics::value_and_grad(on_handles, x);
        let plain = on_f64(x);
        assert!((value - plain).abs() <= 1e-13 * plain.abs().max(1.0), "{name}: {value} should be {plain}");
        let duals: Vec<f64> = (0..x.len()).map(|i| on_duals(&seeded(x, i)).tangents()[0]).collect();
        let partial = |i: usize| {
            let along = |at: f64| {
                let mut x = x.clone();
                x[i] = at;
                on_f64(&x)
            };
            difference(along, x[i], *step).0
        };
        let differences: Vec<f64> = (0..x.len()).map(partial).collect();
        let size = differences.iter().fold(1.0, |size: f64, d| size.max(d.abs()));
        let error = |gradient: &[f64]| {
            let errors = gradient.iter().zip(&differences).map(|(g, d)| (g - d).abs() / size);
            errors.fold(0.0, |largest: f64, error| if error > largest || error.is_nan() { error } else { largest })
        };
        let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let single: Vec<f64> = statics::grad(on_f32, &single).into_iter().map(f64::from).collect();
        let errors = Errors { handles: error(&handles), duals: error(&duals), single: error(&single) };
        assert!(size > 1e-3 && differences.iter().any(|d| d.abs() > 1e-3), "{name}: a gradient of zeros tests nothing");
        assert!(errors.handles <= *tolerance, "{name}: {handles:?} should be {differences:?}");
        assert!(errors.duals <= *tolerance, "{name}: {duals:?} should be {differences:?}");
        assert!(errors.single <= 2e-3, "{name} in single precision: {single:?} should be {differences:?}");
        errors
    }

    /// The row of the table that `lib.rs` prints.
    pub(crate) fn row(&self) -> String {
        let Errors { handles, duals, single } = self.check();
        let Self { name, case: Case { on_f64, on_handles, on_duals, .. }, x, .. } = self;
        let duals_at = seeded(x, 0);
        let plain = nanoseconds(|| on_f64(black_box(x)));
        let reverse = nanoseconds(|| statics::value_and_grad(on_handles, black_box(x)).0);
        let forward = nanoseconds(|| on_duals(black_box(&duals_at)).primal());
        format!(
            "{name} | {} | {handles:.1e} | {duals:.1e} | {single:.1e} | {plain:.0} | {:.1} | {:.1}",
            x.len(),
            reverse / plain,
            forward / plain
        )
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
