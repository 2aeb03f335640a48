//! Every row of the table, in few and in many lanes, in both precisions, at edge points and between them.

use wengert::rules::{BINARY, BinaryRow, UNARY, UnaryRow, VarOfDual};
use wengert::trace::Recorded;
use wengert::{BaseFloat, Dual, Program, Tape, Var, value_and_grad};

use super::{assert_number, run};

const LANES: [usize; 5] = [1, 7, 8, 64, 1000];

/// A row with its operands: `None` stands for the next variable.
#[derive(Clone, Copy)]
enum Row {
    Unary(&'static UnaryRow),
    Binary(&'static BinaryRow),
    /// A row of two operands with a constant on the right, or on the left.
    Right(&'static BinaryRow),
    Left(&'static BinaryRow),
}

/// The base floats, with the functions of a row on their numbers.
trait Base: BaseFloat {
    const NAME: &'static str;
    fn unary<'r>(row: &UnaryRow, x: Recorded<'r, Self>) -> Recorded<'r, Self>;
    fn binary<'r>(row: &BinaryRow, a: Recorded<'r, Self>, b: Recorded<'r, Self>) -> Recorded<'r, Self>;
    fn unary_var<'t>(row: &UnaryRow, x: Var<'t, Self>) -> Var<'t, Self>;
    fn binary_var<'t>(row: &BinaryRow, a: Var<'t, Self>, b: Var<'t, Self>) -> Var<'t, Self>;
    fn unary_dual<'t>(row: &UnaryRow, x: VarOfDual<'t, Self>) -> VarOfDual<'t, Self>;
    fn binary_dual<'t>(row: &BinaryRow, a: VarOfDual<'t, Self>, b: VarOfDual<'t, Self>) -> VarOfDual<'t, Self>;
}

macro_rules! bases {
    ($($F:ident $recorded:ident $var:ident $dual:ident)+) => { $(
        impl Base for $F {
            const NAME: &'static str = stringify!($F);
            fn unary<'r>(row: &UnaryRow, x: Recorded<'r, Self>) -> Recorded<'r, Self> {
                (row.$recorded)(x)
            }
            fn binary<'r>(row: &BinaryRow, a: Recorded<'r, Self>, b: Recorded<'r, Self>) -> Recorded<'r, Self> {
                (row.$recorded)(a, b)
            }
            fn unary_var<'t>(row: &UnaryRow, x: Var<'t, Self>) -> Var<'t, Self> {
                (row.$var)(x)
            }
            fn binary_var<'t>(row: &BinaryRow, a: Var<'t, Self>, b: Var<'t, Self>) -> Var<'t, Self> {
                (row.$var)(a, b)
            }
            fn unary_dual<'t>(row: &UnaryRow, x: VarOfDual<'t, Self>) -> VarOfDual<'t, Self> {
                (row.$dual)(x)
            }
            fn binary_dual<'t>(row: &BinaryRow, a: VarOfDual<'t, Self>, b: VarOfDual<'t, Self>) -> VarOfDual<'t, Self> {
                (row.$dual)(a, b)
            }
        }
    )+ };
}
bases! { f64 on_recorded on_var on_var_dual  f32 on_recorded_f32 on_var_f32 on_var_dual_f32 }

/// The rows, and those of two operands with constants.
fn rows() -> impl Iterator<Item = Row> {
    let binary = BINARY.iter().flat_map(|row| [Row::Binary(row), Row::Right(row), Row::Left(row)]);
    UNARY.iter().map(Row::Unary).chain(binary)
}

impl Row {
    fn name(self) -> String {
        match self {
            Row::Unary(row) => row.name.to_owned(),
            Row::Binary(row) => row.name.to_owned(),
            Row::Right(row) => format!("{} with a constant on the right", row.name),
            Row::Left(row) => format!("{} with a constant on the left", row.name),
        }
    }

    /// Arguments: edge points, and seven points inside of the intervals on which the row is smooth.
    fn points<F: BaseFloat>(self) -> Vec<[F; 2]> {
        let inside =
            |(lo, hi): (f64, f64), k: i32, stride: f64| lo + (hi - lo) * (0.05 + 0.9 * (f64::from(k) * stride).fract());
        let mut points: Vec<[f64; 2]> = Vec::new();
        match self {
            Row::Unary(row) => {
                points.extend(row.points.iter().map(|p| [p.0, 0.0]));
                points.extend((1..8).map(|k| [inside(row.sample, k, 0.618), 0.0]));
            }
            Row::Binary(row) | Row::Right(row) | Row::Left(row) => {
                points.extend(row.points.iter().map(|p| [p.0, p.1]));
                points.extend((1..8).map(|k| [inside(row.sample.0, k, 0.755), inside(row.sample.1, k, 0.57)]));
            }
        }
        points.into_iter().map(|p| p.map(F::lit)).collect()
    }

