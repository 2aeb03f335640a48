//! Sweeps from handles, and their result, the [`Gradient`].

use std::fmt;
use std::ops::{AddAssign, Index};

use smallvec::SmallVec;

use super::var::Var;
use crate::number::Scalar;
use crate::sealed::Seal;
use crate::slices::gemm::Store;
use crate::slices::{Layout, scatter_add};
use crate::tape::{Adjoints, Output, Tape, sweep};

/// The derivatives (adjoints) of an output with respect to everything recorded before the output.
///
/// The memory of a gradient belongs to the tape, and [`Tape::clear`] reclaims it. A loop of sweeps over one recording
/// should use [`Var::backward_into`], which writes into an existing gradient.
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
/// A gradient does not outlive a clear, after which its numbers would belong to other handles:
///
/// ```compile_fail,E0502
/// let mut tape = wengert::Tape::<f64>::new();
/// let x = tape.var(1.0);
/// let gradient = x.sin().backward();
/// tape.clear();
/// println!("{gradient:?}");
/// ```
#[must_use = "a sweep stores nothing in its inputs; read the gradient with `[x]` or `wrt`"]
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
    /// A `Var` gives an `F`, `[Var; N]` an `[F; N]`, `&[Var]` a `Vec<F>` and a [`Tensor`](crate::Tensor) an
    /// [`Array`](ndarray::Array) of its shape. If the output does not depend on a variable, the derivative is 0.
    ///
    /// # Panics
    ///
    /// If a handle is of another tape or a constant, was recorded after the sweep's output, or is
    /// an intermediate that was not [`retain`](Var::retain)ed.
    #[doc(alias("grad"))]
    #[track_caller]
    pub fn wrt<W: Wrt<'t, F>>(&self, of: W) -> W::Output {
        of.read(self, Seal)
    }

    /// Writes the derivatives with respect to a slice of variables to `to`, without an allocation.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let x = tape.vars([2.0, 3.0]);
    /// let mut derivatives = [0.0; 2];
    /// (x[0] * x[1]).backward().wrt_into(&x, &mut derivatives);
    /// assert_eq!(derivatives, [3.0, 2.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`wrt`](Self::wrt), and if the slices have different lengths; `to` is then unchanged.
    #[track_caller]
    pub fn wrt_into(&self, of: &[Var<'_, F>], to: &mut [F]) {
        assert!(
            of.len() == to.len(),
            "gradient: {} variables, but {} numbers to write; the slices have one length",
            of.len(),
            to.len()
        );
        for var in of {
            self.slot_of(var);
        }
        for (to, var) in to.iter_mut().zip(of) {
            *to = self.adjoints[var.slot() as usize];
        }
    }

    /// True if every adjoint is finite.
    pub fn is_finite(&self) -> bool {
        self.adjoints[1..].iter().all(|a| a.is_finite())
    }

    /// The slot of a node of the tape that the sweep covered. Panics for other handles.
    #[inline(always)]
    #[track_caller]
    fn slot_of(&self, var: &Var<'_, F>) -> usize {
        let slot = var.slot() as usize;
        if !(var.is_node_of(self.tape) && slot < self.adjoints.len()) {
            self.refuse(var.tape(), slot, var.is_node());
        }
        slot
    }

    /// Panics with the reason why the gradient has no entry for a handle.
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

    /// Panics if a handle's tape is not that of the gradient.
    #[track_caller]
    pub(crate) fn assert_same_tape(&self, tape: &Tape<F>) {
        assert!(
            std::ptr::eq(self.tape, tape),
            "gradient: the handle belongs to tape {tape:p}, the gradient to tape {:p}",
            self.tape
        );
    }

    /// Panics if the slot was taken after the sweep's output, so that the gradient does not cover it.
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

    /// The derivative with respect to `var`.
    ///
    /// # Panics
    ///
    /// Same as for [`Gradient::wrt`].
    #[inline]
    #[track_caller]
    fn index(&self, var: Var<'_, F>) -> &F {
        &self.adjoints[self.slot_of(&var)]
    }
}

