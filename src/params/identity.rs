//! [`Identity`] and [`Owner`]: which model an optimiser's state belongs to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// A number that was never returned before; never 0.
pub(super) fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The identity of parameters in training.
#[derive(Debug)]
pub(super) struct Identity {
    /// A new number after each step of an optimiser; clones keep it.
    mark: u64,
    /// Alive as long as these very parameters.
    alive: Arc<()>,
}

impl Identity {
    pub(super) fn advance(&mut self) {
        self.mark = fresh();
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self { mark: fresh(), alive: Arc::default() }
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { mark: self.mark, alive: Arc::default() }
    }
}

/// The parameters that an optimiser moved last.
///
/// Other optimisers may move them meanwhile. They may go on as a clone of themselves; and an earlier clone may take their
/// place (the best model so far, say), once they are gone. Two models that are trained side by side can therefore not
/// share an optimiser's state, not even if one began as a clone of the other.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    weights: u64,
    mark: u64,
    alive: Weak<()>,
}

impl Owner {
    pub(super) fn new(weights: u64, identity: &Identity) -> Self {
        Self { weights, mark: identity.mark, alive: Arc::downgrade(&identity.alive) }
    }

    /// True if the parameters with this stamp of the weights and this identity are the owner.
    pub(super) fn is(&self, weights: u64, identity: &Identity) -> bool {
        let same = std::ptr::eq(self.alive.as_ptr(), Arc::as_ptr(&identity.alive));
        self.weights == weights && (same || self.mark == identity.mark || self.alive.strong_count() == 0)
    }
}
