//! Jacobians and Hessians: the pattern, found once, and the way to the entries.

use std::ops::Range;

use ndarray::{Array2, ArrayViewMut2};

use super::batch::Batch;
use super::graph::Graph;
use super::program::{Program, check};
use super::terms::{Matrix, Terms, work};
use crate::number::BaseFloat;
use crate::recording::BranchChanged;
use crate::sparse::{Pattern, Seeding, SparseMatrix};

/// A matrix of derivatives that is filled many times.
#[derive(Clone, Debug)]
pub(super) struct Entries<F> {
    which: Matrix,
    pub(super) matrix: SparseMatrix<F>,
    way: Way<F>,
    /// Entries above the diagonal of a Hessian, each with its mirror image below.
    mirrored: Vec<(usize, usize)>,
    /// The seeds of runs for one colour after the other, and their memory, when they are needed.
    by_colors: Option<ByColors<F>>,
}

/// The way to all entries at once.
#[derive(Clone, Debug)]
enum Way<F> {
    Terms(Box<Terms<F>>),
    /// Each colour is a lane.
    Lanes(Box<Batch<F>>, Seeding),
    /// Each colour is a run of its own.
    Runs,
}

#[derive(Clone, Debug)]
struct ByColors<F> {
    seeding: Seeding,
    seed: Vec<F>,
    sums: Vec<F>,
}

impl<F: BaseFloat> Entries<F> {
    /// The pattern and the way to the entries, by which the program of `graph` with `n` inputs goes.
    pub(super) fn new(graph: &Graph<F>, n: usize, which: Matrix, exact: bool) -> Self {
        let pattern = match which {
            Matrix::Jacobian => graph.jacobian_pattern(n),
            Matrix::Hessian => graph.hessian_pattern(n),
        };
        let mut mirrored = Vec::new();
        if which == Matrix::Hessian {
            let upper = pattern.places().enumerate().filter(|(_, (i, j))| i < j);
            mirrored.extend(upper.map(|(to, (i, j))| (to, pattern.find(j, i).expect("a symmetric pattern"))));
        }
        let way = if exact { Way::Runs } else { way(graph, n, which, &pattern) };
        Self { which, matrix: SparseMatrix::zeros(pattern), way, mirrored, by_colors: None }
    }

    /// Evaluates the entries at `x`.
    pub(super) fn evaluate(&mut self, program: &mut Program<F>, x: &[F]) -> Result<(), BranchChanged> {
        let n = x.len();
        let done = match &mut self.way {
            Way::Terms(terms) => {
                program.check_branches(x)?;
                let finite = terms.run(&[x, program.data()]);
                self.matrix.values.copy_from_slice(terms.entries());
                for &(to, from) in &self.mirrored {
                    self.matrix.values[to] = self.matrix.values[from];
                }
                finite
            }
            Way::Lanes(batch, seeding) => {
                let data = program.data();
                let seeds = seeds(self.which, seeding, n, data.len());
                batch.set(0, x);
                batch.set(if seeding.by_columns { 2 * n } else { n }, data);
                let by_output = self.which == Matrix::Jacobian && seeding.by_columns;
                let values = &mut self.matrix.values;
                let done = batch.each_color(seeds.start, &seeding.coloring, |batch, colors| {
                    for (value, &(color, place)) in values.iter_mut().zip(&seeding.reads) {
                        if colors.contains(&color) {
                            let lane = color - colors.start;
                            let number = if by_output { batch.output(place)[lane] } else { batch.adjoint(place)[lane] };
                            *value = number + F::zero();
                        }
                    }
                });
                done && values.iter().all(|x| x.is_finite_throughout())
            }
            Way::Runs => false,
        };
        if done { Ok(()) } else { self.run_by_colors(program, x) }
    }

    /// Evaluates the entries by a directional derivative for each colour, which has the conventions of the tape.
    fn run_by_colors(&mut self, program: &mut Program<F>, x: &[F]) -> Result<(), BranchChanged> {
        let (m, n) = self.matrix.shape();
        let ByColors { seeding, seed, sums } = self.by_colors.get_or_insert_with(|| {
            let seeding = seeding(self.which, &self.matrix.pattern);
            let (seeds, sums) = if seeding.by_columns { (n, m) } else { (m, n) };
            ByColors { seeding, seed: vec![F::zero(); seeds], sums: vec![F::zero(); sums] }
        });
        for color in 0..seeding.coloring.count {
            for (seed, &of) in seed.iter_mut().zip(&seeding.coloring.of) {
                *seed = if of == color { F::one() } else { F::zero() };
            }
            match (self.which, seeding.by_columns) {
                (Matrix::Hessian, _) => program.hvp(x, seed, sums)?,
                (_, true) => program.jvp(x, seed, sums)?,
                (_, false) => program.vjp(x, seed, sums)?,
            }
            for (value, &(of, place)) in self.matrix.values.iter_mut().zip(&seeding.reads) {
                if of == color {
                    *value = sums[place];
                }
            }
        }
        Ok(())
    }

