//! Averages: of gradients over micro-batches, of weights over steps.

use crate::number::precompiled::precompiled;
use crate::number::{Kernel, Scalar, Wrap};
use crate::params::{Params, ParamsGradient};

/// Gradient accumulation: the mean gradient of several micro-batches, for a batch that is too large
/// for one tape.
///
/// Each part is the gradient of a mean over some rows, and counts in proportion to them, so that the result is the gradient
/// of the mean over all rows, also where the last part of an epoch is shorter:
///
/// ```text
/// mean = Σₖ rowsₖ · gradₖ / Σₖ rowsₖ
/// ```
///
/// ```
/// use wengert::optim::{Accumulator, Optimizer, Sgd};
/// use wengert::{Params, Tape};
///
/// let mut params = Params::new();
/// let x = params.add("x", ndarray::arr0(1.0));
/// let (mut tape, mut sgd) = (Tape::new(), Sgd::new(0.5));
/// let mut micro = Accumulator::new(2);
/// for target in [2.0, 4.0] {
///     let (_, grad) = tape.value_and_grad(&params, |p| (p.get(x).into_var() - target).square());
///     if let Some(grad) = micro.add(grad, 1) {
///         sgd.step(&mut params, grad);
///     }
/// }
/// assert_eq!(params.values(), [3.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Accumulator<F: Scalar> {
    parts: u32,
    seen: u32,
    rows: f64,
    mean: ParamsGradient<'static, F>,
}

impl<F: Scalar> Accumulator<F> {
    /// An accumulator of `parts` gradients at a time.
    ///
    /// # Panics
    ///
    /// If `parts` is 0.
    #[track_caller]
    pub fn new(parts: u32) -> Self {
        assert!(parts > 0, "Accumulator: the mean is over at least 1 gradient");
        Self { parts, seen: 0, rows: 0.0, mean: ParamsGradient::default() }
    }

    /// Adds the gradient of a mean over `rows` rows; returns the mean of the last `parts` gradients if that many have been
    /// added since the last mean, else `None`.
    ///
    /// # Panics
    ///
    /// If `rows` is 0, or the gradient and the one before differ in length or are those of two models.
    #[track_caller]
    pub fn add<'g>(
        &mut self,
        grad: impl Into<ParamsGradient<'g, F>>,
        rows: usize,
    ) -> Option<&ParamsGradient<'static, F>> {
        let grad = grad.into();
        assert!(rows > 0, "Accumulator: a gradient of 0 rows has no weight in the mean");
        if self.mean.is_empty() {
            self.mean.reset(None, grad.len());
        }
        assert!(
            self.mean.len() == grad.len(),
            "Accumulator: the gradient has {} numbers, the one before had {}",
            grad.len(),
            self.mean.len()
        );
        let before = if self.seen == 0 { None } else { self.mean.of() };
        assert!(
            before.is_none_or(|before| grad.of().is_none_or(|of| of == before)),
            "Accumulator: the gradient and the one before are those of two models; make an accumulator for each"
        );
        let (before, added) = (if self.seen == 0 { 0.0 } else { self.rows }, rows as f64);
        let all = before + added;
        let [keep, share] = [before, added].map(|rows| F::lit(rows / all));
        // Plain numbers among the parts leave the model as it is known from the others.
        let like = (self.seen == 0 || grad.of().is_some()).then_some(&grad);
        mix(self.mean.reset(like, grad.len()), keep, &grad, share);
        (self.rows, self.seen) = (all, (self.seen + 1) % self.parts);
        (self.seen == 0).then_some(&self.mean)
    }

    /// The mean of the gradients that were added since the last mean, fewer than `parts`, as at the end of an epoch; `None`
    /// if there are none. The next gradient begins a new mean.
    pub fn finish(&mut self) -> Option<&ParamsGradient<'static, F>> {
        (std::mem::take(&mut self.seen) > 0).then_some(&self.mean)
    }
}

