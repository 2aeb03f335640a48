//! Matrix products over strided slices: `c = a·b` and `c += a·b`; dot products.
//!
//! A product takes one of four ways, by size and strides, as measured:
//! - plain loops, right for every number type, fastest for a few dozen multiplications;
//! - register tiles at the sizes of small nets, compiled for AVX-512, AVX2, NEON and the
//!   baseline and chosen at run time;
//! - for results of fewer columns than a vector has lanes, tiles of the transpose, or sums along rows;
//! - the kernels of the `gemm` crate beyond, which block for the caches.
//!
//! All follow plain arithmetic: no factor is skipped for being zero, so `0·NaN` and `0·∞` give
//! NaN. Only the order of summation differs.

mod large;
mod narrow;
mod tiles;

use std::cell::RefCell;
use std::ops::Mul;
use std::sync::LazyLock;

use num_traits::Zero;
use pulp::bytemuck::{self, Pod};
use pulp::{Arch, Simd, WithSimd};

use large::large;
use narrow::{Dots, Flipped};
use tiles::{Tiles, transpose, transpose_f32};

/// What a product does to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unreachable_pub)]
pub enum Store {
    /// `c = a·b`; the old values do not matter, NaN or not.
    Set,
    /// `c += a·b`.
    Add,
}

/// Where the elements of a matrix are.
#[derive(Clone, Copy)]
struct MatLayout {
    offset: usize,
    shape: [usize; 2],
    strides: [isize; 2],
}

impl MatLayout {
    /// Panics if an element lies outside of `0..len`.
    #[inline]
    #[track_caller]
    fn new(len: usize, offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        // The extremes of a linear map over a box.
        let last = || {
            let (mut first, mut last) = (offset, offset);
            for d in 0..2 {
                let reach = (shape[d] - 1).checked_mul(strides[d].unsigned_abs())?;
                if strides[d] < 0 {
                    first = first.checked_sub(reach)?;
                } else {
                    last = last.checked_add(reach)?;
                }
            }
            Some(last)
        };
        assert!(
            shape.contains(&0) || last().is_some_and(|last| last < len),
            "a {shape:?} matrix with strides {strides:?} from {offset} exceeds its {len} elements"
        );
        Self { offset, shape, strides }
    }

    #[inline]
    fn t(self) -> Self {
        let ([m, n], [row, col]) = (self.shape, self.strides);
        Self { shape: [n, m], strides: [col, row], ..self }
    }

    /// The same elements, those along one axis from the last to the first. Not for an empty matrix.
    fn reversed(mut self, axis: usize) -> Self {
        let reach = (self.shape[axis] as isize - 1).wrapping_mul(self.strides[axis]);
        self.offset = self.offset.wrapping_add_signed(reach);
        self.strides[axis] = -self.strides[axis];
        self
    }

    /// `len` rows (axis 0) or columns from the given one on.
    fn part(mut self, axis: usize, first: usize, len: usize) -> Self {
        self.offset = if axis == 0 { self.at(first, 0) } else { self.at(0, first) };
        self.shape[axis] = len;
        self
    }

    /// The place of an element. `new` has checked that it does not wrap.
    #[inline(always)]
    fn at(self, i: usize, j: usize) -> usize {
        let [row, col] = self.strides;
        let step = (i as isize).wrapping_mul(row).wrapping_add((j as isize).wrapping_mul(col));
        self.offset.wrapping_add_signed(step)
    }
}

/// A matrix inside a slice. Its strides may be zero (broadcast) or negative.
#[derive(Clone, Copy)]
#[allow(unreachable_pub)]
pub struct Mat<'a, F> {
    data: &'a [F],
    layout: MatLayout,
}

impl<'a, F> Mat<'a, F> {
    /// Element `(i, j)` is `data[offset + i·strides[0] + j·strides[1]]`.
    ///
    /// # Panics
    /// If an element lies outside of `data`.
    #[inline]
    #[track_caller]
    pub fn new(data: &'a [F], offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        Self { data, layout: MatLayout::new(data.len(), offset, shape, strides) }
    }

    /// The transpose, of the same elements.
    #[inline]
    pub fn t(self) -> Self {
        Self { layout: self.layout.t(), ..self }
    }

    /// The slice from element `(i, j)` on.
    #[inline(always)]
    fn from(self, i: usize, j: usize) -> &'a [F] {
        &self.data[self.layout.at(i, j)..]
    }
}

/// A matrix inside a slice, to be written.
#[allow(unreachable_pub)]
pub struct MatMut<'a, F> {
    data: &'a mut [F],
    layout: MatLayout,
}

