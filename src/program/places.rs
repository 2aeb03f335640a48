//! The places of operands among the slots: which lanes read neighbouring slots, and where segments begin.

use super::bundle::FEW;
use super::lanes::Pattern;

/// A piece shorter than this is copied rather than made a tile of its own.
const SHORT: usize = 32;

/// The slots of an operand, lane by lane, as runs.
#[derive(Clone)]
pub(super) struct Found {
    /// First lane, slot, step.
    runs: Vec<(u32, u32, i64)>,
    lanes: usize,
}

impl Found {
    pub(super) fn new(slots: &[u32]) -> Self {
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
    pub(super) fn bounds(operands: &[Self], lanes: usize) -> Vec<u32> {
        let breaks = operands.iter().filter(|p| p.has_segments()).flat_map(|p| p.runs.iter().map(|run| run.0));
        let mut bounds: Vec<u32> = breaks.collect();
        bounds.push(0);
        bounds.sort_unstable();
        bounds.dedup();
        bounds.push(lanes as u32);
        bounds
    }

    pub(super) fn pattern(&self, bounds: &[u32]) -> Pattern {
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
        let mut slots = Vec::with_capacity(self.lanes);
        for (k, &(_, slot, step)) in self.runs.iter().enumerate() {
            slots.extend((0..self.len(k) as i64).map(|i| (i64::from(slot) + i * step) as u32));
        }
        Pattern::Gather(slots, 0)
    }

    /// The slot of a lane.
    pub(super) fn slot(&self, lane: u32) -> u32 {
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
                    Pattern::Gather(slots, _) => slots[lane as usize],
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
