//! Views and copying operations of tensors.
//!
//! The oracle of a value is ndarray on the same data. The oracle of a gradient is linearity: these
//! operations only move elements, so with integers (J'w)ᵢ = ⟨g(x + eᵢ) - g(x), w⟩ holds exactly,
//! where g is ndarray's version of the operation.

// The tensor's and ndarray's version of an operation stand side by side as closures.
#![allow(clippy::redundant_closure_for_method_calls)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use ndarray::{
    Array, Array1, Array2, Array3, ArrayD, ArrayView, Axis, Dimension, Ix2, Ix3, IxDyn, NewAxis, Slice, array,
    concatenate, s, stack,
};
use wengert::{Dual, Tape, Tensor, Var};

type Matrix<'t> = Tensor<'t, f64, Ix2>;

/// Small integers, different enough to tell places apart (multiplicative congruential, Park and
/// Miller 1988, with the multiplier of their 1993 reply).
fn integers<Sh: ndarray::ShapeBuilder>(shape: Sh, seed: u64) -> Array<f64, Sh::Dim> {
    let mut state = seed + 1;
    Array::from_shape_simple_fn(shape, || {
        state = state * 48_271 % 2_147_483_647;
        (state % 41) as f64 - 20.0
    })
}

/// Σ yᵢwᵢ.
fn weigh<'t, D: Dimension>(y: Tensor<'t, f64, D>, w: &Array<f64, D>) -> Var<'t> {
    y.iter().zip(w).map(|(y, &w)| y * w).sum()
}

/// Checks values and gradient of an operation against ndarray's version of it, for the operand that
/// `view` makes of an input. Returns how many slots the operation recorded.
#[track_caller]
fn check_on<D: Dimension, E: Dimension, G: Dimension>(
    input: &Array<f64, D>,
    view: impl for<'t> Fn(Tensor<'t, f64, D>) -> Tensor<'t, f64, E>,
    operation: impl for<'t> Fn(Tensor<'t, f64, E>) -> Tensor<'t, f64, G>,
    reference: impl Fn(&Array<f64, D>) -> Array<f64, G>,
) -> usize {
    let expected = reference(input);
    let tape = Tape::new();
    let x = tape.tensor(input);
    let operand = view(x);
    let before = tape.len();
    let y = operation(operand);
    let recorded = tape.len() - before;
    assert_eq!(y.value(), expected);

    if !y.is_empty() {
        let w = integers(expected.raw_dim(), 7);
        let gradient = weigh(y, &w).backward().wrt(x);
        for (i, &partial) in gradient.iter().enumerate() {
            let mut moved = input.clone();
            *moved.iter_mut().nth(i).unwrap() += 1.0;
            let change = ((reference(&moved) - &expected) * &w).sum();
            assert_eq!(partial, change, "element {i} of {gradient}");
        }
    }

    let tape = Tape::new();
    let constant = operation(view(tape.constant(input)));
    assert_eq!(constant.value(), expected);
    assert!(constant.is_constant() && tape.is_empty());
    recorded
}

#[track_caller]
fn check<D: Dimension, G: Dimension>(
    input: &Array<f64, D>,
    operation: impl for<'t> Fn(Tensor<'t, f64, D>) -> Tensor<'t, f64, G>,
    reference: impl Fn(&Array<f64, D>) -> Array<f64, G>,
) -> usize {
    check_on(input, |x| x, operation, reference)
}

/// A way to come to a matrix of shape (3, 4).
struct Origin {
    input: Array2<f64>,
    tensor: for<'t> fn(Matrix<'t>) -> Matrix<'t>,
    array: for<'a> fn(ArrayView<'a, f64, Ix2>) -> Array2<f64>,
}

/// Every kind of operand: an input, its transpose, strided and reversed slices, a repeated row and
/// column, the result of an operation, views of views of one.
fn origins() -> [Origin; 8] {
    fn origin(
        shape: (usize, usize),
        tensor: for<'t> fn(Matrix<'t>) -> Matrix<'t>,
        array: for<'a> fn(ArrayView<'a, f64, Ix2>) -> Array2<f64>,
    ) -> Origin {
        Origin { input: integers(shape, 3), tensor, array }
    }
    [
        origin((3, 4), |x| x, |a| a.to_owned()),
        origin((4, 3), |x| x.t(), |a| a.t().to_owned()),
        origin((3, 9), |x| x.slice(s![..;-1, 1..;2]), |a| a.slice(s![..;-1, 1..;2]).to_owned()),
        origin((8, 3), |x| x.slice(s![..;-2, ..]).t(), |a| a.slice(s![..;-2, ..]).t().to_owned()),
        origin((2, 4), |x| x.row(1).broadcast((3, 4)), |a| a.row(1).broadcast((3, 4)).unwrap().to_owned()),
        origin(
            (3, 2),
            |x| x.column(1).insert_axis(Axis(1)).broadcast((3, 4)),
            |a| a.slice(s![.., 1..]).broadcast((3, 4)).unwrap().to_owned(),
        ),
        origin((3, 4), |x| x + x, |a| &a * 2.0),
        origin(
            (5, 6),
            |x| (x * 3.0).slice(s![1..4, 1..5]).flip(Axis(0)),
            |a| a.slice(s![1..4;-1, 1..5]).to_owned() * 3.0,
        ),
    ]
}

