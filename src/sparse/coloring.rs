//! Colourings of the columns or rows of a sparse derivative: one seed serves all columns or rows of one colour.
//!
//! A. R. Curtis, M. J. D. Powell and J. K. Reid, "On the estimation of sparse Jacobian matrices", IMA J.
//! Appl. Math. 13 (1974); T. F. Coleman and J. J. Moré, "Estimation of sparse Hessian matrices and
//! graph coloring problems", Math. Programming 28 (1984); A. H. Gebremedhin, F. Manne and A. Pothen,
//! "What color is your Jacobian? Graph coloring for computing derivatives", SIAM Review 47 (2005).

use smallvec::SmallVec;

use super::matrix::Pattern;

/// A colour for each row, column or vertex. Rows, columns or vertices of one colour are seeded together.
#[derive(Clone, Debug)]
pub(crate) struct Coloring {
    pub(crate) of: Vec<usize>,
    /// The number of colours.
    pub(crate) count: usize,
}

/// No colour yet.
const NONE: usize = usize::MAX;

impl Coloring {
    /// A colouring of the rows in which rows that share a column get different colours, so that the sum of the rows of
    /// one colour shows each of their entries.
    ///
    /// This is greedy partial distance-2 colouring, rows with most entries first. Each column keeps the set of its
    /// colours, so the time is proportional to the number of entries (times colours / 64).
    pub(crate) fn of_rows(pattern: &Pattern) -> Self {
        let mut used = vec![Colors::default(); pattern.columns()];
        let mut coloring = Self { of: vec![NONE; pattern.rows()], count: 0 };
        let mut forbidden = Colors::default();
        for i in longest_first(pattern) {
            forbidden.clear();
            for j in pattern.row(i) {
                forbidden.add_all(&used[*j], NONE);
            }
            let color = coloring.give(i, &forbidden);
            for j in pattern.row(i) {
                used[*j].add(color);
            }
        }
        coloring
    }

    /// A star colouring of the graph of a symmetric pattern: neighbours differ, and if two neighbours of a vertex
    /// share a colour, the vertex has a smaller one. (So no path of four vertices has only two colours: each of its two
    /// middle vertices would have the smaller one.)
    ///
    /// Let B be the matrix of the sums of the columns of each colour. Every entry (i, j) then stands alone in B: at (i,
    /// colour of j) if i has the greater colour of the two, because no other neighbour of i shares the colour of j.
    ///
    /// The algorithm is greedy (Gebremedhin, Manne and Pothen, algorithm 4.1), vertices of highest degree first. Each
    /// vertex keeps the set of its neighbours' colours, as each column does in [`of_rows`](Self::of_rows).
    pub(crate) fn star(pattern: &Pattern) -> Self {
        let mut around = vec![Colors::default(); pattern.columns()];
        let mut coloring = Self { of: vec![NONE; pattern.rows()], count: 0 };
        let mut forbidden = Colors::default();
        for v in longest_first(pattern) {
            let neighbours = || pattern.row(v).iter().copied().filter(|w| *w != v);
            forbidden.clear();
            for w in neighbours() {
                // If w is coloured later, v must differ from the other neighbours of w. If w has a colour, v must
                // differ from those of them that have a smaller colour than w.
                let color = coloring.of[w];
                forbidden.add_all(&around[w], color);
                if color != NONE {
                    forbidden.add(color);
                }
            }
            let color = coloring.give(v, &forbidden);
            for w in neighbours() {
                around[w].add(color);
            }
        }
        coloring
    }

    /// Gives `i` the least colour that is not forbidden.
    fn give(&mut self, i: usize, forbidden: &Colors) -> usize {
        let color = forbidden.least_missing();
        self.of[i] = color;
        self.count = self.count.max(color + 1);
        color
    }
}

/// The seeds of a sparse derivative: the columns or rows that are summed up, and where each entry stands alone.
#[derive(Clone, Debug)]
pub(crate) struct Seeding {
    /// True if columns are coloured, false if rows are.
    pub(crate) by_columns: bool,
    pub(crate) coloring: Coloring,
    /// For each entry, the colour of its sum and its place in that sum.
    pub(crate) reads: Vec<(usize, usize)>,
}

