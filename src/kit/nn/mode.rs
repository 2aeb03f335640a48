//! [`Mode`]: training or evaluation.

use ndarray::Ix1;
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;

use crate::number::Scalar;
use crate::params::{Param, Params, ParamsOn};

/// The mode of a forward pass, training or evaluation: an argument of the two layers that compute
/// differently in the two, [`Dropout`](super::Dropout) and [`BatchNorm`](super::BatchNorm).
///
/// A training mode also holds the random numbers of dropout and the running statistics of batch norms. The closure of a
/// step borrows the parameters, so the statistics wait in the mode until [`update_buffers`](Self::update_buffers)
/// writes them into the parameters. One `Mode::train` serves a whole training:
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use wengert::nn::{BatchNorm, Linear, Mode};
/// use wengert::{Params, Sgd, Optimizer, Tape, ndarray::Array2};
///
/// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
/// let layer = Linear::new(&mut params, "layer", 3, 4, &mut rng);
/// let norm = BatchNorm::new(&mut params, "norm", 4);
///
/// let (mut tape, mut sgd, mut train) = (Tape::new(), Sgd::new(0.1), Mode::train(0));
/// let x = Array2::from_shape_fn((8, 3), |(i, j)| (i * j) as f64);
/// for _ in 0..3 {
///     let (_, grad) = tape.value_and_grad(&params, |p| {
///         norm.forward(p, layer.forward(p, p.constant(&x)), &mut train).square().mean()
///     });
///     sgd.step(&mut params, grad);
///     train.update_buffers(&mut params);
/// }
/// tape.clear();
/// let p = params.frozen_on(&tape);
/// let y = norm.forward(p, layer.forward(p, p.constant(&x)), &mut Mode::eval());
/// ```
#[derive(Debug)]
pub struct Mode<F: Scalar = f64> {
    training: Option<ModeState<F>>,
}

/// The state of a training mode.
#[derive(Debug)]
struct ModeState<F> {
    seed: u64,
    draws: u64,
    statistics: Vec<RunningStatistics<F>>,
}

/// The new values of a buffer.
#[derive(Debug)]
struct RunningStatistics<F> {
    buffer: Param<Ix1>,
    values: Vec<F>,
    /// The version of the parameters from which the values were computed; `None` once the values are written.
    waiting: Option<u64>,
}

impl<F: Scalar> Mode<F> {
    /// Training mode. The seed determines all its random numbers, on every machine: each mask is drawn by a
    /// [`ChaCha12Rng`], whose stream is fixed.
    pub fn train(seed: u64) -> Self {
        Self::train_from(seed, 0)
    }

    /// Training mode that resumes: the state of [`train`](Self::train) with the same seed after a number of
    /// [`draws`](Self::draws).
    pub fn train_from(seed: u64, draws: u64) -> Self {
        Self { training: Some(ModeState { seed, draws, statistics: Vec::new() }) }
    }

    /// Evaluation mode: dropout changes nothing, batch norm takes the running statistics, nothing is random.
    pub fn eval() -> Self {
        Self { training: None }
    }

    /// True in training mode.
    pub fn is_training(&self) -> bool {
        self.training.is_some()
    }

    /// The number of random masks drawn so far. With the seed and this number, [`train_from`](Self::train_from) resumes
    /// an interrupted training with the same masks.
    pub fn draws(&self) -> u64 {
        self.training.as_ref().map_or(0, |training| training.draws)
    }

    /// Writes the running statistics into the parameters; to be called after each step.
    ///
    /// Without this call an evaluation would take the statistics of an untrained model. The first forward pass after a
    /// step without the call therefore panics.
    ///
    /// # Panics
    ///
    /// If the statistics belong to a layer of another `Params`.
    #[track_caller]
    pub fn update_buffers(&mut self, params: &mut Params<F>) {
        for statistics in self.training.iter_mut().flat_map(|training| &mut training.statistics) {
            if statistics.waiting.take().is_some() {
                let mut buffer = params.view_mut(statistics.buffer);
                buffer.as_slice_mut().expect("a buffer is contiguous").copy_from_slice(&statistics.values);
            }
        }
    }

    /// A random generator for one mask, another one for each call; `None` in evaluation.
    pub(super) fn generator(&mut self) -> Option<ChaCha12Rng> {
        let training = self.training.as_mut()?;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&training.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&training.draws.to_le_bytes());
        training.draws += 1;
        Some(ChaCha12Rng::from_seed(seed))
    }

    /// Changes a buffer, in training: `next(i, old)` is the new value of its i-th number.
    #[track_caller]
    pub(super) fn record(&mut self, p: ParamsOn<'_, '_, F>, buffer: Param<Ix1>, next: impl Fn(usize, F) -> F) {
        let (Some(training), params) = (&mut self.training, p.params()) else { return };
        let found = training.statistics.iter().position(|s| s.buffer == buffer);
        let place = found.unwrap_or_else(|| {
            training.statistics.push(RunningStatistics { buffer, values: Vec::new(), waiting: None });
            training.statistics.len() - 1
        });
        let RunningStatistics { values, waiting, .. } = &mut training.statistics[place];
        match *waiting {
            None => {
                values.clear();
                values.extend(params.view(buffer));
            }
            Some(version) => assert!(
                version == params.version(),
                "the parameters have changed, but the running statistics of the step before are not stored; \
                 call `mode.update_buffers(&mut params)` after each step"
            ),
        }
        for (i, value) in values.iter_mut().enumerate() {
            // Statistics are data: no tangents on a tape of dual numbers.
            *value = F::from_base(next(i, *value).to_base());
        }
        *waiting = Some(params.version());
    }
}
