//! The way from a graph to a plan.

use std::collections::HashMap;
use std::sync::Arc;

use pulp::Arch;

use super::bundle::Bundle;
use super::code::lanes_of;
use super::cones::Cones;
use super::graph::Graph;
use super::lanes::{Group, Pattern};
use super::loops::{Roots, Turns};
use super::memory::Memory;
use super::ops::{ADD, CONSTANT, DIV, INPUT, MUL, NEG, PRODUCT, SUB, SUM};
use super::periods::{LEAST_LOOPS, Period};
use super::places::Found;
use super::plan::{Compiled, Goal, Item, Loop, Plan};
use super::scalars::{SMALL, Scalars};
use super::table::NONE;
use super::tiles::Scratch;
use crate::number::BaseFloat;

/// The number of groups up to which tiles are always worth it.
const FEW_GROUPS: usize = 16;

/// The least number of operations that a group should have on average.
const LEAST_WORK: usize = 100;

/// The least number of lanes of a group within a loop.
const FEW_IN_LOOPS: usize = 4;

/// The memory of a plan with loops has fewer numbers.
const MOST_SLOTS: usize = 1 << 27;

/// A plan in the making.
pub(super) struct Planner<'g, F> {
    pub(super) graph: &'g Graph<F>,
    pub(super) cones: Cones,
    /// For each node, true if it depends on an active input.
    pub(super) active: Vec<bool>,
    /// For each node, its cotangent if that is known beforehand.
    pub(super) known: Vec<Option<F>>,
    /// For each node, true if a comparison depends on it.
    pub(super) compared: Vec<bool>,
    pub(super) slot: Vec<u32>,
    pub(super) plan: Compiled<F>,
    /// The codes so far, by all that they depend on.
    pub(super) cache: HashMap<Vec<u64>, usize>,
}

impl<F: BaseFloat> Plan<F> {
    pub(super) fn new(graph: &Graph<F>, goal: Goal) -> Self {
        Planner::new(graph, goal).plan()
    }
}

impl<'g, F: BaseFloat> Planner<'g, F> {
    fn new(graph: &'g Graph<F>, goal: Goal) -> Self {
        let n = graph.nodes.len();
        let active = match goal {
            Goal::Values => 0,
            Goal::Gradient(n) => n,
        };
        let plan = Compiled {
            arch: Arch::new(),
            ops: graph.ops.clone(),
            active,
            items: Vec::new(),
            groups: Vec::new(),
            codes: Vec::new(),
            lists: Vec::new(),
            loops: Vec::new(),
            sums: Vec::new(),
            outputs: Vec::new(),
            slots: 0,
            nodes: n,
        };
        let mut planner = Self {
            cones: Cones::new(graph),
            active: vec![false; n],
            known: Vec::new(),
            compared: vec![false; n],
            slot: vec![NONE; n],
            plan,
            cache: HashMap::new(),
            graph,
        };
        for guard in &graph.guards {
            planner.compared[guard.a as usize] = true;
            planner.compared[guard.b as usize] = true;
        }
        if !graph.guards.is_empty() {
            for i in (0..n).rev().filter(|&i| !graph.is_leaf(i as u32)) {
                if planner.compared[i] {
                    graph.operands(i).for_each(|a| planner.compared[a as usize] = true);
                }
            }
        }
        if active > 0 {
            for i in 0..n {
                planner.active[i] = match graph.nodes[i].op {
                    INPUT => i < active,
                    _ => graph.operands(i).any(|a| planner.active[a as usize]),
                };
            }
            planner.known = planner.known_cotangents();
        }
        planner
    }

