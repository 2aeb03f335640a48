//! Systems, factors and determinants.

use super::*;

/// Errors grow with the condition number.
const SOLVED: Row = Row { first: 1e-8, second: 1e-7, single: 1e-4, rounding: 1e-12, ..ROW };
const TRIANGULAR: &[Sample] = &[Sample::Positive, Sample::Between(-2.0, 2.0)];
const REGULAR: &[Sample] = &[Sample::Regular, Sample::Between(-2.0, 2.0)];

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
}
