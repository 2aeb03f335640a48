"""The conventions of this crate, where PyTorch has others."""

import math

import torch as t
import torch.nn.functional as f
from by_torch.functions import ELEMENTWISE
from by_torch.operations import mask


class ByRule(t.autograd.Function):
    """An elementwise function whose pullback follows the conventions of the crate."""

    @staticmethod
    def forward(ctx, name, function, used, *operands):
        ctx.save_for_backward(*operands)
        ctx.name, ctx.function, ctx.used = name, function, used
        return function(*operands)

    @staticmethod
    def backward(ctx, g):
        operands = [x.detach().expand(g.shape).clone().requires_grad_() for x in ctx.saved_tensors]
        with t.enable_grad():
            y = ctx.function(*operands)
            partials = list(t.autograd.grad(y.sum(), operands, allow_unused=True))
        partials = [t.zeros_like(g) if p is None else p for p in partials]
        # A constant partial is the same everywhere.
        if ctx.name not in ("add", "sub", "neg", "fract", "max", "min", "gated_mul") and y.isnan().any():
            partials = [t.where(y.isnan(), y, p) for p in partials]
            ctx.used["outside of domains"] += 1
        out = []
        for x, p in zip(ctx.saved_tensors, partials):
            gx = t.where(g == 0, t.zeros_like(g), g * p)
            if not t.isfinite(p[g == 0]).all():
                ctx.used["zero cotangent"] += 1
            out.append(gx.sum_to_size(x.shape) if gx.shape != x.shape else gx)
        return (None, None, None, *out)


