//! Plans: a graph as groups of lanes and lists of single operations, with the memory that they work on.

use std::fmt;
use std::sync::Arc;

use pulp::{Arch, Simd, WithSimd};

use super::code::Code;
use super::kernels;
use super::lanes::{Group, Pattern};
use super::memory::Memory;
use super::ops::Ops;
use super::scalars::{self, Scalars};
use super::tiles::{self, Scratch, Slots};
use crate::number::BaseFloat;

/// Copies numbers. A few are not worth a call.
#[inline]
pub(super) fn copy<F: Copy>(to: &mut [F], from: &[F]) {
    if from.len() <= 8 {
        to.iter_mut().zip(from).for_each(|(to, &x)| *to = x);
    } else {
        to.copy_from_slice(from);
    }
}

/// A function that is ready to run: its instructions, which copies of the plan share, and its memory.
#[derive(Clone, Debug)]
pub(super) struct Plan<F> {
    pub(super) compiled: Arc<Compiled<F>>,
    /// Values by slot, adjoints by slot, numbers of scalar operations.
    pub(super) memory: Memory<F>,
    pub(super) scratch: Scratch<F>,
}

#[derive(Debug)]
pub(super) struct Compiled<F> {
    /// The instruction set for which the loops are chosen.
    pub(super) arch: Arch,
    pub(super) ops: Ops<F>,
    /// The inputs that have adjoints, from the first.
    pub(super) active: usize,
    pub(super) items: Vec<Item>,
    pub(super) groups: Vec<Group<F>>,
    pub(super) codes: Vec<Code<F>>,
    pub(super) lists: Vec<Scalars<F>>,
    pub(super) loops: Vec<Loop>,
    /// The slots of sums over lanes, with the constants among their terms.
    pub(super) sums: Vec<(usize, F)>,
    pub(super) outputs: Vec<usize>,
    pub(super) slots: usize,
    /// The number of nodes, for print.
    pub(super) nodes: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    Group(usize),
    List(usize),
    Loop(usize),
}

/// Items that run again and again, on operands that move on from turn to turn.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) body: Vec<Item>,
    pub(super) turns: usize,
}

/// The results that a plan computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    /// The outputs.
    Values,
    /// The outputs, and the gradient of the first one with respect to the inputs below this number.
    Gradient(usize),
}

impl<F: BaseFloat> Plan<F> {
    /// Runs the plan on the inputs, which may come in several slices. Returns false if a comparison came out otherwise
    /// than recorded, or if a result is not finite; the results are then void.
    #[inline]
    pub(super) fn run(&mut self, inputs: &[&[F]]) -> bool {
        self.run_into(inputs, None)
    }

    /// [`run`](Self::run), with the gradient in a slice instead of the plan's memory.
    #[inline]
    pub(super) fn run_into(&mut self, inputs: &[&[F]], gradient: Option<&mut [F]>) -> bool {
        let mut memory = &mut self.memory[..];
        for x in inputs {
            let (to, rest) = memory.split_at_mut(x.len());
            copy(to, x);
            memory = rest;
        }
        let arch = self.compiled.arch;
        // A list alone has a small function of its own: the other one needs much of the stack.
        match self.compiled.items[..] {
            [Item::List(k)] => arch.dispatch(RunList { plan: self, list: k, gradient }),
            _ => arch.dispatch(Run { plan: self, gradient }),
        }
    }

    /// Runs the plan by another instruction set.
    #[cfg(test)]
    pub(super) fn set_arch(&mut self, arch: Arch) {
        Arc::get_mut(&mut self.compiled).expect("the plan has no copies").arch = arch;
    }

    /// The value of an output after a run.
    pub(super) fn output(&self, k: usize) -> F {
        self.memory[self.compiled.outputs[k]]
    }

    /// The adjoints of the active inputs after a run, none of them -0.
    pub(super) fn gradient(&self) -> &[F] {
        &self.memory[self.compiled.slots..][..self.compiled.active]
    }

    /// True if the plan is one list: neither lanes nor loops were found.
    pub(super) fn is_scalar(&self) -> bool {
        matches!(self.compiled.items[..], [Item::List(_)])
    }

    /// The bytes that the plan holds.
    pub(super) fn bytes(&self) -> usize {
        let Compiled { groups, lists, .. } = &*self.compiled;
        let group = |g: &Group<F>| {
            let pattern = |p: &Pattern| match p {
                Pattern::Pieces(pieces) => 8 * pieces.len(),
                Pattern::Gather(slots, _) => 4 * slots.len(),
                _ => 0,
            };
            g.operands.iter().map(pattern).sum::<usize>()
                + size_of::<F>() * g.constants.iter().map(Vec::len).sum::<usize>()
                + 4 * (g.bounds.len() + g.slots.len())
                + size_of::<Group<F>>()
        };
        let list =
            |l: &Scalars<F>| size_of::<scalars::Inst>() * l.len() + 4 * l.listed.iter().map(Vec::len).sum::<usize>();
        groups.iter().map(group).sum::<usize>()
            + lists.iter().map(list).sum::<usize>()
            + size_of::<F>() * self.memory.len()
            + self.scratch.bytes()
    }
}

/// The run of groups and lists.
struct Run<'a, F> {
    plan: &'a mut Plan<F>,
    gradient: Option<&'a mut [F]>,
}

