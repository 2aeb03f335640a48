//! [`ParamsOn`]: parameters on a tape, and the gradient of a loss that a closure computes.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use ndarray::{Dimension, IntoDimension, Ix1};

use super::entry::Param;
use super::gradient::ParamsGradient;
use super::store::Params;
use crate::arena::Arena;
use crate::number::{Dual, Scalar};
use crate::scalar::Var;
use crate::slices::row_major;
use crate::tape::{SINK, Scope, Tape};
use crate::tensor::{IntoConstant, Tensor};

/// Parameters on a tape: see [`Tape::value_and_grad`] and [`Params::on`].
///
/// `'t` is the lifetime of handles, `'env` that of data that handles may borrow.
#[derive(Clone, Copy)]
pub struct ParamsOn<'t, 'env: 't, F: Scalar = f64> {
    tape: &'t Tape<F>,
    params: &'t Params<F>,
    /// The numbers of all weights: those of `params`, or others in their place.
    values: &'t [F],
    /// The slot of the first number, or the sink if the weights are constants.
    slot: u32,
    env: PhantomData<&'env ()>,
}

impl<F: Scalar> fmt::Debug for ParamsOn<'_, '_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParamsOn").field("tape", self.tape).field("params", self.params).finish()
    }
}

impl<'t, 'env, F: Scalar> ParamsOn<'t, 'env, F> {
    /// The parameters as the next inputs of a tape.
    pub(crate) fn new(tape: &'t Tape<F>, params: &'t Params<F>) -> Self {
        Self::at(tape, params, params.values())
    }

    /// The same parameters on another tape: as its next inputs if `recorded`, else as constants.
    pub(crate) fn moved<'s, 'e: 's>(self, tape: &'s Tape<F>, recorded: bool) -> ParamsOn<'s, 'e, F>
    where
        't: 's,
    {
        let slot = if recorded { self.params.input_slots(tape) } else { SINK };
        ParamsOn { tape, slot, params: self.params, values: self.values, env: PhantomData }
    }

    /// The parameters with other values, as the next inputs of a tape.
    fn at(tape: &'t Tape<F>, params: &'t Params<F>, values: &'t [F]) -> Self {
        ParamsOn { tape, slot: params.input_slots(tape), params, values, env: PhantomData }
    }

    /// A weight as a tensor that reads the parameters in place. The adjoints of a weight that is used several times add
    /// up. Buffers and [frozen](crate::Group::freeze) weights are constants.
    ///
    /// # Panics
    ///
    /// If the id belongs to another `Params`.
    #[track_caller]
    pub fn get<D: Dimension>(self, id: Param<D>) -> Tensor<'t, F, D> {
        let entry = self.params.entry(id);
        let constant = entry.buffer || entry.training.frozen;
        let slot = if constant || self.slot == SINK { SINK } else { self.slot + entry.start as u32 };
        let numbers = if entry.buffer { self.params.store(entry) } else { &self.values[entry.range()] };
        let weight = self.weights(slot, entry.dim(), numbers);
        // A frozen weight is constant in every order: its direction in a Hessian-vector product does not count.
        if entry.training.frozen { weight.detach() } else { weight }
    }

    /// All weights as one tensor, for example for a penalty on their size. Frozen weights are part of the tensor and of
    /// its gradient.
    #[doc(alias("parameters"))]
    pub fn flat(self) -> Tensor<'t, F, Ix1> {
        self.weights(self.slot, Ix1(self.values.len()), self.values)
    }

    /// A tensor over some numbers of the weights; `slot` belongs to the first of them.
    fn weights<D: Dimension>(self, slot: u32, shape: D, numbers: &'t [F]) -> Tensor<'t, F, D> {
        Tensor::over(self.tape, row_major(shape, numbers), numbers, slot)
    }

    /// The tape.
    pub fn tape(self) -> &'t Tape<F> {
        self.tape
    }

    /// A constant on the tape: [`Tape::constant`].
    pub fn constant<C: IntoConstant<'t, F>>(self, value: C) -> C::Handle {
        self.tape.constant(value)
    }

    /// A constant of a shape whose elements are all 0: [`Tape::zeros`].
    #[track_caller]
    pub fn zeros<I: IntoDimension>(self, shape: I) -> Tensor<'t, F, I::Dim> {
        self.tape.zeros(shape)
    }

    /// A constant of a shape whose elements are all 1: [`Tape::ones`].
    #[track_caller]
    pub fn ones<I: IntoDimension>(self, shape: I) -> Tensor<'t, F, I::Dim> {
        self.tape.ones(shape)
    }

    /// A constant of a shape whose elements are all `x`: [`Tape::full`].
    #[track_caller]
    pub fn full<I: IntoDimension>(self, shape: I, x: F) -> Tensor<'t, F, I::Dim> {
        self.tape.full(shape, x)
    }

    /// The slot of the first weight, or the sink if the weights are constants.
    pub(crate) fn first_slot(self) -> u32 {
        self.slot
    }

    /// The parameters.
    pub fn params(self) -> &'t Params<F> {
        self.params
    }
}

