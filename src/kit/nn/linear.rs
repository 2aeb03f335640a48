//! Layers of one matrix of weights: [`Linear`] multiplies by the matrix, [`Embedding`] looks up rows.

use ndarray::{ArrayBase, ArrayView, ArrayView1, Axis, Data, Dimension, Ix1, Ix2};
use rand::Rng;

use super::{Layer, Mode, add_matrix, add_uniform};
use crate::kit::init;
use crate::number::Scalar;
use crate::params::{Param, Params, ParamsOn};
use crate::sealed::Seal;
use crate::tensor::{Jet, Tensor};

/// An affine map y = x w + b of the last axis.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use wengert::nn::Linear;
/// use wengert::{Params, Tape, ndarray::Array3};
///
/// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
/// let layer = Linear::new(&mut params, "layer", 5, 3, &mut rng);
/// let (tape, sequences) = (Tape::new(), Array3::<f64>::zeros((2, 7, 5)));
/// let p = params.on(&tape);
/// assert_eq!(layer.forward(p, p.constant(&sequences)).shape(), [2, 7, 3]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// `name.weight`, of shape (inputs, outputs).
    pub weight: Param<Ix2>,
    /// `name.bias`, of shape (outputs).
    pub bias: Option<Param<Ix1>>,
}

impl Linear {
    /// Adds weight and bias, both uniform on ±1/√inputs (PyTorch's default).
    ///
    /// # Panics
    ///
    /// If there is a parameter of the same name.
    #[track_caller]
    pub fn new<F: Scalar>(
        params: &mut Params<F>,
        name: &str,
        inputs: usize,
        outputs: usize,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let mut params = params.attempt();
        let layer = Self::without_bias(&mut params, name, inputs, outputs, rng);
        let bias = add_uniform(&mut params, name, "bias", Ix1(outputs), inputs, rng);
        params.keep();
        Self { bias: Some(bias), ..layer }
    }

    /// Same as [`new`](Self::new), but without a bias.
    ///
    /// # Panics
    ///
    /// If there is a parameter of the same name.
    #[track_caller]
    pub fn without_bias<F: Scalar>(
        params: &mut Params<F>,
        name: &str,
        inputs: usize,
        outputs: usize,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        Self { weight: add_matrix(params, name, "weight", Ix2(inputs, outputs), inputs, rng), bias: None }
    }

    /// y = x w + b: (.., inputs) gives (.., outputs), for a tensor or a [`Jet`].
    ///
    /// # Panics
    ///
    /// If the last axis of `x` and the first axis of the weight differ in length.
    #[track_caller]
    pub fn forward<'t, F: Scalar, X: AffineInput<'t, F>>(&self, p: ParamsOn<'t, '_, F>, x: X) -> X {
        x.affine_by(p, self.weight, self.bias, Seal)
    }
}

/// The input of [`Linear::forward`]: a tensor, or a [`Jet`], whose derivatives have no bias.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input of a linear layer over `{F}`",
    note = "it takes a tensor or a jet of the parameters' number type; data becomes one by `p.constant(&array)`"
)]
pub trait AffineInput<'t, F: Scalar> {
    #[doc(hidden)]
    fn affine_by(self, p: ParamsOn<'t, '_, F>, weight: Param<Ix2>, bias: Option<Param<Ix1>>, _: Seal) -> Self;
}

impl<'t, F: Scalar, D: Dimension> AffineInput<'t, F> for Tensor<'t, F, D> {
    #[track_caller]
    fn affine_by(self, p: ParamsOn<'t, '_, F>, weight: Param<Ix2>, bias: Option<Param<Ix1>>, _: Seal) -> Self {
        affine(p, self, weight, bias)
    }
}

impl<'t, F: Scalar, D: Dimension> AffineInput<'t, F> for Jet<'t, F, D> {
    #[track_caller]
    fn affine_by(self, p: ParamsOn<'t, '_, F>, weight: Param<Ix2>, bias: Option<Param<Ix1>>, _: Seal) -> Self {
        self.layer(|x| affine(p, x, weight, bias), |x| affine(p, x, weight, None))
    }
}

impl<F: Scalar, D: Dimension + 'static> Layer<F, D> for Linear {
    type Out = D;
    #[track_caller]
    fn forward<'t>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, D>, _: &mut Mode<F>) -> Tensor<'t, F, D> {
        self.forward(p, x)
    }
}

/// x w + b along the last axis.
#[track_caller]
pub(super) fn affine<'t, F: Scalar, D: Dimension>(
    p: ParamsOn<'t, '_, F>,
    x: Tensor<'t, F, D>,
    weight: Param<Ix2>,
    bias: Option<Param<Ix1>>,
) -> Tensor<'t, F, D> {
    let w = p.get(weight);
    let (inputs, outputs) = w.dim().into_pattern();
    let Some((_, leading)) = x.shape().split_last().filter(|(last, _)| **last == inputs) else {
        panic!(
            "{}: it takes tensors whose last axis has length {inputs}, and this one has shape {:?}; the weight has \
             shape {:?}",
            p.params().name(weight),
            x.shape(),
            w.shape()
        );
    };
    let rows: usize = leading.iter().product();
    let mut shape = x.dim();
    shape[leading.len()] = outputs;
    let x = x.reshape((rows, inputs));
    let y = match bias {
        Some(bias) => x.affine(w, p.get(bias)),
        None => x.dot(w),
    };
    y.reshape(shape)
}

