#!/usr/bin/env python3
"""Edge points of the derivative rules: the oracle behind the constants in the rule table.

Run it from the root of the crate, with Python 3 and mpmath (pip install mpmath):

    python tests/oracle/edges.py            computes every point and compares it with the files that hold it:
                                            src/number/table.rs and, for other parameters of a row, tests/all/number/rules.rs
    python tests/oracle/edges.py --write    writes the points into those files

Each row holds a function and its partials in closed form, written down from the textbook and not from the
crate; an interval for random tests, on which the function is smooth; and its edge points. A point is either

- its arguments alone: value and partials are evaluated at the exact binary value of the arguments, to 50 digits
  and again to 100, and must round to the same f64 both times; or
- its arguments, value and partials: where the function is singular, has a kink or is taken at infinity.

Every closed form is compared with a numerical derivative inside its interval before anything is printed.

Conventions for the points given in full:

- The value is that of IEEE 754 and Rust's std; where std lacks the function, that of C's libm, else the limit.
- At infinity a partial is the limit, NaN if there is none. At the closed end of a domain it is the limit from inside,
  for -0.0 as for 0.0 (sqrt, ln). Outside the domain it is NaN.
- At a jump or a kink: abs and relu have derivative 0; leaky_relu has the slope of its left side; step functions 0;
  fract 1; clamp 1 on the closed interval; a tie of max or min gives each operand one half.
- A NaN operand gives the value and the partials NaN. Exceptions: partials that are the same everywhere, powi(x, 0) and
  gated_mul; max and min, in which the other operand wins, as in C's fmax (maximum and minimum are IEEE 754-2019's).
- At a pole, the limit if both sides agree (recip); else that of the side the sign of the zero selects (powi_m2,
  digamma); NaN where no zero can select one (digamma at -1).
- hypot and atan2 have gradient (0, 0) at the origin.
- In gated_mul an exact zero wins over infinity and NaN.
- A zero carries the sign that std or the limit gives it; compare zeros with ==.
"""

import re
import sys
from fractions import Fraction
from pathlib import Path

from mpmath import mp, mpf

DIGITS = 50
mp.dps = DIGITS

INF = float("inf")
NAN = float("nan")

LEAKY_SLOPE = mpf(0.01)  # the f64 nearest to 0.01
GELU_CUBIC = mpf("0.044715")  # Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2


# Functions mpmath lacks, and forms of them that do not cancel in a tail.


def cbrt(x):
    return mp.sign(x) * mp.cbrt(abs(x))


def trunc(x):
    return mp.sign(x) * mp.floor(abs(x))


def round_half_away(x):
    return mp.sign(x) * mp.floor(abs(x) + mpf(1) / 2)


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def dsigmoid(x):
    return sigmoid(x) * sigmoid(-x)


def softplus(x):
    return mp.log1p(mp.exp(x))


def gelu_tanh_arg(x):
    """Twice the argument of the tanh: (1 + tanh(u)) / 2 = sigmoid(2u)."""
    return 2 * mp.sqrt(2 / mp.pi) * (x + GELU_CUBIC * x**3)


def dgelu_tanh(x):
    v = gelu_tanh_arg(x)
    dv = 2 * mp.sqrt(2 / mp.pi) * (1 + 3 * GELU_CUBIC * x**2)
    return sigmoid(v) + x * dsigmoid(v) * dv


def ln_gamma(x):
    return mp.re(mp.loggamma(x))


def normal_cdf(x):
    """Φ by erfc, which keeps the digits of the lower tail."""
    return mp.erfc(-x / mp.sqrt(2)) / 2


def log_normal_cdf(x):
    """ln Φ(x); above 0 by the upper tail."""
    return mp.log1p(-normal_cdf(-x)) if x > 0 else mp.log(normal_cdf(x))


def dsinc(x):
    return (x * mp.cos(x) - mp.sin(x)) / x**2


def constant(c):
    return lambda *_: mpf(c)


