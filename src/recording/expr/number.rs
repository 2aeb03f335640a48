//! The numbers in formulas: exact fractions while numerator and denominator fit, else floats.

use std::fmt;

/// A fraction in lowest terms, or a float that a person would write as a decimal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    /// Numerator and positive denominator without common factor.
    Fraction(i64, i64),
    Float(f64),
}

/// The bound up to which `f64` has every integer exactly.
const EXACT: f64 = (1_u64 << 53) as f64;

impl Number {
    pub(crate) const ZERO: Self = Self::Fraction(0, 1);
    pub(crate) const ONE: Self = Self::Fraction(1, 1);
    pub(crate) const MINUS_ONE: Self = Self::Fraction(-1, 1);
    pub(crate) const HALF: Self = Self::Fraction(1, 2);

    pub(crate) fn integer(n: i64) -> Self {
        Self::Fraction(n, 1)
    }

    /// The fraction for an integer and for the float nearest to a half, a third or the like; any other float, such as
    /// 0.7, stays a float.
    pub(crate) fn from_f64(x: f64) -> Self {
        const DENOMINATORS: [i64; 9] = [1, 2, 3, 4, 6, 8, 12, 16, 32];
        for q in DENOMINATORS {
            let p = (x * q as f64).round();
            if p.abs() < EXACT && p / q as f64 == x && !(p == 0.0 && x.is_sign_negative()) {
                return Self::fraction(p as i128, i128::from(q)).unwrap_or(Self::Float(x));
            }
        }
        // A negative zero becomes 0: the two differ only as divisors.
        if x == 0.0 { Self::ZERO } else { Self::Float(x) }
    }

    /// p/q in lowest terms; `None` if q is 0 or a part does not fit.
    fn fraction(p: i128, q: i128) -> Option<Self> {
        let divisor = gcd(p, q).max(1) * q.signum();
        let (p, q) = (p.checked_div(divisor)?, q / divisor);
        let fits = (p.unsigned_abs() as f64) < EXACT && (q as f64) < EXACT;
        (q != 0 && fits).then_some(Self::Fraction(p as i64, q as i64))
    }

    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Fraction(p, q) => p as f64 / q as f64,
            Self::Float(x) => x,
        }
    }

    pub(crate) fn to_integer(self) -> Option<i32> {
        match self {
            Self::Fraction(p, 1) => p.try_into().ok(),
            _ => None,
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    pub(crate) fn is_one(self) -> bool {
        self == Self::ONE
    }

    pub(crate) fn is_negative(self) -> bool {
        self.to_f64() < 0.0
    }

    pub(crate) fn add(self, other: Self) -> Self {
        let exact = match (self, other) {
            (Self::Fraction(a, b), Self::Fraction(c, d)) => {
                let [a, b, c, d] = [a, b, c, d].map(i128::from);
                Self::fraction(a * d + c * b, b * d)
            }
            _ => None,
        };
        exact.unwrap_or_else(|| Self::from_f64(self.to_f64() + other.to_f64()))
    }

    pub(crate) fn mul(self, other: Self) -> Self {
        let exact = match (self, other) {
            (Self::Fraction(a, b), Self::Fraction(c, d)) => {
                let [a, b, c, d] = [a, b, c, d].map(i128::from);
                Self::fraction(a * c, b * d)
            }
            _ => None,
        };
        exact.unwrap_or_else(|| Self::from_f64(self.to_f64() * other.to_f64()))
    }

    /// self^exponent; `None` if the power is not exact, like √2, or undefined, like 0^-1.
    pub(crate) fn pow(self, exponent: Self) -> Option<Self> {
        if let Self::Float(x) = self {
            let y = x.powf(exponent.to_f64());
            return y.is_finite().then(|| Self::from_f64(y));
        }
        if let Self::Float(e) = exponent {
            let y = self.to_f64().powf(e);
            return y.is_finite().then(|| Self::from_f64(y));
        }
        let Self::Fraction(p, q) = exponent else { return None };
        let root = match q {
            1 => self,
            2 => self.square_root()?,
            _ => return None,
        };
        let power = i32::try_from(p).ok().filter(|p| p.unsigned_abs() <= 64)?;
        let base = if power < 0 { root.inverse()? } else { root };
        (0..power.unsigned_abs()).try_fold(Self::ONE, |product, _| match product.mul(base) {
            exact @ Self::Fraction(..) => Some(exact),
            Self::Float(_) => None,
        })
    }

    fn inverse(self) -> Option<Self> {
        match self {
            Self::Fraction(p, q) => Self::fraction(i128::from(q), i128::from(p)),
            Self::Float(x) => (x != 0.0).then(|| Self::from_f64(x.recip())),
        }
    }

    /// The square root of a fraction, if numerator and denominator are squares.
    fn square_root(self) -> Option<Self> {
        let Self::Fraction(p, q) = self else { return None };
        let root = |n: i64| {
            let r = (n as f64).sqrt().round() as i64;
            (n >= 0 && r * r == n).then_some(r)
        };
        Some(Self::Fraction(root(p)?, root(q)?))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fraction(a, b), Self::Fraction(c, d)) => (a, b) == (c, d),
            (Self::Float(x), Self::Float(y)) => x.to_bits() == y.to_bits(),
            _ => false,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fraction(p, 1) => write!(f, "{p}"),
            Self::Fraction(p, q) => write!(f, "{p}/{q}"),
            Self::Float(x) => write!(f, "{x}"),
        }
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
