//! The patterns of derivative matrices: sets of inputs that are pushed forward through a graph.

use std::rc::Rc;

use super::graph::Graph;
use super::ops::{ADD, CONSTANT, DIV, INPUT, MUL, MUL_ADD, NEG, Op, OpId, Ops, PRODUCT, SQUARE, SUB, SUM};
use crate::number::BaseFloat;
use crate::sparse::{Pairs, Pattern, Set, join, join_all};

/// The set of a node; `None` if it is empty.
type Inputs = Option<Rc<Set>>;

impl<F: BaseFloat> Graph<F> {
    /// The entries of the Jacobian of all outputs with respect to the first `n` inputs that may differ from 0.
    pub(super) fn jacobian_pattern(&self, n: usize) -> Pattern {
        let sets = self.sets(n, &self.outputs, |_, _| {});
        let mut pattern = Pattern::empty(0, n);
        for &y in &self.outputs {
            pattern.push(sets[y as usize].iter().flat_map(|set| set.indices()));
        }
        pattern
    }

    /// The entries of the Hessian of the first output with respect to the first `n` inputs that may differ from 0.
    pub(super) fn hessian_pattern(&self, n: usize) -> Pattern {
        let mut ops = self.ops.clone();
        let mut pairs = Pairs::new(n);
        self.sets(n, &self.outputs[..1], |op, x| interactions(&mut ops, &mut pairs, op, x));
        pairs.into_pattern()
    }

    /// The inputs below `n` on which the outputs depend. `visit` is called with the operation and the operands' sets of
    /// each node on the way.
    fn sets(&self, n: usize, outputs: &[u32], mut visit: impl FnMut(OpId, &[Inputs])) -> Vec<Inputs> {
        // The uses that are still to come.
        let mut uses = vec![0_u32; self.nodes.len()];
        for &y in outputs {
            uses[y as usize] += 1;
        }
        for i in (0..self.nodes.len()).rev().filter(|&i| !self.is_leaf(i as u32)) {
            if uses[i] > 0 {
                self.operands(i).for_each(|a| uses[a as usize] += 1);
            }
        }
        let mut sets: Vec<Inputs> = vec![None; self.nodes.len()];
        let mut operands = Vec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            match node.op {
                _ if uses[i] == 0 => {}
                INPUT if i < n => sets[i] = Some(Set::of(i as u32)),
                INPUT | CONSTANT => {}
                op => {
                    operands.clear();
                    operands.extend(self.operands(i).take(self.differentiable(i)).map(|a| sets[a as usize].clone()));
                    visit(op, &operands);
                    for a in self.operands(i) {
                        uses[a as usize] -= 1;
                        if uses[a as usize] == 0 {
                            sets[a as usize] = None;
                        }
                    }
                    let mut parts = operands.drain(..).flatten();
                    sets[i] = if op == SUM {
                        Some(parts.collect::<Vec<_>>()).filter(|parts| !parts.is_empty()).map(|parts| join_all(&parts))
                    } else {
                        parts.next().map(|first| parts.fold(first, join))
                    };
                }
            }
        }
        sets
    }
}

/// Notes the inputs whose mixed partial an operation may make.
fn interactions<F: BaseFloat>(ops: &mut Ops<F>, pairs: &mut Pairs, op: OpId, x: &[Inputs]) {
    let mut pair = |j: usize, k: usize| {
        if let (Some(a), Some(b)) = (&x[j], &x[k]) {
            pairs.between(a, b);
        }
    };
    match op {
        SUM | ADD | SUB | NEG => {}
        MUL | PRODUCT | MUL_ADD => pair(0, 1),
        SQUARE => pair(0, 0),
        DIV => {
            pair(0, 1);
            pair(1, 1);
        }
        op => match ops.get(op) {
            Op::Unary(_, 0) if ops.is_linear(op, 0) => {}
            Op::Unary(..) => pair(0, 0),
            _ => {
                pair(0, 0);
                pair(0, 1);
                pair(1, 1);
            }
        },
    }
}
