//! [`Table`]: rows of text fields, read from files, that become arrays of numbers.
//!
//! | file | content |
//! |---|---|
//! | `mod.rs` | [`Table`], [`Column`] |
//! | `options.rs` | [`TableOptions`]: files and readers |
//! | `guess.rs` | the guesses at delimiter, quote and header |
//! | `records.rs` | the fields of a text |
//! | `encoding.rs` | [`Feature`], [`Encoding`]: columns as numbers |
//! | `classes.rs` | [`Classes`]: text as labels |
//! | `dates.rs` | dates as numbers |
//! | `error.rs` | [`TableError`] |

mod classes;
mod dates;
mod encoding;
mod error;
mod guess;
mod options;
mod records;

pub use classes::Classes;
pub use encoding::{Encoding, Feature, Fill};
pub use error::{Fault, TableError};
pub use options::TableOptions;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array1, Array2, Axis};

use super::splits::train_test_split;
use crate::number::BaseFloat;
use crate::text;
use dates::{Guess, guess};
use error::{in_line, shortened};
use records::{FirstLine, Records};

/// A table with named columns of text, numbers or dates, from a CSV file and its like. Needs the feature `io`.
///
/// A table keeps its fields as text. [`features`](Self::features) makes arrays of numbers of its columns, and
/// [`classes`](Self::classes) labels; a field that does not fit is an error that names file, line and column. A missing field
/// is an error too, unless something [fills](Feature::fill) it or its row is [left out](Self::without_missing).
///
/// ```
/// use ndarray::array;
/// use wengert::data::{Feature, Fill, Table};
///
/// let text = "id;kind;width;colour\n1;cat;1.5;red\n2;dog;0.5;black\n3;cat;NA;red\n";
/// let table = Table::read(text.as_bytes())?; // `Table::open` reads a file
/// assert_eq!(table.to_string(), "\
/// column  kind     missing  first
/// id      numbers        0  1
/// kind    text           0  cat
/// width   numbers        1  1.5
/// colour  text           0  red
/// 3 rows");
///
/// let x = table.features::<f64>([Feature::from("width").fill(Fill::Median), Feature::one_hot("colour")])?;
/// assert_eq!(x, array![[1.5, 0.0, 1.0], [0.5, 1.0, 0.0], [1.0, 0.0, 1.0]]);
/// let kinds = table.classes("kind")?;
/// assert_eq!(kinds.labels(&table)?, [0, 1, 0]);
///
/// let error = table.features::<f64>(["width"]).unwrap_err();
/// assert!(error.to_string().starts_with("line 4, column 3 (width): the field is missing"));
/// let whole = table.without_missing(["width"])?;
/// assert_eq!((table.len(), whole.len()), (3, 2));
/// assert_eq!(whole.target::<f32>("width")?, array![1.5, 0.5]);
/// # Ok::<(), wengert::data::TableError>(())
/// ```
#[derive(Clone)]
pub struct Table {
    /// The file, if the table came from a file.
    file: Option<PathBuf>,
    records: Arc<Records>,
    /// True if the first line of the file has the names.
    header: bool,
    names: Vec<String>,
    /// The places of the columns in the file.
    columns: Vec<usize>,
    /// The numbers of the rows in the file.
    rows: Vec<u32>,
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

impl From<&String> for Column {
    fn from(name: &String) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for Column {
    fn from(name: String) -> Self {
        Self::Name(name)
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
            Self::Name(name) => write!(f, "named {:?}", shortened(name)),
            Self::Index(index) => write!(f, "at place {index}, counted from 0"),
            Self::Last => f.write_str("that is the last"),
        }
    }
}

/// The kind of a column, by its fields that are not missing. Needs the feature `io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Finite numbers.
    Numbers,
    /// Dates of a form that [`Feature::dates`] knows, or of two such forms, or with years of two digits.
    Dates,
    /// Other text.
    Text,
    /// Nothing but missing fields.
    Empty,
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Numbers => "numbers",
            Self::Dates => "dates",
            Self::Text => "text",
            Self::Empty => "empty",
        })
    }
}

/// A finite number. (Not by way of `f64`, which would round an `f32` twice.)
fn number<F: BaseFloat>(text: &str) -> Option<F> {
    F::from_str_radix(text, 10).ok().filter(|x| x.is_finite())
}

