//! [`Program`]: a function that is recorded once and run many times.

use std::fmt;
use std::sync::Arc;

use super::batch::Batch;
use super::error::ProgramError;
use super::graph::Graph;
use super::inputs::{Inputs, RecordDataFn, RecordFn};
use super::matrices::Entries;
use super::plan::{Goal, copy};
use super::runner::Runner;
use super::terms::Matrix;
use crate::number::BaseFloat;
use crate::recording::{BranchChanged, Recorded, Recorder};
use crate::sealed::Seal;

/// A function that is recorded once and run many times, with its derivatives.
///
/// The function runs once, on [`Recorded`] numbers, when the program is made. The program then knows its operations: it
/// finds the parts that are alike, such as the terms of a sum over data, and runs these side by side in vector registers.
/// A value with its gradient often costs less than the function itself. (The README has a table.)
///
/// ```
/// use wengert::{Program, Real};
///
/// fn rosenbrock<R: Real<Base = f64>>(x: &[R]) -> R {
///     x.windows(2).map(|p| R::lit(100.0) * (p[1] - p[0] * p[0]).square() + (R::one() - p[0]).square()).sum()
/// }
///
/// let mut f = Program::new(|x| rosenbrock(x), &[0.5; 100])?;
/// let mut gradient = [0.0; 100];
/// let value = f.value_and_grad(&[1.0; 100], &mut gradient)?;
/// assert_eq!((value, gradient), (0.0, [0.0; 100]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The closure takes a slice, or an array:
///
/// ```
/// # use wengert::Program;
/// let mut f = Program::new(|[x, y]| (x * y).sin(), [1.0, 2.0])?;
/// let mut gradient = [0.0; 2];
/// f.value_and_grad(&[0.5, 0.5], &mut gradient)?;
/// assert!((gradient[0] - 0.5 * 0.25_f64.cos()).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Branches
///
/// A program holds the operations of the path that the function took at the point of the recording. Every comparison of
/// that run is checked in every run: if one comes out otherwise, the result is the error [`BranchChanged`] and nothing is
/// written. (Arithmetic on the way to a comparison keeps the roundings of the function; a long sum or an elementary
/// function may differ by some, so that a comparison of these within a rounding of a tie may come out otherwise.) [`AutoProgram`](super::AutoProgram) then records again by itself. Rows of the [table](crate::rules) that
/// branch inside, such as `abs`, `relu` and `max`, are no comparisons. A function that reads the value of a number
/// ([`Real::to_base`](crate::Real::to_base), `to_f64`) is refused, because the value would be that of the recording for ever.
///
/// # Rounding
///
/// Sums over the parts that are alike are taken in another order than written, and a product and a sum may be rounded
/// once instead of twice; so results differ from those of the plain run by some roundings. [`exact`](Self::exact) keeps
/// the order and the roundings of the recording. Where a result is not finite, the program computes it again operation
/// by operation with the conventions of the tape, so that infinities, NaN and zero cotangents come out as there.
///
/// # Speed
///
/// Planning takes some 150 ns for each recorded operation, and memory for a few bytes of it where lanes are found;
/// `Display` shows the lanes. The steps of a long recurrence, which wait for each other, become the turns of a loop: their
/// operations are held once, and their values and adjoints for every turn. Where a step has lanes of its own, as the
/// units of a recurrent net, a gradient costs a few times the function; where it is a handful of additions and products
/// of single numbers, a tape may be faster.
/// Programs are compiled with the crate that uses them: a debug build is slow.
///
/// # Threads
///
/// A program is `Send`; clones share the instructions and have memory of their own. With the feature `parallel`,
/// [`batch`](Self::batch) uses several threads; the bits do not depend on their number.
#[derive(Clone, Debug)]
pub struct Program<F = f64> {
    inputs: usize,
    steps: usize,
    data: Vec<F>,
    exact: bool,
    gradient: Runner<F>,
    /// The derivatives that were asked for.
    more: More<F>,
}

