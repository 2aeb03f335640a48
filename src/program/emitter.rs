//! The way from a body to tile code.

use smallvec::SmallVec;

use super::body::{Body, Effect, V, X};
use super::code::{ABSENT, At, Code, Eight, Factor, Inst, Kind, Reduction, Slice, TileDot, UniformInst, lanes_of};
use super::ops::{DIV, MUL, NEG, SQUARE};
use super::table::NONE;
use crate::number::BaseFloat;

/// The bytes of rows that a tile may use: they stay in the first cache.
const TILE_BYTES: usize = 28 << 10;

/// The sums over lanes that may wait for others: each keeps rows from being used again.
const MOST_WAITING: usize = 32;

/// A value's effect, ready to be placed.
struct Placed {
    kind: Kind,
    /// The number of the root that a copy is for.
    root: u32,
    x: SmallVec<[V; 2]>,
}

struct Emitter<'b, 'o, F> {
    body: &'b Body<'o, F>,
    uses: Vec<u32>,
    /// True for products that an effect takes apart.
    absorbed: Vec<bool>,
    at: Vec<At>,
    /// Sums over lanes that wait for others, with which they are taken at once.
    waiting: Vec<Inst>,
    /// Rows that are free, and rows that will be when nothing that waits needs them.
    free: Vec<At>,
    retired: Vec<At>,
    code: Code<F>,
}

impl<F: BaseFloat> Code<F> {
    /// The code of a body. `uniform` tells of each operand whether its adjoint is one number for all lanes; with `total`,
    /// the value of the root is summed up over the lanes instead of stored.
    pub(super) fn new(body: &Body<'_, F>, uniform: &[bool], total: bool, lanes: usize) -> Self {
        let mut emitter = Emitter {
            uses: body.uses(),
            absorbed: vec![false; body.values.len()],
            at: vec![ABSENT; body.values.len()],
            waiting: Vec::new(),
            free: Vec::new(),
            retired: Vec::new(),
            body,
            code: Code {
                prologue: Vec::new(),
                main: Vec::new(),
                dots: Vec::new(),
                eights: Vec::new(),
                reductions: Vec::new(),
                numbers: Vec::new(),
                uniform_operands: Vec::new(),
                uniform_cotangent: None,
                uniforms: 0,
                slices: Vec::new(),
                roots: 0,
                rows: 0,
                width: 0,
            },
        };
        emitter.leaves();
        let effects = emitter.effects(uniform, total);
        emitter.instructions(effects);
        let mut code = emitter.code;
        let row = size_of::<F>() * (code.rows + code.slices.len().min(6)).max(1);
        let most = 4096 / size_of::<F>();
        code.width = ((TILE_BYTES / row).clamp(64, most) / lanes_of::<F>() * lanes_of::<F>())
            .min(lanes.next_multiple_of(lanes_of::<F>()));
        code
    }
}

impl<F: BaseFloat> Emitter<'_, '_, F> {
    fn is_leaf(&self, v: V) -> bool {
        !matches!(self.body.values[v as usize], X::Apply(..) | X::Fused(..) | X::Dot(_))
    }

    /// Places for numbers that are not computed, and for uniform ones.
    fn leaves(&mut self) {
        let body = self.body;
        for (v, x) in body.values.iter().enumerate().filter(|&(v, _)| self.uses[v] > 0) {
            if let X::Number(c) = *x {
                self.at[v] = At::uniform(self.code.numbers.len() as u32);
                self.code.numbers.push(c);
            }
        }
        self.code.uniforms = self.code.numbers.len();
        for (v, x) in body.values.iter().enumerate() {
            if self.uses[v] == 0 {
                continue;
            }
            let uniform = body.uniform[v];
            let slice = match *x {
                X::Number(_) => continue,
                X::Operand(k) => Slice::Operand(k),
                X::Constant(k) => Slice::Constant(k),
                X::Cotangent(_) => Slice::Cotangent,
                _ if uniform => {
                    self.at[v] = self.uniform();
                    continue;
                }
                _ => continue,
            };
            self.at[v] = if uniform {
                let at = self.uniform();
                match slice {
                    Slice::Operand(k) => self.code.uniform_operands.push((k, at.index())),
                    _ => self.code.uniform_cotangent = Some(at.index()),
                }
                at
            } else {
                self.code.slices.push(slice);
                At::row(self.code.slices.len() as u32 - 1)
            };
        }
    }

