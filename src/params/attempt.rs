//! [`Attempt`]: weights and buffers that are added together.

use std::ops::{Deref, DerefMut};

use super::store::Params;
use crate::number::Scalar;

/// Parameters to which several weights and buffers are added: all of them, or none. On unwinding, those since the begin are
/// taken back, until [`keep`](Self::keep) is called. Attempts nest.
pub(crate) struct Attempt<'a, F: Scalar> {
    params: &'a mut Params<F>,
    /// The state before: the numbers of entries, of weights' numbers and of all numbers, and the signature.
    entries: usize,
    weights: usize,
    numbers: usize,
    signature: u64,
}

impl<F: Scalar> Params<F> {
    /// Begins to add what belongs together.
    pub(crate) fn attempt(&mut self) -> Attempt<'_, F> {
        Attempt {
            entries: self.entries.len(),
            weights: self.weights,
            numbers: self.state.len(),
            signature: self.signature,
            params: self,
        }
    }
}

impl<F: Scalar> Attempt<'_, F> {
    /// What was added stays.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl<F: Scalar> Drop for Attempt<'_, F> {
    fn drop(&mut self) {
        let params = &mut *self.params;
        params.entries.truncate(self.entries);
        // The weights of the attempt stand between the weights and the buffers of before.
        params.state.drain(self.weights..params.weights);
        params.state.truncate(self.numbers);
        params.weights = self.weights;
        params.signature = self.signature;
        params.join_spans();
    }
}

impl<F: Scalar> Deref for Attempt<'_, F> {
    type Target = Params<F>;
    fn deref(&self) -> &Params<F> {
        self.params
    }
}

impl<F: Scalar> DerefMut for Attempt<'_, F> {
    fn deref_mut(&mut self) -> &mut Params<F> {
        self.params
    }
}
