//! Sparsity patterns, by sets of inputs ("index domains") that are pushed forward through a recording.
//!
//! The set of a record is the union of its parents' sets (A. Griewank and A. Walther, Evaluating Derivatives, 2nd ed.,
//! section 7.1).

use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::derivatives::linearization::Linearization;
use crate::number::{Dual, Scalar};
use crate::sparse::{Pairs, Pattern, Set, join, join_all};
use crate::tape::{Entries, Op, Record, SEEDS, Section, Tape, forward, sections};

/// A scalar operation of a recording.
#[derive(Clone, Copy)]
struct RecordNode<'a, F> {
    slot: usize,
    entries: Entries<'a, F>,
}

impl<'a, F: Scalar> RecordNode<'a, F> {
    /// The slots of all parents but the sink.
    fn parents(self) -> impl Iterator<Item = usize> + 'a {
        self.entries.terms().map(|(slot, _)| slot as usize)
    }
}

/// The scalar operations of a recording in order. Cells come as operations of their own too; no other operation has
/// them as parents.
fn nodes<'a, F: Scalar>(
    records: &'a [Record<F>],
    ops: &'a [Op<F>],
) -> impl DoubleEndedIterator<Item = RecordNode<'a, F>> {
    let of_section = |section: Section<'a, F>| {
        forward(section.records).map(move |(i, entries)| RecordNode { slot: section.first + i, entries })
    };
    sections(records, ops).flat_map(of_section)
}

/// A fingerprint of the dependencies of a recording. Recordings with equal fingerprints are taken to have one pattern.
pub(super) fn structure<F: Scalar>(tape: &Tape<F>, outputs: impl IntoIterator<Item = u32>) -> u64 {
    let mut hash = 0_u64;
    let mut add = |word: u64| {
        hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    };
    tape.with_records(|records, ops| {
        for op in ops {
            add(op.records as u64);
            add(op.first as u64);
            add(op.len as u64);
            add(u64::from(op.pullback.is_some()));
        }
        for (_, entries) in forward(records) {
            match entries {
                Entries::Pair((p, _), (q, _)) => add(u64::from(p) << 32 | u64::from(q)),
                Entries::Wide((p, _), cells) => {
                    add(u64::from(p));
                    add(cells.len() as u64);
                }
                Entries::Sum(of) => {
                    add(u64::from(of.first) << 32 | u64::from(of.len));
                    add(u64::from(of.stride));
                }
            }
        }
    });
    for slot in outputs {
        add(u64::from(slot));
    }
    hash
}

/// An operation that is not scalar, on which an output depends. Its pattern is unknown.
#[derive(Debug)]
pub(super) struct Opaque {
    operation: &'static str,
    location: &'static Location<'static>,
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an output depends on an operation of which the tape knows only a pullback (`{}` at {}), so the pattern is \
             unknown; write the function on scalars, or take the dense derivative",
            self.operation, self.location
        )
    }
}

/// The sets of a recording's slots.
struct Domains {
    /// The number of uses of each slot, on the way to an output, that are still to come.
    uses: Vec<u32>,
    /// The set of each slot, or `None` for the empty set and for a set that is not needed any more.
    sets: Vec<Option<Rc<Set>>>,
}

impl Domains {
    /// The sets of the inputs.
    fn new<F: Scalar>(recording: &Linearization<F>) -> Result<Self, Opaque> {
        let slots = recording.tape().slots();
        let mut uses = vec![0; slots];
        for (slot, _) in recording.places() {
            uses[*slot as usize] += 1;
        }
        let opaque = recording.tape().with_records(|records, ops| {
            for node in nodes(records, ops).rev() {
                if uses[node.slot] > 0 {
                    node.parents().for_each(|p| uses[p] += 1);
                }
            }
            let is_used = |op: &&Op<F>| uses[op.first..op.first + op.len].iter().any(|u| *u > 0);
            let info = ops.iter().filter(|op| op.pullback.is_some()).find(is_used)?.describe()?;
            Some(Opaque { operation: info.kind.name, location: info.location })
        });
        let mut sets = vec![None; slots];
        for (j, slot) in recording.input_slots().enumerate() {
            sets[slot as usize] = Some(Set::of(j as u32));
        }
        opaque.map_or(Ok(Self { uses, sets }), Err)
    }

    /// The set of a slot; `None` if it is empty.
    fn get(&self, slot: u32) -> Option<&Rc<Set>> {
        self.sets[slot as usize].as_ref()
    }

    /// Takes the set of a slot for one of its uses.
    fn take(&mut self, slot: usize) -> Option<Rc<Set>> {
        self.uses[slot] -= 1;
        if self.uses[slot] == 0 { self.sets[slot].take() } else { self.sets[slot].clone() }
    }

    /// Makes the union of the parents' sets the set of the node.
    fn push<F: Scalar>(&mut self, node: RecordNode<'_, F>) {
        let mut parts: SmallVec<[Rc<Set>; 2]> = SmallVec::new();
        for set in node.parents().filter_map(|p| self.take(p)) {
            if !parts.last().is_some_and(|last| Rc::ptr_eq(last, &set)) {
                parts.push(set);
            }
        }
        self.sets[node.slot] = if parts.len() > 2 { Some(join_all(&parts)) } else { parts.into_iter().reduce(join) };
    }

