//! Pooling: windows of every size that has a loop of its own, ties, and NaN.

use ndarray::{Array4, ArrayView2, s};
use num_traits::Float;
use wengert::{Dual, Pool, Tape};

use super::whole;

/// The pixels under window `(i, j)` of an image: their rows and columns.
fn under([size, stride, padding]: [[usize; 2]; 3], image: [usize; 2], at: [usize; 2]) -> Vec<(usize, usize)> {
    let along = |axis: usize| {
        let first = at[axis] * stride[axis];
        (first..first + size[axis]).filter_map(move |p| p.checked_sub(padding[axis])).filter(move |p| *p < image[axis])
    };
    along(0).flat_map(|row| along(1).map(move |column| (row, column))).collect()
}

const MOVES: [[[usize; 2]; 3]; 13] = [
    [[2, 2], [2, 2], [0, 0]],
    [[2, 2], [1, 1], [0, 0]],
    [[3, 3], [3, 3], [0, 0]],
    [[3, 3], [1, 2], [0, 0]],
    [[3, 3], [2, 2], [1, 1]],
    [[1, 2], [1, 2], [0, 0]],
    [[3, 2], [2, 2], [0, 0]],
    [[2, 3], [1, 1], [1, 0]],
    [[4, 1], [1, 1], [2, 0]],
    [[1, 4], [2, 3], [0, 2]],
    [[2, 4], [2, 4], [0, 0]],
    [[4, 4], [2, 3], [0, 1]],
    [[1, 1], [2, 3], [0, 0]],
];

fn pool([size, stride, padding]: [[usize; 2]; 3]) -> Pool<2> {
    Pool::new(size).stride(stride).padding(padding)
}

/// Largest pixels and sums, with their gradients, of images on which each pixel in turn is NaN.
#[test]
fn windows_of_every_size() {
    let (rows, columns) = (5, 9);
    for moves in MOVES {
        for bad in 0..=rows * columns {
            let mut i = 0;
            // Few numbers, so that most windows have ties.
            let mut x = Array4::from_shape_simple_fn((2, 1, rows, columns), || {
                i += 1;
                (whole(i) / 2.0).floor()
            });
            if bad > 0 {
                x[[1, 0, (bad - 1) / columns, (bad - 1) % columns]] = f64::NAN;
            }
            let tape = Tape::new();
            let t = tape.tensor(&x);
            let [largest, mean] = [t.max_pool2d(pool(moves)), t.avg_pool2d(pool(moves))];
            let cotangent = Array4::from_shape_fn(largest.value().raw_dim(), |(n, _, i, j)| whole(n + 3 * i + 5 * j));
            let (mut pull_largest, mut pull_mean) = (Array4::<f64>::zeros(x.raw_dim()), Array4::zeros(x.raw_dim()));
            for ((n, _, i, j), &dy) in cotangent.indexed_iter() {
                let image: ArrayView2<'_, f64> = x.slice(s![n, 0, .., ..]);
                let window = under(moves, [rows, columns], [i, j]);
                let has_nan = window.iter().any(|&p| image[p].is_nan());
                let top = window.iter().map(|&p| image[p]).fold(f64::NEG_INFINITY, f64::max);
                let found = largest.value()[[n, 0, i, j]];
                assert!(if has_nan { found.is_nan() } else { found == top }, "{moves:?} {i} {j}: {found}");
                let ties: Vec<_> = window.iter().filter(|&&p| has_nan || image[p] == top).collect();
                for &&(row, column) in &ties {
                    let share = if dy == 0.0 {
                        0.0
                    } else if has_nan {
                        f64::NAN
                    } else {
                        dy / ties.len() as f64
                    };
                    pull_largest[[n, 0, row, column]] += share;
                }
                let count = (moves[0][0] * moves[0][1]) as f64;
                let total: f64 = window.iter().map(|&p| image[p]).sum();
                let found = mean.value()[[n, 0, i, j]];
                assert!((found - total / count).abs() < 1e-14 || (has_nan && found.is_nan()), "{moves:?} {i} {j}");
                for &(row, column) in &window {
                    pull_mean[[n, 0, row, column]] += dy / count;
                }
            }
            for (y, pulled) in [(largest, pull_largest), (mean, pull_mean)] {
                let gradient = y.backward_with(&cotangent);
                for ((at, got), want) in gradient.wrt(t).indexed_iter().zip(&pulled) {
                    let agree = (got - want).abs() < 1e-13 || (got.is_nan() && want.is_nan());
                    assert!(agree, "{moves:?}, NaN at {bad}: the gradient at {at:?} is {got}, not {want}");
                }
            }
        }
    }
}

/// The tangent of the largest pixel is the mean of those that tie; NaN has none to share.
#[test]
fn tangents_of_ties() {
    for moves in MOVES {
        let mut i = 0;
        let x: Array4<Dual<f64, 2>> = Array4::from_shape_simple_fn((1, 2, 5, 9), || {
            i += 1;
            let number = if i == 30 { f64::NAN } else { (whole(i) / 3.0).floor() };
            Dual::new(number, [whole(2 * i + 1), i as f64])
        });
        let tape: Tape<Dual<f64, 2>> = Tape::new();
        let y = tape.constant(&x).max_pool2d(pool(moves));
        for ((_, c, i, j), found) in y.value().indexed_iter() {
            let window: Vec<Dual<f64, 2>> =
                under(moves, [5, 9], [i, j]).iter().map(|&(p, q)| x[[0, c, p, q]]).collect();
            if window.iter().any(|x| x.is_nan()) {
                assert!(found.is_nan(), "{moves:?} {i} {j}");
                continue;
            }
            let top = window.iter().map(|x| x.primal()).fold(f64::NEG_INFINITY, f64::max);
            let ties: Vec<_> = window.iter().filter(|x| x.primal() == top).collect();
            assert_eq!(found.primal(), top);
            for k in 0..2 {
                let mean = ties.iter().map(|x| x.tangents()[k]).sum::<f64>() / ties.len() as f64;
                assert!((found.tangents()[k] - mean).abs() < 1e-13, "{moves:?} {i} {j}: {found}, not {mean}");
            }
        }
    }
}
