//! The run of a group, tile by tile.

use pulp::{Arch, Simd, WithSimd};

use super::code::{ABSENT, At, Code, Factor, Inst, Kind, Slice, lanes_of, pitch};
use super::graph::NONE;
use super::kernels::{self, Src};
use super::memory::Memory;
use super::ops::Ops;
use crate::number::BaseFloat;
use crate::slices::rows::{RowList, Rows, Source};

/// Where the lanes' numbers of an operand stand among the slots.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pattern {
    /// One slot for all lanes of a segment.
    Uniform,
    /// Neighbouring slots for the lanes of a segment.
    Run,
    /// Runs that begin at these lanes and slots.
    Pieces(Vec<(u32, u32)>),
    /// Slots at equal distances: the first one and the distance.
    Stride(u32, u32),
    /// Slots without order, and the number of them for each turn of a loop, if they differ from turn to turn.
    Gather(Vec<u32>, u32),
}

/// A group as it is run.
#[derive(Clone, Debug)]
pub(super) struct Group<F> {
    pub(super) lanes: usize,
    /// The slot of the first root. All operands have lower slots.
    pub(super) first: usize,
    /// The distance between the slots of different roots.
    pub(super) stride: usize,
    /// The slot of the sum that takes the results.
    pub(super) into: Option<usize>,
    pub(super) operands: Vec<Pattern>,
    /// The constants that differ from lane to lane.
    pub(super) constants: Vec<Vec<F>>,
    /// The first lane of each segment, and the number of lanes.
    pub(super) bounds: Vec<u32>,
    /// For each segment and operand, the slot of the segment's first lane.
    pub(super) slots: Vec<u32>,
    /// The codes of the first pass and of the reverse pass, where there are two.
    pub(super) codes: [Option<usize>; 2],
    pub(super) level: u32,
    pub(super) per_turn: PerTurn,
}

/// The distances by which the places of a group move from turn to turn of a loop.
#[derive(Clone, Debug, Default)]
pub(super) struct PerTurn {
    pub(super) first: usize,
    pub(super) into: usize,
    pub(super) constants: usize,
    /// Modulo 2³².
    pub(super) operands: Vec<u32>,
}

impl<F> Group<F> {
    /// The slots of all operands in a turn.
    #[inline(always)]
    fn moved_all<'a>(&self, slots: &'a [u32], turn: usize, moved: &'a mut Vec<u32>) -> &'a [u32] {
        if turn == 0 {
            return slots;
        }
        moved.clear();
        let distances = self.per_turn.operands.iter().map(|&distance| distance.wrapping_mul(turn as u32));
        moved.extend(slots.iter().zip(distances).map(|(slot, distance)| slot.wrapping_add(distance)));
        moved
    }

    /// The distance by which the slots of an operand have moved.
    #[inline(always)]
    fn moved(&self, operand: usize, turn: usize) -> u32 {
        if turn == 0 { 0 } else { self.per_turn.operands[operand].wrapping_mul(turn as u32) }
    }
}

/// The memory of tiles.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch<F> {
    rows: Memory<F>,
    loads: Memory<F>,
    uniforms: Vec<F>,
    list: RowList<F>,
    /// The slots of a turn's operands.
    moved: Vec<u32>,
    sums: Vec<[F; 2]>,
    /// For each lane of the tile, true if a comparison came out otherwise.
    pub(super) failed: Vec<bool>,
}

impl<F: BaseFloat> Scratch<F> {
    /// Makes room for the code.
    pub(super) fn fit(&mut self, code: &Code<F>) {
        self.rows.reserve(code.rows * pitch::<F>(code.width));
        self.loads.reserve(code.slices.len() * pitch::<F>(code.width));
        self.uniforms.resize(self.uniforms.len().max(code.uniforms), F::zero());
        self.list.reserve(code.slices.len() + code.roots + code.rows);
        self.sums.resize(self.sums.len().max(code.reductions.len()), [F::zero(); 2]);
        self.failed.resize(self.failed.len().max(code.width), false);
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<F>() * (self.rows.len() + self.loads.len() + self.uniforms.len())
    }
}

/// The tiles after which sums over lanes begin a new block.
const BLOCK: usize = 64;

/// The slots that a group works on.
pub(super) struct Slots<'a, F> {
    pub(super) values: &'a mut [F],
    pub(super) adjoints: &'a mut [F],
    /// The turn of a loop.
    pub(super) turn: usize,
}

