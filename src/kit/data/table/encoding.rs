//! [`Encoding`]: how the columns of a table become numbers, kept with a model.

use std::fmt;
use std::str::FromStr;

use ndarray::Array2;
use serde_json::{Value, json};

use super::classes::{Classes, saved};
use super::dates::{Guess, days, guess};
use super::error::{Fault, TableError, shortened};
use super::{Column, Table, number};
use crate::kernels::{Moments, moments};
use crate::kit::data::scale::zeros;
use crate::number::BaseFloat;

/// A column, and how it becomes numbers: an argument of [`Table::features`] and [`Encoding::fit`]. Needs the feature `io`.
///
/// A name or an index alone stands for [`Feature::numbers`].
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    column: Column,
    kind: FeatureKind,
    fill: Option<Fill>,
}

/// The greatest number of classes of a [`Feature::one_hot`].
const ONE_HOT_CLASSES: usize = 4096;

#[derive(Clone, Debug, PartialEq)]
enum FeatureKind {
    Numbers,
    Dates(Option<String>),
    Codes,
    OneHot,
}

/// The substitute for a missing field. Needs the feature `io`.
#[derive(Clone, Debug, PartialEq)]
pub enum Fill {
    /// The mean of the column to which the encoding is fitted.
    Mean,
    /// The median of the column to which the encoding is fitted.
    Median,
    /// A number; for dates, days since the beginning of 1970.
    Number(f64),
    /// A text, as a class of its own or another one's.
    Class(String),
}

impl<C: Into<Column>> From<C> for Feature {
    fn from(column: C) -> Self {
        Self::numbers(column)
    }
}

impl Feature {
    /// A column of numbers, as they are.
    pub fn numbers(column: impl Into<Column>) -> Self {
        Self { column: column.into(), kind: FeatureKind::Numbers, fill: None }
    }

    /// A column of dates, as days since the beginning of 1970, the time of the day as a fraction. (An `f32` has the time to
    /// some minutes.)
    ///
    /// Known are year-month-day, with `-`, `/` or `.` between them, also in the orders of other countries and with names of
    /// months, with or without a time of the day and a distance from UTC. Dates that two of these forms take differently,
    /// such as 03/04/2001, are an error, as are years of two digits, such as 03/14/58, which do not tell the century; then
    /// [`format`](Self::format) says which form it is. A column without a date, all fields filled, has the form 2001-02-03.
    pub fn dates(column: impl Into<Column>) -> Self {
        Self { column: column.into(), kind: FeatureKind::Dates(None), fill: None }
    }

    /// A column of text as the numbers of its [`Classes`]: one column, from 0.
    pub fn codes(column: impl Into<Column>) -> Self {
        Self { column: column.into(), kind: FeatureKind::Codes, fill: None }
    }

    /// A column of text as a column for each of its [`Classes`], with 1 in that of the class and 0 elsewhere.
    ///
    /// More than 4096 classes are an error, because so many columns of zeros are rarely meant; [`codes`](Self::codes) and an
    /// [`Embedding`](crate::nn::Embedding) take any number of them.
    pub fn one_hot(column: impl Into<Column>) -> Self {
        Self { column: column.into(), kind: FeatureKind::OneHot, fill: None }
    }

    /// Sets the format of [`dates`](Self::dates), in the letters of
    /// [`strftime`](https://docs.rs/chrono/latest/chrono/format/strftime/), such as `%d/%m/%Y`.
    ///
    /// A year of two digits, `%y`, is one of 1970 to 1999 from 70 on, and one of 2000 to 2069 below. The time of the day and
    /// the distance from UTC count where the format has them. A format with the name of a zone, `%Z`, fits no date, because
    /// such a name gives no distance from UTC; a name that all fields have may stand in the format as it is.
    ///
    /// ```
    /// use wengert::data::{Feature, Table};
    ///
    /// let table = Table::read("sailed\n10/04/12 6:00 PM CET\n".as_bytes())?;
    /// let days = table.target::<f64>(Feature::dates("sailed").format("%d/%m/%y %-I:%M %p CET"))?;
    /// assert_eq!(days[0], 15440.75); // 18:00 on the 10th of April 2012
    /// # Ok::<(), wengert::data::TableError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the feature is not one of dates.
    #[track_caller]
    #[must_use]
    pub fn format(self, format: &str) -> Self {
        let FeatureKind::Dates(_) = self.kind else {
            panic!("Feature::format: only `Feature::dates` has a format");
        };
        Self { kind: FeatureKind::Dates(Some(format.into())), ..self }
    }

