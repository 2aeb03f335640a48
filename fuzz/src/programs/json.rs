//! Programs and their derivatives as lines of JSON.

use std::fmt::{Debug, Write as _};

use wengert::Tape;

use super::number::{Moving, Shown};
use super::{Program, build, outcome};
use crate::splitmix;

fn list<T>(items: impl IntoIterator<Item = T>, show: impl Fn(T) -> String) -> String {
    format!("[{}]", items.into_iter().map(show).collect::<Vec<_>>().join(", "))
}

/// A number as Python's `json` reads it.
fn json<T: Debug>(x: T) -> String {
    match &*format!("{x:?}") {
        "inf" => "Infinity".into(),
        "-inf" => "-Infinity".into(),
        number => number.into(),
    }
}

/// One program of numbers `F`, as a line.
fn line_of<F: Shown>(data: &[u8], seed: u64, with_hvp: bool) -> String {
    let (program, sums, shapes, (value, gradient)) = build::<F>(data);
    let Program { raw, inputs, steps, weights } = &program;
    let mut line = format!("{{\"seed\": {seed}, \"float\": \"{}\", \"raw\": {raw}, \"inputs\": ", F::NAME);
    line += &list(inputs, |input| {
        format!(
            "{{\"shape\": {:?}, \"data\": {}, \"constant\": {}}}",
            input.shape.clone().unwrap_or_default(),
            list(&input.data, json),
            input.is_constant
        )
    });
    line += ", \"steps\": ";
    line += &list(steps, |step| {
        format!(
            "{{\"op\": \"{}\", \"on\": {:?}, \"inside\": {}, \"ints\": {:?}, \"numbers\": {}}}",
            step.operation,
            step.on,
            list(&step.inside, |(low, high)| format!("[{low:?}, {high:?}]")),
            step.integers,
            list(&step.numbers, json),
        )
    });
    let rows = |gradient: &[Vec<F>]| list(gradient, |row| list(row, |x| json(x.shown())));
    write!(
        line,
        ", \"shapes\": {}, \"weights\": {weights:?}, \"sums\": {}, \"value\": {}, \"gradient\": {}",
        list(&shapes, |shape| format!("{:?}", shape.clone().unwrap_or_default())),
        list(&sums, |x| json(x.shown())),
        json(value.shown()),
        rows(&gradient)
    )
    .expect("strings take text");
    if with_hvp {
        let (_, product) = outcome(&Tape::<Moving>::new(), &program).expect("the primal did not fail");
        line += &format!(", \"hvp\": {}", list(product, |row| list(row, |x| json(x.shown()))));
    }
    line.push('}');
    line
}

/// The program with a number, as a line of JSON: on `f32`, on `f64` or with the product of the Hessian with the direction.
pub fn line(seed: u64) -> String {
    let mut state = splitmix(&mut seed.clone());
    let data: Vec<u8> = (0..2500).map(|_| splitmix(&mut state) as u8).collect();
    if seed % 3 == 2 { line_of::<f32>(&data, seed, false) } else { line_of::<f64>(&data, seed, seed % 3 == 1) }
}
