//! The place and message of an expected panic.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// A panic that was expected.
pub(crate) struct Panic {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) message: String,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panic at {}:{}: {}", self.file, self.line, self.message)
    }
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Runs work that must panic. The panic is not printed.
///
/// The panic hook belongs to the process and is set once. For threads outside of this function the hook calls the
/// hook before it, so tests may run at the same time.
#[track_caller]
pub(crate) fn panic_of<T>(work: impl FnOnce() -> T) -> Panic {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = take_hook();
        set_hook(Box::new(move |info| {
            if !CATCHING.get() {
                return default(info);
            }
            let place = info.location().expect("a panic has a location");
            let text = info.payload().downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| info.payload().downcast_ref::<&str>().copied());
            let message = text.unwrap_or_default().to_owned();
            CAUGHT.set(Some(Panic { file: place.file().to_owned(), line: place.line(), message }));
        }));
    });
    CATCHING.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| drop(work())));
    CATCHING.set(false);
    let caught = CAUGHT.take();
    assert!(result.is_err(), "it should have panicked");
    caught.expect("the hook saw the panic")
}

/// The message of the panic of [`panic_of`].
#[track_caller]
pub(crate) fn message_of<T>(work: impl FnOnce() -> T) -> String {
    panic_of(work).message
}