impl Table {
    /// Reads a file, plain or gzipped, and guesses its layout as [`TableOptions`] says.
    ///
    /// # Errors
    ///
    /// Same as for [`TableOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TableError> {
        TableOptions::new().open(path)
    }

    /// Reads everything from a reader, such as the bytes of a text, and guesses its layout as [`TableOptions`] says.
    ///
    /// # Errors
    ///
    /// Same as for [`TableOptions::read`].
    pub fn read(reader: impl Read) -> Result<Self, TableError> {
        TableOptions::new().read(reader)
    }

    /// The table of all records, of which the first has the names if there is a header.
    fn of(records: Records, header: bool) -> Result<Self, TableError> {
        let is_row = !matches!(records.first, FirstLine::Names(_));
        let (columns, header) = (0..records.width, header && records.len() > 0);
        let given = |column: usize| records.name(column).filter(|_| header);
        let taken: HashSet<&str> = columns.clone().filter_map(given).collect();
        // A column without a name gets its place as one.
        let place = |column: usize| {
            let mut place = column.to_string();
            while taken.contains(place.as_str()) {
                place.push('_');
            }
            place
        };
        let name = |column: usize| given(column).map_or_else(|| place(column), Into::into);
        let names: Vec<String> = columns.clone().map(name).collect();
        let mut seen = HashMap::new();
        for (column, name) in names.iter().enumerate() {
            if let Some(before) = seen.insert(name, column) {
                let fault = Fault::SameName { columns: [before + 1, column + 1] };
                let error = TableError { column: Some(column + 1), name: Some(name.clone()), ..fault.into() };
                return Err(error.at_line(records.top));
            }
        }
        let rows = (u32::from(header && is_row)..records.len() as u32).collect();
        Ok(Self { file: None, records: records.into(), header, names, columns: columns.collect(), rows })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names of the columns: those of the header, or without one their places in the file from 0.
    ///
    /// A column without a name in a header has its place too, with `_` behind it if that is the name of another column.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The kind of a column.
    ///
    /// # Errors
    ///
    /// If the column does not exist.
    pub fn kind(&self, column: impl Into<Column>) -> Result<ColumnKind, TableError> {
        self.find(&column.into()).map(|column| self.kind_of(column))
    }

    fn kind_of(&self, column: usize) -> ColumnKind {
        let texts = || self.column(column).flatten();
        if texts().next().is_none() {
            ColumnKind::Empty
        } else if texts().all(|text| number::<f64>(text).is_some()) {
            ColumnKind::Numbers
        } else if matches!(guess(texts()), Guess::None(_)) {
            ColumnKind::Text
        } else {
            ColumnKind::Dates
        }
    }

    /// The fields of a column; `None` where one is missing.
    ///
    /// # Errors
    ///
    /// If the column does not exist.
    pub fn texts(&self, column: impl Into<Column>) -> Result<impl Iterator<Item = Option<&str>> + Clone, TableError> {
        self.find(&column.into()).map(|column| self.column(column))
    }

    /// The number of missing fields of a column.
    ///
    /// # Errors
    ///
    /// If the column does not exist.
    pub fn missing(&self, column: impl Into<Column>) -> Result<usize, TableError> {
        self.find(&column.into()).map(|column| self.missing_in(column))
    }

    fn missing_in(&self, column: usize) -> usize {
        self.column(column).filter(Option::is_none).count()
    }

    /// The rows in which none of these columns has a missing field. The difference in [`len`](Self::len) is the number of
    /// rows left out.
    ///
    /// # Errors
    ///
    /// If a column does not exist.
    pub fn without_missing(&self, columns: impl IntoIterator<Item = impl Into<Column>>) -> Result<Self, TableError> {
        let columns = self.find_all(columns)?;
        let whole = |row: &usize| columns.iter().all(|&column| self.field(*row, column).is_some());
        Ok(self.select(&(0..self.len()).filter(whole).collect::<Vec<_>>()))
    }

    /// The table without these columns.
    ///
    /// ```
    /// use wengert::data::{Column, Table};
    ///
    /// let table = Table::read("1,2,7\n3,4,8\n".as_bytes())?;
    /// let inputs = table.drop([Column::Last])?;
    /// assert_eq!(inputs.features::<f64>(inputs.names())?, ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
    /// # Ok::<(), wengert::data::TableError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a column does not exist.
    pub fn drop(&self, columns: impl IntoIterator<Item = impl Into<Column>>) -> Result<Self, TableError> {
        let dropped = self.find_all(columns)?;
        let kept = || (0..self.columns.len()).filter(|column| !dropped.contains(column));
        let names = kept().map(|column| self.names[column].clone()).collect();
        Ok(Self { names, columns: kept().map(|column| self.columns[column]).collect(), ..self.clone() })
    }

    /// A table of the given rows, for example of those of a [split](crate::data::stratified_split).
    ///
    /// # Panics
    ///
    /// If a row is out of range.
    #[track_caller]
    pub fn select(&self, rows: &[usize]) -> Self {
        if let Some(row) = rows.iter().find(|&&row| row >= self.len()) {
            panic!("Table::select: row {row} is out of range for {} rows", self.len());
        }
        Self { rows: rows.iter().map(|&row| self.rows[row]).collect(), ..self.clone() }
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

    /// Columns as the columns of an array, by names, indices or [`Feature`]s: an [`Encoding`] that is fitted to this table
    /// and applied to it. Where new rows shall become numbers in the same way, keep the encoding instead.
    ///
    /// # Errors
    ///
    /// Same as for [`Encoding::fit`].
    ///
    /// # Panics
    ///
    /// If there is no memory for the numbers.
    #[track_caller]
    pub fn features<F: BaseFloat>(
        &self,
        features: impl IntoIterator<Item = impl Into<Feature>>,
    ) -> Result<Array2<F>, TableError> {
        Encoding::fit(self, features)?.apply(self)
    }

    /// A column of numbers, such as the target of a regression, or a [`Feature`] of one column.
    ///
    /// # Errors
    ///
    /// Same as for [`Encoding::fit`].
    ///
    /// # Panics
    ///
    /// If the feature has several columns or none, as that of [`Feature::one_hot`] may, or there is no memory for the numbers.
    #[track_caller]
    pub fn target<F: BaseFloat>(&self, column: impl Into<Feature>) -> Result<Array1<F>, TableError> {
        let target = self.features([column])?;
        assert!(target.ncols() == 1, "Table::target: the feature has {} columns, a target has one", target.ncols());
        Ok(target.remove_axis(Axis(1)))
    }

    /// The classes of a column, which give the labels of the rows of this and other tables.
    ///
    /// # Errors
    ///
    /// If the column does not exist or a field is missing.
    pub fn classes(&self, column: impl Into<Column>) -> Result<Classes, TableError> {
        Classes::fit(self, self.find(&column.into())?, None)
    }

    fn find_all(&self, columns: impl IntoIterator<Item = impl Into<Column>>) -> Result<Vec<usize>, TableError> {
        columns.into_iter().map(|column| self.find(&column.into())).collect()
    }

    /// The place of a column among those of the table.
    fn find(&self, wanted: &Column) -> Result<usize, TableError> {
        let found = match wanted {
            Column::Name(name) => self.names.iter().position(|n| n == name),
            Column::Index(index) => (*index < self.names.len()).then_some(*index),
            Column::Last => self.names.len().checked_sub(1),
        };
        found.ok_or_else(|| {
            let fault = Fault::NoColumn { wanted: wanted.clone(), names: self.names.clone() };
            TableError { file: self.file.clone(), ..fault.into() }
        })
    }

    fn field(&self, row: usize, column: usize) -> Option<&str> {
        self.records.field(self.rows[row] as usize, self.columns[column])
    }

    fn column(&self, column: usize) -> impl Iterator<Item = Option<&str>> + Clone {
        (0..self.len()).map(move |row| self.field(row, column))
    }

    /// An error at a field; without a line if there is no such row.
    fn fault(&self, row: usize, column: usize, fault: Fault) -> TableError {
        TableError {
            file: self.file.clone(),
            line: self.rows.get(row).map(|&row| self.records.lines[row as usize].into()),
            column: Some(self.columns[column] + 1),
            name: self.header.then(|| shortened(&self.names[column])),
            fault: fault.into(),
        }
    }
}

impl fmt::Display for Table {
    /// A line for each column, with its kind, the number of missing fields and the first other one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![["column", "kind", "missing", "first"].map(str::to_owned)];
        lines.extend((0..self.columns.len()).map(|column| {
            let first = self.column(column).flatten().next().map(in_line).unwrap_or_default();
            let (kind, missing) = (self.kind_of(column).to_string(), self.missing_in(column).to_string());
            [in_line(&self.names[column]), kind, missing, first]
        }));
        let table = text::Table { right: 2..3, ..text::Table::default() }.print(&lines);
        write!(f, "{table}\n{} rows", self.len())
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("names", &self.names).field("rows", &self.len()).finish_non_exhaustive()
    }
}