    fn uniform(&mut self) -> At {
        self.code.uniforms += 1;
        At::uniform(self.code.uniforms as u32 - 1)
    }

    /// The effects but for stores of computed values, each with the value after which it comes.
    fn effects(&mut self, uniform: &[bool], total: bool) -> Vec<Placed> {
        let body = self.body;
        let mut placed = Vec::with_capacity(body.effects.len());
        for effect in &body.effects {
            match *effect {
                Effect::Guard(test, pair, outcome) => {
                    placed.push(Placed { kind: Kind::Guard(test, outcome), root: NONE, x: pair.into() });
                }
                Effect::Store(k, v) if !total => {
                    placed.push(Placed { kind: Kind::CopyR, root: k, x: [v].into_iter().collect() });
                }
                Effect::Store(_, v) => placed.push(self.reduction(NONE, v)),
                Effect::Pull(k, v) if uniform[k as usize] => placed.push(self.reduction(k, v)),
                Effect::Pull(k, v) => {
                    let x = match body.values[v as usize] {
                        X::Apply(MUL, [a, b, _]) if self.may_absorb(v) => {
                            self.absorbed[v as usize] = true;
                            // A uniform factor comes first.
                            if body.uniform[b as usize] { [b, a].into() } else { [a, b].into() }
                        }
                        _ => [v].into_iter().collect(),
                    };
                    placed.push(Placed { kind: Kind::Pull(k), root: NONE, x });
                }
            }
        }
        placed
    }

    fn may_absorb(&self, v: V) -> bool {
        self.uses[v as usize] == 1 && !self.body.uniform[v as usize]
    }

    /// A sum over lanes, with what all terms share taken out of it.
    fn reduction(&mut self, operand: u32, mut v: V) -> Placed {
        let body = self.body;
        let uniform = |v: V| body.uniform[v as usize];
        let place = |emitter: &Self, v: V| {
            debug_assert!(emitter.at[v as usize].is_uniform(), "a factor of all lanes");
            emitter.at[v as usize].index()
        };
        let mut factors = SmallVec::new();
        while self.may_absorb(v) {
            let (factor, rest) = match body.values[v as usize] {
                X::Apply(NEG, [a, ..]) => (Factor::Minus, a),
                X::Apply(MUL, [a, b, _]) if uniform(a) && !uniform(b) => (Factor::Times(place(self, a)), b),
                X::Apply(MUL, [a, b, _]) if uniform(b) && !uniform(a) => (Factor::Times(place(self, b)), a),
                X::Apply(DIV, [a, b, _]) if uniform(b) && !uniform(a) => (Factor::Over(place(self, b)), a),
                _ => break,
            };
            factors.push(factor);
            self.absorbed[v as usize] = true;
            v = rest;
        }
        factors.reverse();
        let x = match body.values[v as usize] {
            X::Apply(MUL, [a, b, _]) if self.may_absorb(v) && !uniform(a) && !uniform(b) => Some([a, b]),
            X::Apply(SQUARE, [a, ..]) if self.may_absorb(v) => Some([a, a]),
            _ => None,
        };
        self.absorbed[v as usize] |= x.is_some();
        self.code.reductions.push(Reduction { operand, factors });
        let x = x.map_or_else(|| [v].into_iter().collect(), SmallVec::from);
        Placed { kind: Kind::Reduce(self.code.reductions.len() as u32 - 1), root: NONE, x }
    }

