//! The tape that a thread has in use: for handles without a lifetime, which name their tape by a generation.
//!
//! A *scope* is a call of [`with_scope`]: it takes an empty tape of the thread, and a *generation*, a number that no other
//! scope of the process has. Handles carry the generation of their scope, and each use compares it with that of the
//! innermost scope. So a handle of a scope that has ended, of another thread or of an outer scope is refused, whatever
//! slots are in use now.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::LocalKey;

use super::list::Tape;
use crate::number::{Dual, Scalar};
use crate::sealed::Seal;

/// The generation of constants, and of a thread without a scope.
pub(crate) const NO_SCOPE: u64 = 0;

/// A number that a [`StaticVar`](crate::StaticVar) can hold: `f32`, `f64`, and [`Dual`] numbers with one tangent over
/// them.
///
/// The trait is sealed: each of these numbers has variables of the thread.
#[diagnostic::on_unimplemented(
    message = "a `StaticVar` cannot hold `{Self}`",
    note = "it holds `f32`, `f64`, `Dual<f32>` and `Dual<f64>`"
)]
pub trait StaticScalar: Scalar {
    /// The thread's innermost scope.
    #[doc(hidden)]
    fn innermost(_: Seal) -> &'static LocalKey<Cell<Innermost<Self>>>;
    /// Empty tapes of the thread, which keep their memory for scopes to come.
    #[doc(hidden)]
    fn spare(_: Seal) -> &'static LocalKey<RefCell<Vec<Rc<Tape<Self>>>>>;
}

/// A scope: its generation, and its tape as a pointer that [`with_scope`] keeps valid.
///
/// A pointer, because a thread-local value with a destructor is reached by a call that is not inlined: see M33 in
/// docs/MEASUREMENTS.md.
#[derive(Clone, Copy)]
#[allow(unreachable_pub)] // named by a method of the public `StaticScalar`
pub struct Innermost<F: Scalar> {
    generation: u64,
    /// Null if there is no scope.
    tape: *const Tape<F>,
}

macro_rules! static_scalars {
    ($($F:ty),+) => { $(
        impl StaticScalar for $F {
            #[inline(always)]
            fn innermost(_: Seal) -> &'static LocalKey<Cell<Innermost<Self>>> {
                thread_local! {
                    static INNERMOST: Cell<Innermost<$F>> =
                        const { Cell::new(Innermost { generation: NO_SCOPE, tape: ptr::null() }) }
                }
                &INNERMOST
            }
            fn spare(_: Seal) -> &'static LocalKey<RefCell<Vec<Rc<Tape<Self>>>>> {
                thread_local! { static SPARE: RefCell<Vec<Rc<Tape<$F>>>> = const { RefCell::new(Vec::new()) } }
                &SPARE
            }
        }
    )+ };
}
static_scalars! { f32, f64, Dual<f32>, Dual<f64> }

/// The thread's innermost scope. It is asked for by each operation, and not kept.
#[inline(always)]
pub(crate) fn innermost<F: StaticScalar>() -> Innermost<F> {
    F::innermost(Seal).get()
}

impl<F: Scalar> Innermost<F> {
    /// The generation of the scope, or [`NO_SCOPE`].
    #[inline(always)]
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The tape of the scope, if there is one and this is its generation. [`NO_SCOPE`] has no tape.
    ///
    /// Not by a closure, which the compiler may call instead of inlining: see M33 in docs/MEASUREMENTS.md.
    #[inline(always)]
    pub(crate) fn tape_of(&self, generation: u64) -> Option<&Tape<F>> {
        if generation != self.generation {
            return None;
        }
        // SAFETY: a pointer that is not null was stored by a frame of `with_scope` that is still on the stack of this
        // thread, because the frame takes it back when it ends or unwinds, and frames end in the reverse order of their
        // begins. Until then the frame borrows the tape. The reference lives as long as `self`, a local variable of an
        // operation, which ends before the frame (a promise of the callers: see `tape/mod.rs`). `self` stays on its
        // thread, because it has a pointer.
        unsafe { self.tape.as_ref() }
    }
}

/// Calls `f` within a new scope, with its tape, which is empty, and its generation. When `f` ends, also by a panic, the
/// tape is cleared, and the outer scope is the innermost again.
pub(crate) fn with_scope<F: StaticScalar, T>(f: impl for<'t> FnOnce(&'t Rc<Tape<F>>, u64) -> T) -> T {
    static LAST: AtomicU64 = AtomicU64::new(NO_SCOPE);

    /// Clears the tape and gives it back to the thread.
    struct Borrowed<F: StaticScalar>(Option<Rc<Tape<F>>>);
    impl<F: StaticScalar> Drop for Borrowed<F> {
        fn drop(&mut self) {
            let Some(mut tape) = self.0.take() else { return };
            if let Some(unshared) = Rc::get_mut(&mut tape) {
                unshared.clear();
                // A thread that is ending has no list any more.
                let _ = F::spare(Seal).try_with(|spare| spare.borrow_mut().push(tape));
            }
        }
    }

    /// Makes the outer scope the innermost again.
    struct Outer<F: StaticScalar>(Innermost<F>);
    impl<F: StaticScalar> Drop for Outer<F> {
        fn drop(&mut self) {
            F::innermost(Seal).set(self.0);
        }
    }

    let spare = F::spare(Seal).try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
    let tape = Borrowed(Some(spare.unwrap_or_default()));
    let tape = tape.0.as_ref().expect("the tape is borrowed until the end");
    let generation = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    // Dropped before the tape: no handle is accepted when the tape is cleared.
    let _outer = Outer(F::innermost(Seal).replace(Innermost { generation, tape: Rc::as_ptr(tape) }));
    f(tape, generation)
}
