//! [`Layer`], chains of layers as tuples, and layers without parameters.

use ndarray::{Dimension, Ix2, Ix3, Ix4};

use super::Mode;
use crate::number::Scalar;
use crate::params::ParamsOn;
use crate::sealed::Seal;
use crate::tensor::{Interpolation, Lengths, Pool, Tensor};

/// Anything that maps a tensor of dimension `D` to one of dimension `Out`: the layers of this module, and tuples of
/// layers that run one after the other.
///
/// A tuple is a struct like any other: no box, no dynamic call.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use wengert::nn::{Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, Mode, Relu};
/// use wengert::{Conv, Params, Tape, ndarray::Array4};
///
/// let (mut params, rng) = (Params::<f32>::new(), &mut StdRng::seed_from_u64(0));
/// let net = (
///     Conv2d::new(&mut params, "conv", 1, 16, 3, Conv::new().padding(1), rng),
///     Relu,
///     MaxPool2d::new(2),
///     Flatten,
///     Dropout::new(0.2),
///     Linear::new(&mut params, "out", 16 * 4 * 4, 10, rng),
/// );
/// let (tape, images) = (Tape::new(), Array4::<f32>::zeros((32, 1, 8, 8)));
/// let p = params.on(&tape);
/// let logits = net.forward(p, p.constant(&images), &mut Mode::train(0));
/// assert_eq!(logits.shape(), [32, 10]);
/// ```
///
/// A [`Map`] makes a layer of a closure:
///
/// ```
/// # use wengert::nn::{Layer, Map, Mode};
/// # let tape = wengert::Tape::<f64>::new();
/// # let params = wengert::Params::new();
/// # let data = ndarray::array![1.0, 2.0];
/// # let p = params.on(&tape);
/// let half = Map::new(|x| x * 0.5);
/// assert_eq!(half.forward(p, p.constant(&data), &mut Mode::eval()).value(), ndarray::array![0.5, 1.0]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer for this input",
    note = "check the number of axes, and that all layers of a tuple have the number type of the parameters; a \
            closure becomes a layer by `Map::new`"
)]
pub trait Layer<F: Scalar, D: Dimension> {
    /// The dimension of the result.
    type Out: Dimension + 'static;

    /// The output of the layer. Layers that compute the same in training and evaluation also have a method of this name
    /// without `mode`.
    #[track_caller]
    fn forward<'t>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, D>, mode: &mut Mode<F>) -> Tensor<'t, F, Self::Out>;
}

/// Implements [`Layer`] for a tuple of the given layers and for each shorter tuple: a layer takes the output of the
/// layer before it.
macro_rules! chains {
    (@of $($Layer:ident($($Input:tt)+))+ => $Last:ident) => {
        impl<F: Scalar, D: Dimension + 'static, $($Layer: Layer<F, $($Input)+>),+> Layer<F, D> for ($($Layer,)+) {
            type Out = $Last::Out;
            #[track_caller]
            fn forward<'t>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, D>, mode: &mut Mode<F>) -> Tensor<'t, F, $Last::Out> {
                #[allow(non_snake_case)]
                let ($($Layer,)+) = self;
                $( let x = $Layer.forward(p, x, mode); )+
                x
            }
        }
    };
    (@from [$($Done:tt)*] $Last:ident) => {
        chains! { @of $($Done)* => $Last }
    };
    (@from [$($Done:tt)*] $Last:ident $Next:ident $($Rest:ident)*) => {
        chains! { @of $($Done)* => $Last }
        chains! { @from [$($Done)* $Next($Last::Out)] $Next $($Rest)* }
    };
    ($First:ident $($Rest:ident)*) => {
        chains! { @from [$First(D)] $First $($Rest)* }
    };
}
chains! { L1 L2 L3 L4 L5 L6 L7 L8 L9 L10 L11 L12 }