/// Plans that are made only when they are asked for.
#[derive(Clone, Debug)]
struct More<F> {
    values: Option<Runner<F>>,
    forward: Option<Runner<F>>,
    reverse: Option<Runner<F>>,
    second: Option<Runner<F>>,
    points: Option<Batch<F>>,
    points_with_data: Option<Batch<F>>,
    jacobian: Option<Entries<F>>,
    hessian: Option<Entries<F>>,
}

impl<F> Default for More<F> {
    fn default() -> Self {
        Self {
            values: None,
            forward: None,
            reverse: None,
            second: None,
            points: None,
            points_with_data: None,
            jacobian: None,
            hessian: None,
        }
    }
}

impl Program {
    /// The program of a function, recorded at the point `x`. [`over`](Self::over) is the same for `f32`.
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    pub fn new<X: Inputs<f64>>(f: impl for<'r> RecordFn<'r, f64, X, Recorded<'r>>, x: X) -> Result<Self, ProgramError> {
        Self::over(f, x)
    }

    /// The program of a function of inputs and of data, which change from call to call and are not differentiated: a
    /// mini-batch, observations. [`set_data`](Self::set_data) changes the data.
    ///
    /// ```
    /// use wengert::Program;
    ///
    /// // The squared error of a line.
    /// let data = [1.0, 2.1, 2.0, 3.9];
    /// let mut f = Program::with_data(
    ///     |p, d| d.chunks(2).map(|d| (p[0] * d[0] + p[1] - d[1]).square()).sum(),
    ///     &[1.0, 0.0],
    ///     &data,
    /// )?;
    /// f.set_data(&[1.0, 2.0, 2.0, 4.0]);
    /// let mut gradient = [0.0; 2];
    /// assert_eq!(f.value_and_grad(&[2.0, 1.0], &mut gradient)?, 2.0);
    /// assert_eq!(gradient, [6.0, 4.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    pub fn with_data<X: Inputs<f64>>(
        f: impl for<'r> RecordDataFn<'r, f64, X>,
        x: X,
        data: &[f64],
    ) -> Result<Self, ProgramError> {
        Self::over_with_data(f, x, data)
    }

    /// The program of a function with several outputs.
    ///
    /// ```
    /// use wengert::Program;
    ///
    /// let mut f = Program::vector(|x| vec![x[0] * x[1], x[0].sin()], &[1.0, 2.0])?;
    /// let j = f.jacobian(&[0.0, 3.0])?;
    /// assert_eq!(j, ndarray::array![[3.0, 0.0], [1.0, 0.0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    pub fn vector<X: Inputs<f64>>(
        f: impl for<'r> RecordFn<'r, f64, X, Vec<Recorded<'r>>>,
        x: X,
    ) -> Result<Self, ProgramError> {
        Self::over_vector(f, x)
    }
}

