"""Operations on arrays in JAX."""

import math

import jax
import jax.numpy as np
import numpy
from jax import nn
from jax.scipy import special
from jax.scipy.linalg import solve_triangular
from steps import FORMULAS, errors, numbers_of, pattern, windows


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


def bce(x, q):
    """Without the cancellation of softplus(x) and q x where x is large."""
    return np.where(x > 0, (1 - q) * x, -q * x) + nn.softplus(-np.abs(x))


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
    losses = (q * (np.log(q) - errors.perturb(nn.log_softmax(x, 1)))).sum(1)
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


OPERATIONS = dict(
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
    einsum=lambda *a: np.einsum(FORMULAS[a[-2][0][0]], *a[:-2]),
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
    bce=lambda x, y, i, n: reduced(bce(x, nn.sigmoid(y)), i[0][0]),
    cross_entropy=lambda x, i, n: cross_entropy(x, i),
    cross_entropy_of=lambda x, y, i, n: [np.mean, np.sum][i[0][0]](-(nn.softmax(y, 1) * nn.log_softmax(x, 1)).sum(1)),
    kl=lambda x, y, i, n: kl(x, errors.perturb(nn.softmax(y, 1)), i[0][0]),
    inv=lambda x, i, n: np.linalg.inv(regular(x)),
    det=lambda x, i, n: np.linalg.det(regular(x)),
    det_raw=lambda x, i, n: np.linalg.det(x),
    ln_det=lambda x, i, n: np.linalg.slogdet(regular(x))[1],
    solve=lambda x, y, i, n: np.linalg.solve(regular(x), y),
    solve_triangular=lambda x, y, i, n: solve_triangular(regular(x), y, lower=i[0][0] == 0, unit_diagonal=i[1][0] == 1),
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