/// [`check_on`] with every origin; what the operation recorded is the same for all.
#[track_caller]
fn check_all<G: Dimension>(
    operation: impl for<'t> Fn(Matrix<'t>) -> Tensor<'t, f64, G>,
    reference: impl Fn(ArrayView<'_, f64, Ix2>) -> Array<f64, G>,
) -> usize {
    let recorded = origins().map(|origin| {
        check_on(&origin.input, origin.tensor, &operation, |input| reference((origin.array)(input.view()).view()))
    });
    assert!(recorded.iter().all(|&n| n == recorded[0]), "{recorded:?}");
    recorded[0]
}

/// [`check_all`] for a view, which records nothing.
#[track_caller]
fn check_view<G: Dimension>(
    operation: impl for<'t> Fn(Matrix<'t>) -> Tensor<'t, f64, G>,
    reference: impl Fn(ArrayView<'_, f64, Ix2>) -> Array<f64, G>,
) {
    assert_eq!(check_all(operation, reference), 0);
}

#[test]
fn views_equal_those_of_ndarray_and_record_nothing() {
    check_view(|x| x.t(), |a| a.t().to_owned());
    check_view(|x| x.permuted_axes([1, 0]), |a| a.permuted_axes([1, 0]).to_owned());
    check_view(|x| x.swap_axes(0, 1), |a| a.t().to_owned());
    check_view(|x| x.insert_axis(Axis(1)), |a| a.insert_axis(Axis(1)).to_owned());
    check_view(|x| x.insert_axis(Axis(2)).remove_axis(Axis(2)), |a| a.to_owned());
    check_view(|x| x.broadcast((2, 3, 4)), |a| a.broadcast((2, 3, 4)).unwrap().to_owned());
    check_view(|x| x.flip(Axis(1)), |a| a.slice(s![.., ..;-1]).to_owned());
    check_view(|x| x.index_axis(Axis(1), 2), |a| a.index_axis(Axis(1), 2).to_owned());
    check_view(|x| x.row(2), |a| a.row(2).to_owned());
    check_view(|x| x.column(3), |a| a.column(3).to_owned());
    check_view(|x| x.into_dyn(), |a| a.to_owned().into_dyn());
    check_view(|x| x.into_dyn().into_dimensionality::<Ix2>().unwrap(), |a| a.to_owned());
    check_view(
        |x| x.slice_axis(Axis(1), Slice::new(-3, None, -2)),
        |a| a.slice_axis(Axis(1), Slice::new(-3, None, -2)).to_owned(),
    );
}

#[test]
fn slices_take_what_ndarrays_take() {
    macro_rules! same {
        ($($slice:expr),+ $(,)?) => { $( check_view(|x| x.slice($slice), |a| a.slice($slice).to_owned()); )+ };
    }
    same![
        s![.., ..],
        s![1.., ..3],
        s![-2.., ..-1],
        s![..;2, ..;3],
        s![..;-1, ..;-3],
        s![1, ..],
        s![-1, -2],
        s![NewAxis, .., 1, NewAxis],
        s![1..1, ..],
        s![3.., 4..;-1],
        s![..0;-1, ..],
        s![2..3, 1..2],
    ];
    check_view(|x| x.into_dyn().slice(s![1, ..;-1]), |a| a.slice(s![1, ..;-1]).to_owned());
    let at_run_time = vec![ndarray::SliceInfoElem::from(1), (2..).into()];
    check_view(
        |x| x.into_dyn().slice(at_run_time.as_slice()),
        |a| a.into_dyn().slice(at_run_time.as_slice()).to_owned(),
    );
}

#[test]
fn parts_of_an_axis() {
    check_view(|x| x.split_at(Axis(1), 1).0, |a| a.slice(s![.., ..1]).to_owned());
    check_view(|x| x.split_at(Axis(1), 1).1, |a| a.slice(s![.., 1..]).to_owned());
    check_view(|x| x.split_at(Axis(0), 3).1, |a| a.slice(s![3.., ..]).to_owned());
    check_view(
        |x| {
            let [_, middle, _] = x.split(Axis(0));
            middle
        },
        |a| a.slice(s![1..2, ..]).to_owned(),
    );
    check_view(|x| x.axis_chunks_iter(Axis(1), 3).last().unwrap(), |a| a.slice(s![.., 3..]).to_owned());
    check_view(|x| x.axis_iter(Axis(1)).nth(2).unwrap(), |a| a.column(2).to_owned());
    check_view(|x| x.outer_iter().next_back().unwrap(), |a| a.row(2).to_owned());

    let (tape, data) = (Tape::new(), integers((3, 4), 1));
    let x = tape.tensor(&data);
    assert_eq!(x.outer_iter().len(), 3);
    let sizes: Vec<_> = x.axis_chunks_iter(Axis(1), 3).map(|part| part.shape().to_vec()).collect();
    assert_eq!(sizes, [[3, 3], [3, 1]]);
    assert_eq!(x.slice(s![.., ..0]).axis_chunks_iter(Axis(1), 3).len(), 0);
    assert_eq!(tape.len(), 12);
}

