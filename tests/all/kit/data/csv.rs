//! Tables from CSV files.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{Axis, array};
use wengert::data::{Column, Csv, Table, TableError};

use crate::support::panics::message_of;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const IRIS: &str =
    "sepal, petal, species\r\n5.1,1.4,setosa\r\n\r\n7.0,4.7,versicolor\r\n\"6.3\", 6e0 ,virginica\r\n4.9,1.4,setosa";

#[test]
fn plain_and_gzipped_by_reader_and_by_path() {
    let csv = Csv::new().labels("species");
    let table: Table<f64> = csv.read(IRIS.as_bytes()).unwrap();
    assert_eq!(table.names, ["sepal", "petal"]);
    assert_eq!(table.values, array![[5.1, 1.4], [7.0, 4.7], [6.3, 6.0], [4.9, 1.4]]);
    assert_eq!((table.labels.as_slice(), table.len()), (&[0, 1, 2, 0][..], 4));
    assert_eq!(table.classes, ["setosa", "versicolor", "virginica"]);
    assert_eq!(csv.read::<f64>(gzip(IRIS).as_slice()).unwrap(), table);
    // A gzip file may have several members.
    let (head, tail) = IRIS.split_at(40);
    assert_eq!(csv.read::<f64>([gzip(head), gzip(tail)].concat().as_slice()).unwrap(), table);

    let path = std::env::temp_dir().join(format!("wengert-iris-{}.csv", std::process::id()));
    fs::write(&path, gzip(IRIS)).unwrap();
    assert_eq!(csv.open::<f64>(&path).unwrap(), table, "whatever its name");
    fs::write(&path, IRIS.replace("4.7", "4,7")).unwrap();
    let text = csv.open::<f64>(&path).unwrap_err().to_string();
    assert_eq!(text, format!("{}: line 4: expected 3 fields as in the first line, found 4", path.display()));
    fs::remove_file(&path).unwrap();
    let text = csv.open::<f64>(&path).unwrap_err().to_string();
    assert!(text.starts_with(&format!("{}: No such file", path.display())), "{text}");
}

#[test]
fn digits_of_the_example() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits.csv");
    let table: Table<f32> = Csv::new().header(false).labels(Column::Last).open(file).unwrap();
    assert_eq!(table.values.dim(), (1797, 64));
    assert!(
        table
            .classes
            .iter()
            .map(String::as_str)
            .eq((0..10).map(|d| ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][d]))
    );
    // `target[:5]` and `images.sum()` of `load_digits` in scikit-learn 1.9.1.
    assert_eq!(table.labels[..5], [0, 1, 2, 3, 4]);
    assert_eq!(table.values.iter().map(|&x| f64::from(x)).sum::<f64>(), 561_718.0);
}

#[test]
fn labels_that_are_numbers_ascend_as_numbers() {
    let table: Table<f32> =
        Csv::new().header(false).labels(0).delimiter(b';').read("10;1\n9;2\n-1;3".as_bytes()).unwrap();
    assert_eq!(table.classes, ["-1", "9", "10"]);
    assert_eq!(table.labels, [2, 1, 0]);
    assert_eq!(table.names, ["1"]);
}

