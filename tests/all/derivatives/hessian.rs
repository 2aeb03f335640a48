//! Hessians and Laplacians, at ordinary and at special points.

use ndarray::{array, s};
use wengert::{
    Real, arrays, grad, gradcheck, hessian, hvp, laplacian, log_sum_exp, norm, value_and_grad, value_grad_hvp,
};

use crate::support::close::{assert_matrices_close, largest};
use crate::support::mgh::problems;

fn squares<R: Real>(f: Vec<R>) -> R {
    f.into_iter().map(|f| f * f).sum()
}

#[test]
fn hessians_of_fourteen_sums_of_squares_agree() {
    for problem in problems() {
        for x in problem.points() {
            let ours = hessian(|x| squares((problem.on_var_of_dual)(x)), &x);
            assert_eq!(ours, ours.t(), "{}", problem.name);
            let gradient = |x: &[f64]| grad(|x| squares((problem.on_var)(x)), x);
            let by_differences = gradcheck::jacobian(gradient, &x).map(|entry| entry.value);
            assert_matrices_close(problem.name, &ours, &by_differences, 1e-6);
            let trace = laplacian(|x| squares((problem.on_var_of_dual)(x)), &x);
            assert!((trace - ours.diag().sum()).abs() <= 1e-12 * largest(ours).max(1.0), "{}", problem.name);
        }
    }
}

