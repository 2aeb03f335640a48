//! Losses against constants from mpmath and differences of plain definitions, in every layout, at special points,
//! and with bad input.

use ndarray::{Array, Array1, Array2, Axis, Ix2, IxDyn, array};
use wengert::args::Target;
use wengert::{BaseFloat, Params, Tape, Tensor, Var};

use crate::support::close::{assert_near, to_f64};
use crate::support::differences::partial;
use crate::support::layouts::{LAYOUTS, lay_out};
use crate::support::panics::panic_of;

type Apply<F> = for<'t> fn(Tensor<'t, F, IxDyn>, Tensor<'t, F, IxDyn>) -> Var<'t, F>;

/// A loss of a prediction and a target of the same shape, and its definition for one element.
struct Loss<F: BaseFloat> {
    name: &'static str,
    apply: Apply<F>,
    definition: fn(f64, f64) -> f64,
}

fn losses<F: BaseFloat>() -> [Loss<F>; 4] {
    [
        Loss { name: "mse", apply: |x, t| x.mse(t), definition: |x, t| (x - t).powi(2) },
        Loss { name: "mae", apply: |x, t| x.mae(t), definition: |x, t| (x - t).abs() },
        Loss {
            name: "huber",
            apply: |x, t| x.huber(t, F::round_from(0.75)),
            definition: |x, t| {
                let d = (x - t).abs();
                if d <= 0.75 { 0.5 * d * d } else { 0.75 * (d - 0.375) }
            },
        },
        Loss {
            name: "bce_with_logits",
            apply: |x, t| x.bce_with_logits(t),
            definition: |x, t| {
                let p = 1.0 / (1.0 + (-x).exp());
                -t * p.ln() - (1.0 - t) * (1.0 - p).ln()
            },
        },
    ]
}

/// Element i of the prediction or, with another phase, of the target.
fn element(i: usize, phase: f64) -> f64 {
    2.0 * (1.7 * i as f64 + phase).sin()
}

const SHAPES: [&[usize]; 6] = [&[1], &[37], &[5, 1], &[4, 9], &[3, 4, 50], &[2, 3, 2, 4]];

fn check_pointwise<F: BaseFloat>(tolerance: f64) {
    for loss in losses::<F>() {
        for shape in SHAPES {
            for layout in LAYOUTS {
                for target_layout in LAYOUTS {
                    let case = format!("{} {shape:?} {layout}, {target_layout}", loss.name);
                    let a = lay_out::<F>(layout, shape, |i| element(i, 0.0));
                    let b = lay_out::<F>(target_layout, shape, |i| element(i, 0.9));
                    let tape = Tape::new();
                    let (x, t) = (tape.tensor(&a), tape.tensor(&b));
                    let y = (loss.apply)(x, t);
                    // The elements of the prediction, then those of the target.
                    let both: Vec<f64> = a.iter().chain(&b).map(to_f64).collect();
                    let n = a.len();
                    let mean = |both: &[f64]| {
                        let pairs = both[..n].iter().zip(&both[n..]);
                        pairs.map(|(&x, &t)| (loss.definition)(x, t)).sum::<f64>() / n as f64
                    };
                    assert_near(&case, to_f64(&y.value()), mean(&both), tolerance);
                    let gradient = (y * F::round_from(3.0)).backward();
                    let (dx, dt) = (gradient.wrt(x), gradient.wrt(t));
                    for (i, got) in dx.iter().chain(&dt).enumerate() {
                        let want = 3.0 * partial(&both, i, mean);
                        assert_near(&case, to_f64(got), want, tolerance.max(1e-8));
                    }
                }
            }
        }
    }
}

#[test]
fn pointwise_in_double_precision() {
    check_pointwise::<f64>(1e-13);
}

#[test]
fn pointwise_in_single_precision() {
    check_pointwise::<f32>(1e-5);
}

/// The cross-entropy of rows of logits and rows of probabilities.
fn cross_entropy(x: &[f64], q: &[f64], classes: usize) -> f64 {
    let mut sum = 0.0;
    for (x, q) in x.chunks(classes).zip(q.chunks(classes)) {
        let total: f64 = x.iter().map(|x| x.exp()).sum();
        sum += q.iter().zip(x).map(|(q, x)| q * (total.ln() - x)).sum::<f64>();
    }
    sum / (x.len() / classes) as f64
}

