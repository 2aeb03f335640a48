//! The backward sweep and its result, the [`Gradient`].

use std::fmt;
use std::ops::{AddAssign, Index};

use bumpalo::Bump;
use ndarray::{ArrayBase, Data, Dimension};
use smallvec::SmallVec;

use crate::adjoints::Adjoints;
use crate::checkpoint::Spare;
use crate::kernels::{Layout, scatter_add, sweep_records};
use crate::real::Scalar;
use crate::tape::{Op, Record, Tape};
use crate::tensor::Tensor;
use crate::var::Var;

/// What a pullback works on: the cotangent of its result, and the adjoints of all slots before it.
pub(crate) struct Cotangents<'a, F: Scalar> {
    /// The cotangent of the result, in row-major order.
    pub(crate) result: &'a [F],
    /// The adjoints of every slot below the result's.
    pub(crate) adjoints: Adjoints<'a, F>,
    /// Room for temporaries.
    pub(crate) arena: &'a Bump,
    /// Tapes to compute again on.
    pub(crate) spare: &'a Spare<F>,
}

/// The adjoints of one output with respect to everything recorded before it.
///
/// Its memory belongs to the tape and is reclaimed by [`Tape::clear`]; in a loop of sweeps over
/// one recording use [`Var::backward_into`], which writes into a gradient that exists.
///
/// ```
/// let tape = wengert::Tape::new();
/// let [x, y] = tape.vars([2.0, 3.0]);
/// let (sum, product) = (x + y, x * y);
/// let (ds, dp) = (sum.backward(), product.backward());
/// assert_eq!(ds.wrt([x, y]), [1.0, 1.0]);
/// assert_eq!(dp.wrt([x, y]), [3.0, 2.0]);
/// ```
///
/// It does not outlive a clear, which would give its numbers to other handles:
///
/// ```compile_fail,E0502
/// let mut tape = wengert::Tape::<f64>::new();
/// let x = tape.var(1.0);
/// let gradient = x.sin().backward();
/// tape.clear();
/// println!("{gradient:?}");
/// ```
pub struct Gradient<'t, F: Scalar> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) adjoints: &'t mut [F],
}

impl<F: Scalar> fmt::Debug for Gradient<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gradient").field("adjoints", &self.adjoints.get(1..)).finish()
    }
}

impl<'t, F: Scalar> Gradient<'t, F> {
    /// The derivative with respect to a variable, an array or a slice of variables, or a tensor.
    ///
    /// A `Var` gives an `F`, `[Var; N]` an `[F; N]`, `&[Var]` a `Vec<F>` and a
    /// [`Tensor`](crate::Tensor) an [`Array`](ndarray::Array) of its shape. What the output does
    /// not depend on has derivative 0.
    ///
    /// # Panics
    ///
    /// If a handle is of another tape or a constant, was recorded after the sweep's output, or is
    /// an intermediate that was not [`retain`](Var::retain)ed.
    #[track_caller]
    pub fn wrt<W: Wrt<'t, F>>(&self, of: W) -> W::Output {
        of.read(self)
    }

    /// Whether every adjoint is finite.
    pub fn is_finite(&self) -> bool {
        self.adjoints[1..].iter().all(|a| a.is_finite())
    }

    #[inline(always)]
    #[track_caller]
    fn slot_of(&self, var: &Var<'_, F>) -> usize {
        let slot = var.slot() as usize;
        if !(var.is_node_of(self.tape) && slot < self.adjoints.len()) {
            self.refuse(var.tape(), slot, var.is_node());
        }
        slot
    }

    /// Says why the gradient has no entry for a handle.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn refuse(&self, tape: Option<&Tape<F>>, slot: usize, is_node: bool) -> ! {
        let Some(tape) = tape else {
            panic!("gradient: the handle is a constant; make it an input with `Tape::var`");
        };
        self.assert_same_tape(tape);
        assert!(
            is_node,
            "gradient: this handle is no node of the tape (a function of one variable is folded into it); \
             call `.retain()` on it before using it in the loss"
        );
        self.assert_covered(slot);
        unreachable!("one of the conditions above failed");
    }

    #[track_caller]
    pub(crate) fn assert_same_tape(&self, tape: &Tape<F>) {
        assert!(
            std::ptr::eq(self.tape, tape),
            "gradient: the handle belongs to tape {tape:p}, the gradient to tape {:p}",
            self.tape
        );
    }

    /// An output's gradient says nothing of what was recorded later.
    #[track_caller]
    pub(crate) fn assert_covered(&self, slot: usize) {
        assert!(
            slot < self.adjoints.len(),
            "gradient: the handle was recorded after the output of this sweep; call `backward` on a later output"
        );
    }
}

