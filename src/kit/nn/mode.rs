//! [`Mode`]: training or evaluation.

use ndarray::Ix1;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::number::Scalar;
use crate::params::{Param, Params, ParamsOn};

/// Whether a model is trained or evaluated: what [`Dropout`](super::Dropout) and
/// [`BatchNorm`](super::BatchNorm) ask for.
///
/// In training it is also the source of the randomness of dropout, and keeps the running
/// statistics of batch norms until [`update_buffers`](Self::update_buffers) writes them into the
/// parameters, which the closure of a step borrows. One `Mode::train` serves a whole training:
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

#[derive(Debug)]
struct ModeState<F> {
    seed: u64,
    draws: u64,
    statistics: Vec<RunningStatistics<F>>,
}

/// New values of a buffer.
#[derive(Debug)]
struct RunningStatistics<F> {
    buffer: Param<Ix1>,
    values: Vec<F>,
    /// The version of the parameters that gave them; none if they are written into these.
    waiting: Option<u64>,
}

impl<F: Scalar> Mode<F> {
    /// ModeState. The seed governs all that is random in it.
    pub fn train(seed: u64) -> Self {
        Self::train_from(seed, 0)
    }

    /// ModeState that goes on: as after [`train`](Self::train) of this seed and so many
    /// [`draws`](Self::draws).
    pub fn train_from(seed: u64, draws: u64) -> Self {
        Self { training: Some(ModeState { seed, draws, statistics: Vec::new() }) }
    }

    /// Evaluation: dropout passes all, batch norm takes the running statistics, nothing is random.
    pub fn eval() -> Self {
        Self { training: None }
    }

    /// Whether it is training.
    pub fn is_training(&self) -> bool {
        self.training.is_some()
    }

    /// How many random masks have been drawn: what to save beside the seed so that an interrupted
    /// training goes on as it would have.
    pub fn draws(&self) -> u64 {
        self.training.as_ref().map_or(0, |training| training.draws)
    }

    /// Writes the running statistics into the parameters. Call it after each step.
    ///
    /// Without it an evaluation would take the statistics of an untrained model, so the next forward
    /// pass after a step panics if it was forgotten.
    ///
    /// # Panics
    ///
    /// If the statistics are of a layer of other `Params`.
    #[track_caller]
    pub fn update_buffers(&mut self, params: &mut Params<F>) {
        for statistics in self.training.iter_mut().flat_map(|training| &mut training.statistics) {
            if statistics.waiting.take().is_some() {
                let mut buffer = params.view_mut(statistics.buffer);
                buffer.as_slice_mut().expect("a buffer is contiguous").copy_from_slice(&statistics.values);
            }
        }
    }

    /// A generator for one mask, another one each time; none in evaluation.
    pub(super) fn generator(&mut self) -> Option<StdRng> {
        let training = self.training.as_mut()?;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&training.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&training.draws.to_le_bytes());
        training.draws += 1;
        Some(StdRng::from_seed(seed))
    }

    /// Changes a buffer: `next(i, old)` is the new value of its i-th number.
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
            *value = next(i, *value);
        }
        *waiting = Some(params.version());
    }
}
