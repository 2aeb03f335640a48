//! Products in tiles that fit into registers, for the sizes of small nets.

use pulp::{Simd, WithSimd, bytemuck};

use super::mat::{Mat, MatMut, Store};
use crate::slices::simd::{SimdFloat, lanes, vectors};

/// The product in tiles of a few rows by one or two vectors, each summed in registers.
///
/// It needs contiguous rows of `c`, contiguous rows or columns of `a`, and `k > 0`.
pub(super) struct Tiles<'a, F> {
    pub(super) c: MatMut<'a, F>,
    pub(super) a: Mat<'a, F>,
    pub(super) b: Mat<'a, F>,
    pub(super) update: Store,
    /// Memory for the packed rows of a [`Panel`].
    pub(super) scratch: &'a mut Vec<F>,
}

/// Some columns of `b`, one or two vectors wide.
#[derive(Clone, Copy)]
struct Panel<'a, F> {
    /// The slice of `b`, in which row `p < whole` of the panel starts at `p·stride`.
    data: &'a [F],
    stride: usize,
    /// The number of rows that are read from `data`.
    whole: usize,
    /// The other rows, packed one after the other and padded with zeros.
    rest: &'a [F],
}

impl<F: SimdFloat> WithSimd for Tiles<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let n = self.c.layout.shape[1];
        let mut j = 0;
        while j < n {
            j += if n - j <= lanes::<S, F>() { self.columns::<S, 1>(simd, j) } else { self.columns::<S, 2>(simd, j) };
        }
    }
}

impl<F: SimdFloat> Tiles<'_, F> {
    /// Computes the columns of `c` from `j` on that fit into `V` vectors; returns their number.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, j: usize) -> usize {
        let [k, n] = self.b.layout.shape;
        let m = self.c.layout.shape[0];
        let full = V * lanes::<S, F>();
        let width = full.min(n - j);
        // Contiguous rows are read in place, also beyond the width if the slice goes on, because the excess lanes are
        // not stored.
        let (data, stride, whole) = match self.b.layout.strides {
            [stride, 1] if stride > 0 => {
                let (data, stride) = (self.b.from(0, j), stride as usize);
                let whole = match data.len().checked_sub(full) {
                    Some(room) if (k - 1) * stride <= room => k,
                    Some(room) => room / stride + 1,
                    None => 0,
                };
                (data, stride, whole)
            }
            _ => (self.b.data, 0, 0),
        };
        let mut scratch = std::mem::take(self.scratch);
        let len = (k - whole) * full;
        if scratch.len() < len {
            scratch.resize(len, F::zero());
        }
        let rest = &mut scratch[..len];
        pack(rest, full, self.b, whole, j, width);
        let panel = Panel { data, stride, whole, rest };
        let mut i = 0;
        while i < m {
            i += match m - i {
                // A constant block, so that the other instruction sets do not compile what they never run.
                8.. if const { S::REGISTER_COUNT >= 32 } => self.tile::<S, 8, V>(simd, i, j, width, panel),
                4.. => self.tile::<S, 4, V>(simd, i, j, width, panel),
                2.. => self.tile::<S, 2, V>(simd, i, j, width, panel),
                _ => self.tile::<S, 1, V>(simd, i, j, width, panel),
            };
        }
        *self.scratch = scratch;
        width
    }

    /// Computes the tile of `R` rows from `(i, j)` on; returns `R`.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        i: usize,
        j: usize,
        width: usize,
        b: Panel<'_, F>,
    ) -> usize {
        let Self { c, a, update, .. } = self;
        let k = a.layout.shape[1];
        let full = V * lanes::<S, F>();
        let sums = match a.layout.strides {
            [step, 1] if step >= 0 => {
                let step = step as usize;
                let rows = &a.from(i, 0)[..(R - 1) * step + k];
                sums::<S, F, R, V>(
                    simd,
                    k,
                    #[inline(always)]
                    |r, p| {
                        debug_assert!(r < R && p < k);
                        // SAFETY: `sums` passes r < R and p < k, and the slice goes on to the place of the last of both.
                        unsafe { *rows.get_unchecked(r * step + p) }
                    },
                    b,
                )
            }
            [1, step] if step > 0 => {
                let step = step as usize;
                let columns = &a.from(i, 0)[..(k - 1) * step + R];
                sums::<S, F, R, V>(
                    simd,
                    k,
                    #[inline(always)]
                    |r, p| {
                        debug_assert!(r < R && p < k);
                        // SAFETY: `sums` passes r < R and p < k, and the slice goes on to the place of the last of both.
                        unsafe { *columns.get_unchecked(p * step + r) }
                    },
                    b,
                )
            }
            _ => {
                let a = *a;
                sums::<S, F, R, V>(
                    simd,
                    k,
                    #[inline(always)]
                    |r, p| a.data[a.layout.at(i + r, p)],
                    b,
                )
            }
        };
        if width == full
            && let Some(rows) = c.rows_mut(i, j, R, full)
        {
            for (r, sums) in sums.iter().enumerate() {
                // SAFETY: `rows_mut` gives a slice in which each of R rows has `full` numbers from its start on.
                let row = unsafe { rows.0.get_unchecked_mut(r * rows.1..r * rows.1 + full) };
                let row: &mut [_; V] = bytemuck::cast_slice_mut(row).try_into().unwrap();
                for (c, &sum) in row.iter_mut().zip(sums) {
                    *c = match update {
                        Store::Set => sum,
                        Store::Add => F::plus(simd, *c, sum),
                    };
                }
            }
            return R;
        }
        for r in 0..R {
            let start = c.layout.at(i + r, j);
            if let Some(row) = c.data.get_mut(start..start + full) {
                let row: &mut [_; V] = bytemuck::cast_slice_mut(row).try_into().unwrap();
                for v in 0..V {
                    let new = match update {
                        Store::Set => sums[r][v],
                        Store::Add => F::plus(simd, row[v], sums[r][v]),
                    };
                    row[v] = if width == full {
                        new
                    } else {
                        F::first(simd, width.saturating_sub(v * lanes::<S, F>()), new, row[v])
                    };
                }
            } else {
                let sums = sums[r];
                last(&mut c.data[start..start + width], bytemuck::cast_slice(&sums), *update);
            }
        }
        R
    }
}

