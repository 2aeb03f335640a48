"""Times gradients of the seven scalar functions in JAX, CasADi and Enzyme beside those of programs.

    python programs.py [function ...]

Needs jax, casadi and enzyme-ad. First the bench `programs` of the main crate runs, then each peer on the same
function and data; everything on one processor, by processor time. Prints one Markdown table: the primal of plain Rust in
nanoseconds, and value and gradient as ratios to it. A peer whose gradient differs from that of JAX gets no time. See README.md.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import casadi
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import erfc

jax.config.update("jax_enable_x64", True)

ROOT = Path(__file__).parent.parent.parent
NAMES = ["seed", "rosenbrock", "mlp", "normal", "matmul", "burgers", "bs"]
HALF_LN_TAU = 0.9189385332046727
ADVECTION, DIFFUSION = 1e-4 / (2 / 200), 1e-2 * 1e-4 / (1 / 200) ** 2
STEPS = 200  # gradients in one loop inside XLA


class SplitMix64:
    """The random numbers of benches/scalars/suite.rs."""

    MASK = (1 << 64) - 1

    def __init__(self):
        self.state = 42

    def uniform(self, low, high):
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & self.MASK
        return low + (high - low) * (((z ^ (z >> 31)) >> 11) * 2.0**-53)

    def uniforms(self, n, low, high):
        return np.array([self.uniform(low, high) for _ in range(n)])


def inputs(name):
    """The point and the data of a function."""
    rng, none = SplitMix64(), np.zeros(0)
    if name == "seed":
        return np.array([0.5, -0.3, 1.2, 0.1]), np.array([0.7, 0.9])
    if name == "rosenbrock":
        return rng.uniforms(1000, -1, 1), none
    if name == "mlp":
        x = rng.uniforms(337, -0.5, 0.5)
        return x, rng.uniforms(96, -1, 1)
    if name == "normal":
        return np.array([0.3, 1.7]), rng.uniforms(10000, -3, 3)
    if name == "matmul":
        return rng.uniforms(8192, -1, 1), none
    if name == "burgers":
        return np.array([np.sin(2 * np.pi * i / 200) + rng.uniform(0, 0.1) for i in range(200)]), none
    ranges = [(80, 120), (80, 120), (0.2, 2), (0.01, 0.05), (0.1, 0.5)]
    return np.array([rng.uniform(a, b) for _ in range(1000) for a, b in ranges]), none


class Arrays:
    """The functions as JAX users write them: on arrays."""

    def seed(x, d):
        return (x[2] * (x[0] * d[0] + x[1]) + x[3] - d[1]) ** 2

    def rosenbrock(x, _):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def mlp(p, d):
        w1, b1, w2, b2, w3 = p[:32].reshape(16, 2), p[32:48], p[48:304].reshape(16, 16), p[304:320], p[320:336]
        samples = d.reshape(32, 3)
        h = jnp.tanh(jnp.tanh(samples[:, :2] @ w1.T + b1) @ w2.T + b2)
        return jnp.mean((h @ w3 + p[336] - samples[:, 2]) ** 2)

    def normal(x, y):
        return jnp.sum(-0.5 * ((y - x[0]) / x[1]) ** 2 - jnp.log(x[1]) - HALF_LN_TAU)

    def matmul(x, _):
        return jnp.sum(x[:4096].reshape(64, 64) @ x[4096:].reshape(64, 64))

    def burgers(u, _):
        def step(u, _):
            left, right = jnp.roll(u, 1), jnp.roll(u, -1)
            return u - ADVECTION * u * (right - left) + DIFFUSION * (right - 2 * u + left), None

        return jnp.sum(lax.scan(step, u, None, length=100)[0] ** 2)

    def bs(x, _):
        s, k, t, r, sigma = x.reshape(1000, 5).T
        cdf = lambda x: 0.5 * erfc(-x / np.sqrt(2))
        sd = sigma * jnp.sqrt(t)
        d1 = (jnp.log(s / k) + (r + 0.5 * sigma**2) * t) / sd
        return jnp.sum(s * cdf(d1) - k * jnp.exp(-r * t) * cdf(d1 - sd))


class Scalars:
    """The functions as CasADi users write them: on a list of symbols."""

    seed = Arrays.seed

    def rosenbrock(x, _):
        return sum(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:]))

    def mlp(p, d):
        dot = lambda w, h: sum(a * b for a, b in zip(w, h))
        total = 0
        for x0, x1, y in d.reshape(32, 3):
            h = [casadi.tanh(p[2 * i] * x0 + p[2 * i + 1] * x1 + p[32 + i]) for i in range(16)]
            h = [casadi.tanh(dot(p[48 + 16 * i : 64 + 16 * i], h) + p[304 + i]) for i in range(16)]
            total += (dot(p[320:336], h) + p[336] - y) ** 2
        return total / 32

    def normal(x, d):
        return sum(-0.5 * ((y - x[0]) / x[1]) ** 2 - casadi.log(x[1]) - HALF_LN_TAU for y in d)

    def burgers(u, _):
        for _ in range(100):
            right = u[1:] + u[:1]
            u = [
                h - ADVECTION * h * (r - u[i - 1]) + DIFFUSION * (r - 2 * h + u[i - 1])
                for i, (h, r) in enumerate(zip(u, right))
            ]
        return sum(v**2 for v in u)

    def bs(x, _):
        cdf = lambda x: 0.5 * (1 + casadi.erf(x / np.sqrt(2)))
        total = 0
        for s, k, t, r, sigma in zip(*[iter(x)] * 5):
            sd = sigma * casadi.sqrt(t)
            d1 = (casadi.log(s / k) + (r + 0.5 * sigma**2) * t) / sd
            total += s * cdf(d1) - k * casadi.exp(-r * t) * cdf(d1 - sd)
        return total


# The functions as loops of C++, for Enzyme. `x` and `d` are the point and the data, `N` and `M` their lengths.
LOOPS = {
    "seed": "double t = x[2] * (x[0] * d[0] + x[1]) + x[3] - d[1]; y = t * t;",
    "rosenbrock": """for (int i = 0; i + 1 < (int)N; i++) {
        double t = x[i + 1] - x[i] * x[i], u = 1 - x[i]; y += 100 * t * t + u * u; }""",
    # With an array that each sample writes anew, enzyme-ad 0.0.16 gives a wrong gradient.
    "mlp": """double h[32][16]; for (int s = 0; s < 32; s++) { double e = x[336] - d[3 * s + 2];
        for (int i = 0; i < 16; i++) h[s][i] = tanh(x[2 * i] * d[3 * s] + x[2 * i + 1] * d[3 * s + 1] + x[32 + i]);
        for (int i = 0; i < 16; i++) { double b = x[304 + i];
            for (int j = 0; j < 16; j++) b += x[48 + 16 * i + j] * h[s][j];
            e += x[320 + i] * tanh(b); }
        y += e * e / 32; }""",
    "normal": """for (int i = 0; i < (int)M; i++) {
        double z = (d[i] - x[0]) / x[1]; y += -0.5 * z * z - log(x[1]) - 0.9189385332046727; }""",
    "matmul": """for (int i = 0; i < 64; i++) for (int j = 0; j < 64; j++) { double c = 0;
        for (int k = 0; k < 64; k++) c += x[64 * i + k] * x[4096 + 64 * k + j]; y += c; }""",
    "burgers": """double u[N], w[N]; for (int i = 0; i < (int)N; i++) u[i] = x[i];
        for (int t = 0; t < 100; t++) {
            for (int i = 0; i < (int)N; i++) { double l = u[i == 0 ? N - 1 : i - 1], r = u[i + 1 == (int)N ? 0 : i + 1];
                w[i] = u[i] - 0.01 * u[i] * (r - l) + 0.04 * (r - 2 * u[i] + l); }
            for (int i = 0; i < (int)N; i++) u[i] = w[i]; }
        for (int i = 0; i < (int)N; i++) y += u[i] * u[i];""",
    "bs": """for (int i = 0; i < (int)N / 5; i++) {
        double s = x[5 * i], k = x[5 * i + 1], t = x[5 * i + 2], r = x[5 * i + 3], g = x[5 * i + 4];
        double sd = g * sqrt(t), p = (log(s / k) + (r + 0.5 * g * g) * t) / sd, q = p - sd;
        y += s * 0.5 * erfc(-p * 0.7071067811865476) - k * exp(-r * t) * 0.5 * erfc(-q * 0.7071067811865476); }""",
}


def median(f, turns=9):
    """Median processor time of a call in nanoseconds; a turn takes some milliseconds."""
    f()
    start = time.process_time()
    f()
    count = max(1, int(5e-3 / max(time.process_time() - start, 1e-7)))
    times = []
    for _ in range(turns):
        start = time.process_time()
        for _ in range(count):
            f()
        times.append((time.process_time() - start) / count * 1e9)
    return sorted(times)[turns // 2]


def loop(value_and_grad, x, d):
    """A gradient in a loop inside XLA. The point moves a little with each result, so that nothing is hoisted."""

    def body(_, carry):
        value, gradient = value_and_grad(carry[0], d)
        return carry[0] - 1e-9 * gradient, carry[1] + value

    run = jax.jit(lambda x, d: lax.fori_loop(0, STEPS, body, (x, 0.0)))
    return median(lambda: jax.block_until_ready(run(x, d))) / STEPS


def by_jax(name, x, d):
    f = jax.value_and_grad(getattr(Arrays, name))
    return f(x, d)[1], loop(f, x, d)


def by_casadi(name, x, d):
    if not hasattr(Scalars, name):
        return None, None  # a million nodes take too long
    symbols = casadi.SX.sym("x", len(x))
    y = getattr(Scalars, name)(casadi.vertsplit(symbols), np.asarray(d))
    f = casadi.Function("f", [symbols], [y, casadi.gradient(y, symbols)])
    buffer, call = f.buffer()
    point, value, gradient = np.array(x), np.zeros(1), np.zeros(len(x))
    buffer.set_arg(0, memoryview(point))
    buffer.set_res(0, memoryview(value))
    buffer.set_res(1, memoryview(gradient))
    return gradient, median(call)


def by_enzyme(name, x, d):
    from enzyme_ad.jax import cpp_call

    tensor = lambda n, what: f"enzyme::tensor<double, {n}>& {what}"
    source = f"""#include <cmath>
        template <std::size_t N, std::size_t M>
        void f({tensor(1, "o")}, const {tensor("N", "x")}, const {tensor("M", "d")}) {{ double y = 0; {LOOPS[name]} o[0] = y; }}"""
    includes = "-I" + subprocess.run(["gcc", "-print-file-name=include"], capture_output=True, text=True).stdout.strip()
    shape = [jax.core.ShapedArray([1], jnp.float64)]
    f = lambda x, d: cpp_call(x, d, out_shapes=shape, source=source, fn="f", argv=("-O3", "-ffast-math", includes))[0][0]
    d = d if len(d) else jnp.zeros(1)

    def value_and_grad(x, d):
        value, pullback = jax.vjp(f, x, d)
        return value, pullback(jnp.ones(()))[0]

    return jax.jit(value_and_grad)(x, d)[1], loop(value_and_grad, x, d)


def programs(name):
    """The primal's time and the ratios of hand-written code and of a program, from the bench of the main crate."""
    command = ["cargo", "bench", "--quiet", "--bench", "programs", "--", name]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    row = next(line.split() for line in lines if line.split()[:1] == [name])
    return float(row[1]), float(row[2]), float(row[3])


def main():
    print("| | primal, ns | hand-written | program | JAX, loop inside XLA | CasADi's virtual machine | Enzyme |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in sys.argv[1:] or NAMES:
        primal, hand, program = programs(name)
        x, d = map(jnp.array, inputs(name))
        expected, columns = None, []
        for peer in by_jax, by_casadi, by_enzyme:
            try:
                gradient, ns = peer(name, x, d)
            except Exception as error:  # a peer that cannot be built must not stop the others
                print(f"{peer.__name__}, {name}: {error}"[:300], file=sys.stderr)
                gradient, ns = None, None
            if expected is None:
                expected = gradient
            if ns is None or not np.allclose(gradient, expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max()):
                columns.append("-")
            else:
                columns.append(f"{ns / primal:.2f}")
        print(f"| {name} | {primal:,.0f} | {hand:.2f} | {program:.2f} | " + " | ".join(columns) + " |", flush=True)


if __name__ == "__main__":
    main()
