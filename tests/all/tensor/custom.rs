//! Operations with a derivative of their own, cotangents that are given, and sweeps that add up.

use std::cell::Cell;
use std::sync::Arc;

use ndarray::{Array1, Array2, Axis, array, s};
use wengert::gradcheck::GradCheck;
use wengert::{BaseFloat, Dual, Real, Rule, Scalar, Tape, Tensor, Var, apply, check_gradient, grad, with_partials};

/// x²y + sin y, by a value that no operation of the crate has seen.
#[derive(Clone, Copy)]
struct Surface;

impl<B: BaseFloat> Rule<B, 2> for Surface {
    fn primal(self, [x, y]: [B; 2]) -> B {
        let (x, y) = (x.to_f64().expect("a float"), y.to_f64().expect("a float"));
        B::lit(x * x * y + y.sin())
    }
    fn partials<R: Real<Base = B>>(self, [x, y]: [R; 2], _: R) -> [R; 2] {
        [R::lit(2.0) * x * y, x * x + y.cos()]
    }
}

/// x³, with a parameter: the factor in front.
#[derive(Clone, Copy)]
struct Cubic(f64);

impl<B: BaseFloat> Rule<B, 1> for Cubic {
    fn primal(self, [x]: [B; 1]) -> B {
        B::lit(self.0) * x * x * x
    }
    fn partials<R: Real<Base = B>>(self, [x]: [R; 1], _: R) -> [R; 1] {
        [R::lit(3.0 * self.0) * x * x]
    }
}

#[test]
fn a_rule_runs_in_every_mode_and_order() {
    let f = |x: f64, y: f64| x * x * y + y.sin();
    assert_eq!(apply(Surface, [1.5, 0.5]), f(1.5, 0.5));
    let g = grad(|v| apply(Surface, [v[0], v[1]]) * 2.0, &[1.5, 0.5]);
    assert_eq!(g, [2.0 * 2.0 * 1.5 * 0.5, 2.0 * (1.5 * 1.5 + 0.5_f64.cos())]);
    check_gradient(|v| apply(Surface, [v[0].sin(), v[1] * v[0]]), &[0.7, -1.3]).expect("first order");
    check_gradient(|v| apply(Surface, [v[0], v[0]]), &[0.7]).expect("one slot twice");
    GradCheck::new()
        .check_second_order(|v| apply(Surface, [v[0].sin(), v[1] * v[0]]), &[0.7_f64, -1.3])
        .expect("second order");
    // Third order by nesting: d³/dx³ of 2x³.
    let x = Dual::new(Dual::new(Dual::new(0.4, [1.0]), [Dual::constant(1.0)]), [Dual::constant(Dual::constant(1.0))]);
    assert_eq!(apply(Cubic(2.0), [x]).tangents()[0].tangents()[0].tangents()[0], 12.0);
    // A constant operand has no partial.
    let tape = Tape::new();
    let x = tape.var(1.5_f64);
    assert_eq!(apply(Surface, [x, Var::constant(0.5)]).backward()[x], 1.5);
}

#[test]
fn a_rule_maps_the_elements_of_a_tensor() {
    let data = array![[0.5, -1.0, 2.0], [0.0, 3.0, -0.25]];
    let check = GradCheck::new();
    check.check_tensor(|x| x.apply_rule(Cubic(0.7)).sum(), &data).expect("f64");
    check.check_tensor(|x| x.t().apply_rule(Cubic(0.7)).sum(), &data.slice(s![.., ..;2])).expect("a view");
    let tape = Tape::new();
    let data = data.mapv(|x: f64| Dual::new(x, [1.0]));
    let x = tape.tensor(&data);
    let gradient = x.apply_rule(Cubic(0.7)).sum().backward().wrt(x);
    for (g, x) in gradient.iter().zip(&data) {
        assert!((g.tangents()[0] - 4.2 * x.primal()).abs() < 1e-14);
    }
}

#[test]
fn given_partials_are_a_node() {
    let tape = Tape::new();
    let x = tape.vars_from(&[1.0, 2.0, 3.0]);
    let y = with_partials(7.0, x.iter().map(|x| (-*x, x.value())));
    assert_eq!(y.value(), 7.0);
    assert_eq!((y * 2.0).backward().wrt(x), [-2.0, -4.0, -6.0]);
    let none = with_partials(3.0, [(Var::<f64>::constant(1.0), 5.0)]);
    assert!(none.is_constant() && none.value() == 3.0);
    let infinite = with_partials(1.0, [(x[0], f64::INFINITY)]);
    assert_eq!((infinite * 0.0 + x[1]).backward().wrt(x), [0.0, 1.0, 0.0]);
}

#[test]
#[should_panic(expected = "two tapes")]
fn given_partials_of_two_tapes() {
    let (a, b) = (Tape::new(), Tape::new());
    let _ = with_partials(1.0, [(a.var(1.0), 1.0), (b.var(1.0), 1.0)]);
}

/// y = a·x, elementwise with both operands' pullbacks by hand.
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

/// What a pullback owns goes when the tape forgets it.
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
    broken(tape.tensor(&data), array![1.0, 2.0, 3.0]).sum().backward();
}

#[test]
#[should_panic(expected = "sum: its pullback gave 1 cotangents for 2 operands")]
fn too_few_cotangents() {
    let (tape, data) = (Tape::new(), array![1.0, 2.0]);
    let x = tape.tensor(&data);
    tape.custom("sum", &[x, x][..], array![2.0, 4.0], |c, _, _| vec![c.to_owned()]).sum().backward();
}

