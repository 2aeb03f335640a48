//! The instructions of a tile.

use pulp::{Arch, Simd};

use super::code::{ABSENT, At, Code, Inst, Kind};
use super::kernels::{self, Src};
use super::lanes::{Group, Pattern, for_each_piece};
use super::ops::Ops;

use crate::number::BaseFloat;
use crate::slices::rows::{Rows, Source};

/// A tile: what its instructions read, besides rows.
pub(super) struct Tile<'a, F> {
    pub(super) arch: Arch,
    pub(super) code: &'a Code<F>,
    pub(super) ops: &'a Ops<F>,
    pub(super) group: &'a Group<F>,
    pub(super) slots: &'a [u32],
    pub(super) uniforms: &'a [F],
    /// The first lane, within the group and within the segment.
    pub(super) lane: usize,
    pub(super) first: usize,
    pub(super) turn: usize,
    pub(super) n: usize,
}

/// The memory that the instructions of a tile write.
pub(super) struct Written<'a, 'r, F> {
    pub(super) rows: Rows<'r, F>,
    pub(super) adjoints: &'a mut [F],
    pub(super) sums: &'a mut [[F; 2]],
    pub(super) failed: &'a mut [bool],
}

impl<F: BaseFloat> Tile<'_, F> {
    #[inline(always)]
    fn source(&self, at: At) -> Source<F> {
        at.source(self.uniforms)
    }

    /// The operand's numbers for the lanes of the tile.
    #[inline(always)]
    fn src<'b>(&self, at: At, rows: &'b Rows<'_, F>) -> Src<'b, F> {
        match self.source(at) {
            Source::Row(k) => Src::Lanes(&rows.get(k)[..self.n]),
            Source::Number(x) => Src::One(x),
        }
    }

    /// Runs an instruction. Returns false if a comparison came out otherwise.
    #[inline(always)]
    #[allow(clippy::too_many_lines)] // a few lines for each kind
    pub(super) fn step<S: Simd>(&self, simd: S, inst: &Inst, written: &mut Written<'_, '_, F>) -> bool {
        let rows = &mut written.rows;
        let out = inst.out.index();
        let [a, b, c] = inst.x.map(At::index);
        // A closure without this attribute would not be inlined, and so be compiled without the machine's vectors.
        macro_rules! lanes {
            ($loop:ident, $x:expr, $f:expr) => {
                rows.$loop(
                    simd,
                    out,
                    $x,
                    #[inline(always)]
                    $f,
                )
            };
        }
        macro_rules! number {
            ($place:expr) => {
                F::splat(simd, self.uniforms[$place as usize])
            };
        }
        // A product with a third operand: a b + c, a b - c, c - a b.
        macro_rules! fused {
            (RRR, |$x:ident, $y:ident, $z:ident| $f:expr) => {
                lanes!(zip3, [a, b, c], |$x, $y, $z| $f)
            };
            (RRN, |$x:ident, $y:ident, $z:ident| $f:expr) => {{
                let $z = number!(c);
                lanes!(zip, [a, b], |$x, $y| $f)
            }};
            (NRR, |$x:ident, $y:ident, $z:ident| $f:expr) => {{
                let $x = number!(a);
                lanes!(zip, [b, c], |$y, $z| $f)
            }};
            (NRN, |$x:ident, $y:ident, $z:ident| $f:expr) => {{
                let ($x, $z) = (number!(a), number!(c));
                lanes!(map, b, |$y| $f)
            }};
        }
        macro_rules! plus {
            ($kind:ident) => {
                fused!($kind, |a, b, c| F::times_plus(simd, a, b, c))
            };
        }
        macro_rules! minus {
            ($kind:ident) => {
                fused!($kind, |a, b, c| F::times_plus(simd, a, b, F::negative(simd, c)))
            };
        }
        macro_rules! reverse {
            ($kind:ident) => {
                fused!($kind, |a, b, c| F::times_plus(simd, F::negative(simd, a), b, c))
            };
        }
        match inst.kind {
            Kind::CopyR => lanes!(map, a, |a| a),
            Kind::CopyN => rows.set(simd, out, self.uniforms[a as usize]),
            Kind::NegR => lanes!(map, a, |a| F::negative(simd, a)),
            Kind::SquareR => lanes!(map, a, |a| F::times(simd, a, a)),
            Kind::AddRR => lanes!(zip, [a, b], |a, b| F::plus(simd, a, b)),
            Kind::AddRN => {
                let b = number!(b);
                lanes!(map, a, |a| F::plus(simd, a, b));
            }
            Kind::SubRR => lanes!(zip, [a, b], |a, b| F::minus(simd, a, b)),
            Kind::SubRN => {
                let b = number!(b);
                lanes!(map, a, |a| F::minus(simd, a, b));
            }
            Kind::SubNR => {
                let a = number!(a);
                lanes!(map, b, |b| F::minus(simd, a, b));
            }
            Kind::MulRR => lanes!(zip, [a, b], |a, b| F::times(simd, a, b)),
            Kind::MulRN => {
                let b = number!(b);
                lanes!(map, a, |a| F::times(simd, a, b));
            }
            Kind::DivRR => lanes!(zip, [a, b], |a, b| F::over(simd, a, b)),
            Kind::DivRN => {
                let b = number!(b);
                lanes!(map, a, |a| F::over(simd, a, b));
            }
            Kind::DivNR => {
                let a = number!(a);
                lanes!(map, b, |b| F::over(simd, a, b));
            }
            Kind::PlusRRR => plus!(RRR),
            Kind::PlusRRN => plus!(RRN),
            Kind::PlusNRR => plus!(NRR),
            Kind::PlusNRN => plus!(NRN),
            Kind::MinusRRR => minus!(RRR),
            Kind::MinusRRN => minus!(RRN),
            Kind::MinusNRR => minus!(NRR),
            Kind::MinusNRN => minus!(NRN),
            Kind::ReverseRRR => reverse!(RRR),
            Kind::ReverseRRN => reverse!(RRN),
            Kind::ReverseNRR => reverse!(NRR),
            Kind::ReverseNRN => reverse!(NRN),
            Kind::Row(op) => {
                let x = inst.x.map(|at| self.source(at));
                let (out, slices) = rows.split(out, x);
                let mut src = [Src::One(F::zero()); 3];
                for (src, x) in src.iter_mut().zip(slices.into_iter().zip(x)) {
                    *src = match x {
                        (Some(lanes), _) => Src::Lanes(lanes),
                        (_, Source::Number(x)) => Src::One(x),
                        _ => unreachable!("rows have lanes"),
                    };
                }
                kernels::row(self.arch, self.ops.get(op), out, src);
            }
            Kind::Dot(k) => {
                let dot = &self.code.dots[k as usize];
                rows.add_products(
                    simd,
                    out,
                    self.source(dot.start),
                    &dot.products,
                    dot.by_uniform.then_some(self.uniforms),
                );
            }
            _ => return self.effect(simd, inst, written),
        }
        true
    }

    /// Runs an instruction that writes no row.
    #[inline(always)]
    fn effect<S: Simd>(&self, simd: S, inst: &Inst, written: &mut Written<'_, '_, F>) -> bool {
        let Written { rows, adjoints, sums, failed } = written;
        let n = self.n;
        let lanes = |at: At| if at == ABSENT { None } else { Some(&rows.get(at.index())[..n]) };
        match inst.kind {
            Kind::Reduce(k) => {
                sums[k as usize][0] += match self.src(inst.x[0], rows) {
                    Src::One(x) => x * F::lit(n as f64),
                    Src::Lanes(a) => kernels::sum(simd, a, lanes(inst.x[1])),
                };
            }
            Kind::Reduce8(k) => {
                let eight = &self.code.eights[k as usize];
                macro_rules! eight {
                    ($x:expr) => {{
                        let mut all: [&[F]; 8] = [&[]; 8];
                        for (to, row) in all.iter_mut().zip($x) {
                            *to = &rows.get(row)[..n];
                        }
                        all
                    }};
                }
                let a = eight!(eight.a);
                let b = eight.b.map(
                    #[inline(always)]
                    |b| eight!(b),
                );
                let totals = kernels::eight_sums(simd, a, b, eight.shared);
                for (&k, total) in eight.sums.iter().zip(totals) {
                    sums[k as usize][0] += total;
                }
            }
            Kind::Pull(k) => {
                let a = self.src(inst.x[0], rows);
                let b = lanes(inst.x[1]);
                let pattern = &self.group.operands[k as usize];
                let moved = self.group.moved(k as usize, self.turn);
                match pattern {
                    Pattern::Uniform | Pattern::Run => {
                        put(simd, &mut adjoints[self.slots[k as usize] as usize + self.first..][..n], a, b, 0);
                    }
                    Pattern::Pieces(pieces) => for_each_piece(
                        pieces,
                        self.lane,
                        n,
                        #[inline(always)]
                        |i, slot, len| put(simd, &mut adjoints[slot..slot + len], a, b, i),
                        moved,
                    ),
                    Pattern::Stride(first, step) => {
                        let (first, step) = (first.wrapping_add(moved) as usize, *step as usize);
                        let to = &mut adjoints[first + self.lane * step..];
                        each_term(
                            a,
                            b,
                            n,
                            #[inline(always)]
                            |i, term| to[i * step] += term,
                        );
                    }
                    Pattern::Gather(slots, per_turn) => {
                        let slots = &slots[self.lane + self.turn * *per_turn as usize..][..n];
                        each_term(
                            a,
                            b,
                            n,
                            #[inline(always)]
                            |i, term| adjoints[slots[i].wrapping_add(moved) as usize] += term,
                        );
                    }
                }
            }
            Kind::Guard(test, outcome) => {
                let pair = [self.src(inst.x[0], rows), self.src(inst.x[1], rows)];
                return !kernels::differs(test, outcome, pair, &mut failed[..n]);
            }
            _ => unreachable!("no effect"),
        }
        true
    }
}

