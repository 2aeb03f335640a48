//! Cones: the parts of a graph that are alike, as the lanes of groups.
//!
//! A node belongs to the cone of the node that alone needs it, its *owner*; a node that several cones need, an output
//! and a term of a long sum own themselves and are the *root* of a cone. Cones of the same shape whose operands are
//! ready at the same level become the lanes of one group.

use std::collections::HashMap;

use super::bundle::{Bundle, Ref, Shape};
use super::graph::Graph;
use super::ops::{CONSTANT, INPUT, OpId};
use super::periods::{self, LEAST_LOOPS, Period};
use super::sums::{LONGEST, long_sums};
use super::table::{NONE, Table, mix};
use crate::number::BaseFloat;
use crate::recording::Test;

/// The longest cone of few lanes. The longest one at all has [`LONGEST`] operations.
const LONG_CHAIN: usize = 256;

/// In place of an owner: several.
const MANY: u32 = NONE - 1;

/// The groups of a graph, by level.
pub(super) struct Cones {
    pub(super) groups: Vec<Bundle>,
    /// For each node, true if it is a sum over the lanes of groups.
    pub(super) long: Vec<bool>,
    /// The groups that come again and again.
    pub(super) periods: Vec<Period>,
}

impl Cones {
    pub(super) fn new<F: BaseFloat>(graph: &Graph<F>) -> Self {
        let long = long_sums(graph);
        let mut rough = Rough {
            graph,
            long: &long,
            apart: vec![Apart::No; graph.nodes.len()],
            shared: vec![false; graph.nodes.len()],
        };
        let mut part = rough.partition();
        // A cone that is a whole chain of steps holds no two steps that could be alike.
        let endless =
            |group: &Bundle| group.shape.nodes.len() > if group.has_few_lanes() { LONG_CHAIN } else { LONGEST };
        let looped = graph.nodes.len() >= LEAST_LOOPS;
        for pass in [Apart::AtShared, Apart::Wholly].into_iter().filter(|_| looped) {
            rough.take_apart(&mut part, pass, endless);
        }
        let mut periods = part.periods();
        periods.retain(|_| looped);
        let all: usize = part.groups.iter().map(Bundle::work).sum();
        if 2 * periods.iter().map(|period| period.work(&part.groups)).sum::<usize>() < all {
            // Cones with few lanes are taken apart, first at values of several uses, then wholly.
            let few = |group: &Bundle| {
                group.has_few_lanes() && (group.shape.nodes.len() > 1 || group.into != NONE && group.roots[0] != NONE)
            };
            for pass in [Apart::AtShared, Apart::Wholly, Apart::Wholly] {
                rough.take_apart(&mut part, pass, few);
            }
            periods = part.periods();
        }
        Self { groups: part.groups, long, periods }
    }
}

/// Whether nodes of a cone own themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Apart {
    No,
    AtShared,
    Wholly,
}

/// The choices that decide a partition.
struct Rough<'a, F> {
    graph: &'a Graph<F>,
    long: &'a [bool],
    apart: Vec<Apart>,
    /// The terms of long sums that are no lanes of the sum's groups.
    shared: Vec<bool>,
}

struct Partition {
    owner: Vec<u32>,
    groups: Vec<Bundle>,
}

impl Partition {
    /// Brings the groups in the order of their levels, and finds those that come again and again.
    fn periods(&mut self) -> Vec<Period> {
        self.groups.sort_by_key(|group| (group.level, group.is_scalar()));
        periods::find(&mut self.groups)
    }
}

/// A guard as a passenger of a node: the place of the guard, and the other operand.
type Rider = (usize, u32);

