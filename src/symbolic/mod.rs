//! Formulas: a function as an expression, and its derivatives, simplified.
//!
//! [`symbolic`] runs a function on [recorded](crate::trace::Recorded) numbers and reads the formula
//! off the recording. A derivative is a reverse sweep over formulas. Each partial is found by running the rule of the
//! [table](crate::rules) on recorded numbers, so there is no second table of derivatives.
//!
//! ```
//! use wengert::symbolic;
//!
//! let j = symbolic(["w"], |[w]| w.powi(2));
//! let slope = j.diff("w");
//! assert_eq!(slope.to_string(), "2*w");
//! assert_eq!(slope.subs("w", 2.0).to_string(), "4");
//! assert_eq!(symbolic(["w"], |[w]| 1.0 / w.powi(2)).diff("w").to_string(), "-2/w^3");
//! ```
//!
//! # Equality of expressions
//!
//! Sums and products have a normal form, in which like terms and powers of one base are collected. Simplification
//! tries a few rewritings (taking out a common factor, multiplying out a product, sin² + cos² = 1) and keeps the
//! expression that is shortest in print. Two expressions count as equal if they agree, as functions on the reals,
//! wherever both are defined, as in [SymPy](https://www.sympy.org): `x/x` is 1, `e^(ln x)` is x, `sqrt(x)^2` is x,
//! while `sqrt(x^2)` is |x|.
//!
//! # Size
//!
//! A formula shares the parts that its function computes once, and so do its derivatives. So its size in memory grows
//! with the number of operations, and its depth is not limited. Where it would be very long in print, parts that occur
//! several times are printed once, by name: `t2*t2 where t1 = .., t2 = ..`.
//!
//! # Cases
//!
//! A function that branches has a formula with cases. A case that is NaN lies outside the domain and is left out. A
//! test for a single point (`x == 0`) makes no case: the formula holds at the points around it.
//!
//! In the source, this file has the public [`Formula`], and `derive` the way from a function to its formula and to the
//! derivative; expressions, their simplification and their printing are in `recording::expr`.

mod derive;

use std::fmt;

use crate::number::Real;
use crate::recording::expr::{Expr, Style, simplify};
use crate::recording::{Recorded, Recording, TooManyPaths};

pub(crate) use self::derive::{case_at, partial};

/// An expression in named variables.
///
/// ```
/// use wengert::symbolic;
///
/// let loss = symbolic(["w1", "b1", "w2", "b2", "x", "y"], |[w1, b1, w2, b2, x, y]| {
///     (w2 * (w1 * x + b1) + b2 - y).powi(2)
/// });
/// assert_eq!(loss.diff("w1").to_string(), "2*w2*x*(w2*(w1*x + b1) + b2 - y)");
/// assert_eq!(loss.diff("b2").to_latex(), r"2 \left(w_{2} \left(w_{1} x + b_{1}\right) + b_{2} - y\right)");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    names: Vec<String>,
    expr: Expr,
}

/// The formula of a function of named variables.
///
/// The function runs on numbers without a value. A function that compares such numbers runs once for each outcome, and
/// its formula has cases.
///
/// ```
/// use wengert::symbolic;
///
/// let f = symbolic(["x"], |[x]| x.abs() * x);
/// assert_eq!(f.diff("x").to_string(), "abs(x) + x*sign(x)");
/// let g = symbolic(["x"], |[x]| if x > 1.0 { x * x } else { 2.0 * x - 1.0 });
/// assert_eq!(g.diff("x").to_string(), "2*x if x > 1 else 2");
/// ```
///
/// # Panics
///
/// If two names are equal, or if the function has more than 64 paths, as has a loop whose end depends on the numbers
/// (`while x > 1.0`). Such a function can be [recorded](fn@crate::record) at a point; the
/// [formula of the recording](Recording::formula) holds on that path.
#[track_caller]
pub fn symbolic<const N: usize>(names: [&str; N], f: impl for<'r> Fn([Recorded<'r>; N]) -> Recorded<'r>) -> Formula {
    symbolic_of(&names, |x| f(std::array::from_fn(|i| x[i])))
}

/// Same as [`symbolic`], for a function of a slice.
///
/// # Panics
///
/// Same as for [`symbolic`].
#[track_caller]
pub fn symbolic_of(names: &[&str], f: impl for<'r> Fn(&[Recorded<'r>]) -> Recorded<'r>) -> Formula {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    for (i, name) in names.iter().enumerate() {
        assert!(!names[..i].contains(name), "symbolic: two variables have the name {name:?}");
    }
    let symbols: Vec<Expr> = names.iter().map(|name| Expr::symbol(name)).collect();
    match derive::formula(&symbols, &names, f) {
        Ok(expr) => Formula { names, expr },
        Err(TooManyPaths) => panic!(
            "symbolic: the function has more than {} paths; record it at a point with `record` and take `.formula()`, which holds on that path",
            derive::MAX_PATHS
        ),
    }
}

