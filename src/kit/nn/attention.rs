//! Attention, as a function and as a layer with several heads.

use ndarray::{Array1, Array3, ArrayBase, ArrayView, Axis, Data, Dimension, Ix1, Ix2, Ix3, IxDyn, s};
use rand::Rng;

use super::linear::affine;
use super::{Layer, Linear, Mode};
use crate::kit::init;
use crate::number::Scalar;
use crate::params::{Param, Params, ParamsOn};
use crate::tensor::Tensor;

/// Which keys a query sees: all of them, unless [`causal`](Self::causal), [`key_lengths`](Self::key_lengths) or
/// [`pairs`](Self::pairs) hide some. A query that sees no key has the result 0, and its gradient is 0.
/// What is hidden must be finite all the same: its weight is 0, and 0 · NaN is NaN.
///
/// ```
/// use wengert::nn::{AttentionMask, attention};
/// use wengert::{Tape, ndarray::array};
///
/// let tape = Tape::new();
/// let data = array![[[0.0], [1.0], [2.0]]];
/// let x = tape.tensor(&data);
/// // Of a sequence of three tokens the last one is padding.
/// let y = attention(x, x, x, &AttentionMask::new().key_lengths(&[2]));
/// assert_eq!(y.at([0, 0, 0]).value(), 0.5);
/// ```
#[derive(Clone, Debug, Default)]
pub struct AttentionMask<'a> {
    causal: bool,
    lengths: Option<&'a [usize]>,
    pairs: Option<ArrayView<'a, bool, IxDyn>>,
}

impl<'a> AttentionMask<'a> {
    /// A mask that hides nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides from each query the keys that come after it. The last query stands beside the last key: of t queries and u keys
    /// query i sees the keys j with j - i ≤ u - t, so that queries may be the end of a longer sequence.
    #[must_use]
    pub fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    /// Hides the keys from `lengths[b]` on in sample b, which are padding.
    #[doc(alias("key_padding_mask"))]
    #[must_use]
    pub fn key_lengths(self, lengths: &'a [usize]) -> Self {
        Self { lengths: Some(lengths), ..self }
    }

    /// Hides the pairs of a query and a key at which `seen` is false; its shape broadcasts to (samples, queries, keys).
    #[doc(alias("attn_mask"))]
    #[must_use]
    pub fn pairs<D: Dimension>(self, seen: &'a ArrayBase<impl Data<Elem = bool>, D>) -> Self {
        Self { pairs: Some(seen.view().into_dyn()), ..self }
    }

    /// softmax(scores) along the last axis, (samples · heads, queries, keys), over the keys that are seen.
    #[track_caller]
    fn softmax<'t, F: Scalar>(&self, scores: Tensor<'t, F, Ix3>, heads: usize) -> Tensor<'t, F, Ix3> {
        let (rows, queries, keys) = scores.dim().into_pattern();
        let samples = rows / heads;
        if let Some(lengths) = self.lengths {
            assert!(
                lengths.len() == samples && lengths.iter().all(|&length| length <= keys),
                "attention: the lengths {lengths:?} are not one for each of {samples} samples of {keys} keys"
            );
        }
        let pairs = self.pairs.as_ref().map(|pairs| match pairs.broadcast((samples, queries, keys)) {
            Some(pairs) => pairs,
            None => panic!(
                "attention: a mask of shape {:?} does not broadcast to (samples, queries, keys) = {:?}",
                pairs.shape(),
                (samples, queries, keys)
            ),
        });
        if !self.causal && self.lengths.is_none() && pairs.is_none() {
            return scores.softmax(Axis(2));
        }
        scores.softmax_of(Axis(2), |place| {
            let (key, query, sample) = (place % keys, place / keys % queries, place / (keys * queries * heads));
            !(self.causal && key + queries > query + keys)
                && self.lengths.is_none_or(|lengths| key < lengths[sample])
                && pairs.is_none_or(|pairs| pairs[[sample, query, key]])
        })
    }
}

