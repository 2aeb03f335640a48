//! The two types of sparse derivatives, and their functions: detection, the plan of sweeps, evaluation, the check of a
//! Hessian.

use std::collections::HashSet;
use std::fmt;

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

use super::detect;
use crate::derivatives::linearization::Linearization;
use crate::number::{Dual, Scalar};
use crate::scalar::Var;
use crate::sparse::{Pattern, Seeding, SparseMatrix};
use crate::tape::{MultiSweep, SEEDS, Tape};

/// A variable with eight tangents, the argument of a function for its Hessian.
type SeededVar<'t, F> = Var<'t, Dual<F, SEEDS>>;

/// The sparse Jacobian of a function of many variables, where each output depends on a few of them. The pattern comes
/// from the tape; by a colouring, a few sweeps give all entries.
///
/// Columns that share no row get the same colour (or rows that share no column, whichever takes fewer colours) and are
/// swept together, eight colours at a time. A matrix of bandwidth b takes b colours at any size (A. R. Curtis,
/// M. J. D. Powell, J. K. Reid, IMA J. Appl. Math. 13, 1974; colouring after A. H. Gebremedhin, F. Manne, A. Pothen,
/// SIAM Review 47, 2005).
///
/// ```
/// use wengert::{SparseJacobian, Var};
///
/// /// Broyden's tridiagonal system.
/// fn residuals<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
///     let at = |i: usize| x.get(i).copied().unwrap_or(Var::constant(0.0));
///     (0..x.len()).map(|i| (3.0 - 2.0 * x[i]) * x[i] - at(i.wrapping_sub(1)) - 2.0 * at(i + 1) + 1.0).collect()
/// }
/// let mut x = vec![-1.0; 1000];
/// let mut jacobian = SparseJacobian::detect(residuals, &x);
/// assert_eq!((jacobian.nnz(), jacobian.colors(), jacobian.sweeps()), (2998, 3, 1));
/// x[1] = 0.5;
/// let j = jacobian.evaluate(residuals, &x);
/// assert_eq!((j.get(1, 0), j.get(1, 1), j.get(1, 2)), (-1.0, 3.0 - 4.0 * 0.5, -2.0));
/// ```
///
/// The pattern is that of the recording: an entry is in the pattern even if its value is 0 at the point (an inactive
/// `relu`). A function that takes another branch makes another recording. `evaluate` compares the dependencies of the
/// recording with those seen before, by a fingerprint of 64 bits, and new ones extend the pattern. So values are right
/// at every point.
pub struct SparseJacobian<F: Scalar = f64> {
    matrix: SparseMatrix<F>,
    schedule: SweepPlan,
    /// True if columns are coloured and swept forward, false if rows are coloured and swept backward.
    by_columns: bool,
    /// The fingerprints of all recordings that the pattern covers.
    structures: HashSet<u64>,
    /// The tape and the numbers of the last evaluation, kept for their memory.
    tape: Tape<F>,
    sweep: MultiSweep<F>,
}

impl<F: Scalar> SparseJacobian<F> {
    /// Finds the pattern at `x` and colours it.
    ///
    /// # Panics
    ///
    /// If an output is a variable of another tape, or depends on an operation that is not scalar (on tensors, or a
    /// checkpoint).
    #[track_caller]
    pub fn detect(f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>, x: &[F]) -> Self {
        Self::of(&Linearization::new(f, x).1)
    }

    #[track_caller]
    fn of(recording: &Linearization<F>) -> Self {
        let mut new = Self {
            matrix: SparseMatrix::zeros(Pattern::empty(0, recording.inputs())),
            schedule: SweepPlan::default(),
            by_columns: true,
            structures: HashSet::new(),
            tape: Tape::new(),
            sweep: MultiSweep::new(),
        };
        new.see(recording, true);
        new
    }

    /// Adds the dependencies of a recording to the pattern.
    #[track_caller]
    fn see(&mut self, recording: &Linearization<F>, first: bool) {
        let outputs = recording.places().iter().map(|(slot, _)| *slot);
        let structure = detect::structure(recording.tape(), outputs);
        if self.structures.contains(&structure) {
            return;
        }
        let seen = match detect::jacobian(recording) {
            Ok(seen) => seen,
            Err(opaque) => panic!("sparse Jacobian: {opaque}"),
        };
        let pattern = if first { seen } else { self.matrix.pattern.union(&seen) };
        if first || pattern != self.matrix.pattern {
            self.plan(pattern);
        }
        self.structures.insert(structure);
    }