/// The argument of [`Gradient::wrt`]: a variable, an array or a slice of variables, or a tensor.
#[diagnostic::on_unimplemented(
    message = "a gradient with respect to `{Self}` cannot be read",
    note = "ask for a variable, `[x, y]`, `&variables[..]` or a tensor; the gradient with respect to parameters \
            comes from `Tape::value_and_grad`, and its part `gradient[w]` is that of a weight"
)]
pub trait Wrt<'t, F: Scalar> {
    /// The derivative in the arrangement of the handles.
    type Output;
    #[doc(hidden)]
    fn read(self, gradient: &Gradient<'t, F>, _: Seal) -> Self::Output;
}

impl<'t, F: Scalar> Wrt<'t, F> for Var<'_, F> {
    type Output = F;
    #[track_caller]
    fn read(self, gradient: &Gradient<'t, F>, _: Seal) -> F {
        gradient[self]
    }
}

impl<'t, F: Scalar, const N: usize> Wrt<'t, F> for [Var<'_, F>; N] {
    type Output = [F; N];
    #[inline]
    #[track_caller]
    fn read(self, gradient: &Gradient<'t, F>, _: Seal) -> [F; N] {
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
    fn read(self, gradient: &Gradient<'t, F>, _: Seal) -> Vec<F> {
        // Memory that is not cleared comes faster from the system's allocator. A closure would hide the caller's line.
        let mut adjoints = Vec::with_capacity(self.len());
        for var in self {
            adjoints.push(gradient.adjoints[gradient.slot_of(var)]);
        }
        adjoints
    }
}

impl<'t, F: Scalar> Wrt<'t, F> for &Vec<Var<'_, F>> {
    type Output = Vec<F>;
    #[track_caller]
    fn read(self, gradient: &Gradient<'t, F>, _: Seal) -> Vec<F> {
        self.as_slice().read(gradient, Seal)
    }
}

/// An output and its cotangent for [`Tape::backward_with`], made by [`Var::seed`] or
/// [`Tensor::seed`](crate::Tensor::seed).
#[derive(Clone, Copy)]
pub struct Seed<'t, F: Scalar> {
    tape: Option<&'t Tape<F>>,
    shape: &'t [usize],
    /// The places of the elements' adjoints in the buffer.
    place: Layout<'t>,
    cotangents: &'t [F],
}

impl<'t, F: Scalar> Seed<'t, F> {
    /// The seed of an output with these places of adjoints, and with cotangents in row-major order.
    pub(crate) fn new(tape: &'t Tape<F>, shape: &'t [usize], place: Layout<'t>, cotangents: &'t [F]) -> Self {
        Self { tape: Some(tape), shape, place, cotangents }
    }

    /// The seed of a constant, which adds nothing.
    pub(crate) fn of_constant() -> Self {
        Self { tape: None, shape: &[], place: Layout { offset: 0, strides: &[] }, cotangents: &[] }
    }
}

impl<F: Scalar> Seed<'_, F> {
    fn add_to(&self, adjoints: &mut Adjoints<'_, F>) {
        let Self { shape, place, cotangents, .. } = *self;
        let reach = place.reach(shape);
        let steps = place.strides.iter().zip(shape).rev();
        let mut in_order = steps.scan(1, |next, (&step, &len)| {
            let right = len == 1 || step == *next;
            *next *= len as isize;
            Some(right)
        });
        if !in_order.all(|right| right) {
            return scatter_add(shape, cotangents, adjoints.of(reach), place);
        }
        match adjoints.write(reach.clone()) {
            (slots, Store::Set) => slots[reach].copy_from_slice(cotangents),
            (slots, Store::Add) => slots[reach].iter_mut().zip(cotangents).for_each(|(slot, &x)| *slot += x),
        }
    }
}

impl<F: Scalar> fmt::Debug for Seed<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").field("shape", &self.shape).field("cotangents", &self.cotangents).finish()
    }
}