/// Indices of rows: a slice, a vector, or an array of any dimension.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of indices",
    note = "pass a slice, a vector or an array of `usize`"
)]
pub trait Indices {
    /// The dimension of the array.
    type Dim: Dimension;
    #[doc(hidden)]
    fn indices(&self, _: Seal) -> ArrayView<'_, usize, Self::Dim>;
}

macro_rules! slices {
    ($([$($generics:tt)*] $Slice:ty)+) => { $(
        impl<$($generics)*> Indices for $Slice {
            type Dim = Ix1;
            fn indices(&self, _: Seal) -> ArrayView1<'_, usize> {
                ArrayView::from(&self[..])
            }
        }
    )+ };
}
slices! { [] [usize] [] Vec<usize> [const N: usize] [usize; N] }

impl<S: Data<Elem = usize>, D: Dimension> Indices for ArrayBase<S, D> {
    type Dim = D;
    fn indices(&self, _: Seal) -> ArrayView<'_, usize, D> {
        self.view()
    }
}

/// A table of vectors, looked up by index.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use wengert::nn::Embedding;
/// use wengert::{Params, Tape, ndarray::array};
///
/// let (mut params, mut rng) = (Params::<f32>::new(), StdRng::seed_from_u64(0));
/// let letters = Embedding::new(&mut params, "letters", 27, 8, &mut rng);
/// let tape = Tape::new();
/// let p = params.on(&tape);
/// assert_eq!(letters.forward(p, &[3, 0, 26]).shape(), [3, 8]);
/// assert_eq!(letters.forward(p, &array![[1, 2], [2, 3], [3, 4]]).shape(), [3, 2, 8]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// `name.weight`, of shape (entries, size).
    pub weight: Param<Ix2>,
    /// The index whose vector gets no gradient, if there is one: see [`padding`](Self::padding).
    pub padding: Option<usize>,
}

impl Embedding {
    /// Adds a table of `entries` vectors of `size` numbers, standard normal (PyTorch's default).
    ///
    /// # Panics
    ///
    /// If there is a parameter of the same name.
    #[track_caller]
    pub fn new<F: Scalar>(
        params: &mut Params<F>,
        name: &str,
        entries: usize,
        size: usize,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let weight = params.add(format!("{name}.weight"), init::normal((entries, size), 0.0, 1.0, rng));
        Self { weight, padding: None }
    }

    /// Makes an index one that fills up rows of unequal length: its vector is set to zeros, and lookups give it no gradient
    /// (PyTorch's `padding_idx`).
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::Embedding;
    /// use wengert::{Params, Tape, ndarray::array};
    ///
    /// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
    /// let words = Embedding::new(&mut params, "words", 3, 2, &mut rng).padding(&mut params, 0);
    /// let mut tape = Tape::new();
    /// let sentences = array![[1, 2, 1], [2, 0, 0]];
    /// let (_, grad) = tape.value_and_grad(&params, |p| words.forward(p, &sentences).sum());
    /// assert_eq!(grad, [0.0, 0.0, 2.0, 2.0, 2.0, 2.0]);
    /// assert_eq!(params.values()[..2], [0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the index is not below the number of entries, or `params` are not those of the table.
    #[track_caller]
    #[must_use]
    pub fn padding<F: Scalar>(self, params: &mut Params<F>, index: usize) -> Self {
        let mut table = params.view_mut(self.weight);
        assert!(
            index < table.nrows(),
            "Embedding::padding: index {index} is not below the number of entries, {}",
            table.nrows()
        );
        table.row_mut(index).fill(F::zero());
        Self { padding: Some(index), ..self }
    }

    /// The vector of each index, along a new last axis. The adjoints of a vector that is looked up repeatedly add up.
    ///
    /// # Panics
    ///
    /// If an index is not below the number of entries.
    #[track_caller]
    pub fn forward<'t, F: Scalar, I: Indices + ?Sized>(
        &self,
        p: ParamsOn<'t, '_, F>,
        indices: &I,
    ) -> Tensor<'t, F, <I::Dim as Dimension>::Larger> {
        let (table, indices) = (p.get(self.weight), indices.indices(Seal));
        let mut shape = <I::Dim as Dimension>::Larger::zeros(indices.ndim() + 1);
        shape.slice_mut()[..indices.ndim()].copy_from_slice(indices.shape());
        shape.slice_mut()[indices.ndim()] = table.shape()[1];
        let rows = match indices.as_slice() {
            Some(indices) => table.select(Axis(0), indices),
            None => table.select(Axis(0), &indices.iter().copied().collect::<Vec<_>>()),
        };
        let rows = rows.reshape(shape.clone());
        let Some(padding) = self.padding else { return rows };
        let trained = &*p.tape().arena().alloc_slice_fill_iter(indices.iter().map(|index| *index != padding));
        shape.slice_mut()[indices.ndim()] = 1;
        let trained = ArrayView::from_shape(shape, trained).expect("one for each index");
        rows.keep_where(&trained, rows.detach())
    }
}
