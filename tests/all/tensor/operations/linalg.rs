//! Systems, factors and determinants.

use super::*;

/// Errors grow with the condition number.
const SOLVED: Row = Row { first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12, ..ROW };
const TRIANGULAR: &[Sample] = &[Sample::Positive, Sample::Between(-2.0, 2.0)];
const REGULAR: &[Sample] = &[Sample::Regular, Sample::Between(-2.0, 2.0)];
const TRIANGULAR_BATCH: &[Sample] = &[Sample::Positive, Sample::Between(-2.0, 2.0)];
const DEPENDENT: &[(Way, &str)] = &[(Way::Repeated, "factors of dependent columns have no derivative")];
const SYMMETRIC: Cases = &[&[&[1, 1]], &[&[2, 2]], &[&[3, 3]], &[&[5, 5]], &[&[0, 0]], &[&[2, 3, 3]], &[&[2, 1, 2, 2]]];
const RECTANGULAR: Cases =
    &[&[&[1, 1]], &[&[3, 3]], &[&[4, 2]], &[&[2, 4]], &[&[1, 3]], &[&[0, 2]], &[&[3, 0]], &[&[2, 3, 2]], &[&[2, 2, 3]]];
const BATCHES: Cases = &[&[&[2, 2, 2]], &[&[3, 1, 1]], &[&[2, 3, 3]], &[&[0, 2, 2]], &[&[2, 0, 0]], &[&[1, 3, 3]]];
const SYSTEMS_BATCH: Cases = &[
    &[&[2, 3, 3], &[2, 3, 2]],
    &[&[2, 3, 3], &[2, 3]],
    &[&[1, 2, 2], &[3, 2, 2]],
    &[&[3, 2, 2], &[1, 2]],
    &[&[2, 1, 2, 2], &[1, 3, 2, 1]],
    &[&[0, 2, 2], &[0, 2]],
    &[&[0, 2, 2], &[1, 2, 3]],
];

/// What `f` makes of each matrix of a batch.
fn each_matrix(a: &ArrayD<f64>, f: impl Fn(&Array2<f64>) -> Array2<f64>) -> ArrayD<f64> {
    let mut out = a.clone();
    let n = a.shape()[a.ndim() - 1];
    let flat = a.to_shape((a.len() / (n * n).max(1), n, n)).unwrap().to_owned();
    let all = flat.outer_iter().flat_map(|a| f(&a.to_owned()).into_iter().collect::<Vec<_>>()).collect::<Vec<_>>();
    out.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    out
}

fn each_number(a: &ArrayD<f64>, f: impl Fn(&Array2<f64>) -> f64) -> Array1<f64> {
    a.outer_iter().map(|a| f(&dim(&a.to_owned()))).collect()
}

/// The solution of each system, broadcast along the batch axes.
fn each_solved(a: &ArrayD<f64>, b: &ArrayD<f64>) -> ArrayD<f64> {
    let axes = a.ndim();
    let batch: Vec<usize> =
        (0..axes - 2).map(|k| if a.shape()[k] == 1 { b.shape()[k] } else { a.shape()[k] }).collect();
    let [a, b] = [a, b].map(|x| x.broadcast([&batch, &x.shape()[axes - 2..]].concat()).unwrap());
    let mut x = b.to_owned();
    for index in ndarray::indices(batch) {
        let pick = |x: &ndarray::ArrayViewD<'_, f64>| {
            let mut x = x.to_owned();
            index.slice().iter().for_each(|&i| x = x.index_axis(Axis(0), i).to_owned());
            x
        };
        let solution = solved(&dim(&pick(&a)), &pick(&b));
        let mut place = x.view_mut();
        index.slice().iter().for_each(|&i| place.index_axis_inplace(Axis(0), i));
        place.assign(&solution);
    }
    x
}

/// By expansion along the first row.
fn det(a: &Array2<f64>) -> f64 {
    let n = a.nrows();
    if n == 0 {
        return 1.0;
    }
    let minor = |j: usize| Array2::from_shape_fn((n - 1, n - 1), |(i, k)| a[[i + 1, k + usize::from(k >= j)]]);
    (0..n).map(|j| a[[0, j]] * det(&minor(j)) * if j % 2 == 0 { 1.0 } else { -1.0 }).sum()
}

/// By Cramer's rule.
fn solved(a: &Array2<f64>, b: &ArrayD<f64>) -> ArrayD<f64> {
    lanes(b, 0, |b| {
        let replaced = |j: usize| Array2::from_shape_fn(a.raw_dim(), |(i, k)| if k == j { b[i] } else { a[[i, k]] });
        (0..a.nrows()).map(|j| det(&replaced(j)) / det(a)).collect()
    })
}

