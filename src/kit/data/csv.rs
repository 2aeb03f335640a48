//! [`Csv`], a reader of tables from text and files, plain or gzipped, and [`Table`], its result.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use ndarray::{Array1, Array2, Axis};

use super::batches::train_test_split;
use crate::number::BaseFloat;

/// A reader of tables of numbers in CSV format; needs the feature `io`.
///
/// Input that begins like a gzip file is unpacked, whatever the name of the file. Spaces around fields are dropped.
/// Every field outside the label column must be a finite number. Lines end in `\n`, `\r\n` or `\r`.
///
/// Labels that are equal as numbers are one class: 1, 1.0 and 01. A missing label is an error, as is a missing number.
///
/// ```
/// use ndarray::array;
/// use wengert::data::{Column, Csv};
///
/// let text = "width,height,kind\n1.5, 2,cat\n0.5,4,dog\n3,1,cat\n";
/// let table = Csv::new().labels("kind").read::<f64>(text.as_bytes())?;
/// assert_eq!(table.names, ["width", "height"]);
/// assert_eq!(table.values, array![[1.5, 2.0], [0.5, 4.0], [3.0, 1.0]]);
/// assert_eq!(table.labels, [0, 1, 0]);
/// assert_eq!(table.classes, ["cat", "dog"]);
///
/// let error = Csv::new().read::<f64>(text.as_bytes()).unwrap_err();
/// assert_eq!(error.to_string(), r#"line 2, column 3 (kind): expected a finite number, found "cat""#);
///
/// // Without a header, with the labels in the last column.
/// let digits = Csv::new().header(false).labels(Column::Last).read::<f32>("0,16,7\n3,4,2".as_bytes())?;
/// assert_eq!((digits.labels, digits.classes), (vec![1, 0], vec!["2".into(), "7".into()]));
/// # Ok::<(), wengert::data::TableError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Csv {
    header: bool,
    delimiter: u8,
    labels: Option<Column>,
    limit: u64,
}

/// A column of a table. Needs the feature `io`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The column of this name in the header.
    Name(String),
    /// The column at this index, counted from 0.
    Index(usize),
    /// The last column.
    Last,
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<usize> for Column {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "named {name:?}"),
            Self::Index(index) => write!(f, "at place {index}, counted from 0"),
            Self::Last => f.write_str("that is the last"),
        }
    }
}

impl Column {
    fn find(&self, names: &[String]) -> Option<usize> {
        match self {
            Self::Name(name) => names.iter().position(|n| n == name),
            Self::Index(index) => (*index < names.len()).then_some(*index),
            Self::Last => names.len().checked_sub(1),
        }
    }
}

/// Rows of numbers, with class labels if there is a label column; see [`Csv`]. Needs the feature `io`.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<F> {
    /// The names of the columns of `values`: those of the header, or without one their indices in the file from 0.
    pub names: Vec<String>,
    /// The numbers, a row for each line.
    pub values: Array2<F>,
    /// The class of each row, an index into `classes`; empty without a label column.
    pub labels: Vec<usize>,
    /// The distinct labels: numbers in ascending order, then text in that of its bytes. A number is written as at its first
    /// place in the table.
    pub classes: Vec<String>,
}

