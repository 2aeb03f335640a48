//! The driver of the table: one row through every layout, number type and order of derivatives.

use std::array;

use ndarray::{Array, Array1, ArrayD, ArrayViewD, Axis, Dimension, IxDyn};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use wengert::{Dual, Scalar, Seed, Tape, Tensor, Var};

use super::layouts::{LAYOUTS, Layout, PLAIN};

pub(super) type Dyn<'t, F> = Tensor<'t, F, IxDyn>;

/// One of the results of an operation.
#[derive(Clone, Copy)]
pub(super) enum Output<'t, F: Scalar> {
    Var(Var<'t, F>),
    Tensor(Dyn<'t, F>),
}

/// The results of an operation: a variable, a tensor, or several of them.
pub(super) trait Outputs<'t, F: Scalar> {
    fn outputs(self) -> Vec<Output<'t, F>>;
}

impl<'t, F: Scalar> Outputs<'t, F> for Output<'t, F> {
    fn outputs(self) -> Vec<Output<'t, F>> {
        vec![self]
    }
}
impl<'t, F: Scalar> Outputs<'t, F> for Var<'t, F> {
    fn outputs(self) -> Vec<Output<'t, F>> {
        vec![Output::Var(self)]
    }
}
impl<'t, F: Scalar, D: Dimension> Outputs<'t, F> for Tensor<'t, F, D> {
    fn outputs(self) -> Vec<Output<'t, F>> {
        vec![Output::Tensor(self.into_dyn())]
    }
}
impl<'t, F: Scalar, O: Outputs<'t, F>> Outputs<'t, F> for Vec<O> {
    fn outputs(self) -> Vec<Output<'t, F>> {
        self.into_iter().flat_map(Outputs::outputs).collect()
    }
}
impl<'t, F: Scalar, O: Outputs<'t, F>, const N: usize> Outputs<'t, F> for [O; N] {
    fn outputs(self) -> Vec<Output<'t, F>> {
        self.into_iter().flat_map(Outputs::outputs).collect()
    }
}
impl<'t, F: Scalar, A: Outputs<'t, F>, B: Outputs<'t, F>> Outputs<'t, F> for (A, B) {
    fn outputs(self) -> Vec<Output<'t, F>> {
        [self.0.outputs(), self.1.outputs()].concat()
    }
}

/// The values that a plain implementation gives.
pub(super) trait Values {
    fn values(self) -> Vec<ArrayD<f64>>;
}
impl Values for f64 {
    fn values(self) -> Vec<ArrayD<f64>> {
        vec![ndarray::arr0(self).into_dyn()]
    }
}
impl<D: Dimension> Values for Array<f64, D> {
    fn values(self) -> Vec<ArrayD<f64>> {
        vec![self.into_dyn()]
    }
}
impl<V: Values> Values for Vec<V> {
    fn values(self) -> Vec<ArrayD<f64>> {
        self.into_iter().flat_map(Values::values).collect()
    }
}

/// A number as a primal and a tangent.
pub(crate) trait Number: Scalar {
    /// 1 for a primal alone.
    const PARTS: usize;
    fn make(primal: f64, tangent: f64) -> Self;
    fn parts(self) -> [f64; 2];
}
impl Number for f32 {
    const PARTS: usize = 1;
    fn make(primal: f64, _: f64) -> f32 {
        primal as f32
    }
    fn parts(self) -> [f64; 2] {
        [f64::from(self), 0.0]
    }
}
impl Number for f64 {
    const PARTS: usize = 1;
    fn make(primal: f64, _: f64) -> f64 {
        primal
    }
    fn parts(self) -> [f64; 2] {
        [self, 0.0]
    }
}
impl Number for Dual<f64> {
    const PARTS: usize = 2;
    fn make(primal: f64, tangent: f64) -> Self {
        Dual::new(primal, [tangent])
    }
    fn parts(self) -> [f64; 2] {
        [self.primal(), self.tangents()[0]]
    }
}

