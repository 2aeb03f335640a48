#!/usr/bin/env python3
"""Fits by scipy: the oracle behind the constants in tests/all/kit/fit.rs.

Run it with Python 3 and scipy (pip install scipy):

    python tests/oracle/least_squares.py

prints, for a decay with outliers, the parameters and the cost of each loss, those within bounds, and the standard errors of
`curve_fit`.
"""

import numpy as np
from scipy.optimize import curve_fit, least_squares

T = np.arange(12) * 0.5
Y = 2.5 * np.exp(-0.7 * T) + 0.3 + 0.05 * np.sin(9.0 * T + 1.0)
Y[3] += 2.0
Y[8] -= 1.0
START = [1.0, 1.0, 0.0]


def model(t, a, b, c):
    return a * np.exp(-b * t) + c


def residuals(p):
    return model(T, *p) - Y


def main():
    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 10000}
    for loss in ("linear", "huber", "soft_l1", "cauchy"):
        fit = least_squares(residuals, START, loss=loss, f_scale=0.1, jac="3-point", **tight)
        print(loss, *map(repr, map(float, fit.x)), "cost", repr(float(fit.cost)))
    for bounds in (([0, 0, 0], [10, 0.5, 10]), ([0, 0, -10], [2.0, 10, 10])):
        start = np.clip(START, np.add(bounds[0], 0.1), np.subtract(bounds[1], 0.1))
        fit = least_squares(residuals, start, bounds=bounds, jac="3-point", **tight)
        print("bounds", bounds, *map(repr, map(float, fit.x)), "cost", repr(float(fit.cost)))
    p, covariance = curve_fit(model, T, Y, START, xtol=1e-15, ftol=1e-15, gtol=1e-15, maxfev=10000)
    print("errors", *map(repr, map(float, np.sqrt(np.diag(covariance)))), "covariance of 0 and 1", repr(float(covariance[0, 1])))


if __name__ == "__main__":
    main()
