//! Bodies: what a group does for each lane, values and adjoints, as one list in static single assignment form.

use smallvec::{SmallVec, smallvec};

use super::bundle::{Ref, Shape};
use super::ops::{ADD, DIV, Emit, MUL, NEG, OpId, Ops, PRODUCT, SQUARE, SUB, SUM, contribution};
use super::table::{NONE, Table, bits, mix};
use crate::number::BaseFloat;
use crate::recording::Test;

/// A value of a body, by its place.
pub(super) type V = u32;

/// A value of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum X<F> {
    /// An operand of the cone.
    Operand(u32),
    /// A constant that differs from lane to lane.
    Constant(u32),
    Number(F),
    /// The cotangent of a root.
    Cotangent(u32),
    /// An operation; unused places hold [`NONE`].
    Apply(OpId, [V; 3]),
    /// ±a b ± c.
    Fused(Signs, [V; 3]),
    /// The sum of products with this number.
    Dot(u32),
}

/// The signs of the product and of the third number of [`X::Fused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signs {
    /// a b + c
    Plus,
    /// a b - c
    Minus,
    /// c - a b
    Reverse,
}

/// c + Σ aₖ bₖ.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dot {
    pub(super) start: Option<V>,
    pub(super) products: Vec<(V, V)>,
}

/// An effect of a body on memory outside of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// The value of a root.
    Store(u32, V),
    /// A contribution to the adjoint of an operand.
    Pull(u32, V),
    Guard(Test, [V; 2], bool),
}

impl Effect {
    fn values(&self) -> SmallVec<[V; 2]> {
        match *self {
            Effect::Store(_, v) | Effect::Pull(_, v) => smallvec![v],
            Effect::Guard(_, pair, _) => pair.into(),
        }
    }
}

/// The passes over a group that a body covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(super) enum Pass {
    Forward,
    /// The values are computed again.
    Reverse,
    Both,
}

/// Facts about a body's operands, constants and results.
pub(super) struct Facts<'a, F> {
    /// For each operand, true if all lanes of a segment share one number.
    pub(super) uniform: &'a [bool],
    /// For each operand, true if its adjoint is wanted.
    pub(super) wanted: &'a [bool],
    /// For each constant, its value if all lanes share it.
    pub(super) constants: &'a [Option<F>],
    /// The cotangent of each root, if it is known beforehand.
    pub(super) cotangents: &'a [Option<F>],
    /// True if all lanes share the cotangent of a root.
    pub(super) uniform_cotangents: bool,
    /// True if a comparison outside of the body depends on a root.
    pub(super) compared: bool,
}

pub(super) struct Body<'o, F> {
    pub(super) ops: &'o mut Ops<F>,
    pub(super) values: Vec<X<F>>,
    pub(super) uniform: Vec<bool>,
    pub(super) dots: Vec<Dot>,
    pub(super) effects: Vec<Effect>,
    /// The number of values before the first one of the reverse pass.
    pub(super) forward: usize,
    /// True if a comparison outside depends on a root.
    compared: bool,
    /// Cotangents of several uses, whose constant factor is applied once and not at each use.
    shared: Vec<V>,
    table: Table,
}

impl<'o, F: BaseFloat> Body<'o, F> {
    pub(super) fn new(ops: &'o mut Ops<F>, shape: &Shape, facts: &Facts<'_, F>, pass: Pass) -> Self {
        let mut body = Self {
            ops,
            values: Vec::with_capacity(4 * shape.nodes.len()),
            uniform: Vec::with_capacity(4 * shape.nodes.len()),
            dots: Vec::new(),
            effects: Vec::new(),
            forward: 0,
            compared: facts.compared,
            shared: Vec::new(),
            table: Table::new(4 * shape.nodes.len()),
        };
        let operands: Vec<V> = (0..shape.operands).map(|k| body.push(X::Operand(k as u32), facts.uniform[k])).collect();
        let constants: Vec<V> = (0..shape.constants)
            .map(|k| match facts.constants[k] {
                Some(x) => body.constant(x),
                None => body.push(X::Constant(k as u32), false),
            })
            .collect();
        let mut local: Vec<V> = Vec::with_capacity(shape.nodes.len());
        let get = |local: &[V], r: Ref| match r {
            Ref::Local(i) => local[i as usize],
            Ref::Operand(k) => operands[k as usize],
            Ref::Constant(k) => constants[k as usize],
        };
        for (i, &(op, ..)) in shape.nodes.iter().enumerate() {
            let x: SmallVec<[V; 8]> = shape.refs(i).iter().map(|&r| get(&local, r)).collect();
            local.push(body.apply(op, &x));
        }
        if pass != Pass::Reverse {
            for (k, &root) in shape.roots.iter().enumerate() {
                body.effects.push(Effect::Store(k as u32, get(&local, root)));
            }
            for &(test, pair, outcome) in &shape.guards {
                body.effects.push(Effect::Guard(test, pair.map(|r| get(&local, r)), outcome));
            }
        }
        body.forward = body.values.len();
        if pass != Pass::Forward {
            body.pull_back(shape, facts, &local, &operands, get);
        }
        body
    }

