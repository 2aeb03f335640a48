//! Loops: where the operands of a turn stand in the turns that follow.

use super::bundle::Bundle;
use super::periods::Period;
use super::table::NONE;

/// The first turns that may stand apart because their operands come from elsewhere.
const MOST_APART: usize = 3;

/// For each node of the graph, the group and the lane that compute it, or [`NONE`].
pub(super) struct Roots(Vec<[u32; 2]>);

impl Roots {
    pub(super) fn new(nodes: usize, groups: &[Bundle]) -> Self {
        let mut places = vec![[NONE; 2]; nodes];
        for (group, k) in groups.iter().zip(0..).filter(|(group, _)| group.into == NONE) {
            for (&root, lane) in group.roots.iter().zip(0..).filter(|&(&root, _)| root != NONE) {
                places[root as usize] = [k, lane];
            }
        }
        Self(places)
    }

    /// True if a loop itself computes one of the nodes.
    pub(super) fn computed_by(&self, period: Period, nodes: &[u32]) -> bool {
        let own = period.first..period.first + period.groups * period.turns;
        nodes.iter().any(|&a| self.0.get(a as usize).is_some_and(|&[k, _]| own.contains(&(k as usize))))
    }

    /// For each group of a turn, the number of the turn's first groups with which it must not share a list: within a
    /// list, an operand either is the same result in all turns, or never a result of its own turn. Results pass through
    /// memory only between lists.
    pub(super) fn apart(&self, period: Period, groups: &[Bundle]) -> Vec<usize> {
        let of_turn = |j: usize| {
            let mut apart = 0;
            for i in 0..groups[period.first + j].operands.len() {
                // The group and the lane, if the turn itself computes the operand.
                let own = |turn: usize| {
                    let node = groups[period.first + turn * period.groups + j].operands[i];
                    let [k, lane] = self.0[node as usize];
                    let group = (k as usize).checked_sub(period.first + turn * period.groups)?;
                    (group < period.groups).then_some((group, lane))
                };
                let last = own(period.turns - 1);
                let same = (0..period.turns).rev().take_while(|&turn| own(turn) == last).count();
                // Turns whose results come from elsewhere may stand before the loop.
                let odd = period.turns - same;
                if odd > if last.is_some() { MOST_APART } else { 0 } {
                    let all = (0..period.turns).filter_map(own).map(|(group, _)| group + 1);
                    apart = all.fold(apart, usize::max);
                }
            }
            apart
        };
        (0..period.groups).map(of_turn).collect()
    }
}

/// The slots of one operand, turn by turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Track {
    /// By this distance from turn to turn, modulo 2³².
    Moves(u32),
    Irregular,
}

/// The turns of a loop.
pub(super) struct Turns {
    pub(super) period: Period,
    /// The first turn of the loop; those before stand apart.
    pub(super) first: usize,
    /// The distance between what one turn computes and the next.
    pub(super) distance: u32,
    /// For each group of a turn, the tracks of its operands.
    tracks: Vec<Vec<Track>>,
}

impl Turns {
    /// `None` if the sums that take results do not move by one distance.
    pub(super) fn new(period: Period, groups: &[Bundle], slot: &[u32]) -> Option<Self> {
        let of = |j: usize, turn: usize| &groups[period.first + turn * period.groups + j];
        let mut first = 0;
        let mut tracks = Vec::with_capacity(period.groups);
        for j in 0..period.groups {
            let operand = |i: usize, turn: usize| slot[of(j, turn).operands[i] as usize];
            let track = |i: usize| {
                let distance = |turn: usize| operand(i, turn + 1).wrapping_sub(operand(i, turn));
                let last = distance(period.turns - 2);
                let regular = (0..period.turns - 1).rev().take_while(|&turn| distance(turn) == last).count();
                let apart = period.turns - 1 - regular;
                if apart > MOST_APART {
                    return Track::Irregular;
                }
                first = first.max(apart);
                Track::Moves(last)
            };
            tracks.push((0..of(j, 0).operands.len()).map(track).collect());
        }
        let own = |turn: usize| {
            let roots = (0..period.groups).map(|j| of(j, turn)).filter(|group| group.into == NONE);
            roots.flat_map(|group| &group.roots).find(|&&root| root != NONE).map(|&root| slot[root as usize])
        };
        let distance = own(1).zip(own(0)).map_or(0, |(second, first)| second - first);
        let regular = (0..period.groups).filter(|&j| of(j, 0).into != NONE).all(|j| {
            let into = |turn: usize| slot[of(j, turn).into as usize];
            (first + 1..period.turns)
                .all(|turn| into(turn).wrapping_sub(into(turn - 1)) == into(first + 1).wrapping_sub(into(first)))
        });
        regular.then_some(Self { period, first, distance, tracks })
    }

    /// The groups that stand at the place of group `k` of the first turn, in the turns of the loop.
    pub(super) fn groups(&self, k: usize) -> impl Iterator<Item = usize> + '_ {
        (self.first..self.period.turns).map(move |turn| k + turn * self.period.groups)
    }

    /// The track of an operand of group `k` of the first turn.
    pub(super) fn track(&self, k: usize, operand: usize) -> Track {
        self.tracks[k - self.period.first][operand]
    }
}
