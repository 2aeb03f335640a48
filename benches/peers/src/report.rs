//! What both binaries share: interleaved timing and the Markdown table.

use std::time::Duration;

/// The column that the numbers in brackets compare with.
pub const HAND: &str = "hand-written";
/// A column that computes less than the others.
pub const PRIMAL: &str = "primal";

/// A library's name, and what it is to do: `run(reps)` does it so often and says how long it took.
pub type Timed = (&'static str, Box<dyn FnMut(u32) -> Duration>);

/// The median time of each library; `None` if its results are wrong.
pub type Times = Vec<(&'static str, Option<f64>)>;

/// Takes turns: the median nanoseconds of each, within about `budget` altogether. `sample` is what a
/// turn aims to last, and hence how many repetitions it makes.
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

/// The columns: times of all `libraries`, ratios of ours.
pub fn print_head(what: &str, libraries: &[&str]) {
    let ratio = |library: &&str| format!(" best other / {library} | {HAND} / {library} |");
    let ratios = ours(libraries).map(ratio).collect::<String>();
    println!("| {what} | {} |{ratios}", libraries.join(" | "));
    println!("|---|{}", "---:|".repeat(libraries.len() + 2 * ours(libraries).count()));
}

/// Times in `unit` nanoseconds, in brackets over the hand-written one; a dash where a library has none.
pub fn print_row(name: &str, libraries: &[&str], times: &Times, unit: f64) {
    let find = |library: &str| times.iter().find(|(name, _)| *name == library).map(|(_, time)| *time);
    let time = |library: &str| find(library).flatten();
    let ratio = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a / b);
    let hand = time(HAND);
    let others = libraries.iter().filter(|l| ![PRIMAL, HAND].contains(*l) && !is_ours(l));
    let best = others.filter_map(|library| time(library)).min_by(f64::total_cmp);

    print!("| {name} |");
    for &library in libraries {
        match (find(library), ratio(time(library), hand)) {
            (None, _) => print!(" – |"),
            (Some(None), _) => print!(" wrong |"),
            (Some(Some(time)), Some(ratio)) if library != HAND => print!(" {} ({ratio:.1}) |", digits(time / unit)),
            (Some(Some(time)), _) => print!(" {} |", digits(time / unit)),
        }
    }
    for library in ours(libraries) {
        for reference in [best, hand] {
            print!(" {} |", ratio(reference, time(library)).map_or("–".into(), |r| format!("{r:.2}")));
        }
    }
    println!();
}

fn ours<'a>(libraries: &'a [&'a str]) -> impl Iterator<Item = &'a &'a str> {
    libraries.iter().filter(|library| is_ours(library))
}

fn is_ours(library: &str) -> bool {
    library.starts_with("wengert")
}

/// Three significant digits below 100, whole numbers in groups of three above.
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
