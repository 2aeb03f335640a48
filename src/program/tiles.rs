//! The run of a group, tile by tile.

use pulp::{Arch, Simd, WithSimd};

use super::code::{Code, Factor, Slice, lanes_of, pitch};
use super::kernels::{self, Src};
use super::lanes::{Group, Pattern, for_each_piece};
use super::memory::Memory;
use super::ops::Ops;
use super::steps::{Tile, Written};
use super::table::NONE;
use crate::number::BaseFloat;
use crate::slices::rows::{RowList, Rows};

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
