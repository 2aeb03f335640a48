"""Elementwise functions in PyTorch."""

import math

import numpy
import torch as t
import torch.nn.functional as f


class Polygamma(t.autograd.Function):
    """By the zeta function of Hurwitz: PyTorch's own trigamma, the derivative of `digamma`, has 9 to 12 digits."""

    @staticmethod
    def forward(ctx, x, n):
        ctx.save_for_backward(x)
        ctx.n = n
        if n == 0:
            return t.digamma(x)
        # PyTorch's zeta underflows too early; far out the function is its first term. From below 0 zeta
        # walks up in steps of 1.
        zeta = t.where(x > 1e17, x**-n / n, t.special.zeta(n + 1.0, t.where(x < -1e8, math.nan, x)))
        return (-1) ** (n + 1) * math.factorial(n) * zeta

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


def normal_cdf(x):
    return t.erfc(-x / math.sqrt(2)) / 2


ELEMENTWISE = dict(
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
