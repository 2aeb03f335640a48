//! Expressions as text and as LaTeX.

use std::f64::consts;
use std::fmt;

use super::expr::{Expr, Kind};
use super::number::Number;
use crate::number::rules::UnaryOp;
use crate::recording::step::Test;
use crate::text::MACRON;

/// The precedence of an expression's outermost operation, the weakest first. A part with a weaker precedence than its
/// place requires gets parentheses.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum Binding {
    Case,
    Sum,
    Product,
    Power,
    Atom,
}

/// The language of the output.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Style {
    Text,
    Latex,
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Style::Text.print(self))
    }
}

/// The constants that print by name, as a person writes them: value, text, LaTeX.
const NAMED: [(f64, &str, &str); 6] = [
    (consts::PI, "pi", r"\pi"),
    (consts::E, "e", "e"),
    (consts::LN_2, "ln(2)", r"\ln 2"),
    (consts::LN_10, "ln(10)", r"\ln 10"),
    (consts::SQRT_2, "sqrt(2)", r"\sqrt{2}"),
    (consts::FRAC_2_SQRT_PI, "2/sqrt(pi)", r"\frac{2}{\sqrt{\pi}}"),
];

impl Style {
    pub(crate) fn print(self, e: &Expr) -> String {
        self.write(e).0
    }

    /// The text of a part, with parentheses if its precedence is weaker than `place` requires.
    pub(crate) fn within(self, e: &Expr, place: Binding) -> String {
        let (text, binding) = self.write(e);
        if binding < place { self.parenthesised(&text) } else { text }
    }

    fn parenthesised(self, text: &str) -> String {
        match self {
            Style::Text => format!("({text})"),
            Style::Latex => format!(r"\left({text}\right)"),
        }
    }

    fn write(self, e: &Expr) -> (String, Binding) {
        match e.kind() {
            Kind::Symbol(name) => (self.symbol(name), Binding::Atom),
            Kind::Sum(terms) => (self.sum(terms), Binding::Sum),
            Kind::Number(n) if !matches!(n, Number::Fraction(_, q) if *q > 1) => self.number(*n),
            Kind::Number(_) | Kind::Product(_) => self.product(e),
            Kind::Power(_, exponent) if exponent.as_number().is_some_and(Number::is_negative) => self.product(e),
            Kind::Power(base, exponent) => self.power(base, exponent),
            Kind::Unary(UnaryOp::abs(_), x) if self == Style::Latex => {
                (format!(r"\left|{}\right|", self.print(x)), Binding::Atom)
            }
            Kind::Unary(op, x) => {
                let parameters = op.parameters();
                (self.call(op.name(), std::iter::once(self.print(x)).chain(parameters)), Binding::Atom)
            }
            Kind::Binary(op, a, b) => (self.call(op.name(), [a, b].map(|x| self.print(x))), Binding::Atom),
            Kind::Sign(x) => (self.call("sign", [self.print(x)]), Binding::Atom),
            Kind::Select(_) => (self.cases(e), if self == Style::Text { Binding::Case } else { Binding::Atom }),
        }
    }

    fn number(self, n: Number) -> (String, Binding) {
        let x = n.to_f64();
        let binding = if x < 0.0 { Binding::Sum } else { Binding::Atom };
        if let Some((_, text, latex)) = NAMED.iter().find(|(value, ..)| *value == x.abs()) {
            let name = if self == Style::Text { text } else { latex };
            let binding = if name.contains('/') { Binding::Product } else { binding };
            return (format!("{}{name}", if x < 0.0 { "-" } else { "" }), binding);
        }
        match n {
            Number::Fraction(..) => (n.to_string(), binding),
            Number::Float(x) => match (self, format!("{x:?}").split_once('e')) {
                (Style::Latex, Some((mantissa, exponent))) => {
                    let binding = if x < 0.0 { Binding::Sum } else { Binding::Product };
                    (format!(r"{mantissa} \cdot 10^{{{exponent}}}"), binding)
                }
                (_, Some(_)) => (format!("{x:?}"), binding),
                (_, None) => (x.to_string(), binding),
            },
        }
    }

