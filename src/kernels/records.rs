//! The sweep over scalar records.

use crate::real::Scalar;
use crate::tape::{Record, Rest, Run};

/// Sweeps a run of records backward; `records[i]` has the slot `first + i`.
///
/// A zero cotangent is skipped, and a partial of zero stays zero against an infinite cotangent.
pub(crate) fn sweep_records<F: Scalar>(records: &[Record<F>], adjoints: &mut [F], first: usize) {
    assert!(records.is_empty() || first + records.len() <= adjoints.len());
    let mut i = records.len();
    while i > 0 {
        i -= 1;
        let record = &records[i];
        let (cotangent, p, d) = (adjoints[first + i], record.parents[0], record.partials[0]);
        match record.rest() {
            // SAFETY: the parents of a record are below its slot (see `Record`), which is below the
            // number of adjoints by the assertion above. The two checks took a tenth of the sweep.
            Rest::One(q, e) if cotangent.is_active() => unsafe {
                at(adjoints, p).add_product(cotangent, d);
                at(adjoints, q).add_product(cotangent, e);
            },
            Rest::One(q, e) => add_gated(adjoints, cotangent, [(p, d), (q, e)]),
            Rest::Cells(cells) => {
                let cells = &records[i - cells..i];
                i -= cells.len();
                if cotangent.is_active() {
                    // SAFETY: as above; the slots of the cells are below the head's.
                    unsafe { at(adjoints, p).add_product(cotangent, d) };
                    for Record { parents: [p, q], partials: [d, e] } in cells {
                        unsafe {
                            at(adjoints, *p).add_product(cotangent, *d);
                            at(adjoints, *q).add_product(cotangent, *e);
                        }
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
#[inline]
fn add_gated<F: Scalar, const N: usize>(adjoints: &mut [F], cotangent: F, entries: [(u32, F); N]) {
    if !cotangent.is_null() {
        for (parent, partial) in entries {
            adjoints[parent as usize] += cotangent.gated_mul(partial);
        }
    }
}

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