impl<'a, F> MatMut<'a, F> {
    /// Element `(i, j)` is `data[offset + i·strides[0] + j·strides[1]]`.
    ///
    /// # Panics
    /// If an element lies outside of `data`, or if one stride does not step over the whole extent
    /// of the other: then two elements might share a place.
    #[inline]
    #[track_caller]
    pub fn new(data: &'a mut [F], offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        let layout = MatLayout::new(data.len(), offset, shape, strides);
        let ([m, n], [row, col]) = (shape, strides.map(isize::unsigned_abs));
        // No overflow: both extents are below `data.len()`.
        let distinct = match (m, n) {
            (0, _) | (_, 0) | (1, 1) => true,
            (1, _) => col > 0,
            (_, 1) => row > 0,
            _ => row.min(col) > 0 && (row > (n - 1) * col || col > (m - 1) * row),
        };
        assert!(distinct, "elements of a {shape:?} matrix with strides {strides:?} may overlap");
        Self { data, layout }
    }

    #[inline]
    fn t(self) -> Self {
        Self { layout: self.layout.t(), ..self }
    }
}

/// `c = a·b` or `c += a·b`, of shapes `[m, n]`, `[m, k]` and `[k, n]`. For `k = 0` the product is
/// zero.
///
/// # Panics
/// If the shapes do not fit.
#[inline]
#[track_caller]
pub(crate) fn matmul<F: GemmScalar>(c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Store) {
    let ([m, n], [i, k], [l, j]) = (c.layout.shape, a.layout.shape, b.layout.shape);
    assert!(i == m && l == k && j == n, "cannot multiply {i}×{k} by {l}×{j} into {m}×{n}");
    let [row, col] = c.layout.strides;
    if m == 1 && n == 1 && a.layout.strides[1] == 1 && b.layout.strides[0] == 1 && k > 0 {
        let product = dot(&a.data[a.layout.offset..][..k], &b.data[b.layout.offset..][..k]);
        let c = &mut c.data[c.layout.offset];
        *c = if update == Store::Set { product } else { *c + product };
        return;
    }
    // cᵀ = bᵀ·aᵀ brings the contiguous or only dimension of c into its rows; but rows of a make sums.
    if n == 1 && (a.layout.strides[1] != 1 || k < 64 || m < 4) || (row == 1 && col != 1 && m > 1) {
        F::product(c.t(), b.t(), a.t(), update);
    } else {
        F::product(c, a, b, update);
    }
}

/// `Σ a[i]·b[i]`. For `f32` and `f64` it is summed in as many parts as keep the processor busy.
///
/// # Panics
/// If the lengths differ.
#[inline]
#[track_caller]
fn dot<F: GemmScalar>(a: &[F], b: &[F]) -> F {
    assert_eq!(a.len(), b.len(), "dot product of slices of different lengths");
    F::inner(a, b)
}

/// A number to make matrices of. The provided methods suit every number; `f32` and `f64` have
/// faster ones.
#[allow(unreachable_pub)] // a supertrait of the public `Scalar`
pub trait GemmScalar: Copy + Zero + Mul<Output = Self> {
    /// [`matmul`] of shapes that fit.
    fn product(c: MatMut<'_, Self>, a: Mat<'_, Self>, b: Mat<'_, Self>, update: Store) {
        loops(c, a, b, update);
    }

    /// [`dot`] of equal lengths.
    fn inner(a: &[Self], b: &[Self]) -> Self {
        a.iter().zip(b).fold(Self::zero(), |sum, (&x, &y)| sum + x * y)
    }
}

/// The product by its definition; by rows of `b` where these and those of `c` are contiguous.
fn loops<F: Copy + Zero + Mul<Output = F>>(c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Store) {
    let MatMut { data, layout } = c;
    let ([m, n], k) = (layout.shape, a.layout.shape[1]);
    if n == 0 {
        return;
    }
    for i in 0..m {
        if k > 0 && layout.strides[1] == 1 && b.layout.strides[1] == 1 {
            let row = &mut data[layout.at(i, 0)..][..n];
            for p in 0..k {
                let x = a.data[a.layout.at(i, p)];
                let fresh = p == 0 && update == Store::Set;
                for (c, &y) in row.iter_mut().zip(b.from(p, 0)) {
                    *c = if fresh { x * y } else { *c + x * y };
                }
            }
        } else {
            for j in 0..n {
                let term = |p| a.data[a.layout.at(i, p)] * b.data[b.layout.at(p, j)];
                let sum = (0..k).fold(F::zero(), |sum, p| sum + term(p));
                let c = &mut data[layout.at(i, j)];
                *c = if update == Store::Add { *c + sum } else { sum };
            }
        }
    }
}

/// `f32` and `f64` in the lanes of a vector register, under the same names.
trait SimdFloat: Pod + Zero + Mul<Output = Self> {
    type Vector<S: Simd>: Pod;
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// `x·y + z`, fused where the processor can.
    fn mul_add<S: Simd>(simd: S, x: Self::Vector<S>, y: Self::Vector<S>, z: Self::Vector<S>) -> Self::Vector<S>;
    fn plus<S: Simd>(simd: S, x: Self::Vector<S>, y: Self::Vector<S>) -> Self::Vector<S>;
    fn sum<S: Simd>(simd: S, x: Self::Vector<S>) -> Self;
    /// The first `n` lanes of `x`, the others of `y`.
    fn first<S: Simd>(simd: S, n: usize, x: Self::Vector<S>, y: Self::Vector<S>) -> Self::Vector<S>;
    fn transpose(x: [[Self; 4]; 4]) -> [[Self; 4]; 4];
}