pub(super) type OnTape<F> = for<'t> fn(&[Dyn<'t, F>]) -> Vec<Output<'t, F>>;

type ByDefinition = fn(&[ArrayD<f64>]) -> Vec<ArrayD<f64>>;

/// An operation, written once, on tapes of each number.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) single: OnTape<f32>,
    pub(super) double: OnTape<f64>,
    pub(super) dual: OnTape<Dual<f64>>,
    /// A plain implementation of its values.
    pub(super) value: Option<ByDefinition>,
}

/// The numbers that an operand is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(not(feature = "linalg"), allow(dead_code))] // its operations alone take matrices of a kind
pub(super) enum Sample {
    /// Numbers in an interval.
    Between(f64, f64),
    /// Numbers in an interval, those of all operands of this kind well apart from each other: for operations with a
    /// kink at equal elements.
    Apart(f64, f64),
    /// A square matrix far from singular, of both signs, or a batch of them.
    Regular,
    /// A square matrix of rank n - 1.
    Singular,
    /// A symmetric positive definite matrix.
    Positive,
}

impl Sample {
    /// True if the operand may hold equal elements, as a broadcast operand does.
    fn repeats(self) -> bool {
        matches!(self, Sample::Between(..))
    }
}

/// A check that a row may be exempt from, with a reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    /// One tensor, or one and its mirror image, for two operands.
    Aliased,
    /// A broadcast view for an operand.
    Repeated,
}

/// A row of the table.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The shapes of the operands in each case.
    pub(super) cases: &'static [&'static [&'static [usize]]],
    /// The elements of each operand; the last entry is for all further operands.
    pub(super) operands: &'static [Sample],
    /// The admitted error of a gradient against differences of values, relative to its largest element.
    pub(super) first: f64,
    /// The admitted error of a Hessian-vector product against differences of gradients.
    pub(super) second: f64,
    /// The admitted difference between `f32` and `f64`.
    pub(super) single: f64,
    /// The admitted rounding between layouts, and between `f64` and dual numbers.
    pub(super) rounding: f64,
    pub(super) not: &'static [(Way, &'static str)],
}

pub(super) const ROW: Row = Row {
    cases: &[],
    operands: &[Sample::Between(-2.0, 2.0)],
    first: 1e-9,
    second: 1e-8,
    single: 1e-5,
    rounding: 1e-13,
    not: &[],
};

impl Row {
    fn allows(&self, way: Way) -> bool {
        self.not.iter().all(|&(other, _)| other != way)
    }

    fn sample(&self, k: usize) -> Sample {
        self.operands[k.min(self.operands.len() - 1)]
    }
}

/// The relation of an operand to its source.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    /// The source itself.
    Own,
    /// The source repeated along an axis.
    Repeated(usize, usize),
    /// The source, each axis reversed.
    Mirrored,
}

/// Sources, with respect to which the operation is differentiated, and operands made of them.
#[derive(Clone, Debug)]
struct Scenario {
    operands: Vec<(usize, Relation)>,
    sources: Vec<ArrayD<f64>>,
}

