#!/usr/bin/env python3
"""Log-densities with their gradients, and transforms of parameters: the oracle behind tests/oracle/densities.txt.

Run it from the root of the crate, with Python 3, mpmath and scipy (pip install mpmath scipy):

    python tests/oracle/densities.py > tests/oracle/densities.txt

A line is `name; counts; numbers; value; gradient` or `name; settings; numbers; results; log-Jacobian`, each number the
f64 nearest to the value at the exact arguments, computed with 80 digits. The log-densities are the textbook's products of
powers and gamma functions, not the crate's sums; gradients are numerical derivatives, and at moderate points the values
are also compared with scipy.stats. A log-Jacobian is that of a matrix of numerical derivatives.
"""

import sys
from pathlib import Path

import numpy as np
from mpmath import mp, mpf
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))
from edges import to_f64  # noqa: E402

mp.dps = 80
INF = float("inf")


def normal(x, mu, sigma):
    return mp.log(mp.npdf(x, mu, sigma)) if abs(x - mu) < 100 * sigma else -((x - mu) ** 2) / (2 * sigma**2) - mp.log(
        sigma * mp.sqrt(2 * mp.pi)
    )


def log_normal(x, mu, sigma):
    return normal(mp.log(x), mu, sigma) - mp.log(x)


def student_t(x, nu, mu, sigma):
    z = (x - mu) / sigma
    constant = mp.loggamma((nu + 1) / 2) - mp.loggamma(nu / 2)
    return constant + mp.log((1 + z**2 / nu) ** (-(nu + 1) / 2) / (mp.sqrt(nu * mp.pi) * sigma))


def cauchy(x, mu, sigma):
    return mp.log(1 / (mp.pi * sigma * (1 + ((x - mu) / sigma) ** 2)))


def exponential(x, rate):
    return mp.log(rate) - rate * x


def gamma(x, shape, rate):
    return shape * mp.log(rate) + (shape - 1) * mp.log(x) - rate * x - mp.re(mp.loggamma(shape))


def beta(x, a, b):
    ln_b = mp.re(mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b))
    return (a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x) - ln_b


def poisson(k, rate):
    return k * mp.log(rate) - rate - mp.log(mp.factorial(k))


def binomial(k, n, p):
    return mp.log(mp.binomial(n, k)) + k * mp.log(p) + (n - k) * mp.log1p(-p)


def categorical(k, *w):
    return mp.log(w[int(k)] / mp.fsum(w))


def categorical_logits(k, *s):
    return mp.log(mp.exp(s[int(k)]) / mp.fsum(map(mp.exp, s)))


def multivariate_normal(x, y, mu, nu, a, _, c, b):
    """Only the lower triangle [a, .; c, b] of the covariance counts."""
    p, q, det = x - mu, y - nu, a * b - c * c
    return -(b * p * p - 2 * c * p * q + a * q * q) / (2 * det) - mp.log(2 * mp.pi * mp.sqrt(det))


def multivariate_normal_cholesky(x, y, mu, nu, l00, _, l10, l11):
    return multivariate_normal(x, y, mu, nu, l00**2, mpf(0), l00 * l10, l10**2 + l11**2)