impl<F: Scalar> Tape<F> {
    /// The value of a loss and its gradient with respect to all parameters, in the order of [`Params::values`]. The
    /// derivative is 0 for a parameter on which the loss does not depend.
    ///
    /// The tape is cleared first, and the recording is dropped before the method returns. Parameters and data are read
    /// in place. The gradient lies in the memory of the tape until the next use of the tape. It does not borrow the
    /// parameters, so an optimiser can change them. It stands wherever a slice is expected:
    ///
    /// ```
    /// use ndarray::{Array1, array};
    /// use wengert::optim::{Optimizer, Sgd};
    /// use wengert::{Params, Tape};
    ///
    /// // y = 3x₁ - x₂ + 2 at four points.
    /// let x = array![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
    /// let y = array![2.0, 5.0, 1.0, 4.0];
    /// let mut params = Params::<f64>::new();
    /// let w = params.add("w", Array1::zeros(2));
    /// let b = params.add("b", Array1::zeros(1));
    /// let (mut tape, mut sgd) = (Tape::new(), Sgd::new(0.1).momentum(0.9));
    /// for _ in 0..300 {
    ///     let (_, grad) = tape.value_and_grad(&params, |p| {
    ///         let error = p.constant(&x).dot(p.get(w)) + p.get(b) - &y;
    ///         error.square().mean()
    ///     });
    ///     sgd.step(&mut params, grad);
    /// }
    /// assert!((params.values()[0] - 3.0).abs() < 1e-4);
    /// assert!((params.values()[1] + 1.0).abs() < 1e-4);
    /// assert!((params.values()[2] - 2.0).abs() < 1e-4);
    /// ```
    ///
    /// The compiler rejects a handle that leaves the closure:
    ///
    /// ```compile_fail,E0521
    /// # let mut params = wengert::Params::new();
    /// # let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// # let mut tape = wengert::Tape::new();
    /// let mut kept = None;
    /// tape.value_and_grad(&params, |p| {
    ///     kept = Some(p.get(w));
    ///     p.get(w).at([0])
    /// });
    /// ```
    ///
    /// also one that borrows the parameters, or data that is gone before the call ends:
    ///
    /// ```compile_fail,E0521
    /// # let mut params = wengert::Params::<f64>::new();
    /// # let mut tape = wengert::Tape::new();
    /// let mut kept = None;
    /// tape.value_and_grad(&params, |p| {
    ///     kept = Some(p.params());
    ///     p.flat().sum()
    /// });
    /// params.values_mut().fill(0.0);
    /// ```
    ///
    /// a loss that depends on data owned by the closure:
    ///
    /// ```compile_fail,E0515
    /// # let mut params = wengert::Params::new();
    /// # let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// # let mut tape = wengert::Tape::new();
    /// tape.value_and_grad(&params, |p| {
    ///     let x = ndarray::array![3.0, 4.0];
    ///     (p.get(w) * p.constant(&x)).at([0])
    /// });
    /// ```
    ///
    /// and a gradient that is read after the next use of the tape:
    ///
    /// ```compile_fail,E0499
    /// # let mut params = wengert::Params::new();
    /// # let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// # let mut tape = wengert::Tape::new();
    /// let (_, first) = tape.value_and_grad(&params, |p| p.get(w).at([0]));
    /// let (_, second) = tape.value_and_grad(&params, |p| p.get(w).at([1]));
    /// println!("{first:?} {second:?}");
    /// ```
    ///
    /// The parameters are borrowed for the call alone, so a function can take a loss and change them afterwards. Data
    /// that the loss reads outlives the call, but not the parameters:
    ///
    /// ```
    /// use wengert::{Optimizer, Params, ParamsOn, Sgd, Tape, Var};
    ///
    /// fn train_step<'env>(
    ///     tape: &mut Tape,
    ///     params: &mut Params,
    ///     sgd: &mut Sgd,
    ///     loss: impl for<'t> FnOnce(ParamsOn<'t, 'env>) -> Var<'t>,
    /// ) -> f64 {
    ///     let (loss, grad) = tape.value_and_grad(params, loss);
    ///     sgd.step(params, grad);
    ///     loss
    /// }
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// let (mut tape, mut sgd) = (Tape::new(), Sgd::new(0.5));
    /// for batch in [ndarray::array![1.0, 0.0], ndarray::array![0.0, 1.0]] {
    ///     train_step(&mut tape, &mut params, &mut sgd, |p| (p.get(w) * &batch).sum());
    /// }
    /// assert_eq!(params.values(), [0.5, 1.5]);
    /// ```
    ///
    /// A loss that is not finite is swept like any other, see [`Var::backward`]. The gradient of a constant loss is 0.
    ///
    /// # Panics
    ///
    /// If the loss belongs to another tape.
    #[must_use = "the gradient changes no weight by itself; give it to `Optimizer::step`"]
    #[track_caller]
    pub fn value_and_grad<'env>(
        &mut self,
        params: &Params<F>,
        f: impl for<'t> FnOnce(ParamsOn<'t, 'env, F>) -> Var<'t, F>,
    ) -> (F, &ParamsGradient<'_, F>) {
        let (loss, gradient) = self.value_and_grad_mut(params, f);
        (loss, gradient)
    }

    /// Same as [`value_and_grad`](Self::value_and_grad), but with a gradient that can be changed in place, as for a
    /// clipping of one's own or a mean over several machines.
    ///
    /// ```
    /// use wengert::{Optimizer, Params, Sgd, Tape};
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", ndarray::array![3.0, 0.1]);
    /// let (mut tape, mut sgd) = (Tape::new(), Sgd::new(1.0));
    /// let (_, grad) = tape.value_and_grad_mut(&params, |p| p.get(w).square().sum());
    /// for g in grad.iter_mut() {
    ///     *g = f64::clamp(*g, -1.0, 1.0);
    /// }
    /// sgd.step(&mut params, grad);
    /// assert_eq!(params.values(), [2.0, -0.1]);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`value_and_grad`](Self::value_and_grad).
    #[must_use = "the gradient changes no weight by itself; give it to `Optimizer::step`"]
    #[track_caller]
    pub fn value_and_grad_mut<'env>(
        &mut self,
        params: &Params<F>,
        f: impl for<'t> FnOnce(ParamsOn<'t, 'env, F>) -> Var<'t, F>,
    ) -> (F, &mut ParamsGradient<'_, F>) {
        let result = self.gradient_of(params, |p| Ok::<_, Infallible>((f(p), ())));
        let Ok((loss, (), gradient)) = result;
        (loss, gradient)
    }

    /// Same as [`value_and_grad`](Self::value_and_grad), for a closure that returns something else beside the loss:
    /// `(loss, aux)`. No handle can be part of it, but numbers and owned arrays can.
    ///
    /// ```
    /// use ndarray::{Array1, array};
    /// use wengert::{Params, Tape};
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", array![1.0, 2.0]);
    /// let mut tape = Tape::new();
    /// let ((loss, squares), grad) = tape.value_and_grad_aux(&params, |p| {
    ///     let squares = p.get(w).square();
    ///     (squares.sum(), squares.value().to_owned())
    /// });
    /// assert_eq!((loss, squares), (5.0, array![1.0, 4.0]));
    /// assert_eq!(grad, [2.0, 4.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`value_and_grad`](Self::value_and_grad).
    #[must_use = "the gradient changes no weight by itself; give it to `Optimizer::step`"]
    #[doc(alias("has_aux"))]
    #[track_caller]
    pub fn value_and_grad_aux<'env, A>(
        &mut self,
        params: &Params<F>,
        f: impl for<'t> FnOnce(ParamsOn<'t, 'env, F>) -> (Var<'t, F>, A),
    ) -> ((F, A), &mut ParamsGradient<'_, F>) {
        let result = self.gradient_of(params, |p| Ok::<_, Infallible>(f(p)));
        let Ok((loss, aux, gradient)) = result;
        ((loss, aux), gradient)
    }

    /// Same as [`value_and_grad`](Self::value_and_grad), for a closure that may fail, and in which `?` stands. After an
    /// error there is no sweep, and nothing stays on the tape.
    ///
    /// ```
    /// use wengert::{Params, Tape};
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// let mut tape = Tape::new();
    /// let mut step = |text: &str| {
    ///     let result = tape.try_value_and_grad(&params, |p| {
    ///         let scale: f64 = text.parse()?;
    ///         Ok::<_, std::num::ParseFloatError>((p.get(w) * scale).sum())
    ///     });
    ///     result.map(|(loss, _)| loss)
    /// };
    /// assert_eq!(step("10"), Ok(30.0));
    /// assert!(step("ten").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the closure.
    ///
    /// # Panics
    ///
    /// Same as for [`value_and_grad`](Self::value_and_grad).
    #[track_caller]
    pub fn try_value_and_grad<'env, E>(
        &mut self,
        params: &Params<F>,
        f: impl for<'t> FnOnce(ParamsOn<'t, 'env, F>) -> Result<Var<'t, F>, E>,
    ) -> Result<(F, &mut ParamsGradient<'_, F>), E> {
        let (loss, (), gradient) = self.gradient_of(params, |p| Ok((f(p)?, ())))?;
        Ok((loss, gradient))
    }

    /// The loss, what else the closure returns, and the gradient.
    #[track_caller]
    #[allow(clippy::type_complexity)]
    fn gradient_of<'env, A, E>(
        &mut self,
        params: &Params<F>,
        f: impl for<'t> FnOnce(ParamsOn<'t, 'env, F>) -> Result<(Var<'t, F>, A), E>,
    ) -> Result<(F, A, &mut ParamsGradient<'_, F>), E> {
        let mut aux = None;
        let (loss, adjoints, arena) = self.lend_and_sweep(params, |scope: Scope<'_, 'env, F>, params| {
            let (loss, other) = f(ParamsOn::new(scope.tape, params))?;
            aux = Some(other);
            Ok(loss.into_output())
        })?;
        let aux = aux.expect("the closure returned it");
        Ok((loss, aux, gradient_in(arena, params, adjoints)))
    }

    /// The result of a model, for the weights as constants: nothing is recorded, and nothing stays on the tape.
    ///
    /// The closure returns what outlives the tape's values: a number, or an owned array. The tape is cleared before and
    /// after, by a panic too, and keeps its memory, so that a loop of evaluations takes no more memory than one.
    ///
    /// ```
    /// use ndarray::{Array1, array};
    /// use wengert::{Params, Tape};
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", array![2.0, 1.0]);
    /// let mut tape = Tape::new();
    /// for batch in [array![[1.0, 2.0]], array![[3.0, 4.0]]] {
    ///     let y: Array1<f64> = tape.evaluate(&params, |p| p.constant(&batch).dot(p.get(w)).value().to_owned());
    ///     assert_eq!(y[0], 2.0 * batch[[0, 0]] + batch[[0, 1]]);
    /// }
    /// ```
    ///
    /// The compiler rejects a handle that leaves the closure:
    ///
    /// ```compile_fail
    /// # let mut params = wengert::Params::new();
    /// # let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// # let mut tape = wengert::Tape::new();
    /// let y = tape.evaluate(&params, |p| p.get(w).value());
    /// ```
    #[doc(alias("no_grad", "inference_mode", "eval"))]
    pub fn evaluate<'env, T>(&mut self, params: &Params<F>, f: impl for<'t> FnOnce(ParamsOn<'t, 'env, F>) -> T) -> T {
        struct Cleared<'a, F: Scalar>(&'a mut Tape<F>);
        impl<F: Scalar> Drop for Cleared<'_, F> {
            fn drop(&mut self) {
                self.0.clear();
            }
        }

        self.clear();
        let tape = Cleared(self);
        f(params.constants_on(tape.0))
    }

    /// Same as [`value_and_grad`](Self::value_and_grad), but at other values than the parameters' own, as a line search
    /// needs.
    ///
    /// ```
    /// let mut params = wengert::Params::new();
    /// let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// let mut tape = wengert::Tape::new();
    /// let (loss, grad) = tape.value_and_grad_at(&params, &[3.0, 4.0], |p| p.get(w).square().sum());
    /// assert_eq!((loss, &grad[..]), (25.0, &[6.0, 8.0][..]));
    /// ```
    ///
    /// # Panics
    ///
    /// If `values` and [`Params::values`] differ in length, or the loss belongs to another tape.
    #[must_use = "the gradient changes no weight by itself; give it to `Optimizer::step`"]
    #[track_caller]
    pub fn value_and_grad_at<'env>(
        &mut self,
        params: &Params<F>,
        values: &[F],
        f: impl for<'t> FnOnce(ParamsOn<'t, 'env, F>) -> Var<'t, F>,
    ) -> (F, &ParamsGradient<'_, F>) {
        assert!(
            values.len() == params.len(),
            "value_and_grad_at: {} values do not fit {} parameters",
            values.len(),
            params.len()
        );
        let result = self.lend_and_sweep(params, |scope: Scope<'_, 'env, F>, params| {
            // The copy lives as long as the handles.
            let values = scope.tape.arena().alloc_slice_copy(values);
            Ok::<_, Infallible>(f(ParamsOn::at(scope.tape, params, values)).into_output())
        });
        let Ok((loss, adjoints, arena)) = result;
        (loss, gradient_in(arena, params, adjoints))
    }
}

