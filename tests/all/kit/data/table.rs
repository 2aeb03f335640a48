//! Tables from CSV files and their like.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{Axis, array};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use wengert::data::{Classes, Column, ColumnKind, Encoding, Fault, Feature, Fill, Table, TableOptions};
use wengert::save::{Reader, Writer};
use wengert::{BaseFloat, Params};

use crate::support::panics::message_of;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn read(text: impl AsRef<[u8]>) -> Table {
    Table::read(text.as_ref()).unwrap()
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>) -> String {
    Table::read(text.as_ref()).unwrap_err().to_string()
}

/// The message of a column that shall be numbers.
#[track_caller]
fn no_numbers(text: &str, column: impl Into<Column>) -> String {
    read(text).features::<f64>([column.into()]).unwrap_err().to_string()
}

/// A column of numbers, or the message.
fn numbers<F: BaseFloat>(table: &Table, column: impl Into<Feature>) -> Result<Vec<F>, String> {
    table.target::<F>(column).map(|x| x.to_vec()).map_err(|error| error.to_string())
}

/// All fields, row by row; a missing one is `-`.
fn fields(table: &Table) -> Vec<Vec<&str>> {
    let columns: Vec<Vec<_>> = (0..table.names().len()).map(|i| table.texts(i).unwrap().collect()).collect();
    (0..table.len()).map(|row| columns.iter().map(|column| column[row].unwrap_or("-")).collect()).collect()
}

const IRIS: &str =
    "sepal, petal, species\r\n5.1,1.4,setosa\r\n\r\n7.0,4.7,versicolor\r\n\"6.3\", 6e0 ,virginica\r\n4.9,1.4,setosa";

#[test]
fn plain_and_gzipped_by_reader_and_by_path() {
    let check = |table: &Table| {
        assert_eq!(table.names(), ["sepal", "petal", "species"]);
        let x = table.features::<f64>(["sepal", "petal"]).unwrap();
        assert_eq!(x, array![[5.1, 1.4], [7.0, 4.7], [6.3, 6.0], [4.9, 1.4]]);
        let species = table.classes("species").unwrap();
        assert_eq!(species.names(), ["setosa", "versicolor", "virginica"]);
        assert_eq!(species.labels(table).unwrap(), [0, 1, 2, 0]);
    };
    check(&read(IRIS));
    check(&read(gzip(IRIS)));
    // A gzip file may have several members.
    let (head, tail) = IRIS.split_at(40);
    check(&read([gzip(head), gzip(tail)].concat()));

    let path = std::env::temp_dir().join(format!("wengert-iris-{}.csv", std::process::id()));
    fs::write(&path, gzip(IRIS)).unwrap();
    check(&Table::open(&path).unwrap());
    fs::write(&path, IRIS.replace("4.7", "4,7")).unwrap();
    let text = TableOptions::new().delimiter(b',').open(&path).unwrap_err().to_string();
    assert_eq!(text, format!("{}: line 4: expected 3 fields as in the first line, found 4", path.display()));
    fs::write(&path, IRIS.replace("4.7", "x")).unwrap();
    let text = Table::open(&path).unwrap().target::<f64>("petal").unwrap_err().to_string();
    assert!(text.starts_with(&format!("{}: line 4, column 2 (petal): ", path.display())), "{text}");
    fs::remove_file(&path).unwrap();
    let text = Table::open(&path).unwrap_err().to_string();
    assert!(text.starts_with(&format!("{}: No such file", path.display())), "{text}");
}

