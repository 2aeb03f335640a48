//! Groups that come again and again, level after level: the steps of a recurrence.

use std::collections::HashMap;

use super::bundle::Bundle;
use super::table::mix;

/// The operations from which loops are looked for.
pub(super) const LEAST_LOOPS: usize = 4_000;

/// The least number of turns of a loop.
const LEAST_TURNS: usize = 8;

/// The candidates for the length of a turn that are tried at a level.
const TRIES: usize = 64;

/// Neighbouring groups whose shapes repeat themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    /// The first group.
    pub(super) first: usize,
    /// The groups of a turn.
    pub(super) groups: usize,
    pub(super) turns: usize,
}

impl Period {
    /// The number of operations.
    pub(super) fn work(&self, groups: &[Bundle]) -> usize {
        groups[self.first..][..self.groups * self.turns].iter().map(Bundle::work).sum()
    }
}

/// Finds the levels that repeat themselves. The groups come by level; equal levels get the same order.
pub(super) fn find(groups: &mut [Bundle]) -> Vec<Period> {
    let mut starts: Vec<usize> = Vec::new();
    let mut signs: Vec<u64> = Vec::new();
    let mut level = None;
    for (k, group) in groups.iter().enumerate() {
        if level != Some(group.level) {
            level = Some(group.level);
            starts.push(k);
            signs.push(0);
        }
        let sign = signs.last_mut().expect("a level");
        *sign = sign.wrapping_add(mix(group.alike, group.lanes() as u64));
    }
    starts.push(groups.len());
    let mut periods = Vec::new();
    for (first, length, turns) in repetitions(&signs) {
        let range = starts[first]..starts[first + length * turns];
        groups[range.clone()].sort_by_key(|group| (group.level, group.alike, group.lanes()));
        let per_turn = range.len() / turns;
        let same = |a: &Bundle, b: &Bundle| a.alike == b.alike && a.lanes() == b.lanes() && a.key == b.key;
        // Different groups may share a signature.
        let turn = |t: usize| &groups[range.start + t * per_turn..][..per_turn];
        let alike = |t: &usize| turn(*t).iter().zip(turn(0)).all(|(a, b)| same(a, b));
        let turns = (0..turns).take_while(alike).count();
        if turns >= LEAST_TURNS {
            periods.push(Period { first: range.start, groups: per_turn, turns });
        }
    }
    periods
}

/// The parts of a sequence that repeat themselves: the first place, the length of a turn, the number of turns.
fn repetitions(signs: &[u64]) -> Vec<(usize, usize, usize)> {
    let n = signs.len();
    let mut found = Vec::new();
    if n < LEAST_TURNS {
        return found;
    }
    let mut places: HashMap<u64, Vec<u32>> = HashMap::new();
    for (i, &sign) in signs.iter().enumerate() {
        places.entry(sign).or_default().push(i as u32);
    }
    let mut from = 0;
    while from < n {
        let list = &places[&signs[from]];
        let next = list.partition_point(|&i| i as usize <= from);
        let mut best = (0, 0);
        for &i in list[next..].iter().take(TRIES) {
            let length = i as usize - from;
            let same = (from..n - length).take_while(|&i| signs[i] == signs[i + length]).count();
            let turns = (same + length) / length;
            if turns >= LEAST_TURNS && turns * length > best.0 * best.1 + length {
                best = (length, turns);
                // A longer turn could not cover much more.
                if 4 * length * turns >= 3 * (n - from) {
                    break;
                }
            }
        }
        let (length, turns) = best;
        if turns > 0 {
            found.push((from, length, turns));
            from += length * turns;
        } else {
            from += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::repetitions;

    #[test]
    fn the_longest_repetition_counts() {
        let text = |text: &str| text.bytes().map(u64::from).collect::<Vec<_>>();
        assert_eq!(repetitions(&text("xyz")), []);
        assert_eq!(repetitions(&text("aaaaaaaaaa")), [(0, 1, 10)]);
        assert_eq!(repetitions(&text("pqabababababababababxabab")), [(2, 2, 9)]);
        let nested = "aaaaaaaaab".repeat(9);
        assert_eq!(repetitions(&text(&nested)), [(0, 10, 9)]);
        let two = format!("{}-{}", "abc".repeat(8), "ba".repeat(20));
        assert_eq!(repetitions(&text(&two)), [(0, 3, 8), (25, 2, 20)]);
    }
}