impl<F: BaseFloat> Rough<'_, F> {
    /// Takes the cones of some groups apart.
    fn take_apart(&mut self, part: &mut Partition, pass: Apart, chosen: impl Fn(&Bundle) -> bool) {
        let mut weak = vec![false; self.graph.nodes.len()];
        let mut any = false;
        for group in part.groups.iter().filter(|group| chosen(group)) {
            any = true;
            for &root in group.roots.iter().filter(|&&root| root != NONE) {
                weak[root as usize] = true;
                if group.into != NONE {
                    self.shared[root as usize] = true;
                }
            }
        }
        if !any {
            return;
        }
        for (i, &owner) in part.owner.iter().enumerate() {
            if owner < MANY && weak[owner as usize] {
                self.apart[i] = pass;
            }
        }
        *part = self.partition();
    }

    /// The operand on whose cone a guard rides, and the other one: the later operand, which the other cannot depend
    /// on. `None` if it is an input, a constant or a long sum.
    fn seat(&self, place: usize) -> Option<(u32, u32)> {
        let guard = self.graph.guards[place];
        let (top, other) = match (self.graph.is_leaf(guard.a), self.graph.is_leaf(guard.b)) {
            (true, true) => return None,
            (true, false) => (guard.b, guard.a),
            (false, true) => (guard.a, guard.b),
            _ => (guard.a.max(guard.b), guard.a.min(guard.b)),
        };
        (!self.long[top as usize]).then_some((top, other))
    }

    fn partition(&self) -> Partition {
        let graph = self.graph;
        let n = graph.nodes.len();
        let mut owner = vec![NONE; n];
        let mut private = vec![NONE; n]; // the long sum that alone uses a root
        let mut multiple = vec![false; n];
        graph.outputs.iter().for_each(|&y| owner[y as usize] = MANY);
        let mut riders: HashMap<u32, Vec<Rider>> = HashMap::new();
        let mut loose = Vec::new();
        if !graph.guards.is_empty() {
            let mut used = vec![false; n];
            for i in 0..n {
                graph.operands(i).for_each(|a| used[a as usize] = true);
            }
            for (place, guard) in graph.guards.iter().enumerate() {
                if let Some((top, other)) = self.seat(place) {
                    if !used[top as usize] {
                        owner[top as usize] = MANY;
                    }
                    riders.entry(top).or_default().push((place, other));
                } else {
                    owner[guard.a as usize] = MANY;
                    owner[guard.b as usize] = MANY;
                    loose.push(place);
                }
            }
        }
        for i in (0..n).rev() {
            if graph.is_leaf(i as u32) || owner[i] == NONE {
                continue;
            }
            let apart = self.apart[i] == Apart::Wholly || self.apart[i] == Apart::AtShared && multiple[i];
            if owner[i] == MANY || apart || self.long[i] {
                owner[i] = i as u32;
            }
            let mine = owner[i];
            let mut use_by = |a: u32, sum: bool| {
                let a = a as usize;
                multiple[a] |= owner[a] != NONE;
                if sum {
                    // A sum over lanes is no lane itself.
                    let own = owner[a] == NONE && !self.shared[a] && !self.long[a];
                    private[a] = if own { i as u32 } else { MANY };
                    owner[a] = MANY;
                } else {
                    private[a] = MANY;
                    owner[a] = if owner[a] == NONE || owner[a] == mine { mine } else { MANY };
                }
            };
            graph.operands(i).for_each(|a| use_by(a, self.long[i]));
            if let Some(riders) = riders.get(&(i as u32)) {
                for &(_, other) in riders {
                    use_by(other, false);
                }
            }
        }
        let groups = self.groups(&owner, &private, &riders, &loose);
        Partition { owner, groups }
    }

    fn groups(
        &self,
        owner: &[u32],
        private: &[u32],
        riders: &HashMap<u32, Vec<Rider>>,
        loose: &[usize],
    ) -> Vec<Bundle> {
        let graph = self.graph;
        let n = graph.nodes.len();
        let inner = |i: usize| !graph.is_leaf(i as u32) && owner[i] != NONE;
        // The members of each cone, in order.
        let mut first = vec![0_u32; n + 1];
        for i in (0..n).filter(|&i| inner(i)) {
            first[owner[i] as usize + 1] += 1;
        }
        for i in 0..n {
            first[i + 1] += first[i];
        }
        let mut next = first.clone();
        let mut members = vec![0_u32; first[n] as usize];
        for i in (0..n).filter(|&i| inner(i)) {
            let place = &mut next[owner[i] as usize];
            members[*place as usize] = i as u32;
            *place += 1;
        }
        drop(next);
        let mut level = vec![0_u32; n];
        let mut list = GroupList::default();
        let mut cone = Cone::new(n);
        for root in (0..n).filter(|&i| inner(i) && owner[i] == i as u32) {
            if self.long[root] {
                let terms = || graph.operands(root).filter(|&a| graph.nodes[a as usize].op != CONSTANT);
                let depth = terms().map(|a| level[a as usize]).max().unwrap_or(0);
                for a in terms().filter(|&a| graph.nodes[a as usize].op == INPUT || private[a as usize] != root as u32)
                {
                    list.add(&[], depth + 1, root as u32, NONE, &[a], &[], || Shape {
                        operands: 1,
                        roots: vec![Ref::Operand(0)],
                        ..Shape::default()
                    });
                }
                level[root] = depth + 2;
                continue;
            }
            let members = &members[first[root] as usize..first[root + 1] as usize];
            let depth = cone.describe(graph, root as u32, members, owner, riders, &level) + 1;
            level[root] = depth;
            let into = if private[root] < MANY { private[root] } else { NONE };
            list.add(&cone.key, depth, into, root as u32, &cone.operands, &cone.constants, || cone.shape());
        }
        // Guards that compare inputs or long sums, which no cone takes along.
        for &guard in loose {
            let depth = cone.describe_guard(graph, guard, &level) + 1;
            list.add(&cone.key, depth, NONE, NONE, &cone.operands, &cone.constants, || cone.shape());
        }
        list.groups
    }
}

