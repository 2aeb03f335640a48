"""Evaluates what JAX has traced by numpy and SciPy, because XLA would compile every operation for every shape.

A trace (a jaxpr) has the primitives into which JAX takes a function and its derivatives apart; here are their values.
"""

import numpy as np
import scipy.linalg
import scipy.special as special
from jax.extend.core import Literal

RULES = {}


def rule(*names):
    def add(function):
        for name in names:
            RULES[name] = function
        return function

    return add


def simple(names, function):
    for name in names.split():
        RULES[name] = lambda *x, **_: function(*x)


for name in """sin cos tan sinh cosh tanh exp exp2 expm1 log log1p sqrt cbrt floor ceil sign square""".split():
    simple(name, getattr(np, name))
simple("asin", np.arcsin)
simple("acos", np.arccos)
simple("atan", np.arctan)
simple("asinh", np.arcsinh)
simple("acosh", np.arccosh)
simple("atanh", np.arctanh)
simple("atan2", np.arctan2)
simple("add add_any", np.add)
simple("sub", np.subtract)
simple("mul", np.multiply)
simple("neg", np.negative)
simple("abs", np.abs)
simple("max", np.maximum)
simple("min", np.minimum)
simple("pow", np.power)
simple("rem", np.fmod)
simple("rsqrt", lambda x: 1 / np.sqrt(x))
simple("eq", np.equal)
simple("ne", np.not_equal)
simple("lt lt_to", np.less)
simple("le le_to", np.less_equal)
simple("gt", np.greater)
simple("ge", np.greater_equal)
simple("is_finite", np.isfinite)
simple("nextafter", np.nextafter)
simple("and", np.bitwise_and)
simple("or", np.bitwise_or)
simple("xor", np.bitwise_xor)
simple("not", np.invert)
simple("shift_right_arithmetic", np.right_shift)
simple("logistic", special.expit)
simple("erf", special.erf)
simple("erfc", special.erfc)
simple("erf_inv", special.erfinv)
simple("lgamma", special.gammaln)
simple("digamma", special.digamma)
simple("zeta", special.zeta)
simple("polygamma", lambda n, x: (-1.0) ** (n + 1) * special.gamma(n + 1) * special.zeta(n + 1, x))
simple("stop_gradient copy copy_p optimization_barrier", lambda *x: x if len(x) > 1 else x[0])
simple("clamp", lambda low, x, high: np.minimum(np.maximum(x, low), high))
simple("select_n", lambda which, *cases: np.where(which, cases[1], cases[0]) if len(cases) == 2 else np.choose(which, cases))


@rule("div")
def div(a, b, **_):
    if a.dtype.kind == "f":
        return np.divide(a, b)
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


@rule("integer_pow")
def integer_pow(x, y, **_):
    return x**y if y >= 0 else 1 / x**-y


@rule("round")
def rounded(x, rounding_method, **_):
    return np.rint(x) if "EVEN" in str(rounding_method) else np.sign(x) * np.floor(np.abs(x) + 0.5)


@rule("convert_element_type")
def convert_element_type(x, new_dtype, **_):
    return x.astype(new_dtype)


@rule("bitcast_convert_type")
def bitcast_convert_type(x, new_dtype, **_):
    return np.ascontiguousarray(x).view(new_dtype).reshape(x.shape)


# Shapes.


@rule("broadcast_in_dim")
def broadcast_in_dim(x, shape, broadcast_dimensions, **_):
    wide = [1] * len(shape)
    for i, d in enumerate(broadcast_dimensions):
        wide[d] = x.shape[i]
    return np.broadcast_to(x.reshape(wide), shape)


@rule("reshape")
def reshape(x, new_sizes, dimensions=None, **_):
    return (x if dimensions is None else x.transpose(dimensions)).reshape(new_sizes)


@rule("squeeze")
def squeeze(x, dimensions, **_):
    return np.squeeze(x, tuple(dimensions))


@rule("expand_dims")
def expand_dims(x, dimensions, **_):
    return np.expand_dims(x, tuple(dimensions))


@rule("transpose")
def transpose(x, permutation, **_):
    return x.transpose(permutation)


@rule("rev")
def rev(x, dimensions, **_):
    return np.flip(x, tuple(dimensions))


@rule("concatenate")
def concatenate(*x, dimension, **_):
    return np.concatenate(x, dimension)


@rule("stack")
def stack(*x, axis=0, **_):
    return np.stack(x, axis)


@rule("unstack")
def unstack(x, axis=0, **_):
    return tuple(np.moveaxis(x, axis, 0))


