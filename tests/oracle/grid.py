#!/usr/bin/env python3
"""Values and derivatives of the rules on a grid of exponents: the oracle behind tests/oracle/grid.txt.

Run it from the root of the crate, with Python 3 and mpmath (pip install mpmath):

    python tests/oracle/grid.py > tests/oracle/grid.txt

A line is `name x y y' y''`, or `name a b z z_a z_b z_aa z_ab z_bb`, each number the f64 nearest to the value at the
exact arguments. The closed forms are the textbook's and not the crate's. Their precision is doubled until two results
agree. Arguments are ±m 2^e: two random mantissas m of 24 bits, so that the argument is exact in f32 too, for each
exponent e from -12 to 9, and one for every 97th exponent from the least subnormal to the largest number. Functions
that are singular at ±1 have the arguments ±1 ± 2^-k besides.
"""

import random
from pathlib import Path
import sys

from mpmath import mp, mpf

sys.path.insert(0, str(Path(__file__).parent))
from edges import cbrt, ln_gamma, sigmoid, to_f64, xlogy  # noqa: E402
from edges import BINARY as BINARY_ROWS, UNARY as UNARY_ROWS  # noqa: E402

rng = random.Random(1964)
ALL = (-1074, 1023)


def sign(x):
    return mp.sign(x)


def sech2(x):
    return mp.sech(x) ** 2


def slope(x):
    """The derivative of the sigmoid."""
    return 1 / (4 * mp.cosh(x / 2) ** 2)


def curvature(x):
    """The second derivative of the sigmoid."""
    return -slope(x) * mp.tanh(x / 2)


def gelu_tanh_second(x):
    c, k = 2 * mp.sqrt(2 / mp.pi), mpf("0.044715")
    v, dv, ddv = c * (x + k * x**3), c * (1 + 3 * k * x**2), c * 6 * k * x
    return 2 * slope(v) * dv + x * (curvature(v) * dv**2 + slope(v) * ddv)


def mills(x):
    """φ(x)/Φ(x)."""
    return mp.npdf(x) / (mp.erfc(-x / mp.sqrt(2)) / 2)


def erf_slope(x):
    return 2 / mp.sqrt(mp.pi) * mp.exp(-(x**2))


def sinc_second(x):
    if abs(x) < mpf(2) ** -40:
        return (x**2 / 10 - 1) / 3
    return ((2 - x**2) * mp.sin(x) - 2 * x * mp.cos(x)) / x**3


# name: (second derivative, domain, least and largest exponent); the domain has both signs unless it says otherwise.
UNARY = {
    "recip": (lambda x: 2 / x**3, "", ALL),
    "sqrt": (lambda x: -1 / (4 * x * mp.sqrt(x)), "positive", ALL),
    "cbrt": (lambda x: -2 / (9 * cbrt(x) ** 5), "", ALL),
    "exp": (mp.exp, "", (-1074, 9)),
    "exp2": (lambda x: mp.ln2**2 * mpf(2) ** x, "", (-1074, 10)),
    "exp_m1": (mp.exp, "", (-1074, 9)),
    "ln": (lambda x: -1 / x**2, "positive", ALL),
    "log2": (lambda x: -1 / (x**2 * mp.ln2), "positive", ALL),
    "log10": (lambda x: -1 / (x**2 * mp.ln10), "positive", ALL),
    "ln_1p": (lambda x: -1 / (1 + x) ** 2, "above -1", ALL),
    "sin": (lambda x: -mp.sin(x), "", ALL),
    "cos": (lambda x: -mp.cos(x), "", ALL),
    "tan": (lambda x: 2 * mp.tan(x) * mp.sec(x) ** 2, "", ALL),
    "asin": (lambda x: x / ((1 - x**2) * mp.sqrt(1 - x**2)), "unit", (-1074, -1)),
    "acos": (lambda x: -x / ((1 - x**2) * mp.sqrt(1 - x**2)), "unit", (-1074, -1)),
    "atan": (lambda x: -2 * x / (1 + x**2) ** 2, "", ALL),
    "sinh": (mp.sinh, "", (-1074, 9)),
    "cosh": (mp.cosh, "", (-1074, 9)),
    "tanh": (lambda x: -2 * mp.tanh(x) * sech2(x), "", (-1074, 9)),
    "asinh": (lambda x: -x / ((1 + x**2) * mp.sqrt(1 + x**2)), "", ALL),
    "acosh": (lambda x: -x / ((x**2 - 1) * mp.sqrt(x**2 - 1)), "above 1", (0, 1023)),
    "atanh": (lambda x: 2 * x / (1 - x**2) ** 2, "unit", (-1074, -1)),
    "powi": (lambda x: 6 * x, "", ALL),
    "sigmoid": (curvature, "", (-1074, 9)),
    "softplus": (slope, "", (-1074, 9)),
    "log_sigmoid": (lambda x: -slope(x), "", (-1074, 9)),
    "elu": (lambda x: mpf(0) if x > 0 else mp.exp(x), "", (-1074, 9)),
    "gelu": (lambda x: mp.npdf(x) * (2 - x**2), "", (-1074, 6)),
    "gelu_tanh": (gelu_tanh_second, "", (-1074, 6)),
    "silu": (lambda x: 2 * slope(x) + x * curvature(x), "", (-1074, 9)),
    "softsign": (lambda x: -2 * sign(x) / (1 + abs(x)) ** 3, "", ALL),
    "erf": (lambda x: -2 * x * erf_slope(x), "", (-1074, 6)),
    "erfinv": (lambda x: mp.pi / 2 * mp.erfinv(x) * mp.exp(2 * mp.erfinv(x) ** 2), "unit", (-1074, -1)),
    "erfc": (lambda x: 2 * x * erf_slope(x), "", (-1074, 6)),
    "normal_cdf": (lambda x: -x * mp.npdf(x), "", (-1074, 6)),
    "log_normal_cdf": (lambda x: -mills(x) * (x + mills(x)), "", (-1074, 40)),
    "ln_gamma": (lambda x: mp.psi(1, x), "positive", ALL),
    "digamma": (lambda x: mp.psi(2, x), "positive", ALL),
    "polygamma": (lambda x: mp.psi(3, x), "positive", ALL),
    "sinc": (sinc_second, "", (-60, 1023)),
}