fn check_cross_entropy<F: BaseFloat>(tolerance: f64) {
    for (batch, classes) in [(1, 1), (1, 4), (5, 2), (7, 10), (3, 65), (2, 1500)] {
        for layout in LAYOUTS {
            let case = format!("{batch} x {classes} {layout}");
            let shape = [batch, classes];
            let a = lay_out::<F>(layout, &shape, |i| element(i, 0.0));
            let a = a.into_dimensionality::<Ix2>().unwrap();
            // Rows do not sum to 1, so that the mass of a target is tested too.
            let b = lay_out::<F>(layout, &shape, |i| element(i, 0.9).abs());
            let b = b.into_dimensionality::<Ix2>().unwrap();
            let labels: Vec<u8> = (0..batch).map(|i| (i * 5 % classes) as u8).collect();
            let mut one_hot = Array2::zeros((batch, classes));
            for (i, &label) in labels.iter().enumerate() {
                one_hot[[i, label as usize]] = 1.0;
            }
            let one_hot: Vec<f64> = one_hot.into_raw_vec_and_offset().0;
            let x: Vec<f64> = a.iter().map(to_f64).collect();
            let q: Vec<f64> = b.iter().map(to_f64).collect();
            let picks = || (0..x.len()).step_by(1 + x.len() / 50);

            let tape = Tape::new();
            let (logits, target) = (tape.tensor(&a), tape.tensor(&b));
            let y = logits.softmax_cross_entropy(&labels);
            let want = cross_entropy(&x, &one_hot, classes);
            assert_near(&case, to_f64(&y.value()), want, tolerance);
            let gradient = y.backward().wrt(logits);
            let gradient: Vec<f64> = gradient.iter().map(to_f64).collect();
            for i in picks() {
                let want = partial(&x, i, |x| cross_entropy(x, &one_hot, classes));
                assert_near(&case, gradient[i], want, tolerance.max(1e-8));
            }

            let y = logits.softmax_cross_entropy(target);
            // The mass of the target scales the error.
            let tolerance = tolerance * classes as f64;
            assert_near(&case, to_f64(&y.value()), cross_entropy(&x, &q, classes), tolerance);
            let gradient = y.backward();
            let (dx, dq) = (gradient.wrt(logits), gradient.wrt(target));
            let dx: Vec<f64> = dx.iter().map(to_f64).collect();
            let dq: Vec<f64> = dq.iter().map(to_f64).collect();
            for i in picks() {
                let want = partial(&x, i, |x| cross_entropy(x, &q, classes));
                assert_near(&case, dx[i], want, tolerance.max(1e-8 * classes as f64));
                let want = partial(&q, i, |q| cross_entropy(&x, q, classes));
                assert_near(&case, dq[i], want, tolerance.max(1e-8 * classes as f64));
            }
        }
    }
}

#[test]
fn cross_entropy_in_double_precision() {
    check_cross_entropy::<f64>(1e-13);
}

#[test]
fn cross_entropy_in_single_precision() {
    check_cross_entropy::<f32>(1e-5);
}

/// Constants from mpmath at 40 digits.
#[test]
fn binary_cross_entropy_constants() {
    let points = [
        (0.5, 0.25, 0.84907698418010668087, 0.37245933120185456464),
        (-1.25, 1.0, 1.501929081345372889, -0.777299861174691147),
        (40.0, 1.0, 4.2483542552915889863e-18, -4.2483542552915889773e-18),
        (-40.0, 0.0, 4.2483542552915889863e-18, 4.2483542552915889773e-18),
        (40.0, 0.0, 40.0, 1.0),
        (800.0, 0.0, 800.0, 1.0),
        (-800.0, 1.0, 800.0, -1.0),
        (800.0, 1.0, 0.0, 0.0),
        (f64::INFINITY, 1.0, 0.0, 0.0),
        (f64::NEG_INFINITY, 0.0, 0.0, 0.0),
        (f64::INFINITY, 0.5, f64::INFINITY, 0.5),
        (f64::NEG_INFINITY, 0.5, f64::INFINITY, -0.5),
    ];
    for (x, t, value, derivative) in points {
        let tape = Tape::new();
        let (a, b) = (array![x], array![t]);
        let logit = tape.tensor(&a);
        let loss = logit.bce_with_logits(&b);
        let near = |got: f64, want: f64| got == want || (got / want - 1.0).abs() < 1e-15;
        assert!(near(loss.value(), value), "{x}, {t}: {}", loss.value());
        let got = loss.backward().wrt(logit)[0];
        assert!(near(got, derivative), "{x}, {t}: derivative {got}");
    }
}

