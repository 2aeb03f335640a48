//! Products in tiles of registers, at the sizes of small nets.

use std::array;

use pulp::{Simd, WithSimd, bytemuck};

use super::{Mat, MatMut, SimdFloat, Store, lanes, vectors};

/// The product in tiles of a few rows by one or two vectors, each summed in registers. Needs
/// contiguous rows of `c`, contiguous rows or columns of `a`, and `k > 0`.
pub(super) struct Tiles<'a, F> {
    pub(super) c: MatMut<'a, F>,
    pub(super) a: Mat<'a, F>,
    pub(super) b: Mat<'a, F>,
    pub(super) update: Store,
    pub(super) scratch: &'a mut Vec<F>,
}

/// Some columns of `b`, a few vectors wide: row `p` at `data[p·stride]`, those from `whole` on
/// one after the other in `rest`, filled up with zeros.
#[derive(Clone, Copy)]
struct Panel<'a, F> {
    data: &'a [F],
    stride: usize,
    whole: usize,
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
    /// As many columns of `c` from `j` on as fit in `V` vectors, and how many these are.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, j: usize) -> usize {
        let [k, n] = self.b.layout.shape;
        let m = self.c.layout.shape[0];
        let full = V * lanes::<S, F>();
        let width = full.min(n - j);
        // Contiguous rows are read in place, beyond the width if the slice goes on: what the
        // further lanes hold is not stored.
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
                8.. if S::REGISTER_COUNT >= 32 => self.tile::<S, 8, V>(simd, i, j, width, panel),
                4.. => self.tile::<S, 4, V>(simd, i, j, width, panel),
                2.. => self.tile::<S, 2, V>(simd, i, j, width, panel),
                _ => self.tile::<S, 1, V>(simd, i, j, width, panel),
            };
        }
        *self.scratch = scratch;
        width
    }

    /// The tile of `R` rows from `(i, j)` on; returns `R`.
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
        let sums = if a.layout.strides[1] == 1 {
            let mut rows = [&[][..]; R];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = &a.from(i + r, 0)[..k];
            }
            sums::<S, F, R, V>(
                simd,
                k,
                #[inline(always)]
                |r, p| rows[r][p],
                b,
            )
        } else {
            let a = *a;
            sums::<S, F, R, V>(
                simd,
                k,
                #[inline(always)]
                |r, p| a.from(i, p)[..R][r],
                b,
            )
        };
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

/// A row of `c` too close to the end of its slice for whole vectors.
#[cold]
#[inline(never)]
fn last<F: SimdFloat>(row: &mut [F], sums: &[F], update: Store) {
    for (c, &sum) in row.iter_mut().zip(sums) {
        *c = if update == Store::Add { *c + sum } else { sum };
    }
}

/// `Σₚ a(r, p)·b(p, ·)` for `R` rows `r`.
// Loops over arrays: an array's `map` is not unrolled early enough to stay in registers.
#[inline(always)]
fn sums<S: Simd, F: SimdFloat, const R: usize, const V: usize>(
    simd: S,
    k: usize,
    a: impl Fn(usize, usize) -> F,
    b: Panel<'_, F>,
) -> [[F::Vector<S>; V]; R] {
    let full = V * lanes::<S, F>();
    let mut sums = [[F::splat(simd, F::zero()); V]; R];
    for p in 0..b.whole {
        rank_one(
            simd,
            &mut sums,
            #[inline(always)]
            |r| a(r, p),
            &b.data[p * b.stride..][..full],
        );
    }
    for p in b.whole..k {
        let row = &b.rest[(p - b.whole) * full..][..full];
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
            *sum = F::mul_add(simd, x, y, *sum);
        }
    }
}

/// Copies rows `top..` of columns `j..j + width` of `b` into rows of length `full`.
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
            let cols: [&[[F; 4]]; 4] = array::from_fn(|r| b.from(top, j + q + r)[..k].as_chunks().0);
            for (p, rows) in out.chunks_exact_mut(4 * full).enumerate() {
                let block = F::transpose(array::from_fn(|r| cols[r][p]));
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

#[inline(always)]
pub(super) fn transpose<F: Copy>(x: [[F; 4]; 4]) -> [[F; 4]; 4] {
    array::from_fn(|i| array::from_fn(|j| x[j][i]))
}

/// [`transpose`] by shuffles, which the compiler does not find: it takes 0.6 times as long.
#[inline(always)]
pub(super) fn transpose_f32(x: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
        let [a, b, c, d] = x.map(bytemuck::cast);
        let (ab, cd) = (sse._mm_unpacklo_ps(a, b), sse._mm_unpacklo_ps(c, d));
        let (ef, gh) = (sse._mm_unpackhi_ps(a, b), sse._mm_unpackhi_ps(c, d));
        return bytemuck::cast([
            sse._mm_movelh_ps(ab, cd),
            sse._mm_movehl_ps(cd, ab),
            sse._mm_movelh_ps(ef, gh),
            sse._mm_movehl_ps(gh, ef),
        ]);
    }
    transpose(x)
}