    /// The adjoints, from the roots to the operands.
    fn pull_back(
        &mut self,
        shape: &Shape,
        facts: &Facts<'_, F>,
        local: &[V],
        operands: &[V],
        get: impl Fn(&[V], Ref) -> V,
    ) {
        // The values that depend on a wanted operand.
        let mut active = vec![false; local.len()];
        let is_active = |active: &[bool], r: Ref| match r {
            Ref::Local(i) => active[i as usize],
            Ref::Operand(k) => facts.wanted[k as usize],
            Ref::Constant(_) => false,
        };
        for i in 0..local.len() {
            active[i] = shape.refs(i).iter().any(|&r| is_active(&active, r));
        }
        let mut adjoints = vec![NONE; local.len()];
        let mut pulled = vec![NONE; operands.len()];
        for (k, known) in facts.cotangents.iter().enumerate() {
            let d = match *known {
                Some(x) => self.constant(x),
                None => self.push(X::Cotangent(k as u32), facts.uniform_cotangents),
            };
            self.accumulate(shape.roots[k], d, &mut adjoints, &mut pulled);
        }
        for i in (0..local.len()).rev() {
            let d = adjoints[i];
            if d == NONE || !active[i] {
                continue;
            }
            let op = shape.nodes[i].0;
            let x: SmallVec<[V; 8]> = shape.refs(i).iter().map(|&r| get(local, r)).collect();
            let depends = super::graph::differentiable(self.ops, op);
            if shape.refs(i).iter().take(depends).filter(|&&r| is_active(&active, r)).count() > 1 {
                self.shared.push(d);
            }
            for (k, &r) in shape.refs(i).iter().enumerate().take(depends) {
                if !is_active(&active, r) {
                    continue;
                }
                let more = contribution(self, op, k, &x, local[i], d);
                self.accumulate(r, more, &mut adjoints, &mut pulled);
            }
        }
        for (k, &d) in pulled.iter().enumerate().filter(|&(k, &d)| d != NONE && facts.wanted[k]) {
            self.effects.push(Effect::Pull(k as u32, d));
        }
    }

    /// Splits a root that is summed up over lanes into its terms, if none of them is negative: their sums lose no digits,
    /// and a sum of squares needs no operation of the lanes' own.
    pub(super) fn split_total(&mut self) {
        let uses = self.uses();
        let [Effect::Store(root, total)] = self.stores()[..] else { return };
        let (mut terms, mut rest) = (Vec::new(), total);
        while let X::Apply(ADD, [a, b, _]) = self.values[rest as usize]
            && uses[rest as usize] == 1
            && !self.uniform[rest as usize]
            && [a, b].iter().all(|&v| self.is_nonnegative(v, 8))
        {
            terms.push(a);
            rest = b;
        }
        if !terms.is_empty() {
            terms.push(rest);
            self.effects.retain(|effect| !matches!(effect, Effect::Store(..)));
            self.effects.extend(terms.into_iter().map(|v| Effect::Store(root, v)));
        }
    }

    fn stores(&self) -> SmallVec<[Effect; 2]> {
        self.effects.iter().copied().filter(|effect| matches!(effect, Effect::Store(..))).collect()
    }

    /// True if a value is a square, or a sum or product of such ones and of positive numbers, as far as operations down to
    /// this depth show.
    fn is_nonnegative(&self, v: V, depth: u32) -> bool {
        match self.values[v as usize] {
            X::Number(c) => c >= F::zero(),
            X::Apply(SQUARE, _) => true,
            X::Apply(ADD | MUL, [a, b, _]) if depth > 0 => [a, b].iter().all(|&v| self.is_nonnegative(v, depth - 1)),
            _ => false,
        }
    }