/// The closure itself, as a loss for [`Tape::value_and_grad`] that stands in a variable.
///
/// Without it the compiler takes a closure in a variable for one that works for a single lifetime.
///
/// ```
/// use wengert::{Params, Tape, loss_fn};
///
/// let mut params = Params::<f64>::new();
/// let w = params.add("w", ndarray::array![3.0]);
/// let loss = loss_fn(|p| p.get(w).square().sum());
///
/// let mut tape = Tape::new();
/// for _ in 0..20 {
///     let (_, grad) = tape.value_and_grad(&params, &loss);
///     let slope = grad[0];
///     params.values_mut()[0] -= 0.3 * slope;
/// }
/// assert!(tape.evaluate(&params, |p| loss(p).value()) < 1e-12);
/// ```
pub fn loss_fn<'env, F: Scalar, L: for<'t> Fn(ParamsOn<'t, 'env, F>) -> Var<'t, F>>(loss: L) -> L {
    loss
}

/// The gradient with respect to parameters that are the first inputs of a tape, after the sink.
#[track_caller]
fn gradient_in<'a, F: Scalar>(
    arena: &'a Arena,
    params: &Params<F>,
    adjoints: &'a mut [F],
) -> &'a mut ParamsGradient<'a, F> {
    let places = arena.alloc_slice_fill_iter(params.places());
    arena.alloc(ParamsGradient::new(places, &mut adjoints[1..][..params.len()]))
}

