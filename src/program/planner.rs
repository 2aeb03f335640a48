//! The way from a graph to a plan.

use std::collections::HashMap;
use std::sync::Arc;

use pulp::Arch;

use super::body::{Body, Facts, Pass};
use super::code::{Code, LANES};
use super::cones::{Cones, Ref, Shape};
use super::graph::{Graph, NONE, bits};
use super::memory::Memory;
use super::ops::{ADD, CONSTANT, DIV, INPUT, MUL, NEG, PRODUCT, SUB, SUM};
use super::places::Found;
use super::plan::{Compiled, Goal, Item, Plan};
use super::scalars::{Places, Scalars};
use super::tiles::{Group, Pattern, Scratch};
use crate::number::BaseFloat;

/// The number of groups up to which tiles are always worth it.
const FEW_GROUPS: usize = 16;

/// The least number of operations that a group should have on average.
const LEAST_WORK: usize = 100;

/// A plan in the making.
pub(super) struct Planner<'g, F> {
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
    pub(super) fn new(graph: &'g Graph<F>, goal: Goal) -> Self {
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

    pub(super) fn plan(mut self) -> Plan<F> {
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

    /// True if there are many groups with little to do, as in a recurrence: each needs memory of its own, and a list of
    /// single operations is twice as fast.
    fn is_narrow(&self) -> bool {
        let work = |group: &super::cones::Group| group.lanes() * group.shape.nodes.len().max(1);
        let tiles = || self.cones.groups.iter().filter(|group| !group.is_scalar());
        let count = tiles().count();
        count > FEW_GROUPS && tiles().map(work).sum::<usize>() < LEAST_WORK * count
    }

    /// Groups for tiles, and lists of the groups that have few lanes, in the order of their levels.
    fn items(&self) -> Vec<Draft> {
        if self.is_narrow() {
            return vec![Draft::List(Vec::new())];
        }
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
        for &output in &graph.outputs {
            if self.slot[output as usize] == NONE {
                self.slot[output as usize] = next;
                next += 1;
            }
        }
        next = align(next);
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
