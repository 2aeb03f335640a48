//! Measures of the quality of predictions: of classes, of their probabilities and of numbers.
//!
//! ```
//! use wengert::metrics::{Confusion, accuracy};
//!
//! let (actual, predicted) = ([0, 0, 1, 1, 1], [0, 1, 1, 1, 0]);
//! assert_eq!(accuracy(&predicted, &actual), 0.6);
//!
//! let confusion = Confusion::new(2, &predicted, &actual).named(["cat", "dog"]);
//! assert_eq!(confusion.precision(1), 2.0 / 3.0);
//! assert_eq!(confusion.to_string(), "\
//! actual     cat  dog   recall
//! cat          1    1   50.00%
//! dog          1    2   66.67%
//! precision  50%  67%   60.00%");
//! ```

use std::fmt;

use ndarray::{ArrayBase, ArrayView1, Data, Dimension, Ix2};

use crate::arena::room;
use crate::kernels::{Moments, moments};
use crate::number::{BaseFloat, place_of_greatest};
use crate::slices::LongSum;
use crate::text::Table;

/// The index of the largest element of each row: the predicted classes, from logits or probabilities. Of equal elements
/// the first counts. In a row with a NaN it is the index of the first NaN, as in numpy and PyTorch.
///
/// ```
/// let logits = ndarray::array![[0.1, 2.0, -1.0], [3.0, 3.0, 0.0]];
/// assert_eq!(wengert::metrics::argmax_rows(&logits), [1, 0]);
/// ```
pub fn argmax_rows<F: BaseFloat>(rows: &ArrayBase<impl Data<Elem = F>, Ix2>) -> Vec<usize> {
    rows.rows().into_iter().map(|row| place_of_greatest(row.iter().copied())).collect()
}

/// The share of correct predictions; NaN if there are no predictions.
///
/// # Panics
///
/// If `predicted` and `actual` differ in length.
#[track_caller]
pub fn accuracy(predicted: &[usize], actual: &[usize]) -> f64 {
    assert_as_many("accuracy", predicted.len(), actual.len());
    let hits = predicted.iter().zip(actual).filter(|(p, a)| p == a).count();
    hits as f64 / actual.len() as f64
}

/// The share of rows in which the label is one of the `k` classes with the largest scores; NaN if there are no rows. Of
/// equal scores the first counts as the larger one (scikit-learn: the last), and a NaN as larger than any number, so that
/// `k` = 1 gives the [accuracy] of [`argmax_rows`].
///
/// ```
/// use ndarray::array;
/// use wengert::metrics::top_k_accuracy;
///
/// let scores = array![[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]];
/// assert_eq!(top_k_accuracy(&scores, &[1, 0], 1), 0.0);
/// assert_eq!(top_k_accuracy(&scores, &[1, 0], 2), 0.5);
/// ```
///
/// # Panics
///
/// If there are more or fewer labels than rows, a label is no column, or `k` is 0.
#[track_caller]
pub fn top_k_accuracy<F: BaseFloat>(scores: &ArrayBase<impl Data<Elem = F>, Ix2>, actual: &[usize], k: usize) -> f64 {
    assert!(k > 0, "top_k_accuracy: no label is one of the first 0 classes; k is at least 1");
    assert_columns("top_k_accuracy", scores.dim(), actual);
    let hit = |(row, &label): (ArrayView1<'_, F>, &usize)| {
        let own = row[label];
        let before = |(class, x): (usize, &F)| match (x.is_nan(), own.is_nan()) {
            (false, false) => *x > own || (*x == own && class < label),
            (true, true) => class < label,
            (is_nan, _) => is_nan,
        };
        row.iter().enumerate().filter(|&entry| before(entry)).count() < k
    };
    let hits = scores.rows().into_iter().zip(actual).filter(|&pair| hit(pair)).count();
    hits as f64 / actual.len() as f64
}

