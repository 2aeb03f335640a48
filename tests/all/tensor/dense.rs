//! The affine map against sums by definition, in every layout of its operands, and dense layers against their
//! parts.

use ndarray::{Array1, Array2, Ix1, Ix2, array, s};
use wengert::{Activation, BaseFloat, Dual, Tape, Tensor};

use crate::support::close::{assert_close, to_f64};
use crate::support::layouts::{WAYS, matrix, number, placed, seen};

fn affine_by_definition<F: BaseFloat>() {
    let tolerance = 64.0 * to_f64(&F::epsilon());
    for (m, k, n) in [(1, 1, 1), (4, 2, 8), (3, 5, 1), (1, 7, 9), (5, 0, 3), (32, 16, 16), (33, 70, 40), (130, 20, 65)]
    {
        let (x, w) = (matrix::<F>(m, k, 0), matrix::<F>(k, n, 1000));
        let b = Array1::from_shape_fn(n, |j| number::<F>(j + 5000));
        let dy = matrix::<F>(m, n, 7000);
        let sum = |terms: usize, term: &dyn Fn(usize) -> F| (0..terms).fold(F::zero(), |sum, p| sum + term(p));
        let y = Array2::from_shape_fn((m, n), |(i, j)| b[j] + sum(k, &|p| x[[i, p]] * w[[p, j]]));
        let dx = Array2::from_shape_fn((m, k), |(i, p)| sum(n, &|j| dy[[i, j]] * w[[p, j]]));
        let dw = Array2::from_shape_fn((k, n), |(p, j)| sum(m, &|i| dy[[i, j]] * x[[i, p]]));
        let db = Array1::from_shape_fn(n, |j| sum(m, &|i| dy[[i, j]]));
        let mut tape = Tape::<F>::new();
        for (way_of_x, way_of_w) in (0..WAYS).flat_map(|x| (0..WAYS).map(move |w| (x, w))) {
            tape.clear();
            let case = format!("({m}, {k}, {n}), layouts {way_of_x}, {way_of_w}");
            let (x, w) = (placed(&x, way_of_x), placed(&w, way_of_w));
            let (tx, tw, tb) = (tape.tensor(&x), tape.tensor(&w), tape.tensor(&b));
            let (vx, vw) = (seen(tx, way_of_x), seen(tw, way_of_w));
            let result = vx.affine(vw, tb);
            assert_close(&case, result.value(), &y, tolerance);
            let gradient = result.backward_with(&dy);
            assert_close(&case, &gradient.wrt(vx), &dx, tolerance);
            assert_close(&case, &gradient.wrt(vw), &dw, tolerance);
            assert_close(&case, &gradient.wrt(tb), &db, tolerance);
            // From a scalar, whose sweep works in the memory of the tape.
            let gradient = (result * tape.constant(&dy)).sum().backward();
            assert_close(&case, &gradient.wrt(vx), &dx, tolerance);
            assert_close(&case, &gradient.wrt(vw), &dw, tolerance);
            assert_close(&case, &gradient.wrt(tb), &db, tolerance);
        }
    }
}

#[test]
fn the_affine_map_is_its_definition() {
    affine_by_definition::<f64>();
    affine_by_definition::<f32>();
}

/// Constants among the operands, one bias for all columns, operands that share slots.
#[test]
fn unusual_operands() {
    let tape = Tape::<f64>::new();
    let (a, b) = (array![[1.0, 2.0], [3.0, 4.0]], array![5.0, 7.0]);
    let (x, c) = (tape.tensor(&a), tape.tensor(&b));
    // Terms of x as the left operand, of x as the right one, and 2 for the bias.
    let sums = array![[3.0 + 4.0 + 2.0, 7.0 + 4.0 + 2.0], [3.0 + 6.0, 7.0 + 6.0]];
    assert_eq!(x.affine(x, x.row(0)).sum().backward().wrt(x), sums);
    let one = c.slice(s![..1]).broadcast(Ix1(2));
    assert_eq!(tape.constant(&a).affine(tape.constant(&a), one).sum().backward().wrt(c), array![4.0, 0.0]);
    let constant = tape.constant(&a).affine(x.detach(), c.detach());
    assert!(constant.is_constant());
    assert_eq!(constant.value(), array![[12.0, 17.0], [20.0, 29.0]]);
}

