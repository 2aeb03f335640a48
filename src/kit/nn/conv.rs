//! Convolutional layers: [`Conv1d`], [`Conv2d`] and the transposed ones, [`ConvTranspose1d`], [`ConvTranspose2d`].

use ndarray::{Ix1, Ix3, Ix4};
use rand::Rng;

use super::{Layer, Mode, add_uniform, by_channel};
use crate::number::Scalar;
use crate::params::{Param, Params, ParamsOn};
use crate::sealed::Seal;
use crate::tensor::{Conv, Lengths, Tensor};

macro_rules! convolutions {
    ($(
        $(#[doc = $doc:literal])+
        $Name:ident $method:ident $N:literal $D:ident [$($axis:ident)+]
        |$inputs:ident, $outputs:ident| ($first:ident, $second:ident / groups) $options:literal
    )+) => { $(
        $( #[doc = $doc] )+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $Name {
            #[doc = concat!(
                "`name.weight`, of shape (", stringify!($first), ", ", stringify!($second), " / groups, size of the kernel)."
            )]
            pub weight: Param<$D>,
            /// `name.bias`, of shape (outputs).
            pub bias: Option<Param<Ix1>>,
            #[doc = $options]
            pub conv: Conv<$N>,
        }

        impl $Name {
            /// Adds weight and bias, both uniform on ±1/√n, where n is the number of weights along all axes but the first
            /// (PyTorch's default).
            ///
            /// # Panics
            ///
            /// If the groups do not divide inputs and outputs, or there is a parameter of the same
            /// name.
            #[track_caller]
            pub fn new<F: Scalar>(
                params: &mut Params<F>,
                name: &str,
                $inputs: usize,
                $outputs: usize,
                size: impl Lengths<$N>,
                conv: Conv<$N>,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                let mut params = params.attempt();
                let layer = Self::without_bias(&mut params, name, $inputs, $outputs, size, conv, rng);
                let fan_in = params.view(layer.weight).len() / $first.max(1);
                let bias = add_uniform(&mut params, name, "bias", Ix1($outputs), fan_in, rng);
                params.keep();
                Self { bias: Some(bias), ..layer }
            }

            /// Same as [`new`](Self::new), but without a bias, which a norm after the layer makes superfluous.
            ///
            /// # Panics
            ///
            /// If the groups do not divide inputs and outputs, or there is a parameter of the same
            /// name.
            #[track_caller]
            pub fn without_bias<F: Scalar>(
                params: &mut Params<F>,
                name: &str,
                $inputs: usize,
                $outputs: usize,
                size: impl Lengths<$N>,
                conv: Conv<$N>,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                let groups = conv.group_count();
                assert!(
                    $inputs % groups == 0 && $outputs % groups == 0,
                    "{name}: {} inputs and {} outputs do not split into {groups} groups",
                    $inputs,
                    $outputs
                );
                let [$($axis),+] = size.lengths(Seal);
                let fan_in = $second / groups $( * $axis )+;
                let shape = $D($first, $second / groups, $($axis),+);
                Self { weight: add_uniform(params, name, "weight", shape, fan_in, rng), bias: None, conv }
            }

            /// The convolution plus the bias of each output.
            ///
            /// # Panics
            ///
            #[doc = concat!("If the input does not fit the weight, see [`Tensor::", stringify!($method), "`].")]
            #[track_caller]
            pub fn forward<'t, F: Scalar>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, $D>) -> Tensor<'t, F, $D> {
                let y = x.$method(p.get(self.weight), self.conv);
                match self.bias {
                    Some(bias) => y + by_channel(p.get(bias), y),
                    None => y,
                }
            }
        }

        impl<F: Scalar> Layer<F, $D> for $Name {
            type Out = $D;
            #[track_caller]
            fn forward<'t>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, $D>, _: &mut Mode<F>) -> Tensor<'t, F, $D> {
                self.forward(p, x)
            }
        }
    )+ };
}
convolutions! {
    /// A convolution of signals of shape (samples, channels, length): [`Tensor::conv1d`].
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::Conv1d;
    /// use wengert::{Conv, Params, Tape, ndarray::Array3};
    ///
    /// let (mut params, mut rng) = (Params::<f32>::new(), StdRng::seed_from_u64(0));
    /// let layer = Conv1d::new(&mut params, "conv", 2, 6, 3, Conv::new().dilation(2), &mut rng);
    /// let (tape, signals) = (Tape::new(), Array3::<f32>::zeros((4, 2, 20)));
    /// let p = params.on(&tape);
    /// assert_eq!(layer.forward(p, p.constant(&signals)).shape(), [4, 6, 16]);
    /// ```
    Conv1d conv1d 1 Ix3 [size] |inputs, outputs| (outputs, inputs / groups)
        "Stride, padding, dilation and groups."
    /// A convolution of images of shape (samples, channels, height, width): [`Tensor::conv2d`].
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::Conv2d;
    /// use wengert::{Conv, Params, Tape, ndarray::Array4};
    ///
    /// let (mut params, mut rng) = (Params::<f32>::new(), StdRng::seed_from_u64(0));
    /// let layer = Conv2d::new(&mut params, "conv", 3, 16, [3, 5], Conv::new().padding([1, 2]), &mut rng);
    /// let (tape, images) = (Tape::new(), Array4::<f32>::zeros((4, 3, 28, 28)));
    /// let p = params.on(&tape);
    /// assert_eq!(layer.forward(p, p.constant(&images)).shape(), [4, 16, 28, 28]);
    /// ```
    Conv2d conv2d 2 Ix4 [rows columns] |inputs, outputs| (outputs, inputs / groups)
        "Stride, padding, dilation and groups."
    /// A transposed convolution of signals of shape (samples, channels, length): [`Tensor::conv_transpose1d`].
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::ConvTranspose1d;
    /// use wengert::{Conv, Params, Tape};
    ///
    /// let (mut params, mut rng) = (Params::<f32>::new(), StdRng::seed_from_u64(0));
    /// let double = Conv::new().stride(2).padding(1).output_padding(1);
    /// let layer = ConvTranspose1d::new(&mut params, "up", 6, 2, 3, double, &mut rng);
    /// let tape = Tape::new();
    /// let p = params.on(&tape);
    /// assert_eq!(layer.forward(p, p.zeros((4, 6, 10))).shape(), [4, 2, 20]);
    /// ```
    ConvTranspose1d conv_transpose1d 1 Ix3 [size] |inputs, outputs| (inputs, outputs / groups)
        "Stride, padding, dilation, groups and output padding."
    /// A transposed convolution of images of shape (samples, channels, height, width), which makes them larger again:
    /// [`Tensor::conv_transpose2d`].
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::ConvTranspose2d;
    /// use wengert::{Conv, Params, Tape};
    ///
    /// let (mut params, mut rng) = (Params::<f32>::new(), StdRng::seed_from_u64(0));
    /// let double = Conv::new().stride(2).padding(1);
    /// let layer = ConvTranspose2d::new(&mut params, "up", 16, 3, 4, double, &mut rng);
    /// let tape = Tape::new();
    /// let p = params.on(&tape);
    /// assert_eq!(layer.forward(p, p.zeros((4, 16, 14, 14))).shape(), [4, 3, 28, 28]);
    /// ```
    ConvTranspose2d conv_transpose2d 2 Ix4 [rows columns] |inputs, outputs| (inputs, outputs / groups)
        "Stride, padding, dilation, groups and output padding."
}
