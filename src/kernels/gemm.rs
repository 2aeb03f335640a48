//! Matrix products over strided slices: `c = a·b` and `c += a·b`.
//!
//! Three ways, chosen by size (figures: one thread of an AVX-512 Xeon):
//! - a few dozen multiplications: plain loops, for any number type;
//! - the sizes of small nets: register tiles, compiled for AVX-512, AVX2 and the baseline and picked at run time;
//! - beyond: the `gemm` crate, which blocks for the caches.
//!
//! All three follow plain arithmetic: nothing is skipped because a factor is zero, so `0·NaN` and
//! `0·inf` give NaN. The order of summation differs between them.

use std::array;
use std::cell::RefCell;
use std::ops::Mul;
use std::sync::LazyLock;

use num_traits::Zero;
use pulp::bytemuck::{self, Pod};
use pulp::{Arch, Simd, WithSimd};

/// Whether a product replaces the destination or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// `c = a·b`; the old values, NaN or not, do not matter.
    Set,
    /// `c += a·b`.
    Add,
}

/// Where the elements of a matrix are: `(i, j)` at `offset + i·strides[0] + j·strides[1]`.
#[derive(Clone, Copy)]
struct Layout {
    offset: usize,
    shape: [usize; 2],
    strides: [isize; 2],
}

impl Layout {
    /// # Panics
    /// If an element lies outside of `0..len`.
    #[track_caller]
    fn new(len: usize, offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        let inside = shape.contains(&0) || {
            // The extremes of a linear map over a box; `i128` cannot overflow here.
            let reach = [0, 1].map(|d| (shape[d] as i128 - 1) * strides[d] as i128);
            let low = offset as i128 + reach.iter().map(|r| r.min(&0)).sum::<i128>();
            let high = offset as i128 + reach.iter().map(|r| r.max(&0)).sum::<i128>();
            low >= 0 && high < len as i128
        };
        assert!(inside, "matrix {shape:?} with strides {strides:?} at {offset} exceeds its slice of length {len}");
        Self { offset, shape, strides }
    }

    fn t(self) -> Self {
        let ([m, n], [row, col]) = (self.shape, self.strides);
        Self { shape: [n, m], strides: [col, row], ..self }
    }

    /// Exact for every element, since `new` has checked its place; wraps for others.
    #[inline(always)]
    fn at(self, i: usize, j: usize) -> usize {
        let step = (i as isize).wrapping_mul(self.strides[0]).wrapping_add((j as isize).wrapping_mul(self.strides[1]));
        self.offset.wrapping_add_signed(step)
    }
}

/// A matrix inside a slice. Strides may be zero (broadcast) or negative.
#[derive(Clone, Copy)]
pub struct Mat<'a, F> {
    data: &'a [F],
    layout: Layout,
}

impl<'a, F> Mat<'a, F> {
    /// Element `(i, j)` is `data[offset + i·strides[0] + j·strides[1]]`.
    ///
    /// # Panics
    /// If an element lies outside of `data`.
    #[track_caller]
    pub fn new(data: &'a [F], offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        Self { data, layout: Layout::new(data.len(), offset, shape, strides) }
    }

    /// The transpose; nothing moves.
    pub fn t(self) -> Self {
        Self { layout: self.layout.t(), ..self }
    }

    /// Everything from element `(i, j)` on.
    #[inline(always)]
    fn from(self, i: usize, j: usize) -> &'a [F] {
        &self.data[self.layout.at(i, j)..]
    }
}

/// A matrix to write to, inside a slice.
pub struct MatMut<'a, F> {
    data: &'a mut [F],
    layout: Layout,
}

impl<'a, F> MatMut<'a, F> {
    /// Element `(i, j)` is `data[offset + i·strides[0] + j·strides[1]]`.
    ///
    /// # Panics
    /// If an element lies outside of `data`, or two elements may share a place: the rows, or the
    /// columns, must not interleave, as is so for every slice and transpose of an array.
    #[track_caller]
    pub fn new(data: &'a mut [F], offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        let layout = Layout::new(data.len(), offset, shape, strides);
        let ([m, n], [row, col]) = (shape, strides.map(isize::unsigned_abs));
        // Both spans are below `data.len()`, so they do not overflow.
        let distinct = m == 0
            || n == 0
            || (m == 1 || row > (n - 1) * col) && (n == 1 || col > 0)
            || (n == 1 || col > (m - 1) * row) && (m == 1 || row > 0);
        assert!(distinct, "elements of matrix {shape:?} with strides {strides:?} overlap");
        Self { data, layout }
    }

