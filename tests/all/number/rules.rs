//! Every row of the table of rules: edge points on every number, partials against differences of values, second
//! derivatives against differences of partials.

use ndarray::Array1;
use wengert::rules::{BINARY, BinaryRow, UNARY, UnaryRow};
use wengert::{Dual, Real, Tape, Var, grad, hessian, hvp, value_and_grad};

use crate::support::differences::{difference, noise};

/// A row of either table, called with its arguments in a slice.
#[derive(Clone, Copy)]
enum Row {
    Unary(&'static UnaryRow),
    Binary(&'static BinaryRow),
}

/// A value and its partials.
#[derive(Clone, Debug, PartialEq)]
struct Derivative {
    value: f64,
    partials: Vec<f64>,
}

/// An edge point: the arguments, and value and partials from mpmath.
struct Point {
    at: Vec<f64>,
    expected: Derivative,
}

fn rows() -> impl Iterator<Item = Row> {
    let binary = BINARY.iter().map(Row::Binary);
    UNARY.iter().map(Row::Unary).chain(binary)
}

impl Row {
    fn name(self) -> &'static str {
        match self {
            Row::Unary(row) => row.name,
            Row::Binary(row) => row.name,
        }
    }

    fn sample(self) -> Vec<(f64, f64)> {
        match self {
            Row::Unary(row) => vec![row.sample],
            Row::Binary(row) => vec![row.sample.0, row.sample.1],
        }
    }

    fn points(self) -> Vec<Point> {
        let point = |at: &[f64], value, partials: &[f64]| Point {
            at: at.to_vec(),
            expected: Derivative { value, partials: partials.to_vec() },
        };
        match self {
            Row::Unary(row) => {
                let points = row.points.iter();
                points.map(|&(x, y, d)| point(&[x], y, &[d])).collect()
            }
            Row::Binary(row) => {
                let points = row.points.iter();
                points.map(|&(a, b, z, d, e)| point(&[a, b], z, &[d, e])).collect()
            }
        }
    }

    fn on_f64(self, at: &[f64]) -> f64 {
        match self {
            Row::Unary(row) => (row.on_f64)(at[0]),
            Row::Binary(row) => (row.on_f64)(at[0], at[1]),
        }
    }

    fn on_f32(self, at: &[f64]) -> f64 {
        f64::from(match self {
            Row::Unary(row) => (row.on_f32)(at[0] as f32),
            Row::Binary(row) => (row.on_f32)(at[0] as f32, at[1] as f32),
        })
    }

    fn on_var(self, at: &[f64]) -> Derivative {
        let tape = Tape::new();
        let x = tape.vars_from(at);
        let y = match self {
            Row::Unary(row) => (row.on_var)(x[0]),
            Row::Binary(row) => (row.on_var)(x[0], x[1]),
        };
        Derivative { value: y.value(), partials: y.backward().wrt(x) }
    }

    fn on_var_f32(self, at: &[f64]) -> Derivative {
        let tape = Tape::<f32>::default();
        let at: Vec<f32> = at.iter().map(|&x| x as f32).collect();
        let x = tape.vars_from(&at);
        let y = match self {
            Row::Unary(row) => (row.on_var_f32)(x[0]),
            Row::Binary(row) => (row.on_var_f32)(x[0], x[1]),
        };
        let partials = y.backward().wrt(x);
        Derivative { value: y.value().into(), partials: partials.into_iter().map(f64::from).collect() }
    }

    fn on_dual(self, at: &[f64]) -> Derivative {
        let tangent = |direction: usize| {
            let x: Vec<Dual<f64>> = (0..at.len()).map(|i| Dual::new(at[i], [f64::from(i == direction)])).collect();
            match self {
                Row::Unary(row) => (row.on_dual)(x[0]),
                Row::Binary(row) => (row.on_dual)(x[0], x[1]),
            }
        };
        Derivative { value: tangent(0).primal(), partials: (0..at.len()).map(|i| tangent(i).tangents()[0]).collect() }
    }

    /// [`second`](Self::second) in single precision.
    fn second_f32(self, at: &[f64], direction: usize) -> Vec<f64> {
        let seed = |i| if i == direction { 1.0 } else { 0.0 };
        let seeded: Vec<Dual<f32>> = (0..at.len()).map(|i| Dual::new(at[i] as f32, [seed(i)])).collect();
        let tape = Tape::default();
        let x: &[Var<'_, Dual<f32>>] = tape.vars_from(&seeded);
        let y = match self {
            Row::Unary(row) => (row.on_var_dual_f32)(x[0]),
            Row::Binary(row) => (row.on_var_dual_f32)(x[0], x[1]),
        };
        y.backward().wrt(x).into_iter().map(|p| p.tangents()[0].into()).collect()
    }

    /// The derivative of the gradient along axis `direction`: a column of the Hessian.
    fn second(self, at: &[f64], direction: usize) -> Vec<f64> {
        let seeded: Vec<Dual<f64>> = (0..at.len()).map(|i| Dual::new(at[i], [f64::from(i == direction)])).collect();
        let tape = Tape::default();
        let x: &[Var<'_, Dual<f64>>] = tape.vars_from(&seeded);
        let y = match self {
            Row::Unary(row) => (row.on_var_dual)(x[0]),
            Row::Binary(row) => (row.on_var_dual)(x[0], x[1]),
        };
        let partials = y.backward().wrt(x);
        partials.into_iter().map(|p| p.tangents()[0]).collect()
    }

    fn on_tensor(self, at: &[Vec<f64>]) -> Vec<Derivative> {
        let column = |i: usize| at.iter().map(|x| x[i]).collect::<Array1<f64>>();
        let inputs: Vec<_> = (0..self.sample().len()).map(column).collect();
        let tape = Tape::new();
        let x: Vec<_> = inputs.iter().map(|column| tape.tensor(column)).collect();
        let y = match self {
            Row::Unary(row) => (row.on_tensor)(x[0]),
            Row::Binary(row) => (row.on_tensor)(x[0], x[1]),
        };
        let gradient = (0..at.len()).map(|i| y.at(i)).sum::<Var<'_>>().backward();
        let partials: Vec<_> = x.iter().map(|&x| gradient.wrt(x)).collect();
        (0..at.len())
            .map(|i| Derivative { value: y.value()[i], partials: partials.iter().map(|p| p[i]).collect() })
            .collect()
    }

    fn on_tensor_f32(self, at: &[Vec<f64>]) -> Vec<Derivative> {
        let column = |i: usize| at.iter().map(|x| x[i] as f32).collect::<Array1<f32>>();
        let inputs: Vec<_> = (0..self.sample().len()).map(column).collect();
        let tape = Tape::<f32>::default();
        let x: Vec<_> = inputs.iter().map(|column| tape.tensor(column)).collect();
        let y = match self {
            Row::Unary(row) => (row.on_tensor_f32)(x[0]),
            Row::Binary(row) => (row.on_tensor_f32)(x[0], x[1]),
        };
        let sum = (0..at.len()).map(|i| y.at(i)).sum::<Var<'_, f32>>();
        let gradient = sum.backward();
        let partials: Vec<_> = x.iter().map(|&x| gradient.wrt(x)).collect();
        (0..at.len())
            .map(|i| Derivative {
                value: y.value()[i].into(),
                partials: partials.iter().map(|p| p[i].into()).collect(),
            })
            .collect()
    }
}

/// Backward stable rows, as exact as if x had been rounded once: `gelu_tanh` rounds a polynomial of x, which its
/// exponential then amplifies; the others have zeros at which their terms are not zero.
const BACKWARD_STABLE: &[&str] = &["gelu", "gelu_tanh", "silu", "digamma", "ln_gamma"];

/// The admitted relative error in units of ε: 2 ulp of the primal, and the roundings of a rule.
const ROUNDINGS: f64 = 4.0;

#[derive(Clone, Copy)]
struct Precision {
    epsilon: f64,
    tiny: f64,
}
const DOUBLE: Precision = Precision { epsilon: f64::EPSILON, tiny: f64::MIN_POSITIVE };
const SINGLE: Precision = Precision { epsilon: f32::EPSILON as f64, tiny: f32::MIN_POSITIVE as f64 };

/// Deviations, collected so that one run shows them all.
#[derive(Default)]
struct Report(Vec<String>);

impl Report {
    /// Compares a result with a point. If `rounded`, the arguments were rounded to a lower precision.
    fn check(&mut self, row: Row, number: &str, point: &Point, got: &Derivative, precision: Precision, rounded: bool) {
        let name = row.name();
        let stable = rounded || BACKWARD_STABLE.contains(&name);
        let condition = |slopes: &[f64]| {
            if stable { condition(&point.at, slopes) } else { 0.0 }
        };
        let want = &point.expected;
        let mut check = |what: &str, got: f64, want: f64, scale: f64| {
            let allowed = ROUNDINGS * precision.epsilon * (want.abs() + scale) + precision.tiny;
            let equal = got == want || got.is_nan() && want.is_nan();
            // A value of 0 has the sign of its function nearby. Which of two zeros is the larger one is not said.
            let signs = [got, want].map(f64::is_sign_negative);
            let of_zeros = ["max", "min", "maximum", "minimum"].contains(&name);
            let other_zero = what == "value" && got == 0.0 && want == 0.0 && signs[0] != signs[1] && !of_zeros;
            if other_zero || !(equal || want.is_finite() && (got - want).abs() <= allowed) {
                let at = &point.at;
                self.0.push(format!(
                    "{name}{at:?} on {number}: {what} is {got:e}, should be {want:e}, allowed {allowed:.1e} off {:.1e}",
                    (got - want).abs()
                ));
            }
        };
        check("value", got.value, want.value, condition(&want.partials));
        for (i, (&got, &want)) in got.partials.iter().zip(&want.partials).enumerate() {
            check(&format!("partial {i}"), got, want, condition(&row.second(&point.at, i)));
        }
    }

    fn finish(self) {
        assert!(self.0.is_empty(), "{} deviations:\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// The condition Σ |xᵢ ∂f/∂xᵢ|: the change of f, in units of ε, when each argument is rounded.
fn condition(at: &[f64], slopes: &[f64]) -> f64 {
    let moves = at.iter().zip(slopes).map(|(x, slope)| (x * slope).abs());
    moves.filter(|m| m.is_finite()).sum()
}

/// A row with other parameters than the table's own.
struct Variant {
    name: &'static str,
    on_f64: fn(f64) -> f64,
    on_var: for<'t> fn(Var<'t>) -> Var<'t>,
    points: &'static [(f64, f64, f64)],
}

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Variants whose points tests/oracle/edges.py computes, as it does for the table.
#[rustfmt::skip]
const VARIANTS: &[Variant] = &[
    Variant {
        name: "powi_0", on_f64: |x| x.powi(0), on_var: |x| x.powi(0),
        points: &[
            (0.7, 1.0, 0.0), (-1.3, 1.0, 0.0), (1e-08, 1.0, 0.0), (1e+300, 1.0, 0.0), (0.0, 1.0, 0.0),
            (-0.0, 1.0, 0.0), (INF, 1.0, 0.0), (-INF, 1.0, 0.0),
        ],
    },
    Variant {
        name: "powi_m2", on_f64: |x| x.powi(-2), on_var: |x| x.powi(-2),
        points: &[
            (0.7, 2.0408163265306123, -5.830903790087465), (-1.3, 0.5917159763313609, 0.9103322712790167),
            (2.5, 0.16, -0.128), (1e-08, 1e+16, -2e+24), (1e+100, 1e-200, -2e-300), (0.0, INF, -INF),
            (-0.0, INF, INF), (INF, 0.0, -0.0), (-INF, 0.0, 0.0),
        ],
    },
    Variant {
        name: "powf_2_5", on_f64: |x| x.powf(2.5), on_var: |x| x.powf(2.5),
        points: &[
            (0.7, 0.409963413001697, 1.464155046434632), (2.5, 9.882117688026186, 9.882117688026186),
            (1e-08, 1.0000000000000001e-20, 2.5000000000000003e-12),
            (1e+100, 1.0000000000000001e+250, 2.5e+150), (0.0, 0.0, 0.0), (-0.0, 0.0, 0.0), (-1.3, NAN, NAN),
            (INF, INF, INF),
        ],
    },
    Variant {
        name: "powf_0", on_f64: |x| x.powf(0.0), on_var: |x| x.powf(0.0),
        points: &[
            (0.7, 1.0, 0.0), (-1.3, 1.0, 0.0), (1e-08, 1.0, 0.0), (1e+300, 1.0, 0.0), (0.0, 1.0, 0.0),
            (-0.0, 1.0, 0.0), (INF, 1.0, 0.0), (-INF, 1.0, 0.0),
        ],
    },
];

#[test]
fn every_row_has_edge_points() {
    for row in rows() {
        assert!(row.points().len() >= 5, "{}", row.name());
    }
}

#[test]
fn edge_points_in_double_precision() {
    let mut report = Report::default();
    for row in rows() {
        let points = row.points();
        let at: Vec<_> = points.iter().map(|p| p.at.clone()).collect();
        let on_tensor = row.on_tensor(&at);
        for (point, on_tensor) in points.iter().zip(&on_tensor) {
            let value = Derivative { value: row.on_f64(&point.at), ..point.expected.clone() };
            report.check(row, "f64", point, &value, DOUBLE, false);
            report.check(row, "Var<f64>", point, &row.on_var(&point.at), DOUBLE, false);
            report.check(row, "Dual<f64>", point, &row.on_dual(&point.at), DOUBLE, false);
            report.check(row, "Tensor<f64>", point, on_tensor, DOUBLE, false);
        }
    }
    report.finish();
}

/// Tells whether the nearest f32 of a number is 0, infinite, NaN or normal.
fn fits_f32(x: f64) -> bool {
    x == 0.0 || !x.is_finite() || (x as f32).is_normal()
}

#[test]
fn edge_points_in_single_precision() {
    let mut report = Report::default();
    let mut checked = 0;
    for row in rows() {
        let points: Vec<Point> = row.points().into_iter().filter(|p| in_reach_of_f32(row, p)).collect();
        checked += points.len();
        let at: Vec<_> = points.iter().map(|p| p.at.clone()).collect();
        let on_tensor = row.on_tensor_f32(&at);
        for (point, on_tensor) in points.iter().zip(&on_tensor) {
            let rounded = point.at.iter().any(|&x| !x.is_nan() && f64::from(x as f32) != x);
            let value = Derivative { value: row.on_f32(&point.at), partials: row.on_var_f32(&point.at).partials };
            report.check(row, "f32", point, &value, SINGLE, rounded);
            report.check(row, "Var<f32>", point, &row.on_var_f32(&point.at), SINGLE, rounded);
            report.check(row, "Tensor<f32>", point, on_tensor, SINGLE, rounded);
        }
    }
    assert!(checked > 400, "{checked}");
    report.finish();
}

/// Tells whether a point is meaningful in f32: its numbers fit, and the function is about the same at the nearest
/// f32. (0.99999999 is 1 in f32, where asin' is infinite.)
fn in_reach_of_f32(row: Row, point: &Point) -> bool {
    let Derivative { value, partials } = &point.expected;
    if !point.at.iter().chain([value]).chain(partials).all(|&x| fits_f32(x)) {
        return false;
    }
    let near: Vec<f64> = point.at.iter().map(|&x| f64::from(x as f32)).collect();
    let near = row.on_var(&near);
    let close = |a: f64, b: f64| a == b || !b.is_finite() || (a - b).abs() <= 1e-3 * b.abs();
    close(near.value, *value) && near.partials.iter().zip(partials).all(|(&a, &b)| close(a, b))
}

#[test]
fn edge_points_of_other_parameters() {
    for variant in VARIANTS {
        for &(x, y, slope) in variant.points {
            let tape = Tape::new();
            let v = tape.var(x);
            let on_tape = (variant.on_var)(v);
            let close = |got: f64, want: f64| {
                got == want
                    || got.is_nan() && want.is_nan()
                    || (got - want).abs() <= ROUNDINGS * f64::EPSILON * want.abs()
            };
            let got = ((variant.on_f64)(x), on_tape.value(), on_tape.backward()[v]);
            assert!(
                close(got.0, y) && close(got.1, y) && close(got.2, slope),
                "{} at {x}: {got:?}, should be ({y}, {slope})",
                variant.name
            );
        }
    }
}

/// Points that fill the box of sample intervals evenly: the additive recurrence with the plastic number
/// (Roberts 2018).
fn samples(row: Row, count: usize) -> impl Iterator<Item = Vec<f64>> {
    let strides = [0.754_877_666_246_692_8, 0.569_840_290_998_053_3];
    let intervals = row.sample();
    (1..=count).map(move |i| {
        let spread = intervals.iter().zip(strides);
        spread.map(|(&(lo, hi), stride)| lo + (hi - lo) * (0.02 + 0.96 * (i as f64 * stride).fract())).collect()
    })
}

/// A first step of differences that stays inside the interval.
fn step(row: Row, at: &[f64], axis: usize) -> f64 {
    let (lo, hi) = row.sample()[axis];
    0.5 * (at[axis] - lo).min(hi - at[axis]).min(0.2)
}

fn along(at: &[f64], axis: usize, x: f64) -> Vec<f64> {
    let mut moved = at.to_vec();
    moved[axis] = x;
    moved
}

#[test]
fn partials_are_the_slopes_of_the_values() {
    let mut report = Report::default();
    for row in rows() {
        let at: Vec<_> = samples(row, 40).collect();
        for (at, on_tensor) in at.iter().zip(row.on_tensor(&at)) {
            let (on_var, on_dual) = (row.on_var(at), row.on_dual(at));
            for axis in 0..at.len() {
                let f = |x| row.on_f64(&along(at, axis, x));
                let h = step(row, at, axis);
                let (slope, trust) = difference(f, at[axis], h);
                let allowed = 4.0 * trust + noise(f(at[axis]), h);
                assert!(allowed < 1e-6 * (1.0 + slope.abs()), "{} at {at:?}: {allowed:e}", row.name());
                for (number, got) in [("Var", &on_var), ("Dual", &on_dual), ("Tensor", &on_tensor)] {
                    let got = got.partials[axis];
                    if (got - slope).abs() > allowed || got.is_nan() {
                        report.0.push(format!(
                            "{}{at:?} on {number}: partial {axis} is {got:e}, differences give {slope:e} ± {allowed:e}",
                            row.name()
                        ));
                    }
                }
            }
        }
    }
    report.finish();
}

#[test]
fn second_derivatives_are_the_slopes_of_the_partials() {
    let mut report = Report::default();
    for row in rows() {
        for at in samples(row, 12) {
            for direction in 0..at.len() {
                let second = row.second(&at, direction);
                for (i, &got) in second.iter().enumerate() {
                    let partial = |x| row.on_var(&along(&at, direction, x)).partials[i];
                    let h = step(row, &at, direction);
                    let (slope, trust) = difference(partial, at[direction], h);
                    let allowed = 4.0 * trust + noise(partial(at[direction]), h);
                    if (got - slope).abs() > allowed || got.is_nan() {
                        report.0.push(format!(
                            "{}{at:?}: ∂²/∂{i}∂{direction} is {got:e}, differences give {slope:e} ± {allowed:e}",
                            row.name()
                        ));
                    }
                }
            }
        }
    }
    report.finish();
}

/// Second derivatives at points where a rule takes another branch.
#[test]
fn second_derivatives_at_special_points() {
    let row = |name: &str| rows().find(|row| row.name() == name).expect("a row of the table");
    let hessian = |name: &str, at: &[f64]| [row(name).second(at, 0), row(name).second(at, 1)];
    // ∂²(a^b)/∂a∂b = a^(b-1) (1 + b ln a), which is 1/a at b = 0; ∂²/∂b² = ln² a.
    let l = 2_f64.ln();
    assert_eq!(hessian("powf", &[2.0, 0.0]), [[0.0, 0.5], [0.5, l * l]]);
    assert_eq!(hessian("powf", &[0.0, 2.0]), [[2.0, 0.0], [0.0, 0.0]]);
    // ∂²(a ln b)/∂a∂b = 1/b, also where a = 0.
    assert_eq!(hessian("xlogy", &[0.0, 4.0]), [[0.0, 0.25], [0.25, 0.0]]);
    assert_eq!(hessian("mul", &[0.0, 0.0]), [[0.0, 1.0], [1.0, 0.0]]);
    assert_eq!(hessian("gated_mul", &[0.0, 0.0]), [[0.0, 1.0], [1.0, 0.0]]);
    assert_eq!(hessian("div", &[0.0, 2.0]), [[0.0, -0.25], [-0.25, 0.0]]);
    assert_eq!(row("sinc").second(&[0.0], 0), [-1.0 / 3.0]);
    assert_eq!(row("powi").second(&[0.0], 0), [0.0]);
    assert_eq!(row("square").second(&[0.0], 0), [2.0]);
    assert_eq!(row("relu").second(&[0.0], 0), [0.0]);
    assert_eq!(row("tanh").second(&[800.0], 0), [0.0]);
    assert_eq!(row("softplus").second(&[-800.0], 0), [0.0]);
}

/// Second derivatives outside of the domain and at its end. Signs and infinities are the limits of the closed forms from
/// inside; at ±0, of `cbrt` and `recip`, from the side of the sign.
#[test]
fn second_derivatives_at_the_end_of_the_domain() {
    let unary: &[(&str, f64, f64)] = &[
        ("ln", -1.0, NAN),
        ("log2", -1.0, NAN),
        ("log10", -1e300, NAN),
        ("ln_1p", -2.0, NAN),
        ("sqrt", -1.0, NAN),
        ("atanh", 2.0, NAN),
        ("atanh", -1e9, NAN),
        ("asin", 1.5, NAN),
        ("acos", -2.0, NAN),
        ("acosh", 0.5, NAN),
        ("acosh", -3.0, NAN),
        ("digamma", -1.0, NAN),
        ("sqrt", 0.0, -INF),
        ("sqrt", -0.0, -INF),
        ("ln", 0.0, -INF),
        ("ln", -0.0, -INF),
        ("log2", 0.0, -INF),
        ("log10", 0.0, -INF),
        ("ln_1p", -1.0, -INF),
        ("cbrt", 0.0, -INF),
        ("cbrt", -0.0, INF),
        ("recip", 0.0, INF),
        ("recip", -0.0, -INF),
        ("asin", 1.0, INF),
        ("asin", -1.0, -INF),
        ("acos", 1.0, -INF),
        ("acos", -1.0, INF),
        ("atanh", 1.0, INF),
        ("atanh", -1.0, -INF),
        ("acosh", 1.0, -INF),
    ];
    let row = |name: &str| rows().find(|row| row.name() == name).expect("a row of the table");
    let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
    let mut wrong = Vec::new();
    for &(name, x, want) in unary {
        let (double, single) = (row(name).second(&[x], 0)[0], row(name).second_f32(&[x], 0)[0]);
        if !same(double, want) || !same(single, want) {
            wrong.push(format!("{name}''({x}) is {double}, in f32 {single}, should be {want}"));
        }
    }
    let binary: &[(&str, [f64; 2], [f64; 3])] = &[
        ("xlogy", [1.0, -1.0], [NAN; 3]),
        ("xlogy", [0.0, 0.0], [0.0, INF, 0.0]),
        ("log", [-1.0, 2.0], [NAN; 3]),
        ("log", [2.0, -1.0], [NAN; 3]),
        ("log", [0.0, 2.0], [-INF, -INF, -INF]),
        ("powf", [-2.0, 0.5], [NAN; 3]),
        ("powf", [0.0, 0.5], [-INF, INF, 0.0]),
        ("powf", [0.0, 1.5], [INF, 0.0, 0.0]),
    ];
    for &(name, at, [aa, _, bb]) in binary {
        let [a, b] = [row(name).second(&at, 0), row(name).second(&at, 1)];
        if !same(a[0], aa) || !same(b[1], bb) {
            wrong.push(format!("{name}{at:?}: {a:?}, {b:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Through the functions of the crate, of tensors too.
    assert!(hessian(|x| x[0].ln(), &[-1.0_f64])[[0, 0]].is_nan());
    assert_eq!(hessian(|x| x[0].sqrt(), &[0.0])[[0, 0]], -INF);
    let of_tensor = wengert::arrays::hessian(|x| (x.sqrt() + x.ln()).sum(), &ndarray::array![0.0]);
    assert_eq!(of_tensor[[0, 0]], -INF);
    // An operand of which the function does not depend keeps the derivative 0.
    assert_eq!(hvp(|x| x[0].ln() + x[1].square(), &[-1.0, 1.0], &[0.0, 1.0]), [0.0, 2.0]);
}

/// The numbers of a line of the grid: the arguments, the value, the partials, and the second derivatives.
struct GridPoint {
    row: Row,
    at: Vec<f64>,
    value: f64,
    partials: Vec<f64>,
    seconds: Vec<f64>,
}

/// The points that tests/oracle/grid.py computed.
fn grid() -> Vec<GridPoint> {
    let points = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next()?;
        let row = rows().find(|row| row.name() == name).expect("a row of the table");
        let x: Vec<f64> = words.map(|word| word.parse().expect("a number")).collect();
        let n = row.sample().len();
        let (at, rest) = x.split_at(n);
        let (partials, seconds) = rest[1..].split_at(n);
        Some(GridPoint { row, at: at.to_vec(), value: rest[0], partials: partials.to_vec(), seconds: seconds.to_vec() })
    };
    include_str!("../../oracle/grid.txt").lines().filter(|line| !line.starts_with('#')).filter_map(points).collect()
}

/// The admitted errors of value, partial and second derivative, in units of ε.
const GRID_ROUNDINGS: [f64; 3] = [2.0, 4.0, 7.0];

/// The size of the terms that a value or derivative (of this order) of some rows is the sum of, where that sum has zeros;
/// and for `gelu_tanh`, which is backward stable, the growth of an error of its exponent.
fn terms(point: &GridPoint, order: usize, want: f64) -> f64 {
    let x = point.at[0];
    match (point.row.name(), order) {
        ("gelu", _) => (-0.5 * x * x).exp(),
        ("gelu_tanh", _) => want.abs() * x * x + (-x.abs()).exp(),
        ("silu", _) => (-x.abs()).exp(),
        ("digamma" | "ln_gamma", _) if x > 0.4 && x < 2.0 => 2.0,
        ("polygamma", _) => want.abs(),
        ("sinc", 2) => x.abs().recip().min(1.0),
        ("powf", 2) => (point.partials[0] / point.at[1]).abs(),
        ("atan2", 2) => (x * x + point.at[1] * point.at[1]).recip(),
        ("log", 2) => x.ln().abs() / (point.at[1] * point.at[1].ln()).powi(2),
        _ => 0.0,
    }
}

/// Values, partials and second derivatives of every smooth row over all exponents, in both precisions, of scalars and of
/// tensors, against mpmath.
#[test]
fn exponents_of_the_whole_range() {
    let mut wrong = Vec::new();
    let points = grid();
    assert!(points.len() > 4000);
    for points in points.chunk_by(|a, b| a.row.name() == b.row.name()) {
        let row = points[0].row;
        let mut check = |point: &GridPoint, number: &str, order: usize, got: f64, want: f64, single: bool| {
            let (epsilon, least, max) = if single {
                (f64::from(f32::EPSILON), f64::from(f32::from_bits(1)), f64::from(f32::MAX))
            } else {
                (f64::EPSILON, f64::from_bits(1), f64::MAX)
            };
            let size = want.abs() + terms(point, order, want);
            let near = (got - want).abs() <= GRID_ROUNDINGS[order] * epsilon * size + 32.0 * least;
            let over = got == want.signum() * INF && want.abs() >= max * (1.0 - 8.0 * epsilon);
            // Where value or second derivative overflow, the latter is not promised.
            let lost = order == 2 && !got.is_finite() && (point.value.abs() > max || want.abs() > max);
            if !(near || over || lost || got == want) {
                wrong.push(format!(
                    "{}{:?} on {number}: derivative {order} is {got:e}, should be {want:e}",
                    row.name(),
                    point.at
                ));
            }
        };
        let at = |points: &[&GridPoint]| points.iter().map(|p| p.at.clone()).collect::<Vec<_>>();
        let all: Vec<&GridPoint> = points.iter().collect();
        for (point, on_tensor) in points.iter().zip(row.on_tensor(&at(&all))) {
            let mut all = vec![("Var<f64>", row.on_var(&point.at)), ("Tensor<f64>", on_tensor)];
            all.push(("Dual<f64>", row.on_dual(&point.at)));
            for (number, got) in all {
                check(point, number, 0, got.value, point.value, false);
                for (got, want) in got.partials.iter().zip(&point.partials) {
                    check(point, number, 1, *got, *want, false);
                }
            }
            for direction in 0..point.at.len() {
                let column = row.second(&point.at, direction);
                for (i, got) in column.into_iter().enumerate() {
                    check(point, "Var<Dual<f64>>", 2, got, point.seconds[i + direction], false);
                }
            }
        }
        let exact: Vec<&GridPoint> = points.iter().filter(|p| p.at.iter().all(|&x| f64::from(x as f32) == x)).collect();
        for (point, on_tensor) in exact.iter().zip(row.on_tensor_f32(&at(&exact))) {
            for (number, got) in [("Var<f32>", row.on_var_f32(&point.at)), ("Tensor<f32>", on_tensor)] {
                check(point, number, 0, got.value, point.value, true);
                for (got, want) in got.partials.iter().zip(&point.partials) {
                    check(point, number, 1, *got, *want, true);
                }
            }
            for direction in 0..point.at.len() {
                let column = row.second_f32(&point.at, direction);
                for (i, got) in column.into_iter().enumerate() {
                    check(point, "Var<Dual<f32>>", 2, got, point.seconds[i + direction], true);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} deviations:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
}

/// Orders whose factorial overflows, against the sum (-1)ⁿ⁺¹ n! Σ (x + k)⁻ⁿ⁻¹ in mpmath at 50 digits. An order as large as this took a minute.
#[test]
fn polygamma_of_high_order() {
    let points = [
        (171, 60.5, 455.65160337278639733),
        // Both sides of the place where the asymptotic series begins.
        (171, 3.25, 1.1216052070900992443e221),
        (171, 341.5, 5.6913657606872230536e-127),
        (171, 342.5, 3.449671777243241417e-127),
        (180, 1000.0, -1.219565768939796501e-213),
        (200, 100.0, -9.1254246910962226557e-28),
        (200, 1000.0, -4.3508192705971018437e-228),
        (1000, 400.0, -9.5463286602289093521e-38),
        (100_000, 36788.0, -0.019818038127384316278),
        (10_000_000, 3678794.0, -0.0070643995635941881001),
        (u32::MAX, 1580030166.0, 0.063413463255612023776),
        (u32::MAX, 1580030169.0, 0.00001822120418177629247),
        // Half-way between two poles, where the largest terms cancel.
        (172, -0.5, -7.3370036562215110071e280),
        (172, -1.5, -3.0597437184476073286e242),
        (190, -40.5, -8.7767289654442531144e42),
    ];
    for (n, x, want) in points {
        let (got, allowed) = (Real::polygamma(x, n), 16.0 * f64::from(n) * f64::EPSILON);
        assert!((got / want - 1.0_f64).abs() <= allowed, "polygamma({n}, {x}) is {got:e}, should be {want:e}");
    }
    // At once however far away: ψ'(x) is π²/sin² πx - ψ'(1 - x).
    let far = Real::polygamma(-1e12_f64 - 0.75, 1);
    assert!((far - 19.739_208_802_177_717).abs() < 1e-13, "{far:e}");
    for (n, x, want) in [(200, -0.8, -INF), (200, -1.2, INF), (201, -0.8, INF), (201, -1.2, INF)] {
        assert_eq!(Real::polygamma(x, n), want, "polygamma({n}, {x})");
    }
    for (n, x, want) in [(171, 0.7, INF), (200, -0.3, INF), (200, -0.5, -INF), (201, -0.5, INF), (171, -70.25, INF)] {
        assert_eq!(Real::polygamma(x, n), want, "polygamma({n}, {x})");
    }
    assert_eq!(Real::polygamma(1e300, u32::MAX), 0.0);
    assert!(Real::polygamma(-3.0_f64, u32::MAX).is_nan());
    // The derivative has an order that is no u32: NaN, not the derivative of another order.
    let tape = Tape::new();
    let x = tape.var(1580030166.0_f64);
    assert!(x.polygamma(u32::MAX).backward()[x].is_nan());
}

/// The mixed derivative of a ln b is 1/b, whose limit at 0 is infinite, also where a is 0.
#[test]
fn mixed_derivative_of_xlogy() {
    for (a, b, want) in [(0.0, 0.0, INF), (0.0, -0.0, INF), (0.0, 0.5, 2.0), (3.0, 0.5, 2.0), (0.0, -1.0, f64::NAN)] {
        let found = hvp(|x| x[0].xlogy(x[1]), &[a, b], &[1.0, 0.0])[1];
        assert!(found == want || (found.is_nan() && want.is_nan()), "{a}, {b}: {found}, not {want}");
    }
}

/// Bug reports of other libraries, with the right value by mpmath.
#[test]
fn reported_tails() {
    let grad32 = |f: for<'t> fn(&[Var<'t, f32>]) -> Var<'t, f32>, x: f32| f64::from(grad(f, &[x])[0]);
    let (value, slope) = value_and_grad(|x| x[0].log_normal_cdf(), &[-40.0]);
    let [largest, near] = [Tape::new().var(f64::MAX).asinh().value(), Tape::new().var(f64::MAX).acosh().value()];
    let atanh = Tape::<f32>::new().var(-0.999999).atanh().value();
    let cases = [
        ("tensorflow#126060", grad(|x| x[0].sigmoid(), &[40.0])[0], 4.248354255291589e-18, 1e-12),
        ("tt-metal#56358", grad32(|x| x[0].sigmoid(), 10.0), 4.5395807735951673e-5, 1e-6),
        ("pytorch#195685, jax#40388", grad32(|x| x[0].tanh(), -9.010914), 5.9604584e-8, 1e-5),
        ("jax#39794, tt-metal#55723", grad(|x| x[0].exp_m1(), &[-40.0])[0], 4.248354255291589e-18, 1e-12),
        ("tensorflow#124833, jax#39795", grad32(|x| x[0].elu(1.0), -20.0), 2.061153622438558e-9, 1e-5),
        ("pytorch#195530", hessian(|x| x[0].log_sigmoid(), &[-40.0])[[0, 0]], -4.248354255291589e-18, 1e-12),
        ("tt-metal#55349", hvp(|x| x[0].tanh(), &[1e-12], &[1.0])[0], -2e-12, 1e-9),
        // ln Φ is a function of its own: Φ(-40) is 0, and no rule can undo that.
        ("stan-math#3150, stan#1424, stan#1357", value, -804.608442013753788, 1e-14),
        ("stan-math#3150, stan#1424, stan#1357", slope[0], 40.0249688472072637, 1e-14),
        ("rust#153878", largest, 710.475860073943942, 1e-15),
        ("rust#153878", near, 710.475860073943942, 1e-15),
        ("tt-metal#47174, tinygrad#17749", f64::from(atanh), -7.24773283165140386, 1e-6),
    ];
    for (source, got, want, relative) in cases {
        assert!((got - want).abs() <= relative * want.abs(), "{source}: {got:e}, should be {want:e}");
    }
    // burn#5609, tvm#19579, mxnet#11115: a hinge loss of NaN. stan#857, stan#862: the slope of floor at NaN.
    let tape = Tape::<f64>::new();
    assert!(tape.constant(ndarray::array![NAN]).maximum(0.0).value()[0].is_nan());
    assert!(tape.var(NAN).maximum(0.0).value().is_nan());
    assert!(grad(|x| x[0].floor(), &[NAN])[0].is_nan());
}

/// NaN passes through whatever chooses or cuts, on every kind of number.
#[test]
fn nan_wins_everywhere_but_in_max_and_min() {
    struct Choices;
    impl Choices {
        fn of<R: Real<Base = f64>>(x: R) -> [R; 11] {
            let one = R::one();
            [
                x.relu(),
                x.leaky_relu(0.1),
                x.elu(1.0),
                x.maximum(-one).minimum(one),
                x.maximum(one),
                one.maximum(x),
                x.minimum(one),
                one.minimum(x),
                x.floor(),
                x.round(),
                x.signum(),
            ]
        }
    }
    let tape = Tape::new();
    for (i, y) in Choices::of(tape.var(NAN)).into_iter().enumerate() {
        assert!(y.value().is_nan(), "Var {i}");
        assert!(Choices::of(NAN)[i].is_nan(), "f64 {i}");
        let dual = Choices::of(Dual::new(NAN, [1.0]))[i];
        assert!(dual.primal().is_nan() && dual.tangents()[0].is_nan(), "Dual {i}");
        let mut program = wengert::Program::new(|[x]| Choices::of(x)[i], [0.5]).expect("no value is read");
        let mut gradient = [0.0];
        let value = program.value_and_grad(&[NAN], &mut gradient).expect("no branch");
        assert!(value.is_nan() && gradient[0].is_nan(), "Program {i}: {value} {gradient:?}");
        assert!(grad(|x| Choices::of(x[0])[i], &[NAN])[0].is_nan(), "gradient {i}");
        let series = wengert::taylor::<f64, 3>(|x| Choices::of(x)[i], NAN);
        assert!(series.iter().all(|c| c.is_nan()), "Taylor {i}: {series:?}");
    }
    // The row's bounds are plain numbers.
    assert!(tape.var(NAN).clamp(-1.0, 1.0).value().is_nan() && grad(|x| x[0].clamp(-1.0, 1.0), &[NAN])[0].is_nan());
    assert!(tape.constant(ndarray::array![NAN]).clamp(-1.0, 1.0).value()[0].is_nan());
    let mut program = wengert::Program::new(|[x]| x.clamp(-1.0, 1.0), [0.5]).expect("no value is read");
    assert!(program.value(&[NAN]).expect("no branch").is_nan());
    assert_eq!((NAN.max(1.0), grad(|x| x[0].max(1.0), &[NAN])[0]), (1.0, 0.0));
}