/// Runs a pass over a group, by the instruction set `arch`. Returns false if a comparison came out otherwise.
///
/// All runs of groups go through this function: the loops over lanes are much code, and compiled for each instruction set.
pub(super) fn run<F: BaseFloat>(
    arch: Arch,
    group: &Group<F>,
    code: &Code<F>,
    ops: &Ops<F>,
    memory: Slots<'_, F>,
    scratch: &mut Scratch<F>,
) -> bool {
    struct Run<'a, F> {
        arch: Arch,
        group: &'a Group<F>,
        code: &'a Code<F>,
        ops: &'a Ops<F>,
        memory: Slots<'a, F>,
        scratch: &'a mut Scratch<F>,
    }
    impl<F: BaseFloat> WithSimd for Run<'_, F> {
        type Output = bool;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> bool {
            let Self { arch, group, code, ops, memory, scratch } = self;
            run_by(simd, arch, group, code, ops, memory, scratch)
        }
    }
    arch.dispatch(Run { arch, group, code, ops, memory, scratch })
}

#[inline(always)]
fn run_by<S: Simd, F: BaseFloat>(
    simd: S,
    arch: Arch,
    group: &Group<F>,
    code: &Code<F>,
    ops: &Ops<F>,
    memory: Slots<'_, F>,
    scratch: &mut Scratch<F>,
) -> bool {
    let turn = memory.turn;
    let first = group.first + turn * group.per_turn.first;
    let into = group.into.map(|into| into.wrapping_add(turn.wrapping_mul(group.per_turn.into)));
    let split = |slots: &[F]| first.min(slots.len());
    let (below, own) = memory.values.split_at_mut(split(memory.values));
    let (adjoints, cotangents) = memory.adjoints.split_at_mut(split(memory.adjoints));
    let Scratch { rows: own_rows, loads, uniforms, list, moved, sums, failed } = scratch;
    let width = code.width;
    let pitch = pitch::<F>(width);
    let own_rows = &mut own_rows[..code.rows * pitch];
    let loads = &mut loads[..code.slices.len() * pitch];
    // The roots' values stand at equal distances.
    let stride = if group.stride == 0 { own.len().max(1) } else { group.stride };
    let sums = &mut sums[..code.reductions.len()];
    let uniforms = &mut uniforms[..code.uniforms];
    uniforms[..code.numbers.len()].copy_from_slice(&code.numbers);
    if let (Some(place), Some(into)) = (code.uniform_cotangent, into) {
        uniforms[place as usize] = adjoints[into];
    }
    let n_operands = group.operands.len();
    let mut good = true;
    let mut total = F::zero();
    for (segment, bounds) in group.bounds.windows(2).enumerate() {
        let (from, end) = (bounds[0] as usize, bounds[1] as usize);
        let slots = group.moved_all(&group.slots[segment * n_operands..][..n_operands], turn, moved);
        for &(k, place) in &code.uniform_operands {
            uniforms[place as usize] = below[slots[k as usize] as usize];
        }
        for inst in &code.prologue {
            let x = inst.x.map(|place| if place == NONE { F::zero() } else { uniforms[place as usize] });
            uniforms[inst.out as usize] = uniform(arch, inst.op, x, ops);
        }
        sums.fill([F::zero(); 2]);
        let (mut lane, mut tiles) = (from, 0);
        while lane < end {
            let n = width.min(end - lane);
            let padded = n.next_multiple_of(lanes_of::<F>());
            for (i, slice) in code.slices.iter().enumerate() {
                if let Slice::Operand(k) = *slice
                    && let pattern = &group.operands[k as usize]
                    && !matches!(pattern, Pattern::Uniform | Pattern::Run)
                {
                    load(pattern, &mut loads[i * pitch..][..n], below, lane, turn, group.moved(k as usize, turn));
                }
            }
            let mut rows = Rows::new(list, padded);
            for (i, slice) in code.slices.iter().enumerate() {
                rows.push(match *slice {
                    Slice::Operand(k) => match &group.operands[k as usize] {
                        Pattern::Uniform | Pattern::Run => &below[slots[k as usize] as usize + (lane - from)..],
                        _ => &loads[i * pitch..],
                    },
                    Slice::Constant(k) => &group.constants[k as usize][lane + turn * group.per_turn.constants..],
                    Slice::Cotangent => &cotangents[lane..],
                });
            }
            if code.roots > 0 {
                own[lane..].chunks_mut(stride).take(code.roots).for_each(|root| rows.push_writable(root));
            }
            own_rows.chunks_exact_mut(pitch).for_each(|row| rows.push_writable(row));
            let tile = Tile { arch, code, ops, group, slots, uniforms, lane, first: lane - from, turn, n };
            let mut written = Written { rows, adjoints, sums, failed };
            for inst in &code.main {
                good &= tile.step(simd, inst, &mut written);
            }
            lane += n;
            tiles += 1;
            if tiles == BLOCK {
                tiles = 0;
                for [low, high] in sums.iter_mut() {
                    *high += std::mem::replace(low, F::zero());
                }
            }
        }
        for (reduction, &[low, high]) in code.reductions.iter().zip(&*sums) {
            let mut sum = low + high;
            for factor in &reduction.factors {
                sum = match *factor {
                    Factor::Minus => -sum,
                    Factor::Times(place) => sum * uniforms[place as usize],
                    Factor::Over(place) => sum / uniforms[place as usize],
                };
            }
            match reduction.operand {
                NONE => total += sum,
                k => adjoints[slots[k as usize] as usize] += sum,
            }
        }
    }
    if let (Some(into), true) = (into, code.reductions.iter().any(|r| r.operand == NONE)) {
        below[into] += total;
    }
    good
}

