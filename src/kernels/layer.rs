//! Products of matrices and dense layers so small that the set-up of a product would take longer than its multiplications.

use crate::number::precompiled::precompiled;
use crate::number::{Kernel, Scalar, Wrap};

/// The greatest number of multiplications of a small product (see M40 in docs/MEASUREMENTS.md).
pub(crate) const SMALL: usize = 256;

/// The number of columns that are computed side by side.
const WIDTH: usize = 8;

/// The operands of y = x w, in row-major order: [m, k] and [k, n].
#[derive(Clone, Copy)]
pub(crate) struct SmallProduct<'a, F> {
    pub(crate) x: &'a [F],
    pub(crate) w: &'a [F],
    /// m, k and n; none is 0.
    pub(crate) shape: [usize; 3],
}

precompiled! {
    /// y += x w
    pub(crate) fn small_product<F>(product: SmallProduct<'_, F>, y: &mut [F]) {
        F::dispatch(Forward { product, y });
    }

    /// Adds the cotangents of a bias, of x and of w to the adjoints that begin at these places, one after the other, from the
    /// cotangent dz of x w.
    pub(crate) fn pull_small_product<F>(
        product: SmallProduct<'_, F>,
        dz: &[F],
        adjoints: &mut [F],
        places: [Option<usize>; 3],
    ) {
        F::dispatch(Backward { product, dz, adjoints, places });
    }
}

struct Forward<'a, F> {
    product: SmallProduct<'a, F>,
    y: &'a mut [F],
}

impl<F: Scalar> Kernel<F> for Forward<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let SmallProduct { x, w, shape: [m, k, n] } = self.product;
        if n == 1 {
            dots::<F, L>(self.y, x, w, [m, 1, k]);
        } else {
            rows::<F, L>(self.y, x, [k, 1], w, [m, k, n]);
        }
    }
}

struct Backward<'a, F> {
    product: SmallProduct<'a, F>,
    dz: &'a [F],
    adjoints: &'a mut [F],
    places: [Option<usize>; 3],
}

impl<F: Scalar> Kernel<F> for Backward<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let Self { product: SmallProduct { x, w, shape: [m, k, n] }, dz, adjoints, places: [of_bias, of_x, of_w] } =
            self;
        if let Some(place) = of_bias {
            columns::<F, L>(&mut adjoints[place..place + n], dz, n);
        }
        if let Some(place) = of_x {
            let dx = &mut adjoints[place..place + m * k];
            if n == 1 {
                rows::<F, L>(dx, dz, [1, 1], w, [m, 1, k]); // dz wᵀ, where wᵀ is one row
            } else {
                dots::<F, L>(dx, dz, w, [m, k, n]);
            }
        }
        if let Some(place) = of_w {
            let dw = &mut adjoints[place..place + k * n];
            if n == 1 {
                rows::<F, L>(dw, dz, [m, 1], x, [1, m, k]); // dwᵀ = dzᵀ x
            } else {
                rows::<F, L>(dw, x, [1, k], dz, [k, m, n]);
            }
        }
    }
}

/// c += a b, with b and c in row-major order; element (i, p) of a stands at the place `i * row + p * column`.
///
/// Loops over indices: the length of a chunk is known at run time alone, so iterators over chunks would divide.
#[inline(always)]
fn rows<F: Scalar, L: Wrap<F>>(c: &mut [F], a: &[F], [row, column]: [usize; 2], b: &[F], [m, k, n]: [usize; 3]) {
    for i in 0..m {
        let c = &mut c[i * n..i * n + n];
        let mut j = 0;
        while j + WIDTH <= n {
            let (mut sums, mut from, mut place) = ([L::zero(); WIDTH], i * row, j);
            for _ in 0..k {
                let (x, b) = (L::wrap(a[from]), &b[place..place + WIDTH]);
                for q in 0..WIDTH {
                    sums[q] = x.mul_add(L::wrap(b[q]), sums[q]);
                }
                (from, place) = (from + column, place + n);
            }
            add_block(&mut c[j..j + WIDTH], sums);
            j += WIDTH;
        }
        for (j, c) in c.iter_mut().enumerate().skip(j) {
            let (mut sum, mut from, mut place) = (L::zero(), i * row, j);
            for _ in 0..k {
                sum = L::wrap(a[from]).mul_add(L::wrap(b[place]), sum);
                (from, place) = (from + column, place + n);
            }
            *c = (L::wrap(*c) + sum).unwrap();
        }
    }
}

/// c += the sums of the columns of b, which has rows of n elements.
#[inline(always)]
fn columns<F: Scalar, L: Wrap<F>>(c: &mut [F], b: &[F], n: usize) {
    let mut j = 0;
    while j + WIDTH <= n {
        let (mut sums, mut place) = ([L::zero(); WIDTH], j);
        while place + WIDTH <= b.len() {
            let b = &b[place..place + WIDTH];
            for q in 0..WIDTH {
                sums[q] += L::wrap(b[q]);
            }
            place += n;
        }
        add_block(&mut c[j..j + WIDTH], sums);
        j += WIDTH;
    }
    for (j, c) in c[..n].iter_mut().enumerate().skip(j) {
        let (mut sum, mut place) = (L::zero(), j);
        while place < b.len() {
            sum += L::wrap(b[place]);
            place += n;
        }
        *c = (L::wrap(*c) + sum).unwrap();
    }
}

#[inline(always)]
fn add_block<F: Scalar, L: Wrap<F>>(c: &mut [F], sums: [L; WIDTH]) {
    for q in 0..WIDTH {
        c[q] = (L::wrap(c[q]) + sums[q]).unwrap();
    }
}

/// c += a bᵀ, all in row-major order, where a has shape [m, n] and b [k, n].
#[inline(always)]
fn dots<F: Scalar, L: Wrap<F>>(c: &mut [F], a: &[F], b: &[F], [m, k, n]: [usize; 3]) {
    for i in 0..m {
        let a = &a[i * n..i * n + n];
        for (p, c) in c[i * k..i * k + k].iter_mut().enumerate() {
            let b = &b[p * n..p * n + n];
            let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<WIDTH>(), b.as_chunks::<WIDTH>());
            let mut sum = L::zero();
            if !a.is_empty() {
                let mut lanes = [L::zero(); WIDTH];
                for (a, b) in a.iter().zip(b) {
                    for q in 0..WIDTH {
                        lanes[q] = L::wrap(a[q]).mul_add(L::wrap(b[q]), lanes[q]);
                    }
                }
                let [s, t, u, v, w, x, y, z] = lanes;
                sum = ((s + w) + (u + y)) + ((t + x) + (v + z));
            }
            for (&a, &b) in a_rest.iter().zip(b_rest) {
                sum = L::wrap(a).mul_add(L::wrap(b), sum);
            }
            *c = (L::wrap(*c) + sum).unwrap();
        }
    }
}
