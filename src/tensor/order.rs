//! Elements by their order: sorting, the greatest few, medians and quantiles. Gradients go to the elements chosen.

use std::cmp::Ordering;

use ndarray::{Array, Axis, Dimension, RemoveAxis};

use super::handle::Tensor;
use crate::number::Scalar;
use crate::scalar::Var;

/// The order of numbers in which NaN comes last.
fn compare<F: Scalar>(a: F, b: F) -> Ordering {
    a.to_base().partial_cmp(&b.to_base()).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl<'t, F: Scalar, D: RemoveAxis + 't> Tensor<'t, F, D> {
    /// The indices that sort the elements along an axis, the least first and NaN last. Equal elements keep their order.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![[3.0, 1.0, 2.0]];
    /// assert_eq!(tape.tensor(&data).argsort_axis(Axis(1)), array![[1, 2, 0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the axis is out of range.
    #[doc(alias("argsort"))]
    #[track_caller]
    pub fn argsort_axis(self, axis: Axis) -> Array<usize, D> {
        self.order(axis, "argsort_axis", compare)
    }

    /// The elements sorted along an axis, the least first and NaN last.
    ///
    /// Partials: 1 for the element that went to a place, else 0. Where elements are equal this is one of the directional
    /// derivatives.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![3.0, 1.0, 2.0];
    /// let x = tape.tensor(&data);
    /// let y = x.sort(Axis(0));
    /// assert_eq!(y.value(), array![1.0, 2.0, 3.0]);
    /// assert_eq!(y.at([0]).backward().wrt(x), array![0.0, 1.0, 0.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the axis is out of range.
    #[track_caller]
    pub fn sort(self, axis: Axis) -> Self {
        self.gather(axis, &self.order(axis, "sort", compare))
    }

    /// The k greatest elements along an axis, the greatest first, and their indices. NaN counts as greatest, as in PyTorch; of
    /// equal elements the first one comes first.
    ///
    /// Partials: 1 for the elements chosen, else 0.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]];
    /// let (greatest, places) = tape.tensor(&data).top_k(Axis(1), 2);
    /// assert_eq!(greatest.value(), array![[3.0, 2.0], [5.0, 4.0]]);
    /// assert_eq!(places, array![[0, 2], [1, 2]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the axis is out of range or shorter than k.
    #[doc(alias("topk"))]
    #[track_caller]
    pub fn top_k(self, axis: Axis, k: usize) -> (Self, Array<usize, D>) {
        let order = self.order(axis, "top_k", |a: F, b: F| compare(b, a));
        assert!(
            k <= order.len_of(axis),
            "top_k: there are no {k} elements along axis {} of {:?}",
            axis.index(),
            self.shape()
        );
        let places = order.slice_axis(axis, ndarray::Slice::from(..k)).to_owned();
        (self.gather(axis, &places), places)
    }

    /// The quantile of the elements along an axis, which is removed: see [`quantile`](Self::quantile).
    ///
    /// # Panics
    ///
    /// If q is not in [0, 1], or the axis is out of range or has length 0.
    #[track_caller]
    pub fn quantile_axis(self, axis: Axis, q: f64) -> Tensor<'t, F, D::Smaller> {
        self.quantile_along(axis, q, "quantile_axis")
    }

    /// The median of the elements along an axis, which is removed: see [`median`](Self::median).
    ///
    /// # Panics
    ///
    /// If the axis is out of range or has length 0.
    #[track_caller]
    pub fn median_axis(self, axis: Axis) -> Tensor<'t, F, D::Smaller> {
        self.quantile_along(axis, 0.5, "median_axis")
    }

    #[track_caller]
    fn quantile_along(self, axis: Axis, q: f64, operation: &str) -> Tensor<'t, F, D::Smaller> {
        assert!((0.0..=1.0).contains(&q), "{operation}: q = {q} is not in [0, 1]");
        let order = self.order(axis, operation, compare);
        let n = order.len_of(axis);
        assert!(n > 0, "{operation}: no element to choose from, the shape is {:?}", self.shape());
        let place = q * (n - 1) as f64;
        let values = self.value();
        let chosen = |place: usize| {
            let mut chosen = order.slice_axis(axis, ndarray::Slice::from(place..=place)).to_owned();
            // NaN, if there is one, stands last.
            for (chosen, (values, order)) in
                chosen.iter_mut().zip(values.lanes(axis).into_iter().zip(order.lanes(axis)))
            {
                if values[order[n - 1]].is_nan() {
                    *chosen = order[n - 1];
                }
            }
            self.gather(axis, &chosen).remove_axis(axis)
        };
        let (below, share) = (chosen(place.floor() as usize), place.fract());
        if share == 0.0 {
            return below;
        }
        below * F::lit(1.0 - share) + chosen(place.ceil() as usize) * F::lit(share)
    }

    /// The indices that sort each lane along an axis.
    #[track_caller]
    fn order(self, axis: Axis, operation: &str, by: impl Fn(F, F) -> Ordering) -> Array<usize, D> {
        self.check_axis(axis, operation);
        let mut order = Array::zeros(self.dim());
        for (values, mut order) in self.value().lanes(axis).into_iter().zip(order.lanes_mut(axis)) {
            let mut indices: Vec<usize> = (0..values.len()).collect();
            indices.sort_by(|&i, &j| by(values[i], values[j]));
            order.assign(&Array::from(indices));
        }
        order
    }
}

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// The q-quantile of all elements: of the sorted elements the one at place q (n - 1), and between two places the value
    /// between their elements in proportion (numpy's `linear`, type 7 of Hyndman and Fan, The American Statistician 50, 1996).
    /// NaN if an element is NaN.
    ///
    /// Partials: the shares of the two elements, else 0.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![4.0, 1.0, 2.0];
    /// let x = tape.tensor(&data);
    /// assert_eq!(x.quantile(0.75).value(), 3.0);
    /// assert_eq!(x.quantile(0.75).backward().wrt(x), ndarray::array![0.5, 0.0, 0.5]);
    /// ```
    ///
    /// # Panics
    ///
    /// If q is not in [0, 1] or there is no element.
    #[doc(alias("percentile"))]
    #[track_caller]
    pub fn quantile(self, q: f64) -> Var<'t, F> {
        self.flatten().quantile_along(Axis(0), q, "quantile").into_var()
    }

    /// The median of all elements, the [`quantile`](Self::quantile) of ½: of an even number of elements the mean of the two in
    /// the middle.
    ///
    /// # Panics
    ///
    /// If there is no element.
    #[track_caller]
    pub fn median(self) -> Var<'t, F> {
        self.flatten().quantile_along(Axis(0), 0.5, "median").into_var()
    }
}
