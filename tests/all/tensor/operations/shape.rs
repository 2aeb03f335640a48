//! Views, which record nothing, and copies.

use super::*;

const TWO: Cases = &[&[&[3, 4]], &[&[1, 3]], &[&[0, 2]], &[&[2, 2]]];
const THREE: Cases = &[&[&[2, 3, 4]], &[&[3, 1, 2]], &[&[2, 0, 3]]];
const EVEN: Cases = &[&[&[4, 6]], &[&[2, 1, 4]], &[&[0, 2]]];
fn chosen(index: IxDyn) -> bool {
    index.slice().iter().sum::<usize>() % 3 != 1
}

/// The last, the first and the last index again.
fn selected(len: usize) -> Vec<usize> {
    if len == 0 { vec![] } else { vec![len - 1, 0, len - 1] }
}

const JOINED: Cases = &[&[&[2, 3], &[2, 3], &[2, 3]], &[&[1], &[1], &[1]], &[&[2, 0], &[2, 0], &[2, 0]]];

operations! {
    reshape: THREE; |x| [x.reshape(IxDyn(&[x.len()])), x.reshape(IxDyn(&[1, x.len(), 1]))],
        value |x| {
            let x = Array1::from(flat(x)).into_dyn();
            vec![x.clone(), x.insert_axis(Axis(0)).insert_axis(Axis(2))]
        };
    reshape_rows: &[&[&[4, 3]]]; |x| x.reshape((2, 6)),
        value |x| Array1::from(flat(x)).into_shape_with_order((2, 6)).expect("as many elements");
    flatten: ONE; |x| x.flatten(), value |x| Array1::from(flat(x));
    t: ONE; |x| x.t(), value |x| x.t().to_owned();
    diag: TWO; |x| x.diag(), value |x| x.diag().to_owned();
    permuted_axes: THREE; |x| x.permuted_axes(IxDyn(&[2, 0, 1])),
        value |x| x.clone().permuted_axes(IxDyn(&[2, 0, 1]));
    swap_axes: THREE; |x| x.swap_axes(0, 2), value |x| {
        let mut x = x.clone();
        x.swap_axes(0, 2);
        x
    };
    slice: &[&[&[4, 5]], &[&[2, 3]]];
        |x| {
            let x = of::<F, Ix2>(x);
            ([x.slice(s![1.., ..;2]), x.slice(s![..;-1, ..-1])], [x.slice(s![1, ..]), x.slice(s![..;-2, 2])])
        },
        value |x| {
            let x = dim::<Ix2>(x);
            vec![
                x.slice(s![1.., ..;2]).to_owned().into_dyn(),
                x.slice(s![..;-1, ..-1]).to_owned().into_dyn(),
                x.slice(s![1, ..]).to_owned().into_dyn(),
                x.slice(s![..;-2, 2]).to_owned().into_dyn(),
            ]
        };
    slice_axis: WITH_AXES; |x| along(x, |axis| x.slice_axis(axis, Slice::new(0, None, -2))),
        value |x| along_array(x, |axis| x.slice_axis(axis, Slice::new(0, None, -2)).to_owned());
    flip: WITH_AXES; |x| along(x, |axis| x.flip(axis)),
        value |x| each_axis(x, |x| x.iter().rev().copied().collect());
    split_at: WITH_AXES; |x| along(x, |axis| x.split_at(axis, x.shape()[axis.index()] / 2)),
        value |x| along_array(x, |axis| {
            let (a, b) = x.view().split_at(axis, x.shape()[axis.index()] / 2);
            vec![a.to_owned(), b.to_owned()]
        });
    split: EVEN; |x| x.split::<2>(Axis(x.ndim() - 1)),
        value |x| {
            let (a, b) = x.view().split_at(Axis(x.ndim() - 1), x.shape()[x.ndim() - 1] / 2);
            vec![a.to_owned(), b.to_owned()]
        };
    axis_chunks_iter: WITH_AXES; |x| along(x, |axis| x.axis_chunks_iter(axis, 2).collect::<Vec<_>>()),
        value |x| along_array(x, |axis| x.axis_chunks_iter(axis, 2).map(|x| x.to_owned()).collect::<Vec<_>>());
    insert_axis: ONE; |x| (0..=x.ndim()).map(|axis| x.insert_axis(Axis(axis))).collect::<Vec<_>>(),
        value |x| (0..=x.ndim()).map(|axis| x.clone().insert_axis(Axis(axis))).collect::<Vec<_>>();
    remove_axis: &[&[&[1]], &[&[1, 3]], &[&[1, 0, 2]]]; |x| x.remove_axis(Axis(0)),
        value |x| x.clone().remove_axis(Axis(0));
    broadcast: &[&[&[]], &[&[4]], &[&[3, 1]], &[&[1, 1]]]; |x| x.broadcast((2, 3, 4)),
        value |x| x.broadcast((2, 3, 4)).expect("it fits").to_owned();
    index_axis: FILLED; |x| along(x, |axis| x.index_axis(axis, x.shape()[axis.index()] - 1)),
        value |x| along_array(x, |axis| x.index_axis(axis, x.shape()[axis.index()] - 1).to_owned());
    axis_iter: WITH_AXES; |x| along(x, |axis| x.axis_iter(axis).rev().collect::<Vec<_>>()),
        value |x| along_array(x, |axis| x.axis_iter(axis).rev().map(|x| x.to_owned()).collect::<Vec<_>>());
    outer_iter: WITH_AXES; |x| x.outer_iter().collect::<Vec<_>>(),
        value |x| x.outer_iter().map(|x| x.to_owned()).collect::<Vec<_>>();
    row_and_column: &[&[&[3, 4]], &[&[2, 3]]];
        |x| {
            let x = of::<F, Ix2>(x);
            [x.row(1), x.column(2)]
        },
        value |x| vec![dim::<Ix2>(x).row(1).to_owned(), dim::<Ix2>(x).column(2).to_owned()];
    elements: FILLED; |x| (x.at(IxDyn(&vec![0; x.ndim()])), x.iter().map(|x| x.square()).collect::<Vec<_>>()),
        value |x| std::iter::once(x[&*vec![0; x.ndim()]]).chain(x.iter().map(|x| x * x)).collect::<Vec<_>>();
    to_vars: ONE; |x| x.to_vars().into_iter().rev().collect::<Vec<_>>(),
        value |x| flat(x).into_iter().rev().collect::<Vec<_>>();
    dimensions: &[&[&[3, 4]]]; |x| of::<F, Ix2>(x).into_dyn(), value |x| x.clone();
    as_standard_layout: ONE; |x| x.as_standard_layout(), value |x| x.clone();
    /// Chains of views.
    views_of_views: &[&[&[4, 3]], &[&[3, 5]]];
        |x| {
            let shape = (x.shape()[1], 2, x.shape()[0] - 1);
            let y = of::<F, Ix2>(x).t().slice(s![..;-1, 1..]);
            y.insert_axis(Axis(1)).broadcast(shape).flip(Axis(2)).square()
        },
        value |x| {
            let x = dim::<Ix2>(x);
            let y = x.t().slice_move(s![..;-1, 1..;-1]).insert_axis(Axis(1)).to_owned();
            let y = y.broadcast((y.shape()[0], 2, y.shape()[2])).expect("it fits").to_owned();
            &y * &y
        };

    gather: &[&[&[3, 4]], &[&[3, 1]], &[&[4, 7]]];
        |x| {
            let rows = Array2::from_shape_fn((2, x.shape()[1]), |(i, j)| (i * 2 + j) % x.shape()[0]);
            let columns = Array2::from_shape_fn((x.shape()[0], 3), |(i, j)| (i * j) % x.shape()[1]);
            let x = of::<F, Ix2>(x);
            [x.gather(Axis(0), &rows), x.gather(Axis(1), &columns)]
        },
        value |x| vec![
            Array2::from_shape_fn((2, x.shape()[1]), |(i, j)| x[[(i * 2 + j) % x.shape()[0], j]]),
            Array2::from_shape_fn((x.shape()[0], 3), |(i, j)| x[[i, (i * j) % x.shape()[1]]]),
        ];
    pad: ONE; |x| x.pad(&vec![(1, 2); x.ndim()], F::lit(0.5)),
        value |x| {
            let shape: Vec<usize> = x.shape().iter().map(|len| len + 3).collect();
            let mut y = ArrayD::from_elem(shape, 0.5);
            y.slice_each_axis_mut(|axis| Slice::from(1..axis.len as isize - 2)).assign(x);
            y
        };
    keep_where: PAIRS; |x, y| x.keep_where(&ArrayD::from_shape_fn((x + y).dim(), chosen), y),
        value |x, y| {
            let (x, y) = (zip(x, y, |x, _| x), zip(x, y, |_, y| y));
            ArrayD::from_shape_fn(x.raw_dim(), |i| if chosen(i.clone()) { x[&i] } else { y[&i] })
        };
    select: WITH_AXES; |x| along(x, |axis| x.select(axis, &selected(x.shape()[axis.index()]))),
        value |x| along_array(x, |axis| x.select(axis, &selected(x.shape()[axis.index()])));
    concatenate: &[
            &[&[2, 3], &[4, 3]],
            &[&[1], &[2]],
            &[&[0, 2], &[1, 2]],
            &[&[2, 3], &[2, 3]],
            &[&[2, 1, 2], &[3, 1, 2]],
        ];
        |x, y| x.tape().concatenate(Axis(0), &[x, y, x]),
        value |x, y| ndarray::concatenate(Axis(0), &[x.view(), y.view(), x.view()]).expect("the shapes fit");
    concatenate_columns: &[&[&[2, 3], &[2, 1]], &[&[2, 0], &[2, 2]], &[&[3, 2, 2], &[3, 1, 2]]];
        |x, y| x.tape().concatenate(Axis(1), &[x, y]),
        value |x, y| ndarray::concatenate(Axis(1), &[x.view(), y.view()]).expect("the shapes fit");
    stack: JOINED; |x, y, z| along(x, |axis| x.tape().stack(axis, &[x, y, z])),
        value |x, y, z| {
            let views = [x.view(), y.view(), z.view()];
            along_array(x, |axis| ndarray::stack(axis, &views).expect("one shape"))
        };
    stack_vars: FILLED;
        |x| {
            let vars: Vec<_> = x.iter().map(|x| x.square() * x).chain([F::one().into()]).collect();
            x.tape().stack_vars(&vars)
        },
        value |x| x.iter().map(|x| x * x * x).chain([1.0]).collect::<Array1<_>>();
}