#[test]
fn reshape_is_a_view_of_row_major_data_and_a_copy_of_other() {
    let reference = |a: ArrayView<'_, f64, Ix2>| a.to_shape((2, 6)).unwrap().to_owned();
    for (i, origin) in origins().iter().enumerate() {
        let recorded = check_on(
            &origin.input,
            origin.tensor,
            |x| x.reshape((2, 6)),
            |input| reference((origin.array)(input.view()).view()),
        );
        let is_view = i == 0 || i == 6;
        assert_eq!(recorded, if is_view { 0 } else { 12 });
    }
    let a = integers((2, 3, 4), 1);
    let flat = |a: &Array3<f64>| Array1::from_iter(a.iter().copied());
    assert_eq!(check(&a, |x| x.flatten(), flat), 0);
    assert_eq!(check(&a, |x| x.reshape(IxDyn(&[24])), |a| flat(a).into_dyn()), 0);
    assert_eq!(
        check(
            &a,
            |x| x.permuted_axes([2, 0, 1]).reshape((4, 6)),
            |a| a.view().permuted_axes([2, 0, 1]).to_shape((4, 6)).unwrap().to_owned(),
        ),
        24
    );
    // Rows that follow each other are row-major, wherever they begin.
    assert_eq!(
        check(
            &a,
            |x| x.slice(s![1.., .., ..]).reshape(12),
            |a| Array1::from_iter(a.slice(s![1.., .., ..]).iter().copied()),
        ),
        0
    );
    assert_eq!(check(&array![[5.0]], |x| x.reshape(()).reshape((1, 1, 1)), |a| a.clone().insert_axis(Axis(0)),), 0);
}

#[test]
fn standard_layout_copies_only_what_is_not() {
    let (tape, data) = (Tape::new(), integers((3, 4), 1));
    let x = tape.tensor(&data);
    assert_eq!(x.as_standard_layout().value().as_ptr(), data.as_ptr());
    assert!(tape.len() == 12 && x.t().as_standard_layout().value().is_standard_layout());
    assert_eq!(tape.len(), 24);
}

#[test]
fn select_takes_parts_in_any_order() {
    for indices in [&[1, 0, 2, 1, 1][..], &[2], &[]] {
        let recorded = check_all(|x| x.select(Axis(0), indices), |a| a.select(Axis(0), indices));
        assert_eq!(recorded, 4 * indices.len());
        check_all(|x| x.select(Axis(1), indices), |a| a.select(Axis(1), indices));
    }
    check_all(
        |x| x.select(Axis(1), &[3, 3]).select(Axis(0), &[0, 0, 2]),
        |a| a.select(Axis(1), &[3, 3]).select(Axis(0), &[0, 0, 2]),
    );
    check(
        &integers((2, 3, 4), 5),
        |x| x.slice(s![.., ..;-1, ..]).select(Axis(1), &[2, 0, 2, 1]),
        |a| a.slice(s![.., ..;-1, ..]).select(Axis(1), &[2, 0, 2, 1]),
    );
    check(&integers(4, 5), |x| x.select(Axis(0), &[3, 1, 3]), |a| a.select(Axis(0), &[3, 1, 3]));
}

#[test]
fn repeated_indices_add_up() {
    let (tape, data) = (Tape::new(), array![1.0, 2.0, 3.0]);
    let x = tape.tensor(&data);
    let y = {
        // The indices need not live as long as the handle.
        let indices = vec![2, 0, 2, 2];
        x.select(Axis(0), &indices)
    };
    let w = array![1.0, 10.0, 100.0, 1000.0];
    assert_eq!(weigh(y, &w).backward().wrt(x), array![10.0, 0.0, 1101.0]);
    let y = {
        let indices = array![1, 1, 0, 1];
        x.gather(Axis(0), &indices)
    };
    assert_eq!(weigh(y, &w).backward().wrt(x), array![100.0, 1011.0, 0.0]);
}

/// numpy's `take_along_axis`, by its definition.
fn take_along<D: Dimension>(a: ArrayView<'_, f64, D>, axis: Axis, indices: &Array<usize, D>) -> Array<f64, D> {
    let mut out = Array::zeros(indices.raw_dim());
    for ((mut out, indices), a) in out.lanes_mut(axis).into_iter().zip(indices.lanes(axis)).zip(a.lanes(axis)) {
        for (out, &i) in out.iter_mut().zip(indices) {
            *out = a[i];
        }
    }
    out
}

#[test]
fn gather_takes_along_an_axis() {
    let down = array![[2, 0, 1, 1], [2, 2, 0, 1]];
    assert_eq!(check_all(|x| x.gather(Axis(0), &down), |a| take_along(a, Axis(0), &down),), 8);
    let across = array![[3, 3, 0, 1, 2], [0, 1, 0, 1, 0], [2, 2, 2, 2, 2]];
    check_all(|x| x.gather(Axis(1), &across), |a| take_along(a, Axis(1), &across));
    // Indices of any layout.
    let standing = across.t().to_owned();
    check_all(|x| x.gather(Axis(1), &standing.t()), |a| take_along(a, Axis(1), &across));
    let indices = Array3::from_shape_fn((2, 5, 3), |(i, j, k)| (i + 2 * j + 3 * k) % 4);
    check(
        &integers((3, 4, 2), 1),
        |x| x.permuted_axes([2, 1, 0]).gather(Axis(1), &indices),
        |a| take_along(a.view().permuted_axes([2, 1, 0]), Axis(1), &indices),
    );
    let none = Array2::<usize>::zeros((3, 0));
    assert_eq!(check_all(|x| x.gather(Axis(1), &none), |_| Array2::zeros((3, 0))), 0);
}