    /// Sets what stands for a missing field. Without a fill, a missing field is an error.
    ///
    /// # Panics
    ///
    /// If a class shall stand for a number or a number for a class.
    #[track_caller]
    #[must_use]
    pub fn fill(self, fill: Fill) -> Self {
        let classes = matches!(self.kind, FeatureKind::Codes | FeatureKind::OneHot);
        assert!(
            classes == matches!(fill, Fill::Class(_)),
            "Feature::fill: {fill:?} does not stand for {}",
            if classes { "a class; give `Fill::Class`" } else { "a number" }
        );
        Self { fill: Some(fill), ..self }
    }
}

/// The rules by which columns of a table become columns of an array. Needs the feature `io`.
///
/// An encoding is fitted to the training data: it keeps the classes, the formats of dates and what fills missing fields, so
/// that new rows become numbers in the same way. It is saved with the model as a [note](crate::save::Writer::note).
///
/// ```
/// use ndarray::array;
/// use wengert::Params;
/// use wengert::data::{Encoding, Feature, Fill, Table};
/// use wengert::save::{Reader, Writer};
///
/// let train = Table::read("age,port,sailed\n30,Cork,1912-04-11\n,Brest,1912-04-10\n40,Cork,1912-04-12\n".as_bytes())?;
/// let encoding = Encoding::fit(
///     &train,
///     [Feature::numbers("age").fill(Fill::Mean), Feature::one_hot("port"), Feature::dates("sailed")],
/// )?;
/// assert_eq!(encoding.names(), ["age", "port=Brest", "port=Cork", "sailed"]);
/// let x = encoding.apply::<f64>(&train)?;
/// assert_eq!(x.row(1), array![35.0, 1.0, 0.0, -21085.0]);
///
/// let params = Params::<f64>::new();
/// let file = Writer::of(&params).note("encoding", &encoding).to_bytes();
/// let encoding: Encoding = Reader::from_bytes(file)?.note("encoding")?;
/// let new = Table::read("sailed,port,age\n1912-04-12,Cork,NA\n".as_bytes())?;
/// assert_eq!(encoding.apply::<f64>(&new)?, array![[35.0, 0.0, 1.0, -21083.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    columns: Vec<EncodedColumn>,
}

#[derive(Clone, Debug, PartialEq)]
struct EncodedColumn {
    name: String,
    code: Code,
}

#[derive(Clone, Debug, PartialEq)]
enum Code {
    /// Numbers, or days by a format, and what fills missing ones.
    Numbers { dates: Option<String>, fill: Option<f64> },
    /// Labels, as they are or one-hot, and the text of missing ones.
    Classes { classes: Classes, one_hot: bool, fill: Option<String> },
}

impl Encoding {
    /// Fits an encoding to a table: finds classes, formats of dates and what fills missing fields.
    ///
    /// # Errors
    ///
    /// If a column does not exist; a field is missing and nothing fills it; a field that shall be a number or a date is none;
    /// the format of dates is unclear; or a [one-hot](Feature::one_hot) column has too many classes.
    pub fn fit(table: &Table, features: impl IntoIterator<Item = impl Into<Feature>>) -> Result<Self, TableError> {
        let fit = |feature: Feature| -> Result<EncodedColumn, TableError> {
            let column = table.find(&feature.column)?;
            let code = Code::fit(table, column, feature.kind, feature.fill)?;
            Ok(EncodedColumn { name: table.names()[column].clone(), code })
        };
        Ok(Self { columns: features.into_iter().map(Into::into).map(fit).collect::<Result<_, _>>()? })
    }

