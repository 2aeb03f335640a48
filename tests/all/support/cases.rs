//! The configuration of randomised tests.

use proptest::prelude::ProptestConfig;

/// The default number of cases, and no file of past failures: a case that failed becomes a test of its topic.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}