# name: (function, derivative, sample interval, points)
UNARY = {
    "neg": (lambda x: -x, constant(-1), (-4, 4),
        [0.7, -1.3, 1e-8, 1e300, (0.0, -0.0, -1), (-0.0, 0.0, -1), (INF, -INF, -1), (-INF, INF, -1)]),
    "recip": (lambda x: 1 / x, lambda x: -1 / x**2, (0.3, 4),
        [0.7, -1.3, 1e-8, 1e100, (0.0, INF, -INF), (-0.0, -INF, -INF), (INF, 0.0, -0.0), (-INF, -0.0, -0.0)]),
    "sqrt": (mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), (0.1, 4),
        [0.7, 2.5, 1e-8, 1e300, (0.0, 0.0, INF), (-0.0, -0.0, INF), (-1.3, NAN, NAN), (INF, INF, 0)]),
    "cbrt": (cbrt, lambda x: 1 / (3 * cbrt(x) ** 2), (0.1, 4),
        [0.7, -1.3, 1e-8, -1e300, (0.0, 0.0, INF), (-0.0, -0.0, INF), (INF, INF, 0), (-INF, -INF, 0)]),
    "square": (lambda x: x**2, lambda x: 2 * x, (-4, 4),
        [0.7, -1.3, 1e-8, 1e150, 0.0, (-0.0, 0.0, -0.0), (INF, INF, INF), (-INF, INF, -INF)]),
    "abs": (abs, mp.sign, (-4, -0.1),
        [0.7, -1.3, 1e-8, -1e300, (0.0, 0.0, 0), (-0.0, 0.0, 0), (INF, INF, 1), (-INF, INF, -1)]),
    "signum": (mp.sign, constant(0), (0.1, 4),
        [0.7, -1.3, 1e-8, -1e300, (0.0, 1, 0), (-0.0, -1, 0), (INF, 1, 0), (-INF, -1, 0), (NAN, NAN, NAN)]),
    "exp": (mp.exp, mp.exp, (-3, 3),
        [0.7, -1.3, 1e-8, 709.0, 710.0, -745.0, -800.0, 0.0, -0.0, (INF, INF, INF), (-INF, 0, 0)]),
    "exp2": (lambda x: mpf(2) ** x, lambda x: mp.ln2 * mpf(2) ** x, (-3, 3),
        [0.7, -1.3, 1e-8, 1023.0, -1074.0, 0.0, -0.0, (INF, INF, INF), (-INF, 0, 0)]),
    "exp_m1": (mp.expm1, mp.exp, (-3, 3),
        [0.7, -1.3, 1e-8, 709.0, -50.0, -800.0, 0.0, (-0.0, -0.0, 1), (INF, INF, INF), (-INF, -1, 0)]),
    "ln": (mp.log, lambda x: 1 / x, (0.1, 4),
        [0.7, 2.5, 1.0, 1e-8, 1e300, (0.0, -INF, INF), (-0.0, -INF, INF), (-1.3, NAN, NAN), (INF, INF, 0)]),
    "log2": (lambda x: mp.log(x) / mp.ln2, lambda x: 1 / (x * mp.ln2), (0.1, 4),
        [0.7, 2.5, 8.0, 1e-8, 1e300, (0.0, -INF, INF), (-0.0, -INF, INF), (-1.3, NAN, NAN), (INF, INF, 0)]),
    "log10": (lambda x: mp.log(x) / mp.ln10, lambda x: 1 / (x * mp.ln10), (0.1, 4),
        [0.7, 2.5, 1000.0, 1e-8, 1e300, (0.0, -INF, INF), (-0.0, -INF, INF), (-1.3, NAN, NAN), (INF, INF, 0)]),
    "ln_1p": (mp.log1p, lambda x: 1 / (1 + x), (-0.9, 4),
        [0.7, -0.3, 2.5, 1e-8, 1e300, 0.0, (-0.0, -0.0, 1), (-1.0, -INF, INF), (-1.3, NAN, NAN), (INF, INF, 0)]),
    "sin": (mp.sin, mp.cos, (-3, 3),
        [0.7, -1.3, 2.5, 1e-8, 1e22, 0.0, (-0.0, -0.0, 1), (INF, NAN, NAN), (-INF, NAN, NAN)]),
    "cos": (mp.cos, lambda x: -mp.sin(x), (-3, 3),
        [0.7, -1.3, 2.5, 1e-8, 1e22, (0.0, 1, -0.0), (-0.0, 1, 0.0), (INF, NAN, NAN), (-INF, NAN, NAN)]),
    "tan": (mp.tan, lambda x: mp.sec(x) ** 2, (-1.3, 1.3),
        [0.7, -1.3, 2.5, 1e-8, 1.5707963267948966, 1e22, 0.0, (-0.0, -0.0, 1), (INF, NAN, NAN), (-INF, NAN, NAN)]),
    "asin": (mp.asin, lambda x: 1 / mp.sqrt(1 - x**2), (-0.9, 0.9),
        [0.7, -0.3, 1e-8, 0.99999999, 0.0, (-0.0, -0.0, 1), (1.0, mp.pi / 2, INF), (-1.0, -mp.pi / 2, INF),
         (1.5, NAN, NAN), (INF, NAN, NAN)]),
    "acos": (mp.acos, lambda x: -1 / mp.sqrt(1 - x**2), (-0.9, 0.9),
        [0.7, -0.3, 1e-8, 0.99999999, 0.0, -0.0, (1.0, 0, -INF), (-1.0, mp.pi, -INF), (1.5, NAN, NAN),
         (INF, NAN, NAN)]),
    "atan": (mp.atan, lambda x: 1 / (1 + x**2), (-3, 3),
        [0.7, -1.3, 1e-8, 1e100, -1e300, 0.0, (-0.0, -0.0, 1), (INF, mp.pi / 2, 0), (-INF, -mp.pi / 2, 0)]),
    "sinh": (mp.sinh, mp.cosh, (-3, 3),
        [0.7, -1.3, 1e-8, 710.0, -800.0, 0.0, (-0.0, -0.0, 1), (INF, INF, INF), (-INF, -INF, INF)]),
    "cosh": (mp.cosh, mp.sinh, (-3, 3),
        [0.7, -1.3, 1e-8, 710.0, -800.0, 0.0, (-0.0, 1, -0.0), (INF, INF, INF), (-INF, INF, -INF)]),
    "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2, (-3, 3),
        [0.7, -1.3, 1e-8, 20.0, 800.0, -800.0, 0.0, (-0.0, -0.0, 1), (INF, 1, 0), (-INF, -1, 0)]),
    "asinh": (mp.asinh, lambda x: 1 / mp.hypot(x, 1), (-3, 3),
        [0.7, -1.3, 1e-8, 1e300, -1e300, 1.7976931348623157e308, 0.0, (-0.0, -0.0, 1), (INF, INF, 0), (-INF, -INF, 0)]),
    "acosh": (mp.acosh, lambda x: 1 / mp.sqrt(x**2 - 1), (1.1, 4),
        [1.3, 2.5, 1.00000001, 1e300, 1.7976931348623157e308, (1.0, 0, INF), (0.7, NAN, NAN), (-1.3, NAN, NAN), (INF, INF, 0)]),
    "atanh": (mp.atanh, lambda x: 1 / (1 - x**2), (-0.9, 0.9),
        [0.7, -0.3, 1e-8, 0.99999999, 0.0, (-0.0, -0.0, 1), (1.0, INF, INF), (-1.0, -INF, INF), (1.5, NAN, NAN),
         (INF, NAN, NAN)]),
    "to_degrees": (lambda x: x * 180 / mp.pi, lambda _: 180 / mp.pi, (-4, 4),
        [0.7, -1.3, 1e-8, 1e300, 0.0, (-0.0, -0.0, 180 / mp.pi), (INF, INF, 180 / mp.pi), (-INF, -INF, 180 / mp.pi)]),
    "to_radians": (lambda x: x * mp.pi / 180, lambda _: mp.pi / 180, (-180, 180),
        [0.7, -1.3, 90.0, 1e-8, 1e300, 0.0, (-0.0, -0.0, mp.pi / 180), (INF, INF, mp.pi / 180),
         (-INF, -INF, mp.pi / 180)]),
    "sigmoid": (sigmoid, dsigmoid, (-3, 3),
        [0.7, -1.3, 1e-8, 40.0, 800.0, -745.0, -800.0, 0.0, -0.0, (INF, 1, 0), (-INF, 0, 0)]),
    "softplus": (softplus, sigmoid, (-3, 3),
        [0.7, -1.3, 1e-8, -40.0, 800.0, -745.0, -800.0, 0.0, -0.0, (INF, INF, 1), (-INF, 0, 0)]),
    "relu": (lambda x: max(x, mpf(0)), lambda x: mpf(x > 0), (0.1, 4),
        [0.7, -1.3, 1e-8, -1e-8, 1e300, (0.0, 0.0, 0), (-0.0, 0.0, 0), (INF, INF, 1), (-INF, 0, 0), (NAN, NAN, NAN)]),
    "leaky_relu": (lambda x: x if x > 0 else LEAKY_SLOPE * x, lambda x: mpf(1) if x > 0 else LEAKY_SLOPE, (-4, -0.1),
        [0.7, -1.3, 1e-8, -1e-8, 1e300, (0.0, 0.0, LEAKY_SLOPE), (-0.0, -0.0, LEAKY_SLOPE), (INF, INF, 1),
         (-INF, -INF, LEAKY_SLOPE), (NAN, NAN, NAN)]),
    "elu": (lambda x: x if x > 0 else mp.expm1(x), lambda x: mpf(1) if x > 0 else mp.exp(x), (-3, -0.1),
        [0.7, -1.3, 1e-8, -1e-8, -50.0, 800.0, -800.0, 0.0, (-0.0, -0.0, 1), (INF, INF, 1), (-INF, -1, 0)]),
    "gelu": (lambda x: x * mp.ncdf(x), lambda x: mp.ncdf(x) + x * mp.npdf(x), (-3, 3),
        [0.7, -1.3, 1e-8, -8.0, -38.0, 800.0, -800.0, 0.0, (-0.0, -0.0, 0.5), (INF, INF, 1), (-INF, -0.0, -0.0)]),
    "gelu_tanh": (lambda x: x * sigmoid(gelu_tanh_arg(x)), dgelu_tanh, (-3, 3),
        [0.7, -1.3, 1e-8, -8.0, 800.0, -800.0, 0.0, (-0.0, -0.0, 0.5), (INF, INF, 1), (-INF, -0.0, -0.0)]),
    "silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) + x * dsigmoid(x), (-3, 3),
        [0.7, -1.3, 1e-8, -40.0, 800.0, -800.0, 0.0, (-0.0, -0.0, 0.5), (INF, INF, 1), (-INF, -0.0, -0.0)]),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2, (0.1, 4),
        [0.7, -1.3, 1e-8, 1e100, -1e300, 0.0, (-0.0, -0.0, 1), (INF, 1, 0), (-INF, -1, 0)]),
    "log_sigmoid": (lambda x: -softplus(-x), lambda x: sigmoid(-x), (-3, 3),
        [0.7, -1.3, 1e-8, 40.0, 800.0, -800.0, 0.0, -0.0, (INF, -0.0, 0), (-INF, -INF, 1)]),
    "erf": (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-(x**2)), (-2, 2),
        [0.7, -1.3, 1e-8, 6.0, -27.0, 0.0, (-0.0, -0.0, 2 / mp.sqrt(mp.pi)), (INF, 1, 0), (-INF, -1, 0)]),
    "erfc": (mp.erfc, lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-(x**2)), (-2, 2),
        [0.7, -1.3, 1e-8, 6.0, 26.0, -6.0, 0.0, -0.0, (INF, 0, -0.0), (-INF, 2, -0.0)]),
    "erfinv": (mp.erfinv, lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(x) ** 2), (-0.9, 0.9),
        [0.7, -0.3, 1e-8, 1e-300, 0.9999, -0.999999999999, 0.9999999999999999, 0.0, (-0.0, -0.0, mp.sqrt(mp.pi) / 2),
         (1.0, INF, INF), (-1.0, -INF, INF), (-1.3, NAN, NAN), (INF, NAN, NAN)]),
    "normal_cdf": (mp.ncdf, mp.npdf, (-3, 3),
        [0.7, -1.3, 1e-8, 9.0, -8.0, -37.0, 0.0, -0.0, (INF, 1, 0), (-INF, 0, 0)]),
    "log_normal_cdf": (log_normal_cdf, lambda x: mp.npdf(x) / normal_cdf(x), (-3, 3),
        [0.7, -1.3, 1e-8, 9.0, -8.0, -40.0, -1e8, 0.0, -0.0, (INF, -0.0, 0), (-INF, -INF, INF)]),
    "ln_gamma": (ln_gamma, mp.digamma, (0.2, 4),
        [0.7, 2.5, -1.3, -0.5, 1.0, 2.0, 1e-8, 1e100, (0.0, INF, -INF), (-0.0, INF, INF), (-1.0, INF, NAN),
         (INF, INF, INF)]),
    "digamma": (mp.digamma, lambda x: mp.psi(1, x), (0.2, 4),
        [0.7, 2.5, -1.3, -0.5, 1.0, 1e-8, 1e15, (0.0, -INF, INF), (-0.0, INF, INF), (-1.0, NAN, NAN), (INF, INF, 0)]),
    "polygamma": (lambda x: mp.psi(1, x), lambda x: mp.psi(2, x), (0.2, 4),
        [0.7, 2.5, -1.3, -0.5, 1.0, 1e-8, 1e15, -30.3, (0.0, INF, -INF), (-0.0, INF, INF), (-1.0, NAN, NAN),
         (INF, 0, -0.0)]),
    "sinc": (mp.sinc, dsinc, (-3, 3),
        [0.7, -1.3, 2.5, 0.2499, 0.2501, 1e-4, 1e-8, 1e22, (0.0, 1, 0), (-0.0, 1, 0), (INF, 0, 0), (-INF, 0, 0)]),
    "floor": (mp.floor, constant(0), (2.1, 2.9),
        [0.7, -1.3, 1e-8, 1e300, (2.0, 2, 0), (-2.0, -2, 0), (0.0, 0.0, 0), (-0.0, -0.0, 0), (INF, INF, 0),
         (-INF, -INF, 0), (NAN, NAN, NAN)]),
    "ceil": (mp.ceil, constant(0), (2.1, 2.9),
        [0.7, -1.3, 1e-8, 1e300, (2.0, 2, 0), (-2.0, -2, 0), (-0.3, -0.0, 0), (0.0, 0.0, 0), (-0.0, -0.0, 0),
         (INF, INF, 0), (-INF, -INF, 0), (NAN, NAN, NAN)]),
    "round": (round_half_away, constant(0), (1.6, 2.4),
        [0.7, -1.3, 1e-8, 1e300, 0.49999999999999994, (2.5, 3, 0), (-2.5, -3, 0), (-0.3, -0.0, 0), (0.0, 0.0, 0),
         (-0.0, -0.0, 0), (INF, INF, 0), (-INF, -INF, 0), (NAN, NAN, NAN)]),
    "trunc": (trunc, constant(0), (2.1, 2.9),
        [0.7, -1.3, 1e-8, 1e300, (2.0, 2, 0), (-2.0, -2, 0), (-0.3, -0.0, 0), (0.0, 0.0, 0), (-0.0, -0.0, 0),
         (INF, INF, 0), (-INF, -INF, 0), (NAN, NAN, NAN)]),
    "fract": (lambda x: x - trunc(x), constant(1), (2.1, 2.9),
        [0.7, -1.3, 2.5, 1e-8, 1e300, (2.0, 0.0, 1), (-2.0, 0.0, 1), (0.0, 0.0, 1), (-0.0, 0.0, 1), (INF, NAN, 1)]),
    "powi": (lambda x: x**3, lambda x: 3 * x**2, (-3, 3),
        [0.7, -1.3, 2.5, 1e-8, 1e100, 0.0, (-0.0, -0.0, 0), (INF, INF, INF), (-INF, -INF, INF)]),
    "powi_0": (constant(1), constant(0), (-3, 3),
        [0.7, -1.3, 1e-8, 1e300, (0.0, 1, 0), (-0.0, 1, 0), (INF, 1, 0), (-INF, 1, 0)]),
    "powi_m2": (lambda x: x**-2, lambda x: -2 * x**-3, (0.5, 4),
        [0.7, -1.3, 2.5, 1e-8, 1e100, (0.0, INF, -INF), (-0.0, INF, INF), (INF, 0, -0.0), (-INF, 0, 0.0)]),
    "powf_2_5": (lambda x: x**2.5, lambda x: 2.5 * x**1.5, (0.1, 4),
        [0.7, 2.5, 1e-8, 1e100, (0.0, 0.0, 0), (-0.0, 0.0, 0), (-1.3, NAN, NAN), (INF, INF, INF)]),
    "powf_0": (constant(1), constant(0), (0.1, 4),
        [0.7, -1.3, 1e-8, 1e300, (0.0, 1, 0), (-0.0, 1, 0), (INF, 1, 0), (-INF, 1, 0)]),
    "clamp": (lambda x: min(max(x, mpf(-1)), mpf(2)), lambda x: mpf(-1 <= x <= 2), (-0.9, 1.9),
        [0.7, -1.3, 2.5, 1e-8, 1e300, (-1.0, -1, 1), (2.0, 2, 1), 0.0, (-0.0, -0.0, 1), (INF, 2, 0), (-INF, -1, 0), (NAN, NAN, NAN)]),
}  # fmt: skip


