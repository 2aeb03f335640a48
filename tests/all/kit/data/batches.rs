//! Batches, splits, and rows that are gathered.

use ndarray::{Array, Axis, array};
use wengert::data::{self, Batches};

use crate::support::panics::message_of;

#[test]
fn every_index_once_in_an_epoch() {
    let mut batches = Batches::new(103, 10, 7);
    assert_eq!((batches.len(), batches.is_empty()), (11, false));
    let in_order: Vec<usize> = batches.iter().flatten().copied().collect();
    assert!(in_order.iter().copied().eq(0..103));
    let mut orders = vec![in_order];
    for _ in 0..3 {
        let sizes: Vec<usize> = batches.shuffle().map(<[usize]>::len).collect();
        assert_eq!(sizes, [[10; 10].as_slice(), &[3]].concat());
        let order: Vec<usize> = (&batches).into_iter().flatten().copied().collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..103));
        assert!(!orders.contains(&order));
        orders.push(order);
    }
    assert_eq!(Batches::new(0, 4, 0).shuffle().count(), 0);
}

#[test]
fn the_last_batch_is_left_out() {
    let mut batches = Batches::new(103, 10, 7).drop_last(true);
    assert_eq!(batches.len(), 10);
    let mut left_out = std::collections::HashSet::new();
    for _ in 0..3 {
        assert!(batches.shuffle().all(|batch| batch.len() == 10));
        let seen: std::collections::HashSet<usize> = batches.iter().flatten().copied().collect();
        assert_eq!(seen.len(), 100);
        left_out.insert((0..103).filter(|i| !seen.contains(i)).collect::<Vec<_>>());
    }
    assert_eq!(left_out.len(), 3, "each epoch leaves out others");
    // The same orders as without the option, and nothing to leave out.
    let mut whole = Batches::new(103, 10, 7);
    whole.skip(3);
    assert!(whole.iter().take(10).eq(batches.iter()));
    assert_eq!(Batches::new(100, 10, 7).drop_last(true).len(), 10);
    assert_eq!(Batches::new(103, 10, 7).drop_last(true).drop_last(false).len(), 11);
    assert_eq!(Batches::new(0, 4, 0).drop_last(true).len(), 0);
    let text = message_of(|| Batches::new(3, 4, 0).drop_last(true));
    assert!(text.contains("3 examples do not fill one batch of 4"), "{text}");
}

/// The parts of all ranks together are the batches of one process, also when the last ones are smaller or empty.
#[test]
fn shards_are_parts_of_every_batch() {
    for (len, size) in [(103, 10), (40, 10), (7, 7), (5, 9), (1, 4), (0, 4)] {
        for ranks in 1..=size.min(5) {
            let mut whole = Batches::new(len, size, 3);
            let mut shards: Vec<_> = (0..ranks).map(|rank| whole.clone().shard(rank, ranks)).collect();
            for _ in 0..2 {
                let expected: Vec<_> = whole.shuffle().collect();
                let parts: Vec<Vec<_>> = shards.iter_mut().map(|shard| shard.shuffle().collect()).collect();
                for (rank, part) in parts.iter().enumerate() {
                    assert_eq!(part.len(), expected.len(), "{len} {size} {rank}");
                }
                for (i, batch) in expected.iter().enumerate() {
                    let sizes: Vec<usize> = parts.iter().map(|part| part[i].len()).collect();
                    assert_eq!(&parts.iter().flat_map(|part| part[i]).copied().collect::<Vec<_>>(), batch);
                    assert!(sizes.iter().all(|&n| n == batch.len() / ranks || n == batch.len().div_ceil(ranks)));
                    assert!(sizes.is_sorted_by(|a, b| a >= b));
                }
            }
            assert!(shards.iter().all(|shard| shard.len() == whole.len() && shard.is_empty() == whole.is_empty()));
        }
    }
    // Options of a whole batch, in either order, and the other methods of the iterator.
    let mut shard = Batches::new(11, 4, 0).shard(1, 3).drop_last(true);
    assert_eq!((shard.len(), shard.iter().len()), (2, 2));
    assert_eq!(shard.iter().collect::<Vec<_>>(), [[2], [6]]);
    assert_eq!(shard.iter().rev().collect::<Vec<_>>(), [[6], [2]]);
    assert_eq!((shard.iter().nth(1), shard.iter().nth(2)), (Some(&[6][..]), None));
    assert!(shard.clone().shuffle().eq(shard.shuffle()));
    let whole = shard.shard(0, 1);
    assert_eq!(whole.iter().map(<[usize]>::len).collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn the_seed_decides() {
    let order = |seed| Batches::new(50, 7, seed).shuffle().flatten().copied().collect::<Vec<_>>();
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    let split = |seed| data::train_test_split(50, 10, seed);
    assert_eq!(split(1), split(1));
    assert_ne!(split(1), split(2));
}

/// A χ² test of the 24 orders of four from a fixed seed: with 23 degrees of freedom χ² is below 49.7 in 99.9% of
/// cases (Abramowitz and Stegun, table 26.8).
#[test]
fn orders_are_equally_likely() {
    let mut batches = Batches::new(4, 4, 11);
    let mut counts = std::collections::HashMap::new();
    for _ in 0..24_000 {
        let order = batches.shuffle().next().expect("one batch").to_vec();
        *counts.entry(order).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 24);
    let chi2: f64 = counts.values().map(|&n| f64::from(n - 1000).powi(2) / 1000.0).sum();
    assert!(chi2 < 49.7, "{chi2}");
}

#[test]
fn a_split_is_a_partition() {
    let (train, test) = data::train_test_split(1797, 360, 0);
    assert_eq!((train.len(), test.len()), (1437, 360));
    let mut all = [train, test].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..1797));
    assert!(data::train_test_split(3, 0, 0).1.is_empty());
    assert!(data::train_test_split(3, 3, 0).0.is_empty());
}

