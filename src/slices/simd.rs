//! `f32` and `f64` in vector registers, under the same names, and the dot product.

use std::array;
use std::ops::{Add, Mul};

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
    fn transpose(x: [[Self; 4]; 4]) -> [[Self; 4]; 4];
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
        $sum:ident, $select:ident, $mask:ident, $transpose:ident
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
            fn transpose(x: [[$f; 4]; 4]) -> [[$f; 4]; 4] {
                $transpose(x)
            }
        }
    };
}
simd_float!(
    f32: f32s, splat_f32s, mul_add_e_f32s, add_f32s, sub_f32s, mul_f32s, div_f32s, reduce_sum_f32s,
    select_f32s, mask_between_m32s, transpose_f32
);
simd_float!(
    f64: f64s, splat_f64s, mul_add_e_f64s, add_f64s, sub_f64s, mul_f64s, div_f64s, reduce_sum_f64s,
    select_f64s, mask_between_m64s, transpose_f64
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

/// Copies a matrix, whose rows begin at multiples of `from_stride`, to its transpose, whose rows begin at multiples of
/// `to_stride`: by blocks of four by four.
#[inline]
pub(crate) fn copy_transposed<F: SimdFloat>(
    from: &[F],
    from_stride: usize,
    [rows, columns]: [usize; 2],
    to: &mut [F],
    to_stride: usize,
) {
    let (whole_rows, whole_columns) = (rows / 4 * 4, columns / 4 * 4);
    for i in (0..whole_rows).step_by(4) {
        for j in (0..whole_columns).step_by(4) {
            // One check of bounds for each of the four rows of a block.
            let (first, place) = (i * from_stride + j, j * to_stride + i);
            let from = &from[first..first + 3 * from_stride + 4];
            let to = &mut to[place..place + 3 * to_stride + 4];
            let row = |k: usize| *from[k * from_stride..].first_chunk::<4>().expect("four numbers of a row");
            let block = F::transpose([row(0), row(1), row(2), row(3)]);
            for (k, row) in block.into_iter().enumerate() {
                *to[k * to_stride..].first_chunk_mut::<4>().expect("four numbers of a row") = row;
            }
        }
    }
    for i in 0..rows {
        let first = if i < whole_rows { whole_columns } else { 0 };
        for j in first..columns {
            to[j * to_stride + i] = from[i * from_stride + j];
        }
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
