//! The entrance to products, [`matmul`], and the choice of the way that a product of `f32` or `f64` takes.

use std::cell::RefCell;
use std::ops::{Add, Mul};
use std::sync::LazyLock;

use num_traits::Zero;
use pulp::Arch;

use super::large::large;
use super::loops::loops;
use super::mat::{Mat, MatMut, Store};
use super::narrow::{Column, Dots, flipped};
use super::shifted::{Shifted, by_loops};
use super::tiles::Tiles;
use crate::slices::simd::{Dot, SimdFloat};
use crate::slices::{Cascade, LongSum};

/// Computes `c = a·b` or `c += a·b`, for shapes `[m, n]`, `[m, k]` and `[k, n]`. For `k = 0` the product is zero.
///
/// # Panics
///
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
    if k > F::LONGEST {
        return in_parts(c, a, b, update, F::LONGEST, matmul);
    }
    // cᵀ = bᵀ·aᵀ turns the contiguous or only dimension of c into its rows. A single column is better left alone
    // where `Dots` can sum along rows of a.
    if n == 1 && (a.layout.strides[1] != 1 || k < F::ALONG || m < 4) || (row == 1 && col != 1 && m > 1) {
        F::product(c.t(), b.t(), a.t(), update);
    } else {
        F::product(c, a, b, update);
    }
}