/// The mean of -ln p over the probabilities p that the rows give to their labels, summed in `f64`; NaN if there are no rows.
///
/// Each p is taken as it is: a label with probability 0 gives ∞, one with probability 1 gives 0. (scikit-learn clips each p to
/// ε ≤ p ≤ 1 - ε with the machine epsilon ε of its type.) The other probabilities of a row are not looked at, so a row that
/// does not sum to 1 is neither refused nor scaled. From logits,
/// [`softmax_cross_entropy`](crate::Tensor::softmax_cross_entropy) computes the same without over- or underflow.
///
/// ```
/// use ndarray::array;
/// use wengert::metrics::log_loss;
///
/// let loss = log_loss(&array![[0.5, 0.5], [0.75, 0.25]], &[1, 1]);
/// assert!((loss - 1.5 * 2_f64.ln()).abs() < 1e-15);
/// ```
///
/// # Panics
///
/// If there are more or fewer labels than rows, a label is no column, or the probability of a label is not between 0 and 1.
/// (NaN is let through.)
#[track_caller]
pub fn log_loss<F: BaseFloat>(probabilities: &ArrayBase<impl Data<Elem = F>, Ix2>, actual: &[usize]) -> f64 {
    assert_columns("log_loss", probabilities.dim(), actual);
    let mut sum = LongSum::new();
    for (row, (probabilities, &label)) in probabilities.rows().into_iter().zip(actual).enumerate() {
        let p = wide(&probabilities[label]);
        assert!(
            p.is_nan() || (0.0..=1.0).contains(&p),
            "log_loss: row {row} has the probability {p} of class {label}, which is not between 0 and 1; \
             `softmax` makes probabilities of logits"
        );
        sum.add(-p.ln());
    }
    sum.total() / actual.len() as f64
}

/// The area under the receiver operating characteristic: the share of pairs of a positive and another example in which
/// the positive one has the greater score, where a pair with equal scores counts a half.
///
/// The result is NaN if all examples are positive or none is, or if a score is NaN.
///
/// Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27, 2006.
///
/// ```
/// let scores = [0.1, 0.4, 0.35, 0.8];
/// assert_eq!(wengert::metrics::roc_auc(&scores, &[false, false, true, true]), 0.75);
/// ```
///
/// # Panics
///
/// If `scores` and `positive` differ in length.
#[track_caller]
pub fn roc_auc<F: BaseFloat>(scores: &[F], positive: &[bool]) -> f64 {
    assert_as_many("roc_auc", scores.len(), positive.len());
    if scores.iter().any(|score| score.is_nan()) {
        return f64::NAN;
    }
    let mut examples: Vec<(F, bool)> = scores.iter().copied().zip(positive.iter().copied()).collect();
    examples.sort_by(|(a, _), (b, _)| a.partial_cmp(b).expect("no score is NaN"));
    // Twice the number of pairs in the right order: in integers, so that the sum is exact.
    let (mut pairs, mut others) = (0_u128, 0_u128);
    for equal in examples.chunk_by(|(a, _), (b, _)| a == b) {
        let hits = equal.iter().filter(|(_, positive)| *positive).count() as u128;
        let misses = equal.len() as u128 - hits;
        pairs += hits * (2 * others + misses);
        others += misses;
    }
    let hits = examples.len() as u128 - others;
    pairs as f64 / (2 * hits * others) as f64
}

/// e^loss for a mean cross-entropy in nats: the number of equally likely choices that would give this loss.
///
/// Jelinek, Mercer, Bahl and Baker, Perplexity - a measure of the difficulty of speech recognition
/// tasks, J. Acoust. Soc. Am. 62, 1977.
///
/// ```
/// assert!((wengert::metrics::perplexity(8_f64.ln()) - 8.0).abs() < 1e-12);
/// ```
pub fn perplexity(nats: f64) -> f64 {
    nats.exp()
}

