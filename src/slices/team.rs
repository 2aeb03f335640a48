//! A second thread for half of a piece of work, which starts within a microsecond where the work before ended a moment ago.
//!
//! rayon's `join` hands both halves over and lets the caller sleep, unless it is a thread of the pool, and rayon's threads soon
//! sleep too: between the products of a net this costs about what the second thread brings (see M22 in docs/MEASUREMENTS.md).
//! Here the caller works on, and helpers spin for a moment before they sleep.

use std::any::Any;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The time for which a helper without work spins: more than a training step spends between two large products.
const SPIN: Duration = Duration::from_micros(100);

/// The multiplications from which on a second thread pays (see M22 in docs/MEASUREMENTS.md).
pub(crate) const WORK: usize = 1 << 21;

/// The number of threads for so many multiplications. The pool is not asked where that would take longer than the work.
pub(crate) fn threads_for(work: usize) -> usize {
    if work >= WORK { threads() } else { 1 }
}

/// The number of threads that [`join`] can use, with that of the caller.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Runs both closures, the second one on another thread if one is free and starts in time. On a thread of a rayon pool this is
/// rayon's `join`.
///
/// # Panics
///
/// If a closure panics, with its message, when neither runs any more.
pub(crate) fn join(first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
    static TEAM: OnceLock<Box<[Helper]>> = OnceLock::new();
    if rayon::current_thread_index().is_some() {
        rayon::join(first, second);
        return;
    }
    let team = TEAM.get_or_init(|| (1..threads()).map(|_| Helper::new()).collect());
    if let Some(helper) = team.iter().find(|helper| helper.claim()) {
        helper.join(first, second);
    } else {
        first();
        second();
    }
}

