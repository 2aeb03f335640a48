//! Functions that keep their tape, and gradients at arrays.

use wengert::{Evaluator, Var, grad, value_and_grad};

/// x² y + sin y and its gradient.
fn f<'t>(x: &[Var<'t>]) -> Var<'t> {
    x[0] * x[0] * x[1] + x[1].sin()
}

fn closed([x, y]: [f64; 2]) -> (f64, [f64; 2]) {
    (x * x * y + y.sin(), [2.0 * x * y, x * x + y.cos()])
}

#[test]
fn many_points_on_one_tape() {
    let mut evaluator = Evaluator::new(2, f);
    let mut g = [0.0; 2];
    for i in 0..50 {
        let x = [f64::from(i) * 0.1, 1.0 - f64::from(i) * 0.3];
        let value = evaluator.value_and_grad(&x, &mut g);
        assert_eq!((value, g), closed(x));
        assert_eq!(evaluator.value(&x), value);
        assert_eq!(evaluator.grad(&x), g);
    }
}

#[test]
fn constants_and_unused_variables_have_gradient_zero() {
    let mut g = [7.0; 2];
    assert_eq!(Evaluator::new(2, |_| Var::constant(3.0)).value_and_grad(&[1.0, 2.0], &mut g), 3.0);
    assert_eq!(g, [0.0; 2]);
    assert_eq!(Evaluator::new(2, |x| x[1]).value_and_grad(&[1.0, 2.0], &mut g), 2.0);
    assert_eq!(g, [0.0, 1.0]);
}

#[test]
fn data_is_borrowed_and_evaluators_are_sent() {
    let data = [1.0, 2.0, 3.0];
    let mut loss = Evaluator::new(1, |x| data.iter().map(|y| (x[0] - *y).square()).sum());
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(loss.grad(&[2.0]), [0.0]));
    });
}

#[test]
fn a_panic_leaves_a_usable_evaluator() {
    let mut evaluator = Evaluator::new(1, |x| if x[0] > 0.0 { x[0].ln() } else { panic!("negative") });
    let panics =
        |x: f64, e: &mut Evaluator<_>| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| e.grad(&[x]))).is_err();
    assert!(panics(-1.0, &mut evaluator));
    assert_eq!(evaluator.grad(&[2.0]), [0.5]);
}

#[test]
#[should_panic(expected = "the point has 3 numbers, the function has 2 variables")]
fn a_point_of_another_length_is_refused() {
    Evaluator::new(2, f).value(&[1.0; 3]);
}

#[test]
#[should_panic(expected = "the gradient has room for 1 numbers, the function has 2 variables")]
fn a_gradient_of_another_length_is_refused() {
    Evaluator::new(2, f).value_and_grad(&[1.0; 2], &mut [0.0]);
}

#[test]
fn arrays_are_destructured() {
    let at = [0.5, 1.25];
    assert_eq!(value_and_grad(|[x, y]| x * x * y + y.sin(), at), closed(at));
    assert_eq!(grad(|[x, y]| x * x * y + y.sin(), at), closed(at).1);
    assert_eq!(grad(|[x]| 3.0 * x, [1.0_f32]), [3.0]);
    assert_eq!(grad(|_| Var::constant(7.0), [0.0; 0]), [0.0; 0]);
}
