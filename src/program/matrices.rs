//! Jacobians and Hessians: the pattern, found once, and the way to the entries.

use std::ops::Range;

use ndarray::ArrayViewMut2;

use super::batch::Batch;
use super::graph::Graph;
use super::program::Program;
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
                            *value = if by_output { batch.output(place)[lane] } else { batch.adjoint(place)[lane] };
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
