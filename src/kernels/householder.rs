//! The QR factorisation by Householder's reflections, on any number.

use num_traits::{Float, Zero};

use crate::number::{Length, Scalar};

/// Overwrites A, an m × n matrix, with R of A = QR, and Q, an m × k matrix with k = min(m, n), with the factor whose columns
/// are orthonormal. The diagonal of R is not negative.
///
/// A column with nothing left below its predecessors has a 0 on the diagonal of R; Q then has there what the other reflections
/// make of a unit vector.
pub(crate) fn householder<F: Scalar>(a: &mut [F], [m, n]: [usize; 2], q: &mut [F]) {
    let k = m.min(n);
    // Reflection j is I − τvvᵀ, with v = (1, ..) below the diagonal of column j.
    let mut scales = vec![F::zero(); k];
    let mut sums = vec![F::zero(); n];
    for j in 0..k {
        let length = Length::of(a[j * n + j..].iter().step_by(n).copied()).value;
        let head = a[j * n + j];
        if length.to_base().is_zero() {
            (j..m).for_each(|i| a[i * n + j] = F::zero());
            a[j * n + j] = length;
            continue;
        }
        let diagonal = if head.to_base().is_sign_negative() { length } else { -length };
        let first = head - diagonal;
        scales[j] = -first / diagonal;
        a[j * n + j] = diagonal;
        let (above, below) = a.split_at_mut((j + 1) * n);
        let top = &mut above[j * n..];
        let sums = &mut sums[j + 1..];
        sums.copy_from_slice(&top[j + 1..]);
        for row in below.chunks_exact_mut(n) {
            row[j] /= first;
            add_multiple(sums, row[j], &row[j + 1..]);
        }
        for x in &mut *sums {
            *x *= -scales[j];
        }
        add_multiple(&mut top[j + 1..], F::one(), sums);
        for row in below.chunks_exact_mut(n) {
            let v = row[j];
            add_multiple(&mut row[j + 1..], v, sums);
        }
    }
    q.fill(F::zero());
    q.iter_mut().step_by(k + 1).take(k).for_each(|x| *x = F::one());
    let mut sums = vec![F::zero(); k];
    for j in (0..k).rev() {
        sums.copy_from_slice(&q[j * k..][..k]);
        for i in j + 1..m {
            add_multiple(&mut sums, a[i * n + j], &q[i * k..][..k]);
        }
        for x in &mut *sums {
            *x *= -scales[j];
        }
        for i in j..m {
            let v = if i == j { F::one() } else { std::mem::take(&mut a[i * n + j]) };
            add_multiple(&mut q[i * k..][..k], v, &sums);
        }
        if a[j * n + j].to_base() < F::Base::zero() {
            a[j * n + j..(j + 1) * n].iter_mut().for_each(|x| *x = -*x);
            q.iter_mut().skip(j).step_by(k).for_each(|x| *x = -*x);
        }
    }
}

fn add_multiple<F: Scalar>(x: &mut [F], factor: F, y: &[F]) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x += factor * y;
    }
}