@rule("split")
def split(x, sizes, axis, **_):
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis))


@rule("iota")
def iota(*_, dtype, shape, dimension, **__):
    wide = [1] * len(shape)
    wide[dimension] = -1
    return np.broadcast_to(np.arange(shape[dimension], dtype=dtype).reshape(wide), shape)


@rule("slice")
def sliced(x, start_indices, limit_indices, strides, **_):
    return x[tuple(map(slice, start_indices, limit_indices, strides or (1,) * x.ndim))]


@rule("empty2")
def empty(dtype, **_):
    return np.zeros((), dtype)


@rule("dynamic_slice")
def dynamic_slice(x, *starts, slice_sizes, **_):
    starts = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x.shape, slice_sizes)]
    return x[tuple(slice(s, s + k) for s, k in zip(starts, slice_sizes))]


@rule("dynamic_update_slice")
def dynamic_update_slice(x, update, *starts, **_):
    starts = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x.shape, update.shape)]
    x = x.copy()
    x[tuple(slice(s, s + k) for s, k in zip(starts, update.shape))] = update
    return x


@rule("pad")
def pad(x, fill, padding_config, **_):
    for axis, (low, high, interior) in enumerate(padding_config):
        n = x.shape[axis]
        inner = n + max(n - 1, 0) * interior
        length = low + inner + high
        wide = np.full(x.shape[:axis] + (max(length, 0),) + x.shape[axis + 1 :], fill, dtype=x.dtype)
        places = low + np.arange(n) * (interior + 1)
        kept = (places >= 0) & (places < length)
        before = (slice(None),) * axis
        wide[before + (places[kept],)] = x[before + (kept,)]
        x = wide
    return x


# Reductions and scans.


def reduction(name, function, **of_none):
    RULES[name] = lambda x, axes, **_: function(x, axis=tuple(axes), **of_none).astype(x.dtype)


reduction("reduce_sum", np.sum)
reduction("reduce_prod", np.prod)
reduction("reduce_or", np.any)
reduction("reduce_and", np.all)
reduction("reduce_max", np.max, initial=-np.inf)
reduction("reduce_min", np.min, initial=np.inf)


@rule("argmax", "argmin")
def argmax(*_, **__):
    raise NotImplementedError("argmax")


def scan_of(function):
    def of(x, axis, reverse=False, **_):
        return np.flip(function(np.flip(x, axis), axis=axis), axis) if reverse else function(x, axis=axis)

    return of


RULES["cumsum"] = scan_of(np.cumsum)
RULES["cumprod"] = scan_of(np.cumprod)
RULES["cummax"] = scan_of(np.maximum.accumulate)
RULES["cummin"] = scan_of(np.minimum.accumulate)


@rule("sort")
def sort(*x, dimension, num_keys, **_):
    order = np.argsort(x[0], axis=dimension, kind="stable")
    if num_keys > 1:
        order = np.lexsort(tuple(reversed(x[:num_keys])), axis=dimension)
    return tuple(np.take_along_axis(y, order, dimension) for y in x)


# Places. Indices of these programs are inside of their axes.


def index_of(start, vector, sizes, dims, window, dropped, batching, start_batching):
    """For each axis of the operand an index, whose axes are those of the starts and of the window."""
    lead = start.shape[:-1]
    index = []
    k = 0
    for d, size in enumerate(sizes):
        at = np.zeros(lead + (1,) * window, dtype=np.int64)
        if d in vector:
            at = at + start[..., vector.index(d)].reshape(lead + (1,) * window)
        if d in batching:
            axis = start_batching[batching.index(d)]
            at = at + np.arange(lead[axis]).reshape([-1 if i == axis else 1 for i in range(len(lead) + window)])
        elif d not in dropped:
            at = at + np.arange(size).reshape([-1 if i == len(lead) + k else 1 for i in range(len(lead) + window)])
            k += 1
        if at.size and not (0 <= at.min() and at.max() < dims[d]):
            raise IndexError("an index outside of its axis")
        index.append(at)
    return tuple(index)


@rule("gather")
def gather(x, start, dimension_numbers, slice_sizes, **_):
    n = dimension_numbers
    lead = start.ndim - 1
    index = index_of(
        start,
        list(n.start_index_map),
        slice_sizes,
        x.shape,
        len(n.offset_dims),
        n.collapsed_slice_dims,
        list(n.operand_batching_dims),
        list(n.start_indices_batching_dims),
    )
    shape = start.shape[:-1] + tuple(
        s for d, s in enumerate(slice_sizes) if d not in n.collapsed_slice_dims and d not in n.operand_batching_dims
    )
    y = np.broadcast_to(x[index], shape)
    rest = iter(range(lead))
    offsets = {d: lead + k for k, d in enumerate(n.offset_dims)}
    return y.transpose([offsets[d] if d in offsets else next(rest) for d in range(y.ndim)])


