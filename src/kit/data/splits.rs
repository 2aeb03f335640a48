//! Random splits of examples into training and test sets, and the folds of a cross-validation.

use std::iter::FusedIterator;

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;

use super::batches::part;
use super::rows::indices;

/// Splits the indices 0..len at random into those of a training set and those of a set of `test` test examples.
///
/// ```
/// let (train, test) = wengert::data::train_test_split(1797, 360, 0);
/// assert_eq!((train.len(), test.len()), (1437, 360));
/// ```
///
/// # Panics
///
/// If `test` is greater than `len`.
#[track_caller]
pub fn train_test_split(len: usize, test: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    assert!(test <= len, "train_test_split: {test} test examples were asked for, there are {len} in all");
    let mut train = indices("train_test_split", len);
    train.shuffle(&mut ChaCha12Rng::seed_from_u64(seed));
    let test = train.split_off(len - test);
    (train, test)
}

/// Splits the examples with these labels at random into those of a training set and those of a set of `test` test
/// examples, in which each label has its share: of m examples with one label among n in all, `test` · m / n go to the test
/// set, rounded up or down.
///
/// ```
/// use wengert::data::stratified_split;
///
/// let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1];
/// let (train, test) = stratified_split(&labels, 3, 0);
/// assert_eq!(train.len(), 6);
/// assert_eq!(test.iter().filter(|&&row| labels[row] == 1).count(), 1);
/// ```
///
/// # Panics
///
/// If `test` is greater than the number of labels.
#[track_caller]
pub fn stratified_split(labels: &[usize], test: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let len = labels.len();
    assert!(test <= len, "stratified_split: {test} test examples were asked for, there are {len} in all");
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    // Every `len / test`-th one of the examples in the order of their labels.
    let mut before = 0_u128;
    let (mut tested, mut train): (Vec<_>, Vec<_>) = by_label(labels, &mut rng).into_iter().partition(|_| {
        let after = before + test as u128;
        let step = after / len as u128 > before / len as u128;
        before = after;
        step
    });
    train.shuffle(&mut rng);
    tested.shuffle(&mut rng);
    (train, tested)
}

/// The folds of a cross-validation: cuts 0..len at random into `folds` parts that differ by at most one in size, and
/// returns for each part the indices of all others, for training, and its own, for the test, both in ascending order.
///
/// ```
/// use wengert::data::k_fold;
///
/// let mut tested = Vec::new();
/// for (train, test) in k_fold(10, 3, 0) {
///     assert_eq!(train.len() + test.len(), 10);
///     tested.extend(test);
/// }
/// tested.sort();
/// assert!(tested.into_iter().eq(0..10));
/// ```
///
/// # Panics
///
/// If there are fewer than two folds, or fewer examples than folds.
#[track_caller]
pub fn k_fold(len: usize, folds: usize, seed: u64) -> Folds {
    assert_folds("k_fold", len, folds);
    let mut order = indices("k_fold", len);
    order.shuffle(&mut ChaCha12Rng::seed_from_u64(seed));
    Folds { order, parts: folds, next: 0 }
}

/// Same as [`k_fold`], with labels that are spread evenly: the numbers of examples with one label in two parts differ by at
/// most one.
///
/// ```
/// use wengert::data::stratified_k_fold;
///
/// let labels = [0, 0, 0, 0, 1, 1];
/// for (_train, test) in stratified_k_fold(&labels, 2, 7) {
///     assert_eq!(test.iter().map(|&row| labels[row]).collect::<Vec<_>>(), [0, 0, 1]);
/// }
/// ```
///
/// # Panics
///
/// If there are fewer than two folds, or fewer examples than folds.
#[track_caller]
pub fn stratified_k_fold(labels: &[usize], folds: usize, seed: u64) -> Folds {
    assert_folds("stratified_k_fold", labels.len(), folds);
    let sorted = by_label(labels, &mut ChaCha12Rng::seed_from_u64(seed));
    // The examples are dealt like cards. The first part gets one more where they do not go round, as `part` has it.
    let order = (0..folds).flat_map(|fold| sorted.iter().copied().skip(fold).step_by(folds)).collect();
    Folds { order, parts: folds, next: 0 }
}

/// The indices of all examples, those of equal labels together and in random order.
fn by_label(labels: &[usize], rng: &mut ChaCha12Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(rng);
    order.sort_by_key(|&row| labels[row]);
    order
}

#[track_caller]
fn assert_folds(name: &str, len: usize, folds: usize) {
    assert!(folds >= 2, "{name}: {folds} folds leave nothing to train on; give at least 2");
    assert!(folds <= len, "{name}: {len} examples do not fill {folds} folds");
}

/// Pairs of training and test indices: what [`k_fold`] and [`stratified_k_fold`] return.
#[derive(Clone, Debug)]
pub struct Folds {
    /// The indices, those of one part together.
    order: Vec<usize>,
    parts: usize,
    next: usize,
}

impl Iterator for Folds {
    type Item = (Vec<usize>, Vec<usize>);
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.parts {
            return None;
        }
        let own = part(self.order.len(), self.parts, self.next);
        self.next += 1;
        let mut train = [&self.order[..own.start], &self.order[own.end..]].concat();
        let mut test = self.order[own].to_vec();
        train.sort_unstable();
        test.sort_unstable();
        Some((train, test))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.parts - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Folds {}
impl FusedIterator for Folds {}
