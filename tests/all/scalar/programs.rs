//! What must hold for every program: random programs over the whole table of rules, random shapes
//! and layouts of tensors.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice};
use proptest::prelude::*;
use wengert::rules::{BINARY, BinaryRow, UNARY, UnaryRow};
use wengert::{Dual, Gradient, Real, Tape, Tensor, Var, dot, fuse};

use crate::support::differences::{difference, noise};

const INPUTS: usize = 3;

/// No file of past failures: a found case becomes a test of its topic.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

// ---------------------------------------------------------------------------------------------
// Random programs

/// One step: a row of the table and which earlier values are its operands.
#[derive(Clone, Copy, Debug)]
struct Step {
    row: usize,
    operands: [usize; 2],
    /// Whether its value is made a node of its own, where handles have a say in that.
    retain: bool,
}

/// A straight-line program. Values may be used many times, or never.
type Program = Vec<Step>;

fn programs() -> impl Strategy<Value = Program> {
    let step = (0..UNARY.len() + BINARY.len(), any::<[usize; 2]>(), any::<bool>());
    let step = step.prop_map(|(row, operands, retain)| Step { row, operands, retain });
    prop::collection::vec(step, 1..16)
}

fn points() -> impl Strategy<Value = [f64; INPUTS]> {
    prop::array::uniform3(-2.0..2.0)
}

/// A number the rows of the table can be applied to.
trait Number: Real {
    fn unary(row: &UnaryRow, x: Self) -> Self;
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self;
    fn retained(self) -> Self {
        self
    }
}

impl Number for f64 {
    fn unary(row: &UnaryRow, x: Self) -> Self {
        (row.on_f64)(x)
    }
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self {
        (row.on_f64)(a, b)
    }
}

impl Number for Dual<f64> {
    fn unary(row: &UnaryRow, x: Self) -> Self {
        (row.on_dual)(x)
    }
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self {
        (row.on_dual)(a, b)
    }
}

impl Number for Var<'_> {
    fn unary(row: &UnaryRow, x: Self) -> Self {
        (row.on_var)(x)
    }
    fn binary(row: &BinaryRow, a: Self, b: Self) -> Self {
        (row.on_var)(a, b)
    }
    fn retained(self) -> Self {
        self.retain()
    }
}

/// Brings any value smoothly into the interval on which a row is smooth.
fn into_interval<R: Real>(x: R, (lo, hi): (f64, f64)) -> R {
    R::lit(lo) + R::lit(hi - lo) * (x / R::lit(4.0)).sigmoid()
}

/// The values of all steps.
fn run<R: Number>(program: &[Step], inputs: &[R], retain: bool) -> Vec<R> {
    let mut values = inputs.to_vec();
    for step in program {
        let [a, b] = step.operands.map(|i| values[i % values.len()]);
        let value = match step.row.checked_sub(UNARY.len()) {
            None => {
                let row = &UNARY[step.row];
                R::unary(row, into_interval(a, row.sample))
            }
            Some(row) => {
                let row = &BINARY[row];
                let (of_a, of_b) = row.sample;
                R::binary(row, into_interval(a, of_a), into_interval(b, of_b))
            }
        };
        values.push(if retain && step.retain { value.retained() } else { value });
    }
    values.split_off(inputs.len())
}

/// One number that depends on every step, so that no step goes untested.
fn combined<R: Real>(values: &[R]) -> R {
    let weighted = values.iter().enumerate().map(|(i, &v)| R::lit(1.0 / (i + 1) as f64) * v);
    weighted.sum()
}

fn gradient_on_tape(program: &[Step], at: &[f64], retain: bool) -> (f64, Vec<f64>) {
    let tape = Tape::new();
    gradient_on(&tape, program, at, retain)
}

fn gradient_on(tape: &Tape, program: &[Step], at: &[f64], retain: bool) -> (f64, Vec<f64>) {
    let x = tape.vars_from(at);
    let y = combined(&run(program, x, retain));
    if y.is_constant() {
        return (y.value(), vec![0.0; at.len()]);
    }
    (y.value(), y.backward().wrt(x))
}

/// Values and their derivatives along `direction`, by dual numbers.
fn tangents(program: &[Step], at: &[f64], direction: &[f64]) -> Vec<Dual<f64>> {
    let pairs = at.iter().zip(direction);
    let x: Vec<_> = pairs.map(|(&x, &d)| Dual::new(x, [d])).collect();
    run(program, &x, false)
}

fn unit(i: usize) -> [f64; INPUTS] {
    std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 })
}