impl Seeding {
    /// The seeds of a Jacobian: columns or rows, whichever take fewer colours.
    pub(crate) fn of_jacobian(pattern: &Pattern) -> Self {
        let transposed = pattern.transposed();
        let color = |columns: bool| Coloring::of_rows(if columns { &transposed } else { pattern });
        // The columns take at least as many colours as the longest row has entries, and the other way round.
        let (row, column) = (pattern.longest_row(), transposed.longest_row());
        let mut by_columns = row <= column;
        let mut coloring = color(by_columns);
        if coloring.count > row.max(column) {
            let other = color(!by_columns);
            if other.count < coloring.count {
                (by_columns, coloring) = (!by_columns, other);
            }
        }
        let read = |(i, j)| if by_columns { (coloring.of[j], i) } else { (coloring.of[i], j) };
        let reads = pattern.places().map(read).collect();
        Self { by_columns, coloring, reads }
    }

    /// The seeds of a Hessian: columns.
    pub(crate) fn of_hessian(pattern: &Pattern) -> Self {
        let coloring = Coloring::star(pattern);
        // The entry (i, j) stands alone in the row of i or j, whichever has the greater colour.
        let of = |i: usize| coloring.of[i];
        let reads = pattern.places().map(|(i, j)| if of(i) >= of(j) { (of(j), i) } else { (of(i), j) }).collect();
        Self { by_columns: true, coloring, reads }
    }
}

/// The rows by length, the longest first, and in order if the lengths are equal.
fn longest_first(pattern: &Pattern) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pattern.rows()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(pattern.row(*i).len()));
    order
}

/// A set of colours, one bit each.
#[derive(Clone, Debug, Default)]
struct Colors(SmallVec<[u64; 2]>);

impl Colors {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn add(&mut self, color: usize) {
        if self.0.len() <= color / 64 {
            self.0.resize(color / 64 + 1, 0);
        }
        self.0[color / 64] |= 1 << (color % 64);
    }

    /// Adds the colours of `other` below `end`.
    fn add_all(&mut self, other: &Self, end: usize) {
        let words = other.0.len().min(end.div_ceil(64));
        if self.0.len() < words {
            self.0.resize(words, 0);
        }
        for (k, (word, more)) in self.0.iter_mut().zip(&other.0[..words]).enumerate() {
            let partly = end / 64 == k;
            *word |= if partly { more & ((1 << (end % 64)) - 1) } else { *more };
        }
    }

    fn least_missing(&self) -> usize {
        let full = self.0.iter().take_while(|word| **word == u64::MAX).count();
        64 * full + self.0.get(full).map_or(0, |word| word.trailing_ones() as usize)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// A symmetric pattern of a random graph, whose density differs from place to place.
    fn random_graph(n: usize, rng: &mut StdRng) -> Pattern {
        let mut edge = vec![vec![false; n]; n];
        let density: f64 = rng.random_range(0.0..0.6);
        for (i, j) in (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            edge[i][j] = rng.random_range(0.0..1.0) < density * (1.0 - j as f64 / n as f64);
            edge[j][i] = edge[i][j];
        }
        let mut pattern = Pattern::empty(0, n);
        for row in &edge {
            pattern.push((0..n).filter(|j| row[*j]));
        }
        pattern
    }

    #[test]
    fn colourings_keep_their_promise() {
        let mut rng = StdRng::seed_from_u64(1);
        for n in (0..90).step_by(3) {
            let graph = random_graph(n, &mut rng);

            let rows = Coloring::of_rows(&graph).of;
            for column in graph.transposed().iter_rows() {
                let mut colors: Vec<usize> = column.iter().map(|i| rows[*i]).collect();
                colors.sort_unstable();
                assert!(colors.windows(2).all(|w| w[0] != w[1]), "rows of one colour meet");
            }

            let star = Coloring::star(&graph).of;
            for (i, j) in graph.places().filter(|(i, j)| i != j) {
                assert_ne!(star[i], star[j], "neighbours");
                if star[i] > star[j] {
                    let same = graph.row(i).iter().filter(|k| star[**k] == star[j]).count();
                    assert_eq!(same, 1, "the entry ({i}, {j}) does not stand alone");
                }
            }
        }
    }

    #[test]
    fn more_than_64_colours() {
        let mut dense = Pattern::empty(0, 200);
        for _ in 0..200 {
            dense.push(0..200);
        }
        assert_eq!((Coloring::of_rows(&dense).count, Coloring::star(&dense).count), (200, 200));
    }
}
