//! The loops of tiles.
//!
//! Arithmetic is written in vectors, because the compiler turns loops over chunks into gathers. The rows of the table run
//! on [`Lane`](crate::number)s, in loops that the compiler vectorises.

use pulp::{Arch, Simd};

use super::ops::{Op, eval, second};
use crate::number::rules::{BinaryRule, BinaryVisitor, UnaryRule, UnaryVisitor};
use crate::number::{BaseFloat, Kernel, Plain, Wrap};
use crate::recording::Test;
use crate::slices::simd::{lanes, vectors, vectors_mut};

/// An operand of a loop.
#[derive(Clone, Copy)]
pub(super) enum Src<'a, F> {
    Lanes(&'a [F]),
    One(F),
}

impl<F: Copy> Src<'_, F> {
    #[inline(always)]
    pub(super) fn at(self, i: usize) -> F {
        match self {
            Src::Lanes(x) => x[i],
            Src::One(x) => x,
        }
    }
}

/// Σ aᵢ bᵢ, or Σ aᵢ without b, in four vectors of partial sums.
#[inline(always)]
pub(super) fn sum<S: Simd, F: BaseFloat>(simd: S, a: &[F], b: Option<&[F]>) -> F {
    let whole = a.len() / lanes::<S, F>() * lanes::<S, F>();
    let mut sums = [F::splat(simd, F::zero()); 4];
    let (a, a_rest) = a.split_at(whole);
    let (a, a_last) = vectors::<S, F>(a).as_chunks::<4>();
    match b {
        None => {
            for a in a {
                for v in 0..4 {
                    sums[v] = F::plus(simd, sums[v], a[v]);
                }
            }
            for (sum, &a) in sums.iter_mut().zip(a_last) {
                *sum = F::plus(simd, *sum, a);
            }
            if !a_rest.is_empty() {
                sums[3] = F::plus(simd, sums[3], F::load_some(simd, a_rest));
            }
        }
        Some(b) => {
            let (b, b_rest) = b.split_at(whole);
            let (b, b_last) = vectors::<S, F>(b).as_chunks::<4>();
            for (a, b) in a.iter().zip(b) {
                for v in 0..4 {
                    sums[v] = F::times_plus(simd, a[v], b[v], sums[v]);
                }
            }
            for (sum, (&a, &b)) in sums.iter_mut().zip(a_last.iter().zip(b_last)) {
                *sum = F::times_plus(simd, a, b, *sum);
            }
            if !a_rest.is_empty() {
                let (a, b) = (F::load_some(simd, a_rest), F::load_some(simd, &b_rest[..a_rest.len()]));
                sums[3] = F::times_plus(simd, a, b, sums[3]);
            }
        }
    }
    let [s, t, u, v] = sums;
    F::sum_lanes(simd, F::plus(simd, F::plus(simd, s, t), F::plus(simd, u, v)))
}

/// Eight of [`sum`]s at once, whose lanes are added up side by side. All second factors may be one slice.
#[inline(always)]
pub(super) fn eight_sums<S: Simd, F: BaseFloat>(simd: S, a: [&[F]; 8], b: Option<[&[F]; 8]>, shared: bool) -> [F; 8] {
    let n = a[0].len();
    let (each, whole) = (lanes::<S, F>(), n / lanes::<S, F>());
    let mut sums = [F::splat(simd, F::zero()); 8];
    let mut totals = [F::zero(); 8];
    /// Calls a macro for the vectors of eight slices, side by side without checks of bounds.
    macro_rules! side_by_side {
        ($x:expr, |$i:ident, $vectors:ident| $body:block) => {{
            let mut x: [&[F::Vector<S>]; 8] = [&[]; 8];
            for (to, from) in x.iter_mut().zip($x) {
                *to = vectors::<S, F>(&from[..whole * each]);
            }
            let [p, q, r, s, t, u, v, w] = x;
            let pairs = p.iter().zip(q).zip(r.iter().zip(s)).zip(t.iter().zip(u).zip(v.iter().zip(w)));
            for ($i, (((&p, &q), (&r, &s)), ((&t, &u), (&v, &w)))) in pairs.enumerate() {
                let $vectors = [p, q, r, s, t, u, v, w];
                $body
            }
        }};
    }
    match b {
        None => side_by_side!(a, |_i, a| {
            for k in 0..8 {
                sums[k] = F::plus(simd, sums[k], a[k]);
            }
        }),
        Some(b) if shared => {
            let b = &vectors::<S, F>(&b[0][..whole * each])[..whole];
            side_by_side!(a, |i, a| {
                let b = b[i];
                for k in 0..8 {
                    sums[k] = F::times_plus(simd, a[k], b, sums[k]);
                }
            });
        }
        Some(b) => {
            for k in 0..8 {
                let (a, b) = (vectors::<S, F>(&a[k][..whole * each]), vectors::<S, F>(&b[k][..whole * each]));
                for (&a, &b) in a.iter().zip(b) {
                    sums[k] = F::times_plus(simd, a, b, sums[k]);
                }
            }
        }
    }
    if whole * each < n {
        for k in 0..8 {
            let a_rest = F::load_some(simd, &a[k][whole * each..n]);
            sums[k] = match b {
                None => F::plus(simd, sums[k], a_rest),
                Some(b) => F::times_plus(simd, a_rest, F::load_some(simd, &b[k][whole * each..n]), sums[k]),
            };
        }
    }
    let parts: &[F] = pulp::bytemuck::cast_slice(&sums);
    for lane in 0..each {
        for k in 0..8 {
            totals[k] += parts[k * each + lane];
        }
    }
    totals
}

