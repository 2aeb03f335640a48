//! Scaling of columns, and labels as vectors.

use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Axis, Data, Ix2};

use crate::arena::room;
use crate::kernels::{Moments, moments};
use crate::number::BaseFloat;

/// An affine map of each column, fitted on the training data and applied to all.
///
/// ```
/// use ndarray::array;
/// use wengert::data::Scaling;
///
/// let train = array![[1.0, 7.0], [3.0, 7.0]];
/// let scaling = Scaling::standard(&train);
/// assert_eq!(scaling.apply(&train), array![[-1.0, 0.0], [1.0, 0.0]]);
/// assert_eq!(scaling.apply(&array![[5.0, 8.0]]), array![[3.0, 1.0]]);
/// assert_eq!(scaling.invert(&array![[3.0, 1.0]]), array![[5.0, 8.0]]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling<F> {
    /// The number that is subtracted from each column.
    pub shift: Array1<F>,
    /// The number by which each column is divided after the subtraction.
    pub scale: Array1<F>,
}

impl<F: BaseFloat> Scaling<F> {
    /// Standardisation: subtracts the mean and divides by the standard deviation (the root of
    /// Σ (xᵢ - x̄)² / n). A constant column is not divided.
    ///
    /// # Panics
    ///
    /// If there are no rows.
    #[track_caller]
    pub fn standard(train: &ArrayBase<impl Data<Elem = F>, Ix2>) -> Self {
        Self::fit(train.view(), |column| {
            let n = column.len() as f64;
            let Moments { unit, mean, square } = moments(column, true);
            (mean * unit, (square / n).sqrt() * unit)
        })
    }

    /// Maps the smallest number of each column to 0 and the largest to 1. A constant column is not divided.
    ///
    /// # Panics
    ///
    /// If there are no rows.
    #[track_caller]
    pub fn min_max(train: &ArrayBase<impl Data<Elem = F>, Ix2>) -> Self {
        Self::fit(train.view(), |column| {
            let least = column.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (least, greatest - least)
        })
    }

    /// The scaled rows, (x - shift) / scale.
    ///
    /// # Panics
    ///
    /// If the number of columns is not that of the training data.
    #[track_caller]
    pub fn apply(&self, rows: &ArrayBase<impl Data<Elem = F>, Ix2>) -> Array2<F> {
        self.assert_fits("apply", rows.ncols());
        let mut scaled = rows - &self.shift;
        let half = F::lit(0.5);
        for (mut scaled, row) in scaled.rows_mut().into_iter().zip(rows.rows()) {
            for (k, (y, &x)) in scaled.iter_mut().zip(row).enumerate() {
                let (shift, scale) = (self.shift[k], self.scale[k]);
                // The difference of two finite numbers may overflow, that of their halves does not.
                let overflows = y.is_infinite() && x.is_finite();
                *y = if overflows { (x * half - shift * half) / (scale * half) } else { *y / scale };
            }
        }
        scaled
    }

    /// The unscaled rows, x · scale + shift: the inverse of [`apply`](Self::apply).
    ///
    /// # Panics
    ///
    /// If the number of columns is not that of the training data.
    #[track_caller]
    pub fn invert(&self, rows: &ArrayBase<impl Data<Elem = F>, Ix2>) -> Array2<F> {
        self.assert_fits("invert", rows.ncols());
        rows * &self.scale + &self.shift
    }

    #[track_caller]
    fn fit(train: ArrayView2<'_, F>, measure: impl Fn(&mut [f64]) -> (f64, f64)) -> Self {
        assert!(train.nrows() > 0, "Scaling: there is no row to fit {} columns to", train.ncols());
        let mut column = Vec::with_capacity(train.nrows());
        let measures = train.axis_iter(Axis(1)).map(|numbers| {
            column.clear();
            column.extend(numbers.iter().map(|x| x.to_f64().unwrap_or(f64::NAN)));
            let (shift, scale) = measure(&mut column);
            let scale = F::lit(scale);
            (F::lit(shift), if scale.is_zero() { F::one() } else { scale })
        });
        let (shift, scale): (Vec<F>, Vec<F>) = measures.unzip();
        Self { shift: shift.into(), scale: scale.into() }
    }

    #[track_caller]
    fn assert_fits(&self, name: &str, columns: usize) {
        assert!(
            columns == self.shift.len(),
            "Scaling::{name}: it was fitted to {} columns, the array has {columns}",
            self.shift.len()
        );
    }
}

/// A row for each label, with 1 at the label's index and 0 elsewhere.
///
/// ```
/// use ndarray::array;
///
/// assert_eq!(wengert::data::one_hot::<f32>(&[2, 0], 3), array![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
/// ```
///
/// # Panics
///
/// If a label is not below `classes`, or there is no memory for the rows.
#[track_caller]
pub fn one_hot<F: BaseFloat>(labels: &[usize], classes: usize) -> Array2<F> {
    let mut rows = zeros("one_hot", [labels.len(), classes]);
    for (row, &label) in labels.iter().enumerate() {
        assert!(label < classes, "one_hot: label {label} at {row} is not one of the {classes} classes");
        rows[[row, label]] = F::one();
    }
    rows
}

/// An array of zeros. Panics at the caller's line if there is no memory for them.
#[track_caller]
pub(super) fn zeros<F: BaseFloat>(operation: &str, shape: [usize; 2]) -> Array2<F> {
    let mut zeros = room(operation, &shape);
    zeros.resize(shape[0] * shape[1], F::zero());
    Array2::from_shape_vec(shape, zeros).expect("as many numbers as the shape has")
}
