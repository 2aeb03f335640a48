//! Scaling of columns, and labels as rows of a unit matrix.

use ndarray::{Array2, array, s};
use wengert::data::{Scaling, one_hot};

use crate::support::panics::message_of;

/// Constants of (x - x.mean(0)) / x.std(0) in numpy 2.4, except the constant column, which numpy makes -1 from a
/// rounding.
#[test]
fn standard() {
    let x: Array2<f64> = array![[1.0, -5.0, 0.1], [2.0, 3.0, 0.1], [4.0, 8.5, 0.1]];
    let scaling = Scaling::standard(&x);
    let expected = array![
        [-1.0690449676496978, -1.292977275547167, 0.0],
        [-0.2672612419124245, 0.15034619483106595, 0.0],
        [1.3363062095621219, 1.142631080716101, 0.0]
    ];
    assert!((scaling.apply(&x) - expected).iter().all(|e| e.abs() < 1e-14));
    let back = scaling.invert(&scaling.apply(&x));
    assert!((back - &x).iter().all(|e| e.abs() < 1e-14));
    // A constant column becomes exactly 0 in either precision, although its mean is rounded.
    let single = x.mapv(|x| x as f32);
    assert_eq!(Scaling::standard(&single).apply(&single).column(2), array![0.0, 0.0, 0.0]);
    // A view may have fewer columns than its array.
    assert_eq!(Scaling::standard(&x.slice(s![.., ..2])).shift.len(), 2);
}

#[test]
fn min_max() {
    let x = array![[1.0, 7.0], [5.0, 7.0], [2.0, 7.0]];
    let scaling = Scaling::min_max(&x);
    assert_eq!(scaling.apply(&x), array![[0.0, 0.0], [1.0, 0.0], [0.25, 0.0]]);
    assert_eq!(scaling.apply(&array![[9.0, 8.0]]), array![[2.0, 1.0]]);
}

#[test]
fn misuse_is_named() {
    let text = message_of(|| Scaling::standard(&Array2::<f64>::zeros((0, 3))));
    assert!(text.contains("no row to fit 3 columns to"), "{text}");
    let text = message_of(|| Scaling::standard(&Array2::<f64>::zeros((2, 3))).apply(&Array2::zeros((2, 2))));
    assert!(text.contains("fitted to 3 columns, the array has 2"), "{text}");
    let text = message_of(|| one_hot::<f32>(&[0, 3], 3));
    assert!(text.contains("label 3 at 1 is not one of the 3 classes"), "{text}");
}

/// Columns whose squares or sums overflow, and numbers that differ by a few ulps.
#[test]
fn standard_of_huge_and_of_close_numbers() {
    let x: Array2<f64> = array![[1e200, 1e308, 1e15], [-1e200, 1e308, 1e15 + 0.25], [0.0, -1e308, 1e15 + 0.5]];
    let y = Scaling::standard(&x).apply(&x);
    let (third, half) = (1.5_f64.sqrt(), 0.5_f64.sqrt());
    let expected = array![[third, half, -third], [-third, half, 0.0], [0.0, -2.0 * half, third]];
    assert!((&y - &expected).iter().all(|e| e.abs() < 1e-14), "{y}");
}