    /// Writes the matrix with all of its zeros.
    pub(super) fn write(&self, mut to: ArrayViewMut2<'_, F>) {
        let (starts, columns, values) = (self.matrix.indptr(), self.matrix.indices(), self.matrix.values());
        for (i, mut row) in to.rows_mut().into_iter().enumerate() {
            let range = starts[i]..starts[i + 1];
            let (columns, values) = (&columns[range.clone()], &values[range]);
            match row.as_slice_mut() {
                Some(row) if row.len() == values.len() => row.copy_from_slice(values),
                Some(row) => {
                    row.fill(F::zero());
                    columns.iter().zip(values).for_each(|(&j, &x)| row[j] = x);
                }
                None => {
                    row.fill(F::zero());
                    columns.iter().zip(values).for_each(|(&j, &x)| row[j] = x);
                }
            }
        }
    }
}

fn seeding(which: Matrix, pattern: &Pattern) -> Seeding {
    match which {
        Matrix::Jacobian => Seeding::of_jacobian(pattern),
        Matrix::Hessian => Seeding::of_hessian(pattern),
    }
}

/// The inputs of the graph that are seeds.
fn seeds(which: Matrix, seeding: &Seeding, n: usize, data: usize) -> Range<usize> {
    let len = seeding.coloring.of.len();
    let first = if which == Matrix::Jacobian && !seeding.by_columns { n + data } else { n };
    first..first + len
}

/// The way that takes the fewest operations.
fn way<F: BaseFloat>(graph: &Graph<F>, n: usize, which: Matrix, pattern: &Pattern) -> Way<F> {
    /// Operations of a graph from which on its numbers for all lanes leave the cache.
    const LONG: usize = 20_000;
    /// Colours from which on lanes pay.
    const COLORS: usize = 4;
    let place = |i: usize, j: usize| pattern.find(i, j).expect("an entry of the pattern") as u32;
    let terms = Terms::new(graph, n, which, pattern.len(), place);
    let seeding = seeding(which, pattern);
    let colors = seeding.coloring.count;
    // A tangent and its part of the cotangents are about three operations.
    let by_colors = work(3 * graph.nodes.len(), colors);
    match terms {
        Some(terms) if terms.work <= by_colors => Way::Terms(Box::new(terms)),
        _ if graph.nodes.len() > LONG || colors < COLORS => Way::Runs,
        _ => {
            let seeds = seeds(which, &seeding, n, graph.inputs - n);
            let batch = match (which, seeding.by_columns) {
                (Matrix::Hessian, _) => Batch::directions(&graph.jvp(n), seeds, n),
                (_, true) => Batch::directions(&graph.jvp(n), seeds, 0),
                (_, false) => Batch::directions(&graph.weighted(), seeds, n),
            };
            Way::Lanes(Box::new(batch), seeding)
        }
    }
}

/// Matrices of derivatives.
impl<F: BaseFloat> Program<F> {
    /// The Jacobian, outputs × inputs. [`jacobian_into`](Self::jacobian_into) writes it into an array that exists.
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If `x` has not one number for each input.
    #[track_caller]
    pub fn jacobian(&mut self, x: &[F]) -> Result<Array2<F>, BranchChanged> {
        check("jacobian", "the inputs", x.len(), self.inputs());
        let mut jacobian = Array2::zeros((self.outputs(), self.inputs()));
        self.jacobian_into(x, jacobian.view_mut())?;
        Ok(jacobian)
    }

    /// Writes the Jacobian, outputs × inputs, to `jacobian`.
    ///
    /// Outputs of the same operations are lanes of one run, each with the derivatives with respect to its own inputs; so
    /// the cost is that of the entries that are not 0. Where outputs have too many operations in common, directions are
    /// lanes: columns that share no row as one direction, or rows that share no column, whichever are fewer. Nothing is
    /// allocated after the first call.
    ///
    /// ```
    /// use ndarray::Array2;
    /// use wengert::Program;
    ///
    /// // The residuals of a model a·e^(b·t) at three times.
    /// let t = [0.0, 1.0, 2.0];
    /// let mut residuals =
    ///     Program::vector(|[a, b]| t.iter().map(|&t| a * (b * t).exp() - 1.0).collect(), [1.0, 0.5])?;
    /// let mut jacobian = Array2::zeros((3, 2));
    /// residuals.jacobian_into(&[2.0, 0.0], jacobian.view_mut())?;
    /// assert_eq!(jacobian, ndarray::array![[1.0, 0.0], [1.0, 2.0], [1.0, 4.0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded; `jacobian` is then unchanged.
    ///
    /// # Panics
    ///
    /// If `x` has not one number for each input, or `jacobian` another shape than outputs × inputs.
    #[track_caller]
    pub fn jacobian_into(&mut self, x: &[F], jacobian: ArrayViewMut2<'_, F>) -> Result<(), BranchChanged> {
        check("jacobian_into", "the inputs", x.len(), self.inputs());
        check_shape("jacobian_into", jacobian.dim(), (self.outputs(), self.inputs()));
        self.entries(Matrix::Jacobian, x)?.write(jacobian);
        Ok(())
    }

