//! Sets of inputs ("index domains"), which are pushed forward through the operations of a function, and the pairs of
//! inputs that interact.
//!
//! Sets are shared: a union that adds nothing to one of its parts is that part, and a set that is not needed later is
//! extended in place. So a long sum takes time proportional to its length, and memory is that of the sets still needed.

use std::cell::Cell;
use std::rc::Rc;

use smallvec::SmallVec;

use super::matrix::{Pattern, sort_runs};

/// A set of inputs: their indices, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    items: SmallVec<[u32; 8]>,
    /// True if all pairs of these inputs are in the pattern of the Hessian already.
    paired: Cell<bool>,
}

impl Set {
    /// The set of one input.
    pub(crate) fn of(input: u32) -> Rc<Self> {
        Self::new(SmallVec::from_slice(&[input]))
    }

    fn new(items: SmallVec<[u32; 8]>) -> Rc<Self> {
        Rc::new(Self { items, paired: Cell::new(false) })
    }

    /// The inputs, ascending.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.items.iter().map(|&j| j as usize)
    }
}

/// The union of two sets: the larger one, extended in place if it is not shared.
pub(crate) fn join(a: Rc<Set>, b: Rc<Set>) -> Rc<Set> {
    let (mut large, small) = if a.items.len() < b.items.len() { (b, a) } else { (a, b) };
    let new: SmallVec<[u32; 8]> =
        small.items.iter().copied().filter(|item| large.items.binary_search(item).is_err()).collect();
    let Some(least) = new.first() else { return large };
    let set = Rc::make_mut(&mut large);
    set.paired.set(false);
    let items = &mut set.items;
    if items.last().is_none_or(|last| last < least) {
        items.extend_from_slice(&new);
    } else if new.len() <= FEW {
        for item in new {
            items.insert(items.partition_point(|i| *i < item), item);
        }
    } else {
        items.extend_from_slice(&new);
        sort_runs(items);
    }
    large
}

/// Up to this number, items are inserted one by one faster than merged: see M24 in docs/MEASUREMENTS.md.
const FEW: usize = 16;

/// The union of any number of sets.
pub(crate) fn join_all(parts: &[Rc<Set>]) -> Rc<Set> {
    let mut items: SmallVec<[u32; 8]> = parts.iter().flat_map(|set| set.items.iter().copied()).collect();
    sort_runs(&mut items);
    items.dedup();
    let same = parts.iter().find(|set| set.items.len() == items.len());
    same.map_or_else(|| Set::new(items), Rc::clone)
}

/// Pairs of inputs that may interact.
pub(crate) struct Pairs {
    rows: Vec<Vec<u32>>,
    /// The last set whose inputs were paired: terms of one sum often have the same inputs.
    last: Option<Rc<Set>>,
}

impl Pairs {
    /// No pairs of `n` inputs.
    pub(crate) fn new(n: usize) -> Self {
        Self { rows: vec![Vec::new(); n], last: None }
    }

    /// Adds all pairs of a set's inputs.
    pub(crate) fn within(&mut self, set: &Rc<Set>) {
        let again = || self.last.as_ref().is_some_and(|last| last.items == set.items);
        if !set.paired.replace(true) && !again() {
            self.last = Some(Rc::clone(set));
            set.items.iter().for_each(|i| self.extend(*i, &set.items));
        }
    }

    /// Adds all pairs of an input in `a` and one in `b`.
    pub(crate) fn between(&mut self, a: &Rc<Set>, b: &Rc<Set>) {
        if Rc::ptr_eq(a, b) {
            return self.within(a);
        }
        a.items.iter().for_each(|i| self.extend(*i, &b.items));
        b.items.iter().for_each(|j| self.extend(*j, &a.items));
    }

    /// Adds the pairs of an input with others to its row.
    fn extend(&mut self, i: u32, with: &[u32]) {
        let row = &mut self.rows[i as usize];
        if row.len() + with.len() > row.capacity() {
            // Repeated pairs are removed before the memory grows.
            row.sort_unstable();
            row.dedup();
            row.reserve(row.len().max(with.len()));
        }
        row.extend_from_slice(with);
    }

    /// The symmetric pattern of these pairs.
    pub(crate) fn into_pattern(self) -> Pattern {
        let mut pattern = Pattern::empty(0, self.rows.len());
        for mut row in self.rows {
            row.sort_unstable();
            row.dedup();
            pattern.push(row.iter().map(|j| *j as usize));
        }
        pattern
    }
}
