//! [`Evaluator`]: a function whose values and gradients are asked for at many points.

use std::convert::Infallible;
use std::fmt;

use crate::number::Scalar;
use crate::scalar::Var;
use crate::tape::Tape;

/// A function with a tape of its own, for values and gradients at many points, as samplers, optimisers and solvers ask
/// for them: after the first call nothing is allocated.
///
/// ```
/// use wengert::Evaluator;
///
/// let mut f = Evaluator::new(2, |x| (1.0 - x[0]).square() + 10.0 * (x[1] - x[0].square()).square());
/// let (mut x, mut g) = ([-1.2, 1.0], [0.0; 2]);
/// for _ in 0..2000 {
///     f.value_and_grad(&x, &mut g);
///     for (x, g) in x.iter_mut().zip(g) {
///         *x -= 0.01 * g;
///     }
/// }
/// assert!(f.value(&x) < 1e-6);
/// ```
///
/// The function may borrow data, and the evaluator is `Send` if the function is. Evaluators in a struct or a vector are
/// [`boxed`](Evaluator::boxed), so that their type does not name the function.
#[must_use = "an evaluator does nothing until it is asked for a value or a gradient"]
pub struct Evaluator<G, F: Scalar = f64> {
    tape: Tape<F>,
    inputs: usize,
    function: G,
}

impl<G: for<'t> Fn(&[Var<'t>]) -> Var<'t>> Evaluator<G> {
    /// The evaluator of a function of `n` variables in `f64`.
    pub fn new(n: usize, function: G) -> Self {
        Self::over(n, function)
    }
}

impl<F: Scalar, G: for<'t> Fn(&[Var<'t, F>]) -> Var<'t, F>> Evaluator<G, F> {
    /// The evaluator of a function of `n` variables in any numbers of a tape.
    ///
    /// ```
    /// use wengert::Evaluator;
    ///
    /// let mut f = Evaluator::<_, f32>::over(1, |x| x[0].exp());
    /// assert_eq!(f.value(&[0.0]), 1.0);
    /// ```
    pub fn over(n: usize, function: G) -> Self {
        Self { tape: Tape::new(), inputs: n, function }
    }

    /// The value at `x`; its gradient is written to `gradient`.
    ///
    /// # Panics
    ///
    /// If the length of `x` or `gradient` is not the number of variables, or the function returns a variable of another
    /// tape.
    #[track_caller]
    pub fn value_and_grad(&mut self, x: &[F], gradient: &mut [F]) -> F {
        self.assert_inputs(x.len());
        assert!(
            gradient.len() == self.inputs,
            "Evaluator: the gradient has room for {} numbers, the function has {} variables",
            gradient.len(),
            self.inputs
        );
        let function = &self.function;
        let result = self.tape.lend_and_sweep(function, |scope, function| {
            Ok::<_, Infallible>(function(scope.tape.vars_from(x)).into_output())
        });
        let Ok((value, adjoints, _)) = result;
        gradient.copy_from_slice(&adjoints[1..=x.len()]);
        value
    }

    /// The value at `x`, without a sweep.
    ///
    /// # Panics
    ///
    /// If the length of `x` is not the number of variables.
    #[track_caller]
    pub fn value(&mut self, x: &[F]) -> F {
        self.assert_inputs(x.len());
        self.tape.clear();
        let tape = &self.tape;
        let constants = tape.arena().alloc_slice_fill_with(x.len(), |i| Var::constant(x[i]));
        (self.function)(constants).value()
    }

    /// The gradient at `x`.
    ///
    /// # Panics
    ///
    /// Same as for [`value_and_grad`](Self::value_and_grad).
    #[track_caller]
    pub fn grad(&mut self, x: &[F]) -> Vec<F> {
        let mut gradient = vec![F::zero(); self.inputs];
        self.value_and_grad(x, &mut gradient);
        gradient
    }

    #[track_caller]
    fn assert_inputs(&self, len: usize) {
        assert!(
            len == self.inputs,
            "Evaluator: the point has {len} numbers, the function has {} variables",
            self.inputs
        );
    }
}

impl<G, F: Scalar> Evaluator<G, F> {
    /// The number of variables.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

/// A function of variables without its type.
type BoxedFunction = Box<dyn for<'t> Fn(&[Var<'t>]) -> Var<'t> + Send>;

impl Evaluator<BoxedFunction> {
    /// The evaluator of a function in a box, so that evaluators of several functions have one type and stand in a
    /// struct or a vector.
    ///
    /// ```
    /// use wengert::Evaluator;
    ///
    /// let mut functions = vec![
    ///     Evaluator::boxed(1, |x| x[0].sin()),
    ///     Evaluator::boxed(1, |x| 2.0 * x[0]),
    /// ];
    /// let slopes: Vec<f64> = functions.iter_mut().map(|f| f.grad(&[0.0])[0]).collect();
    /// assert_eq!(slopes, [1.0, 2.0]);
    /// ```
    pub fn boxed(n: usize, function: impl for<'t> Fn(&[Var<'t>]) -> Var<'t> + Send + 'static) -> Self {
        Self::over(n, Box::new(function))
    }
}

impl<G, F: Scalar> fmt::Debug for Evaluator<G, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluator").field("inputs", &self.inputs).field("tape", &self.tape).finish_non_exhaustive()
    }
}
