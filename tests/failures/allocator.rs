//! The system's allocator, which refuses one request of a thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

thread_local! {
    /// The number of requests up to the one that is refused; 0 for none.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Refuses the request of this number, counted from 1, of this thread.
pub(crate) fn fail(number: usize) {
    LEFT.set(number);
}

/// True if the request was refused since the last [`fail`]. None is refused from here on.
pub(crate) fn failed() -> bool {
    LEFT.replace(0) == 0
}

struct Failing;

impl Failing {
    fn refuses() -> bool {
        let refuses = |left: &Cell<usize>| {
            let n = left.get();
            left.set(n.saturating_sub(1));
            n == 1
        };
        LEFT.try_with(refuses).unwrap_or(false)
    }
}

// SAFETY: every call is passed unchanged to the system's allocator, or refused; counting does not allocate.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::refuses() {
            return null_mut();
        }
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Self::refuses() {
            return null_mut();
        }
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Self::refuses() {
            return null_mut();
        }
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(place, layout, size) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static FAILING: Failing = Failing;