/// Scaled dot-product attention: softmax(q kᵀ / √d) v for each index of the first axis (Vaswani et
/// al. 2017, "Attention is all you need", arXiv:1706.03762, equation 1). Queries (b, t, d), keys
/// (b, u, d) and values (b, u, e) give (b, t, e). The softmax is over the keys that the query sees.
///
/// ```
/// use wengert::nn::{AttentionMask, attention};
/// use wengert::{Tape, ndarray::array};
///
/// let tape = Tape::new();
/// let data = array![[[0.0], [1.0], [2.0]]];
/// let x = tape.tensor(&data);
/// // The first query sees all values, and its scores, all 0, weigh them alike; or the first value only.
/// assert_eq!(attention(x, x, x, &AttentionMask::new()).at([0, 0, 0]).value(), 1.0);
/// assert_eq!(attention(x, x, x, &AttentionMask::new().causal()).at([0, 0, 0]).value(), 0.0);
/// ```
///
/// # Panics
///
/// If the shapes or the mask do not fit, or the tapes differ.
#[track_caller]
pub fn attention<'t, F: Scalar>(
    queries: Tensor<'t, F, Ix3>,
    keys: Tensor<'t, F, Ix3>,
    values: Tensor<'t, F, Ix3>,
    mask: &AttentionMask<'_>,
) -> Tensor<'t, F, Ix3> {
    attend([queries, keys, values], mask, 1)
}

/// [`attention`] of samples · heads queries, keys and values.
#[track_caller]
fn attend<'t, F: Scalar>(
    [queries, keys, values]: [Tensor<'t, F, Ix3>; 3],
    mask: &AttentionMask<'_>,
    heads: usize,
) -> Tensor<'t, F, Ix3> {
    let (q, k, v) = (queries.shape(), keys.shape(), values.shape());
    assert!(
        q[0] == k[0] && k[0] == v[0] && q[2] == k[2] && k[1] == v[1],
        "attention: queries of shape {q:?}, keys {k:?} and values {v:?} do not fit: it takes (b, t, d), (b, u, d) \
         and (b, u, e)"
    );
    let scale = F::lit(q[2].max(1) as f64).sqrt().recip();
    let scores = (queries * scale).matmul(keys.swap_axes(1, 2));
    mask.softmax(scores, heads).matmul(values)
}

/// The keys and values of the tokens that a causal [`MultiHeadAttention`] has seen, so that each new token is computed
/// once: see [`MultiHeadAttention::forward_cached`]. They are plain numbers, without derivatives.
#[derive(Clone, Debug)]
pub struct KeyValueCache<F> {
    /// Keys and values, each (samples · heads, room, size / heads), of which the first `tokens` rows are in use.
    numbers: [Array3<F>; 2],
    tokens: usize,
}

impl<F: Scalar> Default for KeyValueCache<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Scalar> KeyValueCache<F> {
    /// A cache of no token.
    pub fn new() -> Self {
        Self { numbers: [(); 2].map(|()| Array3::zeros((0, 0, 0))), tokens: 0 }
    }

    /// The number of tokens seen, in each sample.
    pub fn len(&self) -> usize {
        self.tokens
    }

    /// True if no token has been seen.
    pub fn is_empty(&self) -> bool {
        self.tokens == 0
    }

    /// Forgets all tokens and keeps the memory.
    pub fn clear(&mut self) {
        self.tokens = 0;
    }

