//! The replay of a graph, operation by operation, with the conventions of the tape: the reference for plans, and the
//! run that keeps the order and the roundings of the recording.

use super::graph::Graph;
use super::ops::{ADD, CONSTANT, INPUT, MUL, MUL_ADD, NEG, Op, PRODUCT, SUB, SUM, eval};
use crate::number::BaseFloat;

/// The memory of a replay.
#[derive(Clone, Debug, Default)]
pub(super) struct Replay<F> {
    values: Vec<F>,
    adjoints: Vec<F>,
    /// The operands of one operation.
    operands: Vec<F>,
}

impl<F: BaseFloat> Replay<F> {
    /// Computes all values. An error is the number of the first guard whose comparison comes out otherwise.
    pub(super) fn forward(&mut self, graph: &Graph<F>, inputs: &[&[F]]) -> Result<(), usize> {
        let Self { values, operands: x, .. } = self;
        values.clear();
        values.extend(inputs.iter().copied().flatten());
        for (i, node) in graph.nodes.iter().enumerate().skip(graph.inputs) {
            values.push(match node.op {
                CONSTANT => graph.constants[node.a as usize],
                INPUT => unreachable!("inputs come first"),
                op => {
                    x.clear();
                    x.extend(graph.operands(i).map(|a| values[a as usize]));
                    if op == SUM { x[1..].iter().fold(x[0], |sum, &x| sum + x) } else { eval(graph.ops.get(op), x) }
                }
            });
        }
        let differs = |g: &super::graph::Guard| g.test.holds(values[g.a as usize], values[g.b as usize]) != g.outcome;
        graph.guards.iter().position(differs).map_or(Ok(()), Err)
    }

    pub(super) fn output(&self, graph: &Graph<F>, k: usize) -> F {
        self.values[graph.outputs[k] as usize]
    }

    /// The gradient of the first output after [`forward`](Self::forward).
    pub(super) fn reverse(&mut self, graph: &Graph<F>, gradient: &mut [F]) {
        let Self { values, adjoints, operands: x } = self;
        adjoints.clear();
        adjoints.resize(graph.nodes.len(), F::zero());
        adjoints[graph.outputs[0] as usize] = F::one();
        for i in (graph.inputs..graph.nodes.len()).rev() {
            let d = adjoints[i];
            let node = graph.nodes[i];
            // A zero cotangent stays zero, whatever the partials are.
            if node.op == CONSTANT || d == F::zero() {
                continue;
            }
            x.clear();
            x.extend(graph.operands(i).map(|a| values[a as usize]));
            for (k, a) in graph.operands(i).enumerate().take(graph.differentiable(i)) {
                if graph.nodes[a as usize].op == CONSTANT {
                    continue;
                }
                let partial = match (node.op, k) {
                    (SUM | ADD, _) | (SUB, 0) | (MUL_ADD, 2) => F::one(),
                    (SUB | NEG, _) => -F::one(),
                    (MUL | MUL_ADD | PRODUCT, _) => x[1 - k],
                    (op, _) => partial(graph.ops.get(op), k, x, values[i]),
                };
                // Nor does a zero partial take up an infinite cotangent.
                adjoints[a as usize] += d.gated_mul(partial);
            }
        }
        gradient.copy_from_slice(&adjoints[..gradient.len()]);
    }
}

/// The partial of a row with respect to operand `k`.
fn partial<F: BaseFloat>(op: Op<F>, k: usize, x: &[F], y: F) -> F {
    let mut operands: smallvec::SmallVec<[F; 4]> = x.into();
    let of = match op {
        Op::Unary(row, 0) => Op::Unary(row, 1),
        Op::Unary(row, _) => Op::Unary(row, 2),
        Op::Binary(row, [i, j]) => Op::Binary(row, if k == 0 { [i + 1, j] } else { [i, j + 1] }),
        other => unreachable!("{other:?} is no row"),
    };
    if matches!(op, Op::Unary(_, 0) | Op::Binary(_, [0, 0])) {
        operands.push(y);
    }
    eval(of, &operands)
}
