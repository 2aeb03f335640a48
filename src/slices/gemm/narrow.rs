//! Products with fewer columns than a vector has lanes.

use std::array;

use pulp::{Simd, WithSimd};

use super::mat::{Mat, MatMut, Store};
use super::tiles::{Tiles, pack};
use crate::slices::simd::{SimdFloat, lanes, vectors};

/// The product by tiles of its transpose `cᵀ = bᵀ·aᵀ`, because the few columns of `c` would leave lanes empty.
///
/// It needs contiguous columns of `a`, contiguous rows of `c`, contiguous rows or columns of `b`, and `k > 0`. The
/// memory is for the tiles, and for cᵀ.
pub(super) fn flipped<F: SimdFloat>(
    MatMut { data, layout }: MatMut<'_, F>,
    a: Mat<'_, F>,
    b: Mat<'_, F>,
    update: Store,
    [scratch, product]: &mut [Vec<F>; 2],
    tiles: impl FnOnce(Tiles<'_, F>),
) {
    let [m, n] = layout.shape;
    if product.len() < m * n {
        product.resize(m * n, F::zero());
    }
    let c = MatMut::new(product, 0, [n, m], [m as isize, 1]);
    tiles(Tiles { c, a: b.t(), b: a.t(), update: Store::Set, scratch });
    for i in 0..m {
        let start = layout.at(i, 0);
        for (c, &x) in data[start..start + n].iter_mut().zip(product[i..].iter().step_by(m)) {
            *c = if update == Store::Add { *c + x } else { x };
        }
    }
}

/// The product with a single column, by sums along rows of `a`.
///
/// It needs contiguous rows of `a` in ascending order, and a column `b` of k > 0 contiguous numbers.
pub(super) struct Column<'a, F> {
    pub(super) c: MatMut<'a, F>,
    pub(super) a: Mat<'a, F>,
    pub(super) b: &'a [F],
    pub(super) update: Store,
}

impl<F: SimdFloat> WithSimd for Column<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { c: MatMut { data, layout }, a, b, update } = self;
        let ([m, k], step) = (a.layout.shape, a.layout.strides[0] as usize);
        let (b, b_rest) = b[..k].split_at(k / lanes::<S, F>() * lanes::<S, F>());
        let mut place = layout.at(0, 0);
        for row in a.from(0, 0).chunks(step.max(1)).take(m) {
            let (row, rest) = row[..k].split_at(b.len());
            let mut sum = F::splat(simd, F::zero());
            for (&x, &y) in vectors::<S, F>(row).iter().zip(vectors::<S, F>(b)) {
                sum = F::times_plus(simd, x, y, sum);
            }
            let rest = rest.iter().zip(b_rest).fold(F::zero(), |sum, (&x, &y)| sum + x * y);
            let (sum, c) = (F::sum_lanes(simd, sum) + rest, &mut data[place]);
            *c = if update == Store::Add { *c + sum } else { sum };
            place = place.wrapping_add_signed(layout.strides[0]);
        }
    }
}

/// The product by dot products, with vectors along the sums.
///
/// It needs contiguous rows of `a`, and contiguous rows of `c` unless `c` has one column.
pub(super) struct Dots<'a, F> {
    pub(super) c: MatMut<'a, F>,
    pub(super) a: Mat<'a, F>,
    pub(super) b: Mat<'a, F>,
    pub(super) update: Store,
    /// Memory for the columns of `b`.
    pub(super) scratch: &'a mut Vec<F>,
}

impl<F: SimdFloat> WithSimd for Dots<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [k, n] = self.b.layout.shape;
        let m = self.c.layout.shape[0];
        let mut columns = std::mem::take(self.scratch);
        if columns.len() < k * n {
            columns.resize(k * n, F::zero());
        }
        pack(&mut columns[..k * n], k, self.b.t(), 0, 0, k);
        let mut i = 0;
        while i < m {
            i += match m - i {
                // A constant block, so that the other instruction sets do not compile what they never run.
                4.. if const { S::REGISTER_COUNT >= 32 } => self.rows::<S, 4>(simd, i, &columns),
                2.. => self.rows::<S, 2>(simd, i, &columns),
                _ => self.rows::<S, 1>(simd, i, &columns),
            };
        }
        *self.scratch = columns;
    }
}

impl<F: SimdFloat> Dots<'_, F> {
    /// Computes `R` rows of `c` from row `i` on; returns `R`. `columns` has the columns of `b`, one after the other.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&mut self, simd: S, i: usize, columns: &[F]) -> usize {
        let n = self.c.layout.shape[1];
        let mut j = 0;
        while j < n {
            j += match n - j {
                4.. => self.block::<S, R, 4>(simd, i, j, columns),
                2.. => self.block::<S, R, 2>(simd, i, j, columns),
                _ => self.block::<S, R, 1>(simd, i, j, columns),
            };
        }
        R
    }

    /// Computes `R` rows by `C` columns of `c` from `(i, j)` on; returns `C`.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const C: usize>(&mut self, simd: S, i: usize, j: usize, columns: &[F]) -> usize {
        let k = self.a.layout.shape[1];
        let whole = k / lanes::<S, F>() * lanes::<S, F>();
        let a: [&[F]; R] = array::from_fn(|r| &self.a.from(i + r, 0)[..k]);
        let b: [&[F]; C] = array::from_fn(|q| &columns[(j + q) * k..][..k]);
        let (mut x, mut y) = ([&[][..]; R], [&[][..]; C]);
        for r in 0..R {
            x[r] = &vectors::<S, F>(&a[r][..whole])[..k / lanes::<S, F>()];
        }
        for q in 0..C {
            y[q] = &vectors::<S, F>(&b[q][..whole])[..k / lanes::<S, F>()];
        }
        let mut sums = [[F::splat(simd, F::zero()); C]; R];
        for p in 0..k / lanes::<S, F>() {
            for r in 0..R {
                for q in 0..C {
                    sums[r][q] = F::times_plus(simd, x[r][p], y[q][p], sums[r][q]);
                }
            }
        }
        for r in 0..R {
            let start = self.c.layout.at(i + r, j);
            for (q, c) in self.c.data[start..start + C].iter_mut().enumerate() {
                let rest = (whole..k).fold(F::zero(), |sum, p| sum + a[r][p] * b[q][p]);
                let sum = F::sum_lanes(simd, sums[r][q]) + rest;
                *c = if self.update == Store::Add { *c + sum } else { sum };
            }
        }
        C
    }
}
