//! Products of numbers with tangents, by products of their parts: (A + εA')(B + εB') = AB + ε(A'B + AB').
//!
//! Each part of a matrix is copied into a matrix of its own, a *plane*, so that the fast ways of floats apply.

use std::ops::Add;

use num_traits::Zero;
use pulp::{Simd, WithSimd};
use smallvec::SmallVec;

use super::loops::loops;
use super::mat::{Mat, MatMut, Store};
use super::product::{GemmScalar, arch, in_parts, matmul};

/// A number with a primal, which is its part 0, and tangents, which are the parts from 1 on.
pub(crate) trait Parts: GemmScalar + Add<Output = Self> {
    type Part: GemmScalar;
    /// The number of parts.
    const PARTS: usize;
    fn part(self, index: usize) -> Self::Part;
    fn from_parts(part: impl Fn(usize) -> Self::Part) -> Self;
    fn is_finite_part(part: Self::Part) -> bool;
    fn is_zero_part(part: Self::Part) -> bool;
}

/// The multiplications below which planes do not pay.
const FEW: usize = 256;

/// The numbers of a plane that are copied and looked at in turn.
const NEAR: usize = 1 << 11;

/// The longest sums of plain loops.
const LONGEST: usize = 1 << 12;

/// `c = a·b` or `c += a·b`, for shapes that fit.
///
/// Where a number is not finite, the product is that of plain loops: the tangent of a product of two numbers may be zero
/// although a factor is infinite, which sums of products of planes do not see.
pub(crate) fn product<D: Parts>(mut c: MatMut<'_, D>, a: Mat<'_, D>, b: Mat<'_, D>, update: Store) {
    let ([m, n], k) = (c.layout.shape, a.layout.shape[1]);
    if m * n * k < FEW || !by_planes(&mut c, a, b, update) {
        if k > LONGEST {
            in_parts(c, a, b, update, LONGEST, loops);
        } else {
            loops(c, a, b, update);
        }
    }
}

/// The product by planes. Returns false, and leaves c as it is, if a number is not finite.
fn by_planes<D: Parts>(c: &mut MatMut<'_, D>, a: Mat<'_, D>, b: Mat<'_, D>, update: Store) -> bool {
    let ([m, n], k) = (c.layout.shape, a.layout.shape[1]);
    D::Part::with_scratch(D::PARTS * (m * k + k * n + m * n), |scratch| {
        let (of_a, rest) = scratch.split_at_mut(D::PARTS * m * k);
        let (of_b, of_c) = rest.split_at_mut(D::PARTS * k * n);
        let (Some(a), Some(b)) = (Planes::of(a, of_a), Planes::of(b, of_b)) else { return false };
        for (part, sums) in of_c.chunks_exact_mut(m * n).enumerate() {
            // Parts of a constant are zero, and zeros times finite numbers need no product.
            let terms = [(part, 0), (0, part)].into_iter().take(if part == 0 { 1 } else { 2 });
            let mut update = Store::Set;
            for (a, b) in terms.filter_map(|(p, q)| Some((a.nonzero(p)?, b.nonzero(q)?))) {
                matmul(MatMut::new(sums, 0, [m, n], [n as isize, 1]), a, b, update);
                update = Store::Add;
            }
            if update == Store::Set {
                sums.fill(D::Part::zero());
            }
        }
        arch().dispatch(Join { c, planes: of_c, update })
    })
}

/// Joins the planes of a product, and stores or adds its elements. Returns false, and leaves c as it is, if a part is not
/// finite.
struct Join<'a, 'b, D: Parts> {
    c: &'a mut MatMut<'b, D>,
    planes: &'a [D::Part],
    update: Store,
}

