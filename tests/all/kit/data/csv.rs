//! Tables, scaling and metrics.

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{Array2, Axis, array, s};
use wengert::data::{Column, Csv, Scaling, Table, TableError, one_hot};
use wengert::metrics::{Confusion, accuracy, argmax_rows, mae, mse, perplexity, r2, rmse};

fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("text")).to_owned(),
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

mod tables {
    use super::*;

    const IRIS: &str = "sepal, petal, species\r\n5.1,1.4,setosa\r\n\r\n7.0,4.7,versicolor\r\n\"6.3\", 6e0 ,virginica\r\n4.9,1.4,setosa";

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
        // scikit-learn 1.9.1, load_digits: target[:5], images.sum().
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
        assert!(message(|| drop(table.select(&[4]))).contains("row 4 is out of range for 4 rows"));
    }
}

mod scaling {
    use super::*;

    /// numpy 2.4: (x - x.mean(0)) / x.std(0). (Its constant column becomes -1, blown up from a rounding.)
    #[test]
    fn standard() {
        let x: Array2<f64> = array![[1.0, -5.0, 0.1], [2.0, 3.0, 0.1], [4.0, 8.5, 0.1]];
        let scaling = Scaling::standard(&x);
        let expected = array![
            [-1.0690449676496978, -1.292977275547167, 0.0],
            [-0.2672612419124245, 0.15034619483106595, 0.0],
            [1.3363062095621219, 1.142631080716101, 0.0]
        ];
        assert!((scaling.apply(&x) - expected).iter().all(|e| e.abs() < 1e-14));
        let back = scaling.invert(&scaling.apply(&x));
        assert!((back - &x).iter().all(|e| e.abs() < 1e-14));
        // A constant column, whose mean rounds, becomes exactly 0, in either precision.
        let single = x.mapv(|x| x as f32);
        assert_eq!(Scaling::standard(&single).apply(&single).column(2), array![0.0, 0.0, 0.0]);
        // Columns of a view, not of an array.
        assert_eq!(Scaling::standard(&x.slice(s![.., ..2])).shift.len(), 2);
    }

    #[test]
    fn min_max() {
        let x = array![[1.0, 7.0], [5.0, 7.0], [2.0, 7.0]];
        let scaling = Scaling::min_max(&x);
        assert_eq!(scaling.apply(&x), array![[0.0, 0.0], [1.0, 0.0], [0.25, 0.0]]);
        assert_eq!(scaling.apply(&array![[9.0, 8.0]]), array![[2.0, 1.0]]);
    }

    #[test]
    fn misuse_is_named() {
        let text = message(|| drop(Scaling::standard(&Array2::<f64>::zeros((0, 3)))));
        assert!(text.contains("no row to fit 3 columns to"), "{text}");
        let text = message(|| drop(Scaling::standard(&Array2::<f64>::zeros((2, 3))).apply(&Array2::zeros((2, 2)))));
        assert!(text.contains("fitted to 3 columns, the array has 2"), "{text}");
        let text = message(|| drop(one_hot::<f32>(&[0, 3], 3)));
        assert!(text.contains("label 3 at 1 is not one of the 3 classes"), "{text}");
    }
}

/// scikit-learn 1.9.1 (`sklearn.metrics`) on the same data.
mod measures {
    use super::*;

    const ACTUAL: [usize; 10] = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3];
    const PREDICTED: [usize; 10] = [0, 1, 0, 1, 1, 2, 1, 2, 0, 2];

    #[test]
    fn classes() {
        let confusion = Confusion::new(5, &PREDICTED, &ACTUAL);
        assert_eq!(accuracy(&PREDICTED, &ACTUAL), 0.6);
        assert_eq!(confusion.accuracy(), 0.6);
        let rows: Vec<Vec<usize>> = (0..4).map(|a| (0..4).map(|p| confusion.count(a, p)).collect()).collect();
        assert_eq!(rows, [[2, 1, 0, 0], [0, 3, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]]);
        let close = |x: f64, e: f64| assert!((x - e).abs() < 1e-15, "{x} is not {e}");
        for (class, [precision, recall, f1]) in
            [[2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0], [0.75, 0.75, 0.75], [1.0 / 3.0, 0.5, 0.4]].into_iter().enumerate()
        {
            close(confusion.precision(class), precision);
            close(confusion.recall(class), recall);
            close(confusion.f1(class), f1);
        }
        assert!(confusion.precision(3).is_nan() && confusion.recall(3) == 0.0 && confusion.f1(3) == 0.0);
        assert!(confusion.f1(4).is_nan());
        close(confusion.macro_f1(), 0.4541666666666667);
    }

    #[test]
    fn the_table_lines_up() {
        let table = Confusion::new(3, &[0, 1, 0, 2], &[0, 1, 1, 1]).named(["ä", "beta", "c"]).to_string();
        let expected = "\
actual       ä  beta   c   recall
ä            1     0   0  100.00%
beta         1     1   1   33.33%
c            0     0   0        -
precision  50%  100%  0%   50.00%";
        assert_eq!(table, expected);
    }

    #[test]
    fn numbers() {
        let (actual, predicted) = (array![[3.0, -0.5], [2.0, 7.0]], array![[2.5, 0.0], [2.0, 8.0]]);
        // The example of scikit-learn's user guide for each measure.
        assert_eq!(mse(&predicted, &actual), 0.375);
        assert_eq!(rmse(&predicted, &actual), 0.6123724356957945);
        assert_eq!(mae(&predicted, &actual), 0.5);
        assert!((r2(&predicted, &actual) - 0.9486081370449679).abs() < 1e-15);
        assert_eq!(r2(&array![2.0_f32, 2.0], &array![1.0, 3.0]), 0.0);
        assert!((perplexity(65_f64.ln()) - 65.0).abs() < 1e-12);
        assert_eq!(argmax_rows(&array![[f32::NAN, 1.0, 2.0], [-1.0, -2.0, -1.0]]), [2, 0]);
    }

    #[test]
    fn misuse_is_named() {
        let text = message(|| _ = accuracy(&[1], &[1, 2]));
        assert!(text.contains("1 predictions do not fit 2 labels"), "{text}");
        let text = message(|| drop(Confusion::new(2, &[2], &[0])));
        assert!(text.contains("class 2 is not one of the 2 classes"), "{text}");
        let text = message(|| _ = r2(&array![1.0, 2.0], &array![1.0, 2.0, 3.0]));
        assert!(text.contains("r2: predictions of shape [2] do not fit actual values of shape [3]"), "{text}");
    }
}
