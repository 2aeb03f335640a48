//! Options of losses, and their mean, sum and single values, against PyTorch; the same at second order and in `f32`.

use ndarray::{Array2, Axis, Ix2, array};
use wengert::gradcheck::GradCheck;
use wengert::loss::{AbsoluteError, BceWithLogits, CrossEntropy, Huber, KlDivergence, Loss, SquaredError};
use wengert::{BaseFloat, Scalar, Tape, Tensor, Var};

use super::{check, fill};
use crate::support::close::assert_close;
use crate::support::panics::message_of;

static WEIGHTS: [f64; 3] = [0.5, 2.0, 1.25];
static LABELS: [i8; 4] = [2, -1, 0, 1];

/// Rows of probabilities, as the oracle makes them.
fn shares() -> Array2<f64> {
    let e = fill((4, 3), 2).mapv(f64::exp);
    &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1))
}

/// Compares mean, sum and each with the oracle's `name mean`, `name sum` and `name none`.
fn check_reductions<'t, D: ndarray::Dimension + 't, L: Loss<'t, f64, D, T> + 't, T: Copy + 't>(
    name: &str,
    loss: L,
    [mean, sum]: [&str; 2],
    x: Tensor<'t, f64, D>,
    target: T,
    inputs: &[(&'static str, Tensor<'t, f64, Ix2>)],
) {
    let losses = || x.losses(loss, target);
    for (reduction, y) in [(mean, losses().mean()), (sum, losses().sum())] {
        check(&format!("{name} {reduction}"), x.tape().stack_vars(&[y]), inputs.iter().copied());
    }
    let single = losses().each();
    assert_close(name, &[single.sum().value()], &[losses().sum().value()], 1e-14);
}

#[test]
fn options_as_pytorch() {
    let (tape, data, shares) = (Tape::new(), fill((4, 3), 1), shares());
    let (x, q) = (tape.tensor(&data), tape.tensor(&shares));
    let plain = CrossEntropy::new();
    for (name, options) in [
        ("plain", plain),
        ("weights", plain.class_weights(&WEIGHTS)),
        ("smoothing", plain.smoothing(0.2)),
        ("both", plain.class_weights(&WEIGHTS).smoothing(0.2)),
    ] {
        let both = ["mean", "sum"];
        check_reductions(&format!("labels {name}"), options.ignore(-1), both, x, &LABELS, &[("x", x)]);
        check_reductions(&format!("shares {name}"), options, both, x, q, &[("x", x), ("q", q)]);
        check(&format!("labels {name} none"), x.losses(options.ignore(-1), &LABELS).each(), [("x", x)]);
        check(&format!("shares {name} none"), x.losses(options, q).each(), [("x", x), ("q", q)]);
    }
    let nll = CrossEntropy::new().of_logarithms().class_weights(&WEIGHTS).ignore(-1);
    check_reductions("nll", nll, ["mean", "sum"], x, &LABELS, &[("x", x)]);
    check("nll none", x.losses(nll, &LABELS).each(), [("x", x)]);

    let scaled = data.mapv(|x| 3.0 * x);
    let logits = tape.tensor(&scaled);
    let bce = BceWithLogits::new().pos_weight(&WEIGHTS);
    check_reductions("bce", bce, ["mean", "sum"], logits, q, &[("x", logits), ("t", q)]);
    check("bce none", logits.losses(bce, q).each(), [("x", logits), ("t", q)]);

    check_reductions("kl", KlDivergence::new(), ["batchmean", "sum"], x, q, &[("x", x), ("q", q)]);
    check("kl of logarithms", x.losses(KlDivergence::new().of_logarithms(), q).each(), [("x", x), ("q", q)]);
}