#[test]
fn rows_are_gathered_from_any_layout() {
    let a = Array::from_shape_fn((5, 2, 3), |(i, j, k)| 100 * i + 10 * j + k);
    let rows = [4, 0, 4, 2];
    let mut buffer = Vec::new();
    let expected = a.select(Axis(0), &rows);
    assert_eq!(data::gather_rows(&a, &rows, &mut buffer), expected);
    let place = buffer.as_ptr();
    let fortran = a.view().reversed_axes().as_standard_layout().reversed_axes().to_owned();
    assert!(!fortran.is_standard_layout());
    assert_eq!(data::gather_rows(&fortran, &rows, &mut buffer), expected);
    assert_eq!(data::gather_rows(&a.view().into_dyn(), &rows, &mut buffer), expected.into_dyn());
    assert_eq!(data::gather_rows(&a, &[], &mut buffer).shape(), [0, 2, 3]);
    assert_eq!(place, buffer.as_ptr());
    assert_eq!(data::gather(&["a", "b", "c"], &[2, 0], &mut Vec::new()), ["c", "a"]);
}

#[test]
fn bad_numbers_are_named() {
    let text = message_of(|| Batches::new(9, 0, 0));
    assert!(text.contains("size of at least 1"), "{text}");
    let text = message_of(|| Batches::new(9, 3, 0).shard(2, 2));
    assert!(text.contains("no rank 2 among 2"), "{text}");
    let text = message_of(|| Batches::new(9, 3, 0).shard(0, 0));
    assert!(text.contains("no rank 0 among 0"), "{text}");
    let text = message_of(|| Batches::new(9, 3, 0).shard(0, 4));
    assert!(text.contains("batches of 3 examples leave some of 4 ranks without any"), "{text}");
    let text = message_of(|| data::part(9, 2, 2));
    assert!(text.contains("no part 2 among 2"), "{text}");
    let text = message_of(|| data::train_test_split(9, 10, 0));
    assert!(text.contains("10 test examples were asked for, there are 9"), "{text}");
    let text = message_of(|| {
        data::gather_rows(&array![[1], [2]], &[0, 2], &mut Vec::new());
    });
    assert!(text.contains("row 2 is out of range for shape [2, 1]"), "{text}");
    let text = message_of(|| {
        data::gather(&[1, 2], &[2], &mut Vec::new());
    });
    assert!(text.contains("index 2 is out of range for 2 items"), "{text}");
}

/// A run that is resumed by a later version draws the same batches. The order is the one of `SliceRandom::shuffle` by
/// rand 0.9's `StdRng`, which was ChaCha with 12 rounds too.
#[test]
fn orders_of_a_seed_are_fixed() {
    let mut batches = Batches::new(12, 12, 7);
    batches.skip(2);
    assert_eq!(batches.shuffle().next().unwrap(), [10, 9, 0, 7, 11, 4, 5, 1, 8, 3, 2, 6]);
    assert_eq!(data::train_test_split(12, 4, 7), (vec![1, 3, 4, 6, 11, 7, 2, 5], vec![8, 9, 10, 0]));
}

#[test]
fn a_clone_goes_on_alike() {
    let mut batches = Batches::new(50, 7, 3);
    batches.skip(2);
    let mut clone = batches.clone();
    assert!(clone.iter().eq(batches.iter()));
    for _ in 0..3 {
        assert!(clone.shuffle().eq(batches.shuffle()));
    }
}