    /// Makes roots of the contributions to adjoints, from number `first` on.
    pub(super) fn store_pulls(&mut self, first: u32) {
        for effect in &mut self.effects {
            if let Effect::Pull(k, v) = *effect {
                *effect = Effect::Store(first + k, v);
            }
        }
    }

    /// Takes the contributions to adjoints out of the effects, which are then none: for each operand, the derivative
    /// with respect to it.
    pub(super) fn take_pulls(&mut self) -> Vec<(u32, V)> {
        let pull = |effect| if let Effect::Pull(k, v) = effect { Some((k, v)) } else { None };
        std::mem::take(&mut self.effects).into_iter().filter_map(pull).collect()
    }

    /// Second derivatives instead of the effects: for each pair of operands in one order, forward over reverse, with
    /// nothing for zeros.
    pub(super) fn second_derivatives(&mut self) -> Vec<([u32; 2], V)> {
        let pulls = self.take_pulls();
        let end = self.values.len();
        let mut tangents = vec![NONE; end];
        let mut all = Vec::new();
        for &(p, _) in &pulls {
            tangents.fill(NONE);
            for v in 0..end {
                let (op, x) = match self.values[v] {
                    X::Operand(k) if k == p => {
                        tangents[v] = self.constant(F::one());
                        continue;
                    }
                    X::Apply(op, x) => (op, x),
                    _ => continue,
                };
                let len = x.iter().position(|&a| a == NONE).unwrap_or(x.len());
                for k in 0..len.min(super::graph::differentiable(self.ops, op)) {
                    let t = tangents[x[k] as usize];
                    if t != NONE {
                        let more = contribution(self, op, k, &x[..len], v as V, t);
                        let sum = &mut tangents[v];
                        *sum = if *sum == NONE { more } else { self.apply(ADD, &[*sum, more]) };
                    }
                }
            }
            let known = pulls.iter().filter(|(_, d)| tangents[*d as usize] != NONE);
            all.extend(known.map(|&(q, d)| ([p, q], tangents[d as usize])));
        }
        // A tangent that runs from the first operands to the last may take more operations than the other way round.
        let mut count = |order: fn(u32, u32) -> bool| {
            let chosen = all.iter().filter(|([p, q], _)| order(*p, *q));
            self.effects = chosen.map(|&([p, _], v)| Effect::Pull(p, v)).collect();
            self.uses().iter().filter(|&&uses| uses > 0).count()
        };
        let order: fn(u32, u32) -> bool =
            if count(|p, q| p >= q) <= count(|p, q| p <= q) { |p, q| p >= q } else { |p, q| p <= q };
        self.effects.clear();
        all.retain(|([p, q], _)| order(*p, *q));
        all
    }

    /// Adds to the adjoint of a value.
    fn accumulate(&mut self, r: Ref, more: V, adjoints: &mut [V], pulled: &mut [V]) {
        let at = match r {
            Ref::Local(i) => &mut adjoints[i as usize],
            Ref::Operand(k) => &mut pulled[k as usize],
            Ref::Constant(_) => return,
        };
        *at = if *at == NONE { more } else { self.apply(ADD, &[*at, more]) };
    }

    fn push(&mut self, x: X<F>, uniform: bool) -> V {
        let hash = match x {
            X::Operand(k) => mix(1, u64::from(k)),
            X::Constant(k) => mix(2, u64::from(k)),
            X::Number(c) => mix(3, bits(c)),
            X::Cotangent(k) => mix(4, u64::from(k)),
            X::Apply(op, [a, b, c]) => mix(mix(mix(mix(5, u64::from(op)), u64::from(a)), u64::from(b)), u64::from(c)),
            X::Fused(..) | X::Dot(_) => unreachable!("made by `contract`"),
        };
        let values = &self.values;
        let same = |i: u32| match (values[i as usize], x) {
            (X::Number(p), X::Number(q)) => bits(p) == bits(q),
            (p, q) => p == q,
        };
        match self.table.find(hash, same) {
            Ok(i) => i,
            Err(place) => {
                self.values.push(x);
                self.uniform.push(uniform);
                let i = self.values.len() as u32 - 1;
                self.table.insert(place, hash, i);
                i
            }
        }
    }

    fn number(&self, v: V) -> Option<F> {
        if let X::Number(c) = self.values[v as usize] { Some(c) } else { None }
    }

    /// The factors of a product that may be taken apart.
    fn factors(&self, v: V) -> Option<[V; 2]> {
        match self.values[v as usize] {
            // The last ones are those of the node that is pulled back.
            X::Apply(MUL, [a, b, _]) if !self.shared.iter().rev().take(4).any(|&d| d == v) => Some([a, b]),
            _ => None,
        }
    }

