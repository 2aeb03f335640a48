//! [`AutoProgram`]: a program for each pattern of branches.

use std::fmt;

use ndarray::Array2;

use super::error::ProgramError;
use super::program::Program;
use crate::number::BaseFloat;
use crate::recording::{BranchChanged, Recorded};

/// The number of programs that are kept by default.
const LIMIT: usize = 16;

/// A function with a [`Program`] for each pattern of branches that it has taken.
///
/// The function is recorded when it is first needed, and again at a point where it takes a branch that no kept program
/// knows, or where the number of inputs is new.
///
/// ```
/// use wengert::AutoProgram;
///
/// // A hinge for each input.
/// let mut f = AutoProgram::new(|x| x.iter().map(|&x| if x > 1.0 { (x - 1.0).square() } else { 0.0 * x }).sum());
/// let mut gradient = [0.0; 2];
/// assert_eq!(f.value_and_grad(&[3.0, 0.0], &mut gradient)?, 4.0);
/// assert_eq!(gradient, [4.0, 0.0]);
/// assert_eq!(f.value_and_grad(&[0.0, 2.0], &mut gradient)?, 1.0);
/// assert_eq!(gradient, [0.0, 2.0]);
/// assert_eq!(f.recordings(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AutoProgram<C, F = f64> {
    f: C,
    /// The last one used comes first.
    programs: Vec<Program<F>>,
    limit: usize,
    recordings: usize,
}

impl<C: for<'r> Fn(&'r [Recorded<'r>]) -> Recorded<'r>> AutoProgram<C> {
    /// A function that is recorded when it is first needed. [`over`](Self::over) is the same for `f32`.
    pub fn new(f: C) -> Self {
        Self::over(f)
    }
}

impl<F: BaseFloat, C: for<'r> Fn(&'r [Recorded<'r, F>]) -> Recorded<'r, F>> AutoProgram<C, F> {
    /// Same as [`new`](AutoProgram::new), for `f32` and `f64`.
    pub fn over(f: C) -> Self {
        Self { f, programs: Vec::new(), limit: LIMIT, recordings: 0 }
    }

    /// The value at `x`.
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    pub fn value(&mut self, x: &[F]) -> Result<F, ProgramError> {
        self.run(x, |f, x| Program::over(|x| f(x), x), |program| program.value(x))
    }

    /// The value at `x`; the gradient goes to `gradient`.
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    ///
    /// # Panics
    ///
    /// If `gradient` has another length than `x`.
    #[track_caller]
    pub fn value_and_grad(&mut self, x: &[F], gradient: &mut [F]) -> Result<F, ProgramError> {
        assert!(
            gradient.len() == x.len(),
            "value_and_grad: {} numbers for the gradient of {} inputs",
            gradient.len(),
            x.len()
        );
        self.run(x, |f, x| Program::over(|x| f(x), x), |program| program.value_and_grad(x, gradient))
    }

    /// The gradient at `x`, and the product of the Hessian and `v`: see [`Program::grad_and_hvp`].
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    #[track_caller]
    pub fn grad_and_hvp(
        &mut self,
        x: &[F],
        v: &[F],
        gradient: &mut [F],
        product: &mut [F],
    ) -> Result<(), ProgramError> {
        assert!(
            [v.len(), gradient.len(), product.len()] == [x.len(); 3],
            "grad_and_hvp: {} numbers for v, {} for the gradient and {} for the product of {} inputs",
            v.len(),
            gradient.len(),
            product.len(),
            x.len()
        );
        self.run(x, |f, x| Program::over(|x| f(x), x), |program| program.grad_and_hvp(x, v, gradient, product))
    }
}

impl<C: for<'r> Fn(&'r [Recorded<'r>]) -> Vec<Recorded<'r>>> AutoProgram<C> {
    /// A function with several outputs: see [`Program::vector`]. [`over_vector`](Self::over_vector) is the same for
    /// `f32`.
    ///
    /// ```
    /// use wengert::AutoProgram;
    ///
    /// let mut f = AutoProgram::vector(|x| vec![if x[0] > 1.0 { x[0].square() } else { x[0] }, x[0] * x[1]]);
    /// assert_eq!(f.values(&[3.0, 2.0])?, [9.0, 6.0]);
    /// assert_eq!(f.jacobian(&[0.5, 2.0])?, ndarray::array![[1.0, 0.0], [2.0, 0.5]]);
    /// assert_eq!(f.recordings(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn vector(f: C) -> Self {
        Self::over_vector(f)
    }
}

impl<F: BaseFloat, C: for<'r> Fn(&'r [Recorded<'r, F>]) -> Vec<Recorded<'r, F>>> AutoProgram<C, F> {
    /// Same as [`vector`](AutoProgram::vector), for `f32` and `f64`.
    pub fn over_vector(f: C) -> Self {
        Self { f, programs: Vec::new(), limit: LIMIT, recordings: 0 }
    }

    /// The values of all outputs at `x`.
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    pub fn values(&mut self, x: &[F]) -> Result<Vec<F>, ProgramError> {
        let values = |program: &mut Program<F>| {
            let mut y = vec![F::zero(); program.outputs()];
            program.values(x, &mut y).map(|()| y)
        };
        self.run(x, |f, x| Program::over_vector(|x| f(x), x), values)
    }

    /// The Jacobian at `x`, one row for each output: see [`Program::jacobian`].
    ///
    /// # Errors
    ///
    /// If the function reads the value of a number.
    pub fn jacobian(&mut self, x: &[F]) -> Result<Array2<F>, ProgramError> {
        self.run(x, |f, x| Program::over_vector(|x| f(x), x), |program| program.jacobian(x))
    }
}

impl<C, F: BaseFloat> AutoProgram<C, F> {
    /// The same function with the number of programs that are kept, at least 1; the default is 16. The one that was not
    /// used for the longest time goes first.
    #[must_use]
    pub fn keep(mut self, programs: usize) -> Self {
        self.limit = programs.max(1);
        self.programs.truncate(self.limit);
        self
    }

    /// The number of recordings so far.
    pub fn recordings(&self) -> usize {
        self.recordings
    }

    /// The programs that are kept; the one that was used last comes first.
    pub fn programs(&self) -> &[Program<F>] {
        &self.programs
    }

    /// Runs the program whose branches are those at `x`.
    fn run<T>(
        &mut self,
        x: &[F],
        record: impl FnOnce(&C, &[F]) -> Result<Program<F>, ProgramError>,
        mut run: impl FnMut(&mut Program<F>) -> Result<T, BranchChanged>,
    ) -> Result<T, ProgramError> {
        for k in 0..self.programs.len() {
            let program = &mut self.programs[k];
            if program.inputs() != x.len() {
                continue;
            }
            if let Ok(result) = run(program) {
                self.programs[..=k].rotate_right(1);
                return Ok(result);
            }
        }
        let mut program = record(&self.f, x)?;
        self.recordings += 1;
        let result = run(&mut program)?;
        self.programs.truncate(self.limit - 1);
        self.programs.insert(0, program);
        Ok(result)
    }
}

impl<C, F: BaseFloat> fmt::Debug for AutoProgram<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AutoProgram")
            .field("programs", &self.programs.len())
            .field("recordings", &self.recordings)
            .finish_non_exhaustive()
    }
}