/// Adds a, or the products a b, from lane `i` on.
#[inline(always)]
fn put<S: Simd, F: BaseFloat>(simd: S, to: &mut [F], a: Src<'_, F>, b: Option<&[F]>, i: usize) {
    let a = match a {
        Src::Lanes(a) => Src::Lanes(&a[i..][..to.len()]),
        one @ Src::One(_) => one,
    };
    let b = b.map(
        #[inline(always)]
        |b| &b[i..][..to.len()],
    );
    kernels::add(simd, to, a, b);
}

/// Calls `f` with the number of each lane and its term, a or a b.
#[inline(always)]
fn each_term<F: BaseFloat>(a: Src<'_, F>, b: Option<&[F]>, n: usize, mut f: impl FnMut(usize, F)) {
    match (a, b) {
        (Src::Lanes(a), None) => a[..n].iter().enumerate().for_each(
            #[inline(always)]
            |(i, &a)| f(i, a),
        ),
        (Src::Lanes(a), Some(b)) => a[..n].iter().zip(&b[..n]).enumerate().for_each(
            #[inline(always)]
            |(i, (&a, &b))| f(i, a * b),
        ),
        (Src::One(a), None) => (0..n).for_each(
            #[inline(always)]
            |i| f(i, a),
        ),
        (Src::One(a), Some(b)) => b[..n].iter().enumerate().for_each(
            #[inline(always)]
            |(i, &b)| f(i, a * b),
        ),
    }
}