/// Each kind of loss as a number: the squares of single losses, the sum and the mean.
fn every_kind<'t, F: Scalar>(x: Tensor<'t, F, Ix2>, t: Tensor<'t, F, Ix2>) -> [Var<'t, F>; 7] {
    let q = t.softmax(Axis(1));
    let kind = CrossEntropy::new().ignore(-1).class_weights(&WEIGHTS).smoothing(0.3);
    let delta = F::Base::round_from(0.8);
    [
        x.losses(SquaredError, t).each().square().sum() + x.losses(SquaredError, t).sum(),
        x.losses(AbsoluteError, t).each().square().sum(),
        x.losses(Huber::new(delta), t).each().square().sum() + x.losses(Huber::new(delta), t).sum(),
        x.losses(BceWithLogits::new().pos_weight(&WEIGHTS), q).each().square().sum()
            + x.losses(BceWithLogits::new().pos_weight(&[2.5]), q).mean()
            + x.losses(BceWithLogits::new(), q).each().square().sum(),
        x.losses(kind, &LABELS).each().square().sum() + x.losses(kind, &LABELS).mean(),
        x.losses(CrossEntropy::new().class_weights(&WEIGHTS).smoothing(0.3), q).each().square().sum(),
        x.losses(KlDivergence::new(), q).each().square().sum() + x.losses(KlDivergence::new(), q).mean(),
    ]
}

#[test]
fn gradients_of_both_precisions_and_orders() {
    let (a, b) = (fill((4, 3), 1), fill((4, 3), 4));
    let (single_a, single_b) = (a.mapv(|x| x as f32), b.mapv(|x| x as f32));
    for i in 0..7 {
        GradCheck::new().check_tensor(|x| every_kind(x, x.tape().constant(b.clone()))[i], &a).unwrap();
        GradCheck::new().check_tensor(|t| every_kind(t.tape().constant(a.clone()), t)[i], &b).unwrap();
        let tape = Tape::<f32>::new();
        let (x, t) = (tape.tensor(&single_a), tape.tensor(&single_b));
        let double = Tape::<f64>::new();
        let (u, v) = (double.tensor(&a), double.tensor(&b));
        let (got, want) = (every_kind(x, t)[i], every_kind(u, v)[i]);
        assert_close("value", &[f64::from(got.value())], &[want.value()], 1e-5);
        let (got, want) = (got.backward(), want.backward());
        for (got, want) in [(got.wrt(x), want.wrt(u)), (got.wrt(t), want.wrt(v))] {
            assert_close(&format!("loss {i}"), &got.mapv(f64::from), &want, 2e-5);
        }
        // Second order: tangents of the gradient against differences of gradients.
        let gradient = |h: f64| {
            let tape = Tape::<f64>::new();
            let (a, b) = (a.mapv(|x| x + h * (5.0 * x).sin()), b.mapv(|x| x - h * x));
            let (x, t) = (tape.tensor(&a), tape.tensor(&b));
            let gradient = every_kind(x, t)[i].backward();
            [gradient.wrt(x), gradient.wrt(t)]
        };
        let (above, below) = (gradient(1e-5), gradient(-1e-5));
        let tape = Tape::<wengert::Dual<f64>>::new();
        let (a, b) = (a.mapv(|x| wengert::Dual::new(x, [(5.0 * x).sin()])), b.mapv(|x| wengert::Dual::new(x, [-x])));
        let (x, t) = (tape.tensor(&a), tape.tensor(&b));
        let got = every_kind(x, t)[i].backward();
        for (got, (above, below)) in [got.wrt(x), got.wrt(t)].iter().zip(above.iter().zip(&below)) {
            let want = (above - below) / 2e-5;
            assert_close(&format!("second order of loss {i}"), &got.mapv(|g| g.tangents()[0]), &want, 1e-7);
        }
    }
}