    /// The rows of a table as numbers: shape (rows, [`names`](Self::names)). The table may have other columns, and these in
    /// another order.
    ///
    /// # Errors
    ///
    /// If a column does not exist; a field is missing and nothing fills it; a field that shall be a number or a date is none;
    /// or a class is none of those that the encoding was fitted to.
    ///
    /// # Panics
    ///
    /// If there is no memory for the numbers.
    #[track_caller]
    pub fn apply<F: BaseFloat>(&self, table: &Table) -> Result<Array2<F>, TableError> {
        let find = |column: &EncodedColumn| table.find(&Column::Name(column.name.clone()));
        let places = self.columns.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let shape = [table.len(), self.columns.iter().map(|column| column.code.width()).sum()];
        let mut numbers: Array2<F> = zeros("Encoding::apply", shape);
        let mut place = 0;
        for (EncodedColumn { code, .. }, column) in self.columns.iter().zip(places) {
            match code {
                Code::Numbers { dates, fill } => {
                    for (row, x) in of_column::<F>(table, column, dates.as_deref()).enumerate() {
                        let filled = x?.or_else(|| fill.map(F::lit));
                        numbers[[row, place]] = filled.ok_or_else(|| table.fault(row, column, Fault::Missing))?;
                    }
                }
                Code::Classes { classes, one_hot, fill } => {
                    for (row, label) in classes.labels_in(table, column, fill.as_deref())?.into_iter().enumerate() {
                        if *one_hot {
                            numbers[[row, place + label]] = F::one();
                        } else {
                            numbers[[row, place]] = F::lit(label as f64);
                        }
                    }
                }
            }
            place += code.width();
        }
        Ok(numbers)
    }

    /// The names of the columns of [`apply`](Self::apply): that of a class after an equals sign.
    pub fn names(&self) -> Vec<String> {
        let names = self.columns.iter().flat_map(|EncodedColumn { name, code }| match code {
            Code::Classes { classes, one_hot: true, .. } => {
                classes.names().iter().map(|class| format!("{name}={class}")).collect()
            }
            _ => vec![name.clone()],
        });
        names.collect()
    }
}

impl Code {
    fn fit(table: &Table, column: usize, kind: FeatureKind, fill: Option<Fill>) -> Result<Self, TableError> {
        let dates = match kind {
            FeatureKind::Codes | FeatureKind::OneHot => {
                let fill = if let Some(Fill::Class(class)) = fill { Some(class) } else { None };
                let (classes, one_hot) = (Classes::fit(table, column, fill.as_deref())?, kind == FeatureKind::OneHot);
                let found = classes.names().len();
                if one_hot && found > ONE_HOT_CLASSES {
                    // The fault is that of the whole column, of no row.
                    let fault = Fault::TooManyClasses { found, limit: ONE_HOT_CLASSES };
                    return Err(table.fault(table.len(), column, fault));
                }
                return Ok(Self::Classes { classes, one_hot, fill });
            }
            FeatureKind::Numbers => None,
            FeatureKind::Dates(Some(format)) => Some(format),
            FeatureKind::Dates(None) => Some(format_of(table, column)?),
        };
        let mut numbers = Vec::with_capacity(table.len());
        for (row, x) in of_column::<f64>(table, column, dates.as_deref()).enumerate() {
            match x? {
                Some(x) => numbers.push(x),
                None if fill.is_none() => return Err(table.fault(row, column, Fault::Missing)),
                None => {}
            }
        }
        let filled = match fill {
            Some(Fill::Mean | Fill::Median) if numbers.is_empty() => {
                return Err(table.fault(0, column, Fault::NothingToFillWith));
            }
            Some(Fill::Mean) => {
                let Moments { unit, mean, .. } = moments(&mut numbers, true);
                Some(mean * unit)
            }
            Some(Fill::Median) => Some(median(&mut numbers)),
            Some(Fill::Number(x)) => Some(x),
            Some(Fill::Class(_)) | None => None,
        };
        Ok(Self::Numbers { dates, fill: filled })
    }

