//! Normalisation and dropout.

use ndarray::{Array1, ArrayView, Dimension, Ix1};
use num_traits::{Float, ToPrimitive};
use rand::Rng;

use super::{Layer, Mode, by_channel};
use crate::number::{BaseFloat, Scalar};
use crate::params::{Param, Params, ParamsOn};
use crate::tape::SINK;
use crate::tensor::Tensor;

/// PyTorch's ε of layer and batch norms.
const EPSILON: f64 = 1e-5;

/// y = (x - μ)/√(v + ε) g + b with the mean μ and the variance v of each row, and a gain g and a bias b for each
/// element of a row: [`Tensor::layer_norm`] with ε = 1e-5.
///
/// ```
/// use wengert::nn::LayerNorm;
/// use wengert::{Params, Tape, ndarray::array};
///
/// let mut params = Params::<f64>::new();
/// let norm = LayerNorm::new(&mut params, "norm", 2);
/// let (tape, rows) = (Tape::new(), array![[1.0, 3.0], [-2.0, 2.0]]);
/// let p = params.on(&tape);
/// let y = norm.forward(p, p.constant(&rows));
/// assert!((&y.value() - &array![[-1.0, 1.0], [-1.0, 1.0]]).iter().all(|d| d.abs() < 1e-5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// `name.weight`, the gain.
    pub weight: Param<Ix1>,
    /// `name.bias`.
    pub bias: Param<Ix1>,
    /// ε.
    pub epsilon: f64,
}

impl LayerNorm {
    /// Adds a gain of ones and a bias of zeros for rows of `size` elements.
    ///
    /// # Panics
    ///
    /// If there is a parameter of the same name.
    #[track_caller]
    pub fn new<F: Scalar>(params: &mut Params<F>, name: &str, size: usize) -> Self {
        let (weight, bias) = gain_and_bias(params, name, size);
        Self { weight, bias, epsilon: EPSILON }
    }

    /// `x` with normalised rows along the last axis.
    ///
    /// # Panics
    ///
    /// If the last axis and the gain differ in length.
    #[track_caller]
    pub fn forward<'t, F: Scalar, D: Dimension>(
        &self,
        p: ParamsOn<'t, '_, F>,
        x: Tensor<'t, F, D>,
    ) -> Tensor<'t, F, D> {
        let gain = along_rows(p, self.weight, x);
        x.layer_norm(F::Base::round_from(self.epsilon)) * gain + along_rows(p, self.bias, x)
    }
}

/// y = x/√(mean x² + ε) g along each row, with a gain g for each element of a row: [`Tensor::rms_norm`] with the
/// machine epsilon as ε, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsNorm {
    /// `name.weight`, the gain.
    pub weight: Param<Ix1>,
    /// ε.
    pub epsilon: f64,
}

impl RmsNorm {
    /// Adds a gain of ones for rows of `size` elements.
    ///
    /// # Panics
    ///
    /// If there is a parameter of the same name.
    #[track_caller]
    pub fn new<F: Scalar>(params: &mut Params<F>, name: &str, size: usize) -> Self {
        let weight = params.add(format!("{name}.weight"), Array1::from_elem(size, F::one()));
        Self { weight, epsilon: F::Base::epsilon().to_f64().expect("a float is an f64") }
    }

    /// `x` with normalised rows along the last axis.
    ///
    /// # Panics
    ///
    /// If the last axis and the gain differ in length.
    #[track_caller]
    pub fn forward<'t, F: Scalar, D: Dimension>(
        &self,
        p: ParamsOn<'t, '_, F>,
        x: Tensor<'t, F, D>,
    ) -> Tensor<'t, F, D> {
        let gain = along_rows(p, self.weight, x);
        x.rms_norm(F::Base::round_from(self.epsilon)) * gain
    }
}

