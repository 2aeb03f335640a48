//! [`Expr`]: expressions in a normal form that their constructors keep.
//!
//! Sums are flat, with like terms collected. Products are flat, with one number in front and powers
//! of one base collected. Terms and factors stay in the order in which a person wrote them, so equality ignores their
//! order.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::number::Number;
use crate::number::rules::{BinaryOp, UnaryOp};
use crate::number::{Real, rules};
use crate::recording::step::{Step, Test};

/// An expression; clones share their nodes.
#[derive(Clone, Debug)]
pub(crate) struct Expr(Arc<Node>);

#[derive(Debug)]
struct Node {
    kind: Kind,
    /// A hash that ignores the order of terms and factors.
    hash: u64,
    /// The number of nodes of the expression as a tree: a shared part counts each time that it occurs.
    size: usize,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Number(Number),
    Symbol(Arc<str>),
    /// Two or more terms; no two differ only by a number in front.
    Sum(Vec<Expr>),
    /// Two or more factors; a number only in front and other than 1; no base twice.
    Product(Vec<Expr>),
    Power(Expr, Expr),
    /// A function of the table with one operand, other than arithmetic.
    Unary(UnaryOp<f64>, Expr),
    /// A function of the table with two operands, other than arithmetic.
    Binary(BinaryOp, Expr, Expr),
    /// The sign of an expression: -1, 0 or 1.
    Sign(Expr),
    Select(Select),
}

/// `yes` where the test holds, else `no`.
#[derive(Debug)]
pub(crate) struct Select {
    pub(crate) test: Test,
    pub(crate) operands: [Expr; 2],
    pub(crate) yes: Expr,
    pub(crate) no: Expr,
}

impl Expr {
    fn new(kind: Kind) -> Self {
        let hash = |tag: u8, parts: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            tag.hash(&mut hasher);
            parts(&mut hasher);
            hasher.finish()
        };
        let unordered = |parts: &[Expr]| parts.iter().fold(0_u64, |sum, part| sum.wrapping_add(part.0.hash));
        let hash = match &kind {
            Kind::Number(n) => hash(0, &|h| n.to_f64().to_bits().hash(h)),
            Kind::Symbol(name) => hash(1, &|h| name.hash(h)),
            Kind::Sum(terms) => hash(2, &|h| unordered(terms).hash(h)),
            Kind::Product(factors) => hash(3, &|h| unordered(factors).hash(h)),
            Kind::Power(base, exponent) => hash(4, &|h| [base.0.hash, exponent.0.hash].hash(h)),
            Kind::Unary(op, x) => hash(5, &|h| (op.name(), op.parameters(), x.0.hash).hash(h)),
            Kind::Binary(op, a, b) => hash(6, &|h| (op.name(), a.0.hash, b.0.hash).hash(h)),
            Kind::Sign(x) => hash(7, &|h| x.0.hash.hash(h)),
            Kind::Select(s) => {
                hash(8, &|h| (s.test, s.operands.each_ref().map(|x| x.0.hash), s.yes.0.hash, s.no.0.hash).hash(h))
            }
        };
        let mut node = Node { kind, hash, size: 1 };
        for child in node.kind.children() {
            node.size = node.size.saturating_add(child.0.size);
        }
        Self(Arc::new(node))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    pub(crate) fn size(&self) -> usize {
        self.0.size
    }

