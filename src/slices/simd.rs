//! `f32` and `f64` in vector registers, under the same names, and the dot product.

use std::array;
use std::ops::{Add, Mul, Range};

use num_traits::Zero;
use pulp::bytemuck::{self, Pod};
use pulp::{Simd, WithSimd};

/// A float and its vectors: `pulp` names each operation by the type, this trait by what the operation does.
pub trait SimdFloat: Pod + Zero + Add<Output = Self> + Mul<Output = Self> {
    type Vector<S: Simd>: Pod;
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// `x·y + z`, fused where the processor can.
    fn times_plus<S: Simd>(simd: S, x: Self::Vector<S>, y: Self::Vector<S>, z: Self::Vector<S>) -> Self::Vector<S>;
    /// `x·y + z` of single numbers, with the rounding of [`times_plus`](Self::times_plus).
    fn times_plus_one<S: Simd>(x: Self, y: Self, z: Self) -> Self;
    fn plus<S: Simd>(simd: S, x: Self::Vector<S>, y: Self::Vector<S>) -> Self::Vector<S>;
    fn minus<S: Simd>(simd: S, x: Self::Vector<S>, y: Self::Vector<S>) -> Self::Vector<S>;
    fn times<S: Simd>(simd: S, x: Self::Vector<S>, y: Self::Vector<S>) -> Self::Vector<S>;
    fn over<S: Simd>(simd: S, x: Self::Vector<S>, y: Self::Vector<S>) -> Self::Vector<S>;
    fn negative<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// The sum of the lanes.
    fn sum_lanes<S: Simd>(simd: S, x: Self::Vector<S>) -> Self;
    /// The first `n` lanes of `x`, the others of `y`.
    fn first<S: Simd>(simd: S, n: usize, x: Self::Vector<S>, y: Self::Vector<S>) -> Self::Vector<S>;
    /// A slice that is shorter than a vector, with zeros behind it.
    fn load_some<S: Simd>(simd: S, x: &[Self]) -> Self::Vector<S>;
    /// Writes as many lanes as the slice is long, which is shorter than a vector.
    fn store_some<S: Simd>(simd: S, to: &mut [Self], x: Self::Vector<S>);
    fn transpose(x: [[Self; 4]; 4]) -> [[Self; 4]; 4];
    /// [`transpose`](Self::transpose) within code for these vectors.
    fn transpose_in<S: Simd>(simd: S, x: [[Self; 4]; 4]) -> [[Self; 4]; 4];
}

/// The number of lanes of a vector.
pub(crate) const fn lanes<S: Simd, F: SimdFloat>() -> usize {
    // Loops over rows read and write whole vectors at steps of as many numbers.
    const { assert!(size_of::<F::Vector<S>>().is_multiple_of(size_of::<F>())) };
    size_of::<F::Vector<S>>() / size_of::<F>()
}

/// The slice as vectors; its length must be a multiple of the lanes.
#[inline(always)]
pub(crate) fn vectors<S: Simd, F: SimdFloat>(x: &[F]) -> &[F::Vector<S>] {
    bytemuck::cast_slice(x)
}

/// [`vectors`] that can be written.
#[inline(always)]
pub(crate) fn vectors_mut<S: Simd, F: SimdFloat>(x: &mut [F]) -> &mut [F::Vector<S>] {
    bytemuck::cast_slice_mut(x)
}