#[test]
fn pad_surrounds_with_a_value() {
    let reference = |a: ArrayView<'_, f64, Ix2>| {
        let mut out = Array2::from_elem((6, 5), 7.0);
        out.slice_mut(s![1..4, ..4]).assign(&a);
        out
    };
    assert_eq!(check_all(|x| x.pad(&[(1, 2), (0, 1)], 7.0), reference), 30);
    check_all(|x| x.pad(&[(0, 0), (0, 0)], 7.0), |a| a.to_owned());
    check(&Array2::zeros((0, 2)), |x| x.pad(&[(1, 1), (0, 0)], 4.0), |_| Array2::from_elem((2, 2), 4.0));
    check(&ndarray::arr0(3.0), |x| x.pad(&[], 1.0), Clone::clone);
}

#[test]
fn concatenate_joins_along_an_axis() {
    let recorded = check_all(
        |x| x.tape().concatenate(Axis(0), &[x, x.slice(s![..2;-1, ..])]),
        |a| concatenate![Axis(0), a, a.slice(s![..2;-1, ..])],
    );
    assert_eq!(recorded, 20);
    check_all(|x| x.tape().concatenate(Axis(1), &[x, x.slice(s![.., ..0]), x]), |a| concatenate![Axis(1), a, a]);
    check(
        &integers((2, 3, 2), 4),
        |x| x.tape().concatenate(Axis(1), &[x.flip(Axis(0)), x]),
        |a| concatenate![Axis(1), a.slice(s![..;-1, .., ..]), *a],
    );
    check(&integers(3, 4), |x| x.tape().concatenate(Axis(0), &[x]), Clone::clone);
}

#[test]
fn stack_joins_along_a_new_axis() {
    for axis in [0, 1, 2].map(Axis) {
        let recorded = check_all(
            |x| x.tape().stack(axis, &[x, x.flip(Axis(1)), x]),
            |a| stack![axis, a, a.slice(s![.., ..;-1]), a],
        );
        assert_eq!(recorded, 36);
    }
    check(
        &integers(3, 4),
        |x| {
            let parts: Vec<_> = x.outer_iter().rev().collect();
            x.tape().stack(Axis(0), &parts)
        },
        |a| a.slice(s![..;-1]).to_owned(),
    );
}

#[test]
fn concatenated_constants_get_nothing_and_operands_their_part() {
    let tape = Tape::new();
    let (a, b) = (array![1.0, 2.0], array![3.0, 4.0]);
    let (x, c) = (tape.tensor(&a), tape.constant(&b));
    let z = tape.concatenate(Axis(0), &[c, x, x.slice(s![1..])]);
    assert_eq!(z.value(), array![3.0, 4.0, 1.0, 2.0, 2.0]);
    let w = array![1.0, 10.0, 100.0, 1000.0, 10000.0];
    assert_eq!(weigh(z, &w).backward().wrt(x), array![100.0, 11000.0]);
    // Each result is a node of its own.
    assert_eq!(weigh(z, &w).backward().wrt(z), w);
}

#[test]
fn keep_where_takes_one_branch() {
    let mask = array![[true, false, false, true], [false, false, true, true], [true, true, true, false]];
    let choose = |a: &ArrayView<'_, f64, Ix2>, b: Array2<f64>| {
        Array2::from_shape_fn((3, 4), |i| if mask[i] { a[i] } else { b[i] })
    };
    assert_eq!(
        check_all(|x| x.keep_where(&mask, x.flip(Axis(1))), |a| choose(&a, a.slice(s![.., ..;-1]).to_owned()),),
        12
    );
    check_all(|x| x.keep_where(&mask, -1.5), |a| choose(&a, Array2::from_elem((3, 4), -1.5)));
    check_all(|x| x.keep_where(&mask, x.at([0, 1])), |a| choose(&a, Array2::from_elem((3, 4), a[[0, 1]])));
    check_all(
        |x| x.keep_where(&mask, x.column(0).insert_axis(Axis(1))),
        |a| choose(&a, a.slice(s![.., ..1]).broadcast((3, 4)).unwrap().to_owned()),
    );
    check_all(|x| x.row(0).keep_where(&mask, x), |a| choose(&a.row(0).broadcast((3, 4)).unwrap(), a.to_owned()));
    // The mask broadcasts, and the operands to it; its layout is any.
    let slices = array![[[true]], [[false]]];
    check_all(|x| x.keep_where(&slices, 0.0), |a| stack![Axis(0), a, Array2::zeros((3, 4))]);
    let reversed = mask.slice(s![..;-1, ..;-1]);
    let turned = reversed.to_owned();
    check_all(
        |x| x.keep_where(&reversed, 0.0),
        |a| Array2::from_shape_fn((3, 4), |i| if turned[i] { a[i] } else { 0.0 }),
    );
}

