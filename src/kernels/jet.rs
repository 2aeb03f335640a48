//! Elementwise functions of jets: values with their first and second derivatives along a line.

use std::marker::PhantomData;

use crate::number::rules::UnaryRule;
use crate::number::{Dual, Kernel, Mark, Plain, Real, Scalar, Wrap};

/// The coefficients of a jet of order 1 or 2, and the slopes σ' and σ'' at its values: slices of one length.
pub(crate) struct Jet<'a, F> {
    pub(crate) x: &'a [F],
    pub(crate) first: &'a [F],
    pub(crate) second: Option<&'a [F]>,
}

/// The second derivative of a rule at x, from the value y and the slope s there.
#[inline(always)]
fn bend<L: Real, B: Mark>(rule: impl UnaryRule<L::Base>, x: L, [y, s]: [L; 2]) -> L {
    rule.partial(Dual::<L, 1, B>::with_parts(x, [L::one()]), Dual::with_parts(y, [s])).tangents()[0]
}

/// The third derivative of a rule at x, from the value, the slope and the second derivative there.
#[inline(always)]
fn twist<L: Real, B: Mark>(rule: impl UnaryRule<L::Base>, x: L, [y, s, c]: [L; 3]) -> L {
    // Two directions of one size: the tangent of the tangent is the second derivative of the slope.
    let inner = |primal, tangent| Dual::<L, 1, B>::with_parts(primal, [tangent]);
    let x = Dual::<_, 1, B>::with_parts(inner(x, L::one()), [inner(L::one(), L::zero())]);
    let y = Dual::with_parts(inner(y, s), [inner(s, c)]);
    rule.partial(x, y).tangents()[0].tangents()[0]
}

/// True if all numbers are finite.
fn all_finite<F: Scalar>(x: &[F]) -> bool {
    x.iter().fold(true, |all, x| all & x.is_finite_throughout())
}

/// The value y = σ(x), the slopes s = σ'(x) and c = σ''(x), and y' = s x', y'' = s x'' + c x'².
///
/// `out` has the blocks y, y' and, for order 2, y''.
pub(crate) fn jet<F: Scalar>(rule: impl UnaryRule<F::Base>, of: &Jet<'_, F>, out: &mut [F], slopes: [&mut [F]; 2]) {
    struct Forward<'a, F, R> {
        rule: R,
        x: &'a [F],
        y: &'a mut [F],
        s: &'a mut [F],
    }
    impl<F: Scalar, R: UnaryRule<F::Base>> Kernel<F> for Forward<'_, F, R> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            for ((&x, y), s) in self.x.iter().zip(self.y).zip(self.s) {
                let x = L::wrap(x);
                let value = self.rule.eval(x);
                (*y, *s) = (value.unwrap(), self.rule.partial(x, value).unwrap());
            }
        }
    }
    struct Bends<'a, F, R, B> {
        rule: R,
        x: &'a [F],
        y: &'a [F],
        s: &'a [F],
        c: &'a mut [F],
        mark: PhantomData<B>,
    }
    impl<F: Scalar, R: UnaryRule<F::Base>, B: Mark> Kernel<F> for Bends<'_, F, R, B> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            for (((&x, &y), &s), c) in self.x.iter().zip(self.y).zip(self.s).zip(self.c) {
                *c = bend::<L, B>(self.rule, L::wrap(x), [L::wrap(y), L::wrap(s)]).unwrap();
            }
        }
    }
    let x = of.x;
    let [s, c] = slopes;
    let (y, derivatives) = out.split_at_mut(x.len());
    let (first, second) = derivatives.split_at_mut(x.len());
    F::dispatch(Forward { rule, x, y: &mut *y, s: &mut *s });
    F::dispatch(Bends { rule, x, y, s, c: &mut *c, mark: PhantomData::<Plain> });
    if !all_finite(c) {
        F::dispatch(Bends { rule, x, y, s, c: &mut *c, mark: PhantomData::<()> });
    }
    F::dispatch(Products { out: first, s, c, of, order: 1 });
    if !second.is_empty() {
        F::dispatch(Products { out: second, s, c, of, order: 2 });
    }
}

/// y' = s x', or y'' = s x'' + c x'². A factor that is exactly 0 gives 0.
struct Products<'a, F> {
    out: &'a mut [F],
    s: &'a [F],
    c: &'a [F],
    of: &'a Jet<'a, F>,
    order: u32,
}

impl<F: Scalar> Kernel<F> for Products<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let terms = self.out.iter_mut().zip(self.s).zip(self.c).zip(self.of.first);
        if self.order == 1 {
            for (((out, &s), _), &first) in terms {
                *out = L::wrap(s).gated_mul(L::wrap(first)).unwrap();
            }
            return;
        }
        match self.of.second {
            None => {
                for (((out, _), &c), &first) in terms {
                    let first = L::wrap(first);
                    *out = L::wrap(c).gated_mul(first * first).unwrap();
                }
            }
            Some(second) => {
                for ((((out, &s), &c), &first), &second) in terms.zip(second) {
                    let first = L::wrap(first);
                    let bent = L::wrap(c).gated_mul(first * first);
                    *out = (L::wrap(s).gated_mul(L::wrap(second)) + bent).unwrap();
                }
            }
        }
    }
}

