//! Options that are refused, and the words of reports and panics.

use ndarray::{Array1, Array2, array};
use wengert::gradcheck::{
    Coordinates, Differences, GradCheck, GradientMismatch, Inputs, Scheme, check, check_inputs, check_jacobian,
    check_vjp,
};
use wengert::{assert_jacobian, assert_vjp};

use super::Outcome;
use crate::support::panics::panic_of;

/// Asserts that the call panics in this file, with a message that contains `text`.
fn refused(text: &str, call: impl FnOnce()) {
    let panic = panic_of(call);
    assert!(panic.file.ends_with("words.rs"), "{text}: at {}", panic.file);
    assert!(panic.message.contains(text), "{}", panic.message);
}

#[test]
fn options_that_would_approve_anything_are_refused() {
    for wrong in [f64::NAN, f64::INFINITY, -1e-9] {
        refused("GradCheck::relative_tolerance", || drop(GradCheck::new().relative_tolerance(wrong)));
        refused("GradCheck::absolute_tolerance", || drop(GradCheck::new().absolute_tolerance(wrong)));
        refused("Differences::step", || drop(Differences::new(Scheme::Central).step(wrong)));
    }
    refused("Differences::step", || drop(Differences::new(Scheme::Central).step(0.0)));
    refused("at least one coordinate", || drop(GradCheck::new().coordinates(Coordinates::Only(vec![]))));
    for wrong in [(0.0, f64::NAN), (f64::NAN, 0.0), (1.0, 0.0)] {
        refused("GradCheck::bounds", || drop(GradCheck::new().bounds(&[wrong])));
        refused("Differences::bounds", || drop(Differences::new(Scheme::Central).bounds(&[wrong])));
    }
    let zero = GradCheck::new().relative_tolerance(0.0).absolute_tolerance(0.0);
    assert!(zero.check(|x: &[f64]| x[0] * x[0], |x| vec![2.0 * x[0]], &[3.0]).is_ok());
}

fn shown(outcome: Outcome) -> String {
    format!("{:?}", outcome.unwrap_err())
}

#[test]
fn debug_is_the_table() {
    let text = shown(check(|x: &[f64]| x[0] * x[1], |x| vec![x[1], 0.5 * x[0]], &[2.0, 3.0]));
    assert!(text.starts_with("the gradient is wrong: 1 disagree"), "{text}");
    assert!(text.contains("DISAGREES") && text.contains("step") && !text.contains("Entry {"), "{text}");
}

#[test]
fn hints_name_the_pattern() {
    let f = |x: &[f64]| (x[0] * x[1]).sin() + x[2].exp();
    let g = |x: &[f64]| {
        let c = (x[0] * x[1]).cos();
        vec![x[1] * c, x[0] * c, x[2].exp()]
    };
    let x = [0.3, 0.8, -0.5];
    let hint = |change: fn(usize, f64) -> f64| {
        let wrong = |x: &[f64]| g(x).into_iter().enumerate().map(|(i, g)| change(i, g)).collect();
        check(f, wrong, &x).unwrap_err().report().unwrap().hint().unwrap_or_default()
    };
    assert_eq!(hint(|_, g| 0.5 * g), "each wrong entry is 0.5000 times the numeric derivative");
    assert_eq!(hint(|_, g| 1.3 * g), "each wrong entry is 1.3000 times the numeric derivative");
    assert_eq!(hint(|i, g| if i < 2 { -g } else { g }), "each wrong entry has the wrong sign");
    assert!(hint(|i, g| if i == 1 { 0.0 } else { g }).starts_with("the wrong entry is 0"));
    assert_eq!(hint(|i, g| if i == 1 { 2.0 * g } else { g }), "the wrong entry is 2.0000 times the numeric derivative");
    assert_eq!(hint(|i, g| if i == 1 { g + 0.3 } else { g }), "", "one entry that is off says nothing");
    let square = |x: &[f64]| vec![x[0] * x[1], x[1].sin() + 3.0 * x[0]];
    let transposed = |x: &[f64]| array![[x[1], 3.0], [x[0], x[1].cos()]];
    assert!(shown(check_jacobian(square, transposed, &[0.4, 1.7])).contains("hint: the matrix looks transposed"));
}

#[test]
fn products_say_for_which_cotangent_or_direction() {
    let f = |x: &[f64]| vec![x[0] * x[1], x[1].sin()];
    let ignores = |x: &[f64], _: &[f64]| vec![x[1], x[0] + x[1].cos()];
    let text = shown(check_vjp(f, ignores, &[0.5, 2.0]));
    assert!(text.contains("v = [") && text.contains("v = ones") && text.contains("  for "), "{text}");
    let second = GradCheck::new().check_second_order(|x| x[0] * x[1].exp(), &[0.5, 1.0]).unwrap();
    assert!(second.entries.iter().all(|e| e.seed.starts_with("d = [")), "{second}");
}