/// The results of `work` for each item and its index, on the threads of [`join`].
///
/// # Panics
///
/// Same as for [`join`].
pub(crate) fn map<'a, T: Send, R: Send>(items: &'a mut [T], work: &(impl Fn(usize, &'a mut T) -> R + Sync)) -> Vec<R> {
    fn fill<'a, T: Send, R: Send>(
        first: usize,
        items: &'a mut [T],
        results: &mut [Option<R>],
        work: &(impl Fn(usize, &'a mut T) -> R + Sync),
    ) {
        match (items, results) {
            ([item], [result]) => *result = Some(work(first, item)),
            (items, results) if !items.is_empty() => {
                let half = items.len().div_ceil(2);
                let ((one, other), (of_one, of_other)) = (items.split_at_mut(half), results.split_at_mut(half));
                join(|| fill(first, one, of_one, work), || fill(first + half, other, of_other, work));
            }
            _ => {}
        }
    }

    let mut results: Vec<_> = items.iter().map(|_| None).collect();
    fill(0, items, &mut results, work);
    results.into_iter().flatten().collect()
}

/// Work that has been lent to a helper: see [`Helper::lend`].
type Work = &'static (dyn Fn() + Sync);

/// A thread that takes work from one other thread at a time.
struct Helper {
    /// One of the five states below.
    state: AtomicU8,
    work: Mutex<Option<Work>>,
    /// True while the thread sleeps, or is about to.
    asleep: AtomicBool,
    /// The thread, which starts when the first work comes; `None` if it could not. Such a helper stays claimed.
    thread: OnceLock<Option<Thread>>,
}

/// Nobody has claimed the helper.
const FREE: u8 = 0;
/// A thread has claimed the helper, and there is no work.
const CLAIMED: u8 = 1;
/// There is work, which the helper may take and the other thread may take back.
const OFFERED: u8 = 2;
/// The helper has taken the work.
const TAKEN: u8 = 3;
/// The helper has done the work and does not use it any more.
const DONE: u8 = 4;

impl Helper {
    fn new() -> Self {
        Self {
            state: AtomicU8::new(FREE),
            work: Mutex::new(None),
            asleep: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }

    /// Claims the helper for the caller, if it is free.
    fn claim(&self) -> bool {
        self.state.load(Relaxed) == FREE && self.passes(FREE, CLAIMED)
    }

    /// Changes the state from `old` to `new`; false if it is not `old`.
    fn passes(&self, old: u8, new: u8) -> bool {
        self.state.compare_exchange(old, new, Acquire, Relaxed).is_ok()
    }

    /// [`join`](join) with this helper, which the caller has claimed.
    fn join(&'static self, first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
        let second = Mutex::new(Some(second));
        let failure = Mutex::new(None);
        let work = || {
            let second = lock(&second).take();
            let outcome = catch_unwind(AssertUnwindSafe(|| second.map(|second| second())));
            *lock(&failure) = outcome.err();
        };
        self.lend(&work, first);
        if let Some(second) = lock(&second).take() {
            second();
        }
        let failure: Option<Box<dyn Any + Send>> = lock(&failure).take();
        if let Some(payload) = failure {
            resume_unwind(payload);
        }
    }

    /// Offers `work`, which does not panic, to the helper while `meanwhile` runs; frees the helper. When this returns or
    /// unwinds, the helper has called `work` once, or never.
    fn lend(&'static self, work: &(dyn Fn() + Sync), meanwhile: impl FnOnce()) {
        /// Takes work that was offered back, or waits until it is done.
        struct Loan(&'static Helper);
        impl Drop for Loan {
            fn drop(&mut self) {
                let Self(helper) = self;
                if !helper.passes(OFFERED, CLAIMED) {
                    helper.wait();
                }
                *lock(&helper.work) = None;
                helper.state.store(FREE, Release);
            }
        }

        let start = || thread::Builder::new().name("wengert".into()).spawn(|| self.serve());
        let Some(thread) = self.thread.get_or_init(|| Some(start().ok()?.thread().clone())) else {
            return meanwhile();
        };
        // SAFETY: this only hides the lifetime of the reference. The helper calls `work` between the states TAKEN and DONE. It
        // comes to TAKEN only from OFFERED, and from the moment of that state on, `Loan` lives until this function ends. Its
        // destructor either leaves OFFERED before the helper does, or waits for DONE. Then it drops the reference.
        let work = unsafe { std::mem::transmute::<&(dyn Fn() + Sync), Work>(work) };
        *lock(&self.work) = Some(work);
        let _loan = Loan(self);
        self.state.store(OFFERED, SeqCst);
        // One of two threads sees what the other one wrote: see `sleep`.
        if self.asleep.load(SeqCst) {
            thread.unpark();
        }
        meanwhile();
    }

    /// Waits until the helper has done its work.
    fn wait(&self) {
        let mut spins = 0_u32;
        while self.state.load(Acquire) != DONE {
            spins += 1;
            if spins < 1 << 12 {
                spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }

    /// Does what is offered, for ever.
    fn serve(&self) {
        loop {
            self.take();
            let work = *lock(&self.work);
            if let Some(work) = work {
                work();
            }
            self.state.store(DONE, Release);
        }
    }

    /// Waits for work and takes it.
    fn take(&self) {
        let mut since = Instant::now();
        loop {
            for _ in 0..64 {
                if self.state.load(Relaxed) == OFFERED && self.passes(OFFERED, TAKEN) {
                    return;
                }
                spin_loop();
            }
            if since.elapsed() > SPIN {
                self.sleep();
                since = Instant::now();
            }
        }
    }

    /// Sleeps until there is work, or shorter.
    fn sleep(&self) {
        self.asleep.store(true, SeqCst);
        if self.state.load(SeqCst) != OFFERED {
            thread::park();
        }
        self.asleep.store(false, SeqCst);
    }
}

/// The content of a mutex, which no panic leaves half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicUsize;
    use std::thread::ThreadId;

    use super::*;

    /// A team of one helper for a test alone.
    fn helper() -> &'static Helper {
        let helper: &'static Helper = Box::leak(Box::new(Helper::new()));
        assert!(helper.claim() && !helper.claim());
        helper
    }

    /// Waits until the work has been taken.
    fn until_taken(helper: &Helper) {
        while helper.state.load(Acquire) == OFFERED {
            thread::yield_now();
        }
    }

    #[test]
    fn the_second_closure_runs_on_the_helper() {
        let (helper, mut second) = (helper(), None::<ThreadId>);
        let mut first = None;
        helper.join(
            || {
                until_taken(helper);
                first = Some(thread::current().id());
            },
            || second = Some(thread::current().id()),
        );
        assert_eq!(first, Some(thread::current().id()));
        assert!(second.is_some() && second != first);
        assert!(helper.claim(), "free again");
    }

    #[test]
    fn many_joins_lose_nothing_and_repeat_nothing() {
        let helper = helper();
        let (mut sums, n) = ([0_usize; 2], 20_000);
        for i in 0..n {
            assert!(i == 0 || helper.claim());
            let [one, other] = &mut sums;
            helper.join(|| *one += i, || *other += i);
            if i % 4_000 == 0 {
                thread::sleep(3 * SPIN); // the helper sleeps
            }
        }
        assert_eq!(sums, [n * (n - 1) / 2; 2]);
    }

    #[test]
    fn panics_arrive_when_both_have_ended() {
        let message = |payload: Box<dyn Any + Send>| *payload.downcast::<&str>().expect("a message");
        let helper = helper();
        let failed = catch_unwind(|| helper.join(|| until_taken(helper), || panic!("second")));
        assert_eq!(message(failed.unwrap_err()), "second");

        assert!(helper.claim());
        let failed = catch_unwind(|| helper.join(|| panic!("first"), || ()));
        assert_eq!(message(failed.unwrap_err()), "first");

        // The numbers that the second closure borrows are still there when it runs.
        assert!(helper.claim());
        let ran = AtomicUsize::new(0);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let numbers = vec![1; 1_000];
            helper.join(
                || {
                    until_taken(helper);
                    panic!("first")
                },
                || {
                    thread::sleep(Duration::from_millis(5));
                    ran.store(numbers.iter().sum(), SeqCst);
                },
            );
        }));
        assert_eq!((message(failed.unwrap_err()), ran.load(SeqCst)), ("first", 1_000));
        assert!(helper.claim(), "free again");
    }

    #[test]
    fn each_item_is_worked_on_once() {
        for n in [0, 1, 2, 3, 7, 100] {
            let mut items = vec![0; n];
            let results = map(&mut items, &|i, item| {
                *item += i + 1;
                i * i
            });
            assert!(items.into_iter().eq(1..=n) && results.into_iter().eq((0..n).map(|i| i * i)));
        }
    }

    #[test]
    fn joins_nest_and_several_threads_join() {
        fn sum(numbers: &[usize]) -> usize {
            if numbers.len() < 100 {
                return numbers.iter().sum();
            }
            let (mut a, mut b) = (0, 0);
            let (one, other) = numbers.split_at(numbers.len() / 2);
            join(|| a = sum(one), || b = sum(other));
            a + b
        }
        let numbers: Vec<usize> = (0..10_000).collect();
        thread::scope(|scope| {
            let all = || (0..20).for_each(|_| assert_eq!(sum(&numbers), 10_000 * 9_999 / 2));
            let threads = [(); 4].map(|()| scope.spawn(all));
            // ThreadSanitizer sees these joins, and not the one at the end of a scope.
            for thread in threads {
                thread.join().expect("no panic");
            }
        });
    }
}
