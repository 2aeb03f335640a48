//! Reductions and softmax of every element type, layout and shape against plain loops over fibres and their
//! differences, then special points, ties and bad input.

use ndarray::{Array, Array1, Array2, Axis, IxDyn, array};
use wengert::{BaseFloat, Dual, Tape, Tensor, Var};

use crate::support::close::{assert_near, to_f64};
use crate::support::differences::partial;
use crate::support::layouts::{LAYOUTS, lay_out};

type Whole<F> = for<'t> fn(Tensor<'t, F, IxDyn>) -> Var<'t, F>;
type Along<F> = for<'t> fn(Tensor<'t, F, IxDyn>, Axis) -> Tensor<'t, F, IxDyn>;

/// A reduction and its definition on one fibre.
struct Reduction<F: BaseFloat> {
    name: &'static str,
    whole: Whole<F>,
    along: Along<F>,
    definition: fn(&[f64]) -> f64,
    /// The least number of elements for which there is a derivative.
    least: usize,
}

fn reductions<F: BaseFloat>() -> Vec<Reduction<F>> {
    macro_rules! reduction {
        ($name:ident $along:ident ($($ddof:literal)?) $least:literal $definition:expr) => {
            Reduction {
                name: stringify!($name),
                whole: |x| x.$name($(F::round_from($ddof))?),
                along: |x, axis| x.$along(axis $(, F::round_from($ddof))?),
                definition: $definition,
                least: $least,
            }
        };
    }
    vec![
        reduction!(sum sum_axis () 0 |x| x.iter().sum()),
        reduction!(mean mean_axis () 1 mean),
        reduction!(product product_axis () 0 |x| x.iter().product()),
        reduction!(max max_axis () 1 |x| x.iter().copied().fold(f64::NAN, f64::max)),
        reduction!(min min_axis () 1 |x| x.iter().copied().fold(f64::NAN, f64::min)),
        reduction!(var var_axis (0.0) 1 |x| squares(x) / x.len() as f64),
        reduction!(var var_axis (1.0) 2 |x| squares(x) / (x.len() as f64 - 1.0)),
        reduction!(std std_axis (0.0) 2 |x| (squares(x) / x.len() as f64).sqrt()),
        reduction!(std std_axis (1.0) 2 |x| (squares(x) / (x.len() as f64 - 1.0)).sqrt()),
        reduction!(norm norm_axis () 0 |x| x.iter().map(|x| x * x).sum::<f64>().sqrt()),
        reduction!(log_sum_exp log_sum_exp_axis () 0 |x| x.iter().map(|x| x.exp()).sum::<f64>().ln()),
    ]
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn squares(x: &[f64]) -> f64 {
    let mean = mean(x);
    x.iter().map(|x| (x - mean) * (x - mean)).sum()
}

/// An operation that keeps the shape, and its definition on one fibre.
struct Map<F: BaseFloat> {
    name: &'static str,
    along: Along<F>,
    definition: fn(&[f64]) -> Vec<f64>,
}

fn maps<F: BaseFloat>() -> Vec<Map<F>> {
    fn softmax(x: &[f64]) -> Vec<f64> {
        let total: f64 = x.iter().map(|x| x.exp()).sum();
        x.iter().map(|x| x.exp() / total).collect()
    }
    vec![
        Map { name: "softmax", along: |x, axis| x.softmax(axis), definition: softmax },
        Map {
            name: "log_softmax",
            along: |x, axis| x.log_softmax(axis),
            definition: |x| softmax(x).into_iter().map(f64::ln).collect(),
        },
    ]
}

/// Distinct elements of both signs and of size about 1.
fn element(i: usize) -> f64 {
    let size = ((i * 389 % 2503) as f64 / 2503.0 - 0.5).exp();
    if i * 7 % 3 == 1 { -size } else { size }
}

const SHAPES: [&[usize]; 12] = [
    &[1],
    &[7],
    &[33],
    &[2500],
    &[1, 5],
    &[5, 1],
    &[4, 9],
    &[3, 70],
    &[300, 3],
    &[3, 4, 5],
    &[2, 6, 40],
    &[2, 3, 2, 4],
];

/// The fibres along an axis, in row-major order of the rest, each with the indices of its elements.
fn fibers(shape: &[usize], axis: usize) -> Vec<Vec<usize>> {
    let n: usize = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut fibers = Vec::new();
    for o in 0..outer {
        for i in 0..inner {
            fibers.push((0..n).map(|k| (o * n + k) * inner + i).collect());
        }
    }
    fibers
}

/// The elements whose derivative is checked: all of a short fibre, about forty of a long one.
fn picks(n: usize) -> impl Iterator<Item = usize> {
    (0..n).step_by(1 + n / 40)
}

fn check_whole<F: BaseFloat>(tolerance: f64) {
    for reduction in reductions::<F>() {
        for shape in SHAPES {
            for layout in LAYOUTS {
                let case = format!("{}, {layout} {shape:?}", reduction.name);
                let a = lay_out::<F>(layout, shape, element);
                let x: Vec<f64> = a.iter().map(to_f64).collect();
                if x.len() < reduction.least {
                    continue;
                }
                let tape = Tape::new();
                let t = tape.tensor(&a);
                let y = (reduction.whole)(t);
                let want = (reduction.definition)(&x);
                assert_near(&case, to_f64(&y.value()), want, tolerance);
                let gradient = y.backward().wrt(t);
                let gradient: Vec<f64> = gradient.iter().map(to_f64).collect();
                for i in picks(x.len()) {
                    let want = partial(&x, i, reduction.definition);
                    assert_near(&case, gradient[i], want, tolerance.max(1e-8));
                }
            }
        }
    }
}

#[test]
fn whole_in_double_precision() {
    check_whole::<f64>(1e-12);
}

#[test]
fn whole_in_single_precision() {
    check_whole::<f32>(3e-5);
}

fn check_along<F: BaseFloat>(tolerance: f64) {
    for shape in SHAPES {
        for layout in LAYOUTS {
            for axis in 0..shape.len() {
                let case = format!("{layout} {shape:?} along {axis}");
                let a = lay_out::<F>(layout, shape, element);
                let x: Vec<f64> = a.iter().map(to_f64).collect();
                let fibers = fibers(shape, axis);
                // Each result has a weight of its own.
                let weight = |i: usize| F::round_from(1.0 + (i % 5) as f64 / 4.0);
                for reduction in reductions::<F>() {
                    if shape[axis] < reduction.least {
                        continue;
                    }
                    let case = format!("{}, {case}", reduction.name);
                    let tape = Tape::new();
                    let t = tape.tensor(&a);
                    let y = (reduction.along)(t, Axis(axis));
                    let mut smaller = shape.to_vec();
                    smaller.remove(axis);
                    assert_eq!(y.shape(), smaller, "{case}");
                    let weights = Array1::from_shape_fn(y.len(), weight);
                    let weights = weights.into_shape_with_order(smaller).unwrap();
                    let gradient = (y * &weights).sum().backward().wrt(t);
                    let gradient: Vec<f64> = gradient.iter().map(to_f64).collect();
                    for (f, (fiber, y)) in fibers.iter().zip(y.value()).enumerate() {
                        let x: Vec<f64> = fiber.iter().map(|&i| x[i]).collect();
                        let want = (reduction.definition)(&x);
                        assert_near(&case, to_f64(y), want, tolerance);
                        for i in picks(x.len()) {
                            let want = to_f64(&weight(f)) * partial(&x, i, reduction.definition);
                            assert_near(&case, gradient[fiber[i]], want, tolerance.max(1e-8));
                        }
                    }
                }
                for map in maps::<F>() {
                    let case = format!("{}, {case}", map.name);
                    let tape = Tape::new();
                    let t = tape.tensor(&a);
                    let y = (map.along)(t, Axis(axis));
                    let weights = Array1::from_shape_fn(y.len(), weight);
                    let weights = weights.into_shape_with_order(shape).unwrap();
                    let gradient = (y * &weights).sum().backward().wrt(t);
                    let gradient: Vec<f64> = gradient.iter().map(to_f64).collect();
                    let y: Vec<f64> = y.value().iter().map(to_f64).collect();
                    for fiber in &fibers {
                        let x: Vec<f64> = fiber.iter().map(|&i| x[i]).collect();
                        let want = (map.definition)(&x);
                        for (&at, want) in fiber.iter().zip(want) {
                            assert_near(&case, y[at], want, tolerance);
                        }
                        let weighted = |x: &[f64]| {
                            let terms = fiber.iter().zip((map.definition)(x));
                            terms.map(|(&at, y)| to_f64(&weight(at)) * y).sum::<f64>()
                        };
                        for i in picks(x.len()) {
                            let want = partial(&x, i, weighted);
                            // The difference is that of a sum of n terms.
                            let tolerance = tolerance.max(1e-7) * x.len() as f64;
                            assert_near(&case, gradient[fiber[i]], want, tolerance);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn along_axes_in_double_precision() {
    check_along::<f64>(1e-12);
}

#[test]
fn along_axes_in_single_precision() {
    check_along::<f32>(3e-5);
}

/// Constants from mpmath at 40 digits for the fibre (1/2, -5/4, 2, 1/4).
#[test]
fn constants() {
    let a = array![0.5, -1.25, 2.0, 0.25];
    let tape = Tape::new();
    let x = tape.tensor(&a);
    let check = |y: Var<'_, f64>, value: f64| assert_near("value", y.value(), value, 2e-16);
    check(x.var(0.0), 1.328125);
    check(x.var(1.0), 1.7708333333333333333);
    check(x.std(0.0), 1.1524430571616109138);
    check(x.std(1.0), 1.3307266185559426666);
    check(x.norm(), 2.423839928708164507);
    check(x.log_sum_exp(), 2.3616374284208396364);
    let gradients = [
        (
            x.std(1.0),
            [0.031311214554257474508, -0.4070457892053471686, 0.4070457892053471686, -0.031311214554257474508],
        ),
        (
            x.log_sum_exp(),
            [0.1554179361573620215, 0.027007587648994318895, 0.6965348658109485088, 0.12103961038269515081],
        ),
    ];
    for (y, want) in gradients {
        for (got, want) in y.backward().wrt(x).into_iter().zip(want) {
            assert_near("gradient", got, want, 2e-16);
        }
    }
}

#[test]
fn ties_share_and_nan_wins() {
    let a = array![[2.0, 5.0, 5.0, 1.0], [3.0, 3.0, 3.0, 3.0]];
    let tape = Tape::new();
    let x = tape.tensor(&a);
    let y = x.max_axis(Axis(1));
    assert_eq!(y.value(), array![5.0, 3.0]);
    assert_eq!(y.sum().backward().wrt(x), array![[0.0, 0.5, 0.5, 0.0], [0.25, 0.25, 0.25, 0.25]]);
    let y = x.min_axis(Axis(1));
    assert_eq!(y.value(), array![1.0, 3.0]);
    assert_eq!(y.sum().backward().wrt(x), array![[0.0, 0.0, 0.0, 1.0], [0.25, 0.25, 0.25, 0.25]]);

    // In long fibres, and across them, at every place. A zero cotangent stays zero.
    for n in [1, 2, 40, 300] {
        for place in [0, n / 2, n - 1] {
            let mut a = Array2::from_shape_fn((n, 3), |(i, j)| (i + j) as f64);
            a[[place, 1]] = f64::NAN;
            let x = tape.tensor(&a);
            for (y, last) in [(x.max_axis(Axis(0)), n as f64 + 1.0), (x.min_axis(Axis(0)), 2.0)] {
                assert!(y.value()[1].is_nan() && y.value()[2] == last, "{n} {place}");
                let gradient = y.sum().backward().wrt(x);
                assert!(gradient.column(1).iter().all(|g| g.is_nan()) && gradient.column(0).sum() == 1.0);
                let masked = y.gated_mul(&array![1.0, 0.0, 1.0]).sum().backward().wrt(x);
                assert!(masked.column(1).iter().all(|&g| g == 0.0));
            }
            assert!(x.max().value().is_nan() && x.t().min().value().is_nan());
        }
    }
    let infinite = array![f64::NEG_INFINITY, f64::NEG_INFINITY];
    let x = tape.tensor(&infinite);
    assert_eq!(x.max().value(), f64::NEG_INFINITY);
    assert_eq!(x.max().backward().wrt(x), array![0.5, 0.5]);
}

/// On a tape of dual numbers the tangent of the value is the gradient's product with the operand's: 1/k for each of k
/// elements that tie.
#[test]
fn tangents_of_ties() {
    let tape = Tape::<Dual<f64, 3>>::new();
    for values in [[2.0, 2.0, 2.0], [2.0, 1.0, 2.0], [f64::INFINITY; 3]] {
        let a = ndarray::Array1::from_iter(Dual::seeded(values));
        let x = tape.tensor(&a);
        let pooled = x.reshape((1, 1, 3)).max_pool1d(3).sum();
        for y in [x.max(), -((-x).min()), pooled] {
            let gradient = y.backward().wrt(x).map(|g| g.primal());
            assert_eq!(y.value().tangents().to_vec(), gradient.to_vec());
        }
    }
}

#[test]
fn zero_factors() {
    let tape = Tape::new();
    let a = array![[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]];
    let x = tape.tensor(&a);
    let y = x.product_axis(Axis(1));
    assert_eq!(y.value(), array![0.0, 0.0, 0.0]);
    let gradient = y.sum().backward().wrt(x);
    assert_eq!(gradient, array![[0.0, 6.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
    let gradient = x.product_axis(Axis(0)).sum().backward().wrt(x);
    assert_eq!(gradient, array![[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 9.0]]);
}

#[test]
fn norms_and_spreads_at_their_kink_and_at_the_ends_of_the_range() {
    let tape = Tape::<f64>::new();
    let a = array![[0.0, 0.0], [3e200, 4e200], [3e-200, 4e-200], [3.0, f64::INFINITY]];
    let x = tape.tensor(&a);
    let y = x.norm_axis(Axis(1));
    for (&got, want) in y.value().iter().zip([0.0, 5e200, 5e-200]) {
        assert!((got - want).abs() <= 1e-15 * want);
    }
    assert_eq!(y.value()[3], f64::INFINITY);
    let gradient = y.sum().backward().wrt(x);
    let want = array![[0.0, 0.0], [0.6, 0.8], [0.6, 0.8], [0.0, 1.0]];
    assert!((gradient - want).iter().all(|d| d.abs() < 1e-15));

    let a = array![[1.5, 1.5, 1.5], [-1e200, 0.0, 1e200], [-1e-200, 0.0, 1e-200]];
    let x = tape.tensor(&a);
    let y = x.std_axis(Axis(1), 1.0);
    for (&got, want) in y.value().iter().zip([0.0, 1e200, 1e-200]) {
        assert!((got - want).abs() <= 1e-15 * want);
    }
    let gradient = y.sum().backward().wrt(x);
    let want = array![[0.0, 0.0, 0.0], [-0.5, 0.0, 0.5], [-0.5, 0.0, 0.5]];
    assert!((gradient - want).iter().all(|d| d.abs() < 1e-15));

    // The textbook formula in one pass would lose every digit here.
    let a = array![1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0];
    assert_eq!(tape.tensor(&a).var(1.0).value(), 30.0);
}

#[test]
fn infinite_elements_of_a_softmax() {
    const INF: f64 = f64::INFINITY;
    let tape = Tape::new();
    let a = array![[1000.0, 0.0, 1000.0], [0.0, -INF, 0.0], [INF, 3.0, -INF], [-INF, -INF, -INF],];
    let third = 1.0 / 3.0;
    let probabilities = array![[0.5, 0.0, 0.5], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0], [third, third, third]];
    let x = tape.tensor(&a);
    assert_eq!(x.softmax(Axis(1)).value(), probabilities);
    let y = x.log_sum_exp_axis(Axis(1));
    assert_eq!(y.value(), array![1000.0 + 2_f64.ln(), 2_f64.ln(), INF, -INF]);
    assert_eq!(y.sum().backward().wrt(x), probabilities);
    let y = x.log_softmax(Axis(1));
    let (half, third) = (-2_f64.ln(), -3_f64.ln());
    let logarithms =
        array![[half, -1000.0 + half, half], [half, -INF, half], [0.0, -INF, -INF], [third, third, third],];
    for (&got, &want) in y.value().iter().zip(&logarithms) {
        assert_near("log_softmax", got, want, 3e-16);
    }
    // The gradient of the first column through either stays finite.
    let first = array![1.0, 0.0, 0.0];
    for y in [x.softmax(Axis(1)), y] {
        let masked = y.maximum(-1e6) * &first;
        assert!(masked.sum().backward().is_finite());
    }
}

#[test]
fn without_elements() {
    let tape = Tape::<f64>::new();
    let a = Array2::zeros((0, 3));
    let x = tape.tensor(&a);
    assert_eq!(x.sum().value(), 0.0);
    assert_eq!(x.product().value(), 1.0);
    assert!(x.mean().value().is_nan());
    assert_eq!(x.norm().value(), 0.0);
    assert_eq!(x.log_sum_exp().value(), f64::NEG_INFINITY);
    assert!(x.var(0.0).value().is_nan());
    assert!(x.std(0.0).value().is_nan());
    assert_eq!(x.sum().backward().wrt(x), a);

    assert_eq!(x.sum_axis(Axis(0)).value(), array![0.0, 0.0, 0.0]);
    assert_eq!(x.product_axis(Axis(0)).value(), array![1.0, 1.0, 1.0]);
    assert_eq!(x.log_sum_exp_axis(Axis(0)).value(), array![f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY]);
    assert_eq!(x.norm_axis(Axis(0)).sum().backward().wrt(x), a);
    assert_eq!(x.product_axis(Axis(0)).sum().backward().wrt(x), a);
    for y in [x.softmax(Axis(0)), x.softmax(Axis(1)), x.log_softmax(Axis(0))] {
        assert_eq!(y.shape(), [0, 3]);
    }
    // Reductions without fibres.
    assert_eq!(x.sum_axis(Axis(1)).shape(), [0]);
    assert_eq!(x.max_axis(Axis(1)).shape(), [0]);
    assert_eq!(x.argmax_axis(Axis(1)).len(), 0);
}

#[test]
fn without_axes() {
    let tape = Tape::new();
    let a = ndarray::arr0(-3.0);
    let x = tape.tensor(&a);
    for (y, value, derivative) in [
        (x.sum(), -3.0, 1.0),
        (x.mean(), -3.0, 1.0),
        (x.product(), -3.0, 1.0),
        (x.max(), -3.0, 1.0),
        (x.norm(), 3.0, -1.0),
        (x.log_sum_exp(), -3.0, 1.0),
        (x.var(0.0), 0.0, 0.0),
        (x.std(0.0), 0.0, 0.0),
    ] {
        assert_eq!(y.value(), value);
        assert_eq!(y.backward().wrt(x).into_scalar(), derivative);
    }
}

/// For n = ddof no degree of freedom is left: value and gradient are 0/0.
#[test]
fn no_degree_of_freedom_is_nan() {
    let tape = Tape::<f64>::new();
    let a = array![2.0];
    let x = tape.tensor(&a);
    for y in [x.var(1.0), x.std(1.0)] {
        assert!(y.value().is_nan());
        assert!(y.backward().wrt(x)[0].is_nan());
    }
}

#[test]
fn the_same_tensor_twice() {
    let tape = Tape::new();
    let a = array![[1.0, 2.0], [3.0, 5.0]];
    let x = tape.tensor(&a);
    let y = x.sum() * x.max() + x.sum_axis(Axis(0)).product();
    // 11 · 5 + 4 · 7
    assert_eq!(y.value(), 83.0);
    assert_eq!(y.backward().wrt(x), array![[5.0 + 7.0, 5.0 + 4.0], [5.0 + 7.0, 16.0 + 4.0]]);
    let y = (x * x.softmax(Axis(1)) - x).sum();
    assert!(y.backward().is_finite());
}

/// A zero cotangent stays zero, whatever the partial.
#[test]
fn zero_cotangents() {
    let tape = Tape::<f64>::new();
    let a = array![[f64::NAN, 1.0], [1.0, 2.0]];
    let x = tape.tensor(&a);
    let keep = array![0.0, 1.0];
    let y = x.log_sum_exp_axis(Axis(1)).gated_mul(&keep)
        + x.norm_axis(Axis(1)).gated_mul(&keep)
        + x.var_axis(Axis(1), 0.0).gated_mul(&keep)
        + x.product_axis(Axis(1)).gated_mul(&keep);
    let gradient = y.sum().backward().wrt(x);
    assert_eq!(gradient.row(0), array![0.0, 0.0]);
    assert!(gradient.row(1).iter().all(|g| g.is_finite()));
    let keep = array![[0.0], [1.0]];
    let y = x.softmax(Axis(1)).gated_mul(&keep) + x.log_softmax(Axis(1)).gated_mul(&keep);
    let gradient = y.sum().backward().wrt(x);
    assert_eq!(gradient.row(0), array![0.0, 0.0]);
}

#[test]
fn constants_record_nothing() {
    let tape = Tape::<f64>::new();
    let a = array![[1.0, 2.0], [3.0, 5.0]];
    let x = tape.constant(&a);
    assert!(x.sum().is_constant() && x.std(0.0).is_constant());
    assert!(x.softmax(Axis(0)).is_constant() && x.max_axis(Axis(1)).is_constant());
    assert!(tape.is_empty());
}

#[test]
fn a_whole_reduction_is_one_slot() {
    let tape = Tape::new();
    let a = Array::from_elem((10, 10), 0.5);
    let x = tape.tensor(&a);
    let before = tape.len();
    let _ = x.var(1.0);
    assert_eq!(tape.len(), before + 1);
}

/// The rounding error of a long sum stays small; terms added in order would give 100958 and 9998.6.
#[test]
fn long_sums() {
    let a = Array1::from_elem(1_000_000, 0.1_f32);
    let tape = Tape::new();
    let sum = tape.tensor(&a).sum().value();
    assert!((sum - 100_000.0).abs() < 1.0, "{sum}");
    let a = Array2::from_elem((100_000, 3), 0.1_f32);
    for sum in tape.tensor(&a).sum_axis(Axis(0)).value() {
        assert!((sum - 10_000.0).abs() < 0.1, "{sum}");
    }
}

#[test]
fn argmax() {
    let tape = Tape::new();
    let a = array![[1.0, 7.0, 7.0], [f64::NAN, -2.0, -1.0], [f64::NAN, f64::NAN, f64::NAN]];
    let x = tape.tensor(&a);
    assert_eq!(x.argmax_axis(Axis(1)), array![1, 0, 0]);
    assert_eq!(x.argmax_axis(Axis(0)), array![1, 2, 2]);
    assert_eq!(wengert::metrics::argmax_rows(&a), [1, 0, 0]);
}

#[test]
#[should_panic(expected = "sum_axis: axis 2 is out of range for shape [2, 3]")]
fn axis_out_of_range() {
    let tape = Tape::new();
    let a = Array2::<f64>::zeros((2, 3));
    let _ = tape.tensor(&a).sum_axis(Axis(2));
}

#[test]
#[should_panic(expected = "softmax: axis 1 is out of range for shape [2]")]
fn softmax_axis_out_of_range() {
    let tape = Tape::new();
    let a = Array1::<f64>::zeros(2);
    let _ = tape.tensor(&a).softmax(Axis(1));
}

#[test]
#[should_panic(expected = "max: no element to choose from, the shape is [0, 3]")]
fn max_of_nothing() {
    let tape = Tape::new();
    let a = Array2::<f64>::zeros((0, 3));
    let _ = tape.tensor(&a).max();
}

#[test]
#[should_panic(expected = "min_axis: no element to choose from, the shape is [0, 3]")]
fn min_along_an_empty_axis() {
    let tape = Tape::new();
    let a = Array2::<f64>::zeros((0, 3));
    let _ = tape.tensor(&a).min_axis(Axis(0));
}

#[test]
#[should_panic(expected = "std_axis: ddof = 4 is not between 0 and the number of elements, 3")]
fn too_many_degrees_of_freedom() {
    let tape = Tape::new();
    let a = Array2::<f64>::zeros((2, 3));
    let _ = tape.tensor(&a).std_axis(Axis(1), 4.0);
}