/// Normalises groups of neighbouring channels (axis 1) of each sample, over all later axes.
///
/// y = (x - μ)/√(v + ε) g + b, ε = 1e-5, with the mean μ and the variance v of a group in one sample, and a gain g and a bias
/// b for each channel (Wu and He 2018, "Group normalization", arXiv:1803.08494). No sample depends on another, and training
/// and evaluation are the same. With as many groups as channels it is instance normalisation (PyTorch's `InstanceNorm` with
/// `affine=True`).
///
/// ```
/// use wengert::nn::GroupNorm;
/// use wengert::{Params, Tape, ndarray::array};
///
/// let mut params = Params::<f64>::new();
/// let norm = GroupNorm::new(&mut params, "norm", 2, 4);
/// let (tape, rows) = (Tape::new(), array![[1.0, 3.0, -2.0, 2.0]]);
/// let p = params.on(&tape);
/// let y = norm.forward(p, p.constant(&rows));
/// assert!((&y.value() - &array![[-1.0, 1.0, -1.0, 1.0]]).iter().all(|d| d.abs() < 1e-5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// `name.weight`, the gain.
    pub weight: Param<Ix1>,
    /// `name.bias`.
    pub bias: Param<Ix1>,
    /// The number of groups.
    pub groups: usize,
    /// ε.
    pub epsilon: f64,
}

impl GroupNorm {
    /// Adds a gain of ones and a bias of zeros for each channel.
    ///
    /// # Panics
    ///
    /// If the groups do not divide the channels, or there is a parameter of the same name.
    #[track_caller]
    pub fn new<F: Scalar>(params: &mut Params<F>, name: &str, groups: usize, channels: usize) -> Self {
        assert!(
            groups > 0 && channels.is_multiple_of(groups),
            "{name}: {channels} channels do not split into {groups} groups"
        );
        let (weight, bias) = gain_and_bias(params, name, channels);
        Self { weight, bias, groups, epsilon: EPSILON }
    }

    /// `x` with normalised groups.
    ///
    /// # Panics
    ///
    /// If axis 1 is missing or its length is not the number of channels, or if a group has only one element in a sample,
    /// because its normalised value would always be 0.
    #[track_caller]
    pub fn forward<'t, F: Scalar, D: Dimension>(
        &self,
        p: ParamsOn<'t, '_, F>,
        x: Tensor<'t, F, D>,
    ) -> Tensor<'t, F, D> {
        let (gain, bias) = by_channels(p, self.weight, self.bias, x);
        let rows = x.shape()[0] * self.groups;
        let n = x.len() / rows.max(1);
        assert!(
            n != 1,
            "{}: it takes more than one element for each of {} groups in a sample, and shape {:?} has one; give fewer groups",
            p.params().name(self.weight),
            self.groups,
            x.shape()
        );
        let grouped = x.reshape((rows, n));
        grouped.layer_norm(F::Base::round_from(self.epsilon)).reshape(x.dim()) * gain + bias
    }
}

/// Normalises each channel (axis 1) by its mean and variance over all other axes: over samples for (samples, channels),
/// over samples and pixels for (samples, channels, height, width).
///
/// y = (x - μ)/√(v + ε) g + b, ε = 1e-5, with a gain g and a bias b for each channel (Ioffe and Szegedy 2015, "Batch
/// normalization", arXiv:1502.03167, algorithm 1). In training μ and v are the mean and variance of the batch, v with
/// divisor n, and the running statistics μ̂ and v̂ follow with momentum m = 0.1: μ̂ ← (1 - m) μ̂ + m μ, and v̂ likewise
/// with the unbiased v n/(n - 1). In evaluation μ̂ and v̂ replace μ and v.
///
/// The running statistics are [buffers](Params::add_buffer): they have no gradient and are saved with the parameters.
/// [`Mode::update_buffers`] writes them, see [`Mode`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// `name.weight`, the gain.
    pub weight: Param<Ix1>,
    /// `name.bias`.
    pub bias: Param<Ix1>,
    /// `name.running_mean`, a buffer.
    pub running_mean: Param<Ix1>,
    /// `name.running_var`, a buffer.
    pub running_var: Param<Ix1>,
    /// ε.
    pub epsilon: f64,
    /// The momentum m of the running statistics.
    pub momentum: f64,
}