/// The mean squared error, Σ (pᵢ - aᵢ)² / n, summed in `f64`.
///
/// # Panics
///
/// If the shapes differ.
#[track_caller]
pub fn mse<F: BaseFloat, D: Dimension>(
    predicted: &ArrayBase<impl Data<Elem = F>, D>,
    actual: &ArrayBase<impl Data<Elem = F>, D>,
) -> f64 {
    mean_of("mse", predicted, actual, |error| error * error)
}

/// The root of the [mean squared error](mse).
///
/// In a matrix all elements count alike; scikit-learn takes the mean of the roots of the columns.
///
/// # Panics
///
/// If the shapes differ.
#[track_caller]
pub fn rmse<F: BaseFloat, D: Dimension>(
    predicted: &ArrayBase<impl Data<Elem = F>, D>,
    actual: &ArrayBase<impl Data<Elem = F>, D>,
) -> f64 {
    mean_of("rmse", predicted, actual, |error| error * error).sqrt()
}

/// The mean absolute error, Σ |pᵢ - aᵢ| / n, summed in `f64`.
///
/// # Panics
///
/// If the shapes differ.
#[track_caller]
pub fn mae<F: BaseFloat, D: Dimension>(
    predicted: &ArrayBase<impl Data<Elem = F>, D>,
    actual: &ArrayBase<impl Data<Elem = F>, D>,
) -> f64 {
    mean_of("mae", predicted, actual, f64::abs)
}

/// The coefficient of determination, 1 - Σ (pᵢ - aᵢ)² / Σ (aᵢ - ā)²: 1 for perfect predictions, 0 for predictions as
/// good as the mean ā, negative for worse ones.
///
/// In a matrix all elements count alike, with one mean ā; scikit-learn takes the mean of the coefficients of the columns. If
/// the actual values are all equal, the result is NaN for perfect predictions and -∞ for others; scikit-learn gives 1 and 0.
///
/// ```
/// use ndarray::array;
/// use wengert::metrics::r2;
///
/// assert_eq!(r2(&array![2.0, 4.0, 6.0], &array![1.0, 4.0, 7.0]), 1.0 - 2.0 / 18.0);
/// ```
///
/// # Panics
///
/// If the shapes differ.
#[track_caller]
pub fn r2<F: BaseFloat, D: Dimension>(
    predicted: &ArrayBase<impl Data<Elem = F>, D>,
    actual: &ArrayBase<impl Data<Elem = F>, D>,
) -> f64 {
    let mut deviations: Vec<f64> = actual.iter().map(wide).collect();
    let Moments { unit, square, .. } = moments(&mut deviations, true);
    let residual = sum_of("r2", predicted, actual, |error| (error / unit).powi(2));
    1.0 - residual / square
}

#[track_caller]
fn mean_of<F: BaseFloat, D: Dimension>(
    name: &str,
    predicted: &ArrayBase<impl Data<Elem = F>, D>,
    actual: &ArrayBase<impl Data<Elem = F>, D>,
    f: impl Fn(f64) -> f64,
) -> f64 {
    sum_of(name, predicted, actual, f) / actual.len() as f64
}

#[track_caller]
fn sum_of<F: BaseFloat, D: Dimension>(
    name: &str,
    predicted: &ArrayBase<impl Data<Elem = F>, D>,
    actual: &ArrayBase<impl Data<Elem = F>, D>,
    f: impl Fn(f64) -> f64,
) -> f64 {
    assert!(
        predicted.shape() == actual.shape(),
        "{name}: predictions of shape {:?} do not fit actual values of shape {:?}",
        predicted.shape(),
        actual.shape()
    );
    LongSum::of(predicted.iter().zip(actual).map(|(p, a)| f(wide(p) - wide(a))))
}

fn wide<F: BaseFloat>(x: &F) -> f64 {
    x.to_f64().unwrap_or(f64::NAN)
}

#[track_caller]
fn assert_as_many(name: &str, predicted: usize, actual: usize) {
    assert!(predicted == actual, "{name}: {predicted} predictions do not fit {actual} labels");
}