macro_rules! simd_float {
    (
        $f:ident: $v:ident, $splat:ident, $mul_add:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
        $sum:ident, $select:ident, $mask:ident, $load_some:ident, $store_some:ident, $transpose:ident, $transpose_in:ident
    ) => {
        impl SimdFloat for $f {
            type Vector<S: Simd> = S::$v;
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: $f) -> S::$v {
                simd.$splat(x)
            }
            #[inline(always)]
            fn times_plus<S: Simd>(simd: S, x: S::$v, y: S::$v, z: S::$v) -> S::$v {
                simd.$mul_add(x, y, z)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, x: S::$v, y: S::$v) -> S::$v {
                simd.$add(x, y)
            }
            #[inline(always)]
            fn times_plus_one<S: Simd>(x: $f, y: $f, z: $f) -> $f {
                // Where vectors are single numbers, products are rounded.
                if lanes::<S, $f>() > 1 { x.mul_add(y, z) } else { x * y + z }
            }
            #[inline(always)]
            fn minus<S: Simd>(simd: S, x: S::$v, y: S::$v) -> S::$v {
                simd.$sub(x, y)
            }
            #[inline(always)]
            fn times<S: Simd>(simd: S, x: S::$v, y: S::$v) -> S::$v {
                simd.$mul(x, y)
            }
            #[inline(always)]
            fn over<S: Simd>(simd: S, x: S::$v, y: S::$v) -> S::$v {
                simd.$div(x, y)
            }
            #[inline(always)]
            fn negative<S: Simd>(simd: S, x: S::$v) -> S::$v {
                // pulp's own negation is not always inlined, and is then compiled without vectors.
                simd.$sub(simd.$splat(-0.0), x)
            }
            #[inline(always)]
            fn sum_lanes<S: Simd>(simd: S, x: S::$v) -> $f {
                simd.$sum(x)
            }
            #[inline(always)]
            fn first<S: Simd>(simd: S, n: usize, x: S::$v, y: S::$v) -> S::$v {
                simd.$select(simd.$mask(0, n as _).mask(), x, y)
            }
            #[inline(always)]
            fn load_some<S: Simd>(simd: S, x: &[$f]) -> S::$v {
                simd.$load_some(x)
            }
            #[inline(always)]
            fn store_some<S: Simd>(simd: S, to: &mut [$f], x: S::$v) {
                simd.$store_some(to, x);
            }
            #[inline(always)]
            fn transpose(x: [[$f; 4]; 4]) -> [[$f; 4]; 4] {
                $transpose(x)
            }
            #[inline(always)]
            fn transpose_in<S: Simd>(simd: S, x: [[$f; 4]; 4]) -> [[$f; 4]; 4] {
                $transpose_in(simd, x)
            }
        }
    };
}
simd_float!(
    f32: f32s, splat_f32s, mul_add_e_f32s, add_f32s, sub_f32s, mul_f32s, div_f32s, reduce_sum_f32s,
    select_f32s, mask_between_m32s, partial_load_f32s, partial_store_f32s, transpose_f32, transpose_f32_in
);
simd_float!(
    f64: f64s, splat_f64s, mul_add_e_f64s, add_f64s, sub_f64s, mul_f64s, div_f64s, reduce_sum_f64s,
    select_f64s, mask_between_m64s, partial_load_f64s, partial_store_f64s, transpose_f64, transpose_f64_in
);

/// The transpose of a matrix of four by four.
#[inline(always)]
fn transpose<F: Copy>(x: [[F; 4]; 4]) -> [[F; 4]; 4] {
    array::from_fn(|i| array::from_fn(|j| x[j][i]))
}

/// [`transpose`] by shuffles, which the compiler does not find and which are faster (see M23 in docs/MEASUREMENTS.md).
#[inline(always)]
fn transpose_f32(x: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
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

/// [`transpose`] by shuffles, as [`transpose_f32`].
#[inline(always)]
fn transpose_f64(x: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse2::try_new() {
        let [[a, e], [b, f], [c, g], [d, h]] = x.map(bytemuck::cast);
        return bytemuck::cast([
            [sse._mm_unpacklo_pd(a, b), sse._mm_unpacklo_pd(c, d)],
            [sse._mm_unpackhi_pd(a, b), sse._mm_unpackhi_pd(c, d)],
            [sse._mm_unpacklo_pd(e, f), sse._mm_unpacklo_pd(g, h)],
            [sse._mm_unpackhi_pd(e, f), sse._mm_unpackhi_pd(g, h)],
        ]);
    }
    transpose(x)
}

/// [`transpose_f32`], which has the longest vectors that four numbers fill.
#[inline(always)]
fn transpose_f32_in<S: Simd>(_: S, x: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    transpose_f32(x)
}

/// [`transpose_f64`] by vectors of four numbers in code that has them.
#[inline(always)]
fn transpose_f64_in<S: Simd>(_: S, x: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
    #[cfg(target_arch = "x86_64")]
    if lanes::<S, f64>() >= 4
        && let Some(avx) = pulp::core_arch::x86::Avx::try_new()
    {
        let [a, b, c, d] = x.map(bytemuck::cast);
        let (ab, cd) = (avx._mm256_unpacklo_pd(a, b), avx._mm256_unpacklo_pd(c, d));
        let (ef, gh) = (avx._mm256_unpackhi_pd(a, b), avx._mm256_unpackhi_pd(c, d));
        return bytemuck::cast([
            avx._mm256_permute2f128_pd::<0x20>(ab, cd),
            avx._mm256_permute2f128_pd::<0x20>(ef, gh),
            avx._mm256_permute2f128_pd::<0x31>(ab, cd),
            avx._mm256_permute2f128_pd::<0x31>(ef, gh),
        ]);
    }
    transpose_f64(x)
}

/// Copies a matrix, whose rows begin at multiples of `from_stride`, to its transpose, whose rows begin at multiples of
/// `to_stride`: by blocks of four by four.
pub(crate) struct CopyTransposed<'a, F> {
    pub(crate) from: &'a [F],
    pub(crate) from_stride: usize,
    /// Rows and columns of `from`.
    pub(crate) size: [usize; 2],
    pub(crate) to: &'a mut [F],
    pub(crate) to_stride: usize,
}

