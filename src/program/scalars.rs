//! Parts of a function without lanes: a list of operations on single numbers.

use pulp::{Arch, Simd};
use smallvec::SmallVec;

use super::body::{Body, Effect, Signs, V, X};
use super::kernels::{self, Src};
use super::ops::{ADD, DIV, MUL, NEG, OpId, Ops, SQUARE, SUB};
use super::table::NONE;
use crate::number::BaseFloat;
use crate::recording::Test;

/// An operation on numbers of the program's memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inst<P = u32> {
    kind: Kind,
    out: P,
    x: [P; 3],
}

/// The numbers of the memory of a small list, whose places need no check.
pub(super) const SMALL: usize = 1 << u8::BITS;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Copy,
    Neg,
    Square,
    Add,
    Sub,
    Mul,
    Div,
    Fused(Signs),
    Row(OpId),
    /// out += a
    Increase,
    /// out += a b
    IncreaseProduct,
    Guard(Test, bool),
    /// A number whose place is listed turn by turn, in the list with this number.
    Fetch,
    /// To the adjoint of such a number, out of place `out`: += a
    Return,
}

impl Kind {
    fn of(op: OpId) -> Self {
        match op {
            NEG => Self::Neg,
            SQUARE => Self::Square,
            ADD => Self::Add,
            SUB => Self::Sub,
            MUL => Self::Mul,
            DIV => Self::Div,
            _ => Self::Row(op),
        }
    }
}

/// An operand of a list.
pub(super) enum Operand {
    At(u32),
    /// The slots, turn by turn.
    Listed(Vec<u32>),
}

/// Places that move by one distance from turn to turn of a loop. The upper bits of a place in a loop are its class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    pub(super) start: u32,
    pub(super) distance: u32,
}

impl Class {
    pub(super) const MOST: usize = 1 << (u32::BITS - Self::SHIFT);
    const SHIFT: u32 = 29;

    pub(super) fn place(class: u32, place: u32) -> u32 {
        class << Self::SHIFT | place
    }
}

/// The places in a program's memory: values by slot, then adjoints by slot, then numbers of scalar operations.
pub(super) struct Places<'a> {
    /// The slots of operands and roots.
    pub(super) operands: &'a [Operand],
    pub(super) roots: &'a [u32],
    /// The places of the constants that differ from turn to turn.
    pub(super) constants: &'a [u32],
    /// The place of the adjoint of slot 0.
    pub(super) adjoints: u32,
    /// The next free place.
    pub(super) next: u32,
    /// True if these are all operations of the program: adjoints are set, not increased.
    pub(super) alone: bool,
    pub(super) classes: SmallVec<[Class; 4]>,
    /// The number of turns of a loop.
    pub(super) turns: Option<usize>,
}

/// A list of instructions.
#[derive(Clone, Debug)]
pub(super) struct Scalars<F> {
    /// The instructions of the forward and of the reverse pass.
    passes: [Vec<Inst>; 2],
    /// Constants and their places.
    pub(super) numbers: Vec<(u32, F)>,
    classes: SmallVec<[Class; 4]>,
    /// The slots of operands that are listed.
    pub(super) listed: Vec<Vec<u32>>,
    /// Both passes, if all places are below [`SMALL`].
    small: Vec<Inst<u8>>,
}

/// The number that an instruction computes.
macro_rules! result {
    ($S:ident, $F:ident, $arch:expr, $ops:expr, $inst:expr, $memory:expr, $place:expr) => {{
        let at = |k: usize| $memory[$place($inst.x[k])];
        match $inst.kind {
            Kind::Copy => at(0),
            Kind::Neg => -at(0),
            Kind::Square => at(0) * at(0),
            Kind::Add => at(0) + at(1),
            Kind::Sub => at(0) - at(1),
            Kind::Mul => at(0) * at(1),
            Kind::Div => at(0) / at(1),
            Kind::Fused(Signs::Plus) => $F::times_plus_one::<$S>(at(0), at(1), at(2)),
            Kind::Fused(Signs::Minus) => $F::times_plus_one::<$S>(at(0), at(1), -at(2)),
            Kind::Fused(Signs::Reverse) => $F::times_plus_one::<$S>(-at(0), at(1), at(2)),
            Kind::Increase => $memory[$place($inst.out)] + at(0),
            Kind::IncreaseProduct => $F::times_plus_one::<$S>(at(0), at(1), $memory[$place($inst.out)]),
            Kind::Row(op) => {
                let [a, b, c] = [[at(0)], [at(1)], [at(2)]];
                let mut y = [$F::zero()];
                kernels::row($arch, $ops.get(op), &mut y, [Src::Lanes(&a), Src::Lanes(&b), Src::Lanes(&c)]);
                y[0]
            }
            Kind::Guard(..) | Kind::Fetch | Kind::Return => unreachable!("no result"),
        }
    }};
}