# name: (log-density, the same by scipy or None, points); a point has counts and numbers.
DENSITIES = {
    "normal": (normal, stats.norm.logpdf,
        [((), p) for p in [(0.7, -0.4, 1.3), (-3.0, 2.0, 0.01), (1e200, 0.0, 1e190), (1.0, 1.0, 1e-300), (40.0, 0.0, 1.0),
                           (1e-300, 0.0, 1e-290), (5.0, 5.0, 1e300)]]),
    "log_normal": (log_normal, lambda x, m, s: stats.lognorm.logpdf(x, s, scale=np.exp(m)),
        [((), p) for p in [(0.7, -0.4, 1.3), (1e300, 2.0, 5.0), (1e-300, 0.0, 2.0), (1.0, 0.0, 1e-10)]]),
    "student_t": (student_t, stats.t.logpdf,
        [((), p) for p in [(0.7, 3.5, -0.4, 1.3), (0.7, 1e-3, -0.4, 1.3), (0.7, 61.0, -0.4, 1.3), (0.7, 59.0, -0.4, 1.3),
                           (2.0, 1e4, 0.0, 1.0), (2.0, 1e12, 0.0, 1.0), (1e200, 3.0, 0.0, 1.0), (-1e5, 4.0, 0.0, 1e-5),
                           (0.0, 5.0, 0.0, 1e-100)]]),
    "cauchy": (cauchy, stats.cauchy.logpdf,
        [((), p) for p in [(0.7, -0.4, 1.3), (1e200, 0.0, 1.0), (-1e3, 0.0, 1e-160), (1e-9, 0.0, 1.0)]]),
    "exponential": (exponential, lambda x, r: stats.expon.logpdf(x, scale=1 / r),
        [((), p) for p in [(0.7, 1.3), (1e-300, 1e-300), (1e300, 3e-300), (800.0, 1.0)]]),
    "gamma": (gamma, lambda x, a, b: stats.gamma.logpdf(x, a, scale=1 / b),
        [((), p) for p in [(0.7, 2.5, 1.3), (1e-300, 0.5, 1.0), (1e-300, 3.0, 1e10), (900.0, 3.0, 1.0), (2.0, 1e-5, 1.0),
                           (150.0, 150.0, 1.0), (1e300, 2.0, 1e-300)]]),
    "beta": (beta, stats.beta.logpdf,
        [((), p) for p in [(0.7, 2.5, 1.3), (1e-300, 2.0, 3.0), (0.5, 1e-5, 1e-5), (1.0 - 2.0**-53, 2.0, 3.0),
                           (0.25, 80.0, 200.0), (1e-20, 0.5, 30.0)]]),
    "poisson": (poisson, stats.poisson.logpmf,
        [((3,), (1.3,)), ((0,), (1e-300,)), ((0,), (700.0,)), ((5,), (1e-200,)), ((200,), (180.0,)), ((2,), (1e10,))]),
    "binomial": (binomial, stats.binom.logpmf,
        [((2, 5), (0.7,)), ((0, 5), (1e-300,)), ((5, 5), (1e-100,)), ((5, 5), (1.0 - 2.0**-53,)), ((30, 100), (0.25,)),
         ((0, 0), (0.5,))]),
    "categorical": (categorical, None,
        [((1,), (0.7, 0.4, 1.3)), ((0,), (1e-300, 1.0)), ((0,), (3.0,)), ((2,), (0.0, 0.0, 2.0, 2.0))]),
    "categorical_logits": (categorical_logits, None,
        [((1,), (0.7, -0.4, 1.3)), ((0,), (-1000.0, 1000.0)), ((1,), (1000.0, 1000.0, -1000.0)), ((0,), (5.0,))]),
    "multivariate_normal": (multivariate_normal, None,
        [((), (0.7, -0.3, 0.2, 0.4, 1.3, 0.5, 0.5, 0.9)), ((), (7.0, -3.0, 0.0, 0.0, 1e8, 7.0, 9.0, 1e-6))]),
    "multivariate_normal_cholesky": (multivariate_normal_cholesky, None,
        [((), (0.7, -0.3, 0.2, 0.4, 1.3, 0.0, 0.5, 0.9)), ((), (7.0, -3.0, 0.0, 0.0, 1e-4, 0.0, 90.0, 1e-3))]),
}  # fmt: skip


def positive(u):
    return [mp.exp(u)]


def interval(lo, hi, u):
    if lo == -mp.inf and hi == mp.inf:
        return [u]
    if hi == mp.inf:
        return [lo + mp.exp(u)]
    if lo == -mp.inf:
        return [hi - mp.exp(-u)]
    return [lo + (hi - lo) / (1 + mp.exp(-u))]


