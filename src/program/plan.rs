//! Plans: a graph as groups of lanes and lists of single operations, with the memory that they work on.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use pulp::{Arch, Simd, WithSimd};

use super::body::{Body, Facts, Pass};
use super::code::{Code, LANES};
use super::cones::{Cones, FEW, Ref, Shape};
use super::graph::{Graph, NONE, bits};
use super::kernels;
use super::memory::Memory;
use super::ops::{ADD, CONSTANT, DIV, INPUT, MUL, NEG, Ops, PRODUCT, SUB, SUM};
use super::scalars::{self, Places, Scalars};
use super::tiles::{self, Group, Pattern, Scratch, Slots};
use crate::number::BaseFloat;

/// A piece shorter than this is copied rather than made a tile of its own.
const SHORT: usize = 32;

/// A function that is ready to run: its instructions, which copies of the plan share, and its memory.
#[derive(Clone, Debug)]
pub(super) struct Plan<F> {
    compiled: Arc<Compiled<F>>,
    /// Values by slot, adjoints by slot, numbers of scalar operations.
    memory: Memory<F>,
    scratch: Scratch<F>,
}

#[derive(Debug)]
struct Compiled<F> {
    /// The instruction set for which the loops are chosen.
    arch: Arch,
    ops: Ops<F>,
    /// The inputs that have adjoints, from the first.
    active: usize,
    items: Vec<Item>,
    groups: Vec<Group<F>>,
    codes: Vec<Code<F>>,
    lists: Vec<Scalars<F>>,
    /// The slots of sums over lanes, with the constants among their terms.
    sums: Vec<(usize, F)>,
    outputs: Vec<usize>,
    slots: usize,
    /// The number of nodes, for print.
    nodes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Group(usize),
    List(usize),
}

/// What a plan computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    /// The outputs.
    Values,
    /// The outputs, and the gradient of the first one with respect to the inputs below this number.
    Gradient(usize),
}

impl<F: BaseFloat> Plan<F> {
    pub(super) fn new(graph: &Graph<F>, goal: Goal) -> Self {
        Planner::new(graph, goal).plan()
    }

    /// Runs the plan on the inputs, which may come in several slices. Returns false if a comparison came out otherwise
    /// than recorded, or if a result is not finite; the results are then void.
    pub(super) fn run(&mut self, inputs: &[&[F]]) -> bool {
        let mut memory = &mut self.memory[..];
        for x in inputs {
            let (to, rest) = memory.split_at_mut(x.len());
            // The copy of a few numbers is not worth a call.
            if x.len() <= 8 {
                to.iter_mut().zip(*x).for_each(|(to, &x)| *to = x);
            } else {
                to.copy_from_slice(x);
            }
            memory = rest;
        }
        let arch = self.compiled.arch;
        // A list alone has a small function of its own: the other one needs much of the stack.
        match self.compiled.items[..] {
            [Item::List(k)] => arch.dispatch(RunList { plan: self, list: k }),
            _ => arch.dispatch(Run(self)),
        }
    }

    /// The value of an output after a run.
    pub(super) fn output(&self, k: usize) -> F {
        self.memory[self.compiled.outputs[k]]
    }

    /// The adjoints of the active inputs after a run.
    pub(super) fn gradient(&self) -> &[F] {
        &self.memory[self.compiled.slots..][..self.compiled.active]
    }

    /// True if no lanes were found.
    pub(super) fn is_scalar(&self) -> bool {
        self.compiled.groups.is_empty()
    }

    /// The bytes that the plan holds.
    pub(super) fn bytes(&self) -> usize {
        let Compiled { groups, lists, .. } = &*self.compiled;
        let group = |g: &Group<F>| {
            let pattern = |p: &Pattern| match p {
                Pattern::Pieces(pieces) => 8 * pieces.len(),
                Pattern::Gather(slots) => 4 * slots.len(),
                _ => 0,
            };
            g.operands.iter().map(pattern).sum::<usize>()
                + size_of::<F>() * g.constants.iter().map(Vec::len).sum::<usize>()
                + 4 * (g.bounds.len() + g.slots.len())
                + size_of::<Group<F>>()
        };
        let list = |l: &Scalars<F>| size_of::<scalars::Inst>() * (l.forward.len() + l.reverse.len());
        groups.iter().map(group).sum::<usize>()
            + lists.iter().map(list).sum::<usize>()
            + size_of::<F>() * self.memory.len()
            + self.scratch.bytes()
    }
}

