//! [`Expr`]: expressions in a normal form that their constructors keep.
//!
//! Sums are flat, with like terms collected. Products are flat, with one number in front and powers
//! of one base collected. Terms and factors stay in the order in which a person wrote them, so equality ignores their
//! order.
//!
//! A long computation gives a deep expression in which parts are shared, and which would be of exponential size if it
//! were written out. So nothing here recurses into operands: every pass goes through [`Expr::bottom_up`], which visits
//! each part once, and parts are compared by their fingerprints.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::number::Number;
use crate::number::rules::{BinaryOp, UnaryOp};
use crate::number::{Real, rules};
use crate::recording::{Step, Test};

/// An expression; clones share their nodes.
#[derive(Clone)]
pub(crate) struct Expr(Arc<Node>);

/// A hash of 128 bits that ignores the order of terms and factors. Expressions with equal fingerprints count as equal:
/// two different ones among 2^40 have equal fingerprints with a probability of 2^-49.
pub(crate) type Fingerprint = u128;

struct Node {
    kind: Kind,
    fingerprint: Fingerprint,
    /// The number of nodes of the expression as a tree: a shared part counts each time that it occurs.
    size: usize,
    /// True if the form of the expression shows that no value is negative.
    nonnegative: bool,
}

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
pub(crate) struct Select {
    pub(crate) test: Test,
    pub(crate) operands: [Expr; 2],
    pub(crate) yes: Expr,
    pub(crate) no: Expr,
}

