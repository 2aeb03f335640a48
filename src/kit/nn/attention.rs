//! Attention, as a function and as a layer with several heads.

use ndarray::{Array1, ArrayView, Axis, Dimension, Ix1, Ix2, Ix3, s};
use rand::Rng;

use super::linear::affine;
use super::{Layer, Linear, Mode};
use crate::kit::init;
use crate::number::Scalar;
use crate::params::{Param, Params, ParamsOn};
use crate::tape::SINK;
use crate::tensor::Tensor;

/// Scaled dot-product attention: softmax(q kᵀ / √d) v for each index of the first axis (Vaswani et
/// al. 2017, "Attention is all you need", arXiv:1706.03762, equation 1). Queries (b, t, d), keys
/// (b, u, d) and values (b, u, e) give (b, t, e).
///
/// With `causal`, query i sees only the keys 0..=i.
///
/// ```
/// use wengert::nn::attention;
/// use wengert::{Tape, ndarray::array};
///
/// let tape = Tape::new();
/// let data = array![[[0.0], [1.0], [2.0]]];
/// let x = tape.tensor(&data);
/// // With `causal` the first query sees only the first key; else its scores, all 0, weigh all values alike.
/// assert_eq!(attention(x, x, x, true).at([0, 0, 0]).value(), 0.0);
/// assert_eq!(attention(x, x, x, false).at([0, 0, 0]).value(), 1.0);
/// ```
///
/// # Panics
///
/// If the shapes do not fit or the tapes differ.
#[track_caller]
pub fn attention<'t, F: Scalar>(
    queries: Tensor<'t, F, Ix3>,
    keys: Tensor<'t, F, Ix3>,
    values: Tensor<'t, F, Ix3>,
    causal: bool,
) -> Tensor<'t, F, Ix3> {
    let (q, k, v) = (queries.shape(), keys.shape(), values.shape());
    assert!(
        q[0] == k[0] && k[0] == v[0] && q[2] == k[2] && k[1] == v[1],
        "attention: queries of shape {q:?}, keys {k:?} and values {v:?} do not fit: it takes (b, t, d), (b, u, d) \
         and (b, u, e)"
    );
    let scale = F::lit(q[2].max(1) as f64).sqrt().recip();
    let mut scores = (queries * scale).matmul(keys.swap_axes(1, 2));
    if causal {
        scores += causal_mask(queries, q[1], k[1]);
    }
    scores.softmax(Axis(2)).matmul(values)
}

/// The causal mask: a large negative number where the key (column) comes after the query (row), else 0. (Not -∞, at
/// which a search for the first number that is not finite would stop.)
fn causal_mask<'t, F: Scalar>(like: Tensor<'t, F, Ix3>, queries: usize, keys: usize) -> Tensor<'t, F, Ix2> {
    let hidden = F::min_value() * F::lit(0.25);
    let mask = &*like
        .tape()
        .arena()
        .alloc_slice_fill_with(queries * keys, |i| if i % keys > i / keys { hidden } else { F::zero() });
    let values = ArrayView::from_shape((queries, keys), mask).expect("a number for each pair");
    Tensor::over(like.tape(), values, mask, SINK)
}

/// Attention in several subspaces at once (Vaswani et al. 2017, section 3.2.2). Queries, keys and values are affine
/// maps of the input. Each head applies [`attention`] to its part of them. The results of the heads, side by side, are
/// the input of another affine map.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use wengert::nn::MultiHeadAttention;
/// use wengert::{Params, Tape, ndarray::Array3};
///
/// let (mut params, mut rng) = (Params::<f32>::new(), StdRng::seed_from_u64(0));
/// let attention = MultiHeadAttention::new(&mut params, "attention", 32, 4, &mut rng).causal();
/// let (tape, tokens) = (Tape::new(), Array3::<f32>::zeros((8, 16, 32)));
/// let p = params.on(&tape);
/// assert_eq!(attention.forward(p, p.constant(&tokens)).shape(), [8, 16, 32]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiHeadAttention {
    /// `name.in_proj_weight` of shape (size, 3 size): the maps to queries, keys and values, side by side.
    pub in_weight: Param<Ix2>,
    /// `name.in_proj_bias`.
    pub in_bias: Param<Ix1>,
    /// `name.out_proj`.
    pub out: Linear,
    heads: usize,
    causal: bool,
}