def log_add_exp(x, y):
    return max(x, y) + mp.log1p(mp.exp(-abs(x - y)))


def xlogy(x, y):
    return x * mp.log(y)


def log(x, base):
    return mp.log(x) / mp.log(base)


def rem(x, y):
    return x - y * trunc(x / y)


# name: (function, d/dx, d/dy, sample interval of x, sample interval of y, points)
BINARY = {
    "atan2": (mp.atan2, lambda x, y: y / (x**2 + y**2), lambda x, y: -x / (x**2 + y**2), (0.1, 3), (-3, 3),
        [(0.7, 2.5), (-1.3, 0.7), (0.7, -1.3), (1e-8, 2.5), (1e200, 1e200), (1e-200, 1e-200),
         (0.0, 1.0, 0.0, 1, -0.0), (0.0, -1.0, mp.pi, -1, -0.0), (-0.0, -1.0, -mp.pi, -1, 0.0),
         (1.0, 0.0, mp.pi / 2, 0, -1), (0.0, 0.0, 0, 0, 0), (INF, 1.0, mp.pi / 2, 0, -0.0),
         (1.0, INF, 0, 0, -0.0), (1.0, -INF, mp.pi, -0.0, -0.0)]),
    "hypot": (mp.hypot, lambda x, y: x / mp.hypot(x, y), lambda x, y: y / mp.hypot(x, y), (0.1, 3), (-3, 3),
        [(3.0, 4.0), (0.7, -1.3), (-1.3, 2.5), (1e-8, 2.5), (1e200, 1e200), (1e-200, -1e-200), (0.0, -2.0),
         (0.0, 0.0, 0, 0, 0), (-0.0, 0.0, 0, 0, 0), (INF, 1.0, INF, 1, 0), (1.0, -INF, INF, 0, -1)]),
    "powf": (lambda x, y: x**y, lambda x, y: y * x ** (y - 1), lambda x, y: x**y * mp.log(x), (0.1, 3), (-2, 3),
        [(0.7, 2.5), (2.5, -1.3), (1e-8, 0.5), (1e100, 2.5), (1.0, 5.0), (0.7, 0.0),
         (0.0, 2.5, 0, 0, 0), (0.0, 1.0, 0, 1, 0), (0.0, 0.5, 0, INF, 0), (0.0, 0.0, 1, 0, 0),
         (0.0, -1.0, INF, -INF, -INF), (-2.0, 3.0, -8, 12, NAN), (-1.3, 0.0, 1, 0, NAN), (-2.0, 0.5, NAN, NAN, NAN),
         (INF, 2.0, INF, INF, INF), (2.0, INF, INF, INF, INF), (0.5, INF, 0, 0, -0.0)]),
    "log": (log, lambda x, b: 1 / (x * mp.log(b)), lambda x, b: -mp.log(x) / (b * mp.log(b) ** 2), (0.1, 4), (1.5, 4),
        [(8.0, 2.0), (0.7, 2.5), (2.5, 0.7), (1e-8, 10.0), (1e300, 10.0), (1.0, 2.0, 0, 1 / mp.ln2, -0.0),
         (0.0, 2.0, -INF, INF, INF), (0.0, 0.5, INF, -INF, INF), (-1.3, 2.0, NAN, NAN, NAN),
         (2.0, -1.3, NAN, NAN, NAN), (INF, 2.0, INF, 0, -INF)]),
    "max": (lambda x, y: max(x, y), lambda x, y: mpf(x > y), lambda x, y: mpf(y > x), (1.1, 3), (-3, 0.9),
        [(0.7, 2.5), (0.7, -1.3), (1e-8, -1e-8), (1e300, 1.0), (1.0, 1.0, 1, 0.5, 0.5), (0.0, -0.0, 0.0, 0.5, 0.5),
         (NAN, 1.0, 1, 0, 1), (1.0, NAN, 1, 1, 0), (INF, 1.0, INF, 1, 0), (-INF, 1.0, 1, 0, 1),
         (INF, INF, INF, 0.5, 0.5)]),
    "min": (lambda x, y: min(x, y), lambda x, y: mpf(x < y), lambda x, y: mpf(y < x), (1.1, 3), (-3, 0.9),
        [(0.7, 2.5), (0.7, -1.3), (1e-8, -1e-8), (1e300, 1.0), (1.0, 1.0, 1, 0.5, 0.5), (0.0, -0.0, -0.0, 0.5, 0.5),
         (NAN, 1.0, 1, 0, 1), (1.0, NAN, 1, 1, 0), (INF, 1.0, 1, 0, 1), (-INF, 1.0, -INF, 1, 0),
         (-INF, -INF, -INF, 0.5, 0.5)]),
    "maximum": (lambda x, y: max(x, y), lambda x, y: mpf(x > y), lambda x, y: mpf(y > x), (1.1, 3), (-3, 0.9),
        [(0.7, 2.5), (0.7, -1.3), (1e-8, -1e-8), (1e300, 1.0), (1.0, 1.0, 1, 0.5, 0.5), (0.0, -0.0, 0.0, 0.5, 0.5),
         (NAN, 1.0, NAN, NAN, NAN), (1.0, NAN, NAN, NAN, NAN), (NAN, NAN, NAN, NAN, NAN), (INF, 1.0, INF, 1, 0),
         (-INF, 1.0, 1, 0, 1), (INF, INF, INF, 0.5, 0.5), (NAN, INF, NAN, NAN, NAN)]),
    "minimum": (lambda x, y: min(x, y), lambda x, y: mpf(x < y), lambda x, y: mpf(y < x), (1.1, 3), (-3, 0.9),
        [(0.7, 2.5), (0.7, -1.3), (1e-8, -1e-8), (1e300, 1.0), (1.0, 1.0, 1, 0.5, 0.5), (0.0, -0.0, -0.0, 0.5, 0.5),
         (NAN, 1.0, NAN, NAN, NAN), (1.0, NAN, NAN, NAN, NAN), (NAN, NAN, NAN, NAN, NAN), (INF, 1.0, 1, 0, 1),
         (-INF, 1.0, -INF, 1, 0), (-INF, -INF, -INF, 0.5, 0.5), (NAN, -INF, NAN, NAN, NAN)]),
    "copysign": (lambda x, y: abs(x) * mp.sign(y), lambda x, y: mp.sign(x) * mp.sign(y), constant(0),
        (0.1, 3), (-3, -0.1),
        [(0.7, 2.5), (0.7, -1.3), (-1.3, 2.5), (-1.3, -0.7), (1e-8, -1e300), (0.0, -1.0, -0.0, 0, 0),
         (-0.0, 1.0, 0.0, 0, 0), (0.7, 0.0, 0.7, 1, 0), (0.7, -0.0, -0.7, -1, 0), (INF, -1.0, -INF, -1, 0),
         (-INF, 1.0, INF, -1, 0), (0.7, -INF, -0.7, -1, 0)]),
    "rem": (rem, constant(1), lambda x, y: -trunc(x / y), (4.1, 5.9), (1.97, 2.04),
        [(5.3, 2.0), (-5.3, 2.0), (5.3, -2.0), (1.0, 0.1), (1e17, 3.0), (0.7, 2.5, 0.7, 1, -0.0), (6.0, 2.0, 0, 1, -3),
         (-6.0, 2.0, -0.0, 1, 3), (0.0, 2.5, 0.0, 1, -0.0), (0.7, INF, 0.7, 1, -0.0)]),
    "xlogy": (xlogy, lambda x, y: mp.log(y), lambda x, y: x / y, (-3, 3), (0.1, 4),
        [(0.7, 2.5), (-1.3, 0.7), (1e-8, 1e-8), (1e300, 1e-8), (1e-300, 1e-310), (0.0, 2.5), (0.0, 0.0, 0, -INF, 0),
         (2.0, 0.0, -INF, -INF, INF), (2.0, -1.3, NAN, NAN, NAN), (2.5, INF, INF, INF, 0), (0.0, INF, 0, INF, 0)]),
    "log_add_exp": (log_add_exp, lambda x, y: sigmoid(x - y), lambda x, y: sigmoid(y - x), (-3, 3), (-3, 3),
        [(0.7, 2.5), (-1.3, 0.7), (1e-8, 1e-8), (0.0, 0.0), (800.0, -1.0), (-800.0, -801.0), (1e300, 1.0, 1e300, 1, 0), (3.0, -740.0),
         (INF, 1.0, INF, 1, 0), (-INF, 1.0, 1, 0, 1), (INF, INF, INF, 0.5, 0.5), (-INF, -INF, -INF, 0.5, 0.5),
         (INF, -INF, INF, 1, 0)]),
    "gated_mul": (lambda x, y: x * y, lambda x, y: y, lambda x, y: x, (-3, 3), (-3, 3),
        [(0.7, 2.5), (-1.3, 0.7), (1e200, 1e200), (0.0, 2.5), (0.0, INF, 0, INF, 0), (-0.0, INF, 0, INF, -0.0),
         (INF, 0.0, 0, 0, INF), (0.0, NAN, 0, NAN, 0), (NAN, 0.0, 0, 0, NAN), (INF, 2.0, INF, 2, INF),
         (NAN, 2.0, NAN, 2, NAN)]),
    "add": (lambda x, y: x + y, constant(1), constant(1), (-3, 3), (-3, 3),
        [(0.7, 2.5), (0.7, -1.3), (1e-8, 1e8), (1e300, -1e300), (0.0, -0.0), (INF, 1.0, INF, 1, 1),
         (INF, -INF, NAN, 1, 1)]),
    "sub": (lambda x, y: x - y, constant(1), constant(-1), (-3, 3), (-3, 3),
        [(0.7, 2.5), (0.7, -1.3), (1e-8, 1e8), (1e300, 1e300), (-0.0, 0.0, -0.0, 1, -1), (INF, 1.0, INF, 1, -1),
         (INF, INF, NAN, 1, -1)]),
    "mul": (lambda x, y: x * y, lambda x, y: y, lambda x, y: x, (-3, 3), (-3, 3),
        [(0.7, 2.5), (0.7, -1.3), (1e-8, 1e8), (1e200, 1e200), (0.0, 2.5), (0.0, -0.0, -0.0, -0.0, 0.0),
         (INF, 2.0, INF, 2, INF), (INF, 0.0, NAN, 0, INF)]),
    "div": (lambda x, y: x / y, lambda x, y: 1 / y, lambda x, y: -x / y**2, (-3, 3), (0.3, 4),
        [(0.7, 2.5), (0.7, -1.3), (1e-8, 1e8), (1e200, 1e200), (1e-200, 1e-200), (0.0, 2.0, 0.0, 0.5, -0.0),
         (1.0, 0.0, INF, INF, -INF), (-1.0, 0.0, -INF, INF, INF), (1.0, -0.0, -INF, -INF, -INF),
         (0.0, 0.0, NAN, INF, NAN), (INF, 2.0, INF, 0.5, -INF), (1.0, INF, 0, 0, -0.0)]),
}  # fmt: skip