#[test]
fn digits_of_the_example() {
    let table = Table::open(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits.csv")).unwrap();
    let images = table.drop([Column::Last]).unwrap();
    let images = images.features::<f32>(images.names()).unwrap();
    assert_eq!(images.dim(), (1797, 64));
    let digits = table.classes(Column::Last).unwrap();
    assert_eq!(digits.names(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    // `target[:5]` and `images.sum()` of `load_digits` in scikit-learn 1.9.1.
    assert_eq!(digits.labels(&table).unwrap()[..5], [0, 1, 2, 3, 4]);
    assert_eq!(images.iter().map(|&x| f64::from(x)).sum::<f64>(), 561_718.0);
}

/// The forms in which packages of data sets have their files.
#[test]
fn layouts_are_guessed() {
    let xy = |text: &str, names: [&str; 2], first: [&str; 2]| {
        let table = read(text);
        assert_eq!(table.names(), names, "{text:?}");
        assert_eq!(fields(&table)[0], first, "{text:?}");
        table.len()
    };
    assert_eq!(xy("x;y\n1,5;2\n3;4,5\n", ["x", "y"], ["1,5", "2"]), 2);
    assert_eq!(xy("'x'\t'y'\n1\t2\n", ["x", "y"], ["1", "2"]), 1);
    assert_eq!(xy("'x' 'y'\n1  2.5\n 3 \t4 \n", ["x", "y"], ["1", "2.5"]), 2);
    assert_eq!(xy("x|y\na,b|c\n", ["x", "y"], ["a,b", "c"]), 1);
    assert_eq!(xy("x , y\n 1, .01\n", ["x", "y"], ["1", ".01"]), 1);
    assert_eq!(xy("\u{feff}x,y\n1974Q1,2\n", ["x", "y"], ["1974Q1", "2"]), 1);
    // Without a header.
    assert_eq!(xy("1.5e+00 2\n3 4\n", ["0", "1"], ["1.5e+00", "2"]), 2);
    // scikit-learn's summary of three rows and one feature, and one that is a row.
    assert_eq!(xy("3,1,no,yes\n0.5,0\n0.7,1\n0.9,1\n", ["0", "1"], ["0.5", "0"]), 3);
    assert_eq!(xy("2,1\n0.5,0\n0.7,1\n0.9,1\n", ["0", "1"], ["2", "1"]), 4);
    assert_eq!(fields(&read("1,2,7\n3,4,8\n")).len(), 2);
    assert!(refused("2,2,cat\n5,1,dog\n7,3,cat\n").starts_with("line 1: this may be a header or a row"));
    assert_eq!(refused("4,1,no,yes\n0.5,0\n0.7,1\n"), "line 2: expected 4 fields as in the first line, found 2");
    // R's header has no name for the names of the rows; between commas a field too many is an error.
    let table = read("\"x\" \"y\"\n\"one row\" 1 2\n\"other\" NA 4\n");
    assert_eq!(table.names(), ["0", "x", "y"]);
    assert_eq!(fields(&table), [["one row", "1", "2"], ["other", "-", "4"]]);
    assert_eq!(refused("x,y\n1,2,\n3,4,\n5,6,\n"), "line 2: expected 2 fields as in the first line, found 3");
    // One column, with spaces in it.
    assert_eq!(
        fields(&read("when\n2001-01-01 12:00\n2001-01-02 12:00\n")),
        [["2001-01-01 12:00"], ["2001-01-02 12:00"]]
    );
    // An apostrophe is no quote.
    assert_eq!(fields(&read("name,n\n'Tis,1\nO',2\n")), [["'Tis", "1"], ["O'", "2"]]);
    assert_eq!(fields(&read("name,n\nO'Neil 'the' fox,1\n'x'y,2\n")), [["O'Neil 'the' fox", "1"], ["'x'y", "2"]]);
    assert_eq!(fields(&read("'name', 'n'\n'it''s, so', 1\n")), [["it's, so", "1"]]);
    // Comments.
    assert_eq!(xy("# a, comment; of\n#two \"lines\n\nx,y\n1,2\n", ["x", "y"], ["1", "2"]), 1);
}

#[test]
fn layouts_are_given() {
    let text = "Title: 'a report'\n\n x,y\n-,2\n3,4\n\nNote: none\n";
    let table = TableOptions::new().skip(2).take(3).missing(&["-"]).read(text.as_bytes()).unwrap();
    assert_eq!(fields(&table), [["-", "2"], ["3", "4"]]);
    let error = table.target::<f64>("x").unwrap_err();
    assert_eq!((error.line, error.column, error.name.as_deref()), (Some(4), Some(1), Some("x")));
    let years = "country,1960,1961\nAruba,4.8,4.6\n";
    assert!(refused(years).starts_with("line 1: this may be a header or a row"));
    assert_eq!(TableOptions::new().header(true).read(years.as_bytes()).unwrap().names(), ["country", "1960", "1961"]);
    assert_eq!(TableOptions::new().header(false).read(years.as_bytes()).unwrap().len(), 2);
    assert!(refused(",1960,1961\nAruba,4.8,4.6\n").starts_with("line 1: this may be a header or a row"));
    assert_eq!(fields(&read(",1\n2,3\n")), [["-", "1"], ["2", "3"]]);
    let text = "a 'b c' d\n";
    let table = TableOptions::new().delimiter(b' ').quote(b'\'').header(false).read(text.as_bytes()).unwrap();
    assert_eq!(fields(&table), [["a", "b c", "d"]]);
    let error = TableOptions::new().header(false).read("x y\na 1 2\nb 3 4\n".as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "line 2: expected 2 fields as in the first line, found 3");
    assert!(message_of(|| TableOptions::new().delimiter(b'\n')).contains("0x0a is no ASCII character within a line"));
    assert!(message_of(|| TableOptions::new().quote(0xe9)).contains("0xe9"));
}

/// A first row of numbers alone is a row, whatever stands below.
#[test]
fn numbers_above_text_are_a_row() {
    for text in ["12\n12a\n14\n", "7\nA\nB\n", "1960,1961\nx,y\nz,w\n"] {
        let table = read(text);
        assert_eq!((table.names()[0].as_str(), table.len()), ("0", 3), "{text:?}");
    }
    assert_eq!(read("12x\n12a\n14\n").names(), ["12x"]);
    assert_eq!(fields(&read(",\n1,2\n")), [["-", "-"], ["1", "2"]]);
    // Of a first row without a field nothing but the fields below can tell.
    assert_eq!(fields(&read(",\nx,y\n")), [["x", "y"]]);
}

#[test]
fn quotes_hide_delimiters_lines_and_spaces() {
    let table = read("a,b\n\"x, \"\"y\"\"\n z\", \"  2 \" \n1, \"\"\n");
    assert_eq!(fields(&table), [["x, \"y\"\n z", "2"], ["1", "-"]]);
    assert!(no_numbers("a,b\n\"x\ny\",1\nz,q\n\"\n\",w", 1).starts_with("line 4, column 2 (b)"));
    assert_eq!(refused("x,l\n1,a\n2,\"b\n3,c\n"), "line 3: a quoted field does not end");
    assert_eq!(refused("\"x,l\n1,2\n"), "line 1: a quoted field does not end");
}

#[test]
fn lines_are_counted() {
    let expected = vec![vec!["1", "2"], vec!["3", "4"]];
    for text in ["a,b\r1,2\r3,4", "a,b\r1,2\r\n3,4\n", "\u{feff}a,b\n1,2\n3,4", "a , b\n 1,\t2\n \n3,4\n\n"] {
        assert_eq!(fields(&read(text)), expected, "{text:?}");
    }
    assert!(no_numbers("a,b\r1,2\r3,x", "b").starts_with("line 3, column 2 (b)"));
    assert!(no_numbers("a,b\r\n1,2\r\r\n3,x", "b").starts_with("line 4, column 2 (b)"));
    assert_eq!(refused("1,2\n\n\n3"), "line 4: expected 2 fields as in the first line, found 1");
    let text = refused(b"1,2\n3,\xff");
    assert_eq!(
        text,
        "line 2: the text is not UTF-8; `TableOptions::read` takes what another decoder makes of the bytes"
    );
    assert!(refused(b"\xff\xfea\0,\0b\0").starts_with("line 1: the text is not UTF-8; "));
}

#[test]
fn fields_that_are_no_numbers_are_refused_with_their_place() {
    assert_eq!(
        no_numbers("1,2\n3,x", 1),
        "line 2, column 2: expected a finite number, found \"x\"; `Feature::one_hot` and `Feature::codes` make numbers of text"
    );
    assert_eq!(
        no_numbers("day,y\n2001-02-03,2\n", "day"),
        "line 2, column 1 (day): expected a number, found the date \"2001-02-03\"; `Feature::dates` makes numbers of dates"
    );
    for word in ["inf", "-infinity", "1_000", "0x10", "1e", "--1", "1 2", "1e999"] {
        assert!(
            no_numbers(&format!("a\n1\n\"{word}\"\n"), "a").starts_with("line 3, column 1 (a): expected a"),
            "{word}"
        );
    }
    for word in ["", "NaN", "nan", "NA", "<NA>", "N/A", "#N/A", "n/a", "null", "NULL", "?"] {
        let text = no_numbers(&format!("a,b\n1,2\n3,\"{word}\"\n"), "b");
        assert!(
            text.starts_with("line 3, column 2 (b): the field is missing; `Table::without_missing`"),
            "{word}: {text}"
        );
    }
    let table = read("a\n1e39");
    assert!(table.target::<f32>("a").is_err() && table.target::<f64>("a").is_ok());
    assert_eq!(no_numbers("a,b\n1,2", "c"), "expected a column named \"c\", found the columns a, b");
    assert!(no_numbers("1,2", 2).starts_with("expected a column at place 2, counted from 0"));
    // The place is that in the file.
    let table = read("a,b,c\n1,2,x\n3,4,5\n6,7,y\n").drop(["a"]).unwrap().select(&[1, 2]);
    assert!(table.target::<f64>(Column::Last).unwrap_err().to_string().starts_with("line 4, column 3 (c)"));
}

#[test]
fn empty_ones_have_no_rows() {
    for (text, columns) in [("", 0), ("\n\n", 0), ("a,b\n", 2), ("# only a comment", 0)] {
        let table = read(text);
        assert!(table.is_empty() && table.names().len() == columns, "{text:?}");
        assert_eq!(table.features::<f64>(table.names()).unwrap().dim(), (0, columns));
    }
    let table = read("a,b\n");
    assert_eq!(table.kind("a").unwrap(), ColumnKind::Empty);
    assert!(table.classes("a").unwrap().names().is_empty());
    assert!(table.features::<f64>([Feature::from("a").fill(Fill::Mean)]).is_err());
    assert_eq!(
        table.to_string(),
        "column  kind   missing  first\na       empty        0\nb       empty        0\n0 rows"
    );
}

#[test]
fn columns_and_rows_are_chosen() {
    let table = read(IRIS);
    let (train, test) = table.split(1, 5);
    assert_eq!((train.len(), test.len()), (3, 1));
    let sum = |table: &Table| table.features::<f64>(["sepal", "petal"]).unwrap().sum_axis(Axis(0));
    assert!((sum(&train) + sum(&test) - sum(&table)).iter().all(|s| s.abs() < 1e-12));
    assert_eq!(table.classes("species").unwrap().labels(&table.select(&[3, 1, 3])).unwrap(), [0, 1, 0]);
    let rest = table.drop(["sepal"]).unwrap();
    assert_eq!(rest.names(), ["petal", "species"]);
    assert_eq!(rest.target::<f32>(0).unwrap(), array![1.4, 4.7, 6.0, 1.4]);
    assert!(rest.drop(["sepal"]).is_err() && rest.target::<f64>("sepal").is_err());
    assert!(message_of(|| table.select(&[4])).contains("row 4 is out of range for 4 rows"));
    assert!(
        message_of(|| table.target::<f64>(Feature::one_hot("species")))
            .contains("the feature has 3 columns, a target has one")
    );
}

#[test]
fn missing_fields_are_counted_left_out_and_filled() {
    let table = read("a,b,c\n1,?,x\n,4,\n7,5,y\n4,NA,x\n");
    assert_eq!(["a", "b", "c"].map(|name| table.missing(name).unwrap()), [1, 2, 1]);
    assert_eq!(table.without_missing(["b"]).unwrap().len(), 2);
    assert_eq!(fields(&table.without_missing(table.names()).unwrap()), [["7", "5", "y"]]);
    let filled = |feature: Feature| table.features::<f64>([feature]).unwrap().into_raw_vec_and_offset().0;
    assert_eq!(filled(Feature::from("a").fill(Fill::Mean)), [1.0, 4.0, 7.0, 4.0]);
    assert_eq!(filled(Feature::from("a").fill(Fill::Number(-1.0))), [1.0, -1.0, 7.0, 4.0]);
    assert_eq!(filled(Feature::from("b").fill(Fill::Median)), [4.5, 4.0, 5.0, 4.5]);
    assert_eq!(filled(Feature::from("b").fill(Fill::Mean)), [4.5, 4.0, 5.0, 4.5]);
    assert_eq!(filled(Feature::codes("c").fill(Fill::Class("none".into()))), [1.0, 0.0, 2.0, 1.0]);
    assert_eq!(filled(Feature::codes("c").fill(Fill::Class("x".into()))), [0.0, 0.0, 1.0, 0.0]);
    assert!(matches!(table.features::<f64>([Feature::codes("c")]).unwrap_err().fault.as_ref(), Fault::Missing));
    assert!(matches!(table.classes("c").unwrap_err().fault.as_ref(), Fault::Missing));
    // What fills is that of the training data; a class for missing ones is there before it is needed.
    let train = read("a,c\n1,x\n2,y\n9,x\n");
    let encoding = Encoding::fit(
        &train,
        [Feature::from("a").fill(Fill::Median), Feature::one_hot("c").fill(Fill::Class("none".into()))],
    )
    .unwrap();
    assert_eq!(encoding.names(), ["a", "c=none", "c=x", "c=y"]);
    assert_eq!(encoding.apply::<f32>(&table.select(&[1])).unwrap(), array![[2.0, 1.0, 0.0, 0.0]]);
    let error = read("a,b\n,1\n").features::<f64>([Feature::from("a").fill(Fill::Mean)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2, column 1 (a): every field is missing, so there is nothing to fill them with"
    );
    assert!(message_of(|| Feature::codes("c").fill(Fill::Mean)).contains("does not stand for a class"));
    assert!(message_of(|| Feature::dates("c").fill(Fill::Class("x".into()))).contains("does not stand for a number"));
    assert!(message_of(|| Feature::codes("c").format("%Y")).contains("only `Feature::dates` has a format"));
    // The largest numbers have a mean and a median.
    let table = read("a,b\n1.7e308,1\n1.7e308,1\n,1\n");
    for fill in [Fill::Mean, Fill::Median] {
        assert_eq!(numbers::<f64>(&table, Feature::from("a").fill(fill)).unwrap(), [1.7e308; 3]);
    }
}

/// Days by Python: `(datetime(..) - datetime(1970, 1, 1)) / timedelta(days=1)`.
#[test]
fn dates_become_days() {
    let days = |texts: &str| {
        let table = read(format!("t,n\n{}\n", texts.replace('|', ",0\n")));
        assert_eq!(table.kind("t").unwrap(), ColumnKind::Dates, "{texts}");
        numbers::<f64>(&table, Feature::dates("t"))
    };
    for date in [
        "2001-02-03|",
        "2001/02/03|",
        "2001.02.03|",
        "03.02.2001|",
        "\"Feb 3, 2001\"|",
        "Feb 3 2001|",
        "3 February 2001|",
        "Feb-3-2001|",
        "2001-02-03T00:00:00Z|",
        "2001-02-03 00:00|",
        "2001-02-03 01:30:00+01:30|",
        "2001-02-03T00:00:00.000|",
    ] {
        assert_eq!(days(date).unwrap(), [11356.0], "{date}");
    }
    assert_eq!(days("1992-04-30|1900-01-01|").unwrap(), [8155.0, -25567.0]);
    assert_eq!(days("2010/01/01 06:00|2010/01/01 18:00|").unwrap(), [14610.25, 14610.75]);
    assert_eq!(days("31/01/2001 01:30 PM|").unwrap(), [11353.5625]);
    assert_eq!(days("2001-02|").unwrap(), [11354.0]);
    assert_eq!(days("2001-02-03T12:00:00.5|").unwrap(), [11356.5 + 0.5 / 86_400.0]);
    // Any day of March and any March of a day.
    assert_eq!(
        days("03/03/2001|04/03/2001|").unwrap_err(),
        "line 3, column 1 (t): the date \"04/03/2001\" may be %m/%d/%Y or %d/%m/%Y; `Feature::format` says which"
    );
    let table = read("t\n03/03/2001\n04/03/2001\n\n");
    let by = |format: &str| numbers::<f64>(&table.select(&[0, 1]), Feature::dates("t").format(format));
    assert_eq!((by("%m/%d/%Y").unwrap()[1], by("%d/%m/%Y").unwrap()[1]), (11415.0, 11385.0));
    assert_eq!(by("%d-%m-%Y").unwrap_err(), "line 2, column 1 (t): expected a date %d-%m-%Y, found \"03/03/2001\"");
    assert!(by("%").unwrap_err().contains("expected a date %"));
    let table = read("t\n2001-02-03\n2001-02-30\n");
    assert_eq!(table.kind("t").unwrap(), ColumnKind::Text);
    let text = table.target::<f64>(Feature::dates("t")).unwrap_err().to_string();
    assert_eq!(
        text,
        "line 3, column 1 (t): expected a date, found \"2001-02-30\"; `Feature::format` sets the format of a column"
    );
    // Numbers are no dates unless a format says so.
    let table = read("t\n19580329\n");
    assert_eq!(table.kind("t").unwrap(), ColumnKind::Numbers);
    assert_eq!(numbers::<f64>(&table, Feature::dates("t").format("%Y%m%d")).unwrap(), [-4296.0]);
    // The form of the training data holds for new rows, and missing dates are filled.
    let train = read("t,n\n2001-02-03,1\n2001-02-05,1\n");
    let encoding = Encoding::fit(&train, [Feature::dates("t").fill(Fill::Mean)]).unwrap();
    assert_eq!(encoding.apply::<f64>(&read("t,n\nNA,0\n")).unwrap(), array![[11357.0]]);
    assert!(encoding.apply::<f64>(&read("t,n\n2001/02/03,0\n")).is_err());
}

/// Days by Python: `(datetime(.., tzinfo=..) - datetime(1970, 1, 1, tzinfo=utc)) / timedelta(days=1)`.
#[test]
fn every_letter_for_times_and_zones_is_heeded() {
    let by = |text: &str, format: &str| {
        let table = TableOptions::new().header(false).delimiter(b',').read(text.as_bytes()).unwrap();
        numbers::<f64>(&table, Feature::dates(0).format(format)).map(|x| x[0])
    };
    for (text, format, day) in [
        ("2001-02-03 18:00", "%Y-%m-%d %H:%M", 11356.75),
        ("2001-02-03 6:00", "%Y-%m-%d %-H:%M", 11356.25),
        ("2001-02-03  6:00", "%Y-%m-%d %_H:%M", 11356.25),
        ("2001-02-03 06:00", "%Y-%m-%d %0H:%M", 11356.25),
        ("2001-02-03  6:00", "%Y-%m-%d %k:%M", 11356.25),
        ("2001-02-03 6:00 PM", "%Y-%m-%d %-I:%M %p", 11356.75),
        ("2001-02-03  6:00 pm", "%Y-%m-%d %_I:%M %P", 11356.75),
        ("2001-02-03 06:00:00 PM", "%Y-%m-%d %r", 11356.75),
        ("2001-02-03 18:00:00", "%Y-%m-%d %X", 11356.75),
        ("2001-02-03 18:00:00", "%F %T", 11356.75),
        ("2001-02-03 18:00", "%F %R", 11356.75),
        ("Sat Feb  3 18:00:00 2001", "%c", 11356.75),
        ("2001-02-03 18:00 +0600", "%F %R %z", 11356.5),
        ("2001-02-03 18:00 +06:00", "%F %R %:z", 11356.5),
        ("2001-02-03 18:00 +06:00", "%F %R %::z", 11356.5),
        ("2001-02-03 18:00 +06", "%F %R %#z", 11356.5),
        ("2001-02-03T18:00:00-06:00", "%+", 11357.0),
        ("981223200", "%s", 11356.75),
        ("2001-02-03", "%F", 11356.0),
        ("02/2001", "%m/%Y", 11354.0),
        ("03/14/68", "%D", 35867.0),
        ("03/14/70", "%m/%d/%y", 72.0),
    ] {
        assert_eq!(by(text, format), Ok(day), "{text} as {format}");
    }
    // A part of a time that gives none, and names of zones, which give no distance from UTC.
    for (text, format) in [
        ("2001-02-03 06:00", "%F %I:%M"),
        ("2001-02-03 59", "%F %M"),
        ("2001-02-03 PM", "%F %p"),
        ("2001-02-03 +0600", "%F %z"),
        ("2001-02-03 18:00 EST", "%F %R %Z"),
        ("02/2001 18:00", "%m/%Y %R"),
        ("0099-02-03", "%F"),
        ("2001", "%Y"),
    ] {
        assert!(by(text, format).unwrap_err().contains("expected a date %"), "{text} as {format}");
    }
}

#[test]
fn years_of_two_digits_are_unclear() {
    let unclear = |texts: &str| {
        let table = read(format!("t,n\n{}\n", texts.replace('|', ",0\n")));
        assert_eq!(table.kind("t").unwrap(), ColumnKind::Dates, "{texts}");
        table.target::<f64>(Feature::dates("t")).unwrap_err().to_string()
    };
    assert_eq!(
        unclear("03/14/58|"),
        "line 2, column 1 (t): the date \"03/14/58\" has a year of two digits; `Feature::format(\"%m/%d/%y\")` takes 70 to \
         99 for 1970 to 1999, and 00 to 69 for 2000 to 2069"
    );
    assert!(unclear("03-Feb-01|").contains("has a year of two digits"));
    assert!(unclear("3/4/01|").contains("may be %m/%d/%y or %d/%m/%y"));
    let table = read("t,n\n1/8/90 0:00,0\n1/31/90 12:00,0\n");
    assert_eq!(numbers::<f64>(&table, Feature::dates("t").format("%m/%d/%y %H:%M")).unwrap(), [7312.0, 7335.5]);
    assert!(no_numbers("t,n\n03/14/58,0\n", "t").contains("found the date \"03/14/58\""));
}

#[test]
fn a_column_without_dates_is_filled() {
    let train = read("t,n\nNA,1\n,2\n");
    let fit = |feature: Feature| Encoding::fit(&train, [feature]).map_err(|error| error.to_string());
    let encoding = fit(Feature::dates("t").fill(Fill::Number(7.0))).unwrap();
    assert_eq!(encoding.apply::<f64>(&train).unwrap(), array![[7.0], [7.0]]);
    assert_eq!(encoding.apply::<f64>(&read("t,n\n2001-02-03,0\n")).unwrap(), array![[11356.0]]);
    assert!(encoding.apply::<f64>(&read("t,n\n03.02.2001,0\n")).is_err());
    for fill in [Fill::Mean, Fill::Median] {
        let text = fit(Feature::dates("t").fill(fill)).unwrap_err();
        assert!(text.starts_with("line 2, column 1 (t): every field is missing"), "{text}");
    }
    let text = fit(Feature::dates("t")).unwrap_err();
    assert!(text.starts_with("line 2, column 1 (t): the field is missing"), "{text}");
}

#[test]
fn too_many_classes_are_no_columns() {
    let fit = |n: usize| {
        let text = (0..n).map(|i| format!("x{i}")).collect::<Vec<_>>().join("\n");
        Encoding::fit(&TableOptions::new().header(false).read(text.as_bytes()).unwrap(), [Feature::one_hot(0)])
    };
    assert_eq!(fit(4096).unwrap().names().len(), 4096);
    let error = fit(4097).unwrap_err();
    assert!(matches!(*error.fault, Fault::TooManyClasses { .. }));
    assert_eq!(
        error.to_string(),
        "column 1: 4097 classes are too many for a column each, at most 4096; `Feature::codes` makes one column of them"
    );
}

#[test]
fn an_encoding_is_kept_with_the_model() {
    let train = read("n,port,when,kind\n1,Cork,2001-02-03,a\n,Brest,2001-02-04,b\n0.1,Cork,2001-02-05,a\n");
    let encoding = Encoding::fit(
        &train,
        [
            Feature::codes("port"),
            Feature::from("n").fill(Fill::Mean),
            Feature::one_hot("kind").fill(Fill::Class("\"?".into())),
            Feature::dates("when"),
        ],
    )
    .unwrap();
    let classes = train.classes("port").unwrap();
    let params = Params::<f32>::new();
    let file = Writer::of(&params).note("encoding", &encoding).note("ports", &classes).to_bytes();
    let file = Reader::from_bytes(file).unwrap();
    let loaded: Encoding = file.note("encoding").unwrap();
    assert_eq!(loaded, encoding);
    assert_eq!(file.note::<Classes>("ports").unwrap(), classes);
    assert_eq!(loaded.apply::<f64>(&train).unwrap().row(1), array![0.0, 0.55, 0.0, 0.0, 1.0, 11357.0]);
    let new = read("port,kind,n,when,more\nCork,b,2,2001-02-03,x\nCadiz,a,2,2001-02-03,x\n");
    let error = loaded.apply::<f32>(&new).unwrap_err();
    assert_eq!(error.to_string(), "line 3, column 1 (port): \"Cadiz\" is none of the known classes Brest, Cork");
    assert!(matches!(*error.fault, Fault::Unseen { .. }));
    let error = loaded.apply::<f32>(&new.drop(["when"]).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "expected a column named \"when\", found the columns port, kind, n, more");
    for text in [
        "",
        "{}",
        "[{}]",
        "[1]",
        "[{\"numbers\":\"a\",\"fill\":\"x\"}]",
        "[{\"of\":{\"column\":\"a\",\"classes\":[1]}}]",
    ] {
        let error = text.parse::<Encoding>().unwrap_err();
        assert!(error.to_string().starts_with("not a saved encoding: "), "{error}");
        assert!(text.parse::<Classes>().is_err());
    }
    // Every fill comes back bit for bit.
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..1000 {
        let fill = f64::from_bits(rng.random());
        if fill.is_finite() {
            let encoding = Encoding::fit(&train, [Feature::from("n").fill(Fill::Number(fill))]).unwrap();
            assert_eq!(encoding.to_string().parse::<Encoding>().unwrap(), encoding);
        }
    }
}

#[test]
fn equal_numbers_are_one_class() {
    let classes = |text: &str, names: &[&str], places: &[usize]| {
        let text = text.replace(' ', ",0\n");
        let table = TableOptions::new().header(false).delimiter(b',').read(text.as_bytes()).unwrap();
        let classes = table.classes(0).unwrap();
        assert_eq!(classes.names(), names, "{text}");
        assert_eq!(classes.labels(&table).unwrap(), places, "{text}");
    };
    classes("10 9 -1 ", &["-1", "9", "10"], &[2, 1, 0]);
    classes("10 9 01 1.0 1 1e0 +1 ", &["01", "9", "10"], &[2, 1, 0, 0, 0, 0, 0]);
    classes("0 -0 0.0 -1 0e7 -1e0 ", &["-1", "0"], &[1, 1, 1, 0, 1, 0]);
    classes("-10 -9 -9.5 2 ", &["-10", "-9.5", "-9", "2"], &[0, 2, 1, 3]);
    classes("0.1 .1 1e-1 100 1e2 12e1 99 ", &["0.1", "99", "100", "12e1"], &[0, 0, 0, 2, 2, 3, 1]);
    // Exactly, not as rounded: 2⁵³ + 1 and 2⁵³ are one f64, as are the last two.
    classes("9007199254740993 9007199254740992 ", &["9007199254740992", "9007199254740993"], &[1, 0]);
    classes("1e-400 0 2e-400 ", &["0", "1e-400", "2e-400"], &[1, 0, 2]);
    // Numbers before text.
    classes("b 10 9 a 9.0 1e999 ", &["9", "10", "1e999", "a", "b"], &[4, 1, 0, 3, 0, 2]);
}

/// An `f32` is rounded once. `str::parse` rounds right; by way of `f64` it is 1.
#[test]
fn numbers_are_rounded_once() {
    let text = "1.00000005960464477539062500000001";
    assert_eq!(numbers::<f32>(&read(text), 0).unwrap(), [1.0 + f32::EPSILON]);
    assert_eq!(text.parse::<f32>().unwrap(), 1.0 + f32::EPSILON);
    // The largest f32 and a half of its last place, less a little: not infinite.
    assert_eq!(numbers::<f32>(&read("340282356779733661637539395458142568447.9"), 0).unwrap(), [f32::MAX]);
}

#[test]
fn names_are_unique() {
    let text = refused("a,b,a\n1,2,3");
    assert!(text.starts_with("line 1, column 3 (a): columns 1 and 3 have the same name"), "{text}");
    assert_eq!(read("a,,\n1,2,3").names(), ["a", "1", "2"]);
    // A place that is the name of another column.
    let named = |text: &str| TableOptions::new().header(true).read(text.as_bytes()).unwrap().names().to_vec();
    assert_eq!(named("a,,1\n1,2,3"), ["a", "1_", "1"]);
    assert_eq!(named("1_,,1,\n1,2,3,4"), ["1_", "1__", "1", "3"]);
    // Words for missing fields are names in a header.
    assert_eq!(read("NA,EU,JP\n1,2,3\n").names(), ["NA", "EU", "JP"]);
    assert_eq!(read("null nan\na 1 2\nb 3 4\n").names(), ["0", "null", "nan"]);
    assert_eq!(fields(&read("1,NA\n2,3\n")), [["1", "-"], ["2", "3"]]);
    // A header below scikit-learn's summary.
    assert_eq!(named("2,1,no,yes\nx,NA\n0.7,1\n"), ["x", "NA"]);
    // The line is that of the header, also of R's.
    let text = refused("# a\n\nx x\na 1 2\nb 3 4\n");
    assert!(text.starts_with("line 3, column 3 (x): columns 2 and 3 have the same name"), "{text}");
    assert_eq!(read("").target::<f64>("l").unwrap_err().to_string(), "expected a column named \"l\", found no column");
    let many: Vec<String> = (0..60).map(|i| format!("x{i}")).collect();
    let error = read(many.join(",")).target::<f64>("l").unwrap_err().to_string();
    assert!(error.ends_with("x48, x49 and 10 more"), "{error}");
}

#[test]
fn many_classes_are_read() {
    let rows: Vec<String> = (0..20_000).rev().map(|i| format!("{i},0")).collect();
    let table = read(rows.join("\n"));
    let classes = table.classes(0).unwrap();
    let labels = classes.labels(&table).unwrap();
    assert_eq!((classes.names().len(), labels[0], labels[19_999]), (20_000, 19_999, 0));
}

#[test]
fn long_texts_are_limited_and_shortened() {
    let limited = |limit, bytes: &[u8]| TableOptions::new().limit(limit).read(bytes);
    let text = "1\n".repeat(1000);
    assert_eq!(limited(2000, text.as_bytes()).unwrap().len(), 1000);
    assert_eq!(limited(2000, &gzip(&text)).unwrap().len(), 1000);
    for bytes in [text.clone().into_bytes(), gzip(&text), [gzip(&text[..1000]), gzip(&text[1000..])].concat()] {
        let error = limited(1999, &bytes).unwrap_err().to_string();
        assert_eq!(error, "there are more than 1999 bytes of text; `TableOptions::limit` sets this limit");
    }
    // A stream without end is refused too, and a small file that holds a large text.
    let error = TableOptions::new().limit(10_000).read(std::io::repeat(b'1')).unwrap_err();
    assert!(error.to_string().contains("more than 10000 bytes"), "{error}");
    let bomb = gzip(&"0".repeat(1 << 24));
    assert!(bomb.len() < 1 << 15 && limited(1 << 20, &bomb).is_err());

    // So many names would take much more memory than the text.
    assert_eq!(refused(",".repeat(1 << 20)), "a line has more than 1048576 fields");
    assert_eq!(read(",".repeat(1000)).names().len(), 1001);

    let field = "é".repeat(1_000_000);
    let table = read(format!("{field}\n{field}\n"));
    let error = table.target::<f64>(0).unwrap_err();
    assert!(error.to_string().len() < 400 && error.to_string().contains("… (2000000 bytes)"), "{error}");
    assert!(format!("{error:?}").len() < 600 && table.to_string().len() < 400);
    let error = table.target::<f64>("l").unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");
}

/// One byte at a time, so that not even the first two come together.
struct Drops<'a>(&'a [u8]);
impl std::io::Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(&mut buffer[..1])
    }
}

#[test]
fn damaged_gzip_is_named() {
    let packed = gzip(IRIS);
    assert_eq!(refused([&packed[..], b"garbage"].concat()), "7 bytes follow the gzip data, which end before them");
    assert_eq!(refused(&packed[..packed.len() - 12]), "the gzip data end too early");
    let mut changed = packed.clone();
    let end = changed.len();
    changed[end - 6] ^= 1; // of the check sum
    assert!(matches!(*Table::read(&changed[..]).unwrap_err().fault, Fault::Read(_)));
    assert_eq!(Table::read(Drops(&packed)).unwrap().len(), 4);
}

/// No bytes make the reader panic, and what is read keeps its promises.
#[test]
fn any_bytes_are_read_or_refused() {
    const PIECES: [&[u8]; 40] = [
        b",",
        b",",
        b",",
        b";",
        b"\t",
        b" ",
        b" ",
        b"|",
        b"\n",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"\"",
        b"\"",
        b"\"\"",
        b"'",
        b"1",
        b"2.5",
        b"-1e5",
        b"x",
        b"y z",
        b"NA",
        b"?",
        b"\xc3\xa9",
        b"\xff",
        b"\0",
        b"\x01",
        b"\x02",
        b"#",
        b"\xef\xbb\xbf",
        b"2001-02-03",
        b"03/04/05",
        b"12:00",
        b"3,1,a,b\n",
        b"\x1f\x8b",
        b"1e999",
        b"9999999999",
        b"\xe2\x80\xa6",
        b"a b\n1 2 3\n",
    ];
    let mut rng = StdRng::seed_from_u64(5);
    let mut tables = 0;
    for round in 0..4000 {
        let mut bytes = Vec::new();
        for _ in 0..rng.random_range(0..24) {
            bytes.extend_from_slice(PIECES.choose(&mut rng).unwrap());
        }
        let mut options = TableOptions::new().limit(1000);
        if round % 4 == 1 {
            options = options.header(rng.random()).skip(rng.random_range(0..3)).take(rng.random_range(0..5));
        }
        if round % 4 == 2 {
            options = options.delimiter(rng.random_range(14..127)).quote(rng.random_range(14..127));
        }
        let Ok(table) = options.read(&bytes[..]) else { continue };
        tables += 1;
        let text = table.to_string();
        assert_eq!(text.lines().count(), table.names().len() + 2, "{text}");
        for column in 0..table.names().len() {
            assert_eq!(table.texts(column).unwrap().count(), table.len());
            let kind = table.kind(column).unwrap();
            let fill = || Feature::numbers(column).fill(Fill::Number(0.0));
            assert_eq!(table.target::<f64>(fill()).is_ok(), matches!(kind, ColumnKind::Numbers | ColumnKind::Empty));
            let _ = table.target::<f32>(Feature::dates(column));
            let codes = Encoding::fit(&table, [Feature::one_hot(column).fill(Fill::Class("-".into()))]).unwrap();
            let ones = codes.to_string().parse::<Encoding>().unwrap().apply::<f32>(&table).unwrap();
            assert_eq!(ones.sum(), table.len() as f32);
        }
    }
    assert!(tables > 1000, "{tables}");
    for _ in 0..500 {
        let bytes: Vec<u8> = (0..rng.random_range(0..200)).map(|_| rng.random()).collect();
        let _ = Table::read(&bytes[..]);
        let _ = Table::read(&[b"\x1f\x8b\x08", &bytes[..]].concat()[..]);
    }
}