    /// The cotangents that do not depend on values: those below the output as far as additions and constant factors go.
    fn known_cotangents(&self) -> Vec<Option<F>> {
        let graph = self.graph;
        let mut known = vec![Some(F::zero()); graph.nodes.len()];
        let mut seen = vec![false; graph.nodes.len()];
        let output = graph.outputs[0] as usize;
        known[output] = Some(F::one());
        seen[output] = true;
        for i in (0..graph.nodes.len()).rev().filter(|&i| !graph.is_leaf(i as u32)) {
            if !seen[i] {
                continue;
            }
            let node = graph.nodes[i];
            for (k, a) in graph.operands(i).enumerate() {
                seen[a as usize] = true;
                let more = known[i].and_then(|d| match (node.op, k) {
                    (SUM | ADD, _) | (SUB, 0) => Some(d),
                    (SUB | NEG, _) => Some(-d),
                    (MUL | PRODUCT, _) => graph.constant(if k == 0 { node.b } else { node.a }).map(|c| d * c),
                    (DIV, 0) => graph.constant(node.b).map(|c| d / c),
                    _ => None,
                });
                let at = &mut known[a as usize];
                *at = at.zip(more).map(|(sum, more)| sum + more);
            }
        }
        known
    }

    pub(super) fn plan(mut self) -> Plan<F> {
        let looped = if self.cones.periods.is_empty() { &[][..] } else { &self.cones.groups[..] };
        let roots = Roots::new(self.slot.len(), looped);
        let drafts = self.drafts(&roots);
        let drafts = self.slots(drafts, &roots);
        let mut next = 2 * self.plan.slots as u32;
        if let [Draft::List(_)] = drafts[..] {
            let mut scalars = self.whole(&mut next);
            if next as usize <= SMALL {
                next = SMALL as u32;
                scalars.shrink();
            }
            self.push_list(scalars);
        } else {
            for draft in &drafts {
                match draft {
                    Draft::Loop(period, body) => self.looped(*period, body, &mut next),
                    single => self.item(single, 0, &mut next),
                }
            }
        }
        let mut compiled = self.plan;
        let mut memory = Memory::zeros(next as usize);
        for list in &compiled.lists {
            for &(place, x) in &list.numbers {
                memory[place as usize] = x;
            }
        }
        for &output in &self.graph.outputs {
            compiled.outputs.push(self.slot[output as usize] as usize);
        }
        for (i, node) in self.graph.nodes.iter().enumerate() {
            if node.op == CONSTANT && self.slot[i] != NONE {
                memory[self.slot[i] as usize] = self.graph.constants[node.a as usize];
            }
        }
        let mut scratch = Scratch::default();
        for code in &compiled.codes {
            scratch.fit(code);
        }
        Plan { compiled: Arc::new(compiled), memory, scratch }
    }

    /// Compiles a group or a list, whose groups come `shift` places later.
    fn item(&mut self, draft: &Draft, shift: usize, next: &mut u32) {
        match draft {
            Draft::Group(k) => {
                let group = self.group(k + shift, None);
                self.push_group(group);
            }
            Draft::List(list) => {
                let list: Vec<usize> = list.iter().map(|k| k + shift).collect();
                let scalars = self.list(&list, None, next);
                self.push_list(scalars);
            }
            Draft::Loop(..) => unreachable!("loops do not nest"),
        }
    }

    fn push_group(&mut self, group: Group<F>) {
        self.plan.items.push(Item::Group(self.plan.groups.len()));
        self.plan.groups.push(group);
    }

    fn push_list(&mut self, list: Scalars<F>) {
        self.plan.items.push(Item::List(self.plan.lists.len()));
        self.plan.lists.push(list);
    }

    /// Compiles a loop: one turn, whose operands move on by the same distances from turn to turn. The first turns, which
    /// have their operands elsewhere, stand before it.
    fn looped(&mut self, period: Period, body: &[Draft], next: &mut u32) {
        let turns = Turns::new(period, &self.cones.groups, &self.slot);
        let apart = turns.as_ref().map_or(period.turns, |turns| turns.first);
        for turn in 0..apart {
            for draft in body {
                self.item(draft, turn * period.groups, next);
            }
        }
        let Some(turns) = turns else { return };
        let before = self.plan.items.len();
        for draft in body {
            match draft {
                Draft::Group(k) => {
                    let group = self.group(*k, Some(&turns));
                    self.push_group(group);
                }
                Draft::List(list) => {
                    let list = self.list(list, Some(&turns), next);
                    self.push_list(list);
                }
                Draft::Loop(..) => unreachable!("loops do not nest"),
            }
        }
        let body = self.plan.items.split_off(before);
        self.plan.items.push(Item::Loop(self.plan.loops.len()));
        self.plan.loops.push(Loop { body, turns: period.turns - turns.first });
    }