#[test]
fn malformed_ones_are_refused_with_their_place() {
    let error = |csv: Csv, text: &str| csv.read::<f32>(text.as_bytes()).unwrap_err().to_string();
    let plain = || Csv::new().header(false);
    assert_eq!(error(plain(), "1,2\n3,x"), r#"line 2, column 2: expected a finite number, found "x""#);
    assert_eq!(error(Csv::new(), "a,b\n1,2\n3,"), r#"line 3, column 2 (b): expected a finite number, found """#);
    assert_eq!(error(plain(), "1,nan"), r#"line 1, column 2: expected a finite number, found "nan""#);
    assert_eq!(error(plain(), "1,1e39"), r#"line 1, column 2: expected a finite number, found "1e39""#);
    assert_eq!(error(plain(), "1,2\n\n\n3"), "line 4: expected 2 fields as in the first line, found 1");
    let text = error(Csv::new().labels("c"), "a,b\n1,2");
    assert_eq!(text, r#"expected a column named "c", found the columns a, b"#);
    assert!(error(plain().labels(2), "1,2").starts_with("expected a column at place 2, counted from 0"));
    let text = plain().read::<f32>(&b"1,2\n3,\xff"[..]).unwrap_err().to_string();
    assert!(text.starts_with("line 2: ") && text.contains("utf-8"), "{text}");
    let cut = gzip(IRIS);
    let error = Csv::new().labels("species").read::<f32>(&cut[..cut.len() - 12]).unwrap_err();
    assert!(matches!(error, TableError::Read { .. }), "{error}");
}

#[test]
fn empty_ones_have_no_rows() {
    for text in ["", "\n\n", "a,b\n"] {
        let table: Table<f64> = Csv::new().read(text.as_bytes()).unwrap();
        assert!(table.is_empty() && table.labels.is_empty());
    }
}

#[test]
fn columns_and_rows_are_taken() {
    let mut table: Table<f64> = Csv::new().labels("species").read(IRIS.as_bytes()).unwrap();
    let (train, test) = table.split(1, 5);
    assert_eq!((train.len(), test.len(), test.classes.len()), (3, 1, 3));
    let mut sums = train.values.sum_axis(Axis(0)) + test.values.sum_axis(Axis(0));
    sums -= &table.values.sum_axis(Axis(0));
    assert!(sums.iter().all(|s| s.abs() < 1e-12));
    assert_eq!(table.select(&[3, 1]).labels, [0, 1]);
    assert_eq!(table.take("sepal").unwrap(), array![5.1, 7.0, 6.3, 4.9]);
    assert_eq!((table.values.dim(), table.names.as_slice()), ((4, 1), &["petal".to_owned()][..]));
    assert!(table.take("sepal").is_err());
    assert!(message_of(|| table.select(&[4])).contains("row 4 is out of range for 4 rows"));
}

fn read(csv: Csv, text: &str) -> Result<Table<f64>, TableError> {
    csv.read(text.as_bytes())
}

#[track_caller]
fn refused(csv: Csv, text: impl AsRef<[u8]>) -> String {
    csv.read::<f64>(text.as_ref()).unwrap_err().to_string()
}

/// `category_encoders#56`, custrings#22: a missing label is an error with its line, not a class "".
#[test]
fn a_missing_label_is_refused() {
    let labels = || Csv::new().labels("l");
    assert_eq!(refused(labels(), "x,l\n1,10\n2,9\n3,\n"), "line 4, column 2 (l): the label is missing");
    assert_eq!(refused(labels(), "x,l\n1,a\n2,\"\"\n"), "line 3, column 2 (l): the label is missing");
    assert_eq!(refused(labels(), "x,l\r1,a\r2, \r"), "line 3, column 2 (l): the label is missing");
    let text = refused(labels(), "x,l\n1,10\n\n2,9\n3,nan\n4,nan\n");
    assert_eq!(
        text,
        r#"line 5, column 2 (l): expected a label that is a finite number, as all others are, found "nan""#
    );
    // Among text these are names.
    assert_eq!(read(labels(), "x,l\n1,nan\n2,inf\n3,b\n").unwrap().classes, ["b", "inf", "nan"]);
    // A quote that is not closed takes the rest of the table into a label or a name.
    let text = refused(labels(), "x,l\n1,a\n2,\"b\n3,c\n");
    assert_eq!(text, r#"line 3, column 2 (l): the label "b\n3,c" has a line break; is a quote not closed?"#);
    let text = refused(Csv::new(), "\"x,l\n1,2\n");
    assert_eq!(text, r#"the column name "x,l\n1,2" has a line break; is a quote not closed?"#);
}

#[test]
fn equal_numbers_are_one_class() {
    let labels = |text: &str| {
        let table = read(Csv::new().header(false).labels(0), &text.replace(' ', ",0\n")).unwrap();
        (table.classes, table.labels)
    };
    let classes = |text: &str, names: &[&str], places: &[usize]| {
        assert_eq!(labels(text), (names.iter().map(|&name| name.into()).collect(), places.to_vec()), "{text}");
    };
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

/// pandas#56839 (kind): an `f32` is rounded once. `str::parse` rounds right; by way of `f64` it is 1.
#[test]
fn numbers_are_rounded_once() {
    let text = "1.00000005960464477539062500000001";
    let table: Table<f32> = Csv::new().header(false).read(text.as_bytes()).unwrap();
    assert_eq!(table.values[[0, 0]], 1.0 + f32::EPSILON);
    assert_eq!(table.values[[0, 0]], text.parse::<f32>().unwrap());
    // The largest f32 and a half of its last place, less a little: not infinite.
    let text = "340282356779733661637539395458142568447.9";
    assert_eq!(Csv::new().header(false).read::<f32>(text.as_bytes()).unwrap().values[[0, 0]], f32::MAX);
}

#[test]
fn names_are_unique() {
    assert_eq!(refused(Csv::new(), "a,b,a\n1,2,3"), r#"columns 1 and 3 are both named "a""#);
    assert_eq!(refused(Csv::new(), "a,,\n1,2,3"), r#"columns 2 and 3 are both named """#);
    assert_eq!(refused(Csv::new().labels("l"), ""), r#"expected a column named "l", found no column"#);
    let many: Vec<String> = (0..60).map(|i| i.to_string()).collect();
    assert!(refused(Csv::new().labels("l"), many.join(",")).ends_with("48, 49 and 10 more"));
}

#[test]
fn many_labels_are_read() {
    let rows: Vec<String> = (0..20_000).rev().map(|i| format!("{i},0")).collect();
    let table = read(Csv::new().header(false).labels(0), &rows.join("\n")).unwrap();
    assert_eq!((table.classes.len(), table.labels[0], table.labels[19_999]), (20_000, 19_999, 0));
}

#[test]
fn long_texts_are_limited_and_shortened() {
    let csv = |limit| Csv::new().header(false).limit(limit);
    let text = "1\n".repeat(1000);
    assert_eq!(read(csv(2000), &text).unwrap().len(), 1000);
    assert_eq!(csv(2000).read::<f64>(&gzip(&text)[..]).unwrap().len(), 1000);
    for bytes in [text.clone().into_bytes(), gzip(&text), [gzip(&text[..1000]), gzip(&text[1000..])].concat()] {
        assert_eq!(refused(csv(1999), bytes), "there are more than 1999 bytes of text; `Csv::limit` sets this limit");
    }
    // A stream without end is refused too.
    let error = csv(10_000).read::<f64>(std::io::repeat(b'1')).unwrap_err();
    assert!(error.to_string().contains("more than 10000 bytes"), "{error}");

    let field = "é".repeat(1_000_000);
    let text = refused(csv(1 << 30), &field);
    assert!(text.len() < 200 && text.contains("… (2000000 bytes)"), "{text}");
    let error = read(Csv::new().labels("l"), &field).unwrap_err();
    assert!(error.to_string().len() < 200 && format!("{error:?}").len() < 400);
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
    let csv = || Csv::new().labels("species");
    let packed = gzip(IRIS);
    let text = refused(csv(), [&packed[..], b"garbage"].concat());
    assert_eq!(text, "7 bytes follow the gzip data, which end before them");
    assert_eq!(refused(csv(), &packed[..packed.len() - 12]), "the gzip data end too early");
    let mut changed = packed.clone();
    let end = changed.len();
    changed[end - 6] ^= 1; // of the check sum
    assert!(csv().read::<f64>(&changed[..]).is_err());

    assert_eq!(csv().read::<f64>(Drops(&packed)).unwrap().len(), 4);
}

#[test]
fn line_ends_and_marks() {
    let expected = array![[1.0, 2.0], [3.0, 4.0]];
    for text in ["a,b\r1,2\r3,4", "a,b\r1,2\r\n3,4\n", "\u{feff}a,b\n1,2\n3,4", "a , b\n 1,\t2\n3,4\n\n"] {
        let table = read(Csv::new(), text).unwrap();
        assert_eq!((table.values, table.names), (expected.clone(), vec!["a".to_owned(), "b".to_owned()]), "{text:?}");
    }
    assert!(refused(Csv::new(), "a,b\r1,2\r3,x").starts_with("line 3, column 2 (b)"));
    assert!(refused(Csv::new(), "a,b\r\n1,2\r\r\n3,x").starts_with("line 4, column 2 (b)"));
    assert!(refused(Csv::new(), "a,b\n1,2,\n").starts_with("line 2: expected 2 fields as in the first line, found 3"));
    assert!(refused(Csv::new(), b"\xff\xfea\0,\0b\0").starts_with("line 1: invalid utf-8"));
    for word in ["nan", "NaN", "inf", "-infinity", "1_000", "0x10", "1e", "", "--1", "1 2", "1e999"] {
        assert!(refused(Csv::new(), format!("a\n1\n\"{word}\"\n")).starts_with("line 3, column 1 (a)"), "{word}");
    }
}
