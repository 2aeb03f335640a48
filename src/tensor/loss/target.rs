//! Targets of losses of elements.

use ndarray::{Array, ArrayBase, ArrayView, Data, Dimension};

use crate::number::macros::for_each_dual;
use crate::number::{Dual, Real, Scalar};
use crate::scalar::Var;
use crate::sealed::Seal;
use crate::tape::SINK;
use crate::tensor::constant::Embed;
use crate::tensor::handle::Tensor;

/// A target that a loss can compare with a prediction: a tensor, array or view of the prediction's shape, or a number
/// or [`Var`], which stands for every element.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the target of a prediction of `{F}`",
    note = "a target is a tensor or an array of the prediction's number type and number of axes, or one number; for \
            class indices there is `softmax_cross_entropy`"
)]
pub trait Target<'t, F: Scalar, D: Dimension> {
    /// The target as a tensor of the prediction's shape.
    #[doc(hidden)]
    fn against(self, prediction: Tensor<'t, F, D>, loss: &str, _: Seal) -> Tensor<'t, F, D>;
}

impl<'t, F: Scalar, D: Dimension> Target<'t, F, D> for Tensor<'t, F, D> {
    #[track_caller]
    fn against(self, prediction: Tensor<'t, F, D>, loss: &str, _: Seal) -> Tensor<'t, F, D> {
        prediction.assert_same_tape(self);
        assert!(
            prediction.shape() == self.shape(),
            "{loss}: the prediction has shape {:?} and the target {:?}; a target is not broadcast, reshape it",
            prediction.shape(),
            self.shape()
        );
        self
    }
}

macro_rules! array_target {
    ([$($generics:tt)*] $array:ty) => {
        impl<'t, F: Scalar, D: Dimension + 't, A: Embed<F>, $($generics)*> Target<'t, F, D> for $array {
            #[track_caller]
            fn against(self, prediction: Tensor<'t, F, D>, loss: &str, _: Seal) -> Tensor<'t, F, D> {
                prediction.tape.constant(self).against(prediction, loss, Seal)
            }
        }
    };
}
array_target! { [S: Data<Elem = A>] &'t ArrayBase<S, D> }
array_target! { [] ArrayView<'t, A, D> }
array_target! { [] Array<A, D> }

impl<'t, F: Scalar, D: Dimension> Target<'t, F, D> for Var<'t, F> {
    #[track_caller]
    fn against(self, prediction: Tensor<'t, F, D>, _: &str, _: Seal) -> Tensor<'t, F, D> {
        let target = self.to_tensor(prediction.tape);
        let values: ArrayView<'t, F, D> =
            target.node.values.broadcast(prediction.dim()).expect("one element fits any shape");
        target.with_view(values)
    }
}

impl<'t, F: Scalar, D: Dimension> Target<'t, F, D> for F {
    #[track_caller]
    fn against(self, prediction: Tensor<'t, F, D>, loss: &str, _: Seal) -> Tensor<'t, F, D> {
        let tape = prediction.tape;
        let storage = tape.arena().values(loss, prediction.shape(), self);
        let values = ArrayView::from_shape(prediction.dim(), &*storage);
        let values = values.expect("as many elements as the prediction has");
        Tensor::over(tape, values, storage, SINK)
    }
}

macro_rules! base_target {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        impl<'t, $($generics)*, D: Dimension> Target<'t, $number, D> for $base {
            #[track_caller]
            fn against(self, prediction: Tensor<'t, $number, D>, loss: &str, _: Seal) -> Tensor<'t, $number, D> {
                <$number>::from_base(self).against(prediction, loss, Seal)
            }
        }
    };
}
for_each_dual! { base_target }
