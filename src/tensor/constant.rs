//! Inputs and constants: handles of plain data.

use ndarray::{Array, ArrayBase, ArrayView, Data, Dimension, IntoDimension};

use super::handle::Tensor;
use crate::arena::count;
use crate::number::macros::{for_each_dual, for_each_nested_dual};
use crate::number::{Dual, Real, Scalar};
use crate::scalar::Var;
use crate::sealed::Seal;
use crate::tape::{SINK, Tape};

/// A number type that can be passed as a constant to a tape of numbers `F`: `F` itself or, if `F` is a dual number, the
/// type of its primal or of the innermost primal (`f64`, `f32`).
///
/// So a function of `f64` data runs unchanged on a tape of dual numbers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the number type of this tape, which holds `{F}`",
    note = "convert an array with `array.mapv(|x| x as f32)` or `array.mapv(f64::from)`"
)]
pub trait Embed<F: Scalar>: Copy + Send + Sync + 'static {
    /// The constant.
    #[doc(hidden)]
    fn embed(self, _: Seal) -> F;
    /// An array of constants.
    #[doc(hidden)]
    #[track_caller]
    fn embed_array<'t, D: Dimension>(tape: &'t Tape<F>, array: ArrayView<'t, Self, D>) -> Tensor<'t, F, D> {
        tape.copied("constant", &array)
    }
}

impl<F: Scalar> Embed<F> for F {
    fn embed(self, _: Seal) -> F {
        self
    }
    #[track_caller]
    fn embed_array<'t, D: Dimension>(tape: &'t Tape<F>, array: ArrayView<'t, F, D>) -> Tensor<'t, F, D> {
        tape.leaf("constant", array, false)
    }
}

impl<F: Scalar, const N: usize> Embed<Dual<F, N>> for F {
    fn embed(self, _: Seal) -> Dual<F, N> {
        Dual::constant(self)
    }
}

/// Data that can be passed to [`Tape::constant`]: a number, a borrowed or owned array, or a view.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a constant of a tape of `{F}`",
    note = "a constant is a number, or `&array`, `array` or `array.view()` of such numbers; write integers as floats"
)]
pub trait IntoConstant<'t, F: Scalar> {
    /// The handle: a [`Var`] for a number, a [`Tensor`] for an array.
    type Handle;
    #[doc(hidden)]
    fn into_constant(self, tape: &'t Tape<F>, _: Seal) -> Self::Handle;
}

impl<'t, F: Scalar> IntoConstant<'t, F> for F {
    type Handle = Var<'t, F>;
    #[track_caller]
    fn into_constant(self, _: &'t Tape<F>, _: Seal) -> Var<'t, F> {
        Var::constant(self)
    }
}

macro_rules! base_constants {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        impl<'t, $($generics)*> IntoConstant<'t, $number> for $base {
            type Handle = Var<'t, $number>;
            #[track_caller]
            fn into_constant(self, _: &'t Tape<$number>, _: Seal) -> Var<'t, $number> {
                Var::from(self)
            }
        }
    };
}
for_each_dual! { base_constants }

macro_rules! embed_nested {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        impl<$($generics)*> Embed<$number> for $base {
            fn embed(self, _: Seal) -> $number {
                Real::from_base(self)
            }
        }
    };
}
for_each_nested_dual! { embed_nested }

impl<'t, F: Scalar, A: Embed<F>, S: Data<Elem = A>, D: Dimension> IntoConstant<'t, F> for &'t ArrayBase<S, D> {
    type Handle = Tensor<'t, F, D>;
    #[track_caller]
    fn into_constant(self, tape: &'t Tape<F>, _: Seal) -> Self::Handle {
        A::embed_array(tape, self.view())
    }
}

impl<'t, F: Scalar, A: Embed<F>, D: Dimension + 't> IntoConstant<'t, F> for ArrayView<'t, A, D> {
    type Handle = Tensor<'t, F, D>;
    #[track_caller]
    fn into_constant(self, tape: &'t Tape<F>, _: Seal) -> Self::Handle {
        A::embed_array(tape, self)
    }
}

impl<'t, F: Scalar, A: Embed<F>, D: Dimension + 't> IntoConstant<'t, F> for Array<A, D> {
    type Handle = Tensor<'t, F, D>;
    #[track_caller]
    fn into_constant(self, tape: &'t Tape<F>, _: Seal) -> Self::Handle {
        tape.alloc(self).into_constant(tape, Seal)
    }
}