/// Constants from mpmath at 40 digits.
#[test]
fn cross_entropy_constants() {
    let tape = Tape::new();
    let a = array![[0.5, -1.25, 2.0], [0.25, 0.75, -0.5]];
    let x = tape.tensor(&a);
    let loss = x.softmax_cross_entropy(&[0_usize, 2]);
    assert_near("value", loss.value(), 1.810401792757258595, 3e-16);
    let want = [
        -0.41158990894627785914,
        0.015363370163218215907,
        0.39622653878305964324,
        0.16020055451330651972,
        0.26412606180404387445,
        -0.42432661631735039417,
    ];
    for (got, want) in loss.backward().wrt(x).into_iter().zip(want) {
        assert_near("gradient", got, want, 2e-16);
    }

    let q = array![[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]];
    let q = tape.tensor(&q);
    let loss = x.softmax_cross_entropy(q);
    assert_near("value", loss.value(), 1.322901792757258595, 3e-16);
    let (dx, dq) = {
        let gradient = loss.backward();
        (gradient.wrt(x), gradient.wrt(q))
    };
    let want_x = [
        -0.011589908946277859145,
        -0.13463662983678178409,
        0.14622653878305964324,
        -0.33979944548669348028,
        0.26412606180404387445,
        0.075673383682649605826,
    ];
    let want_q = [
        0.86631099155101633824,
        1.7413109915510163382,
        0.11631099155101633824,
        0.56909080120624225673,
        0.31909080120624225673,
        0.94409080120624225673,
    ];
    for (got, want) in dx.into_iter().zip(want_x).chain(dq.into_iter().zip(want_q)) {
        assert_near("gradient", got, want, 3e-16);
    }
}

#[test]
fn kinks() {
    let tape = Tape::new();
    let a = array![1.0, -1.0, 3.0];
    let x = tape.tensor(&a);
    // The absolute error has gradient 0 where prediction and target are equal.
    let target = array![1.0, 1.0, 1.0];
    let gradient = x.mae(&target).backward().wrt(x);
    assert_eq!(gradient * 3.0, array![0.0, -1.0, 1.0]);
    // Both branches of the Huber loss agree at delta.
    let loss = x.huber(0.0, 1.0);
    assert_eq!(loss.value(), (0.5 + 0.5 + 2.5) / 3.0);
    assert_eq!(loss.backward().wrt(x) * 3.0, array![1.0, -1.0, 1.0]);
}

#[test]
fn infinite_logits() {
    const INF: f64 = f64::INFINITY;
    let tape = Tape::new();
    let a = array![[1000.0, 0.0], [0.0, -INF], [INF, 0.0], [-INF, -INF]];
    let x = tape.tensor(&a);
    let loss = x.softmax_cross_entropy(&[0, 0, 0, 0]);
    assert_eq!(loss.value(), 2_f64.ln() / 4.0);
    let want = array![[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [-0.125, 0.125]];
    assert_eq!(loss.backward().wrt(x), want);

    // A label of probability 0 has an infinite loss with a finite gradient.
    let loss = x.softmax_cross_entropy(&[1, 1, 0, 0]);
    assert_eq!(loss.value(), INF);
    let want = array![[0.25, -0.25], [0.25, -0.25], [0.0, 0.0], [-0.125, 0.125]];
    assert_eq!(loss.backward().wrt(x), want);

    // A masked class with target probability 0 adds nothing.
    let q = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.5, 0.5]];
    let loss = x.softmax_cross_entropy(&q);
    assert_eq!(loss.value(), 2_f64.ln() / 4.0);
    assert!(loss.backward().is_finite());

    let single = array![[88.0_f32, -104.0], [3e38, -3e38]];
    let tape = Tape::new();
    let x = tape.tensor(&single);
    let loss = x.softmax_cross_entropy(&[0, 0]);
    assert_eq!(loss.value(), 0.0);
    assert!(loss.backward().is_finite());
}

