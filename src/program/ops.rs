//! The operations of graphs and bodies, and the chain rule for each of them.

use crate::number::rules::{BinaryOp, BinaryRule, BinaryVisitor, UnaryOp, UnaryRule, UnaryVisitor, square};
use crate::number::{BaseFloat, Dual, Mark, Real};
use crate::recording::{Recorder, Source, Step};
use num_traits::Float;

/// An operation of a graph or of a body.
///
/// A row of the table comes with an order of derivative: 0 is the function, 1 its partial, 2 the derivative of the
/// partial. The operands of a row of order 0 are those of the function; the others have the function's value behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op<F> {
    Input,
    Constant,
    /// The sum of any number of operands.
    Sum,
    /// a b + c with one rounding.
    MulAdd,
    /// The product of a derivative and a partial, which is 0 if either is, whatever the other one is.
    Product,
    Unary(UnaryOp<F>, u8),
    /// The order with respect to each operand.
    Binary(BinaryOp, [u8; 2]),
}

/// The number of an operation in [`Ops`].
pub(super) type OpId = u16;

pub(super) const INPUT: OpId = 0;
pub(super) const CONSTANT: OpId = 1;
pub(super) const SUM: OpId = 2;
pub(super) const MUL_ADD: OpId = 3;
pub(super) const ADD: OpId = 4;
pub(super) const SUB: OpId = 5;
pub(super) const MUL: OpId = 6;
pub(super) const DIV: OpId = 7;
pub(super) const NEG: OpId = 8;
pub(super) const SQUARE: OpId = 9;
pub(super) const PRODUCT: OpId = 10;

/// The number of these.
const FIXED: usize = 11;

/// The different operations of a program, by number. The numbers of those above are fixed.
#[derive(Clone, Debug)]
pub(super) struct Ops<F> {
    list: Vec<Op<F>>,
    /// The partials of the operations, as far as they were asked for.
    partials: Vec<[Option<Partial<F>>; 2]>,
}

/// A partial derivative as a formula, or as an operation of its own.
#[derive(Clone, Debug)]
enum Partial<F> {
    Formula(Vec<Step<F>>, Vec<F>, Source),
    Row(OpId),
}

/// The longest formula of a partial that replaces the row's own function.
const FORMULA: usize = 4;

impl<F: BaseFloat> Ops<F> {
    pub(super) fn new() -> Self {
        let binary = |op| Op::Binary(op, [0, 0]);
        let list = vec![
            Op::Input,
            Op::Constant,
            Op::Sum,
            Op::MulAdd,
            binary(BinaryOp::add),
            binary(BinaryOp::sub),
            binary(BinaryOp::mul),
            binary(BinaryOp::div),
            Op::Unary(UnaryOp::neg(crate::number::rules::neg::new()), 0),
            Op::Unary(UnaryOp::square(square::new()), 0),
            Op::Product,
        ];
        Self { partials: vec![[None, None]; list.len()], list }
    }

    pub(super) fn get(&self, id: OpId) -> Op<F> {
        self.list[id as usize]
    }

    /// The number of an operation.
    ///
    /// # Panics
    ///
    /// If there are more than 65,535 different ones.
    pub(super) fn id(&mut self, op: Op<F>) -> OpId {
        let op = match op {
            Op::Unary(UnaryOp::powi(rule), 0) if rule.n == 2 => return SQUARE,
            other => other,
        };
        // The last ones are the likely ones. A row that is listed twice does no harm.
        let known = self.list.len().saturating_sub(64);
        if let Some(place) = self.list[..FIXED].iter().position(|&other| other == op) {
            return place as OpId;
        }
        if let Some(place) = self.list[known..].iter().rposition(|&other| other == op) {
            return (known + place) as OpId;
        }
        let id = OpId::try_from(self.list.len()).expect("program: more than 65,535 rows with different parameters");
        self.list.push(op);
        self.partials.push([None, None]);
        id
    }

