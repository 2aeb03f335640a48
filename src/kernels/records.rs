//! The sweep over scalar records.

use crate::real::Scalar;
use crate::tape::{Record, Rest, Run};

/// Sweeps a run of records backward; `records[i]` has the slot `first + i`.
///
/// A zero cotangent is skipped, and a partial of zero stays zero against an infinite cotangent.
pub(crate) fn sweep_records<F: Scalar>(records: &[Record<F>], adjoints: &mut [F], first: usize) {
    assert!(records.is_empty() || first + records.len() <= adjoints.len());
    let mut left = records;
    while let Some((record, before)) = left.split_last() {
        left = before;
        let slot = first + before.len();
        let ([p, _], [d, _]) = (record.parents, record.partials);
        // SAFETY: a slot of these records is below the number of adjoints by the assertion above, the
        // parents of a record are below its slot (see `Record`), and the cells of a wide one stand
        // before it. (Checked, an ordinary record takes 28 instructions, not 25.)
        unsafe {
            let cotangent = *at(adjoints, slot as u32);
            match record.rest() {
                Rest::One(q, e) if cotangent.is_active() => {
                    at(adjoints, p).add_product(cotangent, d);
                    at(adjoints, q).add_product(cotangent, e);
                }
                Rest::One(q, e) => add_gated(adjoints, cotangent, [(p, d), (q, e)]),
                Rest::Cells(count) => {
                    let cells;
                    (left, cells) = before.split_at(before.len() - count);
                    if cotangent.is_active() {
                        at(adjoints, p).add_product(cotangent, d);
                        for Record { parents: [p, q], partials: [d, e] } in cells {
                            at(adjoints, *p).add_product(cotangent, *d);
                            at(adjoints, *q).add_product(cotangent, *e);
                        }
                    } else {
                        add_gated(adjoints, cotangent, [(p, d)]);
                        for Record { parents: [p, q], partials: [d, e] } in cells {
                            add_gated(adjoints, cotangent, [(*p, *d), (*q, *e)]);
                        }
                    }
                }
                Rest::Sum(run) if !cotangent.is_null() => add_to_run(adjoints, run, cotangent),
                Rest::Sum(_) => {}
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
    if !cotangent.is_null() {
        for entry in entries {
            add(adjoints, cotangent, entry);
        }
    }
}

/// `adjoints[slot] += cotangent` for each slot of a run.
#[inline(never)]
fn add_to_run<F: Scalar>(adjoints: &mut [F], run: Run, cotangent: F) {
    let adjoints = &mut adjoints[run.first as usize..];
    if run.stride == 1 {
        for adjoint in &mut adjoints[..run.len as usize] {
            *adjoint += cotangent;
        }
    } else {
        for adjoint in adjoints.iter_mut().step_by(run.stride as usize).take(run.len as usize) {
            *adjoint += cotangent;
        }
    }
}
