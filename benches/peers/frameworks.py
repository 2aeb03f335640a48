"""Times the training steps T1-T8 with JAX and torch on the data and weights that `nets --data` wrote.

    python frameworks.py DIR [net ...]

Prints the Markdown table of `nets`: medians over interleaved rounds, one thread. A way of training
whose loss after some steps differs from ours gets no time. See README.md.
"""

import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

# Read when the libraries are imported.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # so is the size of XLA's thread pool

import jax
import jax.numpy as jnp
import numpy as np
import torch

torch.set_num_threads(1)

SAMPLE = 0.002  # seconds that one turn aims to last
ROUNDS = 51


class Problem:
    """A net, its batch and its initial weights."""

    def __init__(self, directory, net, rates):
        self.net, self.rates = net, rates
        self.layers = list(zip(net["sizes"], net["sizes"][1:]))
        numbers = np.fromfile(directory / f"{net['name']}.f32", dtype="<f4")
        batch, inputs, outputs = net["batch"], net["sizes"][0], net["sizes"][-1]
        lengths = [batch * inputs, batch * outputs, batch]
        x, y, labels, weights = np.split(numbers, np.cumsum(lengths))
        self.x, self.y = x.reshape(batch, inputs), y.reshape(batch, outputs)
        self.labels = labels.astype(np.int64)
        shapes = [shape for n, m in self.layers for shape in ((n, m), (m,))]
        parts = np.split(weights, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
        self.weights = [part.reshape(shape) for part, shape in zip(parts, shapes)]
        self.adam = net["optimizer"] == "Adam"
        self.mse = net["loss"] == "Mse"
        self.tanh = net["activation"] == "Tanh"


class Jax:
    """Weights and moments as one pytree that a pure step maps to the next."""

    def __init__(self, problem):
        self.problem = problem
        self.x, self.y = jnp.asarray(problem.x), jnp.asarray(problem.y)
        self.labels = jnp.asarray(problem.labels.astype(np.int32))
        self.loss_of = jax.jit(self.loss)
        self.reset()

    def reset(self):
        weights = [jnp.asarray(w) for w in self.problem.weights]
        zeros = [jnp.zeros_like(w) for w in weights] if self.problem.adam else []
        moments = [jnp.zeros_like(w) for w in weights] if self.problem.adam else []
        self.state = (weights, zeros, moments, jnp.float32(0.0))

    def loss(self, weights, x, y, labels):
        h = x
        for i in range(0, len(weights), 2):
            h = h @ weights[i] + weights[i + 1]
            if i + 2 < len(weights):
                h = jnp.tanh(h) if self.problem.tanh else jax.nn.relu(h)
        if self.problem.mse:
            return jnp.mean((h - y) ** 2)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(h), labels[:, None], axis=1)
        return -jnp.mean(chosen)

    def update(self, state, x, y, labels):
        weights, first, second, t = state
        gradient = jax.grad(self.loss)(weights, x, y, labels)
        rates = self.problem.rates
        if not self.problem.adam:
            return [w - rates["sgd_rate"] * g for w, g in zip(weights, gradient)], first, second, t
        beta1, beta2, t = rates["beta1"], rates["beta2"], t + 1
        first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, gradient)]
        second = [beta2 * v + (1 - beta2) * g * g for v, g in zip(second, gradient)]
        rate, scale = rates["adam_rate"] / (1 - beta1**t), 1 / (1 - beta2**t)
        move = lambda w, m, v: w - rate * m / (jnp.sqrt(v * scale) + rates["epsilon"])
        return [move(*each) for each in zip(weights, first, second)], first, second, t

    def current_loss(self):
        return float(self.loss_of(self.state[0], self.x, self.y, self.labels))


class JaxStep(Jax):
    """A call of a compiled step for each step; buffers are donated."""

    name = "JAX jit per step"

    def __init__(self, problem):
        super().__init__(problem)
        self.step = jax.jit(self.update, donate_argnums=0)

    def steps(self, count):
        for _ in range(count):
            self.state = self.step(self.state, self.x, self.y, self.labels)
        jax.block_until_ready(self.state)


class JaxLoop(Jax):
    """All steps of a turn in one compiled loop."""

    name = "JAX jit, loop inside XLA"

    def __init__(self, problem):
        super().__init__(problem)

        def loop(state, x, y, labels, count):
            return jax.lax.fori_loop(0, count, lambda _, s: self.update(s, x, y, labels), state)

        # The count is no constant: one compilation for all.
        self.loop = jax.jit(loop, donate_argnums=0)

    def steps(self, count):
        self.state = self.loop(self.state, self.x, self.y, self.labels, count)
        jax.block_until_ready(self.state)