#[track_caller]
fn assert_columns(name: &str, (rows, classes): (usize, usize), actual: &[usize]) {
    assert_as_many(name, rows, actual.len());
    if let Some(label) = actual.iter().find(|&&label| label >= classes) {
        panic!("{name}: class {label} is not one of the {classes} columns");
    }
}

/// The confusion matrix of a classifier: counts of predictions, with a row for each actual class and a column for each
/// predicted one.
///
/// A printed `Confusion` is a table with the recall of each row, the precision of each column and the accuracy in the
/// corner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<usize>,
    names: Vec<String>,
}

impl Confusion {
    /// The counts of predictions against labels.
    ///
    /// # Panics
    ///
    /// If `predicted` and `actual` differ in length, or a class is not below `classes`.
    #[track_caller]
    pub fn new(classes: usize, predicted: &[usize], actual: &[usize]) -> Self {
        let mut counts = room("Confusion::new", &[classes, classes]);
        counts.resize(classes * classes, 0);
        let names = (0..classes).map(|class| class.to_string()).collect();
        let mut confusion = Self { counts, names };
        confusion.add(predicted, actual);
        confusion
    }

    /// Adds the counts of more predictions, for example of the next batch.
    ///
    /// # Panics
    ///
    /// Same as for [`new`](Self::new).
    #[track_caller]
    pub fn add(&mut self, predicted: &[usize], actual: &[usize]) {
        assert_as_many("Confusion", predicted.len(), actual.len());
        let classes = self.classes();
        for (&p, &a) in predicted.iter().zip(actual) {
            assert!(p < classes && a < classes, "Confusion: class {} is not one of the {classes} classes", p.max(a));
            self.counts[a * classes + p] += 1;
        }
    }

    /// Names the classes in the printed table.
    ///
    /// # Panics
    ///
    /// If the number of names is not that of the classes.
    #[track_caller]
    #[must_use]
    pub fn named(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        assert!(
            names.len() == self.names.len(),
            "Confusion::named: {} names do not fit {} classes",
            names.len(),
            self.names.len()
        );
        Self { names, ..self }
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.names.len()
    }

    /// The number of examples of the class `actual` that were predicted as the class `predicted`.
    ///
    /// # Panics
    ///
    /// If `actual` or `predicted` is not below [`classes`](Self::classes).
    #[track_caller]
    pub fn count(&self, actual: usize, predicted: usize) -> usize {
        self.assert_class("count", actual);
        self.assert_class("count", predicted);
        self.counts[actual * self.classes() + predicted]
    }

    #[track_caller]
    fn assert_class(&self, name: &str, class: usize) {
        let classes = self.classes();
        assert!(class < classes, "Confusion::{name}: class {class} is not one of the {classes} classes");
    }

    /// The share of correct predictions; NaN if there are no predictions.
    pub fn accuracy(&self) -> f64 {
        let hits: usize = (0..self.classes()).map(|c| self.count(c, c)).sum();
        hits as f64 / self.counts.iter().sum::<usize>() as f64
    }

    /// The share of correct predictions among those of one class; NaN if the class was never predicted.
    ///
    /// # Panics
    ///
    /// If `class` is not below [`classes`](Self::classes).
    #[track_caller]
    pub fn precision(&self, class: usize) -> f64 {
        self.assert_class("precision", class);
        let predicted: usize = (0..self.classes()).map(|actual| self.count(actual, class)).sum();
        self.count(class, class) as f64 / predicted as f64
    }

    /// The share of correct predictions among the examples of one class; NaN if the class has no examples.
    ///
    /// # Panics
    ///
    /// If `class` is not below [`classes`](Self::classes).
    #[track_caller]
    pub fn recall(&self, class: usize) -> f64 {
        self.assert_class("recall", class);
        self.count(class, class) as f64 / self.support(class) as f64
    }

