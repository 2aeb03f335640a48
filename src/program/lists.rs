//! Lists of single operations: the cones of groups that have few lanes, one after the other.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::body::{Body, Facts, Pass};
use super::bundle::{Bundle, Ref, Shape};
use super::loops::{Track, Turns};
use super::planner::Planner;
use super::scalars::{Class, Operand, Places, Scalars};
use super::table::{NONE, bits};
use crate::number::BaseFloat;

impl<F: BaseFloat> Planner<'_, F> {
    /// The operations of groups with few lanes, or those of each turn of a loop.
    pub(super) fn list(&mut self, groups: &[usize], turns: Option<&Turns>, next: &mut u32) -> Scalars<F> {
        let graph = self.graph;
        let mut shape = Shape::default();
        let mut classes = Classes::default();
        let mut place: HashMap<(u32, u32), Ref> = HashMap::new();
        let (mut operands, mut constants) = (Vec::new(), Vec::new());
        let (mut sources, mut roots) = (Vec::new(), Vec::new());
        let (mut varying, mut numbers) = (Vec::new(), Vec::new());
        let mut locals = Vec::new();
        let own = classes.get(turns.map_or(0, |turns| turns.distance)).expect("the first class");
        let single = turns.map(|_| classes.get(1).expect("the second class"));
        let first = turns.map_or(0, |turns| turns.first * turns.period.groups);
        for &k in groups {
            let group = &self.cones.groups[k + first];
            let alike = || turns.into_iter().flat_map(|turns| turns.groups(k)).map(|k| &self.cones.groups[k]);
            let (n, m) = (group.shape.operands, group.shape.constants);
            for (lane, &root) in group.roots.iter().enumerate() {
                // The cone's operands and constants as those of the list.
                let operand_refs: SmallVec<[Ref; 8]> = (lane * n..(lane + 1) * n)
                    .map(|i| {
                        let a = group.operands[i];
                        let track = turns.map_or(Track::Moves(0), |turns| turns.track(k, i));
                        let class = if let Track::Moves(distance) = track { classes.get(distance) } else { None };
                        let mut new = |operand| {
                            operands.push(operand);
                            sources.push(self.source(alike().chain([group]).map(|group| group.operands[i])));
                            Ref::Operand(operands.len() as u32 - 1)
                        };
                        if let Some(class) = class {
                            let at = Class::place(class, self.slot[a as usize]);
                            return *place.entry((a, class)).or_insert_with(|| new(Operand::At(at)));
                        }
                        let slots = alike().map(|group| self.slot[group.operands[i] as usize]);
                        new(Operand::Listed(slots.collect()))
                    })
                    .collect();
                let constant_refs: SmallVec<[Ref; 8]> = (lane * m..(lane + 1) * m)
                    .map(|i| {
                        let value = |group: &Bundle| graph.constant(group.constants[i]);
                        let number = value(group);
                        let same = alike().all(|group| value(group).map(bits) == number.map(bits));
                        constants.push(number.filter(|_| same));
                        varying.push(if same {
                            NONE
                        } else {
                            // One number a turn, in the order of the turns.
                            let from = *next;
                            for x in alike().filter_map(value) {
                                numbers.push((*next, x));
                                *next += 1;
                            }
                            Class::place(single.expect("constants differ in loops alone"), from)
                        });
                        Ref::Constant(constants.len() as u32 - 1)
                    })
                    .collect();
                locals.clear();
                let refer = |r: Ref, locals: &[u32]| match r {
                    Ref::Local(i) => Ref::Local(locals[i as usize]),
                    Ref::Operand(k) => operand_refs[k as usize],
                    Ref::Constant(k) => constant_refs[k as usize],
                };
                for (i, &(op, _, len)) in group.shape.nodes.iter().enumerate() {
                    let from = shape.refs.len() as u32;
                    shape.refs.extend(group.shape.refs(i).iter().map(|&r| refer(r, &locals)));
                    locals.push(shape.nodes.len() as u32);
                    shape.nodes.push((op, from, len));
                }
                for &(test, pair, outcome) in &group.shape.guards {
                    shape.guards.push((test, pair.map(|r| refer(r, &locals)), outcome));
                }
                if root != NONE {
                    let last = Ref::Local(shape.nodes.len() as u32 - 1);
                    place.insert((root, own), last);
                    shape.roots.push(last);
                    roots.push(Class::place(own, self.slot[root as usize]));
                }
            }
        }
        (shape.operands, shape.constants) = (operands.len(), constants.len());
        let step = turns.map_or(1, |turns| turns.period.groups);
        let compared = groups.iter().any(|&k| {
            let all = (k..self.cones.groups.len()).step_by(step).take(turns.map_or(1, |turns| turns.period.turns));
            all.flat_map(|k| &self.cones.groups[k].roots).any(|&root| root != NONE && self.compared[root as usize])
        });
        let list = List {
            shape: &shape,
            constants: &constants,
            varying: &varying,
            operands: &operands,
            sources: &sources,
            roots: &roots,
            // Others may need any root.
            cotangents: &vec![None; roots.len()],
            compared,
            turns: turns.map(|turns| turns.period.turns - turns.first),
        };
        let mut scalars = self.compile_list(&list, classes, next);
        scalars.numbers.extend(numbers);
        scalars
    }

    /// The operations of a function that is one list. The graph is taken as a whole, as for [`Batch`](super::batch::Batch),
    /// so that both compute the same bits.
    pub(super) fn whole(&mut self, next: &mut u32) -> Scalars<F> {
        let (shape, constants) = Shape::whole(self.graph);
        let inputs: Vec<u32> = (0..self.graph.inputs as u32).collect();
        let list = List {
            shape: &shape,
            constants: &constants,
            varying: &[],
            operands: &inputs.iter().map(|&a| Operand::At(self.slot[a as usize])).collect::<Vec<_>>(),
            sources: &inputs.iter().map(|&a| self.source([a].into_iter())).collect::<Vec<_>>(),
            roots: &self.graph.outputs.iter().map(|&y| self.slot[y as usize]).collect::<Vec<_>>(),
            cotangents: &[Some(F::one())],
            compared: false,
            turns: None,
        };
        self.compile_list(&list, Classes::default(), next)
    }

    /// The facts about an operand, from its nodes in all turns.
    fn source(&self, nodes: impl Iterator<Item = u32>) -> Source {
        let mut source = Source { is_active: false, is_data: true };
        for a in nodes {
            source.is_active |= self.active[a as usize];
            source.is_data &= self.graph.is_leaf(a) && !self.active[a as usize];
        }
        source
    }

    fn compile_list(&mut self, list: &List<'_, F>, classes: Classes, next: &mut u32) -> Scalars<F> {
        let reverse = self.plan.active > 0;
        let facts = Facts {
            // As for lanes that are points, so that the same products are fused with additions.
            uniform: &list.sources.iter().map(|source| reverse && source.is_data).collect::<Vec<_>>(),
            wanted: &list.sources.iter().map(|source| reverse && source.is_active).collect::<Vec<_>>(),
            constants: list.constants,
            cotangents: list.cotangents,
            uniform_cotangents: false,
            compared: list.compared,
        };
        let pass = if reverse { Pass::Both } else { Pass::Forward };
        let mut body = Body::new(&mut self.plan.ops, list.shape, &facts, pass);
        body.contract();
        let mut places = Places {
            operands: list.operands,
            constants: list.varying,
            roots: list.roots,
            adjoints: self.plan.slots as u32,
            next: *next,
            alone: list.cotangents.len() == 1 && list.cotangents[0].is_some(),
            classes: classes.list,
            turns: list.turns,
        };
        let scalars = Scalars::new(&body, &mut places);
        *next = places.next;
        scalars
    }
}