    /// Colours the columns or the rows of a pattern, whichever takes fewer colours.
    fn plan(&mut self, pattern: Pattern) {
        let seeding = Seeding::of_jacobian(&pattern);
        self.by_columns = seeding.by_columns;
        self.schedule = SweepPlan::new(seeding);
        self.matrix = SparseMatrix::zeros(pattern);
    }

    /// The Jacobian at `x`.
    ///
    /// # Panics
    ///
    /// Same as for [`detect`](Self::detect), or if `x` or the result of `f` has another length than at the detection.
    #[track_caller]
    pub fn evaluate(&mut self, f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>, x: &[F]) -> &SparseMatrix<F> {
        let (m, n) = self.matrix.shape();
        assert!(x.len() == n, "evaluate: the pattern was detected with {n} inputs, x has {}", x.len());
        let (_, recording) = Linearization::on(std::mem::take(&mut self.tape), f, x);
        let outputs = recording.outputs();
        assert!(outputs == m, "evaluate: the pattern was detected with {m} outputs, f now returned {outputs}");
        self.see(&recording, false);
        self.sweep(&recording);
        self.tape = recording.into_tape();
        &self.matrix
    }

    /// Evaluates the entries of the pattern.
    fn sweep(&mut self, recording: &Linearization<F>) {
        let sweep = &mut self.sweep;
        for pass in 0..self.schedule.passes() {
            let seeds = self.schedule.seeds(pass);
            if self.by_columns {
                sweep.clear_for_forward(recording.tape());
                seeds.for_each(|(j, lane)| sweep.seed(1 + j as u32, lane, F::one()));
                sweep.forward(recording.tape());
            } else {
                sweep.clear(recording.tape());
                seeds.for_each(|(i, lane)| recording.seed_output(sweep, i, lane, F::one()));
                sweep.reverse(recording.tape());
            }
            for (entry, lane, at) in self.schedule.reads(pass) {
                self.matrix.values[entry] =
                    if self.by_columns { recording.tangent(sweep, at, lane) } else { sweep.get(1 + at as u32, lane) };
            }
        }
    }
}

/// The sparse Hessian of a function of many variables, where each term depends on a few of them. The pattern comes from
/// the tape; by a star colouring, forward over reverse with eight tangents at a time gives all entries.
///
/// Forward over reverse with a tangent of 1 for every column of one colour gives the sum of these columns. By the
/// colouring, and by symmetry, each entry stands alone in one of the sums (T. F. Coleman, J. J. Moré, Math. Programming
/// 28, 1984; A. H. Gebremedhin, F. Manne, A. Pothen, SIAM Review 47, 2005).
///
/// ```
/// use wengert::{Real, SparseHessian};
///
/// fn rosenbrock<R: Real>(x: &[R]) -> R {
///     x.windows(2).map(|w| R::lit(100.0) * (w[1] - w[0] * w[0]).square() + (R::one() - w[0]).square()).sum()
/// }
/// let x = vec![0.5; 1000];
/// let mut hessian = SparseHessian::detect(|x| rosenbrock(x), &x);
/// assert_eq!((hessian.nnz(), hessian.colors(), hessian.sweeps()), (2998, 3, 1));
/// let h = hessian.evaluate(|x| rosenbrock(x), &x);
/// assert_eq!((h.get(0, 0), h.get(0, 1), h.get(1, 0)), (1200.0 * 0.25 - 400.0 * 0.5 + 2.0, -200.0, -200.0));
/// ```
///
/// The pattern is that of the curvature at a point; a second derivative that is 0 there (x³ at 0) is not in the
/// pattern. So each evaluation carries one more tangent, in a random direction r, and compares H·r with the product of
/// the matrix and r. If these differ, or if the function made a recording not seen before (another branch), the pattern
/// is extended by the pattern at the new point, and the Hessian is evaluated again. An entry below ε^(2/3) of its row
/// can escape this check.
pub struct SparseHessian<F: Scalar = f64> {
    matrix: SparseMatrix<F>,
    schedule: SweepPlan,
    /// The fingerprints of all recordings that the pattern covers.
    structures: HashSet<u64>,
    /// The tape of the last evaluation, kept for its memory.
    tape: Tape<Dual<F, SEEDS>>,
}

