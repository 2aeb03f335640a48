//! Reductions, softmax and normalisation along short and long rows and columns, of few and of many fibres, against plain
//! loops over each fibre.

use ndarray::{Array2, ArrayView1, Axis};
use wengert::{Tape, Tensor};

use super::whole;

type Matrix<'t> = Tensor<'t, f64, ndarray::Ix2>;

/// An operation along an axis that keeps the shape, and its values and the pullback of a cotangent on one fibre.
type Operation = (&'static str, for<'t> fn(Matrix<'t>, Axis) -> Matrix<'t>, fn(&[f64], &[f64]) -> [Vec<f64>; 2]);

fn softmax(x: &[f64], dy: &[f64]) -> [Vec<f64>; 2] {
    let total: f64 = x.iter().map(|x| x.exp()).sum();
    let y: Vec<f64> = x.iter().map(|x| x.exp() / total).collect();
    let mean: f64 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
    let dx = y.iter().zip(dy).map(|(y, dy)| y * (dy - mean)).collect();
    [y, dx]
}

fn log_softmax(x: &[f64], dy: &[f64]) -> [Vec<f64>; 2] {
    let [y, _] = softmax(x, dy);
    let total: f64 = dy.iter().sum();
    let dx = y.iter().zip(dy).map(|(y, dy)| dy - y * total).collect();
    [y.iter().map(|y| y.ln()).collect(), dx]
}

const EPSILON: f64 = 0.25;

/// With y = (x - mean)/s and s² = variance + ε: dx = (dy - mean(dy) - y mean(dy y))/s.
fn normalized(x: &[f64], dy: &[f64], centered: bool) -> [Vec<f64>; 2] {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let center = if centered { mean(x) } else { 0.0 };
    let squares: Vec<f64> = x.iter().map(|x| (x - center) * (x - center)).collect();
    let s = (mean(&squares) + EPSILON).sqrt();
    let y: Vec<f64> = x.iter().map(|x| (x - center) / s).collect();
    let products: Vec<f64> = y.iter().zip(dy).map(|(y, dy)| y * dy).collect();
    let shift = if centered { mean(dy) } else { 0.0 };
    let dx = y.iter().zip(dy).map(|(y, dy)| (dy - shift - y * mean(&products)) / s).collect();
    [y, dx]
}

/// The last two are along rows alone.
const OPERATIONS: [Operation; 4] = [
    ("softmax", |x, axis| x.softmax(axis), softmax),
    ("log_softmax", |x, axis| x.log_softmax(axis), log_softmax),
    ("layer_norm", |x, _| x.layer_norm(EPSILON), |x, dy| normalized(x, dy, true)),
    ("rms_norm", |x, _| x.rms_norm(EPSILON), |x, dy| normalized(x, dy, false)),
];

const SHAPES: [(usize, usize); 13] = [
    (1, 1),
    (3, 2),
    (90, 3),
    (2, 31),
    (40, 7),
    (20, 31),
    (9, 32),
    (700, 3),
    (5, 129),
    (2, 513),
    (3, 1500),
    (130, 9),
    (300, 33),
];

#[test]
fn operations_that_keep_the_shape() {
    for (rows, columns) in SHAPES {
        let fill = |seed: usize| {
            let mut i = seed;
            Array2::from_shape_simple_fn((rows, columns), || {
                i += 1;
                whole(i) / 4.0
            })
        };
        let (x, dy) = (fill(0), fill(5));
        for (name, operation, oracle) in OPERATIONS {
            for axis in [Axis(1), Axis(0)] {
                if name.ends_with("norm") && axis == Axis(0) {
                    continue;
                }
                let tape = Tape::new();
                let t = tape.tensor(&x);
                let y = operation(t, axis);
                let gradient = y.backward_with(&dy);
                let lane = |a: ArrayView1<'_, f64>| a.to_vec();
                let of_x = x.lanes(axis).into_iter().zip(dy.lanes(axis)).map(|(x, dy)| oracle(&lane(x), &lane(dy)));
                for (i, [want, pulled]) in of_x.enumerate() {
                    let found = y.value().lanes(axis).into_iter().nth(i).map(lane).unwrap();
                    let got = gradient.wrt(t).lanes(axis).into_iter().nth(i).map(lane).unwrap();
                    for (found, want) in found.iter().zip(&want).chain(got.iter().zip(&pulled)) {
                        let near = (found - want).abs() <= 1e-13 * (1.0 + want.abs());
                        assert!(near, "{name}, {rows} by {columns}, along {axis:?}, fibre {i}: {found}, not {want}");
                    }
                }
            }
        }
    }
}

/// Sums, largest and smallest numbers and lengths of whole numbers, exactly, also of blocks of blocks.
#[test]
fn reductions_of_whole_numbers() {
    for (rows, columns) in
        SHAPES.into_iter().chain([(128 * 128 + 200, 2), (2, 128 * 32 + 40), (640, 40), (129, 8), (128, 5)])
    {
        let x = Array2::from_shape_fn((rows, columns), |(i, j)| whole(i * columns + j));
        let tape = Tape::new();
        let t = tape.tensor(&x);
        for axis in [Axis(0), Axis(1)] {
            let found = [t.sum_axis(axis), t.max_axis(axis), t.min_axis(axis)];
            let norms = t.norm_axis(axis);
            for (i, lane) in x.lanes(axis).into_iter().enumerate() {
                let sum = lane.iter().map(|x| *x as i64).sum::<i64>() as f64;
                let largest = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let least = lane.iter().copied().fold(f64::INFINITY, f64::min);
                let case = format!("{rows} by {columns}, along {axis:?}, fibre {i}");
                assert_eq!(found.map(|y| y.value()[i]), [sum, largest, least], "{case}");
                let squares = lane.iter().map(|x| (*x as i64).pow(2)).sum::<i64>() as f64;
                assert_eq!(norms.value()[i], squares.sqrt(), "{case}");
            }
        }
        assert_eq!(t.sum().value(), x.iter().map(|x| *x as i64).sum::<i64>() as f64);
    }
}

/// The mean and the spread of numbers at both ends of the range of floats.
#[test]
fn spreads_of_extreme_numbers() {
    for unit in [f64::MAX, 1e308, 1e200, 1e160, 1.0, 1e-150, 1e-160, 1e-170, 1e-300] {
        let x = ndarray::arr2(&[[unit, -unit, unit, -unit], [unit, 0.5 * unit, 0.25 * unit, 0.25 * unit]]);
        let tape = Tape::new();
        let t = tape.tensor(&x);
        let std = t.std_axis(Axis(1), 0.0);
        // The second row is unit/2 and unit times ½, 0, -¼, -¼, whose squares add up to 3/8.
        for (found, want) in std.value().iter().zip([1.0, (0.375_f64 / 4.0).sqrt()]) {
            assert!((found / unit - want).abs() <= 4e-16, "{unit:e}: {found:e}");
        }
        let gradient = std.backward_with(&ndarray::arr1(&[1.0, 1.0]));
        // (x - mean)/(n std)
        for (found, want) in gradient.wrt(t).row(0).iter().zip([0.25, -0.25, 0.25, -0.25]) {
            assert!((found - want).abs() <= 4e-16, "{unit:e}: {found:e}");
        }
        let y = t.layer_norm(0.0);
        for (found, want) in y.value().row(0).iter().zip([1.0, -1.0, 1.0, -1.0]) {
            assert!((found - want).abs() <= 4e-16, "{unit:e}: {found:e}");
        }
    }
}
