"""Runs random programs in PyTorch or JAX and compares values, gradients and Hessian-vector products with this crate's.

    cd fuzz && cargo run --example programs --features outside -- 1000 > programs.json
    python ../tests/oracle/programs.py torch programs.json
    python ../tests/oracle/programs.py jax programs.json

Without a file it reads programs.json beside the script, a small sample.

Where PyTorch's own formula loses digits (sigmoid and tanh where they saturate, gelu, trigamma), another form of the same
function stands in its place, with the reason. Both sides round, each in its own way, so numbers are compared as follows.

- Within 32 units in the last place of the number itself they agree.
- Else the condition of the number is measured (Monte Carlo arithmetic, Parker 1997): the program runs again with every operand
  and result of every step, and so every cotangent, times 1 + 2^-30 r with a random r in [-1, 1]. The largest change of the
  number in eight runs, over 2^-30, is how many times it multiplies a relative error made anywhere. The tolerance is 64 units
  of roundoff times that, because an operation is a few roundings and eight runs do not meet the worst case; for second
  derivatives, whose pullbacks of pullbacks are longer, 256. A number that moves by more than a hundredth of itself has no
  digits, and one that moves as much for errors of 2^-40 stands at a kink; these are not compared but counted.
- Programs in f32 are compared with the same program in float64 and the roundoff of f32, and where a number is not finite, with
  float32.

Where the crate has another convention on purpose the program runs again with the rule of that convention (`RULES`), and it is
counted under the name of each rule that was in force. All else is a difference: it is printed, and the script fails.
"""

import json
import math
import sys
import time
from collections import Counter
from pathlib import Path

DELTA = 2.0**-30
# Losses and softmax weigh by probabilities, of which an exact 0 times infinity is 0; statistics are computed with a scale, so that
# no square overflows; between two equal elements a quantile is that element.
LIMITS = """bce cross_entropy cross_entropy_of kl softmax softmax_where softmax_of log_softmax layer_norm rms_norm var std
var_axis std_axis mean mean_axis mean_of norm norm_axis norm_of quantile quantile_axis median median_axis""".split()
RULES = {
    "zero cotangent": "an exact zero cotangent stays zero where a partial is infinite or NaN (README, special points)",
    "outside of domains": "where the value is NaN, partials are NaN (src/rules/mod.rs); PyTorch's are numbers, as of atanh(2)",
    "overflow within a sum": "infinity on one side and NaN on the other: huge numbers are added in another order",
    "poles of polygamma": "outside of its domain, at 0, -1, -2, .. and -infinity, a function is NaN; PyTorch's trigamma is infinite",
    "lengths at the origin": "second derivatives of norms at 0, which are NaN in PyTorch (src/rules/mod.rs: lengths)",
    "sign of a NaN": "copysign of a NaN: its sign differs from machine to machine, and its partial is NaN here",
    "values beside infinity": "where PyTorch has NaN, or its sums and squares overflow, the crate has a limit: " + ", ".join(LIMITS),
    "limits": "values at infinity and norms whose squares over- or underflow (docs of `softmax`, `norm`, rows of the table)",
    "NaN beside infinity": "as the first, in reductions and products beside infinite or huge numbers: counted, not run again",
}


