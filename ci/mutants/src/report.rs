//! The table by file, and the mutants that no test sees.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::switch::{Mutant, Switches};

/// The outcome of a mutant.
pub(crate) struct Result {
    word: String,
    seconds: f64,
    /// The first run of the tool whose tests it has not met.
    until: u32,
}

impl Result {
    /// The first run whose tests may still see the mutant; `None` if a test has.
    pub(crate) fn is_open_from(&self) -> Option<u32> {
        (self.word == "missed" || self.word == "unreached").then_some(self.until)
    }
}

/// The outcomes in a file of results, of which the last of a mutant counts.
pub(crate) fn results(file: &Path) -> HashMap<Mutant, Result> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>()).filter(|parts| parts.len() == 6);
    lines
        .map(|parts| {
            let mutant =
                Mutant { site: parts[0].parse().expect("a site"), variant: parts[1].parse().expect("a variant") };
            let (seconds, until) = (parts[4].parse().expect("seconds"), parts[5].parse().expect("a run"));
            (mutant, Result { word: parts[2].to_owned(), seconds, until })
        })
        .collect()
}

/// The name of a mutant in lists.
pub(crate) fn name(switches: &Switches, mutant: Mutant) -> String {
    let place = &switches.places[mutant.site];
    format!("{} | {} | {}", place.file, place.site.function, place.site.variants[mutant.variant - 1].1)
}

/// A line for every mutant: its numbers, what the compiler says, its line and name.
pub(crate) fn list(switches: &Switches) -> String {
    let line = |mutant: Mutant| {
        let word = if switches.dropped.contains(&mutant) { "rejected" } else { "kept" };
        let line = switches.places[mutant.site].line;
        format!("{}\t{}\t{word}\t{line}\t{}\n", mutant.site, mutant.variant, name(switches, mutant))
    };
    switches.mutants().map(line).collect()
}

#[derive(Default, Clone, Copy)]
struct Counts {
    rejected: usize,
    caught: usize,
    timeout: usize,
    missed: usize,
    reasoned: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.rejected += other.rejected;
        self.caught += other.caught;
        self.timeout += other.timeout;
        self.missed += other.missed;
        self.reasoned += other.reasoned;
    }

    fn row(&self, name: &str) -> String {
        let tried = self.caught + self.timeout + self.missed + self.reasoned;
        let percent = 100.0 * (self.caught + self.timeout) as f64 / tried.max(1) as f64;
        let with_reason = 100.0 * (tried - self.missed) as f64 / tried.max(1) as f64;
        format!(
            "{name:<34}{:>9}{tried:>7}{:>8}{:>9}{:>8}{:>10}{percent:>8.1}{with_reason:>8.1}\n",
            self.rejected, self.caught, self.timeout, self.missed, self.reasoned
        )
    }
}

/// The table and the list of what was missed without a reason. `reasons` is the text of `equivalent.txt`.
pub(crate) fn table(switches: &Switches, tried: &[Mutant], results: &HashMap<Mutant, Result>, reasons: &str) -> String {
    let known: Vec<&str> =
        reasons.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut used = vec![false; known.len()];
    let mut files: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut list = String::new();
    for mutant in &switches.dropped {
        files.entry(&switches.places[mutant.site].file).or_default().rejected += 1;
    }
    let mut tried = tried.to_vec();
    tried.sort();
    let mut seconds = 0.0;
    for mutant in tried {
        let Some(Result { word, seconds: time, .. }) = results.get(&mutant) else { continue };
        seconds += time;
        let place = &switches.places[mutant.site];
        let counts = files.entry(&place.file).or_default();
        match word.as_str() {
            "caught" => counts.caught += 1,
            "timeout" => counts.timeout += 1,
            _ => {
                let name = name(switches, mutant);
                if let Some(i) = known.iter().position(|line| *line == name) {
                    used[i] = true;
                    counts.reasoned += 1;
                } else {
                    counts.missed += 1;
                    let _ = writeln!(list, "{word} {}.{} line {}: {name}", mutant.site, mutant.variant, place.line);
                }
            }
        }
    }
    let mut text = format!("\nmissed without a reason:\n{list}\n");
    for (line, used) in known.iter().zip(used) {
        if !used {
            let _ = writeln!(text, "a reason without a missed mutant: {line}");
        }
    }
    let _ = writeln!(
        text,
        "\n{:<34}{:>9}{:>7}{:>8}{:>9}{:>8}{:>10}{:>8}{:>8}",
        "file", "rejected", "tried", "caught", "timeouts", "missed", "reasoned", "%", "% or r."
    );
    let mut rooms: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut sum = Counts::default();
    for (file, counts) in &files {
        text += &counts.row(file);
        rooms.entry(file.rsplit_once('/').map_or("", |(room, _)| room)).or_default().add(*counts);
        sum.add(*counts);
    }
    text.push('\n');
    for (room, counts) in &rooms {
        text += &counts.row(room);
    }
    text += &sum.row("all");
    let _ = writeln!(text, "{:.0} minutes of processes", seconds / 60.0);
    text
}
