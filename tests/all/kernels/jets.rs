//! Gradients of the value and of both derivatives of a jet, with respect to the input and to its direction, against closed
//! forms.

use ndarray::{Array1, Ix1};
use wengert::{Dual, Jet, Tape};

use super::whole;

/// A function of jets and, at x, its derivatives of order 0 to 3.
type Function = (&'static str, for<'t> fn(Jet<'t, f64, Ix1>) -> Jet<'t, f64, Ix1>, fn(f64) -> [f64; 4]);

const FUNCTIONS: [Function; 4] = [
    ("sin", |x| x.sin(), |x| [x.sin(), x.cos(), -x.sin(), -x.cos()]),
    ("exp", |x| x.exp(), |x| [x.exp(); 4]),
    ("ln", |x| x.ln(), |x| [x.ln(), 1.0 / x, -1.0 / (x * x), 2.0 / (x * x * x)]),
    (
        "tanh",
        |x| x.tanh(),
        |x| {
            let (y, s) = (x.tanh(), 1.0 / (x.cosh() * x.cosh()));
            [y, s, -2.0 * y * s, s * (6.0 * y * y - 2.0)]
        },
    ),
];

/// With f(u), whose second derivative along a line has one term, and f(u²), where it has two; more numbers than a block has.
#[test]
fn gradients_of_both_derivatives() {
    for (name, f, oracle) in FUNCTIONS {
        for n in [1, 3, 300] {
            for squared in [false, true] {
                let u = Array1::from_shape_fn(n, |i| 0.4 + (i % 17) as f64 * 0.07);
                let d = Array1::from_shape_fn(n, |i| 0.3 + whole(i) * 0.17);
                let weights: [Array1<f64>; 3] =
                    [0, 1, 2].map(|k| Array1::from_shape_fn(n, |i| whole(i + 11 * k + 1) + 0.5));
                let tape = Tape::new();
                let (s, t) = (tape.tensor(&u), tape.tensor(&d));
                let x = s.jet_along(t);
                let y = f(if squared { x.square() } else { x });
                let found: Vec<_> = (0..3).map(|k| y.derivative(k)).collect();
                for (k, weights) in weights.iter().enumerate() {
                    let gradient = found[k].backward_with(weights);
                    for i in 0..n {
                        let (u, d) = (u[i], d[i]);
                        let [f0, f1, f2, f3] = oracle(if squared { u * u } else { u });
                        // The derivative of order k along the line, and its partials with respect to u and d.
                        let (value, of_u, of_d) = match (squared, k) {
                            (false, 0) => (f0, f1, 0.0),
                            (false, 1) => (f1 * d, f2 * d, f1),
                            (false, _) => (f2 * d * d, f3 * d * d, 2.0 * f2 * d),
                            (true, 0) => (f0, 2.0 * u * f1, 0.0),
                            (true, 1) => (2.0 * u * d * f1, d * (4.0 * u * u * f2 + 2.0 * f1), 2.0 * u * f1),
                            (true, _) => (
                                d * d * (4.0 * u * u * f2 + 2.0 * f1),
                                d * d * (8.0 * u * u * u * f3 + 12.0 * u * f2),
                                d * (8.0 * u * u * f2 + 4.0 * f1),
                            ),
                        };
                        let near = |found: f64, want: f64| (found - want).abs() <= 1e-12 * (1.0 + want.abs());
                        let case = format!("{name}, {n}, {squared}, order {k}, number {i}");
                        assert!(near(found[k].value()[i], value), "{case}: {}", found[k].value()[i]);
                        let (got_u, got_d) = (gradient.wrt(s)[i], gradient.wrt(t)[i]);
                        assert!(near(got_u, weights[i] * of_u), "{case}: {got_u}, not {}", weights[i] * of_u);
                        assert!(near(got_d, weights[i] * of_d), "{case}: {got_d}, not {}", weights[i] * of_d);
                    }
                }
                let first = f(x.first_order()).derivative(1).backward_with(&weights[1]);
                let [_, f1, f2, _] = oracle(u[0]);
                assert!((first.wrt(s)[0] - weights[1][0] * f2 * d[0]).abs() < 1e-12);
                assert!((first.wrt(t)[0] - weights[1][0] * f1).abs() < 1e-12);
            }
        }
    }
}

/// Functions that have special points, at these and far out: the derivatives are those of dual numbers, NaN where these are,
/// also where the direction is 0.
#[test]
fn special_points_are_those_of_dual_numbers() {
    type Nested = Dual<Dual<f64>>;
    macro_rules! functions {
        ($($name:ident)+) => {
            [$( (stringify!($name), (|x| x.$name()) as for<'t> fn(Jet<'t, f64, Ix1>) -> Jet<'t, f64, Ix1>, (|x: Nested| x.$name()) as fn(Nested) -> Nested) ),+]
        };
    }
    let functions = functions! {
        abs acosh asin asinh atan atanh cbrt digamma erf erfc erfinv exp exp_m1 gelu gelu_tanh ln ln_1p ln_gamma log_normal_cdf
        log_sigmoid normal_cdf recip relu
        sigmoid silu sinc sinh softplus softsign sqrt square tan tanh
    };
    let inf = f64::INFINITY;
    let points =
        [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1e-200, 20.0, -20.0, 40.0, -40.0, 800.0, -800.0, inf, -inf, f64::NAN];
    let same = |a: f64, b: f64| (a - b).abs() <= 1e-12 * b.abs() || a == b || (a.is_nan() && b.is_nan());
    for (name, on_jets, on_duals) in functions {
        for x in points {
            for d in [1.0, 0.0] {
                let tape = Tape::new();
                let (at, direction) = (ndarray::arr1(&[x]), ndarray::arr1(&[d]));
                let y = on_jets(tape.tensor(&at).jet_along(tape.tensor(&direction)));
                let want = on_duals(Dual::new(Dual::new(x, [d]), [Dual::constant(d)]));
                let want = [want.primal().primal(), want.primal().tangents()[0], want.tangents()[0].tangents()[0]];
                for (k, want) in want.into_iter().enumerate() {
                    let found = y.derivative(k).value()[0];
                    assert!(same(found, want), "{name} at {x:e} along {d}, order {k}: {found:e}, not {want:e}");
                }
            }
        }
    }
}