def to_f64(v):
    """The nearest f64, ties to even, subnormals included; infinite where it overflows."""
    if not isinstance(v, mpf):
        return float(v)
    sign, man, exp, _ = v._mpf_
    exact = Fraction(man) * Fraction(2) ** exp
    try:
        magnitude = exact.numerator / exact.denominator  # correctly rounded by Python
    except OverflowError:
        magnitude = INF
    return -magnitude if sign else magnitude


def evaluate(f, args):
    """f at the exact arguments, rounded once; refuses a result that the working precision decides."""
    results = []
    for digits in (DIGITS, 2 * DIGITS):
        with mp.workdps(digits):
            results.append(to_f64(f(*map(mpf, args))))
    assert results[0] == results[1], f"{args}: {results}"
    return results[0]


def literal(v):
    """A Rust f64 literal that parses back to v."""
    v = float(v)
    if v != v:
        return "NAN"
    if v in (INF, -INF):
        return "INF" if v > 0 else "-INF"
    return repr(v)


def tuple_of(values):
    return "(" + ", ".join(map(literal, values)) + ")"


def check_partials(name, f, partials, samples):
    """Closed forms against numerical derivatives at three points of the sample interval."""
    for fraction in (0.1, 0.45, 0.9):
        args = [mpf(lo) + fraction * (mpf(hi) - lo) for lo, hi in samples]
        for i, partial in enumerate(partials):
            order = tuple(int(i == j) for j in range(len(args)))
            numeric = mp.diff(f, tuple(args), order)
            assert mp.almosteq(numeric, partial(*args), rel_eps=1e-30, abs_eps=1e-30), f"{name}, partial {i}, at {args}"