    /// 2TP / (2TP + FP + FN), the harmonic mean of precision and recall; NaN if the class occurs neither in labels nor
    /// in predictions.
    ///
    /// van Rijsbergen, Information retrieval, 2nd edition, Butterworths 1979, chapter 7.
    ///
    /// # Panics
    ///
    /// If `class` is not below [`classes`](Self::classes).
    #[track_caller]
    pub fn f1(&self, class: usize) -> f64 {
        self.assert_class("f1", class);
        let both: usize = (0..self.classes()).map(|other| self.count(class, other) + self.count(other, class)).sum();
        2.0 * self.count(class, class) as f64 / both as f64
    }

    /// Precision, recall and F₁ over all classes.
    ///
    /// A class whose precision is NaN, because it was never predicted, is left out of the mean of precisions, and likewise for
    /// recall and F₁. scikit-learn does so with `zero_division=np.nan`; by default it counts the precision of such a class as 0.
    ///
    /// ```
    /// use wengert::metrics::{Average, Confusion};
    ///
    /// let confusion = Confusion::new(2, &[0, 1, 1, 1, 0], &[0, 0, 1, 1, 1]);
    /// assert_eq!(confusion.scores(Average::Macro).recall, (1.0 / 2.0 + 2.0 / 3.0) / 2.0);
    /// assert_eq!(confusion.scores(Average::Weighted).recall, 0.6);
    /// ```
    pub fn scores(&self, average: Average) -> Scores {
        if average == Average::Micro {
            let accuracy = self.accuracy();
            return Scores { precision: accuracy, recall: accuracy, f1: accuracy };
        }
        let mean = |score: &dyn Fn(usize) -> f64| {
            let (mut sum, mut weights) = (0.0, 0.0);
            for class in (0..self.classes()).filter(|&class| !score(class).is_nan()) {
                let weight = if average == Average::Weighted { self.support(class) as f64 } else { 1.0 };
                sum += weight * score(class);
                weights += weight;
            }
            sum / weights
        };
        Scores {
            precision: mean(&|class| self.precision(class)),
            recall: mean(&|class| self.recall(class)),
            f1: mean(&|class| self.f1(class)),
        }
    }

    /// The number of examples of a class.
    ///
    /// # Panics
    ///
    /// If `class` is not below [`classes`](Self::classes).
    #[track_caller]
    pub fn support(&self, class: usize) -> usize {
        self.assert_class("support", class);
        (0..self.classes()).map(|predicted| self.count(class, predicted)).sum()
    }
}

/// The mean over classes that [`Confusion::scores`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Each class counts alike.
    Macro,
    /// Each prediction counts alike. With one label for each example all three scores are then the accuracy.
    Micro,
    /// Each class counts by its number of examples.
    Weighted,
}

/// Precision, recall and F₁ over all classes, from [`Confusion::scores`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// The mean of [`Confusion::precision`].
    pub precision: f64,
    /// The mean of [`Confusion::recall`].
    pub recall: f64,
    /// The mean of [`Confusion::f1`].
    pub f1: f64,
}

impl fmt::Display for Confusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |x: f64, digits: usize| if x.is_nan() { "-".into() } else { format!("{:.digits$}%", 100.0 * x) };
        let row = |head: &str, cells: &dyn Fn(usize) -> String, end: String| -> Vec<String> {
            std::iter::once(head.to_owned()).chain((0..self.classes()).map(cells)).chain([end]).collect()
        };
        // The last column has room for 100.00%.
        let mut rows = vec![row("actual", &|class| self.names[class].clone(), format!("{:>7}", "recall"))];
        rows.extend((0..self.classes()).map(|actual| {
            let counts = |predicted| self.count(actual, predicted).to_string();
            row(&self.names[actual], &counts, share(self.recall(actual), 2))
        }));
        rows.push(row("precision", &|class| share(self.precision(class), 0), share(self.accuracy(), 2)));
        f.write_str(&Table { right: 1..self.classes() + 2, ..Table::default() }.print(&rows))
    }
}