    fn negated(&self, v: V) -> Option<V> {
        if let X::Apply(NEG, [a, ..]) = self.values[v as usize] { Some(a) } else { None }
    }

    /// c v for a derivative, with the constants of v's products gathered in c.
    fn scale(&mut self, c: F, v: V) -> V {
        if let Some([a, b]) = self.factors(v) {
            for (a, b) in [(a, b), (b, a)] {
                if let Some(d) = self.number(a).filter(|&d| is_moderate(d) && is_moderate(c)) {
                    return self.scale(c * d, b);
                }
            }
        }
        if let Some(a) = self.negated(v) {
            return self.scale(-c, a);
        }
        let c = self.constant(c);
        self.apply(MUL, &[c, v])
    }

    /// The values that an effect or another value needs.
    pub(super) fn each_operand(&self, v: V, mut f: impl FnMut(V)) {
        match self.values[v as usize] {
            X::Apply(_, x) => x.iter().filter(|&&a| a != NONE).for_each(|&a| f(a)),
            X::Fused(_, x) => x.iter().for_each(|&a| f(a)),
            X::Dot(k) => {
                let Dot { start, products } = &self.dots[k as usize];
                for &a in start.iter().chain(products.iter().flat_map(|(a, b)| [a, b])) {
                    f(a);
                }
            }
            _ => {}
        }
    }

    /// The number of uses of each value.
    pub(super) fn uses(&self) -> Vec<u32> {
        let mut uses = vec![0; self.values.len()];
        for effect in &self.effects {
            effect.values().iter().for_each(|&v| uses[v as usize] += 1);
        }
        for v in (0..self.values.len()).rev().filter(|&v| v < self.values.len()) {
            if uses[v] > 0 {
                self.each_operand(v as V, |a| uses[a as usize] += 1);
            }
        }
        uses
    }

    /// For each value, true if a comparison depends on it.
    fn compared(&self) -> Vec<bool> {
        let mut compared = vec![false; self.values.len()];
        for effect in &self.effects {
            match *effect {
                Effect::Guard(_, [a, b], _) => {
                    compared[a as usize] = true;
                    compared[b as usize] = true;
                }
                Effect::Store(_, v) => compared[v as usize] |= self.compared,
                Effect::Pull(..) => {}
            }
        }
        for v in (0..self.values.len()).rev() {
            if compared[v] {
                self.each_operand(v as V, |a| compared[a as usize] = true);
            }
        }
        compared
    }

    /// Merges products into the additions that take them: a b + c. What a comparison depends on keeps its roundings,
    /// so that a branch is decided as by the function itself.
    pub(super) fn contract(&mut self) {
        let mut uses = self.uses();
        let compared = self.compared();
        for i in 0..self.values.len() {
            if uses[i] == 0 || self.uniform[i] || compared[i] {
                continue;
            }
            let product = |v: V| match self.values[v as usize] {
                _ if uses[v as usize] != 1 || self.uniform[v as usize] => None,
                X::Apply(MUL, [a, b, _]) => Some((a, b)),
                X::Apply(SQUARE, [a, ..]) => Some((a, a)),
                _ => None,
            };
            let X::Apply(op @ (ADD | SUB), [a, b, _]) = self.values[i] else { continue };
            let (signs, (p, q), c, gone) = match (product(b), product(a)) {
                (Some(pq), _) => (if op == ADD { Signs::Plus } else { Signs::Reverse }, pq, a, b),
                (_, Some(pq)) => (if op == ADD { Signs::Plus } else { Signs::Minus }, pq, b, a),
                _ => continue,
            };
            self.values[i] = X::Fused(signs, [p, q, c]);
            uses[gone as usize] = 0;
        }
    }

    /// Makes all values but constants differ from lane to lane. Products and additions stay as they are.
    pub(super) fn spread(&mut self) {
        for v in 0..self.values.len() {
            let mut uniform = !matches!(self.values[v], X::Operand(_) | X::Constant(_) | X::Cotangent(_));
            self.each_operand(v as V, |a| uniform &= self.uniform[a as usize]);
            self.uniform[v] = uniform;
        }
    }