    /// True if there is no room for the rows of another recording: derivatives need some of their own.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() > OpId::MAX as usize / 8
    }

    /// The value of an operation other than a sum.
    pub(super) fn eval(&self, id: OpId, x: &[F]) -> F {
        eval(self.get(id), x)
    }

    /// True if the partial of an operation of the table with respect to operand `k` is a constant.
    pub(super) fn is_linear(&mut self, id: OpId, k: usize) -> bool {
        matches!(self.partial(id, k), Partial::Formula(_, _, Source::Constant(_)))
    }

    /// The partial of an operation of the table, with respect to operand `k`.
    fn partial(&mut self, id: OpId, k: usize) -> &Partial<F> {
        if self.partials[id as usize][k].is_none() {
            let partial = match self.get(id) {
                Op::Unary(row, 0) => formula(1, |x, y| row.partial(x[0], y)),
                Op::Binary(row, [0, 0]) if k == 0 => formula(2, |x, z| row.partial_a(x[0], x[1], z)),
                Op::Binary(row, [0, 0]) => formula(2, |x, z| row.partial_b(x[0], x[1], z)),
                _ => None,
            };
            let partial = partial.unwrap_or_else(|| {
                Partial::Row(self.id(match self.get(id) {
                    Op::Unary(row, order) => Op::Unary(row, order + 1),
                    Op::Binary(row, [i, j]) => Op::Binary(row, if k == 0 { [i + 1, j] } else { [i, j + 1] }),
                    other => unreachable!("{other:?} is no row"),
                }))
            });
            self.partials[id as usize][k] = Some(partial);
        }
        self.partials[id as usize][k].as_ref().expect("just computed")
    }
}

/// A partial as a formula, if it is a short one of arithmetic and rows that asks no question.
fn formula<F: BaseFloat>(
    n: usize,
    partial: impl for<'r> FnOnce(
        &[crate::recording::Recorded<'r, F>],
        crate::recording::Recorded<'r, F>,
    ) -> crate::recording::Recorded<'r, F>,
) -> Option<Partial<F>> {
    let recorder = Recorder::<F>::steps_only();
    let numbers = recorder.unnamed_inputs(&[F::lit(0.75), F::lit(0.5), F::lit(0.625)][..=n]);
    let y = partial(&numbers[..n], numbers[n]);
    recorder.output(y);
    if recorder.values_read().is_some() {
        return None;
    }
    let recording = recorder.finish();
    let short = recording.comparisons.is_empty() && recording.len() <= FORMULA;
    short.then(|| {
        Partial::Formula(
            recording.steps.iter().skip(n + 1).collect(),
            recording.constants.clone(),
            recording.outputs[0],
        )
    })
}

/// The value of an operation.
pub(super) fn eval<F: BaseFloat>(op: Op<F>, x: &[F]) -> F {
    match op {
        Op::Input | Op::Constant => unreachable!("an operation without operands"),
        Op::Sum => x.iter().fold(F::zero(), |sum, &x| sum + x),
        Op::MulAdd => Float::mul_add(x[0], x[1], x[2]),
        Op::Product => x[0].gated_mul(x[1]),
        Op::Unary(row, 0) => row.eval(x[0]),
        Op::Unary(row, 1) => row.partial(x[0], x[1]),
        Op::Unary(row, _) => row.visit(Second { order: [0; 2], x: [x[0], x[1], x[1]] }),
        Op::Binary(row, [0, 0]) => row.eval(x[0], x[1]),
        Op::Binary(row, [1, 0]) => row.partial_a(x[0], x[1], x[2]),
        Op::Binary(row, [0, 1]) => row.partial_b(x[0], x[1], x[2]),
        Op::Binary(row, order) => row.visit(Second { order, x: [x[0], x[1], x[2]] }),
    }
}

/// The derivative of the partial of a row, from the operand `x` and the result `y`.
#[inline(always)]
pub(super) fn second<R: Real, M: Mark>(rule: impl UnaryRule<R::Base>, x: R, y: R) -> R {
    let d = rule.partial(x, y);
    rule.partial(along::<R, M>(x, R::one()), along(y, d)).tangents()[0]
}

/// A second partial of a row of two operands, from these and the result.
#[inline(always)]
pub(super) fn second_of_two<R: Real, M: Mark>(rule: impl BinaryRule<R::Base>, order: [u8; 2], x: [R; 3]) -> R {
    let [a, b, z] = x;
    let (one, zero) = (R::one(), R::zero());
    match order {
        [2, 0] => rule.partial_a(along::<R, M>(a, one), along(b, zero), along(z, rule.partial_a(a, b, z))),
        [1, 1] => rule.partial_a(along::<R, M>(a, zero), along(b, one), along(z, rule.partial_b(a, b, z))),
        _ => rule.partial_b(along::<R, M>(a, zero), along(b, one), along(z, rule.partial_b(a, b, z))),
    }
    .tangents()[0]
}

