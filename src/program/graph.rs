//! Graphs: the operations of a function without repetitions, as a list in which operands precede their uses.

use std::panic::Location;

use super::ops::{ADD, CONSTANT, DIV, Emit, INPUT, MUL, NEG, Op, OpId, Ops, PRODUCT, SQUARE, SUB, SUM, op_of};
use super::table::{NONE, Table, bits, mix};
use crate::number::BaseFloat;
use crate::recording::{Recording, Source, Step, Test};

/// The shortest chain of additions that becomes a [`SUM`].
const CHAIN: usize = 5;

/// An operation and its operands.
///
/// | operation | a | b |
/// |---|---|---|
/// | input, constant | its number | 0 |
/// | one or two operands | the first | the second, or 0 |
/// | more operands | the place of the first in the graph's `lists` | their number |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) op: OpId,
    /// The number of operands, [`MANY`] if they are in a list.
    arity: u16,
    pub(super) a: u32,
    pub(super) b: u32,
}

const MANY: u16 = 3;

/// A comparison that must come out as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) test: Test,
    pub(super) a: u32,
    pub(super) b: u32,
    pub(super) outcome: bool,
    pub(super) line: &'static Location<'static>,
}

/// A function as a graph.
#[derive(Clone, Debug)]
pub(super) struct Graph<F> {
    pub(super) ops: Ops<F>,
    /// The first nodes are the inputs, in order.
    pub(super) nodes: Vec<Node>,
    pub(super) constants: Vec<F>,
    pub(super) lists: Vec<u32>,
    pub(super) outputs: Vec<u32>,
    pub(super) guards: Vec<Guard>,
    pub(super) inputs: usize,
}

impl<F: BaseFloat> Graph<F> {
    /// The graph of a recording. `None` if it has too many different rows.
    pub(super) fn new(recording: &Recording<F>) -> Option<Self> {
        let mut b = Builder::new(recording.input_count(), recording.steps.len() + recording.constants.len());
        let mut place: Vec<u32> = Vec::with_capacity(recording.steps.len());
        let mut constants = vec![NONE; recording.constants.len()];
        let mut last: Option<(Op<F>, OpId)> = None;
        let mut value = |b: &mut Builder<F>, place: &[u32], x: Source| match x {
            Source::Step(i) => place[i as usize],
            Source::Constant(i) => {
                let slot = &mut constants[i as usize];
                if *slot == NONE {
                    // A recording lists each constant once.
                    *slot = b.new_constant(recording.constants[i as usize]);
                }
                *slot
            }
        };
        for step in recording.steps.iter() {
            if let Step::Input(i) = step {
                place.push(i);
                continue;
            }
            let op = op_of(step);
            let id = match last {
                Some((known, id)) if known == op => id,
                _ if b.graph.ops.is_full() => return None,
                _ => b.graph.ops.id(op),
            };
            last = Some((op, id));
            let mut operands = [0; 3];
            let list = step.operands();
            for (to, &from) in operands.iter_mut().zip(list) {
                *to = value(&mut b, &place, from);
            }
            place.push(b.apply(id, &operands[..list.len()]));
        }
        let outputs = recording.outputs.iter().map(|&y| value(&mut b, &place, y)).collect();
        for c in &recording.comparisons {
            let [p, q] = c.operands.map(|x| value(&mut b, &place, x));
            b.guard(Guard { test: c.test, a: p, b: q, outcome: c.outcome, line: c.line });
        }
        Some(b.finish(outputs))
    }

    /// The graph of Σ wₖ·yₖ over all outputs, where the weights w are inputs behind those of this graph.
    pub(super) fn weighted(&self) -> Self {
        let mut b = Builder::with_ops(self.ops.clone(), self.inputs + self.outputs.len(), self.nodes.len());
        let y = b.copy(self);
        let mut terms = Vec::with_capacity(y.len());
        for (k, &place) in self.outputs.iter().enumerate() {
            terms.push(b.apply(MUL, &[(self.inputs + k) as u32, y[place as usize]]));
        }
        let total = match b.sum(&terms) {
            NONE => b.constant(F::zero()),
            total => total,
        };
        for g in &self.guards {
            b.guard(Guard { a: y[g.a as usize], b: y[g.b as usize], ..*g });
        }
        b.finish(vec![total])
    }

