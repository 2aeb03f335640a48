//! A global allocator that counts the requests of each thread, so that tests may run at the same time.

#![allow(dead_code)] // no binary asks for everything

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator with counters.
struct Counting;

/// Counts an allocation that adds this many bytes. A thread that is ending counts nothing.
fn count(bytes: isize) {
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    hold(bytes);
}

fn hold(bytes: isize) {
    let _ = HELD.try_with(|n| n.set(n.get() + bytes));
    let _ = PEAK.try_with(|peak| peak.set(peak.get().max(HELD.get())));
}

// SAFETY: every call is passed unchanged to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are those that `System` asks for.
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

/// The number of allocations of this thread so far.
pub(crate) fn allocations() -> usize {
    ALLOCATIONS.get()
}

/// The number of bytes that this thread allocated and did not free; negative if it freed what others allocated.
pub(crate) fn held() -> isize {
    HELD.get()
}

/// The largest number of bytes held at once during the work, less the bytes held before it.
pub(crate) fn peak_of(work: impl FnOnce()) -> usize {
    let before = held();
    PEAK.set(before);
    work();
    (PEAK.get() - before) as usize
}
