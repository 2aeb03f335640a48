//! Matrices of derivatives by terms. A function that is a sum of terms, or has several outputs, is taken apart into
//! these, each with all of its operations down to the inputs. Terms of one shape are lanes of a group, whose body computes
//! the derivatives of a term with respect to its own few inputs and adds them to the entries of the matrix. So the work
//! is that of the entries, whatever the number of columns (A. Griewank and Ph. L. Toint, "On the unconstrained
//! optimization of partially separable functions", in: Nonlinear Optimization 1981).

use std::collections::HashMap;

use pulp::Arch;

use super::body::{Body, Effect, Facts, Pass};
use super::bundle::{FEW, Ref, Shape};
use super::code::{Code, lanes_of};
use super::graph::Graph;
use super::lanes::{Group, Pattern, PerTurn};
use super::memory::Memory;
use super::ops::{ADD, CONSTANT, DIV, INPUT, MUL, NEG, Ops, PRODUCT, SUB, SUM};
use super::places::Found;
use super::table::bits;
use super::tiles::{self, Scratch, Slots};
use crate::number::BaseFloat;

/// A term, or an output.
struct Term<F> {
    /// The output, for a Jacobian.
    output: usize,
    root: u32,
    /// The known cotangent of the root.
    cotangent: F,
    cone: Cone,
}

/// The operations of a term down to the inputs.
struct Cone {
    shape: Shape,
    /// The inputs and the constants that it reads, as nodes.
    operands: Vec<u32>,
    constants: Vec<u32>,
}

/// The entries of a matrix of derivatives, as groups of terms.
#[derive(Clone, Debug)]
pub(super) struct Terms<F> {
    arch: Arch,
    ops: Ops<F>,
    groups: Vec<(Group<F>, Code<F>)>,
    /// The inputs.
    values: Memory<F>,
    entries: Memory<F>,
    scratch: Scratch<F>,
    /// The cost of an evaluation, in operations.
    pub(super) work: usize,
}

/// The cost of instructions on some lanes: to begin one takes as long as some dozens of lanes.
pub(super) fn work(instructions: usize, lanes: usize) -> usize {
    instructions * (64 + lanes)
}

/// The matrices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Matrix {
    /// Of the outputs with respect to the first inputs.
    Jacobian,
    /// Of the first output; only entries with i ≥ j.
    Hessian,
}

impl<F: BaseFloat> Terms<F> {
    /// The terms of a function whose matrix of derivatives with respect to the first `n` inputs has `entries` entries;
    /// `place(i, j)` tells where an entry stands. `None` if the terms have too many operations in common, so that each on
    /// its own would be too much work.
    pub(super) fn new(
        graph: &Graph<F>,
        n: usize,
        matrix: Matrix,
        entries: usize,
        place: impl Fn(usize, usize) -> u32,
    ) -> Option<Self> {
        /// The operations and entries of all terms' bodies, which bound the time of planning.
        const MOST: usize = 2_000_000;
        let roots = match matrix {
            Matrix::Jacobian => graph.outputs.iter().enumerate().map(|(k, &y)| (k, y, F::one())).collect(),
            Matrix::Hessian => sum_of_terms(graph),
        };
        let mut walk = Walk::new(graph.nodes.len());
        let mut terms = Term::all(graph, roots, &mut walk)?;
        let lists = alike(graph, n, &mut terms, &mut walk);
        let mut size = 0_usize;
        for list in &lists {
            let first = &terms[list[0]].cone;
            let columns = if matrix == Matrix::Hessian { first.shape.operands } else { 1 };
            size = size.saturating_add(columns * (first.shape.refs.len() + list.len().min(columns)));
        }
        if size > MOST {
            return None;
        }
        let mut new = Self {
            arch: Arch::new(),
            ops: graph.ops.clone(),
            groups: Vec::with_capacity(lists.len()),
            values: Memory::zeros(graph.inputs + 2 * lanes_of::<F>()),
            // One entry more takes what belongs to none.
            entries: Memory::zeros(entries + 1),
            scratch: Scratch::default(),
            work: 0,
        };
        for list in &lists {
            let lanes: Vec<&Term<F>> = list.iter().map(|&i| &terms[i]).collect();
            let (group, code) = new.group(graph, n, matrix, &lanes, entries as u32, &place);
            new.scratch.fit(&code);
            new.work += work(code.main.len(), group.lanes);
            new.groups.push((group, code));
        }
        Some(new)
    }

