//! [`Classes`]: the distinct texts of a column.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use super::error::{Fault, TableError, shortened};
use super::{Column, Table};

/// The distinct texts of a column, and their numbers: the labels of a classifier. Needs the feature `io`.
///
/// The classes of the training data are kept with the model, so that new rows get the same labels: as a
/// [note](crate::save::Writer::note) in its file, or as text, which [`parse`](str::parse) reads.
///
/// Classes are sorted: numbers in ascending order, then text in that of its bytes. Texts that are equal as numbers are one
/// class: 1, 1.0 and 01. Such a class is written as at its first place in the table.
///
/// ```
/// use wengert::data::{Classes, Table};
///
/// let table = Table::read("width,kind\n1.5,cat\n0.5,dog\n3,cat\n".as_bytes())?;
/// let kinds = table.classes("kind")?;
/// assert_eq!(kinds.names(), ["cat", "dog"]);
/// assert_eq!(kinds.labels(&table)?, [0, 1, 0]);
///
/// let saved = kinds.to_string();
/// let kinds: Classes = saved.parse()?;
/// let new = Table::read("width,kind\n2,dog\n2,cow\n".as_bytes())?;
/// let error = kinds.labels(&new).unwrap_err();
/// assert_eq!(error.to_string(), r#"line 3, column 2 (kind): "cow" is none of the known classes cat, dog"#);
/// # Ok::<(), wengert::data::TableError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    column: String,
    names: Vec<String>,
}

impl Classes {
    /// The classes of a column, with `missing` for missing fields.
    pub(super) fn fit(table: &Table, column: usize, missing: Option<&str>) -> Result<Self, TableError> {
        // Texts that are equal as text are compared as numbers once.
        let mut texts = HashSet::new();
        let mut classes = BTreeMap::new();
        for (row, text) in table.column(column).enumerate() {
            let text = text.or(missing).ok_or_else(|| table.fault(row, column, Fault::Missing))?;
            if texts.insert(text) {
                classes.entry(Key::new(text)).or_insert(text);
            }
        }
        if let Some(missing) = missing {
            classes.entry(Key::new(missing)).or_insert(missing);
        }
        Ok(Self { column: table.names()[column].clone(), names: classes.into_values().map(Into::into).collect() })
    }

    /// The names of the classes, in the order of their labels.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The class of each row of a table: an index of [`names`](Self::names).
    ///
    /// # Errors
    ///
    /// If the table does not have the column, or a field is missing or none of the classes.
    pub fn labels(&self, table: &Table) -> Result<Vec<usize>, TableError> {
        self.labels_in(table, table.find(&Column::Name(self.column.clone()))?, None)
    }

    pub(super) fn labels_in(
        &self,
        table: &Table,
        column: usize,
        missing: Option<&str>,
    ) -> Result<Vec<usize>, TableError> {
        let labels: BTreeMap<Key<'_>, usize> =
            self.names.iter().enumerate().map(|(label, name)| (Key::new(name), label)).collect();
        let label = |(row, text): (usize, Option<&str>)| {
            let text = text.or(missing).ok_or_else(|| table.fault(row, column, Fault::Missing))?;
            labels.get(&Key::new(text)).copied().ok_or_else(|| {
                let classes = self.names.iter().map(|name| shortened(name)).collect();
                table.fault(row, column, Fault::Unseen { found: shortened(text), classes })
            })
        };
        table.column(column).enumerate().map(label).collect()
    }

    pub(super) fn column(&self) -> &str {
        &self.column
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "column": self.column, "classes": self.names })
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let names = value["classes"].as_array()?.iter().map(|name| name.as_str().map(Into::into));
        Some(Self { column: value["column"].as_str()?.into(), names: names.collect::<Option<_>>()? })
    }
}

impl fmt::Display for Classes {
    /// One line of JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

impl FromStr for Classes {
    type Err = TableError;
    fn from_str(text: &str) -> Result<Self, TableError> {
        saved(text, Self::from_json)
    }
}

/// A value from the line of JSON that it was written as.
pub(super) fn saved<T>(text: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T, TableError> {
    let fault = |reason: String| TableError::from(Fault::Saved { reason });
    let value = serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
    read(&value).ok_or_else(|| fault(format!("it has another form: {}", shortened(text))))
}

/// A text as it is compared: by its number if it is a finite one, exactly (two long numbers may be the same `f64`), before
/// all other text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Number(Decimal),
    Text(&'a str),
}

impl<'a> Key<'a> {
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
