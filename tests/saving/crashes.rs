//! Saves that are interrupted: killed, out of room, in each other's way. `ci/crash` runs more rounds.
//!
//! A child process is this binary again, which runs [`a_child_that_saves`] alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ndarray::Array2;
use wengert::Params;
use wengert::save::SaveError;

use super::Folder;

/// The number of rounds of a test, unless `ci/crash` sets another one.
fn rounds(few: u32) -> u32 {
    std::env::var("WENGERT_CRASH_ROUNDS").map_or(few, |rounds| rounds.parse().expect("a number of rounds"))
}

/// A model that can be recognised: its numbers are all the same.
fn filled(rows: usize, value: f32) -> Params<f32> {
    let mut params = Params::new();
    params.add("w", Array2::from_elem((rows, 100), value));
    params
}

/// The number of which a whole file is made.
#[track_caller]
fn value_in(file: &Path, rows: usize) -> f32 {
    let mut params = filled(rows, f32::NAN);
    params.load(file).unwrap_or_else(|error| panic!("{error}"));
    let first = params.values()[0];
    assert!(params.values().iter().all(|&x| x == first));
    first
}

/// The names of the files in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn is_temporary(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "tmp")
}

const FILE: &str = "WENGERT_CRASH_FILE";
const ROWS: &str = "WENGERT_CRASH_ROWS";
const VALUES: &str = "WENGERT_CRASH_VALUES";
const TIMES: &str = "WENGERT_CRASH_TIMES";

/// Saves models of one value each in turn, `times` times or for ever, and prints a line before the first save and the
/// outcome of the last one.
fn saves(file: &Path, rows: usize, values: &str, times: Option<u32>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["crashes::a_child_that_saves", "--exact", "--nocapture", "--test-threads=1"]);
    command.envs([(FILE, file.as_os_str())]).envs([(ROWS, rows.to_string()), (VALUES, values.into())]);
    command.envs(times.map(|times| (TIMES, times.to_string())));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_child_that_saves() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let number = |name: &str| std::env::var(name).map(|text| text.parse::<usize>().unwrap());
    let values = std::env::var(VALUES).unwrap();
    let models: Vec<_> = values.split(' ').map(|value| filled(number(ROWS).unwrap(), value.parse().unwrap())).collect();
    println!("\nready");
    let times = number(TIMES).unwrap_or(usize::MAX);
    let mut outcome = Ok(());
    for model in models.iter().cycle().take(times) {
        outcome = model.save(&file);
    }
    match outcome {
        Ok(()) => println!("\nsaved"),
        Err(SaveError::Io { source, .. }) => println!("\nfailed: {:?}", source.kind()),
        Err(error) => panic!("{error}"),
    }
}

/// A child that has reached its first save.
fn started(mut command: Command) -> Child {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"), "the child saves");
    child
}

/// The last line that a child prints of its saves: `saved`, or the kind of the error.
fn outcome(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("saved") || line.starts_with("failed"));
    line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).into()
}

/// A process that is killed at any moment leaves the old file or the new one, whole, and at most one file beside it, which
/// is in nobody's way.
#[test]
fn killed_at_random_moments() {
    let folder = Folder::new("killed");
    let file = folder.file("model.safetensors");
    let (mut seed, mut kept, mut left, mut none) = (1_u64, [0; 2], 0, 0);
    let rounds = rounds(20);
    for round in 0..rounds {
        let rows = [1, 300, 3000][round as usize % 3];
        let old = (round % 4 > 0).then(|| filled(rows, 3.0).save(&file).unwrap());
        if old.is_none() {
            let _ = fs::remove_file(&file);
        }
        let before = names(&folder.0);
        let mut child = started(saves(&file, rows, "1 2", None));
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        std::thread::sleep(Duration::from_micros((seed >> 33) % 50_000));
        child.kill().unwrap();
        child.wait().unwrap();

        if fs::exists(&file).unwrap() {
            match value_in(&file, rows) {
                value @ (1.0 | 2.0) => kept[value as usize - 1] += 1,
                value => assert!(value == 3.0 && old.is_some(), "{value}"),
            }
        } else {
            // Killed before its first save was through.
            assert!(old.is_none());
            none += 1;
        }
        let mut litter = names(&folder.0);
        litter.retain(|name| !before.contains(name) && name != "model.safetensors");
        let documented = format!(".model.safetensors.{}-", child.id());
        assert!(litter.len() <= 1, "{litter:?}");
        assert!(litter.iter().all(|name| name.starts_with(&documented) && is_temporary(name)), "{litter:?}");
        left += litter.len();
        filled(rows, 4.0).save(&file).unwrap();
        assert_eq!(value_in(&file, rows), 4.0, "the next save");
        if round % 16 == 15 {
            for name in names(&folder.0).iter().filter(|name| is_temporary(name)) {
                fs::remove_file(folder.file(name)).unwrap();
            }
        }
    }
    println!(
        "{rounds} kills: one model {}, the other {}, no file yet {none}, files left behind {left}",
        kept[0], kept[1]
    );
    assert!(kept[0] > 0 && (rounds < 1000 || kept[1] > 0 && none > 0 && left > 0), "kills come at any moment");
}