impl Formula {
    /// The names of the variables, in the order in which [`evaluate`](Self::evaluate) takes their values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    #[track_caller]
    fn place(&self, name: &str, operation: &str) -> usize {
        match self.names.iter().position(|n| n == name) {
            Some(place) => place,
            None => panic!("{operation}: no variable {name:?}; there are {}", self.names.join(", ")),
        }
    }

    fn with(&self, expr: Expr) -> Self {
        Self { names: self.names.clone(), expr }
    }

    /// The derivative with respect to a variable, simplified.
    ///
    /// # Panics
    ///
    /// If there is no variable of that name, or if the formula has more than 64 cases.
    #[track_caller]
    pub fn diff(&self, name: &str) -> Self {
        let place = self.place(name, "diff");
        match derive::derivative(&self.expr, &self.names, place) {
            Ok(expr) => self.with(expr),
            Err(TooManyPaths) => panic!("diff: the formula has more than {} cases", derive::MAX_PATHS),
        }
    }

    /// The derivatives with respect to all variables, in the order of [`names`](Self::names).
    ///
    /// # Panics
    ///
    /// If the formula has more than 64 cases.
    #[track_caller]
    pub fn gradient(&self) -> Vec<Self> {
        self.names.iter().map(|name| self.diff(name)).collect()
    }

    /// The formula with a variable replaced by a number or by another formula.
    ///
    /// ```
    /// use wengert::symbolic;
    ///
    /// let f = symbolic(["w", "x"], |[w, x]| w * x + 1.0);
    /// assert_eq!(f.subs("w", 0.5).to_string(), "x/2 + 1");
    /// assert_eq!(f.subs("w", 0.5).subs("x", 6.0).to_string(), "4");
    /// let square = symbolic(["t"], |[t]| t * t);
    /// assert_eq!(f.subs("x", square).to_string(), "w*t^2 + 1");
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no variable of that name.
    #[track_caller]
    pub fn subs(&self, name: &str, by: impl Into<Formula>) -> Self {
        let place = self.place(name, "subs");
        let by = by.into();
        let mut names = self.names.clone();
        names.remove(place);
        for new in by.names {
            if !names.contains(&new) {
                names.push(new);
            }
        }
        let symbol = Expr::symbol(name);
        let expr = self.expr.rebuilt(|e| (*e == symbol).then(|| by.expr.clone()));
        Self { names, expr }
    }

    /// The formula's value at numbers of any kind, given in the order of [`names`](Self::names).
    ///
    /// ```
    /// use wengert::{Tape, symbolic};
    ///
    /// let f = symbolic(["w"], |[w]| w.powi(3)).diff("w");
    /// assert_eq!(f.evaluate(&[2.0]), 12.0);
    /// // On the tape, the derivative of the derivative.
    /// let tape = Tape::new();
    /// let w = tape.var(2.0);
    /// assert_eq!(f.evaluate(&[w]).backward()[w], 12.0);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is not one value for each variable.
    #[track_caller]
    pub fn evaluate<R: Real<Base = f64>>(&self, values: &[R]) -> R {
        assert!(
            values.len() == self.names.len(),
            "evaluate: {} values for {} variables ({})",
            values.len(),
            self.names.len(),
            self.names.join(", ")
        );
        let symbol = |name: &str| values[self.names.iter().position(|n| n == name).expect("names cover the symbols")];
        self.expr.eval(symbol)
    }

    /// The shortest equal formula that the [rewritings](self#equality-of-expressions) find.
    pub fn simplify(&self) -> Self {
        self.with(simplify(&self.expr))
    }

    /// The formula in LaTeX.
    pub fn to_latex(&self) -> String {
        Style::Latex.print(&self.expr)
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Style::Text.print(&self.expr))
    }
}

impl From<f64> for Formula {
    fn from(x: f64) -> Self {
        Self { names: Vec::new(), expr: Expr::number(x) }
    }
}

impl Recording {
    /// The formula of the recording's only output, on the path that was recorded.
    ///
    /// ```
    /// use wengert::record;
    ///
    /// let hinge = record(["x"], |[x]| if x > 1.0 { x - 1.0 } else { 0.0 * x }, [3.0]);
    /// assert_eq!(hinge.formula().to_string(), "x - 1");
    /// ```
    ///
    /// # Panics
    ///
    /// If the recording does not have exactly one output.
    #[track_caller]
    pub fn formula(&self) -> Formula {
        Formula { names: self.names().to_vec(), expr: self.expression(self.output("formula")) }
    }
}
