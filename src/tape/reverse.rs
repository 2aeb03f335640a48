//! The sweep over scalar records.

use super::record::{self, Entries, Progression, Record};
use crate::number::Scalar;

/// Sweeps a run of records backward; `records[i]` has the slot `first + i`.
///
/// A zero cotangent is skipped, and a partial of zero stays zero against an infinite cotangent.
pub(crate) fn sweep_records<F: Scalar>(records: &[Record<F>], adjoints: &mut [F], first: usize) {
    assert!(records.is_empty() || first + records.len() <= adjoints.len());
    for (index, entries) in record::backward(records) {
        // SAFETY: a slot of these records is below the number of adjoints by the assertion above, and the
        // parents of a record are below its slot (see `Record`). See M3 in docs/MEASUREMENTS.md for what checks
        // cost.
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
                    for [(p, d), (q, e)] in cells.iter().map(Record::cell) {
                        at(adjoints, p).add_product(cotangent, d);
                        at(adjoints, q).add_product(cotangent, e);
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

/// The adjoint of a slot.
///
/// # Safety
///
/// There are more adjoints than `slot`.
#[inline(always)]
unsafe fn at<F>(adjoints: &mut [F], slot: u32) -> &mut F {
    debug_assert!((slot as usize) < adjoints.len());
    // SAFETY: the caller's promise.
    unsafe { adjoints.get_unchecked_mut(slot as usize) }
}

/// `adjoints[parent] += cotangent · partial` for each entry, 0 where a factor is 0.
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

/// `adjoints[slot] += cotangent` for each slot of a of.
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