    /// The address of the node, which identifies the node while it lives.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    pub(crate) fn number(x: f64) -> Self {
        Self::from(Number::from_f64(x))
    }

    /// A number that is printed as a decimal, never as a fraction.
    pub(crate) fn decimal(x: f64) -> Self {
        Self::from(if x.fract() == 0.0 { Number::from_f64(x) } else { Number::Float(x) })
    }

    pub(crate) fn integer(n: i64) -> Self {
        Self::from(Number::integer(n))
    }

    pub(crate) fn symbol(name: &str) -> Self {
        Self::new(Kind::Symbol(name.into()))
    }

    pub(crate) fn as_number(&self) -> Option<Number> {
        match self.kind() {
            Kind::Number(n) => Some(*n),
            _ => None,
        }
    }

    fn is(&self, number: Number) -> bool {
        self.as_number() == Some(number)
    }

    pub(crate) fn is_nan(&self) -> bool {
        self.as_number().is_some_and(|n| n.to_f64().is_nan())
    }

    /// The number in front, and the rest of the expression.
    pub(crate) fn split(&self) -> (Number, Expr) {
        match self.kind() {
            Kind::Number(n) => (*n, Self::from(Number::ONE)),
            Kind::Product(factors) => match factors[0].as_number() {
                Some(n) if factors.len() == 2 => (n, factors[1].clone()),
                Some(n) => (n, Self::new(Kind::Product(factors[1..].to_vec()))),
                None => (Number::ONE, self.clone()),
            },
            _ => (Number::ONE, self.clone()),
        }
    }

    /// The terms of a sum; anything else is its only term.
    pub(crate) fn terms(&self) -> &[Expr] {
        match self.kind() {
            Kind::Sum(terms) => terms,
            _ => std::slice::from_ref(self),
        }
    }

    /// The factors of a product; anything else is its only factor.
    pub(crate) fn factors(&self) -> &[Expr] {
        match self.kind() {
            Kind::Product(factors) => factors,
            _ => std::slice::from_ref(self),
        }
    }

    /// Base and exponent; anything but a power has the exponent 1.
    pub(crate) fn as_power(&self) -> (Expr, Expr) {
        match self.kind() {
            Kind::Power(base, exponent) => (base.clone(), exponent.clone()),
            _ => (self.clone(), Self::from(Number::ONE)),
        }
    }

    pub(crate) fn sum(terms: impl IntoIterator<Item = Expr>) -> Self {
        let plus = |a: &Number, b| a.add(b);
        let mut collected = Vec::new();
        for term in terms {
            let (n, rest) = term.split();
            collect(&mut collected, rest, n, plus);
        }
        // Sums among the terms are taken apart only after collecting, so that S + S becomes 2 S.
        let mut flat = Vec::new();
        let mut pending: Vec<_> = collected.into_iter().rev().collect();
        while let Some((rest, n)) = pending.pop() {
            match rest.kind() {
                Kind::Sum(terms) if n.is_one() || n == Number::MINUS_ONE => {
                    pending.extend(terms.iter().rev().map(|term| {
                        let (m, rest) = term.split();
                        (rest, m.mul(n))
                    }));
                }
                _ => collect(&mut flat, rest, n, plus),
            }
        }
        let mut terms: Vec<_> =
            flat.into_iter().filter(|(_, n)| !n.is_zero()).map(|(rest, n)| rest.scaled(n)).collect();
        match terms.len() {
            0 => Self::from(Number::ZERO),
            1 => terms.remove(0),
            _ => Self::new(Kind::Sum(terms)),
        }
    }

    /// n times the expression, which must not have a number in front.
    fn scaled(&self, n: Number) -> Self {
        if n.is_one() {
            self.clone()
        } else if self.is(Number::ONE) || n.is_zero() {
            Self::from(n)
        } else {
            Self::new(Kind::Product([&[Self::from(n)], self.factors()].concat()))
        }
    }

    pub(crate) fn product(factors: impl IntoIterator<Item = Expr>) -> Self {
        let mut number = Number::ONE;
        let plus = |a: &Expr, b| Self::sum([a.clone(), b]);
        let mut powers = Vec::new();
        // e^a e^b = e^(a + b): all exponentials are powers of e.
        let e = Self::new(Kind::Unary(rules::exp::new().into(), Number::ONE.into()));
        let mut pending: Vec<Expr> = factors.into_iter().collect();
        pending.reverse();
        while let Some(factor) = pending.pop() {
            match factor.kind() {
                Kind::Number(n) => number = number.mul(*n),
                Kind::Product(factors) => pending.extend(factors.iter().rev().cloned()),
                Kind::Unary(UnaryOp::exp(_), x) => collect(&mut powers, e.clone(), x.clone(), plus),
                _ => {
                    let (base, exponent) = factor.as_power();
                    collect(&mut powers, base, exponent, plus);
                }
            }
        }
        let mut factors = Vec::new();
        for (base, exponent) in powers {
            let power =
                if base == e { Self::unary(rules::exp::new().into(), exponent) } else { Self::power(base, exponent) };
            for factor in power.factors() {
                match factor.as_number() {
                    Some(n) => number = number.mul(n),
                    None => factors.push(factor.clone()),
                }
            }
        }
        if number.is_zero() || number.to_f64().is_nan() {
            return Self::from(if number.is_zero() { Number::ZERO } else { number });
        }
        if !number.is_one() || factors.is_empty() {
            factors.insert(0, Self::from(number));
        }
        if factors.len() == 1 { factors.remove(0) } else { Self::new(Kind::Product(factors)) }
    }

    pub(crate) fn negated(&self) -> Self {
        Self::product([Self::from(Number::MINUS_ONE), self.clone()])
    }

    /// base^exponent.
    pub(crate) fn power(base: Self, exponent: Self) -> Self {
        if exponent.is(Number::ONE) || base.is(Number::ONE) {
            return base;
        }
        if exponent.is(Number::ZERO) {
            return Self::from(Number::ONE);
        }
        let Some(e) = exponent.as_number() else { return Self::new(Kind::Power(base, exponent)) };
        let whole = e.to_integer();
        match base.kind() {
            Kind::Number(n) => {
                if let Some(power) = n.pow(e) {
                    return Self::from(power);
                }
            }
            Kind::Power(inner, f) => {
                let even = f.as_number().and_then(Number::to_integer).filter(|f| f % 2 == 0);
                if whole.is_some() {
                    return Self::power(inner.clone(), Self::product([f.clone(), exponent]));
                }
                if let (Some(even), true) = (even, e == Number::HALF) {
                    return Self::power(Self::abs(inner), Self::integer(i64::from(even / 2)));
                }
            }
            Kind::Product(factors) => {
                if whole.is_some() {
                    return Self::product(factors.iter().map(|f| Self::power(f.clone(), exponent.clone())));
                }
                let (n, rest) = base.split();
                if n.to_f64() > 0.0 && !n.is_one() {
                    return Self::product([Self::power(n.into(), exponent.clone()), Self::power(rest, exponent)]);
                }
            }
            Kind::Unary(UnaryOp::exp(_), x) => {
                return Self::unary(rules::exp::new().into(), Self::product([x.clone(), exponent]));
            }
            Kind::Unary(UnaryOp::abs(_), x) if whole.is_some_and(|e| e % 2 == 0) => {
                return Self::power(x.clone(), exponent);
            }
            _ => {}
        }
        Self::new(Kind::Power(base, exponent))
    }

    pub(crate) fn sqrt(self) -> Self {
        Self::power(self, Number::HALF.into())
    }

    fn abs(x: &Self) -> Self {
        if x.is_nonnegative() { x.clone() } else { Self::new(Kind::Unary(rules::abs::new().into(), x.split_sign())) }
    }

    /// The expression, negated if the number in front is negative.
    fn split_sign(&self) -> Self {
        if self.split().0.is_negative() { self.negated() } else { self.clone() }
    }

    /// True if the form of the expression shows that no value is negative.
    fn is_nonnegative(&self) -> bool {
        let even = |e: &Expr| e.as_number().and_then(Number::to_integer).is_some_and(|e| e % 2 == 0);
        match self.kind() {
            Kind::Number(n) => n.to_f64() >= 0.0,
            // A root is not negative where it is defined.
            Kind::Power(base, e) => even(e) || base.is_nonnegative() || e.as_number() == Some(Number::HALF),
            Kind::Unary(UnaryOp::exp(_) | UnaryOp::abs(_) | UnaryOp::cosh(_) | UnaryOp::sigmoid(_), _) => true,
            Kind::Sum(parts) | Kind::Product(parts) => parts.iter().all(Self::is_nonnegative),
            _ => false,
        }
    }

    /// A function of the table: arithmetic is put into the normal form, other functions stay calls.
    pub(crate) fn unary(op: UnaryOp<f64>, x: Self) -> Self {
        match op {
            UnaryOp::neg(_) => x.negated(),
            UnaryOp::recip(_) => Self::power(x, Number::MINUS_ONE.into()),
            UnaryOp::square(_) => Self::power(x, Self::integer(2)),
            UnaryOp::powi(rule) => Self::power(x, Self::integer(rule.n.into())),
            UnaryOp::sqrt(_) => x.sqrt(),
            UnaryOp::abs(_) => Self::abs(&x),
            _ => {
                match (op, x.kind()) {
                    (UnaryOp::exp(_), Kind::Unary(UnaryOp::ln(_), inner))
                    | (UnaryOp::ln(_), Kind::Unary(UnaryOp::exp(_), inner)) => return inner.clone(),
                    // At 0 and 1 the result may be exact (sin 0, ln 1, e^0). Any other fraction stays in the call,
                    // any other float is replaced by the result.
                    (_, Kind::Number(n)) => {
                        let y = op.eval(n.to_f64());
                        let exact = (n.is_zero() || n.is_one()) && (2.0 * y).fract() == 0.0;
                        if exact || matches!(n, Number::Float(_)) {
                            return Self::number(y);
                        }
                    }
                    _ => {}
                }
                Self::new(Kind::Unary(op, x))
            }
        }
    }

    pub(crate) fn binary(op: BinaryOp, a: Self, b: Self) -> Self {
        let inverse = |x| Self::power(x, Number::MINUS_ONE.into());
        match op {
            BinaryOp::add => Self::sum([a, b]),
            BinaryOp::sub => Self::sum([a, b.negated()]),
            BinaryOp::mul | BinaryOp::gated_mul => Self::product([a, b]),
            BinaryOp::div => Self::product([a, inverse(b)]),
            BinaryOp::powf => Self::power(a, b),
            BinaryOp::hypot => Self::sum([a, b].map(|x| Self::power(x, Self::integer(2)))).sqrt(),
            BinaryOp::xlogy => Self::product([a, Self::unary(rules::ln::new().into(), b)]),
            _ => match (a.as_number(), b.as_number()) {
                (Some(a), Some(b)) => Self::number(op.eval(a.to_f64(), b.to_f64())),
                _ => Self::new(Kind::Binary(op, a, b)),
            },
        }
    }

    /// The result of a step, from its operands and the inputs.
    pub(crate) fn step(step: Step, x: &[Self], inputs: &[Self]) -> Self {
        match step {
            Step::Input(i) => inputs[i as usize].clone(),
            Step::Unary(op, _) => Self::unary(op, x[0].clone()),
            Step::Binary(op, _) => Self::binary(op, x[0].clone(), x[1].clone()),
            Step::MulAdd(_) => Self::sum([Self::product([x[0].clone(), x[1].clone()]), x[2].clone()]),
        }
    }

    pub(crate) fn sign(x: Self) -> Self {
        match x.as_number() {
            Some(n) => Self::number(rules::sign(n.to_f64())),
            None => Self::new(Kind::Sign(x)),
        }
    }

    /// `yes` where the test holds, else `no`. A side that is NaN lies outside the domain, so the other side is the
    /// whole expression.
    pub(crate) fn select(test: Test, [a, b]: [Self; 2], yes: Self, no: Self) -> Self {
        if let (Some(a), Some(b)) = (a.as_number(), b.as_number()) {
            return if test.holds(a.to_f64(), b.to_f64()) { yes } else { no };
        }
        let yes = if is_at_least(test, true, &b) { yes.without_abs(&a) } else { yes };
        let no = if is_at_least(test, false, &b) { no.without_abs(&a) } else { no };
        if yes == no || no.is_nan() {
            return yes;
        }
        if yes.is_nan() {
            return no;
        }
        if test == Test::Greater && b.is(Number::ZERO) && yes.is(Number::ONE) {
            // The rules write a sign as 1 above 0, else -1 below 0, else 0.
            if let Kind::Select(Select { test: Test::Less, operands: [c, d], yes, no }) = no.kind()
                && (*c == a && d.is(Number::ZERO) && yes.is(Number::MINUS_ONE) && no.is(Number::ZERO))
            {
                return Self::sign(a);
            }
        }
        Self::new(Kind::Select(Select { test, operands: [a, b], yes, no }))
    }

    /// The expression where x is not negative: `abs(x)` is x.
    fn without_abs(&self, x: &Self) -> Self {
        self.rebuilt(&mut HashMap::new(), &|e| match e.kind() {
            Kind::Unary(UnaryOp::abs(_), inner) if inner == x => Some(x.clone()),
            _ => None,
        })
    }

    /// The expression with some parts replaced, and every operation on replaced parts put into normal form again.
    /// `done` maps the addresses of finished parts to their new forms.
    pub(crate) fn rebuilt(&self, done: &mut HashMap<usize, Expr>, replace: &impl Fn(&Expr) -> Option<Expr>) -> Self {
        if let Some(known) = done.get(&self.address()) {
            return known.clone();
        }
        let mut part = |x: &Expr| x.rebuilt(done, replace);
        let new = replace(self).unwrap_or_else(|| self.map_children(&mut part));
        done.insert(self.address(), new.clone());
        new
    }

    /// The same operation on other operands.
    pub(crate) fn map_children(&self, part: &mut impl FnMut(&Expr) -> Expr) -> Self {
        match self.kind() {
            Kind::Number(_) | Kind::Symbol(_) => self.clone(),
            Kind::Sum(terms) => Self::sum(terms.iter().map(part)),
            Kind::Product(factors) => Self::product(factors.iter().map(part)),
            Kind::Power(base, exponent) => Self::power(part(base), part(exponent)),
            Kind::Unary(op, x) => Self::unary(*op, part(x)),
            Kind::Binary(op, a, b) => Self::binary(*op, part(a), part(b)),
            Kind::Sign(x) => Self::sign(part(x)),
            Kind::Select(s) => {
                let operands = s.operands.each_ref().map(&mut *part);
                Self::select(s.test, operands, part(&s.yes), part(&s.no))
            }
        }
    }

    /// The value of the expression on numbers of any kind. Shared parts are computed once: `done` holds the values by
    /// address.
    pub(crate) fn eval<R: Real<Base = f64>>(&self, done: &mut HashMap<usize, R>, symbol: &impl Fn(&str) -> R) -> R {
        if let Some(&known) = done.get(&self.address()) {
            return known;
        }
        let mut of = |x: &Expr| x.eval(done, symbol);
        let value = match self.kind() {
            Kind::Number(n) => R::from_base(n.to_f64()),
            Kind::Symbol(name) => symbol(name),
            Kind::Sum(terms) => fold(terms.iter().map(of), |a, b| a + b),
            Kind::Product(factors) => {
                let divisor =
                    |f: &&Expr| matches!(f.kind(), Kind::Power(_, e) if e.as_number().is_some_and(Number::is_negative));
                let (below, above): (Vec<_>, Vec<_>) = factors.iter().partition(divisor);
                let mut below = below.into_iter().map(|f| {
                    let (base, e) = f.as_power();
                    let e = e.as_number().expect("a divisor has a number as exponent");
                    (base, e.mul(Number::MINUS_ONE))
                });
                let mut value = if above.is_empty() {
                    let (base, e) = below.next().expect("a product has factors");
                    raised(of(&base), e).recip()
                } else {
                    fold(above.into_iter().map(&mut of), |a, b| a * b)
                };
                for (base, e) in below {
                    value /= raised(of(&base), e);
                }
                value
            }
            Kind::Power(base, exponent) => match exponent.as_number() {
                Some(n) if n.is_negative() => raised(of(base), n.mul(Number::MINUS_ONE)).recip(),
                Some(n) => raised(of(base), n),
                None => of(base).powf(of(exponent)),
            },
            Kind::Unary(op, x) => op.eval(of(x)),
            Kind::Binary(op, a, b) => op.eval(of(a), of(b)),
            Kind::Sign(x) => rules::sign(of(x)),
            Kind::Select(s) => {
                let [a, b] = s.operands.each_ref().map(&mut of);
                if s.test.holds(a, b) { of(&s.yes) } else { of(&s.no) }
            }
        };
        done.insert(self.address(), value);
        value
    }
}

