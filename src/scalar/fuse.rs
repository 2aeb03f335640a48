//! Nodes with any number of operands: sums, dot products, norms, and whole expressions.
//!
//! Three ways lead to such a node: `Terms` collects terms whose operands may still record, `CellWriter` appends cells
//! as they come, if no operand records, and `record` takes a fixed number of operands.

use std::iter::{Product, Sum};

use super::checkpoint::KeptVars;
use super::var::{Var, common_tape, record};
use crate::number::{Dual, Length, Real, Scalar, gap, largest};
use crate::slices::{BLOCK, Cascade, LongSum};
use crate::tape::{OperationKind, Progression, SINK, Tape};

/// The terms of one node, collected while operands may still be recorded.
///
/// Nodes that are added with partial 1 and whose slots are in arithmetic progression (such as the products in a sum
/// over `a * b`) are only counted: see M4 in docs/MEASUREMENTS.md.
pub(crate) struct Terms<'t, F: Scalar> {
    tape: Option<&'t Tape<F>>,
    /// The progression of the last nodes: its first slot (the sink if there is none), its stride, and the slot that
    /// would continue it. A single node has no stride yet; its `next` is the sink, which is no node's slot.
    first: u32,
    stride: u32,
    next: u32,
    /// The other terms.
    others: Vec<(u32, F)>,
}

impl<'t, F: Scalar> Terms<'t, F> {
    pub(crate) fn new() -> Self {
        Self { tape: None, first: SINK, stride: 0, next: SINK, others: Vec::new() }
    }

    /// Adds the term `partial · operand`.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn add(&mut self, operand: Var<'t, F>, partial: F) {
        if !operand.is_constant() {
            self.require_tape(operand.tape());
            self.others.push(operand.edge(partial));
        }
    }

    /// Panics unless this is the tape of all operands.
    #[inline(always)]
    #[track_caller]
    fn require_tape(&mut self, tape: Option<&'t Tape<F>>) {
        match (self.tape, tape) {
            (None, Some(tape)) => {
                self.tape = Some(tape);
                self.others = tape.take_terms();
            }
            (mine, tape) => _ = common_tape(mine, tape),
        }
    }

    /// Same as [`add`](Self::add) with partial 1.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn add_node(&mut self, operand: Var<'t, F>) {
        if !operand.is_node() {
            self.add(operand, F::one());
        } else if operand.slot() == self.next && self.tape.is_some_and(|tape| operand.is_node_of(tape)) {
            self.next += self.stride;
        } else {
            self.begin_run(operand.tape(), operand.slot());
        }
    }

    /// Adds a node that does not continue the progression: it gives the second slot, or begins another one.
    #[inline(never)]
    #[track_caller]
    fn begin_run(&mut self, tape: Option<&'t Tape<F>>, slot: u32) {
        self.require_tape(tape);
        let stride = slot.saturating_sub(self.first);
        if self.first != SINK && self.next == SINK && (1..=Progression::MAX_STRIDE).contains(&stride) {
            (self.stride, self.next) = (stride, slot + stride);
        } else {
            self.end_run();
            (self.first, self.next) = (slot, SINK);
        }
    }

    /// The progression of the last nodes.
    fn run(&self) -> Progression {
        let len = match (self.first, self.next) {
            (SINK, _) => 0,
            (_, SINK) => 1,
            (first, next) => (next - first) / self.stride,
        };
        Progression { first: self.first, stride: self.stride, len }
    }

    /// Turns the progression into terms: its nodes, or their sum, if that takes fewer instructions than their cells
    /// (see M5 in docs/MEASUREMENTS.md).
    #[track_caller]
    fn end_run(&mut self) {
        let run = self.run();
        match self.tape {
            Some(tape) if run.len >= 8 => self.others.push((tape.records().push_sum(run), F::one())),
            _ => self.others.extend(run.slots().map(|slot| (slot, F::one()))),
        }
    }

    /// Records the node.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn record(self, value: F) -> Var<'t, F> {
        match self.tape {
            Some(tape) => Var::on(tape, self.push(tape), value),
            None => Var::constant(value),
        }
    }

    /// Appends the record and returns its slot.
    #[inline(never)]
    #[track_caller]
    fn push(mut self, tape: &Tape<F>) -> u32 {
        let run = self.run();
        let slot = if self.others.is_empty() && run.len > 2 {
            tape.records().push_sum(run)
        } else {
            self.end_run();
            tape.records().push_wide(&self.others)
        };
        tape.return_terms(self.others);
        slot
    }
}