    /// Joins chains of these to sums of products.
    pub(super) fn contract_chains(&mut self) {
        let uses = self.uses();
        let mut inner = vec![false; self.values.len()];
        for i in (0..self.values.len()).rev() {
            if uses[i] == 0 || inner[i] || self.uniform[i] {
                continue;
            }
            let (mut products, mut links, mut v) = (Vec::new(), Vec::new(), i);
            let start = loop {
                let link = v == i || uses[v] == 1 && !self.uniform[v];
                match self.values[v] {
                    X::Fused(Signs::Plus, [p, q, c]) if link => {
                        products.push((p, q));
                        links.push(v);
                        v = c as usize;
                    }
                    X::Apply(MUL, [p, q, _]) if link && v != i => {
                        products.push((p, q));
                        links.push(v);
                        break None;
                    }
                    _ => break Some(v as V),
                }
            };
            let uniform = |&(p, q): &(V, V)| [self.uniform[p as usize], self.uniform[q as usize]];
            let one = products.iter().all(|pq| uniform(pq)[0] != uniform(pq)[1]);
            let none = products.iter().all(|pq| uniform(pq) == [false, false]);
            if products.len() < 3 || !(one || none) {
                continue;
            }
            for &v in &links {
                inner[v] = true;
            }
            products.reverse();
            if one {
                for pq in &mut products {
                    if self.uniform[pq.1 as usize] {
                        *pq = (pq.1, pq.0);
                    }
                }
            }
            self.values[i] = X::Dot(self.dots.len() as u32);
            self.dots.push(Dot { start, products });
        }
    }
}

/// True for numbers whose products with each other neither overflow nor underflow.
fn is_moderate<F: BaseFloat>(x: F) -> bool {
    let size = num_traits::Float::abs(x);
    size < F::lit(1e6) && size > F::lit(1e-6)
}

impl<F: BaseFloat> Emit<F> for Body<'_, F> {
    fn ops(&mut self) -> &mut Ops<F> {
        self.ops
    }

    fn constant(&mut self, x: F) -> u32 {
        self.push(X::Number(x), true)
    }

    fn apply(&mut self, op: OpId, x: &[u32]) -> u32 {
        // Where a factor is not finite, neither is the result, and the replay decides.
        let op = if op == PRODUCT { MUL } else { op };
        let number = |k: usize| self.number(x[k]);
        if op != SUM && x.iter().all(|&v| self.number(v).is_some()) {
            let values: SmallVec<[F; 4]> = x.iter().filter_map(|&v| self.number(v)).collect();
            let value = self.ops.eval(op, &values);
            return self.constant(value);
        }
        match op {
            SUM => {
                let first = x[0];
                return x[1..].iter().fold(first, |sum, &v| self.apply(ADD, &[sum, v]));
            }
            NEG => {
                if let Some(a) = self.negated(x[0]) {
                    return a;
                }
            }
            MUL => {
                if x[0] == x[1] {
                    return self.apply(SQUARE, &x[..1]);
                }
                for (k, other) in [(0, x[1]), (1, x[0])] {
                    if number(k) == Some(F::one()) {
                        return other;
                    }
                    if number(k) == Some(-F::one()) {
                        return self.apply(NEG, &[other]);
                    }
                }
            }
            ADD => {
                for (a, b) in [(x[0], x[1]), (x[1], x[0])] {
                    if let Some(n) = self.negated(b) {
                        return self.apply(SUB, &[a, n]);
                    }
                }
            }
            SUB => {
                if let Some(n) = self.negated(x[1]) {
                    return self.apply(ADD, &[x[0], n]);
                }
            }
            DIV if number(1) == Some(F::one()) => return x[0],
            _ => {}
        }
        let uniform = x.iter().all(|&v| self.uniform[v as usize]);
        let mut operands = [NONE; 3];
        operands[..x.len()].copy_from_slice(x);
        if matches!(op, ADD | MUL) && operands[0] > operands[1] {
            operands.swap(0, 1);
        }
        self.push(X::Apply(op, operands), uniform)
    }

    fn product(&mut self, a: u32, b: u32) -> u32 {
        for (a, b) in [(a, b), (b, a)] {
            if let Some(c) = self.number(a) {
                return self.scale(c, b);
            }
            if let Some([p, q]) = self.factors(a) {
                for (p, q) in [(p, q), (q, p)] {
                    if let Some(c) = self.number(p).filter(|&c| is_moderate(c)) {
                        let t = self.product(q, b);
                        return self.scale(c, t);
                    }
                }
            }
            if let Some(p) = self.negated(a) {
                let t = self.product(p, b);
                return self.apply(NEG, &[t]);
            }
        }
        self.apply(MUL, &[a, b])
    }
}
