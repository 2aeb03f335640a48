//! Matrices inside slices, the operands of a product: [`Mat`] to read, [`MatMut`] and [`Store`] to write.

/// The places of a matrix's elements in a slice.
#[derive(Clone, Copy)]
pub(super) struct MatLayout {
    pub(super) offset: usize,
    pub(super) shape: [usize; 2],
    pub(super) strides: [isize; 2],
}

impl MatLayout {
    /// The layout in a slice of length `len`.
    ///
    /// # Panics
    ///
    /// If an element lies outside of `0..len`.
    #[inline(always)]
    #[track_caller]
    pub(super) fn new(len: usize, offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        if !Self::is_row_major(len, offset, shape, strides) {
            Self::check(len, offset, shape, strides);
        }
        Self { offset, shape, strides }
    }

    /// True if these are rows one after the other, without gaps, within a slice of length `len`: the common case.
    #[inline(always)]
    fn is_row_major(len: usize, offset: usize, [m, n]: [usize; 2], strides: [isize; 2]) -> bool {
        strides == [n as isize, 1]
            && len.checked_sub(offset).is_some_and(|room| m.checked_mul(n).is_some_and(|count| count <= room))
    }

    /// Panics if an element lies outside of `0..len`.
    #[inline(never)]
    #[track_caller]
    fn check(len: usize, offset: usize, shape: [usize; 2], strides: [isize; 2]) {
        // A linear map over a box takes its extremes at corners.
        let last = || {
            let (mut first, mut last) = (offset, offset);
            for d in 0..2 {
                let reach = (shape[d] - 1).checked_mul(strides[d].unsigned_abs())?;
                if strides[d] < 0 {
                    first = first.checked_sub(reach)?;
                } else {
                    last = last.checked_add(reach)?;
                }
            }
            Some(last)
        };
        assert!(
            shape.contains(&0) || last().is_some_and(|last| last < len),
            "a {shape:?} matrix with strides {strides:?} from {offset} exceeds its {len} elements"
        );
    }

    /// The transpose, of the same elements.
    #[inline]
    pub(super) fn t(self) -> Self {
        let ([m, n], [row, col]) = (self.shape, self.strides);
        Self { shape: [n, m], strides: [col, row], ..self }
    }

    /// The same elements in reverse order along one axis. The matrix must not be empty.
    pub(super) fn reversed(mut self, axis: usize) -> Self {
        let reach = (self.shape[axis] as isize - 1).wrapping_mul(self.strides[axis]);
        self.offset = self.offset.wrapping_add_signed(reach);
        self.strides[axis] = -self.strides[axis];
        self
    }

    /// `len` rows (axis 0) or columns (axis 1), starting at index `first`.
    pub(super) fn part(mut self, axis: usize, first: usize, len: usize) -> Self {
        self.offset = if axis == 0 { self.at(first, 0) } else { self.at(0, first) };
        self.shape[axis] = len;
        self
    }

    /// The place of element `(i, j)`. For an element of the matrix it does not wrap, as `new` has checked.
    #[inline(always)]
    pub(super) fn at(self, i: usize, j: usize) -> usize {
        let [row, col] = self.strides;
        let step = (i as isize).wrapping_mul(row).wrapping_add((j as isize).wrapping_mul(col));
        self.offset.wrapping_add_signed(step)
    }
}

/// A matrix inside a slice. Its strides may be zero (broadcast) or negative.
#[derive(Clone, Copy)]
#[allow(unreachable_pub)]
pub struct Mat<'a, F> {
    pub(super) data: &'a [F],
    pub(super) layout: MatLayout,
}

impl<'a, F> Mat<'a, F> {
    /// The matrix whose element `(i, j)` is `data[offset + i·strides[0] + j·strides[1]]`.
    ///
    /// # Panics
    ///
    /// If an element lies outside of `data`.
    #[inline(always)]
    #[track_caller]
    pub fn new(data: &'a [F], offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        Self { data, layout: MatLayout::new(data.len(), offset, shape, strides) }
    }