    /// The Jacobian, outputs × inputs, with only the entries that may differ from 0: the pattern is that of the recorded
    /// operations, and is found in the first call. See [`jacobian_into`](Self::jacobian_into) for the way to the entries.
    ///
    /// ```
    /// use wengert::Program;
    ///
    /// let x = vec![1.0; 1000];
    /// let mut f = Program::vector(|x| x.windows(2).map(|w| (w[1] - w[0]).square()).collect(), &x)?;
    /// let mut x = x;
    /// x[8] = 2.0;
    /// let j = f.sparse_jacobian(&x)?;
    /// assert_eq!((j.shape(), j.nnz(), j.get(7, 8)), ((999, 1000), 1998, 2.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If `x` has not one number for each input.
    #[track_caller]
    pub fn sparse_jacobian(&mut self, x: &[F]) -> Result<&SparseMatrix<F>, BranchChanged> {
        check("sparse_jacobian", "the inputs", x.len(), self.inputs());
        self.entries(Matrix::Jacobian, x).map(|entries| &entries.matrix)
    }

    /// The Hessian of a function with one output. [`hessian_into`](Self::hessian_into) writes it into an array that
    /// exists.
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If `x` has not one number for each input, or if there are several outputs.
    #[track_caller]
    pub fn hessian(&mut self, x: &[F]) -> Result<Array2<F>, BranchChanged> {
        self.check_scalar("hessian");
        check("hessian", "the inputs", x.len(), self.inputs());
        let mut hessian = Array2::zeros((self.inputs(), self.inputs()));
        self.hessian_into(x, hessian.view_mut())?;
        Ok(hessian)
    }

    /// Writes the Hessian of a function with one output, inputs × inputs, to `hessian`. The matrix is exactly symmetric.
    ///
    /// A function that is a sum, such as a log-likelihood, is taken apart into its terms. Terms of the same operations are
    /// lanes of one run, which adds the second derivatives of each term to the entries of its own inputs. Where terms have
    /// too many operations in common, directions are lanes, those of a colouring of the columns. Nothing is allocated after
    /// the first call.
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded; `hessian` is then unchanged.
    ///
    /// # Panics
    ///
    /// If `x` has not one number for each input, `hessian` another shape than inputs × inputs, or if there are several
    /// outputs.
    #[track_caller]
    pub fn hessian_into(&mut self, x: &[F], hessian: ArrayViewMut2<'_, F>) -> Result<(), BranchChanged> {
        self.check_scalar("hessian_into");
        check("hessian_into", "the inputs", x.len(), self.inputs());
        check_shape("hessian_into", hessian.dim(), (self.inputs(), self.inputs()));
        self.entries(Matrix::Hessian, x)?.write(hessian);
        Ok(())
    }

    /// The Hessian of a function with one output, with only the entries that may differ from 0: the pattern is that of
    /// the recorded operations, and is found in the first call. See [`hessian_into`](Self::hessian_into) for the way to the
    /// entries.
    ///
    /// ```
    /// use wengert::{Program, Real};
    ///
    /// fn rosenbrock<R: Real<Base = f64>>(x: &[R]) -> R {
    ///     x.windows(2).map(|w| R::lit(100.0) * (w[1] - w[0] * w[0]).square() + (R::one() - w[0]).square()).sum()
    /// }
    /// let x = vec![0.5; 1000];
    /// let mut f = Program::new(|x| rosenbrock(x), &x)?;
    /// let h = f.sparse_hessian(&x)?;
    /// assert_eq!((h.nnz(), h.get(0, 0), h.get(0, 1), h.get(1, 0)), (2998, 102.0, -200.0, -200.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded.
    ///
    /// # Panics
    ///
    /// If `x` has not one number for each input, or if there are several outputs.
    #[track_caller]
    pub fn sparse_hessian(&mut self, x: &[F]) -> Result<&SparseMatrix<F>, BranchChanged> {
        self.check_scalar("sparse_hessian");
        check("sparse_hessian", "the inputs", x.len(), self.inputs());
        self.entries(Matrix::Hessian, x).map(|entries| &entries.matrix)
    }

    /// The entries of a matrix of derivatives at `x`.
    fn entries(&mut self, which: Matrix, x: &[F]) -> Result<&Entries<F>, BranchChanged> {
        let known = self.kept(which).take();
        let mut entries = known.unwrap_or_else(|| Entries::new(self.graph(), self.inputs(), which, self.is_exact()));
        let result = entries.evaluate(self, x);
        let entries = self.kept(which).insert(entries);
        result.map(|()| &*entries)
    }
}

#[track_caller]
fn check_shape(operation: &str, given: (usize, usize), expected: (usize, usize)) {
    assert!(given == expected, "{operation}: an array of shape {given:?} for a matrix of shape {expected:?}");
}
