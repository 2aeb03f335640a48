//! The affine map against sums by definition, in every layout of its operands; adjoints of large
//! tensors when a tape is used again.

use ndarray::{Array1, Array2, Ix1, Ix2, array, s};
use wengert::{Activation, BaseFloat, Dual, Params, Scalar, Tape, Tensor};

/// A number for each index without a pattern that an error could cancel.
fn number<F: Scalar>(i: usize) -> F {
    F::lit((1.0 + i as f64 * 1.7).sin())
}

fn matrix<F: Scalar>(rows: usize, columns: usize, first: usize) -> Array2<F> {
    Array2::from_shape_fn((rows, columns), |(i, j)| number(first + i * columns + j))
}

fn assert_close<'a, F: BaseFloat>(a: impl IntoIterator<Item = &'a F>, b: impl IntoIterator<Item = &'a F>, case: &str) {
    for (i, (&a, &b)) in a.into_iter().zip(b).enumerate() {
        let tolerance = F::lit(64.0) * F::epsilon() * (F::one() + b.abs());
        assert!((a - b).abs() <= tolerance, "{case}: {a} instead of {b} at {i}");
    }
}

/// The same matrix in another place of another memory layout.
fn lay_out<F: Scalar>(a: &Array2<F>, way: usize) -> Array2<F> {
    match way {
        0 => a.clone(),
        1 => a.t().as_standard_layout().into_owned(),
        _ => {
            let mut wide = Array2::from_elem((a.nrows(), 2 * a.ncols() + 1), F::nan());
            wide.slice_mut(s![..;-1, 1..;2]).assign(a);
            wide
        }
    }
}

fn seen<F: Scalar>(x: Tensor<'_, F, Ix2>, way: usize) -> Tensor<'_, F, Ix2> {
    match way {
        0 => x,
        1 => x.t(),
        _ => x.slice(s![..;-1, 1..;2]),
    }
}

fn affine_by_definition<F: BaseFloat>() {
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
        for way in 0..9 {
            tape.clear();
            let case = format!("({m}, {k}, {n}), layouts {way}");
            let (x, w) = (lay_out(&x, way % 3), lay_out(&w, way / 3));
            let (tx, tw, tb) = (tape.tensor(&x), tape.tensor(&w), tape.tensor(&b));
            let (vx, vw) = (seen(tx, way % 3), seen(tw, way / 3));
            let result = vx.affine(vw, tb);
            assert_close(result.value(), &y, &case);
            let gradient = result.backward_with(&dy);
            assert_close(&gradient.wrt(vx), &dx, &case);
            assert_close(&gradient.wrt(vw), &dw, &case);
            assert_close(&gradient.wrt(tb), &db, &case);
            // The sweep that works in the tape's own memory, from a scalar.
            let gradient = (result * tape.constant(&dy)).sum().backward();
            assert_close(&gradient.wrt(vx), &dx, &case);
            assert_close(&gradient.wrt(vw), &dw, &case);
            assert_close(&gradient.wrt(tb), &db, &case);
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
    // Of the rows of x, of its columns, and 2 for the bias.
    let sums = array![[3.0 + 4.0 + 2.0, 7.0 + 4.0 + 2.0], [3.0 + 6.0, 7.0 + 6.0]];
    assert_eq!(x.affine(x, x.row(0)).sum().backward().wrt(x), sums);
    let one = c.slice(s![..1]).broadcast(Ix1(2));
    assert_eq!(tape.constant(&a).affine(tape.constant(&a), one).sum().backward().wrt(c), array![4.0, 0.0]);
    let constant = tape.constant(&a).affine(x.detach(), c.detach());
    assert!(constant.is_constant());
    assert_eq!(constant.value(), array![[12.0, 17.0], [20.0, 29.0]]);
}

/// Dual numbers: the tangent of the affine map in a direction.
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

/// A layer in one operation and in three: values, gradients and Hessian-vector products, kinks and
/// saturated units included.
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
        // Units at a kink, inside, saturated.
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
            assert_close(&one, &three, &format!("{activation:?} ({m}, {k}, {n})"));
        }
    }
}

/// A layer all of whose units are saturated passes nothing on: 0, not 0 · inf.
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
    tape.constant(&x).affine(tape.constant(&w), tape.constant(&b));
}

type Gradient<'a> = &'a dyn Fn(&mut Tape<f64>, &Params<f64>) -> Vec<f64>;

