//! Loops that move elements between two layouts: those of `slices`, precompiled.

use crate::number::precompiled::precompiled;
use crate::slices::{self, Layout, for_each_run, place};

precompiled! {
    /// Copies a strided operand into `out`, in row-major order.
    pub(crate) fn gather<F>(shape: &[usize], data: &[F], layout: Layout<'_>, out: &mut [F]) {
        slices::gather(shape, data, layout, out);
    }

    /// Adds `x`, in row-major order, to a strided operand.
    pub(crate) fn scatter_add<F>(shape: &[usize], x: &[F], data: &mut [F], layout: Layout<'_>) {
        slices::scatter_add(shape, x, data, layout);
    }

    /// Sets the elements of `target` to those of `source`.
    pub(crate) fn copy<F>(shape: &[usize], source: &[F], from: Layout<'_>, target: &mut [F], to: Layout<'_>) {
        transfer(shape, (source, from), (target, to), |to, from| *to = from);
    }

    /// Adds the elements of `source` to those of `target`.
    pub(crate) fn add<F>(shape: &[usize], source: &[F], from: Layout<'_>, target: &mut [F], to: Layout<'_>) {
        transfer(shape, (source, from), (target, to), |to, from| *to += from);
    }
}

/// Calls `put(target, source)` for every element of a shape.
#[inline]
fn transfer<F: Copy>(
    shape: &[usize],
    (source, from): (&[F], Layout<'_>),
    (target, to): (&mut [F], Layout<'_>),
    put: impl Fn(&mut F, F),
) {
    for_each_run(shape, [from, to], |n, [i, j], steps| match steps {
        [1, 1] => {
            for (to, &from) in target[j..j + n].iter_mut().zip(&source[i..i + n]) {
                put(to, from);
            }
        }
        [s, t] => {
            for k in 0..n {
                put(&mut target[place(j, k, t)], source[place(i, k, s)]);
            }
        }
    });
}
