//! Functions of plain data that run unchanged on a tape of dual numbers.

use ndarray::{Array1, Array2, array};
use wengert::{Dual, Params, Tape, Tensor, Var};

/// Literals in operations and comparisons need no conversion.
#[test]
fn literals_stand_beside_dual_variables() {
    let tape = Tape::new();
    let x = tape.var(Dual::new(0.5_f64, [1.0]));
    let mut y = 2.0 * x.sin() + x * 3.0 - 1.0 / x;
    y += 0.25;
    y *= 2.0;
    assert!(x > 0.0 && x == 0.5);
    let y = if y > 100.0 { y } else { y.powf(2.0) };
    // y = (4 sin x + 6x - 2/x + 1/2)²
    let (u, du) = (4.0 * 0.5_f64.sin() + 3.0 - 4.0 + 0.5, 4.0 * 0.5_f64.cos() + 6.0 + 8.0);
    let ddu = -4.0 * 0.5_f64.sin() - 32.0;
    let derivative = y.backward()[x];
    assert!((derivative.primal() - 2.0 * u * du).abs() < 1e-12);
    assert!((derivative.tangents()[0] - 2.0 * (du * du + u * ddu)).abs() < 1e-11);
}

#[test]
fn literals_stand_beside_nested_duals() {
    let x = Dual::new(Dual::new(2.0_f64, [1.0]), [Dual::constant(1.0)]);
    let y = 3.0 * x * x * x - 1.0;
    assert_eq!(y.tangents()[0].tangents()[0], 36.0);
    let tape = Tape::new();
    let v = tape.var(x);
    let third = (v * v * v * 2.0).backward()[v].tangents()[0].tangents()[0];
    assert_eq!(third, 12.0);
}

fn error<'t, F: wengert::Scalar, X>(w: Tensor<'t, F, ndarray::Ix1>, x: X, y: Array1<f64>) -> Var<'t, F>
where
    X: wengert::args::IntoConstant<'t, F, Handle = Tensor<'t, F, ndarray::Ix2>>,
    f64: wengert::args::Embed<F>,
{
    (w.tape().constant(x).dot(w) - y).square().sum()
}

/// One function of borrowed and owned `f64` arrays, on tapes of floats and of dual numbers.
#[test]
fn arrays_of_data_on_both_tapes() {
    let x: Array2<f64> = array![[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]];
    let y = array![1.0, 2.0, 3.0];
    let w = array![0.3, -0.7];
    let tape = Tape::new();
    let at = tape.tensor(&w);
    let plain = error(at, &x, y.clone()).backward().wrt(at);

    let direction = [1.0, -2.0];
    let lifted: Array1<Dual<f64>> = w.iter().zip(direction).map(|(w, d)| Dual::new(*w, [d])).collect();
    let tape = Tape::new();
    let at = tape.tensor(&lifted);
    let dual = error(at, &x, y).backward().wrt(at);
    // The Hessian is 2 XᵀX.
    let product = 2.0 * x.t().dot(&x).dot(&Array1::from(direction.to_vec()));
    for i in 0..2 {
        assert!((dual[i].primal() - plain[i]).abs() < 1e-12);
        assert!((dual[i].tangents()[0] - product[i]).abs() < 1e-12);
    }
    let losses = at * &w + array![1.0, 1.0];
    assert_eq!((2.0 * losses).mse(0.5_f64).value().tangents().len(), 1);
}

/// The tape keeps an array that was made inside the closure.
#[test]
fn an_owned_array_lives_on_the_tape() {
    let mut params = Params::new();
    let w = params.add("w", array![1.0, 2.0]);
    let mut tape = Tape::new();
    for _ in 0..3 {
        let (_, gradient) = tape.value_and_grad(&params, |p| {
            let mask = array![3.0, 4.0];
            (p.get(w) * mask).sum() + p.constant(array![1.0]).sum()
        });
        assert_eq!(gradient, [3.0, 4.0]);
    }
}