#[test]
fn targets() {
    fn half<'t>(x: Tensor<'t, f64, Ix2>, target: impl Target<'t, f64, Ix2>) -> Var<'t, f64> {
        0.5 * x.mse(target)
    }
    let tape = Tape::new();
    let a = array![[1.0, 2.0], [3.0, 4.0]];
    let x = tape.tensor(&a);
    // A number or a variable as target of every element.
    let level = tape.var(2.0);
    let loss = x.mse(level);
    assert_eq!((loss.value(), x.mse(2.0).value()), (1.5, 1.5));
    let gradient = loss.backward();
    assert_eq!(gradient[level], -1.0);
    assert_eq!(gradient.wrt(x), array![[-0.5, 0.0], [0.5, 1.0]]);
    // A constant prediction with a target that gets a gradient.
    let target = array![[0.0, 0.0], [0.0, 0.0]];
    let target = tape.tensor(&target);
    let loss = tape.constant(&a).mse(target);
    assert_eq!(loss.backward().wrt(target), array![[-0.5, -1.0], [-1.5, -2.0]]);
    // A loss of constants is a constant.
    assert!(tape.constant(&a).mae(0.0).is_constant());
    assert!(tape.constant(&a).softmax_cross_entropy(&[0, 0]).is_constant());
    // `Target` can be a bound of a user's function.
    assert_eq!(half(x, 2.0).value(), 0.75);
}

#[test]
fn the_same_tensor_twice() {
    let tape = Tape::new();
    let a = array![[0.5, -1.0, 2.0], [0.0, 1.0, 1.5]];
    let x = tape.tensor(&a);
    for loss in [x.mse(x), x.mae(x), x.huber(x, 1.0)] {
        assert_eq!(loss.value(), 0.0);
        assert_eq!(loss.backward().wrt(x), Array2::<f64>::zeros((2, 3)));
    }
    // The gradient by an alias is the sum of those by two separate tensors.
    let b = a.clone();
    let y = tape.tensor(&b);
    let pairs =
        [(x.bce_with_logits(x), x.bce_with_logits(y)), (x.softmax_cross_entropy(x), x.softmax_cross_entropy(y))];
    for (alias, apart) in pairs {
        assert_eq!(alias.value(), apart.value());
        let apart = apart.backward();
        let sum = apart.wrt(x) + apart.wrt(y);
        let difference = alias.backward().wrt(x) - sum;
        assert!(difference.iter().all(|d| d.abs() < 1e-15));
    }
}

#[test]
fn labels_of_any_integer_type() {
    let tape = Tape::new();
    let a = array![[0.1, 0.2], [0.4, 0.3]];
    let x = tape.tensor(&a);
    let loss = x.softmax_cross_entropy(&[1, 0]);
    assert_eq!(x.softmax_cross_entropy(&[1_u8, 0]), loss);
    let labels: Vec<usize> = vec![1, 0];
    assert_eq!(x.softmax_cross_entropy(&labels), loss);
    assert_eq!(x.softmax_cross_entropy(array![1_i64, 0].as_slice().unwrap()), loss);
    assert_eq!(x.accuracy(&[1_u8, 0]), 1.0);
}

/// Each loss records one slot.
#[test]
fn one_slot() {
    let tape = Tape::new();
    let a = Array::from_elem((4, 3), 0.5);
    let x = tape.tensor(&a);
    let mut before = tape.len();
    let mut grown = || {
        let more = tape.len() - before;
        before = tape.len();
        more
    };
    let _ = x.mse(&a);
    assert_eq!(grown(), 1);
    let _ = x.bce_with_logits(&a);
    assert_eq!(grown(), 1);
    let _ = x.softmax_cross_entropy(&[0, 1, 2, 0]);
    assert_eq!(grown(), 1);
    let _ = x.softmax_cross_entropy(&a);
    assert_eq!(grown(), 1);
}

#[test]
#[should_panic(
    expected = "mse: the prediction has shape [3, 1] and the target [1, 3]; a target is not broadcast, reshape it"
)]
fn a_target_does_not_broadcast() {
    let (a, b) = (Array2::<f64>::zeros((3, 1)), Array2::<f64>::zeros((1, 3)));
    let tape = Tape::new();
    let _ = tape.tensor(&a).mse(&b);
}

#[test]
#[should_panic(expected = "huber: delta = 0 is not positive")]
fn delta_zero() {
    let a = Array1::<f64>::zeros(3);
    let tape = Tape::new();
    let _ = tape.tensor(&a).huber(0.0, 0.0);
}

#[test]
#[should_panic(expected = "mae: the prediction of shape [0, 3] is empty")]
fn an_empty_prediction() {
    let a = Array2::<f64>::zeros((0, 3));
    let tape = Tape::new();
    let _ = tape.tensor(&a).mae(0.0);
}

#[test]
#[should_panic(expected = "softmax_cross_entropy: the prediction of shape [0, 3] is empty")]
fn an_empty_batch() {
    let a = Array2::<f64>::zeros((0, 3));
    let tape = Tape::new();
    let _ = tape.tensor(&a).softmax_cross_entropy(&[0_usize; 0]);
}

