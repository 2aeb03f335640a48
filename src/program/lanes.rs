//! Groups as they are run: where the numbers of the lanes stand.

/// Where the lanes' numbers of an operand stand among the slots.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pattern {
    /// One slot for all lanes of a segment.
    Uniform,
    /// Neighbouring slots for the lanes of a segment.
    Run,
    /// Runs that begin at these lanes and slots.
    Pieces(Vec<(u32, u32)>),
    /// Slots at equal distances: the first one and the distance.
    Stride(u32, u32),
    /// Slots without order, and the number of them for each turn of a loop, if they differ from turn to turn.
    Gather(Vec<u32>, u32),
}

/// A group as it is run.
#[derive(Clone, Debug)]
pub(super) struct Group<F> {
    pub(super) lanes: usize,
    /// The slot of the first root. All operands have lower slots.
    pub(super) first: usize,
    /// The distance between the slots of different roots.
    pub(super) stride: usize,
    /// The slot of the sum that takes the results.
    pub(super) into: Option<usize>,
    pub(super) operands: Vec<Pattern>,
    /// The constants that differ from lane to lane.
    pub(super) constants: Vec<Vec<F>>,
    /// The first lane of each segment, and the number of lanes.
    pub(super) bounds: Vec<u32>,
    /// For each segment and operand, the slot of the segment's first lane.
    pub(super) slots: Vec<u32>,
    /// The codes of the first pass and of the reverse pass, where there are two.
    pub(super) codes: [Option<usize>; 2],
    pub(super) level: u32,
    pub(super) per_turn: PerTurn,
}

/// The distances by which the places of a group move from turn to turn of a loop.
#[derive(Clone, Debug, Default)]
pub(super) struct PerTurn {
    pub(super) first: usize,
    pub(super) into: usize,
    pub(super) constants: usize,
    /// Modulo 2³².
    pub(super) operands: Vec<u32>,
}

impl<F> Group<F> {
    /// The slots of all operands in a turn.
    #[inline(always)]
    pub(super) fn moved_all<'a>(&self, slots: &'a [u32], turn: usize, moved: &'a mut Vec<u32>) -> &'a [u32] {
        if turn == 0 {
            return slots;
        }
        moved.clear();
        let distances = self.per_turn.operands.iter().map(|&distance| distance.wrapping_mul(turn as u32));
        moved.extend(slots.iter().zip(distances).map(|(slot, distance)| slot.wrapping_add(distance)));
        moved
    }

    /// The distance by which the slots of an operand have moved.
    #[inline(always)]
    pub(super) fn moved(&self, operand: usize, turn: usize) -> u32 {
        if turn == 0 { 0 } else { self.per_turn.operands[operand].wrapping_mul(turn as u32) }
    }
}

/// Calls `f(i, slot, len)` for the runs that lanes `lane..lane + n` consist of; i counts from `lane`.
#[inline(always)]
pub(super) fn for_each_piece(
    pieces: &[(u32, u32)],
    lane: usize,
    n: usize,
    mut f: impl FnMut(usize, usize, usize),
    moved: u32,
) {
    let mut piece = pieces.partition_point(|&(first, _)| first as usize <= lane) - 1;
    let mut i = 0;
    while i < n {
        let (first, slot) = pieces[piece];
        let stop = pieces.get(piece + 1).map_or(n, |next| (next.0 as usize - lane).min(n));
        f(i, slot.wrapping_add(moved) as usize + lane + i - first as usize, stop - i);
        i = stop;
        piece += 1;
    }
}
