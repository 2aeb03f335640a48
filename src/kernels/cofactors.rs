//! Determinants with cofactors, of square matrices of any rank and of dual numbers.

use crate::arena::Arena;
use num_traits::{Float, Zero};

use crate::kernels::dual_factors::eliminate;
use crate::kernels::triangular::Triangle;
use crate::number::{BaseFloat, Scalar};
use crate::slices::gemm::{Mat, MatMut, Store, matmul};

/// The determinant and the cofactors of a square matrix of order n ≥ 1 and any rank. In dual arithmetic they have their
/// derivatives. The cofactors stand in the arena.
///
/// Complete pivoting leads to PAQ = L·[U B; 0 S], where S has order one or has only zeros (in its primals).
/// With E = L⁻¹P, split into E₁ and E₂ like the rows of PAQ, and σ = det P det Q, the adjugate is
///
/// adj A = σ det U · Q · [U⁻¹(det S E₁ − B adj(S) E₂); adj(S) E₂],
///
/// which divides by the pivots in U alone, none of them zero. The cofactors are the transpose of the adjugate.
pub(crate) fn cofactors<'a, F: Scalar>(a: &[F], n: usize, arena: &'a Arena) -> (F, &'a mut [F]) {
    let size = |x: F| Float::abs(x.to_base());
    // Each row is a row of PAQ followed by a row of E.
    let width = 2 * n;
    let mut rows = vec![F::zero(); n * width];
    for (i, row) in rows.chunks_exact_mut(width).enumerate() {
        row[..n].copy_from_slice(&a[i * n..][..n]);
        row[n + i] = F::one();
    }
    let mut columns: Vec<usize> = (0..n).collect();
    let mut scale = F::one();
    let mut m = 0;
    while m + 1 < n {
        let (mut largest, mut i, mut j) = (F::Base::zero(), m, m);
        for r in m..n {
            for c in m..n {
                let candidate = size(rows[r * width + c]);
                if candidate > largest {
                    (largest, i, j) = (candidate, r, c);
                }
            }
        }
        if largest.is_zero() {
            break;
        }
        if i != m {
            scale = -scale;
            let (above, below) = rows.split_at_mut(i * width);
            above[m * width..][..width].swap_with_slice(&mut below[..width]);
        }
        if j != m {
            scale = -scale;
            columns.swap(m, j);
            for row in rows.chunks_exact_mut(width) {
                row.swap(m, j);
            }
        }
        let (above, below) = rows.split_at_mut((m + 1) * width);
        let pivot = &above[m * width..];
        scale *= pivot[m];
        eliminate(pivot, below, width, m);
        m += 1;
    }
    let rest = n - m;
    let strides = [width as isize, 1];
    let part = |row: usize, column: usize, shape| Mat::new(&rows, row * width + column, shape, strides);
    let s: Vec<F> = rows[m * width..].chunks_exact(width).flat_map(|row| &row[m..n]).copied().collect();
    let (det, adjugate) = adjugate(&s, rest);
    // Z = [det S E₁ − B adj(S) E₂; adj(S) E₂], whose head is then solved with U.
    let mut z = vec![F::zero(); n * n];
    let (head, tail) = z.split_at_mut(m * n);
    let by_row = [n as isize, 1];
    let adjugate = Mat::new(&adjugate, 0, [rest, rest], [rest as isize, 1]);
    matmul(MatMut::new(&mut *tail, 0, [rest, n], by_row), adjugate, part(m, n, [rest, n]), Store::Set);
    let tail = Mat::new(tail, 0, [rest, n], by_row);
    matmul(MatMut::new(&mut *head, 0, [m, n], by_row), part(0, m, [m, rest]), tail, Store::Set);
    let mut u = vec![F::zero(); m * m];
    for i in 0..m {
        let row = &rows[i * width..][..width];
        u[i * m..][..m].copy_from_slice(&row[..m]);
        for (z, &e) in head[i * n..][..n].iter_mut().zip(&row[n..]) {
            *z = det * e - *z;
        }
    }
    Triangle::new(&u, m, false, false).solve(head, n, arena);
    let cofactors = arena.alloc_slice_fill_copy(n * n, F::zero());
    for (row, &column) in z.chunks_exact(n).zip(&columns) {
        for (i, &z) in row.iter().enumerate() {
            cofactors[i * n + column] = scale * z;
        }
    }
    (scale * det, cofactors)
}

/// The determinant and the adjugate of a matrix by the Faddeev–Le Verrier method, which divides only by integers:
/// M₁ = I, cₖ = −tr(S Mₖ)/k, Mₖ₊₁ = S Mₖ + cₖI; adj S = ±Mₙ, det S = ±cₙ.
fn adjugate<F: Scalar>(s: &[F], n: usize) -> (F, Vec<F>) {
    let by_row = [n as isize, 1];
    let mut m = vec![F::zero(); n * n];
    m.iter_mut().step_by(n + 1).for_each(|x| *x = F::one());
    let mut product = vec![F::zero(); n * n];
    let mut sign = -F::one();
    for k in 1.. {
        let (left, right) = (Mat::new(s, 0, [n, n], by_row), Mat::new(&m, 0, [n, n], by_row));
        matmul(MatMut::new(&mut product, 0, [n, n], by_row), left, right, Store::Set);
        let c = -product.iter().step_by(n + 1).copied().sum::<F>() / F::lit(k as f64);
        if k == n {
            for x in &mut m {
                *x *= -sign;
            }
            return (sign * c, m);
        }
        sign = -sign;
        m.copy_from_slice(&product);
        // A dual S whose primals are zero is nilpotent: once a power of it is zero, so are all further terms.
        if m.iter().all(|x| x.is_exact_zero()) {
            break;
        }
        m.iter_mut().step_by(n + 1).for_each(|x| *x += c);
    }
    (F::zero(), m)
}

/// The sign of the permutation `rows`: 1 if it is even, -1 if it is odd.
pub(crate) fn parity<B: BaseFloat>(rows: &[u32]) -> B {
    let mut rows = rows.to_vec();
    let mut sign = B::one();
    for i in 0..rows.len() {
        while rows[i] as usize != i {
            let j = rows[i] as usize;
            rows.swap(i, j);
            sign = -sign;
        }
    }
    sign
}