    fn instructions(&mut self, effects: Vec<Placed>) {
        let body = self.body;
        let n = body.values.len();
        let computed =
            |emitter: &Self, v: V| !emitter.is_leaf(v) && !body.uniform[v as usize] && !emitter.absorbed[v as usize];
        self.code.roots =
            effects.iter().filter(|e| e.kind == Kind::CopyR).map(|e| e.root + 1).max().unwrap_or(0) as usize;
        // A value that is stored is computed in the root's slots, unless other roots would be computed from there.
        let roots = effects.iter().filter(|e| e.kind == Kind::CopyR).count();
        let mut stored = vec![NONE; n];
        let mut direct = vec![false; effects.len()];
        for (i, effect) in effects.iter().enumerate().filter(|(_, e)| e.kind == Kind::CopyR) {
            let v = effect.x[0];
            if computed(self, v) && (roots == 1 || self.uses[v as usize] == 1) {
                stored[v as usize] = effect.root;
                direct[i] = true;
            }
        }
        // After which value each effect comes; those of leaves alone come last.
        let mut after: Vec<SmallVec<[u32; 2]>> = vec![SmallVec::new(); n + 1];
        for (i, effect) in effects.iter().enumerate() {
            if direct[i] {
                continue;
            }
            let last = effect.x.iter().filter(|&&v| computed(self, v)).max();
            after[last.map_or(n, |&v| v as usize)].push(i as u32);
        }
        // The last place that needs each row.
        let mut last = vec![0_usize; n];
        for v in 0..n as u32 {
            if self.uses[v as usize] > 0 && computed(self, v) {
                body.each_operand(v, |a| last[a as usize] = last[a as usize].max(v as usize));
                last[v as usize] = last[v as usize].max(v as usize);
            }
        }
        for (place, list) in after.iter().enumerate() {
            for &i in list {
                effects[i as usize].x.iter().for_each(|&a| last[a as usize] = last[a as usize].max(place));
            }
        }
        let mut dies: Vec<SmallVec<[V; 2]>> = vec![SmallVec::new(); n + 1];
        for v in 0..n as u32 {
            if self.uses[v as usize] > 0 && computed(self, v) {
                dies[last[v as usize]].push(v);
            }
        }
        for v in 0..n {
            if self.uses[v] > 0 && !self.is_leaf(v as V) && !self.absorbed[v] {
                if body.uniform[v] {
                    self.uniform_instruction(v as V);
                    continue;
                }
                let out = if stored[v] < NONE { self.root(stored[v]) } else { self.free_row() };
                self.at[v] = out;
                self.instruction(v as V, out);
            }
            for &i in &after[v] {
                self.effect(&effects[i as usize]);
            }
            for &dead in &dies[v] {
                let at = self.at[dead as usize];
                if !at.is_uniform() && at.index() >= self.first_row() {
                    self.retired.push(at);
                }
            }
            self.release();
        }
        for &i in &after[n] {
            self.effect(&effects[i as usize]);
        }
        self.join(|_| true);
        self.code.main.append(&mut self.waiting);
    }

    /// The row of a root's values.
    fn root(&self, k: u32) -> At {
        At::row(self.code.slices.len() as u32 + k)
    }

    /// The first row of the tile's own.
    fn first_row(&self) -> u32 {
        (self.code.slices.len() + self.code.roots) as u32
    }

    fn free_row(&mut self) -> At {
        self.free.pop().unwrap_or_else(|| {
            self.code.rows += 1;
            At::row(self.first_row() + self.code.rows as u32 - 1)
        })
    }

    /// Frees the retired rows that no waiting sum needs.
    fn release(&mut self) {
        let Self { retired, free, waiting, .. } = self;
        retired.retain(|&row| {
            let needed = waiting.iter().any(|inst| inst.x.contains(&row));
            if !needed {
                free.push(row);
            }
            needed
        });
    }

    /// Takes sums over lanes at once, eight that share a factor, and if there is nothing to wait for, any eight.
    fn join(&mut self, any: impl Fn(usize) -> bool) {
        let factors = |inst: &Inst| [inst.x[0], inst.x[1]];
        // The last one may have completed eight with one of its factors.
        let mut tried = 0;
        while tried < self.waiting.len() {
            let inst = self.waiting[self.waiting.len() - 1 - tried];
            tried += 1;
            if inst.x[1] == ABSENT {
                continue;
            }
            for factor in factors(&inst) {
                let product_with = |inst: &Inst| inst.x[1] != ABSENT && factors(inst).contains(&factor);
                let with: Vec<usize> =
                    (0..self.waiting.len()).filter(|&i| product_with(&self.waiting[i])).take(8).collect();
                if with.len() == 8 {
                    let eight = self.take(&with);
                    let other = |inst: &Inst| if inst.x[1] == factor { inst.x[0] } else { inst.x[1] };
                    let a = std::array::from_fn(|i| other(&eight[i]));
                    self.eight(&eight, a, Some([factor; 8]), true);
                    tried = 0;
                    break;
                }
            }
            if !any(self.waiting.len()) && tried > 0 {
                break;
            }
        }
        for products in [true, false] {
            loop {
                let alike: Vec<usize> =
                    (0..self.waiting.len()).filter(|&i| (self.waiting[i].x[1] != ABSENT) == products).take(8).collect();
                if alike.len() < 8 || !any(self.waiting.len()) {
                    break;
                }
                let eight = self.take(&alike);
                let side = |k: usize| std::array::from_fn(|i| eight[i].x[k]);
                self.eight(&eight, side(0), products.then(|| side(1)), false);
            }
        }
    }

