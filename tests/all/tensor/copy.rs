//! Operations that copy elements: selections, padding, concatenation, choices, scalars to tensors.

// The tensor's and ndarray's version of an operation stand side by side as closures.
#![allow(clippy::redundant_closure_for_method_calls)]

use ndarray::{Array, Array1, Array2, Array3, ArrayView, Axis, Dimension, Ix2, array, concatenate, s, stack};
use wengert::{Dual, Tape, Var};

use crate::support::linearity::{Origin, check, check_all, check_on, integers, origins, weigh};
use crate::support::panics::panic_of;

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
        // The handle may outlive the indices.
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

/// The definition of numpy's `take_along_axis`.
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
    // Indices in another layout.
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
    // The result is a node with an adjoint.
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
    // The mask broadcasts, the operands broadcast to it, and it may have any layout.
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
    // A constant branch gets no gradient.
    let spare = array![8.0, 9.0, 10.0];
    let y = x.keep_where(&positive, &spare);
    assert_eq!(y.value(), array![8.0, 9.0, 4.0]);
    assert_eq!(weigh(y, &array![1.0, 10.0, 100.0]).backward().wrt(x), array![0.0, 0.0, 100.0]);
    // √x and ln x have partials NaN and ∞ at the elements where the other branch is taken.
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
    // A product, a function of one scalar, a constant, a scalar twice, and an infinite partial.
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
fn single_precision_and_dual_numbers() {
    let tape = Tape::new();
    let data = array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let x = tape.tensor(&data);
    let z = tape.concatenate(Axis(1), &[x.t(), x.t().select(Axis(0), &[2, 2, 0])]);
    let loss: Var<'_, f32> = (z * z).iter().sum();
    assert_eq!(loss.backward().wrt(x), array![[4.0_f32, 4.0, 18.0], [16.0, 10.0, 36.0]]);

    // Forward over reverse: the gradient of Σ (picked x)² is 2x times the number of times that x is picked.
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

#[test]
fn misuse_panics_at_the_callers_line() {
    let (data, cube) = (integers((3, 4), 1), integers((2, 3, 4), 1));
    let (tape, other) = (Tape::new(), Tape::new());
    let (x, y, z) = (tape.tensor(&data), other.tensor(&data), tape.tensor(&cube));
    let dynamic = x.into_dyn();
    macro_rules! refused {
        ($($misuse:expr => $message:literal,)+) => { $(
            let panic = panic_of(|| $misuse);
            assert!(panic.message.contains($message) && panic.file == file!(), "{panic}");
        )+ };
    }
    refused! {
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
}