impl<F: Scalar> SparseHessian<F> {
    /// Finds the pattern at `x` and colours it.
    ///
    /// # Panics
    ///
    /// If `f` returns a variable of another tape, or one that depends on an operation that is not scalar (on tensors,
    /// or a checkpoint).
    #[track_caller]
    pub fn detect(f: impl for<'t> FnOnce(&[SeededVar<'t, F>]) -> SeededVar<'t, F>, x: &[F]) -> Self {
        let pattern = Pattern::empty(x.len(), x.len());
        let mut new = Self {
            matrix: SparseMatrix::zeros(pattern),
            schedule: SweepPlan::default(),
            structures: HashSet::new(),
            tape: Tape::new(),
        };
        new.extend(f, x);
        new
    }

    /// Adds the pattern at `x`; returns true if the pattern grew.
    #[track_caller]
    fn extend(&mut self, f: impl for<'t> FnOnce(&[SeededVar<'t, F>]) -> SeededVar<'t, F>, x: &[F]) -> bool {
        let mut random = Random::new(DETECTION);
        let x: Vec<_> = x.iter().map(|x| Dual::new(*x, std::array::from_fn(|_| random.number()))).collect();
        let (_, recording) = Linearization::on(std::mem::take(&mut self.tape), |x| vec![f(x)], &x);
        let seen = match detect::hessian(&recording, &x) {
            Ok(seen) => seen,
            Err(opaque) => panic!("sparse Hessian: {opaque}"),
        };
        self.structures.insert(detect::structure(recording.tape(), [recording.places()[0].0]));
        self.tape = recording.into_tape();
        let pattern = self.matrix.pattern.union(&seen);
        let grown = pattern != self.matrix.pattern;
        if grown {
            self.schedule = SweepPlan::new(Seeding::of_hessian(&pattern));
            self.matrix = SparseMatrix::zeros(pattern);
        }
        grown
    }

    /// The Hessian at `x`.
    ///
    /// # Panics
    ///
    /// Same as for [`detect`](Self::detect), or if `x` has another length than at the detection, or if the result
    /// still fails the check when the pattern grows no more (possible if `f` is not deterministic).
    #[track_caller]
    pub fn evaluate(
        &mut self,
        f: impl for<'t> Fn(&[SeededVar<'t, F>]) -> SeededVar<'t, F>,
        x: &[F],
    ) -> &SparseMatrix<F> {
        let n = self.matrix.pattern.columns();
        assert!(x.len() == n, "evaluate: the pattern was detected with {n} inputs, x has {}", x.len());
        let negligible = F::epsilon().powf(F::lit(2.0 / 3.0));
        let mismatch = loop {
            let (seen, mismatch) = self.sweep(&f, x);
            // The loop ends because a pattern cannot grow without end.
            if seen && mismatch <= negligible || !self.extend(&f, x) {
                break mismatch;
            }
        };
        // A small mismatch that remains can be rounding, if derivatives cancel in the function.
        assert!(
            mismatch <= F::epsilon().cbrt() || !mismatch.is_finite(),
            "sparse Hessian: at one and the same point a row is off by {mismatch} (of 1) from its product with a vector; \
             is the function deterministic? If it is, its derivatives cancel: take the dense `hessian`"
        );
        &self.matrix
    }

    /// Evaluates the entries of the pattern. Returns true if all recordings had a fingerprint seen before, and the
    /// difference of the matrix from the Hessian in a random direction.
    #[track_caller]
    fn sweep(&mut self, f: &impl for<'t> Fn(&[SeededVar<'t, F>]) -> SeededVar<'t, F>, x: &[F]) -> (bool, F) {
        // `f` runs between writes of entries. If it panics, the matrix must not be a mixture of two points.
        self.matrix.values.fill(F::nan());
        let mut random = Random::new(CHECK);
        let direction: Vec<F> = x.iter().map(|_| random.number()).collect();
        let mut product = Vec::new();
        let mut seen = true;
        // The colour after the last one is the random direction.
        let (last, check) = (self.schedule.colors / SEEDS, self.schedule.colors % SEEDS);
        for pass in 0..=last {
            let mut tangents = vec![[F::zero(); SEEDS]; x.len()];
            for (j, lane) in self.schedule.seeds(pass) {
                tangents[j][lane] = F::one();
            }
            if pass == last {
                for (tangents, r) in tangents.iter_mut().zip(&direction) {
                    tangents[check] = *r;
                }
            }
            let point: Vec<_> = x.iter().zip(tangents).map(|(x, t)| Dual::new(*x, t)).collect();
            let (_, adjoints) = self.tape.record_and_sweep(|scope| {
                let y = f(scope.tape.vars_from(&point));
                seen = seen && self.structures.contains(&detect::structure(scope.tape, [y.slot()]));
                y.into_output()
            });
            let gradient = &adjoints[1..=x.len()];
            for (entry, lane, i) in self.schedule.reads(pass) {
                self.matrix.values[entry] = gradient[i].tangents()[lane];
            }
            if pass == last {
                product = gradient.iter().map(|g| g.tangents()[check]).collect();
            }
        }
        (seen, self.mismatch(&product, &direction))
    }

    /// The largest difference from the given product with a direction, relative to the terms of its row.
    fn mismatch(&self, product: &[F], direction: &[F]) -> F {
        let (mut sums, mut sizes) = (vec![F::zero(); product.len()], vec![F::zero(); product.len()]);
        for (i, j, value) in self.matrix.iter() {
            let term = value * direction[j];
            sums[i] += term;
            sizes[i] += term.abs();
        }
        let mut worst = F::zero();
        for ((product, sum), size) in product.iter().zip(sums).zip(sizes) {
            let difference = (*product - sum).abs();
            // A row that is not finite shows in the matrix itself.
            if size.is_finite() && !difference.is_exact_zero() {
                let relative = difference / (size + product.abs());
                worst = worst.max(if relative.is_nan() { F::infinity() } else { relative });
            }
        }
        worst
    }
}