    fn recorded<'r, F: Base>(self, [a, b]: [Recorded<'r, F>; 2], [c, d]: [F; 2]) -> Recorded<'r, F> {
        match self {
            Row::Unary(row) => F::unary(row, a),
            Row::Binary(row) => F::binary(row, a, b),
            Row::Right(row) => F::binary(row, a, Recorded::constant(d)),
            Row::Left(row) => F::binary(row, Recorded::constant(c), b),
        }
    }

    fn var<'t, F: Base>(self, [a, b]: [Var<'t, F>; 2], [c, d]: [F; 2]) -> Var<'t, F> {
        match self {
            Row::Unary(row) => F::unary_var(row, a),
            Row::Binary(row) => F::binary_var(row, a, b),
            Row::Right(row) => F::binary_var(row, a, Var::constant(d)),
            Row::Left(row) => F::binary_var(row, Var::constant(c), b),
        }
    }

    /// The second derivatives of the row: what a rounding of an operand does to the partials.
    fn second<F: Base>(self, at: [F; 2], direction: usize) -> [f64; 2] {
        let tape = Tape::default();
        let seed = |i: usize| Dual::new(at[i], [if i == direction { F::one() } else { F::zero() }]);
        let x: [VarOfDual<'_, F>; 2] = tape.vars([seed(0), seed(1)]);
        let y = match self {
            Row::Unary(row) => F::unary_dual(row, x[0]),
            Row::Binary(row) => F::binary_dual(row, x[0], x[1]),
            Row::Right(row) => F::binary_dual(row, x[0], Var::constant(Dual::constant(at[1]))),
            Row::Left(row) => F::binary_dual(row, Var::constant(Dual::constant(at[0])), x[1]),
        };
        if y.is_constant() {
            return [0.0; 2];
        }
        y.backward().wrt(x).map(|d| f64_of(d.tangents()[0]))
    }
}

fn f64_of<F: BaseFloat>(x: F) -> f64 {
    x.to_f64().expect("a float")
}

/// The results of the tape at one point.
struct Expected<F> {
    at: [F; 2],
    value: F,
    partials: [F; 2],
    /// The effect of a rounding of the operands on the value, and on the partials.
    condition: [f64; 3],
}

impl<F: Base> Expected<F> {
    fn new(row: Row, at: [F; 2]) -> Self {
        let tape = Tape::<F>::default();
        let x = tape.vars(at);
        let y = row.var(x, at);
        let partials = if y.is_constant() { [F::zero(); 2] } else { y.backward().wrt(x) };
        let finite = |x: f64| if x.is_finite() { x.abs() } else { 0.0 };
        let size = |d: [f64; 2]| finite(f64_of(at[0]) * d[0]) + finite(f64_of(at[1]) * d[1]);
        let by_a = row.second(at, 0);
        let by_b = row.second(at, 1);
        let condition = [size(partials.map(f64_of)), size([by_a[0], by_b[0]]), size([by_a[1], by_b[1]])];
        Self { at, value: y.value(), partials, condition }
    }

    fn is_finite(&self) -> bool {
        self.value.is_finite() && self.partials.iter().all(|d| d.is_finite())
    }
}

