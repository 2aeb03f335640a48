//! The memory of a tape's values and pullbacks, and of the temporaries of a sweep: [`Arena`].

use std::any::Any;
use std::fmt;

use bumpalo::{AllocErr, Bump};

/// bumpalo's arena, which never moves its contents.
///
/// Where there is no memory, each method panics at the caller's line with the size that was asked for, before anything
/// has changed.
#[derive(Default)]
pub(crate) struct Arena {
    bump: Bump,
    /// The size after the last clear, in one chunk.
    chunk: usize,
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn alloc<T>(&self, value: T) -> &mut T {
        request();
        match self.bump.try_alloc(value) {
            Ok(place) => place,
            Err(_) => refuse("a value", 1, size_of::<T>()),
        }
    }

    /// The numbers of an array of this shape, all `fill`, for an operation, which the message names if there is no
    /// memory for them.
    #[inline]
    #[track_caller]
    pub(crate) fn values<T: Copy + 'static>(&self, operation: &str, shape: &[usize], fill: T) -> &mut [T] {
        self.filled(operation, shape, count(operation, shape), fill)
    }

    /// Same as [`values`](Self::values), but of a shape with this [`count`].
    #[inline]
    #[track_caller]
    pub(crate) fn filled<T: Copy + 'static>(&self, operation: &str, shape: &[usize], len: usize, fill: T) -> &mut [T] {
        request();
        match fill_copy(&self.bump, len, fill) {
            Ok(values) => values,
            Err(_) => refuse(format_args!("{operation}: an array of shape {shape:?}"), len, size_of::<T>()),
        }
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn alloc_slice_fill_copy<T: Copy + 'static>(&self, len: usize, value: T) -> &mut [T] {
        request();
        match fill_copy(&self.bump, len, value) {
            Ok(slice) => slice,
            Err(_) => refuse("an array", len, size_of::<T>()),
        }
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn alloc_slice_copy<T: Copy>(&self, from: &[T]) -> &mut [T] {
        request();
        match self.bump.try_alloc_slice_copy(from) {
            Ok(slice) => slice,
            Err(_) => refuse("an array", from.len(), size_of::<T>()),
        }
    }

    /// A slice of `element(0)`, `element(1)`, .. The function may use the arena, and may panic.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn alloc_slice_fill_with<T>(&self, len: usize, element: impl FnMut(usize) -> T) -> &mut [T] {
        request();
        match self.bump.try_alloc_slice_fill_with(len, element) {
            Ok(slice) => slice,
            Err(_) => refuse("an array", len, size_of::<T>()),
        }
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn alloc_slice_fill_iter<T>(
        &self,
        elements: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> &mut [T] {
        let mut elements = elements.into_iter();
        self.alloc_slice_fill_with(elements.len(), |_| elements.next().expect("as many elements as announced"))
    }

    /// Forgets the contents and keeps the memory, as one chunk.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.bump.allocated_bytes() == self.chunk {
            self.bump.reset();
        } else {
            self.gather();
        }
    }

    #[cold]
    fn gather(&mut self) {
        if self.bump.iter_allocated_chunks().nth(1).is_none() {
            self.bump.reset();
        } else {
            // One chunk for the contents of several. `reset` would keep the last chunk, and the next one would be
            // twice its size: see M12 in docs/MEASUREMENTS.md.
            let used = self.used_bytes();
            self.bump = Bump::new(); // frees the old chunks before the new one is allocated
            self.bump = Bump::try_with_capacity(used + used / 16).unwrap_or_default();
        }
        self.chunk = self.bump.allocated_bytes();
    }

    /// The number of bytes in use. Free room at the end of the last chunk is not in use.
    pub(crate) fn used_bytes(&self) -> usize {
        self.bump.allocated_bytes() - self.bump.chunk_capacity()
    }
}