/// The seeds of each pass, and the places where its entries are read.
#[derive(Clone, Debug)]
struct SweepPlan {
    colors: usize,
    /// The colour of each seed.
    color: Vec<usize>,
    /// The seeds of each pass.
    seeds: Pattern,
    /// For each entry, the colour of its sum and its place in that sum.
    reads: Vec<(usize, usize)>,
    /// The entries of each pass.
    entries: Pattern,
}

impl Default for SweepPlan {
    fn default() -> Self {
        Self::new(Seeding::of_jacobian(&Pattern::empty(0, 0)))
    }
}

impl SweepPlan {
    fn new(Seeding { coloring, reads, .. }: Seeding) -> Self {
        let passes = coloring.count.div_ceil(SEEDS);
        let pass = |color: &usize| color / SEEDS;
        let seeds: Vec<usize> = coloring.of.iter().map(pass).collect();
        let entries: Vec<usize> = reads.iter().map(|(color, _)| pass(color)).collect();
        Self {
            colors: coloring.count,
            color: coloring.of,
            seeds: Pattern::grouped(&seeds, passes),
            reads,
            entries: Pattern::grouped(&entries, passes),
        }
    }

    fn passes(&self) -> usize {
        self.seeds.rows()
    }

    /// The index and lane of each seed of a pass.
    fn seeds(&self, pass: usize) -> impl Iterator<Item = (usize, usize)> {
        let seeds = if pass < self.passes() { self.seeds.row(pass) } else { &[] };
        seeds.iter().map(|index| (*index, self.color[*index] % SEEDS))
    }

    /// The entry, lane and place of each result of a pass.
    fn reads(&self, pass: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let entries = if pass < self.passes() { self.entries.row(pass) } else { &[] };
        entries.iter().map(|entry| (*entry, self.reads[*entry].0 % SEEDS, self.reads[*entry].1))
    }
}

/// Seeds of the random numbers, which only need to be different.
const DETECTION: u64 = 1;
const CHECK: u64 = 2;