const fn lanes<S: Simd, F: SimdFloat>() -> usize {
    size_of::<F::Vector<S>>() / size_of::<F>()
}

#[inline(always)]
fn vectors<S: Simd, F: SimdFloat>(x: &[F]) -> &[F::Vector<S>] {
    bytemuck::cast_slice(x)
}

macro_rules! float {
    (
        $f:ident: $v:ident, $splat:ident, $mul_add:ident, $add:ident, $sum:ident, $select:ident,
        $mask:ident, $transpose:ident, $gemm:ident, columns up to $columns:expr
    ) => {
        impl SimdFloat for $f {
            type Vector<S: Simd> = S::$v;
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: $f) -> S::$v {
                simd.$splat(x)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, x: S::$v, y: S::$v, z: S::$v) -> S::$v {
                simd.$mul_add(x, y, z)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, x: S::$v, y: S::$v) -> S::$v {
                simd.$add(x, y)
            }
            #[inline(always)]
            fn sum<S: Simd>(simd: S, x: S::$v) -> $f {
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

        impl GemmScalar for $f {
            fn product(c: MatMut<'_, $f>, a: Mat<'_, $f>, b: Mat<'_, $f>, update: Store) {
                thread_local!(static SCRATCH: RefCell<[Vec<$f>; 2]> = const { RefCell::new([vec![], vec![]]) });
                let ([m, n], k) = (c.layout.shape, a.layout.shape[1]);
                let work = m * n * k;
                // What was faster, on a Xeon with AVX-512. Tiles win where the `gemm` crate would
                // fill up a narrow c, and where it would copy more than there is to compute.
                let size = size_of::<$f>();
                let tiles = c.layout.strides[1] == 1
                    && a.layout.strides.contains(&1)
                    && match b.layout.strides {
                        [_, 1] if n * size <= 128 => k > 2 && work <= 1 << 21,
                        [_, 1] => k > 2 && work * size <= 1 << 16,
                        [1, _] => m.min(n) >= 8 && work <= $columns,
                        _ => false,
                    };
                // Fewer columns than a vector has lanes: vectors run along the sums, or along the rows.
                let narrow = n * size < 64 && (n == 1 || c.layout.strides[1] == 1);
                let sums = narrow && a.layout.strides[1] == 1 && k * size >= 256;
                let rows = narrow && n > 1 && a.layout.strides[0] == 1 && b.layout.strides.contains(&1);
                if work <= 64 || work <= 256 && !tiles {
                    loops(c, a, b, update);
                } else if sums && m >= 4 {
                    SCRATCH.with_borrow_mut(|[scratch, _]| {
                        arch().dispatch(Dots { c, a, b, update, scratch });
                    });
                } else if rows && m * size >= 128 && work >= 1 << 12 {
                    SCRATCH.with_borrow_mut(|scratch| {
                        arch().dispatch(Flipped { c, a, b, update, scratch });
                    });
                } else if tiles {
                    SCRATCH.with_borrow_mut(|[scratch, _]| {
                        arch().dispatch(Tiles { c, a, b, update, scratch });
                    });
                } else {
                    large(c, a, b, update, $gemm::gemm::$f::get_gemm_fn());
                }
            }

            fn inner(a: &[$f], b: &[$f]) -> $f {
                arch().dispatch(Dot { a, b })
            }
        }
    };
}

float!(
    f32: f32s, splat_f32s, mul_add_e_f32s, add_f32s, reduce_sum_f32s, select_f32s,
    mask_between_m32s, transpose_f32, gemm_f32, columns up to 1 << 16
);
float!(
    f64: f64s, splat_f64s, mul_add_e_f64s, add_f64s, reduce_sum_f64s, select_f64s,
    mask_between_m64s, transpose, gemm_f64, columns up to 1 << 13
);

/// The instruction set to use; to ask the processor each time costs as much as a small product.
fn arch() -> Arch {
    static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);
    *ARCH
}

/// A dot product in four vectors of partial sums.
struct Dot<'a, F> {
    a: &'a [F],
    b: &'a [F],
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
                sums[v] = F::mul_add(simd, a[v], b[v], sums[v]);
            }
        }
        for (sum, (&a, &b)) in sums.iter_mut().zip(a_last.iter().zip(b_last)) {
            *sum = F::mul_add(simd, a, b, *sum);
        }
        let [s, t, u, v] = sums;
        let sum = F::plus(simd, F::plus(simd, s, t), F::plus(simd, u, v));
        let rest = a_rest.iter().zip(b_rest).fold(F::zero(), |sum, (&x, &y)| sum + x * y);
        F::sum(simd, sum) + rest
    }
}

#[cfg(test)]
mod tests;