/// Adds the cotangent of x: dx += dy s + dy' c x' + dy'' (t x'² + c x''), where t is the third derivative at x.
///
/// `dy` has the blocks of the result.
pub(crate) fn jet_pullback<F: Scalar>(
    rule: impl UnaryRule<F::Base>,
    of: &Jet<'_, F>,
    y: &[F],
    [s, c]: [&[F]; 2],
    dy: &[F],
    dx: &mut [F],
) {
    /// The numbers of a block, which stay in the cache of the processor.
    const BLOCK: usize = 256;
    struct Twists<'a, F, R, B> {
        rule: R,
        x: &'a [F],
        y: &'a [F],
        s: &'a [F],
        c: &'a [F],
        t: &'a mut [F],
        mark: PhantomData<B>,
    }
    impl<F: Scalar, R: UnaryRule<F::Base>, B: Mark> Kernel<F> for Twists<'_, F, R, B> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            let slopes = self.y.iter().zip(self.s).zip(self.c);
            for ((&x, ((&y, &s), &c)), t) in self.x.iter().zip(slopes).zip(self.t) {
                *t = twist::<L, B>(self.rule, L::wrap(x), [L::wrap(y), L::wrap(s), L::wrap(c)]).unwrap();
            }
        }
    }
    let len = dx.len();
    let (dy, derivatives) = dy.split_at(len);
    let (dy_first, dy_second) = derivatives.split_at(len);
    F::dispatch(Terms { dx: &mut *dx, dy, factors: [s, s], power: 0 });
    F::dispatch(Terms { dx: &mut *dx, dy: dy_first, factors: [c, of.first], power: 1 });
    if dy_second.is_empty() {
        return;
    }
    let mut block = [F::zero(); BLOCK];
    for start in (0..len).step_by(BLOCK) {
        let range = start..len.min(start + BLOCK);
        let [x, y, s, c, first, dy] = [of.x, y, s, c, of.first, dy_second].map(|all| &all[range.clone()]);
        let t = &mut block[..range.len()];
        F::dispatch(Twists { rule, x, y, s, c, t: &mut *t, mark: PhantomData::<Plain> });
        if !all_finite(t) {
            F::dispatch(Twists { rule, x, y, s, c, t: &mut *t, mark: PhantomData::<()> });
        }
        F::dispatch(Terms { dx: &mut dx[range], dy, factors: [t, first], power: 2 });
    }
    if let Some(second) = of.second {
        F::dispatch(Terms { dx, dy: dy_second, factors: [c, second], power: 1 });
    }
}

/// dx += dy · (a · bⁿ) for a power n from 0 to 2. A cotangent that is exactly 0 adds 0.
struct Terms<'a, F> {
    dx: &'a mut [F],
    dy: &'a [F],
    factors: [&'a [F]; 2],
    power: u32,
}

impl<F: Scalar> Kernel<F> for Terms<'_, F> {
    #[inline(always)]
    fn run<L: Wrap<F>>(self) {
        let [a, b] = self.factors;
        let terms = self.dx.iter_mut().zip(self.dy).zip(a).zip(b);
        match self.power {
            0 => {
                for (((dx, &dy), &a), _) in terms {
                    *dx += L::wrap(dy).gated_mul(L::wrap(a)).unwrap();
                }
            }
            1 => {
                for (((dx, &dy), &a), &b) in terms {
                    *dx += L::wrap(dy).gated_mul(L::wrap(a) * L::wrap(b)).unwrap();
                }
            }
            _ => {
                for (((dx, &dy), &a), &b) in terms {
                    let b = L::wrap(b);
                    *dx += L::wrap(dy).gated_mul(L::wrap(a) * (b * b)).unwrap();
                }
            }
        }
    }
}

/// Adds the cotangent of x': dx' += dy' s + 2 dy'' c x'.
pub(crate) fn jet_pullback_first<F: Scalar>(of: &Jet<'_, F>, [s, c]: [&[F]; 2], dy: &[F], dx: &mut [F]) {
    struct Pull<'a, F> {
        of: &'a Jet<'a, F>,
        s: &'a [F],
        c: &'a [F],
        dy: &'a [F],
        dx: &'a mut [F],
    }
    impl<F: Scalar> Kernel<F> for Pull<'_, F> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            let len = self.dx.len();
            let (first, second) = self.dy[len..].split_at(len);
            for ((dx, &dy), &s) in self.dx.iter_mut().zip(first).zip(self.s) {
                *dx += L::wrap(dy).gated_mul(L::wrap(s)).unwrap();
            }
            for (((dx, &dy), &c), &x) in self.dx.iter_mut().zip(second).zip(self.c).zip(self.of.first) {
                let twice = L::wrap(x) + L::wrap(x);
                *dx += L::wrap(dy).gated_mul(L::wrap(c) * twice).unwrap();
            }
        }
    }
    F::dispatch(Pull { of, s, c, dy, dx });
}

/// Adds the cotangent of x'': dx'' += dy'' s.
pub(crate) fn jet_pullback_second<F: Scalar>(s: &[F], dy: &[F], dx: &mut [F]) {
    struct Pull<'a, F> {
        s: &'a [F],
        dy: &'a [F],
        dx: &'a mut [F],
    }
    impl<F: Scalar> Kernel<F> for Pull<'_, F> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            for ((dx, &dy), &s) in self.dx.iter_mut().zip(self.dy).zip(self.s) {
                *dx += L::wrap(dy).gated_mul(L::wrap(s)).unwrap();
            }
        }
    }
    F::dispatch(Pull { s, dy: &dy[2 * dx.len()..], dx });
}
