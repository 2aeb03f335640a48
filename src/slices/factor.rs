//! Factorisations of matrices of floats, by nalgebra where nalgebra is accurate.

#[cfg(feature = "linalg")]
use nalgebra::{Cholesky, DMatrix, DVector, LU, SymmetricEigen};

#[cfg(feature = "linalg")]
use super::jacobi;

/// The reason why a matrix cannot be factored.
#[cfg(feature = "linalg")]
#[derive(Clone, Copy, Debug)]
#[allow(unreachable_pub)]
pub enum Defect {
    /// The first pivot that is zero or has no finite reciprocal.
    Pivot(usize),
    /// The order of the first leading block that is not positive definite.
    Block(usize),
    /// The iteration did not converge.
    NoConvergence,
}

/// A number whose matrices can be factored. Matrices are in row-major order, with finite elements.
#[cfg(feature = "linalg")]
#[allow(unreachable_pub)] // a supertrait of the public `Scalar`
pub trait Factor: Sized {
    /// Overwrites A with the factors of PA = LU, without the unit diagonal of L, by partial pivoting. Row i of PA is
    /// row `rows[i]` of A.
    ///
    /// # Errors
    ///
    /// If a pivot is zero or has no finite reciprocal: [`Defect::Pivot`].
    fn lu(a: &mut [Self], rows: &mut [u32]) -> Result<(), Defect>;

    /// Overwrites a symmetric A with L of A = L Lᵀ. Only the lower triangle is read.
    ///
    /// # Errors
    ///
    /// If A is not positive definite: [`Defect::Block`].
    fn cholesky(a: &mut [Self], order: usize) -> Result<(), Defect>;

    /// Overwrites a symmetric A with eigenvectors of length 1 as columns; `values` become their eigenvalues, ascending.
    ///
    /// # Errors
    ///
    /// [`Defect::NoConvergence`].
    fn eigh(a: &mut [Self], values: &mut [Self]) -> Result<(), Defect>;

    /// The factors of A = U diag(s) Vᵀ for an m × n matrix: U is m × k, Vᵀ is k × n, k = min(m, n), and the singular values s
    /// descend.
    ///
    /// # Errors
    ///
    /// [`Defect::NoConvergence`].
    fn svd(a: &[Self], shape: [usize; 2], factors: Svd<'_, Self>) -> Result<(), Defect>;
}

/// The memory for U, s and Vᵀ: see [`Factor::svd`].
#[cfg(feature = "linalg")]
#[allow(unreachable_pub)]
pub struct Svd<'a, F> {
    pub u: &'a mut [F],
    pub s: &'a mut [F],
    pub vt: &'a mut [F],
}

#[cfg(feature = "linalg")]
macro_rules! factor_by_nalgebra {
    ($($F:ident)+) => { $(
        impl Factor for $F {
            fn lu(a: &mut [Self], rows: &mut [u32]) -> Result<(), Defect> {
                let n = rows.len();
                let (p, l, u) = LU::new(DMatrix::from_row_slice(n, n, a)).unpack();
                for (i, row) in a.chunks_exact_mut(n.max(1)).enumerate() {
                    for (j, x) in row.iter_mut().enumerate() {
                        *x = if j < i { l[(i, j)] } else { u[(i, j)] };
                    }
                }
                let mut order = DVector::from_fn(n, |i, _| i as u32);
                p.permute_rows(&mut order);
                rows.copy_from_slice(order.as_slice());
                let is_bad = |&i: &usize| !a[i * n + i].recip().is_finite();
                (0..n).find(is_bad).map_or(Ok(()), |pivot| Err(Defect::Pivot(pivot)))
            }

            fn cholesky(a: &mut [Self], n: usize) -> Result<(), Defect> {
                let factor = |n: usize, whole: &DMatrix<$F>| Cholesky::new(whole.view((0, 0), (n, n)).into_owned());
                let whole = DMatrix::from_row_slice(n, n, a);
                let Some(l) = factor(n, &whole) else {
                    // Bisection: leading blocks are definite up to some order, and not definite beyond it.
                    let (mut definite, mut indefinite) = (0, n);
                    while definite + 1 < indefinite {
                        let order = usize::midpoint(definite, indefinite);
                        *(if factor(order, &whole).is_some() { &mut definite } else { &mut indefinite }) = order;
                    }
                    return Err(Defect::Block(indefinite));
                };
                a.copy_from_slice(l.unpack().transpose().as_slice());
                Ok(())
            }

            fn eigh(a: &mut [Self], values: &mut [Self]) -> Result<(), Defect> {
                let n = values.len();
                if n == 0 {
                    return Ok(());
                }
                let eigen = SymmetricEigen::try_new(DMatrix::from_row_slice(n, n, a), $F::EPSILON, 60 * (n + 1));
                let eigen = eigen.ok_or(Defect::NoConvergence)?;
                let mut order: Vec<usize> = (0..n).collect();
                order.sort_by(|&i, &j| eigen.eigenvalues[i].total_cmp(&eigen.eigenvalues[j]));
                for (j, (value, &from)) in values.iter_mut().zip(&order).enumerate() {
                    *value = eigen.eigenvalues[from];
                    for (i, &x) in eigen.eigenvectors.column(from).iter().enumerate() {
                        a[i * n + j] = x;
                    }
                }
                Ok(())
            }

            fn svd(a: &[Self], shape: [usize; 2], factors: Svd<'_, Self>) -> Result<(), Defect> {
                jacobi::svd(a, shape, factors)
            }
        }
    )+ };
}
#[cfg(feature = "linalg")]
factor_by_nalgebra! { f32 f64 }

/// Without the feature `linalg`, an empty trait that every type has, so that it can be a bound either way.
#[cfg(not(feature = "linalg"))]
#[allow(unreachable_pub)]
pub trait Factor {}
#[cfg(not(feature = "linalg"))]
impl<F> Factor for F {}