/// Elements for operands of these shapes, each a number of `f32`.
fn sample(samples: &[Sample], shapes: &[Vec<usize>], rng: &mut StdRng) -> Vec<ArrayD<f64>> {
    let is_apart = |sample: &Sample| matches!(sample, Sample::Apart(..));
    let total: usize =
        samples.iter().zip(shapes).filter(|(s, _)| is_apart(s)).map(|(_, s)| s.iter().product::<usize>()).sum();
    let mut places: Vec<usize> = (0..total).collect();
    places.shuffle(rng);
    let mut place = places.into_iter();
    let arrays = samples.iter().zip(shapes).map(|(&sample, shape)| {
        let mut random = |shape: &[usize], low: f64, high: f64| {
            ArrayD::from_shape_simple_fn(shape, || low + (high - low) * rng.random::<f64>())
        };
        let x = match sample {
            Sample::Between(low, high) => random(shape, low, high),
            Sample::Apart(low, high) => ArrayD::from_shape_simple_fn(shape.as_slice(), || {
                low + (high - low) * (0.5 + place.next().expect("a place for each element") as f64) / total as f64
            }),
            Sample::Regular | Sample::Singular | Sample::Positive => {
                let n = shape[shape.len() - 1];
                let x = random(shape, -1.0, 1.0);
                let x = ArrayD::from_shape_fn(shape.as_slice(), |mut at| {
                    let axes = at.ndim();
                    let (i, j) = (at[axes - 2], at[axes - 1]);
                    match sample {
                        Sample::Positive => {
                            (at[axes - 2], at[axes - 1]) = (i.max(j), i.min(j));
                            x[at] + if i == j { n as f64 } else { 0.0 }
                        }
                        // The rows of the permutation, so that pivots are off the diagonal.
                        _ => x[at] + if j == (i + 1) % n { 1.0 + 0.5 * n as f64 } else { 0.0 },
                    }
                });
                x.mapv(|x| f64::from(x as f32))
            }
        };
        let mut x = x.mapv(|x| f64::from(x as f32));
        if sample == Sample::Singular && shape[shape.len() - 1] > 1 {
            // Twice the first row; exact in f32.
            let rows = Axis(shape.len() - 2);
            let twice = 2.0 * &x.index_axis(rows, 0);
            x.index_axis_mut(rows, shape[rows.index()] - 1).assign(&twice);
        } else if sample == Sample::Singular {
            x.fill(0.0);
        }
        x
    });
    arrays.collect()
}

impl Scenario {
    /// The plain operands; each operand broadcast along its first and its last axis; each pair of
    /// operands of one kind aliased.
    fn all(row: &Row, shapes: &[&[usize]], rng: &mut StdRng) -> Vec<Scenario> {
        let shapes: Vec<Vec<usize>> = shapes.iter().map(|shape| shape.to_vec()).collect();
        let samples: Vec<Sample> = (0..shapes.len()).map(|k| row.sample(k)).collect();
        let own: Vec<_> = (0..shapes.len()).map(|k| (k, Relation::Own)).collect();
        let mut all = vec![Scenario { operands: own.clone(), sources: sample(&samples, &shapes, rng) }];
        for k in 0..shapes.len() {
            let mut axes: Vec<usize> = (0..shapes[k].len()).filter(|&axis| shapes[k][axis] > 1).collect();
            if axes.len() > 2 {
                axes.drain(1..axes.len() - 1);
            }
            for axis in axes.into_iter().filter(|_| samples[k].repeats() && row.allows(Way::Repeated)) {
                let mut shapes = shapes.clone();
                let len = std::mem::replace(&mut shapes[k][axis], 1);
                let mut operands = own.clone();
                operands[k].1 = Relation::Repeated(axis, len);
                all.push(Scenario { operands, sources: sample(&samples, &shapes, rng) });
            }
        }
        for j in 1..shapes.len() {
            for i in (0..j).filter(|&i| shapes[i] == shapes[j] && samples[i] == samples[j] && row.allows(Way::Aliased))
            {
                for relation in [Relation::Own, Relation::Mirrored] {
                    let (mut samples, mut shapes) = (samples.clone(), shapes.clone());
                    samples.remove(j);
                    shapes.remove(j);
                    let mut operands = own.clone();
                    operands[j] = (i, relation);
                    operands[j + 1..].iter_mut().for_each(|(source, _)| *source -= 1);
                    all.push(Scenario { operands, sources: sample(&samples, &shapes, rng) });
                }
            }
        }
        all
    }