/// Records a whole expression of N variables as one node.
///
/// The expression runs once on [`Dual`] numbers with N tangents, on the stack, and the tape gets its N partials (local
/// preaccumulation: Griewank and Walther, Evaluating Derivatives, 2nd ed., section 10.2). This pays where many
/// operations join few variables, as in the stencil of a differential equation.
///
/// ```
/// use wengert::{Tape, fuse};
///
/// let tape = Tape::new();
/// let [x, y] = tape.vars([1.0, 2.0_f64]);
/// let z = fuse([x, y], |[x, y]| (x * y).sin() * x.exp() / (y + 1.0));
/// let plain = (x * y).sin() * x.exp() / (y + 1.0);
/// let (fused, plain) = (z.backward(), plain.backward());
/// assert!((fused[x] - plain[x]).abs() < 1e-15 && (fused[y] - plain[y]).abs() < 1e-15);
/// ```
///
/// # Panics
///
/// If the operands belong to different tapes.
#[inline(always)]
#[track_caller]
pub fn fuse<'t, F: Scalar, const N: usize>(
    operands: [Var<'t, F>; N],
    expression: impl FnOnce([Dual<F, N>; N]) -> Dual<F, N>,
) -> Var<'t, F> {
    let result = expression(Dual::seeded(operands.map(Var::value)));
    let tangents = result.tangents();
    record::<_, N>(result.primal(), std::array::from_fn(|i| (operands[i], tangents[i])))
}

/// A value with the given partials, as one operation of any number of operands.
///
/// On a tape of dual numbers, value and partials must be dual for second derivatives; a [`Rule`](crate::Rule) works on
/// every tape.
///
/// ```
/// use wengert::{Tape, with_partials};
///
/// let tape = Tape::new();
/// let [x, y] = tape.vars([2.0_f64, 3.0]);
/// // A value from elsewhere, say from a library in C.
/// let z = with_partials(x.value().powf(y.value()), [(x, 12.0), (y, 8.0 * 2_f64.ln())]);
/// let gradient = (2.0 * z).backward();
/// assert_eq!(gradient[x], 24.0);
/// ```
///
/// # Panics
///
/// If the operands belong to different tapes.
#[track_caller]
pub fn with_partials<'t, F: Scalar>(value: F, operands: impl IntoIterator<Item = (Var<'t, F>, F)>) -> Var<'t, F> {
    // A loop, because a closure would hide the caller's line.
    let mut terms = Terms::new();
    for (operand, partial) in operands {
        terms.add(operand, partial);
    }
    terms.record(value)
}

/// The sum of a slice of variables, as one node.
///
/// ```
/// let tape = wengert::Tape::new();
/// let x = tape.vars_from(&[1.0, 2.0, 3.0]);
/// assert_eq!(wengert::sum(x).backward().wrt(x), [1.0; 3]);
/// ```
#[track_caller]
pub fn sum<'t, F: Scalar>(x: &[Var<'t, F>]) -> Var<'t, F> {
    sum_of(x.iter().copied())
}

#[inline(always)]
#[track_caller]
fn sum_of<'t, F: Scalar>(x: impl Iterator<Item = Var<'t, F>>) -> Var<'t, F> {
    // Not a `LongSum`: the block and the number of terms left in it stay in registers.
    let (mut blocks, mut block, mut left) = (Cascade::new(empty_sum()), empty_sum(), BLOCK);
    let mut terms = Terms::new();
    for x in x {
        block += x.value();
        terms.add_node(x);
        left -= 1;
        if left == 0 {
            end_block(&mut blocks, block);
            (block, left) = (empty_sum(), BLOCK);
        }
    }
    terms.record(blocks.total(F::add) + block)
}

/// The sum of no numbers: -0, as that of floats in std, which keeps the sign of zeros.
#[inline(always)]
fn empty_sum<F: Scalar>() -> F {
    -F::zero()
}