fn triangle(a: &ArrayD<f64>, uplo: Uplo, diag: Diag) -> Array2<f64> {
    Array2::from_shape_fn((a.shape()[0], a.shape()[0]), |(i, j)| match (i == j, diag, uplo) {
        (true, Diag::Unit, _) => 1.0,
        (true, ..) => a[[i, j]],
        (_, _, Uplo::Lower) if i > j => a[[i, j]],
        (_, _, Uplo::Upper) if i < j => a[[i, j]],
        _ => 0.0,
    })
}

fn solve_triangular<'t, F: Scalar>(uplo: Uplo, diag: Diag, a: Dyn<'t, F>, b: Dyn<'t, F>) -> Vec<Output<'t, F>> {
    let a = of::<F, Ix2>(a);
    if b.ndim() == 1 {
        a.solve_triangular(uplo, diag, of::<F, Ix1>(b)).expect("no zero on the diagonal").outputs()
    } else {
        a.solve_triangular(uplo, diag, of::<F, Ix2>(b)).expect("no zero on the diagonal").outputs()
    }
}

operations! {
    solve: SYSTEMS, operands: REGULAR, ..SOLVED;
        |a, b| {
            let a = of::<F, Ix2>(a);
            if b.ndim() == 1 {
                a.solve(of::<F, Ix1>(b)).unwrap().outputs()
            } else {
                a.solve(of::<F, Ix2>(b)).unwrap().outputs()
            }
        },
        value |a, b| solved(&dim(a), b);
    solve_itself: &[&[&[3, 3], &[3, 3]]], operands: &[Sample::Regular], ..SOLVED;
        |a, b| of::<F, Ix2>(a).solve(of::<F, Ix2>(b)).unwrap(), value |a, b| solved(&dim(a), b);
    /// Systems with the matrix and its transpose by one factorisation, and the determinant from it.
    factorize: SYSTEMS, operands: REGULAR, ..SOLVED;
        |a, b| {
            let lu = of::<F, Ix2>(a).factorize().unwrap();
            let solutions = if b.ndim() == 1 {
                [lu.solve(of::<F, Ix1>(b)), lu.solve_t(of::<F, Ix1>(b))].outputs()
            } else {
                [lu.solve(of::<F, Ix2>(b)), lu.solve_t(of::<F, Ix2>(b))].outputs()
            };
            (solutions, (lu.inv(), [lu.det(), lu.sln_det().1]))
        },
        value |a, b| {
            let (matrix, d) = (dim::<Ix2>(a), det(&dim(a)));
            let inverse = solved(&matrix, &Array2::eye(matrix.nrows()).into_dyn());
            let transpose = matrix.t().to_owned();
            let numbers = [d, d.abs().ln()].map(|x| ndarray::arr0(x).into_dyn());
            [solved(&matrix, b), solved(&transpose, b), inverse].into_iter().chain(numbers).collect::<Vec<_>>()
        };
    inv: MATRICES, operands: REGULAR, ..SOLVED;
        |a| of::<F, Ix2>(a).inv().unwrap(), value |a| solved(&dim(a), &Array2::eye(a.shape()[0]).into_dyn());
    det_of: MATRICES, operands: REGULAR, ..SOLVED;
        |a| of::<F, Ix2>(a).det(), value |a| det(&dim(a));
    /// Singular matrices, whose pullback is by cofactors.
    det_of_singular: MATRICES, operands: &[Sample::Singular], ..SOLVED;
        |a| of::<F, Ix2>(a).det(), value |a| det(&dim(a));
    sln_det: MATRICES, operands: REGULAR, ..SOLVED;
        |a| of::<F, Ix2>(a).sln_det().unwrap().1, value |a| det(&dim(a)).abs().ln();
    ln_det: MATRICES, operands: &[Sample::Positive], ..SOLVED;
        |a| of::<F, Ix2>(a).ln_det().unwrap(), value |a| det(&dim(a)).ln();
    /// The factorisation takes the symmetric part, so an element may change alone.
    cholesky: MATRICES, operands: &[Sample::Positive], ..SOLVED;
        |a| of::<F, Ix2>(a).cholesky().unwrap(),
        value |a| {
            let mut l = Array2::<f64>::zeros((a.shape()[0], a.shape()[0]));
            for i in 0..a.shape()[0] {
                for j in 0..=i {
                    let rest = 0.5 * (a[[i, j]] + a[[j, i]]) - (0..j).map(|k| l[[i, k]] * l[[j, k]]).sum::<f64>();
                    l[[i, j]] = if i == j { rest.sqrt() } else { rest / l[[j, j]] };
                }
            }
            l
        };
    solve_lower: SYSTEMS, operands: TRIANGULAR, ..SOLVED;
        |a, b| solve_triangular(Uplo::Lower, Diag::NonUnit, a, b),
        value |a, b| solved(&triangle(a, Uplo::Lower, Diag::NonUnit), b);
    solve_upper: SYSTEMS, operands: TRIANGULAR, ..SOLVED;
        |a, b| solve_triangular(Uplo::Upper, Diag::NonUnit, a, b),
        value |a, b| solved(&triangle(a, Uplo::Upper, Diag::NonUnit), b);
    solve_unit_lower: SYSTEMS, ..SOLVED;
        |a, b| solve_triangular(Uplo::Lower, Diag::Unit, a, b),
        value |a, b| solved(&triangle(a, Uplo::Lower, Diag::Unit), b);
    solve_unit_upper: SYSTEMS, ..SOLVED;
        |a, b| solve_triangular(Uplo::Upper, Diag::Unit, a, b),
        value |a, b| solved(&triangle(a, Uplo::Upper, Diag::Unit), b);
    /// Batches: one more axis, a vector for each matrix, broadcast on either side.
    solve_batch: SYSTEMS_BATCH, operands: REGULAR, ..SOLVED;
        |a, b| {
            if a.ndim() == 3 && b.ndim() == 2 {
                of::<F, Ix3>(a).solve(of::<F, Ix2>(b)).unwrap().outputs()
            } else if a.ndim() == 3 {
                of::<F, Ix3>(a).solve(of::<F, Ix3>(b)).unwrap().outputs()
            } else {
                a.solve(b).unwrap().outputs()
            }
        },
        value |a, b| each_solved(a, b);
    solve_lower_batch: SYSTEMS_BATCH, operands: TRIANGULAR_BATCH, ..SOLVED;
        |a, b| a.solve_triangular(Uplo::Lower, Diag::NonUnit, b).unwrap(),
        value |a, b| each_solved(&each_matrix(a, |a| triangle(&a.clone().into_dyn(), Uplo::Lower, Diag::NonUnit)), b);
    factorize_batch: SYSTEMS_BATCH, operands: REGULAR, ..SOLVED;
        |a, b| {
            let lu = a.factorize().unwrap();
            [lu.solve(b), lu.solve_t(b), lu.inv(), lu.det(), lu.sln_det().1].outputs()
        };
    inv_batch: BATCHES, operands: REGULAR, ..SOLVED;
        |a| of::<F, Ix3>(a).inv().unwrap(),
        value |a| each_matrix(a, |a| dim(&solved(a, &Array2::eye(a.nrows()).into_dyn())));
    det_batch: BATCHES, operands: REGULAR, ..SOLVED;
        |a| of::<F, Ix3>(a).det(), value |a| each_number(a, det);
    det_of_singular_batch: BATCHES, operands: &[Sample::Singular], ..SOLVED;
        |a| of::<F, Ix3>(a).det(), value |a| each_number(a, det);
    sln_det_batch: BATCHES, operands: REGULAR, ..SOLVED;
        |a| of::<F, Ix3>(a).sln_det().unwrap().1, value |a| each_number(a, |a| det(a).abs().ln());
    ln_det_batch: BATCHES, operands: &[Sample::Positive], ..SOLVED;
        |a| of::<F, Ix3>(a).ln_det().unwrap(), value |a| each_number(a, |a| det(a).ln());
    /// Compared with the operation on each matrix.
    cholesky_batch: BATCHES, operands: &[Sample::Positive], ..SOLVED;
        |a| {
            let batch = of::<F, Ix3>(a).cholesky().unwrap();
            for (one, a) in batch.outer_iter().zip(of::<F, Ix3>(a).outer_iter()) {
                assert_eq!(one.value(), a.cholesky().unwrap().value());
            }
            batch
        };
    /// The vectors' signs are arbitrary, and may differ between numbers.
    eigh: SYMMETRIC, operands: &[Sample::Positive], ..SOLVED;
        |a| {
            let eigen = a.eigh().unwrap();
            (eigen.values, eigen.vectors.square())
        };
    qr: RECTANGULAR, not: DEPENDENT, ..SOLVED;
        |a| {
            let qr = a.qr().unwrap();
            [qr.q, qr.r]
        };
    svd: RECTANGULAR, not: DEPENDENT, ..SOLVED;
        |a| {
            let svd = a.svd().unwrap();
            (svd.s, [svd.u.square(), svd.vt.square()])
        };
}
