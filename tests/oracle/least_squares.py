#!/usr/bin/env python3
"""Fits by scipy: the oracle behind the constants in tests/all/kit/fit.rs.

Run it with Python 3, scipy and statsmodels (pip install scipy statsmodels):

    python tests/oracle/least_squares.py

prints, for a decay with outliers, the parameters and the cost of each loss, those within bounds, the standard errors of
`curve_fit`, and those that `RLM` of statsmodels gives for a robust loss in the model that is linear at the minimum (Huber's
estimator, `cov="H1"`, its default).
"""

import numpy as np
from scipy.optimize import curve_fit, least_squares
from statsmodels.api import RLM
from statsmodels.robust import norms
from statsmodels.robust.scale import HuberScale

T = np.arange(12) * 0.5
Y = 2.5 * np.exp(-0.7 * T) + 0.3 + 0.05 * np.sin(9.0 * T + 1.0)
Y[3] += 2.0
Y[8] -= 1.0
START = [1.0, 1.0, 0.0]


def model(t, a, b, c):
    return a * np.exp(-b * t) + c


def residuals(p):
    return model(T, *p) - Y


class Influence(norms.RobustNorm):
    """A norm by its psi and the derivative of psi; statsmodels asks for these, and for the weights psi(z)/z."""

    def __init__(self, psi, psi_deriv):
        self.psi, self.psi_deriv = psi, psi_deriv
        self.weights = lambda z: np.where(z == 0, 1.0, psi(z) / np.where(z == 0, 1.0, z))
        self.rho = lambda z: np.zeros_like(z)

    def __call__(self, z):
        return self.rho(z)


class Known(HuberScale):
    """A scale that is known."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def __call__(self, *_):
        return self.scale


LOSSES = {
    "linear": norms.LeastSquares(),
    "huber": norms.HuberT(1.0),
    "soft_l1": Influence(lambda z: z / np.sqrt(1 + z**2), lambda z: (1 + z**2) ** -1.5),
    "cauchy": Influence(lambda z: z / (1 + z**2), lambda z: (1 - z**2) / (1 + z**2) ** 2),
}


def robust_errors(loss, p, scale):
    """The standard errors at the minimum p of the loss."""
    a, b, _ = p
    decay = np.exp(-b * T)
    jacobian = np.stack([decay, -a * T * decay, np.ones_like(T)], axis=1)
    linear = RLM(jacobian @ p - residuals(p), jacobian, M=LOSSES[loss])
    fit = linear.fit(start_params=p, scale_est=Known(scale), update_scale=False, cov="H1", conv="coefs",
                     maxiter=1000, tol=1e-14)  # fmt: skip
    assert np.allclose(fit.params, p, rtol=1e-6), (fit.params, p)
    return fit.bse


def main():
    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 10000}
    for loss in ("linear", "huber", "soft_l1", "cauchy"):
        fit = least_squares(residuals, START, loss=loss, f_scale=0.1, jac="3-point", **tight)
        print(loss, *map(repr, map(float, fit.x)), "cost", repr(float(fit.cost)))
        print("errors of", loss, *map(repr, map(float, robust_errors(loss, fit.x, 0.1))))
    for bounds in (([0, 0, 0], [10, 0.5, 10]), ([0, 0, -10], [2.0, 10, 10])):
        start = np.clip(START, np.add(bounds[0], 0.1), np.subtract(bounds[1], 0.1))
        fit = least_squares(residuals, start, bounds=bounds, jac="3-point", **tight)
        print("bounds", bounds, *map(repr, map(float, fit.x)), "cost", repr(float(fit.cost)))
    p, covariance = curve_fit(model, T, Y, START, xtol=1e-15, ftol=1e-15, gtol=1e-15, maxfev=10000)
    print("errors", *map(repr, map(float, np.sqrt(np.diag(covariance)))), "covariance of 0 and 1", repr(float(covariance[0, 1])))


if __name__ == "__main__":
    main()