def scatter(x, start, updates, dimension_numbers, put):
    n = dimension_numbers
    windows = list(n.update_window_dims)
    rest = [d for d in range(updates.ndim) if d not in windows]
    updates = updates.transpose(rest + windows)
    sizes = iter(updates.shape[len(rest) :])
    dropped = list(n.inserted_window_dims)
    batching = list(n.operand_batching_dims)
    sizes = [1 if d in dropped or d in batching else next(sizes) for d in range(x.ndim)]
    index = index_of(
        start,
        list(n.scatter_dims_to_operand_dims),
        sizes,
        x.shape,
        len(windows),
        dropped,
        batching,
        list(n.scatter_indices_batching_dims),
    )
    x = x.copy()
    put(x, tuple(np.broadcast_to(i, updates.shape) for i in index), updates)
    return x


@rule("scatter-add", "scatter_add")
def scatter_add(x, start, updates, dimension_numbers, **_):
    return scatter(x, start, updates, dimension_numbers, np.add.at)


@rule("scatter-mul", "scatter_mul")
def scatter_mul(x, start, updates, dimension_numbers, **_):
    return scatter(x, start, updates, dimension_numbers, np.multiply.at)


@rule("scatter")
def scatter_set(x, start, updates, dimension_numbers, **_):
    return scatter(x, start, updates, dimension_numbers, lambda x, index, updates: x.__setitem__(index, updates))


# Products.


@rule("dot_general")
def dot_general(a, b, dimension_numbers, **_):
    (contract_a, contract_b), (batch_a, batch_b) = dimension_numbers
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    of_a, of_b = [None] * a.ndim, [None] * b.ndim
    for i, j in [*zip(batch_a, batch_b), *zip(contract_a, contract_b)]:
        of_a[i] = of_b[j] = next(letters)
    of_a = [c or next(letters) for c in of_a]
    of_b = [c or next(letters) for c in of_b]
    summed = {of_a[i] for i in contract_a}
    result = [of_a[i] for i in batch_a]
    result += [c for c in of_a + of_b if c not in summed and c not in result]
    return np.einsum(f"{''.join(of_a)},{''.join(of_b)}->{''.join(result)}", a, b)


@rule("conv_general_dilated")
def conv_general_dilated(
    x, w, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, feature_group_count, batch_group_count, **_
):
    x, w = x.transpose(dimension_numbers.lhs_spec), w.transpose(dimension_numbers.rhs_spec)
    dims = x.ndim - 2
    zero = np.zeros((), x.dtype)
    x = pad(x, zero, [(0, 0, 0)] * 2 + [(low, high, d - 1) for (low, high), d in zip(padding, lhs_dilation)])
    w = pad(w, zero, [(0, 0, 0)] * 2 + [(0, 0, d - 1) for d in rhs_dilation])
    views = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], tuple(range(2, 2 + dims)))
    views = views[(slice(None),) * 2 + tuple(slice(None, None, s) for s in window_strides)]
    letters = "uvw"[:dims]
    places = "xyz"[:dims]
    by = f"bc{places}{letters},oc{letters}->bo{places}"
    groups = max(feature_group_count, batch_group_count)
    axis = 1 if feature_group_count > 1 else 0
    parts = zip(np.split(views, groups, axis), np.split(w, groups, 0))
    y = np.concatenate([np.einsum(by, part, kernel) for part, kernel in parts], 1)
    return y.transpose(np.argsort(dimension_numbers.out_spec))


# Matrices.


@rule("cholesky")
def cholesky(a, **_):
    return np.linalg.cholesky(a)


@rule("lu")
def lu(a, **_):
    factors, pivots = scipy.linalg.lu_factor(a, check_finite=False)
    return factors, pivots.astype(np.int32), lu_pivots_to_permutation(pivots, len(a))


@rule("lu_pivots_to_permutation")
def lu_pivots_to_permutation(pivots, permutation_size, **_):
    order = np.arange(permutation_size, dtype=np.int32)
    for i, j in enumerate(pivots):
        order[[i, j]] = order[[j, i]]
    return order


@rule("qr")
def qr(a, full_matrices, **_):
    return tuple(np.linalg.qr(a, "complete" if full_matrices else "reduced"))


