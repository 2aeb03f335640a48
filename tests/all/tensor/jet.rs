//! Jets: derivatives with respect to the input against closed forms, and gradients of losses with such derivatives
//! against differences.

use ndarray::{Array2, Axis, Ix2, array};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::gradcheck::check_params;
use wengert::nn::Linear;
use wengert::{Jet, Params, ParamsOn, Tape, Tensor};

type JetOf<'t> = Jet<'t, f64, Ix2>;

/// Panics unless a function of jets has this value and these derivatives at some numbers.
#[track_caller]
fn assert_derivatives(f: impl for<'t> Fn(JetOf<'t>) -> JetOf<'t>, closed: impl Fn(f64) -> [f64; 3]) {
    let tape = Tape::new();
    let at = array![[0.3, 0.7], [1.1, 1.9]];
    for order in [1, 2] {
        let x = tape.constant(&at).jet_along(tape.ones((2, 2)));
        let y = f(if order == 1 { x.first_order() } else { x });
        for k in 0..=order {
            for (found, &x) in y.derivative(k).value().iter().zip(&at) {
                let expected = closed(x)[k];
                assert!(
                    (found - expected).abs() < 1e-13 * expected.abs().max(1.0),
                    "order {k} at {x}: {found}, {expected}"
                );
            }
        }
    }
}

#[test]
fn functions_and_operators_have_both_derivatives() {
    assert_derivatives(|x| x.sin(), |x| [x.sin(), x.cos(), -x.sin()]);
    assert_derivatives(
        |x| x.square().exp(),
        |x| {
            let y = (x * x).exp();
            [y, 2.0 * x * y, (2.0 + 4.0 * x * x) * y]
        },
    );
    assert_derivatives(
        |x| (2.0 * x).tanh(),
        |x| {
            let (y, s) = ((2.0 * x).tanh(), (2.0 * x).cosh().powi(-2));
            [y, 2.0 * s, -8.0 * y * s]
        },
    );
    assert_derivatives(
        |x| x.powi(3) * x.ln(),
        |x| [x.powi(3) * x.ln(), 3.0 * x * x * x.ln() + x * x, 6.0 * x * x.ln() + 5.0 * x],
    );
    assert_derivatives(
        |x| (x + 1.0) / (x.square() + 1.0),
        |x| {
            let q = x * x + 1.0;
            [
                (x + 1.0) / q,
                (1.0 - 2.0 * x - x * x) / (q * q),
                2.0 * (x.powi(3) + 3.0 * x * x - 3.0 * x - 1.0) / q.powi(3),
            ]
        },
    );
    assert_derivatives(
        |x| 1.0 - 3.0 / x - x / 2.0 + (x - 5.0),
        |x| [-4.0 - 3.0 / x + x / 2.0, 3.0 / (x * x) + 0.5, -6.0 / x.powi(3)],
    );
    assert_derivatives(|x| -(x.square() - x) * 2.0 + x.square(), |x| [2.0 * x - x * x, 2.0 - 2.0 * x, -2.0]);
    assert_derivatives(|x| x - x.square(), |x| [x - x * x, 1.0 - 2.0 * x, -2.0]);
    assert_derivatives(|x| x.clamp(0.5, 1.5), |x| [x.clamp(0.5, 1.5), f64::from(x > 0.5 && x < 1.5), 0.0]);
}

#[test]
fn constants_in_t_are_tensors_and_numbers() {
    let tape = Tape::new();
    let (at, w) = (array![[1.0, 2.0]], array![[3.0, 4.0]]);
    let x = tape.constant(&at).jet(1);
    let w = tape.tensor(&w);
    let y = (x.square() * w + w) / w - w;
    assert_eq!(y.primal().value(), array![[1.0 + 1.0 - 3.0, 4.0 + 1.0 - 4.0]]);
    assert_eq!(y.derivative(1).value(), array![[0.0, 4.0]]);
    assert_eq!(y.derivative(2).value(), array![[0.0, 2.0]]);
    assert_eq!(x.derivative(2).value(), array![[0.0, 0.0]]);
}

/// The mixed loss of a network of both kinds of layers: values, slopes and curvatures, in two directions.
fn loss<'t>(net: &[Linear; 3], p: ParamsOn<'t, '_>, points: &Array2<f64>) -> wengert::Var<'t> {
    let run = |x: JetOf<'t>| {
        let h = net[0].forward(p, x).tanh();
        let h = net[1].forward(p, h).gelu() * h.sigmoid();
        net[2].forward(p, h)
    };
    let x: Tensor<'t, f64, Ix2> = p.constant(points.clone());
    let (u, v) = (run(x.jet(0)), run(x.jet(1).first_order()));
    (u.derivative(2) + u.primal() * v.derivative(1)).square().mean() + u.derivative(1).square().sum()
}

