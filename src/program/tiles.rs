//! The run of a group, tile by tile.

use pulp::{Arch, Simd, WithSimd};

use super::body::Signs;
use super::code::{ABSENT, At, Code, Factor, Inst, Kind, Slice, lanes_of};
use super::graph::NONE;
use super::kernels::{self, Src};
use super::memory::Memory;
use super::ops::Ops;
use crate::number::BaseFloat;
use crate::slices::simd::{vectors, vectors_mut};

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
    starts: Vec<u32>,
    /// The slots of a turn's operands.
    moved: Vec<u32>,
    sums: Vec<[F; 2]>,
    /// For each lane of the tile, true if a comparison came out otherwise.
    pub(super) failed: Vec<bool>,
}

impl<F: BaseFloat> Scratch<F> {
    /// Makes room for the code.
    pub(super) fn fit(&mut self, code: &Code<F>) {
        self.rows.reserve(code.rows * code.width);
        self.loads.reserve(code.slices.len() * code.width);
        self.uniforms.resize(self.uniforms.len().max(code.uniforms), F::zero());
        self.starts.resize(self.starts.len().max(code.slices.len()), 0);
        self.sums.resize(self.sums.len().max(code.reductions.len()), [F::zero(); 2]);
        self.failed.resize(self.failed.len().max(code.width), false);
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<F>() * (self.rows.len() + self.loads.len() + self.uniforms.len())
    }
}

/// In place of a slot: the numbers of the slice have been copied.
const LOADED: u32 = NONE;

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
    let Scratch { rows, loads, uniforms, starts, moved, sums, failed } = scratch;
    let width = code.width;
    let rows = &mut rows[..code.rows * width];
    let loads = &mut loads[..code.slices.len() * width];
    let starts = &mut starts[..code.slices.len()];
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
                starts[i] = match *slice {
                    Slice::Operand(k) => match &group.operands[k as usize] {
                        Pattern::Uniform | Pattern::Run => slots[k as usize] + (lane - from) as u32,
                        other => {
                            let moved = group.moved(k as usize, turn);
                            load(other, &mut loads[i * width..][..n], below, lane, turn, moved);
                            LOADED
                        }
                    },
                    Slice::Constant(_) => (lane + turn * group.per_turn.constants) as u32,
                    Slice::Cotangent => lane as u32,
                };
            }
            let tile = Tile {
                arch,
                code,
                ops,
                group,
                slots,
                below,
                loads,
                starts,
                uniforms,
                cotangents,
                lane,
                first: lane - from,
                turn,
                n,
                padded,
                width,
            };
            let mut written = Written { rows, own, adjoints, sums, failed };
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
            let from = &below[first + lane * step..];
            for (to, from) in to.iter_mut().zip(from.chunks(step)) {
                *to = from[0];
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

/// A tile: what its instructions read.
struct Tile<'a, F> {
    arch: Arch,
    code: &'a Code<F>,
    ops: &'a Ops<F>,
    group: &'a Group<F>,
    slots: &'a [u32],
    below: &'a [F],
    loads: &'a [F],
    starts: &'a [u32],
    uniforms: &'a [F],
    cotangents: &'a [F],
    /// The first lane, within the group and within the segment.
    lane: usize,
    first: usize,
    turn: usize,
    n: usize,
    padded: usize,
    width: usize,
}

/// The memory that the instructions of a tile write.
struct Written<'a, F> {
    rows: &'a mut [F],
    own: &'a mut [F],
    adjoints: &'a mut [F],
    sums: &'a mut [[F; 2]],
    failed: &'a mut [bool],
}

/// The rows besides the one that is written.
struct Rows<'a, F> {
    low: &'a [F],
    high: &'a [F],
    out: usize,
    own: &'a [F],
}

