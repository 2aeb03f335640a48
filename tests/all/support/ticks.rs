//! Panics of a user's code, call by call.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// The number of calls until one panics.
    static CALLS: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Stands in every callback.
pub(crate) fn tick() {
    match CALLS.get() {
        Some(0) => {
            CALLS.set(None);
            panic!("a user's panic");
        }
        Some(left) => CALLS.set(Some(left - 1)),
        None => {}
    }
}

/// Runs work whose call number `calls` of [`tick`] panics; `None` if it did.
pub(crate) fn with_panic<T>(calls: usize, work: impl FnOnce() -> T) -> Option<T> {
    CALLS.set(Some(calls));
    let mut result = None;
    let caught = catch_unwind(AssertUnwindSafe(|| result = Some(work())));
    let panicked = CALLS.take().is_none();
    assert_eq!(caught.is_err(), panicked, "a callback's panic was swallowed, or another one came");
    result
}

/// Runs work whose call number `calls` of [`tick`] panics, and which may catch the panic itself.
pub(crate) fn with_caught_panic(calls: usize, work: impl FnOnce()) {
    CALLS.set(Some(calls));
    let _ = catch_unwind(AssertUnwindSafe(work));
    CALLS.set(None);
}
