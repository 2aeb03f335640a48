//! Metrics against scikit-learn 1.9.1 (`sklearn.metrics`) on the same data; what has a name in tests/oracle/metrics.txt
//! was written by tests/oracle/metrics.py.

use ndarray::{Array1, Array2, array};
use wengert::metrics::{
    Average, Confusion, Scores, accuracy, argmax_rows, log_loss, mae, mse, perplexity, r2, rmse, roc_auc,
    top_k_accuracy,
};

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
    close(confusion.scores(Average::Macro).f1, 0.4541666666666667);
}

#[test]
fn classes_out_of_range_are_refused() {
    let confusion = Confusion::new(2, &[0, 1], &[0, 0]);
    let scores: [(&str, &dyn Fn(usize) -> f64); 5] = [
        ("count", &|class| (confusion.count(0, class) + confusion.count(class, 0)) as f64),
        ("precision", &|class| confusion.precision(class)),
        ("recall", &|class| confusion.recall(class)),
        ("f1", &|class| confusion.f1(class)),
        ("support", &|class| confusion.support(class) as f64),
    ];
    for (name, score) in scores {
        score(1);
        for class in [2, 3, usize::MAX] {
            let expected = format!("Confusion::{name}: class {class} is not one of the 2 classes");
            assert_eq!(message_of(|| score(class)), expected);
        }
    }
    assert!(message_of(|| confusion.count(2, 0)).contains("class 2 is not one"));
}

/// `n` numbers below `base`, as the oracle makes them.
fn digits(n: usize, seed: u64, base: u64) -> Vec<usize> {
    let mut x = seed;
    let digit = |_| {
        x = (1_103_515_245 * x + 12_345) % (1 << 31);
        ((x >> 16) % base) as usize
    };
    (0..n).map(digit).collect()
}

/// The numbers of a name in the oracle's file.
fn expected(name: &str) -> Vec<f64> {
    let lines = include_str!("../../oracle/metrics.txt").lines();
    let found = lines.filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name);
    let Some((_, numbers)) = found else { panic!("the oracle knows no {name:?}") };
    numbers.split(' ').map(|number| number.parse().unwrap()).collect()
}

#[track_caller]
fn assert_as_sklearn(name: &str, got: &[f64]) {
    let expected = expected(name);
    assert_eq!(got.len(), expected.len(), "{name}");
    for (got, want) in got.iter().zip(expected) {
        assert!((got - want).abs() <= 1e-15 || got.is_nan() && want.is_nan(), "{name}: {got}, expected {want}");
    }
}

#[test]
fn scores_over_classes() {
    let mut actual = digits(80, 5, 4);
    let guessed = digits(80, 6, 5);
    let right = digits(80, 7, 2);
    let predicted: Vec<usize> = (0..80).map(|i| if right[i] == 0 { actual[i] } else { guessed[i] }).collect();
    actual[0] = 5;
    let confusion = Confusion::new(7, &predicted, &actual);
    assert_as_sklearn("classes precision", &(0..7).map(|class| confusion.precision(class)).collect::<Vec<_>>());
    assert_as_sklearn("classes recall", &(0..7).map(|class| confusion.recall(class)).collect::<Vec<_>>());
    assert_as_sklearn("classes f1", &(0..7).map(|class| confusion.f1(class)).collect::<Vec<_>>());
    for (name, average) in [("macro", Average::Macro), ("weighted", Average::Weighted)] {
        let Scores { precision, recall, f1 } = confusion.scores(average);
        assert_as_sklearn(&format!("{name} precision"), &[precision]);
        assert_as_sklearn(&format!("{name} recall"), &[recall]);
        assert_as_sklearn(&format!("{name} f1"), &[f1]);
    }
    let Scores { precision, recall, f1 } = confusion.scores(Average::Micro);
    assert_eq!((precision, recall), (f1, f1));
    assert_as_sklearn("micro f1", &[f1]);
    assert_eq!((0..7).map(|class| confusion.support(class)).sum::<usize>(), 80);
    assert!(Confusion::new(2, &[], &[]).scores(Average::Macro).f1.is_nan());
}

