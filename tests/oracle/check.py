"""Runs the oracles again and compares what they print with what is committed.

    python tests/oracle/check.py [NAME ..]

Text must be the same, numbers may differ by 1e-12 of the larger one (or 1e-14): packages round their last digits in another
way from version to version. An oracle whose packages are not installed is named and left out. Not here: `strd`, which needs
a download that its head names, and `formulas`, whose simplest forms depend on a limit of time.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
OUTPUTS = {
    "metrics": "metrics.txt",
    "nn": "nn.txt",
    "densities": "densities.txt",
    "factors": "factors.txt",
    "grid": "grid.txt",
    # They compare by themselves, and print what differs.
    "edges": None,
    "programs": None,
}
NUMBER = re.compile(r"[-+]?(?:\d+\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\d+\.(?!\w))")


def parts(text):
    """The text between numbers, and the numbers. Lines of comments name versions."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return NUMBER.split(text), [float(x) for x in NUMBER.findall(text)]


def compare(name, printed):
    committed = (HERE / OUTPUTS[name]).read_text()
    (text, numbers), (other, others) = parts(printed), parts(committed)
    if text != other or len(numbers) != len(others):
        return f"{name}: the text differs"
    worst = 0.0
    for a, b in zip(numbers, others):
        scale = max(abs(a), abs(b))
        if a != b:
            worst = max(worst, abs(a - b) / scale)
        if abs(a - b) > max(1e-12 * scale, 1e-14):
            return f"{name}: {a!r} where {b!r} is committed"
    print(f"{name}: {len(numbers)} numbers, largest relative difference {worst:.1e}", end="")
    return None


def main():
    names = sys.argv[1:] or list(OUTPUTS)
    failures = []
    for name in names:
        start = time.monotonic()
        script = HERE / (name if (HERE / name).is_dir() else f"{name}.py")
        run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=HERE.parents[1])
        missing = re.search(r"No module named '([^']+)'", run.stderr)
        if missing:
            print(f"{name}: left out, {missing[1]} is not installed")
            continue
        if run.returncode != 0:
            failure = f"{name}: {run.stdout[-2000:]}{run.stderr[-2000:]}"
        elif OUTPUTS[name] is None:
            failure = None
            print(f"{name}: {run.stdout.strip() or 'all points agree'}", end="")
        else:
            failure = compare(name, run.stdout)
        if failure:
            failures.append(failure)
            print(failure)
        else:
            print(f" ({time.monotonic() - start:.0f} s)")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