/// The parts of a list of single operations.
struct List<'a, F> {
    shape: &'a Shape,
    constants: &'a [Option<F>],
    /// The places of the constants that differ from turn to turn.
    varying: &'a [u32],
    operands: &'a [Operand],
    sources: &'a [Source],
    roots: &'a [u32],
    cotangents: &'a [Option<F>],
    compared: bool,
    turns: Option<usize>,
}

/// Where an operand comes from.
#[derive(Clone, Copy)]
struct Source {
    /// True if it depends on an active input, in one turn at least.
    is_active: bool,
    /// True if it is a constant or an input without adjoint, in all turns.
    is_data: bool,
}

/// The distances by which operands move from turn to turn.
#[derive(Default)]
struct Classes {
    list: SmallVec<[Class; 4]>,
}

impl Classes {
    /// The class of a distance, if there is room for it.
    fn get(&mut self, distance: u32) -> Option<u32> {
        if self.list.is_empty() {
            self.list.push(Class { start: 0, distance: 0 });
        }
        if let Some(class) = self.list.iter().position(|class| class.distance == distance) {
            return Some(class as u32);
        }
        // The last one is for what the reverse pass needs.
        (self.list.len() + 1 < Class::MOST).then(|| {
            self.list.push(Class { start: 0, distance });
            self.list.len() as u32 - 1
        })
    }
}