    /// The sign between two factors.
    pub(crate) fn times(self) -> &'static str {
        if self == Style::Text { "*" } else { r"\cdot" }
    }

    /// The sign between an adjoint and a partial.
    pub(crate) fn dot(self) -> &'static str {
        if self == Style::Text { "·" } else { r"\cdot" }
    }

    /// The symbol for the adjoint of a name.
    pub(crate) fn bar(self, name: &str) -> String {
        if let (Style::Text, Some(first)) = (self, name.chars().next()) {
            let rest = &name[first.len_utf8()..];
            return format!("{first}{MACRON}{rest}");
        }
        let name = latex_name(name);
        match name.split_once("_{") {
            Some((stem, index)) => format!(r"\bar{{{stem}}}_{{{index}"),
            None => format!(r"\bar{{{name}}}"),
        }
    }

    pub(crate) fn symbol(self, name: &str) -> String {
        match self {
            Style::Text => name.to_owned(),
            Style::Latex => latex_name(name),
        }
    }

    fn sum(self, terms: &[Expr]) -> String {
        let negative = |term: &Expr| term.split().0.is_negative();
        // A positive term comes first: x - y, not -y + x.
        let lead = terms.iter().position(|term| !negative(term)).unwrap_or(0);
        let order = std::iter::once(lead).chain((0..terms.len()).filter(|&i| i != lead));
        let mut text = String::new();
        for (place, term) in order.map(|i| &terms[i]).enumerate() {
            let minus = negative(term);
            text.push_str(match (place, minus) {
                (0, false) => "",
                (0, true) => "-",
                (_, false) => " + ",
                (_, true) => " - ",
            });
            let term = if minus { term.negated() } else { term.clone() };
            text.push_str(&self.within(&term, Binding::Product));
        }
        text
    }

    /// A product as a numerator over a denominator.
    fn product(self, e: &Expr) -> (String, Binding) {
        let (number, rest) = e.split();
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for factor in rest.factors() {
            let (base, exponent) = factor.as_power();
            match exponent.as_number() {
                Some(n) if n.is_negative() => below.push(Expr::power(base, n.mul(Number::MINUS_ONE).into())),
                _ if factor.as_number().is_some() => {}
                _ => above.push(factor.clone()),
            }
        }
        let sign = if number.is_negative() { "-" } else { "" };
        let size = if number.is_negative() { number.mul(Number::MINUS_ONE) } else { number };
        let (p, q) = match size {
            Number::Fraction(p, q) => (Number::integer(p), Number::integer(q)),
            Number::Float(_) => (size, Number::ONE),
        };
        let numerator = self.factors(p, above);
        if below.is_empty() && q.is_one() {
            let text = numerator.0;
            return (format!("{sign}{text}"), if sign.is_empty() { Binding::Product } else { Binding::Sum });
        }
        let (denominator, single) = self.factors(q, below);
        let text = match self {
            Style::Latex => format!(r"{sign}\frac{{{}}}{{{denominator}}}", numerator.0),
            Style::Text if single => format!("{sign}{}/{denominator}", numerator.0),
            Style::Text => format!("{sign}{}/({denominator})", numerator.0),
        };
        (text, if sign.is_empty() { Binding::Product } else { Binding::Sum })
    }

    /// A number times factors; true if the text is a single factor, which needs no parentheses as a denominator.
    fn factors(self, number: Number, mut factors: Vec<Expr>) -> (String, bool) {
        // Symbols first, then functions, then sums from short to long, as one writes 2*x*(a + b).
        factors.sort_by_key(|f| match f.as_power().0.kind() {
            Kind::Symbol(_) => 0,
            Kind::Sum(_) => 1 + f.size(),
            _ => 1,
        });
        let mut parts: Vec<String> = Vec::new();
        if !number.is_one() || factors.is_empty() {
            parts.push(self.number(number).0);
        }
        let alone = parts.is_empty() && factors.len() == 1 && self == Style::Latex;
        parts.extend(factors.iter().map(|f| self.within(f, if alone { Binding::Sum } else { Binding::Power })));
        let single = parts.len() == 1;
        (parts.join(if self == Style::Text { "*" } else { " " }), single)
    }

    fn power(self, base: &Expr, exponent: &Expr) -> (String, Binding) {
        if exponent.as_number() == Some(Number::HALF) {
            let x = self.print(base);
            let root = if self == Style::Text { format!("sqrt({x})") } else { format!(r"\sqrt{{{x}}}") };
            return (root, Binding::Atom);
        }
        let base = self.within(base, Binding::Atom);
        let exponent = match self {
            Style::Text => self.within(exponent, Binding::Atom),
            Style::Latex => format!("{{{}}}", self.print(exponent)),
        };
        (format!("{base}^{exponent}"), Binding::Power)
    }

    pub(crate) fn call(self, name: &str, arguments: impl IntoIterator<Item = String>) -> String {
        let arguments: Vec<_> = arguments.into_iter().collect();
        let arguments = arguments.join(", ");
        match self {
            Style::Text => format!("{name}({arguments})"),
            Style::Latex => {
                const KNOWN: [&str; 11] =
                    ["sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "ln", "log", "max", "min"];
                let name = if KNOWN.contains(&name) {
                    format!(r"\{name}")
                } else {
                    format!(r"\operatorname{{{}}}", name.replace('_', r"\_"))
                };
                format!(r"{name}\left({arguments}\right)")
            }
        }
    }

    fn cases(self, mut e: &Expr) -> String {
        let mut rows = Vec::new();
        while let Kind::Select(s) = e.kind() {
            let [a, b] = s.operands.each_ref().map(|x| self.within(x, Binding::Sum));
            let test = match (self, s.test) {
                (Style::Latex, Test::LessEqual) => format!(r"{a} \le {b}"),
                (Style::Latex, Test::GreaterEqual) => format!(r"{a} \ge {b}"),
                (Style::Latex, Test::Equal) => format!("{a} = {b}"),
                (_, test) => test.text(&a, &b),
            };
            rows.push((self.within(&s.yes, Binding::Sum), test));
            e = &s.no;
        }
        let last = self.within(e, Binding::Sum);
        match self {
            Style::Text => rows.iter().map(|(value, test)| format!("{value} if {test} else ")).chain([last]).collect(),
            Style::Latex => {
                let row = |(value, test): &(String, String)| format!(r"{value} & \text{{if }} {test} \\ ");
                let rows = rows.iter().map(row).collect::<Vec<_>>().concat();
                format!(r"\begin{{cases}} {rows}{last} & \text{{otherwise}} \end{{cases}}")
            }
        }
    }
}

/// A name in LaTeX: digits at the end as an index, Greek letters as commands, words upright.
pub(crate) fn latex_name(name: &str) -> String {
    const GREEK: [&str; 23] = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
        "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "upsilon",
    ];
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let index = &name[letters.len()..];
    let letters = letters.strip_suffix('_').filter(|_| !index.is_empty()).unwrap_or(letters);
    let stem = if GREEK.contains(&letters) {
        format!(r"\{letters}")
    } else if letters.chars().count() == 1 {
        letters.to_owned()
    } else {
        format!(r"\mathrm{{{}}}", letters.replace('_', r"\_"))
    };
    if index.is_empty() { stem } else { format!("{stem}_{{{index}}}") }
}

/// A number with six digits, which hide rounding errors. In text, a space takes the place of a plus sign.
pub(crate) fn number(x: f64, style: Style) -> String {
    let rounded = format!("{x:.5e}").parse().unwrap_or(x);
    let text = style.print(&Expr::decimal(rounded));
    if style == Style::Text && !text.starts_with('-') { format!(" {text}") } else { text }
}

/// A number with six digits.
pub(crate) fn short(x: f64) -> String {
    number(x, Style::Text).trim_start().to_owned()
}
