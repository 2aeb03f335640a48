"""Times the training steps of the examples `digits_cnn` and `names_gpt` beside torch and JAX.

    python layers.py [net ...]

Prints one Markdown table: the least times of interleaved rounds, everything on one processor. Loss, gradient and ten
steps of a library must be those of the binary `layers`, without dropout; else it gets no time. See README.md.
"""

import json
import math
import subprocess
import sys

# First: it sets one thread for all libraries.
from frameworks import TARGET, Table, flat, moved, times, turn

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from jax import lax
from torch import nn

ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
SIZE, HEADS, EPSILON = 48, 4, 1e-5
BATCH = ("images", "labels", "tokens", "at", "next")


class Problem:
    """A net, its batch, its initial weights, and how the binary `layers` trains it."""

    def __init__(self, directory, net):
        self.net, shapes = net, net["arrays"]
        numbers = np.fromfile(directory / f"{net['name']}.f32", dtype="<f4")
        parts = np.split(numbers, np.cumsum([math.prod(shape) for _, shape in shapes])[:-1])
        arrays = {name: part.reshape(shape) for (name, shape), part in zip(shapes, parts)}
        self.batch = {name: arrays.pop(name) for name in BATCH if name in arrays}
        self.batch = {name: x if name == "images" else x.astype(np.int64) for name, x in self.batch.items()}
        self.loss, self.gradient, self.trained = (arrays.pop(name) for name in ("loss", "gradient", "trained"))
        self.weights = arrays
        self.rates = ADAM | {"adam_rate": net["rate"]}


class TorchCnn(nn.Sequential):
    def __init__(self, dropout):
        block = lambda n, m: (nn.Conv2d(n, m, 3, padding=1, bias=False), nn.BatchNorm2d(m), nn.ReLU())
        pool = lambda: nn.MaxPool2d(2)
        layers = *block(1, 16), *block(16, 32), pool(), *block(32, 64), pool(), nn.Flatten(), nn.Dropout(dropout)
        super().__init__(*layers, nn.Linear(256, 10))

    def loss(self, images, labels):
        return F.cross_entropy(self(images), labels)


class TorchGpt(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.letters, self.positions = nn.Embedding(27, SIZE), nn.Embedding(12, SIZE)
        self.norm1, self.maps, self.out_proj = nn.LayerNorm(SIZE), nn.Linear(SIZE, 3 * SIZE), nn.Linear(SIZE, SIZE)
        self.norm2, self.wide, self.narrow = nn.LayerNorm(SIZE), nn.Linear(SIZE, 4 * SIZE), nn.Linear(4 * SIZE, SIZE)
        self.norm3, self.out = nn.LayerNorm(SIZE), nn.Linear(SIZE, 27)
        self.dropout = nn.Dropout(dropout)

    def attention(self, x):
        heads = self.maps(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*heads, is_causal=True)
        return self.out_proj(seen.transpose(1, 2).flatten(2))

    def loss(self, tokens, at, next):
        x = self.dropout(self.letters(tokens) + self.positions.weight)
        x = x + self.dropout(self.attention(self.norm1(x)))
        x = x + self.dropout(self.narrow(F.gelu(self.wide(self.norm2(x)), approximate="tanh")))
        return F.cross_entropy(self.out(self.norm3(x.flatten(0, 1).index_select(0, at))), next)


class Torch:
    """Backward on the recorded graph, then `AdamW(fused=True)`."""

    name = "torch eager"

    def __init__(self, problem, dropout):
        self.problem = problem
        self.model = (TorchCnn if "cnn" in problem.net["name"] else TorchGpt)(dropout)
        self.data = [torch.from_numpy(x) for x in problem.batch.values()]
        # The parameters stand in the order of the weights; a linear map has the transposed matrix.
        maps = {id(module.weight) for module in self.model.modules() if isinstance(module, nn.Linear)}
        self.transposed = [id(w) in maps for w in self.model.parameters()]
        self.reset()

    def reset(self):
        with torch.no_grad():
            for w, x, transposed in zip(self.model.parameters(), self.problem.weights.values(), self.transposed):
                w.copy_(torch.from_numpy(x.T if transposed else x))
        net = self.problem.net
        self.optimizer = torch.optim.AdamW(self.model.parameters(), net["rate"], weight_decay=net["decay"], fused=True)

    def backward(self):
        self.optimizer.zero_grad()
        loss = self.model.loss(*self.data)
        loss.backward()
        return loss

    def steps(self, count):
        for _ in range(count):
            self.backward()
            if self.problem.net["clip"]:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.problem.net["clip"])
            self.optimizer.step()

    def gradient(self):
        loss = self.backward().item()
        return loss, self.ordered(w.grad for w in self.model.parameters())

    def current(self):
        return self.ordered(w.detach() for w in self.model.parameters())

    def ordered(self, arrays):
        return flat(x.T if transposed else x for x, transposed in zip(arrays, self.transposed))


