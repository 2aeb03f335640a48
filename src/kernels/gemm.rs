//! Matrix products over strided slices: `c = a·b` and `c += a·b`; dot products.
//!
//! A product takes one of three ways, by size and strides, as measured:
//! - plain loops, right for every number type, fastest for a few dozen multiplications;
//! - register tiles at the sizes of small nets, compiled for AVX-512, AVX2, NEON and the
//!   baseline and chosen at run time;
//! - the kernels of the `gemm` crate beyond, which block for the caches.
//!
//! All follow plain arithmetic: no factor is skipped for being zero, so `0·NaN` and `0·∞` give
//! NaN. Only the order of summation differs.

use std::array;
use std::cell::RefCell;
use std::ops::Mul;
use std::sync::LazyLock;

use gemm_common::Parallelism;
use num_traits::{Float, Zero};
use pulp::bytemuck::{self, Pod};
use pulp::{Arch, Simd, WithSimd};

/// What a product does to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unreachable_pub)]
pub enum Update {
    /// `c = a·b`; the old values do not matter, NaN or not.
    Set,
    /// `c += a·b`.
    Add,
}

/// Where the elements of a matrix are.
#[derive(Clone, Copy)]
struct Layout {
    offset: usize,
    shape: [usize; 2],
    strides: [isize; 2],
}

impl Layout {
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
    layout: Layout,
}

impl<'a, F> Mat<'a, F> {
    /// Element `(i, j)` is `data[offset + i·strides[0] + j·strides[1]]`.
    ///
    /// # Panics
    /// If an element lies outside of `data`.
    #[inline]
    #[track_caller]
    pub fn new(data: &'a [F], offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        Self { data, layout: Layout::new(data.len(), offset, shape, strides) }
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
    layout: Layout,
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
        let layout = Layout::new(data.len(), offset, shape, strides);
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
pub(crate) fn matmul<F: GemmScalar>(c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Update) {
    let ([m, n], [i, k], [l, j]) = (c.layout.shape, a.layout.shape, b.layout.shape);
    assert!(i == m && l == k && j == n, "cannot multiply {i}×{k} by {l}×{j} into {m}×{n}");
    let [row, col] = c.layout.strides;
    if m == 1 && n == 1 && a.layout.strides[1] == 1 && b.layout.strides[0] == 1 && k > 0 {
        let product = dot(&a.data[a.layout.offset..][..k], &b.data[b.layout.offset..][..k]);
        let c = &mut c.data[c.layout.offset];
        *c = if update == Update::Set { product } else { *c + product };
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
    fn product(c: MatMut<'_, Self>, a: Mat<'_, Self>, b: Mat<'_, Self>, update: Update) {
        loops(c, a, b, update);
    }

    /// [`dot`] of equal lengths.
    fn inner(a: &[Self], b: &[Self]) -> Self {
        a.iter().zip(b).fold(Self::zero(), |sum, (&x, &y)| sum + x * y)
    }
}

/// The product by its definition; by rows of `b` where these and those of `c` are contiguous.
fn loops<F: Copy + Zero + Mul<Output = F>>(c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Update) {
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
                let fresh = p == 0 && update == Update::Set;
                for (c, &y) in row.iter_mut().zip(b.from(p, 0)) {
                    *c = if fresh { x * y } else { *c + x * y };
                }
            }
        } else {
            for j in 0..n {
                let term = |p| a.data[a.layout.at(i, p)] * b.data[b.layout.at(p, j)];
                let sum = (0..k).fold(F::zero(), |sum, p| sum + term(p));
                let c = &mut data[layout.at(i, j)];
                *c = if update == Update::Add { *c + sum } else { sum };
            }
        }
    }
}

