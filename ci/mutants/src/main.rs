//! Mutation tests: every mutant of some files of the crate in one build, chosen by an environment variable.
//!
//! `ci/mutants/run` calls `wengert-mutants COPY STATE TARGETS FILES [NUMBER]`: the copy of the repository that is mutated, a
//! folder for lists and results, the test targets (`all,growth`), files or folders of the copy (`src/tape,src/number`), and
//! the number of mutants to try of each of these, drawn with a fixed seed (all by default).

mod compile;
mod find;
mod report;
mod run;
mod switch;

use std::fs;
use std::path::{Path, PathBuf};

use switch::{Mutant, Switches};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [copy, state, targets, files, number @ ..] = arguments.as_slice() else {
        panic!("usage: wengert-mutants COPY STATE TARGETS FILES [NUMBER]");
    };
    let (copy, state) = (PathBuf::from(copy), PathBuf::from(state));
    let comma = |list: &str| list.split(',').map(str::to_owned).collect::<Vec<_>>();
    let number = number.first().map_or(usize::MAX, |number| number.parse().expect("a number of mutants"));
    let workers = std::env::var("MUTANTS_WORKERS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);

    // A test binary takes minutes for a mutant that every test reaches and none sees.
    let budget = std::env::var("MUTANTS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(f64::INFINITY);

    // The originals stay beside the mutated copy.
    let originals = state.join("original");
    let mut all: Vec<String> = comma(files).iter().flat_map(|path| sources(&originals, path)).collect();
    all.sort();
    // Numbers in formulas; elsewhere they are mostly sizes and capacities.
    let mut switches = Switches::read(&originals, &all, |file| file.starts_with("src/number/"));
    println!("{} mutants at {} sites of {} files", switches.mutants().count(), switches.places.len(), all.len());

    let rejected = state.join("rejected.tsv");
    if let Ok(text) = fs::read_to_string(&rejected) {
        switches.dropped = text.lines().map(mutant).collect();
        switches.write(&copy);
    } else {
        let lib = fs::read_to_string(originals.join("src/lib.rs")).expect("src/lib.rs is there");
        fs::write(copy.join("src/lib.rs"), lib + "\nextern crate self as wengert;\npub mod mutant;\n")
            .expect("the copy is written");
        fs::write(copy.join("src/mutant.rs"), switch::module(switches.places.len())).expect("the copy is written");
        compile::drop_what_fails(&mut switches, &copy);
        let lines: Vec<String> = switches.dropped.iter().map(|m| format!("{}\t{}", m.site, m.variant)).collect();
        fs::write(&rejected, lines.join("\n")).expect("the rejected mutants are kept");
    }
    fs::write(state.join("mutants.tsv"), report::list(&switches)).expect("the list is kept");
    println!("{} mutants that compile", switches.mutants().count() - switches.dropped.len());

    let binaries = compile::tests(&copy, &comma(targets));
    let only: Vec<String> = std::env::var("TESTS").map(|list| comma(&list)).unwrap_or_default();
    let tests = run::watch(&copy, &binaries, &state.join("tests.tsv"), workers, &only);
    println!(
        "{} tests, {:.0} seconds one after the other",
        tests.len(),
        tests.iter().map(|test| test.seconds).sum::<f64>()
    );

    let results = state.join("results.tsv");
    let done = report::results(&results);
    let mut mutants: Vec<Mutant> = switches.mutants().filter(|mutant| !switches.dropped.contains(mutant)).collect();
    shuffle(&mut mutants);
    // The paths in the order of the call, with a sample of each.
    let file = |mutant: &Mutant| switches.places[mutant.site].file.as_str();
    let of =
        |path: &String| mutants.iter().copied().filter(|mutant| file(mutant).starts_with(path)).take(number).collect();
    let mutants: Vec<Mutant> = comma(files).iter().flat_map::<Vec<_>, _>(of).collect();
    let reasons = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("equivalent.txt")).unwrap_or_default();
    // Those that were missed before, without a reason, meet the tests that are new.
    let newest = tests.iter().map(|test| test.since).max().unwrap_or(0);
    let has_reason = |mutant: &Mutant| reasons.lines().any(|line| line == report::name(&switches, *mutant));
    let open_from = |mutant: &Mutant| match done.get(mutant) {
        None => Some(0),
        Some(result) => result.is_open_from().filter(|from| *from <= newest && !has_reason(mutant)),
    };
    let open: Vec<(Mutant, &str, u32)> =
        mutants.iter().filter_map(|mutant| Some((*mutant, file(mutant), open_from(mutant)?))).collect();
    println!("{} mutants, {} of them to try", mutants.len(), open.len());
    run::run(&copy, &binaries, &tests, &open, &results, workers, budget);

    print!("{}", report::table(&switches, &mutants, &report::results(&results), &reasons));
}

fn mutant(line: &str) -> Mutant {
    let mut parts = line.split('\t').map(|part| part.parse().expect("a number"));
    let mut part = || parts.next().expect("two numbers");
    Mutant { site: part(), variant: part() }
}

/// The Rust files at or below a path.
fn sources(root: &Path, path: &str) -> Vec<String> {
    if path.ends_with(".rs") {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let names =
        entries.map(|entry| entry.expect("a folder is read").file_name().into_string().expect("names are UTF-8"));
    let inside = names.map(|name| format!("{path}/{name}"));
    // Modules of unit tests have no tests of their own.
    let face = fs::read_to_string(root.join(path).join("mod.rs")).unwrap_or_default();
    let is_tests = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        face.contains(&format!("#[cfg(test)]\nmod {name};"))
    };
    let inside = inside.filter(|path| !is_tests(path));
    inside
        .filter(|path| path.ends_with(".rs") || root.join(path).is_dir())
        .flat_map(|path| sources(root, &path))
        .collect()
}

/// A fixed order without a pattern, so that the first mutants are a sample of all.
fn shuffle(mutants: &mut [Mutant]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for i in (1..mutants.len()).rev() {
        // Knuth's generator; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        mutants.swap(i, (state >> 33) as usize % (i + 1));
    }
}