/// A layer in a box, so that a struct or a vector holds layers of several types:
///
/// ```
/// use ndarray::Ix2;
/// use rand::{SeedableRng, rngs::StdRng};
/// use wengert::nn::{Layer, Linear, Mode, Relu};
/// use wengert::Params;
///
/// let (mut params, rng) = (Params::<f64>::new(), &mut StdRng::seed_from_u64(0));
/// let mut net: Vec<Box<dyn Layer<f64, Ix2, Out = Ix2>>> = Vec::new();
/// for (i, sizes) in [2, 8, 8, 1].windows(2).enumerate() {
///     net.push(Box::new(Linear::new(&mut params, &format!("layer{i}"), sizes[0], sizes[1], rng)));
///     net.push(Box::new(Relu));
/// }
/// let tape = wengert::Tape::new();
/// let p = params.on(&tape);
/// assert_eq!(net.forward(p, p.ones((5, 2)), &mut Mode::eval()).shape(), [5, 1]);
/// ```
impl<F: Scalar, D: Dimension, L: Layer<F, D> + ?Sized> Layer<F, D> for Box<L> {
    type Out = L::Out;
    #[track_caller]
    fn forward<'t>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, D>, mode: &mut Mode<F>) -> Tensor<'t, F, L::Out> {
        (**self).forward(p, x, mode)
    }
}

/// Layers that run one after the other; none is the identity.
impl<F: Scalar, D: Dimension + 'static, L: Layer<F, D, Out = D>> Layer<F, D> for Vec<L> {
    type Out = D;
    #[track_caller]
    fn forward<'t>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, D>, mode: &mut Mode<F>) -> Tensor<'t, F, D> {
        // A loop, because a closure would hide the caller's line.
        let mut x = x;
        for layer in self {
            x = layer.forward(p, x, mode);
        }
        x
    }
}

/// Defines activations as layers; each is the tensor method of a row of the [table](crate::rules).
macro_rules! activations {
    ($($Name:ident $method:ident)+) => { $(
        #[doc = concat!("[`Tensor::", stringify!($method), "`] as a [`Layer`].")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $Name;

        impl<F: Scalar, D: Dimension + 'static> Layer<F, D> for $Name {
            type Out = D;
            fn forward<'t>(&self, _: ParamsOn<'t, '_, F>, x: Tensor<'t, F, D>, _: &mut Mode<F>) -> Tensor<'t, F, D> {
                x.$method()
            }
        }
    )+ };
}
activations! {
    Relu relu
    Gelu gelu
    Silu silu
    Tanh tanh
    Sigmoid sigmoid
    Softplus softplus
}

/// A function of tensors as a [`Layer`], for example an activation with a parameter: `Map::new(|x| x.elu(0.5))`.
#[derive(Clone, Copy)]
pub struct Map<G>(G);

impl<G> Map<G> {
    /// The layer of a function that keeps the number of axes.
    pub fn new<F: Scalar, D: Dimension>(function: G) -> Self
    where
        G: for<'t> Fn(Tensor<'t, F, D>) -> Tensor<'t, F, D>,
    {
        Self(function)
    }
}

impl<G> std::fmt::Debug for Map<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Map")
    }
}

impl<F: Scalar, D: Dimension + 'static, G> Layer<F, D> for Map<G>
where
    G: for<'t> Fn(Tensor<'t, F, D>) -> Tensor<'t, F, D>,
{
    type Out = D;
    #[track_caller]
    fn forward<'t>(&self, _: ParamsOn<'t, '_, F>, x: Tensor<'t, F, D>, _: &mut Mode<F>) -> Tensor<'t, F, D> {
        (self.0)(x)
    }
}

/// Joins all axes but the first: (samples, ..) becomes (samples, numbers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten;

impl<F: Scalar, D: Dimension + 'static> Layer<F, D> for Flatten {
    type Out = Ix2;
    #[track_caller]
    fn forward<'t>(&self, _: ParamsOn<'t, '_, F>, x: Tensor<'t, F, D>, _: &mut Mode<F>) -> Tensor<'t, F, Ix2> {
        let Some((&samples, rest)) = x.shape().split_first() else {
            panic!("Flatten: the input has no axes; its first one should be that of the samples");
        };
        x.reshape((samples, rest.iter().product()))
    }
}

