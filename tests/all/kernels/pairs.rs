//! Operators of two arrays of which one may be broadcast: values and gradients.

use ndarray::{ArrayD, IxDyn};
use wengert::{Tape, Tensor};

use super::whole;
use crate::support::layouts::{LAYOUTS, lay_out};

type Operator = (
    &'static str,
    for<'t> fn(Tensor<'t, f64, IxDyn>, Tensor<'t, f64, IxDyn>) -> Tensor<'t, f64, IxDyn>,
    fn(f64, f64) -> [f64; 3],
);

/// Operators with their value and partials; the first two are precompiled, the last is not.
const OPERATORS: [Operator; 3] = [
    ("product", |a, b| a * b, |a, b| [a * b, b, a]),
    ("difference", |a, b| a - b, |a, b| [a - b, 1.0, -1.0]),
    (
        "maximum",
        |a, b| a.maximum(b),
        |a, b| {
            let share = if a == b { 0.5 } else { f64::from(u8::from(a > b)) };
            [a.max(b), share, 1.0 - share]
        },
    ),
];

/// The sum over the axes along which an array of `shape` was broadcast.
fn summed(terms: &ArrayD<f64>, shape: &[usize]) -> ArrayD<f64> {
    let mut sum = ArrayD::zeros(shape);
    let skipped = terms.ndim() - shape.len();
    for (index, term) in terms.indexed_iter() {
        let own: Vec<usize> =
            shape.iter().enumerate().map(|(k, &n)| if n == 1 { 0 } else { index[skipped + k] }).collect();
        sum[IxDyn(&own)] += term;
    }
    sum
}

#[track_caller]
fn check((name, operator, oracle): Operator, a: &ArrayD<f64>, b: &ArrayD<f64>, case: &str) {
    let case = format!("{name}, {:?} and {:?}, {case}", a.shape(), b.shape());
    let tape = Tape::new();
    let (s, t) = (tape.tensor(a), tape.tensor(b));
    let z = operator(s, t);
    let shape = z.shape().to_vec();
    let [wide_a, wide_b] = [a, b].map(|x| x.broadcast(shape.clone()).unwrap().to_owned());
    let at = |index: &IxDyn, k: usize| oracle(wide_a[index], wide_b[index])[k];
    let values = ArrayD::from_shape_fn(shape.clone(), |index| at(&index, 0));
    assert!(z.value() == values, "{case}: the values");
    let mut i = 0;
    let cotangent = ArrayD::from_shape_simple_fn(shape.clone(), || {
        i += 1;
        whole(3 * i + 1)
    });
    let gradient = z.backward_with(&cotangent);
    for (k, x, tensor) in [(1, a, s), (2, b, t)] {
        let terms = ArrayD::from_shape_fn(shape.clone(), |index| cotangent[&index] * at(&index, k));
        assert!(gradient.wrt(tensor) == summed(&terms, x.shape()), "{case}: the gradient of operand {k}");
    }
}

/// A repeated row, of each length at which the loop changes; a column; a single number; an axis between others.
#[test]
fn every_way_of_a_pair() {
    let rows = |n: usize| [vec![4, n], vec![n]];
    let mut shapes: Vec<[Vec<usize>; 2]> = [1, 2, 5, 8, 9, 63, 64, 65, 127, 128, 129, 300].map(rows).into();
    shapes.extend([
        [vec![40, 5], vec![1, 5]],
        [vec![6, 3], vec![6, 1]],
        [vec![3, 20], vec![3, 1]],
        [vec![3, 150], vec![3, 1]],
        [vec![300], vec![1]],
        [vec![2, 3, 4], vec![2, 1, 4]],
        [vec![3, 2, 150], vec![3, 1, 150]],
        [vec![2, 1, 4], vec![1, 3, 1]],
        [vec![7], vec![7]],
        [vec![3, 5], vec![3, 5]],
        [vec![2, 0, 3], vec![3]],
    ]);
    for [long, short] in &shapes {
        for layout in LAYOUTS {
            let [a, b] =
                [(long, 1), (short, 8)].map(|(shape, seed)| lay_out::<f64>(layout, shape, |i| whole(i + seed)));
            // An operand in another layout than the other.
            let plain = b.as_standard_layout().into_owned();
            for operator in OPERATORS {
                check(operator, &a, &b, layout);
                check(operator, &b, &a, layout);
                check(operator, &a, &plain, layout);
                check(operator, &plain, &a, layout);
            }
        }
    }
}

/// A row beside rows that are parts of longer ones.
#[test]
fn a_row_beside_rows_apart() {
    let (a, b) = (lay_out::<f64>(LAYOUTS[0], &[6, 9], whole), lay_out::<f64>(LAYOUTS[0], &[5], |i| whole(i + 8)));
    let tape = Tape::new();
    let (s, t) = (tape.tensor(&a), tape.tensor(&b));
    let part = s.slice(ndarray::s![.., 2..7]);
    let z = [part * t, t * part];
    for z in z {
        for ((i, j), z) in z.value().into_dimensionality::<ndarray::Ix2>().unwrap().indexed_iter() {
            assert_eq!(*z, a[[i, j + 2]] * b[j]);
        }
    }
    let gradient = (z[0].sum() + 2.0 * z[1].sum()).backward();
    for j in 0..5 {
        let column: f64 = (0..6).map(|i| a[[i, j + 2]]).sum();
        assert_eq!(gradient.wrt(t)[j], 3.0 * column);
        assert!((0..6).all(|i| gradient.wrt(s)[[i, j + 2]] == 3.0 * b[j]));
    }
    assert!((0..6).all(|i| [0, 1, 7, 8].iter().all(|&j| gradient.wrt(s)[[i, j]] == 0.0)));
}

/// Sums of more terms than a block has, whole blocks and a rest, blocks of blocks, each with the operand on either side.
#[test]
fn sums_of_many_blocks() {
    for (long, short) in [
        // The tile of a short row, 128 times and some more.
        (vec![128 * 25 * 2 + 7, 5], vec![5]),
        (vec![128 * 128 + 130], vec![1]),
        // The outermost axis.
        (vec![129, 70], vec![70]),
        (vec![256, 3, 2], vec![3, 1]),
        (vec![300, 2, 2], vec![1, 2]),
        (vec![128 * 128 + 128 + 3, 2, 2], vec![2, 1]),
    ] {
        let [a, b] =
            [(&long, 1), (&short, 8)].map(|(shape, seed)| lay_out::<f64>(LAYOUTS[0], shape, |i| whole(i + seed)));
        check(OPERATORS[0], &a, &b, "many blocks");
        check(OPERATORS[0], &b, &a, "many blocks");
    }
}