#[test]
fn a_branch_not_taken_does_no_harm() {
    let (tape, data) = (Tape::new(), array![-1.0, 0.0, 4.0]);
    let x = tape.tensor(&data);
    let positive = data.mapv(|x| x > 0.0);
    // Nor does a branch that is constant.
    let spare = array![8.0, 9.0, 10.0];
    let y = x.keep_where(&positive, &spare);
    assert_eq!(y.value(), array![8.0, 9.0, 4.0]);
    assert_eq!(weigh(y, &array![1.0, 10.0, 100.0]).backward().wrt(x), array![0.0, 0.0, 100.0]);
    // √x and ln x have the partials NaN and ∞ where they are not taken.
    let y = x.sqrt().keep_where(&positive, 0.0);
    assert_eq!(weigh(y, &Array1::ones(3)).backward().wrt(x), array![0.0, 0.0, 0.25]);
    let y = (x * 3.0).keep_where(&positive.mapv(|keep| !keep), x.ln());
    assert_eq!(weigh(y, &Array1::ones(3)).backward().wrt(x), array![3.0, 3.0, 0.25]);
}

#[test]
fn tensors_to_scalars_and_back() {
    for Origin { input, tensor, array } in origins() {
        let recorded = check_on(
            &input,
            tensor,
            |x| x.tape().stack_vars(&x.to_vars()),
            |input| Array1::from_iter(array(input.view())),
        );
        assert_eq!(recorded, 12);
    }
    let (tape, data) = (Tape::new(), array![[1.0, 2.0], [3.0, 4.0]]);
    let x = tape.tensor(&data);
    assert_eq!(x.iter().len(), 4);
    let product = x.t().iter().fold(Var::constant(0.0), |horner, v| horner * 10.0 + v);
    assert_eq!(product.value(), 1324.0);
    assert_eq!(product.backward().wrt(x), array![[1000.0, 10.0], [100.0, 1.0]]);
}

#[test]
fn stacked_scalars_carry_their_pending_weights() {
    let tape = Tape::new();
    let [x, y] = tape.vars([2.0, 0.0]);
    // A product, two functions of one scalar, a constant, a scalar twice, and an infinite partial.
    let vars = [x * y, -x * 3.0, Var::constant(5.0), y, y, y.sqrt()];
    let z = tape.stack_vars(&vars);
    assert_eq!(z.value(), array![0.0, -6.0, 5.0, 0.0, 0.0, 0.0]);
    let gradient = weigh(z, &array![1.0, 10.0, 100.0, 1000.0, 2000.0, 0.0]).backward();
    assert_eq!(gradient.wrt([x, y]), [-30.0, 3002.0]);
    assert_eq!(gradient.wrt(z)[5], 0.0);

    // A partial of zero silences an infinite cotangent.
    let z = tape.stack_vars(&[x * 0.0, y * 2.0]);
    let gradient = weigh(z, &array![f64::INFINITY, 1.0]).backward();
    assert_eq!(gradient.wrt([x, y]), [0.0, 2.0]);

    let before = tape.len();
    let constants = tape.stack_vars(&[Var::constant(1.0), 2.0.into()]);
    assert!(constants.is_constant() && tape.len() == before);
    assert!(tape.stack_vars(&[]).is_empty());
}

#[test]
fn overlapping_views_share_adjoints() {
    let (tape, data) = (Tape::new(), array![1.0, 2.0, 3.0, 4.0, 5.0]);
    let x = tape.tensor(&data);
    // Σ xᵢxᵢ₊₁: the derivative is xᵢ₋₁ + xᵢ₊₁.
    let loss = weigh(x.slice(s![1..]) * x.slice(s![..-1]), &Array1::ones(4));
    assert_eq!(loss.backward().wrt(x), array![2.0, 4.0, 6.0, 8.0, 4.0]);
    // Σ xᵢx₄₋ᵢ, of a result and of a slice of a slice.
    for y in [x, x * 1.0, x.slice(s![..;-1]).slice(s![..;-1])] {
        let loss = weigh(y * y.flip(Axis(0)), &Array1::ones(5));
        let gradient = loss.backward();
        assert_eq!(gradient.wrt(x), array![10.0, 8.0, 6.0, 4.0, 2.0]);
        assert_eq!(gradient.wrt(y.slice(s![..;-2])), array![2.0, 6.0, 10.0]);
    }
    // x ⊗ x by broadcasting one tensor both ways; the derivative of its sum is 2 Σ x.
    let outer = x.insert_axis(Axis(1)) * x.broadcast((5, 5));
    assert_eq!(weigh(outer, &Array2::ones((5, 5))).backward().wrt(x), Array1::from_elem(5, 30.0));
    // A matrix and its transpose; the derivative of Σ aᵢⱼaⱼᵢ is 2aᵀ.
    let data = integers((4, 4), 2);
    let a = tape.tensor(&data);
    let loss = weigh(a * a.t(), &Array2::ones((4, 4)));
    assert_eq!(loss.backward().wrt(a), &data.t() * 2.0);
    // Every operation may read one tensor several times.
    let z = tape.stack(Axis(0), &[a.row(1), a.column(1), a.t().row(1), a.row(1)]);
    let expected = {
        let mut count = Array2::zeros((4, 4));
        count.row_mut(1).fill(2.0);
        let mut column = count.column_mut(1);
        column += 2.0;
        count
    };
    assert_eq!(weigh(z, &Array2::ones((4, 4))).backward().wrt(a), expected);
}

