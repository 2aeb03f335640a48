//! Layers: plain structs of parameter ids.
//!
//! A layer's `new` adds the layer's weights to [`Params`] under a name, with PyTorch's default initial values; its
//! `forward` computes with these weights on a tape. A layer holds ids and no numbers, so a model is a struct (or a
//! tuple, see [`Layer`]) of layers that is made once and can be copied and sent to other threads.
//!
//! | file | layers |
//! |---|---|
//! | `layer.rs` | the trait [`Layer`]; tuples; layers without weights: [`Relu`] and other activations, [`Map`], [`Flatten`], [`MaxPool2d`], [`AdaptiveAvgPool2d`] and other pools, [`Upsample1d`], [`Upsample2d`] |
//! | `linear.rs` | [`Linear`], [`Embedding`] |
//! | `conv.rs` | [`Conv1d`], [`Conv2d`], [`ConvTranspose1d`], [`ConvTranspose2d`] |
//! | `norm.rs` | [`LayerNorm`], [`RmsNorm`], [`GroupNorm`], [`BatchNorm`], [`Dropout`] |
//! | `attention.rs` | [`MultiHeadAttention`] with [`AttentionMask`] and [`KeyValueCache`], the function [`attention`](fn@attention) |
//! | `recurrent.rs` | [`Rnn`], [`Gru`], [`Lstm`] of several layers, in one direction or two; their cells, [`RnnCell`], [`GruCell`], [`LstmCell`] |
//! | `mode.rs` | [`Mode`]: training or evaluation |
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use wengert::nn::Linear;
//! use wengert::{Adam, Optimizer, Params, Tape, ndarray::Array2};
//!
//! let (mut params, rng) = (Params::<f32>::new(), &mut StdRng::seed_from_u64(0));
//! let hidden = Linear::new(&mut params, "hidden", 64, 96, rng);
//! let out = Linear::new(&mut params, "out", 96, 10, rng);
//!
//! let (images, labels) = (Array2::<f32>::zeros((32, 64)), [3; 32]);
//! let (mut tape, mut adam) = (Tape::new(), Adam::new(1e-3));
//! for _ in 0..3 {
//!     let (loss, grad) = tape.value_and_grad(&params, |p| {
//!         let h = hidden.forward(p, p.constant(&images)).relu();
//!         out.forward(p, h).softmax_cross_entropy(&labels)
//!     });
//!     adam.step(&mut params, grad);
//! }
//! ```
//!
//! # For users of PyTorch
//!
//! | | PyTorch | here |
//! |---|---|---|
//! | weight of [`Linear`], of recurrent cells and of attention | (outputs, inputs), used as x wᵀ | (inputs, outputs), used as x w; `save::Reader::pytorch` transposes those in its files |
//! | weight of [`Conv1d`], [`ConvTranspose1d`] and their like, [`Embedding`], norms; order of gates; biases | | the same |
//! | names | `hidden.weight`, `hidden.bias`, `norm.running_mean`, .. | the same |
//! | `model.train()`, `model.eval()` | state of the model | [`Mode`], an argument of dropout and batch norm |
//! | running statistics of [`BatchNorm`] | buffers of the module, changed by its forward pass | [buffers](crate::Params::add_buffer) of the parameters, changed by [`Mode::update_buffers`] |
//! | `nn.Sequential` | | a tuple, see [`Layer`] |
//! | `nn.ReLU()(x)`, `F.relu(x)` | | `x.relu()`; in a tuple [`Relu`] |

mod attention;
mod conv;
mod layer;
mod linear;
mod mode;
mod norm;
mod recurrent;

pub use attention::{AttentionMask, KeyValueCache, MultiHeadAttention, attention};
pub use conv::{Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d};
pub use layer::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d, Flatten, Gelu,
    Layer, Map, MaxPool1d, MaxPool2d, Relu, Sigmoid, Silu, Softplus, Tanh, Upsample1d, Upsample2d,
};
pub use linear::{AffineInput, Embedding, Indices, Linear};
pub use mode::Mode;
pub use norm::{BatchNorm, Dropout, GroupNorm, LayerNorm, RmsNorm};
pub use recurrent::{Gru, GruCell, Lstm, LstmCell, Rnn, RnnCell};

use ndarray::{Array, Dimension, Ix1, Ix2};
use rand::Rng;

use crate::kit::init;
use crate::number::Scalar;
use crate::params::{Param, Params};
use crate::tensor::Tensor;

/// Adds `name.part`, uniform on ±1/√`fan_in`: PyTorch's default for weights and biases of linear layers and
/// convolutions. (For weights PyTorch calls `kaiming_uniform_(a=√5)`, which has the same bound: He et al. 2015 with the
/// gain √(2/(1 + a²)) = 1/√3.)
#[track_caller]
fn add_uniform<F: Scalar, D: Dimension>(
    params: &mut Params<F>,
    name: &str,
    part: &str,
    shape: D,
    fan_in: usize,
    rng: &mut (impl Rng + ?Sized),
) -> Param<D> {
    params.add(format!("{name}.{part}"), uniform(shape, fan_in, rng))
}

/// Same as [`add_uniform`], for the matrix (inputs, outputs) of a linear map.
#[track_caller]
fn add_matrix<F: Scalar>(
    params: &mut Params<F>,
    name: &str,
    part: &str,
    shape: Ix2,
    fan_in: usize,
    rng: &mut (impl Rng + ?Sized),
) -> Param<Ix2> {
    params.add_linear(format!("{name}.{part}"), uniform(shape, fan_in, rng))
}

#[track_caller]
fn uniform<F: Scalar, D: Dimension>(shape: D, fan_in: usize, rng: &mut (impl Rng + ?Sized)) -> Array<F, D> {
    let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
    init::uniform(shape, -bound, bound, rng)
}

/// One number for each channel (axis 1) as a tensor that broadcasts over all other axes of `like`.
fn by_channel<'t, F: Scalar, D: Dimension>(numbers: Tensor<'t, F, Ix1>, like: Tensor<'t, F, D>) -> Tensor<'t, F, D> {
    let mut shape = like.dim();
    shape.slice_mut().fill(1);
    shape[1] = numbers.len();
    numbers.reshape(shape)
}
