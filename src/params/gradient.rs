//! [`ParamsGradient`]: the gradient of a loss with respect to all weights of a model.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use super::store::Params;
use crate::number::Scalar;

/// The gradient with respect to all weights of a model, in the order of [`Params::values`]: a slice that knows the model.
///
/// A `&ParamsGradient` stands wherever a `&[F]` is expected. An [optimiser](crate::Optimizer) that is to move the weights
/// of one model by the gradient of another panics, even if both have as many weights:
///
/// ```should_panic
/// use wengert::{Optimizer, Params, Sgd, Tape};
///
/// let mut a = Params::new();
/// let w = a.add("w", ndarray::array![1.0, 2.0]);
/// let mut b = Params::new();
/// b.add("v", ndarray::array![3.0, 4.0]);
/// let mut tape = Tape::new();
/// let (_, gradient_of_a) = tape.value_and_grad(&a, |p| p.get(w).square().sum());
/// Sgd::new(0.1).step(&mut b, gradient_of_a);
/// ```
///
/// Plain numbers are a gradient of any model: an optimiser takes a `&[F]`, a `&Vec<F>` or a `&[F; N]` as it is.
#[derive(Clone)]
pub struct ParamsGradient<'a, F: Scalar = f64> {
    numbers: Cow<'a, [F]>,
    /// The stamp of the model's weights, if it is known.
    of: Option<u64>,
}

impl<'a, F: Scalar> ParamsGradient<'a, F> {
    pub(super) fn new(params: &Params<F>, numbers: &'a [F]) -> Self {
        Self { numbers: Cow::Borrowed(numbers), of: Some(params.weights_stamp()) }
    }

    /// Makes this the gradient of the same model as another one, of as many numbers, and returns these for writing.
    ///
    /// `None` leaves the model open.
    pub(crate) fn reset(&mut self, of: Option<u64>, len: usize) -> &mut [F] {
        self.of = of;
        let numbers = self.numbers.to_mut();
        numbers.resize(len, F::zero());
        numbers
    }

    /// The stamp of the model's weights, if it is known.
    pub(crate) fn of(&self) -> Option<u64> {
        self.of
    }

    /// Panics unless this can be the gradient of these parameters.
    #[track_caller]
    pub(crate) fn assert_of(&self, params: &Params<F>) {
        assert!(
            params.len() == self.len(),
            "step: the gradient has {} numbers, the parameters have {}",
            self.len(),
            params.len()
        );
        assert!(
            self.of.is_none_or(|of| of == params.weights_stamp()),
            "step: the gradient is that of another model than these parameters ({}), or of a model to which a weight was \
             added since",
            params.names().collect::<Vec<_>>().join(", ")
        );
    }
}

/// No numbers, of no model.
impl<F: Scalar> Default for ParamsGradient<'_, F> {
    fn default() -> Self {
        Self { numbers: Cow::Owned(Vec::new()), of: None }
    }
}

impl<F: Scalar> Deref for ParamsGradient<'_, F> {
    type Target = [F];
    fn deref(&self) -> &[F] {
        &self.numbers
    }
}

impl<F: Scalar> AsRef<[F]> for ParamsGradient<'_, F> {
    fn as_ref(&self) -> &[F] {
        self
    }
}

impl<F: Scalar> fmt::Debug for ParamsGradient<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.numbers.fmt(f)
    }
}

impl<'s, F: Scalar> IntoIterator for &'s ParamsGradient<'_, F> {
    type Item = &'s F;
    type IntoIter = std::slice::Iter<'s, F>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'s, F: Scalar> From<&'s ParamsGradient<'_, F>> for ParamsGradient<'s, F> {
    fn from(gradient: &'s ParamsGradient<'_, F>) -> Self {
        Self { numbers: Cow::Borrowed(gradient), of: gradient.of }
    }
}

/// Plain numbers become the gradient of any model, and a gradient is compared with them.
macro_rules! plain_numbers {
    ($($Numbers:ty $(, $N:ident)?);+) => { $(
        impl<'s, F: Scalar $(, const $N: usize)?> From<&'s $Numbers> for ParamsGradient<'s, F> {
            fn from(numbers: &'s $Numbers) -> Self {
                Self { numbers: Cow::Borrowed(numbers), of: None }
            }
        }
        impl<F: Scalar $(, const $N: usize)?> PartialEq<$Numbers> for ParamsGradient<'_, F> {
            fn eq(&self, numbers: &$Numbers) -> bool {
                **self == numbers[..]
            }
        }
        impl<F: Scalar $(, const $N: usize)?> PartialEq<ParamsGradient<'_, F>> for $Numbers {
            fn eq(&self, gradient: &ParamsGradient<'_, F>) -> bool {
                self[..] == **gradient
            }
        }
    )+ };
}
plain_numbers! { [F]; [F; N], N; Vec<F> }

/// Compares a reference with numbers that are no reference.
macro_rules! owned_numbers {
    ($($Numbers:ty $(, $N:ident)?);+) => { $(
        impl<F: Scalar $(, const $N: usize)?> PartialEq<$Numbers> for &ParamsGradient<'_, F> {
            fn eq(&self, numbers: &$Numbers) -> bool {
                **self == *numbers
            }
        }
        impl<F: Scalar $(, const $N: usize)?> PartialEq<&ParamsGradient<'_, F>> for $Numbers {
            fn eq(&self, gradient: &&ParamsGradient<'_, F>) -> bool {
                *self == **gradient
            }
        }
    )+ };
}
owned_numbers! { [F; N], N; Vec<F> }

impl<F: Scalar> PartialEq for ParamsGradient<'_, F> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
