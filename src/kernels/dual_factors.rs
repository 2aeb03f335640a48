//! Factorisations of matrices of dual numbers. First the primals alone are factored, which chooses pivots and finds defects.
//! The factors' tangents then come from dual arithmetic, or from formulas of first order in arithmetic of the primals, which is
//! exact for every number of layers.

use num_traits::{Float, Zero};

use crate::number::{BaseFloat, Dual, Scalar};
use crate::slices::gemm::{Mat, MatMut, Store, matmul};
use crate::slices::{Defect, Factor, Svd};

impl<F: Scalar, const N: usize> Factor for Dual<F, N> {
    fn lu(a: &mut [Self], rows: &mut [u32]) -> Result<(), Defect> {
        let n = rows.len();
        let mut primals: Vec<F> = a.iter().map(|x| x.primal()).collect();
        F::lu(&mut primals, rows)?;
        let given = a.to_vec();
        for (i, &row) in rows.iter().enumerate() {
            a[i * n..][..n].copy_from_slice(&given[row as usize * n..][..n]);
        }
        for k in 0..n {
            let (above, below) = a.split_at_mut((k + 1) * n);
            eliminate(&above[k * n..], below, n, k);
        }
        Ok(())
    }

    fn cholesky(a: &mut [Self], n: usize) -> Result<(), Defect> {
        let mut primals: Vec<F> = a.iter().map(|x| x.primal()).collect();
        F::cholesky(&mut primals, n)?;
        for i in 0..n {
            for j in 0..=i {
                let sum = (0..j).fold(a[i * n + j], |sum, k| sum - a[i * n + k] * a[j * n + k]);
                a[i * n + j] = if i == j { Float::sqrt(sum) } else { sum / a[j * n + j] };
            }
            a[i * n + i + 1..][..n - i - 1].fill(Self::zero());
        }
        Ok(())
    }

    /// With M = Vᵀ Ȧ V: λ̇ᵢ = Mᵢᵢ, V̇ = VX, Xᵢⱼ = Mᵢⱼ/(λⱼ − λᵢ).
    fn eigh(a: &mut [Self], values: &mut [Self]) -> Result<(), Defect> {
        let n = values.len();
        let (mut v, mut w): (Vec<F>, _) = (a.iter().map(|x| x.primal()).collect(), vec![F::zero(); n]);
        F::eigh(&mut v, &mut w)?;
        let resolution = resolution(n, &w);
        let vectors = Mat::dense(&v, [n, n]);
        let (mut dv, mut dw) = (vec![[F::zero(); N]; n * n], vec![[F::zero(); N]; n]);
        for k in 0..N {
            let tangent: Vec<F> = a.iter().map(|x| x.tangents()[k]).collect();
            let right = times(Mat::dense(&tangent, [n, n]), vectors);
            let mut x = times(vectors.t(), Mat::dense(&right, [n, n]));
            for (i, row) in x.chunks_exact_mut(n.max(1)).enumerate() {
                for (j, m) in row.iter_mut().enumerate() {
                    if i == j {
                        dw[i][k] = std::mem::take(m);
                    } else {
                        *m = over_gap(m.is_exact_zero(), *m, w[j] - w[i], resolution);
                    }
                }
            }
            for (to, from) in dv.iter_mut().zip(times(vectors, Mat::dense(&x, [n, n]))) {
                to[k] = from;
            }
        }
        set(a, &v, &dv);
        set(values, &w, &dw);
        Ok(())
    }