class TorchEager:
    name = "torch eager"

    def __init__(self, problem):
        self.problem = problem
        self.x, self.y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
        self.labels = torch.from_numpy(problem.labels)
        self.weights = [torch.tensor(w, requires_grad=True) for w in problem.weights]
        self.reset()

    def reset(self):
        with torch.no_grad():
            for weight, initial in zip(self.weights, self.problem.weights):
                weight.copy_(torch.from_numpy(initial))
        rates = self.problem.rates
        if self.problem.adam:
            betas = (rates["beta1"], rates["beta2"])
            self.optimizer = torch.optim.Adam(self.weights, rates["adam_rate"], betas, rates["epsilon"])
        else:
            self.optimizer = torch.optim.SGD(self.weights, rates["sgd_rate"])

    def loss(self):
        h, weights = self.x, self.weights
        for i in range(0, len(weights), 2):
            h = torch.addmm(weights[i + 1], h, weights[i])
            if i + 2 < len(weights):
                h = torch.tanh(h) if self.problem.tanh else torch.relu(h)
        if self.problem.mse:
            return torch.nn.functional.mse_loss(h, self.y)
        return torch.nn.functional.cross_entropy(h, self.labels)

    def step(self):
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def steps(self, count):
        for _ in range(count):
            self.step()

    def current_loss(self):
        return float(self.loss().detach())


class TorchCompiled(TorchEager):
    """Forward, backward and update in one compiled function."""

    name = "torch.compile, whole step"

    def reset(self):
        with torch.no_grad():
            for weight, initial in zip(self.weights, self.problem.weights):
                weight.copy_(torch.from_numpy(initial))
        zeros = [torch.zeros_like(w) for w in self.weights] if self.problem.adam else []
        self.first, self.second = zeros, [z.clone() for z in zeros]
        self.t = torch.zeros(())
        if not hasattr(self, "compiled"):
            self.compiled = torch.compile(self.update, fullgraph=True)

    def update(self, x, y, labels, weights, first, second, t):
        problem, rates = self.problem, self.problem.rates

        def loss(weights):
            h = x
            for i in range(0, len(weights), 2):
                h = torch.addmm(weights[i + 1], h, weights[i])
                if i + 2 < len(weights):
                    h = torch.tanh(h) if problem.tanh else torch.relu(h)
            if problem.mse:
                return torch.nn.functional.mse_loss(h, y)
            return torch.nn.functional.cross_entropy(h, labels)

        gradient = torch.func.grad(loss)(weights)
        if not problem.adam:
            for w, g in zip(weights, gradient):
                w.sub_(rates["sgd_rate"] * g)
            return
        beta1, beta2 = rates["beta1"], rates["beta2"]
        t.add_(1)
        rate, scale = rates["adam_rate"] / (1 - beta1**t), 1 / (1 - beta2**t)
        for w, g, m, v in zip(weights, gradient, first, second):
            m.mul_(beta1).add_((1 - beta1) * g)
            v.mul_(beta2).add_((1 - beta2) * g * g)
            w.sub_(rate * m / (torch.sqrt(v * scale) + rates["epsilon"]))

    def steps(self, count):
        weights = [w.detach() for w in self.weights]
        with torch.no_grad():
            for _ in range(count):
                self.compiled(self.x, self.y, self.labels, weights, self.first, self.second, self.t)


WAYS = [JaxLoop, TorchCompiled, JaxStep, TorchEager]


def is_right(model, net, steps):
    """Whether the losses at the start and after some steps are ours."""
    before = model.current_loss()
    model.steps(steps)
    losses = [before, model.current_loss()]
    model.reset()
    if all(abs(a - b) <= 1e-3 * abs(b) for a, b in zip(losses, net["losses"])):
        return True
    print(f"{model.name}, {net['name']}: losses {losses}, not {net['losses']}", file=sys.stderr)
    return False


def timed(model, count):
    """Seconds a step, from the initial weights."""
    model.reset()
    model.steps(1)
    start = time.perf_counter()
    model.steps(count)
    return (time.perf_counter() - start) / count


def measure(problem, net, steps):
    """The median microseconds of a step for each way, None where it is wrong."""
    models = [way(problem) for way in WAYS]
    right = [model for model in models if is_right(model, net, steps)]
    counts = {}
    for model in right:
        counts[model.name] = math.ceil(SAMPLE / min(timed(model, 10) for _ in range(5)))
    samples = {model.name: [] for model in right}
    for _ in range(ROUNDS):
        for model in right:
            samples[model.name].append(timed(model, counts[model.name]))
    return [statistics.median(samples[m.name]) * 1e6 if m in right else None for m in models]


def main():
    directory, wanted = Path(sys.argv[1]), sys.argv[2:]
    problems = json.loads((directory / "nets.json").read_text())
    print(f"Microseconds for one training step; JAX {jax.__version__}, torch {torch.__version__}.\n")
    print("| net |" + "".join(f" {way.name} |" for way in WAYS))
    print("|---|" + "---:|" * len(WAYS))
    for net in problems["nets"]:
        if wanted and net["name"] not in wanted:
            continue
        times = measure(Problem(directory, net, problems), net, problems["steps"])
        cells = ("wrong" if t is None else f"{t:.3g}" if t < 100 else f"{t:,.0f}" for t in times)
        print(f"| {net['name']}: {net['about']} |" + "".join(f" {cell} |" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
