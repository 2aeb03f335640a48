//! The sweep over the records of a section: the inner loop of reverse mode.

use super::record::{self, Entries, Progression, Record};
use crate::number::Scalar;
use crate::number::precompiled::precompiled;

precompiled! {
    /// Sweeps consecutive records backward; `records[i]` must have the slot `first + i`.
    ///
    /// A zero cotangent adds nothing, even if a partial is infinite or NaN; a zero partial adds nothing, even if the
    /// cotangent is.
    pub(crate) fn sweep_records<F>(records: &[Record<F>], adjoints: &mut [F], first: usize) {
        assert!(records.is_empty() || first + records.len() <= adjoints.len());
        for (index, entries) in record::backward(records) {
            // SAFETY: `at` is called for the slot of a record and for parents of pairs, heads and cells. The slots of the
            // records are `first + i`, which the assertion above keeps below the number of adjoints. Every parent is below
            // the slot of its record, a cell's below that of the cell (see `Record`). See M3 in docs/MEASUREMENTS.md for
            // the cost of checks.
            unsafe {
                let cotangent = *at(adjoints, (first + index) as u32);
                match entries {
                    Entries::Pair((p, d), (q, e)) if cotangent.is_finite_nonzero() => {
                        at(adjoints, p).add_product(cotangent, d);
                        at(adjoints, q).add_product(cotangent, e);
                    }
                    Entries::Pair(a, b) => add_gated(adjoints, cotangent, [a, b]),
                    Entries::Wide((p, d), cells) if cotangent.is_finite_nonzero() => {
                        at(adjoints, p).add_product(cotangent, d);
                        for Record { parents: [p, q], partials: [d, e] } in cells {
                            at(adjoints, *p).add_product(cotangent, *d);
                            at(adjoints, *q).add_product(cotangent, *e);
                        }
                    }
                    Entries::Wide(entry, cells) => {
                        add_gated(adjoints, cotangent, [entry]);
                        for cell in cells.iter().map(Record::cell) {
                            add_gated(adjoints, cotangent, cell);
                        }
                    }
                    Entries::Sum(of) if !cotangent.is_exact_zero() => add_to_all(adjoints, of, cotangent),
                    Entries::Sum(_) => {}
                }
            }
        }
    }
}

/// The adjoint of a slot.
///
/// # Safety
///
/// `slot` is below the number of adjoints.
#[inline(always)]
unsafe fn at<F>(adjoints: &mut [F], slot: u32) -> &mut F {
    debug_assert!((slot as usize) < adjoints.len());
    // SAFETY: the caller's promise.
    unsafe { adjoints.get_unchecked_mut(slot as usize) }
}

/// Computes `adjoints[parent] += cotangent · partial` for each entry. The product is 0 if a factor is 0.
#[inline(always)]
fn add_gated<F: Scalar, const N: usize>(adjoints: &mut [F], cotangent: F, entries: [(u32, F); N]) {
    #[cold]
    #[inline(never)]
    fn add<F: Scalar>(adjoints: &mut [F], cotangent: F, (parent, partial): (u32, F)) {
        adjoints[parent as usize] += cotangent.gated_mul(partial);
    }
    if !cotangent.is_exact_zero() {
        for entry in entries {
            add(adjoints, cotangent, entry);
        }
    }
}

/// Computes `adjoints[slot] += cotangent` for each slot of a progression.
#[inline(never)]
fn add_to_all<F: Scalar>(adjoints: &mut [F], of: Progression, cotangent: F) {
    let adjoints = &mut adjoints[of.first as usize..];
    if of.stride == 1 {
        for adjoint in &mut adjoints[..of.len as usize] {
            *adjoint += cotangent;
        }
    } else {
        for adjoint in adjoints.iter_mut().step_by(of.stride as usize).take(of.len as usize) {
            *adjoint += cotangent;
        }
    }
}