    /// With M = Uᵀ Ȧ V: ṡᵢ = Mᵢᵢ, U̇ = UX + (I − U Uᵀ) Ȧ V S⁻¹, V̇ = VY + (I − V Vᵀ) Ȧᵀ U S⁻¹, where X and Y are
    /// antisymmetric, Xᵢⱼ, Yᵢⱼ = ½ (Mᵢⱼ + Mⱼᵢ)/(sⱼ − sᵢ) ± ½ (Mᵢⱼ − Mⱼᵢ)/(sⱼ + sᵢ).
    fn svd(a: &[Self], [m, n]: [usize; 2], factors: Svd<'_, Self>) -> Result<(), Defect> {
        let k = m.min(n);
        let (mut u, mut s, mut vt) = (vec![F::zero(); m * k], vec![F::zero(); k], vec![F::zero(); k * n]);
        let primals: Vec<F> = a.iter().map(|x| x.primal()).collect();
        F::svd(&primals, [m, n], Svd { u: &mut u, s: &mut s, vt: &mut vt })?;
        let resolution = resolution(m.max(n), &s);
        let (left, right) = (Mat::dense(&u, [m, k]), Mat::dense(&vt, [k, n]));
        let mut du = vec![[F::zero(); N]; m * k];
        let mut ds = vec![[F::zero(); N]; k];
        let mut dvt = vec![[F::zero(); N]; k * n];
        for t in 0..N {
            let tangent: Vec<F> = a.iter().map(|x| x.tangents()[t]).collect();
            let tangent = Mat::dense(&tangent, [m, n]);
            let (to_left, to_right) = (times(tangent, right.t()), times(left.t(), tangent));
            let core = times(left.t(), Mat::dense(&to_left, [m, k]));
            let (mut x, mut y) = (vec![F::zero(); k * k], vec![F::zero(); k * k]);
            for i in 0..k {
                ds[i][t] = core[i * k + i];
                for j in (0..k).filter(|&j| j != i) {
                    let (p, q, half) = (core[i * k + j], core[j * k + i], F::lit(0.5));
                    let is_zero = p.is_exact_zero() && q.is_exact_zero();
                    let even = half * over_gap(is_zero, p + q, s[j] - s[i], resolution);
                    let odd = half * over_gap(is_zero, p - q, s[j] + s[i], resolution);
                    (x[i * k + j], y[i * k + j]) = (even + odd, even - odd);
                }
            }
            let core = Mat::dense(&core, [k, k]);
            let within = times(left, Mat::dense(&x, [k, k]));
            let inside = times(left, core);
            for (j, &s) in s.iter().enumerate() {
                let column = || (j..m * k).step_by(k);
                let is_zero = m == k || column().all(|place| to_left[place].is_exact_zero());
                for place in column() {
                    let outside = over_gap(is_zero, to_left[place] - inside[place], s, resolution);
                    du[place][t] = within[place] + outside;
                }
            }
            // Yᵀ = −Y.
            let within = times(Mat::dense(&y, [k, k]), right);
            let inside = times(core, right);
            for (i, &s) in s.iter().enumerate() {
                let row = i * n..(i + 1) * n;
                let is_zero = n == k || to_right[row.clone()].iter().all(|x| x.is_exact_zero());
                for place in row {
                    let outside = over_gap(is_zero, to_right[place] - inside[place], s, resolution);
                    dvt[place][t] = outside - within[place];
                }
            }
        }
        set(factors.u, &u, &du);
        set(factors.s, &s, &ds);
        set(factors.vt, &vt, &dvt);
        Ok(())
    }
}

/// Subtracts multiples of the pivot row from the rows of length `width` below, so that column `k`, that of the pivot,
/// would become zero. The multipliers are stored there instead of the zeros.
pub(super) fn eliminate<F: Scalar>(pivot: &[F], below: &mut [F], width: usize, k: usize) {
    for row in below.chunks_exact_mut(width) {
        let factor = row[k] / pivot[k];
        row[k] = factor;
        for (x, &p) in row[k + 1..].iter_mut().zip(&pivot[k + 1..width]) {
            *x -= factor * p;
        }
    }
}

/// The relative error that factors of a matrix may have, whose longer side is `len`: roundings of sums of that length, about as
/// many of them up as down.
pub(crate) fn precision<B: BaseFloat>(len: usize) -> B {
    B::lit(4.0 * (len as f64).sqrt()) * B::epsilon()
}

/// Numbers, some of eigenvalues or singular values, that are closer to each other than this count as equal: none of the digits
/// of their gap is right.
pub(crate) fn resolution<F: Scalar>(len: usize, values: &[F]) -> F::Base {
    let largest = values.iter().fold(F::Base::zero(), |largest, x| Float::max(largest, Float::abs(x.to_base())));
    precision::<F::Base>(len) * largest
}

/// x / gap, where x is made of some numbers: 0 if these are exactly 0, else NaN if the gap counts as 0.
pub(crate) fn over_gap<F: Scalar>(is_zero: bool, x: F, gap: F, resolution: F::Base) -> F {
    if is_zero {
        F::zero()
    } else if Float::abs(gap.to_base()) <= resolution {
        F::nan()
    } else {
        x / gap
    }
}

/// The product of two matrices, in row-major order.
fn times<F: Scalar>(a: Mat<'_, F>, b: Mat<'_, F>) -> Vec<F> {
    let mut c = vec![F::zero(); a.shape()[0] * b.shape()[1]];
    multiply(a, b, &mut c);
    c
}

/// Overwrites c, in row-major order, with the product of two matrices.
pub(crate) fn multiply<F: Scalar>(a: Mat<'_, F>, b: Mat<'_, F>, c: &mut [F]) {
    let [m, n] = [a.shape()[0], b.shape()[1]];
    matmul(MatMut::new(c, 0, [m, n], [n as isize, 1]), a, b, Store::Set);
}

fn set<F: Scalar, const N: usize>(numbers: &mut [Dual<F, N>], primals: &[F], tangents: &[[F; N]]) {
    for ((x, &primal), &tangents) in numbers.iter_mut().zip(primals).zip(tangents) {
        *x = Dual::new(primal, tangents);
    }
}