/// Files that a killed process left behind do not stop a process that has its number by chance.
#[test]
fn files_left_behind_under_the_same_process_number() {
    let folder = Folder::new("left");
    let file = folder.file("model.safetensors");
    let left = |i| folder.file(&format!(".model.safetensors.{}-{i}.tmp", std::process::id()));
    for i in 0..1000 {
        fs::write(left(i), "half of a file").unwrap();
    }
    filled(1, 1.0).save(&file).unwrap();
    assert_eq!(value_in(&file, 1), 1.0);
    assert!((0..1000).all(|i| fs::read(left(i)).unwrap() == b"half of a file"));
    assert_eq!(names(&folder.0).len(), 1001);
}

/// Several processes save to one file at once, and it is read meanwhile: it is always one of theirs, whole.
#[test]
fn several_processes_save_to_one_file() {
    let folder = Folder::new("several");
    let file = folder.file("model.safetensors");
    filled(100, 5.0).save(&file).unwrap();
    let mut children = ["1 2", "3 4"].map(|values| started(saves(&file, 100, values, None)));
    let rounds = rounds(50);
    let mut seen = [0; 5];
    for round in 0..rounds {
        seen[value_in(&file, 100) as usize - 1] += 1;
        if round % 4 == 0 {
            filled(100, 5.0).save(&file).unwrap();
        }
    }
    for child in &mut children {
        assert!(child.try_wait().unwrap().is_none(), "a child has failed");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    println!("{rounds} times read; files of each value: {seen:?}");
    let left = names(&folder.0).len() - 1;
    assert!(left <= 2, "{left} files left by the two killed processes");
}

/// Threads of one process save to one file at once.
#[test]
fn several_threads_save_to_one_file() {
    let folder = Folder::new("threads");
    let file = folder.file("model.safetensors");
    filled(10, 1.0).save(&file).unwrap();
    std::thread::scope(|scope| {
        for value in [1.0, 2.0, 3.0] {
            let (file, model) = (&file, filled(10, value));
            scope.spawn(move || (0..rounds(50)).for_each(|_| model.save(file).unwrap()));
        }
        for _ in 0..rounds(50) {
            assert!([1.0, 2.0, 3.0].contains(&value_in(&file, 10)));
        }
    });
    assert_eq!(names(&folder.0).len(), 1, "nothing is left");
}

/// A folder that comes and goes is an error, or the file is whole.
#[test]
fn a_folder_that_vanishes() {
    let outer = Folder::new("vanishes");
    let folder = outer.file("folder");
    let file = folder.join("model.safetensors");
    let model = filled(10, 1.0);
    let (mut saved, mut failed) = (0, 0);
    std::thread::scope(|scope| {
        let removing = scope.spawn(|| {
            for _ in 0..rounds(50) {
                fs::create_dir_all(&folder).unwrap();
                std::thread::sleep(Duration::from_millis(2));
                // A file may be made while the folder is emptied.
                while fs::exists(&folder).unwrap() {
                    let _ = fs::remove_dir_all(&folder);
                }
            }
        });
        while !removing.is_finished() {
            match model.save(&file) {
                Ok(()) => saved += 1,
                Err(SaveError::Io { file: named, .. }) => {
                    assert_eq!(named, file);
                    failed += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    println!("{saved} saved, {failed} failed");
    fs::create_dir_all(&folder).unwrap();
    model.save(&file).unwrap();
    assert_eq!(names(&folder).len(), 1);
}

/// Paths at which there can be no file.
#[test]
#[cfg(unix)]
fn paths_that_name_no_file() {
    let folder = Folder::new("paths");
    let model = filled(1, 1.0);
    model.save(folder.file("file")).unwrap();
    std::os::unix::fs::symlink("none/file", folder.file("link")).unwrap();
    let long = "x".repeat(256);
    let deep = "folder/".repeat(1000);
    for path in ["", "..", ".", "file/file", "file/", "new/", "link", &long, &deep, "none/file", "a\0b"] {
        let path = if path.is_empty() { PathBuf::new() } else { folder.file(path) };
        let error = model.save(&path).unwrap_err();
        assert!(matches!(&error, SaveError::Io { file, .. } if *file == path), "{}: {error}", path.display());
        let error = filled(1, 0.0).load(&path).err();
        assert!(
            matches!(&error, Some(SaveError::Io { .. })) || path.ends_with("file"),
            "{}: {error:?}",
            path.display()
        );
    }
    assert_eq!(names(&folder.0), ["file", "link"].map(String::from).into());
    assert_eq!(value_in(&folder.file("file"), 1), 1.0);
    // The longest name that there can be, of characters of several bytes.
    let longest = folder.file(&format!("x{}", "γ".repeat(127)));
    model.save(&longest).unwrap();
    assert_eq!(value_in(&longest, 1), 1.0);
}

/// A command that another program runs.
fn by(mut program: Command, command: &Command) -> Command {
    program.arg(command.get_program()).args(command.get_args());
    program.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    program
}

/// A limit on the size of files, at each block of the new file.
#[test]
#[cfg(unix)]
fn files_may_not_grow() {
    let folder = Folder::new("limit");
    let file = folder.file("model.safetensors");
    filled(10, 1.0).save(&file).unwrap();
    // A shell counts in blocks of 512 bytes, or of 1024.
    let size = fs::metadata(&file).unwrap().len();
    let mut failed = 0;
    for blocks in 0..=size / 512 {
        // The signal would end the process if it were not ignored.
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
        match outcome(by(shell, &saves(&file, 10, "2", Some(1)))).as_str() {
            "saved" => assert!(blocks > 0 && value_in(&file, 10) == 2.0),
            error => {
                assert_eq!(error, format!("failed: {:?}", ErrorKind::FileTooLarge), "{blocks} blocks");
                assert_eq!(value_in(&file, 10), 1.0, "{blocks} blocks");
                failed += 1;
            }
        }
        filled(10, 1.0).save(&file).unwrap();
        assert_eq!(names(&folder.0).len(), 1);
    }
    assert!(failed > 2);
}

/// File systems that are full, have no room for another file, or are read-only: small ones in memory, which only a child
/// process sees.
#[test]
#[cfg(target_os = "linux")]
fn full_and_read_only_file_systems() {
    const INSIDE: &str = "WENGERT_CRASH_INSIDE";
    let Some(folder) = std::env::var_os(INSIDE).map(PathBuf::from) else {
        let folder = Folder::new("full");
        let mut probe = Command::new("unshare");
        probe.args(["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs"]).arg(&folder.0);
        if !probe.output().is_ok_and(|output| output.status.success()) {
            return eprintln!(
                "not tested: here is no `unshare`, or none that lets a user mount a file system in memory"
            );
        }
        let mut child = Command::new("unshare");
        child.args(["--user", "--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
        child.args(["crashes::full_and_read_only_file_systems", "--exact", "--nocapture"]).env(INSIDE, &folder.0);
        assert!(child.status().unwrap().success());
        return;
    };
    let mount = |options: &str| {
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&folder).status();
        assert!(status.unwrap().success());
    };
    let (file, other) = (folder.join("model.safetensors"), folder.join("other"));
    let fails = |kind: ErrorKind| {
        let before = names(&folder);
        match filled(50, 2.0).save(&file) {
            Err(SaveError::Io { source, .. }) => assert_eq!(source.kind(), kind, "{source}"),
            other => panic!("{other:?}"),
        }
        assert_eq!((value_in(&file, 50), names(&folder)), (1.0, before));
    };
    let save = || {
        filled(50, 2.0).save(&file).unwrap();
        assert_eq!(value_in(&file, 50), 2.0);
        filled(50, 1.0).save(&file).unwrap();
    };

    // Room for 16 pages, of which a file takes 5 or 6; the less room is left, the earlier a save ends.
    mount("size=64k");
    save();
    for pages in 5..=10 {
        fs::write(&other, vec![1; 4096 * pages]).unwrap();
        match filled(50, 2.0).save(&file) {
            Ok(()) => save(),
            Err(_) => fails(ErrorKind::StorageFull),
        }
        fs::remove_file(&other).unwrap();
    }
    fs::write(&other, vec![1; 4096 * 10]).unwrap();
    fails(ErrorKind::StorageFull);
    fs::remove_file(&other).unwrap();
    save();

    // No room for the name of another file.
    mount("size=64k,nr_inodes=3");
    save();
    fs::write(&other, "").unwrap();
    fails(ErrorKind::StorageFull);
    fs::remove_file(&other).unwrap();
    save();

    mount("size=64k");
    save();
    let remount = |options| Command::new("mount").args(["-o", options]).arg(&folder).status().unwrap().success();
    assert!(remount("remount,ro"));
    fails(ErrorKind::ReadOnlyFilesystem);
    assert!(remount("remount,rw"));
    save();
}

/// Each system call of a save fails once, is interrupted, or is the last one of the process.
#[test]
#[ignore = "needs strace, and a minute"]
#[cfg(target_os = "linux")]
fn at_each_system_call() {
    let (folder, other) = (Folder::new("calls"), Folder::new("traces"));
    let (file, trace) = (folder.file("model.safetensors"), other.file("trace"));
    let mut counts = std::collections::BTreeMap::new();
    for call in ["statx", "openat", "fstat", "fchmod", "fchown", "write", "fsync", "close", "rename", "unlink"] {
        for fault in ["error=EIO", "error=ENOSPC", "error=EINTR", "signal=KILL"] {
            for number in 1.. {
                filled(50, 1.0).save(&file).unwrap();
                let mut strace = Command::new("strace");
                strace.arg("-f").arg("-o").arg(&trace).args(["-e", &format!("trace={call}")]);
                strace.args(["-e", &format!("inject={call}:{fault}:when={number}")]);
                let output = by(strace, &saves(&file, 50, "2", Some(1))).output().expect("strace is installed");
                let trace = fs::read_to_string(&trace).unwrap();
                if !trace.contains("INJECTED") && !trace.contains("SIGKILL") {
                    break;
                }
                let text = String::from_utf8_lossy(&output.stdout);
                let killed = fault == "signal=KILL";
                let outcome = if !text.lines().any(|line| line == "ready") {
                    // Before the save, or at the line that announces it.
                    "not begun"
                } else if text.contains("saved") {
                    "saved"
                } else if text.contains("failed") {
                    "failed"
                } else {
                    // At the line that tells the outcome.
                    "not told"
                };
                let (value, mut litter) = (value_in(&file, 50), names(&folder.0));
                litter.remove("model.safetensors");
                let place = format!("{call} {number} {fault}: {outcome}\n{trace}");
                match outcome {
                    "not begun" | "failed" => assert_eq!(value, 1.0, "{place}"),
                    "saved" => assert_eq!(value, 2.0, "{place}"),
                    _ => assert!(value == 1.0 || value == 2.0, "{place}"),
                }
                assert!(litter.len() <= usize::from(killed || call == "unlink"), "{litter:?} {place}");
                for name in &litter {
                    fs::remove_file(folder.file(name)).unwrap();
                }
                *counts.entry((fault, outcome)).or_insert(0) += 1;
            }
        }
    }
    println!("{counts:?}");
    for (fault, outcome) in [("error=EIO", "failed"), ("error=EIO", "saved"), ("signal=KILL", "not told")] {
        assert!(counts.contains_key(&(fault, outcome)), "{counts:?}");
    }
}

/// The new file is on the disk before it gets its name, and the folder after that.
#[test]
#[ignore = "needs strace"]
#[cfg(target_os = "linux")]
fn what_is_flushed_when() {
    let (folder, other) = (Folder::new("flushed"), Folder::new("trace"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=write,fsync,rename", "-o"]).arg(other.file("trace"));
    assert_eq!(outcome(by(strace, &saves(&folder.file("model.safetensors"), 50, "2", Some(1)))), "saved");
    let trace = fs::read_to_string(other.file("trace")).unwrap();
    let folder = folder.0.to_str().unwrap();
    let calls = trace.lines().filter(|line| line.contains(folder)).map(|line| {
        let call = line.split_once(' ').unwrap().1.trim_start().split('(').next().unwrap();
        let kind = if line.contains(".tmp>") || line.contains(".tmp\"") { "file" } else { "folder" };
        format!("{call} {kind}")
    });
    assert_eq!(calls.collect::<Vec<_>>(), ["write file", "fsync file", "rename file", "fsync folder"], "{trace}");
}