#[test]
#[should_panic(
    expected = "softmax_cross_entropy: the label of row 1 is 3; logits of shape [2, 3] have the classes 0 to 2"
)]
fn a_label_beyond_the_classes() {
    let a = Array2::<f64>::zeros((2, 3));
    let tape = Tape::new();
    let _ = tape.tensor(&a).softmax_cross_entropy(&[0, 3]);
}

#[test]
#[should_panic(expected = "softmax_cross_entropy: the label of row 0 is -1")]
fn a_negative_label() {
    let a = Array2::<f64>::zeros((2, 3));
    let tape = Tape::new();
    let _ = tape.tensor(&a).softmax_cross_entropy(&[-1, 0]);
}

#[test]
#[should_panic(expected = "softmax_cross_entropy: 3 labels for logits of shape [2, 3], which have 2 rows")]
fn too_many_labels() {
    let a = Array2::<f64>::zeros((2, 3));
    let tape = Tape::new();
    let _ = tape.tensor(&a).softmax_cross_entropy(&[0, 1, 2]);
}

#[test]
#[should_panic(expected = "two tapes")]
fn a_target_of_another_tape() {
    let a = Array1::<f64>::zeros(3);
    let (one, other) = (Tape::new(), Tape::new());
    let _ = one.tensor(&a).mse(other.tensor(&a));
}

/// Tangents of the gradient, forward over reverse, against differences of gradients.
#[test]
fn hessian_vector_products() {
    type Dual = wengert::Dual<f64>;
    fn loss<F: wengert::Scalar>(x: Tensor<'_, F, Ix2>) -> Var<'_, F> {
        let q = x.softmax(Axis(1));
        x.softmax_cross_entropy(&[2, 0])
            + x.softmax_cross_entropy(q)
            + x.bce_with_logits(F::lit(0.25)) * x.var_axis(Axis(1), num(1.0)).sum()
            + x.norm() * x.log_sum_exp_axis(Axis(0)).product()
            + x.log_softmax(Axis(0)).mse(x) * x.std(num(0.0))
            + x.huber(F::zero(), num(0.6)) * x.max()
    }
    fn num<B: BaseFloat>(x: f64) -> B {
        B::round_from(x)
    }
    let point = array![[0.5, -1.25, 2.0], [0.25, 0.75, -0.5]];
    let direction = array![[1.0, 0.5, -0.25], [-0.75, 0.3, 0.8]];
    let gradient_at = |h: f64| {
        let a = &point + h * &direction;
        let tape = Tape::new();
        let x = tape.tensor(&a);
        loss(x).backward().wrt(x)
    };
    let h = 1e-5;
    let want = (gradient_at(h) - gradient_at(-h)) / (2.0 * h);

    let mut dual = Array2::from_elem((2, 3), Dual::constant(0.0));
    for ((d, &x), &v) in dual.iter_mut().zip(&point).zip(&direction) {
        *d = Dual::new(x, [v]);
    }
    let tape = Tape::new();
    let x = tape.tensor(&dual);
    for (got, want) in loss(x).backward().wrt(x).iter().zip(&want) {
        assert_near("hessian", got.tangents()[0], *want, 1e-8);
    }
}

/// The check of a target does not trust a user's implementation of `Target`, which could return a tensor of another
/// tape or shape.
#[test]
fn a_target_is_checked() {
    let (ours, theirs, long) = (array![1.0], array![3.0], array![3.0, 4.0]);
    let (a, b) = (Tape::new(), Tape::new());
    panic_of(|| a.tensor(&ours).mse(b.tensor(&theirs)));
    panic_of(|| a.tensor(&ours).mse(a.tensor(&long)));
}

/// At the logit 0, where the formula changes its branch, d/dx = σ(0) - t and σ'(0) = 1/4.
#[test]
fn binary_cross_entropy_is_smooth_at_zero() {
    let target = array![0.25];
    let mut params = Params::<f64>::new();
    for zero in [0.0, -0.0] {
        let x = params.add(zero.to_string(), array![zero]);
        let along = params.with_tangents(&vec![1.0; params.len()]);
        let mut tape = Tape::new();
        let (loss, gradient) = tape.value_and_grad(&along, |p| p.get(x).bce_with_logits(&target));
        let last = gradient[gradient.len() - 1];
        assert_eq!((loss.primal(), loss.tangents()[0]), (2_f64.ln(), 0.25), "at {zero}");
        assert_eq!((last.primal(), last.tangents()[0]), (0.25, 0.25), "at {zero}");
    }
}
