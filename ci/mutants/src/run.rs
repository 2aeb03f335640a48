//! The tests, once to see which sites each of them reaches, then for every mutant.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::switch::Mutant;

/// A test that passes without a mutant.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) binary: usize,
    pub(crate) name: String,
    pub(crate) seconds: f64,
    /// The run of the tool that met the test first.
    pub(crate) since: u32,
    pub(crate) sites: Vec<u32>,
}

/// How a process of tests ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Passed,
    /// The test that failed, or that ran when the process died.
    Failed(String),
    TimedOut(String),
}

/// The sites that each test reaches, and its time: from `file`, or from a run of those that the file does not have and whose
/// name contains one of `only`.
pub(crate) fn watch(copy: &Path, binaries: &[PathBuf], file: &Path, workers: usize, only: &[String]) -> Vec<Test> {
    let known: Vec<Test> = fs::read_to_string(file).unwrap_or_default().lines().map(read).collect();
    let since = known.iter().map(|test| test.since + 1).max().unwrap_or(0);
    let mut names = Vec::new();
    for (binary, path) in binaries.iter().enumerate() {
        let output = Command::new(path)
            .args(["--list", "--format", "terse"])
            .current_dir(copy)
            .output()
            .expect("tests are listed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        names.extend(text.lines().filter_map(|line| line.strip_suffix(": test")).map(|name| (binary, name.to_owned())));
    }
    let is_known = |of: &(usize, String)| known.iter().any(|test| test.binary == of.0 && test.name == of.1);
    let mut known: Vec<Test> = {
        let is_there = |test: &&Test| names.iter().any(|(binary, name)| *binary == test.binary && *name == test.name);
        let chosen = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
        let kept = known.iter().filter(is_there).cloned().collect();
        names.retain(|of| !is_known(of) && chosen(&of.1));
        kept
    };
    println!("{} tests are new", names.len());
    let (queue, tests) = (Mutex::new(names.into_iter()), Mutex::new(Vec::new()));
    let lines: String = known.iter().map(|test| line(test) + "\n").collect();
    fs::write(file, lines).expect("the sites of the tests are kept");
    // Each as soon as it is known, for a run that is stopped.
    let kept = Mutex::new(OpenOptions::new().append(true).open(file).expect("the sites of the tests are kept"));
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (queue, tests, kept) = (&queue, &tests, &kept);
            let reached = file.with_extension(format!("reached-{worker}"));
            scope.spawn(move || {
                while let Some((binary, name)) = next(queue) {
                    let _ = fs::remove_file(&reached);
                    let start = Instant::now();
                    let environment = [("MUTANT_WATCH", reached.display().to_string())];
                    let limit = 60;
                    let outcome = process(copy, &binaries[binary], &[name.as_str()], &environment, limit);
                    let seconds = start.elapsed().as_secs_f64();
                    if outcome == Outcome::Passed {
                        let bytes = fs::read(&reached).unwrap_or_default();
                        let sites =
                            bytes.chunks_exact(4).map(|site| u32::from_le_bytes([site[0], site[1], site[2], site[3]]));
                        let test = Test { binary, name, seconds, since, sites: sites.collect() };
                        let line = line(&test) + "\n";
                        kept.lock().unwrap().write_all(line.as_bytes()).expect("the sites of the tests are kept");
                        tests.lock().unwrap().push(test);
                    } else {
                        println!("left out, because it does not pass without a mutant: {name} {outcome:?}");
                    }
                }
            });
        }
    });
    known.append(&mut tests.into_inner().unwrap());
    let mut tests = known;
    tests.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    tests
}

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    queue.lock().unwrap().next()
}

fn line(test: &Test) -> String {
    let sites: Vec<String> = test.sites.iter().map(ToString::to_string).collect();
    format!("{}\t{}\t{}\t{}\t{}", test.binary, test.name, test.seconds, test.since, sites.join(","))
}