impl<F: BaseFloat> Program<F> {
    /// Same as [`new`](Program::new), for `f32` and `f64`. (`new` is for `f64` alone, so that literals have a type.)
    ///
    /// ```
    /// use wengert::Program;
    ///
    /// let mut f = Program::<f32>::over(|[x, y]| (x * y).sin(), [1.0, 2.0])?;
    /// assert_eq!(f.value(&[0.0, 1.0])?, 0.0_f32);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    pub fn over<X: Inputs<F>>(f: impl for<'r> RecordFn<'r, F, X, Recorded<'r, F>>, x: X) -> Result<Self, ProgramError> {
        let recorder = Recorder::<F>::steps_only();
        let inputs = recorder.unnamed_inputs(x.numbers(Seal));
        recorder.output(f(X::recorded(&inputs, Seal)));
        let n = inputs.len();
        drop(inputs);
        Self::finish(recorder, n, &[])
    }

    /// Same as [`with_data`](Program::with_data), for `f32` and `f64`.
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    pub fn over_with_data<X: Inputs<F>>(
        f: impl for<'r> RecordDataFn<'r, F, X>,
        x: X,
        data: &[F],
    ) -> Result<Self, ProgramError> {
        let recorder = Recorder::<F>::steps_only();
        let inputs = recorder.unnamed_inputs(x.numbers(Seal));
        let constants = recorder.unnamed_inputs(data);
        recorder.output(f(X::recorded(&inputs, Seal), &constants));
        let n = inputs.len();
        drop((inputs, constants));
        Self::finish(recorder, n, data)
    }

    /// Same as [`vector`](Program::vector), for `f32` and `f64`.
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    pub fn over_vector<X: Inputs<F>>(
        f: impl for<'r> RecordFn<'r, F, X, Vec<Recorded<'r, F>>>,
        x: X,
    ) -> Result<Self, ProgramError> {
        let recorder = Recorder::<F>::steps_only();
        let inputs = recorder.unnamed_inputs(x.numbers(Seal));
        for y in f(X::recorded(&inputs, Seal)) {
            recorder.output(y);
        }
        let n = inputs.len();
        drop(inputs);
        Self::finish(recorder, n, &[])
    }

    fn finish(recorder: Recorder<F>, inputs: usize, data: &[F]) -> Result<Self, ProgramError> {
        /// The places of a plan are `u32`, and a node takes a few of them.
        const LIMIT: usize = 1 << 28;
        if let Some(line) = recorder.values_read() {
            return Err(ProgramError::ValueRead { line });
        }
        let recording = recorder.finish();
        let graph = match Graph::new(&recording) {
            Some(graph) if graph.nodes.len() < LIMIT => graph,
            _ => return Err(ProgramError::TooLarge { operations: recording.len() }),
        };
        let steps = recording.len();
        drop(recording);
        let goal = if graph.outputs.len() == 1 { Goal::Gradient(inputs) } else { Goal::Values };
        let gradient = Runner::new(Arc::new(graph), goal, false);
        Ok(Self { inputs, steps, data: data.to_vec(), exact: false, gradient, more: More::default() })
    }

    /// The same program with the order of operations and the roundings of the recording, or without. The value is that
    /// of the plain run bit for bit; a run takes one step after the other, as on the tape.
    #[must_use]
    pub fn exact(mut self, exact: bool) -> Self {
        self.exact = exact;
        self.gradient.exact = exact;
        self.more = More::default();
        self
    }

    /// The number of inputs, without data.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.graph().outputs.len()
    }

    /// The number of operations that were recorded.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The bytes of memory that the plan of the gradient takes.
    pub fn bytes(&self) -> usize {
        self.gradient.plan.bytes()
    }

    /// The number of different operations.
    #[cfg(feature = "parallel")]
    pub(super) fn operations(&self) -> usize {
        self.graph().nodes.len()
    }

    pub(super) fn graph(&self) -> &Arc<Graph<F>> {
        &self.gradient.graph
    }

    /// Changes the data.
    ///
    /// # Panics
    ///
    /// If there are not as many numbers as in the recording.
    #[track_caller]
    pub fn set_data(&mut self, data: &[F]) {
        assert!(
            data.len() == self.data.len(),
            "set_data: {} numbers for a program that was recorded with {}; data keep their length",
            data.len(),
            self.data.len()
        );
        self.data.copy_from_slice(data);
    }

    #[track_caller]
    pub(super) fn check_scalar(&self, operation: &str) {
        let outputs = self.outputs();
        assert!(
            outputs == 1,
            "{operation}: the function has {outputs} outputs, one is needed; use `jacobian`, `jvp` or `vjp`"
        );
    }

    /// The error of a guard.
    fn changed(graph: &Graph<F>, guard: usize) -> BranchChanged {
        let guard = graph.guards[guard];
        let [a, b] = [guard.a, guard.b].map(|i| graph.text(i, 3));
        BranchChanged { comparison: guard.test.text(&a, &b), recorded: guard.outcome, line: guard.line }
    }

    /// The value of a function with one output.
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If `x` has not one number for each input, or if there are several outputs.
    #[track_caller]
    pub fn value(&mut self, x: &[F]) -> Result<F, BranchChanged> {
        self.check_scalar("value");
        let mut value = [F::zero()];
        self.values(x, &mut value)?;
        Ok(value[0])
    }

    /// The values of all outputs.
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If `x` or `y` has another length than the inputs or the outputs.
    #[track_caller]
    pub fn values(&mut self, x: &[F], y: &mut [F]) -> Result<(), BranchChanged> {
        check("values", "the inputs", x.len(), self.inputs);
        check("values", "the outputs", y.len(), self.outputs());
        let runner = self.run_values(x)?;
        for (k, y) in y.iter_mut().enumerate() {
            *y = runner.output(k);
        }
        Ok(())
    }

    /// Computes the values of all outputs.
    fn run_values(&mut self, x: &[F]) -> Result<&Runner<F>, BranchChanged> {
        let graph = &self.gradient.graph;
        let runner = self.more.values.get_or_insert_with(|| Runner::new(graph.clone(), Goal::Values, self.exact));
        runner.run(&[x, &self.data]).map_err(|guard| Self::changed(&runner.graph, guard))?;
        Ok(runner)
    }

    /// The value of a function with one output; its gradient goes to `gradient`.
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded; `gradient` is then unchanged.
    ///
    /// # Panics
    ///
    /// If `x` or `gradient` has not one number for each input, or if there are several outputs.
    #[inline]
    #[track_caller]
    pub fn value_and_grad(&mut self, x: &[F], gradient: &mut [F]) -> Result<F, BranchChanged> {
        self.check_scalar("value_and_grad");
        check("value_and_grad", "the inputs", x.len(), self.inputs);
        check("value_and_grad", "the gradient", gradient.len(), self.inputs);
        let runner = &mut self.gradient;
        runner.run_into(&[x, &self.data], gradient).map_err(|guard| Self::changed(&runner.graph, guard))?;
        Ok(runner.output(0))
    }

    /// The directional derivatives J·`tangent` of all outputs, which go to `derivatives`.
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If `x` and `tangent` have not one number for each input, and `derivatives` one for each output.
    #[track_caller]
    pub fn jvp(&mut self, x: &[F], tangent: &[F], derivatives: &mut [F]) -> Result<(), BranchChanged> {
        check("jvp", "the inputs", x.len(), self.inputs);
        check("jvp", "the tangent", tangent.len(), self.inputs);
        check("jvp", "the derivatives", derivatives.len(), self.outputs());
        let (graph, inputs, exact) = (&self.gradient.graph, self.inputs, self.exact);
        let make = || Runner::new(Arc::new(graph.jvp(inputs)), Goal::Values, exact);
        let runner = self.more.forward.get_or_insert_with(make);
        runner.run(&[x, tangent, &self.data]).map_err(|guard| Self::changed(&runner.graph, guard))?;
        for (k, to) in derivatives.iter_mut().enumerate() {
            *to = runner.output(k);
        }
        Ok(())
    }

    /// The product Jᵀ·`cotangent`, one number for each input, which goes to `products`.
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If `x` and `products` have not one number for each input, and `cotangent` one for each output.
    #[track_caller]
    pub fn vjp(&mut self, x: &[F], cotangent: &[F], products: &mut [F]) -> Result<(), BranchChanged> {
        check("vjp", "the inputs", x.len(), self.inputs);
        check("vjp", "the cotangent", cotangent.len(), self.outputs());
        check("vjp", "the products", products.len(), self.inputs);
        let (graph, inputs, exact) = (&self.gradient.graph, self.inputs, self.exact);
        let make = || Runner::new(Arc::new(graph.weighted()), Goal::Gradient(inputs), exact);
        let runner = self.more.reverse.get_or_insert_with(make);
        let inputs = [x, &self.data, cotangent];
        runner.run_into(&inputs, products).map_err(|guard| Self::changed(&runner.graph, guard))?;
        Ok(())
    }

    /// The gradient of a function with one output, and the product of its Hessian and the vector `v`.
    ///
    /// ```
    /// use wengert::Program;
    ///
    /// let mut f = Program::new(|x| x[0] * x[0] * x[1], &[1.0, 1.0])?;
    /// let (mut gradient, mut product) = ([0.0; 2], [0.0; 2]);
    /// f.grad_and_hvp(&[3.0, 2.0], &[1.0, 0.0], &mut gradient, &mut product)?;
    /// assert_eq!((gradient, product), ([12.0, 9.0], [4.0, 6.0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If a slice has not one number for each input, or if there are several outputs.
    #[track_caller]
    pub fn grad_and_hvp(
        &mut self,
        x: &[F],
        v: &[F],
        gradient: &mut [F],
        product: &mut [F],
    ) -> Result<(), BranchChanged> {
        check("grad_and_hvp", "the gradient", gradient.len(), self.inputs);
        // The derivative of ∇f·v is H v with respect to x, and ∇f with respect to v.
        let first = self.second(x, v, product)?;
        copy(gradient, first);
        Ok(())
    }

    /// The product of the Hessian of a function with one output and the vector `v`, which goes to `product`.
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If a slice has not one number for each input, or if there are several outputs.
    #[track_caller]
    pub fn hvp(&mut self, x: &[F], v: &[F], product: &mut [F]) -> Result<(), BranchChanged> {
        self.second(x, v, product).map(drop)
    }

    /// Writes H v to `product`, and gives the gradient.
    #[track_caller]
    fn second(&mut self, x: &[F], v: &[F], product: &mut [F]) -> Result<&[F], BranchChanged> {
        self.check_scalar("hvp");
        check("hvp", "the inputs", x.len(), self.inputs);
        check("hvp", "v", v.len(), self.inputs);
        check("hvp", "the product", product.len(), self.inputs);
        let (graph, inputs, exact) = (&self.gradient.graph, self.inputs, self.exact);
        let make = || Runner::new(Arc::new(graph.jvp(inputs)), Goal::Gradient(2 * inputs), exact);
        let runner = self.more.second.get_or_insert_with(make);
        runner.run(&[x, v, &self.data]).map_err(|guard| Self::changed(&runner.graph, guard))?;
        let (second, first) = runner.gradient().split_at(inputs);
        copy(product, second);
        Ok(first)
    }

    /// The entries of a matrix of derivatives, if they have been asked for.
    pub(super) fn kept(&mut self, which: Matrix) -> &mut Option<Entries<F>> {
        match which {
            Matrix::Jacobian => &mut self.more.jacobian,
            Matrix::Hessian => &mut self.more.hessian,
        }
    }

    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    /// An error if a comparison comes out otherwise than recorded.
    pub(super) fn check_branches(&mut self, x: &[F]) -> Result<(), BranchChanged> {
        if self.graph().guards.is_empty() {
            return Ok(());
        }
        self.run_values(x).map(drop)
    }

    /// The data of the next run.
    pub(super) fn data(&self) -> &[F] {
        &self.data
    }

    pub(super) fn data_mut(&mut self) -> &mut [F] {
        &mut self.data
    }

    /// The lanes for points, if the function has no lanes of its own; with `own` data of each point.
    pub(super) fn points(&mut self, own: bool) -> Option<&mut Batch<F>> {
        /// A longer function needs so many rows that points as lanes leave the cache.
        const LONG: usize = 20_000;
        if self.exact || !self.gradient.plan.is_scalar() || self.graph().nodes.len() > LONG {
            return None;
        }
        let (graph, n) = (&self.gradient.graph, self.inputs);
        let kept = if own { &mut self.more.points_with_data } else { &mut self.more.points };
        let batch = kept.get_or_insert_with(|| Batch::points(graph, n, own));
        if !own {
            batch.set(n, &self.data);
        }
        Some(batch)
    }
}

#[inline(always)]
#[track_caller]
pub(super) fn check(operation: &str, what: &str, given: usize, expected: usize) {
    if given != expected {
        refuse(operation, what, given, expected);
    }
}

#[cold]
#[track_caller]
fn refuse(operation: &str, what: &str, given: usize, expected: usize) -> ! {
    panic!("{operation}: {given} numbers for {what}, where the program has {expected}");
}

/// The plans so far, each with its groups, lanes and bytes: that of the gradient, or of the values of several outputs,
/// and those of the derivatives that were asked for.
impl<F: BaseFloat> fmt::Display for Program<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let More { values, forward, reverse, second, .. } = &self.more;
        let first = if self.outputs() == 1 { "value and gradient" } else { "values" };
        writeln!(f, "{first}: {}", self.gradient.plan)?;
        for (name, runner) in [("values", values), ("jvp", forward), ("vjp", reverse), ("gradient and hvp", second)] {
            if let Some(runner) = runner {
                writeln!(f, "{name}: {}", runner.plan)?;
            }
        }
        Ok(())
    }
}