    /// The group of some terms of one shape.
    fn group(
        &mut self,
        graph: &Graph<F>,
        n: usize,
        matrix: Matrix,
        terms: &[&Term<F>],
        spare: u32,
        place: &impl Fn(usize, usize) -> u32,
    ) -> (Group<F>, Code<F>) {
        let lanes = terms.len();
        let first = &terms[0].cone;
        let mut operands: Vec<Found> = Vec::with_capacity(first.operands.len());
        let of_operand = |k: usize| terms.iter().map(move |term| term.cone.operands[k]);
        for k in 0..first.operands.len() {
            operands.push(Found::new(&of_operand(k).collect::<Vec<_>>()));
        }
        let wanted: Vec<bool> = first.operands.iter().map(|&a| (a as usize) < n).collect();
        let mut constants = Vec::with_capacity(first.constants.len());
        let mut shared = Vec::with_capacity(first.constants.len());
        for k in 0..first.constants.len() {
            let mut list: Vec<F> = terms.iter().filter_map(|term| graph.constant(term.cone.constants[k])).collect();
            let alike = list.iter().all(|&x| bits(x) == bits(list[0]));
            shared.push(alike.then_some(list[0]));
            if alike {
                list.clear();
            } else {
                list.resize(lanes + lanes_of::<F>(), F::one());
            }
            constants.push(list);
        }
        let bounds = Found::bounds(&operands, lanes);
        let uniform: Vec<bool> = operands.iter().map(|p| p.pattern(&bounds) == Pattern::Uniform).collect();
        let facts = Facts {
            uniform: &uniform,
            wanted: &wanted,
            constants: &shared,
            cotangents: &[Some(terms[0].cotangent)],
            uniform_cotangents: false,
            compared: false,
        };
        let mut body = Body::new(&mut self.ops, &first.shape, &facts, Pass::Both);
        let derivatives = match matrix {
            Matrix::Jacobian => body.take_pulls().into_iter().map(|(k, v)| ([k, k], v)).collect(),
            Matrix::Hessian => body.second_derivatives(),
        };
        // The entries are operands whose adjoints are wanted.
        let mut places = vec![0; lanes];
        for ([p, q], v) in derivatives {
            let inputs = |term: &Term<F>| [p, q].map(|k| term.cone.operands[k as usize] as usize);
            for (to, term) in places.iter_mut().zip(terms) {
                let [i, j] = inputs(term);
                *to = match matrix {
                    Matrix::Jacobian => place(term.output, i),
                    Matrix::Hessian => place(i.max(j), i.min(j)),
                };
            }
            body.effects.push(Effect::Pull(operands.len() as u32, v));
            operands.push(Found::new(&places));
            // Where a term lists an input twice, both orders of the two belong to the diagonal.
            let twice = |term: &Term<F>| p != q && inputs(term)[0] == inputs(term)[1];
            if terms.iter().any(|term| twice(term)) {
                for (to, term) in places.iter_mut().zip(terms) {
                    if !twice(term) {
                        *to = spare;
                    }
                }
                body.effects.push(Effect::Pull(operands.len() as u32, v));
                operands.push(Found::new(&places));
            }
        }
        body.contract();
        body.contract_chains();
        let bounds = Found::bounds(&operands, lanes);
        let patterns: Vec<Pattern> = operands.iter().map(|p| p.pattern(&bounds)).collect();
        let uniform: Vec<bool> = patterns.iter().map(|p| *p == Pattern::Uniform).collect();
        let mut slots = Vec::with_capacity((bounds.len() - 1) * operands.len());
        for &from in &bounds[..bounds.len() - 1] {
            slots.extend(operands.iter().map(|p| p.slot(from)));
        }
        let code = Code::new(&body, &uniform, false, lanes);
        let group = Group {
            lanes,
            // No slots of its own.
            first: self.values.len().max(self.entries.len()),
            stride: 0,
            into: None,
            operands: patterns,
            constants,
            bounds,
            slots,
            codes: [Some(0), None],
            level: 0,
            per_turn: PerTurn::default(),
        };
        (group, code)
    }

