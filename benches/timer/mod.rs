//! The time of a call, and the rows that the command line asks for.

#![allow(dead_code)] // each bench takes what it needs

use std::time::{Duration, Instant};

/// Time spent on each row.
const BUDGET: Duration = Duration::from_millis(500);
const SAMPLES: usize = 15;

/// True if the command line has no name, or one that the row's name contains: `cargo bench --bench training -- T4`.
pub(crate) fn is_wanted(row: &str) -> bool {
    let mut names = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|name| row.contains(&name))
}

/// The median nanoseconds of a call, after one that allocates.
pub(crate) fn median(work: impl FnMut()) -> f64 {
    samples(work)[SAMPLES / 2]
}

/// Prints a row, if it is wanted: its name, the median nanoseconds of a call and the quartiles around it.
pub(crate) fn report(row: &str, work: impl FnMut()) {
    if is_wanted(row) {
        let samples = samples(work);
        let [low, median, high] = [SAMPLES / 4, SAMPLES / 2, SAMPLES - 1 - SAMPLES / 4].map(|i| samples[i]);
        println!("{row:26} {median:13.1} ns   {low:.1} to {high:.1}");
    }
}

/// Nanoseconds of a call in ascending order, each the mean of many calls.
fn samples(mut work: impl FnMut()) -> Vec<f64> {
    work();
    let start = Instant::now();
    work();
    let once = start.elapsed().max(Duration::from_nanos(1));
    let reps = (BUDGET / SAMPLES as u32).div_duration_f64(once).ceil();
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..reps as u64 {
                work();
            }
            start.elapsed().as_secs_f64() * 1e9 / reps
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples
}

/// The median times in nanoseconds of some closures, called in turn.
pub(crate) fn race(functions: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    const ROUNDS: usize = 15;
    rounds(functions, ROUNDS, Duration::from_millis(3)).iter().map(|times| times[ROUNDS / 2]).collect()
}

/// The least times in nanoseconds of some closures in many short turns: what a busy machine disturbs least.
pub(crate) fn race_for_the_least(functions: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    rounds(functions, 100, Duration::from_micros(300)).iter().map(|times| times[0]).collect()
}

/// The nanoseconds of a call in each round, in ascending order, for each of some closures that take turns.
fn rounds(functions: &mut [&mut dyn FnMut()], rounds: usize, round: Duration) -> Vec<Vec<f64>> {
    let count = |f: &mut dyn FnMut()| {
        f();
        let (start, mut n) = (Instant::now(), 0);
        while start.elapsed() < round {
            f();
            n += 1;
        }
        n
    };
    let counts: Vec<u32> = functions.iter_mut().map(|f| count(*f)).collect();
    let mut times = vec![Vec::new(); functions.len()];
    for _ in 0..rounds {
        for ((f, &n), times) in functions.iter_mut().zip(&counts).zip(&mut times) {
            let start = Instant::now();
            (0..n).for_each(|_| f());
            times.push(start.elapsed().as_nanos() as f64 / f64::from(n));
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    times
}

/// Keeps a result from being optimised away.
pub(crate) fn keep<T>(result: T) {
    std::hint::black_box(result);
}