impl<F: SimdFloat> WithSimd for CopyTransposed<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { from, from_stride, size: [rows, columns], to, to_stride } = self;
        let (whole_rows, whole_columns) = (rows / 4 * 4, columns / 4 * 4);
        // The longer way is the inner loop, along four rows of one of the matrices.
        if rows > columns {
            for j in (0..whole_columns).step_by(4) {
                let mut lines = to[j * to_stride..].chunks_mut(to_stride);
                let mut to: [&mut [[F; 4]]; 4] = [&mut [], &mut [], &mut [], &mut []];
                for (to, line) in to.iter_mut().zip(&mut lines) {
                    *to = line[..whole_rows].as_chunks_mut().0;
                }
                for (i, from) in from[j..].chunks(4 * from_stride).take(whole_rows / 4).enumerate() {
                    let mut block = [[F::zero(); 4]; 4];
                    for (k, row) in block.iter_mut().enumerate() {
                        *row = *from[k * from_stride..].first_chunk().expect("four numbers of a row");
                    }
                    let [a, b, c, d] = F::transpose_in(simd, block);
                    (to[0][i], to[1][i], to[2][i], to[3][i]) = (a, b, c, d);
                }
            }
        } else {
            for i in (0..whole_rows).step_by(4) {
                let mut lines = from[i * from_stride..].chunks(from_stride);
                let mut from: [&[[F; 4]]; 4] = [&[]; 4];
                for (from, line) in from.iter_mut().zip(&mut lines) {
                    *from = line[..whole_columns].as_chunks().0;
                }
                for (j, to) in to[i..].chunks_mut(4 * to_stride).take(whole_columns / 4).enumerate() {
                    let block = F::transpose_in(simd, [from[0][j], from[1][j], from[2][j], from[3][j]]);
                    for (k, row) in block.into_iter().enumerate() {
                        *to[k * to_stride..].first_chunk_mut().expect("four numbers of a row") = row;
                    }
                }
            }
        }
        let mut copy = |rows: Range<usize>, columns: Range<usize>| {
            for i in rows {
                for j in columns.clone() {
                    to[j * to_stride + i] = from[i * from_stride + j];
                }
            }
        };
        if whole_columns < columns {
            copy(0..whole_rows, whole_columns..columns);
        }
        copy(whole_rows..rows, 0..columns);
    }
}

/// A dot product in four vectors of partial sums.
pub(crate) struct Dot<'a, F> {
    pub(crate) a: &'a [F],
    pub(crate) b: &'a [F],
}

impl<F: SimdFloat> WithSimd for Dot<'_, F> {
    type Output = F;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> F {
        let whole = self.a.len() / lanes::<S, F>() * lanes::<S, F>();
        let ((a, a_rest), (b, b_rest)) = (self.a.split_at(whole), self.b.split_at(whole));
        let (a, a_last) = vectors::<S, F>(a).as_chunks::<4>();
        let (b, b_last) = vectors::<S, F>(b).as_chunks::<4>();
        let mut sums = [F::splat(simd, F::zero()); 4];
        for (a, b) in a.iter().zip(b) {
            for v in 0..4 {
                sums[v] = F::times_plus(simd, a[v], b[v], sums[v]);
            }
        }
        for (sum, (&a, &b)) in sums.iter_mut().zip(a_last.iter().zip(b_last)) {
            *sum = F::times_plus(simd, a, b, *sum);
        }
        let [s, t, u, v] = sums;
        let sum = F::plus(simd, F::plus(simd, s, t), F::plus(simd, u, v));
        let rest = a_rest.iter().zip(b_rest).fold(F::zero(), |sum, (&x, &y)| sum + x * y);
        F::sum_lanes(simd, sum) + rest
    }
}
