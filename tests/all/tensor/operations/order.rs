//! Running sums, sorting, elements at other places, contractions.

use super::*;

/// Places that keep to the axis, the last one twice.
fn places(n: usize) -> Vec<usize> {
    (0..n).map(|i| if i == 0 { n - 1 } else { i / 2 }).collect()
}

fn running(x: &[f64], mut step: impl FnMut(f64, f64) -> f64) -> Vec<f64> {
    let mut last = None;
    x.iter()
        .map(|&x| {
            let y = last.map_or(x, |last| step(last, x));
            last = Some(y);
            y
        })
        .collect()
}

fn sorted(x: &[f64]) -> Vec<f64> {
    let mut x = x.to_vec();
    x.sort_by(f64::total_cmp);
    x
}

fn quantile(x: &[f64], q: f64) -> f64 {
    let (x, place) = (sorted(x), q * (x.len() - 1) as f64);
    let (below, above) = (x[place.floor() as usize], x[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// Matrices (m, k) and (k, n) of the contractions, some without elements.
const PRODUCTS: Cases = &[&[&[2, 3], &[3, 4]], &[&[1, 3], &[3, 1]], &[&[2, 0], &[0, 2]], &[&[3, 1], &[1, 2]]];
const BATCHES: Cases = &[&[&[2, 3, 4], &[2, 4, 2]], &[&[1, 2, 2], &[1, 2, 3]]];
const NO_NEIGHBOURS: &[(Way, &str)] =
    &[(Way::Aliased, "equal elements are a kink"), (Way::Repeated, "equal elements are a kink")];

operations! {
    cumsum: WITH_AXES; |x| along(x, |axis| x.cumsum(axis)), value |x| each_axis(x, |x| running(x, |a, b| a + b));
    cumprod: WITH_AXES; |x| along(x, |axis| x.cumprod(axis)), value |x| each_axis(x, |x| running(x, |a, b| a * b));
    cumprod_with_zeros: &[&[&[5]], &[&[3, 4]]];
        |x| {
            let mask = ArrayD::from_shape_fn(x.dim(), |i| i[i.ndim() - 1] % 3 != 1);
            let x = x.keep_where(&mask, F::zero()) + x * F::lit(0.0);
            along(x, |axis| x.cumprod(axis))
        };
    sort: WITH_AXES, operands: APART, not: NO_NEIGHBOURS; |x| along(x, |axis| x.sort(axis)), value |x| each_axis(x, sorted);
    top_k: &[&[&[3]], &[&[3, 4]], &[&[2, 19]]], operands: APART, not: NO_NEIGHBOURS;
        |x| along(x, |axis| x.top_k(axis, 2).0),
        value |x| along_array(x, |axis| {
            let sorted = lanes(x, axis.index(), |x| sorted(x).into_iter().rev().collect());
            sorted.slice_axis(axis, Slice::from(..2)).to_owned()
        });
    quantile_all: FILLED, operands: APART, not: NO_NEIGHBOURS; |x| [x.quantile(0.3), x.median()],
        value |x| vec![quantile(&flat(x), 0.3), quantile(&flat(x), 0.5)];
    quantile_axis: &[&[&[1]], &[&[3]], &[&[3, 4]], &[&[2, 19]]], operands: APART, not: NO_NEIGHBOURS;
        |x| along(x, |axis| [x.quantile_axis(axis, 0.9), x.median_axis(axis)]),
        value |x| along_array(x, |axis| [0.9, 0.5].map(|q| x.map_axis(axis, |x| quantile(&x.to_vec(), q))).to_vec());
    scatter_add: &[&[&[3, 4], &[3, 4]], &[&[1], &[1]], &[&[2, 0], &[2, 0]]];
        |x, y| along(x, |axis| {
            let n = x.shape()[axis.index()];
            x.scatter_add(axis, &ArrayD::from_shape_fn(y.dim(), |i| i.slice().iter().sum::<usize>() % n), y)
        }),
        value |x, y| along_array(x, |axis| {
            let (mut z, n) = (x.clone(), x.len_of(axis));
            for (i, y) in y.indexed_iter() {
                let mut at = i.clone();
                at[axis.index()] = i.slice().iter().sum::<usize>() % n;
                z[at] += y;
            }
            z
        });
    index_add: &[&[&[3, 4], &[3, 4]], &[&[1], &[1]], &[&[2, 3, 2], &[2, 3, 2]]];
        |x, y| along(x, |axis| x.index_add(axis, &places(y.shape()[axis.index()]), y)),
        value |x, y| along_array(x, |axis| {
            let mut z = x.clone();
            for (part, to) in y.axis_iter(axis).zip(places(y.len_of(axis))) {
                let mut row = z.index_axis_mut(axis, to);
                row += &part;
            }
            z
        });
    tril_and_triu: &[&[&[3, 4]], &[&[2, 3, 2]], &[&[1, 1]], &[&[0, 2]], &[&[4, 2]]];
        |x| [x.tril(0), x.tril(-1), x.triu(1), x.triu(-1)],
        value |x| {
            let side = |kept: fn(isize) -> bool| ArrayD::from_shape_fn(x.raw_dim(), |i| {
                let [.., row, column] = i.slice() else { unreachable!("two axes") };
                if kept(*column as isize - *row as isize) { x[i] } else { 0.0 }
            });
            vec![side(|d| d <= 0), side(|d| d <= -1), side(|d| d >= 1), side(|d| d >= -1)]
        };
    repeat: WITH_AXES; |x| along(x, |axis| x.repeat(axis, 2)),
        value |x| along_array(x, |axis| {
            let places: Vec<usize> = (0..2 * x.len_of(axis)).map(|i| i / 2).collect();
            x.select(axis, &places)
        });
    roll: WITH_AXES; |x| along(x, |axis| [x.roll(axis, 1), x.roll(axis, -2), x.roll(axis, 7)]),
        value |x| along_array(x, |axis| [1, -2, 7].map(|shift: isize| lanes(x, axis.index(), |x| {
            let n = x.len() as isize;
            (0..n).map(|i| x[(i - shift).rem_euclid(n) as usize]).collect()
        })).to_vec());
    outer: &[&[&[3], &[2]], &[&[1], &[4]], &[&[0], &[2]]]; |x, y| of::<F, Ix1>(x).outer(of(y)),
        value |x, y| Array2::from_shape_fn((x.len(), y.len()), |(i, j)| x[[i]] * y[[j]]);
    einsum_of_matrices: PRODUCTS;
        |x, y| {
            let tape = x.tape();
            [
                tape.einsum("ik,kj->ij", &[x, y]),
                tape.einsum("ik, kj -> ji", &[x, y]),
                tape.einsum("ik,kj->", &[x, y]),
                tape.einsum("ik,kj->i", &[x, y]),
                tape.einsum("ik,kj->ikj", &[x, y]),
                tape.einsum("ik,lj->lj", &[x, y]),
                x.tensordot(y, [&[1], &[0]]),
                x.tensordot(y, [&[], &[]]),
            ]
        },
        value |x, y| {
            let (x, y) = (dim::<Ix2>(x), dim::<Ix2>(y));
            let z = x.dot(&y);
            let all = |i: usize, k: usize, j: usize| x[[i, k]] * y[[k, j]];
            vec![
                z.clone().into_dyn(),
                z.t().to_owned().into_dyn(),
                ArrayD::from_elem(IxDyn(&[]), z.sum()),
                z.sum_axis(Axis(1)).into_dyn(),
                ndarray::Array3::from_shape_fn((x.nrows(), x.ncols(), y.ncols()), |(i, k, j)| all(i, k, j)).into_dyn(),
                (&y * x.sum()).into_dyn(),
                z.into_dyn(),
                ndarray::Array4::from_shape_fn((x.nrows(), x.ncols(), y.nrows(), y.ncols()), |(i, k, l, j)| {
                    x[[i, k]] * y[[l, j]]
                })
                .into_dyn(),
            ]
        };
    einsum_of_batches: BATCHES;
        |x, y| {
            let tape = x.tape();
            [
                tape.einsum("bik,bkj->bij", &[x, y]),
                tape.einsum("bik,bkj->ibj", &[x, y]),
                tape.einsum("bik,bkj->bk", &[x, y]),
                tape.einsum("bik,bkj->ij", &[x, y]),
                x.tensordot(y, [&[2, 0], &[1, 0]]),
            ]
        },
        value |x, y| {
            let (x, y) = (dim::<Ix3>(x), dim::<Ix3>(y));
            let (b, m, k, n) = (x.shape()[0], x.shape()[1], x.shape()[2], y.shape()[2]);
            let z = ndarray::Array3::from_shape_fn((b, m, n), |(b, i, j)| (0..k).map(|k| x[[b, i, k]] * y[[b, k, j]]).sum());
            let sums = z.sum_axis(Axis(0)).into_dyn();
            vec![
                z.clone().into_dyn(),
                z.permuted_axes([1, 0, 2]).to_owned().into_dyn(),
                (x.sum_axis(Axis(1)) * y.sum_axis(Axis(2))).into_dyn(),
                sums.clone(),
                sums,
            ]
        };
    /// Diagonals, sums and orders of one operand; three operands.
    einsum_of_one_and_three: &[&[&[3, 3]], &[&[1, 1]], &[&[2, 2]]];
        |x| {
            let tape = x.tape();
            [
                tape.einsum("ii->", &[x]),
                tape.einsum("ii->i", &[x]),
                tape.einsum("ij->ji", &[x]),
                tape.einsum("ij->j", &[x]),
                tape.einsum("ij,jk,kl->il", &[x, x, x]),
                tape.einsum("ij,ik,il->jkl", &[x, x, x]),
            ]
        },
        value |x| {
            let x = dim::<Ix2>(x);
            let n = x.nrows();
            vec![
                ArrayD::from_elem(IxDyn(&[]), x.diag().sum()),
                x.diag().to_owned().into_dyn(),
                x.t().to_owned().into_dyn(),
                x.sum_axis(Axis(0)).into_dyn(),
                x.dot(&x).dot(&x).into_dyn(),
                ndarray::Array3::from_shape_fn((n, n, n), |(j, k, l)| {
                    (0..n).map(|i| x[[i, j]] * x[[i, k]] * x[[i, l]]).sum::<f64>()
                })
                .into_dyn(),
            ]
        };
    softmax_where: &[&[&[3, 4]], &[&[2, 3, 2]]];
        |x| along(x, |axis| x.softmax_where(axis, &ArrayD::from_shape_fn(x.dim(), chosen_for_softmax))),
        value |x| along_array(x, |axis| {
            let mask = ArrayD::from_shape_fn(x.raw_dim(), chosen_for_softmax);
            let e = zip(&x.mapv(f64::exp), &mask.mapv(|seen| f64::from(u8::from(seen))), |e, seen| e * seen);
            let total = e.sum_axis(axis).mapv(|t| if t == 0.0 { 1.0 } else { t }).insert_axis(axis);
            &e / &total
        });
}

/// Hides the whole of index 0 along the first axis, and some others.
fn chosen_for_softmax(index: IxDyn) -> bool {
    index[0] != 0 && index.slice().iter().sum::<usize>() % 3 != 1
}