/// The reason that a table could not be read. Lines and columns are counted from 1. Needs the feature `io`.
#[derive(Debug)]
#[non_exhaustive]
pub enum TableError {
    /// The file could not be opened, read, unpacked or taken as UTF-8.
    #[non_exhaustive]
    Read {
        /// The file, if the table came from a file.
        file: Option<PathBuf>,
        /// The line, if it is known.
        line: Option<u64>,
        /// The cause.
        source: io::Error,
    },
    /// A line has more or fewer fields than the first.
    #[non_exhaustive]
    Fields {
        /// The file, if the table came from a file.
        file: Option<PathBuf>,
        /// The line.
        line: u64,
        /// The number of fields in the first line.
        expected: usize,
        /// The number of fields in this line.
        found: usize,
    },
    /// A field is not a finite number.
    #[non_exhaustive]
    Number {
        /// The file, if the table came from a file.
        file: Option<PathBuf>,
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The column's name, if there is a header.
        name: Option<String>,
        /// The field, shortened.
        found: String,
    },
    /// A label is missing, is no finite number among numbers, or has a line break.
    #[non_exhaustive]
    Label {
        /// The file, if the table came from a file.
        file: Option<PathBuf>,
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The column's name, if there is a header.
        name: Option<String>,
        /// The label, shortened.
        found: String,
    },
    /// A name in the header is that of two columns, or has a line break.
    #[non_exhaustive]
    Header {
        /// The file, if the table came from a file.
        file: Option<PathBuf>,
        /// The name, shortened.
        name: String,
        /// The columns of this name.
        columns: Vec<usize>,
    },
    /// There is no such column.
    #[non_exhaustive]
    Column {
        /// The file, if the table came from a file.
        file: Option<PathBuf>,
        /// The column that was asked for.
        wanted: Column,
        /// The names of the existing columns.
        names: Vec<String>,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Read { file, .. }
        | Self::Fields { file, .. }
        | Self::Number { file, .. }
        | Self::Label { file, .. }
        | Self::Header { file, .. }
        | Self::Column { file, .. }) = self;
        if let Some(file) = file {
            write!(f, "{}: ", file.display())?;
        }
        match self {
            Self::Read { line: Some(line), source, .. } => write!(f, "line {line}: {source}"),
            Self::Read { source, .. } => write!(f, "{source}"),
            Self::Fields { line, expected, found, .. } => {
                write!(f, "line {line}: expected {expected} fields as in the first line, found {found}")
            }
            Self::Number { line, column, name, found, .. } | Self::Label { line, column, name, found, .. } => {
                write!(f, "line {line}, column {column}")?;
                if let Some(name) = name {
                    write!(f, " ({name})")?;
                }
                match self {
                    Self::Number { .. } => write!(f, ": expected a finite number, found {found:?}"),
                    _ if found.is_empty() => write!(f, ": the label is missing"),
                    _ if found.contains(['\n', '\r']) => {
                        write!(f, ": the label {found:?} has a line break; is a quote not closed?")
                    }
                    _ => write!(f, ": expected a label that is a finite number, as all others are, found {found:?}"),
                }
            }
            Self::Header { name, columns, .. } if columns.len() < 2 => {
                write!(f, "the column name {name:?} has a line break; is a quote not closed?")
            }
            Self::Header { name, columns, .. } => {
                write!(f, "columns {} and {} are both named {name:?}", columns[0], columns[1])
            }
            Self::Column { wanted, names, .. } if names.is_empty() => {
                write!(f, "expected a column {wanted}, found no column")
            }
            Self::Column { wanted, names, .. } => {
                let more = names.len().saturating_sub(SHOWN);
                write!(f, "expected a column {wanted}, found the columns {}", names[..names.len() - more].join(", "))?;
                if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
        }
    }
}

impl Error for TableError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl TableError {
    fn in_file(mut self, path: &Path) -> Self {
        let (Self::Read { file, .. }
        | Self::Fields { file, .. }
        | Self::Number { file, .. }
        | Self::Label { file, .. }
        | Self::Header { file, .. }
        | Self::Column { file, .. }) = &mut self;
        *file = Some(path.into());
        self
    }
}

/// The number of columns that a message names, and of bytes that it shows of a field.
const SHOWN: usize = 50;