#[test]
fn losses_of_derivatives_have_gradients() {
    let (mut params, rng) = (Params::new(), &mut StdRng::seed_from_u64(3));
    let net = [("a", 2, 5), ("b", 5, 5), ("c", 5, 1)].map(|(name, m, n)| Linear::new(&mut params, name, m, n, rng));
    let points = array![[0.1, -0.4], [0.8, 0.3], [-0.6, 0.9]];
    check_params(&params, |p| loss(&net, p, &points)).unwrap();
}

/// The derivative with respect to the input of a jet that is no constant.
#[test]
fn jets_of_inputs_have_gradients() {
    let tape = Tape::new();
    let at: Array2<f64> = array![[0.4], [1.3]];
    let x = tape.tensor(&at);
    let y = x.jet(0).sin();
    let gradient = (y.derivative(1) * 3.0 + y.derivative(2)).sum().backward().wrt(x);
    for (found, x) in gradient.iter().zip(&at) {
        let exact = -3.0 * x.sin() - x.cos();
        assert!((found - exact).abs() < 1e-14, "{found} {exact}");
    }
    // And of the direction: d/dv (σ'' v²).
    let v = array![[2.0], [0.5]];
    let v = tape.tensor(&v);
    let gradient = x.jet_along(v).sin().derivative(2).sum().backward().wrt(v);
    assert!((gradient[[0, 0]] + 4.0 * 0.4_f64.sin()).abs() < 1e-14);
}

#[test]
fn other_linear_operations_and_other_precisions() {
    let tape = Tape::<f32>::new();
    let at = array![[1.0, 2.0], [3.0, 4.0]];
    let y = tape.constant(&at).jet(0).powi(3).linear(|x| x.sum_axis(Axis(0)).reshape((2, 1)));
    assert_eq!(y.derivative(1).value(), array![[30.0], [0.0]]);
    assert_eq!(y.derivative(2).value(), array![[24.0], [0.0]]);
    let w = array![[1.0], [10.0]];
    let z = tape.constant(&at).jet(0).square().dot(tape.constant(&w));
    assert_eq!(
        (z.primal().value(), z.derivative(1).value()),
        (array![[41.0], [169.0]].view(), array![[2.0], [6.0]].view())
    );
}

#[test]
fn nothing_is_recorded_for_constants() {
    let tape = Tape::new();
    let at = array![[1.0, 2.0]];
    let y = tape.constant(&at).jet(0).tanh() * 2.0;
    assert!(y.derivative(2).is_constant() && tape.is_empty());
}

#[test]
#[should_panic(expected = "jet: column 2 is out of range for shape [1, 2]")]
fn a_column_out_of_range_is_refused() {
    let _ = Tape::<f64>::new().zeros((1, 2)).jet(2);
}

#[test]
#[should_panic(expected = "the jet has derivatives up to order 1, not 2")]
fn a_derivative_that_was_not_asked_for_is_refused() {
    let _ = Tape::<f64>::new().zeros((1, 2)).jet(1).first_order().derivative(2);
}

/// A derivative on another tape would put its slots into the pullbacks of this one.
#[test]
#[should_panic(expected = "the operands belong to two tapes")]
fn a_derivative_of_another_tape_is_refused() {
    let (tape, other) = (Tape::<f64>::new(), Tape::<f64>::new());
    let calls = std::cell::Cell::new(0);
    let _ = tape.ones((1, 2)).jet(0).linear(|x| {
        calls.set(calls.get() + 1);
        if calls.get() > 1 { other.ones((1, 2)) } else { x }
    });
}

#[test]
#[should_panic(expected = "a value of shape [2, 2] and a derivative of shape [1, 2]")]
fn a_bias_that_broadcasts_is_refused() {
    let tape = Tape::<f64>::new();
    let _ = tape.ones((1, 2)).jet(0) + tape.ones((2, 2));
}

#[test]
#[should_panic(expected = "jets are not broadcast")]
fn jets_of_two_shapes_are_refused() {
    let tape = Tape::<f64>::new();
    let _ = tape.zeros((1, 2)).jet(0) + tape.zeros((2, 2)).jet(0);
}