    /// Computes all entries at these inputs, which may come in several slices. Returns false if one is not finite.
    pub(super) fn run(&mut self, inputs: &[&[F]]) -> bool {
        let mut at = 0;
        for x in inputs {
            self.values[at..at + x.len()].copy_from_slice(x);
            at += x.len();
        }
        self.entries.fill(F::zero());
        let Self { arch, ops, groups, values, entries, scratch, .. } = self;
        for (group, code) in groups {
            let slots = Slots { values, adjoints: entries, turn: 0 };
            tiles::run(*arch, group, code, ops, slots, scratch);
        }
        entries[..entries.len() - 1].iter().all(|&x| x.is_finite_throughout())
    }

    /// The entries after a run.
    pub(super) fn entries(&self) -> &[F] {
        &self.entries[..self.entries.len() - 1]
    }
}

/// The nodes whose multiples the first output is a sum of, with these factors: what additions, and factors of sums, leave
/// apart.
fn sum_of_terms<F: BaseFloat>(graph: &Graph<F>) -> Vec<(usize, u32, F)> {
    let is_sum = |i: u32| matches!(graph.nodes[i as usize].op, SUM | ADD | SUB | NEG);
    let mut factor: Vec<Option<F>> = vec![None; graph.nodes.len()];
    let output = graph.outputs[0] as usize;
    factor[output] = Some(F::one());
    let mut terms = Vec::new();
    for i in (0..=output).rev() {
        let Some(c) = factor[i] else { continue };
        let node = graph.nodes[i];
        let mut add = |a: u32, c: F| {
            let sum = &mut factor[a as usize];
            *sum = Some(sum.map_or(c, |sum| sum + c));
        };
        // A factor of the whole sum; those of terms are left to the terms.
        let constant = |a: u32, b: u32| graph.constant(b).filter(|_| is_sum(a));
        match node.op {
            SUM | ADD => graph.operands(i).for_each(|a| add(a, c)),
            SUB => {
                add(node.a, c);
                add(node.b, -c);
            }
            NEG => add(node.a, -c),
            MUL | PRODUCT => match (constant(node.a, node.b), constant(node.b, node.a)) {
                (Some(d), _) => add(node.a, c * d),
                (_, Some(d)) => add(node.b, c * d),
                _ => terms.push((0, i as u32, c)),
            },
            DIV => match constant(node.a, node.b) {
                Some(d) => add(node.a, c / d),
                None => terms.push((0, i as u32, c)),
            },
            // A linear term has no second derivative.
            INPUT | CONSTANT => {}
            _ => terms.push((0, i as u32, c)),
        }
    }
    terms.reverse();
    terms
}

impl<F: BaseFloat> Term<F> {
    /// The terms with these roots, each with its cone. `None` if the cones have too many operations.
    fn all(graph: &Graph<F>, roots: Vec<(usize, u32, F)>, walk: &mut Walk) -> Option<Vec<Self>> {
        // Common operations may be repeated a few times on average.
        let mut room = 8 * graph.nodes.len() + 1000;
        let mut terms = Vec::with_capacity(roots.len());
        for (output, root, cotangent) in roots {
            let members = walk.members(graph, root);
            let size: usize = members.iter().map(|&i| 1 + graph.operands(i as usize).count()).sum();
            room = room.checked_sub(size)?;
            terms.push(Self { output, root, cotangent, cone: Cone::new(graph, root, members, false) });
        }
        Some(terms)
    }
}

