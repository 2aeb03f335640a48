//! Derivatives of functions of one array, in one call: ndarray in, ndarray out.
//!
//! The functions are those at the root of the crate, for closures that take a [`Tensor`]. For derivatives with
//! respect to several arrays, see [`Params`](crate::Params).
//!
//! A closure borrows other data as an operand, which copies it, or puts an owned array on the tape:
//!
//! ```
//! use ndarray::array;
//!
//! let (x, data) = (array![1.0, 2.0], array![3.0, 4.0]);
//! let g = wengert::arrays::grad(|x| (x * &data).sum(), &x);
//! assert_eq!(g, data);
//!
//! let g = wengert::arrays::grad(|x| x.dot(x.tape().constant(data.clone())), &x);
//! assert_eq!(g, data);
//! ```
//!
//! Data that is read in place would have to live as long as the recording, which [`vjp`] keeps:
//!
//! ```compile_fail,E0597
//! # use ndarray::array;
//! # let (x, data) = (array![1.0, 2.0], array![3.0, 4.0]);
//! let g = wengert::arrays::grad(|x| x.dot(x.tape().constant(&data)), &x);
//! ```
//!
//! The Jacobian of a function from shape `[p, q]` to shape `[r]` has the shape `[r, p, q]`, and the
//! Hessian of a function of shape `[p, q]` the shape `[p, q, p, q]`: output axes, then input axes.
//!
//! ```
//! use ndarray::{Axis, array};
//! use wengert::arrays;
//!
//! let x = array![[1.0, 2.0], [3.0, 4.0]];
//! assert_eq!(arrays::grad(|x| x.square().sum(), &x), array![[2.0, 4.0], [6.0, 8.0]]);
//!
//! let j = arrays::jacobian(|x| x.sum_axis(Axis(0)), &x);
//! assert_eq!(j.shape(), [2, 2, 2]);
//! assert_eq!(j[[1, 0, 1]], 1.0);
//! ```

use std::fmt;
use std::rc::Rc;

use ndarray::{Array, Array2, ArrayBase, ArrayD, ArrayView, Data, Dimension};

use super::hessian::{self, COLUMNS};
use super::linearization::{Linearization, place};
use crate::number::{Dual, Scalar};
use crate::scalar::{Var, two_tapes};
use crate::tape::Tape;
use crate::tensor::Tensor;

/// The argument of the function of [`hessian`](fn@hessian) and [`laplacian`].
type TensorOf<'t, F, D> = Tensor<'t, Dual<F, COLUMNS>, D>;

/// The result of the function of [`hessian`](fn@hessian) and [`laplacian`].
type VarOf<'t, F> = Var<'t, Dual<F, COLUMNS>>;

/// The gradient of `f` at `point`: see [`crate::grad`].
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn grad<F: Scalar, S: Data<Elem = F>, D: Dimension>(
    f: impl for<'t> FnOnce(Tensor<'t, F, D>) -> Var<'t, F>,
    point: &ArrayBase<S, D>,
) -> Array<F, D> {
    value_and_grad(f, point).1
}

/// The value and the gradient of `f` at `point`: see [`crate::value_and_grad`].
///
/// ```
/// use ndarray::array;
///
/// let (y, g) = wengert::arrays::value_and_grad(|x| x.square().sum(), &array![1.0, 2.0]);
/// assert_eq!((y, g), (5.0, array![2.0, 4.0]));
/// ```
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn value_and_grad<F: Scalar, S: Data<Elem = F>, D: Dimension>(
    f: impl for<'t> FnOnce(Tensor<'t, F, D>) -> Var<'t, F>,
    point: &ArrayBase<S, D>,
) -> (F, Array<F, D>) {
    let mut tape = Tape::new();
    let (value, adjoints) =
        tape.record_and_sweep(|scope| f(input(scope.tape, point.raw_dim(), &flat(point))).into_output());
    (value, shaped(point.raw_dim(), adjoints[1..=point.len()].to_vec()))
}

/// The value of `f` at `point`, and the pullback w ↦ Jᵀw: see [`crate::vjp`].
///
/// ```
/// use ndarray::{Axis, array};
///
/// let (y, pullback) = wengert::arrays::vjp(|x| x.sum_axis(Axis(1)), &array![[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!(y, array![3.0, 7.0]);
/// assert_eq!(pullback.call(&array![1.0, -1.0]), array![[1.0, 1.0], [-1.0, -1.0]]);
/// ```
///
/// # Panics
///
/// If `f` returns a tensor of another tape.
#[track_caller]
pub fn vjp<F: Scalar, S: Data<Elem = F>, D: Dimension, E: Dimension>(
    f: impl for<'t> FnOnce(Tensor<'t, F, D>) -> Tensor<'t, F, E>,
    point: &ArrayBase<S, D>,
) -> (Array<F, E>, Pullback<F, D, E>) {
    let (value, recording) = record(f, point);
    let (input, output) = (point.raw_dim(), value.raw_dim());
    (value, Pullback { recording, input, output })
}

