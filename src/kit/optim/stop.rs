//! [`EarlyStopping`].

use crate::number::Scalar;
use crate::params::Params;

/// Stops training when the validation loss no longer improves, and keeps the best model: its weights and
/// [buffers](Params::add_buffer).
///
/// Prechelt, Early stopping - but when?, in Neural networks: tricks of the trade, Springer 1998
/// (the criterion UP).
///
/// ```
/// use wengert::optim::EarlyStopping;
///
/// let mut params = wengert::Params::new();
/// params.add("x", ndarray::arr0(0.0));
/// let mut stopping = EarlyStopping::new(2);
/// let mut epochs = 0;
/// for loss in [3.0, 1.0, 2.0, 1.5, 0.5] {
///     epochs += 1;
///     params.values_mut()[0] = loss;
///     if stopping.observe(loss, &params) {
///         break;
///     }
/// }
/// stopping.restore(&mut params);
/// assert_eq!((epochs, stopping.best(), params.values()[0]), (4, 1.0, 1.0));
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping<F> {
    patience: u32,
    min_delta: f64,
    best: f64,
    waited: u32,
    /// The state of the best model, weights and buffers.
    state: Vec<F>,
    /// The signature of the model; `None` if the state is that of a resumed run.
    model: Option<u64>,
}

impl<F: Scalar> EarlyStopping<F> {
    /// A criterion that is met after `patience` observations in a row without a new best loss.
    ///
    /// # Panics
    ///
    /// If `patience` is 0.
    #[track_caller]
    pub fn new(patience: u32) -> Self {
        assert!(patience > 0, "EarlyStopping: the patience must be at least 1");
        Self { patience, min_delta: 0.0, best: f64::INFINITY, waited: 0, state: Vec::new(), model: None }
    }

    /// Sets the least amount by which a new best loss must be below the old one; 0 unless set.
    ///
    /// # Panics
    ///
    /// If `min_delta` is negative or not finite.
    #[track_caller]
    #[must_use]
    pub fn min_delta(self, min_delta: f64) -> Self {
        super::assert_not_negative("EarlyStopping", "min_delta", min_delta);
        Self { min_delta, ..self }
    }

    /// Observes a loss and the model that has it; returns true when it is time to stop. NaN is never a
    /// new best loss.
    pub fn observe(&mut self, loss: f64, params: &Params<F>) -> bool {
        if loss < self.best - self.min_delta {
            // The copy first, for which memory may run out: a best loss has its weights.
            self.state.reserve(params.state().len().saturating_sub(self.state.len()));
            self.state.clear();
            self.state.extend_from_slice(params.state());
            self.model = Some(params.signature());
            (self.best, self.waited) = (loss, 0);
        } else {
            self.waited += 1;
        }
        self.waited >= self.patience
    }

    /// The best loss so far; infinity before the first.
    pub fn best(&self) -> f64 {
        self.best
    }

    /// The number of observations since the best loss.
    pub fn waited(&self) -> u32 {
        self.waited
    }

    /// The model with the best loss, in the order of [`Params::state`] (weights, then buffers); empty before the first
    /// loss.
    pub fn weights(&self) -> &[F] {
        &self.state
    }

    /// Sets the best loss, the observations since then and the best model to those of a saved run.
    pub fn resume(&mut self, best: f64, waited: u32, weights: Vec<F>) {
        (self.best, self.waited, self.state, self.model) = (best, waited, weights, None);
    }

    /// Sets the parameters to the model with the best loss, if any loss was observed.
    ///
    /// # Panics
    ///
    /// If the parameters are those of another model, or some were added since the best loss.
    #[track_caller]
    pub fn restore(&self, params: &mut Params<F>) {
        if self.state.is_empty() {
            return;
        }
        params.assert_state("EarlyStopping", &self.state, self.model);
        params.state_mut().copy_from_slice(&self.state);
    }
}
