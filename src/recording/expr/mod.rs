//! Expressions: exact numbers, sums, products and functions of symbols, simplified and printed.
//!
//! | file | holds |
//! |---|---|
//! | `expr` | [`Expr`], whose constructors keep the normal form; its value on any type of number |
//! | `number` | the numbers in expressions: exact fractions, or floats |
//! | `simplify` | the search for the shortest equal expression |
//! | `print` | text and LaTeX |

#[allow(clippy::module_inception)]
mod expr;
mod number;
mod print;
mod simplify;

pub(crate) use expr::{Expr, Kind};
pub(crate) use print::{Binding, Style, number, short};
pub(crate) use simplify::simplify;
