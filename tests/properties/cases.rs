//! The configuration of randomised tests, and what their results have in common.

use proptest::prelude::ProptestConfig;

/// The default number of cases, and no file of past failures: a case that failed becomes a test of its topic.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Tells whether two computations of one number agree but for the order of their roundings. `scale` is the size of
/// the numbers that were added.
pub(crate) fn agree(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-12 * (1.0 + a.abs() + scale)
}