/// x with 0 for -0. The sum stays 0 if x is finite: 0·x is NaN for the others.
#[inline(always)]
fn settled<S: Simd, F: BaseFloat>(simd: S, x: F::Vector<S>, sum: &mut F::Vector<S>) -> F::Vector<S> {
    let zero = F::splat(simd, F::zero());
    let x = F::plus(simd, x, zero);
    *sum = F::times_plus(simd, x, zero, *sum);
    x
}

/// True if no sum of [`settled`] met a number that is not finite.
#[inline(always)]
fn stayed_zero<S: Simd, F: BaseFloat>(simd: S, [s, t, u, v]: [F::Vector<S>; 4]) -> bool {
    F::sum_lanes(simd, F::plus(simd, F::plus(simd, s, t), F::plus(simd, u, v))) == F::zero()
}

/// Makes 0 of each -0. Returns true if all numbers are finite.
#[inline(always)]
pub(super) fn settle<S: Simd, F: BaseFloat>(simd: S, x: &mut [F]) -> bool {
    let whole = x.len() / lanes::<S, F>() * lanes::<S, F>();
    let (x, rest) = x.split_at_mut(whole);
    let (x, last) = vectors_mut::<S, F>(x).as_chunks_mut::<4>();
    // One vector of sums after the other would wait for each addition.
    let mut sums = [F::splat(simd, F::zero()); 4];
    for x in x {
        for v in 0..4 {
            x[v] = settled::<S, F>(simd, x[v], &mut sums[v]);
        }
    }
    for (sum, x) in sums.iter_mut().zip(last) {
        *x = settled::<S, F>(simd, *x, sum);
    }
    if !rest.is_empty() {
        let x = settled::<S, F>(simd, F::load_some(simd, rest), &mut sums[3]);
        F::store_some(simd, rest, x);
    }
    stayed_zero::<S, F>(simd, sums)
}

/// [`settle`], with the numbers from one slice to another one of the same length.
#[inline(always)]
pub(super) fn settle_to<S: Simd, F: BaseFloat>(simd: S, x: &[F], to: &mut [F]) -> bool {
    let whole = x.len() / lanes::<S, F>() * lanes::<S, F>();
    let ((x, x_rest), (to, to_rest)) = (x.split_at(whole), to.split_at_mut(whole));
    let (x, x_last) = vectors::<S, F>(x).as_chunks::<4>();
    let (to, to_last) = vectors_mut::<S, F>(to).as_chunks_mut::<4>();
    let mut sums = [F::splat(simd, F::zero()); 4];
    for (to, x) in to.iter_mut().zip(x) {
        for v in 0..4 {
            to[v] = settled::<S, F>(simd, x[v], &mut sums[v]);
        }
    }
    for (sum, (to, &x)) in sums.iter_mut().zip(to_last.iter_mut().zip(x_last)) {
        *to = settled::<S, F>(simd, x, sum);
    }
    if !x_rest.is_empty() {
        let x = settled::<S, F>(simd, F::load_some(simd, x_rest), &mut sums[3]);
        F::store_some(simd, to_rest, x);
    }
    stayed_zero::<S, F>(simd, sums)
}

