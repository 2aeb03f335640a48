"""Times the training steps T1-T8 of JAX and torch in turn with those of the binary `nets`.

    python frameworks.py [net ...]

Prints one Markdown table: medians over interleaved rounds, everything on one processor. A way of
training whose gradient, or whose training, differs from a reference in float64 gets no time. See
README.md.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

# Read when the libraries are imported.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# The size of XLA's thread pool; the process of `nets` inherits it.
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
import torch

torch.set_num_threads(1)

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parent / "target"))
SAMPLE = 0.01  # seconds that a turn aims to last: the first steps of a turn find cold caches
BUDGET = 15.0  # seconds for the turns on a net
HAND = "hand-written"


class Problem:
    """A net, its batch and its initial weights."""

    def __init__(self, directory, net, rates):
        self.net, self.rates = net, rates
        numbers = np.fromfile(directory / f"{net['name']}.f32", dtype="<f4")
        batch, sizes = net["batch"], net["sizes"]
        lengths = [batch * sizes[0], batch * sizes[-1], batch]
        x, y, labels, weights = np.split(numbers, np.cumsum(lengths))
        self.x, self.y = x.reshape(batch, -1), y.reshape(batch, -1)
        self.labels = labels.astype(np.int64)
        shapes = [shape for n, m in zip(sizes, sizes[1:]) for shape in ((n, m), (m,))]
        parts = np.split(weights, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
        self.weights = [part.reshape(shape) for part, shape in zip(parts, shapes)]
        self.adam = net["optimizer"] == "Adam"
        self.mse = net["loss"] == "Mse"
        self.tanh = net["activation"] == "Tanh"


def moved(rates, t, w, m, v, g, sqrt):
    """A weight and its two moments after step t of Adam with the gradient g."""
    beta1, beta2 = rates["beta1"], rates["beta2"]
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    rate, scale = rates["adam_rate"] / (1 - beta1**t), 1 / (1 - beta2**t)
    return w - rate * m / (sqrt(v * scale) + rates["epsilon"]), m, v


class Reference:
    """In float64, the chain rule written out."""

    def __init__(self, problem):
        self.problem = problem
        self.weights = [w.astype(np.float64) for w in problem.weights]

    def gradient(self):
        problem, weights = self.problem, self.weights
        outputs = [problem.x.astype(np.float64)]
        for w, b in zip(weights[::2], weights[1::2]):
            h = outputs[-1] @ w + b
            outputs.append(np.tanh(h) if problem.tanh else np.maximum(h, 0))
        if problem.mse:
            d = 2 * (h - problem.y) / h.size
        else:
            d = np.exp(h - h.max(axis=1, keepdims=True))
            d /= d.sum(axis=1, keepdims=True)
            d[np.arange(len(d)), problem.labels] -= 1
            d /= len(d)
        gradient = []
        for w, x in zip(weights[-2::-2], outputs[-2::-1]):
            gradient[:0] = [x.T @ d, d.sum(axis=0)]
            d = (d @ w.T) * (1 - x * x if problem.tanh else x > 0)
        return gradient

    def steps(self, count):
        rates, zeros = self.problem.rates, [np.zeros_like(w) for w in self.weights]
        first, second = zeros, zeros
        for t in range(1, count + 1):
            gradient = self.gradient()
            if self.problem.adam:
                each = zip(self.weights, first, second, gradient)
                self.weights, first, second = zip(*(moved(rates, t, *one, np.sqrt) for one in each))
            else:
                self.weights = [w - rates["sgd_rate"] * g for w, g in zip(self.weights, gradient)]

    def current(self):
        return self.weights


class Jax:
    """Weights and moments as one pytree that a pure step maps to the next."""

    def __init__(self, problem):
        self.problem = problem
        self.data = jnp.asarray(problem.x), jnp.asarray(problem.y), jnp.asarray(problem.labels.astype(np.int32))
        self.reset()

    def reset(self):
        weights = [jnp.array(w) for w in self.problem.weights]
        zeros = lambda: [jnp.zeros_like(w) for w in weights] if self.problem.adam else []
        self.state = weights, zeros(), zeros(), jnp.float32(0)

    def loss(self, weights, x, y, labels):
        h = x
        for i in range(0, len(weights), 2):
            h = h @ weights[i] + weights[i + 1]
            if i + 2 < len(weights):
                h = jnp.tanh(h) if self.problem.tanh else jax.nn.relu(h)
        if self.problem.mse:
            return jnp.mean((h - y) ** 2)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(h), labels[:, None], axis=1))

    def update(self, state, data):
        weights, first, second, t = state
        gradient, rates = jax.grad(self.loss)(weights, *data), self.problem.rates
        if not self.problem.adam:
            return [w - rates["sgd_rate"] * g for w, g in zip(weights, gradient)], first, second, t
        t += 1
        each = [moved(rates, t, *one, jnp.sqrt) for one in zip(weights, first, second, gradient)]
        return *map(list, zip(*each)), t

    def gradient(self):
        return jax.jit(jax.grad(self.loss))(self.state[0], *self.data)

    def current(self):
        return self.state[0]


class JaxStep(Jax):
    """A call of a compiled step for each step; buffers are donated."""

    name = "JAX jit per step"

    def __init__(self, problem):
        super().__init__(problem)
        self.step = jax.jit(self.update, donate_argnums=0)

    def steps(self, count):
        for _ in range(count):
            self.state = self.step(self.state, self.data)
        jax.block_until_ready(self.state)


class JaxLoop(Jax):
    """All steps of a turn in one compiled loop."""

    name = "JAX jit, loop inside XLA"

    def __init__(self, problem):
        super().__init__(problem)

        def loop(state, data, count):
            return jax.lax.fori_loop(0, count, lambda _, state: self.update(state, data), state)

        # The count is no constant: one compilation for all.
        self.loop = jax.jit(loop, donate_argnums=0)

    def steps(self, count):
        self.state = self.loop(self.state, self.data, count)
        jax.block_until_ready(self.state)


class Torch:
    def __init__(self, problem):
        self.problem = problem
        self.data = [torch.from_numpy(array) for array in (problem.x, problem.y, problem.labels)]
        self.weights = [torch.tensor(w) for w in problem.weights]
        self.reset()

    def reset(self):
        with torch.no_grad():
            for weight, initial in zip(self.weights, self.problem.weights):
                weight.copy_(torch.from_numpy(initial))

    def loss(self, weights, x, y, labels):
        h = x
        for i in range(0, len(weights), 2):
            h = torch.addmm(weights[i + 1], h, weights[i])
            if i + 2 < len(weights):
                h = torch.tanh(h) if self.problem.tanh else torch.relu(h)
        if self.problem.mse:
            return torch.nn.functional.mse_loss(h, y)
        return torch.nn.functional.cross_entropy(h, labels)

    def current(self):
        return [w.detach().numpy().copy() for w in self.weights]


class TorchEager(Torch):
    """Backward on the recorded graph, then an optimiser of torch.optim, all weights in one call."""

    name = "torch eager"

    def reset(self):
        super().reset()
        for w in self.weights:
            w.requires_grad_()
        rates = self.problem.rates
        if self.problem.adam:
            betas = rates["beta1"], rates["beta2"]
            self.optimizer = torch.optim.Adam(self.weights, rates["adam_rate"], betas, rates["epsilon"], fused=True)
        else:
            self.optimizer = torch.optim.SGD(self.weights, rates["sgd_rate"], fused=True)

    def gradient(self):
        self.optimizer.zero_grad()
        self.loss(self.weights, *self.data).backward()
        return [w.grad.numpy().copy() for w in self.weights]

    def steps(self, count):
        for _ in range(count):
            self.optimizer.zero_grad()
            self.loss(self.weights, *self.data).backward()
            self.optimizer.step()


class TorchCompiled(Torch):
    """Forward, backward and update in one compiled function."""

    name = "torch.compile, whole step"

    def __init__(self, problem):
        super().__init__(problem)
        torch._dynamo.reset()  # it compiles a method for eight objects and no more
        self.compiled = torch.compile(self.update, fullgraph=True)

    def reset(self):
        super().reset()
        zeros = lambda: [torch.zeros_like(w) for w in self.weights] if self.problem.adam else []
        self.state = self.weights, zeros(), zeros(), torch.zeros(())

    def gradient(self):
        return [g.numpy() for g in torch.func.grad(self.loss)(self.weights, *self.data)]

    def update(self, weights, first, second, t, data):
        gradient, rates = torch.func.grad(self.loss)(weights, *data), self.problem.rates
        if not self.problem.adam:
            for w, g in zip(weights, gradient):
                w.sub_(rates["sgd_rate"] * g)
            return
        t.add_(1)
        for one in zip(weights, first, second, gradient):
            for old, new in zip(one, moved(rates, t, *one, torch.sqrt)):
                old.copy_(new)

    def steps(self, count):
        with torch.no_grad():
            for _ in range(count):
                self.compiled(*self.state, self.data)


class Served:
    """A library of the binary `nets`, which checks it by itself."""

    def __init__(self, name, ask):
        self.name, self.ask = name, ask

    def turn(self, count):
        return int(self.ask(f"{self.name}\t{count}")) * 1e-9


class Nets:
    """The binary `nets` as a process that works on request only."""

    def __init__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([TARGET / "release/nets", "--serve"], stdin=pipe, stdout=pipe, text=True)
        self.names = self.answer().split("\t")

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the binary `nets` has ended")
        return line.rstrip("\n")

    def ask(self, request):
        print(request, file=self.process.stdin, flush=True)
        return self.answer()

    def open(self, net):
        """The libraries that are right."""
        return [Served(name, self.ask) for name in self.ask(net).split("\t")]


WAYS = [JaxLoop, TorchCompiled, JaxStep, TorchEager]


def turn(model, count):
    """Seconds of the processor for a number of steps from the initial weights."""
    model.reset()
    model.steps(1)
    start = time.process_time()
    model.steps(count)
    return time.process_time() - start


def flat(arrays):
    return np.concatenate([np.asarray(array, dtype=np.float64).ravel() for array in arrays])


def is_right(model, problem, steps):
    """True if the gradient, and the path of the weights in `steps` steps, are those of the reference."""
    reference, start = Reference(problem), flat(problem.weights)
    right, ours = flat(reference.gradient()), flat(model.gradient())
    wrong = np.abs(ours - right) > 1e-4 * np.abs(right) + 1e-5 * np.abs(right).max()
    reference.steps(steps)
    model.steps(steps)
    path = flat(reference.current()) - start
    error = np.linalg.norm(flat(model.current()) - start - path) / np.linalg.norm(path)
    if wrong.any() or not error < 1e-3:
        what = f"{wrong.sum()} partials are wrong, the path is off by {error:.1e} of its length"
        print(f"{model.name}, {problem.net['name']}: {what}", file=sys.stderr)
        return False
    return True


def contestants(problem, steps):
    """The names and turns of the WAYS that are right."""
    right = []
    for way in WAYS:
        try:
            model = way(problem)
            if is_right(model, problem, steps):
                right.append((way.name, lambda count, model=model: turn(model, count)))
        except Exception as error:  # of a compiler, say
            print(f"{way.name}, {problem.net['name']}: {error}", file=sys.stderr)
    return right


def times(turns, pick=statistics.median):
    """The microseconds of a step for each name, by rounds in which all take turns: the median, or what `pick` gives."""
    counts, whole = {}, 0
    for name, take in turns:
        step = min(take(10) for _ in range(3)) / 10
        counts[name] = math.ceil(SAMPLE / step)
        whole += counts[name] * step
    samples = {name: [] for name, _ in turns}
    for _ in range(min(max(int(BUDGET / whole), 15), 501)):
        for name, take in turns:
            samples[name].append(take(counts[name]) / counts[name])
    return {name: pick(each) * 1e6 for name, each in samples.items()}


def digits(time):
    return f"{time:.3g}" if time < 100 else f"{time:,.0f}"


class Table:
    """Times in Markdown, printed row by row, and their ratios: as `src/report.rs` prints them."""

    def __init__(self, names):
        self.names, self.rows = names, []
        self.ours = [name for name in names if name.startswith("wengert")]
        self.print("net", names)
        print("|---|" + "---:|" * len(names))

    @staticmethod
    def print(name, cells):
        print("| " + " | ".join([name, *cells]) + " |", flush=True)

    def push(self, name, times):
        self.print(name, (digits(times[each]) if each in times else "wrong" for each in self.names))
        self.rows.append((name, times))

    def print_ratios(self):
        others = [name for name in self.names if name != HAND] if HAND in self.names else []
        over = f"Over {HAND}; last, the" if others else "The"
        print(f"\n{over} best of the others over ours: more than 1 means that ours is faster.\n")
        self.print("net", others + [f"best other / {name}" for name in self.ours])
        print("|---|" + "---:|" * (len(others) + len(self.ours)))
        for name, times in self.rows:
            best = min(time for each, time in times.items() if each != HAND and each not in self.ours)
            cells = [f"{times[each] / times[HAND]:.2f}" if each in times else "wrong" for each in others]
            self.print(name, cells + [f"{best / times[each]:.2f}" if each in times else "wrong" for each in self.ours])


def main():
    data, wanted = TARGET / "nets", sys.argv[1:]
    subprocess.run([TARGET / "release/nets", "--data", data], check=True)
    problems = json.loads((data / "nets.json").read_text())
    nets = Nets()
    print(f"Microseconds for one training step. JAX {jax.__version__}, torch {torch.__version__}.\n")
    table = Table(nets.names + [way.name for way in WAYS])
    for net in problems["nets"]:
        if not wanted or net["name"] in wanted:
            turns = [(served.name, served.turn) for served in nets.open(net["name"])]
            turns += contestants(Problem(data, net, problems), problems["steps"])
            table.push(f"{net['name']}: {net['about']}", times(turns))
    table.print_ratios()


if __name__ == "__main__":
    main()