#[cold]
#[inline(never)]
fn end_block<F: Scalar>(blocks: &mut Cascade<F>, block: F) {
    blocks.add(block, F::add);
}

/// The arithmetic mean, as one node. It is NaN for an empty slice, as 0/0 is.
#[track_caller]
pub fn mean<'t, F: Scalar>(x: &[Var<'t, F>]) -> Var<'t, F> {
    let n = F::lit(x.len() as f64);
    let mut value = LongSum::of(x.iter().map(|x| x.value())) / n;
    if !x.is_empty() && !value.is_finite() {
        // The sum may have overflowed.
        value = LongSum::of(x.iter().map(|x| x.value() / n));
    }
    let share = n.recip();
    node(x, value, x.iter().map(|&x| (x, share)))
}

/// The node with the given value and (operand, partial) pairs, whose operands are those of `x`. The iterator must not
/// record.
#[track_caller]
#[inline]
fn node<'t, F: Scalar>(x: &[Var<'t, F>], value: F, mut operands: impl Iterator<Item = (Var<'t, F>, F)>) -> Var<'t, F> {
    let attempt = x.iter().find_map(Var::tape).map(|tape| tape.records().attempt());
    let mut cells = CellWriter::new();
    while let Some(first) = operands.next() {
        cells.add(first, operands.next().unwrap_or((Var::constant(F::zero()), F::zero())));
    }
    let node = cells.record(value);
    if let Some(attempt) = attempt {
        attempt.keep();
    }
    node
}

/// A wide record under construction, which appends cells to the tape as they come.
struct CellWriter<'t, F: Scalar> {
    tape: Option<&'t Tape<F>>,
    count: u32,
}

impl<'t, F: Scalar> CellWriter<'t, F> {
    fn new() -> Self {
        Self { tape: None, count: 0 }
    }

    /// Adds a cell of two (operand, partial) pairs.
    #[inline(always)]
    #[track_caller]
    fn add(&mut self, (a, p): (Var<'t, F>, F), (b, q): (Var<'t, F>, F)) {
        self.tape = common_tape(common_tape(self.tape, a.tape()), b.tape());
        let Some(tape) = self.tape else { return };
        if a.needs_record(p) || b.needs_record(q) {
            // A weight needs a record of its own, which must not stand among the cells. So the cells so far get a
            // head, which becomes the first operand of the cells that follow.
            let so_far = tape.records().push_head(std::mem::take(&mut self.count), None);
            let ((s, v), (t, w)) = (a.edge(p), b.edge(q));
            tape.records().push([so_far, SINK], [F::one(), F::zero()]);
            tape.records().push([s, t], [v, w]);
            self.count = 2;
        } else {
            let ((s, v), (t, w)) = (a.edge(p), b.edge(q));
            tape.records().push([s, t], [v, w]);
            self.count += 1;
        }
    }

    /// Records the head, which is the node.
    #[inline(always)]
    #[track_caller]
    fn record(self, value: F) -> Var<'t, F> {
        match self.tape {
            Some(tape) => Var::on(tape, tape.records().push_head(self.count, None), value),
            None => Var::constant(value),
        }
    }
}

/// The dot product Σ aᵢbᵢ of numbers of any kind; of variables, as one node of 2n operands.
///
/// ```
/// let tape = wengert::Tape::new();
/// let [x, y] = tape.vars([2.0, 3.0]);
/// assert_eq!(wengert::dot(&[x, y], &[y, y]).backward().wrt([x, y]), [3.0, 8.0]);
/// ```
///
/// # Panics
///
/// If the lengths differ.
#[inline]
#[track_caller]
pub fn dot<R: Real>(a: &[R], b: &[R]) -> R {
    assert!(a.len() == b.len(), "dot: the operands have lengths {} and {}", a.len(), b.len());
    R::dot_of(a, b)
}