impl<F: Scalar> Index<Var<'_, F>> for Gradient<'_, F> {
    type Output = F;

    /// The derivative with respect to `var`; see [`Gradient::wrt`] for what panics.
    #[inline]
    #[track_caller]
    fn index(&self, var: Var<'_, F>) -> &F {
        &self.adjoints[self.slot_of(&var)]
    }
}

/// Handles that [`Gradient::wrt`] reads.
pub trait Wrt<'t, F: Scalar> {
    /// The derivative in the same arrangement.
    type Output;
    #[doc(hidden)]
    fn read(self, gradient: &Gradient<'t, F>) -> Self::Output;
}

impl<'t, F: Scalar> Wrt<'t, F> for Var<'_, F> {
    type Output = F;
    #[track_caller]
    fn read(self, gradient: &Gradient<'t, F>) -> F {
        gradient[self]
    }
}

impl<'t, F: Scalar, const N: usize> Wrt<'t, F> for [Var<'_, F>; N] {
    type Output = [F; N];
    #[inline]
    #[track_caller]
    fn read(self, gradient: &Gradient<'t, F>) -> [F; N] {
        let mut adjoints = [F::zero(); N];
        for (adjoint, var) in adjoints.iter_mut().zip(self) {
            *adjoint = gradient[var];
        }
        adjoints
    }
}

impl<'t, F: Scalar> Wrt<'t, F> for &[Var<'_, F>] {
    type Output = Vec<F>;
    #[track_caller]
    fn read(self, gradient: &Gradient<'t, F>) -> Vec<F> {
        let mut adjoints = vec![F::zero(); self.len()];
        for (adjoint, var) in adjoints.iter_mut().zip(self) {
            *adjoint = gradient.adjoints[gradient.slot_of(var)];
        }
        adjoints
    }
}

impl<'t, F: Scalar> Wrt<'t, F> for &Vec<Var<'_, F>> {
    type Output = Vec<F>;
    #[track_caller]
    fn read(self, gradient: &Gradient<'t, F>) -> Vec<F> {
        self.as_slice().read(gradient)
    }
}

/// An output and its cotangent, for [`Tape::backward_with`]: from [`Var::seed`] or [`Tensor::seed`].
#[derive(Clone, Copy)]
pub struct Seed<'t, F: Scalar> {
    tape: Option<&'t Tape<F>>,
    shape: &'t [usize],
    /// Where the elements' adjoints stand.
    place: Layout<'t>,
    cotangents: &'t [F],
}

impl<F: Scalar> fmt::Debug for Seed<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").field("shape", &self.shape).field("cotangents", &self.cotangents).finish()
    }
}

impl<'t, F: Scalar> Var<'t, F> {
    /// The variable as an output with a cotangent, for [`Tape::backward_with`].
    pub fn seed(self, cotangent: F) -> Seed<'t, F> {
        let (place, cotangents) = match self.tape() {
            Some(tape) => {
                (self.slot() as usize, &*tape.arena().alloc_slice_copy(&[cotangent.gated_mul(self.weight())]))
            }
            None => (0, &[][..]),
        };
        Seed { tape: self.tape(), shape: &[], place: Layout { offset: place, strides: &[] }, cotangents }
    }
}

impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// The tensor as an output with a cotangent for each element, for [`Tape::backward_with`].
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    #[track_caller]
    pub fn seed<S: Data<Elem = F>>(self, cotangent: &ArrayBase<S, D>) -> Seed<'t, F> {
        assert!(
            self.shape() == cotangent.shape(),
            "seed: the tensor has shape {:?} and the cotangent {:?}",
            self.shape(),
            cotangent.shape()
        );
        let (tape, node) = (self.tape(), self.node());
        if node.is_constant() {
            return Seed { tape: None, shape: &[], place: Layout { offset: 0, strides: &[] }, cotangents: &[] };
        }
        Seed {
            tape: Some(tape),
            shape: self.shape(),
            place: node.place(),
            cotangents: tape.arena().alloc_slice_fill_iter(cotangent.iter().copied()),
        }
    }

    /// Sweeps backward from all elements with these cotangents: the vector-Jacobian product.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![1.0, 2.0, 3.0];
    /// let x = tape.tensor(&data);
    /// let gradient = x.square().backward_with(&array![1.0, 0.0, -1.0]);
    /// assert_eq!(gradient.wrt(x), array![2.0, 0.0, -6.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the shapes differ or the tensor is a constant.
    #[track_caller]
    pub fn backward_with<S: Data<Elem = F>>(self, cotangent: &ArrayBase<S, D>) -> Gradient<'t, F> {
        assert!(
            !self.is_constant() || self.is_empty(),
            "backward_with: the tensor of shape {:?} is a constant, computed from no input of a tape; make its inputs with `Tape::tensor`",
            self.shape()
        );
        self.tape().backward_with([self.seed(cotangent)])
    }
}

impl<F: Scalar> Tape<F> {
    /// One sweep from several outputs: the gradient of Σ cotangentᵢ · outputᵢ.
    ///
    /// Constants among them add nothing. Without outputs the gradient is zero.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let tape = wengert::Tape::new();
    /// let data = array![1.0, 2.0];
    /// let (x, w) = (tape.tensor(&data), tape.var(3.0));
    /// let (y, z) = (x * w, w * w);
    /// let gradient = tape.backward_with([y.seed(&array![1.0, 10.0]), z.seed(100.0)]);
    /// assert_eq!(gradient[w], 1.0 + 20.0 + 600.0);
    /// assert_eq!(gradient.wrt(x), array![3.0, 30.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If an output is of another tape.
    #[track_caller]
    pub fn backward_with<'t>(&'t self, seeds: impl IntoIterator<Item = Seed<'t, F>>) -> Gradient<'t, F> {
        // They may come from an iterator that records.
        let seeds: SmallVec<[_; 8]> = seeds.into_iter().collect();
        let adjoints = self.arena().alloc_slice_fill_copy(self.slots(), F::zero());
        for seed in seeds {
            let Some(tape) = seed.tape else { continue };
            assert!(
                std::ptr::eq(self, tape),
                "backward_with: an output belongs to tape {tape:p}, the sweep is of tape {self:p}"
            );
            scatter_add(seed.shape, seed.cotangents, adjoints, seed.place);
        }
        self.with_records(|records, ops| {
            run(self, self.arena(), records, ops, self.slots() - 1, &mut Adjoints::new(adjoints));
        });
        Gradient { tape: self, adjoints }
    }
}

impl<'t, F: Scalar> AddAssign<&Gradient<'t, F>> for Gradient<'t, F> {
    /// Accumulates another sweep of the same tape.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let [x, y] = tape.vars([2.0, 3.0]);
    /// let mut total = (x * y).backward();
    /// total += &x.square().backward();
    /// assert_eq!(total.wrt([x, y]), [7.0, 2.0]);
    /// ```
    ///
    /// A gradient keeps alive what its sweep may read, so the other one lives as long:
    ///
    /// ```compile_fail,E0597
    /// let tape = wengert::Tape::<f64>::new();
    /// let x = tape.var(1.0);
    /// let mut total = x.sin().backward();
    /// {
    ///     let data = ndarray::array![7.0];
    ///     total += &tape.tensor(&data).square().sum().backward();
    /// }
    /// println!("{total:?}");
    /// ```
    ///
    /// # Panics
    ///
    /// If the other is of another tape.
    #[track_caller]
    fn add_assign(&mut self, other: &Gradient<'t, F>) {
        self.assert_same_tape(other.tape);
        if self.adjoints.len() < other.adjoints.len() {
            let longer = self.tape.arena().alloc_slice_fill_copy(other.adjoints.len(), F::zero());
            longer[..self.adjoints.len()].copy_from_slice(self.adjoints);
            self.adjoints = longer;
        }
        for (mine, theirs) in self.adjoints.iter_mut().zip(&*other.adjoints) {
            *mine += *theirs;
        }
    }
}

