//! [`Csv`], a reader of tables from text and files, plain or gzipped, and [`Table`], its result.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use ndarray::{Array1, Array2, Axis};

use super::batches::train_test_split;
use crate::number::BaseFloat;

/// A reader of tables of numbers in CSV format; needs the feature `io`.
///
/// Input that begins like a gzip file is unpacked, whatever the name of the file. Spaces around fields are dropped.
/// Every field outside the label column must be a finite number.
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
}

/// A column of a table.
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

/// Rows of numbers, with class labels if there is a label column; see [`Csv`].
#[derive(Clone, Debug, PartialEq)]
pub struct Table<F> {
    /// The names of the columns of `values`: those of the header, or without one their indices in the file from 0.
    pub names: Vec<String>,
    /// The numbers, a row for each line.
    pub values: Array2<F>,
    /// The class of each row, an index into `classes`; empty without a label column.
    pub labels: Vec<usize>,
    /// The distinct labels in ascending order: as numbers if all are numbers, else as text.
    pub classes: Vec<String>,
}

/// The reason that a table could not be read. Lines and columns are counted from 1.
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
        /// The field.
        found: String,
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
            Self::Number { line, column, name, found, .. } => {
                write!(f, "line {line}, column {column}")?;
                if let Some(name) = name {
                    write!(f, " ({name})")?;
                }
                write!(f, ": expected a finite number, found {found:?}")
            }
            Self::Column { wanted, names, .. } => {
                write!(f, "expected a column {wanted}, found the columns {}", names.join(", "))
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
        | Self::Column { file, .. }) = &mut self;
        *file = Some(path.into());
        self
    }
}

impl Default for Csv {
    fn default() -> Self {
        Self::new()
    }
}

impl Csv {
    /// Comma-separated fields with a header of names in the first line, and no label column.
    pub fn new() -> Self {
        Self { header: true, delimiter: b',', labels: None }
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

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, a line and the first line differ in their number of fields, a field is not a finite
    /// number, or the label column does not exist. The error names file, line and column.
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
        let mut reader = BufReader::new(reader);
        let mut text = Vec::new();
        let read = reader.fill_buf().map(|start| start.starts_with(&[0x1f, 0x8b])).and_then(|zipped| {
            if zipped { MultiGzDecoder::new(reader).read_to_end(&mut text) } else { reader.read_to_end(&mut text) }
        });
        read.map_err(|source| TableError::Read { file: None, line: None, source })?;
        self.parse(&text)
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
        let width = names.len();
        let label_column = match &self.labels {
            None => None,
            Some(wanted) => Some(wanted.find(&names).ok_or_else(|| TableError::Column {
                file: None,
                wanted: wanted.clone(),
                names: names.clone(),
            })?),
        };

        let (mut values, mut texts, mut rows) = (Vec::new(), Vec::new(), 0);
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(refused)? {
            if record.len() != width {
                let line = line(record.position());
                return Err(TableError::Fields { file: None, line, expected: width, found: record.len() });
            }
            for (column, field) in record.iter().enumerate() {
                if Some(column) == label_column {
                    texts.push(field.to_owned());
                    continue;
                }
                let number = field.parse().ok().map(F::lit).filter(|x| x.is_finite());
                values.push(number.ok_or_else(|| TableError::Number {
                    file: None,
                    line: line(record.position()),
                    column: column + 1,
                    name: self.header.then(|| names[column].clone()),
                    found: field.into(),
                })?);
            }
            rows += 1;
        }
        if let Some(column) = label_column {
            names.remove(column);
        }
        let classes = classes(&texts);
        let place = |text: &String| classes.iter().position(|class| class == text).expect("each text is a class");
        Ok(Table {
            values: Array2::from_shape_vec((rows, names.len()), values).expect("as many numbers a row as names"),
            labels: texts.iter().map(place).collect(),
            names,
            classes,
        })
    }
}

/// The number of the line of the record after a byte offset. (The reader's own count is the line where its search for
/// the record began, before empty lines.)
fn line_at(text: &[u8], place: usize) -> u64 {
    let rest = text.get(place..).unwrap_or_default();
    let start = place + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    1 + text.iter().take(start).filter(|&&byte| byte == b'\n').count() as u64
}

/// The message of the reader's error, for text that is not UTF-8 without the reader's own count of lines.
fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => err.to_string(),
        _ => error.to_string(),
    }
}

/// The distinct texts in ascending order: as numbers if all are finite numbers, else as text.
fn classes(texts: &[String]) -> Vec<String> {
    let mut classes = texts.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let number = |text: &String| text.parse::<f64>().unwrap_or(f64::NAN);
    if classes.iter().all(|text| number(text).is_finite()) {
        classes.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    classes
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