impl Expr {
    fn new(kind: Kind) -> Self {
        let (mut size, nonnegative) = (1_usize, kind.is_nonnegative());
        for child in kind.children() {
            size = size.saturating_add(child.0.size);
        }
        Self(Arc::new(Node { fingerprint: kind.fingerprint(), kind, size, nonnegative }))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    pub(crate) fn size(&self) -> usize {
        self.0.size
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
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
        let mut collected = Totals::new();
        for term in terms {
            let (n, rest) = term.split();
            collected.add(rest, n, plus);
        }
        // Sums among the terms are taken apart only after collecting, so that S + S becomes 2 S.
        let mut flat = Totals::new();
        let mut pending: Vec<_> = collected.list.into_iter().rev().collect();
        while let Some((rest, n)) = pending.pop() {
            match rest.kind() {
                Kind::Sum(terms) if n.is_one() || n == Number::MINUS_ONE => {
                    pending.extend(terms.iter().rev().map(|term| {
                        let (m, rest) = term.split();
                        (rest, m.mul(n))
                    }));
                }
                _ => flat.add(rest, n, plus),
            }
        }
        let mut terms: Vec<_> =
            flat.list.into_iter().filter(|(_, n)| !n.is_zero()).map(|(rest, n)| rest.scaled(n)).collect();
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
        let mut powers = Totals::new();
        // e^a e^b = e^(a + b): all exponentials are powers of e.
        let e = Self::new(Kind::Unary(rules::exp::new().into(), Number::ONE.into()));
        let mut pending: Vec<Expr> = factors.into_iter().collect();
        pending.reverse();
        while let Some(factor) = pending.pop() {
            match factor.kind() {
                Kind::Number(n) => number = number.mul(*n),
                Kind::Product(factors) => pending.extend(factors.iter().rev().cloned()),
                Kind::Unary(UnaryOp::exp(_), x) => powers.add(e.clone(), x.clone(), plus),
                _ => {
                    let (base, exponent) = factor.as_power();
                    powers.add(base, exponent, plus);
                }
            }
        }
        let mut factors = Vec::new();
        for (base, exponent) in powers.list {
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
        if x.0.nonnegative { x.clone() } else { Self::new(Kind::Unary(rules::abs::new().into(), x.split_sign())) }
    }

    /// The expression, negated if the number in front is negative.
    fn split_sign(&self) -> Self {
        if self.split().0.is_negative() { self.negated() } else { self.clone() }
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
        self.rebuilt(|e| match e.kind() {
            Kind::Unary(UnaryOp::abs(_), inner) if inner == x => Some(x.clone()),
            _ => None,
        })
    }

    /// A result for the expression, from the results of its parts. `compute` gets a part and the results so far; it
    /// returns the result, or the parts that it needs first.
    pub(crate) fn bottom_up<T: Clone>(
        &self,
        done: &mut HashMap<Fingerprint, T>,
        mut compute: impl FnMut(&Expr, &mut HashMap<Fingerprint, T>) -> Result<T, Vec<Expr>>,
    ) -> T {
        let mut pending = vec![self.clone()];
        while let Some(part) = pending.last() {
            if done.contains_key(&part.fingerprint()) {
                pending.pop();
                continue;
            }
            match compute(part, done) {
                Ok(result) => _ = done.insert(part.fingerprint(), result),
                Err(needed) => pending.extend(needed),
            }
        }
        done[&self.fingerprint()].clone()
    }

    /// The operands without a result so far.
    pub(crate) fn missing<T>(&self, done: &HashMap<Fingerprint, T>) -> Vec<Expr> {
        self.kind().children().into_iter().filter(|part| !done.contains_key(&part.fingerprint())).cloned().collect()
    }

    /// The expression with some parts replaced, and every operation on replaced parts put into normal form again.
    pub(crate) fn rebuilt(&self, replace: impl Fn(&Expr) -> Option<Expr>) -> Self {
        self.bottom_up(&mut HashMap::new(), |e, done| {
            if let Some(new) = replace(e) {
                return Ok(new);
            }
            match e.missing(done) {
                missing if missing.is_empty() => Ok(e.map_children(&mut |part| done[&part.fingerprint()].clone())),
                missing => Err(missing),
            }
        })
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

    /// The value of the expression on numbers of any kind. Of two cases, only the one that holds is computed.
    pub(crate) fn eval<R: Real<Base = f64>>(&self, symbol: impl Fn(&str) -> R) -> R {
        // Each test is made once, because numbers may write it down.
        let mut outcomes = HashMap::new();
        self.bottom_up(&mut HashMap::new(), |e, done| {
            let Kind::Select(s) = e.kind() else {
                let missing = e.missing(done);
                return if missing.is_empty() {
                    Ok(e.eval_on(|part| done[&part.fingerprint()], &symbol))
                } else {
                    Err(missing)
                };
            };
            let value = |part: &Expr| done.get(&part.fingerprint()).copied();
            let [Some(a), Some(b)] = s.operands.each_ref().map(value) else { return Err(s.operands.to_vec()) };
            let holds = *outcomes.entry(e.fingerprint()).or_insert_with(|| s.test.holds(a, b));
            let case = if holds { &s.yes } else { &s.no };
            value(case).ok_or_else(|| vec![case.clone()])
        })
    }

    /// The value of the expression, from the values of its operands. Not for cases.
    fn eval_on<R: Real<Base = f64>>(&self, of: impl Fn(&Expr) -> R, symbol: impl Fn(&str) -> R) -> R {
        match self.kind() {
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
                    fold(above.into_iter().map(&of), |a, b| a * b)
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
            Kind::Select(_) => unreachable!("cases are computed one at a time"),
        }
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

/// Amounts collected by key, in the order in which the keys came.
struct Totals<N> {
    list: Vec<(Expr, N)>,
    places: HashMap<Fingerprint, usize>,
}

impl<N> Totals<N> {
    fn new() -> Self {
        Self { list: Vec::new(), places: HashMap::new() }
    }

    fn add(&mut self, key: Expr, amount: N, plus: impl Fn(&N, N) -> N) {
        let place = *self.places.entry(key.fingerprint()).or_insert(self.list.len());
        match self.list.get_mut(place) {
            Some((_, total)) => *total = plus(total, amount),
            None => self.list.push((key, amount)),
        }
    }
}

/// Two hashes of 64 bits with different beginnings.
fn hash(of: impl Hash) -> Fingerprint {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, &of).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
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

    /// Moves the operands to the end of a list.
    fn give_children(self, to: &mut Vec<Expr>) {
        match self {
            Kind::Number(_) | Kind::Symbol(_) => {}
            Kind::Sum(parts) | Kind::Product(parts) => to.extend(parts),
            Kind::Power(a, b) | Kind::Binary(_, a, b) => to.extend([a, b]),
            Kind::Unary(_, x) | Kind::Sign(x) => to.push(x),
            Kind::Select(Select { operands, yes, no, .. }) => {
                to.extend(operands);
                to.extend([yes, no]);
            }
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        let unordered = |parts: &[Expr]| parts.iter().fold(0, |sum: u128, part| sum.wrapping_add(part.fingerprint()));
        let of = Expr::fingerprint;
        match self {
            Kind::Number(Number::Fraction(p, q)) => hash((0, p, q)),
            Kind::Number(Number::Float(x)) => hash((1, x.to_bits())),
            Kind::Symbol(name) => hash((2, name)),
            Kind::Sum(terms) => hash((3, unordered(terms))),
            Kind::Product(factors) => hash((4, unordered(factors))),
            Kind::Power(base, exponent) => hash((5, of(base), of(exponent))),
            Kind::Unary(op, x) => hash((6, op.name(), op.parameters(), of(x))),
            Kind::Binary(op, a, b) => hash((7, op.name(), of(a), of(b))),
            Kind::Sign(x) => hash((8, of(x))),
            Kind::Select(s) => hash((9, s.test, s.operands.each_ref().map(of), of(&s.yes), of(&s.no))),
        }
    }

    fn is_nonnegative(&self) -> bool {
        let even = |e: &Expr| e.as_number().and_then(Number::to_integer).is_some_and(|e| e % 2 == 0);
        match self {
            Kind::Number(n) => n.to_f64() >= 0.0,
            // A root is not negative where it is defined.
            Kind::Power(base, e) => even(e) || base.0.nonnegative || e.as_number() == Some(Number::HALF),
            Kind::Unary(UnaryOp::exp(_) | UnaryOp::abs(_) | UnaryOp::cosh(_) | UnaryOp::sigmoid(_), _) => true,
            Kind::Sum(parts) | Kind::Product(parts) => parts.iter().all(|part| part.0.nonnegative),
            _ => false,
        }
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.0.fingerprint == other.0.fingerprint
    }
}

impl Drop for Node {
    /// Frees the parts one after the other: the depth of an expression is not limited by the stack.
    fn drop(&mut self) {
        let mut pending = Vec::new();
        std::mem::replace(&mut self.kind, Kind::Number(Number::ZERO)).give_children(&mut pending);
        while let Some(Expr(part)) = pending.pop() {
            if let Some(mut node) = Arc::into_inner(part) {
                std::mem::replace(&mut node.kind, Kind::Number(Number::ZERO)).give_children(&mut pending);
            }
        }
    }
}
