//! Loops over slices for operations whose cotangents need no rule of the table: sums, rows, slopes that are kept.

use super::elementwise::{eval, for_each};
use crate::number::precompiled::precompiled;
use crate::number::rules::{self, UnaryRule};
use crate::number::{Kernel, Scalar, Wrap};

precompiled! {
    /// yᵢ = tanh xᵢ and slopeᵢ = tanh' xᵢ, from one exponential (see M28 in docs/MEASUREMENTS.md).
    pub(super) fn tanh_and_slope<F>(x: &[F], y: &mut [F], slope: &mut [F]) {
        slope.copy_from_slice(x);
        tanh_and_slope_in_place(slope, y);
    }

    /// Same as [`tanh_and_slope`]; x comes in the place of the slope.
    pub(crate) fn tanh_and_slope_in_place<F>(slope: &mut [F], y: &mut [F]) {
        F::dispatch(TanhAndSlope { slope, y });
    }

    /// z = a + b, where b is repeated until it is as long as a.
    pub(crate) fn add_rows<F>(a: &[F], b: &[F], z: &mut [F]) {
        F::dispatch(AddRows { a, b, z });
    }

    /// to += from
    pub(crate) fn add_to<F>(from: &[F], to: &mut [F]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to += from;
        }
    }

    /// Adds rows of `len` numbers, at least one, to the rows of `to` that the indices name, one after the other.
    pub(crate) fn add_to_rows<F>(from: &[F], indices: &[usize], len: usize, to: &mut [F]) {
        for (from, &index) in from.chunks_exact(len).zip(indices) {
            for (to, &from) in to[index * len..index * len + len].iter_mut().zip(from) {
                *to += from;
            }
        }
    }

    /// dxᵢ += dyᵢ · slopeᵢ, 0 where dyᵢ is 0.
    pub(crate) fn pull_by<F>(slope: &[F], dy: &[F], dx: &mut [F]) {
        F::dispatch(PullBy { slope, dy, dx });
    }
}

struct TanhAndSlope<'a, F> {
    slope: &'a mut [F],
    y: &'a mut [F],
}

impl<F: Scalar> Kernel<F> for TanhAndSlope<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        /// The elements that are computed again where one of them is far from 0.
        const BLOCK: usize = 256;
        for (slope, y) in self.slope.chunks_mut(BLOCK).zip(self.y.chunks_mut(BLOCK)) {
            let mut far = 0_u32;
            for x in &*slope {
                far |= u32::from(!L::wrap(*x).tanh_slope_is_near());
            }
            if far == 0 {
                for (slope, y) in slope.iter_mut().zip(y) {
                    let (value, partial) = L::wrap(*slope).tanh_and_slope();
                    (*y, *slope) = (value.unwrap(), partial.unwrap());
                }
            } else {
                let rule = rules::tanh::<F::Base>::new();
                for (slope, y) in slope.iter_mut().zip(y) {
                    let x = L::wrap(*slope);
                    let value = rule.eval(x);
                    (*y, *slope) = (value.unwrap(), rule.partial(x, value).unwrap());
                }
            }
        }
    }
}

struct AddRows<'a, F> {
    a: &'a [F],
    b: &'a [F],
    z: &'a mut [F],
}

impl<F: Scalar> Kernel<F> for AddRows<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let Self { a, b, z } = self;
        if let &[b] = b {
            return for_each(
                z,
                [a],
                #[inline(always)]
                |_, [a]| eval::<L, F>(rules::add, a, b),
            );
        }
        let (n, mut first) = (b.len(), 0);
        while first < z.len() {
            for_each(
                &mut z[first..first + n],
                [&a[first..first + n], b],
                #[inline(always)]
                |_, [a, b]| eval::<L, F>(rules::add, a, b),
            );
            first += n;
        }
    }
}

struct PullBy<'a, F> {
    slope: &'a [F],
    dy: &'a [F],
    dx: &'a mut [F],
}

impl<F: Scalar> Kernel<F> for PullBy<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        for_each(
            self.dx,
            [self.slope, self.dy],
            #[inline(always)]
            |dx, [slope, dy]| dx + L::wrap(dy).gated_mul(L::wrap(slope)).unwrap(),
        );
    }
}
