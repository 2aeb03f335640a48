//! Expressions: exact numbers, sums, products and functions of symbols, simplified and printed.

#[allow(clippy::module_inception)]
mod expr;
mod number;
mod print;
mod simplify;

pub(crate) use expr::{Expr, Kind};
pub(crate) use print::{Binding, Style, number, short};
pub(crate) use simplify::simplify;
