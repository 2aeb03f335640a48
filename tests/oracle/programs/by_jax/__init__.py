"""Values and derivatives of programs by JAX: its own are traced, and the trace is evaluated by numpy and SciPy."""

import os
import sys

os.environ.setdefault("JAX_PLATFORMS", "cpu")
import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as np
import numpy
from by_jax import evaluate
from by_jax.functions import ELEMENTWISE
from by_jax.operations import OPERATIONS
from jax.extend.core import Primitive
from jax.interpreters import ad
from steps import DELTA, direction, run

name = "jax"
elementwise = ELEMENTWISE
ops = OPERATIONS
by_rule = None
# Functions with a limit at infinity, where JAX has NaN.
more_limits = ["softsign", "sinc", "gelu", "gelu_tanh", "silu"]
refuses = (numpy.linalg.LinAlgError,)

# An error made on purpose, linear in its operand.
noise = Primitive("noise")
noise.def_abstract_eval(lambda x, k: x)
ad.deflinear2(noise, lambda g, _, k: [noise.bind(g, k=k)])


def traced(program, dtype, order):
    """Sums, value, gradient and, of second order, the product of the Hessian with the direction, as a trace."""
    inputs = [numpy.array(x["data"], dtype=dtype).reshape(x["shape"]) for x in program["inputs"]]
    fixed = [x["constant"] for x in program["inputs"]]
    free = [x for x, c in zip(inputs, fixed) if not c]

    def value(free):
        count = iter(range(1 << 30))
        perturb = lambda x: noise.bind(np.asarray(x), k=next(count))
        rest = iter(free)
        pool = run(
            sys.modules[__name__],
            program,
            [np.asarray(x) if c else next(rest) for x, c in zip(inputs, fixed)],
            perturb,
            None,
            False,
        )
        sums = [perturb(x).sum() for x in pool]
        total = np.zeros((), dtype)
        for x, w in zip(sums, program["weights"]):
            if w:
                total = total + perturb(x * w)
        return total, ([x for x in pool], [x.astype(dtype) for x in sums])

    def all_of(free):
        (total, (pool, sums)), first = jax.value_and_grad(value, has_aux=True)(free)
        if order < 2:
            return total, pool, sums, first, []
        k, v = 0, []
        for x in free:
            v.append(np.asarray(numpy.array([direction(k + j) for j in range(x.size)], dtype=dtype).reshape(x.shape)))
            k += x.size
        second = jax.jvp(lambda free: jax.grad(value, has_aux=True)(free)[0], (free,), (v,))[1]
        return total, pool, sums, first, second

    trace, shape = jax.make_jaxpr(all_of, return_shape=True)(free)
    return trace, jax.tree.structure(shape), free


traces = {}


def gradients(program, single=False, seed=None, by_rule=None, order=1, delta=DELTA):
    key = (program["seed"], single, order)
    if key not in traces:
        if any(other[0] != program["seed"] for other in traces):
            traces.clear()
        traces[key] = traced(program, numpy.float32 if single else numpy.float64, order)
    trace, structure, free = traces[key]
    evaluate.Noise.current = None if seed is None else evaluate.Noise(seed, delta)
    with numpy.errstate(all="ignore"):
        results = evaluate.run(trace, free)
    total, pool, sums, first, second = jax.tree.unflatten(structure, results)
    tolist = lambda x: [float(y) for y in x.reshape(-1)]
    result = dict(shapes=[list(x.shape) for x in pool], sums=[float(x) for x in sums], value=float(total))
    result["gradient"] = [tolist(d) for d in first]
    if order == 2:
        result["hvp"] = [tolist(d) for d in second]
    return result