#[inline(always)]
fn along<R: Real, M: Mark>(x: R, tangent: R) -> Dual<R, 1, M> {
    Dual::with_parts(x, [tangent])
}

/// A second partial with the conventions of the tape.
struct Second<F> {
    order: [u8; 2],
    x: [F; 3],
}

impl<F: BaseFloat> UnaryVisitor<F> for Second<F> {
    type Output = F;
    fn visit(self, rule: impl UnaryRule<F>) -> F {
        second::<F, ()>(rule, self.x[0], self.x[1])
    }
}

impl<F: BaseFloat> BinaryVisitor<F> for Second<F> {
    type Output = F;
    fn visit(self, rule: impl BinaryRule<F>) -> F {
        second_of_two::<F, ()>(rule, self.order, self.x)
    }
}

/// A list that operations are written to: a graph or a body. Values are known by their number.
pub(super) trait Emit<F: BaseFloat> {
    fn ops(&mut self) -> &mut Ops<F>;
    fn constant(&mut self, x: F) -> u32;
    fn apply(&mut self, op: OpId, operands: &[u32]) -> u32;
    /// a b, where one of them is a derivative: constants may move to its front, and it is a [`Op::Product`] where
    /// numbers are not finite.
    fn product(&mut self, a: u32, b: u32) -> u32;
}

/// The product of `d` and the partial of `y = op(x)` with respect to operand `k`. In the forward pass `d` is the
/// operand's tangent, in the reverse pass the cotangent of y.
pub(super) fn contribution<F: BaseFloat>(e: &mut impl Emit<F>, op: OpId, k: usize, x: &[u32], y: u32, d: u32) -> u32 {
    match (op, k) {
        (SUM | ADD, _) | (SUB, 0) | (MUL_ADD, 2) => d,
        (SUB | NEG, _) => e.apply(NEG, &[d]),
        (MUL | MUL_ADD | PRODUCT, _) => e.product(d, x[1 - k]),
        (DIV, 0) => e.apply(DIV, &[d, x[1]]),
        (DIV, _) => {
            let t = e.apply(DIV, &[d, x[1]]);
            let t = e.product(t, y);
            e.apply(NEG, &[t])
        }
        (SQUARE, _) => {
            let t = e.product(d, x[0]);
            let two = e.constant(F::lit(2.0));
            e.product(two, t)
        }
        _ => {
            let p = partial(e, op, k, x, y);
            e.product(d, p)
        }
    }
}

/// The partial of a row y = op(x) with respect to operand `k`.
fn partial<F: BaseFloat>(e: &mut impl Emit<F>, op: OpId, k: usize, x: &[u32], y: u32) -> u32 {
    let order = match e.ops().get(op) {
        Op::Unary(_, order) => order,
        Op::Binary(_, [i, j]) => i + j,
        _ => 0,
    };
    let mut operands: smallvec::SmallVec<[u32; 4]> = x.into();
    if order == 0 {
        operands.push(y);
    }
    let (steps, constants, result) = match e.ops().partial(op, k).clone() {
        Partial::Row(row) => return e.apply(row, &operands),
        Partial::Formula(steps, constants, result) => (steps, constants, result),
    };
    let mut known = operands;
    let value = |e: &mut _, known: &[u32], x: Source| match x {
        Source::Step(i) => known[i as usize],
        Source::Constant(i) => constant(e, constants[i as usize]),
    };
    for step in steps {
        let operands: smallvec::SmallVec<[u32; 3]> = step.operands().iter().map(|&x| value(e, &known, x)).collect();
        let id = e.ops().id(op_of(step));
        known.push(e.apply(id, &operands));
    }
    value(e, &known, result)
}

fn constant<F: BaseFloat>(e: &mut impl Emit<F>, x: F) -> u32 {
    e.constant(x)
}

/// The operation of a step.
pub(super) fn op_of<F: BaseFloat>(step: Step<F>) -> Op<F> {
    match step {
        Step::Input(_) => Op::Input,
        Step::Unary(op, _) => Op::Unary(op, 0),
        Step::Binary(op, _) => Op::Binary(op, [0, 0]),
        Step::MulAdd(_) => Op::MulAdd,
    }
}