    /// True if there are many groups with little to do, as in a recurrence: each needs memory of its own, and a list of
    /// single operations is twice as fast.
    fn is_narrow(&self, periods: &[Period]) -> bool {
        let mut single = vec![true; self.cones.groups.len()];
        for period in periods {
            single[period.first..][..period.groups * period.turns].fill(false);
        }
        let tiles = || self.cones.groups.iter().zip(&single).filter(|(group, single)| !group.is_scalar() && **single);
        let count = tiles().count();
        count > FEW_GROUPS && tiles().map(|(group, _)| group.work()).sum::<usize>() < LEAST_WORK * count
    }

    /// Groups for tiles, lists of the groups that have few lanes, and loops, in the order of their levels.
    fn drafts(&self, roots: &Roots) -> Vec<Draft> {
        let lanes: usize = self.cones.groups.iter().map(Bundle::lanes).sum();
        let has_loops = self.graph.nodes.len() >= LEAST_LOOPS && lanes < MOST_SLOTS / 8;
        let periods = if has_loops { &self.cones.periods[..] } else { &[] };
        if self.is_narrow(periods) {
            return vec![Draft::List(Vec::new())];
        }
        let groups = &self.cones.groups;
        let mut drafts = Vec::new();
        // `from` is the first group with which this one may share a list.
        let add = |drafts: &mut Vec<Draft>, k: usize, scalar: bool, from: usize| match drafts.last_mut() {
            Some(Draft::List(list)) if scalar && list[0] >= from => list.push(k),
            _ if scalar => drafts.push(Draft::List(vec![k])),
            _ => drafts.push(Draft::Group(k)),
        };
        let mut k = 0;
        for period in periods {
            (k..period.first).for_each(|k| add(&mut drafts, k, groups[k].is_scalar(), 0));
            let mut body = Vec::new();
            let apart = roots.apart(*period, groups);
            for (k, apart) in (period.first..).zip(apart) {
                let scalar = groups[k].lanes() < FEW_IN_LOOPS && groups[k].into == NONE;
                add(&mut body, k, scalar, period.first + apart);
            }
            drafts.push(Draft::Loop(*period, body));
            k = period.first + period.groups * period.turns;
        }
        (k..groups.len()).for_each(|k| add(&mut drafts, k, groups[k].is_scalar(), 0));
        if drafts.is_empty() {
            drafts.push(Draft::List(Vec::new()));
        }
        drafts
    }

    /// Gives a slot to each input, sum and root. Every group begins at a multiple of [`lanes_of`], and what is read behind
    /// its last lane belongs to no other group that is written later.
    fn slots(&mut self, drafts: Vec<Draft>, roots: &Roots) -> Vec<Draft> {
        let graph = self.graph;
        let mut next = graph.inputs as u32;
        for i in 0..graph.inputs {
            self.slot[i] = i as u32;
        }
        for &output in &graph.outputs {
            if graph.nodes[output as usize].op == CONSTANT && self.slot[output as usize] == NONE {
                self.slot[output as usize] = next;
                next += 1;
            }
        }
        for i in (0..graph.nodes.len()).filter(|&i| self.cones.long[i]) {
            self.slot[i] = next;
            let constants = graph.operands(i).filter_map(|a| graph.constant(a));
            self.plan.sums.push((next as usize, constants.fold(F::zero(), |sum, c| sum + c)));
            next += 1;
        }
        let lanes = lanes_of::<F>() as u32;
        let align = |next: u32| (next + lanes).next_multiple_of(lanes);
        next = align(next);
        let mut placed = Vec::with_capacity(drafts.len());
        for draft in drafts {
            if let Draft::Loop(period, body) = &draft {
                for k in self.gathered(*period, body, roots) {
                    self.place(&[k], &mut next);
                    placed.push(Draft::Group(k));
                }
                for turn in 0..period.turns {
                    for draft in body {
                        let groups: Vec<usize> = draft.groups().iter().map(|k| k + turn * period.groups).collect();
                        self.place(&groups, &mut next);
                    }
                }
            } else {
                self.place(draft.groups(), &mut next);
            }
            placed.push(draft);
        }
        for &output in &graph.outputs {
            if self.slot[output as usize] == NONE {
                self.slot[output as usize] = next;
                next += 1;
            }
        }
        next = align(next);
        // A last tile may write behind its lanes.
        self.plan.slots = next as usize + lanes_of::<F>();
        placed
    }