/// `f32` and `f64` in the lanes of a vector register, under the same names.
trait Lanes: Pod + Zero + Mul<Output = Self> {
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

const fn lanes<S: Simd, F: Lanes>() -> usize {
    size_of::<F::Vector<S>>() / size_of::<F>()
}

#[inline(always)]
fn vectors<S: Simd, F: Lanes>(x: &[F]) -> &[F::Vector<S>] {
    bytemuck::cast_slice(x)
}

macro_rules! float {
    (
        $f:ident: $v:ident, $splat:ident, $mul_add:ident, $add:ident, $sum:ident, $select:ident,
        $mask:ident, $transpose:ident, $gemm:ident, columns up to $columns:expr
    ) => {
        impl Lanes for $f {
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
            fn product(c: MatMut<'_, $f>, a: Mat<'_, $f>, b: Mat<'_, $f>, update: Update) {
                thread_local!(static SCRATCH: RefCell<Vec<$f>> = const { RefCell::new(vec![]) });
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
                    SCRATCH.with_borrow_mut(|scratch| {
                        arch().dispatch(Dots { c, a, b, update, scratch });
                    });
                } else if rows && m * size >= 128 && work >= 1 << 12 {
                    SCRATCH.with_borrow_mut(|scratch| {
                        arch().dispatch(Flipped { c, a, b, update, scratch });
                    });
                } else if tiles {
                    SCRATCH.with_borrow_mut(|scratch| {
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

/// The product by `gemm-f32` or `gemm-f64`, whose kernel `run` is, with no dimension of zero.
///
/// These are the parts of the `gemm` crate for real numbers; what it does in front of them is done
/// here. The complex parts would double the time of a first build.
fn large<F: Float + Lanes>(c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Update, run: Gemm<F>) {
    // The kernels like columns of c to be contiguous,
    let [row, col] = c.layout.strides.map(isize::unsigned_abs);
    let (c, a, b) = if col < row { (c.t(), b.t(), a.t()) } else { (c, a, b) };
    let (data, [mut z, mut x, mut y]) = (c.data, [c.layout, a.layout, b.layout]);
    // and c and the rows of a to run upward.
    if z.strides[0] < 0 {
        (z, x) = (z.reversed(0), x.reversed(0));
    }
    if z.strides[1] < 0 {
        (z, y) = (z.reversed(1), y.reversed(1));
    }
    if x.strides[1] < 0 {
        (x, y) = (x.reversed(1), y.reversed(0));
    }
    let ([m, n], k) = (z.shape, x.shape[1]);
    assert!(x.shape[0] == m && y.shape == [k, n]);
    assert!(m > 0 && n > 0 && k > 0);
    // What turns rows of a into columns in front of the kernels takes a quarter of a product with 128
    // columns (measured; this way, packing is 14% of a step of the net T5, not 17%).
    if x.strides[1] == 1 && x.strides[0] != 1 && m.min(n).min(k) >= 32 {
        const ROWS: usize = 128;
        let mut columns = vec![F::zero(); ROWS.min(m) * k];
        for i in (0..m).step_by(ROWS) {
            let rows = ROWS.min(m - i);
            let block = &mut columns[..rows * k];
            pack(block, rows, Mat { data: a.data, layout: x.t() }, 0, i, rows);
            let c = MatMut { data: &mut *data, layout: z.part(0, i, rows) };
            let a = Mat { data: block, layout: Layout { offset: 0, shape: [rows, k], strides: [1, rows as isize] } };
            upward(c, a, Mat { data: b.data, layout: y }, update, run);
        }
        return;
    }
    upward(MatMut { data, layout: z }, Mat { data: a.data, layout: x }, Mat { data: b.data, layout: y }, update, run);
}

/// [`large`] for matrices as the kernels like them.
fn upward<F: Float>(c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Update, run: Gemm<F>) {
    let (data, [z, x, y]) = (c.data, [c.layout, a.layout, b.layout]);
    let ([m, n], k) = (z.shape, x.shape[1]);
    // SAFETY: `Layout::new` has checked that every element of each matrix lies inside its slice;
    // transposed and reversed layouts have the same elements, and with no dimension zero one of
    // them stands at `offset`; parts of them have some of these.
    let product = unsafe {
        Product {
            shape: [m, n, k],
            c: (data.as_mut_ptr().add(z.offset), z.strides),
            a: (a.data.as_ptr().add(x.offset), x.strides),
            b: (b.data.as_ptr().add(y.offset), y.strides),
            update,
            run,
        }
    };
    // SAFETY: the shapes fit, and the pointers are to the first elements. `data` is borrowed mutably,
    // so `c` overlaps neither `a` nor `b`, and by `MatMut::new` not itself.
    unsafe { product.compute(threads()) }
}

/// How many parts of a large product can be computed at once.
fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// A product of matrices by the places of their first elements and their strides.
#[derive(Clone, Copy)]
struct Product<F> {
    /// m, n, k
    shape: [usize; 3],
    c: (*mut F, [isize; 2]),
    a: (*const F, [isize; 2]),
    b: (*const F, [isize; 2]),
    update: Update,
    run: Gemm<F>,
}

// SAFETY: `F` is a float; which thread reads and writes the elements is for `compute` to answer.
#[cfg(feature = "parallel")]
unsafe impl<F> Send for Product<F> {}

impl<F: Float> Product<F> {
    /// The product; with the feature `parallel` a large one in parts, on the threads of rayon's
    /// current pool.
    ///
    /// # Safety
    ///
    /// Every element that shape and strides name exists; those of c are distinct, nobody else uses
    /// them meanwhile, and nobody writes those of a and b.
    #[cfg_attr(not(feature = "parallel"), allow(unused_variables))]
    unsafe fn compute(self, threads: usize) {
        #[cfg(feature = "parallel")]
        if let Some((one, other)) = self.halves().filter(|_| threads > 1) {
            let (first, rest) = (threads.div_ceil(2), threads / 2);
            // SAFETY: the halves of c have no element in common; those of a and b are only read.
            rayon::join(move || unsafe { one.compute(first) }, move || unsafe { other.compute(rest) });
            return;
        }
        let Self { shape: [m, n, k], c: (c, z), a: (a, x), b: (b, y), update, run } = self;
        let add = update == Update::Add; // whether to read c at all
        let (old, new, conjugate) = (F::one(), F::one(), false); // factors of the old c and of a·b
        // SAFETY: `run` computes c = αc + βab on these elements and touches no others.
        unsafe {
            run(
                m,
                n,
                k,
                c,
                z[1],
                z[0],
                add,
                a,
                x[1],
                x[0],
                b,
                y[1],
                y[0],
                old,
                new,
                conjugate,
                conjugate,
                conjugate,
                Parallelism::None,
            );
        }
    }

    /// Two products that make up a large one, cut where the shorter operand is read twice; none if
    /// it is not worth another thread.
    ///
    /// No sum is cut, so the result does not depend on the number of threads.
    #[cfg(feature = "parallel")]
    fn halves(self) -> Option<(Self, Self)> {
        // Measured on two cores of a virtual machine (on which two processes do 1.75 times the work of
        // one): a step of the net T5, products of up to 51 million, takes 0.8 times as long.
        const WORK: usize = 1 << 22;
        // Multiples of the rows and of the columns that the kernels make at once.
        const TILE: [usize; 2] = [64, 24];
        let [m, n, k] = self.shape;
        let long = m.max(n);
        if m * n * k < WORK || long < 192 {
            return None;
        }
        let cut = long.div_ceil(2).next_multiple_of(TILE[usize::from(m < n)]);
        // The kernels cut long sums of results up to 64 by 64 in another way than those of larger ones.
        if (long - cut).max(m.min(n)) <= 64 && k > 512 {
            return None;
        }
        let (mut one, mut other) = (self, self);
        // Elements `cut` rows or columns further on exist, as the parts are not empty.
        let step = |stride: isize| cut as isize * stride;
        if m >= n {
            (one.shape[0], other.shape[0]) = (cut, m - cut);
            other.c.0 = other.c.0.wrapping_offset(step(self.c.1[0]));
            other.a.0 = other.a.0.wrapping_offset(step(self.a.1[0]));
        } else {
            (one.shape[1], other.shape[1]) = (cut, n - cut);
            other.c.0 = other.c.0.wrapping_offset(step(self.c.1[1]));
            other.b.0 = other.b.0.wrapping_offset(step(self.b.1[1]));
        }
        Some((one, other))
    }
}

/// The signature of the kernels: m, n, k; c, a and b, each with the strides of its columns and rows,
/// after c whether to read it; the factors of c and of a·b; what to conjugate; threads.
type Gemm<F> = unsafe fn(
    usize,
    usize,
    usize,
    *mut F,
    isize,
    isize,
    bool,
    *const F,
    isize,
    isize,
    *const F,
    isize,
    isize,
    F,
    F,
    bool,
    bool,
    bool,
    Parallelism,
);

/// The product in tiles of a few rows by one or two vectors, each summed in registers. Needs
/// contiguous rows of `c`, contiguous rows or columns of `a`, and `k > 0`.
struct Tiles<'a, F> {
    c: MatMut<'a, F>,
    a: Mat<'a, F>,
    b: Mat<'a, F>,
    update: Update,
    scratch: &'a mut Vec<F>,
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

impl<F: Lanes> WithSimd for Tiles<'_, F> {
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

impl<F: Lanes> Tiles<'_, F> {
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
                        Update::Set => sums[r][v],
                        Update::Add => F::plus(simd, row[v], sums[r][v]),
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
fn last<F: Lanes>(row: &mut [F], sums: &[F], update: Update) {
    for (c, &sum) in row.iter_mut().zip(sums) {
        *c = if update == Update::Add { *c + sum } else { sum };
    }
}

/// `Σₚ a(r, p)·b(p, ·)` for `R` rows `r`.
// Loops over arrays: an array's `map` is not unrolled early enough to stay in registers.
#[inline(always)]
fn sums<S: Simd, F: Lanes, const R: usize, const V: usize>(
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
fn rank_one<S: Simd, F: Lanes, const R: usize, const V: usize>(
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
fn pack<F: Lanes>(out: &mut [F], full: usize, b: Mat<'_, F>, top: usize, j: usize, width: usize) {
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

/// The product by way of its transpose `cᵀ = bᵀ·aᵀ`, in tiles, where the few columns of `c` would leave
/// lanes empty. Needs contiguous columns of `a`, contiguous rows or columns of `b`, and `k > 0`.
struct Flipped<'a, F> {
    c: MatMut<'a, F>,
    a: Mat<'a, F>,
    b: Mat<'a, F>,
    update: Update,
    scratch: &'a mut Vec<F>,
}

impl<F: Lanes> WithSimd for Flipped<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { c: MatMut { data, layout }, a, b, update, scratch } = self;
        let [m, n] = layout.shape;
        let mut product = std::mem::take(scratch);
        if product.len() < m * n {
            product.resize(m * n, F::zero());
        }
        let c = MatMut::new(&mut product, 0, [n, m], [m as isize, 1]);
        Tiles { c, a: b.t(), b: a.t(), update: Update::Set, scratch: &mut Vec::new() }.with_simd(simd);
        for i in 0..m {
            let start = layout.at(i, 0);
            for (c, &x) in data[start..start + n].iter_mut().zip(product[i..].iter().step_by(m)) {
                *c = if update == Update::Add { *c + x } else { x };
            }
        }
        *scratch = product;
    }
}

/// The product by vectors along the sums, each of which ends in one number. Needs contiguous rows
/// of `a`, and of `c` unless it has one column.
struct Dots<'a, F> {
    c: MatMut<'a, F>,
    a: Mat<'a, F>,
    b: Mat<'a, F>,
    update: Update,
    scratch: &'a mut Vec<F>,
}

impl<F: Lanes> WithSimd for Dots<'_, F> {
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
        let rows = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        let mut i = 0;
        while i < m {
            i += match m - i {
                4.. if rows == 4 => self.rows::<S, 4>(simd, i, &columns),
                2.. => self.rows::<S, 2>(simd, i, &columns),
                _ => self.rows::<S, 1>(simd, i, &columns),
            };
        }
        *self.scratch = columns;
    }
}

impl<F: Lanes> Dots<'_, F> {
    /// The `R` rows of `c` from `i` on; returns `R`. `columns` are those of `b`, one after the other.
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

    /// `R` rows by `C` columns from `(i, j)` on; returns `C`.
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
                    sums[r][q] = F::mul_add(simd, x[r][p], y[q][p], sums[r][q]);
                }
            }
        }
        for r in 0..R {
            let start = self.c.layout.at(i + r, j);
            for (q, c) in self.c.data[start..start + C].iter_mut().enumerate() {
                let rest = (whole..k).fold(F::zero(), |sum, p| sum + a[r][p] * b[q][p]);
                let sum = F::sum(simd, sums[r][q]) + rest;
                *c = if self.update == Update::Add { *c + sum } else { sum };
            }
        }
        C
    }
}