/// Sweeps backward from slot `output` with cotangent `seed`; the adjoints stay on the tape.
pub(crate) fn backward<F: Scalar>(tape: &Tape<F>, output: usize, seed: F) -> &mut [F] {
    tape.with_records(|records, ops| {
        let len = covered(ops, output);
        // Few adjoints are cleared in no time. (Tests take the way of the many.)
        let many = cfg!(debug_assertions) || len >= 2048;
        let Some((slots, mut stale)) = many.then(|| tape.lend_adjoints(len)).flatten() else {
            let slots = tape.arena().alloc_slice_fill_copy(len, F::zero());
            slots[output] = seed;
            run(tape, tape.arena(), records, ops, output, &mut Adjoints::new(slots));
            return slots;
        };
        let ops = &ops[..ops.partition_point(|op| op.first < len)];
        let last = &ops[ops.len() - 1]; // the first run starts at slot 0
        let live = (output + 1).saturating_sub(last.first + last.len);
        let records = &records[..records.len().min(last.records + live)];
        let mut adjoints = Adjoints::stale(slots, records, ops, &mut stale);
        *adjoints.at(output) = seed;
        run(tape, tape.arena(), records, ops, output, &mut adjoints);
        adjoints.finish();
        slots
    })
}

/// As [`backward`], into the buffer of a gradient, if it has the length.
pub(crate) fn backward_into<F: Scalar>(gradient: &mut Gradient<'_, F>, output: usize, seed: F) {
    let (tape, adjoints) = (gradient.tape, &mut *gradient.adjoints);
    let fits = tape.with_records(|records, ops| {
        let fits = adjoints.len() == covered(ops, output);
        if fits {
            adjoints.fill(F::zero());
            adjoints[output] = seed;
            run(tape, tape.arena(), records, ops, output, &mut Adjoints::new(adjoints));
        }
        fits
    });
    if !fits {
        gradient.adjoints = backward(tape, output, seed);
    }
}

/// Sweeps from the seeds in `adjoints`, which has a number for every slot; pullbacks' temporaries go
/// to `arena`.
pub(crate) fn backward_from<F: Scalar>(tape: &Tape<F>, adjoints: &mut [F], arena: &Bump) {
    tape.with_records(|records, ops| run(tape, arena, records, ops, tape.slots() - 1, &mut Adjoints::new(adjoints)));
}

/// The number of slots a sweep from `output` needs: all of the run it stands in, and if those are
/// inputs, of those next to them.
fn covered<F: Scalar>(ops: &[Op<F>], output: usize) -> usize {
    let next = ops.partition_point(|op| op.first <= output);
    let Some(own) = next.checked_sub(1).map(|index| &ops[index]) else { return output + 1 };
    let mut end = own.first + own.len;
    if own.pullback.is_none() && output < end {
        for op in ops[next..].iter().take_while(|op| op.pullback.is_none() && op.records == own.records) {
            end = op.first + op.len;
        }
    }
    end.max(output + 1)
}

/// Sweeps from the seeds that stand in `adjoints` (which covers whole runs) at or below `output`.
fn run<F: Scalar>(
    tape: &Tape<F>,
    arena: &Bump,
    records: &[Record<F>],
    ops: &[Op<F>],
    output: usize,
    adjoints: &mut Adjoints<'_, F>,
) {
    let mut end = records.len();
    for (index, op) in ops.iter().enumerate().rev() {
        if op.first <= output {
            run_section(tape, arena, &records[op.records..end], (index, op), output, adjoints);
        }
        end = op.records;
    }
}

/// One operation and the scalar records that follow it.
#[inline(always)]
pub(crate) fn run_section<F: Scalar>(
    tape: &Tape<F>,
    arena: &Bump,
    records: &[Record<F>],
    (index, op): (usize, &Op<F>),
    output: usize,
    adjoints: &mut Adjoints<'_, F>,
) {
    let after = op.first + op.len;
    let live = records.len().min((output + 1).saturating_sub(after));
    sweep_records(&records[..live], adjoints.slots(), after);
    if op.pullback.is_none() {
        return;
    }
    if let Some((result, below)) = adjoints.split(index, op) {
        op.pull(&mut Cotangents { result, adjoints: below, arena, spare: tape.spare() });
    }
}