/// A product of long sums, by products of up to `terms` terms that are added up.
#[cold]
pub(super) fn in_parts<F: GemmScalar>(
    c: MatMut<'_, F>,
    a: Mat<'_, F>,
    b: Mat<'_, F>,
    update: Store,
    terms: usize,
    multiply: fn(MatMut<'_, F>, Mat<'_, F>, Mat<'_, F>, Store),
) {
    let (MatMut { data, layout }, k) = (c, a.layout.shape[1]);
    let [m, n] = layout.shape;
    let mut product = vec![F::zero(); m * n];
    for first in (0..if product.is_empty() { 0 } else { k }).step_by(terms) {
        let len = terms.min(k - first);
        let (a, b) = (a.part(1, first, len), b.part(0, first, len));
        if first == 0 {
            multiply(MatMut { data: &mut *data, layout }, a, b, update);
            continue;
        }
        multiply(MatMut::new(&mut product, 0, [m, n], [n as isize, 1]), a, b, Store::Set);
        for (i, row) in product.chunks_exact(n).enumerate() {
            for (j, &x) in row.iter().enumerate() {
                let c = &mut data[layout.at(i, j)];
                *c = *c + x;
            }
        }
    }
}

/// The dot product `Σ a[i]·b[i]`. For `f32` and `f64` several partial sums keep the processor busy.
///
/// # Panics
///
/// If the lengths differ.
#[inline]
#[track_caller]
pub(super) fn dot<F: GemmScalar>(a: &[F], b: &[F]) -> F {
    /// Longer sums are cut. In the vectors of `Dot` this is a few hundred terms for each lane.
    const TERMS: usize = 1 << 13;
    assert_eq!(a.len(), b.len(), "dot product of slices of different lengths");
    if a.len() <= TERMS {
        return F::inner(a, b);
    }
    let mut sum = Cascade::new(F::zero());
    for (a, b) in a.chunks(TERMS).zip(b.chunks(TERMS)) {
        sum.add(F::inner(a, b), Add::add);
    }
    sum.total(Add::add)
}

/// A number that matrices can consist of. The provided methods suit every number; `f32` and `f64` have faster ones.
#[allow(unreachable_pub)] // a supertrait of the public `Scalar`
pub trait GemmScalar: Copy + Zero + Mul<Output = Self> {
    /// [`matmul`] for shapes that fit.
    fn product(c: MatMut<'_, Self>, a: Mat<'_, Self>, b: Mat<'_, Self>, update: Store) {
        loops(c, a, b, update);
    }

    /// A product whose right matrix is read where it stands.
    ///
    /// # Panics
    ///
    /// If a place lies outside of its slice.
    fn shifted(product: Shifted<'_, Self>) {
        by_loops(product);
    }

    /// The longest sums that [`product`](Self::product) takes; the plain loops do not cut sums into blocks.
    const LONGEST: usize = 1 << 12;

    /// The number of terms from which on the product with a single column sums along rows of the left matrix.
    const ALONG: usize = 64;

    /// Calls `work` with `len` arbitrary numbers, in memory that a thread keeps if the number is a float.
    fn with_scratch<T>(len: usize, work: impl FnOnce(&mut [Self]) -> T) -> T {
        work(&mut vec![Self::zero(); len])
    }

    /// [`dot`] for equal lengths.
    fn inner(a: &[Self], b: &[Self]) -> Self {
        LongSum::of(a.iter().zip(b).map(|(&x, &y)| x * y))
    }
}

macro_rules! gemm_scalar {
    ($f:ident, $gemm:ident, columns up to $columns:expr) => {
        impl GemmScalar for $f {
            const LONGEST: usize = 1 << 16;
            const ALONG: usize = 64 / size_of::<$f>();

            /// [`matmul`] for shapes that fit, by the first way of this table that applies.
            ///
            /// w = m·n·k; lengths in bytes are those times the size of a number; "either" is rows or columns.
            ///
            /// | way | shape | contiguous |
            /// |---|---|---|
            /// | `loops` | w ≤ 16, or w ≤ 256 where `Tiles` does not apply | |
            /// | `Column` | n = 1, k from 64 to 256 bytes, m ≥ 4, w > 256 | rows of a, b |
            /// | `Dots` | n below 64 bytes, k from 256 bytes, or from 64 if n = 1, m ≥ 4 | rows of a, rows of c unless n = 1 |
            /// | `flipped` | 1 < n below 64 bytes, m from 128 bytes, w ≥ 2¹² | columns of a, rows of c, either of b |
            /// | `Tiles` | n up to 128 bytes, w ≤ 2²¹ | rows of c, either of a, rows of b |
            /// | `Tiles` | n above 128 bytes, k > 2, w up to 2¹⁶ bytes | rows of c, either of a, rows of b |
            /// | `Tiles` | m, n ≥ 8, w ≤ 2¹⁶ (`f32`) or 2¹³ (`f64`) | rows of c, either of a, columns of b |
            /// | `large` | all others | |
            ///
            /// The bounds were chosen by times (see M19 in docs/MEASUREMENTS.md). Tiles win where the `gemm` crate
            /// would pad a narrow c, and where it would copy more than there is to compute. If c has fewer columns than
            /// a vector has lanes, vectors run along the sums (`Dots`) or along the columns of c (`flipped`).
            fn product(c: MatMut<'_, $f>, a: Mat<'_, $f>, b: Mat<'_, $f>, update: Store) {
                thread_local!(static SCRATCH: RefCell<[Vec<$f>; 2]> = const { RefCell::new([vec![], vec![]]) });
                let ([m, n], k) = (c.layout.shape, a.layout.shape[1]);
                let work = m * n * k;
                let size = size_of::<$f>();
                if (17..=1 << 12).contains(&work) && k <= 64 && n * size >= 32 && n * size <= 128 {
                    // The layers of small nets, in the order of rows.
                    if c.layout.strides[1] == 1 && b.layout.strides[1] == 1 && a.layout.strides.contains(&1) {
                        return SCRATCH.with_borrow_mut(|[scratch, _]| in_tiles(Tiles { c, a, b, update, scratch }));
                    }
                }
                let tiles = c.layout.strides[1] == 1
                    && a.layout.strides.contains(&1)
                    && match b.layout.strides {
                        [_, 1] if n * size <= 128 => k > 0 && work <= 1 << 21,
                        [_, 1] => k > 2 && work * size <= 1 << 16,
                        [1, _] => m.min(n) >= 8 && work <= $columns,
                        _ => false,
                    };
                let narrow = n * size < 64 && (n == 1 || c.layout.strides[1] == 1);
                let sums = narrow && a.layout.strides[1] == 1 && k * size >= if n == 1 { 64 } else { 256 };
                let rows = narrow && n > 1 && a.layout.strides[0] == 1 && b.layout.strides.contains(&1);
                // Longer sums are computed in parts, which join one after the other. `Dots` has a sum in each lane.
                let terms = if sums && m >= 4 { 2048 } else { 1024 };
                if k > terms && (m == 1 || n == 1) {
                    // Where c is a vector, the kernels of `large` would add each term to c itself.
                    in_parts(c, a, b, update, terms, Self::product);
                } else if k > terms {
                    let MatMut { data, layout } = c;
                    for first in (0..k).step_by(terms) {
                        let len = terms.min(k - first);
                        let update = if first == 0 { update } else { Store::Add };
                        let c = MatMut { data: &mut *data, layout };
                        Self::product(c, a.part(1, first, len), b.part(0, first, len), update);
                    }
                } else if work <= 16 || work <= 256 && !tiles {
                    loops(c, a, b, update);
                } else if sums && n == 1 && k * size <= 256 && m >= 4 && b.layout.strides[0] == 1 && in_rows(&a) {
                    arch().dispatch(Column { c, a, b: b.from(0, 0), update });
                } else if sums && m >= 4 {
                    SCRATCH.with_borrow_mut(|[scratch, _]| {
                        arch().dispatch(Dots { c, a, b, update, scratch });
                    });
                } else if rows && m * size >= 128 && work >= 1 << 12 {
                    SCRATCH.with_borrow_mut(|scratch| {
                        flipped(c, a, b, update, scratch, in_tiles);
                    });
                } else if tiles {
                    SCRATCH.with_borrow_mut(|[scratch, _]| in_tiles(Tiles { c, a, b, update, scratch }));
                } else {
                    large(c, a, b, update, $gemm::gemm::$f::get_gemm_fn());
                }
            }

            fn shifted(product: Shifted<'_, $f>) {
                in_vectors(product);
            }

            fn with_scratch<T>(len: usize, work: impl FnOnce(&mut [$f]) -> T) -> T {
                thread_local!(static SCRATCH: RefCell<Vec<$f>> = const { RefCell::new(vec![]) });
                SCRATCH.with_borrow_mut(|scratch| {
                    if scratch.len() < len {
                        scratch.resize(len, 0.0);
                    }
                    work(&mut scratch[..len])
                })
            }

            fn inner(a: &[$f], b: &[$f]) -> $f {
                arch().dispatch(Dot { a, b })
            }
        }
    };
}
/// True if the rows are contiguous and stand one after the other.
#[inline(always)]
pub(super) fn in_rows<F>(a: &Mat<'_, F>) -> bool {
    matches!(a.layout.strides, [step, 1] if step >= a.layout.shape[1] as isize)
}

/// The product by [`Tiles`]. A function of its own, because the code of the tiles is much of what the crate has to
/// compile (see M26 in docs/MEASUREMENTS.md).
#[inline(never)]
fn in_tiles<F: SimdFloat>(tiles: Tiles<'_, F>) {
    arch().dispatch(tiles);
}

/// The product by vectors of columns. A function of its own, as [`in_tiles`].
#[inline(never)]
fn in_vectors<F: SimdFloat>(product: Shifted<'_, F>) {
    arch().dispatch(product);
}

gemm_scalar!(f32, gemm_f32, columns up to 1 << 16);
gemm_scalar!(f64, gemm_f64, columns up to 1 << 13);

/// The instruction set to use, kept because asking the processor each time costs as much as a small product (see M20 in
/// docs/MEASUREMENTS.md).
pub(super) fn arch() -> Arch {
    static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);
    *ARCH
}
