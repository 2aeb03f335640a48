//! Walks over several strided operands of one shape, and copies to and from strided operands.
//!
//! A *place* is an index into an operand's slice, a *step* the signed distance between neighbouring places, and a *run*
//! the elements along the innermost axis of a walk, which every operand passes with a constant step.

use std::ops::Range;

use smallvec::SmallVec;

/// The places of an operand's elements: the place of the first element, and the step along each axis. A broadcast axis
/// has step 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) offset: usize,
    pub(crate) strides: &'a [isize],
}

impl Layout<'_> {
    /// The range from the lowest to the highest place of the elements of a shape. It is empty for an empty shape.
    pub(crate) fn reach(self, shape: &[usize]) -> Range<usize> {
        if shape.contains(&0) {
            return 0..0;
        }
        let (mut first, mut last) = (self.offset as isize, self.offset as isize);
        for (&len, &step) in shape.iter().zip(self.strides) {
            let reach = (len as isize - 1) * step;
            *(if step < 0 { &mut first } else { &mut last }) += reach;
        }
        first as usize..last as usize + 1
    }
}

/// A walk of K operands together over one shape, in row-major order, by runs of `n` elements.
///
/// Neighbouring axes that every operand passes with one constant step are merged, so contiguous operands have a single
/// run.
pub(crate) struct Walk<const K: usize> {
    first: [usize; K],
    /// The length of a run.
    pub(crate) n: usize,
    /// The operands' steps along a run.
    pub(crate) step: [isize; K],
    /// The number of runs along the second axis from inside, which is a plain loop; the other axes are an odometer.
    pub(crate) rows: usize,
    /// The operands' steps from a run to the next along that axis.
    pub(crate) row_step: [isize; K],
    /// The length and the operands' steps of each other axis, the innermost first.
    outer: SmallVec<[(usize, [isize; K]); 4]>,
}

impl<const K: usize> Walk<K> {
    pub(crate) fn new(shape: &[usize], operands: [Layout<'_>; K]) -> Self {
        let first = operands.map(|o| o.offset);
        let mut walk = Self { first, n: 1, step: [1; K], rows: 1, row_step: [0; K], outer: SmallVec::new() };
        // The number of axes after merging, so far.
        let mut axes = 0;
        for (axis, &len) in shape.iter().enumerate().rev() {
            match len {
                0 => return Self { n: 0, ..walk },
                1 => continue,
                _ => {}
            }
            let steps = operands.map(|o| o.strides[axis]);
            let merges = |n: usize, inner: &[isize; K]| (0..K).all(|k| steps[k] == inner[k] * n as isize);
            match axes {
                0 => (axes, walk.n, walk.step) = (1, len, steps),
                1 if merges(walk.n, &walk.step) => walk.n *= len,
                1 => (axes, walk.rows, walk.row_step) = (2, len, steps),
                _ => match walk.outer.last_mut() {
                    None if merges(walk.rows, &walk.row_step) => walk.rows *= len,
                    Some((n, inner)) if merges(*n, inner) => *n *= len,
                    _ => walk.outer.push((len, steps)),
                },
            }
        }
        walk
    }

    /// The length of the outermost axis of runs, and the operands' steps along it.
    pub(crate) fn outermost(&self) -> (usize, [isize; K]) {
        self.outer.last().map_or((self.rows, self.row_step), |&axis| axis)
    }

    /// The walk over `len` indices of the outermost axis, starting at index `from`.
    pub(crate) fn part(&self, from: usize, len: usize) -> Self {
        let (_, steps) = self.outermost();
        let first = std::array::from_fn(|k| place(self.first[k], from, steps[k]));
        let mut part = Self { first, outer: self.outer.clone(), ..*self };
        *part.outer.last_mut().map_or(&mut part.rows, |(axis, _)| axis) = len;
        part
    }

    /// Calls `f` for each run, with the places of the operands' first elements.
    ///
    /// The function is inlined together with its one call of `f`, so that a kernel's loop is compiled for the
    /// dispatched target. Pass an `#[inline(always)]` closure for the same reason (see M14 in docs/MEASUREMENTS.md).
    #[inline(always)]
    pub(crate) fn for_each_run(&self, mut f: impl FnMut([usize; K])) {
        if self.n == 0 {
            return;
        }
        let mut first = self.first;
        let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, self.outer.len());
        loop {
            let mut run = first;
            for _ in 0..self.rows {
                f(run);
                run = std::array::from_fn(|k| place(run[k], 1, self.row_step[k]));
            }
            let mut axis = 0;
            loop {
                let Some((len, steps)) = self.outer.get(axis) else {
                    return;
                };
                index[axis] += 1;
                if index[axis] < *len {
                    first = std::array::from_fn(|k| place(first[k], 1, steps[k]));
                    break;
                }
                // Return to the start of this axis, then advance along the next one.
                first = std::array::from_fn(|k| place(first[k], *len - 1, -steps[k]));
                index[axis] = 0;
                axis += 1;
            }
        }
    }
}

/// Calls `f(n, [first; K], [step; K])` for each run of a [`Walk`].
#[inline(always)]
pub(crate) fn for_each_run<const K: usize>(
    shape: &[usize],
    operands: [Layout<'_>; K],
    mut f: impl FnMut(usize, [usize; K], [isize; K]),
) {
    let walk = Walk::new(shape, operands);
    walk.for_each_run(
        #[inline(always)]
        |first| f(walk.n, first, walk.step),
    );
}

/// The place `i` steps after `first`.
#[inline(always)]
pub(crate) fn place(first: usize, i: usize, step: isize) -> usize {
    first.wrapping_add_signed(i as isize * step)
}

/// Copies a strided operand into `out`, in row-major order.
pub(crate) fn gather<F: Copy>(shape: &[usize], data: &[F], layout: Layout<'_>, out: &mut [F]) {
    let mut done = 0;
    for_each_run(shape, [layout], |n, [first], [step]| {
        let out = &mut out[done..done + n];
        if step == 1 {
            out.copy_from_slice(&data[first..first + n]);
        } else {
            for (i, out) in out.iter_mut().enumerate() {
                *out = data[place(first, i, step)];
            }
        }
        done += n;
    });
}

/// Adds `x`, in row-major order, to a strided operand.
pub(crate) fn scatter_add<F: Copy + std::ops::AddAssign>(shape: &[usize], x: &[F], data: &mut [F], layout: Layout<'_>) {
    let mut done = 0;
    for_each_run(shape, [layout], |n, [first], [step]| {
        let x = &x[done..done + n];
        if step == 1 {
            for (d, &x) in data[first..first + n].iter_mut().zip(x) {
                *d += x;
            }
        } else {
            for (i, &x) in x.iter().enumerate() {
                data[place(first, i, step)] += x;
            }
        }
        done += n;
    });
}