/// Defines operations on signals and images as layers; a row has the argument of the operation, how it is kept, and docs.
macro_rules! window_layers {
    ($(
        $Name:ident $method:ident $D:ident ($argument:ident: $Argument:ty) -> $Kept:ty { $kept:expr }
        $(#[doc = $doc:literal])+
    )+) => { $(
        #[doc = concat!("[`Tensor::", stringify!($method), "`] as a [`Layer`].")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $Name($Kept);

        impl $Name {
            $( #[doc = $doc] )+
            #[track_caller]
            pub fn new($argument: $Argument) -> Self {
                Self($kept)
            }
        }

        impl<F: Scalar> Layer<F, $D> for $Name {
            type Out = $D;
            #[track_caller]
            fn forward<'t>(&self, _: ParamsOn<'t, '_, F>, x: Tensor<'t, F, $D>, _: &mut Mode<F>) -> Tensor<'t, F, $D> {
                x.$method(self.0)
            }
        }
    )+ };
}
window_layers! {
    MaxPool1d max_pool1d Ix3 (pool: impl Into<Pool<1>>) -> Pool<1> { pool.into() }
        /// A layer with these windows: their size, or a [`Pool`] with stride and padding.
        ///
        /// # Panics
        ///
        /// If the size is 0.
    MaxPool2d max_pool2d Ix4 (pool: impl Into<Pool<2>>) -> Pool<2> { pool.into() }
        /// A layer with these windows: their size `[rows, columns]`, one number for both, or a [`Pool`] with stride and padding.
        ///
        /// # Panics
        ///
        /// If a size is 0.
    AvgPool1d avg_pool1d Ix3 (pool: impl Into<Pool<1>>) -> Pool<1> { pool.into() }
        /// A layer with these windows: their size, or a [`Pool`] with stride and padding.
        ///
        /// # Panics
        ///
        /// If the size is 0.
    AvgPool2d avg_pool2d Ix4 (pool: impl Into<Pool<2>>) -> Pool<2> { pool.into() }
        /// A layer with these windows: their size `[rows, columns]`, one number for both, or a [`Pool`] with stride and padding.
        ///
        /// # Panics
        ///
        /// If a size is 0.
    AdaptiveMaxPool1d adaptive_max_pool1d Ix3 (size: impl Lengths<1>) -> [usize; 1] { size.lengths(Seal) }
        /// A layer whose result has this length, from signals of any length.
    AdaptiveMaxPool2d adaptive_max_pool2d Ix4 (size: impl Lengths<2>) -> [usize; 2] { size.lengths(Seal) }
        /// A layer whose result has this size, from images of any size: `[rows, columns]`, or one number for both.
    AdaptiveAvgPool1d adaptive_avg_pool1d Ix3 (size: impl Lengths<1>) -> [usize; 1] { size.lengths(Seal) }
        /// A layer whose result has this length, from signals of any length.
    AdaptiveAvgPool2d adaptive_avg_pool2d Ix4 (size: impl Lengths<2>) -> [usize; 2] { size.lengths(Seal) }
        /// A layer whose result has this size, from images of any size: `[rows, columns]`, or one number for both.
}

/// Defines upsampling by whole factors as layers.
macro_rules! upsamplings {
    ($($Name:ident $method:ident $N:literal $D:ident [$($axis:literal)+] $(#[doc = $doc:literal])*)+) => { $(
        #[doc = concat!("[`Tensor::", stringify!($method), "`] to a multiple of the size, as a [`Layer`].")]
        $( #[doc = $doc] )*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $Name {
            factor: [usize; $N],
            interpolation: Interpolation,
        }

        impl $Name {
            /// A layer whose result is longer than its input by a factor in each direction.
            ///
            /// # Panics
            ///
            /// If the factor is 0.
            #[track_caller]
            pub fn new(factor: impl Lengths<$N>, interpolation: Interpolation) -> Self {
                Self { factor: factor.at_least_one(stringify!($Name)), interpolation }
            }
        }

        impl<F: Scalar> Layer<F, $D> for $Name {
            type Out = $D;
            #[track_caller]
            fn forward<'t>(&self, _: ParamsOn<'t, '_, F>, x: Tensor<'t, F, $D>, _: &mut Mode<F>) -> Tensor<'t, F, $D> {
                x.$method([$(x.shape()[2 + $axis].saturating_mul(self.factor[$axis])),+], self.interpolation)
            }
        }
    )+ };
}
upsamplings! {
    Upsample1d upsample1d 1 Ix3 [0]
    ///
    /// ```
    /// use wengert::nn::{Layer, Mode, Upsample1d};
    /// use wengert::{Interpolation, Params, Tape, ndarray::array};
    ///
    /// let (params, tape) = (Params::<f64>::new(), Tape::new());
    /// let p = params.on(&tape);
    /// let double = Upsample1d::new(2, Interpolation::Linear);
    /// let y = double.forward(p, p.constant(array![[[0.0, 4.0]]]), &mut Mode::eval());
    /// assert_eq!(y.value(), array![[[0.0, 1.0, 3.0, 4.0]]]);
    /// ```
    Upsample2d upsample2d 2 Ix4 [0 1]
}