/// Where the values of a body go.
struct Targets {
    /// The place of each value, as far as it is known beforehand: a value that is stored, or that is the whole adjoint of
    /// an operand, is computed there.
    at: Vec<u32>,
    /// Slots that get a copy of a value.
    copies: Vec<(u32, V)>,
    /// For each value, the adjoints to which it is added.
    increases: Vec<SmallVec<[u32; 1]>>,
    /// For each value, its factors if it is a product that is added to an adjoint in one instruction.
    factors: Vec<Option<[V; 2]>>,
}

impl Targets {
    fn new<F: BaseFloat>(body: &Body<'_, F>, places: &Places<'_>) -> Self {
        let n = body.values.len();
        let uses = body.uses();
        let mut new =
            Self { at: vec![NONE; n], copies: Vec::new(), increases: vec![SmallVec::new(); n], factors: vec![None; n] };
        let is_free =
            |at: &[u32], v: V| at[v as usize] == NONE && matches!(body.values[v as usize], X::Apply(..) | X::Fused(..));
        for effect in &body.effects {
            match *effect {
                Effect::Store(k, v) if is_free(&new.at, v) => new.at[v as usize] = places.roots[k as usize],
                Effect::Store(k, v) => new.copies.push((places.roots[k as usize], v)),
                Effect::Pull(k, v) => {
                    let Operand::At(slot) = places.operands[k as usize] else { continue };
                    let place = places.adjoints + slot;
                    if places.alone && is_free(&new.at, v) {
                        new.at[v as usize] = place;
                    } else {
                        new.increases[v as usize].push(place);
                    }
                }
                Effect::Guard(..) => {}
            }
        }
        for v in (0..n).filter(|&v| !places.alone && uses[v] == 1 && new.increases[v].len() == 1) {
            if let X::Apply(MUL, [a, b, _]) = body.values[v] {
                new.factors[v] = Some([a, b]);
            }
        }
        new
    }
}

impl<F: BaseFloat> Scalars<F> {
    /// The instructions of a body. Takes the places that they need.
    pub(super) fn new(body: &Body<'_, F>, places: &mut Places<'_>) -> Self {
        let uses = body.uses();
        let mut code = Self {
            passes: [Vec::with_capacity(body.forward), Vec::new()],
            numbers: Vec::new(),
            classes: SmallVec::new(),
            listed: Vec::new(),
            small: Vec::new(),
        };
        let mut kept = Kept::new(body, places);
        let Targets { mut at, copies, increases, factors } = Targets::new(body, places);
        let mut listed = vec![NONE; places.operands.len()];
        for v in (0..body.values.len()).filter(|&v| uses[v] > 0) {
            let mut computed = None;
            match body.values[v] {
                X::Operand(k) => match &places.operands[k as usize] {
                    Operand::At(slot) => at[v] = *slot,
                    Operand::Listed(slots) => {
                        listed[k as usize] = code.list(slots);
                        at[v] = kept.take(v, places);
                        code.passes[0].push(Inst { kind: Kind::Fetch, out: at[v], x: [listed[k as usize], 0, 0] });
                    }
                },
                X::Constant(k) => at[v] = places.constants[k as usize],
                X::Number(c) => {
                    at[v] = places.take();
                    code.numbers.push((at[v], c));
                }
                X::Cotangent(k) => at[v] = places.adjoints + places.roots[k as usize],
                X::Apply(op, x) => computed = Some((Kind::of(op), x)),
                X::Fused(signs, x) => computed = Some((Kind::Fused(signs), x)),
                X::Dot(_) => unreachable!("scalar code has no sums of products"),
            }
            if let (Some((kind, x)), None) = (computed, factors[v]) {
                if at[v] == NONE {
                    at[v] = kept.take(v, places);
                }
                let x = x.map(|a| if a == NONE { 0 } else { at[a as usize] });
                code.passes[usize::from(v >= body.forward)].push(Inst { kind, out: at[v], x });
            }
            for &place in &increases[v] {
                let (kind, x) = match factors[v] {
                    Some([a, b]) => (Kind::IncreaseProduct, [at[a as usize], at[b as usize], 0]),
                    None if places.alone => (Kind::Copy, [at[v], 0, 0]),
                    None => (Kind::Increase, [at[v], 0, 0]),
                };
                code.passes[1].push(Inst { kind, out: place, x });
            }
        }
        for (slot, v) in copies {
            code.passes[0].push(Inst { kind: Kind::Copy, out: slot, x: [at[v as usize], 0, 0] });
        }
        for effect in &body.effects {
            match *effect {
                Effect::Guard(test, [a, b], outcome) => {
                    let x = [at[a as usize], at[b as usize], 0];
                    code.passes[0].push(Inst { kind: Kind::Guard(test, outcome), out: 0, x });
                }
                Effect::Pull(k, v) => {
                    let Operand::Listed(slots) = &places.operands[k as usize] else { continue };
                    if listed[k as usize] == NONE {
                        // Only the adjoint of this operand is needed.
                        listed[k as usize] = code.list(slots);
                    }
                    let x = [at[v as usize], listed[k as usize], 0];
                    code.passes[1].push(Inst { kind: Kind::Return, out: places.adjoints, x });
                }
                Effect::Store(..) => {}
            }
        }
        kept.finish(places);
        code.classes = std::mem::take(&mut places.classes);
        code
    }

