//! Elementwise kernels, forward and backward, over the rules of the table.

use super::lane::{Kernel, Wrap};
use super::strided::{Layout, for_each_run, place};
use crate::real::Scalar;
use crate::rules::{Binary, Unary};

/// yᵢ = rule(xᵢ).
pub(crate) fn map<F: Scalar>(rule: impl Unary<F::Base>, x: &[F], y: &mut [F]) {
    struct Map<'a, F, R> {
        rule: R,
        x: &'a [F],
        y: &'a mut [F],
    }
    impl<F: Scalar, R: Unary<F::Base>> Kernel<F> for Map<'_, F, R> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            for (y, &x) in self.y.iter_mut().zip(self.x) {
                *y = self.rule.eval(L::wrap(x)).unwrap();
            }
        }
    }
    F::dispatch(Map { rule, x, y });
}

/// dxᵢ += dyᵢ · rule'(xᵢ, yᵢ).
pub(crate) fn map_pullback<F: Scalar>(rule: impl Unary<F::Base>, x: &[F], y: &[F], dy: &[F], dx: &mut [F]) {
    struct Pull<'a, F, R> {
        rule: R,
        x: &'a [F],
        y: &'a [F],
        dy: &'a [F],
        dx: &'a mut [F],
    }
    impl<F: Scalar, R: Unary<F::Base>> Kernel<F> for Pull<'_, F, R> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            for (((dx, &x), &y), &dy) in self.dx.iter_mut().zip(self.x).zip(self.y).zip(self.dy) {
                let partial = self.rule.partial(L::wrap(x), L::wrap(y));
                *dx += L::wrap(dy).gated_mul(partial).unwrap();
            }
        }
    }
    F::dispatch(Pull { rule, x, y, dy, dx });
}

/// One operand of [`zip`].
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a, F> {
    pub(crate) data: &'a [F],
    pub(crate) layout: Layout<'a>,
}

impl<'a, F: Copy> Operand<'a, F> {
    /// The n elements of a run, if they are contiguous.
    #[inline(always)]
    fn run(&self, n: usize, first: usize) -> &'a [F] {
        &self.data[first..first + n]
    }
}

/// zᵢ = rule(aᵢ, bᵢ) over `shape`; `z` is contiguous, a and b may be broadcast.
pub(crate) fn zip<F: Scalar>(
    rule: impl Binary<F::Base>,
    shape: &[usize],
    a: Operand<'_, F>,
    b: Operand<'_, F>,
    z: &mut [F],
) {
    struct Zip<'a, F, R> {
        rule: R,
        shape: &'a [usize],
        a: Operand<'a, F>,
        b: Operand<'a, F>,
        z: &'a mut [F],
    }
    impl<F: Scalar, R: Binary<F::Base>> Kernel<F> for Zip<'_, F, R> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            let Self { rule, shape, a, b, z } = self;
            let mut done = 0;
            for_each_run(
                shape,
                [a.layout, b.layout],
                #[inline(always)]
                |n, [i, j], steps| {
                    let z = &mut z[done..done + n];
                    match steps {
                        [1, 1] => {
                            let (a, b) = (a.run(n, i), b.run(n, j));
                            // Short runs (the rows of a narrow matrix and its bias) by eights: the
                            // compiler's own vector loop starts at several times its width.
                            let whole = if n < SHORT { n / 8 * 8 } else { 0 };
                            for k in (0..whole).step_by(8) {
                                let (z, a, b) = (eight_mut(z, k), eight(a, k), eight(b, k));
                                for l in 0..8 {
                                    z[l] = eval::<L, F>(rule, a[l], b[l]);
                                }
                            }
                            for ((z, &a), &b) in z[whole..].iter_mut().zip(&a[whole..]).zip(&b[whole..]) {
                                *z = eval::<L, F>(rule, a, b);
                            }
                        }
                        [1, 0] => {
                            let b = b.data[j];
                            for (z, &a) in z.iter_mut().zip(a.run(n, i)) {
                                *z = eval::<L, F>(rule, a, b);
                            }
                        }
                        [0, 1] => {
                            let a = a.data[i];
                            for (z, &b) in z.iter_mut().zip(b.run(n, j)) {
                                *z = eval::<L, F>(rule, a, b);
                            }
                        }
                        [s, t] => {
                            for (k, z) in z.iter_mut().enumerate() {
                                *z = eval::<L, F>(rule, a.data[place(i, k, s)], b.data[place(j, k, t)]);
                            }
                        }
                    }
                    done += n;
                },
            );
        }
    }
    F::dispatch(Zip { rule, shape, a, b, z });
}

/// Which operand a pullback adds to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    A,
    B,
}

/// What [`zip_pullback`] reads: the forward operands and result, and the result's cotangent.
#[derive(Clone, Copy)]
pub(crate) struct Zipped<'a, F> {
    pub(crate) shape: &'a [usize],
    pub(crate) a: Operand<'a, F>,
    pub(crate) b: Operand<'a, F>,
    pub(crate) z: &'a [F],
    pub(crate) dz: &'a [F],
}

