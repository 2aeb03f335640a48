//! Guesses at the layout of a text.

use super::error::{Fault, TableError};
use super::number;
use super::records::{Records, each, neat};

/// Delimiters, the likeliest one of equal ones first. A space stands for any number of spaces and tabs.
const DELIMITERS: [u8; 5] = [b'\t', b';', b'|', b',', b' '];

/// The lines of a text after the first `skip` ones and after all that begin with `#`, at most `take`, and the number of the
/// lines before.
pub(super) fn body(text: &str, skip: usize, take: Option<usize>) -> (u32, &str) {
    let (mut lines, mut rest) = (0, text);
    while !rest.is_empty() && ((lines as usize) < skip || rest.starts_with('#')) {
        rest = &rest[first_line(rest)..];
        lines += 1;
    }
    let Some(mut left) = take else { return (lines, rest) };
    let mut end = 0;
    while left > 0 && end < rest.len() {
        end += first_line(&rest[end..]);
        left -= 1;
    }
    (lines, &rest[..end])
}

/// The length of the first line, with its end.
fn first_line(text: &str) -> usize {
    let Some(end) = text.find(['\r', '\n']) else { return text.len() };
    end + if text[end..].starts_with("\r\n") { 2 } else { 1 }
}

/// The first lines of a text.
pub(super) fn sample(text: &str) -> &str {
    const BYTES: usize = 1 << 16;
    let Some(start) = text.as_bytes().get(..BYTES) else { return text };
    let end = start.iter().rposition(|byte| matches!(byte, b'\r' | b'\n'));
    end.map_or(text, |end| &text[..end])
}

/// The quote: `'` if every field that begins with it ends with it, in its line, and none begins with `"`.
pub(super) fn quote(sample: &str) -> u8 {
    let lines = || sample.split(['\r', '\n']).map(str::as_bytes);
    let double = lines().any(|line| (0..line.len()).any(|i| line[i] == b'"' && is_edge(line[..i].iter().rev())));
    let counts: Option<Vec<usize>> = lines().map(single_quoted).collect();
    if !double && counts.is_some_and(|counts| counts.iter().any(|&count| count > 0)) { b'\'' } else { b'"' }
}

/// The number of fields of a line between single quotes; `None` if one does not end.
fn single_quoted(line: &[u8]) -> Option<usize> {
    const QUOTE: u8 = b'\'';
    let (mut count, mut place) = (0, 0);
    while let Some(start) = line[place..].iter().position(|&byte| byte == QUOTE).map(|i| place + i) {
        place = start + 1;
        if is_edge(line[..start].iter().rev()) {
            let mut end = start + 1;
            while *line.get(end)? != QUOTE || line.get(end + 1) == Some(&QUOTE) {
                end += if line[end] == QUOTE { 2 } else { 1 };
            }
            if !is_edge(line[end + 1..].iter()) {
                return None;
            }
            (count, place) = (count + 1, end + 1);
        }
    }
    Some(count)
}

/// True if spaces and a delimiter come next, or a quote after spaces, or nothing.
fn is_edge<'a>(bytes: impl Iterator<Item = &'a u8>) -> bool {
    let mut bytes = bytes.skip_while(|byte| **byte == b' ');
    bytes.next().is_none_or(|byte| b"\t;|,'".contains(byte))
}

/// The delimiter by which most lines have the same number of fields, if that is more than one. Spaces must do so in all
/// lines, because text has spaces too, or in all but a first line of one field less, if that is not the only one.
pub(super) fn delimiter(sample: &str, quote: u8) -> u8 {
    let mut best = (b',', 0.0);
    for delimiter in DELIMITERS {
        let mut counts = Vec::new();
        let count = |record: &csv::StringRecord| {
            counts.push(record.len());
            Ok(())
        };
        let neat = neat(sample, delimiter, quote);
        if neat.and_then(|neat| each(&neat, delimiter, quote, count)).is_err() {
            continue;
        }
        if delimiter == b' ' && counts.len() > 2 && counts[0] > 1 && counts[0] + 1 == counts[1] {
            counts.remove(0);
        }
        counts.sort_unstable();
        let most = counts.chunk_by(|a, b| a == b).max_by_key(|equal| equal.len()).unwrap_or_default();
        let share = most.len() as f64 / counts.len() as f64;
        if most.first() > Some(&1) && share > best.1 && (delimiter != b' ' || share == 1.0) {
            best = (delimiter, share);
        }
    }
    best.0
}

/// True if the first row is a header: if it has text above numbers, or text and no number above numbers. A first row of
/// numbers alone is none, whatever stands below it.
pub(super) fn is_header(records: &Records) -> Result<bool, TableError> {
    const ROWS: usize = 100;
    if records.len() == 0 {
        return Ok(false);
    }
    let is_number = |field: Option<&str>| field.is_none_or(|field| number::<f64>(field).is_some());
    let (mut above, mut all) = (false, true);
    for column in 0..records.width {
        let first = records.field(0, column);
        let mut below = (1..records.len().min(ROWS)).filter_map(|row| records.field(row, column)).peekable();
        let (none, numbers) = (below.peek().is_none(), below.all(|field| is_number(Some(field))));
        match (is_number(first), numbers) {
            (false, true) if !none => return Ok(true),
            (true, true) => above |= first.is_some(),
            _ => {}
        }
        all &= is_number(first) && (first.is_some() || numbers);
    }
    match (above, all) {
        (_, true) => Ok(false),
        (true, false) => Err(TableError::from(Fault::UnclearHeader).at_line(records.lines[0])),
        (false, false) => Ok(true),
    }
}
