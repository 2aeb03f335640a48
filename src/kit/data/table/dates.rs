//! Dates as numbers: days since the beginning of 1970.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};

/// The forms of dates that are known without being told, by the letters of `strftime`.
const DATES: [&str; 18] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%B %d %Y",
    "%B %d, %Y",
    "%d %B %Y",
    "%d-%B-%Y",
    "%d-%B-%y",
    "%B-%d-%Y",
    "%B %Y",
    "%Y-%m",
];

/// The forms of the time of the day that may follow a date.
const TIMES: [&str; 11] = [
    "",
    " %H:%M",
    " %H:%M:%S%.f",
    "T%H:%M",
    "T%H:%M:%S%.f",
    " %H:%M:%S%.f%#z",
    "T%H:%M%#z",
    "T%H:%M:%S%.f%#z",
    " %H:%M:%S%.f %#z",
    " %I:%M %p",
    " %I:%M:%S %p",
];

/// The days from the beginning of 1970 to a date, with the time of the day as a fraction.
pub(super) fn days(text: &str, format: &str) -> Option<f64> {
    const DAY: f64 = 86_400.0;
    let time = if format.contains("%z") || format.contains("%#z") || format.contains("%:z") || format == "%+" {
        DateTime::parse_from_str(text, format).ok()?.naive_utc()
    } else if ["%H", "%I", "%T", "%R", "%k", "%l", "%c"].iter().any(|hour| format.contains(hour)) {
        NaiveDateTime::parse_from_str(text, format).ok()?
    } else {
        let date = NaiveDate::parse_from_str(text, format);
        // A month stands for its first day.
        let date = date.or_else(|_| NaiveDate::parse_from_str(&format!("{text} 1"), &format!("{format} %d")));
        date.ok()?.and_hms_opt(0, 0, 0)?
    };
    // A year of two digits is none of four.
    if format.contains("%Y") && !(1000..10_000).contains(&time.year()) {
        return None;
    }
    let time = time.and_utc();
    Some((time.timestamp() as f64 + f64::from(time.timestamp_subsec_nanos()) / 1e9) / DAY)
}

/// The formats of a column, while it is read.
pub(super) enum Guess {
    /// The format of all dates.
    Format(String),
    /// The dates to the one with this number fit no format together.
    None(usize),
    /// The date with this number fits two formats, which take it differently, and so do all others.
    Unclear(usize, [String; 2]),
}

/// The known format that all texts have.
pub(super) fn guess<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Guess {
    let Some(first) = texts.clone().next() else {
        return Guess::None(0);
    };
    let all = DATES.iter().flat_map(|date| TIMES.iter().map(move |time| format!("{date}{time}")));
    let mut formats: Vec<String> = all.filter(|format| days(first, format).is_some()).collect();
    for (i, text) in texts.clone().enumerate() {
        formats.retain(|format| days(text, format).is_some());
        if formats.is_empty() {
            return Guess::None(i);
        }
    }
    for (i, text) in texts.enumerate() {
        if let Some(other) = formats.iter().find(|format| days(text, format) != days(text, &formats[0])) {
            return Guess::Unclear(i, [formats[0].clone(), other.clone()]);
        }
    }
    Guess::Format(formats.swap_remove(0))
}
