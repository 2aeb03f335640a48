//! The one printer of text tables with aligned columns.

use std::ops::Range;

/// The combining macron, which stands over the letter before it and takes no column of its own.
pub(crate) const MACRON: char = '\u{304}';

/// The layout of a table: each column is as wide as its widest cell, and two spaces separate the columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// The columns that are aligned to the right; all others are aligned to the left.
    pub(crate) right: Range<usize>,
    /// The column with a bar on its left.
    pub(crate) bar: Option<usize>,
    /// The character of the line below the first row, if there is such a line.
    pub(crate) rule: Option<char>,
    /// The number of spaces before each line.
    pub(crate) indent: usize,
}

impl Table {
    /// The rows as text: lines without spaces at their ends, and no newline after the last line.
    pub(crate) fn print<R: AsRef<[String]>>(&self, rows: &[R]) -> String {
        let mut widths = Vec::new();
        for row in rows.iter().map(AsRef::as_ref) {
            widths.resize(widths.len().max(row.len()), 0);
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = width(cell).max(*widest);
            }
        }
        let mut lines = Vec::with_capacity(rows.len() + 1);
        for (i, row) in rows.iter().map(AsRef::as_ref).enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, widest))| {
                let space = " ".repeat(widest - width(cell));
                if self.right.contains(&column) { space + cell } else { cell.clone() + &space }
            });
            lines.push(self.line(cells, ' ', '│'));
            if let (0, Some(rule)) = (i, self.rule) {
                lines.push(self.line(widths.iter().map(|&widest| rule.to_string().repeat(widest)), rule, '┼'));
            }
        }
        lines.join("\n")
    }

    fn line(&self, cells: impl Iterator<Item = String>, space: char, bar: char) -> String {
        let mut line = String::new();
        for (column, cell) in cells.enumerate() {
            match self.bar {
                Some(barred) if barred == column => line.extend([space, bar, space]),
                _ if column > 0 => line.extend([space, space]),
                _ => {}
            }
            line += &cell;
        }
        " ".repeat(self.indent) + line.trim_end()
    }
}

/// The number of columns that a text takes.
fn width(text: &str) -> usize {
    text.chars().filter(|&c| c != MACRON).count()
}

#[cfg(test)]
mod tests {
    use crate::text::Table;

    #[test]
    fn columns_are_aligned() {
        let rows = [["name", "n", "note"], ["x̄", "12", ""], ["longer", "3", "é"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        let plain = Table { right: 1..2, ..Table::default() };
        assert_eq!(plain.print(&rows), "name     n  note\nx̄       12\nlonger   3  é");
        let ruled = Table { bar: Some(2), rule: Some('─'), indent: 1, ..plain };
        let expected = " name     n │ note\n ───────────┼─────\n x̄       12 │\n longer   3 │ é";
        assert_eq!(ruled.print(&rows), expected);
        assert_eq!(ruled.print::<[String; 3]>(&[]), "");
    }
}