    fn t(self) -> Self {
        Self { layout: self.layout.t(), ..self }
    }
}

/// `c = a·b` or `c += a·b`, shapes `[m, n]`, `[m, k]`, `[k, n]`. An empty sum (`k = 0`) is zero.
///
/// # Panics
/// If the shapes do not fit.
#[track_caller]
pub fn matmul<F: GemmScalar>(c: MatMut<F>, a: Mat<F>, b: Mat<F>, update: Update) {
    let ([m, n], [am, ak], [bk, bn]) = (c.layout.shape, a.layout.shape, b.layout.shape);
    assert!(am == m && bk == ak && bn == n, "cannot multiply {am}×{ak} by {bk}×{bn} into {m}×{n}");
    // cᵀ = bᵀ·aᵀ: every path below wants the long contiguous side of c along a row.
    let [row, col] = c.layout.strides;
    let (c, a, b) = if n == 1 || (row == 1 && col != 1 && m > 1) { (c.t(), b.t(), a.t()) } else { (c, a, b) };
    F::product(c, a, b, update);
}

/// `Σ a[i]·b[i]`, in several partial sums.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn dot<F: GemmScalar>(a: &[F], b: &[F]) -> F {
    assert_eq!(a.len(), b.len(), "dot product of different lengths");
    F::inner(a, b)
}

/// A number that matrices can be made of. The provided methods are right for every number;
/// `f32` and `f64` replace them by fast ones.
pub trait GemmScalar: Copy + Zero + Mul<Output = Self> {
    /// [`matmul`], shapes checked.
    fn product(c: MatMut<Self>, a: Mat<Self>, b: Mat<Self>, update: Update) {
        loops(c, a, b, update);
    }

    /// [`dot`], lengths checked.
    fn inner(a: &[Self], b: &[Self]) -> Self {
        a.iter().zip(b).fold(Self::zero(), |sum, (&x, &y)| sum + x * y)
    }
}

fn arch() -> Arch {
    static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);
    *ARCH
}

/// The product by its definition: rows of `b` are added up where they are contiguous, else dot products.
#[inline]
fn loops<F: Copy + Zero + Mul<Output = F>>(c: MatMut<F>, a: Mat<F>, b: Mat<F>, update: Update) {
    let MatMut { data, layout } = c;
    let ([m, n], k) = (layout.shape, a.layout.shape[1]);
    if n == 0 {
        return;
    }
    let rows = layout.strides[1] == 1 && b.layout.strides[1] == 1;
    for i in 0..m {
        if rows {
            let start = layout.at(i, 0);
            let row = &mut data[start..start + n];
            if update == Update::Set {
                row.fill(F::zero());
            }
            for p in 0..k {
                let x = a.data[a.layout.at(i, p)];
                for (c, &b) in row.iter_mut().zip(b.from(p, 0)) {
                    *c = *c + x * b;
                }
            }
        } else {
            for j in 0..n {
                let mut sum = F::zero();
                let (mut x, mut y) = (a.layout.at(i, 0), b.layout.at(0, j));
                for _ in 0..k {
                    sum = sum + a.data[x] * b.data[y];
                    x = x.wrapping_add_signed(a.layout.strides[1]);
                    y = y.wrapping_add_signed(b.layout.strides[0]);
                }
                let c = &mut data[layout.at(i, j)];
                *c = if update == Update::Add { *c + sum } else { sum };
            }
        }
    }
}

/// `f32` and `f64` as lanes of a vector register, under one name for both.
trait Lanes: Pod + Zero + Mul<Output = Self> {
    type V<S: Simd>: Pod;
    fn splat<S: Simd>(simd: S, x: Self) -> Self::V<S>;
    /// `a·b + c`, fused where the machine can.
    fn mul_add<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>, c: Self::V<S>) -> Self::V<S>;
    fn plus<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    fn sum<S: Simd>(simd: S, a: Self::V<S>) -> Self;
    fn first<S: Simd>(simd: S, n: usize, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    fn transpose4(x: [[Self; 4]; 4]) -> [[Self; 4]; 4];
}

const fn lanes<S: Simd, F: Lanes>() -> usize {
    size_of::<F::V<S>>() / size_of::<F>()
}

/// A slice whose length is a multiple of the lane count, as vectors.
#[inline(always)]
fn vectors<S: Simd, F: Lanes>(x: &[F]) -> &[F::V<S>] {
    bytemuck::cast_slice(x)
}

