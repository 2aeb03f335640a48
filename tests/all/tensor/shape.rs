//! Views of tensors: reshaped, sliced, broadcast, of any number of axes.

// The tensor's and ndarray's version of an operation stand side by side as closures.
#![allow(clippy::redundant_closure_for_method_calls)]

use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView, Axis, Ix2, Ix3, IxDyn, NewAxis, Slice, array, s, stack};
use wengert::Tape;

use crate::support::linearity::{check, check_on, check_view, integers, origins, weigh};
use crate::support::panics::panic_of;

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
    // Consecutive rows are row-major, wherever they begin.
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
fn overlapping_views_share_adjoints() {
    let (tape, data) = (Tape::new(), array![1.0, 2.0, 3.0, 4.0, 5.0]);
    let x = tape.tensor(&data);
    // Σ xᵢxᵢ₊₁: the derivative is xᵢ₋₁ + xᵢ₊₁.
    let loss = weigh(x.slice(s![1..]) * x.slice(s![..-1]), &Array1::ones(4));
    assert_eq!(loss.backward().wrt(x), array![2.0, 4.0, 6.0, 8.0, 4.0]);
    // Σ xᵢx₄₋ᵢ of an input, of a result, and of a slice of a slice.
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
    // One operation that reads a tensor several times.
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

#[test]
fn misuse_panics_at_the_callers_line() {
    let (tape, data, cube) = (Tape::new(), integers((3, 4), 1), integers((2, 3, 4), 1));
    let (x, z) = (tape.tensor(&data), tape.tensor(&cube));
    let dynamic = x.into_dyn();
    macro_rules! refused {
        ($($misuse:expr => $message:literal,)+) => { $(
            let panic = panic_of(|| $misuse);
            assert!(panic.message.contains($message) && panic.file == file!(), "{panic}");
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
    }
    assert!(dynamic.into_dimensionality::<Ix3>().is_err());
}
