//! Answers to the comparisons of numbers without values.

use std::collections::HashMap;

use super::step::{Source, Test};

/// A set of the orders <, = and > that two operands may stand in.
type Orders = u8;

const LESS: Orders = 1;
const EQUAL: Orders = 2;
const GREATER: Orders = 4;
const ANY: Orders = LESS | EQUAL | GREATER;

/// Answers to comparisons of numbers without values: first those prescribed, then "yes".
///
/// Numbers are taken to be generic: finite, and equal to nothing else, unless the order of the two
/// was asked for before. So a guard at a single point (`x == 0`) is passed by, while the tie of a
/// maximum is a case of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Path {
    prescribed: Vec<bool>,
    /// The free decisions taken, by their place in the list of comparisons.
    pub(super) taken: Vec<usize>,
    asked: usize,
    known: HashMap<[Source; 2], Orders>,
}

impl Path {
    /// The path that begins with these answers.
    pub(super) fn beginning(prescribed: Vec<bool>) -> Self {
        Self { prescribed, ..Self::default() }
    }

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
        // The pair in either direction has one entry, as seen from the operand named first.
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
        let answer = self.prescribed.get(self.taken.len()).copied().unwrap_or(true);
        self.taken.push(place);
        self.known.insert(key, if answer { yes } else { possible & !wanted });
        answer
    }
}

fn mirrored(orders: Orders) -> Orders {
    (orders & EQUAL) | if orders & LESS != 0 { GREATER } else { 0 } | if orders & GREATER != 0 { LESS } else { 0 }
}
