//! Tile code: a body as instructions on rows of lanes.

use smallvec::SmallVec;

use super::body::{Body, Effect, Signs, V, X};
use super::graph::NONE;
use super::ops::{ADD, DIV, MUL, NEG, OpId, SQUARE, SUB};
use crate::number::BaseFloat;
use crate::recording::Test;
use crate::slices::rows::Source;

/// The bytes of the longest vector.
const VECTOR: usize = 64;

/// Lanes are computed in multiples of this number; what is behind the last lane is never used.
pub(super) const fn lanes_of<F>() -> usize {
    VECTOR / size_of::<F>()
}

/// The distance of rows of so many lanes. Rows at multiples of 4 kB would share the places of a cache.
pub(super) const fn pitch<F>(width: usize) -> usize {
    width + lanes_of::<F>()
}

/// The bytes of rows that a tile may use: they stay in the first cache.
const TILE_BYTES: usize = 28 << 10;

/// Where the numbers of an operand are while a tile runs: in a row, or in one place for all lanes.
///
/// Rows count from the [`Slice`]s that a tile reads; then come the roots' values, then rows of the tile's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(u32);

impl At {
    const UNIFORM: u32 = 1 << 31;

    fn row(k: u32) -> Self {
        debug_assert!(k < Self::UNIFORM, "row {k}");
        Self(k)
    }

    fn uniform(place: u32) -> Self {
        Self(place | Self::UNIFORM)
    }

    #[inline(always)]
    pub(super) fn is_uniform(self) -> bool {
        self.0 >= Self::UNIFORM
    }

    /// The number of the row, or the place of the number.
    #[inline(always)]
    pub(super) fn index(self) -> u32 {
        self.0 & !Self::UNIFORM
    }

    /// The operand, given the numbers that all lanes share.
    #[inline(always)]
    pub(super) fn source<F: BaseFloat>(self, uniforms: &[F]) -> Source<F> {
        if !self.is_uniform() {
            Source::Row(self.0)
        } else if self == ABSENT {
            Source::Number(F::zero())
        } else {
            Source::Number(uniforms[self.index() as usize])
        }
    }
}

/// In place of an operand that is not there.
pub(super) const ABSENT: At = At(u32::MAX);

/// A slice of lanes that a tile reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slice {
    Operand(u32),
    Constant(u32),
    /// The adjoints of the roots.
    Cotangent,
}

/// What an instruction does. All kinds stand side by side: one jump for each instruction (see M38 in docs/MEASUREMENTS.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    // Arithmetic. The letters stand for the operands: R for a row, N for one number of all lanes.
    CopyR,
    CopyN,
    NegR,
    SquareR,
    AddRR,
    AddRN,
    SubRR,
    SubRN,
    SubNR,
    MulRR,
    MulRN,
    DivRR,
    DivRN,
    DivNR,
    /// a b + c.
    PlusRRR,
    PlusRRN,
    PlusNRR,
    PlusNRN,
    /// a b - c.
    MinusRRR,
    MinusRRN,
    MinusNRR,
    MinusNRN,
    /// c - a b.
    ReverseRRR,
    ReverseRRN,
    ReverseNRR,
    ReverseNRN,
    /// A row of the table.
    Row(OpId),
    /// The sum of products with this number.
    Dot(u32),
    /// Into the sum with this number: a, or a b where b is given.
    Reduce(u32),
    /// Eight of these at once, from this place in the list of reductions' operands.
    Reduce8(u32),
    /// To the adjoints of an operand: a, or a b where b is given.
    Pull(u32),
    Guard(Test, bool),
}

impl Kind {
    /// An operation of the graph, and its operands in the order in which the kind has them.
    fn apply(op: OpId, mut x: [At; 3]) -> (Self, [At; 3]) {
        use Kind::{AddRN, AddRR, DivNR, DivRN, DivRR, MulRN, MulRR, NegR, Row, SquareR, SubNR, SubRN, SubRR};
        if matches!(op, ADD | MUL) && x[0].is_uniform() {
            x.swap(0, 1);
        }
        let rows = x.map(|x| !x.is_uniform());
        let kind = match (op, rows) {
            (NEG, [true, ..]) => NegR,
            (SQUARE, [true, ..]) => SquareR,
            (ADD, [true, true, _]) => AddRR,
            (ADD, [true, false, _]) => AddRN,
            (SUB, [true, true, _]) => SubRR,
            (SUB, [true, false, _]) => SubRN,
            (SUB, [false, true, _]) => SubNR,
            (MUL, [true, true, _]) => MulRR,
            (MUL, [true, false, _]) => MulRN,
            (DIV, [true, true, _]) => DivRR,
            (DIV, [true, false, _]) => DivRN,
            (DIV, [false, true, _]) => DivNR,
            (NEG | SQUARE | ADD | SUB | MUL | DIV, _) => unreachable!("no operand differs from lane to lane"),
            _ => Row(op),
        };
        (kind, x)
    }