/// The run of groups and lists.
struct Run<'a, F>(&'a mut Plan<F>);

impl<F: BaseFloat> WithSimd for Run<'_, F> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Plan { compiled, memory, scratch } = self.0;
        let Compiled { arch, ops, items, groups, codes, lists, sums, outputs, active, slots, .. } = &**compiled;
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
        for item in items {
            good &= match *item {
                Item::List(k) => scalars::run::<S, F>(arch, &lists[k].forward, ops, memory),
                Item::Group(k) => {
                    let group = &groups[k];
                    let (values, rest) = memory.split_at_mut(slots);
                    let code = group.codes[0].expect("every group has a first pass");
                    let slots = Slots { values, adjoints: &mut rest[..slots] };
                    tiles::run(simd, arch, group, &codes[code], ops, slots, scratch)
                }
            };
        }
        if good && reverse {
            memory[slots + outputs[0]] += F::one();
            for item in items.iter().rev() {
                match *item {
                    Item::List(k) => {
                        scalars::run::<S, F>(arch, &lists[k].reverse, ops, memory);
                    }
                    Item::Group(k) => {
                        let group = &groups[k];
                        let Some(code) = group.codes[1] else { continue };
                        let (values, rest) = memory.split_at_mut(slots);
                        let slots = Slots { values, adjoints: &mut rest[..slots] };
                        tiles::run(simd, arch, group, &codes[code], ops, slots, scratch);
                    }
                }
            }
        }
        good && outputs.iter().all(|&slot| memory[slot].is_finite_throughout())
            && kernels::all_finite(simd, &memory[slots..slots + active])
    }
}

/// The run of a plan that is one list.
struct RunList<'a, F> {
    plan: &'a mut Plan<F>,
    list: usize,
}

impl<F: BaseFloat> WithSimd for RunList<'_, F> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Plan { compiled, memory, .. } = self.plan;
        let Compiled { arch, ops, lists, outputs, slots, active, .. } = &**compiled;
        let (list, memory) = (&lists[self.list], &mut memory[..]);
        let good = scalars::run::<S, F>(*arch, &list.forward, ops, memory);
        scalars::run::<S, F>(*arch, &list.reverse, ops, memory);
        let finite = |x: F| x * F::zero() == F::zero();
        good && outputs.iter().all(|&slot| finite(memory[slot]))
            && memory[*slots..*slots + *active].iter().all(|&d| finite(d))
    }
}

/// A line for the whole, and some for each group.
impl<F: BaseFloat> fmt::Display for Plan<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The groups that are printed.
        const PRINTED: usize = 20;
        let Compiled { groups, codes, lists, nodes, .. } = &*self.compiled;
        let lanes: usize = groups.iter().map(|g| g.lanes).sum();
        let single: usize = lists.iter().map(|l| l.forward.len() + l.reverse.len()).sum();
        writeln!(
            f,
            "{nodes} operations: {} groups with {lanes} lanes, {single} single instructions, {} bytes",
            groups.len(),
            self.bytes()
        )?;
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

