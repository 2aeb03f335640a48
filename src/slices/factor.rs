//! Factorisations of square matrices of floats, by nalgebra.

#[cfg(feature = "linalg")]
use nalgebra::{Cholesky, DMatrix, DVector, LU};

/// The reason why a matrix cannot be factored.
#[cfg(feature = "linalg")]
#[derive(Clone, Copy, Debug)]
#[allow(unreachable_pub)]
pub enum Defect {
    /// The first pivot that is zero or has no finite reciprocal.
    Pivot(usize),
    /// The order of the first leading block that is not positive definite.
    Block(usize),
}

/// A number whose matrices can be factored. Matrices are square, in row-major order, with finite elements.
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