#[test]
fn the_order_of_the_remainder_is_shown_where_it_means_something() {
    let steep = check(|x: &[f64]| ((x[0] - 1.0) * 1e9).tanh(), |_| vec![1e9], &[1.0]).unwrap();
    assert_eq!(steep.taylor_order, None, "{steep}");
    let smooth = check(|x: &[f64]| x[0].sin(), |x| vec![x[0].cos()], &[1.0]).unwrap();
    assert!((smooth.taylor_order.unwrap() - 2.0).abs() < 0.1, "{smooth}");
}

#[test]
fn an_agreement_within_a_bound_larger_than_the_entry_is_said() {
    let f = |x: &[f64]| 1e12 * x[0] + 1e-9 * x[1].sin();
    let report = check(f, |x| vec![1e12, 1e-9 * x[1].cos()], &[1.0, 0.5]).unwrap();
    assert!(report.summary().contains("1 of them only within a bound larger than the entry"), "{report}");
    assert!(!check(|x: &[f64]| x[0].exp(), |x| vec![x[0].exp()], &[1.0]).unwrap().summary().contains("only within"));
}

#[test]
fn assertions_of_jacobians_and_products() {
    let f = |x: &[f64]| vec![x[0] * x[1], x[1].sin()];
    assert_jacobian!(f, |x: &[f64]| array![[x[1], x[0]], [0.0, x[1].cos()]], &[0.5, 2.0]);
    assert_vjp!(
        GradCheck::new().seed(3),
        f,
        |x: &[f64], v| vec![v[0] * x[1], v[0] * x[0] + v[1] * x[1].cos()],
        &[0.5, 2.0]
    );
    refused("DISAGREES", || assert_jacobian!(f, |x: &[f64]| array![[x[1], x[0]], [0.1, x[1].cos()]], &[0.5, 2.0]));
    refused("DISAGREES", || assert_vjp!(f, |x: &[f64], v| vec![v[0] * x[1], v[0] * x[0]], &[0.5, 2.0]));
    // What the values cannot tell is no agreement.
    refused("no disagreement, but 1 inconclusive", || {
        wengert::assert_gradient!(|x: &[f64]| 4e14 + x[0].sin(), |x: &[f64]| vec![x[0].cos()], &[0.7]);
    });
}

#[derive(Clone)]
struct Layer {
    w: Array2<f64>,
    b: Vec<f64>,
}

impl Inputs<f64> for Layer {
    fn visit(&mut self, visit: &mut dyn FnMut(&str, ndarray::ArrayViewMutD<'_, f64>)) {
        visit("w", self.w.view_mut().into_dyn());
        self.b.visit(&mut |_, part| visit("b", part));
    }
}

#[test]
fn arrays_tuples_and_structs_need_no_flattening() {
    let x = array![[0.3, -1.2], [0.7, 0.1]];
    let report =
        check_inputs(|x: &Array2<f64>| x.mapv(f64::sin).sum(), |x| x.mapv(f64::cos), &x.clone().reversed_axes());
    assert!(report.unwrap().entries.iter().any(|e| e.place.to_string() == "[1, 0]"));
    let pair = (x.clone(), array![2.0, -1.0]);
    let product = |(x, v): &(Array2<f64>, Array1<f64>)| x.dot(v).sum();
    let gradient = |(x, v): &(Array2<f64>, Array1<f64>)| {
        (Array2::from_shape_fn((2, 2), |(_, j)| v[j]), x.sum_axis(ndarray::Axis(0)))
    };
    assert!(check_inputs(product, gradient, &pair).is_ok());
    let layer = Layer { w: x, b: vec![0.2, 0.5] };
    let value = |l: &Layer| l.w.iter().zip(l.b.iter().cycle()).map(|(w, b)| (w * b).exp()).sum();
    let wrong = |l: &Layer| {
        let e = |i: usize, j: usize| (l.w[[i, j]] * l.b[j]).exp();
        let w = Array2::from_shape_fn((2, 2), |(i, j)| l.b[j] * e(i, j));
        Layer { w, b: (0..2).map(|j| l.w[[0, j]] * e(0, j)).collect() }
    };
    let error = check_inputs(value, wrong, &layer).unwrap_err();
    assert!(error.report().unwrap().disagreements().all(|e| e.input == "b"), "{error}");
    // A part of another shape and the same size is no gradient.
    let column = |x: &Array2<f64>| x.clone().into_shape_with_order((1, 4)).unwrap();
    let misfit = check_inputs(|x: &Array2<f64>| x.sum(), column, &array![[1.0, 2.0], [3.0, 4.0]]);
    assert!(matches!(misfit, Err(GradientMismatch::Length { what: "a part of the gradient", .. })));
}
