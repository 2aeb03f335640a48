"""Runs random programs in PyTorch or JAX and compares values, gradients and Hessian-vector products with this crate's.

    cd fuzz && cargo run --example programs --features outside -- 1000 > programs.json
    python ../tests/oracle/programs torch programs.json
    python ../tests/oracle/programs jax programs.json

Without a file it reads programs.json beside this folder, a small sample.

JAX traces each program and its derivatives; numpy and SciPy evaluate the trace, because XLA would compile every operation for
every shape (`by_jax/evaluate.py`).

Where PyTorch's own formula loses digits (sigmoid and tanh where they saturate, gelu, trigamma), another form of the same
function stands in its place, with the reason. Both sides round, each in its own way, so numbers are compared as follows.

- Within 32 units in the last place of the number itself they agree.
- Else the condition of the number is measured (Monte Carlo arithmetic, Parker 1997): the program runs again with every operand
  and result of every step, and so every cotangent, times 1 + 2^-30 r with a random r in [-1, 1]. The largest change of the
  number in eight runs, over 2^-30, is how many times it multiplies a relative error made anywhere. The tolerance is 64 units
  of roundoff times that, because an operation is a few roundings and eight runs do not meet the worst case; for second
  derivatives, whose pullbacks of pullbacks are longer, 256. What this does not explain runs forty times; up to four times the
  tolerance is counted apart. A number that moves by more than a hundredth of itself has no
  digits, and one that moves as much for errors of 2^-40 stands at a kink; these are not compared but counted.
- Programs in f32 are compared with the same program in float64 and the roundoff of f32, and where a number is not finite, with
  float32.

Where the crate has another convention on purpose the program runs again with the rule of that convention (`RULES`), and it is
counted under the name of each rule that was in force. All else is a difference: it is printed, and the script fails.
"""

import importlib
import json
import sys
import time
from collections import Counter
from pathlib import Path

from compare import RULES, Comparison


def main():
    which, *files = sys.argv[1:] or ["torch"]
    lib = importlib.import_module({"torch": "by_torch", "jax": "by_jax"}[which])
    comparison = Comparison(lib)
    start = time.monotonic()
    path = files[0] if files else Path(__file__).parents[1] / "programs.json"
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
    print(
        f"differences: {len(comparison.differences)}",
        *(f"{name}: {count}" for name, count in comparison.suspects.most_common()),
    )
    steps, seconds = sum(operations.values()), time.monotonic() - start
    print(
        f"{len(operations)} operations, {steps} steps, largest error {comparison.worst:.0f} roundoffs times condition, {seconds:.0f} s"
    )
    sys.exit(1 if comparison.differences else 0)


if __name__ == "__main__":
    main()
