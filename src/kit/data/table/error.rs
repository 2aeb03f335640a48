//! [`TableError`].

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::Column;

/// The reason that a table could not be read or turned into numbers, and its place. Needs the feature `io`.
///
/// Lines and columns are counted from 1, columns as they stand in the file.
#[derive(Debug)]
#[non_exhaustive]
pub struct TableError {
    /// The file, if the table came from a file.
    pub file: Option<PathBuf>,
    /// The line in which the row begins.
    pub line: Option<u64>,
    /// The column.
    pub column: Option<usize>,
    /// The column's name, if there is a header.
    pub name: Option<String>,
    /// The cause.
    pub fault: Box<Fault>,
}

/// The cause of a [`TableError`]. Texts from the table are shortened. Needs the feature `io`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The file could not be opened, read, unpacked or taken as UTF-8, or is larger than the limits.
    Read(io::Error),
    /// A line has more or fewer fields than the first.
    #[non_exhaustive]
    Fields {
        /// The number of fields in the first line.
        expected: usize,
        /// The number of fields in this line.
        found: usize,
    },
    /// A quoted field does not end.
    Quote,
    /// The first line may be a header or a row: some of its fields are numbers, as are the fields below these.
    UnclearHeader,
    /// A name in the header is that of two columns.
    #[non_exhaustive]
    SameName {
        /// The columns of this name.
        columns: [usize; 2],
    },
    /// There is no such column.
    #[non_exhaustive]
    NoColumn {
        /// The column that was asked for.
        wanted: Column,
        /// The names of the existing columns.
        names: Vec<String>,
    },
    /// A field is missing.
    Missing,
    /// All fields of a column are missing, so that there is no mean and no median to fill them with.
    NothingToFillWith,
    /// A field is not a finite number.
    #[non_exhaustive]
    Number {
        /// The field.
        found: String,
        /// True if the field could be read as a date.
        date: bool,
    },
    /// A field is not a date in the format of the column.
    #[non_exhaustive]
    Date {
        /// The field.
        found: String,
        /// The format; `None` if no known format fits the column to this place.
        format: Option<String>,
    },
    /// All dates of a column fit two formats, which differ in their meaning.
    #[non_exhaustive]
    UnclearDate {
        /// The first date that the formats take differently.
        found: String,
        /// Both formats.
        formats: [String; 2],
    },
    /// The dates of a column have years of two digits, which do not tell the century.
    #[non_exhaustive]
    UnclearCentury {
        /// The first date.
        found: String,
        /// The format that the dates fit.
        format: String,
    },
    /// A column has too many classes for a column of numbers each.
    #[non_exhaustive]
    TooManyClasses {
        /// The number of classes.
        found: usize,
        /// The greatest number that is taken.
        limit: usize,
    },
    /// A text is none of the classes to which a column was fitted.
    #[non_exhaustive]
    Unseen {
        /// The text.
        found: String,
        /// The classes.
        classes: Vec<String>,
    },
    /// A text is not a saved [`Encoding`](super::Encoding) or [`Classes`](super::Classes).
    #[non_exhaustive]
    Saved {
        /// The fault in its form.
        reason: String,
    },
}

/// The number of names that a message lists, and of bytes that it shows of a field.
const SHOWN: usize = 50;

/// A text as a message shows it: of a long one the beginning.
pub(super) fn shortened(text: &str) -> String {
    if text.len() <= 2 * SHOWN {
        return text.into();
    }
    let end = (0..=SHOWN).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

/// A name as it stands in a line of text.
pub(super) fn in_line(text: &str) -> String {
    shortened(text).replace(['\n', '\r'], " ")
}

/// A list as a message shows it.
fn list(names: &[String]) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<String> = names[..names.len() - more].iter().map(|name| in_line(name)).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

impl From<Fault> for TableError {
    fn from(fault: Fault) -> Self {
        Self { file: None, line: None, column: None, name: None, fault: fault.into() }
    }
}

impl TableError {
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Fault::Read(io::Error::new(io::ErrorKind::InvalidData, reason.into())).into()
    }

    pub(super) fn in_file(self, path: &Path) -> Self {
        Self { file: Some(path.into()), ..self }
    }

    pub(super) fn at_line(self, line: u32) -> Self {
        Self { line: Some(line.into()), ..self }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        let mut place = Vec::new();
        place.extend(self.line.map(|line| format!("line {line}")));
        place.extend(self.column.map(|column| format!("column {column}")));
        if !place.is_empty() {
            f.write_str(&place.join(", "))?;
            if let Some(name) = &self.name {
                write!(f, " ({})", in_line(name))?;
            }
            f.write_str(": ")?;
        }
        self.fault.fmt(f)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(source) => write!(f, "{source}"),
            Self::Fields { expected, found } => {
                write!(f, "expected {expected} fields as in the first line, found {found}")
            }
            Self::Quote => f.write_str("a quoted field does not end"),
            Self::UnclearHeader => {
                f.write_str("this may be a header or a row of numbers and text; `TableOptions::header` says which")
            }
            Self::SameName { columns: [one, two] } => write!(
                f,
                "columns {one} and {two} have the same name; `TableOptions::skip` with `header(false)` reads such a table \
                 by the places of its columns"
            ),
            Self::NoColumn { wanted, names } if names.is_empty() => {
                write!(f, "expected a column {wanted}, found no column")
            }
            Self::NoColumn { wanted, names } => {
                write!(f, "expected a column {wanted}, found the columns {}", list(names))
            }
            Self::Missing => f.write_str(
                "the field is missing; `Table::without_missing` leaves such rows out, `Feature::fill` fills the field",
            ),
            Self::NothingToFillWith => f.write_str("every field is missing, so there is nothing to fill them with"),
            Self::Number { found, date: true } => {
                write!(f, "expected a number, found the date {found:?}; `Feature::dates` makes numbers of dates")
            }
            Self::Number { found, .. } => write!(
                f,
                "expected a finite number, found {found:?}; `Feature::one_hot` and `Feature::codes` make numbers of text"
            ),
            Self::Date { found, format: Some(format) } => write!(f, "expected a date {format}, found {found:?}"),
            Self::Date { found, .. } => {
                write!(f, "expected a date, found {found:?}; `Feature::format` sets the format of a column")
            }
            Self::UnclearDate { found, formats: [one, two] } => {
                write!(f, "the date {found:?} may be {one} or {two}; `Feature::format` says which")
            }
            Self::UnclearCentury { found, format } => write!(
                f,
                "the date {found:?} has a year of two digits; `Feature::format({format:?})` takes 70 to 99 for 1970 to 1999, \
                 and 00 to 69 for 2000 to 2069"
            ),
            Self::TooManyClasses { found, limit } => write!(
                f,
                "{found} classes are too many for a column each, at most {limit}; `Feature::codes` makes one column of them"
            ),
            Self::Unseen { found, classes } => write!(f, "{found:?} is none of the known classes {}", list(classes)),
            Self::Saved { reason } => write!(f, "not a saved encoding: {reason}"),
        }
    }
}

impl Error for TableError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.fault {
            Fault::Read(source) => Some(source),
            _ => None,
        }
    }
}