def jax_dropout(x, probability, key):
    if not probability:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - probability, x.shape), x / (1 - probability), 0)


def jax_cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


def jax_cnn(w, running, batch, probability, key):
    """The loss, and the running statistics of the norms. Channels stand last, as in flax."""
    x, statistics = batch["images"].transpose(0, 2, 3, 1), {}
    for i in (1, 2, 3):
        x = lax.conv_general_dilated(x, w[f"conv{i}.weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "OIHW", "NHWC"))
        mean, variance, n = x.mean((0, 1, 2)), x.var((0, 1, 2)), x.size // x.shape[-1]
        statistics[i] = [0.9 * old + 0.1 * new for old, new in zip(running[i], (mean, variance * n / (n - 1)))]
        x = (x - mean) * lax.rsqrt(variance + EPSILON) * w[f"norm{i}.weight"] + w[f"norm{i}.bias"]
        x = jax.nn.relu(x)
        if i > 1:
            n, height, width, channels = x.shape  # not `reduce_window`, whose derivative is slow
            x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
    x = jax_dropout(x.transpose(0, 3, 1, 2).reshape(len(x), -1), probability, key)
    return jax_cross_entropy(x @ w["out.weight"] + w["out.bias"], batch["labels"]), statistics


def jax_gpt(w, running, batch, probability, key):
    """The loss; there are no running statistics."""
    dropout = lambda x, i: jax_dropout(x, probability, jax.random.fold_in(key, i))
    affine = lambda name, x: x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    def norm(name, x):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + EPSILON) * w[f"{name}.weight"] + w[f"{name}.bias"]

    tokens = batch["tokens"]
    x = dropout(w["letters.weight"][tokens] + w["positions.weight"], 0)
    maps = norm("norm1", x) @ w["attention.in_proj_weight"] + w["attention.in_proj_bias"]
    queries, keys, values = jnp.moveaxis(maps.reshape(*tokens.shape, 3, HEADS, -1), 2, 0)
    seen = jax.nn.dot_product_attention(queries, keys, values, is_causal=True)
    x = x + dropout(affine("attention.out_proj", seen.reshape(x.shape)), 1)
    x = x + dropout(affine("narrow", jax.nn.gelu(affine("wide", norm("norm2", x)), approximate=True)), 2)
    rows = x.reshape(-1, SIZE)[batch["at"]]
    return jax_cross_entropy(affine("out", norm("norm3", rows)), batch["next"]), running


class Jax:
    """A pure step maps weights, moments, running statistics, a key and the number of the step to the next."""

    def __init__(self, problem, dropout):
        self.problem, self.dropout = problem, dropout
        self.net = jax_cnn if "cnn" in problem.net["name"] else jax_gpt
        self.data = {name: jnp.asarray(x if name == "images" else x.astype(np.int32)) for name, x in problem.batch.items()}
        self.reset()

    def reset(self):
        weights = {name: jnp.array(x) for name, x in self.problem.weights.items()}
        zeros = lambda: {name: jnp.zeros_like(x) for name, x in weights.items()}
        running = {i: [jnp.zeros(n), jnp.ones(n)] for i, n in ((1, 16), (2, 32), (3, 64)) if "images" in self.data}
        self.state = weights, zeros(), zeros(), running, jax.random.key(0), jnp.float32(0)

    def value_and_grad(self, weights, running, data, key):
        return jax.value_and_grad(self.net, has_aux=True)(weights, running, data, self.dropout, key)

    def update(self, state, data):
        weights, first, second, running, key, t = state
        key, now = jax.random.split(key)
        (_, running), gradient = self.value_and_grad(weights, running, data, now)
        t, net = t + 1, self.problem.net
        if net["clip"]:
            norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in gradient.values()))
            gradient = {name: g * jnp.minimum(1, net["clip"] / norm) for name, g in gradient.items()}
        keep = 1 - net["rate"] * net["decay"]
        each = {
            name: moved(self.problem.rates, t, keep * w, first[name], second[name], gradient[name], jnp.sqrt)
            for name, w in weights.items()
        }
        return *({name: one[i] for name, one in each.items()} for i in range(3)), running, key, t

    def gradient(self):
        weights, _, _, running, key, _ = self.state
        (loss, _), gradient = jax.jit(self.value_and_grad)(weights, running, self.data, key)
        return float(loss), flat(gradient[name] for name in self.problem.weights)

    def current(self):
        return flat(self.state[0][name] for name in self.problem.weights)