/// Lanes alone, as terms of a sum, and as factors of their neighbours.
fn check_row<F: Base>(row: Row, counts: &mut [usize; 3]) {
    // Two ulp of the function in lanes, as many of the one on floats, and the roundings of the rule.
    let tolerance = 8.0 * f64_of(F::epsilon());
    let tiny = f64_of(F::min_positive_value());
    let expected: Vec<Expected<F>> = row.points::<F>().into_iter().map(|at| Expected::new(row, at)).collect();
    let (finite, others): (Vec<_>, Vec<_>) = expected.iter().partition(|e| e.is_finite());
    // Sums and products of numbers near the largest overflow.
    let moderate: Vec<_> = finite
        .iter()
        .filter(|e| e.partials.iter().chain([&e.value]).all(|x| f64_of(*x).abs() < 1e15))
        .copied()
        .collect();
    assert!(moderate.len() >= 5, "{}", row.name());
    for lanes in LANES {
        // The values alone, each with its own number, all points at once.
        let all: Vec<&Expected<F>> = finite.iter().copied().cycle().take(lanes.max(finite.len())).collect();
        let flat = |list: &[&Expected<F>]| list.iter().flat_map(|e| e.at).collect::<Vec<F>>();
        let constants: Vec<[F; 2]> = all.iter().map(|e| e.at).collect();
        let case =
            |what: &str, e: &Expected<F>| format!("{} on {}, {lanes} lanes, {what} at {:?}", row.name(), F::NAME, e.at);
        let mut values = Program::over_vector(
            |x: &[Recorded<'_, F>]| x.chunks(2).zip(&constants).map(|(x, &c)| row.recorded([x[0], x[1]], c)).collect(),
            flat(&all),
        )
        .unwrap();
        let mut y = vec![F::zero(); all.len()];
        values.values(&flat(&all), &mut y).unwrap();
        for (&y, e) in y.iter().zip(&all) {
            counts[0] += 1;
            assert_number(&|| case("value", e), y, e.value, tolerance, e.condition[0] + tiny / tolerance);
        }
        // Moderate points, so that nothing is replayed, then one that is not finite among them.
        let terms: Vec<&Expected<F>> = moderate.iter().copied().cycle().take(lanes).collect();
        let constants: Vec<[F; 2]> = terms.iter().map(|e| e.at).collect();
        let weight = |i: usize| F::lit(1.0 + 0.25 * (i % 7) as f64);
        macro_rules! sum {
            ($x:ident, $method:ident, $constants:expr) => {
                $x.chunks(2)
                    .zip(&$constants)
                    .enumerate()
                    .map(|(i, (x, &c))| row.$method([x[0], x[1]], c) * weight(i))
                    .sum()
            };
        }
        let x = flat(&terms);
        let mut sum = Program::over(|x: &[Recorded<'_, F>]| sum!(x, recorded, constants), &x).unwrap();
        let (value, gradient) = run(&mut sum, &x);
        let size: f64 = terms.iter().enumerate().map(|(i, e)| f64_of(e.value * weight(i)).abs() + e.condition[0]).sum();
        let (want, _) = value_and_grad(|x| sum!(x, var, constants), &x);
        let first = terms[0];
        assert_number(&|| case("sum", first), value, want, tolerance, 8.0 * size);
        for (i, (e, got)) in terms.iter().zip(gradient.chunks(2)).enumerate() {
            counts[1] += 1;
            for (k, (&got, partial)) in got.iter().zip(e.partials).enumerate() {
                let scale = 2.0 * e.condition[1 + k] + tiny / tolerance;
                assert_number(&|| case(&format!("partial {k}"), e), got, partial * weight(i), tolerance, scale);
            }
        }
        // A row whose values are needed twice, so that its cotangents are not known beforehand.
        macro_rules! ring {
            ($x:ident, $method:ident) => {{
                let y: Vec<_> = $x.chunks(2).zip(&constants).map(|(x, &c)| row.$method([x[0], x[1]], c)).collect();
                (0..y.len()).map(|i| y[i] * y[(i + 1) % y.len()]).sum()
            }};
        }
        let mut ring = Program::over(|x: &[Recorded<'_, F>]| ring!(x, recorded), &x).unwrap();
        let (value, gradient) = run(&mut ring, &x);
        let (want, partials) = value_and_grad(|x| ring!(x, var), &x);
        let at = |i: usize| f64_of(terms[i % lanes].value).abs() + terms[i % lanes].condition[0];
        let size: f64 = (0..lanes).map(|i| at(i) * at(i + 1)).sum();
        assert_number(&|| case("ring", first), value, want, tolerance, 8.0 * size);
        for (i, e) in terms.iter().enumerate() {
            for k in 0..2 {
                let both = at(i + 1) + at(i + lanes - 1);
                let scale = both * (f64_of(e.partials[k]).abs() + 2.0 * e.condition[1 + k]) + tiny / tolerance;
                let (got, want) = (gradient[2 * i + k], partials[2 * i + k]);
                assert_number(&|| case(&format!("ring, partial {k}"), e), got, want, tolerance, scale);
            }
        }
        // Whatever is not finite comes out as on the tape.
        let few = if lanes > 100 { 2 } else { others.len() };
        for (k, e) in others.iter().take(few).enumerate() {
            counts[2] += 1;
            let mut terms = terms.clone();
            terms[k * 5 % lanes] = e;
            let x = flat(&terms);
            let constants: Vec<[F; 2]> = terms.iter().map(|e| e.at).collect();
            let constant = matches!(row, Row::Right(_) | Row::Left(_));
            let fresh = || Program::over(|x: &[Recorded<'_, F>]| sum!(x, recorded, constants), &x).unwrap();
            let (value, gradient) = if constant { run(&mut fresh(), &x) } else { run(&mut sum, &x) };
            let (want, partials) = value_and_grad(|x| sum!(x, var, constants), &x);
            assert_number(&|| case("sum", e), value, want, tolerance, 8.0 * size);
            for (i, (&got, &want)) in gradient.iter().zip(&partials).enumerate() {
                let scale = 2.0 * terms[i / 2].condition[1 + i % 2] + tiny / tolerance;
                assert_number(&|| case(&format!("partial of {i}"), e), got, want, tolerance, scale);
            }
        }
    }
}

#[test]
fn every_row_in_double_precision() {
    let mut counts = [0; 3];
    rows().for_each(|row| check_row::<f64>(row, &mut counts));
    println!("{counts:?} values, partials, numbers that are not finite");
    assert!(counts.iter().all(|&n| n > 1000), "{counts:?}");
}

#[test]
fn every_row_in_single_precision() {
    let mut counts = [0; 3];
    rows().for_each(|row| check_row::<f32>(row, &mut counts));
    assert!(counts.iter().all(|&n| n > 1000), "{counts:?}");
}
