//! Directional derivatives of a graph, as a graph.

use super::graph::{Builder, Graph, Guard, Node};
use super::ops::{ADD, CONSTANT, Emit, INPUT, SUM, contribution};
use super::sums::long_sums;
use super::table::NONE;
use crate::number::BaseFloat;

impl<F: BaseFloat> Graph<F> {
    /// The graph of the directional derivatives Σ ∂yₖ/∂xᵢ·tᵢ of all outputs. Its inputs are the first `n` of this graph, a
    /// tangent for each of them, and the others. The outputs themselves are left out: with them, the parts that are
    /// alike would have several results, and fall apart.
    pub(super) fn jvp(&self, n: usize) -> Self {
        let mut b = Builder::with_ops(self.ops.clone(), self.inputs + n, 3 * self.nodes.len());
        let mut y: Vec<u32> = Vec::with_capacity(self.nodes.len());
        let mut tangent: Vec<u32> = Vec::with_capacity(self.nodes.len());
        let mut x = Vec::new();
        let mut terms = Vec::new();
        let long = long_sums(self);
        for (i, node) in self.nodes.iter().enumerate() {
            let (value, t) = match node.op {
                INPUT if i < n => (i as u32, (n + i) as u32),
                INPUT => ((n + i) as u32, NONE),
                CONSTANT => (b.constant(self.constants[node.a as usize]), NONE),
                op => {
                    x.clear();
                    x.extend(self.operands(i).map(|a| y[a as usize]));
                    let value = b.apply(op, &x);
                    terms.clear();
                    // The terms of a long sum are alike.
                    let mut in_common = None;
                    for (k, a) in self.operands(i).enumerate().take(self.differentiable(i)) {
                        let t = tangent[a as usize];
                        if t == NONE {
                            continue;
                        }
                        match b.graph.nodes[t as usize] {
                            // The tangent of a product in a sum is two products in that sum, or in a long sum two lanes,
                            // unless they would have operations in common.
                            Node { op: ADD, a: p, b: q, .. }
                                if op == SUM
                                    && !(long[i] && *in_common.get_or_insert_with(|| b.graph.have_in_common(p, q))) =>
                            {
                                terms.extend([p, q]);
                            }
                            _ => terms.push(contribution(&mut b, op, k, &x, value, t)),
                        }
                    }
                    (value, b.sum(&terms))
                }
            };
            y.push(value);
            tangent.push(t);
        }
        let mut outputs: Vec<u32> = Vec::with_capacity(self.outputs.len());
        for &k in &self.outputs {
            let t = tangent[k as usize];
            outputs.push(if t == NONE { b.constant(F::zero()) } else { t });
        }
        for g in &self.guards {
            b.guard(Guard { a: y[g.a as usize], b: y[g.b as usize], ..*g });
        }
        b.finish(outputs)
    }

    /// True if two nodes depend on an operation that is the same, as far as some hundred nodes show.
    fn have_in_common(&self, p: u32, q: u32) -> bool {
        const MOST: usize = 256;
        let mut of = [vec![p], vec![q]];
        for nodes in &mut of {
            let mut next = 0;
            while let Some(&node) = nodes.get(next)
                && nodes.len() < MOST
            {
                next += 1;
                for a in self.operands(node as usize) {
                    if !self.is_leaf(a) && !nodes.contains(&a) {
                        nodes.push(a);
                    }
                }
            }
        }
        of[0].iter().any(|node| of[1].contains(node))
    }
}
