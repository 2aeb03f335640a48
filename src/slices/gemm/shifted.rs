//! Products whose right matrix is read where it stands: its rows and columns lie at several regular distances, and rows
//! may overlap. A convolution needs no copy of the pixels under each window that way.

use pulp::{Simd, WithSimd, bytemuck};

use super::mat::Store;
use super::product::GemmScalar;
use crate::slices::simd::{SimdFloat, lanes, vectors};

/// A loop: its length, and how far each turn moves on in two slices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loop {
    pub(crate) len: usize,
    pub(crate) steps: [usize; 2],
}

/// The product c = a·b or c += a·b, with the places of all elements given by loops.
///
/// A place in a is a row and a term, one in b a term and a column, one in c a row and a column.
#[allow(unreachable_pub)] // an argument of the public `GemmScalar`
pub struct Shifted<'a, F> {
    pub(crate) a: &'a [F],
    pub(crate) b: &'a [F],
    pub(crate) c: &'a mut [F],
    /// The rows, with steps in a and c.
    pub(crate) rows: Loop,
    /// The terms of each sum: nested loops, the outermost first, with steps in a and b.
    pub(crate) terms: [Loop; 3],
    /// The runs of neighbouring columns: nested loops with steps in b and c.
    pub(crate) runs: [Loop; 2],
    /// The number of columns in a run.
    pub(crate) run: usize,
    pub(crate) update: Store,
}

/// The number of elements that b must have behind the last one that is used, because columns are read in whole vectors.
pub(crate) const SLACK: usize = 64;

/// The place after the last one that loops reach, or `None` if that is no number.
fn reach<const N: usize>(loops: [Loop; N], of: usize) -> Option<usize> {
    loops.iter().try_fold(1_usize, |sum, l| sum.checked_add(l.len.saturating_sub(1).checked_mul(l.steps[of])?))
}

impl Loop {
    pub(crate) fn new(len: usize, steps: [usize; 2]) -> Self {
        Self { len, steps }
    }
}

impl<F> Shifted<'_, F> {
    /// Panics unless the places lie in the slices, also if vectors of `lanes` columns are read from b.
    #[track_caller]
    fn check(&self, lanes: usize) {
        let terms = self.terms;
        let columns = self.run.checked_next_multiple_of(lanes);
        let both = |one: Option<usize>, other: Option<usize>, run: Option<usize>| {
            (one? - 1).checked_add(other? - 1)?.checked_add(run?)
        };
        let a = reach([self.rows, terms[0], terms[1], terms[2]], 0);
        let b = both(reach(terms, 1), reach(self.runs, 0), columns);
        let c = both(reach([self.rows], 1), reach(self.runs, 1), Some(self.run));
        // Without terms nothing is read.
        let read = terms.iter().all(|terms| terms.len > 0);
        let [a, b] = [a, b].map(|reach| if read { reach } else { Some(0) });
        for (reach, len) in [(a, self.a.len()), (b, self.b.len()), (c, self.c.len())] {
            assert!(reach.is_some_and(|reach| reach <= len), "a product reaches {reach:?} of {len} elements");
        }
    }

    /// True if c has no elements.
    fn is_empty(&self) -> bool {
        self.rows.len * self.runs[0].len * self.runs[1].len * self.run == 0
    }

    /// The places in b and c of column `column` of the run of this number.
    #[inline(always)]
    fn column(&self, run: usize, column: usize) -> [usize; 2] {
        let [outer, inner] = self.runs;
        let (i, j) = (run / inner.len, run % inner.len);
        [0, 1].map(|of| i * outer.steps[of] + j * inner.steps[of] + column)
    }
}

/// The product by plain loops, for every number.
pub(super) fn by_loops<F: GemmScalar>(product: Shifted<'_, F>) {
    if product.is_empty() {
        return;
    }
    product.check(1);
    for row in 0..product.rows.len {
        let [a, c] = product.rows.steps.map(|step| row * step);
        for run in 0..product.runs[0].len * product.runs[1].len {
            for column in 0..product.run {
                let [b, to] = product.column(run, column);
                let mut sum = F::zero();
                let [one, two, three] = product.terms;
                for i in 0..one.len {
                    for j in 0..two.len {
                        for k in 0..three.len {
                            let [x, y] = [0, 1].map(|of| i * one.steps[of] + j * two.steps[of] + k * three.steps[of]);
                            sum = sum + product.a[a + x] * product.b[b + y];
                        }
                    }
                }
                let to = &mut product.c[c + to];
                *to = if product.update == Store::Add { *to + sum } else { sum };
            }
        }
    }
}