/// The elements in row-major order, in the arena.
#[track_caller]
fn copy<'t, F: Scalar, A: Copy, D: Dimension>(
    tape: &'t Tape<F>,
    name: &str,
    view: &ArrayView<'_, A, D>,
    embed: impl Fn(A) -> F,
) -> &'t [F] {
    let copy = tape.arena().values(name, view.shape(), F::zero());
    for (to, from) in copy.iter_mut().zip(view) {
        *to = embed(*from);
    }
    copy
}

impl<F: Scalar> Tape<F> {
    /// A differentiable tensor with the values of an array or view.
    ///
    /// The values are borrowed; those of a view with gaps are copied.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![1.0, 2.0];
    /// let x = tape.tensor(&data);
    /// assert_eq!(x.square().sum().backward().wrt(x), ndarray::array![2.0, 4.0]);
    /// ```
    #[doc(alias("requires_grad"))]
    #[track_caller]
    pub fn tensor<'t, S, D>(&'t self, array: &'t ArrayBase<S, D>) -> Tensor<'t, F, D>
    where
        S: Data<Elem = F>,
        D: Dimension,
    {
        self.leaf("tensor", array.view(), true)
    }

    /// A constant, to which no derivative flows: a [`Var`] for a number, a [`Tensor`] for an array.
    ///
    /// A borrowed array or a view is read in place, or copied if it has gaps. An owned array is kept until
    /// [`clear`](Tape::clear). A tape of dual numbers also takes arrays of plain numbers, which are copied.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// let data = ndarray::array![[1.0, 2.0]];
    /// let (x, c) = (tape.constant(&data), tape.constant(3.0));
    /// assert_eq!((x * c).value(), ndarray::array![[3.0, 6.0]]);
    /// assert!(tape.is_empty());
    /// ```
    #[doc(alias("no_grad", "requires_grad"))]
    #[track_caller]
    pub fn constant<'t, C: IntoConstant<'t, F>>(&'t self, value: C) -> C::Handle {
        value.into_constant(self, Seal)
    }

    /// A constant that is a copy of an array.
    #[track_caller]
    pub(super) fn copied<A: Embed<F>, D: Dimension>(
        &self,
        operation: &str,
        array: &ArrayView<'_, A, D>,
    ) -> Tensor<'_, F, D> {
        let copy = copy(self, operation, array, |x| x.embed(Seal));
        let view = ArrayView::from_shape(array.raw_dim(), copy).expect("as many elements");
        Tensor::over(self, view, copy, SINK)
    }

    /// A constant of a shape whose elements are all `x`.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// assert_eq!(tape.full((2, 3), 0.5).value(), ndarray::array![[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]);
    /// assert_eq!((tape.zeros(2) + 1.0).value(), tape.ones(2).value());
    /// ```
    ///
    /// # Panics
    ///
    /// If an array of this shape does not fit in memory.
    #[track_caller]
    pub fn full<D: IntoDimension>(&self, shape: D, x: F) -> Tensor<'_, F, D::Dim> {
        let shape = shape.into_dimension();
        let storage = &*self.arena().filled("full", shape.slice(), count("full", shape.slice()), x);
        let view = ArrayView::from_shape(shape, storage).expect("as many elements as the shape has");
        Tensor::over(self, view, storage, SINK)
    }

    /// A constant of a shape whose elements are all 0.
    ///
    /// # Panics
    ///
    /// Same as for [`full`](Self::full).
    #[track_caller]
    pub fn zeros<D: IntoDimension>(&self, shape: D) -> Tensor<'_, F, D::Dim> {
        self.full(shape, F::zero())
    }

    /// A constant of a shape whose elements are all 1.
    ///
    /// # Panics
    ///
    /// Same as for [`full`](Self::full).
    #[track_caller]
    pub fn ones<D: IntoDimension>(&self, shape: D) -> Tensor<'_, F, D::Dim> {
        self.full(shape, F::one())
    }

    /// A tensor over the view's memory if the view has no gaps, else over a copy in the arena: an input or a constant.
    #[track_caller]
    fn leaf<'t, D: Dimension>(&'t self, name: &str, view: ArrayView<'t, F, D>, input: bool) -> Tensor<'t, F, D> {
        // Row-major order, the common case, is asked for first: it takes a fifth of the instructions.
        let (values, storage) = if let Some(storage) = view.to_slice().or_else(|| view.to_slice_memory_order()) {
            (view, storage)
        } else {
            let copy = copy(self, name, &view, |x| x);
            (ArrayView::from_shape(view.raw_dim(), copy).expect("as many elements"), copy)
        };
        // The slots come last: memory for the handle may be refused.
        let slot = if input { self.slots() as u32 } else { SINK };
        let tensor = Tensor::over(self, values, storage, slot);
        if input {
            self.input_slots(storage.len());
        }
        tensor
    }
}