/// The dot product of slices of one length.
#[inline]
#[track_caller]
pub(super) fn dot_of<'t, F: Scalar>(a: &[Var<'t, F>], b: &[Var<'t, F>]) -> Var<'t, F> {
    let Some(tape) = a.first().and_then(Var::tape) else {
        return dot_apart(None, (0, LongSum::from(empty_sum())), a, b);
    };
    let attempt = tape.records().attempt();
    let (done, value) = record_products(tape, a, b);
    let node = if done == a.len() {
        CellWriter { tape: Some(tape), count: done as u32 }.record(value.total())
    } else {
        dot_apart(Some(tape), (done, value), a, b)
    };
    attempt.keep();
    node
}

/// The dot product, of which the first cells stand on the tape, with their part of the value: operands that are
/// constants, or have weights that need care.
#[inline(never)]
#[track_caller]
fn dot_apart<'t, F: Scalar>(
    tape: Option<&'t Tape<F>>,
    (done, mut value): (usize, LongSum<F>),
    a: &[Var<'t, F>],
    b: &[Var<'t, F>],
) -> Var<'t, F> {
    let (a, b) = (&a[done..], &b[done..]);
    // Of cells from before, the caller takes care.
    let attempt = a.iter().chain(b).find_map(Var::tape).map(|tape| tape.records().attempt());
    let mut cells = CellWriter { tape, count: done as u32 };
    for (&a, &b) in a.iter().zip(b) {
        value.add(a.value() * b.value());
        cells.add((a, b.value()), (b, a.value()));
    }
    let node = cells.record(value.total());
    if let Some(attempt) = attempt {
        attempt.keep();
    }
    node
}

/// Appends the cells of leading pairs, up to the first with an operand that is not on this tape or has a weight that
/// needs care. Returns the number of cells and their part of the dot product.
#[inline(always)]
#[track_caller]
fn record_products<F: Scalar>(tape: &Tape<F>, a: &[Var<'_, F>], b: &[Var<'_, F>]) -> (usize, LongSum<F>) {
    let (mut done, mut value) = (0, LongSum::from(empty_sum()));
    // Block by block, so that the sum of a block stays in a register.
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let mut block = empty_sum::<F>();
        let count = tape.records().push_each(a, b, |a, b| {
            let (v, w) = (a.edge_on(tape, b.value())?, b.edge_on(tape, a.value())?);
            block += a.value() * b.value();
            Some(((a.slot(), v), (b.slot(), w)))
        });
        done += count;
        value.add_block(block, count);
        if count < a.len() {
            break;
        }
    }
    (done, value)
}

/// The Euclidean norm √Σxᵢ² of numbers of any kind; of variables, as one node. The sum is scaled, so that it neither
/// over- nor underflows. The gradient x/‖x‖ is 0 at the origin, where second derivatives are one-sided: the Hessian of
/// ‖x‖² is 2I there too.
///
/// ```
/// let tape = wengert::Tape::new();
/// let x = tape.vars([3.0, 4.0]);
/// let norm = wengert::norm(&x);
/// assert_eq!(norm.value(), 5.0);
/// assert_eq!(norm.backward().wrt(x), [0.6, 0.8]);
/// ```
#[inline]
#[track_caller]
pub fn norm<R: Real>(x: &[R]) -> R {
    R::norm_of(x)
}

/// The norm of variables.
#[track_caller]
pub(super) fn norm_of<'t, F: Scalar>(x: &[Var<'t, F>]) -> Var<'t, F> {
    let length = Length::of(x.iter().map(|x| x.value()));
    if length.leaves_origin() {
        return norm_at_origin(x, length.value);
    }
    node(x, length.value, x.iter().map(|&x| (x, length.partial(x.value()))))
}

/// The norm at the origin, on dual numbers. A record multiplies by one partial for all tangents, but here the partial
/// of each tangent is another one.
#[cold]
#[track_caller]
fn norm_at_origin<'t, F: Scalar>(x: &[Var<'t, F>], value: F) -> Var<'t, F> {
    let Some(tape) = x.iter().fold(None, |tape, x| common_tape(tape, x.tape())) else { return Var::constant(value) };
    let attempt = tape.records().attempt();
    let of_x = tape.arena().alloc_slice_fill_iter(x.iter().map(|x| x.value()));
    let (x, values) = (KeptVars::new(tape, x, of_x), std::slice::from_ref(tape.alloc(value)));
    let slot = tape.push_op(OperationKind::new("norm", [None; 2]), &[1], values, move |cotangents| {
        let dy = cotangents.of_result[0];
        x.add(&mut cotangents.of_operands, x.values.iter().map(|x| dy.pull_from_origin(*x, value)));
    });
    attempt.keep();
    Var::on(tape, slot, value)
}