fn read(line: &str) -> Test {
    let parts: Vec<&str> = line.split('\t').collect();
    let sites = parts[4].split(',').filter(|site| !site.is_empty()).map(|site| site.parse().expect("a site"));
    Test {
        binary: parts[0].parse().expect("a number"),
        name: parts[1].to_owned(),
        seconds: parts[2].parse().expect("a time"),
        since: parts[3].parse().expect("a number"),
        sites: sites.collect(),
    }
}

/// Runs the tests that reach each mutant until one fails, for at most `budget` seconds: first those that failed for its
/// neighbours, then those of its room, quickest first. Appends a line per mutant to `file`. Each mutant comes with its file
/// and the first run of the tool whose tests it has not met.
pub(crate) fn run(
    copy: &Path,
    binaries: &[PathBuf],
    tests: &[Test],
    mutants: &[(Mutant, &str, u32)],
    file: &Path,
    workers: usize,
    budget: f64,
) {
    let mut by_site: HashMap<u32, Vec<usize>> = HashMap::new();
    for (index, test) in tests.iter().enumerate() {
        test.sites.iter().for_each(|&site| by_site.entry(site).or_default().push(index));
    }
    let until = tests.iter().map(|test| test.since + 1).max().unwrap_or(0);
    let results = OpenOptions::new().create(true).append(true).open(file).expect("the results are kept");
    let (results, queue) = (Mutex::new(results), Mutex::new(mutants.iter()));
    // The tests that failed last for mutants of the same file.
    let killers: Mutex<HashMap<&str, Vec<usize>>> = Mutex::default();
    let index: HashMap<(usize, &str), usize> =
        tests.iter().enumerate().map(|(i, test)| ((test.binary, test.name.as_str()), i)).collect();
    let none = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(&(mutant, source, from)) = next(&queue) {
                    let all = by_site.get(&(mutant.site as u32)).unwrap_or(&none);
                    let is_open = |test: &usize| tests[*test].since >= from;
                    let reaching: Vec<usize> = all.iter().copied().filter(is_open).collect();
                    let first: Vec<usize> = {
                        let killers = killers.lock().unwrap();
                        let known = killers.get(source).into_iter().flatten();
                        known.copied().filter(|test| reaching.binary_search(test).is_ok()).take(6).collect()
                    };
                    let rooms: Vec<&str> = source.trim_end_matches(".rs").split('/').skip(1).collect();
                    let is_near = |test: usize| tests[test].name.split("::").any(|part| rooms.contains(&part));
                    let cost = |test: usize| tests[test].seconds * if is_near(test) { 0.1 } else { 1.0 };
                    let mut rest: Vec<usize> = reaching.iter().copied().filter(|test| !first.contains(test)).collect();
                    rest.sort_by(|&a, &b| cost(a).total_cmp(&cost(b)));
                    let mut left = budget;
                    rest.retain(|&test| {
                        let fits = tests[test].seconds < left;
                        left -= if fits { tests[test].seconds } else { 0.0 };
                        fits
                    });
                    let start = Instant::now();
                    let (outcome, killer) = try_all(copy, binaries, tests, &index, &rest, &first, mutant);
                    if let Some(killer) = killer {
                        let mut killers = killers.lock().unwrap();
                        let list = killers.entry(source).or_default();
                        list.retain(|&test| test != killer);
                        list.insert(0, killer);
                        list.truncate(40);
                    }
                    let (word, test) = match outcome {
                        Outcome::Passed if all.is_empty() => ("unreached", String::new()),
                        Outcome::Passed => ("missed", String::new()),
                        Outcome::Failed(test) => ("caught", test),
                        Outcome::TimedOut(test) => ("timeout", test),
                    };
                    let seconds = start.elapsed().as_secs_f64();
                    let line = format!("{}\t{}\t{word}\t{test}\t{seconds:.2}\t{until}\n", mutant.site, mutant.variant);
                    results.lock().unwrap().write_all(line.as_bytes()).expect("the results are kept");
                }
            });
        }
    });
}