    fn take(&mut self, places: &[usize]) -> Vec<Inst> {
        places.iter().rev().map(|&i| self.waiting.remove(i)).collect()
    }

    fn eight(&mut self, insts: &[Inst], a: [At; 8], b: Option<[At; 8]>, shared: bool) {
        let sums = std::array::from_fn(|i| if let Kind::Reduce(k) = insts[i].kind { k } else { NONE });
        debug_assert!(a.iter().chain(b.iter().flatten()).all(|at| !at.is_uniform()), "sums over rows");
        let (a, b) = (a.map(At::index), b.map(|b| b.map(At::index)));
        self.code.eights.push(Eight { sums, a, b, shared });
        let kind = Kind::Reduce8(self.code.eights.len() as u32 - 1);
        self.code.main.push(Inst { kind, out: ABSENT, x: [ABSENT; 3] });
    }

    fn uniform_instruction(&mut self, v: V) {
        let out = self.at[v as usize].index();
        let X::Apply(op, x) = self.body.values[v as usize] else {
            unreachable!("sums of products of uniform numbers are left alone")
        };
        let x = x.map(|a| if a == NONE { NONE } else { self.at[a as usize].index() });
        self.code.prologue.push(UniformInst { op, out, x });
    }

    fn instruction(&mut self, v: V, out: At) {
        let at = |v: V| if v == NONE { ABSENT } else { self.at[v as usize] };
        let inst = match self.body.values[v as usize] {
            X::Apply(op, x) => {
                let (kind, x) = Kind::apply(op, x.map(at));
                Inst { kind, out, x }
            }
            X::Fused(signs, x) => {
                let (kind, x) = Kind::fused(signs, x.map(at));
                Inst { kind, out, x }
            }
            X::Dot(k) => {
                let dot = &self.body.dots[k as usize];
                let by_uniform = at(dot.products[0].0).is_uniform();
                debug_assert!(
                    dot.products.iter().all(|&(a, b)| at(a).is_uniform() == by_uniform && !at(b).is_uniform()),
                    "products of one kind"
                );
                let products = dot.products.iter().map(|&(a, b)| (at(a).index(), at(b).index())).collect();
                self.code.dots.push(TileDot { start: dot.start.map_or(ABSENT, at), products, by_uniform });
                Inst { kind: Kind::Dot(self.code.dots.len() as u32 - 1), out, x: [ABSENT; 3] }
            }
            _ => unreachable!("a leaf is not computed"),
        };
        self.code.main.push(inst);
    }

    fn effect(&mut self, effect: &Placed) {
        let mut x = [ABSENT; 3];
        for (to, &v) in x.iter_mut().zip(&effect.x) {
            *to = self.at[v as usize];
        }
        let (kind, out) = match effect.kind {
            Kind::CopyR => (if x[0].is_uniform() { Kind::CopyN } else { Kind::CopyR }, self.root(effect.root)),
            kind => (kind, ABSENT),
        };
        let inst = Inst { kind, out, x };
        let uniform = inst.x.iter().any(|&x| x.is_uniform() && x != ABSENT);
        if matches!(inst.kind, Kind::Reduce(_)) && !uniform {
            self.waiting.push(inst);
            self.join(|waiting| waiting >= MOST_WAITING);
        } else {
            self.code.main.push(inst);
        }
    }
}