#[test]
#[should_panic(expected = "other: an operand belongs to tape")]
fn an_operand_of_another_tape() {
    let (tape, other, data) = (Tape::new(), Tape::new(), array![1.0, 2.0]);
    let _ = tape.custom("other", other.tensor(&data), array![1.0], |_, x, _| x.to_owned());
}

/// A pullback may reach the tape in safe code; it is stopped before it can move what is being read.
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
        let caught = std::panic::catch_unwind(|| {
            TAPE.with(|tape| {
                let data = Box::leak(Box::new(array![1.0, 2.0]));
                let x = tape.tensor(&*data);
                let y = tape.custom("reaching", x, data.clone(), move |c, _, _| {
                    TAPE.with(|tape| work(tape));
                    c.to_owned()
                });
                y.sum().backward();
            });
        });
        let message = *caught.expect_err("it must not record").downcast::<&str>().expect("a message");
        assert!(message.contains("must not record"), "{message}");
        // The tape works on.
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

#[test]
fn seeds_of_many_outputs() {
    let tape = Tape::new();
    let data = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let (t, x) = (tape.tensor(&data), tape.var(0.5));
    let y = t * x;
    // One output twice, a view, an input itself, a function of one variable, a constant.
    let gradient = tape.backward_with([
        y.seed(&array![[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        y.seed(&array![[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        y.t().index_axis(Axis(0), 2).seed(&array![0.0, 10.0]),
        x.seed(7.0),
        (x * x * x).seed(4.0),
        Var::constant(3.0).seed(1.0),
        tape.constant(array![1.0]).seed(&array![1.0]),
    ]);
    assert_eq!(gradient[x], 2.0 + 60.0 + 7.0 + 3.0);
    assert_eq!(gradient.wrt(t), array![[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]]);
    assert_eq!(tape.backward_with([])[x], 0.0);
    // A seed of zero silences what is infinite.
    assert_eq!(tape.backward_with([(x * 0.0).sqrt().seed(0.0)])[x], 0.0);
    // All sweeps together are the sweep of all.
    let mut total = y.backward_with(&array![[2.0, 0.0, 0.0], [0.0, 0.0, 10.0]]);
    total += &(x * x * x * 4.0 + x * 7.0).backward();
    assert_eq!(total.wrt(t), gradient.wrt(t));
    assert_eq!(total[x], gradient[x]);
    let mut short = x.backward();
    short += &total;
    assert_eq!(short[x], gradient[x] + 1.0);
}

#[test]
#[should_panic(expected = "seed: the tensor has shape [2] and the cotangent [3]")]
fn a_seed_of_another_shape() {
    let (tape, data) = (Tape::new(), array![1.0, 2.0]);
    let _ = tape.tensor(&data).backward_with(&array![1.0, 2.0, 3.0]);
}

#[test]
#[should_panic(expected = "is a constant")]
fn a_sweep_from_a_constant() {
    let tape = Tape::new();
    let _ = tape.constant(array![1.0, 2.0]).backward_with(&array![1.0, 2.0]);
}

#[test]
#[should_panic(expected = "backward_with: an output belongs to tape")]
fn a_seed_of_another_tape() {
    let (a, b) = (Tape::new(), Tape::new());
    let _ = a.backward_with([b.var(1.0).seed(1.0)]);
}

/// What is to be clipped may be too large to be squared.
#[test]
fn a_huge_cotangent_is_clipped_not_lost() {
    let tape = Tape::<f32>::new();
    let data = array![1.0, 1.0];
    let x = tape.tensor(&data);
    let loss = (x.clip_cotangent_norm(1.0) * array![3e30_f32, 4e30]).sum();
    let gradient = loss.backward().wrt(x);
    assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
}

/// Seeds from an iterator that records while it gives them.
#[test]
fn seeds_that_are_recorded_on_the_way() {
    let tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let gradient = tape.backward_with([(x, y), (y, y)].into_iter().map(|(a, b)| (a * b).seed(1.0)));
    assert_eq!(gradient.wrt([x, y]), [3.0, 8.0]);
}

/// A sweep within a pullback leaves the tape closed for recording.
#[test]
fn a_nested_sweep_does_not_open_the_tape() {
    thread_local!(static TAPE: &'static Tape<f64> = Box::leak(Box::default()));
    thread_local!(static PAIR: Cell<[Option<Var<'static, f64>>; 2]> = const { Cell::new([None; 2]) });
    let caught = std::panic::catch_unwind(|| {
        TAPE.with(|tape| {
            PAIR.set([Some(tape.var(1.0)), Some(tape.var(2.0))]);
            let data = Box::leak(Box::new(array![1.0]));
            let y = tape.custom("nested", tape.tensor(&*data), data.clone(), |c, _, _| {
                let [x, y] = PAIR.get().map(|var| var.expect("a handle"));
                assert_eq!(x.backward()[x], 1.0);
                let _ = x * y;
                c.to_owned()
            });
            y.sum().backward();
        });
    });
    let message = *caught.expect_err("it must not record").downcast::<&str>().expect("a message");
    assert!(message.contains("must not record"), "{message}");
}

/// A destructor that panics leaves nothing on the list of what was dropped.
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
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tape.clear())).is_err());
    assert!(tape.is_empty());
    let x = tape.var(3.0);
    assert_eq!((x * x).backward()[x], 6.0);
}