/// The terms in lists of one shape and one cotangent, with operands that are variables in the same places.
fn alike<F: BaseFloat>(graph: &Graph<F>, n: usize, terms: &mut [Term<F>], walk: &mut Walk) -> Vec<Vec<usize>> {
    let lists = |terms: &[Term<F>], which: &mut dyn Iterator<Item = usize>| {
        let mut place: HashMap<(u64, &Shape, Vec<bool>), usize> = HashMap::new();
        let mut lists: Vec<Vec<usize>> = Vec::new();
        for i in which {
            let Term { cotangent, cone, .. } = &terms[i];
            let wanted = cone.operands.iter().map(|&a| (a as usize) < n).collect();
            let at = *place.entry((bits(*cotangent), &cone.shape, wanted)).or_insert_with(|| {
                lists.push(Vec::new());
                lists.len() - 1
            });
            lists[at].push(i);
        }
        lists
    };
    let found = lists(terms, &mut (0..terms.len()));
    let (few, mut found): (Vec<_>, Vec<_>) = found.into_iter().partition(|list| list.len() < FEW);
    let mut rest: Vec<usize> = few.into_iter().flatten().collect();
    if rest.len() >= FEW {
        let mut repeated = |i: &usize| {
            let Term { output, root, cotangent, .. } = terms[*i];
            let cone = Cone::new(graph, root, walk.members(graph, root), true);
            Term { output, root, cotangent, cone }
        };
        let others: Vec<Term<F>> = rest.iter().map(&mut repeated).collect();
        let many = lists(&others, &mut (0..others.len())).into_iter().filter(|list| list.len() >= FEW);
        let many: Vec<Vec<usize>> = many.map(|list| list.into_iter().map(|k| rest[k]).collect()).collect();
        let mut chosen = vec![false; terms.len()];
        many.iter().flatten().for_each(|&i| chosen[i] = true);
        for (&i, other) in rest.iter().zip(others).filter(|&(&i, _)| chosen[i]) {
            terms[i] = other;
        }
        rest.retain(|&i| !chosen[i]);
        found.extend(many);
    }
    found.extend(lists(terms, &mut rest.into_iter()));
    found
}

/// The way down from a root.
struct Walk {
    /// For each node, the number of the walk that saw it last.
    seen: Vec<u32>,
    number: u32,
    members: Vec<u32>,
    stack: Vec<u32>,
}

impl Walk {
    fn new(nodes: usize) -> Self {
        Self { seen: vec![0; nodes], number: 0, members: Vec::new(), stack: Vec::new() }
    }

    /// The operations down to the inputs, operands first.
    fn members<F: BaseFloat>(&mut self, graph: &Graph<F>, root: u32) -> &[u32] {
        self.members.clear();
        self.number += 1;
        self.stack.push(root);
        while let Some(i) = self.stack.pop() {
            if std::mem::replace(&mut self.seen[i as usize], self.number) != self.number && !graph.is_leaf(i) {
                self.members.push(i);
                self.stack.extend(graph.operands(i as usize));
            }
        }
        self.members.sort_unstable();
        &self.members
    }
}

impl Cone {
    /// The cone of a root with these members. With `repeat`, an input is an operand at each use: otherwise a row of a
    /// matrix times a vector, times an entry of the vector, would have a shape of its own for each row.
    fn new<F: BaseFloat>(graph: &Graph<F>, root: u32, members: &[u32], repeat: bool) -> Self {
        let mut cone = Self { shape: Shape::default(), operands: Vec::new(), constants: Vec::new() };
        let Self { shape, operands, constants } = &mut cone;
        let mut known: HashMap<u32, Ref> = HashMap::with_capacity(members.len());
        let mut refer = |known: &mut HashMap<u32, Ref>, a: u32| {
            if let Some(&at) = known.get(&a) {
                return at;
            }
            if graph.nodes[a as usize].op == CONSTANT {
                constants.push(a);
                return Ref::Constant(constants.len() as u32 - 1);
            }
            operands.push(a);
            let at = Ref::Operand(operands.len() as u32 - 1);
            if !repeat {
                known.insert(a, at);
            }
            at
        };
        for &i in members {
            let first = shape.refs.len() as u32;
            for a in graph.operands(i as usize) {
                let at = refer(&mut known, a);
                shape.refs.push(at);
            }
            shape.nodes.push((graph.nodes[i as usize].op, first, shape.refs.len() as u32 - first));
            known.insert(i, Ref::Local(shape.nodes.len() as u32 - 1));
        }
        let at = refer(&mut known, root);
        shape.roots.push(at);
        (shape.operands, shape.constants) = (operands.len(), constants.len());
        cone
    }
}