/// `len` times `value`. The loops of `f32` and `f64` are compiled in this crate: see `number::precompiled`.
#[inline]
fn fill_copy<T: Copy + 'static>(bump: &Bump, len: usize, value: T) -> Result<&mut [T], AllocErr> {
    type Fill<T> = fn(&Bump, usize, T) -> Result<&mut [T], AllocErr>;
    // For zeros the compiler makes a call of memset, which has wider stores than a loop for any processor.
    static F32: Fill<f32> = |bump, len, x| match x.to_bits() {
        0 => bump.try_alloc_slice_fill_with(len, |_| 0.0),
        _ => bump.try_alloc_slice_fill_copy(len, x),
    };
    static F64: Fill<f64> = |bump, len, x| match x.to_bits() {
        0 => bump.try_alloc_slice_fill_with(len, |_| 0.0),
        _ => bump.try_alloc_slice_fill_copy(len, x),
    };
    let compiled = [&F32 as &dyn Any, &F64].into_iter().find_map(<dyn Any>::downcast_ref::<Fill<T>>);
    match compiled {
        Some(fill) => fill(bump, len, value),
        None => bump.try_alloc_slice_fill_copy(len, value),
    }
}

/// The number of elements of a shape. Panics at the caller's line if there is no array of this shape.
#[inline]
#[track_caller]
pub(crate) fn count(operation: &str, shape: &[usize]) -> usize {
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn too_large(operation: &str, shape: &[usize]) -> ! {
        panic!(
            "{operation}: an array of shape {shape:?} is too large for memory: the lengths of its axes, but for zeros, \
             have a product above {}; work on parts of it, such as batches or slices",
            isize::MAX
        )
    }
    // The limit of ndarray: the strides must not overflow, even if another axis has length 0.
    let (mut count, mut span) = (1_usize, 1_usize);
    for &len in shape {
        (count, span) = (count.wrapping_mul(len), span.saturating_mul(len.max(1)));
    }
    if span > isize::MAX as usize {
        too_large(operation, shape);
    }
    count
}

/// An empty vector with room for the elements of an array of this shape. Panics at the caller's line if there is no
/// memory for them.
#[track_caller]
pub(crate) fn room<T>(operation: &str, shape: &[usize]) -> Vec<T> {
    let (mut room, len) = (Vec::new(), count(operation, shape));
    if room.try_reserve_exact(len).is_err() {
        refuse(format_args!("{operation}: an array of shape {shape:?}"), len, size_of::<T>());
    }
    room
}

/// Panics because there is no memory.
#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn refuse(what: impl fmt::Display, len: usize, size: usize) -> ! {
    let bytes = len as f64 * size as f64;
    panic!(
        "{what} does not fit in memory: {len} x {size} bytes ({:.3} GB); \
         work on parts of it, such as batches or slices, or `clear` the tape before",
        bytes / 1e9
    )
}

/// Called before each request for memory of a tape, or for slots. Tests can refuse the request here.
#[inline(always)]
pub(crate) fn request() {
    #[cfg(test)]
    faults::request();
}

/// Refused requests for memory and slots, and a smaller supply of slots, for tests of what a panic leaves behind.
#[cfg(test)]
pub(crate) mod faults {
    use std::cell::Cell;

    thread_local! {
        static GRANTED: Cell<Option<usize>> = const { Cell::new(None) };
        static SLOTS: Cell<usize> = const { Cell::new(1 << 31) };
    }

    /// Runs `work`, in which this thread's request number `granted`, counted from 0, panics. Returns the result, and
    /// true if there was such a request.
    pub(crate) fn refusing<T>(granted: usize, work: impl FnOnce() -> T) -> (T, bool) {
        GRANTED.set(Some(granted));
        let result = work();
        (result, GRANTED.take().is_none())
    }

    pub(super) fn request() {
        match GRANTED.get() {
            Some(0) => {
                GRANTED.set(None);
                panic!("refused");
            }
            Some(left) => GRANTED.set(Some(left - 1)),
            None => {}
        }
    }

    /// The number of slots of the tapes of this thread.
    pub(crate) fn slots() -> usize {
        SLOTS.get()
    }

    /// Runs `work` with tapes of few slots.
    pub(crate) fn with_slots<T>(slots: usize, work: impl FnOnce() -> T) -> T {
        let before = SLOTS.replace(slots);
        let result = work();
        SLOTS.set(before);
        result
    }
}