/// An exponential moving average of a model, which often generalises better than the last weights:
///
/// ```text
/// a ← decay · a + (1 - decay) · θ
/// ```
///
/// θ is the whole [state](Params::state): [buffers](Params::add_buffer), such as the running statistics of a batch norm,
/// are averaged with the weights that they belong to.
///
/// Polyak and Juditsky, Acceleration of stochastic approximation by averaging, SIAM J. Control
/// Optim. 30(4), 1992, for the plain mean. The first update sets a = θ, so that there is no bias towards 0
/// to correct.
///
/// ```
/// use wengert::optim::Ema;
///
/// let mut params = wengert::Params::new();
/// params.add("x", ndarray::array![1.0, 2.0]);
/// let mut ema = Ema::new(0.75);
/// ema.update(&params);
/// params.values_mut().fill(5.0);
/// ema.update(&params);
/// assert_eq!(ema.values(), [2.0, 2.75]);
///
/// ema.swap(&mut params); // evaluate with the averages ...
/// assert_eq!(params.values(), [2.0, 2.75]);
/// ema.swap(&mut params); // ... and go on training
/// assert_eq!(params.values(), [5.0, 5.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Ema<F> {
    /// The share of the average that is kept, in [0, 1); the average spans about 1 / (1 - decay) steps.
    pub decay: f64,
    average: Vec<F>,
    /// The signature of the model; `None` for restored averages before the next use.
    model: Option<u64>,
}

impl<F: Scalar> Ema<F> {
    /// An average that begins at the state of the first update.
    ///
    /// # Panics
    ///
    /// If `decay` is not in [0, 1).
    #[track_caller]
    pub fn new(decay: f64) -> Self {
        super::assert_share("Ema", "decay", decay);
        Self { decay, average: Vec::new(), model: None }
    }

    /// Moves the averages towards the model; to be called after an optimiser's step, and after
    /// [`Mode::update_buffers`](crate::nn::Mode::update_buffers) if the model has running statistics.
    ///
    /// # Panics
    ///
    /// If the model is another one than at the first update, or parameters were added since.
    #[track_caller]
    pub fn update(&mut self, params: &Params<F>) {
        if self.average.is_empty() {
            self.average.extend_from_slice(params.state());
            self.model = Some(params.signature());
            return;
        }
        self.assert_fits(params);
        mix(&mut self.average, F::lit(self.decay), params.state(), F::lit(1.0 - self.decay));
    }

    /// The averages, in the order of [`Params::state`] (weights, then buffers); empty before the first update.
    pub fn values(&self) -> &[F] {
        &self.average
    }

    /// Sets the averages to saved ones, in the order of [`Params::state`].
    pub fn restore(&mut self, values: Vec<F>) {
        (self.average, self.model) = (values, None);
    }

    /// Exchanges the model and its averages.
    ///
    /// # Panics
    ///
    /// Before the first update, if the model is another one than there, or if parameters were added since.
    #[track_caller]
    pub fn swap(&mut self, params: &mut Params<F>) {
        self.assert_fits(params);
        self.average.swap_with_slice(params.state_mut());
    }

    #[track_caller]
    fn assert_fits(&mut self, params: &Params<F>) {
        params.assert_state("Ema", &self.average, self.model);
        self.model = Some(params.signature());
    }
}

precompiled! {
    /// yᵢ ← keep · yᵢ + share · xᵢ. If `keep` is 0, y is not read, so that a NaN in it does not survive.
    pub(crate) fn mix<F>(y: &mut [F], keep: F, x: &[F], share: F) {
        struct Mix<'a, F> {
            y: &'a mut [F],
            keep: F,
            x: &'a [F],
            share: F,
        }
        impl<F: Scalar> Kernel<F> for Mix<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let [keep, share] = [self.keep, self.share].map(L::wrap);
                if self.keep.is_exact_zero() {
                    for (y, &x) in self.y.iter_mut().zip(self.x) {
                        *y = (share * L::wrap(x)).unwrap();
                    }
                } else {
                    for (y, &x) in self.y.iter_mut().zip(self.x) {
                        *y = (keep * L::wrap(*y) + share * L::wrap(x)).unwrap();
                    }
                }
            }
        }
        F::dispatch(Mix { y, keep, x, share });
    }
}