#[inline(always)]
fn transpose<F: Copy>(x: [[F; 4]; 4]) -> [[F; 4]; 4] {
    array::from_fn(|i| array::from_fn(|j| x[j][i]))
}

/// [`transpose`] by shuffles, which the compiler does not find: it takes 0.6 times as long.
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

/// A dot product in four vectors of partial sums.
struct Dot<'a, F> {
    a: &'a [F],
    b: &'a [F],
}

impl<F: Lanes> WithSimd for Dot<'_, F> {
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
mod tests {
    use super::*;

    /// Numbers in [-1, 1) from Knuth's MMIX generator.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 * 2f64.powi(-52) - 1.0
        }
    }

    trait Float: GemmScalar + num_traits::Float + Lanes + Into<f64> + PartialEq + std::fmt::Debug {
        const EPSILON: f64;
        const GEMM: fn() -> Gemm<Self>;
        fn of(x: f64) -> Self;
    }

    impl Float for f32 {
        const EPSILON: f64 = f32::EPSILON as f64;
        const GEMM: fn() -> Gemm<f32> = || gemm_f32::gemm::f32::get_gemm_fn();
        fn of(x: f64) -> f32 {
            x as f32
        }
    }

    impl Float for f64 {
        const EPSILON: f64 = f64::EPSILON;
        const GEMM: fn() -> Gemm<f64> = || gemm_f64::gemm::f64::get_gemm_fn();
        fn of(x: f64) -> f64 {
            x
        }
    }

    /// Every way to a product, whether or not [`matmul`] would choose it.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Way {
        Chosen,
        Loops,
        Large,
        Tiles(Isa),
        Flipped(Isa),
        Dots(Isa),
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Isa {
        Scalar,
        Best,
        #[cfg(target_arch = "x86_64")]
        V3,
    }

    const WAYS: &[Way] = &[
        Way::Chosen,
        Way::Loops,
        Way::Large,
        Way::Tiles(Isa::Scalar),
        Way::Tiles(Isa::Best),
        #[cfg(target_arch = "x86_64")]
        Way::Tiles(Isa::V3),
        Way::Flipped(Isa::Scalar),
        Way::Flipped(Isa::Best),
        Way::Dots(Isa::Scalar),
        Way::Dots(Isa::Best),
        #[cfg(target_arch = "x86_64")]
        Way::Dots(Isa::V3),
    ];

    impl Way {
        fn suits<F>(self, c: &Layout, a: &Mat<'_, F>, b: &Mat<'_, F>) -> bool {
            let ([m, n], k) = (c.shape, a.layout.shape[1]);
            let some = m * n * k > 0;
            match self {
                Way::Chosen | Way::Loops => true,
                Way::Large => some,
                Way::Tiles(_) => some && c.strides[1] == 1 && a.layout.strides.contains(&1),
                Way::Flipped(_) => {
                    some && c.strides[1] == 1 && a.layout.strides[0] == 1 && b.layout.strides.contains(&1)
                }
                Way::Dots(_) => some && (n == 1 || c.strides[1] == 1) && a.layout.strides[1] == 1,
            }
        }

        fn go<F: Float>(self, c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Update) {
            let scratch = &mut vec![F::of(f64::NAN); 7]; // what it holds must not matter
            match self {
                Way::Chosen => matmul(c, a, b, update),
                Way::Loops => loops(c, a, b, update),
                Way::Large => large(c, a, b, update, F::GEMM()),
                Way::Tiles(isa) => isa.dispatch(Tiles { c, a, b, update, scratch }),
                Way::Flipped(isa) => isa.dispatch(Flipped { c, a, b, update, scratch }),
                Way::Dots(isa) => isa.dispatch(Dots { c, a, b, update, scratch }),
            }
        }
    }

    impl Isa {
        fn dispatch(self, kernel: impl WithSimd<Output = ()>) {
            match self {
                Isa::Scalar => Simd::vectorize(pulp::Scalar, kernel),
                Isa::Best => Arch::new().dispatch(kernel),
                #[cfg(target_arch = "x86_64")]
                Isa::V3 => match pulp::x86::V3::try_new() {
                    Some(simd) => Simd::vectorize(simd, kernel),
                    None => Arch::new().dispatch(kernel),
                },
            }
        }
    }

    /// Arrangements of an `m × n` matrix: length of the slice, offset, strides.
    fn arrangements([m, n]: [usize; 2]) -> Vec<(usize, usize, [isize; 2])> {
        let (rows, cols) = (m as isize, n as isize);
        let (m, n) = (m.max(1), n.max(1));
        vec![
            (m * n, 0, [cols, 1]),               // rows
            (m * n, 0, [1, rows]),               // columns
            (m * (n + 3) + 5, 2, [cols + 3, 1]), // a slice of longer rows
            ((m + 2) * n + 1, 1, [1, rows + 2]), // of longer columns
            (m * n, (m - 1) * n, [-cols, 1]),    // rows reversed
            (m * n, m * n - 1, [-cols, -1]),     // both reversed
            (2 * m * n, 0, [2 * cols, 2]),       // every second column
        ]
    }

    /// As above, with the same row or column again and again.
    fn broadcasts([m, n]: [usize; 2]) -> Vec<(usize, usize, [isize; 2])> {
        vec![(n, 0, [0, 1]), (m, 0, [1, 0]), (1, 0, [0, 0])]
    }

    /// Compares with the definition in `f64`. Each of the `k` products and sums rounds by a
    /// relative ε/2, so twice `(k + 2)·ε/2·Σ|a·b|` is a safe bound in any order of summation.
    #[track_caller]
    fn check<F: Float>(
        way: Way,
        shape: [usize; 3],
        (len, offset, strides): (usize, usize, [isize; 2]),
        a: Mat<'_, F>,
        b: Mat<'_, F>,
        update: Update,
    ) {
        let [m, k, n] = shape;
        let mut numbers = Numbers(3);
        let old: Vec<F> = (0..len).map(|_| F::of(numbers.next())).collect();
        let mut data = old.clone();
        let c = MatMut::new(&mut data, offset, [m, n], strides);
        let layout = c.layout;
        if !way.suits(&layout, &a, &b) {
            return;
        }
        way.go(c, a, b, update);
        let mut written = vec![false; len];
        for i in 0..m {
            for j in 0..n {
                let place = layout.at(i, j);
                written[place] = true;
                let old: f64 = if update == Update::Add { old[place].into() } else { 0.0 };
                let (mut sum, mut size) = (old, old.abs());
                for p in 0..k {
                    let x: f64 = a.data[a.layout.at(i, p)].into();
                    let y: f64 = b.data[b.layout.at(p, j)].into();
                    sum += x * y;
                    size += (x * y).abs();
                }
                let got: f64 = data[place].into();
                let bound = (k + 2) as f64 * F::EPSILON * size;
                assert!(
                    (got - sum).abs() <= bound,
                    "{way:?} {shape:?} c {strides:?} a {:?} b {:?} {update:?}: ({i}, {j}) is {got}, not {sum}",
                    a.layout.strides,
                    b.layout.strides,
                );
            }
        }
        for (place, written) in written.into_iter().enumerate() {
            assert!(
                written || data[place] == old[place],
                "{way:?} {shape:?} {strides:?}: wrote outside of c, at {place}"
            );
        }
    }

    fn table<F: Float>(shapes: &[[usize; 3]], every: usize) {
        let mut numbers = Numbers(1);
        let mut turn = 0;
        for &[m, k, n] in shapes {
            let places = |shape| [arrangements(shape), broadcasts(shape)].concat();
            for (a_len, a_offset, a_strides) in places([m, k]) {
                let a: Vec<F> = (0..a_len.max(1)).map(|_| F::of(numbers.next())).collect();
                let a = Mat::new(&a, a_offset, [m, k], a_strides);
                for (b_len, b_offset, b_strides) in places([k, n]) {
                    let b: Vec<F> = (0..b_len.max(1)).map(|_| F::of(numbers.next())).collect();
                    let b = Mat::new(&b, b_offset, [k, n], b_strides);
                    for c in arrangements([m, n]) {
                        for &way in WAYS {
                            for update in [Update::Set, Update::Add] {
                                turn += 1;
                                if turn % every == 0 {
                                    check(way, [m, k, n], c, a, b, update);
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn small_shapes_in_every_arrangement() {
        let shapes = [
            [1, 1, 1],
            [2, 3, 1],
            [1, 3, 2],
            [3, 1, 4],
            [1, 7, 5],
            [5, 7, 1],
            [7, 5, 3],
            [9, 4, 10],
            [4, 9, 17],
            [15, 6, 33],
            [3, 35, 8],
        ];
        table::<f32>(&shapes, 1);
        table::<f64>(&shapes, 1);
    }

    #[test]
    fn shapes_of_nets() {
        let shapes = [
            [32, 64, 32],
            [32, 10, 32],
            [64, 32, 10],
            [16, 64, 64],
            [4, 100, 66],
            [1, 130, 70],
            [130, 1, 70],
            [70, 130, 1],
            [61, 67, 71],
        ];
        // A prime: each arrangement meets each way in some shape.
        table::<f32>(&shapes, 149);
        table::<f64>(&shapes, 149);
    }

    #[test]
    fn beyond_the_tiles() {
        table::<f32>(&[[70, 90, 80]], 499);
        table::<f64>(&[[70, 90, 80]], 499);
    }

    #[test]
    fn an_empty_sum_is_zero() {
        for shape in [[3, 0, 4], [1, 0, 5], [5, 0, 1]] {
            table::<f32>(&[shape], 1);
            table::<f64>(&[shape], 1);
        }
        let mut c = [f32::NAN; 6];
        let (a, b) = (Mat::new(&[], 0, [2, 0], [0, 1]), Mat::new(&[], 0, [0, 3], [3, 1]));
        matmul(MatMut::new(&mut c, 0, [2, 3], [3, 1]), a, b, Update::Set);
        assert_eq!(c, [0.0; 6]);
    }

    #[test]
    fn an_empty_product_writes_nothing() {
        table::<f32>(&[[0, 3, 4], [4, 3, 0], [0, 0, 0], [0, 4, 1], [1, 4, 0]], 1);
    }

    #[test]
    fn set_overwrites_nan() {
        let (a, b) = (vec![1f32; 40 * 50], vec![1f32; 50 * 60]);
        for [m, k, n] in [[2, 3, 4], [8, 20, 30], [40, 50, 60]] {
            for &way in WAYS {
                let mut c = vec![f32::NAN; m * n];
                let (a, b) = (Mat::new(&a, 0, [m, k], [k as isize, 1]), Mat::new(&b, 0, [k, n], [n as isize, 1]));
                way.go(MatMut::new(&mut c, 0, [m, n], [n as isize, 1]), a, b, Update::Set);
                assert!(c.iter().all(|&x| x == k as f32), "{way:?} {m} {k} {n}");
            }
        }
    }

    /// 0·NaN and 0·∞ are NaN, in the one row or column concerned and nowhere else; what lies
    /// beside the operands in their slices does no harm.
    #[test]
    fn nan_and_infinity_follow_arithmetic() {
        for [m, k, n] in [[1, 5, 9], [3, 4, 5], [9, 17, 21], [20, 30, 35], [70, 80, 90]] {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                for flipped in [false, true] {
                    for &way in WAYS {
                        let row = |n: usize| {
                            if flipped { [1, n as isize] } else { [n as isize + 1, 1] }
                        };
                        let mut a = vec![f64::NAN; (m + 1) * (k + 1)];
                        let mut b = vec![f64::NAN; (k + 1) * (n + 1)];
                        let a_layout = Layout::new(a.len(), 0, [m, k], if flipped { row(m) } else { row(k) });
                        let b_layout = Layout::new(b.len(), 0, [k, n], if flipped { row(k) } else { row(n) });
                        for p in 0..k {
                            (0..m).for_each(|i| a[a_layout.at(i, p)] = 0.0);
                            (0..n).for_each(|j| b[b_layout.at(p, j)] = 1.0);
                        }
                        b[b_layout.at(k / 2, n / 3)] = bad;
                        a[a_layout.at(m / 2, k - 1)] = f64::NAN;
                        let mut c = vec![0.0; m * n];
                        let (a, b) = (Mat { data: &a, layout: a_layout }, Mat { data: &b, layout: b_layout });
                        let product = MatMut::new(&mut c, 0, [m, n], [n as isize, 1]);
                        if !way.suits(&product.layout, &a, &b) {
                            continue;
                        }
                        way.go(product, a, b, Update::Add);
                        for (place, x) in c.into_iter().enumerate() {
                            let hit = place / n == m / 2 || place % n == n / 3;
                            assert!(if hit { x.is_nan() } else { x == 0.0 }, "{way:?} {m} {k} {n}");
                        }
                    }
                }
            }
        }
    }

    impl GemmScalar for i64 {}

    /// A number that has no lanes takes the provided methods.
    #[test]
    fn any_number_multiplies() {
        let (x, y) = ([1i64, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]);
        let (a, b) = (Mat::new(&x, 0, [2, 3], [3, 1]), Mat::new(&y, 0, [3, 2], [2, 1]));
        let mut c = [1; 4];
        matmul(MatMut::new(&mut c, 0, [2, 2], [2, 1]), a, b, Update::Add);
        assert_eq!(c, [59, 65, 140, 155]);
        matmul(MatMut::new(&mut c, 0, [2, 2], [1, 2]), b.t(), a.t(), Update::Set);
        assert_eq!(c, [58, 64, 139, 154]);
        assert_eq!(dot(&x, &y), 217);
    }

    #[test]
    fn dot_products() {
        fn each<F: Float>() {
            let mut numbers = Numbers(5);
            for len in (0..70).chain([127, 128, 129, 1000]) {
                let a: Vec<F> = (0..len).map(|_| F::of(numbers.next())).collect();
                let b: Vec<F> = (0..len).map(|_| F::of(numbers.next())).collect();
                let terms = a.iter().zip(&b).map(|(&x, &y)| x.into() * y.into());
                let (sum, size) = terms.fold((0.0, 0.0), |(s, t), x: f64| (s + x, t + x.abs()));
                let got: f64 = dot(&a, &b).into();
                assert!((got - sum).abs() <= f64::from(len + 2) * F::EPSILON * size, "{len}");
            }
            let mut a = vec![F::of(0.0); 77];
            a[76] = F::of(f64::NAN);
            let nan: f64 = dot(&a, &[F::of(0.0); 77]).into();
            assert!(nan.is_nan());
        }
        each::<f32>();
        each::<f64>();
    }

    #[test]
    #[should_panic(expected = "exceeds its 6 elements")]
    fn a_matrix_beyond_its_slice() {
        Mat::new(&[0.0; 6], 1, [2, 3], [3, 1]);
    }

    #[test]
    #[should_panic(expected = "exceeds its 6 elements")]
    fn a_matrix_before_its_slice() {
        Mat::new(&[0.0; 6], 2, [2, 3], [-3, 1]);
    }

    #[test]
    #[should_panic(expected = "exceeds its 6 elements")]
    fn a_stride_that_overflows() {
        Mat::new(&[0.0; 6], 2, [3, 3], [isize::MAX, isize::MIN]);
    }

    #[test]
    #[should_panic(expected = "may overlap")]
    fn a_broadcast_destination() {
        MatMut::new(&mut [0.0; 6], 0, [2, 3], [0, 1]);
    }

    #[test]
    #[should_panic(expected = "may overlap")]
    fn interleaved_rows_of_a_destination() {
        MatMut::new(&mut [0.0; 6], 0, [2, 3], [2, 1]);
    }

    #[test]
    #[should_panic(expected = "cannot multiply 2×3 by 2×3 into 2×3")]
    fn shapes_that_do_not_fit() {
        let x = [1.0; 6];
        let a = Mat::new(&x, 0, [2, 3], [3, 1]);
        matmul(MatMut::new(&mut [0.0; 6], 0, [2, 3], [3, 1]), a, a, Update::Set);
    }

    #[test]
    #[should_panic(expected = "different lengths")]
    fn a_dot_product_of_different_lengths() {
        dot(&[1.0], &[1.0, 2.0]);
    }
}
