//! Substitution with triangular matrices, by halves, so that most of the work is matrix products.

use crate::arena::Arena;

use crate::number::Scalar;
use crate::slices::gemm::{Mat, MatMut, Store, matmul};

/// The largest order for which substitution is plain loops.
const SMALL: usize = 16;

/// A triangle of a square matrix in a slice; the other triangle is not read.
#[derive(Clone, Copy)]
pub(crate) struct Triangle<'a, F> {
    data: &'a [F],
    offset: usize,
    order: usize,
    strides: [usize; 2],
    lower: bool,
    /// True if the diagonal consists of ones, which are not read.
    unit: bool,
}

impl<'a, F: Scalar> Triangle<'a, F> {
    /// The triangle of a matrix in row-major order.
    pub(crate) fn new(data: &'a [F], order: usize, lower: bool, unit: bool) -> Self {
        Self { data, offset: 0, order, strides: [order, 1], lower, unit }
    }

    /// The transpose, of the same elements.
    pub(crate) fn t(self) -> Self {
        let [row, column] = self.strides;
        Self { strides: [column, row], lower: !self.lower, ..self }
    }

    /// Overwrites X with T⁻¹X. X has `columns` columns, in row-major order.
    pub(crate) fn solve(self, x: &mut [F], columns: usize, arena: &Arena) {
        debug_assert_eq!(x.len(), self.order * columns);
        if columns > 0 {
            let halves = if self.order > SMALL { self.order.div_ceil(2) * columns } else { 0 };
            self.by_halves(x, columns, arena.alloc_slice_fill_copy(halves, F::zero()));
        }
    }

    /// Solves [T₁ 0; C T₂] X = B by X₁ = T₁⁻¹B₁ and then X₂ = T₂⁻¹(B₂ − C X₁); an upper triangle in the same way from
    /// below.
    fn by_halves(self, x: &mut [F], columns: usize, scratch: &mut [F]) {
        if self.order <= SMALL {
            return self.by_rows(x, columns);
        }
        let [top, left] = self.strides;
        let half = self.order / 2;
        let head = Self { order: half, ..self };
        let tail = Self { offset: self.offset + half * (top + left), order: self.order - half, ..self };
        let (above, below) = x.split_at_mut(half * columns);
        let (first, solved, corner, second, rest) =
            if self.lower { (head, above, half * top, tail, below) } else { (tail, below, half * left, head, above) };
        first.by_halves(solved, columns, scratch);
        let shape = [second.order, first.order];
        let corner = Mat::new(self.data, self.offset + corner, shape, [top as isize, left as isize]);
        let known = Mat::new(solved, 0, [first.order, columns], [columns as isize, 1]);
        let product = &mut scratch[..rest.len()];
        matmul(
            MatMut::new(&mut *product, 0, [second.order, columns], [columns as isize, 1]),
            corner,
            known,
            Store::Set,
        );
        for (x, &p) in rest.iter_mut().zip(&*product) {
            *x -= p;
        }
        second.by_halves(rest, columns, scratch);
    }

    /// Plain substitution, row by row.
    fn by_rows(self, x: &mut [F], columns: usize) {
        let at = |i: usize, j: usize| self.data[self.offset + i * self.strides[0] + j * self.strides[1]];
        for step in 0..self.order {
            let i = if self.lower { step } else { self.order - 1 - step };
            let (row, solved, first) = if self.lower {
                let (solved, rest) = x.split_at_mut(i * columns);
                (&mut rest[..columns], solved, 0)
            } else {
                let (rest, solved) = x.split_at_mut((i + 1) * columns);
                (&mut rest[i * columns..], solved, i + 1)
            };
            for (j, known) in solved.chunks_exact(columns).enumerate() {
                let t = at(i, first + j);
                for (x, &known) in row.iter_mut().zip(known) {
                    *x -= t * known;
                }
            }
            if !self.unit {
                let pivot = at(i, i);
                for x in row {
                    *x /= pivot;
                }
            }
        }
    }
}

/// Transposes a square matrix in place.
pub(crate) fn transpose<F>(a: &mut [F], order: usize) {
    for i in 0..order {
        for j in 0..i {
            a.swap(i * order + j, j * order + i);
        }
    }
}