impl MultiHeadAttention {
    /// Adds the weights for tokens of `size` numbers. As in PyTorch, the weights of the input are uniform by
    /// [Glorot](init::glorot_uniform), those of the output are uniform on ±1/√size, and both biases are 0.
    ///
    /// # Panics
    ///
    /// If the heads do not divide the size, or there is a parameter of the same name.
    #[track_caller]
    pub fn new<F: Scalar>(
        params: &mut Params<F>,
        name: &str,
        size: usize,
        heads: usize,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        assert!(
            heads > 0 && size.is_multiple_of(heads),
            "{name}: {heads} heads do not divide tokens of {size} numbers evenly"
        );
        let in_weight = params.add(format!("{name}.in_proj_weight"), init::glorot_uniform((size, 3 * size), rng));
        let in_bias = params.add(format!("{name}.in_proj_bias"), Array1::zeros(3 * size));
        let out = format!("{name}.out_proj");
        let mut out_proj = Linear::without_bias(params, &out, size, size, rng);
        out_proj.bias = Some(params.add(format!("{out}.bias"), Array1::zeros(size)));
        Self { in_weight, in_bias, out: out_proj, heads, causal: false }
    }

    /// Makes [`forward`](Self::forward) causal: each token sees only itself and the tokens before it.
    pub fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    /// Self-attention among the tokens of each sequence, (samples, tokens, size).
    ///
    /// # Panics
    ///
    /// If the length of the last axis is not `size`.
    #[track_caller]
    pub fn forward<'t, F: Scalar>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, Ix3>) -> Tensor<'t, F, Ix3> {
        let [queries, keys, values] = self.split(affine(p, x, self.in_weight, Some(self.in_bias)));
        self.join(p, attention(queries, keys, values, self.causal), x.shape())
    }

    /// Attention of the tokens of one sequence, (samples, tokens, size), to those of another: queries come from `x`,
    /// keys and values from `memory`. This attention is never causal.
    ///
    /// # Panics
    ///
    /// If the length of a last axis is not `size`, or the numbers of samples differ.
    #[track_caller]
    pub fn forward_to<'t, F: Scalar>(
        &self,
        p: ParamsOn<'t, '_, F>,
        x: Tensor<'t, F, Ix3>,
        memory: Tensor<'t, F, Ix3>,
    ) -> Tensor<'t, F, Ix3> {
        let size = x.shape()[2];
        let of = |x: Tensor<'t, F, Ix3>, from: usize, to: usize| {
            let (w, b) = (p.get(self.in_weight), p.get(self.in_bias));
            let rows = x.reshape((x.shape()[0] * x.shape()[1], x.shape()[2]));
            let y = rows.affine(w.slice(s![.., from..to]), b.slice(s![from..to]));
            y.reshape((x.shape()[0], x.shape()[1], to - from))
        };
        let [queries] = self.split(of(x, 0, size));
        let [keys, values] = self.split(of(memory, size, 3 * size));
        self.join(p, attention(queries, keys, values, false), x.shape())
    }

    /// (samples, tokens, N size) as N tensors (samples · heads, tokens, size / heads).
    fn split<'t, F: Scalar, const N: usize>(&self, x: Tensor<'t, F, Ix3>) -> [Tensor<'t, F, Ix3>; N] {
        let (samples, tokens, width) = x.dim().into_pattern();
        let part = width / N / self.heads;
        let parts = x.reshape((samples, tokens, N, self.heads, part));
        std::array::from_fn(|i| {
            let heads = parts.index_axis(Axis(2), i).swap_axes(1, 2);
            heads.reshape((samples * self.heads, tokens, part))
        })
    }

    /// The affine map of the heads' results, side by side.
    #[track_caller]
    fn join<'t, F: Scalar>(
        &self,
        p: ParamsOn<'t, '_, F>,
        x: Tensor<'t, F, Ix3>,
        shape: &[usize],
    ) -> Tensor<'t, F, Ix3> {
        let &[samples, tokens, size] = shape else { unreachable!("three axes have three lengths") };
        let heads = x.reshape((samples, self.heads, tokens, size / self.heads)).swap_axes(1, 2);
        self.out.forward(p, heads.reshape((samples, tokens, size)))
    }
}

impl<F: Scalar> Layer<F, Ix3> for MultiHeadAttention {
    type Out = Ix3;
    #[track_caller]
    fn forward<'t>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, Ix3>, _: &mut Mode<F>) -> Tensor<'t, F, Ix3> {
        self.forward(p, x)
    }
}