/// A tape in turn with recordings that leave other numbers where adjoints are to stand: each gradient
/// is that of a tape of its own.
#[test]
fn nothing_of_the_last_sweep_is_left() {
    let n = 80;
    let mut params = Params::<f64>::new();
    let u = params.add("u", matrix::<f64>(n, n, 0));
    let b = params.add("b", Array1::from_shape_fn(n, number::<f64>));
    let w = params.add("w", matrix::<f64>(n, n, 9000));
    macro_rules! losses {
        ($($name:literal => |$p:ident| $loss:expr;)+) => {
            [$(($name, &|tape, params| tape.value_and_grad(params, |$p| $loss).1.to_vec())),+]
        };
    }
    let losses: [(&str, Gradient<'_>); 10] = losses! {
        "two layers" => |p| p.get(u).affine(p.get(w), p.get(b)).tanh().dot(p.get(w)).square().mean();
        "one weight" => |p| p.get(w).square().mean();
        "a view of a weight" => |p| p.get(u).slice(s![1..;2, ..]).dot(p.get(w).t()).mean();
        "a part, then all" => |p| p.get(u).slice(s![..3, ..]).square().sum() + p.get(u).dot(p.get(w)).sum();
        "all, then a part" => |p| p.get(u).dot(p.get(w)).sum() + p.get(u).slice(s![..3, ..]).square().sum();
        "one element" => |p| p.get(u).at([3, 4]) * p.get(w).at([5, 6]);
        "all in one" => |p| p.flat().square().sum() + p.get(w).dot(p.get(u)).sum();
        "twice the same" => |p| p.get(w).dot(p.get(w)).affine(p.get(w), p.get(b)).sum();
        "nothing" => |_p| wengert::Var::constant(1.0);
        "a result that is not used" => |p| {
            let _ = p.get(u).dot(p.get(w)).exp();
            p.get(b).sum()
        };
    };
    let mut tape = Tape::new();
    for round in 0..3 {
        for (name, gradient) in &losses {
            let fresh = gradient(&mut Tape::new(), &params);
            assert!(fresh.iter().all(|g| g.is_finite()), "{name}");
            // A recording of its own size in between, so that the runs stand elsewhere.
            let noise = tape.value_and_grad(&params, |p| (p.get(u) * 1e300).slice(s![round.., ..]).sum() * 1e10).1;
            assert!(noise.iter().any(|g| g.is_infinite()));
            assert_eq!(gradient(&mut tape, &params), fresh, "{name}, round {round}");
        }
    }
}

/// Several sweeps over one recording are independent.
#[test]
fn sweeps_of_one_recording() {
    let tape = Tape::<f64>::new();
    let (a, b) = (matrix::<f64>(70, 70, 0), matrix::<f64>(70, 70, 500));
    let (x, w) = (tape.tensor(&a), tape.tensor(&b));
    let h = x.dot(w);
    let (first, second) = (h.sum(), h.at([2, 3]) * 2.0);
    let (g, e, f) = (first.backward(), second.backward(), first.backward());
    assert_eq!(g.wrt(x), f.wrt(x));
    assert_eq!(g.wrt(h), Array2::<f64>::ones((70, 70)));
    assert_eq!(e.wrt(h).sum(), 2.0);
    assert_close(e.wrt(x).row(2), &(&b.column(3) * 2.0), "one row");
    assert_eq!(e.wrt(x).slice(s![3.., ..]).sum(), 0.0);
}

/// A function of one input records nothing, so its output stands among the inputs: the gradient covers
/// them all, as far as they were there.
#[test]
fn outputs_among_the_inputs() {
    let mut params = Params::<f64>::new();
    let s = params.add("s", ndarray::arr0(2.0));
    let w = params.add("w", Array1::<f64>::zeros(100));
    let mut tape = Tape::new();
    for _ in 0..2 {
        let (loss, grad) = tape.value_and_grad(&params, |p| (p.get(s).into_var() - 3.0).square());
        assert_eq!((loss, grad.len(), grad[0]), (1.0, 101, -2.0));
        assert!(grad[1..].iter().all(|&g| g == 0.0));
        let (_, grad) = tape.value_and_grad(&params, |p| p.get(w).at([7]).exp());
        assert_eq!((grad[8], grad.iter().sum::<f64>()), (1.0, 1.0));
    }
    let p = params.on(&tape);
    assert_eq!(p.get(s).into_var().square().backward().wrt(p.flat()).len(), 101);

    let tape = Tape::<f64>::new();
    let vars: Vec<_> = (0..100).map(|i| tape.var(f64::from(i))).collect();
    let data = Array1::from_elem(80, 5.0);
    let (x, last) = (tape.tensor(&data), tape.var(4.0));
    let gradient = vars[3].square().backward();
    assert_eq!(gradient.wrt(&vars).iter().sum::<f64>(), 6.0);
    assert_eq!((gradient.wrt(x).sum(), gradient[last]), (0.0, 0.0));
    let gradient = (last * last + x.at([2])).backward();
    assert_eq!((gradient[last], gradient.wrt(x).sum(), gradient[vars[0]]), (8.0, 1.0, 0.0));
}