impl<'t, F: Scalar> Var<'t, F> {
    /// Sweeps backward from this value and returns its derivatives with respect to everything recorded before.
    ///
    /// A tape can be swept any number of times, from any of its values. A value that is not finite is swept like any
    /// other; its adjoints may not be finite either, which [`Gradient::is_finite`] tells.
    ///
    /// # Panics
    ///
    /// If the value is a constant, that is, was computed from no variable of a tape.
    #[doc(alias("grad"))]
    #[track_caller]
    pub fn backward(self) -> Gradient<'t, F> {
        let tape = self.expect_tape();
        Gradient { tape, adjoints: sweep::backward(tape, self.slot() as usize, self.weight()) }
    }

    /// Same as [`backward`](Self::backward), but into the memory of a gradient of the same tape.
    ///
    /// Any number of such sweeps takes no more memory than a few. The gradient keeps its length, so that derivatives with
    /// respect to what was recorded after this value are 0. If a pullback panics, every number of the gradient is NaN.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let [x, y] = tape.vars([2.0, 3.0]);
    /// let rows = [x * y, x / y];
    /// let mut gradient = rows[1].backward();
    /// for row in rows {
    ///     row.backward_into(&mut gradient);
    ///     println!("{:?}", gradient.wrt([x, y]));
    /// }
    /// # assert_eq!(gradient[x], 1.0 / 3.0);
    /// ```
    ///
    /// # Panics
    ///
    /// If the value is a constant or the gradient is of another tape.
    #[track_caller]
    pub fn backward_into(self, gradient: &mut Gradient<'t, F>) {
        let tape = self.expect_tape();
        gradient.assert_same_tape(tape);
        if let Some(longer) = sweep::longer_buffer(tape, gradient.adjoints.len(), self.slot() as usize) {
            gradient.adjoints = longer;
        }
        sweep::backward_into(tape, gradient.adjoints, self.slot() as usize, self.weight());
    }

    /// The tape of the value. Panics for a constant.
    #[track_caller]
    fn expect_tape(self) -> &'t Tape<F> {
        match self.tape() {
            Some(tape) => tape,
            None => panic!(
                "backward: the value {} is a constant, computed from no variable of a tape; make its inputs with `Tape::var`",
                self.value()
            ),
        }
    }

    /// The variable as an output with a cotangent, for [`Tape::backward_with`].
    pub fn seed(self, cotangent: F) -> Seed<'t, F> {
        let Some(tape) = self.tape() else { return Seed::of_constant() };
        let cotangents = tape.arena().alloc_slice_copy(&[cotangent.gated_mul(self.weight())]);
        Seed::new(tape, &[], Layout { offset: self.slot() as usize, strides: &[] }, cotangents)
    }
}

impl<F: Scalar> Var<'_, F> {
    /// The result of a recording, without the handle. Call it on a handle that a closure returned which works for
    /// handles of any lifetime: see `Tape::lend_and_sweep`.
    pub(crate) fn into_output(self) -> Output<F> {
        let tape = self.tape().map_or(std::ptr::null(), std::ptr::from_ref);
        Output { value: self.value(), tape, slot: self.slot(), weight: self.weight() }
    }
}

impl<F: Scalar> Tape<F> {
    /// The gradient of Σ cotangentᵢ · outputᵢ, by one sweep from several outputs.
    ///
    /// Constants among the outputs add nothing. Without outputs the gradient is zero.
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
        // Collected before the buffer is made, because the iterator may record.
        let seeds: SmallVec<[_; 8]> = seeds.into_iter().collect();
        for tape in seeds.iter().filter_map(|seed| seed.tape) {
            assert!(
                std::ptr::eq(self, tape),
                "backward_with: an output belongs to tape {tape:p}, the sweep is of tape {self:p}"
            );
        }
        let adjoints = sweep::backward_seeded(self, |adjoints| {
            for seed in seeds.iter().filter(|seed| seed.tape.is_some()) {
                seed.add_to(adjoints);
            }
        });
        Gradient { tape: self, adjoints }
    }
}

impl<'t, F: Scalar> AddAssign<&Gradient<'t, F>> for Gradient<'t, F> {
    /// Adds the gradient of another sweep of the same tape.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let [x, y] = tape.vars([2.0, 3.0]);
    /// let mut total = (x * y).backward();
    /// total += &x.square().backward();
    /// assert_eq!(total.wrt([x, y]), [7.0, 2.0]);
    /// ```
    ///
    /// A gradient keeps the data of its sweep borrowed, and so does the sum for both:
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
    /// If the other gradient is of another tape.
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
