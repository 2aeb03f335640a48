//! Large products, by the kernels of the `gemm` crate.

use gemm_common::Parallelism;
use num_traits::Float;

use super::mat::{Mat, MatLayout, MatMut, Store};
use super::tiles::pack;
use crate::slices::simd::SimdFloat;
#[cfg(feature = "parallel")]
use crate::slices::team;

/// The product by `run`, the kernel of `gemm-f32` or `gemm-f64`. No dimension may be zero.
///
/// These two crates are the parts of the `gemm` crate for real numbers; the parts for complex numbers would double the
/// time of a first build. The preparation that `gemm` would do in front of the kernels is done in this function.
pub(super) fn large<F: Float + SimdFloat>(c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Store, run: Gemm<F>) {
    // The kernels prefer contiguous columns of c.
    let [row, col] = c.layout.strides.map(isize::unsigned_abs);
    let (c, a, b) = if col < row { (c.t(), b.t(), a.t()) } else { (c, a, b) };
    let (data, [mut z, mut x, mut y]) = (c.data, [c.layout, a.layout, b.layout]);
    // The kernels also prefer positive strides in c and along the rows of a.
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
    let (a, b) = (Mat { data: a.data, layout: x }, Mat { data: b.data, layout: y });
    // SAFETY: `MatLayout::new` has checked that every element of c lies inside its slice, and that the elements are distinct;
    // transposed and reversed layouts have the same elements. As no dimension is zero, an element stands at `offset`.
    let c = unsafe { data.as_mut_ptr().add(z.offset) };
    let product = Product { shape: [m, n, k], c: (c, z.strides), a, b, update, run };
    // SAFETY: the shapes fit, c has positive strides, and a along its rows. `data` is borrowed mutably, so `c` overlaps neither
    // `a` nor `b`.
    unsafe { product.compute(product.threads()) }
}

/// A product whose result is given by a pointer to its first element and by strides.
#[derive(Clone, Copy)]
struct Product<'a, F> {
    /// m, n, k
    shape: [usize; 3],
    c: (*mut F, [isize; 2]),
    a: Mat<'a, F>,
    b: Mat<'a, F>,
    update: Store,
    run: Gemm<F>,
}

// SAFETY: `F` is a float, so its elements may be used from any thread. The pointer is used only by `compute`, whose
// contract excludes conflicting accesses.
#[cfg(feature = "parallel")]
unsafe impl<F> Send for Product<'_, F> {}

/// The number of rows of a that are packed at once.
const ROWS: usize = 128;

