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
            if is_name || programs.contains(begin) {
                found += 1;
            } else {
                missing.push(format!("{page}: {code}"));
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

/// The addresses of links and pictures in a page, outside of code.
fn links(page: &str) -> Vec<String> {
    let text: String = page.split("```").step_by(2).collect();
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned);
    let labels = text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
    inline.chain(labels.map(|(_, address)| address.to_owned())).collect()
}

/// The labels of links that a page uses: `[text][label]`.
fn labels(page: &str) -> Vec<String> {
    let text: String = page.split("```").step_by(2).collect();
    let prose: String = text.split('`').step_by(2).collect();
    prose.split("][").skip(1).filter_map(|rest| rest.split(']').next()).map(str::to_owned).collect()
}

/// The anchor of a heading, as forges make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for folder in [root.join("docs"), guide()] {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    let mut wrong = Vec::new();
    let mut found = 0;
    for page in pages.iter().filter(|page| !page.ends_with("labels.md")) {
        let text = fs::read_to_string(page).unwrap();
        let mut check = |holds: bool, what: String| {
            if holds {
                found += 1;
            } else {
                wrong.push(format!("{}: {what}", page.strip_prefix(root).unwrap().display()));
            }
        };
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            // The package has no peers.
            let shipped = !target.components().any(|part| part.as_os_str() == "peers");
            check(!shipped || target.exists(), format!("no file {link}"));
            if !heading.is_empty() && target.exists() {
                let headings = fs::read_to_string(&target).unwrap();
                let headings = headings.lines().filter_map(|line| line.strip_prefix('#'));
                check(
                    headings.map(|heading| anchor(heading.trim_start_matches('#'))).any(|anchor| anchor == heading),
                    format!("no heading {link}"),
                );
            }
        }
        for label in labels(&text) {
            check(text.contains(&format!("\n[{label}]: ")), format!("no label {label}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found > 150, "{found}");
}