/// d(side)ᵢ += dzᵢ · ∂rule/∂side over the shape. `adjoints[shift + p]` belongs to the side's
/// element at place p; a broadcast element gets the sum.
pub(crate) fn zip_pullback<F: Scalar>(
    rule: impl Binary<F::Base>,
    side: Side,
    zipped: Zipped<'_, F>,
    adjoints: &mut [F],
    shift: usize,
) {
    struct Pull<'a, F, R> {
        rule: R,
        side: Side,
        zipped: Zipped<'a, F>,
        adjoints: &'a mut [F],
        shift: usize,
    }
    impl<F: Scalar, R: Binary<F::Base>> Kernel<F> for Pull<'_, F, R> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            let Self { rule, side, zipped: Zipped { shape, a, b, z, dz }, adjoints, shift } = self;
            let mut done = 0;
            for_each_run(
                shape,
                [a.layout, b.layout],
                #[inline(always)]
                |n, places, steps| {
                    let (z, dz) = (&z[done..done + n], &dz[done..done + n]);
                    done += n;
                    let [i, j] = places;
                    let (own, step) = if side == Side::A { (i, steps[0]) } else { (j, steps[1]) };
                    match (step, steps) {
                        (1, [1, 1]) => {
                            let d = &mut adjoints[shift + own..shift + own + n];
                            let (a, b) = (a.run(n, i), b.run(n, j));
                            let whole = if n < SHORT { n / 8 * 8 } else { 0 };
                            for k in (0..whole).step_by(8) {
                                let (d, a, b, z, dz) =
                                    (eight_mut(d, k), eight(a, k), eight(b, k), eight(z, k), eight(dz, k));
                                for l in 0..8 {
                                    d[l] += pull::<L, F>(rule, side, a[l], b[l], z[l], dz[l]);
                                }
                            }
                            for k in whole..n {
                                d[k] += pull::<L, F>(rule, side, a[k], b[k], z[k], dz[k]);
                            }
                        }
                        (1, [0, 1]) => {
                            let (d, a) = (&mut adjoints[shift + own..shift + own + n], a.data[i]);
                            for (((d, &b), &z), &dz) in d.iter_mut().zip(b.run(n, j)).zip(z).zip(dz) {
                                *d += pull::<L, F>(rule, side, a, b, z, dz);
                            }
                        }
                        (1, [1, 0]) => {
                            let (d, b) = (&mut adjoints[shift + own..shift + own + n], b.data[j]);
                            for (((d, &a), &z), &dz) in d.iter_mut().zip(a.run(n, i)).zip(z).zip(dz) {
                                *d += pull::<L, F>(rule, side, a, b, z, dz);
                            }
                        }
                        (0, [1 | 0, 1 | 0]) => {
                            let mut total = F::zero();
                            let mut block = [F::zero(); BLOCK];
                            for from in (0..n).step_by(BLOCK) {
                                let len = BLOCK.min(n - from);
                                let (z, dz) = (&z[from..from + len], &dz[from..from + len]);
                                let block = &mut block[..len];
                                match steps {
                                    [1, _] => {
                                        let b = b.data[j];
                                        for (((p, &a), &z), &dz) in
                                            block.iter_mut().zip(&a.data[i + from..]).zip(z).zip(dz)
                                        {
                                            *p = pull::<L, F>(rule, side, a, b, z, dz);
                                        }
                                    }
                                    [_, 1] => {
                                        let a = a.data[i];
                                        for (((p, &b), &z), &dz) in
                                            block.iter_mut().zip(&b.data[j + from..]).zip(z).zip(dz)
                                        {
                                            *p = pull::<L, F>(rule, side, a, b, z, dz);
                                        }
                                    }
                                    _ => {
                                        let (a, b) = (a.data[i], b.data[j]);
                                        for ((p, &z), &dz) in block.iter_mut().zip(z).zip(dz) {
                                            *p = pull::<L, F>(rule, side, a, b, z, dz);
                                        }
                                    }
                                }
                                total += sum(block);
                            }
                            adjoints[shift + own] += total;
                        }
                        (_, [s, t]) => {
                            for (k, (&z, &dz)) in z.iter().zip(dz).enumerate() {
                                let partial =
                                    pull::<L, F>(rule, side, a.data[place(i, k, s)], b.data[place(j, k, t)], z, dz);
                                adjoints[place(shift + own, k, step)] += partial;
                            }
                        }
                    }
                },
            );
        }
    }
    F::dispatch(Pull { rule, side, zipped, adjoints, shift });
}

/// One element of [`zip`].
#[inline(always)]
fn eval<L: Wrap<F>, F: Scalar>(rule: impl Binary<F::Base>, a: F, b: F) -> F {
    rule.eval(L::wrap(a), L::wrap(b)).unwrap()
}

/// One element of [`zip_pullback`].
#[inline(always)]
fn pull<L: Wrap<F>, F: Scalar>(rule: impl Binary<F::Base>, side: Side, a: F, b: F, z: F, dz: F) -> F {
    let (a, b, z) = (L::wrap(a), L::wrap(b), L::wrap(z));
    let partial = if side == Side::A { rule.partial_a(a, b, z) } else { rule.partial_b(a, b, z) };
    L::wrap(dz).gated_mul(partial).unwrap()
}

/// Runs below this length are taken by eights.
const SHORT: usize = 128;

#[inline(always)]
fn eight<F>(x: &[F], from: usize) -> &[F; 8] {
    x[from..from + 8].try_into().expect("eight elements")
}

#[inline(always)]
fn eight_mut<F>(x: &mut [F], from: usize) -> &mut [F; 8] {
    (&mut x[from..from + 8]).try_into().expect("eight elements")
}

const BLOCK: usize = 64;

/// The sum of a slice with sixteen accumulators, which vectorises and rounds less than a fold.
#[inline(always)]
pub(crate) fn sum<F: Scalar>(x: &[F]) -> F {
    let mut lanes = [F::zero(); 16];
    let chunks = x.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += x;
    }
    let mut width = 8;
    while width > 0 {
        for i in 0..width {
            let other = lanes[i + width];
            lanes[i] += other;
        }
        width /= 2;
    }
    lanes[0]
}
