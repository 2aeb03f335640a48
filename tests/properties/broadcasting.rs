//! Elementwise expressions on random shapes and layouts against the same expressions on variables.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice};
use proptest::prelude::*;
use wengert::{Tape, Tensor, Var};

use crate::cases::{agree, config};

use crate::support::linearity::{integers, weigh};

/// The memory layout of an operand.
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

/// An operand: the axes of the common shape that are stretched from length 1, and the number of leading axes that
/// are missing.
#[derive(Clone, Debug)]
struct Operand {
    stretched: Vec<bool>,
    missing: usize,
    form: Form,
    /// Makes the view on the tape, not of the array before it becomes a tensor.
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

    /// The operand as a view of its owner.
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

    /// The operand on a tape; `array` is the operand as a view of its owner.
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

/// The sum of all elements with weights 1, 2, 3, 1, 2, 3, ...
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

    /// A tensor expression has the value and the gradient of its scalar expression at every element, for every
    /// broadcast and memory layout.
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
        // ndarray broadcasts the indices of the variables.
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

    /// Operands that are views of one tensor, whose pullback adds to the same slots.
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
        let scale = gradient[v].abs() * z.len() as f64;
        prop_assert!(agree(gradient[v], by_scalars[v], scale), "{} {}", gradient[v], by_scalars[v]);
        prop_assert!(all_close(&gradient.wrt(x), &by_scalars.wrt(x)));
    }
}

/// Few and many rows, shorter and longer than a kernel lays out at once.
#[test]
fn broadcast_operands_of_every_length() {
    for (rows, n) in [1, 2, 3, 9, 40].into_iter().flat_map(|rows| [1, 2, 7, 10, 16, 64, 65, 150].map(|n| (rows, n))) {
        let a = integers((rows, n), 1);
        let w = integers((2, rows, n), 2);
        for b in [integers((1, n), 3), integers((rows, 1), 4), integers((1, 1), 5)] {
            let tape = Tape::new();
            let spread = b.broadcast((rows, n)).expect("rows and columns are repeated");
            let (x, y) = (tape.tensor(&a), tape.tensor(&b));
            // Both operands are repeated along the outermost axis.
            let outer = tape.tensor(&w);
            for (z, sign) in [(x * y - outer, -1.0), (outer - y * x, 1.0)] {
                assert_eq!(z.value(), (&a * &spread - &w) * -sign, "{rows} x {n}");
                let gradient = weigh(z, &w).backward();
                let dz = w.sum_axis(Axis(0)) * -sign;
                assert_eq!(gradient.wrt(x), &dz * &spread, "{rows} x {n}");
                let mut dy = &dz * &a;
                for axis in [0, 1].map(Axis).into_iter().filter(|axis| b.len_of(*axis) == 1) {
                    dy = dy.sum_axis(axis).insert_axis(axis);
                }
                assert_eq!(gradient.wrt(y), dy, "{rows} x {n}");
                assert_eq!(gradient.wrt(outer), &w * sign, "{rows} x {n}");
            }
        }
        // A number as operand, and a tensor as both operands.
        let (tape, w) = (Tape::new(), w.index_axis(Axis(0), 0).to_owned());
        let x = tape.tensor(&a);
        let gradient = weigh(3.0 - x * x * 2.0, &w).backward();
        assert_eq!(gradient.wrt(x), &a * &w * -4.0, "{rows} x {n}");
    }
}