/// Value, gradient and Hessian of functions of (x, y) at points where the table of rules takes a decision,
/// which must hold for derivatives of every order.
#[test]
fn special_points_at_second_order() {
    const ZERO: [[f64; 2]; 2] = [[0.0; 2]; 2];
    let mut wrong = Vec::new();
    macro_rules! points {
        ($($point:expr, $f:expr => $value:expr, $gradient:expr, $hessian:expr;)+) => { $(
            let point: [f64; 2] = $point;
            let (value, gradient, product) = value_grad_hvp($f, &point, &[1.0, 2.0]);
            let h = hessian($f, &point);
            // A Hessian-vector product has no 0 · inf, which a plain sum over a row of the Hessian would have.
            let along = if h.iter().all(|h: &f64| h.is_finite()) { h.dot(&array![1.0, 2.0]).to_vec() } else { product.clone() };
            if (value, &gradient[..], &h, &product) != ($value, &$gradient[..], &ndarray::arr2(&$hessian), &along) {
                wrong.push(format!("{} at {:?}: {value}, {gradient:?}, {h}, {product:?}", stringify!($f), point));
            }
        )+ };
    }
    let inf = f64::INFINITY;
    points! {
        // A zero factor silences infinite derivatives of every order.
        [0.0, 1.0], |x| x[0].sqrt() * 0.0 + x[1] => 1.0, [0.0, 1.0], ZERO;
        [0.0, 0.0], |x| (x[0] * 0.0).sqrt() + x[1].square() => 0.0, [0.0, 0.0], [[0.0, 0.0], [0.0, 2.0]];
        [0.0, 3.0], |x| x[0].ln().max(x[1]) => 3.0, [0.0, 1.0], ZERO;
        [-1.0, 3.0], |x| if x[0] > 0.0 { x[0].ln() * x[1] } else { x[1].square() } => 9.0, [0.0, 6.0], [[0.0, 0.0], [0.0, 2.0]];
        // A zero factor that varies does not silence them: ∂²(√x y)/∂x∂y = 1/(2√x).
        [0.0, 0.0], |x| x[0].sqrt() * x[1] => 0.0, [0.0, 0.0], [[0.0, inf], [inf, 0.0]];
        // The norm at the origin has gradient 0, and its own curvature counts as 0; that of ‖x‖² is 2I.
        [0.0, 0.0], |x| norm(x) => 0.0, [0.0, 0.0], ZERO;
        [0.0, 0.0], |x| x[0].hypot(x[1]) => 0.0, [0.0, 0.0], ZERO;
        [0.0, 0.0], |x| norm(x).square() => 0.0, [0.0, 0.0], [[2.0, 0.0], [0.0, 2.0]];
        [0.0, 0.0], |x| norm(x).powi(2) + 3.0 * norm(x) + x[0] => 0.0, [1.0, 0.0], [[2.0, 0.0], [0.0, 2.0]];
        [0.0, 0.0], |x| norm(x).cosh() => 1.0, [0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]];
        [0.0, 1.0], |x| norm(&[x[0], 2.0 * x[0]]).square() * x[1] => 0.0, [0.0, 0.0], [[10.0, 0.0], [0.0, 0.0]];
        // Powers at 0.
        [0.0, 1.0], |x| x[0].powi(0) * x[1] => 1.0, [0.0, 1.0], ZERO;
        [0.0, 1.0], |x| x[0].powi(1) * x[1] => 0.0, [1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]];
        [0.0, 1.0], |x| x[0].powi(2) * x[1] => 0.0, [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
        [0.0, 1.0], |x| x[0].powi(3) * x[1] => 0.0, [0.0, 0.0], ZERO;
        [0.0, 1.0], |x| x[0].powf(0.0) * x[1] => 1.0, [0.0, 1.0], ZERO;
        [0.0, 1.0], |x| x[0].powf(1.0) * x[1] => 0.0, [1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]];
        [0.0, 1.0], |x| x[0].powf(2.0) * x[1] => 0.0, [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
        [0.0, 2.0], |x| x[0].powf(x[1]) => 0.0, [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
        [0.0, 3.0], |x| x[0].powf(x[1]) => 0.0, [0.0, 0.0], ZERO;
        [0.0, 0.0], |x| x[0].square() + x[1].cbrt() * 0.0 => 0.0, [0.0, 0.0], [[2.0, 0.0], [0.0, 0.0]];
        // Kinks have a constant subgradient.
        [0.0, 0.0], |x| x[0].relu() + x[1].abs() => 0.0, [0.0, 0.0], ZERO;
        [0.0, 0.0], |x| x[0].relu() * x[1].abs() => 0.0, [0.0, 0.0], ZERO;
        [0.0, 2.0], |x| x[0].leaky_relu(0.5) * x[1] => 0.0, [1.0, 0.0], [[0.0, 0.5], [0.5, 0.0]];
        [1.0, 1.0], |x| x[0].max(x[1]) => 1.0, [0.5, 0.5], ZERO;
        [1.0, 1.0], |x| x[0].square().max(x[1].square()) => 1.0, [1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]];
        [1.0, 1.0], |x| x[0].min(x[1]) * x[0] => 1.0, [1.5, 0.5], [[1.0, 0.5], [0.5, 0.0]];
        [1.0, 0.3], |x| x[0].clamp(-1.0, 1.0).square() + x[1] => 1.3, [2.0, 1.0], [[2.0, 0.0], [0.0, 0.0]];
        // Saturated functions are flat, not NaN.
        [800.0, -800.0], |x| x[0].tanh() + x[1].tanh() => 0.0, [0.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].sigmoid() + x[1].sigmoid() => 1.0, [0.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].softplus() + x[1].softplus() => 800.0, [1.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].silu() + x[1].silu() => 800.0, [1.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].gelu() + x[1].gelu() => 800.0, [1.0, 0.0], ZERO;
        [800.0, -800.0], |x| x[0].log_sigmoid() - x[1].elu(1.0) => 1.0, [0.0, 0.0], ZERO;
        [1000.0, 0.0], |x| log_sum_exp(x) => 1000.0, [1.0, 0.0], ZERO;
        [-1000.0, -1000.0], |x| x[0].exp() + x[1].erfc() => 2.0, [0.0, 0.0], ZERO;
        [0.0, 2.0], |x| x[0].xlogy(x[1]) - x[0] * std::f64::consts::LN_2 => 0.0, [0.0, 0.0], [[0.0, 0.5], [0.5, 0.0]];
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// At equal logits the largest one must not be treated as a constant: the Hessian is that of p (δ - p).
#[test]
fn equal_logits_have_curvature() {
    let h = hessian(|x| wengert::log_sum_exp(x), &[0.0, 0.0]);
    assert_eq!(h, ndarray::array![[0.25, -0.25], [-0.25, 0.25]]);
    // d²p₀/dx₀² = p₀(1 - p₀)(1 - 2p₀) at p = 1/3.
    let h = hessian(|x| wengert::softmax(x)[0], &[1.0, 1.0, 1.0]);
    assert!((h[[0, 0]] - 2.0_f64 / 27.0).abs() < 1e-15);
}

/// |x|² is x² and hypot(x, y)² is x² + y², at the kink of the roots too: by scalars, and by tensors.
#[test]
fn squares_of_lengths_at_the_origin() {
    let two = array![[2.0, 0.0], [0.0, 2.0]];
    assert_eq!(hessian(|x| x[0].abs().powi(2) + x[1].abs().square(), &[0.0, 0.0]), two);
    assert_eq!(hessian(|x| x[0].hypot(x[1]).powi(2), &[0.0, 0.0]), two);
    assert_eq!(hessian(|x| (x[0] + x[0]).abs().powi(2), &[0.0]), array![[8.0]]);
    let at = array![0.0, 0.0];
    assert_eq!(arrays::hessian(|x| x.abs().square().sum(), &at), two.clone().into_dyn());
    assert_eq!(arrays::hessian(|x| x.slice(s![..1]).hypot(x.slice(s![1..])).square().sum(), &at), two.into_dyn());
    // The gradient at the kink stays 0.
    assert_eq!(value_and_grad(|x| x[0].abs() + x[0].hypot(x[1]), &[0.0, 0.0]), (0.0, vec![0.0, 0.0]));
    assert_eq!(hvp(|x| x[0].abs(), &[0.0], &[1.0]), [0.0]);
}