impl<F: Scalar> Params<F> {
    /// The weights as differentiable inputs of a tape.
    ///
    /// This is the form without a closure, for several sweeps over one recording:
    ///
    /// ```
    /// use wengert::{Params, Tape};
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// let tape = Tape::new();
    /// let p = params.on(&tape);
    /// let gradient = p.get(w).square().sum().backward();
    /// assert_eq!(gradient.wrt(p.flat()), ndarray::array![2.0, 4.0]);
    /// ```
    pub fn on<'t>(&'t self, tape: &'t Tape<F>) -> ParamsOn<'t, 't, F> {
        ParamsOn::new(tape, self)
    }

    /// The weights as constants of a tape, for evaluating a model without recording it.
    ///
    /// The values of an evaluation stay on the tape until [`Tape::clear`], which needs every handle gone. A loop of
    /// evaluations should use [`Tape::evaluate`], which clears by itself.
    pub fn frozen_on<'t>(&'t self, tape: &'t Tape<F>) -> ParamsOn<'t, 't, F> {
        self.constants_on(tape)
    }

    fn constants_on<'t, 'env: 't>(&'t self, tape: &'t Tape<F>) -> ParamsOn<'t, 'env, F> {
        ParamsOn { tape, slot: SINK, params: self, values: self.values(), env: PhantomData }
    }
}

