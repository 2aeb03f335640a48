//! The gradient checker on gradients of the tape.

use wengert::gradcheck::{GradCheck, Place, Reason, Verdict, check_gradient};
use wengert::{Params, Tape, Var};

#[test]
fn right_gradients_of_variables_agree() {
    let report = check_gradient(
        |x: &[Var<'_, f64>]| {
            let r = x[1] - x[0] * x[0];
            (1.0 - x[0]).powi(2) + 100.0 * r * r
        },
        &[-1.2, 1.0],
    )
    .unwrap();
    assert_eq!((report.verdict(), report.entries.len()), (Verdict::Agrees, 2));
    let report = check_gradient(|x: &[Var<'_, f32>]| (x[0] * x[1]).sin(), &[0.3_f32, 2.0]).unwrap();
    assert_eq!(report.verdict(), Verdict::Agrees, "{report}");
}

#[test]
fn a_detached_factor_is_found() {
    let error = check_gradient(|x| x[0] * x[1].detach(), &[2.0, 3.0]).unwrap_err();
    let wrong: Vec<_> = error.report().unwrap().disagreements().map(|e| e.coordinate).collect();
    assert_eq!(wrong, [Some(1)], "{error}");
}

#[test]
fn constants_and_unused_inputs_have_gradient_zero() {
    assert!(check_gradient(|_: &[Var<'_, f64>]| Var::constant(2.0), &[1.0, 2.0]).is_ok());
    assert!(check_gradient(|x| x[0].exp(), &[1.0, 2.0]).is_ok());
}

#[test]
fn tensors_are_named_by_index() {
    let x = ndarray::array![[0.5, -1.0, 2.0], [0.1, 0.2, 0.3]];
    let report = GradCheck::new().check_tensor(|x| x.at([0, 1]) * x.at([1, 2]).exp(), &x).unwrap();
    assert_eq!((report.verdict(), report.entries.len()), (Verdict::Agrees, 6));
    assert!(report.entries.iter().any(|e| e.place == Place::Entry(vec![1, 2])));
    let transposed = GradCheck::new().check_tensor(|x| x.at([2, 0]).sin(), &x.t()).unwrap();
    assert_eq!(transposed.verdict(), Verdict::Agrees);
}

#[test]
fn second_derivatives_are_checked() {
    let report = GradCheck::new().check_second_order(|x| (x[0] * x[1]).sin() + x[1].powi(3), &[0.4, 1.3_f64]).unwrap();
    assert_eq!(report.verdict(), Verdict::Agrees, "{report}");
}

#[test]
fn kinks_follow_the_tapes_conventions() {
    for x in [[0.0, 0.0], [1.0, 1.0], [-2.0, -2.0]] {
        let report = check_gradient(|x| x[0].max(x[1]) + x[0].abs(), &x).unwrap();
        assert_eq!(report.verdict(), Verdict::Agrees, "{report}");
        assert!(report.entries.iter().all(|e| e.reason == Some(Reason::Kink)));
    }
}

#[test]
fn the_short_assertion() {
    wengert::assert_gradient!(|x| x[0].tanh() * x[1], &[0.3, 2.0]);
}

#[test]
fn a_whole_model_is_checked_by_parameter() {
    use wengert::{Params, gradcheck::check_params};
    let mut params = Params::<f64>::new();
    let w = params.add("w", ndarray::array![[0.1, -0.2, 0.3], [0.3, 0.4, -0.6]]);
    let b = params.add("b", ndarray::array![0.0, 0.5, -0.1]);
    let x = ndarray::array![[1.0, 2.0], [-1.0, 0.5], [0.0, 1.0]];
    let report = check_params(&params, |p| {
        let out = (p.constant(&x).dot(p.get(w)) + p.get(b)).tanh();
        out.softmax_cross_entropy(&[0, 1, 2])
    })
    .unwrap();
    assert_eq!((report.verdict(), report.entries.len()), (Verdict::Agrees, 9), "{report}");
    // The report names a weight that the gradient leaves out.
    let error = check_params(&params, |p| {
        let out = p.constant(&x).dot(p.get(w)) + p.get(b).detach();
        out.square().mean()
    })
    .unwrap_err();
    let wrong: Vec<_> = error.report().unwrap().disagreements().map(|e| e.input.clone()).collect();
    assert_eq!(wrong, ["b"; 3], "{error}");
}

/// The Hessian-vector product has neither the row nor the column of a frozen weight, and a correct model with one
/// passes the check.
#[test]
fn frozen_weights() {
    let mut params = Params::<f64>::new();
    let w = params.add("w", ndarray::array![2.0]);
    let v = params.add("v", ndarray::array![3.0]);
    params.group("v").freeze();
    wengert::gradcheck::check_params(&params, |p| (p.get(w) * p.get(v)).square().sum()).expect("a correct model");
    // d²(wv)²/dw² = 2v²; the frozen entry is 0.
    let moved = params.with_tangents(&[1.0, 1.0]);
    let mut tape = Tape::new();
    let (_, gradient) = tape.value_and_grad(&moved, |p| (p.get(w) * p.get(v)).square().sum());
    assert_eq!(gradient.iter().map(|g| g.tangents()[0]).collect::<Vec<_>>(), [18.0, 0.0]);
}