    fn tensors<'t, F: Scalar>(&self, sources: &[Dyn<'t, F>]) -> Vec<Dyn<'t, F>> {
        let operands = self.operands.iter().map(|&(source, relation)| {
            let x = sources[source];
            match relation {
                Relation::Own => x,
                Relation::Repeated(axis, len) => {
                    let mut shape = x.dim();
                    shape[axis] = len;
                    x.broadcast(shape)
                }
                Relation::Mirrored => (0..x.ndim()).fold(x, |x, axis| x.flip(Axis(axis))),
            }
        });
        operands.collect()
    }

    /// The operands as arrays.
    fn arrays(&self) -> Vec<ArrayD<f64>> {
        let operands = self.operands.iter().map(|&(source, relation)| {
            let mut x = self.sources[source].view();
            match relation {
                Relation::Own => {}
                Relation::Repeated(axis, len) => {
                    let mut shape = x.raw_dim();
                    shape[axis] = len;
                    return x.broadcast(shape).expect("the axis has length 1").to_owned();
                }
                Relation::Mirrored => (0..x.ndim()).for_each(|axis| x.invert_axis(Axis(axis))),
            }
            x.to_owned()
        });
        operands.collect()
    }
}

/// A number for each place without a pattern that an error could cancel, and exact in `f32`.
fn weight(group: usize, i: usize) -> f64 {
    f64::from((1.0 + 1.7 * i as f64 + 0.61 * group as f64).sin() as f32)
}

fn weights(group: usize, shape: &[usize]) -> ArrayD<f64> {
    let mut i = 0..;
    ArrayD::from_shape_simple_fn(shape, || weight(group, i.next().expect("no end")))
}

fn inner(a: &[ArrayD<f64>], b: &[ArrayD<f64>]) -> f64 {
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| a * b).sum()
}

/// The start of the backward sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sweep {
    /// No sweep.
    Values,
    /// From the results, with their weights as cotangents.
    Results,
    /// From one variable, the weighted sum of the results: a sweep in memory that the tape keeps.
    Loss,
    /// From the results, with zeros.
    Zeros,
    /// From the results of the operation done twice, and from the sources with cotangents of their own.
    Twice,
}

/// The results of an operation and their gradient, each array as primals and tangents.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    values: [Vec<ArrayD<f64>>; 2],
    /// With respect to each source; empty for a constant.
    gradient: [Vec<ArrayD<f64>>; 2],
}

/// The point at which an operation is evaluated.
struct Place<'a> {
    scenario: &'a Scenario,
    /// The sources and their tangents.
    point: &'a [ArrayD<f64>],
    tangents: &'a [ArrayD<f64>],
    layouts: &'a [Layout],
    /// A bit for each source.
    constants: usize,
}

impl Place<'_> {
    /// The operation where each element of each source is moved by a step.
    fn moved(&self, f: OnTape<f64>, by: &dyn Fn(usize, usize) -> f64, sweep: Sweep, case: &str) -> Found {
        let mut point = self.point.to_vec();
        for (k, x) in point.iter_mut().enumerate() {
            x.iter_mut().enumerate().for_each(|(i, x)| *x += by(k, i));
        }
        evaluate(&mut Tape::new(), f, &Place { point: &point, ..*self }, sweep, case)
    }
}

fn cotangents<F: Number>(group: usize, shape: &[usize]) -> ArrayD<F> {
    weights(group, shape).mapv(|w| F::make(w, 0.0))
}

fn seeds<'t, F: Number>(outputs: &[Output<'t, F>], sweep: Sweep) -> Vec<Seed<'t, F>> {
    let seeds = outputs.iter().enumerate().map(|(k, &output)| match output {
        Output::Var(y) => y.seed(F::make(if sweep == Sweep::Zeros { 0.0 } else { weight(k, 0) }, 0.0)),
        Output::Tensor(y) if sweep == Sweep::Zeros => y.seed(&ArrayD::zeros(y.shape())),
        Output::Tensor(y) => y.seed(&cotangents::<F>(k, y.shape())),
    });
    seeds.collect()
}