macro_rules! float {
    ($f:ty, $v:ident, $splat:ident, $mul_add:ident, $add:ident, $sum:ident, $select:ident, $mask:ident, $transpose4:ident) => {
        impl Lanes for $f {
            type V<S: Simd> = S::$v;
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$v {
                simd.$splat(x)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$v, b: S::$v, c: S::$v) -> S::$v {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$v, b: S::$v) -> S::$v {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn sum<S: Simd>(simd: S, a: S::$v) -> Self {
                simd.$sum(a)
            }
            #[inline(always)]
            fn first<S: Simd>(simd: S, n: usize, a: S::$v, b: S::$v) -> S::$v {
                simd.$select(simd.$mask(0, n as _).mask(), a, b)
            }
            #[inline(always)]
            fn transpose4(x: [[Self; 4]; 4]) -> [[Self; 4]; 4] {
                $transpose4(x)
            }
        }

        impl GemmScalar for $f {
            fn product(c: MatMut<Self>, a: Mat<Self>, b: Mat<Self>, update: Update) {
                thread_local!(static PANEL: RefCell<Vec<$f>> = const { RefCell::new(Vec::new()) });
                let ([m, n], k) = (c.layout.shape, a.layout.shape[1]);
                let work = m * n * k;
                if work <= unsafe{LOOPS} {
                    loops(c, a, b, update);
                } else if work <= unsafe{TILES} && k <= DEPTH && c.layout.strides[1] == 1 && Side::of(a).is_some() {
                    PANEL.with_borrow_mut(|panel| arch().dispatch(Tiles { c, a, b, update, panel }));
                } else {
                    large(c, a, b, update);
                }
            }

            fn inner(a: &[Self], b: &[Self]) -> Self {
                arch().dispatch(Dot { a, b })
            }
        }
    };
}
float!(
    f32,
    f32s,
    splat_f32s,
    mul_add_e_f32s,
    add_f32s,
    reduce_sum_f32s,
    select_f32s,
    mask_between_m32s,
    transpose4_f32
);
float!(f64, f64s, splat_f64s, mul_add_e_f64s, add_f64s, reduce_sum_f64s, select_f64s, mask_between_m64s, transpose4);
#[doc(hidden)]
pub fn bench_loops<F: GemmScalar>(c: MatMut<F>, a: Mat<F>, b: Mat<F>, update: Update) {
    loops(c, a, b, update)
}
pub static mut LOOPS: usize = 64;
pub static mut TILES: usize = 1 << 20;
pub const DEPTH: usize = 1024;

#[inline(always)]
fn transpose4<F: Copy>(x: [[F; 4]; 4]) -> [[F; 4]; 4] {
    array::from_fn(|p| array::from_fn(|q| x[q][p]))
}

/// Twice as fast as what the compiler makes of [`transpose4`].
#[inline(always)]
fn transpose4_f32(x: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
        let [a, b, c, d] = x.map(|row| bytemuck::cast(row));
        let (ab, cd) = (sse._mm_unpacklo_ps(a, b), sse._mm_unpacklo_ps(c, d));
        let (ef, gh) = (sse._mm_unpackhi_ps(a, b), sse._mm_unpackhi_ps(c, d));
        return bytemuck::cast([
            sse._mm_movelh_ps(ab, cd),
            sse._mm_movehl_ps(cd, ab),
            sse._mm_movelh_ps(ef, gh),
            sse._mm_movehl_ps(gh, ef),
        ]);
    }
    transpose4(x)
}

/// How a tile reads its rows of `a`.
#[derive(Clone, Copy)]
enum Side {
    Rows(usize),
    Cols(usize),
}
impl Side {
    #[inline(always)]
    fn of<F>(a: Mat<F>) -> Option<Self> {
        match a.layout.strides {
            [row, 1] if row >= 0 => Some(Self::Rows(row as usize)),
            [1, col] if col >= 0 => Some(Self::Cols(col as usize)),
            _ => None,
        }
    }
}

struct Tiles<'a, F> {
    c: MatMut<'a, F>,
    a: Mat<'a, F>,
    b: Mat<'a, F>,
    update: Update,
    panel: &'a mut Vec<F>,
}

/// `k` rows of `b`, some vectors wide, `stride` apart; those from `whole` on are in `rest`, zero padded
#[derive(Clone, Copy)]
struct Panel<'a, F> {
    data: &'a [F],
    stride: usize,
    whole: usize,
    rest: &'a [F],
}