/// The pullback of a function of arrays at a point: see [`vjp`].
pub struct Pullback<F: Scalar, D, E> {
    recording: Linearization<F>,
    input: D,
    output: E,
}

impl<F: Scalar, D: Dimension, E: Dimension> Pullback<F, D, E> {
    /// The product Jᵀ · cotangent, in the shape of the input.
    ///
    /// # Panics
    ///
    /// If the shapes of the cotangent and of the output differ.
    #[track_caller]
    pub fn call<S: Data<Elem = F>>(&self, cotangent: &ArrayBase<S, E>) -> Array<F, D> {
        assert!(
            cotangent.raw_dim() == self.output,
            "pullback: the cotangent has shape {:?}, the output of the function {:?}",
            cotangent.shape(),
            self.output.slice()
        );
        shaped(self.input.clone(), self.recording.pull(cotangent.iter().copied()))
    }
}

impl<F: Scalar, D: Dimension, E: Dimension> fmt::Debug for Pullback<F, D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pullback").field("input", &self.input).field("output", &self.output).finish_non_exhaustive()
    }
}

/// The value of `f` at `point` and the product Jv: see [`crate::jvp`]. Nothing is recorded.
///
/// ```
/// use ndarray::array;
///
/// let (y, dy) = wengert::arrays::jvp(|x| x.square(), &array![1.0, 2.0], &array![1.0, 10.0]);
/// assert_eq!((y, dy), (array![1.0, 4.0], array![2.0, 40.0]));
/// ```
///
/// # Panics
///
/// If the shapes of `tangent` and `point` differ.
#[track_caller]
pub fn jvp<F: Scalar, S: Data<Elem = F>, T: Data<Elem = F>, D: Dimension, E: Dimension>(
    f: impl for<'t> FnOnce(Tensor<'t, Dual<F>, D>) -> Tensor<'t, Dual<F>, E>,
    point: &ArrayBase<S, D>,
    tangent: &ArrayBase<T, D>,
) -> (Array<F, E>, Array<F, E>) {
    let x = along("jvp", point, tangent);
    let tape = Tape::new();
    let y = f(input(&tape, x.raw_dim(), &flat(&x)).as_constant()).value();
    (y.map(|y| y.primal()), y.map(|y| y.tangents()[0]))
}

/// The Jacobian of `f` at `point`, output axes first: see [`crate::jacobian`].
///
/// # Panics
///
/// If `f` returns a tensor of another tape.
#[track_caller]
pub fn jacobian<F: Scalar, S: Data<Elem = F>, D: Dimension, E: Dimension>(
    f: impl for<'t> FnOnce(Tensor<'t, F, D>) -> Tensor<'t, F, E>,
    point: &ArrayBase<S, D>,
) -> ArrayD<F> {
    let (value, recording) = record(f, point);
    unflatten(recording.jacobian(), value.shape(), point.shape())
}

/// The divergence of `f` at `point`, where input and output have the same shape: see [`crate::divergence`].
///
/// ```
/// use ndarray::array;
///
/// assert_eq!(wengert::arrays::divergence(|x| x.square(), &array![1.0, 2.0]), 6.0);
/// ```
///
/// # Panics
///
/// If the shapes of output and input differ, or `f` returns a tensor of another tape.
#[track_caller]
pub fn divergence<F: Scalar, S: Data<Elem = F>, D: Dimension>(
    f: impl for<'t> FnOnce(Tensor<'t, F, D>) -> Tensor<'t, F, D>,
    point: &ArrayBase<S, D>,
) -> F {
    let (value, recording) = record(f, point);
    assert!(
        value.shape() == point.shape(),
        "divergence: the output has shape {:?}, the input {:?}; those of a vector field are equal",
        value.shape(),
        point.shape()
    );
    recording.trace_of_jacobian()
}

/// The product of the Hessian of `f` at `point` with an array: see [`crate::hvp`].
///
/// ```
/// use ndarray::array;
///
/// let (x, v) = (array![1.0, 2.0], array![1.0, 10.0]);
/// assert_eq!(wengert::arrays::hvp(|x| x.powi(3).sum(), &x, &v), array![6.0, 120.0]);
/// ```
///
/// # Panics
///
/// If the shapes of `direction` and `point` differ, or `f` returns a variable of another tape.
#[track_caller]
pub fn hvp<F: Scalar, S: Data<Elem = F>, T: Data<Elem = F>, D: Dimension>(
    f: impl for<'t> FnOnce(Tensor<'t, Dual<F>, D>) -> Var<'t, Dual<F>>,
    point: &ArrayBase<S, D>,
    direction: &ArrayBase<T, D>,
) -> Array<F, D> {
    value_and_grad(f, &along("hvp", point, direction)).1.map(|g| g.tangents()[0])
}