#[derive(Default)]
struct GroupList {
    groups: Vec<Bundle>,
    table: Option<Table>,
}

impl GroupList {
    #[allow(clippy::too_many_arguments)]
    fn add(
        &mut self,
        key: &[u32],
        level: u32,
        into: u32,
        root: u32,
        operands: &[u32],
        constants: &[u32],
        shape: impl FnOnce() -> Shape,
    ) {
        let mut alike = mix(u64::from(into != NONE), key.len() as u64);
        for &word in key {
            alike = mix(alike, u64::from(word));
        }
        // Terms that a sum alone takes wait for its last one.
        let own = if into == NONE { level } else { 0 };
        let hash = mix(mix(alike, u64::from(own)), u64::from(into));
        let groups = &self.groups;
        let table = self.table.get_or_insert_with(|| Table::new(64));
        let found = table.find(hash, |i| {
            let group = &groups[i as usize];
            group.hash == hash && group.into == into && (into != NONE || group.level == level) && group.key == key
        });
        let place = found.unwrap_or_else(|place| {
            self.groups.push(Bundle {
                level,
                into,
                roots: Vec::new(),
                operands: Vec::new(),
                constants: Vec::new(),
                shape: shape(),
                key: key.to_vec(),
                alike,
                hash,
            });
            let i = self.groups.len() as u32 - 1;
            table.insert(place, hash, i);
            i
        });
        let group = &mut self.groups[place as usize];
        group.level = group.level.max(level);
        group.roots.push(root);
        group.operands.extend_from_slice(operands);
        group.constants.extend_from_slice(constants);
    }
}

/// The description of one cone.
struct Cone {
    /// The shape in words: an operation, its number of operands, the operands; guards likewise.
    key: Vec<u32>,
    operands: Vec<u32>,
    constants: Vec<u32>,
    /// For each node the root of the cone that saw it last, and what the node was there.
    seen: Vec<(u32, u32)>,
}

const LOCAL: u32 = 0;
const OPERAND: u32 = 1 << 30;
const NUMBER: u32 = 2 << 30;
const GUARD: u32 = 3 << 30;

