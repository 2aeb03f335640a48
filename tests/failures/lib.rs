//! Each allocation of a piece of work fails once: the first in one round, the second in the next, until a round has so few
//! that none fails.
//!
//! Where memory runs out, std ends the process, so on its own no program sees what is left behind. Here the hook of std,
//! which is not stable, panics instead, so that the tests see everything: after a failure the state is that before the work,
//! and the work done again gives the same bits. `ci/alloc-failure` runs it.

#![feature(alloc_error_hook)]
#![cfg(test)]

mod allocator;
mod files;
mod gradients;
mod models;
mod programs;

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Does the work once without a failure and twice in a row for each allocation that fails, each time from a `fresh` start.
///
/// `state` is what the work changes, as far as another call can see it. A failure is a panic that speaks of memory, or an
/// error; a failure that the work can do without changes nothing in its result.
#[track_caller]
fn every_failure<S, T: PartialEq + Debug, V: PartialEq + Debug>(
    fresh: impl Fn() -> S,
    state: impl Fn(&S) -> V,
    mut work: impl FnMut(&mut S) -> Result<T, String>,
) {
    silence();
    let mut start = fresh();
    let before = state(&start);
    let first = work(&mut start).expect("work without a failure");
    let after = state(&start);
    let second = (work(&mut start).expect("work without a failure"), state(&start));
    let (mut failures, mut harmless, mut errors) = (0, 0, 0);
    for number in 1.. {
        let mut s = fresh();
        allocator::fail(number);
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut s)));
        if !allocator::failed() {
            let last = outcome.unwrap_or_else(|panic| panic!("without a failure: {}", text(&*panic)));
            assert_eq!((last.as_ref(), &state(&s)), (Ok(&first), &after));
            break;
        }
        failures += 1;
        match outcome {
            Ok(Ok(result)) => {
                harmless += 1;
                assert_eq!((&result, &state(&s)), (&first, &after), "allocation {number}");
            }
            outcome => {
                let message = match outcome {
                    Err(panic) => text(&*panic),
                    Ok(error) => {
                        errors += 1;
                        error.expect_err("the other arm")
                    }
                };
                assert!(message.contains("memory"), "allocation {number}: {message}");
                assert_eq!(state(&s), before, "allocation {number} changed the state: {message}");
                let again = work(&mut s).unwrap_or_else(|error| panic!("allocation {number}: {message}, then {error}"));
                assert_eq!((&again, &state(&s)), (&first, &after), "allocation {number}: {message}");
            }
        }
        let next = work(&mut s).unwrap_or_else(|error| panic!("allocation {number}, a second time: {error}"));
        assert_eq!((next, state(&s)), second, "allocation {number}, a second time");
    }
    println!("{failures} failures: {errors} errors, {harmless} without effect, the rest panics");
}

/// The message of a panic.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.expect("a panic with a message").to_owned()
}

/// Makes std's error of memory a panic, and keeps these panics from being printed.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::alloc::set_alloc_error_hook(|layout| panic!("memory allocation of {} bytes failed", layout.size()));
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str().unwrap_or_default();
            if !text.contains("memory") || text.contains("allocation ") && !text.starts_with("memory allocation") {
                default(info);
            }
        }));
    });
}

/// The bits of some numbers: equal only to the same, NaN and signs of zero included.
fn bits<'a>(numbers: impl IntoIterator<Item = &'a f64>) -> Vec<u64> {
    numbers.into_iter().map(|x| x.to_bits()).collect()
}
