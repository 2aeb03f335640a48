//! Interleaved timing and the Markdown table, for both binaries.

use std::time::Duration;

use cpu_time::ProcessTime;

/// The column that the ratios compare with.
pub const HAND: &str = "hand-written";
/// A column that computes less than the others.
pub const PRIMAL: &str = "primal";

/// A library's name and its work: `run(reps)` repeats the work `reps` times and returns the time of all repetitions.
pub type Timed = (&'static str, Box<dyn FnMut(u32) -> Duration>);

/// The median time of each library; `None` if its results are wrong.
pub type Times = Vec<(&'static str, Option<f64>)>;

/// The processor time of some work. The time of other processes does not count, that of a second thread of this
/// process would.
pub fn time(work: impl FnOnce()) -> Duration {
    let start = ProcessTime::now();
    work();
    start.elapsed()
}

/// Runs the libraries in turns and returns the median nanoseconds of each, within about `budget` altogether. The number
/// of repetitions in a turn is such that the turn lasts about `sample`.
pub fn interleaved(timed: Vec<Timed>, budget: Duration, sample: Duration) -> Vec<(&'static str, f64)> {
    let mut round = Duration::ZERO;
    let mut entries: Vec<_> = timed
        .into_iter()
        .map(|(library, mut run)| {
            run(3);
            let once = (run(3) / 3).max(Duration::from_nanos(1));
            let reps = sample.div_duration_f64(once).ceil() as u32;
            round += once * (reps + 1);
            (library, run, reps, vec![])
        })
        .collect();
    for _ in 0..(budget.div_duration_f64(round) as usize).clamp(15, 2001) {
        for (_, run, reps, samples) in &mut entries {
            samples.push(run(*reps).as_secs_f64() * 1e9 / f64::from(*reps));
        }
    }
    entries.into_iter().map(|(library, _, _, samples)| (library, median(samples))).collect()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Times in Markdown, printed row by row, and their ratios.
pub struct Table<'a> {
    what: &'a str,
    libraries: &'a [&'static str],
    /// Nanoseconds.
    unit: f64,
    rows: Vec<(String, Times)>,
}

impl<'a> Table<'a> {
    /// Prints the head.
    pub fn new(what: &'a str, libraries: &'a [&'static str], unit: f64) -> Self {
        print_head(what, libraries.iter().map(ToString::to_string));
        Self { what, libraries, unit, rows: vec![] }
    }

    /// Prints a row of times; a dash where a library has none.
    pub fn push(&mut self, name: String, times: Times) {
        print_row(&name, self.libraries.iter().map(|library| cell(&times, library, |time| digits(time / self.unit))));
        self.rows.push((name, times));
    }

    /// Prints the ratios of all times to the hand-written code, and of the best other library to each of ours.
    pub fn print_ratios(&self) {
        let ours = || self.libraries.iter().filter(|library| is_ours(library));
        let rivals = || self.libraries.iter().filter(|library| ![PRIMAL, HAND].contains(*library) && !is_ours(library));
        let heads = self.libraries.iter().filter(|library| **library != HAND).map(ToString::to_string);
        println!("\nOver {HAND}; last, the best of the others over ours: more than 1 means that ours is faster.\n");
        print_head(self.what, heads.chain(ours().map(|library| format!("best other / {library}"))));
        for (name, times) in &self.rows {
            let time = |library: &&str| times.iter().find(|(name, _)| name == library).and_then(|(_, time)| *time);
            let best = rivals().filter_map(time).min_by(f64::total_cmp).unwrap_or(f64::NAN);
            let hand = time(&HAND).unwrap_or(f64::NAN);
            let all = self.libraries.iter().filter(|library| **library != HAND);
            let all = all.map(|library| cell(times, library, |time| ratio(time, hand)));
            let leads = ours().map(|library| cell(times, library, |time| ratio(best, time)));
            print_row(name, all.chain(leads));
        }
    }
}

fn print_head(what: &str, heads: impl Iterator<Item = String>) {
    let heads: Vec<_> = heads.collect();
    println!("| {what} | {} |\n|---|{}", heads.join(" | "), "---:|".repeat(heads.len()));
}

fn print_row(name: &str, cells: impl Iterator<Item = String>) {
    println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn cell(times: &Times, library: &str, show: impl FnOnce(f64) -> String) -> String {
    match times.iter().find(|(name, _)| *name == library) {
        None => "–".into(),
        Some((_, None)) => "wrong".into(),
        Some((_, Some(time))) => show(*time),
    }
}

/// The ratio of two times; a dash if one of the times is missing.
fn ratio(over: f64, under: f64) -> String {
    let ratio = over / under;
    if ratio.is_nan() { "–".into() } else { format!("{ratio:.2}") }
}

fn is_ours(library: &str) -> bool {
    library.starts_with("wengert")
}

/// A time with three significant digits below 100, whole numbers in groups of three above.
fn digits(time: f64) -> String {
    if time < 100.0 {
        let decimals = if time < 1.0 {
            3
        } else if time < 10.0 {
            2
        } else {
            1
        };
        return format!("{time:.decimals$}");
    }
    let digits = format!("{time:.0}");
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| str::from_utf8(g).unwrap()).collect();
    groups.join(",")
}