fn fold<R: Real>(mut values: impl Iterator<Item = R>, combine: impl Fn(R, R) -> R) -> R {
    let first = values.next().expect("sums and products have operands");
    values.fold(first, combine)
}

/// x^n for a positive n.
fn raised<R: Real<Base = f64>>(x: R, n: Number) -> R {
    match n.to_integer() {
        Some(1) => x,
        Some(n) => x.powi(n),
        None if n == Number::HALF => x.sqrt(),
        None => x.powf(R::from_base(n.to_f64())),
    }
}

/// True if the right operand is 0 and the outcome says that the left operand is not negative.
fn is_at_least(test: Test, outcome: bool, right: &Expr) -> bool {
    let says = match test {
        Test::Greater | Test::GreaterEqual => outcome,
        Test::Less | Test::LessEqual => !outcome,
        _ => false,
    };
    says && right.is(Number::ZERO)
}

/// Adds an amount to the total of `key` in a list with one entry for each key.
fn collect<N>(list: &mut Vec<(Expr, N)>, key: Expr, amount: N, plus: impl Fn(&N, N) -> N) {
    match list.iter_mut().find(|(known, _)| *known == key) {
        Some((_, total)) => *total = plus(total, amount),
        None => list.push((key, amount)),
    }
}

impl From<Number> for Expr {
    fn from(n: Number) -> Self {
        Self::new(Kind::Number(n))
    }
}