@rule("eigh")
def eigh(a, **_):
    values, vectors = np.linalg.eigh(a)
    return vectors, values


@rule("svd")
def svd(a, compute_uv, full_matrices, **_):
    if not compute_uv:
        return (np.linalg.svd(a, compute_uv=False),)
    u, s, v = np.linalg.svd(a, full_matrices=full_matrices)
    return s, u, v


@rule("triangular_solve")
def triangular_solve(a, b, left_side, lower, transpose_a, unit_diagonal, **_):
    if a.ndim > 2:
        lead = a.shape[:-2]
        y = [
            triangular_solve(m, r, left_side, lower, transpose_a, unit_diagonal)
            for m, r in zip(a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]))
        ]
        return np.array(y).reshape(lead + b.shape[-2:])
    of = dict(lower=lower, unit_diagonal=unit_diagonal, check_finite=False)
    if left_side:
        return scipy.linalg.solve_triangular(a, b, trans=int(transpose_a), **of)
    return scipy.linalg.solve_triangular(a, b.T, trans=1 - int(transpose_a), **of).T


# Traces within traces.


@rule("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint")
def call(*x, jaxpr, **_):
    return run(jaxpr, x)


@rule("custom_jvp_call", "custom_vjp_call")
def custom_call(*x, call_jaxpr, **_):
    return run(call_jaxpr, x)


@rule("cond")
def cond(which, *x, branches, **_):
    return run(branches[min(max(int(which), 0), len(branches) - 1)], x)


@rule("platform_index")
def platform_index(*_, platforms, **__):
    return next(np.int32(i) for i, names in enumerate(platforms) if names is None or "cpu" in names)


@rule("while")
def while_loop(*x, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts, **_):
    of_cond, of_body, state = x[:cond_nconsts], x[cond_nconsts : cond_nconsts + body_nconsts], x[cond_nconsts + body_nconsts :]
    while run(cond_jaxpr, (*of_cond, *state))[0]:
        state = run(body_jaxpr, (*of_body, *state))
    return tuple(state)


@rule("scan")
def scan(*x, jaxpr, length, reverse, num_consts, num_carry, **_):
    consts, state, rows = x[:num_consts], x[num_consts : num_consts + num_carry], x[num_consts + num_carry :]
    out = [None] * length
    for i in reversed(range(length)) if reverse else range(length):
        results = run(jaxpr, (*consts, *state, *(row[i] for row in rows)))
        state, out[i] = results[:num_carry], results[num_carry:]
    return (*state, *map(np.stack, zip(*out)))


@rule("custom_linear_solve")
def custom_linear_solve(*x, const_lengths, jaxprs, **_):
    lengths = list(const_lengths)
    before = sum(lengths[: list(const_lengths._fields).index("solve")])
    count = const_lengths.solve
    right = x[sum(lengths) :]
    return run(jaxprs.solve, (*x[before : before + count], *right))


class Noise:
    """Errors made on purpose: a factor for each step, the same wherever it stands in the trace."""

    current = None

    def __init__(self, seed, delta):
        self.seed, self.delta, self.factors = seed, delta, {}

    def of(self, x, k):
        if k not in self.factors:
            generator = np.random.default_rng((self.seed, k))
            self.factors[k] = (1 + self.delta * generator.uniform(-1, 1, x.shape)).astype(x.dtype)
        return x * self.factors[k]


@rule("noise")
def noise(x, k, **_):
    return x if Noise.current is None else Noise.current.of(x, k)


def run(closed, inputs):
    """The results of a closed trace."""
    jaxpr, consts = closed.jaxpr, closed.consts
    values = dict(zip(jaxpr.constvars, map(np.asarray, consts)))
    values.update(zip(jaxpr.invars, inputs))

    def read(v):
        if isinstance(v, Literal):
            return np.asarray(v.val, dtype=v.aval.dtype)
        return values[v]

    for equation in jaxpr.eqns:
        name = equation.primitive.name
        function = RULES.get(name)
        if function is None:
            raise NotImplementedError(f"the primitive {name}")
        result = function(*map(read, equation.invars), **equation.params)
        if not equation.primitive.multiple_results:
            result = (result,)
        for v, y in zip(equation.outvars, result, strict=True):
            values[v] = np.asarray(y)
            if values[v].shape != v.aval.shape or values[v].dtype != v.aval.dtype:
                raise TypeError(f"{name}: {values[v].dtype}{values[v].shape} for {v.aval}")
    return [read(v) for v in jaxpr.outvars]
