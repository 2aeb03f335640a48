//! Parts of a function without lanes: a list of operations on single numbers.

use pulp::{Arch, Simd};
use smallvec::SmallVec;

use super::body::{Body, Effect, Signs, V, X};
use super::graph::NONE;
use super::kernels::{self, Src};
use super::ops::{ADD, DIV, MUL, NEG, OpId, Ops, SQUARE, SUB};
use crate::number::BaseFloat;
use crate::recording::Test;

/// An operation on numbers of the program's memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inst {
    kind: Kind,
    out: u32,
    x: [u32; 3],
}

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
}

/// The places in a program's memory: values by slot, then adjoints by slot, then numbers of scalar operations.
pub(super) struct Places<'a> {
    /// The slots of operands and roots.
    pub(super) operands: &'a [u32],
    pub(super) roots: &'a [u32],
    /// The place of the adjoint of slot 0.
    pub(super) adjoints: u32,
    /// The next free place.
    pub(super) next: u32,
    /// True if these are all operations of the program: adjoints are set, not increased.
    pub(super) alone: bool,
}

/// A list of instructions.
#[derive(Clone, Debug)]
pub(super) struct Scalars<F> {
    pub(super) forward: Vec<Inst>,
    pub(super) reverse: Vec<Inst>,
    /// Constants and their places.
    pub(super) numbers: Vec<(u32, F)>,
}

impl<F: BaseFloat> Scalars<F> {
    /// The instructions of a body. Takes the places that they need.
    pub(super) fn new(body: &Body<'_, F>, places: &mut Places<'_>) -> Self {
        let uses = body.uses();
        let n = body.values.len();
        let mut code = Self { forward: Vec::with_capacity(body.forward), reverse: Vec::new(), numbers: Vec::new() };
        let mut at = vec![NONE; n];
        let computed = |v: V| matches!(body.values[v as usize], X::Apply(..) | X::Fused(..));
        // A value that is stored, or that is the whole adjoint of an operand, is computed there.
        let mut copies = Vec::new();
        let mut increases: Vec<SmallVec<[(u32, V); 1]>> = vec![SmallVec::new(); n];
        let mut absorbed = vec![false; n];
        for effect in &body.effects {
            match *effect {
                Effect::Store(k, v) => {
                    let slot = places.roots[k as usize];
                    if computed(v) && at[v as usize] == NONE {
                        at[v as usize] = slot;
                    } else {
                        copies.push((slot, v));
                    }
                }
                Effect::Pull(k, v) => {
                    let place = places.adjoints + places.operands[k as usize];
                    if places.alone && computed(v) && at[v as usize] == NONE {
                        at[v as usize] = place;
                    } else {
                        increases[v as usize].push((place, v));
                    }
                }
                Effect::Guard(..) => {}
            }
        }
        // The products that are added to an adjoint in one instruction.
        let mut factors = vec![[NONE; 2]; n];
        for v in 0..n {
            if let (X::Apply(MUL, [a, b, _]), [_], 1, false) =
                (body.values[v], &increases[v][..], uses[v], places.alone)
            {
                absorbed[v] = true;
                factors[v] = [a, b];
            }
        }
        for v in (0..n).filter(|&v| uses[v] > 0) {
            match body.values[v] {
                X::Operand(k) => at[v] = places.operands[k as usize],
                X::Number(c) => {
                    at[v] = places.take();
                    code.numbers.push((at[v], c));
                }
                X::Cotangent(k) => at[v] = places.adjoints + places.roots[k as usize],
                X::Apply(op, x) => {
                    let list = if v < body.forward { &mut code.forward } else { &mut code.reverse };
                    let x = x.map(|a| if a == NONE { 0 } else { at[a as usize] });
                    if !absorbed[v] {
                        if at[v] == NONE {
                            at[v] = places.take();
                        }
                        let kind = match op {
                            NEG => Kind::Neg,
                            SQUARE => Kind::Square,
                            ADD => Kind::Add,
                            SUB => Kind::Sub,
                            MUL => Kind::Mul,
                            DIV => Kind::Div,
                            _ => Kind::Row(op),
                        };
                        list.push(Inst { kind, out: at[v], x });
                    }
                }
                X::Fused(signs, x) => {
                    let list = if v < body.forward { &mut code.forward } else { &mut code.reverse };
                    let x = x.map(|a| at[a as usize]);
                    if at[v] == NONE {
                        at[v] = places.take();
                    }
                    list.push(Inst { kind: Kind::Fused(signs), out: at[v], x });
                }
                X::Constant(_) | X::Dot(_) => unreachable!("scalar code has neither lanes nor sums of products"),
            }
            for &(place, _) in &increases[v] {
                let (kind, x) = if absorbed[v] {
                    let [a, b] = factors[v].map(|a| at[a as usize]);
                    (Kind::IncreaseProduct, [a, b, 0])
                } else {
                    (if places.alone { Kind::Copy } else { Kind::Increase }, [at[v], 0, 0])
                };
                code.reverse.push(Inst { kind, out: place, x });
            }
        }
        for (slot, v) in copies {
            code.forward.push(Inst { kind: Kind::Copy, out: slot, x: [at[v as usize], 0, 0] });
        }
        for effect in &body.effects {
            if let Effect::Guard(test, [a, b], outcome) = *effect {
                let x = [at[a as usize], at[b as usize], 0];
                code.forward.push(Inst { kind: Kind::Guard(test, outcome), out: 0, x });
            }
        }
        code
    }
}

impl Places<'_> {
    fn take(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

/// Runs the instructions. Returns false if a comparison came out otherwise.
#[inline(always)]
pub(super) fn run<S: Simd, F: BaseFloat>(arch: Arch, code: &[Inst], ops: &Ops<F>, memory: &mut [F]) -> bool {
    let mut good = true;
    for inst in code {
        let at = |k: usize| memory[inst.x[k] as usize];
        let out = inst.out as usize;
        let y = match inst.kind {
            Kind::Copy => at(0),
            Kind::Neg => -at(0),
            Kind::Square => at(0) * at(0),
            Kind::Add => at(0) + at(1),
            Kind::Sub => at(0) - at(1),
            Kind::Mul => at(0) * at(1),
            Kind::Div => at(0) / at(1),
            Kind::Fused(Signs::Plus) => F::times_plus_one::<S>(at(0), at(1), at(2)),
            Kind::Fused(Signs::Minus) => F::times_plus_one::<S>(at(0), at(1), -at(2)),
            Kind::Fused(Signs::Reverse) => F::times_plus_one::<S>(-at(0), at(1), at(2)),
            Kind::Increase => memory[out] + at(0),
            Kind::IncreaseProduct => F::times_plus_one::<S>(at(0), at(1), memory[out]),
            Kind::Row(op) => {
                let [a, b, c] = inst.x.map(|x| [memory[x as usize]]);
                let mut y = [F::zero()];
                kernels::row(arch, ops.get(op), &mut y, [Src::Lanes(&a), Src::Lanes(&b), Src::Lanes(&c)]);
                y[0]
            }
            Kind::Guard(test, outcome) => {
                good &= test.holds(at(0), at(1)) == outcome;
                continue;
            }
        };
        memory[out] = y;
    }
    good
}
