//! Groups of lanes: from a draft to code, and to the places of its operands.

use smallvec::SmallVec;

use super::body::{Body, Facts, Pass};
use super::bundle::{Bundle, Shape};
use super::code::{Code, lanes_of};
use super::lanes::{Group, Pattern, PerTurn};
use super::loops::{Track, Turns};
use super::places::Found;
use super::planner::Planner;
use super::table::{NONE, bits};
use crate::number::BaseFloat;

/// The operands of a group.
struct Operands {
    patterns: Vec<Pattern>,
    /// For each operand, true if its adjoint is wanted.
    wanted: Vec<bool>,
    /// The distances by which they move from turn to turn.
    moves: Vec<u32>,
    bounds: Vec<u32>,
    slots: Vec<u32>,
}

impl<F: BaseFloat> Planner<'_, F> {
    /// Compiles a group, or that of each turn of a loop.
    pub(super) fn group(&mut self, k: usize, turns: Option<&Turns>) -> Group<F> {
        let alike: Vec<usize> = turns.map_or_else(|| vec![k], |turns| turns.groups(k).collect());
        let draft = &self.cones.groups[alike[0]];
        let shape = draft.shape.clone();
        let (lanes, into) = (draft.lanes(), draft.into);
        let Operands { patterns: operands, wanted, moves, bounds, slots } = self.operands(k, &alike, turns);
        // The lanes of a turn, with room for those behind the last one.
        let padded = lanes.next_multiple_of(lanes_of::<F>());
        let (constants, shared) = self.constants(&alike, padded);
        let all = || alike.iter().map(|&k| &self.cones.groups[k]);
        let uniform: Vec<bool> = operands.iter().map(|p| *p == Pattern::Uniform).collect();
        let all_roots: Vec<u32> = if into == NONE {
            all().flat_map(|draft| draft.roots.iter().copied()).collect()
        } else {
            all().map(|draft| draft.into).collect()
        };
        let valued = !shape.roots.is_empty();
        let level = draft.level;
        let first_root = draft.roots[0];
        let reverse = valued && wanted.iter().any(|&wanted| wanted);
        // One pass where the cotangent is known beforehand and the same for all lanes.
        let known = if reverse { self.known[all_roots[0] as usize] } else { None };
        let known = known
            .filter(|&d| all_roots.iter().all(|&root| self.known[root as usize].is_some_and(|e| bits(e) == bits(d))));
        let passes: &[Pass] = match (reverse, known) {
            (false, _) => &[Pass::Forward],
            (true, Some(_)) => &[Pass::Both],
            (true, None) => &[Pass::Forward, Pass::Reverse],
        };
        let compared = all_roots.iter().any(|&root| root != NONE && self.compared[root as usize]);
        let key = draft.key.clone();
        let (last_first, last_into) = {
            let last = &self.cones.groups[alike[alike.len().min(2) - 1]];
            (last.roots[0], last.into)
        };
        let facts = Facts {
            uniform: &uniform,
            wanted: &wanted,
            constants: &shared,
            cotangents: &vec![known; shape.roots.len()],
            uniform_cotangents: into != NONE,
            compared,
        };
        let mut codes = [None; 2];
        for (code, &pass) in codes.iter_mut().zip(passes) {
            *code = Some(self.code(&shape, &key, &facts, pass, lanes));
        }
        let slot = |i: u32| self.slot[i as usize] as usize;
        // A group without slots of its own stands behind all others.
        let first = |root: u32| if into == NONE && root != NONE { slot(root) } else { self.plan.slots };
        let total = |into: u32| (into != NONE).then(|| slot(into));
        let per_turn = PerTurn {
            first: first(last_first) - first(first_root),
            into: total(last_into).unwrap_or(0).wrapping_sub(total(into).unwrap_or(0)),
            constants: padded,
            operands: moves,
        };
        let (first, into) = (first(first_root), total(into));
        Group { lanes, first, stride: 0, into, operands, constants, bounds, slots, codes, level, per_turn }
    }

    /// Where the lanes of groups, which are alike, find their operands.
    fn operands(&self, k: usize, alike: &[usize], turns: Option<&Turns>) -> Operands {
        let all = || alike.iter().map(|&k| &self.cones.groups[k]);
        let draft = &self.cones.groups[alike[0]];
        let (n, lanes) = (draft.shape.operands, draft.lanes());
        let mut found = Vec::with_capacity(n);
        let mut wanted = Vec::with_capacity(n);
        let mut moves = Vec::with_capacity(n);
        let mut slots_of = vec![0_u32; lanes];
        for i in 0..n {
            for (slot, a) in slots_of.iter_mut().zip(draft.operand(i)) {
                *slot = self.slot[a as usize];
            }
            found.push(Found::new(&slots_of));
            wanted.push(self.plan.active > 0 && all().any(|draft| draft.operand(i).any(|a| self.active[a as usize])));
            let track = |i: usize| turns.map_or(Track::Moves(0), |turns| turns.track(k, i));
            moves.push(match track(i) {
                Track::Moves(distance) if (i..n * lanes).step_by(n).all(|j| track(j) == track(i)) => Some(distance),
                _ => None,
            });
        }
        // An operand whose slots move differently is looked up, and has no segments.
        let regular = found.iter().zip(&moves).filter(|(_, distance)| distance.is_some());
        let bounds = Found::bounds(&regular.map(|(found, _)| found.clone()).collect::<Vec<_>>(), lanes);
        let pattern = |i: usize| {
            if moves[i].is_some() {
                return found[i].pattern(&bounds);
            }
            let slots = all().flat_map(|draft| draft.operand(i)).map(|a| self.slot[a as usize]);
            Pattern::Gather(slots.collect(), lanes as u32)
        };
        let patterns = (0..n).map(pattern).collect();
        let firsts = &bounds[..bounds.len() - 1];
        let slots = firsts.iter().flat_map(|&from| found.iter().map(move |found| found.slot(from))).collect();
        let moves = moves.iter().map(|distance| distance.unwrap_or(0)).collect();
        Operands { patterns, wanted, moves, bounds, slots }
    }

    /// The constants that differ, turn by turn and lane by lane, and those that do not.
    fn constants(&self, alike: &[usize], padded: usize) -> (Vec<Vec<F>>, Vec<Option<F>>) {
        let all = || alike.iter().map(|&k| &self.cones.groups[k]);
        let m = self.cones.groups[alike[0]].shape.constants;
        let mut constants = vec![Vec::new(); m];
        let mut shared = vec![None; m];
        for i in 0..m {
            let values = |draft: &Bundle| {
                draft.constant(i).filter_map(|c| self.graph.constant(c)).collect::<SmallVec<[F; 16]>>()
            };
            let first = values(&self.cones.groups[alike[0]])[0];
            if all().all(|draft| values(draft).iter().all(|&x| bits(x) == bits(first))) {
                shared[i] = Some(first);
                continue;
            }
            let list: &mut Vec<F> = &mut constants[i];
            list.reserve_exact(padded * alike.len() + lanes_of::<F>());
            for draft in all() {
                list.extend(values(draft));
                list.resize(list.len().next_multiple_of(padded), F::one());
            }
            list.resize(list.len() + lanes_of::<F>(), F::one());
        }
        (constants, shared)
    }

    /// The number of the code of a pass, which groups of one kind share.
    fn code(&mut self, shape: &Shape, key: &[u32], facts: &Facts<'_, F>, pass: Pass, lanes: usize) -> usize {
        let into = facts.uniform_cotangents;
        let padded = lanes.next_multiple_of(lanes_of::<F>());
        let mut full: Vec<u64> = vec![
            pass as u64,
            u64::from(into) | u64::from(facts.compared) << 1,
            padded.min(4096 / size_of::<F>()) as u64,
        ];
        full.extend(facts.cotangents.first().into_iter().flat_map(|&known| number_or_none(known)));
        full.extend(facts.uniform.iter().zip(facts.wanted).map(|(&u, &w)| u64::from(u) | u64::from(w) << 1));
        full.extend(facts.constants.iter().flat_map(|&c| number_or_none(c)));
        full.extend(key.iter().map(|&word| u64::from(word)));
        if let Some(&code) = self.cache.get(&full) {
            return code;
        }
        let mut body = Body::new(&mut self.plan.ops, shape, facts, pass);
        if into {
            body.split_total();
        }
        body.contract();
        body.contract_chains();
        self.plan.codes.push(Code::new(&body, facts.uniform, into, lanes));
        self.cache.insert(full, self.plan.codes.len() - 1);
        self.plan.codes.len() - 1
    }
}

/// Words for a key.
fn number_or_none<F: BaseFloat>(x: Option<F>) -> [u64; 2] {
    [u64::from(x.is_some()), x.map_or(0, bits)]
}