impl<F: SimdFloat> WithSimd for Shifted<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if self.is_empty() {
            return;
        }
        self.check(lanes::<S, F>());
        // The innermost loop is the longest that way.
        self.terms.sort_by_key(|terms| terms.len != 1);
        // Vectors of all runs one after the other.
        let count = self.runs[0].len * self.runs[1].len * self.run.div_ceil(lanes::<S, F>());
        let mut first = 0;
        while first < count {
            first += match count - first {
                3.. if const { S::REGISTER_COUNT >= 32 } => self.vectors::<S, 3>(simd, first),
                2.. => self.vectors::<S, 2>(simd, first),
                _ => self.vectors::<S, 1>(simd, first),
            };
        }
    }
}

impl<F: SimdFloat> Shifted<'_, F> {
    /// Computes V vectors of columns for all rows; returns V. The caller has called [`check`](Self::check).
    #[inline(always)]
    fn vectors<S: Simd, const V: usize>(&mut self, simd: S, first: usize) -> usize {
        let (lanes, per_run) = (lanes::<S, F>(), self.run.div_ceil(lanes::<S, F>()));
        let (mut from, mut to, mut widths) = ([0; V], [0; V], [lanes; V]);
        for v in 0..V {
            let (run, column) = ((first + v) / per_run, (first + v) % per_run * lanes);
            [from[v], to[v]] = self.column(run, column);
            widths[v] = lanes.min(self.run - column);
        }
        let mut row = 0;
        while row < self.rows.len {
            row += match self.rows.len - row {
                // A constant block, so that the other instruction sets do not compile what they never run.
                8.. if const { S::REGISTER_COUNT >= 32 } => self.tile::<S, 8, V>(simd, row, from, to, widths),
                4.. => self.tile::<S, 4, V>(simd, row, from, to, widths),
                2.. => self.tile::<S, 2, V>(simd, row, from, to, widths),
                _ => self.tile::<S, 1, V>(simd, row, from, to, widths),
            };
        }
        V
    }

    /// Computes R rows of V vectors; returns R.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        from: [usize; V],
        to: [usize; V],
        widths: [usize; V],
    ) -> usize {
        let sums = self.sums::<S, R, V>(simd, row, from);
        let lanes = lanes::<S, F>();
        for (r, sums) in sums.iter().enumerate() {
            for v in 0..V {
                let place = (row + r) * self.rows.steps[1] + to[v];
                if widths[v] == lanes {
                    let place: &mut [_; 1] =
                        bytemuck::cast_slice_mut(&mut self.c[place..place + lanes]).try_into().expect("one vector");
                    place[0] = match self.update {
                        Store::Set => sums[v],
                        Store::Add => F::plus(simd, place[0], sums[v]),
                    };
                } else {
                    let place = &mut self.c[place..place + widths[v]];
                    let sum = match self.update {
                        Store::Set => sums[v],
                        Store::Add => F::plus(simd, F::load_some(simd, place), sums[v]),
                    };
                    F::store_some(simd, place, sum);
                }
            }
        }
        R
    }

    /// The sums of R rows and V vectors of columns.
    #[inline(always)]
    fn sums<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        row: usize,
        from: [usize; V],
    ) -> [[F::Vector<S>; V]; R] {
        let (lanes, step) = (lanes::<S, F>(), self.rows.steps[0]);
        let [one, two, three] = self.terms;
        let mut sums = [[F::splat(simd, F::zero()); V]; R];
        for i in 0..one.len {
            for j in 0..two.len {
                let [mut x, mut y] = [0, 1].map(|of| i * one.steps[of] + j * two.steps[of]);
                x += row * step;
                for _ in 0..three.len {
                    let mut b = [F::splat(simd, F::zero()); V];
                    for v in 0..V {
                        debug_assert!(y + from[v] + lanes <= self.b.len());
                        // SAFETY: `check` says that a whole vector can be read from the place of each term and of the first of
                        // each `lanes` columns.
                        let from = unsafe { self.b.get_unchecked(y + from[v]..y + from[v] + lanes) };
                        b[v] = vectors::<S, F>(from)[0];
                    }
                    for (r, sums) in sums.iter_mut().enumerate() {
                        debug_assert!(x + r * step < self.a.len());
                        // SAFETY: `check` says that a has an element at the place of each row and each term.
                        let a = F::splat(simd, unsafe { *self.a.get_unchecked(x + r * step) });
                        for (sum, &b) in sums.iter_mut().zip(&b) {
                            *sum = F::times_plus(simd, a, b, *sum);
                        }
                    }
                    x += three.steps[0];
                    y += three.steps[1];
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Float, Isa, Numbers};
    use super::{Loop, Shifted, by_loops};
    use crate::slices::gemm::Store;

    /// A product read in place, with loops of these lengths; steps are such that rows of b overlap and runs of c do not.
    fn check_shifted<F: Float>(rows: usize, terms: [usize; 3], runs: [usize; 2], run: usize) {
        let mut numbers = Numbers(7);
        let [two, three] = [terms[1], terms[2]];
        let gap = run + 3;
        let shape = (
            Loop::new(rows, [terms[0] * two * three + 1, runs[0] * runs[1] * gap + 2]),
            [Loop::new(terms[0], [two * three, 5]), Loop::new(two, [three, 2]), Loop::new(three, [1, 7])],
            [Loop::new(runs[0], [3, runs[1] * gap]), Loop::new(runs[1], [11, gap])],
        );
        let mut random = |len: usize| (0..len).map(|_| F::of(numbers.next())).collect::<Vec<F>>();
        let a = random(rows.max(1) * (terms[0] * two * three + 1));
        let b = random(5 * terms[0] + 2 * two + 7 * three + 3 * runs[0] + 11 * runs[1] + run + 64);
        let old = random(rows.max(1) * (runs[0] * runs[1] * gap + 2));
        for update in [Store::Set, Store::Add] {
            let into = |c: &mut [F], go: &dyn Fn(Shifted<'_, F>)| {
                go(Shifted { a: &a, b: &b, c, rows: shape.0, terms: shape.1, runs: shape.2, run, update });
            };
            let mut wanted = old.clone();
            into(&mut wanted, &by_loops);
            for isa in [
                Isa::Scalar,
                Isa::Best,
                #[cfg(target_arch = "x86_64")]
                Isa::V3,
            ] {
                let mut c = old.clone();
                into(&mut c, &|product| isa.dispatch(product));
                for (i, ((&got, &want), &old)) in c.iter().zip(&wanted).zip(&old).enumerate() {
                    // What lies between runs and rows stays.
                    let (got, want): (f64, f64) = (got.into(), want.into());
                    let error = (got - want).abs();
                    let count = (terms[0] * two * three) as f64;
                    assert!(
                        error <= 2.0 * F::EPSILON * count.max(1.0) && (want != old.into() || got == want),
                        "{isa:?}, {update:?}, {rows} rows, terms {terms:?}, runs {runs:?} of {run}: {got} for {want} at {i}"
                    );
                }
            }
        }
    }

    #[test]
    fn products_read_in_place() {
        for rows in [0, 1, 3, 4, 8, 9, 17] {
            for run in [0, 1, 7, 8, 16, 17, 49] {
                check_shifted::<f32>(rows, [2, 3, 2], [2, 2], run);
                check_shifted::<f64>(rows, [2, 3, 2], [2, 2], run);
            }
        }
        for terms in [[0, 3, 2], [1, 1, 1], [5, 1, 1], [1, 4, 1], [3, 2, 9]] {
            for runs in [[0, 1], [1, 1], [1, 3], [5, 1]] {
                check_shifted::<f32>(9, terms, runs, 9);
                check_shifted::<f64>(3, terms, runs, 16);
            }
        }
    }

    /// A place outside of its slice is refused before anything is read or written; b has to go on for whole vectors.
    #[test]
    fn places_outside_of_a_slice() {
        let attempt = |[a, b, c]: [usize; 3], steps: [usize; 2]| {
            let ([a, b], mut c) = ([a, b].map(|len| vec![1.0_f32; len]), vec![0.0_f32; c]);
            let product = Shifted {
                a: &a,
                b: &b,
                c: &mut c,
                rows: Loop::new(2, [3, 8]),
                terms: [Loop::new(1, [0, 0]), Loop::new(1, [0, 0]), Loop::new(3, steps)],
                runs: [Loop::new(1, [0, 0]), Loop::new(1, [0, 0])],
                run: 8,
                update: Store::Set,
            };
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Isa::Best.dispatch(product))).is_ok()
        };
        assert!(attempt([6, 4 + 64, 16], [1, 2]));
        assert!(!attempt([5, 4 + 64, 16], [1, 2]));
        assert!(!attempt([6, 4 + 7, 16], [1, 2]));
        assert!(!attempt([6, 4 + 64, 15], [1, 2]));
        assert!(!attempt([6, 4 + 64, 16], [1, usize::MAX]));
        assert!(!attempt([6, 4 + 64, 16], [usize::MAX, 2]));
    }
}
