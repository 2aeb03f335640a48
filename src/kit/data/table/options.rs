//! [`TableOptions`]: the reader of tables.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::Table;
use super::error::{Fault, TableError};
use super::guess;
use super::records::{FirstLine, Records, line_ends, neat};

/// The layout of a table's text; an option that is not set is guessed from the text. Needs the feature `io`.
///
/// Input that begins like a gzip file is unpacked, whatever the name of the file. Lines end in `\n`, `\r\n` or `\r`; spaces
/// around fields and empty lines are dropped, as are lines at the beginning that begin with `#`. A quoted field may have
/// delimiters and line ends in it.
///
/// | | guessed as |
/// |---|---|
/// | [`delimiter`](Self::delimiter) | tab, `;`, `|`, `,` or spaces: the one by which most lines (for spaces, all) have the same number of fields |
/// | [`quote`](Self::quote) | `'` if every field that begins with it ends with it, and none begins with `"`; else `"` |
/// | [`header`](Self::header) | false if every field of the first line is a number, also above text; true if one is text above numbers, or if no number stands above numbers; else an error |
///
/// The first line of scikit-learn's own files (the numbers of rows and of columns but one, then names of classes) is left
/// out. A header as R writes it, between spaces and without a name for the first column, is taken as such.
///
/// ```
/// use wengert::data::TableOptions;
///
/// let text = "made by hand\n1;'a;b'\n2;unknown\n";
/// let table = TableOptions::new().skip(1).header(false).missing(&["unknown"]).read(text.as_bytes())?;
/// assert_eq!(table.names(), ["0", "1"]);
/// assert_eq!(table.texts(1)?.collect::<Vec<_>>(), [Some("a;b"), None]);
/// # Ok::<(), wengert::data::TableError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TableOptions {
    header: Option<bool>,
    delimiter: Option<u8>,
    quote: Option<u8>,
    skip: usize,
    take: Option<usize>,
    missing: Vec<String>,
    limit: u64,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TableOptions {
    /// Options that leave everything to guesses, with the missing words `NA`, `<NA>`, `N/A`, `#N/A`, `n/a`, `NaN`, `nan`,
    /// `null`, `NULL`, `?` and a limit of 256 MiB.
    ///
    /// `None` is no such word, because it often is a category (no pool, no garage); [`missing`](Self::missing) sets it for
    /// files that Python wrote.
    pub fn new() -> Self {
        let missing =
            ["NA", "<NA>", "N/A", "#N/A", "n/a", "NaN", "nan", "null", "NULL", "?"].map(String::from).to_vec();
        Self { header: None, delimiter: None, quote: None, skip: 0, take: None, missing, limit: 256 << 20 }
    }

    /// Sets whether the first line is a header of names. Without one the names are `0`, `1` and so on.
    #[must_use]
    pub fn header(self, header: bool) -> Self {
        Self { header: Some(header), ..self }
    }

    /// Sets the byte between fields, such as `b';'` or `b'\t'`; `b' '` stands for any number of spaces and tabs.
    ///
    /// # Panics
    ///
    /// If the byte is not ASCII, or is that of a line end.
    #[track_caller]
    #[must_use]
    pub fn delimiter(self, delimiter: u8) -> Self {
        assert_separates("delimiter", delimiter);
        Self { delimiter: Some(delimiter), ..self }
    }

    /// Sets the byte around quoted fields. Twice in a quoted field it stands for itself.
    ///
    /// # Panics
    ///
    /// If the byte is not ASCII, or is that of a line end.
    #[track_caller]
    #[must_use]
    pub fn quote(self, quote: u8) -> Self {
        assert_separates("quote", quote);
        Self { quote: Some(quote), ..self }
    }

    /// Sets the number of lines at the beginning that are left out.
    #[must_use]
    pub fn skip(self, lines: usize) -> Self {
        Self { skip: lines, ..self }
    }

    /// Sets the number of lines that are read after the [skipped](Self::skip) ones, the header included, where text follows
    /// the table.
    #[must_use]
    pub fn take(self, lines: usize) -> Self {
        Self { take: Some(lines), ..self }
    }

    /// Sets the words that stand for a missing field, instead of those of [`new`](Self::new). An empty field is always
    /// missing. In a header such a word is a name like any other.
    #[must_use]
    pub fn missing(self, words: &[&str]) -> Self {
        Self { missing: words.iter().map(|&word| word.into()).collect(), ..self }
    }

    /// Sets the greatest size of the text in bytes, unpacked: a gzip file of 1 MB may hold a thousand times as much. Reading
    /// takes up to sixteen times the memory of the text, where fields and lines are short, and up to 128 bytes for each column.
    #[must_use]
    pub fn limit(self, bytes: u64) -> Self {
        Self { limit: bytes, ..self }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or unpacked; its text is longer than the [limit](Self::limit) or not UTF-8; a line and the
    /// first line differ in their number of fields; a quoted field does not end; two columns have the same name; or the
    /// first line may be a header or a row. The error names file and line.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Table, TableError> {
        let path = path.as_ref();
        let read = || self.read(File::open(path).map_err(Fault::Read)?);
        let table = read().map_err(|error| error.in_file(path))?;
        Ok(Table { file: Some(path.into()), ..table })
    }

    /// Reads everything from a reader, such as the bytes of a text.
    ///
    /// # Errors
    ///
    /// Same as for [`open`](Self::open), without the name of a file.
    pub fn read(&self, reader: impl Read) -> Result<Table, TableError> {
        let bytes = self.unpacked(reader).map_err(Fault::Read)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let reason = "the text is not UTF-8; `TableOptions::read` takes what another decoder makes of the bytes";
            TableError::invalid(reason).at_line(1 + line_ends(before))
        })?;
        self.parse(text.trim_start_matches('\u{feff}'))
    }

    /// The text, unpacked if it begins like a gzip file; such a file may have several members.
    fn unpacked(&self, reader: impl Read) -> io::Result<Vec<u8>> {
        const MAGIC: &[u8] = &[0x1f, 0x8b];
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        // The places of fields are `u32`.
        let limit = self.limit.min(u64::from(u32::MAX));
        let read = |reader: &mut dyn Read, text: &mut Vec<u8>| {
            // One byte more than the limit shows that there is more.
            reader.take((limit + 1).saturating_sub(text.len() as u64)).read_to_end(text)?;
            if text.len() as u64 > limit {
                return Err(invalid(format!(
                    "there are more than {limit} bytes of text; `TableOptions::limit` sets this limit"
                )));
            }
            Ok(())
        };
        let mut reader = reader;
        let mut packed = Vec::new();
        read(&mut reader, &mut packed)?;
        if !packed.starts_with(MAGIC) {
            return Ok(packed);
        }
        let (mut rest, mut text) = (&packed[..], Vec::new());
        while !rest.is_empty() {
            if !rest.starts_with(MAGIC) {
                return Err(invalid(format!("{} bytes follow the gzip data, which end before them", rest.len())));
            }
            read(&mut GzDecoder::new(&mut rest), &mut text).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the gzip data end too early"),
                _ => error,
            })?;
        }
        Ok(text)
    }

    fn parse(&self, text: &str) -> Result<Table, TableError> {
        let (before, text) = guess::body(text, self.skip, self.take);
        let sample = guess::sample(text);
        let quote = self.quote.unwrap_or_else(|| guess::quote(sample));
        let delimiter = self.delimiter.unwrap_or_else(|| guess::delimiter(sample, quote));
        let text = neat(text, delimiter, quote)?;
        let records = Records::read(&text, delimiter, quote, &self.missing, before)?;
        let header = match (self.header, records.first) {
            (Some(false), FirstLine::Names(expected)) => {
                let fault = Fault::Fields { expected, found: records.width };
                return Err(TableError::from(fault).at_line(records.lines[0]));
            }
            (Some(header), _) => header,
            (None, FirstLine::Names(_)) => true,
            (None, FirstLine::Summary(_)) => false,
            (None, FirstLine::Row) => guess::is_header(&records)?,
        };
        Table::of(records, header)
    }
}

#[track_caller]
fn assert_separates(name: &str, byte: u8) {
    assert!(
        byte.is_ascii() && !matches!(byte, b'\n' | b'\r'),
        "TableOptions::{name}: {byte:#04x} is no ASCII character within a line"
    );
}