fn evaluate<F: Number>(tape: &mut Tape<F>, f: OnTape<F>, place: &Place<'_>, sweep: Sweep, case: &str) -> Found {
    tape.clear();
    let tape = &*tape;
    let is_constant = |k: usize| place.constants & (1 << k) != 0;
    let pairs = place.point.iter().zip(place.tangents);
    let sources = pairs.map(|(x, v)| ndarray::Zip::from(x).and(v).map_collect(|&x, &v| F::make(x, v)));
    let owners: Vec<ArrayD<F>> = sources.zip(place.layouts).map(|(x, layout)| layout.owner(&x)).collect();
    let arrays: Vec<ArrayViewD<'_, F>> =
        owners.iter().zip(place.layouts).map(|(owner, layout)| layout.array(owner)).collect();
    let leaves: Vec<_> = arrays
        .iter()
        .enumerate()
        .map(|(k, x)| if is_constant(k) { tape.constant(x) } else { tape.tensor(x) })
        .collect();
    let sources: Vec<_> = leaves.iter().zip(place.layouts).map(|(&leaf, layout)| layout.tensor(leaf)).collect();
    let operands = place.scenario.tensors(&sources);

    let outputs = f(&operands);
    let values = outputs.iter().map(|&output| match output {
        Output::Var(y) => ndarray::arr0(y.value()).into_dyn(),
        Output::Tensor(y) => y.value().to_owned(),
    });
    let values: Vec<ArrayD<F>> = values.collect();
    let gradient = match sweep {
        Sweep::Values => None,
        Sweep::Results | Sweep::Zeros => Some(tape.backward_with(seeds(&outputs, sweep))),
        Sweep::Twice => {
            let own = sources.iter().enumerate().map(|(k, x)| x.seed(&cotangents::<F>(100 + k, x.shape())));
            let again = f(&operands);
            Some(tape.backward_with(seeds(&outputs, sweep).into_iter().chain(own).chain(seeds(&again, sweep))))
        }
        Sweep::Loss => {
            let terms = outputs.iter().enumerate().map(|(k, &output)| match output {
                Output::Var(y) => y * F::make(weight(k, 0), 0.0),
                Output::Tensor(y) => (y * cotangents::<F>(k, y.shape())).sum(),
            });
            let loss: Var<'_, F> = terms.sum();
            if loss.is_constant() { Some(tape.backward_with([])) } else { Some(loss.backward()) }
        }
    };
    let all_constant = (0..leaves.len()).all(is_constant);
    for output in &outputs {
        let found = match output {
            Output::Var(y) => y.is_constant(),
            Output::Tensor(y) => y.is_constant(),
        };
        assert!(found || !all_constant, "{case}: the result of constants is none");
    }

    let gradient = leaves.iter().zip(&sources).zip(place.layouts).enumerate().map(|(k, ((&leaf, &source), layout))| {
        let Some(gradient) = gradient.as_ref().filter(|_| !is_constant(k)) else { return ArrayD::zeros(IxDyn(&[0])) };
        let found = layout.gradient(&gradient.wrt(leaf), case);
        let same = found.iter().zip(&gradient.wrt(source)).all(|(a, b)| a == b);
        assert!(same, "{case}: the gradients with respect to a tensor and to its view differ");
        found
    });
    let gradient: Vec<ArrayD<F>> = gradient.collect();
    let part = |arrays: &[ArrayD<F>], part: usize| arrays.iter().map(|x| x.mapv(|x| x.parts()[part])).collect();
    Found { values: array::from_fn(|i| part(&values, i)), gradient: array::from_fn(|i| part(&gradient, i)) }
}

/// Panics unless both are equal up to `tolerance`, relative to the largest element and 1.
#[track_caller]
fn assert_close(got: &[ArrayD<f64>], want: &[ArrayD<f64>], tolerance: f64, case: impl Fn() -> String) {
    let size = want.iter().flatten().fold(1.0_f64, |size, x| size.max(x.abs()));
    assert_eq!(got.len(), want.len(), "{}: as many arrays", case());
    for (k, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(got.shape(), want.shape(), "{}: the shape of array {k}", case());
        let close = got.iter().zip(want).all(|(got, want)| (got - want).abs() <= tolerance * size);
        assert!(close, "{}: array {k} is\n{got}\ninstead of\n{want}", case());
    }
}

