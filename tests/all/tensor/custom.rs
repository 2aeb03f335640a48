//! Tensor operations with a pullback by hand, and cotangents that are replaced or clipped.

use std::cell::Cell;
use std::sync::Arc;

use ndarray::{Array1, Array2, array, s};
use wengert::gradcheck::GradCheck;
use wengert::{Dual, Scalar, Tape, Tensor, Var};

use crate::support::panics::message_of;

/// The elementwise product, with the pullback of both operands by hand.
fn product<'t, F: Scalar>(
    a: Tensor<'t, F, ndarray::Ix2>,
    x: Tensor<'t, F, ndarray::Ix2>,
) -> Tensor<'t, F, ndarray::Ix2> {
    let value = &a.value() * &x.value();
    a.tape().custom("product", (a, x), value, |cotangent, (a, x), _| (&cotangent * &x, &cotangent * &a))
}

#[test]
fn a_custom_operation_is_as_good_as_a_built_in_one() {
    let data: Array2<f64> = array![[0.5, -1.0], [2.0, 0.25]];
    let check = GradCheck::new();
    check.check_tensor(|x| product(x, x.sin()).sum(), &data).expect("plain");
    check.check_tensor(|x| product(x, x).sum(), &data).expect("aliased");
    check.check_tensor(|x| (product(x.t(), x) * x).sum(), &data).expect("transposed");
    check
        .check_tensor(|x| product(x.slice(s![.., ..1]).broadcast((2, 2)), x).square().sum(), &data)
        .expect("broadcast");
    // Forward over reverse: the same code on dual numbers.
    let tape = Tape::new();
    let lifted = data.mapv(|x| Dual::new(x, [1.0]));
    let x = tape.tensor(&lifted);
    let gradient = product(x, product(x, x)).sum().backward().wrt(x);
    for (g, x) in gradient.iter().zip(&data) {
        assert!((g.primal() - 3.0 * x * x).abs() < 1e-14 && (g.tangents()[0] - 6.0 * x).abs() < 1e-14);
    }
}

#[test]
fn operands_come_in_every_arrangement() {
    let tape = Tape::new();
    let (a, b) = (array![1.0, 2.0], array![3.0, 4.0]);
    let (x, y, w) = (tape.tensor(&a), tape.tensor(&b), tape.var(2.0).sin());
    let before = tape.len();

    let sum = tape.custom("scaled", (x, w), &a * w.value(), |c, (x, w), _| (&c * w, c.dot(&x)));
    let total = &a + &b + &a;
    let both = tape.custom("sum", &[x, y, x][..], total, |c, operands, _| vec![c.to_owned(); operands.len()]);
    assert_eq!(tape.len(), before + 2 + 1 + 2); // two results, and w made a node
    let v = w.retain();
    let gradient = (sum.sum() + (both * array![1.0, 10.0]).sum() + v).backward();
    assert_eq!(gradient.wrt(x), array![2.0 + w.value(), 20.0 + w.value()]);
    assert_eq!(gradient.wrt(y), array![1.0, 10.0]);

    let c = tape.constant(&a);
    let before = tape.len();
    let fixed = tape.custom("fixed", c, a.clone(), |c, _, _| c.to_owned());
    assert!(fixed.is_constant() && tape.len() == before);
}

/// Clearing the tape drops the values that a pullback owns.
#[test]
fn a_pullback_is_dropped_by_clear() {
    let owned = Arc::new(vec![1.0; 100]);
    let mut tape = Tape::new();
    for _ in 0..2 {
        let kept = Arc::clone(&owned);
        let data = array![1.0];
        let x = tape.tensor(&data);
        let y = tape.custom("kept", x, array![1.0], move |c, _, _| &c * kept[0]);
        assert_eq!(y.sum().backward().wrt(x), array![1.0]);
        assert_eq!(Arc::strong_count(&owned), 2);
        tape.clear();
        assert_eq!(Arc::strong_count(&owned), 1);
    }
}

fn broken<'t>(x: Tensor<'t, f64, ndarray::Ix1>, cotangent: Array1<f64>) -> Tensor<'t, f64, ndarray::Ix1> {
    x.tape().custom("broken", x, x.value().to_owned(), move |_, _, _| cotangent.clone())
}

#[test]
#[should_panic(expected = "broken: its pullback gave a cotangent of shape [3] for an operand of shape [2]")]
fn a_cotangent_of_another_shape() {
    let (tape, data) = (Tape::new(), array![1.0, 2.0]);
    let _ = broken(tape.tensor(&data), array![1.0, 2.0, 3.0]).sum().backward();
}

#[test]
#[should_panic(expected = "sum: its pullback gave 1 cotangents for 2 operands")]
fn too_few_cotangents() {
    let (tape, data) = (Tape::new(), array![1.0, 2.0]);
    let x = tape.tensor(&data);
    let _ = tape.custom("sum", &[x, x][..], array![2.0, 4.0], |c, _, _| vec![c.to_owned()]).sum().backward();
}

#[test]
#[should_panic(expected = "other: an operand belongs to tape")]
fn an_operand_of_another_tape() {
    let (tape, other, data) = (Tape::new(), Tape::new(), array![1.0, 2.0]);
    let _ = tape.custom("other", other.tensor(&data), array![1.0], |_, x, _| x.to_owned());
}