impl<D: Parts> WithSimd for Join<'_, '_, D> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Self { c, planes, update } = self;
        let [m, n] = c.layout.shape;
        if !planes.iter().fold(true, |all, &part| all & D::is_finite_part(part)) {
            return false;
        }
        let write = |c: &mut D, product: D| *c = if update == Store::Set { product } else { *c + product };
        for i in 0..m {
            let row = |part: usize| &planes[(part * m + i) * n..][..n];
            if D::PARTS == 2 && c.layout.strides[1] == 1 {
                // A loop of vectors.
                let products =
                    row(0).iter().zip(row(1)).map(|(&p, &t)| D::from_parts(|part| if part == 0 { p } else { t }));
                c.data[c.layout.at(i, 0)..][..n].iter_mut().zip(products).for_each(|(c, product)| write(c, product));
            } else {
                for j in 0..n {
                    write(&mut c.data[c.layout.at(i, j)], D::from_parts(|part| row(part)[j]));
                }
            }
        }
        true
    }
}

/// The planes of a matrix, one after the other.
struct Planes<'a, F> {
    data: &'a [F],
    shape: [usize; 2],
    strides: [isize; 2],
    is_zero: SmallVec<[bool; 8]>,
}

/// Splits the lines of a matrix into planes. Returns which of them are zero throughout; `None` if a part is not finite.
struct Split<'a, 'b, D: Parts> {
    lines: Mat<'a, D>,
    planes: &'b mut [D::Part],
}

impl<D: Parts> WithSimd for Split<'_, '_, D> {
    type Output = Option<SmallVec<[bool; 8]>>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { lines, planes } = self;
        let [count, len] = lines.layout.shape;
        let mut is_zero = SmallVec::from_elem(true, D::PARTS);
        // Some lines at a time, which stay in the nearest cache; loops of vectors, so without a way out of them.
        let some = (NEAR / len).max(1);
        for first in (0..count).step_by(some) {
            let these = first * len..count.min(first + some) * len;
            if D::PARTS == 2 && lines.layout.strides[1] == 1 {
                let (primals, tangents) = planes.split_at_mut(count * len);
                let to =
                    primals[these.clone()].chunks_exact_mut(len).zip(tangents[these.clone()].chunks_exact_mut(len));
                for (i, (primals, tangents)) in to.enumerate() {
                    for ((p, t), x) in primals.iter_mut().zip(tangents).zip(&lines.from(first + i, 0)[..len]) {
                        (*p, *t) = (x.part(0), x.part(1));
                    }
                }
            } else {
                for (part, plane) in planes.chunks_exact_mut(count * len).enumerate() {
                    for (i, to) in plane[these.clone()].chunks_exact_mut(len).enumerate() {
                        for (j, to) in to.iter_mut().enumerate() {
                            *to = lines.data[lines.layout.at(first + i, j)].part(part);
                        }
                    }
                }
            }
            for (plane, is_zero) in planes.chunks_exact(count * len).zip(&mut is_zero) {
                let plane = &plane[these.clone()];
                if !plane.iter().fold(true, |all, &x| all & D::is_finite_part(x)) {
                    return None;
                }
                *is_zero = *is_zero && plane.iter().fold(true, |all, &x| all & D::is_zero_part(x));
            }
        }
        Some(is_zero)
    }
}

impl<'a, F: GemmScalar> Planes<'a, F> {
    /// Copies the parts of a matrix, rows or columns in their order in memory. `None` if one is not finite.
    fn of<D: Parts<Part = F>>(x: Mat<'_, D>, planes: &'a mut [F]) -> Option<Self> {
        let shape = x.layout.shape;
        let by_columns = x.layout.strides[0].unsigned_abs() < x.layout.strides[1].unsigned_abs();
        let lines = if by_columns { x.t() } else { x };
        let len = lines.layout.shape[1];
        let is_zero = arch().dispatch(Split { lines, planes: &mut *planes })?;
        let strides = if by_columns { [1, len as isize] } else { [len as isize, 1] };
        Some(Self { data: planes, shape, strides, is_zero })
    }

    /// The plane of a part, unless it is zero throughout.
    fn nonzero(&self, part: usize) -> Option<Mat<'_, F>> {
        let [rows, columns] = self.shape;
        (!self.is_zero[part]).then(|| Mat::new(self.data, part * rows * columns, self.shape, self.strides))
    }
}