impl Cone {
    fn new(n: usize) -> Self {
        Self { key: Vec::new(), operands: Vec::new(), constants: Vec::new(), seen: vec![(NONE, 0); n] }
    }

    /// Describes the cone with these members and returns the highest level of its operands.
    fn describe<F: BaseFloat>(
        &mut self,
        graph: &Graph<F>,
        root: u32,
        members: &[u32],
        owner: &[u32],
        riders: &HashMap<u32, Vec<Rider>>,
        level: &[u32],
    ) -> u32 {
        let Self { key, operands, constants, seen } = self;
        key.clear();
        operands.clear();
        constants.clear();
        let mut depth = 0;
        let mut refer = |key: &mut Vec<u32>, seen: &mut [(u32, u32)], a: u32| {
            let node = graph.nodes[a as usize];
            if node.op == CONSTANT {
                key.push(NUMBER | constants.len() as u32);
                constants.push(a);
                return;
            }
            let place = &mut seen[a as usize];
            if place.0 != root {
                debug_assert!(node.op == INPUT || owner[a as usize] != root, "a node precedes its operand");
                *place = (root, OPERAND | operands.len() as u32);
                operands.push(a);
                depth = depth.max(level[a as usize]);
            }
            key.push(place.1);
        };
        for (place, &i) in members.iter().enumerate() {
            seen[i as usize] = (root, LOCAL | place as u32);
            key.push(u32::from(graph.nodes[i as usize].op));
            let head = key.len();
            key.push(0);
            graph.operands(i as usize).for_each(|a| refer(key, seen, a));
            key[head] = (key.len() - head - 1) as u32;
            // Most graphs have no guards; then nothing is looked up.
            if riders.is_empty() {
                continue;
            }
            for &(guard, _) in riders.get(&i).into_iter().flatten() {
                let guard = graph.guards[guard];
                key.push(GUARD | (guard.test as u32) << 1 | u32::from(guard.outcome));
                refer(key, seen, guard.a);
                refer(key, seen, guard.b);
            }
        }
        depth
    }

    /// Describes a guard that is alone and returns the highest level of its operands.
    fn describe_guard<F: BaseFloat>(&mut self, graph: &Graph<F>, guard: usize, level: &[u32]) -> u32 {
        let Self { key, operands, constants, .. } = self;
        let guard = graph.guards[guard];
        key.clear();
        operands.clear();
        constants.clear();
        key.push(GUARD | (guard.test as u32) << 1 | u32::from(guard.outcome));
        for a in [guard.a, guard.b] {
            let (list, kind) =
                if graph.constant(a).is_some() { (&mut *constants, NUMBER) } else { (&mut *operands, OPERAND) };
            key.push(kind | list.len() as u32);
            list.push(a);
        }
        operands.iter().map(|&a| level[a as usize]).max().unwrap_or(0)
    }

    /// The shape that the key describes.
    fn shape(&self) -> Shape {
        let mut shape = Shape { operands: self.operands.len(), constants: self.constants.len(), ..Shape::default() };
        let decode = |word: u32| match word & GUARD {
            LOCAL => Ref::Local(word),
            OPERAND => Ref::Operand(word & !GUARD),
            _ => Ref::Constant(word & !GUARD),
        };
        let mut words = self.key.iter().copied();
        while let Some(word) = words.next() {
            if word & GUARD == GUARD {
                let test = Test::ALL[(word & !GUARD) as usize >> 1];
                let mut operand = || decode(words.next().expect("a guard has two operands"));
                let pair = [operand(), operand()];
                shape.guards.push((test, pair, word & 1 == 1));
                continue;
            }
            let len = words.next().expect("an operation has a number of operands");
            shape.nodes.push((word as OpId, shape.refs.len() as u32, len));
            shape.refs.extend(words.by_ref().take(len as usize).map(decode));
        }
        if let Some(last) = shape.nodes.len().checked_sub(1) {
            shape.roots.push(Ref::Local(last as u32));
        }
        shape
    }
}