/// A pullback can reach the tape in safe code. Recording panics, because it could move records that are being read.
#[test]
fn a_pullback_that_records_is_refused() {
    thread_local!(static TAPE: &'static Tape<f64> = Box::leak(Box::default()));
    thread_local!(static HANDLES: Cell<[Option<Var<'static, f64>>; 2]> = const { Cell::new([None; 2]) });
    TAPE.with(|tape| HANDLES.set([Some(tape.var(1.0)), Some(tape.var(2.0))]));
    let works: [fn(&'static Tape<f64>); 3] = [
        |tape| assert!(!tape.var(1.0).is_constant()),
        |_| {
            let [x, y] = HANDLES.get().map(|var| var.expect("a handle"));
            assert_eq!((x * y).value(), 2.0);
        },
        |tape| {
            let x = Box::leak(Box::new(array![1.0]));
            let _ = tape.tensor(&*x).exp();
        },
    ];
    for work in works {
        let message = message_of(|| {
            TAPE.with(|tape| {
                let data = Box::leak(Box::new(array![1.0, 2.0]));
                let x = tape.tensor(&*data);
                let y = tape.custom("reaching", x, data.clone(), move |c, _, _| {
                    TAPE.with(|tape| work(tape));
                    c.to_owned()
                });
                let _ = y.sum().backward();
            });
        });
        assert!(message.contains("must not record"), "{message}");
        // The tape is still usable.
        TAPE.with(|tape| {
            let x = tape.var(3.0);
            assert_eq!((x * x + x).backward()[x], 7.0);
        });
    }
}

#[test]
fn straight_through_and_clipped() {
    let tape = Tape::new();
    let x = tape.var(2.6_f64);
    let y = (x * x).straight_through(f64::floor);
    assert_eq!((y.value(), y.backward()[x]), (6.0, 5.2));
    assert_eq!((x.clip_cotangent(0.5) * -3.0).backward()[x], -0.5);
    assert_eq!((x.clip_cotangent(5.0) * -3.0).backward()[x], -3.0);
    assert!((x.clip_cotangent(5.0) * f64::NAN).backward()[x].is_nan());
    assert_eq!(Var::constant(1.0).clip_cotangent(1.0).value(), 1.0);

    let data = array![[1.5, -2.5], [0.5, 4.0]];
    let t = tape.tensor(&data);
    let rounded = t.t().straight_through(f64::trunc);
    assert_eq!(rounded.value(), array![[1.0, 0.0], [-2.0, 4.0]]);
    let weights = array![[1.0, 2.0], [3.0, 4.0]];
    assert_eq!((rounded * &weights).sum().backward().wrt(t), weights.t());
    assert_eq!((t.clip_cotangent(2.5) * &weights).sum().backward().wrt(t), array![[1.0, 2.0], [2.5, 2.5]]);
    let norm = 30_f64.sqrt();
    let clipped = (t.clip_cotangent_norm(1.0) * &weights).sum().backward().wrt(t);
    assert!(clipped.iter().zip(&weights).all(|(c, w)| (c - w / norm).abs() < 1e-15));
    assert_eq!((t.clip_cotangent_norm(9.0) * &weights).sum().backward().wrt(t), weights);
}

#[test]
#[should_panic(expected = "clip_cotangent: the limit is NaN")]
fn a_limit_that_is_none() {
    let tape = Tape::new();
    let _ = tape.var(1.0).clip_cotangent(f64::NAN);
}

#[test]
#[should_panic(expected = "clip_cotangent: the limit is -1")]
fn a_negative_limit_of_a_constant() {
    let _ = Var::constant(1.0).clip_cotangent(-1.0);
}

/// A cotangent that is too large to be squared is clipped all the same.
#[test]
fn a_huge_cotangent_is_clipped_not_lost() {
    let tape = Tape::<f32>::new();
    let data = array![1.0, 1.0];
    let x = tape.tensor(&data);
    let loss = (x.clip_cotangent_norm(1.0) * array![3e30_f32, 4e30]).sum();
    let gradient = loss.backward().wrt(x);
    assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
}

/// The end of a sweep within a pullback does not open the tape for recording.
#[test]
fn a_nested_sweep_does_not_open_the_tape() {
    thread_local!(static TAPE: &'static Tape<f64> = Box::leak(Box::default()));
    thread_local!(static PAIR: Cell<[Option<Var<'static, f64>>; 2]> = const { Cell::new([None; 2]) });
    let message = message_of(|| {
        TAPE.with(|tape| {
            PAIR.set([Some(tape.var(1.0)), Some(tape.var(2.0))]);
            let data = Box::leak(Box::new(array![1.0]));
            let y = tape.custom("nested", tape.tensor(&*data), data.clone(), |c, _, _| {
                let [x, y] = PAIR.get().map(|var| var.expect("a handle"));
                assert_eq!(x.backward()[x], 1.0);
                let _ = x * y;
                c.to_owned()
            });
            let _ = y.sum().backward();
        });
    });
    assert!(message.contains("must not record"), "{message}");
}

/// A value whose destructor panics is not dropped twice.
#[test]
fn a_panicking_destructor_leaves_an_empty_tape() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bang");
        }
    }
    let mut tape = Tape::<f64>::new();
    {
        let data = array![1.0];
        let bomb = Bomb;
        let x = tape.tensor(&data);
        let _ = tape.custom("bomb", x, array![1.0], move |c, _, _| {
            let _ = &bomb;
            c.to_owned()
        });
    }
    assert_eq!(message_of(|| tape.clear()), "bang");
    assert!(tape.is_empty());
    let x = tape.var(3.0);
    assert_eq!((x * x).backward()[x], 6.0);
}