/// Whether two computations of one number agree but for the order of its roundings.
fn agree(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-12 * (1.0 + a.abs() + scale)
}

fn size(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |m, x| m.max(x.abs()))
}

fn backward(y: Var<'_>) -> Option<Gradient<'_, f64>> {
    (!y.is_constant()).then(|| y.backward())
}

proptest! {
    #![proptest_config(config())]

    /// Reverse mode, forward mode and differences are three derivations of one number.
    #[test]
    fn tape_equals_duals_equals_differences(program in programs(), at in points()) {
        let (value, gradient) = gradient_on_tape(&program, &at, false);
        prop_assert_eq!(value, combined(&run(&program, &at, false)));
        for (i, &partial) in gradient.iter().enumerate() {
            let tangent = combined(&tangents(&program, &at, &unit(i)));
            prop_assert_eq!(tangent.primal(), value);
            let tangent = tangent.tangents()[0];
            prop_assert!(agree(partial, tangent, size(&gradient)), "tape {partial:e}, duals {tangent:e}");
            let along = |x: f64| {
                let mut at = at;
                at[i] = x;
                combined(&run(&program, &at, false))
            };
            let step = 0.05;
            let (slope, trust) = difference(along, at[i], step);
            let allowed = 8.0 * trust + (program.len() as f64) * noise(value, step);
            prop_assert!((partial - slope).abs() <= allowed, "tape {partial:e}, differences {slope:e} ± {allowed:e}");
        }
    }

    /// The sweep is linear in its seed: (αu + βv)' = αu' + βv'.
    #[test]
    fn the_sweep_is_linear(program in programs(), at in points(), alpha in -3.0..3.0_f64, beta in -3.0..3.0_f64) {
        let tape: Tape = Tape::new();
        let x = tape.vars_from(&at);
        let values = run(&program, x, false);
        let (u, v) = (x[0] + values[0], x[1] + values[values.len() - 1]);
        let (du, dv) = (u.backward().wrt(x), v.backward().wrt(x));
        let both = (u * alpha + v * beta).backward().wrt(x);
        for i in 0..INPUTS {
            let expected = alpha * du[i] + beta * dv[i];
            prop_assert!(agree(both[i], expected, size(&du) + size(&dv)), "{} {expected}", both[i]);
        }
    }

    /// ⟨Jv, w⟩ = ⟨v, Jᵀw⟩ for all steps' values as outputs.
    #[test]
    fn forward_and_reverse_are_adjoint(program in programs(), at in points(), v in points(), w in prop::array::uniform16(-1.0..1.0)) {
        let jv = tangents(&program, &at, &v);
        let left: f64 = jv.iter().zip(w).map(|(y, w)| y.tangents()[0] * w).sum();
        let tape = Tape::new();
        let x = tape.vars_from(&at);
        let y = run(&program, x, false);
        let constants: Vec<_> = w[..y.len()].iter().map(|&w| Var::constant(w)).collect();
        let transposed = backward(dot(&y, &constants)).map_or(vec![0.0; INPUTS], |g| g.wrt(x));
        let right: f64 = transposed.iter().zip(v).map(|(a, b)| a * b).sum();
        prop_assert!(agree(left, right, size(&transposed)), "{left:e} {right:e}");
    }

    /// A cleared tape is a new tape: the same bits, whatever stood there before.
    #[test]
    fn a_cleared_tape_gives_the_same_bits(program in programs(), other in programs(), at in points()) {
        let fresh = gradient_on_tape(&program, &at, true);
        let mut tape = Tape::new();
        for _ in 0..2 {
            gradient_on(&tape, &other, &at, false);
            tape.clear();
            let again = gradient_on(&tape, &program, &at, true);
            prop_assert_eq!(again.0.to_bits(), fresh.0.to_bits());
            prop_assert!(again.1.iter().zip(&fresh.1).all(|(a, b)| a.to_bits() == b.to_bits()));
            tape.clear();
        }
    }

    /// `retain` adds nodes and changes no derivative.
    #[test]
    fn retaining_changes_nothing(program in programs(), at in points()) {
        let (value, plain) = gradient_on_tape(&program, &at, false);
        let (same, retained) = gradient_on_tape(&program, &at, true);
        prop_assert_eq!(value, same);
        for (&a, &b) in plain.iter().zip(&retained) {
            prop_assert!(agree(a, b, size(&plain)), "{a:e} {b:e}");
        }
    }

    /// The adjoint of a retained intermediate is the derivative of the rest of the program by it.
    #[test]
    fn adjoints_of_intermediates(head in programs(), tail in programs(), at in points()) {
        let tape = Tape::new();
        let x = tape.vars_from(&at);
        let middle: Vec<_> = run(&head, x, true).into_iter().map(Var::retain).collect();
        let y = combined(&run(&tail, &middle, true));
        prop_assume!(!y.is_constant());
        let gradient = y.backward();
        let cut = Tape::new();
        let values: Vec<f64> = middle.iter().map(|m| m.value()).collect();
        let inputs = cut.vars_from(&values);
        let expected = backward(combined(&run(&tail, inputs, false)));
        for (i, &m) in middle.iter().enumerate().filter(|(_, m)| !m.is_constant()) {
            // A later intermediate may be computed from this one, so compare the last alone.
            if i + 1 == middle.len() {
                let expected = expected.as_ref().map_or(0.0, |g| g[inputs[i]]);
                prop_assert!(agree(gradient[m], expected, 0.0), "{} {expected}", gradient[m]);
            }
        }
    }

    /// A fused expression has the value and the derivatives of the plain one.
    #[test]
    fn fused_equals_plain(program in menus(), at in points()) {
        let tape = Tape::new();
        let [x, y, z] = tape.vars(at);
        let plain = from_menu(&program, [x, y, z.square()]);
        let before = tape.len();
        let fused = fuse([x, y, z.square()], |inputs| from_menu(&program, inputs));
        prop_assert!(tape.len() - before <= 2, "one node: a head and one cell");
        prop_assert_eq!(fused.value(), plain.value());
        let (fused, plain) = (fused.backward().wrt([x, y, z]), (plain + 0.0 * x).backward().wrt([x, y, z]));
        for (&a, &b) in fused.iter().zip(&plain) {
            prop_assert!(agree(a, b, size(&plain)), "{a:e} {b:e}");
        }
    }
}

/// A program over a few functions that are generic over every number.
fn menus() -> impl Strategy<Value = Vec<(u8, [usize; 2])>> {
    prop::collection::vec((0_u8..12, any::<[usize; 2]>()), 1..20)
}

fn from_menu<R: Real>(program: &[(u8, [usize; 2])], inputs: [R; INPUTS]) -> R {
    let mut values = inputs.to_vec();
    for &(choice, operands) in program {
        let [a, b] = operands.map(|i| into_interval(values[i % values.len()], (0.5, 2.0)));
        values.push(match choice {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            3 => a / b,
            4 => a.powf(b),
            5 => a.atan2(b),
            6 => a.sin() * b,
            7 => a.exp(),
            8 => a.ln(),
            9 => a.tanh(),
            10 => a.mul_add(b, a),
            _ => a - R::lit(0.3),
        });
    }
    combined(&values)
}

// ---------------------------------------------------------------------------------------------
// Tensors

/// How an operand stands in memory.
#[derive(Clone, Copy, Debug)]
enum Form {
    RowMajor,
    /// Axes reversed: column-major.
    Transposed,
    /// Every other element of a larger array.
    Sliced,
    /// The first axis runs backwards.
    Flipped,
}

/// One operand: for each axis of the common shape whether it is stretched from length 1, and how
/// many leading axes are missing.
#[derive(Clone, Debug)]
struct Operand {
    stretched: Vec<bool>,
    missing: usize,
    form: Form,
    /// Whether the tensor is viewed so, or the array before it becomes one.
    on_tape: bool,
    values: Vec<f64>,
}

fn operand(ndim: usize) -> impl Strategy<Value = Operand> {
    let form = prop::sample::select(vec![Form::RowMajor, Form::Transposed, Form::Sliced, Form::Flipped]);
    let stretched = prop::collection::vec(prop::bool::weighted(0.3), ndim);
    let values = prop::collection::vec(-2.0..2.0, 50);
    (stretched, 0..=ndim, form, any::<bool>(), values).prop_map(|(stretched, missing, form, on_tape, values)| Operand {
        stretched,
        missing,
        form,
        on_tape,
        values,
    })
}

impl Operand {
    fn shape(&self, common: &[usize]) -> Vec<usize> {
        let lengths = common.iter().zip(&self.stretched);
        let lengths = lengths.map(|(&len, &stretched)| if stretched { 1 } else { len });
        lengths.skip(self.missing).collect()
    }

    /// The array that owns the memory.
    fn owner(&self, common: &[usize]) -> ArrayD<f64> {
        let mut shape = self.shape(common);
        match self.form {
            Form::Transposed => shape.reverse(),
            Form::Sliced => shape.iter_mut().for_each(|len| *len = 2 * *len + 1),
            Form::RowMajor | Form::Flipped => {}
        }
        let mut values = self.values.iter().cycle();
        ArrayD::from_shape_simple_fn(IxDyn(&shape), || *values.next().expect("a cycle"))
    }

    /// The operand as ndarray sees it.
    fn array<'a>(&self, owner: &'a ArrayD<f64>) -> ArrayViewD<'a, f64> {
        let mut view = owner.view();
        match self.form {
            Form::Transposed => view = view.reversed_axes(),
            Form::Sliced => view.slice_each_axis_inplace(|_| Slice::new(1, None, 2)),
            Form::Flipped if view.ndim() > 0 => view.invert_axis(Axis(0)),
            Form::RowMajor | Form::Flipped => {}
        }
        view
    }

    /// The operand on a tape; `array` is its array form.
    fn tensor<'t>(&self, tape: &'t Tape, owner: &'t ArrayD<f64>, array: &'t ArrayViewD<'t, f64>) -> Dyn<'t> {
        if !self.on_tape {
            return tape.tensor(array);
        }
        let x = tape.tensor(owner);
        match self.form {
            Form::Transposed => x.t(),
            Form::Sliced => (0..x.ndim()).fold(x, |x, axis| x.slice_axis(Axis(axis), Slice::new(1, None, 2))),
            Form::Flipped if x.ndim() > 0 => x.flip(Axis(0)),
            Form::RowMajor | Form::Flipped => x,
        }
    }
}

