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

#[cfg(feature = "linalg")]
/// A number whose matrices can be factored. Matrices are square, of finite elements, in row-major
/// order.
#[allow(unreachable_pub)] // a supertrait of the public `Scalar`
pub trait Factor: Sized {
    /// Overwrites A with the factors of PA = LU, the unit diagonal of L left out, by partial
    /// pivoting; row i of PA is row `rows[i]` of A.
    fn lu(a: &mut [Self], rows: &mut [u32]) -> Result<(), Defect>;

    /// Overwrites a symmetric A with L of A = L Lᵀ; only the lower triangle is read.
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
                // A pivot without reciprocal spoils what comes after it.
                let spoilt = |&i: &usize| !a[i * n + i].recip().is_finite();
                (0..n).find(spoilt).map_or(Ok(()), |pivot| Err(Defect::Pivot(pivot)))
            }

            fn cholesky(a: &mut [Self], n: usize) -> Result<(), Defect> {
                let factor = |n: usize, whole: &DMatrix<$F>| Cholesky::new(whole.view((0, 0), (n, n)).into_owned());
                let whole = DMatrix::from_row_slice(n, n, a);
                let Some(l) = factor(n, &whole) else {
                    // The blocks before the first that fails are definite, those after it are not.
                    let (mut definite, mut not) = (0, n);
                    while definite + 1 < not {
                        let order = usize::midpoint(definite, not);
                        *(if factor(order, &whole).is_some() { &mut definite } else { &mut not }) = order;
                    }
                    return Err(Defect::Block(not));
                };
                a.copy_from_slice(l.unpack().transpose().as_slice());
                Ok(())
            }
        }
    )+ };
}
#[cfg(feature = "linalg")]
factor_by_nalgebra! { f32 f64 }

/// The trait of that name where matrices are not factored.
#[cfg(not(feature = "linalg"))]
#[allow(unreachable_pub)]
pub trait Factor {}
#[cfg(not(feature = "linalg"))]
impl<F> Factor for F {}
