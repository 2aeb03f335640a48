//! The summary and the trace of a tape, and the source of a number that is not finite.

use ndarray::{Array2, Axis, array};
use wengert::{Params, Tape, record, with_partials};

use crate::support::panics::message_of;

#[test]
fn a_summary_counts_operations_depth_and_bytes() {
    let tape = Tape::<f32>::new();
    let (a, b) = (Array2::<f32>::ones((4, 3)), Array2::ones((3, 5)));
    let (x, w) = (tape.tensor(&a), tape.tensor(&b));
    let h = (x.dot(w) + 1.0).tanh();
    let loss = h.t().dot(h).sum() * tape.var(2.0);
    let summary = tape.summary();
    let counted =
        |name| summary.operations.iter().find(|row| row.name == name).map(|row| (row.count, row.elements, row.bytes));
    assert_eq!(counted("dot"), Some((2, 20 + 25, 4 * 45)));
    assert_eq!(counted("tanh"), Some((1, 20, 80)));
    assert_eq!(counted("scalars").map(|row| row.0), Some(1));
    assert_eq!(summary.depth, 6, "dot, add, tanh, dot, sum, and the product of scalars");
    let largest = &summary.largest[0];
    assert_eq!((largest.name, &*largest.shape, largest.bytes), ("dot", &[5, 5][..], 100));
    assert!(largest.line.contains(concat!(file!(), ":")), "{}", largest.line);
    assert_eq!(summary.memory, tape.memory());
    let text = summary.to_string();
    assert!(text.starts_with("operation  count  elements  bytes\n"), "{text}");
    assert!(loss.value().is_finite());
}

#[test]
fn depth_of_scalars() {
    let tape = Tape::<f64>::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let product = x * y;
    let _ = (product * x).sin() * y + wengert::sum(&[x, y, product, x, y]);
    assert_eq!(tape.summary().depth, 4);
    assert_eq!(Tape::<f64>::new().summary().depth, 0);
    // A wide record counts as one operation, however many cells it has.
    assert_eq!(tape.summary().operations[0].count, 5);
}

#[test]
fn a_trace_has_a_row_an_operation() {
    let tape = Tape::<f64>::new();
    let data = array![[1.0, -2.0], [f64::INFINITY, 4.0]];
    let x = tape.tensor(&data);
    let y = (x * 2.0).sum_axis(Axis(0));
    let _ = y.at(0) * y.at(1);
    let text = tape.listing().to_string();
    let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 5, "{text}");
    assert_eq!(rows[1], ["inputs", "4", "numbers", "0"], "{text}");
    assert_eq!(rows[2][..9], ["#1", "mul", "[2,", "2]", "32", "-4.0000e0", "2.0000e0", "8.0000e0", "1"], "{text}");
    assert_eq!(rows[3][1..4], ["sum_axis", "[2]", "16"], "{text}");
    assert!(text.contains("mul #1 [2, 2]") && text.contains("input [2, 2], constant [2, 2]"), "{text}");
    assert_eq!(rows[4][..4], ["scalars", "1", "operations", "24"], "{text}");
}

/// Runs of scalar operations with inputs and an operation on arrays between them.
#[test]
fn a_listing_of_scalars_between_operations() {
    let tape = Tape::<f64>::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let _ = (x * y, x / y);
    let z = tape.var(4.0);
    let _ = z * x;
    let data = array![1.0, 2.0];
    let v = tape.tensor(&data) * 2.0;
    let _ = (v.at(0) * x, v.at(1) * x, v.at(0) * v.at(1));
    let text = tape.listing().to_string();
    let rows = text.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let scalars: Vec<&str> = rows.filter(|row| row[0] == "scalars").map(|row| row[1]).collect();
    assert_eq!(scalars, ["2", "1", "3"], "{text}");
}

#[test]
fn every_operation_knows_its_caller() {
    let tape = Tape::<f64>::new();
    let data = array![[2.0, 1.0], [1.0, 3.0]];
    let x = tape.tensor(&data);
    let line = line!();
    let _ = (
        (x + x, x - 1.0, 2.0 * x, x / x, -x, x.dot(x), x.dot(x.row(0)), x.relu(), x.powi(2), x.clamp(0.0, 1.0)),
        (x.sum(), x.mean(), x.max_axis(Axis(0)), x.softmax(Axis(1)), x.log_softmax(Axis(0)), x.norm(), x.std(1.0)),
        (x.mse(&data), x.huber(&data, 1.0), x.softmax_cross_entropy(&[0, 1]), x.bce_with_logits(&data), x.var(0.0)),
        (x.maximum(x), x.hypot(1.0), x.straight_through(f64::round), x.clip_cotangent(1.0), x.log_sum_exp()),
        (tape.stack(Axis(0), &[x, x]), x.select(Axis(0), &[0]), x.keep_where(&array![[true, false]], 0.0), x.product()),
    );
    let text = tape.listing().to_string();
    let elsewhere: Vec<&str> = text.lines().skip(2).filter(|row| !row.contains(concat!(file!(), ":"))).collect();
    assert!(elsewhere.is_empty(), "{}", elsewhere.join("\n"));
    assert!(text.lines().skip(2).all(|row| {
        let at: u32 = row.rsplit(':').next().and_then(|n| n.parse().ok()).expect("a line number");
        (line + 1..line + 7).contains(&at)
    }));
}