    /// A node in terms of the inputs, which have the names x0, x1, ... Below some operations there are dots.
    pub(super) fn text(&self, i: u32, depth: usize) -> String {
        let node = self.nodes[i as usize];
        match node.op {
            INPUT => return format!("x{}", node.a),
            CONSTANT => return self.constants[node.a as usize].to_string(),
            _ if depth == 0 => return "…".to_owned(),
            _ => {}
        }
        let mut x: Vec<String> = self.operands(i as usize).take(3).map(|a| self.text(a, depth - 1)).collect();
        if self.operands(i as usize).nth(3).is_some() {
            x.push("…".to_owned());
        }
        let within = |x: &String| if x.contains(' ') { format!("({x})") } else { x.clone() };
        let infix = |sign: &str| format!("{} {sign} {}", within(&x[0]), within(&x[1]));
        match (node.op, self.ops.get(node.op)) {
            (SUM, _) => x.join(" + "),
            (ADD, _) => infix("+"),
            (SUB, _) => infix("-"),
            (MUL | PRODUCT, _) => infix("*"),
            (DIV, _) => infix("/"),
            (NEG, _) => format!("-{}", within(&x[0])),
            (SQUARE, _) => format!("{}^2", within(&x[0])),
            (_, Op::Unary(row, _)) => {
                let x: Vec<String> = x.into_iter().take(1).chain(row.parameters()).collect();
                format!("{}({})", row.name(), x.join(", "))
            }
            (_, Op::Binary(row, _)) => format!("{}({})", row.name(), x[..2].join(", ")),
            _ => format!("mul_add({})", x.join(", ")),
        }
    }

    /// The operands of a node.
    #[inline]
    pub(super) fn operands(&self, i: usize) -> impl Iterator<Item = u32> + '_ {
        let node = self.nodes[i];
        let (list, own) = match node.arity {
            MANY => (&self.lists[node.a as usize..][..node.b as usize], 0),
            own => (&[][..], own),
        };
        [node.a, node.b].into_iter().take(own as usize).chain(list.iter().copied())
    }

    pub(super) fn is_leaf(&self, i: u32) -> bool {
        matches!(self.nodes[i as usize].op, INPUT | CONSTANT)
    }

    pub(super) fn constant(&self, i: u32) -> Option<F> {
        let node = self.nodes[i as usize];
        (node.op == CONSTANT).then(|| self.constants[node.a as usize])
    }

    /// The number of operands, from the first, that the value of a node depends on: a partial also has the function's
    /// value among its operands, which depends on the others.
    pub(super) fn differentiable(&self, i: usize) -> usize {
        differentiable(&self.ops, self.nodes[i].op)
    }
}

/// The number of operands, from the first, that have a partial.
pub(super) fn differentiable<F: BaseFloat>(ops: &Ops<F>, op: OpId) -> usize {
    match ops.get(op) {
        Op::Unary(..) => 1,
        Op::Binary(..) => 2,
        _ => usize::MAX,
    }
}

/// A graph that is being built. Equal operations on equal operands are one node; operations on constants are computed.
pub(super) struct Builder<F> {
    pub(super) graph: Graph<F>,
    /// For each node, the first operation on it. Such an operation is new without a search, and is found from its operand;
    /// all others are in the table.
    first_use: Vec<u32>,
    table: Table,
}

impl<F: BaseFloat> Builder<F> {
    fn new(inputs: usize, size: usize) -> Self {
        Self::with_ops(Ops::new(), inputs, size)
    }

    pub(super) fn with_ops(ops: Ops<F>, inputs: usize, size: usize) -> Self {
        let mut nodes = Vec::with_capacity(inputs + size);
        nodes.extend((0..inputs as u32).map(|a| Node { op: INPUT, arity: 0, a, b: 0 }));
        let graph = Graph {
            ops,
            nodes,
            constants: Vec::new(),
            lists: Vec::new(),
            outputs: Vec::new(),
            guards: Vec::new(),
            inputs,
        };
        Self { graph, first_use: vec![NONE; inputs], table: Table::new(size / 4) }
    }

    /// The nodes of another graph, whose inputs are the first ones of this graph.
    fn copy(&mut self, other: &Graph<F>) -> Vec<u32> {
        let mut place: Vec<u32> = Vec::with_capacity(other.nodes.len());
        for (i, node) in other.nodes.iter().enumerate() {
            place.push(match node.op {
                INPUT => node.a,
                CONSTANT => self.constant(other.constants[node.a as usize]),
                op => {
                    let x: Vec<u32> = other.operands(i).map(|a| place[a as usize]).collect();
                    self.apply(op, &x)
                }
            });
        }
        place
    }

