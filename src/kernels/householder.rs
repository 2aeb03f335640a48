//! The QR factorisation by Householder's reflections, on any number.

use num_traits::{Float, One, Zero};

use crate::number::{Length, Scalar, binade};

/// Overwrites A, an m × n matrix, with R of A = QR, and Q, an m × k matrix with k = min(m, n), with the factor whose columns
/// are orthonormal. The diagonal of R is not negative.
///
/// A column with nothing left below its predecessors has a 0 on the diagonal of R; Q then has there what the other reflections
/// make of a unit vector.
///
/// Only a number of R that is itself too great for a float overflows. Sums over rows are made in blocks of about √m rows, so
/// that their errors are at most about 2√m roundings.
pub(crate) fn householder<F: Scalar>(a: &mut [F], [m, n]: [usize; 2], q: &mut [F]) {
    let k = m.min(n);
    let block = m.isqrt().max(16);
    let units = units(a, n);
    scale_columns(a, &units, Float::recip);
    // Reflection j is I − τvvᵀ, with v = (1, ..) below the diagonal of column j.
    let mut scales = vec![F::zero(); k];
    let mut sums = vec![F::zero(); n];
    let mut partial = vec![F::zero(); n];
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
        below.iter_mut().skip(j).step_by(n).for_each(|x| *x /= first);
        let rows = below.chunks_exact(n).map(|row| (row[j], &row[j + 1..]));
        add_multiples(sums, rows, block, &mut partial[j + 1..]);
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
        let rows = (j + 1..m).map(|i| (a[i * n + j], &q[i * k..][..k]));
        add_multiples(&mut sums, rows, block, &mut partial[..k]);
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
    scale_columns(&mut a[..k * n], &units, |unit| unit);
}

/// A unit for each of n columns: a power of two, which makes no rounding. It is 1 unless the squares of the column's elements
/// leave the range of floats.
fn units<F: Scalar>(a: &[F], n: usize) -> Vec<F::Base> {
    let mut units = vec![F::Base::zero(); n];
    for row in a.chunks_exact(n.max(1)) {
        for (greatest, x) in units.iter_mut().zip(row) {
            *greatest = Float::max(*greatest, Float::abs(x.to_base()));
        }
    }
    for unit in &mut units {
        *unit = binade(*unit);
        if Float::is_normal(*unit * *unit) {
            *unit = F::Base::one();
        }
    }
    units
}

/// Multiplies each column by a factor made of its unit.
fn scale_columns<F: Scalar>(a: &mut [F], units: &[F::Base], factor: impl Fn(F::Base) -> F::Base) {
    for (j, &unit) in units.iter().enumerate().filter(|(_, unit)| !unit.is_one()) {
        let factor = F::from_base(factor(unit));
        a.iter_mut().skip(j).step_by(units.len()).for_each(|x| *x *= factor);
    }
}

/// Adds multiples of rows to `sums`: `block` of them to `partial` first, which is 0 before and after.
fn add_multiples<'a, F: Scalar>(
    sums: &mut [F],
    rows: impl ExactSizeIterator<Item = (F, &'a [F])>,
    block: usize,
    partial: &mut [F],
) {
    let last = rows.len();
    for (i, (factor, row)) in (1..).zip(rows) {
        add_multiple(partial, factor, row);
        if i % block == 0 || i == last {
            add_multiple(sums, F::one(), partial);
            partial.fill(F::zero());
        }
    }
}

fn add_multiple<F: Scalar>(x: &mut [F], factor: F, y: &[F]) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x += factor * y;
    }
}