/// The derivative at step 0 of `f(h)`, from central differences with two steps (Richardson).
fn difference(f: impl Fn(f64) -> Vec<ArrayD<f64>>) -> Vec<ArrayD<f64>> {
    const STEP: f64 = 1.0 / 1024.0;
    let central = |h: f64| -> Vec<ArrayD<f64>> { f(h).iter().zip(&f(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect() };
    let (coarse, fine) = (central(STEP), central(STEP / 2.0));
    fine.iter().zip(&coarse).map(|(fine, coarse)| (4.0 * fine - coarse) / 3.0).collect()
}

/// The layouts of each source to try: for the plain scenario all of them, the same for each source and one after the
/// other; for the other scenarios a few, which differ from scenario to scenario.
fn choices(sources: usize, scenario: usize) -> Vec<Vec<Layout>> {
    let n = LAYOUTS.len();
    let shifted = |first: usize, step: usize| (0..sources).map(|k| LAYOUTS[(first + k * step) % n]).collect();
    let alike = (0..n).filter(|_| scenario == 0 && sources > 1).map(|first| shifted(first, 0));
    let mixed =
        (0..n).filter(|&first| scenario == 0 || (first + scenario).is_multiple_of(3)).map(|first| shifted(first, 4));
    alike.chain(mixed).collect()
}

/// Runs a row of the table.
pub(super) fn check(name: &str, row: &Row, operation: &Operation) {
    for (way, reason) in row.not {
        println!("{name} is not tried {way:?}: {reason}");
    }
    let mut rng = StdRng::seed_from_u64(name.bytes().fold(7, |hash, byte| hash * 31 % 1_000_003 + u64::from(byte)));
    let (mut single, mut double, mut dual) = (Tape::new(), Tape::new(), Tape::new());
    for shapes in row.cases {
        for (i, scenario) in Scenario::all(row, shapes, &mut rng).iter().enumerate() {
            let case = format!("{name} {shapes:?} {:?}", scenario.operands);
            check_scenario(&case, row, operation, scenario, i, (&mut single, &mut double, &mut dual));
        }
    }
}

type Tapes<'a> = (&'a mut Tape<f32>, &'a mut Tape<f64>, &'a mut Tape<Dual<f64>>);

fn check_scenario(
    case: &str,
    row: &Row,
    &Operation { single, double, dual, value }: &Operation,
    scenario: &Scenario,
    index: usize,
    (single_tape, tape, dual_tape): Tapes<'_>,
) {
    let n = scenario.sources.len();
    let point: &[ArrayD<f64>] = &scenario.sources;
    let tangents: Vec<ArrayD<f64>> = point.iter().enumerate().map(|(k, x)| weights(50 + k, x.shape())).collect();
    let place = Place { scenario, point, tangents: &tangents, layouts: &vec![PLAIN; n], constants: 0 };
    let moved = |by: &dyn Fn(usize, usize) -> f64, sweep: Sweep| place.moved(double, by, sweep, case);

    // Values, against a plain implementation.
    let reference = evaluate(&mut Tape::new(), double, &place, Sweep::Results, case);
    let [values, _] = &reference.values;
    let [gradient, _] = &reference.gradient;
    if let Some(value) = value {
        assert_close(values, &value(&scenario.arrays()), row.rounding, || format!("{case}, values"));
    }

    // The gradient, against differences of the values.
    let cotangents: Vec<ArrayD<f64>> = values.iter().enumerate().map(|(k, y)| weights(k, y.shape())).collect();
    for (k, x) in point.iter().enumerate() {
        // One element at a time; in a larger source some at a time, each with a weight of its own.
        let groups = x.len().min(if index == 0 { 8 } else { 3 });
        let step = |group: usize, i: usize| {
            if i % groups == group { if groups < x.len() { weight(7, i) } else { 1.0 } } else { 0.0 }
        };
        let along = |group: usize| {
            let loss = |h: f64| {
                let by = |source: usize, i: usize| if source == k { h * step(group, i) } else { 0.0 };
                vec![ndarray::arr0(inner(&moved(&by, Sweep::Values).values[0], &cotangents)).into_dyn()]
            };
            difference(loss)[0].sum()
        };
        let differences: Array1<f64> = (0..groups).map(along).collect();
        let found = |group: usize| gradient[k].iter().enumerate().map(|(i, g)| g * step(group, i)).sum::<f64>();
        let found: Array1<f64> = (0..groups).map(found).collect();
        assert_close(&[found.into_dyn()], &[differences.into_dyn()], row.first, || {
            format!("{case}, gradient of source {k} (elements i modulo {groups}) and differences")
        });
    }

    // The Hessian-vector product and the adjoint identity.
    let directions: Vec<Vec<f64>> = tangents.iter().map(|v| v.iter().copied().collect()).collect();
    let by_differences = difference(|h| {
        let [gradient, _] = moved(&|source, j| h * directions[source][j], Sweep::Results).gradient;
        gradient
    });
    let curved = evaluate(dual_tape, dual, &place, Sweep::Results, case);
    let [_, hvp] = &curved.gradient;
    assert_close(hvp, &by_differences, row.second, || format!("{case}, Hessian-vector product and differences"));
    let (forward, backward) = (inner(&curved.values[1], &cotangents), inner(gradient, &tangents));
    let size = 1.0 + gradient.iter().flatten().map(|g| g.abs()).sum::<f64>();
    assert!((forward - backward).abs() <= row.rounding * size, "{case}: <Jv, w> = {forward}, <v, J'w> = {backward}");

    // Sweeps that differ in where they start.
    let zeros = evaluate(tape, double, &place, Sweep::Zeros, case);
    assert!(zeros.gradient[0].iter().flatten().all(|&g| g == 0.0), "{case}: cotangents of zero give {zeros:?}");
    let twice = evaluate(tape, double, &place, Sweep::Twice, case);
    let own = point.iter().enumerate().map(|(k, x)| weights(100 + k, x.shape()));
    let expected: Vec<ArrayD<f64>> = gradient.iter().zip(own).map(|(g, own)| 2.0 * g + own).collect();
    assert_close(&twice.gradient[0], &expected, row.rounding, || format!("{case}, twice"));

    // A tape that is used again gives the same bits.
    let again = evaluate(tape, double, &place, Sweep::Results, case);
    assert_eq!(again, reference, "{case}: on a tape that was cleared");

    // Constants among the sources.
    for constants in 1..1 << n {
        let place = Place { constants, ..place };
        let found = evaluate(tape, double, &place, if constants % 2 == 0 { Sweep::Loss } else { Sweep::Results }, case);
        assert_eq!(found.values, reference.values, "{case}: values of constants {constants:b}");
        for k in (0..n).filter(|&k| constants & (1 << k) == 0) {
            let (found, want) = (&found.gradient[0][k..=k], &gradient[k..=k]);
            assert_close(found, want, row.rounding, || format!("{case}, source {k} beside constants {constants:b}"));
        }
    }

    // Every layout on every tape.
    for layouts in choices(n, index) {
        let place = Place { layouts: &layouts, ..place };
        let label = |what: &str| format!("{case}, {what}, {layouts:?}");
        let found = evaluate(tape, double, &place, Sweep::Loss, case);
        assert_close(&found.values[0], values, row.rounding, || label("values"));
        assert_close(&found.gradient[0], gradient, row.rounding, || label("gradient"));

        let found = evaluate(dual_tape, dual, &place, Sweep::Loss, case);
        assert_close(&found.values[0], values, row.rounding, || label("primals of dual numbers"));
        assert_close(&found.values[1], &curved.values[1], row.rounding, || label("tangents"));
        assert_close(&found.gradient[0], gradient, row.rounding, || label("gradient of dual numbers"));
        assert_close(&found.gradient[1], hvp, row.rounding, || label("Hessian-vector product"));

        let found = evaluate(single_tape, single, &place, Sweep::Results, case);
        assert_close(&found.values[0], values, row.single, || label("values in f32"));
        assert_close(&found.gradient[0], gradient, row.single, || label("gradient in f32"));
    }
}