    /// The matrix in row-major order from the start of the slice.
    #[cfg(feature = "linalg")]
    #[inline]
    #[track_caller]
    pub fn dense(data: &'a [F], shape: [usize; 2]) -> Self {
        Self::new(data, 0, shape, [shape[1] as isize, 1])
    }

    #[cfg(feature = "linalg")]
    #[inline]
    pub fn at(self, i: usize, j: usize) -> F
    where
        F: Copy,
    {
        self.data[self.layout.at(i, j)]
    }

    #[cfg(feature = "linalg")]
    #[inline]
    pub fn shape(self) -> [usize; 2] {
        self.layout.shape
    }

    /// The transpose, of the same elements.
    #[inline]
    pub fn t(self) -> Self {
        Self { layout: self.layout.t(), ..self }
    }

    /// `len` rows (axis 0) or columns (axis 1), starting at index `first`.
    pub(super) fn part(self, axis: usize, first: usize, len: usize) -> Self {
        Self { layout: self.layout.part(axis, first, len), ..self }
    }

    /// The rest of the slice, from element `(i, j)` on.
    #[inline(always)]
    pub(super) fn from(self, i: usize, j: usize) -> &'a [F] {
        &self.data[self.layout.at(i, j)..]
    }
}

/// A matrix inside a slice, for writing. Its elements have distinct places.
#[allow(unreachable_pub)]
pub struct MatMut<'a, F> {
    pub(super) data: &'a mut [F],
    pub(super) layout: MatLayout,
}

impl<'a, F> MatMut<'a, F> {
    /// The matrix whose element `(i, j)` is `data[offset + i·strides[0] + j·strides[1]]`.
    ///
    /// # Panics
    ///
    /// If an element lies outside of `data`, or if neither stride is longer than the whole extent along the other
    /// axis, because two elements might then share a place.
    #[inline(always)]
    #[track_caller]
    pub fn new(data: &'a mut [F], offset: usize, shape: [usize; 2], strides: [isize; 2]) -> Self {
        if !MatLayout::is_row_major(data.len(), offset, shape, strides) {
            Self::check(data.len(), offset, shape, strides);
        }
        Self { data, layout: MatLayout { offset, shape, strides } }
    }

    /// The panics of [`new`](Self::new).
    #[inline(never)]
    #[track_caller]
    fn check(len: usize, offset: usize, shape: [usize; 2], strides: [isize; 2]) {
        MatLayout::check(len, offset, shape, strides);
        let ([m, n], [row, col]) = (shape, strides.map(isize::unsigned_abs));
        // The products do not overflow: both extents are below `data.len()`.
        let distinct = match (m, n) {
            (0, _) | (_, 0) | (1, 1) => true,
            (1, _) => col > 0,
            (_, 1) => row > 0,
            _ => row.min(col) > 0 && (row > (n - 1) * col || col > (m - 1) * row),
        };
        assert!(distinct, "elements of a {shape:?} matrix with strides {strides:?} may overlap");
    }

    /// The slice from element `(i, j)` on to `width` numbers after `(i + rows - 1, j)`, and the distance between its rows;
    /// `None` if it does not reach so far, or rows do not stand in ascending order.
    #[inline(always)]
    pub(super) fn rows_mut(&mut self, i: usize, j: usize, rows: usize, width: usize) -> Option<(&mut [F], usize)> {
        let step = usize::try_from(self.layout.strides[0]).ok()?;
        let first = self.layout.at(i, j);
        let len = (rows - 1).checked_mul(step)?.checked_add(width)?;
        Some((self.data.get_mut(first..first.checked_add(len)?)?, step))
    }

    /// The transpose, of the same elements.
    #[inline]
    pub(super) fn t(self) -> Self {
        Self { layout: self.layout.t(), ..self }
    }
}

/// The effect of a product on its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unreachable_pub)]
pub enum Store {
    /// `c = a·b`. The old values of c do not matter, even if they are NaN.
    Set,
    /// `c += a·b`.
    Add,
}