/// Random numbers: signs times magnitudes in [1/2, 1).
struct Random(ChaCha12Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    fn number<F: Scalar>(&mut self) -> F {
        let magnitude = self.0.random_range(0.5..1.0);
        F::lit(if self.0.random() { magnitude } else { -magnitude })
    }
}

// The methods that both types have.
macro_rules! inspection {
    ($Derivative:ident) => {
        impl<F: Scalar> $Derivative<F> {
            /// The matrix of the last evaluation, or zero before the first one; NaN if the function panicked in the
            /// evaluation.
            pub fn matrix(&self) -> &SparseMatrix<F> {
                &self.matrix
            }

            /// The number of entries of the pattern.
            pub fn nnz(&self) -> usize {
                self.matrix.nnz()
            }

            /// The number of colours of its columns or rows.
            pub fn colors(&self) -> usize {
                self.schedule.colors
            }
        }

        impl<F: Scalar> fmt::Debug for $Derivative<F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Derivative))
                    .field("matrix", &self.matrix)
                    .field("colors", &self.colors())
                    .finish_non_exhaustive()
            }
        }
    };
}
inspection!(SparseJacobian);
inspection!(SparseHessian);

impl<F: Scalar> SparseJacobian<F> {
    /// The number of sweeps over a recording that an evaluation takes.
    pub fn sweeps(&self) -> usize {
        self.schedule.passes()
    }
}

impl<F: Scalar> SparseHessian<F> {
    /// The number of gradients over dual numbers that an evaluation takes.
    pub fn sweeps(&self) -> usize {
        self.schedule.colors / SEEDS + 1
    }
}

/// The sparse Jacobian of `f` at `x`. To keep the pattern for more points, use a [`SparseJacobian`]; for many evaluations,
/// [`Program::sparse_jacobian`](crate::Program::sparse_jacobian) keeps the operations, too.
///
/// ```
/// use wengert::sparse_jacobian;
///
/// let x: Vec<f64> = (0..100).map(f64::from).collect();
/// let j = sparse_jacobian(|x| x.windows(2).map(|w| (w[1] - w[0]).square()).collect(), &x);
/// assert_eq!((j.shape(), j.nnz(), j.get(7, 8)), ((99, 100), 198, 2.0));
/// ```
///
/// # Panics
///
/// Same as for [`SparseJacobian::detect`].
#[track_caller]
pub fn sparse_jacobian<F: Scalar>(
    f: impl for<'t> FnOnce(&[Var<'t, F>]) -> Vec<Var<'t, F>>,
    x: &[F],
) -> SparseMatrix<F> {
    let (_, recording) = Linearization::new(f, x);
    let mut jacobian = SparseJacobian::of(&recording);
    jacobian.sweep(&recording);
    jacobian.matrix
}

/// The sparse Hessian of `f` at `x`. To keep the pattern for more points, use a [`SparseHessian`]; for many evaluations,
/// [`Program::sparse_hessian`](crate::Program::sparse_hessian) keeps the operations, too.
///
/// ```
/// use wengert::sparse_hessian;
///
/// let h = sparse_hessian(|x| x[0] * x[1] + x[2].exp(), &[1.0, 2.0, 0.0, 5.0]);
/// assert_eq!(h.iter().collect::<Vec<_>>(), [(0, 1, 1.0), (1, 0, 1.0), (2, 2, 1.0)]);
/// ```
///
/// # Panics
///
/// Same as for [`SparseHessian::detect`] and [`SparseHessian::evaluate`].
#[track_caller]
pub fn sparse_hessian<F: Scalar>(
    f: impl for<'t> Fn(&[SeededVar<'t, F>]) -> SeededVar<'t, F>,
    x: &[F],
) -> SparseMatrix<F> {
    let mut hessian = SparseHessian::detect(&f, x);
    hessian.evaluate(f, x);
    hessian.matrix
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    #[should_panic(
        expected = "sparse Jacobian: an output depends on an operation of which the tape knows only a pullback"
    )]
    fn opaque_operations_are_refused() {
        let tape = Rc::new(Tape::new());
        let y = tape.stack_vars(tape.vars_from(&[1.0, 2.0])).exp().sum();
        let place = (y.slot(), y.weight());
        SparseJacobian::of(&Linearization::of(tape, 2, vec![place]));
    }
}