class JaxStep(Jax):
    """A call of a compiled step for each step; buffers are donated."""

    name = "JAX jit per step"

    def __init__(self, problem, dropout):
        super().__init__(problem, dropout)
        self.step = jax.jit(self.update, donate_argnums=0)

    def steps(self, count):
        for _ in range(count):
            self.state = self.step(self.state, self.data)
        jax.block_until_ready(self.state)


class JaxLoop(Jax):
    """All steps of a turn in one compiled loop."""

    name = "JAX jit, loop inside XLA"

    def __init__(self, problem, dropout):
        super().__init__(problem, dropout)
        loop = lambda state, data, count: lax.fori_loop(0, count, lambda _, state: self.update(state, data), state)
        self.loop = jax.jit(loop, donate_argnums=0)

    def steps(self, count):
        self.state = self.loop(self.state, self.data, count)
        jax.block_until_ready(self.state)


WAYS = [JaxLoop, JaxStep, Torch]


def is_right(way, problem, steps):
    """True if loss and gradient, and the path of the weights, are those of the binary `layers`."""
    model, start = way(problem, 0.0), flat(problem.weights.values())
    distance = lambda ours, right: np.linalg.norm(ours - right) / np.linalg.norm(right)
    loss, gradient = model.gradient()
    errors = [distance(loss, problem.loss), distance(gradient, problem.gradient)]
    model.reset()
    model.steps(steps)
    errors.append(distance(model.current() - start, problem.trained - start))
    if all(error < bound for error, bound in zip(errors, (1e-5, 1e-4, 1e-2))):
        return True
    what = ", ".join(f"{error:.1e}" for error in errors)
    print(f"{way.name}, {problem.net['name']}: loss, gradient and path are off by {what} of their lengths", file=sys.stderr)
    return False


class Layers:
    """The binary `layers` as a process that works on request only."""

    def __init__(self, directory):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([TARGET / "release/layers", directory], stdin=pipe, stdout=pipe, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the binary `layers` has ended")
        return line

    def ask(self, request):
        print(request, file=self.process.stdin, flush=True)
        return self.answer()


def main():
    directory, wanted = TARGET / "layers", sys.argv[1:]
    layers = Layers(directory)
    problems = json.loads((directory / "nets.json").read_text())
    print(f"Microseconds for one training step. JAX {jax.__version__}, torch {torch.__version__}.\n")
    table = Table(["wengert"] + [way.name for way in WAYS])
    for net in problems["nets"]:
        if wanted and net["name"] not in wanted:
            continue
        problem = Problem(directory, net)
        layers.ask(net["name"])
        turns = [("wengert", lambda count: int(layers.ask(count)) * 1e-9)]
        for way in WAYS:
            if is_right(way, problem, problems["steps"]):
                model = way(problem, net["dropout"])
                turns.append((way.name, lambda count, model=model: turn(model, count)))
        table.push(f"{net['name']}: {net['about']}", times(turns, min))
    table.print_ratios()


if __name__ == "__main__":
    main()
