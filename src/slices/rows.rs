//! The rows of a tile: slices of one length, which instructions name by number.
//!
//! Which rows an instruction reads and writes is known at run time alone, and most rows are short, so that looking up
//! and checking slices would cost more than the arithmetic (M37 in docs/MEASUREMENTS.md). The borrows are therefore
//! checked once, when a row joins the list.

use std::marker::PhantomData;
use std::{fmt, slice};

use pulp::Simd;

use super::simd::{SimdFloat, lanes};

/// The memory of a list of rows, kept from tile to tile.
pub(crate) struct RowList<F>(Vec<*mut F>);

// SAFETY: the pointers are followed only by the `Rows` that put them there and borrows what they lead to; the next one
// empties the list.
unsafe impl<F> Send for RowList<F> {}
// SAFETY: as above, and a shared list gives nothing.
unsafe impl<F> Sync for RowList<F> {}

impl<F> Default for RowList<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// An empty list with the same room: pointers are never shared.
impl<F> Clone for RowList<F> {
    fn clone(&self) -> Self {
        Self(Vec::with_capacity(self.0.capacity()))
    }
}

impl<F> fmt::Debug for RowList<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowList({})", self.0.capacity())
    }
}

impl<F> RowList<F> {
    /// Makes room for `n` rows.
    pub(crate) fn reserve(&mut self, n: usize) {
        self.0.clear();
        self.0.reserve(n);
    }
}

/// An operand of a loop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<F> {
    Row(u32),
    /// One number for all lanes.
    Number(F),
}

/// Rows of `len` numbers: first those that are read only, then those that may be written.
///
/// Invariant: each pointer leads to `len` numbers that are borrowed for `'a`; from `first_writable` on they are borrowed
/// mutably, so that such a row has no number in common with another one.
pub(crate) struct Rows<'a, F> {
    starts: &'a mut Vec<*mut F>,
    first_writable: usize,
    len: usize,
    borrowed: PhantomData<&'a mut [F]>,
}

/// The vector at number `i` of a row.
///
/// # Safety
///
/// The row has at least `i` numbers and those of a vector.
#[inline(always)]
unsafe fn load<S: Simd, F: SimdFloat>(row: *const F, i: usize) -> F::Vector<S> {
    // SAFETY: the caller's; vectors are plain old data.
    unsafe { row.add(i).cast::<F::Vector<S>>().read_unaligned() }
}

/// Writes the vector at number `i` of a row.
///
/// # Safety
///
/// As for [`load`]; the row may be written.
#[inline(always)]
unsafe fn store<S: Simd, F: SimdFloat>(row: *mut F, i: usize, x: F::Vector<S>) {
    // SAFETY: the caller's.
    unsafe { row.add(i).cast::<F::Vector<S>>().write_unaligned(x) }
}

/// Fills a row vector by vector with `value(i)`, four at a time, so that no vector waits for another one's store. Numbers
/// behind the last whole vector stay as they are.
///
/// # Safety
///
/// The row has `len` numbers that may be written.
#[inline(always)]
unsafe fn fill<S: Simd, F: SimdFloat>(row: *mut F, len: usize, value: impl Fn(usize) -> F::Vector<S>) {
    let n = lanes::<S, F>();
    let (blocks, whole) = (len / (4 * n) * (4 * n), len / n * n);
    let mut i = 0;
    // SAFETY: `blocks` and `whole` are multiples of what a turn writes and at most `len`, so that each vector, of n numbers
    // as `lanes` asserts, ends there at the latest.
    unsafe {
        while i != blocks {
            let (a, b, c, d) = (value(i), value(i + n), value(i + 2 * n), value(i + 3 * n));
            store::<S, F>(row, i, a);
            store::<S, F>(row, i + n, b);
            store::<S, F>(row, i + 2 * n, c);
            store::<S, F>(row, i + 3 * n, d);
            i += 4 * n;
        }
        while i != whole {
            store::<S, F>(row, i, value(i));
            i += n;
        }
    }
}

impl<'a, F: SimdFloat> Rows<'a, F> {
    /// No rows yet, for rows of `len` numbers. Loops write whole vectors, so `len` is a multiple of every vector's lanes.
    #[inline(always)]
    pub(crate) fn new(list: &'a mut RowList<F>, len: usize) -> Self {
        debug_assert!(len.is_multiple_of(64 / size_of::<F>()), "rows of {len} numbers end within a vector");
        list.0.clear();
        Self { starts: &mut list.0, first_writable: 0, len, borrowed: PhantomData }
    }

    /// Adds a row that is read only. Such rows come before the others.
    #[inline(always)]
    pub(crate) fn push(&mut self, row: &'a [F]) {
        assert!(self.first_writable == self.starts.len(), "rows that are read only come first");
        self.starts.push(row[..self.len].as_ptr().cast_mut());
        self.first_writable += 1;
    }

    /// Adds a row that may be written.
    #[inline(always)]
    pub(crate) fn push_writable(&mut self, row: &'a mut [F]) {
        self.starts.push(row[..self.len].as_mut_ptr());
    }

    #[inline(always)]
    fn start(&self, k: u32) -> *const F {
        self.starts[k as usize]
    }

    #[inline(always)]
    fn start_writable(&mut self, k: u32) -> *mut F {
        assert!(k as usize >= self.first_writable, "a row that is read only");
        self.starts[k as usize]
    }

    /// The numbers of a row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[inline(always)]
    pub(crate) fn get(&self, k: u32) -> &[F] {
        // SAFETY: the invariant; what writes rows borrows all of them mutably.
        unsafe { slice::from_raw_parts(self.start(k), self.len) }
    }

