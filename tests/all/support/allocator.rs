//! An allocator that counts what a thread asks of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator; counts what the thread asks of it.
struct Counting;

/// Counts an allocation that adds so many bytes. (A thread that is ending counts nothing.)
fn count(bytes: isize) {
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    hold(bytes);
}

fn hold(bytes: isize) {
    let _ = BYTES.try_with(|n| n.set(n.get() + bytes));
    let _ = PEAK.try_with(|peak| peak.set(peak.get().max(BYTES.get())));
}

// SAFETY: every call is passed to the system's allocator as it is; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(place, layout, size) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The number of allocations so far.
pub(crate) fn allocations() -> usize {
    ALLOCATIONS.get()
}

/// The largest number of bytes held at once during the work, less what was held before.
pub(crate) fn peak_of(work: impl FnOnce()) -> usize {
    let before = BYTES.get();
    PEAK.set(before);
    work();
    (PEAK.get() - before) as usize
}
