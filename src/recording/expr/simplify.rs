//! The simplification of expressions: a few rewritings are tried, and the shortest result in print is kept.

use std::collections::HashMap;

use super::expr::{Expr, Fingerprint, Kind};
use super::number::Number;
use crate::number::rules::UnaryOp;

/// The largest size of a part that is rewritten.
const MAX_SIZE: usize = 600;
/// The largest number of terms that multiplying out may give.
const MAX_TERMS: usize = 32;

/// An equal expression that is no longer in print than `e`.
///
/// Two expressions are equal if they agree, as functions on the reals, wherever both are defined: `x/x` is 1.
pub(crate) fn simplify(e: &Expr) -> Expr {
    simplified(e, &mut HashMap::new())
}

/// The simplified form of `e`. `done` holds the finished forms.
fn simplified(e: &Expr, done: &mut HashMap<Fingerprint, Expr>) -> Expr {
    e.bottom_up(done, |e, done| {
        let missing = e.missing(done);
        if !missing.is_empty() {
            return Err(missing);
        }
        let simple = e.map_children(&mut |part| done[&part.fingerprint()].clone());
        if simple.size() > MAX_SIZE {
            return Ok(simple);
        }
        let (before, best) = (length(&simple), shortest_form(simple));
        Ok(if length(&best) < before { simplified(&best, done) } else { best })
    })
}

fn length(e: &Expr) -> usize {
    e.to_string().len()
}

/// The shortest of the forms that single rewritings give, one after the other.
fn shortest_form(mut best: Expr) -> Expr {
    const FORMS: [Form; 4] = [expanded, with_one_divisor, squares_of_sine_and_cosine, factored];
    let mut shortest = length(&best);
    for form in FORMS {
        let Some(other) = form(&best) else { continue };
        // Factors are easier to read than terms: a product is multiplied out only if that saves a quarter.
        let to_sum = matches!((best.kind(), other.kind()), (Kind::Product(_), Kind::Sum(_)));
        let limit = if to_sum { shortest * 3 / 4 + 1 } else { shortest };
        if length(&other) < limit {
            shortest = length(&other);
            best = other;
        }
    }
    best
}

/// A rewriting: gives an equal expression if the rewriting applies.
type Form = fn(&Expr) -> Option<Expr>;

/// A product with its divisors multiplied out into a single divisor.
fn with_one_divisor(e: &Expr) -> Option<Expr> {
    let minus_one = Expr::from(Number::MINUS_ONE);
    let is_divisor = |f: &&Expr| matches!(f.kind(), Kind::Power(_, e) if *e == minus_one);
    let (divisors, others): (Vec<_>, Vec<_>) = e.factors().iter().partition(is_divisor);
    let divisor = expanded(&Expr::product(divisors.iter().map(|d| d.as_power().0)))?;
    let others = others.into_iter().cloned();
    Some(Expr::product(others.chain([Expr::power(divisor, minus_one)])))
}

/// A sum with the common factors of all terms in front.
fn factored(e: &Expr) -> Option<Expr> {
    let Kind::Sum(terms) = e.kind() else { return None };
    let number = common_number(terms);
    let powers = |term: &Expr| -> Vec<(Expr, Expr)> { term.split().1.factors().iter().map(Expr::as_power).collect() };
    let mut common: Vec<(Expr, Number)> = Vec::new();
    for (base, exponent) in powers(&terms[0]) {
        let Some(mut least) = exponent.as_number() else { continue };
        let shared = terms[1..].iter().all(|term| {
            powers(term).into_iter().find(|(other, _)| *other == base).and_then(|(_, e)| e.as_number()).is_some_and(
                |e| {
                    if e.to_f64() < least.to_f64() {
                        least = e;
                    }
                    e.is_negative() == least.is_negative()
                },
            )
        });
        if shared && base.as_number().is_none() {
            common.push((base, least));
        }
    }
    if common.is_empty() && number.is_one() {
        return None;
    }
    let power = |sign: Number| {
        let power = move |(base, e): &(Expr, Number)| Expr::power(base.clone(), e.mul(sign).into());
        let n = number.pow(sign).expect("not 0");
        Expr::product(std::iter::once(n.into()).chain(common.iter().map(power)))
    };
    let inverse = power(Number::MINUS_ONE);
    let rest = Expr::sum(terms.iter().map(|term| Expr::product([term.clone(), inverse.clone()])));
    Some(Expr::product([power(Number::ONE), rest]))
}

/// The greatest integer that divides every term, negative if all terms are negative.
fn common_number(terms: &[Expr]) -> Number {
    let mut divisor = 0_i32;
    for term in terms {
        let Some(n) = term.split().0.to_integer() else { return Number::ONE };
        let (mut a, mut b) = (divisor, n.saturating_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        divisor = a;
    }
    let all_negative = terms.iter().all(|term| term.split().0.is_negative());
    Number::integer(i64::from(if all_negative { -divisor } else { divisor }))
}

/// The expression with all products of sums in its terms multiplied out.
fn expanded(e: &Expr) -> Option<Expr> {
    let terms = match e.kind() {
        Kind::Product(_) | Kind::Sum(_) => e.terms(),
        _ => return None,
    };
    let mut out: Vec<Expr> = Vec::new();
    for term in terms {
        let mut products = vec![Expr::from(Number::ONE)];
        for factor in term.factors() {
            products = products
                .iter()
                .flat_map(|p| factor.terms().iter().map(move |t| Expr::product([p.clone(), t.clone()])))
                .collect();
            if products.len() > MAX_TERMS {
                return None;
            }
        }
        out.extend(products);
    }
    (out.len() > terms.len() && out.len() <= MAX_TERMS).then(|| Expr::sum(out))
}

/// A sum with c sin² u + c cos² u replaced by c.
fn squares_of_sine_and_cosine(e: &Expr) -> Option<Expr> {
    let Kind::Sum(terms) = e.kind() else { return None };
    // A term with the square of a sine (true) or of a cosine (false): which of both, the angle, the coefficient.
    let square = |term: &Expr| {
        term.factors().iter().enumerate().find_map(|(place, factor)| {
            let (base, exponent) = factor.as_power();
            let (is_sine, angle) = match base.kind() {
                Kind::Unary(UnaryOp::sin(_), u) => (true, u.clone()),
                Kind::Unary(UnaryOp::cos(_), u) => (false, u.clone()),
                _ => return None,
            };
            let others = term.factors().iter().enumerate().filter(|&(i, _)| i != place).map(|(_, f)| f.clone());
            (exponent == Expr::integer(2)).then(|| (is_sine, angle, Expr::product(others)))
        })
    };
    let squares: Vec<_> = terms.iter().map(square).collect();
    for (i, a) in squares.iter().enumerate() {
        let Some((true, angle, coefficient)) = a else { continue };
        let partner = squares.iter().position(|b| *b == Some((false, angle.clone(), coefficient.clone())));
        if let Some(j) = partner {
            let others = terms.iter().enumerate().filter(|&(k, _)| k != i && k != j).map(|(_, t)| t.clone());
            return Some(Expr::sum(std::iter::once(coefficient.clone()).chain(others)));
        }
    }
    None
}
