//! [`ParamsGradient`]: the gradient of a loss with respect to all weights of a model.

use std::borrow::Cow;
use std::fmt;
use std::ops::{
    Deref, DerefMut, Index, IndexMut, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive,
};
use std::slice::SliceIndex;

use super::entry::{Param, Place};
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
/// `gradient[w]` is the part of a weight.
///
/// Plain numbers are a gradient of any model: an optimiser takes a `&[F]`, a `&Vec<F>` or a `&[F; N]` as it is.
pub struct ParamsGradient<'a, F: Scalar = f64> {
    numbers: Numbers<'a, F>,
    /// The weights of the model in their order; none if the model is not known.
    places: Cow<'a, [Place]>,
}

/// Borrowed or owned numbers.
enum Numbers<'a, F> {
    Shared(&'a [F]),
    Lent(&'a mut [F]),
    Owned(Vec<F>),
}

impl<'a, F: Scalar> ParamsGradient<'a, F> {
    pub(super) fn new(places: &'a [Place], numbers: &'a mut [F]) -> Self {
        Self { numbers: Numbers::Lent(numbers), places: Cow::Borrowed(places) }
    }

    fn of_any(numbers: &'a [F]) -> Self {
        Self { numbers: Numbers::Shared(numbers), places: Cow::default() }
    }

    /// Makes this a gradient of `len` numbers, and returns these for writing. With another gradient it becomes one of
    /// the same model as that.
    pub(crate) fn reset(&mut self, like: Option<&ParamsGradient<'_, F>>, len: usize) -> &mut [F] {
        // Memory may run out at each of these, so the model is changed last.
        self.numbers.owned().resize(len, F::zero());
        if let Some(like) = like {
            let places = self.places.to_mut();
            places.reserve(like.places.len().saturating_sub(places.len()));
            places.clear();
            places.extend_from_slice(&like.places);
        }
        self.numbers.owned()
    }

    /// The stamp of the model's weights, if it is known.
    pub(crate) fn of(&self) -> Option<u64> {
        self.places.last().map(|place| place.stamp)
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
            self.of().is_none_or(|of| of == params.weights_stamp()),
            "step: the gradient is that of another model than these parameters ({}), or of a model to which a weight was \
             added since",
            params.names().collect::<Vec<_>>().join(", ")
        );
    }

    /// The range of a weight's numbers.
    #[track_caller]
    fn range<D>(&self, id: Param<D>) -> Range<usize> {
        match self.places.iter().find(|place| place.stamp == id.stamp()) {
            Some(place) => place.start..place.start + place.len,
            None if self.places.is_empty() => {
                panic!("ParamsGradient: these are plain numbers of no known model, which cannot be indexed by {id:?}")
            }
            None => panic!(
                "ParamsGradient: the id {id:?} is not that of a weight of the gradient's model; a buffer has no gradient"
            ),
        }
    }
}

impl<F: Clone> Numbers<'_, F> {
    /// The numbers as a vector of their own.
    fn owned(&mut self) -> &mut Vec<F> {
        if let Self::Shared(_) | Self::Lent(_) = self {
            *self = Self::Owned(self.as_slice().to_vec());
        }
        match self {
            Self::Owned(numbers) => numbers,
            _ => unreachable!("made so above"),
        }
    }

    fn as_slice(&self) -> &[F] {
        match self {
            Self::Shared(numbers) => numbers,
            Self::Lent(numbers) => numbers,
            Self::Owned(numbers) => numbers,
        }
    }
}

/// A copy of the numbers.
impl<F: Scalar> Clone for ParamsGradient<'_, F> {
    fn clone(&self) -> Self {
        Self { numbers: Numbers::Owned(self.to_vec()), places: self.places.clone() }
    }
}

/// No numbers, of no model.
impl<F: Scalar> Default for ParamsGradient<'_, F> {
    fn default() -> Self {
        Self { numbers: Numbers::Owned(Vec::new()), places: Cow::default() }
    }
}

impl<F: Scalar> Deref for ParamsGradient<'_, F> {
    type Target = [F];
    fn deref(&self) -> &[F] {
        self.numbers.as_slice()
    }
}