    /// Appends tokens, (samples · heads, tokens, size / heads), and returns all of them as constants.
    #[track_caller]
    fn append<'t>(&mut self, new: [Tensor<'t, F, Ix3>; 2]) -> [Tensor<'t, F, Ix3>; 2] {
        let (rows, tokens, part) = new[0].dim().into_pattern();
        let (room, all) = (self.numbers[0].shape()[1], self.tokens + tokens);
        let fits = self.numbers[0].shape() == [rows, room, part];
        assert!(
            fits || self.tokens == 0,
            "forward_cached: {rows} rows (samples · heads) of {part} numbers do not continue a cache of {:?}; `clear` it, or \
             keep one for each layer and batch",
            self.numbers[0].shape()
        );
        if !fits || room < all {
            let kept = s![.., ..self.tokens, ..];
            self.numbers = std::array::from_fn(|i| {
                let mut larger = Array3::zeros((rows, (2 * room).max(all), part));
                if self.tokens > 0 {
                    larger.slice_mut(kept).assign(&self.numbers[i].slice(kept));
                }
                larger
            });
        }
        let place = s![.., self.tokens..all, ..];
        self.tokens = all;
        std::array::from_fn(|i| {
            self.numbers[i].slice_mut(place).assign(&new[i].value());
            new[i].tape().constant(self.numbers[i].slice(s![.., ..all, ..]).to_owned())
        })
    }
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
        let mut params = params.attempt();
        let in_weight =
            params.add_linear(format!("{name}.in_proj_weight"), init::glorot_uniform((size, 3 * size), rng));
        let in_bias = params.add(format!("{name}.in_proj_bias"), Array1::zeros(3 * size));
        let out = format!("{name}.out_proj");
        let mut out_proj = Linear::without_bias(&mut params, &out, size, size, rng);
        out_proj.bias = Some(params.add(format!("{out}.bias"), Array1::zeros(size)));
        params.keep();
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
        let parts = self.split(affine(p, x, self.in_weight, Some(self.in_bias)));
        self.join(p, attend(parts, &self.mask(), self.heads), x.shape())
    }

    /// [`forward`](Self::forward) of the tokens that come after those in the cache, to which they are added: the same result
    /// as that of the whole sequence for these tokens, but for rounding. A sequence that grows token by token takes as many
    /// steps of affine maps as it has tokens, instead of a number that grows with its square.
    ///
    /// The tokens before are constants: to differentiate with respect to the weights, use `forward` of the whole.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::{KeyValueCache, MultiHeadAttention};
    /// use wengert::{Params, Tape, ndarray::Array3};
    ///
    /// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
    /// let attention = MultiHeadAttention::new(&mut params, "attention", 8, 2, &mut rng).causal();
    /// let tokens = Array3::from_shape_fn((1, 3, 8), |(_, i, j)| ((8 * i + j) as f64).sin());
    /// let (mut tape, mut cache) = (Tape::new(), KeyValueCache::new());
    /// let mut last = 0.0;
    /// for i in 0..3 {
    ///     tape.clear();
    ///     let p = params.frozen_on(&tape);
    ///     let token = p.constant(tokens.slice(ndarray::s![.., i..=i, ..]));
    ///     last = attention.forward_cached(p, token, &mut cache).at([0, 0, 5]).value();
    /// }
    /// tape.clear();
    /// let p = params.frozen_on(&tape);
    /// let whole = attention.forward(p, p.constant(&tokens)).at([0, 2, 5]).value();
    /// assert!((last - whole).abs() < 1e-14);
    /// ```
    ///
    /// # Panics
    ///
    /// If the attention is not [`causal`](Self::causal), the length of the last axis is not `size`, or the cache holds
    /// another number of samples.
    #[track_caller]
    pub fn forward_cached<'t, F: Scalar>(
        &self,
        p: ParamsOn<'t, '_, F>,
        x: Tensor<'t, F, Ix3>,
        cache: &mut KeyValueCache<F>,
    ) -> Tensor<'t, F, Ix3> {
        assert!(
            self.causal,
            "forward_cached: tokens of an attention that is not causal see those that come later; make it `causal`"
        );
        let [queries, keys, values] = self.split(affine(p, x, self.in_weight, Some(self.in_bias)));
        let [keys, values] = cache.append([keys, values]);
        self.join(p, attend([queries, keys, values], &self.mask(), self.heads), x.shape())
    }

    fn mask(&self) -> AttentionMask<'static> {
        AttentionMask { causal: self.causal, ..AttentionMask::new() }
    }

    /// Attention of the tokens of one sequence, (samples, tokens, size), to those of another or, with a mask, of the same:
    /// queries come from `x`, keys and values from `memory`. The mask alone says what is hidden, also if this attention is
    /// [`causal`](Self::causal).
    ///
    /// # Panics
    ///
    /// If the length of a last axis is not `size`, the numbers of samples differ, or the mask does not fit.
    #[track_caller]
    pub fn forward_to<'t, F: Scalar>(
        &self,
        p: ParamsOn<'t, '_, F>,
        x: Tensor<'t, F, Ix3>,
        memory: Tensor<'t, F, Ix3>,
        mask: &AttentionMask<'_>,
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
        self.join(p, attend([queries, keys, values], mask, self.heads), x.shape())
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