impl Kind {
    /// The operands.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        match self {
            Kind::Number(_) | Kind::Symbol(_) => Vec::new(),
            Kind::Sum(parts) | Kind::Product(parts) => parts.iter().collect(),
            Kind::Power(a, b) | Kind::Binary(_, a, b) => vec![a, b],
            Kind::Unary(_, x) | Kind::Sign(x) => vec![x],
            Kind::Select(s) => vec![&s.operands[0], &s.operands[1], &s.yes, &s.no],
        }
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.0, &other.0) {
            return true;
        }
        if self.0.hash != other.0.hash {
            return false;
        }
        match (self.kind(), other.kind()) {
            (Kind::Number(a), Kind::Number(b)) => a == b,
            (Kind::Symbol(a), Kind::Symbol(b)) => a == b,
            // The parts of a normal form all differ, so inclusion in one direction is enough.
            (Kind::Sum(a), Kind::Sum(b)) | (Kind::Product(a), Kind::Product(b)) => {
                a.len() == b.len() && a.iter().all(|x| b.contains(x))
            }
            (Kind::Power(a, b), Kind::Power(c, d)) => a == c && b == d,
            (Kind::Unary(f, x), Kind::Unary(g, y)) => f == g && x == y,
            (Kind::Binary(f, a, b), Kind::Binary(g, c, d)) => f == g && a == c && b == d,
            (Kind::Sign(x), Kind::Sign(y)) => x == y,
            (Kind::Select(s), Kind::Select(t)) => {
                s.test == t.test && s.operands == t.operands && s.yes == t.yes && s.no == t.no
            }
            _ => false,
        }
    }
}