impl<F: Scalar> Tape<Dual<F>> {
    /// The value, gradient and Hessian-vector product of a loss with respect to all parameters: the second-order
    /// companion of [`value_and_grad`](Self::value_and_grad), with the same closure.
    ///
    /// ```
    /// use ndarray::array;
    /// use wengert::{Params, Tape};
    ///
    /// let mut params = Params::<f64>::new();
    /// let w = params.add("w", array![3.0, 5.0]);
    /// let mut tape = Tape::new();
    /// let (loss, gradient, product) = tape.value_grad_hvp(&params, &[1.0, 2.0], |p| {
    ///     let w = p.get(w);
    ///     w.at([0]).square() * w.at([1])
    /// });
    /// assert_eq!((loss, gradient, product), (45.0, vec![30.0, 9.0], vec![22.0, 6.0]));
    /// ```
    ///
    /// This method allocates. A loop that must not keeps the parameters [`with_tangents`](Params::with_tangents) and
    /// calls [`value_and_grad`](Self::value_and_grad), which returns the product as the tangents of the gradient.
    ///
    /// # Panics
    ///
    /// If `direction` and [`Params::values`] differ in length, or the loss belongs to another tape.
    #[must_use = "the gradient changes no weight by itself; give it to `Optimizer::step`"]
    #[track_caller]
    pub fn value_grad_hvp<'env>(
        &mut self,
        params: &Params<F>,
        direction: &[F],
        f: impl for<'t> FnOnce(ParamsOn<'t, 'env, Dual<F>>) -> Var<'t, Dual<F>>,
    ) -> (F, Vec<F>, Vec<F>) {
        assert!(
            direction.len() == params.len(),
            "value_grad_hvp: the direction has {} numbers, the parameters have {}; it has one number for each parameter",
            direction.len(),
            params.len()
        );
        let params = params.with_tangents(direction);
        let n = params.len();
        let (loss, adjoints) = self.record_and_sweep(|scope: Scope<'_, 'env, _>| {
            let params = scope.tape.alloc(params);
            f(ParamsOn::new(scope.tape, params)).into_output()
        });
        let (gradient, product) = Dual::unzip(&adjoints[1..=n]);
        (loss.primal(), gradient, product)
    }
}