/// Stores a row of a tile that is too close to the end of the slice of `c` for whole vectors.
#[cold]
#[inline(never)]
fn last<F: SimdFloat>(row: &mut [F], sums: &[F], update: Store) {
    for (c, &sum) in row.iter_mut().zip(sums) {
        *c = if update == Store::Add { *c + sum } else { sum };
    }
}

/// `Σₚ a(r, p)·b(p, ·)` for `R` rows `r` and `k` terms `p`: `a` gets no other arguments. Checks inside of the loop would be
/// half of its instructions (see M40 in docs/MEASUREMENTS.md).
// With `map` instead of loops over arrays, LLVM unrolls too late to keep the sums in registers.
#[inline(always)]
fn sums<S: Simd, F: SimdFloat, const R: usize, const V: usize>(
    simd: S,
    k: usize,
    a: impl Fn(usize, usize) -> F,
    b: Panel<'_, F>,
) -> [[F::Vector<S>; V]; R] {
    let full = V * lanes::<S, F>();
    assert!(b.whole <= k && (b.whole == 0 || (b.whole - 1) * b.stride + full <= b.data.len()));
    assert!((k - b.whole) * full <= b.rest.len());
    let mut sums = [[F::splat(simd, F::zero()); V]; R];
    for p in 0..b.whole {
        // SAFETY: the first assertion says that the last of these rows ends within the slice; the others end before.
        let row = unsafe { b.data.get_unchecked(p * b.stride..p * b.stride + full) };
        rank_one(
            simd,
            &mut sums,
            #[inline(always)]
            |r| a(r, p),
            row,
        );
    }
    for p in b.whole..k {
        let first = (p - b.whole) * full;
        // SAFETY: the second assertion says that all k - whole rows end within the slice.
        let row = unsafe { b.rest.get_unchecked(first..first + full) };
        rank_one(
            simd,
            &mut sums,
            #[inline(always)]
            |r| a(r, p),
            row,
        );
    }
    sums
}

/// Adds `a(r)·b` to each row `r` of the sums.
#[inline(always)]
fn rank_one<S: Simd, F: SimdFloat, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[F::Vector<S>; V]; R],
    a: impl Fn(usize) -> F,
    b: &[F],
) {
    let b: [_; V] = vectors::<S, F>(b).try_into().unwrap();
    for (r, sums) in sums.iter_mut().enumerate() {
        let x = F::splat(simd, a(r));
        for (sum, y) in sums.iter_mut().zip(b) {
            *sum = F::times_plus(simd, x, y, *sum);
        }
    }
}

/// Copies rows `top..` of columns `j..j + width` of `b` into rows of length `full`, padded with zeros.
#[inline(always)]
pub(super) fn pack<F: SimdFloat>(out: &mut [F], full: usize, b: Mat<'_, F>, top: usize, j: usize, width: usize) {
    let k = b.layout.shape[0] - top;
    if width < full {
        out.fill(F::zero());
    }
    let (mut quads, mut done) = (0, 0);
    if b.layout.strides[0] == 1 {
        (quads, done) = (width / 4 * 4, k / 4 * 4);
        for q in (0..quads).step_by(4) {
            // Loops instead of `from_fn`, which is not always inlined.
            let mut cols: [&[[F; 4]]; 4] = [&[]; 4];
            for (r, col) in cols.iter_mut().enumerate() {
                *col = &b.from(top, j + q + r)[..k].as_chunks().0[..k / 4];
            }
            for (p, rows) in out.chunks_exact_mut(4 * full).enumerate().take(k / 4) {
                let block = F::transpose([cols[0][p], cols[1][p], cols[2][p], cols[3][p]]);
                for (row, block) in rows.chunks_exact_mut(full).zip(&block) {
                    row[q..][..4].copy_from_slice(block);
                }
            }
        }
    }
    for (p, row) in out.chunks_exact_mut(full).enumerate() {
        let from = if p < done { quads } else { 0 };
        for (q, x) in row[..width].iter_mut().enumerate().skip(from) {
            *x = b.data[b.layout.at(top + p, j + q)];
        }
    }
}