    /// A product with a third operand, and the operands in the order in which the kind has them.
    fn fused(signs: Signs, mut x: [At; 3]) -> (Self, [At; 3]) {
        use Kind::{
            MinusNRN, MinusNRR, MinusRRN, MinusRRR, PlusNRN, PlusNRR, PlusRRN, PlusRRR, ReverseNRN, ReverseNRR,
            ReverseRRN, ReverseRRR,
        };
        if x[1].is_uniform() {
            x.swap(0, 1);
        }
        debug_assert!(!x[1].is_uniform(), "products of uniform numbers are uniform");
        let kinds = match signs {
            Signs::Plus => [PlusRRR, PlusRRN, PlusNRR, PlusNRN],
            Signs::Minus => [MinusRRR, MinusRRN, MinusNRR, MinusNRN],
            Signs::Reverse => [ReverseRRR, ReverseRRN, ReverseNRR, ReverseNRN],
        };
        (kinds[2 * usize::from(x[0].is_uniform()) + usize::from(x[2].is_uniform())], x)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Inst {
    pub(super) kind: Kind,
    pub(super) out: At,
    pub(super) x: [At; 3],
}

/// An instruction on numbers that all lanes share.
#[derive(Clone, Copy, Debug)]
pub(super) struct UniformInst {
    pub(super) op: OpId,
    pub(super) out: u32,
    pub(super) x: [u32; 3],
}

/// A sum over lanes.
#[derive(Clone, Debug)]
pub(super) struct Reduction {
    /// The operand whose adjoint takes the sum; [`NONE`] for the value of the roots, which go into a sum.
    pub(super) operand: u32,
    /// Operations on the sum, from the first: factors of every term.
    pub(super) factors: SmallVec<[Factor; 2]>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Factor {
    Minus,
    Times(u32),
    Over(u32),
}

/// start + Σ aₖ bₖ.
#[derive(Clone, Debug)]
pub(super) struct TileDot {
    pub(super) start: At,
    /// Pairs of rows, or of a uniform place and a row.
    pub(super) products: Vec<(u32, u32)>,
    /// True if the first factor of every product is one number for all lanes.
    pub(super) by_uniform: bool,
}

/// The instructions of a body.
#[derive(Clone, Debug)]
pub(super) struct Code<F> {
    pub(super) prologue: Vec<UniformInst>,
    pub(super) main: Vec<Inst>,
    pub(super) dots: Vec<TileDot>,
    pub(super) eights: Vec<Eight>,
    pub(super) reductions: Vec<Reduction>,
    /// The constants among the uniform numbers, which come first.
    pub(super) numbers: Vec<F>,
    /// The operands that are uniform, with their places among the uniform numbers.
    pub(super) uniform_operands: Vec<(u32, u32)>,
    /// The place of a cotangent that is uniform.
    pub(super) uniform_cotangent: Option<u32>,
    pub(super) uniforms: usize,
    pub(super) slices: Vec<Slice>,
    /// The roots whose values the tile computes or copies, from the first.
    pub(super) roots: usize,
    /// The rows of the tile's own.
    pub(super) rows: usize,
    pub(super) width: usize,
}

/// Eight reductions: their numbers, and their factors. Plain sums have no second factors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eight {
    pub(super) sums: [u32; 8],
    pub(super) a: [u32; 8],
    pub(super) b: Option<[u32; 8]>,
    /// True if all second factors are one row.
    pub(super) shared: bool,
}

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

    /// The number of instructions of each kind, as text.
    pub(super) fn count(&self) -> String {
        let mut counts = [
            ("arithmetic", 0),
            ("rows", 0),
            ("sums of products", 0),
            ("sums over lanes", 0),
            ("added", 0),
            ("guards", 0),
        ];
        for inst in &self.main {
            counts[match inst.kind {
                Kind::Row(_) => 1,
                Kind::Dot(_) => 2,
                Kind::Reduce(_) | Kind::Reduce8(_) => 3,
                Kind::Pull(_) => 4,
                Kind::Guard(..) => 5,
                _ => 0,
            }]
            .1 += 1;
        }
        let texts: Vec<String> = counts.iter().filter(|c| c.1 > 0).map(|(name, n)| format!("{n} {name}")).collect();
        texts.join(", ")
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
