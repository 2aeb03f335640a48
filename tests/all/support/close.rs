//! Comparison of results that may differ by rounding.

use std::borrow::Borrow;

use ndarray::Array2;
use wengert::BaseFloat;

/// Asserts |got - want| ≤ tolerance · max(1, |want|), or equality, which includes infinities.
#[track_caller]
pub(crate) fn assert_near(case: &str, got: f64, want: f64, tolerance: f64) {
    assert!(
        (got - want).abs() <= tolerance * want.abs().max(1.0) || got == want,
        "{case}: got {got:e}, expected {want:e}"
    );
}

/// [`assert_near`] for every element, and equal lengths.
#[track_caller]
pub(crate) fn assert_close<'a, 'b, F: BaseFloat>(
    case: &str,
    got: impl IntoIterator<Item = &'a F>,
    want: impl IntoIterator<Item = &'b F>,
    tolerance: f64,
) {
    let [got, want]: [Vec<f64>; 2] = [got.into_iter().map(to_f64).collect(), want.into_iter().map(to_f64).collect()];
    assert_eq!(got.len(), want.len(), "{case}: got {got:?}, expected {want:?}");
    for (i, (&got, &want)) in got.iter().zip(&want).enumerate() {
        assert!(
            (got - want).abs() <= tolerance * want.abs().max(1.0) || got == want,
            "{case}: element {i} is {got:e}, expected {want:e}"
        );
    }
}

/// Asserts that the largest error of a matrix is at most `tolerance` times its largest entry (or 1).
#[track_caller]
pub(crate) fn assert_matrices_close(case: &str, got: &Array2<f64>, want: &Array2<f64>, tolerance: f64) {
    let error = largest(got - want);
    assert!(error <= tolerance * largest(want).max(1.0), "{case}: off by {error:e}: {got}\nis not\n{want}");
}

/// Asserts equality but for a few roundings: a relative error of at most 8 ε.
#[track_caller]
pub(crate) fn assert_rounded(got: f64, want: f64) {
    let allowed = 8.0 * f64::EPSILON * want.abs();
    assert!((got - want).abs() <= allowed, "{got:e} should be {want:e}");
}

/// [`assert_rounded`] for every element, and equal lengths.
#[track_caller]
pub(crate) fn assert_all_rounded(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (&got, &want) in got.iter().zip(want) {
        assert_rounded(got, want);
    }
}

/// The largest absolute value, or 0.
pub(crate) fn largest(values: impl IntoIterator<Item: Borrow<f64>>) -> f64 {
    values.into_iter().fold(0.0, |largest: f64, x| largest.max(x.borrow().abs()))
}

pub(crate) fn to_f64<F: BaseFloat>(x: &F) -> f64 {
    x.to_f64().expect("a float is a number")
}