    /// The row `out`, to be written, and others.
    ///
    /// # Panics
    ///
    /// If the row is among the others or read only, or there is no such row.
    #[inline(always)]
    pub(crate) fn split<const N: usize>(&mut self, out: u32, others: [Source<F>; N]) -> (&mut [F], [Option<&[F]>; N]) {
        let mut slices = [None; N];
        for (to, other) in slices.iter_mut().zip(others) {
            if let Source::Row(k) = other {
                assert!(k != out, "an operand that is the result");
                // SAFETY: the invariant; row `k` has no number in common with row `out`.
                *to = Some(unsafe { slice::from_raw_parts(self.start(k), self.len) });
            }
        }
        let len = self.len;
        // SAFETY: the invariant; the borrow of `self` lasts as long as that of the row.
        (unsafe { slice::from_raw_parts_mut(self.start_writable(out), len) }, slices)
    }

    /// outᵢ = x.
    #[inline(always)]
    pub(crate) fn set<S: Simd>(&mut self, simd: S, out: u32, x: F) {
        let (len, to, x) = (self.len, self.start_writable(out), F::splat(simd, x));
        // SAFETY: all rows have `len` numbers.
        unsafe {
            fill::<S, F>(
                to,
                len,
                #[inline(always)]
                |_| x,
            );
        }
    }

    /// outᵢ = f(aᵢ).
    #[inline(always)]
    pub(crate) fn map<S: Simd>(&mut self, _: S, out: u32, a: u32, f: impl Fn(F::Vector<S>) -> F::Vector<S>) {
        let (len, to) = (self.len, self.start_writable(out));
        let a = self.start(a);
        // SAFETY: all rows have `len` numbers, and `fill` asks for vectors that end below that.
        unsafe {
            fill::<S, F>(
                to,
                len,
                #[inline(always)]
                |i| f(load::<S, F>(a, i)),
            );
        }
    }

    /// outᵢ = f(aᵢ, bᵢ).
    #[inline(always)]
    pub(crate) fn zip<S: Simd>(
        &mut self,
        _: S,
        out: u32,
        [a, b]: [u32; 2],
        f: impl Fn(F::Vector<S>, F::Vector<S>) -> F::Vector<S>,
    ) {
        let (len, to) = (self.len, self.start_writable(out));
        let (a, b) = (self.start(a), self.start(b));
        // SAFETY: all rows have `len` numbers, and `fill` asks for vectors that end below that.
        unsafe {
            fill::<S, F>(
                to,
                len,
                #[inline(always)]
                |i| f(load::<S, F>(a, i), load::<S, F>(b, i)),
            );
        }
    }

    /// outᵢ = f(aᵢ, bᵢ, cᵢ).
    #[inline(always)]
    pub(crate) fn zip3<S: Simd>(
        &mut self,
        _: S,
        out: u32,
        [a, b, c]: [u32; 3],
        f: impl Fn(F::Vector<S>, F::Vector<S>, F::Vector<S>) -> F::Vector<S>,
    ) {
        let (len, to) = (self.len, self.start_writable(out));
        let (a, b, c) = (self.start(a), self.start(b), self.start(c));
        // SAFETY: all rows have `len` numbers, and `fill` asks for vectors that end below that.
        unsafe {
            fill::<S, F>(
                to,
                len,
                #[inline(always)]
                |i| f(load::<S, F>(a, i), load::<S, F>(b, i), load::<S, F>(c, i)),
            );
        }
    }

    /// outᵢ = startᵢ + Σₖ aₖᵢ bₖᵢ, over pairs of rows, or of the place of one of the `numbers` and a row.
    ///
    /// Some vectors of the result stay in registers while the products are added.
    #[inline(always)]
    pub(crate) fn add_products<S: Simd>(
        &mut self,
        simd: S,
        out: u32,
        start: Source<F>,
        pairs: &[(u32, u32)],
        numbers: Option<&[F]>,
    ) {
        let (len, to, mut i) = (self.len, self.start_writable(out), 0);
        macro_rules! block {
            ($width:literal) => {
                while i + $width * lanes::<S, F>() <= len {
                    // SAFETY: all rows have `len` numbers, which hold the vectors of the block.
                    unsafe {
                        let mut sums = match start {
                            Source::Number(x) => [F::splat(simd, x); $width],
                            Source::Row(k) => {
                                let start = self.start(k);
                                let mut sums = [F::splat(simd, F::zero()); $width];
                                for v in 0..$width {
                                    sums[v] = load::<S, F>(start, i + v * lanes::<S, F>());
                                }
                                sums
                            }
                        };
                        if let Some(numbers) = numbers {
                            for &(a, b) in pairs {
                                let (a, b) = (F::splat(simd, numbers[a as usize]), self.start(b));
                                for v in 0..$width {
                                    sums[v] = F::times_plus(simd, a, load::<S, F>(b, i + v * lanes::<S, F>()), sums[v]);
                                }
                            }
                        } else {
                            for &(a, b) in pairs {
                                let (a, b) = (self.start(a), self.start(b));
                                for v in 0..$width {
                                    let (a, b) = (
                                        load::<S, F>(a, i + v * lanes::<S, F>()),
                                        load::<S, F>(b, i + v * lanes::<S, F>()),
                                    );
                                    sums[v] = F::times_plus(simd, a, b, sums[v]);
                                }
                            }
                        }
                        for v in 0..$width {
                            store::<S, F>(to, i + v * lanes::<S, F>(), sums[v]);
                        }
                    }
                    i += $width * lanes::<S, F>();
                }
            };
        }
        block!(8);
        block!(4);
        block!(1);
    }
}