impl<F: Float + SimdFloat> Product<'_, F> {
    /// The number of parts that can be computed at the same time.
    #[cfg_attr(not(feature = "parallel"), allow(clippy::unused_self))]
    fn threads(&self) -> usize {
        #[cfg(feature = "parallel")]
        return team::threads_for(self.work());
        #[cfg(not(feature = "parallel"))]
        1
    }

    /// Computes the product. With the feature `parallel`, a large one is computed in parts, on several threads.
    ///
    /// # Safety
    ///
    /// The shapes fit, and no dimension is 0. Every element of c that shape and strides describe exists. These elements are
    /// distinct, and nothing else reads or writes them during the call; a and b have none of them.
    #[cfg_attr(not(feature = "parallel"), allow(unused_variables))]
    unsafe fn compute(self, threads: usize) {
        #[cfg(feature = "parallel")]
        if let Some((one, other)) = self.halves().filter(|_| threads > 1) {
            let (first, rest) = (threads.div_ceil(2), threads / 2);
            // SAFETY: the halves of c have no element in common; those of a and b are only read.
            team::join(move || unsafe { one.compute(first) }, move || unsafe { other.compute(rest) });
            return;
        }
        if !self.is_packed() {
            // SAFETY: the caller's promise.
            return unsafe { self.run_kernel() };
        }
        let [m, n, k] = self.shape;
        let mut columns = vec![F::zero(); ROWS.min(m) * k];
        for i in (0..m).step_by(ROWS) {
            let rows = ROWS.min(m - i);
            let block = &mut columns[..rows * k];
            pack(block, rows, self.a.t(), 0, i, rows);
            let a = Mat { data: block, layout: MatLayout { offset: 0, shape: [rows, k], strides: [1, rows as isize] } };
            let c = (self.c.0.wrapping_offset(i as isize * self.c.1[0]), self.c.1);
            // SAFETY: these are some rows of c, for which the caller's promise holds.
            unsafe { Product { shape: [rows, n, k], c, a, ..self }.run_kernel() };
        }
    }

    /// True if a is to be packed. The kernels would turn its contiguous rows into columns more slowly than `pack` (see M21 in
    /// docs/MEASUREMENTS.md).
    fn is_packed(&self) -> bool {
        let [m, n, k] = self.shape;
        self.a.layout.strides[1] == 1 && self.a.layout.strides[0] != 1 && m.min(n).min(k) >= 32
    }

    /// # Safety
    ///
    /// Same as for [`compute`](Self::compute).
    unsafe fn run_kernel(self) {
        let Self { shape: [m, n, k], c: (c, z), a, b, update, run } = self;
        let add = update == Store::Add; // the kernels read c only then
        let (old, new, conjugate) = (F::one(), F::one(), false); // factors of the old c and of a·b
        let ([x, y], a, b) = ([a.layout.strides, b.layout.strides], a.from(0, 0).as_ptr(), b.from(0, 0).as_ptr());
        // SAFETY: `run` computes c = αc + βab on the elements of c that the caller vouches for, and on those of a and b, which
        // lie in their slices: `MatLayout::new` has checked that. It touches no others.
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

    /// The number of multiplications.
    #[cfg(feature = "parallel")]
    fn work(&self) -> usize {
        self.shape.iter().fold(1, |work: usize, &len| work.saturating_mul(len))
    }

    /// Two products that together are a large one, or `None` if a second thread does not pay (see M22 in
    /// docs/MEASUREMENTS.md).
    ///
    /// The longer dimension of c is cut, if possible, so that the smaller operand is the one that both halves read. No sum
    /// is cut, so the result does not depend on the number of threads.
    #[cfg(feature = "parallel")]
    fn halves(self) -> Option<(Self, Self)> {
        // Multiples of the numbers of rows and of columns that the kernels compute together.
        const TILE: [usize; 2] = [64, 24];
        // For a c of up to 64 by 64 the kernels split long sums differently than for a larger one.
        const LITTLE: usize = 64;
        let [m, n, k] = self.shape;
        if self.work() < team::WORK {
            return None;
        }
        // Both halves of packed rows have the blocks that the whole has, of which the last is the shortest.
        let (rows, tile) = if self.is_packed() { ((m - 1) % ROWS + 1, ROWS) } else { (m, TILE[0]) };
        let cut = |len: usize, tile: usize, across: usize| {
            let cut = (len as f64 / (2 * tile) as f64).round() as usize * tile;
            let short = cut.min(len - cut.min(len));
            (3 * short >= len && (k <= 512 || short.max(across) > LITTLE)).then_some(cut)
        };
        let by_rows = || cut(m, tile, n).map(|cut| (0, cut));
        let by_columns = || cut(n, TILE[1], rows).map(|cut| (1, cut));
        let (axis, cut) = if m >= n { by_rows().or_else(by_columns) } else { by_columns().or_else(by_rows) }?;
        let (mut one, mut other) = (self, self);
        let len = self.shape[axis];
        (one.shape[axis], other.shape[axis]) = (cut, len - cut);
        // The elements `cut` rows or columns further on exist, because no half is empty.
        other.c.0 = other.c.0.wrapping_offset(cut as isize * self.c.1[axis]);
        if axis == 0 {
            (one.a.layout, other.a.layout) = (self.a.layout.part(0, 0, cut), self.a.layout.part(0, cut, len - cut));
        } else {
            (one.b.layout, other.b.layout) = (self.b.layout.part(1, 0, cut), self.b.layout.part(1, cut, len - cut));
        }
        [one, other].iter().all(|half| half.is_packed() == self.is_packed()).then_some((one, other))
    }
}

/// The signature of the kernels.
///
/// The parameters are m, n, k; c with its strides from column to column and from row to row, and true if c is read;
/// a and b with their strides in the same order; the factors of the old c and of a·b; three flags to conjugate;
/// threads.
pub(super) type Gemm<F> = unsafe fn(
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
