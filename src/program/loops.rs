//! Loops: where the operands of a turn stand in the turns that follow.

use super::cones::Group;
use super::graph::NONE;
use super::periods::Period;

/// The first turns that may stand apart because their operands come from elsewhere.
const MOST_APART: usize = 3;

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
    pub(super) fn new(period: Period, groups: &[Group], slot: &[u32]) -> Option<Self> {
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