/// True if all numbers are finite.
#[inline(always)]
pub(super) fn are_finite<S: Simd, F: BaseFloat>(simd: S, x: &[F]) -> bool {
    let (whole, rest) = x.split_at(x.len() / lanes::<S, F>() * lanes::<S, F>());
    let zero = F::splat(simd, F::zero());
    let mut sum = if rest.is_empty() { zero } else { F::times(simd, F::load_some(simd, rest), zero) };
    for &x in vectors::<S, F>(whole) {
        sum = F::times_plus(simd, x, zero, sum);
    }
    F::sum_lanes(simd, sum) == F::zero()
}

/// toᵢ += aᵢ, or aᵢ bᵢ with b.
#[inline(always)]
pub(super) fn add<S: Simd, F: BaseFloat>(simd: S, to: &mut [F], a: Src<'_, F>, b: Option<&[F]>) {
    let whole = to.len() / lanes::<S, F>() * lanes::<S, F>();
    let (to, rest) = to.split_at_mut(whole);
    if !rest.is_empty() {
        let (n, old) = (rest.len(), F::load_some(simd, rest));
        let a = match a {
            Src::One(a) => F::splat(simd, a),
            Src::Lanes(a) => F::load_some(simd, &a[whole..][..n]),
        };
        let new = match b {
            None => F::plus(simd, old, a),
            Some(b) => F::times_plus(simd, a, F::load_some(simd, &b[whole..][..n]), old),
        };
        F::store_some(simd, rest, new);
    }
    let to = vectors_mut::<S, F>(to);
    // Four vectors at a time: fewer instructions besides the arithmetic.
    match (a, b) {
        (Src::One(a), None) => {
            let a = F::splat(simd, a);
            for to in to {
                *to = F::plus(simd, *to, a);
            }
        }
        (Src::Lanes(a), None) => {
            let (to, to_last) = to.as_chunks_mut::<4>();
            let (a, a_last) = vectors::<S, F>(&a[..whole]).as_chunks::<4>();
            for (to, a) in to.iter_mut().zip(a) {
                for v in 0..4 {
                    to[v] = F::plus(simd, to[v], a[v]);
                }
            }
            for (to, &a) in to_last.iter_mut().zip(a_last) {
                *to = F::plus(simd, *to, a);
            }
        }
        (Src::One(a), Some(b)) => {
            let a = F::splat(simd, a);
            let (to, to_last) = to.as_chunks_mut::<4>();
            let (b, b_last) = vectors::<S, F>(&b[..whole]).as_chunks::<4>();
            for (to, b) in to.iter_mut().zip(b) {
                for v in 0..4 {
                    to[v] = F::times_plus(simd, a, b[v], to[v]);
                }
            }
            for (to, &b) in to_last.iter_mut().zip(b_last) {
                *to = F::times_plus(simd, a, b, *to);
            }
        }
        (Src::Lanes(a), Some(b)) => {
            let (to, to_last) = to.as_chunks_mut::<4>();
            let (a, a_last) = vectors::<S, F>(&a[..whole]).as_chunks::<4>();
            let (b, b_last) = vectors::<S, F>(&b[..whole]).as_chunks::<4>();
            for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
                for v in 0..4 {
                    to[v] = F::times_plus(simd, a[v], b[v], to[v]);
                }
            }
            for ((to, &a), &b) in to_last.iter_mut().zip(a_last).zip(b_last) {
                *to = F::times_plus(simd, a, b, *to);
            }
        }
    }
}