def points_of(name, f, partials, samples, points):
    """The points of a row as Rust tuples."""
    check_partials(name, f, partials, samples)
    arity = len(samples)
    rows = []
    for point in points:
        point = point if isinstance(point, tuple) else (point,)
        if len(point) == arity:
            point += tuple(evaluate(g, point) for g in (f, *partials))
        assert len(point) == 2 * arity + 1, f"{name}: {point}"
        rows.append(tuple_of(map(to_f64, point)))
    return rows


def table():
    """Name and points of every row."""
    for name, (f, df, sample, points) in UNARY.items():
        yield name, points_of(name, f, (df,), (sample,), points)
    for name, (f, fx, fy, sample_x, sample_y, points) in BINARY.items():
        yield name, points_of(name, f, (fx, fy), (sample_x, sample_y), points)


FILES = [Path("src/number/table.rs"), Path("tests/all/number/rules.rs")]

# `fn name(` in the table, `"name"` elsewhere; then the next `points: [`, whose tuples hold no bracket.
BLOCK = r"(?:\bfn {0}\(|\"{0}\")(?:(?!\bfn )[\s\S])*?\bpoints: &?\[([^\[\]]*)\]"


def block(rows, depth):
    """The points as they stand in a file, below a line that is indented by `depth`: filled lines."""
    lines = [""]
    for row in rows:
        if lines[-1] and len(lines[-1]) + len(row) + 2 > 100:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{row},"
    indent = "\n" + (depth + 4) * " "
    return indent + indent.join(lines) + "\n" + depth * " "


def main():
    write = sys.argv[1:] == ["--write"]
    texts = {file: file.read_text() for file in FILES}
    wrong = 0
    for name, rows in table():
        places = [(file, m) for file, text in texts.items() for m in re.finditer(BLOCK.format(name), text)]
        if len(places) != 1:
            sys.exit(f"{name}: found {len(places)} times, should be once")
        [(file, match)] = places
        stored = re.findall(r"\([^()]*\)", match[1])
        differing = sorted(set(stored) ^ set(rows)) if stored != rows else []
        if differing:
            wrong += 1
            print(f"{file}, {name}: {' '.join(differing)}")
        if write:
            text = texts[file]
            line = text[text.rindex("\n", 0, match.start(1)) + 1 : match.start(1)]
            depth = len(line) - len(line.lstrip())
            texts[file] = text[: match.start(1)] + block(rows, depth) + text[match.end(1) :]
    if write:
        for file, text in texts.items():
            file.write_text(text)
    else:
        print(f"{wrong} rows differ" if wrong else "every point agrees")
        sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