class Atan2(t.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return t.atan2(a, b)

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        length = t.hypot(a, b)
        zero = t.zeros_like(length)
        parts = [t.where(length == 0, zero, g * (x / length) / length) for x in (b, -a)]
        return tuple(part.sum_to_size(x.shape) for part, x in zip(parts, (a, b)))


class Sqrt(t.autograd.Function):
    """With the partial +infinity at -0 too."""

    @staticmethod
    def forward(ctx, x):
        y = t.sqrt(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g / (2 * y.abs())


class XLogY(t.autograd.Function):
    """PyTorch has the partial 0 in the first operand at (0, b) with b < 0, where this crate has ln b, NaN."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return t.xlogy(a, b)

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        of_a, of_b = t.log(b + 0), t.where(a == 0, t.zeros_like(a * b), t.where(b < 0, t.nan, a / b))
        parts = [t.where(g == 0, t.zeros_like(g), g * part) for part in (of_a, of_b)]
        return tuple(part.sum_to_size(x.shape) for part, x in zip(parts, (a, b)))


class Norm(t.autograd.Function):
    """With the partials of the scaled numbers: squares of PyTorch over- and underflow."""

    @staticmethod
    def forward(ctx, x, axis):
        size = x.abs().amax(axis, keepdim=True) if x.numel() else t.ones((), dtype=x.dtype)
        infinite = t.isinf(size)
        # An infinite number counts as 1 beside finite ones, which count as 0.
        unit = t.where(infinite, t.where(t.isinf(x), t.sign(x), t.where(t.isnan(x), x, t.zeros_like(x))), x)
        scale = t.where(infinite | (size == 0) | t.isnan(size), t.ones_like(size), size)
        unit = unit / scale
        length = t.linalg.vector_norm(unit, dim=axis, keepdim=axis is not None)
        length = length if axis is not None else length.reshape(())
        ctx.save_for_backward(t.where(length == 0, t.zeros_like(unit), unit / length))
        ctx.axis = axis
        y = t.where(infinite & ~t.isnan(length), t.inf, length * scale).reshape(length.shape)
        return y.squeeze(axis) if axis is not None else y

    @staticmethod
    def backward(ctx, g):
        (partial,) = ctx.saved_tensors
        g = g.unsqueeze(ctx.axis) if ctx.axis is not None else g
        return t.where(g == 0, t.zeros_like(partial), g * partial), None


def at_infinity(function, limit):
    """The function, and its limit where the operand is infinite."""

    def of(x):
        infinite = t.isinf(x)
        return t.where(infinite, limit(x), function(t.where(infinite, t.zeros_like(x), x)))

    return of


def zero(x):
    return t.zeros_like(x)


def plus(x):
    return t.where(x > 0, x, t.zeros_like(x))


LIMITS = {
    "softsign": at_infinity(f.softsign, t.sign),
    "sinc": at_infinity(ELEMENTWISE["sinc"], zero),
    "gelu": at_infinity(ELEMENTWISE["gelu"], plus),
    "gelu_tanh": at_infinity(ELEMENTWISE["gelu_tanh"], plus),
    "silu": at_infinity(f.silu, plus),
    # The squares in PyTorch's partials underflow.
    "atan2": lambda a, b: Atan2.apply(a, b),
    "xlogy": lambda a, b: XLogY.apply(a, b),
    # At -0 the partial is that at 0, infinity: a logarithm has no other side.
    "ln": lambda x: t.log(x + 0),
    "log2": lambda x: t.log2(x + 0),
    "log10": lambda x: t.log10(x + 0),
    "sqrt": lambda x: Sqrt.apply(x),
}


def scaled_norm(x, axis=None):
    return Norm.apply(x, axis)


class Product(t.autograd.Function):
    """The product along an axis; the partials are the products of the other factors, which PyTorch divides out."""

    @staticmethod
    def forward(ctx, x, axis):
        ctx.save_for_backward(x)
        ctx.axis = axis
        return x.prod(axis)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        x, g = x.movedim(ctx.axis, -1), g.unsqueeze(-1)
        others = t.where(t.eye(x.shape[-1], dtype=t.bool), t.ones_like(x[..., :1, None]), x.unsqueeze(-2)).prod(-1)
        return t.where(g == 0, t.zeros_like(others), g * others).movedim(-1, ctx.axis), None


def cumulative_product(x, axis):
    rows = [Product.apply(x.narrow(axis, 0, k + 1), axis) for k in range(x.shape[axis])]
    return t.stack(rows, axis) if rows else x


class Variance(t.autograd.Function):
    """With NaN partials where the variance is NaN."""

    @staticmethod
    def forward(ctx, x, axis, ddof):
        y = x.var(axis, correction=ddof)
        centred = x - x.mean(axis, keepdim=axis is not None)
        count = x.numel() if axis is None else x.shape[axis]
        spread = y if axis is None else y.unsqueeze(axis)
        ctx.save_for_backward(t.where(t.isnan(spread), spread, 2 / (count - ddof) * centred))
        ctx.axis = axis
        return y

    @staticmethod
    def backward(ctx, g):
        (partial,) = ctx.saved_tensors
        g = g if ctx.axis is None else g.unsqueeze(ctx.axis)
        return t.where(g == 0, t.zeros_like(partial), g * partial), None, None


def deviation(x, axis, ddof):
    """The standard deviation, by a norm whose squares do not underflow."""
    count = x.numel() if axis is None else x.shape[axis]
    return scaled_norm(x - x.mean(axis, keepdim=axis is not None), axis) / math.sqrt(count - ddof)


def softmax(x, axis):
    """With equal shares for all elements that equal an infinite largest one."""
    if not x.numel():
        return t.softmax(x, axis)
    most = x.amax(axis, keepdim=True)
    infinite = t.isinf(most)
    shares = (x == most).to(x.dtype)
    shares = shares / shares.sum(axis, keepdim=True)
    return t.where(infinite, shares, t.softmax(t.where(infinite, t.zeros_like(x), x), axis))


def masked_softmax(x, axis, seen):
    any_seen = seen.any(axis, keepdim=True)
    inner = t.where(any_seen, t.where(seen, x, t.full_like(x, -math.inf)), t.zeros_like(x))
    shares = softmax(inner, axis)
    return t.where(any_seen, t.where(seen, shares, t.zeros_like(x)), t.zeros_like(x))


OPERATIONS_BY_RULE = {
    "norm": lambda x, i, n: scaled_norm(x.reshape(-1)),
    "norm_axis": lambda x, i, n: scaled_norm(x, i[0][0]),
    "norm_of": lambda *a: scaled_norm(t.stack(a[:-2])),
    "product": lambda x, i, n: Product.apply(x.reshape(-1), 0),
    "product_axis": lambda x, i, n: Product.apply(x, i[0][0]),
    "cumprod": lambda x, i, n: cumulative_product(x, i[0][0]),
    "var": lambda x, i, n: Variance.apply(x, None, n[0]),
    "var_axis": lambda x, i, n: Variance.apply(x, i[0][0], n[0]),
    "std": lambda x, i, n: deviation(x, None, n[0]),
    "std_axis": lambda x, i, n: deviation(x, i[0][0], n[0]),
    "softmax": lambda x, i, n: softmax(x, i[0][0]),
    "softmax_where": lambda x, i, n: masked_softmax(x, i[0][0], mask(x.shape, i[1][0])),
    "softmax_of": lambda *a: softmax(t.stack(a[:-2]), 0),
}
