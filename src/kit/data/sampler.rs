//! [`WeightedSampler`]: examples drawn by weight.

use rand::SeedableRng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::ChaCha12Rng;

use crate::number::BaseFloat;

/// An endless iterator of indices, each drawn with a probability in proportion to its weight, with replacement.
///
/// ```
/// use wengert::data::WeightedSampler;
///
/// let mut sampler = WeightedSampler::new(&[1.0, 0.0, 3.0], 0);
/// let rows: Vec<usize> = sampler.by_ref().take(1000).collect();
/// assert!(!rows.contains(&1));
/// assert!((700..800).contains(&rows.iter().filter(|&&row| row == 2).count()));
///
/// // One example in ten is of class 1, every other one that is drawn.
/// let labels = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// let rows = WeightedSampler::balanced(&labels, 0).take(1000);
/// assert!((450..550).contains(&rows.filter(|&row| labels[row] == 1).count()));
/// ```
///
/// A batch is `sampler.by_ref().take(32).collect::<Vec<_>>()`. A run that is resumed after `n` draws calls
/// `sampler.by_ref().take(n).for_each(drop)`.
#[derive(Debug)]
pub struct WeightedSampler {
    distribution: WeightedIndex<f64>,
    rng: ChaCha12Rng,
}

impl WeightedSampler {
    /// A sampler of the indices of these weights. A draw takes a number of steps that grows with the logarithm of the
    /// number of weights.
    ///
    /// # Panics
    ///
    /// If a weight is negative, infinite or NaN, or the weights add up to 0 or to ∞.
    #[track_caller]
    pub fn new<F: BaseFloat>(weights: &[F], seed: u64) -> Self {
        let wide = |x: &F| x.to_f64().unwrap_or(f64::NAN);
        if let Some(place) = weights.iter().position(|x| !(x.is_finite() && *x >= F::zero())) {
            panic!("WeightedSampler: weight {place} is {}, which is no share", wide(&weights[place]));
        }
        let Ok(distribution) = WeightedIndex::new(weights.iter().map(wide)) else {
            let sum: f64 = weights.iter().map(wide).sum();
            panic!("WeightedSampler: the {} weights add up to {sum}; there is nothing to draw by", weights.len());
        };
        Self { distribution, rng: ChaCha12Rng::seed_from_u64(seed) }
    }

    /// A sampler of the indices of these labels that draws each label equally often: the weight of an example is
    /// 1 / the number of examples with its label.
    ///
    /// # Panics
    ///
    /// If there is no label.
    #[track_caller]
    pub fn balanced(labels: &[usize], seed: u64) -> Self {
        let mut counts = std::collections::HashMap::new();
        for label in labels {
            *counts.entry(label).or_insert(0_u32) += 1;
        }
        let weights: Vec<f64> = labels.iter().map(|label| 1.0 / f64::from(counts[label])).collect();
        Self::new(&weights, seed)
    }
}

impl Iterator for WeightedSampler {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        Some(self.distribution.sample(&mut self.rng))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}