#[test]
fn ranks() {
    for (n, values) in [(50, 1000), (200, 7), (31, 2), (40, 1)] {
        let positive: Vec<bool> = digits(n, 1, 3).into_iter().map(|digit| digit == 0).collect();
        let score = |(digit, &positive): (usize, &bool)| {
            digit as f64 / values as f64 + if positive && values > 2 { 0.1 } else { 0.0 }
        };
        let scores: Vec<f64> = digits(n, 2, values).into_iter().zip(&positive).map(score).collect();
        assert_as_sklearn(&format!("roc_auc {n} {values}"), &[roc_auc(&scores, &positive)]);
        // The pairs, one by one.
        let (mut sum, mut pairs) = (0.0, 0.0);
        for i in (0..n).filter(|&i| positive[i]) {
            for j in (0..n).filter(|&j| !positive[j]) {
                sum += if scores[i] > scores[j] { 1.0 } else { f64::from(u8::from(scores[i] == scores[j])) / 2.0 };
                pairs += 1.0;
            }
        }
        assert_eq!(roc_auc(&scores, &positive), sum / pairs);
    }
    assert_eq!(roc_auc(&[f32::NEG_INFINITY, -0.0, 0.0, f32::INFINITY], &[false, true, false, true]), 0.875);
    assert!(roc_auc(&[1.0, f64::NAN], &[true, false]).is_nan());
    assert!(roc_auc::<f64>(&[], &[]).is_nan() && roc_auc(&[1.0, 2.0], &[true, true]).is_nan());
    assert_eq!(message_of(|| roc_auc(&[1.0], &[])), "roc_auc: 1 predictions do not fit 0 labels");
}

#[test]
fn scores_of_all_classes() {
    let labels = digits(60, 3, 4);
    let scores = Array2::from_shape_vec((60, 4), digits(240, 4, 999)).unwrap().mapv(|digit| digit as f64 + 1.0);
    let probabilities = &scores / &scores.sum_axis(ndarray::Axis(1)).insert_axis(ndarray::Axis(1));
    assert_as_sklearn("log_loss", &[log_loss(&probabilities, &labels)]);
    assert_near("f32", log_loss(&probabilities.mapv(|p| p as f32), &labels), expected("log_loss")[0], 1e-7);
    for k in 1..5 {
        assert_as_sklearn(&format!("top {k}"), &[top_k_accuracy(&scores, &labels, k)]);
    }
    assert_eq!(top_k_accuracy(&scores, &labels, 1), accuracy(&argmax_rows(&scores), &labels));
    assert_eq!(top_k_accuracy(&scores, &labels, 9), 1.0);

    // Ties and NaN as in `argmax_rows`.
    let scores = array![[1.0, 1.0, f64::NAN], [f64::NAN, 0.0, f64::NAN]];
    let of = |label, k| top_k_accuracy(&scores.select(ndarray::Axis(0), &[0]), &[label], k);
    assert_eq!([of(2, 1), of(0, 1), of(0, 2), of(1, 2), of(1, 3)], [1.0, 0.0, 1.0, 0.0, 1.0]);
    for row in 0..2 {
        for label in 0..3 {
            let scores = scores.select(ndarray::Axis(0), &[row]);
            assert_eq!(top_k_accuracy(&scores, &[label], 1), accuracy(&argmax_rows(&scores), &[label]));
        }
    }
    let none = Array2::<f64>::zeros((0, 3));
    assert!(top_k_accuracy(&none, &[], 1).is_nan() && log_loss(&none, &[]).is_nan());
    assert_eq!(log_loss(&array![[0.0, 1.0]], &[0]), f64::INFINITY);
    assert_eq!(log_loss(&array![[0.0, 1.0]], &[1]), 0.0);
    assert!(log_loss(&array![[f64::NAN, 1.0]], &[0]).is_nan());
    let text = message_of(|| log_loss(&array![[0.5, 0.5], [-1.5, 2.5]], &[0, 1]));
    assert!(
        text.starts_with("log_loss: row 1 has the probability 2.5 of class 1, which is not between 0 and 1"),
        "{text}"
    );
    assert_eq!(message_of(|| log_loss(&none, &[0])), "log_loss: 0 predictions do not fit 1 labels");
    assert_eq!(
        message_of(|| top_k_accuracy(&array![[1.0, 2.0]], &[2], 1)),
        "top_k_accuracy: class 2 is not one of the 2 columns"
    );
    assert!(message_of(|| top_k_accuracy(&array![[1.0, 2.0]], &[1], 0)).contains("k is at least 1"));
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