struct Planner<'g, F> {
    graph: &'g Graph<F>,
    cones: Cones,
    /// For each node, true if it depends on an active input.
    active: Vec<bool>,
    /// For each node, its cotangent if that is known beforehand.
    known: Vec<Option<F>>,
    /// For each node, true if a comparison depends on it.
    compared: Vec<bool>,
    slot: Vec<u32>,
    plan: Compiled<F>,
    cache: HashMap<Vec<u64>, usize>,
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

    fn plan(mut self) -> Plan<F> {
        let items = self.items();
        self.slots(&items);
        let mut next = 2 * self.plan.slots as u32;
        for item in &items {
            match item {
                Draft::Group(k) => {
                    let group = self.group(*k);
                    self.plan.items.push(Item::Group(self.plan.groups.len()));
                    self.plan.groups.push(group);
                }
                Draft::List(list) => {
                    let scalars = if items.len() == 1 { self.whole(&mut next) } else { self.list(list, &mut next) };
                    self.plan.items.push(Item::List(self.plan.lists.len()));
                    self.plan.lists.push(scalars);
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

    /// Groups for tiles, and lists of the groups that have few lanes, in the order of their levels.
    fn items(&self) -> Vec<Draft> {
        let mut items = Vec::new();
        for (k, group) in self.cones.groups.iter().enumerate() {
            match items.last_mut() {
                Some(Draft::List(list)) if group.is_scalar() => list.push(k),
                _ if group.is_scalar() => items.push(Draft::List(vec![k])),
                _ => items.push(Draft::Group(k)),
            }
        }
        if items.is_empty() {
            items.push(Draft::List(Vec::new()));
        }
        items
    }

    /// Gives a slot to each input, sum and root. Every group begins at a multiple of [`LANES`], and what is read behind
    /// its last lane belongs to no other group that is written later.
    fn slots(&mut self, items: &[Draft]) {
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
        let align = |next: u32| (next + LANES as u32).next_multiple_of(LANES as u32);
        next = align(next);
        for item in items {
            let (groups, tiles) = match item {
                Draft::Group(k) => (std::slice::from_ref(k), true),
                Draft::List(list) => (&list[..], false),
            };
            for &k in groups {
                let group = &self.cones.groups[k];
                if group.into != NONE {
                    continue;
                }
                for &root in group.roots.iter().filter(|&&root| root != NONE) {
                    self.slot[root as usize] = next;
                    next += 1;
                }
            }
            if tiles || !groups.is_empty() {
                next = align(next);
            }
        }
        // A last tile may write behind its lanes.
        self.plan.slots = next as usize + LANES;
    }

    fn group(&mut self, k: usize) -> Group<F> {
        let graph = self.graph;
        let (lanes, into, shape) = {
            let draft = &self.cones.groups[k];
            (draft.lanes(), draft.into, draft.shape.clone())
        };
        let draft = &self.cones.groups[k];
        let (n, m) = (shape.operands, shape.constants);
        let mut slots_of = vec![0_u32; lanes];
        let mut patterns = Vec::with_capacity(n);
        let mut wanted = Vec::with_capacity(n);
        for k in 0..n {
            let operands = || draft.operands.iter().skip(k).step_by(n);
            for (slot, &a) in slots_of.iter_mut().zip(operands()) {
                *slot = self.slot[a as usize];
            }
            patterns.push(Found::new(&slots_of));
            wanted.push(self.plan.active > 0 && operands().any(|&a| self.active[a as usize]));
        }
        let mut constants = Vec::with_capacity(m);
        let mut shared = Vec::with_capacity(m);
        for k in 0..m {
            let mut list: Vec<F> =
                draft.constants.iter().skip(k).step_by(m).filter_map(|&c| graph.constant(c)).collect();
            let first = list[0];
            if list.iter().all(|&x| bits(x) == bits(first)) {
                shared.push(Some(first));
                list.clear();
            } else {
                shared.push(None);
                list.resize(lanes + LANES, F::one());
            }
            constants.push(list);
        }
        let bounds = Found::bounds(&patterns, lanes);
        let operands: Vec<Pattern> = patterns.iter().map(|p| p.pattern(&bounds)).collect();
        let mut slots = Vec::with_capacity((bounds.len() - 1) * n);
        for &from in &bounds[..bounds.len() - 1] {
            slots.extend(patterns.iter().map(|p| p.slot(from)));
        }
        let uniform: Vec<bool> = operands.iter().map(|p| *p == Pattern::Uniform).collect();
        let roots: Vec<u32> = if into == NONE { draft.roots.clone() } else { vec![into] };
        let valued = !shape.roots.is_empty();
        let key = draft.key.clone();
        let level = draft.level;
        let first_root = draft.roots[0];
        let reverse = valued && wanted.iter().any(|&wanted| wanted);
        // One pass where the cotangent is known beforehand and the same for all lanes.
        let known = if reverse { self.known[roots[0] as usize] } else { None };
        let known =
            known.filter(|&d| roots.iter().all(|&root| self.known[root as usize].is_some_and(|e| bits(e) == bits(d))));
        let passes: &[Pass] = match (reverse, known) {
            (false, _) => &[Pass::Forward],
            (true, Some(_)) => &[Pass::Both],
            (true, None) => &[Pass::Forward, Pass::Reverse],
        };
        let compared = roots.iter().any(|&root| root != NONE && self.compared[root as usize]);
        let mut codes = [None; 2];
        for (place, &pass) in passes.iter().enumerate() {
            let mut full: Vec<u64> = vec![
                pass as u64,
                u64::from(into != NONE) | u64::from(compared) << 1,
                lanes.next_multiple_of(LANES).min(4096 / size_of::<F>()) as u64,
            ];
            full.extend(number_or_none(known));
            full.extend(uniform.iter().zip(&wanted).map(|(&u, &w)| u64::from(u) | u64::from(w) << 1));
            full.extend(shared.iter().flat_map(|&c| number_or_none(c)));
            full.extend(key.iter().map(|&word| u64::from(word)));
            let code = if let Some(&code) = self.cache.get(&full) {
                code
            } else {
                let facts = Facts {
                    uniform: &uniform,
                    wanted: &wanted,
                    constants: &shared,
                    cotangents: &vec![known; shape.roots.len()],
                    uniform_cotangents: into != NONE,
                    compared,
                };
                let mut body = Body::new(&mut self.plan.ops, &shape, &facts, pass);
                body.contract();
                body.contract_chains();
                self.plan.codes.push(Code::new(&body, &uniform, into != NONE, lanes));
                self.cache.insert(full, self.plan.codes.len() - 1);
                self.plan.codes.len() - 1
            };
            codes[place] = Some(code);
        }
        let slot = |i: u32| self.slot[i as usize] as usize;
        // A group without slots of its own stands behind all others.
        let first = if into == NONE && first_root != NONE { slot(first_root) } else { self.plan.slots };
        let into = (into != NONE).then(|| slot(into));
        Group { lanes, first, stride: 0, into, operands, constants, bounds, slots, codes, level }
    }

    /// The operations of groups with few lanes.
    fn list(&mut self, groups: &[usize], next: &mut u32) -> Scalars<F> {
        let graph = self.graph;
        let mut shape = Shape::default();
        let mut place: HashMap<u32, Ref> = HashMap::new();
        let (mut operands, mut constants, mut roots) = (Vec::new(), Vec::new(), Vec::new());
        let mut locals = Vec::new();
        for &k in groups {
            let group = &self.cones.groups[k];
            let (n, m) = (group.shape.operands, group.shape.constants);
            for (lane, &root) in group.roots.iter().enumerate() {
                locals.clear();
                let refer = |r: Ref,
                             locals: &[u32],
                             place: &mut HashMap<u32, Ref>,
                             operands: &mut Vec<u32>,
                             constants: &mut Vec<Option<F>>| match r {
                    Ref::Local(i) => Ref::Local(locals[i as usize]),
                    Ref::Operand(k) => {
                        let a = group.operands[lane * n + k as usize];
                        *place.entry(a).or_insert_with(|| {
                            operands.push(a);
                            Ref::Operand(operands.len() as u32 - 1)
                        })
                    }
                    Ref::Constant(k) => {
                        constants.push(graph.constant(group.constants[lane * m + k as usize]));
                        Ref::Constant(constants.len() as u32 - 1)
                    }
                };
                for (i, &(op, _, len)) in group.shape.nodes.iter().enumerate() {
                    let first = shape.refs.len() as u32;
                    for &r in group.shape.refs(i) {
                        let r = refer(r, &locals, &mut place, &mut operands, &mut constants);
                        shape.refs.push(r);
                    }
                    locals.push(shape.nodes.len() as u32);
                    shape.nodes.push((op, first, len));
                }
                for &(test, pair, outcome) in &group.shape.guards {
                    let pair = pair.map(|r| refer(r, &locals, &mut place, &mut operands, &mut constants));
                    shape.guards.push((test, pair, outcome));
                }
                if root != NONE {
                    let last = Ref::Local(shape.nodes.len() as u32 - 1);
                    place.insert(root, last);
                    shape.roots.push(last);
                    roots.push(root);
                }
            }
        }
        (shape.operands, shape.constants) = (operands.len(), constants.len());
        // Others may need any root.
        let cotangents = vec![None; roots.len()];
        self.compile_list(&shape, &constants, &operands, &roots, &cotangents, next)
    }

    /// The operations of a function that is one list. The graph is taken as a whole, as for [`Batch`](super::batch::Batch),
    /// so that both compute the same bits.
    fn whole(&mut self, next: &mut u32) -> Scalars<F> {
        let (shape, constants) = Shape::whole(self.graph);
        let inputs: Vec<u32> = (0..self.graph.inputs as u32).collect();
        self.compile_list(&shape, &constants, &inputs, &self.graph.outputs.clone(), &[Some(F::one())], next)
    }

    fn compile_list(
        &mut self,
        shape: &Shape,
        constants: &[Option<F>],
        operands: &[u32],
        roots: &[u32],
        cotangents: &[Option<F>],
        next: &mut u32,
    ) -> Scalars<F> {
        let reverse = self.plan.active > 0;
        let alone = cotangents.len() == 1 && cotangents[0].is_some();
        let is_data = |&a: &u32| reverse && self.graph.is_leaf(a) && !self.active[a as usize];
        let facts = Facts {
            // As for lanes that are points, so that the same products are fused with additions.
            uniform: &operands.iter().map(is_data).collect::<Vec<_>>(),
            wanted: &operands.iter().map(|&a| reverse && self.active[a as usize]).collect::<Vec<_>>(),
            constants,
            cotangents,
            uniform_cotangents: false,
            compared: roots.iter().any(|&root| self.compared[root as usize]) && !alone,
        };
        let pass = if reverse { Pass::Both } else { Pass::Forward };
        let mut body = Body::new(&mut self.plan.ops, shape, &facts, pass);
        body.contract();
        let slots = |list: &[u32]| list.iter().map(|&a| self.slot[a as usize]).collect::<Vec<u32>>();
        let mut places = Places {
            operands: &slots(operands),
            roots: &slots(roots),
            adjoints: self.plan.slots as u32,
            next: *next,
            alone,
        };
        let list = Scalars::new(&body, &mut places);
        *next = places.next;
        list
    }
}

/// Words for a key.
fn number_or_none<F: BaseFloat>(x: Option<F>) -> [u64; 2] {
    [u64::from(x.is_some()), x.map_or(0, bits)]
}

/// An item of a plan before its code exists.
enum Draft {
    Group(usize),
    List(Vec<usize>),
}

/// The slots of an operand, lane by lane, as runs.
struct Found {
    /// First lane, slot, step.
    runs: Vec<(u32, u32, i64)>,
    lanes: usize,
}

impl Found {
    fn new(slots: &[u32]) -> Self {
        let mut runs = Vec::new();
        let mut i = 0;
        while i < slots.len() {
            let step_at = |i: usize| i64::from(slots[i + 1]) - i64::from(slots[i]);
            let step = if i + 1 < slots.len() { step_at(i) } else { 1 };
            let mut j = i + 1;
            while j < slots.len() && step_at(j - 1) == step {
                j += 1;
            }
            // Two slots that only happen to be near each other are left to the next run.
            if j - i == 2 && j < slots.len() && !matches!(step, 0 | 1) {
                j = i + 1;
            }
            runs.push((i as u32, slots[i], if j - i == 1 { 1 } else { step }));
            i = j;
        }
        Self { runs, lanes: slots.len() }
    }

    fn len(&self, k: usize) -> usize {
        let end = self.runs.get(k + 1).map_or(self.lanes, |next| next.0 as usize);
        end - self.runs[k].0 as usize
    }

    fn steps_are(&self, step: i64) -> bool {
        (0..self.runs.len()).all(|k| self.runs[k].2 == step || self.len(k) == 1)
    }

    /// True if the operand is one number, or one run, in each of a few long segments.
    fn has_segments(&self) -> bool {
        let long = (0..self.runs.len()).all(|k| self.len(k) >= SHORT);
        let uniform = self.steps_are(0) && self.runs.len() * FEW * 2 <= self.lanes;
        self.runs.len() == 1 && (self.steps_are(0) || self.steps_are(1)) || uniform || long && self.steps_are(1)
    }

    /// The first lanes of the segments in which every operand that has segments is uniform or one run.
    fn bounds(operands: &[Self], lanes: usize) -> Vec<u32> {
        let breaks = operands.iter().filter(|p| p.has_segments()).flat_map(|p| p.runs.iter().map(|run| run.0));
        let mut bounds: Vec<u32> = breaks.collect();
        bounds.push(0);
        bounds.sort_unstable();
        bounds.dedup();
        bounds.push(lanes as u32);
        bounds
    }

    fn pattern(&self, bounds: &[u32]) -> Pattern {
        let within = self.runs.iter().all(|run| bounds.binary_search(&run.0).is_ok());
        if within && self.steps_are(0) {
            return Pattern::Uniform;
        }
        if within && self.steps_are(1) {
            return Pattern::Run;
        }
        if let [(0, slot, step @ 2..)] = self.runs[..] {
            return Pattern::Stride(slot, step as u32);
        }
        if self.steps_are(1) && self.runs.len() * FEW <= self.lanes {
            return Pattern::Pieces(self.runs.iter().map(|run| (run.0, run.1)).collect());
        }
        let mut slots = Vec::with_capacity(self.lanes + LANES);
        for (k, &(_, slot, step)) in self.runs.iter().enumerate() {
            slots.extend((0..self.len(k) as i64).map(|i| (i64::from(slot) + i * step) as u32));
        }
        Pattern::Gather(slots)
    }

    /// The slot of a lane.
    fn slot(&self, lane: u32) -> u32 {
        let (first, slot, step) = self.runs[self.runs.partition_point(|run| run.0 <= lane) - 1];
        (i64::from(slot) + step * i64::from(lane - first)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Pattern};

    /// The slots that a pattern stands for.
    fn expand(found: &Found, bounds: &[u32]) -> (Vec<u32>, Pattern) {
        let pattern = found.pattern(bounds);
        let mut slots = Vec::new();
        for pair in bounds.windows(2) {
            for lane in pair[0]..pair[1] {
                slots.push(match &pattern {
                    Pattern::Uniform => found.slot(pair[0]),
                    Pattern::Run => found.slot(pair[0]) + lane - pair[0],
                    Pattern::Pieces(pieces) => {
                        let (first, slot) = pieces[pieces.partition_point(|piece| piece.0 <= lane) - 1];
                        slot + lane - first
                    }
                    Pattern::Stride(first, step) => first + lane * step,
                    Pattern::Gather(slots) => slots[lane as usize],
                });
            }
        }
        (slots, pattern)
    }

    #[test]
    fn patterns_stand_for_their_slots() {
        let list = |f: fn(u32) -> u32| (0..200).map(f).collect::<Vec<u32>>();
        let cases: [(&str, Vec<u32>); 12] = [
            ("Run", list(|i| 7 + i)),
            ("Uniform", list(|_| 3)),
            ("Uniform", list(|i| 100 - i / 50 * 9)),
            ("Run", list(|i| i % 50 + 1000)),
            ("Pieces", list(|i| i % 20 + 1000)),
            ("Stride", list(|i| 5 + 3 * i)),
            ("Gather", list(|i| 900 - i)),
            ("Gather", list(|i| i * i % 91)),
            ("Gather", list(|i| i / 3)),
            ("Pieces", list(|i| if i < 199 { i + 1 } else { 0 })),
            ("Gather", list(|i| i / 2 * 7 + i % 2)),
            ("Uniform", vec![42]),
        ];
        for (name, slots) in &cases {
            let found = Found::new(slots);
            let bounds = Found::bounds(std::slice::from_ref(&found), slots.len());
            let (expanded, pattern) = expand(&found, &bounds);
            assert_eq!((&expanded, format!("{pattern:?}").starts_with(name)), (slots, true), "{name}: {pattern:?}");
            assert!((0..slots.len()).all(|lane| found.slot(lane as u32) == slots[lane]), "{name}");
            // Beside an operand with other segments.
            for (other, more) in cases.iter().filter(|(_, more)| more.len() == slots.len()) {
                let more = Found::new(more);
                let bounds = Found::bounds(&[Found::new(slots), more], slots.len());
                assert_eq!(&expand(&found, &bounds).0, slots, "{name} beside {other}");
            }
        }
    }
}