impl<F: BaseFloat> WithSimd for Run<'_, F> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Plan { compiled, memory, scratch } = self.plan;
        let Compiled { arch, ops, items, groups, codes, lists, loops, sums, outputs, active, slots, .. } = &**compiled;
        let (arch, slots) = (*arch, *slots);
        let memory = &mut memory[..];
        for &(slot, constant) in sums {
            memory[slot] = constant;
        }
        let reverse = *active > 0;
        if reverse {
            memory[slots..2 * slots].fill(F::zero());
        }
        let mut good = true;
        for pass in 0..=usize::from(reverse) {
            if pass == 1 {
                if !good {
                    break;
                }
                memory[slots + outputs[0]] += F::one();
            }
            let forward = pass == 0;
            for i in 0..items.len() {
                let (body, turns) = match &items[if forward { i } else { items.len() - 1 - i }] {
                    Item::Loop(k) => (&loops[*k].body[..], loops[*k].turns),
                    single => (std::slice::from_ref(single), 1),
                };
                for turn in 0..turns {
                    let turn = if forward { turn } else { turns - 1 - turn };
                    for j in 0..body.len() {
                        match body[if forward { j } else { body.len() - 1 - j }] {
                            Item::List(k) => good &= lists[k].run::<S, true>(arch, pass, ops, memory, turn),
                            Item::Group(k) => {
                                let group = &groups[k];
                                let Some(code) = group.codes[pass] else { continue };
                                let (values, rest) = memory.split_at_mut(slots);
                                let slots = Slots { values, adjoints: &mut rest[..slots], turn };
                                good &= tiles::run(arch, group, &codes[code], ops, slots, scratch);
                            }
                            Item::Loop(_) => unreachable!("loops do not nest"),
                        }
                    }
                }
            }
        }
        if !good || !outputs.iter().all(|&slot| memory[slot].is_finite_throughout()) {
            return false;
        }
        let adjoints = &mut memory[slots..slots + active];
        match self.gradient {
            Some(gradient) => kernels::settle_to(simd, adjoints, gradient),
            None => kernels::settle(simd, adjoints),
        }
    }
}

/// The run of a plan that is one list.
struct RunList<'a, F> {
    plan: &'a mut Plan<F>,
    list: usize,
    gradient: Option<&'a mut [F]>,
}

impl<F: BaseFloat> WithSimd for RunList<'_, F> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Plan { compiled, memory, .. } = self.plan;
        let Compiled { arch, ops, lists, outputs, slots, active, .. } = &**compiled;
        let (list, memory) = (&lists[self.list], &mut memory[..]);
        let good = match memory.first_chunk_mut() {
            Some(memory) if list.is_small() => list.run_small::<S>(*arch, ops, memory),
            _ => {
                let forward = list.run::<S, false>(*arch, 0, ops, memory, 0);
                list.run::<S, false>(*arch, 1, ops, memory, 0) && forward
            }
        };
        // 0 · x is 0 only for a finite number.
        let mut zeros = outputs.iter().fold(F::zero(), |sum, &slot| sum + memory[slot] * F::zero());
        let adjoints = &mut memory[*slots..*slots + *active];
        match self.gradient {
            Some(gradient) => {
                for (to, &x) in gradient.iter_mut().zip(&*adjoints) {
                    *to = x + F::zero();
                    zeros += *to * F::zero();
                }
            }
            None => {
                for x in adjoints {
                    *x += F::zero();
                    zeros += *x * F::zero();
                }
            }
        }
        good && zeros == F::zero()
    }
}

/// A line for the whole, and some for each group.
impl<F: BaseFloat> fmt::Display for Plan<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The groups that are printed.
        const PRINTED: usize = 20;
        let Compiled { groups, codes, lists, loops, nodes, .. } = &*self.compiled;
        let lanes: usize = groups.iter().map(|g| g.lanes).sum();
        let single: usize = lists.iter().map(Scalars::len).sum();
        writeln!(
            f,
            "{nodes} operations: {} groups with {lanes} lanes, {single} single instructions, {} bytes",
            groups.len(),
            self.bytes()
        )?;
        for Loop { body, turns } in loops.iter().take(PRINTED) {
            let list = |item: &Item| if let Item::List(k) = *item { lists[k].len() } else { 0 };
            let tiles = body.iter().filter(|item| matches!(item, Item::Group(_))).count();
            let single: usize = body.iter().map(list).sum();
            writeln!(f, "  a loop of {turns} turns: {tiles} groups, {single} single instructions")?;
        }
        for group in groups.iter().take(PRINTED) {
            let copied = |p: &&Pattern| !matches!(p, Pattern::Uniform | Pattern::Run);
            let passes = || group.codes.iter().flatten().map(|&k| &codes[k]);
            writeln!(
                f,
                "  level {}: {} lanes in {} segments, tiles of {}, {} operands ({} copied)",
                group.level,
                group.lanes,
                group.bounds.len() - 1,
                passes().map(|code| code.width).max().unwrap_or(0),
                group.operands.len(),
                group.operands.iter().filter(copied).count(),
            )?;
            for code in passes() {
                writeln!(f, "    {}; {} rows; {} once a segment", code.count(), code.rows, code.prologue.len())?;
            }
        }
        if groups.len() > PRINTED {
            writeln!(f, "  and {} groups more", groups.len() - PRINTED)?;
        }
        Ok(())
    }
}
