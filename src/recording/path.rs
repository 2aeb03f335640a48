//! The answers to comparisons of numbers without values.

use std::collections::HashMap;

use super::step::{Source, Test};

/// A set of possible orders (<, =, >) of two operands, one bit each.
type Orders = u8;

const LESS: Orders = 1;
const EQUAL: Orders = 2;
const GREATER: Orders = 4;
const ANY: Orders = LESS | EQUAL | GREATER;

/// A path through a function of numbers without values: the answers to its comparisons. Comparisons that earlier
/// answers leave open are free decisions: the first ones get the prescribed answers, the others get "yes".
///
/// Numbers are taken to be generic: finite, and different from all others unless an earlier comparison asked for the
/// order of the two. So a guard at a single point (`x == 0`) makes no case, while the tie of a maximum is a case of
/// its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Path {
    prescribed: Vec<bool>,
    /// The free decisions so far, as indices into the list of comparisons.
    pub(super) taken: Vec<usize>,
    /// The number of comparisons so far.
    asked: usize,
    /// The largest number of free decisions: see [`Path::beginning`].
    limit: usize,
    /// The orders that the answers so far leave possible.
    known: HashMap<[Source; 2], Orders>,
}

impl Path {
    /// The path that begins with these answers to its free decisions, and makes no more than `limit` decisions in all.
    /// A path of n decisions is one of at least n + 1 paths.
    pub(super) fn beginning(prescribed: Vec<bool>, limit: usize) -> Self {
        Self { prescribed, limit, ..Self::default() }
    }

    /// The outcome of the next comparison.
    ///
    /// # Panics
    ///
    /// If a free decision exceeds the limit: a loop that the decisions keep going would never end.
    #[track_caller]
    pub(crate) fn answer(&mut self, test: Test, [a, b]: [Source; 2]) -> bool {
        let place = self.asked;
        self.asked += 1;
        let wanted = match test {
            Test::Less => LESS,
            Test::LessEqual => LESS | EQUAL,
            Test::Greater => GREATER,
            Test::GreaterEqual => GREATER | EQUAL,
            Test::Equal => EQUAL,
            Test::IsFinite | Test::IsNormal => return true,
            Test::IsNan | Test::IsInfinite => return false,
            Test::IsSignPositive | Test::IsSignNegative => unreachable!("asked as an order against 0"),
        };
        if a == b {
            return wanted & EQUAL != 0;
        }
        // A pair has one entry for both directions, with the order of the operands from the first comparison.
        let swapped = self.known.contains_key(&[b, a]);
        let (key, wanted) = if swapped { ([b, a], mirrored(wanted)) } else { ([a, b], wanted) };
        let possible = self.known.get(&key).copied().unwrap_or(ANY);
        let yes = possible & wanted;
        if yes == 0 || yes == possible {
            return yes != 0;
        }
        if wanted == EQUAL && possible == ANY {
            return false;
        }
        assert!(
            self.taken.len() < self.limit,
            "symbolic: a single path through the function makes more than {} decisions, so the function has more paths \
             than that; a loop that ends when a number says so (`while y > 1.0`) has no end for numbers without values; \
             record it at a point with `record` and take `.formula()`, which holds on that path",
            self.limit
        );
        let answer = self.prescribed.get(self.taken.len()).copied().unwrap_or(true);
        self.taken.push(place);
        self.known.insert(key, if answer { yes } else { possible & !wanted });
        answer
    }
}

/// The orders of (b, a), from the orders of (a, b).
fn mirrored(orders: Orders) -> Orders {
    (orders & EQUAL) | if orders & LESS != 0 { GREATER } else { 0 } | if orders & GREATER != 0 { LESS } else { 0 }
}