    fn width(&self) -> usize {
        match self {
            Self::Classes { classes, one_hot: true, .. } => classes.names().len(),
            _ => 1,
        }
    }
}

/// The numbers of a column, or the days of its dates; `None` where the field is missing.
fn of_column<'a, F: BaseFloat>(
    table: &'a Table,
    column: usize,
    dates: Option<&'a str>,
) -> impl Iterator<Item = Result<Option<F>, TableError>> {
    table.column(column).enumerate().map(move |(row, text)| {
        let Some(text) = text else { return Ok(None) };
        let x = match dates {
            Some(format) => days(text, format).map(F::lit),
            None => number(text),
        };
        let fault = || match (shortened(text), dates) {
            (found, Some(format)) => Fault::Date { found, format: Some(shortened(format)) },
            (found, None) => Fault::Number { found, date: !matches!(guess([text].into_iter()), Guess::None(_)) },
        };
        x.map(Some).ok_or_else(|| table.fault(row, column, fault()))
    })
}

/// The format of the dates of a column.
fn format_of(table: &Table, column: usize) -> Result<String, TableError> {
    let rows = || table.column(column).enumerate().filter_map(|(row, text)| Some((row, text?)));
    let fault = |i, fault: &dyn Fn(String) -> Fault| {
        let (row, text) = rows().nth(i).expect("a date that was read before");
        Err(table.fault(row, column, fault(shortened(text))))
    };
    match guess(rows().map(|(_, text)| text)) {
        Guess::Format(format) => Ok(format),
        Guess::None(i) => fault(i, &|found| Fault::Date { found, format: None }),
        Guess::Unclear(i, formats) => fault(i, &|found| Fault::UnclearDate { found, formats: formats.clone() }),
        Guess::Century(format) => fault(0, &|found| Fault::UnclearCentury { found, format: format.clone() }),
    }
}

/// The middle one of some numbers, or the mean of the two in the middle.
fn median(numbers: &mut [f64]) -> f64 {
    let (len, half) = (numbers.len(), numbers.len() / 2);
    let (below, &mut middle, _) = numbers.select_nth_unstable_by(half, f64::total_cmp);
    if len % 2 == 1 {
        return middle;
    }
    let before = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    before.midpoint(middle)
}

impl fmt::Display for Encoding {
    /// One line of JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns.iter().map(|EncodedColumn { name, code }| match code {
            // As text: a number of JSON may be read another way.
            Code::Numbers { dates, fill } => {
                json!({ "numbers": name, "dates": dates, "fill": fill.map(|x| x.to_string()) })
            }
            Code::Classes { classes, one_hot, fill } => {
                json!({ "of": classes.to_json(), "one_hot": one_hot, "fill": fill })
            }
        });
        columns.collect::<Value>().fmt(f)
    }
}

impl FromStr for Encoding {
    type Err = TableError;
    fn from_str(text: &str) -> Result<Self, TableError> {
        let text_of = |value: &Value| value.as_str().map(String::from);
        let column = |value: &Value| {
            if let Some(name) = text_of(&value["numbers"]) {
                let fill = match value["fill"].as_str() {
                    Some(fill) => Some(fill.parse().ok()?),
                    None => None,
                };
                return Some(EncodedColumn { name, code: Code::Numbers { dates: text_of(&value["dates"]), fill } });
            }
            let (classes, fill) = (Classes::from_json(&value["of"])?, text_of(&value["fill"]));
            let name = classes.column().into();
            Some(EncodedColumn { name, code: Code::Classes { classes, one_hot: value["one_hot"].as_bool()?, fill } })
        };
        let columns = saved(text, |value| value.as_array()?.iter().map(column).collect())?;
        Ok(Self { columns })
    }
}
