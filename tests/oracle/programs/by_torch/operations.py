"""Operations on arrays in PyTorch."""

import math

import torch as t
import torch.nn.functional as f
from steps import FORMULAS, errors, numbers_of, pattern, windows


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


def bce(x, q):
    """In PyTorch's own, x(1 - q) and -x cancel where x < 0 is large."""
    return t.where(x > 0, (1 - q) * x, -q * x) + t.logaddexp(-x.abs(), t.zeros_like(x))


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


# By parts while errors are made on purpose: parts cancel in the pullback, and the whole would hide their errors.
def var(x, axis, ddof):
    if errors.exact:
        return x.var(axis, correction=ddof)
    count = x.numel() if axis is None else x.shape[axis]
    centred = errors.perturb(x - errors.perturb(x.mean() if axis is None else x.mean(axis, keepdim=True)))
    return errors.perturb((centred * centred).sum(axis)) / (count - ddof)


def std(x, axis, ddof):
    if errors.exact:
        return x.std(axis, correction=ddof)
    y = var(x, axis, ddof)
    return t.where(y == 0, t.zeros_like(y), t.sqrt(t.where(y == 0, t.ones_like(y), y)))


def normalized(x, eps, centred):
    if errors.exact:
        return f.layer_norm(x, x.shape[-1:], eps=eps) if centred else f.rms_norm(x, x.shape[-1:], eps=eps)
    x = errors.perturb(x - errors.perturb(x.mean(-1, keepdim=True))) if centred else x
    scale = errors.perturb(t.rsqrt(errors.perturb((x * x).mean(-1, keepdim=True)) + eps))
    return errors.perturb(x) * errors.perturb(scale)


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


OPERATIONS = dict(
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
    einsum=lambda *a: t.einsum(FORMULAS[a[-2][0][0]], *a[:-2]),
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
    upsample1d=lambda x, i, n: (
        f.interpolate(x, i[0][0], mode="linear", align_corners=False) if i[1][0] else f.interpolate(x, i[0][0], mode="nearest")
    ),
    mse=lambda x, y, i, n: reduced(f.mse_loss(x, y, reduction="none"), i[0][0]),
    mae=lambda x, y, i, n: reduced(f.l1_loss(x, y, reduction="none"), i[0][0]),
    huber=lambda x, y, i, n: reduced(f.huber_loss(x, y, reduction="none", delta=n[0]), i[0][0]),
    bce=lambda x, y, i, n: reduced(bce(x, t.sigmoid(y)), i[0][0]),
    cross_entropy=lambda x, i, n: cross_entropy(x, i),
    cross_entropy_of=lambda x, y, i, n: f.cross_entropy(x, t.softmax(y, 1), reduction=["mean", "sum"][i[0][0]]),
    # With errors of its two terms, which cancel where the loss is near 0.
    kl=lambda x, y, i, n: f.kl_div(
        errors.perturb(t.log_softmax(x, 1)), errors.perturb(t.softmax(y, 1)), reduction=["batchmean", "sum"][i[0][0]]
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