/// The logarithm ln Σ e^xᵢ of numbers of any kind, without overflow; of variables, as one node. The gradient is the
/// [`softmax`]. The value for an empty slice is -∞.
///
/// ```
/// let tape = wengert::Tape::new();
/// let x = tape.vars([1000.0, 0.0]);
/// let y = wengert::log_sum_exp(&x);
/// assert_eq!(y.value(), 1000.0);
/// assert_eq!(y.backward().wrt(x), [1.0, 0.0]);
/// ```
#[inline]
#[track_caller]
pub fn log_sum_exp<R: Real>(x: &[R]) -> R {
    R::log_sum_exp_of(x)
}

/// The logarithm of the sum of exponentials of variables.
#[track_caller]
pub(super) fn log_sum_exp_of<'t, F: Scalar>(x: &[Var<'t, F>]) -> Var<'t, F> {
    let (largest, total) = exp_sum(x);
    node(x, largest + total.ln(), x.iter().map(|&x| (x, exp_below(largest, x) / total)))
}

/// The probabilities e^xᵢ/Σe^xⱼ, each a node of n operands.
///
/// ```
/// let tape = wengert::Tape::new();
/// let x = tape.vars([0.0, 0.0]);
/// let p = wengert::softmax(&x);
/// assert_eq!(p[0].backward().wrt(x), [0.25, -0.25]);
/// ```
#[track_caller]
pub fn softmax<'t, F: Scalar>(x: &[Var<'t, F>]) -> Vec<Var<'t, F>> {
    let (largest, total) = exp_sum(x);
    let p: Vec<F> = x.iter().map(|&x| exp_below(largest, x) / total).collect();
    // A loop, because a closure would hide the caller's line.
    let mut rows = Vec::with_capacity(x.len());
    for (i, &pi) in p.iter().enumerate() {
        let partial = |j: usize| if i == j { pi * (F::one() - pi) } else { -pi * p[j] };
        rows.push(node(x, pi, x.iter().enumerate().map(|(j, &x)| (x, partial(j)))));
    }
    rows
}

/// The largest element m, as a constant shift without tangents, and the sum Σ e^(xᵢ - m).
fn exp_sum<F: Scalar>(x: &[Var<'_, F>]) -> (F, F) {
    let largest = F::from_base(largest(x.iter().copied()));
    (largest, LongSum::of(x.iter().map(|&x| exp_below(largest, x))))
}

/// The exponential e^(x - largest). Equal infinities have the difference 0, as in a tie of `max`.
fn exp_below<F: Scalar>(largest: F, x: Var<'_, F>) -> F {
    gap(x.value(), largest).exp()
}

impl<'t, F: Scalar> Sum for Var<'t, F> {
    /// The sum, as one node. As for floats, the sum of zeros with a minus sign, or of nothing, is -0.
    // Inlined by force: the compiler hoists the parts that all terms share (ln σ in the log-density of a normal) only
    // out of a loop that is inlined. See M6 in docs/MEASUREMENTS.md.
    #[inline(always)]
    #[track_caller]
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        sum_of(iter)
    }
}

impl<'a, 't: 'a, F: Scalar> Sum<&'a Var<'t, F>> for Var<'t, F> {
    #[inline(always)]
    #[track_caller]
    fn sum<I: Iterator<Item = &'a Var<'t, F>>>(iter: I) -> Self {
        iter.copied().sum()
    }
}

impl<'t, F: Scalar> Product for Var<'t, F> {
    /// The product, by multiplications in order. The derivatives are exact also where factors are 0.
    #[inline]
    #[track_caller]
    fn product<I: Iterator<Item = Self>>(iter: I) -> Self {
        // A loop, because a closure would hide the caller's line.
        let mut product = Var::constant(F::one());
        for x in iter {
            product *= x;
        }
        product
    }
}

impl<'a, 't: 'a, F: Scalar> Product<&'a Var<'t, F>> for Var<'t, F> {
    #[inline]
    #[track_caller]
    fn product<I: Iterator<Item = &'a Var<'t, F>>>(iter: I) -> Self {
        iter.copied().product()
    }
}
