//! Folds, stratified splits and draws by weight.

use std::collections::BTreeMap;

use wengert::data::{WeightedSampler, k_fold, stratified_k_fold, stratified_split};

use crate::support::panics::message_of;

/// The number of examples with each label.
fn counts(labels: &[usize], rows: &[usize]) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for &row in rows {
        *counts.entry(labels[row]).or_default() += 1;
    }
    counts
}

fn sorted(mut rows: Vec<usize>) -> Vec<usize> {
    rows.sort_unstable();
    rows
}

/// Labels of very different frequencies.
fn labels(len: usize) -> Vec<usize> {
    (0..len).map(|i| [7, 0, 0, 3, 0, 3, 0, 0, 9, 0, 3][i * i % 11]).collect()
}

#[test]
fn every_example_is_tested_once() {
    for (len, folds) in [(2, 2), (10, 3), (101, 10), (12, 12), (64, 5)] {
        let labels = labels(len);
        for plain in [true, false] {
            let pairs = |seed| if plain { k_fold(len, folds, seed) } else { stratified_k_fold(&labels, folds, seed) };
            assert_eq!(pairs(3).len(), folds);
            let mut tested = Vec::new();
            for (train, test) in pairs(3) {
                assert!(train.is_sorted() && test.is_sorted());
                assert!(test.len() == len / folds || test.len() == len / folds + 1);
                assert!(sorted([train, test.clone()].concat()).into_iter().eq(0..len));
                if !plain {
                    let whole = counts(&labels, &(0..len).collect::<Vec<_>>());
                    for (label, count) in counts(&labels, &test) {
                        assert!(count.abs_diff(whole[&label] / folds) <= 1, "{len} {folds}: {count} of label {label}");
                    }
                }
                tested.extend(test);
            }
            assert!(sorted(tested).into_iter().eq(0..len));
            assert!(pairs(3).eq(pairs(3)));
            assert!(len < 10 || !pairs(3).eq(pairs(4)), "{len} {folds}");
        }
    }
    assert!(message_of(|| k_fold(10, 1, 0)).contains("k_fold: 1 folds leave nothing to train on"));
    assert!(
        message_of(|| stratified_k_fold(&[0, 1], 3, 0)).contains("stratified_k_fold: 2 examples do not fill 3 folds")
    );
}

/// Every example is as likely as any other to be in a fold.
#[test]
fn folds_are_fair() {
    let (labels, mut first) = ([0, 1, 1, 0, 1, 0, 0], [0_u32; 7]);
    for seed in 0..2000 {
        for row in stratified_k_fold(&labels, 3, seed).next().unwrap().1 {
            first[row] += 1;
        }
    }
    // Of four zeros two are in the first fold, of three ones one: 1000 and 667 of 2000, ± 5 σ.
    for (label, count) in labels.into_iter().zip(first) {
        assert!(count.abs_diff([1000, 667][label]) < 112, "{first:?}");
    }
}

#[test]
fn stratified_splits_keep_shares() {
    for (len, test) in [(0, 0), (1, 0), (1, 1), (50, 10), (97, 33), (97, 97)] {
        let labels = labels(len);
        let (train, tested) = stratified_split(&labels, test, 5);
        assert_eq!(tested.len(), test);
        let whole = counts(&labels, &(0..len).collect::<Vec<_>>());
        for (label, count) in whole {
            let share = count as f64 * test as f64 / len as f64;
            let found = counts(&labels, &tested).get(&label).copied().unwrap_or_default() as f64;
            assert!((found - share).abs() < 1.0, "{len} {test}: {found} of label {label}, {share} expected");
        }
        assert!(sorted([train, tested].concat()).into_iter().eq(0..len));
        assert_eq!(stratified_split(&labels, test, 5), stratified_split(&labels, test, 5));
    }
    assert_ne!(stratified_split(&labels(50), 10, 5), stratified_split(&labels(50), 10, 6));
    assert!(message_of(|| stratified_split(&[1], 2, 0)).contains("2 test examples were asked for, there are 1 in all"));
}

#[test]
fn draws_follow_the_weights() {
    let weights = [0.0_f32, 1.0, 3.0, 0.0, 4.0, 0.0];
    let mut counts = [0_u32; 6];
    for row in WeightedSampler::new(&weights, 1).take(80_000) {
        counts[row] += 1;
    }
    // ± 5 σ.
    for (weight, count) in weights.into_iter().zip(counts) {
        let share = f64::from(weight) / 8.0;
        let spread = 5.0 * (80_000.0 * share * (1.0 - share)).sqrt();
        assert!((f64::from(count) - 80_000.0 * share).abs() <= spread, "{counts:?}");
    }
    let draws = |seed| WeightedSampler::new(&weights, seed).take(20).collect::<Vec<_>>();
    assert_eq!(draws(3), draws(3));
    assert_ne!(draws(3), draws(4));
    let mut resumed = WeightedSampler::new(&weights, 3);
    resumed.nth(9);
    assert_eq!(resumed.take(10).collect::<Vec<_>>(), draws(3)[10..]);
    assert!(WeightedSampler::new(&[1e-300], 0).take(5).all(|row| row == 0));
    assert!(WeightedSampler::new(&[0.0, 5e-324], 0).take(5).all(|row| row == 1));

    let message = |weights: &[f64]| message_of(|| WeightedSampler::new(weights, 0));
    assert!(message(&[1.0, -0.5]).contains("weight 1 is -0.5, which is no share"));
    assert!(message(&[f64::NAN]).contains("weight 0 is NaN"));
    assert!(message(&[f64::INFINITY]).contains("weight 0 is inf"));
    assert!(message(&[0.0, 0.0]).contains("the 2 weights add up to 0"));
    assert!(message(&[]).contains("the 0 weights add up to"));
    assert!(message(&[1e308, 1e308]).contains("the 2 weights add up to inf"));
    assert!(message_of(|| WeightedSampler::balanced(&[], 0)).contains("the 0 weights add up to"));
}

/// The order for a seed is part of the interface: a resumed run draws it again.
#[test]
fn a_seed_gives_these() {
    let of_folds = k_fold(6, 2, 7).next().unwrap().1;
    let of_labels = stratified_k_fold(&[0, 0, 1, 1, 1, 0], 2, 7).next().unwrap().1;
    let split = stratified_split(&[0, 0, 1, 1, 1, 0], 2, 7);
    let draws: Vec<usize> = WeightedSampler::new(&[1.0, 2.0, 3.0], 7).take(8).collect();
    assert_eq!((of_folds, of_labels), (vec![1, 3, 4], vec![1, 4, 5]));
    assert_eq!((split, draws), ((vec![4, 1, 0, 3], vec![5, 2]), vec![0, 1, 0, 2, 1, 2, 1, 1]));
}
