//! Products in plain loops, for every number type.

use std::ops::Mul;

use num_traits::Zero;

use super::mat::{Mat, MatMut, Store};

/// The product by its definition. Where rows of `b` and `c` are contiguous, the inner loop runs along them; where rows of
/// `a` and `c` and columns of `b` are, along the sums.
pub(super) fn loops<F: Copy + Zero + Mul<Output = F>>(c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Store) {
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
                let fresh = p == 0 && update == Store::Set;
                for (c, &y) in row.iter_mut().zip(b.from(p, 0)) {
                    *c = if fresh { x * y } else { *c + x * y };
                }
            }
        } else if layout.strides[1] == 1 && a.layout.strides[1] == 1 && b.layout.strides[0] == 1 {
            // Sums along rows of `a` and columns of `b`; with k = 0 these have no place.
            let x = if k > 0 { &a.from(i, 0)[..k] } else { &[] };
            for (j, c) in data[layout.at(i, 0)..][..n].iter_mut().enumerate() {
                let y = if k > 0 { &b.from(0, j)[..k] } else { &[] };
                let sum = x.iter().zip(y).fold(F::zero(), |sum, (&x, &y)| sum + x * y);
                *c = if update == Store::Add { *c + sum } else { sum };
            }
        } else {
            for j in 0..n {
                let term = |p| a.data[a.layout.at(i, p)] * b.data[b.layout.at(p, j)];
                let sum = (0..k).fold(F::zero(), |sum, p| sum + term(p));
                let c = &mut data[layout.at(i, j)];
                *c = if update == Store::Add { *c + sum } else { sum };
            }
        }
    }
}