    /// Computes the sets of all nodes in use, and calls `visit` for each before the sets of its parents are used up.
    fn run<F: Scalar>(&mut self, recording: &Linearization<F>, mut visit: impl FnMut(&Self, RecordNode<'_, F>)) {
        recording.tape().with_records(|records, ops| {
            for node in nodes(records, ops) {
                if self.uses[node.slot] > 0 {
                    visit(self, node);
                    self.push(node);
                }
            }
        });
    }
}

/// The pattern of the Jacobian.
pub(super) fn jacobian<F: Scalar>(recording: &Linearization<F>) -> Result<Pattern, Opaque> {
    let mut domains = Domains::new(recording)?;
    domains.run(recording, |_, _| {});
    let mut pattern = Pattern::empty(0, recording.inputs());
    for (slot, _) in recording.places() {
        let set = domains.get(*slot);
        pattern.push(set.iter().flat_map(|set| set.indices()));
    }
    Ok(pattern)
}

/// The pattern of the Hessian from a recording with random tangents.
///
/// A record means dz = Σ vₖ dsₖ. The tangents of a partial vₖ show on which slots it depends, and so with which slots
/// sₖ interacts:
///
/// - with none, if they are zero;
/// - with itself, if they are parallel to the tangents of sₖ (a pending weight in a long sum);
/// - with its partner in the record, if they are parallel to the partner's (a product, a dot product);
/// - with both, if they are in the plane of the two;
/// - else with itself and every other such slot of the record.
///
/// Inputs of interacting slots may interact. Numbers smaller than ε^(2/3) times the largest of a partial's tangents
/// count as zero.
pub(super) fn hessian<F: Scalar>(
    recording: &Linearization<Dual<F, SEEDS>>,
    x: &[Dual<F, SEEDS>],
) -> Result<Pattern, Opaque> {
    let mut domains = Domains::new(recording)?;
    let mut tangents = vec![[F::zero(); SEEDS]; recording.tape().slots()];
    for (slot, x) in recording.input_slots().zip(x) {
        tangents[slot as usize] = x.tangents();
    }
    let mut pairs = Pairs::new(recording.inputs());
    domains.run(recording, |domains, node| {
        let mut sum = [F::zero(); SEEDS];
        let mut others = SmallVec::<[Rc<Set>; 2]>::new();
        for pair in node.entries.pairs() {
            let (slots, partials) = (pair.map(|(slot, _)| slot), pair.map(|(_, partial)| partial));
            let [s, t] = slots.map(|slot| tangents[slot as usize]);
            let [a, b] = slots.map(|slot| domains.get(slot));
            for (partial, own, partner, (a, b)) in [(partials[0], &s, &t, (a, b)), (partials[1], &t, &s, (b, a))] {
                let Some(a) = a else { continue };
                let v = partial.tangents();
                for (sum, own) in sum.iter_mut().zip(own) {
                    *sum += partial.primal() * *own;
                }
                if v.iter().all(|v| v.is_exact_zero()) {
                    continue;
                }
                let finite = v.iter().all(|v| v.is_finite());
                if finite && in_span(&v, own, None) {
                    pairs.within(a);
                } else if let Some(b) = b.filter(|_| finite && in_span(&v, partner, None)) {
                    pairs.between(a, b);
                } else if !matches!(node.entries, Entries::Wide(..)) || !finite || in_span(&v, own, Some(partner)) {
                    pairs.within(a);
                    if let Some(b) = b {
                        pairs.between(a, b);
                    }
                } else {
                    others.push(Rc::clone(a));
                }
            }
        }
        pairs.within(&join_all(&others));
        tangents[node.slot] = sum;
    });
    for (slot, weight) in recording.places() {
        if let Some(set) = domains.get(*slot).filter(|_| weight.tangents().iter().any(|t| !t.is_exact_zero())) {
            pairs.within(set);
        }
    }
    Ok(pairs.into_pattern())
}

/// True if `v` is a multiple of `s`, or a linear combination of `s` and `t`, up to rounding.
fn in_span<F: Scalar>(v: &[F; SEEDS], s: &[F; SEEDS], t: Option<&[F; SEEDS]>) -> bool {
    let dot = |a: &[F; SEEDS], b: &[F; SEEDS]| a.iter().zip(b).fold(F::zero(), |sum, (a, b)| sum + *a * *b);
    // b without its component along a.
    let across = |a: &[F; SEEDS], b: &[F; SEEDS]| -> [F; SEEDS] {
        let share = dot(a, b) / dot(a, a);
        if dot(a, a).is_exact_zero() { *b } else { std::array::from_fn(|i| b[i] - share * a[i]) }
    };
    let size = |a: &[F; SEEDS]| a.iter().fold(F::zero(), |m, a| m.max(a.abs()));
    let rest = match t {
        None => across(s, v),
        Some(t) => across(&across(s, t), &across(s, v)),
    };
    size(&rest) <= F::epsilon().powf(F::lit(2.0 / 3.0)) * size(v)
}