impl<F: Lanes> WithSimd for Tiles<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { mut c, a, b, update, panel } = self;
        let ([m, n], k) = (c.layout.shape, a.layout.shape[1]);
        let add = update == Update::Add;
        if m == 1 && b.layout.strides[0] == 1 && a.layout.strides[1] == 1 {
            let x = &a.from(0, 0)[..k];
            let start = c.layout.at(0, 0);
            for (j, c) in c.data[start..start + n].iter_mut().enumerate() {
                let sum = Dot { a: x, b: &b.from(0, j)[..k] }.with_simd(simd);
                *c = if add { *c + sum } else { sum };
            }
            return;
        }
        let mut j = 0;
        while j < n {
            j += if n - j <= lanes::<S, F>() {
                columns::<S, F, 1>(simd, &mut c, a, b, j, add, panel)
            } else {
                columns::<S, F, 2>(simd, &mut c, a, b, j, add, panel)
            };
        }
    }
}

#[inline(always)]
fn columns<S: Simd, F: Lanes, const NV: usize>(
    simd: S,
    c: &mut MatMut<F>,
    a: Mat<F>,
    b: Mat<F>,
    j: usize,
    add: bool,
    panel: &mut Vec<F>,
) -> usize {
    let ([m, n], k) = (c.layout.shape, a.layout.shape[1]);
    let nr = NV * lanes::<S, F>();
    let w = nr.min(n - j);
    let (data, stride, whole) = match b.layout.strides {
        [stride, 1] if stride > 0 => {
            let (data, stride) = (b.from(0, j), stride as usize);
            let whole = if data.len() >= (k - 1) * stride + nr {
                k
            } else if data.len() < nr {
                0
            } else {
                (data.len() - nr) / stride + 1
            };
            (data, stride, whole)
        }
        _ => (b.data, 0, 0),
    };
    let len = (k - whole) * nr;
    if panel.len() < len {
        panel.resize(len, F::zero())
    }
    let rest = &mut panel[..len];
    if len > 0 {
        pack(rest, nr, b, whole, j, w);
    }
    let b = Panel { data, stride, whole, rest };
    let mut i = 0;
    while i < m {
        i += match m - i {
            8.. if S::REGISTER_COUNT >= 32 => strip::<S, F, 8, NV>(simd, c, a, b, i, j, k, w, add),
            4.. => strip::<S, F, 4, NV>(simd, c, a, b, i, j, k, w, add),
            2.. => strip::<S, F, 2, NV>(simd, c, a, b, i, j, k, w, add),
            _ => strip::<S, F, 1, NV>(simd, c, a, b, i, j, k, w, add),
        };
    }
    w
}

/// Columns `j..j + w` of `b` from row `p0`, as rows of length `nr`
#[inline(always)]
fn pack<F: Lanes>(dst: &mut [F], nr: usize, b: Mat<F>, p0: usize, j: usize, w: usize) {
    let k = b.layout.shape[0] - p0;
    let mut q = 0;
    if w < nr {
        dst.fill(F::zero());
    }
    if b.layout.strides[0] == 1 {
        while q + 4 <= w {
            let cols: [&[[F; 4]]; 4] = array::from_fn(|r| b.from(p0, j + q + r)[..k].as_chunks().0);
            for (p, rows) in dst.chunks_exact_mut(4 * nr).enumerate() {
                let x = F::transpose4(array::from_fn(|r| cols[r][p]));
                for u in 0..4 {
                    rows[u * nr + q..][..4].copy_from_slice(&x[u]);
                }
            }
            for p in k / 4 * 4..k {
                for r in 0..4 {
                    dst[p * nr + q + r] = b.data[b.layout.at(p0 + p, j + q + r)];
                }
            }
            q += 4;
        }
    }
    for (p, row) in dst.chunks_exact_mut(nr).enumerate() {
        for q in q..w {
            row[q] = b.data[b.layout.at(p0 + p, j + q)];
        }
    }
}

#[inline(always)]
fn strip<S: Simd, F: Lanes, const MR: usize, const NV: usize>(
    simd: S,
    c: &mut MatMut<F>,
    a: Mat<F>,
    b: Panel<F>,
    i: usize,
    j: usize,
    k: usize,
    w: usize,
    add: bool,
) -> usize {
    let lanes = lanes::<S, F>();
    let nr = NV * lanes;
    let data = a.from(i, 0);
    let acc = match Side::of(a) {
        Some(Side::Rows(stride)) => {
            let mut rows = [&data[..k]; MR];
            for r in 1..MR {
                rows[r] = &data[r * stride..][..k];
            }
            tile::<S, F, MR, NV>(
                simd,
                k,
                #[inline(always)]
                |r, p| rows[r][p],
                b,
            )
        }
        Some(Side::Cols(stride)) => tile::<S, F, MR, NV>(
            simd,
            k,
            #[inline(always)]
            |r, p| data[p * stride..][..MR][r],
            b,
        ),
        None => unreachable!(),
    };
    let start = c.layout.at(i, j);
    let step = c.layout.strides[0] as usize;
    for r in 0..MR {
        let start = start.wrapping_add(r.wrapping_mul(step));
        if let Some(row) = c.data.get_mut(start..start + nr) {
            let row: &mut [F::V<S>; NV] = bytemuck::cast_slice_mut(row).try_into().unwrap();
            for v in 0..NV {
                let new = if add { F::plus(simd, row[v], acc[r][v]) } else { acc[r][v] };
                row[v] = if w == nr { new } else { F::first(simd, w.saturating_sub(v * lanes), new, row[v]) };
            }
        } else {
            let last = acc[r];
            edge(&mut c.data[start..start + w], bytemuck::cast_slice(&last), add);
        }
    }
    MR
}