/// Rows shorter and longer than what a kernel lays out at once, few and many of them.
#[test]
fn broadcast_operands_of_every_length() {
    for (rows, n) in [1, 2, 3, 9, 40].into_iter().flat_map(|rows| [1, 2, 7, 10, 16, 64, 65, 150].map(|n| (rows, n))) {
        let a = integers((rows, n), 1);
        let w = integers((2, rows, n), 2);
        for b in [integers((1, n), 3), integers((rows, 1), 4), integers((1, 1), 5)] {
            let tape = Tape::new();
            let spread = b.broadcast((rows, n)).expect("rows and columns are repeated");
            let (x, y) = (tape.tensor(&a), tape.tensor(&b));
            // The outermost axis repeats both.
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
        // A number, and an operand that is both sides.
        let (tape, w) = (Tape::new(), w.index_axis(Axis(0), 0).to_owned());
        let x = tape.tensor(&a);
        let gradient = weigh(3.0 - x * x * 2.0, &w).backward();
        assert_eq!(gradient.wrt(x), &a * &w * -4.0, "{rows} x {n}");
    }
}

#[test]
fn empty_and_single_elements() {
    let none = Array2::<f64>::zeros((0, 3));
    assert_eq!(check(&none, |x| x.t(), |a| a.t().to_owned()), 0);
    assert_eq!(check(&none, |x| x.reshape((3, 0, 2)), |_| Array3::zeros((3, 0, 2))), 0);
    assert_eq!(check(&none, |x| x.flip(Axis(0)).flatten(), |_| Array1::zeros(0)), 0);
    assert_eq!(check(&none, |x| x.select(Axis(1), &[2, 2]), |_| Array2::zeros((0, 2))), 0);
    assert_eq!(check(&none, |x| x.keep_where(&array![true, false, true], 1.0), Clone::clone), 0);
    check(&none, |x| x.tape().concatenate(Axis(0), &[x, x]), Clone::clone);
    check(&none, |x| x.tape().stack(Axis(2), &[x, x]), |_| Array3::zeros((0, 3, 2)));
    check(&none, |x| x.broadcast((2, 0, 3)), |_| Array3::zeros((2, 0, 3)));
    check(&none, |x| x.tape().stack_vars(&x.to_vars()), |_| Array1::zeros(0));
    let tape = Tape::new();
    let x = tape.tensor(&none);
    assert_eq!((x.outer_iter().count(), x.axis_iter(Axis(1)).count()), (0, 3));

    let one = array![[6.0]];
    check(&one, |x| x.row(0).index_axis(Axis(0), 0), |a| ndarray::arr0(a[[0, 0]]));
    check(&one, |x| x.slice(s![..;-1, NewAxis, ..]).pad(&[(0, 0); 3], 1.0), |a| a.clone().insert_axis(Axis(1)));
}

#[test]
fn single_precision_and_dual_numbers() {
    let tape = Tape::new();
    let data = array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let x = tape.tensor(&data);
    let z = tape.concatenate(Axis(1), &[x.t(), x.t().select(Axis(0), &[2, 2, 0])]);
    let loss: Var<'_, f32> = (z * z).iter().sum();
    assert_eq!(loss.backward().wrt(x), array![[4.0_f32, 4.0, 18.0], [16.0, 10.0, 36.0]]);

    // Forward over reverse: the tangent of the gradient of Σ (picked x)²/2 along ε is the count of
    // each element times its tangent.
    let tape = Tape::new();
    let data = array![3.0, 4.0].map(|&x| Dual::new(x, [x / 2.0]));
    let x = tape.tensor(&data);
    let picked = x.gather(Axis(0), &array![1, 0, 1]).pad(&[(1, 0)], Dual::constant(0.0));
    let chosen = picked.keep_where(&array![true, true, true, false], Dual::constant(0.0));
    let loss: Var<'_, Dual<f64>> = (chosen * chosen).iter().sum();
    let gradient = loss.backward().wrt(x);
    assert_eq!(gradient.map(|g| g.primal()), array![6.0, 8.0]);
    assert_eq!(gradient.map(|g| g.tangents()[0]), array![3.0, 4.0]);
}

/// Six axes: more than ndarray keeps inline for a dynamic dimension.
fn six_axes() -> ArrayD<f64> {
    integers(IxDyn(&[2, 1, 3, 2, 1, 2]), 8)
}

#[test]
fn dynamic_dimensions_of_many_axes() {
    let a = six_axes();
    let axes = IxDyn(&[5, 3, 1, 0, 4, 2]);
    check(&a, |x| x.permuted_axes(axes.clone()), |a| a.clone().permuted_axes(axes.clone()));
    check(
        &a,
        |x| x.permuted_axes(axes.clone()).flatten(),
        |a| Array1::from_iter(a.view().permuted_axes(axes.clone()).iter().copied()),
    );
    check(
        &a,
        |x| x.select(Axis(2), &[2, 2, 0]).flip(Axis(3)),
        |a| {
            let mut a = a.select(Axis(2), &[2, 2, 0]);
            a.invert_axis(Axis(3));
            a
        },
    );
    check(
        &a,
        |x| x.tape().stack(Axis(6), &[x, x.flip(Axis(0))]),
        |a| {
            let mut flipped = a.clone();
            flipped.invert_axis(Axis(0));
            stack![Axis(6), *a, flipped]
        },
    );
    check(
        &a,
        |x| x.index_axis(Axis(2), 1).remove_axis(Axis(1)),
        |a| a.index_axis(Axis(2), 1).remove_axis(Axis(1)).to_owned(),
    );
    check(
        &a,
        |x| x.broadcast(IxDyn(&[2, 2, 2, 3, 2, 1, 2])),
        |a| a.broadcast(IxDyn(&[2, 2, 2, 3, 2, 1, 2])).unwrap().to_owned(),
    );
}

/// Counts the bytes that the current thread holds.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
    if bytes > 0 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    }
}

