//! The pages of docs/guide: what their own programs, which run as doctests, do not show.

use std::fs;
use std::path::{Path, PathBuf};

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide")
}

/// The programs of a page, without the markers of hidden lines.
fn programs(page: &str) -> String {
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("rust\n"));
    blocks.flat_map(str::lines).fold(String::new(), |text, line| text + line.trim_start_matches("# ") + "\n")
}

/// The pieces of code in the last cell of each row of a page's tables.
fn cells(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let last = rows.filter_map(|row| {
        let row = row.trim_end_matches('|').replace(r"\|", "\u{1}");
        row.rsplit('|').next().map(|cell| cell.replace('\u{1}', "|"))
    });
    last.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn phrase_books_show_code_that_runs() {
    let mut missing = Vec::new();
    let mut found = 0;
    for page in ["from-pytorch.md", "from-jax.md", "from-sympy.md", "from-codipack.md"] {
        let text = fs::read_to_string(guide().join(page)).unwrap();
        let programs = programs(&text);
        for code in cells(&text) {
            // A bare name is a pointer to the documentation; two dots stand for the rest of a call.
            let is_name = code.chars().all(|c| c.is_alphanumeric() || "_:<>' ,-".contains(c));
            let begin = code.split("..)").next().unwrap();
            match is_name || programs.contains(begin) {
                true => found += 1,
                false => missing.push(format!("{page}: {code}")),
            }
        }
    }
    assert!(missing.is_empty(), "in no program of the page:\n{}", missing.join("\n"));
    assert!(found > 100, "{found}");
}

#[test]
fn pictures_in_the_documentation_are_those_of_the_pages() {
    let mut found = 0;
    for entry in fs::read_dir(guide().join("pictures")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.to_str().unwrap().strip_suffix(".uri").map(str::to_owned) else { continue };
        let address = fs::read_to_string(&path).unwrap();
        let expected = match Path::new(&name).extension().unwrap().to_str().unwrap() {
            "svg" => format!("data:image/svg+xml,{}", in_an_address(&fs::read_to_string(&name).unwrap())),
            _ => format!("data:image/png;base64,{}", base64(&fs::read(&name).unwrap())),
        };
        assert!(address == expected, "{name} has changed: run python3 docs/guide/pictures/encode.py");
        found += 1;
    }
    assert!(found >= 6, "{found}");
}

/// An SVG in one line, without the characters that end an address in Markdown.
fn in_an_address(svg: &str) -> String {
    let line = svg.trim().lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    line.replace('"', "'").replace('%', "%25").replace('<', "%3C").replace('>', "%3E").replace('#', "%23")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(*bytes.get(i).unwrap_or(&0)));
        (0..4)
            .map(|i| if i <= bytes.len() { DIGITS[bits >> (18 - 6 * i) & 63] as char } else { '=' })
            .collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