#[cold]
#[inline(never)]
fn edge<F: Lanes>(row: &mut [F], sums: &[F], add: bool) {
    for (c, &sum) in row.iter_mut().zip(sums) {
        *c = if add { *c + sum } else { sum };
    }
}

#[inline(always)]
fn rank1<S: Simd, F: Lanes, const MR: usize, const NV: usize>(
    simd: S,
    acc: &mut [[F::V<S>; NV]; MR],
    a: impl Fn(usize) -> F,
    b: &[F],
) {
    let b: [F::V<S>; NV] = vectors::<S, F>(b).try_into().unwrap();
    for r in 0..MR {
        let x = F::splat(simd, a(r));
        for v in 0..NV {
            acc[r][v] = F::mul_add(simd, x, b[v], acc[r][v]);
        }
    }
}

#[inline(always)]
fn tile<S: Simd, F: Lanes, const MR: usize, const NV: usize>(
    simd: S,
    k: usize,
    a: impl Fn(usize, usize) -> F,
    b: Panel<F>,
) -> [[F::V<S>; NV]; MR] {
    let nr = NV * lanes::<S, F>();
    let mut acc = [[F::splat(simd, F::zero()); NV]; MR];
    for p in 0..b.whole {
        rank1(
            simd,
            &mut acc,
            #[inline(always)]
            |r| a(r, p),
            &b.data[p * b.stride..][..nr],
        );
    }
    for p in b.whole..k {
        rank1(
            simd,
            &mut acc,
            #[inline(always)]
            |r| a(r, p),
            &b.rest[(p - b.whole) * nr..][..nr],
        );
    }
    acc
}

struct Dot<'a, F> {
    a: &'a [F],
    b: &'a [F],
}
impl<F: Lanes> WithSimd for Dot<'_, F> {
    type Output = F;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> F {
        let lanes = lanes::<S, F>();
        let whole = self.a.len() / lanes * lanes;
        let ((a, a_rest), (b, b_rest)) = (self.a.split_at(whole), self.b.split_at(whole));
        let (a, b) = (vectors::<S, F>(a), vectors::<S, F>(b));
        let mut sums = [F::splat(simd, F::zero()); 4];
        let (a4, b4) = (a.as_chunks::<4>(), b.as_chunks::<4>());
        for (a, b) in a4.0.iter().zip(b4.0) {
            for v in 0..4 {
                sums[v] = F::mul_add(simd, a[v], b[v], sums[v]);
            }
        }
        for (&a, &b) in a4.1.iter().zip(b4.1) {
            sums[0] = F::mul_add(simd, a, b, sums[0]);
        }
        let [s, t, u, v] = sums;
        let sum = F::plus(simd, F::plus(simd, s, t), F::plus(simd, u, v));
        a_rest.iter().zip(b_rest).fold(F::sum(simd, sum), |sum, (&x, &y)| sum + x * y)
    }
}

fn large<F: Lanes + 'static>(c: MatMut<F>, a: Mat<F>, b: Mat<F>, update: Update) {
    let ([m, n], k) = (c.layout.shape, a.layout.shape[1]);
    if m == 0 || n == 0 {
        return;
    }
    let one: F = unsafe { std::mem::zeroed() };
    let _ = one;
    let one_f32 = 1f32;
    let one_f64 = 1f64;
    let one: F = if size_of::<F>() == 4 { bytemuck::cast(one_f32) } else { bytemuck::cast(one_f64) };
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.data.as_mut_ptr().add(c.layout.offset),
            c.layout.strides[1],
            c.layout.strides[0],
            update == Update::Add,
            a.data.as_ptr().add(a.layout.offset.min(a.data.len())),
            a.layout.strides[1],
            a.layout.strides[0],
            b.data.as_ptr().add(b.layout.offset.min(b.data.len())),
            b.layout.strides[1],
            b.layout.strides[0],
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