/// An operation on numbers that all lanes share, by the same loops as for lanes.
#[inline(always)]
fn uniform<F: BaseFloat>(arch: Arch, op: super::ops::OpId, x: [F; 3], ops: &Ops<F>) -> F {
    use super::ops::{ADD, DIV, MUL, NEG, SQUARE, SUB};
    let [a, b, c] = x;
    match op {
        ADD => a + b,
        SUB => a - b,
        MUL => a * b,
        DIV => a / b,
        NEG => -a,
        SQUARE => a * a,
        _ => {
            let mut y = [F::zero()];
            kernels::row(arch, ops.get(op), &mut y, [Src::Lanes(&[a]), Src::Lanes(&[b]), Src::Lanes(&[c])]);
            y[0]
        }
    }
}

/// Copies the numbers of the lanes from `lane` on, whose slots have moved by a distance.
#[inline(always)]
fn load<F: BaseFloat>(pattern: &Pattern, to: &mut [F], below: &[F], lane: usize, turn: usize, moved: u32) {
    let n = to.len();
    match pattern {
        Pattern::Pieces(pieces) => {
            for_each_piece(
                pieces,
                lane,
                n,
                #[inline(always)]
                |i, slot, len| to[i..i + len].copy_from_slice(&below[slot..slot + len]),
                moved,
            );
        }
        Pattern::Stride(first, step) => {
            let (first, step) = (first.wrapping_add(moved) as usize, *step as usize);
            for (to, &from) in to.iter_mut().zip(below[first + lane * step..].iter().step_by(step)) {
                *to = from;
            }
        }
        Pattern::Gather(slots, per_turn) => {
            for (to, &slot) in to.iter_mut().zip(&slots[lane + turn * *per_turn as usize..]) {
                *to = below[slot.wrapping_add(moved) as usize];
            }
        }
        Pattern::Uniform | Pattern::Run => unreachable!("read in place"),
    }
}

/// Calls `f(i, slot, len)` for the runs that lanes `lane..lane + n` consist of; i counts from `lane`.
#[inline(always)]
fn for_each_piece(pieces: &[(u32, u32)], lane: usize, n: usize, mut f: impl FnMut(usize, usize, usize), moved: u32) {
    let mut piece = pieces.partition_point(|&(first, _)| first as usize <= lane) - 1;
    let mut i = 0;
    while i < n {
        let (first, slot) = pieces[piece];
        let stop = pieces.get(piece + 1).map_or(n, |next| (next.0 as usize - lane).min(n));
        f(i, slot.wrapping_add(moved) as usize + lane + i - first as usize, stop - i);
        i = stop;
        piece += 1;
    }
}

/// A tile: what its instructions read, besides rows.
struct Tile<'a, F> {
    arch: Arch,
    code: &'a Code<F>,
    ops: &'a Ops<F>,
    group: &'a Group<F>,
    slots: &'a [u32],
    uniforms: &'a [F],
    /// The first lane, within the group and within the segment.
    lane: usize,
    first: usize,
    turn: usize,
    n: usize,
}

/// The memory that the instructions of a tile write.
struct Written<'a, 'r, F> {
    rows: Rows<'r, F>,
    adjoints: &'a mut [F],
    sums: &'a mut [[F; 2]],
    failed: &'a mut [bool],
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
    fn step<S: Simd>(&self, simd: S, inst: &Inst, written: &mut Written<'_, '_, F>) -> bool {
        let Written { rows, adjoints, sums, failed } = written;
        let n = self.n;
        let out = inst.out.index();
        let [a, b, c] = inst.x.map(At::index);
        let lanes = |at: At| if at == ABSENT { None } else { Some(&rows.get(at.index())[..n]) };
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
