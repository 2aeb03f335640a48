//! Tables of a tape: [`Summary`] and [`Listing`].

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use super::{ValueStatistics, line, operand_text};
use crate::number::Scalar;
use crate::tape::{Op, Record, SINK, Section, Tape, operations, sections};
use crate::text::Table;

/// The contents of a tape in numbers; `Display` prints a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Totals for each name of an operation, most bytes first; all scalar records count as `scalars`.
    pub operations: Vec<OperationCount>,
    /// The length of the longest chain of operations. Views and functions of one scalar do not count; of a tensor
    /// operation with many operands, only two operands are followed.
    pub depth: usize,
    /// The five largest results of tensor operations.
    pub largest: Vec<Largest>,
    /// The bytes in use, see [`Tape::memory`].
    pub memory: usize,
}

/// The totals of the operations of one name, in a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationCount {
    /// The name of the operation's method.
    pub name: &'static str,
    /// The number of operations.
    pub count: usize,
    /// The number of elements of the results.
    pub elements: usize,
    /// The bytes of the results; for `scalars`, the bytes of the records.
    pub bytes: usize,
}

/// One of the largest results, in a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Largest {
    /// The name of the operation's method.
    pub name: &'static str,
    /// The result's shape.
    pub shape: Vec<usize>,
    /// The result's bytes.
    pub bytes: usize,
    /// The file and the line that called the operation.
    pub line: String,
}

/// The operations of a tape in the order of recording; `Display` prints a table with a row for each operation.
#[derive(Clone, Debug)]
pub struct Listing {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    number: String,
    operation: String,
    operands: String,
    shape: String,
    bytes: usize,
    statistics: Option<ValueStatistics>,
    line: String,
}

impl<F: Scalar> Tape<F> {
    /// The contents of the tape in numbers: totals by operation, depth, the largest results and the memory in use.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// let data = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
    /// let x = tape.tensor(&data);
    /// let loss = x.dot(x).tanh().sum();
    /// let summary = tape.summary();
    /// assert_eq!(summary.depth, 3);
    /// assert_eq!((summary.largest[0].name, summary.largest[0].bytes), ("dot", 32));
    /// println!("{summary}");
    /// ```
    pub fn summary(&self) -> Summary {
        self.with_records(|records, ops| summary(records, ops, self.memory()))
    }

    /// Every tensor operation with its operands, shape, bytes and value statistics. All scalar records between two
    /// tensor operations share one row.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// let data = ndarray::array![1.0, 0.0];
    /// let x = tape.tensor(&data);
    /// let loss = x.ln().sum();
    /// let table = tape.listing().to_string();
    /// assert!(table.contains("ln") && table.contains("sum"));
    /// ```
    pub fn listing(&self) -> Listing {
        let rows = self.with_records(|records, ops| {
            sections(records, ops).flat_map(|section| rows(section, ops)).flatten().collect()
        });
        Listing { rows }
    }
}

fn rows<F: Scalar>(Section { index, op, records, .. }: Section<'_, F>, ops: &[Op<F>]) -> [Option<Row>; 2] {
    let anonymous = |operation: &str, shape: String, bytes| Row {
        number: String::new(),
        operation: operation.to_owned(),
        operands: String::new(),
        shape,
        bytes,
        statistics: None,
        line: String::new(),
    };
    let own = if let Some(info) = op.describe() {
        let operands: Vec<_> = info.kind.operands.iter().flatten().map(|x| operand_text(ops, x)).collect();
        Some(Row {
            number: format!("#{index}"),
            operation: info.kind.name.to_owned(),
            operands: operands.join(", "),
            shape: format!("{:?}", info.shape),
            bytes: info.shape.iter().product::<usize>() * size_of::<F>(),
            statistics: info.values.map(ValueStatistics::of),
            line: line(info.location),
        })
    } else {
        // The first range of inputs includes the sink, which is no input.
        let inputs = op.len - usize::from(op.first == 0);
        (inputs > 0).then(|| anonymous("inputs", format!("{inputs} numbers"), 0))
    };
    let count = operations(records).len();
    let scalars = (count > 0).then(|| anonymous("scalars", format!("{count} operations"), size_of_val(records)));
    [own, scalars]
}