/// A text as a message shows it: of a long one the beginning.
fn shortened(text: &str) -> String {
    if text.len() <= 2 * SHOWN {
        return text.into();
    }
    let end = (0..=SHOWN).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

impl Default for Csv {
    fn default() -> Self {
        Self::new()
    }
}

impl Csv {
    /// Comma-separated fields with a header of names in the first line, no label column, and a limit of 256 MiB.
    pub fn new() -> Self {
        Self { header: true, delimiter: b',', labels: None, limit: 256 << 20 }
    }

    /// Sets whether the first line is a header.
    #[must_use]
    pub fn header(self, header: bool) -> Self {
        Self { header, ..self }
    }

    /// Sets the byte between fields, such as `b';'` or `b'\t'`.
    #[must_use]
    pub fn delimiter(self, delimiter: u8) -> Self {
        Self { delimiter, ..self }
    }

    /// Sets the column of class labels, which may be text.
    #[must_use]
    pub fn labels(self, column: impl Into<Column>) -> Self {
        Self { labels: Some(column.into()), ..self }
    }

    /// Sets the greatest size of the text in bytes, unpacked: a gzip file of 1 MB may hold a thousand times as much.
    #[must_use]
    pub fn limit(self, bytes: u64) -> Self {
        Self { limit: bytes, ..self }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or unpacked, its text is longer than the [limit](Self::limit) or not UTF-8, a line and the
    /// first line differ in their number of fields, a field is not a finite number, a label is missing (or no finite number
    /// where all others are), the label column does not exist, or two columns have the same name. The error names file,
    /// line and column. A name or a label with a line break is refused, because it comes from a quote that is not closed.
    pub fn open<F: BaseFloat>(&self, path: impl AsRef<Path>) -> Result<Table<F>, TableError> {
        let path = path.as_ref();
        let open =
            || self.read(File::open(path).map_err(|source| TableError::Read { file: None, line: None, source })?);
        open().map_err(|error| error.in_file(path))
    }

    /// Reads everything from a reader.
    ///
    /// # Errors
    ///
    /// Same as for [`open`](Self::open), without the name of a file.
    pub fn read<F: BaseFloat>(&self, reader: impl Read) -> Result<Table<F>, TableError> {
        let text = self.unpacked(reader).map_err(|source| TableError::Read { file: None, line: None, source })?;
        self.parse(&text)
    }

    /// The text, unpacked if it begins like a gzip file; such a file may have several members.
    fn unpacked(&self, reader: impl Read) -> io::Result<Vec<u8>> {
        const MAGIC: &[u8] = &[0x1f, 0x8b];
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let read = |reader: &mut dyn Read, text: &mut Vec<u8>| {
            // One byte more than the limit shows that there is more.
            let left = self.limit.saturating_add(1).saturating_sub(text.len() as u64);
            reader.take(left).read_to_end(text)?;
            if text.len() as u64 > self.limit {
                let limit = self.limit;
                return Err(invalid(format!(
                    "there are more than {limit} bytes of text; `Csv::limit` sets this limit"
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

    fn parse<F: BaseFloat>(&self, text: &[u8]) -> Result<Table<F>, TableError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(self.header)
            .delimiter(self.delimiter)
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(text);
        let line = |position: Option<&csv::Position>| line_at(text, position.map_or(0, |p| p.byte() as usize));
        let refused = |error: csv::Error| TableError::Read {
            file: None,
            line: Some(line(error.position())),
            source: io::Error::new(io::ErrorKind::InvalidData, reason(&error)),
        };
        // Without a header this is the first row, which `read_record` returns once more.
        let first = reader.headers().map_err(refused)?;
        let mut names: Vec<String> = if self.header {
            first.iter().map(Into::into).collect()
        } else {
            (0..first.len()).map(|i| i.to_string()).collect()
        };
        if self.header {
            check_names(&names)?;
        }
        let width = names.len();
        let label_column = match &self.labels {
            None => None,
            Some(wanted) => Some(wanted.find(&names).ok_or_else(|| TableError::Column {
                file: None,
                wanted: wanted.clone(),
                names: names.iter().map(|name| shortened(name)).collect(),
            })?),
        };

        let (mut values, mut labels, mut rows) = (Vec::new(), Labels::default(), 0);
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(refused)? {
            if record.len() != width {
                let line = line(record.position());
                return Err(TableError::Fields { file: None, line, expected: width, found: record.len() });
            }
            for (column, field) in record.iter().enumerate() {
                let name = || self.header.then(|| shortened(&names[column]));
                if Some(column) == label_column {
                    if field.is_empty() || field.contains(['\n', '\r']) {
                        let (line, found) = (line(record.position()), shortened(field));
                        return Err(TableError::Label { file: None, line, column: column + 1, name: name(), found });
                    }
                    labels.push(field, record.position().map_or(0, csv::Position::byte));
                    continue;
                }
                // Not by way of `f64`, which would round an `f32` twice.
                let number = F::from_str_radix(field, 10).ok().filter(|x| x.is_finite());
                values.push(number.ok_or_else(|| TableError::Number {
                    file: None,
                    line: line(record.position()),
                    column: column + 1,
                    name: name(),
                    found: shortened(field),
                })?);
            }
            rows += 1;
        }
        let (mut classes, mut of_rows) = (Vec::new(), Vec::new());
        if let Some(column) = label_column {
            let name = names.remove(column);
            (classes, of_rows) = labels.sorted().map_err(|(found, place)| TableError::Label {
                file: None,
                line: line_at(text, place as usize),
                column: column + 1,
                name: self.header.then(|| shortened(&name)),
                found: shortened(&found),
            })?;
        }
        Ok(Table {
            values: Array2::from_shape_vec((rows, names.len()), values).expect("as many numbers a row as names"),
            labels: of_rows,
            names,
            classes,
        })
    }
}

/// Refuses a name that occurs twice, and one with a line break.
fn check_names(names: &[String]) -> Result<(), TableError> {
    let mut seen = HashMap::new();
    for (column, name) in names.iter().enumerate() {
        let broken = name.contains(['\n', '\r']);
        let columns = seen.insert(name, column + 1).into_iter().chain([column + 1]).collect::<Vec<_>>();
        if broken || columns.len() > 1 {
            let columns = if broken { vec![column + 1] } else { columns };
            return Err(TableError::Header { file: None, name: shortened(name), columns });
        }
    }
    Ok(())
}

/// The number of the line of the record after a byte offset. (The reader's own count is the line where its search for
/// the record began, before empty lines.)
fn line_at(text: &[u8], place: usize) -> u64 {
    let rest = text.get(place..).unwrap_or_default();
    let start = place + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    // A line ends in \n or in a \r without \n after it.
    let ends = |i: &usize| text[*i] == b'\n' || text[*i] == b'\r' && text.get(i + 1) != Some(&b'\n');
    1 + (0..start).filter(ends).count() as u64
}

/// The message of the reader's error, for text that is not UTF-8 without the reader's own count of lines.
fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => err.to_string(),
        _ => error.to_string(),
    }
}

/// The labels of a table, while it is read.
#[derive(Default)]
struct Labels {
    /// The distinct texts in the order of their first places, with these places, and the number of each.
    texts: Vec<(String, u64)>,
    numbers: HashMap<String, usize>,
    /// The number of each row's text.
    rows: Vec<usize>,
}

impl Labels {
    fn push(&mut self, text: &str, place: u64) {
        let number = self.numbers.get(text).copied().unwrap_or_else(|| {
            self.numbers.insert(text.into(), self.texts.len());
            self.texts.push((text.into(), place));
            self.texts.len() - 1
        });
        self.rows.push(number);
    }

    /// The classes, sorted, and the class of each row. Fails with a text, and its place, that is an infinite number or NaN
    /// where all others are finite.
    fn sorted(self) -> Result<(Vec<String>, Vec<usize>), (String, u64)> {
        let keys: Vec<Label<'_>> = self.texts.iter().map(|(text, _)| Label::new(text)).collect();
        let odd = |text: &str| text.parse::<f64>().is_ok_and(|x| !x.is_finite());
        let is_text = |i: &usize| matches!(keys[*i], Label::Text(_));
        if keys.iter().any(|key| matches!(key, Label::Number(_)))
            && let Some(first) = (0..keys.len()).find(is_text)
            && (0..keys.len()).filter(is_text).all(|i| odd(&self.texts[i].0))
        {
            return Err(self.texts[first].clone());
        }
        // The sort keeps the order of equal ones, so that the first of them stands for all.
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|&i, &j| keys[i].cmp(&keys[j]));
        let (mut classes, mut of_texts) = (Vec::new(), vec![0; keys.len()]);
        for (k, &i) in order.iter().enumerate() {
            if k == 0 || keys[order[k - 1]] != keys[i] {
                classes.push(self.texts[i].0.clone());
            }
            of_texts[i] = classes.len() - 1;
        }
        Ok((classes, self.rows.iter().map(|&text| of_texts[text]).collect()))
    }
}

/// A label as it is compared: by its number if it is a finite one, exactly (two long numbers may be the same `f64`), before
/// all other text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Label<'a> {
    Number(Decimal),
    Text(&'a str),
}

impl<'a> Label<'a> {
    fn new(text: &'a str) -> Self {
        let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
        Decimal::new(text).filter(|_| finite).map_or(Self::Text(text), Self::Number)
    }
}

/// A decimal number: ± 0.d₁d₂d₃… · 10^exponent with d₁ ≠ 0 and no 0 at the end; without digits, 0.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    exponent: i64,
    digits: Vec<u8>,
}

impl Decimal {
    /// The number of a text that `f64` accepts as a finite one.
    fn new(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let text = text.trim_start_matches(['+', '-']);
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
        digits.drain(..zeros);
        digits.truncate(digits.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1));
        if digits.is_empty() {
            return Some(Self { negative: false, exponent: 0, digits });
        }
        let exponent: i64 = exponent.parse().ok()?;
        Some(Self { negative, exponent: exponent.checked_add(whole.len() as i64 - zeros as i64)?, digits })
    }

    /// Compares absolute values.
    fn size(&self, other: &Self) -> Ordering {
        let key = |x: &Self| (!x.digits.is_empty(), x.exponent);
        key(self).cmp(&key(other)).then_with(|| self.digits.cmp(&other.digits))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        other.negative.cmp(&self.negative).then_with(|| {
            let size = self.size(other);
            if self.negative { size.reverse() } else { size }
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<F: BaseFloat> Table<F> {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.values.nrows()
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes a column and returns it, for example as the target of a regression.
    ///
    /// ```
    /// let mut table = wengert::data::Csv::new().read::<f64>("x,y\n1,2\n3,4".as_bytes())?;
    /// assert_eq!(table.take("y")?, ndarray::array![2.0, 4.0]);
    /// assert_eq!(table.values, ndarray::array![[1.0], [3.0]]);
    /// # Ok::<(), wengert::data::TableError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the column does not exist.
    pub fn take(&mut self, column: impl Into<Column>) -> Result<Array1<F>, TableError> {
        let wanted = column.into();
        let Some(place) = wanted.find(&self.names) else {
            return Err(TableError::Column { file: None, wanted, names: self.names.clone() });
        };
        let taken = self.values.column(place).to_owned();
        let rest: Vec<usize> = (0..self.names.len()).filter(|&other| other != place).collect();
        self.values = self.values.select(Axis(1), &rest);
        self.names.remove(place);
        Ok(taken)
    }

    /// A table of the given rows, for example of those of a [split](crate::data::train_test_split).
    ///
    /// # Panics
    ///
    /// If a row is out of range.
    #[track_caller]
    pub fn select(&self, rows: &[usize]) -> Self {
        if let Some(row) = rows.iter().find(|&&row| row >= self.len()) {
            panic!("Table::select: row {row} is out of range for {} rows", self.len());
        }
        let labels =
            if self.labels.is_empty() { Vec::new() } else { rows.iter().map(|&row| self.labels[row]).collect() };
        Self {
            names: self.names.clone(),
            values: self.values.select(Axis(0), rows),
            labels,
            classes: self.classes.clone(),
        }
    }

    /// Splits the rows at random into a training table and a table of `test` rows for the test.
    ///
    /// # Panics
    ///
    /// If `test` is greater than the number of rows.
    #[track_caller]
    pub fn split(&self, test: usize, seed: u64) -> (Self, Self) {
        let (train, test) = train_test_split(self.len(), test, seed);
        (self.select(&train), self.select(&test))
    }
}