fn shapes() -> impl Strategy<Value = (Vec<usize>, Operand, Operand)> {
    prop::collection::vec(prop_oneof![1 => Just(0_usize), 9 => 1..5_usize, 1 => 60..70_usize], 0..4).prop_flat_map(
        |shape| {
            let ndim = shape.len();
            (Just(shape), operand(ndim), operand(ndim))
        },
    )
}

type OnTensors = for<'t> fn(Dyn<'t>, Dyn<'t>) -> Dyn<'t>;
type OnVars = for<'t> fn(Var<'t>, Var<'t>) -> Var<'t>;
type Dyn<'t> = Tensor<'t, f64, IxDyn>;

macro_rules! on_both {
    ($($method:expr),+ $(,)?) => { [$( ($method as OnTensors, $method as OnVars) ),+] };
}

/// Elementwise expressions, written once for tensors and once for variables.
fn expressions() -> Vec<(OnTensors, OnVars)> {
    let mut list = on_both![
        |a, b| a + b,
        |a, b| a - b,
        |a, b| a * b,
        |a, b| a / (b.square() + 1.0),
        |a, b| a.square() % (b.square() + 5.0),
        |a, b| (a.square() + 0.1).powf(b),
        |a, b| a.atan2(b),
        |a, b| a.hypot(b) * a,
        |a, b| (2.0 * a - 1.0).sigmoid() / (1.0 + b.exp()),
        |a, b| a * a + b.tanh() * a - b * b,
        |a, b| a.xlogy(b.square() + 0.5).sin(),
        |a, b| a.copysign(b) - -b,
    ]
    .to_vec();
    list.push((|a, b| a.maximum(b), |a, b| a.max(b)));
    list.push((|a, b| a.minimum(b), |a, b| a.min(b)));
    list
}

