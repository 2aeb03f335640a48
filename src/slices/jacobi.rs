//! The singular value decomposition of a matrix of floats, by one-sided Jacobi rotations.
//!
//! The columns of a tall matrix are rotated, two at a time, until each pair is orthogonal; their lengths are the singular
//! values then, and the product of the rotations is V (Hestenes 1958; Demmel and Veselić, "Jacobi's method is more accurate
//! than QR", SIAM J. Matrix Anal. Appl. 13, 1992). The larger column of a pair goes first (de Rijk, SIAM J. Sci. Stat.
//! Comput. 10, 1989), which sorts them. Own code, because nalgebra's factors are less accurate: see M36 in docs/MEASUREMENTS.md.

use num_traits::Float;
use pulp::Arch;

use super::factor::{Defect, Svd};

/// Sweeps over all pairs before the iteration is given up; about 6 to 10 are needed.
const SWEEPS: usize = 60;

/// See [`Factor::svd`](super::Factor::svd).
pub(super) fn svd<F: Float>(a: &[F], [m, n]: [usize; 2], factors: Svd<'_, F>) -> Result<(), Defect> {
    let Svd { u, s, vt } = factors;
    let (tall, long, k) = (m >= n, m.max(n), m.min(n));
    if k == 0 {
        return Ok(());
    }
    // In units of a power of two near the largest element, which makes no rounding, so that squares do not overflow.
    let largest = a.iter().fold(F::zero(), |largest, x| largest.max(x.abs()));
    let unit = match largest.log2().floor().exp2() {
        unit if unit.is_infinite() => largest, // the logarithm was rounded up
        unit if unit > F::zero() => unit,
        _ => F::one(),
    };
    // The columns of A, or of Aᵀ if A is wide.
    let mut left: Vec<F> = Vec::with_capacity(k * long);
    for j in 0..k {
        left.extend((0..long).map(|i| if tall { a[i * n + j] } else { a[j * n + i] } / unit));
    }
    let mut right = vec![F::zero(); k * k];
    right.iter_mut().step_by(k + 1).for_each(|x| *x = F::one());
    Arch::new().dispatch(
        #[inline(always)]
        || orthogonalise(&mut left, long, &mut right, k),
    )?;

    let floor = floor::<F>();
    let squares: Vec<F> = left.chunks_exact(long).map(|x| gram(x, x)[2]).collect();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&i, &j| squares[j].partial_cmp(&squares[i]).expect("finite columns"));
    for (j, &from) in order.iter().enumerate() {
        let square = if squares[from] < floor { F::zero() } else { squares[from] };
        s[j] = square.sqrt() * unit;
        let column = &mut left[from * long..][..long];
        let length = square.sqrt();
        if length > F::zero() {
            for x in column {
                *x = *x / length;
            }
        } else {
            column.fill(F::zero());
        }
    }
    for &at in order.iter().filter(|&&from| squares[from] < floor) {
        complete(&mut left, long, at);
    }
    for (j, &from) in order.iter().enumerate() {
        let (left, right) = (&left[from * long..][..long], &right[from * k..][..k]);
        let (column, row) = if tall { (left, right) } else { (right, left) };
        vt[j * n..][..n].copy_from_slice(row);
        for (i, &x) in column.iter().enumerate() {
            u[i * k + j] = x;
        }
    }
    Ok(())
}

/// Rotates the columns, each of which is a run of `long` numbers, until they are orthogonal, and those of `right` alike.
/// Inlined with its loops, into code for the instructions of this machine.
#[inline(always)]
fn orthogonalise<F: Float>(left: &mut [F], long: usize, right: &mut [F], k: usize) -> Result<(), Defect> {
    let tolerance = F::epsilon() * F::from(long).expect("a length").sqrt();
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..k {
            for q in p + 1..k {
                let (x, y) = pair(left, long, p, q);
                let [xx, yy, xy] = gram(x, y);
                let swaps = xx < yy;
                let turns = xx.min(yy) >= floor() && xy.abs() > tolerance * xx.sqrt() * yy.sqrt();
                if !turns && !swaps {
                    continue;
                }
                // Columns that are only exchanged are as orthogonal as before.
                rotated |= turns;
                let zeta = (yy - xx) / (xy + xy);
                let tangent = if turns { zeta.signum() / (zeta.abs() + zeta.hypot(F::one())) } else { F::zero() };
                let cosine = tangent.hypot(F::one()).recip();
                let sine = cosine * tangent;
                for (x, y) in [pair(left, long, p, q), pair(right, k, p, q)] {
                    rotate(x, y, cosine, sine, swaps);
                }
            }
        }
        if !rotated {
            return Ok(());
        }
    }
    Err(Defect::NoConvergence)
}

/// Squares below this have lost digits to underflow. Columns with such squares count as zero.
fn floor<F: Float>() -> F {
    F::min_positive_value() / F::epsilon()
}

/// Two of the runs of `len` numbers, p < q.
#[inline(always)]
fn pair<F>(all: &mut [F], len: usize, p: usize, q: usize) -> (&mut [F], &mut [F]) {
    let (before, after) = all.split_at_mut(q * len);
    (&mut before[p * len..][..len], &mut after[..len])
}

/// x·x, y·y and x·y, in several partial sums, so that the loop fills vector registers.
#[inline(always)]
fn gram<F: Float>(x: &[F], y: &[F]) -> [F; 3] {
    const LANES: usize = 8;
    let mut sums = [[F::zero(); LANES]; 3];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let mut rest = [F::zero(); 3];
    for (&x, &y) in xs.remainder().iter().zip(ys.remainder()) {
        rest = [rest[0] + x * x, rest[1] + y * y, rest[2] + x * y];
    }
    for (x, y) in xs.zip(ys) {
        for lane in 0..LANES {
            let (x, y) = (x[lane], y[lane]);
            sums[0][lane] = sums[0][lane] + x * x;
            sums[1][lane] = sums[1][lane] + y * y;
            sums[2][lane] = sums[2][lane] + x * y;
        }
    }
    std::array::from_fn(|i| sums[i].iter().fold(rest[i], |sum, &x| sum + x))
}

#[inline(always)]
fn rotate<F: Float>(x: &mut [F], y: &mut [F], cosine: F, sine: F, swaps: bool) {
    for (x, y) in x.iter_mut().zip(&mut *y) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
    if swaps {
        x.swap_with_slice(y);
    }
}

/// Overwrites the column `at`, which is zero, with a vector of length 1 that is orthogonal to the others.
fn complete<F: Float>(columns: &mut [F], long: usize, at: usize) {
    // The unit vector of which the other columns leave the most.
    let taken = |i: usize| columns.iter().skip(i).step_by(long).fold(F::zero(), |sum, &x| sum + x * x);
    let (mut best, mut least) = (0, F::infinity());
    for i in 0..long {
        let taken = taken(i);
        if taken < least {
            (best, least) = (i, taken);
        }
    }
    let mut new = vec![F::zero(); long];
    new[best] = F::one();
    for _ in 0..2 {
        for column in columns.chunks_exact(long) {
            let [.., share] = gram(column, &new);
            for (x, &c) in new.iter_mut().zip(column) {
                *x = *x - share * c;
            }
        }
        let length = gram(&new, &new)[2].sqrt();
        for x in &mut new {
            *x = *x / length;
        }
    }
    columns[at * long..][..long].copy_from_slice(&new);
}
