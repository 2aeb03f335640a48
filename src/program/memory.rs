//! Memory that begins at a cache line, so that no vector of a row lies across two of them.

use std::ops::{Deref, DerefMut};

use num_traits::Zero;

/// The bytes of a cache line, and of the longest vector.
const LINE: usize = 64;

/// A slice of numbers that begins at a cache line.
#[derive(Debug, Default)]
pub(super) struct Memory<F> {
    numbers: Vec<F>,
    start: usize,
    len: usize,
}

impl<F: Copy + Zero> Memory<F> {
    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        let spare = LINE / size_of::<F>();
        let numbers = vec![F::zero(); len + spare];
        // The offset is unknown only to constant evaluation; then the line is missed, which costs time alone.
        let start = numbers.as_ptr().align_offset(LINE).min(spare);
        Self { numbers, start, len }
    }

    /// Makes the slice at least `len` long; its numbers are lost.
    pub(super) fn reserve(&mut self, len: usize) {
        if len > self.len {
            *self = Self::zeros(len);
        }
    }
}

impl<F: Clone> Clone for Memory<F> {
    fn clone(&self) -> Self {
        let mut numbers = self.numbers.clone();
        let start = numbers.as_ptr().align_offset(LINE).min(numbers.len() - self.len);
        numbers.rotate_left(self.start);
        numbers.rotate_right(start);
        Self { numbers, start, len: self.len }
    }
}

impl<F> Deref for Memory<F> {
    type Target = [F];
    #[inline(always)]
    fn deref(&self) -> &[F] {
        &self.numbers[self.start..self.start + self.len]
    }
}

impl<F> DerefMut for Memory<F> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [F] {
        &mut self.numbers[self.start..self.start + self.len]
    }
}