    /// Gives slots to the roots of groups.
    fn place(&mut self, groups: &[usize], next: &mut u32) {
        for group in groups.iter().map(|&k| &self.cones.groups[k]).filter(|group| group.into == NONE) {
            for &root in group.roots.iter().filter(|&&root| root != NONE) {
                self.slot[root as usize] = *next;
                *next += 1;
            }
        }
        let lanes = lanes_of::<F>() as u32;
        *next = (*next + lanes).next_multiple_of(lanes);
    }

    /// Groups that bring the operands of a loop together which all turns share and which are no neighbours. Their roots
    /// are numbers behind the nodes of the graph.
    fn gathered(&mut self, period: Period, body: &[Draft], roots: &Roots) -> Vec<usize> {
        let mut new: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut gathered = Vec::new();
        for draft in body {
            let Draft::Group(k) = *draft else { continue };
            let of = |turn: usize| k + turn * period.groups;
            for i in 0..self.cones.groups[k].shape.operands {
                let nodes = |groups: &[Bundle], turn: usize| groups[of(turn)].operand(i).collect::<Vec<u32>>();
                let last = nodes(&self.cones.groups, period.turns - 1);
                // Results of the loop itself are not there before it.
                if last != nodes(&self.cones.groups, period.turns - 2) || roots.computed_by(period, &last) {
                    continue;
                }
                let found = Found::new(&last.iter().map(|&a| self.slot[a as usize]).collect::<Vec<_>>());
                let bounds = Found::bounds(std::slice::from_ref(&found), last.len());
                if matches!(found.pattern(&bounds), Pattern::Uniform | Pattern::Run) {
                    continue;
                }
                let first = *new.entry(last.clone()).or_insert_with(|| {
                    let first = self.slot.len() as u32;
                    for &a in &last {
                        self.slot.push(NONE);
                        self.known.push(None);
                        self.active.push(self.active[a as usize]);
                        self.compared.push(self.compared[a as usize]);
                    }
                    gathered.push(self.cones.groups.len());
                    let level = self.cones.groups[k].level;
                    self.cones.groups.push(Bundle::copies(level, first, &last));
                    first
                });
                for turn in 0..period.turns {
                    let group = &mut self.cones.groups[of(turn)];
                    if group.operand(i).eq(last.iter().copied()) {
                        let n = group.shape.operands;
                        let operands = group.operands.iter_mut().skip(i).step_by(n);
                        operands.zip(first..).for_each(|(to, a)| *to = a);
                    }
                }
            }
        }
        gathered
    }
}

/// An item of a plan before its code exists.
enum Draft {
    Group(usize),
    List(Vec<usize>),
    /// Turns, and the items of the first one.
    Loop(Period, Vec<Draft>),
}

impl Draft {
    /// The groups of an item that is no loop.
    fn groups(&self) -> &[usize] {
        match self {
            Draft::Group(k) => std::slice::from_ref(k),
            Draft::List(list) => list,
            Draft::Loop(..) => unreachable!("loops do not nest"),
        }
    }
}