    pub(super) fn guard(&mut self, guard: Guard) {
        // Two constants have been compared.
        if self.graph.constant(guard.a).is_none() || self.graph.constant(guard.b).is_none() {
            self.graph.guards.push(guard);
        }
    }

    /// The sum of some nodes; [`NONE`] for no node.
    pub(super) fn sum(&mut self, terms: &[u32]) -> u32 {
        match *terms {
            [] => NONE,
            [one] => one,
            [a, b] => self.apply(ADD, &[a, b]),
            _ => self.apply(SUM, terms),
        }
    }

    fn push(&mut self, node: Node) -> u32 {
        self.graph.nodes.push(node);
        self.first_use.push(NONE);
        self.graph.nodes.len() as u32 - 1
    }

    /// The node, found or pushed.
    fn unique(&mut self, node: Node) -> u32 {
        let operands = [node.a, if node.arity == 2 { node.b } else { node.a }];
        let commutes = matches!(node.op, ADD | MUL | PRODUCT);
        let same =
            |other: Node| other == node || commutes && other.op == node.op && (other.a, other.b) == (node.b, node.a);
        let mut new = false;
        for x in operands {
            match self.first_use[x as usize] {
                NONE => new = true,
                user if same(self.graph.nodes[user as usize]) => return user,
                _ => {}
            }
        }
        if new {
            let i = self.push(node);
            for x in operands {
                let user = &mut self.first_use[x as usize];
                *user = (*user).min(i);
            }
            return i;
        }
        let (a, b) = if commutes && node.a > node.b { (node.b, node.a) } else { (node.a, node.b) };
        let hash = mix(mix(mix(5, u64::from(node.op)), u64::from(a)), u64::from(b));
        let nodes = &self.graph.nodes;
        match self.table.find(hash, |i| same(nodes[i as usize])) {
            Ok(i) => i,
            Err(place) => {
                let i = self.push(node);
                self.table.insert(place, hash, i);
                i
            }
        }
    }

    /// A constant that no other one equals.
    fn new_constant(&mut self, x: F) -> u32 {
        self.graph.constants.push(x);
        self.push(Node { op: CONSTANT, arity: 0, a: self.graph.constants.len() as u32 - 1, b: 0 })
    }

    /// The finished graph: only what outputs and guards need, chains of additions as sums.
    pub(super) fn finish(self, outputs: Vec<u32>) -> Graph<F> {
        let Self { graph: mut old, .. } = self;
        let mut uses = vec![0_u32; old.nodes.len()];
        for &y in &outputs {
            uses[y as usize] += 2;
        }
        for g in &old.guards {
            uses[g.a as usize] += 2;
            uses[g.b as usize] += 2;
        }
        for i in (0..old.nodes.len()).rev() {
            if uses[i] > 0 {
                old.operands(i).for_each(|a| uses[a as usize] += 1);
            }
        }
        let mut chains = Chains::find(&old, &mut uses);
        let mut new = Graph {
            nodes: Vec::with_capacity(old.nodes.len()),
            constants: Vec::new(),
            lists: Vec::with_capacity(old.lists.len()),
            outputs: Vec::new(),
            guards: Vec::new(),
            inputs: old.inputs,
            ops: Ops::new(),
        };
        let mut to = vec![NONE; old.nodes.len()];
        for i in 0..old.nodes.len() {
            let node = old.nodes[i];
            if uses[i] == 0 && node.op != INPUT {
                continue;
            }
            let first = new.lists.len() as u32;
            let moved = if let Some(terms) = chains.take(i) {
                for (x, negative) in terms {
                    let mut x = to[x as usize];
                    if negative {
                        new.nodes.push(Node { op: NEG, arity: 1, a: x, b: 0 });
                        x = new.nodes.len() as u32 - 1;
                    }
                    new.lists.push(x);
                }
                Node { op: SUM, arity: MANY, a: first, b: new.lists.len() as u32 - first }
            } else {
                match node.arity {
                    0 if node.op == CONSTANT => {
                        new.constants.push(old.constants[node.a as usize]);
                        Node { a: new.constants.len() as u32 - 1, ..node }
                    }
                    0 => node,
                    1 => Node { a: to[node.a as usize], ..node },
                    MANY => {
                        new.lists.extend(old.operands(i).map(|a| to[a as usize]));
                        Node { a: first, ..node }
                    }
                    _ => Node { a: to[node.a as usize], b: to[node.b as usize], ..node },
                }
            };
            new.nodes.push(moved);
            to[i] = new.nodes.len() as u32 - 1;
        }
        new.outputs = outputs.iter().map(|&y| to[y as usize]).collect();
        new.guards = old.guards.iter().map(|g| Guard { a: to[g.a as usize], b: to[g.b as usize], ..*g }).collect();
        std::mem::swap(&mut new.ops, &mut old.ops);
        new
    }
}

