//! Large products, by the kernels of the `gemm` crate. This file has the only unsafe code of the products.

use gemm_common::Parallelism;
use num_traits::Float;

use super::mat::{Mat, MatLayout, MatMut, Store};
use super::tiles::pack;
use crate::slices::simd::SimdFloat;

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
    // The kernels would turn contiguous rows of a into columns, more slowly than `pack` (see M21 in
    // docs/MEASUREMENTS.md).
    if x.strides[1] == 1 && x.strides[0] != 1 && m.min(n).min(k) >= 32 {
        const ROWS: usize = 128;
        let mut columns = vec![F::zero(); ROWS.min(m) * k];
        for i in (0..m).step_by(ROWS) {
            let rows = ROWS.min(m - i);
            let block = &mut columns[..rows * k];
            pack(block, rows, Mat { data: a.data, layout: x.t() }, 0, i, rows);
            let c = MatMut { data: &mut *data, layout: z.part(0, i, rows) };
            let a = Mat { data: block, layout: MatLayout { offset: 0, shape: [rows, k], strides: [1, rows as isize] } };
            upward(c, a, Mat { data: b.data, layout: y }, update, run);
        }
        return;
    }
    upward(MatMut { data, layout: z }, Mat { data: a.data, layout: x }, Mat { data: b.data, layout: y }, update, run);
}

/// [`large`] after its preparation: c and the rows of a have positive strides.
fn upward<F: Float>(c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Store, run: Gemm<F>) {
    let (data, [z, x, y]) = (c.data, [c.layout, a.layout, b.layout]);
    let ([m, n], k) = (z.shape, x.shape[1]);
    // SAFETY: `MatLayout::new` has checked that every element of each matrix lies inside its slice. Transposed and
    // reversed layouts have the same elements, and parts of layouts have some of these elements. As no dimension is
    // zero, an element stands at `offset`.
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

/// The number of parts of a large product that can be computed at the same time.
fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// A product of matrices that are given by pointers to their first elements and by strides.
#[derive(Clone, Copy)]
struct Product<F> {
    /// m, n, k
    shape: [usize; 3],
    c: (*mut F, [isize; 2]),
    a: (*const F, [isize; 2]),
    b: (*const F, [isize; 2]),
    update: Store,
    run: Gemm<F>,
}

// SAFETY: `F` is a float, so its elements may be used from any thread. The pointers are used only by `compute`, whose
// contract excludes conflicting accesses.
#[cfg(feature = "parallel")]
unsafe impl<F> Send for Product<F> {}

impl<F: Float> Product<F> {
    /// Computes the product. With the feature `parallel`, a large one is computed in parts, on the threads of rayon's
    /// current pool.
    ///
    /// # Safety
    ///
    /// Every element that shape and strides describe exists. The elements of c are distinct, and nothing else reads or
    /// writes them during the call. Nothing writes the elements of a and b during the call.
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
        let add = update == Store::Add; // the kernels read c only then
        let (old, new, conjugate) = (F::one(), F::one(), false); // factors of the old c and of a·b
        // SAFETY: `run` computes c = αc + βab on the elements that the caller vouches for, and touches no others.
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

    /// Two products that together are a large one, or `None` if a second thread does not pay (see M22 in
    /// docs/MEASUREMENTS.md).
    ///
    /// The longer dimension of c is cut, so that the smaller operand is the one that both halves read. No sum is cut,
    /// so the result does not depend on the number of threads.
    #[cfg(feature = "parallel")]
    fn halves(self) -> Option<(Self, Self)> {
        // The multiplications from which on a second thread pays.
        const WORK: usize = 1 << 22;
        // Multiples of the numbers of rows and of columns that the kernels compute together.
        const TILE: [usize; 2] = [64, 24];
        let [m, n, k] = self.shape;
        let long = m.max(n);
        if m * n * k < WORK || long < 192 {
            return None;
        }
        let cut = long.div_ceil(2).next_multiple_of(TILE[usize::from(m < n)]);
        // For a c of up to 64 by 64 the kernels split long sums differently than for a larger one.
        if (long - cut).max(m.min(n)) <= 64 && k > 512 {
            return None;
        }
        let (mut one, mut other) = (self, self);
        // The elements `cut` rows or columns further on exist, because no half is empty.
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
