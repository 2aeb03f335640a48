//! [`Records`]: the fields of a text, by the crate `csv`.

use std::io::Read;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::error::{Fault, TableError};
use super::number;

/// The fields of a text, row after row in one string; a missing one is empty.
#[derive(Debug, Default)]
pub(super) struct Records {
    text: String,
    /// The end of each field in `text`. The limit of the text keeps it below 4 GiB.
    ends: Vec<u32>,
    /// The number of fields of a row.
    pub(super) width: usize,
    /// The line in which each row begins.
    pub(super) lines: Vec<u32>,
    pub(super) first: FirstLine,
    /// The texts of the record that is a header if there is one, among them words for missing fields.
    names: Vec<String>,
    /// The line of that record.
    pub(super) top: u32,
}

/// The first line, where that is no row of as many fields as the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum FirstLine {
    #[default]
    Row,
    /// So many names, for all columns but the first: a header as R writes it.
    Names(usize),
    /// So many fields of scikit-learn's summary: the number of rows, that of columns but one, then names of classes.
    Summary(usize),
}

impl Records {
    /// Reads a [neat] text that stands after some other lines.
    pub(super) fn read(
        text: &str,
        delimiter: u8,
        quote: u8,
        missing: &[String],
        before: u32,
    ) -> Result<Self, TableError> {
        let (mut records, mut heads) = (Self::default(), Vec::new());
        let mut lines = Lines { text: text.as_bytes(), place: 0, line: 1 + before };
        let whole = each(text, delimiter, quote, |record| {
            let (line, found) = (lines.at(record.position().map_or(0, csv::Position::byte)), record.len());
            if records.lines.is_empty() {
                records.width = found;
            } else if records.lines.len() == 1 {
                records.first = records.first_line(delimiter, record);
                records.width = if records.first == FirstLine::Row { records.width } else { found };
            }
            if heads.len() < 2 {
                heads.push(record.iter().map(String::from).collect());
            }
            records.lines.push(line);
            if found != records.width {
                return Err(TableError::from(Fault::Fields { expected: records.width, found }).at_line(line));
            }
            for field in record {
                if !missing.iter().any(|word| word == field) {
                    records.text.push_str(field);
                }
                records.ends.push(records.text.len() as u32);
            }
            Ok(())
        })?;
        if !whole {
            return Err(TableError::from(Fault::Quote).at_line(records.lines.last().map_or(1, |&line| line)));
        }
        records.check_first_line(heads)
    }

    /// What the only line so far may be before a second one.
    fn first_line(&self, delimiter: u8, second: &StringRecord) -> FirstLine {
        let (first, width) = (self.width, second.len());
        let count = |column| self.text_at(column).parse::<usize>().ok();
        let is_number = |text: &str| number::<f64>(text).is_some();
        let has_counts = || count(0).is_some() && count(1) == width.checked_sub(1);
        // Names stand above numbers, or above nothing; in a row they would stand above other names.
        let is_name = |column| !is_number(self.text_at(column)) && second.get(column).is_none_or(is_number);
        if first > 2 && has_counts() && (2..first).all(is_name) {
            FirstLine::Summary(first)
        } else if first > 1 && first + 1 == width && delimiter == b' ' {
            FirstLine::Names(first)
        } else {
            FirstLine::Row
        }
    }

    /// Takes the first line for a row after all if it is the summary of another number of rows. `heads` are the texts of the
    /// first two records.
    fn check_first_line(mut self, mut heads: Vec<Vec<String>>) -> Result<Self, TableError> {
        if let FirstLine::Summary(first) = self.first
            && self.text_at(0) != (self.lines.len() - 1).to_string()
        {
            self.first = FirstLine::Row;
            if first != self.width {
                let fault = Fault::Fields { expected: first, found: self.width };
                return Err(TableError::from(fault).at_line(self.lines[1]));
            }
        }
        // A header would stand below a summary.
        let place = usize::from(matches!(self.first, FirstLine::Summary(_)));
        if place < heads.len() {
            (self.top, self.names) = (self.lines[place], heads.swap_remove(place));
        }
        if self.first != FirstLine::Row {
            self.lines.remove(0);
        }
        Ok(self)
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// A field; `None` if it is missing.
    pub(super) fn field(&self, row: usize, column: usize) -> Option<&str> {
        let before = match self.first {
            FirstLine::Row => 0,
            FirstLine::Names(fields) | FirstLine::Summary(fields) => fields,
        };
        Some(self.text_at(before + row * self.width + column)).filter(|field| !field.is_empty())
    }

    /// The name of a column in the header, if it has one there.
    pub(super) fn name(&self, column: usize) -> Option<&str> {
        // A header as R writes it has no name for the first column.
        let place = column.checked_sub(usize::from(matches!(self.first, FirstLine::Names(_))));
        place.map(|place| self.names[place].as_str()).filter(|name| !name.is_empty())
    }

    fn text_at(&self, place: usize) -> &str {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[place] as usize]
    }
}