impl<F: Scalar> DerefMut for ParamsGradient<'_, F> {
    fn deref_mut(&mut self) -> &mut [F] {
        match &mut self.numbers {
            Numbers::Lent(numbers) => numbers,
            shared_or_owned => shared_or_owned.owned(),
        }
    }
}

/// The part of a weight, in row-major order; [`Params::view_of`] gives it the weight's shape.
///
/// ```
/// let mut params = wengert::Params::new();
/// let w = params.add("w", ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
/// let b = params.add("b", ndarray::array![5.0]);
/// let mut tape = wengert::Tape::new();
/// let (_, g) = tape.value_and_grad(&params, |p| p.get(w).square().sum() + p.get(b).sum());
/// assert_eq!(g[w], [2.0, 4.0, 6.0, 8.0]);
/// assert_eq!(g[b][0], 1.0);
/// assert_eq!(params.view_of(w, g), ndarray::array![[2.0, 4.0], [6.0, 8.0]]);
/// ```
///
/// # Panics
///
/// If the id is that of a buffer or of another model, or the gradient is of plain numbers.
impl<F: Scalar, D> Index<Param<D>> for ParamsGradient<'_, F> {
    type Output = [F];
    #[track_caller]
    fn index(&self, id: Param<D>) -> &[F] {
        let range = self.range(id);
        &self[..][range]
    }
}

impl<F: Scalar, D> IndexMut<Param<D>> for ParamsGradient<'_, F> {
    #[track_caller]
    fn index_mut(&mut self, id: Param<D>) -> &mut [F] {
        let range = self.range(id);
        &mut self[..][range]
    }
}

/// Indexes the numbers as those of a slice.
macro_rules! slice_indices {
    ($($Index:ty),+) => { $(
        impl<F: Scalar> Index<$Index> for ParamsGradient<'_, F> {
            type Output = <$Index as SliceIndex<[F]>>::Output;
            #[track_caller]
            fn index(&self, index: $Index) -> &Self::Output {
                &(**self)[index]
            }
        }
        impl<F: Scalar> IndexMut<$Index> for ParamsGradient<'_, F> {
            #[track_caller]
            fn index_mut(&mut self, index: $Index) -> &mut Self::Output {
                &mut (**self)[index]
            }
        }
    )+ };
}
slice_indices! { usize, Range<usize>, RangeFrom<usize>, RangeTo<usize>, RangeInclusive<usize>, RangeToInclusive<usize>, RangeFull }

impl<F: Scalar> AsRef<[F]> for ParamsGradient<'_, F> {
    fn as_ref(&self) -> &[F] {
        self
    }
}

impl<F: Scalar> fmt::Debug for ParamsGradient<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<'s, F: Scalar> IntoIterator for &'s ParamsGradient<'_, F> {
    type Item = &'s F;
    type IntoIter = std::slice::Iter<'s, F>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'s, F: Scalar> IntoIterator for &'s mut ParamsGradient<'_, F> {
    type Item = &'s mut F;
    type IntoIter = std::slice::IterMut<'s, F>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<'s, F: Scalar> From<&'s ParamsGradient<'_, F>> for ParamsGradient<'s, F> {
    fn from(gradient: &'s ParamsGradient<'_, F>) -> Self {
        Self { numbers: Numbers::Shared(gradient), places: Cow::Borrowed(&gradient.places) }
    }
}

impl<'s, F: Scalar> From<&'s mut ParamsGradient<'_, F>> for ParamsGradient<'s, F> {
    fn from(gradient: &'s mut ParamsGradient<'_, F>) -> Self {
        (&*gradient).into()
    }
}

/// Plain numbers become the gradient of any model, and a gradient is compared with them.
macro_rules! plain_numbers {
    ($($Numbers:ty $(, $N:ident)?);+) => { $(
        impl<'s, F: Scalar $(, const $N: usize)?> From<&'s $Numbers> for ParamsGradient<'s, F> {
            fn from(numbers: &'s $Numbers) -> Self {
                Self::of_any(numbers)
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
        impl<F: Scalar $(, const $N: usize)?> PartialEq<$Numbers> for &mut ParamsGradient<'_, F> {
            fn eq(&self, numbers: &$Numbers) -> bool {
                **self == *numbers
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
