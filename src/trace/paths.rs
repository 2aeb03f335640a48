//! Every path through a function whose comparisons have no values to decide them.

use std::collections::HashMap;

use super::recorded::{Recorded, Recorder};
use super::recording::{Comparison, Operand, Recording, Test};

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
    taken: Vec<usize>,
    asked: usize,
    known: HashMap<[Operand; 2], Orders>,
}

impl Path {
    pub(crate) fn answer(&mut self, test: Test, [a, b]: [Operand; 2]) -> bool {
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

/// What each path of a function records, as a tree of its decisions.
pub(crate) enum Paths {
    End(Recording),
    /// The recording up to the comparison is that of either side.
    Fork(Box<(Recording, Comparison, Paths, Paths)>),
}

/// More paths than were allowed.
pub(crate) struct TooManyPaths;

/// Runs `f` along every path; it makes its inputs on the recorder that it is given.
pub(crate) fn explore(limit: usize, f: impl for<'r> Fn(&'r Recorder) -> Recorded<'r>) -> Result<Paths, TooManyPaths> {
    explore_from(&f, Vec::new(), &mut { limit })
}

fn explore_from(
    f: &impl for<'r> Fn(&'r Recorder) -> Recorded<'r>,
    prescribed: Vec<bool>,
    budget: &mut usize,
) -> Result<Paths, TooManyPaths> {
    let decisions = prescribed.len();
    let recorder = Recorder::along(Path { prescribed: prescribed.clone(), ..Path::default() });
    recorder.output(f(&recorder));
    let (recording, path) = recorder.finish_path();
    let Some(&place) = path.taken.get(decisions) else {
        *budget = budget.checked_sub(1).ok_or(TooManyPaths)?;
        return Ok(Paths::End(recording));
    };
    let side = |answer: bool| [prescribed.as_slice(), &[answer]].concat();
    let yes = explore_from(f, side(true), budget)?;
    let no = explore_from(f, side(false), budget)?;
    let comparison = recording.comparisons[place];
    Ok(Paths::Fork(Box::new((recording, comparison, yes, no))))
}