impl BatchNorm {
    /// Adds a gain of ones, a bias of zeros, running means of zeros and running variances of ones.
    ///
    /// # Panics
    ///
    /// If there is a parameter of the same name.
    #[track_caller]
    pub fn new<F: Scalar>(params: &mut Params<F>, name: &str, channels: usize) -> Self {
        let mut params = params.attempt();
        let (weight, bias) = gain_and_bias(&mut params, name, channels);
        let running_mean = params.add_buffer(format!("{name}.running_mean"), Array1::from_elem(channels, F::zero()));
        let running_var = params.add_buffer(format!("{name}.running_var"), Array1::from_elem(channels, F::one()));
        params.keep();
        Self { weight, bias, running_mean, running_var, epsilon: EPSILON, momentum: 0.1 }
    }

    /// `x` with normalised channels.
    ///
    /// # Panics
    ///
    /// If axis 1 is missing or its length is not the number of channels. In training also if a channel has only one
    /// element, because its normalised value would always be 0, or if the running statistics of the step before have
    /// not been [written](Mode::update_buffers).
    #[track_caller]
    pub fn forward<'t, F: Scalar, D: Dimension>(
        &self,
        p: ParamsOn<'t, '_, F>,
        x: Tensor<'t, F, D>,
        mode: &mut Mode<F>,
    ) -> Tensor<'t, F, D> {
        let (gain, bias) = by_channels(p, self.weight, self.bias, x);
        let epsilon = F::Base::round_from(self.epsilon);
        if !mode.is_training() {
            let scale = gain / by_channel((p.get(self.running_var) + F::from_base(epsilon)).sqrt(), x);
            // Not x · scale + shift: of large numbers that differ by little, the difference alone is exact.
            return (x - by_channel(p.get(self.running_mean), x)) * scale + bias;
        }
        let n = x.len() / gain.len().max(1);
        assert!(
            n != 1,
            "{}: in training it takes more than one element for each channel, and shape {:?} has one; \
             give batches of two samples or more (`Batches::drop_last(true)` leaves out a smaller last one), or see `Mode::eval`",
            p.params().name(self.weight),
            x.shape()
        );
        let normalized = x.channel_norm(gain, bias, epsilon);
        // Noted last, because an operation may be refused.
        if n > 0 {
            let (m, unbiased) = (F::lit(self.momentum), F::lit(n as f64 / (n as f64 - 1.0)));
            let follow = |old: F, new: F| old + m * (new - old);
            mode.record(p, self.running_mean, |i, old| follow(old, normalized.mean[i]));
            mode.record(p, self.running_var, |i, old| follow(old, normalized.variance[i] * unbiased));
        }
        normalized.y
    }
}

/// Sets each element to 0 with a probability q in training and multiplies the others by 1/(1 - q), so that the expected
/// mean stays; changes nothing in evaluation (Srivastava et al. 2014, "Dropout", JMLR 15, section 10, with the scaling
/// moved to training).
///
/// The seed of the [`Mode`] determines the dropped elements, the same in `f32` as in `f64`.
///
/// ```
/// use wengert::nn::{Dropout, Mode};
/// use wengert::{Tape, ndarray::Array1};
///
/// let (tape, ones) = (Tape::<f64>::new(), Array1::<f64>::ones(1000));
/// let (dropout, x) = (Dropout::new(0.25), tape.constant(&ones));
/// let y = dropout.forward(x, &mut Mode::train(7));
/// assert!(y.value().iter().all(|&y| y == 0.0 || y == 1.0 / 0.75));
/// assert!((y.mean().value() - 1.0).abs() < 0.1);
/// assert_eq!(dropout.forward(x, &mut Mode::eval()).value(), ones);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    probability: f64,
}

impl Dropout {
    /// Dropout of each element with a probability.
    ///
    /// # Panics
    ///
    /// If the probability is not in [0, 1].
    #[track_caller]
    pub fn new(probability: f64) -> Self {
        assert!((0.0..=1.0).contains(&probability), "Dropout: {probability} is no probability; give one in [0, 1]");
        Self { probability }
    }

