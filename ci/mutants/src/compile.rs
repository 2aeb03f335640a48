//! Cargo on the copy: which mutants the compiler rejects, and the binaries of the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::switch::Switches;

/// Writes the mutants, asks the compiler and drops what it rejects, until it is content.
pub(crate) fn drop_what_fails(switches: &mut Switches, copy: &Path) {
    for round in 1.. {
        switches.write(copy);
        let messages = cargo(copy, &["build", "--all-features", "--lib"]);
        let errors: Vec<&Value> = messages.iter().filter(|message| message["message"]["level"] == "error").collect();
        let before = switches.dropped.len();
        let strangers: Vec<&&Value> = errors.iter().filter(|error| !drop_for(switches, &error["message"])).collect();
        let lost =
            switches.dropped.len() == before && strangers.iter().any(|error| drop_before(switches, &error["message"]));
        let dropped = switches.dropped.len() - before;
        println!("round {round}: {} errors, {dropped} mutants dropped", errors.len());
        if errors.is_empty() {
            return;
        }
        if dropped == 0 && !lost {
            for error in strangers {
                eprintln!("{}", error["message"]["rendered"].as_str().unwrap_or_default());
            }
            panic!("the compiler rejects the copy for a reason that no mutant explains");
        }
    }
}

/// Drops the mutants that an error names. True if there is one, or if the error says nothing about a place.
fn drop_for(switches: &mut Switches, error: &Value) -> bool {
    let spans = error["spans"].as_array().cloned().unwrap_or_default();
    let (primary, other): (Vec<Value>, Vec<Value>) = spans.into_iter().partition(|span| span["is_primary"] == true);
    for group in [primary, other] {
        let mut any = false;
        for span in &group {
            // From the innermost macro outward.
            let mut span = span;
            while span.is_object() {
                let at = |key: &str| span[key].as_u64().unwrap_or(0) as usize;
                let file = span["file_name"].as_str().unwrap_or_default();
                if switches.drop_at(file, at("byte_start")..at("byte_end")) {
                    any = true;
                    break;
                }
                span = &span["expansion"]["span"];
            }
        }
        if any {
            return true;
        }
    }
    false
}

/// Drops the switch in front of an error: a macro stumbles over what follows a switch that it does not expect.
fn drop_before(switches: &mut Switches, error: &Value) -> bool {
    let spans = error["spans"].as_array().cloned().unwrap_or_default();
    spans.iter().filter(|span| span["is_primary"] == true).any(|span| {
        let file = span["file_name"].as_str().unwrap_or_default();
        switches.drop_last_before(file, span["byte_start"].as_u64().unwrap_or(0) as usize)
    })
}

/// Builds the test targets (`lib` means the unit tests) and returns their binaries.
pub(crate) fn tests(copy: &Path, targets: &[String]) -> Vec<PathBuf> {
    let mut arguments = vec!["test", "--no-run", "--all-features"];
    for target in targets {
        let tests: &[&str] = if target == "lib" { &["--lib"] } else { &["--test", target] };
        arguments.extend(tests);
    }
    let messages = cargo(copy, &arguments);
    for message in &messages {
        if message["message"]["level"] == "error" {
            eprintln!("{}", message["message"]["rendered"].as_str().unwrap_or_default());
        }
    }
    // In the order of the targets, not in that in which cargo was done with them.
    let of = |target: &String| {
        messages
            .iter()
            .filter(|message| message["reason"] == "compiler-artifact" && message["profile"]["test"] == true)
            .filter(|message| {
                let is_lib = message["target"]["kind"][0] == "lib";
                if target == "lib" { is_lib } else { !is_lib && message["target"]["name"] == **target }
            })
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
    };
    let binaries: Vec<PathBuf> = targets.iter().filter_map(of).collect();
    assert!(binaries.len() == targets.len(), "the tests do not build");
    binaries
}

fn cargo(copy: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = Command::new("cargo")
        // Dependencies are optimised and built once; the mutated crate has to compile soon.
        .args(["--config", "profile.dev.opt-level=1", "--config", "profile.dev.package.wengert.opt-level=0"])
        .args(arguments)
        .arg("--message-format=json")
        .current_dir(copy)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
