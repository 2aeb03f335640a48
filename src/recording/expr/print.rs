//! Expressions as text and as LaTeX.

use std::collections::{HashMap, HashSet};
use std::f64::consts;
use std::fmt;

use super::expr::{Expr, Fingerprint, Kind};
use super::number::Number;
use crate::number::rules::UnaryOp;
use crate::recording::step::Test;
use crate::text::MACRON;

/// The precedence of an expression's outermost operation, the weakest first. A part with a weaker precedence than its
/// place requires gets parentheses.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum Binding {
    /// No place requires more than this weakest one.
    Case,
    Sum,
    Product,
    Power,
    Atom,
}

/// Up to this size, counted as a tree, an expression is written out. In a larger one, parts that occur several times get
/// names: a shared part would be written as often as there are ways to it, which may be exponential.
const WRITTEN_OUT: usize = 20_000;

/// A piece of the output that is still to be written.
enum Piece {
    Text(String),
    Expr(Expr, Binding),
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
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

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
        self.within(e, Binding::Case)
    }

    /// The text of a part, with parentheses if its precedence is weaker than `place` requires.
    pub(crate) fn within(self, e: &Expr, place: Binding) -> String {
        let mut text = String::new();
        if e.size() <= WRITTEN_OUT {
            self.write(e, place, &HashMap::new(), &mut text);
            return text;
        }
        let shared = shared_parts(e);
        let names: HashMap<_, _> = shared.iter().map(|(part, name)| (part.fingerprint(), self.symbol(name))).collect();
        self.write(e, place, &names, &mut text);
        for (i, (part, name)) in shared.iter().enumerate() {
            text.push_str(match (self, i) {
                (Style::Text, 0) => " where ",
                (Style::Text, _) => ", ",
                (Style::Latex, 0) => r" \quad\text{where } ",
                (Style::Latex, _) => r",\; ",
            });
            text.push_str(&self.symbol(name));
            text.push_str(" = ");
            self.write(part, Binding::Case, &names, &mut text);
        }
        text
    }

    /// Appends the text of an expression, in which parts with a name are written by name. The expression itself is
    /// written out.
    fn write(self, e: &Expr, place: Binding, names: &HashMap<Fingerprint, String>, text: &mut String) {
        let mut pending = vec![Piece::Expr(e.clone(), place)];
        let mut is_root = true;
        while let Some(piece) = pending.pop() {
            let (part, place) = match piece {
                Piece::Text(piece) => {
                    text.push_str(&piece);
                    continue;
                }
                Piece::Expr(part, place) => (part, place),
            };
            let name = names.get(&part.fingerprint()).filter(|_| !is_root);
            is_root = false;
            if let Some(name) = name {
                text.push_str(name);
                continue;
            }
            let (mut pieces, binding) = self.pieces(&part);
            if binding < place {
                let [open, close] = if self == Style::Text { ["(", ")"] } else { [r"\left(", r"\right)"] };
                text.push_str(open);
                pieces.push(close.into());
            }
            pending.extend(pieces.into_iter().rev());
        }
    }

    /// The outermost operation of an expression, with the precedence of that.
    fn pieces(self, e: &Expr) -> (Vec<Piece>, Binding) {
        let whole = |x: &Expr| Piece::Expr(x.clone(), Binding::Case);
        let text = |(text, binding)| (vec![Piece::Text(text)], binding);
        match e.kind() {
            Kind::Symbol(name) => text((self.symbol(name), Binding::Atom)),
            Kind::Sum(terms) => (Self::sum(terms), Binding::Sum),
            Kind::Number(n) if !matches!(n, Number::Fraction(_, q) if *q > 1) => text(self.number(*n)),
            Kind::Number(_) | Kind::Product(_) => self.product(e),
            Kind::Power(_, exponent) if exponent.as_number().is_some_and(Number::is_negative) => self.product(e),
            Kind::Power(base, exponent) => self.power(base, exponent),
            Kind::Unary(UnaryOp::abs(_), x) if self == Style::Latex => {
                (vec![r"\left|".into(), whole(x), r"\right|".into()], Binding::Atom)
            }
            Kind::Unary(op, x) => {
                let parameters = op.parameters().into_iter().map(Piece::Text);
                (self.call_of(op.name(), std::iter::once(whole(x)).chain(parameters)), Binding::Atom)
            }
            Kind::Binary(op, a, b) => (self.call_of(op.name(), [whole(a), whole(b)]), Binding::Atom),
            Kind::Sign(x) => (self.call_of("sign", [whole(x)]), Binding::Atom),
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

    fn sum(terms: &[Expr]) -> Vec<Piece> {
        let negative = |term: &Expr| term.split().0.is_negative();
        // A positive term comes first: x - y, not -y + x.
        let lead = terms.iter().position(|term| !negative(term)).unwrap_or(0);
        let order = std::iter::once(lead).chain((0..terms.len()).filter(|&i| i != lead));
        let mut pieces = Vec::new();
        for (place, term) in order.map(|i| &terms[i]).enumerate() {
            let minus = negative(term);
            pieces.push(Piece::from(match (place, minus) {
                (0, false) => "",
                (0, true) => "-",
                (_, false) => " + ",
                (_, true) => " - ",
            }));
            pieces.push(Piece::Expr(if minus { term.negated() } else { term.clone() }, Binding::Product));
        }
        pieces
    }

    /// A product as a numerator over a denominator.
    fn product(self, e: &Expr) -> (Vec<Piece>, Binding) {
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
        let (sign, binding) = if number.is_negative() { ("-", Binding::Sum) } else { ("", Binding::Product) };
        let size = if number.is_negative() { number.mul(Number::MINUS_ONE) } else { number };
        let (p, q) = match size {
            Number::Fraction(p, q) => (Number::integer(p), Number::integer(q)),
            Number::Float(_) => (size, Number::ONE),
        };
        let mut pieces = vec![sign.into()];
        let (numerator, _) = self.factors(p, above);
        if below.is_empty() && q.is_one() {
            pieces.extend(numerator);
            return (pieces, binding);
        }
        let (denominator, single) = self.factors(q, below);
        let [before, between, after] = match self {
            Style::Latex => [r"\frac{", "}{", "}"],
            Style::Text if single => ["", "/", ""],
            Style::Text => ["", "/(", ")"],
        };
        pieces.push(before.into());
        pieces.extend(numerator);
        pieces.push(between.into());
        pieces.extend(denominator);
        pieces.push(after.into());
        (pieces, binding)
    }

    /// A number times factors; true if the text is a single factor, which needs no parentheses as a denominator.
    fn factors(self, number: Number, mut factors: Vec<Expr>) -> (Vec<Piece>, bool) {
        // Symbols first, then functions, then sums from short to long, as one writes 2*x*(a + b).
        factors.sort_by_key(|f| match f.as_power().0.kind() {
            Kind::Symbol(_) => 0,
            Kind::Sum(_) => f.size().saturating_add(1),
            _ => 1,
        });
        let mut parts = Vec::new();
        if !number.is_one() || factors.is_empty() {
            parts.push(Piece::Text(self.number(number).0));
        }
        let alone = parts.is_empty() && factors.len() == 1 && self == Style::Latex;
        let place = if alone { Binding::Sum } else { Binding::Power };
        parts.extend(factors.into_iter().map(|f| Piece::Expr(f, place)));
        let single = parts.len() == 1;
        (joined(parts, if self == Style::Text { "*" } else { " " }), single)
    }

    fn power(self, base: &Expr, exponent: &Expr) -> (Vec<Piece>, Binding) {
        let whole = |x: &Expr| Piece::Expr(x.clone(), Binding::Case);
        if exponent.as_number() == Some(Number::HALF) {
            let [before, after] = if self == Style::Text { ["sqrt(", ")"] } else { [r"\sqrt{", "}"] };
            return (vec![before.into(), whole(base), after.into()], Binding::Atom);
        }
        let mut pieces = vec![Piece::Expr(base.clone(), Binding::Atom), "^".into()];
        match self {
            Style::Text => pieces.push(Piece::Expr(exponent.clone(), Binding::Atom)),
            Style::Latex => pieces.extend(["{".into(), whole(exponent), "}".into()]),
        }
        (pieces, Binding::Power)
    }

    pub(crate) fn call(self, name: &str, arguments: impl IntoIterator<Item = String>) -> String {
        let pieces = self.call_of(name, arguments.into_iter().map(Piece::Text));
        let text = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Expr(..) => unreachable!("the arguments are text"),
        };
        pieces.into_iter().map(text).collect()
    }

    fn call_of(self, name: &str, arguments: impl IntoIterator<Item = Piece>) -> Vec<Piece> {
        let (open, close) = match self {
            Style::Text => (format!("{name}("), ")"),
            Style::Latex => {
                const KNOWN: [&str; 11] =
                    ["sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "ln", "log", "max", "min"];
                let name = if KNOWN.contains(&name) {
                    format!(r"\{name}")
                } else {
                    format!(r"\operatorname{{{}}}", name.replace('_', r"\_"))
                };
                (format!(r"{name}\left("), r"\right)")
            }
        };
        let mut pieces = vec![Piece::Text(open)];
        pieces.extend(joined(arguments, ", "));
        pieces.push(close.into());
        pieces
    }

    fn cases(self, mut e: &Expr) -> Vec<Piece> {
        let part = |x: &Expr| Piece::Expr(x.clone(), Binding::Sum);
        let [begin, between, next, end] = match self {
            Style::Text => ["", " if ", " else ", ""],
            Style::Latex => [r"\begin{cases} ", r" & \text{if } ", r" \\ ", r" & \text{otherwise} \end{cases}"],
        };
        let mut pieces = vec![Piece::from(begin)];
        while let Kind::Select(s) = e.kind() {
            pieces.extend([part(&s.yes), between.into()]);
            let [a, b] = s.operands.each_ref().map(part);
            let sign = match (self, s.test) {
                (Style::Latex, Test::LessEqual) => Some(r" \le ".to_owned()),
                (Style::Latex, Test::GreaterEqual) => Some(r" \ge ".to_owned()),
                (Style::Latex, Test::Equal) => Some(" = ".to_owned()),
                (_, test) => test.sign().map(|sign| format!(" {sign} ")),
            };
            match sign {
                Some(sign) => pieces.extend([a, Piece::Text(sign), b]),
                None => pieces.extend([a, Piece::Text(s.test.text("", ""))]),
            }
            pieces.push(next.into());
            e = &s.no;
        }
        pieces.extend([part(e), end.into()]);
        pieces
    }
}

/// The pieces with a text between each two.
fn joined(pieces: impl IntoIterator<Item = Piece>, between: &str) -> Vec<Piece> {
    let mut all = Vec::new();
    for piece in pieces {
        if !all.is_empty() {
            all.push(between.into());
        }
        all.push(piece);
    }
    all
}

/// The parts of an expression that occur more than once, those of others first, with a name for each that is no
/// symbol's.
fn shared_parts(e: &Expr) -> Vec<(Expr, String)> {
    let (mut uses, mut symbols, mut order) = (HashMap::new(), HashSet::new(), Vec::new());
    e.bottom_up(&mut HashMap::new(), |part, done| {
        let missing = part.missing(done);
        if !missing.is_empty() {
            return Err(missing);
        }
        for child in part.kind().children() {
            *uses.entry(child.fingerprint()).or_insert(0_usize) += 1;
        }
        match part.kind() {
            Kind::Symbol(name) => _ = symbols.insert(name.to_string()),
            Kind::Number(_) => {}
            _ => order.push(part.clone()),
        }
        Ok(order.len())
    });
    let shared = order.into_iter().filter(|part| uses.get(&part.fingerprint()).is_some_and(|uses| *uses > 1));
    let names = (1..).map(|i| format!("t{i}")).filter(|name| !symbols.contains(name));
    shared.zip(names).collect()
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