    /// `x` with some elements dropped in training; `x` itself in evaluation.
    #[track_caller]
    pub fn forward<'t, F: Scalar, D: Dimension>(&self, x: Tensor<'t, F, D>, mode: &mut Mode<F>) -> Tensor<'t, F, D> {
        if self.probability == 0.0 {
            return x;
        }
        let Some(mut rng) = mode.generator() else { return x };
        let scale = if self.probability < 1.0 { F::lit(1.0 / (1.0 - self.probability)) } else { F::zero() };
        let limit = (self.probability * 2.0_f64.powi(32)) as u64;
        let mask = &*x
            .tape()
            .arena()
            .alloc_slice_fill_with(x.len(), |_| if u64::from(rng.next_u32()) < limit { F::zero() } else { scale });
        let values = ArrayView::from_shape(x.dim(), mask).expect("a number for each element");
        x * Tensor::over(x.tape(), values, mask, SINK)
    }
}

/// Implements [`Layer`] by the `forward` of each type.
macro_rules! as_layers {
    ($($Name:ident |$layer:ident, $p:ident, $x:ident, $mode:ident| $forward:expr)+) => { $(
        impl<F: Scalar, D: Dimension + 'static> Layer<F, D> for $Name {
            type Out = D;
            #[track_caller]
            fn forward<'t>(&self, $p: ParamsOn<'t, '_, F>, $x: Tensor<'t, F, D>, $mode: &mut Mode<F>) -> Tensor<'t, F, D> {
                let $layer = self;
                $forward
            }
        }
    )+ };
}
as_layers! {
    LayerNorm |layer, p, x, _mode| layer.forward(p, x)
    RmsNorm |layer, p, x, _mode| layer.forward(p, x)
    GroupNorm |layer, p, x, _mode| layer.forward(p, x)
    BatchNorm |layer, p, x, mode| layer.forward(p, x, mode)
    Dropout |layer, _p, x, mode| layer.forward(x, mode)
}

#[track_caller]
fn gain_and_bias<F: Scalar>(params: &mut Params<F>, name: &str, size: usize) -> (Param<Ix1>, Param<Ix1>) {
    let mut params = params.attempt();
    let gain = params.add(format!("{name}.weight"), Array1::from_elem(size, F::one()));
    let bias = params.add(format!("{name}.bias"), Array1::from_elem(size, F::zero()));
    params.keep();
    (gain, bias)
}

/// One number for each element of a row as a tensor that broadcasts over the other axes of `like`. Panics if the rows
/// of `like` have another length.
#[track_caller]
fn along_rows<'t, F: Scalar, D: Dimension>(
    p: ParamsOn<'t, '_, F>,
    id: Param<Ix1>,
    like: Tensor<'t, F, D>,
) -> Tensor<'t, F, D> {
    let numbers = p.get(id);
    assert!(
        like.shape().last() == Some(&numbers.len()),
        "{}: it takes tensors whose last axis has length {}, and this one has shape {:?}",
        p.params().name(id),
        numbers.len(),
        like.shape()
    );
    let mut shape = like.dim();
    let ndim = shape.ndim();
    shape.slice_mut()[..ndim - 1].fill(1);
    numbers.reshape(shape)
}

/// Gain and bias of each channel as tensors that broadcast over the other axes of `like`. Panics if `like` has another
/// number of channels.
#[track_caller]
fn by_channels<'t, F: Scalar, D: Dimension>(
    p: ParamsOn<'t, '_, F>,
    weight: Param<Ix1>,
    bias: Param<Ix1>,
    like: Tensor<'t, F, D>,
) -> (Tensor<'t, F, D>, Tensor<'t, F, D>) {
    let (gain, bias) = (p.get(weight), p.get(bias));
    assert!(
        like.shape().get(1) == Some(&gain.len()),
        "{}: it takes tensors whose axis 1 has length {}, and this one has shape {:?}",
        p.params().name(weight),
        gain.len(),
        like.shape()
    );
    (by_channel(gain, like), by_channel(bias, like))
}