// SAFETY: every call is passed on to the system's allocator as it came; `realloc` is the trait's,
// made of these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn clear_drops_the_shapes_of_dynamic_views() {
    let (a, mut tape) = (six_axes(), Tape::new());
    let mut step = || {
        let x = tape.tensor(&a);
        let y = x.permuted_axes(IxDyn(&[5, 3, 1, 0, 4, 2])).select(Axis(0), &[1, 1]).flip(Axis(1));
        let z = y.tape().stack(Axis(0), &[y, y.as_standard_layout()]);
        let z = z.keep_where(&z.value().mapv(|z| z > 0.0), 0.0);
        let loss: Var<'_> = z.pad(&[(1, 0); 7], 2.0).iter().sum();
        let total = loss.backward().wrt(x).sum();
        tape.clear();
        total
    };
    let first = step();
    step();
    let before = LIVE.get();
    for _ in 0..5 {
        assert_eq!(step(), first);
    }
    assert_eq!(LIVE.get(), before);
    drop(tape);
    assert!(LIVE.get() < before);
}

#[test]
fn a_warm_step_of_fixed_dimensions_allocates_nothing() {
    let (data, mask) = (integers((3, 4), 1), array![true, false, true, true]);
    let picks = Array2::from_elem((10, 2), 1);
    let mut tape = Tape::new();
    let mut step = || {
        let x = tape.tensor(&data);
        let y = x.t().select(Axis(0), &[3, 1, 1]).reshape((1, 9));
        let [a, b, c] = y.split(Axis(1));
        let z = a.tape().stack(Axis(1), &[a, b, c, a, b, c, a, b, c, c]);
        let z = z.index_axis(Axis(0), 0).gather(Axis(1), &picks);
        let z = a.tape().concatenate(Axis(1), &[z, z.flip(Axis(1))]);
        let z = z.keep_where(&mask, 1.0).pad(&[(1, 1), (0, 0)], 3.0);
        let loss: Var<'_> = z.flatten().iter().sum();
        let value = loss.value() + loss.backward()[x.at([0, 0])];
        tape.clear();
        value
    };
    for _ in 0..3 {
        step();
    }
    let before = ALLOCATIONS.get();
    step();
    assert_eq!(ALLOCATIONS.get(), before);
}

/// The message of a panic, which must blame a line of this file.
#[track_caller]
fn panics(misuse: impl FnOnce()) -> String {
    thread_local! {
        static BLAMED: RefCell<Option<String>> = const { RefCell::new(None) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            BLAMED.set(info.location().map(|location| location.file().into()));
            default(info);
        }));
    });
    let payload = catch_unwind(AssertUnwindSafe(misuse)).expect_err("this must panic");
    assert_eq!(BLAMED.take().as_deref(), Some(file!()), "the caller's file");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
    }
}