#[test]
fn special_points() {
    let tape = Tape::<f64>::new();
    let infinity = f64::INFINITY;
    let data = array![[infinity, 0.0, -infinity], [0.0, -infinity, 1.0], [f64::NAN, 0.0, 0.0]];
    let x = tape.tensor(&data);
    // An ignored row does no harm, whatever stands in it; 0 may be a label that does not count.
    let losses = x.losses(CrossEntropy::new().ignore(7), &[0, 0, 7]);
    assert!((losses.mean().value() - 0.5 * (1.0 + 1_f64.exp()).ln()).abs() < 1e-15);
    let gradient = x.losses(CrossEntropy::new().ignore(7), &[0, 0, 7]).mean().backward().wrt(x);
    assert!(gradient.iter().all(|g| g.is_finite()) && gradient.row(2).iter().all(|&g| g == 0.0));
    let first = x.losses(CrossEntropy::new().ignore(0), &[0, 2, 0]).each();
    assert_eq!((first.value()[0], first.value()[2]), (0.0, 0.0));
    // No row counts: the sum is 0, and there is no mean.
    let none = || x.losses(CrossEntropy::new().ignore(7), &[7, 7, 7]);
    assert_eq!((none().sum().value(), none().sum().backward().wrt(x).sum()), (0.0, 0.0));
    assert!(message_of(|| none().mean()).contains("no row counts"));
    // Divergence: a probability 0 costs nothing; equal distributions are not apart.
    let q = array![[1.0, 0.0, 0.0]];
    let logits = array![[infinity, 0.0, -infinity]];
    let y = tape.tensor(&logits);
    assert_eq!(y.losses(KlDivergence::new(), &q).mean().value(), 0.0);
    assert!(y.losses(KlDivergence::new(), &q).mean().backward().wrt(y).iter().all(|&g| g == 0.0));
    // Infinite logits that are right.
    let right = array![infinity, -infinity];
    let z = tape.tensor(&right);
    let weighted = z.losses(BceWithLogits::new().pos_weight(&[3.0]), array![1.0, 0.0]);
    assert_eq!(weighted.mean().value(), 0.0);
    // Nothing to reduce.
    let empty = Array2::<f64>::zeros((0, 3));
    let e = tape.tensor(&empty);
    assert_eq!(e.losses(SquaredError, 0.0).sum().value(), 0.0);
    assert_eq!(e.losses(SquaredError, 0.0).each().shape(), [0, 3]);
    assert_eq!(e.losses(CrossEntropy::new(), &[0_u8; 0]).each().shape(), [0]);
    assert_eq!(e.losses(BceWithLogits::new().pos_weight(&[1.0]), 0.0).sum().value(), 0.0);
}

type Case<'a> = Box<dyn Fn() + 'a>;

#[test]
fn bad_options() {
    let (tape, data) = (Tape::<f64>::new(), fill((4, 3), 1));
    let x = tape.tensor(&data);
    let negative = [-1.0];
    let cases: [(Case<'_>, &str); 7] = [
        (Box::new(|| _ = CrossEntropy::new().class_weights(&negative)), "weights of classes must be finite"),
        (Box::new(|| _ = CrossEntropy::new().smoothing(1.5)), "share of smoothing must be in [0, 1], it is 1.5"),
        (Box::new(|| _ = BceWithLogits::new().pos_weight(&[f64::NAN])), "weights of positives must be finite"),
        (
            Box::new(|| _ = x.losses(CrossEntropy::new().class_weights(&[1.0; 2]), &[0; 4]).mean()),
            "2 weights of classes for a prediction of shape [4, 3]",
        ),
        (
            Box::new(|| _ = x.losses(BceWithLogits::new().pos_weight(&[1.0; 2]), 0.0).mean()),
            "2 weights of positives for a prediction of shape [4, 3]",
        ),
        (Box::new(|| _ = x.losses(CrossEntropy::new().ignore(-1), x).mean()), "rows of probabilities have no label"),
        (
            Box::new(|| _ = x.losses(CrossEntropy::new().ignore(-1), &[0, 1, 2, 3]).each()),
            "the label of row 3 is 3; logits of shape [4, 3] have the classes 0 to 2",
        ),
    ];
    for (case, text) in cases {
        let message = message_of(std::panic::AssertUnwindSafe(case));
        assert!(message.contains(text), "{message}");
    }
}