def pattern(i, seed):
    return (i * 7 + i // 3 + seed * 5) % 11


def numbers_of(shape, f):
    n = math.prod(shape)
    return [f(i + 1) for i in range(n)], list(shape)


def direction(k):
    return math.fmod((k + 1.0) * 0.6180339887498949, 1.0) + 0.1


def windows(length, places):
    return [((i * length) // places, -((-(i + 1) * length) // places)) for i in range(places)]


def torch_library():
    import numpy
    import torch
    import torch.nn.functional as f

    torch.set_num_threads(1)
    lib = type("Library", (), {})()
    lib.name = "torch"
    t = torch

    class Polygamma(t.autograd.Function):
        """By the zeta function of Hurwitz: PyTorch's own trigamma, the derivative of `digamma`, has 9 to 12 digits."""

        @staticmethod
        def forward(ctx, x, n):
            ctx.save_for_backward(x)
            ctx.n = n
            if n == 0:
                return t.digamma(x)
            return (-1) ** (n + 1) * math.factorial(n) * t.special.zeta(n + 1.0, x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * Polygamma.apply(x, ctx.n + 1), None

    class LnGamma(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return t.lgamma(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * Polygamma.apply(x, 0)

    class Cbrt(t.autograd.Function):
        """PyTorch has none."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return t.from_numpy(numpy.asarray(numpy.cbrt(x.detach().numpy())))

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g / (3 * Cbrt.apply(x) ** 2)

    class Sigmoid(t.autograd.Function):
        """With the partial s(x) s(-x): PyTorch's s(1 - s) loses the digits of 1 - s where s is near 1."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return t.sigmoid(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * Sigmoid.apply(x) * Sigmoid.apply(-x)

    class Tanh(t.autograd.Function):
        """With the partial 4 s(2x) s(-2x) for 1 - tanh²."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return t.tanh(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 4 * g * Sigmoid.apply(2 * x) * Sigmoid.apply(-2 * x)

    def array(data, shape, dtype):
        return t.tensor(data, dtype=dtype).reshape(shape)

    def like(x, data, shape):
        return t.tensor(data, dtype=x.dtype).reshape(shape)

    def mask(shape, seed):
        data, shape = numbers_of(shape, lambda i: pattern(i, seed) % 3 != 0)
        return t.tensor(data, dtype=t.bool).reshape(shape)

    def indices(shape, seed, below):
        data, shape = numbers_of(shape, lambda i: pattern(i, seed) % below)
        return t.tensor(data, dtype=t.long).reshape(shape)

    def labels(x):
        return t.tensor(x, dtype=t.long)

    def normal_cdf(x):
        return t.erfc(-x / math.sqrt(2)) / 2

    def regular(x):
        n = x.shape[0]
        return t.tanh(x) * 0.25 + t.diag(t.arange(n, dtype=x.dtype) + 2)

    def max_windows(x, dims, size, stride, padding):
        x = f.pad(x, (padding, padding) * dims, value=-math.inf)
        for k in range(dims):
            x = x.unfold(2 + k, size, stride)
        return x.amax(tuple(range(-dims, 0)))

    def adaptive(x, places, reduce):
        return t.stack([reduce(x[..., a:b]) for a, b in windows(x.shape[-1], places)], -1)

    def reduced(losses, kind):
        return losses.mean() if kind == 0 else losses.sum() if kind == 1 else losses

    def cross_entropy(x, i):
        weights = like(x, [0.5 + pattern(k, 3) / 4 for k in range(x.shape[1])], (x.shape[1],)) if i[2][1] else None
        return f.cross_entropy(
            x,
            labels(i[1]),
            weight=weights,
            ignore_index=0 if i[2][2] else -100,
            label_smoothing=0.125 if i[2][0] else 0.0,
            reduction=["mean", "sum", "none"][i[0][0]],
        )

    def softmax_where(x, axis, seen):
        any_seen = seen.any(axis, keepdim=True)
        inner = t.where(any_seen, t.where(seen, x, t.full_like(x, -math.inf)), t.zeros_like(x))
        return t.where(any_seen, t.softmax(inner, axis), t.zeros_like(x))

    def pad(x, widths, value):
        pairs = [widths[k : k + 2] for k in range(0, len(widths), 2)]
        return f.pad(x, [w for pair in reversed(pairs) for w in pair], value=value)

    def eigh(x, i):
        values, vectors = t.linalg.eigh((regular(x) + regular(x).T) / 2)
        return values if i[0][0] == 0 else vectors.square()

    def triangular(x, b, i):
        a = regular(x)
        return t.linalg.solve_triangular(a, b, upper=i[0][0] == 1, unitriangular=i[1][0] == 1)

    formulas = ["ij,jk->ik", "ij,ij->i", "ij,kj->ki", "ii->i", "ij,jk,k->i", "bij,bjk->bik", "ij->", "i,j->ji"]
    lib.elementwise = dict(
        recip=lambda x: t.reciprocal(x),
        sqrt=t.sqrt,
        cbrt=lambda x: Cbrt.apply(x),
        abs=t.abs,
        signum=lambda x: t.where(t.isnan(x), x, t.copysign(t.ones_like(x), x)),
        exp=t.exp,
        exp2=t.exp2,
        exp_m1=t.expm1,
        ln=t.log,
        log2=t.log2,
        log10=t.log10,
        ln_1p=t.log1p,
        sin=t.sin,
        cos=t.cos,
        tan=t.tan,
        asin=t.asin,
        acos=t.acos,
        atan=t.atan,
        sinh=t.sinh,
        cosh=t.cosh,
        tanh=lambda x: Tanh.apply(x),
        asinh=t.asinh,
        acosh=t.acosh,
        atanh=t.atanh,
        to_degrees=t.rad2deg,
        to_radians=t.deg2rad,
        floor=t.floor,
        ceil=t.ceil,
        # Halves are rounded away from 0, as by f64::round.
        round=lambda x: t.sign(x) * t.floor(t.abs(x) + 0.5),
        trunc=t.trunc,
        fract=t.frac,
        square=t.square,
        sigmoid=lambda x: Sigmoid.apply(x),
        softplus=lambda x: t.logaddexp(x, t.zeros_like(x)),
        relu=t.relu,
        # 1 + erf in PyTorch's own cancels in the tail.
        gelu=lambda x: x * normal_cdf(x),
        # (1 + tanh u)/2 is sigmoid(2u), without the cancellation of PyTorch's own.
        gelu_tanh=lambda x: x * t.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)),
        silu=f.silu,
        softsign=f.softsign,
        log_sigmoid=f.logsigmoid,
        erf=t.erf,
        erfc=t.erfc,
        erfinv=t.erfinv,
        normal_cdf=lambda x: normal_cdf(x),
        log_normal_cdf=t.special.log_ndtr,
        ln_gamma=lambda x: LnGamma.apply(x),
        digamma=lambda x: Polygamma.apply(x, 0),
        sinc=lambda x: t.sinc(x / math.pi),
        neg=t.neg,
        powi=lambda x, n: t.pow(x, n),
        polygamma=lambda x, n: Polygamma.apply(x, n),
        clamp=lambda x, lo, hi: t.clamp(x, lo, hi),
        leaky_relu=lambda x, slope: f.leaky_relu(x, slope),
        elu=lambda x, alpha: f.elu(x, alpha),
        add=t.add,
        sub=t.sub,
        mul=t.mul,
        div=t.div,
        rem=t.fmod,
        atan2=t.atan2,
        hypot=t.hypot,
        powf=t.pow,
        log=lambda a, b: t.log(a) / t.log(b),
        # Ties share, as in t.maximum; t.fmax gives all to one.
        max=lambda a, b: t.where(t.isnan(a), b, t.where(t.isnan(b), a, t.maximum(a, b))),
        min=lambda a, b: t.where(t.isnan(a), b, t.where(t.isnan(b), a, t.minimum(a, b))),
        copysign=t.copysign,
        xlogy=t.xlogy,
        log_add_exp=t.logaddexp,
        maximum=t.maximum,
        minimum=t.minimum,
        gated_mul=lambda a, b: t.where(((a == 0) | (b == 0)) & ~t.isfinite(a * b), t.zeros_like(a * b), a * b),
    )
    lib.ops = dict(
        sum=lambda x, i, n: x.sum(),
        mean=lambda x, i, n: x.mean(),
        product=lambda x, i, n: x.reshape(-1).prod(0),
        max_all=lambda x, i, n: x.amax(),
        min_all=lambda x, i, n: x.amin(),
        var=lambda x, i, n: var(x, None, int(n[0])),
        std=lambda x, i, n: std(x, None, int(n[0])),
        norm=lambda x, i, n: t.linalg.vector_norm(x),
        log_sum_exp=lambda x, i, n: t.logsumexp(x.reshape(-1), 0),
        median=lambda x, i, n: quantile_axis(x.reshape(-1), 0.5, 0),
        quantile=lambda x, i, n: quantile_axis(x.reshape(-1), n[0], 0),
        at=lambda x, i, n: x[tuple(i[0])],
        sum_axis=lambda x, i, n: x.sum(i[0][0]),
        mean_axis=lambda x, i, n: x.mean(i[0][0]),
        product_axis=lambda x, i, n: x.prod(i[0][0]),
        max_axis=lambda x, i, n: x.amax(i[0][0]),
        min_axis=lambda x, i, n: x.amin(i[0][0]),
        var_axis=lambda x, i, n: var(x, i[0][0], int(n[0])),
        std_axis=lambda x, i, n: std(x, i[0][0], int(n[0])),
        norm_axis=lambda x, i, n: t.linalg.vector_norm(x, dim=i[0][0]),
        log_sum_exp_axis=lambda x, i, n: t.logsumexp(x, i[0][0]),
        median_axis=lambda x, i, n: quantile_axis(x, 0.5, i[0][0]),
        quantile_axis=lambda x, i, n: quantile_axis(x, n[0], i[0][0]),
        softmax=lambda x, i, n: t.softmax(x, i[0][0]),
        log_softmax=lambda x, i, n: t.log_softmax(x, i[0][0]),
        softmax_where=lambda x, i, n: softmax_where(x, i[0][0], mask(x.shape, i[1][0])),
        layer_norm=lambda x, i, n: normalized(x, n[0], True),
        rms_norm=lambda x, i, n: normalized(x, n[0], False),
        cumsum=lambda x, i, n: x.cumsum(i[0][0]),
        cumprod=lambda x, i, n: x.cumprod(i[0][0]),
        sort=lambda x, i, n: t.sort(x, dim=i[0][0], stable=True).values,
        top_k=lambda x, i, n: t.sort(x, dim=i[0][0], stable=True, descending=True).values.narrow(i[0][0], 0, i[1][0]),
        slice_axis=lambda x, i, n: strided(x, i),
        flip=lambda x, i, n: t.flip(x, i[0]),
        t=lambda x, i, n: x.permute(tuple(reversed(range(x.ndim)))),
        permuted_axes=lambda x, i, n: x.permute(i[0]),
        swap_axes=lambda x, i, n: x.transpose(i[0][0], i[1][0]),
        index_axis=lambda x, i, n: x.select(i[0][0], i[1][0]),
        insert_axis=lambda x, i, n: x.unsqueeze(i[0][0]),
        broadcast=lambda x, i, n: x.expand(i[0]),
        reshape=lambda x, i, n: x.reshape(i[0]),
        split_at=lambda x, i, n: x.tensor_split([i[1][0]], i[0][0])[i[2][0]],
        diag=lambda x, i, n: t.diagonal(x),
        select=lambda x, i, n: x.index_select(i[0][0], labels(i[1])),
        gather=lambda x, i, n: x.gather(
            i[0][0], indices([*x.shape[: i[0][0]], i[1][0], *x.shape[i[0][0] + 1 :]], i[2][0], x.shape[i[0][0]])
        ),
        scatter_add=lambda x, y, i, n: x.scatter_add(i[0][0], indices(y.shape, i[1][0], x.shape[i[0][0]]), y),
        index_add=lambda x, y, i, n: x.index_add(i[0][0], labels(i[1]), y),
        keep_where=lambda x, y, i, n: t.where(mask(i[0], i[1][0]), x, y),
        roll=lambda x, i, n: t.roll(x, i[1][0], i[0][0]),
        repeat=lambda x, i, n: x.repeat_interleave(i[1][0], i[0][0]),
        concatenate=lambda x, y, i, n: t.cat([x, y], i[0][0]),
        stack=lambda x, y, i, n: t.stack([x, y, x], i[0][0]),
        pad=lambda x, i, n: pad(x, i[0], n[0]),
        tril=lambda x, i, n: t.tril(x, i[0][0]),
        triu=lambda x, i, n: t.triu(x, i[0][0]),
        dot=lambda x, y, i, n: x @ y,
        matmul=lambda x, y, i, n: x @ y,
        outer=lambda x, y, i, n: t.outer(x, y),
        tensordot=lambda x, y, i, n: t.tensordot(x, y, (i[0], i[1])),
        einsum=lambda *a: t.einsum(formulas[a[-2][0][0]], *a[:-2]),
        dense=lambda x, w, b, i, n: [lambda z: z, t.relu, t.sigmoid, t.tanh][i[0][0]](x @ w + b),
        affine=lambda x, w, b, i, n: x @ w + b,
        conv1d=lambda x, w, i, n: f.conv1d(x, w, None, *i[0]),
        conv2d=lambda x, w, i, n: f.conv2d(x, w, None, *i[0]),
        conv_transpose1d=lambda x, w, i, n: f.conv_transpose1d(x, w, None, i[0][0], i[0][1], 0, i[0][3], i[0][2]),
        conv_transpose2d=lambda x, w, i, n: f.conv_transpose2d(x, w, None, i[0][0], i[0][1], 0, i[0][3], i[0][2]),
        max_pool1d=lambda x, i, n: max_windows(x, 1, *i[0]),
        max_pool2d=lambda x, i, n: max_windows(x, 2, *i[0]),
        avg_pool1d=lambda x, i, n: f.avg_pool1d(x, *i[0], count_include_pad=i[1][0] == 0),
        avg_pool2d=lambda x, i, n: f.avg_pool2d(x, *i[0], count_include_pad=i[1][0] == 0),
        adaptive_avg_pool1d=lambda x, i, n: f.adaptive_avg_pool1d(x, i[0][0]),
        adaptive_max_pool1d=lambda x, i, n: adaptive(x, i[0][0], lambda x: x.amax(-1)),
        upsample1d=lambda x, i, n: f.interpolate(x, i[0][0], mode="linear", align_corners=False)
        if i[1][0]
        else f.interpolate(x, i[0][0], mode="nearest"),
        mse=lambda x, y, i, n: reduced(f.mse_loss(x, y, reduction="none"), i[0][0]),
        mae=lambda x, y, i, n: reduced(f.l1_loss(x, y, reduction="none"), i[0][0]),
        huber=lambda x, y, i, n: reduced(f.huber_loss(x, y, reduction="none", delta=n[0]), i[0][0]),
        bce=lambda x, y, i, n: reduced(f.binary_cross_entropy_with_logits(x, t.sigmoid(y), reduction="none"), i[0][0]),
        cross_entropy=lambda x, i, n: cross_entropy(x, i),
        cross_entropy_of=lambda x, y, i, n: f.cross_entropy(x, t.softmax(y, 1), reduction=["mean", "sum"][i[0][0]]),
        # With errors of its two terms, which cancel where the loss is near 0.
        kl=lambda x, y, i, n: f.kl_div(
            lib.perturb(t.log_softmax(x, 1)), lib.perturb(t.softmax(y, 1)), reduction=["batchmean", "sum"][i[0][0]]
        ),
        inv=lambda x, i, n: t.linalg.inv(regular(x)),
        det=lambda x, i, n: t.linalg.det(regular(x)),
        det_raw=lambda x, i, n: t.linalg.det(x),
        ln_det=lambda x, i, n: t.linalg.slogdet(regular(x))[1],
        solve=lambda x, y, i, n: t.linalg.solve(regular(x), y),
        solve_triangular=lambda x, y, i, n: triangular(x, y, i),
        cholesky=lambda x, i, n: t.linalg.cholesky(regular(x) @ regular(x).T),
        eigh=lambda x, i, n: eigh(x, i),
        svd=lambda x, i, n: t.linalg.svdvals(regular(x)),
        qr=lambda x, i, n: t.linalg.qr(regular(x))[i[0][0]].square(),
        sum_of=lambda *a: t.stack(a[:-2]).sum(),
        mean_of=lambda *a: t.stack(a[:-2]).mean(),
        norm_of=lambda *a: t.linalg.vector_norm(t.stack(a[:-2])),
        log_sum_exp_of=lambda *a: t.logsumexp(t.stack(a[:-2]), 0),
        dot_of=lambda *a: dot_of(a[:-2]),
        softmax_of=lambda *a: t.softmax(t.stack(a[:-2]), 0),
        stack_vars=lambda *a: t.stack(a[:-2]),
        mul_add=lambda x, y, z, i, n: x * y + z,
    )

    # By parts while errors are made on purpose: parts cancel in the pullback, and the whole would hide their errors.
    def var(x, axis, ddof):
        if lib.exact:
            return x.var(axis, correction=ddof)
        count = x.numel() if axis is None else x.shape[axis]
        centred = lib.perturb(x - lib.perturb(x.mean() if axis is None else x.mean(axis, keepdim=True)))
        return lib.perturb((centred * centred).sum(axis)) / (count - ddof)

    def std(x, axis, ddof):
        if lib.exact:
            return x.std(axis, correction=ddof)
        y = var(x, axis, ddof)
        return t.where(y == 0, t.zeros_like(y), t.sqrt(t.where(y == 0, t.ones_like(y), y)))

    def normalized(x, eps, centred):
        if lib.exact:
            return f.layer_norm(x, x.shape[-1:], eps=eps) if centred else f.rms_norm(x, x.shape[-1:], eps=eps)
        x = lib.perturb(x - lib.perturb(x.mean(-1, keepdim=True))) if centred else x
        scale = lib.perturb(t.rsqrt(lib.perturb((x * x).mean(-1, keepdim=True)) + eps))
        return lib.perturb(x) * lib.perturb(scale)

    def quantile_axis(x, q, axis):
        """By a sort that keeps the order of ties: which of them t.quantile takes is not said."""
        if not x.numel():
            return x.sum(axis)
        x = t.sort(x, dim=axis, stable=True).values
        place = q * (x.shape[axis] - 1)
        low, high = x.select(axis, math.floor(place)), x.select(axis, math.ceil(place))
        share = place - math.floor(place)
        y = low * (1 - share) + high * share if share else low
        last = x.select(axis, -1)
        return t.where(t.isnan(last), last, y)

    def strided(x, i):
        x = x.narrow(i[0][0], i[1][0], i[2][0] - i[1][0])
        by = i[3][0]
        x = t.flip(x, i[0]) if by < 0 else x
        return x[(slice(None),) * i[0][0] + (slice(None, None, abs(by)),)]

    def dot_of(x):
        half = len(x) // 2
        return t.dot(t.stack(x[:half]), t.stack(x[half : 2 * half]))

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

    def at_infinity(function, limit):
        """The function, and its limit where the operand is infinite."""

        def of(x):
            infinite = t.isinf(x)
            return t.where(infinite, limit(x), function(t.where(infinite, t.zeros_like(x), x)))

        return of

    zero = lambda x: t.zeros_like(x)
    plus = lambda x: t.where(x > 0, x, t.zeros_like(x))
    lib.limits = {
        "softsign": at_infinity(f.softsign, t.sign),
        "sinc": at_infinity(lib.elementwise["sinc"], zero),
        "gelu": at_infinity(lib.elementwise["gelu"], plus),
        "gelu_tanh": at_infinity(lib.elementwise["gelu_tanh"], plus),
        "silu": at_infinity(f.silu, plus),
        # The squares in PyTorch's partials underflow.
        "atan2": lambda a, b: Atan2.apply(a, b),
    }

    def scaled_norm(x, axis=None):
        size = x.detach().abs().amax(axis, keepdim=True) if x.numel() else t.ones((), dtype=x.dtype)
        size = t.where((size > 0) & t.isfinite(size), size, t.ones_like(size))
        y = t.linalg.vector_norm(x / size, dim=axis, keepdim=axis is not None) * size
        return y.squeeze(axis) if axis is not None else y.reshape(())

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

    lib.ops_by_rule = {
        "norm": lambda x, i, n: scaled_norm(x.reshape(-1)),
        "norm_axis": lambda x, i, n: scaled_norm(x, i[0][0]),
        "norm_of": lambda *a: scaled_norm(t.stack(a[:-2])),
        "softmax": lambda x, i, n: softmax(x, i[0][0]),
        "softmax_where": lambda x, i, n: masked_softmax(x, i[0][0], mask(x.shape, i[1][0])),
        "softmax_of": lambda *a: softmax(t.stack(a[:-2]), 0),
    }
    lib.by_rule = lambda name, function, used, operands: ByRule.apply(name, function, used, *operands)

    def noise(x, generator, delta):
        return x * (1 + delta * (2 * t.rand(x.shape, generator=generator, dtype=x.dtype) - 1))

    def gradients(program, single=False, seed=None, by_rule=None, order=1, delta=DELTA):
        dtype = t.float32 if single else t.float64
        generator = None if seed is None else t.Generator().manual_seed(seed)
        perturb = (lambda x: x) if seed is None else (lambda x: noise(x, generator, delta))
        inputs = [array(x["data"], x["shape"], dtype).requires_grad_(not x["constant"]) for x in program["inputs"]]
        pool = run(lib, program, inputs, perturb, by_rule, seed is None and order == 1)
        sums = [perturb(x).sum() for x in pool]
        total = sums[0].new_zeros(())
        for x, w in zip(sums, program["weights"]):
            if w:
                total = total + perturb(x * w)
        free = [x for x in inputs if x.requires_grad]
        result = dict(shapes=[list(x.shape) for x in pool], sums=[x.item() for x in sums], value=total.item())
        if not total.requires_grad:
            result["gradient"] = [[0.0] * x.numel() for x in free]
            result["hvp"] = result["gradient"]
            return result
        first = t.autograd.grad(total, free, allow_unused=True, create_graph=order == 2)
        first = [t.zeros_like(x) if d is None else d for x, d in zip(free, first)]
        result["gradient"] = [(d.detach() + 0).reshape(-1).tolist() for d in first]
        if order == 2:
            k, along = 0, total.new_zeros(())
            for d in first:
                flat = d.reshape(-1)
                v = t.tensor([direction(k + j) for j in range(flat.numel())], dtype=dtype)
                k += flat.numel()
                along = along + (flat * v).sum()
            second = t.autograd.grad(along, free, allow_unused=True) if along.requires_grad else [None] * len(free)
            result["hvp"] = [(t.zeros_like(x) if d is None else d + 0).reshape(-1).tolist() for x, d in zip(free, second)]
        return result

    lib.gradients = gradients
    # Of NaN and infinity, also where these come from errors made on purpose.
    lib.refuses = (t.linalg.LinAlgError,)
    return lib


def jax_library():
    import os

    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)
    # Eager operations are compiled, once for each shape.
    jax.config.update("jax_disable_most_optimizations", True)
    import jax.numpy as np
    import numpy
    from jax import nn
    from jax.scipy import special
    from jax.scipy.linalg import solve_triangular

    lib = type("Library", (), {})()
    lib.name = "jax"
    lib.by_rule = None

    def mask(shape, seed):
        data, shape = numbers_of(shape, lambda i: pattern(i, seed) % 3 != 0)
        return numpy.array(data, dtype=bool).reshape(shape)

    def indices(shape, seed, below):
        data, shape = numbers_of(shape, lambda i: pattern(i, seed) % below)
        return numpy.array(data, dtype=int).reshape(shape)

    def labels(x):
        return numpy.array(x, dtype=int)

    def regular(x):
        return np.tanh(x) * 0.25 + np.diag(np.arange(x.shape[0]) + 2.0)

    def windows_of(x, dims, size, stride, padding, fill):
        x = np.pad(x, [(0, 0), (0, 0)] + [(padding, padding)] * dims, constant_values=fill)
        for k in range(dims):
            axis = 2 + k
            starts = range(0, x.shape[axis] - size + 1, stride)
            places = numpy.array([[s + j for j in range(size)] for s in starts], dtype=int)
            x = np.moveaxis(np.take(x, places, axis=axis), axis + 1, -1)
        return x

    def max_pool(x, dims, size, stride, padding):
        return windows_of(x, dims, size, stride, padding, -math.inf).max(tuple(range(-dims, 0)))

    def avg_pool(x, dims, size, stride, padding, counts_padding):
        axes = tuple(range(-dims, 0))
        total = windows_of(x, dims, size, stride, padding, 0.0).sum(axes)
        ones = windows_of(np.ones_like(x), dims, size, stride, padding, 0.0).sum(axes)
        return total / (size**dims if counts_padding else ones)

    def adaptive(x, places, reduce):
        return np.stack([reduce(x[..., a:b]) for a, b in windows(x.shape[-1], places)], -1)

    def conv(x, w, i, dims):
        stride, padding, dilation, groups = i[0]
        return jax.lax.conv_general_dilated(
            x, w, [stride] * dims, [(padding, padding)] * dims, rhs_dilation=[dilation] * dims, feature_group_count=groups
        )

    def conv_transpose(x, w, i, dims):
        """The convolution of the input with zeros between its elements with the mirrored kernel."""
        stride, padding, dilation, groups = i[0]
        w = np.flip(w, tuple(range(2, 2 + dims)))
        w = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
        w = np.moveaxis(w, 2, 1).reshape(-1, w.shape[1], *w.shape[3:])
        widths = [(dilation * (k - 1) - padding,) * 2 for k in w.shape[2:]]
        return jax.lax.conv_general_dilated(
            x, w, [1] * dims, widths, lhs_dilation=[stride] * dims, rhs_dilation=[dilation] * dims, feature_group_count=groups
        )

    def upsample(x, m, linear):
        n = x.shape[-1]
        if not linear:
            return x[..., numpy.array([i * n // m for i in range(m)])]
        s = numpy.clip((numpy.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
        low = numpy.minimum(numpy.floor(s).astype(int), n - 1)
        high = numpy.minimum(low + 1, n - 1)
        return x[..., low] * (1 - (s - low)) + x[..., high] * (s - low)

    def reduced(losses, kind):
        return losses.mean() if kind == 0 else losses.sum() if kind == 1 else losses

    def cross_entropy(x, i):
        classes = x.shape[1]
        weights = np.array([0.5 + pattern(k, 3) / 4 if i[2][1] else 1.0 for k in range(classes)])
        share = 0.125 if i[2][0] else 0.0
        target = numpy.array(i[1])
        counts = (target != 0) if i[2][2] else numpy.ones(len(target), dtype=bool)
        q = (1 - share) * np.eye(classes)[target] + share / classes
        losses = np.where(counts, -(weights * q * nn.log_softmax(x, 1)).sum(1), 0.0)
        return losses.sum() / (weights[target] * counts).sum() if i[0][0] == 0 else reduced(losses, i[0][0])

    def softmax_where(x, axis, seen):
        any_seen = seen.any(axis, keepdims=True)
        inner = np.where(any_seen, np.where(seen, x, -math.inf), 0.0)
        return np.where(any_seen, nn.softmax(inner, axis), 0.0)

    def normalized(x, eps, centred):
        x = x - x.mean(-1, keepdims=True) if centred else x
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)

    def norm(x, axis=None):
        """With the gradient 0 at the origin, which JAX's own lacks."""
        total = (x * x).sum(axis)
        return np.where(total == 0, 0.0, np.sqrt(np.where(total == 0, 1.0, total)))

    def std(x, axis, ddof):
        total = x.var(axis, ddof=ddof)
        return np.where(total == 0, 0.0, np.sqrt(np.where(total == 0, 1.0, total)))

    def huber(d, delta):
        return np.where(np.abs(d) <= delta, d * d / 2, delta * (np.abs(d) - delta / 2))

    def kl(x, q, kind):
        losses = (q * (np.log(q) - lib.perturb(nn.log_softmax(x, 1)))).sum(1)
        return losses.mean() if kind == 0 else losses.sum()

    def quantile(x, q, axis=None):
        return np.quantile(x, q, axis=axis)

    def strided(x, i):
        axis, start, end, by = (row[0] for row in i)
        x = jax.lax.slice_in_dim(x, start, end, axis=axis)
        x = np.flip(x, axis) if by < 0 else x
        return x[(slice(None),) * axis + (slice(None, None, abs(by)),)]

    def dot_of(x):
        half = len(x) // 2
        return np.stack(x[:half]) @ np.stack(x[half : 2 * half])

    def eigh(x, i):
        values, vectors = np.linalg.eigh((regular(x) + regular(x).T) / 2)
        return values if i[0][0] == 0 else vectors * vectors

    def put(x, axis, places, y):
        index = [numpy.arange(n).reshape([-1 if k == d else 1 for k in range(y.ndim)]) for d, n in enumerate(y.shape)]
        index[axis] = places
        return x.at[tuple(index)].add(y)

    def pad(x, widths, value):
        return np.pad(x, [tuple(widths[k : k + 2]) for k in range(0, len(widths), 2)], constant_values=value) if x.ndim else x

    formulas = ["ij,jk->ik", "ij,ij->i", "ij,kj->ki", "ii->i", "ij,jk,k->i", "bij,bjk->bik", "ij->", "i,j->ji"]
    lib.elementwise = dict(
        recip=lambda x: 1 / x,
        sqrt=np.sqrt,
        cbrt=np.cbrt,
        abs=np.abs,
        signum=lambda x: np.where(np.isnan(x), x, np.copysign(1.0, x)),
        exp=np.exp,
        exp2=np.exp2,
        exp_m1=np.expm1,
        ln=np.log,
        log2=np.log2,
        log10=np.log10,
        ln_1p=np.log1p,
        sin=np.sin,
        cos=np.cos,
        tan=np.tan,
        asin=np.arcsin,
        acos=np.arccos,
        atan=np.arctan,
        sinh=np.sinh,
        cosh=np.cosh,
        tanh=np.tanh,
        asinh=np.arcsinh,
        acosh=np.arccosh,
        atanh=np.arctanh,
        to_degrees=np.rad2deg,
        to_radians=np.deg2rad,
        floor=np.floor,
        ceil=np.ceil,
        round=lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
        trunc=np.trunc,
        fract=lambda x: x - np.trunc(x),
        square=np.square,
        sigmoid=nn.sigmoid,
        softplus=nn.softplus,
        relu=nn.relu,
        gelu=lambda x: nn.gelu(x, approximate=False),
        gelu_tanh=lambda x: x * nn.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)),
        silu=nn.silu,
        softsign=nn.soft_sign,
        log_sigmoid=nn.log_sigmoid,
        erf=special.erf,
        erfc=special.erfc,
        erfinv=special.erfinv,
        normal_cdf=special.ndtr,
        log_normal_cdf=special.log_ndtr,
        ln_gamma=special.gammaln,
        digamma=special.digamma,
        sinc=lambda x: np.sinc(x / math.pi),
        neg=np.negative,
        powi=lambda x, n: jax.lax.integer_pow(x, n),
        polygamma=lambda x, n: special.polygamma(n, x),
        clamp=lambda x, lo, hi: np.clip(x, lo, hi),
        leaky_relu=lambda x, slope: nn.leaky_relu(x, slope),
        elu=lambda x, alpha: nn.elu(x, alpha),
        add=np.add,
        sub=np.subtract,
        mul=np.multiply,
        div=np.divide,
        rem=np.fmod,
        atan2=np.arctan2,
        hypot=np.hypot,
        powf=np.power,
        log=lambda a, b: np.log(a) / np.log(b),
        max=np.fmax,
        min=np.fmin,
        copysign=lambda a, b: np.abs(a) * np.where(np.signbit(b), -1.0, 1.0) + 0 * b,
        xlogy=special.xlogy,
        log_add_exp=np.logaddexp,
        maximum=np.maximum,
        minimum=np.minimum,
        gated_mul=lambda a, b: np.where(((a == 0) | (b == 0)) & ~np.isfinite(a * b), 0.0, a * b),
    )
    lib.ops = dict(
        sum=lambda x, i, n: x.sum(),
        mean=lambda x, i, n: x.mean(),
        product=lambda x, i, n: x.prod(),
        max_all=lambda x, i, n: x.max(),
        min_all=lambda x, i, n: x.min(),
        var=lambda x, i, n: x.var(ddof=n[0]),
        std=lambda x, i, n: std(x, None, n[0]),
        norm=lambda x, i, n: norm(x),
        log_sum_exp=lambda x, i, n: special.logsumexp(x),
        median=lambda x, i, n: quantile(x, 0.5),
        quantile=lambda x, i, n: quantile(x, n[0]),
        at=lambda x, i, n: x[tuple(i[0])],
        sum_axis=lambda x, i, n: x.sum(i[0][0]),
        mean_axis=lambda x, i, n: x.mean(i[0][0]),
        product_axis=lambda x, i, n: x.prod(i[0][0]),
        max_axis=lambda x, i, n: x.max(i[0][0]),
        min_axis=lambda x, i, n: x.min(i[0][0]),
        var_axis=lambda x, i, n: x.var(i[0][0], ddof=n[0]),
        std_axis=lambda x, i, n: std(x, i[0][0], n[0]),
        norm_axis=lambda x, i, n: norm(x, i[0][0]),
        log_sum_exp_axis=lambda x, i, n: special.logsumexp(x, i[0][0]),
        median_axis=lambda x, i, n: quantile(x, 0.5, i[0][0]),
        quantile_axis=lambda x, i, n: quantile(x, n[0], i[0][0]),
        softmax=lambda x, i, n: nn.softmax(x, i[0][0]),
        log_softmax=lambda x, i, n: nn.log_softmax(x, i[0][0]),
        softmax_where=lambda x, i, n: softmax_where(x, i[0][0], mask(x.shape, i[1][0])),
        layer_norm=lambda x, i, n: normalized(x, n[0], True),
        rms_norm=lambda x, i, n: normalized(x, n[0], False),
        cumsum=lambda x, i, n: np.cumsum(x, i[0][0]),
        cumprod=lambda x, i, n: np.cumprod(x, i[0][0]),
        sort=lambda x, i, n: np.sort(x, i[0][0]),
        top_k=lambda x, i, n: jax.lax.slice_in_dim(-np.sort(-x, i[0][0]), 0, i[1][0], axis=i[0][0]),
        slice_axis=lambda x, i, n: strided(x, i),
        flip=lambda x, i, n: np.flip(x, i[0]),
        t=lambda x, i, n: x.T,
        permuted_axes=lambda x, i, n: np.transpose(x, i[0]),
        swap_axes=lambda x, i, n: np.swapaxes(x, i[0][0], i[1][0]),
        index_axis=lambda x, i, n: jax.lax.index_in_dim(x, i[1][0], i[0][0], keepdims=False),
        insert_axis=lambda x, i, n: np.expand_dims(x, i[0][0]),
        broadcast=lambda x, i, n: np.broadcast_to(x, i[0]),
        reshape=lambda x, i, n: x.reshape(i[0]),
        split_at=lambda x, i, n: np.split(x, [i[1][0]], i[0][0])[i[2][0]],
        diag=lambda x, i, n: np.diagonal(x),
        select=lambda x, i, n: np.take(x, labels(i[1]), axis=i[0][0]),
        gather=lambda x, i, n: np.take_along_axis(
            x, indices([*x.shape[: i[0][0]], i[1][0], *x.shape[i[0][0] + 1 :]], i[2][0], x.shape[i[0][0]]), i[0][0]
        ),
        scatter_add=lambda x, y, i, n: put(x, i[0][0], indices(y.shape, i[1][0], x.shape[i[0][0]]), y),
        index_add=lambda x, y, i, n: x.at[(slice(None),) * i[0][0] + (labels(i[1]),)].add(y),
        keep_where=lambda x, y, i, n: np.where(mask(i[0], i[1][0]), x, y),
        roll=lambda x, i, n: np.roll(x, i[1][0], i[0][0]),
        repeat=lambda x, i, n: np.repeat(x, i[1][0], i[0][0]),
        concatenate=lambda x, y, i, n: np.concatenate([x, y], i[0][0]),
        stack=lambda x, y, i, n: np.stack([x, y, x], i[0][0]),
        pad=lambda x, i, n: pad(x, i[0], n[0]),
        tril=lambda x, i, n: np.tril(x, i[0][0]),
        triu=lambda x, i, n: np.triu(x, i[0][0]),
        dot=lambda x, y, i, n: x @ y,
        matmul=lambda x, y, i, n: x @ y,
        outer=lambda x, y, i, n: np.outer(x, y),
        tensordot=lambda x, y, i, n: np.tensordot(x, y, (i[0], i[1])),
        einsum=lambda *a: np.einsum(formulas[a[-2][0][0]], *a[:-2]),
        dense=lambda x, w, b, i, n: [lambda z: z, nn.relu, nn.sigmoid, np.tanh][i[0][0]](x @ w + b),
        affine=lambda x, w, b, i, n: x @ w + b,
        conv1d=lambda x, w, i, n: conv(x, w, i, 1),
        conv2d=lambda x, w, i, n: conv(x, w, i, 2),
        conv_transpose1d=lambda x, w, i, n: conv_transpose(x, w, i, 1),
        conv_transpose2d=lambda x, w, i, n: conv_transpose(x, w, i, 2),
        max_pool1d=lambda x, i, n: max_pool(x, 1, *i[0]),
        max_pool2d=lambda x, i, n: max_pool(x, 2, *i[0]),
        avg_pool1d=lambda x, i, n: avg_pool(x, 1, *i[0], i[1][0] == 0),
        avg_pool2d=lambda x, i, n: avg_pool(x, 2, *i[0], i[1][0] == 0),
        adaptive_avg_pool1d=lambda x, i, n: adaptive(x, i[0][0], lambda x: x.mean(-1)),
        adaptive_max_pool1d=lambda x, i, n: adaptive(x, i[0][0], lambda x: x.max(-1)),
        upsample1d=lambda x, i, n: upsample(x, i[0][0], i[1][0]),
        mse=lambda x, y, i, n: reduced((x - y) ** 2, i[0][0]),
        mae=lambda x, y, i, n: reduced(np.abs(x - y), i[0][0]),
        huber=lambda x, y, i, n: reduced(huber(x - y, n[0]), i[0][0]),
        bce=lambda x, y, i, n: reduced(nn.softplus(x) - nn.sigmoid(y) * x, i[0][0]),
        cross_entropy=lambda x, i, n: cross_entropy(x, i),
        cross_entropy_of=lambda x, y, i, n: [np.mean, np.sum][i[0][0]](-(nn.softmax(y, 1) * nn.log_softmax(x, 1)).sum(1)),
        kl=lambda x, y, i, n: kl(x, lib.perturb(nn.softmax(y, 1)), i[0][0]),
        inv=lambda x, i, n: np.linalg.inv(regular(x)),
        det=lambda x, i, n: np.linalg.det(regular(x)),
        det_raw=lambda x, i, n: np.linalg.det(x),
        ln_det=lambda x, i, n: np.linalg.slogdet(regular(x))[1],
        solve=lambda x, y, i, n: np.linalg.solve(regular(x), y),
        solve_triangular=lambda x, y, i, n: solve_triangular(
            regular(x), y, lower=i[0][0] == 0, unit_diagonal=i[1][0] == 1
        ),
        cholesky=lambda x, i, n: np.linalg.cholesky(regular(x) @ regular(x).T),
        eigh=lambda x, i, n: eigh(x, i),
        svd=lambda x, i, n: np.linalg.svd(regular(x), compute_uv=False),
        qr=lambda x, i, n: np.linalg.qr(regular(x))[i[0][0]] ** 2,
        sum_of=lambda *a: np.stack(a[:-2]).sum(),
        mean_of=lambda *a: np.stack(a[:-2]).mean(),
        norm_of=lambda *a: norm(np.stack(a[:-2])),
        log_sum_exp_of=lambda *a: special.logsumexp(np.stack(a[:-2])),
        dot_of=lambda *a: dot_of(a[:-2]),
        softmax_of=lambda *a: nn.softmax(np.stack(a[:-2])),
        stack_vars=lambda *a: np.stack(a[:-2]),
        mul_add=lambda x, y, z, i, n: x * y + z,
    )

    def gradients(program, single=False, seed=None, by_rule=None, order=1, delta=DELTA):
        dtype = np.float32 if single else np.float64
        generator = numpy.random.default_rng(seed)

        def perturb(x):
            if seed is None:
                return x
            return x * (1 + delta * generator.uniform(-1, 1, x.shape))

        inputs = [numpy.array(x["data"], dtype=dtype).reshape(x["shape"]) for x in program["inputs"]]
        fixed = [x["constant"] for x in program["inputs"]]
        free = [np.asarray(x) for x, c in zip(inputs, fixed) if not c]
        state = generator.bit_generator.state

        def value(free):
            generator.bit_generator.state = state
            rest = iter(free)
            pool = run(lib, program, [np.asarray(x) if c else next(rest) for x, c in zip(inputs, fixed)], perturb, None, seed is None)
            sums = [perturb(x).sum() for x in pool]
            total = np.zeros((), dtype)
            for x, w in zip(sums, program["weights"]):
                if w:
                    total = total + perturb(x * w)
            return total, ([list(x.shape) for x in pool], [x.astype(dtype) for x in sums])

        of = jax.value_and_grad(value, has_aux=True)
        (total, (shapes, sums)), first = of(free)
        tolist = lambda x: [float(y) for y in numpy.asarray(x).reshape(-1)]
        result = dict(shapes=shapes, sums=[float(x) for x in sums], value=float(total), gradient=[tolist(d) for d in first])
        if order == 2:
            k, v = 0, []
            for x in free:
                v.append(np.array([direction(k + j) for j in range(x.size)], dtype=dtype).reshape(x.shape))
                k += x.size
            second = jax.jvp(lambda free: jax.grad(value, has_aux=True)(free)[0], (free,), (v,))[1]
            result["hvp"] = [tolist(d) for d in second]
        return result

    lib.gradients = gradients
    lib.refuses = ()
    return lib


def run(lib, program, inputs, perturb, by_rule, exact):
    """All values of a program; `exact` if no errors are made on purpose."""
    pool = list(inputs)
    lib.perturb = perturb
    lib.exact = exact
    functions = dict(lib.elementwise, **(lib.limits if by_rule is not None else {}))

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


def flat(x):
    return [y for row in x for y in row] if x and isinstance(x[0], list) else list(x)


def equal(a, b, eps):
    # Subnormal numbers have no relative accuracy.
    tiny = 1e-37 if eps > 1e-10 else 1e-300
    return a == b or (a != a and b != b) or abs(a - b) <= 32 * eps * abs(b) + tiny < math.inf


class Comparison:
    def __init__(self, lib):
        self.lib = lib
        self.counts = Counter()
        self.rules = Counter()
        self.differences = []
        self.suspects = Counter()
        self.worst = 0.0

    def mismatches(self, program, result, keys, eps):
        """The numbers that differ, as (key, place, ours, theirs)."""
        found = []
        for key in keys:
            ours = program[key] if isinstance(program[key], list) else [program[key]]
            theirs = result[key] if isinstance(result[key], list) else [result[key]]
            found += [
                (key, k, a, b) for k, (a, b) in enumerate(zip(flat(ours), flat(theirs), strict=True)) if not equal(a, b, eps)
            ]
        return found

    def beyond_rounding(self, program, result, found, order, eps):
        """Of these, those that no rounding explains; and whether one has no digits to compare."""
        if not found:
            return [], False
        lib = self.lib
        # A difference between finite numbers only: the rest is not a matter of rounding.
        finite = [m for m in found if math.isfinite(m[2]) and math.isfinite(m[3])]
        rest = [m for m in found if m not in finite]
        if not finite:
            return rest, False
        of = lambda r, key, k: (flat(r[key]) if isinstance(r[key], list) else [r[key]])[k]
        moved = lambda runs, key, k: max(abs(of(r, key, k) - of(result, key, k)) for r in runs)
        runs = [lib.gradients(program, seed=seed, order=order) for seed in range(2)]
        roundings = lambda key: 256 if key == "hvp" else 64
        allowed = lambda key, k: roundings(key) * eps * moved(runs, key, k) / DELTA
        if not all(abs(a - b) <= allowed(key, k) / 4 for key, k, a, b in finite):
            runs += [lib.gradients(program, seed=seed, order=order) for seed in range(2, 8)]
        finer = None
        lost = False
        for key, k, ours, theirs in finite:
            if abs(ours - theirs) <= allowed(key, k):
                self.worst = max(self.worst, abs(ours - theirs) / (allowed(key, k) / roundings(key)))
                continue
            # Where a step is smooth, a thousandth of the error changes a thousandth.
            finer = finer or [lib.gradients(program, seed=seed, order=order, delta=DELTA / 1024) for seed in range(8)]
            change, small = moved(runs, key, k), moved(finer, key, k)
            if not math.isfinite(change) or small > change / 32 > 0 or change > 0.01 * abs(theirs):
                lost = True
            else:
                rest.append((key, k, ours, theirs))
        return rest, lost

    def compare(self, program):
        lib, counts = self.lib, self.counts
        single = program["float"] == "f32"
        eps = 2.0**-24 if single else 2.0**-53
        order = 2 if "hvp" in program else 1
        counts["programs"] += 1
        keys = ["sums", "value", "gradient"] + (["hvp"] if order == 2 else [])
        result = lib.gradients(program, order=order)
        if result["shapes"] != program["shapes"]:
            self.differences.append((program, [("shapes", 0, program["shapes"], result["shapes"])]))
            return
        found = self.mismatches(program, result, keys, eps)
        rest, lost = self.beyond_rounding(program, result, found, order, eps)
        if rest and single:
            # Overflow and underflow are those of single precision.
            again = lib.gradients(program, single=True)
            rest = self.still(rest, self.mismatches(program, again, keys, eps))
        rules = Counter()
        special = program["raw"] or not all(math.isfinite(x) for x in result["sums"])
        if order == 2 and rest:
            # Double backward passes of PyTorch cancel, as that of log_ndtr, x + h(x) in the tail.
            size = max((abs(x) for x in flat(result["hvp"])), default=0.0)
            large = [m for m in rest if m[0] != "hvp" or not abs(m[2] - m[3]) <= 1e-11 * size]
            kinks = [m for m in large if m[0] == "hvp" and m[3] != m[3] and m[2] == m[2]]
            if kinks and len(kinks) == len(large):
                self.rules["lengths at the origin"] += 1
                counts["agree by a rule"] += 1
                return
            if rest and not large:
                counts["second order within 1e-11 of the largest entry"] += 1
                return
            rest = large
        if rest and special and order == 2 and all(m[0] == "hvp" for m in rest):
            counts["at special points: second order not compared"] += 1
            rest = []
        if rest and special and lib.by_rule:
            again = lib.gradients(program, by_rule=rules, single=single)
            left = self.still(rest, self.mismatches(program, again, keys[:3], eps))
            rest, lost = self.beyond_rounding(program, again, left, 1, eps)
            result = again
        if rest and special:
            rest = self.without_limits(program, result, rest, rules, single)
        if rest:
            self.differences.append((program, rest))
            first = min((m[1] for m in rest if m[0] == "sums"), default=None)
            names = [x["op"] for x in program["steps"]]
            self.suspects[names[first - len(program["inputs"])] if first is not None else "gradients"] += 1
            return
        rules = +rules
        self.rules.update(list(rules))
        counts["agree by a rule" if rules else "no digits to compare, or at a kink" if lost else "agree"] += 1

    @staticmethod
    def without_limits(program, result, rest, rules, single):
        """Without numbers that the other side does not have, of operations whose rule cannot be put in force here."""
        inputs, steps = program["inputs"], program["steps"]
        largest = 1e15 if single else 1e150
        extreme = any(not abs(x) < largest for x in flat(result["sums"]) + [y for x in inputs for y in x["data"]])
        differing = [m[1] for m in rest if m[0] == "sums"]
        if differing:
            first = min(m for m in rest if m[0] == "sums")
            name = steps[first[1] - len(inputs)]["op"] if first[1] >= len(inputs) else "sum"
            if name in LIMITS and (extreme or all(m[3] != m[3] for m in rest if m[0] == "sums")):
                rules["values beside infinity"] += 1
                return []
            if extreme and not math.isfinite(first[2]) and not math.isfinite(first[3]):
                rules["overflow within a sum"] += 1
                return []
        nan = [k for k, x in enumerate(result["sums"]) if x != x]
        # The sums of both are NaN if they differ in an element beside a NaN.
        if differing and any(s["op"] in LIMITS and k + len(inputs) in nan for k, s in enumerate(steps[: min(differing) - len(inputs)])):
            rules["values beside infinity"] += 1
            return []
        if any(step["op"] == "polygamma" and len(inputs) + k in differing + nan for k, step in enumerate(steps)):
            rules["poles of polygamma"] += 1
            return []
        for k, step in enumerate(steps):
            if step["op"] == "copysign" and step["on"][1] in nan:
                rules["sign of a NaN"] += 1
                return []
        # An infinite or huge value, or an infinite partial, which PyTorch multiplies by 0.
        may_be = extreme or math.isfinite(result["value"])
        left = [m for m in rest if not (may_be and m[0] != "sums" and m[3] != m[3] and m[2] == m[2])]
        rules["NaN beside infinity"] += len(rest) - len(left)
        return left

    @staticmethod
    def still(rest, mismatches):
        return [m for m in mismatches if any(m[:2] == r[:2] for r in rest)]


def main():
    which, *files = sys.argv[1:] or ["torch"]
    lib = dict(torch=torch_library, jax=jax_library)[which]()
    lib.elementwise["div4"] = lambda x: x / 4
    lib.elementwise["affine_inside"] = lambda x, low, high: x * (high - low) + low
    comparison = Comparison(lib)
    start = time.monotonic()
    path = files[0] if files else Path(__file__).with_name("programs.json")
    lines = sys.stdin if path == "-" else open(path)
    operations = Counter()
    for line in lines:
        program = json.loads(line)
        try:
            comparison.compare(program)
        except lib.refuses:
            comparison.counts["refused by the other side"] += 1
        except Exception as error:
            comparison.differences.append((program, [("error", 0, repr(error)[:300], "")]))
        operations.update(step["op"] for step in program["steps"])
    if comparison.differences:
        print("programs that differ:", *(program["seed"] for program, _ in comparison.differences))
    for program, rest in comparison.differences[:40]:
        names = [step["op"] for step in program["steps"]]
        print(f"program {program['seed']} {program['float']}{' raw' if program['raw'] else ''}: {' '.join(names)}")
        for key, k, ours, theirs in rest[:3]:
            print(f"    {key} {k}: {ours!r} here, {theirs!r} by {which}")
    for name, count in sorted(comparison.counts.items()):
        print(f"{name}: {count}")
    for name, count in comparison.rules.items():
        print(f"by the rule '{name}' ({RULES[name]}): {count}")
    print(f"differences: {len(comparison.differences)}", *(f"{name}: {count}" for name, count in comparison.suspects.most_common()))
    steps, seconds = sum(operations.values()), time.monotonic() - start
    print(f"{len(operations)} operations, {steps} steps, largest error {comparison.worst:.0f} roundoffs times condition, {seconds:.0f} s")
    sys.exit(1 if comparison.differences else 0)


if __name__ == "__main__":
    main()
