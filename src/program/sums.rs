//! The choice of the sums that are taken over lanes.

use std::collections::HashMap;

use super::bundle::{FEW, FEW_HEAVY, HEAVY};
use super::graph::Graph;
use super::ops::SUM;
use super::table::mix;
use crate::number::BaseFloat;

/// The longest sum that stays within a cone where few sums are alike.
const LONG: usize = 100;

/// The longest sum that stays within a cone at all.
pub(super) const LONGEST: usize = 4096;

/// The sums that are taken over lanes: very long ones, and those whose terms are more than a product. Sums of which
/// there are many alike stay within cones.
pub(super) fn long_sums<F: BaseFloat>(graph: &Graph<F>) -> Vec<bool> {
    let n = graph.nodes.len();
    let mut long = vec![false; n];
    if !graph.nodes.iter().any(|node| node.op == SUM) {
        return long;
    }
    let mut uses = vec![0_u32; n];
    for i in 0..n {
        graph.operands(i).for_each(|a| uses[a as usize] += 1);
    }
    // The operations of each node's tree.
    let mut size = vec![0_u32; n];
    let mut shape = vec![0_u64; n];
    let mut alike: HashMap<u64, usize> = HashMap::new();
    for i in (0..n).filter(|&i| !graph.is_leaf(i as u32)) {
        let (mut total, mut hash) = (1_u32, mix(9, u64::from(graph.nodes[i].op)));
        for a in graph.operands(i) {
            hash = mix(hash, shape[a as usize]);
            if uses[a as usize] == 1 {
                total = total.saturating_add(size[a as usize]);
            }
        }
        (size[i], shape[i]) = (total, hash);
        if graph.nodes[i].op == SUM {
            *alike.entry(hash).or_default() += 1;
        }
    }
    for i in (0..n).filter(|&i| graph.nodes[i].op == SUM) {
        let terms = graph.operands(i).count();
        let operations = size[i] as usize - 1;
        let heavy = terms >= FEW && operations > 3 * terms || terms >= FEW_HEAVY && operations > HEAVY * terms;
        long[i] = terms > LONGEST || alike[&shape[i]] < FEW && (terms > LONG || heavy);
    }
    long
}