/// Σ of all elements with weights 1, 2, 3, 1, 2, 3, ...
fn weighted<'t>(elements: impl Iterator<Item = Var<'t>>) -> Var<'t> {
    let weights = [1.0, 2.0, 3.0].into_iter().cycle();
    elements.zip(weights).map(|(y, w)| y * w).sum()
}

fn elements(x: Dyn<'_>) -> Vec<Var<'_>> {
    let indices = ndarray::indices(x.dim()).into_iter();
    indices.map(|index| x.at(index)).collect()
}

fn all_close<'a>(a: impl IntoIterator<Item = &'a f64>, b: impl IntoIterator<Item = &'a f64>) -> bool {
    a.into_iter().zip(b).all(|(&a, &b)| agree(a, b, 0.0))
}

proptest! {
    #![proptest_config(config())]

    /// A tensor expression is its scalar expression at every element, value and gradient, for
    /// every broadcast and memory layout.
    #[test]
    fn tensors_equal_their_elements(choice in any::<usize>(), (shape, a, b) in shapes()) {
        let list = expressions();
        let (on_tensors, on_vars) = list[choice % list.len()];
        let (a_owner, b_owner) = (a.owner(&shape), b.owner(&shape));
        let (a_view, b_view) = (a.array(&a_owner), b.array(&b_owner));

        let tape = Tape::new();
        let (x, y) = (a.tensor(&tape, &a_owner, &a_view), b.tensor(&tape, &b_owner, &b_view));
        let z = on_tensors(x, y);

        let scalar_tape = Tape::new();
        let (a_values, b_values): (Vec<f64>, Vec<f64>) = (a_view.iter().copied().collect(), b_view.iter().copied().collect());
        let (a_vars, b_vars) = (scalar_tape.vars_from(&a_values), scalar_tape.vars_from(&b_values));
        // ndarray broadcasts the handles themselves.
        let a_array = ArrayD::from_shape_vec(a_view.raw_dim(), (0..a_vars.len()).collect()).expect("as many");
        let b_array = ArrayD::from_shape_vec(b_view.raw_dim(), (0..b_vars.len()).collect()).expect("as many");
        let (a_wide, b_wide) = (
            a_array.broadcast(z.dim()).expect("the result's shape is common"),
            b_array.broadcast(z.dim()).expect("the result's shape is common"),
        );
        let scalars: Vec<_> = a_wide.iter().zip(&b_wide).map(|(&i, &j)| on_vars(a_vars[i], b_vars[j])).collect();

        let expected: Vec<f64> = scalars.iter().map(|s| s.value()).collect();
        prop_assert!(all_close(z.value(), &expected), "{} {expected:?}", z.value());
        if z.is_empty() {
            return Ok(());
        }
        let gradient = weighted(elements(z).into_iter()).backward();
        let by_scalars = weighted(scalars.into_iter()).backward();
        let (dx, dy) = (gradient.wrt(x), gradient.wrt(y));
        prop_assert_eq!(dx.shape(), a_view.shape());
        let (da, db) = (by_scalars.wrt(a_vars), by_scalars.wrt(b_vars));
        prop_assert!(all_close(&dx, &da), "{dx} {da:?}");
        prop_assert!(all_close(&dy, &db), "{dy} {db:?}");
    }

    /// Both operands views of one tensor: the pullbacks write to the same slots.
    #[test]
    fn an_operand_twice(choice in any::<usize>(), (shape, a, _) in shapes()) {
        let list = expressions();
        let (on_tensors, on_vars) = list[choice % list.len()];
        let owner = a.owner(&shape);
        let view = a.array(&owner);
        prop_assume!(!view.is_empty());
        let tape = Tape::new();
        let x = a.tensor(&tape, &owner, &view);
        let mut others = vec![x];
        others.extend((0..x.ndim()).map(|axis| x.flip(Axis(axis))));
        others.extend((x.t().shape() == x.shape()).then(|| x.t()));
        for y in others {
            let gradient = weighted(elements(on_tensors(x, y)).into_iter()).backward().wrt(x);
            let pairs = elements(x).into_iter().zip(elements(y));
            let by_scalars = weighted(pairs.map(|(u, v)| on_vars(u, v))).backward().wrt(x);
            prop_assert!(all_close(&gradient, &by_scalars), "{gradient} {by_scalars}");
        }
    }

    /// A variable and a number beside a tensor, on either side.
    #[test]
    fn tensors_with_variables_and_numbers((shape, a, _) in shapes(), v in 0.5..2.0, c in -2.0..2.0) {
        let owner = a.owner(&shape);
        let view = a.array(&owner);
        prop_assume!(!view.is_empty());
        let tape = Tape::new();
        let (x, v) = (a.tensor(&tape, &owner, &view), tape.var(v));
        let w = v.sin() + 1.5; // no node
        let z = (w * x - c) / w + (c - x) * v + 1.0 / (x * x + w) + x.maximum(v) + x.powf(2.0) + w / (x * x + c * c + 1.0);
        let scalars = elements(x).into_iter().map(|x| {
            (w * x - c) / w + (c - x) * v + 1.0 / (x * x + w) + x.max(v) + x.powf(2.0) + w / (x * x + c * c + 1.0)
        });
        let by_scalars = weighted(scalars).backward();
        let gradient = weighted(elements(z).into_iter()).backward();
        let scale = size(&[gradient[v]]) * z.len() as f64;
        prop_assert!(agree(gradient[v], by_scalars[v], scale), "{} {}", gradient[v], by_scalars[v]);
        prop_assert!(all_close(&gradient.wrt(x), &by_scalars.wrt(x)));
    }
}