#[test]
fn misuse_panics_at_the_callers_line() {
    let (data, cube) = (integers((3, 4), 1), integers((2, 3, 4), 1));
    let (tape, other) = (Tape::new(), Tape::new());
    let (x, y, z) = (tape.tensor(&data), other.tensor(&data), tape.tensor(&cube));
    let dynamic = x.into_dyn();
    macro_rules! refused {
        ($($misuse:expr => $message:literal,)+) => { $(
            let message = panics(|| { let _ = $misuse; });
            assert!(message.contains($message), "{message}");
        )+ };
    }
    refused! {
        x.reshape((5, 2)) => "reshape: shape [3, 4] has 12 elements, shape [5, 2] has not",
        x.slice(s![..0, ..]).reshape((usize::MAX, 0)) => "reshape: shape [0, 4] to [",
        z.permuted_axes([0, 1, 1]) => "permuted_axes: [0, 1, 1] does not name each of the 3 axes of shape [2, 3, 4] once",
        z.permuted_axes([0, 1, 3]) => "permuted_axes: [0, 1, 3]",
        dynamic.permuted_axes(IxDyn(&[0])) => "permuted_axes: [0] does not name each of the 2 axes",
        x.swap_axes(0, 2) => "swap_axes: there is no axis 2 in shape [3, 4]",
        x.slice(s![..4, ..]) => "slice: the range 0..4 reaches beyond axis 0 of shape [3, 4]",
        x.slice(s![.., -5..]) => "slice: the range -5.. reaches beyond axis 1",
        x.slice(s![.., 4]) => "slice: index 4 is out of bounds for axis 1 of shape [3, 4]",
        x.slice(s![-4, ..]) => "slice: index -4 is out of bounds for axis 0",
        dynamic.slice(s![..]) => "slice: 1 axes are given for shape [3, 4], which has 2",
        x.slice_axis(Axis(2), Slice::from(..)) => "slice_axis: there is no axis 2",
        x.slice_axis(Axis(1), Slice::from(5..)) => "slice_axis: the range 5.. reaches beyond axis 1",
        x.flip(Axis(2)) => "flip: there is no axis 2",
        x.split_at(Axis(0), 4) => "split_at: index 4 is out of bounds for axis 0 of shape [3, 4]",
        x.split::<2>(Axis(0)) => "split: axis 0 of shape [3, 4] does not split into 2 equal parts",
        x.split::<0>(Axis(0)) => "does not split into 0 equal parts",
        x.axis_chunks_iter(Axis(0), 0) => "axis_chunks_iter: chunks of length 0",
        x.axis_chunks_iter(Axis(2), 1) => "axis_chunks_iter: there is no axis 2",
        x.insert_axis(Axis(3)) => "insert_axis: a new axis at 3 leaves a gap after the 2 axes of shape [3, 4]",
        x.remove_axis(Axis(0)) => "remove_axis: axis 0 of shape [3, 4] has not length 1",
        x.broadcast((3, 5)) => "broadcast: shape [3, 4] does not stretch to [3, 5]",
        x.broadcast(4) => "broadcast: shape [3, 4] does not stretch to [4]",
        x.index_axis(Axis(2), 0) => "index_axis: there is no axis 2",
        x.index_axis(Axis(1), 4) => "index_axis: index 4 is out of bounds for axis 1 of shape [3, 4]",
        x.row(3) => "row: index 3 is out of bounds for axis 0 of shape [3, 4]",
        x.column(4) => "column: index 4 is out of bounds for axis 1",
        x.axis_iter(Axis(2)) => "axis_iter: there is no axis 2",
        dynamic.slice(s![0, 0]).into_dyn().outer_iter() => "there is no axis 0 in shape []",
        x.select(Axis(0), &[0, 3]) => "select: index 3 is out of bounds for axis 0 of shape [3, 4]",
        x.select(Axis(2), &[]) => "select: there is no axis 2",
        x.gather(Axis(1), &array![[0], [1], [4]]) => "gather: index 4 is out of bounds for axis 1 of shape [3, 4]",
        x.gather(Axis(1), &array![[0], [1]]) => "gather: indices of shape [2, 1] do not fit shape [3, 4]: only axis 1 may differ",
        x.gather(Axis(2), &array![[0]]) => "gather: there is no axis 2",
        dynamic.gather(Axis(0), &array![0].into_dyn()) => "gather: indices of shape [1] do not fit",
        x.pad(&[(1, 1)], 0.0) => "pad: 1 pairs (before, after) are given for shape [3, 4], which has 2 axes",
        x.pad(&[(1, 1), (usize::MAX, 1)], 0.0) => "is too large for memory",
        x.keep_where(&array![true, false], 0.0) => "keep_where (operands and mask): shapes [3, 4] and [2] do not broadcast",
        x.keep_where(&array![true], z.slice(s![0, .., 0])) => "keep_where: shapes [3, 4] and [3] do not broadcast",
        x.keep_where(&array![true], y) => "two tapes",
        tape.concatenate(Axis(0), &[x, y]) => "two tapes",
        tape.concatenate::<Ix2>(Axis(0), &[]) => "concatenate: no tensor is given",
        tape.concatenate(Axis(2), &[x]) => "concatenate: there is no axis 2 in shape [3, 4]",
        tape.concatenate(Axis(0), &[x, x.t()]) => "concatenate: tensor 1 has shape [4, 3], the first one [3, 4]: only axis 0 may differ",
        tape.concatenate(Axis(0), &[dynamic, z.into_dyn()]) => "concatenate: tensor 1 has shape [2, 3, 4]",
        tape.stack::<Ix2>(Axis(0), &[]) => "stack: no tensor is given",
        tape.stack(Axis(3), &[x]) => "stack: a new axis at 3 leaves a gap after the 2 axes of shape [3, 4]",
        tape.stack(Axis(0), &[x, x.t()]) => "stack: tensor 1 has shape [4, 3], the first one [3, 4]",
        tape.stack(Axis(0), &[y]) => "two tapes",
        tape.stack_vars(&[x.at([0, 0]), y.at([0, 0])]) => "two tapes",
    }
    assert!(dynamic.into_dimensionality::<Ix3>().is_err());
}