/// True if the test comes out otherwise for any pair of numbers; `failed` gets these lanes.
#[inline(always)]
pub(super) fn differs<F: BaseFloat>(test: Test, outcome: bool, [a, b]: [Src<'_, F>; 2], failed: &mut [bool]) -> bool {
    let mut any = false;
    macro_rules! check {
        (|$x:ident, $y:ident| $holds:expr) => {{
            for (i, failed) in failed.iter_mut().enumerate() {
                let ($x, $y) = (a.at(i), b.at(i));
                let differs = ($holds) != outcome;
                *failed |= differs;
                any |= differs;
            }
        }};
    }
    match test {
        Test::Less => check!(|x, y| x < y),
        Test::LessEqual => check!(|x, y| x <= y),
        Test::Greater => check!(|x, y| x > y),
        Test::GreaterEqual => check!(|x, y| x >= y),
        Test::Equal => check!(|x, y| x == y),
        test => check!(|x, y| test.holds(x, y)),
    }
    any
}

/// outᵢ = op(aᵢ, bᵢ, cᵢ) for a row of the table, in a loop that is compiled for the machine.
pub(super) fn row<F: BaseFloat>(arch: Arch, op: Op<F>, out: &mut [F], x: [Src<'_, F>; 3]) {
    match op {
        Op::Unary(row, order) => {
            if let Src::Lanes(_) = x[0] {
                return row.visit(UnaryLoop { arch, order, out, x: [x[0], x[1]] });
            }
        }
        // Second partials of rows of two operands are rare, and compiled for lanes they would be as much code as all else.
        Op::Binary(row, order @ ([0 | 1, 0] | [0, 1])) => {
            return row.visit(BinaryLoop { arch, order, out, x });
        }
        _ => {}
    }
    for (i, out) in out.iter_mut().enumerate() {
        *out = eval(op, &x.map(|x| x.at(i)));
    }
}

struct UnaryLoop<'a, F> {
    arch: Arch,
    order: u8,
    out: &'a mut [F],
    x: [Src<'a, F>; 2],
}

impl<F: BaseFloat> UnaryVisitor<F> for UnaryLoop<'_, F> {
    type Output = ();
    fn visit(self, rule: impl UnaryRule<F>) {
        struct Loop<'a, F, R> {
            rule: R,
            order: u8,
            out: &'a mut [F],
            x: [Src<'a, F>; 2],
        }
        impl<F: BaseFloat, R: UnaryRule<F>> Kernel<F> for Loop<'_, F, R> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let Self { rule, order, out, x: [x, y] } = self;
                let Src::Lanes(x) = x else { return };
                match y {
                    Src::Lanes(y) if order == 1 => {
                        for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
                            *out = rule.partial(L::wrap(x), L::wrap(y)).unwrap();
                        }
                    }
                    // Plain products: where one is not finite, the replay decides.
                    Src::Lanes(y) if order == 2 => {
                        for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
                            *out = second::<L, Plain>(rule, L::wrap(x), L::wrap(y)).unwrap();
                        }
                    }
                    _ => {
                        for (out, &x) in out.iter_mut().zip(x) {
                            *out = rule.eval(L::wrap(x)).unwrap();
                        }
                    }
                }
            }
        }
        let Self { arch, order, out, x } = self;
        F::dispatch_on(arch, Loop { rule, order, out, x });
    }
}

struct BinaryLoop<'a, F> {
    arch: Arch,
    order: [u8; 2],
    out: &'a mut [F],
    x: [Src<'a, F>; 3],
}

impl<F: BaseFloat> BinaryVisitor<F> for BinaryLoop<'_, F> {
    type Output = ();
    fn visit(self, rule: impl BinaryRule<F>) {
        struct Loop<'a, F, R> {
            rule: R,
            order: [u8; 2],
            out: &'a mut [F],
            x: [Src<'a, F>; 3],
        }
        impl<F: BaseFloat, R: BinaryRule<F>> Kernel<F> for Loop<'_, F, R> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                let Self { rule, order, out, x: [a, b, z] } = self;
                let (Src::Lanes(a), Src::Lanes(b)) = (a, b) else {
                    for (i, out) in out.iter_mut().enumerate() {
                        let [a, b, z] = [a, b, z].map(|x| L::wrap(x.at(i)));
                        *out = match order {
                            [0, 0] => rule.eval(a, b),
                            [1, 0] => rule.partial_a(a, b, z),
                            _ => rule.partial_b(a, b, z),
                        }
                        .unwrap();
                    }
                    return;
                };
                match z {
                    Src::Lanes(z) if order != [0, 0] => {
                        for (((out, &a), &b), &z) in out.iter_mut().zip(a).zip(b).zip(z) {
                            let (a, b, z) = (L::wrap(a), L::wrap(b), L::wrap(z));
                            let p = if order == [1, 0] { rule.partial_a(a, b, z) } else { rule.partial_b(a, b, z) };
                            *out = p.unwrap();
                        }
                    }
                    _ => {
                        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                            *out = rule.eval(L::wrap(a), L::wrap(b)).unwrap();
                        }
                    }
                }
            }
        }
        let Self { arch, order, out, x } = self;
        F::dispatch_on(arch, Loop { rule, order, out, x });
    }
}