impl<F: BaseFloat> Emit<F> for Builder<F> {
    fn ops(&mut self) -> &mut Ops<F> {
        &mut self.graph.ops
    }

    fn product(&mut self, a: u32, b: u32) -> u32 {
        self.apply(PRODUCT, &[a, b])
    }

    fn constant(&mut self, x: F) -> u32 {
        let hash = mix(17, bits(x));
        let graph = &self.graph;
        let found = self.table.find(hash, |i| graph.constant(i).is_some_and(|other| bits(other) == bits(x)));
        match found {
            Ok(i) => i,
            Err(place) => {
                let i = self.new_constant(x);
                self.table.insert(place, hash, i);
                i
            }
        }
    }

    fn apply(&mut self, mut op: OpId, x: &[u32]) -> u32 {
        let known = |i: u32| self.graph.constant(i);
        if x.iter().all(|&i| self.graph.nodes[i as usize].op == CONSTANT) {
            let values: Vec<F> = x.iter().map(|&i| known(i).expect("a constant")).collect();
            let value = self.graph.ops.eval(op, &values);
            return self.constant(value);
        }
        // Identities that hold for every number, signed zeros, infinities and NaN included.
        let one = |i: u32| known(i) == Some(F::one());
        match (op, x) {
            (MUL | PRODUCT, &[a, b]) if a == b => op = SQUARE,
            // Not for what the function multiplies: a datum that is 1 among others would give its lane another shape.
            (PRODUCT, &[a, b]) if one(b) => return a,
            (PRODUCT, &[a, b]) if one(a) => return b,
            (NEG, &[a]) if self.graph.nodes[a as usize].op == NEG => return self.graph.nodes[a as usize].a,
            _ => {}
        }
        match *x {
            [a, ..] if op == SQUARE => self.unique(Node { op, arity: 1, a, b: 0 }),
            [a] => self.unique(Node { op, arity: 1, a, b: 0 }),
            [a, b] if op != SUM => self.unique(Node { op, arity: 2, a, b }),
            _ => {
                // Lists are not looked up: they are sums, or rare.
                let a = self.graph.lists.len() as u32;
                self.graph.lists.extend_from_slice(x);
                self.push(Node { op, arity: MANY, a, b: x.len() as u32 })
            }
        }
    }
}

/// The chains of additions and subtractions that become sums.
struct Chains {
    /// For the last addition of a chain, its terms; true for those with a minus.
    terms: std::collections::HashMap<usize, Vec<(u32, bool)>>,
}

impl Chains {
    /// Finds the chains and takes the additions inside of them out of use.
    fn find<F: BaseFloat>(graph: &Graph<F>, uses: &mut [u32]) -> Self {
        let sums = |i: u32| matches!(graph.nodes[i as usize].op, ADD | SUB);
        // The operations of a node and of its operands. A chain begins with its first term, which may be an addition
        // itself: it is recognised because it is shaped like the next term.
        let shape = |i: u32| {
            let node = graph.nodes[i as usize];
            let below = |place: u16, a: u32| {
                if node.arity > place && node.arity != MANY { graph.nodes[a as usize].op } else { INPUT }
            };
            (node.op, below(0, node.a), below(1, node.b))
        };
        let mut terms = std::collections::HashMap::new();
        for i in (0..graph.nodes.len()).rev() {
            if uses[i] == 0 || !sums(i as u32) {
                continue;
            }
            let (mut chain, mut inner, mut at) = (Vec::new(), Vec::new(), i as u32);
            loop {
                let Node { op, a, b, .. } = graph.nodes[at as usize];
                chain.push((b, op == SUB));
                // Only from left to right, so that the sum in order has the roundings of the chain.
                if !sums(a) || uses[a as usize] != 1 || shape(a) == shape(b) {
                    chain.push((a, false));
                    break;
                }
                at = a;
                inner.push(at);
            }
            if chain.len() >= CHAIN {
                chain.reverse();
                for &v in &inner {
                    uses[v as usize] = 0;
                }
                terms.insert(i, chain);
            }
        }
        Self { terms }
    }

    fn take(&mut self, i: usize) -> Option<Vec<(u32, bool)>> {
        self.terms.remove(&i)
    }
}