/// Calls `f` with each record of a text, spaces around fields dropped. False if the last quoted field does not end.
pub(super) fn each(
    text: &str,
    delimiter: u8,
    quote: u8,
    mut f: impl FnMut(&StringRecord) -> Result<(), TableError>,
) -> Result<bool, TableError> {
    // A record of one control character stands behind the text, or within its last field if that does not end.
    let mark = [1, 2, 3].into_iter().find(|byte| ![delimiter, quote].contains(byte)).expect("one of three is free");
    let end = [b'\n', mark, b'\n'];
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .quote(quote)
        .trim(Trim::All)
        .from_reader(text.as_bytes().chain(&end[..]));
    let invalid = |error: csv::Error| TableError::invalid(error.to_string());
    let (mut record, mut next) = (StringRecord::new(), StringRecord::new());
    let mut is_first = true;
    while reader.read_record(&mut next).map_err(invalid)? {
        if !std::mem::take(&mut is_first) {
            f(&record)?;
        }
        std::mem::swap(&mut record, &mut next);
    }
    let whole = record.len() == 1 && record[0].as_bytes() == [mark];
    if !whole && !is_first {
        f(&record)?;
    }
    Ok(whole)
}

/// A walk through the lines of a text.
struct Lines<'a> {
    text: &'a [u8],
    place: usize,
    line: u32,
}

impl Lines<'_> {
    /// The line of the first record at or after a place that is not before that of the last call. (The reader's own count is
    /// the line where its search for the record began, before empty lines.)
    fn at(&mut self, place: u64) -> u32 {
        let place = (place as usize).clamp(self.place, self.text.len());
        let empty = self.text[place..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.line += line_ends(&self.text[self.place..place + empty]);
        self.place = place + empty;
        self.line
    }
}

/// The number of line ends: `\n`, `\r\n` or `\r`.
pub(super) fn line_ends(text: &[u8]) -> u32 {
    let ends = |i: &usize| text[*i] == b'\n' || text[*i] == b'\r' && text.get(i + 1) != Some(&b'\n');
    (0..text.len()).filter(ends).count() as u32
}

/// The text without spaces and tabs around its fields, except within quotes, so that a quote is the first character of its
/// field. With the delimiter space, one space is left of any number of spaces and tabs between fields.
///
/// Fails if there are more than 2²⁰ fields in a line, for which memory would run out first.
pub(super) fn neat(text: &str, delimiter: u8, quote: u8) -> Result<String, TableError> {
    const COLUMNS: usize = 1 << 20;
    #[derive(PartialEq)]
    enum Place {
        Start,
        Within,
        Quoted,
        /// After a quote that ends a field, or is the first of two.
        Quote,
    }
    let mut neat = Vec::with_capacity(text.len());
    let (mut place, mut spaces, mut fields) = (Place::Start, 0..0, 0);
    for (i, &byte) in text.as_bytes().iter().enumerate() {
        if place == Place::Quoted {
            neat.push(byte);
            if byte == quote {
                place = Place::Quote;
            }
            continue;
        }
        let is_end = matches!(byte, b'\r' | b'\n') || byte == delimiter && byte != b' ';
        if matches!(byte, b' ' | b'\t') && !is_end {
            spaces = if spaces.is_empty() { i..i + 1 } else { spaces.start..i + 1 };
            if place == Place::Quote {
                place = Place::Within;
            }
            continue;
        }
        if !spaces.is_empty() && place != Place::Start && !is_end {
            if delimiter == b' ' {
                neat.push(b' ');
                place = Place::Start;
                fields += 1;
            } else {
                neat.extend(&text.as_bytes()[spaces.clone()]);
            }
        }
        spaces = 0..0;
        neat.push(byte);
        fields = if matches!(byte, b'\r' | b'\n') { 0 } else { fields + usize::from(is_end) };
        if fields >= COLUMNS {
            return Err(TableError::invalid(format!("a line has more than {COLUMNS} fields")));
        }
        place = match place {
            _ if is_end => Place::Start,
            Place::Start | Place::Quote if byte == quote => Place::Quoted,
            _ => Place::Within,
        };
    }
    Ok(String::from_utf8(neat).expect("a text without some of its spaces"))
}
