//! Dates as numbers: days since the beginning of 1970.

use chrono::format::{Fixed, Item, Numeric, ParseErrorKind, Parsed, StrftimeItems, parse};

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
    let items = StrftimeItems::new(format);
    // A name of a zone would be skipped.
    if items.clone().any(|item| item == Item::Fixed(Fixed::TimezoneName)) {
        return None;
    }
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, items).ok()?;
    // A year of two digits is none of four.
    if parsed.year().is_some_and(|year| !(1000..10_000).contains(&year)) {
        return None;
    }
    let halves = [parsed.hour_div_12(), parsed.hour_mod_12()];
    let parts = [parsed.minute(), parsed.second(), parsed.nanosecond()];
    let has_time = parsed.timestamp().is_some() || halves.iter().chain(&parts).any(Option::is_some);
    let time = if parsed.offset().is_some() {
        parsed.to_datetime().ok()?.to_utc()
    } else if has_time {
        parsed.to_naive_datetime_with_offset(0).ok()?.and_utc()
    } else {
        let date = parsed.to_naive_date().or_else(|error| match error.kind() {
            // A month stands for its first day.
            ParseErrorKind::NotEnough => parsed.set_day(1).and_then(|()| parsed.to_naive_date()),
            _ => Err(error),
        });
        date.ok()?.and_hms_opt(0, 0, 0)?.and_utc()
    };
    Some((time.timestamp() as f64 + f64::from(time.timestamp_subsec_nanos()) / 1e9) / DAY)
}

/// The formats of a column, while it is read.
pub(super) enum Guess {
    /// The format of all dates; the first known one if there are none.
    Format(String),
    /// The dates to the one with this number fit no format together.
    None(usize),
    /// The date with this number fits two formats, which take it differently, and so do all others.
    Unclear(usize, [String; 2]),
    /// All dates have this format, with years of two digits, which do not tell the century.
    Century(String),
}

/// The known format that all texts have.
pub(super) fn guess<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Guess {
    let Some(first) = texts.clone().next() else {
        return Guess::Format(DATES[0].into());
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
    let format = formats.swap_remove(0);
    let is_short = StrftimeItems::new(&format).any(|item| matches!(item, Item::Numeric(Numeric::YearMod100, _)));
    if is_short { Guess::Century(format) } else { Guess::Format(format) }
}
