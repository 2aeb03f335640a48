"""Factors of matrices and derivatives of losses of them for tests/all/tensor/factors.rs: `python factors.py > factors.txt`.

The losses do not depend on the signs of eigenvectors and singular vectors. mpmath computes them with 80 digits, and their
derivatives as central differences, so no formula of a derivative is used. It takes some minutes.
"""

import math

import mpmath as mp
import numpy as np

mp.mp.dps = 80
STEP = mp.mpf(10) ** -22


def fill(shape, seed):
    """The numbers with which the test fills its arrays."""
    count = math.prod(shape)
    return np.array([math.sin(seed + 1.7 * i) for i in range(count)]).reshape(shape)


def noise(shape, seed):
    """A matrix of full rank, which `fill` is not."""
    return np.sin(seed + np.arange(math.prod(shape), dtype=float) ** 2).reshape(shape)


def weighted(x, seed, power=1):
    weights = fill((x.rows, x.cols), seed)
    return sum(weights[i, j] * x[i, j] ** power for i in range(x.rows) for j in range(x.cols))


def eigh(a):
    w, v = mp.eigsy((a + a.T) / 2)
    order = sorted(range(len(w)), key=lambda i: w[i])
    w = mp.matrix([w[i] for i in order])
    v = mp.matrix([[v[i, j] for j in order] for i in range(v.rows)])
    return list(w), weighted(w, 1) + weighted(v, 2, 2)


def svd(a):
    m, n = a.rows, a.cols
    if m < n:
        vt, s, ut = svd_tall(a.T)
        u, vt = ut.T, vt.T
    else:
        u, s, vt = svd_tall(a)
    p, q = fill((m,), 4), fill((n,), 5)
    mixed = sum(
        (i + 1) * mp.fsum(p[j] * u[j, i] for j in range(m)) * mp.fsum(q[j] * vt[i, j] for j in range(n))
        for i in range(len(s))
    )
    return list(s), weighted(s, 1) + weighted(u, 2, 2) + weighted(vt, 3, 2) + mixed


def svd_tall(a):
    u, s, vt = mp.svd_r(a)
    order = sorted(range(len(s)), key=lambda i: -s[i])
    u = mp.matrix([[u[i, j] for j in order] for i in range(u.rows)])
    vt = mp.matrix([[vt[j, i] for i in range(vt.cols)] for j in order])
    return u, mp.matrix([s[i] for i in order]), vt


def qr(a):
    """By Gram and Schmidt, whose loss of digits 80 digits bear."""
    m, n = a.rows, a.cols
    q = []
    for j in range(min(m, n)):
        x = [a[i, j] for i in range(m)]
        for y in q:
            share = mp.fsum(x * y for x, y in zip(x, y))
            x = [x - share * y for x, y in zip(x, y)]
        length = mp.sqrt(mp.fsum(x * x for x in x))
        q.append([x / length for x in x])
    q = mp.matrix(q).T
    r = q.T * a
    for i in range(r.rows):
        for j in range(i):
            r[i, j] = 0
    return [r[i, i] for i in range(r.rows)], weighted(q, 2) + weighted(r, 3)


def show(name, numbers):
    print(f"{name}:", *(mp.nstr(mp.mpf(x), 19) for x in numbers), flush=True)


def case(name, function, a):
    """The matrix, the numbers on the diagonal, the loss, its gradient, and its derivatives along a direction."""
    print(f"{name} shape:", *a.shape)
    print(f"{name} a:", *(repr(float(x)) for x in a.flatten()))
    exact = mp.matrix(a.tolist())
    direction = mp.matrix(fill(a.shape, 9).tolist())
    values, loss = function(exact)
    show(f"{name} values", values)
    show(f"{name} loss", [loss])
    before, after = (function(exact + sign * STEP * direction)[1] for sign in (-1, 1))
    show(f"{name} first", [(after - before) / (2 * STEP)])
    show(f"{name} second", [(after - 2 * loss + before) / STEP**2])
    if a.size <= 25:
        gradient = []
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                unit = mp.matrix(*a.shape)
                unit[i, j] = STEP
                gradient.append((function(exact + unit)[1] - function(exact - unit)[1]) / (2 * STEP))
        show(f"{name} gradient", gradient)


def with_values(values, seed, shape=None):
    """A matrix with nearly these eigenvalues, or singular values."""
    n = len(values)
    m, columns = shape or (n, n)
    u = np.linalg.qr(noise((m, n), seed) + np.eye(m, n))[0]
    v = u if shape is None else np.linalg.qr(noise((columns, n), seed + 1) + np.eye(columns, n))[0]
    return (u * values) @ v.T


print(f"# mpmath {mp.__version__}, by tests/oracle/factors.py")
grades = 10.0 ** -np.arange(5)
for n in [1, 2, 3, 5, 20]:
    case(f"eigh {n}", eigh, noise((n, n), n))
case("eigh graded", eigh, grades[:, None] * (noise((5, 5), 3) + 4 * np.eye(5)) * grades)
case("eigh close", eigh, with_values([1.0, 1 + 1e-5, 1.5, 2 - 1e-5, 2.0], 3))
for m, n in [(1, 1), (2, 2), (3, 3), (5, 5), (5, 3), (3, 5), (1, 4), (4, 1), (20, 20), (20, 7)]:
    case(f"svd {m}x{n}", svd, noise((m, n), m + n))
    case(f"qr {m}x{n}", qr, noise((m, n), m + n))
case("svd graded", svd, (noise((5, 4), 3) + 2 * np.eye(5, 4)) * grades[:4])
case("qr graded", qr, (noise((5, 4), 3) + 2 * np.eye(5, 4)) * grades[:4])
case("svd close", svd, with_values([2.0, 2 - 1e-5, 1.0], 3, (5, 3)))
case("svd small", svd, with_values([2.0, 1.0, 1e-6], 3, (3, 5)))