fn try_all(
    copy: &Path,
    binaries: &[PathBuf],
    tests: &[Test],
    index: &HashMap<(usize, &str), usize>,
    rest: &[usize],
    first: &[usize],
    mutant: Mutant,
) -> (Outcome, Option<usize>) {
    let environment = [("MUTANT_SITE", mutant.site.to_string()), ("MUTANT_VARIANT", mutant.variant.to_string())];
    // Groups of growing duration, each a process.
    let mut groups: Vec<Vec<usize>> = vec![first.to_vec()];
    let (mut group, mut seconds, mut most) = (Vec::new(), 0.0, 0.3);
    for &test in rest {
        group.push(test);
        seconds += tests[test].seconds;
        if seconds > most || group.len() == 400 {
            groups.push(std::mem::take(&mut group));
            (seconds, most) = (0.0, most * 2.5);
        }
    }
    groups.push(group);
    for group in groups {
        for (binary, path) in binaries.iter().enumerate() {
            let of_binary: Vec<usize> = group.iter().copied().filter(|&test| tests[test].binary == binary).collect();
            if of_binary.is_empty() {
                continue;
            }
            let names: Vec<&str> = of_binary.iter().map(|&test| tests[test].name.as_str()).collect();
            let expected: f64 = of_binary.iter().map(|&test| tests[test].seconds).sum();
            let limit = (5.0 + 3.0 * expected) as u64;
            let outcome = process(copy, path, &names, &environment, limit);
            match &outcome {
                Outcome::Passed => {}
                Outcome::Failed(name) | Outcome::TimedOut(name) => {
                    let killer = index.get(&(binary, name.as_str())).copied();
                    return (outcome, killer);
                }
            }
        }
    }
    (Outcome::Passed, None)
}

/// The signals that end a process that has used up its time.
const XCPU: i32 = 24;
const KILL: i32 = 9;

/// Runs tests by name in a process with little memory and `limit` seconds of processor time, up to the first failure.
fn process(copy: &Path, binary: &Path, names: &[&str], environment: &[(&str, String)], limit: u64) -> Outcome {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v 8000000; ulimit -c 0; ulimit -t {limit}; exec \"$0\" \"$@\"")])
        .arg(binary)
        .args(["--test-threads=1", "--exact"])
        .args(names)
        .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
        .env("RUST_BACKTRACE", "0")
        .current_dir(copy)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(File::create("/dev/null").expect("/dev/null is there")))
        .spawn()
        .expect("a test starts");
    let out = child.stdout.take().expect("the output is piped");
    let (send, receive) = channel();
    let current = Arc::new(Mutex::new(String::new()));
    let shown = Arc::clone(&current);
    std::thread::spawn(move || {
        // `test name ... ` stands before the test runs, `ok` or `FAILED` after it.
        let (mut out, mut word, mut is_name) = (BufReader::new(out), Vec::new(), false);
        while out.read_until(b' ', &mut word).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&word).into_owned();
            if text.contains("FAILED") {
                let _ = send.send(());
                return;
            }
            let text = text.trim();
            if is_name {
                *shown.lock().unwrap() = text.to_owned();
            }
            is_name = text.ends_with("test");
            word.clear();
        }
    });
    // A mutant that waits instead of running takes no processor time; a busy machine needs patience with the others.
    let failed = receive.recv_timeout(Duration::from_secs(60 + 20 * limit));
    let name = || current.lock().unwrap().clone();
    match failed {
        Ok(()) => {
            let _ = child.kill();
            let _ = child.wait();
            Outcome::Failed(name())
        }
        Err(RecvTimeoutError::Timeout) => {
            let _ = child.kill();
            let _ = child.wait();
            Outcome::TimedOut(name())
        }
        Err(RecvTimeoutError::Disconnected) => {
            // The output is closed: the process has ended, or is about to.
            let deadline = Instant::now() + Duration::from_secs(5);
            loop {
                match child.try_wait() {
                    Ok(Some(status)) if status.success() => return Outcome::Passed,
                    Ok(Some(status)) if matches!(status.signal(), Some(XCPU | KILL)) => {
                        return Outcome::TimedOut(name());
                    }
                    Ok(Some(_)) => return Outcome::Failed(name()),
                    _ if Instant::now() > deadline => {
                        let _ = child.kill();
                        let _ = child.wait();
                        return Outcome::TimedOut(name());
                    }
                    _ => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        }
    }
}
