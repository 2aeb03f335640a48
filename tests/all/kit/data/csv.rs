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
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits.csv.gz");
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
