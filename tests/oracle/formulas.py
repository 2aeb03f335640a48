#!/usr/bin/env python3
"""Random functions and their derivatives by SymPy: the oracle behind tests/oracle/formulas.rs.

Run it from the root of the crate, with Python 3 and sympy (pip install sympy):

    python tests/oracle/formulas.py > tests/oracle/formulas.rs

Each row is a function of x and y as Rust code, and for either variable SymPy's derivative as text (the shorter of
`diff` and, if done in 2 seconds, `simplify(diff)`, with ^ for ** and ln for log) and its values at the points, to 30 digits, rounded to f64.
"""

import random
import signal

import sympy as sp
from mpmath import mp

mp.dps = 30
COUNT, POINTS = 50, 20
x, y = sp.symbols("x y", real=True)
rng = random.Random(1964)

UNARY = {
    "sin": sp.sin,
    "cos": sp.cos,
    "exp": sp.exp,
    "tanh": sp.tanh,
    "atan": sp.atan,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
}


def leaf():
    return rng.choice([("x", x), ("y", y)])


def number():
    n = rng.choice([2, 3, 4, 5, sp.Rational(1, 2)])
    return (f"{float(n)}", n)


def tree(depth):
    """Rust code and the SymPy expression."""
    if depth == 0:
        return leaf()
    kind = rng.randrange(12)
    a, f = tree(depth - 1)
    if kind < 3:
        b, g = tree(depth - 1) if rng.random() < 0.7 else number()
        return (f"({a} + {b})", f + g) if rng.random() < 0.6 else (f"({a} - {b})", f - g)
    if kind < 6:
        b, g = tree(depth - 1) if rng.random() < 0.7 else number()
        return (f"({a} * {b})", f * g)
    if kind < 7:
        b, g = tree(depth - 2) if depth > 1 else leaf()
        # A divisor without zeros.
        return (f"({a} / ({b}.powi(2) + 1.0))", f / (g**2 + 1))
    if kind < 9:
        n = rng.choice([2, 3])
        return (f"{a}.powi({n})", f**n)
    if kind == 9 and depth > 1:
        return rng.choice([
            (f"({a}.powi(2) + 1.0).sqrt()", sp.sqrt(f**2 + 1)),
            (f"({a}.powi(2) + 1.0).ln()", sp.log(f**2 + 1)),
        ])
    name = rng.choice(list(UNARY))
    return (f"{a}.{name}()", UNARY[name](f))


def text(e):
    return str(e).replace("**", "^").replace("log(", "ln(")


def derivative(f, v):
    d = sp.diff(f, v)
    forms = [text(d)]
    # `simplify` can take minutes.
    signal.alarm(2)
    try:
        forms.append(text(sp.simplify(d)))
    except TimeoutError:
        pass
    signal.alarm(0)
    return d, min(forms, key=lambda t: len(t.replace(" ", "")))


def give_up(*_):
    raise TimeoutError


signal.signal(signal.SIGALRM, give_up)


def bare(code):
    """Without parentheses around the whole."""
    depth = 0
    for i, c in enumerate(code):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return code[1:-1] if i == len(code) - 1 and code[0] == "(" else code


def main():
    points = [(round(rng.uniform(-1.5, 1.5), 3), round(rng.uniform(-1.5, 1.5), 3)) for _ in range(POINTS)]
    print("// Made by tests/oracle/formulas.py with SymPy", sp.__version__)
    print(f"\n/// The points of the values.\nconst POINTS: [[f64; 2]; {POINTS}] = [")
    for a, b in points:
        print(f"    [{a}, {b}],")
    print("];\n")
    print("/// Functions with SymPy's derivatives: text, and values at the points.")
    print(f"static FORMULAS: [Row; {COUNT}] = [")
    seen = set()
    while len(seen) < COUNT:
        code, f = tree(rng.choice([2, 3, 3, 4]))
        if f in seen or len(code) > 70 or not f.has(x) or not f.has(y):
            continue
        partials = [derivative(f, v) for v in (x, y)]
        values = []
        for d, _ in partials:
            on_mp = sp.lambdify((x, y), d, "mpmath")
            values.append([float(on_mp(mp.mpf(str(a)), mp.mpf(str(b)))) for a, b in points])
        if any(not abs(v) < 1e6 for row in values for v in row):
            continue
        seen.add(f)
        code = bare(code)
        print("    Row {")
        print(f'        source: "{code}",')
        print(f"        f: |[x, y]| {code},")
        print("        partials: [")
        for (_, shown), row in zip(partials, values):
            print(f'            ("{shown}", [')
            for i in range(0, POINTS, 5):
                print("                " + ", ".join(repr(v) for v in row[i : i + 5]) + ",")
            print("            ]),")
        print("        ],")
        print("    },")
    print("];")


main()
