//! Compressed sparse rows: [`SparseMatrix`] and its pattern.

use ndarray::Array2;

use crate::number::Scalar;

/// The places of the entries of a sparse matrix, row by row, with ascending columns. The type also serves as a list of
/// lists of indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    columns: usize,
    /// Row i has the entries `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    indices: Vec<usize>,
}

impl Pattern {
    /// A pattern without entries.
    pub(crate) fn empty(rows: usize, columns: usize) -> Self {
        Self { columns, starts: vec![0; rows + 1], indices: Vec::new() }
    }

    /// Appends a row, its columns in ascending order.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = usize>) {
        self.indices.extend(row);
        self.starts.push(self.indices.len());
    }

    /// The positions of `keys` grouped by key: row k has every i with `keys[i] == k`, in order.
    pub(crate) fn grouped(keys: &[usize], groups: usize) -> Self {
        let mut starts = vec![0; groups + 1];
        for key in keys {
            starts[key + 1] += 1;
        }
        for group in 0..groups {
            starts[group + 1] += starts[group];
        }
        let mut indices = vec![0; keys.len()];
        let mut next = starts.clone();
        for (i, key) in keys.iter().enumerate() {
            indices[next[*key]] = i;
            next[*key] += 1;
        }
        Self { columns: keys.len(), starts, indices }
    }

    pub(crate) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn len(&self) -> usize {
        self.indices.len()
    }

    pub(crate) fn row(&self, i: usize) -> &[usize] {
        &self.indices[self.starts[i]..self.starts[i + 1]]
    }

    /// The number of the entry at row `i` and column `j`.
    pub(crate) fn find(&self, i: usize, j: usize) -> Option<usize> {
        let row = self.row(i);
        // A full row needs no search.
        let at = if row.len() == self.columns { Ok(j) } else { row.binary_search(&j) };
        at.ok().map(|k| self.starts[i] + k)
    }

    pub(crate) fn iter_rows(&self) -> impl Iterator<Item = &[usize]> {
        self.starts.windows(2).map(|w| &self.indices[w[0]..w[1]])
    }

    /// The place (row, column) of every entry.
    pub(crate) fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.iter_rows().enumerate().flat_map(|(i, row)| row.iter().map(move |j| (i, *j)))
    }

    pub(crate) fn longest_row(&self) -> usize {
        self.iter_rows().map(<[usize]>::len).max().unwrap_or(0)
    }

    pub(crate) fn transposed(&self) -> Self {
        let mut transposed = Self::grouped(&self.indices, self.columns);
        let rows: Vec<usize> = self.places().map(|(i, _)| i).collect();
        for entry in &mut transposed.indices {
            *entry = rows[*entry];
        }
        Self { columns: self.rows(), ..transposed }
    }

    /// The places that are in one of the patterns or in both.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut union = Self::empty(0, self.columns);
        let mut both = Vec::new();
        for (a, b) in self.iter_rows().zip(other.iter_rows()) {
            both.clear();
            both.extend_from_slice(a);
            both.extend_from_slice(b);
            sort_runs(&mut both);
            both.dedup();
            union.push(both.iter().copied());
        }
        union
    }
}

/// Sorts a slice of a few ascending runs, which the stable sort merges.
pub(crate) fn sort_runs<T: Ord>(items: &mut [T]) {
    items.sort();
}

/// A sparse matrix in compressed rows (CSR), the layout of `scipy.sparse.csr_array`, `sprs` and `nalgebra-sparse`.
/// [`into_csr`](Self::into_csr) gives the arguments of their constructors.
///
/// ```
/// use wengert::sparse_jacobian;
///
/// let j = sparse_jacobian(|x| vec![x[0] * x[1], x[2].sin()], &[2.0, 3.0, 0.0]);
/// assert_eq!((j.shape(), j.nnz()), ((2, 3), 3));
/// assert_eq!(j.iter().collect::<Vec<_>>(), [(0, 0, 3.0), (0, 1, 2.0), (1, 2, 1.0)]);
/// assert_eq!((j.get(0, 1), j.get(1, 1)), (2.0, 0.0));
/// assert_eq!(j.dot(&[1.0, 1.0, 1.0]), [5.0, 1.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SparseMatrix<F> {
    pub(crate) pattern: Pattern,
    pub(crate) values: Vec<F>,
}

impl<F: Scalar> SparseMatrix<F> {
    /// The matrix with zeros at the places of the pattern.
    pub(crate) fn zeros(pattern: Pattern) -> Self {
        let values = vec![F::zero(); pattern.len()];
        Self { pattern, values }
    }

    /// The numbers of rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.pattern.rows(), self.pattern.columns())
    }

    /// The number of stored entries. A stored value can be 0.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// The index of the first entry of each row, and at the end the number of entries.
    pub fn indptr(&self) -> &[usize] {
        &self.pattern.starts
    }

    /// The column of each entry, ascending within a row.
    pub fn indices(&self) -> &[usize] {
        &self.pattern.indices
    }

    /// The value of each entry.
    pub fn values(&self) -> &[F] {
        &self.values
    }

    /// The row pointers, columns and values: see [`indptr`](Self::indptr), [`indices`](Self::indices) and
    /// [`values`](Self::values).
    pub fn into_csr(self) -> (Vec<usize>, Vec<usize>, Vec<F>) {
        (self.pattern.starts, self.pattern.indices, self.values)
    }

    /// The triple (row, column, value) of each entry, row by row.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, F)> {
        self.pattern.places().zip(&self.values).map(|((i, j), value)| (i, j, *value))
    }

    /// The entry at row `i` and column `j`, or 0 if none is stored there.
    ///
    /// # Panics
    ///
    /// If the place is outside the matrix.
    #[track_caller]
    pub fn get(&self, i: usize, j: usize) -> F {
        let (m, n) = self.shape();
        assert!(i < m && j < n, "get: ({i}, {j}) is outside of a {m} x {n} matrix");
        self.pattern.find(i, j).map_or(F::zero(), |k| self.values[k])
    }

    /// The matrix as an array, with all its zeros.
    pub fn to_dense(&self) -> Array2<F> {
        let mut dense = Array2::zeros(self.shape());
        for (i, j, value) in self.iter() {
            dense[[i, j]] = value;
        }
        dense
    }

    /// The product with a vector.
    ///
    /// # Panics
    ///
    /// If the length of the vector is not the number of columns.
    #[track_caller]
    pub fn dot(&self, x: &[F]) -> Vec<F> {
        let (m, n) = self.shape();
        assert!(x.len() == n, "dot: a {m} x {n} matrix times a vector of length {}", x.len());
        let mut product = vec![F::zero(); m];
        for (i, j, value) in self.iter() {
            product[i] += value * x[j];
        }
        product
    }
}
