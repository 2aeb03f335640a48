"""Values and derivatives of programs in PyTorch."""

import sys

import torch as t
from by_torch.conventions import LIMITS, OPERATIONS_BY_RULE, ByRule
from by_torch.functions import ELEMENTWISE
from by_torch.operations import OPERATIONS
from steps import DELTA, direction, run

t.set_num_threads(1)

name = "torch"
elementwise = ELEMENTWISE
ops = OPERATIONS
limits = LIMITS
ops_by_rule = OPERATIONS_BY_RULE
more_limits = []
# Of NaN and infinity, also where these come from errors made on purpose.
refuses = (t.linalg.LinAlgError,)


def by_rule(name, function, used, operands):
    return ByRule.apply(name, function, used, *operands)


def array(data, shape, dtype):
    return t.tensor(data, dtype=dtype).reshape(shape)


def noise(x, generator, delta):
    return x * (1 + delta * (2 * t.rand(x.shape, generator=generator, dtype=x.dtype) - 1))


def gradients(program, single=False, seed=None, by_rule=None, order=1, delta=DELTA):
    dtype = t.float32 if single else t.float64
    generator = None if seed is None else t.Generator().manual_seed(seed)
    perturb = (lambda x: x) if seed is None else (lambda x: noise(x, generator, delta))
    inputs = [array(x["data"], x["shape"], dtype).requires_grad_(not x["constant"]) for x in program["inputs"]]
    pool = run(sys.modules[__name__], program, inputs, perturb, by_rule, seed is None and order == 1)
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
