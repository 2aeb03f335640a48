//! Operations with several factors as results, and what their pullbacks share.

use ndarray::{ArrayView, Dimension, Ix1};

use super::batch::part;
use crate::arena::Arena;
use crate::kernels::multiply;
use crate::number::Scalar;
use crate::slices::gemm::Mat;
use crate::tensor::handle::Tensor;

/// The elements of a result from place `first` on, as a tensor of this shape.
#[track_caller]
pub(super) fn piece<'t, F: Scalar, E: Dimension>(
    result: Tensor<'t, F, Ix1>,
    first: usize,
    shape: E,
) -> Tensor<'t, F, E> {
    let numbers = &result.node.as_slice().expect("a result is contiguous")[first..][..shape.size()];
    result.with_view(ArrayView::from_shape(shape, numbers).expect("as many elements"))
}

/// Calls `pull` with the cotangents of the factors of each matrix, unless they are all zero. A result holds the first factors of
/// all matrices, then the second ones, and so on; factor k of one matrix has `lengths[k]` elements.
pub(super) fn each_cotangent<F: Scalar, const K: usize>(
    of_result: &[F],
    count: usize,
    lengths: [usize; K],
    mut pull: impl FnMut(usize, [&[F]; K]),
) {
    for i in 0..count {
        let mut first = 0;
        let factors = lengths.map(|len| {
            let all = &of_result[first..][..count * len];
            first += count * len;
            part(all, i, len)
        });
        if !factors.iter().copied().flatten().all(|x| x.is_exact_zero()) {
            pull(i, factors);
        }
    }
}

/// Overwrites `out` with U diag(weights) Vᵀ. Vectors with the weight 0 are left out, whose tangents may be NaN.
pub(super) fn weighted_sum<F: Scalar>(weights: &[F], u: Mat<'_, F>, vt: Mat<'_, F>, out: &mut [F], arena: &Arena) {
    let ([m, _], [_, n]) = (u.shape(), vt.shape());
    let used = || (0..weights.len()).filter(|&i| !weights[i].is_exact_zero());
    let count = used().count();
    let left = arena.alloc_slice_fill_copy(m * count, F::zero());
    let right = arena.alloc_slice_fill_copy(count * n, F::zero());
    for (at, i) in used().enumerate() {
        (0..m).for_each(|row| left[row * count + at] = u.at(row, i));
        (0..n).for_each(|column| right[at * n + column] = weights[i] * vt.at(i, column));
    }
    multiply(Mat::dense(left, [m, count]), Mat::dense(right, [count, n]), out);
}