/// The tangent of the affine map of dual numbers.
#[test]
fn tangents() {
    let tape = Tape::<Dual<f64>>::new();
    let dual = |x: f64| Dual::new(x, [10.0 * x]);
    let (x, w) = (array![[dual(1.0), dual(2.0)]], array![[dual(3.0)], [dual(4.0)]]);
    let b = array![Dual::new(1.0, [5.0])];
    let y = tape.tensor(&x).affine(tape.tensor(&w), tape.tensor(&b));
    let y = y.at([0, 0]).value();
    assert_eq!((y.primal(), y.tangents()[0]), (12.0, 20.0 * 11.0 + 5.0));
}

/// A layer in one operation has the values, gradients and Hessian-vector products of three, also at kinks and for
/// saturated units.
#[test]
fn a_dense_layer_is_its_parts() {
    type Layer = for<'t> fn(Matrix<'t>, Matrix<'t>, Tensor<'t, Dual<f64>, Ix1>) -> Matrix<'t>;
    type Matrix<'t> = Tensor<'t, Dual<f64>, Ix2>;
    let layers: [(Activation, Layer, Layer); 4] = [
        (Activation::Identity, |x, w, b| x.dense(w, b, Activation::Identity), |x, w, b| x.dot(w) + b),
        (Activation::Relu, |x, w, b| x.dense(w, b, Activation::Relu), |x, w, b| (x.dot(w) + b).relu()),
        (Activation::Sigmoid, |x, w, b| x.dense(w, b, Activation::Sigmoid), |x, w, b| (x.dot(w) + b).sigmoid()),
        (Activation::Tanh, |x, w, b| x.dense(w, b, Activation::Tanh), |x, w, b| (x.dot(w) + b).tanh()),
    ];
    for (m, k, n) in [(1, 1, 1), (3, 4, 5), (20, 10, 40)] {
        let dual = |i: usize, size: f64| Dual::new(size * number::<f64>(i), [number::<f64>(i + 17)]);
        // A first row of zeros, for kinks.
        let x = Array2::from_shape_fn((m, k), |(i, p)| dual(i * k + p, if i == 0 { 0.0 } else { 1.0 }));
        let w = Array2::from_shape_fn((k, n), |(p, j)| dual(100 + p * n + j, 1.0));
        // Units at a kink, in the middle, and saturated.
        let b = Array1::from_shape_fn(n, |j| dual(900 + j, [0.0, 1.0, 30.0, 900.0][j % 4]));
        for (activation, one, three) in layers {
            let tape = Tape::new();
            let (tx, tw, tb) = (tape.tensor(&x), tape.tensor(&w), tape.tensor(&b));
            let all = |layer: Layer| {
                let y = layer(tx, tw, tb);
                let gradient = (y * Array2::from_shape_fn((m, n), |(i, j)| number::<f64>(3 * i + j))).sum().backward();
                let numbers =
                    [y.value().to_owned().into_dyn(), gradient.wrt(tx).into_dyn(), gradient.wrt(tw).into_dyn()];
                let numbers = numbers.into_iter().chain([gradient.wrt(tb).into_dyn()]).flatten();
                numbers.flat_map(|d| [d.primal(), d.tangents()[0]]).collect::<Vec<_>>()
            };
            let (one, three) = (all(one), all(three));
            assert!(one.iter().all(|x| x.is_finite()));
            assert_close(&format!("{activation:?} ({m}, {k}, {n})"), &one, &three, 64.0 * f64::EPSILON);
        }
    }
}

/// The gradient of a saturated layer is 0, not 0 · inf.
#[test]
fn dead_layers_pass_nothing_on() {
    let tape = Tape::<f64>::new();
    let (x, b) = (array![[f64::INFINITY]], array![0.0]);
    let weights = array![[[-1.0]], [[1.0]], [[1.0]]];
    for (i, activation) in [Activation::Relu, Activation::Sigmoid, Activation::Tanh].into_iter().enumerate() {
        let w = tape.tensor(&weights).index_axis(ndarray::Axis(0), i);
        let gradient = tape.constant(&x).dense(w, tape.constant(&b), activation).sum().backward();
        assert_eq!(gradient.wrt(w), array![[0.0]], "{activation:?}");
    }
}

#[test]
#[should_panic(expected = "affine: x of shape [2, 3], weight [3, 4] and bias [5] do not fit")]
fn a_bias_of_another_length() {
    let tape = Tape::<f64>::new();
    let (x, w, b) = (Array2::<f64>::zeros((2, 3)), Array2::<f64>::zeros((3, 4)), Array1::<f64>::zeros(5));
    let _ = tape.constant(&x).affine(tape.constant(&w), tape.constant(&b));
}