fn summary<F: Scalar>(records: &[Record<F>], ops: &[Op<F>], memory: usize) -> Summary {
    let mut counts: BTreeMap<&'static str, OperationCount> = BTreeMap::new();
    let mut count = |name, count, elements, bytes| {
        let total = counts.entry(name).or_insert(OperationCount { name, count: 0, elements: 0, bytes: 0 });
        total.count += count;
        total.elements += elements;
        total.bytes += bytes;
    };
    let mut largest = Vec::new();
    // For each slot, the length of the longest chain of operations that leads to it.
    let mut depths = vec![0_u32; ops.last().map_or(0, |op| op.first + op.len) + records.len() + 1];
    let mut depth = 0;
    for Section { op, first, records, .. } in sections(records, ops) {
        if let Some(info) = op.describe() {
            let bytes = op.len * size_of::<F>();
            count(info.kind.name, 1, op.len, bytes);
            largest.push(Largest {
                name: info.kind.name,
                shape: info.shape.to_vec(),
                bytes,
                line: line(info.location),
            });
            let operands = info.kind.operands.iter().flatten().filter(|x| x.slot != SINK);
            let own = operands.map(|x| depths[x.slot as usize]).max().unwrap_or(0) + 1;
            depths[op.first..op.first + op.len].fill(own);
            depth = depth.max(own);
        }
        let operations = operations(records);
        if !records.is_empty() {
            count("scalars", operations.len(), operations.len(), size_of_val(records));
        }
        for (i, entries) in operations {
            let below = entries.terms().map(|(slot, _)| depths[slot as usize]);
            depths[first + i] = below.max().unwrap_or(0) + 1;
            depth = depth.max(depths[first + i]);
        }
    }
    let mut operations: Vec<_> = counts.into_values().collect();
    operations.sort_by_key(|total| Reverse(total.bytes));
    largest.sort_by_key(|result| Reverse(result.bytes));
    largest.truncate(5);
    Summary { operations, depth: depth as usize, largest, memory }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["operation", "count", "elements", "bytes"].map(str::to_owned)];
        for OperationCount { name, count, elements, bytes } in &self.operations {
            rows.push([(*name).to_owned(), count.to_string(), elements.to_string(), bytes.to_string()]);
        }
        writeln!(f, "{}", Table { right: 1..4, ..Table::default() }.print(&rows))?;
        writeln!(f, "depth {}, {} bytes in use", self.depth, self.memory)?;
        if self.largest.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        let mut rows = vec![["largest", "shape", "bytes", "line"].map(str::to_owned)];
        for Largest { name, shape, bytes, line } in &self.largest {
            rows.push([(*name).to_owned(), format!("{shape:?}"), bytes.to_string(), line.clone()]);
        }
        writeln!(f, "{}", Table::default().print(&rows))
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["", "operation", "shape", "bytes", "min", "mean", "max", "not finite", "operands", "line"];
        let mut rows = vec![header.map(str::to_owned)];
        for row in &self.rows {
            let number = |x: f64| if x.is_nan() { String::new() } else { format!("{x:.4e}") };
            let [min, mean, max, bad] = row.statistics.as_ref().map_or(Default::default(), |s| {
                let bad = if s.non_finite == 0 { String::new() } else { s.non_finite.to_string() };
                [number(s.min), number(s.mean), number(s.max), bad]
            });
            let Row { number, operation, operands, shape, bytes, line, .. } = row.clone();
            rows.push([number, operation, shape, bytes.to_string(), min, mean, max, bad, operands, line]);
        }
        writeln!(f, "{}", Table::default().print(&rows))
    }
}