    /// Keeps the slots of an operand, and gives them a number.
    fn list(&mut self, slots: &[u32]) -> u32 {
        self.listed.push(slots.to_vec());
        self.listed.len() as u32 - 1
    }
}

/// The values of a turn that its reverse pass needs: each turn has its own.
struct Kept {
    class: u32,
    count: u32,
    /// For each value, true if the reverse pass needs it.
    needed: Vec<bool>,
}

impl Kept {
    fn new<F: BaseFloat>(body: &Body<'_, F>, places: &Places<'_>) -> Self {
        let mut needed = Vec::new();
        if places.turns.is_some() {
            needed.resize(body.values.len(), false);
            for v in body.forward..body.values.len() {
                body.each_operand(v as V, |a| needed[a as usize] = true);
            }
            for effect in &body.effects {
                if let Effect::Pull(_, v) = *effect {
                    needed[v as usize] = true;
                    body.each_operand(v, |a| needed[a as usize] = true);
                }
            }
            needed[body.forward..].fill(false);
        }
        Self { class: places.classes.len() as u32, count: 0, needed }
    }

    /// A place for a value.
    fn take(&mut self, v: usize, places: &mut Places<'_>) -> u32 {
        if !self.needed.get(v).is_some_and(|&needed| needed) {
            return places.take();
        }
        self.count += 1;
        Class::place(self.class, self.count - 1)
    }

    /// Takes the memory of all turns.
    fn finish(self, places: &mut Places<'_>) {
        if let Some(turns) = places.turns {
            places.classes.push(Class { start: places.next, distance: self.count });
            places.next += self.count * turns as u32;
        }
    }
}

impl Places<'_> {
    fn take(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

impl<F: BaseFloat> Scalars<F> {
    /// The number of instructions.
    pub(super) fn len(&self) -> usize {
        self.passes[0].len() + self.passes[1].len()
    }

    /// Runs the instructions of a pass, the first of which computes values and the second one adjoints. In a loop it is
    /// one turn. Returns false if a comparison came out otherwise.
    #[inline(always)]
    pub(super) fn run<S: Simd, const LOOP: bool>(
        &self,
        arch: Arch,
        pass: usize,
        ops: &Ops<F>,
        memory: &mut [F],
        turn: usize,
    ) -> bool {
        let mut bases = [0_u32; Class::MOST];
        if LOOP {
            for (base, class) in bases.iter_mut().zip(&self.classes) {
                *base = class.start.wrapping_add(class.distance.wrapping_mul(turn as u32));
            }
        }
        // Distances may be negative.
        let place = |x: u32| {
            if LOOP {
                (x & (u32::MAX >> (u32::BITS - Class::SHIFT))).wrapping_add(bases[(x >> Class::SHIFT) as usize])
                    as usize
            } else {
                x as usize
            }
        };
        let mut good = true;
        for inst in &self.passes[pass] {
            let y = match inst.kind {
                Kind::Fetch => memory[self.listed[inst.x[0] as usize][turn] as usize],
                Kind::Return => {
                    let adjoint = inst.out + self.listed[inst.x[1] as usize][turn];
                    memory[adjoint as usize] += memory[place(inst.x[0])];
                    continue;
                }
                Kind::Guard(test, outcome) => {
                    good &= test.holds(memory[place(inst.x[0])], memory[place(inst.x[1])]) == outcome;
                    continue;
                }
                _ => result!(S, F, arch, ops, inst, memory, place),
            };
            memory[place(inst.out)] = y;
        }
        good
    }

    /// Makes the list small if it is: one list of both passes, for [`run_small`](Self::run_small).
    pub(super) fn shrink(&mut self) {
        let is_small = |inst: &Inst| inst.x.iter().chain([&inst.out]).all(|&place| (place as usize) < SMALL);
        if self.listed.is_empty() && self.passes.iter().flatten().all(is_small) {
            let small = |inst: &Inst| Inst { kind: inst.kind, out: inst.out as u8, x: inst.x.map(|x| x as u8) };
            self.small = self.passes.iter().flatten().map(small).collect();
        }
    }

    pub(super) fn is_small(&self) -> bool {
        !self.small.is_empty()
    }

    /// Runs both passes. Returns false if a comparison came out otherwise.
    #[inline(always)]
    pub(super) fn run_small<S: Simd>(&self, arch: Arch, ops: &Ops<F>, memory: &mut [F; SMALL]) -> bool {
        let place = usize::from;
        let mut good = true;
        for inst in &self.small {
            let y = match inst.kind {
                Kind::Fetch | Kind::Return => unreachable!("a small list is no loop"),
                Kind::Guard(test, outcome) => {
                    good &= test.holds(memory[place(inst.x[0])], memory[place(inst.x[1])]) == outcome;
                    continue;
                }
                _ => result!(S, F, arch, ops, inst, memory, place),
            };
            memory[place(inst.out)] = y;
        }
        good
    }
}