#[test]
fn the_first_value_that_is_not_finite() {
    let tape = Tape::<f64>::new();
    let data = array![1.0, 0.0, 4.0];
    let x = tape.tensor(&data);
    let y = x.square();
    let line = line!() + 1;
    let z = y.ln();
    let _ = (z * x).sum();
    let source = tape.first_non_finite().expect("ln 0 is there");
    assert_eq!((source.operation, source.location.expect("a line").line()), ("ln", line));
    assert_eq!(source.what, "1 of 3 values not finite, first -inf at [1]");
    assert_eq!(source.operands, "square #1 [3] from 0 to 16");
    assert!(source.to_string().starts_with(concat!("`ln` at ", file!(), ":")), "{source}");
}

#[test]
fn the_first_partial_of_scalars_that_is_not_finite() {
    let tape = Tape::<f64>::new();
    let [x, y] = tape.vars([0.0, 2.0]);
    assert!(tape.first_non_finite().is_none());
    let z = x.sqrt() + y;
    let source = tape.first_non_finite().expect("the slope of the root at 0");
    assert_eq!(source.operation, "scalar");
    assert!(source.what.contains("is inf"), "{source}");
    assert!(z.backward().first_non_finite().expect("not finite").what.contains("partial inf"));
    // Recorded numbers know the names and lines of scalar operations.
    let line = line!() + 1;
    let recording = record(["x", "y"], |[x, y]| x.sqrt() + y, [0.0, 2.0]);
    let source = recording.first_non_finite().expect("not finite");
    assert_eq!((source.operation, source.location.expect("a line").line()), ("sqrt", line));
}

#[test]
fn the_first_adjoint_that_is_not_finite() {
    let tape = Tape::<f64>::new();
    let data = array![[4.0, 0.0], [1.0, 9.0]];
    let x = tape.tensor(&data);
    let line = line!() + 1;
    let root = x.sqrt();
    let gradient = (root * root).sum().backward();
    assert!(gradient.is_finite() && gradient.first_non_finite().is_none(), "a cotangent of 0 stays 0");
    let gradient = (root * 3.0).sum().backward();
    assert!(tape.first_non_finite().is_none());
    let source = gradient.first_non_finite().expect("the slope of the root at 0");
    assert_eq!((source.operation, source.location.expect("a line").line()), ("sqrt", line));
    assert_eq!(source.what, "its pullback turns finite adjoints into inf (operand's element 1)");
    assert_eq!(source.operands, "input [2, 2]");
}

#[test]
fn an_adjoint_that_overflows_by_addition() {
    let tape = Tape::<f64>::new();
    let data = array![1.0];
    let x = tape.tensor(&data);
    let h = x.tanh();
    let gradient = (h * 1e308 + h * 1e308).sum().backward();
    let source = gradient.first_non_finite().expect("2e308");
    assert_eq!(source.operation, "tanh");
    assert!(source.what.starts_with("its own adjoint is inf at [0]"), "{source}");
}

fn step(tape: &mut Tape<f64>, x: f64) -> f64 {
    let mut params = Params::new();
    let w = params.add("w", array![1.0, x]);
    tape.value_and_grad(&params, |p| p.get(w).ln().sum()).0
}

#[test]
fn a_checked_tape_panics_with_the_story() {
    let mut tape = Tape::new();
    tape.check_finite(true);
    assert_eq!(step(&mut tape, 1.0), 0.0);
    let message = message_of(|| step(&mut tape, 0.0));
    assert!(message.starts_with(concat!("not finite: `ln` at ", file!(), ":")), "{message}");
    assert!(message.contains("first -inf at [1]; result [2], operands input [2]"), "{message}");
    tape.check_finite(false);
    assert_eq!(step(&mut tape, 0.0), f64::NEG_INFINITY);
}

/// Of several bad partials of one operation the first operand's is named.
#[test]
fn the_first_operand_is_named() {
    let tape = Tape::<f64>::new();
    let [a, b, c] = tape.vars([1.0, 2.0, 3.0]);
    let _y = with_partials(0.0, [(a, f64::INFINITY), (b, 1.0), (c, f64::NAN)]);
    let source = tape.first_non_finite().unwrap().to_string();
    assert!(source.contains("with respect to slot 1 is inf"), "{source}");
}