def simplex(*u):
    rest, x = mpf(1), []
    for i, v in enumerate(u):
        part = rest / (1 + (len(u) - i) * mp.exp(-v))
        x.append(part)
        rest -= part
    return [*x, rest]


def correlation(*u):
    n = int((1 + (1 + 8 * len(u)) ** 0.5) / 2)
    numbers, l = iter(u), mp.zeros(n)
    for i in range(n):
        for j in range(i):
            l[i, j] = mp.tanh(next(numbers)) * mp.sqrt(1 - mp.fsum(l[i, k] ** 2 for k in range(j)))
        l[i, i] = mp.sqrt(1 - mp.fsum(l[i, k] ** 2 for k in range(i)))
    return [l[i, j] for i in range(n) for j in range(i + 1)]


# name: (transform, points of settings and numbers)
TRANSFORMS = {
    "positive": (positive, [((), (u,)) for u in (0.7, -3.0, 300.0, -700.0)]),
    "interval": (interval,
        [((lo, hi), (u,)) for lo, hi in ((-1.0, 3.0), (0.0, INF), (-INF, 2.0), (-INF, INF), (0.0, 1e-290))
         for u in (0.7, -2.0, 20.0, -30.0)]),
    "simplex": (simplex, [((), u) for u in [(0.7,), (0.3, -1.2, 2.0), (-20.0, 30.0, -5.0), (0.0, 0.0)]]),
    "correlation": (correlation,
        [((), u) for u in [(0.7,), (0.3, -1.2, 0.5), (4.0, -5.0, 6.0), (0.1, 0.2, -0.3, 0.4, -0.5, 0.6)]]),
}  # fmt: skip


def literal(v):
    return repr(to_f64(mpf(v)) if mp.isfinite(v) else float(v)).removesuffix(".0")


def line(name, *fields):
    print("; ".join([name, *(" ".join(map(literal, field)) for field in fields)]))


def off_diagonal(x):
    """The numbers below the diagonal of a triangle that is given row by row."""
    rows, at = [], 0
    for i in range(len(x)):
        if at >= len(x):
            break
        rows += x[at : at + i]
        at += i + 1
    return rows


def log_jacobian(name, f, settings, u):
    """ln det of the numerical derivatives of the free results."""
    n = len(u)
    free = {"simplex": lambda x: x[:n], "correlation": off_diagonal}.get(name, lambda x: x)
    with mp.workdps(300):
        jacobian = mp.matrix(n)
        for j in range(n):
            step = mpf(10) ** -100
            moved = [[mpf(v) + s * step * (i == j) for i, v in enumerate(u)] for s in (1, -1)]
            up, down = (free(f(*map(mpf, settings), *v)) for v in moved)
            for i in range(n):
                jacobian[i, j] = (up[i] - down[i]) / (2 * step)
        return mp.log(abs(mp.det(jacobian)))


def gradient(f, counts, numbers):
    """Central differences with a step far below the spacing of f64, in 300 digits."""
    with mp.workdps(300):
        slopes = []
        for i, x in enumerate(numbers):
            step = abs(mpf(x)) * mpf(10) ** -100 or mpf(10) ** -100
            values = [f(*counts, *(mpf(v) + s * step * (i == j) for j, v in enumerate(numbers))) for s in (1, -1)]
            slopes.append((values[0] - values[1]) / (2 * step))
        return slopes


def main():
    print("# Made by tests/oracle/densities.py")
    for name, (f, scipy, points) in DENSITIES.items():
        for i, (counts, numbers) in enumerate(points):
            value = f(*counts, *map(mpf, numbers))
            if scipy and i == 0:
                assert abs(scipy(*counts, *numbers) - value) < 1e-12, name
            line(name, counts, numbers, [value], gradient(f, counts, numbers))
    for name, (f, points) in TRANSFORMS.items():
        for settings, u in points:
            line(name, settings, u, f(*map(mpf, settings), *map(mpf, u)), [log_jacobian(name, f, settings, u)])


if __name__ == "__main__":
    main()
