//! [`EarlyStopping`].

use crate::number::Scalar;
use crate::params::Params;

/// Stops training when the validation loss no longer improves, and keeps the best weights.
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
    weights: Vec<F>,
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
        Self { patience, min_delta: 0.0, best: f64::INFINITY, waited: 0, weights: Vec::new() }
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

    /// Observes a loss and the weights that have it; returns true when it is time to stop. NaN is never a
    /// new best loss.
    pub fn observe(&mut self, loss: f64, params: &Params<F>) -> bool {
        if loss < self.best - self.min_delta {
            self.best = loss;
            self.waited = 0;
            self.weights.clear();
            self.weights.extend_from_slice(params.values());
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

    /// The weights with the best loss; empty before the first loss.
    pub fn weights(&self) -> &[F] {
        &self.weights
    }

    /// Sets the best loss, the observations since then and the best weights to those of a saved run.
    pub fn resume(&mut self, best: f64, waited: u32, weights: Vec<F>) {
        (self.best, self.waited, self.weights) = (best, waited, weights);
    }

    /// Sets the parameters to the weights with the best loss, if any loss was observed.
    ///
    /// # Panics
    ///
    /// If parameters were added since the best loss.
    #[track_caller]
    pub fn restore(&self, params: &mut Params<F>) {
        if self.weights.is_empty() {
            return;
        }
        assert!(
            self.weights.len() == params.len(),
            "EarlyStopping: {} weights were kept, the parameters have {}",
            self.weights.len(),
            params.len()
        );
        params.values_mut().copy_from_slice(&self.weights);
    }
}
