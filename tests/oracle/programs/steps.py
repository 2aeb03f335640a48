"""Programs as data: what a step's arguments mean, and the steps of a program in a library."""

import math

DELTA = 2.0**-30
FORMULAS = ["ij,jk->ik", "ij,ij->i", "ij,kj->ki", "ii->i", "ij,jk,k->i", "bij,bjk->bik", "ij->", "i,j->ji"]


class Errors:
    """The errors that are made on purpose at each step."""

    exact = True

    @staticmethod
    def perturb(x):
        return x


errors = Errors()


def pattern(i, seed):
    return (i * 7 + i // 3 + seed * 5) % 11


def numbers_of(shape, f):
    n = math.prod(shape)
    return [f(i + 1) for i in range(n)], list(shape)


def direction(k):
    return math.fmod((k + 1.0) * 0.6180339887498949, 1.0) + 0.1


def windows(length, places):
    return [((i * length) // places, -((-(i + 1) * length) // places)) for i in range(places)]


# Of these an operand is mapped into an interval.
SHARED = {
    "div4": lambda x: x / 4,
    "affine_inside": lambda x, low, high: x * (high - low) + low,
}


def run(lib, program, inputs, perturb, by_rule, exact):
    """All values of a program; `exact` if no errors are made on purpose."""
    pool = list(inputs)
    errors.perturb = perturb
    errors.exact = exact
    functions = {**lib.elementwise, **SHARED, **(lib.limits if by_rule is not None else {})}

    def elementwise(name, operands, extra=()):
        if by_rule is not None and name in lib.limits:
            by_rule["limits"] += 1
        function = functions[name] if not extra else lambda *x: functions[name](*x, *extra)
        if by_rule is None:
            return function(*operands)
        return lib.by_rule(name, function, by_rule, operands)

    def inside(x, interval):
        low, high = interval
        y = elementwise("sigmoid", [perturb(elementwise("div4", [x]))])
        return perturb(elementwise("affine_inside", [perturb(y)], (low, high)))

    for step in program["steps"]:
        operands = [perturb(pool[k]) for k in step["on"]]
        for k, interval in enumerate(step["inside"]):
            operands[k] = inside(operands[k], interval)
        name, ints, numbers = step["op"], step["ints"], step["numbers"]
        if name in functions:
            extra = (ints[0][0],) if name in ("powi", "polygamma") else tuple(numbers)
            value = elementwise(name, operands, extra)
        else:
            function = lib.ops[name]
            if by_rule is not None and name in lib.ops_by_rule:
                function = lib.ops_by_rule[name]
                by_rule["limits"] += 1
            value = function(*operands, ints, numbers)
        pool.append(perturb(value))
    return pool
