//! The sweep over scalar records.

use crate::real::Scalar;
use crate::tape::{Record, WIDE};

/// Sweeps a run of records backward; `records[i]` has the slot `first + i`.
///
/// A zero cotangent is skipped, and a partial of zero stays zero against an infinite cotangent.
pub(crate) fn sweep_records<F: Scalar>(records: &[Record<F>], adjoints: &mut [F], first: usize) {
    assert!(records.is_empty() || first + records.len() <= adjoints.len());
    let mut i = records.len();
    while i > 0 {
        i -= 1;
        let record = &records[i];
        let cotangent = adjoints[first + i];
        let [p, q] = record.parents;
        if cotangent.is_active() && q & WIDE == 0 {
            let [d, e] = record.partials;
            adjoints[p as usize].add_product(cotangent, d);
            adjoints[q as usize].add_product(cotangent, e);
        } else if q & WIDE != 0 {
            let cells = &records[i - (q & !WIDE) as usize..i];
            i -= cells.len();
            if cotangent.is_active() {
                adjoints[p as usize].add_product(cotangent, record.partials[0]);
                for Record { parents: [p, q], partials: [d, e] } in cells {
                    adjoints[*p as usize].add_product(cotangent, *d);
                    adjoints[*q as usize].add_product(cotangent, *e);
                }
            } else if !cotangent.is_null() {
                add(adjoints, p, cotangent, record.partials[0]);
                for Record { parents: [p, q], partials: [d, e] } in cells {
                    add(adjoints, *p, cotangent, *d);
                    add(adjoints, *q, cotangent, *e);
                }
            }
        } else if !cotangent.is_null() {
            add(adjoints, p, cotangent, record.partials[0]);
            add(adjoints, q, cotangent, record.partials[1]);
        }
    }
}

/// `adjoints[parent] += cotangent · partial`, 0 where a factor is 0.
#[inline(always)]
fn add<F: Scalar>(adjoints: &mut [F], parent: u32, cotangent: F, partial: F) {
    adjoints[parent as usize] += cotangent.gated_mul(partial);
}
