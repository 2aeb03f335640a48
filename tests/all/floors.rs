//! The floors of the source: a room (a folder of src, or a file beside lib.rs) imports only from floors below its own.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the ground up. docs/ARCHITECTURE.md draws them and says what stands in each room.
const FLOORS: [&[&str]; 8] = [
    &["arena", "slices", "sealed", "text"],
    &["number"],
    &["kernels", "recording", "sparse"],
    &["tape", "symbolic", "program"],
    &["scalar", "trace"],
    &["tensor", "inspect"],
    &["params", "derivatives", "rules", "density", "transform"],
    &["gradcheck", "kit"],
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// A path of some source into the crate: the line it stands on, and the first name after `crate::`.
struct Import<'a> {
    line: usize,
    name: &'a str,
}

/// Every `crate::` path of a source, and every chain of `super::` that leads out of a file's room; `depth` is the number
/// of modules between the file and the root. Comments and docs do not count: their links name the public face.
fn imports(source: &str, depth: usize) -> Vec<Import<'_>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let markers = ["crate::".to_owned(), "super::".repeat(depth)];
    let mut found = Vec::new();
    for (i, line) in source.lines().enumerate() {
        let is_doc = line.trim_start().starts_with("#[doc");
        let code = line.split("//").next().filter(|_| !is_doc).unwrap_or_default();
        for (at, marker) in markers.iter().flat_map(|marker| code.match_indices(marker.as_str())) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| is_word(c) || c == ':') {
                continue;
            }
            let rest = &code[at + marker.len()..];
            let (name, rest) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            // A macro that the crate exports stands at the root.
            let exported = before == Some('$') && rest.starts_with('!');
            if !exported {
                found.push(Import { line: i + 1, name });
            }
        }
    }
    found
}

/// The rules that a file of src breaks, one rule a line.
fn violations(file: &str, source: &str) -> String {
    let mut text = String::new();
    let parts: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    let room = parts[0];
    let modules = parts.len() - usize::from(parts.last() == Some(&"mod"));
    let Some(own) = floor(room) else {
        return format!("{file}: the room `{room}` is on no floor; add it to FLOORS\n");
    };
    for Import { line, name } in imports(source, modules) {
        let rule = match floor(name) {
            _ if name == room => continue,
            Some(other) if other < own => continue,
            Some(other) => format!("`{room}` (floor {}) must not import `{name}` (floor {})", own + 1, other + 1),
            None => format!("`crate::{name}` is no room: name the module that defines it, not the face lib.rs"),
        };
        writeln!(text, "src/{file}:{line}: {rule}").unwrap();
    }
    text
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn imports_run_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    files.sort();
    assert!(files.len() > 100, "only {} files found below {}", files.len(), src.display());
    let mut text = String::new();
    for file in files {
        let name = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        if name != "lib.rs" {
            text += &violations(&name, &fs::read_to_string(&file).unwrap());
        }
    }
    assert!(text.is_empty(), "imports that run up or sideways:\n{text}");
}

#[test]
fn an_import_that_runs_up_is_found() {
    let planted = "use crate::slices::gemm;\n\nfn f() {\n    let x = crate::tensor::Tensor::new();\n}\n";
    let found = violations("tape/list.rs", planted);
    assert_eq!(found, "src/tape/list.rs:4: `tape` (floor 4) must not import `tensor` (floor 6)\n");
    // Rooms on the same floor must not be imported either.
    let found = violations("params/on.rs", "use crate::{derivatives, tape};\nuse super::super::rules::UNARY;\n");
    assert!(found.contains("on.rs:2: `params` (floor 7) must not import `rules` (floor 7)"), "{found}");
    assert!(violations("kit/nn/linear.rs", "use crate::Tape;\n").contains("no room"));
    assert!(violations("shed/rake.rs", "").contains("on no floor"));
    // Links, exported macros and paths inside of the room do not count.
    let fine = "/// See [`Tape`](crate::Tape).\nuse super::record;\n$crate::assert_gradient!(x);\nuse crate::number::Real;\n\
         #[doc = \"See the [table](crate::rules).\"]\n";
    assert_eq!(violations("tape/list.rs", fine), "");
}
