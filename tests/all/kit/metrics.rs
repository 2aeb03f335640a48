//! Metrics against scikit-learn 1.9.1 (`sklearn.metrics`) on the same data.

use ndarray::{Array1, array};
use wengert::metrics::{Confusion, accuracy, argmax_rows, mae, mse, perplexity, r2, rmse};

use crate::support::close::assert_near;
use crate::support::panics::message_of;

const ACTUAL: [usize; 10] = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3];

const PREDICTED: [usize; 10] = [0, 1, 0, 1, 1, 2, 1, 2, 0, 2];

#[test]
fn classes() {
    let confusion = Confusion::new(5, &PREDICTED, &ACTUAL);
    assert_eq!(accuracy(&PREDICTED, &ACTUAL), 0.6);
    assert_eq!(confusion.accuracy(), 0.6);
    let rows: Vec<Vec<usize>> = (0..4).map(|a| (0..4).map(|p| confusion.count(a, p)).collect()).collect();
    assert_eq!(rows, [[2, 1, 0, 0], [0, 3, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]]);
    let close = |got: f64, want: f64| assert_near("measure", got, want, 1e-15);
    for (class, [precision, recall, f1]) in
        [[2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0], [0.75, 0.75, 0.75], [1.0 / 3.0, 0.5, 0.4]].into_iter().enumerate()
    {
        close(confusion.precision(class), precision);
        close(confusion.recall(class), recall);
        close(confusion.f1(class), f1);
    }
    assert!(confusion.precision(3).is_nan() && confusion.recall(3) == 0.0 && confusion.f1(3) == 0.0);
    assert!(confusion.f1(4).is_nan());
    close(confusion.macro_f1(), 0.4541666666666667);
}

#[test]
fn the_table_lines_up() {
    let table = Confusion::new(3, &[0, 1, 0, 2], &[0, 1, 1, 1]).named(["ä", "beta", "c"]).to_string();
    let expected = "\
actual       ä  beta   c   recall
ä            1     0   0  100.00%
beta         1     1   1   33.33%
c            0     0   0        -
precision  50%  100%  0%   50.00%";
    assert_eq!(table, expected);
}

#[test]
fn numbers() {
    let (actual, predicted) = (array![[3.0, -0.5], [2.0, 7.0]], array![[2.5, 0.0], [2.0, 8.0]]);
    // The examples of scikit-learn's user guide.
    assert_eq!(mse(&predicted, &actual), 0.375);
    assert_eq!(rmse(&predicted, &actual), 0.6123724356957945);
    assert_eq!(mae(&predicted, &actual), 0.5);
    assert!((r2(&predicted, &actual) - 0.9486081370449679).abs() < 1e-15);
    assert_eq!(r2(&array![2.0_f32, 2.0], &array![1.0, 3.0]), 0.0);
    assert!((perplexity(65_f64.ln()) - 65.0).abs() < 1e-12);
    assert_eq!(argmax_rows(&array![[f32::NAN, 1.0, 2.0], [-1.0, -2.0, -1.0]]), [0, 0]);
}

#[test]
fn misuse_is_named() {
    let text = message_of(|| accuracy(&[1], &[1, 2]));
    assert!(text.contains("1 predictions do not fit 2 labels"), "{text}");
    let text = message_of(|| Confusion::new(2, &[2], &[0]));
    assert!(text.contains("class 2 is not one of the 2 classes"), "{text}");
    let text = message_of(|| r2(&array![1.0, 2.0], &array![1.0, 2.0, 3.0]));
    assert!(text.contains("r2: predictions of shape [2] do not fit actual values of shape [3]"), "{text}");
}

/// scikit-learn#16857, torchmetrics#1573: the mean of equal numbers rounds.
#[test]
fn r2_of_equal_and_of_huge_numbers() {
    let equal = Array1::from_elem(10, 0.1);
    assert_eq!(r2(&Array1::from_elem(10, 0.2), &equal), f64::NEG_INFINITY);
    assert!(r2(&equal, &equal).is_nan());
    let (predicted, actual) = (array![2.0, 4.0, 6.0], array![1.0, 4.0, 7.0]);
    for unit in [1e-170, 1e170, 1e300] {
        assert_near("r2", r2(&(&predicted * unit), &(&actual * unit)), 1.0 - 2.0 / 18.0, 1e-15);
    }
}
