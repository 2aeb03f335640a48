//! Running sums and products along an axis.

use ndarray::{Axis, Dimension};

use super::handle::Tensor;
use crate::kernels::Fibers;
use crate::number::Scalar;

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// The running sums yₖ = Σᵢ xᵢ over i ≤ k along an axis.
    ///
    /// Partials: 1 for i ≤ k. Sums are taken in order, so the rounding error grows with the length of the axis.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let x = tape.tensor(&data);
    /// let y = x.cumsum(Axis(1));
    /// assert_eq!(y.value(), array![[1.0, 3.0, 6.0], [4.0, 9.0, 15.0]]);
    /// assert_eq!(y.sum().backward().wrt(x).row(0), array![3.0, 2.0, 1.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the axis is out of range.
    #[track_caller]
    pub fn cumsum(self, axis: Axis) -> Self {
        let map = self.mapped_along(axis, "cumsum");
        let (x, fibers) = (map.operand.x, map.fibers);
        let y = map.operand.zeros(x.len());
        y.copy_from_slice(x);
        rows(fibers, |now, before| {
            if let Some(before) = before {
                y[now] = y[before] + y[now];
            }
        });
        map.record(y, move |dy, dx, arena| {
            let flow = arena.alloc_slice_copy(dy);
            rows_back(fibers, |now, after| {
                if let Some(after) = after {
                    flow[now] = flow[after] + flow[now];
                }
                dx[now] += flow[now];
            });
        })
    }

    /// The running products yₖ = Πᵢ xᵢ over i ≤ k along an axis.
    ///
    /// Partials: Π xⱼ over j ≤ k, j ≠ i, for i ≤ k, exact even if factors are 0.
    ///
    /// ```
    /// use wengert::ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![2.0, 0.0, 3.0];
    /// let x = tape.tensor(&data);
    /// let y = x.cumprod(Axis(0));
    /// assert_eq!(y.value(), array![2.0, 0.0, 0.0]);
    /// assert_eq!(y.sum().backward().wrt(x), array![1.0, 8.0, 0.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the axis is out of range.
    #[track_caller]
    pub fn cumprod(self, axis: Axis) -> Self {
        let map = self.mapped_along(axis, "cumprod");
        let (x, fibers) = (map.operand.x, map.fibers);
        let y = map.operand.zeros(x.len());
        rows(fibers, |now, before| y[now] = before.map_or(x[now], |before| y[before] * x[now]));
        let y = &*y;
        map.record(y, move |dy, dx, arena| {
            // Sᵢ = dyᵢ + xᵢ₊₁ Sᵢ₊₁ and dxᵢ = yᵢ₋₁ Sᵢ: no division.
            let flow = arena.alloc_slice_copy(dy);
            rows_back(fibers, |now, after| {
                if let Some(after) = after {
                    let later = flow[after].gated_mul(x[after]);
                    flow[now] += later;
                }
                let before = if now / fibers.inner % fibers.n == 0 { F::one() } else { y[now - fibers.inner] };
                dx[now] += flow[now].gated_mul(before);
            });
        })
    }
}

/// Calls `visit` for each place and the one before it in its fibre, from the first to the last.
fn rows(Fibers { outer, n, inner }: Fibers, mut visit: impl FnMut(usize, Option<usize>)) {
    for now in 0..outer * n * inner {
        let is_first = now / inner % n == 0;
        visit(now, (!is_first).then(|| now - inner));
    }
}

/// Calls `visit` for each place and the one after it in its fibre, from the last to the first.
fn rows_back(Fibers { outer, n, inner }: Fibers, mut visit: impl FnMut(usize, Option<usize>)) {
    for now in (0..outer * n * inner).rev() {
        let is_last = now / inner % n == n - 1;
        visit(now, (!is_last).then(|| now + inner));
    }
}