# name: (z_aa, z_ab, z_bb, domain, the largest exponent of a and of b)
BINARY = {
    "atan2": (lambda a, b: -2 * a * b / (a**2 + b**2) ** 2, lambda a, b: (a**2 - b**2) / (a**2 + b**2) ** 2,
        lambda a, b: 2 * a * b / (a**2 + b**2) ** 2, "", 1023, 1023),
    "hypot": (lambda a, b: b**2 / mp.hypot(a, b) ** 3, lambda a, b: -a * b / mp.hypot(a, b) ** 3,
        lambda a, b: a**2 / mp.hypot(a, b) ** 3, "", 1023, 1023),
    "div": (lambda a, b: mpf(0), lambda a, b: -1 / b**2, lambda a, b: 2 * a / b**3, "", 1023, 1023),
    "powf": (lambda a, b: b * (b - 1) * a ** (b - 2), lambda a, b: a ** (b - 1) * (1 + b * mp.log(a)),
        lambda a, b: a**b * mp.log(a) ** 2, "positive a", 1023, 8),
    "log": (lambda a, b: -1 / (a**2 * mp.log(b)), lambda a, b: -1 / (a * b * mp.log(b) ** 2),
        lambda a, b: mp.log(a) * (mp.log(b) + 2) / (b**2 * mp.log(b) ** 3), "positive", 1023, 1023),
    "log_add_exp": (lambda a, b: slope(a - b), lambda a, b: -slope(a - b), lambda a, b: slope(a - b), "positive", 8, 8),
    "xlogy": (lambda a, b: mpf(0), lambda a, b: 1 / b, lambda a, b: -a / b**2, "positive b", 1023, 1023),
}  # fmt: skip


def mantissa():
    return 1 + mpf(rng.getrandbits(23)) / 2**23


def numbers(least, largest):
    """Positive arguments with these exponents."""
    dense = [e for e in range(-12, 10) for _ in range(2)]
    sparse = [*range(-1074, -12, 97), -149, -126, *range(10, 1023, 97), 127, 1023]
    for e in sorted(dense + sparse):
        if least <= e <= largest:
            # A subnormal number has fewer digits.
            digits = min(23, e + (149 if e >= -149 else 1074))
            m = mp.floor(mantissa() * mpf(2) ** max(digits, 0))
            yield m * mpf(2) ** (e - max(digits, 0))


def arguments(domain, least, largest):
    near = [mpf(2) ** -k for k in (1, 2, 3, 5, 8, 12, 16, 20, 23, 24, 30, 40, 52, 53)]
    positive = list(numbers(least, largest))
    if domain == "positive":
        return positive + [1 + d for d in near[:-1]] + [1 - d for d in near]
    both = positive + [-x for x in positive]
    if domain == "unit":
        return [x for x in both if abs(x) < 1] + [s * (1 - d) for d in near for s in (1, -1)]
    if domain == "above -1":
        return [x for x in both if x > -1] + [d - 1 for d in near]
    if domain == "above 1":
        return [x for x in positive if x > 1] + [1 + d for d in near[:-1]]
    return both


def exact(f, *args):
    """The f64 nearest to f, with as many digits as it takes."""
    digits, last = 60, None
    while True:
        with mp.workdps(digits):
            value = f(*args)
            if last is not None and (value == last or abs(value - last) <= abs(value) * mpf(10) ** -30):
                return to_f64(value if isinstance(value, mpf) else mpf(value))
        digits, last = 2 * digits, value
        assert digits < 10000, args


def line(name, args, functions):
    values = [*map(float, args), *(exact(f, *args) for f in functions)]
    print(name, *(f"{v!r}".removesuffix(".0") for v in values))


def main():
    print("# Made by tests/oracle/grid.py")
    for name, (second, domain, (least, largest)) in UNARY.items():
        f, df = UNARY_ROWS[name][:2]
        for x in arguments(domain, least, largest):
            line(name, (x,), (f, df, second))
    for name, (aa, ab, bb, domain, largest_a, largest_b) in BINARY.items():
        f, fa, fb = BINARY_ROWS[name][:3]
        size = lambda largest: rng.choice([rng.randint(-12, 9)] * 2 + [rng.randint(-149, largest)])  # noqa: E731
        for i in range(48):
            a, b = (mantissa() * mpf(2) ** min(size(e), e) for e in (largest_a, largest_b))
            if domain not in ("positive", "positive a") and i % 2:
                a = -a
            if domain not in ("positive", "positive b") and i % 4 > 1:
                b = -b
            line(name, (a, b), (f, fa, fb, aa, ab, bb))


if __name__ == "__main__":
    main()