impl<F: BaseFloat> Tile<'_, F> {
    #[inline(always)]
    fn slice(&self, k: u32) -> &[F] {
        let start = self.starts[k as usize] as usize;
        match self.code.slices[k as usize] {
            Slice::Operand(_) if start == LOADED as usize => &self.loads[k as usize * self.width..][..self.padded],
            Slice::Operand(_) => &self.below[start..][..self.padded],
            Slice::Constant(k) => &self.group.constants[k as usize][start..][..self.padded],
            Slice::Cotangent => &self.cotangents[start..][..self.padded],
        }
    }

    #[inline(always)]
    fn lanes<'b>(&'b self, at: At, rows: &Rows<'b, F>) -> &'b [F] {
        match at {
            At::Row(row) => {
                let row = row as usize;
                let from = if row < rows.out {
                    &rows.low[row * self.width..]
                } else {
                    &rows.high[(row - rows.out - 1) * self.width..]
                };
                &from[..self.padded]
            }
            At::Slice(k) => self.slice(k),
            At::Own(k) => &rows.own[k as usize * self.group.stride + self.lane..][..self.padded],
            At::Uniform(_) => &[],
        }
    }

    #[inline(always)]
    fn src<'b>(&'b self, at: At, rows: &Rows<'b, F>) -> Src<'b, F> {
        match at {
            At::Uniform(place) => Src::One(if place == NONE { F::zero() } else { self.uniforms[place as usize] }),
            _ => Src::Lanes(self.lanes(at, rows)),
        }
    }

    /// Runs an instruction. Returns false if a comparison came out otherwise.
    #[inline(always)]
    fn step<S: Simd>(
        &self,
        simd: S,
        inst: &Inst,
        Written { rows, own, adjoints, sums, failed }: &mut Written<'_, F>,
    ) -> bool {
        let (out, rest) = match (inst.kind, inst.out) {
            (Kind::Reduce(_) | Kind::Reduce8(_) | Kind::Pull(_) | Kind::Guard(..), _) => {
                let rest = Rows { low: rows, high: &[], out: usize::MAX, own };
                return self.effect(simd, inst, &rest, adjoints, sums, failed);
            }
            (_, At::Row(row)) => {
                let (low, high) = rows.split_at_mut(row as usize * self.width);
                let (out, high) = high.split_at_mut(self.width);
                (out, Rows { low, high, out: row as usize, own })
            }
            (_, At::Own(k)) => (
                &mut own[k as usize * self.group.stride + self.lane..],
                Rows { low: rows, high: &[], out: usize::MAX, own: &[] },
            ),
            _ => unreachable!("results go to rows and roots"),
        };
        let out = &mut out[..self.padded];
        // The operands that an instruction has are looked up in its arm. A closure without this attribute would not be
        // inlined, and so be compiled without the machine's vectors.
        macro_rules! lanes {
            ($loop:ident, $x:expr, $f:expr) => {
                kernels::$loop(
                    simd,
                    out,
                    $x,
                    #[inline(always)]
                    $f,
                )
            };
        }
        macro_rules! x {
            ($k:literal) => {
                self.src(inst.x[$k], &rest)
            };
            () => {
                [x!(0), x!(1), x!(2)]
            };
        }
        match inst.kind {
            Kind::Copy => match x!(0) {
                Src::One(x) => out.fill(x),
                Src::Lanes(x) => out.copy_from_slice(x),
            },
            Kind::Row(op) => kernels::row(self.arch, self.ops.get(op), out, x!()),
            Kind::Dot(k) => self.dot(simd, k, out, &rest),
            Kind::Neg => lanes!(map, x!(0), |a| F::negative(simd, a)),
            Kind::Square => lanes!(map, x!(0), |a| F::times(simd, a, a)),
            Kind::Add => lanes!(zip, [x!(0), x!(1)], |a, b| F::plus(simd, a, b)),
            Kind::Sub => lanes!(zip, [x!(0), x!(1)], |a, b| F::minus(simd, a, b)),
            Kind::Mul => lanes!(zip, [x!(0), x!(1)], |a, b| F::times(simd, a, b)),
            Kind::Div => lanes!(zip, [x!(0), x!(1)], |a, b| F::over(simd, a, b)),
            Kind::Fused(Signs::Plus) => lanes!(zip3, x!(), |a, b, c| F::times_plus(simd, a, b, c)),
            Kind::Fused(Signs::Minus) => lanes!(zip3, x!(), |a, b, c| F::times_plus(simd, a, b, F::negative(simd, c))),
            Kind::Fused(Signs::Reverse) => {
                lanes!(zip3, x!(), |a, b, c| F::times_plus(simd, F::negative(simd, a), b, c));
            }
            _ => unreachable!("an effect"),
        }
        true
    }

    #[inline(always)]
    fn dot<S: Simd>(&self, simd: S, k: u32, out: &mut [F], rest: &Rows<'_, F>) {
        let dot = &self.code.dots[k as usize];
        let start = self.src(dot.start, rest);
        let out = vectors_mut::<S, F>(out);
        let mut done = 0;
        // Some vectors of the result stay in registers while the products are added.
        macro_rules! block {
            ($width:literal) => {
                while out.len() - done >= $width {
                    let mut sums = match start {
                        Src::One(x) => [F::splat(simd, x); $width],
                        Src::Lanes(x) => *vectors::<S, F>(x)[done..].first_chunk::<$width>().expect("whole vectors"),
                    };
                    if dot.by_uniform {
                        for &(a, b) in &dot.products {
                            let At::Uniform(place) = a else { continue };
                            let a = F::splat(simd, self.uniforms[place as usize]);
                            let b = vectors::<S, F>(self.lanes(b, rest));
                            let b = b[done..].first_chunk::<$width>().expect("whole vectors");
                            for v in 0..$width {
                                sums[v] = F::times_plus(simd, a, b[v], sums[v]);
                            }
                        }
                    } else {
                        for &(a, b) in &dot.products {
                            let a = vectors::<S, F>(self.lanes(a, rest));
                            let b = vectors::<S, F>(self.lanes(b, rest));
                            let a = a[done..].first_chunk::<$width>().expect("whole vectors");
                            let b = b[done..].first_chunk::<$width>().expect("whole vectors");
                            for v in 0..$width {
                                sums[v] = F::times_plus(simd, a[v], b[v], sums[v]);
                            }
                        }
                    }
                    out[done..done + $width].copy_from_slice(&sums);
                    done += $width;
                }
            };
        }
        block!(8);
        block!(4);
        block!(1);
    }

    #[inline(always)]
    fn effect<S: Simd>(
        &self,
        simd: S,
        inst: &Inst,
        rows: &Rows<'_, F>,
        adjoints: &mut [F],
        sums: &mut [[F; 2]],
        failed: &mut [bool],
    ) -> bool {
        let n = self.n;
        match inst.kind {
            Kind::Reduce(k) => {
                sums[k as usize][0] += match self.src(inst.x[0], rows) {
                    Src::One(x) => x * F::lit(n as f64),
                    Src::Lanes(a) => {
                        let b = if inst.x[1] == ABSENT { None } else { Some(&self.lanes(inst.x[1], rows)[..n]) };
                        kernels::sum(simd, &a[..n], b)
                    }
                };
            }
            Kind::Reduce8(k) => {
                let eight = &self.code.eights[k as usize];
                macro_rules! eight {
                    ($x:expr) => {{
                        let mut all: [&[F]; 8] = [&[]; 8];
                        for (to, at) in all.iter_mut().zip($x) {
                            *to = &self.lanes(at, rows)[..n];
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
                let b = if inst.x[1] == ABSENT { None } else { Some(&self.lanes(inst.x[1], rows)[..n]) };
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
                        for (i, to) in to.chunks_mut(step).take(n).enumerate() {
                            to[0] += product(a, b, i);
                        }
                    }
                    Pattern::Gather(slots, per_turn) => {
                        let slots = &slots[self.lane + self.turn * *per_turn as usize..];
                        for (i, &slot) in slots[..n].iter().enumerate() {
                            adjoints[slot.wrapping_add(moved) as usize] += product(a, b, i);
                        }
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

/// The term of one lane.
#[inline(always)]
fn product<F: BaseFloat>(a: Src<'_, F>, b: Option<&[F]>, i: usize) -> F {
    match b {
        None => a.at(i),
        Some(b) => a.at(i) * b[i],
    }
}