/// The value, the gradient, and the product of the Hessian with an array: see [`crate::value_grad_hvp`].
///
/// # Panics
///
/// If the shapes of `direction` and `point` differ, or `f` returns a variable of another tape.
#[track_caller]
pub fn value_grad_hvp<F: Scalar, S: Data<Elem = F>, T: Data<Elem = F>, D: Dimension>(
    f: impl for<'t> FnOnce(Tensor<'t, Dual<F>, D>) -> Var<'t, Dual<F>>,
    point: &ArrayBase<S, D>,
    direction: &ArrayBase<T, D>,
) -> (F, Array<F, D>, Array<F, D>) {
    let (value, gradient) = value_and_grad(f, &along("value_grad_hvp", point, direction));
    (value.primal(), gradient.map(|g| g.primal()), gradient.map(|g| g.tangents()[0]))
}

/// The Hessian of `f` at `point`, with the axes of `point` twice: see [`crate::hessian`].
///
/// ```
/// use ndarray::array;
///
/// let h = wengert::arrays::hessian(|x| x.at([0]).square() * x.at([1]), &array![3.0, 5.0]);
/// assert_eq!(h, array![[10.0, 6.0], [6.0, 0.0]].into_dyn());
/// ```
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn hessian<F: Scalar, S: Data<Elem = F>, D: Dimension + 'static>(
    f: impl for<'t> Fn(TensorOf<'t, F, D>) -> VarOf<'t, F>,
    point: &ArrayBase<S, D>,
) -> ArrayD<F> {
    let hessian = hessian::matrix(|tape, x| f(input(tape, point.raw_dim(), x)), &flat(point));
    unflatten(hessian, point.shape(), point.shape())
}

/// The Laplacian of `f` at `point`: see [`crate::laplacian`].
///
/// # Panics
///
/// If `f` returns a variable of another tape.
#[track_caller]
pub fn laplacian<F: Scalar, S: Data<Elem = F>, D: Dimension + 'static>(
    f: impl for<'t> Fn(TensorOf<'t, F, D>) -> VarOf<'t, F>,
    point: &ArrayBase<S, D>,
) -> F {
    hessian::trace_of_hessian(|tape, x| f(input(tape, point.raw_dim(), x)), &flat(point))
}

/// Runs `f` on a new tape; returns the value, and the recording.
#[track_caller]
fn record<F: Scalar, S: Data<Elem = F>, D: Dimension, E: Dimension>(
    f: impl for<'t> FnOnce(Tensor<'t, F, D>) -> Tensor<'t, F, E>,
    point: &ArrayBase<S, D>,
) -> (Array<F, E>, Linearization<F>) {
    let tape = Rc::new(Tape::new());
    let y = f(input(&tape, point.raw_dim(), &flat(point)));
    if !std::ptr::eq(y.tape(), &raw const *tape) {
        two_tapes(&tape, y.tape());
    }
    let value = y.value().to_owned();
    let outputs = y.value().into_iter().map(|element| place(y.element(element), &tape)).collect();
    (value, Linearization::of(tape, point.len(), outputs))
}

/// The first input of a tape: a tensor over a copy of `values` in the arena.
fn input<'t, F: Scalar, D: Dimension>(tape: &'t Tape<F>, dim: D, values: &[F]) -> Tensor<'t, F, D> {
    let storage = &*tape.arena().alloc_slice_copy(values);
    let view = ArrayView::from_shape(dim, storage).expect("as many elements as the shape has");
    let input = Tensor::over(tape, view, storage, tape.slots() as u32);
    tape.input_slots(values.len());
    input
}

/// The elements of an array in row-major order.
fn flat<F: Scalar, S: Data<Elem = F>, D: Dimension>(array: &ArrayBase<S, D>) -> Vec<F> {
    array.iter().copied().collect()
}

/// The array of this shape with these elements in row-major order.
fn shaped<F: Scalar, D: Dimension>(dim: D, values: Vec<F>) -> Array<F, D> {
    Array::from_shape_vec(dim, values).expect("as many elements as the shape has")
}

/// The m × n matrix as an array with the axes of the output, then those of the input.
fn unflatten<F: Scalar>(matrix: Array2<F>, outputs: &[usize], inputs: &[usize]) -> ArrayD<F> {
    matrix.into_shape_with_order([outputs, inputs].concat()).expect("as many elements as the shape has")
}

/// The point as dual numbers with the direction as tangents.
#[track_caller]
fn along<F: Scalar, S: Data<Elem = F>, T: Data<Elem = F>, D: Dimension>(
    operation: &str,
    point: &ArrayBase<S, D>,
    direction: &ArrayBase<T, D>,
) -> Array<Dual<F>, D> {
    assert!(
        point.shape() == direction.shape(),
        "{operation}: the tangent has shape {:?}, the point {:?}; a direction has one number for each input",
        direction.shape(),
        point.shape()
    );
    let dual = point.iter().zip(direction).map(|(&x, &v)| Dual::new(x, [v])).collect();
    shaped(point.raw_dim(), dual)
}
